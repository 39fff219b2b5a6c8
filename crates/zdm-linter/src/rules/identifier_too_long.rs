//! ZDM702: a name is longer than 63 bytes, so PostgreSQL cuts it.

use zdm_postgres::Ident;
use zdm_postgres::Statement;
use zdm_postgres::name::{MAX_IDENTIFIER_BYTES, truncate_bytes};
use zdm_postgres::statement::AlterTableAction;
use zdm_replay::Step;
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.steps() {
        let made = made(step);
        if made.is_empty() {
            continue;
        }
        for written in long_identifiers(&step.sql) {
            let kept = truncate_bytes(&written, MAX_IDENTIFIER_BYTES);
            if !made.iter().any(|name| name.truncated() == kept) {
                continue;
            }
            out.push(
                cx.at_step(
                    step,
                    format!(
                        "the name `{written}` has {} bytes, and PostgreSQL keeps only the first {MAX_IDENTIFIER_BYTES}: `{kept}`",
                        written.len()
                    ),
                )
                .with_help("choose a shorter name; two long names may be cut to the same one"),
            );
        }
    }
}

/// The identifiers of a statement's text that are too long, each once. The reader of SQL cuts names as the server does,
/// so the text alone still has them whole.
fn long_identifiers(sql: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut characters = sql.char_indices().peekable();
    while let Some((start, first)) = characters.next() {
        let name = match first {
            // A string's content is no name.
            '\'' => {
                while characters.next().is_some_and(|(_, character)| character != '\'') {}
                continue;
            }
            '"' => {
                let mut name = String::new();
                while let Some((_, character)) = characters.next() {
                    if character == '"' && characters.next_if(|(_, next)| *next == '"').is_none() {
                        break;
                    }
                    name.push(character);
                }
                name
            }
            _ if first.is_alphabetic() || first == '_' => {
                let mut end = start + first.len_utf8();
                while let Some((index, character)) =
                    characters.next_if(|(_, next)| next.is_alphanumeric() || matches!(next, '_' | '$'))
                {
                    end = index + character.len_utf8();
                }
                sql[start..end].to_lowercase()
            }
            _ => continue,
        };
        if name.len() > MAX_IDENTIFIER_BYTES && !found.contains(&name) {
            found.push(name);
        }
    }
    found
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
