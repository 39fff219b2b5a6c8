//! The few fields of an X.509 certificate (RFC 5280) that rustls does not hand out: validity, common name, whether there
//! are alternative names, and the signature's hash. Everything else of a certificate is rustls' business.

use ring::digest;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error};

use super::bad_encoding;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// `id-ce-subjectAltName`, 2.5.29.17.
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Tag and contents, one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 || count > rest.len() {
                return None;
            }
            let (bytes, after) = rest.split_at(count);
            rest = after;
            bytes.iter().try_fold(0_usize, |value, byte| value.checked_mul(256)?.checked_add(usize::from(*byte)))?
        };
        if length > rest.len() {
            return None;
        }
        let (contents, after) = rest.split_at(length);
        self.0 = after;
        Some((tag, contents))
    }

    fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, contents)| contents)
    }
}

struct Fields<'a> {
    validity: &'a [u8],
    subject: &'a [u8],
    extensions: Option<&'a [u8]>,
    signature_algorithm: &'a [u8],
}

fn fields(certificate: &[u8]) -> Option<Fields<'_>> {
    let mut outer = Reader(Reader(certificate).expect(SEQUENCE)?);
    let mut inner = Reader(outer.expect(SEQUENCE)?);
    let signature_algorithm = Reader(outer.expect(SEQUENCE)?).expect(OID)?;
    // [0] version is absent in version 1; then comes the serial number.
    let (tag, _) = inner.next()?;
    if tag == 0xa0 {
        inner.next()?;
    }
    inner.expect(SEQUENCE)?; // signature
    inner.expect(SEQUENCE)?; // issuer
    let validity = inner.expect(SEQUENCE)?;
    let subject = inner.expect(SEQUENCE)?;
    inner.expect(SEQUENCE)?; // subject's public key
    let mut extensions = None;
    while let Some((tag, contents)) = inner.next() {
        if tag == 0xa3 {
            extensions = Reader(contents).expect(SEQUENCE);
        }
    }
    Some(Fields { validity, subject, extensions, signature_algorithm })
}

/// Whether `now` lies between *not before* and *not after*.
pub(super) fn check_validity(certificate: &[u8], now: UnixTime) -> Result<(), Error> {
    let fields = fields(certificate).ok_or_else(bad_encoding)?;
    let mut validity = Reader(fields.validity);
    let not_before = validity.next().and_then(seconds).ok_or_else(bad_encoding)?;
    let not_after = validity.next().and_then(seconds).ok_or_else(bad_encoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < not_before {
        Err(Error::InvalidCertificate(CertificateError::NotValidYet))
    } else if now > not_after {
        Err(Error::InvalidCertificate(CertificateError::Expired))
    } else {
        Ok(())
    }
}

/// Seconds since 1970 of a UTCTime or GeneralizedTime in the forms that RFC 5280 allows.
fn seconds((tag, contents): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(contents).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    if rest.len() != 10 || !(1..=12).contains(&month) {
        return None;
    }
    // Days since 1970 of a civil date; years are counted from March, so that leap days come last.
    let from_march = (month + 9) % 12;
    let year = if month <= 2 { year - 1 } else { year };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * from_march + 2) / 5
        + day
        - 1
        - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Whether the subject's common name is `host` (or a wildcard for it) and there are no alternative names.
pub(super) fn common_name_matches(certificate: &[u8], host: &str) -> bool {
    let Some(fields) = fields(certificate) else { return false };
    if has_alternative_names(&fields) {
        return false;
    }
    common_name(&fields).is_some_and(|name| name_matches(name, host))
}

fn has_alternative_names(fields: &Fields<'_>) -> bool {
    let mut extensions = Reader(fields.extensions.unwrap_or_default());
    while let Some(extension) = extensions.expect(SEQUENCE) {
        let mut extension = Reader(extension);
        if extension.expect(OID) == Some(ALTERNATIVE_NAME)
            && extension.next().is_some_and(|(tag, _)| tag == OCTETS || tag == 1)
        {
            return true;
        }
    }
    false
}

fn common_name<'a>(fields: &Fields<'a>) -> Option<&'a str> {
    let mut names = Reader(fields.subject);
    let mut found = None;
    while let Some(set) = names.expect(SET) {
        let mut attribute = Reader(Reader(set).expect(SEQUENCE)?);
        if attribute.expect(OID) == Some(COMMON_NAME) {
            found = attribute.next().and_then(|(_, contents)| std::str::from_utf8(contents).ok());
        }
    }
    found
}

fn name_matches(pattern: &str, host: &str) -> bool {
    if pattern.contains('\0') {
        return false;
    }
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    // As libpq: `*.` stands for exactly one label.
    let (Some(suffix), Some((label, domain))) = (pattern.strip_prefix("*."), host.split_once('.')) else {
        return false;
    };
    !label.is_empty() && suffix.eq_ignore_ascii_case(domain) && host.parse::<std::net::IpAddr>().is_err()
}

/// The certificate's digest for the channel binding `tls-server-end-point` (RFC 5929): the hash of its signature
/// algorithm, SHA-256 in place of MD5 and SHA-1. Nothing when the algorithm names no hash known here.
pub(super) fn end_point_digest(certificate: &[u8]) -> Option<Vec<u8>> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    let oid = fields(certificate)?.signature_algorithm;
    let algorithm = if let Some(rest) = oid.strip_prefix(RSA) {
        match rest {
            [4 | 5 | 11] => &digest::SHA256,
            [12] => &digest::SHA384,
            [13] => &digest::SHA512,
            _ => return None,
        }
    } else if let Some(rest) = oid.strip_prefix(ECDSA) {
        match rest {
            [1] | [3, 2] => &digest::SHA256,
            [3, 3] => &digest::SHA384,
            [3, 4] => &digest::SHA512,
            _ => return None,
        }
    } else {
        return None;
    };
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(seconds((UTC_TIME, b"700101000000Z")), Some(0));
        assert_eq!(seconds((UTC_TIME, b"000229120000Z")), Some(951_825_600));
        assert_eq!(seconds((GENERALIZED_TIME, b"21000301000000Z")), Some(4_107_542_400));
        assert_eq!(seconds((UTC_TIME, b"7001010000Z")), None);
        assert_eq!(seconds((UTC_TIME, b"701301000000Z")), None);
    }

    #[test]
    fn names() {
        assert!(name_matches("db.example", "DB.example"));
        assert!(name_matches("*.example", "db.example"));
        assert!(!name_matches("*.example", "a.db.example"));
        assert!(!name_matches("*.0.0.1", "127.0.0.1"));
        assert!(!name_matches("*.example", ".example"));
    }

    #[test]
    fn no_input_panics() {
        for length in 0..64_u8 {
            let bytes: Vec<u8> = (0..length).map(|i| i.wrapping_mul(37) ^ 0x30).collect();
            assert!(end_point_digest(&bytes).is_none());
            assert!(!common_name_matches(&bytes, "x"));
        }
        assert!(fields(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]).is_none());
    }
}
