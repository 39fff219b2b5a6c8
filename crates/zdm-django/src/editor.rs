//! Django's PostgreSQL schema editor: an operation and a state become the statements that Django executes.
//!
//! [`run_migration`] walks the operations of one migration in order, sends each statement to a [`Database`], and at the
//! end the statements that were deferred. Names of constraints come from the database's catalog, as Django introspects
//! them. It models what runs, not what `sqlmigrate` prints.
//!
//! Nothing is guessed in silence: an operation, or a part of it, that cannot be analysed is reported as
//! [`NotAnalysed`], and the rest goes on.
//!
//! Source: `django.db.backends.base.schema`, `django.db.backends.postgresql.schema` and
//! `django.db.migrations.operations` of 3.2, 4.2, 5.2, 6.0 and 6.1, as far as their behaviour goes.

mod alter;
pub mod backwards;
mod constraints;
mod expression;
mod introspect;
mod literal;
pub mod naming;
mod operations;
mod statement;

use std::fmt::Write as _;
use std::sync::Arc;

use zdm_postgres::catalog::Catalog;
use zdm_source::Span;

use crate::migration::Migration;
use crate::operation::{Operation, TextMap};
use crate::resolve::{Context, Reason, ResolvedField, Resolver};
use crate::state::{ModelState, ProjectState};
use crate::value::Value;

pub use literal::PLACEHOLDER;

use backwards::WayBack;
use literal::{By, Literal};
use naming::quote_name;
use statement::{
    Elements, ForeignKeyStatement, ForeignKeySuffix, Fragments, IndexStatement, Name, Statement, StatementKind,
    UniqueStatement, foreign_key_name,
};

/// Where the schema editor sends its statements.
pub trait Database {
    /// What the statements so far have made. Django asks it for the names of constraints and indexes.
    fn catalog(&self) -> &Catalog;

    /// One call of Django's `execute()`; the text may hold several statements, separated by `;`.
    fn execute(&mut self, sql: Sql);

    /// Called before the statements of a top-level operation.
    fn operation_started(&mut self, index: usize, operation: &Operation) {
        let _ = (index, operation);
    }

    /// Called after the statements of a top-level operation, with the state after it. Deferred statements follow the
    /// last operation.
    fn operation_finished(&mut self, index: usize, state: &ProjectState) {
        let _ = (index, state);
    }

    /// Called for each part that was not analysed, where it occurs.
    fn not_analysed(&mut self, reason: &NotAnalysed) {
        let _ = reason;
    }
}

/// What one call of `execute()` sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sql {
    /// Without a final semicolon, except as written in `RunSQL`.
    pub text: Arc<str>,
    /// The top-level operation that it belongs to, by index.
    pub operation: usize,
    /// Sent after all operations.
    pub deferred: bool,
    pub origin: Origin,
    /// Contains [`PLACEHOLDER`] where a Python value stands.
    pub wildcard: bool,
}

/// Who wrote the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    SchemaEditor,
    /// A `RunSQL` operation; the map leads from the text to the file.
    RunSql {
        map: TextMap,
    },
    /// An operation of a known package.
    Known {
        package: Arc<str>,
        map: TextMap,
    },
}

/// A part of a migration whose effect on the state or the database is not known, or only in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnalysed {
    /// The top-level operation, by index.
    pub operation: usize,
    /// In the migration's file.
    pub span: Span,
    /// Lower case, no final period, the user's names in backticks.
    pub reason: String,
}

/// The result of a migration.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// After all operations.
    pub state: ProjectState,
    pub not_analysed: Vec<NotAnalysed>,
}

/// Runs a migration forwards.
pub fn run_migration(
    migration: &Migration,
    state: &ProjectState,
    context: &Context,
    database: &mut dyn Database,
) -> Outcome {
    let mut editor = Editor::new(context, database);
    let mut state = state.clone();
    state.forget_touched();
    // Asked once, before anything runs.
    let runs = migration.applies_where.as_ref().map(|test| editor.holds(test, &migration.key.app, [&state, &state]));
    for (index, operation) in migration.operations.iter().enumerate() {
        editor.start(index, operation);
        let mut after = state.clone();
        for reason in after.apply(&migration.key.app, operation) {
            editor.report(reason);
        }
        match &runs {
            None | Some(Ok(true)) => editor.database_forwards(&migration.key.app, operation, &state, &after, 0),
            Some(Ok(false)) => {}
            Some(Err(reason)) => editor.report(reason.clone()),
        }
        state = after;
        editor.database.operation_finished(index, &state);
    }
    editor.finish();
    Outcome { state, not_analysed: editor.not_analysed }
}

