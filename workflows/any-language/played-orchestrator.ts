/**
 * An orchestrator that is played: it hears whatever one agent says and answers as the check of a rule wants it, which a
 * real one would not. It knows no state but what it was told, and no task but what it hands out.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { z } from "zod";
import { Heartbeat, Registration, Report, Result } from "./agent-messages.js";
import type { RawMessage, RawNats } from "./raw-nats.js";
import { within } from "./within.js";

/** How it answers; each is what a healthy orchestrator does unless a rule says otherwise. */
export interface Conduct {
  registration: "confirm" | "ignore";
  heartbeat: "registered" | "reregister" | "superseded" | "ignore";
  result: "acknowledge" | "refuse" | "ignore";
}

const healthy: Conduct = { registration: "confirm", heartbeat: "registered", result: "acknowledge" };

/** One message of the agent. */
export interface Said<T> {
  readonly at: number;
  readonly reply: string | null;
  readonly text: string;
  readonly message: T;
}

export interface PlayedAttempt {
  readonly taskId: string;
  readonly token: string;
  readonly body: string;
  readonly sentAt: number;
}

export type Results = readonly Said<z.infer<typeof Result>>[];

export class PlayedOrchestrator {
  readonly #nats: RawNats;
  readonly #namespace: string;
  readonly #type: string;
  conduct: Conduct = { ...healthy };
  heartbeatIntervalMs = 1_000;
  /** Tokens that answers to heartbeats name: no longer the agent's. */
  notItsOwn: string[] = [];
  registrations: Said<z.infer<typeof Registration>>[] = [];
  heartbeats: Said<z.infer<typeof Heartbeat>>[] = [];
  reports: Said<z.infer<typeof Report>>[] = [];
  results: Said<z.infer<typeof Result>>[] = [];
  /** What the agent said that cannot be read, and why. */
  malformed: string[] = [];
  /** Of the one agent there is, as soon as it was heard. */
  #agentId = "";
  #incarnation = 1;
  /** Of the process that registered last. */
  #instanceId: string | undefined;
  #attempts = 0;
  #acknowledged = 0;

