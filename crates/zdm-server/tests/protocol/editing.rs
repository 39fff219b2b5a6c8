//! What changes text: fixes, suppressions, follow-up migrations, completion.

use std::fs;

use serde_json::{Value, json};
use zdm_testkit::{Database, Django, Server, USER};
use zdm_workspace::{Request, Workspace};

use crate::client::{Client, edited, position, shop};

const NEW: &str = "catalog/migrations/0013_new.py";

fn migration(operations: &str) -> String {
    format!(
        "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n    \
         dependencies = [(\"catalog\", \"0012_remove_product_weight\")]\n    operations = [\n{operations}    ]\n"
    )
}

fn capable() -> Value {
    json!({"workspace": {"workspaceEdit": {"documentChanges": true, "resourceOperations": ["create"]}}})
}

/// The code actions at a needle of a new migration of the catalog.
fn actions(client: &mut Client, text: &str, needle: &str) -> Vec<Value> {
    let position = position(text, text.find(needle).unwrap());
    let params = json!({
        "textDocument": {"uri": client.uri(NEW)},
        "range": {"start": position, "end": position},
        "context": {"diagnostics": []},
    });
    client.request("textDocument/codeAction", params).as_array().unwrap().clone()
}

fn titled<'a>(actions: &'a [Value], part: &str) -> &'a Value {
    actions
        .iter()
        .find(|action| action["title"].as_str().unwrap().contains(part))
        .unwrap_or_else(|| panic!("no `{part}` in {actions:#?}"))
}

type Pairs = Vec<(String, String)>;

/// Writes what an edit makes of the project; the files with their texts, and the findings of the
/// app's new migrations by path and code.
fn apply(client: &Client, text: &str, edit: &Value) -> (Pairs, Pairs) {
    fs::write(client.root.join(NEW), text).unwrap();
    let mut files = Vec::new();
    for change in edit["documentChanges"].as_array().unwrap() {
        let uri = change.get("uri").or_else(|| change.pointer("/textDocument/uri")).unwrap().as_str().unwrap();
        let path = client.root.join(
            uri.strip_prefix(&format!("{}/", client.uri("")))
                .unwrap_or_else(|| uri.strip_prefix(&client.uri("")).unwrap()),
        );
        if change["kind"] == "create" {
            assert!(!path.exists(), "{uri} is there already");
            fs::write(&path, "").unwrap();
            continue;
        }
        let old = fs::read_to_string(&path).unwrap();
        let new = edited(&old, &change["edits"]);
        fs::write(&path, &new).unwrap();
        files.push((path.strip_prefix(&client.root).unwrap().display().to_string(), new));
    }
    let request = Request { current: client.root.clone(), ..Request::default() };
    let analysis = Workspace::load(&request).unwrap().analyse(&request).unwrap();
    let findings = analysis
        .diagnostics
        .iter()
        .filter(|found| found.suppressed.is_none() && found.primary.file.path() > "catalog/migrations/0013")
        .filter(|found| found.primary.file.path().starts_with("catalog/"))
        .map(|found| (found.primary.file.path().to_owned(), found.code.code.to_owned()))
        .collect();
    (files, findings)
}

#[test]
fn a_fix_makes_its_finding_go() {
    let (_folder, root) = shop();
    let mut client = Client::start(&root, capable(), Value::Null);
    let text = migration("        migrations.RunPython(print),\n");
    client.open_with(NEW, &text);
    assert!(client.codes(NEW, 1).contains(&"ZDM501".to_owned()));
    let actions = actions(&mut client, &text, "RunPython");
    let fix = titled(&actions, "ZDM501: add `reverse_code=");
    assert_eq!(fix["kind"], "quickfix");
    assert_eq!(fix["diagnostics"][0]["code"], "ZDM501");
    assert_eq!(fix.pointer("/edit/documentChanges/0/textDocument/version"), Some(&json!(1)));
    let new = edited(&text, fix.pointer("/edit/documentChanges/0/edits").unwrap());
    let version = client.set(NEW, &new);
    assert!(!client.codes(NEW, version).contains(&"ZDM501".to_owned()), "{new}");
    client.finish();
}

