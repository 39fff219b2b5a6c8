"""What a real Django makes of a project's migrations, without a database.

    python dump.py FOLDER SETTINGS_MODULE

Prints JSON: the full plan of `migrate` on a fresh database, and for each migration its operations, deconstructed.
"""

import datetime
import decimal
import enum
import functools
import json
import os
import sys
import uuid


def main(folder, settings_module):
    sys.path.insert(0, folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module
    import django

    django.setup()
    from django.conf import settings
    from django.db import connections, models
    from django.db.migrations import Migration, operations
    from django.db.migrations.loader import MigrationLoader
    from django.utils.functional import Promise

    connection = connections["default"]

    def name_of(thing):
        return f"{thing.__module__}.{thing.__qualname__}"

    def value(v):
        if isinstance(v, models.Field):
            return field(v)
        if isinstance(v, operations.base.Operation):
            return operation(v)
        if isinstance(v, Promise):
            return str(v)
        if isinstance(v, enum.Enum):
            return value(v.value)
        if v is None or isinstance(v, bool | int | float):
            return v
        if isinstance(v, str):
            return str(v)
        if isinstance(v, bytes):
            return {"bytes": list(v)}
        if isinstance(v, list | tuple):
            return {"list": [value(item) for item in v]}
        if isinstance(v, set | frozenset):
            return {"list": sorted((value(item) for item in v), key=json.dumps)}
        if isinstance(v, dict):
            return {"dict": [[value(k), value(item)] for k, item in v.items()]}
        if isinstance(v, type) or callable(v) and hasattr(v, "__qualname__"):
            return {"symbol": name_of(v)}
        if isinstance(v, functools.partial):
            return {"other": "partial"}
        if hasattr(v, "deconstruct"):
            parts = v.deconstruct()
            if len(parts) != 3:
                return {"other": type(v).__name__}
            path, args, kwargs = parts
            return {"call": path, "args": [value(a) for a in args], "kwargs": {k: value(a) for k, a in kwargs.items()}}
        if isinstance(v, datetime.date | datetime.time | datetime.timedelta | decimal.Decimal | uuid.UUID):
            return {"other": str(v)}
        return {"other": type(v).__name__}

    def field(f):
        _, path, args, kwargs = f.deconstruct()
        found = {"field": path, "args": [value(a) for a in args], "kwargs": {k: value(a) for k, a in kwargs.items()}}
        found["internal"] = f.get_internal_type() if hasattr(f, "get_internal_type") else None
        found["class"] = name_of(type(f))
        try:
            found["db_type"] = f.db_type(connection) if not f.is_relation else None
        except Exception as error:
            found["db_type"] = "error " + type(error).__name__
        return found

    def operation(op):
        found = {"class": name_of(type(op))}
        try:
            name, args, kwargs = op.deconstruct()
        except Exception as error:
            return found | {"error": type(error).__name__}
        found["args"] = [value(a) for a in args]
        found["kwargs"] = {k: value(a) for k, a in kwargs.items()}
        for base in type(op).__mro__:
            if base.__module__.startswith(("django.db.migrations.", "django.contrib.postgres.")):
                found["base"] = base.__name__
                break
        return found

    graph = (loader := MigrationLoader(None, ignore_no_migrations=True)).graph
    plan, seen = [], set()
    for leaf in graph.leaf_nodes():
        for key in graph.forwards_plan(leaf):
            if key not in seen:
                seen.add(key)
                plan.append(key)
    migrations = {}
    for key, migration in loader.disk_migrations.items():
        migrations[".".join(key)] = {
            "atomic": migration.atomic,
            "initial": migration.initial,
            "replaces": [".".join(pair) for pair in migration.replaces],
            "operations": [operation(op) for op in migration.operations],
        }
    json.dump({"plan": [".".join(key) for key in plan], "migrations": migrations}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
