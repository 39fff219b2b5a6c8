//! The replay on several threads is the replay.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its folders should end")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use zdm_replay::{MigrationTrace, Step};
use zdm_workspace::{Request, Workspace};

fn load(root: &Path) -> Workspace {
    let request = Request { current: root.to_owned(), paths: vec![root.to_owned()], ..Request::default() };
    Workspace::load(&request).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn assert_same_steps(one: &[Step], other: &[Step], key: &str) {
    assert_eq!(one.len(), other.len(), "{key}");
    for (one, other) in one.iter().zip(other) {
        let said = |step: &Step| {
            let Step { number, operation, deferred, call, sent, sql, span, raw, .. } = step;
            let Step { python, placeholder, statement, outcome, transaction, implicit, .. } = step;
            format!(
                "{number} {operation} {deferred} {call} {sent} {sql} {span:?} {raw} {python} {placeholder} {statement:?} \
                 {outcome:?} {transaction:?} {implicit}"
            )
        };
        assert_eq!(said(one), said(other), "{key}");
        assert!(one.catalog_before.is_same(&other.catalog_before), "{key}: catalog before {}", one.sql);
        assert!(one.catalog_after.is_same(&other.catalog_after), "{key}: catalog after {}", one.sql);
    }
}

fn assert_same(one: &MigrationTrace, other: &MigrationTrace) {
    let key = one.migration.key.to_string();
    assert_eq!(key, other.migration.key.to_string());
    assert_same_steps(&one.steps, &other.steps, &key);
    assert_same_steps(&one.python, &other.python, &key);
    assert!(one.state_before.is_same(&other.state_before), "{key}: state before");
    assert!(one.state_after.is_same(&other.state_after), "{key}: state after");
    assert!(one.catalog_before.is_same(&other.catalog_before), "{key}: catalog before");
    assert!(one.catalog_after.is_same(&other.catalog_after), "{key}: catalog after");
    assert_eq!(one.operations.len(), other.operations.len(), "{key}");
    for (one, other) in one.operations.iter().zip(&other.operations) {
        assert_eq!(
            (one.index, one.span, one.python, &one.not_analysed),
            (other.index, other.span, other.python, &other.not_analysed)
        );
        assert!(one.state_before.is_same(&other.state_before), "{key}: state before operation {}", one.index);
        assert!(one.state_after.is_same(&other.state_after), "{key}: state after operation {}", one.index);
    }
}

#[test]
fn traces_are_the_same_one_by_one_and_all_together() {
    let generated = tempfile::tempdir().unwrap();
    zdm_testkit::generate::write(300, generated.path()).unwrap();
    for root in [fixture("shop"), fixture("shop-next"), generated.path().to_path_buf()] {
        let workspace = load(&root);
        let mut each = Vec::new();
        workspace.replay_each(|trace| {
            each.push(trace);
            ControlFlow::Continue(())
        });
        let whole = workspace.replay().migrations;
        assert!(!whole.is_empty(), "{}", root.display());
        assert_eq!(each.len(), whole.len(), "{}", root.display());
        for (one, other) in each.iter().zip(&whole) {
            assert_same(one, other);
        }
    }
}

#[test]
fn whoever_has_seen_enough_ends_the_replay() {
    let generated = tempfile::tempdir().unwrap();
    zdm_testkit::generate::write(300, generated.path()).unwrap();
    let workspace = load(generated.path());
    let mut seen = 0;
    workspace.replay_each(|_| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(seen, 3);
}
