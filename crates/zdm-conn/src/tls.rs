//! TLS as libpq does it, on rustls.
//!
//! | `sslmode` | chain verified | host name verified |
//! |---|---|---|
//! | `disable` | – | – |
//! | `allow`, `prefer`, `require` | when a root certificate file exists | no |
//! | `verify-ca` | yes | no |
//! | `verify-full` | yes | yes |
//!
//! Source: PostgreSQL's manual, libpq, "SSL Support". As with OpenSSL, a self-signed server certificate that is itself
//! in the root file is trusted, and the common name counts when the certificate has no alternative names.

mod der;

use std::fmt;
#[cfg(unix)]
use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::settings::{RootCertificates, SslMode, Tls};

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("root certificate file `{}` does not exist; provide it, use sslrootcert=system, or lower sslmode", .0.display())]
    NoRootFile(PathBuf),
    #[error("sslmode `{0:?}` needs root certificates, and no `root.crt` lies in `~/.postgresql`")]
    NoRoots(SslMode),
    #[error("cannot read `{}`: {error}", path.display())]
    Read { path: PathBuf, error: rustls::pki_types::pem::Error },
    #[error("`{}` holds no certificate", .0.display())]
    Empty(PathBuf),
    #[error("private key file `{}` can be read by others; permissions should be 0600", .0.display())]
    OpenKey(PathBuf),
    #[error("the platform's root certificates cannot be loaded: {0}")]
    System(String),
    #[error("TLS setup: {0}")]
    Rustls(#[from] rustls::Error),
    #[error("`{0}` is not a host name that TLS can use")]
    ServerName(String),
}

/// Makes TLS connections to one host for the driver.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Connector {
    /// # Errors
    /// When certificates or keys that the mode needs are missing or unreadable.
    pub fn new(tls: &Tls, host: &str) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = load_roots(tls)?;
        let verifier = Verifier { roots, names: tls.mode == SslMode::VerifyFull, provider: Arc::clone(&provider) };
        let versions: &[&rustls::SupportedProtocolVersion] =
            if tls.only_tls13 { &[&rustls::version::TLS13] } else { rustls::DEFAULT_VERSIONS };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &tls.client {
            Some((certificate, key)) => {
                refuse_open_key(key)?;
                let key_der =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::Read { path: key.clone(), error })?;
                builder.with_client_auth_cert(read_certificates(certificate)?, key_der)?
            }
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = tls.sni;
        if tls.direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::ServerName(host.to_owned()))?;
        Ok(Self { config: Arc::new(config), name })
    }
}

/// Elsewhere libpq does not ask who can read it.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn refuse_open_key(_: &Path) -> Result<(), TlsError> {
    Ok(())
}

/// A private key that others can read is refused, as libpq does; root's key may be readable by its group.
#[cfg(unix)]
fn refuse_open_key(path: &Path) -> Result<(), TlsError> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let forbidden = if metadata.uid() == 0 { 0o027 } else { 0o077 };
    if metadata.mode() & forbidden == 0 { Ok(()) } else { Err(TlsError::OpenKey(path.to_owned())) }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |error| TlsError::Read { path: path.to_owned(), error };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<_, _>>().map_err(read)?;
    if certificates.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(certificates) }
}

fn load_roots(tls: &Tls) -> Result<Option<Roots>, TlsError> {
    let verifies = tls.mode >= SslMode::VerifyCa;
    let certificates = match &tls.roots {
        RootCertificates::System => {
            let loaded = rustls_native_certs::load_native_certs();
            if loaded.certs.is_empty() {
                let errors: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
                return Err(TlsError::System(if errors.is_empty() {
                    "there are none".to_owned()
                } else {
                    errors.join("; ")
                }));
            }
            loaded.certs
        }
        RootCertificates::File(path) if path.exists() => read_certificates(path)?,
        RootCertificates::File(path) if verifies => return Err(TlsError::NoRootFile(path.clone())),
        RootCertificates::None if verifies => return Err(TlsError::NoRoots(tls.mode)),
        RootCertificates::File(_) | RootCertificates::None => return Ok(None),
    };
    let mut store = RootCertStore::empty();
    // A version 1 certificate cannot be an anchor here; it still counts when the server presents that very certificate.
    store.add_parsable_certificates(certificates.iter().cloned());
    Ok(Some(Roots { store, certificates }))
}

struct Roots {
    store: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

struct Verifier {
    /// Without roots the certificate is not verified at all.
    roots: Option<Roots>,
    names: bool,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Verifier {
    fn verify_chain(
        &self,
        roots: &Roots,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if roots.certificates.iter().any(|root| root.as_ref() == end_entity.as_ref()) {
            return der::check_validity(end_entity, now);
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots.store, intermediates, now, algorithms)
    }

    fn verify_name(end_entity: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), rustls::Error> {
        let by_alternative_names = ParsedCertificate::try_from(end_entity).and_then(|c| verify_server_name(&c, name));
        match by_alternative_names {
            Ok(()) => Ok(()),
            // The subject's common name counts only when there are no alternative names (RFC 6125).
            Err(_) if der::common_name_matches(end_entity, &name.to_str()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            self.verify_chain(roots, end_entity, intermediates, now)?;
            if self.names {
                Self::verify_name(end_entity, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.roots.is_none() {
            // Nothing ties the certificate to the server in this mode, so its signature proves nothing either;
            // checking it would only refuse the old certificates (version 1) that libpq accepts.
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.roots.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Self;
    type Error = io::Error;

    fn make_tls_connect(&mut self, _domain: &str) -> Result<Self, io::Error> {
        Ok(self.clone())
    }
}

impl<S> TlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let stream = TlsConnector::from(self.config).connect(self.name, stream).await?;
            Ok(Stream { stream })
        })
    }
}

/// An encrypted stream.
pub struct Stream<S> {
    stream: TlsStream<S>,
}

impl<S> fmt::Debug for Stream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.stream.get_ref();
        let binding = session
            .peer_certificates()
            .and_then(|certificates| certificates.first())
            .and_then(|certificate| der::end_point_digest(certificate));
        binding.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A certificate error with a kind of its own.
fn bad_encoding() -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::BadEncoding)
}
