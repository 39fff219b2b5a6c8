//! TOML text → [`Config`], with the place of everything that is wrong.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use zdm_django::DjangoVersion;
use zdm_postgres::PgVersion;
use zdm_source::{SourceFile, Span};

use super::keys::{Key, Kind, Section, keys};
use super::{
    Config, ConfigError, ConfigProblem, KnownRule, Level, PYPROJECT, PathSettings, RuleSettings, Selector,
    TableSettings, nearest,
};
use crate::pattern::{NamePattern, PathPattern};

type Item<'a> = Spanned<DeValue<'a>>;

pub(super) fn read(file: &SourceFile, known: &[KnownRule<'_>]) -> Result<Config, ConfigError> {
    let mut reader = Reader { known, problems: Vec::new(), in_pyproject: file.path().ends_with(PYPROJECT) };
    let (table, errors) = DeTable::parse_recoverable(file.text());
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        reader.problem(span, error.message().to_lowercase(), None);
    }
    let mut config = Config::default();
    if reader.problems.is_empty() {
        let table = table.get_ref();
        let section = if reader.in_pyproject { pyproject(table) } else { Some(table) };
        if let Some(section) = section {
            reader.top(section, &mut config);
        }
    }
    if reader.problems.is_empty() {
        config.file = Some(file.clone()).filter(|_| !config.tables.is_empty());
        return Ok(config);
    }
    reader.problems.sort_by_key(|problem| problem.span);
    Err(ConfigError { file: file.clone(), problems: reader.problems })
}

fn pyproject<'a, 'i>(table: &'a DeTable<'i>) -> Option<&'a DeTable<'i>> {
    let tool = table.get("tool")?.get_ref().as_table()?;
    tool.get("zdm")?.get_ref().as_table()
}

struct Reader<'a> {
    known: &'a [KnownRule<'a>],
    problems: Vec<ConfigProblem>,
    in_pyproject: bool,
}

