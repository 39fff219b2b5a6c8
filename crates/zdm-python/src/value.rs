//! What an expression is worth, as far as it can be known without running the program.

use std::fmt;
use std::sync::Arc;

use zdm_source::{SourceFile, Span};

use crate::eval::MAX_TEXT;
use crate::files::FilePath;
use crate::literal;
use crate::syntax::{BinaryOp, Class, ClassId, CompareOp, Function, FunctionId, Module, UnaryOp, Why};
use crate::text::{Origin, Str};

/// A value and the expression it comes from.
///
/// The origin is where the value was written, not where it is used: a constant that is imported from another module
/// keeps its place there.
#[derive(Clone, Debug)]
pub struct Value {
    pub kind: ValueKind,
    pub origin: Origin,
    extent: Extent,
}

/// How much a walk over a value meets, so that walks can be recursive and end: parts are shared, and what a few lines put
/// together can have more of them than any memory.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    /// How deeply values nest inside.
    depth: u16,
    /// The values inside, each as often as it is there; [`TEXT_OF_ONE`] bytes of text count as one.
    size: u32,
}

/// No value nests deeper, or holds more; what would is unknown.
const MAX_DEPTH: u16 = 250;
const MAX_SIZE: u32 = 1 << 20;
const TEXT_OF_ONE: usize = MAX_TEXT / MAX_SIZE as usize;

impl Extent {
    fn of_text(text: &Str) -> Self {
        let too_large = text.is_scattered() || text.len() > MAX_TEXT;
        let size = u32::try_from(text.len() / TEXT_OF_ONE).unwrap_or(u32::MAX);
        Self { depth: 0, size: if too_large { u32::MAX } else { size } }
    }

    fn around(parts: impl IntoIterator<Item = Self>) -> Self {
        let inner = parts.into_iter().fold(Self::default(), |all, part| Self {
            depth: all.depth.max(part.depth),
            size: all.size.saturating_add(part.size).saturating_add(1),
        });
        Self { depth: inner.depth + 1, size: inner.size }
    }
}

#[derive(Clone, Debug)]
pub enum ValueKind {
    None,
    Bool(bool),
    Ellipsis,
    Int(Int),
    Float(f64),
    Str(Str),
    Bytes(Arc<[u8]>),
    List(Arc<Vec<Value>>),
    Tuple(Arc<Vec<Value>>),
    /// In the order in which the members were written, without duplicates.
    Set(Arc<Vec<Value>>),
    /// In the order in which Python keeps the keys.
    Dict(Arc<Vec<DictEntry>>),
    /// Inside of a list, tuple, set: the elements of this value, of unknown number, stand here.
    Spread(Arc<Value>),
    /// Something outside of the project, by its full dotted name: `django.db.models.CASCADE`, `builtins.list`.
    Symbol(Arc<str>),
    /// A path whose place among the files is known.
    Path(FilePath),
    /// A module of the project.
    Module(Module),
    /// A class of the project.
    Class(ClassRef),
    /// A `def` or `lambda` of the project.
    Function(FunctionRef),
    /// A call that is not evaluated, with evaluated arguments.
    Call(Arc<Call>),
    /// An attribute of a value that has no dotted name: a call's, a parameter's.
    Attribute(Arc<AttributeOf>),
    /// `value[index]` where the container is not known.
    Subscript(Arc<(Value, Value)>),
    /// An operator on operands of which at least one is no constant: `Q(a=1) | Q(b=2)`, `F("n") + 1`.
    Unary(UnaryOp, Arc<Value>),
    Binary(BinaryOp, Arc<(Value, Value)>),
    Compare(CompareOp, Arc<(Value, Value)>),
    /// A string with parts that are not known, from an f-string, `%` or `format`.
    Template(Arc<Vec<TemplatePart>>),
    /// A parameter of the function whose body is being read.
    Parameter(Str),
    /// An element of an iterable that is not known: the target of a loop.
    Element(Arc<Value>),
    /// One of several values; which one cannot be known.
    Alternatives(Arc<Alternatives>),
    Unknown(Why),
}

/// An integer of any size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Int {
    Small(i64),
    /// Beyond 64 bits: decimal digits, with a sign if negative.
    Big(Arc<str>),
}

