//! `database_forwards()` of each operation.

use std::collections::BTreeSet;
use std::sync::Arc;

use zdm_source::Span;

use super::alter::Side;
use super::introspect::{Query, constraint_option_names, index_option_names};
use super::naming::{create_index_name, quote_name};
use super::{Editor, Origin, literal};
use crate::field::Field;
use crate::operation::{Operation, OperationKind, RunSql, SqlSource, SqlText, TextMap, TextSegment};
use crate::resolve::{Reason, Resolver};
use crate::state::{ModelKey, ModelState, ProjectState};
use crate::third_party;
use crate::value::Value;

/// Operations nest no deeper.
const MAX_DEPTH: u8 = 16;

impl Editor<'_> {
    /// Sends what an operation does to the database between two states.
    pub(super) fn database_forwards(
        &mut self,
        app: &str,
        operation: &Operation,
        from: &ProjectState,
        to: &ProjectState,
        depth: u8,
    ) {
        if depth > MAX_DEPTH {
            self.report("operations are nested too deeply".to_owned());
            return;
        }
        if let OperationKind::SeparateDatabaseAndState { database_operations, .. } = &operation.kind {
            let mut state = from.clone();
            let outer = self.span;
            for operation in database_operations {
                self.span = operation.span;
                let mut after = state.clone();
                for reason in after.apply(app, operation) {
                    self.report(reason);
                }
                self.database_forwards(app, operation, &state, &after, depth + 1);
                state = after;
            }
            self.span = outer;
            return;
        }
        if let OperationKind::Where { test, operations } = &operation.kind {
            match self.holds(test, app, [from, to]) {
                Ok(true) => {
                    for operation in operations {
                        self.database_forwards(app, operation, from, to, depth + 1);
                    }
                }
                Ok(false) => {}
                Err(reason) => self.report(reason),
            }
            return;
        }
        let context = self.context;
        let from = Resolver::new(from, context);
        let to = Resolver::new(to, context);
        if let Err(reason) = self.forwards(app, &operation.kind, from, to) {
            self.report(reason);
        }
    }

    fn forwards(
        &mut self,
        app: &str,
        kind: &OperationKind,
        from: Resolver<'_>,
        to: Resolver<'_>,
    ) -> Result<(), Reason> {
        if let Some(reason) = from.state.doubt_about(app, kind) {
            return Err(reason);
        }
        let version = self.context.version;
        match kind {
            OperationKind::CreateModel { name, .. } => {
                let model = to.model_state(&ModelKey::new(app, name))?;
                if !to.can_migrate(model) {
                    return Ok(());
                }
                self.create_model(to, model)?;
                if version.at_least(5, 1) {
                    let table = to.table(model)?;
                    for group in model.together("index_together") {
                        let statement = self.index_together(to, model, &table, &group)?;
                        self.execute_statement(&statement);
                    }
                }
                Ok(())
            }
            OperationKind::DeleteModel { name } => {
                let Some(model) = migrated(from, app, name)? else { return Ok(()) };
                self.delete_model(from, model)
            }
            OperationKind::RenameModel { old_name, new_name } => self.rename_model(app, old_name, new_name, from, to),
            OperationKind::AlterModelTable { name, .. } => {
                let Some(new) = migrated(to, app, name)? else { return Ok(()) };
                let old = from.model_state(&ModelKey::new(app, name))?;
                let (old_table, new_table) = (from.table(old)?, to.table(new)?);
                self.rename_table(&old_table, &new_table);
                for (old_field, new_field) in many_to_many(old).zip(many_to_many(new)) {
                    let (old_field, new_field) = (from.field_of(old, old_field)?, to.field_of(new, new_field)?);
                    if let (Some(old_through), Some(new_through)) = (old_field.auto_through(), new_field.auto_through())
                    {
                        let (old_table, new_table) = (from.table(old_through)?, to.table(new_through)?);
                        self.rename_table(&old_table, &new_table);
                    }
                }
                Ok(())
            }
            OperationKind::AlterModelTableComment { name, .. } => {
                let Some(new) = migrated(to, app, name)? else { return Ok(()) };
                let table = to.table(new)?;
                self.table_comment(&table, new.option_str("db_table_comment"));
                Ok(())
            }
            OperationKind::AlterUniqueTogether { name, .. } => {
                self.alter_together(app, name, "unique_together", from, to)
            }
            OperationKind::AlterIndexTogether { name, .. } => {
                self.alter_together(app, name, "index_together", from, to)
            }
            OperationKind::AlterOrderWithRespectTo { name, .. } => {
                let Some(new) = migrated(to, app, name)? else { return Ok(()) };
                let old = from.model_state(&ModelKey::new(app, name))?;
                let ordered = |model: &ModelState| {
                    model.options.get("order_with_respect_to").is_some_and(|value| *value != Value::None)
                };
                match (ordered(old), ordered(new)) {
                    (true, false) => {
                        let field = from.field(old, "_order")?;
                        self.remove_field(from, old, &field)
                    }
                    (false, true) => {
                        let mut field = to.field(new, "_order")?;
                        Arc::make_mut(&mut field.field.kwargs).insert(Arc::from("default"), Value::Int(0));
                        self.add_field(to, new, &field)
                    }
                    _ => Ok(()),
                }
            }
            OperationKind::AddField { model_name, field, .. } => {
                let Some(new) = migrated(to, app, model_name)? else { return Ok(()) };
                let resolved = to.field_of(new, &with_default_of(to, new, field)?)?;
                self.add_field(to, new, &resolved)
            }
            OperationKind::RemoveField { model_name, name } => {
                let Some(old) = migrated(from, app, model_name)? else { return Ok(()) };
                let field = from.field(old, name)?;
                self.remove_field(from, old, &field)
            }
            OperationKind::AlterField { model_name, field, .. } => {
                let Some(new) = migrated(to, app, model_name)? else { return Ok(()) };
                let old = from.model_state(&ModelKey::new(app, model_name))?;
                let old_field = from.field(old, &field.name)?;
                let new_field = to.field_of(new, &with_default_of(to, new, field)?)?;
                let table = from.table(old)?;
                self.alter_field(
                    old,
                    &table,
                    Side { resolver: from, model: old, field: &old_field },
                    Side { resolver: to, model: new, field: &new_field },
                )
            }
            OperationKind::RenameField { model_name, old_name, new_name } => {
                let Some(new) = migrated(to, app, model_name)? else { return Ok(()) };
                let old = from.model_state(&ModelKey::new(app, model_name))?;
                let (old_field, new_field) = (from.field(old, old_name)?, to.field(new, new_name)?);
                let table = from.table(old)?;
                self.alter_field(
                    old,
                    &table,
                    Side { resolver: from, model: old, field: &old_field },
                    Side { resolver: to, model: new, field: &new_field },
                )
            }
            OperationKind::AddIndex { model_name, index, concurrently } => {
                let Some(model) = migrated(to, app, model_name)? else { return Ok(()) };
                let statement = self.index_statement(to, model, index, *concurrently)?;
                self.execute_statement(&statement);
                Ok(())
            }
            OperationKind::RemoveIndex { model_name, name, concurrently } => {
                let Some(model) = migrated(from, app, model_name)? else { return Ok(()) };
                let table = from.table(model)?;
                self.drop_index(&table, name, *concurrently);
                Ok(())
            }
            OperationKind::RenameIndex { model_name, new_name, old_name, old_fields } => {
                let Some(_) = migrated(to, app, model_name)? else { return Ok(()) };
                let old = from.model_state(&ModelKey::new(app, model_name))?;
                let old_name: Arc<str> = match (old_name, old_fields) {
                    (Some(name), _) => name.clone(),
                    (None, Some(fields)) => {
                        let columns = super::columns_of(from, old, fields)?;
                        let query = Query {
                            columns: Some(&columns),
                            index: Some(true),
                            unique: version.at_least(5, 0).then_some(false),
                            ..Query::default()
                        };
                        let table = from.table(old)?;
                        Arc::from(self.only_one(&table, &columns, &query)?)
                    }
                    (None, None) => return Err("the index to rename is not known".to_owned()),
                };
                if old_name != *new_name {
                    self.execute(format!("ALTER INDEX {} RENAME TO {}", quote_name(&old_name), quote_name(new_name)));
                }
                Ok(())
            }
            OperationKind::AddConstraint { model_name, constraint, not_valid } => {
                let Some(model) = migrated(to, app, model_name)? else { return Ok(()) };
                if let Some(statement) = self.constraint_statement(to, model, constraint)? {
                    let not_valid = if *not_valid { " NOT VALID" } else { "" };
                    self.execute_with(format!("{}{not_valid}", statement.sql()), statement.wildcard);
                }
                Ok(())
            }
            OperationKind::RemoveConstraint { model_name, name } => {
                let Some(model) = migrated(to, app, model_name)? else { return Ok(()) };
                let old = from.model_state(&ModelKey::new(app, model_name))?;
                let constraint = old
                    .options
                    .constraints
                    .iter()
                    .find(|constraint| constraint.name == *name)
                    .ok_or_else(|| format!("`{}` has no constraint `{name}` in the state", old.key()))?;
                let table = to.table(model)?;
                self.remove_constraint(&table, constraint)
            }
            OperationKind::ValidateConstraint { model_name, name } => {
                let Some(model) = migrated(from, app, model_name)? else { return Ok(()) };
                let table = from.table(model)?;
                self.execute(format!("ALTER TABLE {} VALIDATE CONSTRAINT {}", quote_name(&table), quote_name(name)));
                Ok(())
            }
            OperationKind::CreateExtension { name } => {
                // Since 4.2 Django asks first whether the extension is there, so that no privilege is needed.
                if !self.database.catalog().has_extension(name) {
                    self.execute(format!("CREATE EXTENSION IF NOT EXISTS {}", quote_name(name)));
                }
                Ok(())
            }
            OperationKind::CreateCollation { name, locale, provider, deterministic } => {
                let mut options = vec![format!("locale={}", quote_name(locale))];
                if &**provider != "libc" {
                    options.push(format!("provider={}", quote_name(provider)));
                }
                if !deterministic {
                    options.push("deterministic=false".to_owned());
                }
                self.execute(format!("CREATE COLLATION {} ({})", quote_name(name), options.join(", ")));
                Ok(())
            }
            OperationKind::RemoveCollation { name, .. } => {
                self.execute(format!("DROP COLLATION {}", quote_name(name)));
                Ok(())
            }
            OperationKind::RunSql(run_sql) => self.run_sql(run_sql),
            OperationKind::Known(known) if &*known.package == third_party::SORTED_MANY_TO_MANY => {
                let argument = |name: &str| known.argument(name).and_then(Value::as_str).unwrap_or_default();
                self.sorted_many_to_many(app, argument("model_name"), argument("name"), from, to)
            }
            OperationKind::Known(known) => {
                for text in &known.statements {
                    let origin = Origin::Known { package: known.package.clone(), map: text.map.clone() };
                    self.send_text(text, origin)?;
                }
                Ok(())
            }
            // Reported by the state.
            OperationKind::Unknown { .. } => Ok(()),
            OperationKind::AlterModelOptions { .. }
            | OperationKind::AlterModelManagers { .. }
            | OperationKind::AlterConstraint { .. }
            | OperationKind::RunPython(_)
            | OperationKind::NoOp
            | OperationKind::Where { .. }
            | OperationKind::SeparateDatabaseAndState { .. } => Ok(()),
        }
    }

    /// What django-sortedm2m sends where a many-to-many field gets or loses an order: its through table has a column more
    /// or less. Source: its `AlterSortedManyToManyField`.
    fn sorted_many_to_many(
        &mut self,
        app: &str,
        model: &str,
        name: &str,
        from: Resolver<'_>,
        to: Resolver<'_>,
    ) -> Result<(), Reason> {
        let Some(new) = migrated(to, app, model)? else { return Ok(()) };
        let old = from.model_state(&ModelKey::new(app, model))?;
        for (resolver, model, added) in [(to, new, true), (from, old, false)] {
            let field = resolver.field(model, name)?;
            let sorted = field.field.kwarg("sort_value_field_name").and_then(Value::as_str);
            if let Some(column) = sorted.filter(|_| field.field.kwarg("sorted") != Some(&Value::Bool(false)))
                && let Some(through) = field.auto_through()
            {
                let column = resolver.field(through, column)?;
                return if added {
                    self.add_field(resolver, through, &column)
                } else {
                    self.remove_field(resolver, through, &column)
                };
            }
        }
        Err(format!("neither before nor after has `{name}` an order"))
    }

    fn run_sql(&mut self, run_sql: &RunSql) -> Result<(), Reason> {
        match &run_sql.sql {
            SqlSource::Texts(texts) => {
                for text in texts {
                    self.send_text(text, Origin::RunSql { map: text.map.clone() })?;
                }
                Ok(())
            }
            SqlSource::Unknown { reason } => Err(format!("the SQL is not known: {reason}")),
        }
    }

    /// SQL as written, parameters filled in.
    ///
    /// # Errors
    /// What the driver refuses before the server sees it: with parameters, even none, every `%` begins a placeholder,
    /// and each placeholder has its value.
    fn send_text(&mut self, text: &SqlText, origin: Origin) -> Result<(), Reason> {
        let Some(params) = text.params.as_ref().filter(|params| **params != Value::None) else {
            self.send(text.text.clone(), false, origin);
            return Ok(());
        };
        let mut result = String::with_capacity(text.text.len());
        // Values are longer or shorter than their placeholders: places move with them.
        let mut map = TextMap { segments: Vec::new(), whole: text.map.whole };
        let mut wildcard = false;
        let mut used = 0;
        let mut rest = &*text.text;
        while let Some((before, after)) = rest.split_once('%') {
            let at = text.text.len() - rest.len();
            map.append(&text.map, Span::from_usize(at, at + before.len()), result.len());
            result.push_str(before);
            let start = result.len();
            let placeholder = Placeholder::read(after).ok_or_else(|| {
                let excerpt: String = after.chars().take(12).collect();
                format!("with parameters, the driver refuses the `%` before `{excerpt}`; a percent sign is `%%`")
            })?;
            if placeholder.kind == PlaceholderKind::Percent {
                result.push('%');
            } else {
                let literal = match placeholder.value(params, used) {
                    Some(value) => literal::plain(value, literal::By::parameters(self.context), self.context),
                    None if params.items().is_some() || matches!(params, Value::Dict(_)) => {
                        return Err("the driver refuses a placeholder without a value".to_owned());
                    }
                    None => literal::Literal::Wildcard,
                };
                used += 1;
                wildcard |= literal.is_wildcard();
                result.push_str(literal.text());
            }
            let whole = Span::from_usize(at + before.len(), at + before.len() + 1 + placeholder.length);
            rest = after.get(placeholder.length..).unwrap_or_default();
            map.segments.push(TextSegment {
                value: Span::from_usize(start, result.len()),
                source: text.map.source_span(whole),
                verbatim: false,
                place: None,
            });
        }
        if params.items().is_some_and(|values| values.len() > used) {
            return Err("the driver refuses more values than placeholders".to_owned());
        }
        let at = text.text.len() - rest.len();
        map.append(&text.map, Span::from_usize(at, text.text.len()), result.len());
        result.push_str(rest);
        let origin = match origin {
            Origin::RunSql { .. } => Origin::RunSql { map },
            Origin::Known { package, .. } => Origin::Known { package, map },
            Origin::SchemaEditor => Origin::SchemaEditor,
        };
        self.send(Arc::from(result), wildcard, origin);
        Ok(())
    }

    fn rename_model(
        &mut self,
        app: &str,
        old_name: &str,
        new_name: &str,
        from: Resolver<'_>,
        to: Resolver<'_>,
    ) -> Result<(), Reason> {
        let (old_key, new_key) = (ModelKey::new(app, old_name), ModelKey::new(app, new_name));
        let Some(new) = migrated(to, app, new_name)? else { return Ok(()) };
        let old = from.model_state(&old_key)?;
        let (old_table, new_table) = (from.table(old)?, to.table(new)?);
        self.rename_table(&old_table, &new_table);
        // Fields that point here, from this model as well; hidden ones only if they are many-to-many.
        for owner_key in from.referrers(&old_key) {
            let Some(owner) = from.state.model(&owner_key) else { continue };
            if owner.assumed || owner.is_proxy() || from.is_swapped(owner) {
                continue;
            }
            let new_owner_key = if owner_key == old_key { new_key.clone() } else { owner_key.clone() };
            let new_owner = to.model_state(&new_owner_key)?;
            let fields: Vec<Field> = from.all_fields(owner);
            for field in &fields {
                let Some(class) = field.django_class() else { continue };
                let many = class == "ManyToManyField";
                if !many && !matches!(class, "ForeignKey" | "OneToOneField") {
                    continue;
                }
                let points_here = field
                    .kwarg("to")
                    .and_then(|value| from.target(value, owner).ok())
                    .is_some_and(|key| key == old_key);
                if !points_here || !many && is_hidden(field) {
                    continue;
                }
                let old_field = from.field_of(owner, field)?;
                let new_field = to.field(new_owner, &field.name)?;
                let table = to.table(new_owner)?;
                self.alter_field(
                    new_owner,
                    &table,
                    Side { resolver: from, model: owner, field: &old_field },
                    Side { resolver: to, model: new_owner, field: &new_field },
                )?;
            }
        }
        // The model's own many-to-many tables are named after it.
        for (old_field, new_field) in many_to_many(old).zip(many_to_many(new)) {
            let (old_field, new_field) = (from.field_of(old, old_field)?, to.field_of(new, new_field)?);
            let recursive = new_field.relation.as_ref().is_some_and(|relation| relation.model == new_key);
            if recursive || new_field.auto_through().is_none() {
                continue;
            }
            let old_side = Side { resolver: from, model: old, field: &old_field };
            let new_side = Side { resolver: to, model: new, field: &new_field };
            if self.context.version.at_least(4, 0) {
                self.alter_many_to_many(old_side, new_side)?;
            } else if let (Some(old_through), Some(new_through)) = (old_field.auto_through(), new_field.auto_through())
            {
                let (old_table, new_table) = (from.table(old_through)?, to.table(new_through)?);
                self.rename_table(&old_table, &new_table);
                self.alter_through_field(old_side, new_side, &old_key.model, &new_key.model)?;
            }
        }
        Ok(())
    }

    fn alter_together(
        &mut self,
        app: &str,
        name: &str,
        option: &str,
        from: Resolver<'_>,
        to: Resolver<'_>,
    ) -> Result<(), Reason> {
        let Some(new) = migrated(to, app, name)? else { return Ok(()) };
        let old = from.model_state(&ModelKey::new(app, name))?;
        for model in [old, new] {
            if matches!(model.options.get(option), Some(Value::Unknown(_) | Value::Setting(_))) {
                return Err(format!("`{option}` of `{}` is not known", model.key()));
            }
        }
        let table = to.table(new)?;
        let olds: BTreeSet<Vec<Arc<str>>> = old.together(option).into_iter().collect();
        let news: BTreeSet<Vec<Arc<str>>> = new.together(option).into_iter().collect();
        let unique = option == "unique_together";
        for group in olds.difference(&news) {
            self.delete_composed_index(to, new, &table, group, unique)?;
        }
        for group in news.difference(&olds) {
            let statement = if unique {
                super::unique(&table, super::columns_of(to, new, group)?)
            } else {
                self.index_together(to, new, &table, group)?
            };
            self.execute_statement(&statement);
        }
        Ok(())
    }

    /// Drops the constraint or index of a group of columns; which one, the catalog says.
    fn delete_composed_index(
        &mut self,
        resolver: Resolver<'_>,
        model: &ModelState,
        table: &Arc<str>,
        group: &[Arc<str>],
        unique: bool,
    ) -> Result<(), Reason> {
        let version = self.context.version;
        let columns = super::columns_of(resolver, model, group)?;
        if unique && version.at_least(6, 1) {
            let waiting = self.deferred.iter().position(|deferred| {
                deferred.statement.references_table(table) && deferred.statement.plain_columns() == Some(&columns)
            });
            if let Some(position) = waiting {
                self.deferred.remove(position);
                return Ok(());
            }
        }
        let mut exclude = constraint_option_names(&model.options);
        exclude.extend(index_option_names(&model.options));
        let query = Query {
            columns: Some(&columns),
            unique: Some(unique),
            primary_key: (unique && version.at_least(4, 2)).then_some(false),
            index: (!unique).then_some(true),
            exclude,
            ..Query::default()
        };
        let mut names = self.constraint_names(table, &query);
        if unique && version.at_least(4, 2) {
            let default = create_index_name(table, &columns, "_uniq");
            if names.contains(&default) {
                names = vec![default];
            }
        }
        let [name] = names.as_slice() else {
            return Err(format!("Django finds {} constraints on ({}) of `{table}`", names.len(), columns.join(", ")));
        };
        if unique {
            self.drop_constraint(table, name);
        } else {
            self.execute(format!("DROP INDEX IF EXISTS {}", quote_name(name)));
        }
        Ok(())
    }

    fn only_one(&mut self, table: &str, columns: &[Arc<str>], query: &Query<'_>) -> Result<String, Reason> {
        let names = self.constraint_names(table, query);
        match names.as_slice() {
            [name] => Ok(name.clone()),
            names => Err(format!("Django finds {} indexes on ({}) of `{table}`", names.len(), columns.join(", "))),
        }
    }
}

