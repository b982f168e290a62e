/**
 * Where a message stands in its stream and at its consumer is said by the subject it is acknowledged on (NATS ADR-15):
 * `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, with domain and account after
 * ACK in its longer form, and in the longest a token behind it all.
 */
const ACK_PREFIX = "$JS.ACK.";
const ACK_DOTS_MIN = 8;
const ACK_DOTS_LONGEST = 11;
const DOT = ".".charCodeAt(0);

export interface Position {
  /** How often the consumer has delivered it, this time included. */
  readonly deliveryCount: number;
  /** In the stream. */
  readonly sequence: number;
  /** In the consumer's own count of deliveries, which has no gaps. */
  readonly deliverySequence: number;
  /** When the stream stored it: nanoseconds since 1970 in digits. */
  readonly storedAt: string;
  /** How many messages the consumer still had to deliver after this one. */
  readonly pending: number;
}

/** Undefined for what is no such subject. Reads from its end, where all forms are alike. */
export function positionOf(reply: string | undefined): Position | undefined {
  if (reply === undefined || !reply.startsWith(ACK_PREFIX)) return undefined;
  let dots = 0;
  for (let index = 0; index < reply.length; index += 1) if (reply.charCodeAt(index) === DOT) dots += 1;
  if (dots < ACK_DOTS_MIN) return undefined;
  const end = dots === ACK_DOTS_LONGEST ? reply.lastIndexOf(".") : reply.length;
  const beforePending = reply.lastIndexOf(".", end - 1);
  const beforeTime = reply.lastIndexOf(".", beforePending - 1);
  const beforeDelivery = reply.lastIndexOf(".", beforeTime - 1);
  const beforeSequence = reply.lastIndexOf(".", beforeDelivery - 1);
  const beforeCount = reply.lastIndexOf(".", beforeSequence - 1);
  const sequence = Number(reply.slice(beforeSequence + 1, beforeDelivery));
  const deliverySequence = Number(reply.slice(beforeDelivery + 1, beforeTime));
  if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(deliverySequence)) return undefined;
  return {
    deliveryCount: Number(reply.slice(beforeCount + 1, beforeSequence)),
    sequence,
    deliverySequence,
    storedAt: reply.slice(beforeTime + 1, beforePending),
    pending: Number(reply.slice(beforePending + 1, end)),
  };
}
