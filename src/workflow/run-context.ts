/** The context that a workflow's code is given: `WorkflowContext` on top of an execution. */
import type { Logger } from "../logger.js";
import { upserted } from "../protocol/search-attributes.js";
import type { Duration } from "../protocol/time.js";
import type { Execution } from "../replay/execution.js";
import { given, msOf } from "./ask.js";
import { askStep, askTask, type StepCode } from "./ask-task.js";
import { condition, sleep, waitIn, withTimeout } from "./ask-time.js";
import { type Asker, otherRun, runChild, startChild } from "./ask-workflow.js";
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
import type { Handlers, QueryHandler, SignalHandler } from "./handlers.js";
import { jsonCopy, namedCopy } from "./json-copy.js";
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
      searchAttributes: this.#searchAttributes ?? upserted({}, started.searchAttributes),
      metadata: started.metadata,
      lastFailure: started.lastFailure,
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

  get #asker(): Asker {
    return { execution: this.#execution, scope: () => this.#scope };
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
    return sleep(this.#execution, this.#scope, duration);
  }

  condition(holds: () => boolean, timeout?: Duration): Promise<boolean> {
    return condition(this.#execution, this.#scope, holds, timeout);
  }

  signal(name: string): Promise<unknown> {
    return waitIn(this.#scope, (resolve) => this.#handlers.takeSignal(name, resolve));
  }

  onSignal(name: string, handle: SignalHandler): void {
    this.#handlers.onSignal(name, handle);
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

  /** Bound, because it is what one hands to `condition`. */
  readonly allHandlersFinished = (): boolean => this.#handlers.allFinished;

  child(definition: AnyWorkflow | string, input?: unknown, options?: ChildOptions): Promise<unknown> {
    return runChild(this.#asker, definition, input, options);
  }

  startChild(definition: AnyWorkflow | string, input?: unknown, options?: ChildOptions): Promise<ChildHandle<unknown>> {
    return startChild(this.#asker, definition, input, options);
  }

  external(workflowId: string): ExternalHandle {
    return otherRun(this.#asker, workflowId, "anybody's");
  }

  continueAsNew(input?: unknown, options: ContinueAsNewOptions = {}): never {
    const { workflowType, memo, searchAttributes, runTimeout } = options;
    throw new ContinueAsNew({
      type: "ContinueAsNew",
      input: jsonCopy(input, "the input of the next run"),
      ...given({
        workflowType,
        memo: namedCopy(memo, "the memo of the next run"),
        searchAttributes: namedCopy(searchAttributes, "the search attributes of the next run"),
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

  withTimeout<T>(timeout: Duration, code: () => Promise<T>): Promise<T> {
    return withTimeout(this.#execution, timeout, code);
  }

  upsertSearchAttributes(attributes: Readonly<Record<string, NonNullable<unknown> | null>>): void {
    const searchAttributes = namedCopy(attributes, "the search attributes");
    this.#execution.tell({ type: "UpsertSearchAttributes", searchAttributes });
    this.#searchAttributes = upserted(this.info.searchAttributes, searchAttributes);
  }

  upsertMemo(values: Readonly<Record<string, unknown>>): void {
    const memo = namedCopy(values, "the memo");
    this.#execution.tell({ type: "ModifyWorkflowProperties", memo });
    this.#memo = { ...this.info.memo, ...memo };
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
