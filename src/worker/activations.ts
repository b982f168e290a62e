/** Answers activations: with the run it has in memory where that is the one that is meant, else from its history. */
import { AnsweredActivation } from "../agent/answered-activation.js";
import type { AttemptContext } from "../agent/attempt.js";
import { TaskFailure } from "../agent/task-failure.js";
import type { Logger } from "../logger.js";
import type { Activation, QueryAnswer, StepAssignment } from "../protocol/activation.js";
import type { TaskAssignment } from "../protocol/agent-message.js";
import type { Command } from "../protocol/command.js";
import type { HistoryEvent } from "../protocol/history-event.js";
import type { RunId, TaskId, WorkflowId } from "../protocol/ids.js";
import { NondeterminismError } from "../replay/errors.js";
import { untilQuiet } from "../replay/until-quiet.js";
import type { AnyWorkflow } from "../workflow/definition.js";
import { WorkflowRun } from "../workflow/workflow-run.js";
import { callingPlace } from "./calling-code.js";
import type { HistorySource } from "./history-source.js";
import { type BegunStep, beginSteps, runStep } from "./step-executor.js";
import type { CachedRun, WorkflowCache } from "./workflow-cache.js";

export interface ActivationsOptions {
  readonly workflows: ReadonlyMap<string, AnyWorkflow>;
  readonly histories: HistorySource;
  readonly cache: WorkflowCache;
  readonly logger: Logger;
}

export class Activations {
  readonly #options: ActivationsOptions;
  /** Runs that are being worked on: of one run never two activations at a time. */
  readonly #busy = new Map<RunId, Promise<unknown>>();
  /** What was warned of, and where. */
  readonly #warned = new Set<string>();

  constructor(options: ActivationsOptions) {
    this.#options = options;
  }

  /** The handler of every task that a worker is given. */
  async handle(context: AttemptContext): Promise<unknown> {
    const { activation, step } = context.assignment;
    if (activation !== undefined) return await this.#alone(activation.runId, () => this.#activate(activation, context));
    if (step !== undefined) return await this.#doStep(step, context);
    throw new TaskFailure(`task ${context.taskId} is neither an activation nor a step`, { type: "INVALID_MESSAGE" });
  }

  async #alone<T>(runId: RunId, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(runId) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#busy.set(runId, mine);
    try {
      return await mine;
    } finally {
      if (this.#busy.get(runId) === mine) this.#busy.delete(runId);
    }
  }

  async #activate(activation: Activation, context: AttemptContext): Promise<AnsweredActivation> {
    const { cache } = this.#options;
    const { runId, workflowId } = activation;
    let cached: CachedRun;
    let asked: readonly Command[];
    let queries: QueryAnswer[];
    try {
      const { known, events } = await this.#runFor(activation);
      cached = known;
      cache.drop(runId);
      asked = await cached.run.execution.activate(activation, events);
      queries = cached.run.execution.answer(activation.queries);
    } catch (thrown) {
      cache.drop(runId);
      this.#options.logger.error({ err: thrown, workflowId, runId }, "a workflow's code cannot go on; its run is held");
      throw asTaskFailure(thrown);
    }
    const { execution, steps } = cached.run;
    // Steps of a run that closes are nobody's any more.
    if (execution.closed) return new AnsweredActivation({ commands: [...asked], steps: [], queries });
    const { commands, outcomes, under } = await beginSteps(runId, asked, steps);
    cached.token = context.token;
    cache.put(runId, cached);
    // Behind the answer, so that the orchestrator knows of the steps before it hears how they ended.
    if (under.length > 0) void untilQuiet().then(() => this.#adopt(under, activation, context));
    return new AnsweredActivation({ commands: [...commands], steps: [...outcomes], queries });
  }

