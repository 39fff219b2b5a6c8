//! Definitions as the server prints them: `pg_get_expr`, `pg_get_constraintdef`, `pg_get_indexdef`.
//!
//! The server prints expressions after analysis: with the casts that it added itself, `IN` as `= ANY (ARRAY[…])`,
//! every operation in parentheses. So the types of columns and literals are followed here as far as operators and
//! functions of everyday constraints need it; what is not understood is printed as it was written.

mod operator;
mod row;
pub(crate) mod settled;
mod value;

use std::fmt::Write as _;

use self::operator::Compared;
pub(crate) use self::value::canonical;
use crate::catalog::{Catalog, Column, Constraint, ConstraintKind, Function, Index, Table, Trigger};
use crate::data_type::{DataType, quoted_if_needed};
use crate::expr::{ExprNode, SqlExpr};
use crate::name::{Ident, QualifiedName};
use crate::statement::{ConstraintAttributes, IndexElement, IndexKey};

/// A column's default as `pg_get_expr(adbin, adrelid)`; a generated column's expression as well.
pub fn default(catalog: &Catalog, table: &Table, column: &Column) -> Option<String> {
    let printer = Printer { catalog, table };
    if let Some(generated) = &column.generated {
        return Some(printer.top(&generated.expr, None));
    }
    // A constant of a domain is one of what the domain is over.
    let base = crate::cast::base_type(catalog, &column.data_type);
    column.default.as_ref().map(|default| printer.top(default, Some(&base)))
}

/// Whether two expressions are the same once the server has read them, each on the columns of its own table.
pub(crate) fn is_same(catalog: &Catalog, one: (&Table, &SqlExpr), other: (&Table, &SqlExpr)) -> bool {
    let printed = |(table, expr): (&Table, &SqlExpr)| Printer { catalog, table }.condition(expr);
    one.1.node == other.1.node || printed(one) == printed(other)
}

/// `pg_get_constraintdef(oid)`.
pub fn constraint(catalog: &Catalog, table: &Table, constraint: &Constraint) -> String {
    let printer = Printer { catalog, table };
    // Only a key WITHOUT OVERLAPS has an index of another method than btree.
    let overlaps = || match table.index(constraint.name.as_str()) {
        Some(index) if index.unique && index.method != "btree" => " WITHOUT OVERLAPS",
        _ => "",
    };
    let mut text = match &constraint.kind {
        ConstraintKind::Check { expr, no_inherit } => {
            let inherit = if *no_inherit { " NO INHERIT" } else { "" };
            format!("CHECK ({}){inherit}", printer.condition(expr))
        }
        ConstraintKind::PrimaryKey { columns, include } => {
            format!("PRIMARY KEY ({}{}){}", names(columns), overlaps(), included(include))
        }
        ConstraintKind::Unique { columns, include, nulls_not_distinct } => {
            let nulls = if *nulls_not_distinct { "NULLS NOT DISTINCT " } else { "" };
            format!("UNIQUE {nulls}({}{}){}", names(columns), overlaps(), included(include))
        }
        ConstraintKind::ForeignKey(key) => {
            let list = |columns: &[Ident]| match columns.split_last() {
                Some((last, [])) if key.period => format!("PERIOD {}", quoted_if_needed(last)),
                Some((last, rest)) if key.period => format!("{}, PERIOD {}", names(rest), quoted_if_needed(last)),
                _ => names(columns),
            };
            let mut text = format!("FOREIGN KEY ({}) REFERENCES {}", list(&key.columns), relation(&key.table));
            if !key.references.is_empty() {
                let _ = write!(text, "({})", list(&key.references));
            }
            if let Some(match_type) = &key.match_type {
                let _ = write!(text, " MATCH {}", match_type.to_ascii_uppercase());
            }
            for (event, action) in [("UPDATE", &key.on_update), ("DELETE", &key.on_delete)] {
                if let Some(action) = action
                    && !action.eq_ignore_ascii_case("NO ACTION")
                {
                    // SET NULL and SET DEFAULT may name columns.
                    let (action, columns) = action.split_at(action.find('(').unwrap_or(action.len()));
                    let _ = write!(text, " ON {event} {}{columns}", action.to_ascii_uppercase());
                }
            }
            text
        }
        ConstraintKind::Exclude { elements, predicate } => {
            let index = table.index(constraint.name.as_str());
            let method = index.map_or_else(|| "gist".to_owned(), |index| quoted_if_needed(&index.method));
            let more = index.map(|index| included(&index.include) + &parameters(index)).unwrap_or_default();
            let list: Vec<String> = elements
                .iter()
                .map(|(element, operator)| format!("{} WITH {operator}", printer.element(element)))
                .collect();
            let condition = predicate.as_ref().map(|predicate| format!(" WHERE ({})", printer.condition(predicate)));
            format!("EXCLUDE USING {method} ({}){more}{}", list.join(", "), condition.unwrap_or_default())
        }
        ConstraintKind::NotNull { column, no_inherit } => {
            format!("NOT NULL {}{}", quoted_if_needed(column), if *no_inherit { " NO INHERIT" } else { "" })
        }
    };
    text.push_str(deferral(constraint.attributes));
    if !constraint.attributes.enforced {
        text.push_str(" NOT ENFORCED");
    } else if !constraint.valid {
        text.push_str(" NOT VALID");
    }
    text
}

/// `pg_get_constraintdef(oid)` of a constraint trigger's row.
pub fn constraint_trigger(trigger: &Trigger) -> String {
    format!("TRIGGER{}", deferral(trigger.attributes))
}

const fn deferral(attributes: ConstraintAttributes) -> &'static str {
    match (attributes.deferrable, attributes.initially_deferred) {
        (_, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        (false, false) => "",
    }
}

/// `pg_get_indexdef(oid)`: always with the schema.
pub fn index(catalog: &Catalog, table: &Table, index: &Index) -> String {
    let printer = Printer { catalog, table };
    let schema = table.name.schema.as_ref().map_or_else(|| "public".to_owned(), quoted_if_needed);
    let elements: Vec<String> = index.elements.iter().map(|element| printer.element(element)).collect();
    let mut text = format!(
        "CREATE {}INDEX {} ON {}{schema}.{} USING {} ({})",
        if index.unique { "UNIQUE " } else { "" },
        quoted_if_needed(&index.name),
        if table.partition_by.is_some() { "ONLY " } else { "" },
        quoted_if_needed(&table.name.name),
        quoted_if_needed(&index.method),
        elements.join(", "),
    );
    text.push_str(&included(&index.include));
    if index.nulls_not_distinct {
        text.push_str(" NULLS NOT DISTINCT");
    }
    text.push_str(&parameters(index));
    if let Some(predicate) = &index.predicate {
        let _ = write!(text, " WHERE {}", printer.condition(predicate));
    }
    text
}

/// The storage parameters of an index.
fn parameters(index: &Index) -> String {
    if index.options.is_empty() {
        return String::new();
    }
    let options: Vec<String> = index
        .options
        .iter()
        .map(|(name, value)| {
            // What could be an identifier stands without quotes.
            let value = value.trim_matches('\'');
            let bare = quoted_if_needed(&Ident::from(value)) == value;
            format!("{name}={}", if bare { value.to_owned() } else { quoted(value) })
        })
        .collect();
    format!(" WITH ({})", options.join(", "))
}

fn names(columns: &[Ident]) -> String {
    columns.iter().map(quoted_if_needed).collect::<Vec<_>>().join(", ")
}

fn included(columns: &[Ident]) -> String {
    if columns.is_empty() { String::new() } else { format!(" INCLUDE ({})", names(columns)) }
}

fn relation(name: &QualifiedName) -> String {
    match &name.schema {
        Some(schema) => format!("{}.{}", quoted_if_needed(schema), quoted_if_needed(&name.name)),
        None => quoted_if_needed(&name.name),
    }
}

struct Printer<'a> {
    catalog: &'a Catalog,
    table: &'a Table,
}