/// The model, unless operations on it do not reach the database.
fn migrated<'s>(resolver: Resolver<'s>, app: &str, name: &str) -> Result<Option<&'s Arc<ModelState>>, Reason> {
    let model = resolver.model_state(&ModelKey::new(app, name))?;
    Ok(resolver.can_migrate(model).then_some(model))
}

fn many_to_many(model: &ModelState) -> impl Iterator<Item = &Field> {
    model.fields.iter().filter(|field| field.is("ManyToManyField"))
}

/// No reverse relation: its name ends in `+`.
fn is_hidden(field: &Field) -> bool {
    field.kwarg("related_name").and_then(Value::as_str).is_some_and(|name| name.ends_with('+'))
}

/// What stands behind a `%` in a text with parameters.
struct Placeholder<'t> {
    kind: PlaceholderKind<'t>,
    /// In bytes, without the `%`.
    length: usize,
}

#[derive(PartialEq)]
enum PlaceholderKind<'t> {
    /// `%%`
    Percent,
    /// `%s`
    Next,
    /// `%(name)s`
    Named(&'t str),
}

impl<'t> Placeholder<'t> {
    /// None for what the driver refuses. Source: the manuals of psycopg and psycopg2 on passing parameters.
    fn read(after: &'t str) -> Option<Self> {
        let is_format = |text: &str| text.starts_with(['s', 'b', 't']);
        if after.starts_with('%') {
            return Some(Self { kind: PlaceholderKind::Percent, length: 1 });
        }
        if is_format(after) {
            return Some(Self { kind: PlaceholderKind::Next, length: 1 });
        }
        let (name, rest) = after.strip_prefix('(')?.split_once(')')?;
        is_format(rest).then(|| Self { kind: PlaceholderKind::Named(name), length: name.len() + 3 })
    }

    fn value<'v>(&self, params: &'v Value, used: usize) -> Option<&'v Value> {
        match (&self.kind, params) {
            (PlaceholderKind::Named(name), Value::Dict(entries)) => {
                entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
            }
            (PlaceholderKind::Next, params) => params.items()?.get(used),
            _ => None,
        }
    }
}

/// The field as the state has it, with the operation's default, which `preserve_default=False` keeps out of the state.
fn with_default_of(resolver: Resolver<'_>, model: &ModelState, field: &Field) -> Result<Field, Reason> {
    let (mut stored, _) = resolver.find_field(model, &field.name)?;
    if let Some(default) = field.kwarg("default") {
        Arc::make_mut(&mut stored.kwargs).insert(Arc::from("default"), default.clone());
    }
    Ok(stored)
}
