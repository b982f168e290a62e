import { expect, it } from "vitest";
import { auditors, type Capability, workerIds } from "../../../workflows/dependency-audit/crew.js";

it("can do the whole audit with any one of its agents gone, and any one of its workers", () => {
  for (const killed of auditors) {
    const left = auditors.filter((auditor) => auditor !== killed).flatMap(({ capabilities }) => capabilities);
    const wanted: readonly Capability[] = ["audit-licence", "audit-size", "audit-engines"];
    expect(wanted.filter((capability) => !left.includes(capability))).toEqual([]);
  }
  expect(workerIds.length).toBeGreaterThan(1);
});
