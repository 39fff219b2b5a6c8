//! What `zdm backfill` says: lines or a bar for people, line-delimited JSON for programs.
//!
//! Every JSON line has `"version": 1` and `"event"`; versions grow only by added keys.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use zdm_backfill::driver::Preview;
use zdm_backfill::event::Progress;
use zdm_backfill::plan::Plan;
use zdm_backfill::store::{BadRow, JobStatus, Kind, State};
use zdm_backfill::throttle::show_bytes;
use zdm_backfill::verify::{Check, Verification};
use zdm_backfill::{Error, Event, Outcome};

use crate::exit::Exit;
use crate::output;

/// Without a terminal, a progress line this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows a run's events.
pub(super) struct Show {
    json: bool,
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
    holding: bool,
}

impl Show {
    pub(super) fn new(json: bool, terminal: bool) -> Self {
        let bar = (!json && terminal).then(|| {
            let bar = ProgressBar::new(1000);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} % {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { json, bar, last_line: None, holding: false }
    }

    pub(super) fn event(&mut self, event: &Event) {
        if self.json {
            output::line(&event_json(event).to_string());
            return;
        }
        match event {
            Event::Planned { job, resumed, plan } => {
                let verb = if *resumed { "resuming" } else { "beginning" };
                self.note(&format!("{verb} job `{job}`"));
                for line in plan_lines(plan) {
                    self.note(&line);
                }
            }
            Event::Progress(progress) => self.progress(progress),
            Event::Holding { reason, .. } => {
                self.holding = true;
                self.note(&format!("holding: {reason}"));
            }
            Event::Released => {
                self.holding = false;
                self.note("going on");
            }
            Event::BadRow { table, key, sqlstate, message } => {
                self.note(&format!("row {key} of {table} cannot be filled: {message} (SQLSTATE {sqlstate})"));
            }
            Event::Warning { message, .. } => self.note(&format!("warning: {message}")),
            Event::Reconnecting { message, attempt, delay } => {
                self.note(&format!("{message}; attempt {attempt} in {:.1} s", delay.as_secs_f64()));
            }
            Event::Vacuumed { table, duration } => {
                self.note(&format!("vacuumed {table} in {:.1} s", duration.as_secs_f64()));
            }
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let text = progress_text(progress);
        if let Some(bar) = &self.bar {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
            bar.set_position((progress.fraction.clamp(0.0, 1.0) * 1000.0) as u64);
            bar.set_message(if self.holding { format!("{text}, holding") } else { text });
            return;
        }
        if self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            self.last_line = Some(Instant::now());
            output::note(&format!("{:.1} %, {text}", progress.fraction * 100.0));
        }
    }

    fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => output::note(text),
        }
    }

    pub(super) fn end(self, outcome: Option<&Outcome>) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let Some(outcome) = outcome else { return };
        if self.json {
            output::line(&outcome_json(outcome).to_string());
            return;
        }
        output::note(&match outcome {
            Outcome::Done { rows_updated } => format!("done: {} filled", rows(*rows_updated)),
            Outcome::Incomplete { rows_updated, bad_rows, deferred_rows } => [
                Some(format!("incomplete: {} filled", rows(*rows_updated))),
                (*bad_rows > 0).then(|| format!("{} cannot be (see `zdm backfill status`)", rows(*bad_rows))),
                (*deferred_rows > 0).then(|| format!("{} stayed locked by others", rows(*deferred_rows))),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
            Outcome::Interrupted { rows_updated } => {
                format!("interrupted: {} filled so far; the same command goes on", rows(*rows_updated))
            }
            Outcome::Cancelled { rows_updated } => format!("cancelled: {} filled", rows(*rows_updated)),
        });
    }
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{} rows", grouped(count)) }
}

