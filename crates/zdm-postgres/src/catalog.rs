//! What PostgreSQL has after the statements so far: relations with their columns, constraints and indexes, types, functions.
//!
//! A [`Catalog`] is a persistent value: a clone costs a few pointers and shares everything that did not change,
//! so the catalog after each statement of a long history can be kept.
//!
//! Every list keeps the server's order (columns and constraints as created). Names are as the server stores them,
//! truncated to 63 bytes. The default schema is `None` in a [`QualifiedName`].

use std::collections::BTreeSet;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use crate::data_type::DataType;
use crate::expr::{ExprNode, SqlExpr};
use crate::list::{List, Named};
use crate::name::{Ident, QualifiedName};
use crate::statement::{
    ConstraintAttributes, IndexElement, IndexKey, PartitionBound, PartitionBy, Persistence, Query, ReplicaIdentity,
    SequenceOptions, Statement, TypeDefinition, Volatility,
};
use crate::version::PgVersion;

/// The state of one database. See the module's description.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Tables, indexes, sequences and views share one namespace (`pg_class`).
    pub(crate) relations: RedBlackTreeMapSync<QualifiedName, Relation>,
    /// Enums, composite types, ranges and domains.
    pub(crate) types: RedBlackTreeMapSync<QualifiedName, Arc<UserType>>,
    /// Functions and procedures by name; overloads side by side.
    pub(crate) functions: RedBlackTreeMapSync<QualifiedName, Arc<Vec<Function>>>,
    pub(crate) schemas: RedBlackTreeMapSync<Ident, ()>,
    pub(crate) extensions: RedBlackTreeMapSync<Ident, ()>,
    /// Extended statistics by name.
    pub(crate) statistics: RedBlackTreeMapSync<QualifiedName, Statistics>,
    pub(crate) publications: RedBlackTreeMapSync<Ident, Arc<Publication>>,
    /// Event triggers: they run with every change of the schema.
    pub(crate) event_triggers: RedBlackTreeMapSync<Ident, ()>,
    /// Derived from the above, kept by every change: the tables whose foreign keys reference a table.
    referencing: RedBlackTreeMapSync<QualifiedName, Arc<Vec<QualifiedName>>>,
    /// Derived: the sequences that a table's columns own.
    owned: RedBlackTreeMapSync<QualifiedName, Arc<Vec<QualifiedName>>>,
    /// Derived: the tables with a column that draws from a sequence.
    drawing: RedBlackTreeMapSync<QualifiedName, Arc<Vec<QualifiedName>>>,
    /// Derived: the tables whose columns or indexes name a type, without its schema, that is not the server's own.
    naming_type: RedBlackTreeMapSync<Ident, Arc<Vec<QualifiedName>>>,
    /// Derived: all views.
    views: RedBlackTreeMapSync<QualifiedName, ()>,
    /// Derived: the tables with policies or rules.
    secured: RedBlackTreeMapSync<QualifiedName, ()>,
    /// Derived: the tables with a constraint or a constraint trigger of a name.
    constraint_names: RedBlackTreeMapSync<Ident, Arc<Vec<QualifiedName>>>,
    /// Operators, operator classes, casts or access methods were made, so that the server's own are not all there are.
    own_operators: bool,
    /// Something happened that was not understood, so an object that is not here may exist all the same.
    pub(crate) incomplete: bool,
    /// The server's, in whose words definitions are printed.
    pub(crate) version: PgVersion,
}

