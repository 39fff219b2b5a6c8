//! The generated suite: one model and one migration of one operation for each case.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use zdm_django::DjangoVersion;

/// One case. `§` stands for the name of its model, which is its own.
pub(crate) struct Case {
    /// Operations before, without comparison of their order with others': they are compared too.
    setup: Vec<String>,
    /// The migrations under test, each a list of operations.
    migrations: Vec<Vec<String>>,
    since: (u8, u8),
    before: (u8, u8),
    atomic: bool,
}

impl Case {
    fn new(setup: &[&str], operations: &[&str]) -> Self {
        Self {
            setup: setup.iter().map(|text| (*text).to_owned()).collect(),
            migrations: vec![operations.iter().map(|text| (*text).to_owned()).collect()],
            since: (3, 2),
            before: (99, 0),
            atomic: true,
        }
    }

    fn since(mut self, major: u8, minor: u8) -> Self {
        self.since = (major, minor);
        self
    }

    fn before(mut self, major: u8, minor: u8) -> Self {
        self.before = (major, minor);
        self
    }

    fn then(mut self, operations: &[&str]) -> Self {
        self.migrations.push(operations.iter().map(|text| (*text).to_owned()).collect());
        self
    }

    fn concurrent(mut self) -> Self {
        self.atomic = false;
        self
    }

    /// The operations, as they are written.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.setup.iter().chain(self.migrations.iter().flatten()).map(String::as_str)
    }

    pub(crate) fn runs_on(&self, version: DjangoVersion) -> bool {
        version.at_least(self.since.0, self.since.1) && !version.at_least(self.before.0, self.before.1)
    }
}

/// A model with a key and these fields.
fn model(fields: &str) -> String {
    format!("migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), {fields}])")
}

fn alter(old: &str, new: &str) -> Case {
    Case::new(&[&model(&format!("('f', {old})"))], &[&format!("migrations.AlterField('§', 'f', {new})")])
}

fn add(field: &str) -> Case {
    Case::new(
        &[&model("('a', models.IntegerField(null=True)),")],
        &[&format!("migrations.AddField('§', 'f', {field})")],
    )
}

fn operation(fields: &str, operation: &str) -> Case {
    Case::new(&[&model(fields)], &[operation])
}

/// Classes with the arguments that they need and a default that fits.
const FIELDS: [(&str, &str, &str); 24] = [
    ("models.CharField", "max_length=20", "default='x'"),
    ("models.TextField", "", "default='it\\'s \\\\ %'"),
    ("models.EmailField", "", "default='a@b.c'"),
    ("models.URLField", "", "default=''"),
    ("models.SlugField", "", "default='s'"),
    ("models.IntegerField", "", "default=-5"),
    ("models.BigIntegerField", "", "default=5"),
    ("models.SmallIntegerField", "", "default=0"),
    ("models.PositiveIntegerField", "", "default=1"),
    ("models.PositiveSmallIntegerField", "", "default=1"),
    ("models.PositiveBigIntegerField", "", "default=1"),
    ("models.BooleanField", "", "default=False"),
    ("models.DecimalField", "max_digits=8, decimal_places=2", "default=decimal.Decimal('1.50')"),
    ("models.FloatField", "", "default=1.5"),
    ("models.DateField", "", "default=datetime.date(2020, 1, 2)"),
    ("models.DateTimeField", "", "default=datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)"),
    ("models.TimeField", "", "default=datetime.time(1, 2, 3)"),
    ("models.DurationField", "", "default=datetime.timedelta(days=1, seconds=5)"),
    ("models.UUIDField", "", "default=uuid.UUID('12345678-1234-5678-1234-567812345678')"),
    ("models.JSONField", "", "default=dict"),
    ("models.BinaryField", "", r"default=b'a\\b%\x00\xe9\'~'"),
    ("models.GenericIPAddressField", "", "default='127.0.0.1'"),
    ("models.FileField", "upload_to='x'", "default='f'"),
    ("models.FilePathField", "path='/tmp'", "default='p'"),
];

fn field(class: &str, arguments: &[&str]) -> String {
    let arguments: Vec<&str> = arguments.iter().copied().filter(|text| !text.is_empty()).collect();
    format!("{class}({})", arguments.join(", "))
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    add_fields(&mut cases);
    alter_fields(&mut cases);
    types(&mut cases);
    relations(&mut cases);
    renames(&mut cases);
    indexes(&mut cases);
    constraints(&mut cases);
    expressions(&mut cases);
    options(&mut cases);
    database(&mut cases);
    cases
}

fn add_fields(cases: &mut Vec<Case>) {
    for (class, arguments, default) in FIELDS {
        let unique = if class.ends_with("JSONField") { "" } else { "unique=True" };
        for more in [
            &["null=True"][..],
            &[default],
            &["null=True", default],
            &["null=True", "db_index=True"],
            &["null=True", unique],
            &["blank=True", default, "db_column='other'"],
        ] {
            let mut all = vec![arguments];
            all.extend(more);
            cases.push(add(&field(class, &all)));
        }
        cases.push(add(&field(class, &[arguments, default])).then(&["migrations.RemoveField('§', 'f')"]));
        let db_default = default.replacen("default=", "db_default=", 1);
        if !matches!(class, "models.JSONField") {
            cases.push(add(&field(class, &[arguments, &db_default])).since(5, 2));
        }
    }
    for text in [
        "models.CharField(max_length=10, blank=True)",
        "models.TextField(blank=True)",
        "models.BinaryField(blank=True)",
        "models.CharField(max_length=10, default=5)",
        "models.IntegerField(default='7')",
        "models.DecimalField(max_digits=5, decimal_places=2, default=0)",
        "models.DecimalField(max_digits=5, decimal_places=2, default=0.1)",
        "models.DecimalField(max_digits=5, decimal_places=2, default=-1.25)",
        "models.DecimalField(max_digits=5, decimal_places=2, default='2.5')",
        "models.FloatField(default=0)",
        "models.FloatField(default=1e20)",
        "models.FloatField(default=-0.00001)",
        "models.DateTimeField(auto_now_add=True)",
        "models.DateTimeField(auto_now=True)",
        "models.DateField(auto_now=True)",
        "models.TimeField(auto_now_add=True)",
        "models.DateTimeField(default=timezone.now)",
        "models.DateField(default=datetime.date.today)",
        "models.UUIDField(default=uuid.uuid4, unique=True)",
        "models.UUIDField(default=uuid.uuid4, editable=False)",
        "models.JSONField(default=list)",
        "models.JSONField(default={'a': [1, 'é', None, True, 1.5], 'b': {}})",
        "models.JSONField(null=True, default=None)",
        "models.BooleanField(default=True)",
        "models.DurationField(default=datetime.timedelta(0))",
        "models.DurationField(default=datetime.timedelta(days=-2, hours=3, microseconds=5))",
        "models.IntegerField(default=int)",
        "models.CharField(max_length=5, default=str)",
        "models.CharField(max_length=5, default='é')",
        "models.CharField(max_length=20, default='100% \\\\n')",
        "models.IntegerField(db_index=True, unique=True, default=1)",
        "models.SlugField(db_index=False, default='')",
        "models.ImageField(upload_to='x', null=True)",
        "postgres.ArrayField(models.IntegerField(), default=list)",
        "postgres.ArrayField(models.CharField(max_length=5), size=3, null=True, db_index=True)",
        "postgres.ArrayField(postgres.ArrayField(models.TextField()), default=list)",
        "postgres.ArrayField(models.IntegerField(), default=[1, 2])",
        "postgres.IntegerRangeField(null=True)",
        "postgres.DateTimeRangeField(null=True)",
        "postgres.DecimalRangeField(null=True)",
        "postgres.DateRangeField(null=True)",
        "postgres.BigIntegerRangeField(null=True)",
        "search.SearchVectorField(null=True)",
    ] {
        cases.push(add(text));
    }
    for text in [
        "models.CharField(max_length=10, db_default='x')",
        "models.CharField(max_length=10, db_default=models.Value('x'))",
        "models.IntegerField(db_default=models.Value(5))",
        "models.DateTimeField(db_default=functions.Now())",
        "models.IntegerField(db_default=models.Value(1) + models.Value(2))",
        "models.IntegerField(db_default=5, default=7)",
        "models.IntegerField(db_default=5, null=True, db_index=True)",
        "models.BooleanField(db_default=True)",
        "models.CharField(max_length=10, db_default=functions.Lower(models.Value('X')))",
        "models.JSONField(db_default={})",
        "models.GeneratedField(expression=models.F('a') + 1, output_field=models.IntegerField(), db_persist=True)",
        "models.GeneratedField(expression=functions.Coalesce('a', models.Value(0)), output_field=models.IntegerField(), db_persist=True, unique=True)",
    ] {
        cases.push(add(text).since(5, 2));
    }
    for text in [
        "models.CharField(max_length=10, db_collation='C', default='')",
        "models.TextField(db_collation='C', null=True, db_index=True)",
    ] {
        cases.push(add(text));
    }
    for text in [
        "models.IntegerField(null=True, db_comment='it\\'s a comment')",
        "models.CharField(max_length=10, default='x', db_comment='x')",
    ] {
        cases.push(add(text).since(4, 2));
    }
    cases.push(add("models.CharField(null=True)").since(4, 2));
    cases.push(add("models.DecimalField(null=True)").since(6, 1));
}

