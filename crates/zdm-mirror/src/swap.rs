//! The migrations that make the shadow the column.
//!
//! Everything slow comes before and outside of the swap, in migrations of their own: indexes are built CONCURRENTLY on
//! the shadow, constraints are added NOT VALID, then validated. The swap itself is one short transaction of changes to the
//! catalog. Its reverse puts every name and the trigger back, and the values of rows that were written since.

use std::collections::BTreeSet;

use zdm_conn::Ident;
use zdm_postgres::catalog::{Column, Constraint, ConstraintKind, Index, Table};
use zdm_postgres::statement::{IndexElement, IndexKey};
use zdm_postgres::{Catalog, deparse};
use zdm_replay::Trace;

use crate::expression::with_column;
use crate::migration::{self, MigrationFile, Operation, python_string};
use crate::mirror::{Mirror, Pair, TableName};
use crate::names;
use crate::project::{ModelTable, Place};
use crate::python;
use crate::refusal::Refusal;
use crate::sql::{Row, distinct};
use crate::types;

/// What becomes of the old column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Old {
    /// Kept under another name, for a quick way back; by default `COLUMN_old`.
    Keep(Option<String>),
    Dropped,
}

/// What the caller says beside the mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub old: Old,
    /// The new field as Python text, where it cannot be told from the old one.
    pub field: Option<String>,
}

/// The migrations, in order, and what the user must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    pub files: Vec<MigrationFile>,
    pub notes: Vec<String>,
}

