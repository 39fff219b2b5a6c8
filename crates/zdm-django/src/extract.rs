//! From the Python module of a migration to a [`Migration`].
//!
//! `zdm-python` evaluates what can be evaluated; this module reads the result: the attributes of the class, the calls
//! of operations and fields, their arguments by name. What is not understood stays in its place as
//! [`OperationKind::Unknown`](crate::operation::OperationKind::Unknown) or
//! [`Value::Unknown`](crate::value::Value::Unknown) with the reason.
//!
//! Reading order: [`convert`] (values), [`arguments`] (calls), [`signature`] (Django's parameters), [`fields`],
//! [`stored`] (defaults), [`operations`], [`code`].

pub(crate) mod convert;

pub(crate) mod arguments;

pub(crate) mod signature;

mod fields;

mod stored;

mod questions;

mod operations;

mod code;

use std::sync::Arc;

use zdm_python as python;
use zdm_python::syntax::{Stmt, StmtKind};
use zdm_python::{ClassRef, Evaluator, Module, ValueKind};
use zdm_source::Span;

use self::arguments::Reason;
use crate::migration::{Dependency, DependencyTarget, Migration, MigrationKey, MigrationOrigin};
use crate::project::App;
use crate::project::settings::Settings;

/// Class attributes that declare when a migration is deployed: ours, and django-safemigrate's.
const PHASES: &[&str] = &["zdm_phase", "safe"];

/// Reads migrations. One extractor serves one thread: it remembers what it has evaluated.
pub(crate) struct Extractor<'a> {
    evaluator: Evaluator<'a>,
    settings: &'a Settings,
    /// Where classes of models belong to; empty while apps are still looked for.
    apps: &'a [App],
}

/// A migration that is being read.
struct Reading<'m> {
    module: &'m Module,
    problems: Vec<(Span, String)>,
}

/// The expression that the body of a class gives a name, as it is written.
fn written_in_class(class: &ClassRef, name: &str) -> Option<(String, Span)> {
    let module = &class.module;
    class.class().body.iter().rev().find_map(|stmt| {
        let (targets, value) = match &stmt.kind {
            StmtKind::Assign { targets, value } => (targets.as_ref(), *value),
            StmtKind::AnnAssign { target, value, .. } => (std::slice::from_ref(target), (*value)?),
            _ => return None,
        };
        let is_it = targets.iter().any(|target| module.text(module.expr(*target).span) == name);
        let span = module.expr(value).span;
        is_it.then(|| (module.text(span).to_owned(), span))
    })
}

impl<'a> Extractor<'a> {
    pub(crate) fn new(evaluator: Evaluator<'a>, settings: &'a Settings) -> Self {
        Self { evaluator, settings, apps: &[] }
    }

    pub(crate) fn with_apps(self, apps: &'a [App]) -> Self {
        Self { apps, ..self }
    }

    /// The label of the app that a file of the project belongs to.
    fn label_of_file(&self, path: &str) -> Option<&Arc<str>> {
        let is_in = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let around = self.apps.iter().filter(|app| is_in(&app.folder));
        around.max_by_key(|app| app.folder.len()).map(|app| &app.label)
    }

