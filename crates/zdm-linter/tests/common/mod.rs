//! Reads a rule's page into examples, makes migration files of them, and lints a project of one app, `shop`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use zdm_django::problem::ProblemKind;
use zdm_django::project::sources::Sources;
use zdm_django::project::{Project, ProjectConfig, ProjectInput};
use zdm_django::resolve::{Context, Resolver};
use zdm_django::{DjangoVersion, Value};
use zdm_linter::config::{Level, NamedTable, RuleSet, TableFacts, TablePattern};
use zdm_linter::{Config, Page, lint};
use zdm_postgres::PgVersion;
use zdm_replay::{Options, Trace, replay};
use zdm_source::{Applicability, Diagnostic, FixFile, SourceFile, Span, apply_edits};

/// A fenced block of Python with the line of the page it begins on.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// The examples of a page. `given` blocks are earlier migrations.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageExamples {
    pub(crate) given: Vec<Block>,
    pub(crate) bad: Vec<Block>,
    pub(crate) good: Vec<Block>,
    pub(crate) silent: Vec<Block>,
}

pub(crate) fn read_page(page: &Page) -> PageExamples {
    let mut examples = PageExamples::default();
    let mut section = String::new();
    let mut open: Option<(bool, Block)> = None;
    for (index, line) in page.body.lines().enumerate() {
        if let Some((given, mut block)) = open.take() {
            if line != "```" {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some((given, block));
                continue;
            }
            let target = match section.as_str() {
                _ if given => &mut examples.given,
                "Bad" => &mut examples.bad,
                "Good" => &mut examples.good,
                "When it stays silent" => &mut examples.silent,
                other => panic!("{}: an example in section `{other}`", page.code.code),
            };
            target.push(block);
        } else if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        } else if let Some(info) = line.strip_prefix("```python") {
            let block = Block { line: index + 2, text: String::new() };
            open = Some((info.trim() == "given", block));
        }
    }
    assert!(open.is_none(), "{}: a block is not closed", page.code.code);
    examples
}

const MARK: &str = "# error: ";

/// The codes that each marked line of an example expects, by line of the example.
pub(crate) fn expectations(text: &str) -> BTreeMap<usize, Vec<String>> {
    let mut expected = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        if let Some((_, codes)) = line.split_once(MARK) {
            let mut codes: Vec<String> = codes.split(',').map(|code| code.trim().to_owned()).collect();
            codes.sort();
            expected.insert(index, codes);
        }
    }
    expected
}

/// A line of an example without its mark.
pub(crate) fn stripped_line(text: &str, line: usize) -> &str {
    let line = text.lines().nth(line).unwrap_or("");
    line.split_once(MARK).map_or(line, |(code, _)| code)
}

/// The name of the migration with that index: `0001_example`.
pub(crate) fn migration_name(index: usize) -> String {
    format!("{:04}_example", index + 1)
}

/// A whole migration file around an example: assignments become the body of the class, what stands before them the module's.
pub(crate) fn migration_source(index: usize, example: &str) -> String {
    let lines: Vec<&str> = (0..example.lines().count()).map(|line| stripped_line(example, line).trim_end()).collect();
    let begins_class = |line: &&&str| {
        ["operations", "atomic", "zdm_phase", "safe"]
            .iter()
            .any(|word| line.strip_prefix(word).is_some_and(|rest| rest.trim_start().starts_with(['=', '+'])))
    };
    let body = lines.iter().position(|line| begins_class(&line)).unwrap_or(lines.len());
    let mut source = String::from(
        "from django.contrib.postgres.operations import (\n    AddConstraintNotValid,\n    AddIndexConcurrently,\n    RemoveIndexConcurrently,\n    ValidateConstraint,\n)\nfrom django.db import migrations, models\n",
    );
    for line in lines[..body].iter().filter(|line| !line.starts_with(POSTGRES) && !line.starts_with(TABLE)) {
        source.push_str(line);
        source.push('\n');
    }
    source.push_str("\n\nclass Migration(migrations.Migration):\n");
    if index > 0 {
        let _ = write!(source, "    dependencies = [(\"shop\", \"{}\")]\n\n", migration_name(index - 1));
    }
    for line in &lines[body..] {
        if !line.is_empty() {
            source.push_str("    ");
            source.push_str(line);
        }
        source.push('\n');
    }
    source
}