impl Reader<'_> {
    fn problem(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.problems.push(ConfigProblem { span: Span::from(span), message: message.into(), help });
    }

    fn wrong_type(&mut self, item: &Item<'_>, name: &str, expected: &str) {
        let found = item.get_ref().type_str();
        self.problem(item.span(), format!("`{name}` is {}, but must be {expected}", article(found)), None);
    }

    /// Each entry whose key is known, with its row; the others are problems.
    fn entries<'t, 'i>(
        &mut self,
        table: &'t DeTable<'i>,
        section: Section,
        place: &str,
    ) -> Vec<(&'static Key, &'t Item<'i>)> {
        let mut found = Vec::new();
        for (name, item) in table {
            let text = name.get_ref().as_ref();
            if let Some(key) = keys(section).find(|key| key.name == text) {
                found.push((key, item));
                continue;
            }
            let mut help =
                nearest(text, keys(section).map(|key| key.name)).map(|near| format!("did you mean `{near}`?"));
            if section == Section::Top && !self.in_pyproject && text == "tool" {
                help = Some("in `zdm.toml` the keys stand at the top, without `[tool.zdm]`".to_owned());
            }
            let help = help.unwrap_or_else(|| {
                let names: Vec<String> = keys(section).map(|key| format!("`{}`", key.name)).collect();
                format!("known here: {}", names.join(", "))
            });
            self.problem(name.span(), format!("unknown key `{text}` in {place}"), Some(help));
        }
        found
    }

    fn top(&mut self, table: &DeTable<'_>, config: &mut Config) {
        let place = if self.in_pyproject { "`[tool.zdm]`" } else { "`zdm.toml`" };
        for (key, item) in self.entries(table, Section::Top, place) {
            match key.name {
                "postgres" => config.postgres = self.version(item, key.name, "`\"16\"` or `\"16.4\"`", postgres),
                "django" => config.django = self.version(item, key.name, "`\"5.2\"`", django),
                "settings" => config.settings = self.text(item, key.name),
                "baseline" => config.baseline = self.text(item, key.name),
                "stats" => config.stats = self.text(item, key.name),
                "extra-roots" => {
                    let roots = self.texts(item, key.name);
                    config.extra_roots = roots.into_iter().map(|(_, root)| folder(&root)).collect();
                }
                "exclude" => {
                    for (span, text) in self.texts(item, key.name) {
                        config.exclude.extend(self.path_pattern(&text, span));
                    }
                }
                "apps" => {
                    for (label, item) in self.table(item, key.name) {
                        if let Some(path) = self.text(item, label.get_ref()) {
                            config.apps.push((label.get_ref().to_string(), folder(&path)));
                        }
                    }
                }
                "fail-on" => {
                    config.fail_on = self.word(item, key.name, &["info", "warning", "error", "never"]);
                }
                "small-table-rows" => config.small_table_rows = self.count(item, key.name, &COUNTS),
                "paths" => {
                    for (pattern, item) in self.table(item, key.name) {
                        let text = pattern.get_ref().as_ref();
                        let rules = self.path_settings(item, text);
                        if let Some(pattern) = self.path_pattern(text, pattern.span()) {
                            config.paths.push(PathSettings { pattern, rules });
                        }
                    }
                }
                "tables" => {
                    for (pattern, item) in self.table(item, key.name) {
                        let text = pattern.get_ref().as_ref();
                        match NamePattern::new(text) {
                            Ok(name) => config.tables.extend(self.table_settings(item, name, pattern.span())),
                            Err(error) => {
                                self.problem(pattern.span(), format!("`{text}` is no pattern: {}", error.msg), None);
                            }
                        }
                    }
                }
                _ if key.kind == Kind::Runtime => {
                    config.runtime.insert(key.name.to_owned(), plain(item.get_ref()));
                }
                name => self.rule_setting(name, item, &mut config.rules),
            }
        }
    }

    fn path_settings(&mut self, item: &Item<'_>, pattern: &str) -> RuleSettings {
        let mut rules = RuleSettings::default();
        let Some(table) = item.get_ref().as_table() else {
            self.wrong_type(item, pattern, "a table");
            return rules;
        };
        for (key, item) in self.entries(table, Section::Path, &format!("`paths.\"{pattern}\"`")) {
            self.rule_setting(key.name, item, &mut rules);
        }
        rules
    }

    fn table_settings(&mut self, item: &Item<'_>, pattern: NamePattern, span: Range<usize>) -> Option<TableSettings> {
        let name = pattern.as_str().to_owned();
        let mut settings = TableSettings {
            pattern,
            span: Span::from(span),
            rows: None,
            bytes: None,
            hot: None,
            reads_per_second: None,
            writes_per_second: None,
            rules: RuleSettings::default(),
        };
        let table = item.get_ref().as_table();
        let Some(table) = table else {
            self.wrong_type(item, &name, "a table");
            return None;
        };
        for (key, item) in self.entries(table, Section::Table, &format!("`tables.{name}`")) {
            match key.name {
                "rows" => settings.rows = self.count(item, key.name, &COUNTS),
                "bytes" => settings.bytes = self.count(item, key.name, &SIZES),
                "hot" => match item.get_ref().as_bool() {
                    Some(hot) => settings.hot = Some(hot),
                    None => self.wrong_type(item, key.name, "`true` or `false`"),
                },
                "reads-per-second" => settings.reads_per_second = self.rate(item, key.name),
                "ignore" | "severity" => self.rule_setting(key.name, item, &mut settings.rules),
                _ => settings.writes_per_second = self.rate(item, key.name),
            }
        }
        Some(settings)
    }

    fn rule_setting(&mut self, name: &str, item: &Item<'_>, rules: &mut RuleSettings) {
        match name {
            "select" => {
                if item.get_ref().as_array().is_some_and(|items| items.is_empty()) {
                    let message = "an empty `select` would switch every rule off".to_owned();
                    let help = "leave it out for the default rules, or name those that are to run".to_owned();
                    self.problem(item.span(), message, Some(help));
                }
                rules.select = Some(self.selectors(item, name));
            }
            "extend-select" => rules.extend_select = self.selectors(item, name),
            "ignore" => rules.ignore = self.selectors(item, name),
            _ => {
                for (selector, item) in self.table(item, name) {
                    let level: Option<Level> =
                        self.word(item, selector.get_ref(), &["off", "info", "warning", "error"]);
                    let selector = self.selector(selector.get_ref(), selector.span());
                    rules.severity.extend(selector.zip(level));
                }
            }
        }
    }

    fn selectors(&mut self, item: &Item<'_>, name: &str) -> Vec<Selector> {
        let texts = self.texts(item, name);
        texts.into_iter().filter_map(|(span, text)| self.selector(&text, span)).collect()
    }

    fn selector(&mut self, text: &str, span: Range<usize>) -> Option<Selector> {
        match Selector::new(text, self.known) {
            Ok(selector) => Some(selector),
            Err(near) => {
                let help = near
                    .map_or_else(|| "`zdm-lint rules` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
                self.problem(span, format!("no rule has the code or name `{text}`"), Some(help));
                None
            }
        }
    }

    fn path_pattern(&mut self, text: &str, span: Range<usize>) -> Option<PathPattern> {
        match PathPattern::new(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.problem(span, format!("`{text}` is no pattern: {}", error.msg), None);
                None
            }
        }
    }

    /// The entries of a table in the order of the file.
    fn table<'t, 'i>(&mut self, item: &'t Item<'i>, name: &str) -> Vec<(&'t Spanned<DeString<'i>>, &'t Item<'i>)> {
        let Some(table) = item.get_ref().as_table() else {
            self.wrong_type(item, name, "a table");
            return Vec::new();
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        entries
    }

    fn text(&mut self, item: &Item<'_>, name: &str) -> Option<String> {
        match item.get_ref().as_str() {
            Some("") => {
                self.problem(item.span(), format!("`{name}` is empty"), None);
                None
            }
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong_type(item, name, "a string");
                None
            }
        }
    }

    fn texts(&mut self, item: &Item<'_>, name: &str) -> Vec<(Range<usize>, String)> {
        let Some(list) = item.get_ref().as_array() else {
            self.wrong_type(item, name, "a list of strings");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for entry in list {
            match entry.get_ref().as_str() {
                Some(text) => texts.push((entry.span(), text.to_owned())),
                None => self.wrong_type(entry, name, "a list of strings"),
            }
        }
        texts
    }

    fn word<T: std::str::FromStr>(&mut self, item: &Item<'_>, name: &str, words: &[&str]) -> Option<T> {
        let text = item.get_ref().as_str().unwrap_or_default();
        if words.contains(&text)
            && let Ok(value) = text.parse()
        {
            return Some(value);
        }
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let help = nearest(text, words.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        self.problem(item.span(), format!("`{name}` must be one of {}", quoted.join(", ")), help);
        None
    }

    /// A version, quoted or not: `postgres = 16` says the same as `postgres = "16"`.
    fn version<T>(
        &mut self,
        item: &Item<'_>,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = match item.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            _ => {
                self.wrong_type(item, name, &format!("a version such as {expected}"));
                return None;
            }
        };
        match parse(&text) {
            Ok(version) => Some(version),
            Err(problem) => {
                self.problem(item.span(), problem, Some(format!("write a version such as {expected}")));
                None
            }
        }
    }

    fn count(&mut self, item: &Item<'_>, name: &str, units: &[(&str, u64)]) -> Option<u64> {
        let found = match item.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().replace('_', "").parse().ok(),
            DeValue::String(text) => quantity(text, units),
            _ => None,
        };
        if found.is_none() {
            let examples: Vec<String> = units.iter().map(|(unit, _)| format!("\"20{unit}\"")).take(3).collect();
            self.problem(
                item.span(),
                format!("`{name}` must be a whole number, or one with a unit: {}", examples.join(", ")),
                None,
            );
        }
        found
    }

    fn rate(&mut self, item: &Item<'_>, name: &str) -> Option<f64> {
        let number = match item.get_ref() {
            DeValue::Integer(number) => number.as_str().replace('_', "").parse::<f64>().ok(),
            DeValue::Float(number) => number.as_str().replace('_', "").parse::<f64>().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite() && *number >= 0.0);
        if number.is_none() {
            self.problem(item.span(), format!("`{name}` must be a number, zero or more"), None);
        }
        number
    }
}

