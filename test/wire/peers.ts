/**
 * Clients and agents as somebody would write them by hand, with a socket, JSON and the wire contract. Nothing of the
 * engine's own client, agent or schemas is used: subjects and fields are spelled out.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { silentLogger } from "../../src/logger.js";
import { type Orchestrator, startOrchestrator } from "../../src/orchestrator/orchestrator.js";
import type { OrchestratorSettingsInput } from "../../src/orchestrator/orchestrator-options.js";
import { RawNats, type RawSubscription } from "../support/raw-nats.js";
import { type UntilOptions, untilHolds, untilSome } from "../support/until.js";

export type Json = Readonly<Record<string, unknown>>;

/** What is asserted of a task as clients see it; the rest is matched as plain JSON. */
export interface TaskShown extends Json {
  readonly taskId: string;
  readonly state: string;
  readonly attempt: number;
  readonly reason?: string;
  readonly agentId?: string;
}

export interface Assigned extends Json {
  readonly taskId: string;
  readonly attempt: number;
  readonly token: string;
}

export interface Answer extends Json {
  readonly taskId?: string;
  readonly taskIds?: readonly string[];
  readonly task?: TaskShown;
  readonly error?: { readonly code: string; readonly message: string; readonly details?: Json };
}

/** One orchestrator in a namespace of its own, and one connection that hears everything it says to all. */
export class Engine implements AsyncDisposable {
  readonly namespace: string;
  readonly url: string;
  readonly nats: RawNats;
  readonly events: RawSubscription;
  orchestrator: Orchestrator;
  readonly #settings: OrchestratorSettingsInput;
  readonly #connections: RawNats[] = [];

  private constructor(
    url: string,
    nats: RawNats,
    events: RawSubscription,
    orchestrator: Orchestrator,
    settings: OrchestratorSettingsInput & { namespace: string },
  ) {
    this.url = url;
    this.nats = nats;
    this.events = events;
    this.orchestrator = orchestrator;
    this.namespace = settings.namespace;
    this.#settings = settings;
  }

  static async start(url: string, given: Omit<OrchestratorSettingsInput, "namespace"> = {}): Promise<Engine> {
    const settings = { maxConcurrentTasks: 0, ...given, namespace: `w${randomBytes(6).toString("hex")}` };
    const nats = await RawNats.connect(url);
    const events = nats.subscribe(`${settings.namespace}.orchestrator.system.event`);
    await nats.flush();
    const orchestrator = await startOrchestrator({ servers: url, settings, logger: silentLogger });
    await orchestrator.leading;
    return new Engine(url, nats, events, orchestrator, settings);
  }

