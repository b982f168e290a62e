/** The header by which a request that is sent again is known. */
import { PerdureError } from "../errors.js";
import { envelopeFields } from "../protocol/envelope.js";
import type { Call } from "./operation.js";

/** Both as it is mostly sent, bare, and as the draft of its standard has it, between quotation marks. */
export function idempotencyKeyOf(call: Call): string | undefined {
  const text = call.header("idempotency-key")?.replace(/^"(.*)"$/, "$1");
  if (text === undefined || envelopeFields.messageId.safeParse(text).success) return text;
  throw new PerdureError("INVALID_MESSAGE", "the header Idempotency-Key must be a UUID; nothing was done", {
    details: { fields: ["Idempotency-Key"] },
  });
}
