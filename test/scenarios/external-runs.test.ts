/** Temporal's signals to and cancellations of external workflows, also of those that are not there. */
import { ApplicationFailure, workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const target = workflow(
  "target",
  { output: z.string(), signals: { greet: z.string() } },
  async (ctx) => `heard ${await ctx.signal("greet")}`,
);

const messenger = workflow(
  "messenger",
  { input: z.enum(["signal", "cancel"]), output: z.string() },
  async (ctx, what) => {
    const other = ctx.external("target-1");
    try {
      await (what === "signal" ? other.signal("greet", "hello") : other.cancel());
      return "delivered";
    } catch (error) {
      if (error instanceof ApplicationFailure) return error.type;
      throw error;
    }
  },
);

const environmentOfBoth = () => testEnvironment({ workflows: [target, messenger], maxCachedRuns: 0 });

describe("a workflow that reaches out to another one", () => {
  it("signals it", async () => {
    const environment = environmentOfBoth();
    const other = await environment.start(target, undefined, { workflowId: "target-1" });
    const run = await environment.start(messenger, "signal");
    expect(await run.result()).toBe("delivered");
    expect(await other.result()).toBe("heard hello");
  });

  it("cancels it", async () => {
    const environment = environmentOfBoth();
    const other = await environment.start(target, undefined, { workflowId: "target-1" });
    const run = await environment.start(messenger, "cancel");
    expect(await run.result()).toBe("delivered");
    await expect(other.result()).rejects.toMatchObject({ state: "cancelled" });
  });

  it.each(["signal", "cancel"] as const)("is told that there is none: %s", async (what) => {
    const environment = environmentOfBoth();
    const run = await environment.start(messenger, what);
    expect(await run.result()).toBe("NOT_FOUND");
  });

  it.each(["signal", "cancel"] as const)("is told that it is closed: %s", async (what) => {
    const environment = environmentOfBoth();
    const other = await environment.start(target, undefined, { workflowId: "target-1" });
    await other.signal("greet", "early");
    await other.result();
    const run = await environment.start(messenger, what);
    expect(await run.result()).toBe("NOT_FOUND");
  });
});