  /** @param options.type of the tasks it hands out */
  constructor(nats: RawNats, { namespace, type }: { readonly namespace: string; readonly type: string }) {
    this.#nats = nats;
    this.#namespace = namespace;
    this.#type = type;
    nats.subscribe(`${namespace}.agent.register`, (message) => this.#hearRegistration(message));
    nats.subscribe(this.#subject("heartbeat", "*"), (message) => this.#hearHeartbeat(message));
    nats.subscribe(this.#subject("status", "*"), (message) => this.#hearStatus(message));
    nats.subscribe(this.#subject("result", "*"), (message) => this.#hearResult(message));
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** Answers like a healthy one again. */
  behave(): void {
    this.conduct = { ...healthy };
    this.notItsOwn = [];
  }

  /** Whether the agent lives and knows this orchestrator, so that work may be given to it. */
  async isThere(limitMs: number): Promise<boolean> {
    const since = this.heartbeats.length;
    return (await within(limitMs, () => this.heartbeats[since])) !== null;
  }

  /** @param at by performance.now() */
  heardSince(at: number): boolean {
    return (this.heartbeats.at(-1)?.at ?? Number.NEGATIVE_INFINITY) > at;
  }

  /** Gives it one attempt of a task; `change` overrides fields of the assignment, undefined leaves them out. */
  assign(input: unknown, change: object = {}, headers?: Readonly<Record<string, string>>): PlayedAttempt {
    this.#attempts += 1;
    const taskId = `played-${this.#attempts}`;
    const token = randomBytes(16).toString("base64url");
    const task = {
      ...{ taskId, type: this.#type, input, attempt: 1, token, incarnation: this.#incarnation, priority: "normal" },
      ...{ dependencyResults: {}, metadata: {}, ...change },
    };
    const body = enveloped({ task });
    this.#nats.publish(this.#subject("task"), body, headers === undefined ? {} : { headers });
    return { taskId, token, body, sentAt: performance.now() };
  }

  /** The same assignment once more, as after a change of leaders. */
  assignAgain({ body }: PlayedAttempt): void {
    this.#nats.publish(this.#subject("task"), body);
  }

  order(status: object): void {
    this.#nats.publish(this.#subject("status"), enveloped({ status: { agentId: this.#agentId, ...status } }));
  }

  say(kind: "task" | "status", body: string): void {
    this.#nats.publish(this.#subject(kind), body);
  }

  resultsOf({ taskId, token }: PlayedAttempt): Results {
    return this.results.filter(
      ({ message: { result } }) => result.taskId === taskId && (result.token ?? token) === token,
    );
  }

  result(attempt: PlayedAttempt, limitMs: number): Promise<Results[number] | null> {
    return within(limitMs, () => this.resultsOf(attempt)[0]);
  }

  /** When it first said anything about an attempt. */
  firstWordAt({ token, taskId }: PlayedAttempt): number | null {
    const about = this.reports.filter(({ message: { status } }) => status.taskId === taskId && status.token === token);
    const words = [...about, ...this.results.filter(({ message }) => message.result.taskId === taskId)];
    return words.length === 0 ? null : Math.min(...words.map(({ at }) => at));
  }

  reported(state: string, token?: string): boolean {
    return this.reports.some(
      ({ message: { status } }) => status.state === state && (token === undefined || status.token === token),
    );
  }

  #subject(kind: string, agentId = this.#agentId): string {
    return `${this.#namespace}.agent.${agentId}.${kind}`;
  }

  #hearRegistration(message: RawMessage): void {
    const said = this.#read(Registration, message);
    if (said === null) return;
    this.#agentId = said.message.registration.agentId;
    this.registrations.push(said);
    if (this.conduct.registration === "ignore") return;
    const { instanceId } = said.message.registration;
    // A repeated registration of one process is the same life, unless it was told to begin another.
    if (instanceId === undefined || instanceId !== this.#instanceId) this.#incarnation += 1;
    this.#instanceId = instanceId;
    const body = this.#status("registered");
    this.#nats.publish(this.#subject("status"), body);
    if (said.reply !== null) this.#nats.publish(said.reply, body);
  }

  #hearHeartbeat(message: RawMessage): void {
    const said = this.#read(Heartbeat, message);
    if (said === null) return;
    this.#agentId = said.message.agentId;
    this.heartbeats.push(said);
    const { heartbeat } = this.conduct;
    if (heartbeat === "ignore") return;
    if (heartbeat === "reregister") this.#instanceId = undefined;
    // It comes from a real orchestrator, whose number it goes on with.
    if (heartbeat === "registered" && this.registrations.length === 0) {
      this.#incarnation = Math.max(this.#incarnation, said.message.incarnation ?? 1);
    }
    const own = new Set(said.message.tokens);
    const cancel = heartbeat === "registered" ? this.notItsOwn.filter((token) => own.has(token)) : [...own];
    const body = this.#status(heartbeat, { cancel });
    if (said.reply !== null) this.#nats.publish(said.reply, body);
    else if (heartbeat !== "registered") this.#nats.publish(this.#subject("status"), body);
  }

  #hearStatus(message: RawMessage): void {
    const said = this.#read(Report, message);
    if (said !== null) this.reports.push(said);
  }

  #hearResult(message: RawMessage): void {
    const said = this.#read(Result, message);
    if (said !== null) this.results.push(said);
    if (message.reply === null || this.conduct.result === "ignore") return;
    this.#acknowledged += 1;
    const answer =
      this.conduct.result === "refuse"
        ? { error: { code: 503, err_code: 10_077, description: "maximum messages exceeded" } }
        : { stream: `${this.#namespace.toUpperCase()}_RESULTS`, seq: this.#acknowledged };
    this.#nats.publish(message.reply, JSON.stringify(answer));
  }

  #status(state: string, more: object = {}): string {
    const { heartbeatIntervalMs } = this;
    const status = { agentId: this.#agentId, state, incarnation: this.#incarnation, heartbeatIntervalMs };
    return enveloped({ status, ...more });
  }

  #read<S extends z.ZodType>(schema: S, { subject, body, reply }: RawMessage): Said<z.infer<S>> | null {
    const text = body.toString();
    const parsed = schema.safeParse(jsonOf(body));
    if (parsed.success) return { at: performance.now(), reply, text, message: parsed.data };
    const [issue] = parsed.error.issues;
    this.malformed.push(`${subject} ${text.slice(0, 300)} (${issue?.path.join(".")}: ${issue?.message})`);
    return null;
  }
}

function enveloped(fields: object): string {
  return JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), ...fields });
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    // No message of the protocol; its schema says so.
    return undefined;
  }
}
