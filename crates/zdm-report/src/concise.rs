//! One line per finding: `path:line:column: CODE severity message`; `.` in front where it is the project as a whole.

use std::fmt::Write;

use crate::report::Report;
use crate::words::{one_line, place};

/// The findings that are not suppressed; empty where there is none.
pub fn render(report: &Report<'_>) -> String {
    let mut result = String::new();
    for diagnostic in report.active() {
        let file = &diagnostic.primary.file;
        let shown = if file.path().is_empty() { ".".to_owned() } else { report.paths.display(file.path()) };
        let place = place(file, diagnostic.primary.span, &one_line(&shown));
        let _ = writeln!(
            result,
            "{place}: {} {} {}",
            diagnostic.code.code,
            diagnostic.severity.as_str(),
            one_line(&diagnostic.message),
        );
    }
    result
}
