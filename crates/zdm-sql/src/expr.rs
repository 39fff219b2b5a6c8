//! Expressions to [`SqlExpr`].
//!
//! The grammar of expressions is the library's; its tree is lowered to [`ExprNode`] here. Simple ones, which are nearly all that
//! migrations hold, are read from the tokens directly; a differential test holds the two ways together. What the library does not
//! read is `Other`, with the columns, calls and relations that it names.

use std::ops::ControlFlow;

use sqlparser::ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Tokenizer;
use zdm_postgres::expr::ExprNode;
use zdm_postgres::{DataType, Ident, QualifiedName, SqlExpr};

use crate::cursor::Cursor;
use crate::lexer::{Kind, Lexer, Token};
use crate::literal;
use crate::query;

/// Functions that are called without parentheses. Source: PostgreSQL manual, "Date/Time Functions" and "System Information Functions".
pub(crate) const KEYWORD_FUNCTIONS: [&str; 12] = [
    "CURRENT_CATALOG",
    "CURRENT_DATE",
    "CURRENT_ROLE",
    "CURRENT_SCHEMA",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "SESSION_USER",
    "SYSTEM_USER",
    "USER",
];

/// How deep the library may go. It counts several levels for each parenthesis; the stack of a thread holds many times this.
const DEPTH: usize = 100;

/// How many operators a chain may have: a tree is as deep as its longest chain.
const OPERATORS: usize = 400;

/// The expression of these tokens, all of them.
pub(crate) fn read(text: &str, tokens: &[Token]) -> SqlExpr {
    let cursor = Cursor::new(text, tokens);
    let source = cursor.source_of(0, tokens.len());
    let node = simple(&cursor).unwrap_or_else(|| by_library(&cursor, source).unwrap_or_else(|| other(&cursor, source)));
    SqlExpr::new(source, node)
}

/// Literals, columns, calls without arguments, and casts of these. `None`: something else.
fn simple(cursor: &Cursor<'_>) -> Option<ExprNode> {
    let mut cursor = cursor.clone();
    // Parentheses around everything.
    while cursor.is_kind(Kind::LParen) {
        let last = cursor.tokens.len() - 1;
        let inside = cursor.tokens.get(cursor.at + 1..last)?;
        if cursor.after_closing(cursor.at).ok()? != cursor.tokens.len() || inside.is_empty() {
            return None;
        }
        cursor.tokens = &cursor.tokens[..last];
        cursor.at += 1;
    }
    let node = operand(&mut cursor)?;
    let node = if cursor.accept_operator("::") {
        ExprNode::Cast { expr: Box::new(node), data_type: cursor.data_type().ok()? }
    } else {
        node
    };
    cursor.is_at_end().then_some(node)
}

fn operand(cursor: &mut Cursor<'_>) -> Option<ExprNode> {
    let token = cursor.peek()?;
    let source = cursor.source(token);
    let ahead = cursor.nth(1);
    match token.kind {
        Kind::Number => {
            cursor.at += 1;
            Some(ExprNode::Number(source.to_owned()))
        }
        Kind::Operator if source == "-" => {
            let number = ahead.filter(|token| token.kind == Kind::Number)?;
            // `- 1::int` is `-(1::int)`.
            if cursor.tokens.len() > cursor.at + 2 {
                return None;
            }
            cursor.at += 2;
            let expr = Box::new(ExprNode::Number(cursor.source(number).to_owned()));
            Some(ExprNode::Prefix { operator: "-".to_owned(), expr })
        }
        Kind::String | Kind::EscapeString | Kind::Dollar => {
            let value = literal::string_value(cursor.text, token)?;
            cursor.at += 1;
            Some(ExprNode::Text(value))
        }
        Kind::Placeholder | Kind::Parameter => {
            cursor.at += 1;
            Some(ExprNode::Other { text: source.to_owned(), parts: Vec::new() })
        }
        Kind::Quoted => column(cursor),
        Kind::Word => {
            let upper = source.to_ascii_uppercase();
            let alone = ahead.is_none() || cursor.is_operator_nth(1, "::");
            let node = match upper.as_str() {
                "NULL" => ExprNode::Null,
                "TRUE" => ExprNode::Bool(true),
                "FALSE" => ExprNode::Bool(false),
                "DEFAULT" => ExprNode::Default,
                name if alone && KEYWORD_FUNCTIONS.contains(&name) => ExprNode::Call {
                    function: QualifiedName::new(upper.to_ascii_lowercase()),
                    args: Vec::new(),
                    keyword: true,
                },
                name if query::is_reserved(name) => return None,
                name if is_special_function(name) => return None,
                _ => return column(cursor),
            };
            cursor.at += 1;
            Some(node)
        }
        _ => None,
    }
}

