//! The migrations that make the shadows the columns.
//!
//! Everything slow comes before and outside of the swap, in migrations of their own: indexes are built CONCURRENTLY on
//! the shadow, constraints are added NOT VALID, then validated; one of them says that shadow and source are equal, so that
//! no row that was not filled gets as far as the swap. The swap itself is one short transaction of changes to the
//! catalog. Its reverse puts every name and the trigger back, and the values of rows that were written since.
//!
//! Columns on both sides of a foreign key change in the same transaction: the key's twin joins the shadows beforehand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zdm_django::MigrationKey;
use zdm_postgres::catalog::Table;
use zdm_postgres::{Catalog, QualifiedName};
use zdm_replay::Trace;

use crate::migration::{self, MigrationFile, Operation, python_string};
use crate::mirror::{Mirror, Pair};
use crate::project::{ModelTable, Place, Released};
use crate::python;
use crate::references;
use crate::refusal::Refusal;

mod foreign_key;
mod table;

use foreign_key::foreign_keys;
use table::Builder;

pub use table::{ColumnExtras, ColumnGrant};

/// What becomes of the old column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Old {
    /// Kept under another name, for a quick way back; by default `COLUMN_old`.
    Keep(Option<String>),
    Dropped,
}

/// What the caller says beside the mirrors.
#[derive(Debug, Clone)]
pub struct Options {
    pub old: Old,
    /// The new field as Python text, where it cannot be told from the old one.
    pub field: Option<String>,
    /// What runs now, where that is known.
    pub released: Option<Released>,
    /// What a database says of the old columns that migrations do not.
    pub extras: Vec<ColumnExtras>,
}

/// A mirror that is swapped, and the table that it is on.
#[derive(Debug, Clone)]
pub struct Member {
    pub mirror: Mirror,
    pub model: ModelTable,
}

/// The migrations, in order, and what the user must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    pub files: Vec<MigrationFile>,
    pub notes: Vec<String>,
}

/// All that is swapped on one table.
#[derive(Debug, Clone)]
struct Swapped<'a> {
    table: &'a Table,
    model: &'a ModelTable,
    mirrors: Vec<&'a Mirror>,
    pairs: Vec<&'a Pair>,
}

