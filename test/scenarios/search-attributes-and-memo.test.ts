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

test("search attributes are overwritten and added, what is not named stays, and others see it at once", async () => {
  const environment = testEnvironment({ workflows: [example], maxCachedRuns: 0 });
  const run = await environment.start(example, undefined, options);
  expect(await run.describe()).toMatchObject({
    run: { memo: { note: "kept", stage: "counted" }, searchAttributes: after },
  });
  await run.signal("finish");
  expect(await run.result()).toEqual(after);
});
