//! Installs, inspects and compares on a test database.

use std::future::Future;
use std::time::Duration;

use zdm_conn::{Environment, Session, Settings, Timeouts};
use zdm_mirror::inspect::{Difference, inspect};
use zdm_mirror::install::{self, Attempt, Installed, Patience, Removed};
use zdm_mirror::live::{self, TableReference};
use zdm_mirror::values::{self, Comparison};
use zdm_mirror::{Error, PairRequest, Request, plan};
use zdm_testkit::Database;

/// `source -> target`, of that type where one is given.
pub(crate) fn request(source: &str, target: &str, data_type: &str) -> Request {
    let pair = PairRequest {
        source: source.to_owned(),
        target: target.to_owned(),
        data_type: (!data_type.is_empty()).then(|| data_type.to_owned()),
        ..PairRequest::default()
    };
    Request { pairs: vec![pair], ..Request::default() }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(crate) fn settings(database: &Database) -> Settings {
    Settings::resolve(Some(&database.conninfo()), &Environment::default()).unwrap()
}

pub(crate) fn patience(database: &Database) -> Patience {
    Patience {
        settings: settings(database),
        timeouts: Timeouts { lock: Duration::from_millis(200), ..Timeouts::default() },
        retry_for: Duration::from_mins(3),
    }
}

pub(crate) fn reference(table: &str) -> TableReference {
    TableReference::Text(table.to_owned())
}

pub(crate) fn try_install(database: &Database, table: &str, request: &Request) -> Result<Installed, Error> {
    let mut report = |_: &Attempt| {};
    block_on(install::install(&patience(database), &reference(table), request, &mut report))
}

/// Installs, and finds it installed.
pub(crate) fn install(database: &Database, table: &str, request: &Request) -> Installed {
    let installed = try_install(database, table, request).unwrap_or_else(|error| panic!("{table}: {error}"));
    assert_eq!(differences(database, table, request), [], "{table}: {request:?}");
    let again = try_install(database, table, request).unwrap();
    assert_eq!(again.statements, Vec::<String>::new(), "{table}: a second installation does nothing");
    installed
}

pub(crate) fn remove(database: &Database, table: &str, targets: &[&str], drop_columns: bool) -> Removed {
    let targets: Vec<String> = targets.iter().map(|&target| target.to_owned()).collect();
    let mut report = |_: &Attempt| {};
    block_on(install::remove(&patience(database), &reference(table), &targets, drop_columns, &mut report)).unwrap()
}

pub(crate) fn differences(database: &Database, table: &str, request: &Request) -> Vec<Difference> {
    block_on(async {
        let mut session = Session::open(&settings(database), "test", Timeouts::default()).await.unwrap();
        let live = live::read(&session, &reference(table)).await.unwrap();
        let planned = plan(request, &live.facts).unwrap();
        inspect(&mut session, &live, &planned.mirror).await.unwrap()
    })
}

pub(crate) fn compare(database: &Database, table: &str, request: &Request) -> Comparison {
    block_on(async {
        let session = Session::open(&settings(database), "test", Timeouts::default()).await.unwrap();
        let live = live::read(&session, &reference(table)).await.unwrap();
        let planned = plan(request, &live.facts).unwrap();
        values::compare(&session, &live, &planned.mirror, 5).await.unwrap()
    })
}
