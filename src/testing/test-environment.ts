/**
 * Workflows in memory, for tests: the engine's own core, worker and client without a server between them, and a clock
 * that jumps from one thing that happens to the next. What passes here passes in production, short of what servers do.
 */
import { randomUUID } from "node:crypto";
import type { TaskHandler } from "../agent/task-handler.js";
import { type RunHandle, type RunHandleParts, runHandle } from "../client/run-handle.js";
import { encodeSubmission, type NewTask } from "../client/submission.js";
import { type EndedTask, isEnded, outputOf } from "../client/task-outcome.js";
import { type UpdateWithStart, updateWithStart } from "../client/update-with-start.js";
import { type StartOptions, startOf } from "../client/workflow-start.js";
import { PerdureError } from "../errors.js";
import { createLogger, type Logger } from "../logger.js";
import { type AgentId, DEFAULT_NAMESPACE } from "../protocol/ids.js";
import { subjectsOf } from "../protocol/subjects.js";
import { type Duration, durationMs } from "../protocol/time.js";
import { UpdateStanding } from "../protocol/workflow-message.js";
import { untilQuiet } from "../replay/until-quiet.js";
import { Activations } from "../worker/activations.js";
import { installSandbox } from "../worker/sandbox.js";
import { WorkflowCache } from "../worker/workflow-cache.js";
import type { AnyWorkflow } from "../workflow/definition.js";
import type { InputOf } from "../workflow/standard-schema.js";
import { LocalAgent } from "./local-agent.js";
import { LocalOrchestrator } from "./local-orchestrator.js";
import { LocalRequests } from "./local-requests.js";
import { VirtualTime } from "./virtual-time.js";

/** The code of a task, as an agent would be given it; or `hang`: an agent takes the task and is not heard of again. */
export type TaskMock = TaskHandler | "hang";

export interface TestEnvironmentOptions {
  readonly workflows: readonly AnyWorkflow[];
  /** By type of task. One that is not here waits for an agent, as it would in production. */
  readonly tasks?: Readonly<Record<string, TaskMock>>;
  /** What the clock shows in the beginning. Default: midnight of the first of January 2025, UTC. */
  readonly startAt?: Date;
  /** Runs that the worker keeps in memory. With 0 it replays each run each time: what is not deterministic shows. */
  readonly maxCachedRuns?: number;
  /** Default: JSON lines on stderr, level "warn". */
  readonly logger?: Logger;
}

/**
 * Everything that takes no time has happened when a method resolves. Methods that let time pass wait also for what mocks
 * and steps await of the machine (a file, a real timer), for a second at most: then the clock goes on without them.
 */
export interface TestEnvironment extends UpdateWithStart {
  /** What the clock shows. */
  readonly now: Date;
  /** As `client.start`, and with the same refusals. Default id: `workflow-1`, and so on. */
  start<Definition extends AnyWorkflow>(
    definition: Definition,
    input: InputOf<Definition["declared"]["input"]>,
    options?: StartOptions,
  ): Promise<RunHandle<Definition>>;
  start(workflowType: string, input?: unknown, options?: StartOptions): Promise<RunHandle>;
  /** A workflow that was started before, or by another one. */
  workflow<Definition extends AnyWorkflow>(definition: Definition, workflowId: string): RunHandle<Definition>;
  workflow(workflowId: string): RunHandle;
  /** Lets time pass, and what is due meanwhile happen. Code of a mock may wait with it too. */
  sleep(duration: Duration): Promise<void>;
  /** From now on tasks of this type are done by `mock`; those that waited for an agent as well. */
  onTask(type: string, mock: TaskMock): Promise<void>;
  /**
   * Another worker in the place of this one, with this code and nothing in its memory: every run is replayed when it
   * goes on, and one that is stuck is tried again at once.
   */
  deploy(workflows: readonly AnyWorkflow[]): Promise<void>;
}

const CACHED_RUNS_DEFAULT = 1_000;
const START_AT_DEFAULT = Date.UTC(2025, 0, 1);
/** What one message could hold; nothing is sent, but what could not be must not pass here. */
const MESSAGE_BYTES_MAX = 1_048_576;