/// Printed text with its type; `None` is the type of an untyped literal or one that is not known. Each node is printed
/// once, and what is around it works with this: printing again at every level would double the work with each.
#[derive(Clone)]
struct Typed {
    text: String,
    data_type: Option<DataType>,
    /// A literal whose type is still open: its value.
    literal: Option<String>,
}

/// A node with what it was printed as.
type Printed<'e> = (Typed, &'e ExprNode);

impl Typed {
    fn new(text: impl Into<String>, data_type: Option<DataType>) -> Self {
        Self { text: text.into(), data_type, literal: None }
    }

    /// A literal or NULL, whose type the server has yet to find.
    fn is_untyped(&self) -> bool {
        self.literal.is_some() || (self.data_type.is_none() && self.text == "NULL")
    }

    fn is(&self, name: &str) -> bool {
        self.data_type.as_ref().is_some_and(|data_type| data_type.is(name))
    }
}

/// `BETWEEN` stands for two comparisons, each with the whole operand: one inside the other, a few dozen of them would make
/// a text that no memory holds. Above this length, in bytes, it stays one.
const LONGEST_REPEATED: usize = 20_000;

fn plain(data_type: &DataType) -> DataType {
    DataType { modifiers: Vec::new(), fields: None, ..data_type.clone() }
}

/// How far numbers of one type convert to the other by themselves.
fn number_rank(data_type: &DataType) -> Option<u8> {
    if data_type.is_array() || data_type.name.schema.is_some() {
        return None;
    }
    Some(match data_type.name.name.as_str() {
        "int2" => 0,
        "int4" => 1,
        "int8" => 2,
        "numeric" => 3,
        "float4" => 4,
        "float8" => 5,
        _ => return None,
    })
}

