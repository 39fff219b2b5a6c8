//! What modules and class bodies are worth.

/// Compare the bindings of module `m` with what is expected, line by line.
#[track_caller]
fn check(text: &str, expect: &str) {
    let expected: Vec<&str> = expect.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let found = crate::common::render(text);
    let found: Vec<&str> = found.lines().map(str::trim).collect();
    assert_eq!(found, expected, "\nfound:\n{}\n", found.join("\n"));
}

#[test]
fn a_migration() {
    check(
        r#"
from django.conf import settings
from django.db import migrations, models
import django.db.models.deletion


class Migration(migrations.Migration):
    initial = True
    dependencies = [("shop", "0001_initial"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.AddField(
            model_name="order",
            name="owner",
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL),
        ),
        migrations.RunSQL("SELECT 1", migrations.RunSQL.noop),
    ]
"#,
        r"
settings = django.conf.settings
migrations = django.db.migrations
models = django.db.models
django = django
Migration = <class m.Migration>
    initial = True
    dependencies = [('shop', '0001_initial'), django.db.migrations.swappable_dependency(django.conf.settings.AUTH_USER_MODEL)]
    operations = [django.db.migrations.AddField(model_name='order', name='owner', field=django.db.models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to=django.conf.settings.AUTH_USER_MODEL)), django.db.migrations.RunSQL('SELECT 1', django.db.migrations.RunSQL.noop)]
",
    );
}

#[test]
fn names_are_bound_in_order() {
    check("a = 1\nb = a\na = b + 1\nclass C:\n    x = a\na = 9\n", "a = 9\nb = 1\nC = <class m.C>\nx = 2");
}

#[test]
fn text_is_put_together() {
    check(
        r#"
table = "t"
a = "x" 'y' + "z" * 2
b = f"{table!r:>5} {1 + 1:03d} {{}}"
c = "%s-%05.1f-%%" % (table, 2.25)
d = "{0} {0} {x[k]}".format(table, x={"k": 1})
e = ", ".join([table, "u"]).upper()
"#,
        "
table = 't'
a = 'xyzz'
b = \"  't' 002 {}\"
c = 't-002.2-%'
d = 't t 1'
e = 'T, U'
",
    );
}

#[test]
fn imports_inside_of_the_project_are_followed() {
    check(
        r#"
# file: shop/__init__.py
# file: shop/constants.py
NAMES = ["a"]
_hidden = 1
# file: shop/base.py
from .constants import *
from . import constants as c
NAMES += ["b"]
# file: m.py
from shop.base import NAMES, c, nothing
import shop.constants
import shop.constants as k
first = shop.constants.NAMES
second = k.NAMES[0]
"#,
        "
NAMES = ['a', 'b']
c = <module shop.constants>
nothing = <unknown: `shop.base` does not define `nothing`>
shop = shop
k = <module shop.constants>
first = ['a']
second = 'a'
",
    );
}

#[test]
fn unknown_conditions_give_both_branches() {
    check(
        r#"
import os
from django.db import connection
class M:
    operations = [1]
    if connection.vendor == "postgresql":
        operations += [2]
    if os.environ.get("X"):
        operations.append(3)
    else:
        atomic = False
"#,
        "
os = os
connection = django.db.connection
M = <class m.M>
operations = <[1, 2, 3] | [1, 2]>
atomic = <<unknown: `atomic` is not defined here> | False>
",
    );
}

#[test]
fn class_attributes_come_from_bases_and_from_behind_the_class() {
    check(
        r"
# file: shop/base.py
class Base:
    atomic = False
    operations = [1]
class Other(Base):
    x = 5
# file: m.py
from shop import base
class M(base.Other):
    operations = base.Base.operations + [2]
M.operations.append(3)
M.operations += [4]
M.extra = M.x
y = M.atomic
",
        "
base = <module shop.base>
M = <class m.M>
operations = [1, 2, 3, 4]
extra = 5
y = False
",
    );
}

#[test]
fn a_class_that_type_makes_of_one_base_is_worth_its_base() {
    check(
        r#"
from django.db import models
class Base:
    x = 1
bare = type("Bare", (Base,), {})
documented = type("Documented", (models.TextField,), {"__doc__": "a text"})
own = type("Own", (Base,), {"x": 2})
both = type("Both", (Base, models.TextField), {})
y = bare.x
"#,
        "
models = django.db.models
Base = <class m.Base>
x = 1
bare = <class m.Base>
x = 1
documented = django.db.models.TextField
own = builtins.type('Own', (<class m.Base>,), {'x': 2})
both = builtins.type('Both', (<class m.Base>, django.db.models.TextField), {})
y = 1
",
    );
}

