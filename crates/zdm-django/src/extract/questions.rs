//! What the methods of operations and migrations ask the database before they go on.
//!
//! Django's introspection answers from the catalog, which is known while a history is replayed: whether a table or a
//! column is there. The questions are read here and answered there.

use std::sync::Arc;

use zdm_python as python;
use zdm_python::syntax::{CompareOp, UnaryOp};
use zdm_python::{CallSite, ValueKind};

use super::Extractor;
use super::arguments::Arguments;
use crate::operation::{CatalogFact, CatalogTest, TableRef};

/// More conditions than these are not looked into.
const MAX_CONDITIONS: usize = 4;

/// In which cases something happens: all conditions of one of the lists are as said, and no two lists hold at once.
#[derive(Clone, Debug)]
pub(super) struct Cases(Vec<Vec<(python::Value, bool)>>);

impl PartialEq for Cases {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, is): &(python::Value, bool), (other, other_is): &(python::Value, bool)| {
            one.origin == other.origin && is == other_is
        };
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|(one, other)| {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
            })
    }
}

/// When a method hands over to that of its base.
#[derive(Clone, Debug)]
pub(super) enum When {
    Always,
    Cases(Cases),
    /// It does under a condition, or more than once.
    Undecided,
}

impl When {
    /// From the places where it does.
    pub(super) fn of(sites: &[CallSite]) -> Self {
        if let [only] = sites
            && !only.conditional
            && only.conditions.is_empty()
        {
            return Self::Always;
        }
        if sites.is_empty() || !sites.iter().all(|site| site.by_conditions_alone) {
            return Self::Undecided;
        }
        let cases: Vec<Vec<(python::Value, bool)>> = sites.iter().map(|site| site.conditions.clone()).collect();
        let apart = |one: &[(python::Value, bool)], other: &[(python::Value, bool)]| {
            one.iter().any(|(value, is)| other.iter().any(|(same, not)| same.origin == value.origin && is != not))
        };
        for (index, one) in cases.iter().enumerate() {
            if !cases.iter().skip(index + 1).all(|other| apart(one, other)) {
                return Self::Undecided;
            }
        }
        let mut conditions: Vec<&python::Origin> = Vec::new();
        for (value, _) in cases.iter().flatten() {
            if !conditions.contains(&&value.origin) {
                conditions.push(&value.origin);
            }
        }
        if conditions.len() > MAX_CONDITIONS {
            return Self::Undecided;
        }
        // Whatever the conditions say.
        let always = (0..1_u32 << conditions.len()).all(|bits| {
            let is = |origin: &python::Origin| {
                conditions.iter().position(|known| *known == origin).is_some_and(|index| bits >> index & 1 == 1)
            };
            cases.iter().any(|case| case.iter().all(|(value, expected)| is(&value.origin) == *expected))
        });
        if always { Self::Always } else { Self::Cases(Cases(cases)) }
    }
}

impl Extractor<'_> {
    /// The cases as a test of the catalog; none where one of the conditions is something else. `arguments` are those of
    /// the operation, for `self.name`.
    pub(super) fn catalog_test(&self, cases: &Cases, arguments: &Arguments) -> Option<CatalogTest> {
        let mut any = Vec::new();
        for case in &cases.0 {
            let mut all = Vec::new();
            for (condition, expected) in case {
                if let Some(is) = router_allows(condition) {
                    if is != *expected {
                        return None;
                    }
                    continue;
                }
                let (fact, is) = self.fact(condition, arguments, 4)?;
                all.push((fact, is == *expected));
            }
            any.push(all);
        }
        Some(CatalogTest { any })
    }

    /// What a condition asks, and whether it holds where the fact does.
    fn fact(&self, condition: &python::Value, arguments: &Arguments, depth: u8) -> Option<(CatalogFact, bool)> {
        let depth = depth.checked_sub(1)?;
        match &condition.kind {
            ValueKind::Unary(UnaryOp::Not, inner) => {
                let (fact, is) = self.fact(inner, arguments, depth)?;
                Some((fact, !is))
            }
            ValueKind::Compare(op, pair) => {
                let is = match op {
                    CompareOp::In => true,
                    CompareOp::NotIn => false,
                    _ => return None,
                };
                Some((fact_of_membership(&pair.0, &pair.1, arguments)?, is))
            }
            // A function of the project that asks.
            ValueKind::Call(call) => {
                let returned = self.evaluator().returns(call.callee.as_function()?, &call.args);
                self.fact(&returned, arguments, depth)
            }
            _ => None,
        }
    }

    /// A call of a function of the project that does nothing but to look at the database's tables and columns.
    pub(super) fn only_looks(&self, call: &python::Call, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        let Some(function) = call.callee.as_function() else { return false };
        !self.changes_objects(function, &call.args)
            && self.evaluator().calls_with(function, &call.args).iter().all(|site| {
                // What a comprehension calls stands among the calls by itself.
                site.call.as_comprehension().is_some()
                    || site.call.as_call().is_some_and(|call| {
                        super::operations::is_harmless(call) || reads_options(call) || self.only_looks(call, depth)
                    })
            })
    }
}

