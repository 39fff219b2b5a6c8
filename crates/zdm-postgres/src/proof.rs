//! What valid CHECK constraints prove: that a column is never NULL, that all rows fit a partition's bound.
//!
//! The server proves more than this in theory (`predicate_implied_by`), but constraints that people write for the
//! purpose have these forms.

use crate::catalog::{ConstraintKind, Table};
use crate::expr::ExprNode;
use crate::name::Ident;

/// The terms that hold for every row of the table: the conjuncts of its valid, enforced CHECK constraints.
pub(crate) fn facts(table: &Table) -> Vec<&ExprNode> {
    let mut facts = Vec::new();
    for constraint in &table.constraints {
        if let ConstraintKind::Check { expr, .. } = &constraint.kind
            && constraint.valid
            && constraint.attributes.enforced
        {
            conjuncts(&expr.node, &mut facts);
        }
    }
    facts
}

pub(crate) fn conjuncts<'a>(node: &'a ExprNode, into: &mut Vec<&'a ExprNode>) {
    match node {
        ExprNode::And(list) => list.iter().for_each(|part| conjuncts(part, into)),
        _ => into.push(node),
    }
}

fn is_column(node: &ExprNode, column: &Ident) -> bool {
    matches!(node, ExprNode::Column { name, .. } if name == column)
}

/// `NotNullImpliedByRelConstraints`: a CHECK holds for NULL results too, so `c > 0` proves nothing.
pub(crate) fn not_null(table: &Table, column: &Ident) -> bool {
    facts(table).into_iter().any(|fact| proves_not_null(fact, column))
}

/// Whether a CHECK refuses NULL in the column, of new rows at least: one that is not valid does that too.
pub fn refuses_null(table: &Table, column: &Ident) -> bool {
    let mut terms = Vec::new();
    for constraint in table.constraints.iter().filter(|constraint| constraint.attributes.enforced) {
        if let ConstraintKind::Check { expr, .. } = &constraint.kind {
            conjuncts(&expr.node, &mut terms);
        }
    }
    terms.into_iter().any(|term| proves_not_null(term, column))
}

fn proves_not_null(fact: &ExprNode, column: &Ident) -> bool {
    match fact {
        ExprNode::IsNull { expr, negated: true } => is_column(expr, column),
        ExprNode::Not(inner) => {
            matches!(&**inner, ExprNode::IsNull { expr, negated: false } if is_column(expr, column))
        }
        // Every branch has to prove it.
        ExprNode::Or(branches) => branches.iter().all(|branch| {
            let mut terms = Vec::new();
            conjuncts(branch, &mut terms);
            terms.into_iter().any(|term| proves_not_null(term, column))
        }),
        _ => false,
    }
}

/// A literal in a bound or a comparison, comparable with others of its kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Number(f64),
    Text(String),
}

impl Literal {
    pub(crate) fn of(node: &ExprNode) -> Option<Self> {
        match node {
            ExprNode::Number(text) => text.parse().ok().map(Self::Number),
            ExprNode::Text(text) => Some(Self::Text(text.clone())),
            ExprNode::Cast { expr, .. } => Self::of(expr),
            ExprNode::Prefix { operator, expr } if operator == "-" => match Self::of(expr)? {
                Self::Number(number) => Some(Self::Number(-number)),
                Self::Text(_) => None,
            },
            _ => None,
        }
    }

    pub(crate) fn compare(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => left.partial_cmp(right),
            // ISO dates and times of one length sort as their text does.
            (Self::Text(left), Self::Text(right)) if left == right => Some(std::cmp::Ordering::Equal),
            (Self::Text(left), Self::Text(right)) if left.len() == right.len() => Some(left.cmp(right)),
            // Whatever the type, both are read as the same value.
            (Self::Number(number), Self::Text(text)) | (Self::Text(text), Self::Number(number))
                if number.to_string() == *text =>
            {
                Some(std::cmp::Ordering::Equal)
            }
            _ => None,
        }
    }
}

