/** Workflows from files: every export of a module that is one. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { PerdureError } from "../errors.js";
import type { AnyWorkflow } from "../workflow/definition.js";

/** @throws PerdureError USAGE where a file cannot be loaded, or none of them has a workflow */
export async function loadWorkflows(files: readonly string[]): Promise<readonly AnyWorkflow[]> {
  const found = new Map<string, AnyWorkflow>();
  for (const file of files) {
    for (const definition of await workflowsIn(file)) {
      const other = found.get(definition.name);
      if (other !== undefined && other !== definition) {
        throw new PerdureError("USAGE", `two workflows are named "${definition.name}", one of them in ${file}`);
      }
      found.set(definition.name, definition);
    }
  }
  if (found.size > 0) return [...found.values()];
  throw new PerdureError("USAGE", `none of ${files.join(", ")} exports a workflow: export const x = workflow("x", …)`);
}

async function workflowsIn(file: string): Promise<readonly AnyWorkflow[]> {
  let exported: Record<string, unknown>;
  try {
    exported = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PerdureError("USAGE", `cannot load ${file}: ${why}`, { details: { file }, cause });
  }
  return Object.values(exported).filter(isWorkflow);
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

