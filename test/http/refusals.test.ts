/** Who is kept out, and what is no request at all. Whatever is refused has the same body. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { EventFeed } from "../../src/http/event-feed.js";
import { RequestHandler } from "../../src/http/request-handler.js";
import { startHttpServer } from "../../src/http/server.js";
import { silentLogger } from "../../src/logger.js";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { errorOf, HttpSystem } from "./given-http.js";
import { exchange, openSocket } from "./raw-http.js";

const nats = useNats();
let system: HttpSystem;

beforeAll(async () => {
  system = await HttpSystem.start(nats.url);
});
afterAll(() => system[Symbol.asyncDispose]());

/** Fetch sets some headers itself, so these are written by hand. */
async function askRaw(headers: readonly string[], line = "GET /v1/status HTTP/1.1", body = ""): Promise<string> {
  return await exchange(system.url, [line, ...headers, "Connection: close", "", body].join("\r\n"));
}

function shapeOf(received: string): { readonly status: number; readonly code: unknown } {
  const [head = "", body = ""] = received.split("\r\n\r\n");
  const { error } = JSON.parse(body) as { error: { code: string; message: string } };
  expect(error.message).not.toBe("");
  return { status: Number(head.split(" ")[1]), code: error.code };
}

describe("without a token, on loopback", () => {
  it.each(["localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:80", "LocalHost", "127.9.9.9"])(
    "answers to the host %s",
    async (host) => {
      expect(await askRaw([`Host: ${host}`])).toMatch(/^HTTP\/1.1 200 /);
    },
  );

  it.each([
    "evil.example",
    "evil.example:80",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "127.evil",
    "",
    "10.0.0.1",
  ])("refuses the host %s, whatever is asked", async (host) => {
    const refused = { status: 421, code: "HTTP_HOST_REFUSED" };

    expect(shapeOf(await askRaw([`Host: ${host}`]))).toEqual(refused);
    expect(shapeOf(await askRaw([`Host: ${host}`], "GET /healthz HTTP/1.1"))).toEqual(refused);
    expect(shapeOf(await askRaw([`Host: ${host}`], "GET /nix HTTP/1.1"))).toEqual(refused);
  });

  it.each(["http://evil.example", "null", "http://localhost:1", "https://127.0.0.1", "http://127.0.0.1.evil.example"])(
    "lets no page of %s change anything",
    async (origin) => {
      const taskId = await system.submitted({ type: "ocr" });
      const host = `Host: ${new URL(system.url).host}`;

      const refused = shapeOf(
        await askRaw([host, `Origin: ${origin}`, "Content-Length: 0"], `POST /v1/tasks/${taskId}/cancel HTTP/1.1`),
      );

      expect(refused).toEqual({ status: 403, code: "HTTP_ORIGIN_REFUSED" });
      expect((await system.get(`/v1/tasks/${taskId}`)).body["task"]).toMatchObject({ state: "queued" });
    },
  );

  it("lets a page of its own, and programs, change things", async () => {
    const taskId = await system.submitted({ type: "ocr" });
    const { host } = new URL(system.url);

    const answer = await askRaw(
      [`Host: ${host}`, `Origin: http://${host}`, "Content-Length: 0"],
      `POST /v1/tasks/${taskId}/cancel HTTP/1.1`,
    );

    expect(answer).toMatch(/^HTTP\/1.1 200 /);
  });

  it("lets no page of another site read: no answer has a CORS header", async () => {
    const { headers } = await system.get("/v1/status", { headers: { origin: "http://evil.example" } });

    expect([...headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  });
});

describe("with a token", () => {
  const token = randomUUID();
  let guarded: HttpSystem;
  beforeAll(async () => {
    guarded = await HttpSystem.start(nats.url, { token, host: "0.0.0.0" });
  });
  afterAll(() => guarded[Symbol.asyncDispose]());

  it.each([`Bearer ${token}`, `bearer ${token}`, `BEARER   ${token}`])("answers %s", async (authorization) => {
    expect((await guarded.get("/v1/status", { headers: { authorization } })).status).toBe(200);
  });

  it.each([
    ["nothing", {}],
    ["another token", { authorization: `Bearer ${randomUUID()}` }],
    ["a part of it", { authorization: `Bearer ${token.slice(0, -1)}` }],
    ["more than it", { authorization: `Bearer ${token}a` }],
    ["it without its scheme", { authorization: token }],
    ["another scheme", { authorization: `Basic ${token}` }],
    ["an empty one", { authorization: "Bearer " }],
  ])("refuses %s, and does not say what there is", async (_, headers) => {
    const paths = ["/v1/status", "/metrics", "/v1/events", "/v1/openapi.json", "/nix"];

    for (const path of paths) {
      const answer = await guarded.get(path, { headers });
      expect([path, answer.status, errorOf(answer)["code"]]).toEqual([path, 401, "UNAUTHENTICATED"]);
      expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="perdure"');
    }
  });

  it("answers probes, which carry none, and tells them no more than they need", async () => {
    expect((await guarded.get("/healthz")).body).toEqual({ status: "alive" });
    expect((await guarded.get("/readyz")).text).toMatch(/^\{"status":"(healthy|degraded)"\}$/);
  });

  it("answers under any name, and to pages that a server of its users made", async () => {
    const headers = { authorization: `Bearer ${token}`, origin: "https://app.example" };

    expect((await guarded.post("/v1/tasks", { task: { type: "ocr" } }, { headers })).status).toBe(202);
  });
});

describe("what it refuses to serve", () => {
  const start = (options: { host?: string; token?: string; port?: number }) =>
    startHttpServer({
      port: 0,
      client: () => null,
      metrics: () => Promise.resolve(""),
      logger: silentLogger,
      ...options,
    });

  it.each([{ host: "0.0.0.0" }, { host: "::" }, { host: "localhost.evil.example" }])(
    "an address of other machines without a token: %j",
    async (options) => {
      await expect(start(options)).rejects.toMatchObject({
        code: "USAGE",
        message: expect.stringContaining("--insecure"),
      });
    },
  );

  it.each(["", "two words", "ümlaut", "line\nbreak"])("a token that no header can carry: %j", async (token) => {
    await expect(start({ token })).rejects.toMatchObject({ code: "USAGE" });
  });

  it("a port that is taken, and an address that is not here", async () => {
    const port = Number(new URL(system.url).port);

    await expect(start({ port })).rejects.toMatchObject({ code: "USAGE", details: { port } });
    await expect(start({ host: "203.0.113.1", token: "t" })).rejects.toMatchObject({ code: "USAGE" });
  });

  it("nothing, where it was told that this is fine", async () => {
    const open = await startHttpServer({
      port: 0,
      host: "0.0.0.0",
      unguarded: "allowed",
      client: () => system.client,
      metrics: () => Promise.resolve(""),
      logger: silentLogger,
    });
    onTestFinished(() => open.close());

    expect((await fetch(`${open.url}/v1/status`, { headers: { connection: "close" } })).status).toBe(200);
  });
});

describe("what is no request", () => {
  const host = () => `Host: ${new URL(system.url).host}`;

  it.each([
    ["no HTTP", "hello\r\n\r\n", 400],
    ["TLS", Buffer.from("16030100a5010000a10303", "hex"), 400],
    ["no Host", "GET /v1/status HTTP/1.1\r\n\r\n", 400],
    ["two lengths", "POST /v1/tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400],
    [
      "length and chunks",
      "POST /v1/tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      400,
    ],
    ["half a head", "GET /v1/status HTTP/1.1\r\nHost:", 400],
    ["a proxy's request", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400],
  ])("refuses %s", async (_, bytes, status) => {
    expect(shapeOf(await exchange(system.url, bytes, "end"))).toEqual({ status, code: "HTTP_REQUEST_MALFORMED" });
  });

  it("refuses a head of more than 16 KiB", async () => {
    const long = "x".repeat(20_000);
    const tooLarge = { status: 431, code: "HTTP_HEADERS_TOO_LARGE" };

    expect(shapeOf(await askRaw([host(), `Cookie: ${long}`]))).toEqual(tooLarge);
    expect(shapeOf(await askRaw([host()], `GET /v1/tasks/${long} HTTP/1.1`))).toEqual(tooLarge);
    expect(shapeOf(await askRaw([host(), ...Array.from({ length: 5_000 }, (_, i) => `X-${i}: y`)]))).toEqual(tooLarge);
  });

  it("answers an expectation it does not know, and an upgrade it does not make, as if they were not there", async () => {
    expect(await askRaw([host(), "Expect: miracles"])).toMatch(/^HTTP\/1.1 200 /);
    expect(await askRaw([host(), "Upgrade: websocket"])).toMatch(/^HTTP\/1.1 200 /);
  });

  it("refuses a request that does not arrive whole in time", async () => {
    const handler = new RequestHandler({
      guard: () => undefined,
      face: {
        client: () => system.client,
        metrics: () => Promise.resolve(""),
        events: new EventFeed(() => system.client),
        requestTimeoutMs: 1_000,
      },
      logger: silentLogger,
    });
    const impatient = createServer({ headersTimeout: 50, requestTimeout: 100, connectionsCheckingInterval: 20 });
    impatient.on("clientError", (error, socket) => handler.refuseConnection(error, socket));
    impatient.listen(0, "127.0.0.1");
    await once(impatient, "listening");
    onTestFinished(() => void impatient.close());

    const received = await exchange(
      `http://127.0.0.1:${(impatient.address() as AddressInfo).port}`,
      "GET / HTTP/1.1\r\n",
    );

    expect(shapeOf(received)).toEqual({ status: 408, code: "HTTP_REQUEST_TIMED_OUT" });
  });

  it("refuses a body that breaks off, and lives on", async () => {
    const socket = await openSocket(system.url);
    socket.write(
      `POST /v1/tasks HTTP/1.1\r\n${host()}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"ta`,
    );
    const closed = once(socket, "close");
    socket.destroy();
    await closed;

    expect((await system.get("/readyz")).status).toBe(200);
  });

  it("refuses a body without end in time, and reads on only to throw away", async () => {
    const socket = await openSocket(system.url);
    onTestFinished(() => void socket.destroy());
    let received = "";
    socket.on("data", (chunk) => {
      received += String(chunk);
    });
    socket.write(
      `POST /v1/tasks HTTP/1.1\r\n${host()}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const chunk = `10000\r\n${" ".repeat(0x10000)}\r\n`;
    await until("it is refused", () => {
      socket.write(chunk);
      return received.includes("\r\n\r\n{");
    });

    expect(shapeOf(received)).toEqual({ status: 413, code: "PAYLOAD_TOO_LARGE" });
  });

  it("answers any bytes with a refusal of this shape, or as what they happen to be", async () => {
    const valid = Buffer.from(
      `GET /v1/tasks?limit=1 HTTP/1.1\r\n${host()}\r\nAccept: */*\r\nConnection: close\r\n\r\n`,
    );
    let answered = 0;
    const mutation = fc.tuple(fc.nat(valid.length - 1), fc.uint8Array({ maxLength: 4 }), fc.nat(3));

    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async (mutations) => {
        let bytes = valid;
        for (const [at, put, drop] of mutations) {
          bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + drop)]);
        }
        const received = await exchange(system.url, bytes, "end");
        // A request that was one after all, of a caller that hung up.
        if (received === "") return;
        answered += 1;
        const status = Number(received.split(" ")[1]);
        expect(status).not.toBe(500);
        if (status !== 200) shapeOf(received);
      }),
      { numRuns: 150 },
    );
    expect(answered).toBeGreaterThan(50);
  });
});
