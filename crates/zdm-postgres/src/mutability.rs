//! Which expressions the server refuses in an index, a generated column or a partition key, because their value may
//! change while the row stays: functions, casts and operators that depend on settings or on the time.
//!
//! Only what is certain counts: an argument whose type is not known leaves an overloaded function in doubt.

use crate::catalog::{Catalog, Function, Table, UserTypeKind};
use crate::data_type::DataType;
use crate::expr::ExprNode;
use crate::name::QualifiedName;
use crate::statement::{SelectOutput, Statement, TypeDefinition, Volatility};
use crate::version::PgVersion;
use crate::volatility;

/// Whether the expression over the table's columns is certainly not immutable.
pub(crate) fn is_surely_mutable(
    node: &ExprNode,
    table: &Table,
    catalog: &Catalog,
    version: PgVersion,
    resolve: &dyn Fn(&QualifiedName) -> Option<QualifiedName>,
) -> bool {
    is_mutable_within(node, table, catalog, version, resolve, MAX_INLINED)
}

/// Functions that call each other are followed so far.
const MAX_INLINED: u8 = 8;

fn is_mutable_within(
    node: &ExprNode,
    table: &Table,
    catalog: &Catalog,
    version: PgVersion,
    resolve: &dyn Fn(&QualifiedName) -> Option<QualifiedName>,
    depth: u8,
) -> bool {
    // In the body of a function a name may be an argument's.
    let no_columns = Table::named(QualifiedName::new(""));
    let mutable_body = |node: &ExprNode| {
        depth > 0 && is_mutable_within(node, &no_columns, catalog, version, resolve, depth.saturating_sub(1))
    };
    let mut mutable = false;
    node.walk(&mut |node| {
        mutable |= match node {
            ExprNode::Call { function, args, .. } => match resolve(function) {
                Some(user) => {
                    let overloads = catalog.functions(&user);
                    let matching = overloads.iter().filter(|overload| overload.arguments.len() == args.len());
                    let mut count = 0;
                    let all = matching.inspect(|_| count += 1).all(|overload| {
                        overload.volatility != Volatility::Immutable
                            && !may_be_immutable_inlined(overload, &mutable_body)
                    });
                    all && count > 0
                }
                None if function.schema.as_ref().is_none_or(|schema| *schema == "pg_catalog") => {
                    let name = function.name.as_str();
                    let of = |wanted: &str| {
                        args.iter().filter_map(|arg| type_of(arg, table)).any(|data_type| is(&data_type, wanted))
                    };
                    // What takes a `timestamptz` alone makes one of other times, by the session's time zone.
                    let given = vec![None; args.len()];
                    let zoned = args.iter().enumerate().any(|(place, arg)| {
                        let time =
                            type_of(arg, table).is_some_and(|known| is(&known, "timestamp") || is(&known, "date"));
                        time && crate::typing::settled_argument(name, &given, place)
                            .is_some_and(|wanted| is(&wanted, "timestamptz"))
                    });
                    // A date becomes a `timestamptz`, the preferred one of the types that they are for.
                    zoned
                        || (matches!(name, "date_trunc" | "age") && of("date"))
                        || match volatility::builtin_range(name, args.len(), version) {
                            Some((least, _)) if least > Volatility::Immutable => true,
                            Some((_, most)) if most > Volatility::Immutable => of("timestamptz"),
                            _ => false,
                        }
                }
                None => false,
            },
            ExprNode::Cast { expr, data_type } => type_of(expr, table).is_some_and(|source| {
                is_input_or_output(catalog, &source, data_type) || is_mutable_cast(&source, data_type, version)
            }),
            ExprNode::Infix { operator, left, right } => match (type_of(left, table), type_of(right, table)) {
                (Some(left), Some(right)) => is_mutable_operator(operator, &left, &right),
                _ => false,
            },
            _ => false,
        };
    });
    mutable
}

