//! SQL expressions, as far as defaults, checks, predicates and index expressions need them.

use std::sync::Arc;

use crate::data_type::DataType;
use crate::name::{Ident, QualifiedName};
use crate::statement::Query;

/// An expression with the text it was read from. The text has no meaning for comparisons by meaning; use `node`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlExpr {
    pub text: Arc<str>,
    pub node: Arc<ExprNode>,
}

impl SqlExpr {
    pub fn new(text: impl Into<Arc<str>>, node: ExprNode) -> Self {
        Self { text: text.into(), node: Arc::new(node) }
    }
}

/// The structure of an expression. Redundant parentheses are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExprNode {
    Null,
    Bool(bool),
    /// A number as written.
    Number(String),
    /// A string literal's value, quotes and escapes resolved.
    Text(String),
    /// A column, with what stands before the dot.
    Column {
        qualifier: Option<Ident>,
        name: Ident,
    },
    /// `DEFAULT` where a value is expected.
    Default,
    /// A function call. `keyword`: `CURRENT_TIMESTAMP` and its kin, and those of the standard with words between their
    /// arguments, as `TRIM(… FROM …)`, which the server prints as they were written.
    Call {
        function: QualifiedName,
        args: Vec<ExprNode>,
        keyword: bool,
    },
    /// `expr::type`, `CAST(expr AS type)`, `type 'text'`.
    Cast {
        expr: Box<ExprNode>,
        data_type: DataType,
    },
    /// `NOT expr`.
    Not(Box<ExprNode>),
    /// A chain of AND, flattened on its left (`makeAndExpr`).
    And(Vec<ExprNode>),
    /// A chain of OR, flattened on its left.
    Or(Vec<ExprNode>),
    /// A prefix operator: `-x`, `@ x`.
    Prefix {
        operator: String,
        expr: Box<ExprNode>,
    },
    /// An infix operator: `=`, `<`, `||`, `->>`, `&&`, `OPERATOR(schema.+)` with its bare name.
    Infix {
        operator: String,
        left: Box<ExprNode>,
        right: Box<ExprNode>,
    },
    /// `expr IS [NOT] NULL`.
    IsNull {
        expr: Box<ExprNode>,
        negated: bool,
    },
    /// `expr IS [NOT] TRUE | FALSE | UNKNOWN`.
    IsTruth {
        expr: Box<ExprNode>,
        value: Option<bool>,
        negated: bool,
    },
    /// `left IS [NOT] DISTINCT FROM right`.
    IsDistinctFrom {
        left: Box<ExprNode>,
        right: Box<ExprNode>,
        negated: bool,
    },
    /// `expr [NOT] IN (a, b, …)`.
    InList {
        expr: Box<ExprNode>,
        list: Vec<ExprNode>,
        negated: bool,
    },
    /// `left operator ANY | ALL (right)` with an array on the right; `LIKE` as its operator.
    Quantified {
        operator: String,
        left: Box<ExprNode>,
        right: Box<ExprNode>,
        all: bool,
    },
    /// `expr [NOT] BETWEEN [SYMMETRIC] low AND high`.
    Between {
        expr: Box<ExprNode>,
        low: Box<ExprNode>,
        high: Box<ExprNode>,
        symmetric: bool,
        negated: bool,
    },
    /// `expr [NOT] LIKE | ILIKE | SIMILAR TO pattern [ESCAPE escape]`, the operator in upper case.
    Like {
        operator: String,
        expr: Box<ExprNode>,
        pattern: Box<ExprNode>,
        escape: Option<Box<ExprNode>>,
        negated: bool,
    },
    /// `CASE [operand] WHEN … THEN … [ELSE …] END`.
    Case {
        operand: Option<Box<ExprNode>>,
        branches: Vec<(ExprNode, ExprNode)>,
        otherwise: Option<Box<ExprNode>>,
    },
    /// `ARRAY[…]`.
    Array(Vec<ExprNode>),
    /// `(a, b)` or `ROW(a, b)`.
    Row(Vec<ExprNode>),
    /// `expr COLLATE name`.
    Collate {
        expr: Box<ExprNode>,
        collation: QualifiedName,
    },
    /// `expr AT TIME ZONE zone`.
    AtTimeZone {
        expr: Box<ExprNode>,
        zone: Box<ExprNode>,
    },
    /// `expr[subscript]`.
    Subscript {
        expr: Box<ExprNode>,
        index: Box<ExprNode>,
    },
    /// `(expr).attribute`.
    Field {
        expr: Box<ExprNode>,
        name: Ident,
    },
    /// A subquery with what it names.
    Subquery {
        kind: SubqueryKind,
        query: Box<Query>,
    },
    /// Read but not understood; `parts` are the operands that were.
    Other {
        text: String,
        parts: Vec<ExprNode>,
        /// The form was not read: the parts are what stands in it, of which a name may be a word of the form.
        words: bool,
        /// The first part is a call, the others stand with it.
        form: Option<Box<CallForm>>,
    },
}

