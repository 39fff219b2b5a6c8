//! What explains: hovers, lenses, hints, symbols, definitions, references, virtual documents.

use serde_json::{Value, json};

use crate::client::{Client, position, shop, under};

const INDEX: &str = "orders/migrations/0007_order_status_index.py";
const FIRST: &str = "orders/migrations/0001_initial.py";

fn hover(client: &mut Client, path: &str, text: &str, needle: &str) -> String {
    let answer = client.request("textDocument/hover", client.at(path, text, needle));
    answer.pointer("/contents/value").and_then(Value::as_str).unwrap_or("").to_owned()
}

#[test]
fn an_operation_shows_its_sql_and_whom_it_blocks() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let path = "orders/migrations/0002_order_reference.py";
    let text = client.open(path);
    let shown = hover(&mut client, path, &text, "migrations.Add|Field");
    assert!(shown.contains("**AddField order.reference**"), "{shown}");
    assert!(shown.contains("```sql\nALTER TABLE \"orders_order\" ADD COLUMN \"reference\" uuid NULL;\n```"), "{shown}");
    assert!(shown.contains("- `ACCESS EXCLUSIVE` on `orders_order`"), "{shown}");
    assert!(shown.contains("- blocks every query, SELECT included on `orders_order`"), "{shown}");
    assert!(shown.contains("deploy phase `before`"), "{shown}");
    let whole = hover(&mut client, path, &text, "class Migr|ation");
    assert!(whole.contains("strongest lock: `ACCESS EXCLUSIVE` on `orders_order`"), "{whole}");
    assert_eq!(hover(&mut client, path, &text, "from| django"), "");
    client.finish();
}

#[test]
fn one_statement_of_several_is_shown_under_the_cursor() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let path = "orders/migrations/0016_sql.py";
    let text = "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    \
                dependencies = [(\"orders\", \"0015_drop_note\")]\n    operations = [\n        migrations.RunSQL(\n            \
                \"\"\"\n            LOCK TABLE orders_order IN SHARE MODE;\n            SELECT 1;\n            \"\"\",\n            \
                migrations.RunSQL.noop,\n        ),\n    ]\n";
    client.open_with(path, text);
    let shown = hover(&mut client, path, text, "LOCK| TABLE");
    assert!(shown.contains("LOCK TABLE orders_order") && !shown.contains("SELECT 1"), "{shown}");
    assert!(shown.contains("- `SHARE` on `orders_order`"), "{shown}");
    client.finish();
}

#[test]
fn a_code_in_a_suppression_shows_its_page() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let text = client.text(INDEX) + "# zdm: ignore-file[ZDM201] because\n";
    client.open_with(INDEX, &text);
    let shown = hover(&mut client, INDEX, &text, "[ZDM|201]");
    assert!(shown.starts_with("# ZDM201: column-dropped"), "{shown}");
    client.finish();
}

#[test]
fn a_lens_and_hints_tell_phase_and_locks() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let path = "orders/migrations/0015_drop_note.py";
    let text = client.open(path);
    let lenses = client.request("textDocument/codeLens", client.document(path));
    let title = lenses[0]["command"]["title"].as_str().unwrap();
    assert!(title.starts_with("phase ") && title.contains("ACCESS EXCLUSIVE on orders_order"), "{title}");
    assert_eq!(lenses[0]["command"]["command"], "zdm.showSql");
    let end = position(&text, text.len());
    let params = json!({
        "textDocument": {"uri": client.uri(path)},
        "range": {"start": {"line": 0, "character": 0}, "end": end},
    });
    let hints = client.request("textDocument/inlayHint", params);
    assert!(hints[0]["label"].as_str().unwrap().contains("ACCESS EXCLUSIVE on orders_order"), "{hints}");
    client.finish();
}

