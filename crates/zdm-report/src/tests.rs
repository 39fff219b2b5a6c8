//! One report, all formats: the snapshots are the documentation of how each looks.

mod consumers;

mod hostile;

use zdm_source::{
    Applicability, Code, Diagnostic, Edit, Fix, FixFile, Label, Severity, SourceFile, Span, Subject, Suppressed,
    SuppressionKind,
};

use crate::markdown::MarkdownOptions;
use crate::report::{Base, MigrationPhase, PathPrefixes, Phase, Report, RuleInfo, Summary};
use crate::text::TextOptions;
use crate::{concise, fingerprints, github, gitlab, json, junit, markdown, sarif, text};

const INDEX: Code = Code { code: "ZDM101", name: "index-not-concurrent" };
const DROPPED: Code = Code { code: "ZDM201", name: "column-dropped" };
const UNKNOWN: Code = Code { code: "ZDM901", name: "operation-not-analysed" };

const MIGRATION: &str = r#"from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["customer"], name="order_customer_idx"),
        ),
        migrations.RemoveField("order", "größe"),
        Magic(),
    ]
"#;

const INITIAL: &str = r#"class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel("Order", [("größe", models.IntegerField())]),
    ]
"#;

pub(crate) const RULES: [RuleInfo<'static>; 3] = [
    RuleInfo {
        code: "ZDM101",
        name: "index-not-concurrent",
        summary: "An index is built under a lock that blocks writes.",
        severity: Severity::Error,
        page_markdown: "# ZDM101\n\n## What happens\n\n`CREATE INDEX` takes a `SHARE` lock.\n",
        url: "https://example.org/rules/ZDM101",
    },
    RuleInfo {
        code: "ZDM201",
        name: "column-dropped",
        summary: "A column that running code still names is dropped.",
        severity: Severity::Error,
        page_markdown: "# ZDM201\n",
        url: "https://example.org/rules/ZDM201",
    },
    RuleInfo {
        code: "ZDM901",
        name: "operation-not-analysed",
        summary: "An operation is not understood.",
        severity: Severity::Info,
        page_markdown: "# ZDM901\n",
        url: "",
    },
];

fn at(file: &SourceFile, text: &str) -> Span {
    let start = file.text().find(text).unwrap();
    Span::from_usize(start, start + text.len())
}

fn subject(operation: usize, statement: Option<&str>) -> Subject {
    Subject {
        app: Some("shop".into()),
        migration: Some("0002_order_customer".into()),
        operation: Some(operation),
        statement: statement.map(Into::into),
        ..Subject::default()
    }
}

/// Three findings, one of them suppressed, with every part that a finding can have.
pub(crate) fn findings() -> Vec<Diagnostic> {
    let file = SourceFile::new("shop/migrations/0002_order_customer.py", MIGRATION);
    let initial = SourceFile::new("shop/migrations/0001_initial.py", INITIAL);
    let add_index = &MIGRATION
        [MIGRATION.find("migrations.AddIndex").unwrap()..MIGRATION.find(",\n        migrations.Remove").unwrap()];
    let class = at(&file, "class Migration(migrations.Migration):");
    let fix = Fix {
        title: "build the index concurrently".to_owned(),
        applicability: Applicability::Safe,
        files: vec![FixFile::Change {
            file: file.clone(),
            edits: vec![
                Edit::insert(class.end, "\n    atomic = False"),
                Edit::replace(at(&file, "migrations.AddIndex"), "AddIndexConcurrently"),
            ],
        }],
    };
    let mut index = Diagnostic::new(
        INDEX,
        Severity::Error,
        "`AddIndex` on `Order` blocks INSERT, UPDATE and DELETE on `shop_order` while `order_customer_idx` is built",
        Label::new(&file, at(&file, add_index), "SHARE lock on `shop_order` until the migration commits"),
    )
    .with_related(Label::new(&file, class, "atomic by default: one transaction"))
    .with_fact("the build reads the whole table; reads go on, every write waits, and so does each request behind it")
    .with_help("build it concurrently, in a migration of its own that is not atomic")
    .with_fix(fix);
    index.subject = subject(0, Some("CREATE INDEX \"order_customer_idx\" ON \"shop_order\" (\"customer_id\")"));
    let mut dropped = Diagnostic::new(
        DROPPED,
        Severity::Warning,
        "`RemoveField` drops `größe` of `shop_order`, which running code still reads: 100% of SELECTs fail",
        Label::new(&file, at(&file, "migrations.RemoveField(\"order\", \"größe\")"), "the column goes here"),
    )
    .with_related(Label::new(&initial, at(&initial, "(\"größe\", models.IntegerField())"), "created here"))
    .with_code(
        "first take the field out of the state, and drop the column in the next release",
        "python",
        "operations = [\n    migrations.SeparateDatabaseAndState(\n        state_operations=[migrations.RemoveField(\"order\", \"größe\")],\n    ),\n]\n",
    );
    dropped.subject = subject(1, None);
    let mut unknown = Diagnostic::new(
        UNKNOWN,
        Severity::Info,
        "`Magic` is not analysed: its class is not found",
        Label::new(&file, at(&file, "Magic()"), ""),
    );
    unknown.subject = subject(2, None);
    unknown.suppressed =
        Some(Suppressed { kind: SuppressionKind::Comment, reason: Some("only writes a log line".to_owned()) });
    vec![index, dropped, unknown]
}

