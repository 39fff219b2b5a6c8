"""Asks other linters about the cases of fixtures/comparison/cases.md, and writes their answers into it.

Run by `cargo xtask peers` in an environment that has them; PGHOST, PGPORT, PGUSER and PGDATABASE name an empty database.
An exclamation mark, which says that an answer is wrong, stays where the answer stays the same.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SETTINGS = """
SECRET_KEY = "-"
INSTALLED_APPS = ["django_migration_linter", "django_safe_migrations", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "%s"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""

# Two rules of squawk fire on every file.
SQUAWK_EXCLUDED = "require-lock-timeout,require-statement-timeout,require-timeout-settings"


def cases(text):
    """Title, given blocks and block of each case."""
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        title, _, rest = section.partition("\n")
        blocks = re.findall(r"^```python( given)?\n(.*?)^```", rest, flags=re.M | re.S)
        yield title.strip(), [body for given, body in blocks if given], [body for given, body in blocks if not given]


def source(index, body):
    """A migration file around an example: assignments become the class's, what stands before them the module's."""
    lines = body.splitlines()
    start = next(i for i, line in enumerate(lines) if re.match(r"(atomic|operations) = ", line))
    depends = f'    dependencies = [("shop", "{index - 1:04}_m")]\n' if index > 1 else ""
    inside = "\n".join("    " + line if line else line for line in lines[start:])
    head = "\n".join(lines[:start])
    return f"from django.db import migrations, models\n{head}\n\nclass Migration(migrations.Migration):\n{depends}{inside}\n"


def ask(folder, last):
    """One project, in a process of its own: what each tool says of its last migration."""
    sys.path.insert(0, folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    previous = f"{last - 1:04}_m"
    call_command("migrate", "shop", previous, verbosity=0)
    name = f"{last:04}_m"
    migration = MigrationLoader(connection).disk_migrations[("shop", name)]
    answers = {}

    from django_migration_linter.migration_linter import MigrationLinter

    class Collecting(MigrationLinter):
        codes = ()

        def print_errors(self, errors):
            self.codes = [*self.codes, *(issue.code for issue in errors)]

        print_warnings = print_errors

    linter = Collecting(folder, no_cache=True, no_output=True)
    try:
        linter.lint_migration(migration)
        answers["DML"] = sorted(set(linter.codes))
    except Exception as error:
        answers["DML"] = [f"crashes ({type(error).__name__})"]

    from django_safe_migrations.analyzer import MigrationAnalyzer

    issues = MigrationAnalyzer().analyze_migration(migration, "shop", name)
    answers["DS"] = sorted({issue.rule_id for issue in issues})

    # `sqlmigrate` runs the operations on the state before them and collects what they would send.
    import io

    out = io.StringIO()
    try:
        call_command("sqlmigrate", "shop", name, stdout=out, no_color=True)
        sql = out.getvalue()
    except Exception as error:
        sql, answers["squawk"] = "", [f"no SQL ({type(error).__name__})"]
    if "squawk" not in answers:
        command = [str(Path(sys.executable).with_name("squawk")), "--pg-version", "16", "--reporter", "json"]
        command += ["--exclude", SQUAWK_EXCLUDED, "--stdin-filepath", "m.sql"]
        found = subprocess.run(command, input=sql, capture_output=True, text=True)
        answers["squawk"] = sorted({entry["rule_name"] for entry in json.loads(found.stdout or "[]")})
        if found.returncode not in (0, 1):
            answers["squawk"] = ["fails"]
    print(json.dumps(answers))


def main(path):
    text = Path(path).read_text()
    every = list(cases(text))
    (_, _, given), every = every[0], every[1:]
    for title, more, blocks in every:
        with tempfile.TemporaryDirectory() as folder:
            migrations = Path(folder, "shop", "migrations")
            migrations.mkdir(parents=True)
            for init in (migrations.parent, migrations):
                (init / "__init__.py").touch()
            Path(folder, "settings.py").write_text(SETTINGS % os.environ.get("PGDATABASE", "postgres"))
            files = [*given, *more, *blocks]
            for index, body in enumerate(files, start=1):
                (migrations / f"{index:04}_m.py").write_text(source(index, body))
            command = [sys.executable, __file__, "--ask", folder, str(len(files))]
            found = subprocess.run(command, capture_output=True, text=True)
            if found.returncode != 0:
                sys.exit(f"{title}: {found.stderr}")
            answers = json.loads(found.stdout.splitlines()[-1])
        print(title, answers, flush=True)
        section = text.index(f"\n## {title}\n")
        for tool, codes in answers.items():
            place = text.index(f"\n{tool}: ", section) + len(tool) + 3
            end = text.index("\n", place)
            wrong = {part.removeprefix("! ") for part in text[place:end].split(", ") if part.startswith("! ")}
            new = ", ".join(f"! {code}" if code in wrong else code for code in codes or ["silent"])
            text = text[:place] + new + text[end:]
    Path(path).write_text(text)


if __name__ == "__main__":
    if sys.argv[1] == "--ask":
        ask(sys.argv[2], int(sys.argv[3]))
    else:
        main(sys.argv[1])
