/**
 * One orchestrator process: connects, stands by for the lease, leads a term, and stands by again when the term ends.
 * Which of these it may do when is the orchestrator machine's to say; what a term does is in leadership.ts.
 */
import { setTimeout as delay } from "node:timers/promises";
import { createActor } from "xstate";
import { type Clock, systemClock } from "../clock.js";
import { Deferred } from "../deferred.js";
import { PerdureError } from "../errors.js";
import { type Connection, type ConnectionEvent, connect } from "../jetstream/connection.js";
import { type ConnectionOptions, connectionOptionsOf } from "../jetstream/connection-options.js";
import { LeaderLease } from "../jetstream/leader-lease.js";
import { provision, type ServerSync } from "../jetstream/provision.js";
import { type Logger, SampledLog } from "../logger.js";
import { type OrchestratorEvent, orchestratorMachine } from "../machines/orchestrator.machine.js";
import type { ErrorCode } from "../protocol/error-code.js";
import { subjectsOf } from "../protocol/subjects.js";
import type { Durability, OrchestratorState } from "../protocol/system-message.js";
import { topologyOf } from "../protocol/topology.js";
import { version } from "../version.js";
import { edgeOf } from "./edge.js";
import { type Leadership, startLeadership } from "./leadership.js";
import type { Metrics } from "./metrics.js";
import type { OnMilestone } from "./milestone.js";
import { OrchestratorSettings, type OrchestratorSettingsInput } from "./orchestrator-options.js";
import { ProcessTally } from "./process-tally.js";
import { QueueLabels } from "./term-reading.js";

export interface OrchestratorOptions extends ConnectionOptions {
  readonly servers: string | readonly string[];
  readonly settings?: OrchestratorSettingsInput;
  /** `always` where whoever starts the server knows that it syncs before it acknowledges. */
  readonly serverSync?: ServerSync;
  readonly clock?: Clock;
  readonly logger: Logger;
  /** For tests that end the process there. */
  readonly onMilestone?: OnMilestone;
}

export interface Orchestrator {
  readonly state: OrchestratorState;
  readonly durability: Durability;
  /** Resolves when this process leads for the first time and answers requests; rejects if it ends before. */
  readonly leading: Promise<void>;
  /** Resolves when it has ended: with the error that ended it, or with nothing after `stop`. */
  readonly closed: Promise<PerdureError | undefined>;
  /**
   * Prometheus' text format, to be served as `text/plain; version=0.0.4; charset=utf-8`: of this process, and while it
   * leads of the whole namespace. docs/metrics.md says what each means.
   */
  metrics(): Promise<string>;
  /**
   * Writes out what was accepted, hands the lease over and closes. Where the server does not answer it ends all the same:
   * what was accepted is in the journal. May be called twice.
   */
  stop(): Promise<void>;
}

/** Two may fail before the holder counts its lease as lost. */
const RENEWALS_PER_LEASE = 3;
/** Between two terms that failed: long enough to be read in a log, short enough for a standby. */
const TERM_RETRY_MS = 1_000;
/** A stop copies what the last second left to copy; a server that takes longer for that is not there. */
const STOP_PATIENCE_MS = 3_000;

/**
 * Connects and makes the server's streams and buckets match; the rest goes on by itself.
 * @throws PerdureError CONNECTION_FAILED, NATS_SERVER_TOO_OLD, STORAGE_UNAVAILABLE, INVALID_MESSAGE for settings
 */
export async function startOrchestrator(options: OrchestratorOptions): Promise<Orchestrator> {
  const parsed = OrchestratorSettings.safeParse(options.settings ?? {});
  if (!parsed.success) {
    const what = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
    throw new PerdureError("USAGE", `the orchestrator's settings cannot be used: ${what}`, { cause: parsed.error });
  }
  const settings = parsed.data;
  const { servers, logger } = options;
  const connection = await connect({
    ...connectionOptionsOf(options),
    servers,
    name: "perdure orchestrator",
    logger,
  });
  try {
    const topology = topologyOf(settings.namespace);
    const { replicas } = settings;
    const { durability } = await provision(connection, topology, {
      replicas,
      serverSync: options.serverSync ?? "unknown",
      onChange: ({ stream, change, settings: changed }) => {
        if (change === "created") logger.info({ stream }, "stream created");
        else logger.warn({ stream, settings: changed }, "settings of a stream were not ours; put right");
      },
    });
    return new OrchestratorProcess({
      connection,
      settings,
      durability,
      clock: options.clock ?? systemClock,
      logger,
      onMilestone: options.onMilestone,
    });
  } catch (cause) {
    await connection.close();
    throw cause;
  }
}

