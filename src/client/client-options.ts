import type { Connection } from "../jetstream/connection.js";
import type { ConnectionOptions } from "../jetstream/connection-options.js";
import type { Logger } from "../logger.js";

/** `servers` is nats://localhost:4222 by default. */
export interface ClientOptions extends ConnectionOptions {
  /** Default "mcp". */
  readonly namespace?: string;
  /** Used instead of a connection of the client's own, and left open by `close`. */
  readonly connection?: Connection;
  /** Shown in the server's list of connections. Default "perdure client". */
  readonly name?: string;
  /** How long a request is asked again before it fails. Default 30,000. */
  readonly requestTimeoutMs?: number;
  /** Default: none; whatever fails is thrown. */
  readonly logger?: Logger;
}
