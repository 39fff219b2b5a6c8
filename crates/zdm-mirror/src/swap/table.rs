//! What a swap does to one table: columns, indexes, constraints, defaults.

use std::fmt::Write as _;

use zdm_conn::Ident;
use zdm_postgres::catalog::{Column, Constraint, ConstraintKind, Index, Table};
use zdm_postgres::statement::{IndexElement, IndexKey};
use zdm_postgres::{Catalog, DataType, QualifiedName, deparse};

use super::foreign_key::Key;
use super::{Old, Swapped};
use crate::expression::with_column;
use crate::migration::Operation;
use crate::mirror::{Mirror, Pair, TableName};
use crate::names;
use crate::refusal::Refusal;
use crate::sql::{Row, distinct};
use crate::types;

/// What a database has on a column beside what migrations make, and what the new column gets, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnExtras {
    pub table: QualifiedName,
    pub column: String,
    /// `SET STATISTICS`.
    pub statistics: Option<i32>,
    /// `SET STORAGE`, where it is not the type's own.
    pub storage: Option<String>,
    /// `SET (n_distinct = …)`, each as written.
    pub options: Vec<String>,
    pub grants: Vec<ColumnGrant>,
}

/// A privilege on a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnGrant {
    /// `SELECT`.
    pub privilege: String,
    /// `None`: PUBLIC.
    pub role: Option<String>,
    pub with_grant_option: bool,
}

/// What is done when. Each list goes through all tables before the next one begins.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// Outside of a transaction.
    pub(super) indexes: Vec<Operation>,
    pub(super) constraints: Vec<Operation>,
    pub(super) validations: Vec<Operation>,
    drop_keys: Vec<String>,
    before_rename: Vec<String>,
    rename: Vec<String>,
    after_rename: Vec<String>,
    name_keys: Vec<String>,
    /// Behind the choice of a replica identity, which wants NOT NULL.
    relax: Vec<String>,
    undo_keys: Vec<String>,
    undo_after_rename: Vec<String>,
    undo_rename: Vec<String>,
    undo_values: Vec<String>,
    /// An identity and a replica identity want NOT NULL: the source's first, then what it carries, then the shadow's goes.
    undo_not_null: Vec<String>,
    undo_default: Vec<String>,
    undo_relax: Vec<String>,
    undo_before_rename: Vec<String>,
    add_keys: Vec<String>,
}

impl Steps {
    /// The statements of the swap and of its reverse.
    pub(super) fn swap(&self, tables: &[Swapped<'_>]) -> (Vec<String>, Vec<String>) {
        let mirrors: Vec<_> = tables.iter().flat_map(|swapped| &swapped.mirrors).collect();
        let mut forward: Vec<String> = Vec::new();
        for mirror in &mirrors {
            let statements = mirror.statements();
            forward.extend(statements.drop_triggers);
            forward.push(statements.drop_function);
        }
        let mut backward: Vec<String> = Vec::new();
        for part in
            [&self.drop_keys, &self.before_rename, &self.rename, &self.after_rename, &self.name_keys, &self.relax]
        {
            forward.extend_from_slice(part);
        }
        for part in [&self.undo_keys, &self.undo_after_rename, &self.undo_rename, &self.undo_values] {
            backward.extend_from_slice(part);
        }
        // Triggers that the new values have fired and that wait for the end of the transaction.
        backward.push("SET CONSTRAINTS ALL IMMEDIATE".to_owned());
        for part in
            [&self.undo_not_null, &self.undo_default, &self.undo_before_rename, &self.undo_relax, &self.add_keys]
        {
            backward.extend_from_slice(part);
        }
        for mirror in &mirrors {
            let statements = mirror.statements();
            backward.push(statements.create_function);
            backward.extend(statements.create_triggers);
            backward.extend(statements.enable_always);
        }
        (forward, backward)
    }
}

pub(super) struct Builder<'a> {
    catalog: &'a Catalog,
    old: &'a Old,
    extras: &'a [ColumnExtras],
    pub(super) steps: Steps,
    /// What is not carried over, a sentence each.
    pub(super) left: Vec<String>,
}

/// A table as the statements of its part of the swap see it.
struct Of<'a> {
    swapped: &'a Swapped<'a>,
    name: &'a TableName,
}

