//! One module per rule: a plain function that judges one migration. Metadata is on the rule's page.

use zdm_postgres::catalog::{ConstraintKind, Table};
use zdm_postgres::effects::UncertainEffect;
use zdm_postgres::expr::{ExprNode, SqlExpr};
use zdm_postgres::statement::{AlterTable, AlterTableAction, ColumnDef};
use zdm_postgres::{DataType, Ident, QualifiedName, Statement};
use zdm_replay::Step;

use crate::context::Cx;

pub mod access_changed;
pub mod added_column_rewrites;
pub mod added_column_scans;
pub mod check_added_validated;
pub mod column_dropped;
pub mod column_made_not_null;
pub mod column_made_nullable;
pub mod column_not_filled;
pub mod column_renamed;
pub mod composite_primary_key_changed;
pub mod concurrent_build_corrupts;
pub mod concurrently_in_transaction;
pub mod constraint_builds_index;
pub mod constraint_dropped;
pub mod constraint_enforced_scans;
pub mod data_and_schema_together;
pub mod default_dropped;
pub mod domain_constraint_scans;
pub mod domain_with_constraint;
pub mod drop_index_not_concurrent;
pub mod enum_type_created;
pub mod enum_value_added;
pub mod enum_value_renamed;
pub mod enum_value_used_too_early;
pub mod enum_value_without_position;
pub mod explicit_lock;
pub mod fixed_length_char;
pub mod foreign_key_added_validated;
pub mod foreign_key_left;
pub mod foreign_key_without_index;
pub mod generation_changed;
pub mod hot_table_locked;
pub mod identifier_too_long;
pub mod if_not_exists_keeps_invalid_index;
pub mod index_dropped;
pub mod index_not_concurrent;
pub mod irreversible_run_python;
pub mod irreversible_run_sql;
pub mod json_not_jsonb;
pub mod lock_after_validation;
pub mod locks_referenced_table;
pub mod locks_several_tables;
pub mod made_elsewhere;
pub mod migration_name;
pub mod mirror_loses_writes;
pub mod model_imported;
pub mod model_not_null_in_state_only;
pub mod model_null_in_state_only;
pub mod model_without_column;
pub mod name_needs_quotes;
pub mod narrowing_loses_data;
pub mod new_restriction;
pub mod no_lock_timeout;
pub mod non_atomic_mixed;
pub mod not_null_column_fails;
pub mod not_null_without_default;
pub mod not_rerunnable;
pub mod not_valid_and_validate_together;
pub mod object_drift;
pub mod object_dropped;
pub mod object_renamed;
pub mod operation_not_analysed;
pub mod other_type;
pub mod partition_attached_with_scan;
pub mod partition_detached_with_lock;
pub mod partition_locks_parent;
pub mod pending_trigger_events;
pub mod primary_key_using_index_scans;
pub mod python_changes_whole_table;
pub mod python_inserts_at_once;
pub mod python_loads_whole_table;
pub mod python_not_read;
pub mod python_saves_row_by_row;
pub mod refresh_not_concurrent;
pub mod reindex_not_concurrent;
pub mod same_value_for_unique_column;
pub mod sequence_altered;
pub mod serial_not_identity;
pub mod set_not_null_scans;
pub mod setting_leaks;
pub mod slow_work_under_lock;
pub mod small_integer_key;
pub mod sql_not_understood;
pub mod statement_refused;
pub mod table_dropped;
pub mod table_renamed;
pub mod table_rewritten;
pub mod timestamp_without_time_zone;
pub mod transaction_control_in_sql;
pub mod trigger_disabled;
pub mod trigger_names_missing_column;
pub mod truncate;
pub mod type_change_rewrites;
pub mod type_change_scans;
pub mod type_changed;
pub mod unique_together;
pub mod unsafe_reverse;
pub mod varchar_not_text;
pub mod volatile_default;
pub mod whole_table_in_one_statement;
pub mod wide_index;
pub mod write_replaced;

