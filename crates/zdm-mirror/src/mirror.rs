//! What is mirrored: from what the user asked and what the table is, to a definition that can be generated, or to the
//! reason why not.

use std::collections::BTreeSet;
use std::fmt;

use zdm_conn::{Ident, NameError};
use zdm_postgres::DataType;
use zdm_postgres::expr::ExprNode;

use crate::expression::Expression;
use crate::facts::{ColumnFacts, TableFacts, TableKind};
use crate::names;
use crate::refusal::{Refusal, TypePair};
use crate::types::{self, Comparison, Fit};

/// A table as statements name it: without a schema where the session's `search_path` finds it, as Django does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName {
    pub schema: Option<Ident>,
    pub name: Ident,
}

impl TableName {
    /// # Errors
    /// When a part is no name.
    pub fn new(schema: Option<&str>, name: &str) -> Result<Self, NameError> {
        Ok(Self { schema: schema.map(Ident::new).transpose()?, name: Ident::new(name)? })
    }

    /// Another object of the same schema.
    pub fn sibling(&self, name: Ident) -> Self {
        Self { schema: self.schema.clone(), name }
    }

    /// For messages.
    pub fn plain(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", schema.as_str(), self.name.as_str()),
            None => self.name.as_str().to_owned(),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        write!(f, "{}", self.name)
    }
}

/// What the user asks for, on a table that is named elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    pub pairs: Vec<PairRequest>,
    /// Whichever of the two columns is written, the other follows.
    pub both_ways: bool,
    /// Also under `session_replication_role = replica`, and for rows that logical replication brings.
    pub always: bool,
    pub allow_narrowing: bool,
}

/// One source with its shadow column. Columns as in the catalog, expressions in SQL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairRequest {
    pub source: String,
    pub target: String,
    /// Of the target, where it is to be made; default: the source's.
    pub data_type: Option<String>,
    pub using: Option<String>,
    pub reverse_using: Option<String>,
}

/// A mirror that can be generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    pub table: TableName,
    /// Inheritance children, each with a trigger of its own.
    pub children: Vec<TableName>,
    pub pairs: Vec<Pair>,
    pub both_ways: bool,
    pub always: bool,
}

/// One source with its shadow column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub source: Ident,
    pub target: Ident,
    /// As it stands in statements.
    pub target_type: String,
    pub target_data_type: DataType,
    /// `None`: not known.
    pub source_type: Option<String>,
    pub source_data_type: Option<DataType>,
    /// The target is not there yet.
    pub adds_column: bool,
    pub source_not_null: bool,
    /// The source's default as a string literal, where it is a constant.
    pub source_default: Option<String>,
    /// The target's value; the source itself where nothing is said.
    pub forward: Option<Expression>,
    pub backward: Option<Expression>,
}

impl Mirror {
    /// The name of the trigger and of its function.
    pub fn object_name(&self) -> Ident {
        let targets: Vec<&str> = self.pairs.iter().map(|pair| pair.target.as_str()).collect();
        names::object_name(self.table.name.as_str(), &targets)
    }

    /// `shop_order: size -> size_bigint`.
    pub fn describe(&self) -> String {
        format!("{}: {}", self.table.plain(), self.columns())
    }

    /// `size -> size_bigint`: the same whatever the schema is.
    pub fn columns(&self) -> String {
        let arrow = if self.both_ways { "<->" } else { "->" };
        let pairs: Vec<String> = self
            .pairs
            .iter()
            .map(|pair| format!("{} {arrow} {}", pair.source.as_str(), pair.target.as_str()))
            .collect();
        pairs.join(", ")
    }

    /// Whether names in its expressions are resolved by the session's `search_path`.
    pub(crate) fn needs_search_path(&self) -> bool {
        self.pairs.iter().any(|pair| {
            let foreign = |data_type: &DataType| {
                data_type.name.schema.is_some() || types::fit(data_type, data_type) == Fit::Unknown
            };
            pair.forward.is_some()
                || pair.backward.is_some()
                || foreign(&pair.target_data_type)
                || pair.source_data_type.as_ref().is_some_and(foreign)
                || types::comparison(&pair.target_data_type) == Comparison::AsText
        })
    }
}

