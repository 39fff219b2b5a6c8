//! What FROM makes visible, and which column a name means (`parse_relation.c`).

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::catalog::{Column, Relation};
use crate::data_type::DataType;
use crate::execute::{Run, Step, refuse};
use crate::name::{Ident, QualifiedName};
use crate::statement::Query;
use crate::volatility::Known;

/// What FROM of one SELECT makes visible.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) sources: Vec<Visible>,
    /// Columns of several sources that are one column here.
    pub(super) merged: Vec<Ident>,
    /// Any column may be such a one.
    pub(super) natural: bool,
}

impl Level {
    /// Whether a column of several sources may be one here.
    pub(super) fn may_merge(&self, column: &Ident) -> bool {
        self.natural || self.merged.contains(column)
    }

    /// The type of a column that several sources have as one.
    fn merged_type(&self, name: &Ident) -> Option<DataType> {
        let mut types = self.sources.iter().filter(|source| source.may_have(name)).map(|source| source.type_of(name));
        let first = types.next()??;
        types.all(|other| other.as_ref() == Some(&first)).then_some(first)
    }
}

/// One item of FROM.
#[derive(Clone, Debug, Default)]
pub(super) struct Visible {
    pub(super) alias: Option<Ident>,
    pub(super) aliased: bool,
    pub(super) relation: Option<QualifiedName>,
    /// `None` where they are not known.
    pub(super) columns: Option<Vec<Output>>,
    /// It is there, but cannot be named from here.
    pub(super) hidden: bool,
    /// Its columns are named behind its own name alone: the old and the new row of a rule.
    pub(super) by_name: bool,
}

impl Visible {
    /// A source under that name, whose columns are of no type that is known.
    pub(super) fn named(alias: &Ident, columns: Option<Vec<Ident>>) -> Self {
        let columns = columns.map(|names| names.into_iter().map(Output::open).collect());
        Self { alias: Some(alias.clone()), aliased: true, columns, ..Self::default() }
    }

    /// How many of its columns may be called so.
    fn may_have(&self, name: &Ident) -> bool {
        self.columns.as_ref().is_none_or(|columns| columns.iter().any(|column| column.may_be(name)))
    }

    pub(super) fn type_of(&self, name: &Ident) -> Option<DataType> {
        let column = self.columns.as_ref()?.iter().find(|column| column.is(name))?;
        match &column.value {
            Typed::Known(data_type) => Some(data_type.clone()),
            Typed::Literal(_) | Typed::Row(_) | Typed::Open => None,
        }
    }
}

/// A column that a query gives, or a source has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Output {
    /// `None` where it is not known.
    pub(super) name: Option<Ident>,
    pub(super) value: Typed,
}

impl Output {
    pub(super) const fn open(name: Ident) -> Self {
        Self { name: Some(name), value: Typed::Open }
    }

    pub(super) fn is(&self, name: &Ident) -> bool {
        self.name.as_ref() == Some(name)
    }

    pub(super) fn may_be(&self, name: &Ident) -> bool {
        self.name.as_ref().is_none_or(|known| known == name)
    }
}

/// What is known of the type of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// With its modifiers, domains included.
    Known(DataType),
    /// NULL, or a string with its text, whose type is still open for the server as well.
    Literal(Option<String>),
    /// What a query gives that several columns are set to.
    Row(Vec<Option<DataType>>),
    Open,
}

impl Typed {
    /// `resolveTargetListUnknowns`: what nothing has given a type to is text.
    pub(super) fn settled(self) -> Self {
        match self {
            Self::Literal(_) => Self::Known(DataType::named("text")),
            known => known,
        }
    }

    pub(super) fn known(&self) -> Option<&DataType> {
        match self {
            Self::Known(data_type) => Some(data_type),
            Self::Literal(_) | Self::Row(_) | Self::Open => None,
        }
    }
}

/// What WITH defines.
#[derive(Clone, Debug)]
pub(super) struct Defined {
    pub(super) name: Ident,
    /// `None` where they are not known.
    pub(super) columns: Option<Vec<Output>>,
    /// A change of rows that returns nothing.
    pub(super) silent: bool,
    /// It is the one that is being read.
    pub(super) itself: bool,
}

/// A column of a level around a query: the place of the level, counted from the outermost, and of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outer {
    pub(super) level: usize,
    pub(super) place: usize,
    pub(super) name: Ident,
}

/// What is known of the queries that were looked at, by where they lie in memory: an expression is typed behind its queries.
#[derive(Debug, Default)]
pub(super) struct Seen {
    columns: RefCell<BTreeMap<usize, Option<Vec<Output>>>>,
    /// The columns around it that a query names, of the level that it stands in.
    outer: RefCell<BTreeMap<usize, Vec<Outer>>>,
    references: RefCell<Vec<Outer>>,
}

