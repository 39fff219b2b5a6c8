"""Write what zdm knows of the migrations of Django's own apps.

    python generate.py PATH_TO_PYTHON...

Each Python has one release of Django. The output, one text per app, goes beside this script: for each migration a line
`# name since before`, then the migration with the arguments that matter to the schema.
"""

import json
import pathlib
import subprocess
import sys

APPS = ["admin", "auth", "contenttypes", "flatpages", "redirects", "sessions", "sites"]
NOT_SCHEMA = {"verbose_name", "help_text", "validators", "error_messages", "choices", "limit_choices_to"}
OPTIONS = {"db_table", "unique_together", "proxy", "swappable", "indexes", "constraints", "managed"}


def load():
    """Print the migrations of this Python's Django as JSON: app → name → text."""
    import django
    from django.conf import SettingsReference, settings
    from django.db import migrations, models

    settings.configure(
        INSTALLED_APPS=["django.contrib." + app for app in APPS],
        DATABASES={},
        SITE_ID=1,
        SECRET_KEY="unused",
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    from django.db.migrations.loader import MigrationLoader

    def text(value):
        if isinstance(value, SettingsReference):
            return "settings." + value.setting_name
        if isinstance(value, models.Field):
            _, path, args, kwargs = value.deconstruct()
            kwargs = {k: v for k, v in kwargs.items() if k not in NOT_SCHEMA}
            # Releases before 4.0 keep the case of the model's name.
            if type(kwargs.get("to")) is str:
                kwargs["to"] = kwargs["to"].lower()
            return call(path, args, kwargs)
        if hasattr(value, "deconstruct") and not callable(value):
            return call(*value.deconstruct())
        if isinstance(value, list | tuple | set | frozenset):
            items = [text(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
            if isinstance(value, list):
                return "[" + ", ".join(items) + "]"
            if isinstance(value, tuple):
                return "(" + ", ".join(items) + ("," if len(items) == 1 else "") + ")"
            return "{" + ", ".join(items) + "}" if items else "set()"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{text(k)}: {text(v)}" for k, v in value.items()) + "}"
        if callable(value):
            module = ".".join(part for part in value.__module__.split(".") if not part[0].isdigit())
            return module.replace("django.db.models.deletion", "django.db.models") + "." + value.__qualname__
        if value is None or isinstance(value, bool | int | float):
            return repr(value)
        return json.dumps(str(value))

    def call(path, args, kwargs):
        parts = [text(arg) for arg in args] + [f"{name}={text(value)}" for name, value in kwargs.items()]
        return f"{path}({', '.join(parts)})"

    def operation(op):
        name, args, kwargs = op.deconstruct()
        kwargs = dict(kwargs)
        kwargs.pop("managers", None)
        if "options" in kwargs:
            kwargs["options"] = {k: v for k, v in kwargs["options"].items() if k in OPTIONS}
            if not kwargs["options"] and name == "CreateModel":
                del kwargs["options"]
        return call("django.db.migrations." + name, args, kwargs)

    def dependency(pair):
        # `setting` is the model that the setting names.
        if getattr(pair, "setting", None) == settings.AUTH_USER_MODEL:
            return "django.db.migrations.swappable_dependency(settings.AUTH_USER_MODEL)"
        return text(tuple(pair))

    found = {}
    for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items()):
        lines = ["import django", "from django.conf import settings", ""]
        lines.append("class Migration(django.db.migrations.Migration):")
        if migration.initial:
            lines.append("    initial = True")
        if migration.replaces:
            lines.append(f"    replaces = {text(migration.replaces)}")
        lines.append(f"    dependencies = [{', '.join(map(dependency, migration.dependencies))}]")
        lines.append("    operations = [")
        lines.extend(f"        {operation(op)}," for op in migration.operations)
        lines.append("    ]")
        found.setdefault(app, {})[name] = "\n".join(lines)
    version = "%d.%d" % django.VERSION[:2]
    print(json.dumps({"version": version, "apps": found}))


def write(pythons):
    here = pathlib.Path(__file__).parent
    releases = []
    for python in pythons:
        output = subprocess.run([python, __file__, "load"], check=True, capture_output=True, text=True).stdout
        releases.append(json.loads(output))
    releases.sort(key=lambda release: tuple(map(int, release["version"].split("."))))
    for app in APPS:
        out = [f"The migrations of django.contrib.{app}, written by generate.py."]
        names = sorted({name for release in releases for name in release["apps"].get(app, {})})
        for name in names:
            ranges = []
            for release in releases:
                body = release["apps"].get(app, {}).get(name)
                if ranges and ranges[-1][1] == body:
                    continue
                ranges.append([release["version"], body])
            for index, (since, body) in enumerate(ranges):
                if body is None:
                    continue
                last = index + 1 == len(ranges)
                head = name if index == 0 and last else f"{name} {since if index else '0.0'}"
                if not last:
                    head += f" {ranges[index + 1][0]}"
                out.append(f"# {head}\n{body}")
        (here / f"{app}.txt").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    load() if sys.argv[1:] == ["load"] else write(sys.argv[1:])
