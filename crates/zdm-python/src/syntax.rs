//! The syntax of one module, in a compact form of our own.
//!
//! Expressions live in one arena and refer to each other by [`ExprId`], so that nothing here nests deeper than the
//! statements of the file do. Names and literals carry no text: they are spans of the file, decoded when somebody asks.

use std::fmt;
use std::sync::{Arc, OnceLock};

use zdm_source::{SourceFile, Span};

/// One parsed file. Cloning shares it; two handles are equal when they share the same parse.
#[derive(Clone)]
pub struct Module(pub(crate) Arc<ModuleData>);

pub(crate) struct ModuleData {
    pub(crate) file: SourceFile,
    pub(crate) name: Arc<str>,
    pub(crate) is_package: bool,
    pub(crate) body: Block,
    pub(crate) exprs: Box<[Expr]>,
    pub(crate) functions: Box<[Function]>,
    pub(crate) classes: Box<[Class]>,
    pub(crate) syntax_errors: Box<[Span]>,
    /// Qualified class names, made when first asked for.
    pub(crate) class_names: OnceLock<Box<[Arc<str>]>>,
}

/// Statements in source order.
pub type Block = Box<[Stmt]>;

/// An expression of one [`Module`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(pub(crate) u32);

/// A `def` or `lambda` of one [`Module`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub(crate) u32);

/// A `class` of one [`Module`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassId(pub(crate) u32);

impl Module {
    pub fn file(&self) -> &SourceFile {
        &self.0.file
    }

    /// The dotted name under which other modules import this one.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether the file is a package's `__init__.py`, which relative imports count from.
    pub fn is_package(&self) -> bool {
        self.0.is_package
    }

    pub fn body(&self) -> &[Stmt] {
        &self.0.body
    }

    /// Where tree-sitter had to skip text or to invent a token; what it recovered around these places is in the tree.
    pub fn syntax_errors(&self) -> &[Span] {
        &self.0.syntax_errors
    }

    pub fn expr(&self, id: ExprId) -> &Expr {
        &self.0.exprs[id.0 as usize]
    }

    pub fn function(&self, id: FunctionId) -> &Function {
        &self.0.functions[id.0 as usize]
    }

    pub fn class(&self, id: ClassId) -> &Class {
        &self.0.classes[id.0 as usize]
    }

    /// All classes, nested ones included, in source order.
    pub fn classes(&self) -> impl Iterator<Item = (ClassId, &Class)> {
        self.0.classes.iter().zip(0..).map(|(class, id)| (ClassId(id), class))
    }

    /// All functions and lambdas, nested ones included; inner ones come before the ones that hold them.
    pub fn functions(&self) -> impl Iterator<Item = (FunctionId, &Function)> {
        self.0.functions.iter().zip(0..).map(|(function, id)| (FunctionId(id), function))
    }

    /// The import statements of the file, also those inside of functions and conditions.
    pub fn imports(&self) -> Vec<&Stmt> {
        let mut found = Vec::new();
        self.walk(&mut |stmt| {
            if matches!(stmt.kind, StmtKind::Import(_) | StmtKind::ImportFrom { .. }) {
                found.push(stmt);
            }
        });
        found
    }

    /// Visit every statement of the file, the bodies of classes and functions included, in source order.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Stmt)) {
        self.walk_block(&self.0.body, visit);
    }

    pub(crate) fn walk_block<'a>(&'a self, block: &'a [Stmt], visit: &mut dyn FnMut(&'a Stmt)) {
        for stmt in block {
            visit(stmt);
            match &stmt.kind {
                StmtKind::Class(id) => self.walk_block(&self.class(*id).body, visit),
                StmtKind::Function(id) => self.walk_block(&self.function(*id).body, visit),
                _ => stmt.for_each_block(&mut |block| self.walk_block(block, visit)),
            }
        }
    }

    /// The text under `span`.
    pub fn text(&self, span: Span) -> &str {
        self.0.file.slice(span)
    }

    /// Tells this parse from every other one that is alive.
    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// The module's name with the class's path in it: `shop.models.Order.Status`.
    pub(crate) fn class_name(&self, id: ClassId) -> Arc<str> {
        let names = self.0.class_names.get_or_init(|| {
            let mut names: Vec<Arc<str>> = Vec::with_capacity(self.0.classes.len());
            for class in &self.0.classes {
                let parent = class.parent.and_then(|parent| names.get(parent.0 as usize));
                let prefix: &str = parent.map_or(&self.0.name, |name| name);
                names.push(Arc::from(format!("{prefix}.{}", self.text(class.name))));
            }
            names.into()
        });
        Arc::clone(&names[id.0 as usize])
    }
}

