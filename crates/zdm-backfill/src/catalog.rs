//! Reads the facts that the planner needs.

use std::collections::BTreeSet;

use tokio_postgres::Row;
use zdm_conn::{Doing as _, Ident, QualifiedName, Session, StatementError};

use crate::definition::Definition;
use crate::error::Error;
use crate::facts::{ColumnFacts, Comparison, KeyColumn, KeyFacts, PartFacts, TableFacts};

/// The tables and partitions below a table, itself included.
const DESCENDANTS: &str = "WITH RECURSIVE tree(relation) AS (\
       SELECT $1::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN tree ON i.inhparent = tree.relation\
   ) ";

/// Looks a table up by the name as written in SQL, or by its exact name.
///
/// # Errors
/// When there is no such table, or it is not a table.
pub async fn resolve_table(session: &Session, name: &str) -> Result<(u32, QualifiedName), Error> {
    let client = session.client();
    let exact = client
        .query_opt(
            "SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.relname = $1 AND pg_catalog.pg_table_is_visible(c.oid)",
            &[&name],
        )
        .await
        .doing("looking the table up")?;
    let relation: Option<u32> = if let Some(row) = exact {
        Some(row.get(0))
    } else {
        let row = client.query_one("SELECT pg_catalog.to_regclass($1)::oid", &[&name]).await;
        row.map_err(|_| Error::Usage(format!("`{name}` is not a table name")))?.get(0)
    };
    let relation = relation.ok_or_else(|| Error::Usage(format!("there is no table `{name}`")))?;
    let row = client
        .query_one(
            "SELECT n.nspname, c.relname, c.relkind::text FROM pg_catalog.pg_class AS c \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = $1",
            &[&relation],
        )
        .await
        .doing("looking the table up")?;
    let kind: String = row.get(2);
    if !matches!(kind.as_str(), "r" | "p") {
        return Err(Error::Usage(format!("`{name}` is not a table (relkind `{kind}`)")));
    }
    Ok((relation, QualifiedName::new(Ident::new(row.get::<_, String>(0))?, Ident::new(row.get::<_, String>(1))?)))
}

/// Everything that the planner asks about a table.
///
/// # Errors
/// When a target column does not exist or the catalog cannot be read.
pub async fn table_facts(session: &mut Session, name: &str, definition: &Definition) -> Result<TableFacts, Error> {
    let (relation, qualified) = resolve_table(session, name).await?;
    let targets = target_columns(session, relation, &qualified, definition).await?;
    let target_names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    let rows = session
        .client()
        .query(
            &format!(
                "{DESCENDANTS} SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.reltuples::float8, \
                 pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8, \
                 pg_catalog.pg_relation_filenode(c.oid)::oid \
                 FROM tree JOIN pg_catalog.pg_class AS c ON c.oid = tree.relation \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace ORDER BY n.nspname, c.relname"
            ),
            &[&relation],
        )
        .await
        .doing("listing the table's partitions")?;
    let mut parts = Vec::new();
    let mut foreign = Vec::new();
    for row in rows {
        let part_name = QualifiedName::new(Ident::new(row.get::<_, String>(1))?, Ident::new(row.get::<_, String>(2))?);
        match row.get::<_, String>(3).as_str() {
            "r" => parts.push(part_facts(session, &row, part_name, &target_names).await?),
            "f" => foreign.push(part_name),
            _ => {}
        }
    }
    let unrepeatable = unrepeatable(session, &qualified, definition).await?;
    Ok(TableFacts { relation, name: qualified, targets, parts, foreign, unrepeatable })
}

async fn target_columns(
    session: &Session,
    relation: u32,
    table: &QualifiedName,
    definition: &Definition,
) -> Result<Vec<ColumnFacts>, Error> {
    let mut targets = Vec::new();
    for assignment in &definition.assignments {
        let name = assignment.target.as_str();
        let row = session
            .client()
            .query_opt(
                &format!(
                    "{DESCENDANTS} SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), a.attcollation, \
                     a.attgenerated <> '', a.attidentity = 'a', \
                     COALESCE(NULLIF(t.typbasetype, 0), t.oid), COALESCE(b.typname, t.typname)::text, \
                     COALESCE(b.typtype, t.typtype)::text, COALESCE(e.typname, '')::text, \
                     EXISTS (SELECT FROM pg_catalog.pg_opclass AS o JOIN pg_catalog.pg_am AS m ON m.oid = o.opcmethod \
                         WHERE o.opcdefault AND m.amname IN ('btree', 'hash') \
                         AND o.opcintype = COALESCE(NULLIF(t.typbasetype, 0), t.oid)), \
                     EXISTS (SELECT FROM tree JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = tree.relation \
                         JOIN pg_catalog.pg_attribute AS k ON k.attrelid = p.partrelid AND k.attnum = ANY(p.partattrs::int2[]) \
                         WHERE k.attname = $2::text) \
                     FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
                     LEFT JOIN pg_catalog.pg_type AS b ON b.oid = NULLIF(t.typbasetype, 0) \
                     LEFT JOIN pg_catalog.pg_type AS e ON e.oid = NULLIF(COALESCE(b.typelem, t.typelem), 0) \
                     WHERE a.attrelid = $1 AND a.attname = $2::text AND a.attnum > 0 AND NOT a.attisdropped"
                ),
                &[&relation, &name],
            )
            .await
            .doing("reading the target column")?
            .ok_or_else(|| Error::Usage(format!("`{}` has no column `{name}`", table.plain())))?;
        targets.push(ColumnFacts {
            name: name.to_owned(),
            data_type: row.get(0),
            comparison: comparison(&row),
            generated: row.get(2),
            identity_always: row.get(3),
            in_partition_key: row.get(9),
        });
    }
    Ok(targets)
}

