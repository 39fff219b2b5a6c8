//! A configuration's mistakes for a terminal, drawn by miette.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode, SourceSpan};

use super::{ConfigError, ConfigProblem};

/// Each mistake with its line of the file and what to do about it.
pub fn render(error: &ConfigError, color: bool, unicode: bool, width: usize) -> String {
    let theme = match (unicode, color) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => GraphicalTheme::unicode_nocolor(),
        (false, true) => GraphicalTheme::ascii(),
        (false, false) => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width.max(40))
        .with_context_lines(1)
        .without_cause_chain()
        .without_syntax_highlighting();
    let mut out = String::new();
    for (index, problem) in error.problems.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let drawn = Drawn { source: NamedSource::new(error.file.path(), error.file.text().to_owned()), problem };
        // Writing into a string does not fail.
        let _ = handler.render_report(&mut out, &drawn);
    }
    out
}

struct Drawn<'a> {
    source: NamedSource<String>,
    problem: &'a ConfigProblem,
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Drawn")
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.problem.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = SourceSpan::from(self.problem.span.range());
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, place))))
    }
}