/// A mirror with what speaks against it.
#[derive(Debug, Clone)]
pub struct Planned {
    pub mirror: Mirror,
    /// Lower case, no final period, the user's names in backticks.
    pub warnings: Vec<String>,
}

/// Judges a request about a table.
///
/// # Errors
/// When the mirror would not work, or would break writes that work now.
pub fn plan(request: &Request, facts: &TableFacts) -> Result<Planned, Refusal> {
    match facts.kind {
        TableKind::Table => {}
        TableKind::View => return Err(Refusal::View(facts.name.plain())),
        TableKind::ForeignTable => return Err(Refusal::ForeignTable(facts.name.plain())),
    }
    if request.pairs.is_empty() {
        return Err(Refusal::Nothing);
    }
    let mut seen = BTreeSet::new();
    for pair in &request.pairs {
        if pair.source == pair.target {
            return Err(Refusal::Itself(pair.source.clone()));
        }
        if !seen.insert(&pair.target) {
            return Err(Refusal::TargetTwice(pair.target.clone()));
        }
    }
    if let Some(pair) = request.pairs.iter().find(|pair| seen.contains(&pair.source)) {
        return Err(Refusal::Chain(pair.source.clone()));
    }
    let mut warnings = Vec::new();
    let pairs = request
        .pairs
        .iter()
        .map(|pair| plan_pair(request, pair, facts, &mut warnings))
        .collect::<Result<Vec<_>, _>>()?;
    let mirror = Mirror {
        table: facts.name.clone(),
        children: facts.children.clone(),
        pairs,
        both_ways: request.both_ways,
        always: request.always,
    };
    warn(&mirror, facts, &mut warnings);
    Ok(Planned { mirror, warnings })
}

fn plan_pair(
    request: &Request,
    pair: &PairRequest,
    facts: &TableFacts,
    warnings: &mut Vec<String>,
) -> Result<Pair, Refusal> {
    let table = facts.name.name.as_str();
    let (source, target) = (Ident::new(&*pair.source)?, Ident::new(&*pair.target)?);
    let forward = pair.using.as_deref().map(|text| Expression::new(text, table)).transpose()?;
    let backward = pair.reverse_using.as_deref().map(|text| Expression::new(text, table)).transpose()?;
    for (expression, text) in [(&forward, &pair.using), (&backward, &pair.reverse_using)] {
        if let (Some(expression), Some(text)) = (expression, text) {
            check_expression(expression, text, facts)?;
        }
    }
    // Two shadows may make one source: `first || ' ' || last`.
    let is_target = |column: &str| request.pairs.iter().any(|pair| pair.target == *column);
    if let Some(backward) = &backward
        && let Some(other) = backward
            .columns()
            .iter()
            .find(|column| facts.columns_known && facts.column(column).is_none() && !is_target(column))
    {
        return Err(Refusal::NoColumn { table: facts.name.plain(), column: other.clone() });
    }
    let source_facts = facts.column(&pair.source);
    if facts.columns_known && source_facts.is_none() {
        return Err(Refusal::NoColumn { table: facts.name.plain(), column: pair.source.clone() });
    }
    if source_facts.is_some_and(|column| column.generated) {
        return Err(Refusal::GeneratedSource(pair.source.clone()));
    }
    let there = facts.column(&pair.target);
    let wanted = pair
        .data_type
        .as_deref()
        .map(|text| types::read(text).map(|data_type| (text.trim().to_owned(), data_type)))
        .map(|read| read.ok_or_else(|| Refusal::NotAType(pair.data_type.clone().unwrap_or_default())))
        .transpose()?;
    let (target_type, target_data_type) = match (there, wanted, source_facts) {
        (Some(there), wanted, _) => {
            check_target(there, facts)?;
            if let Some((text, data_type)) = wanted
                && data_type != there.data_type
                && types::read(&there.type_text).is_none_or(|found| found != data_type)
            {
                return Err(Refusal::OtherType {
                    column: pair.target.clone(),
                    found: there.type_text.clone(),
                    wanted: text,
                });
            }
            (there.type_text.clone(), there.data_type.clone())
        }
        (None, Some((_, data_type)), _) => {
            // A serial makes a sequence of its own, which is not what a copy needs.
            let data_type = data_type.serial_base().unwrap_or(data_type);
            (data_type.to_string(), data_type)
        }
        (None, None, Some(source)) => (source.type_text.clone(), source.data_type.clone()),
        (None, None, None) => return Err(Refusal::UnknownTypes(facts.name.plain())),
    };
    if facts.partition_key.contains(&pair.target) {
        return Err(Refusal::PartitionKey(pair.target.clone()));
    }
    if request.both_ways {
        if facts.partition_key.contains(&pair.source) {
            return Err(Refusal::PartitionKey(pair.source.clone()));
        }
        if source_facts.is_some_and(|column| column.identity) {
            return Err(Refusal::IdentityTarget(pair.source.clone()));
        }
    }
    let planned = Pair {
        source,
        target,
        target_type,
        target_data_type,
        source_type: source_facts.map(|column| column.type_text.clone()),
        source_data_type: source_facts.map(|column| column.data_type.clone()),
        adds_column: there.is_none(),
        source_not_null: source_facts.is_some_and(|column| column.not_null),
        source_default: source_facts.and_then(|column| column.default.as_deref()).and_then(constant),
        forward,
        backward,
    };
    check_types(request, &planned, source_facts, warnings)?;
    Ok(planned)
}

