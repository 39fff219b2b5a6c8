//! The migrations of Django's own apps, for projects without a virtual environment.
//!
//! The data below `builtin/` are facts that `builtin/generate.py` takes from a loaded Django: names, dependencies,
//! operations with the arguments that matter to the schema. They are read by the same code as a project's migrations.

use std::sync::Arc;

use zdm_source::SourceFile;

use crate::extract::Extractor;
use crate::migration::{Migration, MigrationKey, MigrationOrigin};
use crate::version::DjangoVersion;

/// Apps of Django that have no migrations.
pub(crate) const UNMIGRATED: &[&str] =
    &["admindocs", "gis", "humanize", "messages", "postgres", "sitemaps", "staticfiles", "syndication"];

/// Label, migrations in one text: each starts with a line `# name`, since release, before release.
const APPS: &[(&str, &str)] = &[
    ("admin", include_str!("builtin/admin.txt")),
    ("auth", include_str!("builtin/auth.txt")),
    ("contenttypes", include_str!("builtin/contenttypes.txt")),
    ("flatpages", include_str!("builtin/flatpages.txt")),
    ("redirects", include_str!("builtin/redirects.txt")),
    ("sessions", include_str!("builtin/sessions.txt")),
    ("sites", include_str!("builtin/sites.txt")),
];

/// The migrations of an app of Django in one of its releases; empty for other apps.
pub(crate) fn migrations(label: &str, django: DjangoVersion, extractor: &Extractor<'_>) -> Vec<Migration> {
    let Some((label, text)) = APPS.iter().find(|(known, _)| *known == label) else { return Vec::new() };
    let mut found = Vec::new();
    for part in text.split("\n# ").skip(1) {
        let Some((head, body)) = part.split_once('\n') else { continue };
        let mut words = head.split_whitespace();
        let Some(name) = words.next() else { continue };
        let since = words.next().and_then(|version| version.parse::<DjangoVersion>().ok());
        let before = words.next().and_then(|version| version.parse::<DjangoVersion>().ok());
        if since.is_some_and(|since| django < since) || before.is_some_and(|before| django >= before) {
            continue;
        }
        let path = format!("django/contrib/{label}/migrations/{name}.py");
        let module =
            zdm_python::parse(&SourceFile::new(path, body), format!("django.contrib.{label}.migrations.{name}"));
        let key = MigrationKey::new(Arc::<str>::from(*label), Arc::<str>::from(name));
        found.extend(extractor.migration(&module, &key, MigrationOrigin::Builtin));
    }
    found
}
