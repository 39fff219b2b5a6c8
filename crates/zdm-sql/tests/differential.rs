//! Other readers of PostgreSQL's SQL agree on where statements begin and end and on what kind they are.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "oracle/read.rs"]
mod read;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};
use squawk_syntax::SourceFile;
use squawk_syntax::ast::AstNode;
use zdm_postgres::Statement;
use zdm_sql::parse;
use zdm_testkit::{cache, skip};

/// Forms that the measurements lack, with what is hard about where they end.
const TEXTS: [&str; 22] = [
    "SELECT 'a;b'; SELECT \"a;b\" FROM t; SELECT $$a;b$$; SELECT $x$a;$y$;b$x$",
    "SELECT E'it\\'s;'; SELECT 'it\\'; SELECT 2",
    "/* a /* nested; */ b; */ SELECT 1; -- end; of line\nSELECT 2 -- no semicolon",
    "SELECT U&'d\\0061t;a', U&\"d\\0061t;a\"; SELECT 1",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 ELSE 2 END; END; SELECT 2",
    "CREATE PROCEDURE p() BEGIN ATOMIC DELETE FROM t; END; SELECT 2",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b); SELECT 1",
    "DO $$ BEGIN; PERFORM 1; END $$; SELECT 1",
    ";;; SELECT 1 ;;; ; SELECT 2;;",
    "DROP INDEX CONCURRENTLY IF EXISTS a, b; REINDEX INDEX CONCURRENTLY a; REINDEX TABLE t",
    "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS \"a\", b DEFERRED; SET LOCAL lock_timeout = '2s'; RESET ALL",
    "ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (1) TO (2); ALTER TABLE p DETACH PARTITION c CONCURRENTLY",
    "ALTER SEQUENCE s OWNED BY t.a; ALTER SEQUENCE s RESTART WITH 5; ALTER SEQUENCE s RENAME TO s2",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY v; REFRESH MATERIALIZED VIEW v WITH NO DATA",
    "CREATE TABLE t (a int PRIMARY KEY, b text COLLATE \"C\" DEFAULT 'x' NOT NULL, CHECK (a > 0)) PARTITION BY RANGE (a)",
    "CREATE TABLE c PARTITION OF p FOR VALUES IN (1, 2); CREATE TABLE d (LIKE t INCLUDING ALL); CREATE TABLE e () INHERITS (t)",
    "INSERT INTO t (a) VALUES (1), (2) ON CONFLICT (a) DO UPDATE SET a = excluded.a RETURNING *; UPDATE t SET a = 1 WHERE b = 2",
    "WITH x AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM x; DELETE FROM t USING u WHERE t.a = u.a",
    "GRANT SELECT ON t TO r; REVOKE ALL ON ALL TABLES IN SCHEMA s FROM r; COMMENT ON COLUMN t.a IS 'x;y'",
    "BEGIN; SAVEPOINT a; ROLLBACK TO SAVEPOINT a; RELEASE a; COMMIT AND CHAIN; ROLLBACK; START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "CREATE TRIGGER g BEFORE INSERT OR UPDATE OF a ON t FOR EACH ROW WHEN (new.a > 0) EXECUTE FUNCTION f(); DROP TRIGGER g ON t",
    "CREATE POLICY p ON t USING (a = current_user); CREATE STATISTICS s ON a, b FROM t; CREATE EXTENSION IF NOT EXISTS hstore",
];

fn texts() -> Vec<String> {
    let mut texts: Vec<String> =
        serde_json::from_str(include_str!("data/measured.json")).expect("the data file is a list of texts");
    texts.extend(TEXTS.map(str::to_owned));
    texts
}

/// The library's tokens, cut at its semicolons: the number of tokens that count in each statement.
fn library_statements(text: &str) -> Vec<usize> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize().unwrap_or_else(|error| panic!("{text}: {error}"));
    tokens
        .split(|token| *token == Token::SemiColon)
        .map(|tokens| tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).count())
        .filter(|count| *count > 0)
        .collect()
}

