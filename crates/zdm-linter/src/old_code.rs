//! The code that is still running while a migration is applied: the models of the state before it, or before its release
//! where that is known, as they read and write.
//!
//! A model of the old state SELECTs and INSERTs each of its columns by name, and UPDATEs any of them
//! (Django's documentation, "QuerySet API": a model's query names every concrete field).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_django::ProjectState;
use zdm_django::resolve::{Context, Resolver};
use zdm_django::state::{ModelKey, ModelState};
use zdm_postgres::catalog::{Column, Table};
use zdm_postgres::statement::AlterTableAction;
use zdm_postgres::{DataType, Ident, LockMode, QualifiedName};
use zdm_replay::{MigrationTrace, Step, table_name};

use crate::rules::alter_actions;

/// A model that running code uses, with the columns it names.
#[derive(Clone, Debug)]
pub struct OldModel {
    /// `shop.Order`; for the table behind a many-to-many field `shop.Order.tags`.
    pub label: String,
    pub table: QualifiedName,
    pub columns: Vec<OldColumn>,
    /// Their places, by column.
    places: BTreeMap<Ident, usize>,
    /// The model is still in the new state, under whatever name.
    pub key: ModelKey,
}

#[derive(Clone, Debug)]
pub struct OldColumn {
    pub field: Arc<str>,
    pub column: Ident,
    pub null: bool,
    /// The field has a database default, so that INSERT leaves the column to the database.
    pub db_default: bool,
}

impl OldModel {
    fn new(label: String, table: QualifiedName, columns: Vec<OldColumn>, key: ModelKey) -> Self {
        let places = columns.iter().enumerate().map(|(place, own)| (own.column.clone(), place)).collect();
        Self { label, table, columns, places, key }
    }

    /// The table behind a many-to-many field.
    pub fn is_of_a_field(&self) -> bool {
        self.label.matches('.').count() > 1
    }

    pub fn names_column(&self, column: &Ident) -> bool {
        self.places.contains_key(column)
    }

    pub fn column(&self, column: &Ident) -> Option<&OldColumn> {
        self.columns.get(*self.places.get(column)?)
    }
}

/// A table of the catalog before the migration that the migration changes or locks strongly, with the model that uses it.
#[derive(Clone, Debug)]
pub struct OldTable {
    pub before: Arc<Table>,
    pub model: Option<OldModel>,
}

/// The tables that the migration touches and that running code may use, sorted by name: those that its release has made
/// are not among them. `running` is the state of that code.
pub fn old_tables(
    migration: &MigrationTrace,
    running: &ProjectState,
    made: &BTreeSet<QualifiedName>,
    context: &Context,
) -> Vec<OldTable> {
    let mut names: BTreeSet<&QualifiedName> = BTreeSet::new();
    for step in &migration.steps {
        for (name, mode) in &step.outcome.effects.locks {
            if *mode >= LockMode::ShareUpdateExclusive {
                names.insert(name);
            }
        }
    }
    let tables: Vec<&Arc<Table>> = names
        .into_iter()
        .filter(|name| !made.contains(name))
        .filter_map(|name| migration.catalog_before.table(name))
        .collect();
    if tables.is_empty() {
        return Vec::new();
    }
    let mut models = models_by_table(running, context, &tables.iter().map(|table| &table.name).collect());
    tables
        .into_iter()
        .filter_map(|before| {
            let position = models.iter().position(|model| model.table == before.name);
            let model = position.map(|index| models.swap_remove(index));
            let before = match (&model, before.assumed) {
                (_, false) => Arc::clone(before),
                (Some(model), true) => Arc::new(with_columns_that_go(migration, before, model)),
                (None, true) => return None,
            };
            Some(OldTable { before, model })
        })
        .collect()
}

