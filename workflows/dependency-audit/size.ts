/** Capability `audit-size`: how many files and bytes a package puts on disk. */
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { PackageTaskInput, SizeOutput } from "./messages.js";
import { findPackageDirectory, isAbsence, isRefusedAccess } from "./package-directory.js";

/** The largest packages on npm have some 30,000 files; a directory far beyond that is no package. */
const entriesMax = 200_000;

/**
 * Counts files and the sum of their lengths: what was unpacked, the same on every file system, not blocks. The
 * package's own `node_modules` holds other packages, which have tasks of their own. Links are neither followed nor
 * counted. Throws AuditError PACKAGE_PATH_REFUSED, PROJECT_NOT_FOUND.
 */
export async function auditSize(
  input: PackageTaskInput,
  options: { readonly entriesMax?: number } = {},
): Promise<SizeOutput> {
  const found = await findPackageDirectory(input);
  if (found.state === "absent") return { outcome: "not-installed" };
  const limit = options.entriesMax ?? entriesMax;
  try {
    return await measure(found.directory, limit);
  } catch (error) {
    if (isRefusedAccess(error)) return { outcome: "unreadable", reason: "part of the directory may not be read" };
    if (isAbsence(error)) return { outcome: "unreadable", reason: "the directory changed while it was measured" };
    throw error;
  }
}

async function measure(root: string, limit: number): Promise<SizeOutput> {
  const pending = [root];
  let entriesSeen = 0;
  let files = 0;
  let bytes = 0;
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const entries = await readdir(directory, { withFileTypes: true });
    entriesSeen += entries.length;
    if (entriesSeen > limit)
      return { outcome: "unreadable", reason: `it has more than ${limit} files and directories` };
    const sizes: Promise<number>[] = [];
    for (const entry of entries) {
      const path = join(directory, entry.name);
      const holdsOtherPackages = directory === root && entry.name === "node_modules";
      if (entry.isDirectory() && !holdsOtherPackages) pending.push(path);
      if (entry.isFile()) sizes.push(lstat(path).then(({ size }) => size));
    }
    files += sizes.length;
    for (const size of await Promise.all(sizes)) bytes += size;
  }
  return { outcome: "measured", files, bytes };
}
