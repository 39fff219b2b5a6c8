//! Random histories over two apps, of everything that changes a schema: inheritance, proxies, many-to-many in all forms,
//! generated and composite columns, constraints, indexes, comments, tablespaces, SQL beside the state.
//!
//! Seeded and bounded, like [`super::random`], whose histories are narrower and longer. Each operation fits the state so
//! far, and what Django or the server refuses all the same ends its history: the refusal is then compared.

use std::fmt::Write as _;

use zdm_django::DjangoVersion;

use zdm_testkit::Random;

/// Columns that can be altered into each other, with what can be said of them.
struct Family {
    /// Calls; `{}` is where more arguments go, each with a comma before it.
    templates: &'static [&'static str],
    defaults: &'static [&'static str],
    db_defaults: &'static [&'static str],
    /// Conditions; `$` is the field.
    conditions: &'static [&'static str],
    /// Expressions of an index.
    expressions: &'static [&'static str],
    /// Index classes and operator classes.
    indexes: &'static [&'static str],
    unique: bool,
}

const TEXT: usize = 0;
const NUMBER: usize = 1;
const RANGE: usize = 11;

const FAMILIES: [Family; 13] = [
    Family {
        templates: &[
            "models.CharField(max_length=20{})",
            "models.CharField(max_length=40{})",
            "models.TextField(blank=True{})",
            "models.SlugField(max_length=30{})",
            "models.URLField(max_length=200{})",
            "models.EmailField(max_length=254{})",
            "models.FileField(upload_to='x'{})",
            "models.FilePathField(path='/tmp'{})",
            "models.CharField(max_length=30, db_collation='C'{})",
            "models.TextField(db_collation='C'{})",
            "models.CharField(max_length=8, choices=[('a', 'A'), ('b', 'B')]{})",
        ],
        defaults: &["'x'", "''", "'it\\'s'", "'100%'", "str", "'a\\\\b'", "'é'", "None"],
        db_defaults: &["'x'", "models.Value('50%')", "functions.Lower(models.Value('X'))", "''"],
        conditions: &[
            "models.Q($='x')",
            "~models.Q($='')",
            "models.Q($__in=['x', 'y'])",
            "models.Q($__startswith='a_b')",
            "models.Q($__icontains='%')",
            "models.Q($__gt='m')",
            "models.Q($__regex='^a')",
            "~models.Q($__in=['it\\'s'])",
        ],
        expressions: &[
            "functions.Lower('$')",
            "functions.Upper('$').desc()",
            "models.F('$').asc(nulls_first=True)",
            "functions.Left('$', 3)",
            "functions.Coalesce('$', models.Value('-'))",
        ],
        indexes: &[
            "pgindexes.HashIndex(fields=['$'], {})",
            "pgindexes.SpGistIndex(fields=['$'], {})",
            "models.Index(fields=['$'], opclasses=['text_pattern_ops'], {})",
            "pgindexes.BrinIndex(fields=['$'], {})",
        ],
        unique: true,
    },
    Family {
        templates: &[
            "models.IntegerField(help_text='n'{})",
            "models.BigIntegerField(verbose_name='n'{})",
            "models.SmallIntegerField(verbose_name='n'{})",
            "models.PositiveIntegerField(verbose_name='n'{})",
            "models.PositiveSmallIntegerField(verbose_name='n'{})",
            "models.PositiveBigIntegerField(verbose_name='n'{})",
            "models.DecimalField(max_digits=9, decimal_places=2{})",
            "models.DecimalField(max_digits=12, decimal_places=4{})",
            "models.FloatField(verbose_name='n'{})",
        ],
        defaults: &["-3", "7", "0", "int", "decimal.Decimal('2')", "None"],
        db_defaults: &["5", "models.Value(6)", "models.Value(1) + models.Value(2)", "functions.Abs(models.Value(-4))"],
        conditions: &[
            "models.Q($__gt=0)",
            "models.Q($__range=(1, 5))",
            "models.Q($__in=[1, 2, 3])",
            "~models.Q($=4)",
            "models.Q($__lte=models.F('$') + 1)",
            "models.Q($__gte=0) | models.Q($=-1)",
        ],
        expressions: &[
            "models.F('$') + 1",
            "functions.Abs('$')",
            "models.F('$').desc(nulls_last=True)",
            "functions.Cast('$', models.TextField())",
            "functions.Coalesce('$', models.Value(0))",
        ],
        indexes: &[
            "pgindexes.BrinIndex(fields=['$'], pages_per_range=8, {})",
            "pgindexes.HashIndex(fields=['$'], fillfactor=80, {})",
            "pgindexes.BTreeIndex(fields=['-$'], fillfactor=70, {})",
        ],
        unique: true,
    },
    Family {
        templates: &["models.DateTimeField(verbose_name='d'{})", "models.DateField(verbose_name='d'{})"],
        defaults: &["timezone.now", "datetime.date(2021, 1, 1)", "None"],
        db_defaults: &["functions.Now()"],
        conditions: &[
            "models.Q($__gt=datetime.date(2020, 2, 3))",
            "models.Q($__year__gte=2020)",
            "models.Q($__lte=models.F('$'))",
        ],
        expressions: &["models.F('$').desc()", "models.F('$').asc(nulls_last=True)"],
        indexes: &["pgindexes.BrinIndex(fields=['$'], autosummarize=True, {})", "models.Index(fields=['-$'], {})"],
        unique: true,
    },
    Family {
        templates: &["models.BooleanField(verbose_name='b'{})"],
        defaults: &["True", "False", "None"],
        db_defaults: &["True", "models.Value(False)"],
        conditions: &["models.Q($=True)", "models.Q($=False)", "~models.Q($=True)"],
        expressions: &["models.F('$').desc()"],
        indexes: &["models.Index(fields=['$'], {})"],
        unique: false,
    },
    Family {
        templates: &["models.UUIDField(verbose_name='u'{})"],
        defaults: &["uuid.uuid4", "uuid.UUID('12345678-1234-5678-1234-567812345678')"],
        db_defaults: &["RandomUUID()"],
        conditions: &["models.Q($=uuid.UUID('12345678-1234-5678-1234-567812345678'))"],
        expressions: &["models.F('$').desc()"],
        indexes: &["pgindexes.HashIndex(fields=['$'], {})"],
        unique: true,
    },
    Family {
        templates: &["models.JSONField(verbose_name='j'{})"],
        defaults: &["dict", "list", "{'a': [1, 'x%']}"],
        db_defaults: &["{}", "models.Value({'a': 1}, models.JSONField())"],
        conditions: &["models.Q($__a=1)", "models.Q($__has_key='a')", "models.Q($__contains={'a': 'x'})"],
        expressions: &["models.F('$__a')"],
        indexes: &[
            "pgindexes.GinIndex(fields=['$'], {})",
            "pgindexes.GinIndex(fields=['$'], opclasses=['jsonb_path_ops'], {})",
        ],
        unique: false,
    },
    Family {
        templates: &["models.BinaryField(verbose_name='y'{})", "models.BinaryField(max_length=20{})"],
        defaults: &["b''", "b'ab'"],
        db_defaults: &["b'x'"],
        conditions: &["models.Q($=b'ab')"],
        expressions: &["models.F('$').desc()"],
        indexes: &["models.Index(fields=['$'], {})"],
        unique: true,
    },
    Family {
        templates: &["models.DurationField(verbose_name='i'{})"],
        defaults: &["datetime.timedelta(days=1, seconds=3)", "datetime.timedelta(0)"],
        db_defaults: &["datetime.timedelta(hours=3)"],
        conditions: &["models.Q($__gt=datetime.timedelta(days=2))"],
        expressions: &["models.F('$').desc()"],
        indexes: &["pgindexes.BrinIndex(fields=['$'], {})"],
        unique: true,
    },
    Family {
        templates: &["models.TimeField(verbose_name='t'{})"],
        defaults: &["datetime.time(1, 2)", "None"],
        db_defaults: &["datetime.time(3, 4)"],
        conditions: &["models.Q($__lt=datetime.time(5, 6))"],
        expressions: &["models.F('$').desc()"],
        indexes: &["models.Index(fields=['-$'], {})"],
        unique: true,
    },
    Family {
        templates: &[
            "models.GenericIPAddressField(verbose_name='a'{})",
            "models.GenericIPAddressField(protocol='IPv4'{})",
        ],
        defaults: &["'127.0.0.1'"],
        db_defaults: &["'10.0.0.1'"],
        conditions: &["models.Q($='10.0.0.1')"],
        expressions: &["models.F('$').desc()"],
        indexes: &["models.Index(fields=['$'], {})"],
        unique: true,
    },
    Family {
        templates: &[
            "postgres.ArrayField(models.IntegerField(){})",
            "postgres.ArrayField(models.BigIntegerField(), size=3{})",
        ],
        defaults: &["list", "[1, 2]"],
        db_defaults: &["[]"],
        conditions: &["models.Q($__contains=[1])", "models.Q($__len__gt=1)"],
        expressions: &["models.F('$').desc()"],
        indexes: &["pgindexes.GinIndex(fields=['$'], fastupdate=False, {})"],
        unique: true,
    },
    Family {
        templates: &["postgres.IntegerRangeField(verbose_name='r'{})"],
        defaults: &["None"],
        db_defaults: &[],
        conditions: &["models.Q($__isnull=False)"],
        expressions: &["models.F('$').desc()"],
        indexes: &["pgindexes.GistIndex(fields=['$'], {})", "pgindexes.GistIndex(fields=['$'], buffering=True, {})"],
        unique: true,
    },
    Family {
        templates: &[
            "postgres.ArrayField(models.CharField(max_length=5){})",
            "postgres.ArrayField(models.TextField(){})",
        ],
        defaults: &["list", "['a']"],
        db_defaults: &["[]"],
        conditions: &["models.Q($__overlap=['a'])"],
        expressions: &["models.F('$').desc()"],
        indexes: &["pgindexes.GinIndex(fields=['$'], {})"],
        unique: true,
    },
];

