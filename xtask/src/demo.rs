//! `cargo xtask demo`: one change of a large table, the naive way and ours, to look at.
//!
//! The server and Django are those of the tests. All that is made lies in one folder with a keeper of its own (see
//! [`Keeper`]), so that an interrupt, or the end of this program, leaves nothing behind.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use zdm_runbook::keeper::Keeper;
use zdm_runbook::measure::{self, Request};
use zdm_runbook::schema::{differences, schema};
use zdm_runbook::site::{Options as SiteOptions, Programs, Site};
use zdm_testkit::{Django, ServerOptions, available_majors};

use crate::setup;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Rows of the table
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    rows: u32,
    /// Seconds after which the application gives up on a statement, as web applications do, and the request fails
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
    give_up_after: u32,
    /// The server's major version; default: 17, or the newest that is there
    #[arg(long)]
    postgres: Option<u32>,
}

const DJANGO: &str = "5.2";
const MAJOR: u32 = 17;

/// Between two requests of a process of the application.
const PAUSE: Duration = Duration::from_millis(20);

const MIRROR: &str = "--model library.Loan --source copies --target copies_bigint --type bigint";
const COPY: &str = "--model library.Loan --source copies --target copies_bigint";

const MODELS: &str = r"from django.db import models


class Loan(models.Model):
    LARGEST = 2**31 - 1  # what the application accepts

    member = models.CharField(max_length=100)
    copies = models.BigIntegerField(db_index=True)
    note = models.TextField()
    made = models.DateTimeField(db_index=True)
";

/// Takes the old column and its index away, and the names of the migration with them.
const CONTRACT: &str = r#"from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("library", "0006_swap_loan_copies_bigint")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE library_loan DROP COLUMN copies_old",
            "ALTER TABLE library_loan ADD COLUMN copies_old integer",
        ),
    ]
"#;

pub(crate) fn run(options: &Options) -> Result<ExitCode, String> {
    // Before anything is made, so that no interrupt comes too early.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let mut signals = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let _guard = runtime.enter();
        signals.push(signal(kind).map_err(|error| format!("signals cannot be listened to: {error}"))?);
    }
    let [interrupt, terminate, hangup] = signals.as_mut_slice() else { return Err("three signals".to_owned()) };
    let keeper = Arc::new(Keeper::new()?);
    let interrupted = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let worker = {
        let (keeper, interrupted) = (Arc::clone(&keeper), Arc::clone(&interrupted));
        let options = options.clone();
        thread::spawn(move || {
            let shown = show(&options, &keeper, &interrupted);
            let _ = sender.send(());
            shown
        })
    };
    let stopped = runtime.block_on(async {
        tokio::select! {
            _ = receiver => false,
            _ = interrupt.recv() => true,
            _ = terminate.recv() => true,
            _ = hangup.recv() => true,
        }
    });
    if stopped {
        interrupted.store(true, Ordering::Relaxed);
    }
    // The worker's command ends with the other processes, and the worker with it.
    keeper.close();
    let shown = worker.join().map_err(|_| "the demonstration broke off".to_owned())?;
    if stopped {
        println!("\ninterrupted; nothing is left behind");
        return Ok(ExitCode::from(130));
    }
    shown.map(|()| ExitCode::SUCCESS)
}