fn alter_fields(cases: &mut Vec<Case>) {
    for (class, arguments, default) in FIELDS {
        let with = |more: &str| field(class, &[arguments, more]);
        let json = class.ends_with("JSONField");
        cases.push(alter(&with("null=True"), &with("")));
        cases.push(alter(&with(""), &with("null=True")));
        cases.push(alter(&with("null=True"), &with(default)));
        cases.push(alter(&with("null=True"), &with(&format!("null=True, {default}"))));
        cases.push(alter(&with(&format!("null=True, {default}")), &with(default)));
        cases.push(alter(&with(""), &with("db_column='other'")));
        cases.push(alter(&with(""), &with("verbose_name='x', help_text='y', blank=True")));
        if json {
            continue;
        }
        cases.push(alter(&with("db_index=False"), &with("db_index=True")));
        cases.push(alter(&with("db_index=True"), &with("db_index=False")));
        cases.push(alter(&with("db_index=False"), &with("unique=True, db_index=False")));
        cases.push(alter(&with("unique=True, db_index=False"), &with("db_index=False")));
        cases.push(alter(&with("db_index=True"), &with("unique=True, db_index=True")));
        cases.push(alter(&with("unique=True, db_index=True"), &with("db_index=True")));
        cases.push(alter(&with("unique=True"), &with("db_index=True")));
        cases.push(alter(&with("db_index=True, null=True"), &with(&format!("unique=True, db_column='c', {default}"))));
        let db_default = default.replacen("default=", "db_default=", 1);
        cases.push(alter(&with(""), &with(&db_default)).since(5, 2));
        cases.push(alter(&with(&db_default), &with("")).since(5, 2));
        cases.push(alter(&with("null=True"), &with(&db_default)).since(5, 2));
        cases.push(alter(&with(""), &with("db_comment='x'")).since(4, 2));
        cases.push(alter(&with("db_comment='x'"), &with("null=True, db_comment='y'")).since(4, 2));
    }
    for (old, new) in [
        ("models.CharField(max_length=10, null=True)", "models.CharField(max_length=10, blank=True)"),
        ("models.UUIDField(null=True)", "models.UUIDField(default=uuid.uuid4)"),
        ("models.UUIDField(null=True, default=uuid.uuid4)", "models.UUIDField(default=uuid.uuid4, unique=True)"),
        ("models.DateTimeField(null=True)", "models.DateTimeField(auto_now_add=True)"),
        ("models.DateTimeField(null=True, auto_now=True)", "models.DateTimeField(auto_now=True)"),
        ("models.IntegerField(null=True, default=5)", "models.IntegerField(default=5)"),
        ("models.IntegerField(null=True, default=5)", "models.IntegerField(default=6)"),
        ("models.IntegerField(null=True)", "models.IntegerField(default=None)"),
        ("models.IntegerField(null=True, default=1)", "models.FloatField(default=1)"),
        ("models.IntegerField(null=True, default=1)", "models.BigIntegerField(default=True)"),
        ("models.DateField(null=True, auto_now=True)", "models.DateField(default=timezone.now)"),
        ("models.BinaryField(null=True, default=b'')", "models.BinaryField(default=b'')"),
        (
            "postgres.ArrayField(models.IntegerField(), null=True, default=[1])",
            "postgres.ArrayField(models.BigIntegerField(), default=[1])",
        ),
        ("models.DateTimeField(null=True, default=timezone.now)", "models.DateTimeField(default=timezone.now)"),
        ("models.JSONField(null=True)", "models.JSONField(default=dict)"),
        ("models.CharField(max_length=10)", "models.CharField(max_length=10, choices=[('a', 'A')])"),
        ("models.CharField(max_length=10)", "models.CharField(max_length=10, db_collation='C')"),
        ("models.CharField(max_length=10, db_collation='C')", "models.CharField(max_length=20)"),
        ("models.CharField(max_length=10, db_index=True)", "models.TextField(db_index=True, db_collation='C')"),
        ("models.TextField(db_collation='C')", "models.TextField(db_collation='POSIX')"),
    ] {
        cases.push(alter(old, new));
    }
    for class in [
        "postgres.IntegerRangeField",
        "postgres.BigIntegerRangeField",
        "postgres.DecimalRangeField",
        "postgres.DateRangeField",
        "postgres.DateTimeRangeField",
        "search.SearchVectorField",
        "models.ImageField",
    ] {
        let with = |more: &str| field(class, &[if class.ends_with("ImageField") { "upload_to='x'" } else { "" }, more]);
        cases.push(alter(&with("null=True"), &with("")));
        cases.push(alter(&with(""), &with("null=True, db_index=True")));
        cases.push(alter(&with("db_index=True"), &with("unique=True, db_column='other'")));
    }
    for field in ["postgres.HStoreField(null=True)", "postgres.HStoreField(default=dict)"] {
        let mut case =
            add(field).then(&["migrations.AlterField('§', 'f', postgres.HStoreField(null=True, db_column='h'))"]);
        case.setup.insert(0, "HStoreExtension()".to_owned());
        cases.push(case);
    }
    for default in
        ["functions.Now() + datetime.timedelta(days=1)", "functions.Now() - datetime.timedelta(hours=3, seconds=5)"]
    {
        let field = format!("models.DateTimeField(db_default={default})");
        cases.push(alter("models.DateTimeField(null=True)", &field).since(5, 2));
        cases.push(add(&field).since(5, 2));
    }
    for function in ["UUID4", "UUID7"] {
        let default = format!("models.UUIDField(db_default=functions.{function}())");
        cases.push(alter("models.UUIDField(null=True)", &default).since(6, 1));
        cases.push(Case::new(&[&model("")], &[&format!("migrations.AddField('§', 'f', {default})")]).since(6, 1));
    }
    cases.push(alter("models.IntegerField(db_default=1)", "models.IntegerField(db_default=2)").since(5, 2));
    cases.push(
        alter("models.IntegerField(db_default=1)", "models.IntegerField(db_default=models.Value(1))").since(5, 2),
    );
    cases.push(alter("models.IntegerField(db_default=1, null=True)", "models.IntegerField(default=3)").since(5, 2));
    cases.push(
        Case::new(
            &[&model("('f', models.IntegerField(null=True)),")],
            &["migrations.AlterField('§', 'f', models.IntegerField(default=4), preserve_default=False)"],
        )
        .then(&["migrations.AlterField('§', 'f', models.IntegerField(null=True))"])
        .then(&["migrations.AlterField('§', 'f', models.IntegerField())"]),
    );
    cases.push(
        Case::new(
            &[&model("('a', models.IntegerField(null=True)),")],
            &["migrations.AddField('§', 'f', models.CharField(max_length=3, default='abc'), preserve_default=False)"],
        )
        .then(&["migrations.AlterField('§', 'f', models.CharField(max_length=4, null=True))"]),
    );
}

