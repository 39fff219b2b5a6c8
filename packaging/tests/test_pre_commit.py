"""The hook, run by the real pre-commit in a temporary repository."""

import os
import pathlib
import sys
import tempfile
import unittest

import support
from test_wheel import release


class PreCommit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.guard = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.guard.name)
        cls.hooks = release(cls.folder / "hooks")

    @classmethod
    def tearDownClass(cls):
        cls.guard.cleanup()

    def repository(self, name, hook="zdm-lint"):
        repository = support.Repository(self.folder / name)
        config = (support.ROOT / "docs/ci/pre-commit.yaml").read_text()
        self.assertIn(support.REPOSITORY, config)
        self.assertIn(f"v{support.VERSION}", config)
        config = config.replace(support.REPOSITORY, str(self.hooks)).replace("id: zdm-lint", f"id: {hook}")
        (repository.folder / ".pre-commit-config.yaml").write_text(config)
        repository.migration("0002_old", support.index("order_old_idx", "0001_initial"))
        repository.commit("first")
        return repository

    def pre_commit(self, repository, *arguments, path=None):
        environment = support.environment(
            PRE_COMMIT_HOME=self.folder / "home",
            # The release's wheel, and nothing else.
            PIP_NO_INDEX="1",
            PIP_FIND_LINKS=support.WHEELS,
        )
        if path:
            environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
        command = [sys.executable, "-m", "pre_commit", *arguments, "--color", "never"]
        done = support.run(*command, cwd=repository.folder, env=environment, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_only_staged_migrations_are_reported_and_the_whole_project_is_replayed(self):
        repository = self.repository("staged")
        code, said = self.pre_commit(repository, "run")
        self.assertEqual(code, 0, said)
        # The field that this one drops was made by a migration that is not staged.
        drop = support.HEAD + '    dependencies = [("shop", "0002_old")]\n    operations = [\n        migrations.RemoveField("order", "number"),\n    ]\n'
        repository.migration("0003_drop", drop)
        repository.git("add", "-A")
        repository.migration("0004_unstaged", support.index("order_unstaged_idx", "0003_drop").replace("number", "id"))
        code, said = self.pre_commit(repository, "run")
        self.assertEqual(code, 1, said)
        self.assertIn("shop/migrations/0003_drop.py", said)
        self.assertIn("ZDM201", said)
        self.assertNotIn("0002_old.py", said)
        self.assertNotIn("0004_unstaged", said)
        self.assertIn("4 migrations replayed", said, "git does not put untracked files away")
        # As part of a commit.
        repository.git("reset", "-q")
        (repository.folder / "shop/migrations/0003_drop.py").unlink()
        (repository.folder / "shop/migrations/0004_unstaged.py").unlink()
        repository.migration("0003_note", support.nullable("note", "0002_old"))
        repository.git("add", "-A")
        code, said = self.pre_commit(repository, "run")
        self.assertEqual(code, 0, said)
        self.assertIn("Passed", said)

    def test_other_files_do_not_start_it(self):
        repository = self.repository("others")
        repository.write("shop/models.py", "x = 1\n")
        repository.git("add", "-A")
        code, said = self.pre_commit(repository, "run")
        self.assertEqual(code, 0, said)
        self.assertIn("Skipped", said)

    def test_all_files_and_migrations_that_are_not_djangos(self):
        repository = self.repository("all")
        code, said = self.pre_commit(repository, "run", "--all-files")
        self.assertEqual(code, 1, said)
        self.assertIn("0002_old.py", said)
        alembic = pathlib.Path(self.folder / "alembic")
        alembic.mkdir()
        support.run("git", "init", "-q", cwd=alembic)
        (alembic / "migrations").mkdir()
        (alembic / "migrations/env.py").write_text("x = 1\n")
        (alembic / ".pre-commit-config.yaml").write_bytes((repository.folder / ".pre-commit-config.yaml").read_bytes())
        support.run("git", "add", "-A", cwd=alembic)
        holder = type("Repository", (), {"folder": alembic})
        code, said = self.pre_commit(holder, "run", "--all-files")
        self.assertEqual(code, 0, said)

    def test_the_installed_program(self):
        repository = self.repository("system", hook="zdm-lint-system")
        repository.migration("0003_new", support.index("order_new_idx", "0002_old"))
        repository.git("add", "-A")
        code, said = self.pre_commit(repository, "run", path=support.installed())
        self.assertEqual(code, 1, said)
        self.assertIn("0003_new.py", said)
        self.assertNotIn("0002_old.py", said)


if __name__ == "__main__":
    unittest.main()
