//! Which file is which module: Python's import rules on a set of paths.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The Python files of a project by path and by dotted name.
///
/// Paths are relative to the project root with `/` between their parts. A module's own name counts from the nearest
/// folder above it that usually is on Python's path: those with a `manage.py`, `src`, the root. Imports are looked up
/// there and in every folder that holds packages without being one.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    paths: Vec<Arc<str>>,
    set: BTreeSet<Arc<str>>,
    /// Folders that imports start from, in the order of the search; without a slash at the end, "" is the root.
    roots: Vec<Arc<str>>,
    names: BTreeMap<Arc<str>, Arc<str>>,
    by_name: BTreeMap<Arc<str>, Arc<str>>,
}

/// A module's name and whether it is a package's `__init__.py`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleName {
    pub name: Arc<str>,
    pub is_package: bool,
}

impl Layout {
    /// `import_roots` are searched first.
    pub fn new(paths: impl IntoIterator<Item = Arc<str>>, import_roots: &[Arc<str>]) -> Self {
        let set: BTreeSet<Arc<str>> = paths.into_iter().filter(|path| path.ends_with(".py")).collect();
        let paths: Vec<Arc<str>> = set.iter().cloned().collect();
        let mut layout = Self { paths, set, ..Self::default() };
        let mut roots: Vec<Arc<str>> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut add = |root: &str| {
            if seen.insert(root.to_owned()) {
                roots.push(Arc::from(root));
            }
        };
        for root in import_roots {
            add(root.trim_end_matches('/'));
        }
        // The nearest to the root first, so that a project inside of another does not hide it.
        let mut manage: Vec<&str> =
            layout.paths.iter().filter(|path| file_name(path) == "manage.py").map(|path| folder(path)).collect();
        manage.sort_by_key(|folder| (depth(folder), *folder));
        for folder in manage {
            add(folder);
        }
        add("");
        add("src");
        let strong = roots.clone();
        let mut add = |root: &str| {
            if seen.insert(root.to_owned()) {
                roots.push(Arc::from(root));
            }
        };
        let mut climbed = BTreeSet::new();
        for path in &layout.paths {
            climbed.insert(layout.package_root(path).to_owned());
        }
        let mut climbed: Vec<String> = climbed.into_iter().collect();
        climbed.sort_by_key(|folder| (depth(folder), folder.clone()));
        for folder in &climbed {
            add(folder);
        }
        layout.roots = roots;
        for path in &layout.paths {
            // A `manage.py` inside of a package does not end the names of what lies around it.
            let above = strong.iter().filter(|root| {
                root.is_empty()
                    || (path.starts_with(&format!("{root}/")) && !layout.contains(&join(root, "__init__.py")))
            });
            let root = above.max_by_key(|root| root.len()).map_or("", |root| &**root);
            let name: Arc<str> = Arc::from(dotted(strip_folder(path, root)));
            layout.names.insert(Arc::clone(path), Arc::clone(&name));
        }
        let mut by_name: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        for root in &layout.roots {
            for path in layout.under(root) {
                let name = dotted(strip_folder(path, root));
                if !name.is_empty() {
                    by_name.entry(Arc::from(name)).or_insert_with(|| Arc::clone(path));
                }
            }
        }
        layout.by_name = by_name;
        layout
    }

    /// All paths, sorted.
    pub fn paths(&self) -> &[Arc<str>] {
        &self.paths
    }

    pub fn contains(&self, path: &str) -> bool {
        self.set.contains(path)
    }

    /// The path in its shared form.
    pub fn path(&self, path: &str) -> Option<&Arc<str>> {
        self.set.get(path)
    }

