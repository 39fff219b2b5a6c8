//! What happened, in the form in which prediction and measurement are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zdm_postgres::LockMode;
use zdm_postgres::effects::MayFail;

/// One run of a case. Relations are named without the schema of the cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Relation → initials of the strongest mode.
    pub locks: BTreeMap<String, String>,
    pub rewrites: BTreeSet<String>,
    pub scans: BTreeSet<String>,
    /// Indexes built or rebuilt.
    pub builds: BTreeSet<String>,
    /// Relation → who waits: `r` SELECT, `i` INSERT, `u` UPDATE, `f` SELECT FOR UPDATE, `n` nextval.
    pub blocked: BTreeMap<String, String>,
    /// Of `locks`, those that were waited for.
    pub waited: BTreeSet<String>,
    /// What the catalog is afterwards, one line for each column, default, constraint and index.
    pub catalog: BTreeSet<String>,
    /// SQLSTATE and message.
    pub error: Option<(String, String)>,
}

/// What the model cannot know and says so: these may be there or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uncertain {
    /// Tables of which only the existence is known.
    pub assumed: BTreeSet<String>,
    /// Tables that something that is not read may have changed or dropped.
    pub changed: BTreeSet<String>,
    pub locks: BTreeSet<String>,
    /// Relations with a mode that is taken for a moment where nobody is in the way.
    pub passing: BTreeMap<String, LockMode>,
    pub rewrites: BTreeSet<String>,
    pub scans: BTreeSet<String>,
    pub builds: BTreeSet<String>,
    /// Relations some of whose rows may be changed or locked.
    pub rows: BTreeSet<String>,
    /// Tables in which the row of an INSERT would have to fit a bound, which a row of defaults does not.
    pub unprobed: BTreeSet<String>,
    /// Errors that the rows decide.
    pub may_fail: Vec<MayFail>,
    /// Code runs that is not read: more may happen than is said, and not less.
    pub unread: bool,
}

/// One respect in which prediction and measurement are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Respect {
    Locks,
    Rewrites,
    Scans,
    Builds,
    Blocks,
    Errors,
    Catalog,
}

impl Respect {
    pub const ALL: [Self; 7] =
        [Self::Locks, Self::Rewrites, Self::Scans, Self::Builds, Self::Blocks, Self::Errors, Self::Catalog];
}

impl fmt::Display for Respect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Locks => "locks",
            Self::Rewrites => "rewrites",
            Self::Scans => "scans",
            Self::Builds => "builds",
            Self::Blocks => "blocks",
            Self::Errors => "errors",
            Self::Catalog => "catalog",
        })
    }
}

/// A respect in which they differ, with both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub respect: Respect,
    pub predicted: String,
    pub measured: String,
}

/// What a measurement can show at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// All locks were seen; otherwise only some of them, at one moment.
    pub all_locks: bool,
    /// No lock was seen.
    pub no_locks: bool,
    pub scans: bool,
    pub blocks: bool,
    /// The statement was looked at up to its end, so that what it blocks is known wherever it was found to block.
    pub last_blocks: bool,
    /// Every waiting command was found; otherwise only those on relations that were just worked on.
    pub all_blocks: bool,
    pub catalog: bool,
}

impl Scope {
    pub const FULL: Self = Self {
        all_locks: true,
        no_locks: false,
        scans: true,
        blocks: true,
        last_blocks: true,
        all_blocks: true,
        catalog: true,
    };
}

