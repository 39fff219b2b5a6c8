//! All rules, in reading order.

use std::sync::LazyLock;

use zdm_source::Diagnostic;

use crate::context::Cx;
use crate::page::Page;
use crate::rules;

/// A rule: its page and its judgement of one migration.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub page: Page,
    pub check: fn(&Cx<'_>, &mut Vec<Diagnostic>),
}

macro_rules! registry {
    ($($file:literal => $check:path,)*) => {
        const PAGES: &[(&str, &str, fn(&Cx<'_>, &mut Vec<Diagnostic>))] =
            &[$(($file, include_str!(concat!("../../../rules/", $file, ".md")), $check)),*];
    };
}

registry! {
    // 1xx lock-heavy: index work
    "ZDM101-index-not-concurrent" => rules::index_not_concurrent::check,
    "ZDM102-drop-index-not-concurrent" => rules::drop_index_not_concurrent::check,
    "ZDM103-constraint-builds-index" => rules::constraint_builds_index::check,
    "ZDM104-reindex-not-concurrent" => rules::reindex_not_concurrent::check,
    "ZDM105-refresh-not-concurrent" => rules::refresh_not_concurrent::check,
    "ZDM106-partition-detached-with-lock" => rules::partition_detached_with_lock::check,
    // 1xx lock-heavy: rewrites
    "ZDM111-volatile-default" => rules::volatile_default::check,
    "ZDM112-type-change-rewrites" => rules::type_change_rewrites::check,
    "ZDM113-added-column-rewrites" => rules::added_column_rewrites::check,
    "ZDM114-table-rewritten" => rules::table_rewritten::check,
    // 1xx lock-heavy: scans
    "ZDM121-set-not-null-scans" => rules::set_not_null_scans::check,
    "ZDM122-check-added-validated" => rules::check_added_validated::check,
    "ZDM123-foreign-key-added-validated" => rules::foreign_key_added_validated::check,
    "ZDM124-type-change-scans" => rules::type_change_scans::check,
    "ZDM125-added-column-scans" => rules::added_column_scans::check,
    "ZDM126-partition-attached-with-scan" => rules::partition_attached_with_scan::check,
    "ZDM127-primary-key-using-index-scans" => rules::primary_key_using_index_scans::check,
    "ZDM128-domain-constraint-scans" => rules::domain_constraint_scans::check,
    "ZDM129-constraint-enforced-scans" => rules::constraint_enforced_scans::check,
    // 1xx lock-heavy: locks on other tables, locks held
    "ZDM131-locks-referenced-table" => rules::locks_referenced_table::check,
    "ZDM132-partition-locks-parent" => rules::partition_locks_parent::check,
    "ZDM133-sequence-altered" => rules::sequence_altered::check,
    "ZDM141-slow-work-under-lock" => rules::slow_work_under_lock::check,
    "ZDM142-not-valid-and-validate-together" => rules::not_valid_and_validate_together::check,
    "ZDM143-locks-several-tables" => rules::locks_several_tables::check,
    "ZDM144-explicit-lock" => rules::explicit_lock::check,
    "ZDM145-hot-table-locked" => rules::hot_table_locked::check,
    "ZDM146-lock-after-validation" => rules::lock_after_validation::check,
    // 2xx backward-incompatible
    "ZDM201-column-dropped" => rules::column_dropped::check,
    "ZDM202-column-renamed" => rules::column_renamed::check,
    "ZDM203-table-dropped" => rules::table_dropped::check,
    "ZDM204-table-renamed" => rules::table_renamed::check,
    "ZDM205-not-null-without-default" => rules::not_null_without_default::check,
    "ZDM206-column-made-not-null" => rules::column_made_not_null::check,
    "ZDM207-new-restriction" => rules::new_restriction::check,
    "ZDM208-type-changed" => rules::type_changed::check,
    "ZDM209-default-dropped" => rules::default_dropped::check,
    "ZDM210-object-dropped" => rules::object_dropped::check,
    "ZDM211-column-made-nullable" => rules::column_made_nullable::check,
    "ZDM212-enum-value-renamed" => rules::enum_value_renamed::check,
    "ZDM213-enum-value-added" => rules::enum_value_added::check,
    "ZDM214-object-renamed" => rules::object_renamed::check,
    "ZDM215-trigger-names-missing-column" => rules::trigger_names_missing_column::check,
    "ZDM216-access-changed" => rules::access_changed::check,
    "ZDM217-trigger-disabled" => rules::trigger_disabled::check,
    "ZDM218-constraint-dropped" => rules::constraint_dropped::check,
    "ZDM219-index-dropped" => rules::index_dropped::check,
    "ZDM220-generation-changed" => rules::generation_changed::check,
    "ZDM221-write-replaced" => rules::write_replaced::check,
    // 3xx data
    "ZDM301-whole-table-in-one-statement" => rules::whole_table_in_one_statement::check,
    "ZDM302-data-and-schema-together" => rules::data_and_schema_together::check,
    "ZDM303-pending-trigger-events" => rules::pending_trigger_events::check,
    "ZDM304-truncate" => rules::truncate::check,
    "ZDM305-python-changes-whole-table" => rules::python_changes_whole_table::check,
    "ZDM306-python-saves-row-by-row" => rules::python_saves_row_by_row::check,
    "ZDM307-model-imported" => rules::model_imported::check,
    "ZDM308-same-value-for-unique-column" => rules::same_value_for_unique_column::check,
    "ZDM309-python-loads-whole-table" => rules::python_loads_whole_table::check,
    "ZDM310-python-inserts-at-once" => rules::python_inserts_at_once::check,
    "ZDM311-mirror-loses-writes" => rules::mirror_loses_writes::check,
    // 4xx transactions
    "ZDM401-concurrently-in-transaction" => rules::concurrently_in_transaction::check,
    "ZDM402-transaction-control-in-sql" => rules::transaction_control_in_sql::check,
    "ZDM403-non-atomic-mixed" => rules::non_atomic_mixed::check,
    "ZDM404-if-not-exists-keeps-invalid-index" => rules::if_not_exists_keeps_invalid_index::check,
    "ZDM405-not-rerunnable" => rules::not_rerunnable::check,
    "ZDM406-concurrent-build-corrupts" => rules::concurrent_build_corrupts::check,
    "ZDM407-setting-leaks" => rules::setting_leaks::check,
    "ZDM408-enum-value-used-too-early" => rules::enum_value_used_too_early::check,
    // 5xx reversibility
    "ZDM501-irreversible-run-python" => rules::irreversible_run_python::check,
    "ZDM502-irreversible-run-sql" => rules::irreversible_run_sql::check,
    "ZDM503-unsafe-reverse" => rules::unsafe_reverse::check,
    // 6xx graph and state: the graph
    "ZDM601-conflicting-leaves" => rules::made_elsewhere::check,
    "ZDM602-missing-dependency" => rules::made_elsewhere::check,
    "ZDM603-circular-dependency" => rules::made_elsewhere::check,
    "ZDM604-same-number" => rules::made_elsewhere::check,
    "ZDM605-duplicate-label" => rules::made_elsewhere::check,
    "ZDM606-bad-replacement" => rules::made_elsewhere::check,
    "ZDM607-merged-migration-changed" => rules::made_elsewhere::check,
    "ZDM608-migration-number" => rules::migration_name::check,
    "ZDM609-declared-phase" => rules::made_elsewhere::check,
    "ZDM610-needed-behind-later-phase" => rules::made_elsewhere::check,
    // 6xx graph and state: drift between the two worlds
    "ZDM611-model-without-column" => rules::model_without_column::check,
    "ZDM612-column-not-filled" => rules::column_not_filled::check,
    "ZDM613-foreign-key-left" => rules::foreign_key_left::check,
    "ZDM614-model-null-in-state-only" => rules::model_null_in_state_only::check,
    "ZDM615-index-or-constraint-drift" => rules::object_drift::check,
    "ZDM616-type-drift" => rules::other_type::check,
    "ZDM617-model-not-null-in-state-only" => rules::model_not_null_in_state_only::check,
    // 7xx will fail
    "ZDM701-statement-refused" => rules::statement_refused::check,
    "ZDM702-identifier-too-long" => rules::identifier_too_long::check,
    "ZDM703-not-null-column-fails" => rules::not_null_column_fails::check,
    "ZDM704-narrowing-loses-data" => rules::narrowing_loses_data::check,
    "ZDM705-composite-primary-key-changed" => rules::composite_primary_key_changed::check,
    // 8xx style
    "ZDM801-small-integer-key" => rules::small_integer_key::check,
    "ZDM802-fixed-length-char" => rules::fixed_length_char::check,
    "ZDM803-timestamp-without-time-zone" => rules::timestamp_without_time_zone::check,
    "ZDM804-json-not-jsonb" => rules::json_not_jsonb::check,
    "ZDM805-serial-not-identity" => rules::serial_not_identity::check,
    "ZDM806-unique-together" => rules::unique_together::check,
    "ZDM807-wide-index" => rules::wide_index::check,
    "ZDM808-foreign-key-without-index" => rules::foreign_key_without_index::check,
    "ZDM809-no-lock-timeout" => rules::no_lock_timeout::check,
    "ZDM810-name-needs-quotes" => rules::name_needs_quotes::check,
    "ZDM811-varchar-not-text" => rules::varchar_not_text::check,
    "ZDM812-enum-type-created" => rules::enum_type_created::check,
    "ZDM813-enum-value-without-position" => rules::enum_value_without_position::check,
    "ZDM814-domain-with-constraint" => rules::domain_with_constraint::check,
    // 9xx limits of the analysis
    "ZDM901-operation-not-analysed" => rules::operation_not_analysed::check,
    "ZDM902-sql-not-understood" => rules::sql_not_understood::check,
    "ZDM903-unused-suppression" => rules::made_elsewhere::check,
    "ZDM904-malformed-suppression" => rules::made_elsewhere::check,
    "ZDM905-file-not-read" => rules::made_elsewhere::check,
    "ZDM906-external-app-assumed" => rules::made_elsewhere::check,
    "ZDM907-setting-not-read" => rules::made_elsewhere::check,
    "ZDM908-python-not-read" => rules::python_not_read::check,
    "ZDM909-unknown-table" => rules::made_elsewhere::check,
}

/// Every rule; a page that cannot be read is a defect of the build that a test finds.
pub static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    PAGES
        .iter()
        .filter_map(|(_, text, check)| Page::parse(text).ok().map(|page| Rule { page, check: *check }))
        .collect()
});

/// The rule by code or name.
pub fn find_rule(code_or_name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| {
        rule.page.code.code.eq_ignore_ascii_case(code_or_name) || rule.page.code.name.eq_ignore_ascii_case(code_or_name)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_page_is_read_and_named_after_its_rule() {
        let mut codes = BTreeSet::new();
        let mut names = BTreeSet::new();
        for (file, text, _) in PAGES {
            let page = Page::parse(text).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(format!("{file}.md"), page.file_name());
            assert!(codes.insert(page.code.code), "{} is used twice", page.code.code);
            assert!(names.insert(page.code.name), "{} is used twice", page.code.name);
        }
        assert_eq!(RULES.len(), PAGES.len());
    }

    #[test]
    fn every_page_on_disk_is_registered() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
        let mut on_disk: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .filter(|name| name.starts_with("ZDM"))
            .collect();
        on_disk.sort();
        let mut registered: Vec<String> = PAGES.iter().map(|(file, ..)| format!("{file}.md")).collect();
        registered.sort();
        assert_eq!(on_disk, registered);
    }
}
