/** Temporal's deterministic environment: Date, timers, randomness and UUIDs are the same in each replay. */
import { workflow } from "perdure";
import { replay, testEnvironment } from "perdure/testing";
import { expect, it } from "vitest";
import { z } from "zod";

const Reading = z.object({ at: z.number(), random: z.number(), uuid: z.string(), bytes: z.array(z.number()) });

const reader = workflow(
  "reader",
  { output: z.array(Reading), signals: { finish: z.undefined() }, queries: { readings: { output: z.array(Reading) } } },
  async (ctx) => {
    const readings: z.infer<typeof Reading>[] = [];
    ctx.onQuery("readings", () => readings);
    const read = () =>
      readings.push({
        at: Date.now(),
        random: Math.random(),
        uuid: crypto.randomUUID(),
        bytes: [...crypto.getRandomValues(new Uint8Array(4))],
      });
    read();
    let isUp = false;
    setTimeout(() => {
      isUp = true;
    }, 90_000);
    await ctx.condition(() => isUp);
    read();
    await new Promise<void>((resolve) => {
      const interval = setInterval(() => {
        read();
        if (readings.length === 4) {
          clearInterval(interval);
          resolve();
        }
      }, 1_000);
    });
    await ctx.signal("finish");
    return readings;
  },
);

it("gives each replay the same times and the same randomness, and time passes only while the code waits", async () => {
  const environment = testEnvironment({ workflows: [reader] });
  const run = await environment.start(reader, undefined);
  const begin = environment.now.getTime();
  await environment.sleep("5 minutes");
  const before = await run.query("readings");
  expect(before.map(({ at }) => at - begin)).toEqual([0, 90_000, 91_000, 92_000]);

  await environment.deploy([reader]);
  expect(await run.query("readings")).toEqual(before);
  await run.signal("finish");
  expect(await run.result()).toEqual(before);
  expect(await replay({ workflows: [reader], history: await run.history() })).toEqual({ ok: true });
});

it("gives different runs different randomness, and no value twice", async () => {
  const environment = testEnvironment({ workflows: [reader] });
  const readings = await Promise.all(
    [1, 2, 3].map(async () => {
      const run = await environment.start(reader, undefined);
      await run.signal("finish");
      return run.result();
    }),
  );
  const all = readings.flat();
  expect(new Set(all.map(({ uuid }) => uuid)).size).toBe(all.length);
  expect(new Set(all.map(({ random }) => random)).size).toBe(all.length);
  for (const { uuid, random } of all) {
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(random).toBeGreaterThanOrEqual(0);
    expect(random).toBeLessThan(1);
  }
});

it("leaves the machine's own clock and randomness to steps, mocks and the test itself", async () => {
  const honest = workflow("honest", { output: z.object({ inside: z.number(), inStep: z.number() }) }, async (ctx) => {
    const inside = Date.now();
    return { inside, inStep: await ctx.step("clock", () => Date.now()) };
  });
  const environment = testEnvironment({ workflows: [honest], startAt: new Date("2001-01-01T00:00:00Z") });
  const { inside, inStep } = await (await environment.start(honest, undefined)).result();
  expect(inside).toBe(Date.parse("2001-01-01T00:00:00Z"));
  expect(Math.abs(inStep - Date.now())).toBeLessThan(60_000);
});

it("a timer that was cleared never fires, and a cleared one leaves the run free to end", async () => {
  const cleared = workflow("cleared", { output: z.array(z.string()) }, async (ctx) => {
    const log: string[] = [];
    const timer = setTimeout(() => log.push("cleared timer"), 1_000);
    setTimeout((word: string) => log.push(word), 2_000, "argument");
    clearTimeout(timer);
    await ctx.sleep("1 minute");
    return log;
  });
  const environment = testEnvironment({ workflows: [cleared], maxCachedRuns: 0 });
  expect(await (await environment.start(cleared, undefined)).result()).toEqual(["argument"]);
});
