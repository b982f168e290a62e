/** Every way an audit refuses, each with a heading in this folder's README. Codes are stable, texts are not. */
export type AuditErrorCode =
  | "PROJECT_NOT_FOUND"
  | "LOCK_FILE_MISSING"
  | "LOCK_FILE_DAMAGED"
  | "LOCK_FILE_VERSION"
  | "LOCK_FILE_CHANGED"
  | "PACKAGE_PATH_REFUSED"
  | "NOTHING_INSTALLED"
  | "TOO_MANY_PACKAGES";

/**
 * An expected fault of the audit. None of them goes away by asking again with the same files: `type` and `nonRetryable`
 * are what the engine reads when a task or a step throws one. Any other exception (EIO, EMFILE) is worth another attempt.
 */
export class AuditError extends Error {
  override readonly name = "AuditError";
  readonly code: AuditErrorCode;
  readonly type: AuditErrorCode;
  readonly nonRetryable = true;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: AuditErrorCode,
    message: string,
    options: { details?: Readonly<Record<string, unknown>>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.type = code;
    this.details = options.details ?? {};
  }
}

/** The errno name of a failed system call ("ENOENT"), or null for any other thrown value. */
export function systemErrorCode(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}