pub(crate) fn report(diagnostics: &[Diagnostic]) -> Report<'_> {
    let phase = |migration: &str, phase, reasons: &[&str]| MigrationPhase {
        app: "shop".to_owned(),
        migration: migration.to_owned(),
        path: format!("shop/migrations/{migration}.py"),
        phase,
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
    };
    Report {
        tool_version: "0.1.0",
        postgres: "16".to_owned(),
        django: "5.2".to_owned(),
        base: Some(Base { reference: "origin/main".to_owned(), merge_base: "0123456789abcdef".repeat(2) + "01234567" }),
        diagnostics,
        rules: &RULES,
        summary: Summary { migrations: 14, reported: 2, operations: 40, analysed: 39, apps: 3 },
        phases: vec![
            phase("0002_order_customer", Phase::After, &["drops `shop_order.größe`"]),
            phase("0003_note", Phase::Before, &[]),
        ],
        notes: vec!["PostgreSQL 16 from docker-compose.yml".to_owned()],
        fail_on: Some(Severity::Warning),
        paths: PathPrefixes { display: String::new(), repository: "backend/".to_owned() },
    }
}

#[test]
fn text_in_plain_characters() {
    insta::assert_snapshot!(text::render(&report(&findings()), TextOptions::default()));
}

#[test]
fn text_narrow_ascii() {
    let options = TextOptions { width: 60, unicode: false, color: false };
    let rendered = text::render(&report(&findings()), options);
    assert!(rendered.replace(['ö', 'ß'], "").is_ascii(), "only the user's own text is not ASCII:\n{rendered}");
    insta::assert_snapshot!(rendered);
}

#[test]
fn labels_on_one_place_do_not_draw_two_brackets() {
    let file = SourceFile::new("shop/migrations/0002.py", MIGRATION);
    let start = MIGRATION.find("migrations.AddIndex").unwrap();
    let span = Span::from_usize(start, MIGRATION.find(",\n        migrations.Remove").unwrap());
    let long = "a label that is longer than the terminal is wide and therefore stands on several lines under its place";
    let finding = Diagnostic::new(INDEX, Severity::Error, "m", Label::new(&file, span, long)).with_related(Label::new(
        &file,
        span,
        "the lock is taken here",
    ));
    let mut report = report(&[]);
    report.phases.clear();
    let findings = [finding];
    report.diagnostics = &findings;
    insta::assert_snapshot!(text::render(&report, TextOptions { width: 70, ..TextOptions::default() }));
}

#[test]
fn text_in_colour_is_the_same_text() {
    let findings = findings();
    let plain = text::render(&report(&findings), TextOptions::default());
    let coloured = text::render(&report(&findings), TextOptions { color: true, ..TextOptions::default() });
    assert!(coloured.contains("\u{1b}["), "colour was asked for");
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        stripped.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain);
}

#[test]
fn text_without_findings() {
    let mut report = report(&[]);
    report.phases.clear();
    report.base = None;
    report.summary.reported = 14;
    insta::assert_snapshot!(text::render(&report, TextOptions::default()));
}

#[test]
fn a_source_cannot_steer_the_terminal() {
    let file = SourceFile::new("a\u{1b}[2J.py", "x = '\u{1b}]0;title\u{7}\u{9b}\u{202e}evil'\rnext\r\n");
    let label = Label::new(&file, at(&file, "evil"), "her\u{1b}[31me");
    let finding = Diagnostic::new(INDEX, Severity::Error, "m\u{1b}[1m\ny", label);
    let rendered = text::render(&report(&[finding]), TextOptions::default());
    let bad: Vec<char> = rendered.chars().filter(|c| c.is_control() && *c != '\n').collect();
    assert!(bad.is_empty(), "{bad:?} in\n{rendered}");
    assert!(!rendered.contains('\u{202e}'));
    assert!(rendered.contains("evil"));
}