impl Catalog {
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether both hold the same objects. What they share is not looked into.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_relation = |one: &Relation, other: &Relation| match (one, other) {
            (Relation::Table(one), Relation::Table(other)) => Arc::ptr_eq(one, other) || one == other,
            (Relation::Sequence(one), Relation::Sequence(other)) => Arc::ptr_eq(one, other) || one == other,
            (Relation::View(one), Relation::View(other)) => Arc::ptr_eq(one, other) || one == other,
            _ => one == other,
        };
        self.incomplete == other.incomplete
            && self.own_operators == other.own_operators
            && same_entries(&self.relations, &other.relations, same_relation)
            && same_entries(&self.types, &other.types, |one, other| Arc::ptr_eq(one, other) || one == other)
            && same_entries(&self.functions, &other.functions, |one, other| Arc::ptr_eq(one, other) || one == other)
            && same_entries(&self.schemas, &other.schemas, |(), ()| true)
            && same_entries(&self.extensions, &other.extensions, |(), ()| true)
            && same_entries(&self.statistics, &other.statistics, |one, other| one == other)
    }

    pub fn relation(&self, name: &QualifiedName) -> Option<&Relation> {
        self.relations.get(name)
    }

    pub fn table(&self, name: &QualifiedName) -> Option<&Arc<Table>> {
        match self.relations.get(name) {
            Some(Relation::Table(table)) => Some(table),
            _ => None,
        }
    }

    pub fn sequence(&self, name: &QualifiedName) -> Option<&Arc<Sequence>> {
        match self.relations.get(name) {
            Some(Relation::Sequence(sequence)) => Some(sequence),
            _ => None,
        }
    }

    pub fn view(&self, name: &QualifiedName) -> Option<&Arc<View>> {
        match self.relations.get(name) {
            Some(Relation::View(view)) => Some(view),
            _ => None,
        }
    }

    /// The index with the table it belongs to.
    pub fn index(&self, name: &QualifiedName) -> Option<(&Arc<Table>, &Index)> {
        let Some(Relation::Index { table }) = self.relations.get(name) else { return None };
        let table = self.table(table)?;
        let index = table.indexes.iter().find(|index| index.name == name.name)?;
        Some((table, index))
    }

    /// All tables, partitioned and foreign ones included, sorted by name.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.relations.values().filter_map(|relation| match relation {
            Relation::Table(table) => Some(table),
            _ => None,
        })
    }

    /// All relations, sorted by name.
    pub fn relations(&self) -> impl Iterator<Item = (&QualifiedName, &Relation)> {
        self.relations.iter()
    }

    pub fn user_type(&self, name: &QualifiedName) -> Option<&Arc<UserType>> {
        self.types.get(name)
    }

    /// The attributes of a composite type, or of a relation's row type.
    pub(crate) fn attributes(&self, composite: &DataType) -> Option<Vec<(Ident, DataType)>> {
        if composite.is_array() {
            return None;
        }
        let base = crate::cast::base_type(self, composite);
        match self.user_type(&base.name).map(|known| &known.kind) {
            Some(UserTypeKind::Defined(TypeDefinition::Composite(attributes))) => Some(attributes.clone()),
            Some(_) => None,
            None => {
                let columns = self.table(&base.name)?.columns.iter();
                Some(columns.map(|column| (column.name.clone(), column.data_type.clone())).collect())
            }
        }
    }

    pub(crate) fn attribute_type(&self, composite: &DataType, attribute: &Ident) -> Option<DataType> {
        self.attributes(composite)?
            .into_iter()
            .find_map(|(known, data_type)| (known == *attribute).then_some(data_type))
    }

    /// Whether a composite type, or a relation's row type, has no attributes but those that are known.
    pub(crate) fn has_all_attributes(&self, composite: &DataType) -> bool {
        let base = crate::cast::base_type(self, composite);
        match self.user_type(&base.name).map(|known| &known.kind) {
            Some(kind) => matches!(kind, UserTypeKind::Defined(TypeDefinition::Composite(_))),
            None => self.table(&base.name).is_some_and(|table| !table.assumed && !table.uncertain),
        }
    }

    pub fn functions(&self, name: &QualifiedName) -> &[Function] {
        self.functions.get(name).map_or(&[], |overloads| overloads.as_slice())
    }

    pub fn has_schema(&self, name: &str) -> bool {
        name == "public" || self.schemas.contains_key(name)
    }

    pub fn has_extension(&self, name: &str) -> bool {
        name == "plpgsql" || self.extensions.contains_key(name)
    }

    /// Whether something was not understood on the way here, so that absence proves nothing.
    pub const fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Adds a table of which nothing but its existence is known, unless there is a relation of that name.
    pub fn assume_table(&mut self, name: QualifiedName) {
        if self.relations.contains_key(&name) {
            return;
        }
        let table = Table { assumed: true, ..Table::named(name.clone()) };
        self.relations.insert_mut(name, Relation::Table(Arc::new(table)));
    }

    /// What a table has and lacks proves nothing from now on, under whatever name.
    pub fn mark_uncertain(&mut self, name: &QualifiedName) {
        if self.table(name).is_some_and(|table| !table.uncertain) {
            self.edit_table(name, |table| table.uncertain = true);
        }
    }

    /// A text that is not understood changed something: every table whose name is a word of it is uncertain from now
    /// on, or each one where the text makes its statements only while it runs.
    pub fn mark_named_uncertain(&mut self, text: &str) {
        let lower = text.to_lowercase();
        let words: BTreeSet<&str> =
            lower.split(|character: char| !character.is_alphanumeric() && character != '_').collect();
        let dynamic = words.contains("execute") || words.contains("call");
        let named: Vec<QualifiedName> = self
            .tables()
            .filter(|table| dynamic || words.contains(table.name.name.as_str().to_lowercase().as_str()))
            .map(|table| table.name.clone())
            .collect();
        for name in named {
            self.mark_uncertain(&name);
        }
    }

    /// Something dropped what is not known.
    pub(crate) fn mark_all_uncertain(&mut self) {
        let all: Vec<QualifiedName> = self.tables().map(|table| table.name.clone()).collect();
        for name in all {
            self.mark_uncertain(&name);
        }
    }

    pub(crate) const fn mark_own_operators(&mut self) {
        self.own_operators = true;
    }

    pub(crate) const fn has_own_operators(&self) -> bool {
        self.own_operators
    }

    /// From now on absence proves nothing.
    pub const fn mark_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// The indexes of a table or materialized view.
    pub fn indexes_of(&self, name: &QualifiedName) -> &[Index] {
        match self.relations.get(name) {
            Some(Relation::Table(table)) => &table.indexes,
            Some(Relation::View(view)) => &view.indexes,
            _ => &[],
        }
    }

    /// The foreign keys that reference a table: the referencing tables with their constraints, sorted by table.
    pub fn foreign_keys_to(&self, name: &QualifiedName) -> Vec<(QualifiedName, Constraint, ForeignKey)> {
        let mut found = Vec::new();
        let Some(referencing) = self.referencing.get(name) else { return found };
        for table in referencing.iter().filter_map(|table| self.table(table)) {
            for constraint in &table.constraints {
                if let ConstraintKind::ForeignKey(key) = &constraint.kind
                    && key.table == *name
                {
                    found.push((table.name.clone(), constraint.clone(), key.clone()));
                }
            }
        }
        found
    }

    /// The tables whose columns or indexes name a type of that name in whatever schema, sorted.
    pub(crate) fn tables_naming_type(&self, name: &Ident) -> impl Iterator<Item = &Arc<Table>> {
        let tables = self.naming_type.get(name).into_iter().flat_map(|tables| tables.iter());
        tables.filter_map(|table| self.table(table))
    }

    /// The tables with a column that draws from a sequence, sorted.
    pub fn tables_drawing_from(&self, sequence: &QualifiedName) -> impl Iterator<Item = &Arc<Table>> {
        let tables = self.drawing.get(sequence).into_iter().flat_map(|tables| tables.iter());
        tables.filter_map(|table| self.table(table))
    }

    /// All views and materialized views, sorted.
    pub fn views(&self) -> impl Iterator<Item = (&QualifiedName, &Arc<View>)> {
        self.views.keys().filter_map(|name| Some((name, self.view(name)?)))
    }

    /// The tables with policies or rules, sorted.
    pub(crate) fn secured_tables(&self) -> Vec<QualifiedName> {
        self.secured.keys().cloned().collect()
    }

    /// The rules whose actions name that column of a relation, or the relation at all: each by its table.
    pub(crate) fn rules_naming(&self, relation: &QualifiedName, column: Option<&Ident>) -> Vec<(QualifiedName, Ident)> {
        let tables = self.secured.keys().filter_map(|name| self.table(name));
        tables
            .flat_map(|table| table.rules.iter().map(move |rule| (table, rule)))
            .filter(|(_, rule)| depends_on(&rule.dependencies, relation, column))
            .map(|(table, rule)| (table.name.clone(), rule.name.clone()))
            .collect()
    }

    /// The policies that read that column of a relation, or the relation at all, in a subquery: each by its table.
    pub fn policies_reading(&self, relation: &QualifiedName, column: Option<&Ident>) -> Vec<(QualifiedName, Ident)> {
        let tables = self.secured.keys().filter_map(|name| self.table(name));
        tables
            .flat_map(|table| table.policies.iter().map(move |policy| (table, policy)))
            .filter(|(_, policy)| policy.reads(relation, column))
            .map(|(table, policy)| (table.name.clone(), policy.name.clone()))
            .collect()
    }

    /// The views and materialized views that read a relation directly, with the columns they read of it.
    pub fn views_on(&self, name: &QualifiedName) -> Vec<(QualifiedName, Vec<Ident>)> {
        self.views
            .keys()
            .filter_map(|view| {
                let view = self.view(view)?;
                let (_, columns) = view.dependencies.iter().find(|(relation, _)| relation == name)?;
                Some((view.name.clone(), columns.clone()))
            })
            .collect()
    }

    /// The views that need the primary key of a table.
    pub(crate) fn views_keyed_by(&self, table: &QualifiedName) -> Vec<QualifiedName> {
        self.views().filter(|(_, view)| view.keyed.contains(table)).map(|(name, _)| name.clone()).collect()
    }

    /// The sequences owned by a table's columns: (column, sequence).
    pub fn sequences_of(&self, table: &QualifiedName) -> Vec<(Ident, QualifiedName)> {
        let Some(owned) = self.owned.get(table) else { return Vec::new() };
        owned
            .iter()
            .filter_map(|name| {
                let (_, column) = self.sequence(name)?.owned_by.clone()?;
                Some((column, name.clone()))
            })
            .collect()
    }

    /// All partitions and inheritance children of a table, at every level, parents before children.
    pub fn descendants(&self, name: &QualifiedName) -> Vec<QualifiedName> {
        let mut found: Vec<QualifiedName> = Vec::new();
        let mut next = 0;
        let mut current = name.clone();
        loop {
            if let Some(table) = self.table(&current) {
                for child in &table.children {
                    if !found.contains(child) && child != name {
                        found.push(child.clone());
                    }
                }
            }
            let Some(following) = found.get(next) else { return found };
            current = following.clone();
            next += 1;
        }
    }

    /// Whether a constraint of that name exists on any table of the schema.
    pub(crate) fn has_constraint_name(&self, schema: Option<&Ident>, name: &Ident) -> bool {
        let tables = self.constraint_names.get(name).into_iter().flat_map(|tables| tables.iter());
        tables
            .filter(|table| table.schema.as_ref() == schema)
            .filter_map(|table| self.table(table))
            .any(|table| table.has_constraint(name.as_str()))
    }

    /// The tables with a constraint or a constraint trigger of that name, sorted.
    pub(crate) fn tables_with_constraint(&self, name: &Ident) -> impl Iterator<Item = &Arc<Table>> {
        let tables = self.constraint_names.get(name).into_iter().flat_map(|tables| tables.iter());
        tables.filter_map(|table| self.table(table))
    }

    pub(crate) fn put_table(&mut self, table: Table) {
        self.put(table.name.clone(), Relation::Table(Arc::new(table)));
    }

    pub(crate) fn put(&mut self, name: QualifiedName, relation: Relation) {
        let before = self.relations.get(&name).cloned();
        self.derive(&name, before.as_ref(), Some(&relation));
        self.relations.insert_mut(name, relation);
    }

    pub(crate) fn remove(&mut self, name: &QualifiedName) {
        if let Some(relation) = self.relations.get(name).cloned() {
            self.derive(name, Some(&relation), None);
            self.relations.remove_mut(name);
        }
    }

    pub(crate) fn edit_table(&mut self, name: &QualifiedName, edit: impl FnOnce(&mut Table)) {
        let Some(Relation::Table(table)) = self.relations.get_mut(name) else { return };
        // Only the lists are kept that something is derived from: a table that no other version shares is changed in
        // its place.
        let (constraints, triggers) = (table.constraints.clone(), table.triggers.clone());
        let parts = table.part_keys.clone();
        let secured = table.is_secured();
        let drawn = sequences_drawn(&table.columns);
        let types = types_named(table);
        let own = Arc::make_mut(table);
        edit(own);
        own.columns.trim();
        own.constraints.trim();
        own.indexes.trim();
        let table = table.clone();
        let now_secured = table.is_secured();
        let changed = !constraints.is_same(&table.constraints)
            || !triggers.is_same(&table.triggers)
            || secured != now_secured
            || parts != table.part_keys;
        if changed {
            let before = Derived::of_lists(&constraints, &triggers, &parts, secured);
            let after = Derived::of_lists(&table.constraints, &table.triggers, &table.part_keys, now_secured);
            self.enter_all(name, &before, &after);
        }
        self.enter_drawn(name, &drawn, &sequences_drawn(&table.columns));
        self.enter_types(name, &types, &types_named(&table));
    }

    pub(crate) fn edit_view(&mut self, name: &QualifiedName, edit: impl FnOnce(&mut View)) {
        if let Some(Relation::View(view)) = self.relations.get_mut(name) {
            edit(Arc::make_mut(view));
        }
    }

    pub(crate) fn edit_sequence(&mut self, name: &QualifiedName, edit: impl FnOnce(&mut Sequence)) {
        let Some(Relation::Sequence(sequence)) = self.relations.get_mut(name) else { return };
        let before = sequence.clone();
        edit(Arc::make_mut(sequence));
        let after = sequence.clone();
        self.derive(name, Some(&Relation::Sequence(before)), Some(&Relation::Sequence(after)));
    }

    /// Takes what followed from a relation out of the derived maps, and enters what follows from it now.
    fn derive(&mut self, name: &QualifiedName, before: Option<&Relation>, after: Option<&Relation>) {
        let drawn = |relation: Option<&Relation>| match relation {
            Some(Relation::Table(table)) => sequences_drawn(&table.columns),
            _ => Vec::new(),
        };
        self.enter_drawn(name, &drawn(before), &drawn(after));
        let types = |relation: Option<&Relation>| match relation {
            Some(Relation::Table(table)) => types_named(table),
            _ => Vec::new(),
        };
        self.enter_types(name, &types(before), &types(after));
        let before = before.map(Derived::of).unwrap_or_default();
        let after = after.map(Derived::of).unwrap_or_default();
        self.enter_all(name, &before, &after);
    }

    fn enter_all(&mut self, name: &QualifiedName, before: &[Derived<'_>], after: &[Derived<'_>]) {
        for derived in before.iter().filter(|derived| !after.contains(derived)) {
            self.enter(name, *derived, false);
        }
        for derived in after.iter().filter(|derived| !before.contains(derived)) {
            self.enter(name, *derived, true);
        }
    }

    fn enter_types(&mut self, name: &QualifiedName, before: &[Ident], after: &[Ident]) {
        for data_type in before.iter().filter(|data_type| !after.contains(data_type)) {
            enter_name(&mut self.naming_type, data_type, name, false);
        }
        for data_type in after.iter().filter(|data_type| !before.contains(data_type)) {
            enter_name(&mut self.naming_type, data_type, name, true);
        }
    }

    fn enter_drawn(&mut self, name: &QualifiedName, before: &[QualifiedName], after: &[QualifiedName]) {
        for sequence in before.iter().filter(|sequence| !after.contains(sequence)) {
            enter_name(&mut self.drawing, sequence, name, false);
        }
        for sequence in after.iter().filter(|sequence| !before.contains(sequence)) {
            enter_name(&mut self.drawing, sequence, name, true);
        }
    }

    fn enter(&mut self, name: &QualifiedName, derived: Derived<'_>, enter: bool) {
        match derived {
            Derived::References(table) => enter_name(&mut self.referencing, table, name, enter),
            Derived::HasConstraint(constraint) => enter_name(&mut self.constraint_names, constraint, name, enter),
            Derived::OwnedBy(table) => enter_name(&mut self.owned, table, name, enter),
            Derived::View if enter => self.views.insert_mut(name.clone(), ()),
            Derived::View => {
                self.views.remove_mut(name);
            }
            Derived::Secured if enter => self.secured.insert_mut(name.clone(), ()),
            Derived::Secured => {
                self.secured.remove_mut(name);
            }
        }
    }
}