/// A default that gives a value: `DEFAULT NULL` is none.
pub(crate) fn gives_value(default: Option<&SqlExpr>) -> bool {
    let mut node = match default {
        Some(expr) => &*expr.node,
        None => return false,
    };
    while let ExprNode::Cast { expr, .. } = node {
        node = expr;
    }
    *node != ExprNode::Null
}

/// Whether every row that a table's checks and NOT NULL columns let in passes this check too.
pub(crate) fn checks_imply(table: &Table, check: &ExprNode) -> bool {
    let not_null: Vec<ExprNode> = table
        .columns
        .iter()
        .filter(|column| column.not_null)
        .map(|column| ExprNode::IsNull {
            expr: Box::new(ExprNode::Column { qualifier: None, name: column.name.clone() }),
            negated: true,
        })
        .collect();
    let checks = table.constraints.iter().filter(|constraint| constraint.attributes.enforced);
    let mut facts: Vec<&ExprNode> = checks
        .filter_map(|constraint| match &constraint.kind {
            ConstraintKind::Check { expr, .. } => Some(&*expr.node),
            _ => None,
        })
        .collect();
    facts.extend(&not_null);
    zdm_postgres::implies(&facts, check)
}

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

/// The columns that a statement makes, with their tables.
pub(crate) fn new_columns(step: &Step) -> Vec<(&QualifiedName, &ColumnDef)> {
    match &step.statement {
        Statement::CreateTable(create) => create.columns.iter().map(|column| (&create.name, column)).collect(),
        _ => alter_actions(step)
            .filter_map(|(alter, action)| match action {
                AlterTableAction::AddColumn { column, .. } => Some((&alter.name, column)),
                _ => None,
            })
            .collect(),
    }
}

/// The columns that a statement makes, or gives another type, with that type.
pub(crate) fn new_types(step: &Step) -> Vec<(&QualifiedName, &Ident, &DataType)> {
    let made = new_columns(step)
        .into_iter()
        .filter_map(|(table, column)| Some((table, &column.name, column.data_type.as_ref()?)));
    let changed = alter_actions(step).filter_map(|(alter, action)| match action {
        AlterTableAction::AlterColumnType { column, data_type, .. } => {
            let before = step.catalog_before.table(&alter.name).and_then(|table| table.column(column.as_str()));
            before.is_none_or(|before| before.data_type != *data_type).then_some((&alter.name, column, data_type))
        }
        _ => None,
    });
    made.chain(changed).collect()
}

/// The columns of a type that were there before the migration, with their tables: `shop_order.state`.
pub(crate) fn enum_columns<'a>(cx: &Cx<'a>, name: &QualifiedName) -> Vec<(&'a QualifiedName, String)> {
    let tables = cx.migration.catalog_before.tables();
    tables
        .flat_map(|table| {
            table
                .columns
                .iter()
                .filter(|column| column.data_type.name == *name)
                .map(move |column| (&table.name, format!("{}.{}", table.name, column.name)))
        })
        .collect()
}

/// Whether the table is rewritten for this action, be there others in the statement or not; of actions of which none does
/// that alone, each counts.
pub(crate) fn rewrites_for(cx: &Cx<'_>, step: &Step, alter: &AlterTable, action: &AlterTableAction) -> bool {
    let alone = |action: &AlterTableAction| rewrites_alone(cx, step, alter, action);
    alone(action) || !alter.actions.iter().any(alone)
}

fn rewrites_alone(cx: &Cx<'_>, step: &Step, alter: &AlterTable, action: &AlterTableAction) -> bool {
    if alter.actions.len() == 1 {
        return true;
    }
    let alone = Statement::AlterTable(AlterTable { actions: vec![action.clone()], ..alter.clone() });
    let effects = zdm_postgres::session::effects(&alone, &step.catalog_before, cx.version()).effects;
    let may_rewrite = effects
        .uncertain
        .iter()
        .any(|uncertain| uncertain.effect == UncertainEffect::Rewrite && uncertain.relation == alter.name);
    may_rewrite || effects.rewrites.contains(&alter.name)
}
