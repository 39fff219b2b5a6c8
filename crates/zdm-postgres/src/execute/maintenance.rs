//! VACUUM, ANALYZE, CLUSTER, REINDEX, COPY, COMMENT and GRANT.

use super::{Run, Step, refuse, written};
use crate::catalog::Relation;
use crate::effects::{UncertainEffect, Waits};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{CommentText, ObjectKind, Reindex, ReindexTarget};

/// Whether the text of a Boolean parameter means on.
pub(crate) fn is_on(value: &str) -> bool {
    let value = value.trim().trim_matches('\'').to_ascii_lowercase();
    !value.is_empty()
        && !["false", "off", "no"].iter().any(|off| off.starts_with(&value) && value != "o")
        && value != "0"
}

const SYSTEM_CONCURRENTLY: &str = "cannot reindex system catalogs concurrently";

impl Run {
    pub(super) fn set_vacuum_truncate(&mut self, name: &QualifiedName, options: &[(String, String)]) {
        if let Some((_, value)) = options.iter().find(|(option, _)| option == "vacuum_truncate") {
            let on = is_on(value);
            self.catalog_mut().edit_table(name, |table| table.vacuum_truncate = Some(on));
        }
    }

    /// The named tables with their partitions, or every table.
    fn maintained(&mut self, tables: &[QualifiedName], only: &[QualifiedName]) -> Step<Vec<QualifiedName>> {
        if !only.is_empty() {
            self.since(18, "ONLY")?;
        }
        if tables.is_empty() {
            return Ok(self
                .catalog()
                .relations()
                .filter(|(_, relation)| match relation {
                    Relation::Table(_) => true,
                    Relation::View(view) => view.materialized,
                    _ => false,
                })
                .map(|(name, _)| name.clone())
                .collect());
        }
        let mut names = Vec::new();
        for table in tables {
            let name = self.open(table)?;
            if self.catalog().view(&name).is_some_and(|view| !view.materialized) {
                // A warning, and it is passed over.
                continue;
            }
            if matches!(self.catalog().relation(&name), Some(Relation::Index { .. } | Relation::Sequence(_))) {
                continue;
            }
            names.push(name.clone());
            if only.contains(table) {
                continue;
            }
            // Since 18 inheritance children come along as partitions do.
            if self.table(&name).partition_by.is_some() || self.version.at_least(18) {
                names.extend(self.catalog().descendants(&name));
            }
        }
        Ok(names)
    }

    /// Behind its work VACUUM cuts empty pages off the end of a table, for which it takes ACCESS EXCLUSIVE if it gets it: it
    /// tries for five seconds and leaves off when somebody waits (`vacuumlazy.c`; manual, "VACUUM", TRUNCATE).
    pub(super) fn vacuum(
        &mut self,
        tables: &[QualifiedName],
        only: &[QualifiedName],
        full: bool,
        truncate: Option<bool>,
    ) -> Step {
        for name in self.maintained(tables, only)? {
            if full && self.has_storage(&name) {
                self.lock(&name, LockMode::AccessExclusive);
                self.rewrite_all(&name);
            } else if full {
                self.lock(&name, LockMode::AccessExclusive);
            } else {
                self.lock(&name, LockMode::ShareUpdateExclusive);
                if self.has_storage(&name) {
                    self.lock_indexes(&name, LockMode::RowExclusive);
                    // The parameter of the server is 18's (manual, "vacuum_truncate").
                    let setting = self.state.settings.get("vacuum_truncate").filter(|_| self.version.at_least(18));
                    let known = self.catalog().table(&name).and_then(|table| table.vacuum_truncate);
                    if truncate.or(known).unwrap_or_else(|| setting.is_none_or(is_on)) {
                        let condition = format!("the last pages of {name} are empty");
                        self.maybe(&name, UncertainEffect::PassingLock(LockMode::AccessExclusive), condition);
                    }
                }
            }
        }
        Ok(())
    }

