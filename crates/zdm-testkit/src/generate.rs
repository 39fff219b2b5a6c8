//! Projects of any size, made of what real migrations are made of.
//!
//! The mix of operations and the sizes of files follow a count over 9,564 migrations of 45 public projects: 3.2
//! operations for a migration, 28 % of them `AddField`, 27 % `AlterField`, 13 % `CreateModel`, and so on. Apps hold
//! about forty migrations each, as in large projects; keys go from one app to another, so that the graph is one. What
//! comes out is a project that Django runs: `manage.py migrate` works on an empty database.
//!
//! The same number gives the same bytes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::random::Random;

/// How many migrations one app has, about.
const MIGRATIONS_PER_APP: usize = 40;

/// The settings module of a generated project. The connection comes from `PGHOST`, `PGPORT`, `PGUSER` and
/// `PGDATABASE`; `EXTRA_APPS` adds apps, separated by commas.
pub const SETTINGS: &str = "site_settings";

/// The files of a project with this many migrations: paths and texts, in the order of the paths.
pub fn project(migrations: usize) -> Vec<(String, String)> {
    let mut world = World { random: Random::new(0x5eed_cafe), apps: Vec::new(), files: Vec::new() };
    let apps = migrations.div_ceil(MIGRATIONS_PER_APP).max(1);
    for written in 0..migrations {
        // Apps begin one after the other while the older ones go on.
        let begun = world.apps.len();
        if begun < apps && written * apps >= begun * migrations {
            world.begin_app();
        } else {
            world.change_app();
        }
    }
    world.finish()
}

