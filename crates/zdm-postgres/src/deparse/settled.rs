//! What becomes of an expression when the type of a column in it changes.
//!
//! The server prints the expression and reads it again (`ATPostAlterTypeParse`): what it had concluded from the old type,
//! the types of literals and the casts that it had added, is written out by then and stays.

use super::operator::is_same;
use super::{
    LONGEST_REPEATED, Printed, Printer, Typed, argument, common_of, in_parts, joined_to, keeps_precision, plain,
    signature,
};
use crate::catalog::{Catalog, Table, UserTypeKind};
use crate::data_type::DataType;
use crate::expr::{ExprNode, SqlExpr, like_operator};
use crate::statement::TypeDefinition;

/// The expression with everything written out that the server concluded from the types of the table's columns.
pub(crate) fn settled(catalog: &Catalog, table: &Table, expr: &SqlExpr) -> SqlExpr {
    let node = Printer { catalog, table }.settle(&expr.node);
    SqlExpr::new(expr.text.clone(), node)
}

/// Why the server cannot read the expression on these columns: an error code and its message, as far as types of
/// PostgreSQL's own decide it.
pub(crate) fn unreadable(catalog: &Catalog, table: &Table, expr: &SqlExpr) -> Option<(&'static str, String)> {
    Printer { catalog, table }.mismatch(&expr.node)
}

/// Whether [`unreadable`] has seen all that can make it so.
pub(crate) fn is_understood(catalog: &Catalog, table: &Table, expr: &SqlExpr) -> bool {
    let printer = Printer { catalog, table };
    let mut understood = true;
    expr.node.walk(&mut |node| match node {
        ExprNode::Column { .. } => understood &= printer.built_in(node).is_some(),
        ExprNode::Call { function, .. } => {
            understood &= signature(&function.name.as_str().to_ascii_lowercase()).0.is_some();
        }
        ExprNode::Prefix { .. } | ExprNode::Quantified { .. } | ExprNode::Other { .. } | ExprNode::Subquery { .. } => {
            understood = false;
        }
        ExprNode::Infix { operator, .. } => understood &= COMPARISONS.contains(&operator.as_str()),
        _ => {}
    });
    understood
}

/// Operators that any type has for values of itself, or of arrays of itself.
const COMPARISONS: [&str; 10] = ["=", "<>", "!=", "<", "<=", ">", ">=", "@>", "<@", "&&"];

