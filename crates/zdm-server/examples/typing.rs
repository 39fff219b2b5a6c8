//! How fast findings follow edits, in a generated project of 1,500 migrations: `cargo run --release -p zdm-server
//! --example typing [MIGRATIONS] [EDITS]`.
//!
//! A server in a process of its own, over its standard input and output. The time of an edit is from writing `didChange`
//! to reading the `publishDiagnostics` of its version. Edits follow each other without a pause, so that what an edit
//! changes in later migrations is still spreading when the next one comes. They are of five kinds in turn: a letter in a
//! comment, a number in an argument, an operation that is typed and changes the schema, broken syntax, and back again.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zdm_workspace::{Request, Workspace};

type Failure = Box<dyn std::error::Error>;

/// The targets of the project, for the reader of the output.
const TARGETS: &str = "targets: p50 10 ms, p99 40 ms, start 500 ms, memory 250 MB";

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("--serve") {
        zdm_server::run(std::io::stdin(), std::io::stdout(), BTreeMap::new());
        return Ok(());
    }
    let migrations = first.map_or(Ok(1500), |text| text.parse())?;
    let edits: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let root = std::fs::canonicalize(folder.path())?;
    zdm_testkit::generate::write(migrations, &root)?;
    std::fs::write(root.join("zdm.toml"), "postgres = \"16\"\ndjango = \"5.2\"\n")?;
    let request = Request { current: root.clone(), ..Request::default() };
    let workspace = Workspace::load(&request)?;
    let own: Vec<String> = workspace
        .project
        .in_order()
        .filter(|migration| migration.origin == zdm_django::MigrationOrigin::Project)
        .map(|migration| migration.file.path().to_owned())
        .collect();
    drop(workspace);
    println!("{} migrations; {TARGETS}", own.len());
    let places = [("first", own.first()), ("middle", own.get(own.len() / 2)), ("last", own.last())];
    let places: Vec<(&str, &String)> = places.into_iter().filter_map(|(name, path)| Some((name, path?))).collect();

    for (name, path) in &places {
        let begin = Instant::now();
        let mut server = Server::start(&root)?;
        server.open(path)?;
        server.published(path, 1)?;
        println!("start to first diagnostics, {name} migration open: {:.0} ms", millis(begin.elapsed()));
    }

    let mut server = Server::start(&root)?;
    let mut texts = Vec::new();
    for (_, path) in &places {
        texts.push(server.open(path)?);
        server.published(path, 1)?;
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); places.len()];
    let mut report = 100;
    for edit in 0..edits {
        // Mostly one file at a time, as people type; then the next one.
        let place = edit / 50 % places.len();
        let (path, original) = (places[place].1, &texts[place]);
        let text = edited(original, edit);
        times[place].push(server.edit(path, i64::try_from(edit)? + 2, &text)?);
        if edit + 1 == report {
            println!("memory after {report} edits: {} MB", server.memory()? / 1024);
            report *= 10;
        }
    }
    let mut all: Vec<Duration> = Vec::new();
    for ((name, _), times) in places.iter().zip(&mut times) {
        print(&format!("edits in the {name} migration"), times);
        all.extend(times.iter());
    }
    print("all edits", &mut all);
    println!("memory at the end: {} MB, at most {} MB", server.memory()? / 1024, server.memory_of("VmHWM")? / 1024);
    Ok(())
}

/// The text of an edit: small changes near the end of the file, as by somebody who adds to it.
fn edited(original: &str, edit: usize) -> String {
    let end = original.rfind(']').unwrap_or(original.len());
    let (before, after) = original.split_at(end);
    match edit % 5 {
        0 => format!("# {}\n{original}", "x".repeat(edit % 40)),
        1 => original.replacen("max_length=", &format!("max_length=1{}", edit % 10), 1),
        2 => format!("{before}    migrations.RunSQL(\"CREATE TABLE made_{} (id integer)\"),\n    {after}", edit % 7),
        3 => format!("{before}    migrations.AddField(model_name=\"x\", name=\n    {after}"),
        _ => original.to_owned(),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn print(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 1000).min(times.len().saturating_sub(1)));
    let shown = |share: usize| at(share).map_or(0.0, |time| millis(*time));
    println!(
        "{name}: {} edits, p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        times.len(),
        shown(500),
        shown(900),
        shown(990),
        shown(1000)
    );
}

struct Server {
    process: std::process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    root: String,
}

impl Server {
    fn start(root: &Path) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(process.stdout.take().ok_or("no standard output")?);
        let root = format!("file://{}", root.display());
        let mut server = Self { process, input, output, root };
        let folders = json!([{"uri": server.root, "name": "project"}]);
        let params = json!({"capabilities": {}, "workspaceFolders": folders});
        server.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}))?;
        server.send(&json!({"jsonrpc": "2.0", "method": "initialized", "params": {}}))?;
        Ok(server)
    }

    fn send(&mut self, message: &Value) -> Result<(), Failure> {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len())?;
        Ok(self.input.flush()?)
    }

    fn read(&mut self) -> Result<Value, Failure> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                return Err("the server has gone".into());
            }
            match line.trim_end().strip_prefix("Content-Length: ") {
                Some(digits) => length = digits.parse()?,
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        let mut bytes = vec![0; length];
        self.output.read_exact(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    fn uri(&self, path: &str) -> String {
        format!("{}/{path}", self.root)
    }

    fn open(&mut self, path: &str) -> Result<String, Failure> {
        let folder = self.root.strip_prefix("file://").unwrap_or_default();
        let text = std::fs::read_to_string(Path::new(folder).join(path))?;
        let document = json!({"uri": self.uri(path), "languageId": "python", "version": 1, "text": text});
        let params = json!({"textDocument": document});
        self.send(&json!({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": params}))?;
        Ok(text)
    }

    /// Waits for the findings of a version.
    fn published(&mut self, path: &str, version: i64) -> Result<(), Failure> {
        let uri = self.uri(path);
        loop {
            let message = self.read()?;
            let params = &message["params"];
            if message["method"] == "textDocument/publishDiagnostics"
                && params["uri"] == json!(uri)
                && params["version"] == json!(version)
            {
                return Ok(());
            }
        }
    }

    fn edit(&mut self, path: &str, version: i64, text: &str) -> Result<Duration, Failure> {
        let document = json!({"uri": self.uri(path), "version": version});
        let params = json!({"textDocument": document, "contentChanges": [{"text": text}]});
        let message = json!({"jsonrpc": "2.0", "method": "textDocument/didChange", "params": params});
        let begin = Instant::now();
        self.send(&message)?;
        self.published(path, version)?;
        Ok(begin.elapsed())
    }

    /// Resident memory in kB.
    fn memory(&self) -> Result<u64, Failure> {
        self.memory_of("VmRSS")
    }

    fn memory_of(&self, name: &str) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).ok_or("no memory figure")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
