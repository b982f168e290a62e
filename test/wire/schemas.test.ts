/** What really goes over the wire, held against docs/schemas: no message without a schema, and none that does not fit. */
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect, it } from "vitest";
import { wireMessageNames } from "../protocol/wire-messages.js";
import { useNats } from "../support/nats.js";
import type { RawMessage } from "../support/raw-nats.js";
import { readRepositoryFile } from "../support/source-file.js";
import { type Assigned, Engine, type Json, jsonOf } from "./peers.js";

const nats = useNats();

interface Index {
  readonly error: string;
  readonly conversations: readonly {
    readonly subject: string;
    readonly message: string;
    readonly reply?: string | null;
  }[];
}

const ajv = new Ajv2020({ strict: true });
addFormats.default(ajv);
const index = JSON.parse(readRepositoryFile("docs/schemas/index.json")) as Index;
const validators = new Map(
  wireMessageNames.map((name) => [
    `${name}.json`,
    ajv.compile(JSON.parse(readRepositoryFile(`docs/schemas/${name}.json`))),
  ]),
);

it("has a schema for every message of a life with everything in it, and each message fits", async () => {
  await using engine = await Engine.start(nats.url, {
    healthCheckIntervalMs: 100,
    unhealthyThresholdMs: 30_000,
    lostThresholdMs: 60_000,
  });
  const listener = await engine.connect();
  const all = listener.subscribe(`${engine.namespace}.>`);
  const inboxes = listener.subscribe("_INBOX.>");
  await listener.flush();
  await liveThroughEverything(engine);
  await listener.flush();

  const answers = new Map(inboxes.received.map((message) => [message.subject, message]));
  const fitted = new Set<string>();
  for (const message of all.received) {
    const said = conversationsOn(message.subject.replace(engine.namespace, "mcp"));
    expect(said, `a message on ${message.subject}`).not.toEqual([]);
    const answer = message.reply === null ? undefined : answers.get(message.reply);
    const files = said.map(({ message: file }) => file);
    const found = fitting(message, files);
    // Refused for its shape, or not: the schema knew.
    expect([message.data.toString(), found === undefined]).toEqual([message.data.toString(), isShapeRefusal(answer)]);
    if (found !== undefined) fitted.add(found);
    const replies = said.flatMap(({ reply }) => (typeof reply === "string" ? [reply] : []));
    if (answer === undefined || replies.length === 0) continue;
    const reply = fitting(answer, [...replies, index.error]);
    expect(reply, `the answer ${answer.data.toString()} on ${message.subject}`).toBeDefined();
    if (reply !== undefined) fitted.add(reply);
  }
  expect([...fitted].sort()).toEqual(wireMessageNames.map((name) => `${name}.json`).sort());
});

/** A workflow with everything that a client asks of one, and a worker that answers. */
async function liveAsWorkflow(engine: Engine): Promise<void> {
  const worker = await engine.agent("k-w", { capabilities: ["workflow:order"], maxConcurrentTasks: 2 });
  const taskId = "w";
  const signal = { name: "hurry", input: 1, signalId: "s-1" };
  await engine.submitted({
    taskId,
    type: "workflow:order",
    memo: { who: "me" },
    searchAttributes: { city: "Bern" },
    idReusePolicy: "allowDuplicate",
    idConflictPolicy: "useExisting",
    signal,
  });
  const answer = (assigned: Assigned, commands: readonly Json[], more: Json = {}): void =>
    worker.result(assigned, { status: "completed", activation: { commands, steps: [], queries: [], ...more } });
  answer(await worker.nextTask(), [{ type: "StartTimer", seq: 1, durationMs: 60_000 }]);
  await engine.ask("workflow.signal", { taskId, ...signal, signalId: "s-2" });
  answer(await worker.nextTask(), []);
  const updated = engine.ask("workflow.update", {
    taskId,
    name: "change",
    input: 2,
    updateId: "u-1",
    waitFor: "accepted",
    timeoutMs: 5_000,
  });
  answer(await worker.nextTask(), [{ type: "AcceptUpdate", updateId: "u-1" }]);
  await updated;
  const queried = engine.ask("workflow.query", { taskId, name: "status", input: 3 });
  const assigned = await worker.nextTask();
  const [query] = (assigned["activation"] as { readonly queries: readonly Json[] }).queries;
  answer(assigned, [], { queries: [{ queryId: query?.["queryId"], output: "fine" }] });
  await queried;
  await engine.get(taskId);
  await engine.ask("workflow.cancel", { taskId });
  worker.result(await worker.nextTask(), {
    status: "failed",
    error: { type: "NONDETERMINISM", message: "it differs" },
  });
  await engine.event("WORKFLOW_STUCK");
  await engine.ask("workflow.reset", { taskId, to: "lastWorkflowTask", reason: "once more" });
  await engine.event("WORKFLOW_RESET");
  await engine.ask("workflow.terminate", { taskId, reason: "enough" });
  await engine.ask("workflow.history", { taskId, afterEventId: 1 });
  for (const verb of ["signal", "query", "update", "cancel", "terminate", "reset", "history"]) {
    await engine.ask(`workflow.${verb}`, { taskId: "nobody", name: "status", to: 2 });
  }
}

