//! A whole script, statement by statement, on one server and in the model: what the two do not agree on is done in
//! neither of them, so that the next statement finds the same on both sides.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use zdm_postgres::catalog::ConstraintKind;
use zdm_postgres::{Catalog, PgVersion, QualifiedName, Session, Statement};
use zdm_testkit::Client;

use crate::measure::{Answer, Bench, quoted};
use crate::observed::{Difference, Observed, Respect, differences};
use crate::predict::{Base, Case, Holds, PREAMBLE, predict_on, statements};
use crate::truth::Mode;

/// A server and the model, both at the same statement of a script.
#[derive(Debug)]
pub struct Script {
    bench: Bench,
    client: Client,
    model: Session,
    /// What a session of the script has set so far, and for which parameter.
    settings: Vec<(String, String)>,
    /// It has temporary relations, which no other session sees.
    temporary: bool,
    /// It has prepared statements.
    prepared: bool,
    /// The statements of the transaction block that is open.
    block: Option<String>,
}

/// What happened with one statement.
#[derive(Clone, Debug)]
pub enum Step {
    Compared(Vec<Difference>),
    /// Both refuse it, with the same words.
    Refused,
    /// It names what the script did not make, of which the model takes for granted that it is there, or needs rights,
    /// of which the model takes for granted that they are there.
    Unknown,
    /// It is left out: it belongs to `psql`, or asks for what these servers do not have.
    Skipped,
}

impl Script {
    pub fn new(bench: Bench, major: u16) -> Self {
        let version = PgVersion::major(major);
        let client = bench.cleaned();
        // The roles that a script makes work where it works.
        client.sql("GRANT ALL ON SCHEMA s TO PUBLIC");
        let mut model = Session::new(Catalog::new(), version);
        for statement in statements(PREAMBLE) {
            model.execute(&statement);
        }
        Self {
            bench: bench.for_scripts(),
            client,
            model,
            settings: Vec::new(),
            temporary: false,
            prepared: false,
            block: None,
        }
    }

    /// Goes on by one statement.
    pub fn step(&mut self, text: &str, statement: &Statement) -> Step {
        if skipped(text) {
            return Step::Skipped;
        }
        match statement {
            Statement::Begin { .. } => {
                self.block.get_or_insert_with(String::new);
                return Step::Skipped;
            }
            Statement::Commit { .. } => return self.commit(),
            Statement::Rollback { .. } => {
                self.block = None;
                return Step::Skipped;
            }
            Statement::Set(_) | Statement::Reset { .. } if self.block.is_none() => return self.set(text, statement),
            // A rollback does not forget it.
            Statement::Session { command, .. }
                if matches!(command.as_str(), "PREPARE" | "DEALLOCATE") && self.block.is_none() =>
            {
                self.prepared = true;
                return self.alone(text, statement);
            }
            _ => {}
        }
        let start = self.told_of_empty();
        let pre = self.block.clone().unwrap_or_default();
        let case = Case { setup: "", session: "", pre: &pre, statement: text, mode: Mode::Tx, holds: Holds::Nothing };
        let prediction = predict_on(&Base::of(start), &case);
        let fresh = (!self.prepared && !self.temporary).then(|| self.bench.session(&self.settings()));
        let session = fresh.as_ref().unwrap_or(&self.client);
        let Answer::Measured(mut measured, mut scope) = self.bench.step(session, &case) else { return Step::Skipped };
        match &measured.error {
            Some((sqlstate, _)) if sqlstate == "25001" && self.block.is_none() => return self.alone(text, statement),
            // It was another session's.
            Some((sqlstate, message))
                if sqlstate == "55000" && message.ends_with("not yet defined in this session") =>
            {
                return Step::Skipped;
            }
            _ => {}
        }
        scope.blocks = false;
        // Few rows are in a table, and a query reads what it likes of them.
        scope.scans = !matches!(
            statement,
            Statement::Select(_)
                | Statement::Insert(_)
                | Statement::Update(_)
                | Statement::Delete(_)
                | Statement::Merge(_)
                | Statement::Copy { .. }
                | Statement::Session { .. }
                | Statement::CreateTableAs(_)
        );
        // Of a table without rows nothing shows whether it is read or written.
        let mut predicted = prediction.observed;
        for set in [&mut predicted.scans, &mut predicted.rewrites, &mut measured.scans, &mut measured.rewrites] {
            set.retain(|name| !self.empty(name));
        }
        // A session that has read the bound of a partition does not look at its parents again.
        if fresh.is_none() {
            predicted
                .locks
                .retain(|name, mode| mode != "AS" || measured.locks.contains_key(name) || !self.is_partitioned(name));
        }
        // The check of a foreign key finds the few rows that are referenced with or without their index.
        measured.scans.retain(|name| predicted.scans.contains(name) || !self.referenced(name));
        let found = differences(&predicted, &prediction.uncertain, &measured, scope);
        if !found.is_empty() && unknown(&self.assumed(), &prediction.uncertain.assumed, &predicted, &measured) {
            return Step::Unknown;
        }
        let apart = |difference: &Difference| matches!(difference.respect, Respect::Errors | Respect::Catalog);
        if measured.error.is_some() && found.is_empty() {
            return Step::Refused;
        }
        if !found.iter().any(apart) {
            match &mut self.block {
                Some(block) => {
                    let _ = writeln!(block, "{text};");
                }
                None => return Step::Compared(self.go_on(&format!("{text};"), found)),
            }
        }
        Step::Compared(found)
    }

