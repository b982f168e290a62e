/** A part as a process of its own, told by its environment where to go: as it runs in a container. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { connectFleet } from "perdure/bridges";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { silentLogger } from "../../../src/logger.js";
import { overmind } from "../../../workflows/overmind/topology.js";
import { type ConfiguredNats, startConfigured } from "../../support/configured-nats.js";

const script = fileURLToPath(new URL("../../../dist/workflows/overmind/worker.js", import.meta.url));
const token = "s3cret token";
let server: ConfiguredNats;

beforeAll(async () => {
  server = await startConfigured(`authorization { token: "${token}" }\njetstream { store_dir: "STORE" }`);
});
afterAll(() => server?.[Symbol.asyncDispose]());

function start(part: string, environment: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [script, part], {
    env: {
      ...process.env,
      NATS_URL: server.url,
      NATS_TOKEN: token,
      HTTP_PORT: "0",
      PERDURE_NAMESPACE: "",
      ...environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = once(child, "exit").then(([code]) => code as unknown);
  return { child, exited, complaint: text(child.stderr) };
}

it("serves HTTP until it is asked to end, on a server that wants a token", async () => {
  const fleet = await connectFleet({
    servers: server.url,
    token,
    name: "test",
    topology: overmind,
    logger: silentLogger,
  });
  await fleet.close();

  const { child, exited } = start("api", {});
  const [line]: string[] = await once(createInterface({ input: child.stdout }), "line");
  const health = await fetch(`${line?.split(" ")[1]}/healthz`);
  child.kill("SIGTERM");

  expect(line).toMatch(/^ready http:\/\/127\.0\.0\.1:\d+$/);
  expect([health.status, await health.json()]).toEqual([200, { status: "ok", jetStreamPingMs: expect.any(Number) }]);
  expect(await exited).toBe(0);
});

it.each<[what: string, part: string, environment: Readonly<Record<string, string>>, status: number, complaint: string]>(
  [
    ["the part is none", "librarian", {}, 2, "name a part: consolidation, analytics, api"],
    ["the port is none", "api", { HTTP_PORT: "many" }, 2, "HTTP_PORT"],
    ["the token is wrong", "analytics", { NATS_TOKEN: "wrong" }, 1, "overmind: CONNECTION_FAILED"],
  ],
)("says so when %s", async (_what, part, environment, status, complaint) => {
  const ended = start(part, environment);

  expect(await ended.exited).toBe(status);
  expect(await ended.complaint).toContain(complaint);
});

it("says what to do when nobody has made the streams", async () => {
  const empty = await startConfigured('jetstream { store_dir: "STORE" }');
  onTestFinished(() => empty[Symbol.asyncDispose]());

  const ended = start("analytics", { NATS_URL: empty.url, NATS_TOKEN: "" });

  expect(await ended.exited).toBe(1);
  expect(await ended.complaint).toContain("overmind: NOT_FOUND: There is no stream routing-decisions on this server.");
});
