//! What the reader makes of SQL, in the notation that `compare.py` compares with PostgreSQL's own grammar.

use serde_json::{Value, json};
use zdm_postgres::Statement;
use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::{AlterTableAction, Dml, Query};

/// One JSON object for each statement of a text: where it is, what it is, what it names.
pub(crate) fn statements(path: &str, text: &str) -> Vec<Value> {
    zdm_sql::parse(text)
        .iter()
        .map(|parsed| {
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
            json!({
                "path": path,
                "text": text.get(parsed.span.range()).unwrap_or_default(),
                "kind": kind,
                "reason": reason,
                "reads": query.map(reads),
                "expressions": query.map(|query| {
                    let mut all: Vec<_> = query.output.iter().map(|column| &column.expr).collect();
                    all.extend(predicate);
                    all.into_iter().map(|expr| json!([&*expr.text, canonical(&expr.node)])).collect::<Vec<_>>()
                }),
                "debug": debug,
            })
        })
        .collect()
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
        ExprNode::Quantified { operator, left, right, all } => {
            format!("({operator} {} {} {})", if *all { "all" } else { "any" }, canonical(left), canonical(right))
        }
        ExprNode::Between { symmetric: true, .. } | ExprNode::Like { escape: Some(_), .. } => "(other)".to_owned(),
        ExprNode::Between { expr, low, high, negated, .. } => {
            format!("({}between {} {} {})", not(*negated), canonical(expr), canonical(low), canonical(high))
        }
        ExprNode::Like { operator, expr, pattern, negated, .. } => {
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
        ExprNode::Field { expr, name } => format!("(field {} {name})", canonical(expr)),
        ExprNode::Subquery { .. } => "(subquery)".to_owned(),
        ExprNode::Other { .. } => "(other)".to_owned(),
    }
}
