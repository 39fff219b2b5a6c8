//! Operations on the state: `state_forwards` of each.

use std::sync::Arc;

use super::relations::{RelationTarget, is_relation, model_reference};
use super::{ModelKey, ModelState, ProjectState, together_groups};
use crate::field::Field;
use crate::operation::{Constraint, Index, KnownOperation, Operation, OperationKind, Options};
use crate::value::Value;

/// Options that `AlterModelOptions` removes where they are not given (Django's `ALTER_OPTION_KEYS`).
const ALTER_OPTION_KEYS: [&str; 11] = [
    "base_manager_name",
    "default_manager_name",
    "default_related_name",
    "get_latest_by",
    "managed",
    "ordering",
    "permissions",
    "default_permissions",
    "select_on_save",
    "verbose_name",
    "verbose_name_plural",
];

/// Operations nest no deeper.
const MAX_DEPTH: u8 = 16;

impl ProjectState {
    /// Applies what `operation` does to the state of `app`. The reasons why parts of it could not be applied are
    /// returned; those parts leave the state as it was.
    pub fn apply(&mut self, app: &str, operation: &Operation) -> Vec<String> {
        let mut reasons = Vec::new();
        self.apply_into(app, operation, &mut reasons, 0);
        reasons
    }

    fn apply_into(&mut self, app: &str, operation: &Operation, reasons: &mut Vec<String>, depth: u8) {
        if depth > MAX_DEPTH {
            reasons.push("operations are nested too deeply".to_owned());
            return;
        }
        let mut nested = |state: &mut Self, operations: &[Operation]| {
            for operation in operations {
                state.apply_into(app, operation, reasons, depth + 1);
            }
        };
        match &operation.kind {
            OperationKind::SeparateDatabaseAndState { state_operations, .. } => nested(self, state_operations),
            OperationKind::RunSql(run_sql) => nested(self, &run_sql.state_operations),
            OperationKind::Where { operations, .. } => nested(self, operations),
            OperationKind::Known(KnownOperation { state_operations, .. }) => nested(self, state_operations),
            OperationKind::Unknown { reason, possible, .. } => {
                self.doubt(app, operation);
                for operation in possible {
                    self.suppose(app, operation, depth + 1);
                }
                reasons.push(reason.to_string());
            }
            kind => {
                let doubt = self.doubt_about(app, kind);
                let applied = self.apply_kind(app, kind);
                match (doubt, applied) {
                    (Some(reason), _) => {
                        self.doubt(app, operation);
                        reasons.push(reason);
                    }
                    (None, Err(reason)) => reasons.push(reason),
                    (None, Ok(())) => {}
                }
                self.settle(app, kind);
            }
        }
    }

    /// What `operation` may do, if it is there: what it adds is entered, so that what follows can speak of it; what it
    /// removes stays. Either is uncertain from here on.
    fn suppose(&mut self, app: &str, operation: &Operation, depth: u8) {
        self.doubt(app, operation);
        let nested: &[Operation] = match &operation.kind {
            OperationKind::SeparateDatabaseAndState { state_operations, .. }
            | OperationKind::Known(KnownOperation { state_operations, .. }) => state_operations,
            OperationKind::RunSql(run_sql) => &run_sql.state_operations,
            OperationKind::Where { operations, .. } => operations,
            OperationKind::DeleteModel { .. }
            | OperationKind::RenameModel { .. }
            | OperationKind::RemoveField { .. }
            | OperationKind::RenameField { .. }
            | OperationKind::RemoveIndex { .. }
            | OperationKind::RemoveConstraint { .. }
            | OperationKind::Unknown { .. } => &[],
            kind => {
                // Where it cannot be applied, there is nothing that later operations could speak of.
                let _ = self.apply_kind(app, kind);
                &[]
            }
        };
        if depth < MAX_DEPTH {
            for operation in nested {
                self.suppose(app, operation, depth + 1);
            }
        }
    }

