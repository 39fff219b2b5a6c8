//! Which operator or function an expression means, of which type its value is, and what the server refuses in it.
//!
//! The candidates are those of `pg_operator` and `pg_proc` (the tables in `typing`, written by `typing/merge.py`); among
//! them the server chooses as the manual says ("Type Conversion", 10.2 and 10.3; `parse_func.c`, `parse_oper.c`).
//! Types of users and of extensions bring operators of their own, so that what touches them stays open.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::cast::{base_type, is_implicit};
use crate::catalog::{Catalog, Function, Table, UserTypeKind};
use crate::data_type::{DataType, quoted_if_needed};
use crate::expr::{CallForm, ExprNode, SubqueryKind, like_operator};
use crate::name::{Ident, QualifiedName};
use crate::statement::{Query, TypeDefinition};
use crate::version::PgVersion;

/// Where an expression stands, for what may stand there and for the words of the refusal (`ParseExprKind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Default,
    Check,
    IndexExpression,
    IndexPredicate,
    Transform,
    Generated,
    Policy,
    TriggerWhen,
    PartitionKey,
    /// WHERE of a publication.
    Published,
    /// Anywhere in a query or a change of rows.
    Query,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT expression",
            Self::Check => "check constraint",
            Self::IndexExpression => "index expression",
            Self::IndexPredicate => "index predicate",
            Self::Transform => "transform expression",
            Self::Generated => "column generation expression",
            Self::Policy => "policy expression",
            Self::TriggerWhen => "trigger WHEN condition",
            Self::PartitionKey => "partition key expression",
            Self::Published | Self::Query => "WHERE",
        }
    }

    fn plural(self) -> String {
        if self == Self::Published { self.name().to_owned() } else { format!("{}s", self.name()) }
    }
}

/// What is known of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// One of PostgreSQL's own types, without modifiers; of a domain what it is over.
    Known(DataType),
    /// A string or NULL, whose type is still open for the server as well.
    Literal,
    /// Not told from here.
    Open,
}

/// SQLSTATE and message.
pub(crate) type Mistake = (&'static str, String);

/// What a session knows of names.
pub(crate) trait Names {
    /// The catalog's name of a function of the user's.
    fn function(&self, written: &QualifiedName) -> Option<QualifiedName>;
    /// Whether the enum's value was added by this transaction, which cannot use it yet.
    fn is_new_value(&self, name: &QualifiedName, value: &str) -> bool;
    /// A type as messages name it, with its schema where the search path does not lead to it.
    fn show(&self, data_type: &DataType) -> String;
}

/// No session: only PostgreSQL's own names.
struct OwnNames;

impl Names for OwnNames {
    fn function(&self, _: &QualifiedName) -> Option<QualifiedName> {
        None
    }

    fn is_new_value(&self, _: &QualifiedName, _: &str) -> bool {
        false
    }

    fn show(&self, data_type: &DataType) -> String {
        data_type.in_messages()
    }
}

/// What stands in FROM around an expression of a query, and what its own queries give.
pub(crate) trait Sources {
    /// The type of a column, by what stands before its name.
    fn column(&self, qualifier: Option<&Ident>, name: &Ident) -> Option<DataType>;
    /// The types of the columns of a query in the expression; `None` where they are not counted.
    fn query(&self, query: &Query) -> Option<Vec<Option<DataType>>>;
}

/// The columns that an expression may name.
#[derive(Clone, Copy)]
pub(crate) enum Columns<'a> {
    Unknown,
    Table(&'a Table),
    Sources(&'a dyn Sources),
}

/// What an expression is read with.
pub(crate) struct Scope<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) columns: Columns<'a>,
    pub(crate) version: PgVersion,
    pub(crate) place: Place,
    pub(crate) names: &'a dyn Names,
}

#[derive(Debug)]
struct Candidate {
    kind: u8,
    returns_set: bool,
    variadic: bool,
    defaults: usize,
    result: DataType,
    arguments: Vec<DataType>,
    since: u16,
    until: u16,
}

type Candidates = BTreeMap<&'static str, Vec<Candidate>>;

enum Selected<'c> {
    Nothing,
    One(&'c Candidate),
    /// More than one, or what is open decides.
    Open,
}

fn type_of_word(word: &str) -> DataType {
    match word.strip_suffix("[]") {
        Some(element) => DataType::named(element).array(),
        None => DataType::named(word),
    }
}

fn versions(words: std::str::Split<'static, char>) -> (u16, u16) {
    let (mut since, mut until) = (0, u16::MAX);
    for word in words {
        if let Some(number) = word.strip_prefix('+') {
            since = number.parse().unwrap_or(since);
        } else if let Some(number) = word.strip_prefix('-') {
            until = number.parse().unwrap_or(until);
        }
    }
    (since, until)
}

/// A table of `typing`: behind the two lines that say what it is, one candidate a line, its name first.
fn candidates_of(
    text: &'static str,
    candidate: impl Fn(&mut std::str::Split<'static, char>) -> Option<Candidate>,
) -> Candidates {
    let mut table = Candidates::new();
    for line in text.lines().skip(2) {
        let mut words = line.split(' ');
        if let Some(name) = words.next()
            && let Some(candidate) = candidate(&mut words)
        {
            let (since, until) = versions(words);
            table.entry(name).or_default().push(Candidate { since, until, ..candidate });
        }
    }
    table
}

fn operators() -> &'static Candidates {
    static TABLE: OnceLock<Candidates> = OnceLock::new();
    TABLE.get_or_init(|| {
        candidates_of(include_str!("typing/operators.txt"), |words| {
            let (left, right, result, flags) = (words.next()?, words.next()?, words.next()?, words.next()?);
            Some(Candidate {
                kind: flags.as_bytes().first().copied().unwrap_or(b'-'),
                returns_set: false,
                variadic: false,
                defaults: 0,
                result: type_of_word(result),
                arguments: [left, right].into_iter().filter(|word| *word != "-").map(type_of_word).collect(),
                since: 0,
                until: u16::MAX,
            })
        })
    })
}

/// `prokind` of the server's functions of that name, where all have one.
fn kind_of(name: &str) -> Option<u8> {
    let all = functions().get(name)?;
    let first = all.first()?.kind;
    all.iter().all(|candidate| candidate.kind == first).then_some(first)
}

/// Whether the written name is that of an aggregate of the server's.
pub(crate) fn is_aggregate(function: &QualifiedName) -> bool {
    function.schema.as_ref().is_none_or(|schema| *schema == "pg_catalog")
        && kind_of(function.name.as_str()) == Some(b'a')
}

/// Whether the server's functions of that name all give several rows.
pub(crate) fn gives_rows(function: &QualifiedName) -> bool {
    function.schema.as_ref().is_none_or(|schema| *schema == "pg_catalog")
        && functions().get(function.name.as_str()).is_some_and(|all| all.iter().all(|one| one.returns_set))
}

fn functions() -> &'static Candidates {
    static TABLE: OnceLock<Candidates> = OnceLock::new();
    TABLE.get_or_init(|| {
        candidates_of(include_str!("typing/functions.txt"), |words| {
            let (flags, result, arguments) = (words.next()?, words.next()?, words.next()?);
            let flag = |place: usize| flags.as_bytes().get(place).copied().unwrap_or(b'-');
            Some(Candidate {
                kind: flag(0),
                returns_set: flag(1) == b's',
                variadic: flag(2) == b'v',
                defaults: flags.get(4..).and_then(|number| number.parse().ok()).unwrap_or(0),
                result: type_of_word(result),
                arguments: if arguments == "-" { Vec::new() } else { arguments.split(',').map(type_of_word).collect() },
                since: 0,
                until: u16::MAX,
            })
        })
    })
}

/// Whether the operator between two values of the type is its own commutator; `None` where there is no such operator.
pub(crate) fn commutes(operator: &str, data_type: &DataType) -> Option<bool> {
    let found = operators().get(operator)?.iter().find(|candidate| {
        candidate.arguments.len() == 2 && candidate.arguments.iter().all(|argument| argument == data_type)
    });
    found.map(|candidate| candidate.kind == b'c')
}

