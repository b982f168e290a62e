/** The files that executors read. One that is missing or damaged is the task's error, with its path. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { z } from "zod";

/** The samples, in the checkout: a build copies no data. */
export const sampleDataFolder = join(
  dirname(createRequire(import.meta.url).resolve("perdure/package.json")),
  "workflows",
  "knights",
  "data",
);

export async function readTextFile(path: string, signal: AbortSignal): Promise<string> {
  try {
    return await readFile(path, { encoding: "utf8", signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw new Error(`${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

export async function readJsonFile<S extends z.ZodType>(
  path: string,
  schema: S,
  signal: AbortSignal,
): Promise<z.infer<S>> {
  const parsed = schema.safeParse(jsonOf(await readTextFile(path, signal), path));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`${path} is not what it should be: ${issue?.path.join(".")}: ${issue?.message}`);
}

function jsonOf(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
