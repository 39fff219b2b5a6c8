//! ZDM909: the configuration speaks of a table that the history does not know.
//!
//! A name that is near to a known one is taken for a slip. Any other is told only where absence proves something: where all
//! that makes tables was read.

use std::collections::BTreeSet;

use zdm_django::resolve::Context;
use zdm_django::{ProjectState, Resolver};
use zdm_postgres::statement::AlterTableAction;
use zdm_postgres::{Catalog, Statement};
use zdm_replay::MigrationTrace;
use zdm_source::{Diagnostic, Label, nearest};

use crate::config::Config;
use crate::registry::find_rule;

const CODE: &str = "ZDM909";

/// The tables of a history, as far as the configuration names any.
#[derive(Clone, Debug, Default)]
pub struct KnownTables {
    /// Every table that was ever made or named.
    named: BTreeSet<String>,
    /// Both worlds after the last migration.
    last: Option<(ProjectState, Catalog)>,
}

impl KnownTables {
    /// The next migration.
    pub fn follow(&mut self, migration: &MigrationTrace, config: &Config) {
        if config.named_tables.is_empty() {
            return;
        }
        self.last = Some((migration.state_after.clone(), migration.catalog_after.clone()));
        for step in migration.steps.iter().chain(&migration.python) {
            match &step.statement {
                Statement::CreateTable(create) => {
                    self.named.insert(create.name.to_string());
                }
                Statement::AlterTable(alter) => {
                    for action in &alter.actions {
                        if let AlterTableAction::RenameTo { name } = action {
                            self.named.insert(alter.name.sibling(name.clone()).to_string());
                        }
                    }
                }
                _ => {}
            }
            self.named.extend(step.outcome.effects.locks.keys().map(ToString::to_string));
        }
    }

    /// The findings about tables that the configuration names, after all migrations.
    pub fn check(mut self, context: &Context, config: &Config) -> Vec<Diagnostic> {
        let mut out = Vec::new();
        let (Some(rule), Some((state, catalog))) = (find_rule(CODE), self.last.take()) else { return out };
        let resolver = Resolver::new(&state, context);
        let mut known = self.named;
        known.extend(catalog.tables().map(|table| table.name.to_string()));
        // Also those of models that are not managed.
        let of_models = state.models().filter_map(|model| resolver.table(model).ok());
        known.extend(of_models.map(|table| zdm_replay::table_name(&table).to_string()));
        for named in &config.named_tables {
            let (pattern, path) = (named.pattern.as_str(), named.file.path());
            if !config.is_enabled(&rule.page, path) || known.iter().any(|name| named.pattern.matches(name)) {
                continue;
            }
            let near = of_model(pattern, &state, &resolver).or_else(|| {
                let near = nearest(pattern, known.iter().map(String::as_str)).filter(|_| !pattern.contains('*'));
                near.map(str::to_owned)
            });
            if near.is_none() && catalog.is_incomplete() {
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
        out
    }
}

/// The table of a model that is named as Django names it: `shop.Order`.
fn of_model(label: &str, state: &ProjectState, resolver: &Resolver<'_>) -> Option<String> {
    let mut models = state.models();
    let model = models.find(|model| format!("{}.{}", model.app, model.name).eq_ignore_ascii_case(label))?;
    Some(zdm_replay::table_name(&resolver.table(model).ok()?).to_string())
}