impl Of<'_> {
    fn table(&self) -> &Table {
        self.swapped.table
    }

    fn alter(&self, action: &str) -> String {
        format!("ALTER TABLE {} {action}", self.name)
    }

    fn twin(&self, object: &str) -> Ident {
        names::swap_name(self.name.name.as_str(), object)
    }

    /// A name for the index that stays with the old column. An earlier swap may have left one under the same name.
    fn kept(&self, index: &str) -> Ident {
        let mut suffix = "_old".to_owned();
        loop {
            let kept = self.twin(&format!("{index}{suffix}"));
            if self.table().index(kept.as_str()).is_none() {
                return kept;
            }
            suffix.push_str("_old");
        }
    }

    fn sibling(&self, name: &Ident) -> TableName {
        self.name.sibling(name.clone())
    }

    /// Whether one of the columns is swapped.
    fn touched(&self, columns: &[zdm_postgres::Ident]) -> bool {
        columns.iter().any(|column| self.swapped.pair_of(column.as_str()).is_some())
    }

    /// The shadows in place of the columns that are swapped.
    fn shadows(&self, columns: &[zdm_postgres::Ident]) -> Result<String, Refusal> {
        let names = columns
            .iter()
            .map(|column| match self.swapped.pair_of(column.as_str()) {
                Some(pair) => Ok(pair.target.to_string()),
                None => Ok(Ident::new(column.as_str())?.to_string()),
            })
            .collect::<Result<Vec<_>, Refusal>>()?;
        Ok(names.join(", "))
    }

    /// The expression over the shadows.
    fn on_shadows(&self, text: &str) -> Option<String> {
        let mut text = text.to_owned();
        for pair in &self.swapped.pairs {
            let node = zdm_sql::parse_expr(&text).node;
            if node.columns().iter().any(|column| *column == pair.source.as_str()) {
                text = with_column(&text, &pair.source, &pair.target)?;
            }
        }
        Some(text)
    }
}

impl<'a> Builder<'a> {
    pub(super) fn new(catalog: &'a Catalog, old: &'a Old, extras: &'a [ColumnExtras]) -> Self {
        Self { catalog, old, extras, steps: Steps::default(), left: Vec::new() }
    }

    pub(super) fn table(&mut self, swapped: &Swapped<'_>) -> Result<(), Refusal> {
        let Some(mirror) = swapped.mirrors.first() else { return Ok(()) };
        let of = Of { swapped, name: &mirror.table };
        let table = of.table();
        let touching: Vec<&Constraint> =
            table.constraints.iter().filter(|constraint| of.touched(&columns_of(constraint))).collect();
        // Names that hold the column in its old place come first, so that the new ones can take them over.
        for constraint in touching {
            self.constraint(&of, constraint)?;
        }
        for index in table.indexes.iter().filter(|index| !index.constraint && of.touched(&columns_of_index(index))) {
            self.index(&of, index)?;
        }
        for mirror in &swapped.mirrors {
            self.equal(&of, mirror);
        }
        for pair in &swapped.pairs {
            let source = pair.source.as_str();
            let column = table
                .column(source)
                .ok_or_else(|| Refusal::NoColumn { table: of.name.plain(), column: source.to_owned() })?;
            if column.not_null {
                self.not_null(&of, pair);
            }
            self.default(&of, pair, column)?;
            self.columns(&of, pair, column)?;
            self.extras(&of, pair, column);
        }
        self.chosen_indexes(&of)?;
        Ok(())
    }

