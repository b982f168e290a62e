/** Members of the old fleet, on a raw socket and written from the contract alone, beside ours. */
import { once } from "node:events";
import { expect, it } from "vitest";
import { until, untilHolds } from "../../support/until.js";
import { bodyOf, get, handIn, oldWorker, spanIdOf, traceIdOf, useStreet } from "./street.js";

const street = useStreet();
const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const echo = (input: unknown): unknown => ({ heard: input });

async function queued(nats: Awaited<ReturnType<typeof street.raw>>): Promise<number> {
  const info = bodyOf(await nats.request("$JS.API.STREAM.INFO.BAKER_JOBS", ""));
  return (info["state"] as { messages: number }).messages;
}

it("does a job of an old brain, which hears how it goes and how it ends, in its own trace", async () => {
  await street.brain();
  await street.worker("worker-1");
  await street.extension("parrot", { repeat: echo });
  const oldBrain = await street.raw();
  const statuses = oldBrain.subscribe("baker.jobs.status.old-1");
  const results = oldBrain.subscribe("baker.jobs.result.old-1");

  const job = JSON.stringify({ jobId: "old-1", type: "repeat", input: { say: "hello" } });
  const stored = bodyOf(await oldBrain.request("baker.jobs.dispatch", job, { headers: { traceparent } }));

  expect(stored).toMatchObject({ stream: "BAKER_JOBS" });
  const result = await results.first("the result");
  expect(bodyOf(result)).toMatchObject({
    jobId: "old-1",
    status: "completed",
    output: { heard: { say: "hello" } },
    worker: "worker-1",
  });
  expect(statuses.received.map((message) => bodyOf(message)["state"])).toEqual(["accepted", "running", "running"]);
  for (const { headers } of [result, ...statuses.received]) {
    expect(traceIdOf(headers.get("traceparent"))).toBe(traceIdOf(traceparent));
    expect(spanIdOf(headers.get("traceparent"))).not.toBe(spanIdOf(traceparent));
  }
  await until("the queue holds nothing any more", async () => (await queued(oldBrain)) === 0);
  expect(results.received).toHaveLength(1);
  const workflow = await street.client.get("job-old-1");
  expect(workflow).toMatchObject({ type: "workflow:baker.job", state: "completed" });
});

it("understands a job that spells its fields differently, and gives back one without a type", async () => {
  await street.worker("worker-1");
  const oldBrain = await street.raw();
  const results = oldBrain.subscribe("baker.jobs.result.*");

  oldBrain.publish("baker.jobs.dispatch", JSON.stringify({ job_id: 17, payload: [1, 2], owner: "irene" }));

  expect(bodyOf(await results.first("the result"))).toMatchObject({ jobId: "17", status: "completed", output: [1, 2] });
});

it("tells an old brain of a job that fails", async () => {
  await street.brain();
  await street.worker("worker-1");
  await street.extension("vault", {
    open: () => {
      throw new Error("the key is lost");
    },
  });
  const oldBrain = await street.raw();
  const results = oldBrain.subscribe("baker.jobs.result.old-2");

  oldBrain.publish("baker.jobs.dispatch", JSON.stringify({ jobId: "old-2", type: "open" }));

  expect(bodyOf(await results.first("the result"))).toMatchObject({
    jobId: "old-2",
    status: "failed",
    error: { message: expect.stringContaining("the key is lost") },
  });
});

it("does a job once that is dispatched twice, and keeps another one under its id apart", async () => {
  await street.brain();
  await street.worker("worker-1");
  await street.worker("worker-2");
  let called = 0;
  await street.extension("counter", {
    count: () => {
      called += 1;
      return called;
    },
  });
  const oldBrain = await street.raw();
  const results = oldBrain.subscribe("baker.jobs.result.old-5");
  const letters = oldBrain.subscribe("mcp.deadletter.BAKER_JOBS.>");
  const dispatch = (input: number): void =>
    oldBrain.publish("baker.jobs.dispatch", JSON.stringify({ jobId: "old-5", type: "count", input }));

  for (const input of [1, 1, 2]) dispatch(input);

  expect(bodyOf(await letters.first("the dead letter"))["data"]).toContain('"input":2');
  await until("the queue holds nothing any more", async () => (await queued(oldBrain)) === 0);
  expect(new Set(results.received.map((result) => bodyOf(result)["output"]))).toEqual(new Set([1]));
  expect(called).toBe(1);
});