interface Parts {
  readonly connection: Connection;
  readonly settings: OrchestratorSettings;
  readonly durability: Durability;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onMilestone: OnMilestone | undefined;
}

class OrchestratorProcess implements Orchestrator {
  readonly #parts: Parts;
  readonly #actor = createActor(orchestratorMachine);
  readonly #stopRequested = new AbortController();
  /** A stop has waited long enough. */
  readonly #patienceEnded = new AbortController();
  readonly #leading = new Deferred();
  readonly #tally = new ProcessTally();
  readonly #couldNotLead: SampledLog;
  readonly #queueLabels = new QueueLabels();
  #leadership: Leadership | null = null;
  #isConnected = true;
  #metrics: Promise<Metrics> | null = null;
  readonly closed: Promise<PerdureError | undefined>;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#couldNotLead = new SampledLog(parts.logger, "error", "could not lead; standing by again", { linesMax: 3 });
    this.#actor.start();
    this.#send({ type: "Provisioned" });
    parts.connection.onEvent((event) => this.#noteConnection(event));
    this.closed = this.#run();
  }

  get state(): OrchestratorState {
    return this.#actor.getSnapshot().value;
  }

  get durability(): Durability {
    return this.#parts.durability;
  }

  get leading(): Promise<void> {
    return this.#leading.promise;
  }

