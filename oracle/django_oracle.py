"""What Django really does with a project's migrations.

Runs inside a real Django (3.2 and later, psycopg2 or psycopg 3) against an empty PostgreSQL database, applies the whole
history forwards, one migration at a time, through Django's own executor, and writes one JSON document:

    {"version": 1, "django", "python", "psycopg", "postgres",
     "migrations": [
        {"app", "name", "path", "atomic", "replaces": [[app, name]],
         "operations": [{"index", "operation", "python",
                         "statements": [STATEMENT], "deferred": [STATEMENT], "python_statements": [STATEMENT]}],
         "unattributed": [STATEMENT],
         "models": {"changed": {"app.Model": MODEL}, "removed": ["app.Model"]},
         "tables": {"changed": {"table": TABLE}, "removed": ["table"]},
         "error": null | {"operation", "type", "message", "sqlstate", "sql"},
         "skipped": null | REASON}],
     "models": {"app.Model": MODEL}, "tables": {"table": TABLE}, "sequences": [...], "views": [...]}

STATEMENT is {"sql", "in_transaction", "order", "editor"}: the text as the server got it, parameters inlined the way
`sqlmigrate` inlines them; whether a transaction was open; its place among the migration's statements; whether it went
through the schema editor. Statements of nested operations belong to the top-level operation. `deferred` are those that
the operation left to the end of the migration, where the schema editor ran them. Queries that only look (introspection)
and the bookkeeping in django_migrations are left out.

MODEL and TABLE are the shapes of `zdm-lint state --format json`. `models` and `tables` of a migration hold what differs
from the migration before; they are there with `--models each` and `--tables each`.

RunPython is not executed unless `--run-python` is given; it is marked by "python": true. What it then sends is in the
operation's "python_statements", because no reader of its source can know it.
"""

import argparse
import contextlib
import importlib
import json
import os
import re
import sys
import types


def main():
    options = arguments()
    for path in reversed(options.path):
        sys.path.insert(0, os.path.abspath(path))
    # The settings of a project must not find our own directory on the path.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here or entry in options.path]
    if options.without_psycopg3:
        # Python raises `ImportError` for such an entry.
        sys.modules["psycopg"] = None
    configure(options)

    import django

    django.setup()
    from django.db import connections

    connection = connections["default"]
    connection.ensure_connection()
    report = Replay(connection, options).run()
    if options.output == "-":
        json.dump(report, sys.stdout)
    else:
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump(report, file)


