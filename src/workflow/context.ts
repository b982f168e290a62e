/** What a workflow's code is given. Everything that reaches out of the code goes through here, and is in its history. */
import type { Logger } from "../logger.js";
import type { Failure } from "../protocol/failure.js";
import type { RetryPolicyInput } from "../protocol/retry-policy.js";
import type { Duration } from "../protocol/time.js";
import type { ParentClosePolicy } from "../protocol/workflow-options.js";
import type { AnyWorkflow, TaskDefinition, TaskOptions, WorkflowDeclaration } from "./definition.js";
import type { InputOf, OutputOf, Schema } from "./standard-schema.js";

export interface WorkflowInfo {
  readonly workflowId: string;
  /** After a reset the new run's, from that point of the history on. */
  readonly runId: string;
  readonly workflowType: string;
  /** Which run of a retried workflow; 1 for the first. */
  readonly attempt: number;
  readonly firstExecutionRunId: string;
  readonly continuedFromRunId: string | undefined;
  readonly parent: { readonly workflowId: string; readonly runId: string } | undefined;
  readonly startedAt: Date;
  /** Events so far. */
  readonly historyLength: number;
  /** The history has become long: continue as new at the next good moment. */
  readonly continueAsNewSuggested: boolean;
  readonly memo: Readonly<Record<string, unknown>>;
  readonly searchAttributes: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Of the run before, where this one repeats it. */
  readonly lastFailure: Failure | undefined;
}

export interface StepOptions {
  /** Without `maximumAttempts`: for ever. With it, each attempt is recorded before it begins. */
  readonly retry?: RetryPolicyInput;
  /** One attempt. */
  readonly startToClose?: Duration;
}

export interface ChildOptions {
  /** Default: one that follows from this run. */
  readonly workflowId?: string;
  readonly parentClosePolicy?: ParentClosePolicy;
  readonly priority?: TaskOptions["priority"];
  readonly runTimeout?: Duration;
  readonly executionTimeout?: Duration;
  readonly retry?: RetryPolicyInput;
  readonly memo?: Readonly<Record<string, unknown>>;
  readonly searchAttributes?: Readonly<Record<string, unknown>>;
  readonly idReusePolicy?: "allowDuplicate" | "allowDuplicateFailedOnly" | "rejectDuplicate";
  readonly cancellationType?: "waitCancellationCompleted" | "waitCancellationRequested" | "tryCancel" | "abandon";
}

export interface ChildHandle<Output> {
  readonly workflowId: string;
  readonly runId: string;
  /** @throws ChildWorkflowFailure */
  result(): Promise<Output>;
  signal(name: string, input?: unknown): Promise<void>;
  cancel(): Promise<void>;
}

export interface ExternalHandle {
  readonly workflowId: string;
  /** @throws ApplicationFailure NOT_FOUND where no run of it is open */
  signal(name: string, input?: unknown): Promise<void>;
  cancel(): Promise<void>;
}

export interface ContinueAsNewOptions {
  readonly workflowType?: string;
  readonly memo?: Readonly<Record<string, unknown>>;
  readonly searchAttributes?: Readonly<Record<string, unknown>>;
  readonly runTimeout?: Duration;
}

export interface StepContext {
  /** 1 for the first. */
  readonly attempt: number;
  /** The same for every attempt of this step: an idempotency key for what it calls. */
  readonly stepId: string;
  /** Aborts when the step is cancelled or the worker stops. */
  readonly signal: AbortSignal;
}

type Names<Declared> = Declared extends Readonly<Record<string, unknown>> ? Extract<keyof Declared, string> : never;
// Of each member of a union: what a context that declares nothing in particular may declare is also `undefined`.
type Declaration<Declared, Name> = Declared extends unknown
  ? Name extends keyof Declared
    ? Declared[Name]
    : never
  : never;
type MessageInput<M> = M extends { readonly input: infer S extends Schema } ? OutputOf<S> : unknown;
type MessageOutput<M> = M extends { readonly output: infer S extends Schema } ? InputOf<S> : unknown;

export interface WorkflowContext<Declared extends WorkflowDeclaration = WorkflowDeclaration> {
  readonly info: WorkflowInfo;
  /** Silent while a history is repeated. */
  readonly log: Logger;

