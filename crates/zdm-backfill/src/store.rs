//! The job's tables: definition, cursor, counters, workers and bad rows, in the database that is filled.
//!
//! | table | a row is |
//! |---|---|
//! | `backfill_job` | a definition on a table, by name, with its state and limits |
//! | `backfill_part` | a table or partition of a job: how far its *frontier* is |
//! | `backfill_window` | a range behind the frontier that a worker holds or left unfinished; deleted when done |
//! | `backfill_worker` | a connected worker; alive while its session holds the advisory lock of its number |
//! | `backfill_bad_row` | a row that could not be filled, or that a verification found to differ |

use tokio_postgres::{GenericClient, Row};
use zdm_conn::{Doing as _, Ident, QualifiedName, Session, StatementError};

use crate::error::Error;
use crate::event::Progress;
use crate::plan::{PartPlan, Strategy};
use crate::throttle::Limits;

/// First key of the advisory locks of workers; "zdm" in ASCII.
const LOCK_CLASS: i32 = 0x007a_646d;

/// Schema of the job's tables unless the operator names another.
pub const DEFAULT_SCHEMA: &str = "zdm";

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Run,
    Verify,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Verify => "verify",
        }
    }
}

/// The life of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Workers may work; whether any do is told by `backfill_worker`.
    Running,
    Paused,
    Done,
    /// Through, with bad or deferred rows left.
    Incomplete,
    Cancelled,
    /// Ended by an error that needs the operator.
    Failed,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Incomplete => "incomplete",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Paused, Self::Done, Self::Incomplete, Self::Cancelled, Self::Failed]
            .into_iter()
            .find(|state| state.name() == name)
    }

    /// Whether a later `run` goes on where this one stands.
    pub fn is_resumable(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Failed)
    }
}

/// A row of `backfill_job`.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: i64,
    pub name: String,
    pub kind: Kind,
    /// The table as named by the operator, `schema.name`.
    pub table: QualifiedName,
    pub relation: u32,
    pub definition: String,
    pub state: State,
    /// Why it is paused, or failed.
    pub reason: Option<String>,
    pub round: i32,
    pub limits: Limits,
    pub limits_version: i32,
}

/// A row of `backfill_part`.
#[derive(Debug, Clone)]
pub struct Part {
    pub number: i32,
    pub relation: u32,
    pub name: QualifiedName,
    pub strategy: Strategy,
    pub passes: u16,
    pub filenode: u32,
    /// Where the frontier is: the last key passed, or the next page.
    pub cursor: Option<Vec<String>>,
    /// Where it ends: the greatest key at the start, or the number of pages. Nothing for an empty part.
    pub upper: Option<Vec<String>>,
    pub open: bool,
    pub rows_updated: i64,
    pub rows_scanned: i64,
}

/// A part of a job to be: its plan and where its frontier begins and ends.
#[derive(Debug, Clone)]
pub struct NewPart {
    pub plan: PartPlan,
    pub cursor: Option<Vec<String>>,
    pub upper: Option<Vec<String>>,
}

/// What a verification found in one range.
#[derive(Debug, Clone, Copy)]
pub struct Verified {
    pub scanned: i64,
    pub mismatches: i64,
    /// Whether the part's end is reached.
    pub last: bool,
}

/// A claimed range.
#[derive(Debug, Clone)]
pub struct Window {
    pub id: i64,
    pub part: i32,
    pub lower: Option<Vec<String>>,
    pub upper: Vec<String>,
}

/// A job as `status` shows it.
#[derive(Debug, Clone)]
pub struct JobStatus {
    pub job: Job,
    pub progress: Progress,
    /// Why its workers hold, in their own words.
    pub holding: Option<String>,
    pub created_at: String,
    pub finished_at: Option<String>,
}

/// A row of `backfill_bad_row`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    pub table: String,
    pub key: String,
    pub sqlstate: String,
    pub message: String,
}

/// Where the tables are.
#[derive(Debug, Clone)]
pub struct Store {
    schema: Ident,
}

impl Store {
    pub fn new(schema: Ident) -> Self {
        Self { schema }
    }

    pub fn schema(&self) -> &Ident {
        &self.schema
    }