/// What follows from one relation for the derived maps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Derived<'a> {
    References(&'a QualifiedName),
    HasConstraint(&'a Ident),
    OwnedBy(&'a QualifiedName),
    View,
    Secured,
}

impl<'a> Derived<'a> {
    fn of(relation: &'a Relation) -> Vec<Self> {
        match relation {
            Relation::Table(table) => {
                Self::of_lists(&table.constraints, &table.triggers, &table.part_keys, table.is_secured())
            }
            Relation::Sequence(sequence) => sequence.owned_by.iter().map(|(table, _)| Self::OwnedBy(table)).collect(),
            Relation::View(_) => vec![Self::View],
            Relation::Index { .. } => Vec::new(),
        }
    }

    fn of_lists(
        constraints: &'a [Constraint],
        triggers: &'a [Trigger],
        parts: &'a [PartKey],
        secured: bool,
    ) -> Vec<Self> {
        let keys = constraints.iter().filter_map(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) => Some(Self::References(&key.table)),
            _ => None,
        });
        let names = constraints.iter().map(|constraint| &constraint.name).chain(parts.iter().map(|part| &part.name));
        let names = names.map(Self::HasConstraint);
        let triggers = triggers.iter().filter_map(|trigger| trigger.constraint.as_ref());
        keys.chain(names).chain(triggers.map(Self::HasConstraint)).chain(secured.then_some(Self::Secured)).collect()
    }
}

