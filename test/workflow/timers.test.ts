import { promisify } from "node:util";
import { expect, test } from "vitest";
import { z } from "zod";
import { workflow } from "../../src/index.js";
import { eventOf, failureOf, lab, typesOf } from "./lab.js";

test("timers of years fire when they are due", async () => {
  const patient = workflow("patient", {}, async (ctx) => {
    await ctx.sleep("3650 days");
    return new Date();
  });
  const env = lab(patient, { startAt: new Date("2025-01-01T00:00:00Z") });
  const run = await env.start(patient, undefined);
  expect(await run.result()).toBe("2034-12-30T00:00:00.000Z");
});

test("timers fire in the order of their instants, whatever the order in which they were asked for", async () => {
  const many = workflow("many", {}, async (ctx) => {
    const fired: number[] = [];
    await Promise.all(
      [300, 100, 200].map(async (ms) => {
        await ctx.sleep(ms);
        fired.push(ms);
      }),
    );
    return fired;
  });
  const env = lab(many);
  expect(await (await env.start(many, undefined)).result()).toEqual([100, 200, 300]);
});

test("setTimeout, setInterval, setImmediate and their promises are durable timers inside a workflow", async () => {
  const plain = workflow("plain", {}, async (ctx) => {
    const begun = Date.now();
    const seen: string[] = [];
    const note = (what: string) => seen.push(`${what} after ${Date.now() - begun}`);
    setTimeout(note, 5_000, "timeout");
    setImmediate(note, "immediate");
    const taken = setTimeout(note, 1_000, "never");
    let ticks = 0;
    const interval = setInterval(() => {
      ticks += 1;
      note("tick");
      if (ticks === 2) clearInterval(interval);
    }, 2_000);
    clearTimeout(taken);
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    await promisify(setTimeout)(500);
    note("promise");
    ctx.log.info({ seen }, "seen");
    return seen;
  });
  const env = lab(plain);
  const run = await env.start(plain, undefined);
  expect(await run.result()).toEqual([
    "immediate after 1",
    "tick after 2000",
    "tick after 4000",
    "timeout after 5000",
    "promise after 10500",
  ]);
});

test("a timer that fires keeps the scope in which it was set", async () => {
  const shielded = workflow("shielded", {}, async (ctx) => {
    const done = ctx.nonCancellable(
      () =>
        new Promise<string>((resolve) => {
          setTimeout(async () => {
            await ctx.sleep(10);
            resolve("cleaned up");
          }, 1_000);
        }),
    );
    await ctx.sleep("1h").catch(() => undefined);
    return await done;
  });
  const env = lab(shielded);
  const run = await env.start(shielded, undefined);
  await run.cancel();
  expect(await run.result()).toBe("cleaned up");
});

test("what a timer's callback throws fails the run", async () => {
  const careless = workflow("careless", {}, async (ctx) => {
    setTimeout(() => {
      throw new RangeError("nobody catches this");
    }, 10);
    await ctx.sleep("1h");
  });
  const env = lab(careless);
  expect(await failureOf(await env.start(careless, undefined))).toMatchObject({ type: "RangeError" });
});

test("no time, and what is no number, is the shortest time there is", async () => {
  const hasty = workflow("hasty", { input: z.object({ ms: z.number().nullable() }) }, async (ctx, { ms }) => {
    if (ms === null) await new Promise((resolve) => setTimeout(resolve, Number.NaN));
    else await ctx.sleep(ms);
  });
  const env = lab(hasty);
  for (const ms of [0, null]) {
    const run = await env.start(hasty, { ms });
    await run.result();
    expect(await eventOf(run, "TimerStarted")).toMatchObject({ durationMs: 1 });
  }
});

test("what is no length of time fails the run with a message that says what would be", async () => {
  const wrong = workflow("wrong", {}, async (ctx) => {
    await ctx.sleep("a while" as never);
  });
  const env = lab(wrong);
  expect(await failureOf(await env.start(wrong, undefined))).toMatchObject({
    type: "INVALID_INPUT",
    message: 'the duration of a sleep is no length of time: "a while". Write milliseconds or "30s", "5m", "2 days".',
  });
});

test("a timer that is cancelled in the activation that fires it does not fire", async () => {
  const signals = { stop: z.void() };
  const racing = workflow("racing", { signals }, async (ctx) => {
    const stopped = await Promise.race([ctx.signal("stop").then(() => true), ctx.sleep("1h").then(() => false)]);
    return stopped;
  });
  const env = lab(racing);
  const run = await env.start(racing, undefined);
  await env.deploy([]);
  await env.sleep("2h");
  await run.signal("stop");
  await env.deploy([racing]);
  expect(await run.result()).toBe(true);
  expect(await typesOf(run)).toContain("TimerFired");
});
