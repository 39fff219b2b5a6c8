//! From options to a job in the database: facts, plan, proof that the statements work, resume or begin.

use tokio_postgres::Row;
use zdm_conn::connect::describe;
use zdm_conn::{Doing as _, FailureClass, QualifiedName, Session, StatementError, classify};

use super::RunOptions;
use crate::catalog;
use crate::definition::Definition;
use crate::error::Error;
use crate::facts::TableFacts;
use crate::plan::{Choice, PartPlan, Plan, Strategy, plan, without_lower};
use crate::store::{Job, Kind, NewPart, State, Store};
use crate::tid::Tid;

/// A job that workers can begin with.
pub(super) struct Prepared {
    pub(super) job: Job,
    pub(super) resumed: bool,
    pub(super) plans: Vec<PartPlan>,
    pub(super) by_predicate: bool,
}

/// What a run would do.
#[derive(Debug)]
pub struct Preview {
    pub job: String,
    pub table: QualifiedName,
    pub plan: Plan,
    pub estimate: Vec<Estimate>,
    /// The state of the job of this name, when there is one.
    pub existing: Option<State>,
}

/// From a sample of a part.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Rows, by the statistics or by the sample.
    pub rows: f64,
    /// Share of rows that would be changed, 0 to 1; nothing when the part is empty or the expression fails in the sample.
    pub pending: Option<f64>,
}

/// The plan without any change to the database.
///
/// # Errors
/// As a run would fail before its first row.
pub async fn preview(options: &RunOptions) -> Result<Preview, Error> {
    let mut session = super::open(&options.settings, "zdm backfill", options.timeouts).await?;
    let store = Store::new(options.state_schema.clone());
    let has_tables = store.exists(&session).await?;
    let (table, definition) = what(&session, &store, options, has_tables).await?;
    let facts = catalog::table_facts(&mut session, &table, &definition).await?;
    let planned = plan(&definition, &facts, options.choice, &options.state_schema)?;
    prove_statements(&session, &planned).await?;
    let mut estimate = Vec::new();
    for part in &planned.parts {
        estimate.push(sample(&session, part).await?);
    }
    let job = options.job.clone().unwrap_or_else(|| default_name(&facts.name, &definition));
    let existing =
        if has_tables { store.find_job(session.client(), &job, Kind::Run).await?.map(|job| job.state) } else { None };
    Ok(Preview { job, table: facts.name, plan: planned, estimate, existing })
}

/// `schema.table.target+target`.
pub(crate) fn default_name(table: &QualifiedName, definition: &Definition) -> String {
    format!("{}.{}", table.plain(), definition.target_names())
}

async fn what(
    session: &Session,
    store: &Store,
    options: &RunOptions,
    has_tables: bool,
) -> Result<(String, Definition), Error> {
    table_and_definition(session, store, options.what.as_ref(), options.job.as_deref(), has_tables).await
}

/// As given, or as the job of this name has it.
pub(crate) async fn table_and_definition(
    session: &Session,
    store: &Store,
    given: Option<&(String, Definition)>,
    job: Option<&str>,
    has_tables: bool,
) -> Result<(String, Definition), Error> {
    if let Some((table, definition)) = given {
        return Ok((table.clone(), definition.clone()));
    }
    let name = job.ok_or_else(|| Error::Usage("name a table and what to set, or a job".to_owned()))?;
    let job = if has_tables { store.find_job(session.client(), name, Kind::Run).await? } else { None };
    let job = job.ok_or_else(|| Error::Usage(format!("there is no job `{name}`")))?;
    Ok((job.table.to_string(), Definition::from_text(&job.definition)?))
}