/// `name`, `table.name`, `name()`.
fn column(cursor: &mut Cursor<'_>) -> Option<ExprNode> {
    let mut parts = cursor.dotted().ok()?;
    if cursor.is_kind(Kind::LParen) {
        if !cursor.is_kind_nth(1, Kind::RParen) {
            return None;
        }
        cursor.at += 2;
        return Some(ExprNode::Call { function: function_name(parts), args: Vec::new(), keyword: false });
    }
    let name = parts.pop()?;
    Some(ExprNode::Column { qualifier: parts.pop(), name })
}

/// Functions with a grammar of their own.
fn is_special_function(name: &str) -> bool {
    matches!(
        name,
        "COALESCE"
            | "EXTRACT"
            | "GREATEST"
            | "GROUPING"
            | "INTERVAL"
            | "LEAST"
            | "NORMALIZE"
            | "NULLIF"
            | "OVERLAY"
            | "POSITION"
            | "ROW"
            | "SUBSTRING"
            | "TREAT"
            | "TRIM"
            | "CURRENT_TIME"
            | "CURRENT_TIMESTAMP"
            | "LOCALTIME"
            | "LOCALTIMESTAMP"
    )
}

fn function_name(mut parts: Vec<Ident>) -> QualifiedName {
    let name = parts.pop().unwrap_or_else(|| Ident::from(""));
    match parts.pop() {
        Some(schema) if schema != "pg_catalog" => QualifiedName::with_schema(schema, name),
        _ => QualifiedName::new(name),
    }
}

/// What is known of an expression that cannot be read.
fn other(cursor: &Cursor<'_>, source: &str) -> ExprNode {
    let found = query::read(cursor.text, cursor.tokens);
    let mut parts: Vec<ExprNode> =
        found.columns.into_iter().map(|name| ExprNode::Column { qualifier: None, name }).collect();
    parts.extend(found.functions.into_iter().map(|function| ExprNode::Call {
        function,
        args: Vec::new(),
        keyword: false,
    }));
    if !found.relations.is_empty() {
        parts.push(ExprNode::Subquery { relations: found.relations });
    }
    ExprNode::Other { text: source.to_owned(), parts }
}

fn other_text(text: &str) -> ExprNode {
    let tokens: Vec<Token> = Lexer::new(text).collect();
    other(&Cursor::new(text, &tokens), text)
}

/// The library's reading, lowered. `None`: it does not read it, or it would go too deep.
fn by_library(cursor: &Cursor<'_>, source: &str) -> Option<ExprNode> {
    let deep = |token: &&Token| match token.kind {
        Kind::Operator | Kind::LBracket => true,
        Kind::Word => {
            let word = cursor.source(**token);
            word.len() <= 9
                && ["UNION", "INTERSECT", "EXCEPT", "COLLATE", "IS", "AT", "NOT", "LIKE", "ISNULL", "NOTNULL"]
                    .iter()
                    .any(|deep| word.eq_ignore_ascii_case(deep))
        }
        _ => false,
    };
    let chained = |token: &&Token| {
        token.kind == Kind::Word && {
            let word = cursor.source(**token);
            word.eq_ignore_ascii_case("AND") || word.eq_ignore_ascii_case("OR")
        }
    };
    if cursor.tokens.iter().filter(deep).count() > OPERATORS
        || cursor.tokens.iter().filter(chained).count() > 2 * OPERATORS
    {
        return None;
    }
    let masked = mask_placeholders(cursor, source);
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, masked.as_deref().unwrap_or(source)).tokenize().ok()?;
    let mut parser = Parser::new(&dialect).with_recursion_limit(DEPTH).with_tokens(tokens);
    let expr = parser.parse_expr().ok()?;
    (parser.peek_token_ref().token == sqlparser::tokenizer::Token::EOF).then(|| lower(&expr))
}

/// The driver's placeholders as parameters of the same length, so that the library reads them.
fn mask_placeholders(cursor: &Cursor<'_>, source: &str) -> Option<String> {
    let first = cursor.tokens.first()?.start;
    let mut masked: Option<String> = None;
    for token in cursor.tokens.iter().filter(|token| token.kind == Kind::Placeholder) {
        let length = token.end - token.start;
        let range = token.start.checked_sub(first)?..token.end.checked_sub(first)?;
        masked.get_or_insert_with(|| source.to_owned()).replace_range(range, &format!("{MASK:<length$}"));
    }
    masked
}

/// No parameter has this number.
const MASK: &str = "$0";

// Lowering

