//! ZDM221: a rule of the table stands in for what running code writes.

use zdm_postgres::Statement;
use zdm_source::{Diagnostic, Severity};

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let Statement::CreateRule { name, table, event, instead: true, conditional, .. } = &step.statement else {
            continue;
        };
        let known = cx.migration.catalog_before.table(table);
        // One that was there before is made anew.
        if event == "SELECT"
            || !cx.existed(step, table)
            || known.is_none_or(|known| known.rules.iter().any(|rule| rule.name == *name))
        {
            continue;
        }
        let user = match cx.old.iter().find(|old| *old.name() == *table) {
            Some(old) => old.user(),
            None => format!("table `{table}`"),
        };
        let returning = step.sql.to_ascii_lowercase().contains("returning");
        let message = match event.as_str() {
            "INSERT" if !returning => format!(
                "rule `{name}` stands in for INSERTs into `{table}`: those of the code that is still running ({user}) fail where they ask for the new key (RETURNING), and where they do not, {}",
                if *conditional { "some of the rows are not written" } else { "no row is written" }
            ),
            _ => format!(
                "rule `{name}` stands in for each {event} of `{table}`: what the code that is still running ({user}) sends is not done for {}, and no error says so",
                if *conditional { "some rows" } else { "any row" }
            ),
        };
        let mut diagnostic = cx
            .at_step(step, message)
            .with_help("release code that does without these writes first, and make the rule in the release after");
        if *conditional && (event != "INSERT" || returning) {
            diagnostic.severity = diagnostic.severity.min(Severity::Warning);
        }
        out.push(diagnostic);
    }
}
