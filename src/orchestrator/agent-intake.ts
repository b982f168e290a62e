/** What agents say over core NATS -> events of the core: registrations, statuses, heartbeats, and that nobody listens. */
import type { Clock } from "../clock.js";
import type { Instant } from "../core/agent-reports.js";
import type { Core } from "../core/core.js";
import type { Connection, Message, Subscription } from "../jetstream/connection.js";
import { errorHeaders } from "../jetstream/service-endpoint.js";
import { type Logger, SampledLog } from "../logger.js";
import {
  AgentRegistrationMessage,
  AgentReportMessage,
  AgentStatusMessage,
  agentReportStates,
  HeartbeatMessage,
} from "../protocol/agent-message.js";
import { decodeRequest } from "../protocol/decode.js";
import { ID_PATTERN, type TaskId } from "../protocol/ids.js";
import { jsonBytes, mayExceed } from "../protocol/json-bytes.js";
import { FIELD_BYTES_MAX } from "../protocol/limits.js";
import type { ParseFailure } from "../protocol/parse.js";
import type { Subjects } from "../protocol/subjects.js";
import type { CommitLoop } from "./commit-loop.js";
import type { ProcessTally } from "./process-tally.js";
import type { Respond } from "./release.js";
import { provenName } from "./requester.js";
import type { Stamp } from "./run-effects.js";

const NO_RESPONDERS = 503;

export interface AgentIntakeOptions {
  readonly connection: Connection;
  readonly core: Core;
  readonly loop: CommitLoop;
  readonly subjects: Subjects;
  readonly stamp: Stamp;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tally: ProcessTally;
  readonly heartbeatIntervalMs: number;
  readonly undeliveredInbox: string;
}

export class AgentIntake {
  readonly #options: AgentIntakeOptions;
  readonly #dropped: SampledLog;
  #subscriptions: Subscription[] = [];

  constructor(options: AgentIntakeOptions) {
    this.#options = options;
    this.#dropped = new SampledLog(options.logger, "warn", "a message of an agent was dropped");
  }

