//! Random histories: each an app whose migrations are composed of operations that fit the state so far.
//!
//! Seeded and bounded; what is found here becomes a case of the generated suite.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use zdm_testkit::Random;

use super::cases::HEAD;

/// Columns of one family can be altered into each other.
const FAMILIES: [&[(&str, &str)]; 5] = [
    &[
        ("models.CharField(max_length=20{})", "'x'"),
        ("models.CharField(max_length=40{})", "''"),
        ("models.TextField(None{})", "'it\\'s'"),
        ("models.SlugField(None{})", "'s'"),
        ("models.URLField(None{})", "'u'"),
    ],
    &[
        ("models.IntegerField(None{})", "-3"),
        ("models.BigIntegerField(None{})", "7"),
        ("models.PositiveIntegerField(None{})", "1"),
        ("models.PositiveSmallIntegerField(None{})", "2"),
        ("models.DecimalField(max_digits=9, decimal_places=2{})", "0"),
    ],
    &[("models.DateTimeField(None{})", "timezone.now"), ("models.DateField(None{})", "datetime.date(2021, 1, 1)")],
    &[("models.BooleanField(None{})", "False")],
    &[("models.UUIDField(None{})", "uuid.uuid4"), ("models.JSONField(None{})", "dict")],
];

#[derive(Clone)]
struct Column {
    name: String,
    family: usize,
    null: bool,
    /// Named by an index, a constraint or a group: not to be renamed or removed.
    used: usize,
}

struct Model {
    name: String,
    columns: Vec<Column>,
    /// Relations by name, with the target; `true` is many-to-many.
    relations: Vec<(String, String, bool)>,
    indexes: Vec<String>,
    constraints: Vec<String>,
    together: bool,
}

pub(crate) struct History {
    pub(crate) app: String,
    migrations: Vec<Vec<String>>,
}

struct Composer {
    random: Random,
    models: Vec<Model>,
    number: usize,
    seed: u64,
}

impl Composer {
    fn fresh(&mut self, prefix: &str) -> String {
        self.number += 1;
        format!("{prefix}{}", self.number)
    }

    /// A name that no other history has: indexes and tables share one namespace.
    fn global(&mut self, prefix: &str) -> String {
        self.number += 1;
        format!("{prefix}_{}_{}", self.seed, self.number)
    }

    fn column(&mut self, required_default: bool) -> (Column, String) {
        let family = self.random.below(FAMILIES.len());
        let name = self.fresh("f");
        let (column, text) = self.definition(&name, family, required_default);
        (column, text)
    }

    fn definition(&mut self, name: &str, family: usize, required_default: bool) -> (Column, String) {
        let (template, default) = *self.random.choose(FAMILIES[family]).expect("a family has members");
        let null = self.random.chance(40);
        let json = template.contains("JSON");
        let unique = !json && null && self.random.chance(15);
        let mut more = String::new();
        if null {
            more.push_str(", null=True");
        }
        if unique {
            more.push_str(", unique=True");
        }
        if !json && self.random.chance(25) {
            more.push_str(", db_index=True");
        }
        if self.random.chance(10) {
            more.push_str(", blank=True");
        }
        if self.random.chance(8) {
            let _ = write!(more, ", db_column='{name}_column'");
        }
        if required_default && !null || self.random.chance(20) {
            let _ = write!(more, ", default={default}");
        }
        let text = template.replace("{}", &more).replace("(None, ", "(").replace("(None)", "()");
        (Column { name: name.to_owned(), family, null, used: 0 }, text)
    }

    fn create(&mut self) -> String {
        let name = self.fresh("Model");
        let mut fields = vec!["('id', models.AutoField(primary_key=True))".to_owned()];
        let mut columns = Vec::new();
        for _ in 0..=self.random.below(4) {
            let (column, text) = self.column(false);
            fields.push(format!("('{}', {text})", column.name));
            columns.push(column);
        }
        let mut relations = Vec::new();
        if let Some(target) = self.target().filter(|_| self.random.chance(50)) {
            let field = self.fresh("r");
            let many = self.random.chance(30);
            fields.push(format!("('{field}', {})", self.relation(&target, many)));
            relations.push((field, target, many));
        }
        self.models.push(Model {
            name: name.clone(),
            columns,
            relations,
            indexes: vec![],
            constraints: vec![],
            together: false,
        });
        format!("migrations.CreateModel('{name}', [{}])", fields.join(", "))
    }

