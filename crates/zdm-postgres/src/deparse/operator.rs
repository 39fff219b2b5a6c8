//! Operands as the operator takes them that the server chooses for them.

use super::{Printed, Printer, Typed, cast_below_collations, common_of, literal_of, plain};
use crate::data_type::DataType;
use crate::expr::ExprNode;
use crate::typing::{self, Chosen, ChosenFunction, Value};

/// What `expr IN (…)` or `expr = ANY (ARRAY[…])` compares: the type of the array's elements, and those that the operator takes.
pub(super) struct Compared {
    pub(super) element: DataType,
    pub(super) left: DataType,
    pub(super) right: DataType,
}

impl Printer<'_> {
    /// `None` where the types of the operands, or the operators for them, are not all PostgreSQL's own.
    pub(super) fn chosen(&self, operator: &str, left: &Typed, right: &Typed) -> Option<Chosen> {
        typing::chosen_operator(self.catalog, operator, &[self.value(left), self.value(right)])
    }

    /// `None` where the types of the arguments, or the functions of the name, are not all PostgreSQL's own.
    pub(super) fn chosen_function(&self, function: &str, args: &[&Typed]) -> Option<ChosenFunction> {
        let values: Vec<Value> = args.iter().map(|typed| self.value(typed)).collect();
        typing::chosen_function(self.catalog, function, &values)
    }

    fn value(&self, typed: &Typed) -> Value {
        match &typed.data_type {
            _ if typed.is_untyped() => Value::Literal,
            Some(data_type) => typing::value_of(self.catalog, data_type),
            None => Value::Open,
        }
    }

    /// What a CASE compares its operand with; the casts that the server adds do not show.
    pub(super) fn beside(&self, operand: &ExprNode, value: &ExprNode) -> String {
        let (operand, typed) = (self.print(operand), self.print(value));
        let wanted = self.chosen("=", &operand, &typed).and_then(|chosen| chosen.arguments.into_iter().nth(1));
        match (&typed.literal, wanted.or(operand.data_type)) {
            (Some(value), Some(wanted)) => literal_of(value, &wanted),
            _ => typed.text,
        }
    }

    /// `expr operator ANY (ARRAY[…])`, whose elements have one type with the operand where `beside` says so, as those of IN do.
    pub(super) fn compared(&self, operator: &str, operand: &Typed, items: &[Typed], beside: bool) -> Option<Compared> {
        let known = items.iter().chain(Some(operand).filter(|_| beside));
        if known.clone().any(|typed| self.value(typed) == Value::Open) {
            return None;
        }
        let untyped = items.iter().all(Typed::is_untyped) && !beside;
        let element = if untyped {
            DataType::named("text")
        } else {
            common_of(self.catalog, std::iter::once(operand).filter(|_| beside).chain(items))?
        };
        let chosen = self.chosen(operator, operand, &Typed::new("", Some(element.clone())))?;
        let [left, right] = <[DataType; 2]>::try_from(chosen.arguments).ok()?;
        Some(Compared { element: plain(&element), left, right })
    }
}

/// Whether a value of the one type is one of the other without a cast.
pub(super) fn is_same(actual: &DataType, wanted: &DataType) -> bool {
    actual.name == wanted.name && actual.is_array() == wanted.is_array()
}

/// With the cast that the server adds where the operator takes another type.
pub(super) fn converted(typed: Typed, node: &ExprNode, wanted: &DataType) -> String {
    match &typed.data_type {
        _ if typed.literal.is_some() => literal_of(typed.literal.as_deref().unwrap_or_default(), wanted),
        _ if *node == ExprNode::Null => format!("NULL::{wanted}"),
        Some(actual) if !is_same(actual, wanted) => cast_below_collations(&typed.text, node, wanted),
        _ => typed.text,
    }
}

/// Both operands.
pub(super) fn pair(chosen: &Chosen, left: Printed<'_>, right: Printed<'_>) -> Option<(String, String)> {
    let [wanted_left, wanted_right] = chosen.arguments.as_slice() else { return None };
    Some((converted(left.0, left.1, wanted_left), converted(right.0, right.1, wanted_right)))
}
