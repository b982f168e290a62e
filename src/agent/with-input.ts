import { TaskFailure } from "./task-failure.js";
import type { TaskContext, TaskHandler } from "./task-handler.js";

/** The part of https://standardschema.dev that is used here; zod, valibot and arktype schemas have it. */
export interface InputSchema<Output> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => ValidationResult<Output> | Promise<ValidationResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

type ValidationResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly ValidationIssue[] };

interface ValidationIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/**
 * A handler whose input is held against a schema first. Input that does not fit fails the task as
 * `TASK_INPUT_INVALID`, not retryable: the same input would not fit next time either.
 */
export function withInput<Output>(
  schema: InputSchema<Output>,
  run: (context: TaskContext, input: Output) => unknown,
): TaskHandler {
  return (context, input) => {
    const validated = schema["~standard"].validate(input);
    if (validated instanceof Promise) return validated.then((result) => run(context, accepted(context, result)));
    return run(context, accepted(context, validated));
  };
}

function accepted<Output>(context: TaskContext, result: ValidationResult<Output>): Output {
  if (result.issues === undefined) return result.value;
  const sentences = result.issues.map(({ path, message }) => {
    const at = (path ?? []).map((step) => String(typeof step === "object" ? step.key : step)).join(".");
    return at === "" ? message : `${at}: ${message}`;
  });
  throw new TaskFailure(`the input of task ${context.taskId} does not fit "${context.type}": ${sentences.join("; ")}`, {
    type: "TASK_INPUT_INVALID",
    nonRetryable: true,
  });
}