    fn apply_kind(&mut self, app: &str, kind: &OperationKind) -> Result<(), String> {
        match kind {
            OperationKind::CreateModel { name, fields, options, bases, .. } => {
                self.insert(ModelState {
                    app: Arc::from(app),
                    name: name.clone(),
                    fields: fields.clone(),
                    options: options.clone(),
                    bases: bases.clone(),
                    assumed: false,
                });
                Ok(())
            }
            OperationKind::DeleteModel { name } => {
                let key = ModelKey::new(app, name);
                self.existing(&key)?;
                self.remove(&key);
                Ok(())
            }
            OperationKind::RenameModel { old_name, new_name } => self.rename_model(app, old_name, new_name),
            OperationKind::AlterModelTable { name, table } => {
                self.set_option(app, name, "db_table", table.clone().map_or(Value::None, Value::Str))
            }
            OperationKind::AlterModelTableComment { name, table_comment } => {
                self.set_option(app, name, "db_table_comment", table_comment.clone().map_or(Value::None, Value::Str))
            }
            OperationKind::AlterUniqueTogether { name, unique_together } => {
                self.set_option(app, name, "unique_together", normalized_together(unique_together))
            }
            OperationKind::AlterIndexTogether { name, index_together } => {
                self.set_option(app, name, "index_together", normalized_together(index_together))
            }
            OperationKind::AlterOrderWithRespectTo { name, order_with_respect_to } => self.set_option(
                app,
                name,
                "order_with_respect_to",
                order_with_respect_to.clone().map_or(Value::None, Value::Str),
            ),
            OperationKind::AlterModelOptions { name, options } => self.edit(app, name, |model| {
                for (key, value) in &options.entries {
                    set_entry(&mut model.options, key, value.clone());
                }
                model.options.entries.retain(|(key, _)| {
                    !ALTER_OPTION_KEYS.contains(&&**key) || options.entries.iter().any(|(given, _)| given == key)
                });
                Ok(())
            }),
            OperationKind::AddField { model_name, field, preserve_default } => self.edit(app, model_name, |model| {
                put_field(model, stored(field, *preserve_default));
                Ok(())
            }),
            OperationKind::AlterField { model_name, field, preserve_default } => self.edit(app, model_name, |model| {
                put_field(model, stored(field, *preserve_default));
                Ok(())
            }),
            OperationKind::RemoveField { model_name, name } => self.edit(app, model_name, |model| {
                let before = model.fields.len();
                model.fields.retain(|field| field.name != *name);
                if model.fields.len() == before { Err(missing_field(model, name)) } else { Ok(()) }
            }),
            OperationKind::RenameField { model_name, old_name, new_name } => {
                self.rename_field(app, model_name, old_name, new_name)
            }
            OperationKind::AddIndex { model_name, index, .. } => self.edit(app, model_name, |model| {
                model.options.indexes.push(index.clone());
                Ok(())
            }),
            OperationKind::RemoveIndex { model_name, name, .. } => self.edit(app, model_name, |model| {
                model.options.indexes.retain(|index| index.name.as_ref() != Some(name));
                Ok(())
            }),
            OperationKind::RenameIndex { model_name, new_name, old_name, old_fields } => {
                self.edit(app, model_name, |model| {
                    rename_index(model, new_name, old_name.as_ref(), old_fields.as_deref());
                    Ok(())
                })
            }
            OperationKind::AddConstraint { model_name, constraint, .. } => self.edit(app, model_name, |model| {
                model.options.constraints.push(constraint.clone());
                Ok(())
            }),
            OperationKind::RemoveConstraint { model_name, name } => self.edit(app, model_name, |model| {
                model.options.constraints.retain(|constraint| constraint.name != *name);
                Ok(())
            }),
            OperationKind::AlterConstraint { model_name, name, constraint } => self.edit(app, model_name, |model| {
                replace_constraint(model, name, constraint);
                Ok(())
            }),
            OperationKind::CreateCollation { name, deterministic, .. } => {
                self.collations.insert_mut(name.clone(), *deterministic);
                Ok(())
            }
            OperationKind::RemoveCollation { name, .. } => {
                self.collations.remove_mut(name);
                Ok(())
            }
            OperationKind::AlterModelManagers { .. }
            | OperationKind::ValidateConstraint { .. }
            | OperationKind::CreateExtension { .. }
            | OperationKind::RunPython(_)
            | OperationKind::NoOp => Ok(()),
            OperationKind::Unknown { reason, .. } => Err(reason.to_string()),
            OperationKind::SeparateDatabaseAndState { .. }
            | OperationKind::Where { .. }
            | OperationKind::RunSql(_)
            | OperationKind::Known(_) => Ok(()),
        }
    }

