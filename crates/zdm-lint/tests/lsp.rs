//! The language server as a program: over its standard input and output, and in a real editor.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its folders should end")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use zdm_testkit::copy_folder;

const MIGRATION: &str = "from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [(\"orders\", \"0015_drop_note\")]

    operations = [
        migrations.RunPython(print),
    ]
";

fn repository() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

#[test]
fn a_session_on_standard_input_and_output() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&repository().join("fixtures/shop"), folder.path()).unwrap();
    let root = format!("file://{}", fs::canonicalize(folder.path()).unwrap().display());
    let mut server = Command::new(env!("CARGO_BIN_EXE_zdm-lint"))
        .args(["lsp", "--stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap());
    let mut send = |message: Value| {
        let text = message.to_string();
        write!(input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        input.flush().unwrap();
    };
    let uri = format!("{root}/orders/migrations/0016_new.py");
    let folders = json!([{"uri": root, "name": "shop"}]);
    send(
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}, "workspaceFolders": folders}}),
    );
    send(json!({"jsonrpc": "2.0", "method": "initialized", "params": {}}));
    let document = json!({"uri": uri, "languageId": "python", "version": 1, "text": MIGRATION});
    send(json!({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": document}}));
    send(json!({"jsonrpc": "2.0", "id": 2, "method": "shutdown"}));
    send(json!({"jsonrpc": "2.0", "method": "exit"}));
    let mut messages = Vec::new();
    loop {
        let mut header = String::new();
        if output.read_line(&mut header).unwrap() == 0 {
            break;
        }
        let Some(length) = header.trim_end().strip_prefix("Content-Length: ") else { continue };
        let mut blank = String::new();
        output.read_line(&mut blank).unwrap();
        let mut bytes = vec![0; length.parse().unwrap()];
        output.read_exact(&mut bytes).unwrap();
        messages.push(serde_json::from_slice::<Value>(&bytes).unwrap());
    }
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert_eq!(messages[0]["result"]["serverInfo"]["name"], "zdm-lint");
    let found = messages.iter().find(|message| message["method"] == "textDocument/publishDiagnostics").unwrap();
    assert_eq!(found["params"]["uri"], json!(uri));
    assert!(found["params"]["diagnostics"].to_string().contains("ZDM501"), "{found}");
}

#[test]
fn an_end_without_goodbye_is_told_by_the_exit_code() {
    let server = Command::new(env!("CARGO_BIN_EXE_zdm-lint")).arg("lsp").stdin(Stdio::null()).output().unwrap();
    assert_eq!(server.status.code(), Some(1));
    assert!(server.stdout.is_empty());
}

#[test]
fn neovim_shows_findings_hovers_and_fixes() {
    let neovim = Command::new("nvim").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !neovim.is_ok_and(|status| status.success()) {
        zdm_testkit::skip::record("language server in Neovim", "nvim is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("shop");
    copy_folder(&repository().join("fixtures/shop"), &project).unwrap();
    let file = project.join("orders/migrations/0016_new.py");
    fs::write(&file, MIGRATION).unwrap();
    let result = folder.path().join("result.json");
    let plugin = repository().join("editors/neovim");
    let output = Command::new("nvim")
        .args(["--headless", "-u", "NONE", "-i", "NONE", "-n", "--cmd"])
        .arg(format!("set runtimepath^={}", plugin.display()))
        .arg("-c")
        .arg(format!("luafile {}", plugin.join("tests/session.lua").display()))
        .env("ZDM_LINT", env!("CARGO_BIN_EXE_zdm-lint"))
        .env("ZDM_FILE", &file)
        .env("ZDM_RESULT", &result)
        .env("HOME", folder.path())
        .env("XDG_STATE_HOME", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = fs::read_to_string(&result).unwrap_or_else(|error| panic!("no result ({error}): {said}"));
    let seen: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(seen["failure"], Value::Null, "{said}\n{seen:#}");
    assert_eq!(seen["found"], true, "{said}\n{seen:#}");
    let diagnostic = seen["diagnostics"].as_array().unwrap().iter().find(|found| found["code"] == "ZDM501").unwrap();
    assert_eq!(diagnostic["line"], 7);
    let hover = seen["hover"].as_str().unwrap();
    assert!(hover.contains("**RunPython**") && hover.contains("runs Python"), "{hover}");
    let actions = seen["actions"].to_string();
    assert!(actions.contains("ZDM501: add `reverse_code=") && actions.contains("ZDM501: suppress here"), "{actions}");
    assert_eq!(seen["fixed"], true, "{seen:#}");
    assert!(
        seen["text"].as_str().unwrap().contains("migrations.RunPython(print, reverse_code=migrations.RunPython.noop)")
    );
    assert_eq!(seen["typed"], true, "{seen:#}");
    assert_eq!(seen["shown"], true, "{seen:#}");
    assert!(seen["sql"].as_str().unwrap().contains("-- orders.0016_new"), "{seen:#}");
}