fn lower(expr: &ast::Expr) -> ExprNode {
    use ast::Expr as E;
    let boxed = |expr: &ast::Expr| Box::new(lower(expr));
    let truth = |expr: &ast::Expr, value, negated| ExprNode::IsTruth { expr: boxed(expr), value, negated };
    match expr {
        E::Nested(inner) => lower(inner),
        E::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("DEFAULT") => {
            ExprNode::Default
        }
        E::Identifier(name) => ExprNode::Column { qualifier: None, name: lower_ident(name) },
        E::CompoundIdentifier(parts) => {
            let mut parts: Vec<Ident> = parts.iter().map(lower_ident).collect();
            match parts.pop() {
                Some(name) => ExprNode::Column { qualifier: parts.pop(), name },
                None => other_text(&expr.to_string()),
            }
        }
        E::Value(value) => lower_value(&value.value),
        E::IsNull(inner) => ExprNode::IsNull { expr: boxed(inner), negated: false },
        E::IsNotNull(inner) => ExprNode::IsNull { expr: boxed(inner), negated: true },
        E::IsTrue(inner) => truth(inner, Some(true), false),
        E::IsNotTrue(inner) => truth(inner, Some(true), true),
        E::IsFalse(inner) => truth(inner, Some(false), false),
        E::IsNotFalse(inner) => truth(inner, Some(false), true),
        E::IsUnknown(inner) => truth(inner, None, false),
        E::IsNotUnknown(inner) => truth(inner, None, true),
        E::IsDistinctFrom(left, right) => {
            ExprNode::IsDistinctFrom { left: boxed(left), right: boxed(right), negated: false }
        }
        E::IsNotDistinctFrom(left, right) => {
            ExprNode::IsDistinctFrom { left: boxed(left), right: boxed(right), negated: true }
        }
        E::InList { expr, list, negated } => {
            ExprNode::InList { expr: boxed(expr), list: list.iter().map(lower).collect(), negated: *negated }
        }
        E::InSubquery { expr: operand, subquery, .. } => {
            ExprNode::Other { text: expr.to_string(), parts: vec![lower(operand), lower_query(subquery)] }
        }
        E::Exists { subquery, negated } => {
            let exists = lower_query(subquery);
            if *negated { ExprNode::Not(Box::new(exists)) } else { exists }
        }
        E::Subquery(query) => lower_query(query),
        E::Between { expr, negated, low, high } => {
            ExprNode::Between { expr: boxed(expr), low: boxed(low), high: boxed(high), negated: *negated }
        }
        E::BinaryOp { .. } => lower_chain(expr),
        E::Like { negated, any: false, expr, pattern, escape_char: None } => like("LIKE", *negated, expr, pattern),
        E::ILike { negated, any: false, expr, pattern, escape_char: None } => like("ILIKE", *negated, expr, pattern),
        E::SimilarTo { negated, expr, pattern, escape_char: None } => like("SIMILAR TO", *negated, expr, pattern),
        E::AnyOp { left, right, .. } | E::AllOp { left, right, .. } => {
            ExprNode::Other { text: expr.to_string(), parts: vec![lower(left), lower(right)] }
        }
        E::UnaryOp { op: ast::UnaryOperator::Not, expr } => ExprNode::Not(boxed(expr)),
        E::UnaryOp { op, expr } => ExprNode::Prefix { operator: op.to_string(), expr: boxed(expr) },
        E::Cast { expr, data_type, .. } => cast(lower(expr), data_type),
        E::TypedString(typed) => cast(lower_value(&typed.value.value), &typed.data_type),
        E::Interval(interval) => lower_interval(interval),
        E::AtTimeZone { timestamp, time_zone } => {
            ExprNode::AtTimeZone { expr: boxed(timestamp), zone: boxed(time_zone) }
        }
        E::Extract { field, expr, .. } => {
            let field = field.to_string();
            let field = field.trim_matches(['"', '\'']).to_lowercase();
            call("extract", vec![ExprNode::Text(field), lower(expr)])
        }
        E::Ceil { expr: operand, field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
            call("ceil", vec![lower(operand)])
        }
        E::Floor { expr: operand, field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
            call("floor", vec![lower(operand)])
        }
        E::Position { expr, r#in } => call("position", vec![lower(r#in), lower(expr)]),
        E::Substring { expr, substring_from, substring_for, shorthand, .. } => {
            let mut args = vec![lower(expr)];
            match (substring_from, substring_for) {
                (None, Some(length)) => args.extend([ExprNode::Number("1".to_owned()), lower(length)]),
                (from, length) => args.extend(from.iter().chain(length).map(|arg| lower(arg))),
            }
            call(if *shorthand { "substr" } else { "substring" }, args)
        }
        E::Trim { trim_where, trim_what, expr, trim_characters } => {
            let name = match trim_where {
                Some(ast::TrimWhereField::Leading) => "ltrim",
                Some(ast::TrimWhereField::Trailing) => "rtrim",
                Some(ast::TrimWhereField::Both) | None => "btrim",
            };
            let mut args = vec![lower(expr)];
            args.extend(trim_what.iter().map(|what| lower(what)));
            args.extend(trim_characters.iter().flatten().map(lower));
            call(name, args)
        }
        E::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            let mut args = vec![lower(expr), lower(overlay_what), lower(overlay_from)];
            args.extend(overlay_for.iter().map(|length| lower(length)));
            call("overlay", args)
        }
        E::Collate { expr, collation } => ExprNode::Collate { expr: boxed(expr), collation: object_name(collation) },
        E::Function(function) => lower_function(function),
        E::Case { operand, conditions, else_result, .. } => ExprNode::Case {
            operand: operand.as_deref().map(boxed),
            branches: conditions.iter().map(|case| (lower(&case.condition), lower(&case.result))).collect(),
            otherwise: else_result.as_deref().map(boxed),
        },
        E::Tuple(list) => ExprNode::Row(list.iter().map(lower).collect()),
        E::Array(array) => ExprNode::Array(array.elem.iter().map(lower).collect()),
        E::CompoundFieldAccess { root, access_chain } => {
            let folded = access_chain.iter().try_fold(lower(root), |node, access| match access {
                ast::AccessExpr::Subscript(ast::Subscript::Index { index }) => {
                    ControlFlow::Continue(ExprNode::Subscript { expr: Box::new(node), index: Box::new(lower(index)) })
                }
                _ => ControlFlow::Break(()),
            });
            match folded {
                ControlFlow::Continue(node) => node,
                ControlFlow::Break(()) => other_text(&expr.to_string()),
            }
        }
        _ => other_text(&expr.to_string()),
    }
}

