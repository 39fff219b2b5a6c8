//! `cargo xtask new-rule` and `cargo xtask rules`: a rule's two files and its line, and the page that lists them all.

use std::fs;
use std::path::Path;
use std::process::Command;

use zdm_testkit::cache;

/// Writes the page, the function and the registry's line of a rule, all of them to be filled in.
pub(crate) fn new_rule(code: &str, name: &str) -> Result<(), String> {
    let digits = code.strip_prefix("ZDM").unwrap_or_default();
    if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{code}` is not of the form ZDM123"));
    }
    let plain = !name.is_empty()
        && name.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        });
    if !plain || !name.starts_with(|character: char| character.is_ascii_lowercase()) {
        return Err(format!("`{name}` is not of the form words-with-hyphens"));
    }
    let root = cache::workspace();
    let page = root.join(format!("rules/{code}-{name}.md"));
    let module = name.replace('-', "_");
    let function = root.join(format!("crates/zdm-linter/src/rules/{module}.rs"));
    let taken = fs::read_dir(root.join("rules")).map_err(|error| error.to_string())?.flatten().any(|entry| {
        let file = entry.file_name();
        let file = file.to_string_lossy();
        file.starts_with(&format!("{code}-"))
            || file.ends_with(&format!("-{name}.md")) && file.len() == code.len() + name.len() + 4
    });
    if taken || function.exists() {
        return Err(format!("`{code}` or `{name}` is taken"));
    }
    add_line(
        &root.join("crates/zdm-linter/src/registry.rs"),
        &format!("    \"{code}-{name}\" => rules::{module}::check,"),
        |line| line.trim().strip_prefix("\"ZDM").and_then(|rest| rest.get(..3)).is_some_and(|other| other < digits),
    )?;
    add_line(&root.join("crates/zdm-linter/src/rules.rs"), &format!("pub mod {module};"), |line| {
        line.strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(';'))
            .is_some_and(|other| other < module.as_str())
    })?;
    write(&page, &PAGE.replace("CODE", code).replace("NAME", name))?;
    write(&function, &FUNCTION.replace("CODE", code))?;
    println!("written: {}\nwritten: {}", page.display(), function.display());
    println!("fill in both, then `cargo test -p zdm-linter` and `cargo xtask rules`");
    Ok(())
}

/// Writes `rules/README.md`, the reports on the rules' pages, and the tables of `docs/comparison.md`.
pub(crate) fn readme() -> Result<(), String> {
    let made = [
        ("rules/README.md", &["readme"][..]),
        ("the reports on the pages", &["pages", "every_page_shows_its_report"]),
        ("docs/comparison.md", &["pages", "comparison"]),
        ("its list of their own tests", &["pages", "their_own_tests"]),
    ];
    for (page, test) in made {
        let status = Command::new(env!("CARGO"))
            .args(["test", "--quiet", "--package", "zdm-linter", "--test"])
            .args(test)
            .env("ZDM_UPDATE", "1")
            .current_dir(cache::workspace())
            .status()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        if !status.success() {
            return Err(format!("{page} could not be made"));
        }
    }
    Ok(())
}

/// Puts a line behind the last one that `before` is true of.
fn add_line(path: &Path, line: &str, before: impl Fn(&str) -> bool) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut lines: Vec<&str> = text.lines().collect();
    let Some(place) = lines.iter().rposition(|other| before(other)) else {
        return Err(format!("{} has no place for `{}`", path.display(), line.trim()));
    };
    lines.insert(place + 1, line);
    write(path, &(lines.join("\n") + "\n"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The test fails until every `TODO` is gone.
const PAGE: &str = "\
---
code: CODE
name: NAME
summary: TODO what happens, in one line
severity: warning
fix: none
---
# NAME

TODO what happens, in one line.

## What happens

TODO condition, effect, whom it hurts and for how long.

## Instead

TODO what to write.

There is no fix: TODO why, or this line goes.

The examples stand behind this migration of the app `shop`:

```python given
operations = [
    migrations.CreateModel(\"Order\", [(\"id\", models.BigAutoField(primary_key=True))]),
]
```

## Bad

```python
operations = [
    migrations.RunSQL(\"SELECT 1\", migrations.RunSQL.noop),  # error: CODE
]
```

## Good

```python
operations = []
```

## When it stays silent

```python
operations = []
```
";

const FUNCTION: &str = "\
//! CODE: TODO.

use zdm_source::Diagnostic;

use crate::context::Cx;

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        let _ = (step, &mut *out);
    }
}
";
