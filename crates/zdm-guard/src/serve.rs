//! The guard's end of the socket: reads the shim's questions, asks the server where an answer needs it, and answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::unbounded_channel;
use zdm_conn::{Literal, Session};

use crate::core::{Asked, Core, Failure, Found};
use crate::model::ConcurrentBuild;
use crate::wire::{Answer, Hello, Message, Order, Role};

/// Shared by the tasks of one thread; never held across an await.
pub(crate) type Shared = Arc<Mutex<Core>>;

pub(crate) fn lock(core: &Shared) -> MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Without a session (during the probe) nothing that needs the server can be answered.
pub(crate) async fn serve(listener: UnixListener, core: Shared, session: Arc<Session>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (core, session) = (Arc::clone(&core), Arc::clone(&session));
        // A connection that breaks is its process's end; the run goes on watching the child itself.
        tokio::spawn(async move { drop(converse(stream, core, session).await) });
    }
}

async fn converse(stream: UnixStream, core: Shared, session: Arc<Session>) -> std::io::Result<()> {
    let (read, write) = stream.into_split();
    let mut lines = BufReader::new(read);
    let mut line = String::new();
    lines.read_line(&mut line).await?;
    match serde_json::from_str::<Hello>(&line).map(|hello| hello.role) {
        Ok(Role::Questions) => answer(lines, write, core, session).await,
        Ok(Role::Orders) => order(lines, write, core).await,
        Err(_) => Ok(()),
    }
}

async fn order(mut lines: BufReader<OwnedReadHalf>, mut write: OwnedWriteHalf, core: Shared) -> std::io::Result<()> {
    let (sender, mut orders) = unbounded_channel();
    lock(&core).listen(sender);
    let mut end = String::new();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return Ok(()) };
                send(&mut write, &Order { order }).await?;
            }
            // The child says nothing here; this is its end.
            _ = lines.read_line(&mut end) => return Ok(()),
        }
    }
}

async fn send(write: &mut OwnedWriteHalf, value: &impl serde::Serialize) -> std::io::Result<()> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    write.write_all(&bytes).await
}

async fn answer(
    mut lines: BufReader<OwnedReadHalf>,
    mut write: OwnedWriteHalf,
    core: Shared,
    session: Arc<Session>,
) -> std::io::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_str::<Message>(&line) {
            Ok(message) => handle(message, &core, &session).await,
            Err(error) => {
                Some(lock(&core).refuse(format!("a message of the guarded process was not understood: {error}")))
            }
        };
        if let Some(answer) = answer {
            send(&mut write, &answer).await?;
        }
    }
}

