/**
 * Names of the audit's tasks: `<auditId>-<check>-<package>-<hash>`, e.g. `audit-3f2a-licence-zod-1c9f03ab`. They
 * follow from the audit's id and the lock file alone, so planning the same audit again names the same tasks (a
 * submission repeated after a crash is the same submission), and the join finds a package's results without being told.
 */
import { createHash } from "node:crypto";
import { AuditError } from "./audit-error.js";
import { AuditId, type PackageTaskType, packageTaskTypes } from "./messages.js";

export type PackageTaskIds = Readonly<Record<PackageTaskType, string>>;

/** The readable part; with the longest audit id, check and hash the whole stays below the 128 characters of an id. */
const slugCharactersMax = 20;

/** Hash lengths tried, in hex digits. Eight do for honest packages; a crafted lock file can only make ids longer. */
const hashLengths = [8, 16, 32, 64] as const;

/** Ids for every path of the lock file, no two alike. Throws AuditError AUDIT_ID_INVALID. */
export function packageTaskIds(auditId: string, packagePaths: readonly string[]): ReadonlyMap<string, PackageTaskIds> {
  const checked = checkedAuditId(auditId);
  const paths = [...new Set(packagePaths)];
  for (const length of hashLengths) {
    const keys = paths.map((path) => `${slugOf(path)}-${hashOf(path).slice(0, length)}`);
    if (new Set(keys).size !== paths.length) continue;
    return new Map(paths.map((path, index) => [path, idsFor(checked, keys[index] ?? "")]));
  }
  throw new Error("two package paths have the same SHA-256");
}

/** The id of the join. */
export function reportTaskId(auditId: string): string {
  return `${checkedAuditId(auditId)}-report`;
}

function idsFor(auditId: string, key: string): PackageTaskIds {
  const [licence, size, engines] = packageTaskTypes;
  const idOf = (type: PackageTaskType): string => `${auditId}-${type.slice("audit-".length)}-${key}`;
  return { [licence]: idOf(licence), [size]: idOf(size), [engines]: idOf(engines) };
}

function slugOf(path: string): string {
  const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
  const slug = name
    .replace(/[^A-Za-z0-9]+/g, "-")
    .slice(0, slugCharactersMax)
    .replace(/^-+|-+$/g, "");
  return slug === "" ? "package" : slug;
}

function hashOf(path: string): string {
  return createHash("sha256").update(path).digest("hex");
}

function checkedAuditId(auditId: string): string {
  const parsed = AuditId.safeParse(auditId);
  if (parsed.success) return parsed.data;
  throw new AuditError(
    "AUDIT_ID_INVALID",
    `AUDIT_ID_INVALID: ${JSON.stringify(auditId.slice(0, 64))} cannot begin task ids. Use 1 to 32 letters, digits, ` +
      `"_" and "-", a letter or digit first.`,
    { details: { auditId } },
  );
}
