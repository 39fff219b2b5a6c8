//! The report of a run as JSON, the same at the end of `--format json` and in `--report FILE`.

use std::ffi::OsString;
use std::time::Duration;

use serde_json::{Value, json};
use zdm_guard::gate::dotted;
use zdm_guard::record::{Finished, timestamp};
use zdm_guard::{Decision, Ended, Report};

use super::show::{action_name, blocker_json, phase_name};
use crate::exit::Exit;

pub(super) fn json(report: &Report, command: &[OsString], exit: Exit) -> Value {
    let record = &report.record;
    let (outcome, reason) = match &report.ended {
        Ended::Done => ("done", None),
        Ended::Refused(reason) => ("refused", Some(reason)),
        Ended::GaveUp(reason) => ("gave_up", Some(reason)),
        Ended::Failed(reason) => ("failed", Some(reason)),
        Ended::Interrupted => ("interrupted", None),
    };
    json!({
        "version": 1,
        "tool": {"name": "zdm", "version": env!("CARGO_PKG_VERSION")},
        "postgres": report.server.to_string(),
        "command": command.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>(),
        "started": timestamp(report.started),
        "seconds": rounded(report.duration),
        "outcome": outcome,
        "reason": reason,
        "exit": exit.code(),
        "command_exit": report.command_exit,
        "command_attempts": record.command_attempts,
        "migrations": record.migrations.iter().map(|one| json!({
            "app": one.app,
            "name": one.name,
            "backwards": one.backwards,
            "atomic": one.atomic,
            "started": timestamp(one.started),
            "seconds": rounded(one.duration),
            "attempts": one.attempts,
            "outcome": finished(one.outcome.as_ref()),
            "error": error(one.outcome.as_ref()),
        })).collect::<Vec<_>>(),
        "statements": record.statements.iter().map(|one| json!({
            "migration": one.migration,
            "sql": one.sql,
            "class": one.class.as_str(),
            "lock_timeout_ms": one.lock_timeout.as_millis(),
            "statement_timeout_ms": one.statement_timeout.as_millis(),
            "locks": one.locks.iter()
                .map(|(relation, mode)| json!({"relation": relation, "mode": mode})).collect::<Vec<_>>(),
            "started": timestamp(one.started),
            "seconds": rounded(one.duration),
            "attempt": one.attempt,
            "repeated": one.repeated,
            "waited_seconds": rounded(one.waited),
            "blockers": one.blockers.iter().map(blocker_json).collect::<Vec<_>>(),
            "outcome": finished(one.outcome.as_ref()),
            "error": error(one.outcome.as_ref()),
        })).collect::<Vec<_>>(),
        "interventions": record.interventions.iter().map(|one| json!({
            "at": timestamp(one.at),
            "pid": one.backend,
            "waiters": one.waiters,
            "seconds": rounded(one.blocked_for),
            "action": action_name(one.action),
        })).collect::<Vec<_>>(),
        "invalid_indexes": record.invalid_indexes.iter().map(|one| json!({
            "index": one.index, "table": one.table, "dropped": one.dropped,
        })).collect::<Vec<_>>(),
        "not_run": report.decision.iter().flat_map(Decision::left).map(|verdict| json!({
            "migration": dotted(&verdict.pending.key),
            "phase": phase_name(verdict.pending.phase),
            "reasons": verdict.pending.reasons,
            "why": verdict.why,
        })).collect::<Vec<_>>(),
        "notes": record.notes,
    })
}

/// The report as the last event of a run.
pub(super) fn end_event(report: &Value) -> Value {
    let mut event = report.clone();
    if let Some(object) = event.as_object_mut() {
        object.insert("event".to_owned(), json!("end"));
    }
    event
}

/// Seconds to the microsecond.
fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

fn finished(outcome: Option<&Finished>) -> &'static str {
    match outcome {
        None => "unfinished",
        Some(Finished::Done) => "done",
        Some(Finished::Skipped) => "skipped",
        Some(Finished::Failed { .. }) => "failed",
    }
}

fn error(outcome: Option<&Finished>) -> Value {
    match outcome {
        Some(Finished::Failed { sqlstate, message }) => json!({"sqlstate": sqlstate, "message": message}),
        _ => Value::Null,
    }
}