/// Unapplies a migration.
pub fn run_back(back: &WayBack, state: &ProjectState, context: &Context, database: &mut dyn Database) -> Outcome {
    let mut editor = Editor::new(context, database);
    let mut last = state.clone();
    for (index, (operation, (from, to))) in back.migration.operations.iter().zip(&back.states).enumerate() {
        editor.start(index, operation);
        editor.database_forwards(&back.migration.key.app, operation, from, to, 0);
        editor.database.operation_finished(index, to);
        last.clone_from(to);
    }
    editor.finish();
    Outcome { state: last, not_analysed: editor.not_analysed }
}

/// A statement that waits, with the operation that made it.
struct Deferred {
    statement: Statement,
    operation: usize,
}

/// The schema editor while it runs one migration.
struct Editor<'a> {
    context: &'a Context,
    database: &'a mut dyn Database,
    deferred: Vec<Deferred>,
    operation: usize,
    span: Span,
    not_analysed: Vec<NotAnalysed>,
}

impl<'a> Editor<'a> {
    fn new(context: &'a Context, database: &'a mut dyn Database) -> Self {
        Self { context, database, deferred: Vec::new(), operation: 0, span: Span::default(), not_analysed: Vec::new() }
    }

    fn start(&mut self, index: usize, operation: &Operation) {
        self.operation = index;
        self.span = operation.span;
        self.database.operation_started(index, operation);
    }

    /// Sends what waits for the end of the migration.
    fn finish(&mut self) {
        for deferred in std::mem::take(&mut self.deferred) {
            let mut text = deferred.statement.sql();
            if !self.context.version.at_least(5, 0) {
                // Up to 4.2 percent signs are doubled in conditions, and only a deferred statement is formatted again.
                text = text.replace("%%", "%");
            }
            self.database.execute(Sql {
                text: Arc::from(text),
                operation: deferred.operation,
                deferred: true,
                origin: Origin::SchemaEditor,
                wildcard: deferred.statement.wildcard,
            });
        }
    }
}