    /// Does for good what both agree on.
    fn go_on(&mut self, texts: &str, mut found: Vec<Difference>) -> Vec<Difference> {
        let before = self.model.clone();
        let (mut refused, mut announced) = (None, Vec::new());
        for statement in statements(texts) {
            let outcome = self.model.execute(&statement);
            announced.extend(outcome.effects.may_fail);
            if let Some(refusal) = outcome.error {
                refused = Some((refusal.sqlstate.to_owned(), refusal.message));
                break;
            }
        }
        let done = self.client.try_sql(texts);
        if let Err(error) = &done {
            let _ = self.client.try_sql("ROLLBACK");
            self.model = before;
            // Sequences went on since it was measured, and keys may be looked at only now.
            if !announced.iter().any(|may_fail| may_fail.covers(&error.sqlstate)) {
                found.push(Difference {
                    respect: Respect::Errors,
                    predicted: format!("at the end {refused:?}"),
                    measured: format!("{} {}", error.sqlstate, error.message),
                });
            }
        } else if self.temporary || texts.to_ascii_lowercase().contains("temp") {
            let own = "SELECT 1 FROM pg_class WHERE relnamespace = pg_my_temp_schema()";
            self.temporary = self.client.try_sql(own).is_ok_and(|rows| !rows.is_empty());
        }
        found
    }

    fn commit(&mut self) -> Step {
        let Some(block) = self.block.take() else { return Step::Skipped };
        Step::Compared(self.go_on(&format!("BEGIN;\n{block}COMMIT;"), Vec::new()))
    }

    fn set(&mut self, text: &str, statement: &Statement) -> Step {
        let before = self.model.clone();
        let predicted =
            self.model.execute(statement).error.map(|refusal| (refusal.sqlstate.to_owned(), refusal.message));
        let measured = self.client.try_sql(text).err().map(|error| (error.sqlstate, error.message));
        if measured.is_none() {
            self.keep_setting(text, statement);
        }
        if predicted == measured {
            return Step::Compared(Vec::new());
        }
        self.model = before;
        Step::Compared(vec![Difference {
            respect: Respect::Errors,
            predicted: format!("{predicted:?}"),
            measured: format!("{measured:?}"),
        }])
    }

    /// A later word on a parameter takes the place of an earlier one, which might name a role that is gone by then.
    fn keep_setting(&mut self, text: &str, statement: &Statement) {
        let parameter = match statement {
            Statement::Set(set) => set.name.to_ascii_lowercase(),
            Statement::Reset { parameter: Some(name) } => name.to_ascii_lowercase(),
            _ => {
                self.settings.retain(|(parameter, _)| matches!(parameter.as_str(), "role" | "session_authorization"));
                return;
            }
        };
        self.settings.retain(|(kept, _)| *kept != parameter);
        self.settings.push((parameter, text.to_owned()));
    }

    fn settings(&self) -> String {
        self.settings.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(";\n")
    }

    /// What cannot run in a transaction block.
    fn alone(&mut self, text: &str, statement: &Statement) -> Step {
        let before = self.model.clone();
        let outcome = self.model.execute(statement);
        let predicted = outcome.error.map(|refusal| (refusal.sqlstate.to_owned(), refusal.message));
        let invalid = self.invalid_indexes();
        let measured = self.client.try_sql(text).err().map(|error| (error.sqlstate, error.message));
        if measured.is_some() {
            self.model = before;
            // What was broken off leaves an index behind that is not valid.
            for index in self.invalid_indexes().difference(&invalid) {
                let _ = self.client.try_sql(&format!("DROP INDEX {index}"));
            }
        }
        let announced = measured
            .as_ref()
            .is_some_and(|(sqlstate, _)| outcome.effects.may_fail.iter().any(|may_fail| may_fail.covers(sqlstate)));
        if predicted == measured || announced {
            return Step::Compared(Vec::new());
        }
        Step::Compared(vec![Difference {
            respect: Respect::Errors,
            predicted: format!("{predicted:?}"),
            measured: format!("{measured:?}"),
        }])
    }

    fn invalid_indexes(&self) -> BTreeSet<String> {
        let rows = self.client.try_sql(
            "SELECT i.indexrelid::regclass FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             WHERE NOT i.indisvalid AND c.relkind = 'i'",
        );
        rows.unwrap_or_default().into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
    }

