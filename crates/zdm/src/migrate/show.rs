//! What `zdm migrate` says: lines on standard error for people, line-delimited JSON for programs.
//!
//! Every JSON object has `"version": 1`; versions grow only by added keys.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use zdm_guard::gate::dotted;
use zdm_guard::record::{Action, Blocker, Finished};
use zdm_guard::{Decision, Ended, Event, Report};
use zdm_source::Phase;

use crate::exit::Exit;
use crate::output;

pub(super) fn event(event: &Event, json: bool) {
    if json {
        output::line(&event_json(event).to_string());
    } else if let Some(text) = event_text(event) {
        for line in text.lines() {
            output::note(&format!("zdm: {line}"));
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The statement on one line, not too long.
fn short(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 100 { format!("{}…", line.chars().take(99).collect::<String>()) } else { line }
}

fn event_text(event: &Event) -> Option<String> {
    Some(match event {
        Event::Connected { .. } | Event::MigrationStarted { .. } => return None,
        Event::MigrationDone { name, duration, attempts } => {
            if *attempts < 2 {
                return None;
            }
            format!("{name}: applied at attempt {attempts}, {} in all", seconds(*duration))
        }
        Event::Shadowed { alias, names } => format!(
            "the settings of the database `{alias}` put {} out of action; timeouts are set on the connection itself",
            names.join(" and ")
        ),
        Event::Waiting { sql, blockers } => {
            let mut text = format!("waiting for a lock: {}", short(sql));
            for blocker in blockers {
                // Writing to a String cannot fail.
                let _ = write!(text, "\n  held up by {blocker}");
            }
            text
        }
        Event::Intervened { backend, waiters, blocked_for, action } => {
            let what = match action {
                Action::Cancelled => "its statement was cancelled",
                Action::Terminated => "it was ended",
            };
            if waiters.is_empty() {
                format!("our process {backend} is part of a lock cycle: {what}")
            } else {
                format!(
                    "our process {backend} kept {} waiting for {}: {what}",
                    processes(waiters),
                    seconds(*blocked_for)
                )
            }
        }
        Event::BlockerCancelled { blocker, terminated } => {
            format!("{} as --cancel-blockers says: {blocker}", if *terminated { "ended" } else { "cancelled" })
        }
        Event::Retrying { what, cause, attempt, delay } => {
            format!("{what}: {cause}; attempt {attempt} in {}", seconds(*delay))
        }
        Event::GaveUp { what, cause, attempts } => format!("gave up on {what} after {attempts} attempts: {cause}"),
        Event::InvalidIndex { index, table } => {
            format!(
                "the index `{index}` of `{table}` is INVALID, from a build that failed: it is dropped and built again"
            )
        }
        Event::Progress { index, phase, fraction, elapsed } => {
            let part = fraction.map_or_else(String::new, |part| format!(" {:.0} %", part * 100.0));
            format!("{index}: {phase}{part}, {}", seconds(*elapsed))
        }
        Event::Holding { reason } => format!("waiting: {reason}"),
        Event::Note { message } => message.clone(),
        Event::Warning { message } => format!("warning: {message}"),
    })
}

fn processes(pids: &[i32]) -> String {
    let list: Vec<String> = pids.iter().map(i32::to_string).collect();
    format!("{} {}", if pids.len() == 1 { "process" } else { "processes" }, list.join(", "))
}

pub(super) fn blocker_json(blocker: &Blocker) -> Value {
    json!({
        "pid": blocker.pid,
        "application": blocker.application,
        "user": blocker.user,
        "state": blocker.state,
        "age": blocker.age.map(|age| age.as_secs_f64()),
        "query": blocker.query,
    })
}

fn event_json(event: &Event) -> Value {
    let mut value = match event {
        Event::Connected { alias, backend, driver, django } => {
            json!({"event": "connected", "alias": alias, "pid": backend, "driver": driver, "django": django})
        }
        Event::Shadowed { alias, names } => json!({"event": "shadowed", "alias": alias, "names": names}),
        Event::MigrationStarted { name, backwards, attempt } => {
            json!({"event": "migration_started", "migration": name, "backwards": backwards, "attempt": attempt})
        }
        Event::MigrationDone { name, duration, attempts } => json!({
            "event": "migration_done", "migration": name, "seconds": duration.as_secs_f64(), "attempts": attempts,
        }),
        Event::Waiting { sql, blockers } => json!({
            "event": "waiting", "sql": sql, "blockers": blockers.iter().map(blocker_json).collect::<Vec<_>>(),
        }),
        Event::Intervened { backend, waiters, blocked_for, action } => json!({
            "event": "intervened", "pid": backend, "waiters": waiters, "seconds": blocked_for.as_secs_f64(),
            "action": action_name(*action),
        }),
        Event::BlockerCancelled { blocker, terminated } => {
            json!({"event": "blocker_cancelled", "blocker": blocker_json(blocker), "terminated": terminated})
        }
        Event::Retrying { what, cause, attempt, delay } => json!({
            "event": "retrying", "what": what, "cause": cause, "attempt": attempt, "delay": delay.as_secs_f64(),
        }),
        Event::GaveUp { what, cause, attempts } => {
            json!({"event": "gave_up", "what": what, "cause": cause, "attempts": attempts})
        }
        Event::InvalidIndex { index, table } => json!({"event": "invalid_index", "index": index, "table": table}),
        Event::Progress { index, phase, fraction, elapsed } => json!({
            "event": "progress", "index": index, "phase": phase, "fraction": fraction, "seconds": elapsed.as_secs_f64(),
        }),
        Event::Holding { reason } => json!({"event": "holding", "reason": reason}),
        Event::Note { message } => json!({"event": "note", "message": message}),
        Event::Warning { message } => json!({"event": "warning", "message": message}),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert("version".to_owned(), json!(1));
    }
    value
}

pub(super) const fn action_name(action: Action) -> &'static str {
    match action {
        Action::Cancelled => "cancelled",
        Action::Terminated => "terminated",
    }
}

pub(super) fn error_json(message: &str, exit: Exit) -> Value {
    json!({"version": 1, "event": "error", "message": message, "exit": exit.code()})
}

fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// The summary at the end.
pub(super) fn summary(report: &Report, exit: Exit) {
    let record = &report.record;
    let applied = record.migrations.iter().filter(|one| one.outcome == Some(Finished::Done)).count();
    let statements: u64 = record.statements.iter().map(|one| 1 + one.repeated).sum();
    let waited: Duration = record.statements.iter().map(|one| one.waited).sum();
    let retries: u32 = record.migrations.iter().map(|one| one.attempts.saturating_sub(1)).sum::<u32>()
        + record.statements.iter().map(|one| one.attempt.saturating_sub(1)).max().unwrap_or(0);
    output::note(&format!(
        "zdm: {} applied, {} in {}; waited {} for locks, {}, stepped in {}",
        counted(applied as u64, "migration", "migrations"),
        counted(statements, "statement", "statements"),
        seconds(report.duration),
        seconds(waited),
        counted(u64::from(retries), "retry", "retries"),
        counted(record.interventions.len() as u64, "time", "times"),
    ));
    let mut slowest: Vec<_> = record.statements.iter().filter(|one| one.duration >= Duration::from_secs(1)).collect();
    slowest.sort_by_key(|one| std::cmp::Reverse(one.duration));
    for one in slowest.iter().take(5) {
        output::note(&format!("zdm:   {} ({}): {}", seconds(one.duration), one.class.as_str(), short(&one.sql)));
    }
    if let Some(decision) = &report.decision {
        for verdict in decision.left() {
            let phase = phase_name(verdict.pending.phase);
            let why = verdict.why.as_deref().unwrap_or_default();
            output::note(&format!("zdm: not run: {} ({phase}): {why}", dotted(&verdict.pending.key)));
            for reason in &verdict.pending.reasons {
                output::note(&format!("zdm:   {reason}"));
            }
        }
    }
    match &report.ended {
        Ended::Done => {}
        Ended::Refused(reason) | Ended::GaveUp(reason) | Ended::Failed(reason) => output::error(reason),
        Ended::Interrupted => output::error("interrupted; what is not applied stays pending"),
    }
    if exit == Exit::Done && applied == 0 && record.migrations.is_empty() {
        output::note("zdm: nothing was to be migrated");
    }
}

pub(super) fn phase_name(phase: Option<Phase>) -> &'static str {
    phase.map_or("unknown", Phase::as_str)
}

/// What is pending. `gated`: whether the gate is closed to what it says does not run; none: only the phases are asked.
pub(super) fn status(decision: &Decision, as_json: bool, gated: Option<bool>) {
    if as_json {
        output::line(&status_json(decision, gated).to_string());
        return;
    }
    if decision.verdicts.is_empty() {
        output::line("nothing is pending");
        return;
    }
    for verdict in &decision.verdicts {
        let pending = &verdict.pending;
        let mark = match gated {
            Some(true) if verdict.runs => "runs   ",
            Some(true) => "stays  ",
            _ => "",
        };
        output::line(&format!("{mark}{:<7} {}", phase_name(pending.phase), dotted(&pending.key)));
        for reason in &pending.reasons {
            output::line(&format!("          {reason}"));
        }
        if let (Some(true), Some(why)) = (gated, &verdict.why) {
            output::line(&format!("          {why}"));
        }
        if pending.phase == Some(Phase::Window)
            && let Some(hash) = &pending.sha256
        {
            output::line(&format!("          sha256 {hash}"));
        }
    }
    if gated == Some(true)
        && let Some(refusal) = decision.refusal()
    {
        output::error(&refusal);
    }
}

fn status_json(decision: &Decision, gated: Option<bool>) -> Value {
    let migrations: Vec<Value> = decision
        .verdicts
        .iter()
        .map(|verdict| {
            let pending = &verdict.pending;
            let mut value = json!({
                "app": &*pending.key.app,
                "name": &*pending.key.name,
                "phase": pending.phase.map(Phase::as_str),
                "reasons": pending.reasons,
                "path": pending.path,
                "sha256": pending.sha256,
                "atomic": pending.atomic,
                "depends_on": pending.parents.iter().map(dotted).collect::<Vec<_>>(),
            });
            if let (Some(gated), Some(object)) = (gated, value.as_object_mut()) {
                object.insert("runs".to_owned(), json!(!gated || verdict.runs));
                object.insert("why".to_owned(), json!(verdict.why));
            }
            value
        })
        .collect();
    let mut value = json!({"version": 1, "migrations": migrations});
    if let (Some(true), Some(object)) = (gated, value.as_object_mut()) {
        object.insert("refused".to_owned(), json!(decision.contradictions));
    }
    value
}