    pub(crate) fn evaluator(&self) -> &Evaluator<'a> {
        &self.evaluator
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.settings
    }

    /// The migration that a module holds; None where it has no `Migration`.
    pub(crate) fn migration(&self, module: &Module, key: &MigrationKey, origin: MigrationOrigin) -> Option<Migration> {
        let found = self.evaluator.global(module, "Migration")?;
        let file = module.file();
        let mut reading = Reading { module, problems: Vec::new() };
        for span in module.syntax_errors() {
            reading.problems.push((*span, "syntax error; what could be read around it is used".to_owned()));
        }
        let mut migration = Migration {
            key: key.clone(),
            file: file.clone(),
            span: Span::from_usize(0, file.text().len()),
            origin,
            atomic: true,
            initial: None,
            dependencies: Vec::new(),
            run_before: Vec::new(),
            replaces: Vec::new(),
            operations: Vec::new(),
            declared_phases: Vec::new(),
            unapplies_itself: false,
            applies_where: None,
            problems: Vec::new(),
        };
        let classes: Vec<&ClassRef> = found.options().iter().filter_map(python::Value::as_class).collect();
        let Some(class) = classes.last().copied() else {
            reading.problems.push((span_in(&found, module), format!("`Migration`: {}", convert::reason(&found))));
            migration.problems = reading.problems;
            return Some(migration);
        };
        migration.span = if class.module == *module { class.class().name } else { span_in(&found, module) };
        self.attributes(class, &mut reading, &mut migration);
        if let ValueKind::Alternatives(alternatives) = &found.kind {
            let message = "which `Migration` class there is depends on a condition that is not known";
            reading.problems.push((class.class().name, message.to_owned()));
            self.one_of(alternatives, class, &mut reading, &mut migration);
        }
        migration.problems.append(&mut reading.problems);
        migration.problems.sort();
        Some(migration)
    }

    fn attributes(&self, class: &ClassRef, reading: &mut Reading<'_>, migration: &mut Migration) {
        let attribute = |name: &str| self.evaluator.class_attribute(class, name);
        if let Some(value) = attribute("dependencies") {
            migration.dependencies = Self::dependencies(&value, "dependencies", reading);
        }
        if let Some(value) = attribute("run_before") {
            migration.run_before = Self::dependencies(&value, "run_before", reading);
        }
        if let Some(value) = attribute("replaces") {
            for dependency in Self::dependencies(&value, "replaces", reading) {
                match dependency.target {
                    DependencyTarget::Migration(key) => migration.replaces.push(key),
                    _ => reading.problems.push((dependency.span, "an entry of `replaces` is not analysed".to_owned())),
                }
            }
        }
        if let Some(value) = attribute("atomic") {
            if let Some(atomic) = value.truth() {
                migration.atomic = atomic;
            } else {
                let message = format!("`atomic` is not known: {}; `True` is assumed", convert::reason(&value));
                reading.problems.push((span_in(&value, reading.module), message));
            }
        }
        if let Some(value) = attribute("initial") {
            migration.initial = value.truth();
        }
        for name in PHASES {
            if let Some(value) = attribute(name)
                && !matches!(value.kind, ValueKind::Function(_))
            {
                // The members of a class of the project are told by how they are written.
                let (text, span) = match (value.as_str(), written_in_class(class, name)) {
                    (Some(text), written) => {
                        let span = written.map_or_else(|| span_in(&value, reading.module), |(_, span)| span);
                        (text.to_string(), span)
                    }
                    (None, Some((text, span))) if class.module == *reading.module => (text, span),
                    (None, _) => (value.origin.text().to_owned(), span_in(&value, reading.module)),
                };
                migration.declared_phases.push((Arc::from(*name), text.into(), span));
            }
        }
        if let Some(value) = attribute("operations") {
            migration.operations = self.operations(&value, reading.module, span_in_class(class, reading.module));
        }
        self.own_methods(class, reading, migration);
    }

    /// Methods by which a class decides itself what running it does: nothing is said of its operations then.
    fn own_methods(&self, class: &ClassRef, reading: &mut Reading<'_>, migration: &mut Migration) {
        const FORWARDS: &[(&str, &[&str])] = &[
            ("__new__", &[]),
            ("__init__", &["self", "name", "app_label"]),
            ("apply", &["self", "project_state", "schema_editor", "collect_sql"]),
            ("mutate_state", &["self", "project_state", "preserve"]),
        ];
        const BACKWARDS: (&str, &[&str]) = ("unapply", &["self", "project_state", "schema_editor", "collect_sql"]);
        let (line, _) = self.lineage(class);
        let own = |(name, parameters): &(&str, &[&str])| {
            line.iter().find_map(|class| {
                let method = self.evaluator.class_body(class).get(name)?.clone();
                let does = self.does(&method, name, parameters);
                (does != Does::AsItsBase).then(|| (class.name(), method, does))
            })
        };
        let span = |method: &python::Value| span_in(method, reading.module);
        if let Some(((name, _), (owner, method, does))) = FORWARDS.iter().find_map(|entry| Some((entry, own(entry)?))) {
            let operations = std::mem::take(&mut migration.operations);
            let test = match &does {
                Does::Where(cases) if *name == "apply" => {
                    self.catalog_test(cases, &arguments::Arguments::new(&[], &[]))
                }
                _ => None,
            };
            if let Some(test) = test {
                migration.operations = operations;
                migration.applies_where = Some(test);
            } else if does == Does::Nothing && *name == "apply" {
                // The database is left alone; whoever computes the state asks `mutate_state`.
                let in_state = |one| operations::in_state_alone(one);
                migration.operations = operations.into_iter().map(in_state).collect();
            } else {
                let reason = format!("`{owner}` has `{name}()` of its own, which decides when it runs");
                migration.operations = operations.into_iter().map(|one| operations::undecided(one, &reason)).collect();
                if migration.operations.is_empty() {
                    migration.operations.push(operations::unknown(span(&method), &reason));
                }
            }
        }
        if let Some((owner, method, does)) = own(&BACKWARDS) {
            migration.unapplies_itself = true;
            if does == Does::Other {
                let message = format!("`{owner}` has `unapply()` of its own; the way back is not analysed");
                reading.problems.push((span(&method), message));
            }
        }
    }

    /// What a method of a migration does to the database and the state; messages are none of that.
    fn does(&self, method: &python::Value, name: &str, parameters: &[&str]) -> Does {
        let Some(function) = method.as_function() else { return Does::Other };
        let symbol = |name: &&str| python::Arg {
            kind: python::ArgKind::Positional,
            value: python::Value::new(ValueKind::Symbol(Arc::from(*name)), method.origin.clone()),
            span: method.origin.span,
        };
        let args: Vec<python::Arg> = parameters.iter().map(symbol).collect();
        let handed_on = |call: &python::Call| {
            is_base_call(call, name)
                && call.args.iter().all(|arg| arg.value.name().is_some_and(|name| parameters.contains(&&*name)))
        };
        // `operation.state_forwards(self.app_label, project_state)` of what does not run.
        let in_state_alone = |call: &python::Call| {
            name == "apply" && call.method().is_some_and(|(_, name)| name.as_str() == "state_forwards")
        };
        let mut sites = Vec::new();
        for site in self.evaluator.calls_with(function, &args) {
            let Some(call) = site.call.as_call() else { return Does::Other };
            if handed_on(call) {
                sites.push(site);
            } else if !operations::is_harmless(call) && !in_state_alone(call) && site.call.as_comprehension().is_none()
            {
                return Does::Other;
            }
        }
        let base_calls = sites.len();
        let certain = sites.iter().all(|site| !site.conditional);
        if self.changes_objects(function, &args) {
            return Does::Other;
        }
        if name == "__init__" {
            let always = base_calls == 1 && certain && !leaves_early(&function.function().body, 0);
            return if always { Does::AsItsBase } else { Does::Other };
        }
        let returned = self.evaluator.returns(function, &args);
        if name == "apply"
            && let questions::When::Cases(cases) = questions::When::of(&sites)
            && returned
                .options()
                .iter()
                .all(|value| value.is_symbol("project_state") || value.as_call().is_some_and(&handed_on))
        {
            return Does::Where(cases);
        }
        match returned.as_call() {
            Some(call) if handed_on(call) && base_calls == 1 => Does::AsItsBase,
            None if returned.is_symbol("project_state") && base_calls == 0 => Does::Nothing,
            _ => Does::Other,
        }
    }

    /// A migration whose class is one of several: it depends on what any of them names, and an operation is certain only
    /// where all of them have it.
    fn one_of(
        &self,
        classes: &python::Alternatives,
        read: &ClassRef,
        reading: &mut Reading<'_>,
        migration: &mut Migration,
    ) {
        let mut options = Vec::new();
        for option in &classes.options {
            let class = option.as_class();
            let operations = class.and_then(|class| self.evaluator.class_attribute(class, "operations"));
            options.push(
                operations.unwrap_or_else(|| {
                    python::Value::new(ValueKind::List(Arc::new(Vec::new())), option.origin.clone())
                }),
            );
            if let Some(class) = class.filter(|class| *class != read)
                && let Some(value) = self.evaluator.class_attribute(class, "dependencies")
            {
                for dependency in Self::dependencies(&value, "dependencies", reading) {
                    if !migration.dependencies.iter().any(|known| known.target == dependency.target) {
                        migration.dependencies.push(dependency);
                    }
                }
            }
        }
        let condition = classes.condition.clone();
        let kind = ValueKind::Alternatives(Arc::new(python::Alternatives { condition: condition.clone(), options }));
        let value = python::Value::new(kind, condition);
        migration.operations = self.operations(&value, reading.module, span_in_class(read, reading.module));
    }

    /// The entries of `dependencies`, `run_before` or `replaces`.
    fn dependencies(value: &python::Value, name: &str, reading: &mut Reading<'_>) -> Vec<Dependency> {
        let mut found = Vec::new();
        for (item, conditional) in flat_items(value) {
            let span = span_in(item, reading.module);
            match Self::dependency(item) {
                Ok(target) => {
                    if conditional.is_some() {
                        let message = format!("an entry of `{name}` stands under a condition; it is taken as given");
                        reading.problems.push((span, message));
                    }
                    found.push(Dependency { target, span });
                }
                Err(reason) => found.push(Dependency { target: DependencyTarget::Unknown(reason), span }),
            }
        }
        found
    }

    fn dependency(item: &python::Value) -> Result<DependencyTarget, Reason> {
        let target = |app: &str, name: &str| match name {
            "__first__" => DependencyTarget::First(Arc::from(app)),
            "__latest__" => DependencyTarget::Latest(Arc::from(app)),
            _ => DependencyTarget::Migration(MigrationKey::new(app, name)),
        };
        if let Some([app, name]) = item.as_items() {
            let app = arguments::string(app, "app label")?;
            return Ok(target(&app, &arguments::string(name, "name")?));
        }
        let Some(call) = item.as_call() else { return Err(convert::reason(item)) };
        let name = convert::callee_name(&call.callee).unwrap_or_else(|| Arc::from(""));
        match &*name {
            "django.db.migrations.swappable_dependency" => {
                let setting = call.args.first().map(|arg| convert::value(&arg.value));
                Self::swappable_target(setting)
            }
            _ => Err(convert::reason(item)),
        }
    }

    fn swappable_target(setting: Option<crate::Value>) -> Result<DependencyTarget, Reason> {
        match setting {
            Some(crate::Value::Str(model)) => {
                let app = model.split('.').next().unwrap_or(&model);
                Ok(DependencyTarget::First(Arc::from(app)))
            }
            Some(crate::Value::Setting(name)) => Ok(DependencyTarget::Swappable(name)),
            _ => Err("the model that `swappable_dependency` names is not known".to_owned()),
        }
    }

    /// A class with its ancestors of the project, nearest first, and the first base outside of the project that may
    /// decide what it is.
    fn lineage(&self, class: &ClassRef) -> (Vec<ClassRef>, Option<python::Value>) {
        let (ancestors, outside) = self.evaluator.ancestors(class);
        let mut line = vec![class.clone()];
        line.extend(ancestors);
        let plain = |value: &python::Value| {
            value.name().is_some_and(|name| matches!(&*name, "builtins.object" | "abc.ABC" | "typing.Generic"))
        };
        let mut bases = Vec::new();
        for base in outside {
            match base.as_call() {
                // six.with_metaclass(Meta, Base)
                Some(call)
                    if convert::callee_name(&call.callee).is_some_and(|name| name.ends_with("with_metaclass")) =>
                {
                    bases.extend(call.args.iter().skip(1).map(|arg| arg.value.clone()));
                }
                _ if plain(&base) => {}
                _ => bases.push(base),
            }
        }
        // A base of Django's decides; a mixin from elsewhere that stands before it cannot be looked into.
        let unknown = bases.iter().position(|base| !base.name().is_some_and(|name| name.starts_with("django.")));
        let base = match (bases.len(), unknown) {
            (0, _) => None,
            (_, Some(index)) => bases.get(index).cloned(),
            (_, None) => bases.first().cloned(),
        };
        (line, base)
    }

    /// The arguments with which a class's `__init__` calls that of its base.
    fn base_arguments(
        &self,
        class: &ClassRef,
        method: &python::Value,
        args: &[python::Arg],
    ) -> Result<Vec<python::Arg>, Reason> {
        let failed = |what: &str| format!("`__init__` of `{}` {what}", class.name());
        let function = method.as_function().ok_or_else(|| failed("is not a plain method"))?;
        let origin = &method.origin;
        let mut all = vec![python::Arg {
            kind: python::ArgKind::Positional,
            value: python::Value::new(ValueKind::Symbol(Arc::from("self")), origin.clone()),
            span: origin.span,
        }];
        all.extend_from_slice(args);
        let sites = self.evaluator.calls_with(function, &all);
        let mut found = sites.into_iter().filter_map(|site| {
            let call = site.call.as_call()?;
            is_base_call(call, "__init__").then(|| (call.args.clone(), call.method().is_none(), site.conditional))
        });
        let (mut args, explicit, conditional) = found.next().ok_or_else(|| failed("does not call that of its base"))?;
        if conditional || found.next().is_some() {
            return Err(failed("calls that of its base under a condition"));
        }
        if explicit && !args.is_empty() {
            args.remove(0);
        }
        Ok(args)
    }
}

