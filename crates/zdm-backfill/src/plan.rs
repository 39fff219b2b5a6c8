//! From facts to a plan: which strategy for each part, and every statement that the run will send.
//!
//! Nothing here talks to a server: the same facts give the same plan.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use thiserror::Error;
use zdm_conn::{Ident, NameError, QualifiedName};

use crate::definition::Definition;
use crate::facts::{ColumnFacts, Comparison, KeyFacts, PartFacts, TableFacts};
use crate::tid::Tid;

/// How a part is walked and updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Ranges of the key, each updated in sub-passes, so that most updates are HOT.
    Windows,
    /// Ranges of the key, each row updated as it comes: no update can be HOT.
    Keyset,
    /// Ranges of pages: needs no key, and suits keys whose order is not the physical one.
    Tid,
}

impl Strategy {
    pub fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Keyset => "keyset",
            Self::Tid => "tid",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Windows, Self::Keyset, Self::Tid].into_iter().find(|strategy| strategy.name() == name)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the operator forces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choice {
    pub strategy: Option<Strategy>,
    pub passes: Option<u16>,
}

/// Why nothing can be planned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("column `{0}` is generated: its value cannot be set")]
    Generated(String),
    #[error("column `{0}` is GENERATED ALWAYS AS IDENTITY: its value cannot be set")]
    IdentityAlways(String),
    #[error("column `{0}` is part of the partition key: filling it would move rows between partitions")]
    PartitionKey(String),
    #[error("`{0}` is a foreign table below the table: it cannot be filled from here")]
    Foreign(String),
    #[error("strategy `{strategy}` needs a primary key, or a unique index on columns that are not null, on `{table}`")]
    NoKey { strategy: Strategy, table: String },
    #[error(
        "{} gives another value at each call, so a comparison cannot tell which rows are done; restrict the rows with \
         `--where \"{target} IS NULL\"`", functions.join(", ")
    )]
    Unrepeatable { functions: Vec<String>, target: String },
    #[error(transparent)]
    Name(#[from] NameError),
}

/// The whole plan.
#[derive(Debug, Clone)]
pub struct Plan {
    pub parts: Vec<PartPlan>,
    /// Whether pending rows are told by the operator's predicate alone, since the expression has no stable value.
    pub by_predicate: bool,
}

/// A part's plan.
#[derive(Debug, Clone)]
pub struct PartPlan {
    pub name: QualifiedName,
    pub relation: u32,
    pub filenode: u32,
    pub strategy: Strategy,
    /// Why this strategy, for the operator.
    pub because: String,
    /// Sub-passes per window; 1 means none.
    pub passes: u16,
    pub density: f64,
    pub rows: Option<f64>,
    pub pages: u32,
    pub sql: PartSql,
}

/// Every statement about one part.
///
/// Parameters of a range: for keys `$1` the lower (exclusive, may be NULL) and `$2` the upper bound (inclusive) as text
/// arrays; for pages `$1` the first address and `$2` the first one after.
#[derive(Debug, Clone)]
pub struct PartSql {
    /// Range → addresses of pending rows.
    pub collect: String,
    /// Range → addresses of all rows: for ranges in which the predicate itself fails.
    pub collect_all: String,
    /// `$1` addresses, `$2` window, `$3` worker → rows updated, the job's state, bytes of WAL that the server has logged
    /// so far, seconds that it took; the window's counters are changed in the same statement.
    pub update: String,
    /// The same, leaving out rows that others have locked.
    pub update_unlocked: String,
    /// `$1` from, `$2` before → visits the pages, which prunes them; their rows, seconds that it took.
    pub prune: String,
    /// `$1` cursor (may be NULL), `$2` end, `$3` rows to skip → the key that ends the next window.
    pub key_bound: Option<String>,
    /// → the greatest key.
    pub key_end: Option<String>,
    /// `$1` address → the row's key, or its address.
    pub row_key: String,
    /// `$1` address → whether the row is pending; fails where the expression fails.
    pub row_pending: String,
    /// Range → number of rows that differ, and up to `$3` keys of them.
    pub mismatches: String,
    /// Range → number of rows.
    pub count: String,
    /// Addresses in `$1` → the update alone, for showing and for checking privileges.
    pub shown_update: String,
    /// `ONLY schema.part AS table`.
    from: String,
    pending: String,
    alias: Ident,
    /// The row's key as text, or its address.
    key_text: String,
}

