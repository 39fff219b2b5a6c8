//! Installs and removes a mirror on a live database: short transactions under timeouts, tried again with backoff.

use std::time::{Duration, Instant};

use zdm_conn::{Backoff, Doing as _, Ident, Session, Settings, StatementError, Timeouts, classify};

use crate::error::Error;
use crate::inspect::{Difference, inspect};
use crate::live::{self, LiveTable, TableReference, installed_function, installed_triggers};
use crate::mirror::{Mirror, Planned, Request, TableName, plan};
use crate::names;

/// How to connect and how long to try.
#[derive(Debug, Clone)]
pub struct Patience {
    pub settings: Settings,
    pub timeouts: Timeouts,
    /// How long to try again without success before giving up.
    pub retry_for: Duration,
}

/// What an installation did.
#[derive(Debug, Clone)]
pub struct Installed {
    pub planned: Planned,
    /// What was missing or changed before; empty: nothing was to be done.
    pub repaired: Vec<Difference>,
    /// The statements that were executed, in one transaction.
    pub statements: Vec<String>,
}

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    pub table: TableName,
    pub name: Ident,
    /// Empty: nothing was there.
    pub statements: Vec<String>,
}

/// Told about each attempt that failed.
pub type Report<'a> = &'a mut (dyn FnMut(&Attempt) + Send);

/// An attempt that failed and will be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub number: u32,
    pub delay: Duration,
    pub message: String,
    /// Sessions that hold a lock on the table, the oldest transaction first.
    pub holders: Vec<String>,
}

/// The name with which the sessions appear in `pg_stat_activity`.
const APPLICATION: &str = "zdm mirror";

/// Installs a mirror, or puts right what is not as declared.
///
/// # Errors
/// When it is refused, when the lock is not to be had, or when the server fails; nothing has changed then.
pub async fn install(
    patience: &Patience,
    table: &TableReference,
    request: &Request,
    report: Report<'_>,
) -> Result<Installed, Error> {
    let mut retry = Retry::new(patience);
    loop {
        let mut session = retry.session(report).await?;
        let live = live::read(&session, table).await?;
        let mut planned = plan(request, &live.facts)?;
        planned.warnings.extend(the_wrong_way_round(&session, &live, &planned.mirror).await);
        let repaired = inspect(&mut session, &live, &planned.mirror).await?;
        let statements = install_statements(&session, &live, &planned.mirror, &repaired).await?;
        match execute(&mut session, &statements).await {
            Ok(()) => return Ok(Installed { planned, repaired, statements }),
            Err(error) => retry.after(&session, live.relation, error, report).await?,
        }
    }
}

/// Removes the mirror of these targets, and the shadow columns too if asked.
///
/// # Errors
/// As [`install`].
pub async fn remove(
    patience: &Patience,
    table: &TableReference,
    targets: &[String],
    drop_columns: bool,
    report: Report<'_>,
) -> Result<Removed, Error> {
    let mut retry = Retry::new(patience);
    loop {
        let mut session = retry.session(report).await?;
        let live = live::read(&session, table).await?;
        let name = &live.facts.name;
        let targets_text: Vec<&str> = targets.iter().map(String::as_str).collect();
        let object = names::object_name(name.name.as_str(), &targets_text);
        let installed = installed_triggers(&session, &live.tree, object.as_str()).await?;
        let mut statements = Vec::new();
        for part in &live.tree {
            // A partition's trigger goes with its parent's.
            if !part.partition && installed.contains_key(&part.relation) {
                statements.push(format!("DROP TRIGGER {object} ON {}", part.name));
            }
        }
        let schema = name.schema.as_ref().map_or("public", Ident::as_str);
        if installed_function(&session, schema, object.as_str()).await?.is_some() {
            statements.push(format!("DROP FUNCTION {}()", name.sibling(object.clone())));
        }
        if drop_columns {
            for target in targets.iter().filter(|target| live.facts.column(target).is_some()) {
                statements.push(format!("ALTER TABLE {name} DROP COLUMN {}", Ident::new(&**target)?));
            }
        }
        match execute(&mut session, &statements).await {
            Ok(()) => return Ok(Removed { table: name.clone(), name: object, statements }),
            Err(error) => retry.after(&session, live.relation, error, report).await?,
        }
    }
}

/// Rows that are looked at for the warning below.
const SAMPLE: u32 = 10_000;

/// A source without values beside a target that has some: they were probably named the wrong way round, and a backfill
/// would empty the target.
async fn the_wrong_way_round(session: &Session, live: &LiveTable, mirror: &Mirror) -> Vec<String> {
    let mut warnings = Vec::new();
    for pair in mirror.pairs.iter().filter(|pair| !pair.adds_column) {
        let (source, target, table) = (&pair.source, &pair.target, &live.facts.name);
        let sql = format!(
            "SELECT count(*), count(source), count(target) \
             FROM (SELECT {source} AS source, {target} AS target FROM {table} LIMIT {SAMPLE}) AS sample"
        );
        // Whoever may not read the table is not warned.
        let Ok(counts) = session.simple_row(&sql).await else { continue };
        if let [rows, source_values, target_values] = counts.as_slice()
            && source_values == "0"
            && target_values != "0"
        {
            warnings.push(format!(
                "`{}` is NULL in all of {rows} rows that were looked at, and `{}` is not in {target_values} of them: a \
                 backfill would empty it; are --source and --target the right way round?",
                source.as_str(),
                target.as_str()
            ));
        }
    }
    warnings
}