    /// `ExecVacuum`: the options of the version, and those that exclude each other.
    pub(super) fn check_vacuum_options(&self, options: &[(String, String)], columns: bool) -> Step {
        let mut workers = 0_u32;
        for (name, value) in options {
            let since = match name.as_str() {
                "verbose"
                | "skip_locked"
                | "analyze"
                | "freeze"
                | "full"
                | "disable_page_skipping"
                | "index_cleanup"
                | "truncate" => 12,
                "parallel" => 13,
                "process_toast" => 14,
                "process_main" | "buffer_usage_limit" | "skip_database_stats" | "only_database_stats" => 16,
                _ => u16::MAX,
            };
            if !self.version.at_least(since) {
                return refuse("42601", format!("unrecognized VACUUM option \"{name}\""));
            }
            if name == "parallel" {
                if value.is_empty() {
                    return refuse("42601", "parallel option requires a value between 0 and 1024");
                }
                workers = value.parse().unwrap_or(0);
                if workers > 1024 {
                    return refuse("42601", "parallel workers for vacuum must be between 0 and 1024");
                }
            }
        }
        let said = |wanted: &str| options.iter().rfind(|(name, _)| name == wanted);
        let on = |wanted: &str| said(wanted).is_some_and(|(_, value)| value.is_empty() || is_on(value));
        if on("full") && workers > 0 {
            return refuse("0A000", "VACUUM FULL cannot be performed in parallel");
        }
        if columns && !on("analyze") {
            return refuse("0A000", "ANALYZE option must be specified when a column list is provided");
        }
        if on("full") && on("disable_page_skipping") {
            return refuse("0A000", "VACUUM option DISABLE_PAGE_SKIPPING cannot be used with FULL");
        }
        if on("full") && said("process_toast").is_some() && !on("process_toast") {
            return refuse("0A000", "PROCESS_TOAST required with VACUUM FULL");
        }
        Ok(())
    }

    pub(super) fn check_analyze_options(&self, options: &[(String, String)]) -> Step {
        let unknown = options.iter().find(|(name, _)| match name.as_str() {
            "verbose" | "skip_locked" => false,
            "buffer_usage_limit" => !self.version.at_least(16),
            _ => true,
        });
        match unknown {
            Some((name, _)) => refuse("42601", format!("unrecognized ANALYZE option \"{name}\"")),
            None => Ok(()),
        }
    }

    /// `do_analyze_rel`: each column that is named is there, and named once.
    pub(super) fn check_analyzed_columns(&self, lists: &[(QualifiedName, Vec<Ident>)]) -> Step {
        for (written_name, columns) in lists {
            let Some(name) = self.find(written_name) else { continue };
            let Some(table) = self.catalog().table(&name).filter(|table| !table.assumed && !table.uncertain) else {
                continue;
            };
            for (place, column) in columns.iter().enumerate() {
                if table.column(column.as_str()).is_none() {
                    return Self::missing_column(&name, column);
                }
                if columns.iter().take(place).any(|known| known == column) {
                    return refuse(
                        "42701",
                        format!("column \"{column}\" of relation \"{}\" appears more than once", name.name),
                    );
                }
            }
        }
        Ok(())
    }

    pub(super) fn rewrite_all(&mut self, name: &QualifiedName) {
        self.effects.rewrites.insert(name.clone());
        self.scan(name);
        let indexes: Vec<QualifiedName> =
            self.catalog().indexes_of(name).iter().map(|index| name.sibling(index.name.clone())).collect();
        for index in indexes {
            self.build(&index);
        }
    }

    pub(super) fn analyze(&mut self, tables: &[QualifiedName], only: &[QualifiedName]) -> Step {
        for name in self.maintained(tables, only)? {
            self.lock(&name, LockMode::ShareUpdateExclusive);
            if self.has_storage(&name) {
                self.lock_indexes(&name, LockMode::AccessShare);
            }
            let below = if self.has_storage(&name) {
                self.catalog().descendants(&name)
            } else {
                // Rows of the whole tree are sampled for a partitioned table.
                self.partitions(&name).into_iter().filter(|partition| self.has_storage(partition)).collect()
            };
            for child in below {
                self.lock(&child, LockMode::AccessShare);
            }
        }
        Ok(())
    }

