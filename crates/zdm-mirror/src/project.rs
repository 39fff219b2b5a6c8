//! What a replayed project says of a model's table: no Django, no database.

use std::collections::BTreeSet;
use std::sync::Arc;

use zdm_django::resolve::{Context, ResolvedField, Resolver};
use zdm_django::state::{ModelKey, ModelState};
use zdm_django::{MigrationKey, Project, ProjectState};
use zdm_postgres::catalog::Table;
use zdm_postgres::{Catalog, DataType, QualifiedName, deparse};
use zdm_replay::{Trace, table_name};

use crate::facts::{ColumnFacts, TableFacts, TableKind, TriggerFacts};
use crate::mirror::{PairRequest, Request, TableName};
use crate::names;
use crate::refusal::Refusal;
use crate::types;

/// A model with its table, after all migrations of the project.
#[derive(Debug, Clone)]
pub struct ModelTable {
    pub model: Arc<ModelState>,
    pub table: QualifiedName,
    pub facts: TableFacts,
    /// Fields with their columns.
    pub fields: Vec<(Arc<str>, Arc<str>)>,
    /// Whether the catalog's history is whole, so that absence proves something.
    pub complete: bool,
}

/// Where the next migration of an app goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub app: Arc<str>,
    /// Relative to the project's root.
    pub folder: String,
    /// The number of the next migration.
    pub number: u32,
    pub dependency: MigrationKey,
    /// Migrations of other apps that must be applied before.
    pub also: Vec<MigrationKey>,
}

/// What runs while a new release is made: the models without the migrations that the release brings.
#[derive(Debug, Clone)]
pub struct Released {
    /// For people: `main`.
    pub reference: String,
    state: ProjectState,
    new: BTreeSet<MigrationKey>,
}

impl Released {
    /// The models without the migrations that are new.
    pub fn without(trace: &Trace, new: BTreeSet<MigrationKey>, reference: &str) -> Self {
        let mut state: Option<ProjectState> = None;
        for migration in &trace.migrations {
            let key = &migration.migration.key;
            if new.contains(key) {
                state.get_or_insert_with(|| migration.state_before.clone());
            } else if let Some(state) = &mut state {
                for operation in &migration.migration.operations {
                    // What cannot be applied is the linter's to report.
                    drop(state.apply(&key.app, operation));
                }
            }
        }
        let state = state.or_else(|| trace.migrations.last().map(|last| last.state_after.clone())).unwrap_or_default();
        Self { reference: reference.to_owned(), state, new }
    }

    /// Whether the release that runs is without that migration.
    pub fn lacks(&self, key: &MigrationKey) -> bool {
        self.new.contains(key)
    }

    /// The field of the running models that names the table's column.
    pub fn field_of(&self, context: &Context, table: &QualifiedName, column: &str) -> Option<Arc<str>> {
        let resolver = Resolver::new(&self.state, context);
        self.state
            .models()
            .filter(|model| resolver.table(model).is_ok_and(|name| table_name(&name) == *table))
            .filter_map(|model| resolver.model(&model.key()).ok())
            .flat_map(|model| model.fields.into_iter().filter_map(Result::ok).collect::<Vec<_>>())
            .find(|field| field.column.as_deref() == Some(column))
            .map(|field| Arc::clone(field.name()))
    }
}

/// Finds a model by `app.Model`.
///
/// # Errors
/// When there is no such model, or its table is not known.
pub fn model(trace: &Trace, label: &str) -> Result<ModelTable, Refusal> {
    let last = trace.migrations.last().ok_or_else(|| Refusal::Other("the project has no migrations".to_owned()))?;
    let Some((app, name)) = label.split_once('.').filter(|(app, name)| !app.is_empty() && !name.is_empty()) else {
        return Err(Refusal::Other(format!("`{label}` is not of the form app.Model")));
    };
    let state = &last.state_after;
    let resolver = Resolver::new(state, &trace.options.context);
    let key = ModelKey::new(app, name);
    let Some(model) = state.model(&key) else {
        let of_app: Vec<String> =
            state.models().filter(|model| *model.app == *app).map(|model| format!("{app}.{}", model.name)).collect();
        let near = if of_app.is_empty() {
            let mut apps: Vec<&str> = state.models().map(|model| &*model.app).collect();
            apps.dedup();
            format!("the apps with models are {}", apps.join(", "))
        } else {
            format!("the app has {}", of_app.join(", "))
        };
        return Err(Refusal::Other(format!("there is no model `{label}`: {near}")));
    };
    let key = resolver.concrete_key(&key).unwrap_or(key);
    let model = state.model(&key).unwrap_or(model);
    of_model(trace, model)
}