    /// A constraint on the column: its twin on the shadow is made before, and takes over its name in the swap.
    fn constraint(&mut self, of: &Of<'_>, constraint: &Constraint) -> Result<(), Refusal> {
        let name = Ident::new(constraint.name.as_str())?;
        let twin = of.twin(name.as_str());
        if of.table().constraint(twin.as_str()).is_some() || of.table().index(twin.as_str()).is_some() {
            return Err(written_already(of, twin.as_str()));
        }
        let cannot = |why: &str| {
            Refusal::Other(format!(
                "the constraint `{}` of `{}` cannot be carried over: {why}",
                constraint.name,
                of.name.plain()
            ))
        };
        match &constraint.kind {
            ConstraintKind::PrimaryKey { columns, include } | ConstraintKind::Unique { columns, include, .. } => {
                let kind =
                    if matches!(constraint.kind, ConstraintKind::PrimaryKey { .. }) { "PRIMARY KEY" } else { "UNIQUE" };
                let nulls = match &constraint.kind {
                    ConstraintKind::Unique { nulls_not_distinct: true, .. } => " NULLS NOT DISTINCT",
                    _ => "",
                };
                let included = |list: String| if list.is_empty() { list } else { format!(" INCLUDE ({list})") };
                let options = of.table().index(name.as_str()).map(index_options).unwrap_or_default();
                let timing = timing(constraint);
                let on = format!(
                    "{twin} ON {} ({}){}{nulls}{options}",
                    of.name,
                    of.shadows(columns)?,
                    included(of.shadows(include)?)
                );
                let again =
                    format!("{kind}{nulls} ({}){}{options}{timing}", listed(columns)?, included(listed(include)?));
                self.concurrently(of, &twin, &format!("CREATE UNIQUE INDEX CONCURRENTLY {on}"));
                let steps = &mut self.steps;
                steps.before_rename.push(of.alter(&format!("DROP CONSTRAINT {name}")));
                steps.after_rename.push(of.alter(&format!("ADD CONSTRAINT {name} {kind} USING INDEX {twin}{timing}")));
                steps.undo_after_rename.push(of.alter(&format!("DROP CONSTRAINT {name}")));
                steps.undo_before_rename.push(format!("CREATE UNIQUE INDEX {on}"));
                steps.undo_before_rename.push(of.alter(&format!("ADD CONSTRAINT {name} {again}")));
            }
            ConstraintKind::Check { expr, no_inherit } => {
                let unclear = || cannot("its columns cannot be told from its other names");
                let condition = of.on_shadows(&expr.text).ok_or_else(unclear)?;
                let no_inherit = if *no_inherit { " NO INHERIT" } else { "" };
                let enforced = if constraint.attributes.enforced { "" } else { " NOT ENFORCED" };
                self.proved(
                    of.name,
                    &twin,
                    &format!("CHECK ({condition}){no_inherit}{enforced}"),
                    constraint.valid,
                    constraint.attributes.enforced,
                );
                let not_valid = if constraint.valid || !constraint.attributes.enforced { "" } else { " NOT VALID" };
                let again = format!("CHECK ({}){no_inherit}{enforced}{not_valid}", expr.text);
                let steps = &mut self.steps;
                steps.before_rename.push(of.alter(&format!("DROP CONSTRAINT {name}")));
                steps.after_rename.push(of.alter(&format!("RENAME CONSTRAINT {twin} TO {name}")));
                steps.undo_after_rename.push(of.alter(&format!("RENAME CONSTRAINT {name} TO {twin}")));
                steps.undo_before_rename.push(of.alter(&format!("ADD CONSTRAINT {name} {again}")));
            }
            ConstraintKind::Exclude { .. } => {
                return Err(cannot(
                    "PostgreSQL builds an exclusion constraint under a lock that keeps every writer away, and has no way to make \
                     one of an index that is there; drop it in a migration of its own, and let the application keep the rule \
                     until it is made anew",
                ));
            }
            // Foreign keys join two tables, see `foreign_key`; NOT NULL is the column's.
            ConstraintKind::ForeignKey(_) | ConstraintKind::NotNull { .. } => {}
        }
        Ok(())
    }

    pub(super) fn foreign_key(&mut self, key: &Key) {
        let alter = |action: &str| format!("ALTER TABLE {} {action}", key.table);
        let Key { name, twin, .. } = key;
        self.proved(&key.table, twin, &key.on_shadows, key.valid, key.enforced);
        let steps = &mut self.steps;
        steps.drop_keys.push(alter(&format!("DROP CONSTRAINT {name}")));
        steps.name_keys.push(alter(&format!("RENAME CONSTRAINT {twin} TO {name}")));
        if key.references_swapped {
            // It hangs on an index that the reverse takes away.
            steps.undo_keys.push(alter(&format!("DROP CONSTRAINT {name}")));
            steps.add_keys.push(alter(&format!("ADD CONSTRAINT {twin} {}", key.on_shadows_as_it_was())));
        } else {
            steps.undo_keys.push(alter(&format!("RENAME CONSTRAINT {name} TO {twin}")));
        }
        steps.add_keys.push(alter(&format!("ADD CONSTRAINT {name} {}", key.as_it_was())));
    }

