//! How a random history is written as files: the same migrations, in the ways in which people and tools write them.
//!
//! Folders that are not called as their app, modules moved by `MIGRATION_MODULES`, settings that name models, squashes,
//! `run_before`, `__first__`; operations as one list, as several, as a constant of the module, from a function, with names
//! that are put together. The way is drawn from the seed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use zdm_testkit::Random;

use super::cases::HEAD;
use super::wild::{History, Migration};

/// The settings module of the histories that are written to one folder.
pub(crate) const SETTINGS: &str = "wild_settings";

/// How many different shapes a migration's list of operations has.
const SHAPES: usize = 8;

struct File {
    app: usize,
    name: String,
    atomic: bool,
    operations: Vec<String>,
    dependencies: Vec<String>,
    run_before: Vec<String>,
    replaces: Vec<String>,
}

/// Writes histories below `root` with a settings module for all of them.
pub(crate) fn write(histories: &[History], root: &Path) {
    let mut installed = vec!["django.contrib.postgres".to_owned()];
    let mut modules = String::new();
    let mut settings = String::new();
    for history in histories {
        let mut random = Random::new(history.seed ^ 0x5eed);
        for (setting, label) in &history.settings {
            let _ = writeln!(settings, "{setting} = '{label}'");
        }
        let folders: Vec<String> = history
            .apps
            .iter()
            .map(|app| {
                let moved = random.chance(12);
                let renamed = random.chance(20);
                let package = if renamed { format!("folder_{app}") } else { app.clone() };
                write_file(&root.join(&package), "__init__.py", "");
                if renamed {
                    let config = format!(
                        "from django.apps import AppConfig\n\n\nclass Config(AppConfig):\n    name = '{package}'\n    label = '{app}'\n"
                    );
                    write_file(&root.join(&package), "apps.py", &config);
                }
                installed.push(if renamed && random.chance(50) {
                    format!("{package}.apps.Config")
                } else {
                    package.clone()
                });
                let migrations = if moved { "history" } else { "migrations" };
                if moved {
                    let _ = write!(modules, "'{app}': '{package}.{migrations}', ");
                }
                format!("{package}/{migrations}")
            })
            .collect();
        for folder in &folders {
            write_file(&root.join(folder), "__init__.py", "");
        }
        for file in files(history, &mut random) {
            let text = text_of(&file, history, &mut random);
            write_file(&root.join(&folders[file.app]), &format!("{}.py", file.name), &text);
        }
    }
    // One for all: it decides the ids of models without a key, and of many-to-many tables.
    let auto =
        if histories.iter().map(|history| history.seed).sum::<u64>() % 3 == 0 { "BigAutoField" } else { "AutoField" };
    let _ = write!(
        settings,
        "DEFAULT_AUTO_FIELD = 'django.db.models.{auto}'\nUSE_TZ = True\nSECRET_KEY = 'x'\n\
         DATABASES = {{'default': {{'ENGINE': 'django.db.backends.postgresql'}}}}\n\
         MIGRATION_MODULES = {{{modules}}}\nINSTALLED_APPS = [\n    '{}',\n]\n",
        installed.join("',\n    '")
    );
    write_file(root, &format!("{SETTINGS}.py"), &settings);
}

fn write_file(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder).expect("a new folder");
    fs::write(folder.join(name), text).expect("a new file");
}

/// The files in the order of execution; each stands behind the one before, whichever its app.
fn files(history: &History, random: &mut Random) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    let mut last: [Option<String>; 2] = [None, None];
    let mut first: BTreeMap<usize, String> = BTreeMap::new();
    let mut previous: Option<(usize, String)> = None;
    for (number, Migration { app, atomic, operations }) in history.migrations.iter().enumerate() {
        let name = format!("{number:04}_step");
        let key = |app: usize, name: &str| format!("('{}', '{name}')", history.apps[app]);
        let mut file = File {
            app: *app,
            name: name.clone(),
            atomic: *atomic,
            operations: operations.clone(),
            dependencies: last[*app].iter().map(|name| key(*app, name)).collect(),
            run_before: Vec::new(),
            replaces: Vec::new(),
        };
        if let Some((other, before)) = previous.as_ref().filter(|(other, _)| other != app) {
            if first.get(other) == Some(before) && random.chance(30) {
                file.dependencies.push(key(*other, "__first__"));
            } else if random.chance(20) {
                files.last_mut().expect("the one before").run_before.push(key(*app, &name));
            } else {
                file.dependencies.push(key(*other, before));
            }
        }
        if random.chance(30) {
            file.dependencies.reverse();
        }
        first.entry(*app).or_insert_with(|| name.clone());
        last[*app] = Some(name.clone());
        previous = Some((*app, name));
        files.push(file);
    }
    let squashes = squashes(&files, history, random);
    files.extend(squashes);
    files
}