fn call(name: &str, args: Vec<ExprNode>) -> ExprNode {
    ExprNode::Call { function: QualifiedName::new(name), args, keyword: false }
}

fn like(operator: &str, negated: bool, expr: &ast::Expr, pattern: &ast::Expr) -> ExprNode {
    ExprNode::Like {
        operator: operator.to_owned(),
        expr: Box::new(lower(expr)),
        pattern: Box::new(lower(pattern)),
        negated,
    }
}

/// Chains lean to the left: they are walked, not recursed into.
fn lower_chain(expr: &ast::Expr) -> ExprNode {
    let mut rights = Vec::new();
    let mut leftmost = expr;
    while let ast::Expr::BinaryOp { left, op, right } = leftmost {
        rights.push((op, right));
        leftmost = left;
    }
    let mut node = lower(leftmost);
    for (op, right) in rights.into_iter().rev() {
        let right = lower(right);
        node = match op {
            ast::BinaryOperator::And => match (node, right) {
                (ExprNode::And(mut list), ExprNode::And(more)) => {
                    list.extend(more);
                    ExprNode::And(list)
                }
                (ExprNode::And(mut list), right) => {
                    list.push(right);
                    ExprNode::And(list)
                }
                (left, ExprNode::And(more)) => ExprNode::And(std::iter::once(left).chain(more).collect()),
                (left, right) => ExprNode::And(vec![left, right]),
            },
            ast::BinaryOperator::Or => match (node, right) {
                (ExprNode::Or(mut list), ExprNode::Or(more)) => {
                    list.extend(more);
                    ExprNode::Or(list)
                }
                (ExprNode::Or(mut list), right) => {
                    list.push(right);
                    ExprNode::Or(list)
                }
                (left, ExprNode::Or(more)) => ExprNode::Or(std::iter::once(left).chain(more).collect()),
                (left, right) => ExprNode::Or(vec![left, right]),
            },
            ast::BinaryOperator::PGCustomBinaryOperator(parts) => ExprNode::Infix {
                operator: parts.last().cloned().unwrap_or_default(),
                left: Box::new(node),
                right: Box::new(right),
            },
            op => ExprNode::Infix { operator: op.to_string(), left: Box::new(node), right: Box::new(right) },
        };
    }
    node
}

fn lower_ident(ident: &ast::Ident) -> Ident {
    if ident.quote_style.is_some() {
        Ident::from(ident.value.as_str())
    } else {
        Ident::from(ident.value.to_ascii_lowercase())
    }
}

