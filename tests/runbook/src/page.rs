//! A page of the runbook as data.
//!
//! - `## Release N: …` begins a release: from here on files belong to it and commands run in it. `## The naive way` is
//!   run on a database of its own. Text under other headings of that level is not run.
//! - A `python` or `toml` block whose first line is a comment with a path is a file of the release.
//! - A `console` block holds commands behind `$ `, each followed by lines of its output; `…` stands for anything.
//! - A paragraph that begins with `**Way back**` is followed by the commands that undo its section.

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its `# ` heading.
    pub title: String,
    /// The naive migration, if the page shows one.
    pub naive: Option<Release>,
    /// What the page recommends.
    pub releases: Vec<Release>,
}

/// A release of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its heading.
    pub title: String,
    /// Its sections, in order; the text before the first `### ` is one, too.
    pub sections: Vec<Section>,
}

/// A part of a release that can be undone as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// What to do.
    pub forwards: Vec<Action>,
    /// How to undo it; empty where the page shows no way back.
    pub back: Vec<Action>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write a file, below the project's folder.
    Write {
        /// Where.
        path: String,
        /// Its content, with the line that names it.
        text: String,
    },
    /// Run a command in the project's folder.
    Run {
        /// As typed.
        command: String,
        /// The lines that the page shows of its output.
        output: Vec<String>,
        /// The line of the page, from 1.
        line: usize,
    },
}

impl Release {
    /// The part of a page under `## HEADING`, to be run by itself.
    ///
    /// # Errors
    /// There is no such heading, or what is not understood.
    pub fn section(text: &str, heading: &str) -> Result<Self, String> {
        let start = text.split_inclusive('\n').scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line))
        });
        let mut headings = start.filter(|(_, line)| line.starts_with("## "));
        let from = headings.find(|(_, line)| line.trim_start_matches("## ").trim() == heading);
        let (from, line) = from.ok_or_else(|| format!("no heading {heading}"))?;
        let to = headings.next().map_or(text.len(), |(at, _)| at);
        let body = text.get(from + line.len()..to).unwrap_or_default();
        // Lines keep their numbers.
        let above = "\n".repeat(text.get(..from).unwrap_or_default().lines().count());
        let mut page = Page::parse(&format!("# {heading}{above}\n## Release 1: {heading}\n{body}"))?;
        page.releases.pop().ok_or_else(|| format!("{heading}: nothing to run"))
    }
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// What is not understood, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut title = None;
        let mut parts: Vec<Release> = Vec::new();
        let mut runs = false;
        let mut back = false;
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            if let Some(fence) = line.strip_prefix("```") {
                let mut block = Vec::new();
                loop {
                    match lines.next() {
                        Some((_, "```")) => break,
                        Some((_, line)) => block.push(line),
                        None => return Err(format!("line {}: the block does not end", number + 1)),
                    }
                }
                let actions = match fence {
                    "console" => commands(&block, number + 2)?,
                    "python" | "toml" => file(&block).into_iter().collect(),
                    _ => Vec::new(),
                };
                if !runs || actions.is_empty() {
                    continue;
                }
                let Some(section) = parts.last_mut().and_then(|release| release.sections.last_mut()) else {
                    return Err(format!("line {}: a block outside of a release", number + 1));
                };
                if back {
                    section.back.extend(actions);
                } else {
                    section.forwards.extend(actions);
                }
                back = false;
            } else if let Some(heading) = line.strip_prefix("# ") {
                title.get_or_insert_with(|| heading.trim().to_owned());
            } else if let Some(heading) = line.strip_prefix("## ") {
                let heading = heading.trim();
                runs = heading.starts_with("Release ") || heading == NAIVE;
                back = false;
                if runs {
                    parts.push(Release { title: heading.to_owned(), sections: vec![Section::default()] });
                }
            } else if line.starts_with("### ") {
                back = false;
                if let Some(release) = parts.last_mut().filter(|_| runs) {
                    release.sections.push(Section::default());
                }
            } else if line.starts_with("**Way back**") {
                back = true;
            }
        }
        for release in &mut parts {
            release.sections.retain(|section| !section.forwards.is_empty());
        }
        let naive = parts.iter().position(|release| release.title == NAIVE).map(|place| parts.remove(place));
        let title = title.ok_or("the page has no title")?;
        if parts.is_empty() {
            return Err(format!("{title}: no release"));
        }
        Ok(Self { title, naive, releases: parts })
    }
}

const NAIVE: &str = "The naive way";

fn file(block: &[&str]) -> Option<Action> {
    let path = block.first()?.strip_prefix("# ")?.trim();
    let is_path = matches!(path.rsplit_once('.'), Some((_, "py" | "toml"))) && !path.contains(' ');
    is_path.then(|| Action::Write { path: path.to_owned(), text: block.join("\n") + "\n" })
}

