//! The fixes, over the pages' fixable examples written in other ways: a fix must hold however the file looks.
//!
//! Each form changes the text of the migration and not what it says, so what the fix makes of it must have no finding
//! left, the same state as before, and everything that nobody asked it to change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::common::{self, Block, read_page};
use zdm_linter::RULES;
use zdm_source::SourceFile;

/// A way to write the same migration; None where it cannot be written so.
type Form = fn(&str) -> Option<String>;

/// By name: each stands as a column in what the test prints.
const FORMS: &[(&str, Form)] = &[
    ("aliases", aliases),
    ("by-name", by_name),
    ("few-imports", few_imports),
    ("sum", sum),
    ("starred", starred),
    ("elsewhere", elsewhere),
    ("tuple", tuple),
    ("annotated", annotated),
    ("crlf", crlf),
    ("tabs", tabs),
    ("two-spaces", two_spaces),
    ("not-ascii", not_ascii),
    ("comments", comments),
    ("comments-behind", comments_behind),
    ("attributes", attributes),
    ("other-class", other_class),
    ("atomic-true", atomic_true),
    ("dependencies", dependencies),
    ("empty-dependencies", empty_dependencies),
    ("one-line", one_line),
    ("many-lines", many_lines),
    ("no-commas", no_commas),
    ("all-commas", all_commas),
    ("byte-order-mark", byte_order_mark),
    ("no-end-of-line", no_end_of_line),
    ("docstring", docstring),
    ("long-text", long_text),
    ("atomic-false", atomic_false),
];

/// What a character of a Python file belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Text,
    Comment,
}

/// The part of each byte.
fn parts(source: &str) -> Vec<Part> {
    let bytes = source.as_bytes();
    let mut parts = vec![Part::Code; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'#' => {
                while at < bytes.len() && bytes[at] != b'\n' {
                    parts[at] = Part::Comment;
                    at += 1;
                }
            }
            quote @ (b'"' | b'\'') => {
                let long = bytes[at..].starts_with(&[quote; 3]);
                let width = if long { 3 } else { 1 };
                let mut end = at + width;
                while end < bytes.len() {
                    if bytes[end] == b'\\' {
                        end += 2;
                    } else if bytes[end] == quote && (!long || bytes[end..].starts_with(&[quote; 3])) {
                        end += width;
                        break;
                    } else {
                        end += 1;
                    }
                }
                let end = end.min(bytes.len());
                parts[at..end].fill(Part::Text);
                at = end;
            }
            _ => at += 1,
        }
    }
    parts
}

/// Between the brackets of `operations = [ … ]`.
fn operations(source: &str) -> Option<(usize, usize)> {
    const HEAD: &str = "\n    operations = [";
    let start = source.find(HEAD)? + HEAD.len();
    let (parts, mut depth) = (parts(source), 1);
    for (at, character) in source.char_indices().skip_while(|(at, _)| *at < start) {
        match character {
            _ if parts[at] != Part::Code => {}
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((start, at));
        }
    }
    None
}

/// The commas between the operations.
fn commas(source: &str) -> Option<Vec<usize>> {
    let ((start, end), parts, mut depth) = (operations(source)?, parts(source), 0);
    let mut found = Vec::new();
    for (at, part) in parts.iter().enumerate().take(end).skip(start) {
        match source.as_bytes()[at] {
            _ if *part != Part::Code => {}
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth -= 1,
            b',' if depth == 0 => found.push(at),
            _ => {}
        }
    }
    Some(found)
}

fn replaced(source: &str, old: &str, new: &str) -> Option<String> {
    source.contains(old).then(|| source.replace(old, new))
}

fn has_long_text(source: &str) -> bool {
    let parts = parts(source);
    source.char_indices().any(|(at, character)| character == '\n' && parts[at] == Part::Text)
}

const DJANGO: &str = "from django.db import migrations, models\n";
const CLASS: &str = "class Migration(migrations.Migration):\n";

