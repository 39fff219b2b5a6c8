//! Where a migration that is not atomic stands: an earlier run may have been killed between two of its statements.
//!
//! The replay knows what the tables of the migration look like after each of its messages. The server is asked what they
//! look like now; where that is exactly what they are after the first messages, those are done. They are passed over if
//! none of them, and nothing that may or may not have run behind them, changes rows or is Python: then nothing is done
//! twice and nothing is left out. Else the run is refused, with what is done and what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use tokio_postgres::SimpleQueryMessage;
use zdm_conn::{Literal, Session};
use zdm_postgres::catalog::{Catalog, ConstraintKind, Table};
use zdm_postgres::{QualifiedName, Statement, deparse};
use zdm_replay::MigrationTrace;

use crate::core::shortened;

/// Something of a table that a statement can make or take away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Thing {
    table: QualifiedName,
    /// `table`, `column`, `constraint`, `index`.
    kind: &'static str,
    name: String,
}

/// Definitions as the server prints them.
type Shape = BTreeMap<Thing, String>;

/// One message that the migration sends.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    sql: Arc<str>,
    statements: Vec<Statement>,
    operation: usize,
    deferred: bool,
}

/// A migration's messages, and what varies between them.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    messages: Vec<Message>,
    /// What varies, before the first message and after each one.
    shapes: Vec<Shape>,
    varying: BTreeSet<Thing>,
    tables: BTreeSet<QualifiedName>,
    /// Operations that run Python, by index.
    python: BTreeSet<usize>,
    /// Why the replay is not the whole truth.
    doubt: Option<String>,
}

/// How far the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As before the migration, or in a way that says nothing.
    Start,
    /// So many messages are done, and can be passed over.
    Done(usize),
    /// A part is done, and going on by itself is not safe.
    Unclear(String),
}

impl Course {
    pub(crate) fn of(trace: &MigrationTrace) -> Self {
        let mut messages: Vec<Message> = Vec::new();
        let mut catalogs = vec![&trace.catalog_before];
        let mut doubt = None;
        let mut call = None;
        for step in &trace.steps {
            if step.outcome.error.is_some() || step.placeholder {
                doubt.get_or_insert_with(|| format!("`{}` was not understood before it ran", shortened(&step.sql)));
            }
            if call == Some(step.call)
                && let (Some(message), Some(catalog)) = (messages.last_mut(), catalogs.last_mut())
            {
                message.statements.push(step.statement.clone());
                *catalog = &step.catalog_after;
                continue;
            }
            call = Some(step.call);
            catalogs.push(&step.catalog_after);
            messages.push(Message {
                sql: Arc::clone(&step.sent),
                statements: vec![step.statement.clone()],
                operation: step.operation,
                deferred: step.deferred,
            });
        }
        for operation in &trace.operations {
            if let Some((_, why)) = operation.not_analysed.first() {
                doubt.get_or_insert_with(|| format!("operation {}: {why}", operation.index + 1));
            }
        }
        let tables = touched(&catalogs);
        for table in tables.iter().filter_map(|name| trace.catalog_before.table(name)) {
            if table.assumed || table.uncertain {
                doubt.get_or_insert_with(|| format!("what `{}` looked like before is not known", table.name));
            }
        }
        let mut shapes: Vec<Shape> = catalogs.iter().map(|catalog| shape(catalog, &tables)).collect();
        let mut varying = BTreeSet::new();
        for pair in shapes.windows(2) {
            let [before, after] = pair else { continue };
            varying
                .extend(before.iter().filter(|(thing, text)| after.get(*thing) != Some(*text)).map(|(t, _)| t.clone()));
            varying
                .extend(after.iter().filter(|(thing, text)| before.get(*thing) != Some(*text)).map(|(t, _)| t.clone()));
        }
        for shape in &mut shapes {
            shape.retain(|thing, _| varying.contains(thing));
        }
        let python = trace.operations.iter().filter(|one| one.python).map(|one| one.index).collect();
        Self { messages, shapes, varying, tables, python, doubt }
    }

