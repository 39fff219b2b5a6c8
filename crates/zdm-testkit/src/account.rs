//! The account that servers run under.
//!
//! PostgreSQL refuses to run as root and wants a user with a passwd entry. As root, servers therefore run as
//! `postgres` if that user exists, else as `nobody`; an ordinary user runs them as itself.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::Error;

/// Who runs the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The user id of the server processes.
    pub uid: u32,
    /// Their group id.
    pub gid: u32,
    /// Whether that is another user than the one who runs the tests.
    pub switched: bool,
}

impl Account {
    /// The account for servers on this machine; fails as root on a machine without `postgres` and `nobody`.
    pub fn current() -> Result<Self, Error> {
        static ACCOUNT: OnceLock<Option<Account>> = OnceLock::new();
        (*ACCOUNT.get_or_init(find)).ok_or(Error::NoAccount)
    }

    /// A command that runs as this account, with no standard input and in a process group of its own, so that an
    /// interrupt at the terminal does not reach it.
    pub fn command(self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).process_group(0);
        if self.switched {
            command.uid(self.uid).gid(self.gid).current_dir("/");
        }
        command
    }

    /// Gives a file or directory to this account.
    pub fn own(self, path: &Path) -> Result<(), Error> {
        if self.switched {
            chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io("hand over", path))?;
        }
        Ok(())
    }

    /// Whether this account can execute a program: every directory above it must let the account through.
    pub fn can_execute(self, program: &Path) -> bool {
        self.command("test").arg("-x").arg(program).status().is_ok_and(|status| status.success())
    }

    /// A directory for temporary files in which this account may make and remove entries, with a path short enough
    /// for a unix socket below it.
    pub fn temporary(self) -> PathBuf {
        let preferred = std::env::temp_dir();
        let short = preferred.as_os_str().len() <= 60;
        let open = !self.switched
            || fs::metadata(&preferred).is_ok_and(|meta| meta.permissions().mode() & 0o1003 == 0o1003)
                && self.can_execute(&preferred);
        if short && open { preferred } else { PathBuf::from("/tmp") }
    }
}

fn find() -> Option<Account> {
    let (uid, gid) = ids()?;
    if uid != 0 {
        return Some(Account { uid, gid, switched: false });
    }
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].into_iter().find_map(|wanted| {
        passwd.lines().find_map(|line| {
            let mut parts = line.split(':');
            let name = parts.next()?;
            let uid = parts.nth(1)?.parse().ok()?;
            let gid = parts.next()?.parse().ok()?;
            (name == wanted && uid != 0).then_some(Account { uid, gid, switched: true })
        })
    })
}

/// The effective ids of this process: those of a file that it makes.
fn ids() -> Option<(u32, u32)> {
    let file = tempfile::tempfile().ok()?;
    let meta = file.metadata().ok()?;
    Some((meta.uid(), meta.gid()))
}
