/** Holds the histories of an audit against what it was to do: nothing lost, nothing done twice, and each replays. */
import type { Client, HistoryEvent } from "perdure";
import { replay } from "perdure/testing";
import { checkEngines, checkLicence, checkSize, dependencyAudit, packageChecks } from "./workflows.js";

export interface RecordedRun {
  readonly workflowId: string;
  readonly history: readonly HistoryEvent[];
}

const namedMax = 3;

/** The run's own history and those of its children. */
export async function recordedRuns(client: Client, workflowId: string): Promise<readonly RecordedRun[]> {
  const history = await client.workflow(workflowId).history();
  const children = history.flatMap((event) =>
    event.type === "StartChildWorkflowExecutionInitiated" ? [event.workflowId] : [],
  );
  const ofChildren = children.map(async (child) => ({
    workflowId: child,
    history: await client.workflow(child).history(),
  }));
  return [{ workflowId, history }, ...(await Promise.all(ofChildren))];
}

/** What is wrong, each as a sentence; empty if every package was audited exactly once. */
export function faultsOf(runs: readonly RecordedRun[], packagePaths: readonly string[]): readonly string[] {
  const completed = new Map<string, number>();
  for (const { history } of runs) {
    for (const check of completedChecks(history)) completed.set(check, (completed.get(check) ?? 0) + 1);
  }
  const wanted = packagePaths.flatMap((path) =>
    [checkLicence, checkSize, checkEngines].map(({ name }) => checkKey(name, path)),
  );
  const missing = wanted.filter((check) => !completed.has(check));
  const doubled = [...completed].filter(([, times]) => times > 1).map(([check]) => check);
  const unknown = [...completed.keys()].filter((check) => !wanted.includes(check));
  const open = runs.filter(({ history }) => history.at(-1)?.type !== "WorkflowExecutionCompleted");
  return [
    ...sentence(missing, "checks are in no history"),
    ...sentence(doubled, "checks were recorded more than once"),
    ...sentence(unknown, "checks were not asked for"),
    ...sentence(
      open.map(({ workflowId }) => workflowId),
      "runs did not complete",
    ),
  ];
}

/** Runs that today's code would not repeat as they are recorded, each as a sentence. */
export async function replayFaultsOf(runs: readonly RecordedRun[]): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const { workflowId, history } of runs) {
    const outcome = await replay({ workflows: [dependencyAudit, packageChecks], history });
    if (!outcome.ok) faults.push(`the history of ${workflowId} does not replay: ${outcome.error.message}`);
  }
  return faults;
}

export function checkCountOf(runs: readonly RecordedRun[]): number {
  return runs.reduce((sum, { history }) => sum + completedChecks(history).length, 0);
}

/** Every outcome a check has in a history; one that was recorded twice is there twice. */
function completedChecks(history: readonly HistoryEvent[]): readonly string[] {
  const asked = new Map<number, string>();
  for (const event of history) {
    if (event.type !== "ActivityTaskScheduled") continue;
    const { packagePath } = event.input as { readonly packagePath: string };
    asked.set(event.seq, checkKey(event.activityType, packagePath));
  }
  return history.flatMap((event) => {
    const check = event.type === "ActivityTaskCompleted" ? asked.get(event.seq) : undefined;
    return check === undefined ? [] : [check];
  });
}

function checkKey(type: string, packagePath: string): string {
  return `${type} of ${packagePath}`;
}

function sentence(items: readonly string[], what: string): readonly string[] {
  if (items.length === 0) return [];
  const more = items.length > namedMax ? ", …" : "";
  return [`${items.length} ${what} (${items.slice(0, namedMax).join(", ")}${more})`];
}