impl PartialEq for Module {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Module {}

impl fmt::Debug for Module {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Module").field(&self.name()).finish()
    }
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub span: Span,
    pub kind: ExprKind,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    None,
    Bool(bool),
    Ellipsis,
    /// An integer literal; its digits are the text of the span.
    Int,
    /// A float or imaginary literal.
    Float,
    /// One string literal without interpolation, prefix and quotes included in the span.
    Str,
    /// One bytes literal.
    Bytes,
    /// Adjacent literals.
    Concat(Box<[ExprId]>),
    /// An f-string (or t-string, which is not evaluated).
    FString(Box<[FStringPart]>),
    Name,
    Attribute {
        value: ExprId,
        name: Span,
    },
    Call {
        callee: ExprId,
        args: Box<[Argument]>,
    },
    Subscript {
        value: ExprId,
        index: ExprId,
    },
    Slice {
        lower: Option<ExprId>,
        upper: Option<ExprId>,
        step: Option<ExprId>,
    },
    List(Box<[ExprId]>),
    Tuple(Box<[ExprId]>),
    Set(Box<[ExprId]>),
    Dict(Box<[DictItem]>),
    /// `*value` inside of a display or of an assignment's target.
    Starred(ExprId),
    Unary {
        op: UnaryOp,
        operand: ExprId,
    },
    Binary {
        op: BinaryOp,
        left: ExprId,
        right: ExprId,
    },
    BoolOp {
        op: BoolOp,
        left: ExprId,
        right: ExprId,
    },
    /// `a < b < c`: the first operand, then each operator with its right side.
    Compare {
        left: ExprId,
        rest: Box<[(CompareOp, ExprId)]>,
    },
    Conditional {
        body: ExprId,
        test: ExprId,
        orelse: ExprId,
    },
    Lambda(FunctionId),
    Comprehension {
        kind: ComprehensionKind,
        element: ExprId,
        /// The value of a dict comprehension.
        value: Option<ExprId>,
        clauses: Box<[ComprehensionClause]>,
    },
    Await(ExprId),
    Yield(Option<ExprId>),
    Walrus {
        name: Span,
        value: ExprId,
    },
    /// What is not an expression of the language, or nests too deeply.
    Unknown(Why),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComprehensionKind {
    List,
    Set,
    Dict,
    Generator,
}

#[derive(Clone, Copy, Debug)]
pub enum ComprehensionClause {
    For { target: ExprId, iter: ExprId },
    If(ExprId),
}

#[derive(Clone, Copy, Debug)]
pub enum DictItem {
    Pair {
        key: ExprId,
        value: ExprId,
    },
    /// `**value`
    Unpack(ExprId),
}

#[derive(Clone, Debug)]
pub enum FStringPart {
    /// Text between the replacement fields, still with its escapes.
    Text(Span),
    Field {
        /// The field with its braces.
        span: Span,
        value: ExprId,
        /// `{value=}`: the text of the expression up to and with the `=`.
        debug: Option<Span>,
        /// `r`, `s` or `a` behind the `!`.
        conversion: Option<char>,
        /// What stands behind the `:`, itself with fields.
        format: Box<[FStringPart]>,
    },
}

#[derive(Clone, Copy, Debug)]
pub struct Argument {
    pub span: Span,
    pub kind: ArgumentKind,
    pub value: ExprId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    Positional,
    /// The span of the keyword.
    Keyword(Span),
    /// `*value`
    Unpack,
    /// `**value`
    UnpackMapping,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    Plus,
    Minus,
    Invert,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
    MatMul,
    ShiftLeft,
    ShiftRight,
    BitAnd,
    BitOr,
    BitXor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoolOp {
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    Eq,
    NotEq,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    Is,
    IsNot,
    In,
    NotIn,
}

macro_rules! operator_text {
    ($type:ty { $($variant:ident => $text:literal),* $(,)? }) => {
        impl $type {
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            pub(crate) fn from_text(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

operator_text!(UnaryOp { Plus => "+", Minus => "-", Invert => "~", Not => "not" });
operator_text!(BoolOp { And => "and", Or => "or" });
operator_text!(BinaryOp {
    Add => "+", Sub => "-", Mul => "*", Div => "/", FloorDiv => "//", Mod => "%", Pow => "**", MatMul => "@",
    ShiftLeft => "<<", ShiftRight => ">>", BitAnd => "&", BitOr => "|", BitXor => "^",
});
operator_text!(CompareOp {
    Eq => "==", NotEq => "!=", Less => "<", LessEq => "<=", Greater => ">", GreaterEq => ">=", Is => "is",
    IsNot => "is not", In => "in", NotIn => "not in",
});

#[derive(Clone, Debug)]
pub struct Stmt {
    pub span: Span,
    pub kind: StmtKind,
}

#[derive(Clone, Debug)]
pub enum StmtKind {
    /// `a = b = value`: the targets from left to right.
    Assign {
        targets: Box<[ExprId]>,
        value: ExprId,
    },
    /// `target: annotation = value`
    AnnAssign {
        target: ExprId,
        annotation: ExprId,
        value: Option<ExprId>,
    },
    AugAssign {
        target: ExprId,
        op: BinaryOp,
        value: ExprId,
    },
    Import(Box<[ImportedModule]>),
    ImportFrom {
        /// The number of leading dots.
        level: u32,
        /// The dotted name behind the dots.
        module: Option<Span>,
        names: ImportedNames,
    },
    Function(FunctionId),
    Class(ClassId),
    If {
        /// `if` and each `elif`, in order.
        branches: Box<[(ExprId, Block)]>,
        orelse: Block,
    },
    For {
        target: ExprId,
        iter: ExprId,
        body: Block,
        orelse: Block,
    },
    While {
        test: ExprId,
        body: Block,
        orelse: Block,
    },
    With {
        items: Box<[WithItem]>,
        body: Block,
    },
    Try {
        body: Block,
        handlers: Box<[Handler]>,
        orelse: Block,
        finally: Block,
    },
    Match {
        subject: ExprId,
        cases: Box<[Case]>,
    },
    Return(Option<ExprId>),
    Raise(Option<ExprId>),
    Expr(ExprId),
    Delete(Box<[ExprId]>),
    /// `global` and `nonlocal`
    Global(Box<[Span]>),
    Assert(Box<[ExprId]>),
    Pass,
    Break,
    Continue,
    /// A `type` statement.
    TypeAlias,
    /// Text that is not a statement; `recovered` holds what could still be read in it.
    Error {
        why: Why,
        recovered: Block,
    },
}

impl Stmt {
    /// The blocks of a compound statement in source order; a class's or function's body is not among them.
    pub fn for_each_block<'a>(&'a self, visit: &mut dyn FnMut(&'a [Stmt])) {
        match &self.kind {
            StmtKind::If { branches, orelse } => {
                for (_, block) in branches {
                    visit(block);
                }
                visit(orelse);
            }
            StmtKind::For { body, orelse, .. } | StmtKind::While { body, orelse, .. } => {
                visit(body);
                visit(orelse);
            }
            StmtKind::With { body, .. } => visit(body),
            StmtKind::Try { body, handlers, orelse, finally } => {
                visit(body);
                for handler in handlers {
                    visit(&handler.body);
                }
                visit(orelse);
                visit(finally);
            }
            StmtKind::Match { cases, .. } => {
                for case in cases {
                    visit(&case.body);
                }
            }
            StmtKind::Error { recovered, .. } => visit(recovered),
            _ => {}
        }
    }
}

/// `import a.b.c as alias`
#[derive(Clone, Copy, Debug)]
pub struct ImportedModule {
    pub span: Span,
    /// The dotted name.
    pub name: Span,
    pub alias: Option<Span>,
}

#[derive(Clone, Debug)]
pub enum ImportedNames {
    /// `*`
    Star,
    Names(Box<[ImportedModule]>),
}

#[derive(Clone, Copy, Debug)]
pub struct WithItem {
    pub value: ExprId,
    pub target: Option<ExprId>,
}

#[derive(Clone, Debug)]
pub struct Handler {
    pub span: Span,
    /// The exception classes: one expression, or none for a bare `except:`.
    pub class: Option<ExprId>,
    /// The name behind `as` (or, in Python 2, behind the comma).
    pub name: Option<Span>,
    pub body: Block,
}

#[derive(Clone, Debug)]
pub struct Case {
    /// The patterns, which are not lowered.
    pub pattern: Span,
    /// Names that the patterns bind.
    pub captures: Box<[Span]>,
    pub guard: Option<ExprId>,
    pub body: Block,
}

/// A `def`, or a `lambda` whose body is one `return`.
#[derive(Clone, Debug)]
pub struct Function {
    /// From `def` (or `lambda`) to the end of the body, decorators excluded.
    pub span: Span,
    /// Empty for a lambda.
    pub name: Span,
    pub params: Box<[Param]>,
    pub decorators: Box<[ExprId]>,
    pub is_async: bool,
    pub body: Block,
}

#[derive(Clone, Copy, Debug)]
pub struct Param {
    pub span: Span,
    pub name: Span,
    pub kind: ParamKind,
    pub default: Option<ExprId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    PositionalOnly,
    Positional,
    /// `*args`
    Rest,
    KeywordOnly,
    /// `**kwargs`
    KeywordRest,
}

#[derive(Clone, Debug)]
pub struct Class {
    /// From `class` to the end of the body, decorators excluded.
    pub span: Span,
    pub name: Span,
    /// The class whose body holds this one; a class inside of a function has none.
    pub parent: Option<ClassId>,
    /// Bases and keywords.
    pub args: Box<[Argument]>,
    pub decorators: Box<[ExprId]>,
    pub body: Block,
}

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The text is not Python.
    Syntax,
    /// Expressions, statements, classes or calls nest deeper than the evaluator follows.
    TooDeep,
    /// A number, text or collection outgrows the evaluator's limits.
    TooLarge,
    /// The evaluation took more steps than it may.
    TooLong,
    /// The value depends on itself.
    Cycle,
    /// No assignment of the name reaches this place.
    Unbound(Arc<str>),
    /// A module of the project that does not define the name.
    NoSuchName { module: Arc<str>, name: Arc<str> },
    /// Python would raise here; the reason in a few words.
    Error(&'static str),
    /// Depends on running the program; what it is, in a few words.
    Dynamic(&'static str),
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => formatter.write_str("syntax error"),
            Self::TooDeep => formatter.write_str("nested too deeply"),
            Self::TooLarge => formatter.write_str("value too large"),
            Self::TooLong => formatter.write_str("evaluation takes too many steps"),
            Self::Cycle => formatter.write_str("defined in terms of itself"),
            Self::Unbound(name) => write!(formatter, "`{name}` is not defined here"),
            Self::NoSuchName { module, name } => write!(formatter, "`{module}` does not define `{name}`"),
            Self::Error(what) => write!(formatter, "would raise: {what}"),
            Self::Dynamic(what) => write!(formatter, "depends on running the program: {what}"),
        }
    }
}
