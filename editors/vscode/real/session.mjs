// A session in the real VS Code: its server with the packaged extension, and the workbench in a browser without a window.
// `cargo xtask vscode` provides both and runs this. It ends with an error, and a picture of the window, at the first thing
// that does not happen.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const { ZDM_VSCODE, ZDM_CHROMIUM, ZDM_PROJECT, ZDM_SCRATCH } = process.env;
const puppeteer = createRequire(join(ZDM_VSCODE, "package.json"))("puppeteer-core");

/** What the server's process says when it listens. */
const LISTENING = /Extension host agent listening on (\d+)/;

const server = spawn(
  process.execPath,
  [
    join(ZDM_VSCODE, "node_modules/code-server/lib/vscode/out/server-main.js"),
    ...["--accept-server-license-terms", "--without-connection-token", "--host", "127.0.0.1", "--port", "0"],
    ...["--server-data-dir", join(ZDM_SCRATCH, "data"), "--extensions-dir", join(ZDM_SCRATCH, "extensions")],
  ],
  { stdio: ["ignore", "pipe", "ignore"] },
);
let browser;
try {
  const port = await new Promise((resolve, reject) => {
    let said = "";
    server.stdout.on("data", (data) => {
      said += String(data);
      const found = LISTENING.exec(said);
      if (found) resolve(found[1]);
    });
    server.on("exit", () => reject(new Error(`the server of VS Code does not start: ${said}`)));
  });
  browser = await puppeteer.launch({
    executablePath: ZDM_CHROMIUM,
    headless: true,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
    defaultViewport: { width: 1500, height: 1000 },
  });
  const page = await browser.newPage();
  await session(page, `http://127.0.0.1:${port}/?folder=${ZDM_PROJECT}`);
} finally {
  await browser?.close();
  server.kill();
}

async function session(page, url) {
  const all = async (selector) => {
    const found = await page.$$eval(selector, (elements) => elements.map((element) => element.textContent));
    // The editor draws spaces as such that do not break.
    return found.map((text) => text.replaceAll("\u00a0", " "));
  };
  const until = async (what, check) => {
    for (const end = Date.now() + 60_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 150))) {
      const found = await check();
      if (found) {
        console.log(`${what}: ${String(found).replaceAll("\n", " ").slice(0, 150)}`);
        return found;
      }
    }
    await page.screenshot({ path: join(ZDM_SCRATCH, "window.png") });
    throw new Error(`this did not happen: ${what}; the window is ${join(ZDM_SCRATCH, "window.png")}`);
  };
  const press = async (...keys) => {
    for (const key of keys.slice(0, -1)) await page.keyboard.down(key);
    await page.keyboard.press(keys.at(-1));
    for (const key of keys.slice(0, -1).reverse()) await page.keyboard.up(key);
  };
  /** Types into the box at the top of the window, and takes the entry that it offers. */
  const choose = async (keys, text, entry) => {
    await press(...keys);
    await page.waitForSelector(".quick-input-widget:not([style*='none']) input", { timeout: 30_000 });
    await page.keyboard.type(text, { delay: 15 });
    const offered = async () => (await all(".quick-input-list .monaco-list-row")).find((row) => row.includes(entry));
    await until(`${entry} is offered`, offered);
    await press("Enter");
  };
  const command = (name) => choose(["F1"], name, name);
  const editors = () => all(".view-lines");
  const squiggles = async () => (await page.$$(".squiggly-error, .squiggly-warning")).length;

  await page.goto(url, { waitUntil: "domcontentloaded" });
  const trusts = async () => {
    const buttons = await page.$$(".monaco-dialog-box .monaco-button");
    for (const button of buttons) {
      if ((await button.evaluate((element) => element.textContent)).includes("Yes, I trust")) {
        await button.click();
        return true;
      }
    }
    return false;
  };
  await until("the folder is trusted", trusts);
  await until("the files are shown", async () => (await all(".explorer-folders-view .monaco-list-row")).length > 3);
  await choose(["Control", "KeyP"], "0016_new.py", "0016_new.py");
  await until("lens", async () => (await all(".codelens-decoration")).find((text) => text.startsWith("phase before")));
  await until("findings", squiggles);

  await choose(["Control", "KeyG"], ":8:22", "Go to line 8");
  await command("Show or Focus Hover");
  const hover = async () => (await all(".monaco-hover-content")).find((text) => text.includes("deploy phase"));
  assert.match(await until("hover", hover), /runs Python, which is not replayed/);
  await press("Escape");
  await press("Escape");

  await press("Control", "Period");
  const actions = async () => {
    const rows = await all(".action-widget .monaco-list-row");
    return rows.some((row) => row.includes("ZDM501: suppress here with a reason")) && rows.join(", ");
  };
  assert.match(await until("actions", actions), /ZDM501: add `reverse_code=/);
  await press("Enter");
  const fixed = async () => (await editors()).some((text) => text.includes("reverse_code=migrations.RunPython.noop"));
  await until("the fix is applied", fixed);
  await until("its finding is gone", async () => (await squiggles()) === 0);
  await press("Control", "KeyZ");
  await until("undone, it is back", squiggles);

  await command("zdm: Show SQL and Locks of This Migration");
  await until("SQL", async () => (await editors()).find((text) => text.includes("-- orders.0016_new")));
  await command("zdm: Restart the Server");
  await choose(["Control", "KeyP"], "0016_new.py", "0016_new.py");
  await until("findings after a restart", squiggles);
  await press("F1");
  await page.waitForSelector(".quick-input-widget:not([style*='none']) input");
  await page.keyboard.type("zdm: Explain a Rule", { delay: 15 });
  await until("the command", async () => (await all(".quick-input-list .monaco-list-row"))[0]?.includes("Explain a Rule"));
  await press("Enter");
  await until("it asks", async () => (await page.$$(".quick-input-widget input[placeholder='ZDM101']")).length);
  await page.keyboard.type("ZDM101");
  await press("Enter");
  await until("the rule's page", async () => (await all(".tab")).find((text) => text.includes("ZDM101-index-not-concurrent")));
  const extensions = readdirSync(join(ZDM_SCRATCH, "extensions"));
  assert.ok(extensions.some((name) => name.startsWith("zdm.zdm-")), extensions.join(", "));
}
