//! The columns that reference a column, and mirrors for all of them.

use std::collections::BTreeSet;

use zdm_conn::Ident;
use zdm_django::resolve::Resolver;
use zdm_postgres::{DataType, QualifiedName};
use zdm_replay::{Trace, table_name};

use crate::expression::{Expression, with_column};
use crate::mirror::{PairRequest, Request};
use crate::project::{self, ModelTable};
use crate::refusal::Refusal;

/// A column that holds values of another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Referencing {
    pub table: QualifiedName,
    pub column: String,
    /// The constraint's name; `None`: the models alone say so (`db_constraint=False`).
    pub constraint: Option<String>,
    pub data_type: Option<DataType>,
}

/// The columns that reference a column, by foreign keys of the catalog or of the models; sorted, each once.
pub fn referencing(trace: &Trace, table: &QualifiedName, column: &str) -> Vec<Referencing> {
    let Some(last) = trace.migrations.last() else { return Vec::new() };
    let catalog = &last.catalog_after;
    let data_type = |table: &QualifiedName, column: &str| Some(catalog.table(table)?.column(column)?.data_type.clone());
    let mut found: Vec<Referencing> = Vec::new();
    for (child, constraint, key) in catalog.foreign_keys_to(table) {
        for (own, referenced) in key.columns.iter().zip(&key.references) {
            if *referenced == column {
                found.push(Referencing {
                    data_type: data_type(&child, own.as_str()),
                    table: child.clone(),
                    column: own.as_str().to_owned(),
                    constraint: Some(constraint.name.as_str().to_owned()),
                });
            }
        }
    }
    let resolver = Resolver::new(&last.state_after, &trace.options.context);
    let mut models: Vec<_> = last.state_after.models().cloned().collect();
    let throughs: Vec<_> = models
        .iter()
        .filter_map(|model| resolver.model(&model.key()).ok())
        .flat_map(|model| model.fields.into_iter().filter_map(Result::ok).collect::<Vec<_>>())
        .filter_map(|field| field.auto_through().cloned())
        .collect();
    models.extend(throughs);
    for model in models.iter().filter(|model| !model.is_proxy() && model.is_managed()) {
        let Ok(own) = resolver.table(model) else { continue };
        let own = table_name(&own);
        for field in model.fields.iter().filter_map(|field| resolver.field_of(model, field).ok()) {
            let (Some(key), Some(own_column)) = (field.foreign_key(), &field.column) else { continue };
            if key.column.as_deref() == Some(column)
                && table_name(&key.table) == *table
                && !found.iter().any(|known| known.table == own && known.column == **own_column)
            {
                found.push(Referencing {
                    data_type: data_type(&own, own_column),
                    table: own.clone(),
                    column: own_column.to_string(),
                    constraint: None,
                });
            }
        }
    }
    found.sort();
    found.dedup_by(|one, other| one.table == other.table && one.column == other.column);
    found
}

