/** The extension: starts the server, and does what a server cannot do itself. */

import { statSync } from "node:fs";

import * as vscode from "vscode";
import { LanguageClient, RevealOutputChannelOn, State, type LanguageClientOptions } from "vscode-languageclient/node";

import { find, notFound, type Found } from "./find";
import { CLIENT_COMMANDS, forServer, isMade, suppression, type Made } from "./settings";

/** Documents of the server: the SQL of a migration, the page of a rule. */
const SCHEME = "zdm";

let client: LanguageClient | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const output = vscode.window.createOutputChannel("zdm", { log: true });
  const status = vscode.languages.createLanguageStatusItem("zdm.status", [
    { scheme: "file", language: "python" },
    { scheme: "file", pattern: "**/{zdm,pyproject}.toml" },
  ]);
  status.name = "zdm";
  status.command = { title: "Output", command: "zdm.showOutput" };
  const pages = new Pages();

  const start = async (): Promise<void> => {
    await stop();
    const setting = vscode.workspace.getConfiguration("zdm").get<string>("path", "");
    const found = server(context, setting);
    if (found === undefined) {
      const { isTrusted } = vscode.workspace;
      const message = notFound(setting, isTrusted);
      status.text = "zdm: no server";
      status.detail = message;
      status.severity = isTrusted ? vscode.LanguageStatusSeverity.Error : vscode.LanguageStatusSeverity.Information;
      if (!isTrusted && setting === "") {
        // Nothing is wrong: the editor asks about trust itself, and its answer starts the server.
        output.info(message);
        return;
      }
      output.error(message);
      // Nobody need answer before the server can be started again.
      void vscode.window.showErrorMessage(message, "Settings").then(async (choice) => {
        if (choice !== undefined) {
          await vscode.commands.executeCommand("workbench.action.openSettings", "zdm.path");
        }
      });
      return;
    }
    output.info(`server: ${found.command} (${found.origin})`);
    client = make(found, output, pages);
    client.onDidChangeState(({ newState }) => {
      status.busy = newState === State.Starting;
      status.text = newState === State.Stopped ? "zdm: stopped" : "zdm";
      status.detail = `${found.origin}: ${found.command}`;
      status.severity =
        newState === State.Stopped ? vscode.LanguageStatusSeverity.Warning : vscode.LanguageStatusSeverity.Information;
    });
    try {
      await client.start();
    } catch (failure) {
      output.error(`the server does not start: ${String(failure)}`);
      status.text = "zdm: stopped";
      status.severity = vscode.LanguageStatusSeverity.Error;
    }
  };

  context.subscriptions.push(
    output,
    status,
    pages,
    vscode.workspace.registerTextDocumentContentProvider(SCHEME, pages),
    vscode.commands.registerCommand("zdm.restart", start),
    vscode.commands.registerCommand("zdm.showOutput", () => {
      output.show();
    }),
    vscode.commands.registerCommand("zdm.showSqlOfEditor", async () => {
      const uri = vscode.window.activeTextEditor?.document.uri;
      if (uri !== undefined) {
        await execute("zdm.showSql", [uri.toString()], pages);
      }
    }),
    vscode.commands.registerCommand("zdm.explain", async () => {
      const rule = await vscode.window.showInputBox({ prompt: "A rule's code or name", placeHolder: "ZDM101" });
      if (rule !== undefined && rule.trim() !== "") {
        await execute("zdm.explainRule", [rule.trim()], pages);
      }
    }),
    vscode.commands.registerCommand(CLIENT_COMMANDS[0] ?? "zdm.suppress", suppress),
    vscode.workspace.onDidChangeConfiguration(async (change) => {
      if (change.affectsConfiguration("zdm.path")) {
        await start();
      } else if (change.affectsConfiguration("zdm")) {
        // The server asks for what it wants to know.
        await client?.sendNotification("workspace/didChangeConfiguration", { settings: null });
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(start),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await stop();
}

async function stop(): Promise<void> {
  const old = client;
  client = undefined;
  try {
    await old?.dispose();
  } catch {
    // A server that does not stop in order is killed by the client.
  }
}

function server(context: vscode.ExtensionContext, setting: string): Found | undefined {
  return find({
    setting,
    folders: (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath),
    trusted: vscode.workspace.isTrusted,
    variables: process.env,
    windows: process.platform === "win32",
    extension: context.extensionPath,
    isFile: (path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true,
  });
}

function make(found: Found, output: vscode.LogOutputChannel, pages: Pages): LanguageClient {
  const options: LanguageClientOptions = {
    documentSelector: [
      { scheme: "file", language: "python" },
      { scheme: "file", pattern: "**/{zdm,pyproject}.toml" },
    ],
    initializationOptions: forServer(vscode.workspace.getConfiguration("zdm")),
    outputChannel: output,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    middleware: {
      executeCommand: async (command, parameters, next) => {
        const made: unknown = await next(command, parameters);
        if (isMade(made)) {
          await pages.show(made);
        }
        return made;
      },
      workspace: {
        configuration: (parameters) =>
          parameters.items.map((item) => {
            const scope = item.scopeUri === undefined ? undefined : vscode.Uri.parse(item.scopeUri);
            return forServer(vscode.workspace.getConfiguration("zdm", scope));
          }),
      },
    },
  };
  return new LanguageClient("zdm", "zdm", { command: found.command, args: ["lsp"] }, options);
}

async function execute(command: string, parameters: string[], pages: Pages): Promise<void> {
  try {
    const made: unknown = await client?.sendRequest("workspace/executeCommand", { command, arguments: parameters });
    if (isMade(made)) {
      await pages.show(made);
    }
  } catch (failure) {
    await vscode.window.showWarningMessage(failure instanceof Error ? failure.message : String(failure));
  }
}

/** Asks for the reason of a suppression and writes it above the operation. */
async function suppress(uri: string, line: number, indent: string, code: string): Promise<void> {
  const reason = await vscode.window.showInputBox({
    prompt: `Why is ${code} no problem here?`,
    validateInput: (text) => (text.trim() === "" ? "A suppression needs a reason." : undefined),
  });
  const text = suppression(indent, code, reason);
  if (text !== undefined) {
    const edit = new vscode.WorkspaceEdit();
    edit.insert(vscode.Uri.parse(uri), new vscode.Position(line, 0), text);
    await vscode.workspace.applyEdit(edit);
  }
}

/** Shows documents of the server. */
class Pages implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  private readonly texts = new Map<string, string>();
  readonly onDidChange = this.changed.event;

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const known = this.texts.get(uri.toString());
    if (known !== undefined) {
      return known;
    }
    const made: unknown = await client?.sendRequest("workspace/textDocumentContent", { uri: uri.toString(true) });
    return typeof made === "object" && made !== null && "text" in made ? String(made.text) : "";
  }

  async show(made: Made): Promise<void> {
    const uri = vscode.Uri.parse(made.uri);
    this.texts.set(uri.toString(), made.text);
    this.changed.fire(uri);
    const document = await vscode.workspace.openTextDocument(uri);
    if (made.languageId === "markdown") {
      await vscode.commands.executeCommand("markdown.showPreview", uri);
      return;
    }
    await vscode.languages.setTextDocumentLanguage(document, made.languageId);
    await vscode.window.showTextDocument(document, { preview: true, viewColumn: vscode.ViewColumn.Beside });
  }

  dispose(): void {
    this.changed.dispose();
  }
}
