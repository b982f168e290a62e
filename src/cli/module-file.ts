/** JavaScript that a person hands in: what a module exports, and why it cannot be loaded. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { PerdureError } from "../errors.js";
import { oneLine } from "./terminal-text.js";

/** @throws PerdureError USAGE where the file cannot be loaded */
export async function exportsOf(file: string): Promise<readonly unknown[]> {
  try {
    return Object.values((await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>);
  } catch (cause) {
    throw new PerdureError("USAGE", `cannot load ${file}: ${whyNotLoaded(cause)}`, { details: { file }, cause });
  }
}

/** What is wrong in somebody's file has to be found there: the line it was thrown at goes along. */
function whyNotLoaded(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if ((cause as NodeJS.ErrnoException).code === "ERR_UNKNOWN_FILE_EXTENSION") {
    return `this Node.js loads JavaScript only; compile it first (${cause.message})`;
  }
  const place = cause.stack?.split("\n").find((line) => line.includes("file://") && !line.includes("node:"));
  const said = cause.name === "Error" ? cause.message : `${cause.name}: ${cause.message}`;
  return place === undefined ? said : `${said} (${oneLine(place.trim())})`;
}
