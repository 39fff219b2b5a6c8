//! `cargo run --release -p zdm-mirror --example writing [ROWS] [MAJOR]`: what a mirror costs a write, side by side in one run.
//!
//! One table per way: no trigger, a stored generated column, ours, and the trigger that django-pgtrigger's template makes
//! (a condition-less trigger whose function asks for a change in its body). UPDATE of another column, UPDATE of the source,
//! INSERT; every way in turn, several rounds, the median. The machine's speed cancels out in the ratios.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::time::Instant;

use zdm_mirror::facts::TableFacts;
use zdm_mirror::{PairRequest, Request, TableName, plan};
use zdm_testkit::{Client, ServerOptions, available_majors};

const ROUNDS: usize = 9;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rows: u32 = arguments.first().map_or(200_000, |text| text.parse().unwrap());
    let major = arguments.get(1).map_or_else(|| *available_majors().last().unwrap(), |text| text.parse().unwrap());
    let server = ServerOptions::default()
        .quiet()
        .set("shared_buffers", "1GB")
        .set("synchronous_commit", "off")
        .set("fsync", "off")
        .set("max_wal_size", "8GB")
        .start(major);
    let database = server.database();
    let client = database.connect();
    let ways = ["no trigger", "stored generated column", "zdm mirror", "django-pgtrigger's template"];
    for (number, way) in ways.iter().enumerate() {
        make(&client, number, way, rows);
    }
    println!("PostgreSQL {}, {rows} rows, median of {ROUNDS} rounds", server.version());
    println!(
        "\n| way | UPDATE of another column, µs | ratio | UPDATE of the source, µs | ratio | INSERT, µs | ratio |"
    );
    println!("|---|---|---|---|---|---|---|");
    let statements: [&dyn Fn(usize, usize) -> String; 3] = [
        &|number, round| format!("UPDATE t{number} SET other = other + {round}"),
        &|number, round| format!("UPDATE t{number} SET src = src + {round} % 7 + 1"),
        &|number, _| format!("INSERT INTO t{number} (src, other) SELECT i, i FROM generate_series(1, {rows}) AS i"),
    ];
    let mut medians = vec![[0.0_f64; 3]; ways.len()];
    for (which, statement) in statements.iter().enumerate() {
        let mut times = vec![Vec::new(); ways.len()];
        for round in 1..=ROUNDS {
            // Each round begins with another way, so that none is always first.
            for step in 0..ways.len() {
                let number = (round + step) % ways.len();
                client.sql(&format!("DELETE FROM t{number} WHERE id > {rows}"));
                client.sql(&format!("VACUUM t{number}"));
                let sql = statement(number, round);
                let started = Instant::now();
                client.sql(&sql);
                times[number].push(started.elapsed().as_secs_f64() * 1e6 / f64::from(rows));
            }
        }
        for (number, times) in times.iter_mut().enumerate() {
            times.sort_by(f64::total_cmp);
            medians[number][which] = times[times.len() / 2];
        }
    }
    for (way, own) in ways.iter().zip(&medians) {
        let cell = |which: usize| format!("{:.2} | {:.2}", own[which], own[which] / medians[0][which]);
        println!("| {way} | {} | {} | {} |", cell(0), cell(1), cell(2));
    }
    let ratio = medians[2][0] / medians[0][0];
    println!("\nAn UPDATE of another column costs {ratio:.2} × of no trigger (bound: 2).");
}

fn make(client: &Client, number: usize, way: &str, rows: u32) {
    let shadow = match way {
        "no trigger" => ", dst bigint",
        "stored generated column" => ", dst bigint GENERATED ALWAYS AS (src::bigint) STORED",
        _ => "",
    };
    client.sql(&format!(
        "CREATE TABLE t{number} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, src int, other int{shadow})"
    ));
    match way {
        "zdm mirror" => {
            let pair = PairRequest {
                source: "src".to_owned(),
                target: "dst".to_owned(),
                data_type: Some("bigint".to_owned()),
                ..PairRequest::default()
            };
            let facts = TableFacts::unknown(TableName::new(None, &format!("t{number}")).unwrap());
            let statements =
                plan(&Request { pairs: vec![pair], ..Request::default() }, &facts).unwrap().mirror.statements();
            for statement in
                statements.add_columns.iter().chain([&statements.create_function]).chain(&statements.create_triggers)
            {
                client.sql(statement);
            }
        }
        "django-pgtrigger's template" => {
            client.sql(&format!("ALTER TABLE t{number} ADD COLUMN dst bigint"));
            // What `pgtrigger.Trigger(when=Before, operation=Insert | Update, func="NEW.dst = NEW.src; RETURN NEW;")` renders:
            // a check for an ignored trigger by a setting, in a block that catches exceptions, before the user's code.
            client.sql(&format!(
                "CREATE FUNCTION pgtrigger_f{number}() RETURNS trigger AS $$ \
                 DECLARE ignored text[]; \
                 BEGIN \
                     BEGIN \
                         ignored := current_setting('pgtrigger.ignore'); \
                     EXCEPTION WHEN OTHERS THEN \
                     END; \
                     IF TG_TABLE_NAME || ':' || TG_NAME = ANY (ignored) OR TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME || ':' || TG_NAME = ANY (ignored) THEN \
                         RETURN COALESCE(NEW, OLD); \
                     END IF; \
                     NEW.dst = NEW.src; RETURN NEW; \
                 END; $$ LANGUAGE plpgsql; \
                 CREATE TRIGGER pgtrigger_t{number} BEFORE INSERT OR UPDATE ON t{number} FOR EACH ROW EXECUTE PROCEDURE pgtrigger_f{number}()"
            ));
        }
        _ => {}
    }
    client.sql(&format!("INSERT INTO t{number} (src, other) SELECT i, i FROM generate_series(1, {rows}) AS i"));
    client.sql(&format!("VACUUM ANALYZE t{number}"));
}
