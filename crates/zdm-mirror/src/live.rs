//! Reads from a database what must be known of a table, and what is installed on it.

use std::collections::BTreeMap;

use zdm_conn::{Doing as _, QualifiedName, Session};
use zdm_postgres::DataType;

use crate::error::Error;
use crate::facts::{ColumnFacts, TableFacts, TableKind, TriggerFacts};
use crate::mirror::TableName;
use crate::names;
use crate::refusal::Refusal;
use crate::swap::{ColumnExtras, ColumnGrant};
use crate::types;

/// Which table: as written in SQL, or exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableReference {
    Text(String),
    Name(TableName),
}

/// A table of the database.
#[derive(Debug, Clone)]
pub struct LiveTable {
    pub relation: u32,
    pub facts: TableFacts,
    /// The table and everything below it that may hold rows or triggers, parents first.
    pub tree: Vec<Part>,
}

/// One relation of a table's tree.
#[derive(Debug, Clone)]
pub struct Part {
    pub relation: u32,
    pub name: TableName,
    /// Holds rows itself.
    pub has_rows: bool,
    pub partition: bool,
    /// Columns of the primary key.
    pub key: Vec<String>,
}

/// Finds a table by name.
///
/// # Errors
/// When there is none.
pub async fn find(session: &Session, table: &TableReference) -> Result<u32, Error> {
    let client = session.client();
    let visible = "SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.relname = $1::text AND pg_catalog.pg_table_is_visible(c.oid)";
    let doing = "looking the table up";
    let found: Option<u32> = match table {
        TableReference::Name(TableName { schema: Some(schema), name }) => client
            .query_opt(
                "SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1::text AND c.relname = $2::text",
                &[&schema.as_str(), &name.as_str()],
            )
            .await
            .doing(doing)?
            .map(|row| row.get(0)),
        TableReference::Name(TableName { schema: None, name }) => {
            client.query_opt(visible, &[&name.as_str()]).await.doing(doing)?.map(|row| row.get(0))
        }
        TableReference::Text(text) => match client.query_opt(visible, &[text]).await.doing(doing)? {
            Some(row) => Some(row.get(0)),
            None => client
                .query_one("SELECT pg_catalog.to_regclass($1)::oid", &[text])
                .await
                .map_err(|_| Error::Usage(format!("`{text}` is not a table name")))?
                .get(0),
        },
    };
    found.ok_or_else(|| {
        let shown = match table {
            TableReference::Text(text) => text.clone(),
            TableReference::Name(name) => name.plain(),
        };
        Error::Usage(format!("there is no table `{shown}` in the database"))
    })
}

/// Reads everything about a table.
///
/// # Errors
/// When there is no such table, or the catalog cannot be read.
pub async fn read(session: &Session, table: &TableReference) -> Result<LiveTable, Error> {
    let relation = find(session, table).await?;
    let client = session.client();
    let row = client
        .query_one(
            "SELECT n.nspname::text, c.relname::text, c.relkind::text, c.relispartition, \
             (SELECT pg_catalog.max(i.inhparent::pg_catalog.regclass::text) FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid) \
             FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = $1",
            &[&relation],
        )
        .await
        .doing("reading the table")?;
    let name = TableName::new(Some(row.get(0)), row.get(1))?;
    let kind = match row.get::<_, String>(2).as_str() {
        "r" | "p" => TableKind::Table,
        "f" => TableKind::ForeignTable,
        "v" | "m" => TableKind::View,
        other => return Err(Error::Usage(format!("`{}` is not a table (relkind `{other}`)", name.plain()))),
    };
    if row.get(3) {
        let parent: Option<String> = row.get(4);
        let text = format!(
            "`{}` is a partition: name its parent `{}`, whose trigger reaches all partitions",
            name.plain(),
            parent.unwrap_or_default()
        );
        return Err(Refusal::Other(text).into());
    }
    let tree = tree(session, relation).await?;
    let facts = TableFacts {
        kind,
        columns: columns(session, relation).await?,
        columns_known: true,
        children: tree.iter().skip(1).filter(|part| !part.partition).map(|part| part.name.clone()).collect(),
        partition_key: partition_key(session, relation).await?,
        triggers: triggers(session, relation).await?,
        views: views(session, relation).await?,
        rules: rules(session, relation).await?,
        name,
    };
    Ok(LiveTable { relation, facts, tree })
}

