//! What a query opens and reads when it is planned and run.

use std::collections::BTreeSet;

use crate::catalog::Relation;
use crate::effects::UncertainEffect;
use crate::execute::{Run, Step, refuse};
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::QualifiedName;
use crate::statement::{Query, SourceKind};

impl Run {
    pub(in crate::execute) fn select(&mut self, query: &Query) -> Step {
        check_row_locking(query, |function| {
            crate::typing::is_aggregate(function) && self.find_function(function).is_none()
        })?;
        self.run_query(query)
    }

    /// The relations of a query that is planned and run.
    pub(in crate::execute) fn run_query(&mut self, query: &Query) -> Step {
        self.check_query_names(query)?;
        self.run_read_query(query)
    }

    /// What a query names is looked up before it is planned. In the body of a function it may be a parameter.
    pub(in crate::execute) fn check_query_names(&mut self, query: &Query) -> Step {
        for written_name in &query.relations {
            self.open_in_query(written_name)?;
        }
        if self.depth > 0 { Ok(()) } else { self.check_names(query) }
    }

    /// Of a query whose columns were found when it was read, however they are called now.
    pub(in crate::execute) fn run_read_query(&mut self, query: &Query) -> Step {
        check_nullable_rows(query)?;
        let locked: BTreeSet<QualifiedName> = query.locked.iter().filter_map(|name| self.find(name)).collect();
        for name in &locked {
            if self.catalog().view(name).is_some_and(|view| view.materialized) {
                return refuse("42809", format!("cannot lock rows in materialized view \"{}\"", name.name));
            }
        }
        let whole = reads_everything(query);
        self.check_new_enum_values(&query.text, &|enum_type| {
            query.output.iter().any(|output| {
                let mut casts = false;
                output.expr.node.walk(&mut |node| {
                    if let ExprNode::Cast { data_type, .. } = node {
                        casts |= self.find_type(&data_type.name).as_ref() == Some(enum_type);
                    }
                });
                casts
            })
        })?;
        self.check_output_casts(query)?;
        self.run_functions_of(query);
        for written_name in &query.relations {
            let name = self.open_in_query(written_name)?;
            if locked.contains(&name) {
                // FOR KEY SHARE lets changes of other columns pass.
                let update = !query.says(&["for", "key", "share"]);
                let mut tables = Vec::new();
                for table in self.tables_under(&name) {
                    tables.extend(self.catalog().descendants(&table));
                    tables.push(table);
                }
                for table in tables {
                    if whole && name == table {
                        self.lock_rows(&table, update);
                    } else {
                        self.lock_some_rows(&table, format!("the query returns rows of {table}"));
                    }
                }
            }
            self.run_printing_view(&name);
            if self.catalog().view(&name).is_some_and(|view| view.materialized && !view.populated) {
                return refuse("55000", format!("materialized view \"{}\" has not been populated", name.name));
            }
            let mode = if locked.contains(&name) { LockMode::RowShare } else { LockMode::AccessShare };
            let keys = if query.only.contains(written_name) { Vec::new() } else { self.partition_keys(&name) };
            if !whole && keys.iter().any(|key| query.columns.contains(key)) {
                self.plan(&name, mode, false);
                self.maybe_read_partitions(&name, mode, "rows of it may satisfy the condition");
                for partition in self.partitions(&name) {
                    if self.has_storage(&partition) && !self.is_empty(&partition) {
                        self.maybe(&partition, UncertainEffect::Scan, "the planner uses no index");
                    }
                }
                continue;
            }
            // Of a view it says nothing.
            if query.only.contains(written_name) && !self.is_view(&name) {
                self.read_only_one(&name, mode, whole);
                continue;
            }
            self.read(&name, mode, whole, 0);
        }
        for statement in &query.modifies {
            self.execute(statement)?;
        }
        self.used_sequences(query)
    }

    /// A table without those under it.
    fn read_only_one(&mut self, name: &QualifiedName, mode: LockMode, whole: bool) {
        self.plan_only_one(name, mode);
        if whole {
            self.scan(name);
        } else if self.has_storage(name) && !self.is_empty(name) {
            self.maybe(name, UncertainEffect::Scan, "the planner uses no index");
        }
    }

    fn is_view(&self, name: &QualifiedName) -> bool {
        self.catalog().view(name).is_some_and(|view| !view.materialized)
    }

    /// The planner opens a table by itself with its indexes, partitioned or not.
    pub(super) fn plan_only_one(&mut self, name: &QualifiedName, mode: LockMode) {
        self.lock(name, mode);
        self.lock_indexes(name, mode);
    }

    /// The relations of a query that is only parsed: ACCESS SHARE, no indexes.
    pub(in crate::execute) fn parse_query(&mut self, query: &Query) -> Step {
        for written_name in &query.relations {
            let name = self.open_in_query(written_name)?;
            self.lock(&name, LockMode::AccessShare);
        }
        Ok(())
    }