impl Printer<'_> {
    /// A whole expression where the server hides the cast it added itself.
    fn top(&self, expr: &SqlExpr, target: Option<&DataType>) -> String {
        let mut typed = self.print(&expr.node);
        if typed.text.contains("\nCASE") {
            // No line ends in a space.
            typed.text = typed.text.replace(" \n", "\n");
        }
        match (typed.literal, target) {
            (Some(value), Some(target)) => literal_of(&value, target),
            (Some(value), None) => literal_of(&value, &DataType::named("text")),
            (None, Some(target)) if *expr.node == ExprNode::Null => format!("NULL::{}", plain(target)),
            (None, Some(target)) => self.fields(&expr.node, target).unwrap_or(typed.text),
            (None, _) => typed.text,
        }
    }

    /// A condition: a bare column or function call stands for itself.
    fn condition(&self, expr: &SqlExpr) -> String {
        self.top(expr, Some(&DataType::named("bool")))
    }

    fn element(&self, element: &IndexElement) -> String {
        let mut text = match &element.key {
            IndexKey::Column(column) => quoted_if_needed(column),
            IndexKey::Expr(expr) => {
                let printed = self.top(expr, Some(&DataType::named("text")));
                let call = match &*expr.node {
                    ExprNode::Call { function, keyword: true, .. } if function.name == "is_normalized" => true,
                    ExprNode::Call { keyword, args, .. } => (!keyword || !args.is_empty()) && !printed.starts_with('('),
                    // A call that is printed in the standard's syntax, with its own parentheses.
                    ExprNode::AtTimeZone { .. } => true,
                    ExprNode::Infix { operator, .. } => operator == "OVERLAPS",
                    _ => false,
                };
                if call { printed } else { format!("({printed})") }
            }
        };
        if let Some(collation) =
            element.collation.as_ref().filter(|collation| !self.has_collation(&element.key, collation))
        {
            let _ = write!(text, " COLLATE {}", relation(collation));
        }
        if let Some(opclass) = &element.opclass {
            let _ = write!(text, " {}", relation(opclass));
            if !element.options.is_empty() {
                let shown = |(name, value): &(String, String)| format!("{name}={}", crate::quote_literal(value));
                let _ = write!(text, " ({})", element.options.iter().map(shown).collect::<Vec<_>>().join(", "));
            }
        }
        match (element.descending, element.nulls_first) {
            (true, Some(false)) => text.push_str(" DESC NULLS LAST"),
            (true, _) => text.push_str(" DESC"),
            (false, Some(true)) => text.push_str(" NULLS FIRST"),
            (false, _) => {}
        }
        text
    }

    /// Whether an expression has that collation by itself: all strings in it do.
    fn has_collation(&self, key: &IndexKey, collation: &QualifiedName) -> bool {
        let IndexKey::Expr(expr) = key else { return false };
        let columns = expr.node.columns();
        let mut known = columns.iter().filter_map(|name| self.table.column(name.as_str()));
        !columns.is_empty()
            && known.all(|column| column.collation.as_ref().is_some_and(|known| known.name == collation.name))
    }

    fn print(&self, node: &ExprNode) -> Typed {
        match node {
            ExprNode::Null => Typed { text: "NULL".to_owned(), data_type: None, literal: None },
            ExprNode::Bool(value) => Typed::new(value.to_string(), Some(DataType::named("bool"))),
            ExprNode::Number(text) => {
                let text = &plain_number(text);
                let data_type = number_type(text);
                let text = match without_leading_zeros(text) {
                    text if data_type.is("int8") => format!("'{text}'::bigint"),
                    text if data_type.is("numeric") => numeric_of(text),
                    text => text.to_owned(),
                };
                Typed::new(text, Some(data_type))
            }
            ExprNode::Text(value) => Typed { text: quoted(value), data_type: None, literal: Some(value.clone()) },
            // The whole row.
            ExprNode::Column { name, .. }
                if *name == self.table.name.name && self.table.column(name.as_str()).is_none() =>
            {
                Typed::new(format!("{}.*", quoted_if_needed(name)), None)
            }
            ExprNode::Column { name, .. } => Typed::new(
                quoted_if_needed(name),
                self.table.column(name.as_str()).map(|column| column.data_type.clone()),
            ),
            ExprNode::Default => Typed::new("DEFAULT", None),
            ExprNode::Call { function, args, keyword } => self.call(function, args, *keyword),
            ExprNode::Cast { expr, data_type } => self.cast(expr, data_type),
            ExprNode::Not(expr) => Typed::new(
                format!("(NOT {})", self.operand(expr, &DataType::named("bool"))),
                Some(DataType::named("bool")),
            ),
            ExprNode::And(list) => self.chain(list, " AND "),
            ExprNode::Or(list) => self.chain(list, " OR "),
            ExprNode::Prefix { operator, expr } => {
                if operator == "-"
                    && let ExprNode::Number(text) = &**expr
                {
                    let data_type = number_type(&format!("-{text}"));
                    let text = without_leading_zeros(text);
                    let digits = if data_type.is("numeric") { decimal(text) } else { text.to_owned() };
                    return Typed::new(format!("'-{digits}'::{data_type}"), Some(data_type));
                }
                let operand = self.print(expr);
                let data_type = operand.data_type.clone();
                Typed::new(format!("({operator} {})", operand.text), data_type)
            }
            ExprNode::Infix { operator, left, right } if operator == "OVERLAPS" => self.overlaps(left, right),
            ExprNode::Infix { operator, left, right } => match self.compared_rows(operator, left, right) {
                Some(compared) => compared,
                None => self.infix(operator, (self.print(left), left), (self.print(right), right)),
            },
            ExprNode::IsNull { expr, negated } => {
                let mut operand = self.print(expr);
                if **expr == ExprNode::Null {
                    operand.text.push_str("::unknown");
                }
                Typed::new(
                    format!("({} IS {}NULL)", operand.text, if *negated { "NOT " } else { "" }),
                    Some(DataType::named("bool")),
                )
            }
            ExprNode::IsTruth { expr, value, negated } => {
                let operand = self.print(expr);
                let value = match value {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                Typed::new(
                    format!("({} IS {}{value})", operand.text, if *negated { "NOT " } else { "" }),
                    Some(DataType::named("bool")),
                )
            }
            ExprNode::IsDistinctFrom { left, right, negated } => self.distinct(left, right, *negated),
            ExprNode::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            ExprNode::Quantified { operator, left, right, all } => self.quantified(operator, left, right, *all),
            ExprNode::Between { expr, low, high, symmetric, negated } => {
                self.between(expr, (low, high), *symmetric, *negated)
            }
            ExprNode::Like { operator, expr, pattern, escape, negated } => {
                self.like(operator, expr, (pattern, escape.as_deref()), *negated)
            }
            ExprNode::Case { operand, branches, otherwise } => {
                // Each part on a line of its own, one more step to the right than what is around it.
                let inner = |text: String| text.replace('\n', "\n    ");
                let mut text = "\nCASE".to_owned();
                if let Some(operand) = operand {
                    let _ = write!(text, " {}", self.print(operand).text);
                }
                let values: Vec<Printed<'_>> = branches
                    .iter()
                    .map(|(_, then)| then)
                    .chain(otherwise.as_deref())
                    .map(|then| (self.print(then), then))
                    .collect();
                // What ELSE gives comes first.
                let data_type =
                    known_type(self.catalog, values.iter().rev().take(usize::from(otherwise.is_some())).chain(&values));
                let mut values =
                    values.into_iter().map(|(typed, value)| inner(operator::converted(typed, value, &data_type)));
                for ((when, _), then) in branches.iter().zip(values.by_ref()) {
                    let when = inner(match operand {
                        Some(operand) => self.beside(operand, when),
                        None => self.operand(when, &DataType::named("bool")),
                    });
                    let _ = write!(text, "\n    WHEN {when} THEN {then}");
                }
                let otherwise = values.next().unwrap_or_else(|| format!("NULL::{}", plain(&data_type)));
                let _ = write!(text, "\n    ELSE {otherwise}\nEND");
                Typed::new(text, Some(data_type))
            }
            ExprNode::Array(list) => {
                let items = self.printed(list);
                let element = known_type(self.catalog, &items);
                let items: Vec<String> =
                    items.into_iter().map(|(typed, item)| operator::converted(typed, item, &element)).collect();
                Typed::new(format!("ARRAY[{}]", items.join(", ")), Some(plain(&element).array()))
            }
            ExprNode::Row(list) => {
                let items: Vec<String> = list.iter().map(|item| self.print(item).text).collect();
                Typed::new(format!("ROW({})", items.join(", ")), None)
            }
            ExprNode::Collate { expr, collation } => {
                let operand = self.print(expr);
                // A literal is text by then.
                let open = operand.literal.as_deref().map(|value| literal_of(value, &DataType::named("text")));
                let data_type = operand.data_type.or_else(|| open.is_some().then(|| DataType::named("text")));
                Typed::new(format!("({} COLLATE {})", open.unwrap_or(operand.text), collate_name(collation)), data_type)
            }
            ExprNode::AtTimeZone { expr, zone } if !self.in_standard_forms() => {
                self.call(&QualifiedName::new("timezone"), &[(**zone).clone(), (**expr).clone()], false)
            }
            ExprNode::AtTimeZone { expr, zone } => {
                let operand = self.print(expr);
                let result = if operand.is("timestamptz") {
                    Some(DataType::named("timestamp"))
                } else {
                    Some(DataType::named("timestamptz"))
                };
                Typed::new(
                    format!("({} AT TIME ZONE {})", operand.text, self.operand(zone, &DataType::named("text"))),
                    result,
                )
            }
            ExprNode::Subscript { expr, index } => self.subscript(expr, index),
            ExprNode::Field { expr, name } => {
                let operand = self.print(expr);
                let attribute =
                    operand.data_type.as_ref().and_then(|composite| self.catalog.attribute_type(composite, name));
                Typed::new(format!("({}).{}", operand.text, quoted_if_needed(name)), attribute)
            }
            ExprNode::Other { text, .. } if value::bits(text).is_some() => {
                let bits = value::bits(text).unwrap_or_default();
                Typed::new(format!("'{bits}'::\"bit\""), Some(DataType::named("bit")))
            }
            ExprNode::Subquery { .. } | ExprNode::Other { .. } => Typed::new(self.written(node), None),
        }
    }

    /// `a[1]`; what is no column by itself stands in parentheses.
    fn subscript(&self, expr: &ExprNode, index: &ExprNode) -> Typed {
        let operand = self.print(expr);
        let bare = matches!(expr, ExprNode::Column { .. } | ExprNode::Subscript { .. });
        let text = if bare || operand.text.starts_with('(') { operand.text } else { format!("({})", operand.text) };
        let container = operand.data_type.map(|data_type| crate::cast::base_type(self.catalog, &data_type));
        let of_jsonb = container.as_ref().is_some_and(|container| container.is("jsonb"));
        let wanted = DataType::named(if of_jsonb { "text" } else { "int4" });
        let printed = self.print(index);
        let index = match &printed.literal {
            Some(value) => literal_of(value, &wanted),
            None => printed.text,
        };
        let element = container.map(|container| DataType { array_dimensions: 0, ..container });
        Typed::new(format!("{text}[{index}]"), element)
    }

    fn printed<'e>(&self, nodes: &'e [ExprNode]) -> Vec<Printed<'e>> {
        nodes.iter().map(|node| (self.print(node), node)).collect()
    }

    fn written(&self, node: &ExprNode) -> String {
        if let ExprNode::Other { text, .. } = node {
            text.clone()
        } else {
            let parts: Vec<String> = node.children().into_iter().map(|child| self.print(child).text).collect();
            parts.join(", ")
        }
    }

    fn chain(&self, list: &[ExprNode], word: &str) -> Typed {
        let parts: Vec<String> = list.iter().map(|part| self.operand(part, &DataType::named("bool"))).collect();
        Typed::new(format!("({})", parts.join(word)), Some(DataType::named("bool")))
    }

    /// An operand where a value of the type is wanted: literals take it, others get the cast that the server adds.
    fn operand(&self, node: &ExprNode, wanted: &DataType) -> String {
        let typed = self.print(node);
        self.coerced(typed, node, wanted)
    }

    fn coerced(&self, typed: Typed, node: &ExprNode, wanted: &DataType) -> String {
        if let Some(value) = &typed.literal {
            return literal_of(value, wanted);
        }
        if *node == ExprNode::Null {
            return format!("NULL::{}", plain(wanted));
        }
        let Some(actual) = &typed.data_type else { return typed.text };
        let actual_base = crate::cast::base_type(self.catalog, actual);
        let same = actual_base.name == wanted.name && actual_base.is_array() == wanted.is_array();
        if same {
            return typed.text;
        }
        let string = |data_type: &DataType| ["text", "varchar", "bpchar"].iter().any(|name| data_type.is(name));
        let text_like = string(wanted) && (string(&actual_base) || is_citext(&actual_base));
        let wider = matches!((number_rank(&actual_base), number_rank(wanted)), (Some(from), Some(to)) if from < to);
        let stamp = wanted.is("timestamptz") && (actual_base.is("timestamp") || actual_base.is("date"))
            || wanted.is("timestamp") && actual_base.is("date");
        let regclass = wanted.is("regclass") && string(&actual_base);
        if text_like || wider || stamp || regclass {
            cast_below_collations(&typed.text, node, wanted)
        } else {
            typed.text
        }
    }

    /// The type in which an operator compares two values.
    fn common(&self, left: &Typed, right: &Typed) -> Option<DataType> {
        let base = |typed: &Typed| {
            typed.data_type.as_ref().map(|data_type| plain(&crate::cast::base_type(self.catalog, data_type)))
        };
        let text = |data_type: DataType| if data_type.is("varchar") { DataType::named("text") } else { data_type };
        match (base(left), base(right)) {
            (Some(left), Some(right)) => match (number_rank(&left), number_rank(&right)) {
                // The integers have operators across their types.
                (Some(from), Some(to)) if from <= 2 && to <= 2 => None,
                (Some(from), Some(to)) if from.min(to) == 4 && from.max(to) == 5 => None,
                (Some(from), Some(to)) => Some(if from.max(to) >= 4 {
                    DataType::named("float8")
                } else if from >= to {
                    left
                } else {
                    right
                }),
                // The operators of `bpchar` have one argument of just its type here, those of `text` none.
                _ if left.is("varchar") && right.is("bpchar") || left.is("bpchar") && right.is("varchar") => {
                    Some(DataType::named("bpchar"))
                }
                // Each has one argument of just its type, and `text` is preferred.
                _ if left.is("text") && right.is("bpchar") || left.is("bpchar") && right.is("text") => {
                    Some(DataType::named("text"))
                }
                _ if left.is("varchar") || right.is("varchar") => Some(DataType::named("text")),
                _ if left.is("time") && (right.is("timetz") || right.is("interval")) => Some(right),
                _ if right.is("time") && (left.is("timetz") || left.is("interval")) => Some(left),
                _ if left.is("text") && is_citext(&right) || right.is("text") && is_citext(&left) => {
                    Some(DataType::named("text"))
                }
                _ => None,
            },
            (Some(left), None) => Some(text(left)),
            (None, Some(right)) => Some(text(right)),
            (None, None) => None,
        }
    }

    /// Operators are those of the type under a domain.
    fn of_base_type(&self, typed: Typed) -> Typed {
        let Some(domain) =
            typed.data_type.as_ref().filter(|data_type| crate::cast::domain_of(self.catalog, data_type).is_some())
        else {
            return typed;
        };
        let base = crate::cast::base_type(self.catalog, domain);
        Typed::new(format!("({})::{}", typed.text, plain(&base)), Some(base))
    }

    fn balanced(
        &self,
        operator: &str,
        (typed_left, left): Printed<'_>,
        (typed_right, right): Printed<'_>,
    ) -> (String, String) {
        if let Some(chosen) = self.chosen(operator, &typed_left, &typed_right)
            && let Some(pair) = operator::pair(&chosen, (typed_left.clone(), left), (typed_right.clone(), right))
        {
            return pair;
        }
        let (typed_left, typed_right) = (self.of_base_type(typed_left), self.of_base_type(typed_right));
        if let Some(wanted) = self.common(&typed_left, &typed_right) {
            let side = |typed: Typed, node: &ExprNode| {
                if keeps_precision(&typed, &wanted) { typed.text } else { self.coerced(typed, node, &wanted) }
            };
            (side(typed_left, left), side(typed_right, right))
        } else {
            let fallback = DataType::named("text");
            let alone = typed_left.is_untyped() && typed_right.is_untyped();
            let finish = |typed: Typed| match &typed.literal {
                Some(value) => literal_of(value, &fallback),
                None if alone => "NULL::text".to_owned(),
                None => typed.text,
            };
            (finish(typed_left), finish(typed_right))
        }
    }

    fn infix(&self, operator: &str, (typed_left, left): Printed<'_>, (typed_right, right): Printed<'_>) -> Typed {
        if let Some(chosen) = self.chosen(operator, &typed_left, &typed_right) {
            let pair = operator::pair(&chosen, (typed_left.clone(), left), (typed_right.clone(), right));
            if let Some((left, right)) = pair {
                return Typed::new(format!("({left} {operator} {right})"), chosen.result);
            }
        }
        let comparison =
            matches!(operator, "=" | "<" | ">" | "<=" | ">=" | "<>" | "!=" | "~~" | "!~~" | "~~*" | "!~~*");
        let symbol = if operator == "!=" { "<>" } else { operator };
        if matches!(
            operator,
            "->" | "->>" | "#>" | "#>>" | "?" | "?|" | "?&" | "@>" | "<@" | "||" | "~" | "~*" | "!~" | "!~*"
        ) {
            let wanted = match operator {
                "->" | "->>" | "?" | "~" | "~*" | "!~" | "!~*" => DataType::named("text"),
                "#>" | "#>>" | "?|" | "?&" => DataType::named("text").array(),
                "||" if typed_left
                    .data_type
                    .as_ref()
                    .is_none_or(|left| ["varchar", "text", "bpchar"].iter().any(|name| left.is(name)))
                    || joined_to(&typed_right, &typed_left) =>
                {
                    DataType::named("text")
                }
                _ => typed_left.data_type.as_ref().map_or_else(|| DataType::named("text"), plain),
            };
            let result = match operator {
                "->" | "#>" => typed_left.data_type.clone(),
                "->>" | "#>>" => Some(DataType::named("text")),
                "||" => Some(wanted.clone()),
                _ => Some(DataType::named("bool")),
            };
            let textual = matches!(operator, "||" | "~" | "~*" | "!~" | "!~*");
            let left_text = if textual { self.coerced(typed_left, left, &wanted) } else { typed_left.text };
            return Typed::new(format!("({left_text} {symbol} {})", self.coerced(typed_right, right, &wanted)), result);
        }
        if operator == "^"
            && let (Some(one), Some(other)) = (
                typed_left.data_type.as_ref().and_then(number_rank),
                typed_right.data_type.as_ref().and_then(number_rank),
            )
        {
            let exact = one.max(other) == 3;
            let wanted = DataType::named(if exact { "numeric" } else { "float8" });
            let (left, right) = (self.coerced(typed_left, left, &wanted), self.coerced(typed_right, right, &wanted));
            return Typed::new(format!("({left} ^ {right})"), Some(wanted));
        }
        let result = if comparison {
            Some(DataType::named("bool"))
        } else {
            self.common(&typed_left, &typed_right).or_else(|| {
                let rank = |typed: &Typed| typed.data_type.as_ref().and_then(number_rank).unwrap_or(0);
                if rank(&typed_left) >= rank(&typed_right) {
                    typed_left.data_type.clone()
                } else {
                    typed_right.data_type.clone()
                }
            })
        };
        let (left, right) = self.balanced(symbol, (typed_left, left), (typed_right, right));
        Typed::new(format!("({left} {symbol} {right})"), result)
    }

    fn in_list(&self, expr: &ExprNode, list: &[ExprNode], negated: bool) -> Typed {
        if matches!(expr, ExprNode::Row(_)) && list.iter().all(|item| matches!(item, ExprNode::Row(_))) {
            let (operator, word) = if negated { ("<>", "AND") } else { ("=", "OR") };
            let compared: Option<Vec<Typed>> =
                list.iter().map(|item| self.compared_rows(operator, expr, item)).collect();
            let texts = compared.into_iter().flatten().map(|typed| typed.text);
            if let Some(text) = texts.reduce(|before, next| format!("({before} {word} {next})")) {
                return Typed::new(text, Some(DataType::named("bool")));
            }
        }
        let operand = self.print(expr);
        match in_parts(list) {
            Some(parts) if operand.text.len() <= LONGEST_REPEATED => {
                let word = if negated { "AND" } else { "OR" };
                let compared = parts.iter().map(|part| self.in_part(operand.clone(), expr, part, negated).text);
                let text = compared.reduce(|before, next| format!("({before} {word} {next})")).unwrap_or_default();
                Typed::new(text, Some(DataType::named("bool")))
            }
            _ => self.in_part(operand, expr, list, negated),
        }
    }

    fn in_part(&self, operand: Typed, expr: &ExprNode, list: &[ExprNode], negated: bool) -> Typed {
        if let [only] = list {
            return self.infix(if negated { "<>" } else { "=" }, (operand, expr), (self.print(only), only));
        }
        let operator = if negated { "<>" } else { "=" };
        let quantifier = if negated { "<> ALL" } else { "= ANY" };
        let bool_of = |text: String| Typed::new(text, Some(DataType::named("bool")));
        let items = self.printed(list);
        let types: Vec<Typed> = items.iter().map(|(typed, _)| typed.clone()).collect();
        if let Some(compared) = self.compared(operator, &operand, &types, true) {
            let array = array_of(items, &compared);
            let operand = operator::converted(operand, expr, &compared.left);
            return bool_of(format!("({operand} {quantifier} ({array}))"));
        }
        let operand = self.of_base_type(operand);
        let alternatives = std::iter::once(&operand).chain(&types);
        let wanted = common_of(self.catalog, alternatives).unwrap_or_else(|| DataType::named("text"));
        let items: Vec<String> = items.into_iter().map(|(typed, item)| self.coerced(typed, item, &wanted)).collect();
        let operand = match self.common(&operand, &Typed::new("", Some(wanted))) {
            Some(compared) => self.coerced(operand, expr, &compared),
            None => operand.text,
        };
        bool_of(format!("({operand} {quantifier} (ARRAY[{}]))", items.join(", ")))
    }

    /// The array takes the type of what it is compared with, where it has none of its own.
    fn quantified(&self, operator: &str, left: &ExprNode, right: &ExprNode, all: bool) -> Typed {
        let operand = self.print(left);
        let symbol = if operator == "!=" { "<>" } else { operator };
        let word = if all { "ALL" } else { "ANY" };
        let bool_of = |left: String, array: String| {
            Typed::new(format!("({left} {symbol} {word} ({array}))"), Some(DataType::named("bool")))
        };
        if let ExprNode::Array(items) = right
            && !items.is_empty()
        {
            let items = self.printed(items);
            let types: Vec<Typed> = items.iter().map(|(typed, _)| typed.clone()).collect();
            if let Some(compared) = self.compared(symbol, &operand, &types, false) {
                return bool_of(operator::converted(operand, left, &compared.left), array_of(items, &compared));
            }
        }
        let operand = self.of_base_type(operand);
        let text = |element: DataType| if element.is("varchar") { DataType::named("text") } else { element };
        let of_operand = operand.data_type.as_ref().map(plain).map(text);
        let mut array = match right {
            ExprNode::Array(items) => {
                let printed = self.printed(items);
                let known = common_of(self.catalog, printed.iter().map(|(typed, _)| typed));
                let element = known.or(of_operand).unwrap_or_else(|| DataType::named("text"));
                self.cast(right, &element.array())
            }
            _ => match (self.print(right), of_operand) {
                (Typed { literal: Some(value), .. }, Some(element)) => {
                    let array = element.array();
                    Typed::new(literal_of(&value, &array), Some(array))
                }
                (typed, _) => typed,
            },
        };
        let of_array = array.data_type.clone().filter(DataType::is_array);
        let element = of_array.map(|array| DataType { array_dimensions: 0, ..array });
        let operand = match element
            .and_then(|element| Some((self.common(&operand, &Typed::new("", Some(element.clone())))?, element)))
        {
            Some((wanted, element)) => {
                if plain(&wanted) != plain(&element) {
                    array.text = format!("({})::{}", array.text, plain(&wanted).array());
                }
                self.coerced(operand, left, &wanted)
            }
            None => operand.text,
        };
        bool_of(operand, array.text)
    }

    fn cast(&self, expr: &ExprNode, data_type: &DataType) -> Typed {
        if let (ExprNode::Array(items), true) = (expr, data_type.is_array()) {
            if items.is_empty() {
                let empty = format!("ARRAY[]::{}", plain(data_type));
                let text = if data_type.modifiers.is_empty() { empty } else { format!("({empty})::{data_type}") };
                return Typed::new(text, Some(data_type.clone()));
            }
            let element = DataType { array_dimensions: 0, ..data_type.clone() };
            let item = |(typed, item): Printed<'_>| match &typed.literal {
                Some(value) => cast_literal(value, &element),
                None => self.coerced(typed, item, &element),
            };
            let items: Vec<String> = self.printed(items).into_iter().map(item).collect();
            return Typed::new(format!("ARRAY[{}]", items.join(", ")), Some(data_type.clone()));
        }
        let inner = self.print(expr);
        if let ExprNode::Other { text, .. } = expr
            && let Some(bits) = value::bits(text)
            && data_type.is("bit")
        {
            return Typed::new(cast_literal(&bits, data_type), Some(data_type.clone()));
        }
        if let Some(value) = &inner.literal {
            // A literal that is cast is a constant of that type; a length is applied on top.
            return Typed::new(cast_literal(value, data_type), Some(self.named_type(data_type)));
        }
        if *expr == ExprNode::Null {
            return Typed::new(format!("NULL::{}", plain(data_type)), Some(data_type.clone()));
        }
        if inner.data_type.as_ref() == Some(data_type) {
            return inner;
        }
        if matches!(expr, ExprNode::Row(_)) {
            let row = self.fields(expr, data_type).unwrap_or(inner.text);
            return Typed::new(format!("{row}::{data_type}"), Some(data_type.clone()));
        }
        Typed::new(format!("({})::{data_type}", inner.text), Some(self.named_type(data_type)))
    }

    /// `ROW(…)` of a composite type: each field as one of the type that it has there (`coerce_record_to_complex`).
    fn fields(&self, node: &ExprNode, data_type: &DataType) -> Option<String> {
        let ExprNode::Row(items) = node else { return None };
        let attributes = self.catalog.attributes(&self.named_type(data_type))?;
        let field = |(item, (_, wanted)): (&ExprNode, &(Ident, DataType))| {
            let typed = self.print(item);
            if let Some(value) = &typed.literal {
                return cast_literal(value, wanted);
            }
            let same = typed.data_type.as_ref().is_none_or(|actual| actual == wanted);
            if same { typed.text } else { format!("({})::{wanted}", typed.text) }
        };
        let fields: Vec<String> = items.iter().zip(&attributes).map(field).collect();
        Some(format!("ROW({})", fields.join(", ")))
    }

    /// A type as the catalog names it, where there is only one of that name in all schemas.
    fn named_type(&self, written: &DataType) -> DataType {
        if written.name.schema.is_none()
            && crate::cast::is_builtin_type(written.name.name.as_str(), self.catalog.version)
        {
            return written.clone();
        }
        let bare = |name: &&QualifiedName| written.name.schema.is_none() && name.name == written.name.name;
        let tables = self.catalog.tables().map(|table| &table.name);
        let mut named = self.catalog.types.keys().chain(tables).filter(bare);
        match (named.next(), named.next()) {
            (Some(only), None) => DataType { name: only.clone(), ..written.clone() },
            _ => written.clone(),
        }
    }

    /// The user's function, where there is only one of that name in all schemas.
    fn function(&self, written: &QualifiedName, arguments: usize) -> Option<&Function> {
        let same = |name: &QualifiedName| {
            name.name == written.name && (written.schema.is_none() || name.schema == written.schema)
        };
        let mut named = self.catalog.functions.iter().filter(|(name, _)| same(name)).flat_map(|(_, list)| list.iter());
        named.next().filter(|only| only.arguments.len() == arguments && named.next().is_none())
    }

    /// Since 14 the server keeps the standard's own forms (`COERCE_SQL_SYNTAX`); before, they were calls of functions.
    fn in_standard_forms(&self) -> bool {
        self.catalog.version.at_least(14)
    }

    /// An operand of a call in the standard's form, where the server hides the casts that it added itself.
    fn as_written(&self, node: &ExprNode) -> String {
        let typed = self.print(node);
        if typed.literal.is_some() { format!("{}::text", typed.text) } else { typed.text }
    }

    /// `(start, end) OVERLAPS (start, end)`.
    fn overlaps(&self, left: &ExprNode, right: &ExprNode) -> Typed {
        let (ExprNode::Row(left), ExprNode::Row(right)) = (left, right) else {
            return Typed::new(format!("({} OVERLAPS {})", self.print(left).text, self.print(right).text), None);
        };
        let times: Vec<ExprNode> = left.iter().chain(right).cloned().collect();
        if !self.in_standard_forms() {
            return self.call(&QualifiedName::new("overlaps"), &times, false);
        }
        let list = |times: &[ExprNode]| times.iter().map(|time| self.print(time).text).collect::<Vec<_>>().join(", ");
        let text = format!("(({}) OVERLAPS ({}))", list(left), list(right));
        Typed::new(text, Some(DataType::named("bool")))
    }

    /// `POSITION(part IN whole)` and its kin, as they were written (`get_func_sql_syntax`).
    fn standard_call(&self, function: &str, args: &[ExprNode]) -> Option<Typed> {
        let count = |rest: &[ExprNode]| rest.first().map(|count| format!(" FOR {}", self.as_written(count)));
        let (text, result) = match (function, args) {
            ("position", [whole, part]) => {
                (format!("POSITION(({}) IN ({}))", self.as_written(part), self.as_written(whole)), "int4")
            }
            ("overlay", [whole, part, start, rest @ ..]) => {
                let [whole, part, start] = [whole, part, start].map(|arg| self.as_written(arg));
                (format!("OVERLAY({whole} PLACING {part} FROM {start}{})", count(rest).unwrap_or_default()), "text")
            }
            // With a pattern it is another function.
            ("substring", [whole, from, rest @ ..]) if self.print(from).is("int4") => {
                let [whole, from] = [whole, from].map(|arg| self.as_written(arg));
                (format!("SUBSTRING({whole} FROM {from}{})", count(rest).unwrap_or_default()), "text")
            }
            ("substring", [whole, pattern, escape]) => {
                let text = DataType::named("text");
                let [pattern, escape] = [pattern, escape].map(|arg| self.operand(arg, &text));
                (format!("SUBSTRING({} SIMILAR {pattern} ESCAPE {escape})", self.as_written(whole)), "text")
            }
            ("normalize", [whole]) => (format!("NORMALIZE({})", self.as_written(whole)), "text"),
            ("normalize", [whole, ExprNode::Text(form)]) => {
                (format!("NORMALIZE({}, {form})", self.as_written(whole)), "text")
            }
            ("is_normalized", [whole]) => (format!("({} IS NORMALIZED)", self.as_written(whole)), "bool"),
            ("is_normalized", [whole, ExprNode::Text(form)]) => {
                (format!("({} IS {form} NORMALIZED)", self.as_written(whole)), "bool")
            }
            _ => return None,
        };
        Some(Typed::new(text, Some(DataType::named(result))))
    }

    fn call(&self, function: &QualifiedName, args: &[ExprNode], keyword: bool) -> Typed {
        let lower = function.name.as_str().to_ascii_lowercase();
        if keyword && args.is_empty() {
            let data_type = match lower.as_str() {
                "current_timestamp" => Some(DataType::named("timestamptz")),
                "current_date" => Some(DataType::named("date")),
                "localtimestamp" => Some(DataType::named("timestamp")),
                _ => None,
            };
            return Typed::new(lower.to_ascii_uppercase(), data_type);
        }
        if let ("current_timestamp" | "current_time" | "localtimestamp" | "localtime", [ExprNode::Number(precision)]) =
            (lower.as_str(), args)
        {
            let data_type = match lower.as_str() {
                "current_timestamp" => "timestamptz",
                "localtimestamp" => "timestamp",
                "current_time" => "timetz",
                _ => "time",
            };
            let text = format!("{}({precision})", lower.to_ascii_uppercase());
            return Typed::new(text, Some(DataType::named(data_type)));
        }
        let standard = keyword && self.in_standard_forms();
        // `TRIM(BOTH FROM c)`; `btrim(c)` is printed as such.
        if standard && let (Some(side), [whole, rest @ ..]) = (trimmed_side(&lower), args) {
            let text = DataType::named("text");
            let characters = rest.first().map(|arg| format!("{} ", self.operand(arg, &text))).unwrap_or_default();
            return Typed::new(format!("TRIM({side} {characters}FROM {})", self.as_written(whole)), Some(text));
        }
        if standard && let Some(call) = self.standard_call(&lower, args) {
            return call;
        }
        // It compares, and its value is the first operand as it is compared.
        if let ("nullif", [left, right]) = (lower.as_str(), args) {
            let (typed_left, typed_right) = (self.print(left), self.print(right));
            let chosen = self.chosen("=", &typed_left, &typed_right);
            let compared = chosen
                .and_then(|chosen| chosen.arguments.into_iter().next())
                .or_else(|| self.common(&typed_left, &typed_right))
                .or_else(|| typed_left.data_type.clone());
            let (left, right) = self.balanced("=", (typed_left, left), (typed_right, right));
            return Typed::new(format!("NULLIF({left}, {right})"), compared);
        }
        // Version 13 keeps the form in lower case.
        if let (true, "normalize" | "is_normalized", [whole, ExprNode::Text(form)]) = (keyword, lower.as_str(), args) {
            return self.call(function, &[whole.clone(), ExprNode::Text(form.to_ascii_lowercase())], false);
        }
        if let ("extract", [ExprNode::Text(field), operand]) = (lower.as_str(), args) {
            if !self.in_standard_forms() {
                return self.call(&QualifiedName::new("date_part"), args, false);
            }
            let text = format!("EXTRACT({field} FROM {})", self.print(operand).text);
            return Typed::new(text, Some(DataType::named("numeric")));
        }
        let args = self.printed(args);
        let types: Vec<&Typed> = args.iter().map(|(typed, _)| typed).collect();
        let own = self.function(function, args.len());
        let of_server = function.schema.as_ref().is_none_or(|schema| *schema == "pg_catalog");
        if !is_alternative(&lower)
            && of_server
            && self.catalog.functions.keys().all(|known| known.name != function.name)
            && let Some(chosen) = self.chosen_function(&lower, &types)
        {
            let mut items: Vec<String> = args
                .into_iter()
                .zip(chosen.arguments)
                .map(|((typed, arg), wanted)| match wanted {
                    Some(wanted) => operator::converted(typed, arg, &wanted),
                    None if *arg == ExprNode::Null => "NULL::unknown".to_owned(),
                    None => typed.text,
                })
                .collect();
            if let Some(from) = chosen.gathered_from {
                let gathered = items.split_off(from.min(items.len()));
                items.push(format!("VARIADIC ARRAY[{}]", gathered.join(", ")));
            }
            return Typed::new(format!("{}({})", relation(function), items.join(", ")), chosen.result);
        }
        let wanted: Vec<Option<DataType>> =
            (0..args.len()).map(|place| argument(self.catalog, own, &lower, &types, place)).collect();
        let result = match lower.as_str() {
            name if is_alternative(name) => {
                common_of(self.catalog, types.iter().copied()).or_else(|| Some(DataType::named("text")))
            }
            "date_trunc" => wanted.get(1).cloned().flatten(),
            name if takes_text_and_counts(name) => Some(DataType::named("text")),
            name => numeric_signature(name, &types).map_or_else(|| signature(name).1, |(_, result)| Some(result)),
        };
        let result = result
            .or_else(|| own?.returns.clone())
            .or_else(|| if own.is_none() { crate::typing::settled_result(&lower, &known_types(&types)) } else { None });
        let items: Vec<String> = args
            .into_iter()
            .zip(wanted)
            .map(|((typed, arg), wanted)| match wanted {
                Some(wanted) if is_alternative(&lower) || own.is_some() => {
                    operator::converted(typed, arg, &plain(&wanted))
                }
                Some(wanted) => self.coerced(typed, arg, &wanted),
                None => typed.text,
            })
            .collect();
        let items = items.join(", ");
        // Its own syntax, not a function's name.
        let name = if is_alternative(&lower) { lower.to_ascii_uppercase() } else { relation(function) };
        Typed::new(format!("{name}({items})"), result)
    }
}

