//! Connections to live servers: TLS in every mode, passwords, sockets, timeouts, transaction pooling.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use zdm_conn::pooler::{Pooling, detect};
use zdm_conn::{Environment, FailureClass, Session, SessionError, Settings, Timeouts, classify};
use zdm_testkit::{Account, Server, ServerOptions, available_majors, majors_for};

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn settings(dsn: &str) -> Settings {
    Settings::resolve(Some(dsn), &Environment::default()).unwrap()
}

/// `pg_stat_ssl.ssl` of a session opened by this string, or the error's text.
fn try_dsn(dsn: &str) -> Result<bool, String> {
    block_on(async {
        let session = match Session::open(&settings(dsn), "zdm test", Timeouts::default()).await {
            Ok(session) => session,
            Err(error) => return Err(error.to_string()),
        };
        let row = session.simple_row("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await.unwrap();
        Ok(row[0] == "t")
    })
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").current_dir(directory).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, a server certificate of it with alternative names, one with a common name alone, one of its own.
fn certificates(directory: &Path) {
    openssl(directory, "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt");
    openssl(directory, "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other -keyout other.key -out other.crt");
    fs::write(directory.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        .unwrap();
    fs::write(directory.join("none"), "basicConstraints=CA:FALSE\n").unwrap();
    for (name, subject, extensions) in [("named", "/CN=whatever", "names"), ("common", "/CN=localhost", "none")] {
        openssl(directory, &format!("req -newkey rsa:2048 -nodes -subj {subject} -keyout {name}.key -out {name}.csr"));
        openssl(
            directory,
            &format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -sha384 -extfile {extensions} -out {name}.crt"
            ),
        );
    }
    openssl(
        directory,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout own.key -out own.crt",
    );
}

fn tls_server(directory: &Path, certificate: &str, hba: &str) -> Server {
    let read = |name: String| fs::read_to_string(directory.join(name)).unwrap();
    let server = ServerOptions::default()
        .tcp()
        .file("server.crt", &read(format!("{certificate}.crt")))
        .file("server.key", &read(format!("{certificate}.key")))
        .file("hba", hba)
        .set("ssl", "on")
        .set("ssl_cert_file", "../server.crt")
        .set("ssl_key_file", "../server.key")
        .set("hba_file", "../hba")
        .start(*available_majors().last().unwrap());
    server.connect("postgres").sql("CREATE ROLE secret LOGIN PASSWORD 'pass word'");
    server
}

#[test]
fn tls_modes_are_libpqs() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let root = |name: &str| directory.path().join(name).display().to_string();
    let any = "local all all trust\nhost all secret all scram-sha-256\nhost all all all trust\n";
    let server = tls_server(directory.path(), "named", any);
    let dsn = |more: &str| {
        format!("host=localhost hostaddr=127.0.0.1 port={} user=postgres dbname=postgres {more}", server.port())
    };
    let ca = root("ca.crt");
    let other = root("other.crt");
    for (more, expect) in [
        ("sslmode=disable".to_owned(), Ok(false)),
        ("sslmode=allow".to_owned(), Ok(false)),
        ("sslmode=prefer".to_owned(), Ok(true)),
        ("sslmode=require".to_owned(), Ok(true)),
        (format!("sslmode=require sslrootcert={ca}"), Ok(true)),
        (format!("sslmode=verify-ca sslrootcert={ca}"), Ok(true)),
        (format!("sslmode=verify-full sslrootcert={ca}"), Ok(true)),
        // The chain fails: `prefer` falls back to plain text, as libpq does, everything stronger refuses.
        (format!("sslmode=prefer sslrootcert={other}"), Ok(false)),
        (format!("sslmode=require sslrootcert={other}"), Err("UnknownIssuer")),
        (format!("sslmode=verify-ca sslrootcert={other}"), Err("UnknownIssuer")),
        ("sslmode=verify-ca".to_owned(), Err("needs root certificates")),
        ("sslmode=verify-full sslrootcert=/nowhere/root.crt".to_owned(), Err("does not exist")),
        ("sslmode=require sslnegotiation=direct".to_owned(), if server.major() >= 17 { Ok(true) } else { Err("") }),
        ("sslmode=require ssl_min_protocol_version=TLSv1.3".to_owned(), Ok(true)),
    ] {
        match (try_dsn(&dsn(&more)), expect) {
            (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{more}"),
            (Err(found), Err(expect)) => assert!(found.contains(expect), "{more}: {found}"),
            (found, expect) => panic!("{more}: {found:?}, not {expect:?}"),
        }
    }
    // Another name for the same address: the authority is right and the name is not.
    let renamed = dsn(&format!("sslmode=verify-full sslrootcert={ca}")).replace("host=localhost", "host=db.example");
    assert!(try_dsn(&renamed).unwrap_err().contains("not valid for name"), "{:?}", try_dsn(&renamed));
    assert_eq!(try_dsn(&renamed.replace("verify-full", "verify-ca")), Ok(true));
    let by_address = dsn(&format!("sslmode=verify-full sslrootcert={ca}")).replace("host=localhost", "host=127.0.0.1");
    assert_eq!(try_dsn(&by_address), Ok(true));

    // SCRAM, bound to the channel where there is one.
    let secret = |more: &str| dsn(more).replace("user=postgres", "user=secret");
    assert_eq!(try_dsn(&secret("sslmode=require password='pass word' channel_binding=require")), Ok(true));
    assert_eq!(try_dsn(&secret("sslmode=disable password='pass word'")), Ok(false));
    let wrong = try_dsn(&secret("sslmode=require password=wrong")).unwrap_err();
    assert!(wrong.contains("password authentication failed") && wrong.contains("28P01"), "{wrong}");
    let passfile = directory.path().join("pgpass");
    fs::write(&passfile, format!("localhost:{}:*:secret:pass word\n", server.port())).unwrap();
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(try_dsn(&secret(&format!("sslmode=require passfile={}", passfile.display()))), Ok(true));
}

#[test]
fn certificates_without_alternative_names_and_self_signed_ones() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let only_tls = "local all all trust\nhostssl all all all trust\n";
    let only_plain = "local all all trust\nhostnossl all all all trust\n";
    for (certificate, root, hba) in
        [("common", "ca.crt", only_tls), ("own", "own.crt", only_tls), ("own", "own.crt", only_plain)]
    {
        let server = tls_server(directory.path(), certificate, hba);
        let root = directory.path().join(root).display().to_string();
        let dsn = |host: &str, more: &str| {
            format!("host={host} hostaddr=127.0.0.1 port={} user=postgres dbname=postgres {more}", server.port())
        };
        if hba == only_plain {
            assert_eq!(try_dsn(&dsn("localhost", "sslmode=prefer")), Ok(false), "refused with TLS, accepted without");
            assert!(try_dsn(&dsn("localhost", "sslmode=require")).is_err());
            continue;
        }
        let full = format!("sslmode=verify-full sslrootcert={root}");
        assert_eq!(try_dsn(&dsn("localhost", &full)), Ok(true), "{certificate}");
        assert!(try_dsn(&dsn("db.example", &full)).is_err(), "{certificate}");
        assert_eq!(try_dsn(&dsn("localhost", "sslmode=allow")), Ok(true), "plain refused, TLS taken");
        assert!(try_dsn(&dsn("localhost", "sslmode=disable")).unwrap_err().contains("28000"));
    }
}

#[test]
fn timeouts_are_in_force_on_every_major() {
    for major in majors_for("conn") {
        let server = Server::shared(major);
        let database = server.database();
        let client = database.connect();
        client.sql("CREATE TABLE t (id int)");
        client.sql(&format!("ALTER DATABASE \"{}\" SET statement_timeout = '4s'", database.name()));
        client.sql("BEGIN");
        client.sql("LOCK TABLE t");
        block_on(async {
            let wanted = Timeouts { lock: Duration::from_millis(150), ..Timeouts::default() };
            let session = Session::open(&settings(&database.conninfo()), "zdm test", wanted).await.unwrap();
            assert_eq!(session.major(), major);
            assert_eq!(session.timeouts().statement, Duration::from_secs(4), "a lower limit of the server stays");
            let error = session.client().batch_execute("SELECT * FROM t").await.unwrap_err();
            assert_eq!(classify(&error), FailureClass::LockNotAvailable);
            let error = session.client().batch_execute("SELECT pg_sleep(600)").await.unwrap_err();
            assert_eq!(classify(&error), FailureClass::QueryCanceled);
            let seen = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()";
            assert_eq!(session.simple_row(seen).await.unwrap(), ["zdm test"]);
            let pid = session.backend_pid;
            let other = Session::open(&settings(&database.conninfo()), "zdm test", wanted).await.unwrap();
            other.simple_row(&format!("SELECT pg_terminate_backend({pid})")).await.unwrap();
            let error = session.client().batch_execute("SELECT pg_sleep(3)").await.unwrap_err();
            assert_eq!(classify(&error), FailureClass::ConnectionLost);
            assert_eq!(detect_directly(&database.conninfo()).await, Pooling::Direct);
        });
    }
}

async fn detect_directly(dsn: &str) -> Pooling {
    let session = Session::open(&settings(dsn), "zdm test", Timeouts::default()).await.unwrap();
    detect(&session, &settings(dsn)).await.unwrap()
}

#[test]
fn hosts_are_tried_in_order() {
    let server = Server::newest();
    let socket = server.socket_dir().display().to_string();
    let dsn =
        format!("host=/nowhere,127.0.0.1,{socket} port=5432,1,5432 user=postgres dbname=postgres connect_timeout=60");
    assert_eq!(try_dsn(&dsn), Ok(false));
    let standby = format!("{dsn} target_session_attrs=read-write");
    assert_eq!(try_dsn(&standby), Ok(false));
    let error =
        block_on(Session::open(&settings("host=/nowhere user=postgres"), "x", Timeouts::default())).unwrap_err();
    assert!(error.is_transient() && matches!(error, SessionError::Connect(_)), "{error}");
    let error = try_dsn(&format!("host={socket} user=postgres dbname=missing")).unwrap_err();
    assert!(error.contains("3D000"), "{error}");
}

/// pgbouncer's session mode is as good as a direct connection; its transaction mode is found out.
#[test]
fn transaction_pooling_is_found_out() {
    let account = Account::current().unwrap();
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| Path::new(path).exists());
    let Some(program) = program else {
        zdm_testkit::skip::record("conn", "pgbouncer is not installed");
        return;
    };
    let server = Server::newest();
    for (mode, size, expect) in [
        ("session", 5, Pooling::Direct),
        ("transaction", 5, Pooling::PerTransaction),
        ("transaction", 1, Pooling::PerTransaction),
    ] {
        let directory = tempfile::tempdir_in(account.temporary()).unwrap();
        account.own(directory.path()).unwrap();
        let here = directory.path().display();
        let configuration = format!(
            "[databases]\n* = host={} port=5432 user=postgres\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {here}\n\
             listen_port = 6432\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = {size}\n\
             ignore_startup_parameters = extra_float_digits\nlogfile = {here}/log\n",
            server.socket_dir().display()
        );
        let file = directory.path().join("pgbouncer.ini");
        fs::write(&file, configuration).unwrap();
        account.own(&file).unwrap();
        let mut pooler =
            account.command(program).arg("-q").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let socket = directory.path().join(".s.PGSQL.6432");
        // The file is there before anybody listens on it.
        let deadline = Instant::now() + Duration::from_mins(3);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "pgbouncer does not listen on {}", socket.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        let dsn = format!("host={here} port=6432 user=postgres dbname=postgres");
        let found = block_on(detect_directly(&dsn));
        pooler.kill().unwrap();
        pooler.wait().unwrap();
        assert_eq!(found, expect, "{mode} mode, {size} connections");
    }
}
