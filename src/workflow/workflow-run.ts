/** A workflow's definition as code that an execution drives: its handlers, its close, and what its context asks for. */

import type { Logger } from "../logger.js";
import type { QueryAnswer, QueryRequest, UpdateRequest } from "../protocol/activation.js";
import type { Command } from "../protocol/command.js";
import type { HistoryEventOf } from "../protocol/history-event.js";
import { NondeterminismError } from "../replay/command-match.js";
import type { Execution, WorkflowCode } from "../replay/execution.js";
import { CancellationScope } from "./cancellation-scope.js";
import { ContinueAsNew } from "./continue-as-new.js";
import type { AnyWorkflow } from "./definition.js";
import { ApplicationFailure, CancelledFailure, failureOf, isCancellation } from "./failures.js";
import { Handlers } from "./handlers.js";
import { RunContext } from "./run-context.js";
import { check } from "./standard-schema.js";

export interface WorkflowRunOptions {
  readonly definition: AnyWorkflow;
  readonly logger: Logger;
}

export class WorkflowRun implements WorkflowCode {
  readonly #definition: AnyWorkflow;
  readonly #root = new CancellationScope("root");
  readonly #handlers: Handlers;
  readonly #logger: Logger;
  #cancelRequested = false;
  #context: RunContext | null = null;
  #execution: Execution | null = null;

  constructor({ definition, logger }: WorkflowRunOptions) {
    this.#definition = definition;
    this.#logger = logger;
    this.#handlers = new Handlers(definition.declared, (command) => this.#execution?.tell(command));
  }

  get context(): RunContext {
    if (this.#context === null) throw new Error("the workflow has not begun");
    return this.#context;
  }

  start(execution: Execution): Promise<Command> {
    this.attach(execution);
    const { input } = execution.started;
    return this.#closing(async () => {
      const checked = check(this.#definition.declared.input, input);
      if (!checked.ok) {
        throw new ApplicationFailure(`the input of workflow ${this.#definition.name} is wrong: ${checked.message}`, {
          type: "INVALID_INPUT",
          nonRetryable: true,
        });
      }
      const output = await this.#root.run(() => this.#definition.code(this.context as never, checked.value as never));
      const result = check(this.#definition.declared.output, output);
      if (!result.ok) {
        throw new ApplicationFailure(`what workflow ${this.#definition.name} returned is wrong: ${result.message}`, {
          type: "INVALID_OUTPUT",
          nonRetryable: true,
        });
      }
      return { type: "CompleteWorkflow", output: result.value ?? null };
    });
  }

  /** The execution that asks; needed before the start, for signals that come with it. */
  attach(execution: Execution): void {
    if (this.#execution !== null) return;
    this.#execution = execution;
    this.#context = new RunContext({
      execution,
      definition: this.#definition,
      root: this.#root,
      handlers: this.#handlers,
      logger: this.#logger,
      cancelRequested: () => this.#cancelRequested,
    });
  }

  async signal(signal: HistoryEventOf<"WorkflowExecutionSignaled">): Promise<Command | null> {
    return await this.#handled(() => this.#handlers.signal(signal.signalName, signal.input));
  }

  async update(update: UpdateRequest, mode: "first" | "accepted before"): Promise<Command | null> {
    return await this.#handled(() => this.#handlers.update(update, mode));
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

  /** Handlers follow the same rule as the code itself: what they throw closes the run, or holds it. */
  async #handled(handle: () => Promise<void>): Promise<Command | null> {
    let failed = false;
    const command = await this.#closing(
      async () => {
        await this.#root.run(handle);
        return { type: "CancelWorkflow" };
      },
      () => {
        failed = true;
      },
    );
    return failed ? command : null;
  }

  async #closing(code: () => Promise<Command>, onThrown: () => void = () => undefined): Promise<Command> {
    try {
      return await code();
    } catch (thrown) {
      onThrown();
      if (thrown instanceof ContinueAsNew) return thrown.command;
      if (this.#cancelRequested && isCancellation(thrown)) return { type: "CancelWorkflow" };
      if (isOfTheCode(thrown)) throw thrown;
      return { type: "FailWorkflow", failure: failureOf(thrown) };
    }
  }
}

/** What only a deployment heals: the run is held until then, and does not fail. */
function isOfTheCode(thrown: unknown): boolean {
  return (
    thrown instanceof NondeterminismError ||
    thrown instanceof TypeError ||
    thrown instanceof ReferenceError ||
    thrown instanceof SyntaxError
  );
}
