"""The guard's part inside a Django process: `zdm migrate` puts this file first on PYTHONPATH.

Python imports it at its start, before the program. It waits until Django's database modules are imported and then
stands on their hooks: `connection_created` (a new connection is checked and reported), `execute_wrappers` (before each
statement `zdm` says which timeouts it gets), and the migration executor (which migrations run, and whether one that
failed runs again). It decides nothing itself: every question goes to `zdm` over a unix socket, one JSON object per
line. When `zdm` is gone, statements under way are cancelled and the process ends, so that nothing is left that blocks.

Any Python from 3.6 on, psycopg 2 and 3, Django from 3.2 on.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import json
import os
import sys
import threading
import time

ENDED = 4  # the exit code when zdm stops the process


class Stopped(SystemExit):
    """`zdm` refused to go on and says why itself; leaves transactions by the ordinary way, so that they roll back."""


class Link:
    """The two connections to `zdm`: questions and answers on one, its orders on the other."""

    def __init__(self, path):
        self.path = path
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.questions = None
        self.stopped = False
        self.django = {}  # Django's connections by their number

    def ask(self, **message):
        """Sends a question and returns the answer. An answer that refuses ends the process."""
        with self.lock:
            self.open()
            try:
                self.send(message)
                line = self.questions.readline()
            except OSError:
                line = b""
            if not line.endswith(b"\n"):
                self.abandon()
        answer = json.loads(line.decode("utf-8"))
        if answer.get("refuse"):
            self.stopped = True
            raise Stopped(ENDED)
        return answer

    def tell(self, **message):
        """Sends a report that has no answer."""
        with self.lock:
            self.open()
            try:
                self.send(message)
            except OSError:
                self.abandon()

    def send(self, message):
        self.questions.write(json.dumps(message).encode("utf-8") + b"\n")
        self.questions.flush()

    def open(self):
        if self.pid != os.getpid():
            # A fork: the sockets are the parent's, and its thread did not come along.
            self.__init__(self.path)
        if self.questions is not None:
            return
        import socket

        try:
            sockets = []
            for role in (b"questions", b"orders"):
                end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                end.connect(self.path)
                end.sendall(b'{"role": "%s", "process": %d}\n' % (role, self.pid))
                sockets.append(end)
        except OSError:
            self.abandon()
        sockets[0].settimeout(30)
        self.questions = sockets[0].makefile("rwb")
        self.sockets = sockets
        thread = threading.Thread(target=self.obey, args=(sockets[1],), name="zdm", daemon=True)
        thread.start()

    def obey(self, orders):
        """Waits for the order to stop, or for the end of `zdm`."""
        lines = orders.makefile("rb")
        while True:
            try:
                line = lines.readline()
            except OSError:
                line = b""
            if self.pid != os.getpid():
                return
            if not line.endswith(b"\n"):
                self.abandon()
            order = json.loads(line.decode("utf-8"))
            if order.get("order") == "stop":
                self.stopped = True
                self.cancel_all()

    def cancel_all(self):
        for connection in list(self.django.values()):
            raw = connection.connection
            try:
                if raw is not None and raw.info.transaction_status == 1:  # a statement is under way
                    raw.cancel()
            except Exception:
                pass  # Whatever is wrong with the connection, the process ends next.

    def abandon(self):
        """`zdm` is gone. Python cannot be trusted to unwind here: another thread may sit in a statement."""
        self.cancel_all()
        try:
            import shutil

            shutil.rmtree(os.path.dirname(self.path), ignore_errors=True)
            sys.stderr.write("zdm ended, so this process ends too\n")
            sys.stderr.flush()
        finally:
            os._exit(ENDED)


class Guard:
    """One Django connection."""

    def __init__(self, number, session_idle):
        self.number = number
        self.session_idle = session_idle
        self.in_force = None
        self.ended = None
        self.cache = {}
        self.seen = [0, 0.0, False]  # statements whose answer was known, their seconds, whether one of them writes


def sqlstate_of(error):
    """The first SQLSTATE among an error and its causes."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        if state:
            return state
        error = error.__cause__ or error.__context__
    return None


def literal(value):
    """A parameter as SQL, for the judgement of the statement only; the value itself does not matter much."""
    if value is None:
        return "NULL"
    if value is True or value is False:
        return str(value)
    if isinstance(value, (int, float)):
        return str(value)
    return "'" + str(value)[:200].replace("'", "''") + "'"


def with_values(sql, params):
    if not params:
        return None
    try:
        if isinstance(params, dict):
            return sql % {name: literal(value) for name, value in params.items()}
        return sql % tuple(literal(value) for value in params)
    except Exception:
        return None


