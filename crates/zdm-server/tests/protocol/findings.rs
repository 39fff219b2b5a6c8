//! Findings: pushed, pulled, of the whole workspace, and following other files.

use std::fs;

use serde_json::{Value, json};

use crate::client::{Client, codes, shop, under, uri};

const INDEX: &str = "orders/migrations/0007_order_status_index.py";

/// A migration behind the shop's that adds an index without CONCURRENTLY.
const NEW: &str = "catalog/migrations/0013_by_name.py";
const NEW_TEXT: &str = "from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [(\"catalog\", \"0012_remove_product_weight\")]
    operations = [
        migrations.AddIndex(\"product\", models.Index(fields=[\"name\"], name=\"by_name\")),
    ]
";

#[test]
fn an_unsaved_file_has_findings_while_it_is_typed() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    client.open_with(NEW, NEW_TEXT);
    let found = client.published(NEW, 1);
    let index = found.iter().find(|found| found["code"] == "ZDM101").unwrap();
    assert_eq!(index["source"], "zdm");
    assert!(under(NEW_TEXT, &index["range"]).starts_with("migrations.AddIndex"), "{index}");
    assert!(index["codeDescription"]["href"].as_str().unwrap().contains("ZDM101-index-not-concurrent"));
    assert!(index["message"].as_str().unwrap().contains("help: "), "{index}");
    let better = NEW_TEXT
        .replace(
            "import migrations, models",
            "import migrations, models\nfrom django.contrib.postgres.operations import AddIndexConcurrently",
        )
        .replace("migrations.AddIndex(", "AddIndexConcurrently(")
        .replace("    operations", "    atomic = False\n    operations");
    let version = client.set(NEW, &better);
    assert_eq!(client.codes(NEW, version), Vec::<String>::new());
    let version = client.set(NEW, NEW_TEXT);
    assert!(client.codes(NEW, version).contains(&"ZDM101".to_owned()));
    client.finish();
}

#[test]
fn what_a_file_says_follows_another_file() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    client.open(INDEX);
    client.published(INDEX, 1);
    // The field that the index is on is not there any more.
    let first = "orders/migrations/0001_initial.py";
    let text = client.open(first);
    client.published(first, 1);
    assert!(text.contains("\"status\",\n"), "the fixture's first migration has the field");
    client.set(first, &text.replace("\"status\",\n", "\"renamed\",\n"));
    let message = client.wait(|message| {
        message["params"]["uri"].as_str().is_some_and(|uri| uri.ends_with(INDEX))
            && message["method"] == "textDocument/publishDiagnostics"
    });
    let found = message["params"]["diagnostics"].as_array().unwrap();
    assert!(codes(found).contains(&"ZDM901".to_owned()), "{found:?}");
    client.finish();
}

