/** Temporal's sample mutex, where the lock is started by whoever asks first: with a client, in a step. */
import { type Client, connectClient, silentLogger, worker, workflow } from "perdure";
import { startLocalSystem } from "perdure/testing";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";

const Request = z.object({ initiatorId: z.string() });
const Token = z.object({ token: z.string() });

const lock = workflow(
  "lock",
  { input: z.array(Request), signals: { requested: Request, released: Token } },
  async (ctx, waiting) => {
    const requests = [...waiting];
    const released = new Set<string>();
    ctx.onSignal("requested", (request) => void requests.push(request));
    ctx.onSignal("released", ({ token }) => void released.add(token));
    while (ctx.info.historyLength < 60) {
      await ctx.condition(() => requests.length > 0);
      const request = requests.shift();
      if (request === undefined) continue;
      const token = ctx.uuid();
      await ctx.external(request.initiatorId).signal("acquired", { token });
      await ctx.condition(() => released.has(token));
    }
    // What has come to this run and waits is the next one's only if it is handed on.
    ctx.continueAsNew(requests);
  },
);

test("of many that ask at once, each has the lock for itself, across several runs of the lock", async () => {
  const system = await startLocalSystem({ logger: silentLogger });
  onTestFinished(() => system.stop());
  const client: Client = await connectClient({ servers: system.url });
  onTestFinished(() => client.close());
  let inside = 0;
  let insideAtMost = 0;
  const user = workflow("user", { signals: { acquired: Token } }, async (ctx) => {
    const { workflowId } = ctx.info;
    await ctx.step("request", ({ stepId }) =>
      client
        .start(lock, [], {
          workflowId: "the-lock",
          idConflictPolicy: "useExisting",
          signal: { name: "requested", input: { initiatorId: workflowId }, signalId: stepId },
        })
        .then(() => undefined),
    );
    const { token } = await ctx.signal("acquired");
    await ctx.step("use", async () => {
      inside += 1;
      insideAtMost = Math.max(insideAtMost, inside);
      await client.status();
      inside -= 1;
    });
    await ctx.external("the-lock").signal("released", { token });
  });
  const workflows = await worker({ servers: system.url, workflows: [lock, user], logger: silentLogger });
  onTestFinished(() => workflows.stop());

  const runs = await Promise.all(Array.from({ length: 25 }, () => client.start(user, undefined)));
  await Promise.all(runs.map((run) => run.result()));

  expect(insideAtMost).toBe(1);
  expect((await client.workflow("the-lock").history())[0]).toMatchObject({ continuedFromRunId: expect.any(String) });
});
