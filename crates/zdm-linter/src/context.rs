//! What a rule is given: one migration of the trace with its surroundings, and the words to speak about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use zdm_django::migration::DependencyTarget;
use zdm_django::state::{ModelKey, ModelState};
use zdm_django::{Migration, MigrationKey, Operation};
use zdm_postgres::catalog::Table;
use zdm_postgres::effects::Blocks;
use zdm_postgres::statement::{AlterTableAction, CreateTable, CreateTableAs};
use zdm_postgres::{Catalog, LockMode, PgVersion, QualifiedName, Statement};
use zdm_replay::{MigrationTrace, OperationTrace, Options, Step};
use zdm_source::{Diagnostic, Fix, Label, Severity, Span, Subject};

use crate::config::{Config, Level, TableFacts};
use crate::new_code::Drifted;
use crate::old_code::OldTable;
use crate::page::Page;

/// One migration under judgement.
#[derive(Clone, Copy, Debug)]
pub struct Cx<'a> {
    /// What the migration is replayed on.
    pub options: &'a Options,
    pub migration: &'a MigrationTrace,
    pub config: &'a Config,
    pub page: &'a Page,
    /// Its steps with those of its Python code, by number.
    pub steps: &'a [&'a Step],
    /// Per step, and for the end: the relations that this migration, or an earlier one of its release, has made.
    pub fresh: &'a [Arc<BTreeSet<QualifiedName>>],
    /// The tables that it touches, with the old code that uses them.
    pub old: &'a [OldTable],
    /// The models that do not meet their tables after it, as far as that is its doing.
    pub new: &'a [Drifted],
    /// The migrations that name another one among their dependencies or replace it.
    pub behind: Behind<'a>,
}

/// Looks migrations up by what they stand behind.
#[derive(Clone, Copy)]
pub struct Behind<'a>(pub &'a LookUp<'a>);

/// Which migrations stand directly behind one.
pub type LookUp<'a> = dyn Fn(&MigrationKey) -> Vec<Arc<Migration>> + Sync + 'a;

impl fmt::Debug for Behind<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Behind")
    }
}

impl Behind<'_> {
    pub fn of(self, key: &MigrationKey) -> Vec<Arc<Migration>> {
        (self.0)(key)
    }
}

/// The migrations that one names among its dependencies or replaces, each once.
pub fn stands_behind_what(migration: &Migration) -> impl Iterator<Item = &MigrationKey> {
    let named = migration.dependencies.iter().filter_map(|dependency| match &dependency.target {
        DependencyTarget::Migration(key) => Some(key),
        _ => None,
    });
    let keys: BTreeSet<&MigrationKey> = named.chain(&migration.replaces).collect();
    keys.into_iter()
}

/// The steps of a migration and those of its Python code, by number. What an operation leaves for the end of the migration is
/// of a table that is not there when its own statement was refused.
pub fn all_steps(migration: &MigrationTrace) -> Vec<&Step> {
    let refused: BTreeSet<usize> =
        migration.steps.iter().filter(|step| step.is_refused() && !step.deferred).map(|step| step.operation).collect();
    let reached = |step: &&Step| !step.deferred || step.is_refused() || !refused.contains(&step.operation);
    let mut steps: Vec<&Step> = migration.steps.iter().filter(reached).chain(&migration.python).collect();
    steps.sort_by_key(|step| step.number);
    steps
}

