//! When two states mean the same: places in files do not count.
//!
//! An editor that replays a history from the middle asks this after each migration: where the state is the same again,
//! nothing behind it can have changed. What the two states share is not looked into.

use std::sync::Arc;

use crate::field::Field;
use crate::operation::{Constraint, ConstraintKind, Index, Options};
use crate::state::{ModelState, ProjectState};
use crate::value::{Call, Value};

impl ProjectState {
    /// Whether every operation would do the same here and there.
    pub fn is_same(&self, other: &Self) -> bool {
        self.models.size() == other.models.size()
            && self.collations.size() == other.collations.size()
            && self.collations.iter().eq(other.collations.iter())
            && self.doubts.iter().eq(other.doubts.iter())
            && self.places.iter().eq(other.places.iter())
            && self.models.iter().zip(other.models.iter()).all(|((key, model), (other_key, other_model))| {
                Arc::ptr_eq(model, other_model) || (key == other_key && same_model(model, other_model))
            })
    }
}

fn same_model(one: &ModelState, other: &ModelState) -> bool {
    let ModelState { app, name, fields, options, bases, assumed } = one;
    *app == other.app
        && *name == other.name
        && *assumed == other.assumed
        && all(fields, &other.fields, same_field)
        && same_options(options, &other.options)
        && all(bases, &other.bases, same_value)
}

fn same_field(one: &Field, other: &Field) -> bool {
    let Field { name, class, kwargs, span: _ } = one;
    *name == other.name
        && *class == other.class
        && (Arc::ptr_eq(kwargs, &other.kwargs)
            || (kwargs.len() == other.kwargs.len()
                && kwargs
                    .iter()
                    .zip(other.kwargs.iter())
                    .all(|(one, other)| one.0 == other.0 && same_value(one.1, other.1))))
}

fn same_options(one: &Options, other: &Options) -> bool {
    let Options { entries, indexes, constraints } = one;
    named(entries, &other.entries)
        && all(indexes, &other.indexes, same_index)
        && all(constraints, &other.constraints, same_constraint)
}

fn same_index(one: &Index, other: &Index) -> bool {
    let Index { class, name, fields, expressions, condition, kwargs, unknown, span: _ } = one;
    *class == other.class
        && *name == other.name
        && *fields == other.fields
        && *unknown == other.unknown
        && all(expressions, &other.expressions, same_value)
        && optional(condition.as_ref(), other.condition.as_ref())
        && named(kwargs, &other.kwargs)
}

fn same_constraint(one: &Constraint, other: &Constraint) -> bool {
    let Constraint { name, kind, kwargs, span: _ } = one;
    *name == other.name && same_kind(kind, &other.kind) && named(kwargs, &other.kwargs)
}

fn same_kind(one: &ConstraintKind, other: &ConstraintKind) -> bool {
    match (one, other) {
        (ConstraintKind::Check { condition: one }, ConstraintKind::Check { condition: other }) => {
            same_value(one, other)
        }
        (
            ConstraintKind::Unique { fields, expressions, condition },
            ConstraintKind::Unique { fields: fields2, expressions: expressions2, condition: condition2 },
        ) => {
            fields == fields2
                && all(expressions, expressions2, same_value)
                && optional(condition.as_ref(), condition2.as_ref())
        }
        (
            ConstraintKind::Exclusion { expressions, index_type, condition },
            ConstraintKind::Exclusion { expressions: expressions2, index_type: index_type2, condition: condition2 },
        ) => {
            index_type == index_type2
                && all(expressions, expressions2, |one, other| {
                    same_value(&one.0, &other.0) && same_value(&one.1, &other.1)
                })
                && optional(condition.as_ref(), condition2.as_ref())
        }
        _ => one == other,
    }
}

pub(crate) fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::List(one), Value::List(other))
        | (Value::Tuple(one), Value::Tuple(other))
        | (Value::Set(one), Value::Set(other)) => Arc::ptr_eq(one, other) || all(one, other, same_value),
        (Value::Dict(one), Value::Dict(other)) => {
            Arc::ptr_eq(one, other)
                || all(one, other, |one, other| same_value(&one.0, &other.0) && same_value(&one.1, &other.1))
        }
        (Value::Call(one), Value::Call(other)) => Arc::ptr_eq(one, other) || same_call(one, other),
        // A number that is none equals no other, itself included.
        (Value::Float(one), Value::Float(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
}

fn same_call(one: &Call, other: &Call) -> bool {
    let Call { callee, args, kwargs, span: _ } = one;
    *callee == other.callee && all(args, &other.args, same_value) && named(kwargs, &other.kwargs)
}

fn named(one: &[(Arc<str>, Value)], other: &[(Arc<str>, Value)]) -> bool {
    all(one, other, |one, other| one.0 == other.0 && same_value(&one.1, &other.1))
}

fn optional(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => same_value(one, other),
        (None, None) => true,
        _ => false,
    }
}

fn all<T>(one: &[T], other: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}
