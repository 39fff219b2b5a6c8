//! The way back: what `migrate shop 0001` makes of a migration's operations, last one first.
//!
//! Each operation becomes the operation that does what its `database_backwards` does, between the states that Django
//! computes for it; so the schema editor needs to know one direction only.
//!
//! Source: Django's documentation, "Writing your own migration operations", and the behaviour of `sqlmigrate --backwards`.

use std::sync::Arc;

use crate::migration::Migration;
use crate::operation::{Operation, OperationKind, OwnWayBack, RunPython, RunSql, SqlSource, SqlText, TextMap};
use crate::state::{ModelKey, ModelState, ProjectState};
use crate::value::Value;

/// A migration's operations backwards, each between the states before and after it is unapplied.
#[derive(Clone, Debug)]
pub struct WayBack {
    /// The same migration with the reversed operations; an operation that sends nothing is left out.
    pub migration: Migration,
    /// One pair per operation: what holds before it is unapplied, and after.
    pub states: Vec<(ProjectState, ProjectState)>,
}

/// The way back through `migration`, up to the first operation that has none. `states` are those before and after each
/// top-level operation forwards.
pub fn way_back(migration: &Migration, states: &[(ProjectState, ProjectState)]) -> WayBack {
    let mut back = WayBack { migration: Migration { operations: Vec::new(), ..migration.clone() }, states: Vec::new() };
    if migration.unapplies_itself {
        return back;
    }
    for (operation, (before, after)) in migration.operations.iter().zip(states).rev() {
        if !back.push(&migration.key.app, operation, before, after, 0) {
            break;
        }
    }
    back
}

/// Operations inside of each other.
const MAX_DEPTH: u8 = 16;

impl WayBack {
    /// False where the operation cannot be unapplied, so that nothing before it can be.
    fn push(
        &mut self,
        app: &str,
        operation: &Operation,
        before: &ProjectState,
        after: &ProjectState,
        depth: u8,
    ) -> bool {
        if depth > MAX_DEPTH {
            return false;
        }
        match operation.way_back {
            OwnWayBack::OfItsKind => {}
            OwnWayBack::Nothing => return true,
            OwnWayBack::NotKnown => return false,
        }
        // The way back asks nothing.
        if let OperationKind::Where { operations, .. } = &operation.kind {
            return operations.iter().rev().all(|nested| self.push(app, nested, before, after, depth + 1));
        }
        if let OperationKind::SeparateDatabaseAndState { database_operations, .. } = &operation.kind {
            // Django goes forwards from the state before through the database operations alone.
            let mut states = vec![before.clone()];
            for nested in database_operations {
                let mut next = states.last().unwrap_or(before).clone();
                drop(next.apply(app, nested));
                states.push(next);
            }
            return database_operations
                .iter()
                .zip(states.windows(2))
                .rev()
                .all(|(nested, states)| self.push(app, nested, &states[0], &states[1], depth + 1));
        }
        match backwards(app, &operation.kind, before) {
            Way::Back(kind) => {
                self.migration.operations.push(Operation { kind: *kind, ..operation.clone() });
                self.states.push((after.clone(), before.clone()));
                true
            }
            Way::Nothing => true,
            Way::None => false,
        }
    }
}

enum Way {
    Back(Box<OperationKind>),
    /// Unapplying it does nothing to the database.
    Nothing,
    /// It cannot be unapplied, or not in a way that is known.
    None,
}