/// `inline_function`: an SQL function of one query without tables counts as its body, which may be immutable where the
/// function is not said to be.
fn may_be_immutable_inlined(function: &Function, is_mutable: &dyn Fn(&ExprNode) -> bool) -> bool {
    if function.language.as_ref().is_some_and(|language| *language != "sql") {
        return false;
    }
    match function.statements.as_deref().map(Vec::as_slice) {
        Some([Statement::Select(query)]) => match query.selects.as_slice() {
            [select] => {
                let is_mutable = |output: &SelectOutput| match output {
                    SelectOutput::Column(column) => is_mutable(&column.expr.node),
                    SelectOutput::Star(_) => false,
                };
                query.relations.is_empty() && !select.output.iter().any(is_mutable)
            }
            _ => query.relations.is_empty(),
        },
        Some(_) => false,
        None => true,
    }
}

/// The type of a column, of a cast, or of a time in a zone; others are not known here.
fn type_of(node: &ExprNode, table: &Table) -> Option<DataType> {
    match node {
        ExprNode::Column { name, .. } => table.column(name.as_str()).map(|column| column.data_type.clone()),
        ExprNode::Cast { data_type, .. } => Some(data_type.clone()),
        ExprNode::AtTimeZone { expr, .. } => {
            let operand = type_of(expr, table)?;
            let result = match (is(&operand, "timestamptz"), is(&operand, "timestamp") || is(&operand, "date")) {
                (true, _) => "timestamp",
                (_, true) => "timestamptz",
                _ => return None,
            };
            Some(DataType::named(result))
        }
        _ => None,
    }
}

fn is(data_type: &DataType, name: &str) -> bool {
    !data_type.is_array() && data_type.name.schema.is_none() && data_type.name.name == name
}

/// Arrays, ranges, enums and composite types become text, and text becomes them, by their input and output functions, which
/// are stable.
fn is_input_or_output(catalog: &Catalog, source: &DataType, target: &DataType) -> bool {
    let text = |data_type: &DataType| {
        !data_type.is_array() && ["text", "varchar", "bpchar"].iter().any(|name| is(data_type, name))
    };
    let stable = |data_type: &DataType| {
        let base = crate::cast::base_type(catalog, data_type);
        base.is_array()
            || match catalog.user_type(&base.name).map(|known| &known.kind) {
                Some(UserTypeKind::Defined(definition)) => {
                    matches!(definition, TypeDefinition::Composite(_) | TypeDefinition::Enum(_) | TypeDefinition::Range)
                }
                Some(UserTypeKind::Domain(_)) => false,
                None => catalog.table(&base.name).is_some_and(|table| !table.assumed),
            }
    };
    (text(source) && stable(target)) || (text(target) && stable(source))
}

/// From `pg_cast` and the input and output functions of `pg_type`, versions 12 to 18.
fn is_mutable_cast(source: &DataType, target: &DataType, version: PgVersion) -> bool {
    if source.is_array() || target.is_array() || source.name.schema.is_some() || target.name.schema.is_some() {
        return false;
    }
    let (source, target) = (source.name.name.as_str(), target.name.name.as_str());
    let is_text = |name: &str| matches!(name, "text" | "varchar" | "bpchar" | "citext");
    let stable_output = matches!(source, "date" | "timestamp" | "timestamptz" | "money" | "aclitem")
        || source.starts_with("reg")
        || (source == "interval" && version.at_least(15));
    let stable_input =
        matches!(target, "date" | "timestamp" | "timestamptz" | "time" | "timetz" | "interval" | "money" | "xml")
            || target.starts_with("reg");
    match (source, target) {
        ("timestamptz", "date" | "timestamp" | "time" | "timetz")
        | ("date" | "timestamp", "timestamptz")
        | ("time", "timetz")
        | ("int4" | "int8" | "numeric", "money")
        | ("money", "numeric") => true,
        _ => (is_text(target) && stable_output) || (is_text(source) && stable_input),
    }
}

fn is_mutable_operator(operator: &str, left: &DataType, right: &DataType) -> bool {
    let pair = |one: &str, other: &str| (is(left, one) && is(right, other)) || (is(left, other) && is(right, one));
    match operator {
        "+" | "-" => pair("timestamptz", "interval"),
        "=" | "<>" | "<" | ">" | "<=" | ">=" => pair("timestamptz", "timestamp") || pair("timestamptz", "date"),
        _ => false,
    }
}
