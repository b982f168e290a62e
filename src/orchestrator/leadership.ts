/**
 * One term as leader: takes the fences, recovers the state, starts the services in order and stops them in reverse.
 * No rules of its own; when it ends, everything it knew is forgotten with it.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.js";
import { Core } from "../core/core.js";
import { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import type { Journal } from "../jetstream/journal.js";
import type { RecordStore } from "../jetstream/record-store.js";
import type { ResultsReader, StoredResult } from "../jetstream/results-reader.js";
import type { Endpoint } from "../jetstream/service-endpoint.js";
import { type Logger, SampledLog } from "../logger.js";
import type { ResultsPosition } from "../protocol/fact.js";
import type { Subjects } from "../protocol/subjects.js";
import type { Durability, OrchestratorState } from "../protocol/system-message.js";
import { META_KEYS } from "../protocol/topology.js";
import { AgentIntake } from "./agent-intake.js";
import { AgentMonitor } from "./agent-monitor.js";
import { Answering, refuseNotReady } from "./answering.js";
import { AskedQuestions } from "./asked.js";
import { CommitLoop } from "./commit-loop.js";
import { DeadLetterCount } from "./dead-letter-count.js";
import { DeadlineTimer } from "./deadline-timer.js";
import { DecisionLog } from "./decision-log.js";
import { type Described, describeHealth, describeSystem } from "./describe.js";
import { EndedTasks } from "./ended-tasks.js";
import { HealthBroadcast } from "./health-broadcast.js";
import { Histories } from "./histories.js";
import { Materializer } from "./materializer.js";
import type { OnMilestone } from "./milestone.js";
import type { OrchestratorSettings } from "./orchestrator-options.js";
import type { ProcessTally } from "./process-tally.js";
import { readCheckpoint, recover } from "./recovery.js";
import { RequestIntake } from "./request-intake.js";
import { ResultIntake } from "./result-intake.js";
import { RunCopies } from "./run-copies.js";
import { EffectRunner } from "./run-effects.js";
import { stampWith } from "./stamp.js";
import { type QueueLabels, readTerm, type TermReading } from "./term-reading.js";
import { newToken } from "./token.js";
import { Waiters } from "./waiters.js";
import { WorkflowIntake } from "./workflow-intake.js";

/** Of a write to a bucket: batch, time to live and expectations. */
const HEADERS_BYTES = 1_024;

/** What the edge provides to a term. */
export interface LeadershipEdge {
  readonly connection: Connection;
  /** @param highWaterMark where the journal ended at the last checkpoint; one that ends before was damaged */
  readonly openJournal: (highWaterMark: number) => Promise<Journal>;
  readonly buckets: {
    readonly tasks: RecordStore;
    readonly endedTasks: RecordStore;
    readonly runs: RecordStore;
    readonly histories: RecordStore;
    readonly agents: RecordStore;
    readonly meta: RecordStore;
  };
  /** Reads results behind a sequence, in order, until stopped. */
  readonly readResults: (after: ResultsPosition | null, handle: (result: StoredResult) => void) => ResultsReader;
  readonly serve: (endpoints: readonly Endpoint[]) => Promise<{ stop(): Promise<void> }>;
}

export interface LeadershipOptions {
  readonly edge: LeadershipEdge;
  readonly settings: OrchestratorSettings;
  readonly subjects: Subjects;
  readonly durability: Durability;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tally: ProcessTally;
  readonly queueLabels: QueueLabels;
  readonly state: () => OrchestratorState;
  /** Whether the lease is certainly held, at this moment. */
  readonly mayAnswer: () => boolean;
  /** Ends all waiting for a server that does not answer. What was not written then was not accepted, or is journaled. */
  readonly signal: AbortSignal;
  readonly onMilestone?: OnMilestone | undefined;
  /** The term ended by itself: another leader wrote, or storage failed. */
  readonly onEnd: (reason: "fenced" | PerdureError) => void;
}

export interface Leadership {
  /** For the metrics. */
  read(): TermReading;
  /** Everything accepted is written, copied and checkpointed before this resolves. */
  stop(): Promise<void>;
  /** Leaves at once and writes nothing more. */
  abandon(): Promise<void>;
}