/// The request with a mirror for every column that references one of its sources, at every level: one request per table,
/// the given one first.
///
/// # Errors
/// When a table belongs to no model, or an expression cannot be said of the referencing column.
pub fn with_references(
    trace: &Trace,
    model: &ModelTable,
    request: &Request,
) -> Result<Vec<(ModelTable, Request)>, Refusal> {
    let mut requests: Vec<(ModelTable, Request)> = vec![(model.clone(), request.clone())];
    let mut open: Vec<(QualifiedName, PairRequest)> =
        request.pairs.iter().map(|pair| (model.table.clone(), pair.clone())).collect();
    let mut seen: BTreeSet<(QualifiedName, String)> =
        open.iter().map(|(table, pair)| (table.clone(), pair.source.clone())).collect();
    while let Some((table, pair)) = open.pop() {
        for found in referencing(trace, &table, &pair.source) {
            if !seen.insert((found.table.clone(), found.column.clone())) {
                continue;
            }
            let derived = derive(&pair, &found.column)?;
            if let Some((_, known)) = requests.iter_mut().find(|(model, _)| model.table == found.table) {
                known.pairs.push(derived.clone());
            } else {
                let Some(model) = project::of_table(trace, &found.table) else {
                    return Err(Refusal::Other(format!(
                        "no model has the table `{}`, whose `{}` references `{}`: declare its mirror by hand",
                        found.table, found.column, pair.source
                    )));
                };
                requests.push((model, Request { pairs: vec![derived.clone()], ..request.clone() }));
            }
            open.push((found.table, derived));
        }
    }
    // Whatever the order of the walk: the same requests for the same project.
    for (_, request) in requests.iter_mut().skip(1) {
        request.pairs.sort_by(|one, other| one.source.cmp(&other.source));
    }
    if let Some((_, first)) = requests.first_mut() {
        let given = request.pairs.len();
        if let Some(derived) = first.pairs.get_mut(given..) {
            derived.sort_by(|one, other| one.source.cmp(&other.source));
        }
    }
    if let Some(derived) = requests.get_mut(1..) {
        derived.sort_by(|(one, _), (other, _)| one.table.cmp(&other.table));
    }
    Ok(requests)
}

/// The same mirror for another column: `id -> id_bigint` becomes `author_id -> author_id_bigint`.
fn derive(pair: &PairRequest, column: &str) -> Result<PairRequest, Refusal> {
    let suffix = pair.target.strip_prefix(&pair.source).unwrap_or(&pair.target).trim_start_matches('_');
    // The suffix stays whole, and a long column's name is cut.
    let stem = zdm_postgres::name::truncate_bytes(column, 62_usize.saturating_sub(suffix.len()));
    let target = format!("{stem}_{suffix}");
    let (source, own) = (Ident::new(&*pair.source)?, Ident::new(column)?);
    let (from, to) = (Ident::new(&*pair.target)?, Ident::new(&*target)?);
    let said = |text: &Option<String>, old: &Ident, new: &Ident| {
        let Some(text) = text else { return Ok(None) };
        let cannot = |why: &str| Refusal::Expression { text: text.clone(), why: why.to_owned() };
        let expression = Expression::new(text, "")?;
        if expression.columns() != [old.as_str()] {
            return Err(cannot(
                "the columns that reference this one need it too, and it names other columns; declare their mirrors one by one",
            ));
        }
        let plain = expression.plain();
        with_column(&plain, old, new).map(Some).ok_or_else(|| {
            cannot("it cannot be said of the columns that reference this one; declare their mirrors one by one")
        })
    };
    Ok(PairRequest {
        using: said(&pair.using, &source, &own)?,
        reverse_using: said(&pair.reverse_using, &from, &to)?,
        data_type: pair.data_type.clone(),
        source: column.to_owned(),
        target,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: &str, target: &str, using: Option<&str>) -> PairRequest {
        PairRequest {
            source: source.to_owned(),
            target: target.to_owned(),
            using: using.map(str::to_owned),
            ..PairRequest::default()
        }
    }

    #[test]
    fn the_same_mirror_for_another_column() {
        let derived = derive(&pair("id", "id_bigint", None), "author_id").unwrap();
        assert_eq!((derived.source.as_str(), derived.target.as_str()), ("author_id", "author_id_bigint"));
        assert_eq!(derive(&pair("id", "wide", None), "author_id").unwrap().target, "author_id_wide");
        let derived = derive(&pair("id", "id_uuid", Some("id::uuid")), "author_id").unwrap();
        assert_eq!(derived.using.as_deref(), Some("(\"author_id\"::uuid)"));
        let long = "é".repeat(31);
        let derived = derive(&pair("id", "id_bigint", None), &long).unwrap();
        assert!(derived.target.len() <= 63 && derived.target.ends_with("_bigint"), "{}", derived.target);
        assert!(derive(&pair("id", "id_uuid", Some("id || other")), "author_id").is_err());
    }
}