const TREE: &str = "WITH RECURSIVE tree(relation, depth) AS (\
       SELECT $1::oid, 0 UNION SELECT i.inhrelid, tree.depth + 1 FROM pg_catalog.pg_inherits AS i \
       JOIN tree ON i.inhparent = tree.relation WHERE NOT i.inhdetachpending\
   ) ";

async fn tree(session: &Session, relation: u32) -> Result<Vec<Part>, Error> {
    let rows = session
        .client()
        .query(
            &format!(
                "{TREE} SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text = 'r', c.relispartition, \
                 COALESCE((SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.n) FROM pg_catalog.pg_index AS i \
                     CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n) \
                     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
                     WHERE i.indrelid = c.oid AND i.indisprimary), '{{}}') \
                 FROM (SELECT relation, pg_catalog.min(depth) AS depth FROM tree GROUP BY relation) AS tree \
                 JOIN pg_catalog.pg_class AS c ON c.oid = tree.relation \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace ORDER BY tree.depth, n.nspname, c.relname"
            ),
            &[&relation],
        )
        .await
        .doing("listing what is below the table")?;
    rows.iter()
        .map(|row| {
            Ok(Part {
                relation: row.get(0),
                name: TableName::new(Some(row.get(1)), row.get(2))?,
                has_rows: row.get(3),
                partition: row.get(4),
                key: row.get(5),
            })
        })
        .collect()
}

async fn columns(session: &Session, relation: u32) -> Result<Vec<ColumnFacts>, Error> {
    let rows = session
        .client()
        .query(
            "SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), \
             CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END, a.attnotnull, \
             CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, \
             a.attgenerated <> '', a.attidentity <> '' \
             FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
             LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            &[&relation],
        )
        .await
        .doing("reading the columns")?;
    Ok(rows
        .iter()
        .map(|row| {
            let type_text: String = row.get(1);
            let base: Option<String> = row.get(2);
            let read = types::read(base.as_ref().unwrap_or(&type_text));
            ColumnFacts {
                name: row.get(0),
                data_type: read.unwrap_or_else(|| DataType::named(&type_text)),
                type_text,
                not_null: row.get(3),
                default: row.get(4),
                generated: row.get(5),
                identity: row.get(6),
            }
        })
        .collect())
}

