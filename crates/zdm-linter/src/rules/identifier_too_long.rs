//! ZDM702: a name is longer than 63 bytes, so PostgreSQL cuts it.

use zdm_postgres::Ident;
use zdm_postgres::Statement;
use zdm_postgres::name::MAX_IDENTIFIER_BYTES;
use zdm_postgres::statement::AlterTableAction;
use zdm_replay::Step;
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.steps() {
        for name in made(step) {
            if name.as_str().len() <= MAX_IDENTIFIER_BYTES {
                continue;
            }
            out.push(
                cx.at_step(
                    step,
                    format!(
                        "the name `{name}` has {} bytes, and PostgreSQL keeps only the first {MAX_IDENTIFIER_BYTES}: `{}`",
                        name.as_str().len(),
                        name.truncated()
                    ),
                )
                .with_help("choose a shorter name; two long names may be cut to the same one"),
            );
        }
    }
}

/// The names that a statement gives.
fn made(step: &Step) -> Vec<&Ident> {
    match &step.statement {
        Statement::CreateTable(create) => std::iter::once(&create.name.name)
            .chain(create.columns.iter().map(|column| &column.name))
            .chain(create.constraints.iter().filter_map(|constraint| constraint.name.as_ref()))
            .collect(),
        Statement::CreateIndex(create) => create.name.iter().map(|name| &name.name).collect(),
        Statement::CreateView(view) => vec![&view.name.name],
        Statement::CreateSequence(sequence) => vec![&sequence.name.name],
        Statement::CreateType { name, .. } => vec![&name.name],
        Statement::CreateTrigger(trigger) => vec![&trigger.name],
        Statement::AlterTable(alter) => alter
            .actions
            .iter()
            .filter_map(|action| match action {
                AlterTableAction::AddColumn { column, .. } => Some(&column.name),
                AlterTableAction::AddConstraint(constraint) => constraint.name.as_ref(),
                AlterTableAction::RenameTo { name } => Some(name),
                AlterTableAction::RenameColumn { to, .. } | AlterTableAction::RenameConstraint { to, .. } => Some(to),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