#[derive(Clone, Debug)]
enum Kind {
    Plain {
        family: usize,
    },
    Key {
        to: usize,
        to_field: bool,
    },
    Many {
        to: usize,
        through: Through,
    },
    /// Computed from these fields.
    Generated {
        of: String,
        /// The field without what can be altered of it.
        text: String,
    },
}

/// The table of a many-to-many field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Through {
    Automatic,
    /// Automatic, with a name of its own.
    Named,
    Model(usize),
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    kind: Kind,
    null: bool,
    unique: bool,
    db_default: bool,
    column: String,
}

/// An index or a constraint with the fields that it names.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    fields: Vec<String>,
}

#[derive(Clone, Debug)]
enum PrimaryKey {
    /// `AutoField` and its kin, or an integer: altered into each other.
    Integer(&'static str),
    Text(usize),
    Uuid,
    /// Of the parent or of a one-to-one.
    Link,
    Composite,
}

#[derive(Clone, Debug)]
struct Model {
    id: usize,
    app: usize,
    name: String,
    table: String,
    key: PrimaryKey,
    key_name: String,
    fields: Vec<Field>,
    indexes: Vec<Named>,
    constraints: Vec<(Named, String)>,
    unique_together: Vec<Vec<String>>,
    index_together: Vec<Vec<String>>,
    order: Option<String>,
    parent: Option<usize>,
    proxy: bool,
    managed: bool,
    /// A setting names it.
    swapped_in: bool,
}

impl Model {
    fn plain(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| matches!(field.kind, Kind::Plain { .. }))
    }

    /// Something else than the column itself names the field.
    fn uses(&self, name: &str) -> bool {
        self.uses_in_meta(name)
            || self.unique_together.iter().chain(&self.index_together).any(|group| group.iter().any(|own| own == name))
    }

    fn uses_in_meta(&self, name: &str) -> bool {
        let names = |named: &Named| named.fields.iter().any(|field| field == name);
        self.indexes.iter().any(names)
            || self.constraints.iter().any(|(named, _)| names(named))
            || self.order.as_deref() == Some(name)
            || self.fields.iter().any(|field| matches!(&field.kind, Kind::Generated { of, .. } if of == name))
    }
}

pub(super) struct Migration {
    pub(super) app: usize,
    pub(super) atomic: bool,
    pub(super) operations: Vec<String>,
}

pub(crate) struct History {
    pub(super) seed: u64,
    pub(super) apps: [String; 2],
    /// In the order of execution.
    pub(super) migrations: Vec<Migration>,
    /// Settings that name a model, with its label.
    pub(super) settings: Vec<(String, String)>,
}

struct Composer {
    random: Random,
    version: DjangoVersion,
    models: Vec<Model>,
    number: usize,
    seed: u64,
    apps: [String; 2],
    app: usize,
    settings: Vec<(String, String)>,
}

impl Composer {
    fn at(&self, major: u8, minor: u8) -> bool {
        self.version.at_least(major, minor)
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.number += 1;
        format!("{prefix}{}", self.number)
    }

    /// A name that no other history has: indexes and tables share one namespace.
    fn global(&mut self, prefix: &str) -> String {
        self.number += 1;
        format!("{prefix}_{}_{}", self.seed, self.number)
    }

    fn model(&self, id: usize) -> Option<&Model> {
        self.models.iter().find(|model| model.id == id)
    }

    fn label(&self, id: usize) -> String {
        self.model(id).map_or_else(String::new, |model| format!("{}.{}", self.apps[model.app], model.name))
    }

    fn place(&mut self) -> Option<usize> {
        let own: Vec<usize> = (0..self.models.len())
            .filter(|at| self.models[*at].app == self.app && !self.models[*at].proxy && self.models[*at].managed)
            .collect();
        self.random.choose(&own).copied()
    }

    /// A model that a key can lead to.
    fn target(&mut self, same: Option<&PrimaryKey>) -> Option<usize> {
        let fitting: Vec<usize> = self
            .models
            .iter()
            .filter(|model| model.managed && !matches!(model.key, PrimaryKey::Composite))
            .filter(|model| same.is_none_or(|key| self.kind_of_key(model) == Self::kind_of(key)))
            .map(|model| model.id)
            .collect();
        self.random.choose(&fitting).copied()
    }

    const fn kind_of(key: &PrimaryKey) -> u8 {
        match key {
            PrimaryKey::Integer(_) => 0,
            PrimaryKey::Text(_) => 1,
            PrimaryKey::Uuid => 2,
            PrimaryKey::Link | PrimaryKey::Composite => 3,
        }
    }

    /// The kind of values that a key to the model holds.
    fn kind_of_key(&self, model: &Model) -> u8 {
        match (&model.key, model.parent.and_then(|parent| self.model(parent))) {
            (PrimaryKey::Link, Some(parent)) => self.kind_of_key(parent),
            (key, _) => Self::kind_of(key),
        }
    }

    fn column(&mut self, name: &str, family: usize, needs_default: bool) -> (Field, String) {
        let facts = &FAMILIES[family];
        let template = *self.random.choose(facts.templates).expect("a family has members");
        let null = self.random.chance(40);
        let unique = facts.unique && self.random.chance(12);
        let mut more = String::new();
        if null {
            more.push_str(", null=True");
        }
        if unique {
            more.push_str(", unique=True");
        }
        if facts.unique && self.random.chance(25) {
            more.push_str(", db_index=True");
        }
        if !template.contains("blank") && self.random.chance(15) {
            more.push_str(", blank=True");
        }
        let mut column = name.to_owned();
        if self.random.chance(8) {
            column = match self.random.below(3) {
                0 => format!("{name}_column"),
                1 => format!("{name} Column"),
                _ => format!("{name}Column"),
            };
            let _ = write!(more, ", db_column='{column}'");
        }
        if self.at(4, 2) && self.random.chance(8) {
            let comment = self.random.choose(&["a comment", "it\\'s"]).copied().unwrap_or_default();
            let _ = write!(more, ", db_comment='{comment}'");
        }
        if self.random.chance(4) {
            more.push_str(", db_tablespace='pg_default'");
        }
        let mut db_default = false;
        let auto = if family == 2 && self.random.chance(10) {
            let option = self.random.choose(&["auto_now", "auto_now_add"]).copied().unwrap_or_default();
            let _ = write!(more, ", {option}=True");
            true
        } else {
            false
        };
        if !auto && self.at(5, 2) && self.random.chance(12) && !facts.db_defaults.is_empty() {
            let _ = write!(more, ", db_default={}", self.random.choose(facts.db_defaults).expect("not empty"));
            db_default = true;
        }
        if !auto && (needs_default && !null && !db_default || self.random.chance(20)) {
            let default = self.random.choose(facts.defaults).copied().unwrap_or("None");
            if default != "None" || null {
                let _ = write!(more, ", default={default}");
            }
        }
        let text = template.replace("{}", &more);
        (Field { name: name.to_owned(), kind: Kind::Plain { family }, null, unique, db_default, column }, text)
    }

