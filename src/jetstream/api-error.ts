import { JetStreamApiError } from "@nats-io/jetstream";
import {
  ClosedConnectionError,
  DrainingConnectionError,
  InvalidArgumentError,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
} from "@nats-io/transport-node";
import { PerdureError } from "../errors.js";

/** JetStream's own error codes, as in nats-server's errors.json. Errors are told apart by these, never by their text. */
export const apiCodes = {
  accountResourcesExceeded: 10_002,
  clusterNotAvailable: 10_008,
  clusterNotLeader: 10_009,
  /** Whatever kept a consumer from being made or changed that has no number of its own. */
  consumerCreateFailed: 10_012,
  consumerNotFound: 10_014,
  insufficientResources: 10_023,
  memoryResourcesExceeded: 10_028,
  noMessageFound: 10_037,
  sequenceNotFound: 10_043,
  notEnabledForAccount: 10_039,
  storageResourcesExceeded: 10_047,
  streamInvalidConfig: 10_052,
  messageExceedsMaximum: 10_054,
  streamNameInUse: 10_058,
  streamNotFound: 10_059,
  subjectOverlap: 10_065,
  wrongLastSequence: 10_071,
  replicasNotSupported: 10_074,
  notEnabled: 10_076,
  /** Also what `max_bytes` with discard new answers. */
  streamStoreFailed: 10_077,
  noSuitablePeers: 10_005,
  workQueueUnfiltered: 10_099,
  workQueueFilterTaken: 10_100,
  consumerExists: 10_148,
  /** A wrong last sequence of which the server does not say the right one: another write of that subject is under way. */
  wrongLastSequenceUnknown: 10_164,
  batchIncomplete: 10_176,
  batchesTooMany: 10_210,
} as const;

const fullCodes: ReadonlySet<number> = new Set([
  apiCodes.accountResourcesExceeded,
  apiCodes.insufficientResources,
  apiCodes.memoryResourcesExceeded,
  apiCodes.storageResourcesExceeded,
  apiCodes.streamStoreFailed,
]);

/** What the server says while it, or its cluster, is about to be well again: the same request may be sent once more. */
const passingCodes: ReadonlySet<number> = new Set([apiCodes.clusterNotAvailable, apiCodes.clusterNotLeader]);

/** A definite refusal by JetStream, as it came. */
export interface ApiRefusal {
  readonly code: number;
  /** For people only. */
  readonly description: string;
}

export function isPassing(refusal: ApiRefusal): boolean {
  return passingCodes.has(refusal.code);
}

/** The refusal inside an error of the client library; undefined for whatever leaves the outcome unknown. */
export function refusalOf(error: unknown): ApiRefusal | undefined {
  if (error instanceof JetStreamApiError) return { code: error.code, description: error.message };
  // The library gives "JetStream is off for this account" a class without a code, and the code as its cause.
  return error instanceof Error && error.cause instanceof JetStreamApiError ? refusalOf(error.cause) : undefined;
}

/**
 * Our error for a refusal. `doing` completes the sentence "Could not ..." and names the stream, key or subject.
 */
export function refusalError(refusal: ApiRefusal, doing: string, cause?: unknown): PerdureError {
  const details = { apiCode: refusal.code };
  const said = `JetStream says "${refusal.description}" (${refusal.code})`;
  if (fullCodes.has(refusal.code)) {
    return new PerdureError(
      "STORAGE_FULL",
      `Could not ${doing}: ${said}. Nothing was written. Free disk space or raise the server's max_file, then ask again.`,
      { details, cause },
    );
  }
  if (refusal.code === apiCodes.messageExceedsMaximum) {
    return new PerdureError("PAYLOAD_TOO_LARGE", `Could not ${doing}: ${said}.`, { details, cause });
  }
  if (refusal.code === apiCodes.notEnabled || refusal.code === apiCodes.notEnabledForAccount) {
    return new PerdureError(
      "STORAGE_UNAVAILABLE",
      `Could not ${doing}: ${said}. Enable JetStream in the server's configuration (\`jetstream {}\`) and for this account.`,
      { details, cause },
    );
  }
  return new PerdureError("STORAGE_UNAVAILABLE", `Could not ${doing}: ${said}.`, { details, cause });
}

/** Our error for whatever a call of the client library threw. */
export function storageError(error: unknown, doing: string): PerdureError {
  if (error instanceof PerdureError) return error;
  const refusal = refusalOf(error);
  if (refusal !== undefined) return refusalError(refusal, doing, error);
  if (error instanceof TimeoutError || causeOf(error) instanceof TimeoutError) {
    return new PerdureError(
      "REQUEST_TIMED_OUT",
      `Could not ${doing}: the server did not answer; whether it was carried out is unknown.`,
      { cause: error },
    );
  }
  if (isNoResponders(error)) {
    return new PerdureError(
      "STORAGE_UNAVAILABLE",
      `Could not ${doing}: nobody answers for JetStream. It is not enabled on this server or account, or its cluster has no leader at the moment.`,
      { cause: error },
    );
  }
  const violation = violationError(error, doing);
  if (violation !== undefined) return violation;
  if (error instanceof InvalidArgumentError) throw error;
  if (error instanceof ClosedConnectionError || error instanceof DrainingConnectionError) {
    return new PerdureError("CONNECTION_FAILED", `Could not ${doing}: the connection is closed.`, { cause: error });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new PerdureError("STORAGE_UNAVAILABLE", `Could not ${doing}: ${reason}.`, { cause: error });
}

/** Our error for what permissions forbid, which no further try would change; undefined for anything else. */
export function violationError(error: unknown, doing: string): PerdureError | undefined {
  const violation = [error, causeOf(error)].find((fault) => fault instanceof PermissionViolationError);
  if (violation === undefined) return undefined;
  return new PerdureError(
    "PERMISSION_DENIED",
    `Could not ${doing}: the server's permissions do not let this user ${violation.operation === "publish" ? "publish" : "subscribe"} to ${violation.subject}.`,
    { details: { subject: violation.subject }, cause: error },
  );
}

/** A read that failed like this may simply be asked again: a cluster elects a leader, a server restarts. */
export function isPassingFault(error: unknown): boolean {
  const fault = error instanceof PerdureError ? error.cause : error;
  if (fault instanceof TimeoutError || causeOf(fault) instanceof TimeoutError || isNoResponders(fault)) return true;
  const refusal = refusalOf(fault);
  return refusal !== undefined && isPassing(refusal);
}

function isNoResponders(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof NoRespondersError) return true;
    if (current instanceof RequestError && current.isNoResponders()) return true;
  }
  return false;
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}
