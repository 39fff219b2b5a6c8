//! tree-sitter's tree, read once into the structures of [`crate::syntax`].
//!
//! The walk uses one cursor, and node kinds and fields by number. It is recursive, with a limit on its depth; chains
//! that grow to the left (`a + b + c …`) and parentheses are walked in a loop.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use tree_sitter::{Language, Node, Parser, TreeCursor};
use zdm_source::{SourceFile, Span};

use crate::syntax::{
    Argument, ArgumentKind, BinaryOp, Block, BoolOp, Case, Class, ClassId, CompareOp, ComprehensionClause,
    ComprehensionKind, DictItem, Expr, ExprId, ExprKind, FStringPart, Function, FunctionId, Handler, ImportedModule,
    ImportedNames, Module, ModuleData, Param, ParamKind, Stmt, StmtKind, UnaryOp, Why, WithItem,
};

/// How many expressions and statements may stand inside each other.
///
/// CPython itself gives up at 200 nested parentheses and 100 indentation levels.
pub(crate) const MAX_DEPTH: u32 = 200;

/// Chains of binary operators that are longer than this are not read; evaluating one takes a step per operator.
const MAX_CHAIN: usize = 100_000;

/// Parse a file; `name` is the dotted name under which other modules import it.
///
/// Never fails: what is not Python becomes [`ExprKind::Unknown`] and [`StmtKind::Error`], with everything that
/// could be recovered around it kept.
pub fn parse(file: &SourceFile, name: impl Into<Arc<str>>) -> Module {
    thread_local! {
        static PARSER: RefCell<Option<Parser>> = const { RefCell::new(None) };
    }
    let text = file.text();
    let tree = PARSER.with_borrow_mut(|parser| {
        let parser = parser.get_or_insert_with(|| {
            let mut parser = Parser::new();
            // A grammar of an incompatible version leaves the parser without a language; then `parse` yields nothing.
            let _ = parser.set_language(&tables().language);
            parser
        });
        parser.reset();
        parser.parse(text, None)
    });
    let mut exprs = Vec::new();
    let (body, functions, classes, mut syntax_errors) = if let Some(tree) = &tree {
        let root = tree.root_node();
        exprs.reserve(root.descendant_count() / 4);
        let mut lowering = Lowering {
            text,
            tables: tables(),
            cursor: root.walk(),
            has_error: root.has_error(),
            exprs,
            functions: Vec::new(),
            classes: Vec::new(),
            class: None,
            errors: Vec::new(),
            depth: 0,
        };
        if root.is_error() {
            lowering.errors.push(span(root));
        }
        let body = lowering.block();
        exprs = lowering.exprs;
        (body, lowering.functions, lowering.classes, lowering.errors)
    } else {
        let whole = Span::from_usize(0, text.len());
        (Block::default(), Vec::new(), Vec::new(), vec![whole])
    };
    syntax_errors.sort_unstable();
    syntax_errors.dedup();
    let is_package = matches!(file.path().rsplit(['/', '\\']).next(), Some("__init__.py" | "__init__.pyi"));
    Module(Arc::new(ModuleData {
        file: file.clone(),
        name: name.into(),
        is_package,
        body,
        exprs: exprs.into(),
        functions: functions.into(),
        classes: classes.into(),
        syntax_errors: syntax_errors.into(),
        class_names: OnceLock::new(),
    }))
}

fn span(node: Node<'_>) -> Span {
    Span::from_usize(node.start_byte(), node.end_byte())
}

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum $type { $($variant,)* Other }

        impl $type {
            fn from_name(name: &str) -> Self {
                match name { $($text => Self::$variant,)* _ => Self::Other }
            }
        }
    };
}

names! {
    /// The named nodes of the grammar that the lowering tells apart.
    Kind {
        Aliased = "aliased_import",
        ArgumentList = "argument_list",
        AsPattern = "as_pattern",
        AsPatternTarget = "as_pattern_target",
        Assert = "assert_statement",
        Assignment = "assignment",
        Attribute = "attribute",
        Augmented = "augmented_assignment",
        Await = "await",
        Binary = "binary_operator",
        Block = "block",
        Boolean = "boolean_operator",
        Break = "break_statement",
        Call = "call",
        CaseClause = "case_clause",
        CasePattern = "case_pattern",
        Class = "class_definition",
        ClassPattern = "class_pattern",
        Comment = "comment",
        Comparison = "comparison_operator",
        Concatenated = "concatenated_string",
        Conditional = "conditional_expression",
        Continue = "continue_statement",
        Decorated = "decorated_definition",
        Decorator = "decorator",
        DefaultParameter = "default_parameter",
        Delete = "delete_statement",
        DictComprehension = "dictionary_comprehension",
        DictSplat = "dictionary_splat",
        DictSplatPattern = "dictionary_splat_pattern",
        Dictionary = "dictionary",
        DottedName = "dotted_name",
        ElifClause = "elif_clause",
        Ellipsis = "ellipsis",
        ElseClause = "else_clause",
        Error = "ERROR",
        Except = "except_clause",
        ExceptGroup = "except_group_clause",
        Exec = "exec_statement",
        ExpressionList = "expression_list",
        ExpressionStatement = "expression_statement",
        False = "false",
        Finally = "finally_clause",
        Float = "float",
        For = "for_statement",
        ForIn = "for_in_clause",
        FormatExpression = "format_expression",
        FormatSpecifier = "format_specifier",
        Function = "function_definition",
        FutureImport = "future_import_statement",
        GenericType = "generic_type",
        Generator = "generator_expression",
        Global = "global_statement",
        Identifier = "identifier",
        If = "if_statement",
        IfClause = "if_clause",
        Import = "import_statement",
        ImportFrom = "import_from_statement",
        ImportPrefix = "import_prefix",
        Integer = "integer",
        Interpolation = "interpolation",
        KeywordArgument = "keyword_argument",
        KeywordPattern = "keyword_pattern",
        KeywordSeparator = "keyword_separator",
        Lambda = "lambda",
        LambdaParameters = "lambda_parameters",
        LineContinuation = "line_continuation",
        List = "list",
        ListComprehension = "list_comprehension",
        ListPattern = "list_pattern",
        ListSplat = "list_splat",
        ListSplatPattern = "list_splat_pattern",
        Match = "match_statement",
        NamedExpression = "named_expression",
        None = "none",
        Nonlocal = "nonlocal_statement",
        Not = "not_operator",
        Pair = "pair",
        Parameters = "parameters",
        Parenthesized = "parenthesized_expression",
        ParenthesizedSplat = "parenthesized_list_splat",
        Pass = "pass_statement",
        PatternList = "pattern_list",
        PositionalSeparator = "positional_separator",
        Print = "print_statement",
        Raise = "raise_statement",
        RelativeImport = "relative_import",
        Return = "return_statement",
        Set = "set",
        SetComprehension = "set_comprehension",
        Slice = "slice",
        Str = "string",
        StringContent = "string_content",
        Subscript = "subscript",
        True = "true",
        Try = "try_statement",
        Tuple = "tuple",
        TuplePattern = "tuple_pattern",
        Type = "type",
        TypeAlias = "type_alias_statement",
        TypeConversion = "type_conversion",
        TypeParameter = "type_parameter",
        ConstrainedType = "constrained_type",
        MemberType = "member_type",
        SplatType = "splat_type",
        UnionType = "union_type",
        TypedDefaultParameter = "typed_default_parameter",
        TypedParameter = "typed_parameter",
        Unary = "unary_operator",
        While = "while_statement",
        Wildcard = "wildcard_import",
        With = "with_statement",
        WithClause = "with_clause",
        WithItem = "with_item",
        Yield = "yield",
    }
}

