import { expect, test } from "vitest";
import { z } from "zod";
import { workflow } from "../../src/index.js";
import { lab } from "./lab.js";

const declared = { signals: { note: z.string() }, updates: { note: { input: z.string() } } };

test("a signal that came with the start is handled before the code goes on", async () => {
  const notes: string[] = [];
  const one = workflow("one", declared, async (ctx) => {
    ctx.onSignal("note", (text) => {
      notes.push(`signal ${text}`);
    });
    notes.push("code behind the handler");
    await ctx.sleep(1);
    notes.push("code behind the timer");
  });
  const env = lab(one);
  const run = await env.start(one, undefined, { signal: { name: "note", input: "first" } });
  await run.result();
  expect(notes).toEqual(["signal first", "code behind the handler", "code behind the timer"]);
});

test("a cancellation that came before the first activation finds the code where it first waits", async () => {
  const one = workflow("one", {}, async (ctx) => {
    try {
      await ctx.sleep("1h");
    } catch (reason) {
      return `${(reason as Error).name}, requested: ${ctx.cancelRequested}`;
    }
    return "slept";
  });
  const env = lab([]);
  const run = await env.start("one");
  await run.cancel();
  await env.deploy([one]);
  expect(await run.result()).toBe("CancelledFailure, requested: true");
});

test("signals of several names go to their handlers in the order in which they came", async () => {
  const named = { signals: { a: z.number(), b: z.number() } };
  const one = workflow("one", named, async (ctx) => {
    const seen: string[] = [];
    ctx.onSignal("a", (n) => {
      seen.push(`a${n}`);
    });
    ctx.onSignal("b", (n) => {
      seen.push(`b${n}`);
    });
    await ctx.condition(() => seen.length === 4);
    return seen;
  });
  const env = lab(one);
  const run = await env.start(one, undefined);
  await Promise.all([run.signal("a", 1), run.signal("b", 2), run.signal("b", 3), run.signal("a", 4)]);
  expect(await run.result()).toEqual(["a1", "b2", "b3", "a4"]);
});

test("handlers of signals and updates come before what else the same activation brings", async () => {
  const one = workflow("one", declared, async (ctx) => {
    const seen: string[] = [];
    ctx.onSignal("note", (text) => {
      seen.push(`signal ${text}`);
    });
    ctx.onUpdate("note", (text) => {
      seen.push(`update ${text}`);
    });
    await ctx.sleep("1h");
    seen.push("timer");
    return seen;
  });
  // With no worker for a while, so that all of it is seen at once.
  const env = lab(one);
  const run = await env.start(one, undefined);
  await env.deploy([]);
  await env.sleep("2h");
  await run.signal("note", "late");
  const updated = run.update("note", "later");
  await env.deploy([one]);
  await updated;
  expect(await run.result()).toEqual(["signal late", "update later", "timer"]);
});