/// The steps that work on a table which the same transaction has emptied by TRUNCATE, by their place, without that work: the
/// lock is the TRUNCATE's, and there is nothing to read.
pub fn on_emptied_tables(migration: &MigrationTrace, steps: &[&Step]) -> BTreeMap<usize, Step> {
    let mut emptied: BTreeSet<QualifiedName> = BTreeSet::new();
    let mut changed = BTreeMap::new();
    let mut transaction = None;
    let mut reached = 0;
    for (place, step) in steps.iter().enumerate() {
        // Python code may put rows in.
        let python = migration.operations.get(reached..step.operation).unwrap_or_default().iter();
        if step.transaction.is_none() || step.transaction != transaction || python.clone().any(|trace| trace.python) {
            emptied.clear();
        }
        transaction = step.transaction;
        reached = step.operation;
        if step.is_refused() {
            continue;
        }
        match &step.statement {
            Statement::Truncate { .. } => {
                let locks = step.outcome.effects.locks.iter();
                emptied.extend(
                    locks
                        .filter(|(name, mode)| {
                            **mode == LockMode::AccessExclusive && step.catalog_before.table(name).is_some()
                        })
                        .map(|(name, _)| name.clone()),
                );
            }
            Statement::CreateIndex(_) | Statement::Comment { .. } => {}
            Statement::AlterTable(alter) => {
                for action in &alter.actions {
                    if let AlterTableAction::RenameTo { name } = action
                        && emptied.remove(&alter.name)
                    {
                        emptied.insert(alter.name.sibling(name.clone()));
                    }
                }
            }
            // What it writes, and through which triggers, is not asked.
            _ => emptied.clear(),
        }
        if emptied.is_empty() || matches!(step.statement, Statement::Truncate { .. }) {
            continue;
        }
        let of_emptied = |name: &QualifiedName| {
            emptied.contains(name)
                || [&step.catalog_before, &step.catalog_after]
                    .iter()
                    .any(|catalog| catalog.index(name).is_some_and(|(table, _)| emptied.contains(&table.name)))
        };
        let effects = &step.outcome.effects;
        let works = effects.rewrites.iter().chain(&effects.scans).chain(&effects.index_builds).any(of_emptied);
        if !works {
            continue;
        }
        let mut step = Step::clone(step);
        let effects = &mut step.outcome.effects;
        for names in [&mut effects.rewrites, &mut effects.scans, &mut effects.index_builds] {
            names.retain(|name| !of_emptied(name));
        }
        effects.blocks.retain(|name, _| !of_emptied(name));
        effects.uncertain.retain(|uncertain| !of_emptied(&uncertain.relation));
        changed.insert(place, step);
    }
    changed
}

/// Per step of a migration, and once more for its end: the relations that nobody uses yet, under their name at that step,
/// because the migration itself has made them, or an earlier one of its release.
pub fn fresh_relations(
    steps: &[&Step],
    made_before: &Arc<BTreeSet<QualifiedName>>,
) -> Vec<Arc<BTreeSet<QualifiedName>>> {
    let mut fresh = Arc::clone(made_before);
    let mut result = Vec::with_capacity(steps.len() + 1);
    for step in steps {
        result.push(Arc::clone(&fresh));
        // What Python code makes is not in the history.
        if step.is_refused() || step.python {
            continue;
        }
        match &step.statement {
            // IF NOT EXISTS on a table that is there makes nothing.
            Statement::CreateTable(CreateTable { name, .. }) | Statement::CreateTableAs(CreateTableAs { name, .. })
                if step.catalog_before.relation(name).is_none() =>
            {
                Arc::make_mut(&mut fresh).insert(name.clone());
            }
            Statement::AlterTable(alter) => {
                for action in &alter.actions {
                    if let AlterTableAction::RenameTo { name } = action {
                        let fresh = Arc::make_mut(&mut fresh);
                        let to = alter.name.sibling(name.clone());
                        if fresh.remove(&alter.name) {
                            fresh.insert(to);
                        } else {
                            fresh.remove(&to);
                        }
                    }
                }
            }
            Statement::Drop(drop) => {
                for name in &drop.names {
                    if fresh.contains(name) {
                        Arc::make_mut(&mut fresh).remove(name);
                    }
                }
            }
            _ => {}
        }
    }
    result.push(fresh);
    result
}

impl<'a> Cx<'a> {
    pub fn version(&self) -> PgVersion {
        self.options.postgres
    }