fn show(options: &Options, keeper: &Arc<Keeper>, interrupted: &AtomicBool) -> Result<(), String> {
    let on = || if interrupted.load(Ordering::Relaxed) { Err("interrupted".to_owned()) } else { Ok(()) };
    let Options { rows, give_up_after, postgres: major } = *options;
    println!("What the demonstration runs on (kept for the next time):");
    let outcome = setup::only(major.unwrap_or(MAJOR), DJANGO)?;
    outcome.report();
    let major = major
        .or_else(|| available_majors().contains(&MAJOR).then_some(MAJOR))
        .or_else(|| available_majors().last().copied())
        .ok_or("there is no PostgreSQL: install npm, or a server of major 14 to 18")?;
    let django = Django::env(DJANGO).ok_or("there is no Django: install Python 3.10 or later with venv and pip")?;
    on()?;
    println!("building zdm and zdm-lint …");
    let programs = Programs::build(django)?;
    on()?;

    let begun = Instant::now();
    step(&format!("A library with {} loans on PostgreSQL {major}", grouped(rows as usize)));
    let server = ServerOptions::default()
        .set("shared_buffers", "256MB")
        .set("max_wal_size", "2GB")
        .try_start(major)
        .map_err(|error| error.to_string())?;
    let site_options = SiteOptions {
        fill: Some(format!("python fill.py {rows}")),
        pause: Some(PAUSE),
        patience: Some(Duration::from_secs(give_up_after.into())),
        keeper: Some(Arc::clone(keeper)),
        show: true,
        ..SiteOptions::default()
    };
    let mut ours = Site::prepare("demo", &server, &programs, &site_options)?;
    println!("Loan.copies is an integer, has an index, and shall be a bigint.");

    step("The naive migration, and who stops it");
    let mut naive = ours.twin("demo")?;
    println!("In library/models.py: copies = models.BigIntegerField(db_index=True)");
    naive.write("library/models.py", MODELS)?;
    for (command, code) in [
        ("python manage.py makemigrations library --name alter_loan_copies", 0),
        ("zdm-lint --base main", 1),
        ("zdm migrate --phase before -- python manage.py migrate", 1),
    ] {
        typed(&mut naive, command, code)?;
    }
    step("What it would have done: the same migration on a copy, beside the application");
    println!("Two processes read and write all the time, and give up on a statement after {give_up_after} s.");
    naive.serve()?;
    let started = Instant::now();
    typed(&mut naive, "python manage.py migrate", 0)?;
    let naive_took = started.elapsed();
    let naive_requests = naive.close()?;
    said(&naive_requests);
    on()?;

    step("Ours: the application serves from here to the end");
    ours.serve()?;
    let started = Instant::now();
    println!("\nRelease 1: a second column, which a trigger keeps equal. No model names it.");
    typed(&mut ours, &format!("zdm mirror migration {MIRROR}"), 0)?;
    typed(&mut ours, "zdm-lint --base main", 0)?;
    typed(&mut ours, "zdm migrate --phase before -- python manage.py migrate", 0)?;
    println!("\nThe rows from before, and the proof:");
    typed(&mut ours, &format!("zdm backfill run {COPY}"), 0)?;
    typed(&mut ours, &format!("zdm backfill verify {COPY}"), 0)?;
    typed(&mut ours, &format!("zdm mirror check {MIRROR}"), 0)?;
    println!("\nRelease 2: the new column takes the place of the old one. Indexes and constraints come before.");
    quietly(&mut ours, "git add --all && git commit --quiet -m 'Release 1'")?;
    typed(&mut ours, &format!("zdm mirror swap {MIRROR}"), 0)?;
    ours.write("library/models.py", MODELS)?;
    typed(&mut ours, "python manage.py makemigrations --check", 0)?;
    typed(&mut ours, "zdm migrate --phase before -- python manage.py migrate", 0)?;
    typed(&mut ours, "roll-out", 0)?;
    println!("\nRelease 3: the old column goes, when nobody wants to go back any more.");
    quietly(&mut ours, "git add --all && git commit --quiet -m 'Release 2'")?;
    ours.write("library/migrations/0007_drop_copies_old.py", CONTRACT)?;
    typed(&mut ours, "roll-out && zdm migrate --phase after -- python manage.py migrate", 0)?;
    let ours_took = started.elapsed();
    let our_requests = ours.close()?;
    said(&our_requests);
    on()?;

    let different = differences(&schema(&naive.database().connect()), &schema(&ours.database().connect()));
    step("Naive against ours");
    let row = |what: &str, naive: &str, ours: &str| println!("{what:<24} {naive:>12} {ours:>12}");
    row("", "naive", "zdm");
    let longest = |requests: &[Request]| measure::duration(measure::longest(requests));
    row("longest wait", &longest(&naive_requests), &longest(&our_requests));
    let failed = |requests: &[Request]| measure::failed(requests).len().to_string();
    row("failed requests", &failed(&naive_requests), &failed(&our_requests));
    row("requests", &grouped(naive_requests.len()), &grouped(our_requests.len()));
    let seconds = |took: Duration| measure::duration(took.as_secs_f64() * 1000.0);
    row("the change took", &seconds(naive_took), &seconds(ours_took));
    println!(
        "\n{}; all of it took {:.0} s.",
        if different.is_empty() { "Both ways end with the same schema" } else { "The schemas differ" },
        begun.elapsed().as_secs_f64()
    );
    // The databases go before their server does.
    drop((naive, ours));
    if let Some(request) = measure::failed(&our_requests).first() {
        return Err(format!("{}: {}", request.name, request.error.as_deref().unwrap_or_default()));
    }
    if different.is_empty() { Ok(()) } else { Err(different.join("\n")) }
}

fn step(title: &str) {
    println!("\n══ {title}\n");
}

/// Shows and runs a command, which must end with this exit code.
fn typed(site: &mut Site, command: &str, code: i32) -> Result<(), String> {
    println!("\n$ {command}");
    // The command writes to the same terminal by itself.
    let _ = std::io::stdout().flush();
    let (status, _) = site.attempt(command)?;
    if code != 0 {
        println!("(exit code {})", status.code().map_or_else(|| status.to_string(), |code| code.to_string()));
    }
    if status.code() == Some(code) { Ok(()) } else { Err(format!("{command}: {status}")) }
}

fn quietly(site: &mut Site, command: &str) -> Result<(), String> {
    let (status, _) = site.attempt(command)?;
    if status.success() { Ok(()) } else { Err(format!("{command}: {status}")) }
}

fn said(requests: &[Request]) {
    println!(
        "\n→ {} requests, the longest waited {}, {} failed",
        grouped(requests.len()),
        measure::duration(measure::longest(requests)),
        measure::failed(requests).len()
    );
}

/// Thousands apart.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