/// What an overridden method of a migration does.
#[derive(Clone, PartialEq)]
enum Does {
    AsItsBase,
    /// It gives back the state as it got it.
    Nothing,
    /// It runs the operations in these cases, and else leaves the database alone.
    Where(questions::Cases),
    Other,
}

/// Whether a function may be left before its last statement.
fn leaves_early(block: &[Stmt], depth: u8) -> bool {
    const MAX_DEPTH: u8 = 20;
    block.iter().any(|stmt| {
        let mut inner = depth > MAX_DEPTH || matches!(stmt.kind, StmtKind::Raise(_));
        inner |= depth > 0 && matches!(stmt.kind, StmtKind::Return(_));
        stmt.for_each_block(&mut |block| inner |= leaves_early(block, depth.saturating_add(1)));
        inner
    })
}

/// The place of a value in a module's file; the whole file where it was written elsewhere.
fn span_in(value: &python::Value, module: &Module) -> Span {
    if value.origin.module == *module { value.span() } else { Span::from_usize(0, module.file().text().len()) }
}

fn span_in_class(class: &ClassRef, module: &Module) -> Span {
    if class.module == *module { class.class().name } else { Span::from_usize(0, module.file().text().len()) }
}

/// `super().name(…)`, or `Base.name(self, …)`.
fn is_base_call(call: &python::Call, name: &str) -> bool {
    if let Some((receiver, method)) = call.method() {
        let of_super = receiver.as_call().is_some_and(|call| call.callee.is_symbol("builtins.super"));
        return method.as_str() == name && of_super;
    }
    call.name().is_some_and(|callee| callee.rsplit_once('.').is_some_and(|(_, method)| method == name))
}