/// The types that the columns of a table and the casts in its indexes name, but the server's own, each once.
fn types_named(table: &Table) -> Vec<Ident> {
    let mut found: Vec<Ident> = Vec::new();
    let mut enter = |data_type: &DataType| {
        let name = &data_type.name;
        let own = name.schema.is_none() && crate::cast::is_builtin_type(name.name.as_str(), PgVersion::NEWEST);
        if !own && !found.contains(&name.name) {
            found.push(name.name.clone());
        }
    };
    for column in &table.columns {
        enter(&column.data_type);
    }
    let keys = table.indexes.iter().flat_map(|index| &index.elements).filter_map(|element| match &element.key {
        IndexKey::Expr(expr) => Some(expr),
        IndexKey::Column(_) => None,
    });
    for expr in keys {
        expr.node.walk(&mut |node| {
            if let ExprNode::Cast { data_type, .. } = node {
                enter(data_type);
            }
        });
    }
    found
}

/// The sequences that columns draw from, each once.
fn sequences_drawn(columns: &[Column]) -> Vec<QualifiedName> {
    let mut found: Vec<QualifiedName> = Vec::new();
    for column in columns {
        let identity = column.identity.as_ref().map(|identity| identity.sequence.clone());
        let default = column.default.as_ref().map(|default| sequences_in(&default.node)).unwrap_or_default();
        for sequence in identity.into_iter().chain(default) {
            if !found.contains(&sequence) {
                found.push(sequence);
            }
        }
    }
    found
}