/// `1,234,567`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn progress_text(progress: &Progress) -> String {
    let parts = [
        Some(format!("{} filled", rows(progress.rows_updated))),
        Some(format!("{:.0} rows/s", progress.rate)),
        progress.time_left.map(|left| format!("{} left", time(left))),
        progress.lag_bytes.map(|bytes| format!("lag {}", show_bytes(bytes))),
        (progress.workers > 1).then(|| format!("{} workers", progress.workers)),
        (progress.bad_rows > 0).then(|| format!("{} bad", progress.bad_rows)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn plan_lines(plan: &Plan) -> Vec<String> {
    plan.parts
        .iter()
        .map(|part| {
            let passes = if part.passes > 1 { format!(" with {} sub-passes", part.passes) } else { String::new() };
            format!("{}: {}{passes}: {}", part.name.plain(), part.strategy, part.because)
        })
        .collect()
}

fn plan_json(plan: &Plan) -> Value {
    plan.parts
        .iter()
        .map(|part| {
            json!({
                "table": part.name.plain(), "strategy": part.strategy.name(), "because": part.because,
                "passes": part.passes, "rows": part.rows, "pages": part.pages,
            })
        })
        .collect()
}

fn event_json(event: &Event) -> Value {
    match event {
        Event::Planned { job, resumed, plan } => {
            json!({"version": 1, "event": "planned", "job": job, "resumed": resumed, "parts": plan_json(plan)})
        }
        Event::Progress(progress) => {
            let mut value = progress_json(progress);
            value["version"] = json!(1);
            value["event"] = json!("progress");
            value
        }
        Event::Holding { kind, reason } => {
            json!({"version": 1, "event": "holding", "kind": kind, "reason": reason})
        }
        Event::Released => json!({"version": 1, "event": "released"}),
        Event::BadRow { table, key, sqlstate, message } => {
            json!({"version": 1, "event": "bad_row", "table": table, "key": key, "sqlstate": sqlstate, "message": message})
        }
        Event::Warning { kind, message } => {
            json!({"version": 1, "event": "warning", "kind": kind, "message": message})
        }
        Event::Reconnecting { message, attempt, delay } => json!({
            "version": 1, "event": "reconnecting", "message": message, "attempt": attempt, "delay": delay.as_secs_f64(),
        }),
        Event::Vacuumed { table, duration } => {
            json!({"version": 1, "event": "vacuumed", "table": table, "seconds": duration.as_secs_f64()})
        }
    }
}

fn progress_json(progress: &Progress) -> Value {
    json!({
        "rows_updated": progress.rows_updated, "rows_scanned": progress.rows_scanned, "fraction": progress.fraction,
        "rate": progress.rate, "seconds_left": progress.time_left.map(|left| left.as_secs_f64()),
        "step_rows": progress.step_rows, "workers": progress.workers, "bad_rows": progress.bad_rows,
        "lag_bytes": progress.lag_bytes, "others_per_second": progress.others_per_second,
    })
}

fn outcome_json(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Done { rows_updated } => {
            json!({"version": 1, "event": "end", "outcome": "done", "rows_updated": rows_updated})
        }
        Outcome::Incomplete { rows_updated, bad_rows, deferred_rows } => json!({
            "version": 1, "event": "end", "outcome": "incomplete", "rows_updated": rows_updated,
            "bad_rows": bad_rows, "deferred_rows": deferred_rows,
        }),
        Outcome::Interrupted { rows_updated } => {
            json!({"version": 1, "event": "end", "outcome": "interrupted", "rows_updated": rows_updated})
        }
        Outcome::Cancelled { rows_updated } => {
            json!({"version": 1, "event": "end", "outcome": "cancelled", "rows_updated": rows_updated})
        }
    }
}

/// The end of a command that failed, for programs.
pub(super) fn json_error(error: &Error, exit: Exit) {
    output::line(
        &json!({"version": 1, "event": "error", "message": error.to_string(), "exit": exit.code()}).to_string(),
    );
}

/// `run --dry-run`.
pub(super) fn preview(preview: &Preview, json: bool) {
    if json {
        let parts: Vec<Value> = preview
            .plan
            .parts
            .iter()
            .zip(&preview.estimate)
            .map(|(part, estimate)| {
                json!({
                    "table": part.name.plain(), "strategy": part.strategy.name(), "because": part.because,
                    "passes": part.passes, "pages": part.pages, "rows": estimate.rows, "pending": estimate.pending,
                    "sql": part.sql.shown_update,
                })
            })
            .collect();
        let value = json!({
            "version": 1, "event": "plan", "job": preview.job, "table": preview.table.plain(),
            "existing": preview.existing.map(State::name), "parts": parts,
        });
        output::line(&value.to_string());
        return;
    }
    output::line(&format!("job `{}` on {}", preview.job, preview.table.plain()));
    if let Some(state) = preview.existing {
        output::line(&format!("a job of this name is {}", state.name()));
    }
    for ((part, estimate), line) in preview.plan.parts.iter().zip(&preview.estimate).zip(plan_lines(&preview.plan)) {
        output::line(&line);
        let pending = match estimate.pending {
            Some(share) => {
                // Between a loaded machine's pace and an idle one's: rows of a plain table, measured.
                let count = estimate.rows * share;
                let (fast, slow) = (count / 150_000.0, count / 20_000.0);
                format!(
                    "about {:.0} % of {:.0} rows are pending, in a sample: {} to {} at 150,000 to 20,000 rows/s",
                    share * 100.0,
                    estimate.rows,
                    time(Duration::try_from_secs_f64(fast).unwrap_or_default()),
                    time(Duration::try_from_secs_f64(slow).unwrap_or_default())
                )
            }
            None => format!("{:.0} rows; how many are pending could not be sampled", estimate.rows),
        };
        output::line(&format!("  {pending}"));
        output::line(&format!("  {}", part.sql.shown_update));
    }
}

/// `status`.
pub(super) fn statuses(jobs: &[(JobStatus, Vec<BadRow>)], json: bool) {
    if !json && jobs.is_empty() {
        output::line("no jobs");
    }
    for (status, bad_rows) in jobs {
        if json {
            output::line(&status_json(status, bad_rows).to_string());
            continue;
        }
        let job = &status.job;
        let kind = if job.kind == Kind::Verify { "verification " } else { "" };
        let progress = &status.progress;
        output::line(&format!("{kind}{} on {}: {}", job.name, job.table.plain(), job.state.name()));
        output::line(&format!("  {:.1} %, {}", progress.fraction * 100.0, progress_text(progress)));
        let workers = match (progress.workers, job.state) {
            (0, State::Running | State::Paused) => "no runner is connected: `zdm backfill run` goes on".to_owned(),
            (0, _) => String::new(),
            (count, _) => format!("{count} connected"),
        };
        for line in [
            Some(workers).filter(|text| !text.is_empty()),
            status.holding.clone().map(|h| format!("holding: {h}")),
            job.reason.clone(),
        ]
        .into_iter()
        .flatten()
        {
            output::line(&format!("  {line}"));
        }
        let finished = status.finished_at.as_deref().map(|at| format!(", ended {at}")).unwrap_or_default();
        output::line(&format!("  begun {}{finished}", status.created_at));
        for line in job.definition.lines() {
            output::line(&format!("  {line}"));
        }
        for row in bad_rows {
            output::line(&format!("  row {} of {}: {}", row.key, row.table, row.message));
        }
    }
}

fn status_json(status: &JobStatus, bad_rows: &[BadRow]) -> Value {
    let job = &status.job;
    let limits: serde_json::Map<String, Value> =
        job.limits.pairs().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    json!({
        "version": 1, "event": "status", "job": job.name,
        "kind": if job.kind == Kind::Verify { "verify" } else { "run" },
        "table": job.table.plain(), "definition": job.definition, "state": job.state.name(), "reason": job.reason,
        "holding": status.holding, "progress": progress_json(&status.progress), "limits": limits,
        "created_at": status.created_at, "finished_at": status.finished_at,
        "bad_rows": bad_rows_json(bad_rows),
    })
}

fn bad_rows_json(rows: &[BadRow]) -> Value {
    rows.iter()
        .map(|row| json!({"table": row.table, "key": row.key, "sqlstate": row.sqlstate, "message": row.message}))
        .collect()
}

/// `check`.
pub(super) fn check(check: &Check, json: bool) {
    if json {
        let pending = check.pending.as_ref().map(|(table, key)| json!({"table": table, "key": key}));
        let value = json!({
            "version": 1, "event": "check", "job": check.job, "state": check.state.map(State::name),
            "bad_rows": check.bad_rows, "pending": pending, "looked_at": check.looked_at,
        });
        output::line(&value.to_string());
        return;
    }
    if let Some(state) = check.state.filter(|state| *state != State::Done) {
        output::line(&format!("the job `{}` is {}", check.job, state.name()));
    }
    if check.bad_rows > 0 {
        output::line(&format!("{} could not be filled", rows(check.bad_rows)));
    }
    let looked = format!("{:.0} % of the pages looked at", check.looked_at * 100.0);
    match &check.pending {
        Some((table, key)) => output::line(&format!("pending: row {key} of {table}")),
        None if check.looked_at < 1.0 => {
            output::line(&format!("no pending row found; {looked}, newest first: `verify` looks at all"));
        }
        None => output::line("no pending row; all pages looked at"),
    }
}

/// `verify`.
pub(super) fn verification(found: &Verification, json: bool) {
    if json {
        let value = json!({
            "version": 1, "event": "verification", "job": found.job, "resumed": found.resumed, "rows": found.rows,
            "mismatches": found.mismatches, "examples": bad_rows_json(&found.examples), "interrupted": found.interrupted,
        });
        output::line(&value.to_string());
        return;
    }
    for row in &found.examples {
        output::line(&format!("row {} of {}: {}", row.key, row.table, row.message));
    }
    let verb = if found.interrupted { "interrupted" } else { "verified" };
    output::line(&format!("{verb}: {} of {} differ", grouped(found.mismatches), rows(found.rows)));
}

/// `pause`, `resume`, `cancel`.
pub(super) fn controlled(job: &str, state: State, workers: u32, json: bool) {
    if json {
        let value = json!({"version": 1, "event": "controlled", "job": job, "state": state.name(), "workers": workers});
        output::line(&value.to_string());
        return;
    }
    let who = match (state, workers) {
        (State::Running, 0) => "; no runner is connected: `zdm backfill run` goes on",
        _ => "",
    };
    output::line(&format!("job `{job}` is {}{who}", state.name()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(rows(1), "1 row");
        assert_eq!(rows(0), "0 rows");
        assert_eq!(rows(1_234_567), "1,234,567 rows");
        assert_eq!(time(Duration::from_secs(59)), "59 s");
        assert_eq!(time(Duration::from_secs(3725)), "1 h 2 min");
    }
}