it("tells an old brain of a job that takes longer than it may", async () => {
  await street.brain();
  await street.worker("worker-1");
  await street.extension("sleeper", { sleep: (_, { signal }) => once(signal, "abort") });
  const oldBrain = await street.raw();
  const results = oldBrain.subscribe("baker.jobs.result.old-4");

  oldBrain.publish("baker.jobs.dispatch", JSON.stringify({ jobId: "old-4", type: "sleep", timeoutMs: 300 }));

  expect(bodyOf(await results.first("the result"))).toMatchObject({
    status: "failed",
    error: { type: "JOB_TIMED_OUT", message: "not done after 300 ms" },
  });
});

it("makes an agent of an extension that names no tools", async () => {
  const brain = await street.brain();
  const extension = await street.raw();

  extension.publish("baker.extensions.announce", JSON.stringify({ extension_id: "bare", version: "1.0" }));

  await until("it is there", async () => (await toolsOf(brain)).includes("bare: "));
});

it("keeps a job that nobody can read among the dead letters, and goes on", async () => {
  await street.worker("worker-1");
  const oldBrain = await street.raw();
  const results = oldBrain.subscribe("baker.jobs.result.*");
  const letters = oldBrain.subscribe("mcp.deadletter.BAKER_JOBS.>");

  for (const body of ["not JSON", "{}", '{"jobId":"a b"}', '"text"']) oldBrain.publish("baker.jobs.dispatch", body);
  oldBrain.publish("baker.jobs.dispatch", JSON.stringify({ jobId: "old-3", type: "echo", input: 7 }));

  expect(bodyOf(await results.first("the result"))).toMatchObject({ jobId: "old-3", output: 7 });
  // On a slow machine one may be written again, under the same message id.
  await until(
    "four letters are kept",
    () => new Set(letters.received.map((one) => bodyOf(one)["sequence"])).size === 4,
  );
  await until("the queue holds only what no brain reads", async () => (await queued(oldBrain)) === 2);
});

it("has a job of its own done by an old worker, and shows what that says", async () => {
  const brain = await street.brain();
  const nats = await street.raw();
  const worker = await oldWorker(nats);

  await handIn(brain, { jobId: "own-1", type: "deduce", input: { clue: "ash" } });
  const delivery = await worker.deliveries.first("the job");
  const { headers } = delivery;
  nats.publish("baker.jobs.status.own-1", JSON.stringify({ job_id: "own-1", state: "thinking" }), { headers: {} });
  nats.publish("baker.jobs.result.own-1", JSON.stringify({ jobId: "own-1", success: true, result: "Trichinopoly" }));
  worker.acknowledge(delivery.reply);

  expect(delivery.subject).toBe("baker.jobs.dispatch");
  expect(bodyOf(delivery)).toMatchObject({ jobId: "own-1", type: "deduce", input: { clue: "ash" } });
  expect(headers.get("traceparent")).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
  const shown = await untilHolds(
    "the job has ended",
    () => get(brain, "/jobs/own-1"),
    ({ state }) => state === "completed",
  );
  expect(shown).toMatchObject({
    updates: [{ id: 1, body: { state: "thinking" } }],
    result: { output: "Trichinopoly" },
  });
  expect(await street.client.wait("dispatch-own-1")).toMatchObject({ state: "completed", output: "Trichinopoly" });
  await until("the queue holds nothing any more", async () => (await queued(nats)) === 0);
});

it("gives each job to one worker, old ones and ours in turn", async () => {
  await street.brain();
  await street.worker("worker-1");
  const nats = await street.raw();
  const worker = await oldWorker(nats);
  const results = nats.subscribe("baker.jobs.result.*");
  const ids = Array.from({ length: 40 }, (_, index) => `turn-${index}`);

  for (const jobId of ids) nats.publish("baker.jobs.dispatch", JSON.stringify({ jobId, input: "ours" }));
  await until("each job has a result or is with the old worker", () => {
    return results.received.length + worker.deliveries.received.length >= ids.length;
  });
  for (const delivery of worker.deliveries.received) {
    const { jobId } = bodyOf(delivery);
    nats.publish(
      `baker.jobs.result.${String(jobId)}`,
      JSON.stringify({ jobId, status: "completed", output: "theirs" }),
    );
    worker.acknowledge(delivery.reply);
  }

  await until("the queue holds nothing any more", async () => (await queued(nats)) === 0);
  expect(results.received.map((message) => bodyOf(message)["jobId"]).sort()).toEqual([...ids].sort());
  const outputs = new Set(results.received.map((message) => bodyOf(message)["output"]));
  expect(outputs).toEqual(new Set(["ours", "theirs"]));
});

