/** A run of a workflow in a worker's memory: its definition's code, driven by an execution. */

import type { Logger } from "../logger.js";
import type { QueryAnswer, QueryRequest, UpdateRequest } from "../protocol/activation.js";
import type { Command } from "../protocol/command.js";
import type { HistoryEventOf } from "../protocol/history-event.js";
import { Execution, type WorkflowCode } from "../replay/execution.js";
import type { StepCode } from "./ask-task.js";
import { isBrokenCode } from "./broken-code.js";
import { CancellationScope } from "./cancellation-scope.js";
import { ContinueAsNew } from "./continue-as-new.js";
import type { AnyWorkflow } from "./definition.js";
import { ApplicationFailure, CancelledFailure, failureOf, isCancellation } from "./failures.js";
import { Handlers } from "./handlers.js";
import { jsonCopy } from "./json-copy.js";
import { RunContext } from "./run-context.js";
import { check } from "./standard-schema.js";

export interface WorkflowRunOptions {
  readonly workflowId: string;
  readonly runId: string;
  readonly definition: AnyWorkflow;
  readonly logger: Logger;
  /** `what` the code used that no history has. */
  readonly onWarning: (what: string) => void;
}

export class WorkflowRun implements WorkflowCode {
  readonly execution: Execution;
  readonly #definition: AnyWorkflow;
  readonly #root = new CancellationScope("root");
  readonly #handlers: Handlers;
  readonly #context: RunContext;
  #cancelRequested = false;

  constructor({ workflowId, runId, definition, logger, onWarning }: WorkflowRunOptions) {
    this.#definition = definition;
    const execution = new Execution({ workflowId, runId, code: this, onWarning });
    this.execution = execution;
    this.#handlers = new Handlers(definition.declared, {
      tell: (command) => execution.tell(command),
      start: (handle) => execution.follow(this.#handled(handle)),
      readOnly: (code) => execution.readOnly(code),
      ignoredSignal: (name, why) => {
        if (execution.isReplaying) return;
        logger.warn({ signal: name, why }, "a signal was ignored: what it carries does not fit its schema");
      },
    });
    this.#context = new RunContext({
      execution,
      definition,
      root: this.#root,
      handlers: this.#handlers,
      logger,
      cancelRequested: () => this.#cancelRequested,
    });
  }

  /** Steps that were asked for and have not ended, by `seq`. */
  get steps(): ReadonlyMap<number, StepCode> {
    return this.#context.steps;
  }

  async start(): Promise<Command> {
    const { name, declared, code } = this.#definition;
    const { input } = this.execution.started;
    try {
      const checked = check(declared.input, input);
      if (!checked.ok) throw wrong(`the input of workflow ${name}`, "INVALID_INPUT", checked.message);
      const output = await this.#root.run(() => code(this.#context as never, checked.value as never));
      const result = check(declared.output, output);
      if (!result.ok) throw wrong(`what workflow ${name} returned`, "INVALID_OUTPUT", result.message);
      return { type: "CompleteWorkflow", output: jsonCopy(result.value, `what workflow ${name} returned`) ?? null };
    } catch (reason) {
      return this.#closeFor(reason);
    }
  }

  async signal({ signalName, input }: HistoryEventOf<"WorkflowExecutionSignaled">): Promise<Command | null> {
    return await this.#handled(() => this.#handlers.signal(signalName, input));
  }

  async update(update: UpdateRequest, mode: "first" | "accepted before"): Promise<Command | null> {
    return await this.#handled(() => this.#handlers.update(update, mode));
  }

  async thrown(reason: unknown): Promise<Command | null> {
    // What a cancellation reached and nobody awaits is over, as it was meant to be.
    return isCancellation(reason) ? null : this.#closeFor(reason);
  }

  cancel(): void {
    this.#cancelRequested = true;
    this.#root.cancel(new CancelledFailure("the workflow was cancelled"));
  }

  query(query: QueryRequest): QueryAnswer {
    return this.#handlers.query(query);
  }

  rejectLeftUpdates(): void {
    this.#handlers.rejectLeftUpdates();
  }

  listens(): boolean {
    return this.#handlers.listens;
  }

  /** Handlers follow the same rule as the code itself: what they throw closes the run, or holds it. */
  async #handled(handle: () => Promise<void>): Promise<Command | null> {
    try {
      await this.#root.run(handle);
      return null;
    } catch (reason) {
      return this.#closeFor(reason);
    }
  }

  /** @throws what only a deployment heals */
  #closeFor(thrown: unknown): Command {
    if (thrown instanceof ContinueAsNew) {
      const signals = this.#handlers.untakenSignals();
      return signals.length === 0 ? thrown.command : { ...thrown.command, signals };
    }
    if (this.#cancelRequested && isCancellation(thrown)) return { type: "CancelWorkflow" };
    if (isBrokenCode(thrown)) throw thrown;
    return { type: "FailWorkflow", failure: failureOf(thrown) };
  }
}

function wrong(what: string, type: string, why: string): ApplicationFailure {
  return new ApplicationFailure(`${what} is wrong: ${why}`, { type, nonRetryable: true });
}