fn commands(block: &[&str], first: usize) -> Result<Vec<Action>, String> {
    let mut actions: Vec<Action> = Vec::new();
    let mut continued = false;
    for (place, text) in block.iter().enumerate() {
        if continued {
            if let Some(Action::Run { command, .. }) = actions.last_mut() {
                command.push('\n');
                command.push_str(text);
            }
            continued = text.ends_with('\\');
        } else if let Some(typed) = text.strip_prefix("$ ") {
            continued = typed.ends_with('\\');
            actions.push(Action::Run { command: typed.to_owned(), output: Vec::new(), line: first + place });
        } else if let Some(Action::Run { output, .. }) = actions.last_mut() {
            output.push((*text).to_owned());
        } else {
            return Err(format!("line {}: output before a command", first + place));
        }
    }
    Ok(actions)
}

/// Whether the output is what the page shows: its lines in this order, `…` for anything in between or within a line.
/// Without a `…` the output has these lines and no others; a page that shows nothing accepts anything.
///
/// # Errors
/// The first line of the page that the output does not have.
pub fn shows(expected: &[String], output: &str) -> Result<(), String> {
    if expected.is_empty() {
        return Ok(());
    }
    let mut pattern: Vec<&str> = Vec::new();
    for line in expected {
        for (place, piece) in line.trim_end().split('…').enumerate() {
            if place > 0 {
                pattern.push("…");
            }
            pattern.push(piece);
        }
        pattern.push("\n");
    }
    let mut text: String = output.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    while text.ends_with("\n\n") {
        text.pop();
    }
    let mut rest = text.as_str();
    let mut anything = false;
    for piece in pattern {
        if piece == "…" {
            anything = true;
            continue;
        }
        // A line that is only `…` stands for any number of lines, none included.
        if piece == "\n" && anything {
            continue;
        }
        if piece.is_empty() {
            continue;
        }
        let found = if anything { rest.find(piece) } else { rest.starts_with(piece).then_some(0) };
        let Some(at) = found else {
            return Err(format!("the page shows {piece:?}, the command printed\n{}", rest.trim_end()));
        };
        anything = false;
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    if anything || rest.trim().is_empty() {
        Ok(())
    } else {
        Err(format!("the page does not show\n{}", rest.trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_in_order() {
        let page = Page::parse(
            "# Title\n\n## Why\n```console\n$ not run\n```\n## The naive way\n```python\n# a/b.py\nX = 1\n```\n\
             ```python\nno_file = 1\n```\n## Release 1: go\n```console\n$ one \\\n    two\nout\n…\n$ three\n```\n\
             ### Deploy\n```console\n$ up\n```\n**Way back**: as\n```console\n$ down\n```\n## After\n```console\n$ no\n```\n",
        )
        .expect("a page");
        let run = |command: &str, output: &[&str], line| Action::Run {
            command: command.to_owned(),
            output: output.iter().map(|line| (*line).to_owned()).collect(),
            line,
        };
        assert_eq!(page.title, "Title");
        let naive = page.naive.expect("the naive way");
        let written = Action::Write { path: "a/b.py".to_owned(), text: "# a/b.py\nX = 1\n".to_owned() };
        assert_eq!(naive.sections, [Section { forwards: vec![written], back: vec![] }]);
        assert_eq!(page.releases.len(), 1);
        assert_eq!(
            page.releases[0].sections,
            [
                Section {
                    forwards: vec![run("one \\\n    two", &["out", "…"], 17), run("three", &[], 21)],
                    back: vec![]
                },
                Section { forwards: vec![run("up", &[], 25)], back: vec![run("down", &[], 29)] },
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for (text, message) in [
            ("## Release 1\n```console\n$ a\n", "line 2: the block does not end"),
            ("# T\n## Release 1\n```console\nout\n$ a\n```\n", "line 4: output before a command"),
            ("## Release 1\n", "the page has no title"),
            ("# T\n", "T: no release"),
        ] {
            assert_eq!(Page::parse(text).expect_err(text), message);
        }
    }

    #[test]
    fn a_section_is_read_alone() {
        let text = "# T\n\n## A\n```console\n$ a\n```\n## B\n```console\n$ b\n```\n";
        let section = Release::section(text, "B").expect("a section");
        let [Section { forwards, .. }] = section.sections.as_slice() else { panic!("{section:?}") };
        assert!(matches!(forwards.as_slice(), [Action::Run { command, .. }] if command == "b"), "{forwards:?}");
        Release::section(text, "C").expect_err("no such section");
    }

    #[test]
    fn output_is_compared_line_by_line() {
        let check = |expected: &[&str], output: &str| {
            let expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
            shows(&expected, output).is_ok()
        };
        assert!(check(&[], "anything\n"));
        assert!(check(&["a", "b"], "a\nb\n"));
        assert!(!check(&["a", "b"], "a\nb\nc\n"));
        assert!(!check(&["a", "b"], "a\nx\nb\n"));
        assert!(check(&["a", "…", "b"], "a\nx\ny\nb\n"));
        assert!(check(&["a", "…", "b"], "a\nb\n"));
        assert!(check(&["…", "exit 1"], "much\nmore\nexit 1\n"));
        assert!(!check(&["…", "exit 1"], "much\nexit 2\n"));
        assert!(check(&["took … ms", "done"], "took 12 ms\ndone\n"));
        assert!(!check(&["took … ms", "done"], "took 12 s\ndone\n"));
        assert!(check(&["a", "…"], "a\nb\n"));
        assert!(!check(&["a"], ""));
    }
}
