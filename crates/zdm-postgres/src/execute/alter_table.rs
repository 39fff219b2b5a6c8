//! ALTER TABLE: the actions of one statement in the server's passes, then the work on the rows.
//!
//! Three phases (`ATController`): locks and checks for every table of the inheritance tree, the actions pass by pass
//! (drops, type changes, new columns, column attributes, keys, constraints, the rest), and at last one walk over each
//! table that needs a rewrite or a check. The lock is the strongest that any action asks for, from the start.

use std::collections::{BTreeMap, BTreeSet};

use super::column::ColumnPlace;
use super::create_table::{Check, Key, NewForeignKey, NotNull, Parts, merge_keys};
use super::not_null::{not_null_constraint, not_valid, set_not_null};
use super::{Run, Step, not_for_relation, refuse};
use crate::catalog::{ConstraintKind, Generated, Identity, Relation};
use crate::effects::UncertainEffect;
use crate::expr::{ExprNode, SqlExpr};
use crate::lock::LockMode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{
    AlterTable, AlterTableAction, ColumnConstraintKind, ColumnDef, KeyConstraint, ObjectKind, SequenceOptions,
    TableConstraint, TableConstraintKind, Volatility,
};
use crate::typing::Place;
use crate::version::PgVersion;
use crate::volatility::ExprVolatility;

/// What phase 3 has to do with one table.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    pub(super) rewrite: bool,
    /// A rewrite under these conditions.
    pub(super) maybe_rewrite: Vec<String>,
    /// A new column has a value in the rows that are there, whether they are written for it or not.
    pub(super) new_values: bool,
    /// Rows are checked against a constraint.
    pub(super) verify: bool,
    /// Stored files are copied without a look at the rows.
    pub(super) copy: bool,
    /// Indexes that a type change has to build anew, and those it can keep.
    pub(super) rebuilt: BTreeSet<Ident>,
    pub(super) reused: BTreeSet<Ident>,
    /// Columns that were given another type.
    pub(super) altered: BTreeSet<Ident>,
    /// Foreign keys to check once all tables are ready: (columns, referenced table).
    pub(super) foreign_keys: Vec<(Vec<Ident>, QualifiedName)>,
    /// Foreign keys on either side that compare as before, and are checked again if the table is rewritten for the new
    /// types of its columns: (referencing table, columns, referenced table).
    pub(super) kept_keys: Vec<(QualifiedName, Vec<Ident>, QualifiedName)>,
    /// Foreign keys of the table that are made again for the new types of their columns.
    pub(super) remade_keys: Vec<Ident>,
}

pub(super) type Queue = BTreeMap<QualifiedName, Work>;

/// What the passes over columns leave to later ones.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// Keys of new columns.
    keys: Vec<Key>,
    pub(super) constraints: Vec<LateConstraint>,
    /// Before 13: some action of the statement keeps every foreign key of it from being taken for valid.
    validate: bool,
}

impl Late {
    /// Those of columns stand before the others, the CHECKs first.
    fn add_parts_of_column(&mut self, mut parts: Parts, only: bool, validate: bool) {
        self.keys.append(&mut parts.keys);
        let checks = parts.checks.into_iter().map(|check| LateConstraint::Check { check, only });
        let keys = parts.foreign_keys.into_iter().map(|key| LateConstraint::ForeignKey { key, only, validate });
        self.constraints.extend(checks.chain(keys));
    }
}

#[derive(Debug)]
pub(super) enum LateConstraint {
    Check {
        check: Check,
        only: bool,
    },
    ForeignKey {
        key: NewForeignKey,
        only: bool,
        /// Rows may have a value in its columns.
        validate: bool,
    },
}

/// A column without a default is NULL in every row, and no foreign key has to be checked for it.
fn has_default(column: &ColumnDef) -> bool {
    column.default_expr().is_some() || column.data_type.as_ref().is_some_and(crate::DataType::is_serial)
}

fn needs_validation(action: &AlterTableAction) -> bool {
    match action {
        AlterTableAction::AddColumn { column, .. } => has_default(column),
        AlterTableAction::AddConstraint(constraint) => {
            matches!(constraint.kind, TableConstraintKind::ForeignKey { .. })
        }
        _ => false,
    }
}

/// The passes, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pass {
    Drop,
    AlterType,
    AddColumn,
    SetExpression,
    ColumnAttributes,
    /// ADD CONSTRAINT … NOT NULL, which stands behind every SET NOT NULL.
    NotNull,
    /// Constraints USING INDEX, before any index is built.
    AddIndexConstraint,
    AddIndex,
    AddConstraint,
    Misc,
}

impl Run {
    /// What a table of another server's does not have (`ATSimplePermissions`).
    fn refuse_on_foreign(&self, action: &AlterTableAction, name: &QualifiedName) -> Step {
        let (shown, others) = match action {
            AlterTableAction::SetLogged => ("SET LOGGED", "table"),
            AlterTableAction::SetUnlogged => ("SET UNLOGGED", "table"),
            AlterTableAction::ReplicaIdentity(_) => ("REPLICA IDENTITY", "table or materialized view"),
            AlterTableAction::ClusterOn { .. } => ("CLUSTER ON", "table or materialized view"),
            AlterTableAction::RowSecurity { mode } => match mode.to_ascii_uppercase().as_str() {
                "ENABLE" => ("ENABLE ROW SECURITY", "table"),
                "DISABLE" => ("DISABLE ROW SECURITY", "table"),
                "FORCE" => ("FORCE ROW SECURITY", "table"),
                _ => ("NO FORCE ROW SECURITY", "table"),
            },
            _ => return Ok(()),
        };
        if self.version.at_least(15) {
            return refuse("42809", not_for_relation(shown, name));
        }
        refuse("42809", format!("\"{}\" is not a {others}", name.name))
    }

    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> Step {
        self.check_grammar(&alter.actions)?;
        if alter.keyword == ObjectKind::Index
            && matches!(alter.actions.as_slice(), [AlterTableAction::SetSchema { .. }])
        {
            return refuse("42601", "syntax error at or near \"SCHEMA\"");
        }
        if let [only] = alter.actions.as_slice()
            && let Some(result) = self.alter_as_rename(alter, only)
        {
            return result;
        }
        if alter.keyword == ObjectKind::Table
            && matches!(alter.actions.as_slice(), [AlterTableAction::AttachPartition { bound: None, .. }])
        {
            return refuse("42601", "syntax error at end of input");
        }
        let Some(name) = self.alter_target(alter)? else { return Ok(()) };
        match self.catalog().relation(&name) {
            Some(Relation::Table(_)) | None => {}
            Some(_) => return self.alter_other_relation(alter, &name),
        }
        let target = self.table(&name);
        if alter.keyword == ObjectKind::ForeignTable && !target.foreign && !target.assumed && !target.uncertain {
            return refuse("42809", format!("\"{}\" is not a foreign table", name.name));
        }
        let mode = lock_level(alter);
        self.lock(&name, mode);
        if let [AlterTableAction::AttachPartition { partition, bound }] = alter.actions.as_slice() {
            return self.attach_partition(&name, partition, bound.as_ref());
        }
        if let [AlterTableAction::DetachPartition { partition, concurrently, finalize }] = alter.actions.as_slice() {
            return self.detach_partition(&name, partition, *concurrently, *finalize);
        }
        self.check_not_in_use(&name, "ALTER TABLE")?;
        if target.foreign {
            alter.actions.iter().try_for_each(|action| self.refuse_on_foreign(action, &name))?;
        }
        if !self.version.at_least(13) {
            self.before = Some(self.catalog().clone());
        }
        if !alter.only.0 && alter.actions.iter().any(recurses) {
            for child in self.catalog().descendants(&name) {
                self.check_not_in_use(&child, "ALTER TABLE")?;
            }
        }
        let persistence =
            |action: &&AlterTableAction| matches!(action, AlterTableAction::SetLogged | AlterTableAction::SetUnlogged);
        let published = self.catalog().publications.values().any(|publication| publication.names(&name));
        if published && matches!(alter.actions.iter().find(persistence), Some(AlterTableAction::SetUnlogged)) {
            return refuse(
                "55000",
                format!("cannot change table \"{}\" to unlogged because it is part of a publication", name.name),
            );
        }
        if alter.actions.iter().filter(persistence).count() > 1 {
            return refuse("0A000", "cannot change persistence setting twice");
        }
        self.check_kind(&name, &alter.actions)?;
        self.prepare_actions(&name, &alter.actions, alter.only.0)?;
        let mut queue = Queue::new();
        let mut passes: Vec<(Pass, usize)> =
            alter.actions.iter().enumerate().map(|(position, action)| (pass_of(action), position)).collect();
        passes.sort();
        let mut late = Late { validate: alter.actions.iter().any(needs_validation), ..Late::default() };
        // Since 17 new columns are there before the constraints of changed ones are made again.
        let last_types = if self.version.at_least(17) { Pass::SetExpression } else { Pass::AlterType };
        let (mut retyped, mut finished_columns) = (false, false);
        let mut converted = false;
        for (pass, position) in passes {
            if pass > Pass::AlterType && !converted {
                converted = true;
                check_kept_keys(&mut queue);
            }
            if pass > last_types && !retyped {
                retyped = true;
                self.check_remade(&mut queue)?;
            }
            if pass >= Pass::AddIndex && !finished_columns {
                finished_columns = true;
                self.finish_keys(&name, &mut late, mode, &mut queue)?;
            }
            if pass == Pass::Misc {
                self.finish_constraints(&name, &mut late, mode, &mut queue)?;
            }
            let Some(action) = alter.actions.get(position) else { continue };
            self.alter_action(alter, &name, action, mode, &mut late, &mut queue)?;
        }
        if !converted {
            check_kept_keys(&mut queue);
        }
        if !retyped {
            self.check_remade(&mut queue)?;
        }
        if !finished_columns {
            self.finish_keys(&name, &mut late, mode, &mut queue)?;
        }
        self.finish_constraints(&name, &mut late, mode, &mut queue)?;
        self.rewrite_tables(&queue)
    }

