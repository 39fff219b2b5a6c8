//! `cargo xtask demo` on a small table: what it shows, and that it leaves nothing behind, however it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A folder for all temporary files of one run, open to the account of the server, with a path that is in no other
/// process's environment.
fn folder() -> TempDir {
    let dir = tempfile::Builder::new().prefix("zdm-demo-").tempdir_in("/tmp").expect("a folder");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).expect("opened up");
    dir
}

/// Runs the demonstration at a terminal of its own. When it has printed `until`, it gets what `event` says: the key
/// (`key`), or that signal, such as `SIGKILL`, which cannot be caught. Prints what the terminal showed; the exit code is the
/// demonstration's, 128 more than a signal's number.
const TERMINAL: &str = r#"
import os, pty, signal, sys

until, event, *command = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
shown = b""
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
    if event and until.encode() in shown:
        if event == "key":
            os.write(terminal, b"\x03")
        else:
            os.kill(child, getattr(signal, event))
        event = ""
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.stdout.buffer.write(shown)
sys.exit(code if code >= 0 else 128 - code)
"#;

fn run(dir: &Path, until: &str, event: &str) -> Output {
    Command::new("python3")
        .args(["-c", TERMINAL, until, event, env!("CARGO_BIN_EXE_xtask"), "demo", "--rows", "20000"])
        // A machine that is busy with other tests is slow, not blocked.
        .args(["--give-up-after", "60"])
        .env("TMPDIR", dir)
        .env("TERM", "xterm")
        .output()
        .expect("python3 runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until there is neither a file nor a process of the run. What ends with the pipe of a killed process needs a moment.
fn nothing_stays(dir: &Path, shown: &str) {
    let deadline = Instant::now() + Duration::from_mins(5);
    loop {
        let files: Vec<PathBuf> =
            fs::read_dir(dir).expect("the folder").filter_map(|entry| Some(entry.ok()?.path())).collect();
        let processes = processes(dir);
        if files.is_empty() && processes.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{shown}\nleft: {files:?} {processes:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Processes that name the folder in their command or environment.
fn processes(dir: &Path) -> Vec<String> {
    let name = dir.as_os_str().as_encoded_bytes();
    let has = |path: PathBuf| fs::read(path).is_ok_and(|bytes| bytes.windows(name.len()).any(|window| window == name));
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let ids = entries.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()));
    ids.filter(|entry| has(entry.path().join("environ")) || has(entry.path().join("cmdline")))
        .map(|entry| {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            format!("{} {}", entry.file_name().display(), String::from_utf8_lossy(&command).replace('\0', " "))
        })
        .collect()
}

#[test]
fn it_shows_the_whole_way() {
    let dir = folder();
    let output = run(dir.path(), "", "");
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for words in [
        "ZDM112",
        "the gate is closed for library.0002_alter_loan_copies",
        "0 of ",
        "rows differ",
        "Applying library.0006_swap_loan_copies_bigint",
        "Both ways end with the same schema",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    let row = |name: &str| {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}\n{shown}"));
        line[name.len()..].split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("longest wait").len(), 4, "{shown}");
    assert_eq!(row("failed requests").last().map(String::as_str), Some("0"), "{shown}");
    nothing_stays(dir.path(), &shown);
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    for (until, event) in [("$ zdm backfill run", "key"), ("$ python manage.py makemigrations library", "SIGTERM")] {
        let dir = folder();
        let output = run(dir.path(), until, event);
        let shown = text(&output);
        assert_eq!(output.status.code(), Some(130), "{event}: {shown}");
        assert!(shown.contains("interrupted; nothing is left behind"), "{shown}");
        nothing_stays(dir.path(), &shown);
    }
}

#[test]
fn a_kill_leaves_nothing_behind() {
    let dir = folder();
    let output = run(dir.path(), "$ zdm backfill run", "SIGKILL");
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(137), "{shown}");
    nothing_stays(dir.path(), &shown);
}