impl Seen {
    pub(super) fn keep(&self, query: &Query, columns: Option<Vec<Output>>) {
        self.columns.borrow_mut().insert(address(query), columns);
    }

    pub(super) fn columns(&self, query: &Query) -> Option<Vec<Output>> {
        self.columns.borrow().get(&address(query)).cloned().flatten()
    }

    pub(super) fn refer(&self, outer: Outer) {
        self.references.borrow_mut().push(outer);
    }

    /// How many there are so far.
    pub(super) fn references(&self) -> usize {
        self.references.borrow().len()
    }

    pub(super) fn forget_references(&self, from: usize) {
        self.references.borrow_mut().truncate(from);
    }

    /// Those since then that name columns of that level are the query's.
    pub(super) fn keep_references(&self, query: &Query, from: usize, level: usize) {
        let references = self.references.borrow();
        let own = references.iter().skip(from).filter(|outer| outer.level == level).cloned().collect();
        self.outer.borrow_mut().insert(address(query), own);
    }

    pub(super) fn outer(&self, query: &Query) -> Vec<Outer> {
        self.outer.borrow().get(&address(query)).cloned().unwrap_or_default()
    }
}

fn address(query: &Query) -> usize {
    std::ptr::from_ref(query).addr()
}

/// What surrounds a query: the levels around it, the nearest last, and what WITH defines there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub(super) levels: &'a [&'a Level],
    pub(super) defined: &'a [Defined],
    pub(super) seen: &'a Seen,
}

impl<'a> Around<'a> {
    pub(super) const fn nothing(seen: &'a Seen) -> Self {
        Self { levels: &[], defined: &[], seen }
    }

    /// What the items of WITH can name before the first of them is read.
    pub(super) fn starting(&self, query: &Query) -> Vec<Defined> {
        let own = query.with.iter().filter(|_| query.recursive);
        let own = own.map(|table| Defined { name: table.name.clone(), columns: None, silent: false, itself: false });
        self.defined.iter().cloned().chain(own).collect()
    }

    /// The nearest that is called so.
    pub(super) fn defined(&self, name: &QualifiedName) -> Option<&'a Defined> {
        let called = |defined: &&Defined| name.schema.is_none() && defined.name == name.name;
        self.defined.iter().rev().find(called)
    }
}

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A column of the source at that place of that level, counted from the nearest.
    Column(usize, usize),
    /// Something else, or not known.
    Open,
}

impl Run {
    /// `colNameToVar` and `scanNSItemForColumn`.
    pub(super) fn meaning(&self, qualifier: Option<&Ident>, name: &Ident, levels: &[&Level]) -> Step<Meaning> {
        if crate::execute::create_table::is_system_column(name) {
            return Ok(Meaning::Open);
        }
        let Some(qualifier) = qualifier else { return meaning_of_bare(name, levels) };
        let Some((up, place)) = find_source(qualifier, levels)? else { return Ok(Meaning::Open) };
        let source = &levels[up].sources[place];
        match &source.columns {
            Some(columns) if columns.iter().any(|column| column.is(name)) => Ok(Meaning::Column(up, place)),
            Some(_) if source.may_have(name) => Ok(Meaning::Open),
            // A schema before the name, which is not kept, may tell it from another one.
            Some(_) if is_called_twice(qualifier, levels) => Ok(Meaning::Open),
            // A function of the row is called like a column.
            Some(_) if !self.may_be_function(name) => {
                refuse("42703", format!("column {qualifier}.{name} does not exist"))
            }
            _ => Ok(Meaning::Open),
        }
    }

    /// The columns of a relation with their types.
    pub(super) fn columns_seen(&self, name: &QualifiedName) -> Option<Vec<Output>> {
        match self.catalog().relation(name)? {
            Relation::Table(table) if !table.is_vague() => {
                let seen = |column: &Column| Output {
                    name: Some(column.name.clone()),
                    value: Typed::Known(column.data_type.clone()),
                };
                Some(table.columns.iter().map(seen).collect())
            }
            Relation::View(view) if !view.columns.is_empty() => {
                let types = view.types.iter().cloned().chain(std::iter::repeat(None));
                let seen = |(name, data_type): (&Ident, Option<DataType>)| Output {
                    name: Some(name.clone()),
                    value: data_type.map_or(Typed::Open, Typed::Known),
                };
                Some(view.columns.iter().zip(types).map(seen).collect())
            }
            _ => None,
        }
    }