/// An assumed table, of which no column is known, with those of its model that the migration drops or renames.
fn with_columns_that_go(migration: &MigrationTrace, before: &Table, model: &OldModel) -> Table {
    let mut table = before.clone();
    let after = migration.catalog_after.table(&before.name);
    for step in migration.steps.iter().filter(|step| !step.is_refused()) {
        for (alter, action) in alter_actions(step) {
            let (AlterTableAction::DropColumn { name, .. } | AlterTableAction::RenameColumn { from: name, .. }) =
                action
            else {
                continue;
            };
            let known = |table: &Table| table.column(name.as_str()).is_some();
            if alter.name != before.name || known(&table) || after.is_some_and(|after| known(after)) {
                continue;
            }
            if let Some(own) = model.column(name) {
                table.columns.push(Column {
                    name: name.clone(),
                    data_type: DataType::named("unknown"),
                    collation: None,
                    not_null: !own.null,
                    default: None,
                    generated: None,
                    identity: None,
                    comment: None,
                    inherited: false,
                    own: true,
                });
            }
        }
    }
    table
}

impl OldTable {
    pub fn name(&self) -> &QualifiedName {
        &self.before.name
    }

    /// The table under its old name after the migration.
    pub fn after<'a>(&self, migration: &'a MigrationTrace) -> Option<&'a Arc<Table>> {
        migration.catalog_after.table(&self.before.name)
    }

    /// How messages name the user of a column: ``model `shop.Order` ``, or the table where no model is known.
    pub fn user(&self) -> String {
        match &self.model {
            Some(model) => format!("model `{}`", model.label),
            None => format!("table `{}`", self.before.name),
        }
    }
}

/// The last step that touches `table`, for findings that compare the worlds rather than judge a statement.
pub fn last_step_on<'a>(migration: &'a MigrationTrace, table: &QualifiedName) -> Option<&'a Step> {
    migration.steps.iter().rev().find(|step| step.outcome.effects.locks.contains_key(table))
}

fn models_by_table(running: &ProjectState, context: &Context, wanted: &BTreeSet<&QualifiedName>) -> Vec<OldModel> {
    let resolver = Resolver::new(running, context);
    let mut models = Vec::new();
    let keys: BTreeSet<&ModelKey> =
        wanted.iter().flat_map(|table| running.models_of_table(table.name.as_str())).collect();
    let states: Vec<&Arc<ModelState>> = keys.into_iter().filter_map(|key| running.model(key)).collect();
    for state in states.iter().copied() {
        if state.is_proxy() {
            continue;
        }
        let Ok(table) = resolver.table(state).map(|table| table_name(&table)) else { continue };
        if !wanted.contains(&table) {
            continue;
        }
        let Ok(resolved) = resolver.model(&state.key()) else { continue };
        let columns = resolved
            .fields
            .iter()
            .filter_map(|field| field.as_ref().ok())
            .filter_map(|field| {
                Some(OldColumn {
                    field: Arc::clone(&field.field.name),
                    column: Ident::new(Arc::clone(field.column.as_ref()?)).truncated(),
                    null: field.null,
                    db_default: field.db_default().is_some(),
                })
            })
            .collect();
        models.push(OldModel::new(format!("{}.{}", state.app, state.name), table, columns, state.key()));
    }
    if models.len() < wanted.len() {
        many_to_many_tables(&states, resolver, wanted, &mut models);
    }
    models
}

/// The tables that Django makes for many-to-many fields: running code inserts into and reads from them by its two columns.
fn many_to_many_tables(
    states: &[&Arc<ModelState>],
    resolver: Resolver<'_>,
    wanted: &BTreeSet<&QualifiedName>,
    models: &mut Vec<OldModel>,
) {
    for state in states {
        for field in state.fields.iter().filter(|field| field.django_class() == Some("ManyToManyField")) {
            let Ok(resolved) = resolver.field_of(state, field) else { continue };
            let Some(through) = resolved.auto_through() else { continue };
            let Ok(table) = resolver.table(through).map(|table| table_name(&table)) else { continue };
            if !wanted.contains(&table) {
                continue;
            }
            let columns = through
                .fields
                .iter()
                .filter_map(|own| {
                    let resolved = resolver.field_of(through, own).ok()?;
                    Some(OldColumn {
                        field: Arc::clone(&own.name),
                        column: Ident::new(Arc::clone(resolved.column.as_ref()?)).truncated(),
                        null: resolved.null,
                        db_default: resolved.db_default().is_some(),
                    })
                })
                .collect();
            let label = format!("{}.{}.{}", state.app, state.name, field.name);
            models.push(OldModel::new(label, table, columns, state.key()));
        }
    }
}
