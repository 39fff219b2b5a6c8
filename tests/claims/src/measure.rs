//! What a live server does with a case.
//!
//! Every case runs in a schema `s` of its own, with few rows (`scaled`), inside a transaction that is rolled back:
//! locks are read from `pg_locks`, rewrites and builds from changed file nodes and DEBUG1 messages, scans from the
//! transaction's counters, and waiting commands are really tried from another session with a lock timeout.
//! What cannot run inside a transaction is held back by other transactions and looked at while it waits for them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use std::thread;
use std::time::Duration;

use zdm_postgres::LockMode;
use zdm_testkit::{Client, Database, Server};

use crate::observed::{Observed, Scope};
use crate::predict::{Case, Holds};
use crate::truth::Mode;

/// Rows that must have been read for a table to count as scanned.
const SCANNED: u64 = 1000;

/// Bytes of a page.
const PAGE: u64 = 8192;

/// What each database of the measurements has once: see [`crate::predict::PREAMBLE`].
const ONCE: &str = r"
CREATE EXTENSION citext SCHEMA public;
CREATE EXTENSION btree_gist SCHEMA public;
CREATE EXTENSION pg_trgm SCHEMA public;
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE FUNCTION public.probe(relation text, kind text, page int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  blocked text := '';
  target text;
  names text;
  literals text;
  -- A row in the middle: statements that change one row change one of the first. Before it is known, no lock is waited for.
  middle text := CASE WHEN page IS NULL
    THEN format('(SELECT ctid FROM %s OFFSET (SELECT count(*) / 2 FROM %s) LIMIT 1)', relation, relation)
    ELSE format('coalesce((SELECT ctid FROM %s WHERE ctid >= ''(%s,1)'' LIMIT 1), (SELECT ctid FROM %s LIMIT 1))', relation, page,
      relation) END;
BEGIN
  IF kind = 'S' THEN
    BEGIN
      PERFORM nextval(relation::regclass);
    EXCEPTION WHEN lock_not_available THEN blocked := 'n'; WHEN OTHERS THEN NULL;
    END;
    RETURN blocked;
  END IF;
  BEGIN
    EXECUTE format('SELECT 1 FROM %s LIMIT 1', relation);
  EXCEPTION WHEN lock_not_available THEN blocked := blocked || 'r'; WHEN OTHERS THEN NULL;
  END;
  IF kind IN ('v', 'm') THEN RETURN blocked; END IF;
  -- A column that must have a value gets one, so that the foreign keys are looked at; a partition's key does not,
  -- because the value would decide where the row goes.
  SELECT string_agg(quote_ident(attname), ', '),
         string_agg(quote_literal(CASE typcategory WHEN 'N' THEN '32001' WHEN 'D' THEN '2001-01-01' WHEN 'B' THEN 'true'
           WHEN 'S' THEN 'x' WHEN 'A' THEN '{}' WHEN 'T' THEN '1 day' WHEN 'R' THEN 'empty'
           ELSE CASE typname WHEN 'uuid' THEN '00000000-0000-0000-0000-000000000000' ELSE '1' END END)
           || '::' || format_type(atttypid, atttypmod), ', ')
    INTO names, literals
    FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
    WHERE attrelid = relation::regclass AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef AND attidentity = ''
      AND attname NOT IN (SELECT k.attname FROM pg_partitioned_table p
        JOIN pg_attribute k ON k.attrelid = p.partrelid AND k.attnum = ANY (p.partattrs::int2[])
        WHERE p.partrelid IN (SELECT relid FROM pg_partition_ancestors(relation::regclass) AS a (relid)));
  BEGIN
    IF names IS NULL THEN
      EXECUTE format('INSERT INTO %s DEFAULT VALUES', relation);
    ELSE
      EXECUTE format('INSERT INTO %s (%s) VALUES (%s)', relation, names, literals);
    END IF;
    -- The row would stand among those that are tried next.
    RAISE EXCEPTION 'undone';
  EXCEPTION WHEN lock_not_available THEN blocked := blocked || 'i'; WHEN OTHERS THEN NULL;
  END;
  BEGIN
    SELECT attname INTO target FROM pg_attribute
      WHERE attrelid = relation::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
      ORDER BY attidentity <> '', attnum DESC LIMIT 1;
    EXECUTE format('UPDATE %s SET %I = %I WHERE ctid = %s', relation, target, target, middle);
  EXCEPTION WHEN lock_not_available THEN blocked := blocked || 'u'; WHEN OTHERS THEN NULL;
  END;
  BEGIN
    EXECUTE format('SELECT 1 FROM %s WHERE ctid = %s FOR UPDATE', relation, middle);
  EXCEPTION WHEN lock_not_available THEN blocked := blocked || 'f'; WHEN OTHERS THEN NULL;
  END;
  RETURN blocked;
END $$;
";

/// Puts everything away that a case leaves behind.
const CLEAN: &str = r"
RESET ALL; DISCARD TEMP; SET client_min_messages = error;
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT pubname FROM pg_publication LOOP EXECUTE format('DROP PUBLICATION %I', name); END LOOP;
  FOR name IN SELECT evtname FROM pg_event_trigger LOOP EXECUTE format('DROP EVENT TRIGGER %I', name); END LOOP;
END $$;
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('public', 'information_schema')
  LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP;
END $$;
CREATE SCHEMA s;
CREATE SCHEMA s2;
SET search_path = s, public;
SET client_min_messages = warning;
";

/// A database for cases on one server.
#[derive(Debug)]
pub struct Bench {
    database: Database,
    session: Client,
    full_size: bool,
    /// Rows that must have been read for a table to count as scanned.
    scanned: u64,
    /// Waiting commands are tried.
    probes: bool,
    /// What the last case stood on, where its transaction left everything as it was: the next one may stand on it too.
    standing: RefCell<Option<Standing>>,
}

#[derive(Debug)]
struct Standing {
    texts: [String; 2],
    left: Left,
    relations: BTreeMap<String, Relation>,
    /// What brings the sequences back; empty where there are none.
    sequences: String,
}

/// What a rollback does not bring back: a table's bytes, which grow by rows that were rolled back, too.
#[derive(Debug, Default)]
struct Left {
    /// What there is, in which files.
    files: BTreeSet<String>,
    /// The bytes of what holds rows, by name.
    bytes: BTreeMap<String, u64>,
}

impl Left {
    /// The tables that were empty and no longer are.
    fn filled(&self, now: &Self) -> Vec<String> {
        let filled = now.bytes.iter().filter(|(name, bytes)| **bytes > 0 && self.bytes.get(*name) == Some(&0));
        filled.map(|(name, _)| name.clone()).collect()
    }

    /// Whether cases may stand on it as before: dead rows change nothing as long as they are not many.
    fn serves(&self, now: &Self) -> bool {
        let much = |(name, bytes): (&String, &u64)| match self.bytes.get(name) {
            Some(0) => *bytes > 0,
            Some(before) => *bytes > before * 3,
            None => true,
        };
        self.files == now.files && !now.bytes.iter().any(much)
    }
}

/// What was seen, and how much of it could be.
#[derive(Clone, Debug)]
pub enum Answer {
    Measured(Observed, Scope),
    /// The setup fails on this version: the case does not apply to it.
    SetupFails(String),
}

impl Bench {
    pub fn new(server: &Server) -> Self {
        let database = server.database();
        let session = database.connect();
        session.sql(ONCE);
        let _ = session.try_sql("SET allow_in_place_tablespaces = on");
        let _ = session.try_sql("CREATE TABLESPACE ts2 LOCATION ''");
        let _ = session.try_sql("RESET ALL");
        let _ = session.try_sql("CREATE ROLE other");
        Self { database, session, full_size: false, scanned: SCANNED, probes: true, standing: RefCell::new(None) }
    }

    /// Tables as large as the cases say, for recording.
    pub fn in_full_size(self) -> Self {
        Self { full_size: true, ..self }
    }

    /// So many rows read make a scan, for setups with smaller tables.
    pub fn scanned_from(self, rows: u64) -> Self {
        Self { scanned: rows, ..self }
    }

    /// Sizes as they are written, and every row counts: tables of scripts have few, too few to meet those that are tried.
    pub fn for_scripts(self) -> Self {
        Self { full_size: true, scanned: 1, probes: false, ..self }
    }

    /// A session of a database without anything in it.
    pub fn cleaned(&self) -> Client {
        let _ = self.session.try_sql("ROLLBACK");
        self.session.sql(CLEAN);
        self.session("")
    }

    /// A session that has set what the text says.
    pub fn session(&self, settings: &str) -> Client {
        let session = self.database.connect();
        session.sql("SET client_min_messages = warning; SET search_path = s, public; SET statement_timeout = '10s'");
        let _ = session.try_sql(settings);
        session
    }

    /// Runs the statement in a transaction of the session, which is rolled back.
    pub fn step(&self, session: &Client, case: &Case<'_>) -> Answer {
        // A role may have lost the right to look.
        let Some(before) = try_relations(session) else {
            let _ = session.try_sql("ROLLBACK");
            return Answer::SetupFails("the session cannot see what there is".to_owned());
        };
        let answer = self.in_transaction(session, false, case, &before);
        let _ = session.try_sql("ROLLBACK");
        answer
    }

    fn sized(&self, text: &str) -> String {
        if self.full_size { text.to_owned() } else { scaled(text) }
    }

    /// Runs the case and forgets it.
    pub fn measure(&self, case: &Case<'_>) -> Answer {
        let session = &self.session;
        let _ = session.try_sql("ROLLBACK");
        let texts = [self.sized(case.setup), self.sized(case.session)];
        let standing = self.standing.take().filter(|standing| standing.texts == texts);
        let standing = standing.filter(|standing| restored(session, standing));
        if standing.is_none() {
            session.sql(CLEAN);
            for text in &texts {
                if let Err(error) = session.try_sql(text) {
                    return Answer::SetupFails(format!("{} {}", error.sqlstate, error.message));
                }
            }
        }
        if case.mode != Mode::Tx {
            return self.outside(case);
        }
        // What was left as it was has not to be asked for again.
        let Standing { left, relations: before, sequences, .. } = standing.unwrap_or_else(|| {
            let relations = relations(session);
            Standing { texts: texts.clone(), left: left(session), sequences: sequences(session, &relations), relations }
        });
        // A session that has planned with a table before opens fewer relations for it: each case has one that has not,
        // unless it has temporary tables of its own.
        let temporary = texts.iter().any(|text| text.to_ascii_lowercase().contains("temp"));
        let answer = if temporary {
            self.in_transaction(session, false, case, &before)
        } else {
            let fresh = self.database.connect();
            fresh.sql("SET client_min_messages = warning; SET search_path = s, public");
            match fresh.try_sql(&texts[1]) {
                Ok(_) => self.in_transaction(&fresh, texts[1].is_empty(), case, &before),
                Err(error) => return Answer::SetupFails(format!("{} {}", error.sqlstate, error.message)),
            }
        };
        let _ = session.try_sql("ROLLBACK");
        // What is committed stays, whether it shows in a file or not.
        if ![case.pre, case.statement].iter().any(|text| text.to_ascii_uppercase().contains("COMMIT")) {
            self.standing.replace(Some(Standing { texts, left, relations: before, sequences }));
        }
        answer
    }

    fn in_transaction(
        &self,
        session: &Client,
        fresh: bool,
        case: &Case<'_>,
        before: &BTreeMap<String, Relation>,
    ) -> Answer {
        session.sql("SET client_min_messages = debug1");
        session.sql("BEGIN");
        let mut observed = Observed::default();
        // One by one: a syntax error in one of them is none of the others'.
        let pre = self.sized(case.pre);
        for parsed in zdm_sql::parse(&pre) {
            if let Err(error) = session.try_sql(pre.get(parsed.span.range()).unwrap_or_default()) {
                observed.error = Some((error.sqlstate, error.message));
                return Answer::Measured(observed, Scope::FULL);
            }
        }
        // Nothing ran yet: the relations are those of the setup, and no row of theirs was read.
        let fresh = pre.trim().is_empty() && fresh;
        let middle = if fresh { before.clone() } else { relations(session) };
        let read_before = if fresh { BTreeMap::new() } else { rows_read(session) };
        session.take_notices();
        if let Err(error) = session.try_sql(&self.sized(case.statement)) {
            observed.error = Some((error.sqlstate, error.message));
            session.sql("ROLLBACK");
            return Answer::Measured(observed, Scope::FULL);
        }
        let notices = session.take_notices();
        session.sql("SET LOCAL client_min_messages = error");
        let Some(after) = try_relations(session) else {
            return Answer::SetupFails("the session cannot see what there is afterwards".to_owned());
        };
        let name_of = |oid: &str| before.get(oid).or_else(|| middle.get(oid)).or_else(|| after.get(oid));
        // Nobody waits for a transaction that holds no other modes than these: neither for its relations nor, as rows are
        // changed and locked under other ones, for its rows.
        let mut harmless = true;
        for row in session.sql(
            "SELECT relation::oid::text, mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        ) {
            let (Some(oid), Some(mode)) = (&row[0], &row[1]) else { continue };
            let mode = lock_mode(mode);
            harmless &= matches!(mode, Some(LockMode::AccessShare | LockMode::ShareUpdateExclusive));
            let (Some(relation), Some(mode)) = (name_of(oid), mode) else { continue };
            let known = observed.locks.get(&relation.name).and_then(|known| LockMode::parse(known));
            if known.is_none_or(|known| known < mode) {
                observed.locks.insert(relation.name.clone(), mode.initials().to_owned());
            }
        }
        for (oid, relation) in &after {
            let changed = middle.get(oid).is_some_and(|old| old.file != relation.file);
            let name = name_of(oid).map_or_else(|| relation.name.clone(), |relation| relation.name.clone());
            match relation.kind.as_str() {
                // TRUNCATE gives an empty file, and so does a materialized view's WITH NO DATA; nothing is written anew.
                "r" | "m"
                    if changed
                        && !(relation.empty && middle.get(oid).is_some_and(|old| !old.empty))
                        && !relation.without_data =>
                {
                    observed.rewrites.insert(name);
                }
                "i" if changed => {
                    observed.builds.insert(name);
                }
                _ => {}
            }
        }
        for notice in &notices {
            if let Some(rest) = notice.message.strip_prefix("building index \"")
                && let Some((name, rest)) = rest.split_once("\" on table \"")
            {
                let own = rest.split_once('"');
                let toast = own.is_some_and(|(table, _)| table.starts_with("pg_toast"));
                if !toast && !name.starts_with("pg_toast") {
                    // The message has no schema: of several the one that changed is meant.
                    let named = |relation: &Relation| {
                        relation.name == name || relation.name.rsplit_once('.').is_some_and(|(_, last)| last == name)
                    };
                    let changed =
                        |oid: &String, relation: &Relation| middle.get(oid).is_none_or(|old| old.file != relation.file);
                    let known = after
                        .iter()
                        .find(|(oid, relation)| named(relation) && changed(oid, relation))
                        .or_else(|| after.iter().find(|(_, relation)| named(relation)));
                    let known = known.map(|(oid, relation)| name_of(oid).unwrap_or(relation).name.clone());
                    observed.builds.insert(known.unwrap_or_else(|| name.to_owned()));
                }
            }
            if let Some(name) =
                notice.message.strip_prefix("verifying table \"").and_then(|rest| rest.strip_suffix('"'))
                && let Some((oid, relation)) =
                    after.iter().find(|(_, relation)| relation.name == name && !relation.empty)
            {
                observed.scans.insert(name_of(oid).unwrap_or(relation).name.clone());
            }
        }
        let read_after = rows_read(session);
        for (oid, rows) in &read_after {
            let read = rows.saturating_sub(read_before.get(oid).copied().unwrap_or(0));
            if read >= self.scanned
                && let Some(relation) = name_of(oid)
            {
                observed.scans.insert(relation.name.clone());
            }
        }
        if !harmless && self.probes {
            observed.blocked = self.blocked(before);
        }
        // The same words whatever path the case has set.
        session.sql("SET LOCAL search_path = s, public");
        observed.catalog = catalog(session);
        session.sql("ROLLBACK");
        Answer::Measured(observed, Scope::FULL)
    }

    /// A statement in a transaction of its own: seen while it waits for the other transactions, which end one by one,
    /// or, where it takes long by itself, while it runs.
    fn outside(&self, case: &Case<'_>) -> Answer {
        let session = &self.session;
        let mut observed = Observed::default();
        session.sql("SET client_min_messages = error");
        let before = relations(session);
        let mut holders = self.holders(case.holds, &before);
        let database = &self.database;
        let (result, looks) = thread::scope(|scope| {
            let (started, pid) = std::sync::mpsc::channel();
            let (session_text, statement) = (self.sized(case.session), self.sized(case.statement));
            let worker = scope.spawn(move || {
                let worker = database.connect();
                worker.sql("SET client_min_messages = error; SET search_path = s, public");
                if !session_text.is_empty() {
                    worker.sql(&session_text);
                }
                let _ = started.send(worker.backend_pid());
                worker.try_sql(&statement)
            });
            let pid = pid.recv().unwrap_or_default();
            let mut looks = 0_u32;
            let mut waits = 0_u32;
            while !worker.is_finished() {
                let seen = self.look(pid, &before);
                if case.mode == Mode::Busy {
                    if !seen.locks.is_empty() {
                        looks += 1;
                        observed.merge_locks(&seen);
                        if looks == 3 {
                            observed.blocked = self.blocked(&before);
                        }
                    }
                } else if seen.waits {
                    // A wait of a moment is none of those that are meant.
                    waits += 1;
                    if waits >= 3 {
                        waits = 0;
                        looks += 1;
                        observed.merge_locks(&seen);
                        // Before its last step a server of 18 may crash when somebody writes to what is half detached.
                        let last = matches!(case.holds, Holds::EveryTableThenReaders) && holders.len() <= 2;
                        let blocked = if last { BTreeMap::new() } else { self.blocked(&before) };
                        for (name, letters) in blocked {
                            let known = observed.blocked.entry(name).or_default();
                            for letter in letters.chars() {
                                if !known.contains(letter) {
                                    known.push(letter);
                                }
                            }
                        }
                        if holders.is_empty() {
                            break;
                        }
                        holders.remove(0).sql("COMMIT");
                    }
                } else {
                    waits = 0;
                }
                thread::sleep(Duration::from_millis(2));
            }
            holders.clear();
            (worker.join().expect("the worker does not panic"), looks)
        });
        // What a statement in several transactions did before its error stays: an invalid index.
        let done = result.is_ok();
        if let Err(error) = result {
            observed.error = Some((error.sqlstate, error.message));
        }
        let after = relations(session);
        for (oid, relation) in &after {
            let old = before.get(oid);
            let fresh = old.is_none_or(|old| old.file != relation.file);
            match relation.kind.as_str() {
                "i" if fresh => {
                    observed.builds.insert(relation.name.clone());
                }
                "r" | "m" if fresh && old.is_some() => {
                    observed.rewrites.insert(relation.name.clone());
                }
                _ => {}
            }
        }
        if done {
            observed.catalog = catalog(session);
        }
        Answer::Measured(
            observed,
            Scope {
                all_locks: false,
                no_locks: looks == 0,
                scans: false,
                blocks: looks > 0,
                last_blocks: !matches!(case.holds, Holds::EveryTableThenReaders),
                all_blocks: case.mode != Mode::Busy
                    && !matches!(case.holds, Holds::EveryTable | Holds::EveryTableThenReaders),
                catalog: true,
            },
        )
    }

    fn holders(&self, holds: Holds<'_>, relations: &BTreeMap<String, Relation>) -> Vec<Client> {
        let texts: Vec<Vec<String>> = match holds {
            Holds::Nothing => Vec::new(),
            Holds::These(holds) => holds.iter().map(crate::truth::Hold::texts).collect(),
            Holds::EveryTable | Holds::EveryTableThenReaders => {
                let tables: Vec<String> = relations
                    .values()
                    .filter(|relation| matches!(relation.kind.as_str(), "r" | "p"))
                    .map(|relation| quoted(&relation.name))
                    .collect();
                let text = |mode: &str, tables: &[String]| {
                    let lock = format!("LOCK TABLE {} IN {mode} MODE", tables.join(", "));
                    vec!["BEGIN ISOLATION LEVEL REPEATABLE READ".to_owned(), lock, "SELECT 1".to_owned()]
                };
                let mut texts: Vec<_> = (0..6).map(|_| text("ROW EXCLUSIVE", &tables)).collect();
                if matches!(holds, Holds::EveryTableThenReaders) {
                    // A table with storage is locked by itself; who reads a partition only is not waited for at first.
                    let partitions =
                        self.session.sql("SELECT oid::text FROM pg_class WHERE relispartition AND relkind = 'r'");
                    let partitions: BTreeSet<String> =
                        partitions.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
                    let stored = |of_partitions: bool| -> Vec<String> {
                        let chosen = relations.iter().filter(|(oid, relation)| {
                            relation.kind == "r" && partitions.contains(*oid) == of_partitions
                        });
                        chosen.map(|(_, relation)| quoted(&relation.name)).collect()
                    };
                    let lists = [stored(true), stored(false)];
                    texts.extend(lists.iter().filter(|list| !list.is_empty()).map(|list| text("ACCESS SHARE", list)));
                }
                texts
            }
        };
        texts
            .into_iter()
            .map(|texts| {
                let holder = self.database.connect();
                holder.sql("SET client_min_messages = error; SET search_path = s, public");
                for text in texts {
                    holder.sql(&self.sized(&text));
                }
                holder
            })
            .collect()
    }

    /// What a server process holds and waits for at this moment.
    fn look(&self, pid: i32, before: &BTreeMap<String, Relation>) -> Look {
        // Locks to extend a relation, or on one of its pages, name it too.
        let rows = self.session.sql(&format!(
            "SELECT CASE l.locktype WHEN 'relation' THEN l.relation::oid::text END, l.mode, l.granted::text, c.relname \
             FROM pg_locks l \
             LEFT JOIN pg_class c ON c.oid = l.relation WHERE l.pid = {pid}"
        ));
        let mut look = Look::default();
        for row in rows {
            let granted = row[2].as_deref() == Some("true");
            look.waits |= !granted;
            let (Some(oid), Some(mode)) = (&row[0], row[1].as_deref().and_then(lock_mode)) else { continue };
            let Some(relation) = before.get(oid) else { continue };
            let known = look.locks.entry(relation.name.clone()).or_insert(mode);
            *known = mode.max(*known);
            if !granted {
                look.waited.insert(relation.name.clone());
            }
        }
        look
    }

    /// Tries the commands of other sessions on everything that they can see.
    fn blocked(&self, relations: &BTreeMap<String, Relation>) -> BTreeMap<String, String> {
        // A session that has seen the relations before opens fewer of them: it keeps bounds and keys in its cache.
        let prober = self.database.connect();
        prober.sql("SET lock_timeout = '1ms'; SET client_min_messages = error; SET search_path = s, public");
        let mut calls = Vec::new();
        for relation in relations.values() {
            if matches!(relation.kind.as_str(), "r" | "p" | "v" | "m" | "S") && !relation.name.starts_with("pg_temp.") {
                let schema = if relation.name.contains('.') { "" } else { "s." };
                let name = zdm_postgres::quote_literal(&format!("{schema}{}", quoted(&relation.name)));
                let plain = zdm_postgres::quote_literal(&relation.name);
                let page = relation.middle_page.map_or_else(|| "NULL::int".to_owned(), |page| page.to_string());
                calls.push(format!("({plain}, {name}, '{}', {page})", relation.kind));
            }
        }
        if calls.is_empty() {
            return BTreeMap::new();
        }
        prober.sql("BEGIN");
        let rows = prober.sql(&format!(
            "SELECT name, public.probe(relation, kind, page) FROM (VALUES {}) AS probes (name, relation, kind, page)",
            calls.join(", ")
        ));
        prober.sql("ROLLBACK");
        rows.into_iter()
            .filter_map(|row| {
                let mut values = row.into_iter().flatten();
                Some((values.next()?, values.next()?))
            })
            .filter(|(_, letters)| !letters.is_empty())
            .collect()
    }
}

/// As it is written in a statement.
pub(crate) fn quoted(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, name)) => {
            format!("{}.{}", zdm_postgres::quote_identifier(schema), zdm_postgres::quote_identifier(name))
        }
        None => zdm_postgres::quote_identifier(name),
    }
}

