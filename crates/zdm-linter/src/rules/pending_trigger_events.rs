//! ZDM303: a table is altered while changes of its rows wait for deferred constraint triggers.

use zdm_django::Resolver;
use zdm_django::operation::{CodeFact, CodeFactKind, CodeModel, RunPython};
use zdm_django::state::ModelState;
use zdm_postgres::session::Session;
use zdm_postgres::statement::Dml;
use zdm_postgres::{Ident, QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Fix};

use crate::context::Cx;
use crate::fixes;
use crate::words::{Link, named_model, python_operations};

const HELP: &str = "change the data in a migration of its own; or send `SET CONSTRAINTS ALL IMMEDIATE` between the two";

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.steps() {
        let Some((when, message)) = refusal(step) else { continue };
        let diagnostic = cx
            .at_step(step, format!("PostgreSQL refuses this statement{when}: {message}"))
            .with_fact("rows of the table were changed in the same transaction, and the checks of its deferred foreign keys are still to come")
            .with_help(HELP);
        out.push(Cx::fixed(diagnostic, split(cx, step)));
    }
    if cx.migration.migration.atomic {
        for (index, run) in python_operations(cx) {
            behind_python(cx, index, run, out);
        }
    }
}

/// Under which condition the statement is refused, and what the server says then.
pub(super) fn refusal(step: &Step) -> Option<(&'static str, &str)> {
    if let Some(error) = &step.outcome.error {
        return (error.sqlstate == "55006").then_some(("", &error.message));
    }
    let may_fail = step.outcome.effects.may_fail.iter().find(|may_fail| may_fail.sqlstate == "55006")?;
    Some((" if rows were changed before", &may_fail.condition))
}

/// A new migration from the statement's operation on; a deferred statement would stay behind with its operation.
fn split(cx: &Cx<'_>, step: &Step) -> Option<Fix> {
    if step.deferred { None } else { fixes::split_before(cx, step.operation) }
}

/// The first statement that what the code does to rows makes impossible: found by executing the rest of the migration
/// behind such changes.
fn behind_python(cx: &Cx<'_>, index: usize, run: &RunPython, out: &mut Vec<Diagnostic>) {
    let later: Vec<&Step> = cx.migration.steps.iter().filter(|step| step.operation > index || step.deferred).collect();
    if later.is_empty() {
        return;
    }
    // What came before counts: Django checks the constraint of a new column at once from there on.
    let earlier: Vec<&Step> =
        cx.migration.steps.iter().filter(|step| step.operation <= index && !step.deferred).collect();
    let changes = run.body.facts.iter().filter_map(|fact| Some((fact, change(cx, index, fact)?)));
    for (fact, (statement, what)) in changes {
        let mut session = Session::new(cx.migration.catalog_before.clone(), cx.version());
        session.execute(&Statement::BEGIN);
        for step in earlier.iter().filter(|step| !step.is_refused()) {
            session.execute(&step.statement);
        }
        if session.execute(&statement).error.is_some() {
            continue;
        }
        for step in &later {
            let outcome = session.execute(&step.statement);
            if step.is_refused() {
                continue;
            }
            let announced = outcome.effects.may_fail.iter().find(|may_fail| may_fail.sqlstate == "55006");
            let message = match &outcome.error {
                Some(error) => (error.sqlstate == "55006").then_some(&error.message),
                None if announced.is_some() => announced.map(|may_fail| &may_fail.condition),
                None => continue,
            };
            if let Some(message) = message {
                let diagnostic =
                    cx.at_step(step, format!("PostgreSQL refuses this statement once Python code {what} in the same transaction: {message}"))
                        .with_related(zdm_source::Label::new(&cx.migration.migration.file, fact.span, "rows change here"))
                        .with_fact("the checks of deferred foreign keys come at the end of the transaction; it fails only where such rows exist: on production")
                        .with_help(HELP);
                out.push(Cx::fixed(diagnostic, split(cx, step)));
            }
            break;
        }
    }
}

