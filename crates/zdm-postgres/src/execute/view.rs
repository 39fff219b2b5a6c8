//! Views and materialized views.

use std::sync::Arc;

use super::{Run, Step, refuse};
use crate::catalog::{ConstraintKind, Relation, View};
use crate::data_type::DataType;
use crate::effects::UncertainEffect;
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName, Written};
use crate::statement::{CreateView, IndexKey, Persistence, Query, SourceKind};
use crate::typing::{self, Value};

impl Run {
    pub(super) fn create_view(&mut self, create: &CreateView) -> Step {
        // What reads temporary relations is temporary itself (`DefineView`).
        let reads_temporary = self.reads_temporary(&create.query);
        if create.materialized && reads_temporary {
            return refuse("0A000", "materialized views must not use temporary tables or views");
        }
        let temporary = create.temporary || reads_temporary;
        let elsewhere = match &create.name.schema {
            Some(schema) => !schema.as_str().starts_with("pg_temp"),
            None => create.name.written == Written::Default,
        };
        if temporary && elsewhere {
            return refuse("42P16", "cannot create temporary relation in non-temporary schema");
        }
        let persistence = if temporary { Persistence::Temporary } else { Persistence::Permanent };
        let name = self.creation_name(&create.name, persistence);
        let existing = self.catalog().relation(&name).cloned();
        let replaced = match &existing {
            None => None,
            Some(Relation::View(view)) if create.or_replace && !view.materialized => Some(view.clone()),
            Some(_) if create.if_not_exists => return self.parse_query(&create.query),
            Some(_) if self.may_be_missing(&name) => None,
            Some(_) if create.or_replace => return refuse("42809", format!("\"{}\" is not a view", name.name)),
            Some(_) => {
                self.need_free_name(&name, format!("relation \"{}\" already exists", name.name))?;
                None
            }
        };
        if create.materialized {
            super::alter_table::check_table_options(&create.options, self.version)?;
        } else {
            self.check_view_options(&create.options)?;
        }
        let mut dependencies: Vec<(QualifiedName, Vec<Ident>)> = Vec::new();
        for written_name in &create.query.relations {
            let under = self.open_in_query(written_name)?;
            let columns = self.columns_read(&under, &create.query);
            dependencies.push((under, columns));
        }
        self.check_names(&create.query)?;
        if create.materialized && create.with_data {
            self.run_query(&create.query)?;
        } else {
            self.parse_query(&create.query)?;
        }
        let columns = if create.columns.is_empty() {
            self.query_names(&create.query).unwrap_or_default()
        } else {
            create.columns.clone()
        };
        if self.query_names(&create.query).is_some_and(|names| names.len() < create.columns.len()) {
            let what = if create.materialized {
                "too many column names were specified"
            } else {
                "CREATE VIEW specifies more column names than columns"
            };
            return refuse("42601", what);
        }
        if replaced.is_none() {
            super::create_table::check_output_names(columns.iter())?;
        }
        if let Some(old) = &replaced {
            check_replacement(&old.columns, &columns)?;
            if old.columns.is_empty() || columns.is_empty() {
                self.may_fail_always("42P16", format!("{name} has other columns"));
            }
            let types = self.output_types(&old.query).into_iter().zip(self.output_types(&create.query));
            for (name, types) in old.columns.iter().zip(types) {
                if let (Some(before), Some(after)) = types
                    && before != after
                {
                    let (before, after) = (self.visible(&before), self.visible(&after));
                    return refuse(
                        "42P16",
                        format!("cannot change data type of view column \"{name}\" from {before} to {after}"),
                    );
                }
            }
            self.lock(&name, LockMode::AccessExclusive);
        } else {
            self.need_schema_of(&create.name)?;
            self.made(&name);
        }
        // It goes on to mean the relations that it has found.
        let mut query = Query { selects: Vec::new(), with: Vec::new(), ..create.query.clone() };
        query.rename_relations(&|name| *name = self.find(name).unwrap_or_else(|| name.clone()));
        let keyed = create.query.relations.iter().filter_map(|name| self.find(name));
        let keyed = keyed.filter(|name| self.groups_by_key(&create.query, name)).collect();
        let types = self.own_types(&create.query, columns.len());
        let view = View {
            name: name.clone(),
            materialized: create.materialized,
            query,
            condition: condition_of(&create.query),
            keyed,
            columns,
            types,
            dependencies,
            indexes: Vec::new(),
            populated: create.with_data || !create.materialized,
            defaults: replaced.as_ref().map(|old| old.defaults.clone()).unwrap_or_default(),
            read_only: self.is_read_only(&create.query),
            instead: replaced.is_some_and(|old| old.instead),
            check_option: create.check_option || create.options.iter().any(|(name, _)| name == "check_option"),
        };
        self.catalog_mut().put(name, Relation::View(Arc::new(view)));
        Ok(())
    }

    /// The types of so many columns, where they are the server's own.
    fn own_types(&self, query: &Query, columns: usize) -> Vec<Option<DataType>> {
        let own = |data_type: &DataType| matches!(typing::value_of(self.catalog(), data_type), Value::Known(_));
        let own = |data_type: DataType| {
            (own(&data_type) && self.catalog().user_type(&data_type.name).is_none()).then_some(data_type)
        };
        match self.columns_of_query(query) {
            Some(found) if found.len() == columns => found.into_iter().map(|(_, known)| known.and_then(own)).collect(),
            _ => Vec::new(),
        }
    }