/// `key: value`, or `**value` with an unknown number of keys.
#[derive(Clone, Debug)]
pub struct DictEntry {
    pub key: Option<Value>,
    pub value: Value,
}

/// A class of the project.
#[derive(Clone, PartialEq, Eq)]
pub struct ClassRef {
    pub module: Module,
    pub id: ClassId,
}

/// A function or lambda of the project.
#[derive(Clone)]
pub struct FunctionRef {
    pub module: Module,
    pub id: FunctionId,
    /// Whether it was defined inside of another function.
    pub closure: bool,
    /// The variables of the functions around it, as they are where it is named.
    pub(crate) captured: Option<Arc<Vec<(Str, Value)>>>,
}

/// The same definition, whatever surrounds it.
impl PartialEq for FunctionRef {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.module == other.module
    }
}

impl Eq for FunctionRef {}

#[derive(Clone, Debug)]
pub struct Call {
    pub callee: Value,
    /// In source order, unpacked where the unpacked value is known.
    pub args: Vec<Arg>,
}

#[derive(Clone, Debug)]
pub struct Arg {
    pub kind: ArgKind,
    pub value: Value,
    /// The whole argument with its keyword; for an unpacked one, the unpacked expression.
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgKind {
    Positional,
    Keyword(Str),
    /// `*value`, with an unknown number of elements.
    Unpack,
    /// `**value`, with unknown keys.
    UnpackMapping,
}

#[derive(Clone, Debug)]
pub struct AttributeOf {
    pub value: Value,
    pub name: Str,
}

#[derive(Clone, Debug)]
pub enum TemplatePart {
    Text(Str),
    /// What stands here is the text of this value.
    Value(Value),
}

#[derive(Clone, Debug)]
pub struct Alternatives {
    /// The condition that decides, or the statement that does.
    pub condition: Origin,
    /// In source order. An option that leaves a name without a value is `Unknown(Unbound)`.
    pub options: Vec<Value>,
}

pub(crate) const GATHERED: &str = "a comprehension over what is not known";
pub(crate) const GENERATED: &str = "a generator over what is not known";

impl Value {
    pub fn new(kind: ValueKind, origin: Origin) -> Self {
        let extent = kind.extent();
        if extent.depth > MAX_DEPTH {
            return Self::unknown(Why::TooDeep, origin);
        }
        if extent.size > MAX_SIZE {
            return Self::unknown(Why::TooLarge, origin);
        }
        Self { kind, origin, extent }
    }

    pub fn unknown(why: Why, origin: Origin) -> Self {
        Self { kind: ValueKind::Unknown(why), origin, extent: Extent::default() }
    }

    pub fn span(&self) -> Span {
        self.origin.span
    }

    pub fn file(&self) -> &SourceFile {
        self.origin.file()
    }

