//! The gate: which pending migrations run now, and why the others do not.
//!
//! A migration's phase comes from the linter's findings. `before` runs while the old code runs, `after` once none of it
//! does, `window` only with somebody's consent. All of this is a pure function of the pending migrations and the day.

use std::path::{Path, PathBuf};

use thiserror::Error;
use zdm_django::MigrationKey;
use zdm_linter::phase::Waiting;
use zdm_source::Phase;

use crate::knowledge::{Knowledge, sha256_of};
use crate::wire::Planned;

/// What of a deploy is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseChoice {
    /// The old code runs.
    Before,
    /// None of it runs any more.
    After,
}

#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// None: both phases run, `window` needs consent all the same.
    pub phase: Option<PhaseChoice>,
    /// `app.0042` or the whole name.
    pub allowed: Vec<String>,
    pub consents: Vec<Consent>,
    /// `2026-01-31`, in UTC.
    pub today: String,
}

/// An entry of a consent file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    pub migration: String,
    /// Of the migration's file; a changed file voids the consent.
    pub sha256: String,
    pub author: String,
    /// The last day on which it holds.
    pub expires: String,
    pub reason: Option<String>,
}

/// A consent file that cannot be used.
#[derive(Debug, Error)]
pub enum ConsentError {
    #[error("cannot read the consent file {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("the consent file {} is not TOML: {message}", path.display())]
    Syntax { path: PathBuf, message: String },
    #[error("the consent file {}: {message}", path.display())]
    Entry { path: PathBuf, message: String },
}

/// A migration that is not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub key: MigrationKey,
    /// None: the analysis does not know it.
    pub phase: Option<Phase>,
    pub reasons: Vec<String>,
    pub path: Option<PathBuf>,
    pub sha256: Option<String>,
    pub parents: Vec<MigrationKey>,
    pub atomic: bool,
    /// What the new code cannot run without, and the migration makes: the model, and the column or table.
    pub needed: Option<(String, String)>,
}

/// What the gate says of one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub pending: Pending,
    pub runs: bool,
    /// Why it does not run, or whose consent lets it.
    pub why: Option<String>,
    /// It stays for the next phase, which is as it should be.
    pub later: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    pub verdicts: Vec<Verdict>,
    /// One per verdict.
    pub run: Vec<bool>,
    /// Why nothing may run at all.
    pub contradictions: Vec<String>,
}

impl Decision {
    /// Why the whole run is refused.
    pub fn refusal(&self) -> Option<String> {
        (!self.contradictions.is_empty()).then(|| self.contradictions.join("\n"))
    }

    /// Migrations that do not run and do not simply belong to a later phase.
    pub fn closed(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| !verdict.runs && !verdict.later)
    }

    pub fn left(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| !verdict.runs)
    }
}

impl Gate {
    /// `pending` stands in the order of execution.
    pub fn decide(&self, pending: &[Pending]) -> Decision {
        let mut decision = Decision::default();
        let mut waiting = Waiting::default();
        for migration in pending {
            let phase = migration.phase.unwrap_or(Phase::Window);
            let (mut runs, mut why, mut later) = match (phase, self.phase) {
                (Phase::Before, _) | (Phase::After, Some(PhaseChoice::After) | None) => (true, None, false),
                (Phase::After, Some(PhaseChoice::Before)) => {
                    (false, Some("it runs in the phase `after`".to_owned()), true)
                }
                (Phase::Window, _) => match self.consent(migration) {
                    Ok(consent) => (true, Some(consent), false),
                    Err(why) => (false, Some(why), false),
                },
            };
            let parent = waiting.behind(&migration.parents);
            if let (true, Some((parent, parent_phase))) = (runs, parent) {
                runs = false;
                why = Some(format!("it depends on {}, which does not run now", dotted(parent)));
                later = parent_phase == Phase::After;
                // What the new code does not need can wait with what it stands behind.
                if self.phase == Some(PhaseChoice::Before)
                    && phase == Phase::Before
                    && let Some((model, column)) = &migration.needed
                {
                    decision.contradictions.push(format!(
                        "{} must run before the deploy but depends on {}, which may only run {}: the new code's model \
                         `{model}` names `{column}` in every query; split the deploy in two, or take the dependency away",
                        dotted(&migration.key),
                        dotted(parent),
                        if parent_phase == Phase::After { "after it" } else { "with consent (`window`)" },
                    ));
                }
            }
            if !runs {
                waiting.add(&migration.key, phase, &migration.parents);
            }
            decision.run.push(runs);
            decision.verdicts.push(Verdict { pending: migration.clone(), runs, why, later });
        }
        decision
    }