fn types(cases: &mut Vec<Case>) {
    const TEXT: [&str; 8] = [
        "models.CharField(max_length=10{})",
        "models.CharField(max_length=20{})",
        "models.TextField({})",
        "models.SlugField(max_length=10{})",
        "models.EmailField(max_length=10{})",
        "models.FileField(upload_to='x'{})",
        "models.URLField(max_length=10{})",
        "models.FilePathField(path='/'{})",
    ];
    const NUMBERS: [&str; 9] = [
        "models.IntegerField({})",
        "models.BigIntegerField({})",
        "models.SmallIntegerField({})",
        "models.PositiveIntegerField({})",
        "models.PositiveSmallIntegerField({})",
        "models.PositiveBigIntegerField({})",
        "models.FloatField({})",
        "models.DecimalField(max_digits=8, decimal_places=2{})",
        "models.DecimalField(max_digits=9, decimal_places=3{})",
    ];
    let fill = |template: &str, more: &str| {
        let joined = template.replace("({})", &format!("({more})"));
        joined.replace("{}", &if more.is_empty() { String::new() } else { format!(", {more}") })
    };
    for family in [&TEXT[..], &NUMBERS[..]] {
        for old in family {
            for new in family {
                if old != new {
                    cases.push(alter(&fill(old, ""), &fill(new, "")));
                    cases.push(alter(&fill(old, "unique=True"), &fill(new, "unique=True")));
                }
            }
        }
    }
    for text in TEXT {
        cases.push(alter(&fill(text, "db_index=True"), "models.IntegerField(db_index=True)"));
        cases.push(alter(&fill(text, "unique=True"), "models.UUIDField(unique=True)"));
        cases.push(alter(&fill(text, "db_index=True"), "models.DateField()"));
        cases.push(alter(&fill(text, "db_index=True"), "models.TextField(db_index=True)"));
        cases.push(alter("models.IntegerField(db_index=True)", &fill(text, "db_index=True")));
        cases.push(alter("models.JSONField(null=True)", &fill(text, "null=True")));
        cases.push(alter(&fill(text, "unique=True"), &fill("models.CharField(max_length=99{})", "db_index=True")));
    }
    for (old, new) in [
        ("models.DateField()", "models.DateTimeField()"),
        ("models.DateTimeField()", "models.DateField(null=True)"),
        ("models.BooleanField()", "models.IntegerField()"),
        ("models.TextField()", "models.JSONField()"),
        ("models.TextField()", "models.BooleanField(null=True)"),
        ("models.PositiveIntegerField()", "models.PositiveIntegerField(db_column='c')"),
        ("models.PositiveIntegerField()", "models.BigIntegerField(db_column='c')"),
        ("models.CharField(max_length=36)", "models.UUIDField()"),
        ("models.UUIDField()", "models.CharField(max_length=36)"),
        ("models.GenericIPAddressField()", "models.CharField(max_length=40)"),
        ("postgres.ArrayField(models.IntegerField())", "postgres.ArrayField(models.BigIntegerField())"),
        ("postgres.ArrayField(models.CharField(max_length=5))", "postgres.ArrayField(models.CharField(max_length=9))"),
        ("postgres.ArrayField(models.CharField(max_length=5))", "postgres.ArrayField(models.TextField(), size=4)"),
        ("models.TextField()", "postgres.ArrayField(models.TextField())"),
        ("models.ImageField(upload_to='a')", "models.FileField(upload_to='b', max_length=200)"),
    ] {
        cases.push(alter(old, new));
    }
    cases.push(alter("models.CharField(max_length=5)", "models.CharField()").since(4, 2));
    // Keys.
    for (old, new) in [
        ("models.AutoField(primary_key=True)", "models.BigAutoField(primary_key=True)"),
        ("models.BigAutoField(primary_key=True)", "models.AutoField(primary_key=True)"),
        ("models.AutoField(primary_key=True)", "models.SmallAutoField(primary_key=True)"),
        ("models.AutoField(primary_key=True)", "models.IntegerField(primary_key=True)"),
        ("models.IntegerField(primary_key=True)", "models.AutoField(primary_key=True)"),
        ("models.IntegerField(primary_key=True)", "models.BigAutoField(primary_key=True)"),
        ("models.BigAutoField(primary_key=True)", "models.BigIntegerField(primary_key=True)"),
        ("models.IntegerField(primary_key=True)", "models.BigIntegerField(primary_key=True)"),
        ("models.CharField(primary_key=True, max_length=5)", "models.CharField(primary_key=True, max_length=9)"),
        ("models.CharField(primary_key=True, max_length=5)", "models.TextField(primary_key=True)"),
        ("models.CharField(primary_key=True, max_length=36)", "models.UUIDField(primary_key=True)"),
    ] {
        let keys = [
            format!("migrations.CreateModel('§', [('key', {old}), ('n', models.IntegerField(null=True))])"),
            "migrations.CreateModel('§Ref', [('id', models.AutoField(primary_key=True)), ('m', models.ForeignKey('§', models.CASCADE, null=True))])".to_owned(),
            "migrations.CreateModel('§One', [('m', models.OneToOneField('§', models.CASCADE, primary_key=True))])".to_owned(),
            "migrations.CreateModel('§Two', [('id', models.AutoField(primary_key=True)), ('o', models.ForeignKey('§One', models.CASCADE, null=True, related_name='+'))])".to_owned(),
            "migrations.CreateModel('§Many', [('id', models.AutoField(primary_key=True)), ('many', models.ManyToManyField('§'))])".to_owned(),
            "migrations.AddField('§', 'self', models.ForeignKey('self', models.CASCADE, null=True))".to_owned(),
        ];
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        cases.push(Case::new(&keys, &[&format!("migrations.AlterField('§', 'key', {new})")]));
    }
    cases.push(
        Case::new(
            &["migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), ('code', models.CharField(max_length=5, unique=True))])"],
            &["migrations.AlterField('§', 'code', models.CharField(max_length=5, primary_key=True))"],
        ),
    );
    cases.push(Case::new(
        &["migrations.CreateModel('§', [('code', models.CharField(max_length=5, primary_key=True)), ('other', models.IntegerField(unique=True))])"],
        &["migrations.AlterField('§', 'code', models.CharField(max_length=5, unique=True))", "migrations.AlterField('§', 'other', models.IntegerField(primary_key=True))"],
    ));
    cases.push(Case::new(
        &[
            "migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), ('code', models.CharField(max_length=5, unique=True))])",
            "migrations.CreateModel('§Ref', [('id', models.AutoField(primary_key=True)), ('m', models.ForeignKey('§', models.CASCADE, to_field='code', db_column='mcode'))])",
        ],
        &["migrations.AlterField('§', 'code', models.CharField(max_length=9, unique=True))"],
    ).then(&["migrations.AlterField('§', 'code', models.TextField(unique=True))"]).then(&["migrations.RenameField('§', 'code', 'code2')"]));
}

const TARGETS: &str = "migrations.CreateModel('§To', [('id', models.AutoField(primary_key=True)), ('code', models.CharField(max_length=5, unique=True))])";
const OTHERS: &str = "migrations.CreateModel('§Other', [('id', models.BigAutoField(primary_key=True))])";

fn relations(cases: &mut Vec<Case>) {
    let keys = [
        "models.ForeignKey('§To', models.CASCADE)",
        "models.ForeignKey('§To', models.CASCADE, null=True)",
        "models.ForeignKey('§To', models.PROTECT, null=True)",
        "models.ForeignKey('§To', models.CASCADE, db_index=False)",
        "models.ForeignKey('§To', models.CASCADE, db_constraint=False)",
        "models.ForeignKey('§To', models.CASCADE, null=True, db_column='c')",
        "models.ForeignKey('§To', models.CASCADE, unique=True)",
        "models.ForeignKey('§To', models.CASCADE, to_field='code', null=True)",
        "models.ForeignKey('§To', models.SET_NULL, null=True, related_name='+', default=None)",
        "models.OneToOneField('§To', models.CASCADE)",
        "models.OneToOneField('§To', models.CASCADE, null=True, to_field='code')",
        "models.ForeignKey('§Other', models.CASCADE, null=True)",
        "models.IntegerField(null=True)",
        "models.BigIntegerField()",
        "models.CharField(max_length=5)",
    ];
    let setup = |field: &str| [TARGETS.to_owned(), OTHERS.to_owned(), model(&format!("('f', {field}),"))];
    for old in keys {
        for new in keys {
            if old != new {
                let setup = setup(old);
                let setup: Vec<&str> = setup.iter().map(String::as_str).collect();
                cases.push(Case::new(&setup, &[&format!("migrations.AlterField('§', 'f', {new})")]));
            }
        }
        let plain = [TARGETS.to_owned(), OTHERS.to_owned(), model("('a', models.IntegerField(null=True)),")];
        let plain: Vec<&str> = plain.iter().map(String::as_str).collect();
        cases.push(
            Case::new(&plain, &[&format!("migrations.AddField('§', 'f', {old})")])
                .then(&["migrations.RemoveField('§', 'f')"]),
        );
        let setup = setup(old);
        let setup: Vec<&str> = setup.iter().map(String::as_str).collect();
        cases.push(Case::new(&setup, &["migrations.RenameField('§', 'f', 'g')"]));
    }
    for many in [
        "models.ManyToManyField('§To')",
        "models.ManyToManyField('§To', db_table='m_extra_§')",
        "models.ManyToManyField('§To', db_constraint=False)",
        "models.ManyToManyField('§To', related_name='+')",
        "models.ManyToManyField('self')",
        "models.ManyToManyField('self', symmetrical=False, related_name='back')",
        "models.ManyToManyField('§Other')",
        "models.ManyToManyField('§To', blank=True)",
    ] {
        let plain = [TARGETS.to_owned(), OTHERS.to_owned(), model("('a', models.IntegerField(null=True)),")];
        let plain: Vec<&str> = plain.iter().map(String::as_str).collect();
        cases.push(
            Case::new(&plain, &[&format!("migrations.AddField('§', 'f', {many})")])
                .then(&["migrations.RemoveField('§', 'f')"]),
        );
        let with = [TARGETS.to_owned(), OTHERS.to_owned(), model(&format!("('f', {many}),"))];
        let with: Vec<&str> = with.iter().map(String::as_str).collect();
        for operation in [
            "migrations.RenameField('§', 'f', 'g')",
            "migrations.RenameModel('§', 'New§')",
            "migrations.RenameModel('§To', '§NewTo')",
            "migrations.AlterModelTable('§', 'other_§')",
            "migrations.AlterField('§', 'f', models.ManyToManyField('§Other'))",
            "migrations.AlterField('§', 'f', models.ManyToManyField('§To', db_table='third_§'))",
            "migrations.AlterField('§', 'f', models.ManyToManyField('§To', blank=True, related_name='them'))",
            "migrations.DeleteModel('§')",
        ] {
            cases.push(Case::new(&with, &[operation]));
        }
    }
    cases.push(Case::new(
        &[
            TARGETS,
            &model("('a', models.IntegerField(null=True)),"),
            "migrations.CreateModel('§Through', [('id', models.AutoField(primary_key=True)), ('m', models.ForeignKey('§', models.CASCADE)), ('to', models.ForeignKey('§To', models.CASCADE))])",
        ],
        &["migrations.AddField('§', 'f', models.ManyToManyField('§To', through='§Through'))"],
    ).then(&["migrations.RenameModel('§Through', '§Passage')"]).then(&["migrations.RenameModel('§', 'New§')"]));
    // An empty text as the default of a foreign key to numbers is NULL.
    cases.push(Case::new(
        &[TARGETS, &model("('n', models.IntegerField(null=True)),")],
        &["migrations.AddField('§', 'f', models.ForeignKey(default='', null=True, on_delete=models.CASCADE, to='§To'))"],
    ));
    // A deferred index whose operator class no longer fits the column: the server refuses it.
    cases.push(Case::new(
        &[&model("('n', models.IntegerField(null=True)),")],
        &[
            "migrations.AddField('§', 'f', models.CharField(max_length=5, null=True, db_index=True))",
            "migrations.RemoveField('§', 'f')",
            "migrations.AddField('§', 'f', models.JSONField(null=True))",
        ],
    ));
    cases.push(Case::new(
        &[&model("('n', models.IntegerField(null=True)),")],
        &[
            "migrations.AddField('§', 'f', models.SlugField(null=True))",
            "migrations.AlterField('§', 'f', models.JSONField(null=True))",
        ],
    ));
    // Several operations in one migration: what is deferred follows.
    cases.push(Case::new(
        &[TARGETS],
        &[
            &model("('f', models.ForeignKey('§To', models.CASCADE)), ('c', models.CharField(max_length=5, db_index=True)), ('n', models.IntegerField())"),
            "migrations.RenameField('§', 'f', 'g')",
            "migrations.RenameField('§', 'c', 'd')",
            "migrations.AlterUniqueTogether('§', {('g', 'n')})",
            "migrations.AlterModelTable('§', 'renamed_§')",
        ],
    ));
    cases.push(Case::new(
        &[TARGETS],
        &[
            &model(
                "('f', models.ForeignKey('§To', models.CASCADE)), ('c', models.CharField(max_length=5, db_index=True))",
            ),
            "migrations.RemoveField('§', 'c')",
            "migrations.RemoveField('§', 'f')",
            "migrations.AddField('§', 'z', models.SlugField(default='x'))",
        ],
    ));
    cases.push(Case::new(
        &[TARGETS],
        &[
            &model(
                "('f', models.ForeignKey('§To', models.CASCADE)), ('c', models.CharField(max_length=5, db_index=True))",
            ),
            "migrations.AlterField('§', 'c', models.CharField(max_length=9, db_index=True))",
            "migrations.DeleteModel('§')",
        ],
    ));
    cases.push(Case::new(
        &[],
        &[
            "migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), ('a', models.IntegerField()), ('b', models.IntegerField())], options={'unique_together': {('a', 'b')}})",
            "migrations.AlterUniqueTogether('§', {('b', 'a')})",
        ],
    ).since(6, 1));
    // Fields that Django has made go before the others, the last of them first, wherever they are written.
    cases.push(Case::new(
        &[],
        &["migrations.CreateModel('§Late', [('a', models.IntegerField()), ('x', models.AutoField(auto_created=True, primary_key=True)), ('b', models.IntegerField())])"],
    ));
    cases.push(Case::new(
        &[
            "migrations.CreateModel('§One', [('one', models.AutoField(primary_key=True))])",
            "migrations.CreateModel('§Two', [('two', models.AutoField(primary_key=True))])",
        ],
        &[
            "migrations.CreateModel('§Both', [('c', models.IntegerField()), ('o', models.OneToOneField('§One', models.CASCADE, auto_created=True, parent_link=True, primary_key=True)), ('t', models.OneToOneField('§Two', models.CASCADE, auto_created=True, parent_link=True))], bases=('APP.§One', 'APP.§Two'))",
            "migrations.CreateModel('§Made', [('c', models.IntegerField())], bases=('APP.§One', 'APP.§Two'))",
        ],
    ));
    // Inheritance, proxies, unmanaged models.
    cases.push(Case::new(
        &[&model("('a', models.IntegerField(null=True)),")],
        &["migrations.CreateModel('§Child', [('m_ptr', models.OneToOneField('§', models.CASCADE, auto_created=True, parent_link=True, primary_key=True, serialize=False)), ('b', models.CharField(max_length=3))], bases=('APP.§',))"],
    ).then(&["migrations.CreateModel('§Proxy', [], options={'proxy': True}, bases=('APP.§',))", "migrations.CreateModel('§Ref', [('id', models.AutoField(primary_key=True)), ('p', models.ForeignKey('§Proxy', models.CASCADE)), ('c', models.ForeignKey('§Child', models.CASCADE))])"])
     .then(&["migrations.AlterField('§', 'id', models.BigAutoField(primary_key=True))"]));
    cases.push(Case::new(
        &[],
        &["migrations.CreateModel('§', [('id', models.AutoField(primary_key=True))], options={'managed': False, 'db_table': 'unmanaged_§'})", "migrations.AddField('§', 'x', models.IntegerField())", "migrations.DeleteModel('§')"],
    ));
    cases.push(Case::new(&[], &["migrations.CreateModel('§', [('name', models.CharField(max_length=5))])"]));
    cases.push(Case::new(
        &[],
        &["migrations.CreateModel('§', [('pk', models.CompositePrimaryKey('a', 'b')), ('a', models.IntegerField()), ('b', models.IntegerField())])"],
    ).since(5, 2));
    cases.push(Case::new(&[TARGETS], &[&model("('f', models.ForeignKey('§To', models.DB_CASCADE)),")]).since(6, 1)
        .then(&["migrations.AlterField('§', 'f', models.ForeignKey('§To', models.DB_SET_NULL, null=True))"])
        .then(&["migrations.AddField('§', 'g', models.ForeignKey('§To', models.DB_CASCADE, null=True, related_name='+'))"]));
}

