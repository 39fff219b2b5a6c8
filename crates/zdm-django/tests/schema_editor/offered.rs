//! What each Django offers to a migration, against what the generated cases hold: nothing is left out in silence.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use zdm_django::DjangoVersion;
use zdm_testkit::{Django, cache};

use super::cases::Case;

/// What no case holds, with the reason.
const LEFT_OUT: [(&str, &str); 35] = [
    ("operation Operation", "the base of all"),
    ("operation CollationOperation", "the base of two"),
    ("operation AlterIndexTogether", "only changes the state from 5.1 on"),
    ("operation AlterModelManagers", "neither world has managers"),
    ("field Field", "the base of all"),
    ("field ForeignObject", "a base that stands in no migration"),
    ("field RangeField", "the base of all ranges"),
    ("field OrderWrt", "made by AlterOrderWithRespectTo"),
    ("field IPAddressField", "refused by Django's checks since 1.9"),
    ("field NullBooleanField", "refused by Django's checks since 4.0"),
    ("field CommaSeparatedIntegerField", "refused by Django's checks since 2.0"),
    ("field CICharField", "refused by Django's checks since 5.1"),
    ("field CIEmailField", "refused by Django's checks since 5.1"),
    ("field CITextField", "refused by Django's checks since 5.1"),
    ("field SearchQueryField", "a type of values, seldom a column"),
    ("index PostgresIndex", "the base of the others"),
    ("constraint BaseConstraint", "the base of all"),
    ("function ConcatPair", "made by Concat"),
    ("function CumeDist", "a window function, which PostgreSQL takes in no definition"),
    ("function DenseRank", "a window function"),
    ("function FirstValue", "a window function"),
    ("function Lag", "a window function"),
    ("function LastValue", "a window function"),
    ("function Lead", "a window function"),
    ("function NthValue", "a window function"),
    ("function Ntile", "a window function"),
    ("function PercentRank", "a window function"),
    ("function Rank", "a window function"),
    ("function RowNumber", "a window function"),
    ("function Extract", "the base of the others"),
    ("function JSONArray", "not read: reported as not analysed"),
    ("function JSONObject", "not read: reported as not analysed"),
    ("function ExtractSecond", "not read: reported as not analysed"),
    ("function TruncTime", "not read: reported as not analysed"),
    ("function Trunc", "the base of the others"),
];

/// Prints the table, and answers with what is neither in a case nor left out for a reason, and with reasons that are none.
pub(crate) fn compare(djangos: &[Django], all: &[Case]) -> (String, Vec<String>) {
    let mut table = String::from(
        "Django   of          offered   in cases   left out   cases with the class, fields: added, altered\n",
    );
    let mut open = Vec::new();
    for django in djangos {
        let release: DjangoVersion = django.version().parse().expect("a version");
        let texts: Vec<&str> = all.iter().filter(|case| case.runs_on(release)).flat_map(Case::texts).collect();
        let script = cache::workspace().join("crates/zdm-django/tests/schema_editor/offered.py");
        let output = django.command().arg(script).output().expect("Python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let offered: BTreeMap<String, Vec<String>> = serde_json::from_slice(&output.stdout).expect("JSON");
        for (kind, names) in &offered {
            let with = |name: &str, start: &str| {
                let call = format!("{name}(");
                let whole = |text: &&&str| {
                    text.contains(start)
                        && text.match_indices(&call).any(|(at, _)| {
                            text.get(..at)
                                .is_some_and(|before| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
                        })
                };
                texts.iter().filter(whole).count()
            };
            let mut held = 0;
            let mut left_out = 0;
            let mut counts = String::new();
            for name in names {
                let reason = LEFT_OUT.iter().find(|(left, _)| *left == format!("{kind} {name}"));
                let (added, altered) = (with(name, "AddField("), with(name, "AlterField("));
                let fits = match &**kind {
                    // These change the whole model, or cannot be added or altered.
                    "field"
                        if matches!(
                            &**name,
                            "AutoField" | "BigAutoField" | "SmallAutoField" | "CompositePrimaryKey"
                        ) =>
                    {
                        with(name, "") > 0
                    }
                    "field" if matches!(&**name, "GeneratedField" | "HStoreField" | "ManyToManyField") => added > 0,
                    "field" => added > 0 && altered > 0,
                    _ => with(name, "") > 0,
                };
                match (fits, reason) {
                    (true, _) => held += 1,
                    (false, Some(_)) => left_out += 1,
                    (false, None) => {
                        open.push(format!(
                            "Django {}: {kind} {name} (added {added}, altered {altered})",
                            django.version()
                        ));
                    }
                }
                if kind == "field" {
                    let _ = write!(counts, " {name} {added}/{altered}");
                } else {
                    let _ = write!(counts, " {name} {}", with(name, ""));
                }
            }
            // The counts of the newest stand for all: a case that fits one release mostly fits the others.
            if Some(django) != djangos.last() {
                counts.clear();
            }
            let _ = writeln!(
                table,
                "{:<8} {kind:<11} {:>7} {held:>10} {left_out:>10}  {counts}",
                django.version(),
                names.len()
            );
        }
    }
    (table, open)
}
