//! Third-party operations whose statements depend on the history: on the model's table, on an earlier trigger.
//!
//! The migrations are walked once in the order of execution. What cannot be told becomes
//! [`OperationKind::Unknown`]: an operation without statements would say that nothing is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use zdm_source::Span;

use crate::field::Field;
use crate::migration::Migration;
use crate::operation::{KnownOperation, Operation, OperationKind, SqlText, TextMap};
use crate::value::Value;

/// PostgreSQL's limit for names, in bytes; Django shortens longer names of tables by a hash.
const MAX_NAME: usize = 63;

/// A model by app label and lower-case name.
type ModelKey = (Arc<str>, String);

/// What the walk has to know of the past.
#[derive(Default)]
struct History {
    models: BTreeMap<ModelKey, Model>,
    /// Of django-pgtrigger, by model and name.
    triggers: BTreeMap<(ModelKey, Arc<str>), Trigger>,
}

struct Trigger {
    /// Its name in the database.
    pgid: Arc<str>,
    table: Arc<str>,
}

#[derive(Default)]
struct Model {
    /// None where Django makes it from app and name.
    table: Option<Arc<str>>,
    /// Columns by field; none for a field whose column is not known.
    columns: BTreeMap<Arc<str>, Option<String>>,
}

/// Give every such operation of `migrations` its statements; `order` are the indices in the order of execution.
pub(super) fn complete(migrations: &mut [Migration], order: &[usize]) {
    if !migrations.iter().any(looks_back) {
        return;
    }
    let mut history = History::default();
    for index in order {
        let Some(migration) = migrations.get_mut(*index) else { continue };
        let app = Arc::clone(&migration.key.app);
        for operation in &mut migration.operations {
            history.apply(&app, operation);
        }
    }
}

/// The migrations whose statements [`complete`] makes, by index, as they were read.
pub(super) fn unfinished(migrations: &[Migration]) -> BTreeMap<usize, Migration> {
    migrations.iter().enumerate().filter(|(_, own)| looks_back(own)).map(|(index, own)| (index, own.clone())).collect()
}

/// Whether the statements of one of its operations depend on the history.
pub(super) fn looks_back(migration: &Migration) -> bool {
    let pending = |operation: &Operation| matches!(operation.kind, OperationKind::Known(_));
    migration.operations.iter().any(|operation| any_nested(operation, &pending))
}

fn any_nested(operation: &Operation, test: &dyn Fn(&Operation) -> bool) -> bool {
    let inner = match &operation.kind {
        OperationKind::SeparateDatabaseAndState { database_operations, state_operations } => {
            database_operations.iter().chain(state_operations).any(|inner| any_nested(inner, test))
        }
        OperationKind::Where { operations, .. } => operations.iter().any(|inner| any_nested(inner, test)),
        _ => false,
    };
    inner || test(operation)
}

impl History {
    fn apply(&mut self, app: &Arc<str>, operation: &mut Operation) {
        let key = |name: &str| (Arc::clone(app), name.to_lowercase());
        let span = operation.span;
        match &mut operation.kind {
            OperationKind::CreateModel { name, fields, options, .. } => {
                let table = options.get("db_table").and_then(Value::as_str).map(Arc::from);
                let columns = fields.iter().map(|field| (Arc::clone(&field.name), column(field))).collect();
                self.models.insert(key(name), Model { table, columns });
            }
            OperationKind::DeleteModel { name } => {
                self.models.remove(&key(name));
            }
            OperationKind::RenameModel { old_name, new_name } => {
                if let Some(model) = self.models.remove(&key(old_name)) {
                    self.models.insert(key(new_name), model);
                }
            }
            OperationKind::AlterModelTable { name, table } => {
                self.models.entry(key(name)).or_default().table.clone_from(table);
            }
            OperationKind::AddField { model_name, field, .. } | OperationKind::AlterField { model_name, field, .. } => {
                let columns = &mut self.models.entry(key(model_name)).or_default().columns;
                columns.insert(Arc::clone(&field.name), column(field));
            }
            OperationKind::RenameField { model_name, old_name, new_name } => {
                let columns = &mut self.models.entry(key(model_name)).or_default().columns;
                if let Some(found) = columns.remove(old_name) {
                    // A column with a name of its own keeps it.
                    let renamed = found.map(|column| {
                        if column == **old_name {
                            new_name.to_string()
                        } else if column == format!("{old_name}_id") {
                            format!("{new_name}_id")
                        } else {
                            column
                        }
                    });
                    columns.insert(Arc::clone(new_name), renamed);
                }
            }
            OperationKind::SeparateDatabaseAndState { database_operations, state_operations } => {
                for inner in database_operations.iter_mut().chain(state_operations) {
                    self.apply(app, inner);
                }
            }
            OperationKind::Known(known) => {
                if let Err(reason) = self.complete(app, known, operation.class.rsplit('.').next().unwrap_or(""), span) {
                    operation.kind = OperationKind::unknown(reason);
                }
            }
            _ => {}
        }
    }

