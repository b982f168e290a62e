/** Workflows over the wire contract alone: a client and a worker that share no code with the engine. */
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { type Assigned, Engine, type HandWrittenAgent, type Json } from "./peers.js";

const nats = useNats();

const answerOf = (commands: readonly Json[], more: Json = {}): Json => ({
  status: "completed",
  activation: { commands, steps: [], queries: [], ...more },
});
const complete = { type: "CompleteWorkflow", output: "done" };
const wait = { type: "StartTimer", seq: 1, durationMs: 3_600_000 };

async function givenWorker(engine: Engine): Promise<HandWrittenAgent> {
  return engine.agent("w-1", { capabilities: ["workflow:order"], maxConcurrentTasks: 10 });
}

/** A workflow `o-1` that waits, and the worker that has it. */
async function givenWaiting(engine: Engine): Promise<HandWrittenAgent> {
  const worker = await givenWorker(engine);
  await engine.submitted({ type: "workflow:order", taskId: "o-1", input: 3 });
  worker.result(await worker.nextTask(), answerOf([wait]));
  // Until the answer is in the history, whoever restarts the engine or the worker races it.
  await until("the answer is in the history", async () => {
    const events = (await engine.ask("workflow.history", { taskId: "o-1" }))["events"] as readonly Json[];
    return events.at(-1)?.["type"] === "TimerStarted";
  });
  return worker;
}

const activationOf = (assigned: Assigned): Json => assigned["activation"] as Json;

it("sends a run to a worker and ends the workflow with its answer", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWorker(engine);
  await engine.submitted({ type: "workflow:order", taskId: "o-1", input: 3, memo: { who: "me" } });
  const assigned = await worker.nextTask();
  expect(assigned).toMatchObject({
    type: "workflow:order",
    activation: {
      workflowId: "o-1",
      from: "start",
      lastEventId: 1,
      events: [{ eventId: 1, type: "WorkflowExecutionStarted", input: 3, memo: { who: "me" } }],
    },
  });
  worker.result(assigned, answerOf([complete]));
  expect(await engine.wait("o-1")).toMatchObject({ state: "completed", output: "done", run: { historyLength: 3 } });
  const history = (await engine.ask("workflow.history", { taskId: "o-1" })) as Json & { events: readonly Json[] };
  expect(history.events.map((event) => event["type"])).toEqual([
    "WorkflowExecutionStarted",
    "WorkflowTaskCompleted",
    "WorkflowExecutionCompleted",
  ]);
});

it("takes a signal, shows it to the worker, and takes it once", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWaiting(engine);
  const signal = { taskId: "o-1", name: "poke", input: 5, signalId: "s-1" };
  expect(await engine.ask("workflow.signal", signal)).toMatchObject({ taskId: "o-1", runId: expect.any(String) });
  expect(await engine.ask("workflow.signal", signal)).not.toHaveProperty("error");
  const assigned = await worker.nextTask();
  expect(activationOf(assigned)).toMatchObject({
    from: "previous",
    events: [{ type: "WorkflowExecutionSignaled", signalName: "poke", input: 5 }],
  });
  worker.result(assigned, answerOf([complete]));
  expect(await engine.wait("o-1")).toMatchObject({ state: "completed" });
});

it("answers a query from the worker, also of a run that has closed", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWaiting(engine);
  for (const output of [1, 2]) {
    const asked = engine.ask("workflow.query", { taskId: "o-1", name: "status" });
    const assigned = await worker.nextTask();
    const [query] = activationOf(assigned)["queries"] as readonly Json[];
    expect([activationOf(assigned)["queriesOnly"], query]).toMatchObject([true, { name: "status" }]);
    worker.result(assigned, answerOf([], { queries: [{ queryId: query?.["queryId"], output }] }));
    expect(await asked).toMatchObject({ output });
    if (output === 1) await engine.ask("workflow.terminate", { taskId: "o-1", reason: "enough" });
  }
  expect(await engine.get("o-1")).toMatchObject({
    state: "terminated",
    error: { type: "TERMINATED", message: "enough" },
  });
});

