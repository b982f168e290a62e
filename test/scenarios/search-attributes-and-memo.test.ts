/** After Temporal's sample search-attributes. */
import { workflow } from "perdure";
import { testEnvironment } from "perdure/testing";
import { expect, test } from "vitest";
import { z } from "zod";

const example = workflow("example", { signals: { finish: z.void() } }, async (ctx) => {
  const before = ctx.info.searchAttributes["CustomIntField"];
  ctx.upsertSearchAttributes({
    CustomIntField: (typeof before === "number" ? before : 0) + 1,
    CustomDoubleField: 3.14,
  });
  ctx.upsertMemo({ stage: "counted" });
  await ctx.signal("finish");
  return ctx.info.searchAttributes;
});
const options = {
  searchAttributes: { CustomIntField: 2, CustomKeywordField: "kept" },
  memo: { note: "kept", stage: "new" },
};
const after = { CustomIntField: 3, CustomKeywordField: "kept", CustomDoubleField: 3.14 };

const forgetful = workflow("forgetful", { input: z.array(z.unknown()) }, async (ctx, seen) => {
  const then = [...seen, ctx.info.searchAttributes];
  if (then.length === 3) return then;
  ctx.upsertSearchAttributes({ gone: null, other: "b", never: null });
  then.push(ctx.info.searchAttributes);
  const child = await ctx.child("shows", undefined, {
    searchAttributes: { ...ctx.info.searchAttributes, other: null },
  });
  return ctx.continueAsNew([child, then]);
});
const shows = workflow("shows", {}, async (ctx) => await Promise.resolve(ctx.info.searchAttributes));

test("null takes a search attribute away: in the code, for others, for a child and for the next run", async () => {
  const environment = testEnvironment({ workflows: [forgetful, shows], maxCachedRuns: 0 });
  const searchAttributes = { kept: "a", gone: "x", nothing: null };
  const run = await environment.start(forgetful, [], { searchAttributes });
  const { run: last, output } = (await run.describe()) as { run: unknown; output: unknown };
  const left = { kept: "a", other: "b" };
  expect(last).toMatchObject({ searchAttributes: left });
  expect((last as { searchAttributes: object }).searchAttributes).toEqual(left);
  expect(output).toEqual([{ kept: "a" }, [{ kept: "a", gone: "x" }, left], left]);
});

test("search attributes are overwritten and added, what is not named stays, and others see it at once", async () => {
  const environment = testEnvironment({ workflows: [example], maxCachedRuns: 0 });
  const run = await environment.start(example, undefined, options);
  expect(await run.describe()).toMatchObject({
    run: { memo: { note: "kept", stage: "counted" }, searchAttributes: after },
  });
  await run.signal("finish");
  expect(await run.result()).toEqual(after);
});