def arguments():
    parser = argparse.ArgumentParser(description="Replay migrations in a real Django and dump what it does.")
    parser.add_argument("--settings", help="settings module; DATABASES is replaced")
    parser.add_argument("--apps", help="INSTALLED_APPS, comma-separated, for generated settings")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=JSON", help="one more setting")
    parser.add_argument("--path", action="append", default=[], help="a directory for sys.path")
    parser.add_argument("--database", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", default="5432")
    parser.add_argument("--user", default="postgres")
    parser.add_argument("--models", choices=["none", "end", "each"], default="end")
    parser.add_argument("--tables", choices=["none", "end", "each"], default="end")
    parser.add_argument("--only", help="app labels: everything is applied, only their migrations are written")
    parser.add_argument("--run-python", action="store_true", help="execute RunPython operations")
    parser.add_argument(
        "--keep-going", action="store_true", help="after a failure, go on with what does not depend on it"
    )
    parser.add_argument("--without-psycopg3", action="store_true", help="let Django find psycopg2 alone")
    parser.add_argument("--output", default="-")
    options = parser.parse_args()
    if (options.settings is None) == (options.apps is None):
        parser.error("give --settings or --apps")
    return options


def configure(options):
    """Makes a settings module of our own that stands before the project's, or for one."""
    settings = types.ModuleType("zdm_oracle_settings")
    if options.settings:
        os.environ["DJANGO_SETTINGS_MODULE"] = options.settings
        project = importlib.import_module(options.settings)
        for name in dir(project):
            if name.isupper():
                setattr(settings, name, getattr(project, name))
    else:
        settings.INSTALLED_APPS = [app for app in options.apps.split(",") if app]
        settings.SECRET_KEY = "replay"
        settings.USE_TZ = True
        settings.MIDDLEWARE = []
        settings.ROOT_URLCONF = "zdm_oracle_settings"
        settings.urlpatterns = []
        settings.STATIC_URL = "/static/"
        settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
    engine = getattr(settings, "DATABASES", {}).get("default", {}).get("ENGINE", "")
    if not any(word in engine for word in ("postgres", "postgis", "psqlextra", "pgtrigger")):
        engine = "django.db.backends.postgresql"
    settings.DATABASES = {
        "default": {
            "ENGINE": engine,
            "NAME": options.database,
            "HOST": options.host,
            "PORT": options.port,
            "USER": options.user,
        }
    }
    for pair in options.setting:
        name, _, value = pair.partition("=")
        setattr(settings, name, json.loads(value))
    sys.modules["zdm_oracle_settings"] = settings
    os.environ["DJANGO_SETTINGS_MODULE"] = "zdm_oracle_settings"
    # A settings module that imports from Django may have made it read the settings already, half written.
    import django.conf
    from django.utils.functional import empty

    if isinstance(django.conf.settings, django.conf.LazySettings):
        django.conf.settings._wrapped = empty
    else:
        # dynaconf has put an object of its own there.
        django.conf.settings = django.conf.LazySettings()


class Replay:
    """One pass through the plan. At any time at most one migration and one operation are current."""

    def __init__(self, connection, options):
        self.connection = connection
        self.options = options
        self.record = None  # the migration's entry in the report
        self.operation = None  # the operation's entry, None between operations and at the end of the migration
        self.python_depth = 0
        self.editor_depth = 0
        self.editor_sql = None  # what was handed to the schema editor, before Django worked on it
        self.editor_params = None
        self.owners = {}  # id of a deferred statement: (the statement, the operation's entry)
        self.paused = False
        self.models = {}
        self.tables = {}

    def run(self):
        import django
        from django.db.migrations.executor import MigrationExecutor

        connection = self.connection
        connection.SchemaEditorClass = self.traced(connection.SchemaEditorClass)
        self.patch_run_python()
        executor = MigrationExecutor(connection)
        executor.recorder.ensure_schema()
        recorder = executor.recorder
        recorder.record_applied = self.unseen(recorder.record_applied)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        state = executor._create_project_state(with_applied_migrations=True)
        only = set(self.options.only.split(",")) if self.options.only else None
        records = []
        applied = []
        failed = set()
        with connection.execute_wrapper(self.on_execute):
            for migration, _ in plan:
                key = (migration.app_label, migration.name)
                self.record = {
                    "app": migration.app_label,
                    "name": migration.name,
                    "path": getattr(sys.modules.get(type(migration).__module__), "__file__", None),
                    "atomic": bool(connection.features.can_rollback_ddl and migration.atomic),
                    "replaces": [list(replaced) for replaced in migration.replaces],
                    "operations": [],
                    "unattributed": [],
                    "models": {"changed": {}, "removed": []},
                    "tables": {"changed": {}, "removed": []},
                    "error": None,
                    "skipped": None,
                }
                if only is None or migration.app_label in only:
                    records.append(self.record)
                parents = executor.loader.graph.node_map[key].parents
                broken = sorted(parent.key for parent in parents if parent.key in failed)
                if broken:
                    failed.add(key)
                    self.record["skipped"] = "depends on {}.{}".format(*broken[0])
                    continue
                if "apps" not in state.__dict__:
                    state.apps  # Django renders all models before the first operation.
                self.prepare(migration)
                try:
                    state = executor.apply_migration(state, migration)
                    applied.append(migration)
                except Exception as error:
                    self.record["error"] = self.describe(error)
                    failed.add(key)
                    self.operation = None
                    if connection.in_atomic_block:
                        # An error in a deferred statement leaves the schema editor's transaction open.
                        connection.connection.rollback()
                        connection.in_atomic_block = False
                        connection.atomic_blocks = []
                        connection.savepoint_ids = []
                        connection.needs_rollback = False
                        connection.set_autocommit(True)
                    if not self.options.keep_going:
                        break
                    # The failed migration has left its mark on the state.
                    state = executor._create_project_state()
                    for done in applied:
                        state = done.mutate_state(state, preserve=False)
                finally:
                    self.owners.clear()
                self.differences(state)
        self.record = None
        report = {
            "version": 1,
            "django": django.get_version(),
            "python": ".".join(map(str, sys.version_info[:3])),
            "psycopg": self.driver(),
            "postgres": self.query("SHOW server_version")[0][0],
            "migrations": records,
            "models": self.dump_models(rendered_anew(state)) if self.options.models != "none" else {},
            "tables": self.dump_tables() if self.options.tables != "none" else {},
        }
        report.update(self.dump_others())
        return report

    def prepare(self, migration):
        """Wraps each top-level operation, so that statements find their owner."""
        from django.db.migrations.operations import RunPython

        for index, operation in enumerate(migration.operations):
            entry = {
                "index": index,
                "operation": type(operation).__name__,
                "python": isinstance(operation, RunPython),
                "statements": [],
                "deferred": [],
                "python_statements": [],
            }
            self.record["operations"].append(entry)
            operation.state_forwards = self.stated(entry, operation.state_forwards)
            operation.database_forwards = self.owned(entry, operation.database_forwards)

    def stated(self, entry, state_forwards):
        """A model that cannot be rendered is the fault of the operation that changes it."""

        def wrapper(app_label, state):
            self.operation = entry
            state_forwards(app_label, state)
            self.operation = None

        return wrapper

    def owned(self, entry, database_forwards):
        def wrapper(app_label, schema_editor, from_state, to_state):
            self.operation = entry
            database_forwards(app_label, schema_editor, from_state, to_state)
            self.operation = None
            for sql in schema_editor.deferred_sql:
                # The statement is kept beside its id, so that the id is not used again.
                self.owners.setdefault(id(sql), (sql, entry))

        return wrapper

    def patch_run_python(self):
        from django.db.migrations.operations import RunPython

        replay = self
        original = RunPython.database_forwards

        def database_forwards(operation, *arguments):
            if replay.operation is not None:
                replay.operation["python"] = True
            if replay.options.run_python:
                replay.python_depth += 1
                try:
                    original(operation, *arguments)
                finally:
                    replay.python_depth -= 1

        RunPython.database_forwards = database_forwards

    def traced(self, base):
        """The project's schema editor, with the outermost `execute` observed."""
        replay = self

        class TracedSchemaEditor(base):
            def execute(self, sql, params=()):
                replay.editor_depth += 1
                if replay.editor_depth == 1:
                    replay.editor_sql, replay.editor_params = sql, params
                try:
                    return super().execute(sql, params)
                finally:
                    replay.editor_depth -= 1
                    if replay.editor_depth == 0:
                        replay.editor_sql = replay.editor_params = None

        return TracedSchemaEditor

    def on_execute(self, execute, sql, params, many, context):
        self.note(str(sql) if not isinstance(sql, (str, bytes)) else sql, params, context)
        return execute(sql, params, many, context)

    def note(self, sql, params, context):
        if self.record is None or self.paused:
            return
        editor = self.editor_depth > 0
        # `transaction.atomic()` marks its transactions by other ways than statements, and its savepoints by these.
        if re.fullmatch(r'(RELEASE |ROLLBACK TO )?SAVEPOINT "s\d+_x\d+"', sql):
            return
        first = sql.lstrip().split(None, 1)[0].upper() if sql.strip() else ""
        if not editor and first in ("SELECT", "SHOW", "SAVEPOINT", "RELEASE", "ROLLBACK", "DECLARE", "FETCH", "CLOSE"):
            return
        statement = {
            "sql": self.inlined(sql, params, context),
            "in_transaction": self.connection.in_atomic_block,
            "order": self.count(),
            "editor": editor,
        }
        if self.operation is not None:
            self.operation["python_statements" if self.python_depth else "statements"].append(statement)
            return
        owner = self.owners.get(id(self.editor_sql)) if editor else None
        if owner is not None:
            owner[1]["deferred"].append(statement)
        else:
            self.record["unattributed"].append(statement)

    def count(self):
        operations = self.record["operations"]
        done = sum(
            len(entry[kind]) for entry in operations for kind in ("statements", "deferred", "python_statements")
        )
        return done + len(self.record["unattributed"])

    def inlined(self, sql, params, context):
        if params is None:
            return sql
        if self.editor_depth > 0 and self.editor_params is params:
            # Before 4.2 the schema editor hands parameters to the driver; `sqlmigrate` inlines them like this.
            quote = context["connection"].SchemaEditorClass.quote_value
            editor = context["connection"].schema_editor(collect_sql=True)
            if isinstance(params, dict):
                return sql % {name: self.quoted(quote, editor, value, context) for name, value in params.items()}
            return sql % tuple(self.quoted(quote, editor, value, context) for value in params)
        compose = getattr(self.connection.ops, "compose_sql", None)
        if compose is not None:
            return compose(sql, params)
        text = context["cursor"].cursor.mogrify(sql, params)
        return text.decode() if isinstance(text, bytes) else text

    def quoted(self, quote, editor, value, context):
        try:
            return quote(editor, value)
        except AttributeError:
            # An address of psycopg2 wants a connection, which `sqlmigrate` does not give it.
            return context["cursor"].cursor.mogrify("%s", [value]).decode()

    def unseen(self, function):
        def wrapper(*arguments, **keywords):
            with self.pause():
                return function(*arguments, **keywords)

        return wrapper

    @contextlib.contextmanager
    def pause(self):
        before, self.paused = self.paused, True
        try:
            yield
        finally:
            self.paused = before

    def describe(self, error):
        cause = error
        while cause is not None and not (getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)):
            cause = cause.__cause__
        sqlstate = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
        index = self.operation["index"] if self.operation is not None else None
        return {
            "operation": index,
            "type": type(error).__name__,
            "message": str(error).strip(),
            "sqlstate": sqlstate,
            "sql": self.last_sql() if sqlstate else None,
        }

    def last_sql(self):
        statements = list(self.record["unattributed"])
        for entry in self.record["operations"]:
            statements += entry["statements"] + entry["deferred"] + entry["python_statements"]
        return max(statements, key=lambda statement: statement["order"])["sql"] if statements else None

    def differences(self, state):
        if self.options.models == "each":
            self.models = difference(self.models, self.dump_models(state), self.record["models"])
        if self.options.tables == "each":
            self.tables = difference(self.tables, self.dump_tables(), self.record["tables"])

    # The state

    def dump_models(self, state):
        models = state.apps.get_models(include_swapped=True)
        return {model._meta.label: self.dump_model(model) for model in sorted(models, key=lambda m: m._meta.label)}

    def dump_model(self, model):
        meta = model._meta
        fields = sorted(list(meta.local_fields) + list(meta.local_many_to_many))
        dump = {
            "db_table": meta.db_table,
            "managed": meta.managed,
            "proxy": meta.proxy,
            "fields": [self.dump_field(field) for field in fields],
            "indexes": [dump_index(index) for index in meta.indexes],
            "constraints": [dump_constraint(constraint) for constraint in meta.constraints],
            "unique_together": sorted(list(columns) for columns in meta.unique_together),
        }
        if getattr(meta, "index_together", None):
            dump["index_together"] = sorted(list(columns) for columns in meta.index_together)
        return dump

    def dump_field(self, field):
        from django.db.models import NOT_PROVIDED

        remote = getattr(field, "remote_field", None)
        references = None
        if field.many_to_many:
            column = None
        else:
            column = field.column
            if remote is not None and column is not None:
                target = field.target_field
                references = {"table": target.model._meta.db_table, "column": target.column}
        dump = {
            "name": field.name,
            "column": column,
            # A generated column has the type of its output, which `db_type()` does not always say.
            "db_type": field.db_parameters(self.connection)["type"],
            "null": field.null,
            "primary_key": field.primary_key,
            "unique": field.unique,
            "db_index": field.db_index,
            "has_db_default": getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED,
            "references": references,
            "class": type(field).__name__,
        }
        if references is not None:
            dump["db_constraint"] = bool(getattr(field, "db_constraint", True))
        # A relation of tags has no table of its own, and a model that another one takes the place of has none at all.
        if field.many_to_many and getattr(remote, "through", None) is not None:
            dump["through"] = {
                "table": remote.through._meta.db_table,
                "auto_created": bool(remote.through._meta.auto_created),
            }
        return dump

    # The catalog

    def dump_tables(self):
        tables = {}
        relations = """
            SELECT c.oid::int8, CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
              AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
              AND c.relname <> 'django_migrations'
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        """
        names = {oid: name for oid, name in self.query(relations)}
        for oid, name in sorted(names.items(), key=lambda pair: pair[1]):
            tables[name] = {"columns": [], "constraints": [], "indexes": [], "triggers": []}

        def rows(sql):
            for oid, *values in self.query(sql):
                if oid in names:
                    yield tables[names[oid]], values

        columns = """
            SELECT a.attrelid::int8, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
                   pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, col.collname
            FROM pg_attribute a
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            LEFT JOIN pg_type t ON t.oid = a.atttypid
            LEFT JOIN pg_collation col ON col.oid = a.attcollation AND a.attcollation <> t.typcollation
            WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum
        """
        for table, (name, type_, null, default, identity, generated, collation) in rows(columns):
            column = {"name": name, "type": type_, "null": null, "default": default}
            if identity:
                column["identity"] = {"a": "always", "d": "by default"}[identity]
            if generated:
                # The expression of a generated column is no default.
                column["default"] = None
                column["generated"] = {"s": "stored", "v": "virtual"}[generated]
                column["expression"] = default
            if collation:
                column["collation"] = collation
            table["columns"].append(column)

        # Not-null constraints have entries of their own since 18; the column says it in every version.
        constraints = """
            SELECT conrelid::int8, conname, contype, pg_get_constraintdef(oid), convalidated
            FROM pg_constraint WHERE conrelid <> 0 AND contype <> 'n' ORDER BY conrelid, conname
        """
        kinds = {"p": "primary key", "u": "unique", "c": "check", "f": "foreign key", "x": "exclude", "t": "trigger"}
        for table, (name, kind, definition, valid) in rows(constraints):
            entry = {"name": name, "kind": kinds[kind], "definition": definition, "valid": valid}
            table["constraints"].append(entry)

        indexes = """
            SELECT i.indrelid::int8, c.relname, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisvalid
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid ORDER BY i.indrelid, c.relname
        """
        for table, (name, definition, unique, valid) in rows(indexes):
            table["indexes"].append({"name": name, "definition": definition, "unique": unique, "valid": valid})

        triggers = """
            SELECT tgrelid::int8, tgname, pg_get_triggerdef(oid), tgenabled <> 'D' FROM pg_trigger
            WHERE NOT tgisinternal ORDER BY tgrelid, tgname
        """
        for table, (name, definition, enabled) in rows(triggers):
            table["triggers"].append({"name": name, "definition": definition, "enabled": enabled})
        return tables

    def dump_others(self):
        """Sequences and views: names only."""
        relations = """
            SELECT c.relkind, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('S', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
              AND c.relname <> 'django_migrations_id_seq'
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
            ORDER BY c.relname
        """
        rows = self.query(relations)
        return {
            "sequences": [name for kind, name in rows if kind == "S"],
            "views": [name for kind, name in rows if kind != "S"],
        }

    def query(self, sql):
        with self.pause(), self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def driver(self):
        from django.db.backends.postgresql import base

        return base.Database.__version__.split(" ")[0]


