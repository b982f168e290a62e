import { PerdureError } from "perdure";
import { expect, it } from "vitest";
import { AuditError } from "../../../workflows/dependency-audit/audit-error.js";
import { DemoStopped, endingOf } from "../../../workflows/dependency-audit/demo-exit.js";

it.each([
  [new DemoStopped(130, "stopped by SIGINT"), 130, "stopped by SIGINT"],
  [new AuditError("NOTHING_INSTALLED", "NOTHING_INSTALLED: npm ci"), 3, "NOTHING_INSTALLED: npm ci"],
  [new PerdureError("QUEUE_FULL", "too many tasks"), 1, "QUEUE_FULL: too many tasks"],
])("ends with a status and one sentence for %s", (fault, exit, sentence) => {
  expect(endingOf(fault)).toEqual({ exit, sentence });
});

it("keeps the stack of a fault nobody expected", () => {
  const { exit, sentence } = endingOf(new RangeError("below zero"));

  expect(exit).toBe(1);
  expect(sentence).toContain("RangeError: below zero");
  expect(sentence).toContain("demo-exit.test");
});