#[test]
fn enumerations_have_values_and_choices() {
    check(
        r#"
from django.db import models
from django.utils.translation import gettext_lazy as _
class S(models.TextChoices):
    NEW = "n", _("New")
    IN_WORK = "w"
    def f(self): pass
a = S.NEW
b = S.IN_WORK.value
c = S.choices
d = S.values + S.names
class C:
    class E(models.IntegerChoices):
        ONE = 1
    e = E.ONE
f = C.E.labels
"#,
        "
models = django.db.models
_ = django.utils.translation.gettext_lazy
S = <class m.S>
NEW = ('n', django.utils.translation.gettext_lazy('New'))
IN_WORK = 'w'
f = <function m.f>
a = 'n'
b = 'w'
c = [('n', django.utils.translation.gettext_lazy('New')), ('w', 'In Work')]
d = ['n', 'w', 'NEW', 'IN_WORK']
C = <class m.C>
E = <class m.C.E>
e = 1
f = ['One']
",
    );
}

#[test]
fn simple_functions_are_called() {
    check(
        r#"
def sql(table, *columns, unique=False, **options):
    """Docstring."""
    kind = "UNIQUE INDEX" if unique else "INDEX"
    names = []
    for column in columns:
        if column == "skip":
            continue
        names.append(column)
    if not names:
        raise ValueError(table)
    return f"CREATE {kind} ON {table} ({', '.join(names)})" + options.pop("tail", ";")
a = sql("t", "a", "skip", "b", unique=True)
b = sql("t", "a", tail="")
c = sql("t")
d = (lambda x, y=2: x * y)(3)
def outer():
    def inner():
        return 1
    return inner
e = outer()()
import os
def either(x):
    if os.name == 1:
        return x
    elif os.name == 2:
        raise ValueError
    x += 1
    return x
f = either(1)
def unclear(x):
    return x + nothing
g = unclear(1)
"#,
        "
sql = <function m.sql>
a = 'CREATE UNIQUE INDEX ON t (a, b);'
b = 'CREATE INDEX ON t (a)'
c = m.sql('t')
d = 6
outer = <function m.outer>
e = 1
os = os
either = <function m.either>
f = <1 | 2>
unclear = <function m.unclear>
g = m.unclear(1)
",
    );
}

#[test]
fn loops_and_comprehensions_run_over_what_is_known() {
    check(
        r#"
xs = [n * 2 for n in range(4) if n != 1]
pairs = {k: v for k, v in zip("ab", xs)}
ops = []
for i, x in enumerate(xs, start):
    ops.append(x)
for i, x in enumerate(xs, 1):
    if x == 6:
        break
    xs2 = xs + [i]
else:
    never = 1
starred = [*range(2), *reversed("ab"), *xs + [1], *([2] if xs else [3]), *None or (7,)]
total = [sum(xs), len(pairs), sorted(["b", "a"]), max(1, 2.5), any([0, ""]), all([])]
dynamic = [y for y in unknown]
"#,
        "
xs = [0, 4, 6]
pairs = {'a': 0, 'b': 4}
ops = [*<unknown: depends on running the program: what a loop appends>]
i = 3
x = 6
xs2 = [0, 4, 6, 2]
starred = [0, 1, 'b', 'a', 0, 4, 6, 1, 2, 7]
total = [10, 2, ['a', 'b'], 2.5, False, True]
dynamic = <unknown: depends on running the program: a comprehension over what is not known>
",
    );
}

#[test]
fn settings_are_read_in_order() {
    check(
        r#"
# file: conf/base.py
import os
DEBUG = False
APPS = ["a", "b"]
DATABASES = {"default": {"ENGINE": "x"}}
# file: m.py
from conf.base import *
try:
    from .local import *
except ImportError:
    LOCAL = False
try:
    import redis
except ImportError:
    redis = None
APPS.insert(0, "first")
APPS.remove("b")
if DEBUG:
    APPS += ["debug"]
if os.environ.get("TOOLBAR"):
    APPS += ["toolbar"]
DATABASES["default"]["ENGINE"] = "postgresql"
DATABASES["other"] = {}
configure(APPS)
"#,
        "
os = os
DEBUG = False
APPS = <['first', 'a', 'toolbar'] | ['first', 'a'] | <unknown: depends on running the program: passed to a call that may change it>>
DATABASES = {'default': {'ENGINE': 'postgresql'}, 'other': {}}
LOCAL = False
redis = redis
",
    );
}

