//! What goes wrong: malformed messages, cancellations, edits in every order and number, clients that go away.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use zdm_server::Ended;
use zdm_testkit::Random;
use zdm_workspace::{Request, Workspace};

use crate::client::{Client, codes, position, shop, uri};

const PATH: &str = "orders/migrations/0002_order_reference.py";

#[test]
fn a_session_ends_in_order_or_not() {
    let (_folder, root) = shop();
    assert_eq!(Client::plain(&root).finish(), Ended::InOrder);
    assert_eq!(Client::plain(&root).vanish(), Ended::Abruptly);
    assert_eq!(Client::raw(&root).vanish(), Ended::Abruptly);
    let mut client = Client::plain(&root);
    client.open(PATH);
    client.request("shutdown", Value::Null);
    let id = client.ask("textDocument/hover", client.document(PATH));
    assert_eq!(client.answer(id)["error"]["code"], -32600);
    client.notify("exit", Value::Null);
}

#[test]
fn nothing_is_answered_before_the_session_begins() {
    let (_folder, root) = shop();
    let mut client = Client::raw(&root);
    let id = client.ask("textDocument/hover", json!({}));
    assert_eq!(client.answer(id)["error"]["code"], -32002);
    client.notify("textDocument/didOpen", json!({}));
    client.request("initialize", json!({"capabilities": {}}));
    let id = client.ask("initialize", json!({"capabilities": {}}));
    assert_eq!(client.answer(id)["error"]["code"], -32600);
    client.finish();
}

#[test]
fn malformed_messages_are_answered_and_passed_over() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let error = |client: &mut Client| client.wait(|message| message.get("error").is_some())["error"]["code"].clone();
    client.write(b"Content-Length: 5\r\n\r\n{\"a\":");
    assert_eq!(error(&mut client), -32700);
    client.write(b"what is this\r\n\r\n");
    assert_eq!(error(&mut client), -32700);
    client.write(b"Content-Length: 2\r\n\r\n\xff\xfe");
    assert_eq!(error(&mut client), -32700);
    client.send(&json!([1, 2, 3]));
    assert_eq!(error(&mut client), -32600);
    client.send(&json!({"jsonrpc": "2.0", "id": 1000}));
    assert_eq!(error(&mut client), -32600);
    let id = client.ask("no/such/method", json!({}));
    assert_eq!(client.answer(id)["error"]["code"], -32601);
    let id = client.ask("textDocument/hover", json!({"textDocument": 7}));
    assert_eq!(client.answer(id)["error"]["code"], -32602);
    client.notify(
        "textDocument/didChange",
        json!({"textDocument": {"uri": "file:///nowhere.py", "version": 3}, "contentChanges": []}),
    );
    client.notify(
        "textDocument/didOpen",
        json!({"textDocument": {"uri": "not a uri at all", "version": 1, "text": "x"}}),
    );
    client.notify("textDocument/didOpen", json!({"textDocument": {"uri": "untitled:one", "version": 1, "text": "x"}}));
    client.notify("workspace/didChangeWatchedFiles", json!({"changes": [{"uri": "file:///%zz", "type": 9}]}));
    client.notify("$/setTrace", json!({"value": "off"}));
    let id = client.ask("textDocument/hover", json!({"textDocument": {"uri": "untitled:one"}, "position": {"line": 4_000_000_000_u32, "character": 4_000_000_000_u32}}));
    assert_eq!(client.answer(id)["result"], Value::Null);
    client.open(PATH);
    client.published(PATH, 1);
    assert_eq!(client.finish(), Ended::InOrder);
}

#[test]
fn a_request_that_is_cancelled_while_it_waits_is_not_carried_out() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    client.open(PATH);
    client.published(PATH, 1);
    // In one piece, so that the cancellation waits behind its request.
    let mut bytes = Vec::new();
    for message in [
        json!({"jsonrpc": "2.0", "id": 500, "method": "textDocument/codeLens", "params": client.document(PATH)}),
        json!({"jsonrpc": "2.0", "id": 501, "method": "workspace/diagnostic", "params": {"previousResultIds": []}}),
        json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 501}}),
        json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 12345}}),
        json!({"jsonrpc": "2.0", "id": 502, "method": "textDocument/documentSymbol", "params": client.document(PATH)}),
    ] {
        let text = message.to_string();
        bytes.extend(format!("Content-Length: {}\r\n\r\n{text}", text.len()).into_bytes());
    }
    client.write(&bytes);
    assert!(client.answer(500).get("result").is_some());
    let cancelled = client.answer(501);
    // The answer may have been on its way already; it comes once in any case.
    assert!(cancelled["error"]["code"] == -32800 || cancelled.get("result").is_some(), "{cancelled}");
    assert!(client.answer(502)["result"].is_array());
    client.finish();
}