    pub(super) fn cluster(&mut self, table: Option<&QualifiedName>, index: Option<&Ident>) -> Step {
        let Some(table) = table else {
            let clustered: Vec<QualifiedName> = self
                .catalog()
                .tables()
                .filter(|table| table.clustered_on.is_some())
                .map(|table| table.name.clone())
                .collect();
            for name in clustered {
                self.lock(&name, LockMode::AccessExclusive);
                self.rewrite_all(&name);
            }
            return Ok(());
        };
        let name = self.open(table)?;
        self.need_table_or_materialized_view(&name)?;
        self.lock(&name, LockMode::AccessExclusive);
        let known = self.table(&name);
        if known.partition_by.is_some() && !self.version.at_least(15) {
            return refuse("0A000", "cannot cluster a partitioned table");
        }

        if index.is_none() && known.clustered_on.is_none() && !known.assumed {
            return refuse("42704", format!("there is no previously clustered index for table \"{}\"", name.name));
        }
        if known.partition_by.is_some() && self.in_block {
            let exists = index.is_none_or(|index| self.catalog().relation(&name.sibling(index.clone())).is_some());
            if exists {
                return refuse("25001", "CLUSTER cannot run inside a transaction block");
            }
        }
        if let Some(index) = index {
            self.need_cluster_index(&name, index)?;
        }
        self.check_not_in_use(&name, "CLUSTER")?;
        let Some(index) = index else {
            self.rewrite_all(&name);
            return Ok(());
        };
        for (table, index) in self.clustered_with(&name, index) {
            self.lock(&table, LockMode::AccessExclusive);
            self.rewrite_all(&table);
            self.catalog_mut().edit_table(&table, |table| table.clustered_on = Some(index));
        }
        Ok(())
    }

    fn need_table_or_materialized_view(&self, name: &QualifiedName) -> Step {
        let has_rows = match self.catalog().relation(name) {
            Some(Relation::View(view)) => view.materialized,
            Some(Relation::Index { .. } | Relation::Sequence(_)) => false,
            _ => true,
        };
        if has_rows {
            return Ok(());
        }
        refuse("42809", format!("\"{}\" is not a table or materialized view", name.name))
    }

    /// The tables with rows that an index of a table orders, each with its own part of the index.
    fn clustered_with(&self, name: &QualifiedName, index: &Ident) -> Vec<(QualifiedName, Ident)> {
        if self.has_storage(name) {
            return vec![(name.clone(), index.clone())];
        }
        let mut wholes = vec![name.sibling(index.clone())];
        let mut leaves = Vec::new();
        for child in self.catalog().descendants(name) {
            for part in self.catalog().indexes_of(&child) {
                if part.parent.as_ref().is_some_and(|parent| wholes.contains(parent)) {
                    wholes.push(child.sibling(part.name.clone()));
                    if self.has_storage(&child) {
                        leaves.push((child.clone(), part.name.clone()));
                    }
                }
            }
        }
        leaves
    }