    fn family(&mut self) -> usize {
        if self.random.chance(55) { self.random.below(3) } else { self.random.below(FAMILIES.len()) }
    }

    fn generated(&mut self, model: &[Field], name: &str) -> Option<(Field, String)> {
        let sources: Vec<(String, usize)> = model
            .iter()
            .filter_map(|field| match field.kind {
                Kind::Plain { family } if family < 2 => Some((field.name.clone(), family)),
                _ => None,
            })
            .collect();
        let (of, family) = self.random.choose(&sources)?.clone();
        let (expressions, output): (&[&str], &[&str]) = if family == TEXT {
            (
                &["functions.Lower('$')", "functions.Coalesce('$', models.Value('x'))", "functions.Left('$', 2)"],
                &["models.CharField(max_length=50)", "models.TextField()"],
            )
        } else {
            (
                &["models.F('$') + 1", "functions.Coalesce('$', models.Value(0))", "models.F('$') * models.F('$')"],
                &["models.IntegerField()", "models.DecimalField(max_digits=20, decimal_places=4)"],
            )
        };
        let expression = self.random.choose(expressions)?.replace('$', &of);
        let output = *self.random.choose(output)?;
        let mut more = String::new();
        if self.random.chance(20) {
            more.push_str(", unique=True");
        }
        if self.random.chance(20) {
            more.push_str(", db_index=True");
        }
        let plain = format!("models.GeneratedField(expression={expression}, output_field={output}, db_persist=True");
        let text = format!("{plain}{more})");
        let field = Field {
            name: name.to_owned(),
            kind: Kind::Generated { of, text: plain },
            null: true,
            unique: false,
            db_default: false,
            column: name.to_owned(),
        };
        Some((field, text))
    }

    fn key(&mut self, name: &str, to: usize, own: Option<usize>) -> (Field, String) {
        let label = if own == Some(to) && self.random.chance(50) { "self".to_owned() } else { self.label(to) };
        let one = self.random.chance(25);
        let class = if one { "OneToOneField" } else { "ForeignKey" };
        let null = self.random.chance(60);
        let mut more = String::new();
        if null {
            more.push_str(", null=True");
        }
        if !one && self.random.chance(15) {
            more.push_str(", db_index=False");
        }
        let mut unique = one;
        if !one && self.random.chance(6) {
            more.push_str(", unique=True");
            unique = true;
        }
        if self.random.chance(12) {
            more.push_str(", db_constraint=False");
        }
        let on_delete = if self.at(6, 1) && null && self.random.chance(15) {
            *self.random.choose(&["DB_CASCADE", "DB_SET_NULL"]).expect("two")
        } else {
            "CASCADE"
        };
        let mut column = format!("{name}_id");
        if self.random.chance(8) {
            column = format!("{name}_key");
            let _ = write!(more, ", db_column='{column}'");
        }
        let candidates: Vec<String> = self
            .model(to)
            .into_iter()
            .flat_map(Model::plain)
            .filter(|field| field.unique && matches!(field.kind, Kind::Plain { family } if family < 2))
            .map(|field| field.name.clone())
            .collect();
        let mut to_field = false;
        if self.random.chance(40)
            && let Some(field) = self.random.choose(&candidates)
        {
            let _ = write!(more, ", to_field='{field}'");
            to_field = true;
        }
        // Relations of one name come in the order in which Django last rendered their models: each has its own.
        let related = if self.random.chance(30) { format!("{}+", self.fresh("hidden")) } else { self.fresh("back") };
        let text = format!("models.{class}('{label}', models.{on_delete}, related_name='{related}'{more})");
        (
            Field { name: name.to_owned(), kind: Kind::Key { to, to_field }, null, unique, db_default: false, column },
            text,
        )
    }

    fn many(&mut self, name: &str, to: usize, own: Option<usize>) -> (Field, String) {
        let label = if own == Some(to) { "self".to_owned() } else { self.label(to) };
        let mut more = String::new();
        if self.random.chance(15) {
            let table = self.global("many_table");
            let _ = write!(more, ", db_table='{table}'");
        }
        if self.random.chance(10) {
            more.push_str(", db_constraint=False");
        }
        if self.random.chance(10) {
            more.push_str(", blank=True");
        }
        let related = if self.random.chance(40) { "+".to_owned() } else { self.fresh("back") };
        let text = format!("models.ManyToManyField('{label}', related_name='{related}'{more})");
        let field = Field {
            name: name.to_owned(),
            kind: Kind::Many {
                to,
                through: if more.contains("db_table") { Through::Named } else { Through::Automatic },
            },
            null: true,
            unique: false,
            db_default: false,
            column: String::new(),
        };
        (field, text)
    }

