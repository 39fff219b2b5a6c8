//! Which Django and which PostgreSQL a project runs on.
//!
//! The command line goes before the configuration, the configuration before what is found: an exact version in a lock
//! file or a pinned requirement, the installed Django, a range (its newest release counts, because that is what an
//! installation takes), a container image. Where nothing is found, the newest supported version is assumed, and the
//! [`Target`] says so.

use std::cell::OnceCell;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use zdm_django::{DjangoVersion, Driver};
use zdm_postgres::PgVersion;

/// A version and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<V> {
    pub version: V,
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    CommandLine,
    Configuration,
    /// The file relative to the folder it was looked for in, and what stands there.
    Found {
        file: String,
        text: String,
    },
    /// Found, but outside of what is supported; the nearest supported version is taken.
    Clamped {
        file: String,
        text: String,
    },
    Assumed,
}

impl<V: fmt::Display> Target<V> {
    /// One sentence without its final period for the report; `None` where the user chose.
    pub fn note(&self, product: &str) -> Option<String> {
        let version = &self.version;
        match &self.origin {
            Origin::CommandLine | Origin::Configuration => None,
            Origin::Found { file, text } => Some(format!("{product} {version}: `{text}` in {file}")),
            Origin::Clamped { file, text } => {
                Some(format!("{product} {version} assumed: `{text}` in {file} is not supported"))
            }
            Origin::Assumed => {
                let key = product.to_lowercase().replace("postgresql", "postgres");
                Some(format!(
                    "{product} {version} assumed, the newest: found no version; set `{key}` in the configuration"
                ))
            }
        }
    }
}

/// Django's feature releases, oldest first.
const DJANGO: [DjangoVersion; 9] = [
    DjangoVersion::new(3, 2),
    DjangoVersion::new(4, 0),
    DjangoVersion::new(4, 1),
    DjangoVersion::new(4, 2),
    DjangoVersion::new(5, 0),
    DjangoVersion::new(5, 1),
    DjangoVersion::new(5, 2),
    DjangoVersion::new(6, 0),
    DjangoVersion::new(6, 1),
];

/// What the project in `folders` (the project root, then the repository's) is installed with. Each place is read when it
/// is asked, and once.
#[derive(Debug)]
pub struct Installation<'p> {
    folders: &'p [PathBuf],
    site_packages: Option<&'p Path>,
    locks: OnceCell<Vec<LockFile>>,
    installed: OnceCell<Vec<String>>,
    /// By folder: the lines, with their files.
    requirements: OnceCell<Vec<Vec<(String, String)>>>,
}

impl<'p> Installation<'p> {
    pub fn new(folders: &'p [PathBuf], site_packages: Option<&'p Path>) -> Self {
        let (locks, installed, requirements) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { folders, site_packages, locks, installed, requirements }
    }

    fn locks(&self) -> &[LockFile] {
        self.locks.get_or_init(|| self.folders.iter().flat_map(|folder| lock_files(folder)).collect())
    }

    /// The names of what lies in the environment, sorted.
    fn installed(&self) -> &[String] {
        self.installed.get_or_init(|| {
            let entries = self.site_packages.and_then(|folder| fs::read_dir(folder).ok());
            let entries = entries.into_iter().flatten().flatten();
            let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
            names.sort();
            names
        })
    }

    fn requirements(&self) -> &[Vec<(String, String)>] {
        self.requirements.get_or_init(|| self.folders.iter().map(|folder| requirements(folder)).collect())
    }

    pub fn django(&self) -> Target<DjangoVersion> {
        let found = locked(self.locks())
            .or_else(|| required(self.requirements(), true))
            .or_else(|| installed(self.installed()))
            .or_else(|| required(self.requirements(), false));
        match found {
            None => Target { version: DjangoVersion::NEWEST, origin: Origin::Assumed },
            Some(Found { version, file, text }) => {
                let clamped = version.clamp(DjangoVersion::OLDEST, DjangoVersion::NEWEST);
                let origin =
                    if clamped == version { Origin::Found { file, text } } else { Origin::Clamped { file, text } };
                Target { version: clamped, origin }
            }
        }
    }

