//! MERGE.

use super::Change;
use crate::execute::{Run, Step, refuse};
use crate::lock::LockMode;
use crate::statement::{Dml, MergeAction, MergeClause, MergeInsert, MergeWhen};

impl Run {
    pub(in crate::execute) fn merge(&mut self, dml: &Dml) -> Step {
        self.since(15, "MERGE")?;
        if dml.merge.iter().any(|clause| clause.by) {
            self.since(17, "BY")?;
        }
        if dml.query.says(&["returning"]) {
            self.since(17, "RETURNING")?;
        }
        check_merge_clauses(&dml.merge)?;
        self.open_with(&dml.query)?;
        let target = self.open_in_query(&dml.table)?;
        let dml = &*self.through_views(&target, dml);
        if self.catalog().view(&target).is_some() && !self.version.at_least(17) {
            return refuse("0A000", format!("cannot execute MERGE on relation \"{}\"", target.name));
        }
        if self.table(&target).rules.iter().any(|rule| rule.enabled && rule.event != "SELECT") {
            return refuse("0A000", format!("cannot execute MERGE on relation \"{}\"", target.name));
        }
        let idle = dml.merge.iter().all(|clause| clause.action == MergeAction::Nothing);
        if idle && self.catalog().view(&target).is_some_and(|view| !view.materialized) {
            // Nothing is written through the view: the tables under it are read.
            self.lock(&target, LockMode::RowExclusive);
            let under = self.catalog().view(&target).map(|view| view.dependencies.clone()).unwrap_or_default();
            for (relation, _) in under {
                self.read(&relation, LockMode::AccessShare, false, 0);
            }
            return self.run_query(&dml.query);
        }
        let name = self.change_rows(dml)?;
        let written = || {
            dml.merge.iter().filter_map(|clause| match &clause.action {
                MergeAction::Insert(MergeInsert { columns, .. }) | MergeAction::Update(columns) => Some(columns),
                MergeAction::Delete | MergeAction::Nothing => None,
            })
        };
        written().try_for_each(|columns| self.need_written_columns(&target, columns))?;
        self.need_updatable_for_merge(&target, dml)?;
        written().try_for_each(|columns| self.check_view_columns(&target, columns, "merge into"))?;
        self.draw_for_merge(&name, dml);
        self.check_merged_columns(&name, dml)?;
        if name == target {
            self.check_merged_types(&name, dml)?;
        }
        let does = |wanted: fn(&MergeAction) -> bool| dml.merge.iter().any(|clause| wanted(&clause.action));
        let inserts = does(|action| matches!(action, MergeAction::Insert(_)));
        let updates = does(|action| matches!(action, MergeAction::Update(_)));
        let deletes = does(|action| matches!(action, MergeAction::Delete));
        self.perhaps = true;
        self.if_a_row("the source has rows for it", |run| {
            if inserts {
                run.check_keys_of(&name, Change::Insert, None, true);
            }
            if !run.touches_rows(&name, dml) {
                return;
            }
            if updates {
                run.check_keys_of(&name, Change::Update, Some(&dml.columns), true);
                run.check_keys_to(&name, Change::Update, &dml.columns);
            }
            if deletes {
                run.check_keys_to(&name, Change::Delete, &[]);
            }
        });
        if inserts || updates {
            self.run_functions_of_rows(&name);
            self.rows_may_be_refused(&name);
        }
        for (event, fires) in [("INSERT", inserts), ("UPDATE", updates), ("DELETE", deletes)] {
            if fires {
                self.fire_triggers(&name, event, &dml.columns);
            }
        }
        self.written_in_tree(&name, inserts);
        Ok(())
    }
}

/// The grammar has one set of actions for rows that match and for those of the target, and one for the others; behind a
/// clause without a condition no other of its kind is reached.
fn check_merge_clauses(clauses: &[MergeClause]) -> Step {
    for clause in clauses {
        let word = match (clause.when, &clause.action) {
            (MergeWhen::Matched | MergeWhen::NotMatchedBySource, MergeAction::Insert(_)) => "INSERT",
            (MergeWhen::NotMatched, MergeAction::Update(_)) => "UPDATE",
            (MergeWhen::NotMatched, MergeAction::Delete) => "DELETE",
            _ => continue,
        };
        return refuse("42601", format!("syntax error at or near \"{word}\""));
    }
    let unreachable = clauses.iter().enumerate().any(|(place, clause)| {
        clauses.iter().take(place).any(|earlier| earlier.when == clause.when && !earlier.condition)
    });
    if unreachable {
        return refuse("42601", "unreachable WHEN clause specified after unconditional WHEN clause");
    }
    Ok(())
}