  async metrics(): Promise<string> {
    const { settings, durability } = this.#parts;
    // Loaded when somebody asks for the first time: a start is not to wait for it.
    this.#metrics ??= import("./metrics.js").then(({ Metrics }) => new Metrics(settings.namespace));
    const metrics = await this.#metrics;
    const term = this.state === "leading" ? (this.#leadership?.read() ?? null) : null;
    return metrics.render({
      tally: this.#tally,
      state: this.state,
      version,
      durability,
      isConnected: this.#isConnected,
      term,
    });
  }

  async stop(): Promise<void> {
    this.#send({ type: "StopRequested" });
    this.#stopRequested.abort();
    const message = `the server did not answer within ${STOP_PATIENCE_MS} ms of a stop; what was accepted is in the journal, and the next leader goes on from there`;
    const timer = setTimeout(
      () => this.#patienceEnded.abort(new PerdureError("STORAGE_UNAVAILABLE", message)),
      STOP_PATIENCE_MS,
    );
    try {
      await this.closed;
    } finally {
      clearTimeout(timer);
    }
  }

  async #run(): Promise<PerdureError | undefined> {
    const { connection, logger, settings, durability } = this.#parts;
    const { namespace } = settings;
    logger.info({ namespace, url: connection.url, serverVersion: connection.serverVersion, durability }, "standing by");
    let error: PerdureError | undefined;
    try {
      while (!this.#stopRequested.signal.aborted) await this.#term();
    } catch (cause) {
      error = asPerdureError(cause);
      logger.fatal({ err: error, code: error.code }, "the orchestrator ends; it does not mend by itself");
    }
    this.#leading.reject(error ?? new PerdureError("NOT_READY", "the orchestrator was stopped before it led"));
    this.#send({ type: "StopRequested" });
    this.#send({ type: "Drained" });
    if (this.#patienceEnded.signal.aborted) await connection.close();
    else await connection.drain();
    logger.info({ namespace }, "stopped");
    return error;
  }

  /** From standing by to standing by again. Throws what no further term would mend. */
  async #term(): Promise<void> {
    const { connection, settings, clock, logger, durability, onMilestone } = this.#parts;
    const { signal } = this.#stopRequested;
    const end = new Deferred<"fenced" | "lease lost" | PerdureError>();

    const lease = new LeaderLease(connection, {
      bucket: topologyOf(settings.namespace).meta.bucket,
      leaseMs: settings.leaseMs,
      renewIntervalMs: settings.leaseMs / RENEWALS_PER_LEASE,
      clock,
      logger,
      onLost: () => end.resolve("lease lost"),
      onRenewal: (outcome) => this.#tally.leaseRenewals.add(outcome),
    });
    await onMilestone?.("standing by");
    try {
      await lease.acquire(signal);
    } catch (cause) {
      if (signal.aborted) return;
      throw cause;
    }
    this.#send({ type: "LeaseAcquired" });

    let leadership: Leadership | null = null;
    this.#tally.terms += 1;
    try {
      leadership = await startLeadership({
        edge: edgeOf(connection, {
          settings,
          logger,
          onFailed: (error) => end.resolve(error),
        }),
        settings,
        subjects: subjectsOf(settings.namespace),
        durability,
        clock,
        logger,
        tally: this.#tally,
        queueLabels: this.#queueLabels,
        state: () => this.state,
        mayAnswer: () => lease.isHeld,
        signal: this.#patienceEnded.signal,
        onMilestone,
        onEnd: (reason) => end.resolve(reason),
      });
      this.#leadership = leadership;
      this.#send({ type: "Recovered" });
      this.#leading.resolve();
      await onMilestone?.("leading");
      const reason = await Promise.race([end.promise, aborted(signal)]);
      this.#tally.endedTerms.add(reason instanceof PerdureError ? reason.code : reason);
      if (reason === "stopped") {
        await leadership.stop();
      } else {
        if (!(reason instanceof PerdureError)) logger.warn({ reason }, "leadership ended; standing by again");
        this.#send({ type: reason === "lease lost" ? "LeaseLost" : "Fenced" });
        await leadership.abandon();
        // What people have to mend ends the process; the rest may be better in a while.
        if (reason instanceof PerdureError) throw reason;
      }
    } catch (cause) {
      const error = asPerdureError(cause);
      // Counted above where the term itself ended with it.
      if (this.#leadership === null) this.#tally.endedTerms.add(error.code);
      if (!isPassing(error)) throw error;
      if (error.code === "JOURNAL_FENCED")
        logger.info({ code: error.code }, "another orchestrator was faster; standing by again");
      else this.#couldNotLead.write({ err: error, code: error.code });
      this.#send({ type: "Fenced" });
      await leadership?.abandon();
      await delay(TERM_RETRY_MS, undefined, { signal }).catch(() => undefined);
    } finally {
      this.#leadership = null;
      await lease.release();
    }
    this.#send({ type: "SteppedDown" });
  }

  #noteConnection(event: ConnectionEvent): void {
    this.#isConnected = event === "reconnected";
    if (event === "disconnected") this.#tally.natsDisconnects += 1;
    if (event === "reconnected") this.#tally.natsReconnects += 1;
  }

  #send(event: OrchestratorEvent): void {
    // `stop` may be called on what has ended already; xstate would complain of it on stderr.
    if (this.#actor.getSnapshot().status === "active") this.#actor.send(event);
  }
}

/** What no further term would mend: damage, settings and permissions are for people to mend first. */
const lastingCodes: ReadonlySet<ErrorCode> = new Set([
  "STORE_DAMAGED",
  "STORAGE_MISCONFIGURED",
  "PERMISSION_DENIED",
  "INTERNAL",
]);

function isPassing(error: PerdureError): boolean {
  return !lastingCodes.has(error.code);
}

function asPerdureError(cause: unknown): PerdureError {
  if (cause instanceof PerdureError) return cause;
  return new PerdureError("INTERNAL", `the orchestrator met an error it has no answer to: ${String(cause)}`, { cause });
}

function aborted(signal: AbortSignal): Promise<"stopped"> {
  if (signal.aborted) return Promise.resolve("stopped");
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve("stopped"), { once: true }));
}
