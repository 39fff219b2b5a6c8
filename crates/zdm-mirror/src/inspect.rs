//! What is installed, against what is declared.
//!
//! The condition of a trigger is compared as the server prints it: the declared one is printed by the server too, from
//! a trigger on a temporary table of the same columns. No lock is taken on the table beyond ACCESS SHARE.

use std::collections::BTreeSet;
use std::fmt;

use zdm_conn::{Doing as _, FailureClass, QualifiedName, Session, StatementError, classify};

use crate::error::Error;
use crate::live::{InstalledTrigger, LiveTable, condition, installed_function, installed_triggers};
use crate::mirror::Mirror;
use crate::sql::Row;

/// One way in which what is installed is not what is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    MissingColumn {
        table: String,
        column: String,
    },
    MissingFunction {
        function: String,
    },
    MissingTrigger {
        table: String,
        trigger: String,
    },
    /// Never fires.
    Disabled {
        table: String,
        trigger: String,
    },
    /// Fires for other sessions than declared: `origin`, `always`, `replica`.
    Firing {
        table: String,
        trigger: String,
        found: &'static str,
        declared: &'static str,
    },
    ChangedTrigger {
        table: String,
        trigger: String,
        what: String,
    },
    ChangedFunction {
        function: String,
        what: &'static str,
    },
    /// A function of a mirror that no trigger calls.
    OrphanFunction {
        function: String,
    },
    /// A mirror's trigger that nothing declares.
    Undeclared {
        table: String,
        trigger: String,
    },
    /// Could not be compared.
    Unknown {
        what: String,
    },
}

impl Difference {
    /// For programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MissingColumn { .. } => "missing-column",
            Self::MissingFunction { .. } => "missing-function",
            Self::MissingTrigger { .. } => "missing-trigger",
            Self::Disabled { .. } => "disabled",
            Self::Firing { .. } => "firing",
            Self::ChangedTrigger { .. } => "changed-trigger",
            Self::ChangedFunction { .. } => "changed-function",
            Self::OrphanFunction { .. } => "orphan-function",
            Self::Undeclared { .. } => "undeclared",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// What it is about.
    pub fn object(&self) -> &str {
        match self {
            Self::MissingColumn { column, .. } => column,
            Self::MissingFunction { function }
            | Self::ChangedFunction { function, .. }
            | Self::OrphanFunction { function } => function,
            Self::MissingTrigger { trigger, .. }
            | Self::Disabled { trigger, .. }
            | Self::Firing { trigger, .. }
            | Self::ChangedTrigger { trigger, .. }
            | Self::Undeclared { trigger, .. } => trigger,
            Self::Unknown { what } => what,
        }
    }

    pub fn table(&self) -> Option<&str> {
        match self {
            Self::MissingColumn { table, .. }
            | Self::MissingTrigger { table, .. }
            | Self::Disabled { table, .. }
            | Self::Firing { table, .. }
            | Self::ChangedTrigger { table, .. }
            | Self::Undeclared { table, .. } => Some(table),
            _ => None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingColumn { table, column } => write!(f, "`{table}` has no column `{column}`"),
            Self::MissingFunction { function } => write!(f, "function `{function}` is missing"),
            Self::MissingTrigger { table, trigger } => write!(f, "`{table}` has no trigger `{trigger}`"),
            Self::Disabled { table, trigger } => write!(f, "trigger `{trigger}` on `{table}` is disabled"),
            Self::Firing { table, trigger, found, declared } => {
                write!(f, "trigger `{trigger}` on `{table}` is enabled for `{found}`, declared is `{declared}`")
            }
            Self::ChangedTrigger { table, trigger, what } => {
                write!(f, "trigger `{trigger}` on `{table}` is not what is declared: {what}")
            }
            Self::ChangedFunction { function, what } => {
                write!(f, "function `{function}` is not what is declared: {what}")
            }
            Self::OrphanFunction { function } => {
                write!(f, "function `{function}` is left over: no trigger calls it (DROP FUNCTION {function}())")
            }
            Self::Undeclared { table, trigger } => write!(f, "trigger `{trigger}` on `{table}` is declared nowhere"),
            Self::Unknown { what } => f.write_str(what),
        }
    }
}

/// BEFORE INSERT OR UPDATE FOR EACH ROW in `pg_trigger.tgtype`.
const BEFORE_ROW_INSERT_UPDATE: i16 = 1 | 2 | 4 | 16;