    /// Adds a constraint NOT VALID, and validates it in a later transaction.
    fn proved(&mut self, table: &TableName, name: &Ident, definition: &str, valid: bool, enforced: bool) {
        let operation =
            |forward: String, backward: Vec<String>| Operation::Sql { comment: None, forward: vec![forward], backward };
        let drop = format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}");
        let not_valid = if enforced { " NOT VALID" } else { "" };
        // One statement, which can be repeated where it stands outside of a transaction.
        let add = format!("{drop}, ADD CONSTRAINT {name} {definition}{not_valid}");
        self.steps.constraints.push(operation(add, vec![drop]));
        if valid && enforced {
            let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}");
            self.steps.validations.push(operation(validate, Vec::new()));
        }
    }

    /// Builds an index so that a build that failed can be repeated.
    fn concurrently(&mut self, of: &Of<'_>, name: &Ident, create: &str) {
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", of.sibling(name));
        self.steps.indexes.push(Operation::Sql {
            comment: None,
            forward: vec![drop.clone(), create.to_owned()],
            backward: vec![drop],
        });
    }

    fn index(&mut self, of: &Of<'_>, index: &Index) -> Result<(), Refusal> {
        let name = Ident::new(index.name.as_str())?;
        let twin = of.twin(name.as_str());
        let kept = of.kept(name.as_str());
        if of.table().index(twin.as_str()).is_some() {
            return Err(written_already(of, twin.as_str()));
        }
        let cannot = || {
            Refusal::Other(format!(
                "the index `{}` of `{}` cannot be carried over: its columns cannot be told from its other names",
                index.name,
                of.name.plain()
            ))
        };
        if !fits(of, index) {
            // It stays with the old column, or goes with it.
            let rename = |from: &Ident, to: &Ident| format!("ALTER INDEX {} RENAME TO {to}", of.sibling(from));
            let before = self.index_on(of, index, false).ok_or_else(cannot)?;
            let steps = &mut self.steps;
            if *self.old == Old::Dropped {
                steps.undo_before_rename.push(format!("CREATE INDEX {name} ON {before}"));
            } else {
                steps.before_rename.push(rename(&name, &kept));
                steps.undo_before_rename.push(rename(&kept, &name));
            }
            self.left.push(format!(
                "the index `{}` is of a kind that the new type has not: it stays with the old column",
                index.name
            ));
            return Ok(());
        }
        let definition = self.index_on(of, index, true).ok_or_else(cannot)?;
        let unique = if index.unique { "UNIQUE " } else { "" };
        let rename = |from: &Ident, to: &Ident| format!("ALTER INDEX {} RENAME TO {to}", of.sibling(from));
        let before = self.index_on(of, index, false).ok_or_else(cannot)?;
        let ready = self.ready_index(of, index, &definition);
        match &ready {
            Some(ready) => self.steps.before_rename.push(rename(ready, &twin)),
            None => self.concurrently(of, &twin, &format!("CREATE {unique}INDEX CONCURRENTLY {twin} ON {definition}")),
        }
        let steps = &mut self.steps;
        // With the old column goes its index; where the column stays, so does the index, for a quick way back.
        steps.before_rename.push(rename(&name, &kept));
        let dropped = *self.old == Old::Dropped;
        if index.unique && !dropped {
            // The values that the reverse writes back may pass through each other.
            steps.undo_after_rename.push(format!("DROP INDEX IF EXISTS {}", of.sibling(&kept)));
        }
        if index.unique || dropped {
            steps.undo_before_rename.push(format!("CREATE {unique}INDEX {name} ON {before}"));
        } else {
            // The index may have gone with the old column, which somebody has dropped and made anew.
            steps.undo_before_rename.push(format!("ALTER INDEX IF EXISTS {} RENAME TO {name}", of.sibling(&kept)));
            steps.undo_before_rename.push(format!("CREATE INDEX IF NOT EXISTS {name} ON {before}"));
        }
        steps.after_rename.push(rename(&twin, &name));
        steps.undo_after_rename.push(rename(&name, &twin));
        if let Some(ready) = &ready {
            steps.undo_before_rename.push(rename(&twin, ready));
        }
        Ok(())
    }

    /// An index that the shadows have already, like the one that is to be carried over: made by hand, or kept when a swap
    /// gave the shadow's place to another column.
    fn ready_index(&self, of: &Of<'_>, index: &Index, definition: &str) -> Option<Ident> {
        let alike = |other: &&Index| {
            !other.constraint
                && other.valid
                && other.unique == index.unique
                && !of.touched(&columns_of_index(other))
                && self.index_on(of, other, false).as_deref() == Some(definition)
        };
        of.table().indexes.iter().find(alike).and_then(|ready| Ident::new(ready.name.as_str()).ok())
    }

    /// `TABLE USING btree ("a" DESC, upper("b")) INCLUDE ("c") WITH (…) WHERE …`, over the shadows or as it is.
    fn index_on(&self, of: &Of<'_>, index: &Index, shadows: bool) -> Option<String> {
        let mut index = index.clone();
        if shadows {
            for pair in &of.swapped.pairs {
                rename_in(&mut index, &pair.source, &pair.target)?;
            }
        }
        let text = deparse::index(self.catalog, of.table(), &index);
        let (_, rest) = text.split_once(" USING ")?;
        Some(format!("{} USING {rest}", of.name))
    }

    /// Replica identity and CLUSTER are said of an index, and follow to the one that takes its place.
    fn chosen_indexes(&mut self, of: &Of<'_>) -> Result<(), Refusal> {
        let table = of.table();
        let chosen = [
            (table.replica_identity.index(), "REPLICA IDENTITY USING INDEX"),
            (table.clustered_on.as_ref(), "CLUSTER ON"),
        ];
        for (index, action) in chosen {
            let Some(index) = index else { continue };
            if table.index(index.as_str()).is_some_and(|index| of.touched(&columns_of_index(index))) {
                let action = of.alter(&format!("{action} {}", Ident::new(index.as_str())?));
                self.steps.after_rename.push(action.clone());
                self.steps.undo_before_rename.push(action);
            }
        }
        Ok(())
    }

    /// The server itself proves that no row differs before the swap is applied.
    fn equal(&mut self, of: &Of<'_>, mirror: &Mirror) {
        let proof = of.twin(&format!("{}_equal", mirror.object_name().as_str()));
        self.proved(of.name, &proof, &format!("CHECK (NOT ({}))", mirror.differs(Row::Plain)), true, true);
        self.steps.before_rename.push(of.alter(&format!("DROP CONSTRAINT IF EXISTS {proof}")));
    }

    fn not_null(&mut self, of: &Of<'_>, pair: &Pair) {
        let (source, target) = (&pair.source, &pair.target);
        let proof = of.twin(&format!("{}_not_null", target.as_str()));
        self.proved(of.name, &proof, &format!("CHECK ({target} IS NOT NULL)"), true, true);
        let steps = &mut self.steps;
        steps.before_rename.push(of.alter(&format!("ALTER COLUMN {target} SET NOT NULL")));
        steps.before_rename.push(of.alter(&format!("DROP CONSTRAINT IF EXISTS {proof}")));
        steps.undo_not_null.push(of.alter(&format!("ALTER COLUMN {source} SET NOT NULL")));
        steps.undo_relax.push(of.alter(&format!("ALTER COLUMN {target} DROP NOT NULL")));
    }

    /// Moves the default, or the sequence behind it.
    fn default(&mut self, of: &Of<'_>, pair: &Pair, column: &Column) -> Result<(), Refusal> {
        let (source, target) = (&pair.source, &pair.target);
        let counts = is_integer(&pair.target_data_type) && pair.forward.is_none();
        let cannot = |what: &str| {
            Err(Refusal::Other(format!(
                "`{}` takes its values from {what}, which gives no `{}`: let the application give the value, and drop the default, \
                 in a release before the swap",
                source.as_str(),
                pair.target_type
            )))
        };
        if let Some(identity) = &column.identity {
            if !counts {
                return cannot("an identity");
            }
            let sequence = of.sibling(&Ident::new(identity.sequence.name.as_str())?);
            let twin = of.sibling(&of.twin(sequence.name.as_str()));
            let kind = if identity.always { "ALWAYS" } else { "BY DEFAULT" };
            let mut options = format!("SEQUENCE NAME {twin}");
            for option in self.catalog.sequence(&identity.sequence).iter().flat_map(|known| &known.options.other) {
                let _ = write!(options, " {option}");
            }
            let hand_over = |to: &Ident, from: &Ident| {
                [
                    of.alter(&format!("ALTER COLUMN {to} ADD GENERATED {kind} AS IDENTITY ({options})")),
                    format!(
                        "SELECT pg_catalog.setval({}, last_value, is_called) FROM {sequence}",
                        zdm_postgres::quote_literal(&twin.to_string())
                    ),
                    of.alter(&format!("ALTER COLUMN {from} DROP IDENTITY")),
                    format!("ALTER SEQUENCE {twin} RENAME TO {}", sequence.name),
                ]
            };
            self.steps.before_rename.extend(hand_over(target, source));
            self.steps.undo_default.extend(hand_over(source, target));
            return Ok(());
        }
        let Some(default) = deparse::default(self.catalog, of.table(), column) else {
            return Ok(());
        };
        let owned: Vec<TableName> = self
            .catalog
            .sequences_of(&of.table().name)
            .into_iter()
            .filter(|(owner, _)| *owner == source.as_str())
            .map(|(_, sequence)| Ok(of.sibling(&Ident::new(sequence.name.as_str())?)))
            .collect::<Result<_, Refusal>>()?;
        if !owned.is_empty() && !counts {
            return cannot("a sequence");
        }
        let table = of.name;
        for sequence in &owned {
            let retype = |data_type: &DataType| {
                is_integer(data_type).then(|| format!("ALTER SEQUENCE {sequence} AS {data_type}"))
            };
            if pair.target_data_type != column.data_type {
                self.steps.before_rename.extend(retype(&pair.target_data_type));
                self.steps.undo_default.extend(retype(&column.data_type));
            }
            self.steps.before_rename.push(format!("ALTER SEQUENCE {sequence} OWNED BY {table}.{target}"));
            self.steps.undo_default.push(format!("ALTER SEQUENCE {sequence} OWNED BY {table}.{source}"));
        }
        let new = match &pair.forward {
            None => default.clone(),
            Some(forward) => match forward.of_value(source.as_str(), &default) {
                Some(text) => text,
                None => return cannot(&format!("the default {default}")),
            },
        };
        let steps = &mut self.steps;
        steps.before_rename.push(of.alter(&format!("ALTER COLUMN {target} SET DEFAULT {new}")));
        steps.before_rename.push(of.alter(&format!("ALTER COLUMN {source} DROP DEFAULT")));
        steps.undo_default.push(of.alter(&format!("ALTER COLUMN {source} SET DEFAULT {default}")));
        steps.undo_default.push(of.alter(&format!("ALTER COLUMN {target} DROP DEFAULT")));
        Ok(())
    }

    fn columns(&mut self, of: &Of<'_>, pair: &Pair, column: &Column) -> Result<(), Refusal> {
        let (source, target) = (&pair.source, &pair.target);
        let steps = &mut self.steps;
        match self.old {
            Old::Keep(name) => {
                let kept = match name {
                    Some(name) => Ident::new(name.clone())?,
                    None => kept_name(source)?,
                };
                if of.table().column(kept.as_str()).is_some() {
                    return Err(Refusal::Other(format!(
                        "`{}` has a column `{}` already: give another name for the old column",
                        of.name.plain(),
                        kept.as_str()
                    )));
                }
                if column.not_null {
                    steps.relax.push(of.alter(&format!("ALTER COLUMN {kept} DROP NOT NULL")));
                }
                steps.rename.push(of.alter(&format!("RENAME COLUMN {source} TO {kept}")));
                steps.rename.push(of.alter(&format!("RENAME COLUMN {target} TO {source}")));
                steps.undo_rename.push(of.alter(&format!("RENAME COLUMN {source} TO {target}")));
                steps.undo_rename.push(of.alter(&format!("RENAME COLUMN {kept} TO {source}")));
            }
            Old::Dropped => {
                let collation = match &column.collation {
                    Some(collation) => format!(" COLLATE {}", quoted(collation)?),
                    None => String::new(),
                };
                steps.rename.push(of.alter(&format!("DROP COLUMN {source}")));
                steps.rename.push(of.alter(&format!("RENAME COLUMN {target} TO {source}")));
                steps.undo_rename.push(of.alter(&format!("RENAME COLUMN {source} TO {target}")));
                steps.undo_rename.push(of.alter(&format!("ADD COLUMN {source} {}{collation}", column.data_type)));
            }
        }
        if let Some(comment) = &column.comment {
            let on = |column: &Ident, text: &str| format!("COMMENT ON COLUMN {}.{column} IS {text}", of.name);
            let text = zdm_postgres::quote_literal(comment);
            steps.after_rename.push(on(source, &text));
            if *self.old == Old::Dropped {
                steps.undo_before_rename.push(on(source, &text));
            }
            steps.undo_before_rename.push(on(target, "NULL"));
        }
        // Values that were written since; one that does not fit makes the reverse fail, and nothing is lost.
        let value = pair.reverse_value(Row::Plain);
        let compared = types::compared_as(&column.data_type);
        let differs =
            distinct(types::comparison(&column.data_type), &source.to_string(), &format!("{value}::{compared}"));
        steps.undo_values.push(format!("UPDATE {} SET {source} = {value} WHERE {differs}", of.name));
        Ok(())
    }

    /// What a database has on the old column that no migration says.
    fn extras(&mut self, of: &Of<'_>, pair: &Pair, column: &Column) {
        let Some(extras) =
            self.extras.iter().find(|extras| extras.table == of.table().name && column.name == extras.column.as_str())
        else {
            return;
        };
        let (source, target) = (&pair.source, &pair.target);
        let role = |grant: &ColumnGrant| {
            grant.role.as_deref().map_or_else(|| "PUBLIC".to_owned(), zdm_postgres::quote_identifier)
        };
        let set = |column: &Ident| {
            let mut statements = Vec::new();
            if let Some(target) = extras.statistics {
                statements.push(of.alter(&format!("ALTER COLUMN {column} SET STATISTICS {target}")));
            }
            if let Some(storage) = &extras.storage {
                statements.push(of.alter(&format!("ALTER COLUMN {column} SET STORAGE {storage}")));
            }
            if !extras.options.is_empty() {
                statements.push(of.alter(&format!("ALTER COLUMN {column} SET ({})", extras.options.join(", "))));
            }
            for grant in &extras.grants {
                let option = if grant.with_grant_option { " WITH GRANT OPTION" } else { "" };
                statements.push(format!(
                    "GRANT {} ({column}) ON {} TO {}{option}",
                    grant.privilege,
                    of.name,
                    role(grant)
                ));
            }
            statements
        };
        self.steps.after_rename.extend(set(source));
        if *self.old == Old::Dropped {
            self.steps.undo_before_rename.extend(set(source));
        }
        let undo = &mut self.steps.undo_before_rename;
        if extras.statistics.is_some() {
            undo.push(of.alter(&format!("ALTER COLUMN {target} SET STATISTICS -1")));
        }
        if !extras.options.is_empty() {
            let names: Vec<&str> =
                extras.options.iter().map(|option| option.split('=').next().unwrap_or(option).trim()).collect();
            undo.push(of.alter(&format!("ALTER COLUMN {target} RESET ({})", names.join(", "))));
        }
        for grant in &extras.grants {
            undo.push(format!("REVOKE {} ({target}) ON {} FROM {}", grant.privilege, of.name, role(grant)));
        }
    }
}

