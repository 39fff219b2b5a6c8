//! Reads SQL files and prints one JSON object for each statement: where it is, what it is, what it names.
//!
//! `cargo run -p zdm-sql --example read -- FILE…` serves comparisons with other readers of PostgreSQL's SQL.

use std::io::Write;

use serde_json::json;
use zdm_postgres::Statement;
use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::{AlterTableAction, Dml, Query};

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for path in std::env::args().skip(1) {
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        for parsed in zdm_sql::parse(&text) {
            let debug = format!("{:?}", parsed.statement);
            let kind = debug.split([' ', '(', '{']).next().unwrap_or_default();
            let (reason, query) = match &parsed.statement {
                Statement::Opaque(opaque) => (opaque.reason.as_str(), None),
                Statement::AlterTable(alter)
                    if alter.actions.iter().any(|action| matches!(action, AlterTableAction::Unknown { .. })) =>
                {
                    ("unknown action", None)
                }
                Statement::Select(query) => ("", Some(query)),
                Statement::CreateView(view) => ("", Some(&view.query)),
                Statement::CreateTableAs(table) => ("", Some(&table.query)),
                Statement::Insert(Dml { query, .. })
                | Statement::Update(Dml { query, .. })
                | Statement::Delete(Dml { query, .. })
                | Statement::Merge(Dml { query, .. }) => ("", Some(query)),
                _ => ("", None),
            };
            let predicate = match &parsed.statement {
                Statement::Update(Dml { predicate, .. }) | Statement::Delete(Dml { predicate, .. }) => {
                    predicate.as_ref()
                }
                _ => None,
            };
            let line = json!({
                "path": path,
                "start": parsed.span.start,
                "end": parsed.span.end,
                "text": text.get(parsed.span.range()).unwrap_or_default(),
                "kind": kind,
                "reason": reason,
                "reads": query.map(reads),
                "functions": query.map(|query| query.functions.iter().map(ToString::to_string).collect::<Vec<_>>()),
                "columns": query.map(|query| query.columns.iter().map(ToString::to_string).collect::<Vec<_>>()),
                "locked": query.map(|query| query.locked.iter().map(ToString::to_string).collect::<Vec<_>>()),
                "expressions": query.map(|query| {
                    let mut all: Vec<_> = query.output.iter().map(|column| &column.expr).collect();
                    all.extend(predicate);
                    all.into_iter().map(|expr| json!([&*expr.text, canonical(&expr.node)])).collect::<Vec<_>>()
                }),
                "debug": debug,
            });
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

fn reads(query: &Query) -> Vec<String> {
    query.relations.iter().map(ToString::to_string).collect()
}

/// The structure without spellings: prefix notation in parentheses.
fn canonical(node: &ExprNode) -> String {
    let list = |nodes: &[ExprNode]| nodes.iter().map(canonical).collect::<Vec<_>>().join(" ");
    let not = |negated: bool| if negated { "not-" } else { "" };
    match node {
        ExprNode::Null => "null".to_owned(),
        ExprNode::Bool(value) => value.to_string(),
        ExprNode::Number(number) => number.clone(),
        ExprNode::Text(text) => format!("{text:?}"),
        ExprNode::Column { qualifier: Some(qualifier), name } => format!("{qualifier}.{name}"),
        ExprNode::Column { qualifier: None, name } => format!("{name}"),
        ExprNode::Default => "default".to_owned(),
        ExprNode::Call { function, args, .. } => format!("(call {function} {})", list(args)),
        ExprNode::Cast { expr, data_type } => format!("(cast {} {data_type})", canonical(expr)),
        ExprNode::Not(expr) => format!("(not {})", canonical(expr)),
        ExprNode::And(nodes) => format!("(and {})", list(nodes)),
        ExprNode::Or(nodes) => format!("(or {})", list(nodes)),
        ExprNode::Prefix { operator, expr } => format!("({operator} {})", canonical(expr)),
        ExprNode::Infix { operator, left, right } => format!("({operator} {} {})", canonical(left), canonical(right)),
        ExprNode::IsNull { expr, negated } => format!("({}null? {})", not(*negated), canonical(expr)),
        ExprNode::IsTruth { expr, value, negated } => format!("({}is {} {value:?})", not(*negated), canonical(expr)),
        ExprNode::IsDistinctFrom { left, right, negated } => {
            format!("({}distinct {} {})", not(*negated), canonical(left), canonical(right))
        }
        ExprNode::InList { expr, list: items, negated } => {
            format!("({}in {} {})", not(*negated), canonical(expr), list(items))
        }
        ExprNode::Between { expr, low, high, negated } => {
            format!("({}between {} {} {})", not(*negated), canonical(expr), canonical(low), canonical(high))
        }
        ExprNode::Like { operator, expr, pattern, negated } => {
            format!("({}{operator} {} {})", not(*negated), canonical(expr), canonical(pattern))
        }
        ExprNode::Case { operand, branches, otherwise } => {
            let branches: Vec<String> =
                branches.iter().map(|(when, then)| format!("[{} {}]", canonical(when), canonical(then))).collect();
            let optional = |node: &Option<Box<ExprNode>>| node.as_ref().map_or("-".to_owned(), |node| canonical(node));
            format!("(case {} {} {})", optional(operand), branches.join(" "), optional(otherwise))
        }
        ExprNode::Array(nodes) => format!("(array {})", list(nodes)),
        ExprNode::Row(nodes) => format!("(row {})", list(nodes)),
        ExprNode::Collate { expr, collation } => format!("(collate {} {collation})", canonical(expr)),
        ExprNode::AtTimeZone { expr, zone } => format!("(zone {} {})", canonical(expr), canonical(zone)),
        ExprNode::Subscript { expr, index } => format!("(at {} {})", canonical(expr), canonical(index)),
        ExprNode::Subquery { .. } => "(subquery)".to_owned(),
        ExprNode::Other { .. } => "(other)".to_owned(),
    }
}