impl Printer<'_> {
    fn settle(&self, node: &ExprNode) -> ExprNode {
        match node {
            ExprNode::Infix { operator, left, right } => {
                let (left, right) = self.settle_pair(operator, left, right);
                ExprNode::Infix { operator: operator.clone(), left: Box::new(left), right: Box::new(right) }
            }
            ExprNode::IsDistinctFrom { left, right, negated } => {
                let (left, right) = self.settle_pair("=", left, right);
                ExprNode::IsDistinctFrom { left: Box::new(left), right: Box::new(right), negated: *negated }
            }
            ExprNode::Like { operator, expr, pattern, escape: None, negated } => {
                let symbol = like_operator(operator, *negated).unwrap_or("=");
                let (expr, pattern) = self.settle_pair(symbol, expr, pattern);
                ExprNode::Like {
                    operator: operator.clone(),
                    expr: Box::new(expr),
                    pattern: Box::new(pattern),
                    escape: None,
                    negated: *negated,
                }
            }
            ExprNode::Between { expr, low, high, symmetric: false, negated }
                if self.print(expr).text.len() <= LONGEST_REPEATED =>
            {
                let compare = |operator: &str, other: &ExprNode| {
                    let (left, right) = self.settle_pair(operator, expr, other);
                    ExprNode::Infix { operator: operator.to_owned(), left: Box::new(left), right: Box::new(right) }
                };
                if *negated {
                    ExprNode::Or(vec![compare("<", low), compare(">", high)])
                } else {
                    ExprNode::And(vec![compare(">=", low), compare("<=", high)])
                }
            }
            ExprNode::InList { expr, list, negated } => self.settle_list(expr, list, *negated),
            ExprNode::Call { function, args, keyword } => {
                let lower = function.name.as_str().to_ascii_lowercase();
                if let ("nullif", [left, right]) = (lower.as_str(), args.as_slice()) {
                    let (left, right) = self.settle_pair("=", left, right);
                    return ExprNode::Call { function: function.clone(), args: vec![left, right], keyword: *keyword };
                }
                let printed = self.printed(args);
                let types: Vec<&Typed> = printed.iter().map(|(typed, _)| typed).collect();
                let own = self.function(function, args.len());
                let arg = |(place, (typed, arg)): (usize, &Printed<'_>)| match argument(
                    self.catalog,
                    own,
                    &lower,
                    &types,
                    place,
                ) {
                    Some(wanted) => self.settle_operand(typed.clone(), arg, &wanted),
                    None => self.settle(arg),
                };
                let args = printed.iter().enumerate().map(arg).collect();
                ExprNode::Call { function: function.clone(), args, keyword: *keyword }
            }
            node => {
                let mut node = node.clone();
                for child in node.children_mut() {
                    *child = self.settle(child);
                }
                flattened(node)
            }
        }
    }

    fn settle_pair(&self, operator: &str, left: &ExprNode, right: &ExprNode) -> (ExprNode, ExprNode) {
        let (typed_left, typed_right) = (self.print(left), self.print(right));
        if let Some(chosen) = self.chosen(operator, &typed_left, &typed_right)
            && let [wanted_left, wanted_right] = chosen.arguments.as_slice()
        {
            let (left, right) = ((&typed_left, left), (&typed_right, right));
            return (self.settle_as(left, wanted_left), self.settle_as(right, wanted_right));
        }
        let (typed_left, typed_right) = (self.of_base_type(typed_left), self.of_base_type(typed_right));
        let text = || Some(DataType::named("text"));
        let wanted = match operator {
            "->" | "->>" | "?" | "~" | "~*" | "!~" | "!~*" => text(),
            "#>" | "#>>" | "?|" | "?&" => text().map(DataType::array),
            "@>" | "<@" | "&&" => typed_left.data_type.as_ref().map(plain),
            "||" if joined_to(&typed_left, &typed_right) || joined_to(&typed_right, &typed_left) => text(),
            _ => self.common(&typed_left, &typed_right),
        };
        let Some(wanted) = wanted else { return (self.settle_as_base(left), self.settle_as_base(right)) };
        // What looks into a value leaves the value as it is.
        let into = matches!(operator, "->" | "->>" | "?" | "#>" | "#>>" | "?|" | "?&");
        let side = |typed: Typed, node: &ExprNode| {
            if keeps_precision(&typed, &wanted) {
                self.settle_as_base(node)
            } else {
                self.settle_operand(typed, node, &wanted)
            }
        };
        (if into { self.settle(left) } else { side(typed_left, left) }, side(typed_right, right))
    }

    fn settle_list(&self, expr: &ExprNode, list: &[ExprNode], negated: bool) -> ExprNode {
        if let Some(parts) = in_parts(list).filter(|_| self.print(expr).text.len() <= LONGEST_REPEATED) {
            let parts = parts.iter().map(|part| self.settle_list(expr, part, negated)).collect();
            return if negated { ExprNode::And(parts) } else { ExprNode::Or(parts) };
        }
        if let [only] = list {
            let operator = if negated { "<>" } else { "=" };
            let (left, right) = self.settle_pair(operator, expr, only);
            return ExprNode::Infix { operator: operator.to_owned(), left: Box::new(left), right: Box::new(right) };
        }
        let operand = self.print(expr);
        let items = self.printed(list);
        let types: Vec<Typed> = items.iter().map(|(typed, _)| typed.clone()).collect();
        let symbol = if negated { "<>" } else { "=" };
        let (array, expr) = if let Some(compared) = self.compared(symbol, &operand, &types, true) {
            // The elements are converted one by one.
            let item = |(typed, item): &Printed<'_>| {
                let item = self.settle_as((typed, item), &compared.element);
                if is_same(&compared.element, &compared.right) { item } else { cast(item, &compared.right) }
            };
            (items.iter().map(item).collect(), self.settle_as((&operand, expr), &compared.left))
        } else {
            let operand = self.of_base_type(operand);
            let alternatives = std::iter::once(&operand).chain(&types);
            let wanted = common_of(self.catalog, alternatives).unwrap_or_else(|| DataType::named("text"));
            let array = items.into_iter().map(|(typed, item)| self.settle_operand(typed, item, &wanted)).collect();
            let expr = match self.common(&operand, &Typed::new("", Some(wanted))) {
                Some(compared) => self.settle_operand(operand, expr, &compared),
                None => self.settle_as_base(expr),
            };
            (array, expr)
        };
        let array = ExprNode::Array(array);
        let operator = if negated { "<>" } else { "=" };
        ExprNode::Quantified {
            operator: operator.to_owned(),
            left: Box::new(expr),
            right: Box::new(array),
            all: negated,
        }
    }

    /// The counterpart of [`Printer::converted`].
    fn settle_as(&self, (typed, node): (&Typed, &ExprNode), wanted: &DataType) -> ExprNode {
        let open = typed.literal.is_some() || *node == ExprNode::Null;
        let same = typed.data_type.as_ref().is_none_or(|actual| is_same(actual, wanted));
        match (open, same) {
            (true, _) => cast(node.clone(), wanted),
            (false, true) => self.settle(node),
            (false, false) => cast(self.settle(node), wanted),
        }
    }

    /// The counterpart of [`Printer::coerced`].
    fn settle_operand(&self, typed: Typed, node: &ExprNode, wanted: &DataType) -> ExprNode {
        if typed.literal.is_some() || *node == ExprNode::Null {
            return cast(node.clone(), wanted);
        }
        let plainly = typed.text.clone();
        if self.coerced(typed, node, wanted) == plainly {
            self.settle_as_base(node)
        } else {
            cast(self.settle(node), wanted)
        }
    }

    /// An operator takes a domain's value as one of the type below it.
    fn settle_as_base(&self, node: &ExprNode) -> ExprNode {
        let of_domain =
            self.print(node).data_type.filter(|known| crate::cast::domain_of(self.catalog, known).is_some());
        match of_domain {
            Some(domain) => cast(self.settle(node), &crate::cast::base_type(self.catalog, &domain)),
            None => self.settle(node),
        }
    }

    fn mismatch(&self, node: &ExprNode) -> Option<(&'static str, String)> {
        let inner = || node.children().into_iter().find_map(|child| self.mismatch(child));
        match node {
            ExprNode::Infix { operator, left, right } => inner().or_else(|| self.no_operator(operator, left, right)),
            ExprNode::IsDistinctFrom { left, right, .. } => inner().or_else(|| self.no_operator("=", left, right)),
            ExprNode::InList { expr, list, negated } => inner().or_else(|| {
                let operator = if *negated { "<>" } else { "=" };
                list.iter().find_map(|item| self.no_operator(operator, expr, item))
            }),
            ExprNode::Cast { expr, data_type } => inner().or_else(|| self.no_cast(expr, data_type)),
            ExprNode::Not(expr) => inner().or_else(|| self.no_truth(expr, "NOT")),
            ExprNode::IsTruth { expr, value, negated } => inner().or_else(|| {
                let value = match value {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                self.no_truth(expr, &format!("IS {}{value}", if *negated { "NOT " } else { "" }))
            }),
            ExprNode::And(list) => inner().or_else(|| list.iter().find_map(|part| self.no_truth(part, "AND"))),
            ExprNode::Or(list) => inner().or_else(|| list.iter().find_map(|part| self.no_truth(part, "OR"))),
            ExprNode::Call { function, args, .. } => inner().or_else(|| {
                let name = function.name.as_str();
                let wanted = signature(&name.to_ascii_lowercase()).0?;
                let actual = self.built_in(args.first()?)?;
                (!crate::cast::is_implicit(self.catalog, &actual, &wanted)).then(|| {
                    let types: Vec<String> = args.iter().map(|arg| self.shown(arg)).collect();
                    ("42883", format!("function {name}({}) does not exist", types.join(", ")))
                })
            }),
            _ => inner(),
        }
    }

    fn no_truth(&self, node: &ExprNode, word: &str) -> Option<(&'static str, String)> {
        let data_type = self.built_in(node)?;
        let shown = || self.shown(node);
        (!data_type.is("bool"))
            .then(|| ("42804", format!("argument of {word} must be type boolean, not type {}", shown())))
    }

    fn no_cast(&self, expr: &ExprNode, target: &DataType) -> Option<(&'static str, String)> {
        let source = self.built_in(expr)?;
        let (context, zone) = (crate::cast::Context::Explicit, crate::cast::TimeZone::Unknown);
        let change = crate::cast::change(self.catalog, &source, target, context, zone);
        (change == crate::cast::Change::Impossible)
            .then(|| ("42846", format!("cannot cast type {} to {}", plain(&source), plain(target))))
    }

    fn no_operator(&self, operator: &str, left: &ExprNode, right: &ExprNode) -> Option<(&'static str, String)> {
        let (one, other) = (self.built_in(left)?, self.built_in(right)?);
        let compared = COMPARISONS.contains(&operator) && !same_operators(&one, &other);
        compared.then(|| {
            let symbol = if operator == "!=" { "<>" } else { operator };
            ("42883", format!("operator does not exist: {} {symbol} {}", self.shown(left), self.shown(right)))
        })
    }

    /// The type of an operand, where it is one whose operators are all known.
    fn built_in(&self, node: &ExprNode) -> Option<DataType> {
        let data_type = self.print(node).data_type?;
        let base = crate::cast::base_type(self.catalog, &data_type);
        let known = base.name.schema.is_none() && !family(base.name.name.as_str()).is_empty();
        (known || self.is_enum(&base)).then_some(base)
    }

    /// An enum is compared with itself alone, unless somebody has made operators for it.
    fn is_enum(&self, data_type: &DataType) -> bool {
        !self.catalog.has_own_operators()
            && self
                .catalog
                .user_type(&data_type.name)
                .is_some_and(|known| matches!(&known.kind, UserTypeKind::Defined(TypeDefinition::Enum(_))))
    }

    fn shown(&self, node: &ExprNode) -> String {
        let data_type = self.print(node).data_type;
        data_type.map_or_else(|| "unknown".to_owned(), |data_type| data_type.in_messages())
    }
}

