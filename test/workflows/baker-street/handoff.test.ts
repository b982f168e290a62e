/** Two brains, of which one takes the place of the other. */
import { expect, it } from "vitest";
import { type Agent, agent } from "../../../src/agent/agent.js";
import { silentLogger } from "../../../src/logger.js";
import { HandoffMember } from "../../../workflows/baker-street/handoff.js";
import { Memory } from "../../../workflows/baker-street/memory.js";
import { until } from "../../support/until.js";
import { bodyOf, get, handIn, oldWorker, useStreet } from "./street.js";

const street = useStreet();

it("hands over what is in flight: the new brain hears how it ends, and nothing is dispatched again", async () => {
  const blue = await street.brain("blue");
  const nats = await street.raw();
  const said = nats.subscribe("baker.system.handoff");
  const worker = await oldWorker(nats);
  const ids = Array.from({ length: 5 }, (_, index) => `flight-${index}`);
  for (const jobId of ids) await handIn(blue, { jobId, type: "deduce" });
  await until("each was dispatched", () => worker.dispatched().length === ids.length);

  const green = await street.brain("green");
  await blue.handoff.gone;
  const afterwards = "flight-afterwards";
  await handIn(green, { jobId: afterwards, type: "deduce" });
  await until("one more was dispatched", () => worker.dispatched().includes(afterwards));
  for (const delivery of worker.deliveries.received) {
    const { jobId } = bodyOf(delivery);
    nats.publish(`baker.jobs.result.${String(jobId)}`, JSON.stringify({ jobId, output: "elementary" }));
    worker.acknowledge(delivery.reply);
  }

  for (const jobId of [...ids, afterwards]) {
    expect(await street.client.wait(`dispatch-${jobId}`)).toMatchObject({ state: "completed", output: "elementary" });
  }
  expect(worker.dispatched()).toEqual([...ids, afterwards]);
  expect(green.handoff).toMatchObject({ role: "active", term: blue.handoff.term + 1 });
  const phases = said.received.map((message) => bodyOf(message)).map(({ phase, from }) => `${from}: ${phase}`);
  // How blue itself became active may have been heard too.
  const changes = new Set(phases.filter((said) => said !== "blue: tookOver"));
  expect([...changes]).toEqual(["green: offer", "blue: drained", "green: tookOver"]);
});

it("loses no job that is handed in while the brains change, at either of them", async () => {
  const blue = await street.brain("blue");
  await street.worker("worker-1");
  const ids = Array.from({ length: 30 }, (_, index) => `change-${index}`);

  const green = street.standby("green");
  const answers = await Promise.all(ids.map((jobId) => handIn(blue, { jobId, input: jobId })));
  await green;
  await blue.handoff.gone;

  expect(answers.map(({ status }) => status)).toEqual(ids.map(() => 202));
  for (const jobId of ids) expect(await street.client.wait(`dispatch-${jobId}`)).toMatchObject({ output: jobId });
});

it("goes on itself when the brain that it let go for never takes over", async () => {
  const blue = await street.brain("blue");
  const nats = await street.raw();
  const said = nats.subscribe("baker.system.handoff");

  nats.publish("baker.system.handoff", JSON.stringify({ phase: "offer", from: "phantom" }));

  await said.first("that it is drained", (message) => bodyOf(message)["to"] === "phantom");
  await until("it is active again", () => blue.handoff.role === "active");
  await street.worker("worker-1");
  await handIn(blue, { jobId: "phantom-1", input: 1 });
  expect(await street.client.wait("dispatch-phantom-1")).toMatchObject({ output: 1 });
});

it("lets only one of two be active that begin at the same moment", async () => {
  const both = await Promise.all([street.standby("left"), street.standby("right")]);

  await until("one of them is active", () => both.some(({ handoff }) => handoff.role === "active"));

  const [left, right] = both.map(({ handoff }) => handoff.role);
  expect([left, right]).not.toEqual(["active", "active"]);
});

it("lets go when it hears that another one is active, as after a long sleep", async () => {
  const blue = await street.brain("blue");
  const nats = await street.raw();
  const term = blue.handoff.term + 5;

  await nats.request("$KV.mcp_baker.brain", JSON.stringify({ brainId: "other", term }));
  nats.publish("baker.system.health", JSON.stringify({ service: "brain", id: "other", role: "active", term }));

  await blue.handoff.gone;
  expect(await get(blue, "/health")).toMatchObject({ role: "gone" });
});

it("leaves when the record names its successor, although it never heard of that", async () => {
  const blue = await street.brain("blue");
  const nats = await street.raw();
  const said = nats.subscribe("baker.system.handoff");

  nats.publish("baker.system.handoff", JSON.stringify({ phase: "offer", from: "mute" }));
  await said.first("that it is drained", (message) => bodyOf(message)["to"] === "mute");
  const record = { brainId: "mute", term: blue.handoff.term + 1 };
  await nats.request("$KV.mcp_baker.brain", JSON.stringify(record));

  await blue.handoff.gone;
});