/// The operation that unapplies another one; `before` is the state that it leads back to.
fn backwards(app: &str, kind: &OperationKind, before: &ProjectState) -> Way {
    let model = |name: &str| before.model(&ModelKey::new(app, name));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(Arc::from);
    let option = |name: &str, option: &str| model(name).and_then(|model| model.options.get(option).cloned());
    let made = match kind {
        OperationKind::CreateModel { name, .. } => Some(OperationKind::DeleteModel { name: name.clone() }),
        OperationKind::DeleteModel { name } => model(name).map(|model| create(model)),
        OperationKind::RenameModel { old_name, new_name } => {
            Some(OperationKind::RenameModel { old_name: new_name.clone(), new_name: old_name.clone() })
        }
        OperationKind::AlterModelTable { name, .. } => {
            Some(OperationKind::AlterModelTable { name: name.clone(), table: text(option(name, "db_table").as_ref()) })
        }
        OperationKind::AlterModelTableComment { name, .. } => Some(OperationKind::AlterModelTableComment {
            name: name.clone(),
            table_comment: text(option(name, "db_table_comment").as_ref()),
        }),
        OperationKind::AlterUniqueTogether { name, .. } => Some(OperationKind::AlterUniqueTogether {
            name: name.clone(),
            unique_together: option(name, "unique_together").unwrap_or(Value::Set(Vec::new().into())),
        }),
        OperationKind::AlterIndexTogether { name, .. } => Some(OperationKind::AlterIndexTogether {
            name: name.clone(),
            index_together: option(name, "index_together").unwrap_or(Value::Set(Vec::new().into())),
        }),
        OperationKind::AlterOrderWithRespectTo { name, .. } => Some(OperationKind::AlterOrderWithRespectTo {
            name: name.clone(),
            order_with_respect_to: text(option(name, "order_with_respect_to").as_ref()),
        }),
        OperationKind::AddField { model_name, field, .. } => {
            Some(OperationKind::RemoveField { model_name: model_name.clone(), name: field.name.clone() })
        }
        OperationKind::RemoveField { model_name, name } => field(model(model_name), name)
            .map(|field| OperationKind::AddField { model_name: model_name.clone(), field, preserve_default: true }),
        OperationKind::AlterField { model_name, field: new, .. } => field(model(model_name), &new.name)
            .map(|field| OperationKind::AlterField { model_name: model_name.clone(), field, preserve_default: true }),
        OperationKind::RenameField { model_name, old_name, new_name } => Some(OperationKind::RenameField {
            model_name: model_name.clone(),
            old_name: new_name.clone(),
            new_name: old_name.clone(),
        }),
        OperationKind::AddIndex { model_name, index, concurrently } => index.name.clone().map(|name| {
            OperationKind::RemoveIndex { model_name: model_name.clone(), name, concurrently: *concurrently }
        }),
        OperationKind::RemoveIndex { model_name, name, concurrently } => {
            let index = |model: &Arc<ModelState>| {
                model.options.indexes.iter().find(|index| index.name.as_ref() == Some(name)).cloned()
            };
            model(model_name).and_then(index).map(|index| OperationKind::AddIndex {
                model_name: model_name.clone(),
                index,
                concurrently: *concurrently,
            })
        }
        OperationKind::RenameIndex { model_name, new_name, old_name: Some(old_name), .. } => {
            Some(OperationKind::RenameIndex {
                model_name: model_name.clone(),
                new_name: old_name.clone(),
                old_name: Some(new_name.clone()),
                old_fields: None,
            })
        }
        OperationKind::AddConstraint { model_name, constraint, .. } => {
            Some(OperationKind::RemoveConstraint { model_name: model_name.clone(), name: constraint.name.clone() })
        }
        OperationKind::RemoveConstraint { model_name, name } => {
            let constraint = |model: &Arc<ModelState>| {
                model.options.constraints.iter().find(|constraint| constraint.name == *name).cloned()
            };
            model(model_name).and_then(constraint).map(|constraint| OperationKind::AddConstraint {
                model_name: model_name.clone(),
                constraint,
                not_valid: false,
            })
        }
        OperationKind::CreateExtension { name } => {
            Some(sql(format!("DROP EXTENSION IF EXISTS \"{}\"", name.replace('"', "\"\""))))
        }
        OperationKind::CreateCollation { name, locale, provider, deterministic } => {
            Some(OperationKind::RemoveCollation {
                name: name.clone(),
                locale: locale.clone(),
                provider: provider.clone(),
                deterministic: *deterministic,
            })
        }
        OperationKind::RemoveCollation { name, locale, provider, deterministic } => {
            Some(OperationKind::CreateCollation {
                name: name.clone(),
                locale: locale.clone(),
                provider: provider.clone(),
                deterministic: *deterministic,
            })
        }
        OperationKind::RunSql(run) => run.reverse_sql.as_ref().map(|reverse| {
            OperationKind::RunSql(RunSql {
                sql: reverse.clone(),
                reverse_sql: Some(run.sql.clone()),
                state_operations: Vec::new(),
                elidable: run.elidable,
            })
        }),
        OperationKind::RunPython(run) => run.reverse_code.as_ref().map(|reverse| {
            OperationKind::RunPython(RunPython {
                code: reverse.clone(),
                reverse_code: Some(run.code.clone()),
                function: run.reverse_function.clone(),
                reverse_function: run.function.clone(),
                body: run.reverse_body.clone(),
                reverse_body: run.body.clone(),
                ..run.clone()
            })
        }),
        // State only, or without a way back in the database.
        OperationKind::AlterModelOptions { .. }
        | OperationKind::AlterModelManagers { .. }
        | OperationKind::AlterConstraint { .. }
        | OperationKind::ValidateConstraint { .. }
        | OperationKind::RenameIndex { old_name: None, .. }
        | OperationKind::NoOp => return Way::Nothing,
        OperationKind::SeparateDatabaseAndState { .. }
        | OperationKind::Where { .. }
        | OperationKind::Known(_)
        | OperationKind::Unknown { .. } => None,
    };
    made.map_or(Way::None, |kind| Way::Back(Box::new(kind)))
}

fn create(model: &ModelState) -> OperationKind {
    OperationKind::CreateModel {
        name: model.name.clone(),
        fields: model.fields.clone(),
        options: model.options.clone(),
        bases: model.bases.clone(),
        managers: false,
    }
}

fn field(model: Option<&Arc<ModelState>>, name: &str) -> Option<crate::field::Field> {
    model?.fields.iter().find(|field| &*field.name == name).cloned()
}

fn sql(text: String) -> OperationKind {
    let text = SqlText { text: Arc::from(text), params: None, map: TextMap::default() };
    OperationKind::RunSql(RunSql {
        sql: SqlSource::Texts(vec![text]),
        reverse_sql: None,
        state_operations: Vec::new(),
        elidable: false,
    })
}
