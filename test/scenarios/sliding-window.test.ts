/** After Temporal's sample batch-sliding-window: children outlive the run that started them, and report to the one there is. */
import { type TaskContext, task, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, test } from "vitest";
import { z } from "zod";

const processRecord = task("process", { input: z.number() });

const recordProcessor = workflow("record-processor", { input: z.number() }, async (ctx, id) => {
  await ctx.sleep(1 + ((id * 37) % 11) * 1_000);
  await ctx.task(processRecord, id);
  if (ctx.info.parent !== undefined) await ctx.external(ctx.info.parent.workflowId).signal("processed", id);
});

const slidingWindow = workflow(
  "sliding-window",
  {
    input: z.object({
      offset: z.number(),
      end: z.number(),
      current: z.array(z.number()).default([]),
      progress: z.number().default(0),
    }),
    output: z.number(),
    signals: { processed: z.number() },
  },
  async (ctx, { offset, end, ...input }) => {
    const current = new Set(input.current);
    let { progress } = input;
    ctx.onSignal("processed", (id) => {
      if (current.delete(id)) progress += 1;
    });
    const next = Math.min(offset + 3, end);
    const started: Promise<unknown>[] = [];
    for (let id = offset; id < next; id += 1) {
      await ctx.condition(() => current.size < 2);
      current.add(id);
      const workflowId = `${ctx.info.workflowId}-${id}`;
      started.push(ctx.startChild(recordProcessor, id, { workflowId, parentClosePolicy: "abandon" }));
    }
    if (next < end) {
      await Promise.all(started);
      return ctx.continueAsNew({ offset: next, end, current: [...current], progress });
    }
    await ctx.condition(() => current.size === 0);
    return progress;
  },
);

const batch = workflow("batch", { input: z.number(), output: z.number() }, async (ctx, size) => {
  const half = Math.ceil(size / 2);
  const windows = [
    ctx.child(slidingWindow, { offset: 0, end: half }),
    ctx.child(slidingWindow, { offset: half, end: size }),
  ];
  return (await Promise.all(windows)).reduce((total, done) => total + done, 0);
});

test("two windows of two process each record once, across many runs and in a worker that forgets them", async () => {
  const processed: number[] = [];
  let now = 0;
  let most = 0;
  const environment = testEnvironment({
    workflows: [batch, slidingWindow, recordProcessor],
    maxCachedRuns: 0,
    tasks: {
      process: async (_: TaskContext, id: number) => {
        now += 1;
        most = Math.max(most, now);
        await environment.sleep("2s");
        now -= 1;
        processed.push(id);
      },
    },
  });
  expect(await (await environment.start(batch, 13)).result()).toBe(13);
  expect(processed.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 13 }, (_, id) => id));
  expect(most).toBeGreaterThan(2);
  expect(most).toBeLessThanOrEqual(4);
});
