//! Python source text as constants, names, calls and classes, each with its span: a static evaluator that runs nothing.
//!
//! [`parse`] never fails and reads a file once into a [`Module`]. An [`Evaluator`] runs modules, class bodies and simple
//! functions on [`Value`]s, following imports through a [`ModuleLoader`]. This crate does no I/O, and it knows Python,
//! not Django: a field is a call of a symbol with arguments, and what that means is for others to say. (The one
//! exception are the names of Django's enumeration classes, whose members stand for their values.)
//!
//! What cannot be known is a [`Value`] too: [`ValueKind::Unknown`] with a reason, [`ValueKind::Alternatives`] where a
//! condition decides, [`ValueKind::Spread`] for elements of unknown number. Strings know where each of their
//! characters was written ([`Str::origin_of`]).
//!
//! # Reading a migration
//!
//! ```
//! use zdm_python::{Evaluator, Module, ModuleLoader, Str, ValueKind, parse};
//! use zdm_source::SourceFile;
//!
//! struct Project(Vec<Module>);
//!
//! impl ModuleLoader for Project {
//!     fn load(&self, name: &str) -> Option<Module> {
//!         self.0.iter().find(|module| module.name() == name).cloned()
//!     }
//! }
//!
//! let text = r#"
//! from django.conf import settings
//! from django.db import migrations, models
//!
//! SQL = "CREATE INDEX i ON %s (id)"
//!
//! class Migration(migrations.Migration):
//!     operations = [
//!         migrations.AddField("order", name="owner", field=models.ForeignKey(settings.AUTH_USER_MODEL, null=True)),
//!         migrations.RunSQL(SQL % "shop_order"),
//!     ]
//!     if settings.FAST:
//!         operations += [migrations.RunPython(lambda apps, schema_editor: apps.get_model("a", "B").objects.update(x=1))]
//! "#;
//! let module = parse(&SourceFile::new("shop/migrations/0002_owner.py", text), "shop.migrations.0002_owner");
//! let project = Project(vec![module.clone()]);
//! let evaluator = Evaluator::new(&project);
//!
//! let migration = evaluator.class(&module, "Migration").expect("the text defines it");
//! let operations = evaluator.class_attribute(&migration, "operations").expect("its body binds it").flatten();
//!
//! let add_field = operations[0].value.as_call().expect("a call");
//! assert_eq!(add_field.name().as_deref(), Some("django.db.migrations.AddField"));
//! assert_eq!(add_field.arg(0, "model_name").and_then(|arg| arg.value.as_str()).map(Str::as_str), Some("order"));
//! let field = add_field.arg(2, "field").and_then(|arg| arg.value.as_call()).expect("another call");
//! assert_eq!(field.name().as_deref(), Some("django.db.models.ForeignKey"));
//! assert!(field.arg(0, "to").is_some_and(|arg| arg.value.is_symbol("django.conf.settings.AUTH_USER_MODEL")));
//!
//! // The statement's text has a place for each of its parts, through the `%`.
//! let run_sql = operations[1].value.as_call().expect("a call");
//! let sql = run_sql.arg(0, "sql").and_then(|arg| arg.value.as_str()).expect("known");
//! assert_eq!(sql.as_str(), "CREATE INDEX i ON shop_order (id)");
//! assert_eq!(sql.origin_of(18..28).expect("it has a place").text(), "shop_order");
//!
//! // The last operation is there only under a condition; its function's body can be read.
//! assert_eq!(operations[2].condition.as_ref().map(|condition| condition.text()), Some("settings.FAST"));
//! let run_python = operations[2].value.as_call().expect("a call");
//! let code = run_python.arg(0, "code").and_then(|arg| arg.value.as_function()).expect("a lambda");
//! let calls = evaluator.calls(code);
//! assert_eq!(calls[1].call.to_string(), "<parameter apps>.get_model('a', 'B').objects.update(x=1)");
//! ```
//!
//! Further: [`Evaluator::substitute`] puts values in place of symbols and calls afterwards (a setting, a swappable
//! model's name) and evaluates what depends on them; [`Evaluator::calls_with`] shows what a subclass's `__init__`
//! passes on to its base; [`Evaluator::returns`] evaluates a method such as `db_type`; [`Value::first_unknown`] tells
//! whether a value is known and, if not, which part of it is to be shown.
//!
//! # Limits
//!
//! Objects are values here: two names for one list do not see each other's changes, and attributes that are assigned
//! to classes of other modules, or to instances, are not tracked. Whether modules that are not found are installed is for
//! the loader to say.
//! Functions are followed as long as their conditions are known; functions inside of functions see the variables around
//! them as they are where the inner function is named.

#![expect(clippy::single_match_else, reason = "both cases of a look-up are named")]

pub mod syntax;

mod lower;

pub mod text;

mod literal;

pub mod value;

mod namespace;

mod ops;

mod format;

mod builtins;

mod standard_library;

pub mod files;

pub mod entry_points;

pub mod eval;

pub use entry_points::EntryPoint;
pub use eval::{AttributeSet, CallSite, ClassBody, Evaluator, ModuleLoader};
pub use files::FilePath;
pub use lower::parse;
pub use standard_library::is_standard_library;
pub use syntax::{Module, Why};
pub use text::{Origin, Segment, Str};
pub use value::{
    Alternatives, Arg, ArgKind, AttributeOf, Call, ClassRef, DictEntry, FunctionRef, Int, Item, TemplatePart, Value,
    ValueKind,
};