#[test]
fn symbols_are_operations() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let text = client.open(FIRST);
    let symbols = client.request("textDocument/documentSymbol", client.document(FIRST));
    assert_eq!(symbols[0]["name"], "orders.0001_initial");
    let children = symbols[0]["children"].as_array().unwrap();
    assert!(children.iter().any(|child| child["name"] == "CreateModel Order"), "{children:?}");
    for child in children {
        assert!(under(&text, &child["range"]).starts_with("migrations."), "{child}");
    }
    client.finish();
}

/// The text under an answer's location, which may be in another file, with the file's name.
fn there(client: &Client, location: &Value) -> (String, String) {
    let path = location["uri"].as_str().unwrap().rsplit_once("/shop/").unwrap().1.to_owned();
    let text = client.text(&path);
    (path, under(&text, &location["range"]).to_owned())
}

#[test]
fn a_name_leads_to_the_operation_that_created_it() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let path = "orders/migrations/0003_fill_reference.py";
    client.open(path);
    let path = "orders/migrations/0006_reference_required.py";
    let text = client.open(path);
    let location = client.request("textDocument/definition", client.at(path, &text, "name=\"refer|ence\""));
    let (file, found) = there(&client, &location);
    assert_eq!(file, "orders/migrations/0002_order_reference.py");
    assert!(found.contains("reference"), "{found}");
    let location = client.request("textDocument/definition", client.at(path, &text, "model_name=\"or|der\""));
    let (file, found) = there(&client, &location);
    assert_eq!(file, FIRST);
    assert!(found.contains("Order"), "{found}");
    // A dependency leads to its migration.
    let location = client.request("textDocument/definition", client.at(path, &text, "(\"orders\", \"000|5"));
    assert_eq!(there(&client, &location).0, "orders/migrations/0005_reference_check_validate.py");
    client.finish();
}

#[test]
fn references_follow_renames() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let path = "catalog/migrations/0007_rename_description.py";
    let text = client.open(path);
    let old = text.split("old_name=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut params = client.at(path, &text, &format!("old_name=\"|{old}"));
    params["context"] = json!({"includeDeclaration": true});
    let found = client.request("textDocument/references", params);
    let places: Vec<(String, String)> = found.as_array().unwrap().iter().map(|place| there(&client, place)).collect();
    assert!(places.len() >= 2, "{places:?}");
    assert_eq!(places[0].0, "catalog/migrations/0001_initial.py");
    assert!(places.iter().any(|(file, _)| file == path), "{places:?}");
    // From the creation the same places are found.
    let first = client.open("catalog/migrations/0001_initial.py");
    let mut params = client.at("catalog/migrations/0001_initial.py", &first, &format!("(\"|{old}\""));
    params["context"] = json!({"includeDeclaration": true});
    assert_eq!(client.request("textDocument/references", params), found);
    client.finish();
}

#[test]
fn commands_open_virtual_documents() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let path = "orders/migrations/0002_order_reference.py";
    client.open(path);
    let uri = client.uri(path);
    let shown = client.request("workspace/executeCommand", json!({"command": "zdm.showSql", "arguments": [uri]}));
    assert_eq!(shown["languageId"], "sql");
    let sql = shown["text"].as_str().unwrap();
    assert!(
        sql.contains("BEGIN;\n")
            && sql.contains("ADD COLUMN \"reference\" uuid NULL;\n--   ACCESS EXCLUSIVE on orders_order"),
        "{sql}"
    );
    let again = client.request("workspace/textDocumentContent", json!({"uri": shown["uri"]}));
    assert_eq!(again["text"], shown["text"]);
    let page = client
        .request("workspace/executeCommand", json!({"command": "zdm.explainRule", "arguments": ["column-dropped"]}));
    assert_eq!(page["uri"], "zdm:/rules/ZDM201-column-dropped.md");
    assert!(page["text"].as_str().unwrap().starts_with("# ZDM201"));
    let id = client.ask("workspace/executeCommand", json!({"command": "zdm.explainRule", "arguments": ["ZDM000"]}));
    assert!(client.answer(id)["error"]["message"].as_str().unwrap().contains("no rule `ZDM000`"));
    client.finish();
}