  /** Ends the orchestrator in order and starts another in the same namespace. */
  async restart(): Promise<void> {
    await this.orchestrator.stop();
    this.orchestrator = await startOrchestrator({ servers: this.url, settings: this.#settings, logger: silentLogger });
    await this.orchestrator.leading;
  }

  /** Another connection, closed with the engine. */
  async connect(): Promise<RawNats> {
    const connection = await RawNats.connect(this.url);
    this.#connections.push(connection);
    return connection;
  }

  /** Asks on `<namespace>.orchestrator.<subject>` with an envelope around `fields`. */
  ask(subject: string, fields: Json = {}, options: UntilOptions = {}): Promise<Answer> {
    return this.askRaw(`orchestrator.${subject}`, JSON.stringify(withEnvelope(fields)), options);
  }

  async askRaw(subject: string, body: string | Uint8Array, options: UntilOptions = {}): Promise<Answer> {
    return jsonOf<Answer>((await this.nats.request(`${this.namespace}.${subject}`, body, options)).data);
  }

  submit(task: Json, more: Json = {}): Promise<Answer> {
    return this.ask("task.submit", { task, ...more });
  }

  /** Submits what must be accepted; returns its id. */
  async submitted(task: Json, more: Json = {}): Promise<string> {
    const { taskId, error } = await this.submit(task, more);
    if (taskId === undefined) throw new Error(`the submission was refused: ${JSON.stringify(error)}`);
    return taskId;
  }

  async get(taskId: string): Promise<TaskShown> {
    return shown(await this.ask("task.get", { taskId }));
  }

  /** Waits for the end of a task as clients do. */
  async wait(taskId: string, timeoutMs = 15_000): Promise<TaskShown> {
    return shown(await this.ask("task.wait", { taskId, timeoutMs }, { deadlineMs: timeoutMs + 5_000 }));
  }

  untilState(taskId: string, state: string, options: UntilOptions = {}): Promise<TaskShown> {
    return untilHolds(
      `task ${taskId} is ${state}`,
      () => this.get(taskId),
      (task) => task.state === state,
      options,
    );
  }

  status(): Promise<Json & { readonly agentStatuses: readonly Json[] }> {
    return this.ask("system.status") as Promise<Json & { readonly agentStatuses: readonly Json[] }>;
  }

  async agentState(agentId: string): Promise<unknown> {
    return (await this.agentStatus(agentId))?.["state"];
  }

  async agentStatus(agentId: string): Promise<Json | undefined> {
    return (await this.status()).agentStatuses.find((agent) => agent["agentId"] === agentId);
  }

  untilAgent(agentId: string, state: string, options: UntilOptions = {}): Promise<unknown> {
    return untilHolds(
      `agent ${agentId} is ${state}`,
      () => this.agentState(agentId),
      (seen) => seen === state,
      options,
    );
  }

  /** Events received so far that fit, oldest first. */
  eventsLike(eventType: string, payload: Json = {}): Json[] {
    return this.events.received
      .map(({ data }) => jsonOf<Json>(data))
      .filter((event) => event["eventType"] === eventType && holds(event["payload"], payload));
  }

  event(eventType: string, payload: Json = {}, options: UntilOptions = {}): Promise<Json> {
    const what = `${eventType} ${JSON.stringify(payload)} is broadcast`;
    return untilSome(what, () => this.eventsLike(eventType, payload)[0], options);
  }

  /** A connection of its own, registered and listening. */
  async agent(agentId: string, registration: Json = {}): Promise<HandWrittenAgent> {
    const agent = await this.silentAgent(agentId);
    await agent.register(registration);
    return agent;
  }

  /** Listens, and has said nothing yet. */
  async silentAgent(agentId: string): Promise<HandWrittenAgent> {
    const agent = new HandWrittenAgent(await this.connect(), this.namespace, agentId);
    await agent.nats.flush();
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.orchestrator.stop();
    await Promise.all([this.nats, ...this.#connections].map((connection) => connection.close()));
  }
}

export class HandWrittenAgent {
  readonly nats: RawNats;
  readonly agentId: string;
  readonly statuses: RawSubscription;
  readonly assignments: RawSubscription;
  readonly #prefix: string;
  #taken = 0;

  constructor(nats: RawNats, namespace: string, agentId: string) {
    this.nats = nats;
    this.agentId = agentId;
    this.#prefix = `${namespace}.agent`;
    this.statuses = nats.subscribe(`${this.#prefix}.${agentId}.status`);
    this.assignments = nats.subscribe(`${this.#prefix}.${agentId}.task`);
  }

  /** Asks to be registered; returns the `status` of the answer. */
  async register(registration: Json = {}): Promise<Json> {
    const answer = await this.nats.request(`${this.#prefix}.register`, this.registrationMessage(registration));
    const { status, error } = jsonOf<{ status?: Json; error?: Json }>(answer.data);
    if (status === undefined) throw new Error(`the registration was refused: ${JSON.stringify(error)}`);
    return status;
  }

  registrationMessage(registration: Json = {}): string {
    const { agentId } = this;
    const defaults = { agentId, instanceId: `process-of-${agentId}`, capabilities: ["ocr"], maxConcurrentTasks: 1 };
    return JSON.stringify(withEnvelope({ registration: { ...defaults, ...registration } }));
  }

  /** The next assignment nobody took yet. */
  async nextTask(options: UntilOptions = {}): Promise<Assigned> {
    const index = this.#taken;
    this.#taken += 1;
    const what = `assignment ${index + 1} reaches agent ${this.agentId}`;
    const { data } = await untilSome(what, () => this.assignments.received[index], options);
    return jsonOf<{ task: Assigned }>(data).task;
  }

  report(status: Json): void {
    const { agentId } = this;
    this.nats.publish(
      `${this.#prefix}.${agentId}.status`,
      JSON.stringify(withEnvelope({ status: { agentId, ...status } })),
    );
  }

  accept({ taskId, token }: Assigned): void {
    this.report({ state: "accepted", taskId, token });
  }

  /** Takes the next task and says so. */
  async takeTask(options: UntilOptions = {}): Promise<Assigned> {
    const task = await this.nextTask(options);
    this.accept(task);
    return task;
  }

  /** Publishes a result for this attempt; `change` overrides fields, and undefined leaves them out. */
  result({ taskId, attempt, token }: Assigned, change: Json): void {
    const { agentId } = this;
    const result = { taskId, attempt, token, agentId, status: "completed", ...change };
    this.nats.publish(`${this.#prefix}.${agentId}.result`, JSON.stringify(withEnvelope({ result })));
  }

  complete(task: Assigned, output: unknown, more: Json = {}): void {
    this.result(task, { status: "completed", output, ...more });
  }

  fail(task: Assigned, error: Json = { type: "OutOfPaper", message: "the printer is out of paper" }): void {
    this.result(task, { status: "failed", error });
  }

  heartbeat(fields: Json = {}): void {
    this.nats.publish(`${this.#prefix}.${this.agentId}.heartbeat`, this.#heartbeatMessage(fields));
  }

  async askHeartbeat(fields: Json = {}): Promise<Json> {
    const subject = `${this.#prefix}.${this.agentId}.heartbeat`;
    return jsonOf<Json>((await this.nats.request(subject, this.#heartbeatMessage(fields))).data);
  }

  /** What the orchestrator ordered, oldest first; this agent's own words come back too and are left out. */
  orders(state: string): Json[] {
    return this.statuses.received
      .map(({ data }) => jsonOf<{ status: Json }>(data).status)
      .filter((status) => status["state"] === state);
  }

  order(state: string, options: UntilOptions = {}): Promise<Json> {
    return untilSome(`agent ${this.agentId} is told ${state}`, () => this.orders(state)[0], options);
  }

  #heartbeatMessage(fields: Json): string {
    return JSON.stringify(withEnvelope({ agentId: this.agentId, metrics: {}, ...fields }));
  }
}

export function withEnvelope(fields: Json): Json {
  return { messageId: randomUUID(), timestamp: Date.now(), ...fields };
}

export function jsonOf<T>(data: Uint8Array): T {
  return JSON.parse(Buffer.from(data).toString()) as T;
}

export function shown(answer: Answer): TaskShown {
  if (answer.task === undefined) throw new Error(`no task in the answer: ${JSON.stringify(answer)}`);
  return answer.task;
}

function holds(value: unknown, expected: Json): boolean {
  if (typeof value !== "object" || value === null) return Object.keys(expected).length === 0;
  return Object.entries(expected).every(([name, wanted]) => Reflect.get(value, name) === wanted);
}