/// The locks of one moment.
#[derive(Debug, Default)]
struct Look {
    locks: BTreeMap<String, LockMode>,
    waited: BTreeSet<String>,
    waits: bool,
}

impl Observed {
    fn merge_locks(&mut self, look: &Look) {
        for (name, mode) in &look.locks {
            let known = self.locks.get(name).and_then(|known| LockMode::parse(known));
            if known.is_none_or(|known| known < *mode) {
                self.locks.insert(name.clone(), mode.initials().to_owned());
            }
        }
        self.waited.extend(look.waited.iter().cloned());
    }
}

/// One line for each column, default, constraint and index of the tables in the schema of the cases.
///
/// A foreign key to a partitioned table has rows of its own for each partition, on the same table: these are left out.
fn catalog(session: &Client) -> BTreeSet<String> {
    let rows = session.sql(
        "WITH t AS (SELECT oid, relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 's')), \
         x AS ( \
         SELECT 'column ' || t.relname || '.' || attname || ' ' || format_type(atttypid, atttypmod) \
                || CASE WHEN attnotnull THEN ' not null' ELSE '' END AS line \
           FROM t JOIN pg_attribute a ON attrelid = t.oid WHERE attnum > 0 AND NOT attisdropped \
         UNION ALL SELECT 'default ' || t.relname || '.' || attname || ' ' || pg_get_expr(adbin, adrelid) \
           FROM t JOIN pg_attrdef d ON adrelid = t.oid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.adnum \
         UNION ALL SELECT 'constraint ' || t.relname || '.' || conname || ' ' || pg_get_constraintdef(c.oid) \
           FROM t JOIN pg_constraint c ON conrelid = t.oid \
            WHERE NOT EXISTS (SELECT 1 FROM pg_constraint p WHERE p.oid = c.conparentid AND p.conrelid = c.conrelid) \
         UNION ALL SELECT 'index ' || t.relname || '.' || ic.relname || CASE WHEN indisvalid THEN ' ' ELSE ' invalid ' END \
                || pg_get_indexdef(indexrelid) \
           FROM t JOIN pg_index i ON indrelid = t.oid JOIN pg_class ic ON ic.oid = indexrelid) \
         SELECT line FROM x",
    );
    rows.into_iter().flatten().flatten().map(|line| crate::predict::without_schema(&line)).collect()
}

