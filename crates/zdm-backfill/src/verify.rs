//! What is left, and whether all is right.
//!
//! [`check`] looks for one pending row, newest pages first, within a time; [`verify`] compares every row by value, in
//! windows, and can be interrupted and resumed. Both look at values and not at what a run believes to have done.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use zdm_conn::connect::describe;
use zdm_conn::{Doing as _, FailureClass, Ident, Session, Settings, StatementError, Timeouts, classify};

use crate::catalog;
use crate::definition::Definition;
use crate::driver::prepare::{default_name, part_end, range_sql, table_and_definition};
use crate::error::Error;
use crate::event::{Event, Progress};
use crate::plan::{Choice, PartPlan, Strategy, plan};
use crate::store::{BadRow, Job, Kind, NewPart, Part, State, Store, Verified};
use crate::throttle::Limits;
use crate::tid::Tid;

/// What to look at.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    pub settings: Settings,
    /// The table and what it should hold; nothing to take both from a job by its name.
    pub what: Option<(String, Definition)>,
    pub job: Option<String>,
    pub state_schema: Ident,
    pub timeouts: Timeouts,
    /// Begin again even if an unfinished verification could be resumed.
    pub restart: bool,
    /// Mismatches to remember and show.
    pub examples: i64,
}

/// What [`check`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    pub job: String,
    /// The job's state, when there is a job.
    pub state: Option<State>,
    pub bad_rows: u64,
    /// Table and key of a row that is pending.
    pub pending: Option<(String, String)>,
    /// The share of the pages that were looked at before a row was found or the time was over, 0 to 1.
    pub looked_at: f64,
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    pub job: String,
    pub resumed: bool,
    pub rows: u64,
    pub mismatches: u64,
    pub examples: Vec<BadRow>,
    /// A signal ended it before its end; it can be resumed.
    pub interrupted: bool,
}