    /// Makes what is missing.
    ///
    /// # Errors
    /// When the role may not create the schema or the tables.
    pub async fn ensure(&self, session: &mut Session) -> Result<(), Error> {
        if self.exists(session).await? {
            return Ok(());
        }
        let schema = &self.schema;
        let transaction = session.client_mut().transaction().await.doing("creating the job's tables")?;
        // Two first runs at once would otherwise meet in the catalog's unique indexes.
        transaction
            .execute("SELECT pg_catalog.pg_advisory_xact_lock($1, -1)", &[&LOCK_CLASS])
            .await
            .doing("creating the job's tables")?;
        let has_schema: bool = transaction
            .query_one("SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)", &[&schema.as_str()])
            .await
            .doing("creating the job's tables")?
            .get(0);
        let create_schema = if has_schema { String::new() } else { format!("CREATE SCHEMA {schema};") };
        let ddl = format!(
            "{create_schema}
             CREATE TABLE IF NOT EXISTS {schema}.backfill_job (
                 id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                 name text NOT NULL, kind text NOT NULL CHECK (kind IN ('run', 'verify')),
                 schema_name text NOT NULL, table_name text NOT NULL, relation oid NOT NULL,
                 definition text NOT NULL,
                 state text NOT NULL CHECK (state IN ('running', 'paused', 'done', 'incomplete', 'cancelled', 'failed')),
                 reason text, round int NOT NULL DEFAULT 1,
                 limits text[] NOT NULL, limits_version int NOT NULL DEFAULT 1,
                 created_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz,
                 UNIQUE (name, kind));
             CREATE TABLE IF NOT EXISTS {schema}.backfill_part (
                 job bigint NOT NULL REFERENCES {schema}.backfill_job ON DELETE CASCADE, number int NOT NULL,
                 relation oid NOT NULL, schema_name text NOT NULL, table_name text NOT NULL,
                 strategy text NOT NULL, passes int NOT NULL, filenode oid NOT NULL,
                 rows_estimate float8, cursor text[], upper text[], is_open boolean NOT NULL,
                 rows_updated bigint NOT NULL DEFAULT 0, rows_scanned bigint NOT NULL DEFAULT 0,
                 rows_deferred bigint NOT NULL DEFAULT 0, rows_updated_in_round bigint NOT NULL DEFAULT 0,
                 steps bigint NOT NULL DEFAULT 0, windows bigint NOT NULL DEFAULT 0,
                 PRIMARY KEY (job, number));
             CREATE TABLE IF NOT EXISTS {schema}.backfill_window (
                 id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                 job bigint NOT NULL REFERENCES {schema}.backfill_job ON DELETE CASCADE, part int NOT NULL,
                 lower text[], upper text[] NOT NULL, worker int,
                 rows_updated bigint NOT NULL DEFAULT 0, steps bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50);
             CREATE INDEX IF NOT EXISTS backfill_window_job ON {schema}.backfill_window (job);
             CREATE TABLE IF NOT EXISTS {schema}.backfill_worker (
                 number int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                 job bigint NOT NULL REFERENCES {schema}.backfill_job ON DELETE CASCADE,
                 backend_pid int NOT NULL, started_at timestamptz NOT NULL DEFAULT now(), holding text);
             CREATE TABLE IF NOT EXISTS {schema}.backfill_bad_row (
                 job bigint NOT NULL REFERENCES {schema}.backfill_job ON DELETE CASCADE, part int NOT NULL,
                 key text NOT NULL, sqlstate text NOT NULL, message text NOT NULL,
                 seen_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (job, part, key));"
        );
        let created = transaction.batch_execute(&ddl).await;
        if let Err(error) = created {
            return Err(match zdm_conn::classify(&error) {
                zdm_conn::FailureClass::Privilege => Error::Forbidden(format!(
                    "the job's tables cannot be created: {}; create the schema {schema} for this role, or name one it \
                     may write to with --state-schema",
                    zdm_conn::connect::describe(&error)
                )),
                _ => Error::Sql(StatementError { doing: "creating the job's tables", error }),
            });
        }
        transaction.commit().await.doing("creating the job's tables").map_err(Error::from)
    }