    /// What no table of the kind can have done to it (`ATPrepAddColumn` and its kin): the type decides which columns a typed
    /// table has.
    fn check_kind(&self, name: &QualifiedName, actions: &[AlterTableAction]) -> Step {
        let table = self.table(name);
        let typed = table.of_type.is_some();
        for action in actions {
            let what = match action {
                AlterTableAction::Inherit { .. } => {
                    let kind = match (typed, table.partition_of.is_some(), table.partition_by.is_some()) {
                        (true, _, _) => "typed table",
                        (_, true, _) => "a partition",
                        (_, _, true) => "partitioned table",
                        _ => continue,
                    };
                    return refuse("42809", format!("cannot change inheritance of {kind}"));
                }
                AlterTableAction::AddColumn { .. } if typed => "add column to",
                AlterTableAction::DropColumn { .. } if typed => "drop column from",
                AlterTableAction::AlterColumnType { .. } if typed => "alter column type of",
                _ => continue,
            };
            return refuse("42809", format!("cannot {what} typed table"));
        }
        Ok(())
    }

    /// Forms that the version's grammar does not have are refused before anything is looked up.
    fn check_grammar(&self, actions: &[AlterTableAction]) -> Step {
        for (place, action) in actions.iter().enumerate() {
            let alone = match action {
                AlterTableAction::AttachPartition { .. } => Some("ATTACH"),
                AlterTableAction::DetachPartition { .. } => Some("DETACH"),
                AlterTableAction::RenameTo { .. }
                | AlterTableAction::RenameColumn { .. }
                | AlterTableAction::RenameConstraint { .. } => Some("RENAME"),
                AlterTableAction::SetSchema { .. } => Some("SCHEMA"),
                _ => None,
            };
            if let Some(word) = alone.filter(|_| actions.len() > 1) {
                return refuse("42601", format!("syntax error at or near \"{}\"", if place == 0 { "," } else { word }));
            }
            if let AlterTableAction::AlterConstraint { words, .. } = action {
                self.check_words(words)?;
            }
            match action {
                AlterTableAction::SetExpression { .. } => self.since(17, "EXPRESSION")?,
                AlterTableAction::Unknown { text } => {
                    let mut words = text.split_whitespace().map(str::to_ascii_uppercase);
                    let words = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                    // Actions of later versions than these.
                    if matches!((words.0.as_str(), words.1.as_str()), ("SPLIT", "PARTITION") | ("MERGE", "PARTITIONS"))
                    {
                        self.since(19, &words.0)?;
                    }
                }
                AlterTableAction::SetStatistics { target: None, .. } => self.since(17, "DEFAULT")?,
                AlterTableAction::SetStorage { storage, .. } if *storage == "default" => self.since(16, "DEFAULT")?,
                AlterTableAction::AlterConstraint { not_valid: true, .. } => {
                    return refuse(
                        "0A000",
                        if self.version.at_least(18) {
                            "constraints cannot be altered to be NOT VALID"
                        } else if !self.version.at_least(13) {
                            "ALTER CONSTRAINT statement constraints cannot be marked NOT VALID"
                        } else {
                            "FOREIGN KEY constraints cannot be marked NOT VALID"
                        },
                    );
                }
                AlterTableAction::DropExpression { .. } => self.since(13, "EXPRESSION")?,
                AlterTableAction::DependsOnExtension { no: true, .. } => self.since(13, "DEPENDS")?,
                AlterTableAction::SetCompression { .. } => self.since(14, "COMPRESSION")?,
                AlterTableAction::SetAccessMethod { method: None } if self.version.at_least(15) => {
                    self.since(17, "DEFAULT")?;
                }
                AlterTableAction::SetAccessMethod { .. } => self.since(15, "ACCESS")?,
                AlterTableAction::DetachPartition { concurrently: true, .. } => self.since(14, "CONCURRENTLY")?,
                AlterTableAction::DetachPartition { finalize: true, .. } => self.since(14, "FINALIZE")?,
                AlterTableAction::AlterConstraint { inherit: Some(false), .. } if !self.version.at_least(18) => {
                    let since_13 = self.version.at_least(13);
                    let what = if since_13 { "FOREIGN KEY" } else { "ALTER CONSTRAINT statement" };
                    return refuse("0A000", format!("{what} constraints cannot be marked NO INHERIT"));
                }
                AlterTableAction::AlterConstraint { inherit: Some(true), .. } => self.since(18, "INHERIT")?,
                AlterTableAction::AddConstraint(constraint) => {
                    self.check_period(constraint)?;
                    if matches!(constraint.kind, TableConstraintKind::NotNull { .. }) {
                        self.since(18, "NOT")?;
                    }
                    self.check_words(&constraint.words)?;
                    if let TableConstraintKind::Unique(key) | TableConstraintKind::PrimaryKey(key) = &constraint.kind
                        && key.without_overlaps
                    {
                        self.since(18, "WITHOUT")?;
                    }
                    if let TableConstraintKind::Unique(key) = &constraint.kind
                        && key.nulls_not_distinct
                    {
                        self.since(15, "NULLS")?;
                    }
                }
                AlterTableAction::Trigger { which, mode } if mode.contains(' ') => {
                    let word = match which {
                        crate::statement::TriggerSelection::All => "ALL",
                        crate::statement::TriggerSelection::User => "USER",
                        crate::statement::TriggerSelection::Named(name) if *name == "all" => "ALL",
                        crate::statement::TriggerSelection::Named(name) if *name == "user" => "USER",
                        crate::statement::TriggerSelection::Named(_) => continue,
                    };
                    return refuse("42601", format!("syntax error at or near \"{word}\""));
                }
                AlterTableAction::AddColumn { column, .. } => {
                    if column.storage.is_some() {
                        self.since(16, "STORAGE")?;
                    }
                    if column.compression.is_some() {
                        self.since(14, "COMPRESSION")?;
                    }
                    for constraint in &column.constraints {
                        // NOT VALID is an attribute of a table's constraints only.
                        if constraint.attributes.not_valid {
                            return refuse("42601", "syntax error at or near \"VALID\"");
                        }
                        match &constraint.kind {
                            ColumnConstraintKind::Generated { stored: false, .. } => self.since(18, "VIRTUAL")?,
                            ColumnConstraintKind::Unique { nulls_not_distinct: true } => self.since(15, "NULLS")?,
                            _ => self.check_enforcement(&constraint.words)?,
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// `FOREIGN KEY (…, PERIOD column)`.
    pub(super) fn check_period(&self, constraint: &TableConstraint) -> Step {
        match &constraint.kind {
            TableConstraintKind::ForeignKey { columns, period: true, .. } => {
                self.since(18, columns.last().map_or("PERIOD", Ident::as_str))
            }
            _ => Ok(()),
        }
    }

    /// The relation to alter; `None` where IF EXISTS allows its absence.
    pub(super) fn alter_target(&mut self, alter: &AlterTable) -> Step<Option<QualifiedName>> {
        if let Some(name) = self.find(&alter.name) {
            return Ok(Some(name));
        }
        if alter.if_exists && !self.catalog().is_incomplete() {
            return Ok(None);
        }
        self.open(&alter.name).map(Some)
    }

    /// Keys of new columns become indexes before other constraints are added.
    fn finish_keys(&mut self, name: &QualifiedName, late: &mut Late, mode: LockMode, queue: &mut Queue) -> Step {
        for key in merge_keys(name, std::mem::take(&mut late.keys))? {
            self.add_key_to(name, &key, mode, queue)?;
        }
        Ok(())
    }

    /// CHECKs and foreign keys: those of new columns first, the others as they are written. Before 13 the statement was
    /// taken apart as a whole, and the foreign keys came last.
    fn finish_constraints(&mut self, name: &QualifiedName, late: &mut Late, mode: LockMode, queue: &mut Queue) -> Step {
        let mut constraints = std::mem::take(&mut late.constraints);
        if !self.version.at_least(13) {
            constraints.sort_by_key(|constraint| matches!(constraint, LateConstraint::ForeignKey { .. }));
        }
        for constraint in constraints {
            let (key, only, validate) = match constraint {
                LateConstraint::Check { check, only } => {
                    if only && !check.no_inherit && !self.table(name).children.is_empty() {
                        return refuse("42P16", "constraint must be added to child tables too");
                    }
                    self.add_check_to_tree(name, &check, mode, queue, !only)?;
                    continue;
                }
                LateConstraint::ForeignKey { key, only, validate } => (key, only, validate),
            };
            let validate = if self.version.at_least(13) { validate } else { late.validate };
            // Rows are read in the last phase, when every table is ready.
            let valid = !key.attributes.not_valid && key.attributes.enforced;
            let (referenced, unchecked) = self.add_foreign_key(name, &key, only)?;
            for table in unchecked.into_iter().filter(|_| valid && validate) {
                queue.entry(table).or_default().foreign_keys.push((key.columns.clone(), referenced.clone()));
            }
        }
        Ok(())
    }

    /// The tables below that an action reaches, locked as the parent is.
    pub(super) fn tree(&mut self, alter_only: bool, name: &QualifiedName, mode: LockMode) -> Vec<QualifiedName> {
        let mut tables = vec![name.clone()];
        if !alter_only {
            for child in self.catalog().descendants(name) {
                self.lock(&child, mode);
                tables.push(child);
            }
        }
        tables
    }

    fn alter_action(
        &mut self,
        alter: &AlterTable,
        name: &QualifiedName,
        action: &AlterTableAction,
        mode: LockMode,
        late: &mut Late,
        queue: &mut Queue,
    ) -> Step {
        let only = alter.only.0;
        match action {
            AlterTableAction::AddColumn { column, if_not_exists } => {
                self.add_column(name, column, *if_not_exists, (only, mode), late, queue)
            }
            AlterTableAction::DropColumn { name: column, if_exists, behavior } => {
                if only {
                    self.leave_column_to_children(name, column, mode)?;
                }
                // Below a table that keeps its column nothing is looked at.
                let mut tables = vec![name.clone()];
                let mut next = 0;
                while let Some(parent) = tables.get(next).cloned().filter(|_| !only) {
                    next += 1;
                    if next > 1 && self.keeps_column(&parent, column, &tables) {
                        continue;
                    }
                    for child in self.table(&parent).children.clone() {
                        self.lock(&child, mode);
                        if !tables.contains(&child) {
                            tables.push(child);
                        }
                    }
                }
                self.drop_column(&tables, column, *if_exists, *behavior)
            }
            AlterTableAction::AlterColumnType { column, data_type, collation, using } => {
                let tables = self.tree(only, name, mode);
                self.alter_column_type(&tables, column, data_type, collation.as_ref(), using.as_ref(), queue)
            }
            AlterTableAction::SetDefault { column, expr } => {
                let tables = self.tree(only, name, mode);
                let plain = |known: &&crate::catalog::Column| known.identity.is_none() && known.generated.is_none();
                let known = self.table(name).column(column.as_str()).filter(plain).cloned();
                if let Some(known) = known {
                    let data_type = known.data_type.clone();
                    self.check_expression(&expr.node, None, Place::Default)?;
                    let base = crate::cast::base_type(self.catalog(), &data_type);
                    super::create_table::check_literal(expr, &base)?;
                    self.check_enum_literal(&expr.node, &base)?;
                    self.check_default_type(expr, column, &data_type)?;
                }
                let expr = &self.with_sequences(expr);
                let domain =
                    self.table(name).column(column.as_str()).is_some_and(|known| self.is_domain(&known.data_type));
                self.edit_column(&tables, column, |known| {
                    if known.identity.is_some() {
                        return refuse(
                            "42601",
                            format!("column \"{column}\" of relation \"{}\" is an identity column", tables[0].name),
                        );
                    }
                    if known.generated.is_some() {
                        return refuse(
                            "42601",
                            format!("column \"{column}\" of relation \"{}\" is a generated column", tables[0].name),
                        );
                    }
                    known.default = super::create_table::stored_default(expr, &known.data_type, domain);
                    Ok(())
                })
            }
            AlterTableAction::DropDefault { column } => {
                let tables = self.tree(only, name, mode);
                self.edit_column(&tables, column, |known| {
                    if known.identity.is_some() {
                        return refuse(
                            "42601",
                            format!("column \"{column}\" of relation \"{}\" is an identity column", tables[0].name),
                        );
                    }
                    if known.generated.is_some() {
                        return refuse(
                            "42601",
                            format!("column \"{column}\" of relation \"{}\" is a generated column", tables[0].name),
                        );
                    }
                    known.default = None;
                    Ok(())
                })
            }
            AlterTableAction::SetNotNull { column } => self.set_not_null(name, column, only, mode, queue),
            AlterTableAction::DropNotNull { column } => self.drop_not_null(name, column, only, mode),
            AlterTableAction::SetExpression { column, expr } => {
                self.since(17, "EXPRESSION")?;
                let tables = self.tree(only, name, mode);
                self.set_expression(&tables, column, expr, queue)
            }
            AlterTableAction::DropExpression { column, if_exists } => {
                let newest = self.version.at_least(18);
                let tables = self.tree(only, name, mode);
                self.edit_column(&tables, column, |known| {
                    if known.generated.as_ref().is_some_and(|generated| !generated.stored) {
                        return refuse(
                            "0A000",
                            "ALTER TABLE / DROP EXPRESSION is not supported for virtual generated columns",
                        );
                    }
                    if known.generated.is_none() && !if_exists {
                        let word = if newest { "generated" } else { "stored generated" };
                        return refuse(
                            "55000",
                            format!("column \"{column}\" of relation \"{}\" is not a {word} column", tables[0].name),
                        );
                    }
                    known.generated = None;
                    Ok(())
                })
            }
            AlterTableAction::AddIdentity { column, always, options } => {
                self.check_identity_target(name, only, "add identity to a column of")?;
                self.add_identity(name, mode, column, *always, options)
            }
            AlterTableAction::SetIdentity { column, always, options } => {
                self.check_identity_target(name, only, "change identity column of")?;
                let table = self.table(name);
                match table.column(column.as_str()) {
                    Some(known) => match &known.identity {
                        Some(identity) => {
                            self.lock(&identity.sequence.clone(), LockMode::ShareRowExclusive);
                            self.change_sequence(&identity.sequence, options)?;
                            let Some(always) = *always else { return Ok(()) };
                            let tables = self.identity_tables(name, mode);
                            self.edit_column(&tables, column, |known| {
                                if let Some(identity) = &mut known.identity {
                                    identity.always = always;
                                }
                                Ok(())
                            })
                        }
                        None => refuse(
                            "55000",
                            format!("column \"{column}\" of relation \"{}\" is not an identity column", name.name),
                        ),
                    },
                    None if table.is_vague() => Ok(()),
                    None => Self::missing_column(name, column),
                }
            }
            AlterTableAction::DropIdentity { column, if_exists } => {
                self.check_identity_target(name, only, "drop identity from a column of")?;
                self.drop_identity(name, mode, column, *if_exists)
            }
            AlterTableAction::SetStatistics { column, .. }
            | AlterTableAction::SetColumnOptions { column, .. }
            | AlterTableAction::SetStorage { column, .. } => {
                let number = column.as_str().bytes().all(|byte| byte.is_ascii_digit());
                let of_index = matches!(action, AlterTableAction::SetStatistics { .. }) && number;
                if of_index && self.table(name).column(column.as_str()).is_none() {
                    return refuse("0A000", "cannot refer to non-index column by number");
                }
                let tables = if matches!(action, AlterTableAction::SetColumnOptions { .. }) {
                    vec![name.clone()]
                } else {
                    self.tree(only, name, mode)
                };
                if let AlterTableAction::SetStatistics { target: Some(target), .. } = action
                    && *target < -1
                {
                    return refuse("22023", format!("statistics target {target} is too low"));
                }
                self.edit_column(&tables, column, |_| Ok(()))?;
                match action {
                    AlterTableAction::SetStorage { storage, .. } => self.check_storage(name, column, storage),
                    _ => Ok(()),
                }
            }
            AlterTableAction::SetCompression { column, method } => {
                self.since(14, "COMPRESSION")?;
                self.edit_column(std::slice::from_ref(name), column, |_| Ok(()))?;
                match self.table(name).column(column.as_str()) {
                    Some(known) => self.check_compression(&known.data_type, method),
                    None => Ok(()),
                }
            }
            AlterTableAction::AddConstraint(constraint) => {
                self.add_constraint(name, constraint, only, mode, late, queue)
            }
            AlterTableAction::AlterConstraint { .. } => self.alter_constraint(name, action, only, mode, queue),
            AlterTableAction::ValidateConstraint { name: constraint } => {
                self.validate_constraint(name, constraint, only, mode, queue)
            }
            AlterTableAction::DropConstraint { name: constraint, if_exists, behavior } => {
                self.drop_constraint(name, constraint, *if_exists, *behavior, only, mode)
            }
            AlterTableAction::Trigger { which, mode: how } => self.enable_trigger(name, which, how, only, mode),
            AlterTableAction::Rule { name: rule, mode } => {
                let table = self.table(name);
                if table.assumed || table.rules.iter().any(|known| known.name == *rule) {
                    let enabled = !mode.eq_ignore_ascii_case("DISABLE");
                    self.catalog_mut().edit_table(name, |table| {
                        for known in table.rules.iter_mut().filter(|known| known.name == *rule) {
                            known.enabled = enabled;
                        }
                    });
                    return Ok(());
                }
                refuse("42704", format!("rule \"{rule}\" for relation \"{}\" does not exist", name.name))
            }
            AlterTableAction::RowSecurity { mode } => {
                let on = match mode.to_ascii_uppercase().as_str() {
                    "ENABLE" => Some(true),
                    "DISABLE" => Some(false),
                    _ => None,
                };
                if let Some(on) = on {
                    self.catalog_mut().edit_table(name, |table| table.row_security = on);
                }
                Ok(())
            }
            AlterTableAction::ClusterOn { index } => {
                self.need_cluster_index(name, index)?;
                if self.table(name).partition_by.is_some() {
                    return refuse("0A000", "cannot mark index clustered in partitioned table");
                }
                self.lock(&name.sibling(index.clone()), mode);
                let index = index.clone();
                self.catalog_mut().edit_table(name, |table| table.clustered_on = Some(index));
                Ok(())
            }
            AlterTableAction::SetWithoutCluster => {
                if self.table(name).partition_by.is_some() {
                    return refuse("0A000", "cannot mark index clustered in partitioned table");
                }
                self.catalog_mut().edit_table(name, |table| table.clustered_on = None);
                Ok(())
            }
            AlterTableAction::SetOptions { options } if self.table(name).partition_by.is_some() => {
                if self.version.at_least(16) {
                    return refuse("42809", "cannot specify storage parameters for a partitioned table");
                }
                let (option, _) = options.first().map(|option| option_parts(option)).unwrap_or_default();
                refuse("22023", format!("unrecognized parameter \"{option}\""))
            }
            AlterTableAction::SetOptions { options } => {
                let options: Vec<(String, String)> = options.iter().map(|option| option_parts(option)).collect();
                check_table_options(&options, self.version)?;
                self.set_vacuum_truncate(name, &options);
                Ok(())
            }
            AlterTableAction::ResetOptions { options } => {
                refuse_reset_to_value(options)?;
                if options.iter().any(|option| option_parts(option).0 == "vacuum_truncate") {
                    self.catalog_mut().edit_table(name, |table| table.vacuum_truncate = None);
                }
                Ok(())
            }
            AlterTableAction::ForeignOptions => Ok(()),
            AlterTableAction::OfType { name: of_type } => self.make_typed(name, of_type),
            AlterTableAction::NotOf => {
                let table = self.table(name);
                if table.of_type.is_none() && !table.assumed {
                    return refuse("42809", format!("\"{}\" is not a typed table", name.name));
                }
                self.catalog_mut().edit_table(name, |table| table.of_type = None);
                Ok(())
            }
            AlterTableAction::SetWithoutOids | AlterTableAction::DependsOnExtension { .. } => Ok(()),
            AlterTableAction::SetAccessMethod { method } => {
                const OF_INDEXES: [&str; 6] = ["btree", "hash", "gist", "gin", "brin", "spgist"];
                self.since(15, "ACCESS")?;
                if let Some(method) = method.as_ref().filter(|method| OF_INDEXES.contains(&method.as_str())) {
                    return refuse("55000", format!("access method \"{method}\" is not of type TABLE"));
                }
                if self.table(name).partition_by.is_some() {
                    // Since 17 it is what new partitions get.
                    if self.version.at_least(17) {
                        return Ok(());
                    }
                    return refuse("42809", "cannot change access method of a partitioned table");
                }
                if method.as_ref().is_some_and(|method| *method != "heap") {
                    self.may_fail_always("42704", "there is no such access method");
                }
                let wanted = method.clone().or_else(|| self.default_access_method());
                let wanted = wanted.filter(|method| *method != "heap");
                if self.table(name).access_method != wanted {
                    queue.entry(name.clone()).or_default().rewrite = true;
                    self.catalog_mut().edit_table(name, |table| table.access_method = wanted);
                }
                Ok(())
            }
            AlterTableAction::SetTablespace { tablespace } => {
                self.need_tablespace(Some(tablespace))?;
                // Where a table lies is not kept: most lie in the default tablespace.
                if *tablespace == "pg_default" {
                    self.maybe(name, UncertainEffect::Rewrite, "the table lies in another tablespace");
                } else {
                    queue.entry(name.clone()).or_default().copy = true;
                }
                Ok(())
            }
            AlterTableAction::SetLogged | AlterTableAction::SetUnlogged => {
                self.set_persistence(name, matches!(action, AlterTableAction::SetLogged), queue)
            }
            AlterTableAction::Inherit { parent } => self.inherit(name, parent, queue),
            AlterTableAction::NoInherit { parent } => self.no_inherit(name, parent),
            AlterTableAction::OwnerTo { role } => {
                self.need_role(role);
                // Owners are not kept. What belongs to the table is only touched where the owner is another one.
                let mut owned: Vec<QualifiedName> =
                    self.catalog().sequences_of(name).into_iter().map(|(_, sequence)| sequence).collect();
                owned.extend(self.catalog().indexes_of(name).iter().map(|index| name.sibling(index.name.clone())));
                for relation in owned {
                    self.maybe(
                        &relation,
                        UncertainEffect::Lock(LockMode::AccessExclusive),
                        format!("{name} belongs to somebody else"),
                    );
                }
                Ok(())
            }
            AlterTableAction::ReplicaIdentity(identity) => {
                if let Some(index) = identity.index() {
                    self.need_identity_index(name, index)?;
                    self.lock(&name.sibling(index.clone()), LockMode::Share);
                }
                let identity = identity.clone();
                self.catalog_mut().edit_table(name, |table| table.replica_identity = identity);
                Ok(())
            }
            AlterTableAction::AttachPartition { .. } | AlterTableAction::DetachPartition { .. } => {
                refuse("42601", "syntax error at or near \",\"")
            }
            AlterTableAction::RenameTo { .. }
            | AlterTableAction::RenameColumn { .. }
            | AlterTableAction::RenameConstraint { .. }
            | AlterTableAction::SetSchema { .. } => refuse("42601", "syntax error at or near \",\""),
            AlterTableAction::Unknown { text } => {
                self.unread(format!("the action `{text}`"));
                self.maybe(name, UncertainEffect::Rewrite, format!("the action `{text}` is not understood"));
                Ok(())
            }
        }
    }

    pub(super) fn default_access_method(&self) -> Option<Ident> {
        self.state.settings.get("default_table_access_method").map(Ident::new)
    }

    /// `ATExecAddOf`: the columns must be the type's, in its order.
    fn make_typed(&mut self, name: &QualifiedName, of_type: &QualifiedName) -> Step {
        let of_type = self.type_of_table(of_type)?;
        let table = self.table(name);
        if !table.inherits.is_empty() {
            return refuse("42809", "typed tables cannot inherit");
        }
        if let (Some(attributes), false) = (self.composite_attributes(&of_type), table.assumed) {
            let mut columns = table.columns.iter();
            for (attribute, data_type) in &attributes {
                let Some(column) = columns.next() else {
                    return refuse("42804", format!("table is missing column \"{attribute}\""));
                };
                if column.name != *attribute {
                    return refuse(
                        "42804",
                        format!("table has column \"{}\" where type requires \"{attribute}\"", column.name),
                    );
                }
                if column.data_type != *data_type {
                    return refuse(
                        "42804",
                        format!("table \"{}\" has different type for column \"{attribute}\"", name.name),
                    );
                }
            }
            if let Some(column) = columns.next() {
                return refuse("42804", format!("table has extra column \"{}\"", column.name));
            }
        }
        self.catalog_mut().edit_table(name, |table| table.of_type = Some(of_type));
        Ok(())
    }

    /// `GetAttributeStorage`.
    fn check_storage(&self, name: &QualifiedName, column: &Ident, storage: &Ident) -> Step {
        let known = self.table(name).column(column.as_str()).map(|column| column.data_type.clone());
        self.check_storage_of(known.as_ref(), storage)
    }

    /// The same of the type.
    pub(super) fn check_storage_of(&self, data_type: Option<&crate::DataType>, storage: &Ident) -> Step {
        let storage = storage.as_str().to_ascii_lowercase();
        if !matches!(storage.as_str(), "plain" | "external" | "extended" | "main" | "default") {
            return refuse("22023", format!("invalid storage type \"{storage}\""));
        }
        if let Some(data_type) = data_type
            && !matches!(storage.as_str(), "plain" | "default")
            && self.fixed_length(data_type) == Some(true)
        {
            let data_type = self.shown(data_type);
            return refuse("0A000", format!("column data type {data_type} can only have storage PLAIN"));
        }
        Ok(())
    }

    /// Whether the values of a type are never stored out of line; `None` where that is not known.
    pub(super) fn fixed_length(&self, data_type: &crate::DataType) -> Option<bool> {
        let base = crate::cast::base_type(self.catalog(), data_type);
        if base.array_dimensions > 0 {
            return Some(false);
        }
        if base.name.schema.is_some() || !crate::cast::is_builtin_type(base.name.name.as_str(), self.version) {
            return None;
        }
        Some(matches!(
            base.name.name.as_str(),
            "bool"
                | "int2"
                | "int4"
                | "int8"
                | "float4"
                | "float8"
                | "date"
                | "time"
                | "timetz"
                | "timestamp"
                | "timestamptz"
                | "interval"
                | "uuid"
                | "money"
                | "oid"
                | "name"
                | "char"
                | "point"
                | "box"
                | "lseg"
                | "line"
                | "circle"
                | "macaddr"
                | "macaddr8"
                | "regclass"
                | "tid"
                | "xid"
        ))
    }

    /// The index of that name on the table; `None` where the table is only assumed.
    pub(super) fn need_index(&self, table: &QualifiedName, index: &Ident) -> Step<Option<crate::catalog::Index>> {
        if let Some(found) = self.catalog().indexes_of(table).iter().find(|known| known.name == *index) {
            return Ok(Some(found.clone()));
        }
        if self.is_assumed(table) {
            return Ok(None);
        }
        match self.catalog().relation(&table.sibling(index.clone())) {
            Some(Relation::Index { .. }) => {
                return refuse("42809", format!("\"{index}\" is not an index for table \"{}\"", table.name));
            }
            Some(_) => return refuse("42809", format!("\"{index}\" is not an index")),
            None => {}
        }
        refuse("42704", format!("index \"{index}\" for table \"{}\" does not exist", table.name))
    }

    /// `check_index_is_clusterable`.
    pub(super) fn need_cluster_index(&self, table: &QualifiedName, index: &Ident) -> Step {
        let Some(known) = self.need_index(table, index)? else { return Ok(()) };
        if !matches!(known.method.as_str(), "btree" | "gist") {
            return refuse(
                "0A000",
                format!("cannot cluster on index \"{index}\" because access method does not support clustering"),
            );
        }
        if known.predicate.is_some() {
            return refuse("0A000", format!("cannot cluster on partial index \"{index}\""));
        }
        if !known.valid {
            return refuse("0A000", format!("cannot cluster on invalid index \"{index}\""));
        }
        Ok(())
    }

    /// An index that tells the rows apart for replication.
    fn need_identity_index(&self, table: &QualifiedName, index: &Ident) -> Step {
        let Some(known) = self.need_index(table, index)? else { return Ok(()) };
        if !known.unique {
            return refuse("42809", format!("cannot use non-unique index \"{index}\" as replica identity"));
        }
        let definition = self.table(table);
        if definition.constraint(index.as_str()).is_some_and(|constraint| constraint.attributes.deferrable) {
            return refuse("0A000", format!("cannot use non-immediate index \"{index}\" as replica identity"));
        }
        if known.elements.iter().any(|element| matches!(element.key, crate::statement::IndexKey::Expr(_))) {
            return refuse("0A000", format!("cannot use expression index \"{index}\" as replica identity"));
        }
        if known.predicate.is_some() {
            return refuse("0A000", format!("cannot use partial index \"{index}\" as replica identity"));
        }
        for element in &known.elements {
            if let crate::statement::IndexKey::Column(column) = &element.key
                && definition.column(column.as_str()).is_some_and(|column| !column.not_null)
            {
                return refuse(
                    "42809",
                    format!(
                        "index \"{index}\" cannot be used as replica identity because column \"{column}\" is nullable"
                    ),
                );
            }
        }
        Ok(())
    }

    /// 42703 unless the table may have the column all the same; no system column can be altered.
    pub(super) fn refuse_missing_column(&self, name: &QualifiedName, column: &Ident) -> Step {
        if super::create_table::is_system_column(column) {
            return refuse("0A000", format!("cannot alter system column \"{column}\""));
        }
        if self.table(name).is_vague() { Ok(()) } else { Self::missing_column(name, column) }
    }

    /// Edits a column in each of the tables; 42703 where the first does not have it.
    fn edit_column(
        &mut self,
        tables: &[QualifiedName],
        column: &Ident,
        mut edit: impl FnMut(&mut crate::catalog::Column) -> Step,
    ) -> Step {
        for (position, name) in tables.iter().enumerate() {
            let table = self.table(name);
            let Some(known) = table.column(column.as_str()) else {
                if position == 0 {
                    self.refuse_missing_column(name, column)?;
                }
                continue;
            };
            let mut known = known.clone();
            edit(&mut known)?;
            self.catalog_mut().edit_table(name, |table| {
                if let Some(slot) = table.columns.iter_mut().find(|slot| slot.name == known.name) {
                    *slot = known;
                }
            });
        }
        Ok(())
    }

    fn add_column(
        &mut self,
        name: &QualifiedName,
        definition: &ColumnDef,
        if_not_exists: bool,
        (only, mode): (bool, LockMode),
        late: &mut Late,
        queue: &mut Queue,
    ) -> Step {
        let table = self.table(name);
        if table.partition_of.is_some() {
            return refuse("42809", "cannot add column to a partition");
        }
        if table.column(definition.name.as_str()).is_some() {
            // The tables below are not looked at then.
            if if_not_exists {
                return if self.version.at_least(13) {
                    Ok(())
                } else {
                    self.constrain_existing(name, definition, only, late)
                };
            }
            return refuse(
                "42701",
                format!("column \"{}\" of relation \"{}\" already exists", definition.name, name.name),
            );
        }
        if super::create_table::is_system_column(&definition.name) {
            return refuse("42701", format!("column name \"{}\" conflicts with a system column name", definition.name));
        }
        if only && !table.children.is_empty() {
            return refuse("42P16", "column must be added to child tables too");
        }
        let identity = definition
            .constraints
            .iter()
            .any(|constraint| matches!(constraint.kind, ColumnConstraintKind::Identity { .. }));
        if identity && !table.children.is_empty() && !(self.version.at_least(17) && table.partition_by.is_some()) {
            return refuse("42P16", "cannot recursively add identity column to table that has child tables");
        }
        let mut parts = Parts::default();
        let place =
            ColumnPlace { partitioned: table.partition_by.is_some(), foreign: table.foreign, ..ColumnPlace::default() };
        self.check_column_grammar(definition)?;
        parts.not_nulls.extend(self.transform_column(name, place, definition)?);
        let mut column = self.new_column(name, &mut parts, definition)?;
        column.not_null |= !parts.not_nulls.is_empty();
        super::domain::refuse_pseudo_type(&column.name, &column.data_type)?;
        self.check_generation(&table, &column)?;
        self.refuse_member_of_itself(&column.data_type, std::slice::from_ref(name))?;
        let default = self.effective_default(&column);
        let constrained_domain = crate::cast::domain_has_constraints(self.catalog(), &column.data_type);
        let tables = self.tables_to_extend(name, &column.name, mode);
        let mut merged_not_null: Vec<QualifiedName> = Vec::new();
        for (position, target) in tables.iter().enumerate() {
            let mut column = column.clone();
            if position > 0 {
                if let Some(existing) = self.table(target).column(column.name.as_str()) {
                    if existing.data_type != column.data_type {
                        return refuse(
                            "42804",
                            format!(
                                "child table \"{}\" has different type for column \"{}\"",
                                target.name, column.name
                            ),
                        );
                    }
                    let merged = existing.name.clone();
                    self.catalog_mut().edit_table(target, |table| {
                        if let Some(column) = table.columns.iter_mut().find(|column| column.name == merged) {
                            column.own |= !column.inherited;
                            column.inherited = true;
                        }
                    });
                    // The new column's NOT NULL is looked at in the child's rows, and below.
                    if column.not_null && self.version.at_least(18) {
                        let below = self.tree(false, target, mode);
                        for table in below {
                            if self.table(&table).column(column.name.as_str()).is_some_and(|known| !known.not_null) {
                                self.catalog_mut().edit_table(&table, |table| set_not_null(table, &column.name));
                                queue.entry(table.clone()).or_default().verify = true;
                                merged_not_null.push(table);
                            }
                        }
                    }
                    continue;
                }
                column.inherited = true;
            }
            let not_null = column.not_null;
            let column_name = column.name.clone();
            let generated = column.generated.clone();
            let identity = column.identity.is_some();
            let definition_type = column.data_type.clone();
            // What rows there may be already have is computed once.
            let computed = self.has_storage(target);
            self.catalog_mut().edit_table(target, |table| table.columns.push(column));
            let work = queue.entry(target.clone()).or_default();
            work.new_values |= default.as_ref().is_some_and(|default| *default.node != ExprNode::Null);
            if generated.as_ref().is_some_and(|generated| generated.stored) || identity || constrained_domain {
                work.rewrite = true;
            } else if let Some(default) = &default {
                let volatility = self.expression_volatility(&default.node);
                // What does not change is computed once, rows or not.
                let once = matches!(volatility, ExprVolatility::Known(known) if known != Volatility::Volatile);
                if !self.is_empty(target) || (once && self.has_storage(target)) {
                    self.run_functions_in(&default.node);
                }
                let base = crate::cast::base_type(self.catalog(), &definition_type);
                if let Some((sqlstate, message)) = crate::literal::misfit(&default.node, &base).filter(|_| computed) {
                    return refuse(sqlstate, message);
                }
                match volatility {
                    ExprVolatility::Known(volatility) => {
                        if volatility == Volatility::Volatile {
                            if !self.is_empty(target) {
                                self.draw_from(&default.node);
                            }
                            queue.entry(target.clone()).or_default().rewrite = true;
                        }
                    }
                    ExprVolatility::Unknown(functions) => {
                        let work = queue.entry(target.clone()).or_default();
                        for function in functions {
                            work.maybe_rewrite.push(format!("{function}() is volatile"));
                        }
                    }
                }
            } else if not_null {
                work.verify = true;
            }
            let virtual_column = generated.as_ref().is_some_and(|generated| !generated.stored);
            if virtual_column && not_null {
                queue.entry(target.clone()).or_default().verify = true;
            }
            if default.as_ref().is_none_or(|default| *default.node == ExprNode::Null)
                && generated.is_none()
                && !identity
                && !self.is_empty(target)
            {
                self.state.facts.null_columns.insert((target.clone(), column_name));
            }
        }
        merged_not_null.retain(|table| !tables.contains(table));
        for not_null in &parts.not_nulls {
            for (position, target) in tables.iter().chain(&merged_not_null).enumerate() {
                if self.version.at_least(18) {
                    let root = not_null_constraint(&self.table(name), &not_null.column)
                        .map(|constraint| constraint.name.clone());
                    let chosen = if position == 0 { not_null.name.clone() } else { root };
                    if let Some(given) = chosen.as_ref().filter(|_| position == 0)
                        && self.table(name).has_constraint(given.as_str())
                    {
                        return refuse(
                            "42710",
                            format!("constraint \"{given}\" for relation \"{}\" already exists", name.name),
                        );
                    }
                    self.name_not_null(target, &NotNull { name: chosen, ..not_null.clone() }, position > 0);
                }
            }
        }
        late.add_parts_of_column(parts, only, has_default(definition));
        Ok(())
    }

    /// Before 13 what ADD COLUMN IF NOT EXISTS says of a column that there is already is done all the same: its constraints
    /// and its sequence are made.
    fn constrain_existing(
        &mut self,
        name: &QualifiedName,
        definition: &ColumnDef,
        only: bool,
        late: &mut Late,
    ) -> Step {
        let mut parts = Parts::default();
        self.transform_column(name, ColumnPlace::default(), definition)?;
        self.new_column(name, &mut parts, definition)?;
        let nullable = !self.table(name).column(definition.name.as_str()).is_some_and(|column| column.not_null);
        if nullable && parts.keys.iter().any(|key| matches!(key.kind, super::create_table::KeyKind::Primary(_))) {
            return refuse("42P16", format!("primary key column \"{}\" is not marked NOT NULL", definition.name));
        }
        late.add_parts_of_column(parts, only, false);
        Ok(())
    }

    /// The table and those below it, each before its own children, but not below one that has such a column already.
    fn tables_to_extend(&mut self, name: &QualifiedName, column: &Ident, mode: LockMode) -> Vec<QualifiedName> {
        let mut tables: Vec<QualifiedName> = Vec::new();
        let mut reached = vec![name.clone()];
        while let Some(current) = reached.pop() {
            if tables.contains(&current) {
                continue;
            }
            let table = self.table(&current);
            let extended = tables.is_empty() || table.column(column.as_str()).is_none();
            tables.push(current);
            for child in table.children.iter().rev().filter(|_| extended) {
                self.lock(child, mode);
                reached.push(child.clone());
            }
        }
        tables
    }

    /// The column's default or its domain's.
    pub(super) fn effective_default(&self, column: &crate::catalog::Column) -> Option<SqlExpr> {
        if column.default.is_some() || column.generated.is_some() || column.identity.is_some() {
            return column.default.clone();
        }
        let mut data_type = column.data_type.clone();
        for _ in 0..64 {
            let domain = crate::cast::domain_of(self.catalog(), &data_type)?;
            if domain.default.is_some() {
                return domain.default.clone();
            }
            data_type = domain.base.clone();
        }
        None
    }

    pub(super) fn expression_volatility(&self, node: &ExprNode) -> ExprVolatility {
        crate::volatility::expression(node, self.catalog(), self.version, &|name| self.find_function(name))
    }

    /// DROP COLUMN of ONLY the parent: the children keep the column as their own.
    fn leave_column_to_children(&mut self, name: &QualifiedName, column: &Ident, mode: LockMode) -> Step {
        let table = self.table(name);
        if table.partition_by.is_some() && !table.children.is_empty() {
            return refuse("42P16", "cannot drop column from only the partitioned table when partitions exist");
        }
        for child in &table.children {
            self.lock(child, mode);
            let column = column.clone();
            let elsewhere = self.inherits_elsewhere(child, &column, std::slice::from_ref(name));
            self.catalog_mut().edit_table(child, |table| {
                if let Some(known) = table.columns.iter_mut().find(|known| known.name == column) {
                    (known.inherited, known.own) = (elsewhere, elsewhere);
                }
            });
        }
        Ok(())
    }

    fn set_expression(&mut self, tables: &[QualifiedName], column: &Ident, expr: &SqlExpr, queue: &mut Queue) -> Step {
        for table in tables.iter().map(|name| self.table(name)) {
            let computed = table.column(column.as_str()).and_then(|column| column.generated.as_ref());
            if computed.is_none_or(|generated| generated.stored) {
                continue;
            }
            // Which of the checks name it is not looked at (18).
            if table.constraints.iter().any(|constraint| matches!(constraint.kind, ConstraintKind::Check { .. })) {
                return refuse(
                    "0A000",
                    "ALTER TABLE / SET EXPRESSION is not supported for virtual generated columns in tables with check constraints",
                );
            }
            if self.calls_user_function(&expr.node) {
                return refuse("0A000", "generation expression uses user-defined function");
            }
        }
        for name in tables {
            let table = self.table(name);
            let Some(known) = table.column(column.as_str()) else {
                if table.is_vague() {
                    continue;
                }
                return Self::missing_column(name, column);
            };
            if known.generated.as_ref().is_some_and(|generated| generated.stored) {
                queue.entry(name.clone()).or_default().rewrite = true;
                self.remake_constraints(name, known, known, queue);
            }
            let Some(generated) = &known.generated else {
                return refuse(
                    "55000",
                    format!("column \"{column}\" of relation \"{}\" is not a generated column", name.name),
                );
            };
            if !generated.stored && (known.not_null || checks_name(&table, column)) {
                queue.entry(name.clone()).or_default().verify = true;
            }
        }
        if let Some(name) = tables.first() {
            let table = self.table(name);
            if let Some(known) = table.column(column.as_str()).filter(|known| known.generated.is_some()) {
                let stored = known.generated.as_ref().is_none_or(|generated| generated.stored);
                let generated = Some(Generated { expr: expr.clone(), stored });
                self.check_generation(
                    &table,
                    &crate::catalog::Column { generated, inherited: false, ..known.clone() },
                )?;
                self.check_default_type(expr, column, &known.data_type)?;
            }
        }
        self.edit_column(tables, column, |known| {
            let stored = known.generated.as_ref().is_none_or(|generated| generated.stored);
            known.generated = Some(Generated { expr: expr.clone(), stored });
            Ok(())
        })
    }

    fn add_identity(
        &mut self,
        name: &QualifiedName,
        mode: LockMode,
        column: &Ident,
        always: bool,
        options: &SequenceOptions,
    ) -> Step {
        let table = self.table(name);
        match table.column(column.as_str()) {
            None if table.is_vague() => return Ok(()),
            None => return Self::missing_column(name, column),
            Some(known) => {
                if !matches!(known.data_type.name.name.as_str(), "int2" | "int4" | "int8")
                    && crate::cast::domain_of(self.catalog(), &known.data_type).is_none()
                {
                    return refuse("22023", "identity column type must be smallint, integer, or bigint");
                }
                if !known.not_null {
                    return refuse(
                        "55000",
                        format!(
                            "column \"{column}\" of relation \"{}\" must be declared NOT NULL before identity can be added",
                            name.name
                        ),
                    );
                }
                if let Some(invalid) = not_null_constraint(&table, column).filter(|known| !known.valid) {
                    return not_valid(name, invalid);
                }
                if known.identity.is_some() {
                    return refuse(
                        "55000",
                        format!("column \"{column}\" of relation \"{}\" is already an identity column", name.name),
                    );
                }
                if known.default.is_some() {
                    return refuse(
                        "55000",
                        format!("column \"{column}\" of relation \"{}\" already has a default value", name.name),
                    );
                }
            }
        }
        let data_type = table.column(column.as_str()).map(|known| known.data_type.clone());
        let options = SequenceOptions { data_type, ..options.clone() };
        super::sequence::check_new_sequence(&options, options.data_type.as_ref())?;
        let sequence = self.new_sequence(name, column, options, true);
        let tables = self.identity_tables(name, mode);
        self.edit_column(&tables, column, |known| {
            known.identity = Some(Identity { always, sequence: sequence.clone() });
            Ok(())
        })
    }

    /// Since 17 partitions share the identity of the partitioned table, and only it can be changed.
    fn check_identity_target(&self, name: &QualifiedName, only: bool, what: &str) -> Step {
        let table = self.table(name);
        if !self.version.at_least(17) {
            return Ok(());
        }
        if only && table.partition_by.is_some() {
            return refuse("42P16", format!("cannot {what} only the partitioned table"));
        }
        if table.partition_of.is_some() {
            return refuse("42P16", format!("cannot {what} a partition"));
        }
        Ok(())
    }

    /// The table, and since 17 its partitions.
    fn identity_tables(&mut self, name: &QualifiedName, mode: LockMode) -> Vec<QualifiedName> {
        if !self.version.at_least(17) || self.table(name).partition_by.is_none() {
            return vec![name.clone()];
        }
        self.tree(false, name, mode)
    }

    fn drop_identity(&mut self, name: &QualifiedName, mode: LockMode, column: &Ident, if_exists: bool) -> Step {
        let table = self.table(name);
        let Some(known) = table.column(column.as_str()) else {
            return if table.is_vague() { Ok(()) } else { Self::missing_column(name, column) };
        };
        let Some(identity) = &known.identity else {
            return if if_exists || table.assumed {
                Ok(())
            } else {
                refuse("55000", format!("column \"{column}\" of relation \"{}\" is not an identity column", name.name))
            };
        };
        let sequence = identity.sequence.clone();
        self.lock(&sequence, LockMode::AccessExclusive);
        self.catalog_mut().remove(&sequence);
        self.forget(&sequence);
        let tables = self.identity_tables(name, mode);
        self.edit_column(&tables, column, |known| {
            known.identity = None;
            Ok(())
        })
    }

    /// `pg_get_indexdef_string` knows no ONLY: an index that is made again has one in every partition.
    fn complete_index(&mut self, name: &QualifiedName, index: &Ident) {
        let table = self.table(name);
        let Some(known) = table.index(index.as_str()).filter(|known| !known.valid && !known.constraint).cloned() else {
            return;
        };
        let parent = name.sibling(index.clone());
        for child in &table.children {
            let attached = self.table(child).indexes.iter().any(|index| index.parent.as_ref() == Some(&parent));
            if attached || self.table(child).foreign {
                continue;
            }
            let columns = crate::naming::index_column_names(&known.elements, &known.include, self.version);
            let addition = crate::naming::columns_part(columns.iter().map(String::as_str));
            let name = crate::naming::relation_name(self.catalog(), child, Some(&addition), "idx", false).name;
            let copy = crate::catalog::Index { name, parent: Some(parent.clone()), valid: true, ..known.clone() };
            self.make_index(child, &copy, true);
        }
        self.catalog_mut().edit_table(name, |table| {
            for known in table.indexes.iter_mut().filter(|known| known.name == *index) {
                known.valid = true;
            }
        });
    }

    fn set_persistence(&mut self, name: &QualifiedName, logged: bool, queue: &mut Queue) -> Step {
        use crate::statement::Persistence;
        let table = self.table(name);
        if table.partition_by.is_some() && self.version.at_least(18) {
            let word = if logged { "LOGGED" } else { "UNLOGGED" };
            return refuse("42809", not_for_relation(&format!("SET {word}"), name));
        }
        let wanted = if logged { Persistence::Permanent } else { Persistence::Unlogged };
        if table.persistence == Persistence::Temporary {
            return refuse(
                "42P16",
                format!("cannot change logged status of table \"{}\" because it is temporary", name.name),
            );
        }
        if table.persistence == wanted {
            return Ok(());
        }
        let published = self.catalog().publications.values().any(|publication| publication.names(name));
        if !logged && published {
            return refuse(
                "55000",
                format!("cannot change table \"{}\" to unlogged because it is part of a publication", name.name),
            );
        }
        self.check_persistence_of_keys(name, wanted)?;
        queue.entry(name.clone()).or_default().rewrite = true;
        if self.version.at_least(15) {
            for (_, sequence) in self.catalog().sequences_of(name) {
                self.lock(&sequence, LockMode::AccessExclusive);
            }
        }
        self.catalog_mut().edit_table(name, |table| table.persistence = wanted);
        Ok(())
    }

    /// A logged table cannot reference an unlogged one.
    fn check_persistence_of_keys(&self, name: &QualifiedName, wanted: crate::statement::Persistence) -> Step {
        use crate::statement::Persistence;
        let unlogged = |table: &QualifiedName| self.table(table).persistence == Persistence::Unlogged;
        if wanted == Persistence::Permanent {
            for constraint in &self.table(name).constraints {
                if let ConstraintKind::ForeignKey(key) = &constraint.kind
                    && key.table != *name
                    && unlogged(&key.table)
                {
                    return refuse(
                        "42P16",
                        format!(
                            "could not change table \"{}\" to logged because it references unlogged table \"{}\"",
                            name.name, key.table.name
                        ),
                    );
                }
            }
            return Ok(());
        }
        for (referencing, _, _) in self.keys_into(name) {
            if referencing != *name && !unlogged(&referencing) {
                // The server's words, though the reference goes the other way.
                return refuse(
                    "42P16",
                    format!(
                        "could not change table \"{}\" to unlogged because it references logged table \"{}\"",
                        name.name, referencing.name
                    ),
                );
            }
        }
        Ok(())
    }

    fn enable_trigger(
        &mut self,
        name: &QualifiedName,
        which: &crate::statement::TriggerSelection,
        how: &str,
        only: bool,
        mode: LockMode,
    ) -> Step {
        let table = self.table(name);
        if let crate::statement::TriggerSelection::Named(trigger) = which
            && !table.triggers.iter().any(|known| known.name == *trigger)
            && !table.assumed
        {
            return refuse("42704", format!("trigger \"{trigger}\" for table \"{}\" does not exist", name.name));
        }
        let enabled = !how.to_ascii_uppercase().starts_with("DISABLE");
        // Partitions are reached through the triggers that they have from the table. A foreign key has some, too; before 15
        // not on a partitioned table.
        let cloned = table.triggers.iter().any(|trigger| {
            trigger.for_each_row
                && match which {
                    crate::statement::TriggerSelection::Named(wanted) => trigger.name == *wanted,
                    _ => true,
                }
        });
        let has_keys = matches!(which, crate::statement::TriggerSelection::All)
            && self.version.at_least(15)
            && (table.constraints.iter().any(|constraint| matches!(constraint.kind, ConstraintKind::ForeignKey(_)))
                || !self.keys_into(name).is_empty());
        let reaches = table.partition_by.is_some() && (cloned || has_keys);
        let tables = if reaches { self.tree(only, name, mode) } else { vec![name.clone()] };
        for name in tables {
            self.catalog_mut().edit_table(&name, |table| {
                if matches!(which, crate::statement::TriggerSelection::All) {
                    table.key_triggers_off = !enabled;
                }
                for trigger in &mut table.triggers {
                    let chosen = match which {
                        crate::statement::TriggerSelection::Named(wanted) => trigger.name == *wanted,
                        crate::statement::TriggerSelection::All | crate::statement::TriggerSelection::User => true,
                    };
                    if chosen {
                        trigger.enabled = enabled;
                    }
                }
            });
        }
        Ok(())
    }

    /// Phase 3.
    pub(super) fn rewrite_tables(&mut self, queue: &Queue) -> Step {
        for (name, work) in queue {
            if self.table(name).foreign {
                continue;
            }
            if !self.has_storage(name) {
                for index in &work.rebuilt {
                    self.lock(&name.sibling(index.clone()), LockMode::AccessExclusive);
                }
                for index in &work.reused {
                    self.lock(&name.sibling(index.clone()), LockMode::AccessExclusive);
                }
                for index in &work.rebuilt {
                    self.complete_index(name, index);
                }
                continue;
            }
            for index in work.rebuilt.iter().chain(&work.reused) {
                self.lock(&name.sibling(index.clone()), LockMode::AccessExclusive);
            }
            if work.rewrite || work.new_values || !work.altered.is_empty() {
                self.refuse_stored_rows(name)?;
            }
            if work.rewrite || work.verify {
                self.run_functions_of_rows(name);
            }
            if work.rewrite {
                self.state.facts.written_anew.insert(name.clone());
                self.effects.rewrites.insert(name.clone());
                self.may_fail(name, "22000", format!("a value of {name} cannot be converted or computed"));
                self.may_fail(name, "23000", format!("a new value breaks a constraint of {name}"));
                self.scan(name);
                let indexes: Vec<Ident> =
                    self.catalog().indexes_of(name).iter().map(|index| index.name.clone()).collect();
                for index in indexes {
                    self.build(&name.sibling(index));
                }
            } else {
                for condition in &work.maybe_rewrite {
                    self.maybe(name, UncertainEffect::Rewrite, condition.clone());
                    self.may_fail(name, "22000", format!("a value of {name} cannot be converted or computed"));
                    self.may_fail(name, "23000", format!("a new value breaks a constraint of {name}"));
                }
                if work.verify {
                    self.scan(name);
                    self.may_fail(name, "23502", format!("a row of {name} has NULL where it may not"));
                    self.may_fail(name, "23514", format!("a row of {name} violates a check constraint"));
                    self.may_fail(name, "22000", format!("a check of {name} fails for a row"));
                }
                for index in &work.rebuilt {
                    self.build(&name.sibling(index.clone()));
                    self.scan(name);
                }
            }
            if work.copy {
                self.effects.rewrites.insert(name.clone());
            }
        }
        for (name, work) in queue {
            for (columns, referenced) in &work.foreign_keys {
                self.validate_foreign_key(name, columns, referenced);
            }
            for (condition, (referencing, columns, referenced)) in
                work.maybe_rewrite.iter().flat_map(|condition| work.kept_keys.iter().map(move |key| (condition, key)))
            {
                self.if_a_row(condition, |run| run.validate_foreign_key(referencing, columns, referenced));
            }
        }
        Ok(())
    }
}

/// `TryReuseForeignKey`: only in a table that stays as it is a key need not be checked again.
fn check_kept_keys(queue: &mut Queue) {
    let rewritten = queue.values_mut().filter(|work| work.rewrite);
    let keys: Vec<_> = rewritten.flat_map(|work| std::mem::take(&mut work.kept_keys)).collect();
    for (referencing, columns, referenced) in keys {
        let checks = &mut queue.entry(referencing).or_default().foreign_keys;
        if !checks.contains(&(columns.clone(), referenced.clone())) {
            checks.push((columns, referenced));
        }
    }
}

/// Whether the action goes on to the children and partitions, each of which must not be in use.
const fn recurses(action: &AlterTableAction) -> bool {
    matches!(
        action,
        AlterTableAction::AddColumn { .. }
            | AlterTableAction::DropColumn { .. }
            | AlterTableAction::AlterColumnType { .. }
            | AlterTableAction::SetDefault { .. }
            | AlterTableAction::DropDefault { .. }
            | AlterTableAction::SetNotNull { .. }
            | AlterTableAction::DropNotNull { .. }
            | AlterTableAction::SetExpression { .. }
            | AlterTableAction::DropExpression { .. }
            | AlterTableAction::AddConstraint(_)
            | AlterTableAction::DropConstraint { .. }
    )
}

/// `AlterTableGetLockLevel`.
fn lock_level(alter: &AlterTable) -> LockMode {
    let mut mode = LockMode::ShareUpdateExclusive;
    for action in &alter.actions {
        let needed = match action {
            AlterTableAction::AddConstraint(TableConstraint {
                kind: TableConstraintKind::ForeignKey { .. }, ..
            })
            | AlterTableAction::Trigger { .. } => LockMode::ShareRowExclusive,
            AlterTableAction::ValidateConstraint { .. }
            | AlterTableAction::SetStatistics { .. }
            | AlterTableAction::SetColumnOptions { foreign: false, .. }
            | AlterTableAction::ClusterOn { .. }
            | AlterTableAction::SetWithoutCluster
            | AlterTableAction::AttachPartition { .. } => LockMode::ShareUpdateExclusive,
            AlterTableAction::DetachPartition { concurrently, finalize, .. } if *concurrently || *finalize => {
                LockMode::ShareUpdateExclusive
            }
            AlterTableAction::SetOptions { options } | AlterTableAction::ResetOptions { options } => {
                let weak = options.iter().all(|option| weak_option(option, alter.keyword));
                if weak { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive }
            }
            _ => LockMode::AccessExclusive,
        };
        mode = mode.max(needed);
    }
    mode
}

/// A parameter is reset to what it is without being set.
pub(super) fn refuse_reset_to_value(options: &[String]) -> Step {
    if options.iter().any(|option| option.contains('=')) {
        return refuse("42601", "RESET must not include values for parameters");
    }
    Ok(())
}

/// Name and value of `name = value`; a parameter without a value is on.
pub(super) fn option_parts(option: &str) -> (String, String) {
    let (name, value) = option.split_once('=').unwrap_or((option, "true"));
    (name.trim().trim_matches('"').to_ascii_lowercase(), value.trim().trim_matches('\'').to_owned())
}

/// Storage parameters of tables (manual, "CREATE TABLE", "Storage Parameters"), with the bounds of those that are numbers.
const TABLE_OPTIONS: [(&str, Option<(f64, f64)>); 25] = [
    ("fillfactor", Some((10.0, 100.0))),
    ("toast_tuple_target", Some((128.0, 8160.0))),
    ("parallel_workers", Some((0.0, 1024.0))),
    ("autovacuum_enabled", None),
    ("vacuum_index_cleanup", None),
    ("vacuum_truncate", None),
    ("user_catalog_table", None),
    ("vacuum_max_eager_freeze_failure_rate", None),
    ("autovacuum_vacuum_threshold", None),
    ("autovacuum_vacuum_max_threshold", None),
    ("autovacuum_vacuum_scale_factor", Some((0.0, 100.0))),
    ("autovacuum_vacuum_insert_threshold", None),
    ("autovacuum_vacuum_insert_scale_factor", Some((0.0, 100.0))),
    ("autovacuum_analyze_threshold", None),
    ("autovacuum_analyze_scale_factor", Some((0.0, 100.0))),
    ("autovacuum_vacuum_cost_delay", Some((-1.0, 100.0))),
    ("autovacuum_vacuum_cost_limit", Some((1.0, 10000.0))),
    ("autovacuum_freeze_min_age", Some((0.0, 1_000_000_000.0))),
    ("autovacuum_freeze_max_age", Some((100_000.0, 2_000_000_000.0))),
    ("autovacuum_freeze_table_age", Some((0.0, 2_000_000_000.0))),
    ("autovacuum_multixact_freeze_min_age", Some((0.0, 1_000_000_000.0))),
    ("autovacuum_multixact_freeze_max_age", Some((10_000.0, 2_000_000_000.0))),
    ("autovacuum_multixact_freeze_table_age", Some((0.0, 2_000_000_000.0))),
    ("log_autovacuum_min_duration", None),
    ("log_autoanalyze_min_duration", None),
];

/// What came with a version.
const LATER_TABLE_OPTIONS: [(&str, u16); 4] = [
    ("autovacuum_vacuum_insert_threshold", 13),
    ("autovacuum_vacuum_insert_scale_factor", 13),
    ("autovacuum_vacuum_max_threshold", 18),
    ("vacuum_max_eager_freeze_failure_rate", 18),
];

/// Its values: before 14 a truth value.
fn check_index_cleanup(options: &[(String, String)], version: PgVersion) -> Step {
    let named = |(option, _): &&(String, String)| option.trim_start_matches("toast.") == "vacuum_index_cleanup";
    for (_, value) in options.iter().filter(named) {
        let value = value.trim_matches('\'');
        let truth = super::access_method::is_boolean(value) || value.is_empty();
        let (known, kind) = if version.at_least(14) {
            (truth || value.eq_ignore_ascii_case("auto"), "enum")
        } else {
            (truth, "boolean")
        };
        if !known {
            return refuse("22023", format!("invalid value for {kind} option \"vacuum_index_cleanup\": {value}"));
        }
    }
    Ok(())
}

/// `transformRelOptions`.
pub(super) fn check_table_options(options: &[(String, String)], version: PgVersion) -> Step {
    let mut known = TABLE_OPTIONS.to_vec();
    known
        .retain(|(name, _)| LATER_TABLE_OPTIONS.iter().all(|(later, since)| later != name || version.at_least(*since)));
    let of_toast = options.iter().filter_map(|(option, value)| Some((option.strip_prefix("toast.")?, value)));
    let of_toast: Vec<(String, String)> = of_toast.map(|(option, value)| (option.to_owned(), value.clone())).collect();
    let bare: Vec<(String, String)> =
        options.iter().filter(|(option, _)| !option.starts_with("toast.")).cloned().collect();
    if let Some((namespace, _)) = bare.iter().find_map(|(option, _)| option.split_once('.')) {
        return refuse("22023", format!("unrecognized parameter namespace \"{namespace}\""));
    }
    super::access_method::check_options(&bare, &known)?;
    super::access_method::check_options(&of_toast, &known)?;
    check_index_cleanup(options, version)
}

/// Storage parameters that SHARE UPDATE EXCLUSIVE suffices for (manual, "ALTER TABLE", "Storage Parameters").
pub(super) fn weak_option(option: &str, keyword: ObjectKind) -> bool {
    let name = option.split('=').next().unwrap_or(option).trim().trim_matches('"').to_ascii_lowercase();
    let name = name.strip_prefix("toast.").unwrap_or(&name);
    let strong: &[&str] = match keyword {
        ObjectKind::Index => &["fastupdate", "gin_pending_list_limit", "buffering", "pages_per_range", "autosummarize"],
        _ => &["user_catalog_table", "security_barrier", "check_option", "security_invoker"],
    };
    !strong.contains(&name)
}

fn checks_name(table: &crate::catalog::Table, column: &Ident) -> bool {
    table.constraints.iter().any(|constraint| match &constraint.kind {
        ConstraintKind::Check { expr, .. } => expr.node.columns().contains(column),
        _ => false,
    })
}

const fn pass_of(action: &AlterTableAction) -> Pass {
    match action {
        AlterTableAction::DropColumn { .. }
        | AlterTableAction::DropConstraint { .. }
        | AlterTableAction::DropDefault { .. }
        | AlterTableAction::DropNotNull { .. }
        | AlterTableAction::DropIdentity { .. }
        | AlterTableAction::DropExpression { .. } => Pass::Drop,
        AlterTableAction::AlterColumnType { .. } => Pass::AlterType,
        AlterTableAction::SetExpression { .. } => Pass::SetExpression,
        AlterTableAction::AddColumn { .. } => Pass::AddColumn,
        AlterTableAction::SetNotNull { .. } => Pass::ColumnAttributes,
        AlterTableAction::AddConstraint(TableConstraint { kind: TableConstraintKind::NotNull { .. }, .. }) => {
            Pass::NotNull
        }
        AlterTableAction::AddConstraint(TableConstraint {
            kind:
                TableConstraintKind::Unique(KeyConstraint { using_index: Some(_), .. })
                | TableConstraintKind::PrimaryKey(KeyConstraint { using_index: Some(_), .. }),
            ..
        }) => Pass::AddIndexConstraint,
        AlterTableAction::AddConstraint(TableConstraint {
            kind:
                TableConstraintKind::Unique(_) | TableConstraintKind::PrimaryKey(_) | TableConstraintKind::Exclude { .. },
            ..
        }) => Pass::AddIndex,
        AlterTableAction::AddConstraint(_)
        | AlterTableAction::SetDefault { .. }
        | AlterTableAction::AddIdentity { .. } => Pass::AddConstraint,
        _ => Pass::Misc,
    }
}