#[test]
fn a_client_without_versions_gets_plain_edits() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let text = migration("        migrations.RunPython(print),\n");
    client.open_with(NEW, &text);
    client.published(NEW, 1);
    let actions = actions(&mut client, &text, "RunPython");
    let uri = client.uri(NEW);
    let edits = &titled(&actions, "ZDM501: add")["edit"]["changes"][uri.as_str()];
    assert!(edited(&text, edits).contains("reverse_code=migrations.RunPython.noop"), "{edits}");
    assert!(actions.iter().all(|action| action["kind"] == "quickfix"), "nothing creates files: {actions:?}");
    client.finish();
}

#[test]
fn a_suppression_stands_above_its_operation() {
    let (_folder, root) = shop();
    let mut client = Client::start(&root, capable(), Value::Null);
    let text = migration(
        "        migrations.AddIndex(\n            \"product\",\n            models.Index(fields=[\"name\"], name=\"by_name\"),\n        ),\n",
    );
    client.open_with(NEW, &text);
    client.published(NEW, 1);
    let actions = actions(&mut client, &text, "models.Index(");
    let suppress = titled(&actions, "ZDM101: suppress");
    let new = edited(&text, suppress.pointer("/edit/documentChanges/0/edits").unwrap());
    assert!(new.contains("\n        # zdm: ignore[ZDM101] TODO"), "{new}");
    let version = client.set(NEW, &new);
    let codes = client.codes(NEW, version);
    assert!(!codes.contains(&"ZDM101".to_owned()) && !codes.contains(&"ZDM903".to_owned()), "{codes:?}");
    client.finish();
    // A client that asks for the reason gets a command.
    let mut client = Client::start(&root, capable(), json!({"clientCommands": ["zdm.suppress"]}));
    client.open_with(NEW, &text);
    client.published(NEW, 1);
    let actions = self::actions(&mut client, &text, "models.Index(");
    let command = &titled(&actions, "ZDM101: suppress")["command"];
    assert_eq!(command["command"], "zdm.suppress");
    assert_eq!(command["arguments"], json!([client.uri(NEW), 6, "        ", "ZDM101"]));
    client.finish();
}

#[test]
fn a_check_is_split_into_adding_and_validating() {
    let (_folder, root) = shop();
    let mut client = Client::start(&root, capable(), Value::Null);
    let text = migration(
        "        migrations.AddConstraint(\n            model_name=\"product\",\n            \
         constraint=models.CheckConstraint(check=models.Q(price__gte=0), name=\"price_is_positive\"),\n        ),\n",
    );
    client.open_with(NEW, &text);
    let codes = client.codes(NEW, 1);
    assert!(codes.contains(&"ZDM122".to_owned()), "{codes:?}");
    let actions = actions(&mut client, &text, "migrations.AddConstraint");
    // The rule's own fix writes the same; this is the offer that stands without a finding too.
    let action = titled(&actions, "add `price_is_positive` as NOT VALID, and validate it in a follow-up migration");
    let (files, findings) = apply(&client, &text, &action["edit"]);
    let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, [NEW, "catalog/migrations/0014_validate_price_is_positive.py"]);
    assert!(files[1].1.contains("(\"catalog\", \"0013_new\")"), "{}", files[1].1);
    assert!(!findings.iter().any(|(_, code)| code == "ZDM122" || code == "ZDM901"), "{findings:?}");
    client.finish();
}

#[test]
fn not_null_takes_three_migrations() {
    let (_folder, root) = shop();
    let mut client = Client::start(&root, capable(), Value::Null);
    let first = migration("        migrations.AddField(\"product\", \"note\", models.TextField(null=True)),\n");
    fs::write(root.join("catalog/migrations/0013_a_note.py"), &first).unwrap();
    let text = migration(
        "        migrations.AlterField(\n            model_name=\"product\",\n            name=\"note\",\n            \
         field=models.TextField(default=\"\"),\n        ),\n",
    )
    .replace("0012_remove_product_weight", "0013_a_note");
    client.open_with(NEW, &text);
    client.published(NEW, 1);
    let actions = actions(&mut client, &text, "migrations.AlterField");
    let (files, findings) = apply(&client, &text, &titled(&actions, "three migrations")["edit"]);
    let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(
        names[1].starts_with("catalog/migrations/0014_validate_")
            && names[2].starts_with("catalog/migrations/0015_require_")
    );
    assert!(
        !findings.iter().any(|(_, code)| ["ZDM121", "ZDM901", "ZDM701"].contains(&code.as_str())),
        "{findings:?} {files:#?}"
    );
    client.finish();
}