    /// The driver that this Django takes: psycopg 3 since 4.2, unless the project has psycopg2 alone. A lock file is asked
    /// first, then the environment, then the requirements.
    pub fn driver(&self, version: DjangoVersion) -> Driver {
        if !version.at_least(4, 2) {
            return Driver::Psycopg2;
        }
        let locked = |lock: &LockFile| driver_among(lock.packages.iter().map(|(name, _)| name.as_str()));
        let required = |lines: &Vec<(String, String)>| driver_among(lines.iter().map(|(_, line)| required_name(line)));
        let mut locks = self.locks().iter();
        locks
            .find_map(locked)
            .or_else(|| driver_among(self.installed().iter().map(String::as_str)))
            .or_else(|| self.requirements().iter().find_map(required))
            .unwrap_or(Driver::Psycopg3)
    }
}

fn driver_among<'n>(names: impl Iterator<Item = &'n str>) -> Option<Driver> {
    let mut found = None;
    for name in names {
        if name.eq_ignore_ascii_case("psycopg") {
            return Some(Driver::Psycopg3);
        }
        if ["psycopg2", "psycopg2-binary", "psycopg2_binary"].iter().any(|other| name.eq_ignore_ascii_case(other)) {
            found = Some(Driver::Psycopg2);
        }
    }
    found
}

/// A lock file with its packages and their versions.
#[derive(Debug)]
struct LockFile {
    file: &'static str,
    packages: Vec<(String, String)>,
}

struct Found<V> {
    version: V,
    file: String,
    text: String,
}

fn ends(name: &str, with: &[&str]) -> bool {
    with.iter().any(|end| name.ends_with(end))
}

fn text_of(folder: &Path, name: &str) -> Option<String> {
    let path = folder.join(name);
    let metadata = fs::metadata(&path).ok()?;
    if !metadata.is_file() || metadata.len() > crate::files::LARGEST {
        return None;
    }
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}

/// `[[package]]` of uv, Poetry and PDM; `Pipfile.lock`.
fn lock_files(folder: &Path) -> Vec<LockFile> {
    let mut found = Vec::new();
    for file in ["uv.lock", "poetry.lock", "pdm.lock", "pylock.toml"] {
        let Some(text) = text_of(folder, file) else { continue };
        let Ok(document) = text.parse::<toml::Table>() else { continue };
        let packages = document.get("package").or_else(|| document.get("packages")).and_then(toml::Value::as_array);
        let read = |package: &toml::Value| {
            let part = |name: &str| package.get(name).and_then(toml::Value::as_str).map(str::to_owned);
            Some((part("name")?, part("version").unwrap_or_default()))
        };
        found.push(LockFile { file, packages: packages.into_iter().flatten().filter_map(read).collect() });
    }
    let pipfile =
        text_of(folder, "Pipfile.lock").and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    if let Some(packages) = pipfile.as_ref().and_then(|document| document.get("default")?.as_object()) {
        let version = |package: &serde_json::Value| {
            let exact = package.get("version").and_then(serde_json::Value::as_str);
            exact.unwrap_or_default().trim_start_matches('=').to_owned()
        };
        let packages = packages.iter().map(|(name, package)| (name.clone(), version(package))).collect();
        found.push(LockFile { file: "Pipfile.lock", packages });
    }
    found
}

fn locked(locks: &[LockFile]) -> Option<Found<DjangoVersion>> {
    locks.iter().find_map(|LockFile { file, packages }| {
        packages.iter().find_map(|(name, exact)| {
            let version = name.eq_ignore_ascii_case("django").then(|| exact.parse().ok())??;
            Some(Found { version, file: (*file).to_owned(), text: format!("django {exact}") })
        })
    })
}

