//! The mirrors that `zdm mirror` writes, as the catalog has them: a trigger whose function copies columns.

use zdm_postgres::catalog::{Table, Trigger};
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