fn renames(cases: &mut Vec<Case>) {
    let setup = [
        TARGETS.to_owned(),
        "migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), ('a', models.CharField(max_length=5, db_index=True)), ('n', models.PositiveIntegerField()), ('p', models.ForeignKey('self', models.CASCADE, null=True)), ('t', models.ForeignKey('§To', models.CASCADE))], options={'unique_together': {('a', 'n')}})".to_owned(),
        "migrations.CreateModel('§Ref', [('id', models.AutoField(primary_key=True)), ('m', models.ForeignKey('§', models.CASCADE)), ('h', models.ForeignKey('§', models.CASCADE, related_name='+')), ('o', models.OneToOneField('§', models.CASCADE, related_name='one'))])".to_owned(),
    ];
    let setup: Vec<&str> = setup.iter().map(String::as_str).collect();
    for operation in [
        "migrations.RenameModel('§', 'New§')",
        "migrations.RenameModel('§To', '§NewTo')",
        "migrations.RenameModel('§Ref', '§NewRef')",
        "migrations.AlterModelTable('§', 'other_§')",
        "migrations.AlterModelTable('§', None)",
        "migrations.RenameField('§', 'a', 'b')",
        "migrations.RenameField('§', 'n', 'm')",
        "migrations.RenameField('§', 'p', 'q')",
        "migrations.RenameField('§', 'id', 'key')",
        "migrations.DeleteModel('§Ref')",
        "migrations.AlterField('§', 'a', models.CharField(max_length=5, db_index=True, db_column='a2'))",
    ] {
        cases.push(Case::new(&setup, &[operation]));
    }
    cases.push(
        Case::new(&setup, &["migrations.RenameModel('§', 'New§')"])
            .then(&["migrations.RenameField('New§', 'a', 'b')", "migrations.AlterUniqueTogether('New§', set())"])
            .then(&[
                "migrations.RenameModel('New§', 'Old§')",
                "migrations.AddField('Old§', 'z', models.SlugField(default=''))",
            ]),
    );
    let fixed = "migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), ('many', models.ManyToManyField('§To'))], options={'db_table': 'fixed_§'})";
    cases.push(Case::new(
        &[TARGETS, fixed, "migrations.CreateModel('§Ref', [('id', models.AutoField(primary_key=True)), ('m', models.ForeignKey('§', models.CASCADE))])"],
        &["migrations.RenameModel('§', 'New§')"],
    ));
}

fn indexes(cases: &mut Vec<Case>) {
    let fields = "('a', models.IntegerField(null=True)), ('b', models.CharField(max_length=9, default='')), ('c', models.DateTimeField(null=True)), ('k', models.ForeignKey('self', models.CASCADE, null=True)), ('j', models.JSONField(default=dict)), ('ok', models.BooleanField(default=True)), ('s', postgres.ArrayField(models.TextField(), default=list)), ('d', models.DecimalField(max_digits=5, decimal_places=2, null=True))";
    for index in [
        "models.Index(fields=['a'], name='x_§')",
        "models.Index(fields=['-a', 'b'], name='x_§')",
        "models.Index(fields=['k', '-c'], name='x_§')",
        "models.Index(fields=['a'], name='x_§', include=['b', 'k'])",
        "models.Index(fields=['b'], name='x_§', opclasses=['varchar_pattern_ops'])",
        "models.Index(fields=['a'], name='x_§', condition=models.Q(ok=True))",
        "models.Index(fields=['a'], name='x_§', condition=models.Q(a__gt=5, b='x'))",
        "models.Index(fields=['a'], name='x_§', condition=~models.Q(b=''))",
        "models.Index(fields=['a'], name='x_§', condition=models.Q(c__isnull=True) | models.Q(a__in=[1, 2]))",
        "models.Index(functions.Lower('b'), name='x_§')",
        "models.Index(functions.Lower('b').desc(), 'a', name='x_§')",
        "models.Index(models.F('a').desc(nulls_last=True), name='x_§')",
        "models.Index('a', functions.Upper('b'), name='x_§', condition=models.Q(a__isnull=False))",
        "models.Index(models.F('a') + 1, name='x_§')",
        "models.Index(models.F('a') * models.F('d'), name='x_§')",
        "models.Index(functions.Coalesce('a', models.Value(0)), name='x_§')",
        "models.Index(functions.Length('b'), name='x_§')",
        "models.Index(models.OrderBy(models.F('a'), descending=True, nulls_first=True), name='x_§')",
        "models.Index(functions.Cast('a', models.TextField()), name='x_§')",
        "pgindexes.GinIndex(fields=['j'], name='x_§')",
        "pgindexes.GinIndex(fields=['j'], name='x_§', opclasses=['jsonb_path_ops'], fastupdate=False)",
        "pgindexes.GinIndex(fields=['s'], name='x_§', gin_pending_list_limit=100)",
        "pgindexes.BrinIndex(fields=['c'], name='x_§', pages_per_range=4, autosummarize=True)",
        "pgindexes.BTreeIndex(fields=['a'], name='x_§', fillfactor=70)",
        "pgindexes.HashIndex(fields=['b'], name='x_§')",
        "pgindexes.HashIndex(fields=['b'], name='x_§', fillfactor=70, condition=models.Q(a__lt=0))",
        "pgindexes.SpGistIndex(fields=['b'], name='x_§')",
        "pgindexes.BTreeIndex(pgindexes.OpClass(functions.Lower('b'), name='varchar_pattern_ops'), name='x_§')",
    ] {
        cases.push(
            operation(fields, &format!("migrations.AddIndex('§', {index})"))
                .then(&["migrations.RemoveIndex('§', 'x_§')"]),
        );
        cases.push(Case::new(
            &[],
            &[&format!("migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), {fields}], options={{'indexes': [{index}]}})")],
        ));
    }
    cases.push(
        operation(fields, "AddIndexConcurrently('§', models.Index(fields=['a'], name='x_§'))")
            .then(&["RemoveIndexConcurrently('§', 'x_§')"])
            .concurrent(),
    );
    cases.push(
        operation(fields, "AddIndexConcurrently('§', pgindexes.GinIndex(fields=['j'], name='x_§'))").concurrent(),
    );
    cases.push(
        operation(fields, "migrations.AddIndex('§', models.Index(fields=['a'], name='x_§'))")
            .then(&["migrations.RenameIndex('§', new_name='y_§', old_name='x_§')"])
            .since(4, 2),
    );
    cases.push(
        operation(fields, "migrations.AlterIndexTogether('§', {('a', 'b')})")
            .then(&["migrations.RenameIndex('§', new_name='y_§', old_fields=('a', 'b'))"])
            .since(4, 2)
            .before(5, 0),
    );
    cases.push(
        operation(fields, "migrations.AlterIndexTogether('§', {('a', 'b')})")
            .then(&["migrations.AlterIndexTogether('§', {('b', 'c')})"])
            .then(&["migrations.AlterIndexTogether('§', set())"]),
    );
    cases.push(
        operation(fields, "migrations.AlterUniqueTogether('§', {('a', 'b')})")
            .then(&["migrations.AlterUniqueTogether('§', {('a', 'b'), ('k', 'c')})"])
            .then(&["migrations.AlterUniqueTogether('§', set())"]),
    );
    cases.push(Case::new(&[], &[&format!("migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), {fields}], options={{'index_together': {{('a', 'k')}}, 'unique_together': {{('a', 'b')}}}})")]).before(5, 0));
    cases.push(Case::new(&[], &[&format!("migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), {fields}], options={{'index_together': {{('a', 'k')}}}})")]).then(&["migrations.RenameIndex('§', new_name='y_§', old_fields=('a', 'k'))"]).since(5, 1));
    cases.push(
        operation(fields, "migrations.AddIndex('§', models.Index(fields=['a'], name='x_§'))")
            .then(&["migrations.AlterField('§', 'a', models.IntegerField(null=True, db_index=True))"])
            .then(&["migrations.AlterField('§', 'a', models.IntegerField(null=True))"]),
    );
    cases.push(
        operation(fields, "migrations.RunSQL('CREATE INDEX own_§ ON APP_¶ (a)')")
            .then(&["migrations.AlterField('§', 'a', models.IntegerField(null=True, db_index=True))"])
            .then(&["migrations.AlterField('§', 'a', models.IntegerField(null=True))"]),
    );
}

