//! Migration operations, as written.
//!
//! Source: Django's documentation, "Migration Operations" and "Database migration operations" of `django.contrib.postgres`.

use std::sync::Arc;

use zdm_python::FunctionRef;
use zdm_source::Span;

use crate::field::Field;
use crate::value::Value;

/// One operation with its place in the migration's file.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub kind: OperationKind,
    /// The class as written, resolved through imports: `django.db.migrations.AddField`, `pgtrigger.migrations.AddTrigger`.
    pub class: Arc<str>,
    /// The whole call.
    pub span: Span,
    /// Arguments with their places: `("name", span)`; for labels that point at one argument.
    pub argument_spans: Vec<(Arc<str>, Span)>,
    /// Whether it is there, or does anything, depends on a condition that is not known. It is
    /// [`OperationKind::Unknown`] then, or a marker.
    pub conditional: bool,
    pub way_back: OwnWayBack,
}

/// What the class of an operation makes of `database_backwards`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnWayBack {
    /// What operations of its kind do.
    #[default]
    OfItsKind,
    /// The database is left alone.
    Nothing,
    /// Something that is not known, or it cannot be unapplied.
    NotKnown,
}

impl Operation {
    /// The class' own name: `AddField`.
    pub fn name(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or(&self.class)
    }

    /// [`Self::name`] for a sentence, which has a word also for an operation whose class is not known.
    pub fn title(&self) -> &str {
        match self.name() {
            "" => "an operation",
            name => name,
        }
    }

    pub fn argument_span(&self, name: &str) -> Option<Span> {
        self.argument_spans.iter().find(|(key, _)| &**key == name).map(|(_, span)| *span)
    }
}

/// What an operation does. Model names are as written, without the app label unless one was written.
#[derive(Clone, Debug, PartialEq)]
pub enum OperationKind {
    CreateModel {
        name: Arc<str>,
        fields: Vec<Field>,
        options: Options,
        bases: Vec<Value>,
        managers: bool,
    },
    DeleteModel {
        name: Arc<str>,
    },
    RenameModel {
        old_name: Arc<str>,
        new_name: Arc<str>,
    },
    AlterModelTable {
        name: Arc<str>,
        table: Option<Arc<str>>,
    },
    AlterModelTableComment {
        name: Arc<str>,
        table_comment: Option<Arc<str>>,
    },
    /// `option_value` is a set of tuples of field names.
    AlterUniqueTogether {
        name: Arc<str>,
        unique_together: Value,
    },
    AlterIndexTogether {
        name: Arc<str>,
        index_together: Value,
    },
    AlterOrderWithRespectTo {
        name: Arc<str>,
        order_with_respect_to: Option<Arc<str>>,
    },
    AlterModelOptions {
        name: Arc<str>,
        options: Options,
    },
    AlterModelManagers {
        name: Arc<str>,
    },
    AddField {
        model_name: Arc<str>,
        field: Field,
        preserve_default: bool,
    },
    RemoveField {
        model_name: Arc<str>,
        name: Arc<str>,
    },
    AlterField {
        model_name: Arc<str>,
        field: Field,
        preserve_default: bool,
    },
    RenameField {
        model_name: Arc<str>,
        old_name: Arc<str>,
        new_name: Arc<str>,
    },
    AddIndex {
        model_name: Arc<str>,
        index: Index,
        concurrently: bool,
    },
    RemoveIndex {
        model_name: Arc<str>,
        name: Arc<str>,
        concurrently: bool,
    },
    RenameIndex {
        model_name: Arc<str>,
        new_name: Arc<str>,
        old_name: Option<Arc<str>>,
        old_fields: Option<Vec<Arc<str>>>,
    },
    AddConstraint {
        model_name: Arc<str>,
        constraint: Constraint,
        not_valid: bool,
    },
    RemoveConstraint {
        model_name: Arc<str>,
        name: Arc<str>,
    },
    /// State only, 5.2+.
    AlterConstraint {
        model_name: Arc<str>,
        name: Arc<str>,
        constraint: Constraint,
    },
    ValidateConstraint {
        model_name: Arc<str>,
        name: Arc<str>,
    },
    CreateExtension {
        name: Arc<str>,
    },
    CreateCollation {
        name: Arc<str>,
        locale: Arc<str>,
        provider: Arc<str>,
        deterministic: bool,
    },
    RemoveCollation {
        name: Arc<str>,
        locale: Arc<str>,
        provider: Arc<str>,
        deterministic: bool,
    },
    RunSql(RunSql),
    RunPython(RunPython),
    SeparateDatabaseAndState {
        database_operations: Vec<Operation>,
        state_operations: Vec<Operation>,
    },
    /// A third-party operation that sends SQL which is known: django-pgtrigger's, django-add-default-value's.
    Known(KnownOperation),
    /// What a class of its own does to the database only if that has certain tables or columns. It stands among
    /// `database_operations` alone: the state changes in any case.
    Where {
        test: CatalogTest,
        operations: Vec<Operation>,
    },
    /// A marker without effect on state and database.
    NoOp,
    /// Not analysed, with the reason. State and catalog are uncertain from here on.
    Unknown {
        reason: Arc<str>,
        /// What it does if a condition holds that is not known: the operation that stands there. State and catalog are
        /// uncertain in what that names, and in nothing else. Empty where nothing can be told.
        possible: Vec<Operation>,
        /// Models of which it is not known what the state says from here on.
        models: Vec<Arc<str>>,
    },
}

