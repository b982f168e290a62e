/**
 * From a survey of the project to the tasks to submit, as plain data: three for each installed package, and the join
 * that waits for all of them.
 *
 * Bounds. The join is the one message that cannot be divided: its dependencies are the ids of all other tasks. The
 * engine takes 5,000 dependencies, so 1,600 packages (4,800 tasks). Ids are 30 to 73 characters, so that message stays
 * below 360 kB, a third of NATS' 1 MiB. Everything else is divided into batches of 256 KiB: a batch is accepted whole,
 * in one write of the orchestrator, and its records are larger than what was sent.
 */
import { AuditError } from "./audit-error.js";
import type { LockedPackage } from "./lock-file.js";
import {
  type PackageTaskInput,
  type PackageTaskType,
  packageTaskTypes,
  type ReportTaskInput,
  reportTaskType,
} from "./messages.js";
import type { Survey } from "./survey.js";
import { packageTaskIds, reportTaskId } from "./task-ids.js";

interface Planned<Type extends string, Input> {
  readonly taskId: string;
  readonly type: Type;
  readonly input: Input;
  readonly requiredCapabilities: readonly Type[];
  readonly dependencies: readonly string[];
  readonly priority: "normal" | "high";
}

export type PlannedPackageTask = Planned<PackageTaskType, PackageTaskInput>;
export type PlannedReportTask = Planned<typeof reportTaskType, ReportTaskInput>;
export type PlannedTask = PlannedPackageTask | PlannedReportTask;

export interface AuditPlan {
  readonly auditId: string;
  readonly packageTasks: readonly PlannedPackageTask[];
  /** The join; its output is the report. */
  readonly reportTask: PlannedReportTask;
}

export const packagesMax = 1600;
const batchBytesMax = 256 * 1024;
/** Some 800 bytes each in the journal, of 960 KiB for a join with all it depends on. */
const firstPartMax = 480;

/** Throws AuditError NOTHING_INSTALLED, TOO_MANY_PACKAGES, AUDIT_ID_INVALID. */
export function planAudit(survey: Survey, auditId: string): AuditPlan {
  const { projectPath, installed, lockFile } = survey;
  if (installed.length > packagesMax) throw tooManyPackages(survey);
  if (installed.length === 0) throw nothingInstalled(survey);
  const idsByPath = packageTaskIds(
    auditId,
    lockFile.packages.map(({ path }) => path),
  );
  const packageTasks = packageTaskTypes.flatMap((type) =>
    installed.map((locked): PlannedPackageTask => {
      const ids = idsByPath.get(locked.path);
      if (ids === undefined) throw new Error(`the survey has ${locked.path}, its lock file has not`);
      return packageTask(ids[type], type, { projectPath, locked });
    }),
  );
  const reportTask: PlannedReportTask = {
    taskId: reportTaskId(auditId),
    type: reportTaskType,
    input: { auditId, projectPath, lockFileSha256: lockFile.sha256 },
    requiredCapabilities: [reportTaskType],
    dependencies: packageTasks.map(({ taskId }) => taskId),
    // Somebody waits for it once it can run; on a shared orchestrator it need not queue behind another audit's checks.
    priority: "high",
  };
  return { auditId, packageTasks, reportTask };
}

/**
 * The plan as two parts to submit one after the other, each with every kind of check; the join is in the second. The
 * first is half of a small audit and bounded for a large one: with the join the orchestrator writes down once more what
 * has ended already, all in one piece.
 */
export function partsOf({ packageTasks, reportTask }: AuditPlan): readonly [PlannedTask[], PlannedTask[]] {
  const firstCount = Math.min(Math.ceil(packageTasks.length / 2), firstPartMax);
  const every = packageTasks.length / firstCount;
  const inFirst = new Set(Array.from({ length: firstCount }, (_, index) => packageTasks[Math.floor(index * every)]));
  const second = packageTasks.filter((task) => !inFirst.has(task));
  return [packageTasks.filter((task) => inFirst.has(task)), [...second, reportTask]];
}

/**
 * Tasks as batches in the order to submit them: that of the tasks, so dependencies stay in front of who needs them.
 * `bytesMax` bounds the JSON of a batch's tasks; a task larger than that has a batch of its own.
 */
export function submissionBatches(
  tasks: readonly PlannedTask[],
  options: { readonly bytesMax?: number } = {},
): readonly (readonly PlannedTask[])[] {
  const bytesMax = options.bytesMax ?? batchBytesMax;
  const batches: PlannedTask[][] = [];
  let current: PlannedTask[] = [];
  let currentBytes = 0;
  for (const task of tasks) {
    // One more for the comma.
    const bytes = Buffer.byteLength(JSON.stringify(task)) + 1;
    if (current.length > 0 && currentBytes + bytes > bytesMax) {
      batches.push(current);
      current = [];
      currentBytes = 0;
    }
    current.push(task);
    currentBytes += bytes;
  }
  if (current.length > 0) batches.push(current);
  return batches;
}

function packageTask(
  taskId: string,
  type: PackageTaskType,
  { projectPath, locked }: { readonly projectPath: string; readonly locked: LockedPackage },
): PlannedPackageTask {
  return {
    taskId,
    type,
    input: { projectPath, packagePath: locked.path },
    requiredCapabilities: [type],
    dependencies: [],
    priority: "normal",
  };
}

function tooManyPackages({ installed, projectPath }: Survey): AuditError {
  return new AuditError(
    "TOO_MANY_PACKAGES",
    `TOO_MANY_PACKAGES: ${projectPath} has ${installed.length} packages installed; one audit takes ${packagesMax}, ` +
      `because its last task depends on three tasks for each and a task may have 5000 dependencies. ` +
      `Audit what is shipped: npm ci --omit=dev, then again.`,
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
