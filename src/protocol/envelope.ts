import { z } from "zod";
import { ErrorCode } from "./error-code.js";

/** The fields every message of the protocol has. */
export const envelopeFields = {
  /** Identifies this one message. Asking again with the same one is safe. */
  messageId: z.guid(),
  /** The sender's wall clock, epoch milliseconds. Shown to people, never compared by the engine. */
  timestamp: z.int().nonnegative(),
};

export const Envelope = z.object(envelopeFields);
export type Envelope = z.infer<typeof Envelope>;

/** How every request subject refuses: also mirrored in the NATS service error headers. */
export const ErrorReply = z.object({
  ...envelopeFields,
  /** Why. */
  error: z.object({
    /** The contract; later versions may know more of them. */
    code: z.union([ErrorCode, z.string()]),
    /** For people: what happened, what was done about it, what to do. It changes. */
    message: z.string(),
    /** Ids and figures of the message. */
    details: z.record(z.string(), z.unknown()).optional(),
  }),
});
export type ErrorReply = z.infer<typeof ErrorReply>;

/** Any JSON value: `null`, `0`, `""` and `false` are values like others. */
export const JsonValue = z.unknown();
export type JsonValue = z.infer<typeof JsonValue>;
