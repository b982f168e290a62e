import type { ErrorCode } from "./protocol/error-code.js";

/** Ids and figures that belong to an error; whatever a program may want to branch on. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/**
 * An expected fault: something outside went wrong, or was asked wrongly, and the caller can react.
 * `code` is stable and documented in docs/errors.md; `message` says what happened to which id, what
 * the engine did about it and what the reader can do; `details` has the ids.
 *
 * A broken invariant is not one of these: it is a plain Error and ends the process.
 */
export class PerdureError extends Error {
  override readonly name = "PerdureError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}