    fn create(&mut self) -> String {
        let id = self.number + 1;
        let name = self.fresh("Model");
        let mut texts: Vec<String> = Vec::new();
        let mut fields = Vec::new();
        let (key, key_name) = match self.random.below(12) {
            0 => (PrimaryKey::Integer("implicit"), "id"),
            1 => {
                texts.push("('code', models.CharField(max_length=10, primary_key=True))".to_owned());
                (PrimaryKey::Text(10), "code")
            }
            2 => {
                texts.push("('id', models.UUIDField(default=uuid.uuid4, primary_key=True))".to_owned());
                (PrimaryKey::Uuid, "id")
            }
            3 | 4 => {
                texts.push("('id', models.BigAutoField(primary_key=True))".to_owned());
                (PrimaryKey::Integer("BigAutoField"), "id")
            }
            5 => {
                texts.push("('number', models.IntegerField(primary_key=True))".to_owned());
                (PrimaryKey::Integer("IntegerField"), "number")
            }
            6 if self.at(5, 2) => {
                texts.push("('pk', models.CompositePrimaryKey('one', 'two'))".to_owned());
                texts.push("('one', models.IntegerField())".to_owned());
                texts.push("('two', models.CharField(max_length=7))".to_owned());
                (PrimaryKey::Composite, "pk")
            }
            _ => {
                texts.push("('id', models.AutoField(primary_key=True))".to_owned());
                (PrimaryKey::Integer("AutoField"), "id")
            }
        };
        for _ in 0..=self.random.below(4) {
            let (field, family) = (self.fresh("f"), self.family());
            let (field, text) = self.column(&field, family, false);
            texts.push(format!("('{}', {text})", field.name));
            fields.push(field);
        }
        if self.at(5, 2) && self.random.chance(15) {
            let field = self.fresh("g");
            if let Some((field, text)) = self.generated(&fields, &field) {
                texts.push(format!("('{}', {text})", field.name));
                fields.push(field);
            }
        }
        for _ in 0..self.random.below(3) {
            if let Some(to) = self.target(None) {
                let field = self.fresh("r");
                let composite = matches!(key, PrimaryKey::Composite);
                let (field, text) = if !composite && self.random.chance(30) {
                    self.many(&field, to, None)
                } else {
                    self.key(&field, to, None)
                };
                texts.push(format!("('{}', {text})", field.name));
                fields.push(field);
            }
        }
        let mut model = Model {
            id,
            app: self.app,
            table: format!("{}_{}", self.apps[self.app], name.to_lowercase()),
            name: name.clone(),
            key,
            key_name: key_name.to_owned(),
            fields,
            indexes: Vec::new(),
            constraints: Vec::new(),
            unique_together: Vec::new(),
            index_together: Vec::new(),
            order: None,
            parent: None,
            proxy: false,
            managed: true,
            swapped_in: false,
        };
        let mut options = Vec::new();
        if self.random.chance(12) {
            model.table = match self.random.below(3) {
                0 => self.global("own_table"),
                1 => self.global("Own Table"),
                _ => {
                    let long = self.global("long");
                    format!("{long}_is_a_table_with_a_name_that_leaves_little_room_for_anything")
                }
            };
            options.push(format!("'db_table': '{}'", model.table));
        }
        if self.random.chance(15)
            && let Some(group) = self.group(&model)
        {
            options.push(format!("'unique_together': {{{}}}", tuple(&group)));
            model.unique_together.push(group);
        }
        if !self.at(5, 1)
            && self.random.chance(15)
            && let Some(group) = self.group(&model)
        {
            options.push(format!("'index_together': {{{}}}", tuple(&group)));
            model.index_together.push(group);
        }
        if self.random.chance(20)
            && let Some((named, text)) = self.index(&model)
        {
            options.push(format!("'indexes': [{text}]"));
            model.indexes.push(named);
        }
        if self.random.chance(20)
            && let Some((named, text)) = self.constraint(&model)
        {
            options.push(format!("'constraints': [{text}]"));
            model.constraints.push((named, text));
        }
        if self.at(4, 2) && self.random.chance(8) {
            options.push("'db_table_comment': 'of the table'".to_owned());
        }
        if self.random.chance(4) {
            options.push("'db_tablespace': 'pg_default'".to_owned());
        }
        if self.random.chance(8)
            && !matches!(model.key, PrimaryKey::Composite)
            && let Some(key) = model.fields.iter().find(|field| matches!(field.kind, Kind::Key { .. }))
        {
            options.push(format!("'order_with_respect_to': '{}'", key.name));
            model.order = Some(key.name.clone());
        }
        if self.random.chance(10) {
            options.push("'verbose_name': 'x', 'abstract': False".to_owned());
        }
        if self.random.chance(4) {
            options.push("'managed': False".to_owned());
            model.managed = false;
        }
        if self.random.chance(8) {
            let setting = self.global("WILD");
            options.push(format!("'swappable': '{setting}'"));
            let label = format!("{}.{name}", self.apps[self.app]);
            let instead = self.target(Some(&model.key)).filter(|_| self.random.chance(40));
            if let Some(other) = instead {
                // It has no table; keys that name the setting lead to the other one.
                model.managed = false;
                self.settings.push((setting, self.label(other)));
                self.models.iter_mut().filter(|known| known.id == other).for_each(|known| known.swapped_in = true);
            } else {
                model.swapped_in = true;
                self.settings.push((setting, label));
            }
        }
        self.models.push(model);
        let options = if options.is_empty() { String::new() } else { format!(", options={{{}}}", options.join(", ")) };
        format!("migrations.CreateModel('{name}', [{}]{options})", texts.join(", "))
    }

    /// A child with a table of its own, or a proxy.
    fn inherit(&mut self) -> Option<String> {
        let parents: Vec<usize> = self
            .models
            .iter()
            .filter(|model| model.managed && !model.proxy && !matches!(model.key, PrimaryKey::Composite))
            .map(|model| model.id)
            .collect();
        let parent = *self.random.choose(&parents)?;
        let base = self.label(parent);
        let lower = self.model(parent)?.name.to_lowercase();
        let id = self.number + 1;
        let proxy = self.random.chance(40);
        let name = self.fresh(if proxy { "Proxy" } else { "Child" });
        let mut texts = Vec::new();
        let mut fields = Vec::new();
        let mut key = PrimaryKey::Link;
        let mut key_name = format!("{lower}_ptr");
        if proxy {
            key = self.model(parent)?.key.clone();
            key_name.clone_from(&self.model(parent)?.key_name);
        } else {
            if self.random.chance(70) {
                texts.push(format!(
                    "('{lower}_ptr', models.OneToOneField(auto_created=True, on_delete=models.CASCADE, parent_link=True, primary_key=True, serialize=False, to='{base}'))"
                ));
            }
            for _ in 0..self.random.below(3) {
                let (field, family) = (self.fresh("f"), self.family());
                let (field, text) = self.column(&field, family, false);
                texts.push(format!("('{}', {text})", field.name));
                fields.push(field);
            }
        }
        let options = if proxy { ", options={'proxy': True, 'indexes': []}" } else { "" };
        self.models.push(Model {
            id,
            app: self.app,
            table: format!("{}_{}", self.apps[self.app], name.to_lowercase()),
            name: name.clone(),
            key,
            key_name,
            fields,
            indexes: Vec::new(),
            constraints: Vec::new(),
            unique_together: Vec::new(),
            index_together: Vec::new(),
            order: None,
            parent: Some(parent),
            proxy,
            managed: true,
            swapped_in: false,
        });
        Some(format!(
            "migrations.CreateModel('{name}', [{}]{options}, bases=('{}',))",
            texts.join(", "),
            base.to_lowercase()
        ))
    }

    /// Fields for a group of columns.
    fn group(&mut self, model: &Model) -> Option<Vec<String>> {
        let names: Vec<String> = model
            .fields
            .iter()
            .filter(|field| match field.kind {
                Kind::Plain { family } => FAMILIES[family].unique || family == 3,
                Kind::Key { .. } => true,
                Kind::Many { .. } | Kind::Generated { .. } => false,
            })
            .map(|field| field.name.clone())
            .collect();
        if names.len() < 2 {
            return None;
        }
        let first = self.random.below(names.len());
        let second = (first + 1 + self.random.below(names.len() - 1)) % names.len();
        Some(vec![names[first].clone(), names[second].clone()])
    }

    fn condition(&mut self, model: &Model) -> Option<(String, String)> {
        let fields: Vec<(String, usize)> = model
            .plain()
            .filter_map(|field| match field.kind {
                Kind::Plain { family } => Some((field.name.clone(), family)),
                _ => None,
            })
            .collect();
        let (name, family) = self.random.choose(&fields)?.clone();
        let condition = self.random.choose(FAMILIES[family].conditions)?.replace('$', &name);
        let condition = match self.random.below(6) {
            0 => format!("models.Q({name}__isnull=False)"),
            1 => format!("{condition} & models.Q({name}__isnull=False)"),
            2 => format!("models.Q({name}__isnull=True) | {condition}"),
            _ => condition,
        };
        Some((name, condition))
    }

    fn index(&mut self, model: &Model) -> Option<(Named, String)> {
        let own = self.global("ix");
        let fields: Vec<(String, Option<usize>)> = model
            .fields
            .iter()
            .filter_map(|field| match field.kind {
                Kind::Plain { family } => Some((field.name.clone(), Some(family))),
                Kind::Key { .. } => Some((field.name.clone(), None)),
                _ => None,
            })
            .collect();
        let (name, family) = self.random.choose(&fields)?.clone();
        let mut used = vec![name.clone()];
        let mut more = format!("name='{own}'");
        if self.random.chance(25)
            && let Some((field, condition)) = self.condition(model)
        {
            let _ = write!(more, ", condition={condition}");
            used.push(field);
        }
        if self.random.chance(5) {
            more.push_str(", db_tablespace='pg_default'");
        }
        let family = family.map(|family| &FAMILIES[family]);
        let text = match (self.random.below(4), family) {
            (0, Some(family)) if self.at(4, 2) => {
                let expression = self.random.choose(family.expressions)?.replace('$', &name);
                format!("models.Index({expression}, {more})")
            }
            (1, Some(family)) => self.random.choose(family.indexes)?.replace('$', &name).replace("{}", &more),
            (2, _) => {
                let group = self.group(model)?;
                used.extend(group.iter().cloned());
                let mark = if self.random.chance(30) { "-" } else { "" };
                format!("models.Index(fields=['{mark}{}', '{}'], {more})", group[0], group[1])
            }
            _ => {
                let others: Vec<&String> =
                    fields.iter().map(|(field, _)| field).filter(|field| **field != name).collect();
                if self.random.chance(30)
                    && let Some(other) = self.random.choose(&others)
                {
                    used.push((*other).clone());
                    let _ = write!(more, ", include=['{other}']");
                }
                format!("models.Index(fields=['{name}'], {more})")
            }
        };
        Some((Named { name: own, fields: used }, text))
    }

