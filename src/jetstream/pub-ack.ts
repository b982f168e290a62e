import type { ApiRefusal } from "./api-error.js";
import type { Message } from "./connection.js";

/** JetStream's answer to a publish. */
export type PubAck =
  | { readonly outcome: "stored"; readonly sequence: number; readonly duplicate: boolean }
  | { readonly outcome: "refused"; readonly refusal: ApiRefusal };

const decoder = new TextDecoder();

/**
 * Undefined if it is no such answer. An empty one is none either: that is how the server confirms a message inside a
 * batch that is not committed yet.
 */
export function parsePubAck(message: Message): PubAck | undefined {
  if (message.data.byteLength === 0) return undefined;
  let answer: unknown;
  try {
    answer = JSON.parse(decoder.decode(message.data));
  } catch {
    return undefined;
  }
  if (typeof answer !== "object" || answer === null) return undefined;
  if ("error" in answer) return refused(answer.error);
  if (!("seq" in answer) || typeof answer.seq !== "number") return undefined;
  return { outcome: "stored", sequence: answer.seq, duplicate: "duplicate" in answer && answer.duplicate === true };
}

function refused(error: unknown): PubAck | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  if (!("err_code" in error) || typeof error.err_code !== "number") return undefined;
  const description = "description" in error ? String(error.description) : "";
  return { outcome: "refused", refusal: { code: error.err_code, description } };
}
