//! Public projects: how much of their migrations is analysed, and that the share only rises.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use zdm_django::field::FieldKind;
use zdm_django::migration::MigrationOrigin;
use zdm_django::operation::{ConstraintKind, Operation, OperationKind, SqlSource};
use zdm_django::project::sources::Sources;
use zdm_django::{Migration, Project, ProjectConfig, ProjectInput};
use zdm_source::SourceFile;

/// Migrations of django CMS that decide in their `apply` by the columns that they find in the database.
const BY_COLUMNS: [&str; 2] = ["cms/migrations/0019_set_pagenode.py", "cms/migrations/0020_old_tree_cleanup.py"];

/// All Python files below a folder, by their path in it.
fn read(root: &Path) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py" || extension == "sql")
                && let Ok(text) = std::fs::read_to_string(&path)
                && let Ok(relative) = path.strip_prefix(root)
            {
                files.push(SourceFile::new(relative.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    files
}

struct Built {
    project: Project,
    parse: Duration,
    build: Duration,
}

/// The project, with the times for parsing what is likely needed and for everything after that.
fn build(root: &Path, config: ProjectConfig) -> Built {
    let sources = Sources::in_memory(read(root), &[]);
    let start = Instant::now();
    for path in sources.likely() {
        let _ = sources.module(&path);
    }
    let parse = start.elapsed();
    let input = ProjectInput { sources, environment: Vec::new(), texts: Vec::new(), config };
    let start = Instant::now();
    let project = Project::build(&input);
    Built { project, parse, build: start.elapsed() }
}

/// Counts of operations: all, those that are analysed, and where and why the others are not.
#[derive(Default)]
struct Count {
    all: usize,
    analysed: usize,
    missing: Vec<String>,
}

impl Count {
    fn add(&mut self, migration: &Migration, operation: &Operation) {
        self.all += 1;
        match unknown(operation) {
            None => self.analysed += 1,
            Some(reason) => {
                let place = migration.file.line_column(operation.span.start);
                let path = migration.file.path();
                self.missing.push(format!("{path}:{}: {}: {reason}", place.line, operation.name()));
            }
        }
        if let OperationKind::SeparateDatabaseAndState { database_operations, state_operations } = &operation.kind {
            for inner in database_operations.iter().chain(state_operations) {
                self.add(migration, inner);
            }
        }
    }
}

/// Why an operation is not analysed, without what stands inside of it.
fn unknown(operation: &Operation) -> Option<String> {
    let field = |field: &zdm_django::Field| match &field.class.kind {
        FieldKind::Unknown { reason } => Some(format!("{}: {reason}", field.name)),
        _ => None,
    };
    match &operation.kind {
        OperationKind::Unknown { reason, .. } => Some(reason.to_string()),
        OperationKind::AddField { field: added, .. } | OperationKind::AlterField { field: added, .. } => field(added),
        OperationKind::CreateModel { fields, options, .. } => fields
            .iter()
            .find_map(field)
            .or_else(|| options.indexes.iter().find_map(|index| index.unknown.as_ref().map(ToString::to_string))),
        OperationKind::AddIndex { index, .. } => index.unknown.as_ref().map(ToString::to_string),
        OperationKind::AddConstraint { constraint, .. } => match &constraint.kind {
            ConstraintKind::Unknown { reason, .. } => Some(reason.to_string()),
            _ => None,
        },
        OperationKind::RunSql(sql) => match &sql.sql {
            SqlSource::Unknown { reason } => Some(reason.to_string()),
            SqlSource::Texts(_) => None,
        },
        OperationKind::AlterUniqueTogether { unique_together: value, .. }
        | OperationKind::AlterIndexTogether { index_together: value, .. } => {
            value.has_unknown().then(|| format!("{value:?}"))
        }
        _ => None,
    }
}

fn own(project: &Project) -> impl Iterator<Item = &Migration> {
    project.migrations.iter().filter(|migration| migration.origin == MigrationOrigin::Project)
}

#[test]
fn nearly_every_operation_of_public_projects_is_analysed() {
    let projects = zdm_testkit::projects();
    if projects.is_empty() {
        zdm_testkit::skip::record("real projects", "none is provisioned; run `cargo xtask setup`");
        return;
    }
    let mut table =
        String::from("project                 migrations operations   analysed    share   parse ms   build ms\n");
    let mut total = Count::default();
    let mut by_columns: Vec<String> = Vec::new();
    let mut of_cms = false;
    for found in projects {
        let built = build(found.root(), ProjectConfig::default());
        let mut count = Count::default();
        let mut migrations = 0;
        for migration in own(&built.project) {
            migrations += 1;
            if migration.applies_where.is_some() {
                by_columns.push(migration.file.path().to_owned());
            }
            for operation in &migration.operations {
                count.add(migration, operation);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of operations are small")]
        let share = 100.0 * count.analysed as f64 / count.all.max(1) as f64;
        let _ = writeln!(
            table,
            "{:<23} {migrations:>10} {:>10} {:>10} {share:>7.2}% {:>10} {:>10}",
            found.name(),
            count.all,
            count.analysed,
            built.parse.as_millis(),
            built.build.as_millis()
        );
        for line in &count.missing {
            let _ = writeln!(table, "    {line}");
        }
        for problem in &built.project.problems {
            let place = problem.place.as_ref().map_or("", |(file, _)| file.path());
            let _ = writeln!(table, "    [{}] {place}: {}", problem.kind.as_str(), problem.message);
        }
        of_cms |= found.name() == "django-cms";
        total.all += count.all;
        total.analysed += count.analysed;
    }
    show(&table);
    // What these ask is answered from the catalog when the history is replayed.
    let expected: &[&str] = if of_cms { &BY_COLUMNS } else { &[] };
    assert_eq!(by_columns, expected);
    // Without settings and environment. Most of the rest stands under conditions that environment variables decide.
    let all = total.all;
    assert!(total.analysed * 10_000 >= all * 9_960, "{} of {all} operations are analysed", total.analysed);
}

/// Tests print through the harness, which shows it for `--nocapture` and for failures.
fn show(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}
