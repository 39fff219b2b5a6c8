//! The configuration for editors and for newcomers: a JSON schema, and a commented file to start from.
//!
//! Both are made from [`super::keys`].

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::keys::{Key, Kind, Section, keys};

/// The JSON schema (draft 7) of `zdm.toml`, and so of `[tool.zdm]`, indented, with a final line end.
pub fn json_schema() -> String {
    let mut schema = section(Section::Top);
    schema.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("title".to_owned(), json!("zdm"));
    schema.insert(
        "description".to_owned(),
        json!("Zero-downtime migrations for Django on PostgreSQL: `zdm.toml`, or `[tool.zdm]` of `pyproject.toml`."),
    );
    let mut text = serde_json::to_string_pretty(&Value::Object(schema)).unwrap_or_default();
    text.push('\n');
    text
}

fn section(of: Section) -> Map<String, Value> {
    let properties: Map<String, Value> = keys(of).map(|key| (key.name.to_owned(), property(key))).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema
}

fn property(key: &Key) -> Value {
    let text = || json!({"type": "string", "minLength": 1});
    let rule = || json!({"type": "string", "pattern": "^(ALL|ZDM[0-9]{0,3}|[a-z][a-z0-9-]*)$"});
    let level = || json!({"enum": ["off", "info", "warning", "error"]});
    let mut schema = match key.kind {
        Kind::PostgresVersion => json!({"type": ["string", "number"], "pattern": "^[0-9]+(\\.[0-9]+)?$"}),
        Kind::DjangoVersion => json!({"type": ["string", "number"], "pattern": "^[0-9]+(\\.[0-9]+){0,2}$"}),
        Kind::Text => text(),
        Kind::Texts => json!({"type": "array", "items": text()}),
        Kind::Rules => json!({"type": "array", "items": rule()}),
        Kind::Levels => json!({"type": "object", "propertyNames": rule(), "additionalProperties": level()}),
        Kind::FailOn => json!({"enum": ["info", "warning", "error", "never"]}),
        Kind::Apps => json!({"type": "object", "additionalProperties": text()}),
        Kind::Paths => json!({"type": "object", "additionalProperties": section(Section::Path)}),
        Kind::Tables => json!({"type": "object", "additionalProperties": section(Section::Table)}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Count => quantity("[kMBG]"),
        Kind::Bytes => quantity("[kMGT]B"),
        Kind::Rate => json!({"type": "number", "minimum": 0}),
        Kind::Runtime => json!({"type": ["object", "array"]}),
    };
    if key.name == "mirror" && key.section == Section::Top {
        schema = mirrors();
    }
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), json!(key.doc));
    }
    schema
}

/// The entries `[[tool.zdm.mirror]]`, which `zdm mirror` reads.
fn mirrors() -> Value {
    let text = |doc: &str| json!({"type": "string", "minLength": 1, "description": doc});
    let flag = |doc: &str| json!({"type": "boolean", "description": doc});
    let pair = json!({
        "source": text("The column to copy: a field of the model, or a column as in the catalog."),
        "target": text("The shadow column."),
        "type": text("The shadow's type, where it is to be made; default: the source's."),
        "using": text("The shadow's value as an SQL expression over the row; default: the source."),
        "reverse-using": text("The way back, for `both-ways` and for the reverse of a swap."),
    });
    let columns = json!({
        "type": "object",
        "properties": pair,
        "required": ["source", "target"],
        "additionalProperties": false,
    });
    let mut properties = json!({
        "model": text("The model, as `app.Model`."),
        "table": text("The table as written in SQL, in place of a model."),
        "both-ways": flag("Keep both columns equal whichever is written."),
        "always": flag("Fire under `session_replication_role = replica` and for rows of logical replication, too."),
        "allow-narrowing": flag("Allow a shadow that cannot hold every value of its source."),
        "as-field": flag("The shadow is a field of the model."),
        "references": flag("The same mirror for every column that references the source by a foreign key."),
        "columns": {"type": "array", "minItems": 1, "items": columns,
                    "description": "Several columns with one trigger, in place of `source` and `target`."},
    });
    if let (Value::Object(properties), Value::Object(pair)) = (&mut properties, pair) {
        properties.extend(pair);
    }
    let entry = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "allOf": [
            {"oneOf": [{"required": ["model"]}, {"required": ["table"]}]},
            {"oneOf": [{"required": ["source", "target"]}, {"required": ["columns"]}]},
        ],
    });
    json!({"type": "array", "items": entry})
}