    fn existing(&self, key: &ModelKey) -> Result<&Arc<ModelState>, String> {
        self.model(key).ok_or_else(|| format!("the model `{key}` is not in the state"))
    }

    /// Replaces a model by an edited copy.
    fn edit(
        &mut self,
        app: &str,
        name: &str,
        edit: impl FnOnce(&mut ModelState) -> Result<(), String>,
    ) -> Result<(), String> {
        let key = ModelKey::new(app, name);
        let mut model = ModelState::clone(self.existing(&key)?);
        edit(&mut model)?;
        self.put(key, Arc::new(model));
        Ok(())
    }

    fn set_option(&mut self, app: &str, name: &str, option: &str, value: Value) -> Result<(), String> {
        self.edit(app, name, |model| {
            set_entry(&mut model.options, option, value);
            Ok(())
        })
    }

    fn rename_model(&mut self, app: &str, old_name: &str, new_name: &Arc<str>) -> Result<(), String> {
        let old_key = ModelKey::new(app, old_name);
        let new_key = ModelKey::new(app, new_name);
        let mut model = ModelState::clone(self.existing(&old_key)?);
        let referrers: Vec<ModelKey> = self.referrers(&old_key).cloned().collect();
        let target = Value::Str(Arc::from(format!("{app}.{new_name}")));
        // Relations of a model to itself name the old name until here.
        repoint(&mut model, &old_key, &target, old_name);
        model.name = new_name.clone();
        self.remove(&old_key);
        self.put(new_key, Arc::new(model));
        for key in referrers {
            let Some(referrer) = self.model(&key) else { continue };
            let mut referrer = ModelState::clone(referrer);
            let name = referrer.name.clone();
            repoint(&mut referrer, &old_key, &target, &name);
            self.put(key, Arc::new(referrer));
        }
        Ok(())
    }

    fn rename_field(&mut self, app: &str, model_name: &str, old: &Arc<str>, new: &Arc<str>) -> Result<(), String> {
        let key = ModelKey::new(app, model_name);
        self.edit(app, model_name, |model| {
            let Some(position) = model.fields.iter().position(|field| field.name == *old) else {
                return Err(missing_field(model, old));
            };
            // Django takes the field out and adds it at the end.
            let mut field = model.fields.remove(position);
            field.name = new.clone();
            model.fields.push(field);
            for field in &mut model.fields {
                if field.is("CompositePrimaryKey") {
                    rename_in_arguments(field, old, new);
                }
            }
            for option in ["unique_together", "index_together"] {
                let Some(value) = model.options.get(option) else { continue };
                let groups: Vec<Value> = together_groups(value)
                    .into_iter()
                    .map(|group| {
                        Value::Tuple(
                            group
                                .into_iter()
                                .map(|name| Value::Str(if name == *old { new.clone() } else { name }))
                                .collect(),
                        )
                    })
                    .collect();
                set_entry(&mut model.options, option, Value::Set(groups.into()));
            }
            Ok(())
        })?;
        // `to_field` of foreign keys to this field follows, unless it names the primary key by default.
        let referrers: Vec<ModelKey> = self.referrers(&key).cloned().collect();
        for referrer_key in referrers {
            let Some(referrer) = self.model(&referrer_key) else { continue };
            let points_here = |field: &Field| {
                is_relation(field)
                    && field.kwarg("to_field").and_then(Value::as_str) == Some(old)
                    && field.kwarg("to").is_some_and(|to| {
                        model_reference(to, &referrer.app, &referrer.name) == RelationTarget::Model(key.clone())
                    })
            };
            if !referrer.fields.iter().any(points_here) {
                continue;
            }
            let mut edited = ModelState::clone(referrer);
            for field in &mut edited.fields {
                if points_here(field) {
                    set_kwarg(field, "to_field", Value::Str(new.clone()));
                }
            }
            self.put(referrer_key, Arc::new(edited));
        }
        Ok(())
    }
}

