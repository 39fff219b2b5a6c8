/**
 * Finding the server: the setting, the workspace's virtual environment, `PATH`, the bundled program.
 *
 * Knows nothing of the editor, so that it can be tested without one.
 */

import * as path from "node:path";

export type Origin = "setting" | "environment" | "path" | "bundled";

export interface Found {
  readonly command: string;
  readonly origin: Origin;
}

export interface Surroundings {
  /** The setting `zdm.path`; empty: none. */
  readonly setting: string;
  /** The folders of the workspace, outermost first. */
  readonly folders: readonly string[];
  /** Programs of the workspace may be started. */
  readonly trusted: boolean;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly windows: boolean;
  /** Where the extension is installed. */
  readonly extension: string;
  readonly isFile: (path: string) => boolean;
}

const ENVIRONMENTS = [".venv", "venv", "env"];

/** The first server that exists; undefined where there is none. A setting that leads nowhere is no reason to take another. */
export function find(around: Surroundings): Found | undefined {
  const { join } = flavour(around);
  const name = around.windows ? "zdm-lint.exe" : "zdm-lint";
  if (around.setting !== "") {
    const command = expand(around.setting, around);
    return around.isFile(command) ? { command, origin: "setting" } : undefined;
  }
  if (around.trusted) {
    const bin = around.windows ? "Scripts" : "bin";
    const environments = around.folders.flatMap((folder) => ENVIRONMENTS.map((environment) => join(folder, environment)));
    const active = around.variables["VIRTUAL_ENV"];
    if (active !== undefined && active !== "") {
      environments.push(active);
    }
    for (const environment of environments) {
      const command = join(environment, bin, name);
      if (around.isFile(command)) {
        return { command, origin: "environment" };
      }
    }
    for (const folder of searchPath(around)) {
      const command = join(folder, name);
      if (around.isFile(command)) {
        return { command, origin: "path" };
      }
    }
  }
  const command = join(around.extension, "bundled", name);
  return around.isFile(command) ? { command, origin: "bundled" } : undefined;
}

interface Flavour {
  readonly join: (...parts: string[]) => string;
  readonly isAbsolute: (path: string) => boolean;
}

function flavour(around: Pick<Surroundings, "windows">): Flavour {
  return around.windows ? path.win32 : path.posix;
}

function searchPath(around: Surroundings): string[] {
  // Windows writes the variable's name as it likes.
  const key = Object.keys(around.variables).find((name) => name.toUpperCase() === "PATH");
  const value = key === undefined ? undefined : around.variables[key];
  const { isAbsolute } = flavour(around);
  return (value ?? "").split(around.windows ? ";" : ":").filter((folder) => isAbsolute(folder));
}

/** `~` and `${workspaceFolder}` in a path of the settings. */
export function expand(setting: string, around: Pick<Surroundings, "folders" | "variables" | "windows">): string {
  const home = around.variables[around.windows ? "USERPROFILE" : "HOME"] ?? "";
  const [folder] = around.folders;
  const text = setting.replaceAll("${workspaceFolder}", folder ?? "").replaceAll("${userHome}", home);
  return /^~[\\/]/.test(text) ? home + text.slice(1) : text;
}

/** What to tell a user for whom no server was found. */
export function notFound(setting: string, trusted: boolean): string {
  if (setting === "" && !trusted) {
    return "In a workspace that is not trusted, zdm starts no program of the workspace. Trust it, or set `zdm.path` in your user settings.";
  }
  return setting === ""
    ? "zdm-lint was not found in the virtual environment or on PATH. Install it with `pip install zdm-lint`, or set `zdm.path`."
    : `The setting zdm.path names ${setting}, which is no file.`;
}
