/** Which packages of the lock file are really on disk: the audit is planned from this and reported against it. */
import { AuditError } from "./audit-error.js";
import { type LockedPackage, type LockFile, readLockFile } from "./lock-file.js";
import { findPackageDirectory } from "./package-directory.js";

export interface Survey {
  readonly projectPath: string;
  readonly lockFile: LockFile;
  /** In the lock file's order. */
  readonly installed: readonly LockedPackage[];
  /** Locked, but not on disk: made for another platform, left out by `npm ci --omit`, or missing. */
  readonly absent: readonly LockedPackage[];
  /** Refused by their text in the lock file or because they are a link that leaves the project. */
  readonly refused: LockFile["refused"];
}

/** Throws what readLockFile throws. `projectPath` is absolute. */
export async function surveyProject(projectPath: string): Promise<Survey> {
  const lockFile = await readLockFile(projectPath);
  const installed: LockedPackage[] = [];
  const absent: LockedPackage[] = [];
  const refused = [...lockFile.refused];
  for (const locked of lockFile.packages) {
    const place = await presenceOf(projectPath, locked);
    if (place === "present") installed.push(locked);
    else if (place === "absent") absent.push(locked);
    else refused.push({ path: locked.path, reason: "it is a link that leaves the project" });
  }
  return { projectPath, lockFile, installed, absent, refused };
}

async function presenceOf(projectPath: string, { path }: LockedPackage): Promise<"present" | "absent" | "refused"> {
  try {
    return (await findPackageDirectory({ projectPath, packagePath: path })).state;
  } catch (error) {
    if (error instanceof AuditError && error.code === "PACKAGE_PATH_REFUSED") return "refused";
    throw error;
  }
}