it("gives its successor time although letting go took longer than its patience", async () => {
  await street.brain("blue").then((blue) => blue.stop());
  const fleet = await street.fleet("slow");
  const nats = await street.raw();
  const said = nats.subscribe("baker.system.handoff");
  const patienceMs = 400;
  const slow = new HandoffMember({
    ...{ fleet, memory: new Memory(fleet, "mcp"), brainId: "slow", offerIntervalMs: 50, patienceMs },
    take: async () => undefined,
    letGo: () => {
      const from = performance.now();
      return until("its patience is over", () => performance.now() - from > patienceMs * 2);
    },
  });
  await said.first("that it is active", (message) => bodyOf(message)["phase"] === "tookOver");
  const { term } = slow;

  nats.publish("baker.system.handoff", JSON.stringify({ phase: "offer", from: "next" }));
  await said.first("that it is drained", (message) => bodyOf(message)["to"] === "next");
  await nats.request("$KV.mcp_baker.brain", JSON.stringify({ brainId: "next", term: term + 1 }));

  await slow.gone;
  expect(slow.term).toBe(term);
});

it("leaves one brain where the record was wiped, or the next one has the same id", async () => {
  const blue = await street.brain("blue");
  const nats = await street.raw();
  await nats.request("$JS.API.STREAM.PURGE.KV_mcp_baker", "");

  const green = await street.brain("green");
  await blue.handoff.gone;
  const twin = await street.brain("green");
  await green.handoff.gone;

  expect(twin.handoff.role).toBe("active");
});

it("makes a record again that was wiped while it had let go", async () => {
  const blue = await street.brain("blue");
  const nats = await street.raw();
  const said = nats.subscribe("baker.system.handoff");
  await nats.request("$JS.API.STREAM.PURGE.KV_mcp_baker", "");

  nats.publish("baker.system.handoff", JSON.stringify({ phase: "offer", from: "phantom" }));

  await said.first("that it is drained", (message) => bodyOf(message)["to"] === "phantom");
  await until("it is active again", () => blue.handoff.role === "active");
});

it("dispatches a job that three brains had in hand as they crashed", async () => {
  const taskId = "dispatch-crashed";
  const task = { taskId, type: "baker.dispatch", input: { jobId: "crashed", type: "echo", input: 1 } };
  await street.client.submit({ ...task, retry: { maximumAttempts: 0, initialIntervalMs: 1 } });
  const crashing = () =>
    agent("baker-workers", {
      ...{ servers: street.url, logger: silentLogger },
      tasks: { "baker.dispatch": () => new Promise(() => undefined) },
    });
  const agents: Agent[] = [];
  for (const attempt of [1, 2, 3]) {
    const next = crashing();
    next.closed.catch(() => undefined);
    agents.push(next);
    await next.start();
    await until("it has it in hand", async () => (await street.client.get(taskId)).attempt === attempt);
  }

  const brain = await street.brain();
  await street.worker("worker-1");

  await until("the job is done", async () => (await get(brain, "/jobs/crashed"))["state"] === "completed");
  expect(await street.client.get(taskId)).toMatchObject({ state: "failed" });
  expect(await get(brain, "/jobs/crashed")).toMatchObject({ task: { taskId: `again-2-${taskId}` } });
  await Promise.allSettled(agents.map((one) => one.stop()));
});

it("neither leaves nor waits for an old brain that has roles and terms of its own", async () => {
  const blue = await street.brain("blue");
  const nats = await street.raw();
  const beat = (): void => {
    for (const term of [undefined, 1, blue.handoff.term, 999])
      nats.publish("baker.system.health", JSON.stringify({ service: "brain", id: "old", role: "active", term }));
    nats.publish("baker.system.handoff", JSON.stringify({ type: "tookOver", from: "old", term: 999 }));
  };
  const beating = setInterval(beat, 30);
  try {
    await street.worker("worker-1");
    await handIn(blue, { jobId: "beside-old", input: 1 });
    expect(await street.client.wait("dispatch-beside-old")).toMatchObject({ output: 1 });
    await blue.stop();

    const green = await street.standby("green");
    await until("green is active", () => green.handoff.role === "active");
  } finally {
    clearInterval(beating);
  }
});

it("knows the old extensions at the new brain, which never heard them announce themselves", async () => {
  await street.brain("blue");
  const extension = await street.raw();
  const calls = extension.subscribe("baker.extensions.call.stamps");
  const beat = setInterval(() => extension.publish("baker.extensions.heartbeat", '{"id":"stamps"}'), 30);
  try {
    extension.publish("baker.extensions.announce", JSON.stringify({ id: "stamps", capabilities: ["stamp"] }));
    await until("it is there", async () => (await street.client.status()).agentStatuses.some(isStamps));

    const green = await street.brain("green");
    await street.worker("worker-1");
    await handIn(green, { jobId: "stamped", type: "stamp" });

    const { callId, resultSubject } = bodyOf(await calls.first("the call")) as {
      callId: string;
      resultSubject: string;
    };
    extension.publish(resultSubject, JSON.stringify({ callId, output: "stamped" }));
    expect(await street.client.wait("dispatch-stamped")).toMatchObject({ output: "stamped" });
  } finally {
    clearInterval(beat);
  }
});

const isStamps = ({ agentId, state }: { agentId: string; state: string }): boolean =>
  agentId === "extension-stamps" && state === "healthy";