    pub(super) fn reindex(&mut self, reindex: &Reindex) -> Step {
        if let Some(option) = &reindex.option {
            self.since(14, &option.as_str().to_ascii_uppercase())?;
        }
        let mut indexes: Vec<(QualifiedName, QualifiedName)> = Vec::new();
        let all_of = |run: &Self, name: &QualifiedName| -> Vec<(QualifiedName, QualifiedName)> {
            run.catalog()
                .indexes_of(name)
                .iter()
                .map(|index| (name.clone(), name.sibling(index.name.clone())))
                .collect()
        };
        match &reindex.target {
            ReindexTarget::Index(name) => {
                let Some(name) = self.find(name) else {
                    let system = name.schema.as_ref().is_some_and(super::is_system_schema)
                        || (name.schema.is_none() && name.name.as_str().starts_with("pg_"));
                    if system && reindex.concurrently {
                        self.may_fail_always("0A000", SYSTEM_CONCURRENTLY);
                    }
                    if self.catalog().is_incomplete() || system {
                        return Ok(());
                    }
                    return refuse("42P01", format!("relation \"{}\" does not exist", written(name)));
                };
                let Some(Relation::Index { table }) = self.catalog().relation(&name).cloned() else {
                    return refuse("42809", format!("\"{}\" is not an index", name.name));
                };
                let excludes = self
                    .catalog()
                    .indexes_of(&table)
                    .iter()
                    .any(|index| index.name == name.name && index.constraint && index.method != "btree");
                if reindex.concurrently && excludes {
                    return refuse("0A000", "concurrent index creation for exclusion constraints is not supported");
                }
                if !self.has_storage(&table) && !self.version.at_least(14) {
                    return refuse("0A000", "REINDEX is not yet implemented for partitioned indexes");
                }
                indexes.push((table.clone(), name.clone()));
                if !self.has_storage(&table) {
                    let mut tree = vec![name.clone()];
                    for child in self.catalog().descendants(&table) {
                        for (table, index) in all_of(self, &child) {
                            let parent =
                                self.table(&table).index(index.name.as_str()).and_then(|known| known.parent.clone());
                            if parent.is_some_and(|parent| tree.contains(&parent)) {
                                tree.push(index.clone());
                                self.maybe(
                                    &index,
                                    UncertainEffect::PassingLock(LockMode::Share),
                                    format!("{index} is looked up as a part of {name}"),
                                );
                                indexes.push((table, index));
                            }
                        }
                    }
                }
            }
            ReindexTarget::Table(name) => {
                let name = self.open(name)?;
                self.need_table_or_materialized_view(&name)?;
                if reindex.concurrently && name.schema.as_ref().is_some_and(|schema| schema == "pg_catalog") {
                    return refuse("0A000", SYSTEM_CONCURRENTLY);
                }
                if !self.has_storage(&name) && !self.version.at_least(14) {
                    // Not implemented there: a warning, and nothing is done.
                    self.lock(&name, LockMode::Share);
                    return Ok(());
                }
                indexes.extend(all_of(self, &name));
                if !self.has_storage(&name) {
                    self.list_partitions(&name, reindex.concurrently);
                    for child in self.catalog().descendants(&name) {
                        indexes.extend(all_of(self, &child));
                    }
                }
                if reindex.concurrently {
                    // A warning, and such an index is passed over.
                    indexes.retain(|(table, index)| {
                        !self
                            .table(table)
                            .index(index.name.as_str())
                            .is_some_and(|known| known.constraint && known.method != "btree")
                    });
                }
                if self.has_storage(&name) && indexes.is_empty() {
                    let mode = if reindex.concurrently { LockMode::ShareUpdateExclusive } else { LockMode::Share };
                    self.lock(&name, mode);
                }
            }
            ReindexTarget::Schema(schema)
                if !self.catalog().has_schema(schema.as_str())
                    && !self.catalog().is_incomplete()
                    && !super::is_system_schema(schema) =>
            {
                return refuse("3F000", format!("schema \"{schema}\" does not exist"));
            }
            ReindexTarget::Schema(schema) => {
                let inside: Vec<QualifiedName> = self
                    .catalog()
                    .relations()
                    .map(|(name, _)| name.clone())
                    .filter(|name| name.schema.as_ref().map_or("public", Ident::as_str) == schema.as_str())
                    .collect();
                for name in inside {
                    indexes.extend(all_of(self, &name));
                }
            }
            ReindexTarget::System(_) if reindex.concurrently => return refuse("0A000", SYSTEM_CONCURRENTLY),
            ReindexTarget::Database(_) | ReindexTarget::System(_) => {
                let everything: Vec<QualifiedName> = self.catalog().relations().map(|(name, _)| name.clone()).collect();
                if matches!(reindex.target, ReindexTarget::Database(_)) {
                    for name in everything {
                        indexes.extend(all_of(self, &name));
                    }
                }
            }
        }
        for (table, index) in indexes {
            if !self.has_storage(&table) {
                continue;
            }
            if reindex.concurrently {
                self.effects.waits_for = Some(Waits::OldSnapshots);
                self.lock(&table, LockMode::ShareUpdateExclusive);
                self.lock(&index, LockMode::ShareUpdateExclusive);
                self.fill(&index);
                self.may_corrupt(&index);
            } else {
                self.lock(&table, LockMode::Share);
                self.build(&index);
            }
            self.scan(&table);
        }
        Ok(())
    }

    /// Which partitions there are is looked up under SHARE on all of them, CONCURRENTLY or not (`ReindexPartitions`).
    fn list_partitions(&mut self, name: &QualifiedName, concurrently: bool) {
        let mode = if concurrently { LockMode::ShareUpdateExclusive } else { LockMode::Share };
        self.lock(name, mode);
        for partition in self.catalog().descendants(name) {
            self.lock(&partition, LockMode::Share);
        }
    }

