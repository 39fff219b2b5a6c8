//! The files of a project and of the packages around it, parsed when they are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use zdm_python::{Arg, ArgKind, EntryPoint, FilePath, Int, Module, ModuleLoader, Str, Value, ValueKind, Why};
use zdm_source::SourceFile;

use super::layout::{Layout, file_name, folder, join};
use super::settings::Settings;
use super::surroundings;
use crate::version::DjangoVersion;

/// Reads one file of the project by its path; the error is what stands in the report.
pub type Reader = dyn Fn(&str) -> Result<SourceFile, String> + Send + Sync;

/// The names of all that stands in a folder of the project, sorted.
pub type Lister = dyn Fn(&str) -> Option<Vec<String>> + Send + Sync;

/// The Python files of the project root. Each file is read and parsed once, by whichever thread asks first; so they
/// can be fetched in parallel before [`Project::build`](crate::project::Project::build) asks for them.
pub struct Sources {
    layout: Layout,
    modules: BTreeMap<Arc<str>, OnceLock<Result<Module, String>>>,
    namespaces: Mutex<BTreeMap<String, Module>>,
    /// Files that another module imported, or that were looked for as one.
    imported: Mutex<BTreeSet<Arc<str>>>,
    read: Box<Reader>,
    /// The names in a folder, where they can be told.
    list: Option<Box<Lister>>,
    /// Files that are no modules and were asked for: what they say, where they can be read.
    texts: Mutex<BTreeMap<String, Option<SourceFile>>>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sources").field("files", &self.modules.len()).finish_non_exhaustive()
    }
}

impl Sources {
    /// `paths` are all Python files of the project, relative to its root, with `/` between their parts.
    ///
    /// `import_roots` are folders on Python's path besides those that are found by themselves; they go first.
    pub fn new(
        paths: impl IntoIterator<Item = Arc<str>>,
        import_roots: &[Arc<str>],
        read: impl Fn(&str) -> Result<SourceFile, String> + Send + Sync + 'static,
    ) -> Self {
        let layout = Layout::new(paths, import_roots);
        let modules = layout.paths().iter().map(|path| (Arc::clone(path), OnceLock::new())).collect();
        Self {
            layout,
            modules,
            namespaces: Mutex::default(),
            imported: Mutex::default(),
            read: Box::new(read),
            list: None,
            texts: Mutex::default(),
        }
    }

    /// Folders can be listed too: a migration may run every statement file that stands beside it.
    #[must_use]
    pub fn listing(mut self, list: impl Fn(&str) -> Option<Vec<String>> + Send + Sync + 'static) -> Self {
        self.list = Some(Box::new(list));
        self
    }

    /// Files that are in memory already.
    pub fn in_memory(files: impl IntoIterator<Item = SourceFile>, import_roots: &[Arc<str>]) -> Self {
        let files: BTreeMap<Arc<str>, SourceFile> = files.into_iter().map(|file| (file.path_arc(), file)).collect();
        let paths: Vec<Arc<str>> = files.keys().cloned().collect();
        let all = paths.clone();
        let list = move |folder: &str| {
            let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
            let inside = all.iter().filter_map(|path| path.strip_prefix(prefix.as_str()));
            let names: BTreeSet<&str> = inside.filter_map(|path| path.split('/').next()).collect();
            (!names.is_empty()).then(|| names.into_iter().map(str::to_owned).collect())
        };
        Self::new(paths, import_roots, move |path| files.get(path).cloned().ok_or_else(|| "no such file".to_owned()))
            .listing(list)
    }

    /// Take over what another set of the same project has parsed, except for the paths that `changed` names.
    ///
    /// For an editor: the new set reads only what is new.
    pub fn reuse(&self, older: &Self, changed: impl Fn(&str) -> bool) {
        for (path, slot) in &self.modules {
            if !changed(path)
                && let Some(parsed) = older.modules.get(path).and_then(OnceLock::get)
                && parsed
                    .as_ref()
                    .is_ok_and(|module| self.layout.name(path).is_some_and(|name| *name.name == *module.name()))
            {
                let _ = slot.set(parsed.clone());
            }
        }
    }

