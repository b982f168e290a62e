import { expect, it } from "vitest";
import { AgentRegistrationMessage, TaskResultMessage } from "../../src/protocol/agent-message.js";
import { decodeMessage } from "../../src/protocol/decode.js";
import { Envelope } from "../../src/protocol/envelope.js";
import { parseMessage } from "../../src/protocol/parse.js";
import { TaskRequest, TaskSubmissionMessage } from "../../src/protocol/task-message.js";
import { givenEnvelope } from "../support/given.js";

function submission(task: unknown, more: object = {}) {
  const parsed = parseMessage(TaskSubmissionMessage, { ...givenEnvelope, task, ...more });
  return parsed.ok ? "ok" : parsed.failure.code;
}

it.each<[string, unknown, object, string]>([
  ["nothing wrong", { type: "ocr", taskId: "t-1" }, {}, "ok"],
  ["an id with a dot", { type: "ocr", taskId: "t.1" }, {}, "INVALID_ID"],
  ["an empty id", { type: "ocr", taskId: "" }, {}, "INVALID_ID"],
  ["an id of 129 characters", { type: "ocr", taskId: "t".repeat(129) }, {}, "INVALID_ID"],
  ["a number for an id", { type: "ocr", taskId: 7 }, {}, "INVALID_ID"],
  ["null for an id", { type: "ocr", taskId: null }, {}, "INVALID_ID"],
  ["a wildcard among the dependencies", { type: "ocr", dependencies: ["t-1", "*"] }, {}, "INVALID_ID"],
  ["a number among the dependencies", { type: "ocr", dependencies: [7] }, {}, "INVALID_ID"],
  ["one id instead of a list of dependencies", { type: "ocr", dependencies: "t-1" }, {}, "INVALID_ID"],
  ["too many dependencies", { type: "ocr", dependencies: Array(5_001).fill("t") }, {}, "INVALID_MESSAGE"],
  ["an unusable preferred agent", { type: "ocr" }, { preferredAgentId: "a b" }, "INVALID_ID"],
  ["a wrong id beside another mistake", { type: "", taskId: "t.1" }, {}, "INVALID_ID"],
  ["a wrong id beside a wrong priority", { type: "ocr", taskId: "t.1", priority: "urgent" }, {}, "INVALID_ID"],
  ["an unknown priority", { type: "ocr", priority: "urgent" }, {}, "INVALID_PRIORITY"],
  ["a number for a priority", { type: "ocr", priority: 1 }, {}, "INVALID_PRIORITY"],
  ["no type", {}, {}, "INVALID_MESSAGE"],
  ["no task", undefined, {}, "INVALID_MESSAGE"],
  ["a task and a batch", { type: "ocr" }, { tasks: [{ type: "ocr" }] }, "INVALID_MESSAGE"],
  ["a wrong id in the metadata, which is the client's own", { type: "ocr", metadata: { taskId: "t.1" } }, {}, "ok"],
  ["a message id that is no UUID", { type: "ocr" }, { messageId: "m-1" }, "INVALID_MESSAGE"],
  ["a wrong id in a batch", undefined, { tasks: [{ type: "ocr" }, { type: "ocr", taskId: "t.1" }] }, "INVALID_ID"],
])("judges a submission with %s", (_what, task, more, code) => {
  expect(submission(task, more)).toBe(code);
});

it("takes a missing id for an incomplete message, not for a wrong id", () => {
  expect(parseMessage(TaskRequest, givenEnvelope)).toMatchObject({
    ok: false,
    failure: { code: "INVALID_MESSAGE", fields: ["taskId"] },
  });
});

it("names each wrong field by its path", () => {
  const registration = { agentId: "k-1", capabilities: ["ocr", ""], maxConcurrentTasks: 0 };
  const parsed = parseMessage(AgentRegistrationMessage, { ...givenEnvelope, registration });
  expect(parsed).toMatchObject({
    failure: {
      fields: ["registration.capabilities.1", "registration.capabilities.1", "registration.maxConcurrentTasks"],
    },
  });
});

it("names five wrong fields in its sentence and counts the rest", () => {
  const tasks = Array.from({ length: 8 }, () => ({ type: 7 }));
  const parsed = parseMessage(TaskSubmissionMessage, { ...givenEnvelope, tasks });
  expect(parsed.ok ? "" : parsed.failure.message).toMatch(/^tasks\.0\.type: .+; tasks\.4\.type: [^;]+; and 3 more$/);
});

it.each([null, 7, "text", [], true, undefined])("refuses %j for a message", (value) => {
  expect(parseMessage(TaskResultMessage, value)).toMatchObject({ ok: false, failure: { code: "INVALID_MESSAGE" } });
});

const utf8 = new TextEncoder();

it.each<[string, Uint8Array]>([
  ["nothing", new Uint8Array()],
  ["half a message", utf8.encode('{"messageId":')],
  ["bytes that are no UTF-8", new Uint8Array([0x22, 0xff, 0x22])],
  ["a bare word", utf8.encode("undefined")],
])("refuses %s without throwing", (_what, bytes) => {
  expect(decodeMessage(Envelope, bytes)).toMatchObject({ ok: false, failure: { code: "INVALID_MESSAGE" } });
});

it("says how large it was what is not JSON", () => {
  expect(decodeMessage(Envelope, utf8.encode("hello"))).toMatchObject({
    failure: { message: "is not JSON in UTF-8 (5 bytes)" },
  });
});

it("decodes the bytes of a message", () => {
  expect(decodeMessage(Envelope, utf8.encode(JSON.stringify(givenEnvelope)))).toEqual({
    ok: true,
    value: givenEnvelope,
  });
});
