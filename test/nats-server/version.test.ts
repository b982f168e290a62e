import { expect, test } from "vitest";
import { compareVersions, isRecentEnough, parseVersion } from "../../src/nats-server/version.js";

test.for([
  ["nats-server: v2.14.5", "2.14.5"],
  ["nats-server: v2.15.0-RC.1\n", "2.15.0-RC.1"],
  ["2.12.0", "2.12.0"],
  ["no version", undefined],
] as const)("reads %j as version %s", ([text, version]) => {
  expect(parseVersion(text)).toBe(version);
});

test.for([
  ["2.11.9", "tooOld"],
  ["2.12.0-preview.2", "tooOld"],
  ["1.99.0", "tooOld"],
  ["2.12.0", "recent"],
  ["2.12.1-RC.1", "recent"],
  ["2.100.0", "recent"],
  ["3.0.0", "recent"],
] as const)("takes %s for %s", ([version, verdict]) => {
  expect(isRecentEnough(version)).toBe(verdict === "recent");
});

test("orders versions by number, not by letter", () => {
  const sorted = ["2.9.10", "2.12.0", "2.12.0-RC.1", "2.2.0"].sort(compareVersions);

  expect(sorted).toEqual(["2.2.0", "2.9.10", "2.12.0-RC.1", "2.12.0"]);
});