impl PartSql {
    /// `$1` from, `$2` before → array of addresses of pending rows, whatever the strategy.
    pub fn collect_by_page(&self) -> String {
        let Self { from, pending, alias, .. } = self;
        format!(
            "SELECT pg_catalog.array_agg({alias}.ctid) FROM {from} WHERE {alias}.ctid >= $1::tid AND {alias}.ctid < $2::tid \
             AND {pending}"
        )
    }

    /// Addresses in `$1` → for each row updated, whether it is still pending after it.
    pub fn update_and_look_again(&self) -> String {
        format!("{} RETURNING {}", self.shown_update, self.pending)
    }

    /// → rows in a sample of this many per cent of the pages, and how many of them are pending.
    pub fn sample(&self, percent: f64) -> String {
        let Self { from, pending, .. } = self;
        format!("SELECT count(*), count(*) FILTER (WHERE {pending}) FROM {from} TABLESAMPLE SYSTEM ({percent:.4})")
    }

    /// `$1` from, `$2` before → the key of one pending row, if there is one.
    pub fn any_pending_by_page(&self) -> String {
        let Self { from, pending, alias, key_text, .. } = self;
        format!(
            "SELECT {key_text} FROM {from} WHERE {alias}.ctid >= $1::tid AND {alias}.ctid < $2::tid AND {pending} LIMIT 1"
        )
    }
}

/// A strategy for every part, and its statements. `state_schema` is where the job's tables are.
///
/// # Errors
/// When the table, the columns or the expressions cannot be filled safely.
pub fn plan(
    definition: &Definition,
    facts: &TableFacts,
    choice: Choice,
    state_schema: &Ident,
) -> Result<Plan, Refusal> {
    for column in &facts.targets {
        if column.generated {
            return Err(Refusal::Generated(column.name.clone()));
        }
        if column.identity_always {
            return Err(Refusal::IdentityAlways(column.name.clone()));
        }
        if column.in_partition_key {
            return Err(Refusal::PartitionKey(column.name.clone()));
        }
    }
    if let Some(foreign) = facts.foreign.first() {
        return Err(Refusal::Foreign(foreign.plain()));
    }
    let by_predicate = facts.unrepeatable.as_ref().is_some_and(|functions| !functions.is_empty());
    if by_predicate && definition.predicate.is_none() {
        return Err(Refusal::Unrepeatable {
            functions: facts.unrepeatable.clone().unwrap_or_default(),
            target: facts.targets.first().map(|column| column.name.clone()).unwrap_or_default(),
        });
    }
    let parts = facts
        .parts
        .iter()
        .map(|part| plan_part(definition, facts, part, choice, state_schema, by_predicate))
        .collect::<Result<_, _>>()?;
    Ok(Plan { parts, by_predicate })
}

fn plan_part(
    definition: &Definition,
    facts: &TableFacts,
    part: &PartFacts,
    choice: Choice,
    state_schema: &Ident,
    by_predicate: bool,
) -> Result<PartPlan, Refusal> {
    let (strategy, because) = choose(part, choice.strategy)?;
    let passes = match strategy {
        Strategy::Keyset => 1,
        // With indexes on the targets no update is HOT, whatever the order.
        _ if choice.passes.is_none() && !part.indexes_on_targets.is_empty() => 1,
        _ => choice.passes.unwrap_or_else(|| default_passes(part.density())),
    };
    let sql = part_sql(definition, facts, part, strategy, state_schema, by_predicate)?;
    Ok(PartPlan {
        name: part.name.clone(),
        relation: part.relation,
        filenode: part.filenode,
        strategy,
        because,
        passes: passes.max(1),
        density: part.density(),
        rows: part.rows,
        pages: part.pages,
        sql,
    })
}

/// The order of a key must follow the pages closely for its ranges to be ranges of pages.
const FOLLOWS_PAGES: f64 = 0.9;

fn choose(part: &PartFacts, forced: Option<Strategy>) -> Result<(Strategy, String), Refusal> {
    let Some(strategy) = forced else {
        return Ok(choose_freely(part));
    };
    if part.key.is_none() && strategy != Strategy::Tid {
        return Err(Refusal::NoKey { strategy, table: part.name.plain() });
    }
    Ok((strategy, "forced".to_owned()))
}

