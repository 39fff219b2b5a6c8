//! The keys of the configuration: one row each, in the order in which they are explained.

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// `[tool.zdm]`, or the top of `zdm.toml`.
    Top,
    /// `[tool.zdm.paths."PATTERN"]`.
    Path,
    /// `[tool.zdm.tables]`, `PATTERN = { … }`.
    Table,
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    PostgresVersion,
    DjangoVersion,
    Text,
    Texts,
    /// A list of codes, beginnings of codes, or names of rules.
    Rules,
    /// Rules with a level each.
    Levels,
    FailOn,
    /// App labels with folders.
    Apps,
    /// Path patterns with settings.
    Paths,
    /// Table patterns with settings.
    Tables,
    Bool,
    /// A number, or text such as `100M`.
    Count,
    /// A number of bytes, or text such as `20GB`.
    Bytes,
    Rate,
    /// Read by the runtime.
    Runtime,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub section: Section,
    pub name: &'static str,
    pub kind: Kind,
    /// One sentence for the documentation and the schema.
    pub doc: &'static str,
    /// A TOML value, for the documentation.
    pub example: &'static str,
}

const fn key(section: Section, name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key { section, name, kind, doc, example }
}

use Section::{Path, Table, Top};

/// All keys.
pub const KEYS: [Key; 30] = [
    key(Top, "postgres", Kind::PostgresVersion, "\"16\"", "The oldest PostgreSQL that the migrations run on."),
    key(Top, "django", Kind::DjangoVersion, "\"5.2\"", "The Django release that runs them."),
    key(
        Top,
        "settings",
        Kind::Text,
        "\"config.settings.production\"",
        "The settings module, as in DJANGO_SETTINGS_MODULE.",
    ),
    key(Top, "apps", Kind::Apps, "{ shop = \"src/shop\" }", "Folders of apps whose label cannot be found by reading."),
    key(Top, "extra-roots", Kind::Texts, "[\"src\"]", "Folders that imports start from, before those that are found."),
    key(Top, "exclude", Kind::Texts, "[\"legacy\", \"**/generated\"]", "Path patterns that are not read."),
    key(
        Top,
        "select",
        Kind::Rules,
        "[\"ZDM1\", \"ZDM2\"]",
        "The rules that run, by code, beginning of codes or name; default: those that are on by default.",
    ),
    key(Top, "extend-select", Kind::Rules, "[\"ZDM8\"]", "Rules that run in addition."),
    key(Top, "ignore", Kind::Rules, "[\"ZDM501\"]", "Rules that do not run."),
    key(Top, "severity", Kind::Levels, "{ ZDM101 = \"warning\" }", "Levels of rules: off, info, warning or error."),
    key(
        Top,
        "fail-on",
        Kind::FailOn,
        "\"warning\"",
        "The least severity that makes a run fail: info, warning, error or never.",
    ),
    key(
        Top,
        "baseline",
        Kind::Text,
        "\"zdm-baseline.json\"",
        "The file with the findings that were there when the project adopted the linter.",
    ),
    key(
        Top,
        "stats",
        Kind::Text,
        "\"zdm-stats.json\"",
        "The file with table sizes and traffic, as `zdm stats` writes it.",
    ),
    key(Top, "small-table-rows", Kind::Count, "10_000", "Tables known to have at most so many rows are small."),
    key(
        Top,
        "paths",
        Kind::Paths,
        "{ \"legacy\" = { ignore = [\"ALL\"] } }",
        "Settings for the files that a pattern matches.",
    ),
    key(
        Top,
        "tables",
        Kind::Tables,
        "{ shop_order = { rows = \"100M\", hot = true } }",
        "What is known about the tables that a pattern matches.",
    ),
    key(
        Top,
        "mirror",
        Kind::Runtime,
        "[{ model = \"shop.Order\", source = \"size\", target = \"size_bigint\", type = \"bigint\" }]",
        "Dual-write triggers, entries `[[tool.zdm.mirror]]`, made and checked by [`zdm mirror`](mirror.md#as-configuration).",
    ),
    key(Top, "migrate", Kind::Runtime, "{}", "Settings of `zdm migrate`."),
    key(Top, "backfill", Kind::Runtime, "{}", "Settings of `zdm backfill`."),
    key(Path, "select", Kind::Rules, "[\"ZDM1\"]", "Only these rules report on the files."),
    key(Path, "extend-select", Kind::Rules, "[\"ZDM8\"]", "Rules that report on the files in addition."),
    key(Path, "ignore", Kind::Rules, "[\"ALL\"]", "Rules that do not report on the files."),
    key(Path, "severity", Kind::Levels, "{ ZDM101 = \"info\" }", "Levels of rules for the files."),
    key(Table, "rows", Kind::Count, "\"100M\"", "Rows, at least roughly."),
    key(Table, "bytes", Kind::Bytes, "\"80GB\"", "Size with indexes, at least roughly."),
    key(Table, "hot", Kind::Bool, "true", "Read or written all the time."),
    key(Table, "reads-per-second", Kind::Rate, "2000", "Reads per second at busy times."),
    key(Table, "writes-per-second", Kind::Rate, "150", "Writes per second at busy times."),
    key(Table, "ignore", Kind::Rules, "[\"ZDM101\"]", "Rules that do not report on these tables."),
    key(Table, "severity", Kind::Levels, "{ ZDM101 = \"error\" }", "Levels of rules for findings about these tables."),
];

/// The rows of one section.
pub fn keys(section: Section) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}