    /// Puts another text in place of a file's; false where the project has no such file.
    pub fn replace(&mut self, file: &SourceFile) -> bool {
        let Some(slot) = self.modules.get_mut(file.path()) else { return false };
        let name = self.layout.name(file.path()).map(|name| name.name).unwrap_or_default();
        *slot = OnceLock::from(Ok(zdm_python::parse(file, name)));
        true
    }

    /// Whether anybody has asked for that file; otherwise nothing depends on what it says.
    pub fn was_read(&self, path: &str) -> bool {
        self.modules.get(path).is_some_and(|slot| slot.get().is_some()) || self.lock_texts().contains_key(path)
    }

    /// Whether that text was read for the file.
    pub fn has_text(&self, file: &SourceFile) -> bool {
        if let Some(known) = self.lock_texts().get(file.path()) {
            return known.as_ref() == Some(file);
        }
        let parsed = self.modules.get(file.path()).and_then(OnceLock::get);
        parsed.and_then(|parsed| parsed.as_ref().ok()).is_some_and(|module| module.file() == file)
    }

    /// Whether another module has asked for that file, so that what it says may stand elsewhere too.
    pub fn is_imported(&self, path: &str) -> bool {
        self.imported.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    /// A file that is no module, such as one of SQL statements.
    pub(crate) fn text(&self, path: &str) -> Option<SourceFile> {
        if let Some(known) = self.lock_texts().get(path) {
            return known.clone();
        }
        let file = (self.read)(path).ok();
        // Another thread may have been faster; the first answer is the one that counts.
        self.lock_texts().entry(path.to_owned()).or_insert(file).clone()
    }

    fn lock_texts(&self) -> MutexGuard<'_, BTreeMap<String, Option<SourceFile>>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_import(&self, path: &str) {
        let mut imported = self.imported.lock().unwrap_or_else(PoisonError::into_inner);
        if !imported.contains(path) {
            imported.insert(Arc::from(path));
        }
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The files that a project needs in any case: migrations, app configurations, packages that hold migrations, and
    /// what looks like settings. Sorted.
    pub fn likely(&self) -> Vec<Arc<str>> {
        let needed = |path: &&Arc<str>| {
            let parent = folder(path);
            match file_name(path) {
                "apps.py" | "app.py" | "manage.py" | "wsgi.py" | "asgi.py" | "settings.py" => true,
                "__init__.py" => {
                    let migrations = join(parent, "migrations/");
                    file_name(parent) == "migrations"
                        || self.layout.under(migrations.trim_end_matches('/')).next().is_some()
                }
                _ => matches!(file_name(parent), "migrations" | "settings"),
            }
        };
        self.layout.paths().iter().filter(needed).cloned().collect()
    }

    /// The parsed file; None where there is none or it cannot be read.
    pub fn module(&self, path: &str) -> Option<&Module> {
        self.parsed(path)?.as_ref().ok()
    }

    /// Why a file cannot be read, if so.
    pub fn error(&self, path: &str) -> Option<&str> {
        self.parsed(path)?.as_ref().err().map(String::as_str)
    }

    /// An empty package in place of a folder without `__init__.py` that modules are imported from.
    fn namespace(&self, name: &str) -> Option<Module> {
        if !self.layout.is_namespace(name) {
            return None;
        }
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        let module = namespaces.entry(name.to_owned()).or_insert_with(|| {
            let path = format!("{}/__init__.py", name.replace('.', "/"));
            zdm_python::parse(&SourceFile::new(path, ""), name)
        });
        Some(module.clone())
    }

    fn parsed(&self, path: &str) -> Option<&Result<Module, String>> {
        let slot = self.modules.get(path)?;
        Some(slot.get_or_init(|| {
            let file = (self.read)(path)?;
            let name = self.layout.name(path).map(|name| name.name).unwrap_or_default();
            Ok(zdm_python::parse(&file, name))
        }))
    }
}

/// A folder on Python's path outside of the project: the packages of a virtual environment.
///
/// Nothing is listed as a whole; files are asked for by name.
pub trait Folder: Send + Sync + fmt::Debug {
    /// The file at a path relative to the folder, under whatever path reports are to name it by.
    fn read(&self, path: &str) -> Option<SourceFile>;