fn quantity(unit: &str) -> Value {
    let pattern = format!("^[0-9][0-9_]*(\\.[0-9]+)? ?({unit})?$");
    json!({"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": pattern}]})
}

/// The reference for people, in Markdown, with a final line end.
pub fn reference() -> String {
    let mut out = String::from(INTRODUCTION);
    for (of, title, words) in [
        (Section::Top, "Keys", "In `[tool.zdm]`, or at the top of `zdm.toml`."),
        (Section::Path, "Per path", PATHS),
        (Section::Table, "Per table", TABLES),
    ] {
        let _ = writeln!(out, "## {title}\n\n{words}\n\n| key | example | meaning |\n|---|---|---|");
        for key in keys(of) {
            let _ = writeln!(out, "| `{}` | `{}` | {} |", key.name, key.example, key.doc);
        }
        out.push('\n');
    }
    out.push_str(BASELINE);
    out
}

const INTRODUCTION: &str = "\
# Configuration

zdm reads `zdm.toml`, or `[tool.zdm]` of `pyproject.toml`, from the nearest folder upward that has one; the search ends
at the root of the git repository. That folder is the project's root, and all paths in the file are relative to it.
Where one folder has both, `zdm.toml` counts. `--config FILE` names another file, `--isolated` reads none. Everything
works without a configuration.

An unknown key, an unknown rule or a value of the wrong kind is an error that names its line and what was probably
meant. Editors complete and check `zdm.toml` with [zdm.schema.json](zdm.schema.json).

The command line goes before the file. Rules are named by code (`ZDM101`), by the beginning of codes (`ZDM1`), by name
(`index-not-concurrent`), or all at once (`ALL`); where two settings speak of one rule, the narrower one decides.

";

const PATHS: &str = "\
In `[tool.zdm.paths.\"PATTERN\"]`. A pattern without `/` matches at any depth, one with a leading `/` from the root; one
that matches a folder matches everything in it. `*` stops at `/`, `**` does not. Later sections go before earlier ones.";

const TABLES: &str = "\
In `[tool.zdm.tables]`, as `NAME = { … }` or `[tool.zdm.tables.\"NAME\"]`; `*` in a name stands for anything, and the
first entry that matches counts. `public.` in front of a name may be left out. Known size and traffic move severities:
what only takes time is information on a small table and an error on a large or hot one. A table with ten or more reads
and writes per second is hot. What stands here goes before what `--stats FILE` tells. A finding is about the tables that
its message names; `ignore` takes it out if all of them say so. A name that no migration makes is a finding itself
(ZDM909), with the nearest one that does.";

const BASELINE: &str = "\
## Adopting it on an old project

`zdm-lint --write-baseline` records every finding of today in `zdm-baseline.json`; with `baseline = \"zdm-baseline.json\"`
only new ones count from then on. A finding is recognised by its rule, its migration and its code, so that moving lines or
formatting a file does not bring it back. Entries without a finding are reported and go away when the file is written
again.
";

/// Where the commented configuration goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    ZdmToml,
    /// Behind what a `pyproject.toml` has.
    Pyproject,
}

/// A configuration in which every key is explained and commented out, but for the versions that were found.
pub fn template(place: Place, postgres: Option<&str>, django: Option<&str>) -> String {
    let prefix = match place {
        Place::ZdmToml => "",
        Place::Pyproject => "tool.zdm.",
    };
    let mut out = String::new();
    if place == Place::Pyproject {
        out.push_str("[tool.zdm]\n");
    }
    for key in keys(Section::Top) {
        let found = match key.kind {
            Kind::PostgresVersion => postgres,
            Kind::DjangoVersion => django,
            // Explained below, as sections.
            Kind::Paths | Kind::Tables | Kind::Runtime => continue,
            _ => None,
        };
        let _ = writeln!(out, "# {}", key.doc);
        let _ = match found {
            Some(version) => writeln!(out, "{} = \"{version}\"\n", key.name),
            None => writeln!(out, "# {} = {}\n", key.name, key.example),
        };
    }
    let sections = [
        (Section::Path, "paths", "\"legacy/**\"", "Settings for the files that a pattern matches."),
        (Section::Table, "tables", "shop_order", "What is known about the tables that a pattern matches."),
    ];
    for (section, name, pattern, doc) in sections {
        let _ = writeln!(out, "# {doc}\n# [{prefix}{name}.{pattern}]");
        for key in keys(section) {
            let _ = writeln!(out, "# {} = {}  # {}", key.name, key.example, key.doc);
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}