  /** Has an agent do a task. @throws ActivityFailure, with the reason as its cause */
  task<Input extends Schema | undefined, Output extends Schema | undefined>(
    definition: TaskDefinition<Input, Output>,
    ...given: Input extends Schema
      ? [input: InputOf<Input>, options?: TaskOptions]
      : [input?: unknown, options?: TaskOptions]
  ): Promise<Output extends Schema ? OutputOf<Output> : unknown>;
  task(name: string, input?: unknown, options?: TaskOptions): Promise<unknown>;

  /**
   * Runs `code` here in the worker, outside of the workflow's rules, and records what it returns. Runs at least once.
   * @throws ActivityFailure, with the reason as its cause
   */
  step<T>(name: string, code: (step: StepContext) => T | Promise<T>, options?: StepOptions): Promise<T>;

  sleep(duration: Duration): Promise<void>;
  /** Until `holds` is true. With a time-out: whether it became true in time. */
  condition(holds: () => boolean): Promise<void>;
  condition(holds: () => boolean, timeout: Duration): Promise<boolean>;

  /** The next signal of a name that no handler took, in the order in which they came. */
  signal<Name extends Names<Declared["signals"]>>(
    name: Name,
  ): Promise<OutputOf<Declaration<Declared["signals"], Name>>>;
  /** Handles each signal of a name, also those that came before. */
  onSignal<Name extends Names<Declared["signals"]>>(
    name: Name,
    handle: (input: OutputOf<Declaration<Declared["signals"], Name>>) => void | Promise<void>,
  ): void;
  onQuery<Name extends Names<Declared["queries"]>>(
    name: Name,
    handle: (
      input: MessageInput<Declaration<Declared["queries"], Name>>,
    ) => MessageOutput<Declaration<Declared["queries"], Name>>,
  ): void;
  /** `validate` runs once, before the update is accepted; what it throws rejects the update without a trace. */
  onUpdate<Name extends Names<Declared["updates"]>>(
    name: Name,
    handle: (
      input: MessageInput<Declaration<Declared["updates"], Name>>,
    ) =>
      | MessageOutput<Declaration<Declared["updates"], Name>>
      | Promise<MessageOutput<Declaration<Declared["updates"], Name>>>,
    options?: { readonly validate?: (input: MessageInput<Declaration<Declared["updates"], Name>>) => void },
  ): void;
  /** Whether no handler of a signal or an update is under way: wait for it before closing. */
  allHandlersFinished(): boolean;

  /** Runs a workflow of its own and gives its output. @throws ChildWorkflowFailure */
  child<Definition extends AnyWorkflow>(
    definition: Definition,
    input: InputOf<Definition["declared"]["input"]>,
    options?: ChildOptions,
  ): Promise<OutputOf<Definition["declared"]["output"]>>;
  child(workflowType: string, input?: unknown, options?: ChildOptions): Promise<unknown>;
  /** The same, without waiting for its end. @throws ChildWorkflowFailure where it cannot be started */
  startChild<Definition extends AnyWorkflow>(
    definition: Definition,
    input: InputOf<Definition["declared"]["input"]>,
    options?: ChildOptions,
  ): Promise<ChildHandle<OutputOf<Definition["declared"]["output"]>>>;
  startChild(workflowType: string, input?: unknown, options?: ChildOptions): Promise<ChildHandle<unknown>>;
  external(workflowId: string): ExternalHandle;

  /** Closes this run and starts the next one with an empty history. Nothing behind it runs. */
  continueAsNew(input?: InputOf<Declared["input"]>, options?: ContinueAsNewOptions): never;

  /** Whether code that was added later is to run: true in runs that have not been there before it was. */
  patched(patchId: string): boolean;
  /** Says that no history without the patch is left. */
  deprecatePatch(patchId: string): void;

  /** What is asked for in `code` is cancelled when `cancel` is called, or the run is. */
  cancellable<T>(code: (cancel: () => void) => Promise<T>): Promise<T>;
  /** Goes on when the run is cancelled: for cleaning up. */
  nonCancellable<T>(code: () => Promise<T>): Promise<T>;
  /** Cancels what is asked for in `code` when the time is up. @throws CancelledFailure */
  withTimeout<T>(timeout: Duration, code: () => Promise<T>): Promise<T>;
  readonly cancelRequested: boolean;

  /** Sets what it names and leaves the rest; null takes an attribute away. */
  upsertSearchAttributes(attributes: Readonly<Record<string, NonNullable<unknown> | null>>): void;
  upsertMemo(memo: Readonly<Record<string, unknown>>): void;
  /** The same in each replay. */
  uuid(): string;
}
