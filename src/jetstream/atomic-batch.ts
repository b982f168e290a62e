import type { Connection, Message } from "./connection.js";

/** One message of a batch. */
export interface BatchMessage {
  readonly subject: string;
  readonly body: Uint8Array | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The server's limit for the messages of one batch. */
export const BATCH_MESSAGES_MAX = 1_000;

/**
 * Publishes messages that their stream stores together or not at all (NATS ADR-50), and resolves with the answer to the
 * last one, which commits. The others ask for no answer: whatever is wrong with them shows at the commit. Headers are
 * set here because the client library's own batch drops expectations and TTLs.
 *
 * `batchId` (64 characters at most) must be new for each attempt: what a lost connection cut off stays on the server
 * for ten seconds and takes no second beginning.
 */
export function publishBatch(
  connection: Connection,
  batchId: string,
  messages: readonly BatchMessage[],
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Message> {
  const last = messages.at(-1);
  if (last === undefined || messages.length > BATCH_MESSAGES_MAX) {
    throw new Error(`a batch of ${messages.length} messages; the server takes 1 to ${BATCH_MESSAGES_MAX}`);
  }
  for (const [index, message] of messages.slice(0, -1).entries()) {
    const headers = { "Nats-Batch-Id": batchId, "Nats-Batch-Sequence": String(index + 1), ...message.headers };
    connection.publish(message.subject, message.body, { headers });
  }
  const headers = {
    "Nats-Batch-Id": batchId,
    "Nats-Batch-Sequence": String(messages.length),
    "Nats-Batch-Commit": "1",
    ...last.headers,
  };
  return connection.request(last.subject, last.body, { ...options, headers });
}
