//! ZDM701: PostgreSQL would refuse the statement.

use std::collections::BTreeMap;

use zdm_postgres::effects::TransactionUse;
use zdm_postgres::{QualifiedName, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Note, Severity};

use crate::context::{Cx, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    // By operation of Django's: the place of its finding, and how many more of its statements are refused.
    let mut of_operation: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    // Python code may look before it sends what would be refused.
    for step in cx.steps().filter(|step| !step.python) {
        // Of a statement with parameters by name the values are not put in.
        let may_have = step.raw && !step.placeholder && step.sql.contains("%s");
        let place = if may_have { zdm_sql::placeholder(&step.sql) } else { None };
        if let Some(written) = place.and_then(|place| step.sql.get(place.range())).filter(|written| *written == "%s") {
            out.push(
                cx.at_step(
                    step,
                    format!("`{written}` gets no value here and is sent as it stands, which PostgreSQL refuses: syntax error at or near \"%\" (42601)"),
                )
                .with_fact(format!("the statement is `{}`", shortened(&step.sql, 120)))
                .with_help("write the value into the SQL, or give it beside the statement: `RunSQL([(\"… %s\", [value])])`"),
            );
            continue;
        }
        let Some(error) = &step.outcome.error else { continue };
        let told_elsewhere = matches!(error.sqlstate, "55006" | "55P04")
            || error.sqlstate == "25P02"
            || (error.sqlstate == "25001" && step.outcome.transaction == TransactionUse::Forbidden);
        // Of several branches of a condition one runs, and what it meets is not what the others leave.
        let conditional = cx.operations().take(step.operation + 1).any(|(operation, _)| operation.conditional);
        if told_elsewhere || conditional || may_not_be_there(step) || is_about_uncertain_names(step, error.sqlstate) {
            continue;
        }
        // The first one ends the migration, and what comes after it mostly fails for the same reason.
        if !step.raw {
            if let Some((_, more)) = of_operation.get_mut(&step.operation) {
                *more += 1;
                continue;
            }
            of_operation.insert(step.operation, (out.len(), 0));
        }
        let uncertain = step.catalog_before.is_incomplete();
        let message = if uncertain {
            format!("PostgreSQL may refuse this statement: {} ({})", error.message, error.sqlstate)
        } else {
            format!("PostgreSQL refuses this statement: {} ({})", error.message, error.sqlstate)
        };
        let mut diagnostic = cx
            .at_step(step, message)
            .with_fact(format!("the statement is `{}`", shortened(&step.sql, 120)))
            .with_help("compare it with what the migrations before have made: `zdm-lint sqlmigrate --all` shows what each of them sends");
        if uncertain {
            diagnostic = diagnostic.with_fact(
                "operations before it were not analysed, and they may have made or removed what is in question",
            );
            diagnostic.severity = diagnostic.severity.min(Severity::Warning);
        }
        out.push(diagnostic);
    }
    for (place, more) in of_operation.into_values() {
        if let Some(diagnostic) = out.get_mut(place).filter(|_| more > 0) {
            let statements =
                if more == 1 { "one more statement".to_owned() } else { format!("{more} more statements") };
            let text = format!("{statements} of this operation may fail, where this one has not ended the migration");
            diagnostic.notes.insert(1, Note::Fact(text));
        }
    }
}

/// IF EXISTS of what no statement that is known has made: then it does nothing.
fn may_not_be_there(step: &Step) -> bool {
    let name = match &step.statement {
        Statement::AlterTable(alter) if alter.if_exists => &alter.name,
        Statement::AlterSequence { name, if_exists: true, .. } => name,
        _ => return false,
    };
    step.catalog_before.is_incomplete() && step.catalog_before.relation(name).is_none()
}

/// What is missing or in the way is a part of a table that something not understood may have changed.
fn is_about_uncertain_names(step: &Step, sqlstate: &str) -> bool {
    // Undefined and duplicate columns, tables and other objects, and what others depend on.
    const NAMES: [&str; 7] = ["2BP01", "42701", "42703", "42704", "42710", "42P01", "42P07"];
    let uncertain =
        |name: &QualifiedName| step.catalog_before.table(name).is_some_and(|table| table.uncertain || table.assumed);
    NAMES.contains(&sqlstate) && zdm_replay::targets(&step.statement).into_iter().any(uncertain)
}
