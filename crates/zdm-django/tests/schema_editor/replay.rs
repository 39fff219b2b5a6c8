//! Our replay of a history in the order in which Django ran it, and its comparison with what Django did.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zdm_django::editor::PLACEHOLDER;
use zdm_django::field::FieldKind;
use zdm_django::project::sources::{Folder, Sources};
use zdm_django::state::ModelKey;
use zdm_django::{
    Context, Database, DjangoVersion, MigrationKey, NotAnalysed, Project, ProjectConfig, ProjectInput, ProjectState,
    Resolver, Sql, run_migration,
};
use zdm_postgres::catalog::Catalog;
use zdm_postgres::{PgVersion, Session};
use zdm_source::SourceFile;
use zdm_testkit::oracle::Operation;
use zdm_testkit::{Django, OracleReport, compare, oracle};

use super::catalog;
use super::compare::Score;

/// The Python files below a directory, by path relative to it.
pub(crate) fn files(root: &Path) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py" || extension == "sql")
                && let Ok(text) = fs::read_to_string(&path)
                && let Ok(relative) = path.strip_prefix(root)
            {
                files.push(SourceFile::new(relative.to_string_lossy().as_ref(), text));
            }
        }
    }
    files
}

/// The packages of an environment, read as they are asked for.
#[derive(Debug)]
struct Packages(PathBuf);

impl Folder for Packages {
    fn read(&self, path: &str) -> Option<SourceFile> {
        fs::read_to_string(self.0.join(path)).ok().map(|text| SourceFile::new(path, text))
    }