it("answers an update when it is completed, and asked again with the same outcome from the history", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWaiting(engine);
  const update = { taskId: "o-1", name: "change", updateId: "u-1" };
  const asked = engine.ask("workflow.update", update);
  const assigned = await worker.nextTask();
  expect(activationOf(assigned)).toMatchObject({ updates: [{ updateId: "u-1", name: "change" }] });
  const commands = [
    { type: "AcceptUpdate", updateId: "u-1" },
    { type: "CompleteUpdate", updateId: "u-1", output: 8 },
  ];
  worker.result(assigned, answerOf(commands));
  expect(await asked).toMatchObject({ updateId: "u-1", stage: "completed", output: 8 });
  expect(await engine.ask("workflow.update", update)).toMatchObject({ stage: "completed", output: 8 });
  await engine.restart();
  await worker.register({ capabilities: ["workflow:order"], maxConcurrentTasks: 10 });
  expect(await engine.ask("workflow.update", update)).toMatchObject({ stage: "completed", output: 8 });
});

it("answers an update again when its run has closed and left memory: with its outcome, or that it has none", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWaiting(engine);
  const ask = (updateId: string) => engine.ask("workflow.update", { taskId: "o-1", name: "change", updateId });
  const asked = ask("u-1");
  const assigned = await worker.nextTask();
  const left = ask("u-2");
  const commands = [
    { type: "AcceptUpdate", updateId: "u-1" },
    { type: "CompleteUpdate", updateId: "u-1", output: 8 },
  ];
  worker.result(assigned, answerOf(commands));
  expect(await asked).toMatchObject({ stage: "completed", output: 8 });
  worker.result(await worker.nextTask(), answerOf([{ type: "AcceptUpdate", updateId: "u-2" }, complete]));
  const unfinished = { stage: "failed", failure: { type: "AcceptedUpdateCompletedWorkflow" } };
  expect(await left).toMatchObject(unfinished);
  await engine.restart();
  expect(await ask("u-1")).toMatchObject({ stage: "completed", output: 8 });
  expect(await ask("u-2")).toMatchObject(unfinished);
  expect(await ask("u-3")).toMatchObject({ error: { code: "NOT_FOUND" } });
});

it("answers a signal again when its run has closed, in memory and later, and refuses another one", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWaiting(engine);
  const signal = (signalId: string) => engine.ask("workflow.signal", { taskId: "o-1", name: "poke", signalId });
  expect(await signal("s-1")).not.toHaveProperty("error");
  worker.result(await worker.nextTask(), answerOf([complete]));
  expect(await engine.wait("o-1")).toMatchObject({ state: "completed" });
  expect(await signal("s-1")).toMatchObject({ taskId: "o-1", runId: expect.any(String) });
  await engine.restart();
  expect(await signal("s-1")).toMatchObject({ taskId: "o-1", runId: expect.any(String) });
  expect(await signal("s-2")).toMatchObject({ error: { code: "NOT_FOUND" } });
});

it("starts a workflow with an update in one request, and answers the same again when its run has left memory", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWorker(engine);
  const update = { name: "change", input: 5, updateId: "u-1" };
  const start = () => engine.submit({ type: "workflow:order", taskId: "o-1", update, idReusePolicy: "allowDuplicate" });
  const started = start();
  const assigned = await worker.nextTask();
  expect(activationOf(assigned)).toMatchObject({
    events: [{ type: "WorkflowExecutionStarted" }],
    updates: [{ updateId: "u-1", name: "change", input: 5 }],
  });
  const commands = [
    { type: "AcceptUpdate", updateId: "u-1" },
    { type: "CompleteUpdate", updateId: "u-1", output: 8 },
    complete,
  ];
  worker.result(assigned, answerOf(commands));
  const answered = { taskId: "o-1", update: { updateId: "u-1", stage: "completed", output: 8 } };
  expect(await started).toMatchObject(answered);
  expect(await engine.wait("o-1")).toMatchObject({ state: "completed" });
  expect(await start()).toMatchObject(answered);
  await engine.restart();
  expect(await start()).toMatchObject(answered);
  expect(await engine.get("o-1")).toMatchObject({ state: "completed" });
});