/// Writes the migrations of a swap.
///
/// # Errors
/// When the mirror is not there yet, when a model still names the shadow, or when something hangs on the column that
/// cannot be carried over.
pub fn generate(
    trace: &Trace,
    model: &ModelTable,
    mirror: &Mirror,
    place: &Place,
    options: &Options,
) -> Result<Swap, Refusal> {
    let other = |text: String| Err(Refusal::Other(text));
    let Some(last) = trace.migrations.last() else { return other("the project has no migrations".to_owned()) };
    let catalog = &last.catalog_after;
    let Some(table) = catalog.table(&model.table).filter(|table| !table.assumed) else {
        return other(format!("the table `{}` is not made by a migration that could be read", model.table));
    };
    let label = model.label();
    let mut notes = Vec::new();
    for pair in &mirror.pairs {
        let target = pair.target.as_str();
        if let Some(field) = model.field_of(target) {
            return other(format!(
                "the shadow `{target}` is still the field `{field}` of `{label}`: every process of the running release \
                 names it in each query and would fail with \"column does not exist\"; first release a migration that takes \
                 it out of the state alone (SeparateDatabaseAndState with RemoveField as its state operation) and models \
                 without it, then swap"
            ));
        }
        // The release that has forgotten the field must run everywhere.
        let removed_in = trace.migrations.iter().rev().find(|migration| names_column(migration, trace, model, target));
        if let Some(migration) = removed_in {
            notes.push(format!(
                "`{target}` was a field of `{label}` until {}: the release with that migration must run everywhere before \
                 this swap is deployed",
                migration.migration.key
            ));
        }
        if pair.adds_column {
            return other(format!(
                "no migration makes the shadow `{target}`: write one first (`zdm mirror migration`), release it, and \
                 backfill"
            ));
        }
        if pair.forward.is_some() && pair.backward.is_none() {
            return other(format!(
                "`{target}` comes from `{}` by an expression: the reverse of the swap needs --reverse-using",
                pair.source.as_str()
            ));
        }
    }
    let name = mirror.object_name();
    if !table.triggers.iter().any(|trigger| trigger.name == name.as_str()) {
        return other(format!(
            "no migration makes the trigger `{}`: without it the columns differ at the moment of the swap (`zdm mirror \
             migration`)",
            name.as_str()
        ));
    }
    if table.partition_by.is_some() || !table.children.is_empty() || !table.inherits.is_empty() {
        return other(format!(
            "`{}` has partitions or inheritance: their indexes cannot be built CONCURRENTLY through the parent; swap by hand \
             with `zdm mirror sql` as a start",
            table.name
        ));
    }
    let mut builder = Builder { catalog, table, mirror, steps: Steps::default() };
    for pair in &mirror.pairs {
        builder.pair(pair, &options.old)?;
    }
    let steps = builder.steps;
    let statements = mirror.statements();
    let mut forward = statements.drop_triggers.clone();
    forward.push(statements.drop_function.clone());
    forward.extend(steps.before_rename);
    forward.extend(steps.rename);
    forward.extend(steps.after_rename);
    let mut backward = steps.undo_after_rename;
    backward.extend(steps.undo_rename);
    backward.extend(steps.undo_not_null);
    backward.extend(steps.undo_default);
    backward.extend(steps.undo_relax);
    backward.extend(steps.undo_before_rename);
    backward.push(statements.create_function.clone());
    backward.extend(statements.create_triggers.clone());
    backward.extend(statements.enable_always.clone());

    let mut state = Vec::new();
    let mut imports = BTreeSet::new();
    for pair in &mirror.pairs {
        let Some(field_name) = model.field_of(pair.source.as_str()) else { continue };
        let Some(field) = model.model.field(field_name) else { continue };
        if field.django_class().is_some_and(|class| class.ends_with("ForeignKey") || class.ends_with("OneToOneField")) {
            notes.push(format!(
                "`{field_name}` of `{label}` is a foreign key: its type follows the key that it points to"
            ));
            continue;
        }
        let text = if let Some(text) = &options.field {
            text.clone()
        } else {
            let made = python::field(field, &pair.target_data_type).map_err(|why| {
                Refusal::Other(format!("the new field `{field_name}` cannot be written: {why}; give it with --field"))
            })?;
            imports.extend(made.imports);
            made.text
        };
        notes.push(format!("in the models: {field_name} = {text}"));
        state.push(format!(
            "migrations.AlterField(\n    model_name={},\n    name={},\n    field={text},\n)",
            python_string(&model.model.name.to_lowercase()),
            python_string(field_name)
        ));
    }
    let mut files = Vec::new();
    let mut place = place.clone();
    let targets: Vec<&str> = mirror.pairs.iter().map(|pair| pair.target.as_str()).collect();
    let prepared = [
        (
            "index",
            false,
            "indexes like those of the old column are built on the shadow, while all go on",
            &steps.indexes,
        ),
        (
            "constrain",
            true,
            "constraints like those of the old column, which hold for new rows at once",
            &steps.constraints,
        ),
        (
            "validate",
            true,
            "the constraints are proved for the rows that are there, while all go on",
            &steps.validations,
        ),
    ];
    for (verb, atomic, what, operations) in prepared {
        if operations.is_empty() {
            continue;
        }
        let name = migration::file_name(place.number, verb, &model.model.name, &targets);
        let header = format!("Written by `zdm mirror swap`: {what}.\n\n{}.", mirror.describe());
        let file = migration::file(&place, &name, &header, atomic, &BTreeSet::new(), operations);
        place = Place { number: place.number.saturating_add(1), dependency: file.key.clone(), ..place };
        files.push(file);
    }
    let header = format!(
        "Written by `zdm mirror swap`: {} takes the place of {}.\n\nBefore it is deployed `zdm mirror check` must find no row that \
         differs.",
        targets.join(", "),
        mirror.pairs.iter().map(|pair| pair.source.as_str()).collect::<Vec<_>>().join(", "),
    );
    let operation = if state.is_empty() {
        Operation::Sql { comment: None, forward, backward }
    } else {
        imports.insert(MODELS.to_owned());
        Operation::Separate { forward, backward, state }
    };
    let name = migration::file_name(place.number, "swap", &model.model.name, &targets);
    files.push(migration::file(&place, &name, &header, true, &imports, &[operation]));
    Ok(Swap { files, notes })
}

/// Marks that a migration needs `models`.
pub(crate) const MODELS: &str = "models";

