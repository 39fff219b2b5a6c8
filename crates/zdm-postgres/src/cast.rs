//! Which type changes are possible, and which of them leave the stored values as they are.
//!
//! Sources: `pg_cast` (the table in `cast/casts.txt`, written by
//! `select s.typname, t.typname, c.castcontext, c.castmethod from pg_cast c join pg_type s on s.oid = c.castsource
//! join pg_type t on t.oid = c.casttarget where s.typnamespace = 11 and t.typnamespace = 11 order by 1, 2`),
//! the server's `find_coercion_pathway`, `ATColumnChangeRequiresRewrite`, and the length coercions that its planner
//! support functions remove (`varchar_support`, `numeric_support`, `timestamp_support`, `time_support`,
//! `interval_support`, `varbit_support`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use crate::catalog::{Catalog, Domain, UserTypeKind};
use crate::data_type::DataType;
use crate::version::PgVersion;

/// How a value of one type becomes a value of another, as `pg_cast` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Context {
    Implicit,
    Assignment,
    Explicit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// The stored bytes are the same.
    Binary,
    Function,
    /// Through the text form.
    Text,
}

/// What changing a column's type does to the stored rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The values stay.
    Free,
    Rewrite,
    /// Free where the session's TimeZone is UTC, else a rewrite.
    DependsOnTimeZone,
    /// Nothing is known of one of the types.
    Unknown,
    /// There is no such cast in an assignment.
    Impossible,
}

/// What is known of the session's TimeZone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeZone {
    Utc,
    Other,
    Unknown,
}

impl TimeZone {
    /// The zones without an offset that the server itself recognizes as such.
    pub(crate) fn from_setting(setting: Option<&str>) -> Self {
        let Some(name) = setting else { return Self::Unknown };
        let name = name.to_ascii_lowercase();
        let zero_offset = matches!(
            name.as_str(),
            "utc"
                | "gmt"
                | "etc/utc"
                | "etc/gmt"
                | "etc/uct"
                | "uct"
                | "zulu"
                | "etc/zulu"
                | "universal"
                | "etc/universal"
                | "greenwich"
                | "etc/greenwich"
                | "gmt0"
                | "gmt+0"
                | "gmt-0"
                | "etc/gmt0"
                | "etc/gmt+0"
                | "etc/gmt-0"
                | "0"
                | "+00"
                | "+0"
                | "-0"
                | "-00"
                | "+00:00"
        );
        if zero_offset { Self::Utc } else { Self::Other }
    }
}

/// By source and target.
type Casts = BTreeMap<(&'static str, &'static str), (Context, Method)>;

fn casts() -> &'static Casts {
    static CASTS: OnceLock<Casts> = OnceLock::new();
    CASTS.get_or_init(|| {
        let citext = "citext text i b\ncitext varchar i b\ncitext bpchar a b\ntext citext a b\nvarchar citext a b\n\
                      bpchar citext a f\nbool citext a f\ninet citext a f\nhstore json a f\nhstore jsonb a f";
        include_str!("cast/casts.txt")
            .lines()
            .chain(citext.lines())
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let (source, target) = (words.next()?, words.next()?);
                let context = match words.next()? {
                    "i" => Context::Implicit,
                    "a" => Context::Assignment,
                    _ => Context::Explicit,
                };
                let method = match words.next()? {
                    "b" => Method::Binary,
                    "f" => Method::Function,
                    _ => Method::Text,
                };
                Some(((source, target), (context, method)))
            })
            .collect()
    })
}

const BUILTIN_TYPES: &str = "aclitem any anyarray anyelement anyenum anynonarray anyrange bit bool box \
    bpchar bytea char cid cidr circle cstring date daterange event_trigger fdw_handler float4 float8 gtsvector index_am_handler inet int2 \
    int2vector int4 int4range int8 int8range internal interval json jsonb jsonpath language_handler line lseg macaddr macaddr8 money \
    name numeric numrange oid oidvector path pg_ddl_command pg_dependencies pg_lsn pg_mcv_list pg_ndistinct pg_node_tree point polygon record refcursor regclass regconfig regdictionary \
    regnamespace regoper regoperator regproc regprocedure regrole regtype table_am_handler text tid time timestamp timestamptz timetz \
    trigger tsm_handler tsquery tsrange tstzrange tsvector txid_snapshot unknown uuid varbit varchar void xid xml serial bigserial \
    smallserial";

