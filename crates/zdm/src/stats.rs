//! `zdm stats`: how large tables are and how busy, for the linter's `--stats`. Names and numbers, no row data.
//!
//! Everything comes from the catalog and the server's own statistics; no table is read and nothing is written to the
//! database. Counters are read twice, an interval apart; in between, the locks of open transactions are looked at again
//! and again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use tokio_postgres::Error as DriverError;
use zdm_backfill::throttle::parse_duration;
use zdm_conn::connect::describe;
use zdm_conn::{FailureClass, Session, SessionError, Timeouts, classify};
use zdm_workspace::Stats;
use zdm_workspace::stats::TableStats;

use crate::connection::ConnectionArguments;
use crate::exit::Exit;
use crate::output;
use crate::shell::block_on;

#[derive(Debug, Args)]
#[command(
    after_help = "Run it when the application is busy, on the server that it writes to, with a role that may see other \
                        sessions (pg_monitor). Commit the file, and name it with `zdm-lint --stats FILE` or `stats` in the \
                        configuration."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    /// The Django project, if it is not around the current directory.
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// How long traffic is observed.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    interval: String,
    /// Only tables of this schema. Repeatable; by default all but the system's.
    #[arg(long, value_name = "SCHEMA")]
    schema: Vec<String>,
    /// Write to this file, in one piece at the end, instead of to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Backends hand their counters in once a second at most.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(2);
/// Between two looks at open transactions.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs the subcommand.
pub(crate) fn main(arguments: &Arguments) -> Exit {
    match block_on(run(arguments)) {
        Ok(Ok(())) => Exit::Done,
        Err(exit) => exit,
        Ok(Err((exit, message))) => {
            output::error(&message);
            exit
        }
    }
}

type Failure = (Exit, String);

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let interval =
        parse_duration(&arguments.interval).filter(|interval| *interval >= SHORTEST_INTERVAL).ok_or_else(|| {
            let text = &arguments.interval;
            (Exit::Usage, format!("--interval: `{text}` is not a duration of 2s or more, such as 30s or 5min"))
        })?;
    let settings = arguments
        .connection
        .settings_or_project(arguments.project.as_deref())
        .map_err(|message| (Exit::Usage, message))?;
    let timeouts = Timeouts { statement: Duration::from_mins(1), ..Timeouts::default() };
    let opened = Session::open(&settings, "zdm stats", timeouts).await;
    let session = opened.map_err(|error: SessionError| (Exit::Failed, error.to_string()))?;
    let stats = measure(&session, interval, &arguments.schema)
        .await
        .map_err(|error| (Exit::Failed, format!("measuring: {}", describe(&error))))?;
    if stats.tables.is_empty() {
        let which = if arguments.schema.is_empty() { "has no tables" } else { "has no tables in these schemas" };
        return Err((Exit::Usage, format!("{} {which}", settings.describe())));
    }
    match &arguments.output {
        None => output::text(&stats.to_text()),
        Some(path) => {
            zdm_workspace::write::write_file(path, &stats.to_text())
                .map_err(|error| (Exit::Usage, error.to_string()))?;
            output::note(&format!("{} tables written to {}", stats.tables.len(), path.display()));
        }
    }
    Ok(())
}

