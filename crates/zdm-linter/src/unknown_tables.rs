//! ZDM909: the configuration speaks of a table that the history does not know.
//!
//! A name that is near to a known one is taken for a slip. Any other is told only where absence proves something: where all
//! that makes tables was read.

use std::collections::BTreeSet;

use zdm_django::Resolver;
use zdm_django::resolve::Context;
use zdm_postgres::Statement;
use zdm_postgres::statement::AlterTableAction;
use zdm_replay::MigrationTrace;
use zdm_source::{Diagnostic, Label, nearest};

use crate::config::Config;
use crate::registry::find_rule;

const CODE: &str = "ZDM909";

/// The findings about tables that the configuration names, given all migrations in order.
pub fn lint_tables<'t>(
    migrations: impl Iterator<Item = &'t MigrationTrace> + Clone,
    context: &Context,
    config: &Config,
) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    check(migrations, context, config, &mut out);
    out
}

pub(crate) fn check<'t>(
    migrations: impl Iterator<Item = &'t MigrationTrace> + Clone,
    context: &Context,
    config: &Config,
    out: &mut Vec<Diagnostic>,
) {
    let (Some(rule), Some(last)) = (find_rule(CODE), migrations.clone().last()) else { return };
    if config.named_tables.is_empty() {
        return;
    }
    let known = known_tables(migrations, last, context);
    for named in &config.named_tables {
        let (pattern, path) = (named.pattern.as_str(), named.file.path());
        if !config.is_enabled(&rule.page, path) || known.iter().any(|name| named.pattern.matches(name)) {
            continue;
        }
        let near = of_model(pattern, last, context).or_else(|| {
            let near = nearest(pattern, known.iter().map(String::as_str)).filter(|_| !pattern.contains('*'));
            near.map(str::to_owned)
        });
        if near.is_none() && last.catalog_after.is_incomplete() {
            continue;
        }
        let what = if pattern.contains('*') { "tables like" } else { "table" };
        let diagnostic = Diagnostic::new(
            rule.page.code,
            config.severity_of(&rule.page, path),
            format!("the configuration speaks of {what} `{pattern}`, which no migration makes or touches"),
            Label::new(&named.file, named.span, ""),
        );
        out.push(match near {
            Some(near) => diagnostic.with_help(format!("did you mean `{near}`?")),
            None => diagnostic.with_help("name tables as the database does, or take the entry away"),
        });
    }
}

/// The table of a model that is named as Django names it: `shop.Order`.
fn of_model(label: &str, last: &MigrationTrace, context: &Context) -> Option<String> {
    let resolver = Resolver::new(&last.state_after, context);
    let mut models = last.state_after.models();
    let model = models.find(|model| format!("{}.{}", model.app, model.name).eq_ignore_ascii_case(label))?;
    Some(zdm_replay::table_name(&resolver.table(model).ok()?).to_string())
}

/// Every table that is there in the end or was ever made or named, also those of models that are not managed.
fn known_tables<'t>(
    migrations: impl Iterator<Item = &'t MigrationTrace>,
    last: &MigrationTrace,
    context: &Context,
) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    known.extend(last.catalog_after.tables().map(|table| table.name.to_string()));
    let resolver = Resolver::new(&last.state_after, context);
    let of_models = last.state_after.models().filter_map(|model| resolver.table(model).ok());
    known.extend(of_models.map(|table| zdm_replay::table_name(&table).to_string()));
    for step in migrations.flat_map(|migration| migration.steps.iter().chain(&migration.python)) {
        match &step.statement {
            Statement::CreateTable(create) => {
                known.insert(create.name.to_string());
            }
            Statement::AlterTable(alter) => {
                for action in &alter.actions {
                    if let AlterTableAction::RenameTo { name } = action {
                        known.insert(alter.name.sibling(name.clone()).to_string());
                    }
                }
            }
            _ => {}
        }
        known.extend(step.outcome.effects.locks.keys().map(ToString::to_string));
    }
    known
}