/// Types whose equality is absent or coarser than the value: intervals compare by length, geometric types by area or
/// number of points, `citext` without case.
const COARSE: [&str; 12] =
    ["interval", "json", "xml", "point", "lseg", "path", "box", "polygon", "line", "circle", "citext", "txid_snapshot"];

fn comparison(row: &Row) -> Comparison {
    let collation: u32 = row.get(1);
    let base: String = row.get(5);
    let kind: String = row.get(6);
    let element: String = row.get(7);
    let has_equality: bool = row.get(8);
    let is_text = matches!(base.as_str(), "text" | "varchar" | "bpchar" | "name");
    if COARSE.contains(&base.as_str()) || COARSE.contains(&element.as_str()) || kind == "c" {
        Comparison::AsText
    } else if collation != 0 {
        if is_text { Comparison::Text } else { Comparison::AsText }
    } else if has_equality || matches!(kind.as_str(), "e" | "r" | "m") || !element.is_empty() {
        Comparison::Native
    } else {
        Comparison::AsText
    }
}

async fn part_facts(session: &Session, row: &Row, name: QualifiedName, targets: &[&str]) -> Result<PartFacts, Error> {
    let relation: u32 = row.get(0);
    let reltuples: f64 = row.get(4);
    let pages: i64 = row.get(5);
    let filenode: Option<u32> = row.get(6);
    let client = session.client();
    let indexes = client
        .query(
            "SELECT c.relname::text FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_am AS m ON m.oid = c.relam \
             WHERE i.indrelid = $1 AND i.indisready \
             AND NOT (m.amname = 'brin' AND pg_catalog.current_setting('server_version_num')::int >= 160000) \
             AND EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1 AND a.attname = ANY($2::text[]) \
                 AND (a.attnum = ANY(i.indkey::int2[]) OR EXISTS (SELECT FROM pg_catalog.pg_depend AS d \
                     WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid \
                     AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 \
                     AND d.refobjsubid = a.attnum))) \
             ORDER BY c.relname",
            &[&relation, &targets],
        )
        .await
        .doing("reading the indexes")?;
    let key = client
        .query_opt(
            "SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.n), \
                    pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, NULL) ORDER BY k.n), \
                    (SELECT s.correlation::float8 FROM pg_catalog.pg_stats AS s WHERE NOT s.inherited \
                     AND s.schemaname = $2 AND s.tablename = $3 \
                     AND s.attname = (pg_catalog.array_agg(a.attname ORDER BY k.n))[1]), \
                    (pg_catalog.array_agg(a.atttypid IN (20, 21, 23) ORDER BY k.n))[1] \
             FROM pg_catalog.pg_index AS i \
             JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree' \
             CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(i.indkey::int2[]), pg_catalog.unnest(i.indcollation::oid[]), \
                 pg_catalog.unnest(i.indoption::int2[])) WITH ORDINALITY AS k(attnum, collation_oid, option, n) \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
             WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indisready AND i.indpred IS NULL \
             AND i.indexprs IS NULL AND k.n <= i.indnkeyatts \
             GROUP BY i.indexrelid, i.indisprimary, i.indnkeyatts \
             HAVING pg_catalog.bool_and(a.attnotnull AND k.option = 0 AND k.collation_oid = a.attcollation) \
             ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1",
            &[&relation, &name.schema.as_str(), &name.name.as_str()],
        )
        .await
        .doing("reading the keys")?;
    let key = key.map(|row| {
        let names: Vec<String> = row.get(0);
        let types: Vec<String> = row.get(1);
        KeyFacts {
            columns: names.into_iter().zip(types).map(|(name, data_type)| KeyColumn { name, data_type }).collect(),
            correlation: row.get(2),
            integer: row.get(3),
        }
    });
    Ok(PartFacts {
        relation,
        name,
        rows: (reltuples >= 0.0 && (reltuples > 0.0 || pages == 0)).then_some(reltuples),
        pages: u32::try_from(pages).unwrap_or(u32::MAX),
        filenode: filenode.unwrap_or(0),
        key,
        indexes_on_targets: indexes.iter().map(|row| row.get(0)).collect(),
    })
}

