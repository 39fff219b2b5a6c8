//! Comparisons that the server takes apart before it keeps them: of rows, BETWEEN, and the patterns of LIKE and SIMILAR TO.

use super::{LONGEST_REPEATED, Printed, Printer, Typed};
use crate::data_type::DataType;
use crate::expr::{ExprNode, like_operator};

fn truth(text: String) -> Typed {
    Typed::new(text, Some(DataType::named("bool")))
}

/// `(one AND two)`; one alone stands for itself.
fn joined(parts: &[String], word: &str) -> String {
    match parts {
        [only] => only.clone(),
        parts => format!("({})", parts.join(word)),
    }
}

impl Printer<'_> {
    /// `make_row_comparison_op`
    pub(super) fn compared_rows(&self, operator: &str, left: &ExprNode, right: &ExprNode) -> Option<Typed> {
        let pairs = self.pairs(operator, left, right)?;
        let compared = || pairs.iter().map(|(left, right)| format!("({left} {operator} {right})")).collect::<Vec<_>>();
        match operator {
            "=" => Some(truth(joined(&compared(), " AND "))),
            "<>" => Some(truth(joined(&compared(), " OR "))),
            "<" | "<=" | ">" | ">=" if pairs.len() == 1 => Some(truth(joined(&compared(), ""))),
            "<" | "<=" | ">" | ">=" => {
                let (left, right): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
                Some(truth(format!("(ROW({}) {operator} ROW({}))", left.join(", "), right.join(", "))))
            }
            _ => None,
        }
    }

    fn pairs(&self, operator: &str, left: &ExprNode, right: &ExprNode) -> Option<Vec<(String, String)>> {
        let (ExprNode::Row(left), ExprNode::Row(right)) = (left, right) else { return None };
        if left.len() != right.len() || left.is_empty() {
            return None;
        }
        let pair = |(left, right): (Printed<'_>, Printed<'_>)| self.balanced(operator, left, right);
        Some(self.printed(left).into_iter().zip(self.printed(right)).map(pair).collect())
    }

    /// `transformAExprDistinct`
    pub(super) fn distinct(&self, left: &ExprNode, right: &ExprNode, negated: bool) -> Typed {
        let alone = match (left, right) {
            (other, ExprNode::Null) | (ExprNode::Null, other) => Some(other),
            _ => None,
        };
        if let Some(operand) = alone {
            let typed = self.print(operand);
            let composite = typed.data_type.as_ref().is_some_and(|known| self.catalog.attributes(known).is_some());
            let test = match (composite, negated) {
                (true, true) => "IS NOT DISTINCT FROM NULL",
                (true, false) => "IS DISTINCT FROM NULL",
                (false, true) => "IS NULL",
                (false, false) => "IS NOT NULL",
            };
            return truth(format!("({} {test})", typed.text));
        }
        let pairs = self
            .pairs("=", left, right)
            .unwrap_or_else(|| vec![self.balanced("=", (self.print(left), left), (self.print(right), right))]);
        let parts = pairs.into_iter().map(|(left, right)| format!("({left} IS DISTINCT FROM {right})"));
        let text = parts.reduce(|before, next| format!("({before} OR {next})")).unwrap_or_default();
        truth(if negated { format!("(NOT {text})") } else { text })
    }

    pub(super) fn between(
        &self,
        expr: &ExprNode,
        (low, high): (&ExprNode, &ExprNode),
        symmetric: bool,
        negated: bool,
    ) -> Typed {
        let operand = self.print(expr);
        let (printed_low, printed_high) = (self.print(low), self.print(high));
        if operand.text.len() > LONGEST_REPEATED
            || (symmetric && printed_low.text.len().max(printed_high.text.len()) > LONGEST_REPEATED)
        {
            let word = if negated { "NOT BETWEEN" } else { "BETWEEN" };
            let text = format!("({} {word} {} AND {})", operand.text, printed_low.text, printed_high.text);
            return truth(text);
        }
        let (edges, word, outer) = if negated { (["<", ">"], "OR", "AND") } else { ([">=", "<="], "AND", "OR") };
        let compared = |operator: &str, (typed, node): (&Typed, &ExprNode)| {
            let (left, right) = self.balanced(operator, (operand.clone(), expr), (typed.clone(), node));
            format!("({left} {operator} {right})")
        };
        let (low, high) = ((&printed_low, low), (&printed_high, high));
        let both = |low, high| format!("({} {word} {})", compared(edges[0], low), compared(edges[1], high));
        truth(if symmetric { format!("({} {outer} {})", both(low, high), both(high, low)) } else { both(low, high) })
    }

    /// The pattern goes through a function where there is an escape, and where it is one of the standard's.
    pub(super) fn like(
        &self,
        operator: &str,
        expr: &ExprNode,
        (pattern, escape): (&ExprNode, Option<&ExprNode>),
        negated: bool,
    ) -> Typed {
        let text = DataType::named("text");
        let symbol = like_operator(operator, negated);
        let function = match (symbol, escape) {
            (Some(_), None) => None,
            (Some(_), Some(_)) => Some("like_escape"),
            (None, _) if self.catalog.version.at_least(13) => Some("similar_to_escape"),
            (None, _) => Some("similar_escape"),
        };
        let escape = match (escape, function) {
            (Some(escape), _) => Some(self.operand(escape, &text)),
            (None, Some("similar_escape")) => Some("NULL::text".to_owned()),
            (None, _) => None,
        };
        let printed = match function {
            Some(function) => {
                let arguments: Vec<String> = std::iter::once(self.operand(pattern, &text)).chain(escape).collect();
                Typed::new(format!("{function}({})", arguments.join(", ")), Some(text))
            }
            None => self.print(pattern),
        };
        let symbol = symbol.unwrap_or(if negated { "!~" } else { "~" });
        self.infix(symbol, (self.print(expr), expr), (printed, pattern))
    }
}
