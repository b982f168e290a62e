/** What goes on from one bridge to the next, and from a foreign message to a task: requests that are out, spans. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { z } from "zod";
import { agent } from "../../src/agent/agent.js";
import {
  type BridgeDeclaration,
  defineBridge,
  member,
  type RunningBridge,
  request,
  startBridge,
  staticMember,
} from "../../src/bridges/index.js";
import { type Client, connectClient } from "../../src/client/client.js";
import { defineTopology } from "../../src/jetstream/define-topology.js";
import { silentLogger } from "../../src/logger.js";
import { type LocalSystem, startLocalSystem } from "../../src/testing/local-system.js";
import { RawNats } from "../support/raw-nats.js";
import { until } from "../support/until.js";

const OWN_SPAN = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01";
const FOREIGN_SPAN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const topology = defineTopology("post", {
  streams: {
    POST: { subjects: ["post.letter.>"], retention: "limits" },
    POST_RECEIPTS: { subjects: ["post.receipt.>"], retention: "limits" },
  },
});

let system: LocalSystem;
let client: Client;
let foreign: RawNats;
const stops: (() => Promise<void>)[] = [];

beforeEach(async () => {
  system = await startLocalSystem({ logger: silentLogger });
  client = await connectClient({ servers: system.url });
  foreign = await RawNats.connect(system.url);
});

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await Promise.all([client.close(), foreign.close()]);
  await system.stop();
});

async function bridged(declaration: BridgeDeclaration): Promise<RunningBridge> {
  const options = { servers: system.url, logger: silentLogger };
  const bridge = await startBridge(defineBridge("post", { topology, ...declaration }), options);
  stops.push(() => bridge.stop());
  return bridge;
}

it("sends a request no second time that a stream has, however long ago that was", async () => {
  let sent = 0;
  const postman = member({
    presence: staticMember({ agentId: "postman", capabilities: ["deliver"] }),
    request: (_, id) => {
      sent += 1;
      // As if the stream had forgotten the message id of the first one.
      return { subject: `post.letter.${id}`, body: {}, messageId: `${id}-${sent}` };
    },
    delivery: "atLeastOnce",
    result: {
      from: { all: "post.receipt.*", subject: (id) => `post.receipt.${id}`, stream: "POST_RECEIPTS" },
      schema: z.object({ id: z.string() }),
      foreignId: ({ id }) => id,
      outcome: () => ({ status: "completed", output: "delivered" }),
    },
  });
  const letters = foreign.subscribe("post.letter.>");
  await foreign.flush();
  const first = await bridged({ members: { postman } });
  await client.submit({ taskId: "letter", type: "deliver" });
  await letters.first("the letter");
  await until("it is known that the stream has it", async () => {
    const { progress } = await client.get("letter");
    return JSON.stringify(progress ?? "").includes('"stored":true');
  });

  await first.stop();
  const second = await bridged({ members: { postman } });
  await until("the second bridge has it in hand", async () => (await client.get("letter")).state === "running");
  await foreign.request("post.receipt.letter", '{"id":"letter"}');

  expect(await client.wait("letter")).toMatchObject({ state: "completed", output: "delivered" });
  expect(sent).toBe(1);
  await second.stop();
});

it("submits a request under the span of the bridge's own where the rule gives one", async () => {
  const spans: (string | undefined)[] = [];
  const sorter = agent("sorter", {
    servers: system.url,
    tasks: { sort: ({ traceparent }) => void spans.push(traceparent) },
    logger: silentLogger,
  });
  await sorter.start();
  stops.push(() => sorter.stop());
  const sorting = (more: object) =>
    request({
      from: { subject: "post.sort" },
      schema: z.object({ id: z.string() }),
      task: ({ id }) => ({ taskId: id, type: "sort", ...more }),
      ack: "onAccepted",
    });
  const say = (id: string): void =>
    foreign.publish("post.sort", JSON.stringify({ id }), { headers: { traceparent: FOREIGN_SPAN } });

  const kept = await bridged({ requests: { sorting: sorting({}) } });
  say("kept");
  await until("the first one is sorted", () => spans.length === 1);
  await kept.stop();
  await bridged({ requests: { sorting: sorting({ traceparent: OWN_SPAN }) } });
  say("own");
  await until("the second one too", () => spans.length === 2);

  expect(spans).toEqual([FOREIGN_SPAN, OWN_SPAN]);
});