/// `model._meta.get_field(name)`, and methods of what introspection returns.
fn reads_options(call: &python::Call) -> bool {
    let Some((receiver, method)) = call.method() else {
        return call.name().is_some_and(|name| matches!(&*name, "builtins.any" | "builtins.all" | "builtins.set"));
    };
    let text = receiver.to_string();
    matches!(method.as_str(), "get_field" | "get_fields") && text.ends_with("._meta")
        || matches!(method.as_str(), "get" | "values" | "items" | "keys" | "lower")
            && text.contains("schema_editor.connection.introspection.")
}

/// Whether a condition that asks the router holds: it allows every model to be migrated, as everywhere here.
fn router_allows(condition: &python::Value) -> Option<bool> {
    if let ValueKind::Unary(UnaryOp::Not, inner) = &condition.kind {
        return router_allows(inner).map(|is| !is);
    }
    let call = condition.as_call()?;
    let asked = call.name().is_some_and(|name| {
        matches!(
            &*name,
            "self.allow_migrate_model" | "django.db.router.allow_migrate" | "django.db.router.allow_migrate_model"
        )
    });
    // `all(operation.allow_migrate_model(alias, model) for operation in self.operations)`
    let asked_of_each = || {
        let (element, _) =
            call.positional(0).filter(|_| call.callee.is_symbol("builtins.all"))?.value.as_comprehension()?;
        element.as_call()?.method().filter(|(_, name)| name.as_str() == "allow_migrate_model")
    };
    (asked || asked_of_each().is_some()).then_some(true)
}

/// `name in names`.
fn fact_of_membership(name: &python::Value, names: &python::Value, arguments: &Arguments) -> Option<CatalogFact> {
    let introspects = |call: &python::Call, what: &str| {
        call.name()
            .is_some_and(|name| name.strip_suffix(what).is_some_and(|rest| rest.ends_with("connection.introspection.")))
    };
    if let Some(call) = names.as_call()
        && introspects(call, "table_names")
    {
        return Some(CatalogFact::Table(table(name, arguments)?));
    }
    if let Some(call) = names.as_call()
        && introspects(call, "get_constraints")
    {
        let table = table(&call.arg(1, "table_name")?.value, arguments)?;
        return Some(CatalogFact::Constraint { table, name: text(name, arguments)? });
    }
    let (element, gone_through) = names.as_comprehension()?;
    let described = gone_through?.as_call().filter(|call| introspects(call, "get_table_description"))?;
    // The name of a column's description: its first part.
    let of_element = |value: &python::Value| matches!(value.kind, ValueKind::Element(_));
    let is_name = match &element.kind {
        ValueKind::Attribute(attribute) => attribute.name.as_str() == "name" && of_element(&attribute.value),
        ValueKind::Subscript(parts) => parts.1.as_int() == Some(0) && of_element(&parts.0),
        _ => false,
    };
    if !is_name {
        return None;
    }
    Some(CatalogFact::Column {
        table: table(&described.arg(1, "table_name")?.value, arguments)?,
        column: text(name, arguments)?,
    })
}

/// A text, or an argument of the operation by its name: `self.name`.
fn text(value: &python::Value, arguments: &Arguments) -> Option<Arc<str>> {
    match &value.kind {
        ValueKind::Str(text) => Some(Arc::from(text.as_str())),
        ValueKind::Symbol(name) => arguments.string(name.strip_prefix("self.")?).ok(),
        _ => None,
    }
}

/// The table that a value names, or that belongs to a model: `from_state.apps.get_model(app_label, "Order")._meta.db_table`.
fn table(value: &python::Value, arguments: &Arguments) -> Option<TableRef> {
    let ValueKind::Attribute(db_table) = &value.kind else { return text(value, arguments).map(TableRef::Name) };
    let ValueKind::Attribute(meta) = &db_table.value.kind else { return None };
    if db_table.name.as_str() != "db_table" || meta.name.as_str() != "_meta" {
        return None;
    }
    let call = meta.value.as_call()?;
    let after = call.callee.is_symbol("to_state.apps.get_model");
    if !after && !call.callee.is_symbol("from_state.apps.get_model") {
        return None;
    }
    let app = &call.arg(0, "app_label")?.value;
    let app = if app.is_symbol("app_label") { None } else { Some(text(app, arguments)?) };
    Some(TableRef::Model { app, name: text(&call.arg(1, "model_name")?.value, arguments)?, after })
}