    fn constraint(&mut self, model: &Model) -> Option<(Named, String)> {
        let own = self.global("co");
        match self.random.below(6) {
            0..=2 => {
                let (field, condition) = self.condition(model)?;
                let keyword = if self.at(5, 2) { "condition" } else { "check" };
                Some((
                    Named { name: own.clone(), fields: vec![field] },
                    format!("models.CheckConstraint({keyword}={condition}, name='{own}')"),
                ))
            }
            3 => {
                let ranges: Vec<String> = model
                    .plain()
                    .filter(|field| matches!(field.kind, Kind::Plain { family: RANGE }))
                    .map(|field| field.name.clone())
                    .collect();
                let field = self.random.choose(&ranges)?.clone();
                let more = if self.random.chance(40) {
                    ", deferrable=models.Deferrable.DEFERRED".to_owned()
                } else {
                    format!(", condition=models.Q({field}__isnull=False)")
                };
                let text = format!(
                    "exclusion.ExclusionConstraint(name='{own}', expressions=[('{field}', RangeOperators.OVERLAPS)]{more})"
                );
                Some((Named { name: own, fields: vec![field] }, text))
            }
            _ => {
                let mut group = self.group(model)?;
                let mut more = String::new();
                match self.random.below(6) {
                    0 => {
                        let (field, condition) = self.condition(model)?;
                        let _ = write!(more, ", condition={condition}");
                        group.push(field);
                        let text = format!(
                            "models.UniqueConstraint(fields=['{}', '{}'], name='{own}'{more})",
                            group[0], group[1]
                        );
                        return Some((Named { name: own, fields: group }, text));
                    }
                    1 => more.push_str(", deferrable=models.Deferrable.DEFERRED"),
                    2 if self.at(5, 2) => more.push_str(", nulls_distinct=False"),
                    5 => {
                        let texts: Vec<String> = model
                            .plain()
                            .filter(|field| matches!(field.kind, Kind::Plain { family: TEXT }))
                            .map(|field| field.name.clone())
                            .collect();
                        let field = self.random.choose(&texts)?.clone();
                        let text = format!(
                            "models.UniqueConstraint(fields=['{field}'], name='{own}', opclasses=['text_pattern_ops'], condition=models.Q({field}__isnull=False))"
                        );
                        return Some((Named { name: own, fields: vec![field] }, text));
                    }
                    _ => {}
                }
                let text =
                    format!("models.UniqueConstraint(fields=['{}', '{}'], name='{own}'{more})", group[0], group[1]);
                Some((Named { name: own, fields: group }, text))
            }
        }
    }

    /// Whether a key by `to_field` may hold values of the field.
    fn is_key_target(&self, at: usize, name: &str) -> bool {
        let id = self.models[at].id;
        self.models[at].fields.iter().any(|field| field.name == name && field.unique)
            && self
                .models
                .iter()
                .flat_map(|model| &model.fields)
                .any(|field| matches!(field.kind, Kind::Key { to, to_field: true } if to == id))
    }

    /// Operations that belong together, if what was drawn fits.
    fn step(&mut self) -> Option<Vec<String>> {
        if self.models.iter().filter(|model| model.app == self.app).count() < 2 {
            return Some(vec![self.create()]);
        }
        let drawn = self.random.below(40);
        if drawn < 3 {
            return Some(vec![self.create()]);
        }
        if drawn == 3 {
            return Some(vec![self.inherit()?]);
        }
        let at = self.place()?;
        let name = self.models[at].name.clone();
        let one = |text: String| Some(vec![text]);
        match drawn {
            4..=7 => {
                let (field, family) = (self.fresh("f"), self.family());
                let (field, text) = self.column(&field, family, true);
                let keep =
                    if text.contains(" default=") && self.random.chance(40) { ", preserve_default=False" } else { "" };
                let text = format!("migrations.AddField('{name}', '{}', {text}{keep})", field.name);
                self.models[at].fields.push(field);
                one(text)
            }
            8 if self.at(5, 2) => {
                let fields = self.models[at].fields.clone();
                let field = self.fresh("g");
                let (field, text) = self.generated(&fields, &field)?;
                let text = format!("migrations.AddField('{name}', '{}', {text})", field.name);
                self.models[at].fields.push(field);
                one(text)
            }
            9 if self.random.chance(30) => self.alter_generated(at),
            8..=13 => self.alter_plain(at),
            14 | 15 => {
                let own = self.models[at].id;
                let to = self.target(None)?;
                let field = self.fresh("r");
                let composite = matches!(self.models[at].key, PrimaryKey::Composite);
                let (field, text) = if !composite && self.random.chance(40) {
                    self.many(&field, to, Some(own))
                } else {
                    let (field, text) = self.key(&field, to, Some(own));
                    // A required key needs a default; there are no rows.
                    let text =
                        if field.null { text } else { text.replace("related_name=", "default=1, related_name=") };
                    (field, text)
                };
                let text = format!("migrations.AddField('{name}', '{}', {text})", field.name);
                self.models[at].fields.push(field);
                one(text)
            }
            16..=18 => self.alter_relation(at),
            19 => self.alter_key(at),
            20 | 21 => self.remove_field(at),
            22 | 23 => self.rename_field(at),
            24 => self.rename_model(at),
            25 => {
                let model = &mut self.models[at];
                if self.random.chance(30) {
                    model.table = format!("{}_{}", self.apps[model.app], model.name.to_lowercase());
                    return one(format!("migrations.AlterModelTable('{name}', None)"));
                }
                let table = self.global("moved");
                self.models[at].table.clone_from(&table);
                one(format!("migrations.AlterModelTable('{name}', '{table}')"))
            }
            26 | 27 => {
                if !self.models[at].indexes.is_empty() && self.random.chance(45) {
                    if self.at(4, 2) && self.random.chance(40) {
                        let new = self.global("iy");
                        let index = self.models[at].indexes.last_mut()?;
                        let old = std::mem::replace(&mut index.name, new.clone());
                        return one(format!("migrations.RenameIndex('{name}', new_name='{new}', old_name='{old}')"));
                    }
                    let index = self.models[at].indexes.pop()?;
                    return one(format!("migrations.RemoveIndex('{name}', '{}')", index.name));
                }
                let model = self.models[at].clone();
                let (named, text) = self.index(&model)?;
                self.models[at].indexes.push(named);
                one(format!("migrations.AddIndex('{name}', {text})"))
            }
            28 | 29 => {
                if !self.models[at].constraints.is_empty() && self.random.chance(40) {
                    let (constraint, _) = self.models[at].constraints.pop()?;
                    return one(format!("migrations.RemoveConstraint('{name}', '{}')", constraint.name));
                }
                let model = self.models[at].clone();
                let (named, text) = self.constraint(&model)?;
                let own = named.name.clone();
                self.models[at].constraints.push((named, text.clone()));
                if text.contains("CheckConstraint") && self.at(4, 2) && self.random.chance(30) {
                    return Some(vec![
                        format!("AddConstraintNotValid('{name}', {text})"),
                        format!("ValidateConstraint('{name}', '{own}')"),
                    ]);
                }
                one(format!("migrations.AddConstraint('{name}', {text})"))
            }
            30 => self.alter_together(at),
            31 => {
                if self.random.chance(60) && self.models[at].order.take().is_some() {
                    return one(format!("migrations.AlterOrderWithRespectTo('{name}', None)"));
                }
                if matches!(self.models[at].key, PrimaryKey::Composite) {
                    return None;
                }
                let keys: Vec<String> = self.models[at]
                    .fields
                    .iter()
                    .filter(|field| matches!(field.kind, Kind::Key { .. }))
                    .map(|field| field.name.clone())
                    .collect();
                let key = self.random.choose(&keys)?.clone();
                self.models[at].order = Some(key.clone());
                one(format!("migrations.AlterOrderWithRespectTo('{name}', '{key}')"))
            }
            32 if self.at(4, 2) => {
                let comment = self.random.choose(&["'it\\'s'", "None"]).copied().unwrap_or_default();
                one(format!("migrations.AlterModelTableComment('{name}', {comment})"))
            }
            32 | 33 => {
                let text = match self.random.below(6) {
                    0 => format!("migrations.AlterModelManagers('{name}', [('objects', models.Manager())])"),
                    1 => "migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop)".to_owned(),
                    2 => {
                        format!("migrations.AlterModelOptions('{name}', {{'ordering': ['pk'], 'get_latest_by': 'pk'}})")
                    }
                    3 => "migrations.RunSQL(migrations.RunSQL.noop, reverse_sql='')".to_owned(),
                    // Nothing reaches the database in between, and what is there afterwards is the field as it was.
                    4 => {
                        return Some(vec![
                            format!("migrations.AlterModelOptions('{name}', {{'managed': False}})"),
                            format!("migrations.AlterModelTable('{name}', '{}')", self.models[at].table),
                            format!("migrations.AlterModelOptions('{name}', {{}})"),
                        ]);
                    }
                    _ => format!("migrations.AlterModelOptions('{name}', {{'verbose_name': 'y'}})"),
                };
                one(text)
            }
            34 | 35 => self.beside(at),
            36 => self.through(at),
            37 => self.own_through(at),
            _ => self.delete(at),
        }
    }

