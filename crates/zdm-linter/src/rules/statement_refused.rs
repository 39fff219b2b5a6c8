//! ZDM701: PostgreSQL would refuse the statement.

use zdm_postgres::effects::TransactionUse;
use zdm_source::{Diagnostic, Severity};

use crate::context::{Cx, shortened};

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
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
        if told_elsewhere || conditional {
            continue;
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
}