/// Squashes of migrations of one app that stand right behind each other.
fn squashes(files: &[File], history: &History, random: &mut Random) -> Vec<File> {
    let mut squashes = Vec::new();
    for run in files.chunk_by(|one, other| one.app == other.app && one.atomic && other.atomic) {
        if run.len() < 2 || !random.chance(25) {
            continue;
        }
        let keys: Vec<String> =
            run.iter().map(|file| format!("('{}', '{}')", history.apps[file.app], file.name)).collect();
        let outside = |list: fn(&File) -> &Vec<String>| -> Vec<String> {
            run.iter().flat_map(list).filter(|key| !keys.contains(key)).cloned().collect()
        };
        let (first, last) = (&run[0], &run[run.len() - 1]);
        squashes.push(File {
            app: first.app,
            name: format!("{}_squashed_{}", first.name, last.name),
            atomic: true,
            operations: run.iter().flat_map(|file| file.operations.clone()).collect(),
            dependencies: outside(|file| &file.dependencies),
            run_before: outside(|file| &file.run_before),
            replaces: keys.clone(),
        });
    }
    squashes
}

fn text_of(file: &File, history: &History, random: &mut Random) -> String {
    let mut dependencies = file.dependencies.clone();
    let mut operations = file.operations.clone();
    for (setting, label) in &history.settings {
        let mut used = false;
        for operation in &mut operations {
            for class in ["ForeignKey", "OneToOneField", "ManyToManyField"] {
                let written = format!("models.{class}('{label}'");
                if operation.contains(&written) && random.chance(60) {
                    *operation = operation.replace(&written, &format!("models.{class}(settings.{setting}"));
                    used = true;
                }
            }
        }
        if used && random.chance(60) {
            dependencies.push(format!("migrations.swappable_dependency(settings.{setting})"));
        }
    }
    let mut head = String::from("from django.conf import settings\nfrom django.db import connection\n");
    head.push_str(HEAD);
    for operation in &mut operations {
        if random.chance(25) {
            *operation = by_keyword(operation);
        }
        if random.chance(15) {
            *operation = put_together(operation, &mut head, random);
        }
    }
    let list = format!("[\n        {},\n    ]", operations.join(",\n        "));
    let body = match random.below(SHAPES * 2) {
        0 if operations.len() > 1 => {
            let (one, other) = operations.split_at(1);
            format!("    operations = [{}] + [{}]\n", one.join(", "), other.join(", "))
        }
        1 => {
            let _ = write!(head, "STEPS = {list}\n\n\n");
            "    operations = [*STEPS]\n".to_owned()
        }
        2 => {
            let mut text = "    operations = []\n".to_owned();
            for operation in &operations {
                let _ = writeln!(text, "    operations.append({operation})");
            }
            text
        }
        3 => format!("    operations = []\n    if connection.vendor == 'postgresql':\n        operations += {list}\n"),
        4 => {
            let _ = write!(head, "def steps(*more):\n    return {list} + list(more)\n\n\n");
            "    operations = steps()\n".to_owned()
        }
        5 => format!("    first = {list}\n    operations = first[:1]\n    operations.extend(first[1:])\n"),
        6 => format!("    operations: list = tuple({list})\n"),
        7 => {
            let _ = write!(head, "class Base(migrations.Migration):\n    operations = {list}\n\n\n");
            String::new()
        }
        _ => format!("    operations = {list}\n"),
    };
    let base = if head.contains("class Base(") { "Base" } else { "migrations.Migration" };
    let mut text = format!("{head}class Migration({base}):\n");
    if !file.atomic {
        text.push_str("    atomic = False\n");
    }
    for (attribute, keys) in [("replaces", &file.replaces), ("run_before", &file.run_before)] {
        if !keys.is_empty() {
            let _ = writeln!(text, "    {attribute} = [{}]", keys.join(", "));
        }
    }
    let _ = write!(text, "    dependencies = [{}]\n{body}", dependencies.join(", "));
    text
}

/// Operations of two names and a field by keyword.
fn by_keyword(operation: &str) -> String {
    for class in ["AddField", "AlterField"] {
        let parts = operation.strip_prefix(&format!("migrations.{class}(")).and_then(|rest| {
            let (model, rest) = rest.split_once(", ")?;
            let (name, rest) = rest.split_once(", ")?;
            Some((model, name, rest))
        });
        if let Some((model, name, rest)) = parts {
            return format!("migrations.{class}(name={name}, model_name={model}.lower(), field={rest}");
        }
    }
    operation.to_owned()
}

/// The first name of an operation as an f-string, a sum, a format or a constant of the module.
fn put_together(operation: &str, head: &mut String, random: &mut Random) -> String {
    let Some((start, rest)) = operation.split_once("('") else { return operation.to_owned() };
    let Some((name, rest)) = rest.split_once('\'') else { return operation.to_owned() };
    if !operation.starts_with("migrations.") || start.contains('(') || !name.chars().all(char::is_alphanumeric) {
        return operation.to_owned();
    }
    let (one, other) = name.split_at(name.len() / 2);
    let text = match random.below(5) {
        0 => format!("f'{one}{{\"{other}\"}}'"),
        1 => format!("'{one}' + '{other}'"),
        2 => format!("'{one}%s' % '{other}'"),
        3 => format!("'{{}}{{end}}'.format('{one}', end='{other}')"),
        _ => {
            let constant = format!("NAME_{}", name.to_uppercase());
            if !head.contains(&format!("{constant} =")) {
                let _ = write!(head, "{constant} = ''.join(['{one}', '{other}'])\n\n\n");
            }
            constant
        }
    };
    format!("{start}({text}{rest}")
}
