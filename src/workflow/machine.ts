/**
 * An xstate machine as a durable workflow: its events are signals, `after` is a durable timer, invoked actors are tasks,
 * and its snapshot is what the run stands at. The same machine that is drawn and tested elsewhere runs here.
 */
import {
  type AnyActor,
  type AnyActorLogic,
  type AnyStateMachine,
  createActor,
  fromPromise,
  type OutputFrom,
  toPromise,
} from "xstate";
import type { WorkflowContext } from "./context.js";
import { type TaskDefinition, type WorkflowDeclaration, type WorkflowDefinition, workflow } from "./definition.js";
import type { RunContext } from "./run-context.js";
import type { Schema } from "./standard-schema.js";

type AnyTask = TaskDefinition<Schema | undefined, Schema | undefined>;

/** What an invoked actor is: a task for an agent, or code that asks the workflow's context for what it needs. */
export type MachineActor = AnyTask | ((context: WorkflowContext, input: unknown) => Promise<unknown>);

export interface MachineOptions {
  /** By the name under which the machine invokes them. */
  readonly actors?: Readonly<Record<string, MachineActor>>;
}

interface MachineDeclaration extends WorkflowDeclaration {
  readonly queries: { readonly snapshot: object };
}

/**
 * The workflow's input is the machine's, its output the machine's; the query `snapshot` answers with value, context and
 * status. A signal is sent as the event of its name, with the fields of what it carries. Cancelling the run cancels what
 * is invoked, and ends it where the machine only waits.
 */
export function machine<Machine extends AnyStateMachine>(
  name: string,
  logic: Machine,
  { actors = {} }: MachineOptions = {},
): WorkflowDefinition<MachineDeclaration> {
  return workflow(name, { queries: { snapshot: {} } }, async (ctx, input): Promise<unknown> => {
    // The names of a machine's events are not known to the types.
    const context = ctx as unknown as RunContext;
    const provided = Object.fromEntries(
      Object.entries(actors).map(([actor, code]) => [actor, logicOf(ctx as unknown as WorkflowContext, code)]),
    );
    const actor = createActor(logic.provide({ actors: provided } as never), { input: input as never });
    context.onQuery("snapshot", () => {
      const { value, context: data, status } = actor.getSnapshot();
      return { value, context: data, status };
    });
    // Nobody else looks at an error of the machine: the promise below throws it.
    actor.subscribe({ error: () => undefined });
    actor.start();
    for (const type of logic.events) {
      if (type.includes("*")) continue;
      context.onSignal(type, (fields) => actor.send({ ...(fields as object), type } as never));
    }
    await ended(ctx as unknown as WorkflowContext, actor);
    return (await toPromise(actor)) as OutputFrom<Machine>;
  });
}

/**
 * Until the machine is done. When the run is cancelled, what is invoked is, and the machine sees that as its error and may
 * clean up with other actors; once it only waits, for an event or its time, the run ends.
 */
async function ended(ctx: WorkflowContext, actor: AnyActor): Promise<void> {
  const hasEnded = () => actor.getSnapshot().status !== "active";
  const isBusy = () =>
    Object.values<AnyActor>(actor.getSnapshot().children).some((child) => child.getSnapshot().status === "active");
  try {
    await ctx.condition(hasEnded);
  } catch (cancelled) {
    await ctx.nonCancellable(() => ctx.condition(() => hasEnded() || !isBusy()));
    if (!hasEnded()) throw cancelled;
  }
}

function logicOf(ctx: WorkflowContext, code: MachineActor): AnyActorLogic {
  return fromPromise(({ input, signal }: { input: unknown; signal: AbortSignal }) =>
    // A state that is left gives up what it invoked.
    ctx.cancellable((cancel) => {
      signal.addEventListener("abort", cancel, { once: true });
      return typeof code === "function" ? code(ctx, input) : ctx.task(code as AnyTask, input as never);
    }),
  );
}