names! {
    Field {
        Alias = "alias",
        Alternative = "alternative",
        Argument = "argument",
        Arguments = "arguments",
        Attribute = "attribute",
        Body = "body",
        Cause = "cause",
        Condition = "condition",
        Consequence = "consequence",
        Definition = "definition",
        Expression = "expression",
        FormatSpecifier = "format_specifier",
        Function = "function",
        Guard = "guard",
        Key = "key",
        Left = "left",
        ModuleName = "module_name",
        Name = "name",
        Object = "object",
        Operator = "operator",
        Operators = "operators",
        Parameters = "parameters",
        Right = "right",
        Subject = "subject",
        Subscript = "subscript",
        Superclasses = "superclasses",
        Type = "type",
        TypeConversion = "type_conversion",
        Value = "value",
    }
}

struct Tables {
    language: Language,
    /// By the grammar's numbers: the kind, and whether the node is a named one rather than a token.
    kinds: Vec<(Kind, bool)>,
    fields: Vec<Field>,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| {
        let language = Language::from(tree_sitter_python::LANGUAGE);
        let number = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        let kinds = (0..number(language.node_kind_count()))
            .map(|id| {
                if language.node_kind_is_named(id) {
                    (Kind::from_name(language.node_kind_for_id(id).unwrap_or("")), true)
                } else {
                    (Kind::Other, false)
                }
            })
            .collect();
        let fields = (0..=number(language.field_count()))
            .map(|id| Field::from_name(language.field_name_for_id(id).unwrap_or("")))
            .collect();
        Tables { language, kinds, fields }
    })
}

/// A child as the cursor stands on it.
#[derive(Clone, Copy)]
struct Child {
    kind: Kind,
    field: Field,
    span: Span,
    named: bool,
    /// Whether the parser made the token up.
    missing: bool,
}

struct Lowering<'t> {
    text: &'t str,
    tables: &'static Tables,
    cursor: TreeCursor<'t>,
    has_error: bool,
    exprs: Vec<Expr>,
    functions: Vec<Function>,
    classes: Vec<Class>,
    /// The class whose body is being read.
    class: Option<ClassId>,
    errors: Vec<Span>,
    depth: u32,
}

impl<'t> Lowering<'t> {
    fn here(&self) -> Child {
        let number = self.cursor.field_id().map_or(0, |id| usize::from(id.get()));
        let field = self.tables.fields.get(number).copied().unwrap_or(Field::Other);
        Child { field, ..self.here_without_field() }
    }

    /// Looking the field up takes as long as all the rest; where the kind says enough, it is left out.
    fn here_without_field(&self) -> Child {
        let node = self.cursor.node();
        // Error nodes have the number 65535, which no table holds.
        let kind = self.tables.kinds.get(usize::from(node.kind_id())).copied();
        let (kind, named) = kind.unwrap_or((Kind::Error, true));
        let missing = self.has_error && node.is_missing();
        Child { kind, field: Field::Other, span: span(node), named, missing }
    }

