/** Update-with-start: one request that starts a workflow, or finds it open, and has it do an update. */
import { randomUUID } from "node:crypto";
import type { UpdateStanding } from "../protocol/workflow-message.js";
import type { AnyWorkflow, WorkflowDeclaration } from "../workflow/definition.js";
import { type InputOf, readOutput } from "../workflow/standard-schema.js";
import {
  hasReached,
  type RunHandle,
  type RunHandleParts,
  runHandle,
  type UpdateHandle,
  type UpdateInput,
  type UpdateName,
  type UpdateOutput,
  updateWaitMs,
} from "./run-handle.js";
import type { NewTask } from "./submission.js";
import { checked, type StartOptions, startOf } from "./workflow-start.js";

/** With no policies an open run of the id is used, and a closed one is followed by another. */
export type UpdateWithStartOptions<Definition = AnyWorkflow, Name extends string = string> = Omit<
  StartOptions,
  "workflowId" | "dependencies" | "signal"
> & {
  readonly workflowId: string;
  readonly update: {
    readonly name: Name;
    /** The same id of the same workflow is the same update, with the same outcome. Default: a random one. */
    readonly updateId?: string;
    readonly signal?: AbortSignal;
  } & (undefined extends UpdateInput<Definition, Name>
    ? { readonly input?: UpdateInput<Definition, Name> }
    : { readonly input: UpdateInput<Definition, Name> });
};

export interface UpdateWithStart {
  /**
   * Resolves with the run and with what the update's handler returned. The run goes on where the update is rejected.
   * @throws UpdateFailedError, and what `start` throws
   */
  executeUpdateWithStart<Definition extends AnyWorkflow, Name extends UpdateName<Definition>>(
    definition: Definition,
    input: InputOf<Definition["declared"]["input"]>,
    options: UpdateWithStartOptions<Definition, Name>,
  ): Promise<{ readonly run: RunHandle<Definition>; readonly output: UpdateOutput<Definition, Name> }>;
  executeUpdateWithStart(
    workflowType: string,
    input: unknown,
    options: UpdateWithStartOptions,
  ): Promise<{ readonly run: RunHandle; readonly output: unknown }>;
  /** The same, once the update is accepted. @throws UpdateFailedError where it is rejected, and what `start` throws */
  startUpdateWithStart<Definition extends AnyWorkflow, Name extends UpdateName<Definition>>(
    definition: Definition,
    input: InputOf<Definition["declared"]["input"]>,
    options: UpdateWithStartOptions<Definition, Name>,
  ): Promise<{
    readonly run: RunHandle<Definition>;
    readonly update: UpdateHandle<UpdateOutput<Definition, Name>>;
  }>;
  startUpdateWithStart(
    workflowType: string,
    input: unknown,
    options: UpdateWithStartOptions,
  ): Promise<{ readonly run: RunHandle; readonly update: UpdateHandle<unknown> }>;
}

/** Submits what has an update with it; resolves with how far that has come. */
type SubmitWithUpdate = (task: NewTask, signal: AbortSignal | undefined) => Promise<UpdateStanding | undefined>;

export function updateWithStart(parts: RunHandleParts, submit: SubmitWithUpdate): UpdateWithStart {
  const begin = async (
    definition: AnyWorkflow | string,
    input: unknown,
    { update, ...options }: UpdateWithStartOptions,
    waitFor: "accepted" | "completed",
  ) => {
    const { name, updateId = randomUUID(), signal } = update;
    const { workflowId } = options;
    const declared: WorkflowDeclaration = typeof definition === "string" ? {} : definition.declared;
    const { input: schema, output: outputSchema } = declared.updates?.[name] ?? {};
    const given = checked(schema, update.input, `update ${name} of workflow ${workflowId}`);
    const asked = { name, input: given, updateId, waitFor, timeoutMs: updateWaitMs(parts) };
    const task = { ...startOf(definition, input, options), update: asked };
    const standing = await submit(task, signal);
    const run = runHandle(parts, definition, workflowId) as RunHandle;
    const again = { updateId, ...(signal === undefined ? {} : { signal }) };
    const isThere = standing !== undefined && hasReached(standing, waitFor, workflowId, name);
    return { run, name, updateId, given: update.input, again, outputSchema, standing: isThere ? standing : null };
  };
  const calls = {
    executeUpdateWithStart: async (
      definition: AnyWorkflow | string,
      input: unknown,
      options: UpdateWithStartOptions,
    ) => {
      const { run, name, given, again, standing, outputSchema } = await begin(definition, input, options, "completed");
      const there = standing === null ? null : { output: readOutput(outputSchema, standing.output) };
      return { run, ...(there ?? { output: await run.update(name, given, again) }) };
    },
    startUpdateWithStart: async (definition: AnyWorkflow | string, input: unknown, options: UpdateWithStartOptions) => {
      const { run, name, given, again, standing, updateId } = await begin(definition, input, options, "accepted");
      if (standing === null) return { run, update: await run.startUpdate(name, given, again) };
      const result = (more?: { readonly signal?: AbortSignal }) => run.update(name, given, { ...more, updateId });
      return { run, update: { updateId, result } };
    },
  };
  // They check by schema what their types say.
  return calls as unknown as UpdateWithStart;
}