/// The model that a table belongs to; the one that Django makes for a many-to-many field is its app's, too.
pub fn of_table(trace: &Trace, name: &QualifiedName) -> Option<ModelTable> {
    let last = trace.migrations.last()?;
    let resolver = Resolver::new(&last.state_after, &trace.options.context);
    let has_table = |model: &ModelState| resolver.table(model).is_ok_and(|found| table_name(&found) == *name);
    if let Some(model) = last.state_after.models().find(|model| !model.is_proxy() && has_table(model)) {
        return of_model(trace, model).ok();
    }
    let through = last
        .state_after
        .models()
        .filter_map(|model| resolver.model(&model.key()).ok())
        .flat_map(|model| model.fields.into_iter().filter_map(Result::ok).collect::<Vec<_>>())
        .filter_map(|field| field.auto_through().cloned())
        .find(|through| has_table(through))?;
    let catalog = &last.catalog_after;
    let table = catalog.table(name).filter(|table| !table.assumed)?;
    let fields = through
        .fields
        .iter()
        .filter_map(|field| resolver.field_of(&through, field).ok())
        .filter_map(|field| Some((Arc::clone(field.name()), field.column.clone()?)))
        .collect();
    Some(ModelTable {
        facts: catalog_facts(catalog, table).ok()?,
        table: name.clone(),
        model: through,
        fields,
        complete: !catalog.is_incomplete(),
    })
}

/// Finds a table by its name as written in SQL, and the model that it belongs to if there is one.
pub fn table(trace: &Trace, text: &str) -> Option<(TableFacts, Option<ModelTable>)> {
    let last = trace.migrations.last()?;
    let exact = QualifiedName::new(text);
    let read = || {
        let (schema, name) = table_name_text(text)?;
        Some(match schema {
            Some(schema) => QualifiedName::with_schema(schema, name),
            None => QualifiedName::new(name),
        })
    };
    let catalog = &last.catalog_after;
    let found = catalog.table(&exact).or_else(|| catalog.table(&read()?))?;
    Some((catalog_facts(catalog, found).ok()?, of_table(trace, &found.name)))
}

/// Schema and name of a table as written in SQL.
pub fn table_name_text(text: &str) -> Option<(Option<String>, String)> {
    let names = zdm_sql::name_tokens(text);
    let plain = |index: usize| names.get(index).map(|token| token.name.as_str().to_owned());
    match names.as_slice() {
        [name] if name.before.is_empty() && name.after.is_empty() => Some((None, plain(0)?)),
        [schema, name] if schema.before.is_empty() && name.before == "." && name.after.is_empty() => {
            Some((plain(0), plain(1)?))
        }
        _ => None,
    }
}

fn of_model(trace: &Trace, model: &Arc<ModelState>) -> Result<ModelTable, Refusal> {
    let last = trace.migrations.last().ok_or_else(|| Refusal::Other("the project has no migrations".to_owned()))?;
    let resolver = Resolver::new(&last.state_after, &trace.options.context);
    let resolved = resolver.model(&model.key()).map_err(Refusal::Other)?;
    let name = table_name(&resolved.table);
    let catalog = &last.catalog_after;
    let facts = match catalog.table(&name).filter(|table| !table.assumed) {
        Some(table) => catalog_facts(catalog, table)?,
        // The table was made by something that was not read: the state alone tells its columns.
        None => TableFacts {
            columns: resolved.fields.iter().filter_map(|field| state_column(field.as_ref().ok()?)).collect(),
            columns_known: resolved.fields.iter().all(Result::is_ok) && !catalog.is_incomplete(),
            ..TableFacts::unknown(table_name_of(&name)?)
        },
    };
    let fields = resolved
        .fields
        .iter()
        .filter_map(|field| field.as_ref().ok())
        .filter_map(|field| Some((Arc::clone(field.name()), Arc::clone(field.column.as_ref()?))))
        .collect();
    Ok(ModelTable { model: Arc::clone(model), table: name, facts, fields, complete: !catalog.is_incomplete() })
}

fn table_name_of(name: &QualifiedName) -> Result<TableName, Refusal> {
    Ok(TableName::new(name.schema.as_ref().map(zdm_postgres::Ident::as_str), name.name.as_str())?)
}

fn state_column(field: &ResolvedField) -> Option<ColumnFacts> {
    let type_text = field.db_type.as_ref()?.to_string();
    let data_type = types::read(&type_text)?;
    let data_type = data_type.serial_base().unwrap_or(data_type);
    Some(ColumnFacts {
        name: field.column.as_ref()?.to_string(),
        type_text: data_type.to_string(),
        data_type,
        not_null: !field.null,
        default: None,
        generated: field.is_generated(),
        identity: field.suffix.is_some(),
    })
}