    /// What `allowed` names and is not pending, as after a run that was started twice.
    pub fn allowed_in_vain(&self, pending: &[Pending]) -> Vec<String> {
        self.allowed
            .iter()
            .filter(|text| !pending.iter().any(|pending| matches_name(text, &pending.key)))
            .map(|text| format!("--allow {text} has no effect: the migration is applied already"))
            .collect()
    }

    /// Who consents to a `window` migration, or why nobody does.
    fn consent(&self, migration: &Pending) -> Result<String, String> {
        let names = |text: &str| matches_name(text, &migration.key);
        if self.allowed.iter().any(|text| names(text)) {
            return Ok("allowed by --allow".to_owned());
        }
        let mut why = None;
        for consent in self.consents.iter().filter(|consent| names(&consent.migration)) {
            let Consent { author, expires, sha256, .. } = consent;
            if migration.sha256.as_ref().is_none_or(|found| !found.eq_ignore_ascii_case(sha256)) {
                why = Some(format!("the consent of {author} is void: the file has changed since"));
            } else if *expires < self.today {
                why = Some(format!("the consent of {author} expired on {expires}"));
            } else {
                return Ok(format!("consent of {author} until {expires}"));
            }
        }
        Err(why.unwrap_or_else(|| {
            format!("it needs consent: --allow {}, or an entry in a consent file", dotted(&migration.key))
        }))
    }
}

/// The steps of Django's plan, with what the analysis knows of them.
pub(crate) fn pending_of(steps: &[Planned], knowledge: Option<&Knowledge>) -> Vec<Pending> {
    let keys: Vec<MigrationKey> =
        steps.iter().map(|step| MigrationKey::new(step.app.as_str(), step.name.as_str())).collect();
    let judged = match knowledge {
        Some(knowledge) => pending(knowledge, &keys),
        None => keys.iter().map(unknown).collect(),
    };
    steps
        .iter()
        .zip(judged)
        .map(|(step, mut pending)| {
            let path = step.path.as_ref().map(PathBuf::from);
            let sha256 = path.as_deref().and_then(sha256_of);
            // What Python loads is what runs; a judgement of another text says nothing about it.
            if pending.phase.is_some() && pending.sha256.is_some() && pending.sha256 != sha256 {
                pending.phase = None;
                pending.reasons = vec!["Python loads another file than the one that was judged".to_owned()];
            }
            if pending.parents.is_empty() {
                pending.parents =
                    step.depends.iter().map(|(app, name)| MigrationKey::new(app.as_str(), name.as_str())).collect();
            }
            Pending { path: path.or(pending.path.take()), sha256, ..pending }
        })
        .collect()
}

/// Pending migrations as the analysis knows them: together they are one release.
pub(crate) fn pending(knowledge: &Knowledge, keys: &[MigrationKey]) -> Vec<Pending> {
    let mut judged = knowledge.judge(&keys.iter().cloned().collect());
    keys.iter()
        .map(|key| match (knowledge.get(key), judged.remove(key)) {
            (Some(known), Some((phase, reasons))) => Pending {
                key: key.clone(),
                phase: Some(phase),
                reasons,
                path: known.path.clone(),
                sha256: known.sha256.clone(),
                parents: known.parents.clone(),
                atomic: known.atomic,
                needed: knowledge.needed(key),
            },
            _ => unknown(key),
        })
        .collect()
}

fn unknown(key: &MigrationKey) -> Pending {
    Pending {
        key: key.clone(),
        phase: None,
        reasons: vec!["the analysis did not find it".to_owned()],
        path: None,
        sha256: None,
        parents: Vec::new(),
        atomic: true,
        needed: None,
    }
}

/// `app.name`.
pub fn dotted(key: &MigrationKey) -> String {
    format!("{}.{}", key.app, key.name)
}

/// `app.0042` names `app.0042_drop_x`, as a number does in Django's `migrate`.
pub(crate) fn matches_name(text: &str, key: &MigrationKey) -> bool {
    let Some((app, name)) = text.split_once('.') else { return false };
    app == &*key.app
        && (name == &*key.name
            || key.name.strip_prefix(name).is_some_and(|rest| !name.is_empty() && rest.starts_with('_')))
}