/// The functions of the name that take as many arguments, of these types where they are known: `None` where that leaves
/// more than one type for what `part` takes of them.
fn settled(
    function: &str,
    given: &[Option<&DataType>],
    part: impl Fn(&'static Candidate) -> Option<&'static DataType>,
) -> Option<DataType> {
    let fits = |argument: &DataType, given: Option<&DataType>| {
        given.is_none_or(|given| *argument == plain(given) || (argument.is("text") && given.is("varchar")))
    };
    let candidates = functions().get(function)?.iter().filter(|candidate| {
        !candidate.variadic
            && (candidate.arguments.len().saturating_sub(candidate.defaults)..=candidate.arguments.len())
                .contains(&given.len())
            && candidate.arguments.iter().zip(given).all(|(argument, given)| fits(argument, *given))
    });
    let mut found = candidates.map(part);
    let first = found.next()??;
    // What stands for any type is settled by the others.
    (found.all(|other| other == Some(first)) && !first.name.name.as_str().starts_with("any")).then(|| first.clone())
}

/// The type of an argument whose own is not known, as of a literal.
pub(crate) fn settled_argument(function: &str, given: &[Option<&DataType>], place: usize) -> Option<DataType> {
    settled(function, given, |candidate| candidate.arguments.get(place))
}

/// The type of the result.
pub(crate) fn settled_result(function: &str, given: &[Option<&DataType>]) -> Option<DataType> {
    settled(function, given, |candidate| Some(&candidate.result))
}

/// Operators that no extension of the server's adds for PostgreSQL's own types, but for `intarray`.
const WHOLLY_KNOWN: [&str; 19] =
    ["=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "||", "~~", "!~~", "~~*", "!~~*", "~", "!~", "~*", "!~*"];

/// Aggregates whose last arguments stand in WITHIN GROUP.
const ORDERED_SETS: [&str; 3] = ["percentile_cont", "percentile_disc", "mode"];

const COMPARISONS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

/// Operators that `pg_trgm` and `btree_gist` have for text, numbers and dates: whoever runs the server may have made the
/// extension, so that no migration has to.
const IN_EXTENSIONS: [&str; 2] = ["%", "<->"];

fn plain(data_type: &DataType) -> DataType {
    DataType {
        modifiers: Vec::new(),
        fields: None,
        array_dimensions: data_type.array_dimensions.min(1),
        ..data_type.clone()
    }
}

/// `pg_type.typcategory`.
fn category(data_type: &DataType) -> char {
    if data_type.is_array() {
        return 'A';
    }
    match data_type.name.name.as_str() {
        "bool" => 'B',
        "int2" | "int4" | "int8" | "float4" | "float8" | "numeric" | "money" | "oid" => 'N',
        "text" | "varchar" | "bpchar" | "name" | "citext" => 'S',
        "date" | "timestamp" | "timestamptz" | "time" | "timetz" => 'D',
        "interval" => 'T',
        "inet" | "cidr" => 'I',
        "bit" | "varbit" => 'V',
        "point" | "line" | "lseg" | "box" | "path" | "polygon" | "circle" => 'G',
        name if name.ends_with("range") => 'R',
        name if name.starts_with("reg") => 'N',
        _ => 'U',
    }
}

fn is_preferred(data_type: &DataType) -> bool {
    !data_type.is_array()
        && matches!(
            data_type.name.name.as_str(),
            "bool" | "float8" | "inet" | "interval" | "oid" | "text" | "timestamptz" | "varbit"
        )
}

fn is_polymorphic(data_type: &DataType) -> bool {
    let name = data_type.name.name.as_str();
    name.starts_with("any") && name != "any"
}

/// What a range is over, where it is one of PostgreSQL's own.
fn range_element(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type.name.name.as_str() {
        "int4range" | "int4multirange" => "int4",
        "int8range" | "int8multirange" => "int8",
        "numrange" | "nummultirange" => "numeric",
        "tsrange" | "tsmultirange" => "timestamp",
        "tstzrange" | "tstzmultirange" => "timestamptz",
        "daterange" | "datemultirange" => "date",
        _ => return None,
    })
}

/// The operator that the server chooses.
pub(crate) struct Chosen {
    /// The types in which it takes its operands.
    pub(crate) arguments: Vec<DataType>,
    pub(crate) result: Option<DataType>,
}

/// The operator between these values, where all that decides it is known.
pub(crate) fn chosen_operator(catalog: &Catalog, operator: &str, values: &[Value]) -> Option<Chosen> {
    if values.contains(&Value::Open) || values.iter().all(|value| *value == Value::Literal) {
        return None;
    }
    let (columns, place) = (Columns::Unknown, Place::Check);
    let scope = Scope { catalog, columns, version: catalog.version, place, names: &OwnNames };
    let Selected::One(candidate) = scope.select(operators().get(operator)?, values) else { return None };
    let element = element_of(&candidate.arguments, values).ok()?;
    let of_kind = |wanted: &DataType| match wanted.name.name.as_str() {
        "anyarray" => Some(element.clone()?.array()),
        "anyelement" | "anynonarray" => element.clone(),
        name if name.starts_with("any") => None,
        _ => Some(wanted.clone()),
    };
    let arguments = candidate.arguments.iter().map(of_kind).collect::<Option<Vec<_>>>()?;
    let result = match Scope::result(candidate, values) {
        Value::Known(data_type) => Some(data_type),
        _ => None,
    };
    Some(Chosen { arguments, result })
}

/// The function that the server chooses.
pub(crate) struct ChosenFunction {
    /// The types in which it takes its arguments; `None` where it takes any and leaves them as they are.
    pub(crate) arguments: Vec<Option<DataType>>,
    /// From here on the arguments are one array.
    pub(crate) gathered_from: Option<usize>,
    pub(crate) result: Option<DataType>,
}

/// The function of PostgreSQL's own for these arguments, where all that decides it is known.
pub(crate) fn chosen_function(catalog: &Catalog, function: &str, values: &[Value]) -> Option<ChosenFunction> {
    if values.is_empty() || values.contains(&Value::Open) {
        return None;
    }
    let (columns, place) = (Columns::Unknown, Place::Check);
    let scope = Scope { catalog, columns, version: catalog.version, place, names: &OwnNames };
    let Selected::One(candidate) = scope.select(functions().get(function)?, values) else { return None };
    let element = element_of(&candidate.arguments, values).ok()?;
    let alike = alike_of(&candidate.arguments, values);
    let argument = |place: usize| {
        let last = candidate.arguments.len().checked_sub(1)?;
        let wanted = candidate.arguments.get(place.min(last))?;
        Some(match wanted.name.name.as_str() {
            "any" => None,
            // Of any type they would have to be of one.
            name if candidate.variadic && place >= last && name.starts_with("any") => return None,
            _ if candidate.variadic && place >= last => Some(DataType { array_dimensions: 0, ..wanted.clone() }),
            "anyarray" => Some(element.clone()?.array()),
            "anyelement" | "anynonarray" => Some(element.clone()?),
            "anycompatiblearray" => Some(alike.clone()?.array()),
            "anycompatible" | "anycompatiblenonarray" => Some(alike.clone()?),
            name if name.starts_with("any") => return None,
            _ => Some(wanted.clone()),
        })
    };
    let arguments = (0..values.len()).map(argument).collect::<Option<Vec<_>>>()?;
    let result = match (candidate.result.name.name.as_str(), Scope::result(candidate, values)) {
        ("anycompatiblearray", _) => alike.map(DataType::array),
        (_, Value::Known(data_type)) => Some(data_type),
        _ => None,
    };
    let last = candidate.arguments.len().saturating_sub(1);
    let gathers = candidate.variadic && candidate.arguments.last().is_some_and(|wanted| !wanted.is("any"));
    let gathered_from = (gathers && values.len() > last).then_some(last);
    // The array itself may be given, which the values do not tell from its elements.
    if gathered_from.is_some()
        && values.iter().skip(last).any(|value| matches!(value, Value::Known(known) if known.is_array()))
    {
        return None;
    }
    Some(ChosenFunction { arguments, gathered_from, result })
}

/// What arguments of the `anycompatible` family are, where they are of one type already.
fn alike_of(wanted: &[DataType], values: &[Value]) -> Option<DataType> {
    let mut found = wanted.iter().zip(values).filter_map(|(wanted, value)| match (wanted.name.name.as_str(), value) {
        ("anycompatiblearray", Value::Known(known)) => Some(DataType { array_dimensions: 0, ..known.clone() }),
        ("anycompatible" | "anycompatiblenonarray", Value::Known(known)) => Some(known.clone()),
        _ => None,
    });
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}

/// What is known of a value of the type.
pub(crate) fn value_of(catalog: &Catalog, data_type: &DataType) -> Value {
    value_in(catalog, data_type, catalog.version)
}

fn value_in(catalog: &Catalog, data_type: &DataType, version: PgVersion) -> Value {
    let base = base_type(catalog, data_type);
    let name = base.name.name.as_str();
    let own = base.name.schema.is_none() && crate::cast::is_builtin_type(name, version);
    if own && catalog.user_type(&base.name).is_none() { Value::Known(plain(&base)) } else { Value::Open }
}

/// Types that no one type holds the values of.
pub(crate) enum NotCommon {
    /// Of different categories.
    Categories(Box<[DataType; 2]>),
    /// The second does not convert to the first.
    NoConversion(Box<[DataType; 2]>),
}

/// One type for values of several (`select_common_type`, `coerce_to_common_type`), where all are of PostgreSQL's own types.
pub(crate) fn common_type<'t>(
    catalog: &Catalog,
    types: impl IntoIterator<Item = &'t DataType> + Clone,
) -> Result<Option<DataType>, NotCommon> {
    let mut all = types.clone().into_iter();
    let Some(first) = all.next() else { return Ok(None) };
    if all.all(|other| other == first) {
        return Ok(Some(first.clone()));
    }
    let mut found = plain(&base_type(catalog, first));
    for other in types.clone() {
        let other = plain(&base_type(catalog, other));
        if other == found {
            continue;
        }
        if category(&other) != category(&found) {
            return Err(NotCommon::Categories(Box::new([found, other])));
        }
        let converts = |from: &DataType, to: &DataType| is_implicit(catalog, from, to);
        if !is_preferred(&found) && converts(&found, &other) && !converts(&other, &found) {
            found = other;
        }
    }
    for other in types {
        let other = plain(&base_type(catalog, other));
        if other != found && !is_implicit(catalog, &other, &found) {
            return Err(NotCommon::NoConversion(Box::new([found, other])));
        }
    }
    Ok(Some(found))
}