/// Functions in the expressions whose value differs from call to call or from transaction to transaction.
///
/// The server itself is asked: a temporary view is made of the expressions, its parse tree names the functions by their
/// `oid`, and everything is rolled back. `None` when the role may not create temporary objects.
async fn unrepeatable(
    session: &mut Session,
    table: &QualifiedName,
    definition: &Definition,
) -> Result<Option<Vec<String>>, Error> {
    let columns: Vec<String> =
        definition.assignments.iter().enumerate().map(|(i, a)| format!("{} AS c{i}", a.expression)).collect();
    let view =
        format!("CREATE TEMPORARY VIEW zdm_probe AS SELECT {} FROM {table} AS {}", columns.join(", "), table.name);
    let transaction = session.client_mut().transaction().await.doing("probing the expression")?;
    if let Err(error) = transaction.batch_execute(&view).await {
        return match zdm_conn::classify(&error) {
            zdm_conn::FailureClass::Privilege | zdm_conn::FailureClass::ReadOnly => Ok(None),
            // A parameter, an aggregate, a missing column: it will not do as a value either.
            zdm_conn::FailureClass::Schema => {
                Err(Error::Usage(format!("the expression: {}", zdm_conn::connect::describe(&error))))
            }
            _ => Err(Error::Sql(StatementError { doing: "probing the expression", error })),
        };
    }
    let tree: String = transaction
        .query_one(
            "SELECT r.ev_action::text FROM pg_catalog.pg_rewrite AS r \
             WHERE r.ev_class = 'pg_temp.zdm_probe'::pg_catalog.regclass",
            &[],
        )
        .await
        .doing("probing the expression")?
        .get(0);
    let oids: Vec<u32> = function_oids(&tree).into_iter().collect();
    let functions = transaction
        .query(
            "SELECT p.proname || '()' FROM pg_catalog.pg_proc AS p WHERE p.oid = ANY($1::oid[]) AND (p.provolatile = 'v' \
             OR p.oid IN ('pg_catalog.now()'::pg_catalog.regprocedure, 'pg_catalog.transaction_timestamp()'::pg_catalog.regprocedure, \
                 'pg_catalog.statement_timestamp()'::pg_catalog.regprocedure)) ORDER BY 1",
            &[&oids],
        )
        .await
        .doing("probing the expression")?;
    transaction.rollback().await.doing("probing the expression")?;
    let mut names: Vec<String> = functions.iter().map(|row| row.get(0)).collect();
    if tree.contains("{SQLVALUEFUNCTION") {
        names.push("CURRENT_DATE or another value of the moment".to_owned());
    }
    Ok(Some(names))
}

/// The numbers behind `:funcid` and `:opfuncid` in a node tree.
fn function_oids(tree: &str) -> BTreeSet<u32> {
    let mut words = tree.split([' ', '\n']);
    let mut found = BTreeSet::new();
    while let Some(word) = words.next() {
        if matches!(word, ":funcid" | ":opfuncid" | ":winfnoid" | ":aggfnoid") {
            found.extend(words.next().and_then(|number| number.parse::<u32>().ok()));
        }
    }
    found
}

/// Size of a part in pages, and its file, now.
pub(crate) async fn physical(session: &Session, relation: u32) -> Result<Option<(u32, u32)>, Error> {
    let row = session
        .client()
        .query_opt(
            "SELECT pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8, \
             pg_catalog.pg_relation_filenode(c.oid)::oid FROM pg_catalog.pg_class AS c WHERE c.oid = $1",
            &[&relation],
        )
        .await
        .doing("reading the table's size")?;
    let Some(row) = row else { return Ok(None) };
    let pages: Option<i64> = row.get(0);
    let filenode: Option<u32> = row.get(1);
    Ok(pages.zip(filenode).map(|(pages, filenode)| (u32::try_from(pages).unwrap_or(u32::MAX), filenode)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_a_node_tree() {
        let tree = "({QUERY :commandType 1 ({FUNCEXPR :funcid 3432 :args ({OPEXPR :opno 551 :opfuncid 177 :x})})})";
        assert_eq!(function_oids(tree).into_iter().collect::<Vec<_>>(), [177, 3432]);
        assert!(function_oids(":funcid").is_empty());
    }
}
