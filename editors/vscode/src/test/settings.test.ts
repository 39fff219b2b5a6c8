import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { CLIENT_COMMANDS, forServer, isMade, suppression } from "../settings";

const values = (given: Record<string, unknown>) => ({ get: (key: string) => given[key] });

test("empty settings are left to the project's configuration", () => {
  assert.deepEqual(forServer(values({ postgres: " ", select: [], django: "" })), { clientCommands: CLIENT_COMMANDS });
});

test("settings are handed over as the server reads them", () => {
  const given = { postgres: " 16 ", base: "main", ignore: ["ZDM101", 7], codeLens: false, inlayHints: true, other: 1 };
  assert.deepEqual(forServer(values(given)), {
    clientCommands: CLIENT_COMMANDS,
    postgres: "16",
    base: "main",
    ignore: ["ZDM101"],
    codeLens: false,
    inlayHints: true,
  });
});

test("a suppression has a reason, on one line", () => {
  assert.equal(suppression("    ", "ZDM101", " the table\n is small "), "    # zdm: ignore[ZDM101] the table is small\n");
  assert.equal(suppression("", "ZDM101", " \n"), undefined);
  assert.equal(suppression("", "ZDM101", undefined), undefined);
});

test("documents of the server are told from other answers", () => {
  assert.ok(isMade({ uri: "zdm:/rules/ZDM101.md", languageId: "markdown", text: "" }));
  assert.ok(!isMade({ uri: "zdm:/rules/ZDM101.md" }));
  assert.ok(!isMade(null));
});

interface Manifest {
  contributes: {
    commands: { command: string }[];
    configuration: { properties: Record<string, unknown> };
  };
}

test("every setting of the manifest reaches the server or the extension", () => {
  const manifest = JSON.parse(readFileSync(join(__dirname, "../../package.json"), "utf8")) as Manifest;
  const asked = new Set<string>();
  forServer({
    get: (key) => {
      asked.add(`zdm.${key}`);
      return undefined;
    },
  });
  const own = ["zdm.path", "zdm.trace.server"];
  assert.deepEqual(Object.keys(manifest.contributes.configuration.properties).sort(), [...asked, ...own].sort());
});

test("the extension registers every command of the manifest, and none of the server's", () => {
  const manifest = JSON.parse(readFileSync(join(__dirname, "../../package.json"), "utf8")) as Manifest;
  const source = readFileSync(join(__dirname, "../../src/extension.ts"), "utf8");
  for (const { command } of manifest.contributes.commands) {
    assert.ok(source.includes(`registerCommand("${command}"`), command);
  }
  // The client registers these itself, and a second registration would fail.
  for (const command of ["zdm.showSql", "zdm.explainRule"]) {
    assert.ok(!source.includes(`registerCommand("${command}"`), command);
  }
});