/// Whether the model named the column before that migration and no longer does after it.
fn names_column(migration: &zdm_replay::MigrationTrace, trace: &Trace, model: &ModelTable, column: &str) -> bool {
    let named = |state: &zdm_django::ProjectState| {
        let resolver = zdm_django::Resolver::new(state, &trace.context);
        resolver.model(&model.model.key()).is_ok_and(|resolved| {
            resolved
                .fields
                .iter()
                .filter_map(|field| field.as_ref().ok())
                .any(|field| field.column.as_deref() == Some(column))
        })
    };
    named(&migration.state_before) && !named(&migration.state_after)
}

/// What is done when.
#[derive(Debug, Default)]
struct Steps {
    /// Outside of a transaction.
    indexes: Vec<Operation>,
    constraints: Vec<Operation>,
    validations: Vec<Operation>,
    before_rename: Vec<String>,
    rename: Vec<String>,
    after_rename: Vec<String>,
    undo_after_rename: Vec<String>,
    undo_rename: Vec<String>,
    /// An identity wants NOT NULL: the source's first, then the sequence, then the shadow's goes.
    undo_not_null: Vec<String>,
    undo_default: Vec<String>,
    undo_relax: Vec<String>,
    undo_before_rename: Vec<String>,
}

struct Builder<'a> {
    catalog: &'a Catalog,
    table: &'a Table,
    mirror: &'a Mirror,
    steps: Steps,
}

