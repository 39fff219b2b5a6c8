/** The settings as the server reads them. */

export interface Values {
  get(key: string): unknown;
}

const TEXTS = ["postgres", "django", "config", "base"];
const LISTS = ["select", "ignore"];
const SWITCHES = ["codeLens", "inlayHints"];

/** Commands that the extension carries out itself. */
export const CLIENT_COMMANDS = ["zdm.suppress"];

/** Settings that are empty are left to the project's configuration. */
export function forServer(values: Values): Record<string, unknown> {
  const result: Record<string, unknown> = { clientCommands: CLIENT_COMMANDS };
  for (const key of TEXTS) {
    const value = values.get(key);
    if (typeof value === "string" && value.trim() !== "") {
      result[key] = value.trim();
    }
  }
  for (const key of LISTS) {
    const value = values.get(key);
    if (Array.isArray(value) && value.length > 0) {
      result[key] = value.filter((item) => typeof item === "string");
    }
  }
  for (const key of SWITCHES) {
    const value = values.get(key);
    if (typeof value === "boolean") {
      result[key] = value;
    }
  }
  return result;
}

/** A suppression above an operation; undefined without a reason, which the server wants. */
export function suppression(indent: string, code: string, reason: string | undefined): string | undefined {
  const words = (reason ?? "").replaceAll(/\s+/g, " ").trim();
  return words === "" ? undefined : `${indent}# zdm: ignore[${code}] ${words}\n`;
}

/** A document that the server made: where it is, what language it is in, what it says. */
export interface Made {
  readonly uri: string;
  readonly languageId: string;
  readonly text: string;
}

export function isMade(value: unknown): value is Made {
  if (typeof value !== "object" || value === null) {
    return false;
  }
  const made = value as Record<string, unknown>;
  return ["uri", "languageId", "text"].every((key) => typeof made[key] === "string");
}
