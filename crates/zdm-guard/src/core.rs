//! What the guard knows of the child and what it decides: the answers to the shim's questions.
//!
//! Everything here is synchronous and short; what needs the server ([`crate::serve`], [`crate::watch`]) asks first and
//! hands the answer in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc::UnboundedSender;
use zdm_conn::Timeouts;
use zdm_postgres::{PgVersion, QualifiedName};

use crate::event::Event;
use crate::gate::{Decision, Gate, pending_of};
use crate::knowledge::Knowledge;
use crate::model::{Class, ConcurrentBuild, Judgement, Model, StatementTimeouts};
use crate::record::{Action, Blocker, Finished, Intervention, InvalidIndex, MigrationRecord, Record, StatementRecord};
use crate::resume::{Course, Message, Standing};
use crate::retry::{Cause, Retry, RetryLimits};
use crate::wire::{Answer, End, Planned};

/// Statements that are recorded one by one; the rest is counted.
const MOST_RECORDED: usize = 20_000;
const LONGEST_SQL: usize = 2_000;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) limits: Timeouts,
    pub(crate) retries: RetryLimits,
    pub(crate) version: PgVersion,
    pub(crate) events: UnboundedSender<Event>,
    pub(crate) knowledge: Option<Arc<Knowledge>>,
    pub(crate) gate: Option<Gate>,
    pub(crate) record: Record,
    /// The first reason to refuse.
    pub(crate) refusal: Option<String>,
    /// Why the run gave up on a lock.
    pub(crate) gave_up: Option<String>,
    /// What the gate decided about Django's plan.
    pub(crate) decision: Option<Decision>,
    /// The probe has reported.
    pub(crate) loaded: bool,
    /// Connections of which the settings were read back.
    pub(crate) checked: u32,
    /// No statement is answered any more.
    pub(crate) stopping: bool,
    orders: Vec<UnboundedSender<&'static str>>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    /// Concurrent builds that have begun and not succeeded, by index.
    builds: BTreeMap<QualifiedName, ConcurrentBuild>,
    migration_retries: BTreeMap<String, Retry>,
}

#[derive(Debug)]
struct Connection {
    alias: String,
    backend: i32,
    /// The watcher sees its server process.
    watched: bool,
    model: Model,
    /// Index into the record.
    migration: Option<usize>,
    atomic: bool,
    /// The open transaction has changed something.
    dirty: bool,
    /// Something was committed since the migration began.
    committed: bool,
    current: Option<Current>,
    /// Messages of the migration that an earlier run has sent, and that this one passes over.
    passing: VecDeque<Message>,
    /// Why the last statement that failed did, with its SQLSTATE.
    cause: Option<(Option<String>, Cause)>,
    /// The watcher has cancelled or ended what this connection did last.
    intervened: Option<Intervened>,
    statement_retry: Retry,
}

/// A statement under way.
#[derive(Debug)]
struct Current {
    /// Index into the record, where it is recorded.
    record: Option<usize>,
    judgement: Judgement,
    timeouts: StatementTimeouts,
    begun: Instant,
}

/// What the watcher asks about a backend.
#[derive(Debug, Clone)]
pub(crate) struct Working {
    pub(crate) sql: String,
    pub(crate) begun: Instant,
    pub(crate) class: Class,
}

impl Core {
    pub(crate) fn new(
        limits: Timeouts,
        retries: RetryLimits,
        version: PgVersion,
        events: UnboundedSender<Event>,
    ) -> Self {
        Self {
            limits,
            retries,
            version,
            events,
            knowledge: None,
            gate: None,
            builds: BTreeMap::new(),
            record: Record::default(),
            refusal: None,
            gave_up: None,
            decision: None,
            loaded: false,
            checked: 0,
            stopping: false,
            orders: Vec::new(),
            connections: BTreeMap::new(),
            next: 1,
            migration_retries: BTreeMap::new(),
        }
    }

    pub(crate) fn say(&self, event: Event) {
        // Nobody listening is no reason to stop.
        drop(self.events.send(event));
    }

    pub(crate) fn note(&mut self, message: String) {
        self.record.notes.push(message.clone());
        self.say(Event::Note { message });
    }

    pub(crate) fn warn(&mut self, message: String) {
        self.record.notes.push(message.clone());
        self.say(Event::Warning { message });
    }