#[test]
fn the_library_cuts_at_the_same_semicolons() {
    let mut compared = 0;
    for text in texts() {
        // Its tokens know no bodies: only a grammar tells that their semicolons do not separate.
        if text.contains("BEGIN ATOMIC") || text.contains("CREATE RULE") {
            continue;
        }
        let ours = parse(&text);
        let theirs = library_statements(&text);
        assert_eq!(ours.len(), theirs.len(), "{text}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            // Read alone, the statement has the same tokens: neither side lost or won one at its ends.
            assert_eq!(library_statements(&text[ours.span.range()]), [theirs], "{text}");
        }
        compared += 1;
    }
    assert!(compared > 550, "{compared} texts were compared");
}

/// The kind as the oracle names its nodes.
fn expected_kinds(statement: &Statement) -> &'static [&'static str] {
    match statement {
        Statement::CreateTable(_) => &["CREATE_TABLE", "CREATE_FOREIGN_TABLE"],
        Statement::CreateTableAs(_) => &["CREATE_TABLE_AS", "SELECT_INTO"],
        Statement::AlterTable(_) => &[
            "ALTER_TABLE",
            "ALTER_INDEX",
            "ALTER_VIEW",
            "ALTER_MATERIALIZED_VIEW",
            "ALTER_SEQUENCE",
            "ALTER_FOREIGN_TABLE",
        ],
        Statement::CreateIndex(_) => &["CREATE_INDEX"],
        Statement::Reindex(_) => &["REINDEX"],
        Statement::Drop(_) => &["DROP_"],
        Statement::CreateView(_) => &["CREATE_VIEW", "CREATE_MATERIALIZED_VIEW"],
        Statement::RefreshMaterializedView { .. } => &["REFRESH"],
        Statement::CreateSequence(_) => &["CREATE_SEQUENCE"],
        Statement::AlterSequence { .. } => &["ALTER_SEQUENCE"],
        Statement::CreateType { .. } => &["CREATE_TYPE"],
        Statement::AlterType { .. } => &["ALTER_TYPE"],
        Statement::CreateDomain(_) => &["CREATE_DOMAIN"],
        Statement::AlterDomain { .. } => &["ALTER_DOMAIN"],
        Statement::CreateFunction(_) => &["CREATE_FUNCTION", "CREATE_PROCEDURE"],
        Statement::CreateTrigger(_) => &["CREATE_TRIGGER"],
        Statement::CreateRule { .. } => &["CREATE_RULE"],
        Statement::CreatePolicy { .. } => &["CREATE_POLICY"],
        Statement::AlterPolicy { .. } => &["ALTER_POLICY"],
        Statement::AlterOnTable { .. } => &["ALTER_TRIGGER", "ALTER_RULE", "ALTER_POLICY"],
        Statement::CreateSchema { .. } => &["CREATE_SCHEMA"],
        Statement::CreateExtension { .. } => &["CREATE_EXTENSION"],
        Statement::CreateStatistics { .. } => &["CREATE_STATISTICS"],
        Statement::CreatePublication { .. } => &["CREATE_PUBLICATION"],
        Statement::AlterPublication { .. } => &["ALTER_PUBLICATION"],
        Statement::CreateOther { .. } => &["CREATE_"],
        Statement::AlterStatisticsTarget { .. } => &["ALTER_STATISTICS"],
        Statement::SecurityLabel { .. } => &["SECURITY_LABEL"],
        Statement::MoveAll { .. } => &["ALTER_TABLE", "ALTER_INDEX", "ALTER_MATERIALIZED_VIEW"],
        Statement::DropOwned { .. } => &["DROP_OWNED"],
        Statement::ImportForeignSchema { .. } => &["IMPORT_FOREIGN_SCHEMA"],
        Statement::AlterExtensionMember { .. } => &["ALTER_EXTENSION"],
        Statement::AlterOther { .. } => &["ALTER_"],
        Statement::ReassignOwned { .. } => &["REASSIGN"],
        Statement::Comment { .. } => &["COMMENT_ON"],
        Statement::Grant { .. } => &["GRANT", "REVOKE"],
        Statement::Select(_) => &["SELECT", "COMPOUND_SELECT", "PAREN_SELECT", "VALUES", "TABLE"],
        Statement::Insert(_) => &["INSERT"],
        Statement::Update(_) => &["UPDATE"],
        Statement::Delete(_) => &["DELETE"],
        Statement::Merge(_) => &["MERGE"],
        Statement::Truncate { .. } => &["TRUNCATE"],
        Statement::Copy { .. } => &["COPY"],
        Statement::Vacuum { .. } => &["VACUUM"],
        Statement::Analyze { .. } => &["ANALYZE"],
        Statement::Cluster { .. } => &["CLUSTER"],
        Statement::Checkpoint => &["CHECKPOINT"],
        Statement::Begin { .. } => &["BEGIN"],
        Statement::Commit { .. } => &["COMMIT"],
        Statement::Rollback { .. } | Statement::RollbackToSavepoint(_) => &["ROLLBACK"],
        Statement::Savepoint(_) => &["SAVEPOINT"],
        Statement::ReleaseSavepoint(_) => &["RELEASE_SAVEPOINT"],
        Statement::Set(_) => &["SET"],
        Statement::Reset { .. } => &["RESET"],
        Statement::SetConstraints { .. } => &["SET_CONSTRAINTS"],
        Statement::Lock { .. } => &["LOCK"],
        Statement::Do { .. } => &["DO"],
        Statement::Call { .. } => &["CALL"],
        Statement::Session { .. } => &[
            "SHOW",
            "LISTEN",
            "UNLISTEN",
            "NOTIFY",
            "DISCARD",
            "PREPARE",
            "EXECUTE",
            "DEALLOCATE",
            "DECLARE",
            "FETCH",
            "MOVE",
            "CLOSE",
            "LOAD",
            "EXPLAIN",
            "COMMIT",
            "ROLLBACK",
        ],
        Statement::Opaque(_) => &[],
    }
}