fn check_target(target: &ColumnFacts, facts: &TableFacts) -> Result<(), Refusal> {
    if target.generated {
        return Err(Refusal::GeneratedTarget(target.name.clone()));
    }
    if target.identity {
        return Err(Refusal::IdentityTarget(target.name.clone()));
    }
    if facts.partition_key.contains(&target.name) {
        return Err(Refusal::PartitionKey(target.name.clone()));
    }
    Ok(())
}

/// Functions of PostgreSQL whose value is another at each call, or another in each transaction.
const NO_FUNCTION_OF_THE_ROW: [&str; 34] = [
    "random",
    "random_normal",
    "setseed",
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "clock_timestamp",
    "timeofday",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "current_user",
    "current_role",
    "session_user",
    "user",
    "current_setting",
    "set_config",
    "nextval",
    "currval",
    "setval",
    "lastval",
    "gen_random_uuid",
    "gen_random_bytes",
    "uuidv4",
    "uuidv7",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "txid_current",
    "pg_current_xact_id",
    "pg_backend_pid",
    "inet_client_addr",
];

fn check_expression(expression: &Expression, text: &str, facts: &TableFacts) -> Result<(), Refusal> {
    let volatile: Vec<&str> = expression
        .functions()
        .iter()
        .map(String::as_str)
        .filter(|function| NO_FUNCTION_OF_THE_ROW.contains(function))
        .collect();
    if !volatile.is_empty() {
        return Err(Refusal::Volatile { text: text.to_owned(), functions: volatile.join(", ") });
    }
    for column in expression.columns() {
        if facts.column(column).is_some_and(|column| column.generated) {
            return Err(Refusal::GeneratedSource(column.clone()));
        }
    }
    Ok(())
}

