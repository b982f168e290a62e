import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../clock.js";
import { PerdureError } from "../errors.js";
import { type Logger, SampledLog } from "../logger.js";
import { META_KEYS } from "../protocol/topology.js";
import { apiCodes, isPassingFault, refusalError } from "./api-error.js";
import { subjectOfKey } from "./bucket-names.js";
import type { Connection } from "./connection.js";
import { isGone, type ProcessIdentity, thisProcess } from "./process-identity.js";
import { parsePubAck } from "./pub-ack.js";
import { OPERATION_DELETE, OPERATION_HEADER, readKey, type StoredKey } from "./stored-key.js";
import { ttlHeader } from "./ttl-header.js";

/**
 * The leader's lease: the key `leader` of the meta bucket, which the server forgets unless it is renewed. It decides who
 * leads, quickly; that an old leader does no harm is the journal's and the buckets' fences' business.
 *
 * Taken and renewed under the key's last sequence, so of two that try only one succeeds. The holder counts its lease from
 * the moment it sent the last renewal that was acknowledged, on its own monotonic clock, and holds it for two thirds of
 * the time only: the server's clock starts later, so nobody else can have it by then. A renewal whose acknowledgement was
 * lost is recognised by the holder's id.
 *
 * A lease that ran out is not lost yet: as long as nobody took it, the next renewal that gets through holds it again. To
 * give the term up for a server that was away, or a machine that was busy, would be to recover all of the state for nothing,
 * and where that takes longer than a lease, again and again.
 *
 * A crash leaves the key until it expires. A process that finds the holder dead on its own machine takes it at once.
 */
export interface LeaderLeaseOptions {
  readonly bucket: string;
  /** How long the server keeps the key without renewal. Whole seconds, 1,000 at least. */
  readonly leaseMs: number;
  readonly renewIntervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called once, when another has the lease; not after `release`. */
  readonly onLost: () => void;
  /** Called after each try to renew the lease. */
  readonly onRenewal?: (outcome: "renewed" | "failed") => void;
}

/** What the key says. */
export interface LeaseHolder extends ProcessIdentity {
  readonly holderId: string;
  /** When it was taken or renewed, epoch milliseconds by the holder's clock. For people. */
  readonly at: number;
}

/** A standby looks this often; it bounds how long a released or expired lease stays untaken. */
const POLL_INTERVAL_MS = 100;

/** A renewal not answered by then is sent again: the next but one would come too late. */
const RENEWAL_TIMEOUT_MS_MAX = 1_000;

export class LeaderLease {
  readonly #connection: Connection;
  readonly #options: LeaderLeaseOptions;
  readonly holderId: string = randomUUID();
  #revision = 0;
  /** Monotonic time at which the last acknowledged renewal was sent. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #state: "waiting" | "held" | "lost" | "released" = "waiting";
  #renewing: Promise<void> = Promise.resolve();
  readonly #stopRenewing = new AbortController();
  readonly #unreachable: SampledLog;
  readonly #unrenewed: SampledLog;

  constructor(connection: Connection, options: LeaderLeaseOptions) {
    if (options.leaseMs < 1_000 || options.leaseMs % 1_000 !== 0) {
      throw new Error(`a lease of ${options.leaseMs} ms; the server counts whole seconds`);
    }
    this.#connection = connection;
    this.#options = options;
    const { logger } = options;
    // A standby looks ten times a second.
    this.#unreachable = new SampledLog(logger, "warn", "cannot reach the leader's lease now; trying again", {
      linesMax: 1,
    });
    this.#unrenewed = new SampledLog(logger, "warn", "could not renew the lease; trying again");
  }

  /**
   * Whether this process leads for certain at this moment. False as long as the lease has run out, also right after the
   * process was stopped for longer than that.
   */
  get isHeld(): boolean {
    return this.#state === "held" && this.#remainingMs() > 0;
  }

