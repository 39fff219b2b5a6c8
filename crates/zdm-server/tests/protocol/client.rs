//! A client: it speaks the protocol over pipes to a server in another thread.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, PipeWriter, Write, pipe};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use zdm_server::Ended;
use zdm_testkit::copy_folder;

/// Nothing takes so long unless it never comes.
const LONG: Duration = Duration::from_mins(10);

pub(crate) struct Client {
    to_server: Option<PipeWriter>,
    from_server: Receiver<Value>,
    server: Option<JoinHandle<Ended>>,
    requests: u64,
    /// What came while something else was waited for.
    pub(crate) others: VecDeque<Value>,
    pub(crate) root: PathBuf,
    versions: BTreeMap<String, i64>,
    pub(crate) capabilities: Value,
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// A copy of the shop, without anything around it that could count as a project.
pub(crate) fn shop() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(folder.path()).unwrap().join("shop");
    copy_folder(&fixture("shop"), &root).unwrap();
    (folder, root)
}

impl Client {
    /// Starts a server and does nothing yet.
    pub(crate) fn raw(root: &Path) -> Self {
        Self::raw_in(root, BTreeMap::new())
    }

    /// The same with an environment.
    pub(crate) fn raw_in(root: &Path, environment: BTreeMap<String, String>) -> Self {
        let (server_input, to_server) = pipe().unwrap();
        let (output, server_output) = pipe().unwrap();
        let server = std::thread::spawn(move || zdm_server::run(server_input, server_output, environment));
        let (sender, from_server) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Self {
            to_server: Some(to_server),
            from_server,
            server: Some(server),
            requests: 0,
            others: VecDeque::new(),
            root: root.to_owned(),
            versions: BTreeMap::new(),
            capabilities: Value::Null,
        }
    }

    /// Starts a session in a folder.
    pub(crate) fn start(root: &Path, capabilities: Value, options: Value) -> Self {
        Self::raw(root).begin(capabilities, options)
    }

    /// The beginning of a session.
    pub(crate) fn begin(self, capabilities: Value, options: Value) -> Self {
        let mut client = self;
        let folder = uri(&client.root);
        let answer = client.request(
            "initialize",
            json!({
                "processId": null,
                "capabilities": capabilities,
                "initializationOptions": options,
                "workspaceFolders": [{"uri": folder, "name": "project"}],
            }),
        );
        client.capabilities = answer["capabilities"].clone();
        client.notify("initialized", json!({}));
        client
    }

    pub(crate) fn plain(root: &Path) -> Self {
        Self::start(root, json!({}), Value::Null)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let to_server = self.to_server.as_mut().unwrap();
        to_server.write_all(bytes).unwrap();
        to_server.flush().unwrap();
    }