impl Builder<'_> {
    fn name(&self) -> &TableName {
        &self.mirror.table
    }

    fn alter(&self, action: &str) -> String {
        format!("ALTER TABLE {} {action}", self.name())
    }

    fn index_name(&self, name: &str) -> Result<TableName, Refusal> {
        Ok(self.name().sibling(Ident::new(name)?))
    }

    fn pair(&mut self, pair: &Pair, old: &Old) -> Result<(), Refusal> {
        let source = pair.source.as_str();
        let column = self
            .table
            .column(source)
            .cloned()
            .ok_or_else(|| Refusal::NoColumn { table: self.name().plain(), column: source.to_owned() })?;
        self.refuse_what_cannot_be_carried(source)?;
        let constraints: Vec<Constraint> =
            self.table.constraints.iter().filter(|constraint| touches(constraint, source)).cloned().collect();
        // Names that hold the column in its old place come first, so that the new ones can take them over.
        for constraint in &constraints {
            self.constraint(pair, constraint)?;
        }
        let indexes: Vec<Index> = self
            .table
            .indexes
            .iter()
            .filter(|index| !index.constraint && index_touches(index, source))
            .cloned()
            .collect();
        for index in &indexes {
            self.index(pair, index, old)?;
        }
        if column.not_null {
            self.not_null(pair);
        }
        self.default(pair, &column)?;
        self.columns(pair, &column, old)
    }

    fn refuse_what_cannot_be_carried(&self, source: &str) -> Result<(), Refusal> {
        let incoming: Vec<String> = self
            .catalog
            .foreign_keys_to(&self.table.name)
            .into_iter()
            .filter(|(_, _, key)| key.references.iter().any(|column| *column == source))
            .map(|(table, constraint, _)| format!("`{}` of `{table}`", constraint.name))
            .collect();
        if !incoming.is_empty() {
            return Err(Refusal::Other(format!(
                "foreign keys reference `{source}` ({}): drop them, or let them reference the shadow, in migrations of their \
                 own before the swap",
                incoming.join(", ")
            )));
        }
        for column in &self.table.columns {
            if column
                .generated
                .as_ref()
                .is_some_and(|generated| generated.expr.node.columns().iter().any(|name| *name == source))
            {
                return Err(Refusal::Other(format!(
                    "the generated column `{}` reads `{source}`: it would go on reading the old column",
                    column.name
                )));
            }
        }
        Ok(())
    }

    /// A constraint on the column: its twin on the shadow is made before, and takes over its name in the swap.
    fn constraint(&mut self, pair: &Pair, constraint: &Constraint) -> Result<(), Refusal> {
        let (source, target) = (pair.source.as_str(), &pair.target);
        let name = Ident::new(constraint.name.as_str())?;
        let twin = names::swap_name(self.name().name.as_str(), name.as_str());
        let definition = deparse::constraint(self.catalog, self.table, constraint);
        let timing = timing(constraint);
        let cannot = || {
            Refusal::Other(format!(
                "the constraint `{}` cannot be carried over to `{}`",
                constraint.name,
                target.as_str()
            ))
        };
        match &constraint.kind {
            ConstraintKind::PrimaryKey { columns, include } | ConstraintKind::Unique { columns, include, .. } => {
                let kind =
                    if matches!(constraint.kind, ConstraintKind::PrimaryKey { .. }) { "PRIMARY KEY" } else { "UNIQUE" };
                let nulls = match &constraint.kind {
                    ConstraintKind::Unique { nulls_not_distinct: true, .. } => " NULLS NOT DISTINCT",
                    _ => "",
                };
                let columns = renamed_list(columns, source, target)?;
                let include = if include.is_empty() {
                    String::new()
                } else {
                    format!(" INCLUDE ({})", renamed_list(include, source, target)?)
                };
                let on = format!("{twin} ON {} ({columns}){include}{nulls}", self.name());
                self.concurrently(&twin, &format!("CREATE UNIQUE INDEX CONCURRENTLY {on}"));
                self.steps.before_rename.push(self.alter(&format!("DROP CONSTRAINT {name}")));
                self.steps
                    .after_rename
                    .push(self.alter(&format!("ADD CONSTRAINT {name} {kind} USING INDEX {twin}{timing}")));
                self.steps.undo_after_rename.push(self.alter(&format!("DROP CONSTRAINT {name}")));
                self.steps.undo_before_rename.push(format!("CREATE UNIQUE INDEX {on}"));
                self.steps.undo_before_rename.push(self.alter(&format!("ADD CONSTRAINT {name} {definition}")));
            }
            ConstraintKind::Check { expr, no_inherit } => {
                let condition = with_column(&expr.text, &pair.source, target).ok_or_else(cannot)?;
                let no_inherit = if *no_inherit { " NO INHERIT" } else { "" };
                self.validated(&twin, &format!("CHECK ({condition}){no_inherit}"));
                self.take_over(&name, &twin, &format!("CHECK ({}){no_inherit}", expr.text));
            }
            ConstraintKind::ForeignKey(key) => {
                let (_, references) = definition.split_once(" REFERENCES ").ok_or_else(cannot)?;
                let references = references.trim_end_matches(" NOT VALID");
                let columns = renamed_list(&key.columns, source, target)?;
                self.validated(&twin, &format!("FOREIGN KEY ({columns}) REFERENCES {references}"));
                self.take_over(&name, &twin, definition.trim_end_matches(" NOT VALID"));
            }
            ConstraintKind::NotNull { .. } => {}
            ConstraintKind::Exclude { .. } => return Err(cannot()),
        }
        Ok(())
    }

    /// The twin's name becomes that of the constraint on the old column, which goes.
    fn take_over(&mut self, name: &Ident, twin: &Ident, definition: &str) {
        self.steps.before_rename.push(self.alter(&format!("DROP CONSTRAINT {name}")));
        self.steps.after_rename.push(self.alter(&format!("RENAME CONSTRAINT {twin} TO {name}")));
        self.steps.undo_after_rename.push(self.alter(&format!("RENAME CONSTRAINT {name} TO {twin}")));
        self.steps.undo_before_rename.push(self.alter(&format!("ADD CONSTRAINT {name} {definition}")));
    }

    /// Adds a constraint NOT VALID, and validates it in a later transaction.
    fn validated(&mut self, name: &Ident, definition: &str) {
        let operation =
            |forward: String, backward: Vec<String>| Operation::Sql { comment: None, forward: vec![forward], backward };
        let drop = self.alter(&format!("DROP CONSTRAINT IF EXISTS {name}"));
        let add = self.alter(&format!("ADD CONSTRAINT {name} {definition} NOT VALID"));
        let validate = self.alter(&format!("VALIDATE CONSTRAINT {name}"));
        self.steps.constraints.push(operation(add, vec![drop]));
        self.steps.validations.push(operation(validate, Vec::new()));
    }

    /// Builds an index so that a build that failed can be repeated.
    fn concurrently(&mut self, name: &Ident, create: &str) {
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", self.name().sibling(name.clone()));
        self.steps.indexes.push(Operation::Sql {
            comment: None,
            forward: vec![drop.clone(), create.to_owned()],
            backward: vec![drop],
        });
    }

    fn index(&mut self, pair: &Pair, index: &Index, old: &Old) -> Result<(), Refusal> {
        let target = &pair.target;
        let name = Ident::new(index.name.as_str())?;
        let twin = names::swap_name(self.name().name.as_str(), name.as_str());
        let kept = names::swap_name(self.name().name.as_str(), &format!("{}_old", name.as_str()));
        let definition = index_definition(self.catalog, self.table, index, self.name(), &pair.source, target)
            .ok_or_else(|| {
                Refusal::Other(format!("the index `{}` cannot be carried over to `{}`", index.name, target.as_str()))
            })?;
        let unique = if index.unique { "UNIQUE " } else { "" };
        self.concurrently(&twin, &format!("CREATE {unique}INDEX CONCURRENTLY {twin} ON {definition}"));
        let table = self.name().clone();
        let rename = |from: &Ident, to: &Ident| format!("ALTER INDEX {} RENAME TO {to}", table.sibling(from.clone()));
        let (take, give) = (rename(&twin, &name), rename(&name, &twin));
        // With the old column goes its index; where the column stays, so does the index, for a quick way back.
        self.steps.before_rename.push(rename(&name, &kept));
        if index.unique && *old != Old::Dropped {
            // The values that the reverse writes back may pass through each other.
            self.steps.undo_after_rename.push(format!("DROP INDEX {}", table.sibling(kept.clone())));
        }
        if index.unique || *old == Old::Dropped {
            let definition = index_definition(self.catalog, self.table, index, &table, &pair.source, &pair.source)
                .ok_or_else(|| Refusal::Other(format!("the index `{}` cannot be written", index.name)))?;
            self.steps.undo_before_rename.push(format!("CREATE {unique}INDEX {name} ON {definition}"));
        } else {
            self.steps.undo_before_rename.push(rename(&kept, &name));
        }
        self.steps.after_rename.push(take);
        self.steps.undo_after_rename.push(give);
        Ok(())
    }

    fn not_null(&mut self, pair: &Pair) {
        let (source, target) = (&pair.source, &pair.target);
        let proof = names::swap_name(self.name().name.as_str(), &format!("{}_not_null", target.as_str()));
        self.validated(&proof, &format!("CHECK ({target} IS NOT NULL)"));
        self.steps.before_rename.push(self.alter(&format!("ALTER COLUMN {target} SET NOT NULL")));
        self.steps.before_rename.push(self.alter(&format!("DROP CONSTRAINT IF EXISTS {proof}")));
        self.steps.undo_not_null.push(self.alter(&format!("ALTER COLUMN {source} SET NOT NULL")));
        self.steps.undo_relax.push(self.alter(&format!("ALTER COLUMN {target} DROP NOT NULL")));
    }

    /// Moves the default, or the sequence behind it.
    fn default(&mut self, pair: &Pair, column: &Column) -> Result<(), Refusal> {
        let (source, target) = (&pair.source, &pair.target);
        if let Some(identity) = &column.identity {
            let sequence = self.index_name(identity.sequence.name.as_str())?;
            let twin = names::swap_name(self.name().name.as_str(), identity.sequence.name.as_str());
            let twin_sequence = self.name().sibling(twin.clone());
            let kind = if identity.always { "ALWAYS" } else { "BY DEFAULT" };
            let mut hand_over = |to: &Ident, from: &Ident, undo: bool| {
                let steps = vec![
                    self.alter(&format!(
                        "ALTER COLUMN {to} ADD GENERATED {kind} AS IDENTITY (SEQUENCE NAME {twin_sequence})"
                    )),
                    format!(
                        "SELECT pg_catalog.setval({}, last_value, is_called) FROM {sequence}",
                        zdm_postgres::quote_literal(&twin_sequence.to_string())
                    ),
                    self.alter(&format!("ALTER COLUMN {from} DROP IDENTITY")),
                    format!("ALTER SEQUENCE {twin_sequence} RENAME TO {}", sequence.name),
                ];
                if undo {
                    self.steps.undo_default.extend(steps);
                } else {
                    self.steps.before_rename.extend(steps);
                }
            };
            hand_over(target, source, false);
            hand_over(source, target, true);
            return Ok(());
        }
        let Some(default) = deparse::default(self.catalog, self.table, column) else {
            return Ok(());
        };
        let owned: Vec<TableName> = self
            .catalog
            .sequences_of(&self.table.name)
            .into_iter()
            .filter(|(owner, _)| *owner == source.as_str())
            .map(|(_, sequence)| self.index_name(sequence.name.as_str()))
            .collect::<Result<_, _>>()?;
        let table = self.name().clone();
        for sequence in &owned {
            if pair.target_data_type.is("int8") {
                self.steps.before_rename.push(format!("ALTER SEQUENCE {sequence} AS bigint"));
            }
            self.steps.before_rename.push(format!("ALTER SEQUENCE {sequence} OWNED BY {table}.{target}"));
            self.steps.undo_default.push(format!("ALTER SEQUENCE {sequence} OWNED BY {table}.{source}"));
        }
        self.steps.before_rename.push(self.alter(&format!("ALTER COLUMN {target} SET DEFAULT {default}")));
        self.steps.before_rename.push(self.alter(&format!("ALTER COLUMN {source} DROP DEFAULT")));
        self.steps.undo_default.push(self.alter(&format!("ALTER COLUMN {source} SET DEFAULT {default}")));
        self.steps.undo_default.push(self.alter(&format!("ALTER COLUMN {target} DROP DEFAULT")));
        Ok(())
    }

    fn columns(&mut self, pair: &Pair, column: &Column, old: &Old) -> Result<(), Refusal> {
        let (source, target) = (&pair.source, &pair.target);
        let source_type = column.data_type.to_string();
        match old {
            Old::Keep(name) => {
                let kept = match name {
                    Some(name) => Ident::new(name.clone())?,
                    None => kept_name(source)?,
                };
                if self.table.column(kept.as_str()).is_some() {
                    return Err(Refusal::Other(format!(
                        "`{}` has a column `{}` already: give another name for the old column",
                        self.name().plain(),
                        kept.as_str()
                    )));
                }
                if column.not_null {
                    self.steps.before_rename.push(self.alter(&format!("ALTER COLUMN {source} DROP NOT NULL")));
                }
                self.steps.rename.push(self.alter(&format!("RENAME COLUMN {source} TO {kept}")));
                self.steps.rename.push(self.alter(&format!("RENAME COLUMN {target} TO {source}")));
                self.steps.undo_rename.push(self.alter(&format!("RENAME COLUMN {source} TO {target}")));
                self.steps.undo_rename.push(self.alter(&format!("RENAME COLUMN {kept} TO {source}")));
            }
            Old::Dropped => {
                self.steps.rename.push(self.alter(&format!("DROP COLUMN {source}")));
                self.steps.rename.push(self.alter(&format!("RENAME COLUMN {target} TO {source}")));
                self.steps.undo_rename.push(self.alter(&format!("RENAME COLUMN {source} TO {target}")));
                self.steps.undo_rename.push(self.alter(&format!("ADD COLUMN {source} {source_type}")));
            }
        }
        if let Some(comment) = &column.comment {
            let text = zdm_postgres::quote_literal(comment);
            self.steps.after_rename.push(format!("COMMENT ON COLUMN {}.{source} IS {text}", self.name()));
            self.steps.undo_before_rename.push(format!("COMMENT ON COLUMN {}.{source} IS {text}", self.name()));
        }
        // Values that were written since; one that does not fit makes the reverse fail, and nothing is lost.
        let value = pair.reverse_value(Row::Plain);
        let compared = types::compared_as(&column.data_type);
        let differs =
            distinct(types::comparison(&column.data_type), &source.to_string(), &format!("{value}::{compared}"));
        self.steps.undo_rename.push(format!("UPDATE {} SET {source} = {value} WHERE {differs}", self.name()));
        self.steps.undo_rename.push("SET CONSTRAINTS ALL IMMEDIATE".to_owned());
        Ok(())
    }
}

