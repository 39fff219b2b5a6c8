//! Every text of the lock measurements is understood: no statement is opaque, no action and no expression is unknown.

use zdm_postgres::Statement;
use zdm_postgres::statement::AlterTableAction;
use zdm_sql::parse;

/// What follows BEGIN in the sessions that hold locks: no statement by itself.
const NO_STATEMENT: [&str; 1] = ["ISOLATION LEVEL REPEATABLE READ"];

#[test]
fn nothing_of_the_measurements_is_opaque() {
    let texts: Vec<String> =
        serde_json::from_str(include_str!("data/measured.json")).expect("the data file is a list of texts");
    let mut failures = Vec::new();
    let mut statements = 0;
    for text in &texts {
        for parsed in parse(text) {
            statements += 1;
            match &parsed.statement {
                Statement::Opaque(opaque) if !NO_STATEMENT.contains(&opaque.text.as_str()) => {
                    failures.push(format!("{}: {}", opaque.text, opaque.reason));
                }
                Statement::AlterTable(alter) => {
                    for action in &alter.actions {
                        if let AlterTableAction::Unknown { text: action } = action {
                            failures.push(format!("{text}: unknown action {action}"));
                        }
                    }
                }
                _ => {}
            }
            // The argument of `count(*)` is none, and that of a function's body has no structure.
            let debug = format!("{:?}", parsed.statement)
                .replace("Other { text: \"*\", parts: [], words: false, form: None }", "")
                .replace("Other { text: \"$1\", parts: [], words: false, form: None }", "");
            if debug.contains("Other { text:") {
                failures.push(format!("an expression of {text}: {debug}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {statements}:\n{}", failures.len(), failures.join("\n"));
    assert!(texts.len() > 500, "the data file has all texts, not {}", texts.len());
}
