"""The snippets of docs/ci, run with the variables and the kind of clone of each CI system."""

import json
import os
import pathlib
import re
import tempfile
import unittest
import xml.etree.ElementTree

import yaml

import support

SNIPPETS = support.ROOT / "docs/ci"


class Snippets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.guard = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.guard.name)
        cls.count = 0
        # What `pip install` would fetch is there already; everything else in a snippet is run.
        cls.stubs = cls.folder / "stubs"
        cls.stubs.mkdir()
        pip = cls.stubs / "pip"
        pip.write_text(f'#!/bin/sh\ntest "$*" = "install zdm-lint=={support.VERSION}"\n')
        pip.chmod(0o755)

    @classmethod
    def tearDownClass(cls):
        cls.guard.cleanup()

    def new(self):
        type(self).count += 1
        return self.folder / str(self.count)

    def lines(self, checkout, lines, **variables):
        """Runs the lines of a job one after the other; the last code, everything that was written."""
        environment = support.environment(**variables)
        environment["PATH"] = os.pathsep.join([str(self.stubs), str(support.installed()), environment["PATH"]])
        written = ""
        for line in lines:
            done = support.run("sh", "-c", line, cwd=checkout, env=environment, check=False)
            written += done.stdout + done.stderr
            if done.returncode:
                return done.returncode, written
        return 0, written

    def check(self, checkout, lines, report=None, **variables):
        code, written = self.lines(checkout, lines, **variables)
        self.assertEqual(code, 1, written)
        self.assertIn("shop/migrations/0003_new.py", written)
        self.assertNotIn("0002_old.py", written)
        if report and report.endswith(".xml"):
            suites = xml.etree.ElementTree.parse(checkout / report).getroot()
            self.assertEqual(suites.get("failures"), "1")
        elif report:
            (violation,) = json.loads((checkout / report).read_text())
            self.assertEqual(violation["location"]["path"], "shop/migrations/0003_new.py")

    def read(self, name):
        return yaml.safe_load((SNIPPETS / name).read_text())

    def test_gitlab(self):
        origin = support.pull_request(self.new())
        job = self.read("gitlab.yml")["zdm-lint"]
        report = job["artifacts"]["reports"]["codequality"]
        self.assertEqual(job["variables"]["GIT_DEPTH"], 0)
        variables = {
            "GITLAB_CI": "true",
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_COMMIT_SHA": origin.feature,
            "CI_DEFAULT_BRANCH": "main",
            "CI_COMMIT_BEFORE_SHA": "0" * 40,
        }
        # The merge request's head; the result of merging it, where only these two commits are sure to be there.
        branches = ["origin", "+refs/heads/*:refs/remotes/origin/*"]
        for fetch, head in ((branches, origin.feature), (["origin", origin.merge], origin.merge)):
            checkout = support.clone(origin, self.new(), *fetch, checkout=head)
            self.check(checkout, job["script"], report, **variables, CI_MERGE_REQUEST_DIFF_BASE_SHA=origin.base)
        # An older runner does not name the commit.
        checkout = support.clone(origin, self.new(), *branches, checkout=origin.feature)
        self.check(checkout, job["script"], report, **variables)
        # Too shallow: it says what to set.
        checkout = support.clone(origin, self.new(), "--depth=1", "origin", origin.feature, checkout=origin.feature)
        code, written = self.lines(
            checkout, job["script"], **variables, CI_MERGE_REQUEST_DIFF_BASE_SHA=origin.base
        )
        self.assertEqual(code, 2, written)
        self.assertIn("GIT_DEPTH: 0", written)

    def test_bitbucket(self):
        origin = support.pull_request(self.new())
        pipeline = self.read("bitbucket.yml")
        self.assertEqual(pipeline["clone"], {"depth": "full"})
        step = pipeline["pipelines"]["pull-requests"]["**"][0]["step"]
        checkout = support.clone(
            origin, self.new(), "origin", "+refs/heads/feature:refs/remotes/origin/feature", checkout=origin.feature
        )
        self.check(
            checkout, step["script"], "test-results/zdm-lint.xml",
            BITBUCKET_BUILD_NUMBER="1", BITBUCKET_BRANCH="feature", BITBUCKET_PR_ID="7",
            BITBUCKET_PR_DESTINATION_BRANCH="main", BITBUCKET_COMMIT=origin.feature,
        )

    def test_azure(self):
        origin = support.pull_request(self.new())
        steps = self.read("azure.yml")["steps"]
        self.assertEqual(steps[0], {"checkout": "self", "fetchDepth": "0"})
        for target in ("refs/heads/main", "main"):
            checkout = support.clone(
                origin, self.new(), "origin", "+refs/heads/*:refs/remotes/origin/*",
                "+refs/pull/7/merge:refs/remotes/pull/7/merge", checkout=origin.merge,
            )
            self.check(
                checkout, [step["script"] for step in steps if "script" in step], "zdm-lint.xml",
                TF_BUILD="True", BUILD_REASON="PullRequest", BUILD_SOURCEBRANCH="refs/pull/7/merge",
                SYSTEM_PULLREQUEST_TARGETBRANCH=target,
            )

    def test_jenkins(self):
        origin = support.pull_request(self.new())
        lines = re.findall(r"^\s+sh '(.*)'$", (SNIPPETS / "jenkins.groovy").read_text(), re.MULTILINE)
        self.assertEqual(len(lines), 3)
        checkout = support.clone(
            origin, self.new(), "origin", "+refs/pull/7/merge:refs/remotes/origin/PR-7", checkout=origin.merge
        )
        self.assertIn(f"zdm-lint=={support.VERSION}", lines[0])
        (checkout / ".venv-zdm/bin").mkdir(parents=True)
        (checkout / ".venv-zdm/bin/zdm-lint").symlink_to(support.program())
        self.check(
            checkout, lines[1:], "zdm-lint.xml",
            JENKINS_URL="https://ci.example.org/", BRANCH_NAME="PR-7", CHANGE_ID="7", CHANGE_TARGET="main",
        )

    def test_circleci(self):
        origin = support.pull_request(self.new())
        job = self.read("circleci.yml")["jobs"]["zdm-lint"]
        # CircleCI replaces the pipeline's value before the job starts.
        base = job["environment"]["CIRCLE_BASE_BRANCH"]
        self.assertEqual(base, "<< pipeline.event.github.pull_request.base.ref >>")
        checkout = support.clone(
            origin, self.new(), "origin", "+refs/heads/*:refs/remotes/origin/*", checkout=origin.feature
        )
        lines = [step["run"] for step in job["steps"] if "run" in step]
        report = job["steps"][-1]["store_test_results"]["path"] + "/zdm-lint.xml"
        self.check(checkout, lines, report, CIRCLECI="true", CIRCLE_BRANCH="feature", CIRCLE_BASE_BRANCH="main")
        # Not a pull request: the value is empty, the remote's default branch counts.
        support.run("git", "remote", "set-head", "origin", "main", cwd=checkout)
        self.check(checkout, lines, report, CIRCLECI="true", CIRCLE_BRANCH="feature", CIRCLE_BASE_BRANCH="")

    def test_buildkite(self):
        origin = support.pull_request(self.new())
        (step,) = self.read("buildkite.yml")["steps"]
        # Buildkite's own interpolation takes one of two dollar signs away.
        lines = [line.replace("$$", "$") for line in step["command"]]
        checkout = support.clone(
            origin, self.new(), "origin", "+refs/heads/feature:refs/remotes/origin/feature", checkout=origin.feature
        )
        self.check(
            checkout, lines,
            BUILDKITE="true", BUILDKITE_BRANCH="feature", BUILDKITE_PULL_REQUEST="7",
            BUILDKITE_PULL_REQUEST_BASE_BRANCH="main", BUILDKITE_PIPELINE_DEFAULT_BRANCH="main",
        )

    def test_github_uses_the_action_of_this_version(self):
        workflow = self.read("github.yml")
        self.assertEqual(workflow["permissions"], {})
        checkout, action = workflow["jobs"]["zdm-lint"]["steps"]
        self.assertRegex(checkout["uses"], r"^actions/checkout@[0-9a-f]{40}$")
        slug = support.REPOSITORY.removeprefix("https://github.com/")
        self.assertEqual(action["uses"], f"{slug}@v{support.VERSION}")

    def test_the_page_shows_them_as_they_are(self):
        page = (support.ROOT / "docs/ci.md").read_text()
        for snippet in sorted(SNIPPETS.iterdir()):
            language = {".groovy": "groovy"}.get(snippet.suffix, "yaml")
            self.assertIn(f"```{language}\n{snippet.read_text()}```", page, snippet.name)


if __name__ == "__main__":
    unittest.main()
