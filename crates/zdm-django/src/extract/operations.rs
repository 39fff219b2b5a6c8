//! Operation calls.

use std::sync::Arc;

use zdm_python as python;
use zdm_python::syntax::{ExprKind, Stmt, StmtKind};
use zdm_python::{ClassRef, Module, ValueKind};
use zdm_source::Span;

use super::arguments::{Arguments, Reason, string, strings};
use super::questions::When;
use super::{Extractor, convert, flat_items, signature};
use crate::editor::naming::quote_name;
use crate::field::FieldKind;
use crate::operation::{
    CodeFacts, Constraint, ConstraintKind, Index, KnownOperation, Operation, OperationKind, Options, OwnWayBack,
    RunPython, RunSql, SqlSource, SqlText, TextMap,
};
use crate::state::models_named;
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
    /// The condition that decides whether it is there, where one does that is not known.
    condition: Option<&'m python::Origin>,
    nesting: u32,
}

impl Place<'_> {
    fn span(self, value: &python::Value) -> Span {
        if value.origin.module == *self.module { value.span() } else { self.span }
    }
}

/// What the call of an operation class comes down to.
struct Found {
    kind: Result<OperationKind, Reason>,
    arguments: Arguments,
    /// The class decides at run time whether the state gets anything to do: its method.
    decides: Option<Reason>,
    way_back: OwnWayBack,
}

impl Found {
    fn new(kind: Result<OperationKind, Reason>, arguments: Arguments) -> Self {
        Self { kind, arguments, decides: None, way_back: OwnWayBack::OfItsKind }
    }

    fn unknown(reason: Reason, args: &[python::Arg]) -> Self {
        Self::new(Err(reason), Arguments::new(args, &[]))
    }

    /// What a class makes of the state of the models that its base would speak of is not known.
    fn state_unknown(reason: Reason, base: Option<Self>, args: &[python::Arg]) -> Self {
        let models = base.and_then(|base| base.kind.ok()).map(|kind| models_named(&kind));
        let kind =
            OperationKind::Unknown { reason: reason.into(), possible: Vec::new(), models: models.unwrap_or_default() };
        Self::new(Ok(kind), Arguments::new(args, &[]))
    }
}

/// What a subclass makes of a method of its base.
enum Override {
    /// Hands over to the base.
    Base(When),
    /// Calls nothing.
    Nothing,
    /// Executes these statements and nothing else.
    Statements(Vec<SqlText>),
    /// Reads or changes rows through models, as `RunPython` does, and sends nothing through the schema editor.
    Python,
    Other,
}

impl Override {
    /// What an override comes to that another one hands over to.
    fn under(self, outer: &When) -> Self {
        match (outer, self) {
            (When::Always, inner) => inner,
            (outer, Self::Base(When::Always)) => Self::Base(outer.clone()),
            (_, Self::Base(_)) => Self::Base(When::Undecided),
            (_, Self::Nothing) => Self::Nothing,
            (_, Self::Statements(_) | Self::Python | Self::Other) => Self::Other,
        }
    }
}

/// A name as the schema editor quotes it, which it does alike in its method and in the connection's.
fn quoted(call: &python::Call, origin: &python::Origin) -> Option<ValueKind> {
    const QUOTES: [&str; 3] =
        ["schema_editor.quote_name", "schema_editor.connection.ops.quote_name", "django.db.connection.ops.quote_name"];
    let [name] = call.args.as_slice() else { return None };
    let name = name.value.as_str().filter(|_| QUOTES.iter().any(|quotes| call.callee.is_symbol(quotes)))?;
    Some(ValueKind::Str(python::Str::made(quote_name(name), origin.clone())))
}

/// The call that makes an operation.
fn made(class: &ClassRef, args: &[python::Arg], place: Place<'_>) -> ValueKind {
    let callee = python::Value::new(ValueKind::Class(class.clone()), python::Origin::new(place.module, place.span));
    ValueKind::Call(Arc::new(python::Call { callee, args: args.to_vec() }))
}

/// An operation that does what a `RunPython` does, in code that is not looked into.
fn changes_rows(class: &str) -> OperationKind {
    OperationKind::RunPython(RunPython {
        code: Value::Symbol(Arc::from(class)),
        reverse_code: None,
        function: None,
        reverse_function: None,
        body: CodeFacts { unread: Some(Arc::from("it is an operation of its own")), ..CodeFacts::default() },
        reverse_body: CodeFacts::default(),
        atomic: None,
        elidable: false,
    })
}

/// An operation of which it is not known whether it is there: what it would do is kept, and nothing is said of it. A
/// marker does nothing in any case.
pub(super) fn undecided(operation: Operation, reason: &str) -> Operation {
    let kind = match &operation.kind {
        OperationKind::NoOp => return operation,
        OperationKind::Unknown { .. } => operation.kind.clone(),
        _ => OperationKind::undecided(reason, vec![operation.clone()]),
    };
    Operation { kind, conditional: true, ..operation }
}

/// Whether all that an operation does to the state is known by its kind, apart from what it sends.
fn changes_the_state(kind: &OperationKind) -> bool {
    !matches!(
        kind,
        OperationKind::Known(_)
            | OperationKind::NoOp
            | OperationKind::RunPython(_)
            | OperationKind::RunSql(_)
            | OperationKind::SeparateDatabaseAndState { .. }
            | OperationKind::Unknown { .. }
            | OperationKind::Where { .. }
    )
}

/// The operation without its statements.
pub(super) fn in_state_alone(operation: Operation) -> Operation {
    let kind = OperationKind::SeparateDatabaseAndState {
        database_operations: Vec::new(),
        state_operations: vec![operation.clone()],
    };
    Operation { kind, ..operation }
}

/// Something of which nothing is known but its place.
pub(super) fn unknown(span: Span, reason: &str) -> Operation {
    Operation {
        kind: OperationKind::unknown(reason),
        class: Arc::from("Migration"),
        span,
        argument_spans: Vec::new(),
        conditional: false,
        way_back: OwnWayBack::OfItsKind,
    }
}

