//! What the runbook shows of measurements, made anew: `cargo xtask measure` and `cargo xtask pictures`. Both want a
//! machine with nothing else to do.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use zdm_runbook::keeper::Keeper;
use zdm_runbook::picture::{self, Series};
use zdm_runbook::site::{Options as SiteOptions, Programs};
use zdm_runbook::{beliefs, measure, run};
use zdm_testkit::{Django, ServerOptions, cache};

use crate::setup;

const DJANGO: &str = "5.2";
/// The recipe of docs/runbook.md, as if it were a page.
const RECIPE: &str = "runbook";
const MAJOR: u32 = 17;

#[derive(Debug, clap::Args)]
pub(crate) struct Measure {
    /// Rows of the table
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
    /// Print the tables instead of writing them into docs/runbook.md
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Pictures {
    /// Pages, such as `unique`, and `runbook` for the recipe; default: all
    pages: Vec<String>,
    /// Rows of each table
    #[arg(long, default_value_t = 300_000)]
    rows: u32,
}

/// The tables of docs/runbook.md.
pub(crate) fn measure(options: &Measure) -> Result<(), String> {
    let programs = programs()?;
    let server = server()?;
    let measured = beliefs::measure(&server, &programs, options.rows, Some(Arc::new(Keeper::new()?)))?;
    if let Some(belief) = measured.beliefs.iter().find(|belief| belief.holds) {
        return Err(format!("the server agrees that {}: {}", belief.belief, belief.measured));
    }
    let path = cache::workspace().join("docs/runbook.md");
    let mut text = read(&path)?;
    for (name, table) in beliefs::tables(&measured) {
        println!("{table}");
        let range = beliefs::marked(&text, name).ok_or_else(|| format!("docs/runbook.md has no mark for {name}"))?;
        text.replace_range(range, &table);
    }
    if options.dry_run { Ok(()) } else { write(&path, &text) }
}

/// The pictures of the worked examples.
pub(crate) fn pictures(options: &Pictures) -> Result<(), String> {
    let programs = programs()?;
    let folder = cache::workspace().join("docs/runbook");
    let mut pages = options.pages.clone();
    if pages.is_empty() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let names = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok());
        pages = names.filter_map(|name| name.strip_suffix(".md").map(str::to_owned)).collect();
        pages.sort();
        pages.push(RECIPE.to_owned());
    }
    let server = server()?;
    let site = SiteOptions { rows: options.rows, keeper: Some(Arc::new(Keeper::new()?)), ..SiteOptions::default() };
    for name in pages {
        let recipe = name == RECIPE;
        let ran = if recipe {
            run::file("docs/runbook.md", "recipe", &server, &programs, &site)
        } else {
            run::page(&name, &server, &programs, &site)
        }?;
        let series = [
            Series { name: "The naive way", requests: &ran.naive.requests, spans: &ran.naive.spans },
            Series { name: "As on this page", requests: &ran.ours.requests, spans: &ran.ours.spans },
        ];
        println!("{name}: {}", picture::description(&series));
        if let Some(request) = measure::failed(&ran.ours.requests).first() {
            return Err(format!("{name}: {}: {}", request.name, request.error.as_deref().unwrap_or_default()));
        }
        let title = if recipe { "integer to bigint by the recipe" } else { &ran.title };
        let title = format!("{title}, {} rows in each table", crate::demo::grouped(options.rows as usize));
        let folder = if recipe { folder.parent().unwrap_or(&folder) } else { &folder };
        write(&folder.join(format!("{name}.svg")), &picture::picture(&title, &series))?;
    }
    Ok(())
}

fn programs() -> Result<Programs, String> {
    setup::only(MAJOR, DJANGO)?.report();
    Programs::build(Django::env(DJANGO).ok_or("there is no Django")?)
}

/// As a server is set that is measured, and not only tested: what is committed is on the disk.
fn server() -> Result<zdm_testkit::Server, String> {
    ServerOptions::default()
        .set("shared_buffers", "1GB")
        .set("max_wal_size", "4GB")
        .set("fsync", "on")
        .set("synchronous_commit", "on")
        .set("full_page_writes", "on")
        .try_start(MAJOR)
        .map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
