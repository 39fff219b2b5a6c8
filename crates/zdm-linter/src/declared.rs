//! A deploy phase that a migration declares (`zdm_phase = "after"`, django-safemigrate's `safe = Safe.after_deploy()`),
//! held against the one that its findings give, and against what the new code needs.
//!
//! Source of the words: django-safemigrate's documentation; `Safe.always` runs in any phase.

use std::sync::Arc;

use zdm_django::resolve::Resolver;
use zdm_postgres::Ident;
use zdm_replay::{MigrationTrace, Trace, table_name};
use zdm_source::{Diagnostic, Phase};

use crate::context::Cx;
use crate::fixes;
use crate::phase::phase_of;
use crate::registry::find_rule;

const CODE: &str = "ZDM609";

/// What a migration says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    Phase(Phase),
    Always,
}

fn read(text: &str) -> Option<Declared> {
    // `Safe.after_deploy(delay=timedelta(days=1))`
    let word = text.split('(').next().unwrap_or(text);
    let word = word.rsplit('.').next().unwrap_or(word).trim().trim_matches(['"', '\'']);
    Some(match word {
        "before" | "before_deploy" => Declared::Phase(Phase::Before),
        "after" | "after_deploy" => Declared::Phase(Phase::After),
        "window" => Declared::Phase(Phase::Window),
        "always" => Declared::Always,
        _ => return None,
    })
}

/// The phase that a declaration names; `Safe.always` names none.
pub(crate) fn phase(text: &str) -> Option<Phase> {
    match read(text)? {
        Declared::Phase(phase) => Some(phase),
        Declared::Always => None,
    }
}

/// The finding about a migration's declaration, given its other findings.
pub(crate) fn check(cx: &Cx<'_>, found: &[Diagnostic]) -> Option<Diagnostic> {
    let (attribute, text, span) = cx.migration.migration.declared_phase.as_ref()?;
    let Some(declared) = read(text) else {
        return Some(
            cx.at_span(*span, format!("`{attribute} = {text}` is no phase that is known here"))
                .with_help("write `zdm_phase = \"before\"`, `\"after\"` or `\"window\"`"),
        );
    };
    let (computed, reason) = phase_of(found);
    let late = match declared {
        Declared::Phase(phase) => computed > phase,
        Declared::Always => computed > Phase::Before,
    };
    if late {
        let reason = reason?;
        let phase = match computed {
            Phase::After => "only once no old code runs",
            _ => "only in a moment that a person chooses",
        };
        let fix = fixes::declared_phase(cx, attribute, *span, computed);
        return Some(Cx::fixed(
            cx.at_span(
                *span,
                format!("`{attribute}` says `{text}`, but this migration may run {phase}: {}", reason.message),
            )
            .with_related(reason.primary.clone())
            .with_help(format!(
                "mend what {} says, or declare `zdm_phase = \"{}\"`",
                reason.code.code,
                computed.as_str()
            )),
            fix,
        ));
    }
    if declared == Declared::Phase(Phase::Before) {
        return None;
    }
    let (model, column) = needed(cx.migration, cx.trace)?;
    let fix = fixes::declared_phase(cx, attribute, *span, Phase::Before);
    Some(Cx::fixed(
        cx.at_span(
            *span,
            format!("`{attribute}` says `{text}`, but the new code cannot run before this migration: every query of model `{model}` names `{column}`, which is not there yet"),
        )
        .with_help("run it before the new code: `zdm_phase = \"before\"`"),
        fix,
    ))
}

/// Whether the rule is on for the migration, and its page.
pub(crate) fn rule() -> Option<&'static crate::registry::Rule> {
    find_rule(CODE)
}

/// A column that the new code names and the migration makes, with the model: `("shop.Order", paid)`. For a new table, the
/// table stands in the column's place.
pub fn needed(migration: &MigrationTrace, trace: &Trace) -> Option<(String, Ident)> {
    let resolver = Resolver::new(&migration.state_after, &trace.context);
    for model in migration.state_after.models() {
        let same = migration.state_before.model(&model.key()).is_some_and(|before| Arc::ptr_eq(before, model));
        if same || model.is_proxy() || !model.is_managed() || model.assumed {
            continue;
        }
        let label = format!("{}.{}", model.app, model.name);
        let Ok(name) = resolver.table(model).map(|name| table_name(&name)) else { continue };
        let Some(table) = migration.catalog_before.table(&name) else {
            if migration.catalog_after.table(&name).is_some() {
                return Some((label, name.name));
            }
            continue;
        };
        if table.assumed || table.uncertain {
            continue;
        }
        let Ok(resolved) = resolver.model(&model.key()) else { continue };
        for field in resolved.fields.iter().filter_map(|field| field.as_ref().ok()) {
            let Some(column) = field.column.as_ref().map(|column| Ident::new(Arc::clone(column)).truncated()) else {
                continue;
            };
            let made =
                migration.catalog_after.table(&name).is_some_and(|after| after.column(column.as_str()).is_some());
            if made && table.column(column.as_str()).is_none() {
                return Some((label, column));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_both_are_read() {
        assert_eq!(read("after"), Some(Declared::Phase(Phase::After)));
        assert_eq!(read("Safe.before_deploy"), Some(Declared::Phase(Phase::Before)));
        assert_eq!(read("Safe.after_deploy(delay=timedelta(days=1))"), Some(Declared::Phase(Phase::After)));
        assert_eq!(read("Safe.always()"), Some(Declared::Always));
        assert_eq!(read("\"window\""), Some(Declared::Phase(Phase::Window)));
        assert_eq!(read("soon"), None);
    }
}