#[test]
fn findings_are_those_of_the_command_line() {
    let (_folder, root) = shop();
    let request = zdm_workspace::Request { current: root.clone(), ..Default::default() };
    let workspace = zdm_workspace::Workspace::load(&request).unwrap();
    let whole = workspace.analyse(&request).unwrap();
    let mut expected: Vec<(String, String)> = whole
        .diagnostics
        .iter()
        .filter(|found| found.suppressed.is_none())
        .map(|found| (found.primary.file.path().to_owned(), found.code.code.to_owned()))
        .collect();
    expected.sort();
    assert!(expected.len() > 5);
    let mut client = Client::plain(&root);
    let report = client.request("workspace/diagnostic", json!({"previousResultIds": []}));
    let mut found = Vec::new();
    for item in report["items"].as_array().unwrap() {
        let path = item["uri"].as_str().unwrap().strip_prefix(&format!("{}/", uri(&root))).unwrap().to_owned();
        found.extend(
            item["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|found| (path.clone(), found["code"].as_str().unwrap().to_owned())),
        );
    }
    found.sort();
    assert_eq!(found, expected);
    // A second report says only what changed.
    let known: Vec<Value> = report["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| json!({"uri": item["uri"], "value": item["resultId"]}))
        .collect();
    let again = client.request("workspace/diagnostic", json!({"previousResultIds": known}));
    assert!(again["items"].as_array().unwrap().iter().all(|item| item["kind"] == "unchanged"), "{again}");
    client.finish();
}

#[test]
fn a_client_that_asks_is_not_told() {
    let (_folder, root) = shop();
    let capabilities = json!({
        "textDocument": {"diagnostic": {"dynamicRegistration": false}},
        "workspace": {"diagnostics": {"refreshSupport": true}},
    });
    let mut client = Client::start(&root, capabilities, Value::Null);
    client.open_with(NEW, NEW_TEXT);
    let report = client.request("textDocument/diagnostic", client.document(NEW));
    assert_eq!(report["kind"], "full");
    assert!(codes(report["items"].as_array().unwrap()).contains(&"ZDM101".to_owned()));
    let mut params = client.document(NEW);
    params["previousResultId"] = report["resultId"].clone();
    assert_eq!(client.request("textDocument/diagnostic", params.clone())["kind"], "unchanged");
    client.set(NEW, &NEW_TEXT.replace("AddIndex", "NoSuchThing"));
    let report = client.request("textDocument/diagnostic", params);
    assert_eq!(report["kind"], "full");
    assert!(codes(report["items"].as_array().unwrap()).contains(&"ZDM901".to_owned()));
    client.wait(|message| message["method"] == "workspace/diagnostic/refresh");
    assert!(client.others.iter().all(|message| message["method"] != "textDocument/publishDiagnostics"));
    client.finish();
}

#[test]
fn files_that_appear_and_go_are_noticed() {
    let (_folder, root) = shop();
    let capabilities = json!({"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": true}}});
    let mut client = Client::start(&root, capabilities, Value::Null);
    let registration = client.wait(|message| message["method"] == "client/registerCapability");
    let watchers = registration.pointer("/params/registrations/0/registerOptions/watchers").unwrap().to_string();
    assert!(watchers.contains("**/*.py") && watchers.contains("zdm.toml"), "{watchers}");
    let last = "catalog/migrations/0012_remove_product_weight.py";
    client.open(last);
    assert!(!client.codes(last, 1).contains(&"ZDM601".to_owned()));
    // A second leaf makes the graph conflict.
    let other = "catalog/migrations/0012_other.py";
    fs::write(root.join(other), NEW_TEXT.replace("0012_remove_product_weight", "0011_product_search")).unwrap();
    client.notify("workspace/didChangeWatchedFiles", json!({"changes": [{"uri": client.uri(other), "type": 1}]}));
    assert!(client.codes(last, 1).contains(&"ZDM601".to_owned()));
    fs::remove_file(root.join(other)).unwrap();
    client.notify("workspace/didChangeWatchedFiles", json!({"changes": [{"uri": client.uri(other), "type": 3}]}));
    assert!(!client.codes(last, 1).contains(&"ZDM601".to_owned()));
    client.finish();
}

#[test]
fn the_configuration_is_followed_and_its_mistakes_are_shown() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    client.open_with(NEW, NEW_TEXT);
    assert!(client.codes(NEW, 1).contains(&"ZDM101".to_owned()));
    let save = |client: &mut Client, text: &str| {
        fs::write(root.join("zdm.toml"), text).unwrap();
        client.notify("textDocument/didSave", client.document("zdm.toml"));
    };
    save(&mut client, "ignore = [\"ZDM101\"]\n");
    assert!(!client.codes(NEW, 1).contains(&"ZDM101".to_owned()));
    save(&mut client, "ignroe = [\"ZDM101\"]\n");
    let config = client.uri("zdm.toml");
    let message = client.wait(|message| {
        message["params"]["uri"] == json!(config)
            && message["params"]["diagnostics"].as_array().is_some_and(|all| !all.is_empty())
    });
    let mistake = message["params"]["diagnostics"][0]["message"].as_str().unwrap().to_owned();
    assert!(mistake.contains("ignroe") && mistake.contains("ignore"), "{mistake}");
    client.wait(|message| message["method"] == "window/showMessage");
    save(&mut client, "postgres = \"16\"\n");
    let message = client.wait(|message| message["params"]["uri"] == json!(config));
    assert_eq!(message["params"]["diagnostics"], json!([]));
    assert!(client.codes(NEW, 1).contains(&"ZDM101".to_owned()));
    client.finish();
}

#[test]
fn the_users_settings_are_followed() {
    let (_folder, root) = shop();
    let options = json!({"ignore": ["ZDM101"], "postgres": "3"});
    let mut client = Client::start(&root, json!({}), options);
    let warning = client.wait(|message| message["method"] == "window/showMessage");
    assert!(warning["params"]["message"].as_str().unwrap().contains("`3` is not a supported PostgreSQL version"));
    client.open_with(NEW, NEW_TEXT);
    assert!(!client.codes(NEW, 1).contains(&"ZDM101".to_owned()));
    client.notify("workspace/didChangeConfiguration", json!({"settings": {"zdm": {"ignore": []}}}));
    assert!(client.codes(NEW, 1).contains(&"ZDM101".to_owned()));
    client.finish();
}

#[test]
fn the_whole_workspace_is_pushed_where_that_is_wanted() {
    let (_folder, root) = shop();
    let mut client = Client::start(&root, json!({}), json!({"diagnosticScope": "workspace"}));
    let message = client.wait(|message| message["method"] == "textDocument/publishDiagnostics");
    assert!(!message["params"]["diagnostics"].as_array().unwrap().is_empty());
    client.finish();
}