    /// The names of the Python files that stand directly in a folder, in any order.
    fn modules_in(&self, folder: &str) -> Vec<String>;

    /// The names of all that stands directly in a folder, in any order; None where they cannot be told.
    fn names_in(&self, folder: &str) -> Option<Vec<String>> {
        let _ = folder;
        None
    }
}

/// A [`Folder`] with the modules that have been parsed.
#[derive(Debug)]
pub(crate) struct Environment {
    folder: Arc<dyn Folder>,
    modules: Mutex<BTreeMap<String, Option<Module>>>,
}

impl Environment {
    pub(crate) fn new(folder: Arc<dyn Folder>) -> Self {
        Self { folder, modules: Mutex::default() }
    }

    pub(crate) fn module(&self, path: &str) -> Option<Module> {
        if let Some(found) = self.lock().get(path) {
            return found.clone();
        }
        let dotted = path.strip_suffix(".py").unwrap_or(path);
        let dotted = dotted.strip_suffix("/__init__").unwrap_or(dotted).replace('/', ".");
        // The name must not depend on the path that reports use, of which `parse` reads only the last part.
        let module = self.folder.read(path).map(|file| zdm_python::parse(&file, dotted));
        // Another thread may have been faster; there is one parse of each file.
        self.lock().entry(path.to_owned()).or_insert(module).clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<Module>>> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn modules_in(&self, folder: &str) -> Vec<String> {
        let mut names = self.folder.modules_in(folder);
        names.retain(|name| name.strip_suffix(".py").is_some());
        names.sort();
        names.into_iter().map(|name| join(folder, &name)).collect()
    }

    /// The path of a module that was read from here.
    fn place(&self, module: &Module) -> Option<String> {
        let path = module.name().replace('.', "/");
        let known = self.lock();
        [format!("{path}/__init__.py"), format!("{path}.py")]
            .into_iter()
            .find(|path| known.get(path).is_some_and(|known| known.as_ref() == Some(module)))
    }

    /// What the distributions in the folder say of themselves.
    fn entry_points(&self) -> Option<Vec<EntryPoint>> {
        let mut names = self.folder.names_in("")?;
        names.retain(|name| name.ends_with(".dist-info") || name.ends_with(".egg-info"));
        names.sort();
        let texts = names.iter().filter_map(|name| self.folder.read(&join(name, "entry_points.txt")));
        Some(texts.flat_map(|file| EntryPoint::read(file.text())).collect())
    }

    fn load(&self, name: &str) -> Option<Module> {
        let path = name.replace('.', "/");
        self.module(&format!("{path}/__init__.py")).or_else(|| self.module(&format!("{path}.py")))
    }
}

/// Finds modules for the evaluator: the project's, then those of the packages around it. Django itself stays a world
/// of symbols.
pub(crate) struct Loader<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) environment: &'a [Environment],
    /// None while the settings themselves are read.
    pub(crate) settings: Option<&'a Settings>,
    /// `INSTALLED_APPS`, where all of it is known.
    pub(crate) installed: Option<&'a [Arc<str>]>,
    pub(crate) django: DjangoVersion,
}

