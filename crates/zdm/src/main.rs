//! The program; all of it is in the library, so that the linter's package can carry it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    zdm::main()
}