async fn install_statements(
    session: &Session,
    live: &LiveTable,
    mirror: &Mirror,
    differences: &[Difference],
) -> Result<Vec<String>, Error> {
    if differences.iter().all(|difference| matches!(difference, Difference::Unknown { .. })) {
        return Ok(Vec::new());
    }
    let name = mirror.object_name();
    let schema = live.facts.name.schema.as_ref().map_or("public", Ident::as_str);
    let function = installed_function(session, schema, name.as_str()).await?;
    if let Some(function) = &function
        && !function.body.contains("Written by zdm mirror")
    {
        return Err(Error::Forbidden(format!(
            "there is a function `{schema}.{}` that zdm has not written; rename it first",
            name.as_str()
        )));
    }
    let all = mirror.statements();
    let mut statements = all.add_columns;
    if differences
        .iter()
        .any(|difference| matches!(difference, Difference::MissingFunction { .. } | Difference::ChangedFunction { .. }))
    {
        statements.push(mirror.create_function(function.is_some()));
    }
    let installed = installed_triggers(session, &live.tree, name.as_str()).await?;
    for part in live.tree.iter().filter(|part| !part.partition) {
        let plain = part.name.plain();
        let concerns = |difference: &&Difference| {
            // A partition's trigger is made, changed and enabled through its parent.
            difference.table().is_some_and(|table| {
                table == plain || live.tree.iter().any(|other| other.partition && other.name.plain() == table)
            })
        };
        let mut remake = false;
        let mut enable = false;
        for difference in differences.iter().filter(concerns) {
            match difference {
                Difference::MissingTrigger { .. } | Difference::ChangedTrigger { .. } => remake = true,
                Difference::Disabled { .. } | Difference::Firing { .. } => enable = true,
                _ => {}
            }
        }
        if remake {
            // Replacing does not reach a partition that has lost its own.
            if installed.contains_key(&part.relation) {
                statements.push(format!("DROP TRIGGER {name} ON {}", part.name));
            }
            statements.push(mirror.create_trigger(&part.name, false));
        }
        if mirror.always && (remake || enable) {
            statements.push(format!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {name}", part.name));
        } else if enable && !remake {
            statements.push(format!("ALTER TABLE {} ENABLE TRIGGER {name}", part.name));
        }
    }
    Ok(statements)
}

async fn execute(session: &mut Session, statements: &[String]) -> Result<(), tokio_postgres::Error> {
    if statements.is_empty() {
        return Ok(());
    }
    let transaction = session.client_mut().transaction().await?;
    for statement in statements {
        transaction.batch_execute(statement).await?;
    }
    transaction.commit().await
}

/// Attempts and the time for them.
struct Retry<'a> {
    patience: &'a Patience,
    backoff: Backoff,
    until: Instant,
}

impl<'a> Retry<'a> {
    fn new(patience: &'a Patience) -> Self {
        Self {
            patience,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(10)),
            until: Instant::now() + patience.retry_for,
        }
    }

    async fn session(&mut self, report: Report<'_>) -> Result<Session, Error> {
        loop {
            match Session::open(&self.patience.settings, APPLICATION, self.patience.timeouts).await {
                Ok(session) => return Ok(session),
                Err(error) if error.is_transient() && self.backoff.attempts() > 0 => {
                    self.wait(error.to_string(), Vec::new(), report).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits where another attempt may succeed; else fails.
    async fn after(
        &mut self,
        session: &Session,
        relation: u32,
        error: tokio_postgres::Error,
        report: Report<'_>,
    ) -> Result<(), Error> {
        let class = classify(&error);
        if !class.is_transient() && !class.needs_reconnect() {
            return Err(Error::Sql(StatementError { doing: "changing the table", error }));
        }
        let holders =
            if class.is_transient() { holders(session, relation).await.unwrap_or_default() } else { Vec::new() };
        self.wait(zdm_conn::connect::describe(&error), holders, report).await
    }

    async fn wait(&mut self, message: String, holders: Vec<String>, report: Report<'_>) -> Result<(), Error> {
        let delay = self.backoff.next_delay();
        let number = self.backoff.attempts();
        if Instant::now() + delay >= self.until {
            let held = if holders.is_empty() { String::new() } else { format!("; {}", holders.join("; ")) };
            return Err(Error::GaveUp { attempts: number, message: format!("{message}{held}") });
        }
        report(&Attempt { number, delay, message, holders });
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

/// Who holds the table: `session 4711 (worker) holds it, its transaction is 12 s old`.
async fn holders(session: &Session, relation: u32) -> Result<Vec<String>, Error> {
    let rows = session
        .client()
        .query(
            "SELECT a.pid, a.application_name, \
             pg_catalog.round(EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start))::int8 \
             FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid \
             WHERE l.locktype = 'relation' AND l.relation = $1 AND l.granted AND l.mode <> 'AccessShareLock' \
             AND a.pid <> pg_catalog.pg_backend_pid() GROUP BY a.pid, a.application_name, a.xact_start \
             ORDER BY a.xact_start LIMIT 3",
            &[&relation],
        )
        .await
        .doing("looking for who holds the table")?;
    Ok(rows
        .iter()
        .map(|row| {
            let (pid, name, age): (i32, Option<String>, Option<i64>) = (row.get(0), row.get(1), row.get(2));
            let name = name.filter(|name| !name.is_empty()).map(|name| format!(" ({name})")).unwrap_or_default();
            format!("session {pid}{name} holds a lock on it, its transaction is {} s old", age.unwrap_or(0))
        })
        .collect())
}
