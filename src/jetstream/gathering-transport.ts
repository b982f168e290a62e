/**
 * The client's way to the server, with fewer and larger writes: what is sent within one turn of the event loop leaves
 * in one write. The library writes once a microtask, which for a process that handles a hundred messages a turn is a
 * hundred system calls here, and a hundred small reads in nats-server (ADR 0025 has what that costs).
 */
import type { Socket } from "node:net";
import {
  type NatsConnection,
  NatsConnectionImpl,
  type NodeConnectionOptions,
  setTransportFactory,
} from "@nats-io/transport-node";
import { NodeTransport, nodeResolveHost } from "@nats-io/transport-node/lib/node_transport.js";

class GatheringTransport extends NodeTransport {
  /** The socket that is held back until the end of this turn; TLS puts another one in place of the first. */
  #gathering: Socket | undefined;

  override send(frame: Uint8Array): void {
    const { socket } = this;
    if (socket !== undefined && this.#gathering !== socket) {
      this.#gathering = socket;
      socket.cork();
      setImmediate(() => {
        if (this.#gathering === socket) this.#gathering = undefined;
        socket.uncork();
      });
    }
    super.send(frame);
  }
}

/** As the library's own `connect` with another transport; addresses of WebSockets were refused before (server-url.ts). */
export function connectNats(options: NodeConnectionOptions): Promise<NatsConnection> {
  setTransportFactory({ factory: () => new GatheringTransport(), dnsResolveFn: nodeResolveHost });
  return NatsConnectionImpl.connect(options);
}