/// Everything that conditions, expressions of indexes, defaults and generated columns are made of.
fn expressions(cases: &mut Vec<Case>) {
    let fields = "('c', models.CharField(max_length=20, null=True)), ('x', models.TextField(null=True)), ('n', models.IntegerField(null=True)), ('b', models.BooleanField(default=True)), ('d', models.DateField(null=True)), ('t', models.DateTimeField(null=True)), ('dur', models.DurationField(null=True)), ('dec', models.DecimalField(max_digits=8, decimal_places=2, null=True)), ('j', models.JSONField(null=True)), ('a', postgres.ArrayField(models.IntegerField(), null=True)), ('y', models.BinaryField(null=True)), ('u', models.UUIDField(null=True)), ('fl', models.FloatField(null=True)), ('tm', models.TimeField(null=True))";
    let everywhere = (3, 2);
    for (since, condition) in [
        (everywhere, "models.Q(y=b'ab')"),
        (everywhere, r"models.Q(y__in=[b'', b'a\\b%\x00\xe9\'~'])"),
        (everywhere, "models.Q(u=uuid.UUID('12345678-1234-5678-1234-567812345678'))"),
        (everywhere, "models.Q(dur__gt=datetime.timedelta(days=1, seconds=5, microseconds=7))"),
        (everywhere, "models.Q(dec__lt=decimal.Decimal('-1.50'))"),
        (everywhere, "models.Q(fl__lt=-1e20) | models.Q(fl=0.1)"),
        (everywhere, "models.Q(t__lt=datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc))"),
        (everywhere, "models.Q(tm__gte=datetime.time(1, 2, 3, 4))"),
        (everywhere, r"models.Q(c='it\'s \\ % \u00e9')"),
        (everywhere, r"models.Q(c__in=['\\', '%', '_'])"),
        (everywhere, r"models.Q(x__startswith='50%_\\\'')"),
        (everywhere, r"models.Q(j={'a': '\u00e9\\%'})"),
        ((4, 2), "models.Q(n=1) ^ models.Q(b=True)"),
        ((4, 2), "models.Q(n=1) ^ models.Q(b=True) ^ models.Q(c='x')"),
        ((4, 2), "~(models.Q(n=1) ^ models.Q(b=True))"),
        ((4, 2), "models.Q(('n', 1), ('b', True), _connector='XOR')"),
        ((4, 2), "(models.Q(n=1) ^ models.Q(b=True)) | models.Q(x='y')"),
        ((4, 2), "(models.Q(n=1) & models.Q(b=True)) ^ models.Q(x='y')"),
        (everywhere, "models.Q(j__a='x')"),
        (everywhere, "~models.Q(j__a='x')"),
        (everywhere, "models.Q(j__a=1)"),
        (everywhere, "models.Q(j__0='x')"),
        ((4, 2), "models.Q(j__a__b__gt=1)"),
        (everywhere, "models.Q(j__has_key='a')"),
        (everywhere, "models.Q(j__a__has_key='b')"),
        ((4, 2), "models.Q(j__has_keys=['a', 'b'])"),
        ((4, 2), "models.Q(j__has_any_keys=['a', 'b'])"),
        (everywhere, "models.Q(j__contains={'a': 1})"),
        (everywhere, "models.Q(j__contained_by={'a': 1})"),
        (everywhere, "models.Q(j={'a': 1})"),
        (everywhere, "models.Q(j__a__isnull=True)"),
        (everywhere, "models.Q(j__a__isnull=False)"),
        (everywhere, "models.Q(j__a__icontains='x')"),
        (everywhere, "models.Q(j__a__startswith='x')"),
        (everywhere, "models.Q(j__a__in=['x', 1])"),
        (everywhere, "models.Q(a__len__gt=1)"),
        (everywhere, "models.Q(a__0=1)"),
        (everywhere, "models.Q(d__month=2)"),
        (everywhere, "models.Q(d__day__gte=2)"),
        (everywhere, "models.Q(d__week_day=2)"),
        (everywhere, "models.Q(d__year=2020)"),
        (everywhere, "~models.Q(d__year__gte=2020)"),
        (everywhere, "models.Q(d__year__lt=2020) | models.Q(d__year__gt=2021)"),
        (everywhere, "models.Q(t__year__lte=2020)"),
        (everywhere, "models.Q(a__contains=[1, 2])"),
        (everywhere, "models.Q(a__overlap=[3])"),
        (everywhere, "models.Q(a__contained_by=[3, 4])"),
        (everywhere, "models.Q(n__gt=-3000000000)|models.Q(n=5)|models.Q(n__lt=9)"),
        (everywhere, "models.Q(n=3000000000)|models.Q(c='x')"),
        (everywhere, "models.Q(n__lt=3000000000)&models.Q(c='x')"),
        (everywhere, "models.Q(n__in=[])|models.Q(c='x')"),
        (everywhere, "models.Q(d__quarter=1)"),
        (everywhere, "models.Q(t__month=2)"),
        (everywhere, "models.Q(t__date=datetime.date(2020, 1, 2))"),
        (everywhere, "models.Q(d__lt=models.F('d') + models.F('dur'))"),
        (everywhere, "models.Q(t__gt=models.F('t') - datetime.timedelta(days=2))"),
        (everywhere, "models.Q(n__lt=models.F('n') + models.F('dec') * 2)"),
        (everywhere, "models.Q(n=models.F('n') % 2)"),
        (everywhere, "models.Q(n__gt=-models.F('n'))"),
        (everywhere, "models.Q(n=models.F('n').bitand(3))"),
        (everywhere, "models.Q(n__gt=models.F('n') ** 2)"),
        (everywhere, "models.Q(c=functions.Lower('c'))"),
        (everywhere, "models.Q(c=functions.Left('c', 3))"),
        (everywhere, "models.Q(c=functions.Substr('c', 1, 3))"),
        (everywhere, "models.Q(c=functions.Replace('c', models.Value('a'), models.Value('b')))"),
        (everywhere, "models.Q(c=functions.Replace('c', models.Value('a')))"),
        (everywhere, "models.Q(c=functions.LPad('c', 5, models.Value('0')))"),
        (everywhere, "models.Q(c=functions.RPad('c', 5))"),
        (everywhere, "models.Q(c=functions.Concat('c', models.Value('-'), models.Value('z')))"),
        (everywhere, "models.Q(c=functions.Concat('c', 'c', 'c'))"),
        (everywhere, "models.Q(n=functions.Length('c'))"),
        (everywhere, "models.Q(n=functions.StrIndex('c', models.Value('a')))"),
        (everywhere, "models.Q(n__gt=functions.Ceil('dec'))"),
        (everywhere, "models.Q(n__gt=functions.Round('dec'))"),
        ((4, 2), "models.Q(n__gt=functions.Round('dec', 2))"),
        ((4, 2), "models.Q(n__gt=functions.Round('dec', precision=2))"),
        (everywhere, "models.Q(n__gt=functions.Power('n', 2))"),
        (everywhere, "models.Q(n__gt=functions.Mod('n', 2))"),
        (everywhere, "models.Q(n=functions.ExtractYear('d'))"),
        (everywhere, "models.Q(n=functions.ExtractMonth('t'))"),
        (everywhere, "models.Q(d=functions.TruncMonth('d'))"),
        (everywhere, "models.Q(d=functions.TruncDate('t'))"),
        (
            everywhere,
            "models.Q(n=models.Case(models.When(n__gt=1, then=models.Value(5)), models.When(models.Q(c='x') & models.Q(b=True), then=models.F('n')), default=models.Value(0)))",
        ),
        (everywhere, "models.Q(n=models.Case(models.When(b=True, then='n')))"),
        (everywhere, "models.Q(n=models.Func('n', function='abs'))"),
        (
            everywhere,
            "models.Q(n=models.Func('n', models.Value(2), function='power', output_field=models.IntegerField()))",
        ),
        (
            everywhere,
            "models.Q(x=models.Func('c', 'x', function='', arg_joiner=' || ', output_field=models.TextField()))",
        ),
        (everywhere, "models.Q(n=models.Func('n', template='(%(expressions)s + 1)'))"),
        (everywhere, "models.Q(n=Half('n'))"),
        ((5, 2), "models.Q(c__contains=models.F('x'))"),
        ((5, 2), "models.Q(c__startswith=models.F('x'))"),
    ] {
        for (keyword, from, before) in [("check", since, (5, 2)), ("condition", since.max((5, 2)), (99, 0))] {
            if from >= before {
                continue;
            }
            let operation_text =
                format!("migrations.AddConstraint('§', models.CheckConstraint({keyword}={condition}, name='x_§'))");
            cases.push(operation(fields, &operation_text).since(from.0, from.1).before(before.0, before.1));
        }
    }
    let mut calls: Vec<(String, &str)> = Vec::new();
    for class in [
        "ACos", "ASin", "ATan", "Abs", "Ceil", "Chr", "Cos", "Cot", "Degrees", "Exp", "Floor", "Ln", "Radians", "Sign",
        "Sin", "Sqrt", "Tan",
    ] {
        calls.push((format!("functions.{class}('n')"), ""));
    }
    for class in ["ATan2", "Log", "Mod", "Power", "Greatest", "Least", "NullIf"] {
        calls.push((format!("functions.{class}('n', models.Value(3))"), ""));
    }
    for class in ["Lower", "Upper", "Trim", "LTrim", "RTrim", "Reverse", "MD5", "Ord", "Length"] {
        calls.push((format!("functions.{class}('c')"), ""));
    }
    for class in ["SHA1", "SHA224", "SHA256", "SHA384", "SHA512"] {
        calls.push((format!("functions.{class}('c')"), "CryptoExtension()"));
    }
    for class in ["Left", "Right", "Repeat"] {
        calls.push((format!("functions.{class}('c', 2)"), ""));
    }
    for part in ["Year", "IsoYear", "Quarter", "Month", "Week", "Day", "WeekDay", "IsoWeekDay", "Hour", "Minute"] {
        calls.push((format!("functions.Extract{part}('t')"), ""));
    }
    for part in ["Year", "Quarter", "Month", "Week", "Day", "Hour", "Minute", "Second", "Date"] {
        calls.push((format!("functions.Trunc{part}('t')"), ""));
    }
    calls.push(("functions.Collate('c', 'C')".to_owned(), ""));
    calls.push(("functions.Pi()".to_owned(), ""));
    calls.push(("functions.Random()".to_owned(), ""));
    calls.push(("functions.Now()".to_owned(), ""));
    for (call, extension) in &calls {
        // In a comparison with a field of about that type.
        let (left, cast) = if call.contains("Trunc") || call.contains("Now") {
            ("t", call.clone())
        } else if call.contains("('c'") && !call.contains("Ord") && !call.contains("Length") || call.contains("Chr") {
            ("x", call.clone())
        } else {
            ("n", call.clone())
        };
        for (keyword, from, before) in [("check", everywhere, (5, 2)), ("condition", (5, 2), (99, 0))] {
            let mut case = operation(
                fields,
                &format!(
                    "migrations.AddConstraint('§', models.CheckConstraint({keyword}=models.Q({left}={cast}), name='x_§'))"
                ),
            );
            if !extension.is_empty() {
                case.setup.insert(0, (*extension).to_owned());
            }
            cases.push(case.since(from.0, from.1).before(before.0, before.1));
        }
    }
    for index in [
        "functions.Left('c', 3)",
        "functions.Substr('c', 1, 3).desc()",
        "functions.Concat('c', 'c')",
        "models.F('n') + models.F('dec')",
        "models.Case(models.When(b=True, then='n'), default=models.Value(None))",
        "functions.ExtractYear('d')",
        "functions.TruncMonth('d')",
        "models.F('j__a')",
        "models.Func('c', function='reverse')",
        "Half('n')",
        "functions.Cast('j__a', models.TextField())",
        "functions.MD5('x')",
        "functions.Coalesce('x', models.Value(''))",
    ] {
        let text = format!("migrations.AddIndex('§', models.Index({index}, name='x_§'))");
        cases.push(operation(fields, &text).since(4, 2));
        let text = format!("migrations.AddConstraint('§', models.UniqueConstraint({index}, name='x_§'))");
        cases.push(operation(fields, &text).since(4, 2));
    }
    for field in [
        "models.IntegerField(db_default=models.Func(models.Value(-5), function='abs'))",
        "models.UUIDField(db_default=RandomId())",
        "models.UUIDField(db_default=RandomUUID())",
        "models.DateTimeField(db_default=functions.Now() + datetime.timedelta(days=1))",
        "models.IntegerField(db_default=RawSQL('1 + 1', []))",
        "models.IntegerField(db_default=RawSQL('%s + 1', (4,)))",
        "models.CharField(max_length=9, db_default=functions.Concat(models.Value('a'), models.Value('b')))",
        "models.IntegerField(db_default=models.Value(2) * 3)",
        "models.IntegerField(db_default=models.Case(models.When(models.Q(models.Value(True)), then=models.Value(1)), default=models.Value(2)))",
        "models.GeneratedField(expression=models.Case(models.When(n__gt=1, then=models.Value('a')), default=models.Value('b')), output_field=models.CharField(max_length=3), db_persist=True)",
        "models.GeneratedField(expression=functions.Concat('c', models.Value('-'), 'x', output_field=models.TextField()), output_field=models.TextField(), db_persist=True)",
        "models.GeneratedField(expression=models.F('j__a'), output_field=models.JSONField(), db_persist=True)",
        "models.GeneratedField(expression=Half('n'), output_field=models.IntegerField(), db_persist=True)",
        "models.GeneratedField(expression=models.Q(n__gt=1) | models.Q(b=True), output_field=models.BooleanField(), db_persist=True)",
        "models.GeneratedField(expression=functions.JSONObject(name=functions.Lower('c'), n='n', v=models.Value(1)), output_field=models.JSONField(), db_persist=True)",
        "models.GeneratedField(expression=functions.JSONArray('n', models.Value(True), models.Value(3), functions.Cast('c', models.TextField())), output_field=models.JSONField(), db_persist=True)",
        "models.GeneratedField(expression=functions.Round('dec', 1), output_field=models.DecimalField(max_digits=9, decimal_places=1), db_persist=True)",
    ] {
        cases.push(operation(fields, &format!("migrations.AddField('§', 'f', {field})")).since(5, 2));
    }
}

