/** For random workflow programs and random orders of events; fast-check prints the seed of a failure, which repeats it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { RunHandle } from "../../src/client/run-handle.js";
import { silentLogger } from "../../src/logger.js";
import type { Activation } from "../../src/protocol/activation.js";
import { commandEventTypes, type HistoryEvent } from "../../src/protocol/history-event.js";
import { matchCommands } from "../../src/replay/command-match.js";
import { replay, type TestEnvironment, testEnvironment } from "../../src/testing/index.js";
import { WorkflowRun } from "../../src/workflow/workflow-run.js";
import { anyProgram, type Happening, happenings, type Program, programs } from "./random-program.js";

const RUNS = Number(process.env["PERDURE_RANDOM_PROGRAMS"] ?? 60);

interface World {
  readonly program: Program;
  readonly happenings: readonly Happening[];
  /** After which happenings the worker is another one, with nothing in its memory. */
  readonly losses: ReadonlySet<number>;
}

/** Everything that is known of it in the end: of the run, of its chain, of its children. */
async function live({ program, happenings: all, losses }: World): Promise<Map<string, readonly HistoryEvent[]>> {
  const env = testEnvironment({
    workflows: [anyProgram],
    logger: silentLogger,
    tasks: {
      quick: () => "quick",
      slow: async () => {
        await env.sleep("2s");
        return "slow";
      },
      failing: () => {
        throw new Error("failing");
      },
      deaf: "hang",
    },
  });
  const run = await env.start(anyProgram, program);
  for (const [index, happening] of all.entries()) {
    await env.sleep(happening.afterMs);
    await happen(run, happening, `happening-${index}`);
    if (losses.has(index)) await env.deploy([anyProgram]);
  }
  await env.sleep("1 days");
  const { state } = await run.describe();
  expect(state, JSON.stringify(await run.describe())).not.toBe("stuck");
  if (state === "running") await run.terminate();
  const histories = new Map<string, readonly HistoryEvent[]>();
  await gather(env, run.workflowId, histories);
  return histories;
}

async function happen(run: RunHandle<typeof anyProgram>, { what, n }: Happening, id: string): Promise<void> {
  const [signalId, updateId] = [id, id];
  // A run that has ended refuses, which is no matter here.
  const asked = {
    "signal a": () => run.signal("a", n, { signalId }),
    "signal b": () => run.signal("b", n, { signalId }),
    count: () => run.signal("count", n, { signalId }),
    add: () => run.update("add", n, { updateId }),
    reject: () => run.update("add", -n, { updateId }),
    query: () => run.query("count"),
    cancel: () => run.cancel(),
    nothing: () => Promise.resolve(),
  }[what]();
  await Promise.resolve(asked).catch((reason: Error) => {
    if (!["PerdureError", "UpdateFailedError"].includes(reason.name)) throw reason;
  });
}

async function gather(env: TestEnvironment, workflowId: string, into: Map<string, readonly HistoryEvent[]>) {
  let runId: string | undefined;
  do {
    const history = await env.workflow(workflowId).history(runId === undefined ? {} : { runId });
    const [started] = history;
    if (started?.type !== "WorkflowExecutionStarted") throw new Error("a history without a start");
    into.set(started.runId, history);
    for (const event of history) {
      if (event.type === "ChildWorkflowExecutionStarted") {
        const asked = history.find(
          (each) => each.type === "StartChildWorkflowExecutionInitiated" && each.seq === event.seq,
        );
        if (asked?.type === "StartChildWorkflowExecutionInitiated") await gather(env, asked.workflowId, into);
      }
    }
    runId = started.continuedFromRunId;
  } while (runId !== undefined);
}

function newRun(history: readonly HistoryEvent[]): WorkflowRun {
  const [started] = history;
  if (started?.type !== "WorkflowExecutionStarted") throw new Error("a history without a start");
  const { workflowId, runId } = started;
  const onWarning = (what: string): never => expect.fail(`the code used ${what}`);
  return new WorkflowRun({ workflowId, runId, definition: anyProgram, logger: silentLogger, onWarning });
}

/** Replays what stands before each turn and makes the turn anew: it has to ask for what was recorded. */
async function everyTurnIsMadeAgain(history: readonly HistoryEvent[]): Promise<void> {
  for (const [index, turn] of history.entries()) {
    if (turn.type !== "WorkflowTaskCompleted") continue;
    const behind = history.slice(index + 1);
    const end = behind.findIndex(({ type }) => !commandEventTypes.has(type));
    const recorded = end === -1 ? behind : behind.slice(0, end);
    const updates = recorded.flatMap((event) =>
      event.type === "WorkflowExecutionUpdateAccepted"
        ? [{ updateId: event.updateId, name: event.updateName, input: event.input }]
        : [],
    );
    const { execution } = newRun(history);
    const activation = {
      startedAt: turn.startedAt,
      lastEventId: turn.eventId - 1,
      updates,
      queriesOnly: false,
      continueAsNewSuggested: false,
    } as Partial<Activation> as Activation;
    matchCommands(await execution.activate(activation, history.slice(0, index)), recorded, turn);
  }
}

/** Who worked on it, and where in their code something was thrown, is all that may differ. */
function withoutWorkers(histories: ReadonlyMap<string, readonly HistoryEvent[]>): unknown {
  const text = JSON.stringify([...histories], (key, value: unknown) => (key === "stack" ? undefined : value));
  return JSON.parse(text.replaceAll(/"agentId":"worker-\d+"/g, '"agentId":"a worker"'));
}

test(`random programs replay, whole and from each turn on, and end the same wherever they were worked on (${RUNS} of them)`, async () => {
  const world = fc.record({
    program: programs,
    happenings,
    losses: fc.uniqueArray(fc.integer({ min: 0, max: 11 })).map((indexes) => new Set(indexes)),
  });
  await fc.assert(
    fc.asyncProperty(world, async (drawn) => {
      const histories = await live(drawn);
      for (const history of histories.values()) {
        expect(await replay({ workflows: [anyProgram], history })).toEqual({ ok: true });
        await everyTurnIsMadeAgain(history);
      }
      const undisturbed = await live({ ...drawn, losses: new Set() });
      expect(withoutWorkers(histories)).toEqual(withoutWorkers(undisturbed));
    }),
    { numRuns: RUNS },
  );
}, 600_000);