/// Writes the migrations of a swap. They belong to the app of the first member; `places` has where each app's next
/// migration goes, by label.
///
/// # Errors
/// When a mirror is not there yet, when a model still names the shadow, when a foreign key would be left between a new
/// column and an old one, or when something hangs on a column that cannot be carried over.
pub fn generate(
    trace: &Trace,
    members: &[Member],
    places: &BTreeMap<Arc<str>, Place>,
    options: &Options,
) -> Result<Swap, Refusal> {
    let other = |text: String| Err(Refusal::Other(text));
    let Some(last) = trace.migrations.last() else { return other("the project has no migrations".to_owned()) };
    let Some(first) = members.first() else { return Err(Refusal::Nothing) };
    let catalog = &last.catalog_after;
    let tables = by_table(catalog, members)?;
    let mut notes = Vec::new();
    covered(trace, &tables)?;
    for member in members {
        ready(trace, member, options, &mut notes)?;
    }
    for swapped in &tables {
        refuse_what_cannot_be_carried(catalog, swapped, &options.old)?;
    }

    let mut builder = Builder::new(catalog, &options.old, &options.extras);
    for swapped in &tables {
        builder.table(swapped)?;
    }
    for key in foreign_keys(catalog, &tables)? {
        builder.foreign_key(&key);
    }
    notes.append(&mut builder.left);
    let steps = builder.steps;
    let (forward, backward) = steps.swap(&tables);

    let mut state = Vec::new();
    let mut imports = BTreeSet::new();
    for swapped in &tables {
        for pair in &swapped.pairs {
            state_of(swapped, pair, options, &mut state, &mut imports, &mut notes)?;
        }
    }
    let own = Arc::clone(&first.model.model.app);
    let Some(place) = places.get(&own) else { return other(format!("there is no app `{own}`")) };
    let apps: BTreeSet<&Arc<str>> =
        tables.iter().map(|swapped| &swapped.model.model.app).filter(|app| **app != own).collect();
    let others: Vec<&Place> = apps.iter().filter_map(|app| places.get(*app)).collect();
    let also: Vec<MigrationKey> = others.iter().map(|place| place.dependency.clone()).collect();

    let mut files = Vec::new();
    let mut place = Place { also, ..place.clone() };
    let targets: Vec<&str> = first.mirror.pairs.iter().map(|pair| pair.target.as_str()).collect();
    let described: Vec<String> = members.iter().map(|member| member.mirror.describe()).collect();
    let described = described.join("\n");
    let several = tables.len() > 1;
    // Statements on several tables do not share a transaction: no lock is held for the sake of another table's.
    let prepared = [
        (
            "index",
            false,
            "indexes like those of the old column are built on the shadow, while all go on",
            &steps.indexes,
        ),
        (
            "constrain",
            !several,
            "constraints like those of the old column, which hold for new rows at once",
            &steps.constraints,
        ),
        (
            "validate",
            !several,
            "the constraints are proved for the rows that are there, while all go on",
            &steps.validations,
        ),
    ];
    let following = |place: &Place, file: &MigrationFile| Place {
        number: place.number.saturating_add(1),
        dependency: file.key.clone(),
        also: Vec::new(),
        ..place.clone()
    };
    let model = &first.model.model.name;
    for (verb, atomic, what, operations) in prepared {
        if operations.is_empty() {
            continue;
        }
        let name = migration::file_name(place.number, verb, model, &targets);
        let header = format!("Written by `zdm mirror swap`: {what}.\n\n{described}");
        let file = migration::file(&place, &name, &header, atomic, &BTreeSet::new(), operations);
        place = following(&place, &file);
        files.push(file);
    }
    let changed: Vec<String> = tables
        .iter()
        .flat_map(|swapped| {
            swapped.pairs.iter().map(|pair| format!("{} of {}", pair.source.as_str(), swapped.table.name))
        })
        .collect();
    let header = format!(
        "Written by `zdm mirror swap`: the shadow takes the place of {}.\n\nBefore it is deployed `zdm mirror check` must find no \
         row that differs.",
        changed.join(", ")
    );
    let comment = several.then(|| {
        "zdm: ignore[ZDM143] columns on both sides of a foreign key change in one transaction, which lasts a moment"
            .to_owned()
    });
    if !state.is_empty() {
        imports.insert(MODELS.to_owned());
    }
    let operation = Operation::Separate { comment, forward, backward, state };
    let name = migration::file_name(place.number, "swap", model, &targets);
    let swap = migration::file(&place, &name, &header, true, &imports, &[operation]);
    for place in others {
        // What that app does next meets the new columns, on every database.
        let place = Place { also: vec![swap.key.clone()], ..place.clone() };
        let name = migration::file_name(place.number, "follow_swap", model, &targets);
        let header = format!("Written by `zdm mirror swap`: {} has changed columns of this app's tables.", swap.key);
        files.push(migration::file(&place, &name, &header, true, &BTreeSet::new(), &[]));
    }
    let at = files.len().saturating_sub(apps.len());
    files.insert(at, swap);
    notes.dedup();
    Ok(Swap { files, notes })
}

/// Marks that a migration needs `models`.
pub(crate) const MODELS: &str = "models";

fn by_table<'a>(catalog: &'a Catalog, members: &'a [Member]) -> Result<Vec<Swapped<'a>>, Refusal> {
    let mut tables: Vec<Swapped<'a>> = Vec::new();
    for Member { mirror, model } in members {
        let Some(table) = catalog.table(&model.table).filter(|table| !table.assumed) else {
            return Err(Refusal::Other(format!(
                "the table `{}` is not made by a migration that could be read",
                model.table
            )));
        };
        if let Some(known) = tables.iter_mut().find(|known| known.table.name == table.name) {
            known.mirrors.push(mirror);
            known.pairs.extend(&mirror.pairs);
        } else {
            tables.push(Swapped { table, model, mirrors: vec![mirror], pairs: mirror.pairs.iter().collect() });
        }
    }
    for swapped in &tables {
        for (at, pair) in swapped.pairs.iter().enumerate() {
            if swapped.pairs.iter().take(at).any(|other| other.source == pair.source) {
                return Err(Refusal::Other(format!(
                    "`{}` of `{}` has two shadows, and one column takes its place",
                    pair.source.as_str(),
                    swapped.table.name
                )));
            }
        }
        if let Some(pair) =
            swapped.pairs.iter().find(|pair| swapped.pairs.iter().any(|other| other.target == pair.source))
        {
            return Err(Refusal::Chain(pair.source.as_str().to_owned()));
        }
    }
    Ok(tables)
}

