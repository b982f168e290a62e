import { expect, it } from "vitest";
import { agent as newAgent } from "../../src/agent/agent.js";
import { drainOnSignals } from "../../src/agent/drain-on-signals.js";
import { silentLogger } from "../../src/logger.js";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { givenScene, HeldTask } from "./given.js";

const nats = useNats();

it("registers with its capabilities and heartbeats with metrics", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  await agent("cam-1", { maxConcurrentTasks: 4, metadata: { site: "roof" } }).start();

  await until("a heartbeat arrives", () => orchestrator.heartbeats.length > 0);

  expect(orchestrator.registrations).toMatchObject([
    { agentId: "cam-1", capabilities: ["echo"], maxConcurrentTasks: 4, metadata: { site: "roof" } },
  ]);
  const [heartbeat] = orchestrator.heartbeats;
  expect(heartbeat).toMatchObject({ agentId: "cam-1", incarnation: 1, tokens: [], metrics: { activeTasks: 0 } });
  expect(heartbeat?.metrics["residentBytes"]).toBeGreaterThan(1_000_000);
});

it("registers again as the same process until an orchestrator confirms it", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  orchestrator.answerRegistration = () => ({ error: { code: "NOT_READY", message: "not leading yet" } });
  const started = agent("cam-1").start();
  await until("it registered twice", () => orchestrator.registrations.length >= 2);

  orchestrator.answerRegistration = ({ agentId }) => ({ status: orchestrator.registered(agentId) });
  await started;

  const instances = new Set(orchestrator.registrations.map(({ instanceId }) => instanceId));
  expect(instances.size).toBe(1);
});

it("takes a confirmation on its status subject where no reply follows", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  orchestrator.answerRegistration = ({ agentId }) => {
    orchestrator.order(agentId, orchestrator.registered(agentId));
    return null;
  };

  await agent("cam-1").start();

  await until("a heartbeat arrives", () => orchestrator.heartbeats.length > 0);
  expect(orchestrator.heartbeats[0]?.incarnation).toBe(1);
});

it("does not take the confirmation of another process of its id for its own, when its own reply was lost", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const other = { ...orchestrator.registered("cam-1"), incarnation: 7 };
  orchestrator.answerRegistration = ({ agentId }) => {
    orchestrator.order(agentId, other);
    orchestrator.answerRegistration = () => ({ status: { ...other, incarnation: 8 } });
    return null;
  };

  await agent("cam-1").start();

  await until("a heartbeat arrives", () => orchestrator.heartbeats.length > 0);
  expect(orchestrator.heartbeats[0]?.incarnation).toBe(8);
});

it("does not start where the orchestrator refuses it as it is", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  orchestrator.answerRegistration = () => ({ error: { code: "INVALID_MESSAGE", message: "no such field" } });
  const camera = agent("cam-1");

  await expect(camera.start()).rejects.toMatchObject({ code: "INVALID_MESSAGE" });
  await expect(camera.closed).rejects.toMatchObject({ code: "INVALID_MESSAGE" });
});

it.each(["", "cam.1", "cam *", "-cam", "x".repeat(129)])("is not made with the id %j", (id) => {
  expect(() => newAgent(id, { tasks: {} })).toThrowError(expect.objectContaining({ code: "INVALID_ID" }));
});

it("ends a start that no orchestrator answers when it is stopped", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  orchestrator.answerRegistration = () => null;
  const camera = agent("cam-1");
  const started = camera.start();
  await until("it registered", () => orchestrator.registrations.length > 0);

  await camera.stop();

  await expect(started).rejects.toMatchObject({ code: "NOT_READY" });
  await camera.closed;
});

it("aborts a task on a cancel order and reports it cancelled", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  await agent("cam-1", { tasks: { echo: held.handler() } }).start();
  const { taskId, token } = orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);

  orchestrator.order("cam-1", { state: "cancel", taskId, attempt: 1, token });

  const result = await orchestrator.resultOf(taskId);
  expect(result).toMatchObject({ token, status: "cancelled" });
  expect(held.contexts[0]?.signal.reason).toMatchObject({ kind: "cancelled" });
});

it("hands in the output of a task that completes in spite of its cancellation", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  await agent("cam-1", { tasks: { echo: held.handler("goOn") } }).start();
  const { taskId } = orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);

  orchestrator.order("cam-1", { state: "cancel", taskId, attempt: 1 });
  await until("it is aborted", () => held.contexts[0]?.signal.aborted === true);
  held.returnAll("done all the same");

  expect(await orchestrator.resultOf(taskId)).toMatchObject({ status: "completed", output: "done all the same" });
});