    /// The model, told which tables have no rows.
    fn told_of_empty(&self) -> Session {
        let mut model = self.model.clone();
        let tables: Vec<QualifiedName> =
            model.catalog().tables().filter(|table| !table.foreign).map(|table| table.name.clone()).collect();
        for table in tables {
            if self.empty(&table.to_string()) {
                model.assume_empty(table);
            }
        }
        model
    }

    /// The tables that the model takes for granted.
    fn assumed(&self) -> BTreeSet<String> {
        let tables = self.model.catalog().tables().filter(|table| table.assumed);
        tables.map(|table| table.name.name.as_str().to_owned()).collect()
    }

    fn is_partitioned(&self, name: &str) -> bool {
        let same = |table: &QualifiedName| {
            table.to_string() == name
                || (*table.name.as_str() == *name && table.schema.as_ref().is_some_and(|schema| *schema == "s"))
        };
        self.model.catalog().tables().any(|table| table.partition_by.is_some() && same(&table.name))
    }

    /// Whether a foreign key references the table or one that it is a part of.
    fn referenced(&self, name: &str) -> bool {
        let tables = self.model.catalog().tables();
        let keys = tables.flat_map(|table| table.constraints.iter()).filter_map(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) => Some(&key.table),
            _ => None,
        });
        let same = |table: &QualifiedName| name.rsplit('.').next() == Some(table.name.as_str());
        keys.into_iter().any(|table| same(table) || self.model.catalog().descendants(table).iter().any(same))
    }

    /// Whether the relation itself has no row; of a partitioned table, whether its partitions have none.
    fn empty(&self, name: &str) -> bool {
        let name = quoted(name);
        let name_text = zdm_postgres::quote_literal(&name);
        let rows = |only: &str| {
            format!(
                "SELECT 1 FROM {only}{name} AS t WHERE t.tableoid = {name_text}::regclass \
                 OR {name_text}::regclass IN (SELECT partrelid FROM pg_partitioned_table) LIMIT 1"
            )
        };
        // A foreign table below it cannot be read.
        let rows = self.client.try_sql(&rows("")).or_else(|_| self.client.try_sql(&rows("ONLY ")));
        rows.is_ok_and(|rows| rows.is_empty())
    }
}

/// Whether the model cannot know what the statement names.
fn unknown(before: &BTreeSet<String>, after: &BTreeSet<String>, predicted: &Observed, measured: &Observed) -> bool {
    let missing = measured.error.as_ref().is_some_and(|(sqlstate, message)| {
        sqlstate == "42501"
            || (matches!(sqlstate.as_str(), "42P01" | "42704" | "42883" | "3F000")
                && message.ends_with("does not exist"))
    });
    !after.is_subset(before) || (missing && predicted.error.is_none())
}

/// What is `psql`'s, or needs what these servers do not have, or would not end.
fn skipped(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let bytes = text.as_bytes();
    let variable = text.match_indices(':').any(|(at, _)| {
        let (before, after) = (at.checked_sub(1).and_then(|at| bytes.get(at)), bytes.get(at + 1));
        before != Some(&b':')
            && before.is_none_or(|byte| !byte.is_ascii_digit())
            && after.is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'\'' | b'"' | b'{'))
    });
    variable
        || writes_catalog(&lower)
        || [
            "language c",
            "regresslib",
            "pg_sleep",
            "stdin",
            "stdout",
            "tablespace",
            "database",
            "subscription",
            "prepare transaction",
            "pg_terminate",
            "pg_reload",
        ]
        .iter()
        .any(|word| lower.contains(word))
}

/// Whoever runs the script may change the server's own catalogs, which no rollback of the session's makes good for it.
fn writes_catalog(lower: &str) -> bool {
    let mut words = lower.split_whitespace();
    let target = match (words.next(), words.next()) {
        (Some("update"), Some("only")) | (Some("delete"), Some("from")) | (Some("insert"), Some("into")) => {
            words.next()
        }
        (Some("update"), target) => target,
        _ => None,
    };
    target.is_some_and(|target| target.starts_with("pg_"))
}

/// The SQL of a script for `psql`: without its commands and without the rows behind `COPY … FROM stdin`.
pub fn without_commands(text: &str) -> String {
    let (mut sql, mut rows) = (String::new(), false);
    for line in text.lines() {
        if rows {
            rows = line != "\\.";
            continue;
        }
        let lower = line.to_ascii_lowercase();
        if line.starts_with('\\') {
            continue;
        }
        rows = lower.contains("copy ") && lower.contains("from stdin") && lower.trim_end().ends_with(';');
        let command = ["\\gset", "\\gexec", "\\gdesc", "\\g ", "\\crosstabview", "\\bind", "\\parse"]
            .iter()
            .filter_map(|command| line.find(command))
            .min();
        match command.and_then(|at| line.get(..at)) {
            Some(sql_before) => {
                let _ = writeln!(sql, "{sql_before};");
            }
            None => {
                let _ = writeln!(sql, "{}", line.replace("\\;", ";"));
            }
        }
    }
    sql
}
