//! Expressions, names and attributes.

use std::sync::Arc;

use zdm_source::Span;

use super::{Evaluator, Frame, FrameKind, HEADROOM, MAX_DEPTH, MAX_ITEMS, alternatives};
use crate::builtins;
use crate::entry_points;
use crate::files;
use crate::format;
use crate::literal;
use crate::ops;
use crate::syntax::{
    Argument, ArgumentKind, BoolOp, CompareOp, ComprehensionClause, ComprehensionKind, DictItem, ExprId, ExprKind,
    FStringPart, Why,
};
use crate::text::{Origin, Str, StrBuilder};
use crate::value::{
    Arg, ArgKind, Call, ClassRef, DictEntry, FunctionRef, GATHERED, GENERATED, TemplatePart, Value, ValueKind,
};

/// A method of an object of one of the project's classes.
fn is_method_of_object(callee: &Value) -> bool {
    let ValueKind::Attribute(attribute) = &callee.kind else { return false };
    attribute.value.as_call().is_some_and(|object| object.callee.as_class().is_some())
}

impl Evaluator<'_> {
    pub(super) fn expr(&self, frame: &Frame<'_>, id: ExprId) -> Value {
        let expr = frame.module.expr(id);
        if !self.enter() {
            return Value::unknown(Why::TooDeep, frame.origin(expr.span));
        }
        let value = if self.step(1) {
            self.expr_here(frame, id)
        } else {
            Value::unknown(Why::TooLong, frame.origin(expr.span))
        };
        self.leave();
        value
    }

    pub(super) fn expr_here(&self, frame: &Frame<'_>, id: ExprId) -> Value {
        let module = frame.module;
        let expr = module.expr(id);
        let origin = frame.origin(expr.span);
        let kind = match &expr.kind {
            ExprKind::None => ValueKind::None,
            ExprKind::Bool(value) => ValueKind::Bool(*value),
            ExprKind::Ellipsis => ValueKind::Ellipsis,
            ExprKind::Int => literal::integer(module.text(expr.span)).map_or_else(ValueKind::Unknown, ValueKind::Int),
            ExprKind::Float => literal::float(module.text(expr.span)).map_or_else(ValueKind::Unknown, ValueKind::Float),
            ExprKind::Str => literal::string(module, expr.span).map_or_else(ValueKind::Unknown, ValueKind::Str),
            ExprKind::Bytes => literal::bytes(module, expr.span)
                .map_or_else(ValueKind::Unknown, |bytes| ValueKind::Bytes(bytes.into())),
            ExprKind::Concat(parts) => return self.concat(frame, parts, origin),
            ExprKind::FString(parts) => return self.fstring(frame, parts, origin),
            ExprKind::Name => return self.name(frame, expr.span),
            ExprKind::Attribute { value, name } => {
                let value = self.expr(frame, *value);
                return self.attribute(value, &Str::verbatim(module, *name), &origin);
            }
            ExprKind::Call { callee, args } => {
                if let Some(value) = self.taken_out(frame, *callee, args, expr.span) {
                    return value;
                }
                let callee = self.expr(frame, *callee);
                let args = self.args(frame, args);
                if let Some(trace) = &frame.trace
                    && (matches!(callee.kind, ValueKind::Function(_)) || is_method_of_object(&callee))
                {
                    // What the function does may matter even if its result is known.
                    let call = Arc::new(Call { callee: callee.clone(), args: args.clone() });
                    let call = Value::new(ValueKind::Call(call), origin.clone());
                    trace.borrow_mut().push(frame.site(call));
                    return self.charged(self.call(callee, args, &origin));
                }
                let value = self.charged(self.call(callee, args, &origin));
                if let Some(trace) = &frame.trace
                    && matches!(value.kind, ValueKind::Call(_))
                {
                    trace.borrow_mut().push(frame.site(value.clone()));
                }
                return value;
            }
            ExprKind::Subscript { value, index } => {
                let value = self.expr(frame, *value);
                if let ExprKind::Slice { lower, upper, step } = module.expr(*index).kind {
                    let bound = |part: Option<ExprId>| part.map(|part| self.expr(frame, part));
                    let bounds = [bound(lower), bound(upper), bound(step)];
                    return self.charged(ops::slice(&value, &bounds, &origin));
                }
                let index = self.expr(frame, *index);
                return entry_points::subscript(self, &value, &index, &origin)
                    .unwrap_or_else(|| ops::subscript(value, index, &origin));
            }
            ExprKind::Slice { .. } => ValueKind::Unknown(Why::Dynamic("a slice")),
            ExprKind::List(items) => ValueKind::List(Arc::new(self.items(frame, items))),
            ExprKind::Tuple(items) => ValueKind::Tuple(Arc::new(self.items(frame, items))),
            ExprKind::Set(items) => return ops::set(self.items(frame, items), &origin),
            ExprKind::Dict(items) => return self.dict(frame, items, origin),
            ExprKind::Starred(inner) => ValueKind::Spread(Arc::new(self.expr(frame, *inner))),
            ExprKind::Unary { op, operand } => {
                let operand = self.expr(frame, *operand);
                return ops::unary(*op, operand, &origin);
            }
            ExprKind::Binary { .. } => return self.binary(frame, id),
            ExprKind::BoolOp { .. } => return self.bool_op(frame, id),
            ExprKind::Compare { left, rest } => return self.compare(frame, *left, rest, &origin),
            ExprKind::Conditional { body, test, orelse } => {
                let condition = self.expr(frame, *test);
                return match condition.truth() {
                    Some(true) => self.expr(frame, *body),
                    Some(false) => self.expr(frame, *orelse),
                    None => {
                        let options = vec![self.expr(frame, *body), self.expr(frame, *orelse)];
                        alternatives(options, &frame.origin(module.expr(*test).span))
                    }
                };
            }
            ExprKind::Lambda(id) => {
                let closure = frame.kind == FrameKind::Function || !frame.locals.borrow().is_empty();
                let captured = closure.then(|| self.captured(frame));
                ValueKind::Function(FunctionRef { module: module.clone(), id: *id, closure, captured })
            }
            ExprKind::Comprehension { kind, element, value, clauses } => {
                return self.comprehension(frame, *kind, *element, *value, clauses, &origin);
            }
            ExprKind::Await(inner) => return self.expr(frame, *inner),
            ExprKind::Yield(inner) => {
                if let Some(inner) = inner {
                    let value = self.expr(frame, *inner);
                    Self::yielded(frame, value, module.text(expr.span));
                }
                ValueKind::Unknown(Why::Dynamic("what a generator is sent"))
            }
            ExprKind::Walrus { name, value } => {
                let value = self.expr(frame, *value);
                frame.bind(Str::verbatim(module, *name), expr.span.start, value.clone());
                return value;
            }
            ExprKind::Unknown(why) => ValueKind::Unknown(why.clone()),
        };
        Value::new(kind, origin)
    }

    /// `kwargs.pop("name")` and the like inside of an expression: a value, and a change of the variable.
    pub(super) fn taken_out(&self, frame: &Frame<'_>, callee: ExprId, args: &[Argument], span: Span) -> Option<Value> {
        let ExprKind::Attribute { value: target, name } = frame.module.expr(callee).kind else { return None };
        let method = frame.module.text(name);
        if !matches!(method, "pop" | "setdefault") || !Self::is_place(frame, target) {
            return None;
        }
        let current = self.expr(frame, target);
        if !matches!(current.kind, ValueKind::Dict(_) | ValueKind::List(_)) {
            return None;
        }
        let origin = frame.origin(span);
        let args = self.args(frame, args);
        let changed = self.charged(builtins::mutate(&current, method, &args, &origin));
        let value = builtins::taken(&current, method, &args, &origin);
        self.assign(frame, target, changed, span.start);
        Some(value)
    }

    pub(super) fn name(&self, frame: &Frame<'_>, span: Span) -> Value {
        let name = frame.module.text(span);
        if let Some(value) = frame.locals.borrow().iter().rev().find(|(found, _)| found.as_str() == name) {
            return value.1.clone();
        }
        if let Some(names) = &frame.names {
            let slot = names.borrow().get(name, u32::MAX);
            if let Some(slot) = slot {
                let value = self.slot_value(slot);
                return match &value.kind {
                    ValueKind::Function(function) if function.is_open() => {
                        let function = FunctionRef { captured: Some(self.captured(frame)), ..function.clone() };
                        Value::new(ValueKind::Function(function), value.origin)
                    }
                    _ => value,
                };
            }
        }
        let before = match frame.kind {
            FrameKind::Class(at) => at,
            FrameKind::Module | FrameKind::Function => u32::MAX,
        };
        if let Some(value) = self.scope_name(frame.scope, name, before) {
            return value;
        }
        let origin = frame.origin(span);
        if builtins::is_builtin(name) {
            return self.symbol(format!("builtins.{name}").into(), origin);
        }
        match name {
            "__name__" => return Value::new(ValueKind::Str(Str::made(frame.module.name(), origin.clone())), origin),
            "__file__" => return self.file_of(frame.module, &origin),
            "__package__" => {
                let name = frame.module.name();
                let package = if frame.module.is_package() {
                    name
                } else {
                    name.rsplit_once('.').map_or("", |(package, _)| package)
                };
                return Value::new(ValueKind::Str(Str::made(package, origin.clone())), origin);
            }
            "__path__" => return self.symbol(format!("{}.{name}", frame.module.name()).into(), origin),
            _ => {}
        }
        if let Some(value) = self.starred(frame.scope, name, before, &origin) {
            return value;
        }
        Value::unknown(Why::Unbound(name.into()), origin)
    }

    /// The variables of a frame that a function inside of it sees.
    fn captured(&self, frame: &Frame<'_>) -> Arc<Vec<(Str, Value)>> {
        let mut found = Vec::new();
        if let Some(names) = &frame.names {
            let names_here = names.borrow().names();
            for name in names_here {
                let slot = names.borrow().get(&name, u32::MAX);
                if let Some(slot) = slot {
                    found.push((name, self.slot_value(slot)));
                }
            }
        }
        found.extend(frame.locals.borrow().iter().cloned());
        Arc::new(found)
    }

    pub(super) fn items(&self, frame: &Frame<'_>, items: &[ExprId]) -> Vec<Value> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            if let ExprKind::Starred(inner) = frame.module.expr(*item).kind {
                let value = self.expr(frame, inner);
                self.push_spread(&mut values, value);
            } else {
                values.push(self.expr(frame, *item));
            }
        }
        values
    }

    /// The elements of an iterable behind the others.
    pub(super) fn push_spread(&self, values: &mut Vec<Value>, value: Value) {
        match ops::parts(&value) {
            Some(items) if values.len() + items.len() <= MAX_ITEMS && self.step(items.len()) => values.extend(items),
            _ => {
                let origin = value.origin.clone();
                values.push(Value::new(ValueKind::Spread(Arc::new(value)), origin));
            }
        }
    }

    pub(super) fn extended(&self, list: Value, by: &Value) -> Value {
        let Value { kind: ValueKind::List(items), origin, .. } = list else { return list };
        let mut items = Arc::unwrap_or_clone(items);
        self.push_spread(&mut items, by.clone());
        Value::new(ValueKind::List(Arc::new(items)), origin)
    }

    pub(super) fn dict(&self, frame: &Frame<'_>, items: &[DictItem], origin: Origin) -> Value {
        let mut entries: Vec<DictEntry> = Vec::with_capacity(items.len());
        for item in items {
            match item {
                DictItem::Pair { key, value } => {
                    let key = self.expr(frame, *key);
                    let value = self.expr(frame, *value);
                    ops::insert(&mut entries, Some(key), value);
                }
                DictItem::Unpack(value) => {
                    let value = self.expr(frame, *value);
                    match &value.kind {
                        ValueKind::Dict(inner) => {
                            for entry in inner.iter() {
                                ops::insert(&mut entries, entry.key.clone(), entry.value.clone());
                            }
                        }
                        _ => ops::insert(&mut entries, None, value),
                    }
                }
            }
        }
        Value::new(ValueKind::Dict(Arc::new(entries)), origin)
    }

    pub(super) fn args(&self, frame: &Frame<'_>, args: &[Argument]) -> Vec<Arg> {
        let mut found = Vec::with_capacity(args.len());
        for arg in args {
            let value = self.expr(frame, arg.value);
            let span = arg.span;
            match arg.kind {
                ArgumentKind::Positional => found.push(Arg { kind: ArgKind::Positional, value, span }),
                ArgumentKind::Keyword(name) => {
                    let kind = ArgKind::Keyword(Str::verbatim(frame.module, name));
                    found.push(Arg { kind, value, span });
                }
                ArgumentKind::Unpack => match ops::parts(&value) {
                    Some(items) => found.extend(items.into_iter().map(|value| {
                        let kind = match &value.kind {
                            ValueKind::Spread(_) => ArgKind::Unpack,
                            _ => ArgKind::Positional,
                        };
                        let value = match value.kind {
                            ValueKind::Spread(inner) => Arc::unwrap_or_clone(inner),
                            _ => value,
                        };
                        Arg { kind, value, span }
                    })),
                    None => found.push(Arg { kind: ArgKind::Unpack, value, span }),
                },
                ArgumentKind::UnpackMapping => match &value.kind {
                    ValueKind::Dict(entries) => {
                        for entry in entries.iter() {
                            let kind = match entry.key.as_ref().map(Value::as_str) {
                                Some(Some(name)) => ArgKind::Keyword(name.clone()),
                                _ => ArgKind::UnpackMapping,
                            };
                            found.push(Arg { kind, value: entry.value.clone(), span });
                        }
                    }
                    _ => found.push(Arg { kind: ArgKind::UnpackMapping, value, span }),
                },
            }
        }
        found
    }

    pub(super) fn concat(&self, frame: &Frame<'_>, parts: &[ExprId], origin: Origin) -> Value {
        let mut found: Vec<TemplatePart> = Vec::with_capacity(parts.len());
        let mut bytes: Vec<u8> = Vec::new();
        let mut is_bytes = false;
        for part in parts {
            let value = self.expr(frame, *part);
            match value.kind {
                ValueKind::Bytes(more) => {
                    is_bytes = true;
                    bytes.extend_from_slice(&more);
                }
                ValueKind::Str(text) => found.push(TemplatePart::Text(text)),
                ValueKind::Template(parts) => found.extend(parts.iter().cloned()),
                _ => return Value::unknown(Why::Syntax, origin),
            }
        }
        match (is_bytes, found.is_empty()) {
            (true, true) => Value::new(ValueKind::Bytes(bytes.into()), origin),
            (true, false) => Value::unknown(Why::Syntax, origin),
            (false, _) => format::joined(found, origin),
        }
    }

    pub(super) fn fstring(&self, frame: &Frame<'_>, parts: &[FStringPart], origin: Origin) -> Value {
        let text = frame.module.text(origin.span);
        let prefix: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
        if prefix.contains(['t', 'T']) {
            return Value::unknown(Why::Dynamic("a template string"), origin);
        }
        let raw = prefix.contains(['r', 'R']);
        match self.fstring_parts(frame, parts, raw) {
            Ok(parts) => format::joined(parts, origin),
            Err(why) => Value::unknown(why, origin),
        }
    }

    pub(super) fn fstring_parts(
        &self,
        frame: &Frame<'_>,
        parts: &[FStringPart],
        raw: bool,
    ) -> Result<Vec<TemplatePart>, Why> {
        let mut found = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                FStringPart::Text(span) => {
                    let mut builder = StrBuilder::default();
                    literal::push_text(&mut builder, frame.module, *span, raw, true)?;
                    found.push(TemplatePart::Text(builder.finish()));
                }
                FStringPart::Field { span, value, debug, conversion, format } => {
                    let value = self.expr(frame, *value);
                    let origin = frame.origin(*span);
                    if let Some(debug) = debug {
                        // White space behind the `=` is part of the text.
                        let rest = frame.module.text(Span::new(debug.end, span.end));
                        let blank = rest.len() - rest.trim_start().len();
                        let end = debug.end + u32::try_from(blank).unwrap_or(0);
                        let text = Str::verbatim(frame.module, Span::new(debug.start, end));
                        found.push(TemplatePart::Text(text));
                    }
                    let spec = if format.is_empty() {
                        None
                    } else {
                        let parts = self.fstring_parts(frame, format, raw)?;
                        Some(format::joined(parts, origin.clone()))
                    };
                    let conversion = conversion.or_else(|| (debug.is_some() && spec.is_none()).then_some('r'));
                    found.push(match format::field(value, conversion, spec.as_ref(), &origin) {
                        TemplatePart::Text(text) => TemplatePart::Text(text.put_in_for(&origin)),
                        part @ TemplatePart::Value(_) => part,
                    });
                }
            }
        }
        Ok(found)
    }

    /// Chains of operators are long rather than deep: the left spine is walked in a loop.
    pub(super) fn binary(&self, frame: &Frame<'_>, id: ExprId) -> Value {
        let mut spine = Vec::new();
        let mut left = id;
        while let ExprKind::Binary { op, left: next, right } = frame.module.expr(left).kind {
            spine.push((op, right, frame.module.expr(left).span));
            left = next;
        }
        let mut value = self.expr(frame, left);
        while let Some((op, right, span)) = spine.pop() {
            if !self.step(1) {
                return Value::unknown(Why::TooLong, frame.origin(span));
            }
            let right = self.expr(frame, right);
            value = self.charged(ops::binary(op, value, right, &frame.origin(span)));
        }
        value
    }

    pub(super) fn bool_op(&self, frame: &Frame<'_>, id: ExprId) -> Value {
        let mut spine = Vec::new();
        let mut left = id;
        while let ExprKind::BoolOp { op, left: next, right } = frame.module.expr(left).kind {
            spine.push((op, right));
            left = next;
        }
        let mut value = self.expr(frame, left);
        while let Some((op, right)) = spine.pop() {
            let decided = value.truth();
            value = match (op, decided) {
                (BoolOp::And, Some(false)) | (BoolOp::Or, Some(true)) => value,
                (_, Some(_)) => self.expr(frame, right),
                (_, None) => {
                    let right = self.expr(frame, right);
                    // `unknown and False` is false whatever the left side is.
                    let absorbs = matches!((op, right.truth()), (BoolOp::And, Some(false)) | (BoolOp::Or, Some(true)));
                    if absorbs && matches!(right.kind, ValueKind::Bool(_)) {
                        right
                    } else {
                        let condition = value.origin.clone();
                        alternatives(vec![value, right], &condition)
                    }
                }
            };
        }
        value
    }

    pub(super) fn compare(
        &self,
        frame: &Frame<'_>,
        left: ExprId,
        rest: &[(CompareOp, ExprId)],
        origin: &Origin,
    ) -> Value {
        let mut left = self.expr(frame, left);
        let mut result = None;
        for (op, right) in rest {
            let right = self.expr(frame, *right);
            let value = ops::compare(*op, &left, &right, origin);
            match value.truth() {
                Some(false) => return value,
                Some(true) => {}
                None if rest.len() > 1 => {
                    return Value::unknown(Why::Dynamic("a chain of comparisons"), origin.clone());
                }
                None => {}
            }
            result = Some(value);
            left = right;
        }
        result.unwrap_or_else(|| Value::unknown(Why::Syntax, origin.clone()))
    }

    pub(super) fn comprehension(
        &self,
        frame: &Frame<'_>,
        kind: ComprehensionKind,
        element: ExprId,
        value: Option<ExprId>,
        clauses: &[ComprehensionClause],
        origin: &Origin,
    ) -> Value {
        let depth = frame.locals.borrow().len();
        let mut found = Vec::new();
        let complete = self.clause(frame, clauses, &mut |this| {
            let key = this.expr(frame, element);
            let value = value.map(|value| this.expr(frame, value));
            found.push((key, value));
            found.len() <= MAX_ITEMS
        });
        frame.locals.borrow_mut().truncate(depth);
        if !complete {
            let what = if kind == ComprehensionKind::Generator { GENERATED } else { GATHERED };
            let (Some(trace), Some(ComprehensionClause::For { iter, .. }), [(key, value)]) =
                (&frame.trace, clauses.first(), found.as_slice())
            else {
                return Value::unknown(Why::Dynamic(GATHERED), origin.clone());
            };
            let read = trace.borrow().len();
            let iterable = self.expr(frame, *iter);
            // It was read before.
            trace.borrow_mut().truncate(read);
            let element = value.as_ref().unwrap_or(key).clone();
            let gathered = Self::gathered(what, vec![element, iterable], origin);
            trace.borrow_mut().push(frame.site(gathered.clone()));
            return gathered;
        }
        match kind {
            ComprehensionKind::List | ComprehensionKind::Generator => {
                let items = found.into_iter().map(|(item, _)| item).collect();
                Value::new(ValueKind::List(Arc::new(items)), origin.clone())
            }
            ComprehensionKind::Set => ops::set(found.into_iter().map(|(item, _)| item).collect(), origin),
            ComprehensionKind::Dict => {
                let mut entries = Vec::new();
                for (key, value) in found {
                    if let Some(value) = value {
                        ops::insert(&mut entries, Some(key), value);
                    }
                }
                Value::new(ValueKind::Dict(Arc::new(entries)), origin.clone())
            }
        }
    }

    /// What [`Value::as_comprehension`] takes apart.
    pub(super) fn gathered(what: &'static str, parts: Vec<Value>, origin: &Origin) -> Value {
        let callee = Value::unknown(Why::Dynamic(what), origin.clone());
        let args = parts.into_iter().map(|value| Arg { kind: ArgKind::Positional, span: value.span(), value });
        Value::new(ValueKind::Call(Arc::new(Call { callee, args: args.collect() })), origin.clone())
    }

    /// Run the clauses of a comprehension; false as soon as something is not known.
    pub(super) fn clause(
        &self,
        frame: &Frame<'_>,
        clauses: &[ComprehensionClause],
        yields: &mut dyn FnMut(&Self) -> bool,
    ) -> bool {
        let Some((clause, rest)) = clauses.split_first() else { return yields(self) };
        if !self.enter() {
            return false;
        }
        let complete = match clause {
            ComprehensionClause::If(test) => match self.expr(frame, *test).truth() {
                Some(true) => self.clause(frame, rest, yields),
                Some(false) => true,
                None => {
                    if frame.trace.is_some() {
                        self.clause(frame, rest, yields);
                    }
                    false
                }
            },
            ComprehensionClause::For { target, iter } => {
                let iterable = self.expr(frame, *iter);
                let depth = frame.locals.borrow().len();
                let complete = ops::elements(&iterable).is_some_and(|items| {
                    items.into_iter().all(|item| {
                        frame.locals.borrow_mut().truncate(depth);
                        self.step(1) && self.bind_locals(frame, *target, &item) && self.clause(frame, rest, yields)
                    })
                });
                if !complete && frame.trace.is_some() {
                    // The calls inside are worth reading even if the elements are not known.
                    frame.locals.borrow_mut().truncate(depth);
                    let origin = iterable.origin.clone();
                    let element = Value::new(ValueKind::Element(Arc::new(iterable)), origin);
                    frame.guards.set(frame.guards.get() + 1);
                    self.bind_locals(frame, *target, &element);
                    self.clause(frame, rest, yields);
                    frame.guards.set(frame.guards.get() - 1);
                }
                frame.locals.borrow_mut().truncate(depth);
                complete
            }
        };
        self.leave();
        complete
    }

    pub(super) fn bind_locals(&self, frame: &Frame<'_>, target: ExprId, value: &Value) -> bool {
        let expr = frame.module.expr(target);
        match &expr.kind {
            ExprKind::Name => {
                let name = Str::verbatim(frame.module, expr.span);
                frame.locals.borrow_mut().push((name, value.clone()));
                true
            }
            ExprKind::Tuple(targets) | ExprKind::List(targets) => match ops::elements(value) {
                Some(items) if items.len() == targets.len() && self.enter() => {
                    let bound = targets.iter().zip(&items).all(|(target, item)| self.bind_locals(frame, *target, item));
                    self.leave();
                    bound
                }
                _ => {
                    let why = Why::Dynamic("a part of an unknown sequence");
                    let part = Value::unknown(why, value.origin.clone());
                    self.enter() && {
                        for target in targets {
                            self.bind_locals(frame, *target, &part);
                        }
                        self.leave();
                        false
                    }
                }
            },
            _ => false,
        }
    }

    /// `value.name`
    pub fn attribute(&self, value: Value, name: &Str, origin: &Origin) -> Value {
        match &value.kind {
            ValueKind::Symbol(symbol) => {
                let dotted = format!("{symbol}.{name}");
                // Modules have lower-case names; so the many symbols of classes cost no look-up.
                if name.starts_with(|first: char| first.is_lowercase() || first == '_')
                    && let Some(module) = self.loader.load(&dotted)
                {
                    return Value::new(ValueKind::Module(module), origin.clone());
                }
                self.symbol(dotted.into(), origin.clone())
            }
            ValueKind::Module(module) => self.module_attribute(module, name, origin),
            ValueKind::Class(class) => self.attribute_of_class(class, name, origin),
            ValueKind::Alternatives(found) => {
                let options = found.options.iter().map(|option| self.attribute(option.clone(), name, origin));
                alternatives(options.collect(), &found.condition)
            }
            ValueKind::Unknown(why) => Value::unknown(why.clone(), value.origin.clone()),
            ValueKind::Path(path) => match files::attribute(path, name, origin) {
                Some(found) => found,
                None => builtins::opaque_attribute(value, name.clone(), origin),
            },
            _ => {
                let known = builtins::value_attribute(&value, name);
                if let Some(found) = known.or_else(|| entry_points::attribute(&value, name, origin)) {
                    return found;
                }
                let class = value.as_call().and_then(|call| call.callee.as_class());
                if let Some(found) = class.and_then(|class| self.instance_attribute(&value, class, name, origin)) {
                    return found;
                }
                if let Some(kind) = self.loader.attribute(&value, name) {
                    return Value::new(kind, origin.clone());
                }
                builtins::opaque_attribute(value, name.clone(), origin)
            }
        }
    }

    pub(super) fn attribute_of_class(&self, class: &ClassRef, name: &Str, origin: &Origin) -> Value {
        let opaque = || {
            let value = Value::new(ValueKind::Class(class.clone()), origin.clone());
            builtins::opaque_attribute(value, name.clone(), origin)
        };
        match name.as_str() {
            "__name__" | "__qualname__" => {
                let text = class.module.text(class.class().name);
                return Value::new(ValueKind::Str(Str::made(text, origin.clone())), origin.clone());
            }
            "__module__" => {
                return Value::new(ValueKind::Str(Str::made(class.module.name(), origin.clone())), origin.clone());
            }
            _ => {}
        }
        if !self.enter() {
            return Value::unknown(Why::TooDeep, origin.clone());
        }
        let enumeration = self.enumeration(class);
        let value = match (&enumeration, self.class_attribute(class, name)) {
            (Some(members), found) => match builtins::enum_attribute(members, name, origin) {
                Some(value) => value,
                None => found.unwrap_or_else(opaque),
            },
            (None, Some(value)) => value,
            (None, None) if self.class_body_in(class).is_none() => {
                let deep = self.depth.get() + HEADROOM >= MAX_DEPTH;
                Value::unknown(if deep { Why::TooDeep } else { Why::Cycle }, origin.clone())
            }
            (None, None) => opaque(),
        };
        self.leave();
        value
    }

    /// The values of an enumeration in order, as a list; None if the class is none.
    pub fn enumerated(&self, class: &ClassRef, origin: &Origin) -> Option<Value> {
        let members = self.enumeration(class)?;
        builtins::enum_attribute(&members, &Str::made("values", origin.clone()), origin)
    }

    /// The members of an enumeration in order: names and values; None if the class is none.
    pub(super) fn enumeration(&self, class: &ClassRef) -> Option<Vec<(Str, Value)>> {
        let body = self.class_body_in(class)?;
        let (_, outside) = self.ancestors(class);
        let is_enum = outside.iter().any(|base| base.name().is_some_and(|name| builtins::is_enum_base(&name)));
        if !is_enum {
            return None;
        }
        let member = |(name, value): &&(Str, Value)| {
            !name.starts_with('_') && !matches!(value.kind, ValueKind::Function(_) | ValueKind::Class(_))
        };
        Some(body.bindings.iter().filter(member).cloned().collect())
    }
}