impl Extractor<'_> {
    /// The operations of a list, in order; what cannot be told stays in its place.
    pub(super) fn operations(&self, value: &python::Value, module: &Module, span: Span) -> Vec<Operation> {
        self.operation_list(value, Place { module, span, condition: None, nesting: 0 })
    }

    fn operation_list(&self, value: &python::Value, place: Place<'_>) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (item, condition) in flat_items(value) {
            let place = Place { condition: place.condition.or(condition), span: place.span(item), ..place };
            let with_functions = self.with_functions(item, MAX_NESTING);
            let item = with_functions.as_ref().unwrap_or(item);
            match self.made_by_function(item) {
                Some(made) if place.nesting < MAX_NESTING => {
                    operations.extend(self.operation_list(&made, Place { nesting: place.nesting + 1, ..place }));
                }
                _ => operations.push(self.operation(item, place)),
            }
        }
        operations
    }

    /// The value with calls of the project's own database functions, subclasses of `Func` that only name something, as
    /// calls of Django's class, and with the values of enumerations that are looked up in; none where there are none.
    fn with_functions(&self, value: &python::Value, depth: u32) -> Option<python::Value> {
        let depth = depth.checked_sub(1)?;
        let all = |items: &[python::Value]| -> Option<Arc<Vec<python::Value>>> {
            let changed: Vec<Option<python::Value>> =
                items.iter().map(|item| self.with_functions(item, depth)).collect();
            if changed.iter().all(Option::is_none) {
                return None;
            }
            let items = items.iter().zip(changed).map(|(item, changed)| changed.unwrap_or_else(|| item.clone()));
            Some(Arc::new(items.collect()))
        };
        let kind = match &value.kind {
            ValueKind::List(items) => ValueKind::List(all(items)?),
            ValueKind::Tuple(items) => match items.as_slice() {
                [name, value] if let Some(values) = name.as_str().and_then(|name| self.looked_up_in(name, value)) => {
                    ValueKind::Tuple(Arc::new(vec![name.clone(), values]))
                }
                items => ValueKind::Tuple(all(items)?),
            },
            ValueKind::Call(call) => {
                let function = call.callee.as_class().and_then(|class| self.function_of(class, &value.origin));
                let looked_up = |arg: &python::Arg| match &arg.kind {
                    python::ArgKind::Keyword(name) => self.looked_up_in(name, &arg.value),
                    _ => None,
                };
                let changed_in = |arg: &python::Arg| looked_up(arg).or_else(|| self.with_functions(&arg.value, depth));
                let changed: Vec<Option<python::Value>> = call.args.iter().map(changed_in).collect();
                if function.is_none() && changed.iter().all(Option::is_none) {
                    return None;
                }
                let values = call.args.iter().zip(changed);
                let values: Vec<python::Value> =
                    values.map(|(arg, changed)| changed.unwrap_or_else(|| arg.value.clone())).collect();
                let args = call.args.iter().zip(values.iter());
                let mut args: Vec<python::Arg> =
                    args.map(|(arg, value)| python::Arg { value: value.clone(), ..arg.clone() }).collect();
                let mut callee = call.callee.clone();
                if let Some((base, named)) = function {
                    callee = base;
                    args.extend(named);
                }
                ValueKind::Call(Arc::new(python::Call { callee, args }))
            }
            _ => return None,
        };
        Some(python::Value::new(kind, value.origin.clone()))
    }

    /// The values of an enumeration that stands in the place of a list: `status__in=Status`.
    fn looked_up_in(&self, lookup: &str, value: &python::Value) -> Option<python::Value> {
        let class = value.as_class().filter(|_| lookup.ends_with("__in"))?;
        self.evaluator().enumerated(class, &value.origin)
    }

    /// The class of Django's that a database function of the project is, with what its class attributes say as keyword
    /// arguments; none for anything else, and for a class that compiles itself.
    fn function_of(&self, class: &ClassRef, origin: &python::Origin) -> Option<(python::Value, Vec<python::Arg>)> {
        const COMPILES: &[&str] =
            &["__init__", "as_sql", "as_postgresql", "resolve_expression", "set_source_expressions"];
        const NAMED: &[&str] = &["function", "template", "arg_joiner"];
        let (line, base) = self.lineage(class);
        let base = base?;
        let name = convert::callee_name(&base)?;
        if !name.starts_with("django.db.models.") || !matches!(name.rsplit('.').next(), Some("Func")) {
            return None;
        }
        let compiles =
            |class: &ClassRef| COMPILES.iter().any(|name| self.evaluator().class_body(class).get(name).is_some());
        if line.iter().any(compiles) {
            return None;
        }
        let mut args = Vec::new();
        for name in NAMED {
            let Some(value) = self.evaluator().class_attribute(class, name) else { continue };
            let keyword = python::ArgKind::Keyword(python::Str::made(*name, origin.clone()));
            args.push(python::Arg { kind: keyword, value, span: origin.span });
        }
        Some((python::Value::new(ValueKind::Symbol(Arc::from("django.db.models.Func")), base.origin), args))
    }

    /// What a function of the project returns that is called in the place of an operation, or of a list of them.
    fn made_by_function(&self, item: &python::Value) -> Option<python::Value> {
        let call = match &item.kind {
            ValueKind::Call(call) => call,
            ValueKind::Spread(inner) => match &inner.kind {
                ValueKind::Call(call) => call,
                _ => return None,
            },
            _ => return None,
        };
        let function = call.callee.as_function()?;
        let made = self.evaluator().returns(function, &call.args);
        let known = |option: &python::Value| {
            matches!(option.kind, ValueKind::List(_) | ValueKind::Tuple(_) | ValueKind::Call(_))
        };
        made.options().iter().all(known).then_some(made)
    }

    fn operation(&self, value: &python::Value, place: Place<'_>) -> Operation {
        let unknown = |class: &str, reason: String| Operation {
            kind: OperationKind::unknown(reason),
            class: Arc::from(class),
            span: place.span,
            argument_spans: Vec::new(),
            conditional: place.condition.is_some(),
            way_back: OwnWayBack::OfItsKind,
        };
        let call = match &value.kind {
            ValueKind::Call(call) => call,
            ValueKind::Spread(inner) => {
                return unknown("", format!("the operations of this list are not known: {}", convert::reason(inner)));
            }
            _ => return unknown("", convert::reason(value)),
        };
        let callee = self.imported(&call.callee);
        let Some(class) = convert::callee_name(&callee) else {
            return unknown("", convert::reason(value));
        };
        if place.nesting > MAX_NESTING {
            return unknown(&class, "nested too deeply".to_owned());
        }
        // What it holds is as certain as it is itself.
        let inside = Place { condition: None, ..place };
        let Found { kind, arguments, decides, way_back } = self.resolve_operation(&callee, &class, &call.args, inside);
        let in_file = |argument: &super::arguments::Named| {
            (argument.value.origin.module == *place.module).then(|| (Arc::clone(&argument.name), argument.span))
        };
        let operation = Operation {
            kind: kind.unwrap_or_else(OperationKind::unknown),
            class,
            span: place.span,
            argument_spans: arguments.named.iter().filter_map(in_file).collect(),
            conditional: false,
            way_back,
        };
        match (place.condition, decides) {
            (Some(condition), _) => {
                let reason =
                    format!("whether it is there depends on {}, which is not known", convert::excerpt(condition));
                undecided(operation, &reason)
            }
            (None, Some(reason)) => undecided(operation, &reason),
            (None, None) => operation,
        }
    }

    fn resolve_operation(&self, callee: &python::Value, class: &str, args: &[python::Arg], place: Place<'_>) -> Found {
        if let Some(found) = self.known_operation(class, args, place) {
            return found;
        }
        match &callee.kind {
            ValueKind::Class(class) => self.project_operation(class, args.to_vec(), place),
            ValueKind::Function(_) => {
                Found::unknown(format!("the result of `{class}` is not known without running it"), args)
            }
            _ => Found::unknown(format!("the operation `{class}` is not known"), args),
        }
    }

    /// An operation of Django, or one that the table of third-party classes has.
    fn known_operation(&self, class: &str, args: &[python::Arg], place: Place<'_>) -> Option<Found> {
        let name = class.rsplit('.').next().unwrap_or(class);
        if class.starts_with("django.db.migrations.") || class.starts_with("django.contrib.postgres.") {
            let arguments = Arguments::new(args, signature::operation(name)?);
            return Some(Found::new(self.django_operation(name, &arguments, place), arguments));
        }
        let fact = third_party::operation(class)?;
        let (kind, arguments) = match fact {
            OperationFact::NoOp => (Ok(OperationKind::NoOp), Arguments::new(args, &[])),
            OperationFact::Rows => (Ok(changes_rows(class)), Arguments::new(args, &[])),
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
                (later(class, &arguments), arguments)
            }
            OperationFact::AddDefaultValue => {
                let arguments = Arguments::new(args, &["model_name", "name", "value"]);
                (later(class, &arguments), arguments)
            }
            OperationFact::StateLike(base) => {
                let arguments = Arguments::new(args, signature::operation(base).unwrap_or(&[]));
                let state = self.django_operation(base, &arguments, place);
                let operation = |kind: OperationKind, name: &str| Operation {
                    kind,
                    class: Arc::from(name),
                    span: place.span,
                    argument_spans: Vec::new(),
                    conditional: false,
                    way_back: OwnWayBack::OfItsKind,
                };
                let reason = format!("the statements of `{class}` are not known");
                let kind = state.map(|kind| OperationKind::SeparateDatabaseAndState {
                    database_operations: vec![operation(OperationKind::unknown(reason), class)],
                    state_operations: vec![operation(kind, &format!("django.db.migrations.{base}"))],
                });
                (kind, arguments)
            }
            OperationFact::SortedManyToMany => {
                let arguments = Arguments::new(args, signature::operation("AlterField").unwrap_or(&[]));
                let alter = self.django_operation("AlterField", &arguments, place).map(|kind| Operation {
                    kind,
                    class: Arc::from("django.db.migrations.AlterField"),
                    span: place.span,
                    argument_spans: Vec::new(),
                    conditional: false,
                    way_back: OwnWayBack::OfItsKind,
                });
                let kind = alter.and_then(|alter| {
                    let mut kind = later(class, &arguments)?;
                    if let OperationKind::Known(known) = &mut kind {
                        known.state_operations.push(alter);
                        known.reversible = false;
                    }
                    Ok(kind)
                });
                (kind, arguments)
            }
            OperationFact::NamedSql => {
                let arguments = Arguments::new(args, &["name", "sql", "reverse_sql", "state_operations"]);
                (self.run_sql(&arguments, place), arguments)
            }
        };
        Some(Found::new(kind, arguments))
    }

    /// A subclass of an operation in the project: its base, with what the subclass makes of the base's methods.
    fn project_operation(&self, class: &ClassRef, args: Vec<python::Arg>, place: Place<'_>) -> Found {
        let (line, base) = self.lineage(class);
        let mut written = base.as_ref().and_then(convert::callee_name);
        // Django's `Operation` keeps no arguments, so that nothing is lost where its `__init__` is not called.
        let plain_base = written.as_deref() == Some("django.db.migrations.Operation");
        let within = if plain_base { self.operation_within(&line) } else { None };
        let object = made(class, &args, place);
        let mut args = args;
        let mut database: Option<Override> = None;
        let mut state: Option<Override> = None;
        // Why the statements are not known, where the state is that of the base.
        let mut overridden: Option<Reason> = None;
        // Why not even the state is known.
        let mut state_unknown: Option<Reason> = None;
        let mut found = None;
        for class in &line {
            let name = class.name();
            found = self.known_operation(&name, &args, place);
            if found.is_some() {
                break;
            }
            let body = self.evaluator().class_body(class);
            for (method, how) in [("database_forwards", &mut database), ("state_forwards", &mut state)] {
                let Some(value) = body.get(method) else { continue };
                // An override that hands over to its base leaves the word to it.
                if matches!(how, None | Some(Override::Base(_))) {
                    let own = match how.take() {
                        Some(Override::Base(outer)) => self.override_of(value, method, &object, place).under(&outer),
                        _ => self.override_of(value, method, &object, place),
                    };
                    if matches!(own, Override::Other) {
                        let reason = format!("`{name}` overrides `{method}`");
                        if plain_base {
                            return Found::unknown(reason, &args);
                        }
                        *if method == "state_forwards" { &mut state_unknown } else { &mut overridden } = Some(reason);
                    }
                    *how = Some(own);
                }
            }
            if body.get("allow_migrate_model").is_some() {
                return Found::unknown(format!("`{name}` overrides `allow_migrate_model`"), &args);
            }
            if let Some(method) = body.get("__init__").filter(|_| !plain_base) {
                if let Some(changed) = changed_in_init(method) {
                    return Found::unknown(format!("`{name}` sets `{changed}` itself"), &args);
                }
                match self.base_arguments(class, method, &args) {
                    Ok(changed) => args = changed,
                    Err(reason) => return Found::unknown(reason, &args),
                }
            }
        }
        let found = match within.as_ref().and_then(python::Value::as_call) {
            Some(call) if found.is_none() && place.nesting < MAX_NESTING => {
                written = convert::callee_name(&call.callee);
                let place = Place { nesting: place.nesting + 1, ..place };
                Some(self.resolve_operation(&call.callee, written.as_deref().unwrap_or_default(), &call.args, place))
            }
            _ => found.or_else(|| self.known_operation(written.as_ref()?, &args, place)),
        };
        if let Some(reason) = state_unknown {
            return Found::state_unknown(reason, found, &args);
        }
        let goes_back = |class: &ClassRef| self.evaluator().class_body(class).get("database_backwards").is_some();
        let way_back = match (plain_base, &within) {
            (true, None) => OwnWayBack::OfItsKind,
            (true, Some(_)) if !line.iter().any(goes_back) => OwnWayBack::NotKnown,
            _ => self.way_back(&line, database.as_ref(), place),
        };
        if let Some(reason) = &overridden
            && !matches!(&found, Some(Found { kind: Ok(kind), .. }) if changes_the_state(kind))
        {
            return Found::unknown(reason.clone(), &args);
        }
        let Some(mut found) = found else {
            // Django's `Operation` itself does nothing but to raise.
            if plain_base
                && let Some(Override::Nothing | Override::Statements(_) | Override::Python) = &database
                && matches!(state, Some(Override::Nothing))
            {
                let kind = match database {
                    Some(Override::Python) => self.python_of_its_own(class, &line, &args, place),
                    Some(Override::Statements(statements)) => known_statements(&class.name(), statements, Vec::new()),
                    _ => OperationKind::NoOp,
                };
                return Found::new(Ok(kind), Arguments::new(&args, &[]));
            }
            let reason = match written {
                Some(_) if plain_base => format!("`{}` is an operation of its own", class.name()),
                Some(written) => format!("`{written}`, a base of `{}`, is not known", class.name()),
                None => format!("the bases of `{}` are not known", class.name()),
            };
            return Found::unknown(reason, &args);
        };
        found.way_back = way_back;
        let decides = |how: &Option<Override>| matches!(how, Some(Override::Base(When::Undecided | When::Cases(_))));
        let reason = |method: &str| {
            format!(
                "whether it does anything `{}.{method}()` decides when it runs",
                class.name().rsplit('.').next().unwrap_or_default()
            )
        };
        if decides(&state) {
            found.decides = Some(reason("state_forwards"));
        }
        let Ok(kind) = found.kind else { return found };
        // It has no part in the state, and its function runs or does not.
        if let OperationKind::RunPython(run) = &kind
            && (decides(&database) || matches!(database, Some(Override::Python)))
        {
            let mut run = run.clone();
            run.body.facts.iter_mut().for_each(|fact| fact.perhaps = true);
            if matches!(database, Some(Override::Python))
                && let OperationKind::RunPython(own) = self.python_of_its_own(class, &line, &args, place)
            {
                let known = std::mem::replace(&mut run.body, own.body);
                run.body.facts.extend(known.facts);
                run.body.unread = run.body.unread.or(known.unread);
                run.body.may_change |= known.may_change;
            }
            found.kind = Ok(OperationKind::RunPython(run));
            return found;
        }
        let keeps = |how: &Option<Override>| matches!(how, None | Some(Override::Base(_)));
        let operation = |kind: OperationKind| Operation {
            kind,
            class: written.clone().unwrap_or_else(|| class.name()),
            span: place.span,
            argument_spans: Vec::new(),
            conditional: false,
            way_back: OwnWayBack::OfItsKind,
        };
        if decides(&database) {
            let state_operations = if keeps(&state) { vec![operation(kind.clone())] } else { Vec::new() };
            let test = match &database {
                Some(Override::Base(When::Cases(cases))) => self.catalog_test(cases, &found.arguments),
                _ => None,
            };
            let in_database = match test {
                Some(test) => operation(OperationKind::Where { test, operations: vec![operation(kind)] }),
                None => undecided(operation(kind), &reason("database_forwards")),
            };
            found.kind = Ok(OperationKind::SeparateDatabaseAndState {
                database_operations: vec![in_database],
                state_operations,
            });
            return found;
        }
        found.kind = Ok(match (keeps(&database), keeps(&state)) {
            (true, true) => kind,
            (true, false) => OperationKind::SeparateDatabaseAndState {
                database_operations: vec![operation(kind)],
                state_operations: Vec::new(),
            },
            (false, keeps_state) => {
                let state_operations = if keeps_state { vec![operation(kind)] } else { Vec::new() };
                match database {
                    Some(Override::Statements(statements)) => {
                        known_statements(&class.name(), statements, state_operations)
                    }
                    Some(Override::Python) => {
                        return Found::unknown(format!("`{}` overrides `database_forwards`", class.name()), &args);
                    }
                    Some(Override::Other) => {
                        // What the base would do is uncertain then, and nothing else.
                        let possible = state_operations.clone();
                        let not_known = operation(OperationKind::undecided(overridden.unwrap_or_default(), possible));
                        let database_operations = vec![Operation { class: class.name(), ..not_known }];
                        OperationKind::SeparateDatabaseAndState { database_operations, state_operations }
                    }
                    _ => OperationKind::SeparateDatabaseAndState { database_operations: Vec::new(), state_operations },
                }
            }
        });
        found
    }

    /// The operation that a class keeps as an attribute and hands over to as others do to their base.
    fn operation_within(&self, line: &[ClassRef]) -> Option<python::Value> {
        let mut attribute: Option<String> = None;
        for method in ["database_forwards", "state_forwards"] {
            let value = line.iter().find_map(|class| self.evaluator().class_body(class).get(method).cloned())?;
            let args = method_arguments(ValueKind::Symbol(Arc::from("self")), method, &value.origin);
            for site in self.evaluator().calls_with(value.as_function()?, &args) {
                let name = site.call.as_call().and_then(python::Call::name);
                let Some(owner) = name.as_deref().and_then(|name| name.strip_prefix("self.")?.strip_suffix(method))
                else {
                    continue;
                };
                let owner = owner.strip_suffix('.')?;
                if owner.contains('.') || attribute.as_deref().is_some_and(|known| known != owner) {
                    return None;
                }
                attribute = Some(owner.to_owned());
            }
        }
        let value = self.evaluator().class_attribute(line.first()?, &attribute?)?;
        value.as_call().is_some().then_some(value)
    }

    /// An operation whose `database_forwards` does what a `RunPython` does.
    fn python_of_its_own(
        &self,
        class: &ClassRef,
        line: &[ClassRef],
        args: &[python::Arg],
        place: Place<'_>,
    ) -> OperationKind {
        let OperationKind::RunPython(mut run) = changes_rows(&class.name()) else { return OperationKind::NoOp };
        let method = |name: &str| line.iter().find_map(|class| self.evaluator().class_body(class).get(name).cloned());
        if let Some(forwards) = method("database_forwards")
            && let Some(function) = forwards.as_function()
        {
            let object = python::Value::new(made(class, args, place), forwards.origin.clone());
            run.body = self.method_facts(function, object, place.module, place.span);
        }
        let reversible = method("reversible").is_none_or(|value| value.truth() == Some(true));
        if reversible && method("database_backwards").is_some() {
            run.reverse_code = Some(run.code.clone());
        }
        OperationKind::RunPython(run)
    }

    /// What the classes of an operation make of `database_backwards`; `database` is what they make of the way forwards.
    fn way_back(&self, line: &[ClassRef], database: Option<&Override>, place: Place<'_>) -> OwnWayBack {
        for class in line {
            let body = self.evaluator().class_body(class);
            if let Some(reversible) = body.get("reversible")
                && reversible.truth() != Some(true)
            {
                return OwnWayBack::NotKnown;
            }
            let Some(method) = body.get("database_backwards") else { continue };
            match self.override_of(method, "database_backwards", &ValueKind::None, place) {
                Override::Base(When::Always) => {}
                Override::Nothing => return OwnWayBack::Nothing,
                _ => return OwnWayBack::NotKnown,
            }
        }
        match database {
            None | Some(Override::Base(_)) => OwnWayBack::OfItsKind,
            // It goes back what it never went.
            Some(_) => OwnWayBack::NotKnown,
        }
    }

    /// What an overridden method of an operation does, by the calls in it; `object` is the operation as it is made.
    fn override_of(&self, method: &python::Value, name: &str, object: &ValueKind, place: Place<'_>) -> Override {
        let anybody = ValueKind::Symbol(Arc::from("self"));
        let any = self.override_with(method, name, &anybody, object, place);
        if !matches!(any, Override::Other) || name != "database_forwards" {
            return any;
        }
        // What it sends may depend on what it was made with.
        match self.override_with(method, name, object, object, place) {
            Override::Statements(statements) => Override::Statements(statements),
            _ => Override::Other,
        }
    }

    /// The same, with `itself` for `self` in the method.
    fn override_with(
        &self,
        method: &python::Value,
        name: &str,
        itself: &ValueKind,
        object: &ValueKind,
        place: Place<'_>,
    ) -> Override {
        let Some(function) = method.as_function() else { return Override::Other };
        let args = method_arguments(itself.clone(), name, &method.origin);
        let mut base_calls = Vec::new();
        let mut statements = Vec::new();
        let mut rows = false;
        let known = |value: &python::Value| match &value.kind {
            ValueKind::Symbol(name) if **name == *"self" => Some(object.clone()),
            ValueKind::Call(call) => quoted(call, &value.origin),
            _ => None,
        };
        for site in self.evaluator().calls_with(function, &args) {
            let Some(call) = site.call.as_call() else { return Override::Other };
            // `RunPython` itself does no more than to call its function.
            if super::is_base_call(call, name) || (name == "database_forwards" && call.callee.is_symbol("self.code")) {
                base_calls.push(site);
            } else if call.callee.is_symbol("schema_editor.execute") && name == "database_forwards" && !site.conditional
            {
                let (text, rest) = match call.args.as_slice() {
                    [text, rest @ ..] => (&text.value, rest),
                    [] => return Override::Other,
                };
                // Without `params=None` the driver reads `%` as a place for a value.
                let sent = |text: &SqlText| match rest {
                    [] => !text.text.contains('%'),
                    rest => rest.iter().all(|arg| arg.value.is_none()),
                };
                match Self::sql_text(&self.evaluator().substitute(text, &known), place) {
                    Ok(text) if sent(&text) => statements.push(text),
                    _ => return Override::Other,
                }
            } else if site.call.as_comprehension().is_none()
                && !is_harmless(call)
                && !changes_a_copy(call)
                && !self.only_looks(call, MAX_NESTING)
                && !self.evaluator().substitute(&site.call, &known).is_constant()
            {
                if name != "database_forwards" || !uses_models(&site.call) {
                    return Override::Other;
                }
                rows = true;
            }
        }
        if self.changes_objects(function, &args) {
            return Override::Other;
        }
        if rows {
            // Beside statements the order of the two would have to be kept.
            return if base_calls.is_empty() && statements.is_empty() { Override::Python } else { Override::Other };
        }
        match (!base_calls.is_empty(), statements.is_empty()) {
            (true, true) => Override::Base(When::of(&base_calls)),
            // Without a call no SQL is sent, but a state can be changed by an assignment.
            (false, true) if name != "state_forwards" || does_nothing(function) => Override::Nothing,
            (false, true) => Override::Other,
            (false, false) => Override::Statements(statements),
            // The order of the two would have to be kept.
            (true, false) => Override::Other,
        }
    }

    /// A method of an index or a constraint that, on PostgreSQL, does what its base does.
    fn hands_over(&self, method: &python::Value, name: &str) -> bool {
        let Some(function) = method.as_function() else { return false };
        let symbol = |name: &str| python::Arg {
            kind: python::ArgKind::Positional,
            value: python::Value::new(ValueKind::Symbol(Arc::from(name)), method.origin.clone()),
            span: method.origin.span,
        };
        let args: Vec<python::Arg> = ["self", "model", "schema_editor"].iter().map(|name| symbol(name)).collect();
        let returned = self.evaluator().returns(function, &args);
        returned.as_call().is_some_and(|call| super::is_base_call(call, name)) && !self.changes_objects(function, &args)
    }

    /// Whether a function, called with these arguments, may assign to anything but names.
    pub(super) fn changes_objects(&self, function: &python::FunctionRef, args: &[python::Arg]) -> bool {
        let found = assignments_to_objects(&function.function().body, &function.module);
        found.into_iter().any(|start| self.evaluator().reaches(function, args, start))
    }

    /// The class or function behind `import_string("…")`; other callees as they are.
    pub(super) fn imported(&self, callee: &python::Value) -> python::Value {
        let named = callee.as_call().filter(|call| call.callee.is_symbol("django.utils.module_loading.import_string"));
        match named.and_then(|call| call.args.first()).and_then(|arg| arg.value.as_str()) {
            Some(name) => self.evaluator().resolve(name, &callee.origin),
            None => callee.clone(),
        }
    }

    fn django_operation(&self, name: &str, arguments: &Arguments, place: Place<'_>) -> Result<OperationKind, Reason> {
        if let Some(reason) = &arguments.unknown {
            return Err(reason.clone());
        }
        if !arguments.rest.is_empty() {
            return Err(format!("more arguments than `{name}` takes"));
        }
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
                        Some(items) => items.iter().map(convert::value).collect(),
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
            "AlterModelTable" => {
                let name = arguments.string("name")?;
                match arguments.optional_string("table") {
                    Ok(table) => OperationKind::AlterModelTable { name, table },
                    // Whatever comes later for this model goes to a table whose name is not known.
                    Err(reason) => {
                        let possible = Operation {
                            kind: OperationKind::AlterModelTable { name, table: None },
                            class: Arc::from("django.db.migrations.AlterModelTable"),
                            span: place.span,
                            argument_spans: Vec::new(),
                            conditional: false,
                            way_back: OwnWayBack::OfItsKind,
                        };
                        OperationKind::undecided(reason, vec![possible])
                    }
                }
            }
            "AlterModelTableComment" => OperationKind::AlterModelTableComment {
                name: arguments.string("name")?,
                table_comment: arguments.optional_string("table_comment")?,
            },
            "AlterUniqueTogether" => OperationKind::AlterUniqueTogether {
                name: arguments.string("name")?,
                unique_together: convert::value(arguments.required("unique_together")?),
            },
            "AlterIndexTogether" => OperationKind::AlterIndexTogether {
                name: arguments.string("name")?,
                index_together: convert::value(arguments.required("index_together")?),
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
            "RunPython" => OperationKind::RunPython(self.run_python(arguments, place)?),
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
        let mut fields = Vec::new();
        for (item, condition) in flat_items(value) {
            let Some([name, field]) = item.as_items() else {
                return Err(format!("`fields`: {}", convert::reason(item)));
            };
            let name = string(name, "fields")?;
            let mut field = self.field(&name, field, place.module, place.span(item));
            if condition.is_some() {
                let reason = Arc::from("it stands under a condition that is not known");
                field.class.kind = FieldKind::Unknown { reason };
            }
            fields.push(field);
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
                _ => options.entries.push((key, convert::value(&entry.value))),
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
        index.expressions = arguments.rest.iter().map(convert::value).collect();
        for argument in &arguments.named {
            match &*argument.name {
                "name" => index.name = arguments.optional_string("name")?,
                "fields" => index.fields = strings(&argument.value, "fields")?,
                "condition" => index.condition = present(convert::value(&argument.value)),
                _ => index.kwargs.push((Arc::clone(&argument.name), convert::value(&argument.value))),
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
                if let Some(value) = body.get(method)
                    && !self.hands_over(value, method)
                {
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
        let condition = || arguments.data("condition").and_then(present);
        let kind = match &*class {
            "CheckConstraint" => ConstraintKind::Check {
                condition: condition()
                    .or_else(|| arguments.data("check"))
                    .unwrap_or_else(|| Value::unknown("the argument `condition` is missing")),
            },
            "UniqueConstraint" => ConstraintKind::Unique {
                fields: match arguments.value("fields") {
                    Some(value) => strings(value, "fields")?,
                    None => Vec::new(),
                },
                expressions: arguments.rest.iter().map(convert::value).collect(),
                condition: condition(),
            },
            _ => {
                let expressions = arguments.required("expressions")?;
                let items = expressions.as_items().ok_or_else(|| convert::reason(expressions))?;
                let pair = |item: &python::Value| match item.as_items() {
                    Some([expression, operator]) => Ok((convert::value(expression), convert::value(operator))),
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
            kwargs: rest.map(|argument| (Arc::clone(&argument.name), convert::value(&argument.value))).collect(),
            span: place.span(value),
        })
    }

    fn run_sql(&self, arguments: &Arguments, place: Place<'_>) -> Result<OperationKind, Reason> {
        let reverse = match arguments.value("reverse_sql") {
            Some(value) if !value.is_none() => Some(Self::sql_source(value, place)),
            _ => None,
        };
        let state_operations = match arguments.value("state_operations") {
            Some(value) if !value.is_none() => {
                self.operation_list(value, Place { nesting: place.nesting + 1, ..place })
            }
            _ => Vec::new(),
        };
        Ok(OperationKind::RunSql(RunSql {
            sql: Self::sql_source(arguments.required("sql")?, place),
            reverse_sql: reverse,
            state_operations,
            elidable: arguments.flag("elidable", false)?,
        }))
    }

    fn sql_source(value: &python::Value, place: Place<'_>) -> SqlSource {
        match Self::sql_texts(value, place) {
            Ok(texts) => SqlSource::Texts(texts),
            Err(reason) => SqlSource::Unknown { reason: reason.into() },
        }
    }

    fn sql_texts(value: &python::Value, place: Place<'_>) -> Result<Vec<SqlText>, Reason> {
        if value.name().is_some_and(|name| *convert::public(&name) == *"django.db.migrations.RunSQL.noop") {
            return Ok(Vec::new());
        }
        if let ValueKind::List(items) | ValueKind::Tuple(items) = &value.kind {
            let mut texts = Vec::with_capacity(items.len());
            for item in items.iter() {
                match item.as_items() {
                    Some([text, params]) => {
                        let mut text = Self::sql_text(text, place)?;
                        text.params = present(convert::value(params));
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

    fn run_python(&self, arguments: &Arguments, place: Place<'_>) -> Result<RunPython, Reason> {
        let code = arguments.required("code")?;
        let reverse = arguments.value("reverse_code").filter(|value| !value.is_none());
        let atomic = match arguments.value("atomic") {
            Some(value) if !value.is_none() => {
                Some(value.truth().ok_or_else(|| format!("`atomic`: {}", convert::reason(value)))?)
            }
            _ => None,
        };
        Ok(RunPython {
            code: convert::value(code),
            reverse_code: reverse.map(convert::value),
            function: code.as_function().cloned(),
            reverse_function: reverse.and_then(|value| value.as_function().cloned()),
            body: self.code_facts(code, place.module, place.span),
            reverse_body: reverse.map(|value| self.code_facts(value, place.module, place.span)).unwrap_or_default(),
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
        let execute = parts.optional_string("execute")?.unwrap_or_else(|| format!("{pgid}()").into());
        let quoted = table.replace('"', "\"\"");
        let join = |parts: &[&str]| {
            parts.iter().filter(|part| !part.trim().is_empty()).map(|part| part.trim()).collect::<Vec<_>>().join(" ")
        };
        let header = join(&["CREATE", &constraint, "TRIGGER", &pgid, &when, &operation]);
        let created = join(&[
            &format!("{header} ON \"{quoted}\""),
            &timing,
            &text("referencing")?,
            "FOR EACH",
            parts.optional_string("level")?.as_deref().unwrap_or("ROW"),
            &condition,
            &format!("EXECUTE PROCEDURE {execute}"),
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
            arguments: vec![
                (Arc::from("model_name"), Value::Str(arguments.string("model_name")?)),
                (Arc::from("name"), Value::Str(trigger.string("name")?)),
                (Arc::from("pgid"), Value::Str(pgid)),
                (Arc::from("table"), Value::Str(table)),
            ],
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

/// An operation whose statements depend on what came before it; `project::known` fills them in.
fn later(class: &str, arguments: &Arguments) -> Result<OperationKind, Reason> {
    if let Some(reason) = &arguments.unknown {
        return Err(reason.clone());
    }
    let data = |argument: &super::arguments::Named| (Arc::clone(&argument.name), convert::value(&argument.value));
    Ok(OperationKind::Known(KnownOperation {
        package: Arc::from(third_party::package(class)),
        arguments: arguments.named.iter().map(data).collect(),
        statements: Vec::new(),
        state_operations: Vec::new(),
        reversible: true,
    }))
}

fn known_statements(class: &str, statements: Vec<SqlText>, state_operations: Vec<Operation>) -> OperationKind {
    OperationKind::Known(KnownOperation {
        package: Arc::from(third_party::package(class)),
        arguments: Vec::new(),
        statements,
        state_operations,
        reversible: false,
    })
}

/// Where the statements of a block begin that assign to anything but names.
pub(super) fn assignments_to_objects(block: &[Stmt], module: &Module) -> Vec<u32> {
    let plain = |target: &python::syntax::ExprId| match module.expr(*target).kind {
        ExprKind::Name => true,
        // On PostgreSQL no operation on a field looks at it; SQLite makes the whole table anew.
        ExprKind::Attribute { value, name } if module.text(name) == "unique_together" => {
            module.text(module.expr(value).span).ends_with("._meta")
        }
        _ => false,
    };
    let constant = |value: python::syntax::ExprId| {
        matches!(module.expr(value).kind, ExprKind::Bool(_) | ExprKind::None | ExprKind::Int | ExprKind::Str)
    };
    let mark = |target: &python::syntax::ExprId| match module.expr(*target).kind {
        ExprKind::Attribute { value, name } if module.text(module.expr(value).span) == "schema_editor" => {
            !is_read_by_the_schema_editor(module.text(name))
        }
        _ => false,
    };
    let mut found = Vec::new();
    for stmt in block {
        let changes = match &stmt.kind {
            StmtKind::Assign { targets, value } => {
                let unpacked = |target| matches!(module.expr(target).kind, ExprKind::Tuple(_) | ExprKind::List(_));
                let marks = constant(*value);
                !targets.iter().all(|target| plain(target) || unpacked(*target) || (marks && mark(target)))
            }
            StmtKind::AugAssign { target, .. } | StmtKind::AnnAssign { target, .. } => !plain(target),
            StmtKind::Delete(targets) => !targets.iter().all(plain),
            _ => false,
        };
        if changes {
            found.push(stmt.span.start);
        }
        stmt.for_each_block(&mut |block| found.extend(assignments_to_objects(block, module)));
    }
    found
}

/// What `BaseDatabaseSchemaEditor` keeps of itself (django/db/backends/base/schema.py); other marks on it are somebody's
/// own. A constant in the place of a method could not run.
fn is_read_by_the_schema_editor(attribute: &str) -> bool {
    matches!(attribute, "connection" | "collect_sql" | "collected_sql" | "atomic_migration" | "atomic" | "deferred_sql")
        || attribute.starts_with("sql_")
}

/// A call on historical models or on what comes of them: the schema editor and the connection have no part in it, and no
/// function of the project that might.
fn uses_models(call: &python::Value) -> bool {
    let text = call.to_string().replace("schema_editor.connection.alias", "");
    let own = call.as_call().is_some_and(|call| {
        call.callee.as_function().is_some() || call.name().is_some_and(|name| name.starts_with("self."))
    });
    let hidden = ["schema_editor", "connection", "cursor"];
    !own && !hidden.iter().any(|word| text.contains(word))
}

/// The arguments with which Django calls a method of an operation; `itself` stands for the operation.
fn method_arguments(itself: ValueKind, method: &str, origin: &python::Origin) -> Vec<python::Arg> {
    let parameters: &[&str] = match method {
        "database_forwards" | "database_backwards" => &["app_label", "schema_editor", "from_state", "to_state"],
        _ => &["app_label", "state"],
    };
    let symbols = parameters.iter().map(|name| ValueKind::Symbol(Arc::from(*name)));
    let argument = |kind: ValueKind| python::Arg {
        kind: python::ArgKind::Positional,
        value: python::Value::new(kind, origin.clone()),
        span: origin.span,
    };
    std::iter::once(itself).chain(symbols).map(argument).collect()
}

/// `from_state.clone()`, and what an operation does to the state that it gives.
fn changes_a_copy(call: &python::Call) -> bool {
    let clones = |call: &python::Call| call.callee.is_symbol("from_state.clone");
    let to_copy = |arg: &python::Arg| arg.value.as_call().is_some_and(clones);
    let of_state = call.name().is_some_and(|name| name.ends_with(".state_forwards"));
    clones(call) || of_state && call.args.last().is_some_and(to_copy)
}

/// A body of nothing but `pass`, `return` and documentation.
fn does_nothing(function: &python::FunctionRef) -> bool {
    function
        .function()
        .body
        .iter()
        .all(|stmt| matches!(stmt.kind, StmtKind::Pass | StmtKind::Return(_) | StmtKind::Expr(_)))
}

/// A call that reaches neither the database nor the state: `super()`, a look at a value, a message.
pub(super) fn is_harmless(call: &python::Call) -> bool {
    const BUILTINS: &[&str] = &[
        "super",
        "print",
        "isinstance",
        "len",
        "str",
        "repr",
        "hasattr",
        "format",
        "int",
        "bool",
        "list",
        "tuple",
        "all",
    ];
    let logs = |value: &python::Value| {
        let name = value.as_call().and_then(python::Call::name).or_else(|| value.name());
        name.is_some_and(|name| name.starts_with("logging."))
    };
    if let Some((receiver, method)) = call.method() {
        return logs(receiver) || receiver.is_constant() || method.as_str() == "allow_migrate_model";
    }
    call.name().is_some_and(|name| {
        const READS: &[&str] = &[
            "django.db.router.",
            "from_state.apps.",
            "from_state.clear_delayed_apps_cache",
            "project_state.apps.get_model",
            "to_state.apps.",
            "schema_editor.connection.introspection.",
            "self.allow_migrate_model",
            // A cursor by itself does nothing; what is executed on it is a call of its own.
            "schema_editor.connection.cursor",
        ];
        let builtin = name.strip_prefix("builtins.").is_some_and(|name| BUILTINS.contains(&name));
        builtin
            || READS.iter().any(|start| name.starts_with(start))
            || ["logging.", "time.", "warnings."].iter().any(|module| name.starts_with(module))
    })
}

/// What an operation's `__init__` sets on itself behind the call of its base's, or on one of its arguments: `self.name`,
/// `field.null`. Arguments that it hands to the base are evaluated; these are not.
fn changed_in_init(method: &python::Value) -> Option<String> {
    const ATTRIBUTES: [&str; 22] = [
        "bases",
        "code",
        "constraint",
        "database_operations",
        "field",
        "fields",
        "index",
        "index_together",
        "model_name",
        "name",
        "new_name",
        "old_fields",
        "old_name",
        "options",
        "order_with_respect_to",
        "preserve_default",
        "sql",
        "state_operations",
        "table",
        "table_comment",
        "unique_together",
        "reverse_sql",
    ];
    let function = method.as_function()?;
    let text = function.module.text(function.function().span);
    let params: Vec<&str> = function.function().params.iter().map(|param| function.module.text(param.name)).collect();
    let (own, params) = params.split_first()?;
    let base_call = text.rfind("__init__(").unwrap_or_default();
    for (at, _) in text.match_indices('.') {
        let (before, after) = (text.get(..at)?, text.get(at + 1..)?);
        let is_name = |character: char| character.is_alphanumeric() || character == '_';
        let object = before.rsplit(|character: char| !is_name(character)).next().unwrap_or_default();
        // `a.b.c`: only the first name counts.
        if before.strip_suffix(object).is_some_and(|rest| rest.ends_with('.')) {
            continue;
        }
        let end = after.find(|character: char| !is_name(character)).unwrap_or(after.len());
        let (attribute, rest) = after.split_at(end);
        let mut rest = rest.trim_start_matches([' ', '\t']);
        if rest.starts_with('[') {
            rest = rest.split_once(']').map_or("", |(_, rest)| rest).trim_start_matches([' ', '\t']);
        }
        let assigned = rest.starts_with('=') && !rest.starts_with("==");
        let changed = ["+=", "|=", "*=", ".append(", ".extend(", ".insert(", ".update(", ".setdefault(", ".pop("]
            .iter()
            .any(|operator| rest.starts_with(operator));
        let own_attribute = object == *own && at > base_call && ATTRIBUTES.contains(&attribute);
        if own_attribute && (assigned || changed) || assigned && params.contains(&object) {
            return Some(format!("{object}.{attribute}"));
        }
    }
    None
}