it("says that an update-with-start was rejected, or has not come so far in time, and leaves its run open", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWorker(engine);
  const update = { name: "change", updateId: "u-1", timeoutMs: 0 };
  const task = { type: "workflow:order", taskId: "o-1", update };
  expect(await engine.submit(task)).toMatchObject({ taskId: "o-1", update: { updateId: "u-1", stage: "admitted" } });
  const again = engine.submit({ ...task, update: { ...update, timeoutMs: 10_000 } });
  const failure = { type: "Error", message: "no" };
  // Asked second, on the same connection: what is answered now is after it.
  await engine.get("o-1");
  worker.result(await worker.nextTask(), answerOf([{ type: "RejectUpdate", updateId: "u-1", failure }, wait]));
  expect(await again).toMatchObject({ taskId: "o-1", update: { stage: "rejected", failure: { message: "no" } } });
  expect(await engine.get("o-1")).toMatchObject({ state: "running" });
});

it("knows a signal-with-start again when the run that it signalled has closed and left memory", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWaiting(engine);
  const task = { type: "workflow:order", taskId: "o-1", input: 3, signal: { name: "poke" } };
  const messageId = randomUUID();
  const again = () => engine.submit(task, { messageId });
  expect(await again()).toMatchObject({ taskId: "o-1" });
  worker.result(await worker.nextTask(), answerOf([complete]));
  expect(await engine.wait("o-1")).toMatchObject({ state: "completed" });
  expect(await again()).toMatchObject({ taskId: "o-1" });
  await engine.restart();
  expect(await again()).toMatchObject({ taskId: "o-1" });
  expect(await engine.get("o-1")).toMatchObject({ state: "completed" });
  await engine.submitted(task);
  expect(await engine.get("o-1")).toMatchObject({ state: "running" });
});

it("starts no child under the id of a workflow that ended and left memory, where its policy forbids it", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWorker(engine);
  await engine.submitted({ type: "workflow:order", taskId: "c-1" });
  worker.result(await worker.nextTask(), answerOf([complete]));
  await engine.wait("c-1");
  await engine.restart();
  await worker.register({ capabilities: ["workflow:order"], maxConcurrentTasks: 10 });
  await engine.submitted({ type: "workflow:order", taskId: "o-1" });
  const child = {
    type: "StartChildWorkflow",
    workflowId: "c-1",
    workflowType: "order",
    parentClosePolicy: "terminate",
  };
  const commands = [
    { ...child, seq: 1, idReusePolicy: "rejectDuplicate" },
    { ...child, seq: 2 },
  ];
  worker.result(await worker.nextTask(), answerOf(commands.slice(0, 1)));
  const assigned = await worker.nextTask();
  expect(activationOf(assigned)["events"]).toMatchObject([
    { type: "StartChildWorkflowExecutionFailed", seq: 1, failure: { type: "WORKFLOW_ALREADY_STARTED" } },
  ]);
  worker.result(assigned, answerOf(commands.slice(1)));
  expect(await engine.get("c-1")).toMatchObject({ state: "running" });
});

it("asks the code to stop, and ends cancelled when it agrees", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWaiting(engine);
  expect(await engine.ask("workflow.cancel", { taskId: "o-1" })).toMatchObject({ taskId: "o-1" });
  const assigned = await worker.nextTask();
  expect(activationOf(assigned)).toMatchObject({ events: [{ type: "WorkflowExecutionCancelRequested" }] });
  worker.result(assigned, answerOf([{ type: "CancelWorkflow" }]));
  expect(await engine.wait("o-1")).toMatchObject({ state: "cancelled" });
});

