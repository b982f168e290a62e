import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { Engine, jsonOf, withEnvelope } from "./peers.js";

const nats = useNats();

const requests = [
  "orchestrator.task.submit",
  "orchestrator.task.get",
  "orchestrator.task.wait",
  "orchestrator.task.cancel",
  "orchestrator.task.explain",
  "orchestrator.task.list",
  "orchestrator.system.status",
  "orchestrator.health",
  "agent.register",
  "agent.k-1.status",
  "agent.k-1.heartbeat",
];

const envelope = JSON.stringify(withEnvelope({})).slice(1, -1);
const MB = 1_048_576;

/** Each is refused on every subject: no envelope, no JSON, or both. */
const malformed: Readonly<Record<string, string | Uint8Array>> = {
  nothing: "",
  blanks: "  \r\n\t ",
  "text that is no JSON": "hello",
  "half an object": `{${envelope}`,
  "JSON and more": `{${envelope}} {}`,
  null: "null",
  "a number": "42",
  "a text": '"text"',
  "a list": `[{${envelope}}]`,
  "an empty object": "{}",
  "bytes that are no UTF-8": Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d),
  "UTF-16": Buffer.from(`{${envelope}}`, "utf16le"),
  "a cut character in an otherwise good message": Buffer.concat([
    Buffer.from(`{${envelope},"note":"`),
    Uint8Array.of(0xe2, 0x82),
    Buffer.from('"}'),
  ]),
  "zero bytes": new Uint8Array(64),
  "a messageId that is a number": '{"messageId":1,"timestamp":1}',
  "a messageId that is an object": '{"messageId":{},"timestamp":1}',
  "a huge messageId": `{"messageId":"${"a".repeat(500_000)}","timestamp":1}`,
  "a negative timestamp": '{"messageId":"3f2b8c1e-6c1f-4d1b-9d0a-0c5f6a7b8c9d","timestamp":-1}',
  "an infinite timestamp": '{"messageId":"3f2b8c1e-6c1f-4d1b-9d0a-0c5f6a7b8c9d","timestamp":1e400}',
  "a hundred thousand brackets": "[".repeat(100_000),
  "deep nesting in an unknown field": `{${envelope},"deep":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
  "deep objects": `{${envelope},"deep":${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}}`,
  "1 MB of one letter": "x".repeat(MB),
  "1 MB of quotes": '"'.repeat(MB),
  "1 MB of backslashes in a text": `"${"\\".repeat(MB - 2)}"`,
};

it.each(requests)("answers whatever is malformed on %s with an error, and goes on", async (subject) => {
  await using engine = await Engine.start(nats.url);
  for (const [what, body] of Object.entries(malformed)) {
    const message = await engine.nats.request(`${engine.namespace}.${subject}`, body);
    const answer = jsonOf<{ error?: { code: string; message: string } }>(message.data);
    expect([what, answer]).toEqual([
      what,
      {
        messageId: expect.any(String),
        timestamp: expect.any(Number),
        error: expect.objectContaining({ code: "INVALID_MESSAGE", message: expect.stringContaining(subject) }),
      },
    ]);
    expect(message.headers.get("Nats-Service-Error")).toBe("INVALID_MESSAGE");
    expect(message.headers.get("Nats-Service-Error-Code")).toBe("400");
  }
  expect(await engine.status()).toMatchObject({ orchestratorStatus: "leading", agentCount: 0 });
});

/** Good envelopes around fields of the wrong type, in every place that has a field. */
const wrongValues = [null, true, 7, -1, 1.5, "", "x", [], [null], {}, { a: 1 }, "x".repeat(10_000)];
const fields: Readonly<Record<string, readonly (readonly string[])[]>> = {
  "orchestrator.task.submit": [
    ["task"],
    ["tasks"],
    ["task", "type"],
    ["task", "taskId"],
    ["task", "priority"],
    ["task", "dependencies"],
    ["task", "requiredCapabilities"],
    ["task", "timeoutMs"],
    ["task", "retry"],
    ["task", "retry", "nonRetryableErrorTypes"],
    ["task", "metadata"],
    ["preferredAgentId"],
  ],
  "orchestrator.task.wait": [["taskId"], ["timeoutMs"]],
  "orchestrator.task.list": [["states"], ["type"], ["agentId"], ["limit"]],
  "agent.register": [
    ["registration"],
    ["registration", "agentId"],
    ["registration", "instanceId"],
    ["registration", "capabilities"],
    ["registration", "maxConcurrentTasks"],
    ["registration", "metadata"],
  ],
  "agent.k-1.heartbeat": [["agentId"], ["metrics"], ["metrics", "cpu"], ["incarnation"], ["tokens"]],
};
const goodBodies: Readonly<Record<string, object>> = {
  "orchestrator.task.submit": { task: { type: "ocr", retry: {} } },
  "orchestrator.task.wait": { taskId: "nobody" },
  "orchestrator.task.list": {},
  "agent.register": { registration: { agentId: "k-1", capabilities: ["ocr"] } },
  "agent.k-1.heartbeat": { agentId: "k-1", metrics: {} },
};

it.each(Object.keys(fields))("answers every message on %s that has a wrong value in some field", async (subject) => {
  await using engine = await Engine.start(nats.url);
  for (const path of fields[subject] ?? []) {
    const answers = wrongValues.map((value) => {
      const body = withValue(withEnvelope({ ...goodBodies[subject] }), path, value);
      return engine.askRaw(subject, JSON.stringify(body));
    });
    // Some are good by chance (a text for a type); each is answered, and none by a fault of the orchestrator.
    for (const { error } of await Promise.all(answers)) expect(error?.code).not.toBe("INTERNAL");
  }
  expect(engine.orchestrator.state).toBe("leading");
});

it.each([
  "agent.k-1.result",
  "agent.k-1.task",
  "agent..status",
  "agent.*.heartbeat",
  "agent.@@.heartbeat",
  "agent.ünïcödé.status",
  "agent.a.b.heartbeat",
  "orchestrator.system.event",
  "orchestrator.task.unknown",
  "journal.extra",
])("goes on whatever is sent to %s", async (subject) => {
  await using engine = await Engine.start(nats.url);
  const stranger = await engine.connect();
  for (const body of Object.values(malformed)) stranger.publish(`${engine.namespace}.${subject}`, body);
  await stranger.flush();
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  agent.complete(await agent.takeTask(), "read");
  expect(await engine.wait(taskId)).toMatchObject({ state: "completed" });
});

it("tells everybody of a result that cannot be read, and reads the next", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const taskId = await engine.submitted({ type: "ocr" });
  const task = await agent.takeTask();
  agent.nats.publish(`${engine.namespace}.agent.k-1.result`, "garbage");
  agent.nats.publish(`${engine.namespace}.agent.@@.result`, JSON.stringify(withEnvelope({ result: task })));
  await until("both were reported", () => engine.eventsLike("SYSTEM_ERROR", { code: "INVALID_MESSAGE" }).length === 2);
  agent.complete(task, "read");
  expect(await engine.wait(taskId)).toMatchObject({ state: "completed" });
});

it("forgets nothing to a poisonous message: what was accepted before and after it is there after a restart", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  await engine.submitted({ taskId: "before", type: "scan" });
  for (const body of Object.values(malformed)) agent.nats.publish(`${engine.namespace}.agent.k-1.result`, body);
  await engine.submitted({ taskId: "after", type: "scan" });
  await until("all were read", () => engine.eventsLike("SYSTEM_ERROR").length === Object.keys(malformed).length);
  await engine.restart();
  expect(await engine.ask("task.list")).toMatchObject({ total: 2 });
});

it.each([
  ["a batch of 300,000 members without type", () => `{${envelope},"tasks":[${"{},".repeat(300_000)}{}]}`],
  [
    "500,000 dependencies that are no ids",
    () => `{${envelope},"task":{"type":"a","dependencies":[${"1,".repeat(400_000)}1]}}`,
  ],
  ["a type of 1 MB", () => `{${envelope},"task":{"type":"${"x".repeat(1_000_000)}"}}`],
  ["metadata of 20,000 members", () => `{${envelope},"task":{"type":"a","metadata":{${manyMembers(20_000)}}}}`],
  [
    "metadata that grows when it is written again",
    () => `{${envelope},"task":{"type":"a","metadata":{"n":[${"1e20,".repeat(100_000)}1]}}}`,
  ],
  ["5,000 dependencies with long names", () => `{${envelope},"task":{"type":"a","dependencies":[${manyIds(5_000)}]}}`],
])("refuses a submission with %s in an answer that fits into a message", async (_, body) => {
  await using engine = await Engine.start(nats.url);
  const { error } = await engine.askRaw("orchestrator.task.submit", body());
  expect(error).toMatchObject({ code: expect.any(String), message: expect.any(String) });
  expect(error?.code).not.toBe("INTERNAL");
  expect(await engine.status()).toMatchObject({
    orchestratorStatus: "leading",
    queuedTaskCount: 0,
    waitingTaskCount: 0,
  });
});

it("takes names that JavaScript knows for what they are: names", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("constructor", { capabilities: ["toString"], metadata: { constructor: 1 } });
  const dependency = await engine.submitted({ taskId: "hasOwnProperty", type: "toString", input: { constructor: 1 } });
  agent.complete(await agent.takeTask(), { toString: 1, hasOwnProperty: null });
  await engine.wait(dependency);
  const body = `{${envelope},"__proto__":{"admin":true},"task":{"taskId":"valueOf","type":"toString","dependencies":["hasOwnProperty"],"input":{"__proto__":{"admin":true}},"metadata":{"__proto__":{"admin":true}}}}`;
  expect(await engine.askRaw("orchestrator.task.submit", body)).toMatchObject({ taskId: "valueOf" });
  const task = await agent.takeTask();
  expect(task).toMatchObject({ dependencyResults: { hasOwnProperty: { toString: 1, hasOwnProperty: null } } });
  expect(JSON.stringify(task["input"])).toBe('{"__proto__":{"admin":true}}');
  expect(({} as { admin?: boolean }).admin).toBeUndefined();
});

it("says nothing to a heartbeat or a status that is malformed and asks for no answer", async () => {
  await using engine = await Engine.start(nats.url);
  const agent = await engine.agent("k-1");
  const before = agent.statuses.received.length;
  agent.nats.publish(`${engine.namespace}.agent.k-1.heartbeat`, "garbage");
  agent.nats.publish(`${engine.namespace}.agent.k-1.status`, '{"messageId":1}');
  expect(await agent.askHeartbeat()).toMatchObject({ status: { state: "registered" } });
  // Its own malformed status comes back to it, and no more.
  expect(agent.statuses.received.length).toBe(before + 1);
});

function withValue(body: object, [field = "", ...rest]: readonly string[], value: unknown): object {
  const inner: unknown = Reflect.get(body, field);
  if (rest.length === 0) return { ...body, [field]: value };
  return { ...body, [field]: withValue(typeof inner === "object" && inner !== null ? inner : {}, rest, value) };
}

const manyMembers = (count: number): string =>
  Array.from({ length: count }, (_, index) => `"member-${index}":"value"`).join(",");
const manyIds = (count: number): string =>
  Array.from({ length: count }, (_, index) => `"${"d".repeat(100)}-${index}"`).join(",");