    pub(super) fn copy(&mut self, table: Option<&QualifiedName>, from: bool, columns: &[Ident]) -> Step {
        let Some(table) = table else { return Ok(()) };
        let name = self.open(table)?;
        match self.catalog().view(&name) {
            Some(view) if !view.materialized && from && !view.instead => {
                return refuse("42809", format!("cannot copy to view \"{}\"", name.name));
            }
            Some(view) if view.materialized && !from && !self.version.at_least(18) => {
                return refuse("42809", format!("cannot copy from materialized view \"{}\"", name.name));
            }
            Some(view) if view.materialized && from => {
                return refuse("42809", format!("cannot copy to materialized view \"{}\"", name.name));
            }
            Some(view) if !view.materialized && !from => {
                return refuse("42809", format!("cannot copy from view \"{}\"", name.name));
            }
            _ => {}
        }
        if !from && self.table(&name).partition_by.is_some() {
            return refuse("42809", format!("cannot copy from partitioned table \"{}\"", name.name));
        }
        if let Some(known) = self.catalog().table(&name) {
            for column in columns {
                match known.column(column.as_str()) {
                    None if known.is_vague() => {}
                    None => return Self::missing_column(&name, column),
                    Some(known) if known.generated.is_some() => {
                        return refuse("42P10", format!("column \"{column}\" is a generated column"));
                    }
                    Some(_) => {}
                }
            }
        }
        if from {
            self.lock(&name, LockMode::RowExclusive);
            let table = self.table(&name);
            self.draw_defaults(&name, columns);
            let valued = (!columns.is_empty()).then(|| self.with_defaults(&table, columns, columns.to_vec()));
            self.if_a_row("there are rows to copy", |run| run.rows_inserted(&name, valued.as_deref(), true));
        } else {
            // Version 12 gives the lock back at the end of the statement.
            if self.version.at_least(13) {
                self.lock(&name, LockMode::AccessShare);
            }
            self.scan(&name);
        }
        Ok(())
    }