fn aliases(source: &str) -> Option<String> {
    let imported = replaced(source, DJANGO, "from django.db import migrations as m, models as mm\n")?;
    let parts = parts(&imported);
    let (mut result, mut at) = (String::new(), 0);
    while at < imported.len() {
        let rest = &imported[at..];
        let begins = !imported[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
        let found = [("migrations.", "m."), ("models.", "mm.")].into_iter().find(|(old, _)| rest.starts_with(old));
        if let Some((old, new)) = found.filter(|_| begins && parts[at] == Part::Code) {
            result.push_str(new);
            at += old.len();
        } else {
            let character = rest.chars().next()?;
            result.push(character);
            at += character.len_utf8();
        }
    }
    Some(result)
}

fn by_name(source: &str) -> Option<String> {
    let mut names = Vec::new();
    let mut result = String::new();
    for (index, piece) in source.split("migrations.").enumerate() {
        if index > 0 {
            let name: String = piece.chars().take_while(|c| c.is_alphanumeric()).collect();
            let class = name.starts_with(char::is_uppercase) && name != "Migration";
            if class {
                names.push(name);
            } else {
                result.push_str("migrations.");
            }
        }
        result.push_str(piece);
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    Some(result.replace(DJANGO, &format!("{DJANGO}from django.db.migrations import {}\n", names.join(", "))))
}

/// Nothing is imported from django.contrib.postgres that is not used.
fn few_imports(source: &str) -> Option<String> {
    let (head, rest) = source.split_once("from django.contrib.postgres.operations import (\n")?;
    let (names, rest) = rest.split_once(")\n")?;
    let used: Vec<&str> =
        names.split(',').map(str::trim).filter(|name| !name.is_empty() && rest.contains(&format!("{name}("))).collect();
    let line = match used.as_slice() {
        [] => String::new(),
        names => format!("from django.contrib.postgres.operations import {}\n", names.join(", ")),
    };
    Some(format!("{head}{line}{rest}"))
}

/// `operations = [a] + [b]`.
fn sum(source: &str) -> Option<String> {
    let (mut result, commas) = (source.to_owned(), commas(source)?);
    let (_, end) = operations(source)?;
    for at in commas.iter().rev().filter(|at| !source[**at + 1..end].trim().is_empty()) {
        result.replace_range(*at..=*at, "\n    ] + [");
    }
    Some(result.replace("\n    operations = [", "\n    operations = [] + ["))
}

/// `operations = [*EARLIER, a]`.
fn starred(source: &str) -> Option<String> {
    operations(source)?;
    let result = source.replace("\n    operations = [", "\n    operations = [\n        *EARLIER,");
    replaced(&result, CLASS, &format!("EARLIER = []\n\n\n{CLASS}"))
}

/// `OPERATIONS = […]` in the module, `operations = OPERATIONS` in the class.
fn elsewhere(source: &str) -> Option<String> {
    let (start, end) = operations(source)?;
    let list = format!("OPERATIONS = [{}]\n\n\n", &source[start..end]);
    let result = format!("{}OPERATIONS{}", &source[..start - 1], &source[end + 1..]);
    replaced(&result, CLASS, &format!("{list}{CLASS}"))
}

fn tuple(source: &str) -> Option<String> {
    let (start, end) = operations(source)?;
    let (last, inner) = (commas(source)?.last().copied(), &source[start..end]);
    if last.is_none_or(|last| !source[last + 1..end].trim().is_empty()) {
        return None;
    }
    Some(format!("{}({inner}){}", &source[..start - 1], &source[end + 1..]))
}

fn annotated(source: &str) -> Option<String> {
    replaced(source, "\n    operations = [", "\n    operations: \"list\" = [")
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the forms")]
fn crlf(source: &str) -> Option<String> {
    Some(source.replace('\n', "\r\n"))
}

fn indented(source: &str, unit: &str) -> String {
    let (parts, mut result, mut offset) = (parts(source), String::new(), 0);
    for line in source.split_inclusive('\n') {
        let code = line.trim_start_matches(' ');
        let depth = line.len() - code.len();
        let text = parts.get(offset).is_some_and(|part| *part == Part::Text);
        result.push_str(&if text { " ".repeat(depth) } else { unit.repeat(depth / 4) + &" ".repeat(depth % 4) });
        result.push_str(code);
        offset += line.len();
    }
    result
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the forms")]
fn tabs(source: &str) -> Option<String> {
    Some(indented(source, "\t"))
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the forms")]
fn two_spaces(source: &str) -> Option<String> {
    Some(indented(source, "  "))
}

fn not_ascii(source: &str) -> Option<String> {
    let result = comments_of(source, "# größer — 漢字 🦀", false)?;
    Some(format!("# Überschrift: 表 🦀\n{result}"))
}

fn comments(source: &str) -> Option<String> {
    comments_of(source, "# kept: [(]), operations = [", false)
}

fn comments_behind(source: &str) -> Option<String> {
    comments_of(source, "# kept", true)
}

/// A comment in front of each line of the operations, or behind it.
fn comments_of(source: &str, comment: &str, behind: bool) -> Option<String> {
    let ((start, end), parts) = (operations(source)?, parts(source));
    let (mut result, mut offset) = (String::new(), 0);
    for (index, line) in source.split_inclusive('\n').enumerate() {
        let inside = (start + 1..=end).contains(&offset) && parts[offset] != Part::Text;
        let last = offset + line.len() - 1;
        offset += line.len();
        let open = parts.get(last).is_some_and(|part| *part == Part::Text);
        if inside && behind && !open && !line.contains('#') && !line.trim().is_empty() {
            let _ = writeln!(result, "{}  {comment} {index}", line.trim_end());
            continue;
        }
        if inside && !behind {
            let indent = &line[..line.len() - line.trim_start().len()];
            let _ = writeln!(result, "{}{comment} {index}", indent.trim_end_matches('\n'));
        }
        result.push_str(line);
    }
    Some(result)
}

fn attributes(source: &str) -> Option<String> {
    let more = "    initial = False\n    run_before = []\n    replaces = []\n    note = \"atomic = False, operations = []\"\n\n    def describe(self):\n        atomic = 1\n        return atomic\n\n";
    replaced(source, CLASS, &format!("{CLASS}{more}"))
}

fn other_class(source: &str) -> Option<String> {
    let other = "class Other:\n    atomic = True\n    operations = []\n    dependencies = []\n\n\n";
    replaced(source, CLASS, &format!("{other}{CLASS}"))
}

fn atomic_true(source: &str) -> Option<String> {
    if source.contains("atomic") {
        return None;
    }
    replaced(source, CLASS, &format!("{CLASS}    atomic   =  True  # as it was\n"))
}

fn dependencies(source: &str) -> Option<String> {
    let (head, rest) = source.split_once("    dependencies = [(\"shop\", \"")?;
    let (name, rest) = rest.split_once("\")]\n")?;
    Some(format!(
        "{head}    dependencies = (\n        ('shop',\n         \"{name}\"),  # the one before\n    )\n{rest}"
    ))
}

fn empty_dependencies(source: &str) -> Option<String> {
    if source.contains("dependencies") {
        return None;
    }
    replaced(source, CLASS, &format!("{CLASS}    dependencies = []\n\n"))
}

fn one_line(source: &str) -> Option<String> {
    let (start, end) = operations(source)?;
    let inner = &source[start..end];
    if has_long_text(inner) || inner.contains('#') {
        return None;
    }
    let joined = joined_lines(inner);
    Some(format!("{}{joined}{}", &source[..start], &source[end..]))
}

/// The lines behind each other, with a space where one ends in a comma.
fn joined_lines(text: &str) -> String {
    let mut joined = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if joined.ends_with(',') {
            joined.push(' ');
        }
        joined.push_str(line);
    }
    joined
}

/// Each argument on a line of its own.
fn many_lines(source: &str) -> Option<String> {
    let ((start, end), parts) = (operations(source)?, parts(source));
    let (mut result, mut depth) = (source[..start].to_owned(), 1_usize);
    for (at, character) in source[start..end].char_indices() {
        let code = parts[start + at] == Part::Code;
        let next = source[start + at + character.len_utf8()..].trim_start_matches(' ');
        match character {
            '(' | '[' | '{' if code => {
                depth += 1;
                result.push(character);
                if !next.starts_with(['\n', ')', ']', '}']) {
                    let _ = write!(result, "\n{}", "    ".repeat(depth + 1));
                }
            }
            ')' | ']' | '}' if code => {
                depth -= 1;
                result.push(character);
            }
            ',' if code => {
                result.push(character);
                if !next.starts_with(['\n', ')', ']', '}', '#']) {
                    let _ = write!(result, "\n{}", "    ".repeat(depth + 1));
                }
            }
            _ => result.push(character),
        }
    }
    result.push_str(&source[end..]);
    Some(result)
}

/// No comma in front of a closing bracket.
fn no_commas(source: &str) -> Option<String> {
    let ((start, end), parts) = (operations(source)?, parts(source));
    let mut result = String::new();
    for (at, character) in source.char_indices() {
        let next = source[at + character.len_utf8()..].trim_start();
        let code = (start..end).contains(&at) && parts[at] == Part::Code;
        // A tuple of one needs its comma.
        if !(code && character == ',' && next.starts_with(']')) {
            result.push(character);
        }
    }
    (result != source).then_some(result)
}

/// A comma behind the last argument of each operation.
fn all_commas(source: &str) -> Option<String> {
    let (mut result, commas) = (source.to_owned(), commas(source)?);
    let generator = |text: &str| text.contains(" for ");
    for at in commas.into_iter().rev() {
        let before = source[..at].strip_suffix(')')?;
        let inner = before.trim_end();
        if !inner.ends_with([',', '(']) && !generator(inner.rsplit('(').next()?) && inner.len() == before.len() {
            result.insert(before.len(), ',');
        }
    }
    (result != source).then_some(result)
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the forms")]
fn byte_order_mark(source: &str) -> Option<String> {
    Some(format!("\u{feff}{source}"))
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of the forms")]
fn no_end_of_line(source: &str) -> Option<String> {
    Some(source.trim_end().to_owned())
}

fn docstring(source: &str) -> Option<String> {
    let class = format!("{CLASS}    \"\"\"What it does.\n\n    operations = [\n    atomic = True\n    \"\"\"\n\n");
    let result = replaced(source, CLASS, &class)?;
    Some(format!("\"\"\"From Django.\n\nfrom django.db import migrations\nimport nothing\n\"\"\"\n{result}"))
}

/// SQL in a string of several lines.
fn long_text(source: &str) -> Option<String> {
    const SQL: &str = "migrations.RunSQL(\"";
    let (head, rest) = source.split_once(SQL)?;
    let (sql, rest) = rest.split_once('"')?;
    let head = head.to_owned() + SQL;
    Some(format!("{head}\"\"\n      {sql}\n  \"\"\"{rest}"))
}

/// What needs no transaction is fixed in a migration without one, too.
fn atomic_false(source: &str) -> Option<String> {
    if source.contains("atomic") || commas(source)?.len() > 1 || !source.contains("migrations.AddIndex(") {
        return None;
    }
    replaced(source, CLASS, &format!("{CLASS}    atomic = False\n\n"))
}

/// A fixable example of a page in another form: the files before it, its own, and what it is called.
pub(crate) struct Formed {
    pub(crate) name: String,
    /// The example's own name: `zdm101_bad_0`.
    pub(crate) example: String,
    pub(crate) code: &'static str,
    pub(crate) form: &'static str,
    pub(crate) block: Block,
    pub(crate) given: Vec<SourceFile>,
    pub(crate) file: SourceFile,
    /// Behind the example.
    state: Vec<String>,
}

/// Every fixable example, in every form that it can be written in.
pub(crate) fn formed() -> Vec<Formed> {
    let mut all = Vec::new();
    for rule in RULES.iter().filter(|rule| rule.page.fix != "none" && rule.page.code.code != "ZDM607") {
        let code = rule.page.code.code;
        let page = read_page(&rule.page);
        for (index, block) in page.bad.iter().enumerate() {
            let (given, files) = common::example_files(&page.given.iter().collect::<Vec<_>>(), block);
            let [file] = files.as_slice() else { continue };
            let (postgres, config) = (common::postgres_of(block), common::config_of(code, block));
            if common::fix(&given, &files, postgres, &config, code).applied.is_empty() {
                continue;
            }
            let state = common::describe_state(&common::trace_files(&given, &files, postgres));
            for (form, write) in FORMS {
                let Some(text) = write(file.text()) else { continue };
                all.push(Formed {
                    example: format!("{}_bad_{index}", code.to_lowercase()),
                    name: format!("{}_{index}_{}", code.to_lowercase(), form.replace('-', "_")),
                    code,
                    form,
                    block: block.clone(),
                    given: given.clone(),
                    file: SourceFile::new(file.path(), text),
                    state: state.clone(),
                });
            }
        }
    }
    all
}

#[test]
fn every_fix_holds_in_every_form() {
    let mut failures = String::new();
    let mut table: BTreeMap<&str, usize> = BTreeMap::new();
    for formed in formed() {
        let (given, files) = (&formed.given, std::slice::from_ref(&formed.file));
        let (postgres, config) = (common::postgres_of(&formed.block), common::config_of(formed.code, &formed.block));
        let fixed = common::fix(given, files, postgres, &config, formed.code);
        let mut wrong = Vec::new();
        if fixed.applied.is_empty() {
            let found = fixed.findings.iter().any(|finding| finding.code.code == formed.code);
            wrong.push(if found { "no fix is offered".to_owned() } else { "there is no finding".to_owned() });
        } else {
            *table.entry(formed.form).or_default() += 1;
            wrong.extend(what_is_wrong(&formed, &fixed));
        }
        if !wrong.is_empty() {
            let _ = writeln!(failures, "\n=== {}: {}", formed.name, wrong.join("; "));
            for file in std::iter::once(&formed.file).chain(&fixed.files) {
                let _ = writeln!(failures, "--- {}\n{}", file.path(), file.text());
            }
        }
    }
    for (form, fixed) in &table {
        println!("{form}: {fixed} fixed");
    }
    assert!(failures.is_empty(), "{failures}");
}

fn what_is_wrong(formed: &Formed, fixed: &common::Fixed) -> Vec<String> {
    let mut wrong = Vec::new();
    let left = fixed.findings.iter().find(|finding| {
        finding.suppressed.is_none()
            && (finding.code.code == formed.code
                || ["ZDM601", "ZDM602", "ZDM701", "ZDM901", "ZDM905"].contains(&finding.code.code))
    });
    if let Some(left) = left {
        wrong.push(format!("left: {} {}", left.code.code, left.message));
    }
    let postgres = common::postgres_of(&formed.block);
    let before = &formed.state;
    let after = common::describe_state(&common::trace_files(&formed.given, &fixed.files, postgres));
    if *before != after {
        wrong.push(format!("the state differs: {before:?} {after:?}"));
    }
    let own = fixed.files.iter().find(|file| file.path() == formed.file.path()).expect("the file itself");
    let old = formed.file.text();
    if old.contains("\r\n") && fixed.files.iter().any(|file| file.text().replace("\r\n", "").contains('\n')) {
        wrong.push("line ends differ".to_owned());
    }
    if formed.form == "tabs" && own.text().lines().any(|line| line.starts_with(' ') && !old.contains(line)) {
        wrong.push("spaces between tabs".to_owned());
    }
    // What an operation takes along is in the new file.
    let everything: String = fixed.files.iter().map(SourceFile::text).collect();
    for line in old.lines().filter(|line| line.contains("# ") && !line.contains("# zdm: ")) {
        let comment = line.split_once("# ").expect("a comment").1;
        if !everything.contains(comment) {
            wrong.push(format!("the comment is gone: {comment}"));
        }
    }
    for kept in ["\u{feff}", "\"\"\"What it does.", "note = ", "def describe", "class Other:\n    atomic = True\n"] {
        if old.contains(kept) != own.text().contains(kept) {
            wrong.push(format!("{kept:?} is gone"));
        }
    }
    if !old.ends_with('\n') && own.text().ends_with('\n') {
        wrong.push("an end of line more".to_owned());
    }
    wrong
}