    pub fn steps(&self) -> impl Iterator<Item = &'a Step> {
        self.steps.iter().copied()
    }

    /// Steps that the server accepts, as far as is known.
    pub fn accepted(&self) -> impl Iterator<Item = &'a Step> {
        self.steps().filter(|step| !step.is_refused())
    }

    pub fn operation(&self, index: usize) -> Option<&'a Operation> {
        self.migration.migration.operations.get(index)
    }

    pub fn operations(&self) -> impl Iterator<Item = (&'a Operation, &'a OperationTrace)> {
        self.migration.migration.operations.iter().zip(&self.migration.operations)
    }

    /// The table that an index belongs to, where running code may use it.
    pub fn table_in_use_of_index<'s>(&self, step: &'s Step, index: &QualifiedName) -> Option<&'s Table> {
        let (table, _) = step.catalog_before.index(index)?;
        self.existed(step, &table.name).then_some(table)
    }

    /// The relation that a step names was there before this migration, under this or another name: running code may use it.
    pub fn existed(&self, step: &Step, name: &QualifiedName) -> bool {
        // Steps are numbered in order.
        let Ok(index) = self.steps.binary_search_by_key(&step.number, |other| other.number) else {
            return true;
        };
        // Code of the project does not use the list of the migrations.
        if name.name.as_str() == zdm_replay::RECORDER_TABLE {
            return false;
        }
        let made_here = self.fresh[index].contains(name);
        // A table whose creation was not understood is in the catalog without a statement that made it.
        let assumed_here = step.catalog_before.table(name).is_some_and(|table| table.assumed)
            && self.migration.catalog_before.table(name).is_none()
            && !self.is_named_first(index, name);
        !made_here && !assumed_here
    }

    /// Whom a step keeps waiting on relations that were there before this migration, strongest first.
    pub fn blocked(&self, step: &'a Step) -> Vec<(&'a QualifiedName, Blocks)> {
        let mut blocked: Vec<_> = step
            .outcome
            .effects
            .blocks
            .iter()
            .filter(|(name, blocks)| !blocks.is_empty() && self.existed(step, name))
            .map(|(name, blocks)| (name, *blocks))
            .collect();
        blocked.sort_by_key(|(name, blocks)| (!blocks.select, !blocks.insert, (*name).clone()));
        blocked
    }

    /// A statement before this one is the first that speaks of the relation: it belongs to an app that was not read.
    fn is_named_first(&self, before: usize, name: &QualifiedName) -> bool {
        self.steps[..before]
            .iter()
            .any(|step| step.catalog_before.relation(name).is_none() && step.catalog_after.relation(name).is_some())
    }

    pub fn facts(&self, table: &QualifiedName) -> TableFacts {
        self.config.facts(&table.to_string())
    }

    /// The first step after which `holds` is true of the catalog and before which it was not.
    pub fn step_where(&self, holds: impl Fn(&Catalog) -> bool) -> Option<&'a Step> {
        self.migration.steps.iter().find(|step| !holds(&step.catalog_before) && holds(&step.catalog_after))
    }

    /// The last top-level operation that changes a model in the state, if possible the one that speaks of `field`; else the last one.
    pub fn operation_on(&self, model: &ModelKey, field: Option<&str>) -> usize {
        let mut best = self.migration.operations.len().saturating_sub(1);
        for trace in &self.migration.operations {
            let (before, after) = (trace.state_before.model(model), trace.state_after.model(model));
            let changed = match (before, after) {
                (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
                (None, None) => false,
                _ => true,
            };
            if !changed {
                continue;
            }
            best = trace.index;
            let has = |state: Option<&Arc<ModelState>>, name: &str| {
                state.is_some_and(|state| {
                    state.fields.iter().any(|field| &*field.name == name || format!("{}_id", field.name) == name)
                })
            };
            if field.is_some_and(|name| has(before, name) != has(after, name)) {
                return trace.index;
            }
        }
        best
    }

    /// A finding about a step, with its label where the step is written.
    pub fn at_step(&self, step: &Step, message: impl Into<String>) -> Diagnostic {
        let mut diagnostic = self.at_span(step.span, message);
        diagnostic.primary.message = operation_label(self.operation(step.operation), step);
        diagnostic.subject.operation = Some(step.operation);
        diagnostic.subject.statement = Some(step.sql.clone());
        diagnostic
    }

    /// A finding about a top-level operation.
    pub fn at_operation(&self, index: usize, message: impl Into<String>) -> Diagnostic {
        let operation = self.operation(index);
        let span = operation.map_or(self.migration.migration.span, |operation| operation.span);
        let mut diagnostic = self.at_span(span, message);
        diagnostic.primary.message = operation.map(|operation| operation.name().to_owned()).unwrap_or_default();
        diagnostic.subject.operation = Some(index);
        diagnostic
    }

    /// A finding about a place in the migration's file.
    pub fn at_span(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        let migration = &self.migration.migration;
        let mut diagnostic = Diagnostic::new(
            self.page.code,
            self.config.severity_of(self.page, migration.file.path()),
            message,
            Label::new(&migration.file, span, ""),
        );
        diagnostic.subject = Subject {
            app: Some(migration.key.app.clone()),
            migration: Some(migration.key.name.clone()),
            ..Subject::default()
        };
        diagnostic
    }

    /// The finding with a fix, where there is one.
    pub fn fixed(diagnostic: Diagnostic, fix: Option<Fix>) -> Diagnostic {
        match fix {
            Some(fix) => diagnostic.with_fix(fix),
            None => diagnostic,
        }
    }

    /// A label that points at another step of this migration.
    pub fn label_step(&self, step: &Step, message: impl Into<String>) -> Label {
        Label::new(&self.migration.migration.file, step.span, message)
    }

    /// Of several tables those that the rule is on for; all of them where it is off for each.
    pub fn named<'t>(&self, tables: impl IntoIterator<Item = &'t QualifiedName>) -> Vec<&'t QualifiedName> {
        let tables: Vec<&QualifiedName> = tables.into_iter().collect();
        let is_on =
            |table: &&QualifiedName| self.config.level_on(self.page.code.code, &table.to_string()) != Some(Level::Off);
        if tables.iter().any(is_on) { tables.into_iter().filter(is_on).collect() } else { tables }
    }

    /// The severity grows to error where the table is known to be large or hot, and shrinks to info where it is known to be small.
    pub fn weigh(&self, table: &QualifiedName, diagnostic: &mut Diagnostic) {
        self.weigh_work(table, self.page.work, diagnostic);
    }

    /// As [`Self::weigh`], with what takes time.
    pub fn weigh_work(&self, table: &QualifiedName, work: Option<&str>, diagnostic: &mut Diagnostic) {
        const LARGE_ROWS: u64 = 1_000_000;
        if self.config.own_severity(self.page, self.migration.migration.file.path()).is_some() {
            return;
        }
        let facts = self.facts(table);
        let large = facts.rows.is_some_and(|rows| rows >= LARGE_ROWS);
        let small = facts.rows.zip(self.config.small_table_rows).is_some_and(|(rows, small)| rows <= small);
        if let Some(rows) = facts.rows {
            let size = facts.bytes.map(|bytes| format!(", {}", human_bytes(bytes))).unwrap_or_default();
            let duration = work.map(|work| estimate(rows, facts.bytes, work)).unwrap_or_default();
            diagnostic.notes.insert(
                0,
                zdm_source::Note::Fact(format!("`{table}` has about {} rows{size}{duration}", human_count(rows))),
            );
        }
        if large || facts.hot == Some(true) {
            diagnostic.severity = Severity::Error;
        } else if small && facts.hot != Some(true) && diagnostic.severity == Severity::Warning {
            diagnostic.severity = Severity::Info;
        }
    }
}

