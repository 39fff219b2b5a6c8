//! What modules and class bodies are worth.

mod common;

use common::check;

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
