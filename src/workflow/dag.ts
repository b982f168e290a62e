/** Tasks with dependencies, priority and fan-out, declared once and submitted as one batch: no worker, no code between them. */

import { msOf } from "./ask.js";
import type { TaskDefinition, TaskOptions } from "./definition.js";
import { ApplicationFailure } from "./failures.js";
import { check, type InputOf, type OutputOf, type Schema } from "./standard-schema.js";

/** A task of a dag, for those that come after it. */
export interface DagTask {
  /** Its name within the dag; its id is `<dagId>-<key>`. */
  readonly key: string;
}

export interface DagTaskOptions extends Omit<TaskOptions, "heartbeat" | "cancellationType"> {
  /** Tasks that must complete first; their outputs travel with this one's assignment. */
  readonly after?: readonly DagTask[];
}

export interface DagBuilder {
  task<Input extends Schema | undefined, Output extends Schema | undefined>(
    key: string,
    definition: TaskDefinition<Input, Output>,
    ...given: Input extends Schema
      ? [input: InputOf<Input>, options?: DagTaskOptions]
      : [input?: unknown, options?: DagTaskOptions]
  ): DagTask;
}

/** A task as it is submitted. */
export interface PlannedTask {
  readonly key: string;
  readonly taskId: string;
  readonly type: string;
  readonly input: unknown;
  readonly dependencies: readonly string[];
  readonly priority?: TaskOptions["priority"];
  readonly requiredCapabilities?: readonly string[];
  readonly timeoutMs?: number;
  readonly scheduleToCloseMs?: number;
  readonly retry?: TaskOptions["retry"];
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface DagDefinition<Input extends Schema | undefined = Schema | undefined> {
  readonly kind: "dag";
  readonly name: string;
  readonly input: Input;
  /** Its tasks in the order in which they were declared. @throws ApplicationFailure for what does not fit its schema */
  plan(dagId: string, input: Input extends Schema ? InputOf<Input> : unknown): readonly PlannedTask[];
}

export function dag<Input extends Schema | undefined = undefined>(
  name: string,
  declared: { readonly input?: Input },
  build: (builder: DagBuilder, input: OutputOf<Input>) => void,
): DagDefinition<Input> {
  return {
    kind: "dag",
    name,
    input: declared.input as Input,
    plan: (dagId, input) => {
      const given = checked(declared.input, input, `the input of dag ${name}`);
      const planned = new Map<string, PlannedTask>();
      const builder = {
        task: (
          key: string,
          definition: TaskDefinition<Schema | undefined>,
          taskInput: unknown,
          options?: DagTaskOptions,
        ) => {
          if (planned.has(key)) throw wrong(`dag ${name} has two tasks named "${key}"`);
          planned.set(key, planTask(dagId, key, definition, taskInput, options));
          return { key };
        },
      };
      build(builder as unknown as DagBuilder, given as OutputOf<Input>);
      return [...planned.values()];
    },
  };
}

function planTask(
  dagId: string,
  key: string,
  definition: TaskDefinition<Schema | undefined>,
  input: unknown,
  over: DagTaskOptions = {},
): PlannedTask {
  const { name } = definition;
  const { after = [], ...options } = { ...definition.options, ...over };
  const timeouts = { ...definition.options.timeouts, ...over.timeouts };
  const { priority, needs, retry, metadata } = options;
  const { startToClose, scheduleToClose } = timeouts;
  return {
    key,
    taskId: `${dagId}-${key}`,
    type: name,
    input: checked(definition.input, input, `the input of task ${key} (${name})`),
    dependencies: after.map((task) => `${dagId}-${task.key}`),
    ...(priority === undefined ? {} : { priority }),
    ...(needs === undefined ? {} : { requiredCapabilities: needs }),
    ...(retry === undefined ? {} : { retry }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(startToClose === undefined ? {} : { timeoutMs: msOf(startToClose, "timeouts.startToClose") }),
    ...(scheduleToClose === undefined ? {} : { scheduleToCloseMs: msOf(scheduleToClose, "timeouts.scheduleToClose") }),
  };
}

function checked(schema: Schema | undefined, value: unknown, what: string): unknown {
  const result = check(schema, value);
  if (result.ok) return result.value;
  throw wrong(`${what} is wrong: ${result.message}`);
}

function wrong(message: string): ApplicationFailure {
  return new ApplicationFailure(message, { type: "INVALID_INPUT", nonRetryable: true });
}