fn constraints(cases: &mut Vec<Case>) {
    let fields = "('a', models.IntegerField(null=True)), ('b', models.CharField(max_length=9, default='')), ('c', models.DateTimeField(null=True)), ('k', models.ForeignKey('self', models.CASCADE, null=True)), ('ok', models.BooleanField(default=True)), ('n', models.IntegerField()), ('f', models.FloatField(default=0)), ('d', models.DecimalField(max_digits=5, decimal_places=2, default=0)), ('r', postgres.DateTimeRangeField(null=True)), ('t', models.TextField(null=True))";
    for condition in [
        "models.Q(a__gt=0)",
        "models.Q(a__gte=0, n__lt=10)",
        "models.Q(a__gte=0) & models.Q(n__lt=10)",
        "models.Q(a__gte=0) | models.Q(n__lt=10)",
        "(models.Q(a__gte=0) | models.Q(n__lt=10)) & models.Q(ok=True)",
        "models.Q(a=1) & (models.Q(a__gte=0) | models.Q(n__lt=10)) & models.Q(ok=False)",
        "~models.Q(a=1)",
        "~models.Q(n=1)",
        "~(models.Q(a=1) | models.Q(n=2))",
        "~(models.Q(a=1) & models.Q(n=2))",
        "~~models.Q(a=1)",
        "models.Q(a=1) | ~models.Q(n=2)",
        "models.Q(('a__gt', 0), ('n__lt', 5), _connector='OR')",
        "models.Q(models.Q(('a', 1), ('n', 2)), models.Q(('a', 3)), _connector='OR')",
        "models.Q(models.Q(('a', 1), _negated=True), ('n', 5))",
        "models.Q(models.Q(('a', 1), ('n', 2), _connector='OR'), ('ok', True))",
        "models.Q(a__isnull=True)",
        "models.Q(a__isnull=False, c__isnull=True)",
        "~models.Q(a__isnull=True)",
        "~models.Q(a__isnull=False)",
        "models.Q(a=None)",
        "~models.Q(a=None)",
        "models.Q(b__in=['x', 'y', 'x'])",
        "models.Q(n__in=(1, 2, 3))",
        "models.Q(n__range=(1, 5))",
        "models.Q(b='it\\'s')",
        "models.Q(b__startswith='a_b')",
        "models.Q(b__contains='x')",
        "models.Q(t__icontains='x')",
        "models.Q(b__endswith='%')",
        "models.Q(b__iexact='x')",
        "models.Q(b__regex='^a+$')",
        "models.Q(b__iregex='[a-z]')",
        "models.Q(n__gt=models.F('a'))",
        "models.Q(n__gt=models.F('a') + 1)",
        "models.Q(n=models.F('a'))",
        "~models.Q(n__gt=models.F('a'))",
        "models.Q(n__gt=models.Value(3))",
        "models.Q(d__gte=0)",
        "models.Q(d__gte=decimal.Decimal('0.50'))",
        "models.Q(f__lte=1)",
        "models.Q(f__lt=0.5)",
        "models.Q(c__gt=datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc))",
        "models.Q(k__isnull=True)",
        "models.Q(k=5)",
        "models.Q(k_id__gt=5)",
        "models.Q(ok=True)",
        "models.Q(ok=False)",
        "models.Q(ok=True, a=1) | models.Q(ok=False)",
        "models.Q(b__length__gt=2)",
        "models.Q(n__gte=-1)",
        "models.Q(('n__lt', 10.5))",
        "models.Q(pk__gt=0)",
    ] {
        if condition.contains("b__length") {
            continue;
        }
        let keyword = |name: &str| {
            format!("migrations.AddConstraint('§', models.CheckConstraint({name}={condition}, name='x_§'))")
        };
        cases
            .push(operation(fields, &keyword("check")).then(&["migrations.RemoveConstraint('§', 'x_§')"]).before(5, 2));
        cases.push(
            operation(fields, &keyword("condition")).then(&["migrations.RemoveConstraint('§', 'x_§')"]).since(5, 2),
        );
    }
    // The server reads a condition again when a column in it gets another type.
    for condition in [
        "models.Q(a__range=(1, 5)) & models.Q(a__isnull=False)",
        "models.Q(a__isnull=False) & models.Q(a__range=(1, 5))",
        "~models.Q(a__range=(1, 5)) | models.Q(a__isnull=True)",
        "(models.Q(a__range=(1, 5)) & models.Q(ok=True)) | models.Q(a=7)",
    ] {
        let add = |keyword: &str| {
            let add =
                format!("migrations.AddConstraint('§', models.CheckConstraint({keyword}={condition}, name='x_§'))");
            operation(fields, &add).then(&[
                "migrations.AlterField('§', 'a', models.DecimalField(max_digits=9, decimal_places=2, null=True))",
            ])
        };
        cases.push(add("check").before(5, 2));
        cases.push(add("condition").since(5, 2));
    }
    for constraint in [
        "models.UniqueConstraint(fields=['a'], name='x_§')",
        "models.UniqueConstraint(fields=['a', 'k'], name='x_§')",
        "models.UniqueConstraint(fields=['a'], name='x_§', condition=models.Q(ok=True))",
        "models.UniqueConstraint(fields=['a'], name='x_§', condition=models.Q(('c__isnull', True), ('b', '%')))",
        "models.UniqueConstraint(fields=['a'], name='x_§', deferrable=models.Deferrable.DEFERRED)",
        "models.UniqueConstraint(fields=['a'], name='x_§', deferrable=models.Deferrable.IMMEDIATE)",
        "models.UniqueConstraint(fields=['a'], name='x_§', include=['b'])",
        "models.UniqueConstraint(fields=['b'], name='x_§', opclasses=['varchar_pattern_ops'])",
        "exclusion.ExclusionConstraint(name='x_§', expressions=[('r', RangeOperators.OVERLAPS)])",
        "exclusion.ExclusionConstraint(name='x_§', expressions=[('r', '&&')], condition=models.Q(ok=True))",
        "exclusion.ExclusionConstraint(name='x_§', expressions=[(models.F('r'), RangeOperators.OVERLAPS)], index_type='SPGIST')",
        "exclusion.ExclusionConstraint(name='x_§', expressions=[('r', '&&')], deferrable=models.Deferrable.DEFERRED)",
    ] {
        cases.push(
            operation(fields, &format!("migrations.AddConstraint('§', {constraint})"))
                .then(&["migrations.RemoveConstraint('§', 'x_§')"]),
        );
        cases.push(Case::new(&[], &[&format!("migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), {fields}], options={{'constraints': [{constraint}]}})")]));
    }
    for constraint in [
        "models.UniqueConstraint(functions.Lower('b'), 'a', name='x_§')",
        "models.UniqueConstraint(functions.Lower('b').desc(), name='x_§', condition=models.Q(a__gt=1))",
    ] {
        cases.push(
            operation(fields, &format!("migrations.AddConstraint('§', {constraint})"))
                .then(&["migrations.RemoveConstraint('§', 'x_§')"])
                .since(4, 2),
        );
    }
    for constraint in [
        "models.UniqueConstraint(fields=['a'], name='x_§', nulls_distinct=False)",
        "models.UniqueConstraint(fields=['a'], name='x_§', nulls_distinct=True, condition=models.Q(ok=True))",
    ] {
        cases.push(
            operation(fields, &format!("migrations.AddConstraint('§', {constraint})"))
                .then(&["migrations.RemoveConstraint('§', 'x_§')"])
                .since(5, 2),
        );
        cases.push(Case::new(&[], &[&format!("migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), {fields}], options={{'constraints': [{constraint}]}})")]).since(5, 2));
    }
    cases.push(Case::new(&[], &[&format!("migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), {fields}, ('z', models.IntegerField(db_default=5))], options={{'constraints': [models.CheckConstraint(condition=models.Q(a__gt=0), name='x_§'), models.UniqueConstraint(fields=['n'], name='y_§')]}})")]).since(5, 2));
    cases.push(
        operation(fields, "AddConstraintNotValid('§', models.CheckConstraint(check=models.Q(a__gt=0), name='x_§'))")
            .then(&["ValidateConstraint('§', 'x_§')"])
            .since(4, 2)
            .before(5, 2),
    );
    cases.push(
        operation(
            fields,
            "AddConstraintNotValid('§', models.CheckConstraint(condition=models.Q(a__gt=0), name='x_§'))",
        )
        .then(&["ValidateConstraint('§', 'x_§')"])
        .since(5, 2),
    );
    cases.push(operation(fields, "migrations.AddConstraint('§', models.CheckConstraint(condition=models.Q(a__gt=0), name='x_§'))").then(&["migrations.AlterConstraint('§', 'x_§', models.CheckConstraint(condition=models.Q(a__gt=0), name='x_§', violation_error_message='no'))"]).since(5, 2));
}

