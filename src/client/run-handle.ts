/** Workflows as a client sees them: started, asked, signalled, with the types of their definitions. */
import { randomUUID } from "node:crypto";
import type { z } from "zod";
import type { HistoryEvent } from "../protocol/history-event.js";
import type { Subjects } from "../protocol/subjects.js";
import type { TaskView } from "../protocol/task-message.js";
import {
  type ResetPoint,
  type ResetReapply,
  type UpdateStanding,
  WorkflowHistoryReply,
  WorkflowQueryReply,
  WorkflowReply,
  WorkflowUpdateReply,
} from "../protocol/workflow-message.js";
import type { AnyWorkflow, MessageDeclaration, WorkflowDeclaration } from "../workflow/definition.js";
import { type InputOf, type OutputOf, readOutput, type Schema } from "../workflow/standard-schema.js";
import type { WaitOptions } from "./client.js";
import { QueryFailedError, UpdateFailedError } from "./message-failed.js";
import type { EndedTask } from "./task-outcome.js";
import { checked } from "./workflow-start.js";

type DeclaredOf<Definition> = Definition extends { readonly declared: infer Declared extends WorkflowDeclaration }
  ? Declared
  : WorkflowDeclaration;
type Names<Messages> = Messages extends Readonly<Record<string, unknown>> ? Extract<keyof Messages, string> : string;
type Declaration<Messages, Name> = Name extends keyof Messages ? Messages[Name] : unknown;
type MessageInput<M> = M extends { readonly input: infer S extends Schema } ? InputOf<S> : unknown;
type MessageOutput<M> = M extends { readonly output: infer S extends Schema } ? OutputOf<S> : unknown;

export type UpdateName<Definition> = Names<DeclaredOf<Definition>["updates"]>;
export type UpdateInput<Definition, Name> = MessageInput<Declaration<DeclaredOf<Definition>["updates"], Name>>;
export type UpdateOutput<Definition, Name> = MessageOutput<Declaration<DeclaredOf<Definition>["updates"], Name>>;

/** An input may be left out only where nothing is one. */
type Given<Input, Options extends readonly unknown[]> = undefined extends Input
  ? [input?: Input, ...options: Options]
  : [input: Input, ...options: Options];

/** Where `Definition` is not known, everything is `unknown`. */
export interface RunHandle<Definition = AnyWorkflow> {
  readonly workflowId: string;
  /** @throws TaskFailedError if it did not complete */
  result(options?: WaitOptions): Promise<OutputOf<DeclaredOf<Definition>["output"]>>;
  wait(options?: WaitOptions): Promise<EndedTask>;
  describe(): Promise<TaskView>;
  /** Resolves when it is on disk. The same `signalId` is the same signal. @throws PerdureError NOT_FOUND */
  signal<Name extends Names<DeclaredOf<Definition>["signals"]>>(
    name: Name,
    ...given: Given<
      InputOf<Declaration<DeclaredOf<Definition>["signals"], Name>>,
      [options?: { readonly signalId?: string }]
    >
  ): Promise<void>;
  /** Sees everything that was accepted before it. @throws QueryFailedError */
  query<Name extends Names<DeclaredOf<Definition>["queries"]>>(
    name: Name,
    ...given: Given<MessageInput<Declaration<DeclaredOf<Definition>["queries"], Name>>, []>
  ): Promise<MessageOutput<Declaration<DeclaredOf<Definition>["queries"], Name>>>;
  /** Resolves with what its handler returned. The same `updateId` is the same update. @throws UpdateFailedError */
  update<Name extends UpdateName<Definition>>(
    name: Name,
    ...given: Given<
      UpdateInput<Definition, Name>,
      [options?: { readonly updateId?: string; readonly signal?: AbortSignal }]
    >
  ): Promise<UpdateOutput<Definition, Name>>;
  /** Resolves when its validator has accepted it, with what it comes to. @throws UpdateFailedError where it is rejected */
  startUpdate<Name extends UpdateName<Definition>>(
    name: Name,
    ...given: Given<
      UpdateInput<Definition, Name>,
      [options?: { readonly updateId?: string; readonly signal?: AbortSignal }]
    >
  ): Promise<UpdateHandle<UpdateOutput<Definition, Name>>>;
  /** Asks the code to end; it may clean up first, or finish all the same. */
  cancel(): Promise<void>;
  /** Ends it at once; no code of it runs any more. */
  terminate(reason?: string): Promise<void>;
  /**
   * Starts a new run, of an open workflow or of one that has ended, with the history of the last run up to a workflow
   * task, which is decided on anew. The last run is terminated if it is open. Resolves when that is on disk.
   * @throws PerdureError NOT_FOUND, PAYLOAD_TOO_LARGE, RESET_REFUSED
   */
  reset(options: ResetOptions): Promise<{ readonly runId: string }>;
  /**
   * What happened so far, of the run that is open or was the last; or of the run that is named.
   * @param options.afterEventId leaves out what is up to this event
   */
  history(options?: { readonly runId?: string; readonly afterEventId?: number }): Promise<readonly HistoryEvent[]>;
}

