//! What Python code does to several tables in one place: a loop over models, or one call of a helper of another module. One
//! finding tells it.

use zdm_django::operation::Rows;
use zdm_postgres::QualifiedName;
use zdm_source::Diagnostic;

use crate::context::{Cx, name_list};
use crate::words::weigh_rows;

/// Findings that may differ in their table alone, in the order in which they came.
#[derive(Default)]
pub(crate) struct Together<'a> {
    found: Vec<Group<'a>>,
}

struct Group<'a> {
    /// It names [`Together::any`] where the tables belong.
    diagnostic: Diagnostic,
    rows: &'a Rows,
    tables: Vec<QualifiedName>,
    help: &'static str,
    /// In place of `help` where there is one table only.
    help_for_one: Option<String>,
}

const ANY: &str = "\u{1}";

impl<'a> Together<'a> {
    /// The name that stands for all tables in a finding.
    pub(crate) fn any() -> QualifiedName {
        QualifiedName::new(ANY)
    }

    pub(crate) fn add(
        &mut self,
        diagnostic: Diagnostic,
        (rows, table): (&'a Rows, QualifiedName),
        help: &'static str,
        help_for_one: Option<String>,
    ) {
        let same = self.found.iter_mut().find(|group| {
            group.diagnostic.primary.span == diagnostic.primary.span
                && group.diagnostic.message == diagnostic.message
                && group.help == help
        });
        match same {
            Some(group) if group.tables.contains(&table) => {}
            Some(group) => group.tables.push(table),
            None => self.found.push(Group { diagnostic, rows, tables: vec![table], help, help_for_one }),
        }
    }

    pub(crate) fn report(self, cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
        for Group { diagnostic, rows, tables, help, help_for_one } in self.found {
            let tables = cx.named(&tables);
            let names = name_list(&tables);
            let filled = |text: &str| text.replace(&format!("`{ANY}`"), &names);
            let help = match (help_for_one, tables.as_slice()) {
                (Some(help), [_]) => help,
                _ => help.to_owned(),
            };
            let mut diagnostic = diagnostic.about(&tables).with_help(help);
            diagnostic.message = filled(&diagnostic.message);
            diagnostic.primary.message = filled(&diagnostic.primary.message);
            // The one that weighs most, of equal ones the first.
            let weighed = tables.iter().map(|table| {
                let mut weighed = diagnostic.clone();
                weigh_rows(cx, rows, table, &mut weighed);
                weighed
            });
            out.extend(weighed.reduce(|most, next| if next.severity > most.severity { next } else { most }));
        }
    }
}
