//! Compares the shadow columns with their sources, row by row in windows of pages.

use std::time::{Duration, Instant};

use zdm_conn::{Doing as _, FailureClass, Ident, Session, StatementError, classify};

use crate::error::Error;
use crate::live::{LiveTable, Part};
use crate::mirror::Mirror;
use crate::sql::Row;

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    pub rows: u64,
    pub differing: u64,
    pub examples: Vec<Example>,
}

/// A row whose shadow is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub table: String,
    /// The primary key's values, or the row's physical address.
    pub key: String,
    pub columns: Vec<ExampleColumn>,
    /// Why the value cannot be computed, where it cannot.
    pub error: Option<String>,
}

/// Values as text; `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleColumn {
    pub source: String,
    pub source_value: Option<String>,
    pub target: String,
    pub target_value: Option<String>,
    pub expected: Option<String>,
}

/// A window takes about so long, so that no snapshot is held for long.
const WINDOW_TIME: Duration = Duration::from_millis(500);

/// The alias of the table in queries.
const ALIAS: &str = "\"zdm_row\"";

/// Compares every row; keeps at most `examples` of those that differ.
///
/// # Errors
/// When the table cannot be read.
pub async fn compare(
    session: &Session,
    table: &LiveTable,
    mirror: &Mirror,
    examples: usize,
) -> Result<Comparison, Error> {
    let mut found = Comparison::default();
    for part in table.tree.iter().filter(|part| part.has_rows) {
        compare_part(session, part, mirror, examples, &mut found).await?;
    }
    Ok(found)
}

async fn compare_part(
    session: &Session,
    part: &Part,
    mirror: &Mirror,
    examples: usize,
    found: &mut Comparison,
) -> Result<(), Error> {
    let doing = "comparing rows";
    let differs = mirror.differs(Row::Alias(ALIAS));
    let from =
        format!("ONLY {} AS {ALIAS} WHERE {ALIAS}.ctid >= $1::text::tid AND {ALIAS}.ctid < $2::text::tid", part.name);
    let count = format!("SELECT count(*), count(*) FILTER (WHERE {differs}) FROM {from}");
    let client = session.client();
    let pages: i64 = client
        .query_one(
            "SELECT pg_catalog.pg_relation_size($1::oid::pg_catalog.regclass) / pg_catalog.current_setting('block_size')::int8",
            &[&part.relation],
        )
        .await
        .doing(doing)?
        .get(0);
    let (mut at, mut window) = (0_i64, 256_i64);
    // Rows that come later are written under the trigger.
    while at < pages {
        let end = (at + window).min(pages);
        let (low, high) = (format!("({at},0)"), format!("({end},0)"));
        let started = Instant::now();
        match client.query_one(&count, &[&low, &high]).await {
            Ok(row) => {
                let (rows, differing): (i64, i64) = (row.get(0), row.get(1));
                found.rows += u64::try_from(rows).unwrap_or(0);
                found.differing += u64::try_from(differing).unwrap_or(0);
                let room = examples.saturating_sub(found.examples.len());
                if differing > 0 && room > 0 {
                    let more =
                        example_rows(session, part, mirror, &from, &format!("({differs})"), &low, &high, room).await?;
                    found.examples.extend(more);
                }
                at = end;
                let taken = started.elapsed();
                if taken < WINDOW_TIME / 2 {
                    window = (window * 2).min(1 << 20);
                } else if taken > WINDOW_TIME {
                    window = (window / 2).max(1);
                }
            }
            // The expression fails for a row of the window: find the row.
            Err(error) if classify(&error) == FailureClass::Row => {
                if window > 1 {
                    window = 1;
                } else {
                    rows_of_page(session, part, mirror, &low, &high, examples, found).await?;
                    at = end;
                    window = 16;
                }
            }
            Err(error) if classify(&error) == FailureClass::QueryCanceled && window > 1 => window = (window / 8).max(1),
            Err(error) => return Err(Error::Sql(StatementError { doing, error })),
        }
    }
    Ok(())
}

