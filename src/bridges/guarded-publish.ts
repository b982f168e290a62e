import { PerdureError } from "../errors.js";
import { apiCodes } from "../jetstream/api-error.js";
import type { Connection } from "../jetstream/connection.js";
import { publishAcked } from "../jetstream/publisher.js";

/** How long the acknowledgement of a stream is waited for. */
export const PUBLISH_TIMEOUT_MS = 5_000;

/** `lostRace`: another message is the last one on the subject. `underWay`: one may be in a moment, or may come to nothing. */
export type Refused = "lostRace" | "underWay";

const refusals: ReadonlyMap<unknown, Refused> = new Map([
  [apiCodes.wrongLastSequence, "lostRace"],
  [apiCodes.wrongLastSequenceUnknown, "underWay"],
]);

/**
 * Publishes only where `expectedSequence` is the last one on the subject; 0 where there is none.
 * @throws PerdureError as `publishAcked` does
 */
export async function publishOnto(
  connection: Connection,
  subject: string,
  data: Uint8Array | string,
  expectedSequence: number,
): Promise<{ readonly sequence: number } | Refused> {
  try {
    const { sequence } = await publishAcked(connection, subject, data, {
      timeoutMs: PUBLISH_TIMEOUT_MS,
      headers: { "Nats-Expected-Last-Subject-Sequence": String(expectedSequence) },
    });
    return { sequence };
  } catch (error) {
    const refused = error instanceof PerdureError ? refusals.get(error.details["apiCode"]) : undefined;
    if (refused === undefined) throw error;
    return refused;
  }
}