const COUNTS: [(&str, u64); 4] = [("k", 1_000), ("M", 1_000_000), ("B", 1_000_000_000), ("G", 1_000_000_000)];

/// PostgreSQL's units, in which a `kB` is 1024 bytes.
const SIZES: [(&str, u64); 4] = [("kB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30), ("TB", 1 << 40)];

/// `100M`, `1.5 GB`, `20_000`.
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim().replace('_', "");
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = text.get(digits.len()..)?;
    let factor = match unit {
        "" => 1,
        unit => units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    let (whole, fraction) = digits.trim().split_once('.').unwrap_or((digits.trim(), ""));
    let mut value = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let mut place = factor;
    for digit in fraction.chars() {
        place /= 10;
        value = value.checked_add(u64::from(digit.to_digit(10)?).checked_mul(place)?)?;
    }
    Some(value)
}

fn postgres(text: &str) -> Result<PgVersion, String> {
    let version: PgVersion = text.parse().map_err(|_| format!("`{text}` is no PostgreSQL version"))?;
    if version.is_supported() {
        return Ok(version);
    }
    let (oldest, newest) = (PgVersion::OLDEST, PgVersion::NEWEST);
    Err(format!("PostgreSQL {text} is not supported: {oldest} to {newest} are"))
}

fn django(text: &str) -> Result<DjangoVersion, String> {
    let version: DjangoVersion = text.parse().map_err(|_| format!("`{text}` is no Django version"))?;
    if (DjangoVersion::OLDEST..=DjangoVersion::NEWEST).contains(&version) {
        return Ok(version);
    }
    let (oldest, newest) = (DjangoVersion::OLDEST, DjangoVersion::NEWEST);
    Err(format!("Django {text} is not supported: {oldest} to {newest} are"))
}

fn folder(path: &str) -> String {
    path.trim_start_matches("./").trim_end_matches('/').to_owned()
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}

/// The value without its places.
fn plain(value: &DeValue<'_>) -> toml::Value {
    match value {
        DeValue::String(text) => toml::Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
            .map_or_else(|_| toml::Value::String(number.as_str().to_owned()), toml::Value::Integer),
        DeValue::Float(number) => number
            .as_str()
            .replace('_', "")
            .parse()
            .map_or_else(|_| toml::Value::String(number.as_str().to_owned()), toml::Value::Float),
        DeValue::Boolean(flag) => toml::Value::Boolean(*flag),
        DeValue::Datetime(time) => toml::Value::Datetime(*time),
        DeValue::Array(list) => toml::Value::Array(list.iter().map(|item| plain(item.get_ref())).collect()),
        DeValue::Table(table) => toml::Value::Table(
            table.iter().map(|(name, item)| (name.get_ref().to_string(), plain(item.get_ref()))).collect(),
        ),
    }
}