    fn slice(&self, span: Span) -> &'t str {
        self.text.get(span.range()).unwrap_or("")
    }

    /// Visit the children of the cursor's node; the cursor stands on each in turn and returns to the node.
    /// Comments are skipped, tokens that the parser made up are recorded.
    fn children(&mut self, visit: impl FnMut(&mut Self, Child)) {
        self.children_by(Self::here, visit);
    }

    /// The same without the children's fields.
    fn children_without_fields(&mut self, visit: impl FnMut(&mut Self, Child)) {
        self.children_by(Self::here_without_field, visit);
    }

    fn children_by(&mut self, here: impl Fn(&Self) -> Child, mut visit: impl FnMut(&mut Self, Child)) {
        if !self.cursor.goto_first_child() {
            return;
        }
        loop {
            let child = here(self);
            if child.missing {
                self.errors.push(child.span);
            }
            if !matches!(child.kind, Kind::Comment | Kind::LineContinuation) {
                visit(self, child);
            }
            if !self.cursor.goto_next_sibling() {
                break;
            }
        }
        self.cursor.goto_parent();
    }

    /// The grammar reads `*f(x)` in a list as a call of `*f`, and `*a + b` as a sum with `*a`: the star is moved to
    /// the whole, where Python has it.
    fn push(&mut self, span: Span, mut kind: ExprKind) -> ExprId {
        let (ExprKind::Attribute { value: leading, .. }
        | ExprKind::Call { callee: leading, .. }
        | ExprKind::Subscript { value: leading, .. }
        | ExprKind::Binary { left: leading, .. }
        | ExprKind::BoolOp { left: leading, .. }
        | ExprKind::Compare { left: leading, .. }
        | ExprKind::Conditional { body: leading, .. }) = &mut kind
        else {
            return self.push_as_is(span, kind);
        };
        let ExprKind::Starred(inner) = self.exprs[leading.0 as usize].kind else {
            return self.push_as_is(span, kind);
        };
        *leading = inner;
        let start = self.exprs[inner.0 as usize].span.start;
        let id = self.push_as_is(Span::new(start, span.end), kind);
        self.push_as_is(span, ExprKind::Starred(id))
    }

    fn push_as_is(&mut self, span: Span, kind: ExprKind) -> ExprId {
        let id = ExprId(u32::try_from(self.exprs.len()).unwrap_or(u32::MAX));
        self.exprs.push(Expr { span, kind });
        id
    }

    fn unknown(&mut self, span: Span, why: Why) -> ExprId {
        self.push(span, ExprKind::Unknown(why))
    }

    /// Where the grammar demands an expression and the parser recovered without one.
    fn missing_expr(&mut self, at: Span) -> ExprId {
        self.errors.push(at);
        self.unknown(at, Why::Syntax)
    }

    // Statements ----------------------------------------------------------------------------------------------------

    /// The statements among the children of the cursor's node.
    fn block(&mut self) -> Block {
        let mut statements = Vec::new();
        self.children_without_fields(|this, child| this.statement(child, &mut statements));
        statements.into()
    }

    /// The block of a class or function behind what an error in front of it left over.
    fn body(&mut self, broken: Vec<Stmt>) -> Block {
        let mut statements = broken;
        self.children_without_fields(|this, child| this.statement(child, &mut statements));
        statements.into()
    }

    /// An error between a class's or function's header and its block holds the statements up to the error.
    fn broken_body(&mut self, child: Child, out: &mut Vec<Stmt>) {
        if child.kind == Kind::Error {
            self.statement(child, out);
        }
    }

    fn statement(&mut self, child: Child, out: &mut Vec<Stmt>) {
        if self.depth >= MAX_DEPTH {
            let kind = StmtKind::Error { why: Why::TooDeep, recovered: Block::default() };
            out.push(Stmt { span: child.span, kind });
            return;
        }
        self.depth += 1;
        if let Some(kind) = self.statement_kind(child, out) {
            out.push(Stmt { span: child.span, kind });
        }
        self.depth -= 1;
    }

    fn statement_kind(&mut self, child: Child, out: &mut Vec<Stmt>) -> Option<StmtKind> {
        let at = child.span;
        Some(match child.kind {
            Kind::ExpressionStatement => return self.expression_statement(at),
            Kind::Import | Kind::FutureImport => self.import(),
            Kind::ImportFrom => self.import_from(),
            Kind::Function => StmtKind::Function(self.function(Vec::new())),
            Kind::Class => StmtKind::Class(self.class(Vec::new())),
            Kind::Decorated => return self.decorated(out),
            Kind::If => self.if_statement(at),
            Kind::For => self.for_statement(at),
            Kind::While => self.while_statement(at),
            Kind::With => self.with_statement(),
            Kind::Try => self.try_statement(),
            Kind::Match => self.match_statement(at),
            Kind::Return => StmtKind::Return(self.operand()),
            Kind::Raise => StmtKind::Raise(self.operand()),
            Kind::Delete => StmtKind::Delete(self.delete_targets()),
            Kind::Global | Kind::Nonlocal => {
                let mut names = Vec::new();
                self.children(|_, child| {
                    if child.kind == Kind::Identifier {
                        names.push(child.span);
                    }
                });
                StmtKind::Global(names.into())
            }
            Kind::Assert => StmtKind::Assert(self.expressions()),
            Kind::Print | Kind::Exec => {
                // Python 2: the arguments are kept as a tuple.
                let values = self.expressions();
                StmtKind::Expr(self.push(at, ExprKind::Tuple(values)))
            }
            Kind::Pass => StmtKind::Pass,
            Kind::Break => StmtKind::Break,
            Kind::Continue => StmtKind::Continue,
            Kind::TypeAlias => StmtKind::TypeAlias,
            Kind::Error => {
                return Some(self.error_statement(at));
            }
            Kind::Block => {
                // Only inside of an error node: the statements belong to what the error broke.
                let mut recovered = Vec::new();
                self.children(|this, child| this.statement(child, &mut recovered));
                out.append(&mut recovered);
                return None;
            }
            Kind::ElifClause
            | Kind::ElseClause
            | Kind::Except
            | Kind::ExceptGroup
            | Kind::Finally
            | Kind::CaseClause
            | Kind::WithClause => {
                // A clause that lost its statement.
                self.children(|this, child| this.statement(child, out));
                return None;
            }
            // Inside of an error node: expressions whose statement did not parse.
            _ if child.named => StmtKind::Expr(self.expr(child)),
            _ => return None,
        })
    }

    /// What can be read in an error node: whole statements, lone expressions, and names whose value was lost.
    fn error_statement(&mut self, at: Span) -> StmtKind {
        self.errors.push(at);
        let mut recovered: Vec<Stmt> = Vec::new();
        let mut name = None;
        self.children(|this, child| {
            let before = recovered.len();
            if !child.named && this.slice(child.span) == "=" {
                // `name =` and then something that did not parse.
                if let Some(span) = name.take() {
                    let lost = Span::new(child.span.end, at.end.max(child.span.end));
                    let value = this.unknown(lost, Why::Syntax);
                    let targets = [this.push(span, ExprKind::Name)].into();
                    recovered.pop();
                    recovered.push(Stmt { span, kind: StmtKind::Assign { targets, value } });
                }
                return;
            }
            this.statement(child, &mut recovered);
            name = (child.kind == Kind::Identifier && recovered.len() == before + 1).then_some(child.span);
        });
        StmtKind::Error { why: Why::Syntax, recovered: recovered.into() }
    }

    /// The single operand of `return`, `raise`, … .
    fn operand(&mut self) -> Option<ExprId> {
        let mut operand = None;
        self.children(|this, child| {
            if child.named && operand.is_none() && child.field != Field::Cause {
                operand = Some(this.expr(child));
            }
        });
        operand
    }

    fn expressions(&mut self) -> Box<[ExprId]> {
        let mut found = Vec::new();
        self.children_without_fields(|this, child| {
            if child.named {
                found.push(this.expr(child));
            }
        });
        found.into()
    }

    fn delete_targets(&mut self) -> Box<[ExprId]> {
        let mut targets = Vec::new();
        self.children(|this, child| {
            if child.kind == Kind::ExpressionList {
                targets.extend(this.expressions());
            } else if child.named {
                targets.push(this.expr(child));
            }
        });
        targets.into()
    }

    fn expression_statement(&mut self, at: Span) -> Option<StmtKind> {
        let mut values = Vec::new();
        let mut statement = None;
        let mut commas = 0_u32;
        self.children(|this, child| match child.kind {
            Kind::Assignment => statement = Some(this.assignment(child.span)),
            Kind::Augmented => statement = Some(this.augmented(child.span)),
            _ if child.named => values.push(this.expr(child)),
            _ => commas += u32::from(this.slice(child.span) == ","),
        });
        if statement.is_some() {
            return statement;
        }
        match (values.as_slice(), commas) {
            ([], _) => None,
            ([value], 0) => Some(StmtKind::Expr(*value)),
            _ => Some(StmtKind::Expr(self.push(at, ExprKind::Tuple(values.into())))),
        }
    }

    /// `a = b = value` nests to the right; the loop collects the targets.
    fn assignment(&mut self, at: Span) -> StmtKind {
        let mut targets = Vec::new();
        let mut annotation = None;
        let mut value = None;
        let mut descended = 0_usize;
        loop {
            let mut right = None;
            let mut nested = false;
            // The cursor cannot stay on a child across `children`, so the nested assignment is entered by hand.
            if !self.cursor.goto_first_child() {
                break;
            }
            loop {
                let child = self.here();
                match (child.field, child.kind) {
                    (Field::Left, _) => targets.push(self.expr(child)),
                    (Field::Type, _) => annotation = Some(self.annotation(child)),
                    (Field::Right, Kind::Assignment) => {
                        nested = true;
                        break;
                    }
                    (Field::Right, Kind::Augmented) => right = Some(self.missing_expr(child.span)),
                    (Field::Right, _) => right = Some(self.expr(child)),
                    (_, Kind::Error) => self.errors.push(child.span),
                    _ => {}
                }
                if child.missing {
                    self.errors.push(child.span);
                }
                if !self.cursor.goto_next_sibling() {
                    break;
                }
            }
            if nested {
                descended += 1;
                continue;
            }
            self.cursor.goto_parent();
            value = right;
            break;
        }
        for _ in 0..descended {
            self.cursor.goto_parent();
        }
        match (annotation, targets.as_slice()) {
            (Some(annotation), [target]) => StmtKind::AnnAssign { target: *target, annotation, value },
            _ => {
                let value = match value {
                    Some(value) => value,
                    None => self.missing_expr(at),
                };
                StmtKind::Assign { targets: targets.into(), value }
            }
        }
    }

    fn annotation(&mut self, child: Child) -> ExprId {
        let mut found = None;
        self.children(|this, inner| {
            if inner.named && found.is_none() {
                found = Some(this.expr(inner));
            }
        });
        match found {
            Some(found) => found,
            None => self.unknown(child.span, Why::Syntax),
        }
    }

    /// `list[int]` in an annotation, which has nodes of its own there.
    fn generic_type(&mut self, at: Span) -> ExprKind {
        let mut value = None;
        let mut parameters = Vec::new();
        let mut whole = at;
        self.children(|this, child| match child.kind {
            Kind::TypeParameter => {
                whole = child.span;
                parameters.extend(this.expressions());
            }
            _ if child.named && value.is_none() => value = Some(this.expr(child)),
            _ => this.note_error(child),
        });
        let value = value.unwrap_or_else(|| self.missing_expr(at));
        let index = match parameters.as_slice() {
            [index] => *index,
            _ => self.push(whole, ExprKind::Tuple(parameters.into())),
        };
        ExprKind::Subscript { value, index }
    }

    fn augmented(&mut self, at: Span) -> StmtKind {
        let (mut target, mut op, mut value) = (None, None, None);
        self.children(|this, child| match child.field {
            Field::Left => target = Some(this.expr(child)),
            Field::Operator => op = BinaryOp::from_text(this.slice(child.span).trim_end_matches('=')),
            Field::Right => value = Some(this.expr(child)),
            _ => this.note_error(child),
        });
        let target = target.unwrap_or_else(|| self.missing_expr(at));
        let value = value.unwrap_or_else(|| self.missing_expr(at));
        StmtKind::AugAssign { target, op: op.unwrap_or(BinaryOp::Add), value }
    }

    fn note_error(&mut self, child: Child) {
        if child.kind == Kind::Error {
            self.errors.push(child.span);
        }
    }

    fn imported(&mut self, child: Child) -> Option<ImportedModule> {
        match child.kind {
            Kind::DottedName | Kind::Identifier => {
                Some(ImportedModule { span: child.span, name: child.span, alias: None })
            }
            Kind::Aliased => {
                let (mut name, mut alias) = (None, None);
                self.children(|this, part| match part.field {
                    Field::Name => name = Some(part.span),
                    Field::Alias => alias = Some(part.span),
                    _ => this.note_error(part),
                });
                Some(ImportedModule { span: child.span, name: name?, alias })
            }
            _ => None,
        }
    }

    fn import(&mut self) -> StmtKind {
        let mut names = Vec::new();
        self.children(|this, child| {
            this.note_error(child);
            names.extend(this.imported(child));
        });
        StmtKind::Import(names.into())
    }

    fn import_from(&mut self) -> StmtKind {
        let (mut level, mut module, mut star) = (0_u32, None, false);
        let mut names = Vec::new();
        self.children(|this, child| match (child.field, child.kind) {
            (Field::ModuleName, Kind::RelativeImport) => this.children(|this, part| match part.kind {
                Kind::ImportPrefix => {
                    let dots = this.slice(part.span).bytes().filter(|byte| *byte == b'.').count();
                    level = u32::try_from(dots).unwrap_or(u32::MAX);
                }
                Kind::DottedName => module = Some(part.span),
                _ => this.note_error(part),
            }),
            (Field::ModuleName, _) => module = Some(child.span),
            (_, Kind::Wildcard) => star = true,
            _ => {
                this.note_error(child);
                names.extend(this.imported(child));
            }
        });
        let names = if star { ImportedNames::Star } else { ImportedNames::Names(names.into()) };
        StmtKind::ImportFrom { level, module, names }
    }

    fn decorated(&mut self, out: &mut Vec<Stmt>) -> Option<StmtKind> {
        let mut decorators = Vec::new();
        let mut statement = None;
        self.children(|this, child| match child.kind {
            Kind::Decorator => decorators.extend(this.operand()),
            Kind::Function => {
                let id = this.function(std::mem::take(&mut decorators));
                statement = Some(StmtKind::Function(id));
            }
            Kind::Class => {
                let id = this.class(std::mem::take(&mut decorators));
                statement = Some(StmtKind::Class(id));
            }
            _ if child.named => this.statement(child, out),
            _ => {}
        });
        statement
    }

    fn function(&mut self, decorators: Vec<ExprId>) -> FunctionId {
        let at = self.here().span;
        let class = self.class.take();
        let (mut name, mut is_async) = (Span::at(at.start), false);
        let mut params = Vec::new();
        let mut broken = Vec::new();
        let mut body = Block::default();
        self.children(|this, child| match child.field {
            Field::Name => name = child.span,
            Field::Parameters => params = this.params(),
            Field::Body => body = this.body(std::mem::take(&mut broken)),
            _ => {
                is_async |= !child.named && this.slice(child.span) == "async";
                this.broken_body(child, &mut broken);
            }
        });
        if !broken.is_empty() {
            body = broken.into();
        }
        self.class = class;
        self.push_function(Function {
            span: at,
            name,
            params: params.into(),
            decorators: decorators.into(),
            is_async,
            body,
        })
    }

    fn push_function(&mut self, function: Function) -> FunctionId {
        let id = FunctionId(u32::try_from(self.functions.len()).unwrap_or(u32::MAX));
        self.functions.push(function);
        id
    }

    fn params(&mut self) -> Vec<Param> {
        let mut params: Vec<Param> = Vec::new();
        let mut kind = ParamKind::Positional;
        self.children(|this, child| {
            let mut param = Param { span: child.span, name: child.span, kind, default: None };
            match child.kind {
                Kind::Identifier => {}
                Kind::DefaultParameter | Kind::TypedDefaultParameter => this.children(|this, part| match part.field {
                    Field::Name => param.name = part.span,
                    Field::Value => param.default = Some(this.expr(part)),
                    _ => this.note_error(part),
                }),
                Kind::TypedParameter => this.children(|this, part| match part.kind {
                    Kind::ListSplatPattern | Kind::DictSplatPattern => {
                        param.kind =
                            if part.kind == Kind::ListSplatPattern { ParamKind::Rest } else { ParamKind::KeywordRest };
                        param.name = this.splat_name(part.span);
                    }
                    Kind::Identifier if part.field != Field::Type => param.name = part.span,
                    _ => this.note_error(part),
                }),
                Kind::ListSplatPattern => {
                    param.kind = ParamKind::Rest;
                    param.name = this.splat_name(child.span);
                }
                Kind::DictSplatPattern => {
                    param.kind = ParamKind::KeywordRest;
                    param.name = this.splat_name(child.span);
                }
                Kind::TuplePattern => {}
                Kind::KeywordSeparator => {
                    kind = ParamKind::KeywordOnly;
                    return;
                }
                Kind::PositionalSeparator => {
                    for earlier in &mut params {
                        earlier.kind = ParamKind::PositionalOnly;
                    }
                    return;
                }
                _ => return this.note_error(child),
            }
            if param.kind == ParamKind::Rest {
                kind = ParamKind::KeywordOnly;
            }
            params.push(param);
        });
        params
    }

    fn splat_name(&mut self, at: Span) -> Span {
        let mut name = Span::at(at.end);
        self.children(|_, part| {
            if part.kind == Kind::Identifier {
                name = part.span;
            }
        });
        name
    }

    fn class(&mut self, decorators: Vec<ExprId>) -> ClassId {
        let at = self.here().span;
        let id = ClassId(u32::try_from(self.classes.len()).unwrap_or(u32::MAX));
        let parent = self.class;
        self.classes.push(Class {
            span: at,
            name: Span::at(at.start),
            parent,
            args: Box::default(),
            decorators: decorators.into(),
            body: Block::default(),
        });
        self.class = Some(id);
        let mut name = Span::at(at.start);
        let mut args: Box<[Argument]> = Box::default();
        let mut broken = Vec::new();
        let mut body = Block::default();
        self.children(|this, child| match child.field {
            Field::Name => name = child.span,
            Field::Superclasses => args = this.arguments(),
            Field::Body => body = this.body(std::mem::take(&mut broken)),
            _ => this.broken_body(child, &mut broken),
        });
        if !broken.is_empty() {
            body = broken.into();
        }
        self.class = parent;
        let class = &mut self.classes[id.0 as usize];
        class.name = name;
        class.args = args;
        class.body = body;
        id
    }

    fn if_statement(&mut self, at: Span) -> StmtKind {
        let mut branches = Vec::new();
        let mut orelse = Block::default();
        let (mut test, mut body) = (None, Block::default());
        self.children(|this, child| match (child.field, child.kind) {
            (Field::Condition, _) => test = Some(this.expr(child)),
            (Field::Consequence, _) => body = this.block(),
            (_, Kind::ElifClause) => {
                let (mut test, mut body) = (None, Block::default());
                this.children(|this, part| match part.field {
                    Field::Condition => test = Some(this.expr(part)),
                    Field::Consequence => body = this.block(),
                    _ => this.note_error(part),
                });
                let test = test.unwrap_or_else(|| this.missing_expr(child.span));
                branches.push((test, body));
            }
            (_, Kind::ElseClause) => orelse = this.clause_body(),
            _ => this.note_error(child),
        });
        let test = test.unwrap_or_else(|| self.missing_expr(at));
        branches.insert(0, (test, body));
        StmtKind::If { branches: branches.into(), orelse }
    }

    /// The block of an `else` or `finally` clause.
    fn clause_body(&mut self) -> Block {
        let mut body = Block::default();
        self.children(|this, child| {
            this.note_error(child);
            if child.kind == Kind::Block {
                body = this.block();
            }
        });
        body
    }

    fn for_statement(&mut self, at: Span) -> StmtKind {
        let (mut target, mut iter) = (None, None);
        let (mut body, mut orelse) = (Block::default(), Block::default());
        self.children(|this, child| match child.field {
            Field::Left => target = Some(this.expr(child)),
            Field::Right => iter = Some(this.expr(child)),
            Field::Body => body = this.block(),
            Field::Alternative => orelse = this.clause_body(),
            _ => this.note_error(child),
        });
        let target = target.unwrap_or_else(|| self.missing_expr(at));
        let iter = iter.unwrap_or_else(|| self.missing_expr(at));
        StmtKind::For { target, iter, body, orelse }
    }

    fn while_statement(&mut self, at: Span) -> StmtKind {
        let mut test = None;
        let (mut body, mut orelse) = (Block::default(), Block::default());
        self.children(|this, child| match child.field {
            Field::Condition => test = Some(this.expr(child)),
            Field::Body => body = this.block(),
            Field::Alternative => orelse = this.clause_body(),
            _ => this.note_error(child),
        });
        let test = test.unwrap_or_else(|| self.missing_expr(at));
        StmtKind::While { test, body, orelse }
    }

    fn with_statement(&mut self) -> StmtKind {
        let mut items = Vec::new();
        let mut body = Block::default();
        self.children(|this, child| match child.kind {
            Kind::WithClause => this.children(|this, item| match item.kind {
                Kind::WithItem => {
                    let mut value = None;
                    this.children(|this, part| {
                        if part.field == Field::Value {
                            value = Some(this.as_pattern(part));
                        } else {
                            this.note_error(part);
                        }
                    });
                    if let Some((value, target)) = value {
                        items.push(WithItem { value, target });
                    }
                }
                _ => this.note_error(item),
            }),
            Kind::Block => body = this.block(),
            _ => this.note_error(child),
        });
        StmtKind::With { items: items.into(), body }
    }

    /// `value as target`, or only a value.
    fn as_pattern(&mut self, child: Child) -> (ExprId, Option<ExprId>) {
        if child.kind != Kind::AsPattern {
            return (self.expr(child), None);
        }
        let (mut value, mut target) = (None, None);
        self.children(|this, part| {
            if part.field == Field::Alias {
                target = this.operand();
                if target.is_none() {
                    target = Some(this.push(part.span, ExprKind::Name));
                }
            } else if part.named && value.is_none() {
                value = Some(this.expr(part));
            }
        });
        (value.unwrap_or_else(|| self.missing_expr(child.span)), target)
    }

    fn try_statement(&mut self) -> StmtKind {
        let mut body = Block::default();
        let mut handlers = Vec::new();
        let (mut orelse, mut finally) = (Block::default(), Block::default());
        self.children(|this, child| match child.kind {
            Kind::Block => body = this.block(),
            Kind::Except | Kind::ExceptGroup => handlers.push(this.handler(child.span)),
            Kind::ElseClause => orelse = this.clause_body(),
            Kind::Finally => finally = this.clause_body(),
            _ => this.note_error(child),
        });
        StmtKind::Try { body, handlers: handlers.into(), orelse, finally }
    }

    fn handler(&mut self, at: Span) -> Handler {
        let mut handler = Handler { span: at, class: None, name: None, body: Block::default() };
        self.children(|this, child| match child.kind {
            Kind::Block => handler.body = this.block(),
            Kind::AsPattern => {
                let (value, target) = this.as_pattern(child);
                handler.class = Some(value);
                handler.name = target.map(|target| this.exprs[target.0 as usize].span);
            }
            _ if child.named && child.kind != Kind::Error => {
                let value = this.expr(child);
                if child.field == Field::Alias || (handler.class.is_some() && child.kind == Kind::Identifier) {
                    handler.name = Some(child.span);
                } else if handler.class.is_none() {
                    handler.class = Some(value);
                }
            }
            _ => this.note_error(child),
        });
        handler
    }

    fn match_statement(&mut self, at: Span) -> StmtKind {
        let mut subjects = Vec::new();
        let mut cases = Vec::new();
        self.children(|this, child| match (child.field, child.kind) {
            (Field::Subject, _) => subjects.push(this.expr(child)),
            (_, Kind::Block) => this.children(|this, case| {
                if case.kind == Kind::CaseClause {
                    cases.push(this.case(case.span));
                } else {
                    this.note_error(case);
                }
            }),
            (_, Kind::CaseClause) => cases.push(this.case(child.span)),
            _ => this.note_error(child),
        });
        let subject = match subjects.as_slice() {
            [subject] => *subject,
            [] => self.missing_expr(at),
            [first, .., last] => {
                let whole = self.exprs[first.0 as usize].span.cover(self.exprs[last.0 as usize].span);
                self.push(whole, ExprKind::Tuple(subjects.into()))
            }
        };
        StmtKind::Match { subject, cases: cases.into() }
    }

    fn case(&mut self, at: Span) -> Case {
        let mut pattern: Option<Span> = None;
        let mut captures = Vec::new();
        let (mut guard, mut body) = (None, Block::default());
        self.children(|this, child| match (child.field, child.kind) {
            (Field::Consequence, _) => body = this.block(),
            (Field::Guard, _) => guard = this.operand(),
            _ if child.named => {
                this.note_error(child);
                pattern = Some(pattern.map_or(child.span, |whole| whole.cover(child.span)));
                this.captures(&mut captures);
            }
            _ => {}
        });
        Case { pattern: pattern.unwrap_or(Span::at(at.start)), captures: captures.into(), guard, body }
    }

    /// Every identifier below the cursor's node that is not part of a dotted name may be bound by the pattern.
    fn captures(&mut self, out: &mut Vec<Span>) {
        if self.depth >= MAX_DEPTH {
            return;
        }
        self.depth += 1;
        self.children(|this, child| match child.kind {
            Kind::Identifier => out.push(child.span),
            Kind::DottedName if !this.slice(child.span).contains('.') => out.push(child.span),
            Kind::DottedName => {}
            _ => this.captures(out),
        });
        self.depth -= 1;
    }

    // Expressions ---------------------------------------------------------------------------------------------------

    fn expr(&mut self, child: Child) -> ExprId {
        if self.depth >= MAX_DEPTH {
            return self.unknown(child.span, Why::TooDeep);
        }
        self.depth += 1;
        let id = self.expr_here(child);
        self.depth -= 1;
        id
    }

    fn expr_here(&mut self, child: Child) -> ExprId {
        let at = child.span;
        let kind = match child.kind {
            Kind::Identifier | Kind::DottedName => ExprKind::Name,
            Kind::Str => return self.string(at),
            Kind::Integer if self.slice(at).ends_with(['j', 'J']) => ExprKind::Float,
            Kind::Integer => ExprKind::Int,
            Kind::Float => ExprKind::Float,
            Kind::True => ExprKind::Bool(true),
            Kind::False => ExprKind::Bool(false),
            Kind::None => ExprKind::None,
            Kind::Ellipsis => ExprKind::Ellipsis,
            Kind::Attribute => self.attribute(at),
            Kind::Call => self.call(at),
            Kind::List | Kind::ListPattern => ExprKind::List(self.items()),
            Kind::Tuple | Kind::TuplePattern | Kind::ExpressionList | Kind::PatternList => {
                ExprKind::Tuple(self.items())
            }
            Kind::Set => ExprKind::Set(self.items()),
            Kind::Dictionary => self.dictionary(),
            Kind::Subscript => self.subscript(at),
            Kind::Slice => self.slice_expr(),
            Kind::Concatenated => ExprKind::Concat(self.expressions()),
            Kind::Parenthesized | Kind::ParenthesizedSplat => return self.parenthesized(child),
            Kind::Binary => {
                return self.chain(at, Kind::Binary, |operator, left, right| {
                    BinaryOp::from_text(operator).map(|op| ExprKind::Binary { op, left, right })
                });
            }
            Kind::Boolean => {
                return self.chain(at, Kind::Boolean, |operator, left, right| {
                    BoolOp::from_text(operator).map(|op| ExprKind::BoolOp { op, left, right })
                });
            }
            Kind::Unary => self.unary(at),
            Kind::Not => {
                let operand = self.operand();
                let operand = operand.unwrap_or_else(|| self.missing_expr(at));
                ExprKind::Unary { op: UnaryOp::Not, operand }
            }
            Kind::Comparison => self.comparison(at),
            Kind::Conditional => self.conditional(at),
            Kind::Lambda => self.lambda(at),
            Kind::ListComprehension => self.comprehension(at, ComprehensionKind::List),
            Kind::SetComprehension => self.comprehension(at, ComprehensionKind::Set),
            Kind::DictComprehension => self.comprehension(at, ComprehensionKind::Dict),
            Kind::Generator => self.comprehension(at, ComprehensionKind::Generator),
            Kind::ListSplat | Kind::ListSplatPattern | Kind::DictSplat | Kind::DictSplatPattern => {
                let operand = self.operand();
                ExprKind::Starred(operand.unwrap_or_else(|| self.missing_expr(at)))
            }
            Kind::Await => {
                let operand = self.operand();
                ExprKind::Await(operand.unwrap_or_else(|| self.missing_expr(at)))
            }
            Kind::Yield => ExprKind::Yield(self.operand()),
            Kind::NamedExpression => self.walrus(at),
            // `(a as b)` outside of `with`: the value is what counts.
            Kind::AsPattern => return self.as_pattern(child).0,
            Kind::Type => return self.annotation(child),
            Kind::GenericType => self.generic_type(at),
            Kind::UnionType | Kind::MemberType | Kind::ConstrainedType | Kind::SplatType => {
                ExprKind::Unknown(Why::Dynamic("a type"))
            }
            Kind::KeywordArgument => {
                // Only inside of an error node, where the call around it was lost.
                let mut value = None;
                self.children(|this, part| {
                    if part.field == Field::Value {
                        value = Some(this.expr(part));
                    }
                });
                return value.unwrap_or_else(|| self.unknown(at, Why::Syntax));
            }
            Kind::ArgumentList | Kind::Pair => ExprKind::Tuple(self.expressions()),
            Kind::Error => {
                self.errors.push(at);
                // What was recovered inside stays in the arena's order, but nothing refers to it.
                ExprKind::Unknown(Why::Syntax)
            }
            _ => ExprKind::Unknown(Why::Syntax),
        };
        self.push(at, kind)
    }

    /// Parentheses are walked in a loop: they add nothing and may be thousands deep.
    fn parenthesized(&mut self, child: Child) -> ExprId {
        let mut levels = 0_usize;
        let mut found = None;
        let mut inner = child;
        'down: while matches!(inner.kind, Kind::Parenthesized | Kind::ParenthesizedSplat) {
            if !self.cursor.goto_first_child() {
                break;
            }
            levels += 1;
            loop {
                inner = self.here();
                if inner.named && !matches!(inner.kind, Kind::Comment | Kind::LineContinuation) {
                    if inner.kind == Kind::Error {
                        self.errors.push(inner.span);
                    } else {
                        continue 'down;
                    }
                }
                if !self.cursor.goto_next_sibling() {
                    break 'down;
                }
            }
        }
        if levels > 0 && inner.named && inner.kind != Kind::Error && inner.kind != Kind::Comment {
            found = Some(self.expr(inner));
        }
        for _ in 0..levels {
            // Errors behind the inner expression.
            while self.cursor.goto_next_sibling() {
                let sibling = self.here();
                if sibling.missing || sibling.kind == Kind::Error {
                    self.errors.push(sibling.span);
                }
            }
            self.cursor.goto_parent();
        }
        found.unwrap_or_else(|| self.missing_expr(child.span))
    }

    fn attribute(&mut self, at: Span) -> ExprKind {
        let (mut value, mut name) = (None, None);
        self.children_without_fields(|this, child| match child.kind {
            Kind::Error => this.note_error(child),
            _ if !child.named => {}
            _ if value.is_none() => value = Some(this.expr(child)),
            _ => name = Some(child.span),
        });
        let value = value.unwrap_or_else(|| self.missing_expr(at));
        ExprKind::Attribute { value, name: name.unwrap_or(Span::at(at.end)) }
    }

    fn call(&mut self, at: Span) -> ExprKind {
        let mut callee = None;
        let mut args: Box<[Argument]> = Box::default();
        self.children_without_fields(|this, child| match child.kind {
            Kind::Error => this.note_error(child),
            _ if !child.named => {}
            _ if callee.is_none() => callee = Some(this.expr(child)),
            Kind::Generator => {
                let value = this.expr(child);
                args = Box::new([Argument { span: child.span, kind: ArgumentKind::Positional, value }]);
            }
            _ => args = this.arguments(),
        });
        let callee = callee.unwrap_or_else(|| self.missing_expr(at));
        ExprKind::Call { callee, args }
    }

    fn arguments(&mut self) -> Box<[Argument]> {
        let mut args = Vec::new();
        self.children_without_fields(|this, child| {
            if !child.named {
                return;
            }
            let (kind, value) = match child.kind {
                Kind::KeywordArgument => {
                    let (mut name, mut value) = (None, None);
                    this.children_without_fields(|this, part| match part.kind {
                        Kind::Error => this.note_error(part),
                        _ if !part.named => {}
                        _ if name.is_none() => name = Some(part.span),
                        _ => value = Some(this.expr(part)),
                    });
                    let value = value.unwrap_or_else(|| this.missing_expr(child.span));
                    (name.map_or(ArgumentKind::Positional, ArgumentKind::Keyword), value)
                }
                Kind::ListSplat | Kind::DictSplat => {
                    let operand = this.operand();
                    let value = operand.unwrap_or_else(|| this.missing_expr(child.span));
                    let kind =
                        if child.kind == Kind::ListSplat { ArgumentKind::Unpack } else { ArgumentKind::UnpackMapping };
                    (kind, value)
                }
                Kind::Parenthesized => {
                    // `f((*args))` is not Python; `f((yield))` is.
                    (ArgumentKind::Positional, this.expr(child))
                }
                _ => (ArgumentKind::Positional, this.expr(child)),
            };
            args.push(Argument { span: child.span, kind, value });
        });
        args.into()
    }

    fn items(&mut self) -> Box<[ExprId]> {
        self.expressions()
    }

    fn dictionary(&mut self) -> ExprKind {
        let mut items = Vec::new();
        self.children_without_fields(|this, child| match child.kind {
            Kind::Pair => {
                let (key, value) = this.pair(child.span);
                items.push(DictItem::Pair { key, value });
            }
            Kind::DictSplat => {
                let operand = this.operand();
                items.push(DictItem::Unpack(operand.unwrap_or_else(|| this.missing_expr(child.span))));
            }
            Kind::Error => {
                let lost = this.expr(child);
                items.push(DictItem::Unpack(lost));
            }
            _ => {}
        });
        ExprKind::Dict(items.into())
    }

    fn pair(&mut self, at: Span) -> (ExprId, ExprId) {
        let (mut key, mut value) = (None, None);
        self.children_without_fields(|this, child| match child.kind {
            Kind::Error => this.note_error(child),
            _ if !child.named => {}
            _ if key.is_none() => key = Some(this.expr(child)),
            _ => value = Some(this.expr(child)),
        });
        (key.unwrap_or_else(|| self.missing_expr(at)), value.unwrap_or_else(|| self.missing_expr(at)))
    }

    fn subscript(&mut self, at: Span) -> ExprKind {
        let mut value = None;
        let mut indices = Vec::new();
        let mut commas = 0_u32;
        let mut whole: Option<Span> = None;
        self.children(|this, child| match child.field {
            Field::Value => value = Some(this.expr(child)),
            Field::Subscript => {
                whole = Some(whole.map_or(child.span, |whole| whole.cover(child.span)));
                indices.push(this.expr(child));
            }
            _ => {
                this.note_error(child);
                commas += u32::from(!child.named && this.slice(child.span) == ",");
            }
        });
        let value = value.unwrap_or_else(|| self.missing_expr(at));
        let index = match (indices.as_slice(), commas) {
            ([], _) => self.missing_expr(at),
            ([index], 0) => *index,
            _ => self.push(whole.unwrap_or(at), ExprKind::Tuple(indices.into())),
        };
        ExprKind::Subscript { value, index }
    }

    fn slice_expr(&mut self) -> ExprKind {
        let mut parts = [None; 3];
        let mut index = 0;
        self.children(|this, child| {
            if child.named {
                if let Some(part) = parts.get_mut(index) {
                    *part = Some(this.expr(child));
                }
            } else if this.slice(child.span) == ":" {
                index += 1;
            }
        });
        let [lower, upper, step] = parts;
        ExprKind::Slice { lower, upper, step }
    }

    /// `a + b + c` nests to the left: the cursor goes down to `a`, and each operator is applied on the way up.
    /// `kind` is that of the whole chain, and `apply` makes a link of it, unless its operator is none.
    fn chain(&mut self, at: Span, kind: Kind, apply: impl Fn(&str, ExprId, ExprId) -> Option<ExprKind>) -> ExprId {
        let mut spans = vec![at];
        let mut first = None;
        while self.cursor.goto_first_child() {
            let child = self.leading();
            if child.field == Field::Left && child.kind == kind && spans.len() < MAX_CHAIN {
                spans.push(child.span);
                continue;
            }
            first = Some(if child.field == Field::Left && child.kind != kind {
                self.expr(child)
            } else if child.field == Field::Left {
                self.unknown(child.span, Why::TooDeep)
            } else {
                self.missing_expr(child.span)
            });
            break;
        }
        let mut left = first.unwrap_or_else(|| self.missing_expr(at));
        while let Some(whole) = spans.pop() {
            let (mut operator, mut right) = (None, None);
            while self.cursor.goto_next_sibling() {
                let child = self.here();
                match child.field {
                    Field::Operator => operator = Some(child.span),
                    Field::Right => right = Some(self.expr(child)),
                    _ => self.note_error(child),
                }
            }
            self.cursor.goto_parent();
            let right = right.unwrap_or_else(|| self.missing_expr(whole));
            left = match operator.and_then(|operator| apply(self.slice(operator), left, right)) {
                Some(link) => self.push(whole, link),
                None => self.unknown(whole, Why::Syntax),
            };
        }
        left
    }

    /// Move over comments and errors in front of the first operand; the cursor stands on a first child.
    fn leading(&mut self) -> Child {
        loop {
            let child = self.here();
            self.note_error(child);
            let skipped = matches!(child.kind, Kind::Comment | Kind::LineContinuation | Kind::Error);
            if !skipped || !self.cursor.goto_next_sibling() {
                return child;
            }
        }
    }

    fn unary(&mut self, at: Span) -> ExprKind {
        let (mut op, mut operand) = (None, None);
        self.children(|this, child| match child.field {
            Field::Operator => op = UnaryOp::from_text(this.slice(child.span)),
            Field::Argument => operand = Some(this.expr(child)),
            _ => this.note_error(child),
        });
        let operand = operand.unwrap_or_else(|| self.missing_expr(at));
        op.map_or(ExprKind::Unknown(Why::Syntax), |op| ExprKind::Unary { op, operand })
    }

    fn comparison(&mut self, at: Span) -> ExprKind {
        let mut left = None;
        let mut op = None;
        let mut rest = Vec::new();
        self.children(|this, child| {
            if child.field == Field::Operators {
                // `not  in` may hold any white space.
                let text = this.slice(child.span);
                op = CompareOp::from_text(text).or_else(|| match text {
                    "<>" => Some(CompareOp::NotEq),
                    _ => CompareOp::from_text(&text.split_whitespace().collect::<Vec<_>>().join(" ")),
                });
            } else if child.named {
                let operand = this.expr(child);
                if left.is_none() {
                    left = Some(operand);
                } else if let Some(op) = op.take() {
                    rest.push((op, operand));
                }
            }
        });
        let left = left.unwrap_or_else(|| self.missing_expr(at));
        if rest.is_empty() {
            return ExprKind::Unknown(Why::Syntax);
        }
        ExprKind::Compare { left, rest: rest.into() }
    }

    fn conditional(&mut self, at: Span) -> ExprKind {
        let operands = self.expressions();
        match *operands {
            [body, test, orelse] => ExprKind::Conditional { body, test, orelse },
            _ => {
                self.errors.push(at);
                ExprKind::Unknown(Why::Syntax)
            }
        }
    }

    fn lambda(&mut self, at: Span) -> ExprKind {
        let mut params = Vec::new();
        let mut body = None;
        self.children(|this, child| match child.field {
            Field::Parameters => params = this.params(),
            Field::Body => body = Some((child.span, this.expr(child))),
            _ => this.note_error(child),
        });
        let body = body.map(|(span, value)| Stmt { span, kind: StmtKind::Return(Some(value)) });
        let id = self.push_function(Function {
            span: at,
            name: Span::at(at.start),
            params: params.into(),
            decorators: Box::default(),
            is_async: false,
            body: body.into_iter().collect(),
        });
        ExprKind::Lambda(id)
    }

    fn comprehension(&mut self, at: Span, kind: ComprehensionKind) -> ExprKind {
        let (mut element, mut value) = (None, None);
        let mut clauses = Vec::new();
        self.children(|this, child| match (child.field, child.kind) {
            (Field::Body, Kind::Pair) => {
                let (key, item) = this.pair(child.span);
                (element, value) = (Some(key), Some(item));
            }
            (Field::Body, _) => element = Some(this.expr(child)),
            (_, Kind::ForIn) => {
                let (mut target, mut iters) = (None, Vec::new());
                this.children(|this, part| match part.field {
                    Field::Left => target = Some(this.expr(part)),
                    Field::Right if part.named => iters.push(this.expr(part)),
                    _ => this.note_error(part),
                });
                let target = target.unwrap_or_else(|| this.missing_expr(child.span));
                let iter = match iters.as_slice() {
                    [iter] => *iter,
                    [] => this.missing_expr(child.span),
                    _ => this.push(child.span, ExprKind::Tuple(iters.into())),
                };
                clauses.push(ComprehensionClause::For { target, iter });
            }
            (_, Kind::IfClause) => {
                let test = this.operand();
                clauses.push(ComprehensionClause::If(test.unwrap_or_else(|| this.missing_expr(child.span))));
            }
            _ => this.note_error(child),
        });
        let element = element.unwrap_or_else(|| self.missing_expr(at));
        ExprKind::Comprehension { kind, element, value, clauses: clauses.into() }
    }

    fn walrus(&mut self, at: Span) -> ExprKind {
        let (mut name, mut value) = (None, None);
        self.children(|this, child| match child.field {
            Field::Name => name = Some(child.span),
            Field::Value => value = Some(this.expr(child)),
            _ => this.note_error(child),
        });
        let value = value.unwrap_or_else(|| self.missing_expr(at));
        ExprKind::Walrus { name: name.unwrap_or(Span::at(at.start)), value }
    }

    /// A literal without replacement fields is only its span; the prefix tells which literals have them.
    fn string(&mut self, at: Span) -> ExprId {
        let prefix = self.slice(at).bytes().take_while(u8::is_ascii_alphabetic);
        let (mut bytes, mut fields) = (false, false);
        for letter in prefix {
            bytes |= matches!(letter, b'b' | b'B');
            fields |= matches!(letter, b'f' | b'F' | b't' | b'T');
        }
        let kind = if bytes {
            ExprKind::Bytes
        } else if fields {
            ExprKind::FString(self.fstring_parts(true))
        } else {
            ExprKind::Str
        };
        if self.has_error && matches!(kind, ExprKind::Str | ExprKind::Bytes) && self.cursor.node().has_error() {
            // An unterminated literal: the closing quote is made up.
            self.errors.push(at);
        }
        self.push(at, kind)
    }

    /// The parts of an f-string, or of the format behind a field's `:`, which has no quotes of its own.
    fn fstring_parts(&mut self, quoted: bool) -> Box<[FStringPart]> {
        let mut parts = Vec::new();
        // Format specifiers hold anonymous text between their fields.
        let mut position = (!quoted).then_some(self.here().span.start + 1);
        let end = self.here().span.end;
        self.children(|this, child| match child.kind {
            Kind::StringContent => parts.push(FStringPart::Text(child.span)),
            Kind::Interpolation | Kind::FormatExpression => {
                if let Some(from) = position
                    && from < child.span.start
                {
                    parts.push(FStringPart::Text(Span::new(from, child.span.start)));
                }
                position = position.map(|_| child.span.end);
                parts.push(this.field(child.span));
            }
            _ => this.note_error(child),
        });
        if let Some(from) = position
            && from < end
        {
            parts.push(FStringPart::Text(Span::new(from, end)));
        }
        parts.into()
    }

    fn field(&mut self, at: Span) -> FStringPart {
        let (mut value, mut equals, mut conversion) = (None, None, None);
        let mut format: Box<[FStringPart]> = Box::default();
        if self.depth >= MAX_DEPTH {
            let value = self.unknown(at, Why::TooDeep);
            return FStringPart::Field { span: at, value, debug: None, conversion, format };
        }
        self.depth += 1;
        self.children(|this, child| match (child.field, child.kind) {
            (Field::Expression, _) => value = Some(this.expr(child)),
            (_, Kind::TypeConversion) => conversion = this.slice(child.span).chars().nth(1),
            (_, Kind::FormatSpecifier) => format = this.fstring_parts(false),
            (_, Kind::Error) => this.errors.push(child.span),
            _ if this.slice(child.span) == "=" => equals = Some(child.span.end),
            _ => {}
        });
        self.depth -= 1;
        let value = value.unwrap_or_else(|| self.missing_expr(at));
        let debug = equals.map(|end| Span::new(at.start + 1, end));
        FStringPart::Field { span: at, value, debug, conversion, format }
    }
}
