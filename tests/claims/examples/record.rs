//! Writes `truth.json` anew from the servers that are provisioned:
//!
//! ```text
//! cargo run -p zdm-claims --example record > truth.new.json
//! ```
//!
//! Every case is measured again with its tables in full size: inside a transaction, or while other transactions hold it
//! back, or while it runs. What was recorded for versions that are not provisioned (12 and 13, unless
//! `cargo xtask setup --postgres 12,13` provided them) stays, and so do remarks that are no measurements.
//! Standard error says case by case what came out differently.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::thread;

use serde_json::{Map, Value, json};
use zdm_claims::measure::{Answer, Bench};
use zdm_claims::observed::Observed;
use zdm_claims::truth::{Entry, covers, entries};
use zdm_testkit::{Server, majors_for};

/// What is measured here; the rest of an entry is kept.
const MEASURED: [&str; 9] = [
    "locks",
    "waited_locks",
    "rewrite",
    "scan",
    "index_build",
    "index_rebuilt",
    "blocked",
    "error",
    "locks_not_sampled",
];

fn main() -> std::io::Result<()> {
    let recorded: Vec<Value> =
        serde_json::from_str(include_str!("../truth.json")).expect("truth.json is a list of entries");
    let entries = entries();
    let only = std::env::var("ZDM_CASE").ok();
    let chosen = |entry: &Entry| only.as_ref().is_none_or(|only| entry.id.contains(only.as_str()));
    let by_major: BTreeMap<u16, Vec<Option<Answer>>> = thread::scope(|scope| {
        let workers: Vec<_> = majors_for("claims")
            .into_iter()
            .map(|major| {
                let (entries, chosen) = (&entries, &chosen);
                scope.spawn(move || {
                    let bench = Bench::new(&Server::shared(major)).in_full_size();
                    let answers = entries.iter().map(|entry| chosen(entry).then(|| measure(&bench, entry))).collect();
                    (u16::try_from(major).expect("a major version is small"), answers)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    let mut out = std::io::stdout().lock();
    let mut notes = std::io::stderr().lock();
    let mut different = 0;
    writeln!(out, "[")?;
    for (place, (entry, mut value)) in entries.iter().zip(recorded).enumerate() {
        let old = value["summary"].clone();
        let mut ranges: Vec<(u16, u16, Value)> = Vec::new();
        for major in 12..=18 {
            let before = old
                .as_object()
                .into_iter()
                .flatten()
                .find(|(range, _)| covers(range, major))
                .map_or(Value::Null, |(_, value)| value.clone());
            let answer = by_major.get(&major).and_then(|answers| answers.get(place)).and_then(Option::as_ref);
            let after = match answer {
                Some(Answer::Measured(observed, scope)) => written(&before, observed, scope.no_locks),
                Some(Answer::SetupFails(error)) => json!({ "n/a": error.get(6..).unwrap_or(error) }),
                None => before.clone(),
            };
            if comparable(&before) != comparable(&after) {
                different += 1;
                writeln!(notes, "{} on {major}\n    was {before}\n    is  {after}", entry.id)?;
            }
            match ranges.last_mut() {
                Some((_, last, known)) if *known == after => *last = major,
                _ => ranges.push((major, major, after)),
            }
        }
        let summary: Map<String, Value> = ranges
            .into_iter()
            .map(|(first, last, value)| {
                (if first == last { first.to_string() } else { format!("{first}-{last}") }, value)
            })
            .collect();
        value["summary"] = Value::Object(summary);
        let comma = if place + 1 < entries.len() { "," } else { "" };
        writeln!(out, "{value}{comma}")?;
    }
    writeln!(out, "]")?;
    writeln!(notes, "{different} entries differ from what was recorded")
}

fn measure(bench: &Bench, entry: &Entry) -> Answer {
    bench.measure(&entry.case())
}

fn written(before: &Value, observed: &Observed, no_locks: bool) -> Value {
    let mut value: Map<String, Value> = before
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| !MEASURED.contains(&key.as_str()) && key.as_str() != "n/a")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if no_locks {
        value.insert("locks_not_sampled".to_owned(), json!(true));
    }
    if let Some((sqlstate, message)) = &observed.error {
        value.insert("error".to_owned(), json!(format!("{sqlstate} {message}")));
        // What is left behind: an invalid index.
        if !observed.builds.is_empty() {
            value.insert("index_build".to_owned(), json!(observed.builds));
        }
        return Value::Object(value);
    }
    let (waited, held): (BTreeMap<_, _>, BTreeMap<_, _>) =
        observed.locks.iter().partition(|(name, _)| observed.waited.contains(*name));
    for (key, content, empty) in [
        ("locks", json!(held), held.is_empty()),
        ("waited_locks", json!(waited), waited.is_empty()),
        ("rewrite", json!(observed.rewrites), observed.rewrites.is_empty()),
        ("scan", json!(observed.scans), observed.scans.is_empty()),
        ("index_build", json!(observed.builds), observed.builds.is_empty()),
        ("blocked", json!(observed.blocked), observed.blocked.is_empty()),
    ] {
        if !empty {
            value.insert(key.to_owned(), content);
        }
    }
    Value::Object(value)
}

/// What two measurements of one case must have in common, however they are written.
fn comparable(value: &Value) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let Some(object) = value.as_object() else { return lines };
    for (key, content) in object {
        let kind = match key.as_str() {
            "locks" | "waited_locks" => "lock",
            "index_build" | "index_rebuilt" => "build",
            "rewrite" | "scan" | "blocked" | "error" | "n/a" => key.as_str(),
            _ => continue,
        };
        match content {
            Value::Object(map) => {
                // The copies that REINDEX CONCURRENTLY works on come and go.
                let lasting = map.iter().filter(|(name, _)| !name.ends_with("_ccnew") && !name.ends_with("_ccold"));
                lines
                    .extend(lasting.map(|(name, mode)| format!("{kind} {name} {}", mode.as_str().unwrap_or_default())));
            }
            Value::Array(list) => {
                lines.extend(
                    list.iter()
                        .filter_map(Value::as_str)
                        .map(|name| format!("{kind} {}", name.trim_end_matches("_ccnew").trim_end_matches("_ccold"))),
                );
            }
            _ if key == "n/a" => {
                lines.insert("n/a".to_owned());
            }
            other => {
                lines.insert(format!("{kind} {other}"));
            }
        }
    }
    lines
}
