/** How a workflow and the tasks it asks agents for are declared. Types follow from the schemas, also on the client's side. */
import type { RetryPolicyInput } from "../protocol/retry-policy.js";
import type { Duration } from "../protocol/time.js";
import type { WorkflowContext } from "./context.js";
import type { InputOf, OutputOf, Schema } from "./standard-schema.js";

export interface TaskOptions {
  readonly priority?: "critical" | "high" | "normal" | "low";
  /** Capabilities an agent must have, all of them. Default: the task's name. */
  readonly needs?: readonly string[];
  readonly preferredAgentId?: string;
  readonly retry?: RetryPolicyInput;
  readonly timeouts?: {
    /** One attempt, from its assignment. */
    readonly startToClose?: Duration;
    /** All attempts, from when it is asked for. */
    readonly scheduleToClose?: Duration;
    /** Until an agent has it. */
    readonly scheduleToStart?: Duration;
  };
  /** Between two reports of progress; without one in time the attempt is taken for lost. */
  readonly heartbeat?: Duration;
  /** What the code does when its scope is cancelled. Default: it waits for how the task really ends. */
  readonly cancellationType?: "waitCancellationCompleted" | "tryCancel" | "abandon";
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface TaskDefinition<
  Input extends Schema | undefined = undefined,
  Output extends Schema | undefined = undefined,
> {
  readonly kind: "task";
  readonly name: string;
  readonly input: Input;
  readonly output: Output;
  readonly options: TaskOptions;
}

/** Declares a task that an agent does. */
export function task<Input extends Schema | undefined = undefined, Output extends Schema | undefined = undefined>(
  name: string,
  declared: TaskOptions & { readonly input?: Input; readonly output?: Output } = {},
): TaskDefinition<Input, Output> {
  const { input, output, ...options } = declared;
  return { kind: "task", name, input: input as Input, output: output as Output, options };
}

/** A query or an update: what it takes and what it gives. */
export interface MessageDeclaration {
  readonly input?: Schema;
  readonly output?: Schema;
}

export interface WorkflowDeclaration {
  readonly input?: Schema;
  readonly output?: Schema;
  /** By name: the schema of what each signal carries. */
  readonly signals?: Readonly<Record<string, Schema>>;
  readonly queries?: Readonly<Record<string, MessageDeclaration>>;
  readonly updates?: Readonly<Record<string, MessageDeclaration>>;
}

export interface WorkflowDefinition<Declared extends WorkflowDeclaration = WorkflowDeclaration> {
  readonly kind: "workflow";
  readonly name: string;
  readonly declared: Declared;
  readonly code: (context: WorkflowContext<Declared>, input: OutputOf<Declared["input"]>) => Promise<unknown>;
}

/** What its code must return. */
export type WorkflowResult<Declared extends WorkflowDeclaration> = Declared["output"] extends Schema
  ? InputOf<Declared["output"]>
  : unknown;

/**
 * The code of a workflow. A conditional type, so that TypeScript has looked at the declaration before it looks at what the
 * code returns: `return { status: "done" }` fits a literal then, and `return [1, "a"]` a tuple.
 */
type WorkflowCode<Declared extends WorkflowDeclaration> = Declared extends WorkflowDeclaration
  ? (context: WorkflowContext<Declared>, input: OutputOf<Declared["input"]>) => Promise<WorkflowResult<Declared>>
  : never;

/** Declares a workflow. The code must be deterministic: what is not goes into `ctx.step` or `ctx.task`. */
export function workflow<const Declared extends WorkflowDeclaration>(
  name: string,
  declared: Declared,
  code: WorkflowCode<Declared>,
): WorkflowDefinition<Declared> {
  return { kind: "workflow", name, declared, code };
}

/** Any workflow, where what it declares does not matter. */
export interface AnyWorkflow {
  readonly kind: "workflow";
  readonly name: string;
  readonly declared: WorkflowDeclaration;
  readonly code: (context: never, input: never) => Promise<unknown>;
}
