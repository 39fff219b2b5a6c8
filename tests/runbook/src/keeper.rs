//! Leaves nothing behind, whatever ends this program.
//!
//! A small shell process reads a pipe that this program holds. When the pipe ends, because the keeper was closed or this
//! program is gone, it ends every process that was taken in, waits for them, and removes the folder. The processes are in
//! its process group, so that an interrupt at the terminal reaches this program alone, which then decides.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// A folder and the processes that work in it.
#[derive(Debug)]
pub struct Keeper {
    dir: PathBuf,
    /// The process group: the shell's id.
    group: i32,
    shell: Mutex<Option<(Child, ChildStdin)>>,
}

/// `$1` is the folder. Members of the group whose parent is this shell are its own tools. Whoever has not ended ten
/// seconds after the signal is killed, and this shell with them, last.
const SHELL: &str = r#"
trap '' TERM INT HUP QUIT
read -r _
members() { ps -e -o pgid= -o ppid= -o pid= -o stat= | awk -v g=$$ '$1 == g && $2 != g && $3 != g && $4 !~ /Z/' | grep -q .; }
kill -TERM 0
patience=100
while members && [ $patience -gt 0 ]; do
    patience=$((patience - 1))
    sleep 0.1
done
rm -rf "$1"
if [ $patience -eq 0 ]; then kill -KILL 0; fi
"#;

impl Keeper {
    /// A folder below the system's temporary one, and its keeper.
    ///
    /// # Errors
    /// What cannot be made.
    pub fn new() -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("zdm-site-").tempdir();
        let dir = dir.map_err(|error| format!("a temporary folder: {error}"))?;
        let mut shell = Command::new("sh")
            .args(["-c", SHELL, "zdm-keeper"])
            .arg(dir.path())
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        let pipe = shell.stdin.take().ok_or("sh has no standard input")?;
        let group = i32::try_from(shell.id()).map_err(|error| error.to_string())?;
        Ok(Self { dir: dir.keep(), group, shell: Mutex::new(Some((shell, pipe))) })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts a command that is about to start among the processes to end.
    ///
    /// # Errors
    /// The keeper is closed: nothing may be started any more.
    pub fn take_in(&self, command: &mut Command) -> Result<(), String> {
        let shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        if shell.is_none() {
            return Err("interrupted".to_owned());
        }
        command.process_group(self.group);
        Ok(())
    }

    /// Ends the processes, removes the folder, and returns when that is done. Later calls do nothing.
    pub fn close(&self) {
        let shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((mut shell, pipe)) = shell {
            drop(pipe);
            let _ = shell.wait();
            // Where `ps` is missing, or somebody wrote to the last.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_end_and_the_folder_goes() {
        let keeper = Keeper::new().expect("a keeper");
        let dir = keeper.dir().to_path_buf();
        fs::write(dir.join("file"), "").expect("written");
        let mut sleep = Command::new("sleep");
        keeper.take_in(sleep.arg("600")).expect("open");
        let mut child = sleep.spawn().expect("sleep starts");
        keeper.close();
        assert!(!dir.exists());
        assert!(!child.wait().expect("it has ended").success());
        assert!(keeper.take_in(&mut Command::new("true")).is_err());
    }
}