pub(crate) fn is_builtin_type(name: &str, version: PgVersion) -> bool {
    match name {
        "xid8"
        | "pg_snapshot"
        | "regcollation"
        | "anycompatible"
        | "anycompatiblearray"
        | "anycompatiblenonarray"
        | "anycompatiblerange" => version.at_least(13),
        "int4multirange"
        | "int8multirange"
        | "nummultirange"
        | "tsmultirange"
        | "tstzmultirange"
        | "datemultirange"
        | "anymultirange"
        | "anycompatiblemultirange" => version.at_least(14),
        _ => {
            static TYPES: OnceLock<BTreeSet<&str>> = OnceLock::new();
            TYPES.get_or_init(|| BUILTIN_TYPES.split_whitespace().collect()).contains(name)
        }
    }
}

/// The extension that brings a type of that name.
pub(crate) fn extension_of_type(name: &str) -> Option<&'static str> {
    Some(match name {
        "citext" => "citext",
        "hstore" => "hstore",
        "ltree" | "lquery" | "ltxtquery" => "ltree",
        "cube" => "cube",
        "geometry" | "geography" | "box2d" | "box3d" => "postgis",
        "raster" => "postgis_raster",
        "vector" | "halfvec" | "sparsevec" => "vector",
        "isbn" | "issn" | "ean13" | "isbn13" => "isn",
        "seg" => "seg",
        "query_int" => "intarray",
        _ => return None,
    })
}

/// Extensions all of whose types are known here.
pub(crate) fn is_known_extension(name: &str) -> bool {
    matches!(
        name,
        "btree_gin"
            | "btree_gist"
            | "citext"
            | "cube"
            | "fuzzystrmatch"
            | "hstore"
            | "intarray"
            | "isn"
            | "ltree"
            | "pg_stat_statements"
            | "pg_trgm"
            | "pgcrypto"
            | "plpgsql"
            | "seg"
            | "tablefunc"
            | "unaccent"
            | "uuid-ossp"
            | "vector"
            | "dblink"
            | "postgres_fdw"
            | "bloom"
            | "pgstattuple"
            | "pg_buffercache"
    )
}

/// The type under all domains, with the domain's own modifiers.
pub(crate) fn base_type(catalog: &Catalog, data_type: &DataType) -> DataType {
    let mut current = data_type.clone();
    // A domain over a domain over …: the catalog cannot hold a cycle, the bound is for safety only.
    for _ in 0..64 {
        match domain_of(catalog, &current) {
            Some(domain) => current = domain.base.clone(),
            None => break,
        }
    }
    current
}

pub(crate) fn domain_of<'a>(catalog: &'a Catalog, data_type: &DataType) -> Option<&'a Domain> {
    if data_type.is_array() {
        return None;
    }
    match &catalog.user_type(&data_type.name)?.kind {
        UserTypeKind::Domain(domain) => Some(domain),
        UserTypeKind::Defined(_) => None,
    }
}

/// Whether any domain on the way to the base type restricts values.
pub(crate) fn domain_has_constraints(catalog: &Catalog, data_type: &DataType) -> bool {
    let mut current = data_type.clone();
    for _ in 0..64 {
        let Some(domain) = domain_of(catalog, &current) else { return false };
        if domain.not_null || !domain.checks.is_empty() {
            return true;
        }
        current = domain.base.clone();
    }
    false
}

fn is_string(name: &str) -> bool {
    matches!(name, "text" | "varchar" | "bpchar" | "name" | "char" | "citext")
}

fn is_text_like(name: &str) -> bool {
    matches!(name, "text" | "varchar" | "bpchar" | "citext")
}

fn is_enum(catalog: &Catalog, data_type: &DataType) -> bool {
    !data_type.is_array()
        && matches!(catalog.user_type(&data_type.name).map(|user_type| &user_type.kind), Some(UserTypeKind::Defined(_)))
}

/// Whether everything about the type is known here, casts included.
fn is_known(catalog: &Catalog, data_type: &DataType) -> bool {
    let name = data_type.name.name.as_str();
    catalog.user_type(&data_type.name).is_some()
        || (data_type.name.schema.is_none()
            && (is_builtin_type(name, PgVersion::NEWEST) || matches!(name, "citext" | "hstore")))
}