fn written_already(of: &Of<'_>, name: &str) -> Refusal {
    Refusal::Other(format!("`{}` has `{name}` already: the migrations of this swap are written", of.name.plain()))
}

/// `size_old`, within 63 bytes.
fn kept_name(source: &Ident) -> Result<Ident, Refusal> {
    let stem = zdm_postgres::name::truncate_bytes(source.as_str(), 59);
    Ok(Ident::new(format!("{stem}_old"))?)
}

fn quoted(name: &QualifiedName) -> Result<String, Refusal> {
    let schema = name.schema.as_ref().map(zdm_postgres::Ident::as_str);
    Ok(TableName::new(schema, name.name.as_str())?.to_string())
}

fn listed(columns: &[zdm_postgres::Ident]) -> Result<String, Refusal> {
    let names = columns
        .iter()
        .map(|column| Ok(Ident::new(column.as_str())?.to_string()))
        .collect::<Result<Vec<_>, Refusal>>()?;
    Ok(names.join(", "))
}

fn is_integer(data_type: &DataType) -> bool {
    ["int2", "int4", "int8"].iter().any(|name| data_type.is(name))
}

pub(super) fn timing(constraint: &Constraint) -> &'static str {
    match (constraint.attributes.deferrable, constraint.attributes.initially_deferred) {
        (_, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        (false, false) => "",
    }
}