    fn alter_plain(&mut self, at: usize) -> Option<Vec<String>> {
        let model = &self.models[at];
        let fields: Vec<Field> = model.plain().cloned().collect();
        let old = self.random.choose(&fields)?.clone();
        let Kind::Plain { family } = old.kind else { return None };
        let computed = self.models[at]
            .fields
            .iter()
            .any(|field| matches!(&field.kind, Kind::Generated { of, .. } if *of == old.name));
        if computed && !self.random.chance(15) {
            return None;
        }
        let name = self.models[at].name.clone();
        let free = !self.models[at].uses(&old.name) && !self.is_key_target(at, &old.name);
        // What names a column is written anew by the server when the type changes, and may no longer fit it.
        if !free && !self.random.chance(25) {
            return None;
        }
        // Into text anything goes, and out of text with a cast.
        let to = if !old.db_default && self.random.chance(12) {
            if family == TEXT { *self.random.choose(&[NUMBER, 2, 4, 5, 9])? } else { TEXT }
        } else {
            family
        };
        let (mut field, mut text) = self.column(&old.name, to, old.null);
        if self.is_key_target(at, &old.name) && !field.unique {
            text = format!("{}, unique=True)", text.strip_suffix(')')?);
            field.unique = true;
        }
        let keep = if text.contains(" default=") && self.random.chance(15) { ", preserve_default=False" } else { "" };
        let place = self.models[at].fields.iter().position(|known| known.name == old.name)?;
        self.models[at].fields[place] = field;
        Some(vec![format!("migrations.AlterField('{name}', '{}', {text}{keep})", old.name)])
    }

    /// What Django lets be altered of a generated column: its index, its comment, whether it is unique.
    fn alter_generated(&mut self, at: usize) -> Option<Vec<String>> {
        let generated: Vec<(String, String)> = self.models[at]
            .fields
            .iter()
            .filter_map(|field| match &field.kind {
                Kind::Generated { text, .. } => Some((field.name.clone(), text.clone())),
                _ => None,
            })
            .collect();
        let (field, text) = self.random.choose(&generated)?.clone();
        let more = *self.random.choose(&[
            "",
            ", db_index=True",
            ", unique=True",
            ", db_comment='it\\'s'",
            ", verbose_name='g', db_index=True, db_comment='of g'",
        ])?;
        let name = self.models[at].name.clone();
        Some(vec![format!("migrations.AlterField('{name}', '{field}', {text}{more}))")])
    }

    fn alter_relation(&mut self, at: usize) -> Option<Vec<String>> {
        let name = self.models[at].name.clone();
        let own = self.models[at].id;
        let relations: Vec<Field> = self.models[at]
            .fields
            .iter()
            .filter(|field| matches!(field.kind, Kind::Key { .. } | Kind::Many { .. }))
            .cloned()
            .collect();
        let old = self.random.choose(&relations)?.clone();
        let place = self.models[at].fields.iter().position(|known| known.name == old.name)?;
        let (field, text) = match old.kind {
            Kind::Many { through: Through::Automatic, to } => {
                let kind = self.model(to)?.key.clone();
                let to = if self.random.chance(40) { self.target(Some(&kind))? } else { to };
                self.many(&old.name, to, Some(own))
            }
            Kind::Key { to, to_field: false } => {
                let kind = self.model(to)?.key.clone();
                let integers = matches!(kind, PrimaryKey::Integer(_));
                if integers && !self.models[at].uses(&old.name) && self.random.chance(20) {
                    // A key becomes a number, and the number may become a key again.
                    let (mut field, _) = self.column(&old.name, NUMBER, false);
                    let text = self
                        .random
                        .choose(&[
                            "models.IntegerField(null=True)",
                            "models.BigIntegerField(null=True, db_index=True)",
                            "models.IntegerField(null=True, db_column='{}')",
                        ])?
                        .replace("{}", &old.column);
                    field = Field { null: true, unique: false, db_default: false, column: old.name.clone(), ..field };
                    if text.contains("db_column") {
                        field.column.clone_from(&old.column);
                    }
                    (field, text)
                } else {
                    let to = if self.random.chance(30) { self.target(Some(&kind))? } else { to };
                    let (field, text) = self.key(&old.name, to, Some(own));
                    if matches!(field.kind, Kind::Key { to_field: true, .. }) {
                        return None;
                    }
                    (field, text)
                }
            }
            _ => return None,
        };
        self.models[at].fields[place] = field;
        Some(vec![format!("migrations.AlterField('{name}', '{}', {text})", old.name)])
    }

    fn alter_key(&mut self, at: usize) -> Option<Vec<String>> {
        let name = self.models[at].name.clone();
        let key = self.models[at].key_name.clone();
        match self.models[at].key.clone() {
            PrimaryKey::Integer(old) => {
                let classes = [
                    "AutoField",
                    "BigAutoField",
                    "IntegerField",
                    "BigIntegerField",
                    "SmallAutoField",
                    "PositiveIntegerField",
                ];
                let new = *self.random.choose(&classes)?;
                if old == new || old == "implicit" {
                    return None;
                }
                self.models[at].key = PrimaryKey::Integer(new);
                Some(vec![format!("migrations.AlterField('{name}', '{key}', models.{new}(primary_key=True))")])
            }
            PrimaryKey::Text(length) => {
                self.models[at].key = PrimaryKey::Text(length + 5);
                let class = if self.random.chance(30) { "SlugField" } else { "CharField" };
                Some(vec![format!(
                    "migrations.AlterField('{name}', '{key}', models.{class}(max_length={}, primary_key=True))",
                    length + 5
                )])
            }
            PrimaryKey::Uuid => Some(vec![format!(
                "migrations.AlterField('{name}', '{key}', models.UUIDField(primary_key=True, editable=False))"
            )]),
            PrimaryKey::Link | PrimaryKey::Composite => None,
        }
    }