/// What a subquery is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SubqueryKind {
    /// One value, or one row beside a row.
    #[default]
    Scalar,
    /// EXISTS.
    Exists,
    /// `ARRAY( … )`.
    Array,
    /// Behind IN, or behind ANY and ALL with their operator: the expression before it is compared with its rows.
    Tested { operator: String },
    /// One row for so many columns that an UPDATE sets at once.
    Assigned { columns: usize },
    /// One in an expression that was not read whole.
    Unknown,
}

/// What stands with the call of an aggregate or of a window function. Behind the call come the expressions of its ORDER BY,
/// the condition of FILTER, and what its window names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallForm {
    pub distinct: bool,
    /// ORDER BY stands in WITHIN GROUP.
    pub within: bool,
    /// How many expressions it is ordered by.
    pub order: usize,
    pub filter: bool,
    pub over: bool,
    /// The window that it names or begins with.
    pub window: Option<Ident>,
    /// How many expressions it divides by.
    pub partition: usize,
    /// RANGE, ROWS or GROUPS, and whether a number of rows or a distance stands behind it.
    pub frame: Option<(&'static str, bool)>,
    /// What the window names was not read.
    pub unread: bool,
}

impl CallForm {
    /// Of the parts of such a call: what it is ordered by, the condition, and what its window names.
    pub fn parts<'n>(&self, parts: &'n [ExprNode]) -> (&'n [ExprNode], Option<&'n ExprNode>, &'n [ExprNode]) {
        let behind = parts.get(1..).unwrap_or_default();
        let (order, behind) = behind.split_at(self.order.min(behind.len()));
        let (filter, window) = behind.split_at(usize::from(self.filter).min(behind.len()));
        (order, filter.first(), window)
    }
}