#[test]
fn a_client_that_asks_is_told_of_closed_files_where_that_is_wanted() {
    let (_folder, root) = shop();
    let capabilities = json!({"textDocument": {"diagnostic": {}}});
    let mut client = Client::start(&root, capabilities, json!({"diagnosticScope": "workspace"}));
    let path = "payments/migrations/0008_delete_refund.py";
    let uri = client.uri(path);
    // The project is settled in slices: what is pushed may be told again with more.
    let pushed = |client: &mut Client, fits: &dyn Fn(&[String]) -> bool| {
        let message = client.wait(|message| {
            message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"] == json!(uri)
                && fits(&codes(message["params"]["diagnostics"].as_array().unwrap()))
        });
        codes(message["params"]["diagnostics"].as_array().unwrap())
    };
    pushed(&mut client, &|codes| !codes.is_empty());
    // Open, it is asked for, and nothing stands twice.
    client.open(path);
    pushed(&mut client, &<[String]>::is_empty);
    let report = client.request("textDocument/diagnostic", client.document(path));
    let asked = codes(report["items"].as_array().unwrap());
    client.others.clear();
    client.notify("textDocument/didClose", client.document(path));
    pushed(&mut client, &|codes| codes == asked);
    assert!(!asked.is_empty());
    client.finish();
}

#[test]
fn a_closed_file_is_told_once() {
    let (_folder, root) = shop();
    let mut client = Client::start(&root, json!({}), json!({"diagnosticScope": "workspace"}));
    let path = "payments/migrations/0008_delete_refund.py";
    let uri = client.uri(path);
    let text = client.open(path);
    let found = client.codes(path, 1);
    assert!(!found.is_empty());
    // The text that is open has none, and the file that it is of has what it had.
    let version = client.set(path, &text.replace("operations = [", "operations = []\n_none = ["));
    assert_eq!(client.codes(path, version), Vec::<String>::new());
    client.notify("textDocument/didClose", client.document(path));
    let is_of = |message: &Value| {
        message["method"] == "textDocument/publishDiagnostics"
            && message["params"]["uri"] == json!(uri)
            && message["params"]["version"].is_null()
    };
    let sets = |client: &mut Client| {
        // An answer comes when everything before it is done.
        client.request("workspace/diagnostic", json!({"previousResultIds": []}));
        let told = client.others.iter().filter(|message| is_of(message));
        told.map(|message| message["params"]["diagnostics"].clone()).collect::<Vec<_>>()
    };
    let told = sets(&mut client);
    assert_eq!(codes(told.last().unwrap().as_array().unwrap()), found);
    // Settling again after another file has changed tells nothing that was told.
    client.others.clear();
    let other = client.open(INDEX);
    client.codes(INDEX, 1);
    let version = client.set(INDEX, &format!("{other}\n# the end\n"));
    client.codes(INDEX, version);
    assert_eq!(sets(&mut client), Vec::<Value>::new());
    // Without any findings where it was open with some, closing takes them away.
    let quiet = "customers/migrations/0001_initial.py";
    let quiet_uri = client.uri(quiet);
    let text = client.open(quiet);
    assert_eq!(client.codes(quiet, 1), Vec::<String>::new());
    let version = client.set(quiet, &format!("{text}\n)"));
    assert!(!client.codes(quiet, version).is_empty());
    client.notify("textDocument/didClose", client.document(quiet));
    client.wait(|message| {
        message["method"] == "textDocument/publishDiagnostics"
            && message["params"]["uri"] == json!(quiet_uri)
            && message["params"]["version"].is_null()
            && message["params"]["diagnostics"] == json!([])
    });
    client.finish();
}

