import { type JetStreamManager, jetstream } from "@nats-io/jetstream";
import type { Connection } from "./connection.js";
import { natsOf } from "./nats-of.js";

/** For administration, where a healthy server answers in milliseconds and a cluster without leader not at all. */
const API_TIMEOUT_MS = 5_000;

const managers = new WeakMap<Connection, Promise<JetStreamManager>>();

/** The library's JetStream API on this connection. */
export function managerOf(connection: Connection): Promise<JetStreamManager> {
  let manager = managers.get(connection);
  if (manager === undefined) {
    // `false`: no round trip to ask whether JetStream is there; the first use tells.
    manager = jetstream(natsOf(connection), { timeout: API_TIMEOUT_MS }).jetstreamManager(false);
    managers.set(connection, manager);
  }
  return manager;
}