fn object_name(name: &ast::ObjectName) -> QualifiedName {
    function_name(name.0.iter().filter_map(|part| part.as_ident().map(lower_ident)).collect())
}

fn lower_value(value: &ast::Value) -> ExprNode {
    match value {
        ast::Value::Number(number, _) => ExprNode::Number(number.clone()),
        ast::Value::Boolean(value) => ExprNode::Bool(*value),
        ast::Value::Null => ExprNode::Null,
        ast::Value::DollarQuotedString(string) => ExprNode::Text(string.value.clone()),
        ast::Value::SingleQuotedString(text)
        | ast::Value::EscapedStringLiteral(text)
        | ast::Value::UnicodeStringLiteral(text)
        | ast::Value::NationalStringLiteral(text) => ExprNode::Text(text.clone()),
        ast::Value::Placeholder(name) => {
            ExprNode::Other { text: if name == MASK { "%s".to_owned() } else { name.clone() }, parts: Vec::new() }
        }
        other => ExprNode::Other { text: other.to_string(), parts: Vec::new() },
    }
}

/// The library's types go back to text: the reader of types is one.
fn cast(expr: ExprNode, data_type: &ast::DataType) -> ExprNode {
    let text = data_type.to_string();
    match crate::parse_data_type(&text) {
        Some(data_type) => ExprNode::Cast { expr: Box::new(expr), data_type },
        None => ExprNode::Other { text, parts: vec![expr] },
    }
}

fn lower_interval(interval: &ast::Interval) -> ExprNode {
    let mut data_type = DataType::named("interval");
    data_type.fields = interval.leading_field.as_ref().map(|from| {
        let from = from.to_string().to_lowercase();
        match &interval.last_field {
            Some(to) => format!("{from} to {}", to.to_string().to_lowercase()),
            None => from,
        }
    });
    data_type.modifiers = interval
        .fractional_seconds_precision
        .or(interval.leading_precision)
        .and_then(|precision| i32::try_from(precision).ok())
        .into_iter()
        .collect();
    ExprNode::Cast { expr: Box::new(lower(&interval.value)), data_type }
}

fn lower_query(query: &ast::Query) -> ExprNode {
    let text = query.to_string();
    let tokens: Vec<Token> = Lexer::new(&text).collect();
    ExprNode::Subquery { relations: query::read(&text, &tokens).relations }
}

fn lower_function(function: &ast::Function) -> ExprNode {
    let whole = || function.to_string();
    let name = object_name(&function.name);
    let (args, plain) = match &function.args {
        ast::FunctionArguments::None => (Vec::new(), true),
        ast::FunctionArguments::Subquery(query) => (vec![lower_query(query)], false),
        ast::FunctionArguments::List(list) => {
            let args = list.args.iter().map(lower_argument).collect();
            (args, list.duplicate_treatment.is_none() && list.clauses.is_empty())
        }
    };
    let keyword = matches!(function.args, ast::FunctionArguments::None);
    let quoted = function.name.0.iter().any(|part| part.as_ident().is_some_and(|ident| ident.quote_style.is_some()));
    if name.schema.is_none() && !quoted && name.name == "row" {
        return ExprNode::Row(args);
    }
    let plain = plain
        && function.within_group.is_empty()
        && function.filter.is_none()
        && function.over.is_none()
        && function.null_treatment.is_none();
    let call = ExprNode::Call { function: name, args, keyword };
    if plain {
        return call;
    }
    // An aggregate with DISTINCT or FILTER, a window function: what it calls is known, what it means is not.
    let mut parts = vec![call];
    parts.extend(function.filter.iter().map(|filter| lower(filter)));
    parts.extend(function.within_group.iter().map(|order| lower(&order.expr)));
    if let Some(ast::WindowType::WindowSpec(window)) = &function.over {
        parts.extend(window.partition_by.iter().map(lower));
        parts.extend(window.order_by.iter().map(|order| lower(&order.expr)));
    }
    ExprNode::Other { text: whole(), parts }
}

fn lower_argument(argument: &ast::FunctionArg) -> ExprNode {
    let value = |arg: &ast::FunctionArgExpr| match arg {
        ast::FunctionArgExpr::Expr(expr) => lower(expr),
        other => ExprNode::Other { text: other.to_string(), parts: Vec::new() },
    };
    match argument {
        ast::FunctionArg::Unnamed(arg) => value(arg),
        ast::FunctionArg::Named { arg, .. } => ExprNode::Other { text: argument.to_string(), parts: vec![value(arg)] },
        ast::FunctionArg::ExprNamed { name, arg, .. } => {
            ExprNode::Other { text: argument.to_string(), parts: vec![lower(name), value(arg)] }
        }
    }
}
