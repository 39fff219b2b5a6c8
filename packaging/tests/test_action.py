"""The action's steps, run as a runner would, against repositories as actions/checkout leaves them."""

import base64
import gzip
import http.server
import json
import os
import pathlib
import re
import tempfile
import threading
import unittest

import yaml

import support

ACTION = yaml.safe_load((support.ROOT / "action.yml").read_text(encoding="utf-8"))


class Job:
    """A job with a checkout, and the result of the action in it."""

    def __init__(self, folder, checkout, variables, inputs=None, binary=True):
        self.temporary = pathlib.Path(tempfile.mkdtemp(dir=folder))
        self.checkout = pathlib.Path(checkout)
        self.environment = support.environment(
            GITHUB_ACTIONS="true",
            GITHUB_ACTION_PATH=support.ROOT,
            GITHUB_WORKSPACE=checkout,
            RUNNER_TEMP=self.temporary,
            ZDM_CACHE_DIR=self.temporary / "cache",
            **variables,
        )
        self.outputs, self.log, self.summary = {}, "", ""
        self.inputs = {name: str(given.get("default", "")) for name, given in ACTION["inputs"].items()}
        self.inputs["token"] = "secret-token"
        if binary:
            self.inputs["binary"] = str(support.program())
        unknown = set(inputs or {}) - set(self.inputs)
        assert not unknown, unknown
        self.inputs |= inputs or {}
        self.code = 0
        for step in ACTION["runs"]["steps"]:
            assert "uses" not in step, "steps are shell, so that all of them are run here"
            # Without a condition of its own a step runs only if none has failed.
            if self.code == 0 and self.holds(step.get("if", "true")):
                self.code = self.step(step)
        self.results = {name: self.value(given["value"]) for name, given in ACTION["outputs"].items()}

    def value(self, text):
        def one(match):
            kind, *path = match.group(1).strip().split(".")
            if kind == "inputs":
                return self.inputs[path[0]]
            if kind == "steps":
                return self.outputs.get(path[0], {}).get(path[2], "")
            raise AssertionError(match.group(0))

        return re.sub(r"\$\{\{(.*?)\}\}", one, str(text))

    def holds(self, condition):
        if condition == "true":
            return True
        name, sign, value = re.fullmatch(r"inputs\.([\w-]+) (==|!=) '(.*)'", condition).groups()
        return (self.inputs[name] == value) == (sign == "==")

    def step(self, step):
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "values reach a script through its environment, never through its text"
        files = {name: self.temporary / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        values = {name: self.value(value) for name, value in step.get("env", {}).items()}
        folder = self.checkout / self.value(step.get("working-directory", "."))
        script = self.temporary / "step.sh"
        script.write_text(step["run"])
        # As the runner starts bash.
        done = support.run(
            "bash", "--noprofile", "--norc", "-eo", "pipefail", script,
            cwd=folder, env=self.environment | values | {name: str(file) for name, file in files.items()}, check=False,
        )
        self.log += done.stdout + done.stderr
        self.outputs[step["id"]] = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        return done.returncode

    def annotations(self):
        return [line for line in self.log.splitlines() if re.match(r"::(error|warning|notice) ", line)]


class CodeScanning(http.server.BaseHTTPRequestHandler):
    """GitHub's interface, as far as the action uses it."""

    received, answer = [], 202

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).received.append((self.path, self.headers["Authorization"], json.loads(body)))
        self.send_response(type(self).answer)
        self.end_headers()
        self.wfile.write(b'{"id": "1"}')

    def log_message(self, *_):
        pass


