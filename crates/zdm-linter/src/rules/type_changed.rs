//! ZDM208: a column's type changes so that running code may fail to read or write it.

use zdm_postgres::catalog::UserTypeKind;
use zdm_postgres::{Catalog, DataType};
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for old in cx.old {
        let (Some(after), Some(model)) = (old.after(cx.migration), &old.model) else { continue };
        for own in &model.columns {
            let name = own.column.as_str();
            let (Some(was), Some(is)) = (old.before.column(name), after.column(name)) else { continue };
            let why = match change_with_domains(cx, &was.data_type, &is.data_type) {
                Change::Same | Change::Wider => continue,
                Change::Checked => "values that the old code still writes may break a rule of the domain",
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
    /// A domain over the old type or a wider one.
    Checked,
    Narrower,
    Other,
}

/// A client writes and reads a domain as its base type; what it writes has to pass the checks.
fn change_with_domains(cx: &Cx<'_>, from: &DataType, to: &DataType) -> Change {
    let domain = |catalog: &Catalog, data_type: &DataType| match &catalog.user_type(&data_type.name)?.kind {
        UserTypeKind::Domain(domain) if !data_type.is_array() => {
            Some((domain.base.clone(), domain.not_null || !domain.checks.is_empty()))
        }
        _ => None,
    };
    if from == to {
        return Change::Same;
    }
    let old = domain(&cx.migration.catalog_before, from);
    let new = domain(&cx.migration.catalog_after, to);
    let checked = new.as_ref().is_some_and(|(_, checked)| *checked);
    let from = old.map_or_else(|| from.clone(), |(base, _)| base);
    let to = new.map_or_else(|| to.clone(), |(base, _)| base);
    match change(&from, &to) {
        Change::Same | Change::Wider if checked => Change::Checked,
        other => other,
    }
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
