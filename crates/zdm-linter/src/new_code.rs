//! The code that is released with a migration: the models of the state after it, against the catalog after it.
//!
//! Only what this migration brings about counts: a difference that was there before it is not its matter.

use std::collections::BTreeSet;
use std::sync::Arc;

use zdm_django::operation::ConstraintKind as DjangoConstraint;
use zdm_django::resolve::{Context, ResolvedField, Resolver};
use zdm_django::state::{ModelKey, ModelState, ProjectState};
use zdm_postgres::catalog::{ConstraintKind, Index, Table};
use zdm_postgres::statement::AlterTableAction;
use zdm_postgres::{Catalog, DataType, Ident, Statement};
use zdm_replay::{MigrationTrace, Step, table_name};

use crate::mirror;
use crate::rules::gives_value;

/// A way in which a model and its table do not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The model names a column that its table lacks.
    MissingColumn { field: Arc<str>, column: Ident },
    /// The table wants a value for a column that the model does not name.
    UnfilledColumn { column: Ident },
    /// The model leaves the column to a default of the database's (`db_default`) that is not there, and the table wants a
    /// value.
    NoDefault { field: Arc<str>, column: Ident },
    /// A foreign key of a column that the model does not name.
    ForeignKeyLeft { constraint: Ident, column: Ident },
    /// The model says that the column takes NULL, the table does not.
    NotNullInDatabase { field: Arc<str>, column: Ident },
    /// The model says that the column holds no NULL, the table takes it.
    NullInDatabase { field: Arc<str>, column: Ident },
    /// `Meta` names an index or constraint that the table lacks.
    MissingObject { kind: &'static str, name: Ident },
    /// The table has an index or constraint that left `Meta`.
    ObjectLeft { kind: &'static str, name: Ident },
    /// The table has it, of other columns or under another condition.
    OtherObject { kind: &'static str, name: Ident, expected: Keys, found: Keys },
    /// The field is unique, the column is not.
    NotUnique { field: Arc<str>, column: Ident },
    /// The column is of another type than the field.
    OtherType { field: Arc<str>, column: Ident, expected: DataType, found: DataType },
}

/// What an index or a unique constraint is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub columns: Vec<Ident>,
    /// Of some rows alone.
    pub partial: bool,
}

/// A model whose table does not meet it, with what is new about that.
#[derive(Clone, Debug)]
pub struct Drifted {
    pub key: ModelKey,
    pub label: String,
    pub table: Arc<Table>,
    pub drifts: Vec<Drift>,
}

/// The drift that a migration brings about, by model.
pub fn drift(migration: &MigrationTrace, context: &Context) -> Vec<Drifted> {
    let mut result = Vec::new();
    // Behind a statement that is refused the migration never gets.
    if migration.steps.iter().any(Step::is_refused) {
        return result;
    }
    for key in concerned(migration) {
        let Some(model) = migration.state_after.model(&key) else { continue };
        let before = migration.state_before.model(&key);
        let same_model = before.is_some_and(|before| Arc::ptr_eq(before, model));
        let after_table = table_of(model, &migration.state_after, &migration.catalog_after, context);
        let Some(after_table) = after_table else { continue };
        let before_table =
            before.and_then(|before| table_of(before, &migration.state_before, &migration.catalog_before, context));
        if same_model && before_table.as_ref().is_some_and(|before| Arc::ptr_eq(before, &after_table)) {
            continue;
        }
        let mut drifts = drifts(model, &after_table, &migration.state_after, &migration.catalog_after, context);
        if let Some(before) = before {
            drifts.extend(objects_left(before, model, &after_table));
        }
        // A column that comes without its default is the matter of other rules.
        let comes = |field: &str| before.is_none_or(|before| before.field(field).is_none());
        drifts.retain(|drift| !matches!(drift, Drift::NoDefault { field, .. } if comes(field)));
        if let (Some(before), Some(before_table)) = (before, before_table) {
            let catalog = &migration.catalog_before;
            let known = self::drifts(before, &before_table, &migration.state_before, catalog, context);
            // The column of a mirror that goes is nobody's from now on.
            let lost = |drift: &Drift| matches!(drift, Drift::UnfilledColumn { column } if mirror::fills(catalog, &before_table, column));
            drifts.retain(|drift| !known.contains(drift));
            drifts.retain(|drift| lost(drift) || brought_about(drift, before, model, &migration.state_before, context));
            without_columns_left_behind(&mut drifts, before, model, &migration.state_before, context);
        }
        if !drifts.is_empty() {
            result.push(Drifted { key, label: format!("{}.{}", model.app, model.name), table: after_table, drifts });
        }
    }
    result
}

/// The models that the migration may have parted from their tables: those it touches, and those of the tables it touches.
/// All others and their tables are the same before and after.
fn concerned(migration: &MigrationTrace) -> BTreeSet<ModelKey> {
    let mut keys: BTreeSet<ModelKey> = migration.state_after.touched().cloned().collect();
    let mut of_table = |name: &Ident| keys.extend(migration.state_after.models_of_table(name.as_str()).cloned());
    for step in &migration.steps {
        for name in step.outcome.effects.locks.keys() {
            of_table(&name.name);
        }
        match &step.statement {
            Statement::AlterTable(alter) => {
                of_table(&alter.name.name);
                for action in &alter.actions {
                    if let AlterTableAction::RenameTo { name } = action {
                        of_table(name);
                    }
                }
            }
            Statement::CreateTable(create) => of_table(&create.name.name),
            Statement::CreateTableAs(create) => of_table(&create.name.name),
            _ => {}
        }
    }
    keys
}

/// A field that goes by a column which is not there is one difference; the column that it went by before is no other.
fn without_columns_left_behind(
    drifts: &mut Vec<Drift>,
    before: &ModelState,
    after: &ModelState,
    state_before: &ProjectState,
    context: &Context,
) {
    let missing: Vec<Arc<str>> = drifts
        .iter()
        .filter_map(|drift| match drift {
            Drift::MissingColumn { field, .. } => Some(Arc::clone(field)),
            _ => None,
        })
        .collect();
    if missing.is_empty() {
        return;
    }
    let Ok(resolved) = Resolver::new(state_before, context).model(&before.key()) else { return };
    let field_of = |column: &Ident| {
        let fields = resolved.fields.iter().filter_map(|field| field.as_ref().ok());
        fields
            .filter(|field| field.column.as_deref() == Some(column.as_str()))
            .map(|field| Arc::clone(&field.field.name))
            .next()
    };
    // Renamed in the state: the same class under a name that the model did not have.
    let is_renamed = |old: &str| {
        let class = before.field(old).map(|field| &field.class);
        after.field(old).is_none()
            && missing.iter().any(|new| {
                before.field(new).is_none() && class.is_some() && after.field(new).map(|field| &field.class) == class
            })
    };
    drifts.retain(|drift| match drift {
        Drift::UnfilledColumn { column } | Drift::ForeignKeyLeft { column, .. } => {
            field_of(column).is_none_or(|old| !missing.contains(&old) && !is_renamed(&old))
        }
        _ => true,
    });
}

/// Some differences are this migration's doing only if the state changed; where the table did, another rule speaks.
fn brought_about(
    drift: &Drift,
    before: &ModelState,
    after: &ModelState,
    state_before: &ProjectState,
    context: &Context,
) -> bool {
    match drift {
        Drift::MissingColumn { .. } => true,
        Drift::NotNullInDatabase { field, .. } | Drift::NullInDatabase { field, .. } => {
            before.field(field) != after.field(field)
        }
        Drift::MissingObject { .. }
        | Drift::ObjectLeft { .. }
        | Drift::OtherObject { .. }
        | Drift::NotUnique { .. }
        | Drift::NoDefault { .. }
        | Drift::OtherType { .. } => true,
        Drift::ForeignKeyLeft { column, .. } | Drift::UnfilledColumn { column } => {
            let resolver = Resolver::new(state_before, context);
            resolver.model(&before.key()).is_ok_and(|resolved| {
                resolved
                    .fields
                    .iter()
                    .filter_map(|field| field.as_ref().ok())
                    .any(|field| field.column.as_deref() == Some(column.as_str()))
            })
        }
    }
}

/// The table of a managed model, where the catalog knows its columns.
fn table_of(model: &ModelState, state: &ProjectState, catalog: &Catalog, context: &Context) -> Option<Arc<Table>> {
    if model.is_proxy() || !model.is_managed() || model.assumed {
        return None;
    }
    let resolver = Resolver::new(state, context);
    if resolver.is_swapped(model) {
        return None;
    }
    let name = resolver.table(model).ok()?;
    catalog.table(&table_name(&name)).filter(|table| !table.assumed && !table.uncertain).cloned()
}

fn drifts(model: &ModelState, table: &Table, state: &ProjectState, catalog: &Catalog, context: &Context) -> Vec<Drift> {
    let resolver = Resolver::new(state, context);
    let Ok(resolved) = resolver.model(&model.key()) else { return Vec::new() };
    // A field that cannot be resolved may stand for any column.
    if resolved.fields.iter().any(Result::is_err) {
        return Vec::new();
    }
    let own: Vec<(Ident, &ResolvedField, DataType)> = resolved
        .fields
        .iter()
        .filter_map(|field| field.as_ref().ok())
        .filter_map(|field| {
            let column = Ident::new(Arc::clone(field.column.as_ref()?)).truncated();
            // A column without a type is none: the key of several columns.
            Some((column, field, zdm_replay::data_type(field.db_type.as_ref()?)?))
        })
        .collect();
    let mut drifts = Vec::new();
    for (column, resolved, expected) in &own {
        let (field, column) = (Arc::clone(&resolved.field.name), column.clone());
        match table.column(column.as_str()) {
            None => drifts.push(Drift::MissingColumn { field, column }),
            Some(found) => {
                let stored = expected.serial_base();
                let expected = stored.as_ref().unwrap_or(expected);
                // The server has types of extensions in a schema that the field does not name.
                if (&found.data_type.name.name, found.data_type.is_array(), &found.data_type.modifiers)
                    != (&expected.name.name, expected.is_array(), &expected.modifiers)
                {
                    let (expected, found) = (expected.clone(), found.data_type.clone());
                    drifts.push(Drift::OtherType {
                        field: Arc::clone(&field),
                        column: column.clone(),
                        expected,
                        found,
                    });
                }
                let left_to_database = resolved.db_default().is_some() && resolved.default().is_none();
                let gives_none = !gives_value(found.default.as_ref()) && found.identity.is_none();
                if left_to_database && gives_none && found.not_null && found.generated.is_none() {
                    drifts.push(Drift::NoDefault { field: Arc::clone(&field), column: column.clone() });
                }
                if resolved.null && found.not_null && !gives_value(found.default.as_ref()) {
                    drifts.push(Drift::NotNullInDatabase { field, column });
                } else if !resolved.null && !found.not_null && !resolved.is_generated() {
                    drifts.push(Drift::NullInDatabase { field, column });
                }
            }
        }
    }
    for (kind, name) in named_objects(model) {
        if table.index(name.as_str()).is_none() && table.constraint(name.as_str()).is_none() {
            drifts.push(Drift::MissingObject { kind, name });
        }
    }
    drifts.extend(other_objects(model, resolver, table));
    // An index of `db_index` may follow in a migration of its own, where it is built concurrently.
    for (column, resolved, _) in
        own.iter().filter(|(column, resolved, _)| resolved.unique && table.column(column.as_str()).is_some())
    {
        let alone = |index: &Index| matches!(index.elements.as_slice(), [one] if one.key.column() == Some(column));
        if !table.indexes.iter().any(|index| index.unique && index.predicate.is_none() && alone(index)) {
            drifts.push(Drift::NotUnique { field: Arc::clone(&resolved.field.name), column: column.clone() });
        }
    }
    let named: BTreeSet<&Ident> = own.iter().map(|(name, ..)| name).collect();
    let names = |column: &Ident| named.contains(column);
    for column in table.columns.iter().filter(|column| !names(&column.name)) {
        if column.not_null
            && !gives_value(column.default.as_ref())
            && column.identity.is_none()
            && column.generated.is_none()
            && !mirror::fills(catalog, table, &column.name)
        {
            drifts.push(Drift::UnfilledColumn { column: column.name.clone() });
        }
    }
    for constraint in &table.constraints {
        if let ConstraintKind::ForeignKey(key) = &constraint.kind
            && let Some(column) = key.columns.iter().find(|column| !names(column))
        {
            drifts.push(Drift::ForeignKeyLeft { constraint: constraint.name.clone(), column: column.clone() });
        }
    }
    drifts
}

/// Indexes and unique constraints of `Meta` that are on plain columns, where the database has one of their name on others.
fn other_objects(model: &ModelState, resolver: Resolver<'_>, table: &Table) -> Vec<Drift> {
    let of_fields = |fields: &[Arc<str>]| -> Option<Vec<Ident>> {
        let column = |name: &Arc<str>| {
            let field = resolver.field(model, name.strip_prefix('-').unwrap_or(name)).ok()?;
            Some(Ident::new(field.column?).truncated())
        };
        fields.iter().map(column).collect()
    };
    let plain = |fields: &[Arc<str>], expressions: &[zdm_django::Value]| expressions.is_empty() && !fields.is_empty();
    let indexes = model.options.indexes.iter().filter(|index| index.unknown.is_none()).filter_map(|index| {
        let columns = of_fields(&index.fields).filter(|_| plain(&index.fields, &index.expressions))?;
        Some(("index", index.name.as_ref()?, Keys { columns, partial: index.condition.is_some() }))
    });
    let constraints = model.options.constraints.iter().filter_map(|constraint| {
        let DjangoConstraint::Unique { fields, expressions, condition } = &constraint.kind else { return None };
        let columns = of_fields(fields).filter(|_| plain(fields, expressions))?;
        Some(("constraint", &constraint.name, Keys { columns, partial: condition.is_some() }))
    });
    let differs = |(kind, name, expected): (&'static str, &Arc<str>, Keys)| {
        let name = Ident::new(Arc::clone(name)).truncated();
        let index = table.index(name.as_str())?;
        let found = Keys {
            columns: index.elements.iter().filter_map(|element| element.key.column().cloned()).collect(),
            partial: index.predicate.is_some(),
        };
        let plain = found.columns.len() == index.elements.len();
        (plain && found != expected).then_some(Drift::OtherObject { kind, name, expected, found })
    };
    indexes.chain(constraints).filter_map(differs).collect()
}

/// The indexes and constraints of `Meta` that bear a name of their own.
fn named_objects(model: &ModelState) -> Vec<(&'static str, Ident)> {
    let indexes = model.options.indexes.iter().filter_map(|index| Some(("index", index.name.as_ref()?)));
    let constraints = model.options.constraints.iter().map(|constraint| ("constraint", &constraint.name));
    indexes.chain(constraints).map(|(kind, name)| (kind, Ident::new(Arc::clone(name)).truncated())).collect()
}

/// What left `Meta` and is still there; a change of its name does not count, which the database may not follow.
fn objects_left(before: &ModelState, after: &ModelState, table: &Table) -> Vec<Drift> {
    let now = named_objects(after);
    named_objects(before)
        .into_iter()
        .filter(|object| !now.contains(object))
        .filter(|(_, name)| table.index(name.as_str()).is_some() || table.constraint(name.as_str()).is_some())
        .map(|(kind, name)| Drift::ObjectLeft { kind, name })
        .collect()
}