/// Reads a consent file:
///
/// ```toml
/// [[consent]]
/// migration = "shop.0042_drop_total"
/// sha256 = "…"
/// author = "name@example.org"
/// expires = 2026-12-01
/// reason = "traffic is low on Sunday"
/// ```
pub fn read_consents(path: &Path) -> Result<Vec<Consent>, ConsentError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| ConsentError::Unreadable { path: path.to_owned(), error })?;
    parse_consents(&text).map_err(|error| match error {
        Malformed::Syntax(message) => ConsentError::Syntax { path: path.to_owned(), message },
        Malformed::Entry(message) => ConsentError::Entry { path: path.to_owned(), message },
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Malformed {
    Syntax(String),
    Entry(String),
}

fn parse_consents(text: &str) -> Result<Vec<Consent>, Malformed> {
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| Malformed::Syntax(error.message().to_owned()))?;
    if let Some(key) = table.keys().find(|key| *key != "consent") {
        return Err(Malformed::Entry(format!("`{key}` is not known; entries are `[[consent]]`")));
    }
    let Some(entries) = table.get("consent") else { return Ok(Vec::new()) };
    let entries = entries
        .as_array()
        .ok_or_else(|| Malformed::Entry("entries are `[[consent]]`, with two brackets".to_owned()))?;
    entries.iter().enumerate().map(|(at, entry)| consent(at + 1, entry)).collect()
}

const KEYS: [&str; 5] = ["migration", "sha256", "author", "expires", "reason"];

fn consent(number: usize, entry: &toml::Value) -> Result<Consent, Malformed> {
    let wrong = |what: &str| Malformed::Entry(format!("entry {number}: {what}"));
    let table = entry.as_table().ok_or_else(|| wrong("not a table"))?;
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(wrong(&format!("`{key}` is not known")));
    }
    let text = |key: &str| match table.get(key) {
        Some(toml::Value::String(text)) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Some(toml::Value::Datetime(date)) if key == "expires" => Ok(date.to_string()),
        Some(_) => Err(wrong(&format!("`{key}` is not a text"))),
        None => Err(wrong(&format!("`{key}` is missing"))),
    };
    let expires = text("expires")?;
    let date =
        expires.get(..10).filter(|date| is_date(date)).ok_or_else(|| wrong("`expires` is a date: 2026-12-31"))?;
    let sha256 = text("sha256")?;
    if sha256.len() != 64 || !sha256.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(wrong("`sha256` is 64 hexadecimal digits, as `zdm migrate status` shows them"));
    }
    Ok(Consent {
        migration: text("migration")?,
        sha256,
        author: text("author")?,
        expires: date.to_owned(),
        reason: if table.contains_key("reason") { Some(text("reason")?) } else { None },
    })
}