/// One table at the moment of a look.
#[derive(Debug, Clone, Default, PartialEq)]
struct Look {
    /// With the schema where it is not `public`.
    name: String,
    /// Rows and pages at the last ANALYZE or VACUUM.
    analyzed: Option<(f64, i32)>,
    /// Rows by the server's counters.
    live: Option<u64>,
    /// Scans begun, of the table and of its indexes.
    scans: Option<i64>,
    /// Rows inserted, updated and deleted.
    written: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Size {
    /// The table's own pages.
    pages: u64,
    /// With TOAST and maps.
    bytes: u64,
    index_bytes: u64,
}

/// Everything that was seen, by `pg_class.oid`.
#[derive(Debug, Default)]
struct Seen {
    before: BTreeMap<u32, Look>,
    after: BTreeMap<u32, Look>,
    sizes: BTreeMap<u32, Size>,
    /// Seconds.
    longest: BTreeMap<u32, f64>,
    /// Parent and child, by inheritance or partitioning.
    inherits: Vec<(u32, u32)>,
    /// Between `before` and `after`.
    elapsed: Duration,
}

async fn measure(session: &Session, interval: Duration, schemas: &[String]) -> Result<Stats, DriverError> {
    let facts = session
        .client()
        .query_one(
            "SELECT pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1), \
             pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
             pg_catalog.current_setting('track_counts') = 'on', pg_catalog.pg_is_in_recovery()",
            &[],
        )
        .await?;
    let counts: bool = facts.get(2);
    if !counts {
        output::note("warning: track_counts is off on this server: traffic cannot be measured");
    }
    if facts.get(3) {
        output::note("warning: this is a standby: its reads are not those of the primary");
    }
    let mut seen = Seen { before: look(session, schemas, counts).await?, ..Seen::default() };
    let started = Instant::now();
    output::note(&format!("observing {} tables for {} s", seen.before.len(), interval.as_secs()));
    seen.sizes = sizes(session, seen.before.keys().copied().collect()).await?;
    let mut hidden = false;
    loop {
        hidden |= transactions(session, &mut seen.longest).await?;
        let left = interval.saturating_sub(started.elapsed());
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
    }
    if hidden {
        output::note("warning: this role may not see other sessions' transactions: grant it pg_monitor");
    }
    seen.after = look(session, schemas, counts).await?;
    seen.elapsed = started.elapsed();
    let rows = session.client().query("SELECT inhparent, inhrelid FROM pg_catalog.pg_inherits", &[]).await?;
    seen.inherits = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut stats = Stats::new(tables(&seen));
    stats.postgres = Some(facts.get(0));
    stats.measured_at = Some(facts.get(1));
    stats.interval_seconds = Some(rounded(seen.elapsed.as_secs_f64()));
    Ok(stats)
}

/// Names and counters; takes no lock on any table.
async fn look(session: &Session, schemas: &[String], counts: bool) -> Result<BTreeMap<u32, Look>, DriverError> {
    let rows = session
        .client()
        .query(
            "SELECT c.oid, n.nspname::text, c.relname::text, \
             CASE WHEN c.relkind = 'p' THEN 0 WHEN c.reltuples >= 0 THEN c.reltuples::float8 END, c.relpages, \
             s.n_live_tup, s.seq_scan + COALESCE(s.idx_scan, 0), s.n_tup_ins + s.n_tup_upd + s.n_tup_del \
             FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_stat_all_tables AS s ON s.relid = c.oid \
             WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' \
             AND n.nspname !~ '^pg_' AND (pg_catalog.cardinality($1::text[]) = 0 OR n.nspname = ANY($1))",
            &[&schemas],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let (schema, name): (String, String) = (row.get(1), row.get(2));
            let counter = |at: usize| row.get::<_, Option<i64>>(at).filter(|_| counts);
            let look = Look {
                name: if schema == "public" { name } else { format!("{schema}.{name}") },
                analyzed: row.get::<_, Option<f64>>(3).map(|rows| (rows, row.get(4))),
                live: counter(5).and_then(|rows| u64::try_from(rows).ok()),
                scans: counter(6),
                written: counter(7),
            };
            (row.get(0), look)
        })
        .collect())
}

/// Sizes of tables. Measuring one waits for a lock that stops readers; a table that stays locked is left out.
async fn sizes(session: &Session, tables: Vec<u32>) -> Result<BTreeMap<u32, Size>, DriverError> {
    let sql = "SELECT t, pg_catalog.pg_table_size(t), pg_catalog.pg_indexes_size(t), \
               COALESCE(pg_catalog.pg_relation_size(t), 0) / pg_catalog.current_setting('block_size')::int8 \
               FROM pg_catalog.unnest($1::oid[]) AS t";
    let mut sizes = BTreeMap::new();
    // Halved where a lock is met, until the locked table is alone.
    let mut chunks = vec![tables];
    while let Some(mut chunk) = chunks.pop() {
        match session.client().query(sql, &[&chunk]).await {
            Ok(rows) => sizes.extend(rows.iter().filter_map(|row| {
                // A table that was dropped meanwhile has none.
                let (bytes, index_bytes): (Option<i64>, Option<i64>) = (row.get(1), row.get(2));
                let bytes = u64::try_from(bytes?).ok()?;
                let pages = u64::try_from(row.get::<_, i64>(3)).ok()?;
                Some((row.get(0), Size { pages, bytes, index_bytes: u64::try_from(index_bytes?).ok()? }))
            })),
            Err(error) => match classify(&error) {
                FailureClass::LockNotAvailable | FailureClass::QueryCanceled if chunk.len() > 1 => {
                    let half = chunk.split_off(chunk.len() / 2);
                    chunks.extend([half, chunk]);
                }
                FailureClass::LockNotAvailable | FailureClass::QueryCanceled => {
                    let name = chunk.first().map(u32::to_string).unwrap_or_default();
                    output::note(&format!("warning: the table with oid {name} is locked: its size is left out"));
                }
                _ => return Err(error),
            },
        }
    }
    Ok(sizes)
}