fn git(root: &std::path::Path, arguments: &[&str]) {
    let mut git = std::process::Command::new("git");
    git.args(arguments).current_dir(root).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.org");
    }
    let done = git.output().unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn with_a_base_only_what_the_branch_changes_is_reported() {
    let (_folder, root) = shop();
    git(&root, &["init", "-q", "-b", "main"]);
    git(&root, &["add", "-A"]);
    git(&root, &["commit", "-q", "-m", "merged"]);
    git(&root, &["checkout", "-q", "-b", "feature"]);
    let mut client = Client::start(&root, json!({}), json!({"base": "main"}));
    let old = "payments/migrations/0008_delete_refund.py";
    let text = client.open(old);
    assert_eq!(client.codes(old, 1), Vec::<String>::new(), "it was merged");
    // Its phase is what it is, merged or not.
    let lenses = client.request("textDocument/codeLens", client.document(old));
    let title = lenses[0]["command"]["title"].as_str().unwrap().to_owned();
    assert!(!title.starts_with("phase before"), "{title}");
    client.open_with(NEW, NEW_TEXT);
    assert!(client.codes(NEW, 1).contains(&"ZDM101".to_owned()));
    // A new table of the same release has no readers, wherever on the branch it is made.
    let created = "catalog/migrations/0013_by_name.py";
    let index = "catalog/migrations/0014_index.py";
    let create = NEW_TEXT.replace(
        "migrations.AddIndex(\"product\", models.Index(fields=[\"name\"], name=\"by_name\"))",
        "migrations.CreateModel(\"Sticker\", [(\"id\", models.BigAutoField(primary_key=True)), (\"name\", models.TextField())])",
    );
    let build = NEW_TEXT.replace("0012_remove_product_weight", "0013_by_name").replace("\"product\"", "\"sticker\"");
    let version = client.set(created, &create);
    assert_eq!(client.codes(created, version), Vec::<String>::new());
    client.open_with(index, &build);
    let uri = client.uri(index);
    // What the release has in common is known once everything before is replayed.
    client.wait(|message| {
        message["method"] == "textDocument/publishDiagnostics"
            && message["params"]["uri"] == json!(uri)
            && message["params"]["diagnostics"] == json!([])
    });
    // Typing in what was merged is a finding of its own, and typing it back is none.
    let version = client.set(old, &text.replace("Refund", "Invoice"));
    assert!(client.codes(old, version).contains(&"ZDM607".to_owned()));
    let version = client.set(old, &text);
    assert_eq!(client.codes(old, version), Vec::<String>::new());
    // Without a base everything counts.
    client.notify("workspace/didChangeConfiguration", json!({"settings": {"zdm": {"base": ""}}}));
    client.wait(|message| {
        message["method"] == "textDocument/publishDiagnostics"
            && message["params"]["uri"].as_str().is_some_and(|uri| uri.ends_with(old))
            && message["params"]["diagnostics"].to_string().contains("ZDM203")
    });
    client.finish();
    // A base that is not there is said, and hides nothing.
    let mut client = Client::start(&root, json!({}), json!({"base": "no-such-branch"}));
    client.open(old);
    assert!(client.codes(old, 1).contains(&"ZDM203".to_owned()));
    let told = client.wait(|message| message["method"] == "window/showMessage");
    assert!(told["params"]["message"].as_str().unwrap().contains("git knows no `no-such-branch`"), "{told}");
    client.finish();
}

#[test]
fn several_roots_are_several_projects() {
    let (folder, root) = shop();
    let other = root.parent().unwrap().join("other");
    zdm_testkit::copy_folder(&root, &other).unwrap();
    fs::write(root.join("zdm.toml"), "ignore = [\"ZDM101\"]\n").unwrap();
    let mut client = Client::raw(&root);
    client.request(
        "initialize",
        json!({"capabilities": {}, "workspaceFolders": [
            {"uri": uri(&root), "name": "one"}, {"uri": uri(&other), "name": "two"},
        ]}),
    );
    client.notify("initialized", json!({}));
    client.open_with(NEW, NEW_TEXT);
    assert!(!client.codes(NEW, 1).contains(&"ZDM101".to_owned()));
    client.root.clone_from(&other);
    client.open_with(NEW, NEW_TEXT);
    assert!(client.codes(NEW, 1).contains(&"ZDM101".to_owned()));
    // A third one that no folder names is found by its file.
    let third = root.parent().unwrap().join("third");
    zdm_testkit::copy_folder(&other, &third).unwrap();
    client.root.clone_from(&third);
    client.open_with(NEW, NEW_TEXT);
    assert!(client.codes(NEW, 1).contains(&"ZDM101".to_owned()));
    let folders = json!({"event": {"added": [], "removed": [{"uri": uri(&other), "name": "two"}]}});
    client.notify("workspace/didChangeWorkspaceFolders", folders);
    assert!(client.codes(NEW, 1).contains(&"ZDM101".to_owned()));
    client.finish();
    drop(folder);
}

#[test]
fn suppressed_and_recorded_findings_are_not_shown() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let text = NEW_TEXT.replace(
        "        migrations.AddIndex",
        "        # zdm: ignore[ZDM101] the table is empty\n        migrations.AddIndex",
    );
    client.open_with(NEW, &text);
    assert!(!client.codes(NEW, 1).contains(&"ZDM101".to_owned()));
    // A suppression that finds nothing is unnecessary.
    let version = client.set(NEW, &text.replace("ZDM101", "ZDM201"));
    let found = client.published(NEW, version);
    let unused = found.iter().find(|found| found["code"] == "ZDM903").unwrap();
    assert_eq!(unused["tags"], json!([1]));
    assert!(under(&text, &unused["range"]).starts_with("# zdm"));
    client.finish();
}
