//! Files whose statements a module runs as if they were its own: `include("base.py", optional("local.py"))`.
//!
//! Source: the documentation of django-split-settings: paths and patterns are relative to the file that includes, each
//! file sees the names that were bound before it, and what it binds is bound where it is included.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{Evaluator, Frame, FrameKind, ModuleScope};
use crate::files::{self, FilePath};
use crate::namespace::Namespace;
use crate::syntax::Module;
use crate::value::{ArgKind, Value};

const INCLUDE: &str = "split_settings.tools.include";
const OPTIONAL: &str = "split_settings.tools.optional";

impl Evaluator<'_> {
    /// Runs what a statement includes. Which files these are has to be known, else any name may be bound by them.
    pub(super) fn include(&self, frame: &Frame<'_>, statement: &Value, at: u32) {
        let Some(call) = statement.as_call().filter(|call| call.callee.is_symbol(INCLUDE)) else { return };
        if frame.kind != FrameKind::Module {
            return;
        }
        let keyword = |name: &ArgKind| matches!(name, ArgKind::Keyword(name) if name.as_str() == "scope");
        let paths = call.args.iter().filter(|arg| !keyword(&arg.kind));
        let Some(modules) =
            paths.map(|arg| self.included_modules(frame.module, &arg.value)).collect::<Option<Vec<_>>>()
        else {
            frame.bind_star(at, None);
            return;
        };
        for module in modules.iter().flatten() {
            self.run_here(frame, module, at);
        }
    }

    /// The files that one argument names; none for an optional one that is not there. An optional file outside of the
    /// project is a machine's own, like its environment's variables, and is taken for absent as they are.
    fn included_modules(&self, from: &Module, path: &Value) -> Option<Vec<Module>> {
        let optional = path.as_call().filter(|call| call.callee.is_symbol(OPTIONAL));
        let path = optional.map_or(Some(path), |call| call.positional(0).map(|arg| &arg.value))?;
        let found = self.included_paths(from, path);
        if optional.is_some() && found.is_none() {
            return Some(Vec::new());
        }
        let modules: Vec<Module> = found?.iter().filter_map(|path| self.loader.module_at(path)).collect();
        // A file that is required and not there ends the program.
        (optional.is_some() || !modules.is_empty()).then_some(modules)
    }

    fn included_paths(&self, from: &Module, path: &Value) -> Option<Vec<FilePath>> {
        let pattern = match files::path_of(path) {
            Some(path) => path,
            None => self.loader.place(from)?.parent()?.join(path.as_str()?.as_str())?,
        };
        if pattern.path.contains(['*', '?', '[']) { files::matching(self, &pattern) } else { Some(vec![pattern]) }
    }

    fn run_here(&self, frame: &Frame<'_>, module: &Module, at: u32) {
        if !self.enter_body() {
            frame.bind_star(at, None);
            return;
        }
        let mut names = Namespace::default();
        let before = {
            let outer = frame.scope.names.borrow();
            for name in outer.names() {
                if let Some(slot) = outer.get(&name, u32::MAX) {
                    names.bind(name, 0, slot);
                }
            }
            for star in outer.stars(u32::MAX) {
                names.bind_star(0, star);
            }
            names.mark()
        };
        let scope = Rc::new(ModuleScope {
            module: module.clone(),
            names: RefCell::new(names),
            done: Cell::new(false),
            skipped: Cell::new(false),
            patches: RefCell::default(),
            assigned: RefCell::default(),
        });
        self.block(&Frame::module(module, &scope), module.body());
        self.leave();
        let bound = scope.names.borrow_mut().rollback(before);
        for (name, slot) in bound {
            frame.bind_slot(name, at, slot);
        }
        for star in scope.names.borrow().stars(u32::MAX) {
            frame.bind_star(at, star);
        }
    }
}