#[test]
fn a_column_goes_in_two_steps() {
    let (_folder, root) = shop();
    let mut client = Client::start(&root, capable(), Value::Null);
    let text = migration(
        "        migrations.RemoveField(\n            model_name=\"product\",\n            name=\"name\",\n        ),\n",
    );
    client.open_with(NEW, &text);
    assert!(client.codes(NEW, 1).contains(&"ZDM201".to_owned()));
    let actions = actions(&mut client, &text, "migrations.RemoveField");
    let (files, findings) = apply(&client, &text, &titled(&actions, "follow-up")["edit"]);
    assert_eq!(files[1].0, "catalog/migrations/0014_drop_product_name.py");
    assert!(files[0].1.contains("DROP NOT NULL") && files[1].1.contains("DROP COLUMN"), "{files:#?}");
    let first: Vec<&str> = findings.iter().filter(|(path, _)| path == NEW).map(|(_, code)| code.as_str()).collect();
    assert!(!first.contains(&"ZDM201") && !first.contains(&"ZDM901") && !first.contains(&"ZDM612"), "{findings:?}");
    assert!(!findings.iter().any(|(_, code)| ["ZDM901", "ZDM902", "ZDM701"].contains(&code.as_str())), "{findings:?}");
    client.finish();
}

#[test]
fn a_foreign_key_comes_in_four_migrations() {
    let (_folder, root) = shop();
    let mut client = Client::start(&root, capable(), Value::Null);
    let text = migration(
        "        migrations.AddField(\n            model_name=\"product\",\n            name=\"owner\",\n            \
         field=models.ForeignKey(null=True, on_delete=models.SET_NULL, to=\"customers.customer\"),\n        ),\n",
    )
    .replace("dependencies = [", "dependencies = [(\"customers\", \"0001_initial\"), ");
    client.open_with(NEW, &text);
    let codes = client.codes(NEW, 1);
    assert!(codes.contains(&"ZDM101".to_owned()) && codes.contains(&"ZDM131".to_owned()), "{codes:?}");
    let (state_before, table_before) = end_state(&root, &text);
    let actions = actions(&mut client, &text, "migrations.AddField");
    let action =
        titled(&actions, "add `owner` in 4 migrations: column, index, foreign key as NOT VALID, its validation");
    let (files, findings) = apply(&client, &text, &action["edit"]);
    let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        names,
        [
            NEW,
            "catalog/migrations/0014_product_owner_index.py",
            "catalog/migrations/0015_product_owner_key.py",
            "catalog/migrations/0016_product_owner_key_validate.py"
        ]
    );
    // What is left of it is short: no index is built and nothing is validated under a strong lock, and nothing drifts.
    let unwanted = ["ZDM101", "ZDM123", "ZDM141", "ZDM142", "ZDM401", "ZDM502", "ZDM701", "ZDM901", "ZDM902"];
    assert!(!findings.iter().any(|(_, code)| unwanted.contains(&code.as_str())), "{findings:?} {files:#?}");
    let (state, table) = end_state(&root, &files[0].1);
    assert!(state.is_same(&state_before), "{files:#?}");
    assert_eq!(table, table_before);
    assert!(table.iter().any(|part| part.contains("fk_customers_customer_id")), "{table:#?}");

    // Django makes the same table of the four as of the one, finds nothing left to do, and goes back.
    let (_other, naive) = shop();
    fs::write(naive.join(NEW), &text).unwrap();
    let server = Server::newest();
    let tables = [&naive, &root].map(|root| {
        let models = root.join("catalog/models.py");
        let class = "class Product(models.Model):\n";
        let text = fs::read_to_string(&models).unwrap();
        let field = "    owner = models.ForeignKey(\"customers.Customer\", models.SET_NULL, null=True)\n";
        assert!(text.contains(class), "{text}");
        fs::write(&models, text.replacen(class, &format!("{class}{field}"), 1)).unwrap();
        let database = server.database();
        manage(root, &database, &["migrate"]);
        manage(root, &database, &["makemigrations", "--check", "--dry-run"]);
        let table = database.connect().value(PRODUCT);
        manage(root, &database, &["migrate", "catalog", "0012"]);
        let back = database.connect().value(PRODUCT);
        assert!(table.contains("owner_id") && !back.contains("owner_id"), "{table}\n{back}");
        (table, back)
    });
    assert_eq!(tables[0], tables[1]);
    client.finish();
}

