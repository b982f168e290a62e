import { expect, it } from "vitest";
import { signatureOf } from "../../../workflows/agent-team/error-signature.js";
import { ErrorReport } from "../../../workflows/agent-team/messages.js";
import { NamespaceError, namesFromEnvironment, namesOf } from "../../../workflows/agent-team/names.js";
import { sampleReport } from "./given-team.js";

it("names streams in capitals and subjects in small letters, whatever was written", () => {
  const { streams, subjects } = namesOf("My-Shop");
  expect(streams.errors.production).toBe("MY-SHOP_PRODUCTION_ERRORS");
  expect(streams.investigations).toBe("MY-SHOP_INVESTIGATIONS");
  expect(subjects.errors.development).toBe("my-shop.errors");
  expect(subjects.status("t-1")).toBe("my-shop.investigation.status.t-1");
});

it("takes NATS_NAMESPACE before PROJECT_NAME, and refuses to go without either", () => {
  expect(namesFromEnvironment({ NATS_NAMESPACE: "a", PROJECT_NAME: "b" }).project).toBe("a");
  expect(namesFromEnvironment({ PROJECT_NAME: "b" }).project).toBe("b");
  expect(() => namesFromEnvironment({})).toThrow(NamespaceError);
});

it.each(["", "a.b", "a b", "*", ">", "-a", "a".repeat(33), "é"])('refuses "%s" as a namespace', (project) => {
  expect(() => namesOf(project)).toThrow(NamespaceError);
});

it("signs an error by what and where, never by when or by what else is known of it", () => {
  const later = {
    ...sampleReport,
    timestamp: "2027-01-01T00:00:00Z",
    stack: "other",
    context: { ...sampleReport.context, request_id: "2" },
  };
  expect(signatureOf(later)).toBe(signatureOf(sampleReport));
  expect(signatureOf({ ...sampleReport, context: { ...sampleReport.context, line: 8 } })).not.toBe(
    signatureOf(sampleReport),
  );
});

it.each([
  ["T-1", "T-1"],
  ["release.7.cart", "release.7.cart"],
  ["größe", "größe"],
  ["a b", expect.stringMatching(/^a-b-[0-9a-f]{16}$/)],
  ["a..b", expect.stringMatching(/^a-b-[0-9a-f]{16}$/)],
  ["*", expect.stringMatching(/^[0-9a-f]{16}$/)],
])("tells the result of task %s on a subject that ends so, if a subject can", (taskId, end) => {
  expect(namesOf("p").subjects.fixed(taskId).slice("p.results.fixed.".length)).toEqual(end);
});

it("gives no two projects one id in the engine", () => {
  expect(namesOf("a").engineId("b-1")).not.toBe(namesOf("a-b").engineId("1"));
});

it.each([{ timestamp: "2026-11-21T09:00:00+0000" }, { context: { ...sampleReport.context, request_id: null } }])(
  "takes %j as well",
  (change) => {
    expect(ErrorReport.safeParse({ ...sampleReport, ...change }).success).toBe(true);
  },
);

it("takes reports as members write them, and keeps what else they say", () => {
  const report = {
    ...sampleReport,
    timestamp: "2026-11-21T09:00:00.123456",
    context: { ...sampleReport.context, user: "u" },
  };
  expect(ErrorReport.parse(report)).toEqual(report);
  expect(ErrorReport.safeParse({ error: "x" }).success).toBe(false);
});
