/** Which packages an audit is about: what is on disk of what the lock file has. */
import { AuditError } from "./audit-error.js";
import type { Survey } from "./survey.js";

export interface AuditPlan {
  readonly projectPath: string;
  /** The report refuses to describe another one. */
  readonly lockFileSha256: string;
  readonly packagePaths: readonly string[];
}

export const packagesMax = 1600;
const planBytesMax = 120 * 1024;

/** Throws AuditError NOTHING_INSTALLED, TOO_MANY_PACKAGES. */
export function planAudit(survey: Survey): AuditPlan {
  const packagePaths = survey.installed.map(({ path }) => path);
  if (packagePaths.length === 0) throw nothingInstalled(survey);
  const bytes = Buffer.byteLength(JSON.stringify(packagePaths));
  if (packagePaths.length > packagesMax || bytes > planBytesMax) throw tooManyPackages(survey);
  return { projectPath: survey.projectPath, lockFileSha256: survey.lockFile.sha256, packagePaths };
}

function tooManyPackages({ installed, projectPath }: Survey): AuditError {
  return new AuditError(
    "TOO_MANY_PACKAGES",
    `TOO_MANY_PACKAGES: ${projectPath} has ${installed.length} packages installed; one audit takes ${packagesMax}, ` +
      `because its plan and its report are one value each in a history, of 128 KiB at most. Audit what is shipped: npm ci --omit=dev, then again.`,
    { details: { projectPath, packages: installed.length, packagesMax } },
  );
}

function nothingInstalled({ lockFile, projectPath }: Survey): AuditError {
  const locked = lockFile.packages.length;
  const sentence =
    locked === 0
      ? `the lock file of ${projectPath} lists no packages, so there is nothing to audit.`
      : `none of the ${locked} packages in the lock file of ${projectPath} is on disk, and the audit reads the ` +
        "packages' own files. Install them first: npm ci";
  return new AuditError("NOTHING_INSTALLED", `NOTHING_INSTALLED: ${sentence}`, { details: { projectPath, locked } });
}