impl Loader<'_> {
    /// The folder outside of the project that paths of a root lie in.
    fn outside(&self, root: u32) -> Option<&Environment> {
        self.environment.get(usize::try_from(root).ok()?.checked_sub(1)?)
    }

    /// `settings_dict` of the connection: what is certain of it is the engine.
    fn connection_settings(&self) -> Option<ValueKind> {
        let all = self.symbol("django.conf.settings.DATABASES")?;
        let ValueKind::Dict(entries) = &all else { return None };
        let default = entries
            .iter()
            .find(|entry| entry.key.as_ref().and_then(Value::as_str).is_some_and(|key| key.as_str() == "default"))?;
        Some(default.value.kind.clone())
    }
}

impl ModuleLoader for Loader<'_> {
    fn load(&self, name: &str) -> Option<Module> {
        // Packages whose calls are answered below, and Django, which stays a world of symbols.
        if matches!(name.split('.').next(), Some("django" | "swapper" | "django_cryptography")) {
            return None;
        }
        // `vendored/jaraco/functools.py` is no `functools`.
        let first = name.split('.').next().unwrap_or(name);
        let of_first = self.sources.layout().resolve(first);
        if zdm_python::is_standard_library(first)
            && of_first.is_some_and(|path| path.contains('/') && !path.ends_with("/__init__.py"))
        {
            return None;
        }
        if let Some(path) = self.sources.layout().resolve(name)
            && let Some(module) = self.sources.module(path)
        {
            self.sources.note_import(path);
            return Some(module.clone());
        }
        if let Some(module) = self.sources.namespace(name) {
            return Some(module);
        }
        // Packages whose calls are answered below, unless a module of the project has the name.
        if matches!(name.split('.').next(), Some("decouple" | "environ" | "split_settings" | "appconf")) {
            return None;
        }
        self.environment.iter().find_map(|environment| environment.load(name))
    }

    fn installed(&self, name: &str) -> Option<bool> {
        let first = name.split('.').next().unwrap_or(name);
        if first == "django" || zdm_python::is_standard_library(first) {
            return Some(true);
        }
        if self.load(name).is_some() {
            return Some(true);
        }
        // Other packages are seen where there is an environment with Django in it. A part of a package that is there may
        // be an extension module, or be made when the package is imported.
        let complete = self.environment.iter().any(|environment| environment.load("django").is_some());
        match (complete, name.contains('.') && self.load(first).is_some()) {
            (_, true) => None,
            (true, false) => Some(false),
            // Settings are read as those of a place where everything is installed.
            (false, false) => self.settings.is_none().then_some(true),
        }
    }

    /// The project's files are those of root 0, those of the folders around it follow in their order.
    fn place(&self, module: &Module) -> Option<FilePath> {
        let path = module.file().path();
        if self.sources.module(path) == Some(module) {
            return Some(FilePath::new(0, path));
        }
        (1..)
            .zip(self.environment)
            .find_map(|(root, environment)| Some(FilePath::new(root, &environment.place(module)?)))
    }

    fn read(&self, path: &FilePath) -> Option<String> {
        let relative = path.relative()?;
        let file = match self.outside(path.root) {
            None => self.sources.text(&relative),
            Some(environment) => environment.folder.read(&relative),
        };
        file.map(|file| file.text().to_owned())
    }

    fn list(&self, folder: &FilePath) -> Option<Vec<String>> {
        let relative = folder.relative()?;
        let mut names = match self.outside(folder.root) {
            None => (self.sources.list.as_ref()?)(&relative)?,
            Some(environment) => environment.folder.names_in(&relative)?,
        };
        // What an interpreter leaves beside its sources is not the package's.
        names.retain(|name| name != "__pycache__");
        names.sort();
        Some(names)
    }

    fn entry_points(&self) -> Option<Vec<EntryPoint>> {
        if self.environment.is_empty() {
            return None;
        }
        let found: Option<Vec<Vec<EntryPoint>>> = self.environment.iter().map(Environment::entry_points).collect();
        Some(found?.concat())
    }

    fn module_at(&self, path: &FilePath) -> Option<Module> {
        let relative = path.relative()?;
        match self.outside(path.root) {
            None => {
                let module = self.sources.module(&relative)?;
                self.sources.note_import(&relative);
                Some(module.clone())
            }
            Some(environment) => environment.module(&relative),
        }
    }

    fn symbol(&self, name: &str) -> Option<ValueKind> {
        match name {
            // The parts behind the feature release are not known.
            "django.VERSION" => return Some(release(&[i64::from(self.django.major), i64::from(self.django.minor)])),
            // Every Django that is read here runs on Python 3 alone.
            "sys.version_info" => return Some(release(&[3])),
            "sys.version_info.major" => return Some(ValueKind::Int(Int::Small(3))),
            "six.PY2" | "django.utils.six.PY2" => return Some(ValueKind::Bool(false)),
            "six.PY3" | "django.utils.six.PY3" => return Some(ValueKind::Bool(true)),
            _ => {}
        }
        match name.strip_prefix("django.conf.settings.") {
            // Whatever else the settings say of it, the database is PostgreSQL: as `connection.vendor`.
            Some("DATABASES") => {
                let settings = self.settings?;
                let engine = settings.database_engine().filter(|engine| engine.contains("postg"));
                match (settings.kind("DATABASES"), engine) {
                    (Some(known), Some(_)) => Some(known),
                    (_, engine) => Some(databases(engine.as_deref().unwrap_or("django.db.backends.postgresql"))),
                }
            }
            Some(setting) => self.settings?.kind(setting),
            None if matches!(
                name,
                "django.db.connection.vendor" | "django.db.backends.base.base.BaseDatabaseWrapper.vendor"
            ) =>
            {
                Some(vendor())
            }
            // `schema_editor.connection.vendor`, where the schema editor is a symbol.
            None if name.ends_with(".connection.vendor") => Some(vendor()),
            None if name == "django.db.connection.settings_dict" || name.ends_with(".connection.settings_dict") => {
                self.connection_settings()
            }
            None => None,
        }
    }

    fn attribute(&self, of: &Value, name: &str) -> Option<ValueKind> {
        // `connections["default"]`, or whatever it is called: there is one server.
        if let ValueKind::Subscript(parts) = &of.kind
            && parts.0.is_symbol("django.db.connections")
        {
            return match name {
                "vendor" => Some(vendor()),
                "settings_dict" => self.connection_settings(),
                _ => None,
            };
        }
        let ValueKind::Attribute(meta) = &of.kind else { return None };
        // `schema_editor.connection`, in a function of a `RunPython`.
        if meta.name.as_str() == "connection" && matches!(meta.value.kind, ValueKind::Parameter(_)) && name == "vendor"
        {
            return Some(vendor());
        }
        // `get_user_model()._meta`: the names that the setting gives.
        if meta.name.as_str() != "_meta"
            || !meta.value.as_call()?.callee.is_symbol("django.contrib.auth.get_user_model")
        {
            return None;
        }
        let label = self.settings?.auth_user_model()?;
        let (app, model) = label.split_once('.')?;
        let text = match name {
            "app_label" => app.to_owned(),
            "object_name" => model.to_owned(),
            "model_name" => model.to_lowercase(),
            "label" => label.to_string(),
            "label_lower" => format!("{app}.{}", model.to_lowercase()),
            _ => return None,
        };
        Some(ValueKind::Str(Str::made(text, of.origin.clone())))
    }

    fn call(&self, name: &str, args: &[Arg]) -> Option<ValueKind> {
        let text = |index: usize, keyword: &str| argument(args, index, keyword)?.as_str();
        match name {
            // Settings are read as they are without any environment variable set.
            "os.environ.get" | "os.getenv" if self.settings.is_none() => {
                text(0, "key")?;
                Some(argument(args, 1, "default").map_or(ValueKind::None, |default| default.kind.clone()))
            }
            "decouple.config" if self.settings.is_none() => surroundings::decoupled(args),
            "builtins.getattr" => {
                let [object, setting, default] = args else { return None };
                if !object.value.is_symbol("django.conf.settings") {
                    return None;
                }
                // What the settings set has been found as an attribute before; what they set and nobody can tell is
                // not the default.
                let settings = self.settings?;
                let set = settings.values().contains_key(setting.value.as_str()?.as_str());
                (!set).then(|| default.value.kind.clone())
            }
            "builtins.hasattr" => {
                let [object, setting] = args else { return None };
                if !object.value.is_symbol("django.conf.settings") {
                    return None;
                }
                let (settings, name) = (self.settings?, setting.value.as_str()?);
                Some(ValueKind::Bool(settings.values().contains_key(name.as_str())))
            }
            "django.apps.apps.is_installed" => {
                let app = text(0, "app_name")?;
                Some(ValueKind::Bool(self.installed?.iter().any(|entry| {
                    let config = entry.strip_prefix(app.as_str()).is_some_and(|rest| rest.starts_with(".apps."));
                    **entry == *app.as_str() || config
                })))
            }
            "django.utils.module_loading.import_string" => {
                let name = text(0, "dotted_path")?;
                // Classes of the project are for the extractor to find.
                let first = name.split('.').next()?;
                self.load(first).is_none().then(|| ValueKind::Symbol(Arc::from(name.as_str())))
            }
            // Source of swapper's functions: its README.
            "swapper.get_model_name" => {
                let (app, model) = (text(0, "app_label")?, text(1, "model")?);
                let origin = &args.first()?.value.origin;
                match self.swapped(app, model) {
                    Some(kind) => Some(kind),
                    None => Some(ValueKind::Str(Str::made(format!("{app}.{model}"), origin.clone()))),
                }
            }
            "swapper.swappable_setting" => {
                let (app, model) = (text(0, "app_label")?, text(1, "model")?);
                let name = swapper_setting(app, model);
                Some(ValueKind::Str(Str::made(name, args.first()?.value.origin.clone())))
            }
            "swapper.is_swapped" => {
                let (app, model) = (text(0, "app_label")?, text(1, "model")?);
                // A setting that names the model itself swaps nothing.
                let itself =
                    |kind: &ValueKind| matches!(kind, ValueKind::Str(name) if **name == format!("{app}.{model}"));
                Some(self.swapped(app, model).filter(|kind| !itself(kind)).unwrap_or(ValueKind::Bool(false)))
            }
            "swapper.split" => {
                let first = args.first()?;
                let (app, model) = first.value.as_str()?.rsplit_once('.')?;
                Some(pair(&first.value, app, model))
            }
            "swapper.dependency" => {
                let (app, model) = (text(0, "app_label")?, text(1, "model")?);
                let first = &args.first()?.value;
                let version = match argument(args, 2, "version") {
                    Some(version) if version.is_none() => "__first__",
                    Some(version) => version.as_str()?.as_str(),
                    None => "__first__",
                };
                match self.swapped(app, model) {
                    Some(ValueKind::Str(name)) => Some(pair(first, name.split('.').next()?, version)),
                    Some(_) => None,
                    None => Some(pair(first, app, version)),
                }
            }
            _ => None,
        }
    }

    fn call_of(&self, callee: &Value, args: &[Arg]) -> Option<ValueKind> {
        if self.settings.is_some() {
            return None;
        }
        surroundings::call_of(callee, args)
    }
}

