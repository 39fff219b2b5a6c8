//! What the rows that running code writes hold: a value in columns that were NOT NULL before, and in columns that the
//! migration adds and that code does not know, what they are filled with. Tells whether a condition on them can be true.

use zdm_postgres::Statement;
use zdm_postgres::catalog::Table;
use zdm_postgres::expr::ExprNode;
use zdm_postgres::statement::AlterTableAction;
use zdm_postgres::{Ident, QualifiedName};

use crate::context::Cx;
use crate::rules::{alter_actions, new_columns};
use crate::words::{is_noop, python_operations};

/// What an expression is for the rows of running code.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    Null,
    /// A literal, casts taken off.
    Literal(ExprNode),
    /// A value that is not known.
    Value,
    /// A value that is not known, or NULL.
    Open,
}

/// The results that a condition can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Results {
    yes: bool,
    no: bool,
    null: bool,
}

const ANY: Results = Results { yes: true, no: true, null: true };
const NULL: Results = Results { yes: false, no: false, null: true };

impl Results {
    const fn of(value: bool) -> Self {
        Self { yes: value, no: !value, null: false }
    }

    const fn not(self) -> Self {
        Self { yes: self.no, no: self.yes, null: self.null }
    }

    const fn and(self, other: Self) -> Self {
        let null = (self.null && (other.null || other.yes)) || (other.null && self.yes);
        Self { yes: self.yes && other.yes, no: self.no || other.no, null }
    }
}

/// The rows of running code in one table.
pub(crate) struct OldRows<'a> {
    before: &'a Table,
    /// Columns that the migration adds, with what they hold.
    added: Vec<(Ident, Held)>,
}

impl<'a> OldRows<'a> {
    pub(crate) fn new(cx: &Cx<'_>, before: &'a Table, after: &Table) -> Self {
        let is_new = |name: &Ident| before.column(name.as_str()).is_none();
        let mut added = Vec::new();
        // What Python code or a trigger writes into a new column is not known.
        let fills = python_operations(cx).iter().any(|(_, run)| !is_noop(&run.code))
            || after.triggers.iter().any(|trigger| !before.triggers.contains(trigger));
        for step in cx.accepted() {
            for (table, column) in new_columns(step) {
                if *table != before.name || !is_new(&column.name) {
                    continue;
                }
                let held = if fills || fills_column(cx, &before.name, &column.name) {
                    Held::Open
                } else {
                    filled_with(column.default_expr().map(|default| &*default.node), after, &column.name)
                };
                added.push((column.name.clone(), held));
            }
        }
        Self { before, added }
    }

    /// The column is added by the migration, and NULL in these rows.
    pub(crate) fn leave_null(&self, column: &Ident) -> bool {
        self.column(column) == Held::Null
    }

    pub(crate) fn can_be_true(&self, condition: &ExprNode) -> bool {
        self.results(condition).yes
    }

    pub(crate) fn can_be_false(&self, condition: &ExprNode) -> bool {
        self.results(condition).no
    }

    fn column(&self, name: &Ident) -> Held {
        if let Some((_, held)) = self.added.iter().find(|(added, _)| added == name) {
            return held.clone();
        }
        match self.before.column(name.as_str()) {
            Some(column) if column.not_null => Held::Value,
            _ => Held::Open,
        }
    }

    fn value(&self, node: &ExprNode) -> Held {
        match node {
            ExprNode::Column { name, .. } => self.column(name),
            _ => literal(node),
        }
    }