impl ExprNode {
    /// Calls `visit` for this node and all below it, outer before inner.
    pub fn walk(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// The operands, left to right.
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Text(_)
            | Self::Column { .. }
            | Self::Default
            | Self::Subquery { .. } => Vec::new(),
            Self::Call { args, .. } => args.iter().collect(),
            Self::Cast { expr, .. }
            | Self::Not(expr)
            | Self::Prefix { expr, .. }
            | Self::IsNull { expr, .. }
            | Self::IsTruth { expr, .. }
            | Self::Field { expr, .. }
            | Self::Collate { expr, .. } => vec![expr],
            Self::And(list) | Self::Or(list) | Self::Array(list) | Self::Row(list) => list.iter().collect(),
            Self::Infix { left, right, .. }
            | Self::Quantified { left, right, .. }
            | Self::IsDistinctFrom { left, right, .. } => vec![left, right],
            Self::InList { expr, list, .. } => std::iter::once(&**expr).chain(list).collect(),
            Self::Between { expr, low, high, .. } => vec![expr, low, high],
            Self::Like { expr, pattern, escape, .. } => {
                [expr, pattern].into_iter().chain(escape).map(|part| &**part).collect()
            }
            Self::Case { operand, branches, otherwise } => operand
                .iter()
                .map(|operand| &**operand)
                .chain(branches.iter().flat_map(|(when, then)| [when, then]))
                .chain(otherwise.iter().map(|otherwise| &**otherwise))
                .collect(),
            Self::AtTimeZone { expr, zone } => vec![expr, zone],
            Self::Subscript { expr, index } => vec![expr, index],
            Self::Other { parts, .. } => parts.iter().collect(),
        }
    }

    /// The operands, left to right, to be changed in place.
    pub fn children_mut(&mut self) -> Vec<&mut Self> {
        match self {
            Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::Text(_)
            | Self::Column { .. }
            | Self::Default
            | Self::Subquery { .. } => Vec::new(),
            Self::Call { args, .. } => args.iter_mut().collect(),
            Self::Cast { expr, .. }
            | Self::Not(expr)
            | Self::Prefix { expr, .. }
            | Self::IsNull { expr, .. }
            | Self::IsTruth { expr, .. }
            | Self::Field { expr, .. }
            | Self::Collate { expr, .. } => vec![expr],
            Self::And(list) | Self::Or(list) | Self::Array(list) | Self::Row(list) => list.iter_mut().collect(),
            Self::Infix { left, right, .. }
            | Self::Quantified { left, right, .. }
            | Self::IsDistinctFrom { left, right, .. } => vec![left, right],
            Self::InList { expr, list, .. } => std::iter::once(&mut **expr).chain(list).collect(),
            Self::Between { expr, low, high, .. } => vec![expr, low, high],
            Self::Like { expr, pattern, escape, .. } => {
                [expr, pattern].into_iter().chain(escape).map(|part| &mut **part).collect()
            }
            Self::Case { operand, branches, otherwise } => operand
                .iter_mut()
                .map(|operand| &mut **operand)
                .chain(branches.iter_mut().flat_map(|(when, then)| [when, then]))
                .chain(otherwise.iter_mut().map(|otherwise| &mut **otherwise))
                .collect(),
            Self::AtTimeZone { expr, zone } => vec![expr, zone],
            Self::Subscript { expr, index } => vec![expr, index],
            Self::Other { parts, .. } => parts.iter_mut().collect(),
        }
    }

    /// The columns it names, in order of appearance, each once.
    pub fn columns(&self) -> Vec<Ident> {
        let mut columns = Vec::new();
        self.walk(&mut |node| {
            if let Self::Column { name, .. } = node
                && !columns.contains(name)
            {
                columns.push(name.clone());
            }
        });
        columns
    }

    /// The columns it names for certain: a word inside [`Self::Other`] may be one of the syntax that is not read, as the
    /// type in `JSON_VALUE(… RETURNING int)`.
    pub(crate) fn certain_columns(&self) -> Vec<Ident> {
        let mut columns = Vec::new();
        for (_, name) in self.certain_references() {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        columns
    }

    /// The same in the order of the text, each with what stands before it.
    pub(crate) fn certain_references(&self) -> Vec<(Option<&Ident>, &Ident)> {
        fn collect<'n>(node: &'n ExprNode, references: &mut Vec<(Option<&'n Ident>, &'n Ident)>) {
            match node {
                ExprNode::Other { words: true, .. } => {}
                ExprNode::Column { qualifier, name } => references.push((qualifier.as_ref(), name)),
                node => node.children().into_iter().for_each(|child| collect(child, references)),
            }
        }
        let mut references = Vec::new();
        collect(self, &mut references);
        references
    }
}

/// The operator behind LIKE and ILIKE; SIMILAR TO has none of its own.
pub fn like_operator(operator: &str, negated: bool) -> Option<&'static str> {
    Some(match (operator, negated) {
        ("LIKE", false) => "~~",
        ("LIKE", true) => "!~~",
        ("ILIKE", false) => "~~*",
        ("ILIKE", true) => "!~~*",
        _ => return None,
    })
}
