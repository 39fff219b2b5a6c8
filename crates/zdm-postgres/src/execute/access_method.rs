//! What each index access method can do, and which types it has operator classes for.
//!
//! What an extension brings may be there without a migration that makes it: whoever runs the server has. So nothing is
//! refused that one of them would allow, it may fail.

use std::sync::OnceLock;

use super::{Run, Step, refuse};
use crate::catalog::{Catalog, Column, Index, Table, UserTypeKind};
use crate::data_type::DataType;
use crate::expr::ExprNode;
use crate::name::{Ident, QualifiedName};
use crate::statement::{IndexElement, IndexKey};
use crate::typing::{Columns, Place, Value};
use crate::version::PgVersion;

/// An operator class of the server's own.
struct Class {
    method: &'static str,
    name: &'static str,
    data_type: &'static str,
    default: bool,
    /// The first version that has it, after 12.
    since: u16,
}

fn classes(version: PgVersion) -> impl Iterator<Item = &'static Class> + Clone {
    static TABLE: OnceLock<Vec<Class>> = OnceLock::new();
    let all = TABLE.get_or_init(|| {
        let lines = include_str!("access_method/classes.txt").lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| {
                let mut words = line.split(' ');
                Some(Class {
                    method: words.next()?,
                    name: words.next()?,
                    data_type: words.next()?,
                    default: words.next()? == "d",
                    since: words.next().and_then(|word| word.strip_prefix('+')?.parse().ok()).unwrap_or(0),
                })
            })
            .collect()
    });
    all.iter().filter(move |class| version.at_least(class.since))
}

/// `amcanunique`, `amcaninclude`, `amcanmulticol`, `amcanorder`, `amgettuple` (which EXCLUDE wants).
struct Abilities {
    unique: bool,
    include: bool,
    multicolumn: bool,
    order: bool,
    exclude: bool,
}

const fn abilities(method: &str) -> Option<Abilities> {
    let (unique, include, multicolumn, order, exclude) = match method.as_bytes() {
        b"btree" => (true, true, true, true, true),
        b"hash" => (false, false, false, false, true),
        b"gist" => (false, true, true, false, true),
        b"spgist" => (false, true, false, false, true),
        b"gin" | b"brin" => (false, false, true, false, false),
        _ => return None,
    };
    Some(Abilities { unique, include, multicolumn, order, exclude })
}

/// Types that `btree_gist` and `btree_gin` have default classes for.
const SCALARS: &str = "int2 int4 int8 float4 float8 numeric timestamp timestamptz time timetz date interval oid money text varchar \
    bpchar bytea bit varbit macaddr macaddr8 inet cidr uuid bool char name";

impl Run {
    /// `DefineIndex` and `ComputeIndexAttrs`, as far as method and types decide. `excluding`: the operators of EXCLUDE.
    pub(super) fn check_access_method(&mut self, index: &Index, table: Option<&Table>, excluding: &[&str]) -> Step {
        self.check_method(index, !excluding.is_empty())?;
        check_index_options(index.method.as_str(), &index.options, self.version)?;
        self.check_elements(index, table, excluding)
    }

    /// What the method can.
    pub(super) fn check_method(&mut self, index: &Index, excluding: bool) -> Step {
        let method = index.method.as_str();
        let Some(can) = abilities(method) else {
            self.may_fail_always("42704", format!("access method {method} does not exist"));
            return Ok(());
        };
        let cannot = |what: &str| refuse("0A000", format!("access method \"{method}\" does not support {what}"));
        if index.unique && !can.unique && !(index.constraint && method == "gist") {
            return cannot("unique indexes");
        }
        let includes = can.include && (method != "spgist" || self.version.at_least(14));
        if !index.include.is_empty() && !includes {
            return cannot("included columns");
        }
        if index.elements.len() > 1 && !can.multicolumn {
            return cannot("multicolumn indexes");
        }
        if excluding && !can.exclude {
            return cannot("exclusion constraints");
        }
        Ok(())
    }

