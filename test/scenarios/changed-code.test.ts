/** Temporal's non-determinism errors and workflow task failures: the run is held, says why, and a deployment heals it. */
import { ApplicationFailure, silentLogger, task, workflow } from "perdure";
import { replay, testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const charge = task("charge");
const declared = { output: z.string(), signals: { go: z.undefined() } } as const;

const chargesFirst = workflow("order", declared, async (ctx) => {
  await ctx.task(charge);
  await ctx.signal("go");
  return "charged";
});

const sleepsFirst = workflow("order", declared, async (ctx) => {
  await ctx.sleep("1s");
  await ctx.task(charge);
  await ctx.signal("go");
  return "slept";
});

const tasks = { charge: () => null, "check-fraud": () => null };

describe("code that differs from its history", () => {
  it("is found by a replay, which names both sides", async () => {
    const environment = testEnvironment({ workflows: [chargesFirst], tasks });
    const run = await environment.start(chargesFirst, undefined);
    const history = await run.history();
    expect(await replay({ workflows: [chargesFirst], history })).toEqual({ ok: true });
    const outcome = await replay({ workflows: [sleepsFirst], history });
    if (outcome.ok) expect.fail("it replays");
    expect(outcome.error.message).toContain("charge");
    expect(outcome.error.message).toMatch(/timer|sleep/i);
    expect(outcome.error.message).toMatch(/event \d+/i);
  });

  it("holds the run; the code that fits heals it", async () => {
    const environment = testEnvironment({ workflows: [chargesFirst], tasks, logger: silentLogger });
    const run = await environment.start(chargesFirst, undefined);
    await environment.deploy([sleepsFirst]);
    await run.signal("go");
    const held = await run.describe();
    expect(held.state).toBe("stuck");
    expect(held.reason).toContain("NONDETERMINISM");
    await environment.deploy([chargesFirst]);
    expect(await run.result()).toBe("charged");
  });

  it("behind a patch replays old histories and does the new thing in new runs", async () => {
    const patched = workflow("order", declared, async (ctx) => {
      const isChecked = ctx.patched("check-fraud");
      if (isChecked) await ctx.task("check-fraud");
      await ctx.task(charge);
      await ctx.signal("go");
      return isChecked ? "checked" : "charged";
    });
    const environment = testEnvironment({ workflows: [chargesFirst], tasks, maxCachedRuns: 0 });
    const old = await environment.start(chargesFirst, undefined);
    await environment.deploy([patched]);
    const young = await environment.start(patched, undefined);
    await old.signal("go");
    await young.signal("go");
    expect(await old.result()).toBe("charged");
    expect(await young.result()).toBe("checked");
  });

  it("asked for the same patch in a second place takes it there, and every replay of it agrees", async () => {
    const inTwoPlaces = workflow("order", declared, async (ctx) => {
      const first = ctx.patched("check-fraud");
      await ctx.task(charge);
      await ctx.signal("go");
      const second = ctx.patched("check-fraud");
      await ctx.sleep("1s");
      return `${first} ${second}`;
    });
    const environment = testEnvironment({ workflows: [chargesFirst], tasks, maxCachedRuns: 0 });
    const run = await environment.start(chargesFirst, undefined);
    await environment.deploy([inTwoPlaces]);
    await run.signal("go");
    expect(await run.result()).toBe("false true");
    expect(await replay({ workflows: [inTwoPlaces], history: await run.history() })).toEqual({ ok: true });
  });
});

describe("code with a bug of its own", () => {
  const buggy = (fault: () => never) =>
    workflow("order", declared, async (ctx) => {
      await ctx.task(charge);
      await ctx.signal("go");
      return fault();
    });
  const faults: readonly [string, () => never][] = [
    [
      "TypeError",
      () => {
        throw new TypeError("Cannot read properties of undefined (reading 'id')");
      },
    ],
    [
      "ReferenceError",
      () => {
        throw new ReferenceError("total is not defined");
      },
    ],
  ];

  it.each(faults)("that throws a %s is held with what came in, and mended code ends it", async (name, fault) => {
    const broken = buggy(fault);
    const environment = testEnvironment({ workflows: [broken], tasks, logger: silentLogger });
    const run = await environment.start(broken, undefined);
    await run.signal("go");
    await environment.sleep("30s");
    const held = await run.describe();
    expect(held.state).toBe("stuck");
    expect(held.reason).toContain(name);
    await environment.deploy([chargesFirst]);
    expect(await run.result()).toBe("charged");
  });

  it("in a handler of an update is held, in a validator only rejects", async () => {
    const bug = () => {
      throw new TypeError("a bug");
    };
    const updates = { checked: {}, handled: {} };
    const broken = workflow("order", { ...declared, updates }, async (ctx) => {
      ctx.onUpdate("checked", () => null, { validate: bug });
      ctx.onUpdate("handled", bug);
      await ctx.signal("go");
      return "went";
    });
    const environment = testEnvironment({ workflows: [broken], logger: silentLogger });
    const run = await environment.start(broken, undefined);
    await expect(run.update("checked")).rejects.toMatchObject({ stage: "rejected", failure: { type: "TypeError" } });
    expect((await run.describe()).state).toBe("running");
    await expect(run.update("handled")).rejects.toMatchObject({ code: "NOT_READY" });
    expect((await run.describe()).state).toBe("stuck");
    const mended = workflow("order", { ...declared, updates }, async (ctx) => {
      ctx.onUpdate("handled", () => "mended");
      return await ctx.signal("go").then(() => "went");
    });
    await environment.deploy([mended]);
    expect(await run.update("handled")).toBe("mended");
    await run.signal("go");
    expect(await run.result()).toBe("went");
  });

  it("can be terminated while it is held", async () => {
    const broken = buggy(faults[0]?.[1] ?? expect.fail());
    const environment = testEnvironment({ workflows: [broken], tasks, logger: silentLogger });
    const run = await environment.start(broken, undefined);
    await run.signal("go");
    expect((await run.describe()).state).toBe("stuck");
    await run.terminate("beyond repair");
    await expect(run.result()).rejects.toMatchObject({ state: "terminated" });
  });

  it("of an unknown type waits for a worker that has it", async () => {
    const environment = testEnvironment({ workflows: [workflow("other", {}, async () => null)], tasks });
    const run = await environment.start("order");
    expect((await run.describe()).state).not.toBe("failed");
    await environment.deploy([chargesFirst]);
    await run.signal("go");
    expect(await run.result()).toBe("charged");
  });

  it("that throws an error of its own fails the run at once instead", async () => {
    const failing = workflow("order", declared, async () => {
      throw new ApplicationFailure("no such order", { type: "NoSuchOrder" });
    });
    const environment = testEnvironment({ workflows: [failing] });
    const run = await environment.start(failing, undefined);
    await expect(run.result()).rejects.toMatchObject({ state: "failed", failure: { type: "NoSuchOrder" } });
  });
});