/// The operators between `real` and `double precision` take each as it is.
fn keeps_precision(typed: &Typed, wanted: &DataType) -> bool {
    typed.is("float4") && wanted.is("float8")
}

/// The extension's type, in whatever schema.
fn is_citext(data_type: &DataType) -> bool {
    !data_type.is_array() && data_type.name.name == "citext"
}

/// `text || anynonarray`: a literal beside a value that has no `||` of its own is text.
fn joined_to(literal: &Typed, other: &Typed) -> bool {
    let plain = |data_type: &DataType| {
        const JOINED: &[&str] = &["bool", "uuid", "date", "timestamp", "timestamptz", "time", "interval", "inet"];
        !data_type.is_array() && (number_rank(data_type).is_some() || JOINED.iter().any(|name| data_type.is(name)))
    };
    literal.literal.is_some() && other.data_type.as_ref().is_some_and(plain)
}

/// The array that is compared with: its elements have one type, and all of it takes that of the operator.
fn array_of(items: Vec<Printed<'_>>, compared: &Compared) -> String {
    let items: Vec<String> =
        items.into_iter().map(|(typed, item)| operator::converted(typed, item, &compared.element)).collect();
    let array = format!("ARRAY[{}]", items.join(", "));
    if operator::is_same(&compared.element, &compared.right) {
        array
    } else {
        format!("({array})::{}", compared.right.clone().array())
    }
}

