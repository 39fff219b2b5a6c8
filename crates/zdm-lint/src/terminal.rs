//! Writing to the terminal: standard output for answers, standard error for everything else.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use crate::args::Color;

/// Why the program could not do what it was asked, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    help: Option<String>,
    /// Below the message, as it is: mistakes in their lines of a file.
    drawn: String,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, drawn: String::new() }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        say(&format!("zdm-lint: {}", self.message));
        if let Some(help) = self.help {
            say(&format!("  help: {}", help.replace('\n', "\n        ")));
        }
        if !self.drawn.is_empty() {
            say(self.drawn.trim_end());
        }
        ExitCode::from(crate::FAILED)
    }
}

impl From<zdm_workspace::Error> for Failure {
    fn from(error: zdm_workspace::Error) -> Self {
        if let zdm_workspace::Error::Config(mistakes) = &error {
            let count = mistakes.problems.len();
            let message = format!("{count} mistake{} in `{}`", if count == 1 { "" } else { "s" }, mistakes.file.path());
            let color =
                std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal();
            let drawn = zdm_workspace::config::render::render(mistakes, color, true, width());
            return Self { message, help: None, drawn };
        }
        Self { message: error.to_string(), help: error.help(), drawn: String::new() }
    }
}

/// Writes an answer to standard output. A reader that has gone away (`| head`) is not an error.
pub(crate) fn print(text: &str) -> ExitCode {
    let newline = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    written(print_part(text).and_then(|()| print_part(newline)))
}

/// Writes a part of an answer to standard output.
pub(crate) fn print_part(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// How a command ends that has written its answer.
pub(crate) fn written(result: std::io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::from(crate::CLEAN),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::from(crate::CLEAN),
        Err(error) => Failure::new(format!("standard output cannot be written: {error}")).report(),
    }
}

/// One line on standard error; where that is gone there is nobody to tell.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Whether the text report on standard output is coloured.
pub(crate) fn coloured(choice: Color) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stdout().is_terminal()
        }
    }
}

/// The terminal's width in characters, from `COLUMNS`; 100 where it is not known, never more than 120.
pub(crate) fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(100).clamp(40, 120)
}