/// What the catalog says of a table.
pub(crate) fn catalog_facts(catalog: &Catalog, table: &Table) -> Result<TableFacts, Refusal> {
    let below = catalog.descendants(&table.name);
    let mut children = Vec::new();
    let mut partition_key = Vec::new();
    for name in std::iter::once(&table.name).chain(&below) {
        let Some(part) = catalog.table(name) else { continue };
        if *name != table.name && part.partition_of.is_none() {
            children.push(table_name_of(name)?);
        }
        if let Some(by) = &part.partition_by {
            partition_key.extend(by.columns.iter().map(|column| column.as_str().to_owned()));
            for expression in &by.expressions {
                partition_key.extend(expression.node.columns().iter().map(|column| column.as_str().to_owned()));
            }
        }
    }
    let columns = table
        .columns
        .iter()
        .map(|column| ColumnFacts {
            name: column.name.as_str().to_owned(),
            type_text: column.data_type.to_string(),
            data_type: below_domain(catalog, &column.data_type),
            not_null: column.not_null,
            default: column.generated.is_none().then(|| deparse::default(catalog, table, column)).flatten(),
            generated: column.generated.is_some(),
            identity: column.identity.is_some(),
        })
        .collect();
    let triggers = table
        .triggers
        .iter()
        .filter(|trigger| {
            trigger.enabled
                && trigger.for_each_row
                && trigger.timing.eq_ignore_ascii_case("BEFORE")
                && trigger.events.iter().any(|event| event != "DELETE")
        })
        .map(|trigger| TriggerFacts {
            name: trigger.name.as_str().to_owned(),
            function: trigger.function.to_string(),
            body: catalog.functions(&trigger.function).first().and_then(|function| {
                let language = function.language.as_ref().map(zdm_postgres::Ident::as_str);
                function.body.clone().filter(|_| matches!(language, Some("plpgsql" | "sql")))
            }),
        })
        .filter(|trigger| !trigger.name.starts_with(names::PREFIX))
        .collect();
    Ok(TableFacts {
        name: table_name_of(&table.name)?,
        kind: if table.foreign { TableKind::ForeignTable } else { TableKind::Table },
        columns,
        columns_known: true,
        children,
        partition_key,
        triggers,
        views: catalog
            .views_on(&table.name)
            .into_iter()
            .map(|(view, columns)| {
                (view.to_string(), columns.iter().map(|column| column.as_str().to_owned()).collect())
            })
            .collect(),
        rules: table.rules.iter().map(|rule| rule.name.as_str().to_owned()).collect(),
    })
}

fn below_domain(catalog: &Catalog, data_type: &DataType) -> DataType {
    use zdm_postgres::catalog::UserTypeKind;
    match catalog.user_type(&data_type.name).map(|found| &found.kind) {
        Some(UserTypeKind::Domain(domain)) if !data_type.is_array() => domain.base.clone(),
        _ => data_type.clone(),
    }
}

impl ModelTable {
    /// `shop.Order`.
    pub fn label(&self) -> String {
        format!("{}.{}", self.model.app, self.model.name)
    }

    /// The column of a field; a column's own name stays.
    pub fn column(&self, name: &str) -> String {
        self.fields
            .iter()
            .find(|(field, _)| **field == *name)
            .map_or_else(|| name.to_owned(), |(_, column)| column.to_string())
    }

    /// The field with that column.
    pub fn field_of(&self, column: &str) -> Option<&Arc<str>> {
        self.fields.iter().find(|(_, own)| **own == *column).map(|(field, _)| field)
    }

    /// The request with columns in place of fields.
    pub fn in_columns(&self, request: &Request) -> Request {
        let pairs = request
            .pairs
            .iter()
            .map(|pair| PairRequest {
                source: self.column(&pair.source),
                target: self.column(&pair.target),
                ..pair.clone()
            })
            .collect();
        Request { pairs, ..request.clone() }
    }
}

/// Where the next migration of an app goes.
///
/// # Errors
/// When the app has no migrations, or more than one leaf.
pub fn place(project: &Project, app: &str) -> Result<Place, Refusal> {
    let other = |text: String| Err(Refusal::Other(text));
    let Some(found) = project.apps.iter().find(|known| *known.label == *app) else {
        return other(format!("there is no app `{app}`"));
    };
    let Some(folder) = &found.migrations else {
        return other(format!("the app `{app}` has no migrations"));
    };
    if found.origin != zdm_django::MigrationOrigin::Project {
        return other(format!("the app `{app}` is not part of the project: its migrations are somebody else's"));
    }
    let leaves = project.graph.leaves().get(app).map(Vec::as_slice).unwrap_or_default();
    let dependency = match leaves {
        [leaf] => leaf.clone(),
        [] => return other(format!("the app `{app}` has no migrations")),
        several => {
            let names: Vec<&str> = several.iter().map(|leaf| &*leaf.name).collect();
            return other(format!(
                "the app `{app}` has several leaves ({}): merge them first (`makemigrations --merge`)",
                names.join(", ")
            ));
        }
    };
    let number = project
        .migrations
        .iter()
        .filter(|migration| *migration.key.app == *app)
        .filter_map(|migration| leading_number(&migration.key.name))
        .max()
        .unwrap_or(0)
        .saturating_add(1);
    Ok(Place { app: Arc::clone(&found.label), folder: folder.to_string(), number, dependency, also: Vec::new() })
}

fn leading_number(name: &str) -> Option<u32> {
    let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