export interface ResetOptions {
  /** The first workflow task, the last one, or the one of a `WorkflowTaskCompleted` by its event's id. */
  readonly to: ResetPoint;
  /** For people; it is in the history. */
  readonly reason?: string;
  /** What came in behind that point and is given to the new run again. Default: all. */
  readonly reapply?: ResetReapply;
  /** Refused unless this is the last run. */
  readonly runId?: string;
  /** A UUID: the same one again is the same reset. Default: a new one. */
  readonly requestId?: string;
}

/** An update that was accepted. */
export interface UpdateHandle<Output> {
  /** The same id asks for the same update again, also from elsewhere. */
  readonly updateId: string;
  /** Resolves with what its handler returned. @throws UpdateFailedError */
  result(options?: { readonly signal?: AbortSignal }): Promise<Output>;
}

interface UpdateOptions {
  readonly updateId?: string;
  readonly signal?: AbortSignal | undefined;
}

/** What a handle needs of its client. */
export interface RunHandleParts {
  readonly subjects: Subjects;
  readonly ask: <S extends z.ZodType>(question: {
    readonly subject: string;
    readonly body: string;
    readonly reply: S;
    readonly what: string;
    readonly signal?: AbortSignal | undefined;
  }) => Promise<z.infer<S>>;
  /** How long `ask` asks. */
  readonly requestTimeoutMs: number;
  readonly get: (taskId: string) => Promise<TaskView>;
  readonly wait: (taskId: string, options?: WaitOptions) => Promise<EndedTask>;
  readonly result: (taskId: string, options?: WaitOptions) => Promise<unknown>;
}

/** One answer; an update that takes longer is asked for again. */
const UPDATE_WAIT_MS = 4_000;

