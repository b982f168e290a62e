/** From what a report says about a place to a file of the project. A report names a file; it never decides which are read. */
import { realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative, sep } from "node:path";

/** A line of a source file, by its path within the project. */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

const sourceName = /\.[cm]?js$/;
const segmentsMax = 32;
/** In bytes. What is larger was written by no person. */
export const sourceSizeMax = 1_000_000;

/**
 * The file of the project that is meant: reports come from machines where it lies elsewhere, so the longest end of the path
 * that the project has counts. Null where it has none, or it is no source.
 */
export async function findSource(projectFolder: string, reported: string): Promise<string | null> {
  const segments = reported
    .replace(/^file:\/\//, "")
    .split(/[/\\]+/)
    .filter((segment) => segment !== "" && segment !== ".");
  if (segments.includes("..") || segments.length > segmentsMax || reported.includes("\0")) return null;
  const root = await realpath(projectFolder);
  for (let first = 0; first < segments.length; first += 1) {
    const found = await sourceWithin(root, join(root, ...segments.slice(first)));
    if (found !== null) return found;
  }
  return null;
}

/** Follows links before it looks where a file lies. */
async function sourceWithin(root: string, path: string): Promise<string | null> {
  const real = await realpath(path).catch(() => null);
  if (real === null || !isWithin(root, real)) return null;
  const within = relative(root, real);
  const found = await stat(real);
  return found.isFile() && found.size <= sourceSizeMax && isOwnSource(within) ? within : null;
}

/** Both are absolute; the folder is within itself. */
export function isWithin(folder: string, path: string): boolean {
  const within = relative(folder, path);
  return !isAbsolute(within) && !within.split(sep).includes("..");
}

export const isOwnSource = (path: string): boolean => sourceName.test(path) && isOwn(path);

/** A folder's path, or a file's: neither installed nor hidden. */
export function isOwn(path: string): boolean {
  return !path.split(sep).some((segment) => segment === "node_modules" || segment.startsWith("."));
}

export function isTestFile(path: string): boolean {
  return /(^|[/\\])tests?[/\\]|\.test\.[cm]?js$/.test(path);
}