it("ignores a cancel order for another attempt", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  await agent("cam-1", { tasks: { echo: held.handler() } }).start();
  const { taskId } = orchestrator.assign("cam-1", { attempt: 2 });
  await until("it runs", () => held.started === 1);

  orchestrator.order("cam-1", { state: "cancel", taskId, attempt: 1, token: "of-attempt-1" });
  orchestrator.order("cam-1", { state: "cancel", taskId, attempt: 1 });
  orchestrator.assign("cam-1", { taskId: "t-after" });
  await orchestrator.reportOf("released", "t-after");

  expect(held.contexts[0]?.signal.aborted).toBe(false);
});

it("stops what a heartbeat's reply says is not its own any more, and says nothing of it", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  orchestrator.heartbeatIntervalMs = 30;
  orchestrator.answerHeartbeat = ({ agentId, tokens }) => ({
    status: orchestrator.registered(agentId),
    cancel: tokens ?? [],
  });
  await agent("cam-1", { tasks: { echo: held.handler(), next: () => "ran" } }).start();

  orchestrator.assign("cam-1");

  await until("it is aborted", () => held.contexts[0]?.signal.aborted === true);
  expect(held.contexts[0]?.signal.reason).toMatchObject({ kind: "noLongerOurs" });
  const next = orchestrator.assign("cam-1", { type: "next" });
  await orchestrator.resultOf(next.taskId);
  expect(orchestrator.results).toHaveLength(1);
});

it("registers again when a heartbeat's reply asks for it, and keeps its work", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  orchestrator.heartbeatIntervalMs = 30;
  await agent("cam-1", { tasks: { echo: held.handler() } }).start();
  const { taskId } = orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);

  orchestrator.incarnation = 2;
  orchestrator.answerHeartbeat = ({ agentId, incarnation }) => ({
    status: incarnation === 2 ? orchestrator.registered(agentId) : { agentId, state: "reregister", incarnation: 1 },
  });

  await until("it heartbeats as the new incarnation", () => orchestrator.heartbeats.at(-1)?.incarnation === 2);
  expect(orchestrator.registrations).toHaveLength(2);
  held.returnAll("kept");
  expect(await orchestrator.resultOf(taskId)).toMatchObject({ incarnation: 2, output: "kept" });
});

it("is not ended by a late answer to a heartbeat of an incarnation it has left behind", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  orchestrator.heartbeatIntervalMs = 30;
  const camera = agent("cam-1");
  await camera.start();

  // What an orchestrator says that has counted the registration, while the agent has not heard of that yet.
  orchestrator.answerRegistration = ({ agentId }) => {
    orchestrator.incarnation = 2;
    return { status: orchestrator.registered(agentId) };
  };
  orchestrator.answerHeartbeat = ({ agentId, incarnation }) => {
    if (incarnation === 1 && orchestrator.incarnation === 2)
      return { status: { agentId, state: "superseded", incarnation: 2 } };
    return { status: incarnation === 2 ? orchestrator.registered(agentId) : { agentId, state: "reregister" } };
  };

  await until("it heartbeats as the new incarnation", () => orchestrator.heartbeats.at(-1)?.incarnation === 2);
  const { taskId } = orchestrator.assign("cam-1", { input: 1 });
  expect((await orchestrator.resultOf(taskId)).output).toBe(1);
});

it("ends when another process took its id: aborts its work, reports nothing, registers no more", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  const camera = agent("cam-1", { tasks: { echo: held.handler() } });
  await camera.start();
  orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);

  orchestrator.answerHeartbeat = ({ agentId }) => ({ status: { agentId, state: "superseded", incarnation: 2 } });
  orchestrator.order("cam-1", { state: "superseded", incarnation: 1 });

  await expect(camera.closed).rejects.toMatchObject({
    code: "AGENT_SUPERSEDED",
    details: { agentId: "cam-1", incarnation: 1 },
  });
  expect(held.contexts[0]?.signal.reason).toMatchObject({ kind: "superseded" });
  expect(orchestrator.results).toEqual([]);
  expect(orchestrator.reports.filter(({ state }) => state !== "accepted")).toEqual([]);
  expect(orchestrator.registrations).toHaveLength(1);
});

it("keeps working when it hears that the process before it was superseded", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  orchestrator.incarnation = 2;
  await agent("cam-1").start();

  orchestrator.order("cam-1", { state: "superseded", incarnation: 1 });
  orchestrator.order("cam-1", { state: "superseded", incarnation: 2 });

  const { taskId } = orchestrator.assign("cam-1", { input: "mine" });
  expect((await orchestrator.resultOf(taskId)).output).toBe("mine");
});

