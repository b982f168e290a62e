/**
 * The one place where a package path becomes a directory that is read. The path comes from a lock file or a task's
 * input, both data from outside, so it is checked twice: as text (before anything touches the disk) and, links resolved,
 * against the project. Files inside a package are read only if they are plain files: a package cannot point the audit
 * at something else by a link.
 */
import { type FileHandle, lstat, open, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative, sep } from "node:path";
import { z } from "zod";
import { AuditError, systemErrorCode } from "./audit-error.js";
import type { PackageTaskInput } from "./messages.js";

/** Published manifests are a few kB; the largest on npm (with generated export maps) stay below 2 MB. */
const manifestBytesMax = 4 * 1024 * 1024;

/** Halves of surrogate pairs too: written as UTF-8, and so hashed, all of them are the same character. */
const unusableCharacter = /[\p{Cc}\p{Cs}\\]/u;

/** Says why a path is not that of an installed package inside its project, or null if it is. Reads nothing. */
export function packagePathProblem(packagePath: string): string | null {
  if (packagePath.length > 1024) return "it is longer than 1024 characters";
  if (unusableCharacter.test(packagePath)) return "it has a backslash or a control character";
  if (isAbsolute(packagePath) || /^[A-Za-z]:/.test(packagePath)) return "it is absolute";
  const segments = packagePath.split("/");
  if (segments.includes("..")) return "it leaves the project";
  if (segments.includes("") || segments.includes(".")) return "it has an empty segment or a dot segment";
  const name = segments.slice(segments.lastIndexOf("node_modules") + 1);
  const scoped = name[0]?.startsWith("@") === true;
  if (!segments.includes("node_modules") || name.length !== (scoped ? 2 : 1)) {
    return "it does not end in node_modules/<name>";
  }
  return null;
}

export type PackageDirectory = { readonly state: "present"; readonly directory: string } | { readonly state: "absent" };

/**
 * Finds the directory of a package. Throws AuditError PACKAGE_PATH_REFUSED for a path that is not one inside the
 * project, links resolved, and PROJECT_NOT_FOUND.
 */
export async function findPackageDirectory(input: PackageTaskInput): Promise<PackageDirectory> {
  const problem = packagePathProblem(input.packagePath);
  if (problem !== null) throw refusal(input, problem);
  const projectDirectory = await realpathOrNull(input.projectPath);
  if (projectDirectory === null) {
    throw new AuditError(
      "PROJECT_NOT_FOUND",
      `PROJECT_NOT_FOUND: there is no directory ${input.projectPath}. Give the project's path as this machine sees it.`,
      { details: { projectPath: input.projectPath } },
    );
  }
  const directory = await realpathOrNull(join(projectDirectory, ...input.packagePath.split("/")));
  if (directory === null || !(await stat(directory)).isDirectory()) return { state: "absent" };
  if (!isInside(projectDirectory, directory)) {
    // A whole node_modules that is a link (a CI cache, a second work tree) is the user's doing, not a package's.
    const modulesDirectory = await realpathOrNull(join(projectDirectory, "node_modules"));
    if (modulesDirectory === null || !isInside(modulesDirectory, directory)) {
      throw refusal(input, `it is a link to ${directory}, outside the project`);
    }
  }
  return { state: "present", directory };
}

const Manifest = z.object({
  version: z.unknown().optional(),
  license: z.unknown().optional(),
  licence: z.unknown().optional(),
  licenses: z.unknown().optional(),
  engines: z.unknown().optional(),
});
export type Manifest = z.infer<typeof Manifest>;

export type ReadManifest =
  | { readonly state: "read"; readonly manifest: Manifest }
  | { readonly state: "unreadable"; readonly reason: string };

/** Reads a package's package.json; the fields are whatever the package wrote there. */
export async function readManifest(directory: string): Promise<ReadManifest> {
  const text = await readPlainFile(join(directory, "package.json"), manifestBytesMax);
  if (text === null) return { state: "unreadable", reason: "package.json is missing or is not a plain file" };
  if (text.length >= manifestBytesMax) return { state: "unreadable", reason: "package.json is larger than 4 MiB" };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    // The parser's words quote the file; the reader is helped more by knowing which file it was.
    return { state: "unreadable", reason: "package.json is not JSON" };
  }
  const manifest = Manifest.safeParse(parsed);
  if (!manifest.success) return { state: "unreadable", reason: "package.json is not a JSON object" };
  return { state: "read", manifest: manifest.data };
}

/** At most `bytesMax` bytes from the start of a file as UTF-8, or null where there is no readable plain file. */
export async function readPlainFile(path: string, bytesMax: number): Promise<string | null> {
  let file: FileHandle | undefined;
  try {
    if (!(await lstat(path)).isFile()) return null;
    file = await open(path, "r");
    const { bytesRead, buffer } = await file.read({
      buffer: Buffer.alloc(await bufferSize(file, bytesMax)),
      position: 0,
    });
    return buffer.toString("utf8", 0, bytesRead);
  } catch (error) {
    if (isAbsence(error) || isRefusedAccess(error)) return null;
    throw error;
  } finally {
    await file?.close();
  }
}

async function bufferSize(file: FileHandle, bytesMax: number): Promise<number> {
  return Math.max(1, Math.min(bytesMax, (await file.stat()).size));
}

/** True for the errors that mean "nothing is there", as against a disk that fails. */
export function isAbsence(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

/** True for the errors that no further attempt will cure. */
export function isRefusedAccess(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === "EACCES" || code === "EPERM" || code === "ELOOP" || code === "ENAMETOOLONG";
}

async function realpathOrNull(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isAbsence(error) || isRefusedAccess(error)) return null;
    throw error;
  }
}

function isInside(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function refusal(input: PackageTaskInput, problem: string): AuditError {
  return new AuditError(
    "PACKAGE_PATH_REFUSED",
    `PACKAGE_PATH_REFUSED: did not read ${JSON.stringify(input.packagePath)} of ${input.projectPath}, because ` +
      `${problem}. Look at where the lock file has this path from.`,
    { details: { projectPath: input.projectPath, packagePath: input.packagePath } },
  );
}