    /// The object is of the kind that is named, and the table has it.
    fn check_commented(&self, kind: ObjectKind, name: &QualifiedName, relation: &QualifiedName) -> Step {
        let known = match self.catalog().relation(relation) {
            Some(Relation::Table(table)) if table.assumed || table.uncertain => return Ok(()),
            Some(known) => known,
            None => return Ok(()),
        };
        let wrong = match (kind, known) {
            (ObjectKind::Table, Relation::Table(_))
            | (ObjectKind::Index, Relation::Index { .. })
            | (ObjectKind::Sequence, Relation::Sequence(_)) => None,
            (ObjectKind::View, Relation::View(view)) if !view.materialized => None,
            (ObjectKind::MaterializedView, Relation::View(view)) if view.materialized => None,
            (ObjectKind::Table, _) => Some("a table"),
            (ObjectKind::View, _) => Some("a view"),
            (ObjectKind::MaterializedView, _) => Some("a materialized view"),
            (ObjectKind::Index, _) => Some("an index"),
            (ObjectKind::Sequence, _) => Some("a sequence"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            return refuse("42809", format!("\"{}\" is not {wrong}", relation.name));
        }
        let Relation::Table(table) = known else { return Ok(()) };
        match kind {
            ObjectKind::Policy | ObjectKind::Rule | ObjectKind::Trigger
                if !self.has_object(relation, kind, &name.name) =>
            {
                super::other::missing_object(kind, &name.name, relation)
            }
            ObjectKind::Constraint if !table.has_constraint(name.name.as_str()) => {
                // A constraint trigger is a constraint as well.
                if table.triggers.iter().any(|trigger| trigger.name == name.name) {
                    return Ok(());
                }
                refuse("42704", format!("constraint \"{}\" for table \"{}\" does not exist", name.name, relation.name))
            }
            ObjectKind::Trigger if !table.triggers.iter().any(|trigger| trigger.name == name.name) => {
                refuse("42704", format!("trigger \"{}\" for table \"{}\" does not exist", name.name, relation.name))
            }
            _ => Ok(()),
        }
    }

    /// COMMENT takes SHARE UPDATE EXCLUSIVE on a relation, and only ACCESS SHARE where the object belongs to one.
    pub(super) fn comment(&mut self, kind: ObjectKind, name: &QualifiedName, on: Option<&QualifiedName>) -> Step {
        let relation = match kind {
            ObjectKind::Table
            | ObjectKind::Column
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Sequence
            | ObjectKind::Index
            | ObjectKind::ForeignTable => Some(name),
            _ => on,
        };
        if kind == ObjectKind::Schema
            && !self.catalog().has_schema(name.name.as_str())
            && !super::is_system_schema(&name.name)
            && !self.catalog().is_incomplete()
        {
            return refuse("3F000", format!("schema \"{}\" does not exist", name.name));
        }
        let Some(relation) = relation else { return self.need_commented(kind, name) };
        if kind == ObjectKind::Constraint && self.find(relation).is_none() && self.find_type(relation).is_some() {
            // ON DOMAIN.
            return Ok(());
        }
        if kind == ObjectKind::Column && self.find(relation).is_none() && self.composite_attributes(relation).is_some()
        {
            return Ok(());
        }
        let relation = self.open(relation)?;
        self.check_commented(kind, name, &relation)?;
        let of_relation =
            matches!(kind, ObjectKind::Constraint | ObjectKind::Trigger | ObjectKind::Rule | ObjectKind::Policy);
        self.lock(&relation, if of_relation { LockMode::AccessShare } else { LockMode::ShareUpdateExclusive });
        Ok(())
    }

    /// The object exists, as far as the catalog knows of such objects.
    fn need_commented(&mut self, kind: ObjectKind, name: &QualifiedName) -> Step {
        if self.catalog().is_incomplete() {
            return Ok(());
        }
        match kind {
            ObjectKind::Schema => {}
            ObjectKind::Extension if self.catalog().has_extension(name.name.as_str()) => {}
            ObjectKind::Extension => {
                return refuse("42704", format!("extension \"{}\" does not exist", name.name));
            }
            ObjectKind::Type | ObjectKind::Domain => {
                self.resolve_type(&crate::data_type::DataType::user_defined(name.clone()))?;
            }
            ObjectKind::Statistics => {
                let mut candidates = super::candidates(self.catalog(), &self.state.settings, name);
                if !candidates.any(|candidate| self.catalog().statistics.contains_key(&candidate)) {
                    self.need_schema_of(name)?;
                    return refuse("42704", format!("statistics object \"{}\" does not exist", written(name)));
                }
            }
            ObjectKind::Publication if self.catalog().publications.contains_key(&name.name) => {}
            ObjectKind::Publication => {
                return refuse("42704", format!("publication \"{}\" does not exist", name.name));
            }
            ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine | ObjectKind::Aggregate => {
                // Which arguments it has to have, is not compared.
                self.may_fail_always("42883", format!("{name} does not exist"));
            }
            _ => self.may_fail_always("42704", "there is no such object"),
        }
        Ok(())
    }

    /// What a parameter brings is not known, and leaves what was there.
    pub(super) fn comment_column(&mut self, table: &QualifiedName, column: &Ident, text: &CommentText) -> Step {
        let Some(name) = self.find(table) else {
            let attributes = self.composite_attributes(table);
            return match attributes {
                Some(attributes) if attributes.iter().all(|(known, _)| known != column) => {
                    Self::missing_column(table, column)
                }
                _ => Ok(()),
            };
        };
        let known = self.catalog().table(&name).filter(|table| !table.assumed && !table.uncertain);
        let system = super::create_table::is_system_column(column);
        if !system && known.is_some_and(|known| known.column(column.as_str()).is_none()) {
            return Self::missing_column(&name, column);
        }
        let comment = match text {
            CommentText::Text(text) => Some(text.clone()),
            CommentText::None => None,
            CommentText::Unknown => return Ok(()),
        };
        self.catalog_mut().edit_table(&name, |table| {
            if let Some(known) = table.columns.iter_mut().find(|known| known.name == *column) {
                known.comment = comment;
            }
        });
        Ok(())
    }

    /// Since 18 the relations are locked against being dropped meanwhile.
    pub(super) fn grant(
        &mut self,
        kind: ObjectKind,
        names: &[QualifiedName],
        schemas: &[Ident],
        privileges: &[(String, Vec<Ident>)],
    ) -> Step {
        self.may_fail_always("42704", "a role does not exist");
        let of_schemas = names.iter().map(|name| &name.name).filter(|_| kind == ObjectKind::Schema);
        if !self.catalog().is_incomplete() {
            let missing = of_schemas
                .chain(schemas)
                .find(|name| !self.catalog().has_schema(name.as_str()) && !super::is_system_schema(name));
            if let Some(missing) = missing {
                return refuse("3F000", format!("schema \"{missing}\" does not exist"));
            }
        }
        let mut relations = Vec::new();
        if matches!(kind, ObjectKind::Table | ObjectKind::Sequence) {
            for name in names {
                let name = self.open(name)?;
                if self.version.at_least(18) {
                    self.lock(&name, LockMode::AccessShare);
                }
                relations.push(name);
            }
        }
        self.check_privileges(kind, privileges)?;
        self.check_granted_relations(kind, &relations, privileges)
    }

    /// `merge_acl_with_grant`, which is reached where there is an object.
    pub(super) fn refuse_option_of_all(&self, kind: ObjectKind, names: &[QualifiedName], schemas: &[Ident]) -> Step {
        let of_schema = |name: &QualifiedName| name.schema.as_ref().is_some_and(|schema| schemas.contains(schema));
        let known = match kind {
            ObjectKind::Table => self.catalog().tables().any(|table| of_schema(&table.name)),
            _ => false,
        };
        if known || (schemas.is_empty() && !names.is_empty()) {
            return refuse("0LP01", "grant options can only be granted to roles");
        }
        Ok(())
    }

    /// `ExecuteGrantStmt` and `string_to_privilege`.
    fn check_privileges(&self, kind: ObjectKind, privileges: &[(String, Vec<Ident>)]) -> Step {
        const WORDS: [&str; 15] = [
            "SELECT",
            "INSERT",
            "UPDATE",
            "DELETE",
            "TRUNCATE",
            "REFERENCES",
            "TRIGGER",
            "EXECUTE",
            "USAGE",
            "CREATE",
            "TEMPORARY",
            "TEMP",
            "CONNECT",
            "RULE",
            "ALL",
        ];
        let (valid, what): (&[&str], _) = match kind {
            ObjectKind::Table => (&["USAGE"], "relation"),
            ObjectKind::Sequence => (&["USAGE", "SELECT", "UPDATE"], "sequence"),
            ObjectKind::Schema => (&["CREATE", "USAGE"], "schema"),
            ObjectKind::Database => (&["CREATE", "TEMPORARY", "TEMP", "CONNECT"], "database"),
            ObjectKind::Function => (&["EXECUTE"], "function"),
            ObjectKind::Procedure => (&["EXECUTE"], "procedure"),
            ObjectKind::Type => (&["USAGE"], "type"),
            ObjectKind::Domain => (&["USAGE"], "domain"),
            ObjectKind::Language => (&["USAGE"], "language"),
            ObjectKind::Tablespace => (&["CREATE"], "tablespace"),
            _ => return Ok(()),
        };
        for (word, columns) in privileges {
            let since_15 = matches!(word.as_str(), "SET" | "ALTER SYSTEM") && self.version.at_least(15);
            let since_17 = word == "MAINTAIN" && self.version.at_least(17);
            if !columns.is_empty() && kind != ObjectKind::Table {
                return refuse("0LP01", "column privileges are only valid for relations");
            }
            if !WORDS.contains(&word.as_str()) && !since_15 && !since_17 {
                return refuse("42601", format!("unrecognized privilege type \"{}\"", word.to_ascii_lowercase()));
            }
            let fits = valid.contains(&word.as_str())
                || (kind == ObjectKind::Table && self.is_of_tables(word))
                || (word == "ALL" && !columns.is_empty());
            if !fits && word != "RULE" {
                return refuse("0LP01", format!("invalid privilege type {word} for {what}"));
            }
        }
        Ok(())
    }

    fn is_of_tables(&self, word: &str) -> bool {
        const OF_TABLES: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];
        OF_TABLES.contains(&word) || (word == "MAINTAIN" && self.version.at_least(17))
    }