  start(): void {
    const { connection, subjects, undeliveredInbox } = this.#options;
    this.#subscriptions = [
      connection.subscribe(subjects.agentRegister, (message) => this.#register(message)),
      connection.subscribe(subjects.allStatuses, (message) => this.#status(message)),
      connection.subscribe(subjects.allHeartbeats, (message) => this.#heartbeat(message)),
      connection.subscribe(`${undeliveredInbox}.>`, (message) => this.#undelivered(message)),
    ];
  }

  stop(): void {
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe();
  }

  #register(message: Message): void {
    const parsed = decodeRequest(AgentRegistrationMessage, message.data);
    if (!parsed.ok) {
      this.#refuse(message, parsed.failure);
      return;
    }
    const name = provenName(message);
    if (name !== undefined && name !== parsed.value.registration.agentId) {
      this.#refuse(message, {
        code: "PERMISSION_DENIED",
        message: `user "${name}" may register as agent ${name} only, and not as ${parsed.value.registration.agentId}`,
      });
      return;
    }
    if (this.#refuseTooLarge(message, "metadata", parsed.value.registration.metadata)) return;
    const { core, loop, stamp, subjects, connection, heartbeatIntervalMs } = this.#options;
    const { agentId, incarnation } = core.register(parsed.value.registration, this.#now());
    const status = { agentId, state: "registered", incarnation, heartbeatIntervalMs };
    const respond = this.#responder(message);
    const confirm: Respond = (body) => {
      connection.publish(subjects.agentStatus(agentId), body);
      respond?.(body);
    };
    loop.releaseAfter({ kind: "answerRequest", respond: confirm, body: stamp({ status }) });
  }

  #status(message: Message): void {
    const parsed = decodeRequest(AgentStatusMessage, message.data);
    if (!parsed.ok) {
      this.#refuse(message, parsed.failure);
      return;
    }
    // Both sides speak on this subject: orders are our own words coming back, unknown states are ignored.
    if (!agentReportStates.has(parsed.value.status.state)) return;
    const report = decodeRequest(AgentReportMessage, message.data);
    const sender = this.#options.subjects.agentIdOf(message.subject);
    if (!report.ok || sender === null) {
      this.#refuse(message, report.ok ? wrongSubject : report.failure);
      return;
    }
    const { status } = report.value;
    if (status.agentId !== sender) {
      this.#refuse(message, otherAgent);
      return;
    }
    if (this.#refuseTooLarge(message, "progress", status.progress)) return;
    this.#options.core.report(sender, status, this.#now());
  }

  #heartbeat(message: Message): void {
    const sender = this.#options.subjects.agentIdOf(message.subject);
    const parsed = decodeRequest(HeartbeatMessage, message.data);
    if (!parsed.ok || sender === null) {
      this.#refuse(message, parsed.ok ? wrongSubject : parsed.failure);
      return;
    }
    if (parsed.value.agentId !== sender) {
      this.#refuse(message, otherAgent);
      return;
    }
    if (this.#refuseTooLarge(message, "metrics", parsed.value.metrics)) return;
    const { core, loop, stamp, heartbeatIntervalMs, subjects, connection, tally } = this.#options;
    tally.core.heartbeats += 1;
    const { state, incarnation, cancel } = core.heartbeat(sender, parsed.value, this.#now());
    const status = { agentId: sender, state, ...(incarnation === null ? {} : { incarnation }), heartbeatIntervalMs };
    const respond = this.#responder(message);
    if (respond !== null) {
      loop.releaseAfter({ kind: "answerRequest", respond, body: stamp({ status, cancel }) });
    } else if (state !== "registered") {
      const tell: Respond = (body) => connection.publish(subjects.agentStatus(sender), body);
      loop.releaseAfter({ kind: "answerRequest", respond: tell, body: stamp({ status }) });
    }
  }

  /** The server's word that nobody subscribed to the subject an assignment was sent to. */
  #undelivered(message: Message): void {
    if (message.statusCode !== NO_RESPONDERS) return;
    const [taskId, token] = message.subject.split(".").slice(-2);
    if (taskId === undefined || token === undefined || !ID_PATTERN.test(taskId)) return;
    this.#options.core.undeliverable(taskId as TaskId, token, this.#now());
  }

  #now(): Instant {
    const { clock } = this.#options;
    return { at: clock.now(), monotonicAt: clock.monotonicNow() };
  }

  #responder(message: Message): Respond | null {
    const { reply } = message;
    if (reply === undefined) return null;
    return (body, errorCode) => this.#options.connection.publish(reply, body, errorHeaders(errorCode));
  }

  #refuseTooLarge(message: Message, field: string, value: unknown): boolean {
    const bytes = mayExceed(message.data.byteLength, FIELD_BYTES_MAX) ? jsonBytes(value) : 0;
    if (bytes <= FIELD_BYTES_MAX) return false;
    const why = `${field} has ${bytes} bytes of JSON and may have ${FIELD_BYTES_MAX}`;
    this.#refuse(message, { code: "PAYLOAD_TOO_LARGE", message: why });
    return true;
  }

  /** Says what is wrong to whoever asked; others read it in the log. */
  #refuse(message: Message, { code, message: why }: Refused): void {
    const { subject } = message;
    this.#options.tally.droppedMessages.add(code);
    this.#dropped.write({ subject, code, reason: why });
    const text = `message on ${subject} dropped: ${why}`;
    this.#responder(message)?.(this.#options.stamp({ error: { code, message: text } }), code);
  }
}

interface Refused {
  readonly code: ParseFailure["code"] | "PAYLOAD_TOO_LARGE" | "PERMISSION_DENIED";
  readonly message: string;
}

const wrongSubject: Refused = { code: "INVALID_ID", message: "the agent id in the subject is not usable" };
/** The subject's is the one that counts, since permissions guard it; a body that disagrees is somebody's mistake. */
const otherAgent: Refused = {
  code: "INVALID_ID",
  message: "the agent id in the subject is another than the message's",
};