it("cancels a workflow that waits for its dependencies and has no run", async () => {
  await using engine = await Engine.start(nats.url);
  const dependency = await engine.submitted({ type: "ocr" });
  const taskId = await engine.submitted({ type: "workflow:order", dependencies: [dependency] });
  expect(await engine.ask("workflow.signal", { taskId, name: "poke" })).toMatchObject({ error: { code: "NOT_READY" } });
  expect(await engine.ask("workflow.cancel", { taskId })).toMatchObject({ taskId });
  expect(await engine.get(taskId)).toMatchObject({ state: "cancelled" });
});

it("resets a run to a workflow task, open or closed, once for each message", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWaiting(engine);
  const first = await engine.ask("workflow.history", { taskId: "o-1" });
  await engine.ask("workflow.signal", { taskId: "o-1", name: "poke", input: 5, signalId: "s-1" });
  worker.result(await worker.nextTask(), answerOf([{ type: "CompleteWorkflow", output: "wrong" }]));
  expect(await engine.wait("o-1")).toMatchObject({ state: "completed", output: "wrong" });
  // Nothing but the buckets knows of it then.
  await engine.restart();
  await worker.register({ capabilities: ["workflow:order"], maxConcurrentTasks: 10 });

  const messageId = randomUUID();
  const reset = { messageId, taskId: "o-1", to: "lastWorkflowTask", reason: "a bug" };
  const { runId } = await engine.ask("workflow.reset", reset);
  expect(await engine.ask("workflow.reset", reset)).toMatchObject({ taskId: "o-1", runId });
  expect(await engine.get("o-1")).toMatchObject({ state: "running", run: { runId } });
  const assigned = await worker.nextTask();
  expect(activationOf(assigned)).toMatchObject({ runId, from: "start", previousToken: null, queriesOnly: false });
  expect((activationOf(assigned)["events"] as readonly Json[]).slice(3)).toMatchObject([
    { eventId: 4, type: "WorkflowExecutionSignaled", signalId: "s-1" },
    { eventId: 5, type: "WorkflowTaskFailed", baseRunId: first["runId"], newRunId: runId, reason: "a bug" },
  ]);
  await engine.restart();
  await worker.register({ capabilities: ["workflow:order"], maxConcurrentTasks: 10 });
  worker.result(await worker.nextTask(), answerOf([complete]));
  expect(await engine.wait("o-1")).toMatchObject({ state: "completed", output: "done", run: { historyLength: 7 } });
  expect(await engine.ask("workflow.reset", { taskId: "o-1", to: 3 })).toMatchObject({
    error: { code: "RESET_REFUSED", message: expect.stringContaining("nearest being event 2 and event 6") },
  });
  const old = { taskId: "o-1", to: 2, runId: first["runId"] };
  expect(await engine.ask("workflow.reset", old)).toMatchObject({ error: { code: "RESET_REFUSED" } });
});

const subjects = ["signal", "query", "update", "cancel", "terminate", "reset", "history"];

it.each(subjects)("refuses workflow.%s of a workflow that nobody knows", async (subject) => {
  await using engine = await Engine.start(nats.url);
  expect(await engine.ask(`workflow.${subject}`, { taskId: "nobody", name: "x", to: 2 })).toMatchObject({
    error: { code: "NOT_FOUND", details: { taskId: "nobody" } },
  });
});

const malformed: readonly (readonly [what: string, body: string, code: string])[] = [
  ["no JSON", "{", "INVALID_MESSAGE"],
  ["no envelope", '{"taskId":"o-1","name":"x"}', "INVALID_MESSAGE"],
  ["an id that cannot be one", JSON.stringify({ taskId: "a.b", name: "x" }), "INVALID_ID"],
  ["no id", JSON.stringify({ name: "x" }), "INVALID_MESSAGE"],
  ["a list for a name", JSON.stringify({ taskId: "o-1", name: [] }), "INVALID_MESSAGE"],
];

