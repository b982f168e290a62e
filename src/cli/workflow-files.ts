/** Workflows from files: every export of a module that is one. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { PerdureError } from "../errors.js";
import type { AnyWorkflow } from "../workflow/definition.js";
import { filesOf } from "./file-globs.js";
import { oneLine } from "./terminal-text.js";

/** @throws PerdureError USAGE where a file cannot be loaded, or none of them has a workflow */
export async function loadWorkflows(patterns: readonly string[]): Promise<readonly AnyWorkflow[]> {
  const files = await filesOf(patterns);
  const found = new Map<string, { readonly definition: AnyWorkflow; readonly file: string }>();
  for (const file of files) {
    for (const definition of await workflowsIn(file)) {
      const other = found.get(definition.name);
      if (other !== undefined && other.definition !== definition) {
        const where = other.file === file ? `both in ${file}` : `in ${other.file} and in ${file}`;
        throw new PerdureError(
          "USAGE",
          `two workflows are named "${definition.name}", ${where}; give each its own name`,
        );
      }
      found.set(definition.name, { definition, file });
    }
  }
  if (found.size > 0) return [...found.values()].map(({ definition }) => definition);
  throw new PerdureError(
    "USAGE",
    `${files.join(", ")} ${files.length === 1 ? "exports" : "export"} no workflow; it takes: export const x = workflow("x", …)`,
    { details: { files } },
  );
}

async function workflowsIn(file: string): Promise<readonly AnyWorkflow[]> {
  try {
    const exported = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
    return Object.values(exported).filter(isWorkflow);
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

function isWorkflow(value: unknown): value is AnyWorkflow {
  return (
    typeof value === "object" &&
    value !== null &&
    "kind" in value &&
    value.kind === "workflow" &&
    "code" in value &&
    typeof value.code === "function"
  );
}
