import type { NatsConnection } from "@nats-io/transport-node";
import type { Connection } from "./connection.js";

/** The library's connection behind ours, for the few files of this folder that need it. */
const natsConnections = new WeakMap<Connection, NatsConnection>();

export function rememberNats(connection: Connection, nats: NatsConnection): void {
  natsConnections.set(connection, nats);
}

export function natsOf(connection: Connection): NatsConnection {
  const nats = natsConnections.get(connection);
  if (nats === undefined) throw new Error("natsOf: this connection was not made by connect()");
  return nats;
}