/// `AddIndex`, or for SQL and deferred statements what sends it.
fn operation_label(operation: Option<&Operation>, step: &Step) -> String {
    let Some(operation) = operation else { return String::new() };
    let name = operation.name();
    if step.raw {
        return String::new();
    }
    let shown = shortened(&step.sql, 100);
    if step.deferred {
        format!("{name} sends at the end of the migration: {shown}")
    } else {
        format!("{name} sends: {shown}")
    }
}

/// On one line, cut at `limit` characters.
pub fn shortened(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= limit {
        return line;
    }
    let mut cut: String = line.chars().take(limit.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// What waits, in words: `every query`, `INSERT, UPDATE and DELETE`, `INSERT`; empty where nothing does.
pub fn blocked_words(blocks: Blocks) -> &'static str {
    if blocks.select {
        "every query, SELECT included,"
    } else if blocks.insert && blocks.update {
        "INSERT, UPDATE and DELETE"
    } else if blocks.insert {
        "INSERT"
    } else if blocks.update {
        "UPDATE and DELETE"
    } else if blocks.select_for_update {
        "SELECT FOR UPDATE"
    } else {
        ""
    }
}

/// As [`blocked_words`], for a lock on a table.
pub fn blocked_by(mode: LockMode) -> &'static str {
    blocked_words(Blocks::by_lock(mode))
}

/// `; reading them takes about 20 seconds (assumed: 5 million rows a second)`; with known bytes also by those.
///
/// The rates of rows are half of what was measured with PostgreSQL 16 on one core of a cloud machine, the table in
/// memory, the lower of 4 million rows of 30 bytes and 1 million of 350: SET NOT NULL 9.4 million rows a second, CREATE INDEX
/// on a text 1.5 million, int → bigint 0.24 million, one UPDATE of all rows 0.07 million. The rate of bytes is the baseline
/// throughput of a general purpose cloud volume (Amazon gp3: 125 MiB a second).
pub fn estimate(rows: u64, bytes: Option<u64>, work: &str) -> String {
    let Some(Rates { what, per_second, .. }) = rates(work) else { return String::new() };
    let (by_rows, by_bytes) = seconds_by_rows_and_bytes(rows, bytes, work);
    let assumed = if by_bytes > by_rows {
        format!("{} a second from disk", human_bytes(BYTES_PER_SECOND))
    } else {
        format!("{} rows a second, in memory", human_count(per_second))
    };
    format!("; {what} takes about {} (assumed: {assumed})", human_duration(by_rows.max(by_bytes)))
}