    /// `ExecGrant_Relation`
    fn check_granted_relations(
        &self,
        kind: ObjectKind,
        relations: &[QualifiedName],
        privileges: &[(String, Vec<Ident>)],
    ) -> Step {
        for name in relations {
            let sequence = self.catalog().sequence(name).is_some();
            if kind == ObjectKind::Sequence && !sequence && !self.is_assumed(name) {
                return refuse("42809", format!("\"{}\" is not a sequence", name.name));
            }
            let Some(table) = self.catalog().table(name).filter(|table| !table.assumed && !table.uncertain) else {
                continue;
            };
            for (word, columns) in privileges {
                if columns.is_empty() && !self.is_of_tables(word) && word != "RULE" {
                    return refuse("0LP01", format!("invalid privilege type {word} for table"));
                }
                let missing = columns.iter().find(|column| {
                    table.column(column.as_str()).is_none() && !super::create_table::is_system_column(column)
                });
                if let Some(column) = missing {
                    return Self::missing_column(name, column);
                }
                let of_columns = ["SELECT", "INSERT", "UPDATE", "REFERENCES", "ALL"].contains(&word.as_str());
                if !columns.is_empty() && !of_columns {
                    return refuse("0LP01", format!("invalid privilege type {word} for column"));
                }
            }
        }
        Ok(())
    }
}
