//! Publications: what is added to them (`publicationcmds.c`), and which changes of rows they stand in the way of
//! (`CheckCmdReplicaIdentity`).

use std::sync::Arc;

use super::{Run, Step, refuse};
use crate::catalog::{ConstraintKind, Publication, PublishedPart, Table};
use crate::expr::ExprNode;
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName, Written};
use crate::statement::{
    Persistence, PublicationChange, PublicationObjects, PublishedTable, ReplicaIdentity, Volatility,
};
use crate::typing::Place;
use crate::volatility::Known;

/// A change of rows that a subscriber has to be told the old row of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Update,
    Delete,
}

impl Run {
    pub(super) fn create_publication(
        &mut self,
        name: &Ident,
        all_tables: bool,
        objects: &PublicationObjects,
        options: &[(String, String)],
    ) -> Step {
        self.check_publication_grammar(objects)?;
        if self.catalog().publications.contains_key(name) {
            return refuse("42710", format!("publication \"{name}\" already exists"));
        }
        self.check_publication_options(options)?;
        let mut publication = Publication { all_tables, updates: true, deletes: true, ..Publication::default() };
        set_options(&mut publication, options);
        let schemas = self.schemas_to_publish(objects)?;
        let opened = self.open_published(&objects.tables)?;
        self.check_filters(&opened, &publication)?;
        self.check_column_lists(name, &opened, &publication, !schemas.is_empty())?;
        self.add_tables(name, &mut publication, &opened, false)?;
        add_schemas(name, &mut publication, &schemas, false)?;
        self.catalog_mut().publications.insert_mut(name.clone(), Arc::new(publication));
        Ok(())
    }

    pub(super) fn alter_publication(
        &mut self,
        name: &Ident,
        change: PublicationChange,
        objects: &PublicationObjects,
        options: &[(String, String)],
    ) -> Step {
        self.check_publication_grammar(objects)?;
        let known = self.catalog().publications.get(name).map(|known| known.as_ref().clone());
        let mut publication = match known {
            Some(known) => known,
            None if self.catalog().is_incomplete() => Publication::default(),
            None => return refuse("42704", format!("publication \"{name}\" does not exist")),
        };
        let known = self.catalog().publications.contains_key(name);
        if change == PublicationChange::SetOptions {
            self.check_publication_options(options)?;
            let was_via_root = publication.via_root;
            set_options(&mut publication, options);
            if known && was_via_root && !publication.via_root {
                self.refuse_leaving_root(name, &publication)?;
            }
            self.catalog_mut().publications.insert_mut(name.clone(), Arc::new(publication));
            return Ok(());
        }
        let schemas = self.schemas_to_publish(objects)?;
        if known && publication.all_tables && !(objects.tables.is_empty() && objects.schemas.is_empty()) {
            return refuse("55000", format!("publication \"{name}\" is defined as FOR ALL TABLES"));
        }
        let opened = self.open_published(&objects.tables)?;
        match change {
            PublicationChange::Drop => {
                Self::drop_tables(&mut publication, &opened, known)?;
                for schema in &schemas {
                    if known && !publication.schemas.contains(schema) {
                        return refuse(
                            "42704",
                            format!("tables from schema \"{schema}\" are not part of the publication"),
                        );
                    }
                    publication.schemas.retain(|known| known != schema);
                }
            }
            PublicationChange::Add => {
                self.check_filters(&opened, &publication)?;
                let schema = !schemas.is_empty() || !publication.schemas.is_empty();
                self.check_column_lists(name, &opened, &publication, schema)?;
                self.add_tables(name, &mut publication, &opened, false)?;
                if !schemas.is_empty() && publication.parts.iter().any(|part| !part.columns.is_empty()) {
                    return refuse("22023", format!("cannot add schema to publication \"{name}\""));
                }
                add_schemas(name, &mut publication, &schemas, false)?;
            }
            _ => {
                self.check_filters(&opened, &publication)?;
                self.check_column_lists(name, &opened, &publication, !schemas.is_empty())?;
                // What is published and not named any more is locked, too.
                for part in publication.parts.clone() {
                    self.lock(&part.table, LockMode::ShareUpdateExclusive);
                }
                publication.parts.clear();
                publication.schemas.clear();
                self.add_tables(name, &mut publication, &opened, true)?;
                add_schemas(name, &mut publication, &schemas, true)?;
            }
        }
        self.catalog_mut().publications.insert_mut(name.clone(), Arc::new(publication));
        Ok(())
    }