/// The files of an example behind `before`: one migration of the app `shop`, or whole files after lines `# file: path`.
pub(crate) fn example_files(before: &[&Block], block: &Block) -> (Vec<SourceFile>, Vec<SourceFile>) {
    let mut given = vec![SourceFile::new("shop/__init__.py", ""), SourceFile::new("shop/migrations/__init__.py", "")];
    for (index, earlier) in before.iter().enumerate() {
        let path = format!("shop/migrations/{}.py", migration_name(index));
        given.push(SourceFile::new(path, migration_source(index, &earlier.text)));
    }
    if !block.text.starts_with(FILE) {
        let path = format!("shop/migrations/{}.py", migration_name(before.len()));
        return (given, vec![SourceFile::new(path, migration_source(before.len(), &block.text))]);
    }
    let mut files: Vec<(String, String)> = Vec::new();
    for (index, line) in block.text.lines().enumerate() {
        if let Some(path) = line.strip_prefix(FILE) {
            files.push((path.trim().to_owned(), String::new()));
        } else if let Some((_, text)) = files.last_mut() {
            text.push_str(stripped_line(&block.text, index).trim_end());
            text.push('\n');
        }
    }
    (given, files.into_iter().map(|(path, text)| SourceFile::new(path, text)).collect())
}

/// `postgres = "14.2"` in front of an example: the server it is for.
const POSTGRES: &str = "postgres = ";

/// The version that an example is for, else the newest.
pub(crate) fn postgres_of(block: &Block) -> PgVersion {
    let first = block.text.lines().next().unwrap_or("");
    first
        .strip_prefix(POSTGRES)
        .and_then(|version| version.trim().trim_matches('"').parse().ok())
        .unwrap_or(PgVersion::NEWEST)
}

/// `# table: shop_order rows=100000000 bytes=… hot=true` in front of an example: what is known of a table.
const TABLE: &str = "# table: ";

/// A line of an example whose migrations are one release.
const RELEASE: &str = "# release";

/// The configuration that an example is judged by: its own rule is on, and its tables are known.
pub(crate) fn config_of(rule: &'static str, block: &Block) -> Config {
    let mut config = Config::default();
    config.rules.0.insert(rule, Level::On);
    if block.text.lines().any(|line| line == RELEASE) {
        config.together = Some(BTreeSet::new());
    }
    for line in block.text.lines().filter_map(|line| line.strip_prefix(TABLE)) {
        let mut words = line.split_whitespace();
        let mut facts = TableFacts::default();
        let pattern = TablePattern::new(words.next().expect("a table's name"));
        for word in words {
            let (key, value) = word.split_once('=').expect("key=value");
            match key {
                "rows" => facts.rows = Some(value.parse().expect("a number")),
                "bytes" => facts.bytes = Some(value.parse().expect("a number")),
                "hot" => facts.hot = Some(value == "true"),
                "ignore" => {
                    let rules = RuleSet([(rule, Level::Off)].into());
                    assert_eq!(value, rule, "only the page's own rule");
                    config.table_rules.push((pattern.clone(), rules));
                }
                other => panic!("unknown fact `{other}`"),
            }
        }
        config.tables.push((pattern, facts));
    }
    config
}

const FILE: &str = "# file: ";

/// The findings about `files`, in a project of them and the `given` ones.
pub(crate) fn lint_files(
    given: &[SourceFile],
    files: &[SourceFile],
    postgres: PgVersion,
    config: &Config,
) -> Vec<Diagnostic> {
    let project = project_of(given, files);
    let trace = replay_project(&project, postgres);
    let paths: BTreeSet<String> = files.iter().map(|file| file.path().to_owned()).collect();
    let only: BTreeSet<_> = project
        .migrations
        .iter()
        .filter(|migration| paths.contains(migration.file.path()))
        .map(|migration| migration.key.clone())
        .collect();
    let together = config.together.as_ref().map(|_| only.clone());
    let named_tables = named_tables(files);
    let config = Config { only: Some(only), only_paths: Some(paths), together, named_tables, ..config.clone() };
    lint(&trace, &project.problems, &[], &config)
}