/// Each row of one page for itself.
async fn rows_of_page(
    session: &Session,
    part: &Part,
    mirror: &Mirror,
    low: &str,
    high: &str,
    examples: usize,
    found: &mut Comparison,
) -> Result<(), Error> {
    let doing = "comparing rows";
    let client = session.client();
    let addresses = client
        .query(
            &format!(
                "SELECT {ALIAS}.ctid::text FROM ONLY {} AS {ALIAS} WHERE {ALIAS}.ctid >= $1::text::tid AND {ALIAS}.ctid < $2::text::tid",
                part.name
            ),
            &[&low, &high],
        )
        .await
        .doing(doing)?;
    let from = format!("ONLY {} AS {ALIAS} WHERE {ALIAS}.ctid = $1::text::tid", part.name);
    let differs = mirror.differs(Row::Alias(ALIAS));
    for row in addresses {
        let address: String = row.get(0);
        let message = match client.query_opt(&format!("SELECT {differs} FROM {from}"), &[&address]).await {
            Ok(Some(row)) if row.get::<_, bool>(0) => None,
            Ok(found_row) => {
                found.rows += u64::from(found_row.is_some());
                continue;
            }
            Err(error) if classify(&error) == FailureClass::Row => Some(zdm_conn::connect::describe(&error)),
            Err(error) => return Err(Error::Sql(StatementError { doing, error })),
        };
        found.rows += 1;
        found.differing += 1;
        if found.examples.len() < examples {
            let key = client
                .query_opt(&format!("SELECT {} FROM {from}", key(part)?), &[&address])
                .await
                .doing(doing)?
                .map_or_else(|| address.clone(), |row| row.get(0));
            let columns = plain_columns(session, mirror, &from, &address).await?;
            found.examples.push(Example { table: part.name.plain(), key, columns, error: message });
        }
    }
    Ok(())
}

/// The values of a row whose expression fails.
async fn plain_columns(
    session: &Session,
    mirror: &Mirror,
    from: &str,
    address: &str,
) -> Result<Vec<ExampleColumn>, Error> {
    let columns: Vec<String> = mirror
        .pairs
        .iter()
        .map(|pair| format!("{ALIAS}.{}::text, {ALIAS}.{}::text", pair.source, pair.target))
        .collect();
    let row = session
        .client()
        .query_opt(&format!("SELECT {} FROM {from}", columns.join(", ")), &[&address])
        .await
        .doing("reading a row")?;
    let Some(row) = row else { return Ok(Vec::new()) };
    Ok(mirror
        .pairs
        .iter()
        .enumerate()
        .map(|(index, pair)| ExampleColumn {
            source: pair.source.as_str().to_owned(),
            source_value: row.get(index * 2),
            target: pair.target.as_str().to_owned(),
            target_value: row.get(index * 2 + 1),
            expected: None,
        })
        .collect())
}

#[expect(clippy::too_many_arguments, reason = "one query's parts")]
async fn example_rows(
    session: &Session,
    part: &Part,
    mirror: &Mirror,
    from: &str,
    differs: &str,
    low: &str,
    high: &str,
    room: usize,
) -> Result<Vec<Example>, Error> {
    let mut list = vec![key(part)?];
    for pair in &mirror.pairs {
        list.push(format!("{ALIAS}.{}::text", pair.source));
        list.push(format!("{ALIAS}.{}::text", pair.target));
        list.push(format!("({})::text", pair.value(Row::Alias(ALIAS))));
    }
    let rows = session
        .client()
        .query(
            &format!("SELECT {} FROM {from} AND {differs} ORDER BY {ALIAS}.ctid LIMIT {room}", list.join(", ")),
            &[&low, &high],
        )
        .await
        .doing("reading rows that differ")?;
    Ok(rows
        .iter()
        .map(|row| Example {
            table: part.name.plain(),
            key: row.get(0),
            columns: mirror
                .pairs
                .iter()
                .enumerate()
                .map(|(index, pair)| ExampleColumn {
                    source: pair.source.as_str().to_owned(),
                    source_value: row.get(index * 3 + 1),
                    target: pair.target.as_str().to_owned(),
                    target_value: row.get(index * 3 + 2),
                    expected: row.get(index * 3 + 3),
                })
                .collect(),
            error: None,
        })
        .collect())
}

/// The row's key as one text.
fn key(part: &Part) -> Result<String, Error> {
    if part.key.is_empty() {
        return Ok(format!("{ALIAS}.ctid::text"));
    }
    let columns = part
        .key
        .iter()
        .map(|column| Ok(format!("{ALIAS}.{}::text", Ident::new(&**column)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(format!("pg_catalog.concat_ws(', ', {})", columns.join(", ")))
}