    /// Whether the tables are there.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn exists(&self, session: &Session) -> Result<bool, Error> {
        let row = session
            .client()
            .query_one(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n \
                 ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'backfill_bad_row')",
                &[&self.schema.as_str()],
            )
            .await
            .doing("looking for the job's tables")?;
        Ok(row.get(0))
    }

    const JOB_COLUMNS: &str = "j.id, j.name, j.kind, j.schema_name, j.table_name, j.relation, j.definition, j.state, \
                               j.reason, j.round, j.limits, j.limits_version";

    /// A job by its name.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub async fn find_job<C: GenericClient>(&self, client: &C, name: &str, kind: Kind) -> Result<Option<Job>, Error> {
        let sql = format!(
            "SELECT {} FROM {}.backfill_job AS j WHERE j.name = $1 AND j.kind = $2",
            Self::JOB_COLUMNS,
            self.schema
        );
        let row = client.query_opt(&sql, &[&name, &kind.name()]).await.doing("reading the job")?;
        row.as_ref().map(job_from).transpose()
    }

    /// A new job with its parts, in place of one of the same name. An unfinished one of the same definition is returned
    /// as it is, unless it is `forgotten`: another run has just created it.
    ///
    /// # Errors
    /// When the tables cannot be written.
    #[expect(clippy::too_many_arguments, reason = "one argument per column")]
    pub async fn create_job(
        &self,
        session: &mut Session,
        name: &str,
        kind: Kind,
        table: (&QualifiedName, u32),
        definition: &str,
        limits: &Limits,
        parts: &[NewPart],
        forgotten: Option<i64>,
    ) -> Result<Job, Error> {
        let schema = &self.schema;
        let doing = "creating the job";
        let transaction = session.client_mut().transaction().await.doing(doing)?;
        transaction.execute("SELECT pg_catalog.pg_advisory_xact_lock($1, -1)", &[&LOCK_CLASS]).await.doing(doing)?;
        if let Some(other) = self.find_job(&transaction, name, kind).await? {
            let joins = other.state.is_resumable() && other.definition == definition && kind == Kind::Run;
            if joins && forgotten != Some(other.id) {
                transaction.rollback().await.doing(doing)?;
                return Ok(other);
            }
            transaction
                .execute(&format!("DELETE FROM {schema}.backfill_job WHERE id = $1"), &[&other.id])
                .await
                .doing(doing)?;
        }
        let id: i64 = transaction
            .query_one(
                &format!(
                    "INSERT INTO {schema}.backfill_job (name, kind, schema_name, table_name, relation, definition, state, limits) \
                     VALUES ($1, $2, $3, $4, $5, $6, 'running', $7) RETURNING id"
                ),
                &[
                    &name,
                    &kind.name(),
                    &table.0.schema.as_str(),
                    &table.0.name.as_str(),
                    &table.1,
                    &definition,
                    &limits_to_text(limits),
                ],
            )
            .await
            .doing(doing)?
            .get(0);
        for (number, NewPart { plan: part, cursor, upper }) in parts.iter().enumerate() {
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            transaction
                .execute(
                    &format!(
                        "INSERT INTO {schema}.backfill_part (job, number, relation, schema_name, table_name, strategy, \
                         passes, filenode, rows_estimate, cursor, upper, is_open) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
                    ),
                    &[
                        &id,
                        &number,
                        &part.relation,
                        &part.name.schema.as_str(),
                        &part.name.name.as_str(),
                        &part.strategy.name(),
                        &i32::from(part.passes),
                        &part.filenode,
                        &part.rows,
                        cursor,
                        upper,
                        &upper.is_some(),
                    ],
                )
                .await
                .doing(doing)?;
        }
        transaction.commit().await.doing(doing)?;
        self.find_job(session.client(), name, kind)
            .await?
            .ok_or_else(|| Error::Forbidden(format!("the job `{name}` was deleted as it was created")))
    }

    /// The parts of a job in their order.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub async fn parts(&self, session: &Session, job: i64) -> Result<Vec<Part>, Error> {
        let sql = format!(
            "SELECT number, relation, schema_name, table_name, strategy, passes, filenode, cursor, upper, is_open, \
             rows_updated, rows_scanned FROM {}.backfill_part WHERE job = $1 ORDER BY number",
            self.schema
        );
        let rows = session.client().query(&sql, &[&job]).await.doing("reading the job's parts")?;
        rows.iter().map(part_from).collect()
    }

    /// Moves a job to another state.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn set_state(
        &self,
        session: &Session,
        job: i64,
        state: State,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let ended = !matches!(state, State::Running | State::Paused);
        let sql = format!(
            "UPDATE {}.backfill_job SET state = $2, reason = $3, finished_at = CASE WHEN $4 THEN now() END WHERE id = $1",
            self.schema
        );
        session
            .client()
            .execute(&sql, &[&job, &state.name(), &reason, &ended])
            .await
            .doing("changing the job's state")?;
        Ok(())
    }

    /// Replaces a job's limits; its workers see them with their next step.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn set_limits(&self, session: &Session, job: i64, limits: &Limits) -> Result<(), Error> {
        let sql = format!(
            "UPDATE {}.backfill_job SET limits = $2, limits_version = limits_version + 1 WHERE id = $1",
            self.schema
        );
        session.client().execute(&sql, &[&job, &limits_to_text(limits)]).await.doing("changing the job's limits")?;
        Ok(())
    }

    /// Registers a worker: its number is locked for as long as its session lives.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn register_worker(&self, session: &Session, job: i64) -> Result<i32, Error> {
        let schema = &self.schema;
        let doing = "registering the worker";
        let row = session
            .client()
            .query_one(
                &format!(
                    "WITH n AS (INSERT INTO {schema}.backfill_worker (job, backend_pid) VALUES ($1, pg_catalog.pg_backend_pid()) \
                     RETURNING number) SELECT number, pg_catalog.pg_try_advisory_lock($2, number) FROM n"
                ),
                &[&job, &LOCK_CLASS],
            )
            .await
            .doing(doing)?;
        if !row.get::<_, bool>(1) {
            return Err(Error::Forbidden("the worker's number is locked by another session".to_owned()));
        }
        session
            .client()
            .execute(
                &format!(
                    "DELETE FROM {schema}.backfill_worker AS w WHERE w.job = $1 AND NOT {}",
                    Self::alive("w.number")
                ),
                &[&job],
            )
            .await
            .doing(doing)?;
        Ok(row.get(0))
    }

    /// SQL: whether the worker of this number holds its lock.
    fn alive(number: &str) -> String {
        format!(
            "EXISTS (SELECT FROM pg_catalog.pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 \
             AND l.classid = {LOCK_CLASS}::oid AND l.objid = {number}::oid AND l.database = (SELECT d.oid FROM \
             pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))"
        )
    }

    /// Leaves: the worker's windows are free at once.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn unregister_worker(&self, session: &Session, worker: i32) -> Result<(), Error> {
        let schema = &self.schema;
        let sql = format!(
            "WITH w AS (DELETE FROM {schema}.backfill_worker WHERE number = $1 RETURNING number) \
             UPDATE {schema}.backfill_window SET worker = NULL WHERE worker = $1"
        );
        session.client().execute(&sql, &[&worker]).await.doing("leaving the job")?;
        Ok(())
    }

    /// A window that a dead or departed worker left behind.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn claim_abandoned(&self, session: &Session, job: i64, worker: i32) -> Result<Option<Window>, Error> {
        let schema = &self.schema;
        let sql = format!(
            "UPDATE {schema}.backfill_window SET worker = $2 WHERE id = (SELECT w.id FROM {schema}.backfill_window AS w \
             WHERE w.job = $1 AND w.worker IS DISTINCT FROM $2 AND (w.worker IS NULL OR NOT {}) \
             ORDER BY w.id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, part, lower, upper",
            Self::alive("w.worker")
        );
        let row = session.client().query_opt(&sql, &[&job, &worker]).await.doing("claiming a range")?;
        Ok(row.map(|row| Window { id: row.get(0), part: row.get(1), lower: row.get(2), upper: row.get(3) }))
    }

    /// The first part whose frontier has not reached its end, locked until the transaction ends.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub async fn lock_open_part<C: GenericClient>(&self, client: &C, job: i64) -> Result<Option<Part>, Error> {
        let sql = format!(
            "SELECT p.number, p.relation, p.schema_name, p.table_name, p.strategy, p.passes, p.filenode, p.cursor, p.upper, \
             p.is_open, p.rows_updated, p.rows_scanned FROM {0}.backfill_part AS p JOIN {0}.backfill_job AS j ON j.id = p.job \
             WHERE p.job = $1 AND p.is_open AND j.state = 'running' ORDER BY p.number LIMIT 1 FOR UPDATE OF p",
            self.schema
        );
        let row = client.query_opt(&sql, &[&job]).await.doing("claiming a range")?;
        row.as_ref().map(part_from).transpose()
    }

    /// Moves a part's frontier to `upper` and hands the range behind it to the worker.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn advance<C: GenericClient>(
        &self,
        client: &C,
        job: i64,
        worker: i32,
        part: &Part,
        upper: &[String],
        last: bool,
    ) -> Result<Window, Error> {
        let schema = &self.schema;
        let sql = format!(
            "WITH p AS (UPDATE {schema}.backfill_part SET cursor = $4, is_open = NOT $5, windows = windows + 1 \
                 WHERE job = $1 AND number = $3) \
             INSERT INTO {schema}.backfill_window (job, worker, part, lower, upper) VALUES ($1, $2, $3, $6, $4) RETURNING id"
        );
        let row = client
            .query_one(&sql, &[&job, &worker, &part.number, &upper, &last, &part.cursor])
            .await
            .doing("claiming a range")?;
        Ok(Window { id: row.get(0), part: part.number, lower: part.cursor.clone(), upper: upper.to_vec() })
    }

    /// A window is through. `false` when it is no longer this worker's.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn finish_window(
        &self,
        session: &Session,
        worker: i32,
        window: &Window,
        scanned: i64,
        deferred: i64,
    ) -> Result<bool, Error> {
        let schema = &self.schema;
        let sql = format!(
            "WITH w AS (DELETE FROM {schema}.backfill_window WHERE id = $1 AND worker = $2 \
                 RETURNING job, part, rows_updated, steps) \
             UPDATE {schema}.backfill_part AS p SET rows_updated = p.rows_updated + w.rows_updated, \
                 rows_updated_in_round = p.rows_updated_in_round + w.rows_updated, steps = p.steps + w.steps, \
                 rows_scanned = p.rows_scanned + $3, rows_deferred = p.rows_deferred + $4 \
             FROM w WHERE p.job = w.job AND p.number = w.part"
        );
        let changed = session
            .client()
            .execute(&sql, &[&window.id, &worker, &scanned, &deferred])
            .await
            .doing("finishing a range")?;
        Ok(changed == 1)
    }

    /// Marks a part as through, since its table is gone, and forgets its windows.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn close_part(&self, session: &Session, job: i64, part: i32) -> Result<(), Error> {
        let schema = &self.schema;
        let sql = format!(
            "WITH w AS (DELETE FROM {schema}.backfill_window WHERE job = $1 AND part = $2) \
             UPDATE {schema}.backfill_part SET is_open = false WHERE job = $1 AND number = $2"
        );
        session.client().execute(&sql, &[&job, &part]).await.doing("closing a part")?;
        Ok(())
    }

    /// Sends a part's frontier back to its start: its addresses have changed.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn restart_part(
        &self,
        session: &Session,
        job: i64,
        part: i32,
        filenode: u32,
        upper: Option<&[String]>,
    ) -> Result<(), Error> {
        let schema = &self.schema;
        let sql = format!(
            "WITH w AS (DELETE FROM {schema}.backfill_window WHERE job = $1 AND part = $2 RETURNING rows_updated) \
             UPDATE {schema}.backfill_part SET cursor = NULL, upper = $4, is_open = $4::text[] IS NOT NULL, filenode = $3, \
                 rows_updated = rows_updated + COALESCE((SELECT sum(rows_updated) FROM w), 0)::bigint, rows_scanned = 0 \
             WHERE job = $1 AND number = $2 AND filenode <> $3"
        );
        session.client().execute(&sql, &[&job, &part, &filenode, &upper]).await.doing("restarting a part")?;
        Ok(())
    }

    /// Called by a worker that found no range: begins the next round or ends the job, unless others still hold ranges.
    /// Returns the job's state after it, nothing when others work on.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn settle(&self, session: &mut Session, job: i64, most_rounds: i32) -> Result<Option<State>, Error> {
        let schema = &self.schema;
        let doing = "ending the job";
        let transaction = session.client_mut().transaction().await.doing(doing)?;
        let row = transaction
            .query_opt(&format!("SELECT state, round FROM {schema}.backfill_job WHERE id = $1 FOR UPDATE"), &[&job])
            .await
            .doing(doing)?
            .ok_or_else(|| Error::Forbidden("the job was deleted".to_owned()))?;
        let state = parse_state(&row.get::<_, String>(0))?;
        let round: i32 = row.get(1);
        if state != State::Running {
            transaction.commit().await.doing(doing)?;
            return Ok(Some(state));
        }
        let left: i64 = transaction
            .query_one(
                &format!(
                    "SELECT (SELECT count(*) FROM {schema}.backfill_window WHERE job = $1) + \
                     (SELECT count(*) FROM {schema}.backfill_part WHERE job = $1 AND is_open)"
                ),
                &[&job],
            )
            .await
            .doing(doing)?
            .get(0);
        if left > 0 {
            transaction.commit().await.doing(doing)?;
            return Ok(None);
        }
        // Rows can move to pages behind the frontier, and rows that stayed locked are still to be filled: such parts are
        // walked again, a bounded number of times. Ranges with nothing pending cost one read.
        let reopened = if round < most_rounds {
            transaction
                .execute(
                    &format!(
                        "UPDATE {schema}.backfill_part SET is_open = true, cursor = NULL, rows_deferred = 0, \
                         rows_updated_in_round = 0, rows_scanned = 0, \
                         upper = CASE WHEN strategy = 'tid' THEN ARRAY[(pg_catalog.pg_relation_size(relation) \
                             / pg_catalog.current_setting('block_size')::int8)::text] ELSE upper END \
                         WHERE job = $1 AND upper IS NOT NULL AND (rows_deferred > 0 OR strategy = 'tid' AND rows_updated_in_round > 0) \
                         AND EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = relation)"
                    ),
                    &[&job],
                )
                .await
                .doing(doing)?
        } else {
            0
        };
        if reopened > 0 {
            transaction
                .execute(&format!("UPDATE {schema}.backfill_job SET round = round + 1 WHERE id = $1"), &[&job])
                .await
                .doing(doing)?;
            transaction.commit().await.doing(doing)?;
            return Ok(None);
        }
        let row = transaction
            .query_one(
                &format!(
                    "UPDATE {schema}.backfill_job SET finished_at = now(), state = CASE WHEN \
                         EXISTS (SELECT FROM {schema}.backfill_bad_row WHERE job = $1) \
                         OR EXISTS (SELECT FROM {schema}.backfill_part WHERE job = $1 AND rows_deferred > 0) \
                         THEN 'incomplete' ELSE 'done' END WHERE id = $1 RETURNING state"
                ),
                &[&job],
            )
            .await
            .doing(doing)?;
        transaction.commit().await.doing(doing)?;
        parse_state(&row.get::<_, String>(0)).map(Some)
    }

    /// Remembers a row that cannot be filled, or that differs.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn add_bad_row(&self, session: &Session, job: i64, part: i32, row: &BadRow) -> Result<(), Error> {
        let sql = format!(
            "INSERT INTO {}.backfill_bad_row (job, part, key, sqlstate, message) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (job, part, key) DO UPDATE SET sqlstate = excluded.sqlstate, message = excluded.message, seen_at = now()",
            self.schema
        );
        session
            .client()
            .execute(&sql, &[&job, &part, &row.key, &row.sqlstate, &row.message])
            .await
            .doing("recording a bad row")?;
        Ok(())
    }

    /// The first bad rows of a job.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub async fn bad_rows(&self, session: &Session, job: i64, limit: i64) -> Result<Vec<BadRow>, Error> {
        let sql = format!(
            "SELECT p.schema_name || '.' || p.table_name, b.key, b.sqlstate, b.message FROM {0}.backfill_bad_row AS b \
             JOIN {0}.backfill_part AS p ON p.job = b.job AND p.number = b.part WHERE b.job = $1 ORDER BY b.part, b.key LIMIT $2",
            self.schema
        );
        let rows = session.client().query(&sql, &[&job, &limit]).await.doing("reading the bad rows")?;
        Ok(rows
            .iter()
            .map(|row| BadRow { table: row.get(0), key: row.get(1), sqlstate: row.get(2), message: row.get(3) })
            .collect())
    }

    /// Rows that stayed locked to the end.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub async fn deferred_rows(&self, session: &Session, job: i64) -> Result<u64, Error> {
        let sql =
            format!("SELECT COALESCE(sum(rows_deferred), 0)::bigint FROM {}.backfill_part WHERE job = $1", self.schema);
        let row = session.client().query_one(&sql, &[&job]).await.doing("reading the job's counters")?;
        Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
    }

    /// Counters of the whole job; the rate and what follows from it are the caller's.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub async fn progress(&self, session: &Session, job: i64) -> Result<Progress, Error> {
        let schema = &self.schema;
        // A range that is being filled counts with the rows that are updated, a part is whole when none of its is left.
        let sql = format!(
            "SELECT COALESCE(sum(p.rows_updated + w.rows_updated), 0)::bigint, \
             COALESCE(sum(p.rows_scanned), 0)::bigint, \
             COALESCE(sum(e.rows * CASE WHEN NOT p.is_open AND w.count = 0 THEN 1 \
                 WHEN p.strategy = 'tid' THEN LEAST((COALESCE(p.cursor[1]::float8, 0) - w.pages \
                     + LEAST(w.pages, w.rows_updated * p.upper[1]::float8 / e.rows)) / GREATEST(p.upper[1]::float8, 1), 0.999) \
                 ELSE LEAST((p.rows_scanned + w.rows_updated) / e.rows, 0.999) END) \
                 / NULLIF(sum(e.rows), 0), 0)::float8, \
             (SELECT count(*) FROM {schema}.backfill_worker AS k WHERE k.job = $1 AND {}), \
             (SELECT count(*) FROM {schema}.backfill_bad_row AS b WHERE b.job = $1) \
             FROM {schema}.backfill_part AS p \
                 CROSS JOIN LATERAL (SELECT GREATEST(p.rows_estimate, 1) AS rows) AS e \
                 CROSS JOIN LATERAL (SELECT count(*) AS count, COALESCE(sum(w.rows_updated), 0)::bigint AS rows_updated, \
                     COALESCE(sum(CASE WHEN p.strategy = 'tid' \
                         THEN w.upper[1]::float8 - COALESCE(w.lower[1]::float8, 0) END), 0) AS pages \
                     FROM {schema}.backfill_window AS w WHERE w.job = p.job AND w.part = p.number) AS w \
             WHERE p.job = $1",
            Self::alive("k.number")
        );
        let row = session.client().query_one(&sql, &[&job]).await.doing("reading the job's counters")?;
        let number = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
        Ok(Progress {
            rows_updated: number(0),
            rows_scanned: number(1),
            fraction: row.get(2),
            workers: u32::try_from(number(3)).unwrap_or(0),
            bad_rows: number(4),
            ..Progress::default()
        })
    }

    /// Tells others why this worker holds.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn set_holding(&self, session: &Session, workers: &[i32], holding: Option<&str>) -> Result<(), Error> {
        let sql = format!("UPDATE {}.backfill_worker SET holding = $2 WHERE number = ANY($1)", self.schema);
        session.client().execute(&sql, &[&workers, &holding]).await.doing("recording why the run holds")?;
        Ok(())
    }

    /// Every job, newest first.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub async fn statuses(&self, session: &Session, name: Option<&str>) -> Result<Vec<JobStatus>, Error> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT {}, j.created_at::text, j.finished_at::text, \
             (SELECT min(k.holding) FROM {schema}.backfill_worker AS k WHERE k.job = j.id AND {}), \
             extract(epoch FROM COALESCE(j.finished_at, now()) - j.created_at)::float8 \
             FROM {schema}.backfill_job AS j WHERE ($1::text IS NULL OR j.name = $1) ORDER BY j.id DESC",
            Self::JOB_COLUMNS,
            Self::alive("k.number")
        );
        let rows = session.client().query(&sql, &[&name]).await.doing("reading the jobs")?;
        let mut statuses = Vec::new();
        for row in &rows {
            let job = job_from(row)?;
            let mut progress = self.progress(session, job.id).await?;
            let seconds: f64 = row.get(15);
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let updated = progress.rows_updated as f64;
            progress.rate = if seconds > 0.0 { updated / seconds } else { 0.0 };
            if progress.workers > 0 && progress.fraction > 0.0 && progress.fraction < 1.0 {
                let left = seconds * (1.0 - progress.fraction) / progress.fraction;
                progress.time_left = std::time::Duration::try_from_secs_f64(left).ok();
            }
            statuses.push(JobStatus {
                job,
                progress,
                created_at: row.get(12),
                finished_at: row.get(13),
                holding: row.get(14),
            });
        }
        Ok(statuses)
    }

    /// Moves the frontier of a verification.
    ///
    /// # Errors
    /// When the tables cannot be written.
    pub async fn advance_verification(
        &self,
        session: &Session,
        job: i64,
        part: i32,
        cursor: &[String],
        found: Verified,
    ) -> Result<(), Error> {
        let sql = format!(
            "UPDATE {}.backfill_part SET cursor = $3, is_open = NOT $4, rows_scanned = rows_scanned + $5, \
             rows_updated = rows_updated + $6, windows = windows + 1 WHERE job = $1 AND number = $2",
            self.schema
        );
        session
            .client()
            .execute(&sql, &[&job, &part, &cursor, &found.last, &found.scanned, &found.mismatches])
            .await
            .doing("recording the verification")?;
        Ok(())
    }
}