impl Scope<'_> {
    /// What the server finds wrong with the whole expression, which must be a condition where one stands.
    pub(crate) fn mistake(&self, node: &ExprNode) -> Option<Mistake> {
        let value = match self.read(node) {
            Ok(value) => value,
            Err(mistake) => return Some(mistake),
        };
        let word = match self.place {
            Place::Check => "CHECK",
            Place::IndexPredicate => "WHERE",
            Place::Policy => "POLICY",
            Place::TriggerWhen => "WHEN",
            Place::Published => "PUBLICATION WHERE",
            _ => return None,
        };
        self.need_truth(node, &value, word).err()
    }

    pub(crate) fn read(&self, node: &ExprNode) -> Result<Value, Mistake> {
        let known = |name: &str| Ok(Value::Known(DataType::named(name)));
        match node {
            ExprNode::Null | ExprNode::Text(_) => Ok(Value::Literal),
            ExprNode::Bool(_) => known("bool"),
            ExprNode::Number(text) => known(number_type(text)),
            ExprNode::Default if self.place == Place::Query => {
                Err(("42601", "DEFAULT is not allowed in this context".to_owned()))
            }
            ExprNode::Default => Ok(Value::Open),
            ExprNode::Column { .. } if self.place == Place::Default => {
                Err(("0A000", "cannot use column reference in DEFAULT expression".to_owned()))
            }
            ExprNode::Column { qualifier: Some(qualifier), .. } if self.is_elsewhere(qualifier) => {
                Err(("42P01", format!("missing FROM-clause entry for table \"{qualifier}\"")))
            }
            ExprNode::Column { name, .. } if self.is_hidden_column(name) => Err((
                "42P10",
                match self.place {
                    Place::Generated => format!("cannot use system column \"{name}\" in column generation expression"),
                    _ => format!("system column \"{name}\" reference in check constraint is invalid"),
                },
            )),
            ExprNode::Column { .. } => {
                Ok(self.column_type(node).map_or(Value::Open, |data_type| self.value_of(&data_type)))
            }
            ExprNode::Cast { expr, data_type } => {
                // The type is looked up before what is cast to it is read.
                if let Some(missing) = self.type_of_later(data_type) {
                    return Err(("42704", format!("type \"{missing}\" does not exist")));
                }
                if !matches!(&**expr, ExprNode::Array(items) if items.is_empty()) {
                    self.read(expr)?;
                }
                Ok(self.value_of(data_type))
            }
            ExprNode::Subquery { kind, query } if self.may_ask() => self.subquery(kind, query),
            ExprNode::Subquery { .. } => Err(("0A000", format!("cannot use subquery in {}", self.place.name()))),
            ExprNode::Call { function, args, keyword } => self.call(function, args, *keyword, None),
            ExprNode::Not(expr) => {
                self.truth(expr, "NOT")?;
                known("bool")
            }
            ExprNode::And(list) | ExprNode::Or(list) => {
                let word = if matches!(node, ExprNode::And(_)) { "AND" } else { "OR" };
                for item in list {
                    self.truth(item, word)?;
                }
                known("bool")
            }
            ExprNode::Prefix { operator, expr } => {
                if operator == "-"
                    && let ExprNode::Number(text) = &**expr
                {
                    return known(number_type(&format!("-{text}")));
                }
                let value = self.read(expr)?;
                self.operator(operator, &[(expr, value)])
            }
            ExprNode::Infix { operator, left, right } => match (&**left, &**right) {
                (ExprNode::Row(_), ExprNode::Subquery { kind: SubqueryKind::Scalar, query }) if self.may_ask() => {
                    self.tested(left, operator, query)
                }
                _ => self.pair(operator, left, right),
            },
            ExprNode::IsNull { expr, .. } => {
                self.read(expr)?;
                known("bool")
            }
            ExprNode::IsTruth { expr, value, negated } => {
                let word = match value {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                self.truth(expr, &format!("IS {}{word}", if *negated { "NOT " } else { "" }))?;
                known("bool")
            }
            ExprNode::IsDistinctFrom { left, right, .. } => self.pair("=", left, right),
            ExprNode::InList { expr, list, negated } => {
                let left = self.read(expr)?;
                for item in list {
                    let right = self.read(item)?;
                    self.operator(if *negated { "<>" } else { "=" }, &[(expr, left.clone()), (item, right)])?;
                }
                known("bool")
            }
            ExprNode::Quantified { operator, left, right, .. } => {
                let value = self.read(left)?;
                if let ExprNode::Array(items) = &**right {
                    // Literals alone make an array of text.
                    let text = items.iter().all(|item| matches!(item, ExprNode::Text(_) | ExprNode::Null));
                    for item in items {
                        let item_value = match self.read(item)? {
                            Value::Literal if text => Value::Known(DataType::named("text")),
                            item_value => item_value,
                        };
                        self.operator(operator, &[(left, value.clone()), (item, item_value)])?;
                    }
                    return known("bool");
                }
                match self.read(right)? {
                    Value::Known(data_type) if !data_type.is_array() => {
                        Err(("42809", "op ANY/ALL (array) requires array on right side".to_owned()))
                    }
                    _ => known("bool"),
                }
            }
            ExprNode::Between { expr, low, high, negated, .. } => {
                let (first, second) = if *negated { ("<", ">") } else { (">=", "<=") };
                let (value, low_value, high_value) = (self.read(expr)?, self.read(low)?, self.read(high)?);
                self.operator(first, &[(expr, value.clone()), (low, low_value)])?;
                self.operator(second, &[(expr, value), (high, high_value)])?;
                known("bool")
            }
            ExprNode::Like { operator, expr, pattern, negated, .. } => {
                if let Some(symbol) = like_operator(operator, *negated) {
                    return self.pair(symbol, expr, pattern);
                }
                self.read(expr)?;
                self.read(pattern)?;
                known("bool")
            }
            ExprNode::Case { operand, branches, otherwise } => {
                let compared = operand.as_ref().map(|operand| Ok((operand, self.read(operand)?))).transpose()?;
                let mut results = Vec::new();
                for (when, then) in branches {
                    match &compared {
                        Some((operand, value)) => {
                            let operands = [(&***operand, value.clone()), (when, self.read(when)?)];
                            self.operator("=", &operands)?;
                        }
                        None => self.truth(when, "CASE/WHEN")?,
                    }
                    results.push(self.read(then)?);
                }
                // What ELSE gives comes first.
                let last = otherwise.as_ref().map(|node| self.read(node)).transpose()?;
                let parts: Vec<(&str, Value)> = last
                    .map(|value| ("CASE/ELSE", value))
                    .into_iter()
                    .chain(results.into_iter().map(|value| ("CASE/WHEN", value)))
                    .collect();
                let common = self.common("CASE", &parts)?;
                become_common(
                    otherwise.iter().map(|node| &**node).chain(branches.iter().map(|(_, then)| then)),
                    &common,
                )?;
                Ok(common)
            }
            ExprNode::Array(list) if list.is_empty() => {
                Err(("42P18", "cannot determine type of empty array".to_owned()))
            }
            ExprNode::Array(list) => {
                let values = list.iter().map(|item| Ok(("ARRAY", self.read(item)?))).collect::<Result<Vec<_>, _>>()?;
                let common = self.common("ARRAY", &values)?;
                become_common(list, &common)?;
                Ok(match common {
                    Value::Known(data_type) if !data_type.is_array() => Value::Known(data_type.array()),
                    Value::Known(data_type) => Value::Known(data_type),
                    _ => Value::Open,
                })
            }
            ExprNode::Collate { expr, .. } => {
                let value = self.read(expr)?;
                match &value {
                    Value::Known(data_type) if !data_type.is_array() && category(data_type) != 'S' => {
                        Err(("42804", format!("collations are not supported by type {data_type}")))
                    }
                    _ => Ok(value),
                }
            }
            ExprNode::AtTimeZone { expr, zone } => {
                self.read(zone)?;
                Ok(match self.read(expr)? {
                    Value::Known(data_type) if data_type.is("timestamptz") => {
                        Value::Known(DataType::named("timestamp"))
                    }
                    Value::Known(data_type) if data_type.is("timestamp") || data_type.is("date") => {
                        Value::Known(DataType::named("timestamptz"))
                    }
                    _ => Value::Open,
                })
            }
            ExprNode::Subscript { expr, index } => {
                self.read(index)?;
                Ok(match self.read(expr)? {
                    Value::Known(data_type) if data_type.is("jsonb") && !self.version.at_least(14) => {
                        return Err(("42804", "cannot subscript type jsonb because it is not an array".to_owned()));
                    }
                    Value::Known(data_type) if data_type.is("jsonb") => Value::Known(data_type),
                    _ => Value::Open,
                })
            }
            ExprNode::Field { expr, name } => {
                self.read(expr)?;
                let Some(composite) = self.composite_of(expr) else { return Ok(Value::Open) };
                match self.catalog.attribute_type(&composite, name) {
                    Some(data_type) => Ok(self.value_of(&data_type)),
                    None if self.catalog.has_all_attributes(&composite) => Err((
                        "42703",
                        format!("column \"{name}\" not found in data type {}", quoted_if_needed(&composite.name.name)),
                    )),
                    None => Ok(Value::Open),
                }
            }
            ExprNode::Row(parts) => {
                // A row that is assigned may have defaults.
                for part in parts.iter().filter(|part| **part != ExprNode::Default) {
                    self.read(part)?;
                }
                Ok(Value::Open)
            }
            ExprNode::Other { words: true, .. } if self.place == Place::Query => Ok(Value::Open),
            ExprNode::Other { parts, .. }
                if self.may_ask() && matches!(parts.last(), Some(ExprNode::Subquery { .. })) =>
            {
                match parts.as_slice() {
                    [left, ExprNode::Subquery { kind: SubqueryKind::Tested { operator }, query }] => {
                        self.tested(left, operator, query)
                    }
                    [ExprNode::Subquery { kind, query }] => self.subquery(kind, query),
                    _ => Ok(Value::Open),
                }
            }
            ExprNode::Other { parts, form: Some(form), .. }
                if self.place == Place::Query && !is_json_constructor(parts) =>
            {
                self.call_in_form(parts, form)
            }
            ExprNode::Other { text, parts, words, .. } => {
                if is_json_test(text) && !self.version.at_least(16) {
                    return Err(("42601", "syntax error at or near \"JSON\"".to_owned()));
                }
                for part in parts {
                    let over = text.split(|c: char| !c.is_alphanumeric()).any(|word| word.eq_ignore_ascii_case("over"));
                    if let ExprNode::Call { function, .. } = part
                        && over
                        && self.place != Place::Query
                        && matches!(self.kind(function), Some(b'a' | b'w'))
                    {
                        return Err(("42P20", format!("window functions are not allowed in {}", self.place.plural())));
                    }
                    // What stands behind a call, as WITHIN GROUP, gives it more arguments.
                    if let ExprNode::Call { args, .. } = part
                        && self.place == Place::Query
                    {
                        args.iter().try_for_each(|arg| self.read(arg).map(|_| ()))?;
                        continue;
                    }
                    if let ExprNode::Call { args, .. } = part
                        && is_json_constructor(std::slice::from_ref(part))
                    {
                        for argument in args {
                            self.read(argument)?;
                        }
                        continue;
                    }
                    match self.read(part) {
                        // The arguments of what was not read are not known.
                        Err(("42883", _)) if *words => {}
                        read => drop(read?),
                    }
                }
                Ok(Value::Open)
            }
        }
    }

    /// Whether a query may stand in it.
    const fn may_ask(&self) -> bool {
        matches!(self.place, Place::Policy | Place::Published | Place::Query)
    }

    fn columns_of(&self, query: &Query) -> Option<Vec<Option<DataType>>> {
        match self.columns {
            Columns::Sources(sources) => sources.query(query),
            Columns::Unknown | Columns::Table(_) => None,
        }
    }

    /// `transformSubLink`: one column where one value is asked for.
    fn subquery(&self, kind: &SubqueryKind, query: &Query) -> Result<Value, Mistake> {
        match kind {
            SubqueryKind::Exists => return Ok(Value::Known(DataType::named("bool"))),
            SubqueryKind::Scalar | SubqueryKind::Array => {}
            SubqueryKind::Assigned { columns } => {
                return match self.columns_of(query) {
                    Some(given) if given.len() != *columns => {
                        Err(("42601", "number of columns does not match number of values".to_owned()))
                    }
                    _ => Ok(Value::Open),
                };
            }
            SubqueryKind::Tested { .. } | SubqueryKind::Unknown => return Ok(Value::Open),
        }
        let Some(columns) = self.columns_of(query) else { return Ok(Value::Open) };
        let [only] = columns.as_slice() else {
            return Err(("42601", "subquery must return only one column".to_owned()));
        };
        let value = only.as_ref().map_or(Value::Open, |data_type| self.value_of(data_type));
        Ok(match value {
            Value::Known(data_type) if *kind == SubqueryKind::Array && !data_type.is_array() => {
                Value::Known(data_type.array())
            }
            value => value,
        })
    }

    /// The same of rows that are compared with a value or a row, one column with each part.
    fn tested(&self, left: &ExprNode, operator: &str, query: &Query) -> Result<Value, Mistake> {
        let parts = match left {
            ExprNode::Row(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let values = parts.iter().map(|part| self.read(part)).collect::<Result<Vec<_>, _>>()?;
        let truth = Value::Known(DataType::named("bool"));
        let Some(columns) = self.columns_of(query) else { return Ok(truth) };
        if parts.len() != columns.len() {
            let what = if parts.len() < columns.len() { "many" } else { "few" };
            return Err(("42601", format!("subquery has too {what} columns")));
        }
        for ((part, value), column) in parts.iter().zip(values).zip(&columns) {
            let column = column.as_ref().map_or(Value::Open, |data_type| self.value_of(data_type));
            self.operator(operator, &[(part, value), (&ExprNode::Null, column)])?;
        }
        Ok(truth)
    }

    /// A number of rows, which is a bigint.
    pub(crate) fn need_number(&self, node: &ExprNode, word: &str) -> Result<(), Mistake> {
        let number = DataType::named("int8");
        match self.read(node)? {
            Value::Literal => match node {
                ExprNode::Text(text) => crate::literal::mistake_in(text, &number).map_or(Ok(()), Err),
                _ => Ok(()),
            },
            Value::Known(data_type) if !crate::cast::is_assignable(self.catalog, &data_type, &number) => {
                let shown = self.shown(node, &Value::Known(data_type));
                Err(("42804", format!("argument of {word} must be type bigint, not type {shown}")))
            }
            _ => Ok(()),
        }
    }

    /// The type of a column, or of an attribute of a column's value.
    fn composite_of(&self, node: &ExprNode) -> Option<DataType> {
        match node {
            ExprNode::Column { .. } => self.column_type(node),
            ExprNode::Field { expr, name } => self.catalog.attribute_type(&self.composite_of(expr)?, name),
            _ => None,
        }
    }

    /// Whether an expression about one table names another one.
    fn is_elsewhere(&self, qualifier: &Ident) -> bool {
        let places =
            [Place::Check, Place::IndexExpression, Place::IndexPredicate, Place::Generated, Place::PartitionKey];
        match self.columns {
            Columns::Table(table) => places.contains(&self.place) && *qualifier != table.name.name,
            _ => false,
        }
    }

    /// A system column that stored rows cannot be tested by.
    fn is_hidden_column(&self, name: &Ident) -> bool {
        let hidden = ["ctid", "xmin", "xmax", "cmin", "cmax"].contains(&name.as_str());
        hidden && matches!(self.columns, Columns::Table(_)) && matches!(self.place, Place::Check | Place::Generated)
    }

    fn is_enum(&self, data_type: &DataType) -> bool {
        let known = self.catalog.user_type(&data_type.name).map(|known| &known.kind);
        !data_type.is_array() && matches!(known, Some(UserTypeKind::Defined(TypeDefinition::Enum(_))))
    }

    fn column_type(&self, node: &ExprNode) -> Option<DataType> {
        let ExprNode::Column { qualifier, name } = node else { return None };
        match self.columns {
            Columns::Unknown => None,
            Columns::Table(table) => Some(table.column(name.as_str())?.data_type.clone()),
            Columns::Sources(sources) => sources.column(qualifier.as_ref(), name),
        }
    }

    /// A literal beside a column of an enum becomes a value of it: the operators between values of one enum are all that it has.
    fn check_enum_literals(&self, operands: &[(&ExprNode, Value)]) -> Result<(), Mistake> {
        let [(left, _), (right, _)] = operands else { return Ok(()) };
        for (column, literal) in [(left, right), (right, left)] {
            let ExprNode::Text(text) = literal else { continue };
            let Some(data_type) = self.column_type(column).filter(|data_type| !data_type.is_array()) else { continue };
            let known = self.catalog.user_type(&data_type.name).map(|known| &known.kind);
            if let Some(UserTypeKind::Defined(TypeDefinition::Enum(values))) = known
                && !values.contains(text)
                && !self.catalog.has_own_operators()
            {
                let message =
                    format!("invalid input value for enum {}: \"{text}\"", self.names.show(&plain(&data_type)));
                return Err(("22P02", message));
            }
            if self.names.is_new_value(&data_type.name, text) {
                let shown = self.names.show(&plain(&data_type));
                return Err(("55P04", format!("unsafe use of new value \"{text}\" of enum type {shown}")));
            }
        }
        Ok(())
    }

    fn value_of(&self, data_type: &DataType) -> Value {
        value_in(self.catalog, data_type, self.version)
    }

    /// One type of all values, each with the words that a refusal has for its place.
    pub(crate) fn common(&self, word: &str, values: &[(&str, Value)]) -> Result<Value, Mistake> {
        let mut types = Vec::new();
        for (_, value) in values {
            match value {
                Value::Open => return Ok(Value::Open),
                Value::Literal => {}
                Value::Known(known) => types.push(known),
            }
        }
        if types.len() < values.len() && types.is_empty() {
            return Ok(Value::Known(DataType::named("text")));
        }
        match common_type(self.catalog, types.iter().copied()) {
            Ok(found) => Ok(found.map_or(Value::Open, Value::Known)),
            Err(_) if self.catalog.has_own_operators() || self.catalog.is_incomplete() => Ok(Value::Open),
            Err(NotCommon::Categories(types)) => {
                let [found, other] = types.each_ref().map(DataType::in_messages);
                Err(("42804", format!("{word} types {found} and {other} cannot be matched")))
            }
            Err(NotCommon::NoConversion(types)) => {
                let of_place = |(_, value): &&(&str, Value)| *value == Value::Known(types[1].clone());
                let place = values.iter().find(of_place).map_or(word, |(place, _)| *place);
                let [found, other] = types.each_ref().map(DataType::in_messages);
                Err(("42846", format!("{place} could not convert type {other} to {found}")))
            }
        }
    }

    /// The same of a condition.
    pub(crate) fn truth(&self, node: &ExprNode, word: &str) -> Result<(), Mistake> {
        let value = self.read(node)?;
        self.need_truth(node, &value, word)
    }

    fn need_truth(&self, node: &ExprNode, value: &Value, word: &str) -> Result<(), Mistake> {
        match value {
            Value::Known(data_type) if !data_type.is("bool") && !self.catalog.has_own_operators() => {
                Err(("42804", format!("argument of {word} must be type boolean, not type {}", self.shown(node, value))))
            }
            _ => Ok(()),
        }
    }

    /// The type as it stands in messages: of a column its own, domains included.
    fn shown(&self, node: &ExprNode, value: &Value) -> String {
        if let Some(data_type) = self.column_type(node) {
            return self.names.show(&plain(&data_type));
        }
        match value {
            Value::Known(data_type) => data_type.in_messages(),
            _ => "unknown".to_owned(),
        }
    }

    fn pair(&self, operator: &str, left: &ExprNode, right: &ExprNode) -> Result<Value, Mistake> {
        let (one, other) = (self.read(left)?, self.read(right)?);
        self.operator(operator, &[(left, one), (right, other)])
    }

    fn operator(&self, operator: &str, operands: &[(&ExprNode, Value)]) -> Result<Value, Mistake> {
        let operator = if operator == "!=" { "<>" } else { operator };
        let Some(all) = operators().get(operator) else { return Ok(Value::Open) };
        if COMPARISONS.contains(&operator) {
            self.check_enum_literals(operands)?;
        }
        let values: Vec<Value> = operands.iter().map(|(_, value)| value.clone()).collect();
        match self.select(all, &values) {
            Selected::One(candidate) => {
                check_literals(candidate, operands)?;
                Ok(self.given(candidate, &values))
            }
            Selected::Open => Ok(Value::Open),
            Selected::Nothing => {
                let mut extensions = self.catalog.extensions.keys();
                let more = self.catalog.has_own_operators()
                    || self.catalog.has_extension("intarray")
                    || (IN_EXTENSIONS.contains(&operator) && !(operator == "%" && values.iter().any(is_number)))
                    || (!WHOLLY_KNOWN.contains(&operator)
                        && !extensions.all(|extension| crate::cast::is_known_extension(extension.as_str())));
                if more || self.catalog.is_incomplete() {
                    return Ok(Value::Open);
                }
                let shown: Vec<String> = operands.iter().map(|(node, value)| self.shown(node, value)).collect();
                Err((
                    "42883",
                    match shown.as_slice() {
                        [left, right] => format!("operator does not exist: {left} {operator} {right}"),
                        rest => format!("operator does not exist: {operator} {}", rest.join(" ")),
                    },
                ))
            }
        }
    }

    /// The kind of the server's functions of that name, where all have one.
    fn kind(&self, function: &QualifiedName) -> Option<u8> {
        if function.schema.as_ref().is_some_and(|schema| *schema != "pg_catalog")
            || self.names.function(function).is_some()
        {
            return None;
        }
        kind_of(function.name.as_str())
    }

    /// A type of the server's that comes with a later version.
    fn type_of_later<'d>(&self, data_type: &'d DataType) -> Option<&'d str> {
        let name = &data_type.name;
        let built_in = |version| crate::cast::is_builtin_type(name.name.as_str(), version);
        let later = name.schema.is_none() && built_in(PgVersion::NEWEST) && !built_in(self.version);
        (later && self.catalog.user_type(name).is_none() && !self.catalog.is_incomplete()).then(|| name.name.as_str())
    }

    /// An aggregate or a window function with what stands behind its arguments (`ParseFuncOrColumn`).
    fn call_in_form(&self, parts: &[ExprNode], form: &CallForm) -> Result<Value, Mistake> {
        let Some(ExprNode::Call { function, args, keyword }) = parts.first() else { return Ok(Value::Open) };
        let (order, filter, window) = form.parts(parts);
        let sorted = order.iter().map(|item| self.read(item)).collect::<Result<Vec<_>, _>>()?;
        if let Some(filter) = filter {
            self.truth(filter, "FILTER")?;
        }
        let name = function.name.as_str();
        let own = self.names.function(function).is_some();
        let value = if form.within {
            let values = args.iter().map(|arg| self.read(arg)).collect::<Result<Vec<_>, _>>()?;
            if !own && kind_of(name) == Some(b'a') && !ORDERED_SETS.contains(&name) && !values.is_empty() {
                return Err((
                    "42809",
                    format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"),
                ));
            }
            if ORDERED_SETS.contains(&name) {
                let all: Vec<ExprNode> = args.iter().chain(order).cloned().collect();
                self.call(function, &all, *keyword, Some(form))?;
            }
            Value::Open
        } else {
            self.call(function, args, *keyword, Some(form))?
        };
        if form.over && form.distinct && !own {
            return Err(("0A000", "DISTINCT is not implemented for window functions".to_owned()));
        }
        for data_type in sorted.iter().filter_map(known_type) {
            self.need_order(data_type, "an ordering")?;
        }
        if form.distinct {
            let named = |node: &ExprNode| match node {
                ExprNode::Column { name, .. } => Some(name.clone()),
                _ => None,
            };
            let given: Option<Vec<Ident>> =
                args.iter().filter(|arg| !matches!(arg, ExprNode::Text(_) | ExprNode::Number(_))).map(named).collect();
            if let Some(given) = given
                && order.iter().filter_map(named).any(|name| !given.contains(&name))
            {
                let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
                return Err(("42P10", message.to_owned()));
            }
            for arg in args {
                if let Value::Known(data_type) = self.read(arg)? {
                    self.need_order(&data_type, "an equality")?;
                }
            }
        }
        // What a window begins with may have an order.
        if form.over && !form.unread && form.window.is_none() {
            match (form.frame, window.len() - form.partition.min(window.len())) {
                (Some(("RANGE", true)), sorted) if sorted != 1 => {
                    let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
                    return Err(("42P20", message.to_owned()));
                }
                (Some(("GROUPS", _)), 0) => {
                    return Err(("42P20", "GROUPS mode requires an ORDER BY clause".to_owned()));
                }
                _ => {}
            }
        }
        for (place, item) in window.iter().enumerate().filter(|_| !form.unread) {
            if let Value::Known(data_type) = self.read(item)? {
                let what = if place < form.partition { "an equality" } else { "an ordering" };
                self.need_order(&data_type, what)?;
            }
        }
        Ok(value)
    }

    /// `get_sort_group_operators`.
    pub(crate) fn need_order(&self, data_type: &DataType, what: &str) -> Result<(), Mistake> {
        let without = ["json", "xml", "jsonpath", "point", "box", "polygon", "path", "lseg", "line", "circle"];
        if without.iter().any(|name| data_type.is(name)) && !self.catalog.has_own_operators() {
            let shown = data_type.in_messages();
            return Err(("42883", format!("could not identify {what} operator for type {shown}")));
        }
        Ok(())
    }

    fn call(
        &self,
        function: &QualifiedName,
        args: &[ExprNode],
        keyword: bool,
        form: Option<&CallForm>,
    ) -> Result<Value, Mistake> {
        let values = args.iter().map(|arg| self.read(arg)).collect::<Result<Vec<_>, _>>()?;
        let name = function.name.as_str();
        let places = |what: &str| format!("{what} functions are not allowed in {}", self.place.plural());
        let foreign = function.schema.as_ref().is_some_and(|schema| *schema != "pg_catalog");
        if let Some(own) = self.names.function(function) {
            let sets = self.catalog.functions(&own).iter().all(|function| function.returns_set);
            return if sets && self.place != Place::Query {
                Err(("0A000", places("set-returning")))
            } else {
                self.own_call(&own, function, args, &values)
            };
        }
        if foreign {
            return Ok(Value::Open);
        }
        match name {
            "coalesce" | "greatest" | "least" => {
                let word = name.to_ascii_uppercase();
                let values: Vec<(&str, Value)> = values.into_iter().map(|value| (word.as_str(), value)).collect();
                let common = self.common(&word, &values)?;
                return become_common(args, &common).map(|()| common);
            }
            "nullif" => {
                let operands: Vec<(&ExprNode, Value)> = args.iter().zip(values.iter().cloned()).collect();
                self.operator("=", &operands)?;
                // It has the type in which the operator takes the first.
                return Ok(match values.into_iter().next() {
                    Some(Value::Known(data_type)) if data_type.is("varchar") => Value::Known(DataType::named("text")),
                    Some(Value::Known(data_type)) => Value::Known(data_type),
                    _ => Value::Open,
                });
            }
            // `JSON_OBJECT(key: value)` is read without its members.
            "json_object" if args.is_empty() => return Ok(Value::Open),
            "current_timestamp" => return Ok(Value::Known(DataType::named("timestamptz"))),
            "localtimestamp" => return Ok(Value::Known(DataType::named("timestamp"))),
            "current_date" => return Ok(Value::Known(DataType::named("date"))),
            "current_user" | "session_user" | "user" | "current_role" => {
                return Ok(Value::Known(DataType::named("name")));
            }
            // Its form was no word of the grammar's yet.
            "normalize" if keyword && !self.version.at_least(13) => {
                if let [_, ExprNode::Text(form)] = args {
                    return Err(("42703", format!("column \"{}\" does not exist", form.to_ascii_lowercase())));
                }
            }
            "is_normalized" if keyword && !self.version.at_least(13) => {
                let token = if let [_, ExprNode::Text(form)] = args { form.as_str() } else { "NORMALIZED" };
                return Err(("42601", format!("syntax error at or near \"{token}\"")));
            }
            _ => {}
        }
        // The standard's forms are calls of the server's own functions; before 14 so was any call of `substring`.
        let since_14 = self.version.at_least(14);
        let name = if name == "extract" && !since_14 { "date_part" } else { name };
        let standard = (keyword && (name != "normalize" || self.version.at_least(13)))
            || function.name == "extract"
            || (name == "substring" && !since_14);
        // `JSON_OBJECT()` is the constructor.
        let Some(all) = functions().get(name).filter(|_| name != "json_object" || !args.is_empty()) else {
            return Ok(Value::Open);
        };
        let selected = self.select(all, &values);
        if let Selected::Nothing = selected {
            // `text(x)` is a cast; of arguments that are named or a star nothing is known.
            let odd = args.iter().any(|arg| matches!(arg, ExprNode::Other { .. }))
                || (self.place == Place::Query && args.is_empty())
                || (args.len() == 1
                    && crate::cast::is_builtin_type(crate::data_type::canonical_type_name(name), self.version));
            let brought = crate::volatility::extension_of_function(name)
                .is_some_and(|(extension, _)| self.catalog.has_extension(extension));
            let more = brought || self.catalog.has_own_operators() || self.catalog.is_incomplete();
            if !odd && !more {
                let shown: Vec<String> = args.iter().zip(&values).map(|(arg, value)| self.shown(arg, value)).collect();
                let schema = if standard { "pg_catalog." } else { "" };
                return Err(("42883", format!("function {schema}{name}({}) does not exist", shown.join(", "))));
            }
        }
        match self.kind(function).filter(|_| self.place != Place::Query) {
            Some(b'a') => return Err(("42803", places("aggregate"))),
            Some(b'w') => return Err(("42P20", places("window"))),
            _ => {}
        }
        // With arguments the same names are aggregates, too.
        if self.place == Place::Query
            && form.is_none()
            && args.is_empty()
            && matches!(name, "rank" | "dense_rank" | "percent_rank" | "cume_dist")
        {
            return Err(("42809", format!("window function {name} requires an OVER clause")));
        }
        if self.place == Place::Query
            && let Selected::One(Candidate { kind, .. }) = selected
        {
            check_kind(*kind, name, form)?;
            if *kind == b'a' && args.is_empty() && !form.is_some_and(|form| form.within) {
                let message = format!("{name}(*) must be used to call a parameterless aggregate function");
                return Err(("42809", message));
            }
        }
        let all_sets = all.iter().all(|candidate| candidate.returns_set);
        match selected {
            Selected::One(candidate) if self.place == Place::Query => Ok(self.given(candidate, &values)),
            _ if self.place == Place::Query => Ok(Value::Open),
            Selected::One(candidate) if candidate.returns_set => Err(("0A000", places("set-returning"))),
            _ if all_sets => Err(("0A000", places("set-returning"))),
            Selected::One(candidate) => Ok(self.given(candidate, &values)),
            _ => Ok(Value::Open),
        }
    }

    /// A call of a function that somebody has made, where all that decides which one is meant is known.
    fn own_call(
        &self,
        own: &QualifiedName,
        written: &QualifiedName,
        args: &[ExprNode],
        values: &[Value],
    ) -> Result<Value, Mistake> {
        let overloads = self.catalog.functions(own);
        let open = self.catalog.has_own_operators()
            || self.catalog.is_incomplete()
            || (written.schema.is_none() && functions().contains_key(own.name.as_str()))
            || args.iter().any(|arg| matches!(arg, ExprNode::Other { .. }))
            // What the last argument takes may be several values.
            || overloads.iter().any(|function| {
                function.procedure || function.arguments.last().is_some_and(|last| last.as_ref().is_none_or(DataType::is_array))
            });
        if open || values.contains(&Value::Open) {
            return Ok(Value::Open);
        }
        let fits = |function: &&Function| {
            let count = function.arguments.len();
            (count - function.defaults.min(count)..=count).contains(&values.len())
                && values.iter().zip(&function.arguments).all(|(value, wanted)| match (value, wanted) {
                    (Value::Known(known), Some(wanted)) => match self.value_of(wanted) {
                        Value::Known(wanted) => self.accepts_one(known, &wanted),
                        // Nothing becomes an enum by itself.
                        _ => !self.is_enum(wanted),
                    },
                    _ => true,
                })
        };
        let mut fitting = overloads.iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(match only.returns.as_ref().map(|returns| self.value_of(returns)) {
                Some(Value::Known(returns))
                    if !returns.name.name.as_str().starts_with("any") && !returns.is("record") =>
                {
                    Value::Known(returns)
                }
                _ => Value::Open,
            }),
            (Some(_), Some(_)) => Ok(Value::Open),
            (None, _) => {
                let shown: Vec<String> = args.iter().zip(values).map(|(arg, value)| self.shown(arg, value)).collect();
                let name = crate::execute::written(written);
                Err(("42883", format!("function {name}({}) does not exist", shown.join(", "))))
            }
        }
    }

    /// The result of a function or operator that was chosen.
    fn given(&self, candidate: &Candidate, values: &[Value]) -> Value {
        let compatible = || self.compatible_of(candidate, values).ok().flatten();
        match candidate.result.name.name.as_str() {
            "anycompatible" | "anycompatiblenonarray" => compatible().map_or(Value::Open, Value::Known),
            "anycompatiblearray" => compatible()
                .filter(|element| !element.is_array())
                .map_or(Value::Open, |element| Value::Known(element.array())),
            _ => Self::result(candidate, values),
        }
    }

    fn result(candidate: &Candidate, values: &[Value]) -> Value {
        if !is_polymorphic(&candidate.result) {
            return if candidate.result.is("record") { Value::Open } else { Value::Known(candidate.result.clone()) };
        }
        let element = element_of(&candidate.arguments, values);
        match (candidate.result.name.name.as_str(), element) {
            ("anyelement" | "anynonarray", Ok(Some(element))) => Value::Known(element),
            ("anyarray", Ok(Some(element))) if !element.is_array() => Value::Known(element.array()),
            _ => Value::Open,
        }
    }

    /// `func_match_argtypes` and `func_select_candidate`.
    fn select<'c>(&self, all: &'c [Candidate], values: &[Value]) -> Selected<'c> {
        let count = values.len();
        let here = all.iter().filter(|candidate| {
            let (least, most) = (candidate.arguments.len() - candidate.defaults, candidate.arguments.len());
            let arity = if candidate.variadic { count + 1 >= most } else { (least..=most).contains(&count) };
            arity && (candidate.since..=candidate.until).contains(&self.version.major)
        });
        if let Some(exact) = here.clone().find(|candidate| is_exact(candidate, values))
            && !all.iter().any(|candidate| candidate.variadic)
        {
            return Selected::One(exact);
        }
        let mut left: Vec<&Candidate> = here.filter(|candidate| self.accepts(candidate, values)).collect();
        if left.is_empty() {
            return Selected::Nothing;
        }
        if values.contains(&Value::Open) || left.iter().any(|candidate| candidate.variadic) {
            return match left.as_slice() {
                [only] => Selected::One(only),
                _ => Selected::Open,
            };
        }
        let exactly = |candidate: &&Candidate| {
            let pairs = values.iter().zip(&candidate.arguments);
            pairs.filter(|(value, wanted)| matches!(value, Value::Known(known) if known == *wanted)).count()
        };
        keep_best(&mut left, exactly);
        let preferred = |candidate: &&Candidate| {
            let pairs = values.iter().zip(&candidate.arguments);
            pairs
                .filter(|(value, wanted)| {
                    matches!(value, Value::Known(known) if known == *wanted
                        || (is_preferred(wanted) && category(known) == category(wanted)))
                })
                .count()
        };
        if left.len() > 1 {
            keep_best(&mut left, preferred);
        }
        if left.len() > 1 {
            for place in (0..count).filter(|place| values[*place] == Value::Literal) {
                let wanted = |candidate: &&Candidate| candidate.arguments.get(place).map(category);
                let chosen = if left.iter().any(|candidate| wanted(candidate) == Some('S')) {
                    Some('S')
                } else {
                    let first = left.first().and_then(wanted);
                    first.filter(|first| left.iter().all(|candidate| wanted(candidate) == Some(*first)))
                };
                let Some(chosen) = chosen else { return Selected::Open };
                left.retain(|candidate| wanted(candidate) == Some(chosen));
                let liked =
                    |candidate: &&Candidate| usize::from(candidate.arguments.get(place).is_some_and(is_preferred));
                keep_best(&mut left, liked);
            }
        }
        match left.as_slice() {
            [only] => Selected::One(only),
            _ => Selected::Open,
        }
    }

    fn accepts(&self, candidate: &Candidate, values: &[Value]) -> bool {
        let last = candidate.arguments.len().saturating_sub(1);
        let each = values.iter().enumerate().all(|(place, value)| {
            if candidate.variadic && place >= last {
                return true;
            }
            let Some(wanted) = candidate.arguments.get(place) else { return false };
            match value {
                Value::Literal | Value::Open => true,
                Value::Known(known) => self.accepts_one(known, wanted),
            }
        });
        each && (candidate.variadic
            || (element_of(&candidate.arguments, values).is_ok() && self.compatible_of(candidate, values).is_ok()))
    }

    /// What the arguments that only have to be compatible have in common; `None` where nothing says it. Of ranges it is not told.
    fn compatible_of(&self, candidate: &Candidate, values: &[Value]) -> Result<Option<DataType>, Disagreement> {
        let mut elements = Vec::new();
        for (wanted, value) in candidate.arguments.iter().zip(values) {
            let name = wanted.name.name.as_str();
            if !name.starts_with("anycompatible") {
                continue;
            }
            match (name, value) {
                (_, Value::Literal) => {}
                ("anycompatiblearray", Value::Known(known)) => {
                    elements.push(DataType { array_dimensions: 0, ..known.clone() });
                }
                ("anycompatible" | "anycompatiblenonarray", Value::Known(known)) => elements.push(known.clone()),
                _ => return Ok(None),
            }
        }
        common_type(self.catalog, &elements).map_err(|_| Disagreement)
    }

    fn accepts_one(&self, known: &DataType, wanted: &DataType) -> bool {
        let range = |suffix: &str| !known.is_array() && known.name.name.as_str().ends_with(suffix);
        match wanted.name.name.as_str() {
            _ if wanted.is_array() || known == wanted => known == wanted || is_implicit(self.catalog, known, wanted),
            "any" | "anyelement" | "anycompatible" => true,
            "anynonarray" | "anycompatiblenonarray" => !known.is_array(),
            "anyarray" | "anycompatiblearray" => known.is_array(),
            "anyenum" => false,
            "anymultirange" | "anycompatiblemultirange" => range("multirange"),
            "anyrange" | "anycompatiblerange" => range("range") && !range("multirange"),
            _ => is_implicit(self.catalog, known, wanted),
        }
    }
}

