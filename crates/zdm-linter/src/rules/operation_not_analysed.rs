//! ZDM901: an operation, or a part of it, is not analysed.

use std::collections::BTreeMap;

use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    // A setting that many operations ask for is told once.
    let mut by_setting: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in cx.operations().flat_map(|(_, trace)| &trace.not_analysed).map(|(_, reason)| reason) {
        if is_about_setting(reason) {
            *by_setting.entry(reason).or_default() += 1;
        }
    }
    for (operation, trace) in cx.operations() {
        for (span, reason) in &trace.not_analysed {
            let more = match by_setting.get_mut(reason.as_str()).map(std::mem::take) {
                Some(0) => continue,
                Some(1) | None => String::new(),
                Some(2) => ", and neither is another operation that asks for it".to_owned(),
                Some(count) => format!(", and neither are {} others that ask for it", count - 1),
            };
            let mut diagnostic = cx
                .at_operation(trace.index, format!("{} is not analysed: {reason}{more}", operation.title()))
                .with_fact(
                    "its locks and its effect on running code are unknown, and so is what later migrations build on it",
                )
                .with_help(if is_about_setting(reason) {
                    "name the settings module that sets it, as `settings` in the configuration; else check the SQL by hand with `python manage.py sqlmigrate`"
                } else {
                    "check its SQL by hand with `python manage.py sqlmigrate`"
                });
            diagnostic.primary.span = *span;
            diagnostic.primary.message = String::new();
            out.push(diagnostic);
        }
    }
    for (span, message) in &cx.migration.migration.problems {
        // What is not Python is ZDM905's matter.
        if message.starts_with("syntax error") {
            continue;
        }
        out.push(cx.at_span(*span, message.clone()));
    }
}

fn is_about_setting(reason: &str) -> bool {
    reason.starts_with("the setting `") && reason.ends_with("` is not known")
}