/// What the server makes several comparisons of (`transformAExprIn`): the items without columns are one array, where there
/// is more than one, and comes first; each other item is compared by itself. `None`: it is one comparison.
fn in_parts(list: &[ExprNode]) -> Option<Vec<Vec<ExprNode>>> {
    let has_column = |item: &ExprNode| {
        let mut found = false;
        item.walk(&mut |node| found |= matches!(node, ExprNode::Column { .. }));
        found
    };
    let with_column: Vec<bool> = list.iter().map(has_column).collect();
    if list.len() < 2 || !with_column.contains(&true) {
        return None;
    }
    let constants = with_column.iter().filter(|column| !**column).count();
    let apart = |column: bool| column || constants < 2;
    let mut items = list.iter().zip(with_column);
    let array: Vec<ExprNode> =
        items.clone().filter(|(_, column)| !apart(*column)).map(|(item, _)| item.clone()).collect();
    let singles = items.by_ref().filter(|(_, column)| apart(*column)).map(|(item, _)| vec![item.clone()]);
    Some((!array.is_empty()).then_some(array).into_iter().chain(singles).collect())
}

/// The cast that the server adds goes to the value, below its collations.
fn cast_below_collations(text: &str, node: &ExprNode, wanted: &DataType) -> String {
    if let ExprNode::Collate { expr, collation } = node {
        let collated = format!(" COLLATE {})", collate_name(collation));
        if let Some(value) = text.strip_suffix(&collated).and_then(|text| text.strip_prefix('(')) {
            return format!("({}{collated}", cast_below_collations(value, expr, wanted));
        }
    }
    format!("({text})::{}", plain(wanted))
}

