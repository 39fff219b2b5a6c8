//! The watcher: a second connection that sees whom the child's sessions keep waiting, and for whom they wait.
//!
//! A session of the child that keeps others waiting longer than allowed is cancelled, and ended where it does so without
//! a statement under way. Nobody else's session is touched, unless the operator named it. Its own statements are short,
//! and each is a transaction of its own, so that no build waits for its snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::SimpleQueryMessage;
use zdm_conn::{Literal, Session};

use crate::event::Event;
use crate::model::Class;
use crate::record::{Action, Blocker};
use crate::retry::Cause;
use crate::serve::{Shared, lock};

/// Between two samples.
pub(crate) const PERIOD: Duration = Duration::from_millis(100);

/// Between two looks at the progress of an index build.
const PROGRESS_PERIOD: Duration = Duration::from_secs(2);

/// After a cancellation that did not help.
const GRACE: Duration = Duration::from_millis(700);

/// Which sessions of others may be cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockerPattern {
    Pid(i32),
    /// With `*` for any run of characters.
    Application(String),
    User(String),
    Autovacuum,
}

impl BlockerPattern {
    /// `pid=123`, `application=celery*`, `user=report`, `autovacuum`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('=') {
            Some(("pid", pid)) => pid.parse().ok().map(Self::Pid),
            Some(("application", pattern)) if !pattern.is_empty() => Some(Self::Application(pattern.to_owned())),
            Some(("user", pattern)) if !pattern.is_empty() => Some(Self::User(pattern.to_owned())),
            None if text == "autovacuum" => Some(Self::Autovacuum),
            _ => None,
        }
    }

    fn matches(&self, blocker: &Seen) -> bool {
        let like = |pattern: &str, text: &str| zdm_linter::config::TablePattern::new(pattern).matches(text);
        match self {
            Self::Pid(pid) => blocker.blocker.pid == *pid,
            Self::Application(pattern) => like(pattern, &blocker.blocker.application),
            Self::User(pattern) => like(pattern, &blocker.blocker.user),
            Self::Autovacuum => blocker.kind == "autovacuum worker",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Watcher {
    session: Arc<Session>,
    core: Shared,
    /// The child's application name, as an SQL literal.
    application: Literal,
    max_block: Duration,
    show_queries: bool,
    cancel: Vec<BlockerPattern>,
    /// Since when a session waits for one of ours: by (waiter, ours).
    blocked: BTreeMap<(i32, i32), Instant>,
    /// Our sessions that were cancelled, and when.
    acted: BTreeMap<i32, Instant>,
    /// Cycles that were seen in the last sample: ours.
    cycles: BTreeSet<i32>,
    /// Blockers of others that were dealt with.
    dealt: BTreeMap<i32, Instant>,
    progress: Option<Instant>,
    /// Sessions of the child that the shim has not reported, and since when they are seen.
    unreported: BTreeMap<i32, Instant>,
}

/// A session that somebody waits for.
#[derive(Debug, Clone)]
struct Seen {
    blocker: Blocker,
    kind: String,
}

#[derive(Debug, Default)]
struct Sample {
    own: BTreeSet<i32>,
    /// (waiter, blocker)
    edges: Vec<(i32, i32)>,
    /// Waiters that give way by themselves.
    autovacuum: BTreeSet<i32>,
    seen: BTreeMap<i32, Seen>,
}

impl Watcher {
    pub(crate) fn new(
        session: Arc<Session>,
        core: Shared,
        application: Literal,
        max_block: Duration,
        show_queries: bool,
        cancel: Vec<BlockerPattern>,
    ) -> Self {
        Self {
            session,
            core,
            application,
            max_block,
            show_queries,
            cancel,
            blocked: BTreeMap::new(),
            acted: BTreeMap::new(),
            cycles: BTreeSet::new(),
            dealt: BTreeMap::new(),
            progress: None,
            unreported: BTreeMap::new(),
        }
    }

    /// One look. An error means that the connection cannot be used any more.
    pub(crate) async fn look(&mut self) -> Result<(), tokio_postgres::Error> {
        let sample = self.sample().await?;
        let now = Instant::now();
        let reported = lock(&self.core).backends();
        self.unreported.retain(|pid, _| sample.own.contains(pid) && !reported.contains(pid));
        for pid in sample.own.iter().filter(|pid| !reported.contains(pid)) {
            self.unreported.entry(*pid).or_insert(now);
        }
        self.we_wait(&sample, now).await?;
        self.others_wait(&sample, now).await?;
        let due = self.progress.is_none_or(|at| now.duration_since(at) >= PROGRESS_PERIOD);
        if due && self.show_progress(&sample).await? {
            self.progress = Some(now);
        }
        Ok(())
    }

    async fn sample(&self) -> Result<Sample, tokio_postgres::Error> {
        let known = lock(&self.core).backends();
        let pids = array(&known);
        let application = &self.application;
        let query = if self.show_queries { "a.query" } else { "''" };
        // One row per waiting session and session that it waits for; and one row per session of ours.
        let sql = format!(
            "SELECT 'own', a.pid, '', '', '', '', '', '', '' FROM pg_catalog.pg_stat_activity a \
             WHERE a.application_name = {application} OR a.pid = ANY ({pids}) \
             UNION ALL \
             SELECT 'edge', w.pid, b.pid::text, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), \
                    coalesce(a.state, ''), \
                    coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::text, ''), \
                    coalesce(a.backend_type, '') || '/' || coalesce(o.backend_type, ''), coalesce({query}, '') \
             FROM (SELECT DISTINCT pid FROM pg_catalog.pg_locks WHERE NOT granted) w \
                  CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS b(pid) \
                  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid \
                  LEFT JOIN pg_catalog.pg_stat_activity o ON o.pid = w.pid"
        );
        let mut sample = Sample::default();
        for message in self.session.client().simple_query(&sql).await? {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let text = |at: usize| row.get(at).unwrap_or_default();
            let Ok(pid) = text(1).parse::<i32>() else { continue };
            if text(0) == "own" {
                sample.own.insert(pid);
                continue;
            }
            // 0 stands for a prepared transaction, which has no session.
            let Ok(blocker) = text(2).parse::<i32>() else { continue };
            let (kind, waiter_kind) = text(7).split_once('/').unwrap_or_default();
            if waiter_kind == "autovacuum worker" {
                sample.autovacuum.insert(pid);
            }
            sample.edges.push((pid, blocker));
            sample.seen.insert(
                blocker,
                Seen {
                    blocker: Blocker {
                        pid: blocker,
                        application: text(3).to_owned(),
                        user: text(4).to_owned(),
                        state: text(5).to_owned(),
                        age: text(6).parse::<f64>().ok().and_then(|age| Duration::try_from_secs_f64(age).ok()),
                        query: self.show_queries.then(|| text(8).to_owned()).filter(|query| !query.is_empty()),
                    },
                    kind: kind.to_owned(),
                },
            );
        }
        Ok(sample)
    }

    /// For whom our sessions wait.
    async fn we_wait(&mut self, sample: &Sample, now: Instant) -> Result<(), tokio_postgres::Error> {
        for ours in &sample.own {
            let blockers: Vec<&Seen> = sample
                .edges
                .iter()
                .filter(|(waiter, blocker)| waiter == ours && !sample.own.contains(blocker))
                .filter_map(|(_, blocker)| sample.seen.get(blocker))
                .collect();
            if blockers.is_empty() {
                continue;
            }
            let shown: Vec<Blocker> = blockers.iter().map(|seen| seen.blocker.clone()).collect();
            {
                let mut core = lock(&self.core);
                if core.waiting(*ours, PERIOD, &shown) {
                    let sql = core.working(*ours).map_or_else(String::new, |working| working.sql);
                    core.say(Event::Waiting { sql, blockers: shown });
                }
            }
            for seen in blockers {
                let named = self.cancel.iter().any(|pattern| pattern.matches(seen));
                let recently = self
                    .dealt
                    .get(&seen.blocker.pid)
                    .is_some_and(|at| now.duration_since(*at) < Duration::from_secs(2));
                if named && !recently {
                    self.dealt.insert(seen.blocker.pid, now);
                    let terminated = seen.blocker.state.starts_with("idle in transaction");
                    let done = self.signal(seen.blocker.pid, terminated).await?;
                    let event = if done {
                        Event::BlockerCancelled { blocker: seen.blocker.clone(), terminated }
                    } else {
                        Event::Warning { message: format!("the session {} could not be cancelled", seen.blocker.pid) }
                    };
                    lock(&self.core).say(event);
                }
            }
        }
        Ok(())
    }

    /// Whom our sessions keep waiting.
    async fn others_wait(&mut self, sample: &Sample, now: Instant) -> Result<(), tokio_postgres::Error> {
        let waits: BTreeSet<(i32, i32)> = sample
            .edges
            .iter()
            .filter(|(waiter, blocker)| {
                sample.own.contains(blocker) && !sample.own.contains(waiter) && !sample.autovacuum.contains(waiter)
            })
            .copied()
            .collect();
        self.blocked.retain(|pair, _| waits.contains(pair));
        for pair in &waits {
            self.blocked.entry(*pair).or_insert(now);
        }
        // Whoever blocks nobody any more begins anew.
        let blocking: BTreeSet<i32> = waits.iter().map(|(_, blocker)| *blocker).collect();
        self.acted.retain(|ours, _| blocking.contains(ours));
        let cycles: BTreeSet<i32> =
            sample.own.iter().copied().filter(|ours| in_cycle(*ours, &sample.edges, &sample.own)).collect();
        for ours in &sample.own {
            let waiting: Vec<(i32, Duration)> = self
                .blocked
                .iter()
                .filter(|((_, blocker), _)| blocker == ours)
                .map(|((waiter, _), since)| (*waiter, now.duration_since(*since)))
                .collect();
            let longest = waiting.iter().map(|(_, time)| *time).max().unwrap_or_default();
            // Twice in a row: the server may still break up a cycle of mere queue places by itself.
            let cycle = cycles.contains(ours) && self.cycles.contains(ours);
            if longest < self.max_block && !cycle {
                continue;
            }
            let action = match self.acted.get(ours).map(|at| now.duration_since(*at)) {
                None => Action::Cancelled,
                Some(time) if time < GRACE => continue,
                Some(time) if time < GRACE * 4 => Action::Terminated,
                Some(_) => Action::Cancelled,
            };
            self.acted.insert(*ours, now);
            let waiters = waiting.iter().map(|(waiter, _)| *waiter).collect();
            let cause = if longest < self.max_block { Cause::Cycle } else { Cause::Blocking };
            lock(&self.core).intervened(*ours, waiters, longest, action, cause);
            self.signal(*ours, action == Action::Terminated).await?;
            lock(&self.core).signalled(*ours);
        }
        self.cycles = cycles;
        Ok(())
    }

    async fn signal(&self, pid: i32, terminate: bool) -> Result<bool, tokio_postgres::Error> {
        let function = if terminate { "pg_terminate_backend" } else { "pg_cancel_backend" };
        match self.session.simple_row(&format!("SELECT pg_catalog.{function}({pid})")).await {
            Ok(row) => Ok(row.first().is_some_and(|done| done == "t")),
            // Without the privilege the watcher still watches.
            Err(error) if error.code().is_some_and(|code| code.code() == "42501") => {
                lock(&self.core).warn(format!(
                    "zdm's role may not cancel the session {pid}; connect as the role of the command, or grant \
                     pg_signal_backend"
                ));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether there was something to show.
    async fn show_progress(&self, sample: &Sample) -> Result<bool, tokio_postgres::Error> {
        let long: Vec<(i32, Duration)> = {
            let core = lock(&self.core);
            sample
                .own
                .iter()
                .filter_map(|ours| Some((*ours, core.working(*ours)?)))
                .filter(|(_, working)| working.class != Class::Strong && working.begun.elapsed() >= PROGRESS_PERIOD)
                .map(|(ours, working)| (ours, working.begun.elapsed()))
                .collect()
        };
        if long.is_empty() {
            return Ok(false);
        }
        let pids = array(&long.iter().map(|(pid, _)| *pid).collect::<Vec<_>>());
        let sql = format!(
            "SELECT p.pid, coalesce(c.relname, ''), p.phase, \
                    CASE WHEN p.blocks_total > 0 THEN p.blocks_done::float8 / p.blocks_total \
                         WHEN p.tuples_total > 0 THEN p.tuples_done::float8 / p.tuples_total \
                         WHEN p.lockers_total > 0 THEN p.lockers_done::float8 / p.lockers_total END \
             FROM pg_catalog.pg_stat_progress_create_index p \
                  LEFT JOIN pg_catalog.pg_class c ON c.oid = p.index_relid WHERE p.pid = ANY ({pids})"
        );
        for message in self.session.client().simple_query(&sql).await? {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let text = |at: usize| row.get(at).unwrap_or_default();
            let elapsed = long
                .iter()
                .find(|(pid, _)| text(0).parse() == Ok(*pid))
                .map_or(Duration::ZERO, |(_, elapsed)| *elapsed);
            lock(&self.core).say(Event::Progress {
                index: text(1).to_owned(),
                phase: text(2).to_owned(),
                fraction: text(3).parse().ok(),
                elapsed,
            });
        }
        Ok(true)
    }

    /// How long a session of the child has gone unreported, at most.
    pub(crate) fn longest_unreported(&self) -> Duration {
        self.unreported.values().map(Instant::elapsed).max().unwrap_or_default()
    }

    /// Sessions of the child.
    pub(crate) async fn count(&self) -> Result<usize, tokio_postgres::Error> {
        Ok(self.sample().await?.own.len())
    }

    /// Cancels, or ends, every session of the child. For the end of a run that went wrong.
    pub(crate) async fn end_ours(&self, terminate: bool) -> Result<usize, tokio_postgres::Error> {
        let own = self.sample().await?.own;
        let mut count = 0;
        for pid in own {
            count += usize::from(self.signal(pid, terminate).await?);
        }
        Ok(count)
    }
}

fn array(pids: &[i32]) -> String {
    let list: Vec<String> = pids.iter().map(i32::to_string).collect();
    format!("'{{{}}}'::int[]", list.join(","))
}

/// Whether a session of ours waits, over others, for itself.
fn in_cycle(ours: i32, edges: &[(i32, i32)], own: &BTreeSet<i32>) -> bool {
    let mut reached = BTreeSet::new();
    let mut pending = vec![ours];
    while let Some(pid) = pending.pop() {
        for (_, blocker) in edges.iter().filter(|(waiter, _)| *waiter == pid) {
            if *blocker == ours && !own.contains(&pid) {
                return true;
            }
            if !own.contains(blocker) && reached.insert(*blocker) {
                pending.push(*blocker);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_found() {
        fn check(edges: &[(i32, i32)], expect: bool) {
            assert_eq!(in_cycle(1, edges, &BTreeSet::from([1])), expect, "{edges:?}");
        }
        check(&[], false);
        check(&[(1, 2)], false);
        check(&[(1, 2), (2, 1)], true);
        check(&[(2, 1), (3, 1)], false);
        check(&[(1, 2), (2, 3), (3, 2), (3, 1)], true);
        check(&[(1, 2), (2, 3), (3, 2)], false);
    }

    #[test]
    fn patterns_are_read() {
        assert_eq!(BlockerPattern::parse("pid=12"), Some(BlockerPattern::Pid(12)));
        assert_eq!(BlockerPattern::parse("application=a*"), Some(BlockerPattern::Application("a*".to_owned())));
        assert_eq!(BlockerPattern::parse("autovacuum"), Some(BlockerPattern::Autovacuum));
        assert_eq!(BlockerPattern::parse("everybody"), None);
        assert_eq!(BlockerPattern::parse("pid=all"), None);
    }
}
