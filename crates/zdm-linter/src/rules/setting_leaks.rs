//! ZDM407: RunSQL changes a setting for the rest of the session.

use zdm_postgres::Statement;
use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::SetParameter;
use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::fixes;

/// What changes how later migrations wait, what they name, or whose rights they have.
const MATTERS: [&str; 8] = [
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "role",
    "row_security",
    "search_path",
    "session_replication_role",
    "statement_timeout",
    "transaction_timeout",
];

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted().filter(|step| step.raw) {
        let Some(set) = set_by(&step.statement).filter(|set| set.value.is_some()) else { continue };
        // What only changes how a session is watched or reports does no harm.
        if set.local || matches!(set.name.as_str(), "application_name" | "client_min_messages") {
            continue;
        }
        // Python code asks which database it speaks to before it sends other databases' settings.
        if step.python && !MATTERS.contains(&set.name.as_str()) {
            continue;
        }
        // Undone in the same migration; SET LOCAL ends before what the session keeps.
        let undone =
            cx.steps().skip_while(|other| !std::ptr::eq(*other, step)).skip(1).any(|other| match &other.statement {
                Statement::Set(_) | Statement::Select(_) => {
                    set_by(&other.statement).is_some_and(|other| !other.local && other.name == set.name)
                }
                Statement::Reset { parameter } => parameter.as_ref().is_none_or(|name| *name == set.name),
                _ => false,
            });
        if undone {
            continue;
        }
        let help = if cx.migration.migration.atomic {
            match &step.statement {
                Statement::Select(_) => {
                    format!(
                        "give set_config('{}', …) `true` as its third argument, so that it ends with the transaction",
                        set.name
                    )
                }
                _ => format!("write SET LOCAL {}, which ends with the transaction", set.name),
            }
        } else {
            format!("send RESET {} at the end of the migration", set.name)
        };
        let diagnostic = cx
            .at_step(
                step,
                format!("`{}` stays set for every migration that runs after this one in the same session", set.name),
            )
            .with_help(help);
        out.push(Cx::fixed(diagnostic, fixes::set_local(cx, step)));
    }
}

/// What a statement sets: SET, and `SELECT set_config('name', 'value', is_local)`.
fn set_by(statement: &Statement) -> Option<SetParameter> {
    match statement {
        Statement::Set(set) => Some(set.clone()),
        Statement::Select(query) => query.output.iter().find_map(|output| match &*output.expr.node {
            ExprNode::Call { function, args, .. } if function.name == "set_config" => match args.as_slice() {
                [ExprNode::Text(name), value, ExprNode::Bool(local)] => Some(SetParameter {
                    name: name.to_ascii_lowercase(),
                    value: Some(match value {
                        ExprNode::Text(value) => value.clone(),
                        _ => String::new(),
                    }),
                    local: *local,
                }),
                _ => None,
            },
            _ => None,
        }),
        _ => None,
    }
}
