/** The context that a workflow's code is given: `WorkflowContext` on top of an execution. */
import type { Logger } from "../logger.js";
import type { Duration } from "../protocol/time.js";
import type { Execution } from "../replay/execution.js";
import { ask, given, msOf } from "./ask.js";
import { askStep, askTask, type StepCode } from "./ask-task.js";
import { otherRun, runChild, startChild } from "./ask-workflow.js";
import { CancellationScope } from "./cancellation-scope.js";
import type {
  ChildHandle,
  ChildOptions,
  ContinueAsNewOptions,
  ExternalHandle,
  StepContext,
  StepOptions,
  WorkflowInfo,
} from "./context.js";
import { ContinueAsNew } from "./continue-as-new.js";
import type { AnyWorkflow, TaskDefinition, TaskOptions } from "./definition.js";
import { CancelledFailure } from "./failures.js";
import type { Handlers, QueryHandler, SignalHandler } from "./handlers.js";
import type { Schema } from "./standard-schema.js";

export interface RunContextOptions {
  readonly execution: Execution;
  readonly definition: AnyWorkflow;
  readonly root: CancellationScope;
  readonly handlers: Handlers;
  readonly logger: Logger;
  readonly cancelRequested: () => boolean;
}

type AnyTask = TaskDefinition<Schema | undefined, Schema | undefined>;

export class RunContext {
  readonly #execution: Execution;
  readonly #definition: AnyWorkflow;
  readonly #root: CancellationScope;
  readonly #handlers: Handlers;
  readonly #logger: Logger;
  readonly #cancelRequested: () => boolean;
  /** Steps that were asked for and have not ended, by `seq`. */
  readonly steps = new Map<number, StepCode>();
  #memo: Readonly<Record<string, unknown>> | null = null;
  #searchAttributes: Readonly<Record<string, unknown>> | null = null;

  constructor(options: RunContextOptions) {
    this.#execution = options.execution;
    this.#definition = options.definition;
    this.#root = options.root;
    this.#handlers = options.handlers;
    this.#logger = options.logger;
    this.#cancelRequested = options.cancelRequested;
  }

  get info(): WorkflowInfo {
    const { workflowId, runId, started, historyLength, continueAsNewSuggested } = this.#execution;
    return {
      workflowId,
      runId,
      workflowType: this.#definition.name,
      attempt: started.attempt,
      firstExecutionRunId: started.firstExecutionRunId,
      continuedFromRunId: started.continuedFromRunId,
      parent: started.parent,
      startedAt: new Date(started.at),
      historyLength,
      continueAsNewSuggested,
      memo: this.#memo ?? started.memo,
      searchAttributes: this.#searchAttributes ?? started.searchAttributes,
      metadata: started.metadata,
    };
  }

  get log(): Logger {
    return this.#execution.isReplaying ? silenced(this.#logger) : this.#logger;
  }

  get cancelRequested(): boolean {
    return this.#cancelRequested();
  }

  get #scope(): CancellationScope {
    return CancellationScope.current(this.#root);
  }