def on_connection(connection, **_):
    if connection.vendor != "postgresql":
        return
    import django

    raw = connection.connection
    cursor = raw.cursor()
    rows = {}
    try:
        cursor.execute(
            "SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN "
            "('lock_timeout', 'idle_in_transaction_session_timeout', 'application_name') "
            "UNION ALL SELECT 'pid', pg_catalog.pg_backend_pid()::text "
            "UNION ALL SELECT 'database', pg_catalog.current_database()::text "
            "UNION ALL SELECT 'in_recovery', pg_catalog.pg_is_in_recovery()::text"
        )
        rows = dict(cursor.fetchall())
    finally:
        cursor.close()
    settings = connection.settings_dict
    options = settings.get("OPTIONS") or {}
    answer = LINK.ask(
        op="connect",
        alias=connection.alias,
        backend=int(rows["pid"]),
        key=int(getattr(raw.info, "backend_pid", 0) or 0),
        database=rows["database"],
        lock_timeout=rows["lock_timeout"],
        application=rows["application_name"],
        shadowed=[name for name in ("options", "application_name") if name in options],
        pool=bool(options.get("pool")),
        django=django.get_version(),
        driver=type(raw).__module__.split(".")[0],
    )
    guard = Guard(answer["connection"], int(rows["idle_in_transaction_session_timeout"]))
    if answer.get("prove"):
        prove_direct(connection, guard, int(rows["pid"]))
    # The floor, whatever the settings shadow, and the proof that it holds.
    force(raw, guard, answer["lock_timeout"], answer["statement_timeout"], None)
    if answer.get("check_interval"):
        raw_execute(raw, "SELECT pg_catalog.set_config('client_connection_check_interval', '1000', false)")
    found = raw_execute(
        raw,
        "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'lock_timeout' "
        "UNION ALL SELECT pg_catalog.pg_backend_pid()::text",
    )
    if raw.info.transaction_status == 2:  # without autocommit these statements have opened a transaction
        raw.commit()
    LINK.ask(op="checked", connection=guard.number, lock_timeout=found[0][0], backend=int(found[1][0]))
    # A connection object outlives its sessions: the hooks stay, the state is the new session's.
    LINK.django[guard.number] = connection
    first = not hasattr(connection, "_zdm_guard")
    connection._zdm_guard = guard
    if first:
        connection.execute_wrappers.append(on_statement)
        watch_ends(connection)


def prove_direct(connection, guard, backend):
    """Whether our session keeps its server process while another connection of ours is inside a transaction."""
    other = connection.get_new_connection(connection.get_connection_params())
    try:
        cursor = other.cursor()
        cursor.execute("BEGIN")
        cursor.execute("SELECT pg_catalog.pg_backend_pid()")
        others = cursor.fetchone()[0]
        ours = int(raw_execute(connection.connection, "SELECT pg_catalog.pg_backend_pid()")[0][0])
        cursor.execute("ROLLBACK")
    finally:
        other.close()
    LINK.ask(op="proved", connection=guard.number, direct=ours == backend and others != ours)


def watch_ends(connection):
    """Says how a transaction ended; Django sends COMMIT and ROLLBACK past the execute wrappers."""

    def noting(method, end):
        def call(*args, **kwargs):
            guard = connection._zdm_guard
            raw = connection.connection
            was_open = raw is not None and raw.info.transaction_status in (1, 2, 3)
            failed = raw is not None and raw.info.transaction_status == 3
            if was_open:
                flush(guard)
            try:
                result = method(*args, **kwargs)
            except BaseException:
                guard.ended = "unknown" if was_open else guard.ended
                guard.in_force = None
                guard.cache.clear()
                raise
            if was_open:
                guard.ended = "rollback" if failed else end
                if guard.ended == "rollback":
                    guard.in_force = None
                guard.cache.clear()
                LINK.tell(op="end", connection=guard.number, end=guard.ended)
            return result

        return call

    connection.commit = noting(connection.commit, "commit")
    connection.rollback = noting(connection.rollback, "rollback")


def flush(guard):
    count, seconds, writes = guard.seen
    if count:
        guard.seen = [0, 0.0, False]
        LINK.tell(op="seen", connection=guard.number, count=count, seconds=seconds, writes=writes)


def raw_execute(raw, sql):
    cursor = raw.cursor()
    try:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []
    finally:
        cursor.close()


def force(raw, guard, lock, statement, idle):
    """Sets the timeouts, in milliseconds, unless they are in force."""
    idle = guard.session_idle if idle is None else idle
    wanted = (int(lock), int(statement), int(idle))
    if guard.in_force == wanted:
        return
    raw_execute(
        raw,
        "SELECT pg_catalog.set_config('lock_timeout', '%d', false), "
        "pg_catalog.set_config('statement_timeout', '%d', false), "
        "pg_catalog.set_config('idle_in_transaction_session_timeout', '%d', false)" % wanted,
    )
    guard.in_force = wanted