    /// `ComputeIndexAttrs`: the operator class of each element, and how it is sorted.
    pub(super) fn check_elements(&mut self, index: &Index, table: Option<&Table>, excluding: &[&str]) -> Step {
        let method = index.method.as_str();
        let Some(can) = abilities(method) else { return Ok(()) };
        let cannot = |what: &str| refuse("0A000", format!("access method \"{method}\" does not support {what}"));
        for (place, element) in index.elements.iter().enumerate() {
            if let (IndexKey::Expr(expr), None) = (&element.key, &element.opclass)
                && matches!(&*expr.node, ExprNode::Text(_) | ExprNode::Null)
            {
                let message = format!("data type unknown has no default operator class for access method \"{method}\"");
                return refuse("42704", message);
            }
            let data_type = table.and_then(|table| self.type_of_element(element, table));
            if let Some(data_type) = &data_type {
                self.check_class(method, element, data_type)?;
                check_class_options(element)?;
                if let Some(operator) = excluding.get(place) {
                    self.check_exclusion(method, element, operator, data_type)?;
                }
            }
            if element.descending && !can.order {
                return cannot("ASC/DESC options");
            }
            if element.nulls_first.is_some() && !can.order {
                return cannot("NULLS FIRST/LAST options");
            }
        }
        Ok(())
    }

    /// The type of a column or an expression where it certainly has no order.
    pub(super) fn type_without_order(&self, key: &IndexKey, table: &Table) -> Option<String> {
        let data_type = self.type_of_key(key, table)?;
        let served = served_types(self.catalog(), &data_type)?;
        let more = self.catalog().has_own_operators() || self.catalog().is_incomplete() || !self.extensions_are_known();
        let own = |class: &Class| class.method == "btree" && class.default && served.contains(&class.data_type);
        (!more && !classes(self.version).any(own) && self.brought_by("btree", &data_type, &served).is_none())
            .then(|| self.shown(&data_type))
    }

    fn type_of_element(&self, element: &IndexElement, table: &Table) -> Option<DataType> {
        self.type_of_key(&element.key, table)
    }

    fn type_of_key(&self, key: &IndexKey, table: &Table) -> Option<DataType> {
        if table.is_vague() {
            return None;
        }
        match key {
            IndexKey::Column(column) => match table.column(column.as_str()) {
                Some(column) => Some(column.data_type.clone()),
                None => type_of_system_column(column).map(DataType::named),
            },
            IndexKey::Expr(expr) => {
                let scope = self.scope_of(Columns::Table(table), Place::IndexExpression);
                match scope.read(&expr.node) {
                    Ok(Value::Known(data_type)) => Some(data_type),
                    _ => None,
                }
            }
        }
    }

    fn check_class(&mut self, method: &str, element: &IndexElement, data_type: &DataType) -> Step {
        let shown = self.shown(data_type);
        if let Some(collation) = &element.collation {
            let base = crate::cast::base_type(self.catalog(), data_type);
            let plain = ["text", "varchar", "bpchar", "name"].iter().any(|name| base.is(name));
            if !plain && !base.is_array() && is_own(self.catalog(), &base) {
                return refuse("42804", format!("collations are not supported by type {shown}"));
            }
            if !matches!(collation.name.as_str(), "C" | "POSIX" | "default" | "ucs_basic") {
                self.may_fail_always("42704", format!("collation {collation} does not exist"));
            }
        }
        let more = self.catalog().has_own_operators() || self.catalog().is_incomplete();
        let Some(served) = served_types(self.catalog(), data_type) else { return Ok(()) };
        if let Some(opclass) = element.opclass.as_ref().filter(|class| !is_forgotten(class, self.version)) {
            let same = |class: &&Class| class.method == method && opclass.name == class.name;
            let known = classes(self.version).find(same);
            let trigrams = matches!(opclass.name.as_str(), "gin_trgm_ops" | "gist_trgm_ops");
            return match known {
                None if trigrams && !served.contains(&"text") => {
                    refuse("42804", format!("operator class \"{}\" does not accept data type {shown}", opclass.name))
                }
                Some(class) if !served.contains(&class.data_type) && !stored_alike(&served, class.data_type) => {
                    refuse("42804", format!("operator class \"{}\" does not accept data type {shown}", opclass.name))
                }
                Some(_) => Ok(()),
                None if !more && classes(PgVersion::NEWEST).any(|class| same(&class)) => refuse(
                    "42704",
                    format!("operator class \"{}\" does not exist for access method \"{method}\"", opclass.name),
                ),
                None => {
                    self.may_fail_always("42704", format!("operator class {opclass} does not exist"));
                    Ok(())
                }
            };
        }
        let own = classes(self.version)
            .any(|class| class.method == method && class.default && served.contains(&class.data_type));
        if own || more || !self.extensions_are_known() {
            return Ok(());
        }
        let condition = format!("data type {shown} has no default operator class for access method \"{method}\"");
        if let Some(extension) = self.brought_by(method, data_type, &served) {
            if !self.catalog().has_extension(extension) {
                self.may_fail_always("42704", format!("without the extension {extension}: {condition}"));
            }
            return Ok(());
        }
        refuse("42704", condition)
    }