/// Lists stay sorted, so that nothing depends on the order of changes.
fn enter_name<K: Ord + Clone>(
    map: &mut RedBlackTreeMapSync<K, Arc<Vec<QualifiedName>>>,
    key: &K,
    name: &QualifiedName,
    enter: bool,
) {
    let mut list = map.get(key).map(|list| list.as_ref().clone()).unwrap_or_default();
    match (list.binary_search(name), enter) {
        (Err(place), true) => list.insert(place, name.clone()),
        (Ok(place), false) => {
            list.remove(place);
        }
        _ => return,
    }
    if list.is_empty() {
        map.remove_mut(key);
    } else {
        map.insert_mut(key.clone(), Arc::new(list));
    }
}

/// Both maps have the same keys, and under each of them the same value.
fn same_entries<K: Ord, V>(
    one: &RedBlackTreeMapSync<K, V>,
    other: &RedBlackTreeMapSync<K, V>,
    same: impl Fn(&V, &V) -> bool,
) -> bool {
    one.size() == other.size()
        && one.iter().zip(other.iter()).all(|((key, value), (other_key, other_value))| {
            (std::ptr::eq(value, other_value) || same(value, other_value))
                && (std::ptr::eq(key, other_key) || key == other_key)
        })
}

/// An entry of the namespace that tables, indexes, sequences and views share.
#[derive(Clone, Debug, PartialEq)]
pub enum Relation {
    Table(Arc<Table>),
    Index { table: QualifiedName },
    Sequence(Arc<Sequence>),
    View(Arc<View>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub name: QualifiedName,
    pub columns: List<Column>,
    pub constraints: List<Constraint>,
    pub indexes: List<Index>,
    pub triggers: List<Trigger>,
    /// Constraints beside those of its foreign keys to partitioned tables: one for each partition there.
    pub part_keys: Vec<PartKey>,
    pub rules: Vec<Rule>,
    pub policies: Vec<Policy>,
    pub row_security: bool,
    pub persistence: Persistence,
    /// ON COMMIT DROP.
    pub dropped_on_commit: bool,
    pub partition_by: Option<PartitionBy>,
    /// The parent of a partition and its bound.
    pub partition_of: Option<(QualifiedName, PartitionBound)>,
    /// Parents by INHERITS, in order.
    pub inherits: Vec<QualifiedName>,
    /// Partitions and inheritance children, in order of attachment.
    pub children: Vec<QualifiedName>,
    pub foreign: bool,
    /// DISABLE TRIGGER ALL: the triggers of its foreign keys, on both sides, do not fire.
    pub key_triggers_off: bool,
    /// The access method where it is another one than `heap`.
    pub access_method: Option<Ident>,
    /// The composite type of a typed table.
    pub of_type: Option<QualifiedName>,
    pub replica_identity: ReplicaIdentity,
    pub clustered_on: Option<Ident>,
    /// The storage parameter of that name.
    pub vacuum_truncate: Option<bool>,
    /// Only its existence is assumed: it belongs to an app or a statement that was not read. Its lists prove nothing.
    pub assumed: bool,
    /// Of an assumed table: a statement made it, so that it is there, whatever its columns are.
    pub made: bool,
    /// Something that was refused or not understood may have changed it: what it lacks may be there, and what it has
    /// may be gone.
    pub uncertain: bool,
}

impl Table {
    pub fn named(name: QualifiedName) -> Self {
        Self {
            name,
            columns: List::new(),
            constraints: List::new(),
            indexes: List::new(),
            triggers: List::new(),
            part_keys: Vec::new(),
            rules: Vec::new(),
            policies: Vec::new(),
            row_security: false,
            persistence: Persistence::Permanent,
            dropped_on_commit: false,
            partition_by: None,
            partition_of: None,
            inherits: Vec::new(),
            children: Vec::new(),
            foreign: false,
            key_triggers_off: false,
            access_method: None,
            of_type: None,
            replica_identity: ReplicaIdentity::Default,
            clustered_on: None,
            vacuum_truncate: None,
            assumed: false,
            made: false,
            uncertain: false,
        }
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.named(name)
    }

