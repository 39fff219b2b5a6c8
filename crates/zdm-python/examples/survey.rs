//! How much of real migrations the evaluator knows, and what reading them costs.
//!
//! `cargo run --release -p zdm-python --example survey -- DIRECTORY…`: each directory is an import root, such as an
//! unpacked wheel. Prints per directory the migrations, how many of their operations are known entirely, the reasons
//! for the rest, and the times of a bare tree-sitter parse, of ours, and of the evaluation.
#![expect(clippy::print_stdout, reason = "a report for people")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use zdm_python::{Evaluator, Module, ModuleLoader, Origin, Str, Value, ValueKind, parse};
use zdm_source::{SourceFile, Span};

struct Files {
    paths: BTreeMap<String, PathBuf>,
    loaded: RefCell<BTreeMap<String, Module>>,
}

impl ModuleLoader for Files {
    fn load(&self, name: &str) -> Option<Module> {
        if let Some(module) = self.loaded.borrow().get(name) {
            return Some(module.clone());
        }
        let path = self.paths.get(name)?;
        let text = std::fs::read_to_string(path).ok()?;
        let module = parse(&SourceFile::new(path.to_string_lossy().into_owned(), text), name);
        self.loaded.borrow_mut().insert(name.to_owned(), module.clone());
        Some(module)
    }

    /// What a linter for PostgreSQL takes for granted.
    fn symbol(&self, name: &str) -> Option<ValueKind> {
        let origin = || self.loaded.borrow().values().next().map(|module| Origin::new(module, Span::default()));
        match name {
            "django.db.connection.vendor" => Some(ValueKind::Str(Str::made("postgresql", origin()?))),
            _ => None,
        }
    }
}

fn walk(root: &Path, directory: &Path, out: &mut BTreeMap<String, PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(root, &path, out);
        } else if path.extension().is_some_and(|extension| extension == "py")
            && let Ok(relative) = path.strip_prefix(root)
        {
            let name = relative.with_extension("").to_string_lossy().replace(['/', '\\'], ".");
            out.insert(name.trim_end_matches(".__init__").to_owned(), path);
        }
    }
}

#[derive(Default)]
struct Totals {
    files: usize,
    bytes: usize,
    migrations: usize,
    operations: usize,
    known: usize,
    /// Of the known ones.
    conditional: usize,
    /// Modules outside of migrations that the evaluation read.
    others: usize,
    other_bytes: usize,
    errors: usize,
    tree_sitter: Duration,
    ours: Duration,
    evaluation: Duration,
    reasons: BTreeMap<String, usize>,
}

/// How long this thread has been on a processor; Linux tells.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The shortest of several runs, which other work on the machine disturbs least.
fn best(mut run: impl FnMut()) -> Duration {
    let measure = |_| {
        let start = cpu_time();
        let wall = Instant::now();
        run();
        match (start, cpu_time()) {
            (Some(start), Some(end)) => end.saturating_sub(start),
            _ => wall.elapsed(),
        }
    };
    (0..7).map(measure).min().unwrap_or_default()
}

fn survey(root: &Path, verbose: bool, totals: &mut Totals) {
    let mut paths = BTreeMap::new();
    walk(root, root, &mut paths);
    let files = Files { paths, loaded: RefCell::default() };
    let names: Vec<&String> = files.paths.keys().filter(|name| name.contains("migrations.")).collect();
    let mut sources = Vec::new();
    for name in names {
        let Ok(text) = std::fs::read_to_string(&files.paths[name]) else { continue };
        totals.bytes += text.len();
        sources.push((name, SourceFile::new(files.paths[name].to_string_lossy().into_owned(), text)));
    }
    totals.files += sources.len();

    let mut parser = tree_sitter::Parser::new();
    if parser.set_language(&tree_sitter_python::LANGUAGE.into()).is_err() {
        return;
    }
    totals.tree_sitter += best(|| {
        for (_, source) in &sources {
            std::hint::black_box(parser.parse(source.text(), None));
        }
    });
    let mut modules: Vec<Module> = Vec::new();
    totals.ours += best(|| modules = sources.iter().map(|(name, source)| parse(source, name.as_str())).collect());

    for module in &modules {
        totals.errors += usize::from(!module.syntax_errors().is_empty());
        files.loaded.borrow_mut().insert(module.name().to_owned(), module.clone());
    }
    // The first round reads the other modules; the best time is that of the evaluation alone.
    let mut all: Vec<Value> = Vec::new();
    totals.evaluation += best(|| {
        let evaluator = Evaluator::new(&files);
        all.clear();
        totals.migrations = 0;
        for module in &modules {
            if let Some(class) = evaluator.class(module, "Migration") {
                totals.migrations += 1;
                all.extend(evaluator.class_attribute(&class, "operations"));
                evaluator.class_attribute(&class, "dependencies");
            }
        }
    });
    for (name, module) in files.loaded.borrow().iter() {
        if !name.contains("migrations.") {
            totals.others += 1;
            totals.other_bytes += module.file().text().len();
        }
    }

    for operations in &all {
        for operation in operations.flatten() {
            totals.operations += 1;
            let Some(unknown) = operation.value.first_unknown().filter(|_| !operation.spread) else {
                totals.known += usize::from(!operation.spread);
                totals.conditional += usize::from(operation.condition.is_some());
                continue;
            };
            let reason = match &unknown.kind {
                ValueKind::Unknown(why) => why.to_string(),
                ValueKind::Call(call) => format!("call of {}", call.callee),
                ValueKind::Template(_) => "template".to_owned(),
                _ => "other".to_owned(),
            };
            if verbose {
                let place = unknown.file().line_column(unknown.span().start);
                println!("{}:{}: {reason}: {unknown}", unknown.file().path(), place.line);
            }
            *totals.reasons.entry(reason).or_default() += 1;
        }
    }
}

fn main() {
    let verbose = std::env::var_os("VERBOSE").is_some();
    println!(
        "| directory | files | kB | with errors | migrations | operations | known | of these conditional | tree-sitter | parse | evaluate | other modules read |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for argument in std::env::args().skip(1) {
        let mut totals = Totals::default();
        survey(Path::new(&argument), verbose, &mut totals);
        println!(
            "| {argument} | {} | {} | {} | {} | {} | {} | {} | {:.1?} | {:.1?} | {:.1?} | {} ({} kB) |",
            totals.files,
            totals.bytes / 1000,
            totals.errors,
            totals.migrations,
            totals.operations,
            totals.known,
            totals.conditional,
            totals.tree_sitter,
            totals.ours,
            totals.evaluation,
            totals.others,
            totals.other_bytes / 1000,
        );
        for (reason, count) in &totals.reasons {
            println!("    {count} {reason}");
        }
    }
}
