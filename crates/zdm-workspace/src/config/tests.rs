use super::*;

const RULES: [KnownRule<'static>; 4] = [
    KnownRule { code: "ZDM101", name: "index-not-concurrent" },
    KnownRule { code: "ZDM102", name: "volatile-default" },
    KnownRule { code: "ZDM201", name: "column-dropped" },
    KnownRule { code: "ZDM801", name: "char-type" },
];

fn parse(path: &str, text: &str) -> Result<Config, ConfigError> {
    Config::parse(&SourceFile::new(path, text), &RULES)
}

/// The messages, with places, that a `zdm.toml` gives.
fn check_bad(text: &str, expected: &[&str]) {
    let error = parse("zdm.toml", text).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string().lines().collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn every_key_is_read() {
    let config = parse(
        "pyproject.toml",
        r#"
[tool.other]
select = 3

[tool.zdm]
postgres = "14.2"
django = 5.2
settings = "config.settings"
apps = { shop = "./src/shop/", billing = "billing" }
extra-roots = ["src/"]
exclude = ["legacy"]
select = ["ZDM1"]
extend-select = ["char-type"]
ignore = ["ZDM102"]
severity = { ZDM101 = "warning", column-dropped = "off" }
fail-on = "never"
baseline = "b.json"
stats = "s.json"
small-table-rows = 10_000

[tool.zdm.paths."old/**"]
ignore = ["ALL"]

[tool.zdm.paths.new]
severity = { ZDM1 = "error" }

[tool.zdm.tables]
shop_order = { rows = "1.5M", bytes = "2GB", hot = true, reads-per-second = 20, writes-per-second = 0.5 }
"audit_*" = { rows = 3 }

[[tool.zdm.mirror]]
table = "shop_order"
"#,
    )
    .unwrap();
    assert_eq!(config.postgres.unwrap().to_string(), "14.2");
    assert_eq!(config.django.unwrap().to_string(), "5.2");
    assert_eq!(config.settings.as_deref(), Some("config.settings"));
    let apps: Vec<_> = config.apps.iter().map(|(label, path)| (label.as_str(), path.as_str())).collect();
    assert_eq!(apps, [("shop", "src/shop"), ("billing", "billing")]);
    assert_eq!(config.extra_roots, ["src"]);
    assert!(config.exclude[0].matches("a/legacy/b.py"));
    assert_eq!(config.fail_on, Some(FailOn::Never));
    assert_eq!((config.baseline.as_deref(), config.stats.as_deref()), (Some("b.json"), Some("s.json")));
    assert_eq!(config.small_table_rows, Some(10_000));
    let patterns: Vec<_> = config.paths.iter().map(|entry| entry.pattern.as_str()).collect();
    assert_eq!(patterns, ["old/**", "new"], "in the order of the file");
    let order = &config.tables[0];
    assert_eq!(order.pattern.as_str(), "shop_order");
    assert_eq!((order.rows, order.bytes, order.hot), (Some(1_500_000), Some(2 << 30), Some(true)));
    assert_eq!((order.reads_per_second, order.writes_per_second), (Some(20.0), Some(0.5)));
    assert_eq!((order.is_hot(), config.tables[1].is_hot()), (Some(true), None));
    assert!(config.tables[1].pattern.matches("audit_log"));
    assert_eq!(config.runtime["mirror"][0]["table"].as_str(), Some("shop_order"));
    let level = |code, name| config.rules.level(code, name);
    assert_eq!(level("ZDM101", "index-not-concurrent"), Some(Level::On(Severity::Warning)));
    assert_eq!(level("ZDM102", "volatile-default"), Some(Level::Off), "ignored");
    assert_eq!(level("ZDM201", "column-dropped"), Some(Level::Off), "not selected and off");
    assert_eq!(level("ZDM801", "char-type"), None, "selected in addition, at its own severity");
    assert!(config.rules.selects("ZDM801", "char-type"));
}

#[test]
fn each_row_of_the_keys_is_read_in_its_section() {
    for key in &keys::KEYS {
        let text = match key.section {
            keys::Section::Top => format!("{} = {}\n", key.name, key.example),
            keys::Section::Path => format!("[paths.\"a/b\"]\n{} = {}\n", key.name, key.example),
            keys::Section::Table => format!("[tables.t]\n{} = {}\n", key.name, key.example),
        };
        let result = parse("zdm.toml", &text.replace("ZDM501", "ZDM101"));
        assert!(result.is_ok(), "{text}: {}", result.unwrap_err());
    }
}

#[test]
fn a_project_without_our_section_has_the_default() {
    let config = parse("pyproject.toml", "[tool.black]\nline-length = 1\n").unwrap();
    assert!(config.rules.select.is_none() && config.tables.is_empty());
    assert!(!has_section("[tool.black]\n# [tool.zdm]\n"));
    assert!(has_section("[ tool . zdm ]\n") && has_section("[tool.zdm.tables]") && has_section("[[tool.zdm.mirror]]"));
    assert!(!has_section("[tool.zdmx]"));
}

#[test]
fn mistakes_have_places_and_remedies() {
    check_bad("selct = []", &["zdm.toml:1:1: unknown key `selct` in `zdm.toml` (did you mean `select`?)"]);
    check_bad(
        "ignore = [\n  \"ZDM101\",\n  \"index-not-concurent\",\n]\n[severity]\nZDM11 = \"eror\"\n",
        &[
            "zdm.toml:3:3: no rule has the code or name `index-not-concurent` (did you mean `index-not-concurrent`?)",
            "zdm.toml:6:1: no rule has the code or name `ZDM11` (did you mean `ZDM101`?)",
            "zdm.toml:6:9: `ZDM11` must be one of \"off\", \"info\", \"warning\", \"error\" (did you mean `error`?)",
        ],
    );
    check_bad(
        "[tool.zdm]\nselect = []",
        &[
            "zdm.toml:1:2: unknown key `tool` in `zdm.toml` (in `zdm.toml` the keys stand at the top, without `[tool.zdm]`)",
        ],
    );
    check_bad(
        "postgres = \"11\"",
        &[
            "zdm.toml:1:12: PostgreSQL 11 is not supported: 12 to 18 are (write a version such as `\"16\"` or `\"16.4\"`)",
        ],
    );
    check_bad("django = \"new\"", &["zdm.toml:1:10: `new` is no Django version (write a version such as `\"5.2\"`)"]);
    check_bad("select = \"ZDM1\"", &["zdm.toml:1:10: `select` is a string, but must be a list of strings"]);
    check_bad(
        "fail-on = \"warn\"",
        &["zdm.toml:1:11: `fail-on` must be one of \"info\", \"warning\", \"error\", \"never\""],
    );
    check_bad(
        "[tables]\na = { rows = \"many\", hot = 1 }",
        &[
            "zdm.toml:2:14: `rows` must be a whole number, or one with a unit: \"20k\", \"20M\", \"20B\"",
            "zdm.toml:2:28: `hot` is an integer, but must be `true` or `false`",
        ],
    );
    check_bad(
        "exclude = [\"a[\"]\nsettings = \"\"",
        &["zdm.toml:1:12: `a[` is no pattern: invalid range pattern", "zdm.toml:2:12: `settings` is empty"],
    );
    check_bad(
        "[tables]\nx = 1\n[paths]\ny = 2",
        &[
            "zdm.toml:2:5: `x` is an integer, but must be a table",
            "zdm.toml:4:5: `y` is an integer, but must be a table",
        ],
    );
}

#[test]
fn broken_toml_has_a_place() {
    let error = parse("zdm.toml", "select = [\n").unwrap_err();
    assert!(error.to_string().starts_with("zdm.toml:"), "{error}");
    let error = parse("zdm.toml", "postgres = \"16\"\npostgres = \"17\"\n").unwrap_err();
    assert!(error.to_string().starts_with("zdm.toml:2:1: duplicate key"), "{error}");
}

#[test]
fn mistakes_are_drawn() {
    let error = parse("zdm.toml", "# ours\nselect = [\"ZDM1\"]\nignor = [\"volatile-defaults\"]\n").unwrap_err();
    insta::assert_snapshot!(render::render(&error, false, true, 90));
}

#[test]
fn narrower_selectors_win() {
    let settings = |text| parse("zdm.toml", text).unwrap().rules;
    let rules = settings("select = [\"ZDM101\"]\nignore = [\"ZDM1\"]");
    assert_eq!(rules.level("ZDM101", "index-not-concurrent"), None);
    assert_eq!(rules.level("ZDM102", "volatile-default"), Some(Level::Off));
    let rules = settings("select = [\"ALL\"]\nignore = [\"ALL\"]");
    assert_eq!(rules.level("ZDM101", "index-not-concurrent"), Some(Level::Off));
    let rules = settings("severity = { ZDM1 = \"info\", index-not-concurrent = \"error\" }");
    assert_eq!(rules.level("ZDM101", "index-not-concurrent"), Some(Level::On(Severity::Error)));
    assert_eq!(rules.level("ZDM102", "volatile-default"), Some(Level::On(Severity::Info)));
    assert_eq!(rules.level("ZDM201", "column-dropped"), None);
}

#[test]
fn nearest_names() {
    for (text, near) in
        [("postgress", Some("postgres")), ("Select", Some("select")), ("ingore", Some("ignore")), ("colour", None)]
    {
        assert_eq!(nearest(text, ["postgres", "select", "ignore"]), near, "{text}");
    }
}

/// Every rule that an example of a key names exists here.
const EXAMPLES: [KnownRule<'static>; 2] =
    [KnownRule { code: "ZDM501", name: "x" }, KnownRule { code: "ZDM101", name: "y" }];

#[test]
fn the_template_is_a_configuration_with_and_without_its_comments() {
    use schema::{Place, template};
    for (place, path) in [(Place::ZdmToml, "zdm.toml"), (Place::Pyproject, "pyproject.toml")] {
        let text = template(place, Some("16"), None);
        let config = parse(path, &text).unwrap();
        assert_eq!(config.postgres.unwrap().to_string(), "16");
        assert!(config.django.is_none());
        // With the comment signs taken away, everything in it is read.
        let active: Vec<&str> = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") || rest.starts_with('[') => rest,
                _ => line,
            })
            .collect();
        let known: Vec<KnownRule<'_>> = RULES.iter().chain(&EXAMPLES).copied().collect();
        let config = Config::parse(&SourceFile::new(path, active.join("\n")), &known).unwrap();
        assert_eq!(config.tables[0].rows, Some(100_000_000));
        assert_eq!(config.paths[0].pattern.as_str(), "legacy/**");
        assert_eq!(config.baseline.as_deref(), Some("zdm-baseline.json"));
    }
    insta::assert_snapshot!(template(Place::Pyproject, Some("16"), Some("5.2")));
}

#[test]
fn the_published_schema_and_reference_are_in_sync() {
    in_sync("zdm.schema.json", &schema::json_schema());
    in_sync("configuration.md", &schema::reference());
}

#[track_caller]
fn in_sync(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    if published != made && std::env::var_os("ZDM_UPDATE").is_some() {
        std::fs::write(&path, made).unwrap();
        return;
    }
    assert_eq!(published, made, "run the test once with ZDM_UPDATE=1");
}