/// The age of the oldest open transaction on each table, by the locks that it holds on the table or an index of it.
/// Autovacuum gives way by itself and does not count. A prepared transaction holds a lock on its own id. True when the role may not see other sessions.
async fn transactions(session: &Session, longest: &mut BTreeMap<u32, f64>) -> Result<bool, DriverError> {
    let rows = session
        .client()
        .query(
            "WITH l AS MATERIALIZED (SELECT l.pid, l.relation, l.virtualtransaction FROM pg_catalog.pg_locks AS l \
                 WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() \
                 AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())), \
             t AS (SELECT l.relation, a.xact_start, a.backend_type IS NULL AS hidden FROM l \
                 JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid \
                 WHERE a.backend_type IS DISTINCT FROM 'autovacuum worker' \
                 UNION ALL SELECT l.relation, x.prepared, false FROM l \
                 JOIN pg_catalog.pg_locks AS own ON own.pid IS NULL AND own.locktype = 'transactionid' \
                     AND own.virtualtransaction = l.virtualtransaction \
                 JOIN pg_catalog.pg_prepared_xacts AS x ON x.transaction = own.transactionid WHERE l.pid IS NULL) \
             SELECT COALESCE(i.indrelid, t.relation), \
             max(extract(epoch FROM pg_catalog.clock_timestamp() - t.xact_start))::float8, pg_catalog.bool_or(t.hidden) \
             FROM t LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = t.relation GROUP BY 1",
            &[],
        )
        .await?;
    let mut hidden = false;
    for row in &rows {
        hidden |= row.get::<_, bool>(2);
        if let Some(age) = row.get::<_, Option<f64>>(1) {
            let known = longest.entry(row.get(0)).or_default();
            *known = known.max(age.max(0.0));
        }
    }
    Ok(hidden)
}

/// Rows as the planner estimates them: the density at the last ANALYZE times the pages of now, and where there was none,
/// what the counters say.
fn rows_of(look: &Look, size: Option<&Size>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    match (look.analyzed, size) {
        (Some((rows, pages)), Some(size)) if pages > 0 => Some(rows / f64::from(pages) * size.pages as f64),
        (Some((rows, _)), _) if rows > 0.0 => Some(rows),
        (_, Some(size)) if size.pages == 0 => Some(0.0),
        (_, _) => look.live.filter(|rows| *rows > 0).map(|rows| rows as f64),
    }
}

/// The file's tables: each with everything below it, since what is done to a parent is done to its partitions.
fn tables(seen: &Seen) -> BTreeMap<String, TableStats> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (parent, child) in &seen.inherits {
        children.entry(*parent).or_default().push(*child);
    }
    let seconds = seen.elapsed.as_secs_f64();
    // A table that is dropped while it is measured has no second look.
    let known = seen.after.iter().filter(|(table, _)| seen.before.contains_key(table));
    known
        .map(|(table, look)| {
            let family = family(*table, &children);
            let each = |of: &dyn Fn(&u32) -> Option<f64>| -> Option<f64> { family.iter().map(of).sum() };
            // Negative after a reset of the statistics.
            let rate = |counter: fn(&Look) -> Option<i64>| {
                let of = |table: &u32| {
                    let (before, after) = (counter(seen.before.get(table)?)?, counter(seen.after.get(table)?)?);
                    #[expect(clippy::cast_precision_loss, reason = "a rate")]
                    let moved = (after >= before).then(|| (after - before) as f64);
                    moved.filter(|_| seconds > 0.0).map(|moved| moved / seconds)
                };
                each(&|table| if is_partitioned(seen, *table, &children) { Some(0.0) } else { of(table) }).map(rounded)
            };
            #[expect(clippy::cast_precision_loss, reason = "rows and bytes are below 2⁵³")]
            let stats = TableStats {
                rows: each(&|table| rows_of(seen.after.get(table)?, seen.sizes.get(table))).map(whole),
                bytes: each(&|table| seen.sizes.get(table).map(|size| size.bytes as f64)).map(whole),
                index_bytes: each(&|table| seen.sizes.get(table).map(|size| size.index_bytes as f64)).map(whole),
                reads_per_second: rate(|look| look.scans),
                writes_per_second: rate(|look| look.written),
                longest_transaction_seconds: family
                    .iter()
                    .filter_map(|table| seen.longest.get(table))
                    .copied()
                    .reduce(f64::max)
                    .map(rounded),
            };
            (look.name.clone(), stats)
        })
        .collect()
}