async fn partition_key(session: &Session, relation: u32) -> Result<Vec<String>, Error> {
    let rows = session
        .client()
        .query(
            &format!(
                "{TREE} SELECT DISTINCT a.attname::text FROM tree JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = tree.relation \
                 JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum > 0 AND (a.attnum = ANY(p.partattrs::int2[]) \
                 OR EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                     AND d.objid = p.partrelid AND d.objsubid = a.attnum AND d.deptype = 'i' \
                     AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = p.partrelid \
                     AND d.refobjsubid = 0)) ORDER BY 1"
            ),
            &[&relation],
        )
        .await
        .doing("reading the partition key")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn triggers(session: &Session, relation: u32) -> Result<Vec<TriggerFacts>, Error> {
    // Bits of tgtype (pg_trigger.h): 1 row, 2 before, 4 insert, 16 update.
    let rows = session
        .client()
        .query(
            "SELECT t.tgname::text, p.proname::text, CASE WHEN l.lanname IN ('plpgsql', 'sql') THEN p.prosrc END \
             FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid \
             JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang \
             WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND t.tgenabled <> 'D' \
             AND (t.tgtype & 3) = 3 AND (t.tgtype & 20) <> 0 ORDER BY t.tgname",
            &[&relation],
        )
        .await
        .doing("reading the triggers")?;
    Ok(rows.iter().map(|row| TriggerFacts { name: row.get(0), function: row.get(1), body: row.get(2) }).collect())
}

async fn views(session: &Session, relation: u32) -> Result<Vec<(String, Vec<String>)>, Error> {
    let rows = session
        .client()
        .query(
            "SELECT r.ev_class::pg_catalog.regclass::text, pg_catalog.array_agg(DISTINCT a.attname::text) \
             FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
             WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
             AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 AND d.refobjsubid > 0 \
             AND r.ev_class <> $1 GROUP BY r.ev_class ORDER BY 1",
            &[&relation],
        )
        .await
        .doing("reading the views")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn rules(session: &Session, relation: u32) -> Result<Vec<String>, Error> {
    let rows = session
        .client()
        .query(
            "SELECT r.rulename::text FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = $1 AND r.rulename <> '_RETURN' \
             ORDER BY 1",
            &[&relation],
        )
        .await
        .doing("reading the rules")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// A trigger as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledTrigger {
    /// Bits of `pg_trigger.tgtype`.
    pub kind: i16,
    /// `O` fires for the origin alone, `A` always, `R` for a replica alone, `D` never.
    pub enabled: String,
    /// The condition as the server prints it.
    pub when: Option<String>,
    pub function: u32,
    pub arguments: bool,
    pub update_of: bool,
}

/// The trigger of that name on each relation that has it.
pub async fn installed_triggers(
    session: &Session,
    tree: &[Part],
    name: &str,
) -> Result<BTreeMap<u32, InstalledTrigger>, Error> {
    let relations: Vec<u32> = tree.iter().map(|part| part.relation).collect();
    let rows = session
        .client()
        .query(
            "SELECT t.tgrelid, t.tgtype, t.tgenabled::text, pg_catalog.pg_get_triggerdef(t.oid), t.tgfoid, t.tgnargs > 0, \
             t.tgattr::text <> '' \
             FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = ANY($1::oid[]) AND t.tgname = $2::text",
            &[&relations, &name],
        )
        .await
        .doing("reading the installed triggers")?;
    Ok(rows
        .iter()
        .map(|row| {
            let definition: String = row.get(3);
            let trigger = InstalledTrigger {
                kind: row.get(1),
                enabled: row.get(2),
                when: condition(&definition),
                function: row.get(4),
                arguments: row.get(5),
                update_of: row.get(6),
            };
            (row.get(0), trigger)
        })
        .collect())
}

/// The text between `WHEN (` and its parenthesis, as `pg_get_triggerdef` prints it.
pub(crate) fn condition(definition: &str) -> Option<String> {
    let (_, rest) = definition.split_once(" FOR EACH ROW WHEN (")?;
    let (condition, _) = rest.rsplit_once(") EXECUTE FUNCTION ")?;
    Some(condition.to_owned())
}

/// A function as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledFunction {
    pub oid: u32,
    pub body: String,
    pub language: String,
    pub search_path: bool,
    /// Triggers that call it, in the whole database.
    pub used: bool,
}

/// The function of that name without arguments in a schema.
pub async fn installed_function(
    session: &Session,
    schema: &str,
    name: &str,
) -> Result<Option<InstalledFunction>, Error> {
    let row = session
        .client()
        .query_opt(
            "SELECT p.oid, p.prosrc, l.lanname::text, \
             EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) AS s WHERE s LIKE 'search\\_path=%'), \
             EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgfoid = p.oid) \
             FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
             JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang \
             WHERE n.nspname = $1::text AND p.proname = $2::text AND p.pronargs = 0",
            &[&schema, &name],
        )
        .await
        .doing("reading the installed function")?;
    Ok(row.map(|row| InstalledFunction {
        oid: row.get(0),
        body: row.get(1),
        language: row.get(2),
        search_path: row.get(3),
        used: row.get(4),
    }))
}

/// Functions of mirrors that no trigger calls, in the whole database.
pub async fn orphans(session: &Session) -> Result<Vec<QualifiedName>, Error> {
    let rows = session
        .client()
        .query(
            "SELECT n.nspname::text, p.proname::text FROM pg_catalog.pg_proc AS p \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
             WHERE pg_catalog.starts_with(p.proname::text, $1) AND p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgfoid = p.oid) ORDER BY 1, 2",
            &[&names::PREFIX],
        )
        .await
        .doing("looking for functions without a trigger")?;
    rows.iter()
        .map(|row| {
            Ok(QualifiedName::new(
                zdm_conn::Ident::new(row.get::<_, String>(0))?,
                zdm_conn::Ident::new(row.get::<_, String>(1))?,
            ))
        })
        .collect()
}