fn missing_field(model: &ModelState, name: &str) -> String {
    format!("the model `{}` has no field `{name}` in the state", model.key())
}

/// With `preserve_default=False` the default serves the operation alone.
fn stored(field: &Field, preserve_default: bool) -> Field {
    let mut field = field.clone();
    if !preserve_default && field.kwargs.contains_key("default") {
        Arc::make_mut(&mut field.kwargs).remove("default");
    }
    field
}

/// Replaces the field of that name at its place, or adds it at the end.
fn put_field(model: &mut ModelState, field: Field) {
    match model.fields.iter_mut().find(|known| known.name == field.name) {
        Some(known) => *known = field,
        None => model.fields.push(field),
    }
}

fn set_kwarg(field: &mut Field, name: &str, value: Value) {
    Arc::make_mut(&mut field.kwargs).insert(Arc::from(name), value);
}

fn rename_in_arguments(field: &mut Field, old: &Arc<str>, new: &Arc<str>) {
    let renamed = |value: &Value| match value {
        Value::Str(name) if name == old => Value::Str(new.clone()),
        value => value.clone(),
    };
    let kwargs = Arc::make_mut(&mut field.kwargs);
    for value in kwargs.values_mut() {
        *value = match &*value {
            Value::Tuple(items) => Value::Tuple(items.iter().map(renamed).collect()),
            Value::List(items) => Value::List(items.iter().map(renamed).collect()),
            value => renamed(value),
        };
    }
}

/// Makes relations and bases that name `old` name `target`.
fn repoint(model: &mut ModelState, old: &ModelKey, target: &Value, model_name: &str) {
    let app = model.app.clone();
    let names_old = |value: &Value| model_reference(value, &app, model_name) == RelationTarget::Model(old.clone());
    for field in &mut model.fields {
        if !is_relation(field) {
            continue;
        }
        for name in ["to", "through"] {
            if field.kwarg(name).is_some_and(&names_old) {
                set_kwarg(field, name, target.clone());
            }
        }
    }
    // Django keeps the bases as they are; a base that is renamed away cannot be rendered. Following it is harmless.
    for base in &mut model.bases {
        if names_old(base) {
            *base = target.clone();
        }
    }
}

fn set_entry(options: &mut Options, name: &str, value: Value) {
    match options.entries.iter_mut().find(|(key, _)| &**key == name) {
        Some((_, known)) => *known = value,
        None => options.entries.push((Arc::from(name), value)),
    }
}

fn normalized_together(value: &Value) -> Value {
    if matches!(value, Value::Unknown(_) | Value::Setting(_)) {
        return value.clone();
    }
    let groups: Vec<Value> = together_groups(value)
        .into_iter()
        .map(|group| Value::Tuple(group.into_iter().map(Value::Str).collect()))
        .collect();
    Value::Set(groups.into())
}

fn rename_index(
    model: &mut ModelState,
    new_name: &Arc<str>,
    old_name: Option<&Arc<str>>,
    old_fields: Option<&[Arc<str>]>,
) {
    if let Some(fields) = old_fields {
        model.options.indexes.push(Index {
            class: Arc::from("Index"),
            name: Some(new_name.clone()),
            fields: fields.to_vec(),
            expressions: Vec::new(),
            condition: None,
            kwargs: Vec::new(),
            unknown: None,
            span: zdm_source::Span::default(),
        });
        let groups: Vec<Value> = model
            .together("index_together")
            .into_iter()
            .filter(|group| group.as_slice() != fields)
            .map(|group| Value::Tuple(group.into_iter().map(Value::Str).collect()))
            .collect();
        if model.options.get("index_together").is_some() {
            set_entry(&mut model.options, "index_together", Value::Set(groups.into()));
        }
    } else if let Some(index) = model.options.indexes.iter_mut().find(|index| index.name.as_ref() == old_name) {
        index.name = Some(new_name.clone());
    }
}

fn replace_constraint(model: &mut ModelState, name: &Arc<str>, constraint: &Constraint) {
    for known in &mut model.options.constraints {
        if known.name == *name {
            *known = constraint.clone();
        }
    }
}