fn columns_of(constraint: &Constraint) -> Vec<zdm_postgres::Ident> {
    match &constraint.kind {
        ConstraintKind::Check { expr, .. } => expr.node.columns(),
        ConstraintKind::Unique { columns, include, .. } | ConstraintKind::PrimaryKey { columns, include } => {
            [columns.as_slice(), include].concat()
        }
        ConstraintKind::Exclude { elements, predicate } => elements
            .iter()
            .flat_map(|(element, _)| columns_of_element(element))
            .chain(predicate.iter().flat_map(|predicate| predicate.node.columns()))
            .collect(),
        ConstraintKind::ForeignKey(_) | ConstraintKind::NotNull { .. } => Vec::new(),
    }
}

fn columns_of_element(element: &IndexElement) -> Vec<zdm_postgres::Ident> {
    match &element.key {
        IndexKey::Column(name) => vec![name.clone()],
        IndexKey::Expr(expression) => expression.node.columns(),
    }
}

fn columns_of_index(index: &Index) -> Vec<zdm_postgres::Ident> {
    index
        .elements
        .iter()
        .flat_map(columns_of_element)
        .chain(index.include.iter().cloned())
        .chain(index.predicate.iter().flat_map(|predicate| predicate.node.columns()))
        .collect()
}

/// Whether the index can be on the shadows: one that searches in text is on text.
fn fits(of: &Of<'_>, index: &Index) -> bool {
    index.unique
        || index.elements.iter().all(|element| {
            let IndexKey::Column(column) = &element.key else { return true };
            let Some(pair) = of.swapped.pair_of(column.as_str()) else { return true };
            let of_text = element.opclass.as_ref().is_some_and(|class| {
                let name = class.name.as_str();
                name.ends_with("_pattern_ops") || name.ends_with("_trgm_ops")
            });
            !of_text || ["text", "varchar", "bpchar", "citext"].iter().any(|name| pair.target_data_type.is(name))
        })
}