#[test]
fn a_defect_costs_one_answer_and_no_edit() {
    let (_folder, root) = shop();
    for method in ["textDocument/hover", "textDocument/didChange", "textDocument/diagnostic"] {
        let environment = BTreeMap::from([("ZDM_TEST_DEFECT".to_owned(), method.to_owned())]);
        let mut client = Client::raw_in(&root, environment).begin(json!({}), Value::Null);
        let path = "orders/migrations/0016_new.py";
        let text = "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    \
                    dependencies = [(\"orders\", \"0015_drop_note\")]\n    operations = [\n        \
                    migrations.RunPython(print),\n    ]\n";
        client.open_with(path, text);
        assert!(client.codes(path, 1).contains(&"ZDM501".to_owned()));
        // Two edits on top of each other: neither may get lost, whichever message ends in a defect.
        let at = position(text, text.find("print").unwrap());
        let insert = |text: &str| json!([{"range": {"start": at, "end": at}, "text": text}]);
        client.change(path, insert("NoSuch"));
        let id = client.ask("textDocument/hover", client.at(path, text, "RunPython"));
        let hover = client.answer(id);
        let pulled = client.ask("textDocument/diagnostic", client.document(path));
        let pulled = client.answer(pulled);
        for (own, answer) in [("textDocument/hover", &hover), ("textDocument/diagnostic", &pulled)] {
            let failed = answer["error"]["code"] == -32603;
            assert_eq!(failed, own == method, "{method}: {answer}");
        }
        let told = client.wait(|message| message["method"] == "window/logMessage");
        let told = told["params"]["message"].as_str().unwrap();
        assert!(told.contains("a defect of the server, which goes on") && told.contains(method), "{told}");
        let version = client.change(path, insert("Thing"));
        let found = client.published(path, version);
        assert!(codes(&found).contains(&"ZDM501".to_owned()), "{found:?}");
        let symbols = client.request("textDocument/documentSymbol", client.document(path));
        assert_eq!(symbols[0]["children"].as_array().unwrap().len(), 1, "{symbols}");
        let shown = client
            .request("workspace/executeCommand", json!({"command": "zdm.showSql", "arguments": [client.uri(path)]}));
        assert!(shown["text"].as_str().unwrap().contains("orders.0016_new"), "{shown}");
        let end = client.request(
            "textDocument/codeAction",
            json!({
                "textDocument": {"uri": client.uri(path)}, "range": found[0]["range"], "context": {},
            }),
        );
        let edits = end.to_string();
        assert!(edits.contains("ThingNoSuchprint, reverse_code") || edits.contains("reverse_code"), "{edits}");
        assert_eq!(client.finish(), Ended::InOrder);
    }
}

#[test]
fn an_edit_of_an_old_version_does_not_win() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let text = client.open(PATH);
    client.published(PATH, 1);
    let broken = text.replace("migrations.AddField", "migrations.NoSuchThing");
    let change = |version: i64, text: &str| json!({"textDocument": {"uri": uri(&root.join(PATH)), "version": version}, "contentChanges": [{"text": text}]});
    client.notify("textDocument/didChange", change(5, &broken));
    client.notify("textDocument/didChange", change(4, &text));
    assert!(client.codes(PATH, 5).contains(&"ZDM901".to_owned()));
    client.wait(|message| {
        message["method"] == "window/logMessage"
            && message["params"]["message"].as_str().unwrap().contains("old version")
    });
    let report = client.request("textDocument/diagnostic", client.document(PATH));
    assert!(codes(report["items"].as_array().unwrap()).contains(&"ZDM901".to_owned()));
    client.notify("textDocument/didChange", change(6, &text));
    assert!(!client.codes(PATH, 6).contains(&"ZDM901".to_owned()));
    client.finish();
}