/// The reader makes one chain of a chain whose first part is one of the same kind, parentheses or not (`makeAndExpr`,
/// `makeOrExpr`); it had kept apart what it made of BETWEEN itself.
fn flattened(mut node: ExprNode) -> ExprNode {
    match &mut node {
        ExprNode::And(list) => {
            if let Some(ExprNode::And(first)) = list.first_mut() {
                let first = std::mem::take(first);
                list.splice(..1, first);
            }
        }
        ExprNode::Or(list) => {
            if let Some(ExprNode::Or(first)) = list.first_mut() {
                let first = std::mem::take(first);
                list.splice(..1, first);
            }
        }
        _ => {}
    }
    node
}

fn cast(expr: ExprNode, data_type: &DataType) -> ExprNode {
    ExprNode::Cast { expr: Box::new(expr), data_type: plain(data_type) }
}

/// Types that are compared with each other (`pg_operator`, and what `pg_cast` converts implicitly); empty for types whose
/// operators are not known here.
fn family(name: &str) -> &str {
    match name {
        "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => "number",
        "text" | "varchar" | "bpchar" => "text",
        "date" | "timestamp" | "timestamptz" => "datetime",
        "time" | "timetz" | "interval" => "time",
        "inet" | "cidr" => "inet",
        "bool" | "uuid" | "bytea" | "jsonb" | "json" | "money" => name,
        _ => "",
    }
}

fn same_operators(one: &DataType, other: &DataType) -> bool {
    let (left, right) = (one.name.name.as_str(), other.name.name.as_str());
    // `anyarray`: both of one type.
    let same = one.name == other.name || !one.is_array() && !family(left).is_empty() && family(left) == family(right);
    one.is_array() == other.is_array() && same
}