  task(definition: AnyTask | string, input?: unknown, options?: TaskOptions): Promise<unknown> {
    const declared: AnyTask =
      typeof definition === "string"
        ? { kind: "task", name: definition, input: undefined, output: undefined, options: {} }
        : definition;
    return askTask(this.#execution, this.#scope, declared, input, options);
  }

  step<T>(name: string, code: (step: StepContext) => T | Promise<T>, options?: StepOptions): Promise<T> {
    return askStep(this.#execution, this.#scope, this.steps, name, code, options);
  }

  sleep(duration: Duration): Promise<void> {
    const durationMs = msOf(duration, "the duration of a sleep");
    return ask<void>(this.#execution, this.#scope, {
      command: (seq) => ({ type: "StartTimer", seq, durationMs }),
      hear: (event, settle) => {
        if (event.type === "TimerFired") settle.resolve();
      },
      cancel: (seq, reason, settle) => {
        this.#execution.tell({ type: "CancelTimer", seq });
        settle.reject(reason);
      },
    });
  }

  async condition(holds: () => boolean, timeout?: Duration): Promise<boolean> {
    if (timeout === undefined) {
      await this.#untilTrue(holds, this.#scope);
      return true;
    }
    const race = new CancellationScope("cancellable");
    const timer = race.run(() => this.sleep(timeout)).then(() => false);
    const met = this.#untilTrue(holds, race).then(() => true);
    met.catch(() => undefined);
    timer.catch(() => undefined);
    try {
      return await Promise.race([met, timer]);
    } finally {
      // The loser's timer is taken back.
      race.cancel();
    }
  }

  #untilTrue(holds: () => boolean, scope: CancellationScope): Promise<void> {
    scope.throwIfCancelled();
    if (holds()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const giveUp = this.#execution.when(holds, () => {
        stopListening();
        resolve();
      });
      const stopListening = scope.onCancelled((reason) => {
        giveUp();
        reject(reason);
      });
    });
  }

  signal(name: string): Promise<unknown> {
    const scope = this.#scope;
    scope.throwIfCancelled();
    return new Promise((resolve, reject) => {
      let stopListening = (): void => undefined;
      const giveUp = this.#handlers.takeSignal(name, (input) => {
        stopListening();
        resolve(input);
      });
      stopListening = scope.onCancelled((reason) => {
        giveUp();
        reject(reason);
      });
    });
  }

  onSignal(name: string, handle: SignalHandler): void {
    for (const handled of this.#handlers.onSignal(name, handle)) {
      handled.catch((reason: unknown) => this.#execution.fail(reason));
    }
  }

  onQuery(name: string, handle: QueryHandler): void {
    this.#handlers.onQuery(name, handle);
  }

  onUpdate(
    name: string,
    handle: (input: unknown) => unknown,
    { validate }: { readonly validate?: (input: unknown) => void } = {},
  ): void {
    this.#handlers.onUpdate(name, { handle, validate });
  }

  allHandlersFinished(): boolean {
    return this.#handlers.allFinished;
  }

  child(definition: AnyWorkflow | string, input?: unknown, options?: ChildOptions): Promise<unknown> {
    return runChild(this.#execution, this.#scope, definition, input, options);
  }

  startChild(definition: AnyWorkflow | string, input?: unknown, options?: ChildOptions): Promise<ChildHandle<unknown>> {
    return startChild(this.#execution, this.#scope, definition, input, options);
  }

  external(workflowId: string): ExternalHandle {
    return otherRun(this.#execution, this.#scope, workflowId, "anybody's");
  }

  continueAsNew(input?: unknown, options: ContinueAsNewOptions = {}): never {
    const { workflowType, memo, searchAttributes, runTimeout } = options;
    throw new ContinueAsNew({
      type: "ContinueAsNew",
      input,
      ...given({
        workflowType,
        memo: memo === undefined ? undefined : { ...memo },
        searchAttributes: searchAttributes === undefined ? undefined : { ...searchAttributes },
        runTimeoutMs: runTimeout === undefined ? undefined : msOf(runTimeout, "runTimeout"),
      }),
    });
  }

  patched(patchId: string): boolean {
    return this.#execution.patched(patchId);
  }

  deprecatePatch(patchId: string): void {
    this.#execution.deprecatePatch(patchId);
  }

  cancellable<T>(code: (cancel: () => void) => Promise<T>): Promise<T> {
    const scope = new CancellationScope("cancellable");
    return scope.run(() => code(() => scope.cancel()));
  }

  nonCancellable<T>(code: () => Promise<T>): Promise<T> {
    return new CancellationScope("shielding").run(code);
  }

  async withTimeout<T>(timeout: Duration, code: () => Promise<T>): Promise<T> {
    const timing = new CancellationScope("cancellable");
    const scope = new CancellationScope("cancellable");
    const message = `cancelled after ${msOf(timeout, "the time-out")} ms`;
    timing
      .run(() => this.sleep(timeout))
      .then(
        () => scope.cancel(new CancelledFailure(message)),
        () => undefined,
      );
    try {
      return await scope.run(code);
    } finally {
      timing.cancel();
    }
  }

  upsertSearchAttributes(attributes: Readonly<Record<string, unknown>>): void {
    this.#searchAttributes = { ...this.info.searchAttributes, ...attributes };
    this.#execution.tell({ type: "UpsertSearchAttributes", searchAttributes: { ...attributes } });
  }

  upsertMemo(memo: Readonly<Record<string, unknown>>): void {
    this.#memo = { ...this.info.memo, ...memo };
    this.#execution.tell({ type: "ModifyWorkflowProperties", memo: { ...memo } });
  }

  uuid(): string {
    return this.#execution.randomUuid();
  }
}

const silentOnes = new WeakMap<Logger, Logger>();

/** Its child that says nothing. */
function silenced(logger: Logger): Logger {
  const known = silentOnes.get(logger);
  if (known !== undefined) return known;
  const silent = logger.child({}, { level: "silent" });
  silentOnes.set(logger, silent);
  return silent;
}