/// Rows read by the session's open transaction, by table.
fn rows_read(session: &Client) -> BTreeMap<String, u64> {
    session
        .sql(
            "SELECT relid::text, (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::text \
             FROM pg_stat_xact_user_tables",
        )
        .into_iter()
        .filter_map(|row| {
            let mut values = row.into_iter().flatten();
            Some((values.next()?, values.next()?.parse().ok()?))
        })
        .collect()
}

fn left(session: &Client) -> Left {
    let rows = session.sql(
        "SELECT concat_ws(' ', c.oid, c.relname, pg_relation_filenode(c.oid)), \
                CASE WHEN c.relkind IN ('r', 'm') THEN c.oid::regclass::text END, \
                CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid)::text END \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'",
    );
    let mut left = Left::default();
    for row in rows {
        let mut values = row.into_iter();
        left.files.extend(values.next().flatten());
        if let (Some(Some(name)), Some(Some(bytes))) = (values.next(), values.next()) {
            left.bytes.insert(name, bytes.parse().unwrap_or_default());
        }
    }
    left
}

/// Puts sequences and empty tables back, and answers whether the case before left the rest as it was.
fn restored(session: &Client, standing: &Standing) -> bool {
    if !standing.sequences.is_empty() && session.try_sql(&standing.sequences).is_err() {
        return false;
    }
    let mut now = left(session);
    let filled = standing.left.filled(&now);
    if !filled.is_empty() {
        // Its rows were rolled back.
        if session.try_sql(&format!("VACUUM {}", filled.join(", "))).is_err() {
            return false;
        }
        now = left(session);
    }
    standing.left.serves(&now)
}