    /// What came with 15.
    fn check_publication_grammar(&self, objects: &PublicationObjects) -> Step {
        for table in &objects.tables {
            if !table.columns.is_empty() {
                self.since(15, "(")?;
            } else if table.filter.is_some() {
                self.since(15, "WHERE")?;
            }
        }
        if objects.schemas.is_empty() { Ok(()) } else { self.since(15, "TABLES") }
    }

    /// `ObjectsInPublicationToOids`.
    fn schemas_to_publish(&self, objects: &PublicationObjects) -> Step<Vec<Ident>> {
        let mut schemas: Vec<Ident> = Vec::new();
        for schema in &objects.schemas {
            let schema = match schema {
                Some(schema) => schema.clone(),
                None if self.state.settings.search_path.as_ref().is_some_and(Vec::is_empty) => {
                    return refuse("3F000", "no schema has been selected for CURRENT_SCHEMA");
                }
                None => {
                    let here = QualifiedName { written: Written::Bare, ..QualifiedName::new("x") };
                    schema_of(&self.creation_name(&here, Persistence::Permanent))
                }
            };
            let there = self.catalog().has_schema(schema.as_str()) || super::is_system_schema(&schema);
            if !there && !self.catalog().is_incomplete() {
                return refuse("3F000", format!("schema \"{schema}\" does not exist"));
            }
            if !schemas.contains(&schema) {
                schemas.push(schema);
            }
        }
        Ok(schemas)
    }

