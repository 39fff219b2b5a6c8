"""What the tests of the packages share: programs, repositories, projects.

`ZDM_WHEELS` is a folder with the wheel under test; `cargo xtask packages` builds it and runs these tests.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WHEELS = pathlib.Path(os.environ["ZDM_WHEELS"]).resolve()
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE).group(1)
REPOSITORY = re.search(r'^repository = "(.+)"$', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE).group(1)

HEAD = "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n"
INITIAL = HEAD + """    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[("id", models.BigAutoField(primary_key=True)), ("number", models.CharField(max_length=20))],
        ),
    ]
"""


def index(name, after):
    """A migration that builds an index with a lock: one finding."""
    return HEAD + f"""    dependencies = [("shop", "{after}")]
    operations = [
        migrations.AddIndex("order", models.Index(fields=["number"], name="{name}")),
    ]
"""


def nullable(name, after):
    """A migration without a finding."""
    return HEAD + f"""    dependencies = [("shop", "{after}")]
    operations = [
        migrations.AddField("order", "{name}", models.TextField(null=True)),
    ]
"""


def environment(**more):
    """As little as programs need; nothing of the CI system that these tests themselves run on."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TMPDIR", "LANG") if name in os.environ}
    for name in os.environ:
        if name.lower().endswith("_proxy") or name in ("PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            kept[name] = os.environ[name]
    identity = {"NAME": "A", "EMAIL": "a@example.org"}
    for who in ("AUTHOR", "COMMITTER"):
        kept |= {f"GIT_{who}_{what}": value for what, value in identity.items()}
    kept |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": tempfile.gettempdir()}
    return kept | {name: str(value) for name, value in more.items()}


def run(*command, cwd, env=None, check=True, **more):
    command = [str(word) for word in command]
    done = subprocess.run(command, cwd=cwd, env=env or environment(), capture_output=True, text=True, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class Repository:
    """A git repository with an app `shop`, on the branch `main`."""

    def __init__(self, folder, below=""):
        self.folder = pathlib.Path(folder)
        self.below = below
        self.folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")
        self.write("manage.py", "")
        self.write("shop/__init__.py", "")
        self.write("shop/migrations/__init__.py", "")
        self.migration("0001_initial", INITIAL)

    def git(self, *arguments, check=True):
        return run("git", *arguments, cwd=self.folder, check=check).stdout.strip()

    def write(self, path, text):
        path = self.folder / self.below / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def migration(self, name, text):
        self.write(f"shop/migrations/{name}.py", text)

    def commit(self, message="more"):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")


def pull_request(folder, below="", feature=None, later=True):
    """`main` with an old finding, a branch `feature` with new migrations, and the merge of both as `refs/pull/7/merge`."""
    origin = Repository(folder, below)
    origin.migration("0002_old", index("order_old_idx", "0001_initial"))
    origin.commit("first")
    origin.git("checkout", "-q", "-b", "feature")
    for name, text in (feature or {"0003_new": index("order_new_idx", "0002_old")}).items():
        origin.migration(name, text)
    origin.feature = origin.commit("feature")
    origin.git("checkout", "-q", "main")
    origin.base = origin.git("rev-parse", "HEAD")
    if later:
        for number in range(3):
            origin.write(f"notes-{number}", "")
            origin.commit()
    origin.main = origin.git("rev-parse", "HEAD")
    origin.git("checkout", "-q", "--detach")
    origin.git("merge", "-q", "--no-ff", "-m", "merge", "feature")
    origin.merge = origin.git("rev-parse", "HEAD")
    origin.git("update-ref", "refs/pull/7/merge", "HEAD")
    origin.git("checkout", "-q", "main")
    # As the hosting services do.
    origin.git("config", "uploadpack.allowAnySHA1InWant", "true")
    return origin


def clone(origin, folder, *fetch, checkout):
    """A clone in the way of a CI system: only what `fetch` asks for, HEAD detached at a commit."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    run("git", "init", "-q", "-b", "none", cwd=folder)
    run("git", "remote", "add", "origin", origin.folder.resolve().as_uri(), cwd=folder)
    run("git", "fetch", "-q", "--no-tags", *fetch, cwd=folder)
    run("git", "checkout", "-q", "--detach", checkout, cwd=folder)
    return folder


_installed = None


def installed():
    """The folder with the programs of the wheel, in a fresh virtual environment."""
    global _installed
    if _installed is None:
        place = pathlib.Path(tempfile.mkdtemp(prefix="zdm-venv-"))
        run(sys.executable, "-m", "venv", place, cwd=place)
        scripts = place / ("Scripts" if os.name == "nt" else "bin")
        run(
            scripts / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--no-index", "--find-links", WHEELS, "zdm-lint", cwd=place,
        )
        _installed = scripts
    return _installed


def program(name="zdm-lint"):
    return installed() / name