/// `size_old`, within 63 bytes.
fn kept_name(source: &Ident) -> Result<Ident, Refusal> {
    let stem = zdm_postgres::name::truncate_bytes(source.as_str(), 59);
    Ok(Ident::new(format!("{stem}_old"))?)
}

fn timing(constraint: &Constraint) -> &'static str {
    match (constraint.attributes.deferrable, constraint.attributes.initially_deferred) {
        (_, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        (false, false) => "",
    }
}

fn touches(constraint: &Constraint, column: &str) -> bool {
    let among = |columns: &[zdm_postgres::Ident]| columns.iter().any(|name| *name == column);
    match &constraint.kind {
        ConstraintKind::Check { expr, .. } => among(&expr.node.columns()),
        ConstraintKind::Unique { columns, include, .. } | ConstraintKind::PrimaryKey { columns, include } => {
            among(columns) || among(include)
        }
        ConstraintKind::ForeignKey(key) => among(&key.columns),
        ConstraintKind::Exclude { elements, predicate } => {
            elements.iter().any(|(element, _)| element_touches(element, column))
                || predicate.as_ref().is_some_and(|predicate| among(&predicate.node.columns()))
        }
        ConstraintKind::NotNull { .. } => false,
    }
}

fn element_touches(element: &IndexElement, column: &str) -> bool {
    match &element.key {
        IndexKey::Column(name) => *name == column,
        IndexKey::Expr(expression) => expression.node.columns().iter().any(|name| *name == column),
    }
}

