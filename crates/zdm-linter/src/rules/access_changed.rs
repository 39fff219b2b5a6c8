//! ZDM216: running code may lose its access to a table: privileges, row security, policies.

use zdm_postgres::statement::{AlterTableAction, ObjectKind};
use zdm_postgres::{Ident, QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity};

use super::alter_actions;
use crate::context::{Cx, name_list};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let old = |name: &QualifiedName| step.catalog_before.table(name).is_some() && cx.existed(step, name);
        let secured =
            |name: &QualifiedName| cx.migration.catalog_before.table(name).is_some_and(|table| table.row_security);
        let message = match &step.statement {
            Statement::Grant { revoke: true, kind: ObjectKind::Table, names, .. } if !names.is_empty() => {
                let names: Vec<_> = names.iter().filter(|name| old(name)).collect();
                if names.is_empty() {
                    continue;
                }
                format!(
                    "REVOKE takes privileges on {} away: what the code that is still running does with them fails",
                    name_list(names)
                )
            }
            // Of all tables of a schema, of what leads to them, or of a role that has them.
            Statement::Grant { revoke: true, kind, names, .. } => {
                let Some(message) = revoked_at_large(cx, step, *kind, names) else { continue };
                message
            }
            Statement::CreatePolicy { name, table, .. } if old(table) && secured(table) => {
                format!(
                    "policy `{name}` changes which rows of `{table}` the code that is still running sees and may write"
                )
            }
            Statement::AlterPolicy { name, table, .. } if old(table) && secured(table) => {
                format!(
                    "policy `{name}` changes which rows of `{table}` the code that is still running sees and may write"
                )
            }
            Statement::Drop(drop) if drop.kind == ObjectKind::Policy => match &drop.on {
                Some(table) if old(table) && secured(table) => format!(
                    "dropping policy {} hides rows of `{table}` from the code that is still running, unless another policy allows them",
                    name_list(&drop.names)
                ),
                _ => continue,
            },
            Statement::ReassignOwned { roles } if let Some(name) = roles.first() => format!(
                "REASSIGN OWNED takes every table of `{name}` away from that role: if the code that is still running connects as `{name}`, it may no longer read or write them, unless they are granted to it"
            ),
            _ if let Some((name, role)) = new_owner(step).filter(|(name, _)| is_old_relation(cx, step, name)) => {
                format!(
                    "`{name}` belongs to `{role}` from now on: the code that is still running may no longer read or write it if it connects as the owner before, unless that role is granted what it needs"
                )
            }
            _ => {
                let enabled = alter_actions(step).find(|(alter, action)| {
                    old(&alter.name)
                        && matches!(action, AlterTableAction::RowSecurity { mode } if matches!(mode.as_str(), "ENABLE" | "FORCE"))
                });
                let Some((alter, _)) = enabled else { continue };
                format!(
                    "row security on `{}` hides every row that no policy allows from the code that is still running, unless it connects as the owner or a superuser",
                    alter.name
                )
            }
        };
        out.push(cx.at_step(step, message).with_help(
            "grant what old and new code need first, release the new code, and take the old privileges away in the release after",
        ));
    }
    for step in cx.accepted() {
        out.extend(function_of_another(cx, step));
    }
}

/// `OWNER TO` another role than the one that migrates.
fn new_owner(step: &Step) -> Option<(&QualifiedName, &Ident)> {
    alter_actions(step).find_map(|(alter, action)| match action {
        AlterTableAction::OwnerTo { role }
            if !matches!(role.as_str(), "current_user" | "session_user" | "current_role") =>
        {
            Some((&alter.name, role))
        }
        _ => None,
    })
}

/// A function that was there before the migration gets another owner: only where it is SECURITY DEFINER, which a change of
/// its definition may have made it, does that matter to who calls it.
fn function_of_another(cx: &Cx<'_>, step: &Step) -> Option<Diagnostic> {
    let Statement::AlterOther { kind, name, rename_to: None, set_schema: None, .. } = &step.statement else {
        return None;
    };
    let what = match kind {
        ObjectKind::Function | ObjectKind::Routine => "function",
        ObjectKind::Procedure => "procedure",
        _ => return None,
    };
    let words: Vec<&str> = step.sql.split_whitespace().collect();
    let [.., owner, to, role] = words.as_slice() else { return None };
    let role = role.trim_matches([';', '"']);
    let own = ["current_user", "session_user", "current_role"].iter().any(|own| role.eq_ignore_ascii_case(own));
    if own
        || !owner.eq_ignore_ascii_case("owner")
        || !to.eq_ignore_ascii_case("to")
        || cx.migration.catalog_before.functions(name).is_empty()
    {
        return None;
    }
    let mut diagnostic = cx
        .at_step(
            step,
            format!("{what} `{name}` belongs to `{role}` from now on: if it is SECURITY DEFINER, the code that is still running calls it with the privileges of that role"),
        )
        .with_help("grant the new owner what the function needs first");
    diagnostic.severity = diagnostic.severity.min(Severity::Info);
    Some(diagnostic)
}

/// A table, view or sequence that was there before the migration.
fn is_old_relation(cx: &Cx<'_>, step: &Step, name: &QualifiedName) -> bool {
    step.catalog_before.relation(name).is_some()
        && cx.migration.catalog_before.relation(name).is_some()
        && cx.existed(step, name)
}

fn revoked_at_large(cx: &Cx<'_>, step: &Step, kind: ObjectKind, names: &[QualifiedName]) -> Option<String> {
    let fails = "what the code that is still running does with them fails";
    match kind {
        ObjectKind::Table => {
            cx.migration.catalog_before.tables().next()?;
            Some(format!("REVOKE takes privileges on all tables of a schema away: {fails}"))
        }
        ObjectKind::Sequence if names.is_empty() => {
            Some(format!("REVOKE takes privileges on all sequences of a schema away: {fails}"))
        }
        ObjectKind::Sequence => {
            let names: Vec<_> =
                names.iter().filter(|name| cx.migration.catalog_before.sequence(name).is_some()).collect();
            (!names.is_empty()).then(|| format!("REVOKE takes privileges on {} away: {fails}", name_list(names)))
        }
        // CREATE lets a role make objects in it, which running code does not.
        ObjectKind::Schema if takes_more_than_create(&step.sql) => Some(format!(
            "REVOKE takes USAGE of schema {} away: no statement of that role finds its tables any more",
            name_list(names)
        )),
        ObjectKind::Role => Some(
            "REVOKE takes a role's membership away, and with it every privilege that the role had by it: statements of the code that is still running fail".to_owned(),
        ),
        _ => None,
    }
}

/// `REVOKE CREATE ON SCHEMA …` takes nothing else.
fn takes_more_than_create(sql: &str) -> bool {
    let mut words = sql.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    words
        .by_ref()
        .take_while(|word| !word.eq_ignore_ascii_case("on"))
        .any(|word| word.eq_ignore_ascii_case("usage") || word.eq_ignore_ascii_case("all"))
}