    /// The type of the column that the name means.
    pub(super) fn type_of_column(
        &self,
        qualifier: Option<&Ident>,
        name: &Ident,
        levels: &[&Level],
    ) -> Option<DataType> {
        match self.meaning(qualifier, name, levels) {
            Ok(Meaning::Column(up, place)) => levels[up].sources[place].type_of(name),
            Ok(Meaning::Open) if qualifier.is_none() => {
                let level = levels.first()?;
                if level.may_merge(name) { level.merged_type(name) } else { None }
            }
            _ => None,
        }
    }

    fn may_be_function(&self, name: &Ident) -> bool {
        let function = QualifiedName::as_written(None, name.clone());
        self.find_function(&function).is_some()
            || self.function_volatility(&function, 1) != Known::Unknown
            || crate::cast::is_builtin_type(name.as_str(), self.version)
            || self.find_type(&function).is_some()
    }
}

/// This level and those around it, the nearest first.
pub(super) fn chain<'a>(level: &'a Level, around: Around<'a>) -> Vec<&'a Level> {
    std::iter::once(level).chain(around.levels.iter().rev().copied()).collect()
}

/// The source that is called so, by its level and place; `None` where it may be one whose name is not known.
pub(super) fn find_source(qualifier: &Ident, levels: &[&Level]) -> Step<Option<(usize, usize)>> {
    for (up, level) in levels.iter().enumerate() {
        let sources = level.sources.iter().enumerate();
        let mut called = sources.filter(|(_, source)| !source.hidden && source.alias.as_ref() == Some(qualifier));
        match (called.next(), called.next()) {
            (Some(_), Some(_)) => return refuse("42P09", format!("table reference \"{qualifier}\" is ambiguous")),
            (Some((place, _)), None) => return Ok(Some((up, place))),
            (None, _) => {}
        }
    }
    let there = |source: &Visible| {
        source.alias.as_ref() == Some(qualifier)
            || source.relation.as_ref().is_some_and(|relation| relation.name == *qualifier)
    };
    let what =
        if levels.iter().any(|level| level.sources.iter().any(there)) { "invalid reference to" } else { "missing" };
    refuse("42P01", format!("{what} FROM-clause entry for table \"{qualifier}\""))
}

fn is_called_twice(qualifier: &Ident, levels: &[&Level]) -> bool {
    let sources = levels.iter().flat_map(|level| &level.sources);
    sources.filter(|source| source.alias.as_ref() == Some(qualifier)).nth(1).is_some()
}

/// Names of their own for the first columns.
pub(super) fn rename_first(columns: &mut [Output], names: &[Ident]) {
    for (column, name) in columns.iter_mut().zip(names) {
        column.name = Some(name.clone());
    }
}

/// `checkNameSpaceConflicts`.
pub(super) fn check_alias(level: &Level, new: &Visible) -> Step {
    let Some(alias) = &new.alias else { return Ok(()) };
    let conflicts = |known: &&Visible| {
        known.alias.as_ref() == Some(alias)
            && (known.aliased || new.aliased || known.relation.is_none() || known.relation == new.relation)
    };
    if level.sources.iter().any(|known| conflicts(&known)) {
        return refuse("42712", format!("table name \"{alias}\" specified more than once"));
    }
    Ok(())
}

/// `colNameToVar`: the nearest level that has such a column, where only one source may.
fn meaning_of_bare(name: &Ident, levels: &[&Level]) -> Step<Meaning> {
    for (up, level) in levels.iter().enumerate() {
        let mut found = Vec::new();
        for (place, source) in level.sources.iter().enumerate().filter(|(_, source)| !source.hidden && !source.by_name)
        {
            let Some(columns) = &source.columns else { return Ok(Meaning::Open) };
            if columns.iter().any(|column| column.name.is_none()) {
                return Ok(Meaning::Open);
            }
            // A source may have several columns of a name, which none can name then.
            found.extend(columns.iter().filter(|column| column.is(name)).map(|_| place));
        }
        match found.as_slice() {
            [] => {}
            [place] => return Ok(Meaning::Column(up, *place)),
            _ if level.may_merge(name) => return Ok(Meaning::Open),
            _ => return refuse("42702", format!("column reference \"{name}\" is ambiguous")),
        }
    }
    // The name of a source is its whole row.
    let is_source = |source: &Visible| source.alias.as_ref() == Some(name);
    if levels.iter().any(|level| level.sources.iter().any(is_source)) {
        return Ok(Meaning::Open);
    }
    refuse("42703", format!("column \"{name}\" does not exist"))
}
