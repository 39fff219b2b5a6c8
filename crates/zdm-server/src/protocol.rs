//! The structures of the protocol, as far as they are used, under the protocol's names.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An error answer's code. Source: the protocol's "ErrorCodes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    ParseError = -32700,
    InvalidRequest = -32600,
    MethodNotFound = -32601,
    InvalidParams = -32602,
    InternalError = -32603,
    ServerNotInitialized = -32002,
    RequestCancelled = -32800,
    RequestFailed = -32803,
}

/// Why a request has no result.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

pub(crate) type Answer = Result<Value, Failure>;

pub(crate) fn response(id: &Value, answer: Answer) -> Value {
    match answer {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(failure) => json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": {"code": failure.code as i32, "message": failure.message},
        }),
    }
}

pub(crate) fn notification(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

/// Lines and characters count from 0; what a character is the two sides agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) character: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Range {
    pub(crate) start: Position,
    pub(crate) end: Position,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TextEdit {
    pub(crate) range: Range,
    pub(crate) new_text: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TextDocumentIdentifier {
    pub(crate) uri: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TextDocumentParams {
    pub(crate) text_document: TextDocumentIdentifier,
    #[serde(default)]
    pub(crate) previous_result_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PositionParams {
    pub(crate) text_document: TextDocumentIdentifier,
    pub(crate) position: Position,
    #[serde(default)]
    pub(crate) context: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RangeParams {
    pub(crate) text_document: TextDocumentIdentifier,
    pub(crate) range: Range,
    #[serde(default)]
    pub(crate) context: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TextDocumentItem {
    pub(crate) uri: String,
    #[serde(default)]
    pub(crate) version: i64,
    pub(crate) text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DidOpenParams {
    pub(crate) text_document: TextDocumentItem,
}

#[derive(Debug, Deserialize)]
pub(crate) struct VersionedTextDocumentIdentifier {
    pub(crate) uri: String,
    #[serde(default)]
    pub(crate) version: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DidChangeParams {
    pub(crate) text_document: VersionedTextDocumentIdentifier,
    pub(crate) content_changes: Vec<ContentChange>,
}

/// Without a range the text is the whole document.
#[derive(Debug, Deserialize)]
pub(crate) struct ContentChange {
    #[serde(default)]
    pub(crate) range: Option<Range>,
    pub(crate) text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DidSaveParams {
    pub(crate) text_document: TextDocumentIdentifier,
    #[serde(default)]
    pub(crate) text: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DidChangeWatchedFilesParams {
    pub(crate) changes: Vec<FileEvent>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FileEvent {
    pub(crate) uri: String,
    /// 1 created, 2 changed, 3 deleted.
    #[serde(rename = "type", default)]
    pub(crate) kind: u8,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WorkspaceFolder {
    pub(crate) uri: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DidChangeWorkspaceFoldersParams {
    pub(crate) event: WorkspaceFoldersChangeEvent,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WorkspaceFoldersChangeEvent {
    #[serde(default)]
    pub(crate) added: Vec<WorkspaceFolder>,
    #[serde(default)]
    pub(crate) removed: Vec<WorkspaceFolder>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ExecuteCommandParams {
    pub(crate) command: String,
    #[serde(default)]
    pub(crate) arguments: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkspaceDiagnosticParams {
    #[serde(default)]
    pub(crate) previous_result_ids: Vec<PreviousResultId>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PreviousResultId {
    pub(crate) uri: String,
    pub(crate) value: String,
}
