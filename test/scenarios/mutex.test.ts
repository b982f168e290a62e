/** After Temporal's sample mutex: workflows that ask another one for a lock, by signals. */
import { task, workflow } from "perdure";
import { type TestEnvironment, testEnvironment } from "perdure/testing";
import { expect, test } from "vitest";
import { z } from "zod";

const LockRequest = z.object({ initiatorId: z.string(), timeoutMs: z.int() });
const useResource = task("useResource", { input: z.string() });

const lock = workflow(
  "lock",
  {
    input: z.array(LockRequest),
    signals: { lockRequested: LockRequest, lockReleased: z.object({ releaseToken: z.string() }) },
    queries: { holder: { output: z.string().nullable() } },
  },
  async (ctx, pending) => {
    const requests = [...pending];
    const released = new Set<string>();
    let holder: string | null = null;
    ctx.onSignal("lockRequested", (request) => void requests.push(request));
    ctx.onSignal("lockReleased", ({ releaseToken }) => void released.add(releaseToken));
    ctx.onQuery("holder", () => holder);
    while (ctx.info.historyLength < 100) {
      await ctx.condition(() => requests.length > 0);
      const request = requests.shift();
      if (request === undefined) continue;
      holder = request.initiatorId;
      const releaseToken = ctx.uuid();
      await ctx.external(request.initiatorId).signal("lockAcquired", { releaseToken });
      await ctx.condition(() => released.has(releaseToken), request.timeoutMs);
      holder = null;
    }
    ctx.continueAsNew(requests);
  },
);

/** The lock is started by whoever asks for it first: signal-with-start is the client's, so it is a step. */
const user = (environment: () => TestEnvironment) =>
  workflow(
    "user",
    { input: z.object({ lockTimeoutMs: z.int() }), signals: { lockAcquired: z.object({ releaseToken: z.string() }) } },
    async (ctx, { lockTimeoutMs }) => {
      const { workflowId } = ctx.info;
      await ctx.step("request the lock", async ({ stepId }) => {
        const input = { initiatorId: workflowId, timeoutMs: lockTimeoutMs };
        const signal = { name: "lockRequested", input, signalId: stepId };
        await environment().start(lock, [], { workflowId: "the-lock", idConflictPolicy: "useExisting", signal });
      });
      const { releaseToken } = await ctx.signal("lockAcquired");
      await ctx.task(useResource, workflowId);
      await ctx.external("the-lock").signal("lockReleased", { releaseToken });
    },
  );

function setting(useMs: number) {
  const used: string[] = [];
  let inside = 0;
  const oneAtATime = user(() => environment);
  const environment: TestEnvironment = testEnvironment({
    workflows: [lock, oneAtATime],
    tasks: {
      useResource: async (_, who) => {
        inside += 1;
        used.push(`${String(who)} as number ${inside}`);
        await environment.sleep(useMs);
        inside -= 1;
      },
    },
    maxCachedRuns: 0,
  });
  const start = (workflowId: string, lockTimeoutMs: number) =>
    environment.start(oneAtATime, { lockTimeoutMs }, { workflowId });
  return { environment, used, start, holder: () => environment.workflow(lock, "the-lock").query("holder") };
}

test("one has the lock at a time, in the order in which they asked", async () => {
  const { used, start, holder } = setting(500);
  const names = Array.from({ length: 30 }, (_, n) => `user-${n}`);
  const runs = await Promise.all(names.map((name) => start(name, 60_000)));
  for (const run of runs) await run.result();
  expect(used.toSorted()).toEqual(names.map((name) => `${name} as number 1`).toSorted());
  expect(await holder()).toBeNull();
});

test("whoever keeps it too long loses it to the next", async () => {
  const { environment, start, holder } = setting(10_000);
  await start("first", 1_000);
  await environment.sleep("100ms");
  await start("second", 1_000);
  await environment.sleep("100ms");
  expect(await holder()).toBe("first");
  await environment.sleep("1200ms");
  expect(await holder()).toBe("second");
});