    /// The paths below a folder, sorted.
    pub fn under<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a Arc<str>> + use<'a> {
        let prefix: String = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let start = self.paths.partition_point(|path| &**path < prefix.as_str());
        self.paths[start..].iter().take_while(move |path| path.starts_with(&prefix))
    }

    /// The modules that stand directly in a folder, sorted.
    pub fn modules_in<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a Arc<str>> + use<'a> {
        let start = if folder.is_empty() { 0 } else { folder.len() + 1 };
        self.under(folder).filter(move |path| !path[start..].contains('/'))
    }

    /// The name under which a file is imported.
    pub fn name(&self, path: &str) -> Option<ModuleName> {
        let name = self.names.get(path)?;
        Some(ModuleName { name: Arc::clone(name), is_package: file_name(path) == "__init__.py" })
    }

    /// The file that a dotted name stands for.
    pub fn resolve(&self, name: &str) -> Option<&Arc<str>> {
        self.by_name.get(name)
    }

    /// Whether modules stand below a name that is no module itself: a folder without `__init__.py`.
    pub fn is_namespace(&self, name: &str) -> bool {
        let prefix = format!("{name}.");
        let mut below =
            self.by_name.range::<str, _>((std::ops::Bound::Excluded(prefix.as_str()), std::ops::Bound::Unbounded));
        self.resolve(name).is_none() && below.next().is_some_and(|(found, _)| found.starts_with(&prefix))
    }

    /// The folder that a dotted name of a package stands for, `__init__.py` or not.
    pub fn package_folder(&self, name: &str) -> Option<String> {
        if let Some(path) = self.resolve(name)
            && file_name(path) == "__init__.py"
        {
            return Some(folder(path).to_owned());
        }
        let relative = name.replace('.', "/");
        self.roots.iter().map(|root| join(root, &relative)).find(|folder| self.under(folder).next().is_some())
    }

    /// The nearest folder above a file that is not a package. A folder `migrations` counts as one, with or without
    /// `__init__.py`.
    fn package_root<'a>(&self, path: &'a str) -> &'a str {
        let mut current = folder(path);
        while !current.is_empty()
            && (self.contains(&join(current, "__init__.py")) || file_name(current) == "migrations")
        {
            current = folder(current);
        }
        current
    }
}

/// The folder of a path, "" at the root.
pub(crate) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn depth(folder: &str) -> usize {
    if folder.is_empty() { 0 } else { folder.split('/').count() }
}

fn strip_folder<'a>(path: &'a str, folder: &str) -> &'a str {
    path.strip_prefix(folder).map_or(path, |rest| rest.trim_start_matches('/'))
}

/// `shop/models/__init__.py` → `shop.models`.
fn dotted(path: &str) -> String {
    let path = path.strip_suffix(".py").unwrap_or(path);
    let path = path.strip_suffix("/__init__").unwrap_or(if path == "__init__" { "" } else { path });
    path.replace('/', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(paths: &[&str]) -> Layout {
        Layout::new(paths.iter().map(|path| Arc::from(*path)), &[])
    }

    #[test]
    fn every_name_that_an_import_may_use_leads_to_the_file() {
        let layout = layout(&[
            "manage.py",
            "apps/shop/__init__.py",
            "apps/shop/migrations/0001_initial.py",
            "apps/shop/models.py",
            "site/__init__.py",
            "site/settings/base.py",
        ]);
        let name = |path: &str| layout.name(path).map(|name| name.name.to_string());
        assert_eq!(name("manage.py").as_deref(), Some("manage"));
        assert_eq!(name("apps/shop/models.py").as_deref(), Some("apps.shop.models"));
        assert_eq!(name("apps/shop/migrations/0001_initial.py").as_deref(), Some("apps.shop.migrations.0001_initial"));
        assert_eq!(name("site/settings/base.py").as_deref(), Some("site.settings.base"));
        let resolve = |name: &str| layout.resolve(name).map(ToString::to_string);
        assert_eq!(resolve("apps.shop.models").as_deref(), Some("apps/shop/models.py"));
        assert_eq!(resolve("shop.models").as_deref(), Some("apps/shop/models.py"));
        assert_eq!(resolve("site.settings.base").as_deref(), Some("site/settings/base.py"));
        assert_eq!(resolve("shop").as_deref(), Some("apps/shop/__init__.py"));
        assert_eq!(layout.package_folder("apps").as_deref(), Some("apps"));
        assert_eq!(layout.package_folder("site.settings").as_deref(), Some("site/settings"));
        assert_eq!(layout.package_folder("nowhere"), None);
    }

    #[test]
    fn the_folder_of_manage_py_is_on_the_path() {
        let layout = layout(&["backend/manage.py", "backend/shop/models.py", "shop/models.py"]);
        assert_eq!(layout.resolve("shop.models").map(|path| &**path), Some("backend/shop/models.py"));
    }
}