/// Triggers of mirrors in the whole database: table and name; those of partitions are their parent's.
pub async fn all_triggers(session: &Session) -> Result<Vec<(TableName, u32, String)>, Error> {
    let rows = session
        .client()
        .query(
            "SELECT n.nspname::text, c.relname::text, c.oid, t.tgname::text FROM pg_catalog.pg_trigger AS t \
             JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE pg_catalog.starts_with(t.tgname::text, $1) AND NOT c.relispartition \
             ORDER BY 1, 2, 4",
            &[&names::PREFIX],
        )
        .await
        .doing("looking for mirrors")?;
    rows.iter().map(|row| Ok((TableName::new(Some(row.get(0)), row.get(1))?, row.get(2), row.get(3)))).collect()
}

/// What a database has on a column that migrations rarely say: statistics target, storage, options, privileges.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn extras(
    session: &Session,
    table: &zdm_postgres::QualifiedName,
    column: &str,
) -> Result<Option<ColumnExtras>, Error> {
    let schema = table.schema.as_ref().map_or("public", zdm_postgres::Ident::as_str);
    let doing = "reading a column's settings";
    // Before 17 the default target is -1, since then NULL.
    let Some(row) = session
        .client()
        .query_opt(
            "SELECT a.attrelid, a.attnum, CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::int4 END, \
             CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage::text WHEN 'p' THEN 'PLAIN' \
               WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END, \
             COALESCE(a.attoptions, '{}') \
             FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
             JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1::text AND c.relname = $2::text AND a.attname = $3::text AND NOT a.attisdropped",
            &[&schema, &table.name.as_str(), &column],
        )
        .await
        .doing(doing)?
    else {
        return Ok(None);
    };
    let (relation, number): (u32, i16) = (row.get(0), row.get(1));
    let grants = session
        .client()
        .query(
            "SELECT g.privilege_type::text, r.rolname::text, g.is_grantable FROM pg_catalog.pg_attribute AS a \
             CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS g LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee \
             WHERE a.attrelid = $1 AND a.attnum = $2 ORDER BY 2, 1",
            &[&relation, &number],
        )
        .await
        .doing(doing)?
        .iter()
        .map(|row| ColumnGrant { privilege: row.get(0), role: row.get(1), with_grant_option: row.get(2) })
        .collect();
    Ok(Some(ColumnExtras {
        table: table.clone(),
        column: column.to_owned(),
        statistics: row.get(2),
        storage: row.get(3),
        options: row.get(4),
        grants,
    }))
}

/// What stays behind with the old column of a swap, a sentence each: objects that know it by its number.
///
/// # Errors
/// When the catalog cannot be read.
pub async fn left_behind(
    session: &Session,
    table: &zdm_postgres::QualifiedName,
    column: &str,
) -> Result<Vec<String>, Error> {
    let schema = table.schema.as_ref().map_or("public", zdm_postgres::Ident::as_str);
    let rows = session
        .client()
        .query(
            "WITH col AS (SELECT a.attrelid, a.attnum FROM pg_catalog.pg_attribute AS a \
               JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1::text AND c.relname = $2::text AND a.attname = $3::text AND NOT a.attisdropped) \
             SELECT 'the statistics object `' || s.stxname || '`' FROM pg_catalog.pg_statistic_ext AS s, col \
               WHERE s.stxrelid = col.attrelid AND col.attnum = ANY(s.stxkeys::int2[]) \
             UNION ALL SELECT DISTINCT 'the view `' || r.ev_class::pg_catalog.regclass::text || '`' \
               FROM pg_catalog.pg_depend AS d JOIN col ON d.refobjid = col.attrelid AND d.refobjsubid = col.attnum \
               JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid \
               WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.ev_class <> col.attrelid \
             UNION ALL SELECT 'the policy `' || p.polname || '`' FROM pg_catalog.pg_depend AS d \
               JOIN col ON d.refobjid = col.attrelid AND d.refobjsubid = col.attnum \
               JOIN pg_catalog.pg_policy AS p ON p.oid = d.objid \
               WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass \
             ORDER BY 1",
            &[&schema, &table.name.as_str(), &column],
        )
        .await
        .doing("reading what depends on a column")?;
    Ok(rows
        .iter()
        .map(|row| {
            let what: String = row.get(0);
            format!("{what} is on the old column of `{table}` and stays with it: make it anew behind the swap")
        })
        .collect())
}