#[test]
fn imports_in_circles_end() {
    check(
        r"
# file: p/__init__.py
from .a import *
# file: p/a.py
from . import b
from p.b import Y
X = 1
Z = Y
# file: p/b.py
from p.a import X
import p.a as a
Y = X
W = a.Z
# file: m.py
from p import X, Z, b
from p.b import Y, W
from m import self_made
",
        "
X = 1
Z = 1
b = <module p.b>
Y = 1
W = <unknown: defined in terms of itself>
self_made = <unknown: defined in terms of itself>
",
    );
}

/// The calls in the function `f` of module `m`.
#[track_caller]
fn check_calls(text: &str, expect: &[&str]) {
    let project = crate::common::Project::new(text);
    let evaluator = zdm_python::Evaluator::new(&project);
    let value = evaluator.global(project.module("m"), "f").expect("the text defines `f`");
    let calls = evaluator.calls(value.as_function().expect("`f` is a function"));
    let found: Vec<String> =
        calls.iter().map(|site| format!("{}{}", if site.conditional { "? " } else { "" }, site.call)).collect();
    assert_eq!(found, expect);
}

#[test]
fn function_bodies_are_read() {
    check_calls(
        r#"
from django.db import connection
from shop.utils import helper
BATCH = 100
def local(n):
    return n + 1
def f(apps, schema_editor):
    Order = apps.get_model("shop", "Order")
    rows = Order.objects.filter(a=None)
    if rows.exists():
        for row in rows.iterator(chunk_size=BATCH):
            row.a = helper(row)
            row.save()
    if schema_editor.connection.alias != "default":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    [x.delete() for x in rows]
    cursor.scroll(local(1))
"#,
        &[
            "<parameter apps>.get_model('shop', 'Order')",
            "<parameter apps>.get_model('shop', 'Order').objects.filter(a=None)",
            "<parameter apps>.get_model('shop', 'Order').objects.filter(a=None).exists()",
            "? <parameter apps>.get_model('shop', 'Order').objects.filter(a=None).iterator(chunk_size=100)",
            "? shop.utils.helper(<element of <parameter apps>.get_model('shop', 'Order').objects.filter(a=None).iterator(chunk_size=100)>)",
            "? <element of <parameter apps>.get_model('shop', 'Order').objects.filter(a=None).iterator(chunk_size=100)>.save()",
            "django.db.connection.cursor()",
            "django.db.connection.cursor().execute('SELECT 1')",
            "? <element of <parameter apps>.get_model('shop', 'Order').objects.filter(a=None)>.delete()",
            "<unknown: depends on running the program: a comprehension over what is not known>(<element of <parameter apps>.get_model('shop', 'Order').objects.filter(a=None)>.delete(), <parameter apps>.get_model('shop', 'Order').objects.filter(a=None))",
            "m.local(1)",
            "django.db.connection.cursor().scroll(2)",
        ],
    );
}

#[test]
fn loops_over_known_elements_are_read_round_by_round() {
    check_calls(
        r#"
def made(verb):
    def f(apps):
        for name in ["A", "B"]:
            send(apps, verb, name)
        kept = []
        for row in apps.rows():
            kept.append(row)
        send(apps, kept)
        def inner(x):
            return send(apps, verb, x)
        inner(1)
    return f
def send(*args):
    pass
f = made("go")
"#,
        &[
            "m.send(<parameter apps>, 'go', 'A')",
            "m.send(<parameter apps>, 'go', 'B')",
            "<parameter apps>.rows()",
            "m.send(<parameter apps>, <unknown: depends on running the program: a comprehension over what is not known>(<element of <parameter apps>.rows()>))",
            "m.inner(1)",
        ],
    );
}

