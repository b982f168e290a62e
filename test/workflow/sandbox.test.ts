import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { existsSync, promises, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { workflow } from "../../src/index.js";
import { replay } from "../../src/testing/index.js";
import { lab } from "./lab.js";

/** Everything that could differ from one run of the code to the next. */
function draw(): unknown[] {
  return [
    Date.now(),
    new Date().toISOString(),
    Date(),
    Math.random(),
    crypto.randomUUID(),
    [...crypto.getRandomValues(new Uint8Array(4))],
    randomUUID(),
    randomBytes(4).toString("hex"),
    randomInt(1_000_000),
    randomInt(5, 7),
    Math.round(performance.timeOrigin + performance.now()),
  ];
}

test("clock and chance are the same in each replay, also where another module reads them", async () => {
  const drawn: unknown[][] = [];
  const drawing = workflow("drawing", {}, async (ctx) => {
    drawn.push(draw());
    await ctx.sleep("1 days");
    drawn.push(draw());
    drawn.push([ctx.uuid()]);
    return 1;
  });
  const env = lab(drawing);
  const run = await env.start(drawing, undefined);
  await run.result();
  await replay({ workflows: [drawing], history: await run.history() });
  expect(drawn).toHaveLength(6);
  expect(drawn.slice(3)).toEqual(drawn.slice(0, 3));
  const [first = [], second = []] = drawn;
  expect(first[1]).toBe("2025-01-01T00:00:00.000Z");
  expect(second[1]).toBe("2025-01-02T00:00:00.000Z");
  expect(first[0]).toBe(first[10]);
  expect(first[3]).not.toBe(second[3]);
  expect(first[4]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("two runs draw differently, and outside of workflow code everything is as it was", async () => {
  const drawing = workflow("drawing", {}, async () => await Promise.resolve(draw()));
  const env = lab(drawing);
  const [one, other] = [await env.start(drawing, undefined), await env.start(drawing, undefined)];
  expect(await one.result()).not.toEqual(await other.result());

  const before = performance.now();
  const outside = draw();
  expect(Math.abs((outside[0] as number) - Date.now())).toBeLessThan(1_000);
  expect(draw().slice(3, 10)).not.toEqual(outside.slice(3, 10));
  expect(performance.now()).toBeGreaterThanOrEqual(before);
  await new Promise((resolve) => setTimeout(resolve, 1));
  await new Promise((resolve) => setImmediate(resolve));
  const interval = setInterval(() => undefined, 10);
  clearInterval(interval);
  expect(typeof interval.hasRef).toBe("function");
});

test("dates are dates: of the same class, comparable, made from what they are given", async () => {
  const dating = workflow("dating", {}, async () => {
    const now = new Date();
    class Named extends Date {
      readonly label = "named";
    }
    const named = new Named();
    return await Promise.resolve([
      now instanceof Date,
      now.constructor === Date,
      new Date(5).getTime(),
      Date.UTC(2025, 0, 1) === now.getTime(),
      named instanceof Named && named.label === "named" && named.getTime() === now.getTime(),
      structuredClone(now).getTime() === now.getTime(),
    ]);
  });
  const env = lab(dating);
  expect(await (await env.start(dating, undefined)).result()).toEqual([true, true, 5, true, true, true]);
});

test("what no history has is spoken of once, with file and line", async () => {
  const reaching = workflow("reaching", {}, async (ctx) => {
    for (let round = 0; round < 3; round += 1) {
      void process.env["HOME"];
      existsSync("/");
      readFileSync(new URL(import.meta.url));
      void promises.access("/").catch(() => undefined);
      void readFile(new URL(import.meta.url)).catch(() => undefined);
      void fetch("data:,hello").catch(() => undefined);
      await ctx.sleep(1);
    }
  });
  const env = lab(reaching, { maxCachedRuns: 0 });
  await (await env.start(reaching, undefined)).result();
  const warnings = env.logged.filter((line) => typeof line["what"] === "string");
  expect(warnings.map((line) => line["what"])).toEqual([
    "process.env.HOME",
    "fs.existsSync",
    "fs.readFileSync",
    "fs.promises.access",
    "fs.promises.readFile",
    "fetch",
  ]);
  for (const { where } of warnings) expect(where).toMatch(/sandbox\.test\.ts:\d+:\d+\)?$/);
});

test("steps and everything outside may reach for it, and libraries may for themselves", async () => {
  const stepping = workflow("stepping", {}, async (ctx) => {
    ctx.log.info("a logger writes to a file, which is its own affair");
    return await ctx.step("read", async () => {
      void process.env["HOME"];
      return (await readFile(new URL(import.meta.url), "utf8")).length > 0;
    });
  });
  const env = lab(stepping);
  expect(await (await env.start(stepping, undefined)).result()).toBe(true);
  void process.env["HOME"];
  process.env["PERDURE_TEST"] = "set";
  expect({ ...process.env }["PERDURE_TEST"]).toBe("set");
  delete process.env["PERDURE_TEST"];
  expect("PERDURE_TEST" in process.env).toBe(false);
  expect(env.logged.filter((line) => typeof line["what"] === "string")).toEqual([]);
});

test("what a workflow logs is not logged again in a replay", async () => {
  const talking = workflow("talking", {}, async (ctx) => {
    ctx.log.info("one");
    await ctx.sleep(1);
    ctx.log.info("two");
    await ctx.sleep(1);
    ctx.log.info("three");
  });
  const env = lab(talking, { maxCachedRuns: 0 });
  const run = await env.start(talking, undefined);
  await run.result();
  expect(env.logged.map(({ msg }) => msg)).toEqual(["one", "two", "three"]);
  expect(env.logged[0]).toMatchObject({ workflowId: run.workflowId, runId: expect.any(String) });
});