/// Writes the files of [`project`] below `dir`.
pub fn write(migrations: usize, dir: &Path) -> io::Result<()> {
    for (path, text) in project(migrations) {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

struct World {
    random: Random,
    apps: Vec<App>,
    files: Vec<(String, String)>,
}

struct App {
    label: String,
    models: Vec<Model>,
    /// Names of the migrations, without extension.
    migrations: Vec<String>,
    /// Models ever made: names are not used twice.
    made: usize,
}

#[derive(Clone)]
struct Model {
    name: String,
    fields: Vec<Field>,
    /// A key points here, so the model stays.
    referenced: bool,
    indexes: Vec<(String, String)>,
    /// Fields ever made.
    made: usize,
}

#[derive(Clone)]
struct Field {
    name: String,
    kind: Kind,
    /// An index, a constraint or a group of unique fields names it, so it stays as it is.
    used: bool,
    null: bool,
    db_index: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Char(usize),
    Text,
    Integer,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Decimal,
    Url,
    Email,
    Slug,
    Uuid,
    Json,
    Relation,
}

const APPS: [&str; 20] = [
    "accounts",
    "catalog",
    "orders",
    "billing",
    "shipping",
    "inventory",
    "support",
    "reports",
    "messaging",
    "reviews",
    "pricing",
    "search",
    "loyalty",
    "returns",
    "suppliers",
    "warehouse",
    "content",
    "events",
    "exports",
    "partners",
];
const MODELS: [&str; 16] = [
    "Account", "Item", "Entry", "Document", "Batch", "Rule", "Task", "Price", "Address", "Event", "Comment", "Report",
    "Channel", "Message", "Policy", "Ticket",
];
const FIELDS: [&str; 24] = [
    "title",
    "status",
    "reference",
    "description",
    "amount",
    "position",
    "is_active",
    "created_at",
    "updated_at",
    "external_id",
    "notes",
    "kind",
    "quantity",
    "weight",
    "source",
    "country",
    "language",
    "due_date",
    "email",
    "website",
    "slug",
    "payload",
    "attempts",
    "is_public",
];
const KINDS: [Kind; 20] = [
    Kind::Char(50),
    Kind::Char(100),
    Kind::Char(200),
    Kind::Char(255),
    Kind::Text,
    Kind::Text,
    Kind::Integer,
    Kind::Integer,
    Kind::BigInteger,
    Kind::Boolean,
    Kind::Boolean,
    Kind::Date,
    Kind::DateTime,
    Kind::DateTime,
    Kind::Decimal,
    Kind::Url,
    Kind::Email,
    Kind::Slug,
    Kind::Uuid,
    Kind::Json,
];

/// One migration while it is written.
#[derive(Default)]
struct Writing {
    operations: String,
    dependencies: BTreeSet<(String, String)>,
    /// Fields that this migration has made or changed, as `Model.field`. Django does not cope with an index that comes and
    /// goes before its deferred statements run, and nobody writes that.
    touched: BTreeSet<String>,
    /// Depends on the user model.
    user: bool,
    /// Imports beside Django's models, and functions.
    imports: BTreeSet<&'static str>,
    functions: String,
    subject: String,
}

impl World {
    fn begin_app(&mut self) {
        let number = self.apps.len();
        let base = APPS[number % APPS.len()];
        let label = if number < APPS.len() { base.to_owned() } else { format!("{base}{}", number / APPS.len() + 1) };
        self.apps.push(App { label, models: Vec::new(), migrations: Vec::new(), made: 0 });
        let mut writing = Writing { subject: "initial".to_owned(), ..Writing::default() };
        for _ in 0..3 + self.random.below(4) {
            self.create_model(number, &mut writing);
        }
        self.write(number, writing);
    }

    fn change_app(&mut self) {
        let app = self.random.below(self.apps.len());
        let mut writing = Writing::default();
        let operations = match self.random.below(20) {
            0..=7 => 1,
            8..=11 => 2,
            12..=14 => 3,
            15..=17 => 5,
            18 => 8,
            _ => 14,
        };
        for _ in 0..operations {
            self.operation(app, &mut writing);
        }
        self.write(app, writing);
    }

    /// One operation by the shares of the count; what does not fit the app's models becomes an `AddField`.
    fn operation(&mut self, app: usize, writing: &mut Writing) {
        match self.random.below(1000) {
            0..=279 => self.add_field(app, writing),
            280..=559 => self.alter_field(app, writing),
            560..=669 => self.create_model(app, writing),
            670..=734 => self.remove_field(app, writing),
            735..=798 => self.run_python(app, writing),
            799..=834 => self.add_index(app, writing),
            835..=859 => self.unique_together(app, writing),
            860..=889 => self.model_options(app, writing),
            890..=913 => self.add_constraint(app, writing),
            914..=931 => self.rename_field(app, writing),
            932..=946 => self.run_sql(app, writing),
            947..=956 => self.delete_model(app, writing),
            957..=964 => self.separate(app, writing),
            965..=974 => self.remove_index(app, writing),
            _ => self.add_field(app, writing),
        }
    }

    fn create_model(&mut self, app: usize, writing: &mut Writing) {
        let made = self.apps[app].made;
        self.apps[app].made += 1;
        let base = MODELS[made % MODELS.len()];
        let name = if made < MODELS.len() { base.to_owned() } else { format!("{base}{}", made / MODELS.len() + 1) };
        let mut model =
            Model { name: name.clone(), fields: Vec::new(), referenced: false, indexes: Vec::new(), made: 0 };
        let mut text = String::from(
            "                (\"id\", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name=\"ID\")),\n",
        );
        for _ in 0..4 + self.random.below(7) {
            let (field, code) = self.new_field(app, &mut model, false, writing);
            let _ = writeln!(text, "                (\"{}\", {code}),", field.name);
            model.fields.push(field);
        }
        let mut options = String::new();
        if self.random.chance(60) {
            let words = name.to_lowercase();
            let _ = writeln!(options, "                \"verbose_name\": \"{words}\",");
            let _ = writeln!(options, "                \"verbose_name_plural\": \"{words}s\",");
        }
        if self.random.chance(30) {
            let _ = writeln!(options, "                \"ordering\": [\"id\"],");
        }
        let options = if options.is_empty() {
            String::new()
        } else {
            format!("            options={{\n{options}            }},\n")
        };
        let _ = write!(
            writing.operations,
            "        migrations.CreateModel(\n            name=\"{name}\",\n            fields=[\n{text}            ],\n{options}        ),\n"
        );
        writing.about(&name);
        self.apps[app].models.push(model);
    }

    /// A new field and the code that makes it. `added` says that the table exists, so that it must take old rows.
    fn new_field(&mut self, app: usize, model: &mut Model, added: bool, writing: &mut Writing) -> (Field, String) {
        let made = model.made;
        model.made += 1;
        if self.random.chance(14)
            && let Some((field, code)) = self.relation(app, &model.name, made, writing)
        {
            return (field, code);
        }
        let start = self.random.below(FIELDS.len());
        let base = FIELDS[start];
        let name = if model.fields.iter().any(|field| field.name == base) {
            format!("{base}_{made}")
        } else {
            base.to_owned()
        };
        let field = Field {
            name,
            kind: *self.random.pick(&KINDS),
            used: false,
            null: self.random.chance(35),
            db_index: self.random.chance(6),
        };
        writing.touched.insert(format!("{}.{}", model.name, field.name));
        let code = self.field_code(app, &field, added, writing);
        (field, code)
    }

    /// A key to a model of this app, of an earlier one, or to the user.
    fn relation(&mut self, app: usize, model: &str, made: usize, writing: &mut Writing) -> Option<(Field, String)> {
        let null = if self.random.chance(70) { "null=True, blank=True, " } else { "" };
        // A table with rows takes a new key only if it may be null; one that is new here takes both.
        let null = if null.is_empty() && !writing.operations.contains(&format!("name=\"{model}\"")) {
            "null=True, "
        } else {
            null
        };
        let on_delete = *self.random.pick(&["CASCADE", "CASCADE", "PROTECT", "SET_NULL"]);
        let on_delete = if null.is_empty() && on_delete == "SET_NULL" { "CASCADE" } else { on_delete };
        let kind = match self.random.below(10) {
            0 => "OneToOneField",
            1 => "ManyToManyField",
            _ => "ForeignKey",
        };
        let (name, to) = if self.random.chance(20) {
            writing.user = true;
            (format!("user_{made}"), "settings.AUTH_USER_MODEL".to_owned())
        } else {
            let target = if self.random.chance(60) { app } else { self.random.below(self.apps.len()) };
            let candidates = self.apps[target].models.len();
            if candidates == 0 {
                return None;
            }
            let at = self.random.below(candidates);
            let label = self.apps[target].label.clone();
            if target != app {
                let last = self.apps[target].migrations.last()?.clone();
                writing.dependencies.insert((label.clone(), last));
            }
            let target = &mut self.apps[target].models[at];
            target.referenced = true;
            (format!("{}_{made}", target.name.to_lowercase()), format!("\"{label}.{}\"", target.name.to_lowercase()))
        };
        let related = format!("related_name=\"+\", to={to}");
        let code = if kind == "ManyToManyField" {
            format!("models.ManyToManyField(blank=True, {related})")
        } else {
            writing.imports.insert("import django.db.models.deletion");
            format!("models.{kind}({null}on_delete=django.db.models.deletion.{on_delete}, {related})")
        };
        Some((Field { name, kind: Kind::Relation, used: true, null: !null.is_empty(), db_index: false }, code))
    }

    fn field_code(&mut self, app: usize, field: &Field, added: bool, writing: &mut Writing) -> String {
        let mut arguments: Vec<String> = Vec::new();
        let default = added && !field.null || self.random.chance(15);
        let (class, value) = match field.kind {
            Kind::Char(length) => {
                arguments.push(format!("max_length={length}"));
                if self.random.chance(35) {
                    arguments.push(
                        "choices=[(\"new\", \"New\"), (\"open\", \"Open\"), (\"done\", \"Done\"), (\"failed\", \"Failed\")]"
                            .to_owned(),
                    );
                }
                ("CharField", "\"new\"")
            }
            Kind::Text | Kind::Relation => ("TextField", "\"\""),
            Kind::Integer => ("PositiveIntegerField", "0"),
            Kind::BigInteger => ("BigIntegerField", "0"),
            Kind::Boolean => ("BooleanField", "False"),
            Kind::Date => ("DateField", "django.utils.timezone.now"),
            Kind::DateTime => ("DateTimeField", "django.utils.timezone.now"),
            Kind::Decimal => {
                arguments.push("max_digits=12".to_owned());
                arguments.push("decimal_places=2".to_owned());
                ("DecimalField", "0")
            }
            Kind::Url => ("URLField", "\"\""),
            Kind::Email => ("EmailField", "\"nobody@example.org\""),
            Kind::Slug => {
                arguments.push("max_length=80".to_owned());
                ("SlugField", "\"none\"")
            }
            Kind::Uuid => ("UUIDField", "uuid.uuid4"),
            Kind::Json => ("JSONField", "dict"),
        };
        if default {
            if value.starts_with("django.utils") {
                writing.imports.insert("import django.utils.timezone");
            } else if value.starts_with("uuid") {
                writing.imports.insert("import uuid");
            }
            if matches!(field.kind, Kind::Char(length) if length >= 100) && self.random.chance(10) {
                writing.imports.insert("models");
                arguments.push(format!("default={}.models.make_reference", self.apps[app].label));
            } else {
                arguments.push(format!("default={value}"));
            }
        }
        if field.null {
            arguments.push("null=True".to_owned());
            arguments.push("blank=True".to_owned());
        }
        if field.db_index && field.kind != Kind::Slug {
            arguments.push("db_index=True".to_owned());
        }
        if self.random.chance(40) {
            let words = field.name.replace('_', " ");
            arguments.push(format!("help_text=\"What the {words} is; shown to people who edit the record.\""));
        }
        if self.random.chance(25) {
            arguments.push(format!("verbose_name=\"{}\"", field.name.replace('_', " ")));
        }
        format!("models.{class}({})", arguments.join(", "))
    }

    /// A model of the app by its place.
    fn some_model(&mut self, app: usize) -> usize {
        self.random.below(self.apps[app].models.len())
    }

    /// A field of the model that nothing else names, and that is no relation.
    fn free_field(&mut self, app: usize, model: usize) -> Option<usize> {
        let fields = &self.apps[app].models[model].fields;
        let free: Vec<usize> = (0..fields.len()).filter(|at| !fields[*at].used).collect();
        if free.is_empty() { None } else { Some(*self.random.pick(&free)) }
    }

    fn add_field(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let mut model = self.apps[app].models[at].clone();
        let (field, code) = self.new_field(app, &mut model, true, writing);
        let _ = write!(
            writing.operations,
            "        migrations.AddField(\n            model_name=\"{}\",\n            name=\"{}\",\n            field={code},\n        ),\n",
            model.name.to_lowercase(),
            field.name,
        );
        writing.about(&format!("{}_{}", model.name, field.name));
        // A new key may have marked this very model.
        model.referenced |= self.apps[app].models[at].referenced;
        model.fields.push(field);
        self.apps[app].models[at] = model;
    }

    fn alter_field(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let Some(place) = self.free_field(app, at) else { return self.add_field(app, writing) };
        let mut field = self.apps[app].models[at].fields[place].clone();
        if !writing.touched.insert(format!("{}.{}", self.apps[app].models[at].name, field.name)) {
            return self.add_field(app, writing);
        }
        // Most changes are none of the database's.
        match self.random.below(10) {
            0..=1 => {
                if let Kind::Char(length) = field.kind {
                    field.kind = Kind::Char((length * 2).min(500));
                }
            }
            2 => field.null = !field.null,
            3 => field.db_index = !field.db_index,
            4 if field.kind == Kind::Integer => field.kind = Kind::BigInteger,
            _ => {}
        }
        let code = self.field_code(app, &field, true, writing);
        let model = &mut self.apps[app].models[at];
        let _ = write!(
            writing.operations,
            "        migrations.AlterField(\n            model_name=\"{}\",\n            name=\"{}\",\n            field={code},\n        ),\n",
            model.name.to_lowercase(),
            field.name,
        );
        writing.about(&format!("alter_{}_{}", model.name, field.name));
        model.fields[place] = field;
    }

    fn remove_field(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let Some(place) = self.free_field(app, at).filter(|_| self.apps[app].models[at].fields.len() > 3) else {
            return self.add_field(app, writing);
        };
        let model = &mut self.apps[app].models[at];
        let field = model.fields.remove(place);
        let _ = write!(
            writing.operations,
            "        migrations.RemoveField(\n            model_name=\"{}\",\n            name=\"{}\",\n        ),\n",
            model.name.to_lowercase(),
            field.name,
        );
        writing.about(&format!("remove_{}_{}", model.name, field.name));
    }

    fn rename_field(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let Some(place) = self.free_field(app, at) else { return self.add_field(app, writing) };
        let model = &mut self.apps[app].models[at];
        model.made += 1;
        let new = format!("renamed_{}", model.made);
        let old = std::mem::replace(&mut model.fields[place].name, new.clone());
        let _ = write!(
            writing.operations,
            "        migrations.RenameField(\n            model_name=\"{}\",\n            old_name=\"{old}\",\n            new_name=\"{new}\",\n        ),\n",
            model.name.to_lowercase(),
        );
        writing.about(&format!("rename_{old}_{new}"));
    }

    fn add_index(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let Some(place) = self.free_field(app, at) else { return self.add_field(app, writing) };
        let label: String = self.apps[app].label.chars().take(8).collect();
        let model = &mut self.apps[app].models[at];
        model.made += 1;
        let field = &mut model.fields[place];
        field.used = true;
        let short: String = model.name.to_lowercase().chars().rev().take(8).collect();
        let name = format!("{label}_{short}_{}_idx", model.made);
        let _ = write!(
            writing.operations,
            "        migrations.AddIndex(\n            model_name=\"{}\",\n            index=models.Index(fields=[\"{}\", \"-id\"], name=\"{name}\"),\n        ),\n",
            model.name.to_lowercase(),
            field.name,
        );
        writing.about(&format!("{}_{name}", model.name));
        model.indexes.push((name, field.name.clone()));
    }

    fn remove_index(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let model = &mut self.apps[app].models[at];
        let Some((name, field)) = model.indexes.pop() else { return self.add_index(app, writing) };
        for known in model.fields.iter_mut().filter(|known| known.name == field) {
            known.used = false;
        }
        let _ = write!(
            writing.operations,
            "        migrations.RemoveIndex(\n            model_name=\"{}\",\n            name=\"{name}\",\n        ),\n",
            model.name.to_lowercase(),
        );
        writing.about(&format!("remove_{}_{name}", model.name));
    }

    fn unique_together(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let Some(first) = self.free_field(app, at) else { return self.add_field(app, writing) };
        let model = &mut self.apps[app].models[at];
        let field = &mut model.fields[first];
        if field.kind == Kind::Json {
            return self.model_options(app, writing);
        }
        field.used = true;
        let name = field.name.clone();
        let _ = write!(
            writing.operations,
            "        migrations.AlterUniqueTogether(\n            name=\"{}\",\n            unique_together={{(\"id\", \"{name}\")}},\n        ),\n",
            model.name.to_lowercase(),
        );
        writing.about(&format!("alter_{}_unique_together", model.name));
    }

    fn model_options(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let model = &self.apps[app].models[at];
        let words = model.name.to_lowercase();
        let _ = write!(
            writing.operations,
            "        migrations.AlterModelOptions(\n            name=\"{words}\",\n            options={{\"ordering\": [\"-id\"], \"verbose_name\": \"{words}\", \"verbose_name_plural\": \"{words}s\"}},\n        ),\n",
        );
        writing.about(&format!("alter_{words}_options"));
    }

    fn add_constraint(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let Some(place) = self.free_field(app, at) else { return self.add_field(app, writing) };
        let label = self.apps[app].label.clone();
        let model = &mut self.apps[app].models[at];
        model.made += 1;
        let name = format!("{label}_{}_{}_valid", model.name.to_lowercase(), model.made);
        let field = &mut model.fields[place];
        field.used = true;
        let condition = match field.kind {
            Kind::Integer | Kind::BigInteger | Kind::Decimal => format!("({:?}, 0)", format!("{}__gte", field.name)),
            Kind::Char(_) | Kind::Text | Kind::Url | Kind::Email | Kind::Slug => {
                format!("models.Q(({:?}, \"\"), _negated=True)", field.name)
            }
            _ => format!("(\"{}__isnull\", False), (\"id__gt\", 0), _connector=\"OR\"", field.name),
        };
        let condition = if condition.starts_with("models.Q") { condition } else { format!("models.Q({condition})") };
        let _ = write!(
            writing.operations,
            "        migrations.AddConstraint(\n            model_name=\"{}\",\n            constraint=models.CheckConstraint(check={condition}, name=\"{name}\"),\n        ),\n",
            model.name.to_lowercase(),
        );
        writing.about(&format!("{}_{name}", model.name));
    }

    fn delete_model(&mut self, app: usize, writing: &mut Writing) {
        let models = &self.apps[app].models;
        let free: Vec<usize> = (0..models.len()).filter(|at| !models[*at].referenced).collect();
        if models.len() < 4 || free.is_empty() {
            return self.add_field(app, writing);
        }
        let at = *self.random.pick(&free);
        let model = self.apps[app].models.remove(at);
        let _ = write!(
            writing.operations,
            "        migrations.DeleteModel(\n            name=\"{}\",\n        ),\n",
            model.name
        );
        writing.about(&format!("delete_{}", model.name));
    }

    fn run_python(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let Some(place) = self.free_field(app, at) else { return self.add_field(app, writing) };
        let label = &self.apps[app].label;
        let model = &self.apps[app].models[at];
        let number = writing.functions.matches("def ").count();
        let name = format!("fill_{}_{number}", model.name.to_lowercase());
        let _ = write!(
            writing.functions,
            "\n\ndef {name}(apps, schema_editor):\n    model = apps.get_model(\"{label}\", \"{0}\")\n    changed = []\n    \
             for record in model.objects.using(schema_editor.connection.alias).iterator(chunk_size=500):\n        \
             if record.{1} is None:\n            continue\n        changed.append(record)\n    \
             model.objects.bulk_update(changed, [\"{1}\"], batch_size=500)\n",
            model.name, model.fields[place].name,
        );
        let _ = writeln!(writing.operations, "        migrations.RunPython({name}, migrations.RunPython.noop),");
        writing.about(&name);
    }

    fn run_sql(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let Some(place) = self.free_field(app, at) else { return self.add_field(app, writing) };
        let label = &self.apps[app].label;
        let model = &self.apps[app].models[at];
        let table = format!("{label}_{}", model.name.to_lowercase());
        let column = &model.fields[place].name;
        let _ = write!(
            writing.operations,
            "        migrations.RunSQL(\n            sql=\"\"\"\n                UPDATE {table} SET {column} = {column} WHERE id < 1000;\n                \
             COMMENT ON COLUMN {table}.{column} IS 'kept by hand';\n            \"\"\",\n            reverse_sql=migrations.RunSQL.noop,\n        ),\n",
        );
        writing.about(&format!("{}_{column}_sql", model.name));
    }

    /// An index that SQL makes and the state learns of.
    fn separate(&mut self, app: usize, writing: &mut Writing) {
        let at = self.some_model(app);
        let Some(place) = self.free_field(app, at) else { return self.add_field(app, writing) };
        let label = self.apps[app].label.clone();
        let model = &mut self.apps[app].models[at];
        model.made += 1;
        let table = format!("{label}_{}", model.name.to_lowercase());
        let field = &mut model.fields[place];
        field.used = true;
        let short: String = label.chars().take(8).collect();
        let name = format!("{short}_{:.6}_{}_sql", model.name.to_lowercase(), model.made);
        let _ = write!(
            writing.operations,
            "        migrations.SeparateDatabaseAndState(\n            database_operations=[\n                \
             migrations.RunSQL(\"CREATE INDEX {name} ON {table} ({0})\", \"DROP INDEX {name}\"),\n            ],\n            \
             state_operations=[\n                migrations.AddIndex(\n                    model_name=\"{1}\",\n                    \
             index=models.Index(fields=[\"{0}\"], name=\"{name}\"),\n                ),\n            ],\n        ),\n",
            field.name,
            model.name.to_lowercase(),
        );
        writing.about(&format!("{}_{name}", model.name));
    }

    fn write(&mut self, app: usize, mut writing: Writing) {
        let label = self.apps[app].label.clone();
        let number = self.apps[app].migrations.len() + 1;
        let mut subject: String = writing.subject.to_lowercase().chars().take(50).collect();
        if subject.is_empty() {
            "auto".clone_into(&mut subject);
        }
        let name = format!("{number:04}_{subject}");
        if let Some(previous) = self.apps[app].migrations.last() {
            writing.dependencies.insert((label.clone(), previous.clone()));
        }
        let days = self.files.len();
        let mut text = format!(
            "# Generated by Django 4.2.11 on 20{:02}-{:02}-{:02} {:02}:{:02}\n\n",
            14 + days / 1400 % 12,
            days / 117 % 12 + 1,
            days % 28 + 1,
            days % 24,
            days % 60
        );
        if writing.user {
            text.push_str("from django.conf import settings\n");
        }
        text.push_str("from django.db import migrations, models\n");
        for import in &writing.imports {
            match *import {
                "models" => {
                    let _ = writeln!(text, "import {label}.models");
                }
                import => {
                    let _ = writeln!(text, "{import}");
                }
            }
        }
        let _ = write!(text, "{}\n\nclass Migration(migrations.Migration):\n\n", writing.functions);
        if number == 1 {
            text.push_str("    initial = True\n\n");
        }
        text.push_str("    dependencies = [\n");
        if writing.user {
            text.push_str("        migrations.swappable_dependency(settings.AUTH_USER_MODEL),\n");
        }
        for (app, name) in &writing.dependencies {
            let _ = writeln!(text, "        (\"{app}\", \"{name}\"),");
        }
        let _ = write!(text, "    ]\n\n    operations = [\n{}    ]\n", writing.operations);
        self.files.push((format!("{label}/migrations/{name}.py"), text));
        self.apps[app].migrations.push(name);
    }

    fn finish(self) -> Vec<(String, String)> {
        let mut files = self.files;
        let mut installed = String::new();
        for app in &self.apps {
            let label = &app.label;
            files.push((format!("{label}/__init__.py"), String::new()));
            files.push((format!("{label}/migrations/__init__.py"), String::new()));
            let class: String = label[..1].to_uppercase() + &label[1..];
            files.push((
                format!("{label}/apps.py"),
                format!("from django.apps import AppConfig\n\n\nclass {class}Config(AppConfig):\n    default_auto_field = \"django.db.models.BigAutoField\"\n    name = \"{label}\"\n"),
            ));
            files.push((
                format!("{label}/models.py"),
                "import uuid\n\n\ndef make_reference():\n    return str(uuid.uuid4())\n".to_owned(),
            ));
            let _ = writeln!(installed, "    \"{label}\",");
        }
        files.push((format!("{SETTINGS}.py"), SETTINGS_TEXT.replace("INSTALLED\n", &installed)));
        files.push(("manage.py".to_owned(), MANAGE.replace("{settings}", SETTINGS)));
        files.sort();
        files
    }
}

impl Writing {
    /// The first operation names the migration.
    fn about(&mut self, what: &str) {
        if self.subject.is_empty() {
            what.clone_into(&mut self.subject);
        }
    }
}

const SETTINGS_TEXT: &str = r#"import os

SECRET_KEY = "not secret: a generated project"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
INSTALLED
]
if os.environ.get("EXTRA_APPS"):
    INSTALLED_APPS += os.environ["EXTRA_APPS"].split(",")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("PGDATABASE", "generated"),
        "HOST": os.environ.get("PGHOST", ""),
        "PORT": os.environ.get("PGPORT", ""),
        "USER": os.environ.get("PGUSER", ""),
    }
}
"#;

const MANAGE: &str = r#"#!/usr/bin/env python
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
"#;