/** @throws PerdureError JOURNAL_FENCED where another leader was faster; STORE_DAMAGED; storage errors. */
export async function startLeadership(options: LeadershipOptions): Promise<Leadership> {
  const { edge, settings, subjects, clock, logger, tally, durability, onMilestone } = options;
  const { connection, buckets } = edge;
  const leaderId = randomBytes(9).toString("base64url");
  const startedAt = clock.monotonicNow();

  const leaving = new AbortController();
  const { signal } = leaving;
  const leave = (): void => leaving.abort(options.signal.reason);
  options.signal.addEventListener("abort", leave, { once: true });
  if (options.signal.aborted) leave();
  const { highWaterMark } = await readCheckpoint(buckets.meta);
  const journal = await edge.openJournal(highWaterMark);
  await takeFences(journal, buckets, leaderId, signal);
  await onMilestone?.("fences taken");
  const recovered = await recover({ ...buckets, journal }, tally.core, signal).catch(async (cause: unknown) => {
    // A leader that took over meanwhile, while this process was paused, writes records and trims the journal: no damage.
    if (await journal.isOvertaken()) throw overtakenError(cause);
    throw cause;
  });
  await onMilestone?.("state recovered");
  const { ledger } = recovered;

  const stamp = stampWith(clock);
  const waiters = new Waiters();
  const asked = new AskedQuestions();
  const endedTasks = new EndedTasks(buckets.endedTasks, settings.retentionMs);
  const undeliveredInbox = connection.newInbox();

  const loop: CommitLoop = new CommitLoop({
    log: journal,
    leaderId,
    lastResult: recovered.lastResult,
    logger,
    beforeFlush: () => {
      core.place(clock.now());
      timer.arm();
    },
    release: (release) => effects.run(release),
    onAppended: (sequence) => {
      ledger.nextSequence = sequence + 1;
    },
    leadsForCertain: options.mayAnswer,
    tally,
    onMilestone,
    onEnd: options.onEnd,
  });
  const decisions = new DecisionLog(logger, ledger);
  const core = new Core({
    ledger,
    settings: {
      maxConcurrentTasks: settings.maxConcurrentTasks,
      maxQueuedTasks: settings.maxQueuedTasks,
      heartbeatIntervalMs: settings.healthCheckIntervalMs,
      unhealthyThresholdMs: settings.unhealthyThresholdMs,
      lostThresholdMs: settings.lostThresholdMs,
    },
    chance: { newToken, random: Math.random },
    monotonicNow: clock.monotonicNow(),
    onDecision: (outbox) => loop.add(outbox, decisions.linesOf(outbox)),
  });
  const timer = new DeadlineTimer(core, clock);
  const effects = new EffectRunner({
    connection,
    subjects,
    core,
    waiters,
    asked,
    endedTasks,
    logger,
    signal,
    stamp,
    clock,
    undeliveredInbox,
    onUnsendable: ({ taskId, token, bytes, maximumBytes }) => {
      const message = `the assignment of task ${taskId} takes ${bytes} bytes with the outputs of its dependencies and NATS takes at most ${maximumBytes}`;
      logger.warn({ taskId, bytes, maximumBytes }, "assignment larger than NATS takes; its task fails");
      core.fail(taskId, token, { type: "PAYLOAD_TOO_LARGE", message, nonRetryable: true }, clock.now());
    },
  });
  let results: ResultsReader | null = null;
  const tooLarge = new SampledLog(
    logger,
    "error",
    "the record of a run is larger than NATS takes; the journal is kept until it has shrunk. Raise max_payload, or let the run have less under way",
    { linesMax: 1 },
  );
  const materializer = new Materializer({
    ledger,
    loop,
    endedTasks,
    buckets,
    writeCheckpoint: (checkpoint) =>
      buckets.meta.write([{ key: META_KEYS.checkpoint, value: JSON.stringify(checkpoint) }], signal),
    trim: async (checkpoint) => {
      await Promise.all([
        journal.trimBefore(checkpoint.journalSequence),
        checkpoint.lastResult === null ? undefined : results?.purgeUpTo(checkpoint.lastResult.sequence),
      ]);
    },
    retentionMs: settings.retentionMs,
    clock,
    logger,
    tally,
    onFenced: () => {
      loop.end();
      options.onEnd("fenced");
    },
    signal,
    onMilestone,
    liveKeys: recovered.liveKeys,
    runs: new RunCopies({
      runs: ledger.runs,
      retentionMs: settings.retentionMs,
      liveKeys: recovered.runKeys,
      storedUpTo: recovered.historiesUpTo,
      recordBytesMax: () => connection.maxPayloadBytes - HEADERS_BYTES,
      onTooLarge: (workflowId, bytes) => tooLarge.write({ workflowId, bytes }),
    }),
    checkpointSequence: recovered.checkpointSequence,
    liveFrom: recovered.liveFrom,
  });
  const monitor = new AgentMonitor({
    core,
    connection,
    clock,
    logger,
    tally,
    heartbeatIntervalMs: settings.healthCheckIntervalMs,
  });
  const deadLetters = new DeadLetterCount(connection, settings.namespace, logger);
  const described: Described = {
    core,
    connection,
    loop,
    journal,
    materializer,
    monitor,
    deadLetters,
    namespace: settings.namespace,
    durability,
    leadingSince: clock.now(),
    state: options.state,
  };
  const agentIntake = new AgentIntake({
    connection,
    core,
    loop,
    subjects,
    stamp,
    clock,
    logger,
    tally,
    heartbeatIntervalMs: settings.healthCheckIntervalMs,
    undeliveredInbox,
  });
  const resultIntake = new ResultIntake({ core, loop, subjects, clock, logger, tally });
  const answering = new Answering({ loop, stamp, logger, tally, mayAnswer: options.mayAnswer });
  const histories = new Histories(buckets.histories, ledger.runs);
  const workflowIntake = new WorkflowIntake({
    core,
    answering,
    asked,
    histories,
    endedTasks,
    subjects,
    clock,
    answerBytesMax: () => connection.maxPayloadBytes,
  });
  const requestIntake = new RequestIntake({
    core,
    loop,
    waiters,
    endedTasks,
    histories,
    subjects,
    stamp,
    clock,
    answering,
    logger,
    answerBytesMax: () => connection.maxPayloadBytes,
    askUpdate: (...update) => workflowIntake.askUpdate(...update),
    describeSystem: () => describeSystem(described),
    describeHealth: () => describeHealth(described),
  });
  const health = new HealthBroadcast({
    connection,
    subjects,
    stamp,
    intervalMs: settings.healthCheckIntervalMs,
    logger,
    describeHealth: () => describeHealth(described),
  });

  const indexing = new AbortController();
  signal.addEventListener("abort", () => indexing.abort(), { once: true });
  let indexed: Promise<void> = Promise.resolve();
  let service: Awaited<ReturnType<LeadershipEdge["serve"]>> | null = null;
  const stopIntake = async (): Promise<void> => {
    indexing.abort();
    health.stop();
    monitor.stop();
    deadLetters.stop();
    timer.stop();
    results?.stop();
    agentIntake.stop();
    // Drains through the server, so without one it does not end.
    if (service !== null) await Promise.race([service.stop(), aborted(signal)]);
    await indexed;
  };
  const dismissWaiters = (): void => {
    asked.dismissAll();
    for (const respond of waiters.takeAll()) {
      try {
        refuseNotReady(respond, stamp);
      } catch (cause) {
        // Without a connection nobody hears it; the client asks again when its own patience ends.
        logger.debug({ err: cause }, "a waiting client could not be told that this term ends");
      }
    }
  };
  const recovery = { durationS: 0, flushes: recovered.replayedFlushes };
  const leadership: Leadership = {
    read: () => readTerm(described, recovery, options.queueLabels, clock.now()),
    stop: async () => {
      signal.addEventListener("abort", () => loop.end(), { once: true });
      if (signal.aborted) loop.end();
      loop.releaseAfter({ kind: "broadcastEvent", eventType: "ORCHESTRATOR_STOPPING", payload: { leaderId } });
      await stopIntake();
      await loop.drained();
      await materializer.stop();
      await materializer.finish();
      loop.end();
      dismissWaiters();
    },
    abandon: async () => {
      leaving.abort();
      const copied = materializer.stop();
      loop.end();
      dismissWaiters();
      await stopIntake();
      await copied;
      options.signal.removeEventListener("abort", leave);
    },
  };

  try {
    // Agents first, so that what is sent out again below is answered; requests last, when all of it stands.
    agentIntake.start();
    results = edge.readResults(recovered.lastResult, (result) => resultIntake.handle(result));
    core.resume(clock.now());
    await onMilestone?.("work taken up");
    timer.start();
    monitor.start();
    deadLetters.start();
    materializer.start();
    indexed = endedTasks.readIds(clock.now(), indexing.signal).catch((cause: unknown) => {
      if (indexing.signal.aborted) return;
      logger.warn({ err: cause }, "ids of ended tasks could not be read; unknown ids are looked up one by one instead");
    });
    service = await edge.serve([...requestIntake.endpoints(), ...workflowIntake.endpoints()]);
    health.start();
    await loop.drained();
  } catch (cause) {
    // Nobody else knows of what was started until here.
    await leadership.abandon();
    throw cause;
  }
  loop.releaseAfter({ kind: "broadcastEvent", eventType: "ORCHESTRATOR_STARTED", payload: { leaderId } });
  const durationMs = Math.round(clock.monotonicNow() - startedAt);
  recovery.durationS = durationMs / 1_000;
  logger.info(
    {
      leaderId,
      taskCount: ledger.tasks.size,
      agentCount: ledger.agents.size,
      flushes: recovered.replayedFlushes,
      durationMs,
      sequence: journal.lastSequence,
      durability,
    },
    "leading",
  );
  return leadership;
}

/** Resolves with the signal's abort. */
function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

const overtakenError = (cause?: unknown): PerdureError =>
  new PerdureError(
    "JOURNAL_FENCED",
    "another orchestrator wrote to the journal while this one took over; it stands by again",
    { cause },
  );

/**
 * From here on whoever led before can write nothing: an empty flush moves the journal's sequence, and each bucket's
 * fence is written anew.
 */
async function takeFences(
  journal: Journal,
  buckets: LeadershipEdge["buckets"],
  leaderId: string,
  signal: AbortSignal,
): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify({ flushId: `${leaderId}.0`, lastResult: null, facts: [] }));
  const appended = await journal.append({ flushId: `${leaderId}.0`, bytes }, signal);
  if (appended.outcome === "fenced") {
    throw overtakenError();
  }
  await Promise.all(Object.values(buckets).map((bucket) => bucket.takeFence(signal)));
}
