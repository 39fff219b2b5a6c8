"""Workflows, the action's manifest and the snippets for CI systems, against each system's published schema, and what the
release workflow refers to."""

import pathlib
import re
import sys
import tempfile
import unittest

import yaml

import support

BIN = pathlib.Path(sys.executable).parent
SCHEMAS = {
    ".github/workflows/ci.yml": "github-workflows",
    ".github/workflows/release.yml": "github-workflows",
    "action.yml": "github-actions",
    "docs/ci/github.yml": "github-workflows",
    "docs/ci/gitlab.yml": "gitlab-ci",
    "docs/ci/azure.yml": "azure-pipelines",
    "docs/ci/bitbucket.yml": "bitbucket-pipelines",
    "docs/ci/circleci.yml": "circle-ci",
    "docs/ci/buildkite.yml": "buildkite",
}
RELEASE = yaml.safe_load((support.ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))


class Workflows(unittest.TestCase):
    def test_each_is_of_its_systems_schema(self):
        for path, schema in SCHEMAS.items():
            with self.subTest(path):
                support.run(
                    BIN / "check-jsonschema", "--regex-variant", "nonunicode", "--builtin-schema", f"vendor.{schema}", path,
                    cwd=support.ROOT,
                )
        listed = {str(path.relative_to(support.ROOT)) for path in (support.ROOT / "docs/ci").glob("*.yml")}
        self.assertEqual(listed - set(SCHEMAS), set())

    def test_nothing_of_them_is_unsafe(self):
        """Injection through expressions, credentials that stay, permissions that are too wide, actions without a pin."""
        support.run(BIN / "zizmor", "--offline", "--no-progress", ".github", "action.yml", cwd=support.ROOT)

    def test_what_the_release_refers_to_is_there(self):
        jobs = RELEASE["jobs"]
        for name, job in jobs.items():
            needs = job.get("needs", [])
            for needed in [needs] if isinstance(needs, str) else needs:
                self.assertIn(needed, jobs, name)
        scripts = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
        for path in re.findall(r"(?:Cargo\.toml|fixtures/\S+|README\.md|CHANGELOG\.md|LICENSE-\S)", scripts):
            self.assertTrue(list(support.ROOT.glob(path)), path)
        # The command that packs the editor's extension, with each platform's program under the name that it is archived by.
        targets = {row["target"] for row in jobs["wheel"]["strategy"]["matrix"]["include"]}
        packed = dict(re.findall(r"package (\S+) (\S+) zdm-lint", scripts))
        self.assertEqual(set(packed), targets)
        self.assertEqual(len(set(packed.values())), len(targets))

    def test_the_archive_is_what_the_extension_is_packed_from(self):
        """The step `Archive`, run on programs of this platform, and the lines that take them out again."""
        (step,) = [step for step in RELEASE["jobs"]["wheel"]["steps"] if step.get("name") == "Archive"]
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "target/x86_64-unknown-linux-gnu/release").mkdir(parents=True)
            (folder / "dist").mkdir()
            for name in ("zdm", "zdm-lint"):
                program = folder / "target/x86_64-unknown-linux-gnu/release" / name
                program.write_bytes(support.program(name).read_bytes())
                program.chmod(0o755)
            for name in ("README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"):
                (folder / name).write_bytes((support.ROOT / name).read_bytes())
            environment = support.environment(TARGET="x86_64-unknown-linux-gnu")
            support.run("bash", "-eo", "pipefail", "-c", step["run"], cwd=folder, env=environment)
            support.run("tar", "-xzf", "dist/zdm-x86_64-unknown-linux-gnu.tar.gz", cwd=folder)
            for name in ("zdm", "zdm-lint"):
                said = support.run(folder / "zdm-x86_64-unknown-linux-gnu" / name, "--version", cwd=folder).stdout
                self.assertEqual(said.strip(), f"{name} {support.VERSION}")


if __name__ == "__main__":
    unittest.main()
