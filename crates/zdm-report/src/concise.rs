//! One line per finding: `path:line:column: CODE severity message`.

use std::fmt::Write;

use crate::report::Report;
use crate::words::one_line;

/// The findings that are not suppressed; empty where there is none.
pub fn render(report: &Report<'_>) -> String {
    let mut result = String::new();
    for diagnostic in report.active() {
        let place = diagnostic.primary.file.line_column(diagnostic.primary.span.start);
        let _ = writeln!(
            result,
            "{}:{}:{}: {} {} {}",
            one_line(&report.paths.display(diagnostic.primary.file.path())),
            place.line,
            place.column,
            diagnostic.code.code,
            diagnostic.severity.as_str(),
            one_line(&diagnostic.message),
        );
    }
    result
}
