import { type Service, Svcm } from "@nats-io/services";
import type { Logger } from "../logger.js";
import { ErrorCode } from "../protocol/error-code.js";
import { statusCodeOf } from "../protocol/status-code.js";
import type { Connection, Message, PublishOptions } from "./connection.js";
import { InboundMessage } from "./inbound-message.js";
import { natsOf } from "./nats-of.js";

/**
 * Serves request subjects as one NATS service (ADR-32), so that `nats micro ls|info|stats` shows them.
 *
 * Without queue group: only the leader subscribes, and a stopped twin in the same group would swallow its share of the
 * requests.
 */
export interface ServiceOptions {
  /** Semantic version of this package. */
  readonly version: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly endpoints: readonly Endpoint[];
  readonly logger: Logger;
}

export interface Endpoint {
  /** Letters, digits, hyphens, underscores. */
  readonly name: string;
  readonly subject: string;
  /** `respond` may be called later, once at most, and does nothing if no answer was asked for. */
  handle(message: Message, respond: Respond): void;
}

/** An `errorCode` marks the answer as a refusal for tools that know NATS services only; the body says the same and more. */
export type Respond = (body: Uint8Array | string, errorCode?: string) => void;

export interface RunningService {
  /** Takes no further requests and resolves when those that have arrived were handled. May be called twice. */
  stop(): Promise<void>;
}

export const SERVICE_NAME = "perdure";

/** What ADR-32 calls "no queue group". */
const NO_QUEUE = "";

export async function serve(connection: Connection, options: ServiceOptions): Promise<RunningService> {
  const service = await new Svcm(natsOf(connection)).add({
    name: SERVICE_NAME,
    version: options.version,
    description: options.description,
    metadata: { ...options.metadata },
    queue: NO_QUEUE,
  });
  for (const endpoint of options.endpoints) addEndpoint(connection, service, endpoint, options.logger);
  void service.stopped.then((error) => {
    if (error !== null) options.logger.error({ err: error }, "the request service stopped by itself");
  });
  try {
    // Whoever is told that the service stands may send a request at once.
    await connection.flush();
  } catch (cause) {
    // Nobody else knows of it: left alone, it would come back with the connection and answer beside its successor.
    void service.stop();
    throw cause;
  }
  return {
    stop: async () => {
      await service.stop();
    },
  };
}

function addEndpoint(connection: Connection, service: Service, endpoint: Endpoint, logger: Logger): void {
  service.addEndpoint(endpoint.name, {
    subject: endpoint.subject,
    handler: (error, msg) => {
      if (error !== null) return;
      const message = new InboundMessage(msg);
      const { reply } = message;
      // The library catches what a handler throws, answers with its text and counts it; we answer nobody with a stack.
      try {
        endpoint.handle(message, (body, errorCode) => {
          if (reply !== undefined) connection.publish(reply, body, errorHeaders(errorCode));
        });
      } catch (thrown) {
        logger.error({ request: endpoint.name, err: thrown }, "a request handler threw; the request got no answer");
      }
    },
  });
}

/** Of a code this version does not know: the asker's mistake, like most. */
const STATUS_DEFAULT = 400;

/** What marks an answer as a refusal; nothing for one that is none. */
export function errorHeaders(errorCode: string | undefined): PublishOptions {
  if (errorCode === undefined) return {};
  const known = ErrorCode.safeParse(errorCode);
  const status = known.success ? statusCodeOf(known.data) : STATUS_DEFAULT;
  return { headers: { "Nats-Service-Error": errorCode, "Nats-Service-Error-Code": String(status) } };
}