const nameless = new Set(["cancel", "terminate", "reset", "history"]);
const refusals = subjects.flatMap((subject) =>
  malformed
    .filter(([what]) => !(nameless.has(subject) && what.includes("name")))
    .map(([what, body, code]) => [subject, what, body, code] as const),
);

it.each(refusals)("refuses workflow.%s with %s", async (subject, what, body, code) => {
  await using engine = await Engine.start(nats.url);
  const envelope = { messageId: crypto.randomUUID(), timestamp: Date.now() };
  const whole =
    what.includes("JSON") || what.includes("envelope") ? body : JSON.stringify({ ...envelope, ...JSON.parse(body) });
  expect(await engine.askRaw(`orchestrator.workflow.${subject}`, whole)).toMatchObject({ error: { code } });
});

it.each([
  ["idReusePolicy", "allowDuplicate"],
  ["idConflictPolicy", "useExisting"],
  ["memo", { a: 1 }],
  ["searchAttributes", { a: 1 }],
  ["signal", { name: "poke" }],
])("refuses %s on a task that is no workflow", async (field, value) => {
  await using engine = await Engine.start(nats.url);
  const refused = { error: { code: "INVALID_MESSAGE", message: expect.stringContaining(field) } };
  expect(await engine.submit({ type: "ocr", [field]: value })).toMatchObject(refused);
});

it("refuses a workflow type without a name, and a memo that no record can hold", async () => {
  await using engine = await Engine.start(nats.url);
  expect(await engine.submit({ type: "workflow:" })).toMatchObject({ error: { code: "INVALID_MESSAGE" } });
  const memo = { text: "x".repeat(140_000) };
  expect(await engine.submit({ type: "workflow:order", memo })).toMatchObject({ error: { code: "PAYLOAD_TOO_LARGE" } });
});

const nonsense: readonly (readonly [what: string, result: Json, code: string])[] = [
  ["an output", { status: "completed", output: "read" }, "INVALID_MESSAGE"],
  ["an answer of another shape", { status: "completed", activation: { commands: "none" } }, "INVALID_MESSAGE"],
  ["a command that there is not", answerOf([{ type: "Explode" }]), "INVALID_MESSAGE"],
  ["a cancellation", { status: "cancelled" }, "WORKFLOW_TASK_FAILED"],
  ["a failure of its own", { status: "failed", error: { type: "Oops", message: "no" } }, "Oops"],
  [
    "more than the journal takes",
    answerOf([{ ...wait, type: "ModifyWorkflowProperties", memo: { x: "x".repeat(400_000) } }]),
    "PAYLOAD_TOO_LARGE",
  ],
];

it.each(nonsense)(
  "is stuck, not lost, when an agent that is no worker answers with %s",
  async (_what, result, code) => {
    await using engine = await Engine.start(nats.url);
    const impostor = await givenWorker(engine);
    await engine.submitted({ type: "workflow:order", taskId: "o-1" });
    impostor.result(await impostor.nextTask(), result);
    await engine.event("WORKFLOW_STUCK", { taskId: "o-1" });
    const again = await impostor.nextTask();
    expect(await engine.get("o-1")).toMatchObject({ state: "stuck", reason: expect.stringContaining(code) });
    impostor.result(again, answerOf([complete]));
    expect(await engine.wait("o-1")).toMatchObject({ state: "completed" });
  },
);

it("keeps a run and its history through a restart in the middle", async () => {
  await using engine = await Engine.start(nats.url);
  const worker = await givenWaiting(engine);
  await engine.restart();
  await worker.register({ capabilities: ["workflow:order"], maxConcurrentTasks: 10 });
  await engine.ask("workflow.signal", { taskId: "o-1", name: "poke" });
  const assigned = await worker.nextTask();
  expect(activationOf(assigned)).toMatchObject({ lastEventId: 4 });
  worker.result(assigned, answerOf([complete]));
  expect(await engine.wait("o-1")).toMatchObject({ state: "completed" });
});
