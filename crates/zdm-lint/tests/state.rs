//! `zdm-lint state` as a black box: what it says of what is not certain.

use std::fs;
use std::process::Command;

const INITIAL: &str = "from django.db import migrations, models

class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel('Book', [('id', models.AutoField(primary_key=True)), ('title', models.TextField())]),
        migrations.CreateModel('Page', [('id', models.AutoField(primary_key=True))]),
    ]
";

const CONDITIONAL: &str = "import os
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [('shop', '0001_initial')]
    if os.environ.get('NOTES'):
        operations = [
            migrations.AddField('Book', 'note', models.TextField(null=True)),
            migrations.CreateModel('Note', [('id', models.AutoField(primary_key=True))]),
        ]
    else:
        operations = []
";

#[test]
fn what_is_uncertain_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("shop/migrations");
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in [("__init__.py", ""), ("0001_initial.py", INITIAL), ("0002_notes.py", CONDITIONAL)] {
        fs::write(folder.join(name), text).unwrap();
    }
    fs::write(dir.path().join("shop/__init__.py"), "").unwrap();
    let state = |format: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zdm-lint"));
        let output =
            command.env_clear().args(["state", "--root"]).arg(dir.path()).args(["--format", format]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let document: serde_json::Value = serde_json::from_str(&state("json")).unwrap();
    let models = &document["models"];
    assert_eq!(models["shop.Book"]["uncertain_names"], serde_json::json!(["note"]));
    assert_eq!(models["shop.Book"]["uncertain"], serde_json::Value::Null);
    assert_eq!(models["shop.Note"]["uncertain"], true);
    assert_eq!(models["shop.Page"]["uncertain_names"], serde_json::Value::Null);
    assert_eq!(document["tables"]["shop_book"]["uncertain"], true);
    assert_eq!(document["tables"]["shop_page"]["uncertain"], serde_json::Value::Null);
    let text = state("text");
    assert!(text.contains("    uncertain: note\n"), "{text}");
    assert!(text.contains("    uncertain: the model as a whole\n"), "{text}");
    assert!(text.contains("table shop_book (uncertain)\n"), "{text}");
}