/// The common type of alternatives, text where none is known.
fn known_type<'e>(catalog: &Catalog, alternatives: impl IntoIterator<Item = &'e Printed<'e>>) -> DataType {
    let types = alternatives.into_iter().map(|(typed, _)| typed);
    common_of(catalog, types).unwrap_or_else(|| DataType::named("text"))
}

/// The type of alternatives (`select_common_type`), the first that is known where the types do not decide it.
fn common_of<'e>(catalog: &Catalog, alternatives: impl IntoIterator<Item = &'e Typed>) -> Option<DataType> {
    let alternatives: Vec<&Typed> = alternatives.into_iter().collect();
    let mut types: Vec<DataType> = alternatives.iter().filter_map(|one| one.data_type.as_ref()).map(plain).collect();
    if types.len() < alternatives.len() {
        // Beside a literal a domain's value is one of the type below it.
        for known in &mut types {
            *known = plain(&crate::cast::base_type(catalog, known));
        }
    }
    crate::typing::common_type(catalog, &types).ok().flatten().or_else(|| types.into_iter().next())
}

/// The type that a function wants of an argument; a literal takes it, and others are cast to it where the server does
/// that itself.
fn argument(
    catalog: &Catalog,
    own: Option<&Function>,
    function: &str,
    args: &[&Typed],
    place: usize,
) -> Option<DataType> {
    built_in_argument(catalog, function, args, place).or_else(|| own?.arguments.get(place)?.clone())
}