/// Whether the mirror is there and runs, and no running code names its shadows.
fn ready(trace: &Trace, member: &Member, options: &Options, notes: &mut Vec<String>) -> Result<(), Refusal> {
    let other = |text: String| Err(Refusal::Other(text));
    let Member { mirror, model } = member;
    let label = model.label();
    let name = mirror.object_name();
    for pair in &mirror.pairs {
        let target = pair.target.as_str();
        let forget = "release a migration that takes it out of the state alone (SeparateDatabaseAndState with RemoveField as its \
                      state operation) and models without it";
        if let Some(field) = model.field_of(target) {
            return other(format!(
                "the shadow `{target}` is still the field `{field}` of `{label}`: every process of the running release \
                 names it in each query and would fail with \"column does not exist\"; first {forget}, then swap"
            ));
        }
        if let Some(released) = &options.released {
            if let Some(field) = released.field_of(&trace.options.context, &model.table, target) {
                return other(format!(
                    "the shadow `{target}` is still the field `{field}` in the release that runs ({}): its processes name it in \
                     each query and would fail with \"column does not exist\"; the migration that takes it out of the \
                     state must be released first, and run everywhere, then swap",
                    released.reference
                ));
            }
        } else if let Some(removed) =
            trace.migrations.iter().rev().find(|migration| names_column(migration, trace, model, target))
        {
            notes.push(format!(
                "`{target}` was a field of `{label}` until {}: the release with that migration must run everywhere before \
                 this swap is deployed",
                removed.migration.key
            ));
        }
        if pair.adds_column {
            return other(format!(
                "no migration makes the shadow `{target}` of `{}`: write one first (`zdm mirror migration`), release it, and \
                 backfill",
                model.table
            ));
        }
        if pair.forward.is_some() && pair.backward.is_none() {
            return other(format!(
                "`{target}` comes from `{}` by an expression: the reverse of the swap needs --reverse-using",
                pair.source.as_str()
            ));
        }
    }
    let has_trigger = |catalog: &Catalog| {
        catalog
            .table(&model.table)
            .is_some_and(|table| table.triggers.iter().any(|trigger| trigger.name == name.as_str()))
    };
    if !trace.migrations.last().is_some_and(|last| has_trigger(&last.catalog_after)) {
        return other(format!(
            "no migration makes the trigger `{}`: without it the columns differ at the moment of the swap (`zdm mirror \
             migration`)",
            name.as_str()
        ));
    }
    let made = |migration: &&zdm_replay::MigrationTrace| {
        has_trigger(&migration.catalog_after) && !has_trigger(&migration.catalog_before)
    };
    if let Some(released) = &options.released
        && trace.migrations.iter().rev().find(made).is_some_and(|made| released.lacks(&made.migration.key))
    {
        return other(format!(
            "the mirror `{}` is not part of the release that runs ({}): release the migration that makes it first, fill the \
             rows that are there (`zdm backfill run`), and check (`zdm mirror check`), then swap",
            name.as_str(),
            released.reference
        ));
    }
    Ok(())
}

/// Whether the model named the column before that migration and no longer does after it.
fn names_column(migration: &zdm_replay::MigrationTrace, trace: &Trace, model: &ModelTable, column: &str) -> bool {
    let named = |state: &zdm_django::ProjectState| {
        let resolver = zdm_django::Resolver::new(state, &trace.options.context);
        resolver.model(&model.model.key()).is_ok_and(|resolved| {
            resolved
                .fields
                .iter()
                .filter_map(|field| field.as_ref().ok())
                .any(|field| field.column.as_deref() == Some(column))
        })
    };
    named(&migration.state_before) && !named(&migration.state_after)
}

