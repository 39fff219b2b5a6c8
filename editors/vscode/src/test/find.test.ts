import assert from "node:assert/strict";
import { test } from "node:test";

import { expand, find, notFound, type Surroundings } from "../find";

function around(files: string[], given: Partial<Surroundings> = {}): Surroundings {
  return {
    setting: "",
    folders: ["/projects/shop"],
    trusted: true,
    variables: { PATH: "/usr/bin:relative:/opt/bin", HOME: "/home/me" },
    windows: false,
    extension: "/extensions/zdm",
    isFile: (path) => files.includes(path),
    ...given,
  };
}

const ALL = ["/projects/shop/.venv/bin/zdm-lint", "/opt/bin/zdm-lint", "/extensions/zdm/bundled/zdm-lint"];

test("the virtual environment goes before PATH, and PATH before the bundled program", () => {
  assert.deepEqual(find(around(ALL)), { command: ALL[0], origin: "environment" });
  assert.deepEqual(find(around(ALL.slice(1))), { command: ALL[1], origin: "path" });
  assert.deepEqual(find(around(ALL.slice(2))), { command: ALL[2], origin: "bundled" });
  assert.equal(find(around([])), undefined);
});

test("an active environment counts behind those of the workspace", () => {
  const active = { variables: { VIRTUAL_ENV: "/envs/one", PATH: "/opt/bin" } };
  assert.deepEqual(find(around(["/envs/one/bin/zdm-lint", ...ALL.slice(1)], active)), {
    command: "/envs/one/bin/zdm-lint",
    origin: "environment",
  });
  assert.equal(find(around(["/envs/one/bin/zdm-lint", ...ALL], active))?.command, ALL[0]);
});

test("a setting goes before everything, and leads nowhere rather than elsewhere", () => {
  assert.deepEqual(find(around(["/x/zdm-lint", ...ALL], { setting: "/x/zdm-lint" })), {
    command: "/x/zdm-lint",
    origin: "setting",
  });
  assert.equal(find(around(ALL, { setting: "/y/zdm-lint" })), undefined);
  assert.match(notFound("/y/zdm-lint", true), /\/y\/zdm-lint/);
  assert.match(notFound("", true), /pip install zdm-lint/);
  assert.match(notFound("", false), /not trusted/);
});

test("nothing of a workspace that is not trusted is started", () => {
  assert.equal(find(around(ALL, { trusted: false }))?.origin, "bundled");
  assert.equal(find(around(ALL.slice(0, 2), { trusted: false })), undefined);
});

test("folders of PATH that are not absolute are passed over", () => {
  assert.equal(find(around(["relative/zdm-lint"])), undefined);
});

test("on Windows", () => {
  const windows = {
    windows: true,
    folders: ["C:\\shop"],
    variables: { Path: "C:\\tools;D:\\bin", USERPROFILE: "C:\\me" },
    extension: "C:\\zdm",
  };
  assert.equal(find(around(["C:\\shop\\.venv\\Scripts\\zdm-lint.exe"], windows))?.origin, "environment");
  assert.equal(find(around(["D:\\bin\\zdm-lint.exe"], windows))?.origin, "path");
  assert.equal(find(around(["C:\\zdm\\bundled\\zdm-lint.exe"], windows))?.origin, "bundled");
});

test("places in the setting are filled in", () => {
  assert.equal(expand("${workspaceFolder}/bin/zdm-lint", around([])), "/projects/shop/bin/zdm-lint");
  assert.equal(expand("~/bin/zdm-lint", around([])), "/home/me/bin/zdm-lint");
  assert.equal(expand("${userHome}/zdm-lint", around([])), "/home/me/zdm-lint");
  assert.equal(expand("/a~b", around([])), "/a~b");
});
