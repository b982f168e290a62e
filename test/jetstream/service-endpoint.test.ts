import { Svcm } from "@nats-io/services";
import { expect, onTestFinished, test } from "vitest";
import type { Connection } from "../../src/jetstream/connection.js";
import { natsOf } from "../../src/jetstream/nats-of.js";
import { type Endpoint, type RunningService, serve } from "../../src/jetstream/service-endpoint.js";
import { silentLogger } from "../../src/logger.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until } from "../support/until.js";

const nats = useNats();

async function serving(connection: Connection, ...endpoints: readonly Endpoint[]): Promise<RunningService> {
  const service = await serve(connection, {
    version: "1.2.3",
    description: "a test",
    metadata: { namespace: "mcp" },
    endpoints,
    logger: silentLogger,
  });
  onTestFinished(() => service.stop());
  return service;
}

const echo = (subject: string, name = "echo"): Endpoint => ({
  name,
  subject,
  handle: (message, respond) => respond(message.data),
});

test("a request gets the handler's answer", async () => {
  const connection = await nats.connect();
  const subject = `${newNamespace()}.echo`;
  await serving(connection, echo(subject));
  const answer = await connection.request(subject, "hello", { timeoutMs: 5_000 });
  expect(new TextDecoder().decode(answer.data)).toBe("hello");
  expect(answer.header("Nats-Service-Error")).toBeUndefined();
});

test("a refusal carries the service error headers", async () => {
  const connection = await nats.connect();
  const subject = `${newNamespace()}.get`;
  await serving(connection, { name: "get", subject, handle: (_, respond) => respond("{}", "NOT_FOUND") });
  const answer = await connection.request(subject, "", { timeoutMs: 5_000 });
  expect(answer.header("Nats-Service-Error")).toBe("NOT_FOUND");
  expect(answer.header("Nats-Service-Error-Code")).toBe("404");
});

test("an answer may be given later", async () => {
  const connection = await nats.connect();
  const subject = `${newNamespace()}.wait`;
  await serving(connection, {
    name: "wait",
    subject,
    handle: (_, respond) => void connection.flush().then(() => respond("later")),
  });
  const answer = await connection.request(subject, "", { timeoutMs: 5_000 });
  expect(new TextDecoder().decode(answer.data)).toBe("later");
});

test("a handler that throws leaves its endpoint and the others alive", async () => {
  const connection = await nats.connect();
  const namespace = newNamespace();
  let calls = 0;
  await serving(connection, echo(`${namespace}.other`), {
    name: "bad",
    subject: `${namespace}.bad`,
    handle: (_, respond) => {
      calls += 1;
      if (calls === 1) throw new Error("broken");
      respond("well");
    },
  });
  await expect(connection.request(`${namespace}.bad`, "", { timeoutMs: 100 })).rejects.toMatchObject({
    code: "REQUEST_TIMED_OUT",
  });
  await connection.request(`${namespace}.bad`, "", { timeoutMs: 5_000 });
  await connection.request(`${namespace}.other`, "", { timeoutMs: 5_000 });
});

test("it shows among the micro services of NATS with its endpoints, and without queue group", async () => {
  const connection = await nats.connect();
  const subject = `${newNamespace()}.echo`;
  await serving(connection, echo(subject));
  await connection.request(subject, "", { timeoutMs: 5_000 });
  const client = new Svcm(natsOf(connection)).client({ strategy: "stall", maxWait: 1_000 });
  for await (const info of await client.info("perdure")) {
    expect(info).toMatchObject({ version: "1.2.3", description: "a test", metadata: { namespace: "mcp" } });
    expect(info.endpoints).toEqual([expect.objectContaining({ name: "echo", subject, queue_group: "" })]);
  }
  let requests = 0;
  for await (const stats of await client.stats("perdure")) requests += stats.endpoints?.[0]?.num_requests ?? 0;
  expect(requests).toBe(1);
});

test("two services on a subject both hear every request: neither can swallow the other's share", async () => {
  const subject = `${newNamespace()}.ask`;
  const heard = [0, 0];
  for (const index of [0, 1]) {
    await serving(await nats.connect(), {
      name: "ask",
      subject,
      handle: (_, respond) => {
        heard[index] = (heard[index] ?? 0) + 1;
        respond("");
      },
    });
  }
  const asking = await nats.connect();
  for (let count = 0; count < 20; count += 1) await asking.request(subject, "", { timeoutMs: 5_000 });
  await until("both have heard all", () => heard.every((count) => count === 20));
});

test("a stopped service leaves the subject to nobody", async () => {
  const connection = await nats.connect();
  const subject = `${newNamespace()}.echo`;
  const service = await serving(connection, echo(subject));
  await service.stop();
  await service.stop();
  await expect(connection.request(subject, "", { timeoutMs: 5_000 })).rejects.toMatchObject({ code: "NO_RESPONDERS" });
});

test("a service that could not be confirmed is not there when the connection comes back", async () => {
  const connection = await nats.connect();
  const events: string[] = [];
  connection.onEvent((event) => events.push(event));
  const subject = `${newNamespace()}.echo`;
  await nats.freeze();
  const serves = expect(serving(connection, echo(subject))).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
  await nats.kill();
  await serves;
  await nats.restart();
  await until("the connection is back", () => events.includes("reconnected"));
  await expect(connection.request(subject, "", { timeoutMs: 5_000 })).rejects.toMatchObject({ code: "NO_RESPONDERS" });
});