/// `40 seconds`, for work on several tables, one after the other. None where the rows of one of them are not known.
pub fn estimate_together<'w>(works: impl IntoIterator<Item = (TableFacts, &'w str)>) -> Option<String> {
    let mut seconds = None;
    for (facts, work) in works {
        rates(work)?;
        let (by_rows, by_bytes) = seconds_by_rows_and_bytes(facts.rows?, facts.bytes, work);
        seconds = Some(seconds.unwrap_or(0) + by_rows.max(by_bytes));
    }
    seconds.map(human_duration)
}

const BYTES_PER_SECOND: u64 = 125_000_000;

struct Rates {
    what: &'static str,
    /// Rows.
    per_second: u64,
    /// How often each byte goes from or to the disk.
    passes: u64,
}

fn rates(work: &str) -> Option<Rates> {
    // A rewrite reads and writes, and so does a change of rows.
    let (what, per_second, passes) = match work {
        "scan" => ("reading them", 5_000_000, 1),
        "rewrite" => ("writing them anew", 120_000, 2),
        "index build" => ("building the index", 750_000, 1),
        "row change" => ("changing them", 35_000, 2),
        _ => return None,
    };
    Some(Rates { what, per_second, passes })
}

fn seconds_by_rows_and_bytes(rows: u64, bytes: Option<u64>, work: &str) -> (u64, u64) {
    let Some(Rates { per_second, passes, .. }) = rates(work) else { return (0, 0) };
    let by_bytes = bytes.map_or(0, |bytes| bytes.saturating_mul(passes).div_ceil(BYTES_PER_SECOND));
    (rows.div_ceil(per_second), by_bytes)
}

/// `a second`, `50 seconds`, `7 minutes`, `3 hours`.
pub fn human_duration(seconds: u64) -> String {
    match seconds {
        0..=1 => "a second".to_owned(),
        2..=99 => format!("{seconds} seconds"),
        100..=5_999 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3_600)),
    }
}

/// `12,345`, `3.4 million`, `1.2 billion`.
pub fn human_count(count: u64) -> String {
    let (divisor, word) = match count {
        0..1_000_000 => {
            let digits = count.to_string();
            let mut text = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            return text;
        }
        1_000_000..1_000_000_000 => (1_000_000, "million"),
        _ => (1_000_000_000, "billion"),
    };
    decimal(count, divisor, word)
}

/// `512 bytes`, `3.4 GB`; powers of 1,000.
pub fn human_bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => decimal(bytes, 1_000, "kB"),
        1_000_000..1_000_000_000 => decimal(bytes, 1_000_000, "MB"),
        1_000_000_000..1_000_000_000_000 => decimal(bytes, 1_000_000_000, "GB"),
        _ => decimal(bytes, 1_000_000_000_000, "TB"),
    }
}

fn decimal(value: u64, divisor: u64, unit: &str) -> String {
    let tenths = value / (divisor / 10).max(1);
    if tenths.is_multiple_of(10) || tenths >= 1_000 {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// `` `a`, `b` and `c` ``; of many the first: `` `a`, `b`, `c`, `d`, `e` and 12 more ``.
pub fn name_list<T: std::fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    const MOST: usize = 7;
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.len() > MOST {
        let shown = &names[..MOST - 2];
        return format!("{} and {} more", shown.join(", "), names.len() - shown.len());
    }
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(human_count(950), "950");
        assert_eq!(human_count(12_345), "12,345");
        assert_eq!(human_count(100_000_000), "100 million");
        assert_eq!(human_count(3_450_000), "3.4 million");
        assert_eq!(human_bytes(1_500_000_000), "1.5 GB");
        assert_eq!(human_bytes(42), "42 bytes");
        assert_eq!(human_duration(1), "a second");
        assert_eq!(human_duration(100), "2 minutes");
        assert_eq!(human_duration(20_000), "6 hours");
        assert_eq!(
            estimate(100_000_000, None, "index build"),
            "; building the index takes about 3 minutes (assumed: 750,000 rows a second, in memory)"
        );
        assert_eq!(
            estimate(100_000_000, Some(60_000_000_000), "scan"),
            "; reading them takes about 8 minutes (assumed: 125 MB a second from disk)"
        );
    }

    #[test]
    fn lists_read_well() {
        assert_eq!(name_list(["a"]), "`a`");
        assert_eq!(name_list(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(name_list(0..8), "`0`, `1`, `2`, `3`, `4` and 3 more");
    }
}