fn choose_freely(part: &PartFacts) -> (Strategy, String) {
    let Some(key) = &part.key else {
        return (Strategy::Tid, "no primary key and no unique index on columns that are not null".to_owned());
    };
    let names = key.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    if !part.indexes_on_targets.is_empty() {
        let indexes = part.indexes_on_targets.join(", ");
        return (Strategy::Keyset, format!("the target is in {indexes}, so no update can be HOT"));
    }
    match key_order(key) {
        KeyOrder::Follows => (Strategy::Windows, format!("the target is in no index, and ({names}) follows the pages")),
        KeyOrder::Scattered(correlation) => {
            (Strategy::Tid, format!("the order of ({names}) is not that of the pages (correlation {correlation:.2})"))
        }
        KeyOrder::Unknown => {
            (Strategy::Tid, format!("whether ({names}) follows the pages is not known: no statistics"))
        }
    }
}

enum KeyOrder {
    Follows,
    Scattered(f64),
    Unknown,
}

fn key_order(key: &KeyFacts) -> KeyOrder {
    match key.correlation {
        Some(correlation) if correlation >= FOLLOWS_PAGES => KeyOrder::Follows,
        Some(correlation) => KeyOrder::Scattered(correlation),
        // A sequence hands its numbers out in the order of insertion.
        None if key.integer => KeyOrder::Follows,
        None => KeyOrder::Unknown,
    }
}

/// Evaluated when a statement's work is done: seconds since it came.
const TOOK: &str = "EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp())::float8";

/// A twelfth of a page's rows per pass; all passes together move about as many rows to other pages. More passes move
/// fewer and visit each page once more: around twelve, both cost the same (measured with four indexes).
fn default_passes(density: f64) -> u16 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 2 … 12")]
    let passes = density.clamp(2.0, 12.0) as u16;
    passes
}

fn part_sql(
    definition: &Definition,
    facts: &TableFacts,
    part: &PartFacts,
    strategy: Strategy,
    state_schema: &Ident,
    by_predicate: bool,
) -> Result<PartSql, Refusal> {
    let table = &part.name;
    // Expressions may name the table, and must mean the part.
    let alias = &facts.name.name;
    let from = format!("ONLY {table} AS {alias}");
    let pending = pending_predicate(definition, &facts.targets, by_predicate)?;
    let set = definition
        .assignments
        .iter()
        .map(|assignment| format!("{} = {}", assignment.target, assignment.expression))
        .collect::<Vec<_>>()
        .join(", ");
    let key = part.key.as_ref().filter(|_| strategy != Strategy::Tid);
    let range = match key {
        Some(key) => key_range(alias, key)?,
        None => format!("{alias}.ctid >= $1::tid AND {alias}.ctid < $2::tid"),
    };
    let key_text = match &part.key {
        Some(key) => {
            let columns = key
                .columns
                .iter()
                .map(|column| Ok(format!("{alias}.{}::text", Ident::new(&*column.name)?)))
                .collect::<Result<Vec<_>, NameError>>()?;
            format!("pg_catalog.concat_ws(', ', {})", columns.join(", "))
        }
        None => format!("{alias}.ctid::text"),
    };
    let windows = format!("{state_schema}.\"backfill_window\"");
    let jobs = format!("{state_schema}.\"backfill_job\"");
    let count = format!(
        "UPDATE {windows} AS w SET rows_updated = w.rows_updated + (SELECT count(*) FROM u), steps = w.steps + 1 \
         WHERE w.id = $2 AND w.worker = $3 \
         RETURNING (SELECT count(*) FROM u), (SELECT j.state FROM {jobs} AS j WHERE j.id = w.job), \
                   pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::float8, {TOOK}"
    );
    let update = format!("UPDATE {from} SET {set} WHERE {alias}.ctid = ANY($1::tid[]) AND {pending}");
    let key_bounds = key.map(|key| key_bounds(&from, alias, key)).transpose()?;
    Ok(PartSql {
        collect: format!("SELECT {alias}.ctid FROM {from} WHERE {range} AND {pending}"),
        collect_all: format!("SELECT {alias}.ctid FROM {from} WHERE {range}"),
        update: format!("WITH u AS ({update} RETURNING 1) {count}"),
        update_unlocked: format!(
            "WITH u AS (UPDATE {from} SET {set} WHERE {alias}.ctid = ANY(ARRAY(SELECT {alias}.ctid FROM {from} \
             WHERE {alias}.ctid = ANY($1::tid[]) FOR NO KEY UPDATE SKIP LOCKED)) AND {pending} RETURNING 1) {count}"
        ),
        prune: format!("SELECT count(*), {TOOK} FROM {from} WHERE {alias}.ctid >= $1::tid AND {alias}.ctid < $2::tid"),
        key_bound: key_bounds.as_ref().map(|(bound, _)| bound.clone()),
        key_end: key_bounds.map(|(_, end)| end),
        row_key: format!("SELECT {key_text} FROM {from} WHERE {alias}.ctid = $1::tid"),
        row_pending: format!("SELECT {pending} FROM {from} WHERE {alias}.ctid = $1::tid"),
        mismatches: format!(
            "SELECT count(*), COALESCE((pg_catalog.array_agg({key_text} ORDER BY {alias}.ctid))[1:$3::int], '{{}}') \
             FROM {from} WHERE {range} AND {pending}"
        ),
        count: format!("SELECT count(*) FROM {from} WHERE {range}"),
        shown_update: update,
        from,
        pending,
        alias: alias.clone(),
        key_text,
    })
}