pub(super) async fn prepare(session: &mut Session, options: &RunOptions) -> Result<Prepared, Error> {
    let store = Store::new(options.state_schema.clone());
    store.ensure(session).await?;
    let (table, definition) = what(session, &store, options, true).await?;
    let facts = catalog::table_facts(session, &table, &definition).await?;
    let name = options.job.clone().unwrap_or_else(|| default_name(&facts.name, &definition));
    let text = definition.text();
    let existing = store.find_job(session.client(), &name, Kind::Run).await?;
    let forgotten = existing.as_ref().filter(|_| options.restart).map(|job| job.id);
    let resumable = existing.filter(|job| job.state.is_resumable() && !options.restart);
    let planned = plan(&definition, &facts, options.choice, &options.state_schema)?;
    prove_statements(session, &planned).await?;
    prove_convergence(session, &planned).await?;
    if let Some(job) = resumable {
        return resume(session, &store, options, job, &definition, &facts).await;
    }
    let mut parts = Vec::new();
    for part in &planned.parts {
        let upper = part_end(session, part).await?;
        let cursor = (part.strategy == Strategy::Tid).then(|| vec!["0".to_owned()]);
        parts.push(NewPart { plan: part.clone(), cursor, upper });
    }
    let target = (&facts.name, facts.relation);
    let job = store.create_job(session, &name, Kind::Run, target, &text, &options.limits, &parts, forgotten).await?;
    // Another run may have created it in the meantime, with parts of its own.
    adopt(session, &store, options, job, &definition, &facts, false).await
}

/// The greatest key, or the number of pages; nothing for an empty part.
pub(crate) async fn part_end(session: &Session, part: &PartPlan) -> Result<Option<Vec<String>>, Error> {
    if let Some(sql) = &part.sql.key_end {
        let row = session.client().query_opt(sql, &[]).await.doing("finding the greatest key")?;
        return Ok(row.map(|row| row.get(0)));
    }
    let physical = catalog::physical(session, part.relation).await?;
    Ok(physical.filter(|(pages, _)| *pages > 0).map(|(pages, _)| vec![pages.to_string()]))
}

async fn resume(
    session: &mut Session,
    store: &Store,
    options: &RunOptions,
    job: Job,
    definition: &Definition,
    facts: &TableFacts,
) -> Result<Prepared, Error> {
    if job.definition != definition.text() {
        return Err(Error::Forbidden(format!(
            "the unfinished job `{}` has another definition:\n{}give --restart to forget it, or another name with --job",
            job.name, job.definition
        )));
    }
    if job.relation != facts.relation {
        return Err(Error::Changed(format!(
            "`{}` is not the table that the unfinished job `{}` was begun on: it was dropped and created anew; give \
             --restart to begin again",
            facts.name.plain(),
            job.name
        )));
    }
    if options.limits_given {
        store.set_limits(session, job.id, &options.limits).await?;
    }
    if job.state == State::Failed {
        store.set_state(session, job.id, State::Running, None).await?;
    }
    adopt(session, store, options, job, definition, facts, true).await
}

/// Plans the parts as the job has them.
async fn adopt(
    session: &mut Session,
    store: &Store,
    options: &RunOptions,
    job: Job,
    definition: &Definition,
    facts: &TableFacts,
    resumed: bool,
) -> Result<Prepared, Error> {
    let parts = store.parts(session, job.id).await?;
    let mut plans = Vec::new();
    let mut by_predicate = false;
    for part in &parts {
        let Some(found) = facts.parts.iter().find(|found| found.relation == part.relation) else {
            // A partition that was dropped meanwhile takes its rows with it.
            store.close_part(session, job.id, part.number).await?;
            continue;
        };
        let one = TableFacts { parts: vec![found.clone()], ..facts.clone() };
        let choice = Choice { strategy: Some(part.strategy), passes: Some(part.passes) };
        let mut planned = plan(definition, &one, choice, &options.state_schema)?;
        by_predicate = planned.by_predicate;
        let free = plan(definition, &one, options.choice, &options.state_schema).ok();
        let because = free
            .and_then(|mut free| free.parts.pop())
            .filter(|free| free.strategy == part.strategy)
            .map_or_else(|| "as the job was begun".to_owned(), |free| free.because);
        plans.extend(planned.parts.pop().map(|planned| (part.number, PartPlan { because, ..planned })));
    }
    let mut by_number = Vec::new();
    for part in &parts {
        // A closed part keeps its place, so that part numbers index the plans.
        if let Some((_, plan)) = plans.iter().find(|(number, _)| *number == part.number) {
            by_number.push(plan.clone());
        } else if let Some((_, any)) = plans.first() {
            by_number.push(PartPlan { name: part.name.clone(), relation: part.relation, ..any.clone() });
        }
    }
    let job = store
        .find_job(session.client(), &job.name, Kind::Run)
        .await?
        .ok_or_else(|| Error::Forbidden("the job was deleted".to_owned()))?;
    Ok(Prepared { job, resumed, plans: by_number, by_predicate })
}

