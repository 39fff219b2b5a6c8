//! A rule's page: front matter and Markdown.

use zdm_source::{Code, Phase, Severity};

/// What the front matter of a rule's page says, with the whole text of the page.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub code: Code,
    pub summary: &'static str,
    pub severity: Severity,
    /// The lock mode that the finding is about, where there is one: `SHARE`.
    pub lock: Option<&'static str>,
    /// Whom it blocks, in words: `INSERT, UPDATE, DELETE`.
    pub blocks: Option<&'static str>,
    /// What takes time: `scan`, `rewrite`, `index build` or `row change`.
    pub work: Option<&'static str>,
    /// `safe`, `unsafe`, `display`, or `none`.
    pub fix: &'static str,
    /// The deploy phase that a finding of this rule puts its migration into; `None`: no other than `before`.
    pub phase: Option<Phase>,
    /// Off unless selected.
    pub optional: bool,
    /// The Markdown behind the front matter.
    pub body: &'static str,
}

impl Page {
    /// Reads a page; the error names what its front matter lacks.
    pub fn parse(text: &'static str) -> Result<Self, String> {
        let rest = text.strip_prefix("---\n").ok_or("the page does not begin with `---`")?;
        let (front, body) = rest.split_once("\n---\n").ok_or("the front matter does not end with `---`")?;
        let value = |key: &str| {
            front
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
                .map(str::trim)
                .filter(|v| !v.is_empty())
        };
        let required = |key: &str| value(key).ok_or_else(|| format!("the front matter lacks `{key}`"));
        for line in front.lines() {
            let key = line.split(':').next().unwrap_or_default();
            if !["code", "name", "summary", "severity", "lock", "blocks", "work", "fix", "phase", "default"]
                .contains(&key)
            {
                return Err(format!("unknown key `{key}` in the front matter"));
            }
        }
        Ok(Self {
            code: Code { code: required("code")?, name: required("name")? },
            summary: required("summary")?,
            severity: required("severity")?.parse().map_err(|()| "severity is info, warning or error")?,
            lock: value("lock"),
            blocks: value("blocks"),
            work: match value("work") {
                None => None,
                Some(work @ ("scan" | "rewrite" | "index build" | "row change")) => Some(work),
                Some(_) => return Err("work is scan, rewrite, index build or row change".to_owned()),
            },
            fix: value("fix").unwrap_or("none"),
            phase: match value("phase") {
                None => None,
                Some("after") => Some(Phase::After),
                Some("window") => Some(Phase::Window),
                Some(_) => return Err("phase is after or window".to_owned()),
            },
            optional: match value("default") {
                None | Some("on") => false,
                Some("off") => true,
                Some(_) => return Err("default is on or off".to_owned()),
            },
            body,
        })
    }

    /// Why the rule has no fix, as its page says it: `the value that old rows get is a decision`.
    pub fn no_fix(&self) -> Option<&'static str> {
        self.body.lines().find_map(|line| line.strip_prefix("There is no fix: ")?.strip_suffix('.'))
    }

    /// `ZDM101-index-not-concurrent.md`.
    pub fn file_name(&self) -> String {
        format!("{}-{}.md", self.code.code, self.code.name)
    }
}
