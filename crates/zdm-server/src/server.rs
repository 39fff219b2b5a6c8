//! The loop: one thread that owns documents and projects, and takes messages in the order in which they came.
//!
//! A message is dealt with as a whole before the next one. What an edit changes in the edited file is published at once,
//! unless a newer edit of the same file waits already; what it changes in other files is found in slices between two
//! messages. A panic while a message is dealt with becomes an error answer, and what is known of projects is read anew:
//! the documents keep every edit.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zdm_source::{Diagnostic, SourceFile};
use zdm_workspace::live::Reach;

use crate::actions::{self, EditSupport};
use crate::documents::{Document, Documents};
use crate::pages::{self, Wanted};
use crate::position::Encoding;
use crate::projects::{Place, Projects, Settings, config_file};
use crate::protocol::{
    Answer, Code, DidChangeParams, DidChangeWatchedFilesParams, DidChangeWorkspaceFoldersParams, DidOpenParams,
    DidSaveParams, ExecuteCommandParams, Failure, PositionParams, RangeParams, TextDocumentParams,
    WorkspaceDiagnosticParams, WorkspaceFolder, notification, response,
};
use crate::transport::{self, Received};
use crate::{complete, hover, navigate, outline, publish, uri};

/// So long is worked on what can wait before it is looked whether a message has come; each migration is looked after too.
const SLICE: Duration = Duration::from_millis(20);

const SHOW_SQL: &str = "zdm.showSql";
const EXPLAIN_RULE: &str = "zdm.explainRule";

/// A variable that names a method, in builds for tests: dealing with it panics.
const DEFECT: &str = "ZDM_TEST_DEFECT";

/// Files whose change may change what the project is.
const CONFIGURATION: [&str; 5] = ["zdm.toml", "pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini"];

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client said `shutdown`, then `exit`.
    InOrder,
    /// The client went away without a word.
    Abruptly,
}

/// Serves one client until it is done. `environment` are the variables that tell where packages are (`VIRTUAL_ENV`).
pub fn run(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    environment: BTreeMap<String, String>,
) -> Ended {
    let (to_server, inbox) = channel();
    let (out, to_write) = channel::<Value>();
    thread::spawn(move || {
        let mut input = BufReader::new(input);
        // A stream that cannot be read any more has ended.
        while let Ok(Some(received)) = transport::read(&mut input) {
            if to_server.send(received).is_err() {
                break;
            }
        }
    });
    let writer = thread::spawn(move || {
        let mut output = output;
        for message in to_write {
            // Without a reader there is nobody to tell; the end of the input ends the session.
            if transport::write(&mut output, &message).is_err() {
                break;
            }
        }
    });
    let mut server = Server::new(inbox, out, environment);
    let ended = server.serve();
    drop(server);
    // Answers that are under way arrive before the program ends.
    let _ = writer.join();
    ended
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    Running,
    ShutDown,
}

/// What the client has said it can do.
#[derive(Clone, Copy, Debug, Default)]
struct Client {
    /// It asks for diagnostics itself, so that they are not pushed.
    pulls: bool,
    watches: bool,
    configuration: bool,
    refresh_diagnostics: bool,
    refresh_lenses: bool,
    refresh_hints: bool,
    edits: EditSupport,
}

struct Server {
    inbox: Receiver<Received>,
    out: Sender<Value>,
    queue: VecDeque<Received>,
    stage: Stage,
    /// Nobody will send anything any more.
    closed: bool,
    client: Client,
    encoding: Encoding,
    documents: Documents,
    places: BTreeMap<String, Place>,
    projects: Projects,
    /// Documents whose findings are to be published.
    dirty: BTreeSet<String>,
    /// Files that are not open and whose findings were published, and configurations: by URI, with what tells one set of
    /// findings from another.
    published: BTreeMap<String, String>,
    /// Findings of files changed that the client is to ask for again.
    refresh: bool,
    /// The projects of the workspace's folders are not read yet.
    unread: bool,
    requests: u64,
    /// Said already, so as not to say it with every key.
    told: BTreeSet<String>,
}

impl Server {
    fn new(inbox: Receiver<Received>, out: Sender<Value>, environment: BTreeMap<String, String>) -> Self {
        Self {
            inbox,
            out,
            queue: VecDeque::new(),
            stage: Stage::New,
            closed: false,
            client: Client::default(),
            encoding: Encoding::default(),
            documents: Documents::new(),
            places: BTreeMap::new(),
            projects: Projects::new(environment),
            dirty: BTreeSet::new(),
            published: BTreeMap::new(),
            refresh: false,
            unread: false,
            requests: 0,
            told: BTreeSet::new(),
        }
    }

    fn serve(&mut self) -> Ended {
        loop {
            self.receive();
            let Some(received) = self.queue.pop_front() else {
                if self.closed {
                    return Ended::Abruptly;
                }
                self.guarded(Self::background);
                continue;
            };
            match received {
                Received::Malformed(reason) => {
                    self.send(response(&Value::Null, Err(Failure::new(Code::ParseError, reason))));
                }
                Received::Message(message) => {
                    if message.get("method").and_then(Value::as_str) == Some("exit") {
                        return if self.stage == Stage::ShutDown { Ended::InOrder } else { Ended::Abruptly };
                    }
                    self.message(message);
                }
            }
            self.publish_current();
        }
    }