    pub fn constraint(&self, name: &str) -> Option<&Constraint> {
        self.constraints.named(name)
    }

    /// The constraint trigger whose constraint has that name.
    pub fn constraint_trigger(&self, name: &str) -> Option<&Trigger> {
        self.triggers.iter().find(|trigger| trigger.constraint.as_ref().is_some_and(|own| own == name))
    }

    /// Whether `pg_constraint` has a row of that name for the table: those of constraint triggers count.
    pub fn has_constraint(&self, name: &str) -> bool {
        self.constraint(name).is_some() || self.constraint_trigger(name).is_some() || self.part_key(name).is_some()
    }

    pub fn part_key(&self, name: &str) -> Option<&PartKey> {
        self.part_keys.iter().find(|part| part.name == *name)
    }

    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.named(name)
    }

    /// The place in the order in which the table's triggers, rules and policies were made, for the next one.
    pub(crate) fn next_place(&self) -> u32 {
        let triggers = self.triggers.iter().map(|trigger| trigger.place);
        let rules = self.rules.iter().map(|rule| rule.place);
        let policies = self.policies.iter().map(|policy| policy.place);
        triggers.chain(rules).chain(policies).max().map_or(0, |place| place + 1)
    }

    /// Whether it may have what its lists lack.
    pub fn is_vague(&self) -> bool {
        self.assumed || self.uncertain
    }

    /// Whether policies or rules may read other relations.
    fn is_secured(&self) -> bool {
        !self.policies.is_empty() || !self.rules.is_empty()
    }

    pub fn primary_key(&self) -> Option<&Constraint> {
        self.constraints.iter().find(|constraint| matches!(constraint.kind, ConstraintKind::PrimaryKey { .. }))
    }
}

impl Named for Column {
    fn name(&self) -> &Ident {
        &self.name
    }
}

impl Named for Constraint {
    fn name(&self) -> &Ident {
        &self.name
    }
}

impl Named for Index {
    fn name(&self) -> &Ident {
        &self.name
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: Ident,
    /// Never a serial pseudo-type: those are expanded into integer, NOT NULL, default and sequence.
    pub data_type: DataType,
    pub collation: Option<QualifiedName>,
    pub not_null: bool,
    pub default: Option<SqlExpr>,
    pub generated: Option<Generated>,
    pub identity: Option<Identity>,
    pub comment: Option<String>,
    /// Comes from a parent table (INHERITS or a partition's parent).
    pub inherited: bool,
    /// Of an inherited column: the table defined it by itself as well, and keeps it when the parent drops its own.
    pub own: bool,
}

impl Column {
    /// Whether its value comes from the sequence where an INSERT names none.
    pub fn draws_from(&self, sequence: &QualifiedName) -> bool {
        if self.identity.as_ref().is_some_and(|identity| identity.sequence == *sequence) {
            return true;
        }
        self.default.as_ref().is_some_and(|default| sequences_meant(&default.node).contains(sequence))
    }
}

/// Those of them that it means by more than the text of their names, which is looked up anew each time.
pub(crate) fn sequences_meant(node: &ExprNode) -> Vec<QualifiedName> {
    let mut found = Vec::new();
    node.walk(&mut |node| {
        let ExprNode::Call { args, .. } = node else { return };
        let by_text = |node: &ExprNode| matches!(node, ExprNode::Cast { data_type, .. } if !data_type.is("regclass"));
        if !args.first().is_some_and(by_text) {
            found.extend(sequence_of(node));
        }
    });
    found
}

/// The sequences that an expression names in `nextval('…')`, `currval('…')` or `setval('…', …)`.
pub(crate) fn sequences_in(node: &ExprNode) -> Vec<QualifiedName> {
    let mut found = Vec::new();
    node.walk(&mut |node| found.extend(sequence_of(node)));
    found
}

fn sequence_of(node: &ExprNode) -> Option<QualifiedName> {
    let ExprNode::Call { function, args, .. } = node else { return None };
    if !matches!(function.name.as_str(), "nextval" | "setval" | "currval") {
        return None;
    }
    let mut argument = args.first();
    while let Some(ExprNode::Cast { expr, .. }) = argument {
        argument = Some(&**expr);
    }
    match argument {
        Some(ExprNode::Text(text)) => Some(regclass(text)),
        _ => None,
    }
}

/// The relation that the text of a `regclass` literal names.
pub(crate) fn regclass(text: &str) -> QualifiedName {
    let mut parts: Vec<String> = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                if let Some(part) = parts.last_mut() {
                    part.push('"');
                }
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            _ => {
                if let Some(part) = parts.last_mut() {
                    if quoted {
                        part.push(character);
                    } else {
                        part.extend(character.to_lowercase());
                    }
                }
            }
        }
    }
    let name = parts.pop().unwrap_or_default();
    QualifiedName::as_written(parts.pop().map(Ident::from), name)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    pub expr: SqlExpr,
    /// `false` is VIRTUAL (18).
    pub stored: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// GENERATED ALWAYS, else BY DEFAULT.
    pub always: bool,
    pub sequence: QualifiedName,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    pub name: Ident,
    pub kind: ConstraintKind,
    /// `pg_constraint.convalidated`.
    pub valid: bool,
    /// As in `attributes`, with `not_valid` meaning nothing here: see `valid`.
    pub attributes: ConstraintAttributes,
    /// Comes from a parent table.
    pub inherited: bool,
    /// Comes from a parent table and is the table's own as well.
    pub own: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ConstraintKind {
    Check {
        expr: SqlExpr,
        no_inherit: bool,
    },
    /// The index has the constraint's name.
    Unique {
        columns: Vec<Ident>,
        include: Vec<Ident>,
        nulls_not_distinct: bool,
    },
    PrimaryKey {
        columns: Vec<Ident>,
        include: Vec<Ident>,
    },
    ForeignKey(ForeignKey),
    Exclude {
        elements: Vec<(IndexElement, String)>,
        predicate: Option<SqlExpr>,
    },
    /// A not-null constraint: of its own only since 18.
    NotNull {
        column: Ident,
        no_inherit: bool,
    },
}