fn built_in_argument(catalog: &Catalog, function: &str, args: &[&Typed], place: usize) -> Option<DataType> {
    let arg = args.get(place)?;
    let text = || Some(DataType::named("text"));
    if is_alternative(function) {
        return common_of(catalog, args.iter().copied()).or_else(text);
    }
    if let Some((wanted, _)) = numeric_signature(function, args) {
        let count = place == 1 && matches!(function, "round" | "trunc");
        return (!count).then_some(wanted);
    }
    if function == "date_trunc" && args.len() == 2 {
        return if place == 0 {
            text()
        } else {
            Some(DataType::named(if arg.is("timestamp") { "timestamp" } else { "timestamptz" }))
        };
    }
    if function == "encode" {
        return if place == 0 { Some(DataType::named("bytea")) } else { text() };
    }
    // Arguments of any type leave literals as they are.
    if matches!(
        function,
        "concat" | "format" | "json_build_object" | "jsonb_build_object" | "json_build_array" | "jsonb_build_array"
    ) {
        return None;
    }
    if function == "concat_ws" && place > 0 {
        return None;
    }
    // The configuration comes first where there are two arguments.
    let text_search = function.ends_with("to_tsvector") || function.ends_with("to_tsquery");
    if text_search && args.len() == 2 && place == 0 {
        return Some(DataType::named("regconfig"));
    }
    if takes_text_and_counts(function) {
        return text();
    }
    let settled = || crate::typing::settled_argument(function, &known_types(args), place);
    signature(function).0.or_else(settled).or_else(|| arg.literal.as_ref().and_then(|_| text()))
}

fn known_types<'e>(args: &[&'e Typed]) -> Vec<Option<&'e DataType>> {
    args.iter().map(|arg| arg.data_type.as_ref()).collect()
}

/// Whether the function's value is that of one of its arguments.
fn is_alternative(function: &str) -> bool {
    matches!(function, "coalesce" | "greatest" | "least")
}

/// Functions on text whose other arguments are counts.
fn takes_text_and_counts(function: &str) -> bool {
    matches!(function, "left" | "right" | "repeat" | "substring" | "substr" | "lpad" | "rpad" | "reverse" | "translate")
}

/// The type in which a function on numbers works, of its arguments and of its result: those that have a variant for
/// `numeric` take it where an argument is one, and everything else is `double precision`, the preferred type.
fn numeric_signature(function: &str, args: &[&Typed]) -> Option<(DataType, DataType)> {
    let exact = match function {
        "sin" | "cos" | "tan" | "cot" | "asin" | "acos" | "atan" | "atan2" | "degrees" | "radians" | "cbrt" | "pi" => {
            false
        }
        "sqrt" | "exp" | "ln" | "log" | "log10" | "power" | "ceil" | "ceiling" | "floor" | "sign" | "round"
        | "trunc" | "div" => true,
        _ => return None,
    };
    let mut ranks = args.iter().filter_map(|arg| number_rank(arg.data_type.as_ref()?));
    let numeric = ranks.clone().any(|rank| rank == 3);
    let floating = ranks.any(|rank| rank > 3);
    // Of two arguments, these are known for `numeric` alone.
    let only_exact = args.len() == 2 && matches!(function, "log" | "round" | "trunc" | "div");
    let wanted = if exact && !floating && (numeric || only_exact) { "numeric" } else { "float8" };
    Some((DataType::named(wanted), DataType::named(wanted)))
}

fn trimmed_side(function: &str) -> Option<&'static str> {
    Some(match function {
        "btrim" => "BOTH",
        "ltrim" => "LEADING",
        "rtrim" => "TRAILING",
        _ => return None,
    })
}

/// A text constant as the server prints it: `standard_conforming_strings` is on, so that a backslash is only that.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn without_leading_zeros(number: &str) -> &str {
    let first = number.bytes().position(|digit| digit != b'0').unwrap_or(number.len());
    let digit = |place: usize| number.as_bytes().get(place).is_some_and(u8::is_ascii_digit);
    // The last digit before the point stays, and `0x1F` is no decimal number.
    let kept = if digit(first) { first } else { first.saturating_sub(1) };
    if kept > 0 && (digit(first) || !number[first..].starts_with(|character: char| character.is_ascii_alphabetic())) {
        &number[kept..]
    } else {
        number
    }
}

/// `0x1F` and `1_000` as decimal numbers (16), `.5` and `1.` with a digit on both sides of the point or without it.
fn plain_number(text: &str) -> String {
    let digits = text.replace('_', "").to_ascii_lowercase();
    let based = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, base)| u64::from_str_radix(digits.strip_prefix(prefix)?, base).ok());
    match based {
        Some(number) => number.to_string(),
        None if digits.starts_with('.') => format!("0{digits}"),
        None => digits,
    }
}

