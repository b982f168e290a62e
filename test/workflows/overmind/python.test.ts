/** The client in Python, as a process, on a server that asks for a token: with members in TypeScript on the other side. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { connectFleet, type Fleet } from "perdure/bridges";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { connect } from "../../../src/jetstream/connection.js";
import { silentLogger } from "../../../src/logger.js";
import { LatestDecisions } from "../../../workflows/overmind/latest-decisions.js";
import { LLMRequest, MemoryEvent } from "../../../workflows/overmind/messages.js";
import { producersOn } from "../../../workflows/overmind/producers.js";
import { overmind } from "../../../workflows/overmind/topology.js";
import { type ConfiguredNats, startConfigured } from "../../support/configured-nats.js";
import { untilHolds } from "../../support/until.js";
import { givenConsolidated, givenDecision, givenRequest } from "./given.js";

const script = fileURLToPath(new URL("../../../workflows/overmind/overmind.py", import.meta.url));
const token = "s3cret token";
const config = `authorization { token: "${token}" }\njetstream { store_dir: "STORE" }`;

let server: ConfiguredNats;
let fleet: Fleet;

beforeAll(async () => {
  if (spawnSync("python3", ["--version"]).error !== undefined) {
    expect.fail("the client in Python cannot be tested: there is no python3 here; apt-get install python3");
  }
  server = await startConfigured(config);
  fleet = await connectFleet({
    servers: server.url,
    token,
    name: "typescript",
    topology: overmind,
    logger: silentLogger,
  });
});
afterAll(async () => {
  await fleet?.close();
  await server?.[Symbol.asyncDispose]();
});

interface Ended {
  readonly status: number | null;
  readonly printed: readonly Readonly<Record<string, unknown>>[];
  readonly complaint: string;
}

async function python(args: readonly string[], input: readonly unknown[] = [], environment = {}): Promise<Ended> {
  const env = { ...process.env, NATS_URL: server.url, NATS_TOKEN: token, PYTHONDONTWRITEBYTECODE: "1", ...environment };
  const child = spawn("python3", [script, ...args], { env, stdio: "pipe" });
  child.stdin.end(input.map((message) => `${JSON.stringify(message)}\n`).join(""));
  const status = new Promise<number | null>((resolve) => {
    child.on("close", resolve);
  });
  const [printed, complaint] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return {
    status: await status,
    printed: printed
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line)),
    complaint,
  };
}

it("publishes what members in TypeScript take, the same message once", async () => {
  const decisions = new LatestDecisions();
  const consumption = await decisions.start(fleet);
  const given = [givenDecision({ requestId: "py-1" }), givenDecision({ requestId: "py-2", selectedModel: "größer" })];

  const { status, printed, complaint } = await python(["publish", "routing.model.selected"], [...given, given[0]]);
  const shown = await untilHolds(
    "both decisions are shown",
    () => decisions.list({ limit: 10, model: undefined }),
    ({ length }) => length === 2,
  );
  await consumption.stop();

  expect({ status, complaint }).toEqual({ status: 0, complaint: "" });
  expect(printed).toMatchObject([{ stream: "routing-decisions" }, { seq: 2 }, { seq: 1, duplicate: true }]);
  expect(shown.map(({ requestId, selectedModel }) => [requestId, selectedModel])).toEqual([
    ["py-2", "größer"],
    ["py-1", "large"],
  ]);
});

it("consumes what members in TypeScript publish, and acknowledges it", async () => {
  const producers = producersOn(fleet);
  for (const status of ["started", "completed", "failed"] as const) await producers.requested(givenRequest({ status }));

  const { printed } = await python(["consume", "llm-requests", "metrics-consumer"]);

  expect(printed.map(({ subject }) => subject)).toEqual([
    "llm.request.started",
    "llm.request.completed",
    "llm.request.failed",
  ]);
  expect(LLMRequest.parse(printed[1]?.["body"])).toEqual(givenRequest());
  expect(await fleet.lag("llm-requests", "metrics-consumer")).toMatchObject({ pending: 0, ackPending: 0 });
});

it("goes on behind a message that is no JSON", async () => {
  const options = { servers: server.url, token, name: "careless", logger: silentLogger };
  const careless = await connect(options);
  await careless.request("memory.consolidated", "{not json", { timeoutMs: 5_000 });
  await careless.close();

  const { status, printed } = await python(["consume", "memory-events", "consolidation-consumer"]);

  expect({ status, printed }).toMatchObject({ status: 0, printed: [{ text: "{not json" }] });
});

it("is given again what it hands back, and never what it ends", async () => {
  const consume = ["consume", "memory-events", "consolidation-consumer", "--count", "1"];
  await producersOn(fleet).remembered(givenConsolidated());

  const first = await python([...consume, "--answer", "nak"]);
  const second = await python([...consume, "--answer", "term"]);
  const third = await python(consume);

  expect(first.printed).toMatchObject([{ deliveries: 1 }]);
  expect(second.printed).toMatchObject([{ deliveries: 2, subject: "memory.consolidated" }]);
  expect(MemoryEvent.parse(second.printed[0]?.["body"])).toEqual(givenConsolidated());
  expect(third).toEqual({ status: 0, printed: [], complaint: "" });
});

/** What a program in Python prints that has the module at hand, as JSON. */
async function program(...lines: readonly string[]) {
  const environment = { ...process.env, NATS_URL: server.url, NATS_TOKEN: token, PYTHONDONTWRITEBYTECODE: "1" };
  const preamble = ["import json, sys", "from overmind import Overmind, OvermindError", "platform = Overmind()"];
  const child = spawn("python3", ["-c", [...preamble, ...lines].join("\n")], {
    cwd: dirname(script),
    env: environment,
    stdio: "pipe",
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const complaint = text(child.stderr);
  const next = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    line: async (): Promise<unknown> => {
      const { value, done } = await next.next();
      if (done) throw new Error(`the program ended: ${await complaint}`);
      return JSON.parse(value as string);
    },
    goOn: () => child.stdin.write("\n"),
    ended: once(child, "exit"),
  };
}

it("goes on where it was when the server was killed and is back", { timeout: 30_000 }, async () => {
  const going = await program(
    'first = platform.publish("llm.request.failed", {"requestId": "lost-1"}, headers={"Traceparent": "00-a:b"})',
    'taken = platform.fetch("llm-requests", "metrics-consumer")',
    "print(json.dumps([message.headers.get('Traceparent') for message in taken]), flush=True)",
    "sys.stdin.readline()",
    "for message in taken: message.working(); message.ack()",
    'again = platform.publish("llm.request.failed", {"requestId": "lost-1"})',
    'left = platform.fetch("llm-requests", "metrics-consumer", expires_s=0.2)',
    'print(json.dumps([again["seq"] == first["seq"], again.get("duplicate"), len(left)]), flush=True)',
  );
  const headers = await going.line();
  await server.restart(config);
  going.goOn();

  expect(headers).toEqual(["00-a:b"]);
  expect(await going.line()).toEqual([true, true, 0]);
  await going.ended;
  await untilHolds(
    "everything is acknowledged, and this side is back too",
    () => fleet.lag("llm-requests", "metrics-consumer").catch(() => null),
    (lag) => lag?.ackPending === 0,
  );
});

it("gives an id of any text the message id that ours gives it, and publishes nothing that is no JSON or too large", async () => {
  const ids = ["line\nbreak", "blank ", "größer".repeat(40), "\u{1f9e0}".repeat(65), "plain"];
  const said = ids.map((requestId) => givenRequest({ requestId, status: "started" }));
  for (const request of said) await producersOn(fleet).requested(request);

  const { printed } = await python(["publish", "llm.request.started"], said);
  const refusing = await program(
    "for body in [float('nan'), 'x' * 2**20]:",
    '    try: platform.publish("llm.request.started", {"requestId": "r", "cost": body})',
    "    except (OvermindError, ValueError) as fault: print(json.dumps(str(fault)), flush=True)",
  );

  expect(printed.map(({ duplicate }) => duplicate)).toEqual(ids.map(() => true));
  expect(await refusing.line()).toContain("not JSON compliant");
  expect(await refusing.line()).toContain("1048576 bytes at most");
  await refusing.ended;
  await fleet.purge("llm-requests");
});

it.each<[what: string, args: readonly string[], environment: object, complaint: string]>([
  ["nobody takes the subject", ["publish", "nobody.takes.this"], {}, "nobody listens on nobody.takes.this"],
  ["the subject is none", ["publish", "routing.model selected"], {}, "is no subject"],
  ["the token is wrong", ["publish", "memory.added"], { NATS_TOKEN: "wrong" }, "Authorization Violation"],
  ["there is no consumer", ["consume", "memory-events", "nobody"], {}, "memory-events answered 503"],
  ["there is no server", ["consume", "memory-events", "nobody"], { NATS_URL: "nats://127.0.0.1:1" }, "refused"],
])("says so when %s, with exit status 1", async (_what, args, environment, complaint) => {
  const ended = await python(args, [{ eventId: "e-9" }], environment);

  expect(ended).toMatchObject({ status: 1, printed: [], complaint: expect.stringMatching(/^overmind: .+\n$/) });
  expect(ended.complaint).toContain(complaint);
});