fn check_types(
    request: &Request,
    pair: &Pair,
    source: Option<&ColumnFacts>,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    let Some(source) = source else { return Ok(()) };
    let (source_column, source_type) = (source.name.clone(), source.type_text.clone());
    let (target, target_type) = (pair.target.as_str().to_owned(), pair.target_type.clone());
    let types = || {
        Box::new(TypePair {
            source: source_column.clone(),
            source_type: source_type.clone(),
            target: target.clone(),
            target_type: target_type.clone(),
        })
    };
    if pair.forward.is_none() {
        match types::fit(&source.data_type, &pair.target_data_type) {
            Fit::Widens => {}
            Fit::Narrows if request.allow_narrowing => warnings.push(format!(
                "`{target}` (`{target_type}`) is narrower than `{source_column}` (`{source_type}`): an application's write of a value that does \
                 not fit fails from now on"
            )),
            Fit::Narrows => return Err(Refusal::Narrowing(types())),
            Fit::DependsOn(setting) => {
                let example = match setting {
                    "TimeZone" => format!("{source_column} AT TIME ZONE 'UTC'"),
                    _ => format!("to_char({source_column}, 'YYYY-MM-DD HH24:MI:SS.US')"),
                };
                return Err(Refusal::DependsOnSession { types: types(), setting, example });
            }
            Fit::Incompatible => return Err(Refusal::Incompatible(types())),
            Fit::Unknown => warnings.push(format!(
                "whether every `{source_type}` (`{source_column}`) is a `{target_type}` (`{target}`) is not known: a write of a value that \
                 does not fit would fail"
            )),
        }
    }
    if !request.both_ways || pair.backward.is_some() {
        return Ok(());
    }
    if pair.forward.is_some() {
        return Err(Refusal::NoReverse { source_column, target });
    }
    match types::fit(&pair.target_data_type, &source.data_type) {
        Fit::Widens => {}
        Fit::Narrows | Fit::Unknown => warnings.push(format!(
            "with --both-ways a write of a `{target}` that does not fit into `{source_column}` (`{source_type}`) fails"
        )),
        Fit::Incompatible | Fit::DependsOn(_) => return Err(Refusal::NoReverse { source_column, target }),
    }
    Ok(())
}

fn warn(mirror: &Mirror, facts: &TableFacts, warnings: &mut Vec<String>) {
    let name = mirror.object_name();
    for trigger in &facts.triggers {
        if trigger.name.as_str() <= name.as_str() {
            continue;
        }
        let mut columns: Vec<&Ident> = mirror.pairs.iter().flat_map(|pair| [&pair.source, &pair.target]).collect();
        columns.retain(|column| trigger.may_write(column));
        if let Some(column) = columns.first() {
            let sure = if trigger.body.is_some() { "writes" } else { "may write" };
            warnings.push(format!(
                "trigger `{}` fires after `{}` (triggers fire in the order of their names) and {sure} `{}`, so that the \
                 columns would differ: rename it so that it sorts before, or let it set both columns",
                trigger.name,
                name.as_str(),
                column.as_str()
            ));
        }
    }
    for (view, columns) in &facts.views {
        for pair in &mirror.pairs {
            for column in [&pair.source, &pair.target] {
                if columns.iter().any(|read| read == column.as_str()) {
                    warnings.push(format!(
                        "view `{view}` reads `{}`: after a swap it still reads the old column, whatever that is called \
                         then; make the view anew with the swap",
                        column.as_str()
                    ));
                }
            }
        }
    }
    for rule in &facts.rules {
        warnings.push(format!(
            "rule `{rule}` on `{}` rewrites statements before triggers see them: check that what it writes reaches the \
             table",
            facts.name.plain()
        ));
    }
    if !facts.children.is_empty() {
        let children: Vec<String> = facts.children.iter().map(TableName::plain).collect();
        warnings.push(format!(
            "triggers are not inherited: {} get their own; a table that inherits later needs one too (`zdm mirror check` \
             tells)",
            children.join(", ")
        ));
    }
}

