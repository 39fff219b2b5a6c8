//! Where the model is known to differ from the servers, and why.

use crate::observed::Respect;

/// Case, respect, reason.
pub const KNOWN: &[(&str, Respect, &str)] = &[
    ("addcol.not_null_default_null", Respect::Errors, ROWS),
    ("addcol.unique_default_const_nonempty", Respect::Errors, ROWS),
    ("con.check_violated", Respect::Errors, ROWS),
    ("con.fk_violated", Respect::Errors, ROWS),
    ("index.create_unique_concurrently_duplicates", Respect::Errors, ROWS),
    (
        "addcol.referenced_table",
        Respect::Blocks,
        "the recorded INSERT had no key and failed before its foreign key was looked at",
    ),
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

/// Differences that only live measurements show: case, respect, reason.
pub const LIVE: &[(&str, Respect, &str)] = &[];

/// Differences of our own cases: statement, respect, reason.
pub const OWN: &[(&str, Respect, &str)] = &[];