fn options(cases: &mut Vec<Case>) {
    cases.push(
        Case::new(
            &[TARGETS, &model("('t', models.ForeignKey('§To', models.CASCADE)),")],
            &["migrations.AlterOrderWithRespectTo('§', 't')"],
        )
        .then(&["migrations.AlterOrderWithRespectTo('§', None)"]),
    );
    cases.push(Case::new(&[TARGETS], &["migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), ('t', models.ForeignKey('§To', models.CASCADE))], options={'order_with_respect_to': 't'})"]));
    cases.push(
        operation("('a', models.IntegerField(null=True)),", "migrations.AlterModelTableComment('§', 'it\\'s')")
            .then(&["migrations.AlterModelTableComment('§', None)"])
            .since(4, 2),
    );
    cases.push(Case::new(&[], &["migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), ('a', models.IntegerField(db_comment='column'))], options={'db_table_comment': 'table'})"]).since(4, 2));
    // A percent sign, where parameters could be taken for placeholders.
    cases.push(
        Case::new(&[], &["migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), ('a', models.IntegerField(db_comment='50% of %s'))], options={'db_table_comment': '100%'})"])
            .then(&["migrations.AlterModelTableComment('§', 'all: 5%% (%d)')"])
            .then(&["migrations.AlterField('§', 'a', models.IntegerField(db_comment='7% %(b)s'))"])
            .then(&["migrations.AddField('§', 'b', models.IntegerField(null=True, db_comment='8%'))"])
            .since(4, 2),
    );
    for condition in ["models.Q(a__contains='50%')", "models.Q(a='%s')", "models.Q(a__in=['%', '%%'])"] {
        let (check, name) = (condition, "c_§");
        cases.push(
            operation(
                "('a', models.CharField(max_length=9)),",
                &format!("migrations.AddConstraint('§', models.CheckConstraint(check={check}, name='{name}'))"),
            )
            .before(6, 0),
        );
        cases.push(operation(
            "('a', models.CharField(max_length=9)),",
            &format!("migrations.AddIndex('§', models.Index(fields=['a'], condition={check}, name='{name}'))"),
        ));
        cases.push(
            operation(
                "('a', models.CharField(max_length=9)),",
                &format!("migrations.AddConstraint('§', models.CheckConstraint(condition={check}, name='{name}'))"),
            )
            .since(5, 1),
        );
    }
    // A one-to-one field to a parent that is not the link to it.
    cases.push(
        Case::new(
            &[],
            &[
                "migrations.CreateModel('§', [('id', models.AutoField(primary_key=True))])",
                "migrations.CreateModel('§Child', [('x', models.IntegerField())], bases=('APP.§',))",
            ],
        )
        .then(&["migrations.AddField('§Child', 'twin', models.OneToOneField('APP.§', models.CASCADE, null=True, related_name='+'))"])
        .then(&["migrations.RenameField('§Child', 'twin', 'other')"]),
    );
    // Several keys without a way back to them.
    for (key, new) in [
        ("AutoField", "BigAutoField"),
        ("IntegerField", "BigIntegerField"),
        ("IntegerField", "CharField(max_length=9, "),
    ] {
        let open = if new.contains('(') { new.to_owned() } else { format!("{new}(") };
        cases.push(
            Case::new(
                &[],
                &[
                    &format!("migrations.CreateModel('§', [('id', models.{key}(primary_key=True))])"),
                    "migrations.CreateModel('§B', [('id', models.AutoField(primary_key=True)), ('z', models.ForeignKey('§', models.CASCADE, related_name='+')), ('a', models.ForeignKey('§', models.CASCADE, related_name='+')), ('m', models.ForeignKey('§', models.CASCADE, related_name='+', null=True))])",
                    "migrations.CreateModel('§A', [('id', models.AutoField(primary_key=True)), ('q', models.OneToOneField('§', models.CASCADE, related_name='+')), ('b', models.ForeignKey('§', models.CASCADE, related_name='+')), ('many', models.ManyToManyField('§', related_name='+')), ('s', models.ForeignKey('self', models.CASCADE, related_name='+', null=True))])",
                ],
            )
            .then(&[&format!("migrations.AlterField('§', 'id', models.{open}primary_key=True))")])
            .then(&["migrations.RenameModel('§', '§New')"])
            .then(&["migrations.RenameModel('§A', '§Anew')"]),
        );
    }
    cases.push(operation(
        "('a', models.IntegerField(null=True)),",
        "migrations.AlterModelOptions('§', {'verbose_name': 'x', 'ordering': ['a']})",
    ));
    cases.push(operation("('a', models.IntegerField(null=True)),", "migrations.AlterModelManagers('§', [])"));
    cases.push(Case::new(&[], &["migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), ('a', models.CharField(max_length=5, unique=True))], options={'db_table': 'with_schema_§'})"]));
    let long = "a_table_name_that_is_far_too_long_for_any_server_to_keep_it_§";
    cases.push(Case::new(&[TARGETS], &[&format!("migrations.CreateModel('§', [('id', models.AutoField(primary_key=True)), ('a_column_name_that_is_long_enough_to_be_cut', models.CharField(max_length=5, unique=True)), ('b', models.ForeignKey('§To', models.CASCADE)), ('m', models.ManyToManyField('§To', related_name='+'))], options={{'db_table': '{long}', 'unique_together': {{('b', 'a_column_name_that_is_long_enough_to_be_cut')}}}})")]));
    cases.push(Case::new(&[TARGETS], &["migrations.CreateModel('AModelWithANameThatIsMuchTooLongToBeATableNameInAnyDatabase§', [('id', models.AutoField(primary_key=True)), ('many', models.ManyToManyField('§To')), ('c', models.CharField(max_length=5, db_index=True))])"]));
}