/// The settings that calls of swapper's functions in a module set where nothing else does, and the models they then name.
///
/// Source: swapper's `swappable_setting`, through which all of them go.
pub(super) fn swapper_defaults(text: &str) -> Vec<(String, String)> {
    let quoted = |text: &str| -> Option<(String, usize)> {
        let open = text.len() - text.trim_start().len();
        let quote = text.get(open..)?.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let inside = text.get(open + 1..)?;
        let end = inside.find(quote)?;
        let word = inside.get(..end).filter(|word| word.chars().all(|part| part.is_alphanumeric() || part == '_'))?;
        Some((word.to_owned(), open + end + 2))
    };
    let mut found = Vec::new();
    for function in ["swappable_setting(", "load_model(", "get_model_name(", "is_swapped("] {
        for (at, _) in text.match_indices(function) {
            let Some((app, model)) = text.get(at + function.len()..).and_then(|rest| {
                let (app, end) = quoted(rest)?;
                let (model, _) = quoted(rest.get(end..)?.trim_start().strip_prefix(',')?)?;
                Some((app, model))
            }) else {
                continue;
            };
            found.push((swapper_setting(&app, &model), format!("{app}.{model}")));
        }
    }
    found
}

/// The setting with which swapper lets a project replace a model: `SHOP_ORDER_MODEL`.
fn swapper_setting(app: &str, model: &str) -> String {
    let prefix = crate::third_party::swapper_prefix(app);
    format!("{}_{}_MODEL", prefix.to_uppercase(), model.to_uppercase())
}