    fn modules_in(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.0.join(folder)) else { return Vec::new() };
        let names = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "py")).collect()
    }

    fn names_in(&self, folder: &str) -> Option<Vec<String>> {
        let entries = fs::read_dir(self.0.join(folder)).ok()?.filter_map(Result::ok);
        Some(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}

/// The folder of packages of an environment.
pub(crate) fn packages(django: &Django) -> Vec<Arc<dyn Folder>> {
    let lib = django.dir().join("lib");
    let Ok(entries) = fs::read_dir(&lib) else { return Vec::new() };
    let folders = entries.filter_map(Result::ok).map(|entry| entry.path().join("site-packages"));
    folders.filter(|path| path.is_dir()).map(|path| Arc::new(Packages(path)) as Arc<dyn Folder>).collect()
}

/// Sends statements to a session, and keeps them by operation.
struct Recorder {
    session: Session,
    statements: Vec<Sql>,
    refused: Vec<String>,
}

impl Database for Recorder {
    fn catalog(&self) -> &Catalog {
        self.session.catalog()
    }

    fn execute(&mut self, sql: Sql) {
        self.execute_text(&sql.text);
        self.statements.push(sql);
    }
}

impl Recorder {
    fn execute_text(&mut self, sql: &str) {
        for parsed in zdm_sql::parse(sql) {
            let outcome = self.session.execute(&parsed.statement);
            if let Some(error) = &outcome.error {
                self.refused.push(format!("{error:?}: {sql}"));
            }
        }
    }
}

/// What a project of one migration sends, in order; what was not analysed among it.
pub(crate) fn statements(project: &Project, key: &MigrationKey, context: &Context) -> Vec<String> {
    let mut recorder = Recorder {
        session: Session::new(Catalog::new(), PgVersion::major(17)),
        statements: Vec::new(),
        refused: Vec::new(),
    };
    let migration = project.migration(key).expect("the migration");
    if migration.needs_postgis() {
        for parsed in zdm_sql::parse("CREATE EXTENSION postgis; CREATE EXTENSION postgis_raster") {
            recorder.session.execute(&parsed.statement);
        }
    }
    let outcome = run_migration(migration, &ProjectState::new(), context, &mut recorder);
    let mut lines: Vec<String> = recorder.statements.iter().map(|sql| sql.text.to_string()).collect();
    lines.extend(outcome.not_analysed.into_iter().map(|reason| format!("not analysed: {}", reason.reason)));
    lines.extend(recorder.refused.into_iter().map(|refusal| format!("refused: {refusal}")));
    lines
}

/// A project of these files.
pub(crate) fn build(
    files: Vec<SourceFile>,
    environment: Vec<Arc<dyn Folder>>,
    settings: Option<&str>,
    version: DjangoVersion,
) -> Project {
    let config =
        ProjectConfig { settings_module: settings.map(str::to_owned), django: version, ..ProjectConfig::default() };
    Project::build(&ProjectInput { sources: Sources::in_memory(files, &[]), environment, texts: Vec::new(), config })
}

/// Replays what the report says was run, and compares each operation's statements and the state in the end.
pub(crate) fn compare(report: &OracleReport, project: &Project, context: &Context) -> Score {
    let mut score = Score { failures: report.failures(), ..Score::default() };
    let postgres: u32 = report.postgres.split('.').next().and_then(|major| major.parse().ok()).expect("a version");
    let version = PgVersion::major(u16::try_from(postgres).expect("a small number"));
    let mut recorder =
        Recorder { session: Session::new(Catalog::new(), version), statements: Vec::new(), refused: Vec::new() };
    let mut state = ProjectState::new();
    let mut doubts = catalog::Doubts::default();
    // An app that is not installed has no place in Django's plan, and one that was not found is told below.
    let theirs: Vec<MigrationKey> =
        report.migrations.iter().map(|executed| MigrationKey::new(&*executed.app, &*executed.name)).collect();
    let planned: BTreeSet<&MigrationKey> = theirs.iter().collect();
    let ours = project.in_order().map(|migration| &migration.key).filter(|key| planned.contains(key));
    if let Some((ours, theirs)) = ours.zip(&theirs).find(|(ours, theirs)| ours != theirs) {
        score.differences.push(format!("the order: Django runs {theirs} where we have {ours}"));
    }
    for executed in &report.migrations {
        if executed.skipped.is_some() {
            continue;
        }
        let key = MigrationKey::new(&*executed.app, &*executed.name);
        let Some(migration) = project.migration(&key) else {
            score.differences.push(format!("{key}: not found"));
            continue;
        };
        let before = recorder.session.clone();
        recorder.statements.clear();
        recorder.refused.clear();
        let outcome = run_migration(migration, &state, context, &mut recorder);
        let failed = executed.error.as_ref().map(|error| error.operation.unwrap_or(executed.operations.len()));
        let certain = score.not_analysed.is_empty() && outcome.not_analysed.is_empty();
        if failed.is_none() && certain {
            // Without a gap in the history nothing that Django sends is refused.
            score.differences.extend(recorder.refused.iter().map(|refusal| format!("{key}: refused: {refusal}")));
        }
        if let Some(error) = &executed.error {
            score.failed += 1;
            // What the server refuses is refused by the model, where the rows cannot decide it.
            if error.sqlstate.as_ref().is_some_and(|state| !state.starts_with("23"))
                && certain
                && recorder.refused.is_empty()
            {
                score.differences.push(format!("{key}: not refused: {}: {:?}", error.message, error.sql));
            }
        }
        // Behind operations of unknown number nobody knows which one is which.
        let open = migration.operations.iter().position(|operation| operation.name().is_empty());
        let place = |index: usize| open.filter(|open| *open < index).unwrap_or(index);
        for operation in &executed.operations {
            // The one that failed sent what the server refused, and nothing after it ran.
            if failed.is_some_and(|failed| operation.index >= failed) {
                break;
            }
            compare_operation(
                &key,
                operation,
                &recorder.statements,
                outcome.not_analysed.iter().filter(|part| part.operation == place(operation.index)),
                failed.is_some(),
                context.version,
                &mut score,
            );
        }
        if failed.is_some() {
            recorder.session = before;
            if !executed.atomic {
                // What it had sent stays.
                for sql in done_before(executed) {
                    recorder.execute_text(sql);
                }
            }
        } else {
            let after = Resolver::new(&outcome.state, context);
            for part in &outcome.not_analysed {
                let Some(operation) = migration.operations.get(part.operation) else { continue };
                let sent = executed.operations.iter().filter(|sent| place(sent.index) == part.operation);
                let resolvers = [&Resolver::new(&state, context), &after];
                doubts.enter(&key.app, operation, resolvers, sent, recorder.session.catalog_mut());
            }
            state = outcome.state;
        }
    }
    compare_state(report, &Resolver::new(&state, context), &doubts, &mut score);
    if !report.tables.is_empty() {
        catalog::tables(report, recorder.session.catalog(), &doubts, &mut score);
    }
    score
}

/// What a migration sent before the statement that the server refused.
fn done_before(executed: &oracle::Migration) -> Vec<&str> {
    let refused = executed.error.as_ref().and_then(|error| error.sql.as_ref());
    let of_operations = executed.operations.iter().flat_map(|operation| {
        operation.statements.iter().chain(&operation.deferred).chain(&operation.python_statements)
    });
    let mut sent: Vec<&oracle::Statement> = of_operations.chain(&executed.unattributed).collect();
    sent.sort_by_key(|statement| statement.order);
    if refused.is_some() {
        sent.pop();
    }
    sent.into_iter().map(|statement| statement.sql.as_str()).collect()
}

fn compare_operation<'n>(
    key: &MigrationKey,
    operation: &Operation,
    statements: &[Sql],
    not_analysed: impl Iterator<Item = &'n NotAnalysed>,
    failed: bool,
    version: DjangoVersion,
    score: &mut Score,
) {
    score.operations += 1;
    let reasons: Vec<&str> = not_analysed.map(|part| &*part.reason).collect();
    let name = format!("{key} operation {} ({})", operation.index, operation.operation);
    if !reasons.is_empty() {
        score.not_analysed.push(format!("{name}: {}", reasons.join("; ")));
        return;
    }
    score.analysed += 1;
    let predicted = |deferred: bool| -> Vec<String> {
        statements
            .iter()
            .filter(|sql| sql.operation == operation.index && sql.deferred == deferred)
            .map(|sql| sql.text.replace(PLACEHOLDER, compare::WILDCARD))
            .collect()
    };
    let executed = |statements: &[zdm_testkit::oracle::Statement]| -> Vec<String> {
        statements.iter().filter(|statement| statement.editor).map(|statement| statement.sql.clone()).collect()
    };
    let (immediate, deferred) = (executed(&operation.statements), executed(&operation.deferred));
    score.statements += immediate.len() + deferred.len();
    // Django goes through sets there; up to 3.2 relations come in the order in which the models were last rendered.
    let unordered = match &*operation.operation {
        "AlterUniqueTogether" | "AlterIndexTogether" | "RenameModel" => true,
        // Later they come by name; those without a way back share theirs, and stay in the order of the last rendering.
        "AlterField" => {
            let keys = |sql: &&String| sql.contains("DROP CONSTRAINT") && sql.contains("SET CONSTRAINTS");
            !version.at_least(4, 0) || immediate.iter().filter(keys).count() > 1
        }
        _ => false,
    };
    let (immediate, own) = (with_sorted_drops(immediate), with_sorted_drops(predicted(false)));
    let result = if unordered { compare::sets(&immediate, &own) } else { compare::lists(&immediate, &own) };
    let mut equal = true;
    if let Err(difference) = result {
        equal = false;
        score.differences.push(format!("{name}:\n{difference}"));
    }
    if !failed && let Err(difference) = compare::sets(&deferred, &predicted(true)) {
        equal = false;
        score.differences.push(format!("{name}, deferred:\n{difference}"));
    }
    if equal {
        score.equal += 1;
    }
}