impl ConstraintKind {
    /// What PostgreSQL's manual calls it, in small letters.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Check { .. } => "check",
            Self::Unique { .. } => "unique",
            Self::PrimaryKey { .. } => "primary key",
            Self::ForeignKey(_) => "foreign key",
            Self::Exclude { .. } => "exclude",
            Self::NotNull { .. } => "not null",
        }
    }
}

/// What a foreign key has for a partition of the table that it references: a constraint that nobody wrote, whose name is
/// taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartKey {
    pub name: Ident,
    /// The foreign key.
    pub key: Ident,
    pub partition: QualifiedName,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The last column on both sides is a PERIOD (18).
    pub period: bool,
    pub columns: Vec<Ident>,
    pub table: QualifiedName,
    /// The referenced columns; never empty unless the referenced table is only assumed.
    pub references: Vec<Ident>,
    pub match_type: Option<String>,
    pub on_delete: Option<String>,
    pub on_update: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    pub name: Ident,
    pub unique: bool,
    pub primary: bool,
    /// `pg_index.indisvalid`.
    pub valid: bool,
    /// Backs the constraint of the same name.
    pub constraint: bool,
    pub method: Ident,
    pub elements: Vec<IndexElement>,
    pub include: Vec<Ident>,
    pub nulls_not_distinct: bool,
    pub options: Vec<(String, String)>,
    pub predicate: Option<SqlExpr>,
    /// The index of the partitioned parent that this one is attached to.
    pub parent: Option<QualifiedName>,
}

impl Index {
    /// The key's columns in order; expressions are left out.
    pub fn key_columns(&self) -> impl Iterator<Item = &Ident> {
        self.elements.iter().filter_map(|element| element.key.column())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    pub name: Ident,
    /// See [`Table::next_place`].
    pub place: u32,
    pub timing: String,
    pub events: Vec<String>,
    pub update_of: Vec<Ident>,
    pub for_each_row: bool,
    pub when: Option<SqlExpr>,
    pub function: QualifiedName,
    /// CREATE CONSTRAINT TRIGGER: the name of its row in `pg_constraint`, which a renaming of either leaves alone.
    pub constraint: Option<Ident>,
    pub attributes: ConstraintAttributes,
    /// The table that a constraint trigger names with FROM.
    pub from: Option<QualifiedName>,
    /// It names the rows that the statement changed.
    pub transition_tables: bool,
    pub enabled: bool,
}

impl Trigger {
    /// Whether its definition names a column of its table, in UPDATE OF or in WHEN.
    pub fn reads(&self, column: &str) -> bool {
        self.update_of.iter().any(|name| *name == *column)
            || self.when.as_ref().is_some_and(|when| when.node.columns().iter().any(|name| *name == *column))
    }
}

/// Extended statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) table: QualifiedName,
    pub(crate) elements: Vec<IndexKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub name: Ident,
    /// See [`Table::next_place`].
    pub place: u32,
    /// `SELECT`, `INSERT`, `UPDATE` or `DELETE`.
    pub event: String,
    /// DO INSTEAD: what the statement would do is not done.
    pub instead: bool,
    /// For the rows that a WHERE chooses.
    pub conditional: bool,
    /// Something is done by it.
    pub acts: bool,
    pub enabled: bool,
    /// Columns that its condition and its actions name of `old` and `new`.
    pub columns: Vec<Ident>,
    /// What its actions call, as written.
    pub functions: Vec<QualifiedName>,
    /// The types that its actions cast to, as written.
    pub types: Vec<QualifiedName>,
    /// The relations that its actions read and write, with the columns that they name of each.
    pub dependencies: Vec<(QualifiedName, Vec<Ident>)>,
    /// Those that they write.
    pub writes: Vec<QualifiedName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub name: Ident,
    /// See [`Table::next_place`].
    pub place: u32,
    /// In small letters; `None` where none is written.
    pub command: Option<Ident>,
    pub using: PolicyCondition,
    pub with_check: PolicyCondition,
}