/// The command that gives every sequence the value that it has now: a rollback does not bring it back.
fn sequences(session: &Client, relations: &BTreeMap<String, Relation>) -> String {
    let all: Vec<String> = relations
        .iter()
        .filter(|(_, relation)| relation.kind == "S" && !relation.name.starts_with("pg_temp."))
        .map(|(oid, relation)| {
            let name = quoted(&relation.name);
            format!("SELECT format('setval(%s, %s, %L)', {oid}, last_value, is_called) FROM {name}")
        })
        .collect();
    if all.is_empty() {
        return String::new();
    }
    let calls: Vec<String> = session.sql(&all.join(" UNION ALL ")).into_iter().flatten().flatten().collect();
    format!("SELECT {}", calls.join(", "))
}

/// By object id: what there is in the schema of the cases, as the session sees it.
fn relations(session: &Client) -> BTreeMap<String, Relation> {
    try_relations(session).expect("the session sees what there is")
}

fn try_relations(session: &Client) -> Option<BTreeMap<String, Relation>> {
    let rows = session
        .try_sql(
            "SELECT c.oid::text, c.relname, c.relkind::text, coalesce(pg_relation_filenode(c.oid), 0)::text, \
                n.nspname, CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) ELSE 0 END::text, \
                (c.relkind = 'r' AND NOT c.relhassubclass)::text, (NOT c.relispopulated)::text \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind <> 'c' AND n.nspname <> 'information_schema' \
          AND (n.nspname NOT LIKE 'pg\\_%' OR (n.nspname LIKE 'pg_temp%' AND c.relpersistence = 't'))",
        )
        .ok()?;
    let relations = rows
        .into_iter()
        .filter_map(|row| {
            let mut values = row.into_iter().flatten();
            let (oid, name, kind) = (values.next()?, values.next()?, values.next()?);
            let (file, schema, size) = (values.next()?, values.next()?, values.next()?.parse::<u64>().ok()?);
            let (alone, without_data) = (values.next()? == "true", values.next()? == "true");
            let name = match schema.as_str() {
                "s" => name,
                temporary if temporary.starts_with("pg_temp") => format!("pg_temp.{name}"),
                _ => format!("{schema}.{name}"),
            };
            let middle_page = alone.then_some(size / PAGE / 2);
            Some((oid, Relation { name, kind, file, empty: size == 0, without_data, middle_page }))
        })
        .collect();
    Some(relations)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Relation {
    name: String,
    kind: String,
    file: String,
    empty: bool,
    /// Of a materialized view that waits to be filled.
    without_data: bool,
    /// Of a table by itself, whose rows alone a query reads.
    middle_page: Option<u64>,
}

/// `AccessExclusiveLock` as `pg_locks` spells it.
fn lock_mode(mode: &str) -> Option<LockMode> {
    let mut spelled = String::new();
    for character in mode.strip_suffix("Lock")?.chars() {
        if character.is_ascii_uppercase() && !spelled.is_empty() {
            spelled.push(' ');
        }
        spelled.push(character.to_ascii_uppercase());
    }
    LockMode::parse(&spelled)
}

/// The recorded cases have tables of 5 to 30 thousand rows; a tenth of it tells the same and takes a tenth of the time.
pub fn scaled(text: &str) -> String {
    let digit = |character: Option<char>| character.is_some_and(|character| character.is_ascii_digit());
    let mut scaled = text.to_owned();
    for (from, to) in [("30000", "3000"), ("20000", "2000"), ("19990", "1990"), ("10000", "1500"), ("1,5000", "1,1500")]
    {
        let mut parts = scaled.split(from).peekable();
        let mut next = String::new();
        while let Some(part) = parts.next() {
            next.push_str(part);
            if let Some(behind) = parts.peek() {
                // A part of a longer number is none of these.
                let whole = !digit(next.chars().next_back()) && !digit(behind.chars().next());
                next.push_str(if whole { to } else { from });
            }
        }
        scaled = next;
    }
    scaled
}