/// `Django-5.2.1.dist-info`.
fn installed(names: &[String]) -> Option<Found<DjangoVersion>> {
    names.iter().find_map(|name| {
        let (package, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
        let version = package.eq_ignore_ascii_case("django").then(|| version.parse().ok())??;
        Some(Found { version, file: "the virtual environment".to_owned(), text: name.clone() })
    })
}

/// Requirements in every shape; with `exact` only those that name one feature release.
fn required(requirements: &[Vec<(String, String)>], exact: bool) -> Option<Found<DjangoVersion>> {
    let mut found = requirements.iter().flatten().filter_map(|(file, line)| requirement(file, line));
    found.find(|(_, one)| *one || !exact).map(|(found, _)| found)
}

/// The name of what a line requires.
fn required_name(line: &str) -> &str {
    let line = line.trim().trim_start_matches(['-', '"', '\'', ' ']);
    let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    line.split(|character| !is_part(character)).next().unwrap_or_default()
}

/// The lines that require packages, with their files: what is declared first.
fn requirements(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<String> = Vec::new();
    for (below, prefix) in [(folder.to_owned(), ""), (folder.join("requirements"), "requirements/")] {
        let mut names: Vec<String> = fs::read_dir(below)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| {
                let text = ends(name, &[".txt", ".in"]);
                text && (!prefix.is_empty() || name.contains("requirements") || name.starts_with("constraints"))
            })
            .collect();
        // `requirements.txt` is compiled from `requirements.in`, and production is told before development.
        let rank = |name: &String| {
            let place = ["requirements.txt", "prod", "base", "common"].iter().position(|word| name.contains(word));
            (ends(name, &[".in"]), place.unwrap_or(9))
        };
        names.sort_by_key(|name| (rank(name), name.clone()));
        files.extend(names.into_iter().map(|name| format!("{prefix}{name}")));
    }
    files.extend(["setup.cfg", "setup.py", "environment.yml"].map(str::to_owned));
    let lines =
        files.iter().filter_map(|file| Some((file.clone(), text_of(folder, file)?))).flat_map(|(file, text)| {
            let lines: Vec<(String, String)> = text.lines().map(|line| (file.clone(), line.to_owned())).collect();
            lines
        });
    declared(folder).into_iter().chain(lines).collect()
}

/// The requirements of `pyproject.toml` (PEP 621, dependency groups, Poetry) and `Pipfile`, as lines.
fn declared(folder: &Path) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    if let Some(document) = text_of(folder, "pyproject.toml").and_then(|text| text.parse::<toml::Table>().ok()) {
        let file = "pyproject.toml".to_owned();
        let at = |path: &[&str]| {
            let (first, rest) = path.split_first()?;
            rest.iter().try_fold(document.get(*first)?, |value, name| value.get(*name))
        };
        let mut add = |list: Option<&toml::Value>| {
            for text in list.and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str) {
                lines.push((file.clone(), text.to_owned()));
            }
        };
        add(at(&["project", "dependencies"]));
        for groups in [at(&["project", "optional-dependencies"]), at(&["dependency-groups"])] {
            for (_, list) in groups.and_then(toml::Value::as_table).into_iter().flatten() {
                add(Some(list));
            }
        }
        lines.extend(versions_in(at(&["tool", "poetry", "dependencies"]), &file));
    }
    if let Some(document) = text_of(folder, "Pipfile").and_then(|text| text.parse::<toml::Table>().ok()) {
        lines.extend(versions_in(document.get("packages"), "Pipfile"));
    }
    lines
}

/// `django = "^4.2"`, `Django = { version = ">=5.1" }`.
fn versions_in(table: Option<&toml::Value>, file: &str) -> Vec<(String, String)> {
    let line = |(name, value): (&String, &toml::Value)| {
        let version = value.as_str().or_else(|| value.get("version")?.as_str()).unwrap_or_default();
        (file.to_owned(), format!("{name} {version}"))
    };
    table.and_then(toml::Value::as_table).into_iter().flatten().map(line).collect()
}

/// The Django that a requirement takes, and whether it can be only one feature release.
fn requirement(file: &str, line: &str) -> Option<(Found<DjangoVersion>, bool)> {
    let line = line.trim().trim_start_matches(['-', '"', '\'', ' ']);
    let rest = line.get(..6).filter(|name| name.eq_ignore_ascii_case("django")).and_then(|_| line.get(6..))?;
    let rest = rest.trim_start();
    let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
    let rest = rest.split([';', '#', '\\', '"', '\'']).next()?.split(" --").next()?.trim().trim_matches(['(', ')']);
    // `django-environ` is another package.
    let first = rest.chars().next()?;
    if !(matches!(first, '=' | '>' | '<' | '~' | '!' | '^' | '*') || first.is_ascii_digit()) {
        return None;
    }
    let clauses: Vec<Clause> = rest.split(',').filter_map(Clause::read).collect();
    if clauses.is_empty() {
        return None;
    }
    let allowed: Vec<DjangoVersion> =
        DJANGO.into_iter().filter(|release| clauses.iter().all(|clause| clause.allows(*release))).collect();
    let text = format!("django {rest}");
    let file = file.to_owned();
    if let Some(newest) = allowed.last() {
        return Some((Found { version: *newest, file, text }, allowed.len() == 1));
    }
    // Older or newer than every release known here: the version that is written.
    let (major, minor) = clauses.first()?.version;
    Some((Found { version: DjangoVersion::new(major, minor.unwrap_or(0)), file, text }, true))
}