#[test]
fn an_init_shows_what_it_passes_on() {
    let project = crate::common::Project::new(
        r#"
from django.db import models
class Code(models.CharField):
    def __init__(self, *args, prefix="p", **kwargs):
        kwargs["max_length"] = 20
        kwargs.setdefault("null", True)
        kwargs.pop("extra", None)
        self.prefix = kwargs.pop("help", prefix)
        super().__init__(*args, **kwargs)
    def db_type(self, connection):
        return "varchar(%s)" % self.max_length
x = Code("label", null=False, extra=1, help=2)
"#,
    );
    let evaluator = zdm_python::Evaluator::new(&project);
    let x = evaluator.global(project.module("m"), "x").expect("the text defines `x`");
    let call = x.as_call().expect("`x` is a call");
    let class = call.callee.as_class().expect("of a class");
    let init = evaluator.class_attribute(class, "__init__").expect("with an `__init__`");
    let init = init.as_function().expect("which is a function");
    let mut args = vec![zdm_python::Arg {
        kind: zdm_python::ArgKind::Positional,
        value: zdm_python::Value::new(zdm_python::ValueKind::Symbol("self".into()), x.origin.clone()),
        span: x.span(),
    }];
    let itself = args[0].clone();
    args.extend(call.args.iter().cloned());
    let calls: Vec<String> = evaluator.calls_with(init, &args).iter().map(|site| site.call.to_string()).collect();
    assert_eq!(calls, ["builtins.super()", "builtins.super().__init__('label', null=False, max_length=20)",]);
    let db_type = evaluator.class_attribute(class, "db_type").expect("with a `db_type`");
    let result = evaluator.returns(db_type.as_function().expect("which is a function"), &[itself]);
    assert_eq!(result.to_string(), "<text 'varchar(' {self.max_length} ')'>");
    let known = evaluator.substitute(&result, &|value| {
        value.is_symbol("self.max_length").then_some(zdm_python::ValueKind::Int(zdm_python::Int::Small(20)))
    });
    assert_eq!(known.to_string(), "'varchar(20)'");
}

#[test]
fn parts_can_be_replaced_later() {
    let project = crate::common::Project::new(
        "from django.conf import settings\nimport swapper\n\
         a = f'{settings.USER.split(\".\")[1].lower()}_ptr' + swapper.get('x', 'Y')[1:]\n",
    );
    let evaluator = zdm_python::Evaluator::new(&project);
    let a = evaluator.global(project.module("m"), "a").expect("the text defines `a`");
    assert!(a.first_unknown().is_some());
    let known = evaluator.substitute(&a, &|value| {
        let text = |text: &str| Some(zdm_python::ValueKind::Str(zdm_python::Str::made(text, value.origin.clone())));
        match value.as_call() {
            Some(call) if call.name().as_deref() == Some("swapper.get") => text("1abc"),
            _ if value.is_symbol("django.conf.settings.USER") => text("auth.User"),
            _ => None,
        }
    });
    assert_eq!(known.to_string(), "'user_ptrabc'");
}

#[test]
fn what_alternatives_share_is_certain() {
    let project = crate::common::Project::new(
        "import x\nops = [x.a(), x.b()]\nif x.c():\n    ops += [x.d()]\nops.insert(0, x.e())\n\
         more = [x.f(), *x.g(), *ops]\nif x.h():\n    more.append(x.i())\nelse:\n    more.append(x.j())\n",
    );
    let evaluator = zdm_python::Evaluator::new(&project);
    let more = evaluator.global(project.module("m"), "more").expect("the text defines `more`");
    let items: Vec<String> = more
        .flatten()
        .iter()
        .map(|item| {
            let condition = item.condition.as_ref().map_or(String::new(), |origin| format!(" if {}", origin.text()));
            format!("{}{}{condition}", if item.spread { "*" } else { "" }, item.value)
        })
        .collect();
    assert_eq!(
        items,
        ["x.f()", "*x.g()", "x.e()", "x.a()", "x.b()", "x.d() if x.c()", "x.i() if x.h()", "x.j() if x.h()"]
    );
}

/// The source of each place where `needle` occurs in the value of `s`.
#[track_caller]
fn check_places(text: &str, needle: &str, expect: &[&str]) {
    let project = crate::common::Project::new(text);
    let evaluator = zdm_python::Evaluator::new(&project);
    let value = evaluator.global(project.module("m"), "s").expect("the text defines `s`");
    let s = value.as_str().expect("`s` is a string");
    let found: Vec<String> = s
        .match_indices(needle)
        .map(|(at, part)| {
            let origin = s.origin_of(at..at + part.len()).expect("every part has a place");
            format!("{}: {}", origin.span.start, origin.text())
        })
        .collect();
    assert_eq!(found, expect, "in {s:?}");
}

#[test]
fn every_part_of_a_string_has_a_place() {
    check_places("s = 'ab' \"ab\"\n", "ab", &["5: ab", "10: ab"]);
    check_places("s = '\\x61b' + ('''ab''' 'a')\n", "ab", &["5: \\x61b", "18: ab"]);
    check_places("t = 'ab'\ns = f'x {t} {{ab}}' % ()\n", "ab", &["5: ab", "23: ab"]);
    check_places("t = 'ab'\ns = '{0}-{0}%s'.format(t) % 'ab'\n", "ab", &["5: ab", "5: ab", "38: ab"]);
    check_places(
        "from textwrap import dedent\ns = dedent('''\\\n    ab\n      ab\n''')\n",
        "ab",
        &["48: ab", "57: ab"],
    );
    check_places(
        "s = ' ab '.strip().upper().replace('B', 'b')\n",
        "Ab",
        &["6: a\u{62} '.strip().upper().replace('B', 'b"],
    );
    check_places("s = '''a\r\nb'''\r\n", "\n", &["8: \r\n"]);
}

