//! Writes `truth.json` anew from the servers that are provisioned:
//!
//! ```text
//! cargo run -p zdm-claims --example record > truth.new.json
//! ```
//!
//! Cases that run inside a transaction are measured again, with the tables in full size; what was recorded for versions
//! that are not provisioned (12 and 13), and for cases that need other sessions to hold them back, stays.

use std::io::Write as _;

use serde_json::{Map, Value, json};
use zdm_claims::measure::{Answer, Bench};
use zdm_claims::observed::Observed;
use zdm_claims::predict::{Case, Holds};
use zdm_claims::truth::{Entry, Mode, covers, entries};
use zdm_testkit::{Server, majors_for};

fn main() -> std::io::Result<()> {
    let recorded: Vec<Value> =
        serde_json::from_str(include_str!("../truth.json")).expect("truth.json is a list of entries");
    let benches: Vec<(u16, Bench)> = majors_for("claims")
        .into_iter()
        .map(|major| {
            (u16::try_from(major).expect("a major version is small"), Bench::new(&Server::shared(major)).in_full_size())
        })
        .collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "[")?;
    let entries = entries();
    for (place, (entry, mut value)) in entries.iter().zip(recorded).enumerate() {
        if entry.mode == Mode::Tx {
            value["summary"] = summary(entry, &value["summary"], &benches);
        }
        let comma = if place + 1 < entries.len() { "," } else { "" };
        writeln!(out, "{value}{comma}")?;
    }
    writeln!(out, "]")
}

/// Version ranges with equal observations, in order.
fn summary(entry: &Entry, old: &Value, benches: &[(u16, Bench)]) -> Value {
    let mut ranges: Vec<(u16, u16, Value)> = Vec::new();
    for major in 12..=18 {
        let measured = benches.iter().find(|(version, _)| *version == major).map(|(_, bench)| {
            let case = Case {
                setup: &entry.setup,
                session: &entry.session,
                pre: &entry.pre,
                statement: &entry.statement,
                mode: entry.mode,
                holds: Holds::These(&entry.holds),
            };
            match bench.measure(&case) {
                Answer::Measured(observed, _) => written(&observed),
                Answer::SetupFails(error) => json!({ "n/a": error }),
            }
        });
        let kept = || {
            old.as_object()
                .into_iter()
                .flatten()
                .find(|(range, _)| covers(range, major))
                .map_or(Value::Null, |(_, value)| value.clone())
        };
        let value = measured.unwrap_or_else(kept);
        match ranges.last_mut() {
            Some((_, last, known)) if *known == value => *last = major,
            _ => ranges.push((major, major, value)),
        }
    }
    let mut summary = Map::new();
    for (first, last, value) in ranges {
        let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
        summary.insert(range, value);
    }
    Value::Object(summary)
}

fn written(observed: &Observed) -> Value {
    let mut value = Map::new();
    if let Some((sqlstate, message)) = &observed.error {
        value.insert("error".to_owned(), json!(format!("{sqlstate} {message}")));
        return Value::Object(value);
    }
    let mut put = |key: &str, content: Value, empty: bool| {
        if !empty {
            value.insert(key.to_owned(), content);
        }
    };
    put("locks", json!(observed.locks), observed.locks.is_empty());
    put("rewrite", json!(observed.rewrites), observed.rewrites.is_empty());
    put("scan", json!(observed.scans), observed.scans.is_empty());
    put("index_build", json!(observed.builds), observed.builds.is_empty());
    put("blocked", json!(observed.blocked), observed.blocked.is_empty());
    Value::Object(value)
}