/// The value of a constant default as a string literal, which takes the type of what it is compared with. However the
/// server or a migration spells the default, the literal is the same.
fn constant(default: &str) -> Option<String> {
    fn value(node: &ExprNode) -> Option<String> {
        match node {
            ExprNode::Bool(value) => Some(value.to_string()),
            ExprNode::Number(text) | ExprNode::Text(text) => Some(text.clone()),
            ExprNode::Cast { expr, .. } => value(expr),
            ExprNode::Prefix { operator, expr } if operator == "-" => Some(format!("-{}", value(expr)?)),
            _ => None,
        }
    }
    value(&zdm_sql::parse_expr(default).node).map(|text| zdm_postgres::quote_literal(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TableFacts {
        let column = |name: &str, data_type: &str| ColumnFacts {
            name: name.to_owned(),
            type_text: data_type.to_owned(),
            data_type: types::read(data_type).unwrap(),
            not_null: false,
            default: None,
            generated: name.starts_with("gen"),
            identity: name.starts_with("ident"),
        };
        TableFacts {
            columns: vec![
                column("size", "integer"),
                column("big", "bigint"),
                column("label", "text"),
                column("short", "character varying(5)"),
                column("gen", "integer"),
                column("ident", "integer"),
                column("day", "date"),
                column("at", "timestamp without time zone"),
            ],
            columns_known: true,
            partition_key: vec!["day".to_owned()],
            ..TableFacts::unknown(TableName::new(None, "t").unwrap())
        }
    }

    fn planned(source: &str, target: &str, more: impl FnOnce(&mut Request)) -> Result<Planned, Refusal> {
        let pair = PairRequest { source: source.to_owned(), target: target.to_owned(), ..PairRequest::default() };
        let mut request = Request { pairs: vec![pair], ..Request::default() };
        more(&mut request);
        plan(&request, &table())
    }

    fn refused(source: &str, target: &str, more: impl FnOnce(&mut Request), expect: &str) {
        let error = planned(source, target, more).map(|planned| planned.mirror).unwrap_err().to_string();
        assert!(error.contains(expect), "{source} -> {target}: {error}");
    }

    #[test]
    fn what_is_refused_and_why() {
        refused("nothing", "big", |_| {}, "`t` has no column `nothing`");
        refused("size", "size", |_| {}, "mirror of itself");
        refused("size", "gen", |_| {}, "is generated");
        refused("gen", "big", |_| {}, "BEFORE triggers");
        refused("size", "ident", |_| {}, "identity");
        refused("big", "size", |_| {}, "--allow-narrowing");
        refused("label", "size", |_| {}, "give --using");
        refused("label", "short", |_| {}, "narrower");
        refused("at", "day", |_| {}, "partition key");
        refused("day", "new", |request| request.pairs[0].data_type = Some("timestamptz".into()), "TimeZone");
        refused("size", "big", |request| request.pairs[0].data_type = Some("numeric".into()), "not `numeric`");
        refused("size", "new", |request| request.pairs[0].data_type = Some("bigint; DROP".into()), "not a type");
        refused("size", "new", |request| request.pairs[0].using = Some("size + random()".into()), "random");
        refused("size", "new", |request| request.pairs[0].using = Some("gen + 1".into()), "generated");
        refused(
            "size",
            "label",
            |request| {
                request.both_ways = true;
                request.pairs[0].using = Some("size::text".into());
            },
            "--reverse-using",
        );
        refused("size", "label", |request| request.both_ways = true, "--reverse-using");
    }

    #[test]
    fn two_shadows_make_one_source() {
        let half = |target: &str| PairRequest {
            source: "label".to_owned(),
            target: target.to_owned(),
            data_type: Some("text".to_owned()),
            using: Some("label || ''".to_owned()),
            reverse_using: Some("head || tail".to_owned()),
        };
        let request = Request { pairs: vec![half("head"), half("tail")], both_ways: true, ..Request::default() };
        let body = plan(&request, &table()).unwrap().mirror.body();
        assert_eq!(body.matches(r#"NEW."label" := (NEW."head" || NEW."tail")"#).count(), 4, "{body}");
        let request = Request { pairs: vec![half("head")], both_ways: true, ..Request::default() };
        assert!(plan(&request, &table()).unwrap_err().to_string().contains("no column `tail`"));
    }

    #[test]
    fn what_is_warned_of() {
        let warnings = planned("big", "size", |request| request.allow_narrowing = true).unwrap().warnings;
        assert!(warnings[0].contains("does not fit fails"), "{warnings:?}");
        let warnings = planned("size", "big", |request| request.both_ways = true).unwrap().warnings;
        assert!(warnings[0].contains("--both-ways"), "{warnings:?}");
        assert!(planned("size", "big", |_| {}).unwrap().warnings.is_empty());
    }

    #[test]
    fn constants_are_spelled_alike() {
        for text in ["-1", "'-1'::integer", "(-1)"] {
            assert_eq!(constant(text).as_deref(), Some("'-1'"), "{text}");
        }
        assert_eq!(constant("'open'::character varying").as_deref(), Some("'open'"));
        assert_eq!(constant("nextval('s'::regclass)"), None);
        assert_eq!(constant("now()"), None);
    }
}