fn is_date(text: &str) -> bool {
    text.chars().enumerate().all(|(at, c)| if at == 4 || at == 7 { c == '-' } else { c.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migration(name: &str, phase: Option<Phase>, parents: &[&str]) -> Pending {
        Pending {
            key: MigrationKey::new("a", name),
            phase,
            reasons: Vec::new(),
            path: None,
            sha256: Some("ab".repeat(32)),
            parents: parents.iter().map(|parent| MigrationKey::new("a", *parent)).collect(),
            atomic: true,
            needed: Some(("a.Book".to_owned(), "title".to_owned())),
        }
    }

    fn consent(sha256: &str, expires: &str) -> Consent {
        Consent {
            migration: "a.2".to_owned(),
            sha256: sha256.to_owned(),
            author: "me".to_owned(),
            expires: expires.to_owned(),
            reason: None,
        }
    }

    #[track_caller]
    fn check(gate: &Gate, pending: &[Pending], run: &[bool], contradictions: usize, closed: usize) -> Decision {
        let decision = gate.decide(pending);
        assert_eq!(decision.run, run, "{decision:?}");
        assert_eq!(decision.contradictions.len(), contradictions, "{decision:?}");
        assert_eq!(decision.closed().count(), closed, "{decision:?}");
        decision
    }

    fn gate(phase: Option<PhaseChoice>) -> Gate {
        Gate { phase, today: "2026-06-15".to_owned(), ..Gate::default() }
    }

    #[test]
    fn phases_run_in_their_time() {
        use Phase::*;
        let before = gate(Some(PhaseChoice::Before));
        let after = gate(Some(PhaseChoice::After));
        let three = [
            migration("1", Some(Before), &[]),
            migration("2", Some(After), &["1"]),
            migration("3", Some(Window), &["2"]),
        ];
        check(&before, &three, &[true, false, false], 0, 1);
        check(&after, &three, &[true, true, false], 0, 1);
        check(&gate(None), &three, &[true, true, false], 0, 1);
        check(&before, &three[..2], &[true, false], 0, 0);
        // Another app's migration behind one that waits is not held up by it.
        let beside = [migration("1", Some(After), &[]), migration("2", Some(Before), &[])];
        check(&before, &beside, &[false, true], 0, 0);
        check(&before, &[migration("1", None, &[])], &[false], 0, 1);
    }

    #[test]
    fn before_must_not_depend_on_after() {
        use Phase::*;
        let pending = [
            migration("1", Some(After), &[]),
            migration("2", Some(Before), &["1"]),
            migration("3", Some(Before), &["2"]),
        ];
        let decision = check(&gate(Some(PhaseChoice::Before)), &pending, &[false, false, false], 2, 0);
        assert!(
            decision.refusal().is_some_and(|text| text.contains("a.2 must run before the deploy but depends on a.1"))
        );
        check(&gate(Some(PhaseChoice::After)), &pending, &[true, true, true], 0, 0);
        let pending = [migration("1", Some(Window), &[]), migration("2", Some(Before), &["1"])];
        check(&gate(Some(PhaseChoice::Before)), &pending, &[false, false], 1, 2);
        check(&gate(Some(PhaseChoice::After)), &pending, &[false, false], 0, 2);
        // What the new code does not need waits.
        let index = |parent: Phase| {
            [
                migration("1", Some(parent), &[]),
                Pending { needed: None, ..migration("2", Some(Before), &["1"]) },
                migration("3", Some(Before), &[]),
            ]
        };
        check(&gate(Some(PhaseChoice::Before)), &index(After), &[false, false, true], 0, 0);
        check(&gate(Some(PhaseChoice::Before)), &index(Window), &[false, false, true], 0, 2);
    }

    #[test]
    fn consent_is_for_one_text_and_a_time() {
        let pending = [migration("2_x", Some(Phase::Window), &[])];
        let with = |consents: Vec<Consent>| Gate { consents, ..gate(None) };
        check(&with(vec![consent(&"ab".repeat(32), "2026-06-15")]), &pending, &[true], 0, 0);
        let expired = check(&with(vec![consent(&"ab".repeat(32), "2026-06-14")]), &pending, &[false], 0, 1);
        assert_eq!(expired.verdicts[0].why.as_deref(), Some("the consent of me expired on 2026-06-14"));
        let void = check(&with(vec![consent(&"cd".repeat(32), "2027-01-01")]), &pending, &[false], 0, 1);
        assert!(void.verdicts[0].why.as_deref().is_some_and(|why| why.contains("is void")));
        let allowed = |text: &str| Gate { allowed: vec![text.to_owned()], ..gate(None) };
        check(&allowed("a.2"), &pending, &[true], 0, 0);
        check(&allowed("a.2_x"), &pending, &[true], 0, 0);
        for text in ["a.", "a", "b.2", "a.2_", "a.2_xy"] {
            check(&allowed(text), &pending, &[false], 0, 1);
        }
    }

    #[test]
    fn consent_files_are_read_strictly() {
        let hash = "0f".repeat(32);
        let good = format!(
            "[[consent]]\nmigration = 'a.2'\nsha256 = '{hash}'\nauthor = 'me'\nexpires = 2026-06-15\nreason = 'x'\n"
        );
        assert_eq!(parse_consents(&good).unwrap()[0].expires, "2026-06-15");
        assert_eq!(parse_consents(""), Ok(Vec::new()));
        let fails = |text: &str, expect: &str| {
            let message = match parse_consents(text) {
                Err(Malformed::Syntax(message) | Malformed::Entry(message)) => message,
                Ok(found) => panic!("{text}: {found:?}"),
            };
            assert!(message.contains(expect), "{message}");
        };
        fails("[[consent]", "");
        fails("[consent]\n", "two brackets");
        fails("x = 1", "`x` is not known");
        fails(&good.replace("author", "autor"), "`autor` is not known");
        fails(&good.replace("2026-06-15", "'soon'"), "`expires` is a date");
        fails(&good.replace("author = 'me'\n", ""), "`author` is missing");
        fails(&good.replace(&hash, "12"), "64 hexadecimal digits");
    }
}
