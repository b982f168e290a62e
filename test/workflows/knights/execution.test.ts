import { expect, it } from "vitest";
import { executeTask } from "../../../workflows/knights/execution.js";
import { type Execution, ExecutionError, type Executor } from "../../../workflows/knights/executor.js";
import type { KnightResult, KnightTask } from "../../../workflows/knights/messages.js";
import { answering, endless, givenLog, givenTask, spent } from "./given-task.js";

const nothing = { cost: 0, tokens: { input: 0, output: 0 }, model: "none" };

function execute(
  executor: Executor,
  task: KnightTask = givenTask(),
  options: { readonly taskTimeoutMs?: number; readonly stopping?: AbortSignal } = {},
): Promise<KnightResult> {
  return executeTask(task, {
    knight: "galahad",
    executors: { security: executor },
    taskTimeoutMs: 60_000,
    stopping: new AbortController().signal,
    log: givenLog().log,
    ...options,
  });
}

it("answers with the result and what it cost", async () => {
  expect(await execute(answering("# Done"))).toEqual({
    task_id: "security-1771813755-33254",
    knight: "galahad",
    success: true,
    result: "# Done",
    duration_ms: expect.any(Number),
    ...spent,
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  });
});

it("aborts at the task's own time-out, though the knight's is longer", async () => {
  const task = givenTask({ metadata: { priority: "normal", timeout_ms: 30 } });

  const result = await execute(endless, task);

  expect(result).toMatchObject({ success: false, ...nothing });
  expect(result.result).toBe("Task security-1771813755-33254 timed out after 30 ms and was aborted.");
  expect(result.duration_ms).toBeGreaterThanOrEqual(29);
});

it("aborts at the knight's time-out where the task has none", async () => {
  const { result } = await execute(endless, givenTask(), { taskTimeoutMs: 20 });

  expect(result).toBe("Task security-1771813755-33254 timed out after 20 ms and was aborted.");
});

it("calls a result that came too late a time-out, also of an executor that gave way to no timer", async () => {
  const busy: Executor = {
    execute: async () => {
      const until = performance.now() + 40;
      while (performance.now() < until);
      return { ...spent, result: "late" };
    },
  };

  expect(await execute(busy, givenTask(), { taskTimeoutMs: 20 })).toMatchObject({ success: false, ...spent });
});

it("does not wait for an executor that ignores the abort", async () => {
  const deaf: Executor = { execute: () => new Promise(() => undefined) };

  const { success, duration_ms } = await execute(deaf, givenTask(), { taskTimeoutMs: 20 });

  expect(success).toBe(false);
  expect(duration_ms).toBeLessThan(5_000);
});

it.each<[string, Executor]>([
  ["throws", { execute: async () => Promise.reject(new Error("the feed is gone")) }],
  [
    "throws before it returns a promise",
    {
      execute: () => {
        throw new Error("the feed is gone");
      },
    },
  ],
])("makes a result of what an executor %s", async (_, executor) => {
  expect(await execute(executor)).toMatchObject({ success: false, result: "the feed is gone", ...nothing });
});

it.each<[string, unknown, RegExp]>([
  ["nothing", undefined, /^What the executor answered is no result: it: /],
  ["no text", { ...spent, result: 5 }, /no result: result: /],
  ["a cost that is no number", { ...spent, result: "# Done", cost: Number.NaN }, /no result: cost: /],
])("makes an error of an executor's answer that has %s", async (_, answer, sentence) => {
  const executor: Executor = { execute: async () => answer as Execution };

  expect(await execute(executor)).toMatchObject({
    success: false,
    result: expect.stringMatching(sentence),
    ...nothing,
  });
});

it("counts what a failed or aborted execution cost until then", async () => {
  const failing: Executor = { execute: async () => Promise.reject(new ExecutionError("refused", spent)) };
  const aborted: Executor = {
    execute: (_task, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new ExecutionError("aborted", spent)));
      }),
  };

  expect(await execute(failing)).toMatchObject({ success: false, result: "refused", ...spent });
  expect(await execute(aborted, givenTask(), { taskTimeoutMs: 20 })).toMatchObject({ success: false, ...spent });
});

it("aborts what is in hand when the knight is stopped, and says so", async () => {
  const stopping = new AbortController();
  const running = execute(endless, givenTask(), { stopping: stopping.signal });
  stopping.abort();

  expect(await running).toMatchObject({
    success: false,
    result: "galahad was stopped before task security-1771813755-33254 was done.",
  });
});

it.each(["vault", "gardening", "constructor"])("has no executor for %s and says which it has", async (domain) => {
  expect(await execute(answering("never"), givenTask({ domain }))).toMatchObject({
    success: false,
    result: `galahad has no executor for domain "${domain}"; it has security.`,
  });
});