    /// A relation in a query's FROM, with what is under it.
    pub(super) fn read(&mut self, name: &QualifiedName, mode: LockMode, whole: bool, depth: u8) {
        match self.catalog().relation(name).cloned() {
            Some(Relation::View(view)) if !view.materialized => {
                self.lock(name, mode);
                self.run_functions_of(&view.query);
                let whole = whole && reads_everything(&view.query);
                for (under, _) in &view.dependencies {
                    if view.query.only.contains(under) && self.has_storage(under) {
                        self.read_only_one(under, mode, whole);
                    } else if depth < 64 {
                        // Views over views end; only a broken history could make a circle of them.
                        self.read(under, mode, whole, depth + 1);
                    }
                }
            }
            Some(Relation::Sequence(_)) => self.lock(name, mode),
            _ => {
                // What the view and the query say together may leave partitions out.
                let prunes = depth > 0 && !whole && self.table(name).partition_by.is_some();
                self.plan(name, mode, !prunes);
                if prunes {
                    self.maybe_read_partitions(name, mode, "rows of it may satisfy the condition");
                }
                let mut tables = vec![name.clone()];
                tables.extend(self.catalog().descendants(name));
                for table in tables {
                    if whole {
                        self.scan(&table);
                    } else if self.has_storage(&table) && !self.is_empty(&table) {
                        self.maybe(&table, UncertainEffect::Scan, "the planner uses no index");
                    }
                }
            }
        }
    }

    /// The tables under a view at every level; a table is itself.
    fn tables_under(&self, name: &QualifiedName) -> Vec<QualifiedName> {
        let mut found = vec![name.clone()];
        let mut next = 0;
        while let Some(current) = found.get(next).cloned() {
            next += 1;
            if let Some(view) = self.catalog().view(&current).filter(|view| !view.materialized) {
                for (under, _) in &view.dependencies {
                    if !found.contains(under) {
                        found.push(under.clone());
                    }
                }
            }
        }
        found
    }

    /// Every row of the table is locked until the transaction ends.
    pub(super) fn lock_rows(&mut self, name: &QualifiedName, update: bool) {
        if self.has_storage(name) && !self.is_empty(name) {
            let blocks =
                crate::effects::Blocks { update, select_for_update: true, ..crate::effects::Blocks::default() };
            let known = self.effects.row_locks.entry(name.clone()).or_default();
            *known = known.union(blocks);
        }
    }

    /// Some rows of the table are locked until the transaction ends.
    pub(in crate::execute) fn lock_some_rows(&mut self, name: &QualifiedName, condition: impl Into<String>) {
        if self.has_storage(name) && !self.is_empty(name) {
            self.maybe(name, UncertainEffect::RowLocks, condition);
        }
    }
}

/// `CheckSelectLocking`: what no longer is a row of a table cannot be locked. Where there is another SELECT inside, what
/// belongs to which is not told.
fn check_row_locking(query: &Query, is_aggregate: impl Fn(&QualifiedName) -> bool) -> Step {
    let Some(strength) = query.lock_strength() else { return Ok(()) };
    // The whole of a set operation is locked, or nothing of it.
    let combined = ["union", "intersect", "except"].iter().any(|word| query.says(&[word]));
    if combined && !query.locked.is_empty() && !query.words.contains('(') {
        return refuse("0A000", format!("{strength} is not allowed with UNION/INTERSECT/EXCEPT"));
    }
    if query.words.split(' ').filter(|word| *word == "select").count() != 1 {
        return Ok(());
    }
    let what = if query.says(&["select", "distinct"]) {
        "DISTINCT clause"
    } else if query.says(&["group", "by"]) {
        "GROUP BY clause"
    } else if query.says(&["having"]) {
        "HAVING clause"
    } else if query.says(&["over", "("]) || query.says(&["window"]) {
        "window functions"
    } else if query.functions.iter().any(is_aggregate) {
        "aggregate functions"
    } else {
        return Ok(());
    };
    refuse("0A000", format!("{strength} is not allowed with {what}"))
}

/// Whether nothing but a whole read of the relations can answer the query, as far as it is known.
pub(super) fn reads_everything(query: &Query) -> bool {
    // The source of a MERGE may be reached through an index from the rows of the target.
    let narrowed = ["where", "limit", "tablesample", "fetch"].iter().any(|word| query.says(&[word]))
        || query.says(&["max", "("])
        || query.says(&["min", "("])
        || query.says(&["merge", "into"]);
    // What is joined with one relation alone is a function's rows or a list.
    let joined = query.relations.len() == 1 && query.says(&["join"]);
    !query.relations.is_empty() && !joined && !narrowed
}

/// `make_outerjoininfo`: rows that may be missing are not locked. With a condition the planner may see that they are not.
fn check_nullable_rows(query: &Query) -> Step {
    let [select] = query.selects.as_slice() else { return Ok(()) };
    if select.sources.len() != 2 || select.predicate.is_some() {
        return Ok(());
    }
    for locking in &select.locking {
        let locked = |place: &usize| {
            select.sources.get(*place).is_some_and(|source| {
                matches!(&source.kind, SourceKind::Relation(name) if query.with.iter().all(|table| table.name != name.name))
                    && (locking.of.is_empty() || source.alias.as_ref().is_some_and(|alias| locking.of.contains(alias)))
            })
        };
        if select.nullable.iter().any(locked) {
            let strength = locking.strength;
            return refuse("0A000", format!("{strength} cannot be applied to the nullable side of an outer join"));
        }
    }
    Ok(())
}
