//! One module per rule: a plain function that judges one migration. Metadata is on the rule's page.

use zdm_postgres::statement::{AlterTable, AlterTableAction};
use zdm_postgres::{QualifiedName, Statement};
use zdm_replay::Step;

pub mod added_column_rewrites;
pub mod added_column_scans;
pub mod check_added_validated;
pub mod column_dropped;
pub mod column_made_not_null;
pub mod column_made_nullable;
pub mod column_not_filled;
pub mod column_renamed;
pub mod concurrent_build_corrupts;
pub mod concurrently_in_transaction;
pub mod constraint_builds_index;
pub mod data_and_schema_together;
pub mod default_dropped;
pub mod drop_index_not_concurrent;
pub mod explicit_lock;
pub mod foreign_key_added_validated;
pub mod foreign_key_left;
pub mod identifier_too_long;
pub mod if_not_exists_keeps_invalid_index;
pub mod index_not_concurrent;
pub mod irreversible_run_python;
pub mod irreversible_run_sql;
pub mod locks_referenced_table;
pub mod locks_several_tables;
pub mod made_elsewhere;
pub mod mirror_loses_writes;
pub mod model_imported;
pub mod model_null_in_state_only;
pub mod model_without_column;
pub mod new_restriction;
pub mod non_atomic_mixed;
pub mod not_null_column_fails;
pub mod not_null_without_default;
pub mod not_valid_and_validate_together;
pub mod object_dropped;
pub mod operation_not_analysed;
pub mod partition_attached_with_scan;
pub mod partition_detached_with_lock;
pub mod pending_trigger_events;
pub mod primary_key_using_index_scans;
pub mod python_changes_whole_table;
pub mod python_saves_row_by_row;
pub mod refresh_not_concurrent;
pub mod reindex_not_concurrent;
pub mod same_value_for_unique_column;
pub mod set_not_null_scans;
pub mod slow_work_under_lock;
pub mod sql_not_understood;
pub mod statement_refused;
pub mod table_dropped;
pub mod table_renamed;
pub mod table_rewritten;
pub mod timeout_setting_leaks;
pub mod transaction_control_in_sql;
pub mod trigger_names_missing_column;
pub mod truncate;
pub mod type_change_rewrites;
pub mod type_change_scans;
pub mod type_changed;
pub mod volatile_default;
pub mod whole_table_in_one_statement;

/// The actions of an ALTER TABLE with the statement they stand in; nothing for other statements.
pub(crate) fn alter_actions(step: &Step) -> impl Iterator<Item = (&AlterTable, &AlterTableAction)> {
    let alter = match &step.statement {
        Statement::AlterTable(alter) => Some(alter),
        _ => None,
    };
    alter.into_iter().flat_map(|alter| alter.actions.iter().map(move |action| (alter, action)))
}

/// The column that an action changes, for messages: `shop_order.total`.
pub(crate) fn column_name(table: &QualifiedName, column: &impl std::fmt::Display) -> String {
    format!("`{table}.{column}`")
}