    pub fn is_none(&self) -> bool {
        matches!(self.kind, ValueKind::None)
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self.kind {
            ValueKind::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Integers that fit into 64 bits.
    pub fn as_int(&self) -> Option<i64> {
        match self.kind {
            ValueKind::Int(Int::Small(value)) => Some(value),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&Str> {
        match &self.kind {
            ValueKind::Str(value) => Some(value),
            _ => None,
        }
    }

    /// The elements of a list, tuple or set.
    pub fn as_items(&self) -> Option<&[Value]> {
        match &self.kind {
            ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_dict(&self) -> Option<&[DictEntry]> {
        match &self.kind {
            ValueKind::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a dict under a string key; None if the key may come from an unknown part.
    pub fn get(&self, key: &str) -> Option<&Value> {
        for entry in self.as_dict()?.iter().rev() {
            if entry.key.as_ref()?.as_str().is_some_and(|found| found.as_str() == key) {
                return Some(&entry.value);
            }
        }
        None
    }

    pub fn as_call(&self) -> Option<&Call> {
        match &self.kind {
            ValueKind::Call(call) => Some(call),
            _ => None,
        }
    }

    /// A comprehension over what is not known, in the body of a function that is read: the element of any round, and
    /// what is gone through. For a list that a loop appends to, what is appended alone.
    pub fn as_comprehension(&self) -> Option<(&Value, Option<&Value>)> {
        let call = self.as_call()?;
        match &call.callee.kind {
            ValueKind::Unknown(Why::Dynamic(GATHERED | GENERATED)) => {
                Some((&call.args.first()?.value, call.args.get(1).map(|arg| &arg.value)))
            }
            _ => None,
        }
    }

    /// Whether a comprehension, see [`Self::as_comprehension`], yields its elements one at a time.
    pub fn is_generator(&self) -> bool {
        self.as_call().is_some_and(|call| matches!(call.callee.kind, ValueKind::Unknown(Why::Dynamic(GENERATED))))
    }

    pub fn as_class(&self) -> Option<&ClassRef> {
        match &self.kind {
            ValueKind::Class(class) => Some(class),
            _ => None,
        }
    }

    pub fn as_function(&self) -> Option<&FunctionRef> {
        match &self.kind {
            ValueKind::Function(function) => Some(function),
            _ => None,
        }
    }

    /// The function behind decorators that are not looked through, such as `transaction.atomic`.
    pub fn undecorated(&self) -> Option<&FunctionRef> {
        let mut value = self;
        loop {
            match &value.kind {
                ValueKind::Function(function) => return Some(function),
                ValueKind::Call(call) => match call.args.as_slice() {
                    [Arg { kind: ArgKind::Positional, value: inner, .. }] => value = inner,
                    _ => return None,
                },
                _ => return None,
            }
        }
    }

    /// The full dotted name of a symbol, class, function or module.
    pub fn name(&self) -> Option<Arc<str>> {
        match &self.kind {
            ValueKind::Symbol(name) => Some(Arc::clone(name)),
            ValueKind::Class(class) => Some(class.name()),
            ValueKind::Function(function) => Some(function.name().into()),
            ValueKind::Module(module) => Some(Arc::clone(&module.0.name)),
            _ => None,
        }
    }

    pub fn is_symbol(&self, name: &str) -> bool {
        matches!(&self.kind, ValueKind::Symbol(symbol) if **symbol == *name)
    }

    /// A value of Python's own literal types, all the way down.
    pub fn is_constant(&self) -> bool {
        match &self.kind {
            ValueKind::None
            | ValueKind::Bool(_)
            | ValueKind::Ellipsis
            | ValueKind::Int(_)
            | ValueKind::Float(_)
            | ValueKind::Str(_)
            | ValueKind::Bytes(_) => true,
            ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => {
                items.iter().all(Self::is_constant)
            }
            ValueKind::Dict(entries) => entries
                .iter()
                .all(|entry| entry.key.as_ref().is_some_and(Self::is_constant) && entry.value.is_constant()),
            _ => false,
        }
    }

    /// The first part of the value that is not known: `Unknown`, `Alternatives`, a spread or unpacked part, a call of
    /// a function of the project.
    ///
    /// Symbols, classes and calls of symbols and classes are known: they say what is written, and their meaning is
    /// the caller's affair.
    pub fn first_unknown(&self) -> Option<&Value> {
        match &self.kind {
            ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => {
                items.iter().find_map(Self::first_unknown)
            }
            ValueKind::Dict(entries) => entries.iter().find_map(|entry| match &entry.key {
                Some(key) => key.first_unknown().or_else(|| entry.value.first_unknown()),
                None => Some(&entry.value),
            }),
            ValueKind::Call(call) => {
                if matches!(call.callee.kind, ValueKind::Function(_)) {
                    return Some(self);
                }
                call.callee.first_unknown().or_else(|| {
                    call.args.iter().find_map(|arg| match arg.kind {
                        ArgKind::Positional | ArgKind::Keyword(_) => arg.value.first_unknown(),
                        ArgKind::Unpack | ArgKind::UnpackMapping => Some(&arg.value),
                    })
                })
            }
            ValueKind::Attribute(attribute) => attribute.value.first_unknown(),
            ValueKind::Subscript(pair) | ValueKind::Binary(_, pair) | ValueKind::Compare(_, pair) => {
                pair.0.first_unknown().or_else(|| pair.1.first_unknown())
            }
            ValueKind::Unary(_, operand) => operand.first_unknown(),
            ValueKind::Spread(_)
            | ValueKind::Template(_)
            | ValueKind::Element(_)
            | ValueKind::Parameter(_)
            | ValueKind::Alternatives(_)
            | ValueKind::Unknown(_) => Some(self),
            _ => None,
        }
    }

    /// Whether the value or a part of it is of a kind.
    pub fn contains(&self, is: &dyn Fn(&ValueKind) -> bool) -> bool {
        let any = |items: &[Self]| items.iter().any(|item| item.contains(is));
        if is(&self.kind) {
            return true;
        }
        match &self.kind {
            ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => any(items),
            ValueKind::Dict(entries) => entries
                .iter()
                .any(|entry| entry.value.contains(is) || entry.key.as_ref().is_some_and(|key| key.contains(is))),
            ValueKind::Spread(value) | ValueKind::Unary(_, value) | ValueKind::Element(value) => value.contains(is),
            ValueKind::Call(call) => call.callee.contains(is) || call.args.iter().any(|arg| arg.value.contains(is)),
            ValueKind::Attribute(attribute) => attribute.value.contains(is),
            ValueKind::Subscript(pair) | ValueKind::Binary(_, pair) | ValueKind::Compare(_, pair) => {
                pair.0.contains(is) || pair.1.contains(is)
            }
            ValueKind::Template(parts) => parts.iter().any(|part| match part {
                TemplatePart::Text(_) => false,
                TemplatePart::Value(value) => value.contains(is),
            }),
            ValueKind::Alternatives(alternatives) => any(&alternatives.options),
            _ => false,
        }
    }

    /// Python's truth of the value.
    pub fn truth(&self) -> Option<bool> {
        Some(match &self.kind {
            ValueKind::None => false,
            ValueKind::Bool(value) => *value,
            ValueKind::Int(value) => *value != Int::Small(0),
            ValueKind::Float(value) => *value != 0.0,
            ValueKind::Str(value) => !value.is_empty(),
            ValueKind::Bytes(value) => !value.is_empty(),
            ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => {
                if !items.is_empty() && items.iter().all(|item| matches!(item.kind, ValueKind::Spread(_))) {
                    return None;
                }
                !items.is_empty()
            }
            ValueKind::Dict(entries) => {
                if !entries.is_empty() && entries.iter().all(|entry| entry.key.is_none()) {
                    return None;
                }
                !entries.is_empty()
            }
            ValueKind::Ellipsis
            | ValueKind::Path(_)
            | ValueKind::Class(_)
            | ValueKind::Function(_)
            | ValueKind::Module(_) => true,
            ValueKind::Symbol(name) if is_class_of_django(name) => true,
            ValueKind::Template(parts) => {
                let text = |part: &TemplatePart| matches!(part, TemplatePart::Text(text) if !text.is_empty());
                return parts.iter().any(text).then_some(true);
            }
            _ => return None,
        })
    }

    /// Python's `==`, for constants.
    pub fn equals(&self, other: &Self) -> Option<bool> {
        use ValueKind as K;
        let number = |value: &Self| match &value.kind {
            K::Bool(value) => Some(Int::Small(i64::from(*value))),
            K::Int(value) => Some(value.clone()),
            _ => None,
        };
        if let (Some(left), Some(right)) = (number(self), number(other)) {
            return Some(left == right);
        }
        Some(match (&self.kind, &other.kind) {
            (K::Float(left), K::Float(right)) => {
                #[expect(clippy::float_cmp, reason = "this is Python's comparison")]
                let equal = left == right;
                equal
            }
            (K::Float(float), _) | (_, K::Float(float)) => match number(self).or_else(|| number(other)) {
                #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "exact below 2**53, unknown above")]
                Some(Int::Small(int)) if int.abs() < 1 << 53 => *float == int as f64,
                Some(_) => return None,
                None if self.is_constant() && other.is_constant() => false,
                None => return None,
            },
            (K::Str(left), K::Str(right)) => left == right,
            (K::Bytes(left), K::Bytes(right)) => left == right,
            (K::None, K::None) | (K::Ellipsis, K::Ellipsis) => true,
            (K::List(left), K::List(right)) | (K::Tuple(left), K::Tuple(right)) => {
                if !self.is_constant() || !other.is_constant() {
                    return None;
                }
                left.len() == right.len() && left.iter().zip(&**right).all(|(a, b)| a.equals(b) == Some(true))
            }
            (K::Set(left), K::Set(right)) => {
                if !self.is_constant() || !other.is_constant() {
                    return None;
                }
                left.len() == right.len() && left.iter().all(|a| right.iter().any(|b| a.equals(b) == Some(true)))
            }
            (K::Dict(left), K::Dict(right)) => {
                if !self.is_constant() || !other.is_constant() {
                    return None;
                }
                let same = |a: &DictEntry, b: &DictEntry| {
                    let keys = a.key.as_ref().zip(b.key.as_ref());
                    keys.is_some_and(|(a, b)| a.equals(b) == Some(true)) && a.value.equals(&b.value) == Some(true)
                };
                left.len() == right.len() && left.iter().all(|a| right.iter().any(|b| same(a, b)))
            }
            (K::Path(left), K::Path(right)) if left == right => true,
            (K::Class(left), K::Class(right)) if left == right => true,
            (K::Function(left), K::Function(right)) if left == right => true,
            _ if self.is_constant() && other.is_constant() => false,
            _ => return None,
        })
    }

    /// Whether two values are the same for certain, so that a choice between them is none.
    pub(crate) fn is_identical(&self, other: &Self) -> bool {
        use ValueKind as K;
        match (&self.kind, &other.kind) {
            (K::List(a), K::List(b)) | (K::Tuple(a), K::Tuple(b)) | (K::Set(a), K::Set(b)) => Arc::ptr_eq(a, b),
            (K::Dict(a), K::Dict(b)) => Arc::ptr_eq(a, b),
            (K::Call(a), K::Call(b)) => Arc::ptr_eq(a, b),
            (K::Symbol(a), K::Symbol(b)) => a == b,
            (K::Class(a), K::Class(b)) => a == b,
            (K::Function(a), K::Function(b)) => a == b,
            (K::Module(a), K::Module(b)) => a == b,
            (K::Path(a), K::Path(b)) => a == b,
            (K::Unknown(a), K::Unknown(b)) => a == b && self.origin == other.origin,
            (K::Bool(a), K::Bool(b)) => a == b,
            (K::Int(a), K::Int(b)) => a == b,
            (K::Str(a), K::Str(b)) => a == b,
            (K::None, K::None) => true,
            _ => false,
        }
    }

    /// All values that this one may be: the options of alternatives, else the value itself.
    pub fn options(&self) -> &[Value] {
        match &self.kind {
            ValueKind::Alternatives(alternatives) => &alternatives.options,
            _ => std::slice::from_ref(self),
        }
    }
}

/// One element of a collection that is partly known.
#[derive(Clone, Debug)]
pub struct Item {
    pub value: Value,
    /// The innermost condition on which the element is there; none if it is there for certain.
    pub condition: Option<Origin>,
    /// Whether the value stands for its elements, of unknown number, rather than for itself.
    pub spread: bool,
}

impl Value {
    /// The elements of a list, tuple or set, those of its spreads and alternatives among them, in order.
    ///
    /// Elements that all alternatives have in common at their start or end are there for certain; the others carry
    /// the condition. What is no collection comes back as one spread item.
    pub fn flatten(&self) -> Vec<Item> {
        match &self.kind {
            ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => {
                let mut found = Vec::with_capacity(items.len());
                for item in items.iter() {
                    match &item.kind {
                        ValueKind::Spread(inner) => found.extend(inner.flatten()),
                        _ => found.push(Item { value: item.clone(), condition: None, spread: false }),
                    }
                }
                found
            }
            ValueKind::Alternatives(alternatives) => {
                let mut options: Vec<Vec<Item>> = alternatives.options.iter().map(Self::flatten).collect();
                let start = shared(&options, |items, index| items.get(index));
                let start = start.min(options.iter().map(Vec::len).min().unwrap_or(0));
                let tails: Vec<Vec<Item>> = options.iter_mut().map(|items| items.split_off(start)).collect();
                let end = shared(&tails, |items, index| items.get(items.len().checked_sub(index + 1)?));
                let mut found = options.into_iter().next().unwrap_or_default();
                let mut last = Vec::new();
                for mut items in tails {
                    last = items.split_off(items.len().saturating_sub(end));
                    for mut item in items {
                        item.condition.get_or_insert_with(|| alternatives.condition.clone());
                        found.push(item);
                    }
                }
                found.extend(last);
                found
            }
            _ => vec![Item { value: self.clone(), condition: None, spread: true }],
        }
    }

    /// Whether two elements are the same one, met on two paths.
    fn is_same_element(&self, other: &Self) -> bool {
        self.origin == other.origin
            && (self.is_identical(other)
                || (!self.is_constant_kind()
                    && std::mem::discriminant(&self.kind) == std::mem::discriminant(&other.kind)))
    }
}

/// How many leading items (in the order of `at`) all lists share.
fn shared<'a>(lists: &'a [Vec<Item>], at: impl Fn(&'a [Item], usize) -> Option<&'a Item>) -> usize {
    let Some((first, rest)) = lists.split_first() else { return 0 };
    let same = |index: usize| {
        let Some(item) = at(first, index) else { return false };
        rest.iter().all(|list| {
            at(list, index).is_some_and(|other| item.spread == other.spread && item.value.is_same_element(&other.value))
        })
    };
    (0..first.len()).take_while(|index| same(*index)).count()
}

impl ValueKind {
    fn extent(&self) -> Extent {
        let items = |items: &[Value]| Extent::around(items.iter().map(|item| item.extent));
        match self {
            Self::Str(text) | Self::Parameter(text) => Extent::of_text(text),
            Self::List(found) | Self::Tuple(found) | Self::Set(found) => items(found),
            Self::Dict(entries) => {
                let parts = entries.iter().flat_map(|entry| entry.key.iter().chain([&entry.value]));
                Extent::around(parts.map(|part| part.extent))
            }
            Self::Spread(value) | Self::Unary(_, value) | Self::Element(value) => Extent::around([value.extent]),
            Self::Call(call) => {
                let args = call.args.iter().map(|arg| arg.value.extent);
                Extent::around(std::iter::once(call.callee.extent).chain(args))
            }
            Self::Attribute(attribute) => Extent::around([attribute.value.extent]),
            Self::Subscript(pair) | Self::Binary(_, pair) | Self::Compare(_, pair) => {
                Extent::around([pair.0.extent, pair.1.extent])
            }
            Self::Template(parts) => Extent::around(parts.iter().map(|part| match part {
                TemplatePart::Text(text) => Extent::of_text(text),
                TemplatePart::Value(value) => value.extent,
            })),
            Self::Alternatives(alternatives) => items(&alternatives.options),
            Self::Function(FunctionRef { captured: Some(captured), .. }) => {
                Extent::around(captured.iter().map(|(_, value)| value.extent))
            }
            _ => Extent::default(),
        }
    }
}

/// `django.contrib.postgres.operations.AddIndexConcurrently`: a class, by its name; settings are not.
pub(crate) fn is_class_of_django(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    name.starts_with("django.")
        && !name.starts_with("django.conf.settings.")
        && last.starts_with(|first: char| first.is_ascii_uppercase())
        && last.contains(|character: char| character.is_ascii_lowercase())
}

impl Call {
    /// The full dotted name of what is called.
    pub fn name(&self) -> Option<Arc<str>> {
        self.callee.name()
    }

    /// The argument at a position or, if it is not there, under a keyword.
    ///
    /// None as well if an unpacked argument of unknown size may have taken the place; see [`Call::has_unpacked`].
    pub fn arg(&self, position: usize, keyword: &str) -> Option<&Arg> {
        self.positional(position).or_else(|| self.keyword(keyword))
    }

    pub fn positional(&self, position: usize) -> Option<&Arg> {
        let mut positionals = self.args.iter().filter(|arg| matches!(arg.kind, ArgKind::Positional | ArgKind::Unpack));
        for _ in 0..position {
            if positionals.next()?.kind == ArgKind::Unpack {
                return None;
            }
        }
        positionals.next().filter(|arg| arg.kind == ArgKind::Positional)
    }

    pub fn keyword(&self, keyword: &str) -> Option<&Arg> {
        self.args.iter().rev().find(|arg| matches!(&arg.kind, ArgKind::Keyword(name) if name.as_str() == keyword))
    }

    pub fn keywords(&self) -> impl Iterator<Item = (&Str, &Arg)> {
        self.args.iter().filter_map(|arg| match &arg.kind {
            ArgKind::Keyword(name) => Some((name, arg)),
            _ => None,
        })
    }

    /// Whether arguments of unknown number or name are passed.
    pub fn has_unpacked(&self) -> bool {
        self.args.iter().any(|arg| matches!(arg.kind, ArgKind::Unpack | ArgKind::UnpackMapping))
    }

    /// For a method call on a value without a dotted name: the receiver and the method's name.
    pub fn method(&self) -> Option<(&Value, &Str)> {
        match &self.callee.kind {
            ValueKind::Attribute(attribute) => Some((&attribute.value, &attribute.name)),
            _ => None,
        }
    }
}

impl ClassRef {
    pub fn class(&self) -> &Class {
        self.module.class(self.id)
    }

    /// The full dotted name.
    pub fn name(&self) -> Arc<str> {
        self.module.class_name(self.id)
    }

    pub(crate) fn syntax_errors(&self) -> Vec<Span> {
        let whole = self.class().span;
        let errors = self.module.syntax_errors().iter();
        errors.filter(|error| whole.start <= error.start && error.end <= whole.end).copied().collect()
    }
}

impl FunctionRef {
    /// Whether the variables of a function around it are needed and not known.
    pub(crate) fn is_open(&self) -> bool {
        self.closure && self.captured.is_none()
    }

    pub fn function(&self) -> &Function {
        self.module.function(self.id)
    }

    /// The module's name with the function's; `<lambda>` for a lambda.
    pub fn name(&self) -> String {
        let name = self.module.text(self.function().name);
        format!("{}.{}", self.module.name(), if name.is_empty() { "<lambda>" } else { name })
    }
}

impl fmt::Debug for ClassRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ClassRef").field(&self.name()).finish()
    }
}

impl fmt::Debug for FunctionRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("FunctionRef").field(&self.name()).finish()
    }
}

impl Int {
    /// Unsigned digits in a base from 2 to 36.
    pub(crate) fn parse(digits: &str, radix: u32) -> Result<Self, Why> {
        match i64::from_str_radix(digits, radix) {
            Ok(value) if !digits.starts_with(['+', '-']) => Ok(Self::Small(value)),
            _ => literal::decimal_digits(digits, radix).map(Self::Big),
        }
    }

    pub(crate) fn from_i128(value: i128) -> Self {
        i64::try_from(value).map_or_else(|_| Self::Big(value.to_string().into()), Self::Small)
    }

    /// Values that fit into 128 bits.
    pub fn as_i128(&self) -> Option<i128> {
        match self {
            Self::Small(value) => Some(i128::from(*value)),
            Self::Big(digits) => digits.parse().ok(),
        }
    }
}

impl fmt::Display for Int {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small(value) => write!(formatter, "{value}"),
            Self::Big(digits) => formatter.write_str(digits),
        }
    }
}

/// Python's `repr` of constants; for the rest a notation of the same kind, for tests and messages.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ValueKind::None => out.write_str("None"),
            ValueKind::Bool(value) => out.write_str(if *value { "True" } else { "False" }),
            ValueKind::Ellipsis => out.write_str("Ellipsis"),
            ValueKind::Int(value) => write!(out, "{value}"),
            ValueKind::Float(value) => out.write_str(&float_repr(*value)),
            ValueKind::Str(value) => out.write_str(&str_repr(value)),
            ValueKind::Bytes(value) => out.write_str(&bytes_repr(value)),
            ValueKind::List(items) => write_items(out, "[", items, "]"),
            ValueKind::Tuple(items) if items.len() == 1 => write_items(out, "(", items, ",)"),
            ValueKind::Tuple(items) => write_items(out, "(", items, ")"),
            ValueKind::Set(items) if items.is_empty() => out.write_str("set()"),
            ValueKind::Set(items) => write_items(out, "{", items, "}"),
            ValueKind::Dict(entries) => {
                out.write_str("{")?;
                for (index, entry) in entries.iter().enumerate() {
                    out.write_str(if index == 0 { "" } else { ", " })?;
                    match &entry.key {
                        Some(key) => write!(out, "{key}: {}", entry.value)?,
                        None => write!(out, "**{}", entry.value)?,
                    }
                }
                out.write_str("}")
            }
            ValueKind::Spread(value) => write!(out, "*{value}"),
            ValueKind::Symbol(name) => out.write_str(name),
            ValueKind::Path(path) => write!(out, "<path {}>", path.path.trim_start_matches('/')),
            ValueKind::Module(module) => write!(out, "<module {}>", module.name()),
            ValueKind::Class(class) => write!(out, "<class {}>", class.name()),
            ValueKind::Function(function) => write!(out, "<function {}>", function.name()),
            ValueKind::Call(call) => {
                match &call.callee.kind {
                    ValueKind::Class(class) => write!(out, "{}(", class.name())?,
                    ValueKind::Function(function) => write!(out, "{}(", function.name())?,
                    _ => write!(out, "{}(", call.callee)?,
                }
                for (index, arg) in call.args.iter().enumerate() {
                    out.write_str(if index == 0 { "" } else { ", " })?;
                    match &arg.kind {
                        ArgKind::Positional => {}
                        ArgKind::Keyword(name) => write!(out, "{name}=")?,
                        ArgKind::Unpack => out.write_str("*")?,
                        ArgKind::UnpackMapping => out.write_str("**")?,
                    }
                    write!(out, "{}", arg.value)?;
                }
                out.write_str(")")
            }
            ValueKind::Attribute(attribute) => write!(out, "{}.{}", attribute.value, attribute.name),
            ValueKind::Subscript(pair) => write!(out, "{}[{}]", pair.0, pair.1),
            ValueKind::Unary(op, operand) => write!(out, "({op} {operand})"),
            ValueKind::Binary(op, pair) => write!(out, "({} {op} {})", pair.0, pair.1),
            ValueKind::Compare(op, pair) => write!(out, "({} {op} {})", pair.0, pair.1),
            ValueKind::Template(parts) => {
                out.write_str("<text")?;
                for part in &**parts {
                    match part {
                        TemplatePart::Text(text) => write!(out, " {}", str_repr(text))?,
                        TemplatePart::Value(value) => write!(out, " {{{value}}}")?,
                    }
                }
                out.write_str(">")
            }
            ValueKind::Parameter(name) => write!(out, "<parameter {name}>"),
            ValueKind::Element(value) => write!(out, "<element of {value}>"),
            ValueKind::Alternatives(alternatives) => {
                out.write_str("<")?;
                for (index, option) in alternatives.options.iter().enumerate() {
                    write!(out, "{}{option}", if index == 0 { "" } else { " | " })?;
                }
                out.write_str(">")
            }
            ValueKind::Unknown(why) => write!(out, "<unknown: {why}>"),
        }
    }
}

