//! A page from its beginning to its end, both ways, each on a database of its own.

use std::fs;
use std::time::Duration;

use zdm_testkit::{Server, cache};

use crate::measure::{self, LockWait, Request, Span};
use crate::page::Page;
use crate::schema::{differences, schema};
use crate::site::{Options, Programs, Site};

/// What each process waits between two requests, so that they leave the machine to the commands.
const PAUSE: Duration = Duration::from_millis(5);

/// What happened on one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    /// All requests, by their start.
    pub requests: Vec<Request>,
    /// The commands that changed something.
    pub spans: Vec<Span>,
    /// The application's waits for locks that the server took for long.
    pub waits: Vec<LockWait>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// The page's heading.
    pub title: String,
    /// The releases of the page.
    pub ours: Way,
    /// Its naive way.
    pub naive: Way,
    /// What the application met on a twin, meanwhile, where nothing was changed: the machine's part in what it waited for.
    pub control: Vec<Request>,
}

/// How long others may wait for a session of `zdm migrate`: the default of `--max-block`, in milliseconds. From there on
/// the server logs waits, because `deadlock_timeout` is as long.
const MAX_BLOCK: f64 = 1_000.0;
/// What an intervention takes on a machine of one's own, in milliseconds: to see the wait, to cancel, to roll back.
const INTERVENTION: f64 = 500.0;

impl Ran {
    /// Whether the application waited for a lock no longer than `zdm migrate` allows. On a busy machine an intervention is as
    /// late as everything else; how late, the control tells.
    ///
    /// # Errors
    /// The waits that lasted longer.
    pub fn nobody_waited_longer(&self) -> Result<(), String> {
        let stalls = measure::longest(&self.control);
        let limit = MAX_BLOCK + INTERVENTION + 4.0 * stalls;
        let longer: Vec<&LockWait> = self.ours.waits.iter().filter(|wait| wait.took > limit).collect();
        if longer.is_empty() { Ok(()) } else { Err(format!("longer than {limit:.0} ms: {longer:#?}")) }
    }
}

/// Runs `docs/runbook/NAME.md` on `fixtures/runbook/NAME`. The options may leave the pause to this.
///
/// # Errors
/// The first thing that is not as the page says, with what was printed until then; or that the two ways do not end with
/// the same schema.
pub fn page(name: &str, server: &Server, programs: &Programs, options: &Options) -> Result<Ran, String> {
    file(&format!("docs/runbook/{name}.md"), name, server, programs, options)
}

/// Runs a page on the project `fixtures/runbook/NAME`.
///
/// # Errors
/// As [`page`].
pub fn file(path: &str, name: &str, server: &Server, programs: &Programs, options: &Options) -> Result<Ran, String> {
    let path = cache::workspace().join(path);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let page = Page::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let naive = page.naive.as_ref().ok_or_else(|| format!("{name}.md shows no naive way"))?;

    let options = Options { pause: options.pause.or(Some(PAUSE)), ..options.clone() };
    let mut site = Site::prepare(name, server, programs, &options).map_err(|error| format!("{name}: {error}"))?;
    let mut other = site.twin(name).map_err(|error| format!("{name}: {error}"))?;
    other.serve_as_control().map_err(|error| format!("{name}: the control: {error}"))?;
    site.serve().map_err(|error| format!("{name}: {error}"))?;
    for release in &page.releases {
        if let Err(error) = site.release(release) {
            return Err(format!("{}\n{name}.md, {}: {error}", site.transcript, release.title));
        }
    }
    let ours = close(name, &mut site)?;
    let control = close(name, &mut other)?.requests;

    other.serve().map_err(|error| format!("{name}: {error}"))?;
    if let Err(error) = other.naive(naive) {
        return Err(format!("{}\n{name}.md, {}: {error}", other.transcript, naive.title));
    }
    let theirs = close(name, &mut other)?;
    let different = differences(&schema(&other.database().connect()), &schema(&site.database().connect()));
    if different.is_empty() {
        Ok(Ran { title: page.title, ours, naive: theirs, control })
    } else {
        Err(format!("{name}: naive (-) and ours (+) differ:\n{}", different.join("\n")))
    }
}

fn close(name: &str, site: &mut Site) -> Result<Way, String> {
    let requests = site.close().map_err(|error| format!("{name}: {error}"))?;
    Ok(Way { requests, spans: std::mem::take(&mut site.spans), waits: site.waits() })
}