/// `column operator literal`, turned so that the column stands on the left.
fn comparison(node: &ExprNode) -> Option<(&Ident, &str, Literal)> {
    let ExprNode::Infix { operator, left, right } = node else { return None };
    if let ExprNode::Column { name, .. } = &**left {
        return Some((name, operator.as_str(), Literal::of(right)?));
    }
    let ExprNode::Column { name, .. } = &**right else { return None };
    let turned = match operator.as_str() {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        "=" | "<>" | "!=" => operator.as_str(),
        _ => return None,
    };
    Some((name, turned, Literal::of(left)?))
}

/// Whether the facts say `column >= bound`.
pub(crate) fn at_least(facts: &[&ExprNode], column: &Ident, bound: &Literal) -> bool {
    facts.iter().any(|fact| {
        if let ExprNode::Between { expr, low, negated: false, .. } = fact {
            return is_column(expr, column)
                && Literal::of(low).and_then(|low| low.compare(bound)).is_some_and(std::cmp::Ordering::is_ge);
        }
        comparison(fact).is_some_and(|(name, operator, literal)| {
            name == column
                && matches!(operator, ">=" | ">" | "=")
                && literal.compare(bound).is_some_and(std::cmp::Ordering::is_ge)
        })
    })
}

/// Whether the facts say `column < bound`.
pub(crate) fn below(facts: &[&ExprNode], column: &Ident, bound: &Literal) -> bool {
    facts.iter().any(|fact| {
        if let ExprNode::Between { expr, high, negated: false, .. } = fact {
            return is_column(expr, column)
                && Literal::of(high).and_then(|high| high.compare(bound)).is_some_and(std::cmp::Ordering::is_lt);
        }
        comparison(fact).is_some_and(|(name, operator, literal)| {
            name == column
                && match operator {
                    "<" => literal.compare(bound).is_some_and(std::cmp::Ordering::is_le),
                    "<=" | "=" => literal.compare(bound).is_some_and(std::cmp::Ordering::is_lt),
                    _ => false,
                }
        })
    })
}

/// Whether the facts say that the column is one of the values.
pub(crate) fn one_of(facts: &[&ExprNode], column: &Ident, values: &[Literal]) -> bool {
    facts.iter().any(|fact| match fact {
        ExprNode::InList { expr, list, negated: false } => {
            is_column(expr, column)
                && list.iter().all(|item| Literal::of(item).is_some_and(|item| values.contains(&item)))
        }
        _ => comparison(fact)
            .is_some_and(|(name, operator, literal)| name == column && operator == "=" && values.contains(&literal)),
    })
}

/// Whether the facts, together, keep a value out of the column.
pub(crate) fn excludes(facts: &[&ExprNode], column: &Ident, value: &Literal) -> bool {
    facts.iter().any(|fact| excludes_value(fact, column, value))
}

fn excludes_value(fact: &ExprNode, column: &Ident, value: &Literal) -> bool {
    match fact {
        // NULL is none of the values.
        ExprNode::IsNull { expr, negated: false } => is_column(expr, column),
        ExprNode::InList { expr, list, negated } => {
            let literals: Option<Vec<Literal>> = list.iter().map(Literal::of).collect();
            is_column(expr, column)
                && literals.is_some_and(|literals| {
                    if *negated {
                        literals.contains(value)
                    } else {
                        literals.iter().all(|literal| literal.compare(value).is_some_and(std::cmp::Ordering::is_ne))
                    }
                })
        }
        ExprNode::Not(inner) => match &**inner {
            ExprNode::InList { expr, list, negated: false } => {
                is_column(expr, column) && list.iter().any(|item| Literal::of(item).as_ref() == Some(value))
            }
            inner => comparison(inner)
                .is_some_and(|(name, operator, literal)| name == column && operator == "=" && literal == *value),
        },
        ExprNode::Or(branches) => branches.iter().all(|branch| {
            let mut terms = Vec::new();
            conjuncts(branch, &mut terms);
            excludes(&terms, column, value)
        }),
        _ => comparison(fact).is_some_and(|(name, operator, literal)| {
            name == column
                && match operator {
                    "<>" | "!=" => literal == *value,
                    // Only numbers: how texts are sorted is a matter of the collation.
                    "=" => literal.compare(value).is_some_and(std::cmp::Ordering::is_ne),
                    "<" => is_number(value) && literal.compare(value).is_some_and(std::cmp::Ordering::is_le),
                    "<=" => is_number(value) && literal.compare(value).is_some_and(std::cmp::Ordering::is_lt),
                    ">" => is_number(value) && literal.compare(value).is_some_and(std::cmp::Ordering::is_ge),
                    ">=" => is_number(value) && literal.compare(value).is_some_and(std::cmp::Ordering::is_gt),
                    _ => false,
                }
        }),
    }
}

