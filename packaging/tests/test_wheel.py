"""The wheel, installed into a fresh virtual environment."""

import json
import os
import pathlib
import sys
import tempfile
import unittest
import zipfile

import support


class Wheel(unittest.TestCase):
    def test_both_programs_are_in_it_and_run(self):
        (wheel,) = support.WHEELS.glob("zdm_lint-*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        scripts = sorted(pathlib.PurePosixPath(name).stem for name in names if ".data/scripts/" in name)
        self.assertEqual(scripts, ["zdm", "zdm-lint"])
        self.assertTrue(any("LICENSE-MIT" in name for name in names), names)
        for name in scripts:
            said = support.run(support.program(name), "--version", cwd=support.ROOT).stdout
            self.assertEqual(said.strip(), f"{name} {support.VERSION}")
        self.assertIn("backfill", support.run(support.program("zdm"), "--help", cwd=support.ROOT).stdout)

    def test_a_project_is_linted(self):
        done = support.run(
            support.program(), "fixtures/shop", "--format", "json", cwd=support.ROOT, check=False
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        report = json.loads(done.stdout)
        self.assertGreater(len(report["diagnostics"]), 10)
        for finding in report["diagnostics"]:
            name = finding["url"].rsplit("/", 1)[1]
            self.assertTrue((support.ROOT / "rules" / name).is_file(), finding["url"])

    def test_pip_builds_it_from_source(self):
        """`pip install .` in this checkout, with maturin from the index in an environment of pip's own."""
        with tempfile.TemporaryDirectory() as folder:
            kept = ("HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR", "PIP_CONFIG_FILE")
            environment = support.environment(
                **{name: os.environ[name] for name in kept if name in os.environ},
                ZDM_BUILD="source",
                # What the tests have built is used again.
                MATURIN_PEP517_ARGS="--profile dev --auditwheel skip --locked",
            )
            support.run(sys.executable, "-m", "venv", folder, cwd=folder)
            python = pathlib.Path(folder) / "bin/python"
            support.run(python, "-m", "pip", "install", "--quiet", ".", cwd=support.ROOT, env=environment)
            for name in ("zdm-lint", "zdm"):
                said = support.run(python.parent / name, "--version", cwd=folder).stdout
                self.assertEqual(said.strip(), f"{name} {support.VERSION}")

    def test_the_source_is_taken_unless_it_is_a_release(self):
        """`pip install .` of a checkout that is no release asks for maturin; of a release, for nothing."""
        script = "import sys; sys.path.insert(0, 'packaging'); import backend; print(backend.get_requires_for_build_wheel())"
        with tempfile.TemporaryDirectory() as folder:
            repository = release(pathlib.Path(folder) / "repository")
            python = support.installed() / "python"
            environment = support.environment(PIP_NO_INDEX="1", PIP_FIND_LINKS=support.WHEELS)

            def required(**more):
                return support.run(python, "-c", script, cwd=repository, env=environment | more).stdout.strip()

            self.assertEqual(required(), "[]")
            self.assertIn("maturin", required(ZDM_BUILD="source"))
            self.assertIn("maturin", required(PIP_FIND_LINKS=folder), "no wheel for this platform")
            (repository / "README.md").write_text("changed")
            self.assertIn("maturin", required())
            support.run("git", "commit", "-qam", "after the release", cwd=repository)
            self.assertIn("maturin", required())


def release(folder):
    """A repository with what `pip install` and pre-commit need of this one, at the tag of its version."""
    folder.mkdir()
    for name in (".pre-commit-hooks.yaml", "pyproject.toml", "Cargo.toml", "README.md", "LICENSE-MIT", "packaging/backend.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((support.ROOT / name).read_bytes())
    support.run("git", "init", "-q", "-b", "main", cwd=folder)
    support.run("git", "add", "-A", cwd=folder)
    support.run("git", "commit", "-q", "-m", "release", cwd=folder)
    support.run("git", "tag", f"v{support.VERSION}", cwd=folder)
    return folder


if __name__ == "__main__":
    unittest.main()