impl Loader<'_> {
    /// What the settings say about a model that swapper lets a project replace.
    fn swapped(&self, app: &str, model: &str) -> Option<ValueKind> {
        let settings = self.settings?;
        let name = swapper_setting(app, model);
        let symbol = || ValueKind::Symbol(Arc::from(format!("django.conf.settings.{name}")));
        settings.values().contains_key(name.as_str()).then(|| settings.kind(&name).unwrap_or_else(symbol))
    }
}

pub(super) fn argument<'a>(args: &'a [Arg], index: usize, keyword: &str) -> Option<&'a Value> {
    let positional = args.get(index).filter(|arg| arg.kind == ArgKind::Positional);
    let by_name = || args.iter().find(|arg| matches!(&arg.kind, ArgKind::Keyword(name) if name.as_str() == keyword));
    positional.or_else(by_name).map(|arg| &arg.value)
}

/// A tuple of two texts that stand for what `from` says.
fn pair(from: &Value, one: &str, other: &str) -> ValueKind {
    let text = |text: &str| Value::new(ValueKind::Str(Str::made(text, from.origin.clone())), from.origin.clone());
    ValueKind::Tuple(Arc::new(vec![text(one), text(other)]))
}

/// A version's tuple of five with known first parts.
fn release(parts: &[i64]) -> ValueKind {
    let number = |part: &i64| Value::new(ValueKind::Int(Int::Small(*part)), in_django());
    let mut items: Vec<Value> = parts.iter().map(number).collect();
    items.resize_with(5, || Value::unknown(Why::Dynamic("a part of a version"), in_django()));
    ValueKind::Tuple(Arc::new(items))
}

/// zdm is about PostgreSQL.
fn vendor() -> ValueKind {
    ValueKind::Str(Str::made("postgresql", in_django()))
}

/// The setting `DATABASES` as far as a migration asks for it.
fn databases(engine: &str) -> ValueKind {
    let text = |text: &str| Value::new(ValueKind::Str(Str::made(text, in_django())), in_django());
    let dict = |key: &str, value: Value| {
        ValueKind::Dict(Arc::new(vec![zdm_python::DictEntry { key: Some(text(key)), value }]))
    };
    dict("default", Value::new(dict("ENGINE", text(engine)), in_django()))
}

/// The place of what is written nowhere in the project.
pub(super) fn in_django() -> zdm_python::Origin {
    static PLACE: OnceLock<zdm_python::Origin> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let module = zdm_python::parse(&SourceFile::new("django/db.py", "..."), "django.db");
        zdm_python::Origin::new(&module, zdm_source::Span::new(0, 3))
    });
    place.clone()
}