    fn results(&self, node: &ExprNode) -> Results {
        match node {
            ExprNode::Not(inner) => self.results(inner).not(),
            ExprNode::And(parts) => parts.iter().map(|part| self.results(part)).fold(Results::of(true), Results::and),
            // What is not the case of all is the case of one.
            ExprNode::Or(parts) => {
                parts.iter().map(|part| self.results(part).not()).fold(Results::of(true), Results::and).not()
            }
            ExprNode::IsNull { expr, negated } => {
                let is_null = match self.value(expr) {
                    Held::Null => Results::of(true),
                    Held::Literal(_) | Held::Value => Results::of(false),
                    Held::Open => Results { yes: true, no: true, null: false },
                };
                if *negated { is_null.not() } else { is_null }
            }
            ExprNode::Infix { operator, left, right } => self.comparison(operator, left, right),
            ExprNode::InList { expr, list, negated } => {
                let equal = list.iter().map(|item| self.comparison("=", expr, item).not());
                let none = equal.fold(Results::of(true), Results::and);
                if *negated { none } else { none.not() }
            }
            ExprNode::Column { .. } | ExprNode::Bool(_) | ExprNode::Null => match self.value(node) {
                Held::Null => NULL,
                Held::Literal(ExprNode::Bool(value)) => Results::of(value),
                Held::Literal(_) | Held::Value => Results { yes: true, no: true, null: false },
                Held::Open => ANY,
            },
            _ => ANY,
        }
    }

    fn comparison(&self, operator: &str, left: &ExprNode, right: &ExprNode) -> Results {
        if !matches!(operator, "=" | "<>" | "!=" | "<" | "<=" | ">" | ">=") {
            return ANY;
        }
        let (left, right) = match (self.value(left), self.value(right)) {
            (Held::Null, _) | (_, Held::Null) => return NULL,
            (Held::Literal(left), Held::Literal(right)) => (left, right),
            _ => return ANY,
        };
        // Other texts may be equal to the column's type; which of two is less is a matter of the type, too.
        let equal = match (&left, &right) {
            (ExprNode::Bool(left), ExprNode::Bool(right)) => left == right,
            (ExprNode::Number(left), ExprNode::Number(right)) => match (left.parse::<f64>(), right.parse::<f64>()) {
                (Ok(left), Ok(right)) => left.total_cmp(&right).is_eq(),
                _ => return ANY,
            },
            (ExprNode::Text(left), ExprNode::Text(right)) if left == right => true,
            _ => return ANY,
        };
        match operator {
            "=" => Results::of(equal),
            "<>" | "!=" => Results::of(!equal),
            "<=" | ">=" if equal => Results::of(true),
            "<" | ">" if equal => Results::of(false),
            _ => ANY,
        }
    }
}

/// What stands in a new column of the old rows and of those that code writes which does not name it: where both are the
/// same. That code cannot write rows at all where the column is NOT NULL and has no default.
fn filled_with(at_first: Option<&ExprNode>, after: &Table, name: &Ident) -> Held {
    let Some(column) = after.column(name.as_str()) else { return Held::Open };
    if column.generated.is_some() || column.identity.is_some() {
        return Held::Open;
    }
    let at_first = at_first.map_or(Held::Null, literal);
    let later = column.default.as_ref().map_or(Held::Null, |default| literal(&default.node));
    if later == at_first || (column.not_null && later == Held::Null) { at_first } else { Held::Open }
}

fn literal(node: &ExprNode) -> Held {
    match node {
        ExprNode::Null => Held::Null,
        ExprNode::Bool(_) | ExprNode::Number(_) | ExprNode::Text(_) => Held::Literal(node.clone()),
        ExprNode::Cast { expr, .. } => literal(expr),
        _ => Held::Open,
    }
}

/// A statement of the migration writes the column or makes it by another way than ADD COLUMN, or may do so unread.
fn fills_column(cx: &Cx<'_>, table: &QualifiedName, column: &Ident) -> bool {
    cx.accepted().any(|step| match &step.statement {
        Statement::Update(dml) | Statement::Insert(dml) | Statement::Merge(dml) => {
            dml.table == *table && (dml.columns.is_empty() || dml.columns.contains(column))
        }
        Statement::Opaque(_) | Statement::Do { .. } | Statement::Call { .. } | Statement::Select(_) => true,
        _ => alter_actions(step).any(|(alter, action)| {
            alter.name == *table
                && matches!(action, AlterTableAction::AlterColumnType { column: changed, .. } | AlterTableAction::RenameColumn { to: changed, .. } if changed == column)
        }),
    })
}