    fn complete(&mut self, app: &Arc<str>, known: &mut KnownOperation, class: &str, span: Span) -> Result<(), String> {
        let argument = |name: &str| known.argument(name).and_then(Value::as_str).map(Arc::<str>::from);
        let missing = |name: &str| format!("the argument `{name}` is not a string");
        match (&*known.package, class) {
            ("django-pgtrigger", "AddTrigger") => {
                let (Some(model), Some(name)) = (argument("model_name"), argument("name")) else {
                    return Err(missing("name"));
                };
                let (Some(pgid), Some(table)) = (argument("pgid"), argument("table")) else {
                    return Err(missing("pgid"));
                };
                self.triggers.insert(((Arc::clone(app), model.to_lowercase()), name), Trigger { pgid, table });
            }
            ("django-pgtrigger", "RemoveTrigger") => {
                let model = argument("model_name").ok_or_else(|| missing("model_name"))?;
                let name = argument("name").ok_or_else(|| missing("name"))?;
                let found = self.triggers.remove(&((Arc::clone(app), model.to_lowercase()), Arc::clone(&name)));
                let Trigger { pgid, table } =
                    found.ok_or_else(|| format!("no migration that was analysed adds the trigger `{name}`"))?;
                known.statements =
                    vec![statement(format!("DROP TRIGGER IF EXISTS {pgid} ON {}", quoted(&table)), span)];
            }
            ("django-add-default-value", "AddDefaultValue") => {
                let model = argument("model_name").ok_or_else(|| missing("model_name"))?;
                let field = argument("name").ok_or_else(|| missing("name"))?;
                let table = self.table(app, &model).ok_or_else(|| format!("the table of `{model}` is not known"))?;
                let columns = self.models.get(&(Arc::clone(app), model.to_lowercase())).map(|model| &model.columns);
                let column = columns.and_then(|columns| columns.get(&field)).cloned().flatten();
                let column = column.ok_or_else(|| format!("the column of `{model}.{field}` is not known"))?;
                let value = known.argument("value").and_then(default_value);
                let value = value.ok_or_else(|| "the default is not known".to_owned())?;
                let text =
                    format!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {value}", quoted(&table), quoted(&column));
                known.statements = vec![statement(text, span)];
            }
            _ => {}
        }
        Ok(())
    }

    fn table(&self, app: &Arc<str>, model: &str) -> Option<String> {
        let name = model.to_lowercase();
        let known = self.models.get(&(Arc::clone(app), name.clone()))?;
        match &known.table {
            Some(table) => Some(table.to_string()),
            None => Some(format!("{app}_{name}")).filter(|table| table.len() <= MAX_NAME),
        }
    }
}

/// The name of a field's column; None where it has none or its class is not known.
fn column(field: &Field) -> Option<String> {
    if let Some(column) = field.kwarg("db_column") {
        if let Some(column) = column.as_str() {
            return Some(column.to_owned());
        }
        if *column != Value::None {
            return None;
        }
    }
    match field.django_class()? {
        "ForeignKey" | "OneToOneField" => Some(format!("{}_id", field.name)),
        "ManyToManyField" => None,
        _ => Some(field.name.to_string()),
    }
}

/// The SQL of a default as django-add-default-value writes it. Source: its `clean_value`.
fn default_value(value: &Value) -> Option<String> {
    Some(match value {
        Value::Str(text) if matches!(&**text, "__NOW__" | "__TODAY__") => "now()".to_owned(),
        Value::Str(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Int(number) => format!("'{number}'"),
        Value::Bool(value) => if *value { "'True'" } else { "'False'" }.to_owned(),
        Value::Symbol(name) if matches!(name.rsplit('.').next(), Some("NOW" | "TODAY")) => "now()".to_owned(),
        _ => return None,
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn statement(text: String, whole: Span) -> SqlText {
    SqlText { text: text.into(), params: None, map: TextMap { segments: Vec::new(), whole } }
}