fn parse_state(name: &str) -> Result<State, Error> {
    State::from_name(name).ok_or_else(|| Error::Forbidden(format!("the job has the unknown state `{name}`")))
}

fn limits_to_text(limits: &Limits) -> Vec<String> {
    limits.pairs().into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// Reads what was stored; a limit that this version does not know keeps its default.
fn limits_from_text(pairs: &[String]) -> Limits {
    let mut limits = Limits::default();
    for (name, value) in pairs.iter().filter_map(|pair| pair.split_once('=')) {
        // A newer version may know more limits than this one.
        let _ = limits.set(name, value);
    }
    limits
}

fn job_from(row: &Row) -> Result<Job, Error> {
    let limits: Vec<String> = row.get(10);
    Ok(Job {
        id: row.get(0),
        name: row.get(1),
        kind: if row.get::<_, &str>(2) == "verify" { Kind::Verify } else { Kind::Run },
        table: QualifiedName::new(Ident::new(row.get::<_, String>(3))?, Ident::new(row.get::<_, String>(4))?),
        relation: row.get(5),
        definition: row.get(6),
        state: parse_state(row.get(7))?,
        reason: row.get(8),
        round: row.get(9),
        limits: limits_from_text(&limits),
        limits_version: row.get(11),
    })
}

fn part_from(row: &Row) -> Result<Part, Error> {
    let strategy: String = row.get(4);
    Ok(Part {
        number: row.get(0),
        relation: row.get(1),
        name: QualifiedName::new(Ident::new(row.get::<_, String>(2))?, Ident::new(row.get::<_, String>(3))?),
        strategy: Strategy::from_name(&strategy)
            .ok_or_else(|| Error::Forbidden(format!("the job has the unknown strategy `{strategy}`")))?,
        passes: u16::try_from(row.get::<_, i32>(5)).unwrap_or(1),
        filenode: row.get(6),
        cursor: row.get(7),
        upper: row.get(8),
        open: row.get(9),
        rows_updated: row.get(10),
        rows_scanned: row.get(11),
    })
}
