/** What a knight does with a task. The knights here come with executors that need no model; a fleet plugs in its own. */
import type { KnightTask } from "./messages.js";

/** Lines of JSON; a pino logger is one. */
export interface Log {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface Spent {
  /** US dollars. */
  readonly cost: number;
  readonly tokens: { readonly input: number; readonly output: number };
  /** Which model; `none` where there was none. */
  readonly model: string;
}

export interface Execution extends Spent {
  /** Markdown. */
  readonly result: string;
}

export interface ExecutionContext {
  /** Aborts when the time is up or the knight is stopped: the executor should end soon, by throwing. */
  readonly signal: AbortSignal;
  /** Its lines carry task_id and domain. */
  readonly log: Log;
}

export interface Executor {
  /** What it throws becomes the error of the result; an `ExecutionError` says besides what was spent until then. */
  execute(task: KnightTask, context: ExecutionContext): Promise<Execution>;
}

export const nothingSpent: Spent = { cost: 0, tokens: { input: 0, output: 0 }, model: "none" };

/** An end without a result that cost something all the same. */
export class ExecutionError extends Error {
  override readonly name = "ExecutionError";
  readonly spent: Spent;

  constructor(message: string, spent: Spent, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.spent = spent;
  }
}

/** Executors by domain: the one table that says what a knight can do. */
export type Executors = Readonly<Record<string, Executor>>;