/// Several indexes of one column are dropped in the order of the server's aggregation.
fn with_sorted_drops(mut statements: Vec<String>) -> Vec<String> {
    for run in statements.chunk_by_mut(|one, other| one.starts_with("DROP INDEX") && other.starts_with("DROP INDEX")) {
        if run.len() > 1 {
            run.sort();
        }
    }
    statements
}

/// Each model of the report against the state.
fn compare_state(report: &OracleReport, resolver: &Resolver<'_>, doubts: &catalog::Doubts, score: &mut Score) {
    for (label, expected) in &report.models {
        score.models += 1;
        let Some((app, name)) = label.split_once('.') else { continue };
        let found = match resolver.model(&ModelKey::new(app, name)) {
            Ok(found) => found,
            Err(reason) => {
                score.models_not_analysed.push(format!("{label}: {reason}"));
                continue;
            }
        };
        let mut differences = Vec::new();
        let mut check = |what: &str, expected: String, found: String| {
            if expected != found {
                differences.push(format!("{what}: Django has {expected}, we {found}"));
            }
        };
        check("table", expected.db_table.clone(), found.table.to_string());
        check("managed", expected.managed.to_string(), found.managed.to_string());
        check("proxy", expected.proxy.to_string(), found.proxy.to_string());
        let mut unknown = false;
        for field in &expected.fields {
            let own = found.fields.iter().find(|own| match own {
                Ok(own) => **own.name() == *field.name,
                Err((name, _)) => **name == *field.name,
            });
            match own {
                None => differences.push(format!("no field {}", field.name)),
                Some(Err((name, reason))) => {
                    unknown = true;
                    score.models_not_analysed.push(format!("{label}.{name}: {reason}"));
                }
                // A manager of tags and its like: only that it has no column is known of it, and matters.
                Some(Ok(own)) if matches!(own.field.class.kind, FieldKind::NoColumn) => {
                    if field.column.is_some() || field.db_type.is_some() {
                        differences.push(format!("{} has a column", field.name));
                    }
                }
                Some(Ok(own)) => {
                    let references = |table: &str, column: &str| format!("{table}({column})");
                    let expected = format!(
                        "{:?} {:?} {} {} {} {} {} {:?}",
                        field.column,
                        field.db_type,
                        field.null,
                        field.primary_key,
                        field.unique,
                        field.db_index,
                        field.has_db_default,
                        field.references.as_ref().map(|to| references(&to.table, &to.column))
                    );
                    let column = if own.is_many_to_many() { None } else { own.column.as_deref().map(str::to_owned) };
                    let found = format!(
                        "{:?} {:?} {} {} {} {} {} {:?}",
                        column,
                        own.db_type.as_deref().map(str::to_owned),
                        own.null,
                        own.primary_key,
                        own.unique,
                        own.db_index,
                        own.db_default().is_some(),
                        own.foreign_key().map(|to| references(&to.table, to.column.as_deref().unwrap_or_default()))
                    );
                    if expected != found {
                        differences.push(format!("{}: Django has {expected}, we {found}", field.name));
                    }
                }
            }
        }
        for own in found.fields.iter().flatten() {
            if !expected.fields.iter().any(|field| *field.name == **own.name()) {
                let virtual_field = own.column.is_none() && !own.is_many_to_many();
                if !virtual_field {
                    differences.push(format!("a field too many: {}", own.name()));
                }
            }
        }
        if doubts.models.contains(&ModelKey::new(app, name)) && !differences.is_empty() {
            score.models_not_analysed.push(format!("{label}: {}", differences.join("; ")));
            continue;
        }
        if differences.is_empty() && !unknown {
            score.models_equal += 1;
        } else if !differences.is_empty() {
            score.differences.push(format!("state of {label}: {}", differences.join("; ")));
        }
    }
}