    /// The extension that has a default operator class for what the server itself has none.
    fn brought_by(&self, method: &str, data_type: &DataType, served: &[&str]) -> Option<&'static str> {
        let base = crate::cast::base_type(self.catalog(), data_type);
        let name = base.name.name.as_str();
        let scalar = !base.is_array()
            && (SCALARS.split_whitespace().any(|known| known == name) || served.first() == Some(&"anyenum"));
        match method {
            "gist" if scalar => Some("btree_gist"),
            "gin" if scalar => Some("btree_gin"),
            "gist" if base.is_array() && name == "int4" => Some("intarray"),
            _ => None,
        }
    }

    /// The extension whose operator class an element of an index has.
    pub(super) fn extension_of_class(
        &self,
        method: &Ident,
        element: &IndexElement,
        table: &Table,
    ) -> Option<&'static str> {
        if let Some(opclass) = &element.opclass {
            return match opclass.name.as_str() {
                "gin_trgm_ops" | "gist_trgm_ops" => Some("pg_trgm"),
                "gist__int_ops" | "gist__intbig_ops" | "gin__int_ops" => Some("intarray"),
                _ => None,
            };
        }
        let data_type = self.type_of_element(element, table)?;
        let served = served_types(self.catalog(), &data_type)?;
        let own = classes(self.version)
            .any(|class| method == class.method && class.default && served.contains(&class.data_type));
        if own { None } else { self.brought_by(method.as_str(), &data_type, &served) }
    }

    /// The index as `pg_index` has it: what is named and would be taken anyhow, the type's default operator class and the
    /// column's own collation, is not told from what was left out (`get_opclass_name`, `pg_get_indexdef_worker`).
    pub(super) fn without_defaults(&self, index: &mut Index, table: Option<&Table>) {
        let Some(table) = table else { return };
        for element in &mut index.elements {
            self.drop_defaults(&index.method, element, table);
        }
    }

    /// The same of one element.
    pub(super) fn drop_defaults(&self, method: &Ident, element: &mut IndexElement, table: &Table) {
        element.opclass.take_if(|class| is_forgotten(class, self.version));
        if let Some(opclass) = &element.opclass
            && element.options.is_empty()
            && let Some(class) =
                classes(self.version).find(|class| method == class.method && opclass.name == class.name)
            && class.default
            && opclass.schema.as_ref().is_none_or(|schema| schema == "pg_catalog")
            && let Some(data_type) = self.type_of_element(element, table)
            && served_types(self.catalog(), &data_type).is_some_and(|served| served.contains(&class.data_type))
        {
            element.opclass = None;
        }
        let column = element.key.column().and_then(|column| table.column(column.as_str()));
        if let (Some(named), Some(column)) = (&element.collation, column)
            && own_collation(column).is_some_and(|own| own == named.name.as_str())
        {
            element.collation = None;
        }
    }

    /// An operator of EXCLUDE commutes and is one of the class's.
    fn check_exclusion(&mut self, method: &str, element: &IndexElement, operator: &str, data_type: &DataType) -> Step {
        let base = crate::cast::base_type(self.catalog(), data_type);
        if self.catalog().has_own_operators() || element.opclass.is_some() || !is_own(self.catalog(), &base) {
            return Ok(());
        }
        let Some(served) = served_types(self.catalog(), &base) else { return Ok(()) };
        // The input type of the operator, and how a message names it.
        let input = |name: &str| match name.strip_prefix("any") {
            Some(_) => DataType::named(name),
            None => crate::cast::operator_class_type(self.catalog(), &base),
        };
        let polymorphic = served.iter().find(|name| name.starts_with("any"));
        let input = input(polymorphic.map_or("", |name| name));
        let class = classes(self.version)
            .find(|class| class.method == method && class.default && served.contains(&class.data_type));
        match crate::typing::commutes(operator, &input) {
            None => {
                let condition = format!("operator does not exist: {0} {operator} {0}", self.shown(data_type));
                if matches!(operator, "<->" | "%") {
                    self.may_fail_always("42883", condition);
                    return Ok(());
                }
                refuse("42883", condition)
            }
            Some(false) => refuse("42809", format!("operator {operator}({input},{input}) is not commutative")),
            Some(true) => {
                let Some(class) = class else { return Ok(()) };
                let member = include_str!("access_method/exclusions.txt").lines().any(|line| {
                    let mut words = line.split(' ');
                    words.next() == Some(method) && words.next() == Some(class.name) && words.next() == Some(operator)
                });
                if member || matches!(method, "gist" | "spgist") && !self.catalog().extensions.is_empty() {
                    return Ok(());
                }
                let family = family(class);
                refuse(
                    "42809",
                    format!("operator {operator}({input},{input}) is not a member of operator family \"{family}\""),
                )
            }
        }
    }
}