/// The class of a migration with `line` among its operations, up to the operations.
#[track_caller]
fn check_broken(line: &str, operations: &str, errors: &[&str]) {
    let text = format!(
        "class Migration:\n    atomic = False\n    operations = [\n        a(),\n        {line}\n        b(),\n    ]\nlast = 2\n"
    );
    let project = crate::common::Project::new(&text);
    let evaluator = zdm_python::Evaluator::new(&project);
    let module = project.module("m");
    let class = evaluator.class(module, "Migration").unwrap();
    let body = evaluator.class_body(&class);
    assert_eq!(body.get("atomic").unwrap().as_bool(), Some(false));
    let found = body.get("operations").unwrap().to_string().replace("<unknown: `a` is not defined here>", "a");
    let found = found.replace("<unknown: `b` is not defined here>", "b");
    assert_eq!(found.replace("<unknown: `c` is not defined here>", "c"), operations);
    let found: Vec<&str> = body.syntax_errors.iter().map(|span| module.text(*span).trim()).collect();
    assert_eq!(found, errors);
    assert!(evaluator.global(module, "last").is_some());
}

#[test]
fn an_error_does_not_lose_the_class() {
    check_broken("c('x' 1),", "[a(), c('x', <unknown: syntax error>), b()]", &["1"]);
    check_broken("c('x',", "[a(), c('x', b())]", &[""]);
    check_broken("c(print 'x'),", "[a(), c(<unknown: syntax error>, 'x'), b()]", &["print"]);
    check_broken("c(lambda (a, b): a),", "[a(), c(<function m.<lambda>>), b()]", &[]);
    check_broken("c(0777, 10L, a <> b),", "[a(), c(<unknown: syntax error>, 10, a), b()]", &[]);
    // The list itself is lost, and is known to be.
    let rest = "atomic = False\n    operations = [\n        a(),\n        ";
    check_broken("x y z", "<unknown: syntax error>", &[&format!("{rest}x y z")]);
    check_broken("c('x'),)", "<unknown: syntax error>", &[&format!("{rest}c('x'),)")]);
    let inner = "operations = [\n        a(),\n        c(\"\"\"";
    check_broken("c(\"\"\"x)", "<unknown: syntax error>", &[&format!("{rest}c(\"\"\"x)"), inner]);
    check_broken("$", "<unknown: syntax error>", &[rest.trim(), "$"]);
}

#[test]
fn decorated_functions_are_found() {
    let project = crate::common::Project::new(
        "import typing\nfrom django.db import transaction\nif typing.TYPE_CHECKING:\n    from x import transaction\n\
         @transaction.atomic\n@other(1)\ndef f(): pass\n@staticmethod\ndef g(): pass\n",
    );
    let evaluator = zdm_python::Evaluator::new(&project);
    let f = evaluator.global(project.module("m"), "f").unwrap();
    assert_eq!(
        f.to_string(),
        "django.db.transaction.atomic(<unknown: `other` is not defined here>(1)(<function m.f>))"
    );
    assert_eq!(f.undecorated().unwrap().name(), "m.f");
    let g = evaluator.global(project.module("m"), "g").unwrap();
    assert_eq!(g.as_function().unwrap().name(), "m.g");
}

/// Files are parsed on many threads, and values are handed between them.
#[test]
fn modules_and_values_cross_threads() {
    fn check<T: Send + Sync + Clone>() {}
    check::<zdm_python::Module>();
    check::<zdm_python::Value>();
    check::<zdm_python::Str>();
}

#[test]
fn annotations_do_not_disturb() {
    check(
        "a: dict[str, int] = {'x': 1}\nb: int | None = None\nc: 'list[int]'\nclass C:\n    d: ClassVar[list] = [1]\n",
        "a = {'x': 1}\nb = None\nC = <class m.C>\nd = [1]",
    );
}

#[test]
fn what_is_set_on_an_object_of_djangos_is_not_lost() {
    check(
        "from django.db import models\nf = models.CharField(max_length=5)\nf.null = True\ng = [models.TextField()]\ng[0].null = True\nh = models.TextField()",
        "models = django.db.models
         f = <unknown: depends on running the program: an attribute of it is set>
         g = [<unknown: depends on running the program: an attribute of it is set>]
         h = django.db.models.TextField()",
    );
}