impl Editor<'_> {
    fn report(&mut self, reason: Reason) {
        let entry = NotAnalysed { operation: self.operation, span: self.span, reason };
        if !self.not_analysed.contains(&entry) {
            self.database.not_analysed(&entry);
            self.not_analysed.push(entry);
        }
    }

    fn execute(&mut self, text: impl Into<Arc<str>>) {
        self.execute_with(text, false);
    }

    fn execute_with(&mut self, text: impl Into<Arc<str>>, wildcard: bool) {
        self.send(text.into(), wildcard, Origin::SchemaEditor);
    }

    fn send(&mut self, text: Arc<str>, wildcard: bool, origin: Origin) {
        let sql = Sql { text, operation: self.operation, deferred: false, origin, wildcard };
        self.database.execute(sql);
    }

    fn execute_statement(&mut self, statement: &Statement) {
        self.execute_with(statement.sql(), statement.wildcard);
    }

    fn defer(&mut self, statement: Statement) {
        self.deferred.push(Deferred { statement, operation: self.operation });
    }

    /// `CREATE TABLE` with everything around it.
    fn create_model(&mut self, resolver: Resolver<'_>, model: &ModelState) -> Result<(), Reason> {
        let table = resolver.table(model)?;
        let mut fields = Vec::new();
        for field in resolver.all_fields(model) {
            fields.push(resolver.field_of(model, &field)?);
        }
        for group in model.together("unique_together") {
            let statement = unique(&table, columns_of(resolver, model, &group)?);
            self.defer(statement);
        }
        let mut wildcard = false;
        let mut has_params = false;
        let mut definitions = Vec::new();
        for field in &fields {
            let Some(column) = &field.column else { continue };
            let mut definition = self.column_sql(resolver, model, field, None)?;
            wildcard |= definition.wildcard;
            has_params |= definition.has_params;
            if let Some(check) = &field.check {
                let _ = write!(definition.text, " CHECK ({check})");
            }
            if let Some(suffix) = field.suffix {
                definition.text.push(' ');
                definition.text.push_str(suffix);
            }
            if let Some(statement) = foreign_key_statement(&table, field, ForeignKeySuffix::Target) {
                self.defer(statement);
            }
            definitions.push(format!("{} {}", quote_name(column), definition.text));
        }
        for constraint in &model.options.constraints {
            if self.context.version.at_least(5, 0) && has_params {
                if let Some(statement) = self.constraint_statement(resolver, model, constraint)? {
                    self.defer(statement);
                }
            } else if let Some((sql, known)) = self.inline_constraint(resolver, model, constraint)? {
                wildcard |= known;
                definitions.push(sql);
            }
        }
        if let Some(key) = model.fields.iter().find(|field| field.is("CompositePrimaryKey")) {
            let names = composite_key_fields(key);
            let mut columns = Vec::new();
            for name in names {
                columns.push(quote_name(&resolver.field(model, &name)?.column_name()));
            }
            definitions.push(format!("PRIMARY KEY ({})", columns.join(", ")));
        }
        let mut sql = format!("CREATE TABLE {} ({})", quote_name(&table), definitions.join(", "));
        if let Some(tablespace) = self.table_tablespace(model) {
            let _ = write!(sql, " TABLESPACE {}", quote_name(&tablespace));
        }
        self.execute_with(sql, wildcard);
        if self.context.version.at_least(4, 2) {
            if let Some(comment) = model.option_str("db_table_comment") {
                self.table_comment(&table, Some(comment));
            }
            for field in &fields {
                if field.column.is_some() && field.comment.is_some() {
                    let sql = self.column_comment_sql(&table, field);
                    self.execute(sql);
                }
            }
        }
        if resolver.can_migrate(model) {
            for field in &fields {
                self.field_indexes(resolver, model, &table, field)?;
            }
            if !self.context.version.at_least(5, 1) {
                for group in model.together("index_together") {
                    let statement = self.index_together(resolver, model, &table, &group)?;
                    self.defer(statement);
                }
            }
            for index in &model.options.indexes {
                let statement = self.index_statement(resolver, model, index, false)?;
                self.defer(statement);
            }
        }
        for field in &fields {
            if let Some(through) = field.auto_through() {
                self.create_model(resolver, &through.clone())?;
            }
        }
        Ok(())
    }

    fn delete_model(&mut self, resolver: Resolver<'_>, model: &ModelState) -> Result<(), Reason> {
        for field in resolver.all_fields(model) {
            if field.is("ManyToManyField") {
                let field = resolver.field_of(model, &field)?;
                if let Some(through) = field.auto_through() {
                    self.delete_model(resolver, &through.clone())?;
                }
            }
        }
        let table = resolver.table(model)?;
        self.execute(format!("DROP TABLE {} CASCADE", quote_name(&table)));
        self.deferred.retain(|deferred| !deferred.statement.references_table(&table));
        Ok(())
    }

    fn add_field(&mut self, resolver: Resolver<'_>, model: &ModelState, field: &ResolvedField) -> Result<(), Reason> {
        if let Some(through) = field.auto_through() {
            return self.create_model(resolver, &through.clone());
        }
        let Some(column) = &field.column else { return Ok(()) };
        let table = resolver.table(model)?;
        let default = self.effective_default(field)?;
        let mut definition = self.column_sql(resolver, model, field, Some(&default))?;
        if let Some(suffix) = field.suffix {
            definition.text.push(' ');
            definition.text.push_str(suffix);
        }
        if let Some(check) = &field.check {
            let _ = write!(definition.text, " CHECK ({check})");
        }
        if let Some(statement) = foreign_key_statement(&table, field, ForeignKeySuffix::Target)
            && let StatementKind::ForeignKey(key) = &statement.kind
        {
            let name = quote_name(&foreign_key_name(&table, key));
            let (namespace, _) = naming::split_identifier(&table);
            let namespace = if namespace.is_empty() { String::new() } else { format!("{}.", quote_name(namespace)) };
            let _ = write!(
                definition.text,
                " CONSTRAINT {name} REFERENCES {}({}){} DEFERRABLE INITIALLY DEFERRED; SET CONSTRAINTS {namespace}{name} IMMEDIATE",
                quote_name(&key.to_table),
                quote_name(&key.to_column),
                key.on_delete,
            );
        }
        self.execute_with(
            format!("ALTER TABLE {} ADD COLUMN {} {}", quote_name(&table), quote_name(column), definition.text),
            definition.wildcard,
        );
        if field.db_default().is_none() && default != Literal::Null {
            self.drop_default(&table, column);
        }
        if self.context.version.at_least(4, 2) && field.comment.is_some() {
            let sql = self.column_comment_sql(&table, field);
            self.execute(sql);
        }
        self.field_indexes(resolver, model, &table, field)
    }

    fn drop_default(&mut self, table: &str, column: &str) {
        self.execute(format!("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", quote_name(table), quote_name(column)));
    }

    fn remove_field(
        &mut self,
        resolver: Resolver<'_>,
        model: &ModelState,
        field: &ResolvedField,
    ) -> Result<(), Reason> {
        if let Some(through) = field.auto_through() {
            return self.delete_model(resolver, &through.clone());
        }
        let Some(column) = field.column.clone() else { return Ok(()) };
        let table = resolver.table(model)?;
        if field.foreign_key().is_some() {
            for name in self.foreign_key_names(&table, &column) {
                self.drop_foreign_key(&table, &name);
            }
        }
        let cascade = if self.context.version.at_least(6, 0) { "" } else { " CASCADE" };
        self.execute(format!("ALTER TABLE {} DROP COLUMN {}{cascade}", quote_name(&table), quote_name(&column)));
        self.deferred.retain(|deferred| !deferred.statement.references_column(&table, &column));
        Ok(())
    }

    fn drop_foreign_key(&mut self, table: &str, name: &str) {
        let name = quote_name(name);
        self.execute(format!(
            "SET CONSTRAINTS {name} IMMEDIATE; ALTER TABLE {} DROP CONSTRAINT {name}",
            quote_name(table)
        ));
    }

    fn drop_constraint(&mut self, table: &str, name: &str) {
        self.execute(format!("ALTER TABLE {} DROP CONSTRAINT {}", quote_name(table), quote_name(name)));
    }

    /// Drops an index, and withdraws a deferred statement that would make it.
    fn drop_index(&mut self, table: &str, name: &str, concurrently: bool) {
        if self.context.version.at_least(5, 0) {
            self.deferred.retain(|deferred| !deferred.statement.references_index(table, name));
            for deferred in &mut self.deferred {
                deferred.statement.settle_name(table);
            }
        }
        let concurrently = if concurrently { "CONCURRENTLY " } else { "" };
        self.execute(format!("DROP INDEX {concurrently}IF EXISTS {}", quote_name(name)));
    }

    fn rename_table(&mut self, old: &str, new: &Arc<str>) {
        if old == &**new {
            return;
        }
        self.execute(format!("ALTER TABLE {} RENAME TO {}", quote_name(old), quote_name(new)));
        for deferred in &mut self.deferred {
            deferred.statement.rename_table(old, new);
        }
    }

    fn table_comment(&mut self, table: &str, comment: Option<&str>) {
        let comment = literal::quoted(comment.unwrap_or_default(), self.context);
        self.execute(format!("COMMENT ON TABLE {} IS {comment}", quote_name(table)));
    }

    fn column_comment_sql(&self, table: &str, field: &ResolvedField) -> String {
        let comment = literal::quoted(field.comment.as_deref().unwrap_or_default(), self.context);
        format!("COMMENT ON COLUMN {}.{} IS {comment}", quote_name(table), quote_name(&field.column_name()))
    }

    /// What follows the column's name, up to checks, keys and suffixes. `default` is the effective default where one is
    /// to be included.
    fn column_sql(
        &self,
        resolver: Resolver<'_>,
        model: &ModelState,
        field: &ResolvedField,
        default: Option<&Literal>,
    ) -> Result<Definition, Reason> {
        let Some(db_type) = &field.db_type else {
            return Err(format!("the type of `{}` is not known", field.field.name));
        };
        let mut definition = Definition { text: db_type.to_string(), wildcard: false, has_params: false };
        if let Some(collation) = &field.collation {
            let _ = write!(definition.text, " COLLATE {}", quote_name(collation));
        }
        if let Some(value) = field.db_default() {
            let (sql, wildcard, has_params) = self.db_default_sql(resolver, model, field, value)?;
            let _ = write!(definition.text, " DEFAULT {sql}");
            definition.wildcard |= wildcard;
            definition.has_params |= has_params;
        } else if let Some(default) = default.filter(|default| **default != Literal::Null) {
            let _ = write!(definition.text, " DEFAULT {}", default.text());
            definition.wildcard |= default.is_wildcard();
            definition.has_params = true;
        }
        if field.is_generated() {
            let (sql, has_params) = self.generated_sql(resolver, model, field)?;
            definition.text.push(' ');
            definition.text.push_str(&sql);
            definition.has_params |= has_params;
        } else {
            definition.text.push_str(if field.null { " NULL" } else { " NOT NULL" });
        }
        if field.primary_key {
            definition.text.push_str(" PRIMARY KEY");
        } else if field.unique {
            definition.text.push_str(" UNIQUE");
        }
        if field.unique
            && let Some(tablespace) = self.field_tablespace(field).or_else(|| self.table_tablespace(model))
        {
            let _ = write!(definition.text, " USING INDEX TABLESPACE {}", quote_name(&tablespace));
        }
        Ok(definition)
    }

    fn field_tablespace(&self, field: &ResolvedField) -> Option<Arc<str>> {
        match field.field.kwarg("db_tablespace") {
            Some(Value::Str(name)) if !name.is_empty() => Some(name.clone()),
            _ => self.context.default_index_tablespace.clone().filter(|name| !name.is_empty()),
        }
    }

    fn table_tablespace(&self, model: &ModelState) -> Option<Arc<str>> {
        match model.options.get("db_tablespace") {
            Some(Value::Str(name)) => Some(name.clone()).filter(|name| !name.is_empty()),
            _ => self.context.default_tablespace.clone().filter(|name| !name.is_empty()),
        }
    }

    /// ` TABLESPACE …` of an index.
    fn index_tablespace_sql(&self, model: &ModelState, fields: &[ResolvedField], given: Option<&str>) -> String {
        let single = || match fields {
            [field] => self.field_tablespace(field),
            _ => None,
        };
        let tablespace = given
            .map(Arc::from)
            .or_else(single)
            .or_else(|| self.context.default_index_tablespace.clone().filter(|name| !name.is_empty()))
            .or_else(|| self.table_tablespace(model));
        tablespace.map(|name| format!(" TABLESPACE {}", quote_name(&name))).unwrap_or_default()
    }

    /// The value that Django puts into a new column: `effective_default()`.
    fn effective_default(&self, field: &ResolvedField) -> Result<Literal, Reason> {
        match field.stored_default().filter(|_| field.default().is_none_or(|default| *default == Value::None)) {
            Some(Value::Unknown(_)) => {
                return Err(format!(
                    "what the class of `{}` stores where there is no value is not known",
                    field.name()
                ));
            }
            Some(value) => return Ok(literal::prepared(field, value, By::parameters(self.context), self.context)),
            None => {}
        }
        Ok(self.default_of_django(field))
    }

    fn default_of_django(&self, field: &ResolvedField) -> Literal {
        if let Some(value) = field.default() {
            // `ForeignKey.get_db_prep_save()`: an empty text that the field at its end cannot hold is NULL.
            let number = field.value_type.ends_with("IntegerField") || field.value_type.ends_with("AutoField");
            let is_empty = matches!(value, Value::Str(text) if text.is_empty());
            if field.relation.is_some() && is_empty && (number || &*field.value_type == "UUIDField") {
                return Literal::Null;
            }
            return literal::prepared(field, value, By::parameters(self.context), self.context);
        }
        if field.is_generated() {
            return Literal::Null;
        }
        let blank = field.field.flag("blank");
        if !field.null && blank && crate::resolve::empty_strings_allowed(field) {
            return match &*field.internal_type {
                "BinaryField" => {
                    let by = By::parameters(self.context);
                    literal::prepared(field, &Value::Bytes(Arc::default()), by, self.context)
                }
                _ => Literal::Known("''".to_owned()),
            };
        }
        if field.field.flag("auto_now") || field.field.flag("auto_now_add") {
            return Literal::Wildcard;
        }
        Literal::Null
    }

    /// The indexes of one field, deferred.
    fn field_indexes(
        &mut self,
        resolver: Resolver<'_>,
        model: &ModelState,
        table: &Arc<str>,
        field: &ResolvedField,
    ) -> Result<(), Reason> {
        if field.column.is_none() {
            return Ok(());
        }
        if field.spatial.is_some_and(|spatial| spatial.indexed) {
            let statement = self.spatial_index(model, table, field, None);
            self.defer(statement);
        } else if field.db_index && !field.unique {
            let statement = self.field_index(model, table, field, "", None);
            self.defer(statement);
        }
        if let Some(statement) = self.like_index(resolver, model, table, field)? {
            self.defer(statement);
        }
        Ok(())
    }

    fn field_index(
        &self,
        model: &ModelState,
        table: &Arc<str>,
        field: &ResolvedField,
        suffix: &'static str,
        opclass: Option<&str>,
    ) -> Statement {
        Statement {
            table: table.clone(),
            kind: StatementKind::Index(IndexStatement {
                name: Name::Hashed(suffix),
                concurrently: false,
                using: String::new(),
                elements: Elements::Columns {
                    columns: vec![field.column_name()],
                    opclasses: opclass.map(Arc::from).into_iter().collect(),
                    suffixes: Vec::new(),
                },
                include: Vec::new(),
                extra: self.index_tablespace_sql(model, std::slice::from_ref(field), None),
                condition: None,
            }),
            wildcard: false,
        }
    }

    /// The index of a column of PostGIS: of the hull of a raster, with the operators of many dimensions beyond two.
    fn spatial_index(
        &self,
        model: &ModelState,
        table: &Arc<str>,
        field: &ResolvedField,
        name: Option<Arc<str>>,
    ) -> Statement {
        let column = field.column_name();
        let own_name = if self.context.version.at_least(4, 0) {
            naming::create_index_name(table, std::slice::from_ref(&column), "_id")
        } else {
            format!("{table}_{column}_id")
        };
        let elements = match field.spatial {
            Some(_) if !self.context.version.at_least(4, 0) => {
                // 3.2 writes this index down at once: it follows no later change.
                let column = quote_name(&column);
                Elements::Expressions(Fragments::text(match field.spatial {
                    Some(spatial) if spatial.raster => format!("ST_ConvexHull({column})"),
                    Some(spatial) if spatial.dimensions > 2 && !spatial.geography => {
                        format!("{column} GIST_GEOMETRY_OPS_ND")
                    }
                    _ => column,
                }))
            }
            Some(spatial) if spatial.raster => {
                let mut fragments = Fragments::text("ST_ConvexHull(");
                fragments.column(column);
                fragments.push(")");
                Elements::Expressions(fragments)
            }
            Some(spatial) if spatial.dimensions > 2 && !spatial.geography => Elements::Columns {
                columns: vec![column],
                opclasses: vec![Arc::from("GIST_GEOMETRY_OPS_ND")],
                suffixes: Vec::new(),
            },
            _ => Elements::plain(vec![column]),
        };
        let extra = if self.context.version.at_least(4, 0) {
            self.index_tablespace_sql(model, std::slice::from_ref(field), None)
        } else {
            String::new()
        };
        Statement {
            table: table.clone(),
            kind: StatementKind::Index(IndexStatement {
                name: Name::Given(name.unwrap_or_else(|| Arc::from(own_name))),
                concurrently: false,
                using: " USING GIST".to_owned(),
                elements,
                include: Vec::new(),
                extra,
                condition: None,
            }),
            wildcard: false,
        }
    }

    /// The second index of varchar and text columns, for LIKE.
    fn like_index(
        &mut self,
        resolver: Resolver<'_>,
        model: &ModelState,
        table: &Arc<str>,
        field: &ResolvedField,
    ) -> Result<Option<Statement>, Reason> {
        let Some(db_type) = &field.db_type else { return Ok(None) };
        if !(field.db_index || field.unique) || db_type.contains('[') {
            return Ok(None);
        }
        let opclass = if db_type.starts_with("varchar") {
            "varchar_pattern_ops"
        } else if db_type.starts_with("text") {
            "text_pattern_ops"
        } else {
            return Ok(None);
        };
        if self.context.version.at_least(4, 2) {
            let own = match field.field.kwarg("db_collation") {
                Some(Value::Str(name)) if !name.is_empty() => Some(name.clone()),
                _ => None,
            };
            let collation = own.or_else(|| {
                // A key to a column with a collation: since 5.0.
                field.collation.clone().filter(|_| field.relation.is_some() && self.context.version.at_least(5, 0))
            });
            if let Some(collation) = collation {
                match is_deterministic(resolver, &collation) {
                    Some(true) => {}
                    Some(false) => return Ok(None),
                    None => {
                        return Err(format!("whether the collation `{collation}` is deterministic is not known"));
                    }
                }
            }
        }
        Ok(Some(self.field_index(model, table, field, "_like", Some(opclass))))
    }

    fn index_together(
        &self,
        resolver: Resolver<'_>,
        model: &ModelState,
        table: &Arc<str>,
        group: &[Arc<str>],
    ) -> Result<Statement, Reason> {
        let mut fields = Vec::new();
        for name in group {
            fields.push(resolver.field(model, name)?);
        }
        Ok(Statement {
            table: table.clone(),
            kind: StatementKind::Index(IndexStatement {
                name: Name::Hashed("_idx"),
                concurrently: false,
                using: String::new(),
                elements: Elements::plain(fields.iter().map(ResolvedField::column_name).collect()),
                include: Vec::new(),
                extra: self.index_tablespace_sql(model, &fields, None),
                condition: None,
            }),
            wildcard: false,
        })
    }
}