impl Policy {
    pub fn conditions(&self) -> [&PolicyCondition; 2] {
        [&self.using, &self.with_check]
    }

    pub(crate) fn conditions_mut(&mut self) -> [&mut PolicyCondition; 2] {
        [&mut self.using, &mut self.with_check]
    }

    /// Whether it names that column of its own table.
    pub fn names(&self, column: &Ident) -> bool {
        self.conditions().iter().any(|condition| condition.columns.contains(column))
    }

    /// Whether a subquery of it reads that column of a relation, or the relation at all.
    pub(crate) fn reads(&self, relation: &QualifiedName, column: Option<&Ident>) -> bool {
        self.conditions().iter().any(|condition| depends_on(&condition.dependencies, relation, column))
    }
}

/// Whether that column of a relation is among them, or the relation at all.
fn depends_on(dependencies: &[(QualifiedName, Vec<Ident>)], relation: &QualifiedName, column: Option<&Ident>) -> bool {
    dependencies
        .iter()
        .any(|(known, columns)| known == relation && column.is_none_or(|column| columns.contains(column)))
}

/// What an expression of a policy depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyCondition {
    /// The columns of the policy's own table.
    pub columns: Vec<Ident>,
    /// What it calls, as written.
    pub functions: Vec<QualifiedName>,
    /// The types that it casts to, as written.
    pub types: Vec<QualifiedName>,
    /// The relations that its subqueries read, with the columns that they read of each.
    pub dependencies: Vec<(QualifiedName, Vec<Ident>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    pub name: QualifiedName,
    pub options: SequenceOptions,
    pub owned_by: Option<(QualifiedName, Ident)>,
    /// Belongs to an identity column.
    pub identity: bool,
}

/// What subscribers are told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Publication {
    pub(crate) all_tables: bool,
    pub(crate) schemas: Vec<Ident>,
    pub(crate) parts: Vec<PublishedPart>,
    pub(crate) updates: bool,
    pub(crate) deletes: bool,
    /// `publish_via_partition_root`.
    pub(crate) via_root: bool,
    /// `publish_generated_columns`.
    pub(crate) generated: bool,
}

/// A published table and how much of it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedPart {
    pub(crate) table: QualifiedName,
    /// The list of columns; empty where all are published.
    pub(crate) columns: Vec<Ident>,
    /// It has a WHERE.
    pub(crate) filtered: bool,
    /// The columns that its WHERE names.
    pub(crate) filter: Vec<Ident>,
}

impl Publication {
    /// Whether the table is named by itself.
    pub(crate) fn names(&self, table: &QualifiedName) -> bool {
        self.parts.iter().any(|part| part.table == *table)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub name: QualifiedName,
    pub materialized: bool,
    pub query: Query,
    /// The output columns' names where they are known.
    pub columns: Vec<Ident>,
    /// Their types, each where it is known and one of PostgreSQL's own, which is never renamed.
    pub types: Vec<Option<DataType>>,
    /// Of them, those that have a default of the view's own.
    pub defaults: Vec<Ident>,
    /// The relations it reads directly, with the columns it reads of each, as they are named now.
    pub dependencies: Vec<(QualifiedName, Vec<Ident>)>,
    /// Of a query of one relation: the condition that its rows meet, as long as the columns have the names that they have
    /// in it.
    pub condition: Option<SqlExpr>,
    /// The tables whose primary key its GROUP BY rests on: columns that are not grouped follow from it.
    pub keyed: Vec<QualifiedName>,
    /// A materialized view's.
    pub indexes: Vec<Index>,
    /// Of a materialized view: it has been filled.
    pub populated: bool,
    /// A trigger or a rule does what is written through it.
    pub instead: bool,
    /// Its query is of a form through which nothing can be written, for certain.
    pub read_only: bool,
    /// WITH CHECK OPTION: rows that are written through it must be its own.
    pub check_option: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserType {
    pub name: QualifiedName,
    pub kind: UserTypeKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserTypeKind {
    Defined(TypeDefinition),
    Domain(Domain),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    pub base: DataType,
    pub not_null: bool,
    /// Of the constraint that it is since 17.
    pub not_null_name: Option<Ident>,
    pub default: Option<SqlExpr>,
    pub checks: Vec<DomainCheck>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainCheck {
    pub name: Ident,
    pub expr: SqlExpr,
    pub valid: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub procedure: bool,
    pub arguments: Vec<Option<DataType>>,
    /// With those of OUT among them, where there are any; else none.
    pub all_arguments: Vec<Option<DataType>>,
    pub argument_names: Vec<Option<Ident>>,
    /// How many arguments have a default.
    pub defaults: usize,
    pub returns: Option<DataType>,
    pub returns_set: bool,
    pub language: Option<Ident>,
    pub volatility: Volatility,
    pub body: Option<String>,
    /// The body's statements where it is SQL and understood.
    pub statements: Option<Arc<Vec<Statement>>>,
    /// The body is of the standard's form and depends on what it names.
    pub standard_body: bool,
    /// The relations and columns that a body of the standard's form depends on.
    pub dependencies: Vec<(QualifiedName, Vec<Ident>)>,
}