  /** The run, and what it has not seen: from memory where that is the one that is meant, else from the beginning. */
  async #runFor(
    activation: Activation,
  ): Promise<{ readonly known: CachedRun; readonly events: readonly HistoryEvent[] }> {
    const { workflowId, runId, workflowType, from, previousToken, events, lastEventId } = activation;
    const cached = this.#options.cache.get(runId);
    if (from === "previous" && cached !== undefined && cached.token === previousToken) return { known: cached, events };
    const known = { run: this.#newRun(workflowId, runId, workflowType), token: null };
    const whole = from === "start" && events.length > 0;
    return { known, events: whole ? events : await this.#history(workflowId, runId, lastEventId) };
  }

  async #history(workflowId: WorkflowId, runId: RunId, lastEventId: number): Promise<readonly HistoryEvent[]> {
    const events = await this.#options.histories.read(workflowId, runId, lastEventId);
    // With a part of it the code would ask again for what it has had.
    if (events.length === lastEventId && events.at(-1)?.eventId === lastEventId) return events;
    const message = `the history of run ${runId} should have ${lastEventId} events; ${events.length} of them were read`;
    throw new TaskFailure(message, { type: "HISTORY_INCOMPLETE" });
  }

  #newRun(workflowId: WorkflowId, runId: RunId, workflowType: string): WorkflowRun {
    const definition = this.#options.workflows.get(workflowType);
    if (definition === undefined) {
      const known = [...this.#options.workflows.keys()].join(", ");
      throw new TaskFailure(`this worker has no workflow "${workflowType}"; it has: ${known}`, {
        type: "WORKFLOW_TYPE_UNKNOWN",
      });
    }
    const logger = this.#options.logger.child({ workflowId, runId });
    return new WorkflowRun({ workflowId, runId, definition, logger, onWarning: (what) => this.#warn(what, logger) });
  }

  /** Once for each place in the code. */
  #warn(what: string, logger: Logger): void {
    const where = callingPlace();
    const warning = `${what} ${where}`;
    if (this.#warned.has(warning)) return;
    this.#warned.add(warning);
    logger.warn({ what, where }, "workflow code used what no replay can repeat; put it into ctx.step()");
  }

  /** An attempt of a step that was assigned: a retry, a counted one, or one whose worker was lost. */
  async #doStep(step: StepAssignment, context: AttemptContext): Promise<unknown> {
    const { workflowId, runId, workflowType, seq, lastEventId } = step;
    const code = await this.#alone(runId, async () => {
      const known = this.#options.cache.get(runId)?.run.steps.get(seq);
      if (known !== undefined) return known;
      const fresh = this.#newRun(workflowId, runId, workflowType);
      await fresh.execution.replay(await this.#history(workflowId, runId, lastEventId));
      return fresh.steps.get(seq);
    });
    if (code === undefined) {
      throw new TaskFailure(`the code of workflow ${workflowType} has no step ${seq} ("${step.name}") under way`, {
        type: "NONDETERMINISM",
      });
    }
    return await runStep(runId, seq, code, context.attempt, context.signal);
  }

  #adopt(under: readonly BegunStep[], { workflowId, runId }: Activation, context: AttemptContext): void {
    for (const { seq, token, running, stop } of under) {
      const assignment: TaskAssignment = {
        taskId: `${runId}-s${seq}` as TaskId,
        type: context.type,
        attempt: 1,
        token,
        priority: context.priority,
        dependencyResults: {},
        metadata: {},
        workflow: { workflowId, runId },
      };
      context.adopt(assignment, (attempt) => {
        attempt.signal.addEventListener("abort", () => stop.abort(attempt.signal.reason), { once: true });
        return running;
      });
    }
  }
}

/** What the orchestrator is told of code that cannot go on. */
function asTaskFailure(thrown: unknown): unknown {
  if (thrown instanceof NondeterminismError) {
    return new TaskFailure(thrown.message, { type: "NONDETERMINISM", cause: thrown });
  }
  if (thrown instanceof TaskFailure) return thrown;
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return new TaskFailure(message, { type: "WORKFLOW_TASK_FAILED", cause: thrown });
}