    /// Whether the server can tell anything.
    fn is_visible(&self) -> bool {
        !self.varying.is_empty()
    }

    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Compares with what the server has.
    fn standing(&self, live: &Shape) -> Standing {
        let live: Shape = live
            .iter()
            .filter(|(thing, _)| self.varying.contains(*thing))
            .map(|(t, d)| (t.clone(), d.clone()))
            .collect();
        let exact: Vec<usize> = (0..self.shapes.len()).filter(|at| self.shapes.get(*at) == Some(&live)).collect();
        let (Some(first), Some(last)) = (exact.first().copied(), exact.last().copied()) else {
            return self.by_presence(&live);
        };
        if first == 0 {
            return Standing::Start;
        }
        let doubt = self.doubt.clone().or_else(|| self.unsafe_before(first, last));
        match doubt {
            None => Standing::Done(first),
            // It can run from its beginning all the same.
            Some(_) if self.messages.iter().take(first).all(Message::may_run_again) => Standing::Start,
            Some(doubt) => Standing::Unclear(self.report(first, &doubt)),
        }
    }

    /// Where the names agree with a later message and a definition does not.
    fn by_presence(&self, live: &Shape) -> Standing {
        if self.doubt.is_some() {
            return Standing::Start;
        }
        let names = |shape: &Shape| shape.keys().cloned().collect::<Vec<_>>();
        let found = names(live);
        let Some(done) = (0..self.shapes.len()).find(|at| self.shapes.get(*at).map(names).as_ref() == Some(&found))
        else {
            return Standing::Start;
        };
        let Some(expected) = self.shapes.get(done).filter(|_| done > 0) else { return Standing::Start };
        if self.messages.iter().take(done).all(Message::may_run_again) {
            return Standing::Start;
        }
        let Some((thing, text)) = live.iter().find(|(thing, text)| expected.get(*thing) != Some(*text)) else {
            return Standing::Start;
        };
        let wanted = expected.get(thing).map_or("", String::as_str);
        Standing::Unclear(self.report(
            done,
            &format!(
                "the {} `{}` of `{}` is `{text}`, where the migration makes `{wanted}`",
                thing.kind, thing.name, thing.table
            ),
        ))
    }

    /// What keeps the messages before `first` from being passed over, or those up to `last`, of which nobody can tell
    /// whether they have run, from being run.
    fn unsafe_before(&self, first: usize, last: usize) -> Option<String> {
        let last_operation =
            self.messages.iter().take(first).filter(|one| !one.deferred).map(|one| one.operation).max();
        let next_operation =
            self.messages.get(last).map_or(usize::MAX, |one| if one.deferred { usize::MAX } else { one.operation });
        let all_operations_done = self.messages.iter().take(first).any(|one| one.deferred);
        for operation in &self.python {
            let is_before = all_operations_done || last_operation.is_some_and(|done| *operation <= done);
            if is_before {
                return Some(format!("operation {} runs Python, and has probably run", operation + 1));
            }
            // Behind what is done, and in front of the next message that would show.
            if last > first && *operation < next_operation {
                return Some(format!(
                    "operation {} runs Python, and nobody can tell whether it has run",
                    operation + 1
                ));
            }
        }
        if let Some(message) = self.messages.iter().take(first).find(|one| one.changes_rows()) {
            return Some(format!("`{}` changes rows, and has probably run", shortened(&message.sql)));
        }
        self.messages
            .iter()
            .take(last)
            .skip(first)
            .find(|one| one.changes_rows())
            .map(|one| format!("nobody can tell whether `{}` has run", shortened(&one.sql)))
    }

    fn report(&self, done: usize, doubt: &str) -> String {
        let mut text = "an earlier run of it was cut off between its statements.".to_owned();
        for (title, part) in [
            ("Done:", self.messages.get(..done).unwrap_or_default()),
            ("Left:", self.messages.get(done..).unwrap_or_default()),
        ] {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {title}");
            for message in part {
                let _ = write!(text, "\n    {}", shortened(&message.sql));
            }
            if part.is_empty() {
                text.push_str(" nothing");
            }
        }
        let _ = write!(
            text,
            "\n  It is not gone on with: {doubt}. Run by hand what is left and record it with `migrate --fake`, or take back \
             what is done and migrate again"
        );
        text
    }
}