impl OperationKind {
    /// Not analysed, and nothing can be told of it.
    pub(crate) fn unknown(reason: impl Into<Arc<str>>) -> Self {
        Self::undecided(reason, Vec::new())
    }

    /// It does this, or nothing.
    pub(crate) fn undecided(reason: impl Into<Arc<str>>, possible: Vec<Operation>) -> Self {
        Self::Unknown { reason: reason.into(), possible, models: Vec::new() }
    }
}

/// What Python code asks the database before it goes on: it holds if all facts of one of the lists are as said.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogTest {
    pub any: Vec<Vec<(CatalogFact, bool)>>,
}

/// What Django's introspection finds.
#[derive(Clone, Debug, PartialEq)]
pub enum CatalogFact {
    Table(TableRef),
    Column {
        table: TableRef,
        column: Arc<str>,
    },
    /// A constraint or an index, as `get_constraints()` returns both.
    Constraint {
        table: TableRef,
        name: Arc<str>,
    },
}

/// A table in such a question.
#[derive(Clone, Debug, PartialEq)]
pub enum TableRef {
    Name(Arc<str>),
    /// The table of a model; without an app it is the migration's.
    Model {
        app: Option<Arc<str>>,
        name: Arc<str>,
        /// In the state behind the operation, not in the one before.
        after: bool,
    },
}

/// Model options in the order written: `db_table`, `managed`, `proxy`, `unique_together`, `indexes`, `constraints` and the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub entries: Vec<(Arc<str>, Value)>,
    pub indexes: Vec<Index>,
    pub constraints: Vec<Constraint>,
}

impl Options {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.entries.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }
}

/// `models.Index` and its subclasses.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    /// The class' own name: `Index`, `GinIndex`, `BrinIndex` …; a project's subclass resolves to its Django base.
    pub class: Arc<str>,
    pub name: Option<Arc<str>>,
    /// Field names as written: `-created` is descending.
    pub fields: Vec<Arc<str>>,
    pub expressions: Vec<Value>,
    /// A `Q` call.
    pub condition: Option<Value>,
    /// Everything else by keyword: `opclasses`, `include`, `db_tablespace`, `fillfactor`, `fastupdate`, …
    pub kwargs: Vec<(Arc<str>, Value)>,
    /// Why it is not fully known.
    pub unknown: Option<Arc<str>>,
    pub span: Span,
}

impl Index {
    pub fn kwarg(&self, name: &str) -> Option<&Value> {
        self.kwargs.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }
}

/// `CheckConstraint`, `UniqueConstraint`, `ExclusionConstraint`.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    pub name: Arc<str>,
    pub kind: ConstraintKind,
    /// Everything else by keyword: `deferrable`, `include`, `opclasses`, `nulls_distinct`, `violation_error_message`, …
    pub kwargs: Vec<(Arc<str>, Value)>,
    pub span: Span,
}

