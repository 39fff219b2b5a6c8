//! Why a mirror cannot be made as asked, and what speaks against one that can.

use thiserror::Error;
use zdm_conn::NameError;

/// Two columns with their types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypePair {
    pub source: String,
    pub source_type: String,
    pub target: String,
    pub target_type: String,
}

/// Why nothing is generated: lower case, no final period, the user's names in backticks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("the expression `{text}`: {why}")]
    Expression { text: String, why: String },
    #[error("`{0}` is not a type")]
    NotAType(String),
    #[error("nothing to mirror: give --source and --target")]
    Nothing,
    #[error("`{table}` has no column `{column}`")]
    NoColumn { table: String, column: String },
    #[error("`{0}` would be a mirror of itself")]
    Itself(String),
    #[error("`{0}` is the target of two sources")]
    TargetTwice(String),
    #[error("`{0}` is source and target at the same time; a chain of mirrors wants one trigger per link")]
    Chain(String),
    #[error("`{0}` is a view: triggers that keep columns equal stand on tables")]
    View(String),
    #[error("`{0}` is a foreign table: its rows are written elsewhere, past the trigger")]
    ForeignTable(String),
    #[error("column `{0}` is generated: nothing else can set it")]
    GeneratedTarget(String),
    #[error("column `{0}` is an identity column: the sequence sets it")]
    IdentityTarget(String),
    #[error(
        "column `{0}` is generated: PostgreSQL computes it after BEFORE triggers have run, so that they cannot read it"
    )]
    GeneratedSource(String),
    #[error("column `{0}` is part of the partition key: a BEFORE trigger cannot move a row to another partition")]
    PartitionKey(String),
    #[error(
        "`{}` (`{}`) is not assigned to `{}` (`{}`) by itself: give --using with an expression over the row, as `{}::{}`",
        .0.source_type, .0.source, .0.target_type, .0.target, .0.source, .0.target_type
    )]
    Incompatible(Box<TypePair>),
    #[error(
        "`{}` (`{}`) depends on the session's {setting} when it becomes `{}` (`{}`): two clients would see different values; \
         give --using with an expression that says it, as `{example}`",
        types.source_type, types.source, types.target_type, types.target
    )]
    DependsOnSession { types: Box<TypePair>, setting: &'static str, example: String },
    #[error(
        "`{}` (`{}`) is narrower than `{}` (`{}`): a value that does not fit makes the application's write fail; give --using \
         with an expression that always fits, or --allow-narrowing",
        .0.target, .0.target_type, .0.source, .0.source_type
    )]
    Narrowing(Box<TypePair>),
    #[error("column `{column}` is there already with the type `{found}`, not `{wanted}`")]
    OtherType { column: String, found: String, wanted: String },
    #[error(
        "the expression `{text}` gives another value at each call ({functions}): a mirror is a function of its row alone"
    )]
    Volatile { text: String, functions: String },
    #[error(
        "--both-ways needs --reverse-using: `{target}` comes from `{source_column}` by an expression, and the way back is not known"
    )]
    NoReverse { source_column: String, target: String },
    #[error("the types of `{0}` are not known: give --type, or connect to the database with --dsn")]
    UnknownTypes(String),
    #[error("{0}")]
    Other(String),
}