fn index_touches(index: &Index, column: &str) -> bool {
    index.elements.iter().any(|element| element_touches(element, column))
        || index.include.iter().any(|name| *name == column)
        || index.predicate.as_ref().is_some_and(|predicate| predicate.node.columns().iter().any(|name| *name == column))
}

fn renamed_list(columns: &[zdm_postgres::Ident], from: &str, to: &Ident) -> Result<String, Refusal> {
    let names = columns
        .iter()
        .map(|column| if *column == from { Ok(to.to_string()) } else { Ok(Ident::new(column.as_str())?.to_string()) })
        .collect::<Result<Vec<_>, Refusal>>()?;
    Ok(names.join(", "))
}

/// `TABLE USING btree ("a" DESC, upper("b")) INCLUDE ("c") WITH (…) WHERE …`, one column in place of another.
fn index_definition(
    catalog: &Catalog,
    table: &Table,
    index: &Index,
    name: &TableName,
    from: &Ident,
    to: &Ident,
) -> Option<String> {
    let mut index = index.clone();
    for element in &mut index.elements {
        match &mut element.key {
            IndexKey::Column(column) if *column == from.as_str() => *column = zdm_postgres::Ident::from(to.as_str()),
            IndexKey::Column(_) => {}
            IndexKey::Expr(expression) => *expression = renamed(expression, from, to)?,
        }
    }
    for column in &mut index.include {
        if *column == from.as_str() {
            *column = zdm_postgres::Ident::from(to.as_str());
        }
    }
    if let Some(predicate) = &mut index.predicate {
        *predicate = renamed(predicate, from, to)?;
    }
    let text = deparse::index(catalog, table, &index);
    let (_, rest) = text.split_once(" USING ")?;
    Some(format!("{name} USING {rest}"))
}

fn renamed(expression: &zdm_postgres::SqlExpr, from: &Ident, to: &Ident) -> Option<zdm_postgres::SqlExpr> {
    if !expression.node.columns().iter().any(|column| *column == from.as_str()) {
        return Some(expression.clone());
    }
    Some(zdm_sql::parse_expr(&with_column(&expression.text, from, to)?))
}
