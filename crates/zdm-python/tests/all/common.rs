//! In-memory projects for the tests.

use std::collections::BTreeMap;

use zdm_python::{Evaluator, Module, ModuleLoader, ValueKind, parse};
use zdm_source::SourceFile;

/// Modules by their dotted names.
#[derive(Debug, Default)]
pub(crate) struct Project {
    modules: BTreeMap<String, Module>,
}

impl Project {
    /// Files separated by lines `# file: path.py`; text without such a line is `m.py`.
    pub(crate) fn new(text: &str) -> Self {
        let mut project = Self::default();
        let mut path = "m.py".to_owned();
        let mut content = String::new();
        for line in text.split_inclusive('\n') {
            if let Some(next) = line.strip_prefix("# file: ") {
                if !content.trim().is_empty() {
                    project.add(&path, &content);
                }
                next.trim().clone_into(&mut path);
                content.clear();
            } else {
                content.push_str(line);
            }
        }
        project.add(&path, &content);
        project
    }

    fn add(&mut self, path: &str, text: &str) {
        let name = path.trim_end_matches(".py").trim_end_matches("/__init__").replace('/', ".");
        let module = parse(&SourceFile::new(path, text), name.as_str());
        self.modules.insert(name, module);
    }

    pub(crate) fn module(&self, name: &str) -> &Module {
        &self.modules[name]
    }
}

impl ModuleLoader for Project {
    fn load(&self, name: &str) -> Option<Module> {
        self.modules.get(name).cloned()
    }

    fn symbol(&self, name: &str) -> Option<ValueKind> {
        match name {
            "django.db.connection.vendor" => Some(ValueKind::Str(zdm_python::Str::made(
                "postgresql",
                zdm_python::Origin::new(self.modules.values().next()?, zdm_source::Span::default()),
            ))),
            _ => None,
        }
    }
}

/// The bindings of module `m`, one line each, classes with their bodies.
pub(crate) fn render(text: &str) -> String {
    let project = Project::new(text);
    let evaluator = Evaluator::new(&project);
    let module = project.module("m");
    let mut lines = Vec::new();
    for (name, value) in evaluator.globals(module) {
        lines.push(format!("{name} = {value}"));
        if let ValueKind::Class(class) = &value.kind
            && class.module == *module
        {
            for (name, value) in &evaluator.class_body(class).bindings {
                lines.push(format!("    {name} = {value}"));
            }
        }
    }
    lines.join("\n")
}

/// SplitMix64 by Sebastiano Vigna: seeded, so that a failure can be repeated.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }
}