    /// `isQueryUsingTempRelation`.
    fn reads_temporary(&self, query: &Query) -> bool {
        let found = query.relations.iter().filter_map(|name| self.find(name));
        found.into_iter().any(|name| name.schema.as_ref().is_some_and(|schema| schema == "pg_temp"))
    }

    /// `check_functional_grouping`: whether columns of the table stand outside of aggregates that are not grouped, because
    /// its primary key is.
    fn groups_by_key(&self, query: &Query, name: &QualifiedName) -> bool {
        let table = self.table(name);
        let Some(ConstraintKind::PrimaryKey { columns: key, .. }) = table.primary_key().map(|key| &key.kind) else {
            return false;
        };
        let is_own = |qualifier: &Option<Ident>, column: &Ident| {
            table.column(column.as_str()).is_some()
                && qualifier.as_ref().is_none_or(|qualifier| {
                    let mut meant = query.aliases.iter().filter(|(alias, _)| alias == qualifier);
                    meant.any(|(_, relation)| self.find(relation).as_ref() == Some(name))
                })
        };
        let grouped =
            |column: &Ident| query.grouped.iter().any(|(qualifier, known)| known == column && is_own(qualifier, known));
        let ungrouped = |qualifier: &Option<Ident>, column: &Ident| is_own(qualifier, column) && !grouped(column);
        key.iter().all(grouped)
            && query.output.iter().any(|output| stands_outside_aggregates(&output.expr.node, &ungrouped))
    }

    /// Reads the query anew into new files, or, CONCURRENTLY, compares and changes rows under EXCLUSIVE.
    pub(super) fn refresh(&mut self, name: &QualifiedName, concurrently: bool, with_data: bool) -> Step {
        let name = self.open(name)?;
        let Some(view) = self.catalog().view(&name).cloned() else {
            if self.is_assumed(&name) {
                self.lock(&name, if concurrently { LockMode::Exclusive } else { LockMode::AccessExclusive });
                return Ok(());
            }
            return refuse("42809", format!("\"{}\" is not a materialized view", name.name));
        };
        if !view.materialized {
            return refuse("42809", format!("\"{}\" is not a table or materialized view", name.name));
        }
        if concurrently && !with_data {
            return refuse("42601", "CONCURRENTLY and WITH NO DATA options cannot be used together");
        }
        if concurrently && !view.populated {
            return refuse("0A000", "CONCURRENTLY cannot be used when the materialized view is not populated");
        }
        if concurrently {
            let has_key = view.indexes.iter().any(|index| {
                index.unique
                    && index.valid
                    && index.predicate.is_none()
                    && index.elements.iter().all(|element| matches!(element.key, IndexKey::Column(_)))
            });
            if !has_key {
                let schema = name.schema.as_ref().map_or("public", Ident::as_str);
                return refuse(
                    "55000",
                    format!("cannot refresh materialized view \"{schema}.{}\" concurrently", name.name),
                );
            }
            self.lock(&name, LockMode::Exclusive);
            self.lock_indexes(&name, LockMode::RowExclusive);
        } else {
            self.lock(&name, LockMode::AccessExclusive);
        }
        self.catalog_mut().edit_view(&name, |view| view.populated = with_data);
        if with_data {
            self.run_read_query(&view.query)?;
            // The old rows are joined with the new ones, or the new ones are read for the indexes.
            if concurrently {
                self.maybe(&name, UncertainEffect::Scan, "the planner uses no index");
            } else if !view.indexes.is_empty() {
                self.effects.scans.insert(name.clone());
            }
        }
        if !concurrently {
            // Without data the new files are empty.
            if with_data {
                self.effects.rewrites.insert(name.clone());
            }
            for index in &view.indexes {
                self.build(&name.sibling(index.name.clone()));
            }
        }
        Ok(())
    }
}

/// Whether a column that is meant stands in the expression and in no argument of an aggregate.
fn stands_outside_aggregates(node: &ExprNode, is_meant: &dyn Fn(&Option<Ident>, &Ident) -> bool) -> bool {
    match node {
        ExprNode::Column { qualifier, name } => is_meant(qualifier, name),
        ExprNode::Call { function, .. } if crate::typing::is_aggregate(function) => false,
        node => node.children().into_iter().any(|child| stands_outside_aggregates(child, is_meant)),
    }
}

/// OR REPLACE may only add columns at the end.
fn check_replacement(old: &[Ident], new: &[Ident]) -> Step {
    if old.is_empty() || new.is_empty() {
        return Ok(());
    }
    if new.len() < old.len() {
        return refuse("42P16", "cannot drop columns from view");
    }
    for (old, new) in old.iter().zip(new) {
        if old != new {
            return refuse("42P16", format!("cannot change name of view column \"{old}\" to \"{new}\""));
        }
    }
    Ok(())
}

/// A query inside would read the relation by itself, whatever the condition says.
fn condition_of(query: &Query) -> Option<SqlExpr> {
    let ([select], [_], []) = (query.selects.as_slice(), query.relations.as_slice(), query.with.as_slice()) else {
        return None;
    };
    if query.words.split(' ').filter(|word| matches!(*word, "select" | "table" | "values")).count() != 1 {
        return None;
    }
    match select.sources.as_slice() {
        [source] if matches!(source.kind, SourceKind::Relation(_)) && source.columns.is_empty() => {
            select.predicate.clone()
        }
        _ => None,
    }
}