/// Before 13 names of earlier releases stood for the type's default class (`ResolveOpClass`).
fn is_forgotten(class: &QualifiedName, version: PgVersion) -> bool {
    !version.at_least(13)
        && class.schema.is_none()
        && ["network_ops", "timespan_ops", "datetime_ops", "lztext_ops", "timestamp_ops", "bigbox_ops"]
            .iter()
            .any(|name| class.name == *name)
}

/// Options of the operator classes that have some (`amoptsprocnum`), with their bounds.
fn check_class_options(element: &IndexElement) -> Step {
    let Some(opclass) = element.opclass.as_ref().filter(|_| !element.options.is_empty()) else { return Ok(()) };
    let known: &[(&str, Option<(f64, f64)>)] = match opclass.name.as_str() {
        "tsvector_ops" => &[("siglen", Some((1.0, 2024.0)))],
        name if name.ends_with("_bloom_ops") => {
            &[("n_distinct_per_range", Some((-1.0, 2_147_483_647.0))), ("false_positive_rate", Some((0.0001, 0.25)))]
        }
        name if name.ends_with("_minmax_multi_ops") => &[("values_per_range", Some((8.0, 256.0)))],
        name if classes(PgVersion::NEWEST).any(|class| class.name == name) => {
            return refuse("22023", format!("operator class {name} has no options"));
        }
        _ => return Ok(()),
    };
    check_options(&element.options, known)
}

/// The collation by which a column is sorted; `None` where its type does not say.
fn own_collation(column: &Column) -> Option<&str> {
    let plain =
        !column.data_type.is_array() && ["text", "varchar", "bpchar"].iter().any(|name| column.data_type.is(name));
    column.collation.as_ref().map(|collation| collation.name.as_str()).or(plain.then_some("default"))
}

/// `pg_opfamily` by class, where the names differ.
fn family(class: &Class) -> &'static str {
    match (class.method, class.name) {
        ("btree" | "hash", "int2_ops" | "int4_ops" | "int8_ops") => "integer_ops",
        ("btree" | "hash", "float4_ops" | "float8_ops") => "float_ops",
        ("btree" | "hash", "text_ops" | "varchar_ops" | "name_ops") => "text_ops",
        ("btree", "date_ops" | "timestamp_ops" | "timestamptz_ops") => "datetime_ops",
        ("btree" | "hash", "inet_ops" | "cidr_ops") => "network_ops",
        (_, name) => name,
    }
}

fn is_own(catalog: &Catalog, base: &DataType) -> bool {
    base.name.schema.is_none()
        && catalog.user_type(&base.name).is_none()
        && crate::cast::is_builtin_type(base.name.name.as_str(), PgVersion::NEWEST)
}

/// Implicit casts that change nothing of what is stored (`IsBinaryCoercible`), beside those by which types are served.
fn stored_alike(served: &[&str], wanted: &str) -> bool {
    const ALIKE: [(&str, &str); 5] =
        [("text", "bpchar"), ("varchar", "bpchar"), ("int4", "oid"), ("bit", "varbit"), ("varbit", "bit")];
    ALIKE.iter().any(|(stored, class)| *class == wanted && served.contains(stored))
}

/// The types whose operator classes serve values of the type, the closest first; `None` where it is not one that is known.
fn served_types(catalog: &Catalog, data_type: &DataType) -> Option<Vec<&'static str>> {
    let base = crate::cast::base_type(catalog, data_type);
    if base.is_array() {
        return Some(vec!["anyarray"]);
    }
    if let Some(user) = catalog.user_type(&base.name) {
        return match &user.kind {
            UserTypeKind::Defined(crate::statement::TypeDefinition::Enum(_)) => Some(vec!["anyenum"]),
            UserTypeKind::Defined(crate::statement::TypeDefinition::Range) => Some(vec!["anyrange"]),
            UserTypeKind::Defined(crate::statement::TypeDefinition::Composite(_)) => Some(vec!["record"]),
            _ => None,
        };
    }
    if !is_own(catalog, &base) {
        return None;
    }
    let name = base.name.name.as_str();
    Some(match name {
        "varchar" => vec!["text"],
        "cidr" => vec!["inet"],
        _ if name.ends_with("multirange") => vec!["anymultirange"],
        _ if name.ends_with("range") => vec!["anyrange"],
        _ if name.starts_with("reg") => vec!["oid"],
        _ => match classes(catalog.version).find(|class| class.data_type == name) {
            Some(class) => vec![class.data_type],
            None => vec!["none"],
        },
    })
}

