//! The mirrors that `zdm mirror` writes, as the catalog has them: a trigger whose function copies columns.

use zdm_postgres::catalog::{Constraint, ConstraintKind, Table, Trigger};
use zdm_postgres::expr::ExprNode;
use zdm_postgres::{Catalog, Ident};
use zdm_sql::name_tokens;

/// How the names of mirrors' triggers and functions begin.
const PREFIX: &str = "zdm_mirror_";

/// Whether a trigger is a mirror's.
pub(crate) fn is_mirror(trigger: &Trigger) -> bool {
    trigger.name.as_str().starts_with(PREFIX) || trigger.function.name.as_str().starts_with(PREFIX)
}

/// The shadow columns of a table that are plain copies, with their sources.
pub(crate) fn copies(catalog: &Catalog, table: &Table) -> Vec<(Ident, Ident)> {
    let mut found = Vec::new();
    for trigger in table.triggers.iter().filter(|trigger| trigger.enabled && is_mirror(trigger)) {
        for line in body(catalog, trigger).unwrap_or_default().lines() {
            let names = name_tokens(line);
            if let [new, shadow, other, source] = names.as_slice()
                && new.name == "new"
                && other.name == "new"
                && shadow.after == ":="
                && source.after == ";"
            {
                found.push((shadow.name.clone(), source.name.clone()));
            }
        }
    }
    found
}

/// Whether a mirror gives the column a value where an INSERT does not name it: it assigns to the column from columns that
/// are never NULL themselves.
pub(crate) fn fills(catalog: &Catalog, table: &Table, column: &Ident) -> bool {
    let fires = |trigger: &&Trigger| {
        trigger.enabled
            && is_mirror(trigger)
            && trigger.for_each_row
            && trigger.timing.eq_ignore_ascii_case("BEFORE")
            && trigger.events.iter().any(|event| event.eq_ignore_ascii_case("INSERT"))
    };
    let never_null = |name: &Ident| table.column(name.as_str()).is_some_and(|column| column.not_null);
    table.triggers.iter().filter(fires).any(|trigger| {
        let body = body(catalog, trigger).unwrap_or_default();
        let names = name_tokens(body);
        names.windows(2).any(|pair| {
            let [row, assigned] = pair else { return false };
            let is_assignment =
                row.name == "new" && row.after == "." && assigned.name == *column && assigned.after == ":=";
            // A mirror's function has a line for each assignment.
            let value = body.get(assigned.span.range().end..).and_then(|rest| rest.split_once(";\n"));
            is_assignment && value.is_some_and(|(value, _)| columns_of_rows(value).iter().all(never_null))
        })
    })
}

/// Whether a mirror makes every row fulfil a check: its trigger fires for each row that does not.
pub(crate) fn keeps(table: &Table, constraint: &Constraint) -> bool {
    let ConstraintKind::Check { expr, .. } = &constraint.kind else { return false };
    let ExprNode::Not(violated) = &*expr.node else { return false };
    table.triggers.iter().filter(|trigger| trigger.enabled && is_mirror(trigger)).any(|trigger| {
        let fires_for = |event: &str| trigger.events.iter().any(|own| own.eq_ignore_ascii_case(event));
        let sees_all = fires_for("INSERT") && fires_for("UPDATE") && trigger.update_of.is_empty();
        sees_all && trigger.when.as_ref().is_some_and(|when| of_new(&when.node).as_ref() == Some(&**violated))
    })
}

/// A trigger's condition as an expression over the row alone; nothing where it reads the old row.
fn of_new(node: &ExprNode) -> Option<ExprNode> {
    fn strip(node: &mut ExprNode) -> bool {
        if let ExprNode::Column { qualifier, .. } = node
            && qualifier.take().is_none_or(|qualifier| qualifier != "new")
        {
            return false;
        }
        node.children_mut().into_iter().all(strip)
    }
    let mut node = node.clone();
    strip(&mut node).then_some(node)
}

/// The columns that a PL/pgSQL trigger function names as `NEW.column` or `OLD.column`, each once, in order.
pub(crate) fn columns_of_rows(body: &str) -> Vec<Ident> {
    let names = name_tokens(body);
    let mut columns: Vec<Ident> = Vec::new();
    for pair in names.windows(2) {
        if let [row, column] = pair
            && (row.name == "new" || row.name == "old")
            && row.after == "."
            && row.before != "."
            && column.before == "."
            && !columns.contains(&column.name)
        {
            columns.push(column.name.clone());
        }
    }
    columns
}

/// The text of a trigger's function, where it is known and in PL/pgSQL.
pub(crate) fn body<'a>(catalog: &'a Catalog, trigger: &Trigger) -> Option<&'a str> {
    let function = catalog.functions(&trigger.function).first()?;
    function.language.as_ref().filter(|language| **language == "plpgsql")?;
    function.body.as_deref()
}