fn refuse_what_cannot_be_carried(catalog: &Catalog, swapped: &Swapped<'_>, old: &Old) -> Result<(), Refusal> {
    let other = |text: String| Err(Refusal::Other(text));
    let table = swapped.table;
    if table.partition_by.is_some() || table.partition_of.is_some() {
        return other(format!(
            "`{}` is partitioned: PostgreSQL builds no index CONCURRENTLY through the parent, and the swap would build them under \
             its lock; swap by hand, an index per partition, with `zdm mirror sql` as a start",
            table.name
        ));
    }
    if !table.children.is_empty() || !table.inherits.is_empty() {
        return other(format!(
            "`{}` takes part in inheritance: indexes and keys are each table's own, and the swap would reach the columns of \
             all of them; swap by hand with `zdm mirror sql` as a start",
            table.name
        ));
    }
    for pair in &swapped.pairs {
        let source = pair.source.as_str();
        let named = |columns: &[zdm_postgres::Ident]| columns.iter().any(|name| *name == source);
        for column in &table.columns {
            if column.generated.as_ref().is_some_and(|generated| named(&generated.expr.node.columns())) {
                return other(format!(
                    "the generated column `{}` reads `{source}`: it would go on reading the old column",
                    column.name
                ));
            }
        }
        let own: Vec<String> = swapped.mirrors.iter().map(|mirror| mirror.object_name().as_str().to_owned()).collect();
        for trigger in &table.triggers {
            if own.iter().any(|name| trigger.name == name.as_str()) {
                continue;
            }
            if named(&trigger.update_of) || trigger.when.as_ref().is_some_and(|when| named(&when.node.columns())) {
                return other(format!(
                    "the trigger `{}` of `{}` names `{source}` in its condition: it would go on watching the old column; drop \
                     it before the swap and make it anew behind it, in migrations of their own",
                    trigger.name, table.name
                ));
            }
        }
        let column = zdm_postgres::Ident::new(source);
        let own_policies = table.policies.iter().filter(|policy| policy.names(&column));
        let own_policies = own_policies.map(|policy| (table.name.clone(), policy.name.clone()));
        let others = catalog.policies_reading(&table.name, Some(&column));
        if let Some((secured, policy)) = own_policies.chain(others).next() {
            return other(format!(
                "the policy `{policy}` of `{secured}` reads `{source}`: it would go on reading the old column, and let through or hide other \
                 rows than it should"
            ));
        }
        if *old == Old::Dropped
            && let Some((view, _)) = catalog.views_on(&table.name).into_iter().find(|(_, columns)| named(columns))
        {
            return other(format!(
                "the view `{view}` reads `{source}`: PostgreSQL does not drop a column that a view reads; make the view anew first, \
                 or keep the old column"
            ));
        }
    }
    Ok(())
}

/// No foreign key may be left between a column that changes and one that does not.
fn covered(trace: &Trace, tables: &[Swapped<'_>]) -> Result<(), Refusal> {
    let mut missing = Vec::new();
    for swapped in tables {
        for pair in &swapped.pairs {
            for found in references::referencing(trace, &swapped.table.name, pair.source.as_str()) {
                let mirrored = tables.iter().any(|other| {
                    other.table.name == found.table
                        && other.pairs.iter().any(|pair| pair.source.as_str() == found.column)
                });
                let same_already = pair.forward.is_none() && found.data_type.as_ref() == Some(&pair.target_data_type);
                if !mirrored && !same_already {
                    let key = found.constraint.map_or_else(
                        || "a foreign key of the models".to_owned(),
                        |constraint| format!("`{constraint}`"),
                    );
                    missing.push(format!("`{}` of `{}` ({key})", found.column, found.table));
                }
            }
        }
    }
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::Other(format!(
        "foreign keys reference a column that is swapped, from columns that are not: {}; each needs a mirror of its own, and all \
         are swapped together (--references, or entries [[tool.zdm.mirror]])",
        missing.join(", ")
    )))
}

fn state_of(
    swapped: &Swapped<'_>,
    pair: &Pair,
    options: &Options,
    state: &mut Vec<String>,
    imports: &mut BTreeSet<String>,
    notes: &mut Vec<String>,
) -> Result<(), Refusal> {
    let model = swapped.model;
    let Some(field_name) = model.field_of(pair.source.as_str()) else { return Ok(()) };
    let Some(field) = model.model.field(field_name) else { return Ok(()) };
    if field.django_class().is_some_and(|class| class.ends_with("ForeignKey") || class.ends_with("OneToOneField")) {
        // Its type follows the key that it points to.
        return Ok(());
    }
    let text = if let Some(text) = &options.field {
        imports.extend(python::imports(text));
        text.clone()
    } else {
        let made = python::field(field, &pair.target_data_type).map_err(|why| {
            Refusal::Other(format!("the new field `{field_name}` cannot be written: {why}; give it with --field"))
        })?;
        imports.extend(made.imports);
        made.text
    };
    notes.push(format!("in the models: {field_name} = {text}"));
    state.push(format!(
        "migrations.AlterField(\n    model_name={},\n    name={},\n    field={text},\n)",
        python_string(&model.model.name.to_lowercase()),
        python_string(field_name)
    ));
    Ok(())
}

impl Swapped<'_> {
    fn pair_of(&self, column: &str) -> Option<&Pair> {
        self.pairs.iter().copied().find(|pair| pair.source.as_str() == column)
    }
}

fn find<'a, 'b>(tables: &'b [Swapped<'a>], name: &QualifiedName) -> Option<&'b Swapped<'a>> {
    tables.iter().find(|swapped| swapped.table.name == *name)
}