    fn remove_field(&mut self, at: usize) -> Option<Vec<String>> {
        let name = self.models[at].name.clone();
        let place = self.random.below(self.models[at].fields.len());
        let field = self.models[at].fields.get(place)?.clone();
        if self.is_key_target(at, &field.name) {
            return None;
        }
        let mut operations = Vec::new();
        if self.models[at].uses(&field.name) {
            // As Django's autodetector does: what names it goes first.
            let model = &mut self.models[at];
            if model.fields.iter().any(|own| matches!(&own.kind, Kind::Generated { of, .. } if *of == field.name)) {
                return None;
            }
            if model.order.as_deref() == Some(&field.name) {
                model.order = None;
                operations.push(format!("migrations.AlterOrderWithRespectTo('{name}', None)"));
            }
            model.indexes.retain(|index| {
                let uses = index.fields.contains(&field.name);
                if uses {
                    operations.push(format!("migrations.RemoveIndex('{name}', '{}')", index.name));
                }
                !uses
            });
            model.constraints.retain(|(constraint, _)| {
                let uses = constraint.fields.contains(&field.name);
                if uses {
                    operations.push(format!("migrations.RemoveConstraint('{name}', '{}')", constraint.name));
                }
                !uses
            });
            for (option, groups) in [("Unique", &mut model.unique_together), ("Index", &mut model.index_together)] {
                if groups.iter().any(|group| group.contains(&field.name)) {
                    groups.retain(|group| !group.contains(&field.name));
                    operations.push(format!("migrations.Alter{option}Together('{name}', {})", set(groups)));
                }
            }
        }
        operations.push(format!("migrations.RemoveField('{name}', '{}')", field.name));
        self.models[at].fields.retain(|own| own.name != field.name);
        Some(operations)
    }

    fn rename_field(&mut self, at: usize) -> Option<Vec<String>> {
        let name = self.models[at].name.clone();
        let new = self.fresh("n");
        let keys = matches!(self.models[at].key, PrimaryKey::Integer(class) if class != "implicit")
            || matches!(self.models[at].key, PrimaryKey::Text(_) | PrimaryKey::Uuid);
        if keys && self.random.chance(12) {
            let old = std::mem::replace(&mut self.models[at].key_name, new.clone());
            return Some(vec![format!("migrations.RenameField('{name}', '{old}', '{new}')")]);
        }
        let place = self.random.below(self.models[at].fields.len());
        let field = self.models[at].fields.get(place)?.clone();
        if self.models[at].uses_in_meta(&field.name) && !self.random.chance(15) {
            return None;
        }
        let old = field.name.clone();
        let rename = |group: &mut Vec<String>| {
            for own in group {
                if *own == old {
                    own.clone_from(&new);
                }
            }
        };
        self.models[at].unique_together.iter_mut().for_each(rename);
        self.models[at].index_together.iter_mut().for_each(rename);
        let own = &mut self.models[at].fields[place];
        if own.column == old {
            own.column.clone_from(&new);
        } else if own.column == format!("{old}_id") {
            own.column = format!("{new}_id");
        }
        own.name.clone_from(&new);
        Some(vec![format!("migrations.RenameField('{name}', '{old}', '{new}')")])
    }

    fn rename_model(&mut self, at: usize) -> Option<Vec<String>> {
        let id = self.models[at].id;
        // Django does not rename the bases of children, whose state it cannot render any more.
        if self.models[at].swapped_in || self.models.iter().any(|model| model.parent == Some(id)) {
            return None;
        }
        let new = self.fresh("Renamed");
        let model = &mut self.models[at];
        let old = std::mem::replace(&mut model.name, new.clone());
        let default = |name: &str| format!("{}_{}", self.apps[model.app], name.to_lowercase());
        if model.table == default(&old) {
            model.table = default(&new);
        }
        Some(vec![format!("migrations.RenameModel('{old}', '{new}')")])
    }

    fn alter_together(&mut self, at: usize) -> Option<Vec<String>> {
        let name = self.models[at].name.clone();
        let index = self.random.chance(35) && !self.at(5, 1);
        let model = self.models[at].clone();
        let mut groups = if index { model.index_together.clone() } else { model.unique_together.clone() };
        if !groups.is_empty() && self.random.chance(50) {
            groups.pop();
        } else {
            let group = self.group(&model)?;
            let same = |one: &Vec<String>, other: &Vec<String>| one.iter().all(|name| other.contains(name));
            if model.unique_together.iter().chain(&model.index_together).any(|known| same(known, &group)) {
                return None;
            }
            groups.push(group);
        }
        let text = set(&groups);
        let option = if index {
            self.models[at].index_together = groups;
            "Index"
        } else {
            self.models[at].unique_together = groups;
            "Unique"
        };
        Some(vec![format!("migrations.Alter{option}Together('{name}', {text})")])
    }

    /// SQL in the place of an operation, or state and database apart.
    fn beside(&mut self, at: usize) -> Option<Vec<String>> {
        let name = self.models[at].name.clone();
        let table = self.models[at].table.clone();
        match self.random.below(7) {
            0 => {
                let field = self.fresh("s");
                self.models[at].fields.push(Field {
                    name: field.clone(),
                    kind: Kind::Plain { family: NUMBER },
                    null: true,
                    unique: false,
                    db_default: false,
                    column: field.clone(),
                });
                Some(vec![format!(
                    "migrations.RunSQL('ALTER TABLE \"{table}\" ADD COLUMN {field} integer', reverse_sql='SELECT 1', state_operations=[migrations.AddField('{name}', '{field}', models.IntegerField(null=True))])"
                )])
            }
            1 => {
                let (field, family) = (self.fresh("s"), self.family());
                let (field, text) = self.column(&field, family, true);
                let add = format!("migrations.AddField('{name}', '{}', {text})", field.name);
                self.models[at].fields.push(field);
                Some(vec![format!(
                    "migrations.SeparateDatabaseAndState(database_operations=[{add}], state_operations=[{add}])"
                )])
            }
            2 => {
                let columns: Vec<Field> = self.models[at].plain().cloned().collect();
                let field = self.random.choose(&columns)?.clone();
                let own = self.global("iz");
                self.models[at].indexes.push(Named { name: own.clone(), fields: vec![field.name.clone()] });
                Some(vec![format!(
                    "migrations.RunSQL([('CREATE INDEX \"{own}\" ON \"{table}\" (\"{}\")', None)], state_operations=[migrations.AddIndex('{name}', models.Index(fields=['{}'], name='{own}'))])",
                    field.column, field.name
                )])
            }
            3 => {
                // A column leaves the state first, and the table in the same migration.
                let fields: Vec<Field> = self.models[at].plain().cloned().collect();
                let field = self.random.choose(&fields)?.clone();
                if self.models[at].uses(&field.name) || self.is_key_target(at, &field.name) {
                    return None;
                }
                self.models[at].fields.retain(|own| own.name != field.name);
                Some(vec![
                    format!(
                        "migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField('{name}', '{}')])",
                        field.name
                    ),
                    format!("migrations.RunSQL('ALTER TABLE \"{table}\" DROP COLUMN \"{}\"')", field.column),
                ])
            }
            4 => {
                let own = self.global("trigger");
                Some(vec![format!(
                    "migrations.RunSQL(['CREATE FUNCTION \"{own}\"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$', 'CREATE TRIGGER \"{own}\" BEFORE INSERT ON \"{table}\" FOR EACH ROW EXECUTE FUNCTION \"{own}\"()'])"
                )])
            }
            5 => {
                let columns: Vec<Field> = self.models[at].plain().filter(|field| field.null).cloned().collect();
                let field = self.random.choose(&columns)?.clone();
                let own = self.global("not_null");
                Some(vec![format!(
                    "migrations.RunSQL('ALTER TABLE \"{table}\" ADD CONSTRAINT \"{own}\" CHECK (\"{column}\" IS NOT NULL) NOT VALID; ALTER TABLE \"{table}\" VALIDATE CONSTRAINT \"{own}\"; ALTER TABLE \"{table}\" DROP CONSTRAINT \"{own}\"')",
                    column = field.column
                )])
            }
            _ => {
                let fields: Vec<Field> = self.models[at].plain().cloned().collect();
                let field = self.random.choose(&fields)?.clone();
                if self.models[at].uses_in_meta(&field.name)
                    || self.models[at].uses(&field.name)
                    || self.is_key_target(at, &field.name)
                {
                    return None;
                }
                let new = self.fresh("n");
                let place = self.models[at].fields.iter().position(|own| own.name == field.name)?;
                let renamed = field.column == field.name;
                self.models[at].fields[place].name.clone_from(&new);
                if !renamed {
                    return Some(vec![format!(
                        "migrations.SeparateDatabaseAndState([], [migrations.RenameField('{name}', '{}', '{new}')])",
                        field.name
                    )]);
                }
                self.models[at].fields[place].column.clone_from(&new);
                Some(vec![format!(
                    "migrations.SeparateDatabaseAndState(database_operations=[migrations.RunSQL('ALTER TABLE \"{table}\" RENAME \"{}\" TO \"{new}\"')], state_operations=[migrations.RenameField('{name}', '{}', '{new}')])",
                    field.column, field.name
                )])
            }
        }
    }