/// How the server casts, ignoring modifiers: `None` where it cannot in that context.
fn pathway(catalog: &Catalog, source: &DataType, target: &DataType, context: Context) -> Option<Method> {
    if source.name == target.name && source.is_array() == target.is_array() {
        return Some(Method::Binary);
    }
    if source.is_array() && target.is_array() {
        // A value of a domain is cast as one of the type under it. Each element is, whether its bytes change or not.
        let element = |data_type: &DataType| base_type(catalog, &DataType { array_dimensions: 0, ..data_type.clone() });
        pathway(catalog, &element(source), &element(target), context)?;
        return Some(Method::Function);
    }
    if !source.is_array()
        && !target.is_array()
        && source.name.schema.is_none()
        && target.name.schema.is_none()
        && let Some((needed, method)) = casts().get(&(source.name.name.as_str(), target.name.name.as_str())).copied()
    {
        return (needed <= context).then_some(method);
    }
    // Any type goes to a string type by assignment, and from one explicitly, through its text form.
    let text = |data_type: &DataType| {
        let name = data_type.name.name.as_str();
        !data_type.is_array() && data_type.name.schema.is_none() && (is_text_like(name) || name == "name")
    };
    if text(target) && context >= Context::Assignment {
        return Some(Method::Text);
    }
    if text(source) && context >= Context::Explicit {
        return Some(Method::Text);
    }
    let string = |data_type: &DataType| !data_type.is_array() && is_string(data_type.name.name.as_str());
    if (is_enum(catalog, source) && string(target)) && context >= Context::Assignment {
        return Some(Method::Text);
    }
    None
}

/// Whether a value of the source type can be assigned to the target type.
pub(crate) fn is_assignable(catalog: &Catalog, source: &DataType, target: &DataType) -> bool {
    let source = base_type(catalog, source);
    let target = base_type(catalog, target);
    if !is_known(catalog, &source) || !is_known(catalog, &target) {
        return true;
    }
    catalog.has_own_operators() || pathway(catalog, &source, &target, Context::Assignment).is_some()
}

/// Whether the server converts silently from the source type to the target type.
pub(crate) fn is_implicit(catalog: &Catalog, source: &DataType, target: &DataType) -> bool {
    if !is_known(catalog, source) || !is_known(catalog, target) {
        return true;
    }
    pathway(catalog, source, target, Context::Implicit).is_some()
}

/// What `value::target` (in an assignment, or explicit) does to values of the source type.
pub(crate) fn change(
    catalog: &Catalog,
    source: &DataType,
    target: &DataType,
    context: Context,
    zone: TimeZone,
) -> Change {
    let constrained = source.name != target.name && domain_has_constraints(catalog, target);
    if source == target {
        return Change::Free;
    }
    if source.name == target.name && domain_of(catalog, target).is_some() {
        return Change::Free;
    }
    let source_base = base_type(catalog, source);
    let target_base = base_type(catalog, target);
    if !is_known(catalog, &source_base) || !is_known(catalog, &target_base) {
        if source_base.name == target_base.name
            && source_base.modifiers == target_base.modifiers
            && source_base.fields == target_base.fields
        {
            return Change::Free;
        }
        return Change::Unknown;
    }
    let Some(method) = pathway(catalog, &source_base, &target_base, context) else {
        // What CREATE CAST says is not kept.
        return if catalog.has_own_operators() { Change::Unknown } else { Change::Impossible };
    };
    let name = |data_type: &DataType| data_type.name.name.as_str().to_owned();
    // A relabelled value, also one that came out of a domain, has lost its modifiers.
    let same_type = source_base.name == target_base.name && domain_of(catalog, source).is_none();
    let known_modifiers = if same_type { Some(&source_base) } else { None };
    let lengths = modifiers_stay(known_modifiers, &target_base);
    let values = match method {
        Method::Binary => Change::Free,
        Method::Function
            if !source_base.is_array()
                && matches!(
                    (name(&source_base).as_str(), name(&target_base).as_str()),
                    ("timestamp", "timestamptz") | ("timestamptz", "timestamp")
                ) =>
        {
            match zone {
                TimeZone::Utc => Change::Free,
                TimeZone::Other => Change::Rewrite,
                TimeZone::Unknown => Change::DependsOnTimeZone,
            }
        }
        Method::Function | Method::Text => Change::Rewrite,
    };
    if !lengths || constrained || (source_base.is_array() && values != Change::Free) { Change::Rewrite } else { values }
}