def on_statement(execute, sql, params, many, context):
    connection = context["connection"]
    guard = getattr(connection, "_zdm_guard", None)
    raw = connection.connection
    if guard is None or raw is None:
        return execute(sql, params, many, context)
    if LINK.stopped:
        raise Stopped(ENDED)
    text = sql if isinstance(sql, str) else composed(sql, raw)
    status = raw.info.transaction_status
    key = (text, status)
    known = guard.cache.get(key)
    started = time.monotonic()
    if known is not None:
        timeouts, reads = known
        force(raw, guard, *timeouts)
        result = execute(sql, params, many, context)
        guard.seen[0] += 1
        guard.seen[1] += time.monotonic() - started
        guard.seen[2] |= not reads
        return result
    flush(guard)
    attempt = 1
    while True:
        answer = LINK.ask(
            op="statement",
            connection=guard.number,
            sql=text,
            values=None if many else with_values(text, params),
            many=bool(many),
            open=status in (2, 3),
            autocommit=bool(raw.autocommit),
            attempt=attempt,
        )
        for first in answer.get("first", ()):
            force(raw, guard, 0, 0, 0)
            raw_execute(raw, first)
        if answer.get("skip"):
            return None
        timeouts = (answer["lock_timeout"], answer["statement_timeout"], answer.get("idle_timeout"))
        if status != 3:  # in a failed transaction the server refuses everything but its end, and settings with it
            force(raw, guard, *timeouts)
        if answer.get("forget"):
            guard.cache.clear()
        if answer.get("resets") or status == 3:
            guard.in_force = None
        started = time.monotonic()
        try:
            result = execute(sql, params, many, context)
        except BaseException as error:
            seconds = time.monotonic() - started
            guard.cache.clear()
            closed = bool(getattr(raw, "closed", 0))
            if LINK.stopped and isinstance(error, Exception):
                raise Stopped(ENDED)
            answer = LINK.ask(
                op="failed",
                connection=guard.number,
                seconds=seconds,
                sqlstate=sqlstate_of(error),
                message=str(error)[:2000],
                closed=closed,
                alone=not closed and status == 0 and raw.info.transaction_status == 0 and not many,
                interrupt=not isinstance(error, Exception),
            )
            if not answer.get("retry"):
                raise
            pause(answer["delay"])
            attempt += 1
            continue
        LINK.tell(op="done", connection=guard.number, seconds=time.monotonic() - started)
        if answer.get("keep"):
            if len(guard.cache) > 1000:
                guard.cache.clear()
            kept = (timeouts, bool(answer.get("reads")))
            guard.cache[(text, raw.info.transaction_status)] = kept
            if status == raw.info.transaction_status:
                guard.cache[key] = kept
        return result


def composed(sql, raw):
    try:
        return sql.as_string(raw)
    except Exception:
        return str(sql)


def pause(seconds):
    until = time.monotonic() + seconds
    while not LINK.stopped and time.monotonic() < until:
        time.sleep(min(0.1, max(0.0, until - time.monotonic())))
    if LINK.stopped:
        raise Stopped(ENDED)


def on_executor(module):
    executor = module.MigrationExecutor
    migrate, apply, unapply = executor.migrate, executor.apply_migration, executor.unapply_migration
    signature = inspect.signature(migrate)

    def guarded_migrate(self, *args, **kwargs):
        call = signature.bind(self, *args, **kwargs)
        call.apply_defaults()
        values = call.arguments
        if not watched(self.connection):
            return migrate(*call.args, **call.kwargs)
        if values.get("plan") is None:
            values["plan"] = self.migration_plan(values["targets"])
        plan = values["plan"]
        answer = LINK.ask(
            op="plan",
            alias=self.connection.alias,
            fake=bool(values.get("fake")),
            migrations=[describe(migration, backwards) for migration, backwards in plan],
        )
        run = answer["run"]
        values["plan"] = [step for step, wanted in zip(plan, run) if wanted]
        return migrate(*call.args, **call.kwargs)

    def guarded(method, backwards, start, end):
        def call(self, state, migration, *args, **kwargs):
            fake = kwargs.get("fake", args[0] if args else False)
            if fake or not watched(self.connection):
                return method(self, state, migration, *args, **kwargs)
            return run_migration(self, method, state, migration, args, kwargs, backwards, start)

        return call

    executor.migrate = guarded_migrate
    executor.apply_migration = guarded(apply, False, "apply_start", "apply_success")
    executor.unapply_migration = guarded(unapply, True, "unapply_start", "unapply_success")


