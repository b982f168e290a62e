import { PerdureError } from "../errors.js";
import { ErrorReply } from "../protocol/envelope.js";
import { ErrorCode } from "../protocol/error-code.js";
import { parseMessage } from "../protocol/parse.js";

/** The error a reply is, or null if it is none. A code that this version does not know is kept in `details.code`. */
export function errorOfReply(value: unknown): PerdureError | null {
  if (typeof value !== "object" || value === null || !("error" in value)) return null;
  const parsed = parseMessage(ErrorReply, value);
  if (!parsed.ok) return null;
  const { code, message, details } = parsed.value.error;
  const known = ErrorCode.safeParse(code);
  return known.success
    ? new PerdureError(known.data, message, { details: { ...details } })
    : new PerdureError("INTERNAL", message, { details: { ...details, code } });
}
