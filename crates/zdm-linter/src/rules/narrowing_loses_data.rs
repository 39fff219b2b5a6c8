//! ZDM704: a type change that existing values may not survive.

use zdm_postgres::DataType;
use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::AlterTableAction;
use zdm_source::Diagnostic;

use super::{alter_actions, column_name};
use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AlterColumnType { column, data_type, using, .. } = action else { continue };
            let table = &alter.name;
            if !cx.existed(step, table) {
                continue;
            }
            let Some(before) = step.catalog_before.table(table).and_then(|table| table.column(column.as_str())) else {
                continue;
            };
            let cast = match using.as_ref().map(|using| &*using.node) {
                None => false,
                Some(ExprNode::Cast { data_type: to, .. }) => to == data_type,
                // Another expression says itself what becomes of the values.
                Some(_) => continue,
            };
            let Some(loss) = loss(&before.data_type, data_type, cast) else { continue };
            let name = column_name(table, column);
            let (message, help) = match loss {
                Loss::Fails(which) => (
                    format!(
                        "changing {name} from `{}` to `{data_type}` fails as soon as a row holds {which}",
                        before.data_type
                    ),
                    "look for such rows first, mend them in batches, and add a CHECK (NOT VALID, then validated) that keeps new ones out",
                ),
                Loss::Silent(what) => (
                    format!("changing {name} from `{}` to `{data_type}` {what}, without an error", before.data_type),
                    "if the values matter, look for those that change first; keep the old column until the new one is checked (`zdm mirror`)",
                ),
            };
            out.push(cx.at_step(step, message).with_help(help));
        }
    }
}

enum Loss {
    Fails(String),
    Silent(String),
}

/// What an assignment cast, or an explicit one, does to values of the old type that the new one cannot hold.
fn loss(from: &DataType, to: &DataType, explicit: bool) -> Option<Loss> {
    if from.name.schema.is_some() || to.name.schema.is_some() || from.is_array() || to.is_array() {
        return None;
    }
    let (old, new) = (from.name.name.as_str(), to.name.name.as_str());
    let first = |data_type: &DataType| data_type.modifiers.first().copied();
    let text = |name: &str| matches!(name, "varchar" | "text" | "bpchar");
    let integer = |name: &str| match name {
        "int2" => Some(2),
        "int4" => Some(4),
        "int8" => Some(8),
        _ => None,
    };
    if text(old) && matches!(new, "varchar" | "bpchar") {
        let limit = first(to)?;
        // char without a length is char(1); text and varchar without one have no limit.
        let held = if old == "text" { None } else { first(from) };
        if held.is_some_and(|held| held <= limit) {
            return None;
        }
        return Some(if explicit {
            Loss::Silent(format!(
                "cuts every value to its first {} (USING casts explicitly)",
                counted(limit, "character")
            ))
        } else {
            Loss::Fails(format!("a value of more than {}", counted(limit, "character")))
        });
    }
    if let (Some(was), Some(is)) = (integer(old), integer(new)) {
        return (is < was).then(|| Loss::Fails(format!("a number that does not fit into {is} bytes")));
    }
    if old == "numeric" && new == "numeric" {
        let precision = |data_type: &DataType| (first(data_type), data_type.modifiers.get(1).copied().unwrap_or(0));
        let ((was, was_scale), (is, is_scale)) = (precision(from), precision(to));
        let is = is?;
        if was.is_none_or(|was| was - was_scale > is - is_scale) {
            return Some(Loss::Fails(format!(
                "a number of more than {} before the point",
                counted(is - is_scale, "digit")
            )));
        }
        return (is_scale < was_scale)
            .then(|| Loss::Silent(format!("rounds every value to {} behind the point", counted(is_scale, "digit"))));
    }
    match (old, new) {
        ("float8", "float4") => Some(Loss::Silent("rounds every value to about 7 digits".to_owned())),
        ("numeric" | "float8" | "float4", _) if integer(new).is_some() => {
            Some(Loss::Silent("rounds every value to a whole number".to_owned()))
        }
        ("timestamp" | "timestamptz", "date") => Some(Loss::Silent("drops the time of day of every value".to_owned())),
        ("timestamp" | "timestamptz" | "time" | "timetz" | "interval", _) if old == new => {
            let (was, is) = (first(from).unwrap_or(6), first(to)?);
            (is < was).then(|| Loss::Silent(format!("rounds every value to {} of a second", counted(is, "digit"))))
        }
        (
            _,
            "int2" | "int4" | "int8" | "numeric" | "uuid" | "date" | "timestamp" | "timestamptz" | "bool" | "jsonb"
            | "json" | "inet",
        ) if text(old) => Some(Loss::Fails(format!("a text that is no `{to}`"))),
        _ => None,
    }
}

fn counted(count: i32, word: &str) -> String {
    match count {
        1 => format!("{count} {word}"),
        _ => format!("{count} {word}s"),
    }
}