/// The change as a statement, and in words.
fn change(cx: &Cx<'_>, index: usize, fact: &CodeFact) -> Option<(Statement, String)> {
    let state = &cx.migration.operations.get(index)?.state_before;
    let resolver = Resolver::new(state, &cx.options.context);
    let find = |model: &CodeModel| named_model(cx, index, model).map(|found| (found.model, found.table));
    let columns_of = |model: &ModelState, fields: &mut dyn Iterator<Item = &str>| -> Vec<Ident> {
        let column = |name: &str| {
            let field = resolver.field(model, name);
            let field = field.or_else(|_| resolver.field(model, name.strip_suffix("_id").unwrap_or(name)));
            field.ok()?.column.map(|column| Ident::new(column.to_string()))
        };
        fields.filter_map(column).collect()
    };
    // The columns are all of them, so that none is left without a value.
    let all_columns = |table: &QualifiedName| -> Option<Vec<Ident>> {
        let known = cx.migration.steps.iter().find(|step| step.operation > index || step.deferred)?;
        Some(known.catalog_before.table(table)?.columns.iter().map(|column| column.name.clone()).collect())
    };
    let dml = |table, columns| Dml {
        table,
        only: zdm_postgres::statement::Only::default(),
        columns,
        predicate: None,
        query: zdm_postgres::statement::Query::default(),
        on_conflict_update: false,
        conflict_columns: Vec::new(),
        conflict: None,
        values_rows: Some(1),
        given: Vec::new(),
        uneven: false,
        overriding: None,
        values: Vec::new(),
        merge: Vec::new(),
        merge_on: Vec::new(),
    };
    match &fact.kind {
        CodeFactKind::Creates { model }
        | CodeFactKind::CreatesAtOnce { model }
        | CodeFactKind::CreatesEach { model, .. } => {
            let found = named_model(cx, index, model)?;
            let what = format!("has inserted rows into `{}`", found.table);
            Some((Statement::Insert(dml(found.table.clone(), all_columns(&found.table)?)), what))
        }
        CodeFactKind::Relates { model, .. } | CodeFactKind::RelatesAtOnce { model, .. } => {
            let found = named_model(cx, index, model)?;
            let removes = matches!(&fact.kind, CodeFactKind::Relates { removes: true, .. });
            match (found.link, removes) {
                (Link::ManyToMany(through), false) => {
                    let what = format!("has inserted rows into `{through}`");
                    Some((Statement::Insert(dml(through.clone(), all_columns(&through)?)), what))
                }
                (Link::ManyToMany(through), true) => {
                    let what = format!("has deleted rows of `{through}`");
                    Some((Statement::Delete(dml(through, Vec::new())), what))
                }
                (Link::Referring(column), _) => {
                    let what = format!("has changed `{}.{column}`", found.table);
                    Some((Statement::Update(dml(found.table, vec![column])), what))
                }
                (Link::Object, _) => None,
            }
        }
        CodeFactKind::Saves { model, fields } => {
            let (model, table) = find(model)?;
            let columns = columns_of(&model, &mut fields.iter().map(|name| &**name));
            let what = format!("has changed `{table}.{}`", columns.first()?);
            Some((Statement::Update(dml(table, columns)), what))
        }
        CodeFactKind::Updates { model, set: Some(set), .. } => {
            let (model, table) = find(model)?;
            let columns = columns_of(&model, &mut set.iter().map(|(name, _)| &**name));
            let what = format!("has changed `{table}.{}`", columns.first()?);
            Some((Statement::Update(dml(table, columns)), what))
        }
        CodeFactKind::Deletes { model, .. } | CodeFactKind::DeletesEach { model, .. } => {
            let (_, table) = find(model)?;
            let what = format!("has deleted rows of `{table}`");
            Some((Statement::Delete(dml(table, Vec::new())), what))
        }
        _ => None,
    }
}