/// A column's definition in progress.
struct Definition {
    text: String,
    wildcard: bool,
    /// Django sends values apart from the text: it then defers the constraints of CREATE TABLE.
    has_params: bool,
}

/// `ADD CONSTRAINT … FOREIGN KEY` of a field with a constraint in the database.
fn foreign_key_statement(table: &Arc<str>, field: &ResolvedField, suffix: ForeignKeySuffix) -> Option<Statement> {
    let relation = field.foreign_key().filter(|relation| relation.db_constraint)?;
    Some(Statement {
        table: table.clone(),
        kind: StatementKind::ForeignKey(ForeignKeyStatement {
            column: field.column.clone()?,
            to_table: relation.table.clone(),
            to_column: relation.column.clone()?,
            on_delete: relation.on_delete_sql,
            suffix,
        }),
        wildcard: false,
    })
}

fn columns_of(resolver: Resolver<'_>, model: &ModelState, names: &[Arc<str>]) -> Result<Vec<Arc<str>>, Reason> {
    names.iter().map(|name| Ok(resolver.field(model, name)?.column_name())).collect()
}

/// The field names of `CompositePrimaryKey("a", "b")`: its positional arguments.
fn composite_key_fields(field: &crate::field::Field) -> Vec<Arc<str>> {
    let mut names = Vec::new();
    // `field_0`, `field_1` …: in their order.
    for (key, value) in field.kwargs.iter() {
        if let Value::Str(name) = value
            && key.starts_with("field_")
        {
            names.push(name.clone());
        }
    }
    names
}

/// Collations that come with the server are deterministic; of others only those that a migration made are known.
fn is_deterministic(resolver: Resolver<'_>, collation: &str) -> Option<bool> {
    if let Some(deterministic) = resolver.state.collations.get(collation) {
        return Some(*deterministic);
    }
    // `en_US`, `de_DE.utf8`, `C.UTF-8` of the C library; `und-x-icu` of ICU.
    let locale = collation.split(['.', '@']).next().unwrap_or_default();
    let libc = locale == "C" || locale.len() <= 6 && locale.contains('_');
    let predefined = libc || matches!(collation, "POSIX" | "default" | "ucs_basic" | "unicode" | "pg_c_utf8");
    (predefined || collation.ends_with("-x-icu")).then_some(true)
}

/// Columns that are unique together, under a name of Django's.
fn unique(table: &Arc<str>, columns: Vec<Arc<str>>) -> Statement {
    Statement {
        table: table.clone(),
        kind: StatementKind::Unique(UniqueStatement {
            name: Name::Hashed("_uniq"),
            elements: Elements::plain(columns),
            include: Vec::new(),
            condition: None,
            nulls_distinct: "",
            deferrable: "",
            as_index: false,
            tracked: true,
        }),
        wildcard: false,
    }
}