it("gives a job to another worker when the one that had it says nothing any more", async () => {
  const nats = await street.raw();
  await street.brain();
  const worker = await oldWorker(nats);
  const results = nats.subscribe("baker.jobs.result.late-1");
  nats.publish("baker.jobs.dispatch", JSON.stringify({ jobId: "late-1", input: "patience" }));
  await worker.deliveries.first("the job");

  await nats.close();
  await street.worker("worker-1");
  const watcher = await street.raw();
  const heard = watcher.subscribe("baker.jobs.result.late-1");

  expect(bodyOf(await heard.first("the result"))).toMatchObject({ status: "completed", output: "patience" });
  expect(results.received).toEqual([]);
});

it("calls an old extension for its tool, in the job's trace, until it says goodbye", async () => {
  const brain = await street.brain();
  await street.worker("worker-1");
  const extension = await street.raw();
  const calls = extension.subscribe("baker.extensions.call.stamps");
  const beat = setInterval(() => {
    extension.publish("baker.extensions.heartbeat", JSON.stringify({ id: "stamps" }));
  }, 50);
  try {
    extension.publish("baker.extensions.announce", JSON.stringify({ id: "stamps", capabilities: ["stamp"] }));
    await until("it is there", async () => (await toolsOf(brain)).includes("stamps: stamp"));
    const { traceparent: begun } = await handIn(brain, { jobId: "own-2", type: "stamp", input: "letter" });
    const call = await calls.first("the call");
    const { callId, resultSubject } = bodyOf(call) as { callId: string; resultSubject: string };
    extension.publish(resultSubject, JSON.stringify({ callId, output: "stamped letter" }));

    expect(bodyOf(call)).toMatchObject({ tool: "stamp", input: "letter" });
    expect(traceIdOf(call.headers.get("traceparent"))).toBe(traceIdOf(String(begun)));
    expect(await street.client.wait("dispatch-own-2")).toMatchObject({ output: "stamped letter" });
  } finally {
    clearInterval(beat);
  }

  extension.publish("baker.extensions.deregister", JSON.stringify({ id: "stamps" }));
  await until("its tool is offered no more", async () => (await toolsOf(brain)).length === 0);
});

it("has an extension of ours answer, and live, whatever it is asked for and by whomever", async () => {
  await street.extension("clumsy", { huge: () => "x".repeat(2_000_000), small: () => 1 });
  const nats = await street.raw();
  const results = nats.subscribe("baker.extensions.result.*");
  const call = (callId: string, tool: string, resultSubject?: string): void =>
    nats.publish("baker.extensions.call.clumsy", JSON.stringify({ callId, tool, resultSubject }));
  const answer = async (callId: string) =>
    bodyOf(await results.first(callId, (message) => bodyOf(message)["callId"] === callId));

  call("nowhere", "small", "no subject..");
  call("too-much", "huge");
  call("well", "small");

  expect(await answer("too-much")).toMatchObject({ status: "failed", error: { message: expect.any(String) } });
  expect(await answer("well")).toMatchObject({ status: "completed", output: 1 });
});

it("offers the tools of a silent extension no more, and again when it is back", async () => {
  const brain = await street.brain();
  const extension = await street.raw();
  const announce = (): void =>
    extension.publish("baker.extensions.announce", JSON.stringify({ id: "moody", tools: [{ name: "sulk" }] }));

  announce();
  await until("it is there", async () => (await toolsOf(brain)).includes("moody: sulk"));
  await until("it is lost", async () => (await toolsOf(brain)).length === 0);
  announce();
  await until("it is there again", async () => (await toolsOf(brain)).includes("moody: sulk"));
});

it("monitors whoever beats, and tells who does not any more", async () => {
  const brain = await street.brain();
  const service = await street.raw();

  service.publish("baker.system.health", JSON.stringify({ service: "ledger", intervalMs: 50, status: "ok" }));

  const stateOf = async (): Promise<unknown> => {
    const { services } = (await get(brain, "/health")) as { services: { service: string; status: string }[] };
    return services.find((known) => known.service === "ledger")?.status;
  };
  await until("it is known", async () => (await stateOf()) === "ok");
  await until("it is silent", async () => (await stateOf()) === "silent");
});

async function toolsOf(brain: { readonly url: string }): Promise<readonly string[]> {
  const response = await fetch(`${brain.url}/extensions`);
  const extensions = (await response.json()) as { id: string; tools: string[] }[];
  return extensions.map(({ id, tools }) => `${id}: ${tools.join()}`);
}