export function runHandle<Definition extends AnyWorkflow>(
  parts: RunHandleParts,
  definition: Definition | string,
  workflowId: string,
): RunHandle<Definition> {
  const { subjects, ask } = parts;
  const declared: WorkflowDeclaration = typeof definition === "string" ? {} : definition.declared;
  const envelope = () => ({ messageId: randomUUID(), timestamp: Date.now(), taskId: workflowId });
  const message = (messages: Readonly<Record<string, MessageDeclaration>> | undefined, name: string) =>
    messages?.[name];
  /** Asks until the update has come so far. */
  const updated = async (
    name: string,
    input: unknown,
    waitFor: "accepted" | "completed",
    { updateId, signal }: UpdateOptions & { readonly updateId: string },
  ) => {
    const given = checked(message(declared.updates, name)?.input, input, `update ${name} of workflow ${workflowId}`);
    const waitMs = updateWaitMs(parts);
    for (;;) {
      signal?.throwIfAborted();
      const reply = await ask({
        subject: subjects.workflowUpdate,
        body: JSON.stringify({ ...envelope(), name, input: given, updateId, waitFor, timeoutMs: waitMs }),
        reply: WorkflowUpdateReply,
        what: `update ${name} (${updateId}) of workflow ${workflowId}`,
        signal,
      });
      if (hasReached(reply, waitFor, workflowId, name)) return reply;
    }
  };
  const handle = {
    workflowId,
    result: async (options?: WaitOptions) => readOutput(declared.output, await parts.result(workflowId, options)),
    wait: (options?: WaitOptions) => parts.wait(workflowId, options),
    describe: () => parts.get(workflowId),
    signal: async (name: string, input?: unknown, options: { readonly signalId?: string } = {}) => {
      const given = checked(declared.signals?.[name], input, `signal ${name} of workflow ${workflowId}`);
      await ask({
        subject: subjects.workflowSignal,
        body: JSON.stringify({ ...envelope(), name, input: given, ...options }),
        reply: WorkflowReply,
        what: `signal ${name} to workflow ${workflowId}`,
      });
    },
    query: async (name: string, input?: unknown) => {
      const given = checked(message(declared.queries, name)?.input, input, `query ${name} of workflow ${workflowId}`);
      const { output, failure } = await ask({
        subject: subjects.workflowQuery,
        body: JSON.stringify({ ...envelope(), name, input: given }),
        reply: WorkflowQueryReply,
        what: `query ${name} of workflow ${workflowId}`,
      });
      if (failure !== undefined) throw new QueryFailedError(workflowId, name, failure);
      return readOutput(message(declared.queries, name)?.output, output);
    },
    update: async (name: string, input?: unknown, options: UpdateOptions = {}) => {
      const { output } = await updated(name, input, "completed", { updateId: randomUUID(), ...options });
      return readOutput(message(declared.updates, name)?.output, output);
    },
    startUpdate: async (name: string, input?: unknown, options: UpdateOptions = {}) => {
      const { updateId = randomUUID(), signal } = options;
      await updated(name, input, "accepted", { updateId, signal });
      return { updateId, result: (more?: UpdateOptions) => handle.update(name, input, { ...more, updateId }) };
    },
    cancel: async () => {
      await ask({
        subject: subjects.workflowCancel,
        body: JSON.stringify(envelope()),
        reply: WorkflowReply,
        what: `the cancellation of workflow ${workflowId}`,
      });
    },
    terminate: async (reason?: string) => {
      await ask({
        subject: subjects.workflowTerminate,
        body: JSON.stringify({ ...envelope(), reason }),
        reply: WorkflowReply,
        what: `the termination of workflow ${workflowId}`,
      });
    },
    reset: async ({ requestId, ...options }: ResetOptions) => {
      const { runId } = await ask({
        subject: subjects.workflowReset,
        body: JSON.stringify({
          ...envelope(),
          ...(requestId === undefined ? {} : { messageId: requestId }),
          ...options,
        }),
        reply: WorkflowReply,
        what: `the reset of workflow ${workflowId}`,
      });
      return { runId };
    },
    history: async (options: { readonly runId?: string; readonly afterEventId?: number } = {}) => {
      const events: HistoryEvent[] = [];
      let { runId, afterEventId = 0 } = options;
      for (;;) {
        const page = await ask({
          subject: subjects.workflowHistory,
          body: JSON.stringify({ ...envelope(), afterEventId, runId }),
          reply: WorkflowHistoryReply,
          what: `the history of workflow ${workflowId}`,
        });
        // A chain may go on meanwhile; the pages are of one run.
        ({ runId } = page);
        events.push(...page.events);
        afterEventId = events.at(-1)?.eventId ?? afterEventId;
        if (page.events.length === 0 || afterEventId >= page.lastEventId) return events;
      }
    },
  };
  // The methods check by schema what their types say.
  return handle as unknown as RunHandle<Definition>;
}

/** The answer that an update is not finished has to come before the question is given up. */
export function updateWaitMs({ requestTimeoutMs }: RunHandleParts): number {
  return Math.min(UPDATE_WAIT_MS, Math.floor(requestTimeoutMs / 2));
}

/** Whether an update has come so far. @throws UpdateFailedError where it never will */
export function hasReached(
  { stage, failure = { type: "UNKNOWN", message: "no reason was given" } }: UpdateStanding,
  waitFor: "accepted" | "completed",
  workflowId: string,
  update: string,
): boolean {
  if (stage === "completed" || stage === waitFor) return true;
  // Accepted it was: what became of it is for whoever asks for its result.
  if (stage === "failed" && waitFor === "accepted") return true;
  if (stage === "rejected" || stage === "failed") throw new UpdateFailedError(workflowId, update, stage, failure);
  return false;
}
