//! ZDM111: ADD COLUMN with a volatile default rewrites the table.

use zdm_postgres::effects::UncertainEffect;
use zdm_postgres::statement::AlterTableAction;
use zdm_source::Diagnostic;

use super::{alter_actions, column_name, rewrites_for};
use crate::context::{Cx, shortened};
use crate::words::set_option;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for (alter, action) in alter_actions(step) {
            let AlterTableAction::AddColumn { column, .. } = action else { continue };
            let Some(default) = column.default_expr() else { continue };
            let table = &alter.name;
            if !cx.existed(step, table) || !rewrites_for(cx, step, alter, action) {
                continue;
            }
            let rewrites = step.outcome.effects.rewrites.contains(table);
            let condition = step
                .outcome
                .effects
                .uncertain
                .iter()
                .find(|uncertain| uncertain.effect == UncertainEffect::Rewrite && uncertain.relation == *table);
            let written = without_parentheses(&default.text);
            let expression = shortened(written, 60);
            let name = column_name(table, &column.name);
            let mut diagnostic = if rewrites {
                cx.at_step(
                    step,
                    format!("adding {name} with the default `{expression}` rewrites the table and blocks every query on it, SELECT included, until it is done"),
                )
                .with_fact("the default is volatile: PostgreSQL evaluates it for each existing row, so it writes every row anew under ACCESS EXCLUSIVE")
            } else if let Some(condition) = condition {
                cx.at_step(
                    step,
                    format!("adding {name} with the default `{expression}` may rewrite the table under ACCESS EXCLUSIVE, if {}", condition.condition),
                )
            } else {
                continue;
            };
            diagnostic = diagnostic.with_help(format!(
                "add the column without a default{}, set the default in a second statement{} (it then counts for new rows only), and fill the old rows in batches: `zdm backfill run --table {table} --set {}`",
                if step.raw { "" } else { " (AddField with `null=True`)" },
                if step.raw { "" } else { " (AlterField with the `db_default`)" },
                set_option(&column.name, written)
            ));
            cx.weigh(table, &mut diagnostic);
            out.push(diagnostic);
        }
    }
}

/// Without the parentheses around all of it, which Django puts around expressions.
fn without_parentheses(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { return text };
    let (mut depth, mut quoted) = (0_u32, false);
    for character in inner.chars() {
        match character {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return text,
            },
            _ => {}
        }
    }
    if quoted { text } else { without_parentheses(inner) }
}
