/** What callers see while the rest of the system comes and goes: NATS, the leader, the HTTP server itself. */
import { once } from "node:events";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { type HttpServerOptions, startHttpServer } from "../../src/http/server.js";
import { silentLogger } from "../../src/logger.js";
import { useNats } from "../support/nats.js";
import { until, untilHolds } from "../support/until.js";
import { errorOf, type HttpAnswer, HttpSystem, taskOf } from "./given-http.js";
import { EventReader, openSocket } from "./raw-http.js";

const nats = useNats();

async function givenSystem(options: Partial<HttpServerOptions> = {}): Promise<HttpSystem> {
  const system = await HttpSystem.start(nats.url, options);
  onTestFinished(() => system[Symbol.asyncDispose]());
  return system;
}

const shapeOf = (answer: HttpAnswer) => ({
  status: answer.status,
  code: errorOf(answer)["code"],
  retryAfter: answer.headers.get("retry-after"),
});

let isKilled = false;
beforeEach(() => async () => {
  if (isKilled) await nats.restart();
  isKilled = false;
});
async function kill(): Promise<void> {
  isKilled = true;
  await nats.kill();
}
async function restart(): Promise<void> {
  await nats.restart();
  isKilled = false;
}

it("answers 503 while NATS is away, says that nothing was sent, and goes on by itself", async () => {
  const system = await givenSystem({ requestTimeoutMs: 300 });
  const taskId = await system.submitted({ type: "ocr" });
  await kill();

  const away = await untilHolds(
    "the client has noticed",
    () => system.post("/v1/tasks", { task: { type: "ocr" } }),
    (answer) => errorOf(answer)["code"] === "CONNECTION_FAILED",
  );
  const [ready, alive] = [await system.get("/readyz"), await system.get("/healthz")];
  await restart();
  const back = await untilHolds(
    "it is ready again",
    () => system.get("/readyz"),
    ({ status }) => status === 200,
  );

  expect(shapeOf(away)).toEqual({ status: 503, code: "CONNECTION_FAILED", retryAfter: "1" });
  expect(errorOf(away)).toMatchObject({ details: { outcome: "untouched" } });
  expect(shapeOf(ready)).toEqual({ status: 503, code: "NOT_READY", retryAfter: "1" });
  expect(alive.status).toBe(200);
  expect(back.status).toBe(200);
  expect(taskOf(await system.get(`/v1/tasks/${taskId}`))).toMatchObject({ state: "queued" });
});

it("answers 504 where nobody knows whether a submission arrived", async () => {
  const system = await givenSystem({ requestTimeoutMs: 300 });
  await nats.freeze();

  const answer = await system.post("/v1/tasks", { task: { type: "ocr" } });
  nats.thaw();

  expect(shapeOf(answer)).toEqual({ status: 504, code: "REQUEST_TIMED_OUT", retryAfter: "1" });
  expect(errorOf(answer)).toMatchObject({ details: { outcome: "unknown" } });
});

it("answers 503 while nobody leads", async () => {
  const system = await givenSystem({ requestTimeoutMs: 300 });
  await system.engine.orchestrator.stop();

  expect(shapeOf(await system.get("/v1/status"))).toEqual({ status: 503, code: "NO_RESPONDERS", retryAfter: "1" });
  expect(shapeOf(await system.get("/readyz"))).toEqual({ status: 503, code: "NOT_READY", retryAfter: "1" });
});

it("carries submissions and waits over a change of leaders", async () => {
  const system = await givenSystem();
  const agent = await system.engine.agent("k-1", { capabilities: ["ocr"] });
  const first = await system.submitted({ type: "ocr" });
  const waiting = system.get(`/v1/tasks/${first}/wait`);
  const task = await agent.nextTask();

  const restarted = system.engine.restart();
  const submitting = Promise.all(Array.from({ length: 5 }, () => system.submitted({ type: "translate" })));
  await restarted;
  agent.complete(task, "read");

  expect(taskOf(await waiting)).toMatchObject({ taskId: first, state: "completed", output: "read" });
  expect(new Set(await submitting).size).toBe(5);
});

it("keeps a stream open over a restart of NATS, and goes on with what happens then", async () => {
  const system = await givenSystem();
  await using reader = await EventReader.open(system.url);
  await system.submitted({ taskId: "before", type: "ocr" });
  await reader.frame("TASK_SUBMITTED");
  await kill();
  await restart();

  // As soon as it can be heard again; what happens before that is lost, which is why it is asked again and again.
  let count = 0;
  await until("an event came", async () => {
    count += 1;
    await system.submitted({ taskId: `after-${count}`, type: "ocr" });
    return reader.frames.some(({ data }) => JSON.stringify(data).includes("after-"));
  });
});

it("refuses everything but the question for its life while there is no client", async () => {
  const server = await startHttpServer({
    port: 0,
    client: () => null,
    metrics: () => Promise.resolve(""),
    logger: silentLogger,
  });
  onTestFinished(() => server.close());
  const statusOf = async (path: string) => (await fetch(server.url + path)).status;

  expect(await statusOf("/healthz")).toBe(200);
  for (const path of ["/readyz", "/v1/status", "/v1/events", "/v1/tasks/t-1/wait"]) {
    expect([path, await statusOf(path)]).toEqual([path, 503]);
  }
});

it("ends streams and waits at once when it closes", async () => {
  const system = await givenSystem();
  const taskId = await system.submitted({ type: "ocr" });
  await using reader = await EventReader.open(system.url);
  const waiting = system.get(`/v1/tasks/${taskId}/wait`);
  const keptAlive = await openSocket(system.url);
  // It is under way once a later request of the same kind was answered.
  await system.get(`/v1/tasks/${taskId}/wait?timeoutMs=0`);
  const startedAt = performance.now();

  await system.server.close();

  expect(shapeOf(await waiting)).toEqual({ status: 503, code: "NOT_READY", retryAfter: "1" });
  expect(reader.received).toMatch(/\r\n0\r\n\r\n$/);
  await until("idle connections are closed", () => keptAlive.destroyed || keptAlive.readableEnded);
  await expect(fetch(`${system.url}/healthz`)).rejects.toThrow("fetch failed");
  expect(performance.now() - startedAt).toBeLessThan(20_000);
});

it("answers what is under way when it closes", async () => {
  let asked = 0;
  const system: HttpSystem = await givenSystem({
    client: () => {
      asked += 1;
      return system.client;
    },
  });
  await nats.freeze();
  const submitting = system.post("/v1/tasks", { task: { taskId: "t-1", type: "ocr" } });
  await until("the submission is under way", () => asked === 1);

  const closing = system.server.close();
  nats.thaw();

  expect(await submitting).toMatchObject({ status: 202, body: { taskId: "t-1" } });
  await closing;
});

it("closes although an answer does not come, and a request does not arrive", async () => {
  const system = await givenSystem();
  await system.engine.orchestrator.stop();
  const asking = system.get("/v1/status");
  const half = await openSocket(system.url);
  const closed = once(half, "close");
  half.write(
    "POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Type: application/json\r\n\r\n{",
  );
  // Its connection was accepted before this one, so it is known to the server too.
  await system.get("/healthz");

  await system.server.close();
  await system.server.close();

  expect(shapeOf(await asking)).toEqual({ status: 504, code: "REQUEST_TIMED_OUT", retryAfter: "1" });
  await closed;
});