/// Compares a mirror with the database.
///
/// # Errors
/// When the catalog cannot be read, or the declared condition is not valid for the table.
pub async fn inspect(session: &mut Session, table: &LiveTable, mirror: &Mirror) -> Result<Vec<Difference>, Error> {
    let mut found = Vec::new();
    let shown = table.facts.name.plain();
    for pair in &mirror.pairs {
        if pair.adds_column {
            found.push(Difference::MissingColumn { table: shown.clone(), column: pair.target.as_str().to_owned() });
        }
    }
    let columns_there = found.is_empty();
    let name = mirror.object_name();
    let schema = table.facts.name.schema.as_ref().map_or("public", zdm_conn::Ident::as_str);
    let function = installed_function(session, schema, name.as_str()).await?;
    let function_name = || QualifiedNameText(schema, name.as_str()).to_string();
    match &function {
        None => found.push(Difference::MissingFunction { function: function_name() }),
        Some(function) => {
            let what = if function.language != "plpgsql" {
                Some("its language is another")
            } else if function.body != mirror.body() {
                Some("its body is another")
            } else if function.search_path != mirror.needs_search_path() {
                Some("its `search_path` is set otherwise")
            } else {
                None
            };
            if let Some(what) = what {
                found.push(Difference::ChangedFunction { function: function_name(), what });
            }
        }
    }
    let installed = installed_triggers(session, &table.tree, name.as_str()).await?;
    let declared = if columns_there && !installed.is_empty() {
        declared_condition(session, table, mirror).await?
    } else {
        Declared::Unknown(None)
    };
    if let Declared::Unknown(Some(why)) = &declared {
        found.push(Difference::Unknown {
            what: format!("the condition of `{}` cannot be compared: {why}", name.as_str()),
        });
    }
    for part in &table.tree {
        let (table, trigger) = (part.name.plain(), name.as_str().to_owned());
        match installed.get(&part.relation) {
            None => found.push(Difference::MissingTrigger { table, trigger }),
            Some(found_trigger) => compare(
                found_trigger,
                function.as_ref().map(|function| function.oid),
                &declared,
                mirror,
                &table,
                &trigger,
                &mut found,
            ),
        }
    }
    Ok(found)
}

struct QualifiedNameText<'a>(&'a str, &'a str);

impl fmt::Display for QualifiedNameText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

fn compare(
    found: &InstalledTrigger,
    function: Option<u32>,
    declared: &Declared,
    mirror: &Mirror,
    table: &str,
    trigger: &str,
    out: &mut Vec<Difference>,
) {
    let mut what = Vec::new();
    if found.kind != BEFORE_ROW_INSERT_UPDATE {
        what.push("it does not fire BEFORE INSERT OR UPDATE FOR EACH ROW".to_owned());
    }
    if found.update_of {
        what.push("it fires for an UPDATE of some columns only".to_owned());
    }
    if found.arguments || function.is_some_and(|function| function != found.function) {
        what.push("it calls another function".to_owned());
    }
    if let Declared::Condition(condition) = declared
        && found.when.as_ref() != Some(condition)
    {
        what.push(match &found.when {
            Some(when) => format!("its condition is `{when}`"),
            None => "it has no condition".to_owned(),
        });
    }
    let (table, trigger) = (table.to_owned(), trigger.to_owned());
    if !what.is_empty() {
        out.push(Difference::ChangedTrigger { table: table.clone(), trigger: trigger.clone(), what: what.join("; ") });
    }
    let firing = match found.enabled.as_str() {
        "O" => "origin",
        "A" => "always",
        "R" => "replica",
        _ => return out.push(Difference::Disabled { table, trigger }),
    };
    let declared = if mirror.always { "always" } else { "origin" };
    if firing != declared {
        out.push(Difference::Firing { table, trigger, found: firing, declared });
    }
}

/// The declared condition as the server prints it.
enum Declared {
    Condition(String),
    /// With the reason, where there is one to tell.
    Unknown(Option<String>),
}

/// Lets the server read the condition, on a temporary table, and rolls back.
async fn declared_condition(session: &mut Session, table: &LiveTable, mirror: &Mirror) -> Result<Declared, Error> {
    let doing = "trying the condition on a temporary table";
    let transaction = session.client_mut().transaction().await.doing(doing)?;
    let sql = format!(
        "CREATE TEMPORARY TABLE zdm_probe (LIKE {}) ON COMMIT DROP; \
         CREATE FUNCTION pg_temp.zdm_probe() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER zdm_probe BEFORE INSERT OR UPDATE ON pg_temp.zdm_probe FOR EACH ROW WHEN ({}) \
         EXECUTE FUNCTION pg_temp.zdm_probe()",
        table.facts.name,
        mirror.differs(Row::New)
    );
    if let Err(error) = transaction.batch_execute(&sql).await {
        return match classify(&error) {
            FailureClass::Privilege | FailureClass::ReadOnly => {
                Ok(Declared::Unknown(Some(zdm_conn::connect::describe(&error))))
            }
            FailureClass::Schema => {
                Err(Error::Usage(format!("the expression: {}", zdm_conn::connect::describe(&error))))
            }
            _ => Err(Error::Sql(StatementError { doing, error })),
        };
    }
    let row = transaction
        .query_one(
            "SELECT pg_catalog.pg_get_triggerdef(t.oid) FROM pg_catalog.pg_trigger AS t \
             WHERE t.tgrelid = 'pg_temp.zdm_probe'::pg_catalog.regclass",
            &[],
        )
        .await
        .doing(doing)?;
    let definition: String = row.get(0);
    transaction.rollback().await.doing(doing)?;
    Ok(condition(&definition).map_or(Declared::Unknown(None), Declared::Condition))
}

/// Functions that no trigger calls, among those that no declaration wants.
pub fn orphans(functions: &[QualifiedName], wanted: &BTreeSet<String>) -> Vec<Difference> {
    functions
        .iter()
        .map(QualifiedName::plain)
        .filter(|name| !wanted.contains(name))
        .map(|function| Difference::OrphanFunction { function })
        .collect()
}