impl Message {
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    /// It changes the session alone, which is another one now.
    pub(crate) fn only_sets(&self) -> bool {
        self.statements.iter().all(|statement| matches!(statement, Statement::Set(_) | Statement::Reset { .. }))
    }

    /// Whether the child sends this.
    pub(crate) fn is(&self, sql: &str) -> bool {
        sql.trim() == self.sql.trim()
            || zdm_sql::parse(sql).into_iter().map(|parsed| parsed.statement).eq(self.statements.iter().cloned())
    }

    fn changes_rows(&self) -> bool {
        self.statements.iter().any(|statement| {
            !matches!(
                statement,
                Statement::CreateTable(_)
                    | Statement::AlterTable(_)
                    | Statement::CreateIndex(_)
                    | Statement::Reindex(_)
                    | Statement::Drop(_)
                    | Statement::CreateView(_)
                    | Statement::RefreshMaterializedView { .. }
                    | Statement::CreateSequence(_)
                    | Statement::AlterSequence { .. }
                    | Statement::CreateType { .. }
                    | Statement::AlterType { .. }
                    | Statement::CreateDomain(_)
                    | Statement::AlterDomain { .. }
                    | Statement::CreateFunction(_)
                    | Statement::CreateTrigger(_)
                    | Statement::CreateRule { .. }
                    | Statement::CreatePolicy { .. }
                    | Statement::AlterPolicy { .. }
                    | Statement::AlterOnTable { .. }
                    | Statement::CreateSchema { .. }
                    | Statement::CreateExtension { .. }
                    | Statement::CreateStatistics { .. }
                    | Statement::Comment { .. }
                    | Statement::Set(_)
                    | Statement::Reset { .. }
                    | Statement::Analyze { .. }
                    | Statement::Vacuum { .. }
            )
        })
    }

    /// `IF [NOT] EXISTS`, and what only sets something.
    fn may_run_again(&self) -> bool {
        self.statements.iter().all(|statement| match statement {
            Statement::CreateIndex(create) => create.if_not_exists,
            Statement::CreateTable(create) => create.if_not_exists,
            Statement::Drop(drop) => drop.if_exists,
            Statement::AlterTable(alter) => alter.actions.iter().all(|action| {
                use zdm_postgres::statement::AlterTableAction as Action;
                match action {
                    Action::AddColumn { if_not_exists, .. } => *if_not_exists,
                    Action::DropColumn { if_exists, .. } | Action::DropConstraint { if_exists, .. } => *if_exists,
                    Action::SetDefault { .. }
                    | Action::DropDefault { .. }
                    | Action::SetNotNull { .. }
                    | Action::DropNotNull { .. }
                    | Action::ValidateConstraint { .. } => true,
                    _ => false,
                }
            }),
            Statement::Set(_) | Statement::Reset { .. } => true,
            _ => false,
        })
    }
}

/// Tables that are not the same throughout.
fn touched(catalogs: &[&Catalog]) -> BTreeSet<QualifiedName> {
    let mut touched = BTreeSet::new();
    for pair in catalogs.windows(2) {
        let [before, after] = pair else { continue };
        for (one, other) in [(before, after), (after, before)] {
            for table in one.tables() {
                let same = other.table(&table.name).is_some_and(|found| Arc::ptr_eq(found, table) || found == table);
                if !same {
                    touched.insert(table.name.clone());
                }
            }
        }
    }
    touched
}

fn shape(catalog: &Catalog, tables: &BTreeSet<QualifiedName>) -> Shape {
    let mut shape = Shape::new();
    for table in tables.iter().filter_map(|name| catalog.table(name)) {
        describe(catalog, table, &mut shape);
    }
    shape
}

