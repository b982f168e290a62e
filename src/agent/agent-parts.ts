/** Everything an agent has between connecting and its end, built around one connection. */
import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.js";
import type { PerdureError } from "../errors.js";
import type { Connection, ConnectionEvent, Message, Subscription } from "../jetstream/connection.js";
import { publishAcked } from "../jetstream/publisher.js";
import { SampledLog } from "../logger.js";
import type { AgentOrder, AgentReport } from "../protocol/agent-message.js";
import { FIELD_BYTES_MAX } from "../protocol/limits.js";
import { subjectsOf } from "../protocol/subjects.js";
import type { AgentSettings } from "./agent-options.js";
import { FinishedAttempts } from "./finished-attempts.js";
import { HandedBack } from "./handed-back.js";
import { Heartbeat } from "./heartbeat.js";
import { readOwnMetrics } from "./own-metrics.js";
import { ProcessMetrics } from "./process-metrics.js";
import { Registrar } from "./registrar.js";
import { ResultOutbox } from "./result-outbox.js";
import { TaskRunner } from "./task-runner.js";

const RESULT_ACK_TIMEOUT_MS = 5_000;
/** What the envelope and the other fields of a result may take of a message. */
const RESULT_OVERHEAD_BYTES = 4 * 1024;

/** What the agent as a whole decides. */
export interface AgentHooks {
  readonly incarnation: () => number | undefined;
  readonly onStatusMessage: (message: Message) => void;
  readonly onHeartbeatReply: (order: AgentOrder, sentAs: number | undefined) => void;
  readonly onUnanswered: (silentMs: number) => void;
  readonly onRegistered: (order: AgentOrder) => void;
  readonly onRegistrationRefused: (error: PerdureError) => void;
  readonly onConnectionEvent: (event: ConnectionEvent) => void;
}

export interface AgentParts {
  readonly connection: Connection;
  readonly registrar: Registrar;
  readonly heartbeat: Heartbeat;
  readonly runner: TaskRunner;
  readonly outbox: ResultOutbox;
  report(status: Omit<AgentReport, "agentId">): void;
  /** Ends all of it, except for the connection. What still runs is forgotten. */
  close(): void;
}

export function buildAgentParts(
  connection: Connection,
  settings: AgentSettings,
  hooks: AgentHooks,
  clock: Clock,
): AgentParts {
  const { registration, handlers, logger } = settings;
  const { agentId } = registration;
  const { incarnation } = hooks;
  const subjects = subjectsOf(settings.namespace);
  const taskSubject = subjects.agentTask(agentId);
  const resultSubject = subjects.agentResult(agentId);
  const statusSubject = subjects.agentStatus(agentId);

  const unpublished = new SampledLog(logger, "warn", "a status could not be published");
  /** Fire and forget; what must arrive is repeated by whoever reports it. */
  const report = (status: Omit<AgentReport, "agentId">): void => {
    const message = {
      messageId: randomUUID(),
      timestamp: clock.now(),
      status: { agentId, incarnation: incarnation(), ...status },
    };
    try {
      connection.publish(statusSubject, JSON.stringify(message));
    } catch (error) {
      unpublished.write({ err: error, state: status.state, taskId: status.taskId });
    }
  };

  const finished = new FinishedAttempts();
  const handedBack = new HandedBack((task) => report({ state: "released", ...task }));
  const outbox = new ResultOutbox({
    handIn: async (body) => {
      await publishAcked(connection, resultSubject, body, { timeoutMs: RESULT_ACK_TIMEOUT_MS });
    },
    onAcknowledged: (token, body) => finished.remember(token, body),
    logger,
  });
  const runner = new TaskRunner({
    agentId,
    handlers,
    maxConcurrentTasks: registration.maxConcurrentTasks,
    outputBytesMax: () => Math.min(FIELD_BYTES_MAX, connection.maxPayloadBytes - RESULT_OVERHEAD_BYTES),
    incarnation,
    isRegistering: () => registrar.underWay,
    report,
    outbox,
    finished,
    handedBack,
    clock,
    logger,
  });
  const metrics = new ProcessMetrics(clock);
  const heartbeat = new Heartbeat({
    agentId,
    connection,
    subjects,
    incarnation,
    metrics: () => ({ ...readOwnMetrics(settings.metrics, logger), ...metrics.read(), ...runner.metrics }),
    beforeBeat: () => handedBack.repeat(),
    tokens: function* () {
      yield* runner.tokens();
      yield* handedBack.tokens();
      yield* outbox.tokens();
    },
    onOrder: hooks.onHeartbeatReply,
    onTokensNotOurs: (tokens) => runner.forget(tokens),
    onUnanswered: hooks.onUnanswered,
    clock,
    random: Math.random,
    logger,
  });
  const registrar = new Registrar({
    connection,
    subjects,
    registration,
    onConfirmed: hooks.onRegistered,
    onRefused: hooks.onRegistrationRefused,
    logger,
  });
  const subscriptions: readonly Subscription[] = [
    connection.subscribe(taskSubject, (message) => runner.take(message)),
    connection.subscribe(statusSubject, hooks.onStatusMessage),
  ];
  const stopListening = connection.onEvent(hooks.onConnectionEvent);

  return {
    connection,
    registrar,
    heartbeat,
    runner,
    outbox,
    report,
    close: () => {
      stopListening();
      for (const subscription of subscriptions) subscription.unsubscribe();
      registrar.stop();
      heartbeat.stop();
      runner.close();
      outbox.close();
      metrics.stop();
    },
  };
}
