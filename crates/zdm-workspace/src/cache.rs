//! The outcome of an earlier run over the same files.
//!
//! One entry holds the outcome of one command on one project, with everything that it was made from: a digest of what
//! surrounds the sources (configuration, versions, the list of files, what changed in git, the program itself), and a
//! digest of every file and listing that was read, inside of the project and in the packages around it. An entry counts
//! only if all of them are the same now. The analysis is a function of exactly these, so an outcome that is taken from
//! the cache is the one that the analysis would give.
//!
//! Whole outcomes are kept instead of parsed files because reading and comparing the files is cheap (some ten
//! milliseconds for 1,500 migrations) and everything behind it is not, least of all the replay, which cannot be cut
//! into files. The command's own words are the entry's name, so that two selections of rules never share one.
//!
//! Beside an entry may stand what was shown of it, under a name of the view (format, width, colours): the same digests,
//! and then the bytes. Who asks for the same view of the same files has neither to take the outcome apart nor to lay it
//! out again.
//!
//! Nothing here can make a run fail. An entry is written to a file of its own and renamed, so that runs side by side
//! see whole entries; one that is damaged, of another version, or not readable is passed over and written anew.

mod entry;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use self::entry::{Entry, Head, Inputs};
use crate::analysis::{Ground, Request, Workspace, names_in};
use crate::changes::ChangeSet;
use crate::files::{Text, read};
use crate::outcome::Outcome;

/// Raise it when what an entry says, or what it is made from, changes.
const FORMAT: u32 = 4;

/// Entries of one project, and projects, beyond which the oldest are removed.
const MOST_ENTRIES: usize = 48;
const MOST_PROJECTS: usize = 200;
/// What is shown of an outcome is kept up to this size.
const MOST_SHOWN: usize = 64 << 20;

/// The folder that holds the entries of all projects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
}

/// How a run used the cache.
#[derive(Debug)]
pub enum Use {
    Off,
    Hit {
        path: PathBuf,
    },
    Missed {
        path: PathBuf,
        miss: Miss,
        /// Why the new entry was not written.
        failed: Option<String>,
    },
}

/// Why an entry was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Miss {
    /// There is none, or it cannot be read.
    None,
    /// It is damaged, or of another version.
    Damaged,
    /// The configuration, a version, the list of files, the base or the program is another one.
    Surroundings,
    /// A file or folder that was read has changed.
    Changed(String),
}

impl fmt::Display for Use {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => formatter.write_str("not used"),
            Self::Hit { path } => write!(formatter, "nothing changed since {}", path.display()),
            Self::Missed { path, miss, failed } => {
                match miss {
                    Miss::None => write!(formatter, "nothing known of this command yet"),
                    Miss::Damaged => write!(formatter, "the entry is damaged or of another version"),
                    Miss::Surroundings => {
                        write!(formatter, "the configuration, the list of files, the base or the program changed")
                    }
                    Miss::Changed(what) => write!(formatter, "`{what}` changed"),
                }?;
                match failed {
                    Some(why) => write!(formatter, "; {} was not written: {why}", path.display()),
                    None => write!(formatter, "; written to {}", path.display()),
                }
            }
        }
    }
}