#[test]
fn bad_spans_and_endless_labels_do_not_break_the_drawing() {
    let long = "ä\n".repeat(500);
    let file = SourceFile::new("a.py", long.as_str());
    for span in [Span::new(0, 1500), Span::new(1, 2), Span::new(9000, 9001), Span::new(5, 3), Span::new(1500, 1500)] {
        let finding = Diagnostic::new(INDEX, Severity::Error, "m", Label::new(&file, span, "here"));
        let rendered = text::render(&report(&[finding]), TextOptions::default());
        assert!(rendered.contains("here"), "{span:?}\n{rendered}");
        assert!(rendered.lines().count() < 30, "{span:?}\n{rendered}");
    }
    let empty = SourceFile::new("empty.py", "");
    let finding = Diagnostic::new(INDEX, Severity::Error, "m", Label::new(&empty, Span::at(0), "here"));
    assert!(text::render(&report(&[finding]), TextOptions::default()).contains("empty.py"));
}

#[test]
fn concise_lines() {
    insta::assert_snapshot!(concise::render(&report(&findings())));
}

#[test]
fn json_document() {
    insta::assert_snapshot!(json::render(&report(&findings())));
}

#[test]
fn sarif_log() {
    insta::assert_snapshot!(sarif::render(&report(&findings())));
}

#[test]
fn github_annotations() {
    insta::assert_snapshot!(github::render(&report(&findings())));
}

#[test]
fn gitlab_report() {
    insta::assert_snapshot!(gitlab::render(&report(&findings())));
}

#[test]
fn junit_report() {
    insta::assert_snapshot!(junit::render(&report(&findings())));
}

#[test]
fn markdown_summary() {
    insta::assert_snapshot!(markdown::render(&report(&findings()), MarkdownOptions::default()));
}

/// `count` findings of each severity, all different.
pub(crate) fn many(count: usize) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (code, severity) in [(INDEX, Severity::Error), (DROPPED, Severity::Warning), (UNKNOWN, Severity::Info)] {
        for number in 0..count {
            let file = SourceFile::new(format!("app/migrations/{number:04}_x.py"), "operations = []\n");
            let label = Label::new(&file, Span::new(0, 10), "here");
            let mut finding = Diagnostic::new(code, severity, format!("finding {number} of `table_{number}`"), label);
            finding.subject = Subject {
                app: Some("app".into()),
                migration: Some(format!("{number:04}_x").into()),
                operation: Some(0),
                ..Subject::default()
            };
            findings.push(finding.with_help("do it otherwise ".repeat(10)));
        }
    }
    findings.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    findings
}

#[test]
fn github_never_gets_more_than_it_shows_and_never_loses_one() {
    for count in [0, 1, 9, 10, 11, 250] {
        let findings = many(count);
        let rendered = github::render(&report(&findings));
        for command in ["::error ", "::warning ", "::notice "] {
            let shown = rendered.lines().filter(|line| line.starts_with(command)).count();
            assert_eq!(shown, count.min(10), "{command} with {count} findings");
        }
        if count > 10 {
            let more = format!("{} more errors", count - 9);
            assert!(rendered.contains(&more), "{more}");
            for finding in &findings {
                assert!(rendered.contains(&finding.message), "the log lists {}", finding.message);
            }
        }
    }
}

#[test]
fn github_escapes_what_the_runner_would_read() {
    let file = SourceFile::new("a,b:c%/x.py", "one\ntwo\n");
    let mut finding = Diagnostic::new(
        INDEX,
        Severity::Error,
        "50%\n::set-output name=x::y\r",
        Label::new(&file, Span::new(0, 5), ""),
    );
    finding.notes.clear();
    let expected = "::error title=ZDM101 index-not-concurrent,file=backend/a%2Cb%3Ac%25/x.py,line=1,endLine=2\
                    ::50%25%0A::set-output name=x::y%0D\n";
    assert_eq!(github::render(&report(&[finding])), expected);
    let mut findings = many(11);
    findings[0].message = "##[set-env]\n::error::x".to_owned();
    let rendered = github::render(&report(&findings));
    // A line that is a command is not searched for the older form.
    assert!(rendered.lines().filter(|line| !line.starts_with("::")).all(|line| !line.contains("##[")));
    let commands = rendered.lines().filter(|line| line.trim_start().starts_with("::")).count();
    assert_eq!(commands, 3 * 10 + 2, "annotations, group and end of the group");
}

