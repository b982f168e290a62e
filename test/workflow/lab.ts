/** A test environment whose every run is replayed against the code that wrote it when its test is over. */
import { Writable } from "node:stream";
import { expect, onTestFinished } from "vitest";
import type { RunHandle } from "../../src/client/run-handle.js";
import { TaskFailedError } from "../../src/client/task-outcome.js";
import { createLogger } from "../../src/logger.js";
import type { Failure } from "../../src/protocol/failure.js";
import type { HistoryEvent, HistoryEventOf, HistoryEventType } from "../../src/protocol/history-event.js";
import { replay, type TestEnvironment, type TestEnvironmentOptions, testEnvironment } from "../../src/testing/index.js";
import type { AnyWorkflow } from "../../src/workflow/definition.js";

export interface Lab extends TestEnvironment {
  /** What the worker logged, oldest first. */
  readonly logged: readonly Readonly<Record<string, unknown>>[];
}

export function lab(
  workflows: AnyWorkflow | readonly AnyWorkflow[],
  options: Omit<TestEnvironmentOptions, "workflows"> = {},
): Lab {
  let deployed = Array.isArray(workflows) ? (workflows as readonly AnyWorkflow[]) : [workflows as AnyWorkflow];
  const logged: Record<string, unknown>[] = [];
  const logger = createLogger(
    "info",
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        for (const line of chunk.toString().split("\n")) if (line !== "") logged.push(JSON.parse(line));
        done();
      },
    }),
  );
  const env = testEnvironment({ logger, ...options, workflows: deployed });
  const started: string[] = [];
  onTestFinished(async () => {
    for (const workflowId of started) await everyRunReplays(env, deployed, workflowId);
  });
  return {
    logged,
    get now() {
      return env.now;
    },
    start: async (definition: AnyWorkflow | string, input?: unknown, startOptions?: object) => {
      const run = await env.start(definition as never, input as never, startOptions);
      started.push(run.workflowId);
      return run as never;
    },
    executeUpdateWithStart: env.executeUpdateWithStart,
    startUpdateWithStart: env.startUpdateWithStart,
    workflow: (...given: unknown[]) => env.workflow(...(given as [never, never])),
    sleep: (duration) => env.sleep(duration),
    onTask: (type, mock) => env.onTask(type, mock),
    deploy: async (next) => {
      deployed = next;
      await env.deploy(next);
    },
  };
}

/** Of the whole chain, and of the children of each. */
async function everyRunReplays(env: TestEnvironment, workflows: readonly AnyWorkflow[], workflowId: string) {
  const last = await env.workflow(workflowId).history();
  const runs = [last];
  for (let [first] = last; first?.type === "WorkflowExecutionStarted" && first.continuedFromRunId !== undefined; ) {
    const before = await env.workflow(workflowId).history({ runId: first.continuedFromRunId });
    runs.push(before);
    [first] = before;
  }
  for (const history of runs) {
    const outcome = await replay({ workflows, history });
    expect(outcome, `${workflowId}: ${history.map(({ type }) => type).join(", ")}`).toEqual({ ok: true });
    for (const event of history) {
      if (event.type !== "StartChildWorkflowExecutionInitiated") continue;
      const isStarted = history.some(({ type, ...rest }) => {
        return type === "ChildWorkflowExecutionStarted" && (rest as { seq: number }).seq === event.seq;
      });
      if (isStarted) await everyRunReplays(env, workflows, event.workflowId);
    }
  }
}

export async function typesOf(run: Pick<RunHandle, "history">): Promise<HistoryEventType[]> {
  return (await run.history()).map(({ type }) => type);
}

/** The only event of a type. */
export async function eventOf<Type extends HistoryEventType>(
  run: Pick<RunHandle, "history">,
  type: Type,
): Promise<HistoryEventOf<Type>> {
  const [event, second] = (await run.history()).filter((each: HistoryEvent) => each.type === type);
  if (event === undefined || second !== undefined) expect.fail(`the history has not one ${type}`);
  return event as HistoryEventOf<Type>;
}

/** Why a run that should not complete did not. */
export async function failureOf(run: { result(): Promise<unknown> }): Promise<Failure> {
  const fault = await run.result().then(
    (output) => expect.fail(`it completed with ${JSON.stringify(output)}`),
    (reason: unknown) => reason,
  );
  if (fault instanceof TaskFailedError) return fault.failure;
  throw fault;
}
