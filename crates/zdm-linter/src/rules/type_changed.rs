//! ZDM208: a column's type changes so that running code may fail to read or write it.

use zdm_postgres::{Catalog, DataType};
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let (Some(after), Some(model)) = (old.after(cx.migration), &old.model) else { continue };
        for own in &model.columns {
            let name = own.column.as_str();
            let (Some(was), Some(is)) = (old.before.column(name), after.column(name)) else { continue };
            let why = match change(&was.data_type, &is.data_type) {
                Change::Same | Change::Wider => continue,
                Change::Narrower => "values that the old code still writes may no longer fit",
                Change::Other => "the old code writes and reads values of the old type",
            };
            let table = old.name();
            let changed = |catalog: &Catalog| {
                catalog
                    .table(table)
                    .and_then(|table| table.column(name))
                    .is_some_and(|column| column.data_type == is.data_type)
            };
            let Some(step) = cx.step_where(changed) else { continue };
            out.push(
                cx.at_step(
                    step,
                    format!(
                        "`{table}.{name}` changes from `{}` to `{}` under the code that is still running (model `{}`): {why}",
                        was.data_type, is.data_type, model.label
                    ),
                )
                .with_help("add a second column of the new type, keep both equal by a trigger (`zdm mirror`), backfill, release code that uses the new column, and drop the old one later"),
            );
        }
    }
}

enum Change {
    Same,
    Wider,
    Narrower,
    Other,
}

/// What a client that still assumes the old type meets.
fn change(from: &DataType, to: &DataType) -> Change {
    if from == to {
        return Change::Same;
    }
    if from.is_array() != to.is_array() {
        return Change::Other;
    }
    let (old, new) = (from.name.name.as_str(), to.name.name.as_str());
    if from.name.schema.is_some() || to.name.schema.is_some() {
        return Change::Other;
    }
    let integer = |name: &str| match name {
        "int2" => Some(2),
        "int4" => Some(4),
        "int8" => Some(8),
        _ => None,
    };
    if let (Some(old), Some(new)) = (integer(old), integer(new)) {
        return if new >= old { Change::Wider } else { Change::Narrower };
    }
    let text = |name: &str| matches!(name, "text" | "varchar" | "bpchar" | "citext");
    if text(old) && text(new) {
        return match (from.modifiers.first(), to.modifiers.first()) {
            (_, None) => Change::Wider,
            (None, Some(_)) => Change::Narrower,
            (Some(old), Some(new)) if new >= old => Change::Wider,
            _ => Change::Narrower,
        };
    }
    if old == "numeric" && new == "numeric" {
        return match (from.modifiers.as_slice(), to.modifiers.as_slice()) {
            (_, []) => Change::Wider,
            ([old_precision, old_scale], [new_precision, new_scale])
                if new_scale >= old_scale && new_precision - new_scale >= old_precision - old_scale =>
            {
                Change::Wider
            }
            _ => Change::Narrower,
        };
    }
    if integer(old).is_some() && new == "numeric" && to.modifiers.is_empty() {
        return Change::Wider;
    }
    match (old, new) {
        ("float4", "float8") | ("json", "jsonb") | ("timestamp", "timestamptz") | ("cidr", "inet") => Change::Wider,
        _ if old == new => Change::Wider,
        _ => Change::Other,
    }
}