fn write_items(out: &mut fmt::Formatter<'_>, open: &str, items: &[Value], close: &str) -> fmt::Result {
    out.write_str(open)?;
    for (index, item) in items.iter().enumerate() {
        write!(out, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    out.write_str(close)
}

/// Python's `repr` of a float: the shortest digits that round-trip, with an exponent below 1e-4 and from 1e16 on.
pub(crate) fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let plain = format!("{value}");
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

/// Python's `repr` of a string.
pub(crate) fn str_repr(text: &str) -> String {
    use std::fmt::Write as _;
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut repr = String::with_capacity(text.len() + 2);
    repr.push(quote);
    for character in text.chars() {
        let _ = match character {
            '\\' => write!(repr, "\\\\"),
            '\n' => write!(repr, "\\n"),
            '\r' => write!(repr, "\\r"),
            '\t' => write!(repr, "\\t"),
            _ if character == quote => write!(repr, "\\{character}"),
            _ if (character as u32) < 0x20 || (0x7f..0xa1).contains(&(character as u32)) || character == '\u{ad}' => {
                write!(repr, "\\x{:02x}", character as u32)
            }
            _ => write!(repr, "{character}"),
        };
    }
    repr.push(quote);
    repr
}

pub(crate) fn bytes_repr(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut repr = String::from("b");
    repr.push(quote);
    for byte in bytes {
        let _ = match byte {
            b'\\' => write!(repr, "\\\\"),
            b'\n' => write!(repr, "\\n"),
            b'\r' => write!(repr, "\\r"),
            b'\t' => write!(repr, "\\t"),
            _ if char::from(*byte) == quote => write!(repr, "\\{quote}"),
            0x20..=0x7e => write!(repr, "{}", char::from(*byte)),
            _ => write!(repr, "\\x{byte:02x}"),
        };
    }
    repr.push(quote);
    repr
}