impl Cache {
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// `ZDM_CACHE_DIR`, else the place for it on this platform; `None` where there is none, as without a home.
    ///
    /// It is outside of the project, so that nobody can commit an entry.
    pub fn of(variables: &BTreeMap<String, String>) -> Option<Self> {
        let get = |name: &str| variables.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(folder) = get("ZDM_CACHE_DIR") {
            return Some(Self::at(folder));
        }
        let home = || get("HOME").filter(|home| home.is_absolute());
        let base = if cfg!(windows) {
            get("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            home().map(|home| home.join("Library/Caches"))
        } else {
            get("XDG_CACHE_HOME")
                .filter(|folder| folder.is_absolute())
                .or_else(|| home().map(|home| home.join(".cache")))
        };
        base.map(|base| Self::at(base.join("zdm")))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The project's files by path.
type Texts = BTreeMap<String, Text>;

/// The place of one command's outcome, and what surrounds the sources now.
#[derive(Debug)]
pub(crate) struct Lookup {
    cache: PathBuf,
    path: PathBuf,
    root: PathBuf,
    packages: Option<PathBuf>,
    surroundings: String,
}

impl Lookup {
    pub(crate) fn new(cache: &Cache, request: &Request, ground: &Ground, changes: Option<&ChangeSet>) -> Self {
        // The environment shows in what was found through it.
        let Request { current, paths, config, postgres, django, base, stats, rules, apps, migrations, variables: _ } =
            request;
        let command = digest(|hash| {
            debug(hash, &(current, paths, config, postgres, django));
            debug(hash, &(base, stats, rules, apps, migrations));
        });
        let Ground { place, config, stats, walk, packages, postgres, django, driver } = ground;
        let surroundings = digest(|hash| {
            debug(hash, &(FORMAT, program()));
            debug(hash, &(place, config, stats, walk, packages, postgres, (django, driver)));
            debug(hash, &changes);
        });
        let project = digest(|hash| debug(hash, &place.root));
        let path = cache.folder.join(project.get(..24).unwrap_or(&project)).join(format!("{command}.json"));
        Self { cache: cache.folder.clone(), path, root: place.root.clone(), packages: packages.clone(), surroundings }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The outcome, and the head of its entry, for [`Lookup::keep`].
    pub(crate) fn load(&self) -> Result<(Outcome, Vec<u8>), Miss> {
        let (entry, texts, head) = self.read(&self.path, |rest| serde_json::from_slice::<Entry>(rest).ok())?;
        Ok((entry.outcome(&texts).ok_or(Miss::Damaged)?, head))
    }

    /// What was kept of the outcome under this view.
    pub(crate) fn shown(&self, view: &str) -> Option<Vec<u8>> {
        let mark = mark(view);
        let behind = |rest: &[u8]| rest.strip_prefix(mark.as_bytes()).map(<[u8]>::to_vec);
        self.read(&self.view(view), behind).ok().map(|(shown, _, _)| shown)
    }

    /// Keeps what is shown of an outcome under a view, beside the head of its entry. Where it cannot be kept it is made
    /// again the next time.
    pub(crate) fn keep(&self, view: &str, head: &[u8], shown: &[u8]) {
        if shown.len() <= MOST_SHOWN {
            let _ = self.write(&self.view(view), &summed(&[head, mark(view).as_bytes(), shown].concat()));
        }
    }

    fn view(&self, view: &str) -> PathBuf {
        let mark = mark(view);
        self.path.with_extension(format!("{}.shown", mark.trim().get(..16).unwrap_or_default()))
    }

    /// Reads what stands behind the head of a file, from its newline on, if nothing has changed since.
    fn read<T: Send>(
        &self,
        path: &Path,
        parse: impl FnOnce(&[u8]) -> Option<T> + Send,
    ) -> Result<(T, Texts, Vec<u8>), Miss> {
        let bytes = fs::read(path).map_err(|_| Miss::None)?;
        let (sum, payload) = bytes.split_at_checked(65).ok_or(Miss::Damaged)?;
        let end = payload.iter().position(|byte| *byte == b'\n').ok_or(Miss::Damaged)?;
        let (first, rest) = payload.split_at_checked(end).ok_or(Miss::Damaged)?;
        let head: Head = serde_json::from_slice(first).map_err(|_| Miss::Damaged)?;
        // Reading the rest takes as long as comparing the files; nothing of either counts where the sum is wrong.
        let (texts, parsed) = rayon::join(
            || {
                if head.surroundings == self.surroundings {
                    self.unchanged(&head.inputs)
                } else {
                    Err(Miss::Surroundings)
                }
            },
            || {
                if sum.strip_suffix(b"\n") != Some(digest(|hash| hash.update(payload)).as_bytes()) {
                    return Err(Miss::Damaged);
                }
                parse(rest).ok_or(Miss::Damaged)
            },
        );
        let parsed = parsed?;
        Ok((parsed, texts?, first.to_vec()))
    }

    /// The texts of the project's files, if all that was read is the same now.
    fn unchanged(&self, inputs: &Inputs) -> Result<Texts, Miss> {
        let same = |root: &Path, (path, known): (&String, &String)| {
            let text = read(root, path);
            if *known == of_text(&text) { Ok((path.clone(), text)) } else { Err(Miss::Changed(path.clone())) }
        };
        let texts = inputs.files.par_iter().map(|file| same(&self.root, file)).collect::<Result<_, _>>()?;
        let same_names = |root: &Path, (folder, known): (&String, &String)| {
            let now = of_names(&names_in(&root.join(folder)));
            if now == *known { Ok(()) } else { Err(Miss::Changed(folder.clone())) }
        };
        inputs.folders.iter().try_for_each(|folder| same_names(&self.root, folder))?;
        if let Some(packages) = &self.packages {
            inputs.outside.par_iter().try_for_each(|file| same(packages, file).map(|_| ()))?;
            inputs.listings.par_iter().try_for_each(|folder| same_names(packages, folder))?;
        }
        Ok(texts)
    }

    /// Keeps an outcome and gives the head of its entry; the error says why it could not be kept.
    pub(crate) fn store(&self, workspace: &Workspace, outcome: &Outcome) -> Result<Vec<u8>, String> {
        let texts = workspace.files.read_so_far();
        let outside = workspace.outside.as_ref();
        let inputs = Inputs {
            files: texts.iter().map(|(path, text)| (path.to_string(), of_text(text))).collect(),
            folders: workspace.files.listings().iter().map(|(path, names)| (path.clone(), of_names(names))).collect(),
            outside: outside
                .map(|packages| packages.texts().iter().map(|(path, text)| (path.clone(), of_text(text))).collect())
                .unwrap_or_default(),
            listings: outside
                .map(|packages| {
                    packages.listings().iter().map(|(path, names)| (path.clone(), of_names(names))).collect()
                })
                .unwrap_or_default(),
        };
        let head = Head { surroundings: self.surroundings.clone(), inputs };
        let head = serde_json::to_vec(&head).map_err(|error| error.to_string())?;
        let entry = serde_json::to_vec(&Entry::new(outcome, &texts)).map_err(|error| error.to_string())?;
        let payload = [head.as_slice(), b"\n", &entry].concat();
        self.write(&self.path, &summed(&payload)).map_err(|error| error.to_string())?;
        Ok(head)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = path.parent().unwrap_or(path);
        private_folder(&self.cache)?;
        private_folder(folder)?;
        let tag = self.cache.join("CACHEDIR.TAG");
        if !tag.exists() {
            // The tag's first line is fixed: https://bford.info/cachedir/.
            fs::write(&tag, "Signature: 8a477f597d28d172789f06886806bc55\n# Outcomes of zdm-lint; may be deleted.\n")?;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let beside = folder.join(format!(".{}-{number}.new", std::process::id()));
        let written = fs::File::create(&beside).and_then(|mut file| file.write_all(bytes));
        let result = written.and_then(|()| fs::rename(&beside, path));
        if result.is_err() {
            let _ = fs::remove_file(&beside);
        }
        keep_newest(folder, MOST_ENTRIES);
        keep_newest(&self.cache, MOST_PROJECTS);
        result
    }
}

/// What stands between a head and what was shown under a view.
fn mark(view: &str) -> String {
    format!("\n{}\n", digest(|hash| debug(hash, &view)))
}

/// The bytes behind their sum and a newline.
fn summed(payload: &[u8]) -> Vec<u8> {
    [digest(|hash| hash.update(payload)).as_bytes(), b"\n", payload].concat()
}

/// A folder that only its owner can write to, because what stands in it is believed.
fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Removes all but the newest files or folders; runs side by side may do so at once.
fn keep_newest(folder: &Path, most: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut found: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter(|entry| entry.file_name() != "CACHEDIR.TAG")
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    if found.len() <= most {
        return;
    }
    found.sort();
    for (_, path) in found.iter().take(found.len() - most) {
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
}

/// What tells this program from another build of it: its version, and where it lies, with size and time, because
/// builds between two releases share a version.
fn program() -> impl fmt::Debug {
    let path = std::env::current_exe().ok();
    let metadata = path.as_ref().and_then(|path| fs::metadata(path).ok());
    (env!("CARGO_PKG_VERSION"), path, metadata.map(|found| (found.len(), found.modified().ok())))
}

/// Every field of a value, through its derived `Debug`: a field that is added later counts by itself. Nothing that
/// comes here holds a hash map, whose order would change from run to run.
fn debug(hash: &mut Sha256, value: &dyn fmt::Debug) {
    struct Sink<'a>(&'a mut Sha256);
    impl fmt::Write for Sink<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.update(text.as_bytes());
            Ok(())
        }
    }
    let _ = writeln!(Sink(hash), "{value:?}");
}

fn of_text(text: &Text) -> String {
    digest(|hash| {
        debug(hash, &text.problem);
        hash.update(text.file.text().as_bytes());
    })
}

fn of_names(names: &[String]) -> String {
    digest(|hash| debug(hash, &names))
}

fn digest(feed: impl FnOnce(&mut Sha256)) -> String {
    let mut hash = Sha256::new();
    feed(&mut hash);
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
