/** Workflows from files: every export of a module that is one. */
import { PerdureError } from "../errors.js";
import type { AnyWorkflow } from "../workflow/definition.js";
import { filesOf } from "./file-globs.js";
import { exportsOf } from "./module-file.js";

/** @throws PerdureError USAGE where a file cannot be loaded, or none of them has a workflow */
export async function loadWorkflows(patterns: readonly string[]): Promise<readonly AnyWorkflow[]> {
  const files = await filesOf(patterns);
  const found = new Map<string, { readonly definition: AnyWorkflow; readonly file: string }>();
  for (const file of files) {
    for (const definition of (await exportsOf(file)).filter(isWorkflow)) {
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