#[test]
fn the_oracle_finds_the_same_statements_of_the_same_kinds() {
    let mut compared = 0;
    let mut differences = Vec::new();
    for text in texts() {
        let ours = parse(&text);
        if ours.iter().any(|parsed| matches!(parsed.statement, Statement::Opaque(_))) {
            continue;
        }
        let tree = SourceFile::parse(&text).tree();
        let theirs: Vec<(String, usize, usize)> = tree
            .stmts()
            .map(|statement| {
                let range = statement.syntax().text_range();
                (format!("{:?}", statement.syntax().kind()), range.start().into(), range.end().into())
            })
            .filter(|(kind, start, end)| {
                kind != "EMPTY_STMT" && !text[*start..*end].trim_matches([';', ' ']).is_empty()
            })
            .collect();
        if ours.len() != theirs.len() {
            differences.push(format!("{text}: {} statements, the oracle has {theirs:?}", ours.len()));
            continue;
        }
        for (ours, (kind, start, end)) in ours.iter().zip(&theirs) {
            compared += 1;
            let end = *start + text[*start..*end].trim_end_matches(|c: char| c == ';' || c.is_whitespace()).len();
            if ours.span.range() != (*start..end) {
                differences.push(format!("{text}: {:?}, the oracle has {start}..{end}", ours.span.range()));
            }
            if !expected_kinds(&ours.statement).iter().any(|expected| kind.starts_with(expected)) {
                differences.push(format!("{}: the oracle has {kind}", &text[ours.span.range()]));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(compared > 1_000, "{compared} statements were compared");
}

/// Names and texts of SQL that nobody here wrote: PostgreSQL's regression tests, the RunSQL operations of public projects;
/// or the files that `ZDM_SQL` names.
fn foreign_texts(python: &Path) -> Vec<(String, String)> {
    let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let named = |path: PathBuf| (path.display().to_string(), read(&path));
    if let Some(files) = std::env::var_os("ZDM_SQL") {
        return files.to_string_lossy().split_whitespace().map(PathBuf::from).map(named).collect();
    }
    let mut texts: Vec<(String, String)> = fs::read_dir(cache::root().join("regression"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .map(named)
        .collect();
    texts.sort();
    let found = run(Command::new(python)
        .arg("-I")
        .arg(oracle("run_sql.py"))
        .args([cache::root().join("projects"), cache::root().join("environments")]));
    texts.extend(serde_json::from_str::<Vec<(String, String)>>(&found).unwrap());
    texts
}

fn oracle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(name)
}

/// What a program prints, whose success is the test's.
fn run(command: &mut Command) -> String {
    let output = command.env("PYTHONIOENCODING", "utf-8").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// Each statement that PostgreSQL's grammar accepts is one statement of that kind to the reader, with the same relations
/// and expressions; and squawk's reader is asked for where they end and what they are.
#[test]
fn the_servers_grammar_reads_the_same() {
    let grammar = cache::root().join("grammar");
    if cache::stamp(&grammar).is_none() || cache::stamp(&cache::root().join("regression")).is_none() {
        skip::record("SQL", "PostgreSQL's grammar and its regression tests: run `cargo xtask setup`");
        eprintln!("SKIPPED: `cargo xtask setup` provides PostgreSQL's grammar");
        return;
    }
    let python = grammar.join("bin/python");
    let statements: Vec<serde_json::Value> =
        foreign_texts(&python).iter().flat_map(|(path, text)| read::statements(path, text)).collect();
    let folder = tempfile::tempdir().unwrap();
    let (lines, accepted) = (folder.path().join("read.jsonl"), folder.path().join("accepted.json"));
    let mut file = std::io::BufWriter::new(fs::File::create(&lines).unwrap());
    for statement in &statements {
        writeln!(file, "{statement}").unwrap();
    }
    file.flush().unwrap();
    println!("{}", run(Command::new(&python).arg("-I").arg(oracle("compare.py")).args([&lines, &accepted])));

    let accepted: Vec<usize> = serde_json::from_str(&fs::read_to_string(&accepted).unwrap()).unwrap();
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for number in &accepted {
        let text = statements[*number]["text"].as_str().unwrap();
        let verdict = squawk_verdict(text);
        if verdict != "agrees" && std::env::var_os("ZDM_SQL").is_some() {
            println!("squawk-syntax {verdict}: {text}");
        }
        *others.entry(verdict).or_default() += 1;
    }
    println!("squawk-syntax, of {} statements that the server's grammar accepts: {others:?}", accepted.len());
    if std::env::var_os("ZDM_SQL").is_none() {
        assert!(accepted.len() > 49_000, "{} statements were compared", accepted.len());
        // The rest are forms that its grammar lacks, and statements that the server refuses behind its grammar.
        assert!(!others.contains_key("sees another kind") && others["agrees"] > accepted.len() - 30, "{others:?}");
    }
}

/// How squawk's reader reads one statement with another behind it.
fn squawk_verdict(text: &str) -> &'static str {
    let ours = parse(text);
    let [ours] = &ours[..] else { return "is not one statement" };
    let followed = format!("{text};\nCHECKPOINT");
    let tree = SourceFile::parse(&followed).tree();
    let found: Vec<(String, usize)> = tree
        .stmts()
        .map(|statement| (format!("{:?}", statement.syntax().kind()), statement.syntax().text_range().end().into()))
        .filter(|(kind, _)| kind != "EMPTY_STMT")
        .collect();
    let [(kind, end), (next, _)] = &found[..] else { return "cuts elsewhere" };
    if next != "CHECKPOINT" || !(text.len()..=text.len() + 1).contains(end) {
        return "cuts elsewhere";
    }
    if matches!(ours.statement, Statement::Opaque(_)) {
        return "alone knows its kind";
    }
    // EXPLAIN ANALYZE is what it runs to the reader.
    if kind == "EXPLAIN" || expected_kinds(&ours.statement).iter().any(|expected| kind.starts_with(expected)) {
        "agrees"
    } else {
        "sees another kind"
    }
}