    pub(crate) fn send(&mut self, message: &Value) {
        let text = message.to_string();
        self.write(format!("Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes());
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// The first message that fits, now or later.
    pub(crate) fn wait(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.others.iter().position(&fits) {
            return self.others.remove(index).unwrap();
        }
        loop {
            let message = match self.from_server.recv_timeout(LONG) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => panic!("the server says nothing; before: {:?}", self.others),
                Err(RecvTimeoutError::Disconnected) => panic!("the server is gone; before: {:?}", self.others),
            };
            if fits(&message) {
                return message;
            }
            self.others.push_back(message);
        }
    }

    pub(crate) fn answer(&mut self, id: u64) -> Value {
        self.wait(|message| message["id"] == json!(id) && message.get("method").is_none())
    }

    /// A request's result.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        let answer = self.answer(id);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        uri(&self.root.join(path))
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }

    pub(crate) fn open_with(&mut self, path: &str, text: &str) {
        let uri = self.uri(path);
        self.versions.insert(uri.clone(), 1);
        let item = json!({"uri": uri, "languageId": "python", "version": 1, "text": text});
        self.notify("textDocument/didOpen", json!({"textDocument": item}));
    }

    /// Opens a file of the disk; its text.
    pub(crate) fn open(&mut self, path: &str) -> String {
        let text = self.text(path);
        self.open_with(path, &text);
        text
    }

    pub(crate) fn change(&mut self, path: &str, changes: Value) -> i64 {
        let uri = self.uri(path);
        let version = self.versions.get_mut(&uri).unwrap();
        *version += 1;
        let version = *version;
        let document = json!({"uri": uri, "version": version});
        self.notify("textDocument/didChange", json!({"textDocument": document, "contentChanges": changes}));
        version
    }

    pub(crate) fn set(&mut self, path: &str, text: &str) -> i64 {
        self.change(path, json!([{"text": text}]))
    }

    /// The diagnostics that are published for a version of a file.
    pub(crate) fn published(&mut self, path: &str, version: i64) -> Vec<Value> {
        let uri = self.uri(path);
        let message = self.wait(|message| {
            message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == json!(uri)
                && message["params"]["version"] == json!(version)
        });
        message["params"]["diagnostics"].as_array().unwrap().clone()
    }

    /// The codes of what is published for a version of a file, sorted.
    pub(crate) fn codes(&mut self, path: &str, version: i64) -> Vec<String> {
        codes(&self.published(path, version))
    }

    pub(crate) fn document(&self, path: &str) -> Value {
        json!({"textDocument": {"uri": self.uri(path)}})
    }

    /// Parameters for the first place of `needle` in a text; `|` in it is the cursor.
    pub(crate) fn at(&self, path: &str, text: &str, needle: &str) -> Value {
        let cursor = needle.find('|').unwrap_or(0);
        let plain = needle.replacen('|', "", 1);
        let offset = text.find(&plain).unwrap_or_else(|| panic!("no `{plain}` in {path}")) + cursor;
        json!({"textDocument": {"uri": self.uri(path)}, "position": position(text, offset)})
    }

    /// Says goodbye; how the server ended.
    pub(crate) fn finish(mut self) -> Ended {
        self.request("shutdown", Value::Null);
        self.notify("exit", Value::Null);
        self.server.take().unwrap().join().unwrap()
    }

    /// Goes away without a word.
    pub(crate) fn vanish(mut self) -> Ended {
        drop(self.to_server.take());
        self.server.take().unwrap().join().unwrap()
    }
}

/// In UTF-16, as a client that says nothing counts.
pub(crate) fn position(text: &str, offset: usize) -> Value {
    let before = &text[..offset];
    let line = before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    json!({"line": line, "character": before[start..].encode_utf16().count()})
}

/// The text under a range in UTF-16.
pub(crate) fn under<'t>(text: &'t str, range: &Value) -> &'t str {
    let offset = |position: &Value| {
        let line = position["line"].as_u64().unwrap();
        let start = if line == 0 {
            0
        } else {
            text.match_indices('\n').nth(usize::try_from(line - 1).unwrap()).map_or(text.len(), |(at, _)| at + 1)
        };
        let mut left = position["character"].as_u64().unwrap();
        let mut offset = start;
        for character in text[start..].chars() {
            if left == 0 {
                break;
            }
            left -= character.len_utf16() as u64;
            offset += character.len_utf8();
        }
        offset
    };
    &text[offset(&range["start"])..offset(&range["end"])]
}

/// A text after edits of the protocol, which do not touch each other.
pub(crate) fn edited(text: &str, edits: &Value) -> String {
    let mut edits: Vec<(usize, usize, &str)> = edits
        .as_array()
        .unwrap()
        .iter()
        .map(|edit| {
            let start =
                under(text, &json!({"start": {"line": 0, "character": 0}, "end": edit["range"]["start"]})).len();
            (start, start + under(text, &edit["range"]).len(), edit["newText"].as_str().unwrap())
        })
        .collect();
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.0));
    let mut text = text.to_owned();
    for (start, end, new) in edits {
        text.replace_range(start..end, new);
    }
    text
}

pub(crate) fn codes(diagnostics: &[Value]) -> Vec<String> {
    let mut codes: Vec<String> =
        diagnostics.iter().map(|found| found["code"].as_str().unwrap_or("none").to_owned()).collect();
    codes.sort();
    codes
}

pub(crate) fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            header => {
                if let Some(digits) = header.strip_prefix("Content-Length: ") {
                    length = digits.parse().unwrap();
                }
            }
        }
    }
    let mut bytes = vec![0; length];
    output.read_exact(&mut bytes).ok()?;
    Some(serde_json::from_slice(&bytes).unwrap())
}
