import { expect, it } from "vitest";
import { type Capability, crew } from "../../../workflows/dependency-audit/crew.js";
import { packageTaskTypes, reportTaskType } from "../../../workflows/dependency-audit/messages.js";

it("can do the whole audit with any one of its members gone", () => {
  for (const killed of crew) {
    const left = crew.filter((member) => member !== killed).flatMap(({ capabilities }) => capabilities);
    const wanted: readonly Capability[] = [...packageTaskTypes, reportTaskType];
    expect(wanted.filter((capability) => !left.includes(capability))).toEqual([]);
  }
});