/// Whether the target's modifiers let every value of the source pass unchanged, as far as the server sees it.
fn modifiers_stay(source: Option<&DataType>, target: &DataType) -> bool {
    if target.modifiers.is_empty() && target.fields.is_none() {
        return true;
    }
    if source.is_some_and(|source| source.modifiers == target.modifiers && source.fields == target.fields) {
        return true;
    }
    if target.is_array() {
        return false;
    }
    let first = |data_type: &DataType| data_type.modifiers.first().copied();
    let old = source.and_then(first);
    let Some(new) = first(target) else {
        // An interval's fields without a precision.
        return interval_stays(source, target);
    };
    match target.name.name.as_str() {
        "varchar" | "varbit" => old.is_some_and(|old| old <= new),
        "numeric" => {
            let scale = |data_type: &DataType| data_type.modifiers.get(1).copied().unwrap_or(0);
            source.is_some_and(|source| {
                !source.modifiers.is_empty() && scale(source) == scale(target) && old.is_some_and(|old| old <= new)
            })
        }
        "timestamp" | "timestamptz" | "time" | "timetz" => new >= 6 || old.is_some_and(|old| old <= new),
        "interval" => interval_stays(source, target),
        _ => false,
    }
}

/// `interval_support`: the least field of the target is at most that of the source, and no digit is cut off.
fn interval_stays(source: Option<&DataType>, target: &DataType) -> bool {
    if target.name.name != "interval" {
        return false;
    }
    let least = |data_type: Option<&DataType>| -> u8 {
        let fields = data_type.and_then(|data_type| data_type.fields.as_deref()).unwrap_or("").to_ascii_lowercase();
        match fields.rsplit(' ').next().unwrap_or("") {
            "year" => 5,
            "month" => 4,
            "day" => 3,
            "hour" => 2,
            "minute" => 1,
            _ => 0,
        }
    };
    let precision = |data_type: Option<&DataType>| {
        data_type.and_then(|data_type| data_type.modifiers.first().copied()).unwrap_or(6)
    };
    let old_precision = if source.is_none() { 6 } else { precision(source) };
    let new_precision = precision(Some(target));
    least(Some(target)) <= least(source) && (least(source) > 0 || new_precision >= 6 || new_precision >= old_precision)
}

/// The type whose default btree operator class serves a column of this type: `text` for `varchar`, `inet` for `cidr`.
pub(crate) fn operator_class_type(catalog: &Catalog, data_type: &DataType) -> DataType {
    let base = base_type(catalog, data_type);
    let name = match base.name.name.as_str() {
        "varchar" if base.name.schema.is_none() => "text",
        "cidr" if base.name.schema.is_none() => "inet",
        _ => {
            return DataType {
                modifiers: Vec::new(),
                fields: None,
                array_dimensions: base.array_dimensions.min(1),
                ..base
            };
        }
    };
    DataType { array_dimensions: base.array_dimensions.min(1), ..DataType::named(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &DataType, target: &DataType, expected: &Change) {
        let actual = change(&Catalog::new(), source, target, Context::Assignment, TimeZone::Unknown);
        assert_eq!(&actual, expected, "{source} -> {target}");
    }

    #[test]
    fn type_changes() {
        let varchar = |length: i32| DataType::named("varchar").with_modifiers([length]);
        let numeric = |precision: i32, scale: i32| DataType::named("numeric").with_modifiers([precision, scale]);
        let named = DataType::named;
        let cases = [
            (varchar(50), varchar(100), Change::Free),
            (varchar(50), varchar(20), Change::Rewrite),
            (varchar(50), named("text"), Change::Free),
            (named("text"), varchar(50), Change::Rewrite),
            (named("text"), named("citext"), Change::Free),
            (numeric(10, 2), numeric(12, 2), Change::Free),
            (numeric(10, 2), numeric(12, 4), Change::Rewrite),
            (numeric(10, 2), named("numeric"), Change::Free),
            (named("int"), named("bigint"), Change::Rewrite),
            (named("int"), named("oid"), Change::Free),
            (named("text"), named("int"), Change::Impossible),
            (named("timestamp"), named("timestamptz"), Change::DependsOnTimeZone),
            (named("timestamptz"), named("timestamptz").with_modifiers([6]), Change::Free),
            (named("cidr"), named("inet"), Change::Free),
            (named("inet"), named("cidr"), Change::Rewrite),
            (named("bpchar").with_modifiers([10]), named("bpchar").with_modifiers([20]), Change::Rewrite),
            (varchar(10).array(), varchar(20).array(), Change::Rewrite),
            (varchar(10).array(), named("text").array(), Change::Rewrite),
            (named("text").array(), named("text").array(), Change::Free),
            (named("geometry"), named("int"), Change::Unknown),
        ];
        for (source, target, expected) in cases {
            check(&source, &target, &expected);
        }
    }
}
