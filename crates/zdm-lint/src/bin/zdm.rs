//! The runtime, `zdm`, in the package of the linter: a wheel carries both.

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    zdm::main()
}

/// The runtime watches signals and processes in the way of Unix.
#[cfg(not(unix))]
fn main() -> ExitCode {
    use std::io::Write;

    let _ = writeln!(std::io::stderr(), "zdm: the runtime needs Linux or macOS, or the Windows Subsystem for Linux");
    ExitCode::from(2)
}