fn database(cases: &mut Vec<Case>) {
    for extension in [
        "BtreeGinExtension()",
        "BtreeGistExtension()",
        "CITextExtension()",
        "CryptoExtension()",
        "HStoreExtension()",
        "TrigramExtension()",
        "UnaccentExtension()",
        "CreateExtension('tablefunc')",
    ] {
        cases.push(Case::new(&[], &[extension]));
    }
    let ranges = "('r', postgres.IntegerRangeField(null=True)), ('n', models.IntegerField(null=True))";
    for index in [
        "pgindexes.GistIndex(fields=['r'], name='x_§')",
        "pgindexes.GistIndex(fields=['r'], name='x_§', buffering=True, fillfactor=80)",
    ] {
        cases.push(operation(ranges, &format!("migrations.AddIndex('§', {index})")));
    }
    let mut bloom = operation(
        ranges,
        "migrations.AddIndex('§', pgindexes.BloomIndex(fields=['n'], name='x_§', length=80, columns=[4]))",
    );
    bloom.setup.insert(0, "BloomExtension()".to_owned());
    cases.push(bloom);

    cases.push(operation("('a', models.IntegerField(null=True)),", "migrations.RunSQL('SELECT 1')"));
    cases.push(operation(
        "('a', models.IntegerField(null=True)),",
        "migrations.RunSQL(['SELECT 1', ('SELECT %s', [\"it's\"])])",
    ));
    cases.push(operation("('a', models.IntegerField(null=True)),", "migrations.RunSQL(migrations.RunSQL.noop)"));
    let columns = "('a', models.IntegerField()), ('b', models.IntegerField()),";
    cases.push(
        operation(
            columns,
            "migrations.AddField('§', 'other', models.ForeignObject('§', on_delete=models.DO_NOTHING, from_fields=['a'], to_fields=['id'], null=True, related_name='+'))",
        )
        .then(&["migrations.AlterField('§', 'other', models.ForeignObject('§', on_delete=models.DO_NOTHING, from_fields=['b'], to_fields=['id'], null=True, related_name='+'))"])
        .then(&["migrations.RemoveField('§', 'other')"])
        // Before, `AddField` of it fails in Django.
        .since(5, 2),
    );
    cases.push(
        operation(
            columns,
            "migrations.AddConstraint('§', models.UniqueConstraint(models.Case(models.When(models.expressions.CombinedExpression(models.F('a'), '<', models.F('b'), output_field=models.BooleanField()), then=models.F('a')), default=models.F('b')), name='q_§'))",
        )
        .since(4, 2),
    );
    cases.push(
        operation("('a', models.IntegerField(null=True)),", "AddColumn('APP_¶', ['z'])")
            .then(&["AddColumn('APP_¶', columns=['y'], kind='text')"]),
    );
    cases.push(operation("('a', models.IntegerField(null=True)),", "migrations.RunPython(migrations.RunPython.noop)"));
    cases.push(operation(
        "('a', models.IntegerField(null=True)),",
        "migrations.SeparateDatabaseAndState(database_operations=[migrations.RunSQL('SELECT 2')], state_operations=[migrations.AddField('§', 'z', models.IntegerField())])",
    ).then(&["migrations.RunSQL('ALTER TABLE APP_¶ ADD COLUMN z integer', state_operations=[migrations.AlterField('§', 'z', models.IntegerField(null=True))])"]).then(&["migrations.RemoveField('§', 'z')"]));
    cases.push(operation(
        "('a', models.IntegerField(null=True)),",
        "migrations.SeparateDatabaseAndState(database_operations=[migrations.AddField('§', 'z', models.IntegerField(default=1)), migrations.AlterField('§', 'z', models.IntegerField(null=True))], state_operations=[])",
    ));
    cases.push(operation("('a', models.IntegerField(null=True)),", "CreateCollation('coll_§', provider='icu', locale='und-u-ks-level2', deterministic=False)")
        .then(&["migrations.AddField('§', 'f', models.CharField(max_length=5, default='', db_index=True, db_collation='coll_§'))"]).since(4, 2));
    cases.push(
        operation("('a', models.IntegerField(null=True)),", "CreateCollation('coll_§', locale='C')")
            .then(&["RemoveCollation('coll_§', locale='C')"]),
    );
}

/// How many cases share an app: a failure stops only its own migration, but every app costs time.
const PER_APP: usize = 60;

/// Writes the cases as apps below `root`, and says their names.
pub(crate) fn write(cases: &[&Case], root: &Path) -> Vec<String> {
    // Its AppConfig makes operator classes known to index expressions.
    let mut apps = vec!["django.contrib.postgres".to_owned()];
    for (number, chunk) in cases.chunks(PER_APP).enumerate() {
        let app = format!("c{number:02}");
        let folder = root.join(&app).join("migrations");
        fs::create_dir_all(&folder).expect("a new folder");
        for package in [root.join(&app), folder.clone()] {
            fs::write(package.join("__init__.py"), "").expect("a new file");
        }
        for (index, case) in chunk.iter().enumerate() {
            let name = format!("Q{index:02}");
            let mut previous: Option<String> = None;
            let mut lists = vec![case.setup.clone()];
            lists.extend(case.migrations.iter().cloned());
            for (step, operations) in lists.iter().enumerate() {
                if operations.is_empty() {
                    continue;
                }
                let file = format!("{index:02}{step:02}_{}", name.to_lowercase());
                let mut text = String::from(HEAD);
                let dependencies =
                    previous.as_ref().map(|previous| format!("('{app}', '{previous}')")).unwrap_or_default();
                let atomic = if case.atomic || step == 0 { "" } else { "    atomic = False\n" };
                let _ = write!(
                    text,
                    "class Migration(migrations.Migration):\n{atomic}    dependencies = [{dependencies}]\n    operations = [\n"
                );
                for operation in operations {
                    let _ = writeln!(text, "        {},", named(operation, &app, &name));
                }
                text.push_str("    ]\n");
                fs::write(folder.join(format!("{file}.py")), text).expect("a new file");
                previous = Some(file);
            }
        }
        apps.push(app);
    }
    apps
}

pub(crate) const HEAD: &str = "import datetime, decimal, uuid
from django.db import migrations, models
from django.db.models import functions
from django.utils import timezone
import django.contrib.postgres.fields as postgres
import django.contrib.postgres.search as search
import django.contrib.postgres.indexes as pgindexes
import django.contrib.postgres.constraints as exclusion
from django.contrib.postgres.fields import RangeOperators
from django.contrib.postgres.operations import *
from django.contrib.postgres.functions import RandomUUID
from django.db.models.expressions import RawSQL


class Half(models.Func):
    function = 'div'
    template = '%(function)s(%(expressions)s, 2)'
    output_field = models.IntegerField()


class RandomId(models.Func):
    function = 'gen_random_uuid'
    arity = 0
    output_field = models.UUIDField()


class AddColumn(migrations.operations.base.Operation):
    reversible = False

    def __init__(self, table, columns, kind='integer'):
        self.table = table
        self.columns, self.kind = columns, kind

    def state_forwards(self, app_label, state):
        pass

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        added = ', '.join(self.columns)
        schema_editor.execute(
            'ALTER TABLE %(table)s ADD COLUMN %(columns)s %(kind)s' % {
                'table': schema_editor.quote_name(self.table) if self.kind is None else self.table,
                'columns': added, 'kind': self.kind,
            },
            params=None,
        )
        schema_editor.execute(f\"COMMENT ON COLUMN {self.table}.{added} IS '{self.kind.upper()}'\")

";

/// Puts the case's own name for `§`, in lower case for `¶`, and the app's for `APP`.
fn named(text: &str, app: &str, name: &str) -> String {
    text.replace('§', name).replace('¶', &name.to_lowercase()).replace("APP", app)
}