/// An element of a list, and the condition under which it stands, where it stands under one that is not known.
pub(crate) type Item<'v> = (&'v python::Value, Option<&'v python::Origin>);

/// The elements of a list that may be built under conditions.
pub(crate) fn flat_items(value: &python::Value) -> Vec<Item<'_>> {
    let mut found = Vec::new();
    push_flat(value, None, 0, &mut found);
    found
}

fn push_flat<'v>(
    value: &'v python::Value,
    condition: Option<&'v python::Origin>,
    depth: u32,
    found: &mut Vec<Item<'v>>,
) {
    const MAX_DEPTH: u32 = 50;
    match &value.kind {
        _ if depth > MAX_DEPTH => found.push((value, condition)),
        ValueKind::List(items) | ValueKind::Tuple(items) | ValueKind::Set(items) => {
            for item in items.iter() {
                match &item.kind {
                    ValueKind::Alternatives(alternatives) => {
                        for option in item.options() {
                            found.push((option, Some(condition.unwrap_or(&alternatives.condition))));
                        }
                    }
                    ValueKind::Spread(inner) if matches!(inner.kind, ValueKind::Alternatives(_)) => {
                        push_flat(inner, condition, depth + 1, found);
                    }
                    _ => found.push((item, condition)),
                }
            }
        }
        ValueKind::Alternatives(alternatives) => {
            // What every option holds is certain; the rest stands under the condition.
            let options: Vec<Vec<Item<'_>>> = alternatives
                .options
                .iter()
                .filter(|option| !matches!(option.kind, ValueKind::Unknown(python::Why::Unbound(_))))
                .map(|option| {
                    let mut items = Vec::new();
                    push_flat(option, condition, depth + 1, &mut items);
                    items
                })
                .collect();
            let all = alternatives.options.len();
            // What an option adds stands behind the item that is before it in that option.
            let mut merged: Vec<(&python::Value, Option<&python::Origin>, usize)> = Vec::new();
            for items in options {
                let mut next = 0;
                for (item, inner) in items {
                    let same =
                        |(other, ..): &(&python::Value, Option<&python::Origin>, usize)| other.origin == item.origin;
                    let ahead = merged.iter().skip(next).position(same).map(|index| index + next);
                    if let Some(index) = ahead.or_else(|| merged.iter().position(same)) {
                        if let Some((_, mark, holders)) = merged.get_mut(index) {
                            *mark = mark.or(inner);
                            *holders += 1;
                        }
                        next = next.max(index + 1);
                    } else {
                        merged.insert(next.min(merged.len()), (item, inner, 1));
                        next += 1;
                    }
                }
            }
            let decides = |holders: usize| (holders < all).then_some(&alternatives.condition);
            found.extend(
                merged.into_iter().map(|(item, inner, holders)| (item, inner.or(condition).or(decides(holders)))),
            );
        }
        ValueKind::Binary(python::syntax::BinaryOp::Add, operands) => {
            push_flat(&operands.0, condition, depth + 1, found);
            push_flat(&operands.1, condition, depth + 1, found);
        }
        _ => found.push((value, condition)),
    }
}