/// Whether anything is left: the job's record first, then the pages, newest first, for at most `time`.
///
/// # Errors
/// When the table, the job or the server cannot be read.
pub async fn check(options: &VerifyOptions, time: Duration) -> Result<Check, Error> {
    let started = Instant::now();
    let mut session = crate::driver::open(&options.settings, "zdm backfill check", options.timeouts).await?;
    let store = Store::new(options.state_schema.clone());
    let has_tables = store.exists(&session).await?;
    let (table, definition) =
        table_and_definition(&session, &store, options.what.as_ref(), options.job.as_deref(), has_tables).await?;
    let facts = catalog::table_facts(&mut session, &table, &definition).await?;
    let planned = plan(&definition, &facts, Choice::default(), &options.state_schema)?;
    let name = options.job.clone().unwrap_or_else(|| default_name(&facts.name, &definition));
    let job = if has_tables { store.find_job(session.client(), &name, Kind::Run).await? } else { None };
    let bad_rows = match &job {
        Some(job) => store.progress(&session, job.id).await?.bad_rows,
        None => 0,
    };
    let total: u64 = planned.parts.iter().map(|part| u64::from(part.pages)).sum();
    let mut looked = 0_u64;
    let mut pending = None;
    'parts: for part in planned.parts.iter().rev() {
        let mut before = part.pages;
        let mut size = 256_u32;
        while before > 0 {
            if started.elapsed() > time {
                break 'parts;
            }
            let from = before.saturating_sub(size);
            let asked = Instant::now();
            match pending_row(&session, part, from, before).await {
                Ok(None) => {
                    looked += u64::from(before - from);
                    before = from;
                    if asked.elapsed() < Duration::from_millis(100) {
                        size = size.saturating_mul(2).min(65_536);
                    }
                }
                Ok(found) => {
                    pending = found;
                    break 'parts;
                }
                Err(error) if classify(&error) == FailureClass::QueryCanceled && size > 1 => size /= 2,
                Err(error) => return Err(Error::Sql(StatementError { doing: "looking for pending rows", error })),
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let looked_at = if total == 0 { 1.0 } else { looked as f64 / total as f64 };
    Ok(Check { job: name, state: job.map(|job| job.state), bad_rows, pending, looked_at })
}

async fn pending_row(
    session: &Session,
    part: &PartPlan,
    from: u32,
    before: u32,
) -> Result<Option<(String, String)>, tokio_postgres::Error> {
    let row = session
        .client()
        .query_opt(&part.sql.any_pending_by_page(), &[&Tid::start_of(from), &Tid::start_of(before)])
        .await;
    match row {
        Ok(row) => Ok(row.map(|row| (part.name.plain(), row.get::<_, Option<String>>(0).unwrap_or_default()))),
        // A row for which the expression fails cannot have been filled.
        Err(error) if classify(&error) == FailureClass::Row => Ok(Some((part.name.plain(), describe(&error)))),
        Err(error) => Err(error),
    }
}

/// Compares every row by value.
///
/// # Errors
/// When the table, the job or the server cannot be read, or the verification's progress cannot be written.
pub async fn verify(
    options: &VerifyOptions,
    events: &mpsc::UnboundedSender<Event>,
    stop: &watch::Receiver<bool>,
) -> Result<Verification, Error> {
    let mut session = crate::driver::open(&options.settings, "zdm backfill verify", options.timeouts).await?;
    let store = Store::new(options.state_schema.clone());
    store.ensure(&mut session).await?;
    let (table, definition) =
        table_and_definition(&session, &store, options.what.as_ref(), options.job.as_deref(), true).await?;
    let facts = catalog::table_facts(&mut session, &table, &definition).await?;
    let planned = plan(&definition, &facts, Choice::default(), &options.state_schema)?;
    let name = options.job.clone().unwrap_or_else(|| default_name(&facts.name, &definition));
    let text = definition.text();
    let unfinished = store.find_job(session.client(), &name, Kind::Verify).await?.filter(|job| {
        job.state.is_resumable() && job.definition == text && job.relation == facts.relation && !options.restart
    });
    let resumed = unfinished.is_some();
    let job = if let Some(job) = unfinished {
        job
    } else {
        let mut parts = Vec::new();
        for part in &planned.parts {
            let upper = part_end(&session, part).await?;
            let cursor = (part.strategy == Strategy::Tid).then(|| vec!["0".to_owned()]);
            parts.push(NewPart { plan: part.clone(), cursor, upper });
        }
        let target = (&facts.name, facts.relation);
        store.create_job(&mut session, &name, Kind::Verify, target, &text, &Limits::default(), &parts, None).await?
    };
    let mut walk = Walk { session, store, job, options, events, rows: 20_000 };
    let mut interrupted = false;
    for part in walk.store.parts(&walk.session, walk.job.id).await? {
        let Some(found) = facts.parts.iter().find(|found| found.relation == part.relation) else { continue };
        let one = crate::facts::TableFacts { parts: vec![found.clone()], ..facts.clone() };
        let choice = Choice { strategy: Some(part.strategy), passes: Some(part.passes) };
        let part_plans = plan(&definition, &one, choice, &options.state_schema)?.parts;
        for part_plan in &part_plans {
            interrupted |= walk.part(part_plan, part.clone(), stop).await?;
        }
        if interrupted {
            break;
        }
    }
    walk.finish(name, resumed, interrupted).await
}

/// A verification under way.
struct Walk<'a> {
    session: Session,
    store: Store,
    job: Job,
    options: &'a VerifyOptions,
    events: &'a mpsc::UnboundedSender<Event>,
    /// Rows of the next window.
    rows: usize,
}

/// Windows are read for about so long.
const WINDOW_TIME: Duration = Duration::from_millis(200);
const MOST_ROWS: usize = 1_000_000;
/// Where the expression fails, windows shrink to this before rows are looked at one by one.
const FEW_ROWS: usize = 100;

impl Walk<'_> {
    /// `true` when it was interrupted.
    async fn part(&mut self, plan: &PartPlan, part: Part, stop: &watch::Receiver<bool>) -> Result<bool, Error> {
        let mut cursor = part.cursor.clone();
        let mut open = part.open;
        let end = part.upper.clone().unwrap_or_default();
        while open {
            if *stop.borrow() {
                return Ok(true);
            }
            let started = Instant::now();
            let (upper, last) = match self.bound(plan, cursor.as_ref(), &end).await {
                Err(error) if classify(&error) == FailureClass::QueryCanceled && self.rows > 1 => {
                    self.rows /= 2;
                    continue;
                }
                other => other.doing("finding a range")?,
            };
            let (scanned, mismatches) = match self.compare(plan, &part, cursor.as_ref(), &upper).await {
                Err(Error::Sql(StatementError { error, .. })) => match classify(&error) {
                    FailureClass::QueryCanceled if self.rows > 1 => {
                        self.rows /= 2;
                        continue;
                    }
                    FailureClass::Row if self.rows > FEW_ROWS => {
                        self.rows = (self.rows / 8).max(FEW_ROWS);
                        continue;
                    }
                    FailureClass::Row => self.one_by_one(plan, &part, cursor.as_ref(), &upper).await?,
                    _ => return Err(Error::Sql(StatementError { doing: "comparing rows", error })),
                },
                other => other?,
            };
            let found = Verified { scanned, mismatches, last };
            self.store.advance_verification(&self.session, self.job.id, part.number, &upper, found).await?;
            cursor = Some(upper);
            open = !last;
            let elapsed = started.elapsed();
            if elapsed < WINDOW_TIME / 2 {
                self.rows = (self.rows * 2).min(MOST_ROWS);
            } else if elapsed > WINDOW_TIME * 2 {
                self.rows = (self.rows / 2).max(1);
            }
            self.report().await?;
        }
        Ok(false)
    }

    async fn report(&self) -> Result<(), Error> {
        let progress: Progress = self.store.progress(&self.session, self.job.id).await?;
        // Nobody may be listening: the verification does not depend on it.
        drop(self.events.send(Event::Progress(progress)));
        Ok(())
    }

    async fn bound(
        &self,
        plan: &PartPlan,
        cursor: Option<&Vec<String>>,
        end: &[String],
    ) -> Result<(Vec<String>, bool), tokio_postgres::Error> {
        let upper = if let Some(sql) = &plan.sql.key_bound {
            let sql = range_sql(sql, cursor.map(Vec::as_slice));
            let skip = i64::try_from(self.rows.saturating_sub(1)).unwrap_or(i64::MAX);
            let row = self.session.client().query_opt(&sql, &[&cursor, &end, &skip]).await?;
            row.map_or_else(|| end.to_vec(), |row| row.get(0))
        } else {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "bounded by the rows of a window"
            )]
            let pages = ((self.rows as f64 / plan.density) as u32).max(1);
            vec![page(cursor).saturating_add(pages).min(page(Some(&end.to_vec()))).to_string()]
        };
        let last = upper == end;
        Ok((upper, last))
    }

    /// Rows of a range and how many of them differ; the first are remembered.
    async fn compare(
        &self,
        plan: &PartPlan,
        part: &Part,
        lower: Option<&Vec<String>>,
        upper: &Vec<String>,
    ) -> Result<(i64, i64), Error> {
        let doing = "comparing rows";
        let client = self.session.client();
        let examples = i32::try_from(self.options.examples).unwrap_or(i32::MAX);
        let (counted, row) = if plan.strategy == Strategy::Tid {
            let (from, before) = (Tid::start_of(page(lower)), Tid::start_of(page(Some(upper))));
            let counted = client.query_one(&plan.sql.count, &[&from, &before]).await.doing(doing)?;
            (counted, client.query_one(&plan.sql.mismatches, &[&from, &before, &examples]).await.doing(doing)?)
        } else {
            let lower_slice = lower.map(Vec::as_slice);
            let count = range_sql(&plan.sql.count, lower_slice);
            let counted = client.query_one(&count, &[&lower, &upper]).await.doing(doing)?;
            let sql = range_sql(&plan.sql.mismatches, lower_slice);
            (counted, client.query_one(&sql, &[&lower, &upper, &examples]).await.doing(doing)?)
        };
        let keys: Vec<String> = row.get(1);
        for key in keys {
            self.remember(part, key, "", "differs").await?;
        }
        Ok((counted.get(0), row.get(0)))
    }

    /// A range on some row of which the expression fails.
    async fn one_by_one(
        &self,
        plan: &PartPlan,
        part: &Part,
        lower: Option<&Vec<String>>,
        upper: &Vec<String>,
    ) -> Result<(i64, i64), Error> {
        let doing = "comparing rows one by one";
        let client = self.session.client();
        let rows = if plan.strategy == Strategy::Tid {
            let (from, before) = (Tid::start_of(page(lower)), Tid::start_of(page(Some(upper))));
            client.query(&plan.sql.collect_all, &[&from, &before]).await.doing(doing)?
        } else {
            let sql = range_sql(&plan.sql.collect_all, lower.map(Vec::as_slice));
            client.query(&sql, &[&lower, &upper]).await.doing(doing)?
        };
        let rows: Vec<Tid> = rows.iter().map(|row| row.get(0)).collect();
        let mut mismatches = 0;
        for tid in &rows {
            let (sqlstate, message) = match client.query_opt(&plan.sql.row_pending, &[tid]).await {
                Ok(Some(row)) if row.get::<_, Option<bool>>(0) == Some(true) => (String::new(), "differs".to_owned()),
                Ok(_) => continue,
                Err(error) if classify(&error) == FailureClass::Row => {
                    let code = error.code().map(|state| state.code().to_owned()).unwrap_or_default();
                    (code, error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned()))
                }
                Err(error) => return Err(Error::Sql(StatementError { doing, error })),
            };
            mismatches += 1;
            let key = client.query_opt(&plan.sql.row_key, &[tid]).await.doing(doing)?;
            let key = key.and_then(|row| row.get::<_, Option<String>>(0)).unwrap_or_default();
            self.remember(part, key, &sqlstate, &message).await?;
        }
        Ok((i64::try_from(rows.len()).unwrap_or(i64::MAX), mismatches))
    }

    async fn remember(&self, part: &Part, key: String, sqlstate: &str, message: &str) -> Result<(), Error> {
        let known = self.store.progress(&self.session, self.job.id).await?.bad_rows;
        if i64::try_from(known).unwrap_or(i64::MAX) >= self.options.examples {
            return Ok(());
        }
        let row = BadRow { table: part.name.plain(), key, sqlstate: sqlstate.to_owned(), message: message.to_owned() };
        self.store.add_bad_row(&self.session, self.job.id, part.number, &row).await
    }

    async fn finish(self, name: String, resumed: bool, interrupted: bool) -> Result<Verification, Error> {
        let progress = self.store.progress(&self.session, self.job.id).await?;
        if !interrupted {
            let state = if progress.rows_updated == 0 { State::Done } else { State::Incomplete };
            self.store.set_state(&self.session, self.job.id, state, None).await?;
        }
        Ok(Verification {
            job: name,
            resumed,
            rows: progress.rows_scanned,
            // A verification counts what it finds where a run counts what it updates.
            mismatches: progress.rows_updated,
            examples: self.store.bad_rows(&self.session, self.job.id, self.options.examples).await?,
            interrupted,
        })
    }
}

/// The page number in a bound; the start without one.
fn page(bound: Option<&Vec<String>>) -> u32 {
    bound.and_then(|bound| bound.first()).and_then(|text| text.parse().ok()).unwrap_or(0)
}
