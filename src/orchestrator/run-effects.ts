/** Effect -> publish. Each is safe to repeat, and none waits for an answer. */
import type { Clock } from "../clock.js";
import type { Core } from "../core/core.js";
import { assignmentOf } from "../core/views.js";
import type { Connection } from "../jetstream/connection.js";
import type { Logger } from "../logger.js";
import type { Effect } from "../machines/effect.js";
import type { TaskId } from "../protocol/ids.js";
import type { Subjects } from "../protocol/subjects.js";
import type { AskedQuestions } from "./asked.js";
import type { EndedTasks } from "./ended-tasks.js";
import { exceeds } from "./fit.js";
import type { Release, Respond } from "./release.js";
import type { Waiters } from "./waiters.js";

/** Stamps a message: `{messageId, timestamp, ...fields}` as JSON. */
export type Stamp = (fields: object) => string;

export interface Unsendable {
  readonly taskId: TaskId;
  readonly token: string;
  readonly bytes: number;
  readonly maximumBytes: number;
}

const LOOK_UP_AGAIN_MS = 1_000;

/** An activation whose events are to be read from the history. */
const unabridged = { previousToken: null, from: "start", events: [] } as const;

export class EffectRunner {
  readonly #connection: Connection;
  readonly #subjects: Subjects;
  readonly #core: Core;
  readonly #waiters: Waiters;
  readonly #asked: AskedQuestions;
  readonly #endedTasks: EndedTasks;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;
  readonly #stamp: Stamp;
  readonly #clock: Clock;
  /** Prefix of the reply subjects on which the server says that nobody listens. */
  readonly #undeliveredInbox: string;
  readonly #onUnsendable: (unsendable: Unsendable) => void;

  constructor(options: {
    readonly connection: Connection;
    readonly subjects: Subjects;
    readonly core: Core;
    readonly waiters: Waiters;
    readonly asked: AskedQuestions;
    readonly endedTasks: EndedTasks;
    readonly logger: Logger;
    /** The end of the term. */
    readonly signal: AbortSignal;
    readonly stamp: Stamp;
    readonly clock: Clock;
    readonly undeliveredInbox: string;
    /** An assignment that no message can hold, for what its dependencies returned. */
    readonly onUnsendable: (unsendable: Unsendable) => void;
  }) {
    this.#connection = options.connection;
    this.#subjects = options.subjects;
    this.#core = options.core;
    this.#waiters = options.waiters;
    this.#asked = options.asked;
    this.#endedTasks = options.endedTasks;
    this.#logger = options.logger;
    this.#signal = options.signal;
    this.#stamp = options.stamp;
    this.#clock = options.clock;
    this.#onUnsendable = options.onUnsendable;
    this.#undeliveredInbox = options.undeliveredInbox;
  }

  run(release: Release): void {
    switch (release.kind) {
      case "answerRequest":
        this.#answer(release.respond, release.body, release.errorCode);
        return;
      case "dispatchTask":
        this.#dispatch(release);
        return;
      case "cancelAttempt": {
        const { agentId, taskId, attempt, token } = release;
        const status = { agentId, state: "cancel", taskId, attempt, token };
        this.#connection.publish(this.#subjects.agentStatus(agentId), this.#stamp({ status }));
        return;
      }
      case "orderAgent": {
        const { agentId, state, incarnation } = release;
        const status = { agentId, state, incarnation };
        this.#connection.publish(this.#subjects.agentStatus(agentId), this.#stamp({ status }));
        return;
      }
      case "answerWaiters":
        this.#answerWaiters(release);
        return;
      case "answerAsked":
        this.#asked.settle(release.askedId, release.outcome);
        return;
      case "lookUpEnded":
        this.#lookUpEnded(release);
        return;
      case "broadcastEvent": {
        const { eventType, payload } = release;
        this.#connection.publish(this.#subjects.systemEvent, this.#stamp({ eventType, payload }));
        return;
      }
    }
  }

  #dispatch({ taskId, token }: Extract<Effect, { kind: "dispatchTask" }>): void {
    const record = this.#core.ledger.tasks.get(taskId);
    const task = record === undefined ? null : assignmentOf(record, token, this.#core.ledger, this.#core.workflows);
    // Ended or moved on while the flush was under way.
    if (record === undefined || task === null || record.agentId === null) return;
    const maximumBytes = this.#connection.maxPayloadBytes;
    let body = this.#stamp({ task });
    if (task.activation !== undefined && exceeds(body, maximumBytes)) {
      // The worker reads for itself what does not fit.
      body = this.#stamp({ task: { ...task, activation: { ...task.activation, ...unabridged } } });
    }
    if (exceeds(body, maximumBytes)) {
      this.#onUnsendable({ taskId, token, bytes: Buffer.byteLength(body), maximumBytes });
      return;
    }
    const reply = `${this.#undeliveredInbox}.${taskId}.${token}`;
    const { traceparent } = record.spec;
    const headers = traceparent === undefined ? {} : { headers: { traceparent } };
    this.#connection.publish(this.#subjects.agentTask(record.agentId), body, { reply, ...headers });
  }

  #lookUpEnded(effect: Extract<Effect, { kind: "lookUpEnded" }>): void {
    const { taskId, parent } = effect;
    if (!this.#endedTasks.mayHold(taskId)) {
      this.#core.lookedUp(parent, null, this.#clock.now());
      return;
    }
    this.#endedTasks.get(taskId).then(
      (ended) => {
        if (!this.#signal.aborted) this.#core.lookedUp(parent, ended, this.#clock.now());
      },
      (err: unknown) => {
        if (this.#signal.aborted) return;
        this.#logger.error({ err, taskId, workflowId: parent.workflowId }, "a child waits: its id cannot be looked up");
        setTimeout(() => {
          if (!this.#signal.aborted) this.#lookUpEnded(effect);
        }, LOOK_UP_AGAIN_MS).unref();
      },
    );
  }

  #answerWaiters({ taskId }: Extract<Effect, { kind: "answerWaiters" }>): void {
    const waiting = this.#waiters.take(taskId);
    const record = this.#core.ledger.tasks.get(taskId);
    if (waiting.length === 0 || record === undefined) return;
    const body = this.#stamp({ task: this.#core.view(record, this.#clock.now()) });
    for (const respond of waiting) this.#answer(respond, body);
  }

  /** Says that an answer does not fit rather than nothing at all. */
  #answer(respond: Respond, body: string, errorCode?: string): void {
    const maximumBytes = this.#connection.maxPayloadBytes;
    if (!exceeds(body, maximumBytes)) {
      respond(body, errorCode);
      return;
    }
    const bytes = Buffer.byteLength(body);
    const message = `the answer has ${bytes} bytes and NATS takes at most ${maximumBytes} (max_payload); what it would have said holds all the same. Ask for less, or raise max_payload.`;
    const code = "PAYLOAD_TOO_LARGE";
    respond(this.#stamp({ error: { code, message, details: { bytes, maximumBytes } } }), code);
  }
}