#[derive(Clone, Copy)]
enum Sign {
    Equal,
    AtLeast,
    Above,
    AtMost,
    Below,
    /// `~=4.2.1`: the same feature release; `~=4.2`: the same major.
    Compatible,
    /// `^4.2`: the same major.
    Caret,
    Not,
}

struct Clause {
    sign: Sign,
    /// Major, minor where it is written, and whether more than these two numbers are.
    version: (u8, Option<u8>),
    patch: Option<u32>,
}

impl Clause {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let signs = [
            ("===", Sign::Equal),
            ("==", Sign::Equal),
            (">=", Sign::AtLeast),
            ("<=", Sign::AtMost),
            ("~=", Sign::Compatible),
            ("!=", Sign::Not),
            ("^", Sign::Caret),
            ("~", Sign::Compatible),
            (">", Sign::Above),
            ("<", Sign::Below),
            ("=", Sign::Equal),
            ("", Sign::Equal),
        ];
        let (sign, rest) = signs.into_iter().find_map(|(sign, meaning)| Some((meaning, text.strip_prefix(sign)?)))?;
        let mut parts = rest.trim().split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next().and_then(|part| part.parse().ok());
        let patch = parts.next().map(|part| part.parse().unwrap_or(0));
        Some(Self { sign, version: (major, minor), patch })
    }

    /// Whether some patch release of the feature release fits.
    fn allows(&self, release: DjangoVersion) -> bool {
        let (major, minor) = self.version;
        let written = DjangoVersion::new(major, minor.unwrap_or(0));
        match self.sign {
            Sign::Equal => release.major == major && minor.is_none_or(|minor| release.minor == minor),
            Sign::AtLeast => release >= written,
            Sign::Above => release > written || (release == written && minor.is_some() && self.patch.is_some()),
            Sign::AtMost => release <= written,
            Sign::Below => release < written || (release == written && self.patch.is_some_and(|patch| patch > 0)),
            Sign::Compatible if self.patch.is_some() => release == written,
            Sign::Compatible | Sign::Caret => release >= written && release.major == major,
            Sign::Not => true,
        }
    }
}

/// The PostgreSQL of the container images that the project names; the oldest, where they differ.
pub fn postgres(folders: &[PathBuf]) -> Target<PgVersion> {
    let found = folders
        .iter()
        .find_map(|folder| images(folder, &compose_files(folder)).or_else(|| images(folder, &workflow_files(folder))));
    match found {
        None => Target { version: PgVersion::NEWEST, origin: Origin::Assumed },
        Some(Found { version, file, text }) if version.is_supported() => {
            Target { version, origin: Origin::Found { file, text } }
        }
        Some(Found { version, file, text }) => {
            let nearest = if version < PgVersion::OLDEST { PgVersion::OLDEST } else { PgVersion::NEWEST };
            Target { version: nearest, origin: Origin::Clamped { file, text } }
        }
    }
}

fn compose_files(folder: &Path) -> Vec<String> {
    yaml_files(folder, "", |name| name.starts_with("docker-compose") || name.starts_with("compose"))
}

fn workflow_files(folder: &Path) -> Vec<String> {
    let mut files = yaml_files(folder, ".github/workflows/", |_| true);
    files.extend([".gitlab-ci.yml", "bitbucket-pipelines.yml", ".circleci/config.yml"].map(str::to_owned));
    files
}

fn yaml_files(folder: &Path, below: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder.join(below))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| ends(name, &[".yml", ".yaml"]) && wanted(name))
        .collect();
    names.sort();
    names.into_iter().map(|name| format!("{below}{name}")).collect()
}

fn images(folder: &Path, files: &[String]) -> Option<Found<PgVersion>> {
    let mut found: Vec<Found<PgVersion>> = Vec::new();
    for file in files {
        for line in text_of(folder, file).unwrap_or_default().lines() {
            let line = line.trim().trim_start_matches("- ").trim();
            let image = line.strip_prefix("image:").or_else(|| line.strip_prefix("name:"));
            let Some(image) = image.map(|image| image.trim().trim_matches(['"', '\''])) else { continue };
            if let Some(version) = image_version(image) {
                found.push(Found { version, file: file.clone(), text: image.to_owned() });
            }
        }
    }
    found.into_iter().min_by_key(|one| one.version)
}