fn number_type(text: &str) -> DataType {
    if text.parse::<i32>().is_ok() {
        DataType::named("int4")
    } else if text.parse::<i64>().is_ok() {
        DataType::named("int8")
    } else {
        DataType::named("numeric")
    }
}

/// The argument type that functions on text ask for, and the type of the result.
fn signature(function: &str) -> (Option<DataType>, Option<DataType>) {
    match function {
        "lower" | "upper" | "btrim" | "ltrim" | "rtrim" | "md5" | "initcap" | "replace" | "concat_ws" => {
            (Some(DataType::named("text")), Some(DataType::named("text")))
        }
        "digest" => (Some(DataType::named("text")), Some(DataType::named("bytea"))),
        "sha224" | "sha256" | "sha384" | "sha512" => (Some(DataType::named("bytea")), Some(DataType::named("bytea"))),
        "concat" | "format" | "encode" => (None, Some(DataType::named("text"))),
        "ascii" | "length" | "char_length" | "octet_length" | "strpos" => {
            (Some(DataType::named("text")), Some(DataType::named("int4")))
        }
        "now" | "statement_timestamp" | "transaction_timestamp" | "clock_timestamp" => {
            (None, Some(DataType::named("timestamptz")))
        }
        "gen_random_uuid" | "uuid_generate_v4" => (None, Some(DataType::named("uuid"))),
        "random" => (None, Some(DataType::named("float8"))),
        "nextval" | "currval" | "setval" => (Some(DataType::named("regclass")), Some(DataType::named("int8"))),
        "to_tsvector" => (Some(DataType::named("text")), Some(DataType::named("tsvector"))),
        "abs" => (None, None),
        _ => (None, None),
    }
}

/// A literal under an explicit cast: the length of a string type is part of it.
fn cast_literal(value: &str, data_type: &DataType) -> String {
    let own = data_type.name.schema.is_none() && !data_type.is_array() && !data_type.modifiers.is_empty();
    match data_type.name.name.as_str() {
        "varchar" | "bpchar" | "bit" | "varbit" if own => return format!("{}::{data_type}", quoted(value)),
        "numeric" if own => {
            let number = literal_of(value, &plain(data_type));
            return format!("{}::{data_type}", number.strip_suffix("::numeric").unwrap_or(&number));
        }
        "timestamp" | "timestamptz" | "time" | "timetz" if own => return with_modifiers(value, data_type),
        _ if data_type.is_array() && !data_type.modifiers.is_empty() => return with_modifiers(value, data_type),
        _ => {}
    }
    literal_of(value, data_type)
}

/// A constant that is cut to a length or a precision.
fn with_modifiers(value: &str, data_type: &DataType) -> String {
    let constant = literal_of(value, data_type);
    let bare = constant.strip_suffix(&format!("::{}", plain(data_type)));
    bare.map(|bare| format!("{bare}::{data_type}")).unwrap_or(constant)
}

/// A number as `numeric` prints it: bare where it has a point, for otherwise it would be read as an integer.
fn numeric_of(text: &str) -> String {
    let digits = decimal(text);
    let digits = digits.strip_suffix('.').unwrap_or(&digits).to_owned();
    if digits.contains('.') { digits } else { format!("'{digits}'::numeric") }
}

/// A number without its exponent, with the digits behind the point that `numeric` gives it.
pub(crate) fn decimal(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return text.to_owned() };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Some(exponent) = exponent.parse::<i64>().ok().filter(|exponent| exponent.abs() <= 100) else {
        return text.to_owned();
    };
    let before = usize::try_from(-exponent).unwrap_or_default().saturating_sub(whole.len());
    let mut digits = format!("{}{whole}{fraction}", "0".repeat(before));
    let point = usize::try_from(i64::try_from(before + whole.len()).unwrap_or(i64::MAX) + exponent).unwrap_or_default();
    while digits.len() < point {
        digits.push('0');
    }
    let (whole, fraction) = digits.split_at(point.min(digits.len()));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// `'value'::type`, numbers and booleans bare where the server prints them so.
/// A constant that has its type's length, too, as the bounds of partitions have them.
pub(crate) fn constant_of(value: &str, data_type: &DataType) -> String {
    if data_type.modifiers.is_empty() {
        return literal_of(value, data_type);
    }
    let value = output_of(value, data_type);
    let bare = data_type.is("numeric") && value.contains('.') && !value.starts_with('-');
    let value = if bare { value } else { quoted(&value) };
    format!("{value}::{data_type}")
}

/// The text of a value of the type, as the server writes it.
pub(crate) fn output_of(value: &str, data_type: &DataType) -> String {
    match data_type.modifiers.as_slice() {
        [length] if data_type.is("bpchar") => {
            let length = usize::try_from(*length).unwrap_or_default();
            format!("{value:length$}")
        }
        [_, scale] if data_type.is("numeric") => with_scale(value, usize::try_from(*scale).unwrap_or_default()),
        _ => {
            let bare =
                if data_type.is_array() || data_type.name.schema.is_some() { "" } else { data_type.name.name.as_str() };
            canonical(value, bare).unwrap_or_else(|| value.to_owned())
        }
    }
}

/// The number with that many digits behind its point, where it has no more.
fn with_scale(value: &str, scale: usize) -> String {
    let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
    if scale == 0 || digits.len() > scale {
        return value.to_owned();
    }
    format!("{whole}.{digits:0<scale$}")
}

fn literal_of(value: &str, data_type: &DataType) -> String {
    let bare = if data_type.is_array() || data_type.name.schema.is_some() { "" } else { data_type.name.name.as_str() };
    match bare {
        "int4" if value.parse::<i32>().is_ok_and(|number| number >= 0) => value.to_owned(),
        "numeric" if value.parse::<f64>().is_ok_and(|number| number >= 0.0) && value.contains('.') => value.to_owned(),
        "bool" => match value.to_ascii_lowercase().as_str() {
            "t" | "true" | "yes" | "on" | "1" => "true".to_owned(),
            "f" | "false" | "no" | "off" | "0" => "false".to_owned(),
            _ => format!("{}::boolean", quoted(value)),
        },
        "regclass" => format!("{}::regclass", quoted(&printed_relation(value))),
        "interval" => {
            let precision = data_type.modifiers.first().copied();
            let shown = value::with_fields(value, data_type.fields.as_deref(), precision);
            // Of an interval alone the constant itself has the fields and the precision.
            format!("{}::{data_type}", quoted(&shown.unwrap_or_else(|| value.to_owned())))
        }
        // `bit` without a length would be one of a single bit.
        "bit" => format!("{}::\"bit\"", quoted(value)),
        _ => {
            let shown = if data_type.is_array() {
                let element = if data_type.name.schema.is_some() { "" } else { data_type.name.name.as_str() };
                value::canonical_array(value, element)
            } else {
                canonical(value, bare)
            };
            format!("{}::{}", quoted(&shown.unwrap_or_else(|| value.to_owned())), plain(data_type))
        }
    }
}

/// A relation's name inside a `regclass` constant as the server prints it: quotes only where they are needed, the default
/// schema left out. What is not a name stays as it is.
fn printed_relation(text: &str) -> String {
    let mut parts: Vec<Ident> = Vec::new();
    let mut rest = text;
    loop {
        let (part, behind) = if let Some(quoted) = rest.strip_prefix('"') {
            match quoted.split_once('"') {
                Some((part, behind)) if !behind.starts_with('"') => (Ident::from(part), behind),
                _ => return text.to_owned(),
            }
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            (Ident::from(rest[..end].to_lowercase()), &rest[end..])
        };
        parts.push(part);
        match behind.strip_prefix('.') {
            Some(next) => rest = next,
            None if behind.is_empty() => break,
            None => return text.to_owned(),
        }
    }
    if parts.len() == 2 && parts[0] == "public" {
        parts.remove(0);
    }
    parts.iter().map(quoted_if_needed).collect::<Vec<_>>().join(".")
}

fn collate_name(collation: &QualifiedName) -> String {
    match &collation.schema {
        Some(schema) => format!("{}.{}", quoted_if_needed(schema), quoted_if_needed(&collation.name)),
        None => quoted_if_needed(&collation.name),
    }
}