#[test]
fn markdown_keeps_its_limit_and_counts_the_rest() {
    let findings = many(700);
    for limit in [900, 2_000, 20_000, 65_000, 1 << 20] {
        let rendered = markdown::render(&report(&findings), MarkdownOptions { limit });
        assert!(rendered.len() <= limit, "{} bytes of {limit}", rendered.len());
        let rows = rendered
            .lines()
            .filter(|line| line.contains("](https://example.org") || line.contains("| ZDM901 |"))
            .count();
        if rows < findings.len() {
            let rest = format!("…and {} more findings", findings.len() - rows);
            assert!(rendered.contains(&rest), "{limit}: {rest}");
        }
    }
}

#[test]
fn markdown_is_not_steered_by_names() {
    let file = SourceFile::new("a|b`c.py", "x\n");
    let message = "drops `a|b<c>` and @team <img src=x> *all* [x](y) | with ` alone";
    let finding = Diagnostic::new(INDEX, Severity::Error, message, Label::new(&file, Span::new(0, 1), ""));
    let rendered = markdown::render(&report(&[finding]), MarkdownOptions::default());
    let row = rendered.lines().find(|line| line.contains("drops")).unwrap();
    assert_eq!(
        row,
        "| 🛑 | [ZDM101](https://example.org/rules/ZDM101 \"index-not-concurrent\") | `backend/a\\|b'c.py:1` | drops \
         `a\\|b<c>` and &#64;team &lt;img src=x&gt; \\*all\\* \\[x\\](y) \\| with ' alone |"
    );
}

#[test]
fn suppressed_findings_are_only_where_they_belong() {
    let findings = findings();
    let report = report(&findings);
    let word = "Magic";
    assert!(!concise::render(&report).contains(word));
    assert!(!github::render(&report).contains(word));
    assert!(!gitlab::render(&report).contains("ZDM901"));
    assert!(!markdown::render(&report, MarkdownOptions::default()).contains(word));
    assert!(json::render(&report).contains("only writes a log line"));
    assert!(sarif::render(&report).contains("only writes a log line"));
    assert!(junit::render(&report).contains("<skipped message=\"suppressed by comment: only writes a log line\"/>"));
}

#[test]
fn every_format_names_the_same_fingerprints() {
    let findings = findings();
    let report = report(&findings);
    let prints: Vec<String> = fingerprints(&findings).iter().map(ToString::to_string).collect();
    let (json, sarif, gitlab) = (json::render(&report), sarif::render(&report), gitlab::render(&report));
    for print in &prints {
        assert!(json.contains(print) && sarif.contains(print), "{print}");
    }
    assert_eq!(prints.iter().filter(|print| gitlab.contains(*print)).count(), 2, "GitLab sees no suppressed finding");
}

/// A finding about the project as a whole has no file.
#[test]
fn what_is_said_of_no_file_has_a_place_that_readers_take() {
    let mut all = findings();
    all.truncate(1);
    all[0].primary = zdm_source::Label::new(&zdm_source::SourceFile::new("", ""), zdm_source::Span::at(0), "");
    all[0].related.clear();
    let mut said = report(&all);
    for (repository, expected) in [("backend/", "backend"), ("", ".")] {
        said.paths.repository = repository.to_owned();
        let annotation = crate::github::render(&said);
        assert!(annotation.starts_with("::error title=") && !annotation.contains("file="), "{annotation}");
        let gitlab: serde_json::Value = serde_json::from_str(&crate::gitlab::render(&said)).unwrap();
        assert_eq!(gitlab[0]["location"]["path"], expected);
        let sarif: serde_json::Value = serde_json::from_str(&crate::sarif::render(&said)).unwrap();
        let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"];
        assert_eq!(place["uri"], expected);
        for rendered in [
            crate::junit::render(&said),
            crate::markdown::render(&said, MarkdownOptions::default()),
            crate::concise::render(&said),
        ] {
            assert!(
                !rendered.contains(":1:1") && !rendered.contains("line 1") && !rendered.contains(":1`"),
                "{rendered}"
            );
        }
    }
    // More than GitHub shows of a kind.
    let many: Vec<Diagnostic> = all.iter().cycle().take(30).cloned().collect();
    let annotations = crate::github::render(&report(&many));
    assert!(!annotations.contains(":1:1") && !annotations.contains("line=1"), "{annotations}");
}
