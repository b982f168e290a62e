/** What makes two reports the same error: what went wrong and where, never when. */
import { createHash } from "node:crypto";
import type { ErrorReport } from "./messages.js";
import type { Environment, TeamNames } from "./names.js";

/** SHA-256 of `error:file:line`, in hexadecimal. */
export function signatureOf({ error, context: { file, line } }: ErrorReport): string {
  return createHash("sha256").update(`${error}:${file}:${line}`).digest("hex");
}

/** `Nats-Msg-Id`: within the stream's window, the same error is stored once. */
export function messageIdOf({ project }: TeamNames, environment: Environment, report: ErrorReport): string {
  return `${project}-${environment}-${signatureOf(report)}`;
}