/// The table of products on a server: columns, constraints, indexes.
const PRODUCT: &str = "SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
    SELECT format('%s %s %s', attname, format_type(atttypid, atttypmod), attnotnull) FROM pg_attribute
        WHERE attrelid = 'catalog_product'::regclass AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT format('%s %s %s', conname, pg_get_constraintdef(oid), convalidated) FROM pg_constraint
        WHERE conrelid = 'catalog_product'::regclass
    UNION ALL SELECT format('%s %s', pg_get_indexdef(indexrelid), indisvalid) FROM pg_index
        WHERE indrelid = 'catalog_product'::regclass) AS parts (line)";

/// Runs a command of the shop's `manage.py` on a database; it must succeed.
fn manage(root: &std::path::Path, database: &Database, arguments: &[&str]) {
    let server = database.server();
    let output = Django::get("5.2")
        .command()
        .arg("manage.py")
        .args(arguments)
        .current_dir(root)
        .env("SHOP_DATABASE", database.name())
        .env("SHOP_HOST", server.socket_dir())
        .env("SHOP_PORT", server.port().to_string())
        .env("SHOP_USER", USER)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

/// The state and the table of products behind all migrations, with that text of the new one.
fn end_state(root: &std::path::Path, text: &str) -> (zdm_django::ProjectState, Vec<String>) {
    fs::write(root.join(NEW), text).unwrap();
    let request = Request { current: root.to_owned(), ..Request::default() };
    let trace = Workspace::load(&request).unwrap().replay();
    let last = trace.migrations.last().unwrap();
    let name = zdm_replay::table_name("catalog_product");
    let table = last.catalog_after.table(&name).unwrap();
    let columns = table.columns.iter().map(|part| format!("{part:?}"));
    // How it was written is told beside whether it is valid.
    let constraints =
        table.constraints.iter().map(|part| format!("{part:?}").replace("not_valid: true", "not_valid: false"));
    let mut parts: Vec<String> =
        columns.chain(constraints).chain(table.indexes.iter().map(|part| format!("{part:?}"))).collect();
    // Parts of a table are a set: what is made in another order is the same table.
    parts.sort();
    (last.state_after.clone(), parts)
}

#[test]
fn a_constraint_of_sql_is_validated_by_a_follow_up() {
    let (_folder, root) = shop();
    let mut client = Client::start(&root, capable(), Value::Null);
    let text = migration(
        "        migrations.RunSQL(\n            \"ALTER TABLE catalog_product ADD CONSTRAINT named CHECK (name <> '') NOT VALID\",\n            \
         \"ALTER TABLE catalog_product DROP CONSTRAINT named\",\n        ),\n",
    );
    client.open_with(NEW, &text);
    client.published(NEW, 1);
    let actions = actions(&mut client, &text, "ALTER TABLE");
    let (files, findings) = apply(&client, &text, &titled(&actions, "validates `named`")["edit"]);
    assert_eq!(files[0].0, "catalog/migrations/0014_validate_named.py");
    assert!(
        !findings.iter().any(|(_, code)| ["ZDM901", "ZDM902", "ZDM701"].contains(&code.as_str())),
        "{findings:?} {files:?}"
    );
    client.finish();
}

#[test]
fn codes_and_keys_are_completed() {
    let (_folder, root) = shop();
    let mut client = Client::plain(&root);
    let text = "# zdm: ignore[";
    client.open_with(NEW, text);
    let found = client.request("textDocument/completion", client.at(NEW, text, "ignore[|"));
    let items = found["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["label"] == "ZDM101").unwrap();
    assert!(item["documentation"]["value"].as_str().unwrap().contains("## "), "the rule's page");
    let text = "post";
    client.open_with("zdm.toml", text);
    let found = client.request("textDocument/completion", client.at("zdm.toml", text, "post|"));
    assert!(found["items"].as_array().unwrap().iter().any(|item| item["label"] == "postgres"));
    client.finish();
}
