/** How code asks for something that the history answers later, and what cancelling its scope does about it. */
import type { Command } from "../protocol/command.js";
import type { HistoryEvent } from "../protocol/history-event.js";
import { CapabilityName, WorkflowId } from "../protocol/ids.js";
import { type Duration, durationMs } from "../protocol/time.js";
import type { Execution } from "../replay/execution.js";
import type { CancellationScope } from "./cancellation-scope.js";
import { ApplicationFailure, type CancelledFailure } from "./failures.js";

export interface Settle<T> {
  resolve(value: T): void;
  reject(reason: unknown): void;
}

export interface Question<T> {
  readonly command: (seq: number) => Command;
  /** Settles when an event says how it ended; others are let pass. */
  readonly hear: (event: HistoryEvent, settle: Settle<T>) => void;
  /** The scope was cancelled: asks for the end of it, or gives it up by settling. */
  readonly cancel: (seq: number, reason: CancelledFailure, settle: Settle<T>) => void;
}

/** Rejects at once, with a CancelledFailure, where the scope is cancelled already. */
export function ask<T>(execution: Execution, scope: CancellationScope, question: Question<T>): Promise<T> {
  const { reason } = scope;
  if (reason !== null) return unwatched(Promise.reject(reason));
  const promise = new Promise<T>((resolve, reject) => {
    let stopListening = (): void => undefined;
    let settled = false;
    const settle: Settle<T> = {
      resolve: (value) => end(() => resolve(value)),
      reject: (failure) => end(() => reject(failure as Error)),
    };
    const end = (how: () => void): void => {
      if (settled) return;
      settled = true;
      stopListening();
      execution.forget(seq);
      how();
    };
    const seq = execution.ask(question.command, (event) => question.hear(event, settle));
    stopListening = scope.onCancelled((cancelled) => question.cancel(seq, cancelled, settle));
  });
  return unwatched(promise);
}

/** Code may start something and never look at it again: that it failed then concerns nobody. */
export function unwatched<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** @throws ApplicationFailure for what is no length of time */
export function msOf(duration: Duration, what: string): number {
  const ms = durationMs(duration);
  if (ms !== null) return Math.max(1, ms);
  throw wrongInput(
    `${what} is no length of time: ${JSON.stringify(duration)}. Write milliseconds or "30s", "5m", "2 days".`,
  );
}

/** Names go into the history, so they are looked at where they are given. @throws ApplicationFailure */
export function nameOf(name: string, what: string): string {
  if (CapabilityName.safeParse(name).success) return name;
  throw wrongInput(
    `${what} is no name: ${JSON.stringify(name)}. It needs 1 to 128 characters and no control characters.`,
  );
}

/** @throws ApplicationFailure */
export function workflowIdOf(id: string): WorkflowId {
  const parsed = WorkflowId.safeParse(id);
  if (parsed.success) return parsed.data;
  throw wrongInput(`${JSON.stringify(id)} is no workflow id: it must match [A-Za-z0-9][A-Za-z0-9_-]{0,127}`);
}

export function wrongInput(message: string): ApplicationFailure {
  return new ApplicationFailure(message, { type: "INVALID_INPUT", nonRetryable: true });
}

/** Leaves out what was not given. */
export function given<T extends Record<string, unknown>>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