fn describe(catalog: &Catalog, table: &Table, shape: &mut Shape) {
    let mut add = |kind, name: &str, text: String| {
        shape.insert(Thing { table: table.name.clone(), kind, name: name.to_owned() }, text);
    };
    add("table", "", String::new());
    for column in &table.columns {
        let mut text = column.data_type.to_string();
        if let Some(collation) = &column.collation {
            // Writing to a String cannot fail.
            let _ = write!(text, " COLLATE {}", collation.name.as_str());
        }
        if column.not_null {
            text.push_str(" NOT NULL");
        }
        if let Some(identity) = &column.identity {
            text.push_str(if identity.always { " IDENTITY a" } else { " IDENTITY d" });
        } else if let Some(default) = deparse::default(catalog, table, column) {
            text.push_str(if column.generated.is_some() { " GENERATED " } else { " DEFAULT " });
            text.push_str(&default);
        }
        add("column", column.name.as_str(), text);
    }
    for constraint in table.constraints.iter().filter(|one| !matches!(one.kind, ConstraintKind::NotNull { .. })) {
        add("constraint", constraint.name.as_str(), deparse::constraint(catalog, table, constraint));
    }
    // One that is not valid is dropped and built again.
    for index in table.indexes.iter().filter(|index| index.valid) {
        add("index", index.name.as_str(), deparse::index(catalog, table, index));
    }
}

/// Looks how far the database is.
pub(crate) async fn look(session: &Session, course: &Course) -> Result<Standing, tokio_postgres::Error> {
    if !course.is_visible() {
        return Ok(Standing::Start);
    }
    let mut live = Shape::new();
    for table in &course.tables {
        let name = match &table.schema {
            Some(schema) => format!("{}.{}", quoted(schema.as_str()), quoted(table.name.as_str())),
            None => quoted(table.name.as_str()),
        };
        let Ok(name) = Literal::new(name) else { continue };
        let sql = format!(
            "WITH t AS (SELECT pg_catalog.to_regclass({name})::oid AS oid) \
             SELECT 'table'::text, ''::text, ''::text FROM t WHERE oid IS NOT NULL \
             UNION ALL SELECT 'column', a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod) \
                 || COALESCE((SELECT ' COLLATE ' || o.collname::text FROM pg_catalog.pg_type AS y \
                    JOIN pg_catalog.pg_collation AS o ON o.oid = a.attcollation \
                    WHERE y.oid = a.atttypid AND y.typcollation <> a.attcollation), '') \
                 || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END \
                 || CASE WHEN a.attidentity <> '' THEN ' IDENTITY ' || a.attidentity::text ELSE COALESCE( \
                    CASE WHEN a.attgenerated <> '' THEN ' GENERATED ' ELSE ' DEFAULT ' END \
                    || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') END \
               FROM t JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid \
               LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
               WHERE a.attnum > 0 AND NOT a.attisdropped \
             UNION ALL SELECT 'constraint', c.conname::text, pg_catalog.pg_get_constraintdef(c.oid) \
               FROM t JOIN pg_catalog.pg_constraint AS c ON c.conrelid = t.oid WHERE c.contype IN ('c', 'f', 'p', 'u', 'x') \
             UNION ALL SELECT 'index', n.relname::text, pg_catalog.pg_get_indexdef(i.indexrelid) \
               FROM t JOIN pg_catalog.pg_index AS i ON i.indrelid = t.oid \
               JOIN pg_catalog.pg_class AS n ON n.oid = i.indexrelid WHERE i.indisvalid"
        );
        for message in session.client().simple_query(&sql).await? {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let kind = match row.get(0) {
                Some("table") => "table",
                Some("column") => "column",
                Some("constraint") => "constraint",
                _ => "index",
            };
            let thing = Thing { table: table.clone(), kind, name: row.get(1).unwrap_or_default().to_owned() };
            live.insert(thing, row.get(2).unwrap_or_default().to_owned());
        }
    }
    Ok(course.standing(&live))
}

fn quoted(name: &str) -> String {
    zdm_postgres::quote_identifier(name)
}