/// True for the rows that still have to be changed.
fn pending_predicate(
    definition: &Definition,
    targets: &[ColumnFacts],
    by_predicate: bool,
) -> Result<String, NameError> {
    let mut differs = Vec::new();
    for assignment in &definition.assignments {
        let name = &assignment.target;
        let column = targets.iter().find(|column| column.name == name.as_str());
        let data_type = column.map(|column| column.data_type.as_str());
        // The cast gives the value its stored form (scale, length, precision), without which it would differ forever.
        let value = match data_type {
            Some(data_type) => format!("CAST({} AS {data_type})", assignment.expression),
            None => assignment.expression.to_string(),
        };
        let target = Ident::new(name.as_str())?;
        differs.push(match column.map_or(Comparison::Native, |column| column.comparison) {
            Comparison::Native => format!("{target} IS DISTINCT FROM {value}"),
            Comparison::Text => format!("{target} COLLATE \"C\" IS DISTINCT FROM {value} COLLATE \"C\""),
            Comparison::AsText => {
                format!("({target})::text COLLATE \"C\" IS DISTINCT FROM ({value})::text COLLATE \"C\"")
            }
        });
    }
    let differs = format!("({})", differs.join(" OR "));
    Ok(match &definition.predicate {
        Some(predicate) if by_predicate => format!("{predicate}"),
        Some(predicate) => format!("({predicate} AND {differs})"),
        None => differs,
    })
}

/// `(a, b)`, or `a` for a key of one column, which reads and plans better.
fn key_columns(alias: &Ident, key: &KeyFacts) -> Result<String, NameError> {
    let columns = key
        .columns
        .iter()
        .map(|column| Ok(format!("{alias}.{}", Ident::new(&*column.name)?)))
        .collect::<Result<Vec<_>, NameError>>()?;
    Ok(if columns.len() == 1 { columns.concat() } else { format!("({})", columns.join(", ")) })
}

fn key_values(key: &KeyFacts, parameter: &str) -> String {
    let values: Vec<String> = key
        .columns
        .iter()
        .enumerate()
        .map(|(i, column)| format!("(({parameter}::text[])[{}])::{}", i + 1, column.data_type))
        .collect();
    if values.len() == 1 { values.concat() } else { format!("({})", values.join(", ")) }
}

/// The placeholder that [`with_lower`] and [`without_lower`] resolve: a range that begins at the start of the key has
/// no lower condition, and a condition with `OR $1 IS NULL` would keep the index from being used.
const LOWER: &str = "/*lower*/";

fn key_range(alias: &Ident, key: &KeyFacts) -> Result<String, NameError> {
    let columns = key_columns(alias, key)?;
    Ok(format!("{LOWER}{columns} > {}{LOWER} AND {columns} <= {}", key_values(key, "$1"), key_values(key, "$2")))
}

/// The statement for a range with a lower bound.
pub fn with_lower(sql: &str) -> String {
    sql.replace(LOWER, "")
}