/// ` WITH (fillfactor='70')`.
fn index_options(index: &Index) -> String {
    if index.options.is_empty() {
        return String::new();
    }
    let options: Vec<String> = index
        .options
        .iter()
        .map(|(name, value)| format!("{name}={}", zdm_postgres::quote_literal(value.trim_matches('\''))))
        .collect();
    format!(" WITH ({})", options.join(", "))
}

/// One column in place of another; nothing where an expression's columns cannot be told from its other names.
fn rename_in(index: &mut Index, from: &Ident, to: &Ident) -> Option<()> {
    for element in &mut index.elements {
        match &mut element.key {
            IndexKey::Column(column) if *column == from.as_str() => {
                *column = zdm_postgres::Ident::from(to.as_str());
                // The default of one integer is written out, and is none of another.
                let class = element.opclass.as_ref().map(|class| class.name.as_str());
                if matches!(class, Some("int2_ops" | "int4_ops" | "int8_ops")) {
                    element.opclass = None;
                }
            }
            IndexKey::Column(_) => {}
            IndexKey::Expr(expression) => *expression = renamed(expression, from, to)?,
        }
    }
    for column in &mut index.include {
        if *column == from.as_str() {
            *column = zdm_postgres::Ident::from(to.as_str());
        }
    }
    if let Some(predicate) = &mut index.predicate {
        *predicate = renamed(predicate, from, to)?;
    }
    Some(())
}

fn renamed(expression: &zdm_postgres::SqlExpr, from: &Ident, to: &Ident) -> Option<zdm_postgres::SqlExpr> {
    if !expression.node.columns().iter().any(|column| *column == from.as_str()) {
        return Some(expression.clone());
    }
    Some(zdm_sql::parse_expr(&with_column(&expression.text, from, to)?))
}
