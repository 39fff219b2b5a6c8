//! Starting the command so that it ends with us, and the terminal that both share.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::exit::Exit;
use crate::output;

/// The hidden first argument: `zdm __launch PARENT COMMAND…`.
const WORD: &str = "__launch";

/// What goes in front of the command. A Django process watches over the end of `zdm` by itself, and has more to do then
/// than to end; any other is ended by the kernel.
pub(super) fn launcher(command: &[OsString]) -> Vec<OsString> {
    if zdm_guard::is_django(command) || !cfg!(target_os = "linux") {
        return Vec::new();
    }
    match std::env::current_exe() {
        Ok(program) => vec![program.into_os_string(), WORD.into(), std::process::id().to_string().into()],
        Err(_) => Vec::new(),
    }
}

/// Becomes the command where the arguments ask for that; nothing where they do not.
pub(crate) fn launch() -> Option<Exit> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let parent = arguments.next()?;
    let program = arguments.next()?;
    end_with_parent();
    // The parent may have ended before the kernel was told.
    let still_there = rustix::process::getppid()
        .is_some_and(|now| parent.to_str() == Some(now.as_raw_nonzero().to_string().as_str()));
    if !still_there {
        return Some(Exit::Failed);
    }
    let error = Command::new(&program).args(arguments).exec();
    output::error(&format!("`{}` cannot be run: {error}", program.to_string_lossy()));
    Some(Exit::Usage)
}

#[cfg(target_os = "linux")]
fn end_with_parent() {
    // Without it the command goes on alone, under the floor's timeouts.
    if rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM)).is_err() {
        output::note("zdm: the command will not end with zdm");
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent() {}

/// Whether the terminal sends its signals to us, and so to the child.
pub(super) fn in_foreground() -> bool {
    rustix::termios::tcgetpgrp(std::io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}