    /// `OpenTableList`: the tables, each once, with those that are published along with them.
    fn open_published<'t>(&mut self, tables: &'t [PublishedTable]) -> Step<Vec<(QualifiedName, &'t PublishedTable)>> {
        let mut opened: Vec<(QualifiedName, &PublishedTable)> = Vec::new();
        for published in tables {
            let name = self.open(&published.table)?;
            self.lock(&name, LockMode::ShareUpdateExclusive);
            let first = |opened: &[(QualifiedName, &PublishedTable)], name: &QualifiedName| {
                opened.iter().any(|(known, _)| known == name)
            };
            if first(&opened, &name) {
                let of_same = |is: fn(&PublishedTable) -> bool| {
                    is(published) || opened.iter().any(|(known, earlier)| *known == name && is(earlier))
                };
                let what = if of_same(|one| one.filter.is_some()) {
                    "WHERE clauses"
                } else if of_same(|one| !one.columns.is_empty()) {
                    "column lists"
                } else {
                    continue;
                };
                return refuse("42710", format!("conflicting or redundant {what} for table \"{}\"", name.name));
            }
            // A partitioned table stands for its partitions.
            let children = if self.table(&name).partition_by.is_none() && !published.only {
                self.catalog().descendants(&name)
            } else {
                Vec::new()
            };
            opened.push((name, published));
            for child in children {
                self.lock(&child, LockMode::ShareUpdateExclusive);
                if !first(&opened, &child) {
                    opened.push((child, published));
                }
            }
        }
        Ok(opened)
    }

    /// `TransformPubWhereClauses`.
    fn check_filters(&mut self, opened: &[(QualifiedName, &PublishedTable)], publication: &Publication) -> Step {
        for (name, published) in opened {
            let Some(filter) = &published.filter else { continue };
            let table = self.table(name);
            if table.partition_by.is_some() && !publication.via_root {
                return refuse("22023", format!("cannot use publication WHERE clause for relation \"{}\"", name.name));
            }
            let known = !table.assumed && !table.uncertain;
            let missing = |column: &Ident| {
                table.column(column.as_str()).is_none()
                    && *column != name.name
                    && !super::create_table::is_system_column(column)
            };
            if let Some(column) = filter.node.certain_columns().into_iter().find(|column| known && missing(column)) {
                return refuse("42703", format!("column \"{column}\" does not exist"));
            }
            self.check_expression(&filter.node, Some(&table), Place::Published)?;
            if self.is_complex_filter(&filter.node, &table) {
                return refuse("0A000", "invalid publication WHERE expression");
            }
        }
        Ok(())
    }

    /// `check_simple_rowfilter_expr`, as far as it is certain.
    fn is_complex_filter(&self, node: &ExprNode, table: &Table) -> bool {
        // Only columns of the server's own types can be compared for a publication.
        let own_type = |column: &Ident| {
            let column = table.column(column.as_str());
            column.is_some_and(|column| self.catalog().user_type(&column.data_type.name).is_some())
        };
        let mut complex = false;
        node.walk(&mut |node| {
            complex |= match node {
                ExprNode::Subquery { .. } => true,
                ExprNode::Column { name, .. } => {
                    own_type(name)
                        || (table.column(name.as_str()).is_none() && super::create_table::is_system_column(name))
                }
                ExprNode::Call { function, args, .. } => {
                    self.find_function(function).is_some()
                        || (args.is_empty()
                            && matches!(
                                self.function_volatility(function, 0),
                                Known::Volatility(Volatility::Volatile | Volatility::Stable)
                            ))
                }
                _ => false,
            };
        });
        complex
    }

    /// `CheckPubRelationColumnList`.
    fn check_column_lists(
        &self,
        publication: &Ident,
        opened: &[(QualifiedName, &PublishedTable)],
        known: &Publication,
        in_schema: bool,
    ) -> Step {
        for (name, _) in opened.iter().filter(|(_, published)| !published.columns.is_empty()) {
            if in_schema || (!known.via_root && self.table(name).partition_by.is_some()) {
                let table = format!("{}.{}", schema_of(name), name.name);
                return refuse(
                    "22023",
                    format!("cannot use column list for relation \"{table}\" in publication \"{publication}\""),
                );
            }
        }
        Ok(())
    }

    /// `publication_add_relation` of each. `again`: those that are members already are taken as they come.
    fn add_tables(
        &self,
        publication: &Ident,
        known: &mut Publication,
        opened: &[(QualifiedName, &PublishedTable)],
        again: bool,
    ) -> Step {
        for (name, published) in opened {
            if known.names(name) {
                if again {
                    continue;
                }
                return refuse(
                    "42710",
                    format!("relation \"{}\" is already member of publication \"{publication}\"", name.name),
                );
            }
            self.check_published_relation(name)?;
            self.check_published_columns(name, &published.columns)?;
            known.parts.push(PublishedPart {
                table: name.clone(),
                columns: published.columns.clone(),
                filtered: published.filter.is_some(),
                filter: published.filter.as_ref().map(|filter| filter.node.columns()).unwrap_or_default(),
            });
        }
        Ok(())
    }

    /// `check_publication_add_relation`.
    fn check_published_relation(&self, name: &QualifiedName) -> Step {
        let since_15 = self.version.at_least(15);
        let relation = &name.name;
        if !self.version.at_least(13) && self.table(name).partition_by.is_some() {
            return refuse("0A000", format!("\"{relation}\" is a partitioned table"));
        }
        let no_table = self.catalog().table(name).is_none() && self.catalog().relation(name).is_some();
        if no_table || self.table(name).foreign {
            return refuse(
                "22023",
                if since_15 {
                    format!("cannot add relation \"{relation}\" to publication")
                } else {
                    format!("\"{relation}\" is not a table")
                },
            );
        }
        if self.table(name).persistence != Persistence::Permanent {
            return refuse(
                "22023",
                if since_15 {
                    format!("cannot add relation \"{relation}\" to publication")
                } else {
                    format!("table \"{relation}\" cannot be replicated")
                },
            );
        }
        Ok(())
    }

    /// `pub_collist_validate`.
    fn check_published_columns(&self, name: &QualifiedName, columns: &[Ident]) -> Step {
        let table = self.table(name);
        for (place, column) in columns.iter().enumerate() {
            let known = table.column(column.as_str());
            if known.is_none() && super::create_table::is_system_column(column) {
                return refuse("42P10", format!("cannot use system column \"{column}\" in publication column list"));
            }
            if known.is_none() && !table.assumed && !table.uncertain {
                return Self::missing_column(name, column);
            }
            if let Some(generated) = known.and_then(|known| known.generated.as_ref()) {
                let newest = self.version.at_least(18);
                if !newest || !generated.stored {
                    let kind = if newest { "virtual generated" } else { "generated" };
                    return refuse(
                        "42P10",
                        format!("cannot use {kind} column \"{column}\" in publication column list"),
                    );
                }
            }
            if columns[..place].contains(column) {
                return refuse("42710", format!("duplicate column \"{column}\" in publication column list"));
            }
        }
        Ok(())
    }

    fn drop_tables(publication: &mut Publication, opened: &[(QualifiedName, &PublishedTable)], known: bool) -> Step {
        for (name, published) in opened {
            if !published.columns.is_empty() {
                return refuse("42601", "column list must not be specified in ALTER PUBLICATION ... DROP");
            }
            if known && !publication.names(name) {
                return refuse("42704", format!("relation \"{}\" is not part of the publication", name.name));
            }
            if published.filter.is_some() {
                return refuse("42601", "cannot use a WHERE clause when removing a table from a publication");
            }
            publication.parts.retain(|part| part.table != *name);
        }
        Ok(())
    }

    /// A condition or a list of columns of a partitioned table says nothing of its partitions.
    fn refuse_leaving_root(&self, name: &Ident, publication: &Publication) -> Step {
        let limited = publication
            .parts
            .iter()
            .any(|part| (part.filtered || !part.columns.is_empty()) && self.table(&part.table).partition_by.is_some());
        if limited && self.version.at_least(15) {
            let message =
                format!("cannot set parameter \"publish_via_partition_root\" to false for publication \"{name}\"");
            return refuse("22023", message);
        }
        Ok(())
    }

    /// What a subscriber has to find is told by the primary key, unless REPLICA IDENTITY says otherwise.
    pub(super) fn warn_of_publication(&mut self, name: &QualifiedName) {
        let published = self.catalog().publications.values().any(|known| self.publishes(known, name));
        if published && self.identity_columns(name).is_none() {
            self.may_fail_always("55000", format!("{name} is published and has no replica identity"));
        }
    }

    /// The publication has the table, by itself or as a part of what it has.
    fn publishes(&self, publication: &Publication, name: &QualifiedName) -> bool {
        publication.all_tables
            || self
                .with_roots(name)
                .iter()
                .any(|name| publication.names(name) || publication.schemas.contains(&schema_of(name)))
    }

    /// The table and the partitioned ones that it is a partition of, from below.
    fn with_roots(&self, name: &QualifiedName) -> Vec<QualifiedName> {
        let mut names = vec![name.clone()];
        while let Some((parent, _)) = names.last().and_then(|last| self.table(last).partition_of.clone()) {
            if names.contains(&parent) {
                break;
            }
            names.push(parent);
        }
        names
    }

    /// The columns that tell a subscriber of an old row; all of them with FULL. `None`: there is no replica identity.
    fn identity_columns(&self, name: &QualifiedName) -> Option<Vec<Ident>> {
        let table = self.table(name);
        match &table.replica_identity {
            ReplicaIdentity::Full => Some(table.columns.iter().map(|column| column.name.clone()).collect()),
            ReplicaIdentity::Nothing => None,
            ReplicaIdentity::Index(index) => Some(table.index(index.as_str())?.key_columns().cloned().collect()),
            ReplicaIdentity::Default => {
                let key = table.primary_key().filter(|key| !key.attributes.deferrable)?;
                match &key.kind {
                    ConstraintKind::PrimaryKey { columns, .. } => Some(columns.clone()),
                    _ => None,
                }
            }
        }
    }

    /// `CheckCmdReplicaIdentity` of the tables whose rows are changed, before any row is.
    pub(super) fn check_replica_identity(&mut self, tables: &[QualifiedName], told: Told, certain: bool) -> Step {
        for name in tables {
            let table = self.table(name);
            if table.partition_by.is_some() || !self.has_storage(name) {
                continue;
            }
            let Some((sqlstate, message)) = self.untold(&table, told) else { continue };
            if certain && !table.assumed && !table.uncertain {
                return refuse(sqlstate, message);
            }
            self.may_fail_always(sqlstate, message);
        }
        Ok(())
    }

    fn untold(&self, table: &Table, told: Told) -> Option<(&'static str, String)> {
        let name = &table.name;
        let publications: Vec<&Publication> = self
            .catalog()
            .publications
            .values()
            .map(AsRef::as_ref)
            .filter(|known| if told == Told::Update { known.updates } else { known.deletes })
            .filter(|known| self.publishes(known, name))
            .collect();
        if publications.is_empty() {
            return None;
        }
        let (verb, events) = match told {
            Told::Update => ("update", "updates"),
            Told::Delete => ("delete from", "deletes"),
        };
        let identity = self.identity_columns(name);
        let full = table.replica_identity == ReplicaIdentity::Full;
        let computed = |column: &Ident| {
            let generated = table.column(column.as_str()).and_then(|column| column.generated.as_ref());
            generated.map(|generated| generated.stored)
        };
        let hidden = self.version.at_least(15)
            && publications.iter().any(|known| {
                let part = self.part_of(known, name);
                // Since 18 a generated column of the identity has to be published, which no virtual one is.
                let generated = self.version.at_least(18) && part.is_none_or(|part| part.columns.is_empty());
                let told = identity.iter().flatten();
                if generated && told.filter_map(computed).any(|stored| !(stored && known.generated)) {
                    return true;
                }
                part.is_some_and(|part| {
                    let told = identity.as_deref().unwrap_or_default();
                    (!full && part.filter.iter().any(|column| !told.contains(column)))
                        || (!part.columns.is_empty()
                            && (full || told.iter().any(|column| !part.columns.contains(column))))
                })
            });
        if hidden {
            return Some(("42P10", format!("cannot {verb} table \"{}\"", name.name)));
        }
        identity.is_none().then(|| {
            let message = format!(
                "cannot {verb} table \"{}\" because it does not have a replica identity and publishes {events}",
                name.name
            );
            ("55000", message)
        })
    }

    /// What the publication says of the table: by the topmost that it names, where that stands for its partitions.
    fn part_of<'p>(&self, publication: &'p Publication, name: &QualifiedName) -> Option<&'p PublishedPart> {
        let mut names = self.with_roots(name);
        if publication.via_root {
            names.reverse();
        } else {
            names.truncate(1);
        }
        if publication.all_tables || names.iter().any(|name| publication.schemas.contains(&schema_of(name))) {
            return None;
        }
        names.iter().find_map(|name| publication.parts.iter().find(|part| part.table == *name))
    }

    /// `parse_publication_options`.
    fn check_publication_options(&self, options: &[(String, String)]) -> Step {
        for (place, (name, value)) in options.iter().enumerate() {
            let (name, value) = (name.as_str(), value.trim_matches('\''));
            if options.iter().take(place).any(|(known, _)| known == name) {
                return refuse("42601", "conflicting or redundant options");
            }
            match name {
                "publish" => {
                    for event in value.split(',').map(str::trim).filter(|event| !event.is_empty()) {
                        if !matches!(event.to_ascii_lowercase().as_str(), "insert" | "update" | "delete" | "truncate") {
                            return refuse(
                                "42601",
                                if self.version.at_least(15) {
                                    format!("unrecognized value for publication option \"publish\": \"{event}\"")
                                } else {
                                    format!("unrecognized \"publish\" value: \"{event}\"")
                                },
                            );
                        }
                    }
                }
                "publish_via_partition_root" if self.version.at_least(13) => {
                    if !matches!(value.to_ascii_lowercase().as_str(), "" | "true" | "false" | "on" | "off" | "1" | "0")
                    {
                        return refuse("42601", format!("{name} requires a Boolean value"));
                    }
                }
                "publish_generated_columns" if self.version.at_least(18) => {
                    if !matches!(value.to_ascii_lowercase().as_str(), "none" | "stored") {
                        return refuse(
                            "42601",
                            format!("invalid value for publication parameter \"{name}\": \"{value}\""),
                        );
                    }
                }
                _ => return refuse("42601", format!("unrecognized publication parameter: \"{name}\"")),
            }
        }
        Ok(())
    }
}