    fn target(&mut self) -> Option<String> {
        let at = self.random.below(self.models.len());
        self.models.get(at).map(|model| model.name.clone())
    }

    fn relation(&mut self, target: &str, many: bool) -> String {
        if many {
            return format!("models.ManyToManyField('{target}', related_name='+')");
        }
        let class = if self.random.chance(25) { "OneToOneField" } else { "ForeignKey" };
        let mut more = String::new();
        if self.random.chance(15) && class == "ForeignKey" {
            more.push_str(", db_index=False");
        }
        if self.random.chance(10) {
            more.push_str(", db_constraint=False");
        }
        format!("models.{class}('{target}', models.CASCADE, null=True, related_name='back{}'{more})", self.fresh(""))
    }

    /// One operation, if what was drawn fits.
    fn operation(&mut self) -> Option<String> {
        if self.models.is_empty() {
            return Some(self.create());
        }
        let at = self.random.below(self.models.len());
        let name = self.models[at].name.clone();
        let free: Vec<usize> =
            (0..self.models[at].columns.len()).filter(|index| self.models[at].columns[*index].used == 0).collect();
        match self.random.below(20) {
            0 | 1 => Some(self.create()),
            2..=4 => {
                let (column, text) = self.column(true);
                let field = column.name.clone();
                self.models[at].columns.push(column);
                let keep =
                    if text.contains("default=") && self.random.chance(40) { ", preserve_default=False" } else { "" };
                Some(format!("migrations.AddField('{name}', '{field}', {text}{keep})"))
            }
            5..=8 => {
                let index = *self.random.choose(&free)?;
                let old = self.models[at].columns[index].clone();
                let (mut column, text) = self.definition(&old.name, old.family, old.null);
                if old.family == 4 {
                    return None;
                }
                column.used = old.used;
                self.models[at].columns[index] = column;
                Some(format!("migrations.AlterField('{name}', '{}', {text})", old.name))
            }
            9 => {
                let index = *self.random.choose(&free)?;
                let column = self.models[at].columns.remove(index);
                Some(format!("migrations.RemoveField('{name}', '{}')", column.name))
            }
            10 => {
                let index = *self.random.choose(&free)?;
                let new = self.fresh("f");
                let old = std::mem::replace(&mut self.models[at].columns[index].name, new.clone());
                Some(format!("migrations.RenameField('{name}', '{old}', '{new}')"))
            }
            11 => {
                let target = self.target()?;
                let field = self.fresh("r");
                let many = self.random.chance(40);
                let text = self.relation(&target, many);
                self.models[at].relations.push((field.clone(), target, many));
                Some(format!("migrations.AddField('{name}', '{field}', {text})"))
            }
            12 => {
                let index = self.random.below(self.models[at].relations.len());
                if index >= self.models[at].relations.len() {
                    return None;
                }
                if self.random.chance(50) {
                    let (field, _, _) = self.models[at].relations.remove(index);
                    return Some(format!("migrations.RemoveField('{name}', '{field}')"));
                }
                let new = self.fresh("r");
                let old = std::mem::replace(&mut self.models[at].relations[index].0, new.clone());
                Some(format!("migrations.RenameField('{name}', '{old}', '{new}')"))
            }
            13 => {
                let index = self.random.below(self.models[at].relations.len());
                let (field, target, many) = self.models[at].relations.get(index)?.clone();
                if many {
                    return None;
                }
                let text = self.relation(&target, false);
                Some(format!("migrations.AlterField('{name}', '{field}', {text})"))
            }
            14 => {
                let new = self.fresh("Model");
                for model in &mut self.models {
                    for relation in &mut model.relations {
                        if relation.1 == name {
                            relation.1.clone_from(&new);
                        }
                    }
                }
                self.models[at].name.clone_from(&new);
                Some(format!("migrations.RenameModel('{name}', '{new}')"))
            }
            15 => {
                let table = self.global("own_table");
                Some(format!("migrations.AlterModelTable('{name}', '{table}')"))
            }
            16 => {
                if !self.models[at].indexes.is_empty() && self.random.chance(40) {
                    let index = self.models[at].indexes.pop()?;
                    return Some(format!("migrations.RemoveIndex('{name}', '{index}')"));
                }
                let index = self.random.below(self.models[at].columns.len());
                let field = self.models[at].columns.get(index)?.name.clone();
                self.models[at].columns[index].used += 1;
                let own = self.global("index");
                self.models[at].indexes.push(own.clone());
                let condition = if self.random.chance(30) {
                    format!(", condition=models.Q({field}__isnull=False)")
                } else {
                    String::new()
                };
                Some(format!(
                    "migrations.AddIndex('{name}', models.Index(fields=['{field}'], name='{own}'{condition}))"
                ))
            }
            17 => {
                if !self.models[at].constraints.is_empty() && self.random.chance(40) {
                    let constraint = self.models[at].constraints.pop()?;
                    return Some(format!("migrations.RemoveConstraint('{name}', '{constraint}')"));
                }
                let index = self.random.below(self.models[at].columns.len());
                let field = self.models[at].columns.get(index)?.name.clone();
                self.models[at].columns[index].used += 1;
                let own = self.global("unique");
                self.models[at].constraints.push(own.clone());
                Some(format!(
                    "migrations.AddConstraint('{name}', models.UniqueConstraint(fields=['{field}', 'id'], name='{own}'))"
                ))
            }
            18 => {
                if self.models[at].together {
                    self.models[at].together = false;
                    return Some(format!("migrations.AlterUniqueTogether('{name}', set())"));
                }
                let index = self.random.below(self.models[at].columns.len());
                let field = self.models[at].columns.get(index)?.name.clone();
                // Removing it from the group is another operation: the column stays.
                self.models[at].columns[index].used += 1;
                self.models[at].together = true;
                Some(format!("migrations.AlterUniqueTogether('{name}', {{('{field}', 'id')}})"))
            }
            _ => {
                let referenced =
                    self.models.iter().any(|model| model.relations.iter().any(|relation| relation.1 == name));
                if referenced || self.models.len() < 3 {
                    return None;
                }
                self.models.remove(at);
                Some(format!("migrations.DeleteModel('{name}')"))
            }
        }
    }
}