def watched(connection):
    if connection.vendor != "postgresql":
        return False
    connection.ensure_connection()
    return hasattr(connection, "_zdm_guard")


def describe(migration, backwards):
    module = sys.modules.get(type(migration).__module__)
    path = getattr(module, "__file__", None)
    return {
        "app": migration.app_label,
        "name": migration.name,
        "backwards": bool(backwards),
        "path": os.path.abspath(path) if path else None,
        "depends": [list(parent) for parent in migration.dependencies if isinstance(parent, (list, tuple))],
    }


def run_migration(executor, method, state, migration, args, kwargs, backwards, start):
    """Runs one migration, again where `zdm` says so."""
    from django.db import transaction

    connection = executor.connection
    atomic = bool(migration.atomic) and connection.features.can_rollback_ddl
    saved = None if backwards else copy_of(state)
    progress = executor.progress_callback
    attempt = 1
    try:
        while True:
            connection.ensure_connection()
            # Django reconnects by itself when a lost connection is noticed, and the guard is another one then.
            guard = connection._zdm_guard
            flush(guard)
            LINK.ask(
                op="migration",
                connection=guard.number,
                app=migration.app_label,
                name=migration.name,
                backwards=backwards,
                atomic=atomic,
                attempt=attempt,
            )
            try:
                if atomic:
                    # The record in django_migrations commits with the migration: Django itself writes it afterwards
                    # where there is deferred SQL, and a process killed in between could not run again.
                    with transaction.atomic(using=connection.alias):
                        result = method(executor, state, migration, *args, **kwargs)
                else:
                    result = method(executor, state, migration, *args, **kwargs)
            except BaseException as error:
                flush(guard)
                answer = LINK.ask(
                    op="migration_failed",
                    connection=guard.number,
                    sqlstate=sqlstate_of(error),
                    message=str(error)[:2000],
                    interrupt=not isinstance(error, Exception),
                    nested=bool(connection.in_atomic_block),
                )
                if not answer.get("retry"):
                    raise
                if answer.get("reconnect"):
                    connection.close()
                pause(answer["delay"])
                attempt += 1
                state = state if saved is None else copy_of(saved)
                if progress is not None:
                    executor.progress_callback = without(progress, start)
                continue
            flush(guard)
            LINK.ask(op="migration_done", connection=guard.number)
            return result
    finally:
        executor.progress_callback = progress


def without(progress, start):
    """The progress callback of a second attempt: the line is begun already."""

    def call(action, *args, **kwargs):
        if action not in (start, "render_start", "render_success"):
            return progress(action, *args, **kwargs)

    return call


def copy_of(state):
    """A copy of a project state without its rendered models, which are made anew where they are needed."""
    rendered = state.__dict__.pop("apps", None)
    try:
        return state.clone()
    finally:
        if rendered is not None:
            state.__dict__["apps"] = rendered


def on_django(module):
    """A command that never comes to a database has reported all the same."""
    LINK.ask(op="loaded", version=sys.version.split()[0])


def on_signals(module):
    module.connection_created.connect(on_connection, weak=False, dispatch_uid="zdm")


def on_base(module):
    """Says why a connection cannot be opened, where that is our doing."""
    wrapper = module.DatabaseWrapper
    new = wrapper.get_new_connection

    def get_new_connection(self, *args, **kwargs):
        try:
            return new(self, *args, **kwargs)
        except Exception as error:
            LINK.ask(op="no_connection", alias=self.alias, message=str(error)[:2000])
            raise

    wrapper.get_new_connection = get_new_connection


HOOKS = {
    "django": on_django,
    "django.db.backends.signals": on_signals,
    "django.db.backends.postgresql.base": on_base,
    "django.db.migrations.executor": on_executor,
}


class Finder(importlib.abc.MetaPathFinder):
    """Calls a hook right after its module was imported."""

    def __init__(self):
        self.busy = threading.local()

    def find_spec(self, name, path=None, target=None):
        if name not in HOOKS or getattr(self.busy, "name", None) == name:
            return None
        self.busy.name = name
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.busy.name = None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            HOOKS[name](module)

        spec.loader.exec_module = exec_module
        return spec


def behind():
    """Runs the `sitecustomize` that this one stands in front of."""
    here = os.path.dirname(os.path.abspath(__file__))
    path = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]
    sys.path[:] = path
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


sys.modules["_zdm_guard"] = sys.modules[__name__]  # stays, whatever takes the name `sitecustomize`
LINK = Link(os.environ["ZDM_GUARD_SOCKET"]) if os.environ.get("ZDM_GUARD_SOCKET") else None
if LINK is not None:
    sys.meta_path.insert(0, Finder())
    if os.environ.get("ZDM_GUARD_PROBE"):
        LINK.ask(op="loaded", version=sys.version.split()[0])
behind()