    /// Takes what has come; waits for it where there is nothing else to do.
    fn receive(&mut self) {
        loop {
            match self.inbox.try_recv() {
                Ok(received) => self.queue.push_back(received),
                Err(TryRecvError::Disconnected) => {
                    self.closed = true;
                    return;
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        if self.queue.is_empty() && !self.has_work() {
            match self.inbox.recv() {
                Ok(received) => self.queue.push_back(received),
                Err(_) => self.closed = true,
            }
        }
    }

    fn send(&self, message: Value) {
        // The writer is gone only if the client is.
        let _ = self.out.send(message);
    }

    fn log(&self, level: u8, message: &str) {
        self.send(notification("window/logMessage", &json!({"type": level, "message": message})));
    }

    fn request(&mut self, id: &str, method: &str, params: &Value) {
        self.requests += 1;
        let id = format!("{id}/{}", self.requests);
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    }

    /// Deals with a message. After a panic the findings of all documents are made anew: none of them may stay as it was
    /// before the message.
    fn guarded_message<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let result = self.guarded(work);
        if result.is_none() {
            self.dirty.extend(self.documents.keys().cloned());
            self.refresh = true;
        }
        result
    }

    /// Ends the work on a message as a defect would, where the environment of a test asks for it.
    fn planned_defect(&self, method: &str) {
        if cfg!(debug_assertions) {
            assert!(self.projects.variable(DEFECT) != Some(method), "planned, in {method}");
        }
    }

    /// Runs a part of the work; a panic in it costs what is known of projects, not the session.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(result) => Some(result),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
                self.log(1, &format!("zdm: a defect of the server, which goes on: {text}"));
                // What was being changed may be half changed.
                self.projects.forget();
                self.places.clear();
                self.unread = false;
                None
            }
        }
    }

    fn message(&mut self, mut message: Value) {
        let method = message.get("method").and_then(Value::as_str).map(str::to_owned);
        let id = message.get("id").cloned();
        let params = message.get_mut("params").map(Value::take).unwrap_or_default();
        match (method, id) {
            (Some(method), Some(id)) => {
                let answer = if self.is_cancelled(&id) {
                    Err(Failure::new(Code::RequestCancelled, "cancelled"))
                } else {
                    let answer = self.guarded_message(|server| server.answer(&method, params, &id));
                    answer.unwrap_or_else(|| Err(Failure::new(Code::InternalError, "a defect of the server")))
                };
                self.send(response(&id, answer));
            }
            (Some(method), None) => {
                if self.stage == Stage::Running
                    && let Some(Err(failure)) = self.guarded_message(|server| server.notified(&method, params))
                {
                    self.log(2, &format!("zdm: {method}: {}", failure.message));
                }
            }
            (None, Some(_)) if message.get("result").is_some() || message.get("error").is_some() => {
                self.guarded(|server| server.answered(&message));
            }
            (None, id) => {
                let failure = Failure::new(Code::InvalidRequest, "neither a request nor a notification nor an answer");
                self.send(response(&id.unwrap_or_default(), Err(failure)));
            }
        }
    }

    /// Whether a cancellation of a request waits behind it.
    fn is_cancelled(&self, id: &Value) -> bool {
        self.queue.iter().any(|received| match received {
            Received::Message(message) => {
                message.get("method").and_then(Value::as_str) == Some("$/cancelRequest")
                    && message.pointer("/params/id") == Some(id)
            }
            Received::Malformed(_) => false,
        })
    }

    fn answer(&mut self, method: &str, params: Value, id: &Value) -> Answer {
        match (self.stage, method) {
            (Stage::New, "initialize") => return Ok(self.initialize(&params)),
            (Stage::New, _) => return Err(Failure::new(Code::ServerNotInitialized, "`initialize` comes first")),
            (Stage::ShutDown, _) => {
                return Err(Failure::new(Code::InvalidRequest, "only `exit` comes after `shutdown`"));
            }
            (Stage::Running, "initialize") => {
                return Err(Failure::new(Code::InvalidRequest, "`initialize` comes once"));
            }
            (Stage::Running, _) => {}
        }
        self.planned_defect(method);
        match method {
            "shutdown" => {
                self.stage = Stage::ShutDown;
                Ok(Value::Null)
            }
            "textDocument/hover" => Ok(self.hover(&read(params)?)),
            "textDocument/codeAction" => Ok(self.code_actions(&read(params)?)),
            "textDocument/codeLens" => Ok(self.lenses(&read(params)?)),
            "textDocument/inlayHint" => Ok(self.hints(&read(params)?)),
            "textDocument/documentSymbol" => Ok(self.symbols(&read(params)?)),
            "textDocument/definition" => Ok(self.definition(&read(params)?)),
            "textDocument/references" => Ok(self.references(&read(params)?)),
            "textDocument/completion" => Ok(self.completion(&read(params)?)),
            "textDocument/diagnostic" => Ok(self.document_diagnostic(&read(params)?)),
            "workspace/diagnostic" => self.workspace_diagnostic(&read(params)?, id),
            "workspace/executeCommand" => self.execute(&read(params)?),
            "workspace/textDocumentContent" => self.content(&params),
            _ => Err(Failure::new(Code::MethodNotFound, format!("`{method}` is not known"))),
        }
    }

    fn notified(&mut self, method: &str, params: Value) -> Result<(), Failure> {
        match method {
            "initialized" => self.initialized(),
            "textDocument/didOpen" => self.opened(read(params)?),
            "textDocument/didChange" => self.edited(&read(params)?),
            "textDocument/didSave" => self.saved(&read(params)?),
            "textDocument/didClose" => self.closed(&read(params)?),
            "workspace/didChangeWatchedFiles" => self.files_changed(&read(params)?),
            "workspace/didChangeConfiguration" => self.configuration_changed(&params),
            "workspace/didChangeWorkspaceFolders" => self.folders_changed(&read(params)?),
            // `$/cancelRequest` is looked for when its request is taken up; other notifications mean nothing here.
            _ => {}
        }
        self.planned_defect(method);
        Ok(())
    }

    // The beginning and the end of a session.

    fn initialize(&mut self, params: &Value) -> Value {
        let can =
            |pointer: &str| params.pointer(&format!("/capabilities/{pointer}")).and_then(Value::as_bool) == Some(true);
        let has = |pointer: &str| params.pointer(&format!("/capabilities/{pointer}")).is_some_and(Value::is_object);
        let texts = |pointer: &str| -> Vec<String> {
            let items = params.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let encodings = texts("/capabilities/general/positionEncodings");
        self.encoding = Encoding::choose(&encodings);
        self.client = Client {
            pulls: has("textDocument/diagnostic"),
            watches: can("workspace/didChangeWatchedFiles/dynamicRegistration"),
            configuration: can("workspace/configuration"),
            refresh_diagnostics: can("workspace/diagnostics/refreshSupport"),
            refresh_lenses: can("workspace/codeLens/refreshSupport"),
            refresh_hints: can("workspace/inlayHint/refreshSupport"),
            edits: EditSupport {
                document_changes: can("workspace/workspaceEdit/documentChanges"),
                create: can("workspace/workspaceEdit/documentChanges")
                    && texts("/capabilities/workspace/workspaceEdit/resourceOperations")
                        .iter()
                        .any(|kind| kind == "create"),
                asks: false,
            },
        };
        self.set(params.get("initializationOptions").unwrap_or(&Value::Null));
        let folders = params.get("workspaceFolders").and_then(Value::as_array);
        let mut uris: Vec<&str> =
            folders.into_iter().flatten().filter_map(|folder| folder.get("uri").and_then(Value::as_str)).collect();
        if uris.is_empty() {
            uris.extend(params.get("rootUri").and_then(Value::as_str));
        }
        for path in uris.into_iter().filter_map(uri::to_path) {
            self.projects.add_folder(&path);
        }
        if let Some(path) = params.get("rootPath").and_then(Value::as_str)
            && self.projects.folders().is_empty()
        {
            self.projects.add_folder(Path::new(path));
        }
        self.stage = Stage::Running;
        json!({
            "capabilities": {
                "positionEncoding": self.encoding.as_str(),
                "textDocumentSync": {"openClose": true, "change": 2, "save": {"includeText": false}},
                "hoverProvider": true,
                "codeActionProvider": {"codeActionKinds": ["quickfix", "refactor.rewrite", "source.fixAll.zdm"]},
                "codeLensProvider": {"resolveProvider": false},
                "inlayHintProvider": true,
                "documentSymbolProvider": true,
                "definitionProvider": true,
                "referencesProvider": true,
                "completionProvider": {"triggerCharacters": ["[", ",", ":", "\"", "="]},
                "diagnosticProvider": {
                    "identifier": "zdm",
                    "interFileDependencies": true,
                    "workspaceDiagnostics": true,
                },
                "executeCommandProvider": {"commands": [SHOW_SQL, EXPLAIN_RULE]},
                "workspace": {
                    "workspaceFolders": {"supported": true, "changeNotifications": true},
                    "textDocumentContent": {"schemes": [pages::SCHEME]},
                },
            },
            "serverInfo": {"name": "zdm-lint", "version": env!("CARGO_PKG_VERSION")},
        })
    }

    fn initialized(&mut self) {
        self.unread = true;
        if self.client.watches {
            let globs =
                ["**/*.py", "**/zdm.toml", "**/pyproject.toml", "**/{pytest,tox}.ini", "**/setup.cfg", "**/zdm-*.json"];
            let watchers: Vec<Value> = globs.iter().map(|glob| json!({"globPattern": glob})).collect();
            let registration = json!({
                "id": "zdm-files",
                "method": "workspace/didChangeWatchedFiles",
                "registerOptions": {"watchers": watchers},
            });
            self.request("register", "client/registerCapability", &json!({"registrations": [registration]}));
        }
        self.ask_for_configuration();
    }

    fn ask_for_configuration(&mut self) {
        if self.client.configuration {
            self.request("configuration", "workspace/configuration", &json!({"items": [{"section": "zdm"}]}));
        }
    }

    /// An answer to a request of ours.
    fn answered(&mut self, message: &Value) {
        let of_configuration =
            message.get("id").and_then(Value::as_str).is_some_and(|id| id.starts_with("configuration/"));
        if of_configuration && let Some(settings) = message.pointer("/result/0").filter(|settings| settings.is_object())
        {
            let settings = settings.clone();
            self.set(&settings);
        }
    }

    fn configuration_changed(&mut self, params: &Value) {
        match params.pointer("/settings/zdm").or_else(|| params.get("settings")).filter(|settings| settings.is_object())
        {
            Some(settings) => {
                let settings = settings.clone();
                self.set(&settings);
            }
            None => self.ask_for_configuration(),
        }
    }

    fn set(&mut self, options: &Value) {
        let (mut settings, wrong) = Settings::read(options);
        for wrong in wrong {
            self.send(notification("window/showMessage", &json!({"type": 2, "message": format!("zdm: {wrong}")})));
        }
        // What the client can do does not change with what its user sets.
        if settings.client_commands.is_empty() {
            settings.client_commands.clone_from(&self.projects.settings.client_commands);
        }
        self.client.edits.asks = settings.client_commands.iter().any(|command| command == actions::SUPPRESS);
        if settings != self.projects.settings {
            self.projects.settings = settings;
            self.start_again();
        }
    }

    /// Finds and reads every project again.
    fn start_again(&mut self) {
        self.projects.forget();
        self.places.clear();
        self.told.clear();
        self.dirty.extend(self.documents.keys().cloned());
        self.refresh = true;
    }

    // Documents and files.

    /// The place of a document in its project; it is asked for again after everything was forgotten.
    fn place(&mut self, key: &str) -> Option<Place> {
        if let Some(place) = self.places.get(key) {
            return Some(place.clone());
        }
        let place = self.projects.find(&uri::to_path(key)?)?;
        self.places.insert(key.to_owned(), place.clone());
        Some(place)
    }

    /// Reads a project if it is not, or does not match its files any more.
    fn ready(&mut self, index: usize) -> bool {
        if self.projects.live(index).is_none() {
            let keys: Vec<String> = self.documents.keys().cloned().collect();
            let mut unsaved: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
            for key in keys {
                if let Some(place) = self.place(&key)
                    && place.project == index
                    && let Some(document) = self.documents.get(&key)
                {
                    unsaved.insert(place.path, Arc::from(document.file.text()));
                }
            }
            self.projects.load(index, || unsaved);
            self.tell_trouble(index);
        } else if self.projects.live(index).is_some_and(zdm_workspace::Live::is_stale) {
            self.projects.update(index);
            self.tell_trouble(index);
        }
        self.projects.live(index).is_some()
    }

    /// Says why a project cannot be read: a mistake in its configuration where it stands, everything else in a message.
    fn tell_trouble(&mut self, index: usize) {
        if let Some(trouble) = self.projects.base_trouble(index) {
            let message = format!("zdm: {trouble}");
            if self.told.insert(message.clone()) {
                self.send(notification("window/showMessage", &json!({"type": 2, "message": message})));
            }
        }
        let Some(project) = self.projects.list.get(index) else { return };
        let (root, trouble) = (project.root.clone(), project.trouble.clone());
        let Some(trouble) = trouble else {
            let root = uri::from_path(&root);
            let mended = self.published.extract_if(.., |uri, _| uri.starts_with(&root) && is_configuration(uri));
            for (uri, _) in mended.collect::<Vec<_>>() {
                let empty = json!({"uri": uri, "diagnostics": []});
                self.send(notification("textDocument/publishDiagnostics", &empty));
            }
            return;
        };
        let message = format!("zdm: {}", trouble.message);
        if !self.told.insert(message.clone()) {
            return;
        }
        // A mistake that is shown in its place needs no more than a warning.
        let level = if trouble.config.is_some() { 2 } else { 1 };
        if let Some(config) = &trouble.config {
            let (path, file) = config_file(&root, config);
            let diagnostics: Vec<Value> = config
                .problems
                .iter()
                .map(|problem| {
                    let help = problem.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
                    json!({
                        "range": self.encoding.range(&file, problem.span),
                        "severity": 1,
                        "source": "zdm",
                        "message": format!("{}{help}", problem.message),
                    })
                })
                .collect();
            let uri = uri::from_path(&path);
            let params = json!({"uri": uri, "diagnostics": diagnostics});
            self.send(notification("textDocument/publishDiagnostics", &params));
            self.published.insert(uri, String::new());
        }
        self.send(notification("window/showMessage", &json!({"type": level, "message": message})));
    }

    fn opened(&mut self, params: DidOpenParams) {
        let item = params.text_document;
        let key = uri::key(&item.uri);
        let document = Document::new(item.uri, item.version, &item.text);
        self.documents.insert(key.clone(), document);
        if let Some(place) = self.place(&key)
            && let Some(live) = self.projects.live_mut(place.project)
        {
            // A file that appeared on disk and that no watcher told of.
            if live.workspace().files.paths().binary_search(&place.path).is_err() {
                live.read_again(&place.path);
            }
        }
        self.take_text(&key);
        if self.published.remove(&key).is_some() && self.client.pulls {
            // What was pushed while it was closed would stand beside what is asked for now.
            let uri = self.documents.get(&key).map(|document| document.uri.clone());
            let params = json!({"uri": uri, "diagnostics": []});
            self.send(notification("textDocument/publishDiagnostics", &params));
        }
    }

    fn edited(&mut self, params: &DidChangeParams) {
        let key = uri::key(&params.text_document.uri);
        let encoding = self.encoding;
        let Some(document) = self.documents.get_mut(&key) else {
            self.log(2, &format!("zdm: an edit of a document that is not open: {}", params.text_document.uri));
            return;
        };
        let version = document.version;
        if !document.apply(params.text_document.version, &params.content_changes, encoding) {
            self.log(
                2,
                &format!(
                    "zdm: an edit of an old version of {} is passed over: {version} is newer",
                    params.text_document.uri
                ),
            );
            return;
        }
        self.take_text(&key);
    }

    /// Hands a document's text to its project.
    fn take_text(&mut self, key: &str) {
        self.dirty.insert(key.to_owned());
        let Some(place) = self.place(key) else { return };
        let Some(document) = self.documents.get(key) else { return };
        let Some(live) = self.projects.live_mut(place.project) else { return };
        if live.set_text(&place.path, document.file.text()) == Reach::Project {
            self.others_changed(place.project);
        }
    }

    /// The findings of every open document of a project may be others.
    fn others_changed(&mut self, project: usize) {
        let of_project = self.places.iter().filter(|(_, place)| place.project == project).map(|(key, _)| key);
        let open: Vec<String> = of_project.filter(|key| self.documents.contains_key(*key)).cloned().collect();
        self.dirty.extend(open);
        self.refresh = true;
    }

    fn saved(&mut self, params: &DidSaveParams) {
        let key = uri::key(&params.text_document.uri);
        if let (Some(text), Some(document)) = (&params.text, self.documents.get_mut(&key))
            && document.file.text() != text
        {
            *document = Document::new(document.uri.clone(), document.version, text);
            self.take_text(&key);
        }
        if is_configuration(&key) {
            self.start_again();
        } else if !self.client.watches
            && let Some(place) = self.place(&key)
            && let Some(live) = self.projects.live_mut(place.project)
        {
            // Nobody tells of other files, so look after them now.
            live.reload();
            self.others_changed(place.project);
        }
    }

    fn closed(&mut self, params: &TextDocumentParams) {
        let key = uri::key(&params.text_document.uri);
        let Some(document) = self.documents.remove(&key) else { return };
        let place = self.place(&key);
        self.places.remove(&key);
        self.dirty.remove(&key);
        if let Some(place) = place
            && let Some(live) = self.projects.live_mut(place.project)
        {
            match live.read_again(&place.path) {
                Reach::Nothing => {}
                Reach::Migration => self.refresh = true,
                Reach::Project => self.others_changed(place.project),
            }
        }
        if self.projects.settings.whole_workspace {
            if let Some(place) = self.place(&key) {
                self.places.remove(&key);
                if !self.client.pulls {
                    // What was pushed for the text that was open may not hold for the file.
                    self.published.insert(key, String::new());
                }
                self.publish_closed(&place);
            }
        } else if !self.client.pulls {
            let params = json!({"uri": document.uri, "diagnostics": []});
            self.send(notification("textDocument/publishDiagnostics", &params));
        }
    }

    fn files_changed(&mut self, params: &DidChangeWatchedFilesParams) {
        for change in &params.changes {
            let key = uri::key(&change.uri);
            if is_configuration(&key) || extension(&key) == Some("json") {
                // A configuration that appears or goes may move the project's root.
                self.start_again();
                return;
            }
            // What is open is as the editor has it.
            if self.documents.contains_key(&key) && change.kind != 3 {
                continue;
            }
            let Some(path) = uri::to_path(&key) else { continue };
            let Some(place) = self.projects.find(&path) else { continue };
            let Some(live) = self.projects.live_mut(place.project) else { continue };
            if live.read_again(&place.path) != Reach::Nothing {
                self.others_changed(place.project);
            }
            // A file that is gone on disk stays in the editor.
            if self.documents.contains_key(&key) {
                self.take_text(&key);
            }
        }
    }

    fn folders_changed(&mut self, params: &DidChangeWorkspaceFoldersParams) {
        let path = |folder: &WorkspaceFolder| uri::to_path(&folder.uri);
        for path in params.event.removed.iter().filter_map(path) {
            self.projects.remove_folder(&path);
        }
        for path in params.event.added.iter().filter_map(path) {
            self.projects.add_folder(&path);
        }
        self.start_again();
        self.unread = true;
    }

    // Findings.

    /// Publishes what is dirty, but for documents of which a newer text waits.
    fn publish_current(&mut self) {
        if self.dirty.is_empty() {
            return;
        }
        let waits = |key: &str| {
            self.queue.iter().any(|received| match received {
                Received::Message(message) => {
                    message.get("method").and_then(Value::as_str) == Some("textDocument/didChange")
                        && message
                            .pointer("/params/textDocument/uri")
                            .and_then(Value::as_str)
                            .is_some_and(|uri| uri::key(uri) == key)
                }
                Received::Malformed(_) => false,
            })
        };
        let now: Vec<String> = self.dirty.iter().filter(|key| !waits(key)).cloned().collect();
        for key in now {
            self.dirty.remove(&key);
            self.guarded(|server| server.publish(&key));
        }
    }

    fn publish(&mut self, key: &str) {
        let Some(place) = self.place(key) else { return };
        // The project is read even for a client that asks for findings: it will, and lenses do too.
        if !self.ready(place.project) || self.client.pulls || self.stage != Stage::Running {
            return;
        }
        let findings = self.findings(&place);
        let Some(document) = self.documents.get(key) else { return };
        let diagnostics = self.wire(&place, &findings);
        let params = json!({"uri": document.uri, "version": document.version, "diagnostics": diagnostics});
        self.send(notification("textDocument/publishDiagnostics", &params));
    }

    /// The findings of a file with its newest text.
    fn findings(&mut self, place: &Place) -> Vec<Diagnostic> {
        if let Some(live) = self.projects.live_mut(place.project) {
            live.refresh(&place.path);
        }
        self.projects.findings(place)
    }

    fn wire(&self, place: &Place, findings: &[Diagnostic]) -> Vec<Value> {
        let convert = |found| publish::diagnostic(found, place.project, &self.projects, self.encoding);
        findings.iter().map(convert).collect()
    }

    /// Publishes a file that is not open.
    fn publish_closed(&mut self, place: &Place) {
        let Some(uri) = self.projects.uri(place.project, &place.path) else { return };
        if self.documents.contains_key(&uri::key(&uri)) {
            return;
        }
        let findings = self.projects.findings(place);
        if findings.is_empty() && !self.published.contains_key(&uri) {
            return;
        }
        let diagnostics = self.wire(place, &findings);
        let id = result_id(&diagnostics);
        if self.published.get(&uri) == Some(&id) {
            return;
        }
        let params = json!({"uri": uri, "diagnostics": diagnostics});
        self.send(notification("textDocument/publishDiagnostics", &params));
        if findings.is_empty() {
            self.published.remove(&uri);
        } else {
            self.published.insert(uri, id);
        }
    }

    fn has_work(&self) -> bool {
        self.stage == Stage::Running
            && (!self.dirty.is_empty()
                || self.unread
                || self.refresh
                || self.projects.list.iter().any(|project| {
                    project.trouble.is_none() && project.live.as_ref().is_some_and(|live| !live.is_settled())
                }))
    }

    /// One slice of what can wait.
    fn background(&mut self) {
        if !self.dirty.is_empty() {
            self.publish_current();
            return;
        }
        let count = self.projects.list.len();
        for index in 0..count {
            let Some(project) = self.projects.list.get(index) else { continue };
            if project.trouble.is_some() || project.live.as_ref().is_none_or(zdm_workspace::Live::is_settled) {
                continue;
            }
            self.ready(index);
            self.spread(index);
            return;
        }
        if std::mem::take(&mut self.unread) {
            for index in self.projects.of_folders() {
                self.ready(index);
            }
            return;
        }
        if std::mem::take(&mut self.refresh) {
            let client = self.client;
            for (wanted, method) in [
                (client.pulls && client.refresh_diagnostics, "workspace/diagnostic/refresh"),
                (client.refresh_lenses, "workspace/codeLens/refresh"),
                (client.refresh_hints, "workspace/inlayHint/refresh"),
            ] {
                if wanted {
                    self.request("refresh", method, &Value::Null);
                }
            }
        }
    }

    /// Spreads edits to later migrations until a message comes.
    fn spread(&mut self, index: usize) {
        let begin = Instant::now();
        let Self { inbox, queue, projects, .. } = self;
        let Some(live) = projects.live_mut(index) else { return };
        let changed = live.settle(|| match inbox.try_recv() {
            Ok(received) => {
                queue.push_back(received);
                false
            }
            Err(TryRecvError::Empty) => begin.elapsed() < SLICE,
            Err(TryRecvError::Disconnected) => false,
        });
        let settled = live.is_settled();
        let whole = self.projects.settings.whole_workspace;
        self.refresh |= !changed.is_empty();
        for path in changed {
            let place = Place { project: index, path };
            let open = self.places.iter().find(|(_, own)| **own == place).map(|(key, _)| key.clone());
            match open.filter(|key| self.documents.contains_key(key)) {
                Some(key) => {
                    self.dirty.insert(key);
                }
                None if whole => self.publish_closed(&place),
                None => {}
            }
        }
        if settled && whole {
            // Findings about the project as a whole may stand in any file.
            let paths = self.projects.live(index).map(zdm_workspace::Live::paths).unwrap_or_default();
            for path in paths {
                self.publish_closed(&Place { project: index, path });
            }
        }
    }

    fn document_diagnostic(&mut self, params: &TextDocumentParams) -> Value {
        let key = uri::key(&params.text_document.uri);
        let Some(place) = self.place(&key) else { return json!({"kind": "full", "items": []}) };
        if !self.ready(place.project) {
            return json!({"kind": "full", "items": []});
        }
        self.dirty.remove(&key);
        let findings = self.findings(&place);
        let items = self.wire(&place, &findings);
        let id = result_id(&items);
        if params.previous_result_id.as_deref() == Some(&id) {
            return json!({"kind": "unchanged", "resultId": id});
        }
        json!({"kind": "full", "resultId": id, "items": items})
    }

    fn workspace_diagnostic(&mut self, params: &WorkspaceDiagnosticParams, id: &Value) -> Answer {
        let mut indices: Vec<usize> = self.projects.of_folders();
        indices.extend(self.places.values().map(|place| place.project));
        indices.sort_unstable();
        indices.dedup();
        let previous: BTreeMap<String, &str> =
            params.previous_result_ids.iter().map(|known| (uri::key(&known.uri), known.value.as_str())).collect();
        let mut reported: BTreeSet<String> = BTreeSet::new();
        let mut items = Vec::new();
        for index in indices {
            if !self.ready(index) {
                continue;
            }
            while self.projects.live(index).is_some_and(|live| !live.is_settled()) {
                self.spread(index);
                self.receive_waiting();
                if self.is_cancelled(id) {
                    return Err(Failure::new(Code::RequestCancelled, "cancelled"));
                }
            }
            for path in self.projects.live(index).map(zdm_workspace::Live::paths).unwrap_or_default() {
                let place = Place { project: index, path };
                let Some(uri) = self.projects.uri(index, &place.path) else { continue };
                let key = uri::key(&uri);
                let findings = self.projects.findings(&place);
                let diagnostics = self.wire(&place, &findings);
                if diagnostics.is_empty() && !previous.contains_key(&key) {
                    continue;
                }
                let open = self.documents.get(&key);
                let uri = open.map_or(uri, |document| document.uri.clone());
                let version = open.map(|document| document.version);
                let id = result_id(&diagnostics);
                items.push(if previous.get(&key) == Some(&id.as_str()) {
                    json!({"kind": "unchanged", "uri": uri, "version": version, "resultId": id})
                } else {
                    json!({"kind": "full", "uri": uri, "version": version, "resultId": id, "items": diagnostics})
                });
                reported.insert(key);
            }
        }
        // Files that are gone.
        for (key, _) in previous.iter().filter(|(key, _)| !reported.contains(*key)) {
            items.push(json!({"kind": "full", "uri": key, "version": null, "items": []}));
        }
        Ok(json!({"items": items}))
    }

    fn receive_waiting(&mut self) {
        while let Ok(received) = self.inbox.try_recv() {
            self.queue.push_back(received);
        }
    }

    // What an editor asks for.

    /// A document's text as it is analysed, with its place; its trace and findings are up to date.
    fn prepare(&mut self, uri: &str) -> Result<(Place, SourceFile), Failure> {
        let key = uri::key(uri);
        let none = || Failure::new(Code::RequestFailed, format!("`{uri}` is no file of a project"));
        let place = self.place(&key).ok_or_else(none)?;
        if !self.ready(place.project) {
            return Err(Failure::new(Code::RequestFailed, "the project cannot be read"));
        }
        let live = self.projects.live_mut(place.project).ok_or_else(none)?;
        live.refresh(&place.path);
        let file = match self.documents.get(&key) {
            Some(document) => document.file.clone(),
            None => live.text(&place.path).ok_or_else(none)?,
        };
        Ok((place, file))
    }

    fn hover(&mut self, params: &PositionParams) -> Value {
        let Ok((place, file)) = self.prepare(&params.text_document.uri) else { return Value::Null };
        let findings = self.projects.judgements(&place);
        let offset = self.encoding.offset(&file, params.position);
        let trace = self.projects.live(place.project).and_then(|live| live.trace(&place.path));
        let found = hover::hover(&file, trace.map(|trace| &**trace), &findings, offset);
        found.map_or(Value::Null, |(text, span)| {
            json!({"contents": {"kind": "markdown", "value": text}, "range": self.encoding.range(&file, span)})
        })
    }

    fn code_actions(&mut self, params: &RangeParams) -> Value {
        let Ok((place, file)) = self.prepare(&params.text_document.uri) else { return json!([]) };
        let findings = self.projects.findings(&place);
        let only = params.context.get("only").and_then(Value::as_array).into_iter().flatten();
        let only: Vec<&str> = only.filter_map(Value::as_str).collect();
        let cx = actions::Cx {
            projects: &self.projects,
            documents: &self.documents,
            place: &place,
            file: &file,
            findings: &findings,
            encoding: self.encoding,
            support: self.client.edits,
        };
        Value::Array(actions::actions(&cx, self.encoding.span(&file, params.range), &only))
    }

    fn lenses(&mut self, params: &TextDocumentParams) -> Value {
        if self.projects.settings.no_code_lens {
            return json!([]);
        }
        let Ok((place, file)) = self.prepare(&params.text_document.uri) else { return json!([]) };
        let findings = self.projects.judgements(&place);
        let trace = self.projects.live(place.project).and_then(|live| live.trace(&place.path));
        let uri = &params.text_document.uri;
        trace.map_or(json!([]), |trace| outline::lenses(&file, trace, &findings, uri, self.encoding))
    }

    fn hints(&mut self, params: &RangeParams) -> Value {
        if self.projects.settings.no_inlay_hints {
            return json!([]);
        }
        let Ok((place, file)) = self.prepare(&params.text_document.uri) else { return json!([]) };
        let range = self.encoding.span(&file, params.range);
        let trace = self.projects.live(place.project).and_then(|live| live.trace(&place.path));
        trace.map_or(json!([]), |trace| outline::hints(&file, trace, range, self.encoding))
    }

    fn symbols(&mut self, params: &TextDocumentParams) -> Value {
        let Ok((place, file)) = self.prepare(&params.text_document.uri) else { return json!([]) };
        let trace = self.projects.live(place.project).and_then(|live| live.trace(&place.path));
        trace.map_or(json!([]), |trace| outline::symbols(&file, trace, self.encoding))
    }

    fn location(&self, project: usize, found: &navigate::Found) -> Option<Value> {
        let uri = self.projects.uri(project, found.file.path())?;
        Some(json!({"uri": uri, "range": self.encoding.range(&found.file, found.span)}))
    }

    fn definition(&mut self, params: &PositionParams) -> Value {
        let Ok((place, file)) = self.prepare(&params.text_document.uri) else { return Value::Null };
        let offset = self.encoding.offset(&file, params.position);
        let Some(live) = self.projects.live(place.project) else { return Value::Null };
        let found = navigate::definition(live, &place.path, offset);
        found.and_then(|found| self.location(place.project, &found)).unwrap_or_default()
    }

    fn references(&mut self, params: &PositionParams) -> Value {
        let Ok((place, file)) = self.prepare(&params.text_document.uri) else { return json!([]) };
        let offset = self.encoding.offset(&file, params.position);
        let with_creation = params.context.get("includeDeclaration").and_then(Value::as_bool) != Some(false);
        let Some(live) = self.projects.live(place.project) else { return json!([]) };
        let found = navigate::references(live, &place.path, offset, with_creation);
        found.iter().filter_map(|found| self.location(place.project, found)).collect()
    }

    fn completion(&mut self, params: &PositionParams) -> Value {
        let key = uri::key(&params.text_document.uri);
        let Some(document) = self.documents.get(&key) else { return json!([]) };
        let offset = self.encoding.offset(&document.file, params.position);
        let name = key.rsplit('/').next().unwrap_or("");
        let items = complete::complete(&document.file, name, offset);
        json!({"isIncomplete": false, "items": items})
    }

    fn execute(&mut self, params: &ExecuteCommandParams) -> Answer {
        let argument = params.arguments.first().and_then(Value::as_str);
        let missing = || Failure::new(Code::InvalidParams, format!("`{}` wants an argument", params.command));
        match params.command.as_str() {
            SHOW_SQL => {
                let (place, _) = self.prepare(argument.ok_or_else(missing)?)?;
                let sql = self.projects.live(place.project).and_then(|live| pages::sql(live, &place.path));
                sql.ok_or_else(|| Failure::new(Code::RequestFailed, "this file holds no migration"))
            }
            EXPLAIN_RULE => {
                let rule = argument.ok_or_else(missing)?;
                pages::explain(rule)
                    .ok_or_else(|| Failure::new(Code::RequestFailed, format!("there is no rule `{rule}`")))
            }
            other => Err(Failure::new(Code::InvalidParams, format!("`{other}` is not known"))),
        }
    }

    /// The text of a document with our scheme.
    fn content(&mut self, params: &Value) -> Answer {
        let uri =
            params.get("uri").or_else(|| params.pointer("/textDocument/uri")).and_then(Value::as_str).unwrap_or("");
        let none = || Failure::new(Code::RequestFailed, format!("there is no document `{uri}`"));
        let document = match pages::read(uri).ok_or_else(none)? {
            Wanted::Rule(code) => pages::explain(code),
            Wanted::Sql { app, name } => {
                let key = zdm_django::MigrationKey::new(app, name);
                let found = (0..self.projects.list.len()).find_map(|index| {
                    let migration = self.projects.live(index)?.workspace().project.migration(&key)?;
                    Some((index, migration.file.path_arc()))
                });
                found.and_then(|(index, path)| {
                    self.ready(index);
                    let live = self.projects.live_mut(index)?;
                    live.refresh(&path);
                    pages::sql(live, &path)
                })
            }
        };
        Ok(json!({"text": document.ok_or_else(none)?["text"]}))
    }
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, Failure> {
    serde_json::from_value(params).map_err(|error| Failure::new(Code::InvalidParams, error.to_string()))
}

fn is_configuration(uri: &str) -> bool {
    CONFIGURATION.contains(&uri.rsplit('/').next().unwrap_or(uri))
}

fn extension(uri: &str) -> Option<&str> {
    uri.rsplit_once('.').map(|(_, extension)| extension)
}

/// Names the content of a list of findings.
fn result_id(items: &[Value]) -> String {
    let mut hasher = DefaultHasher::new();
    Value::from(items.to_vec()).to_string().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_does_not_end_the_session() {
        let (_, inbox) = channel();
        let (out, written) = channel();
        let mut server = Server::new(inbox, out, BTreeMap::new());
        assert_eq!(server.guarded(|_| -> u32 { panic!("on purpose") }), None);
        assert_eq!(server.guarded(|_| 7), Some(7));
        let logged = written.recv().unwrap();
        assert_eq!(logged["method"], "window/logMessage");
        assert!(logged["params"]["message"].as_str().unwrap().contains("on purpose"));
    }
}