/// A history of that seed.
pub(crate) fn history(seed: u64, migrations: usize) -> History {
    let mut composer = Composer { random: Random::new(seed), models: Vec::new(), number: 0, seed };
    let mut result = Vec::new();
    for _ in 0..migrations {
        let count = 1 + composer.random.below(3);
        let mut operations = Vec::new();
        while operations.len() < count {
            operations.extend(composer.operation());
        }
        result.push(operations);
    }
    History { app: format!("h{seed}"), migrations: result }
}

/// Writes the history as an app below `root`.
pub(crate) fn write(history: &History, root: &Path) {
    let folder = root.join(&history.app).join("migrations");
    fs::create_dir_all(&folder).expect("a new folder");
    for package in [root.join(&history.app), folder.clone()] {
        fs::write(package.join("__init__.py"), "").expect("a new file");
    }
    let mut previous: Option<String> = None;
    for (number, operations) in history.migrations.iter().enumerate() {
        let file = format!("{number:04}_step");
        let dependencies = previous.map(|previous| format!("('{}', '{previous}')", history.app)).unwrap_or_default();
        let text = format!(
            "{HEAD}class Migration(migrations.Migration):\n    dependencies = [{dependencies}]\n    operations = [\n        {},\n    ]\n",
            operations.join(",\n        ")
        );
        fs::write(folder.join(format!("{file}.py")), text).expect("a new file");
        previous = Some(file);
    }
}