/// `postgres:16.4-alpine`, `postgis/postgis:15-3.4`, `pgvector/pgvector:pg17`, `timescale/timescaledb:2.14.2-pg16`.
fn image_version(image: &str) -> Option<PgVersion> {
    // A default of the shell's kind: `${POSTGRES_IMAGE:-postgres:16}`.
    let image = image.split_once(":-").map_or(image, |(_, default)| default.trim_end_matches('}'));
    let image = image.split('@').next()?;
    let (repository, tag) = image.rsplit_once(':')?;
    let name = repository.rsplit('/').next()?;
    let number = |text: &str| -> Option<PgVersion> {
        let end = text.find(|character: char| !(character.is_ascii_digit() || character == '.')).unwrap_or(text.len());
        text.get(..end)?.trim_end_matches('.').parse().ok()
    };
    let marked = tag.split('-').find_map(|part| number(part.strip_prefix("pg")?));
    match name {
        "postgres" | "postgresql" | "postgis" | "postgres-postgis" | "spilo" => number(tag).or(marked),
        "pgvector" | "timescaledb" | "timescaledb-ha" | "citus" | "paradedb" => marked,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The project has the files; the versions and their notes are those.
    fn check(files: &[(&str, &str)], django_expected: &str, postgres_expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let folders = [folder.path().to_owned()];
        let site = folder.path().join("site-packages");
        let found = Installation::new(&folders, Some(&site)).django();
        assert_eq!(found.note("Django").unwrap(), django_expected, "{files:?}");
        assert_eq!(postgres(&folders).note("PostgreSQL").unwrap(), postgres_expected, "{files:?}");
    }

    const NO_DJANGO: &str = "Django 6.1 assumed, the newest: found no version; set `django` in the configuration";
    const NO_POSTGRES: &str =
        "PostgreSQL 18 assumed, the newest: found no version; set `postgres` in the configuration";

    #[test]
    fn nothing_found_is_said() {
        check(&[], NO_DJANGO, NO_POSTGRES);
        check(&[("requirements.txt", "django-environ==0.1\nDjango\n")], NO_DJANGO, NO_POSTGRES);
    }

    #[test]
    fn lock_files() {
        let lock =
            "[[package]]\nname = \"asgiref\"\nversion = \"3\"\n\n[[package]]\nname = \"django\"\nversion = \"5.1.4\"\n";
        check(&[("uv.lock", lock)], "Django 5.1: `django 5.1.4` in uv.lock", NO_POSTGRES);
        check(
            &[("poetry.lock", lock), ("requirements.txt", "django==4.2")],
            "Django 5.1: `django 5.1.4` in poetry.lock",
            NO_POSTGRES,
        );
        let pipfile = r#"{"default": {"django": {"version": "==4.2.16"}}}"#;
        check(&[("Pipfile.lock", pipfile)], "Django 4.2: `django 4.2.16` in Pipfile.lock", NO_POSTGRES);
        check(&[("uv.lock", "not [ toml"), ("Pipfile.lock", "nor json")], NO_DJANGO, NO_POSTGRES);
    }

    #[test]
    fn requirements() {
        for (line, expected) in [
            ("Django==4.2.11  # LTS", "Django 4.2: `django ==4.2.11` in requirements.txt"),
            (
                "django[argon2]>=4.2,<5.0 ; python_version > '3.8'",
                "Django 4.2: `django >=4.2,<5.0` in requirements.txt",
            ),
            ("django~=5.1.0", "Django 5.1: `django ~=5.1.0` in requirements.txt"),
            ("django~=5.1", "Django 5.2: `django ~=5.1` in requirements.txt"),
            ("django>=4.2", "Django 6.1: `django >=4.2` in requirements.txt"),
            ("Django == 5.0.* \\", "Django 5.0: `django == 5.0.*` in requirements.txt"),
            ("django<5", "Django 4.2: `django <5` in requirements.txt"),
            ("django==2.2.1", "Django 3.2 assumed: `django ==2.2.1` in requirements.txt is not supported"),
        ] {
            check(&[("requirements.txt", line)], expected, NO_POSTGRES);
        }
        check(
            &[("requirements/base.txt", "django==4.1"), ("requirements/dev.txt", "django==5.2")],
            "Django 4.1: `django ==4.1` in requirements/base.txt",
            NO_POSTGRES,
        );
    }

    #[test]
    fn the_driver_is_the_one_that_django_takes() {
        let check = |files: &[(&str, &str)], version: (u8, u8), expect: Driver| {
            let folder = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = folder.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            let version = DjangoVersion::new(version.0, version.1);
            let folders = [folder.path().to_owned()];
            let site = folder.path().join("site-packages");
            let found = Installation::new(&folders, Some(&site)).driver(version);
            assert_eq!(found, expect, "{files:?}");
        };
        let lock = "[[package]]\nname = \"psycopg2-binary\"\nversion = \"2.9\"\n";
        let poetry = "[tool.poetry.dependencies]\nDjango = \"^4.2\"\npsycopg2 = {version = \"^2.9\"}\n";
        check(&[], (5, 2), Driver::Psycopg3);
        check(&[], (4, 1), Driver::Psycopg2);
        check(&[("requirements.txt", "psycopg[binary]==3.2")], (3, 2), Driver::Psycopg2);
        check(&[("requirements.txt", "Django==4.2\npsycopg2-binary==2.9.9  # driver")], (4, 2), Driver::Psycopg2);
        check(
            &[("requirements/base.txt", "psycopg2>=2.9"), ("requirements/dev.txt", "psycopg")],
            (5, 2),
            Driver::Psycopg3,
        );
        check(&[("pyproject.toml", poetry)], (4, 2), Driver::Psycopg2);
        check(&[("uv.lock", lock), ("site-packages/psycopg/__init__.py", "")], (5, 2), Driver::Psycopg2);
        check(&[("site-packages/psycopg2/__init__.py", "")], (5, 2), Driver::Psycopg2);
        check(
            &[("site-packages/psycopg2/__init__.py", ""), ("site-packages/psycopg/__init__.py", "")],
            (5, 2),
            Driver::Psycopg3,
        );
    }

    #[test]
    fn declarations_and_the_installed_one() {
        let poetry = "[tool.poetry.dependencies]\npython = \"^3.12\"\nDjango = \"^4.2\"\n";
        check(&[("pyproject.toml", poetry)], "Django 4.2: `django ^4.2` in pyproject.toml", NO_POSTGRES);
        let project = "[project]\ndependencies = [\"psycopg\", \"Django>=5.0\"]\n";
        check(&[("pyproject.toml", project)], "Django 6.1: `django >=5.0` in pyproject.toml", NO_POSTGRES);
        check(
            &[("pyproject.toml", project), ("site-packages/Django-5.2.1.dist-info/METADATA", "")],
            "Django 5.2: `Django-5.2.1.dist-info` in the virtual environment",
            NO_POSTGRES,
        );
        check(
            &[("setup.cfg", "install_requires =\n    Django>=3.2,<4.2\n")],
            "Django 4.1: `django >=3.2,<4.2` in setup.cfg",
            NO_POSTGRES,
        );
    }

    #[test]
    fn images_of_postgres() {
        for (image, expected) in [
            ("postgres:16.4-alpine", "PostgreSQL 16.4: `postgres:16.4-alpine` in docker-compose.yml"),
            (
                "\"docker.io/library/postgres:15\"",
                "PostgreSQL 15: `docker.io/library/postgres:15` in docker-compose.yml",
            ),
            ("postgis/postgis:14-3.4", "PostgreSQL 14: `postgis/postgis:14-3.4` in docker-compose.yml"),
            ("pgvector/pgvector:pg17", "PostgreSQL 17: `pgvector/pgvector:pg17` in docker-compose.yml"),
            (
                "timescale/timescaledb:2.14.2-pg16",
                "PostgreSQL 16: `timescale/timescaledb:2.14.2-pg16` in docker-compose.yml",
            ),
            ("${DB_IMAGE:-postgres:13}", "PostgreSQL 13: `${DB_IMAGE:-postgres:13}` in docker-compose.yml"),
            ("postgres:9.6", "PostgreSQL 12 assumed: `postgres:9.6` in docker-compose.yml is not supported"),
            ("postgres:latest", NO_POSTGRES),
            ("redis:7", NO_POSTGRES),
        ] {
            let compose = format!("services:\n  db:\n    image: {image}\n");
            check(&[("docker-compose.yml", &compose)], NO_DJANGO, expected);
        }
        let two = "    image: postgres:17\n    image: postgres:15\n";
        check(
            &[(".github/workflows/ci.yml", two)],
            NO_DJANGO,
            "PostgreSQL 15: `postgres:15` in .github/workflows/ci.yml",
        );
    }
}