def rendered_anew(state):
    """What the state says. While it goes from migration to migration Django renders only some models again, so that a
    proxy may stay behind its parent. Where the base of a model was renamed, nothing can be rendered anew."""
    fresh = state.clone()
    fresh.__dict__.pop("apps", None)
    try:
        fresh.apps
    except Exception:
        return state
    return fresh


def difference(old, new, entry):
    entry["changed"] = {name: value for name, value in new.items() if old.get(name) != value}
    entry["removed"] = sorted(name for name in old if name not in new)
    return new


def dump_index(index):
    return {
        "name": index.name,
        "class": type(index).__name__,
        "fields": list(index.fields),
        "expressions": len(getattr(index, "expressions", ())),
        "include": list(index.include or ()),
        "opclasses": list(index.opclasses or ()),
        "partial": index.condition is not None,
    }


def dump_constraint(constraint):
    return {
        "name": constraint.name,
        "class": type(constraint).__name__,
        "fields": list(getattr(constraint, "fields", None) or ()),
        "expressions": len(getattr(constraint, "expressions", None) or ()),
        "include": list(getattr(constraint, "include", None) or ()),
        "partial": type(constraint).__name__ != "CheckConstraint" and getattr(constraint, "condition", None) is not None,
    }


if __name__ == "__main__":
    main()
