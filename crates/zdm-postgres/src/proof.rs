//! What valid CHECK constraints prove: that a column is never NULL, that all rows fit a partition's bound.
//!
//! The server proves more than this in theory (`predicate_implied_by`), but constraints that people write for the
//! purpose have these forms.

use std::cmp::Ordering;

use crate::catalog::{ConstraintKind, Table};
use crate::constant::Kind;
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

/// A literal in a bound or a comparison, as it is written.
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

    /// As it is written for a value of whatever type.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A column by whose values a table is divided, and how these are ordered.
#[derive(Clone, Debug)]
pub(crate) struct KeyColumn<'a> {
    pub(crate) column: &'a Ident,
    pub(crate) kind: Kind,
}

impl KeyColumn<'_> {
    /// How the constant that the column is compared with stands to a value of the bound.
    fn order(&self, node: &ExprNode, value: &Literal) -> Option<Ordering> {
        self.kind.compared(node)?.order(&self.kind.assigned(value)?)
    }

    fn is_one_of(&self, node: &ExprNode, values: &[Literal]) -> bool {
        values.iter().any(|value| self.order(node, value) == Some(Ordering::Equal))
    }

    /// `column operator constant`, turned so that the column stands on the left.
    fn comparison<'n>(&self, node: &'n ExprNode) -> Option<(&'n str, &'n ExprNode)> {
        let ExprNode::Infix { operator, left, right } = node else { return None };
        if is_column(left, self.column) {
            return Some((operator, right));
        }
        let turned = match operator.as_str() {
            "<" => ">",
            "<=" => ">=",
            ">" => "<",
            ">=" => "<=",
            "=" | "<>" | "!=" => operator.as_str(),
            _ => return None,
        };
        is_column(right, self.column).then_some((turned, &**left))
    }

    /// Whether the facts say `column >= bound`.
    pub(crate) fn at_least(&self, facts: &[&ExprNode], bound: &Literal) -> bool {
        facts.iter().any(|fact| {
            if let ExprNode::Between { expr, low, symmetric: false, negated: false, .. } = fact {
                return is_column(expr, self.column) && self.order(low, bound).is_some_and(Ordering::is_ge);
            }
            self.comparison(fact).is_some_and(|(operator, constant)| {
                matches!(operator, ">=" | ">" | "=") && self.order(constant, bound).is_some_and(Ordering::is_ge)
            })
        })
    }

    /// Whether the facts say `column < bound`.
    pub(crate) fn below(&self, facts: &[&ExprNode], bound: &Literal) -> bool {
        facts.iter().any(|fact| {
            if let ExprNode::Between { expr, high, symmetric: false, negated: false, .. } = fact {
                return is_column(expr, self.column) && self.order(high, bound).is_some_and(Ordering::is_lt);
            }
            self.comparison(fact).is_some_and(|(operator, constant)| match operator {
                "<" => self.order(constant, bound).is_some_and(Ordering::is_le),
                "<=" | "=" => self.order(constant, bound).is_some_and(Ordering::is_lt),
                _ => false,
            })
        })
    }

    /// Whether the facts say that the column is one of the values.
    pub(crate) fn one_of(&self, facts: &[&ExprNode], values: &[Literal]) -> bool {
        facts.iter().any(|fact| match fact {
            ExprNode::InList { expr, list, negated: false } => {
                is_column(expr, self.column) && list.iter().all(|item| self.is_one_of(item, values))
            }
            _ => self
                .comparison(fact)
                .is_some_and(|(operator, constant)| operator == "=" && self.is_one_of(constant, values)),
        })
    }

    /// Whether the facts, together, keep a value out of the column.
    pub(crate) fn excludes(&self, facts: &[&ExprNode], value: &Literal) -> bool {
        facts.iter().any(|fact| self.excludes_value(fact, value))
    }

    fn excludes_value(&self, fact: &ExprNode, value: &Literal) -> bool {
        let is = |node: &ExprNode| self.order(node, value) == Some(Ordering::Equal);
        match fact {
            // NULL is none of the values.
            ExprNode::IsNull { expr, negated: false } => is_column(expr, self.column),
            ExprNode::InList { expr, list, negated } => {
                is_column(expr, self.column)
                    && if *negated { list.iter().any(is) } else { list.iter().all(|item| self.differs(item, value)) }
            }
            ExprNode::Not(inner) => match &**inner {
                ExprNode::InList { expr, list, negated: false } => is_column(expr, self.column) && list.iter().any(is),
                inner => self.comparison(inner).is_some_and(|(operator, constant)| operator == "=" && is(constant)),
            },
            ExprNode::Or(branches) => branches.iter().all(|branch| {
                let mut terms = Vec::new();
                conjuncts(branch, &mut terms);
                self.excludes(&terms, value)
            }),
            _ => self.comparison(fact).is_some_and(|(operator, constant)| match operator {
                "<>" | "!=" => is(constant),
                "=" => self.differs(constant, value),
                "<" => self.order(constant, value).is_some_and(Ordering::is_le),
                "<=" => self.order(constant, value).is_some_and(Ordering::is_lt),
                ">" => self.order(constant, value).is_some_and(Ordering::is_ge),
                ">=" => self.order(constant, value).is_some_and(Ordering::is_gt),
                _ => false,
            }),
        }
    }

    /// Whether no row with NULL in the column meets them all: a comparison with NULL is not true.
    pub(crate) fn refuse_null(&self, facts: &[&ExprNode]) -> bool {
        facts.iter().any(|fact| match fact {
            ExprNode::InList { expr, .. } | ExprNode::IsNull { expr, negated: true } => is_column(expr, self.column),
            fact => self.comparison(fact).is_some(),
        })
    }

    /// Whether the constant is surely another value.
    fn differs(&self, node: &ExprNode, value: &Literal) -> bool {
        let (Some(constant), Some(value)) = (self.kind.compared(node), self.kind.assigned(value)) else { return false };
        constant.differs(&value)
    }

    /// Whether one of the facts keeps the column out of `from..to`; an edge that is not given has no limit.
    pub(crate) fn outside(&self, facts: &[&ExprNode], from: Option<&Literal>, to: Option<&Literal>) -> bool {
        facts.iter().any(|fact| match fact {
            ExprNode::IsNull { expr, negated: false } => is_column(expr, self.column),
            ExprNode::Or(branches) => branches.iter().all(|branch| {
                let mut terms = Vec::new();
                conjuncts(branch, &mut terms);
                self.outside(&terms, from, to)
            }),
            fact => {
                to.is_some_and(|to| self.at_least(std::slice::from_ref(fact), to))
                    || from.is_some_and(|from| self.below(std::slice::from_ref(fact), from))
            }
        })
    }

    /// Whether `from <= column < to` implies every term.
    pub(crate) fn implied_between(&self, terms: &[&ExprNode], from: &Literal, to: &Literal) -> bool {
        let is = |node: &ExprNode, value: &Literal| self.order(node, value) == Some(Ordering::Equal);
        !terms.is_empty()
            && terms.iter().all(|term| match term {
                ExprNode::IsNull { expr, negated: true } => is_column(expr, self.column),
                _ => self.comparison(term).is_some_and(|(operator, constant)| match operator {
                    ">=" => is(constant, from),
                    "<" => is(constant, to),
                    _ => false,
                }),
            })
    }
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
            let (Literal::Number(bound), Literal::Number(wanted)) = (&bound, &wanted) else { return false };
            let Some(order) = bound.partial_cmp(wanted).filter(|_| other == left) else { return false };
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