/// All differences between prediction and measurement.
pub fn differences(predicted: &Observed, uncertain: &Uncertain, measured: &Observed, scope: Scope) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut differ = |respect, predicted: String, measured: String| {
        found.push(Difference { respect, predicted, measured });
    };
    // What is announced for one statement may keep the server from the refusal of a later one.
    if let Some((sqlstate, _)) = &measured.error
        && predicted.error != measured.error
        && (uncertain.unread || uncertain.may_fail.iter().any(|may_fail| may_fail.covers(sqlstate)))
    {
        return found;
    }
    if predicted.error != measured.error {
        differ(Respect::Errors, format!("{:?}", predicted.error), format!("{:?}", measured.error));
        return found;
    }
    if measured.error.is_some() {
        return found;
    }
    if !scope.no_locks {
        let equal = if scope.all_locks {
            let certain = |locks: &BTreeMap<String, String>| -> BTreeMap<String, String> {
                locks.iter().filter(|(name, _)| !uncertain.locks.contains(*name)).map(clone_pair).collect()
            };
            let (predicted, measured) = (certain(&predicted.locks), certain(&measured.locks));
            let at_least = |name: &String, mode: &String| {
                measured.get(name).is_some_and(|more| LockMode::parse(more) >= LockMode::parse(mode))
            };
            predicted == measured || (uncertain.unread && predicted.iter().all(|(name, mode)| at_least(name, mode)))
        } else {
            measured.locks.iter().all(|(name, mode)| {
                predicted.locks.get(name) == Some(mode) || uncertain.passing.get(name).copied() == LockMode::parse(mode)
            })
        };
        if !equal {
            differ(Respect::Locks, format!("{:?}", predicted.locks), format!("{:?}", measured.locks));
        }
    }
    let mut sets = vec![
        (Respect::Rewrites, &predicted.rewrites, &uncertain.rewrites, &measured.rewrites),
        (Respect::Builds, &predicted.builds, &uncertain.builds, &measured.builds),
    ];
    if scope.scans {
        sets.push((Respect::Scans, &predicted.scans, &uncertain.scans, &measured.scans));
    }
    let unread = uncertain.unread;
    let rows = &uncertain.rows;
    for (respect, predicted, uncertain, measured) in sets {
        let differs = if unread {
            predicted.difference(uncertain).any(|name| !measured.contains(name))
        } else {
            predicted.difference(uncertain).ne(measured.difference(uncertain))
        };
        if differs {
            differ(respect, format!("{predicted:?}"), format!("{measured:?}"));
        }
    }
    let blocks_equal = if scope.all_blocks {
        let names: BTreeSet<&String> = predicted.blocked.keys().chain(measured.blocked.keys()).collect();
        names.into_iter().all(|name| {
            let letters = |blocked: &BTreeMap<String, String>| blocked.get(name).cloned().unwrap_or_default();
            let (predicted, measured) = (letters(&predicted.blocked), letters(&measured.blocked));
            let unseen = |letter: char| letter == 'i' && uncertain.unprobed.contains(name);
            let more = |letter: char| {
                unread
                    || uncertain.locks.contains(name)
                    || unseen(letter)
                    || (rows.contains(name) && matches!(letter, 'u' | 'f'))
            };
            predicted.chars().all(|letter| measured.contains(letter) || unseen(letter))
                && measured.chars().all(|letter| predicted.contains(letter) || more(letter))
        })
    } else {
        // Whether a lock of a moment is met by those that are tried meanwhile, is chance.
        let settled = measured.blocked.iter().filter(|(name, _)| !uncertain.passing.contains_key(*name));
        settled.into_iter().all(|(name, letters)| {
            let known = predicted.blocked.get(name).cloned().unwrap_or_default();
            let unseen = |letter: char| letter == 'i' && uncertain.unprobed.contains(name);
            // Its lock came when nobody was there to wait for: what blocks there is another relation's.
            let unheld = predicted.locks.contains_key(name) && !measured.locks.contains_key(name);
            letters.chars().all(|letter| known.contains(letter))
                && known
                    .chars()
                    .all(|letter| !scope.last_blocks || unheld || letters.contains(letter) || unseen(letter))
        })
    };
    if scope.blocks && !blocks_equal {
        differ(Respect::Blocks, format!("{:?}", predicted.blocked), format!("{:?}", measured.blocked));
    }
    let told = |lines: &BTreeSet<String>| -> BTreeSet<String> {
        let of =
            |line: &str| line.split(' ').nth(1).and_then(|name| name.split('.').next()).unwrap_or_default().to_owned();
        lines
            .iter()
            .filter(|line| !uncertain.assumed.contains(&of(line)) && !uncertain.changed.contains(&of(line)))
            .cloned()
            .collect()
    };
    if scope.catalog && !unread && told(&predicted.catalog) != told(&measured.catalog) {
        let only = |these: &BTreeSet<String>, those: &BTreeSet<String>| {
            these.difference(those).cloned().collect::<Vec<_>>().join("\n           ")
        };
        differ(
            Respect::Catalog,
            only(&predicted.catalog, &measured.catalog),
            only(&measured.catalog, &predicted.catalog),
        );
    }
    found
}

fn clone_pair((name, mode): (&String, &String)) -> (String, String) {
    (name.clone(), mode.clone())
}