fn set_options(publication: &mut Publication, options: &[(String, String)]) {
    for (name, value) in options {
        let value = value.trim_matches('\'').to_ascii_lowercase();
        match name.as_str() {
            "publish" => {
                let has = |wanted: &str| value.split(',').any(|event| event.trim() == wanted);
                (publication.updates, publication.deletes) = (has("update"), has("delete"));
            }
            "publish_generated_columns" => publication.generated = value == "stored",
            "publish_via_partition_root" => {
                publication.via_root = value.is_empty() || super::maintenance::is_on(&value);
            }
            _ => {}
        }
    }
}

/// `publication_add_schema` of each.
fn add_schemas(publication: &Ident, known: &mut Publication, schemas: &[Ident], again: bool) -> Step {
    for schema in schemas {
        if known.schemas.contains(schema) && !again {
            return refuse("42710", format!("schema \"{schema}\" is already member of publication \"{publication}\""));
        }
        if super::is_system_schema(schema) || schema.as_str().starts_with("pg_temp") {
            return refuse("22023", format!("cannot add schema \"{schema}\" to publication"));
        }
        if !known.schemas.contains(schema) {
            known.schemas.push(schema.clone());
        }
    }
    Ok(())
}

fn schema_of(name: &QualifiedName) -> Ident {
    name.schema.clone().unwrap_or_else(|| Ident::new("public"))
}