#[test]
fn positions_count_in_the_agreed_unit() {
    let (_folder, root) = shop();
    let text = "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    \
                dependencies = [(\"orders\", \"0015_drop_note\")]\n    operations = [\n        \
                'ä😀', migrations.NoSuchThing(),\n    ]\n";
    let path = "orders/migrations/0016_new.py";
    for (offered, agreed, column) in [
        (json!(["utf-8", "utf-16"]), "utf-8", 18),
        (json!(["utf-16"]), "utf-16", 15),
        (json!(["utf-32"]), "utf-32", 14),
        (Value::Null, "utf-16", 15),
    ] {
        let mut client = Client::start(&root, json!({"general": {"positionEncodings": offered}}), Value::Null);
        assert_eq!(client.capabilities["positionEncoding"], agreed);
        client.open_with(path, text);
        let found = client.published(path, 1);
        let start = |found: &Value| found["range"]["start"]["character"].as_u64().unwrap();
        assert!(found.iter().any(|found| found["code"] == "ZDM901" && start(found) == column), "{agreed}: {found:?}");
        // The edit is in the same unit: it deletes from the call to the end of its name.
        let range = json!({"start": {"line": 6, "character": column}, "end": {"line": 6, "character": column + 11}});
        let version = client.change(path, json!([{"range": range, "text": "other."}]));
        client.published(path, version);
        let symbols = client.request("textDocument/documentSymbol", client.document(path));
        assert!(symbols.to_string().contains("NoSuchThing"), "{symbols}");
        client.finish();
    }
}

#[test]
fn typing_letter_by_letter_ends_where_it_should() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let path = "orders/migrations/0016_typed.py";
    let text = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    \
                dependencies = [(\"orders\", \"0015_drop_note\")]\n    operations = [\n        \
                migrations.AddIndex(\"order\", models.Index(fields=[\"total\"], name=\"ä😀\")),\n    ]\n";
    client.open_with(path, "");
    let mut version = 1;
    for (offset, letter) in text.char_indices() {
        let position = position(text, offset);
        let range = json!({"start": position, "end": position});
        version = client.change(path, json!([{"range": range, "text": letter.to_string()}]));
    }
    let typed = client.codes(path, version);
    client.finish();
    let mut client = Client::plain(&root);
    client.open_with(path, text);
    assert_eq!(typed, client.codes(path, 1));
    assert!(typed.contains(&"ZDM101".to_owned()), "{typed:?}");
    client.finish();
}

#[test]
fn thousands_of_edits_leave_the_findings_of_the_last_text() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let paths = [
        PATH,
        "orders/migrations/0001_initial.py",
        "catalog/migrations/0001_initial.py",
        "customers/migrations/0006_tidy_phones.py",
    ];
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    let mut versions: BTreeMap<&str, i64> = BTreeMap::new();
    for path in paths {
        texts.insert(path, client.open(path));
        versions.insert(path, 1);
    }
    let originals = texts.clone();
    let mut random = Random::new(0x00ED_1775);
    let pieces = ["(", ")", ",\n", "'", "\"\"\"", "null=True", "x", "é😀", "#", "migrations."];
    for round in 0..3000 {
        let path = paths[random.below(paths.len())];
        let text = texts[path].clone();
        let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let start = boundaries[random.below(boundaries.len())];
        let (from, to, new) = match random.below(12) {
            0 => (0, text.len(), originals[path].as_str()),
            1..=5 => {
                let end = boundaries.iter().copied().find(|at| *at >= start + 3).unwrap_or(text.len());
                (start, end, "")
            }
            _ => (start, start, pieces[random.below(pieces.len())]),
        };
        let range = json!({"start": position(&text, from), "end": position(&text, to)});
        let version = client.change(path, json!([{"range": range, "text": new}]));
        versions.insert(path, version);
        texts.insert(path, format!("{}{new}{}", &text[..from], &text[to..]));
        if round % 500 == 0 {
            client.request(
                "textDocument/codeAction",
                json!({"textDocument": {"uri": client.uri(path)}, "range": range, "context": {}}),
            );
            client.others.clear();
        }
    }
    let report = client.request("workspace/diagnostic", json!({"previousResultIds": []}));
    let mut found: Vec<(String, String, String)> = Vec::new();
    for item in report["items"].as_array().unwrap() {
        let path = item["uri"].as_str().unwrap().strip_prefix(&format!("{}/", uri(&root))).unwrap().to_owned();
        for one in item["items"].as_array().unwrap() {
            found.push((
                path.clone(),
                one["code"].as_str().unwrap().to_owned(),
                one["range"]["start"]["line"].to_string(),
            ));
        }
    }
    client.finish();
    for (path, text) in &texts {
        fs::write(root.join(path), text).unwrap();
    }
    let request = Request { current: root.clone(), ..Request::default() };
    let analysis = Workspace::load(&request).unwrap().analyse(&request).unwrap();
    let mut expected: Vec<(String, String, String)> = analysis
        .diagnostics
        .iter()
        .filter(|found| found.suppressed.is_none() && !found.primary.file.path().is_empty())
        .map(|found| {
            let file = &found.primary.file;
            let line = file.line_column(found.primary.span.start).line - 1;
            (file.path().to_owned(), found.code.code.to_owned(), line.to_string())
        })
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
