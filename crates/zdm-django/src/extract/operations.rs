//! Operation calls.

use std::sync::Arc;

use zdm_python as python;
use zdm_python::{ClassRef, Module, ValueKind};
use zdm_source::Span;

use super::arguments::{Arguments, Reason, string, strings};
use super::{Extractor, convert, flat_items, signature};
use crate::operation::{
    Constraint, ConstraintKind, Index, KnownOperation, Operation, OperationKind, Options, RunPython, RunSql, SqlSource,
    SqlText, TextMap,
};
use crate::third_party::{self, OperationFact};
use crate::value::Value;

/// `SeparateDatabaseAndState` and `RunSQL` hold operations; no deeper than this.
const MAX_NESTING: u32 = 20;

/// Where an operation stands.
#[derive(Clone, Copy)]
struct Place<'m> {
    module: &'m Module,
    /// For what was written in another file.
    span: Span,
    conditional: bool,
    nesting: u32,
}

impl Place<'_> {
    fn span(self, value: &python::Value) -> Span {
        if value.origin.module == *self.module { value.span() } else { self.span }
    }
}

impl Extractor<'_> {
    /// The operations of a list, in order; what cannot be told stays in its place.
    pub(super) fn operations(&self, value: &python::Value, module: &Module, span: Span) -> Vec<Operation> {
        self.operation_list(value, Place { module, span, conditional: false, nesting: 0 })
    }

    fn operation_list(&self, value: &python::Value, place: Place<'_>) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (item, conditional) in flat_items(value) {
            let conditional = place.conditional || conditional;
            operations.push(self.operation(item, Place { conditional, span: place.span(item), ..place }));
        }
        operations
    }

    fn operation(&self, value: &python::Value, place: Place<'_>) -> Operation {
        let unknown = |class: &str, reason: String| Operation {
            kind: OperationKind::Unknown { reason: reason.into() },
            class: Arc::from(class),
            span: place.span,
            argument_spans: Vec::new(),
            conditional: place.conditional,
        };
        let call = match &value.kind {
            ValueKind::Call(call) => call,
            ValueKind::Spread(inner) => {
                return unknown("", format!("the operations of this list are not known: {}", convert::reason(inner)));
            }
            _ => return unknown("", convert::reason(value)),
        };
        let Some(class) = convert::callee_name(&call.callee) else {
            return unknown("", convert::reason(value));
        };
        if place.nesting > MAX_NESTING {
            return unknown(&class, "nested too deeply".to_owned());
        }
        let (kind, arguments) = self.resolve_operation(&call.callee, &class, &call.args, place);
        let in_file = |argument: &super::arguments::Named| {
            (argument.value.origin.module == *place.module).then(|| (Arc::clone(&argument.name), argument.span))
        };
        Operation {
            kind: kind.unwrap_or_else(|reason| OperationKind::Unknown { reason: reason.into() }),
            class,
            span: place.span,
            argument_spans: arguments.named.iter().filter_map(in_file).collect(),
            conditional: place.conditional,
        }
    }

    fn resolve_operation(
        &self,
        callee: &python::Value,
        class: &str,
        args: &[python::Arg],
        place: Place<'_>,
    ) -> (Result<OperationKind, Reason>, Arguments) {
        if let Some(found) = self.known_operation(class, args, place) {
            return found;
        }
        match &callee.kind {
            ValueKind::Class(class) => self.project_operation(class, args.to_vec(), place),
            ValueKind::Function(_) => {
                let reason = format!("the result of `{class}` is not known without running it");
                (Err(reason), Arguments::new(args, &[]))
            }
            _ => (Err(format!("the operation `{class}` is not known")), Arguments::new(args, &[])),
        }
    }

    /// An operation of Django, or one that the table of third-party classes has.
    fn known_operation(
        &self,
        class: &str,
        args: &[python::Arg],
        place: Place<'_>,
    ) -> Option<(Result<OperationKind, Reason>, Arguments)> {
        let name = class.rsplit('.').next().unwrap_or(class);
        if class.starts_with("django.db.migrations.") || class.starts_with("django.contrib.postgres.") {
            let arguments = Arguments::new(args, signature::operation(name)?);
            return Some((self.django_operation(name, &arguments, place), arguments));
        }
        let fact = third_party::operation(class)?;
        let found = match fact {
            OperationFact::NoOp => (Ok(OperationKind::NoOp), Arguments::new(args, &[])),
            OperationFact::As(base) => {
                let arguments = Arguments::new(args, signature::operation(base).unwrap_or(&[]));
                (self.django_operation(base, &arguments, place), arguments)
            }
            OperationFact::Extension(name) => {
                (Ok(OperationKind::CreateExtension { name: Arc::from(name) }), Arguments::new(args, &["hints"]))
            }
            OperationFact::AddTrigger => {
                let arguments = Arguments::new(args, &["model_name", "trigger"]);
                (Self::add_trigger(class, &arguments, place), arguments)
            }
            OperationFact::RemoveTrigger => {
                let arguments = Arguments::new(args, &["model_name", "name"]);
                let known = KnownOperation {
                    package: Arc::from(third_party::package(class)),
                    statements: Vec::new(),
                    state_operations: Vec::new(),
                    reversible: true,
                };
                (arguments.string("model_name").map(|_| OperationKind::Known(known)), arguments)
            }
            OperationFact::AddDefaultValue => {
                let arguments = Arguments::new(args, &["model_name", "name", "value"]);
                let known = KnownOperation {
                    package: Arc::from(third_party::package(class)),
                    statements: Vec::new(),
                    state_operations: Vec::new(),
                    reversible: true,
                };
                (arguments.string("model_name").map(|_| OperationKind::Known(known)), arguments)
            }
            OperationFact::StateLike(base) => {
                let arguments = Arguments::new(args, signature::operation(base).unwrap_or(&[]));
                let state = self.django_operation(base, &arguments, place);
                let operation = |kind: OperationKind, name: &str| Operation {
                    kind,
                    class: Arc::from(name),
                    span: place.span,
                    argument_spans: Vec::new(),
                    conditional: place.conditional,
                };
                let reason = format!("the statements of `{class}` are not known");
                let kind = state.map(|kind| OperationKind::SeparateDatabaseAndState {
                    database_operations: vec![operation(OperationKind::Unknown { reason: reason.into() }, class)],
                    state_operations: vec![operation(kind, &format!("django.db.migrations.{base}"))],
                });
                (kind, arguments)
            }
            OperationFact::NamedSql => {
                let arguments = Arguments::new(args, &["name", "sql", "reverse_sql", "state_operations"]);
                (self.run_sql(&arguments, place), arguments)
            }
        };
        Some(found)
    }

    /// A subclass of an operation in the project: its base, as long as it leaves the base's methods alone.
    fn project_operation(
        &self,
        class: &ClassRef,
        args: Vec<python::Arg>,
        place: Place<'_>,
    ) -> (Result<OperationKind, Reason>, Arguments) {
        let (line, base) = self.lineage(class);
        let mut args = args;
        for class in &line {
            let name = class.name();
            if let Some(found) = self.known_operation(&name, &args, place) {
                return found;
            }
            let body = self.evaluator().class_body(class);
            for method in ["database_forwards", "state_forwards"] {
                if let Some(method_value) = body.get(method)
                    && !self.only_calls_base(method_value, method)
                {
                    return (Err(format!("`{name}` overrides `{method}`")), Arguments::new(&args, &[]));
                }
            }
            if let Some(method) = body.get("__init__") {
                match self.base_arguments(class, method, &args) {
                    Ok(changed) => args = changed,
                    Err(reason) => return (Err(reason), Arguments::new(&args, &[])),
                }
            }
        }
        let written = base.as_ref().and_then(convert::callee_name);
        let found = written.as_ref().and_then(|written| self.known_operation(written, &args, place));
        found.unwrap_or_else(|| {
            let reason = match written {
                Some(written) => format!("`{written}`, a base of `{}`, is not known", class.name()),
                None => format!("the bases of `{}` are not known", class.name()),
            };
            (Err(reason), Arguments::new(&args, &[]))
        })
    }

    /// A method that hands over to the base class, once and always, and sends no SQL of its own.
    fn only_calls_base(&self, method: &python::Value, name: &str) -> bool {
        let Some(function) = method.as_function() else { return false };
        let mut base_calls = 0;
        for site in self.evaluator().calls(function) {
            let Some(call) = site.call.as_call() else { return false };
            if super::is_base_call(call, name) {
                if site.conditional {
                    return false;
                }
                base_calls += 1;
            } else if !call.callee.is_symbol("builtins.super") {
                // Any other call may send SQL.
                return false;
            }
        }
        base_calls == 1
    }

    fn django_operation(&self, name: &str, arguments: &Arguments, place: Place<'_>) -> Result<OperationKind, Reason> {
        if let Some(reason) = &arguments.unknown {
            return Err(reason.clone());
        }
        if !arguments.rest.is_empty() {
            return Err(format!("more arguments than `{name}` takes"));
        }
        let convert = self.convert();
        Ok(match name {
            "CreateModel" => OperationKind::CreateModel {
                name: arguments.string("name")?,
                fields: self.model_fields(arguments.required("fields")?, place)?,
                options: match arguments.value("options") {
                    Some(options) => self.options(options, place)?,
                    None => Options::default(),
                },
                bases: match arguments.value("bases") {
                    Some(bases) => match bases.as_items() {
                        Some(items) => items.iter().map(|item| convert.value(item)).collect(),
                        None => vec![Value::unknown(convert::reason(bases))],
                    },
                    None => Vec::new(),
                },
                managers: arguments.value("managers").is_some_and(|value| value.truth() != Some(false)),
            },
            "DeleteModel" => OperationKind::DeleteModel { name: arguments.string("name")? },
            "RenameModel" => OperationKind::RenameModel {
                old_name: arguments.string("old_name")?,
                new_name: arguments.string("new_name")?,
            },
            "AlterModelTable" => OperationKind::AlterModelTable {
                name: arguments.string("name")?,
                table: arguments.optional_string("table")?,
            },
            "AlterModelTableComment" => OperationKind::AlterModelTableComment {
                name: arguments.string("name")?,
                table_comment: arguments.optional_string("table_comment")?,
            },
            "AlterUniqueTogether" => OperationKind::AlterUniqueTogether {
                name: arguments.string("name")?,
                unique_together: convert.value(arguments.required("unique_together")?),
            },
            "AlterIndexTogether" => OperationKind::AlterIndexTogether {
                name: arguments.string("name")?,
                index_together: convert.value(arguments.required("index_together")?),
            },
            "AlterOrderWithRespectTo" => OperationKind::AlterOrderWithRespectTo {
                name: arguments.string("name")?,
                order_with_respect_to: arguments.optional_string("order_with_respect_to")?,
            },
            "AlterModelOptions" => OperationKind::AlterModelOptions {
                name: arguments.string("name")?,
                options: self.options(arguments.required("options")?, place)?,
            },
            "AlterModelManagers" => OperationKind::AlterModelManagers { name: arguments.string("name")? },
            "AddField" => {
                let name = arguments.string("name")?;
                OperationKind::AddField {
                    model_name: arguments.string("model_name")?,
                    field: self.field(&name, arguments.required("field")?, place.module, place.span),
                    preserve_default: arguments.flag("preserve_default", true)?,
                }
            }
            "AlterField" => {
                let name = arguments.string("name")?;
                OperationKind::AlterField {
                    model_name: arguments.string("model_name")?,
                    field: self.field(&name, arguments.required("field")?, place.module, place.span),
                    preserve_default: arguments.flag("preserve_default", true)?,
                }
            }
            "RemoveField" => OperationKind::RemoveField {
                model_name: arguments.string("model_name")?,
                name: arguments.string("name")?,
            },
            "RenameField" => OperationKind::RenameField {
                model_name: arguments.string("model_name")?,
                old_name: arguments.string("old_name")?,
                new_name: arguments.string("new_name")?,
            },
            "AddIndex" | "AddIndexConcurrently" => OperationKind::AddIndex {
                model_name: arguments.string("model_name")?,
                index: self.index(arguments.required("index")?, place),
                concurrently: name == "AddIndexConcurrently",
            },
            "RemoveIndex" | "RemoveIndexConcurrently" => OperationKind::RemoveIndex {
                model_name: arguments.string("model_name")?,
                name: arguments.string("name")?,
                concurrently: name == "RemoveIndexConcurrently",
            },
            "RenameIndex" => OperationKind::RenameIndex {
                model_name: arguments.string("model_name")?,
                new_name: arguments.string("new_name")?,
                old_name: arguments.optional_string("old_name")?,
                old_fields: match arguments.value("old_fields") {
                    Some(value) if !value.is_none() => Some(strings(value, "old_fields")?),
                    _ => None,
                },
            },
            "AddConstraint" | "AddConstraintNotValid" => OperationKind::AddConstraint {
                model_name: arguments.string("model_name")?,
                constraint: self.constraint(arguments.required("constraint")?, place)?,
                not_valid: name == "AddConstraintNotValid",
            },
            "RemoveConstraint" => OperationKind::RemoveConstraint {
                model_name: arguments.string("model_name")?,
                name: arguments.string("name")?,
            },
            "AlterConstraint" => OperationKind::AlterConstraint {
                model_name: arguments.string("model_name")?,
                name: arguments.string("name")?,
                constraint: self.constraint(arguments.required("constraint")?, place)?,
            },
            "ValidateConstraint" => OperationKind::ValidateConstraint {
                model_name: arguments.string("model_name")?,
                name: arguments.string("name")?,
            },
            "CreateExtension" => OperationKind::CreateExtension { name: arguments.string("name")? },
            "CreateCollation" => OperationKind::CreateCollation {
                name: arguments.string("name")?,
                locale: arguments.string("locale")?,
                provider: arguments.optional_string("provider")?.unwrap_or_else(|| Arc::from("libc")),
                deterministic: arguments.flag("deterministic", true)?,
            },
            "RemoveCollation" => OperationKind::RemoveCollation {
                name: arguments.string("name")?,
                locale: arguments.string("locale")?,
                provider: arguments.optional_string("provider")?.unwrap_or_else(|| Arc::from("libc")),
                deterministic: arguments.flag("deterministic", true)?,
            },
            "RunSQL" => self.run_sql(arguments, place)?,
            "RunPython" => OperationKind::RunPython(self.run_python(arguments)?),
            "SeparateDatabaseAndState" => {
                let list = |name: &str| match arguments.value(name) {
                    Some(value) if !value.is_none() => {
                        self.operation_list(value, Place { nesting: place.nesting + 1, ..place })
                    }
                    _ => Vec::new(),
                };
                OperationKind::SeparateDatabaseAndState {
                    database_operations: list("database_operations"),
                    state_operations: list("state_operations"),
                }
            }
            _ => match signature::extension(name) {
                Some(extension) => OperationKind::CreateExtension { name: Arc::from(extension) },
                None => return Err(format!("the operation `{name}` is not known")),
            },
        })
    }

    /// The `fields` of `CreateModel`: pairs of name and field.
    fn model_fields(&self, value: &python::Value, place: Place<'_>) -> Result<Vec<crate::Field>, Reason> {
        let items = value.as_items().ok_or_else(|| format!("`fields`: {}", convert::reason(value)))?;
        let mut fields = Vec::with_capacity(items.len());
        for item in items {
            let Some([name, field]) = item.as_items() else {
                return Err(format!("`fields`: {}", convert::reason(item)));
            };
            let name = string(name, "fields")?;
            fields.push(self.field(&name, field, place.module, place.span(item)));
        }
        Ok(fields)
    }

    fn options(&self, value: &python::Value, place: Place<'_>) -> Result<Options, Reason> {
        let entries = value.as_dict().ok_or_else(|| format!("`options`: {}", convert::reason(value)))?;
        let mut options = Options::default();
        for entry in entries {
            let Some(key) = &entry.key else {
                return Err(format!("`options`: {}", convert::reason(&entry.value)));
            };
            let key = string(key, "options")?;
            match &*key {
                "indexes" => {
                    let items = entry.value.as_items();
                    let items = items.ok_or_else(|| format!("`indexes`: {}", convert::reason(&entry.value)))?;
                    options.indexes = items.iter().map(|item| self.index(item, place)).collect();
                }
                "constraints" => {
                    let items = entry.value.as_items();
                    let items = items.ok_or_else(|| format!("`constraints`: {}", convert::reason(&entry.value)))?;
                    options.constraints =
                        items.iter().map(|item| self.constraint(item, place)).collect::<Result<_, _>>()?;
                }
                _ => options.entries.push((key, self.convert().value(&entry.value))),
            }
        }
        Ok(options)
    }

    fn index(&self, value: &python::Value, place: Place<'_>) -> Index {
        let mut index = Index {
            class: Arc::from(""),
            name: None,
            fields: Vec::new(),
            expressions: Vec::new(),
            condition: None,
            kwargs: Vec::new(),
            unknown: None,
            span: place.span(value),
        };
        if let Err(reason) = self.fill_index(&mut index, value) {
            index.unknown = Some(reason.into());
        }
        index
    }

    fn fill_index(&self, index: &mut Index, value: &python::Value) -> Result<(), Reason> {
        let call = value.as_call().ok_or_else(|| convert::reason(value))?;
        let (class, args) = self.class_and_arguments(call)?;
        index.class = Arc::clone(&class);
        let arguments = Arguments::new(&args, &[]);
        let convert = self.convert();
        index.expressions = arguments.rest.iter().map(|value| convert.value(value)).collect();
        for argument in &arguments.named {
            match &*argument.name {
                "name" => index.name = arguments.optional_string("name")?,
                "fields" => index.fields = strings(&argument.value, "fields")?,
                "condition" => index.condition = present(convert.value(&argument.value)),
                _ => index.kwargs.push((Arc::clone(&argument.name), convert.value(&argument.value))),
            }
        }
        if let Some(reason) = arguments.unknown {
            return Err(reason);
        }
        match &*class {
            "Index" | "BTreeIndex" | "BloomIndex" | "BrinIndex" | "GinIndex" | "GistIndex" | "HashIndex"
            | "SpGistIndex" => Ok(()),
            _ => Err(format!("the index class `{class}` is not known")),
        }
    }

    /// The own name of the Django class behind the callee of an index or a constraint, with the arguments for it.
    fn class_and_arguments(&self, call: &python::Call) -> Result<(Arc<str>, Vec<python::Arg>), Reason> {
        let last = |name: &str| Arc::from(name.rsplit('.').next().unwrap_or(name));
        let written = convert::callee_name(&call.callee).ok_or_else(|| convert::reason(&call.callee))?;
        if written.starts_with("django.") {
            return Ok((last(&written), call.args.clone()));
        }
        let Some(class) = call.callee.as_class() else {
            return Err(format!("the class `{written}` is not known"));
        };
        let (line, base) = self.lineage(class);
        let mut args = call.args.clone();
        for class in &line {
            let body = self.evaluator().class_body(class);
            for method in ["create_sql", "remove_sql", "constraint_sql", "get_with_params", "create_with_fields"] {
                if body.get(method).is_some() {
                    return Err(format!("`{}` overrides `{method}`", class.name()));
                }
            }
            // `suffix` decides how a name is made and `PostgresIndex.suffix` the method: a class that sets it is not
            // the same index.
            if body.get("suffix").is_some() {
                return Err(format!("`{}` overrides `suffix`", class.name()));
            }
            if let Some(method) = body.get("__init__") {
                args = self.base_arguments(class, method, &args)?;
            }
        }
        let base = base.as_ref().and_then(convert::callee_name);
        match base {
            Some(base) if base.starts_with("django.") => Ok((last(&base), args)),
            Some(base) => Err(format!("`{base}`, a base of `{written}`, is not known")),
            None => Err(format!("the bases of `{written}` are not known")),
        }
    }

    /// A constraint; without a name there is nothing that a state could hold.
    fn constraint(&self, value: &python::Value, place: Place<'_>) -> Result<Constraint, Reason> {
        let call = value.as_call().ok_or_else(|| convert::reason(value))?;
        let convert = self.convert();
        let written = convert::callee_name(&call.callee).unwrap_or_else(|| Arc::from(""));
        let unknown_class = |reason: Reason| -> Result<Constraint, Reason> {
            let arguments = Arguments::new(&call.args, &[]);
            Ok(Constraint {
                name: arguments.string("name")?,
                kind: ConstraintKind::Unknown { class: Arc::clone(&written), reason: reason.into() },
                kwargs: Vec::new(),
                span: place.span(value),
            })
        };
        let (class, args) = match self.class_and_arguments(call) {
            Ok(found) => found,
            Err(reason) => return unknown_class(reason),
        };
        let arguments = Arguments::new(&args, &[]);
        if let Some(reason) = &arguments.unknown {
            return Err(reason.clone());
        }
        let own: &[&str] = match &*class {
            "CheckConstraint" => &["name", "check", "condition"],
            "UniqueConstraint" => &["name", "fields", "condition"],
            "ExclusionConstraint" => &["name", "expressions", "index_type", "condition"],
            _ => return unknown_class(format!("the constraint class `{written}` is not known")),
        };
        let condition = || arguments.data("condition", convert).and_then(present);
        let kind = match &*class {
            "CheckConstraint" => ConstraintKind::Check {
                condition: condition()
                    .or_else(|| arguments.data("check", convert))
                    .unwrap_or_else(|| Value::unknown("the argument `condition` is missing")),
            },
            "UniqueConstraint" => ConstraintKind::Unique {
                fields: match arguments.value("fields") {
                    Some(value) => strings(value, "fields")?,
                    None => Vec::new(),
                },
                expressions: arguments.rest.iter().map(|value| convert.value(value)).collect(),
                condition: condition(),
            },
            _ => {
                let expressions = arguments.required("expressions")?;
                let items = expressions.as_items().ok_or_else(|| convert::reason(expressions))?;
                let pair = |item: &python::Value| match item.as_items() {
                    Some([expression, operator]) => Ok((convert.value(expression), convert.value(operator))),
                    _ => Err(convert::reason(item)),
                };
                ConstraintKind::Exclusion {
                    expressions: items.iter().map(pair).collect::<Result<_, _>>()?,
                    index_type: arguments.optional_string("index_type")?.unwrap_or_else(|| Arc::from("GIST")),
                    condition: condition(),
                }
            }
        };
        let rest = arguments.named.iter().filter(|argument| !own.contains(&&*argument.name));
        Ok(Constraint {
            name: arguments.string("name")?,
            kind,
            kwargs: rest.map(|argument| (Arc::clone(&argument.name), convert.value(&argument.value))).collect(),
            span: place.span(value),
        })
    }

    fn run_sql(&self, arguments: &Arguments, place: Place<'_>) -> Result<OperationKind, Reason> {
        let reverse = match arguments.value("reverse_sql") {
            Some(value) if !value.is_none() => Some(self.sql_source(value, place)),
            _ => None,
        };
        let state_operations = match arguments.value("state_operations") {
            Some(value) if !value.is_none() => {
                self.operation_list(value, Place { nesting: place.nesting + 1, ..place })
            }
            _ => Vec::new(),
        };
        Ok(OperationKind::RunSql(RunSql {
            sql: self.sql_source(arguments.required("sql")?, place),
            reverse_sql: reverse,
            state_operations,
            elidable: arguments.flag("elidable", false)?,
        }))
    }

    fn sql_source(&self, value: &python::Value, place: Place<'_>) -> SqlSource {
        match self.sql_texts(value, place) {
            Ok(texts) => SqlSource::Texts(texts),
            Err(reason) => SqlSource::Unknown { reason: reason.into() },
        }
    }

    fn sql_texts(&self, value: &python::Value, place: Place<'_>) -> Result<Vec<SqlText>, Reason> {
        if value.name().is_some_and(|name| *convert::public(&name) == *"django.db.migrations.RunSQL.noop") {
            return Ok(Vec::new());
        }
        if let ValueKind::List(items) | ValueKind::Tuple(items) = &value.kind {
            let mut texts = Vec::with_capacity(items.len());
            for item in items.iter() {
                match item.as_items() {
                    Some([text, params]) => {
                        let mut text = Self::sql_text(text, place)?;
                        text.params = present(self.convert().value(params));
                        texts.push(text);
                    }
                    Some(_) => return Err("an entry of the list is not a pair of SQL and parameters".to_owned()),
                    None => texts.push(Self::sql_text(item, place)?),
                }
            }
            return Ok(texts);
        }
        let text = Self::sql_text(value, place)?;
        // `RunSQL.noop` is the empty string.
        Ok(if text.text.is_empty() { Vec::new() } else { vec![text] })
    }

    fn sql_text(value: &python::Value, place: Place<'_>) -> Result<SqlText, Reason> {
        match value.as_str() {
            Some(text) => Ok(convert::sql_text(text, place.module, place.span(value))),
            None => Err(convert::reason(value)),
        }
    }

    fn run_python(&self, arguments: &Arguments) -> Result<RunPython, Reason> {
        let convert = self.convert();
        let code = arguments.required("code")?;
        let reverse = arguments.value("reverse_code").filter(|value| !value.is_none());
        let atomic = match arguments.value("atomic") {
            Some(value) if !value.is_none() => {
                Some(value.truth().ok_or_else(|| format!("`atomic`: {}", convert::reason(value)))?)
            }
            _ => None,
        };
        Ok(RunPython {
            code: convert.value(code),
            reverse_code: reverse.map(|value| convert.value(value)),
            function: code.as_function().cloned(),
            reverse_function: reverse.and_then(|value| value.as_function().cloned()),
            atomic,
            elidable: arguments.flag("elidable", false)?,
        })
    }

    /// django-pgtrigger's `AddTrigger(model_name, trigger=Trigger(name, sql=UpsertTriggerSql(…)))`.
    ///
    /// A trigger's statements are those of its compiled SQL: a function, a trigger that calls it, and a comment that
    /// holds the hash. Source: django-pgtrigger's documentation, "Advanced installation" and "How it works".
    fn add_trigger(class: &str, arguments: &Arguments, place: Place<'_>) -> Result<OperationKind, Reason> {
        arguments.string("model_name")?;
        let trigger = arguments.required("trigger")?;
        let trigger = trigger.as_call().ok_or_else(|| convert::reason(trigger))?;
        let trigger = Arguments::new(&trigger.args, &["name", "sql"]);
        let sql = trigger.required("sql")?;
        let call = sql.as_call().ok_or_else(|| convert::reason(sql))?;
        let parts = Arguments::new(
            &call.args,
            &[
                "ignore_func_name",
                "pgid",
                "declare",
                "func",
                "hash",
                "constraint",
                "operation",
                "table",
                "when",
                "timing",
            ],
        );
        let text = |name: &str| parts.optional_string(name).map(Option::unwrap_or_default);
        let (pgid, table) = (parts.string("pgid")?, parts.string("table")?);
        let (operation, when) = (text("operation")?, text("when")?);
        let (constraint, timing, condition) = (text("constraint")?, text("timing")?, text("condition")?);
        let function = format!(
            "CREATE OR REPLACE FUNCTION {pgid}() RETURNS TRIGGER AS $$\n{}\nBEGIN\n{}\nEND;\n$$ LANGUAGE plpgsql",
            text("declare")?,
            text("func")?
        );
        let quoted = table.replace('"', "\"\"");
        let join = |parts: &[&str]| {
            parts.iter().filter(|part| !part.trim().is_empty()).map(|part| part.trim()).collect::<Vec<_>>().join(" ")
        };
        let header = join(&["CREATE", &constraint, "TRIGGER", &pgid, &when, &operation]);
        let created = join(&[
            &format!("{header} ON \"{quoted}\""),
            &timing,
            "FOR EACH",
            parts.optional_string("level")?.as_deref().unwrap_or("ROW"),
            &condition,
            &format!("EXECUTE PROCEDURE {pgid}()"),
        ]);
        let dropped = format!("DROP TRIGGER IF EXISTS {pgid} ON \"{quoted}\"");
        let comment = format!("COMMENT ON TRIGGER {pgid} ON \"{quoted}\" IS '{}'", text("hash")?.replace('\'', "''"));
        let statement = |text: String| SqlText {
            text: text.into(),
            params: None,
            map: TextMap { segments: Vec::new(), whole: place.span },
        };
        Ok(OperationKind::Known(KnownOperation {
            package: Arc::from(third_party::package(class)),
            statements: [function, dropped, created, comment].into_iter().map(statement).collect(),
            state_operations: Vec::new(),
            reversible: true,
        }))
    }
}

/// None where Python's `None` was written.
fn present(value: Value) -> Option<Value> {
    (value != Value::None).then_some(value)
}
