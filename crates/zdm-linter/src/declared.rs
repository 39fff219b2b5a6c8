//! A deploy phase that a migration declares (`zdm_phase = "after"`, django-safemigrate's `safe = Safe.after_deploy()`),
//! held against the one that its findings give, and against what the new code needs.
//!
//! Source of the words: django-safemigrate's documentation; `Safe.always` runs in any phase.

use std::sync::Arc;

use zdm_django::resolve::Resolver;
use zdm_postgres::Ident;
use zdm_replay::{MigrationTrace, Options, table_name};
use zdm_source::{Diagnostic, Label, Phase, Span};

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

/// The findings about a migration's declarations, given its other findings: one for each, or that they contradict.
pub(crate) fn check(cx: &Cx<'_>, found: &[Diagnostic]) -> Vec<Diagnostic> {
    let declarations = &cx.migration.migration.declared_phases;
    if let [(first, one, place), (second, other, span)] = declarations.as_slice()
        && let (Some(declared), Some(also)) = (phase(one), phase(other))
        && declared != also
    {
        let message =
            format!("`{second}` says `{other}`, and `{first}` says `{one}`: which of them holds is not known");
        let related = Label::new(&cx.migration.migration.file, *place, format!("`{first}` is declared here"));
        return vec![cx.at_span(*span, message).with_related(related).with_help("declare one of them")];
    }
    declarations.iter().filter_map(|declaration| check_one(cx, found, declaration)).collect()
}

fn check_one(
    cx: &Cx<'_>,
    found: &[Diagnostic],
    (attribute, text, span): &(Arc<str>, Arc<str>, Span),
) -> Option<Diagnostic> {
    let Some(declared) = read(text) else {
        let help = if &**attribute == "safe" {
            "write `Safe.before_deploy()`, `Safe.after_deploy()` or `Safe.always()`"
        } else {
            "write `zdm_phase = \"before\"`, `\"after\"` or `\"window\"`"
        };
        let message = format!("`{attribute}` says `{text}`, which is no phase that is known here");
        return Some(cx.at_span(*span, message).with_help(help));
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
                "mend what {} says, or declare {}",
                reason.code.code,
                declaration(attribute, computed)
            )),
            fix,
        ));
    }
    if declared == Declared::Phase(Phase::Before) {
        return None;
    }
    let (model, column) = needed(cx.migration, cx.options)?;
    let fix = fixes::declared_phase(cx, attribute, *span, Phase::Before);
    Some(Cx::fixed(
        cx.at_span(
            *span,
            format!("`{attribute}` says `{text}`, but the new code cannot run before this migration: every query of model `{model}` names `{column}`, which is not there yet"),
        )
        .with_help(format!("run it before the new code: {}", declaration(attribute, Phase::Before))),
        fix,
    ))
}

/// How a phase is declared in the words of an attribute: django-safemigrate has none for a chosen moment.
fn declaration(attribute: &str, phase: Phase) -> String {
    match (attribute, phase) {
        ("safe", Phase::Before) => "`safe = Safe.before_deploy()`".to_owned(),
        ("safe", Phase::After) => "`safe = Safe.after_deploy()`".to_owned(),
        _ => format!("`zdm_phase = \"{}\"`", phase.as_str()),
    }
}

/// Whether the rule is on for the migration, and its page.
pub(crate) fn rule() -> Option<&'static crate::registry::Rule> {
    find_rule(CODE)
}

/// A column that the new code names and the migration makes, with the model: `("shop.Order", paid)`. For a new table, the
/// table stands in the column's place.
pub fn needed(migration: &MigrationTrace, options: &Options) -> Option<(String, Ident)> {
    let resolver = Resolver::new(&migration.state_after, &options.context);
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