    /// Ends the run; the first reason is the one that is shown.
    pub(crate) fn refuse(&mut self, reason: String) -> Answer {
        self.refusal.get_or_insert(reason);
        self.stopping = true;
        Answer::refuse()
    }

    pub(crate) fn listen(&mut self, orders: UnboundedSender<&'static str>) {
        self.orders.push(orders);
    }

    /// Tells every process of the child to cancel and to end.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        self.orders.retain(|orders| orders.send("stop").is_ok());
    }

    /// Server processes of the child that the shim has reported.
    pub(crate) fn backends(&self) -> Vec<i32> {
        self.connections.values().filter(|connection| connection.watched).map(|connection| connection.backend).collect()
    }

    pub(crate) fn connect(&mut self, alias: &str, backend: i32, watched: bool, key: i32) -> Answer {
        let number = self.next;
        self.next += 1;
        // The connection that it replaces is gone.
        self.connections.retain(|_, known| known.backend != backend || !watched);
        self.connections.insert(
            number,
            Connection {
                alias: alias.to_owned(),
                backend,
                watched,
                model: Model::new(self.version),
                migration: None,
                atomic: true,
                dirty: false,
                committed: false,
                current: None,
                passing: VecDeque::new(),
                cause: None,
                intervened: None,
                statement_retry: Retry::new(self.retries),
            },
        );
        Answer {
            connection: Some(number),
            prove: key != 0 && key != backend,
            check_interval: self.version.at_least(14),
            lock_timeout: Some(milliseconds(self.limits.lock)),
            statement_timeout: Some(0),
            ..Answer::default()
        }
    }

    pub(crate) fn proved(&mut self, number: u64, direct: bool) -> Answer {
        if direct {
            return Answer::default();
        }
        let alias = self.connections.get(&number).map_or_else(String::new, |known| known.alias.clone());
        self.refuse(format!(
            "the database `{alias}` of the command is behind a pooler in transaction mode (such as pgbouncer): timeouts \
             are not in force there and reach other clients. Give the command a direct connection to the server for \
             migrations"
        ))
    }

    pub(crate) fn checked(&mut self, number: u64, lock_timeout: &str, backend: i32) -> Answer {
        let Some(known) = self.connections.get(&number) else { return Answer::refuse() };
        let wanted = milliseconds(self.limits.lock).to_string();
        if lock_timeout != wanted || backend != known.backend {
            let alias = &known.alias;
            let reason = if backend == known.backend {
                format!("lock_timeout of the database `{alias}` is {lock_timeout} ms, though {wanted} ms was set")
            } else {
                format!(
                    "the database `{alias}` answers from another server process than before: a pooler is in between"
                )
            };
            return self.refuse(format!("{reason}: timeouts are not in force"));
        }
        self.checked += 1;
        Answer::default()
    }

    /// Judges a statement. Returns the index that it builds concurrently, for [`before_build`](Self::before_build).
    pub(crate) fn statement(&mut self, number: u64, asked: &Asked<'_>) -> (Answer, Option<ConcurrentBuild>) {
        if self.stopping {
            return (Answer::refuse(), None);
        }
        let Some(known) = self.connections.get_mut(&number) else { return (Answer::refuse(), None) };
        if !asked.open {
            known.model.end(false);
            known.dirty = false;
        }
        let in_transaction = asked.open || !asked.autocommit;
        let judgement = known.model.judge(asked.values.unwrap_or(asked.sql), in_transaction);
        if !known.watched && !judgement.reads_only {
            let alias = known.alias.clone();
            let answer = self.refuse(format!(
                "the database `{alias}` of the command is not the one that zdm is connected to, so nobody would watch what \
                 it locks: point --dsn (or DATABASE_URL) to it"
            ));
            return (answer, None);
        }
        let is_passed = known.passing.front().is_some_and(|next| next.is(asked.values.unwrap_or(asked.sql)));
        if is_passed {
            known.passing.pop_front();
        } else if let Some(next) = known.passing.front().filter(|_| !judgement.reads_only) {
            let reason = format!(
                "an earlier run of the migration was cut off, and what it sends now is not what it was read to send: `{}`, \
                 where `{}` was expected",
                shortened(asked.sql),
                shortened(next.sql())
            );
            return (self.refuse(reason), None);
        }
        let timeouts = StatementTimeouts::of(judgement.class, self.limits);
        let overrides = judgement.sets_timeout;
        let build = judgement.builds.clone();
        let answer = Answer {
            lock_timeout: Some(milliseconds(timeouts.lock)),
            statement_timeout: Some(milliseconds(timeouts.statement)),
            idle_timeout: timeouts.idle_in_transaction.map(milliseconds),
            keep: judgement.rows_only && !asked.many,
            reads: judgement.reads_only,
            forget: !judgement.rows_only,
            resets: judgement.resets_settings,
            ..Answer::default()
        };
        known.dirty |= in_transaction && !judgement.reads_only && !is_passed;
        let migration = known.migration;
        let record = self.begin_record(migration, asked, &judgement, timeouts);
        if let Some(known) = self.connections.get_mut(&number) {
            known.current = Some(Current { record, judgement, timeouts, begun: Instant::now() });
        }
        if is_passed {
            self.finish(number, 0.0, Finished::Skipped);
            return (Answer { skip: true, ..answer }, None);
        }
        if let Some(build) = &build {
            self.builds.insert(build.index.clone(), build.clone());
        }
        if overrides {
            let sql = shortened(asked.sql);
            self.note(format!(
                "a migration sets timeouts itself; from its next message on the guard's hold again: {sql}"
            ));
        }
        (answer, build)
    }

    fn begin_record(
        &mut self,
        migration: Option<usize>,
        asked: &Asked<'_>,
        judgement: &Judgement,
        timeouts: StatementTimeouts,
    ) -> Option<usize> {
        if self.record.statements.len() >= MOST_RECORDED {
            return None;
        }
        let name = migration
            .and_then(|at| self.record.migrations.get(at))
            .map(|migration| format!("{}.{}", migration.app, migration.name));
        let sql: String = asked.sql.chars().take(LONGEST_SQL).collect();
        // A loop's statements are one line of the record.
        let last = self.record.statements.len().checked_sub(1);
        if let Some(at) = last
            && let Some(last) = self.record.statements.get_mut(at)
            && last.sql == sql
            && last.migration == name
            && last.outcome == Some(Finished::Done)
            && judgement.rows_only
        {
            last.repeated += 1;
            return Some(at);
        }
        self.record.statements.push(StatementRecord {
            migration: name,
            sql,
            class: judgement.class,
            lock_timeout: timeouts.lock,
            statement_timeout: timeouts.statement,
            locks: judgement.locks.iter().map(|(relation, mode)| (relation.to_string(), *mode)).collect(),
            started: SystemTime::now(),
            duration: Duration::ZERO,
            attempt: asked.attempt,
            waited: Duration::ZERO,
            blockers: Vec::new(),
            outcome: None,
            repeated: 0,
        });
        Some(self.record.statements.len() - 1)
    }

    /// What the server knows of the index that the statement under way builds.
    pub(crate) fn before_build(&mut self, number: u64, build: &ConcurrentBuild, found: &Found, answer: &mut Answer) {
        match found {
            Found::Nothing => {}
            Found::Invalid { drop } => {
                let (index, table) = (build.index.to_string(), build.table.to_string());
                answer.first.push(drop.clone());
                self.record.invalid_indexes.push(InvalidIndex {
                    index: index.clone(),
                    table: table.clone(),
                    dropped: true,
                });
                self.say(Event::InvalidIndex { index, table });
            }
            Found::Valid { definition } => {
                if build.definition.as_ref() == Some(definition) {
                    answer.skip = true;
                    let index = &build.index;
                    self.note(format!("the index `{index}` is there, valid and as defined: it is not built again"));
                    self.builds.remove(index);
                    self.finish(number, 0.0, Finished::Skipped);
                }
            }
        }
    }

    fn finish(&mut self, number: u64, seconds: f64, outcome: Finished) -> Option<Current> {
        let current = self.connections.get_mut(&number)?.current.take()?;
        if let Some(statement) = current.record.and_then(|at| self.record.statements.get_mut(at)) {
            statement.duration += duration(seconds);
            statement.outcome = Some(outcome);
        }
        Some(current)
    }

    pub(crate) fn done(&mut self, number: u64, seconds: f64) {
        let current = self.finish(number, seconds, Finished::Done);
        let retries = self.retries;
        let (Some(current), Some(known)) = (current, self.connections.get_mut(&number)) else { return };
        known.statement_retry = Retry::new(retries);
        // Of a statement that began before the signal was sent, this may come later than the signal, which then meets the
        // next one.
        known.intervened = known.intervened.filter(|intervened| current.begun <= intervened.at);
        if let Some(build) = &current.judgement.builds {
            self.builds.remove(&build.index);
        }
        if !known.dirty && !current.judgement.reads_only {
            // In autocommit a statement commits by itself.
            known.committed = true;
        }
        if current.judgement.controls_transaction {
            known.committed = true;
        }
    }

    pub(crate) fn unfinished_builds(&self) -> Vec<ConcurrentBuild> {
        self.builds.values().cloned().collect()
    }

    /// Statements whose answer the shim knew. `writes`: not all of them only read.
    pub(crate) fn seen(&mut self, number: u64, count: u64, seconds: f64, writes: bool) {
        if let Some(known) = self.connections.get_mut(&number)
            && writes
            && !known.dirty
        {
            known.committed = true;
        }
        if let Some(last) = self.record.statements.last_mut() {
            last.repeated += count;
            last.duration += duration(seconds);
        }
    }

    pub(crate) fn failed(&mut self, number: u64, failure: &Failure<'_>) -> Answer {
        let outcome = Finished::Failed {
            sqlstate: failure.sqlstate.map(str::to_owned),
            message: failure.message.lines().next().unwrap_or_default().to_owned(),
        };
        let current = self.finish(number, failure.seconds, outcome);
        let (Some(current), Some(known)) = (current, self.connections.get_mut(&number)) else {
            return Answer::default();
        };
        known.model.failed();
        let limit = current.timeouts.statement;
        let timed_out = !limit.is_zero() && failure.seconds >= limit.as_secs_f64() * 0.95;
        let cause = if failure.interrupt {
            Cause::Interrupt
        } else {
            Cause::of(failure.sqlstate, failure.closed, known.intervened.map(|one| one.cause), timed_out)
        };
        known.cause = Some((failure.sqlstate.map(str::to_owned), cause));
        if !failure.alone || current.judgement.controls_transaction || self.stopping {
            return Answer::default();
        }
        // It was a transaction of its own and is rolled back, so it runs again from where it stands.
        let again = known.statement_retry.again(cause, Instant::now());
        let attempt = known.statement_retry.count() + 1;
        let what = current
            .record
            .and_then(|at| self.record.statements.get(at))
            .map_or_else(|| "a statement".to_owned(), |statement| format!("`{}`", shortened(&statement.sql)));
        match again {
            Some(delay) => {
                self.say(Event::Retrying { what, cause: cause.to_string(), attempt, delay });
                Answer { retry: true, delay: Some(delay.as_secs_f64()), ..Answer::default() }
            }
            None => Answer::default(),
        }
    }

    pub(crate) fn end(&mut self, number: u64, end: End) {
        let Some(known) = self.connections.get_mut(&number) else { return };
        // Unknown: it may have been committed.
        known.committed |= known.dirty && end != End::Rollback;
        known.dirty = false;
        known.model.end(end == End::Commit);
    }

    /// Which of Django's steps run.
    pub(crate) fn plan(&mut self, fake: bool, steps: &[Planned]) -> Answer {
        let all = Answer { run: Some(vec![true; steps.len()]), ..Answer::default() };
        let Some(gate) = self.gate.clone() else { return all };
        if fake {
            self.note("the command only records migrations (--fake): the gate is not asked".to_owned());
            return all;
        }
        if steps.iter().any(|step| step.backwards) {
            return self.refuse(
                "the gate is for migrations that go forwards; run a migration backwards without --phase, --allow and \
                 --consent"
                    .to_owned(),
            );
        }
        let pending = pending_of(steps, self.knowledge.as_deref());
        let decision = gate.decide(&pending);
        if let Some(reason) = decision.refusal() {
            self.decision = Some(decision);
            return self.refuse(reason);
        }
        let run = decision.run.clone();
        self.decision = Some(decision);
        Answer { run: Some(run), ..Answer::default() }
    }

    pub(crate) fn migration(
        &mut self,
        number: u64,
        app: &str,
        name: &str,
        backwards: bool,
        atomic: bool,
        attempt: u32,
    ) -> Answer {
        if self.stopping {
            return Answer::refuse();
        }
        let knowledge = self.knowledge.clone();
        let catalog = knowledge.as_deref().and_then(|known| known.catalog(app, name, backwards));
        let known_record = self
            .record
            .migrations
            .iter()
            .rposition(|record| record.app == app && record.name == name && record.outcome.is_none());
        let at = match known_record {
            Some(at) if attempt > 1 => at,
            _ => {
                self.record.migrations.push(MigrationRecord {
                    app: app.to_owned(),
                    name: name.to_owned(),
                    backwards,
                    atomic,
                    started: SystemTime::now(),
                    duration: Duration::ZERO,
                    attempts: 0,
                    outcome: None,
                });
                self.record.migrations.len() - 1
            }
        };
        if let Some(record) = self.record.migrations.get_mut(at) {
            record.attempts = attempt;
        }
        if let Some(known) = self.connections.get_mut(&number) {
            known.model.meet(catalog);
            known.migration = Some(at);
            known.atomic = atomic;
            known.dirty = false;
            known.committed = false;
            known.passing.clear();
            known.cause = None;
            known.intervened = None;
        }
        self.say(Event::MigrationStarted { name: format!("{app}.{name}"), backwards, attempt });
        Answer::default()
    }

    /// What the messages of a migration make one by one: for one that is not atomic and goes forwards.
    pub(crate) fn course(&self, app: &str, name: &str, backwards: bool, atomic: bool) -> Option<Course> {
        if atomic || backwards {
            return None;
        }
        self.knowledge.as_ref()?.course(app, name)
    }

    /// How far an earlier run came with the migration that begins.
    pub(crate) fn stands(&mut self, number: u64, course: &Course, standing: Standing) -> Answer {
        let Some(known) = self.connections.get_mut(&number) else { return Answer::refuse() };
        let name = known
            .migration
            .and_then(|at| self.record.migrations.get(at))
            .map_or_else(String::new, |record| format!("{}.{}", record.app, record.name));
        match standing {
            Standing::Start => Answer::default(),
            Standing::Done(done) => {
                let (passed, left) = course.messages().split_at(done.min(course.messages().len()));
                known.passing = passed.iter().filter(|message| !message.only_sets()).cloned().collect();
                let next = left.first().map_or_else(
                    || "nothing of it is left but to record it".to_owned(),
                    |next| format!("it goes on with `{}`", shortened(next.sql())),
                );
                self.note(format!(
                    "an earlier run of {name} was cut off after {done} of {} statements, as the tables show: these are passed \
                     over, and {next}",
                    course.messages().len()
                ));
                Answer::default()
            }
            Standing::Unclear(text) => self.refuse(format!("{name}: {text}")),
        }
    }

    fn end_migration(&mut self, number: u64, outcome: Finished) -> Option<MigrationRecord> {
        let known = self.connections.get_mut(&number)?;
        let record = self.record.migrations.get_mut(known.migration.take()?)?;
        record.duration = record.started.elapsed().unwrap_or_default();
        record.outcome = Some(outcome);
        Some(record.clone())
    }

    pub(crate) fn migration_done(&mut self, number: u64) -> Answer {
        if let Some(record) = self.end_migration(number, Finished::Done) {
            let name = format!("{}.{}", record.app, record.name);
            self.migration_retries.remove(&name);
            self.say(Event::MigrationDone { name, duration: record.duration, attempts: record.attempts });
        }
        Answer::default()
    }

    pub(crate) fn migration_failed(
        &mut self,
        number: u64,
        sqlstate: Option<&str>,
        message: &str,
        interrupt: bool,
        nested: bool,
    ) -> Answer {
        let retries = self.retries;
        let stopping = self.stopping;
        let Some(known) = self.connections.get_mut(&number) else { return Answer::default() };
        let cause = if interrupt {
            Cause::Interrupt
        } else {
            // The statement that failed has said why; a COMMIT fails past the statements.
            match &known.cause {
                Some((of_statement, cause)) if of_statement.as_deref() == sqlstate => *cause,
                _ => Cause::of(sqlstate, false, known.intervened.map(|one| one.cause), false),
            }
        };
        let (atomic, committed) = (known.atomic, known.committed);
        known.model.end(false);
        let name = known
            .migration
            .and_then(|at| self.record.migrations.get(at))
            .map_or_else(String::new, |record| format!("{}.{}", record.app, record.name));
        let safe = !committed && !nested;
        let retry = self.migration_retries.entry(name.clone()).or_insert_with(|| Retry::new(retries));
        let attempts = retry.count() + 1;
        let again = if safe && !stopping { retry.again(cause, Instant::now()) } else { None };
        if let Some(delay) = again {
            self.say(Event::Retrying { what: name, cause: cause.to_string(), attempt: attempts + 1, delay });
            return Answer {
                retry: true,
                delay: Some(delay.as_secs_f64()),
                reconnect: matches!(cause, Cause::Blocking | Cause::Cycle),
                ..Answer::default()
            };
        }
        let first_line = message.lines().next().unwrap_or_default().to_owned();
        self.end_migration(number, Finished::Failed { sqlstate: sqlstate.map(str::to_owned), message: first_line });
        if cause.passes_by_itself() && !stopping {
            if safe {
                self.say(Event::GaveUp { what: name.clone(), cause: cause.to_string(), attempts });
                self.gave_up =
                    Some(format!("gave up on {name} after {attempts} attempts: {cause}; nothing of it is applied"));
            } else if !atomic && committed {
                self.warn(format!(
                    "{name} is not atomic and a part of it is committed, so it is not run again by itself: {cause}"
                ));
            }
        } else if cause == Cause::StatementTimeout {
            self.warn(format!(
                "{name} failed because {cause}: give it a larger --statement-timeout at a quiet time, or split it so that \
                 the long work runs under a weak lock"
            ));
        }
        Answer::default()
    }

    /// The statement that a backend is busy with.
    pub(crate) fn working(&self, backend: i32) -> Option<Working> {
        let known = self.connections.values().find(|known| known.watched && known.backend == backend)?;
        let current = known.current.as_ref()?;
        let statement = current.record.and_then(|at| self.record.statements.get(at));
        Some(Working {
            sql: statement.map_or_else(String::new, |statement| statement.sql.clone()),
            begun: current.begun,
            class: current.judgement.class,
        })
    }

    /// A backend of ours was seen waiting. Whether these blockers are new for its statement.
    pub(crate) fn waiting(&mut self, backend: i32, period: Duration, blockers: &[Blocker]) -> bool {
        let Some(known) = self.connections.values().find(|known| known.watched && known.backend == backend) else {
            return false;
        };
        let Some(at) = known.current.as_ref().and_then(|current| current.record) else { return false };
        let Some(statement) = self.record.statements.get_mut(at) else { return false };
        statement.waited += period;
        let mut is_new = false;
        for blocker in blockers {
            if !statement.blockers.iter().any(|seen| seen.pid == blocker.pid) {
                statement.blockers.push(blocker.clone());
                is_new = true;
            }
        }
        is_new
    }

    /// The signal of the last intervention is sent by now.
    pub(crate) fn signalled(&mut self, backend: i32) {
        for known in self.connections.values_mut().filter(|known| known.watched && known.backend == backend) {
            if let Some(intervened) = &mut known.intervened {
                intervened.at = Instant::now();
            }
        }
    }

    pub(crate) fn intervened(
        &mut self,
        backend: i32,
        waiters: Vec<i32>,
        blocked_for: Duration,
        action: Action,
        cause: Cause,
    ) {
        for known in self.connections.values_mut().filter(|known| known.watched && known.backend == backend) {
            known.intervened = Some(Intervened { cause, at: Instant::now() });
        }
        self.record.interventions.push(Intervention {
            at: SystemTime::now(),
            backend,
            waiters: waiters.clone(),
            blocked_for,
            action,
        });
        self.say(Event::Intervened { backend, waiters, blocked_for, action });
    }
}

/// Why the watcher has cancelled or ended what a connection does, and when its signal was sent.
#[derive(Debug, Clone, Copy)]
struct Intervened {
    cause: Cause,
    at: Instant,
}

/// A statement that the child asks about.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) sql: &'a str,
    pub(crate) values: Option<&'a str>,
    pub(crate) many: bool,
    pub(crate) open: bool,
    pub(crate) autocommit: bool,
    pub(crate) attempt: u32,
}

#[derive(Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) seconds: f64,
    pub(crate) sqlstate: Option<&'a str>,
    pub(crate) message: &'a str,
    pub(crate) closed: bool,
    pub(crate) alone: bool,
    pub(crate) interrupt: bool,
}

/// What the server says of an index by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// With the statement that drops it.
    Invalid {
        drop: String,
    },
    Valid {
        definition: String,
    },
}

/// The first line of a statement, for messages.
pub(crate) fn shortened(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 100 { format!("{}…", line.chars().take(99).collect::<String>()) } else { line }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(2_147_483_647)
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