class Action(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.guard = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.guard.name)
        cls.count = 0
        cls.server = http.server.HTTPServer(("127.0.0.1", 0), CodeScanning)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.guard.cleanup()

    def new(self):
        type(self).count += 1
        return self.folder / str(self.count)

    def origin(self, **more):
        return support.pull_request(self.new(), **more)

    def event(self, **content):
        path = self.new().with_suffix(".json")
        path.write_text(json.dumps(content))
        return path

    def pull_request(self, origin, inputs=None, depth=1, **more):
        """A pull request as `actions/checkout` fetches it without options: one commit, no branches."""
        fetch = [] if depth is None else [f"--depth={depth}"]
        checkout = support.clone(
            origin, self.new(), *fetch, "origin", f"+{origin.merge}:refs/remotes/pull/7/merge", checkout=origin.merge
        )
        variables = {
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": self.event(pull_request={"base": {"ref": "main", "sha": origin.main}, "number": 7}),
            "GITHUB_BASE_REF": "main",
            "GITHUB_HEAD_REF": "feature",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_SHA": origin.merge,
            "GITHUB_REPOSITORY": "owner/project",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_API_URL": f"http://127.0.0.1:{self.server.server_port}",
        }
        return Job(self.folder, checkout, variables, inputs, **more)

    def test_a_pull_request_gets_its_own_findings_on_their_lines(self):
        origin = self.origin()
        for depth in (1, 2, None):
            job = self.pull_request(origin, depth=depth)
            self.assertEqual(job.code, 1, job.log)
            self.assertEqual(job.results["exit-code"], "1")
            (annotation,) = job.annotations()
            self.assertRegex(annotation, r"^::warning title=ZDM101 [\w-]+,file=shop/migrations/0003_new\.py,line=\d+")
            self.assertNotIn("0002_old.py", job.log)
            self.assertIn("### zdm-lint: 1 warning", job.summary)
            self.assertIn("shop/migrations/0003_new.py", job.summary)
            self.assertNotIn("0002_old.py", job.summary)

    def test_nothing_new_passes(self):
        origin = self.origin(feature={"0003_note": support.nullable("note", "0002_old")})
        job = self.pull_request(origin)
        self.assertEqual((job.code, job.annotations(), job.results["exit-code"]), (0, [], "0"), job.log)
        self.assertIn("no findings in 1 migration", job.summary)

    def test_a_project_below_the_root_of_the_repository(self):
        origin = self.origin(below="backend/api")
        job = self.pull_request(origin, {"working-directory": "backend/api"})
        (annotation,) = job.annotations()
        self.assertIn("file=backend/api/shop/migrations/0003_new.py", annotation)

    def test_a_push_and_a_merge_queue(self):
        origin = self.origin()
        common = {"GITHUB_REF": "refs/heads/main", "GITHUB_SHA": origin.merge, "GITHUB_BASE_REF": ""}
        origin.git("update-ref", "refs/heads/main", origin.merge)
        for event in (
            {"before": origin.main, "forced": False, "repository": {"default_branch": "main"}},
            {"merge_group": {"base_sha": origin.main, "base_ref": "refs/heads/main"}},
        ):
            for depth in (["--depth=1"], []):
                checkout = support.clone(
                    origin, self.new(), *depth, "origin", f"+{origin.merge}:refs/remotes/origin/main",
                    checkout=origin.merge,
                )
                job = Job(self.folder, checkout, common | {"GITHUB_EVENT_PATH": self.event(**event)})
                self.assertEqual(job.code, 1, job.log)
                (annotation,) = job.annotations()
                self.assertIn("0003_new.py", annotation)

    def test_every_migration_without_a_base(self):
        job = self.pull_request(self.origin(), {"base": "none"})
        warnings = [line for line in job.annotations() if line.startswith("::warning")]
        self.assertEqual(len(warnings), 2, job.log)
        self.assertNotIn("file=,", job.log)

    def test_what_cannot_be_fetched_says_what_to_set(self):
        origin = self.origin()
        checkout = support.clone(
            origin, self.new(), "--depth=1", "origin", f"+{origin.merge}:refs/remotes/pull/7/merge", checkout=origin.merge
        )
        support.run("git", "remote", "set-url", "origin", "file:///nowhere", cwd=checkout)
        job = Job(self.folder, checkout, {"GITHUB_BASE_REF": "main", "GITHUB_REF": "refs/pull/7/merge"})
        self.assertEqual(job.code, 2, job.log)
        self.assertIn("git knows no `origin/main`", job.log)
        self.assertIn("fetch-depth: 0", job.log)
        self.assertEqual(job.summary, "")

    def test_more_than_ten_findings_are_summarised(self):
        feature, after = {}, "0002_old"
        for number in range(3, 20):
            name = f"{number:04}_new"
            feature[name] = support.index(f"order_{number}_idx", after)
            after = name
        job = self.pull_request(self.origin(feature=feature))
        self.assertEqual(len(job.annotations()), 10, "GitHub shows no more of a kind per step")
        self.assertIn("8 more warnings", job.annotations()[-1])
        self.assertIn("::group::", job.log)
        for name in feature:
            self.assertIn(f"{name}.py", job.log)
            self.assertIn(f"{name}.py", job.summary)

    def test_the_report_is_sent_to_code_scanning(self):
        CodeScanning.received, CodeScanning.answer = [], 202
        origin = self.origin()
        job = self.pull_request(origin, {"upload-sarif": "true", "category": "zdm/api"})
        self.assertEqual(job.code, 1, job.log)
        ((path, token, body),) = CodeScanning.received
        self.assertEqual((path, token), ("/repos/owner/project/code-scanning/sarifs", "Bearer secret-token"))
        self.assertEqual((body["commit_sha"], body["ref"]), (origin.merge, "refs/pull/7/merge"))
        log = json.loads(gzip.decompress(base64.b64decode(body["sarif"])))
        self.assertEqual(log["runs"][0]["automationDetails"]["id"], "zdm/api/")
        (result,) = log["runs"][0]["results"]
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]
        self.assertEqual(place, {"uri": "shop/migrations/0003_new.py", "uriBaseId": "SRCROOT"})
        self.assertTrue(pathlib.Path(job.results["sarif"]).is_file())
        self.assertNotIn("secret-token", job.log)

    def test_a_fork_may_not_send_it(self):
        CodeScanning.received, CodeScanning.answer = [], 403
        job = self.pull_request(self.origin(), {"upload-sarif": "true"})
        self.assertEqual(job.code, 1, "the findings still count")
        self.assertIn("security-events: write", job.log)
        CodeScanning.answer = 500
        job = self.pull_request(self.origin(), {"upload-sarif": "true"})
        self.assertEqual(job.code, 2, job.log)

    def test_inputs_become_options(self):
        origin = self.origin()
        job = self.pull_request(origin, {"fail-on": "error"})
        self.assertEqual((job.code, len(job.annotations())), (0, 1), job.log)
        job = self.pull_request(origin, {"severity": "ZDM101=error\nZDM501=off", "fail-on": "error"})
        self.assertEqual(job.code, 1, job.log)
        job = self.pull_request(origin, {"ignore": "ZDM101"})
        self.assertEqual((job.code, job.annotations()), (0, []), job.log)
        job = self.pull_request(origin, {"postgres": "14", "django": "4.2", "sarif": "out/zdm.sarif"})
        self.assertIn("PostgreSQL 14, Django 4.2", job.summary)
        self.assertEqual(pathlib.Path(job.results["sarif"]), job.checkout / "out/zdm.sarif")
        job = self.pull_request(origin, {"paths": "shop/migrations/0001_initial.py\n"})
        self.assertEqual(job.code, 0, job.log)
        job = self.pull_request(origin, {"args": "--app\nshop\n--statistics", "annotations": "false", "summary": "false"})
        self.assertEqual((job.annotations(), job.summary), ([], ""))
        self.assertIn("1  ZDM101", job.log)

    def test_inputs_are_never_run(self):
        for name in ("base", "select", "args", "paths", "severity", "config", "category", "sarif"):
            job = self.pull_request(
                self.origin(), {name: "$(touch pwned)`touch pwned`\"; touch pwned; '", "upload-sarif": "true"}
            )
            self.assertEqual(list(job.checkout.rglob("pwned")), [], name)

    def test_the_release_of_the_action_is_installed(self):
        origin = self.origin()
        os.environ["PIP_FIND_LINKS"], os.environ["PIP_NO_INDEX"] = str(support.WHEELS), "1"
        try:
            checkout = support.clone(
                origin, self.new(), "origin", "+refs/heads/*:refs/remotes/origin/*", checkout=origin.feature
            )
            pip = {"PIP_FIND_LINKS": support.WHEELS, "PIP_NO_INDEX": "1", "GITHUB_BASE_REF": "main"}
            job = Job(self.folder, checkout, pip, binary=False)
            self.assertEqual(job.code, 1, job.log)
            self.assertIn(f"zdm-lint {support.VERSION}", job.log)
            job = Job(self.folder, checkout, pip, {"version": "99.0"}, binary=False)
            self.assertEqual(job.code, 2)
            self.assertIn("release 99.0 has no wheel", job.log)
        finally:
            del os.environ["PIP_FIND_LINKS"], os.environ["PIP_NO_INDEX"]


class Manifest(unittest.TestCase):
    def test_every_input_is_used_and_explained(self):
        text = (support.ROOT / "action.yml").read_text()
        page = (support.ROOT / "docs/ci.md").read_text()
        for name, given in ACTION["inputs"].items():
            self.assertTrue(given["description"])
            self.assertIn("inputs." + name, text)
            self.assertIn(f"`{name}`", page)

    def test_workflows_pin_what_they_use_and_ask_for_little(self):
        for path in sorted((support.ROOT / ".github/workflows").glob("*.yml")):
            workflow = yaml.safe_load(path.read_text())
            self.assertEqual(workflow["permissions"], {}, path)
            for job in workflow["jobs"].values():
                self.assertIn("permissions", job)
                for step in job["steps"]:
                    if "uses" in step:
                        self.assertRegex(step["uses"], r"@[0-9a-f]{40}$", path)


if __name__ == "__main__":
    unittest.main()
