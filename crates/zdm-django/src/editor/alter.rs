//! `alter_field()`: the statements that turn one field into another.
//!
//! The steps and their order are Django's: keys that point out, unique, keys that point in, indexes, checks, the name,
//! then type, default and nullability in one ALTER TABLE, then everything that was taken away in reverse.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::introspect::{Query, constraint_option_names, index_option_names};
use super::literal::Literal;
use super::naming::{create_index_name, quote_name};
use super::statement::ForeignKeySuffix;
use super::{Editor, foreign_key_statement};
use crate::field::{Field, FieldKind};
use crate::resolve::{Driver, Reason, ResolvedField, Resolver, through_field_names};
use crate::state::same::same_value;
use crate::state::{ModelKey, ModelState};
use crate::value::Value;

/// One side of a change: a field of a model in a state.
#[derive(Clone, Copy)]
pub(super) struct Side<'s> {
    pub(super) resolver: Resolver<'s>,
    pub(super) model: &'s ModelState,
    pub(super) field: &'s ResolvedField,
}

/// A foreign key that points at a model.
struct Relation {
    /// `ForeignObjectRel.name`.
    name: String,
    owner: Arc<ModelState>,
    field: ResolvedField,
}

impl Editor<'_> {
    /// `alter_field()` on `meta`, the model as the caller passes it: its table and its options are used.
    pub(super) fn alter_field(
        &mut self,
        meta: &ModelState,
        table: &Arc<str>,
        old: Side<'_>,
        new: Side<'_>,
    ) -> Result<(), Reason> {
        if !self.should_be_altered(old, new, &[]) {
            return Ok(());
        }
        match (&old.field.db_type, &new.field.db_type) {
            (None, None) => match (old.field.auto_through(), new.field.auto_through()) {
                (Some(_), Some(_)) => self.alter_many_to_many(old, new),
                (None, None) if old.field.is_many_to_many() && new.field.is_many_to_many() => Ok(()),
                _ => Err(format!("Django refuses to alter `{}` in this way", old.field.name())),
            },
            (Some(_), Some(_)) => self.alter_column(meta, table, old, new),
            _ => Err(format!("Django refuses to alter `{}` to or from a field without a column", old.field.name())),
        }
    }

    /// `_field_should_be_altered()`: whether anything that may matter to the database differs.
    fn should_be_altered(&mut self, old: Side<'_>, new: Side<'_>, ignore: &[&str]) -> bool {
        let version = self.context.version;
        let column = |field: &ResolvedField| field.column.clone().unwrap_or_else(|| field.name().clone());
        if old.field.relation.is_none()
            && new.field.relation.is_none()
            && old.field.column.is_none()
            && new.field.column.is_none()
        {
            return false;
        }
        if column(old.field) != column(new.field) {
            return true;
        }
        let (old_path, mut old_kwargs) = Self::deconstructed(old);
        let (new_path, mut new_kwargs) = Self::deconstructed(new);
        for name in ignore {
            old_kwargs.remove(*name);
            new_kwargs.remove(*name);
        }
        if version.at_least(5, 0)
            && !new.field.is_many_to_many()
            && let (Some(from), Some(to)) = (&old.field.relation, &new.field.relation)
            && Self::target_table(old, &from.model) == Self::target_table(new, &to.model)
        {
            old_kwargs.remove("to");
            new_kwargs.remove("to");
        }
        if version.at_least(5, 0) && old.field.relation.is_some() {
            let unknown =
                |kwargs: &BTreeMap<Arc<str>, Value>| kwargs.values().any(|value| matches!(value, Value::Unknown(_)));
            if unknown(&old_kwargs) || unknown(&new_kwargs) {
                self.report(format!("whether `{}` changes cannot be told", new.field.name()));
            }
        }
        // A database default can be written in several ways that give the same SQL.
        if let (Some(before), Some(now)) = (old.field.db_default(), new.field.db_default())
            && is_truthy(before)
            && is_truthy(now)
            && let Ok(before) = self.db_default_sql(old.resolver, old.model, old.field, before)
            && self.db_default_sql(new.resolver, new.model, new.field, now).is_ok_and(|now| now == before)
        {
            old_kwargs.remove("db_default");
            new_kwargs.remove("db_default");
        }
        old_path != new_path
            || old_kwargs.len() != new_kwargs.len()
            || !old_kwargs.iter().zip(&new_kwargs).all(|(old, new)| old.0 == new.0 && same_value(old.1, new.1))
    }

    fn target_table(side: Side<'_>, key: &ModelKey) -> Option<Arc<str>> {
        side.resolver.table(side.resolver.model_state(key).ok()?).ok()
    }

    /// The class and the arguments that are not their defaults, without those that never reach the database.
    fn deconstructed(side: Side<'_>) -> (String, BTreeMap<Arc<str>, Value>) {
        const NOT_IN_THE_DATABASE: [&str; 14] = [
            "blank",
            "choices",
            "db_column",
            "editable",
            "error_messages",
            "help_text",
            "limit_choices_to",
            "on_delete",
            "related_name",
            "related_query_name",
            "validators",
            "verbose_name",
            // Never deconstructed.
            crate::field::STORED_DEFAULT,
            "symmetrical",
        ];
        let field = &side.field.field;
        let class: &str = field.django_class().unwrap_or(&field.class.written);
        let path = match &field.class.kind {
            FieldKind::Django(name) if field.class.written.starts_with("django.") => format!("django.{name}"),
            _ => field.class.written.to_string(),
        };
        let mut kwargs = BTreeMap::new();
        for (name, value) in field.kwargs.iter() {
            if NOT_IN_THE_DATABASE.contains(&&**name) {
                let database_on_delete = &**name == "on_delete"
                    && side.field.relation.as_ref().is_some_and(|relation| !relation.on_delete_sql.is_empty());
                if !database_on_delete {
                    continue;
                }
            }
            let is_default = match (&**name, value) {
                ("default" | "db_default", Value::Symbol(path)) => path.ends_with("NOT_PROVIDED"),
                ("default" | "db_default", _) => false,
                ("db_index", Value::Bool(value)) => {
                    *value == matches!(class, "ForeignKey" | "OneToOneField" | "SlugField")
                }
                ("db_constraint" | "serialize" | "swappable" | "spatial_index", Value::Bool(value)) => *value,
                ("srid", Value::Int(srid)) => *srid == 4326,
                ("dim", Value::Int(dim)) => *dim == 2,
                ("unique", _) if class == "OneToOneField" => true,
                ("max_length", Value::Int(length)) => {
                    matches!(
                        (class, *length),
                        ("SlugField", 50)
                            | ("URLField", 200)
                            | ("FileField" | "ImageField" | "FilePathField", 100)
                            | ("EmailField", 254)
                    )
                }
                (_, Value::Bool(false) | Value::None) => true,
                _ => false,
            };
            if !is_default {
                kwargs.insert(name.clone(), value.clone());
            }
        }
        if let Some(relation) = &side.field.relation {
            kwargs.insert(Arc::from("to"), Value::str(&relation.model.to_string()));
            if let Some(Value::Str(to_field)) = kwargs.get("to_field")
                && let Ok(target) = side.resolver.model_state(&relation.model)
                && let Ok(key) = side.resolver.primary_key(target)
                && key.name() == to_field
            {
                kwargs.remove("to_field");
            }
        }
        (path, kwargs)
    }

    fn alter_column(
        &mut self,
        meta: &ModelState,
        table: &Arc<str>,
        old: Side<'_>,
        new: Side<'_>,
    ) -> Result<(), Reason> {
        let version = self.context.version;
        let (old_field, new_field) = (old.field, new.field);
        let (old_column, new_column) = (old_field.column_name(), new_field.column_name());
        let old_type = old_field.db_type.clone().unwrap_or_default();
        let new_type = new_field.db_type.clone().unwrap_or_default();
        if old_type != new_type
            && let Some(trigger) = self.trigger_of_pgtrigger(table, &old_column)
        {
            return Err(format!(
                "django-pgtrigger drops the trigger `{trigger}` while the type of `{old_column}` changes and makes it again, \
                 which is not followed"
            ));
        }
        if old_field.is_generated() || new_field.is_generated() {
            self.check_generated(old, new)?;
        }
        let old_columns = [old_column.clone()];
        let text_index_goes = (old_field.db_index || old_field.unique) && leaves_text(&old_type, &new_type);
        if !version.at_least(4, 0) && text_index_goes {
            self.drop_index(table, &create_index_name(table, &old_columns, "_like"), false);
        }
        // Keys that point out.
        let mut keys_dropped = false;
        if let Some(relation) = old_field.foreign_key()
            && relation.db_constraint
            && (!version.at_least(4, 2) || self.should_be_altered(old, new, &["db_comment"]))
        {
            for name in self.foreign_key_names(table, &old_column) {
                keys_dropped = true;
                self.drop_foreign_key(table, &name);
            }
        }
        let became_key = !old_field.primary_key && new_field.primary_key;
        if old_field.unique && (!new_field.unique || became_key) {
            let query = Query {
                columns: Some(&old_columns),
                unique: Some(true),
                primary_key: Some(false),
                exclude: constraint_option_names(&meta.options),
                ..Query::default()
            };
            for name in self.constraint_names(table, &query) {
                self.drop_constraint(table, &name);
            }
        }
        // Keys that point in.
        let collation_differs = old_field.collation != new_field.collation;
        let drop_foreign_keys = (old_field.primary_key && new_field.primary_key
            || old_field.unique && new_field.unique)
            && (old_type != new_type || version.at_least(4, 0) && collation_differs);
        let relations = if drop_foreign_keys || became_key { self.relation_pairs(old, new)? } else { Vec::new() };
        if drop_foreign_keys {
            for (_, relation) in &relations {
                let table = new.resolver.table(&relation.owner)?;
                for name in self.foreign_key_names(&table, &relation.field.column_name()) {
                    self.drop_foreign_key(&table, &name);
                }
            }
        }
        if old_field.db_index && !old_field.unique && (!new_field.db_index || new_field.unique) {
            let query = Query {
                columns: Some(&old_columns),
                index: Some(true),
                basic: true,
                exclude: index_option_names(&meta.options),
                ..Query::default()
            };
            for name in self.constraint_names(table, &query) {
                self.drop_index(table, &name, false);
            }
        }
        let check_differs = if version.at_least(5, 0) {
            // Compared under one column name, so that a rename alone keeps the check.
            check_of(old_field) != check_of(new_field)
        } else {
            old_field.check != new_field.check
        };
        if check_differs && old_field.check.is_some() {
            let query = Query {
                columns: Some(&old_columns),
                check: Some(true),
                exclude: constraint_option_names(&meta.options),
                ..Query::default()
            };
            for name in self.constraint_names(table, &query) {
                self.drop_constraint(table, &name);
            }
        }
        if old_column != new_column {
            self.execute(format!(
                "ALTER TABLE {} RENAME COLUMN {} TO {}",
                quote_name(table),
                quote_name(&old_column),
                quote_name(&new_column)
            ));
            for deferred in &mut self.deferred {
                deferred.statement.rename_column(table, &old_column, &new_column);
            }
        }
        // Type, default and nullability.
        let mut actions: Vec<String> = Vec::new();
        let mut after: Vec<String> = Vec::new();
        let mut wildcard = false;
        let type_differs = old_type != new_type || version.at_least(4, 1) && old_field.suffix != new_field.suffix;
        let comment_differs = version.at_least(4, 2) && old_field.comment != new_field.comment;
        if !version.at_least(4, 1) && own_collation(old_field) != own_collation(new_field) {
            actions.push(old_collation_sql(new_field, &new_column, &new_type));
        } else if type_differs || version.at_least(4, 1) && collation_differs || comment_differs {
            let (action, more) = self.alter_type(table, old_field, new_field);
            actions.push(action);
            after.extend(more);
        }
        match (old_field.db_default(), new_field.db_default()) {
            (before, Some(value)) if before.is_none_or(|before| !same_value(before, value)) => {
                let (sql, marked, _) = self.db_default_sql(new.resolver, new.model, new_field, value)?;
                wildcard |= marked;
                actions.push(format!("ALTER COLUMN {} SET DEFAULT {sql}", quote_name(&new_column)));
            }
            (Some(_), None) => actions.push(format!("ALTER COLUMN {} DROP DEFAULT", quote_name(&new_column))),
            _ => {}
        }
        let becomes_required = old_field.null && !new_field.null;
        let mut needs_default = false;
        let mut new_default = Literal::Null;
        if becomes_required && new_field.db_default().is_none() {
            let old_default = self.effective_default(old_field)?;
            new_default = self.effective_default(new_field)?;
            if new_default != Literal::Null && self.defaults_differ(old_field, new_field, &old_default, &new_default) {
                needs_default = true;
                wildcard |= new_default.is_wildcard();
                actions.push(format!("ALTER COLUMN {} SET DEFAULT {}", quote_name(&new_column), new_default.text()));
            }
        }
        let null_action = (old_field.null != new_field.null).then(|| {
            let action = if new_field.null { "DROP" } else { "SET" };
            format!("ALTER COLUMN {} {action} NOT NULL", quote_name(&new_column))
        });
        let four_way = (new_field.default().is_some() || new_field.db_default().is_some()) && becomes_required;
        if !four_way {
            actions.extend(null_action.clone());
        }
        if !actions.is_empty() {
            self.execute_with(format!("ALTER TABLE {} {}", quote_name(table), actions.join(", ")), wildcard);
        }
        if four_way {
            let (value, marked) = match new_field.db_default() {
                Some(value) => {
                    let (sql, marked, _) = self.db_default_sql(new.resolver, new.model, new_field, value)?;
                    (sql, marked)
                }
                None => (new_default.text().to_owned(), new_default.is_wildcard()),
            };
            let column = quote_name(&new_column);
            let immediate = if version.at_least(4, 0) { "; SET CONSTRAINTS ALL IMMEDIATE" } else { "" };
            self.execute_with(
                format!("UPDATE {} SET {column} = {value} WHERE {column} IS NULL{immediate}", quote_name(table)),
                marked,
            );
            if let Some(action) = null_action {
                self.execute(format!("ALTER TABLE {} {action}", quote_name(table)));
            }
        }
        for sql in after {
            self.execute(sql);
        }
        // And back again.
        if old_field.primary_key && !new_field.primary_key {
            for name in self.constraint_names(table, &Query { primary_key: Some(true), ..Query::default() }) {
                self.drop_constraint(table, &name);
            }
        }
        if !new_field.primary_key && new_field.unique && (!old_field.unique || old_field.primary_key) {
            let statement = super::unique(table, vec![new_column.clone()]);
            self.execute_statement(&statement);
        }
        if (!old_field.db_index || old_field.unique) && new_field.db_index && !new_field.unique {
            let statement = self.field_index(meta, table, new_field, "", None);
            self.execute_statement(&statement);
        }
        if became_key {
            let name = create_index_name(table, std::slice::from_ref(&new_column), "_pk");
            self.execute(format!(
                "ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY ({})",
                quote_name(table),
                quote_name(&name),
                quote_name(&new_column)
            ));
        }
        for (before, now) in &relations {
            let table = new.resolver.table(&now.owner)?;
            let (action, more) = self.alter_type(&table, &before.field, &now.field);
            self.execute(format!("ALTER TABLE {} {action}", quote_name(&table)));
            for sql in more {
                self.execute(sql);
            }
        }
        if (keys_dropped || old_field.foreign_key().is_none_or(|relation| !relation.db_constraint))
            && let Some(statement) = foreign_key_statement(table, new_field, ForeignKeySuffix::Target)
        {
            self.execute_statement(&statement);
        }
        if drop_foreign_keys {
            for (_, relation) in &relations {
                // 3.2 forgets the keys of relations that are hidden.
                if !version.at_least(4, 0) && relation.name.ends_with('+') {
                    continue;
                }
                let table = new.resolver.table(&relation.owner)?;
                if let Some(statement) = foreign_key_statement(&table, &relation.field, ForeignKeySuffix::Plain) {
                    self.execute_statement(&statement);
                }
            }
        }
        if check_differs && let Some(check) = &new_field.check {
            let name = create_index_name(table, std::slice::from_ref(&new_column), "_check");
            self.execute(format!(
                "ALTER TABLE {} ADD CONSTRAINT {} CHECK ({check})",
                quote_name(table),
                quote_name(&name)
            ));
        }
        if needs_default {
            self.drop_default(table, &new_column);
        }
        // Indexes for LIKE.
        let had_index = old_field.db_index || old_field.unique;
        let gains_index = !had_index && new_field.db_index
            || !old_field.unique && new_field.unique
            || version.at_least(5, 0) && text_index_goes;
        if gains_index && let Some(statement) = self.like_index(new.resolver, meta, table, new_field)? {
            self.execute_statement(&statement);
        }
        if old_field.unique && !(new_field.db_index || new_field.unique) {
            self.drop_index(table, &create_index_name(table, &old_columns, "_like"), false);
        }
        if version.at_least(5, 2) {
            let indexed =
                |field: &ResolvedField| field.spatial.is_some_and(|spatial| spatial.indexed && !spatial.raster);
            match (indexed(old_field), indexed(new_field)) {
                (false, true) => {
                    let statement = self.spatial_index(meta, table, new_field, None);
                    self.execute_statement(&statement);
                }
                (true, false) => {
                    self.drop_index(table, &create_index_name(table, &old_columns, "_id"), false);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the Python values differ, for values that may not be known.
    fn defaults_differ(&mut self, old: &ResolvedField, new: &ResolvedField, before: &Literal, now: &Literal) -> bool {
        // What a class of the project makes of a value may be what the column had before.
        let made = |field: &ResolvedField| matches!(field.default(), Some(Value::Unknown(_)));
        if *before != Literal::Null && (made(old) || made(new)) {
            self.report(format!("whether the default of `{}` changes is not known", new.name()));
            return false;
        }
        if !(before.is_wildcard() && now.is_wildcard()) {
            return self.literals_differ(old, new, before, now);
        }
        // A date of today is the same before and after.
        let today = |field: &ResolvedField| {
            &*field.value_type == "DateField"
                && (field.field.flag("auto_now")
                    || field.field.flag("auto_now_add")
                    || matches!(field.default(), Some(Value::Symbol(path))
                        if matches!(path.rsplit('.').next(), Some("now" | "today" | "utcnow" | "localdate"))))
        };
        if today(old) && today(new) {
            return false;
        }
        let (Some(old), Some(new)) = (old.default(), new.default()) else { return true };
        let fresh = |value: &Value| {
            matches!(value, Value::Symbol(path)
                if matches!(path.rsplit('.').next(), Some("uuid4" | "uuid1" | "uuid7" | "now" | "today" | "utcnow")))
        };
        if !same_value(old, new) || fresh(new) {
            return true;
        }
        self.report("whether two calls of the default give one value is not known".to_owned());
        false
    }

    /// Whether what Django hands to the driver differs: numbers are compared as Python does, and what the driver wraps
    /// in an object of its own equals nothing.
    fn literals_differ(&self, old: &ResolvedField, new: &ResolvedField, before: &Literal, now: &Literal) -> bool {
        let version = self.context.version;
        let (Literal::Known(one), Literal::Known(other)) = (before, now) else { return before != now };
        let wrapped = |field: &ResolvedField| match &*field.value_type {
            "BinaryField" => true,
            "JSONField" => version.at_least(4, 2),
            "GenericIPAddressField" | "IPAddressField" => self.context.driver == Driver::Psycopg2,
            _ => false,
        };
        if wrapped(old) || wrapped(new) {
            return true;
        }
        let class = |field: &ResolvedField| match &*field.value_type {
            "BooleanField" | "FloatField" | "DecimalField" => 1,
            class if class.ends_with("IntegerField") || class.ends_with("AutoField") => 1,
            "ArrayField" => 2,
            _ => 0,
        };
        match (class(old), class(new)) {
            (1, 1) => number_of(one) != number_of(other),
            (2, 2) => elements_of(one) != elements_of(other),
            (0, 0) => one != other,
            _ => true,
        }
    }

    /// The fragment of ALTER TABLE that changes the type, and what follows it. Sends what Django sends before.
    fn alter_type(&mut self, table: &Arc<str>, old: &ResolvedField, new: &ResolvedField) -> (String, Vec<String>) {
        let version = self.context.version;
        let old_type = old.db_type.clone().unwrap_or_default();
        let new_type = new.db_type.clone().unwrap_or_default();
        let (old_column, column) = (old.column_name(), new.column_name());
        if version.at_least(4, 0) && (old.db_index || old.unique) && leaves_text(&old_type, &new_type) {
            self.drop_index(table, &create_index_name(table, std::slice::from_ref(&old_column), "_like"), false);
        }
        if let (Some(before), Some(now)) = (old.spatial, new.spatial)
            && !before.raster
            && !now.raster
        {
            let column = quote_name(&column);
            let using = match (before.dimensions, now.dimensions) {
                (2, 3) => format!(" USING ST_Force3D({column})::{new_type}"),
                (3, 2) => format!(" USING ST_Force2D({column})::{new_type}"),
                _ => String::new(),
            };
            return (format!("ALTER COLUMN {column} TYPE {new_type}{using}"), Vec::new());
        }
        let using = self.needs_using(old, new);
        let collation = match &new.collation {
            Some(collation) if version.at_least(4, 1) => format!(" COLLATE {}", quote_name(collation)),
            _ => String::new(),
        };
        let action = |type_name: &str, collation: &str| {
            let using = if using { format!(" USING {}::{type_name}", quote_name(&column)) } else { String::new() };
            format!("ALTER COLUMN {} TYPE {type_name}{collation}{using}", quote_name(&column))
        };
        if !version.at_least(4, 1) {
            return alter_serial(table, &old_type, &new_type, &column, &action);
        }
        let mut after = Vec::new();
        if version.at_least(4, 2) && old.comment != new.comment {
            after.push(self.column_comment_sql(table, new));
        }
        let (was_auto, is_auto) = (is_auto(old), is_auto(new));
        if is_auto && !was_auto {
            return (
                action(&new_type, ""),
                vec![format!(
                    "ALTER TABLE {} ALTER COLUMN {} ADD GENERATED BY DEFAULT AS IDENTITY",
                    quote_name(table),
                    quote_name(&column)
                )],
            );
        }
        if was_auto && !is_auto {
            self.execute(format!(
                "ALTER TABLE {} ALTER COLUMN {} DROP IDENTITY IF EXISTS",
                quote_name(table),
                quote_name(&column)
            ));
            let after = self
                .sequence_of(table, &column)
                .map(|sequence| format!("DROP SEQUENCE IF EXISTS {} CASCADE", quote_name(&sequence)));
            return (action(&new_type, &collation), after.into_iter().collect());
        }
        if is_auto && old.internal_type != new.internal_type {
            let after = self
                .sequence_of(table, &column)
                .map(|sequence| format!("ALTER SEQUENCE IF EXISTS {} AS {new_type}", quote_name(&sequence)));
            return (action(&new_type, &collation), after.into_iter().collect());
        }
        (action(&new_type, &collation), after)
    }

    /// `_using_sql()`: the classes' types differ, whatever their lengths.
    fn needs_using(&self, old: &ResolvedField, new: &ResolvedField) -> bool {
        if new.is_generated() {
            return false;
        }
        match (&old.base, &new.base) {
            (Some(old), Some(new)) => self.base_template(old) != self.base_template(new),
            _ => self.type_template(old) != self.type_template(new),
        }
    }

    fn base_template(&self, field: &ResolvedField) -> String {
        match &field.base {
            Some(base) => self.base_template(base),
            None => self.type_template(field),
        }
    }

    /// What stands for the field's class in the backend's table of types.
    fn type_template(&self, field: &ResolvedField) -> String {
        let version = self.context.version;
        let db_type = field.db_type.as_deref().unwrap_or_default().to_owned();
        if field.relation.is_some() {
            return db_type;
        }
        match &*field.internal_type {
            // From 4.2 a function of its own, so that it equals no other class.
            "CharField" if version.at_least(4, 2) => "function of CharField".to_owned(),
            "CharField" | "SlugField" | "FileField" | "FilePathField" => "varchar(%(max_length)s)".to_owned(),
            "DecimalField" => "numeric".to_owned(),
            // Looked up by the class of a field whose own type is a constant.
            internal if matches!(field.field.class.kind, FieldKind::Custom { .. }) => {
                plain_template(internal).map_or(db_type, str::to_owned)
            }
            _ => db_type,
        }
    }

    /// Django refuses any change of a generated column's expression or storage.
    fn check_generated(&self, old: Side<'_>, new: Side<'_>) -> Result<(), Reason> {
        let refused = || format!("Django refuses to modify the generated field `{}`", new.field.name());
        if old.field.is_generated() != new.field.is_generated() {
            return Err(refused());
        }
        let persist = |field: &Field| field.kwarg("db_persist").cloned();
        if persist(&old.field.field) != persist(&new.field.field) {
            return Err(refused());
        }
        let before = self.generated_sql(old.resolver, old.model, old.field);
        let now = self.generated_sql(new.resolver, new.model, new.field)?;
        if before.is_ok_and(|before| before == now) { Ok(()) } else { Err(refused()) }
    }

    /// `_related_non_m2m_objects()`: the keys that point at the field, before and after; from 4.0 with the keys that
    /// point at those.
    fn relation_pairs(&self, old: Side<'_>, new: Side<'_>) -> Result<Vec<(Relation, Relation)>, Reason> {
        let mut pairs = Vec::new();
        self.relation_pairs_into(old, new, &mut pairs, 0)?;
        Ok(pairs)
    }

    fn relation_pairs_into(
        &self,
        old: Side<'_>,
        new: Side<'_>,
        pairs: &mut Vec<(Relation, Relation)>,
        depth: u8,
    ) -> Result<(), Reason> {
        const MAX_DEPTH: u8 = 8;
        if depth > MAX_DEPTH {
            return Err(format!("keys to `{}` go around in a circle", old.model.key()));
        }
        let before = self.relations_to(old)?;
        let now = self.relations_to(new)?;
        for (before, now) in before.into_iter().zip(now) {
            let next = self.context.version.at_least(4, 0)
                && before.field.unique
                && (before.owner.key() != old.model.key() || before.field.name() != old.field.name());
            let (old_owner, new_owner) = (before.owner.clone(), now.owner.clone());
            let (old_field, new_field) = (before.field.clone(), now.field.clone());
            pairs.push((before, now));
            if next {
                self.relation_pairs_into(
                    Side { resolver: old.resolver, model: &old_owner, field: &old_field },
                    Side { resolver: new.resolver, model: &new_owner, field: &new_field },
                    pairs,
                    depth + 1,
                )?;
            }
        }
        Ok(())
    }

    /// The foreign keys whose target is the field, those of automatic through models included, by relation name.
    fn relations_to(&self, side: Side<'_>) -> Result<Vec<Relation>, Reason> {
        let resolver = side.resolver;
        let key = side.model.key();
        let mut relations = Vec::new();
        let mut owners = resolver.referrers(&key);
        // Keys to a proxy point at its concrete model.
        let proxies: Vec<ModelKey> = owners
            .iter()
            .filter(|owner| resolver.state.model(owner).is_some_and(|model| model.is_proxy()))
            .cloned()
            .collect();
        for proxy in proxies {
            owners.extend(resolver.referrers(&proxy));
        }
        owners.push(key.clone());
        // Keys without a name for the way back all have the same one, and so stay in the order of Django's registry.
        owners.sort_by(|one, other| {
            let place = |key: &ModelKey| resolver.state.place(key);
            one.app.cmp(&other.app).then_with(|| place(one).cmp(&place(other))).then_with(|| one.cmp(other))
        });
        owners.dedup();
        for owner_key in owners {
            let Some(owner) = resolver.state.model(&owner_key) else { continue };
            if owner.assumed || owner.is_proxy() || resolver.is_swapped(owner) {
                continue;
            }
            for field in resolver.all_fields(owner) {
                match field.django_class() {
                    Some("ForeignKey" | "OneToOneField") => {
                        self.add_relation(side, &key, owner, &field, &mut relations)?;
                    }
                    Some("ManyToManyField") => {
                        let Ok(resolved) = resolver.field_of(owner, &field) else { continue };
                        let Some(through) = resolved.auto_through() else { continue };
                        for field in &through.fields {
                            self.add_relation(side, &key, through, field, &mut relations)?;
                        }
                    }
                    _ => {}
                }
            }
        }
        relations.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(relations)
    }

    fn add_relation(
        &self,
        side: Side<'_>,
        key: &ModelKey,
        owner: &Arc<ModelState>,
        field: &Field,
        relations: &mut Vec<Relation>,
    ) -> Result<(), Reason> {
        let resolver = side.resolver;
        let Some(to) = field.kwarg("to") else { return Ok(()) };
        let target = resolver.target(to, owner)?;
        if target != *key && resolver.concrete_key(&target).as_ref() != Some(key) {
            return Ok(());
        }
        let relevant = match field.kwarg("to_field") {
            Some(Value::Str(name)) if !name.is_empty() => {
                name == side.field.name() || self.context.version.at_least(6, 1) && **name == *side.field.column_name()
            }
            _ => side.field.primary_key,
        };
        if relevant {
            let field = resolver.field_of(owner, field)?;
            relations.push(Relation { name: relation_name(owner, &field.field), owner: owner.clone(), field });
        }
        Ok(())
    }

    /// `_alter_many_to_many()` between two automatic through models.
    pub(super) fn alter_many_to_many(&mut self, old: Side<'_>, new: Side<'_>) -> Result<(), Reason> {
        let (Some(old_through), Some(new_through)) = (old.field.auto_through(), new.field.auto_through()) else {
            return Ok(());
        };
        let (old_table, new_table) = (old.resolver.table(old_through)?, new.resolver.table(new_through)?);
        self.rename_table(&old_table, &new_table);
        let (old_names, new_names) = (through_names(old)?, through_names(new)?);
        // The end that leads to the other model first.
        for (old_name, new_name) in [(&old_names.1, &new_names.1), (&old_names.0, &new_names.0)] {
            self.alter_through_field(old, new, old_name, new_name)?;
        }
        Ok(())
    }

    pub(super) fn alter_through_field(
        &mut self,
        old: Side<'_>,
        new: Side<'_>,
        old_name: &str,
        new_name: &str,
    ) -> Result<(), Reason> {
        let (Some(old_through), Some(new_through)) = (old.field.auto_through(), new.field.auto_through()) else {
            return Ok(());
        };
        let old_end = old.resolver.field(old_through, old_name)?;
        let new_end = new.resolver.field(new_through, new_name)?;
        let table = new.resolver.table(new_through)?;
        self.alter_field(
            new_through,
            &table,
            Side { resolver: old.resolver, model: old_through, field: &old_end },
            Side { resolver: new.resolver, model: new_through, field: &new_end },
        )
    }
}

/// The two keys of an automatic through model: to the field's own model, to the other one.
fn through_names(side: Side<'_>) -> Result<(String, String), Reason> {
    let relation = side.field.relation.as_ref().ok_or_else(|| format!("`{}` is no relation", side.field.name()))?;
    Ok(through_field_names(&side.model.name.to_lowercase(), &relation.model.model))
}

/// `ForeignObjectRel.name`: the query name of the reverse relation.
fn relation_name(owner: &ModelState, field: &Field) -> String {
    let given = |name: &str| field.kwarg(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    match given("related_query_name").or_else(|| given("related_name")) {
        Some(name) => name
            .replace("%(class)s", &owner.name.to_lowercase())
            .replace("%(model_name)s", &owner.name.to_lowercase())
            .replace("%(app_label)s", &owner.app),
        None => owner.option_str("default_related_name").map_or_else(|| owner.name.to_lowercase(), str::to_owned),
    }
}

/// A literal's number without what does not count in it.
fn number_of(literal: &str) -> String {
    let text = match literal.trim_start() {
        "true" => "1",
        "false" => "0",
        text => text,
    };
    if text.contains('.') && !text.contains('e') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text.to_owned()
}

/// An array's literal without the type of its elements.
fn elements_of(literal: &str) -> &str {
    literal.split_once("}'::").map_or(literal, |(elements, _)| elements).trim_end_matches("}'")
}

/// Python's `bool(value)`.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::None => false,
        Value::Bool(truth) => *truth,
        Value::Int(number) => *number != 0,
        Value::Float(number) => *number != 0.0,
        Value::Str(text) => !text.is_empty(),
        Value::Bytes(bytes) => !bytes.is_empty(),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) => !items.is_empty(),
        Value::Dict(entries) => !entries.is_empty(),
        Value::Symbol(_) | Value::Call(_) | Value::Setting(_) | Value::Unknown(_) => true,
    }
}

fn check_of(field: &ResolvedField) -> Option<&'static str> {
    field.check.as_ref().map(|_| ">= 0")
}