/// The statement for a range that begins at the start of the key. `$1` stays a parameter.
pub fn without_lower(sql: &str) -> String {
    match sql.split_once(LOWER).and_then(|(head, rest)| rest.split_once(LOWER).map(|(_, tail)| (head, tail))) {
        Some((head, tail)) => format!("{head}($1::text[] IS NULL){tail}"),
        None => sql.to_owned(),
    }
}

fn key_bounds(from: &str, alias: &Ident, key: &KeyFacts) -> Result<(String, String), NameError> {
    let range = key_range(alias, key)?;
    let mut names = String::new();
    let mut order = String::new();
    let mut backwards = String::new();
    let mut texts = String::new();
    for (i, column) in key.columns.iter().enumerate() {
        let name = Ident::new(&*column.name)?;
        let comma = if i == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(names, "{comma}{alias}.{name}");
        let _ = write!(order, "{comma}{alias}.{name}");
        let _ = write!(backwards, "{comma}{alias}.{name} DESC");
        let _ = write!(texts, "{comma}x.{name}::text");
    }
    Ok((
        format!(
            "SELECT ARRAY[{texts}] FROM (SELECT {names} FROM {from} WHERE {range} ORDER BY {order} OFFSET $3 LIMIT 1) AS x"
        ),
        format!("SELECT ARRAY[{texts}] FROM (SELECT {names} FROM {from} ORDER BY {backwards} LIMIT 1) AS x"),
    ))
}

impl PartPlan {
    /// Rows of one page that one pass updates: the same number in each pass, since what a pass frees on a page is what
    /// the next one finds there.
    pub fn share(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a page has at most 300 rows")]
        let share = (self.density / f64::from(self.passes.max(1))).ceil().clamp(1.0, 300.0) as usize;
        share
    }
}

/// A window's rows in the order in which they are updated, pass by pass, pages ascending within each.
///
/// Each pass takes `share` rows of every page, so that pages with more rows are met in more passes; more rows where pages
/// hold so many more than was estimated that there would be more than 16 passes. Nothing for all rows in one pass. The
/// result holds the same addresses as `rows`.
pub fn order_passes(mut rows: Vec<Tid>, share: Option<usize>) -> Vec<Tid> {
    const MOST_PASSES: usize = 16;
    rows.sort_unstable();
    let Some(share) = share else { return rows };
    let pages = rows.chunk_by(|a, b| a.block == b.block).count();
    let share = share.max(rows.len().div_ceil(pages.max(1) * MOST_PASSES));
    let mut with_pass: Vec<(u16, Tid)> = Vec::with_capacity(rows.len());
    let mut page = None;
    let mut on_page = 0_usize;
    for tid in rows {
        if page != Some(tid.block) {
            page = Some(tid.block);
            on_page = 0;
        }
        with_pass.push((u16::try_from(on_page / share.max(1)).unwrap_or(u16::MAX), tid));
        on_page += 1;
    }
    with_pass.sort_unstable();
    with_pass.into_iter().map(|(_, tid)| tid).collect()
}