/// `None`: a report that is not answered.
async fn handle(message: Message, core: &Shared, session: &Session) -> Option<Answer> {
    Some(match message {
        Message::Loaded { version } => {
            let mut core = lock(core);
            core.loaded = true;
            drop(version);
            Answer::default()
        }
        Message::NoConnection { alias, message } => {
            if message.contains("unsupported startup parameter") {
                lock(core).refuse(format!(
                    "the database `{alias}` of the command is behind a pooler that does not pass on PGOPTIONS (such as \
                     pgbouncer): timeouts are not in force there. Give the command a direct connection to the server \
                     for migrations"
                ));
            }
            Answer::default()
        }
        Message::Connect { alias, backend, key, database, application, lock_timeout, shadowed, django, driver } => {
            let watched = is_seen(session, backend, &database).await;
            let mut core = lock(core);
            let wanted = crate::core::milliseconds(core.limits.lock).to_string();
            if lock_timeout != wanted || !application.starts_with(crate::APPLICATION) {
                let names = if shadowed.is_empty() { vec!["PGOPTIONS or PGAPPNAME".to_owned()] } else { shadowed };
                core.say(crate::Event::Shadowed { alias: alias.clone(), names });
            }
            core.say(crate::Event::Connected { alias: alias.clone(), backend, driver, django });
            core.connect(&alias, backend, watched, key)
        }
        Message::Proved { connection, direct } => lock(core).proved(connection, direct),
        Message::Checked { connection, lock_timeout, backend } => {
            lock(core).checked(connection, &lock_timeout, backend)
        }
        Message::Statement { connection, sql, values, many, open, autocommit, attempt } => {
            let asked = Asked { sql: &sql, values: values.as_deref(), many, open, autocommit, attempt };
            let (mut answer, build) = lock(core).statement(connection, &asked);
            if let Some(build) = build.filter(|_| !answer.refuse) {
                match find_index(session, &build).await {
                    Ok(found) => lock(core).before_build(connection, &build, &found, &mut answer),
                    Err(error) => {
                        let error = zdm_conn::connect::describe(&error);
                        lock(core).warn(format!("the index `{}` could not be looked up: {error}", build.index));
                    }
                }
            }
            answer
        }
        Message::Done { connection, seconds } => {
            lock(core).done(connection, seconds);
            return None;
        }
        Message::Seen { connection, count, seconds, writes } => {
            lock(core).seen(connection, count, seconds, writes);
            return None;
        }
        Message::Failed { connection, seconds, sqlstate, message, closed, alone, interrupt } => {
            let failure =
                Failure { seconds, sqlstate: sqlstate.as_deref(), message: &message, closed, alone, interrupt };
            lock(core).failed(connection, &failure)
        }
        Message::End { connection, end } => {
            lock(core).end(connection, end);
            return None;
        }
        Message::Plan { fake, migrations } => lock(core).plan(fake, &migrations),
        Message::Migration { connection, app, name, backwards, atomic, attempt } => {
            let course = lock(core).course(&app, &name, backwards, atomic);
            let answer = lock(core).migration(connection, &app, &name, backwards, atomic, attempt);
            let Some(course) = course.filter(|_| !answer.refuse) else { return Some(answer) };
            match crate::resume::look(session, &course).await {
                Ok(standing) => lock(core).stands(connection, &course, standing),
                Err(error) => {
                    let error = zdm_conn::connect::describe(&error);
                    lock(core)
                        .warn(format!("{app}.{name}: whether an earlier run was cut off could not be told: {error}"));
                    answer
                }
            }
        }
        Message::MigrationDone { connection } => lock(core).migration_done(connection),
        Message::MigrationFailed { connection, sqlstate, message, interrupt, nested } => {
            lock(core).migration_failed(connection, sqlstate.as_deref(), &message, interrupt, nested)
        }
    })
}

/// Whether the child's server process is one of the server that we are connected to.
async fn is_seen(session: &Session, backend: i32, database: &str) -> bool {
    let Ok(database) = Literal::new(database) else { return false };
    let sql = format!(
        "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE pid = {backend} AND datname = {database} \
         AND datname = pg_catalog.current_database()"
    );
    session.simple_row(&sql).await.is_ok_and(|row| row.first().is_some_and(|count| count == "1"))
}

/// Longest wait for a build of the same index that another session has under way.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the server has under the name of the index, in the schema of its table.
pub(crate) async fn find_index(session: &Session, build: &ConcurrentBuild) -> Result<Found, tokio_postgres::Error> {
    let table = match &build.table.schema {
        Some(schema) => format!("{}.{}", quoted(schema.as_str()), quoted(build.table.name.as_str())),
        None => quoted(build.table.name.as_str()),
    };
    let (Ok(table), Ok(name)) = (Literal::new(table), Literal::new(build.index.name.as_str())) else {
        return Ok(Found::Nothing);
    };
    let sql = format!(
        "SELECT i.indisvalid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), \
                pg_catalog.pg_get_indexdef(i.indexrelid), \
                EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) \
         FROM pg_catalog.pg_class t JOIN pg_catalog.pg_class c ON c.relnamespace = t.relnamespace \
              JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
              JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE t.oid = pg_catalog.to_regclass({table}) AND c.relname = {name}"
    );
    let begun = tokio::time::Instant::now();
    loop {
        let row = session.simple_row(&sql).await?;
        let [valid, full_name, definition, building] = row.as_slice() else { return Ok(Found::Nothing) };
        if valid == "t" {
            return Ok(Found::Valid { definition: definition.clone() });
        }
        if building != "t" || begun.elapsed() > PATIENCE {
            return Ok(Found::Invalid { drop: format!("DROP INDEX CONCURRENTLY IF EXISTS {full_name}") });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn quoted(name: &str) -> String {
    zdm_postgres::quote_identifier(name)
}