/// Storage parameters of an access method (manual, "CREATE INDEX", "Index Storage Parameters"), with their bounds.
pub(super) fn check_index_options(method: &str, options: &[(String, String)], version: PgVersion) -> Step {
    let known: &[(&str, Option<(f64, f64)>)] = match method {
        // Since 13 an index keeps equal values once.
        "btree" if !version.at_least(13) => {
            &[("fillfactor", Some((10.0, 100.0))), ("vacuum_cleanup_index_scale_factor", Some((0.0, 1e10)))]
        }
        "btree" => &[
            ("fillfactor", Some((10.0, 100.0))),
            ("deduplicate_items", None),
            ("vacuum_cleanup_index_scale_factor", Some((0.0, 1e10))),
        ],
        "hash" | "spgist" => &[("fillfactor", Some((10.0, 100.0)))],
        "gist" => &[("fillfactor", Some((10.0, 100.0))), ("buffering", None)],
        "gin" => &[("fastupdate", None), ("gin_pending_list_limit", Some((64.0, 2_147_483_647.0)))],
        "brin" => &[("pages_per_range", Some((1.0, 131_072.0))), ("autosummarize", None)],
        _ => return Ok(()),
    };
    check_options(options, known)
}

/// Storage parameters with the bounds of those that are numbers; those without are Boolean or one of a few words.
pub(super) fn check_options(options: &[(String, String)], known: &[(&str, Option<(f64, f64)>)]) -> Step {
    for (place, (option, value)) in options.iter().enumerate() {
        // A name in double quotes is the option's only if it is written as that one is.
        let option =
            if option.starts_with('"') { option.trim_matches('"').to_owned() } else { option.to_ascii_lowercase() };
        let value = match value.trim_matches('\'') {
            "" if !value.starts_with('\'') => "true",
            value => value,
        };
        let Some((_, bounds)) = known.iter().find(|(name, _)| *name == option) else {
            return refuse("22023", format!("unrecognized parameter \"{option}\""));
        };
        let again = |(known, _): &(String, String)| known.trim_matches('"').eq_ignore_ascii_case(&option);
        if options.iter().take(place).any(again) {
            return refuse("22023", format!("parameter \"{option}\" specified more than once"));
        }
        match (bounds, value.parse::<f64>()) {
            (Some((least, greatest)), Ok(number)) if !(*least..=*greatest).contains(&number) => {
                return refuse("22023", format!("value {value} out of bounds for option \"{option}\""));
            }
            (Some(_), Err(_)) => {
                let kind = if is_fraction(&option) { "floating point" } else { "integer" };
                return refuse("22023", format!("invalid value for {kind} option \"{option}\": {value}"));
            }
            (None, _) if is_boolean_option(&option) && !is_boolean(value) => {
                return refuse("22023", format!("invalid value for boolean option \"{option}\": {value}"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_fraction(option: &str) -> bool {
    option.ends_with("_factor") || option.ends_with("_cost_delay")
}

fn is_boolean_option(option: &str) -> bool {
    matches!(
        option,
        "autovacuum_enabled"
            | "vacuum_truncate"
            | "user_catalog_table"
            | "deduplicate_items"
            | "fastupdate"
            | "autosummarize"
            | "security_barrier"
            | "security_invoker"
    )
}

/// `parse_bool`.
pub(super) fn is_boolean(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let words = ["true", "false", "yes", "no"];
    !value.is_empty()
        && (words.iter().any(|word| word.starts_with(&value)) || ["on", "off", "of", "1", "0"].contains(&&*value))
}

/// `SystemAttributeByName`.
fn type_of_system_column(column: &Ident) -> Option<&'static str> {
    match column.as_str() {
        "ctid" => Some("tid"),
        "tableoid" => Some("oid"),
        "xmin" | "xmax" => Some("xid"),
        "cmin" | "cmax" => Some("cid"),
        _ => None,
    }
}