/// A parent that keeps no counters: a partitioned table, which has no storage.
fn is_partitioned(seen: &Seen, table: u32, children: &BTreeMap<u32, Vec<u32>>) -> bool {
    children.contains_key(&table) && seen.after.get(&table).is_some_and(|look| look.scans.is_none())
}

/// A table and all below it, each once.
fn family(table: u32, children: &BTreeMap<u32, Vec<u32>>) -> BTreeSet<u32> {
    let mut family = BTreeSet::new();
    let mut open = vec![table];
    while let Some(next) = open.pop() {
        if family.insert(next) {
            open.extend(children.get(&next).into_iter().flatten());
        }
    }
    family
}

/// Three digits behind the point.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn whole(value: f64) -> u64 {
    value.round().clamp(0.0, 9e18) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str, rows: f64, scans: i64, written: i64) -> Look {
        Look {
            name: name.to_owned(),
            analyzed: Some((rows, 1)),
            live: None,
            scans: Some(scans),
            written: Some(written),
        }
    }

    fn size(pages: u64, bytes: u64, index_bytes: u64) -> Size {
        Size { pages, bytes, index_bytes }
    }

    #[test]
    fn rates_are_differences_and_parents_have_what_is_below_them() {
        let partitioned = Look { name: "log".to_owned(), ..Look::default() };
        let seen = Seen {
            before: BTreeMap::from([
                (1, at("shop_order", 10.0, 100, 50)),
                (2, partitioned.clone()),
                (3, at("log_1", 5.0, 0, 0)),
                (4, at("reset", 5.0, 9, 9)),
            ]),
            after: BTreeMap::from([
                (1, at("shop_order", 12.0, 104, 51)),
                (2, partitioned),
                (3, at("log_1", 6.0, 2, 8)),
                (4, at("reset", 5.0, 1, 9)),
                (5, at("new", 5.0, 1, 9)),
            ]),
            sizes: BTreeMap::from([(1, size(2, 8192, 16384)), (3, size(1, 1, 2)), (2, size(0, 0, 0))]),
            longest: BTreeMap::from([(3, 1.234_56)]),
            inherits: vec![(2, 3)],
            elapsed: Duration::from_secs(4),
        };
        let tables = tables(&seen);
        let order = &tables["shop_order"];
        assert_eq!(
            (order.rows, order.bytes, order.index_bytes),
            (Some(24), Some(8192), Some(16384)),
            "twice the pages of the last ANALYZE"
        );
        assert_eq!((order.reads_per_second, order.writes_per_second), (Some(1.0), Some(0.25)));
        assert_eq!(order.longest_transaction_seconds, None);
        let log = &tables["log"];
        assert_eq!((log.rows, log.bytes, log.index_bytes), (Some(6), Some(1), Some(2)));
        assert_eq!((log.reads_per_second, log.writes_per_second), (Some(0.5), Some(2.0)));
        assert_eq!(log.longest_transaction_seconds, Some(1.235));
        assert_eq!((tables["reset"].reads_per_second, tables["reset"].bytes), (None, None), "unknown is not zero");
        assert_eq!(tables["reset"].writes_per_second, Some(0.0));
        assert!(!tables.contains_key("new"));
        let counted = Look { live: Some(70), ..Look::default() };
        assert_eq!(rows_of(&counted, Some(&size(1, 1, 1))), Some(70.0), "never analyzed");
        assert_eq!(rows_of(&Look::default(), Some(&size(1, 1, 1))), None);
        assert_eq!(rows_of(&Look::default(), Some(&size(0, 0, 0))), Some(0.0), "no page, no row");
    }
}
