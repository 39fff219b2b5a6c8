//! What the tests of the editors run in: Neovim from the distribution.

use std::process::{Command, Stdio};

use crate::setup::{self, Piece};

pub(crate) fn pieces() -> Vec<Piece<'static>> {
    vec![Piece::new("Neovim".to_owned(), || {
        if let Some(version) = neovim() {
            return Ok(version);
        }
        setup::announce("installing Neovim …");
        let apt = |arguments: &[&str]| {
            let mut apt = Command::new("apt-get");
            setup::output(apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
        };
        let install = ["install", "--yes", "--quiet", "--no-install-recommends", "neovim"];
        // Lists of packages may be missing or old.
        apt(&install).or_else(|_| apt(&["update", "--quiet"]).and_then(|_| apt(&install)))?;
        neovim().ok_or_else(|| "it does not start".to_owned())
    })]
}

/// `NVIM v0.7.2`, where there is one.
fn neovim() -> Option<String> {
    let output = Command::new("nvim").arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}
