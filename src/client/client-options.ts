import type { Connection } from "../jetstream/connection.js";
import type { Logger } from "../logger.js";

export interface ClientOptions {
  /** NATS URLs. Default nats://localhost:4222. */
  readonly servers?: string | readonly string[];
  /** Default "mcp". */
  readonly namespace?: string;
  /** Used instead of a connection of the client's own, and left open by `close`. */
  readonly connection?: Connection;
  readonly token?: string;
  readonly user?: string;
  readonly password?: string;
  /** Subjects for replies begin with this, so that permissions can keep others from reading them. Default "_INBOX". */
  readonly inboxPrefix?: string;
  /** Shown in the server's list of connections. Default "perdure client". */
  readonly name?: string;
  /** How long a request is asked again before it fails. Default 30,000. */
  readonly requestTimeoutMs?: number;
  /** Default: none; whatever fails is thrown. */
  readonly logger?: Logger;
}