impl Constraint {
    pub fn kwarg(&self, name: &str) -> Option<&Value> {
        self.kwargs.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum ConstraintKind {
    /// `condition=` from 5.1, `check=` before.
    Check {
        condition: Value,
    },
    Unique {
        fields: Vec<Arc<str>>,
        expressions: Vec<Value>,
        condition: Option<Value>,
    },
    /// Pairs of expression and operator.
    Exclusion {
        expressions: Vec<(Value, Value)>,
        index_type: Arc<str>,
        condition: Option<Value>,
    },
    Unknown {
        class: Arc<str>,
        reason: Arc<str>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct RunSql {
    pub sql: SqlSource,
    /// `None`: irreversible.
    pub reverse_sql: Option<SqlSource>,
    pub state_operations: Vec<Operation>,
    pub elidable: bool,
}

/// The `sql` argument: `RunSQL.noop` is an empty list.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlSource {
    /// In the order of execution.
    Texts(Vec<SqlText>),
    Unknown {
        reason: Arc<str>,
    },
}

/// One string of SQL with the places that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlText {
    pub text: Arc<str>,
    /// From a list of `(sql, params)`: parameters are sent apart, and `%s` stands for them.
    pub params: Option<Value>,
    pub map: TextMap,
}

/// Maps byte ranges of an evaluated string to places in the file: through escapes, concatenation, f-strings.
///
/// Segments are in order of the value and do not overlap; values that came from elsewhere (a setting, another file)
/// have no segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextMap {
    pub segments: Vec<TextSegment>,
    /// The whole expression: where to point when a range has no segment.
    pub whole: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextSegment {
    /// In the value.
    pub value: Span,
    /// In the file.
    pub source: Span,
    /// Byte for byte the same; otherwise the segment is one unit (an escape).
    pub verbatim: bool,
    /// The field of a template that the value was put in for.
    pub place: Option<Span>,
}

impl TextMap {
    /// Adds what another map says of `range` of its value, for the same text at `at` of this one's.
    pub fn append(&mut self, other: &Self, range: Span, at: usize) {
        let Ok(at) = u32::try_from(at) else { return };
        let first = other.segments.partition_point(|segment| segment.value.end <= range.start);
        for segment in other.segments.iter().skip(first).take_while(|segment| segment.value.start < range.end) {
            let (start, end) = (segment.value.start.max(range.start), segment.value.end.min(range.end));
            let source = if segment.verbatim {
                let source_start = segment.source.start + (start - segment.value.start);
                Span::new(source_start, source_start + (end - start))
            } else {
                segment.source
            };
            let value = Span::new(at + (start - range.start), at + (end - range.start));
            self.segments.push(TextSegment { value, source, verbatim: segment.verbatim, place: segment.place });
        }
    }

    /// The smallest span of the expression that covers `range` of the value. Parts that stand elsewhere in the file, as a
    /// constant that an f-string puts in, count only where the expression has none of the range.
    pub fn source_span(&self, range: Span) -> Span {
        let (mut inside, mut outside): (Option<Span>, Vec<Span>) = (None, Vec::new());
        let first = self.segments.partition_point(|segment| segment.value.end <= range.start);
        let touched = self.segments[first..].iter().take_while(|segment| {
            segment.value.start < range.end || (range.is_empty() && segment.value.start == range.start)
        });
        // What lies in one value that was put in is pointed at there; what reaches beyond it, at the field.
        let field = touched.clone().next().and_then(|segment| segment.place);
        let in_one_field = field.is_some() && touched.clone().all(|segment| segment.place == field);
        for segment in touched {
            let source = if let Some(place) = segment.place.filter(|_| !in_one_field) {
                place
            } else if segment.verbatim {
                let start = segment.source.start + range.start.saturating_sub(segment.value.start);
                let end = segment.source.end - segment.value.end.saturating_sub(range.end);
                Span::new(start, end)
            } else {
                segment.source
            };
            if self.whole.start <= source.start && source.end <= self.whole.end {
                inside = Some(inside.map_or(source, |span| span.cover(source)));
            } else {
                outside.push(source);
            }
        }
        if let Some(inside) = inside {
            return inside;
        }
        // One constant is one place; what is put together from several has none but the expression.
        let in_order = outside.windows(2).all(|pair| pair[0].end <= pair[1].start);
        match (outside.first(), outside.last()) {
            (Some(first), Some(last)) if in_order => first.cover(*last),
            _ => self.whole,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct RunPython {
    /// The callable as resolved: `shop.migrations.0003_fill.forwards`, `django.db.migrations.RunPython.noop`.
    pub code: Value,
    /// `None`: irreversible.
    pub reverse_code: Option<Value>,
    /// The function behind `code`, where it is one of the project.
    pub function: Option<FunctionRef>,
    pub reverse_function: Option<FunctionRef>,
    /// What the forwards function does to rows.
    pub body: CodeFacts,
    /// What the reverse function does to rows.
    pub reverse_body: CodeFacts,
    /// The keyword's value where it was written.
    pub atomic: Option<bool>,
    pub elidable: bool,
}

/// What a function does to rows, as far as its text tells. Code that is not judged leaves no fact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CodeFacts {
    /// In source order, those of helper functions included; what a function of another file does has the place of its call.
    pub facts: Vec<CodeFact>,
    /// Why the function was not read at all.
    pub unread: Option<Arc<str>>,
    /// Something in it is called as what changes rows or tables is, whether or not a fact tells of it; SQL that is known is
    /// not meant.
    pub may_change: bool,
}

/// One thing that a function does, with its place in the migration's file.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeFact {
    pub kind: CodeFactKind,
    pub span: Span,
    /// The code itself puts it, and all rounds of the loops around it, into one transaction.
    pub in_transaction: bool,
    /// It stands under a condition or in a loop, and may not happen.
    pub perhaps: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CodeFactKind {
    /// `queryset.update(…)`, with its keywords; None where not all of them are known.
    Updates { model: CodeModel, rows: Rows, set: Option<Vec<(Arc<str>, Value)>> },
    /// `queryset.delete()`.
    Deletes { model: CodeModel, rows: Rows },
    /// `save()` on objects of a queryset in a loop, or one query for each. [`Rows::Few`] are chosen one by one from what
    /// the code gets elsewhere: from a cursor, from a file.
    SavesEach { model: CodeModel, rows: Rows },
    /// `delete()` of objects of a queryset in a loop, or one query for each.
    DeletesEach { model: CodeModel, rows: Rows },
    /// `bulk_update(…)` in a loop, of as many objects at a time as the code chooses; or `update()` of one range of keys
    /// after the other.
    UpdatesInBatches { model: CodeModel, rows: Rows },
    /// `delete()` of one range of keys after the other.
    DeletesInBatches { model: CodeModel, rows: Rows },
    /// `bulk_update(queryset, …)`.
    BulkUpdates { model: CodeModel, rows: Rows },
    /// A manager of a model class that was imported, or fetched from the registry of today; as written.
    ModelOfToday { class: Arc<str> },
    /// `cursor.execute(…)` or `schema_editor.execute(…)`; None where the text is not known. The names of tables and
    /// columns that the code takes from models are places in it, see [`fill_places`].
    /// With `each` it is sent in the rounds of a loop, with values that each round has of its own.
    SendsSql { sql: Option<Arc<str>>, each: bool },
    /// `bulk_create(…)` without `batch_size`, of objects whose number is not in the code.
    CreatesAtOnce { model: CodeModel },
    /// A row of this model is made, or may be.
    Creates { model: CodeModel },
    /// `create(…)` or `get_or_create(…)` of this model, for each object of a queryset of another one.
    CreatesEach { model: CodeModel, source: CodeModel, rows: Rows },
    /// `add()`, `set()`, `remove()` or `clear()` of a related manager, for each of these rows of `source`, or once for one object.
    /// The model is the manager, see [`CodeModel`].
    Relates { model: CodeModel, source: CodeModel, rows: Rows, removes: bool },
    /// `add()` or `set()` of a related manager with all these rows of `source`.
    RelatesAtOnce { model: CodeModel, source: CodeModel, rows: Rows },
    /// Objects of this model are saved after these attributes were set, or with these fields named.
    Saves { model: CodeModel, fields: Vec<Arc<str>> },
    /// All objects of a queryset are read into memory.
    LoadsAll { model: CodeModel, rows: Rows },
    /// A method of the schema editor that changes tables, by name: `remove_field`.
    ChangesSchema { method: Arc<str> },
    /// A part of it is done elsewhere: a function that is not at hand gets `apps` or the schema editor.
    NotRead { what: Arc<str> },
    /// Rows may be changed in a way that is not known; tables stay as they are.
    RowsNotRead { what: Arc<str> },
}

/// A model of the migration's state, as given to `apps.get_model`; behind a dot the attributes of its objects that lead
/// from there to others, as `Customer.order_set`: which model that is, the state tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeModel {
    pub app: Arc<str>,
    pub name: Arc<str>,
}

/// Which rows of a table a queryset holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    All,
    /// Those where this field is NULL.
    WhereNull(Arc<str>),
    /// Those that a condition chooses, how many is not known; None where the code around decides.
    Some(Option<Arc<Condition>>),
    /// Those of a range of keys or of keys that are listed, as a batch has them.
    Few,
}

/// What chooses the rows of a queryset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The last methods of the chain as they are written.
    pub text: String,
    /// Fields that are to be equal to a value.
    pub equal: Vec<Arc<str>>,
    /// A round of the loop around it decides one of these values.
    pub each: bool,
}

/// Text with the places in it filled: `\u{1}shop.Order\u{1}` is the table of a model, `\u{1}shop.Order.total\u{1}` the
/// column of a field. None where a name is not known.
pub fn fill_places(text: &str, name: &dyn Fn(&CodeModel, Option<&str>) -> Option<String>) -> Option<String> {
    let mut whole = String::with_capacity(text.len());
    for (index, part) in text.split('\u{1}').enumerate() {
        if index % 2 == 0 {
            whole.push_str(part);
            continue;
        }
        let mut names = part.splitn(3, '.');
        let model = CodeModel { app: Arc::from(names.next()?), name: Arc::from(names.next()?) };
        whole.push_str(&name(&model, names.next())?);
    }
    Some(whole)
}

/// A third-party operation that is a template of SQL.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownOperation {
    /// `django-pgtrigger`.
    pub package: Arc<str>,
    /// What the statements are made from, by name: `model_name`, `name`, `value`.
    pub arguments: Vec<(Arc<str>, Value)>,
    /// SQL sent forwards, where it can be told.
    pub statements: Vec<SqlText>,
    /// What it does to the state, if anything.
    pub state_operations: Vec<Operation>,
    pub reversible: bool,
}

impl KnownOperation {
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.arguments.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }
}