/// A function of the server's in the form that its kind has.
fn check_kind(kind: u8, name: &str, form: Option<&CallForm>) -> Result<(), Mistake> {
    let (over, none) = (form.is_some_and(|form| form.over), CallForm::default());
    let form = form.unwrap_or(&none);
    match kind {
        b'w' if !over && !form.within => Err(("42809", format!("window function {name} requires an OVER clause"))),
        b'f' => {
            let written = [
                (form.distinct, "DISTINCT"),
                (form.within, "WITHIN GROUP"),
                (form.order > 0, "ORDER BY"),
                (form.filter, "FILTER"),
            ];
            match written.into_iter().find(|(written, _)| *written) {
                Some((_, word)) => Err(("42809", format!("{word} specified, but {name} is not an aggregate function"))),
                None if over => Err((
                    "42809",
                    format!("OVER specified, but {name} is not a window function nor an aggregate function"),
                )),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// `json_object` is a function too; with `VALUE` or clauses it is the constructor of the standard.
fn is_json_constructor(parts: &[ExprNode]) -> bool {
    matches!(parts.first(), Some(ExprNode::Call { function, .. })
        if function.schema.is_none()
            && matches!(function.name.as_str(), "json_object" | "json_array" | "json_objectagg" | "json_arrayagg"))
}

const fn known_type(value: &Value) -> Option<&DataType> {
    match value {
        Value::Known(data_type) => Some(data_type),
        Value::Literal | Value::Open => None,
    }
}

/// Whether the text ends in `IS JSON …` (16).
fn is_json_test(text: &str) -> bool {
    const OF_JSON: [&str; 8] = ["VALUE", "ARRAY", "OBJECT", "SCALAR", "WITH", "WITHOUT", "UNIQUE", "KEYS"];
    let words: Vec<String> = text.split_whitespace().map(str::to_ascii_uppercase).collect();
    let Some(is) = words.iter().rposition(|word| word == "IS") else { return false };
    let mut behind = words.iter().skip(is + 1).map(String::as_str).filter(|word| *word != "NOT");
    behind.next() == Some("JSON") && behind.all(|word| OF_JSON.contains(&word))
}

/// Whether the candidate is the one for just these types, which the server takes before it looks at any other.
fn is_exact(candidate: &Candidate, values: &[Value]) -> bool {
    let of = |known: &DataType| candidate.arguments.iter().all(|wanted| wanted == known);
    candidate.arguments.len() == values.len()
        && match values {
            // An operator between a value and a literal first takes the literal for one of the same type.
            [Value::Known(known), Value::Literal] | [Value::Literal, Value::Known(known)] => of(known),
            values => values
                .iter()
                .zip(&candidate.arguments)
                .all(|(value, wanted)| matches!(value, Value::Known(known) if known == wanted)),
        }
}

/// A literal beside an operator becomes a value of the type that the operator takes there.
fn check_literals(candidate: &Candidate, operands: &[(&ExprNode, Value)]) -> Result<(), Mistake> {
    for ((node, _), wanted) in operands.iter().zip(&candidate.arguments) {
        let any = DataType::named("text").array();
        let wanted = if wanted.is("anyarray") { &any } else { wanted };
        if let ExprNode::Text(text) = node
            && let Some(mistake) = crate::literal::mistake_in(text, wanted)
        {
            return Err(mistake);
        }
    }
    Ok(())
}

/// The same of a literal among values that become one type.
fn become_common<'n>(nodes: impl IntoIterator<Item = &'n ExprNode>, common: &Value) -> Result<(), Mistake> {
    let Value::Known(data_type) = common else { return Ok(()) };
    let mistake = |node: &ExprNode| match node {
        ExprNode::Text(text) => crate::literal::mistake_in(text, data_type),
        _ => None,
    };
    nodes.into_iter().find_map(mistake).map_or(Ok(()), Err)
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Known(data_type) if category(data_type) == 'N')
}

/// Polymorphic arguments of different types.
struct Disagreement;

/// What the polymorphic arguments agree on; `None` where nothing says it.
fn element_of(wanted: &[DataType], values: &[Value]) -> Result<Option<DataType>, Disagreement> {
    let mut element: Option<DataType> = None;
    for (wanted, value) in wanted.iter().zip(values) {
        let Value::Known(known) = value else { continue };
        let found = match wanted.name.name.as_str() {
            "anyelement" | "anynonarray" | "anyenum" => known.clone(),
            "anyarray" => DataType { array_dimensions: 0, ..known.clone() },
            "anyrange" | "anymultirange" => match range_element(known) {
                Some(name) => DataType::named(name),
                None => continue,
            },
            _ => continue,
        };
        match &element {
            Some(element) if *element != found => return Err(Disagreement),
            _ => element = Some(found),
        }
    }
    Ok(element)
}

fn keep_best(left: &mut Vec<&Candidate>, score: impl Fn(&&Candidate) -> usize) {
    let best = left.iter().map(&score).max().unwrap_or(0);
    if best > 0 {
        left.retain(|candidate| score(candidate) == best);
    }
}

fn number_type(text: &str) -> &'static str {
    if text.parse::<i32>().is_ok() {
        "int4"
    } else if text.parse::<i64>().is_ok() {
        "int8"
    } else {
        "numeric"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> ExprNode {
        ExprNode::Text(value.to_owned())
    }

    fn cast(name: &str) -> ExprNode {
        ExprNode::Cast { expr: Box::new(text("")), data_type: type_of_word(name) }
    }

    fn check(node: &ExprNode, expected: Result<&str, &str>) {
        let catalog = Catalog::new();
        let scope = Scope {
            catalog: &catalog,
            columns: Columns::Unknown,
            version: PgVersion::major(16),
            place: Place::Check,
            names: &OwnNames,
        };
        let actual = scope.read(node).map(|value| match value {
            Value::Known(data_type) => data_type.to_string(),
            other => format!("{other:?}"),
        });
        assert_eq!(actual.as_deref().map_err(|(_, message)| message.as_str()), expected, "{node:?}");
    }

    fn infix(left: &str, operator: &str, right: ExprNode) -> ExprNode {
        ExprNode::Infix { operator: operator.to_owned(), left: Box::new(cast(left)), right: Box::new(right) }
    }

    fn call(name: &str, args: Vec<ExprNode>) -> ExprNode {
        ExprNode::Call { function: QualifiedName::new(Ident::from(name)), args, keyword: false }
    }

    #[test]
    fn operators_are_chosen_as_the_server_chooses() {
        check(&infix("int4", "+", cast("int8")), Ok("bigint"));
        check(&infix("int4", "+", text("1")), Ok("integer"));
        check(&infix("int2", "*", cast("numeric")), Ok("numeric"));
        check(&infix("int4", "/", cast("float4")), Ok("double precision"));
        check(&infix("date", "-", cast("date")), Ok("integer"));
        check(&infix("date", "+", cast("interval")), Ok("timestamp without time zone"));
        check(&infix("timestamptz", "-", cast("timestamptz")), Ok("interval"));
        check(&infix("varchar", "||", text("x")), Ok("text"));
        check(&infix("text", ">", cast("int4")), Err("operator does not exist: text > integer"));
        check(&infix("json", "=", cast("json")), Err("operator does not exist: json = json"));
        check(&infix("int4[]", "=", cast("text[]")), Err("operator does not exist: integer[] = text[]"));
        check(&infix("int4[]", "@>", cast("int4[]")), Ok("boolean"));
        check(&infix("jsonb", "->>", text("a")), Ok("text"));
        check(&infix("int4range", "@>", cast("int4")), Ok("boolean"));
        check(&infix("my_type", "+", cast("int4")), Ok("Open"));
    }

    #[test]
    fn the_constructor_of_the_standard_is_not_the_function() {
        let values = || vec![text("a"), call("length", vec![cast("text")])];
        let constructor = |args| ExprNode::Other {
            text: "JSON_OBJECT(… VALUE … RETURNING JSONB)".to_owned(),
            parts: vec![call("json_object", args)],
            words: false,
            form: None,
        };
        check(&constructor(values()), Ok("Open"));
        check(&call("json_object", vec![]), Ok("Open"));
        check(
            &constructor(vec![call("length", vec![cast("numeric")])]),
            Err("function length(numeric) does not exist"),
        );
        check(&call("json_object", vec![cast("int4")]), Err("function json_object(integer) does not exist"));
    }

    #[test]
    fn functions_are_chosen_as_the_server_chooses() {
        check(&call("length", vec![cast("varchar")]), Ok("integer"));
        check(&call("length", vec![cast("numeric")]), Err("function length(numeric) does not exist"));
        check(&call("lower", vec![cast("text"), cast("text")]), Err("function lower(text, text) does not exist"));
        check(&call("abs", vec![cast("int8")]), Ok("bigint"));
        check(&call("round", vec![cast("int4")]), Ok("double precision"));
        check(
            &call("round", vec![cast("float8"), cast("int4")]),
            Err("function round(double precision, integer) does not exist"),
        );
        check(&call("array_length", vec![cast("text[]"), cast("int4")]), Ok("integer"));
        check(&call("concat", vec![cast("text"), cast("int4")]), Ok("text"));
        check(&call("sum", vec![cast("int4")]), Err("aggregate functions are not allowed in check constraints"));
        check(
            &call("generate_series", vec![cast("int4"), cast("int4")]),
            Err("set-returning functions are not allowed in check constraints"),
        );
        check(&call("my_function", vec![cast("int4")]), Ok("Open"));
    }
}