/// Ranges of blocks `from..before` that a step's rows lie in, runs with small gaps joined. Nothing when the rows are too
/// scattered for visiting whole ranges to pay.
pub fn page_runs(rows: &[Tid]) -> Vec<(u32, u32)> {
    const GAP: u32 = 8;
    const MOST_RUNS: usize = 16;
    let blocks: BTreeSet<u32> = rows.iter().map(|tid| tid.block).collect();
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for block in blocks {
        match runs.last_mut() {
            Some((_, before)) if block.saturating_sub(*before) <= GAP => *before = block.saturating_add(1),
            _ => runs.push((block, block.saturating_add(1))),
        }
    }
    if runs.len() > MOST_RUNS { Vec::new() } else { runs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Assignment;
    use crate::facts::KeyColumn;
    use zdm_conn::SqlExpression;

    fn name(text: &str) -> QualifiedName {
        QualifiedName::new(Ident::new("public").unwrap(), Ident::new(text).unwrap())
    }

    fn key(columns: &[(&str, &str)], correlation: Option<f64>) -> KeyFacts {
        KeyFacts {
            columns: columns
                .iter()
                .map(|(name, data_type)| KeyColumn { name: (*name).to_owned(), data_type: (*data_type).to_owned() })
                .collect(),
            correlation,
            integer: columns[0].1 == "bigint",
        }
    }

    fn part(key: Option<KeyFacts>, indexes: &[&str]) -> PartFacts {
        PartFacts {
            relation: 1,
            name: name("t"),
            rows: Some(4000.0),
            pages: 100,
            filenode: 1,
            key,
            indexes_on_targets: indexes.iter().map(|i| (*i).to_owned()).collect(),
        }
    }

    fn target(name: &str, data_type: &str, comparison: Comparison) -> ColumnFacts {
        ColumnFacts {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            comparison,
            generated: false,
            identity_always: false,
            in_partition_key: false,
        }
    }

    fn facts(part: PartFacts) -> TableFacts {
        TableFacts {
            relation: 1,
            name: name("t"),
            targets: vec![target("big", "numeric(10,2)", Comparison::Native)],
            parts: vec![part],
            foreign: vec![],
            unrepeatable: Some(vec![]),
        }
    }

    fn definition(assignment: &str, predicate: Option<&str>) -> Definition {
        let predicate = predicate.map(|text| SqlExpression::new(text).unwrap());
        Definition::new(vec![Assignment::parse(assignment).unwrap()], predicate).unwrap()
    }

    fn planned(facts: &TableFacts, choice: Choice) -> Result<Plan, Refusal> {
        plan(&definition("big = small", None), facts, choice, &Ident::new("zdm").unwrap())
    }

    #[test]
    fn strategies_follow_from_the_catalog() {
        fn check(part: PartFacts, expect: &str) {
            let plan = planned(&facts(part), Choice::default()).unwrap();
            let part = &plan.parts[0];
            assert_eq!(format!("{} x{}: {}", part.strategy, part.passes, part.because), expect);
        }
        let id = || key(&[("id", "bigint")], Some(1.0));
        check(part(Some(id()), &[]), "windows x12: the target is in no index, and (id) follows the pages");
        check(part(Some(id()), &["t_big_idx"]), "keyset x1: the target is in t_big_idx, so no update can be HOT");
        check(part(None, &[]), "tid x12: no primary key and no unique index on columns that are not null");
        check(part(None, &["x"]), "tid x1: no primary key and no unique index on columns that are not null");
        check(
            part(Some(key(&[("id", "uuid")], Some(0.01))), &[]),
            "tid x12: the order of (id) is not that of the pages (correlation 0.01)",
        );
        check(
            part(Some(key(&[("id", "uuid")], None)), &[]),
            "tid x12: whether (id) follows the pages is not known: no statistics",
        );
        check(
            part(Some(key(&[("a", "bigint"), ("b", "text")], None)), &[]),
            "windows x12: the target is in no index, and (a, b) follows the pages",
        );
    }

    #[test]
    fn a_strategy_can_be_forced_where_it_can_work() {
        let choice = |strategy| Choice { strategy: Some(strategy), passes: Some(4) };
        let with_key = facts(part(Some(key(&[("id", "uuid")], None)), &[]));
        let plan = planned(&with_key, choice(Strategy::Windows)).unwrap();
        assert_eq!((plan.parts[0].strategy, plan.parts[0].passes), (Strategy::Windows, 4));
        let without = facts(part(None, &[]));
        assert!(matches!(planned(&without, choice(Strategy::Keyset)), Err(Refusal::NoKey { .. })));
        assert!(planned(&without, choice(Strategy::Tid)).is_ok());
    }

    #[test]
    fn what_cannot_be_filled_is_refused() {
        let mut generated = facts(part(None, &[]));
        generated.targets[0].generated = true;
        assert!(matches!(planned(&generated, Choice::default()), Err(Refusal::Generated(_))));
        let mut foreign = facts(part(None, &[]));
        foreign.foreign.push(name("remote"));
        assert!(matches!(planned(&foreign, Choice::default()), Err(Refusal::Foreign(_))));
        let mut random = facts(part(None, &[]));
        random.unrepeatable = Some(vec!["gen_random_uuid()".to_owned()]);
        assert!(matches!(planned(&random, Choice::default()), Err(Refusal::Unrepeatable { .. })));
        let restricted = definition("big = random()", Some("big IS NULL"));
        let plan = plan(&restricted, &random, Choice::default(), &Ident::new("zdm").unwrap()).unwrap();
        assert!(plan.by_predicate);
        assert!(plan.parts[0].sql.collect.ends_with("AND (big IS NULL)"), "{}", plan.parts[0].sql.collect);
    }

    #[test]
    fn statements() {
        let one = planned(&facts(part(Some(key(&[("id", "bigint")], Some(1.0))), &[])), Choice::default()).unwrap();
        let sql = &one.parts[0].sql;
        assert_eq!(
            with_lower(&sql.collect),
            "SELECT \"t\".ctid FROM ONLY \"public\".\"t\" AS \"t\" \
             WHERE \"t\".\"id\" > (($1::text[])[1])::bigint AND \"t\".\"id\" <= (($2::text[])[1])::bigint \
             AND (\"big\" IS DISTINCT FROM CAST((small) AS numeric(10,2)))"
        );
        assert!(without_lower(&sql.collect).contains("WHERE ($1::text[] IS NULL) AND \"t\".\"id\" <= "));
        let two = facts(part(Some(key(&[("a b", "bigint"), ("c", "character varying")], Some(1.0))), &[]));
        let two = planned(&two, Choice::default()).unwrap();
        assert!(
            with_lower(two.parts[0].sql.key_bound.as_ref().unwrap()).starts_with(
                "SELECT ARRAY[x.\"a b\"::text, x.\"c\"::text] FROM (SELECT \"t\".\"a b\", \"t\".\"c\" FROM ONLY \
                 \"public\".\"t\" AS \"t\" WHERE (\"t\".\"a b\", \"t\".\"c\") > ((($1::text[])[1])::bigint, "
            ),
            "{:?}",
            two.parts[0].sql.key_bound
        );
    }

    #[test]
    fn text_is_compared_byte_by_byte() {
        let mut text = facts(part(None, &[]));
        text.targets[0] = target("big", "character varying(5)", Comparison::Text);
        let sql = planned(&text, Choice::default()).unwrap().parts[0].sql.collect.clone();
        assert!(
            sql.ends_with(
                "(\"big\" COLLATE \"C\" IS DISTINCT FROM CAST((small) AS character varying(5)) COLLATE \"C\")"
            )
        );
        text.targets[0] = target("big", "json", Comparison::AsText);
        let sql = planned(&text, Choice::default()).unwrap().parts[0].sql.collect.clone();
        assert!(sql.contains("(\"big\")::text COLLATE \"C\" IS DISTINCT FROM (CAST((small) AS json))::text"));
    }

    #[test]
    fn passes_take_an_even_share_of_every_page() {
        let rows: Vec<Tid> =
            (0..50).flat_map(|block| (1..=37).map(move |offset| Tid { block, offset })).rev().collect();
        let ordered = order_passes(rows.clone(), Some(3));
        let mut sorted = ordered.clone();
        sorted.sort_unstable();
        let mut all = rows;
        all.sort_unstable();
        assert_eq!(sorted, all, "every row once");
        // A page returns only after all others of the pass: passes are ascending runs.
        let runs = ordered.windows(2).filter(|w| w[1] < w[0]).count() + 1;
        assert_eq!(runs, 13, "37 rows, three at a time");
        let first_pass = ordered.windows(2).position(|w| w[1] < w[0]).unwrap() + 1;
        for block in 0..50 {
            let share = ordered[..first_pass].iter().filter(|tid| tid.block == block).count();
            assert_eq!(share, 3, "page {block}");
        }
        assert_eq!(order_passes(Vec::new(), Some(3)), Vec::new());
        let twice = order_passes(ordered.clone(), Some(1));
        assert!(twice.windows(2).filter(|w| w[1] < w[0]).count() < 16, "one row at a time would take 37 passes");
        assert_eq!(order_passes(ordered, None), sorted, "one pass");
    }

    #[test]
    fn runs_of_pages() {
        let at = |blocks: &[u32]| {
            page_runs(&blocks.iter().map(|block| Tid { block: *block, offset: 1 }).collect::<Vec<_>>())
        };
        assert_eq!(at(&[]), vec![]);
        assert_eq!(at(&[3, 1, 2, 2]), vec![(1, 4)]);
        assert_eq!(at(&[1, 5, 100]), vec![(1, 6), (100, 101)]);
        assert_eq!(at(&(0..40).map(|i| i * 100).collect::<Vec<_>>()), vec![], "scattered");
        assert_eq!(at(&[u32::MAX]), vec![(u32::MAX, u32::MAX)], "the last block of all does not overflow");
    }
}
