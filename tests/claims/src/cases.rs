//! Our own cases: `cases.sql`, several statements on one setup.

use crate::predict::{Case, Holds};
use crate::truth::Mode;

/// One case of `cases.sql`, named by its base and its line.
#[derive(Clone, Debug)]
pub struct OwnCase {
    pub name: String,
    pub setup: String,
    pub pre: String,
    pub statement: String,
    /// SET before the case.
    pub session: &'static str,
}

impl OwnCase {
    pub fn case(&self) -> Case<'_> {
        // REFRESH … CONCURRENTLY runs inside a transaction block as well.
        let concurrent = self.statement.contains("CONCURRENTLY") && !self.statement.starts_with("REFRESH");
        // Several statements that are sent together are in one transaction.
        let outside = (concurrent || self.statement.starts_with("VACUUM")) && !self.statement.contains("; ");
        Case {
            setup: &self.setup,
            session: self.session,
            pre: &self.pre,
            statement: &self.statement,
            mode: if outside { Mode::NoTx } else { Mode::Tx },
            holds: match outside {
                true if self.statement.contains("DETACH") => Holds::EveryTableThenReaders,
                true => Holds::EveryTable,
                false => Holds::Nothing,
            },
        }
    }
}

pub fn own() -> Vec<OwnCase> {
    read(include_str!("../cases.sql"))
}

/// Cases in the form of `cases.sql`.
pub fn read(text: &str) -> Vec<OwnCase> {
    let mut cases = Vec::new();
    let (mut base, mut setup, mut in_cases) = (String::new(), String::new(), false);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("-- base ") {
            name.clone_into(&mut base);
            setup.clear();
            in_cases = false;
        } else if line == "-- cases" {
            in_cases = true;
        } else if line.is_empty() || line.starts_with("--") {
        } else if in_cases {
            let (pre, statement) = line.split_once(" ==> ").unwrap_or(("", line));
            cases.push(OwnCase {
                name: format!("{base}:{}", number + 1),
                setup: setup.clone(),
                pre: pre.to_owned(),
                statement: statement.to_owned(),
                session: "",
            });
        } else {
            setup.push_str(line);
            setup.push('\n');
        }
    }
    cases
}