/// The keys of `[tables]` in the example's `zdm.toml`.
fn named_tables(files: &[SourceFile]) -> Vec<NamedTable> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.path() == "zdm.toml") {
        let mut start = 0;
        for line in file.text().split_inclusive('\n') {
            if let Some((key, _)) = line.split_once(" = {") {
                let end = start + key.len();
                found.push(NamedTable {
                    pattern: TablePattern::new(key),
                    file: file.clone(),
                    span: Span::from(start..end),
                });
            }
            start += line.len();
        }
    }
    found
}

/// What the fixes of a rule make of an example, applied one after the other as `--fix` does.
pub(crate) struct Fixed {
    pub(crate) files: Vec<SourceFile>,
    /// Of each fix, in order.
    pub(crate) applied: Vec<Applicability>,
    /// What the linter says in the end.
    pub(crate) findings: Vec<Diagnostic>,
}

pub(crate) fn fix(
    given: &[SourceFile],
    files: &[SourceFile],
    postgres: PgVersion,
    config: &Config,
    code: &str,
) -> Fixed {
    let mut files = files.to_vec();
    let mut applied = Vec::new();
    loop {
        let findings = lint_files(given, &files, postgres, config);
        let fix = findings.iter().filter(|finding| finding.code.code == code).find_map(|finding| finding.fix.as_ref());
        let Some(fix) = fix.filter(|_| applied.len() < 10) else { return Fixed { files, applied, findings } };
        applied.push(fix.applicability);
        for change in &fix.files {
            match change {
                FixFile::Change { file, edits } => {
                    let text = apply_edits(file.text(), edits).expect("edits fit the file");
                    let place = files.iter().position(|own| own.path() == file.path()).expect("a file of the example");
                    files[place] = SourceFile::new(file.path(), text);
                }
                FixFile::Create { path, text } => files.push(SourceFile::new(path.to_string(), text.clone())),
            }
        }
    }
}

/// The state in the end, a line for each model, field, index and constraint.
pub(crate) fn describe_state(trace: &Trace) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(last) = trace.migrations.last() else { return lines };
    let resolver = Resolver::new(&last.state_after, &trace.options.context);
    for model in last.state_after.models() {
        let Ok(resolved) = resolver.model(&model.key()) else { continue };
        for field in resolved.fields.iter().filter_map(|field| field.as_ref().ok()) {
            lines.push(format!(
                "{}.{} {:?} {:?} {} {} {} {:?}",
                model.name,
                field.field.name,
                field.column,
                field.db_type,
                field.null,
                field.unique,
                field.db_index,
                field.default()
            ));
        }
        for index in &model.options.indexes {
            lines.push(format!("{} index {:?} {:?}", model.name, index.name, index.fields));
        }
        for constraint in &model.options.constraints {
            lines.push(format!("{} constraint {}", model.name, constraint.name));
        }
    }
    lines.sort();
    lines
}

fn project_of(given: &[SourceFile], files: &[SourceFile]) -> Project {
    Project::build(&ProjectInput {
        sources: Sources::in_memory(given.iter().chain(files).cloned(), &[]),
        environment: Vec::new(),
        texts: Vec::new(),
        config: ProjectConfig { settings: settings(), ..ProjectConfig::default() },
    })
}

/// The replay of a project of `given` and `files`.
pub(crate) fn trace_files(given: &[SourceFile], files: &[SourceFile], postgres: PgVersion) -> Trace {
    replay_project(&project_of(given, files), postgres)
}

/// The examples are apps without a project; what a settings module would say.
fn settings() -> BTreeMap<String, Value> {
    BTreeMap::from([("DEFAULT_AUTO_FIELD".to_owned(), Value::str("django.db.models.BigAutoField"))])
}

/// Replays a project against the newest Django.
pub(crate) fn replay_project(project: &Project, postgres: PgVersion) -> Trace {
    let migrations: Vec<_> = project.in_order().cloned().map(Arc::new).collect();
    let incomplete = project.problems.iter().any(|problem| problem.kind == ProblemKind::ExternalAppAssumed);
    let options = Options { postgres, context: Context::new(DjangoVersion::NEWEST), incomplete };
    replay(&migrations, &options)
}