/// Lets the server plan every update: wrong expressions and missing privileges show before the first row.
async fn prove_statements(session: &Session, planned: &Plan) -> Result<(), Error> {
    for part in &planned.parts {
        let sql = format!("EXPLAIN {}", part.sql.shown_update);
        let none: Vec<Tid> = Vec::new();
        if let Err(error) = session.client().query(&sql, &[&none]).await {
            return Err(match classify(&error) {
                FailureClass::Privilege => Error::Forbidden(format!("{}: {}", part.name.plain(), describe(&error))),
                FailureClass::Schema | FailureClass::Row => {
                    Error::Usage(format!("{}: {}", part.name.plain(), describe(&error)))
                }
                _ => Error::Sql(StatementError { doing: "planning the update", error }),
            });
        }
    }
    Ok(())
}

/// Updates a few pending rows of each of the first parts and rolls back: a row that is still pending after its update
/// would be updated for ever, since a trigger sets another value or the expression reads its own target.
async fn prove_convergence(session: &mut Session, planned: &Plan) -> Result<(), Error> {
    const ROWS: usize = 20;
    const PAGES: u32 = 20;
    if planned.by_predicate {
        return Ok(());
    }
    for part in planned.parts.iter().take(3) {
        let transaction = session.client_mut().transaction().await.doing("trying the update")?;
        let collect = part.sql.collect_by_page();
        let Ok(row) = transaction.query_one(&collect, &[&Tid::start_of(0), &Tid::start_of(PAGES)]).await else {
            // Rows whose expression fails are found one by one later.
            continue;
        };
        let mut rows: Vec<Tid> = row.get::<_, Option<Vec<Tid>>>(0).unwrap_or_default();
        rows.truncate(ROWS);
        let sql = part.sql.update_and_look_again();
        let still: Result<Vec<Row>, _> = transaction.query(&sql, &[&rows]).await;
        let pending = match still {
            Ok(rows) => rows.iter().filter(|row| row.get::<_, Option<bool>>(0) == Some(true)).count(),
            // Locked rows and bad values are no proof of anything.
            Err(_) => continue,
        };
        transaction.rollback().await.doing("trying the update")?;
        if pending > 0 {
            return Err(Error::Forbidden(format!(
                "{}: {pending} of {} rows still differ after their update: a trigger sets another value, or the expression \
                 reads its own target",
                part.name.plain(),
                rows.len()
            )));
        }
    }
    Ok(())
}

/// How many rows there are and how many would be changed, from up to a hundred pages.
async fn sample(session: &Session, part: &PartPlan) -> Result<Estimate, Error> {
    const PAGES: f64 = 100.0;
    if part.pages == 0 {
        return Ok(Estimate { rows: 0.0, pending: None });
    }
    let percent = (PAGES * 100.0 / f64::from(part.pages)).clamp(0.000_1, 100.0);
    let sql = part.sql.sample(percent);
    let row = session.client().query_one(&sql, &[]).await;
    let (all, pending): (i64, i64) = match row {
        Ok(row) => (row.get(0), row.get(1)),
        Err(error) if classify(&error) == FailureClass::Row => {
            return Ok(Estimate { rows: part.rows.unwrap_or(part.density * f64::from(part.pages)), pending: None });
        }
        Err(error) => return Err(Error::Sql(StatementError { doing: "sampling the table", error })),
    };
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let (all, pending) = (all as f64, pending as f64);
    let rows = part.rows.unwrap_or(all * 100.0 / percent);
    Ok(Estimate { rows, pending: (all > 0.0).then(|| pending / all) })
}

/// The statement for a range, by whether it has a lower bound.
pub(crate) fn range_sql(sql: &str, lower: Option<&[String]>) -> String {
    if lower.is_some() { crate::plan::with_lower(sql) } else { without_lower(sql) }
}