  /**
   * Resolves when the lease is taken, however long that takes; renews it from then on.
   * @throws PerdureError on refusals such as STORAGE_FULL, CONNECTION_FAILED; the signal's reason.
   */
  async acquire(signal: AbortSignal): Promise<void> {
    if (this.#state !== "waiting") throw new Error(`acquire a lease that is ${this.#state}`);
    for (;;) {
      signal.throwIfAborted();
      if (await this.#tryTake()) break;
      await delay(POLL_INTERVAL_MS, undefined, { signal });
    }
    this.#state = "held";
    this.#renewing = this.#keepRenewing();
  }

  /** Gives the lease up, so that a standby takes over at once. Without a server it just expires. May be called twice. */
  async release(): Promise<void> {
    const wasHeld = this.#state === "held";
    this.#state = "released";
    this.#stopRenewing.abort();
    await this.#renewing;
    if (!wasHeld) return;
    try {
      await this.#put(null);
    } catch (error) {
      this.#options.logger.warn({ err: error }, "could not give the lease up; it expires by itself");
    }
  }

  /** @returns whether the lease is ours now */
  async #tryTake(): Promise<boolean> {
    const { bucket } = this.#options;
    try {
      const found = await readKey(this.#connection, bucket, META_KEYS.leader);
      if (!this.#mayTake(found)) return false;
      this.#revision = found?.revision ?? 0;
      // One of our own whose acknowledgement was lost is found, and taken again, at the next look.
      return (await this.#put(this.#ownValue())) === "written";
    } catch (error) {
      if (!isUndecided(error)) throw error;
      this.#unreachable.write({ err: error });
      return false;
    }
  }

  #mayTake(found: StoredKey | null): boolean {
    if (found === null || found.value === null) return true;
    const holder = parseHolder(found.value);
    if (holder === null || holder.holderId === this.holderId) return true;
    if (!isGone(holder)) return false;
    const { holderId, pid } = holder;
    this.#options.logger.info({ holderId, pid }, "the last leader's process is gone; taking its lease");
    return true;
  }

  async #keepRenewing(): Promise<void> {
    const { signal } = this.#stopRenewing;
    let pauseMs = this.#options.renewIntervalMs;
    while (await elapsed(pauseMs, signal)) {
      const renewed = await this.#renewOnce();
      if (!signal.aborted) this.#options.onRenewal?.(renewed ? "renewed" : "failed");
      pauseMs = renewed ? this.#options.renewIntervalMs : POLL_INTERVAL_MS;
    }
  }

  /** @returns whether the lease was prolonged */
  async #renewOnce(): Promise<boolean> {
    try {
      if ((await this.#put(this.#ownValue())) === "written") return true;
      if ((await this.#readBack()) === "another's") this.#lose();
      // With the revision as it is now; in a process that is busy, the next try may be late.
      else return (await this.#put(this.#ownValue())) === "written";
    } catch (error) {
      this.#unrenewed.write({ err: error, remainingMs: Math.round(this.#remainingMs()) });
    }
    return false;
  }

  #lose(): void {
    if (this.#state !== "held") return;
    this.#state = "lost";
    this.#stopRenewing.abort();
    this.#options.onLost();
  }

  #remainingMs(): number {
    const heldForMs = (this.#options.leaseMs * 2) / 3;
    return this.#renewedAt + heldForMs - this.#options.clock.monotonicNow();
  }

  /** One write under the key's last known revision; null deletes the key. */
  async #put(value: LeaseHolder | null): Promise<"written" | "refused"> {
    const { bucket, leaseMs, clock } = this.#options;
    const sentAt = clock.monotonicNow();
    const answer = await this.#connection.request(
      subjectOfKey(bucket, META_KEYS.leader),
      value === null ? "" : JSON.stringify(value),
      {
        timeoutMs: Math.min(RENEWAL_TIMEOUT_MS_MAX, leaseMs / 3),
        headers: {
          "Nats-Expected-Last-Subject-Sequence": String(this.#revision),
          ...ttlHeader(leaseMs),
          ...(value === null ? { [OPERATION_HEADER]: OPERATION_DELETE } : {}),
        },
      },
    );
    const ack = parsePubAck(answer);
    if (ack === undefined) return "refused";
    if (ack.outcome === "stored") {
      this.#revision = ack.sequence;
      this.#renewedAt = sentAt;
      return "written";
    }
    const { code } = ack.refusal;
    if (code === apiCodes.wrongLastSequence || code === apiCodes.wrongLastSequenceUnknown) return "refused";
    throw refusalError(ack.refusal, `write the lease ${bucket}/${META_KEYS.leader}`);
  }

  /**
   * After a refused sequence: a write of our own whose acknowledgement was lost, or another's. One of our own does not
   * prolong the lease by itself, since it is not known when it was written; the next renewal does.
   */
  async #readBack(): Promise<"ours" | "another's" | "expired"> {
    const found = await readKey(this.#connection, this.#options.bucket, META_KEYS.leader);
    const holder = found === null ? null : parseHolder(found.value);
    if (holder !== null && holder.holderId !== this.holderId) return "another's";
    this.#revision = found?.revision ?? 0;
    return holder === null ? "expired" : "ours";
  }

  #ownValue(): LeaseHolder {
    return { holderId: this.holderId, ...thisProcess(), at: this.#options.clock.now() };
  }
}

/** False as soon as the signal is aborted. */
async function elapsed(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, { signal });
    return true;
  } catch {
    return false;
  }
}

function isUndecided(error: unknown): boolean {
  const codes: readonly string[] = ["REQUEST_TIMED_OUT", "NO_RESPONDERS"];
  return isPassingFault(error) || (error instanceof PerdureError && codes.includes(error.code));
}

export function parseHolder(value: unknown): LeaseHolder | null {
  if (typeof value !== "object" || value === null) return null;
  if (!("holderId" in value && "host" in value && "pid" in value && "pidScope" in value)) return null;
  const { holderId, host, pid, pidScope } = value;
  if (typeof holderId !== "string" || typeof host !== "string" || typeof pid !== "number") return null;
  const at = "at" in value && typeof value.at === "number" ? value.at : 0;
  return { holderId, host, pid, pidScope: typeof pidScope === "string" ? pidScope : null, at };
}