function conversationsOn(subject: string): Index["conversations"] {
  const pattern = subject.replace(/^mcp\.agent\.[^.]+\.(\w+)$/, "mcp.agent.{agentId}.$1");
  return index.conversations.filter((conversation) => conversation.subject === pattern);
}

/** The one of the schemas that the message fits. */
function fitting({ data }: RawMessage, files: readonly string[]): string | undefined {
  const message = jsonOf(data);
  return files.find((file) => validators.get(file)?.(message) === true);
}

const shapeCodes = ["INVALID_MESSAGE", "INVALID_ID", "INVALID_PRIORITY", "BATCH_TOO_LARGE"];

function isShapeRefusal(answer: RawMessage | undefined): boolean {
  return shapeCodes.includes(answer?.headers.get("Nats-Service-Error") ?? "");
}

/** Each conversation at least once, with every field that the engine ever fills in. */
async function liveThroughEverything(engine: Engine): Promise<void> {
  const agent = await engine.agent("k-1", { maxConcurrentTasks: 2, metadata: { zone: "a" } });
  await engine.submitted(
    {
      taskId: "a",
      type: "ocr",
      input: { page: 1 },
      metadata: { b: 1 },
      timeoutMs: 60_000,
      retry: { initialIntervalMs: 1 },
    },
    { preferredAgentId: "k-1" },
  );
  agent.fail(await agent.takeTask(), { type: "Torn", message: "page is torn", stack: "at page 1" });
  const second = await agent.takeTask();
  agent.report({
    state: "progress",
    taskId: second.taskId,
    token: second.token,
    incarnation: 1,
    progress: { page: 1 },
  });
  await agent.askHeartbeat({ metrics: { cpu: 1 }, incarnation: 1, tokens: [second.token, "unknown"] });
  await engine.ask("task.list", { states: ["running"], type: "ocr", agentId: "k-1", limit: 3 });
  const usage = { cost: 0.1, tokens: { input: 1, output: 2 }, model: "m" };
  await engine.nats.request(
    `${engine.namespace}.agent.k-1.result`,
    JSON.stringify({
      messageId: "9f0dfe0a-52a5-4d8f-9d57-1c2a6fb0a5de",
      timestamp: 1,
      result: {
        taskId: "a",
        attempt: 2,
        token: second.token,
        agentId: "k-1",
        status: "completed",
        output: 1,
        durationMs: 2,
        usage,
      },
    }),
  );
  await engine.wait("a");
  agent.fail(second);
  await engine.event("RESULT_REFUSED");

  const tasks = [{ type: "scan" }, { taskId: "b", type: "ocr" }, { taskId: "c", type: "ocr", dependencies: ["b"] }];
  await engine.ask("task.submit", { tasks });
  await engine.ask("task.submit", { tasks: [] });
  await agent.takeTask();
  await engine.untilState("b", "running");
  await engine.ask("task.cancel", { taskId: "b" });
  await agent.order("cancel");
  for (const verb of ["task.get", "task.wait", "task.cancel", "task.explain"]) {
    await engine.ask(verb, { taskId: "c", ...(verb === "task.wait" ? { timeoutMs: 1 } : {}) });
    await engine.ask(verb, { taskId: "nobody" });
  }
  await liveAsWorkflow(engine);
  for (const state of ["released", "draining", "idle"]) agent.report({ state, taskId: "b", token: "unknown" });
  await engine.event("AGENT_GONE");
  await agent.askHeartbeat();
  await agent.register({ instanceId: "process-2" });
  for (const refused of [{ agentId: "a.b" }, { capabilities: [""] }, { maxConcurrentTasks: 0 }]) {
    await agent.register(refused).catch(() => undefined);
  }
  for (const refused of [{ metrics: { cpu: "much" } }, { tokens: [1] }, { messageId: "1" }])
    await agent.askHeartbeat(refused);
  for (const verb of ["system.status", "health"]) await engine.ask(verb);
  await engine.restart();
  await engine.untilAgent("k-1", "healthy");
}
