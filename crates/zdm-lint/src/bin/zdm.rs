//! The runtime, `zdm`, in the package of the linter: a wheel carries both.

use std::process::ExitCode;

fn main() -> ExitCode {
    zdm::main()
}
