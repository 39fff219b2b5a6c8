//! ZDM301: one statement changes all or many rows of a table.

use zdm_django::editor::PLACEHOLDER;
use zdm_postgres::catalog::{ConstraintKind, Table};
use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::{Dml, IndexKey, Query};
use zdm_postgres::{Ident, Statement};
use zdm_replay::Step;
use zdm_source::{Diagnostic, Severity};

use crate::context::{Cx, shortened};
use crate::words::{end_of_transaction, set_option};

/// Which rows a statement changes.
enum Extent {
    Whole,
    /// Those that another table has something for.
    Joined,
    Null(Ident),
    /// Those that a condition chooses, how many is not known.
    Chosen,
    /// Those of certain keys.
    Few,
}

pub fn check(cx: &Cx<'_>, out: &mut Vec<Diagnostic>) {
    for step in cx.accepted() {
        for statement in changes(&step.statement) {
            report(cx, step, statement, out);
        }
    }
}

/// The statement itself and those in its common table expressions.
fn changes(statement: &Statement) -> Vec<&Statement> {
    let (own, query): (bool, Option<&Query>) = match statement {
        Statement::Update(dml) | Statement::Delete(dml) | Statement::Merge(dml) => (true, Some(&dml.query)),
        Statement::Insert(dml) => (false, Some(&dml.query)),
        Statement::Select(query) => (false, Some(query)),
        _ => (false, None),
    };
    let inner = query.into_iter().flat_map(|query| &query.modifies);
    own.then_some(statement).into_iter().chain(inner).collect()
}

fn report(cx: &Cx<'_>, step: &Step, statement: &Statement, out: &mut Vec<Diagnostic>) {
    let (dml, verb) = match statement {
        Statement::Update(dml) => (dml, "updating"),
        Statement::Delete(dml) => (dml, "deleting"),
        Statement::Merge(dml) => (dml, "merging into"),
        _ => return,
    };
    if !cx.existed(step, &dml.table) {
        return;
    }
    let table = &dml.table;
    let known = step.catalog_before.table(table);
    let extent = match statement {
        Statement::Merge(_) => Extent::Chosen,
        // The schema editor's own UPDATE fills every row that holds NULL.
        _ if !step.raw => Extent::Null(dml.columns.first().cloned().unwrap_or_else(|| Ident::new("it"))),
        _ => extent(dml, known.map(AsRef::as_ref)),
    };
    let rows = match &extent {
        Extent::Whole => format!("every row of `{table}`"),
        Extent::Joined => format!("every row of `{table}` that the join finds"),
        Extent::Null(column) if dml.columns.first() == Some(column) => {
            format!("every row of `{table}` where it is NULL")
        }
        Extent::Null(column) => format!("every row of `{table}` where `{column}` is NULL"),
        Extent::Chosen => match &dml.predicate {
            Some(predicate) => {
                format!(
                    "the rows of `{table}` where `{}`",
                    shortened(&predicate.text.replace(PLACEHOLDER, "…").replace("%s", "…"), 60)
                )
            }
            None => format!("the rows of `{table}` that match"),
        },
        Extent::Few => return,
    };
    let column = dml.columns.first().filter(|_| verb == "updating").map(|column| format!(" `{column}` in"));
    let column = column.unwrap_or_default();
    let end = if step.transaction.is_some() { end_of_transaction(cx) } else { "it is done" };
    let many = if matches!(extent, Extent::Chosen) {
        format!("however many they are, until {end}: their writers wait")
    } else {
        format!("until {end}: writers of these rows wait for all of it")
    };
    let mut diagnostic = cx
        .at_step(
            step,
            format!(
                "{verb}{column} {rows} in one statement locks those rows{} {many}",
                if matches!(extent, Extent::Chosen) { "," } else { "" }
            ),
        )
        .with_fact(format!(
            "{}: replicas lag, and vacuum cannot clean up before the end; the statement is `{}`",
            if matches!(statement, Statement::Delete(_)) {
                "the deleted rows stay in the table and its indexes until a vacuum after it"
            } else {
                "each row is written anew, and the table and its indexes grow"
            },
            shortened(&step.sql, 90)
        ));
    diagnostic = match statement {
        Statement::Update(_) => {
            let target = dml.columns.first().cloned().unwrap_or_else(|| Ident::new("column"));
            let more = if dml.columns.len() > 1 { " …" } else { "" };
            diagnostic.with_help(format!(
                "fill {} in batches outside of the migration: `zdm backfill run --table {table} --set {}{more}`",
                if more.is_empty() { "it" } else { "them" },
                set_option(&target, "…")
            ))
        }
        Statement::Delete(_) => {
            diagnostic.with_help("delete in batches outside of the migration, by primary key ranges")
        }
        _ => diagnostic.with_help("work in batches outside of the migration, by primary key ranges"),
    };
    let own = cx.config.own_severity(cx.page, cx.migration.migration.file.path()).is_some();
    if matches!(extent, Extent::Chosen) && !own {
        cx.weigh_work(table, None, &mut diagnostic);
        let large = diagnostic.severity == Severity::Error;
        diagnostic.severity = if large { Severity::Warning } else { Severity::Info };
    } else {
        cx.weigh(table, &mut diagnostic);
    }
    out.push(diagnostic);
}

/// The statement names the rows that it changes by their keys.
pub(crate) fn changes_few(step: &Step) -> bool {
    let (Statement::Update(dml) | Statement::Delete(dml)) = &step.statement else { return false };
    matches!(extent(dml, step.catalog_before.table(&dml.table).map(AsRef::as_ref)), Extent::Few)
}

