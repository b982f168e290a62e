/** Files by name or by glob, for Node versions whose `fs.glob` is not there yet. */
import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { PerdureError } from "../errors.js";

/**
 * `*` and `?` stand for parts of a name, `**` for any number of folders; what has none of them is a file's own name.
 * Hidden folders and node_modules are not looked into.
 * @throws PerdureError USAGE for a pattern that no file matches, or a folder that cannot be read
 */
export async function filesOf(patterns: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    const files = /[*?]/.test(pattern) ? await filesMatching(pattern) : [pattern];
    if (files.length === 0) throw new PerdureError("USAGE", `no file matches ${pattern}`, { details: { pattern } });
    for (const file of files) found.add(file);
  }
  return [...found];
}

async function filesMatching(pattern: string): Promise<readonly string[]> {
  const parts = pattern.split("/").filter((part, index) => part !== "." && (part !== "" || index === 0));
  const firstMagic = parts.findIndex((part) => /[*?]/.test(part));
  const folder = parts.slice(0, firstMagic).join("/");
  const start = pattern.startsWith("/") && folder === "" ? "/" : folder;
  return await walk(start, parts.slice(firstMagic));
}

/** Of the files below `folder`, those whose names match `parts`, sorted. */
async function walk(folder: string, parts: readonly string[]): Promise<readonly string[]> {
  const [part, ...rest] = parts;
  if (part === undefined) return [];
  if (part !== "**" && !/[*?]/.test(part) && rest.length > 0) return await walk(join(folder, part), rest);
  const files: string[] = part === "**" ? [...(await walk(folder, rest))] : [];
  for (const entry of await entriesOf(folder)) {
    const path = join(folder, entry.name);
    const isFolder = entry.isDirectory();
    if (part === "**") {
      if (isFolder && isLookedInto(entry.name)) files.push(...(await walk(path, parts)));
    } else if (matches(entry.name, part)) {
      if (rest.length === 0 && !isFolder) files.push(path);
      else if (rest.length > 0 && isFolder) files.push(...(await walk(path, rest)));
    }
  }
  return files;
}

async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    const entries = await readdir(folder === "" ? "." : folder, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (cause) {
    // What a fixed part behind a pattern names need not be in every folder.
    if ((cause as NodeJS.ErrnoException).code === "ENOENT" || (cause as NodeJS.ErrnoException).code === "ENOTDIR")
      return [];
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PerdureError("USAGE", `cannot look into ${folder}: ${why}`, { details: { folder }, cause });
  }
}

const isLookedInto = (name: string): boolean => !name.startsWith(".") && name !== "node_modules";

function matches(name: string, part: string): boolean {
  if (name.startsWith(".") && !part.startsWith(".")) return false;
  const escaped = part.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\*+/g, ".*").replace(/\?/g, ".")}$`, "s").test(name);
}