it("stops its work by itself after six heartbeats without a reply, and says that the attempt was lost", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  orchestrator.heartbeatIntervalMs = 40;
  const camera = agent("cam-1", { tasks: { echo: held.handler() } });
  await camera.start();
  orchestrator.answerHeartbeat = () => null;
  const { taskId, token } = orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);
  const beatsBefore = orchestrator.heartbeats.length;

  await until("it is aborted", () => held.contexts[0]?.signal.aborted === true);

  expect(held.contexts[0]?.signal.reason).toMatchObject({ kind: "connectionLost" });
  expect(orchestrator.heartbeats.length - beatsBefore).toBeGreaterThanOrEqual(4);
  // Its code had begun, so the attempt counts: it is not handed back as if nothing had happened.
  expect(await orchestrator.resultOf(taskId)).toMatchObject({ token, status: "failed", error: { type: "AGENT_LOST" } });
  expect(orchestrator.reports.filter(({ state }) => state === "released")).toEqual([]);
});

it("keeps a result for as long as the results stream is away", async () => {
  const { orchestrator, agent } = await givenScene(nats, "absent");
  orchestrator.heartbeatIntervalMs = 30;
  await agent("cam-1").start();
  const waiting = () => orchestrator.heartbeats.at(-1)?.metrics["unacknowledgedResults"];
  orchestrator.assign("cam-1", { input: "kept" });
  await until("heartbeats show a result that waits", () => waiting() === 1);

  await orchestrator.provision();

  await until("the result is acknowledged", () => waiting() === 0);
  expect(orchestrator.results.at(-1)?.output).toBe("kept");
});

it("hands in what finished while the server was away, and is known as the same process after", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  await agent("cam-1", { tasks: { echo: held.handler() } }).start();
  const { taskId } = orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);

  await nats.kill();
  held.returnAll("finished in the dark");
  await nats.restart();

  const result = await orchestrator.resultOf(taskId);
  expect(result).toMatchObject({ status: "completed", output: "finished in the dark" });
  expect(orchestrator.registrations).toHaveLength(1);
});

it("drains: finishes what it has, hands back what is new, says goodbye last", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  const camera = agent("cam-1", { tasks: { echo: held.handler() }, maxConcurrentTasks: 5 });
  await camera.start();
  const inHand = orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);

  const drained = camera.drain();
  await orchestrator.reportOf("draining");
  const late = orchestrator.assign("cam-1");
  await orchestrator.reportOf("released", late.taskId);
  held.returnAll("finished");
  await drained;

  expect(await orchestrator.resultOf(inHand.taskId)).toMatchObject({ output: "finished" });
  await orchestrator.reportOf("idle");
  expect(orchestrator.reports.at(-1)?.state).toBe("idle");
  await camera.closed;
});

it("hands back what does not finish within the drain time", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  const camera = agent("cam-1", { tasks: { echo: held.handler() }, drainTimeoutMs: 20 });
  await camera.start();
  const { taskId, token } = orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);

  await camera.drain();

  expect(await orchestrator.reportOf("released", taskId)).toMatchObject({ token });
  expect(held.contexts[0]?.signal.reason).toMatchObject({ kind: "shutdown" });
  expect(orchestrator.results).toEqual([]);
});

it("hands back a task that ignores its abort", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  const camera = agent("cam-1", { tasks: { echo: held.handler("goOn") } });
  await camera.start();
  const { taskId } = orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);

  await camera.stop();

  await orchestrator.reportOf("released", taskId);
  await orchestrator.reportOf("idle");
});

it("drains on the first signal and stops at once on the second", async () => {
  const { orchestrator, agent } = await givenScene(nats);
  const held = new HeldTask();
  const camera = agent("cam-1", { tasks: { echo: held.handler() } });
  drainOnSignals(camera);
  await camera.start();
  const { taskId } = orchestrator.assign("cam-1");
  await until("it runs", () => held.started === 1);

  process.emit("SIGTERM");
  await orchestrator.reportOf("draining");
  expect(held.contexts[0]?.signal.aborted).toBe(false);
  process.emit("SIGTERM");

  await camera.closed;
  await orchestrator.reportOf("released", taskId);
});

it("leaves a connection that was lent to it open", async () => {
  const { namespace, orchestrator } = await givenScene(nats);
  const connection = await nats.connect();
  const camera = newAgent("cam-1", {
    connection,
    namespace,
    logger: silentLogger,
    tasks: { echo: (_, input) => input },
  });
  await camera.start();
  const { taskId } = orchestrator.assign("cam-1", { input: 1 });
  await orchestrator.resultOf(taskId);

  await camera.drain();

  await connection.flush();
});