fn extent(dml: &Dml, table: Option<&Table>) -> Extent {
    let Some(predicate) = &dml.predicate else { return Extent::Whole };
    let mut terms = Vec::new();
    conjuncts(&predicate.node, &mut terms);
    let key: Vec<&Ident> = table
        .and_then(Table::primary_key)
        .and_then(|constraint| match &constraint.kind {
            ConstraintKind::PrimaryKey { columns, .. } => Some(columns.iter().collect()),
            _ => None,
        })
        .unwrap_or_default();
    if table.is_some_and(|table| names_one_row(table, &terms)) {
        return Extent::Few;
    }
    let mut found = Extent::Whole;
    for term in terms {
        match term {
            _ if is_true(term) => {}
            _ if is_join(term) => {
                if matches!(found, Extent::Whole) {
                    found = Extent::Joined;
                }
            }
            _ if names_key(term, &key) => return Extent::Few,
            ExprNode::IsNull { expr, negated: false } if matches!(found, Extent::Whole) => match &**expr {
                ExprNode::Column { name, .. } => found = Extent::Null(name.clone()),
                _ => found = Extent::Chosen,
            },
            _ => found = Extent::Chosen,
        }
    }
    found
}

fn conjuncts<'a>(node: &'a ExprNode, into: &mut Vec<&'a ExprNode>) {
    match node {
        ExprNode::And(list) => list.iter().for_each(|part| conjuncts(part, into)),
        _ => into.push(node),
    }
}

/// `true`, `1 = 1`.
fn is_true(term: &ExprNode) -> bool {
    match term {
        ExprNode::Bool(true) => true,
        ExprNode::Infix { operator, left, right } => {
            let literal = matches!(**left, ExprNode::Number(_) | ExprNode::Text(_));
            operator == "=" && literal && left == right
        }
        _ => false,
    }
}

/// A column is a column of another table.
fn is_join(term: &ExprNode) -> bool {
    let ExprNode::Infix { operator, left, right } = term else { return false };
    match (&**left, &**right) {
        (ExprNode::Column { qualifier: one, .. }, ExprNode::Column { qualifier: other, .. }) => {
            operator == "=" && one != other
        }
        _ => false,
    }
}

/// The values of all columns of a unique index are given.
fn names_one_row(table: &Table, terms: &[&ExprNode]) -> bool {
    let given = |column: &Ident| {
        let is_it = |node: &ExprNode| matches!(node, ExprNode::Column { name, .. } if name == column);
        let is_value = |node: &ExprNode| !matches!(node, ExprNode::Column { .. });
        terms.iter().any(|term| match term {
            ExprNode::Infix { operator, left, right } => {
                operator == "=" && (is_it(left) && is_value(right) || is_it(right) && is_value(left))
            }
            ExprNode::InList { expr, list, negated: false } => {
                is_it(expr) && !list.iter().any(|item| matches!(item, ExprNode::Subquery { .. }))
            }
            _ => false,
        })
    };
    is_unique(table, given)
}

/// No two rows have the same values in these columns.
pub(crate) fn is_unique(table: &Table, given: impl Fn(&Ident) -> bool) -> bool {
    let unique = table.indexes.iter().filter(|index| index.unique && index.valid && index.predicate.is_none());
    unique.into_iter().any(|index| {
        index.elements.iter().all(|element| match &element.key {
            IndexKey::Column(column) => given(column),
            IndexKey::Expr(_) => false,
        })
    })
}

/// The key is compared with something: certain rows, or a range as batches have it.
fn names_key(term: &ExprNode, key: &[&Ident]) -> bool {
    let is_key = |node: &ExprNode| matches!(node, ExprNode::Column { name, .. } if key.contains(&name) || (key.is_empty() && name.as_str() == "id"));
    match term {
        ExprNode::Infix { operator, left, right } => {
            matches!(operator.as_str(), "=" | "<" | "<=" | ">" | ">=") && (is_key(left) || is_key(right))
        }
        ExprNode::Between { expr, negated: false, .. } => is_key(expr),
        // A list that a query makes may be long.
        ExprNode::InList { expr, list, negated: false } => {
            is_key(expr) && !list.iter().any(|item| matches!(item, ExprNode::Subquery { .. }))
        }
        // `id IN (SELECT … LIMIT 1000)`, as batches have it.
        ExprNode::Other { text, parts, .. } => {
            let by_row = matches!(parts.first(), Some(ExprNode::Column { name, .. }) if name.as_str() == "ctid");
            parts.first().is_some_and(|first| by_row || is_key(first)) && is_limited(text)
        }
        _ => false,
    }
}

/// The subquery of this text returns a batch of rows at most: its own LIMIT says so, not one of a subquery inside.
fn is_limited(text: &str) -> bool {
    const BATCH: u64 = 100_000;
    let (mut depth, mut own, mut limited) = (0_u32, None, false);
    let mut word = String::new();
    let mut before = String::new();
    for character in text.chars().chain([' ']) {
        if character.is_alphanumeric() || character == '_' {
            word.push(character.to_ascii_lowercase());
            continue;
        }
        if !word.is_empty() {
            if word == "not" && own.is_none() {
                return false;
            }
            if word == "select" && own.is_none() {
                own = Some(depth);
            }
            if own == Some(depth) && before == "limit" {
                limited = word.parse::<u64>().is_ok_and(|limit| limit <= BATCH);
            }
            before = std::mem::take(&mut word);
        }
        match character {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    limited
}
