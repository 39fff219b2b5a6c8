//! Every recorded statement against the model, for versions 12 to 18. No server is needed.

use std::collections::{BTreeMap, BTreeSet};

use zdm_claims::observed::{Respect, differences};
use zdm_claims::predict::{Case, predict};
use zdm_claims::truth::entries;
use zdm_postgres::PgVersion;

/// Where the model is known to differ, and why.
const KNOWN: &[(&str, Respect, &str)] = &[
    ("addcol.not_null_default_null", Respect::Errors, ROWS),
    ("addcol.unique_default_const_nonempty", Respect::Errors, ROWS),
    ("con.check_violated", Respect::Errors, ROWS),
    ("con.fk_violated", Respect::Errors, ROWS),
    ("index.create_unique_concurrently_duplicates", Respect::Errors, ROWS),
    ("dml.insert_select", Respect::Blocks, SOME_ROWS),
    ("dml.select_for_update_where", Respect::Blocks, SOME_ROWS),
    ("table.pending_trigger_events_alter_after_set_constraints", Respect::Blocks, SOME_ROWS),
    ("table.pending_trigger_events_referenced", Respect::Blocks, SOME_ROWS),
    ("ty.enum_rename_value_use_same_tx", Respect::Blocks, SOME_ROWS),
    ("dml.copy_to", Respect::Locks, OPAQUE),
    ("dml.copy_to", Respect::Scans, OPAQUE),
    ("ty.do_block", Respect::Locks, OPAQUE),
    ("ty.create_function_reads", Respect::Locks, OPAQUE),
    ("index.create_expr_user_fn_reads_table", Respect::Locks, OPAQUE),
    ("index.create_expr_user_fn_reads_table", Respect::Scans, OPAQUE),
    ("type.varchar_larger_sqlfunction_body", Respect::Errors, OPAQUE),
    ("type.varchar_larger_publication_where", Respect::Errors, "the condition of a publication is not read"),
    (
        "index.alter_statistics",
        Respect::Errors,
        "which form of ALTER STATISTICS it is, is not read; 12 has no SET STATISTICS",
    ),
];

const ROWS: &str = "whether the rows satisfy the constraint cannot be told from the schema";
const SOME_ROWS: &str =
    "row locks are told where a statement takes all rows; which rows a condition takes, is not known";
const OPAQUE: &str = "DO blocks and function bodies are opaque";

#[test]
fn the_model_says_what_was_recorded() {
    let mut failures = Vec::new();
    let mut used: BTreeSet<(&str, Respect)> = BTreeSet::new();
    let mut table: BTreeMap<u16, (u32, BTreeMap<Respect, u32>)> = BTreeMap::new();
    for entry in &entries() {
        for major in 12..=18 {
            let Some(measured) = entry.measured(major) else { continue };
            let case = Case {
                setup: &entry.setup,
                session: &entry.session,
                pre: &entry.pre,
                statement: &entry.statement,
                mode: entry.mode,
            };
            let prediction = predict(&case, PgVersion::major(major));
            let row = table.entry(major).or_default();
            row.0 += 1;
            if let Some(error) = prediction.setup_error {
                failures.push(format!("{} on {major}: setup refused: {error}", entry.id));
                continue;
            }
            let found = differences(&prediction.observed, &prediction.uncertain, &measured.observed, measured.scope);
            for respect in Respect::ALL {
                let Some(difference) = found.iter().find(|difference| difference.respect == respect) else {
                    *row.1.entry(respect).or_default() += 1;
                    continue;
                };
                if let Some((id, respect, _)) = KNOWN.iter().find(|(id, known, _)| *id == entry.id && *known == respect)
                {
                    used.insert((id, *respect));
                    continue;
                }
                failures.push(format!(
                    "{} on {major}: {respect}\n    model  {}\n    server {}\n    {}",
                    entry.id, difference.predicted, difference.measured, entry.statement
                ));
            }
        }
    }
    println!("version statements {}", Respect::ALL.map(|respect| respect.to_string()).join(" "));
    for (major, (statements, equal)) in &table {
        let counts = Respect::ALL.map(|respect| equal.get(&respect).copied().unwrap_or(0).to_string());
        println!("{major} {statements} {}", counts.join(" "));
    }
    for (id, respect, reason) in KNOWN {
        assert!(used.contains(&(*id, *respect)), "{id} no longer differs in {respect}: {reason}");
    }
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures.join("\n"));
}
