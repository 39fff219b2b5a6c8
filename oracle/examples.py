"""Runs many small histories of one app, `shop`, in one real Django, each on an empty schema.

    python examples.py --database NAME --host DIR DIRECTORY < NAMES > REPORT

Each NAME of the JSON list on standard input is a package below DIRECTORY that holds `migrations`. The report is a JSON
object: by name what `django_oracle.py` reports of the history, or {"failed": TEXT} where Django does not even load it.
RunPython is executed.
"""

import argparse
import importlib
import json
import os
import sys
import types

import django_oracle


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", default="5432")
    parser.add_argument("--user", default="postgres")
    parser.add_argument("directory")
    options = parser.parse_args()
    # What examples print must not get between.
    output, sys.stdout = sys.stdout, sys.stderr
    sys.path.insert(0, os.path.abspath(options.directory))
    # A package that examples import and nobody has to install.
    safemigrate = types.ModuleType("django_safemigrate")
    exec("class Safe:\n    before_deploy = after_deploy = always = staticmethod(lambda delay=None: None)\n", safemigrate.__dict__)
    sys.modules["django_safemigrate"] = safemigrate
    os.makedirs(os.path.join(options.directory, "shop"), exist_ok=True)
    open(os.path.join(options.directory, "shop", "__init__.py"), "w").close()

    replay_options = argparse.Namespace(
        settings=None, apps="django.contrib.contenttypes,django.contrib.auth,shop", setting=['DEFAULT_AUTO_FIELD="django.db.models.BigAutoField"'], path=[],
        database=options.database, host=options.host, port=options.port, user=options.user,
        models="end", tables="end", only=None, run_python=True, keep_going=False,
    )
    django_oracle.configure(replay_options)

    import django

    django.setup()
    from django.conf import settings
    from django.db import connections
    from django.db.migrations.operations import RunPython

    connection = connections["default"]
    connection.ensure_connection()
    editor, forwards = connection.SchemaEditorClass, RunPython.database_forwards
    reports = {}
    for name in json.load(sys.stdin):
        settings.MIGRATION_MODULES = {"shop": f"{name}.migrations"}
        if not mentions(os.path.join(options.directory, name), "auth", "contenttypes"):
            # Without their migrations these apps take no time.
            settings.MIGRATION_MODULES.update(auth=None, contenttypes=None)
        connection.SchemaEditorClass, RunPython.database_forwards = editor, forwards
        clean(connection)
        try:
            importlib.invalidate_caches()
            reports[name] = django_oracle.Replay(connection, replay_options).run()
        except Exception as error:
            reports[name] = {"failed": f"{type(error).__name__}: {error}"}
            connection.close()
    json.dump(reports, output)


def mentions(directory, *words):
    for folder, _, files in os.walk(directory):
        for file in files:
            with open(os.path.join(folder, file), encoding="utf-8") as text:
                source = text.read()
            if any(word in source for word in words):
                return True
    return False


def clean(connection):
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
        )
        for (schema,) in cursor.fetchall():
            cursor.execute(f'DROP SCHEMA "{schema}" CASCADE')
        cursor.execute("CREATE SCHEMA public")


if __name__ == "__main__":
    main()
