/** What is only heard is nowhere else, so it is offered to the orchestrator for as long as that takes. */
import { expect, it } from "vitest";
import { z } from "zod";
import { request } from "../../src/bridges/bridge.js";
import type { Fleet } from "../../src/bridges/fleet.js";
import { type Received, received } from "../../src/bridges/received.js";
import { startIntake } from "../../src/bridges/request-intake.js";
import type { Client, SubmitOptions } from "../../src/client/client.js";
import { silentLogger } from "../../src/logger.js";

const rule = request({
  from: { subject: "orders.>" },
  schema: z.object({ id: z.string() }),
  task: ({ id }) => ({ taskId: id, type: "cook" }),
  ack: "onAccepted",
});

it("submits a request that was heard without giving up, however long no orchestrator answers", async () => {
  const asked: SubmitOptions[] = [];
  let hear = (_message: Received<{ id: string }>): void => undefined;
  const fleet = {
    listen: (_subject: string, _schema: unknown, handle: typeof hear) => {
      hear = handle;
    },
  } as unknown as Fleet;
  const client = {
    submit: async (_task: unknown, options: SubmitOptions) => {
      asked.push(options);
    },
  } as unknown as Client;

  await startIntake("orders", rule, { bridge: "kitchen", fleet, client, logger: silentLogger });
  hear(received({ subject: "orders.soup", data: new Uint8Array(), headers: {} }, { id: "soup" }));
  await expect.poll(() => asked.length).toBe(1);

  expect(asked[0]?.timeoutMs).toBe(Number.POSITIVE_INFINITY);
});