const fn is_number(literal: &Literal) -> bool {
    matches!(literal, Literal::Number(_))
}

/// Whether one of the facts keeps the column out of `from..to`; an edge that is not given has no limit.
pub(crate) fn outside(facts: &[&ExprNode], column: &Ident, from: Option<&Literal>, to: Option<&Literal>) -> bool {
    facts.iter().any(|fact| match fact {
        ExprNode::IsNull { expr, negated: false } => is_column(expr, column),
        ExprNode::Or(branches) => branches.iter().all(|branch| {
            let mut terms = Vec::new();
            conjuncts(branch, &mut terms);
            outside(&terms, column, from, to)
        }),
        fact => {
            to.is_some_and(|to| at_least(std::slice::from_ref(fact), column, to))
                || from.is_some_and(|from| below(std::slice::from_ref(fact), column, from))
        }
    })
}

/// Whether rows of which every fact holds pass the CHECK too: a weaker one, `IN` with more values, another bound, one more
/// alternative. A CHECK passes where its result is NULL, which all of these forms keep.
pub fn implies(facts: &[&ExprNode], check: &ExprNode) -> bool {
    match check {
        ExprNode::And(parts) => parts.iter().all(|part| implies(facts, part)),
        _ => facts.iter().any(|fact| fact_implies(fact, check)),
    }
}

fn fact_implies(fact: &ExprNode, check: &ExprNode) -> bool {
    if fact == check {
        return true;
    }
    match (fact, check) {
        (ExprNode::And(parts), _) => parts.iter().any(|part| fact_implies(part, check)),
        (ExprNode::Or(branches), _) => branches.iter().all(|branch| fact_implies(branch, check)),
        (_, ExprNode::Or(branches)) => branches.iter().any(|branch| fact_implies(fact, branch)),
        (_, ExprNode::InList { expr, list, negated: false }) => {
            let Some(values) = list.iter().map(Literal::of).collect::<Option<Vec<_>>>() else { return false };
            let is_one = |node: &ExprNode| Literal::of(node).is_some_and(|value| values.contains(&value));
            match fact {
                ExprNode::InList { expr: other, list, negated: false } => other == expr && list.iter().all(is_one),
                ExprNode::Infix { operator, left, right } => operator == "=" && left == expr && is_one(right),
                _ => false,
            }
        }
        (_, ExprNode::Infix { operator, left, right }) => {
            let ExprNode::Infix { operator: known, left: other, right: bound } = fact else { return false };
            let (Some(bound), Some(wanted)) = (Literal::of(bound), Literal::of(right)) else { return false };
            let (Literal::Number(_), Literal::Number(_)) = (&bound, &wanted) else { return false };
            let Some(order) = bound.compare(&wanted).filter(|_| other == left) else { return false };
            match (known.as_str(), operator.as_str()) {
                (">=" | "=", ">=") | (">", ">" | ">=") => order.is_ge(),
                (">=" | "=", ">") => order.is_gt(),
                ("<=" | "=", "<=") | ("<", "<" | "<=") => order.is_le(),
                ("<=" | "=", "<") => order.is_lt(),
                _ => false,
            }
        }
        _ => false,
    }
}