    /// A many-to-many field through a model that is written.
    fn through(&mut self, at: usize) -> Option<Vec<String>> {
        if matches!(self.models[at].key, PrimaryKey::Composite) {
            return None;
        }
        let to = self.target(None)?;
        let own = self.models[at].id;
        let (name, app) = (self.models[at].name.clone(), self.app);
        let id = self.number + 1;
        let through = self.fresh("Through");
        let mut fields = Vec::new();
        let mut texts = vec!["('id', models.BigAutoField(primary_key=True))".to_owned()];
        for target in [own, to] {
            let field = self.fresh("e");
            texts.push(format!(
                "('{field}', models.ForeignKey('{}', models.CASCADE, related_name='{field}+'))",
                self.label(target)
            ));
            fields.push(Field {
                column: format!("{field}_id"),
                name: field,
                kind: Kind::Key { to: target, to_field: false },
                null: false,
                unique: false,
                db_default: false,
            });
        }
        let ends = format!("'{}', '{}'", fields[0].name, fields[1].name);
        self.models.push(Model {
            id,
            app,
            name: through.clone(),
            table: format!("{}_{}", self.apps[app], through.to_lowercase()),
            key: PrimaryKey::Integer("BigAutoField"),
            key_name: "id".to_owned(),
            fields,
            indexes: Vec::new(),
            constraints: Vec::new(),
            unique_together: Vec::new(),
            index_together: Vec::new(),
            order: None,
            parent: None,
            proxy: false,
            managed: true,
            swapped_in: false,
        });
        let field = self.fresh("m");
        let text = format!(
            "migrations.AddField('{name}', '{field}', models.ManyToManyField('{}', related_name='+', through='{}.{through}', through_fields=({ends})))",
            self.label(to),
            self.apps[app]
        );
        self.models[at].fields.push(Field {
            name: field,
            kind: Kind::Many { to, through: Through::Model(id) },
            null: true,
            unique: false,
            db_default: false,
            column: String::new(),
        });
        Some(vec![format!("migrations.CreateModel('{through}', [{}])", texts.join(", ")), text])
    }

    /// The table that Django made for a many-to-many field gets a model.
    fn own_through(&mut self, at: usize) -> Option<Vec<String>> {
        let name = self.models[at].name.clone();
        let (own, app, table) = (self.models[at].id, self.app, self.models[at].table.clone());
        let candidates: Vec<(String, usize)> = self.models[at]
            .fields
            .iter()
            .filter_map(|field| match field.kind {
                Kind::Many { to, through: Through::Automatic } if to != own => Some((field.name.clone(), to)),
                _ => None,
            })
            .collect();
        let (field, to) = self.random.choose(&candidates)?.clone();
        if table.len() + field.len() > 60 || self.model(to)?.proxy {
            return None;
        }
        let target = self.model(to)?.name.to_lowercase();
        let id = self.number + 1;
        let through = self.fresh("Through");
        let ends = [(name.to_lowercase(), own), (target, to)];
        let mut fields = Vec::new();
        let mut texts = vec!["('id', models.AutoField(primary_key=True))".to_owned()];
        for (end, target) in ends {
            texts.push(format!("('{end}', models.ForeignKey('{}', models.CASCADE))", self.label(target)));
            fields.push(Field {
                column: format!("{end}_id"),
                name: end,
                kind: Kind::Key { to: target, to_field: false },
                null: false,
                unique: false,
                db_default: false,
            });
        }
        let through_table = format!("{table}_{field}");
        let text = format!(
            "migrations.SeparateDatabaseAndState(state_operations=[migrations.CreateModel('{through}', [{}], options={{'db_table': '{through_table}'}}), migrations.AlterField('{name}', '{field}', models.ManyToManyField('{}', related_name='+', through='{}.{through}'))])",
            texts.join(", "),
            self.label(to),
            self.apps[app]
        );
        self.models.push(Model {
            id,
            app,
            name: through,
            table: through_table,
            key: PrimaryKey::Integer("AutoField"),
            key_name: "id".to_owned(),
            fields,
            indexes: Vec::new(),
            constraints: Vec::new(),
            unique_together: Vec::new(),
            index_together: Vec::new(),
            order: None,
            parent: None,
            proxy: false,
            managed: true,
            swapped_in: false,
        });
        let place = self.models[at].fields.iter().position(|own| own.name == field)?;
        self.models[at].fields[place].kind = Kind::Many { to, through: Through::Model(id) };
        Some(vec![text])
    }

    fn delete(&mut self, at: usize) -> Option<Vec<String>> {
        let model = &self.models[at];
        let referenced = self.models.iter().filter(|other| other.id != model.id).any(|other| {
            other.parent == Some(model.id)
                || other.fields.iter().any(|field| match field.kind {
                    Kind::Key { to, .. } => to == model.id,
                    Kind::Many { to, through } => to == model.id || through == Through::Model(model.id),
                    _ => false,
                })
        });
        if referenced || model.swapped_in || self.models.len() < 5 {
            return None;
        }
        let name = self.models.remove(at).name;
        Some(vec![format!("migrations.DeleteModel('{name}')")])
    }
}

fn tuple(group: &[String]) -> String {
    format!("('{}')", group.join("', '"))
}

fn set(groups: &[Vec<String>]) -> String {
    if groups.is_empty() {
        return "set()".to_owned();
    }
    let groups: Vec<String> = groups.iter().map(|group| tuple(group)).collect();
    format!("{{{}}}", groups.join(", "))
}

/// A history of that seed for a release.
pub(crate) fn history(seed: u64, migrations: usize, version: DjangoVersion) -> History {
    let apps = [format!("w{seed}a"), format!("w{seed}b")];
    let mut composer = Composer {
        random: Random::new(seed),
        version,
        models: Vec::new(),
        number: 0,
        seed,
        apps: apps.clone(),
        app: 0,
        settings: Vec::new(),
    };
    let mut result = Vec::new();
    while result.len() < migrations {
        composer.app = usize::from(composer.random.chance(35));
        if composer.random.chance(4)
            && let Some(at) = composer.place()
        {
            let model = composer.models[at].clone();
            if composer.random.chance(40)
                && let Some(index) = composer.models[at].indexes.pop()
            {
                let operations = vec![format!("RemoveIndexConcurrently('{}', '{}')", model.name, index.name)];
                result.push(Migration { app: composer.app, atomic: false, operations });
                continue;
            }
            if let Some((named, text)) = composer.index(&model) {
                composer.models[at].indexes.push(named);
                let operations = vec![format!("AddIndexConcurrently('{}', {text})", model.name)];
                result.push(Migration { app: composer.app, atomic: false, operations });
                continue;
            }
        }
        let count = 1 + composer.random.below(4);
        let mut operations = Vec::new();
        let mut tries = 0;
        while operations.len() < count && tries < 50 {
            operations.extend(composer.step().unwrap_or_default());
            tries += 1;
        }
        result.push(Migration { app: composer.app, atomic: composer.random.chance(93), operations });
    }
    History { seed, apps, migrations: result, settings: composer.settings }
}
