/** What goes from us to a fleet. */
import { Traceparent } from "../protocol/traceparent.js";
import type { Fleet } from "./fleet.js";
import { headerOf, type RawMessage, TASK_HEADER } from "./received.js";

/** A message for the fleet, in its own words. */
export interface Outgoing {
  readonly subject: string;
  /** Any JSON value. */
  readonly body: unknown;
  /** `Nats-Msg-Id`. Default: follows from the task, so that what is sent again for it is one message. */
  readonly messageId?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** `stream`, the default: a stream must take it. `core`: for whoever listens just now. */
  readonly via?: "stream" | "core" | undefined;
}

/** Which task of ours it is sent for. */
export interface SentFor {
  readonly taskId: string;
  readonly traceparent: string | undefined;
  /** Distinguishes several messages of one task. */
  readonly part?: string;
}

export const TRACE_HEADER = "traceparent";

/** @throws PerdureError as `Fleet.publish` does */
export async function sendOutgoing(fleet: Fleet, outgoing: Outgoing, sentFor: SentFor): Promise<void> {
  const { subject, body, messageId, via } = outgoing;
  const headers = {
    [TASK_HEADER]: sentFor.taskId,
    ...(sentFor.traceparent === undefined ? {} : { [TRACE_HEADER]: sentFor.traceparent }),
    ...outgoing.headers,
  };
  if (via === "core") {
    fleet.send(subject, body, { headers });
    return;
  }
  const part = sentFor.part === undefined ? "" : `:${sentFor.part}`;
  // Two namespaces may have tasks of one id, and one fleet.
  const ownId = `${fleet.namespace}:${sentFor.taskId}${part}`;
  await fleet.publish(subject, body, { messageId: messageId ?? ownId, headers });
}

/** Of a foreign message; undefined where there is none that can be gone on with. */
export function traceparentOf(message: Pick<RawMessage, "headers">): string | undefined {
  const given = Traceparent.safeParse(headerOf(message, TRACE_HEADER));
  return given.success ? given.data : undefined;
}
