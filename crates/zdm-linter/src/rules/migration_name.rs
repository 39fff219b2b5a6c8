//! ZDM608: a migration's number is not the one behind its predecessor's.

use zdm_django::migration::DependencyTarget;
use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    let migration = &cx.migration.migration;
    let Some(own) = number(&migration.key.name) else {
        out.push(
            cx.at_span(
                migration.span,
                format!(
                    "the name of `{}` does not begin with a number, by which people read the order of migrations",
                    migration.key
                ),
            )
            .with_help("name it as makemigrations does: four digits, an underscore, a few words"),
        );
        return;
    };
    let parents: Vec<u32> = migration
        .dependencies
        .iter()
        .filter_map(|dependency| match &dependency.target {
            DependencyTarget::Migration(key) if key.app == migration.key.app => number(&key.name),
            _ => None,
        })
        .collect();
    let expected = match (parents.iter().max(), migration.replaces.is_empty()) {
        (Some(last), true) => last.saturating_add(1),
        (None, true) => return,
        // A squash bears the first number of what it replaces.
        (_, false) => return,
    };
    if own != expected {
        out.push(
            cx.at_span(
                migration.span,
                format!(
                    "`{}` follows number {:04} of its app, so that it would be {expected:04}",
                    migration.key,
                    expected.saturating_sub(1)
                ),
            )
            .with_help("renumber it while it has not been applied anywhere"),
        );
    }
}

fn number(name: &str) -> Option<u32> {
    let digits = name.split('_').next().unwrap_or(name);
    (digits.len() >= 4).then(|| digits.parse().ok()).flatten()
}