/// The collation of the field itself, which 3.2 looks at.
fn own_collation(field: &ResolvedField) -> Option<&Arc<str>> {
    field.collation.as_ref().filter(|_| field.relation.is_none())
}

fn is_auto(field: &ResolvedField) -> bool {
    matches!(&*field.internal_type, "AutoField" | "BigAutoField" | "SmallAutoField")
}

/// Whether a column of text becomes something else, which its `_like` index cannot follow.
fn leaves_text(old_type: &str, new_type: &str) -> bool {
    ["varchar", "text", "citext"].iter().any(|kind| old_type.starts_with(kind) && !new_type.starts_with(kind))
}

/// The type of classes whose type has no arguments.
fn plain_template(internal: &str) -> Option<&'static str> {
    Some(match internal {
        "TextField" => "text",
        "IntegerField" => "integer",
        "BigIntegerField" => "bigint",
        "JSONField" => "jsonb",
        "UUIDField" => "uuid",
        "DateTimeField" => "timestamp with time zone",
        "DateField" => "date",
        _ => return None,
    })
}

/// Before identity columns (4.1): serial types are a type and a sequence.
fn alter_serial(
    table: &str,
    old_type: &str,
    new_type: &str,
    column: &str,
    action: &dyn Fn(&str, &str) -> String,
) -> (String, Vec<String>) {
    let integer_of = |serial: &str| match serial {
        "serial" => Some("integer"),
        "bigserial" => Some("bigint"),
        "smallserial" => Some("smallint"),
        _ => None,
    };
    let table = super::naming::strip_quotes(table);
    let sequence = quote_name(&format!("{table}_{column}_seq"));
    let (table, quoted) = (quote_name(table), quote_name(column));
    if let Some(integer) = integer_of(new_type) {
        // USING names the serial type's integer: both come from one template.
        return (
            action(integer, ""),
            vec![
                format!("DROP SEQUENCE IF EXISTS {sequence} CASCADE"),
                format!("CREATE SEQUENCE {sequence}"),
                format!("ALTER TABLE {table} ALTER COLUMN {quoted} SET DEFAULT nextval('{sequence}')"),
                format!("SELECT setval('{sequence}', MAX({quoted})) FROM {table}"),
                format!("ALTER SEQUENCE {sequence} OWNED BY {table}.{quoted}"),
            ],
        );
    }
    let after = integer_of(old_type).map(|_| format!("DROP SEQUENCE IF EXISTS {sequence} CASCADE"));
    (action(new_type, ""), after.into_iter().collect())
}

/// 3.2 changes a collation and a type by one template.
fn old_collation_sql(new: &ResolvedField, column: &str, new_type: &str) -> String {
    let collation = own_collation(new).map(|name| format!(" COLLATE {}", quote_name(name))).unwrap_or_default();
    format!("ALTER COLUMN {} TYPE {new_type}{collation}", quote_name(column))
}