/** From here on workflow code sees `Date`, timers and randomness as it does in a worker. */
export function testEnvironment(options: TestEnvironmentOptions): TestEnvironment {
  installSandbox();
  return new LocalEnvironment(options);
}

class LocalEnvironment implements TestEnvironment {
  readonly #options: TestEnvironmentOptions;
  readonly #logger: Logger;
  readonly #orchestrator: LocalOrchestrator;
  readonly #mocks: Map<string, TaskMock>;
  readonly #agent: LocalAgent;
  readonly #time: VirtualTime;
  readonly #parts: RunHandleParts;
  readonly executeUpdateWithStart: UpdateWithStart["executeUpdateWithStart"];
  readonly startUpdateWithStart: UpdateWithStart["startUpdateWithStart"];
  /** Those before were taken over by the last one. */
  #worker: LocalAgent;
  #workers = 0;
  #started = 0;

  constructor(options: TestEnvironmentOptions) {
    this.#options = options;
    this.#logger = options.logger ?? createLogger("warn");
    this.#mocks = new Map(Object.entries(options.tasks ?? {}));
    const orchestrator = new LocalOrchestrator(options.startAt?.getTime() ?? START_AT_DEFAULT);
    this.#orchestrator = orchestrator;
    this.#agent = new LocalAgent({
      agentId: "agent" as AgentId,
      orchestrator,
      logger: this.#logger,
      handlerOf: (type) => this.#mocks.get(type),
    });
    this.#worker = this.#newWorker(options.workflows);
    this.#time = new VirtualTime(this.#driven());
    const subjects = subjectsOf(DEFAULT_NAMESPACE);
    const settle = () => this.#settle();
    const requests = new LocalRequests({ orchestrator, time: this.#time, settle, subjects });
    this.#parts = {
      subjects,
      ask: async ({ subject, body, reply }) => {
        const answer = await requests.answer(subject, body);
        await this.#settle();
        return reply.parse(JSON.parse(JSON.stringify({ messageId: randomUUID(), timestamp: 0, ...answer })));
      },
      get: async (taskId) => {
        await settle();
        return orchestrator.view(taskId);
      },
      wait: (taskId) => this.#ended(taskId),
      result: async (taskId) => outputOf(await this.#ended(taskId)),
      // Nobody is ever asked twice: an answer comes when there is one.
      requestTimeoutMs: Number.POSITIVE_INFINITY,
    };
    const calls = updateWithStart(this.#parts, async (task) => {
      const { taskId, update } = this.#submit(task);
      const body = JSON.stringify({ ...update, messageId: randomUUID(), timestamp: 0, taskId });
      return await this.#parts.ask({ subject: subjects.workflowUpdate, body, reply: UpdateStanding, what: taskId });
    });
    this.executeUpdateWithStart = calls.executeUpdateWithStart;
    this.startUpdateWithStart = calls.startUpdateWithStart;
  }

  get now(): Date {
    return new Date(this.#orchestrator.now);
  }

  async start<Definition extends AnyWorkflow>(
    definition: Definition | string,
    input?: unknown,
    options: StartOptions = {},
  ): Promise<RunHandle<Definition>> {
    this.#started += 1;
    const { workflowId = `workflow-${this.#started}` } = options;
    this.#submit(startOf(definition, input, { ...options, workflowId }));
    await this.#settle();
    return runHandle(this.#parts, definition, workflowId);
  }

  #submit(task: NewTask) {
    const body = encodeSubmission({ task, messageId: randomUUID() }, this.#orchestrator.now, MESSAGE_BYTES_MAX);
    return this.#orchestrator.submit(body);
  }

  workflow<Definition extends AnyWorkflow>(
    definition: Definition | string,
    workflowId?: string,
  ): RunHandle<Definition> {
    const id = workflowId ?? (definition as string);
    return runHandle(this.#parts, workflowId === undefined ? "" : definition, id);
  }

  async sleep(duration: Duration): Promise<void> {
    const ms = durationMs(duration);
    if (ms === null) throw new PerdureError("USAGE", `${JSON.stringify(duration)} is no length of time`);
    await this.#time.sleep(ms);
  }

  async onTask(type: string, mock: TaskMock): Promise<void> {
    this.#mocks.set(type, mock);
    await this.#settle();
  }

  async deploy(workflows: readonly AnyWorkflow[]): Promise<void> {
    this.#worker.leave();
    this.#worker = this.#newWorker(workflows);
    await this.#settle();
  }

  #newWorker(workflows: readonly AnyWorkflow[]): LocalAgent {
    const orchestrator = this.#orchestrator;
    const byName = new Map(workflows.map((definition) => [definition.name, definition]));
    const activations = new Activations({
      workflows: byName,
      histories: {
        read: async (workflowId, runId, lastEventId) =>
          await Promise.resolve(
            orchestrator.history(workflowId, runId).filter(({ eventId }) => eventId <= lastEventId),
          ),
      },
      cache: new WorkflowCache(this.#options.maxCachedRuns ?? CACHED_RUNS_DEFAULT),
      logger: this.#logger,
    });
    this.#workers += 1;
    const agentId = `worker-${this.#workers}` as AgentId;
    const handlerOf = (): TaskHandler => (context) => activations.handle(context as never);
    const worker = new LocalAgent({ agentId, orchestrator, logger: this.#logger, handlerOf });
    orchestrator.register(worker, {
      agentId,
      instanceId: agentId,
      capabilities: [...byName.keys()].map((name) => `workflow:${name}`),
      maxConcurrentTasks: 100_000,
    });
    return worker;
  }

  #driven() {
    const orchestrator = this.#orchestrator;
    const settle = () => this.#settle();
    const isBusy = () => this.#agent.isBusy || this.#worker.isBusy;
    return {
      get now() {
        return orchestrator.now;
      },
      set now(now: number) {
        orchestrator.now = now;
      },
      get news() {
        return orchestrator.news;
      },
      get isBusy() {
        return isBusy();
      },
      get nextDeadlineAt() {
        return orchestrator.core.nextDeadlineAt;
      },
      leaveBehind: () => {
        this.#agent.leaveBehind();
        this.#worker.leaveBehind();
      },
      settle,
    };
  }

  /** Until nothing happens any more without the help of time, save what mocks and steps await of the machine. */
  async #settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
      this.#registerAgent();
      const isAtWork = this.#orchestrator.step();
      await untilQuiet();
      // In the last turn too: nobody would be told of it any more.
      if (isAtWork || !this.#orchestrator.isSettled) quiet = -1;
    }
  }

  /** One agent for all mocks: it has whatever their tasks require. */
  #registerAgent(): void {
    const capabilities = new Set(this.#mocks.keys());
    for (const { spec, state } of this.#orchestrator.core.ledger.tasks.values()) {
      if (state !== "queued" || !this.#mocks.has(spec.type)) continue;
      for (const name of spec.requiredCapabilities) capabilities.add(name);
    }
    const known = this.#orchestrator.core.ledger.agents.get("agent" as AgentId)?.capabilities ?? [];
    if (capabilities.size === 0 || [...capabilities].every((name) => known.includes(name))) return;
    this.#orchestrator.register(this.#agent, {
      agentId: "agent" as AgentId,
      instanceId: "agent-1",
      capabilities: [...new Set([...known, ...capabilities])],
      maxConcurrentTasks: 100_000,
    });
  }

  async #ended(taskId: string): Promise<EndedTask> {
    const orchestrator = this.#orchestrator;
    const isOver = (): boolean => isEnded(orchestrator.view(taskId)) || orchestrator.stuck(taskId) !== null;
    await this.#time.wait(isOver, "may pass", () => {
      const { state, reason } = orchestrator.view(taskId);
      return `${taskId} is ${state}: it ${reason}`;
    });
    const view = orchestrator.view(taskId);
    if (isEnded(view)) return view;
    throw orchestrator.stuck(taskId) ?? new Error(`${taskId} was over and is ${view.state}`);
  }
}

/** What one turn of the event loop may leave to the next: a step that begins, an attempt that is adopted. */
const QUIET_TURNS = 3;
