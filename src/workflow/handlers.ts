/** Handlers of signals, queries and updates, and what came before its handler did. */
import type { QueryAnswer, QueryRequest, UpdateRequest } from "../protocol/activation.js";
import type { Command } from "../protocol/command.js";
import type { WorkflowDeclaration } from "./definition.js";
import { ApplicationFailure, failureOf } from "./failures.js";
import { check, type Schema } from "./standard-schema.js";

export type SignalHandler = (input: unknown) => void | Promise<void>;
export type QueryHandler = (input: unknown) => unknown;
export interface UpdateHandler {
  readonly handle: (input: unknown) => unknown;
  readonly validate: ((input: unknown) => void) | undefined;
}

export class Handlers {
  readonly #declared: WorkflowDeclaration;
  readonly #tell: (command: Command) => void;
  readonly #signals = new Map<string, SignalHandler>();
  readonly #queries = new Map<string, QueryHandler>();
  readonly #updates = new Map<string, UpdateHandler>();
  /** Signals that nobody took yet, by name, in order. */
  readonly #waitingSignals = new Map<string, unknown[]>();
  /** Code that waits for the next signal of a name. */
  readonly #takers = new Map<string, ((input: unknown) => void)[]>();
  #leftUpdates: { readonly update: UpdateRequest; readonly resume: () => void }[] = [];
  #running = 0;

  constructor(declared: WorkflowDeclaration, tell: (command: Command) => void) {
    this.#declared = declared;
    this.#tell = tell;
  }

  get allFinished(): boolean {
    return this.#running === 0;
  }

  async signal(name: string, given: unknown): Promise<void> {
    const checked = check(this.#declared.signals?.[name], given);
    // A signal that nobody can understand must not hold up the run: its sender was told, or used another schema.
    if (!checked.ok) return;
    const input = checked.value;
    const handler = this.#signals.get(name);
    if (handler !== undefined) {
      await this.#run(() => handler(input));
      return;
    }
    const taker = this.#takers.get(name)?.shift();
    if (taker !== undefined) {
      taker(input);
      return;
    }
    const waiting = this.#waitingSignals.get(name);
    if (waiting === undefined) this.#waitingSignals.set(name, [input]);
    else waiting.push(input);
  }

  /** The next signal of a name, now or when it comes. */
  takeSignal(name: string, take: (input: unknown) => void): () => void {
    const waiting = this.#waitingSignals.get(name);
    if (waiting !== undefined && waiting.length > 0) {
      take(waiting.shift());
      return () => undefined;
    }
    const takers = this.#takers.get(name) ?? [];
    this.#takers.set(name, takers);
    takers.push(take);
    return () => {
      const index = takers.indexOf(take);
      if (index !== -1) takers.splice(index, 1);
    };
  }

  /** @returns runs of the handler for what came before it, each of which may throw as a run's code does */
  onSignal(name: string, handler: SignalHandler): Promise<void>[] {
    this.#signals.set(name, handler);
    const waiting = this.#waitingSignals.get(name) ?? [];
    this.#waitingSignals.delete(name);
    return waiting.map((input) => this.#run(() => handler(input)));
  }

  onQuery(name: string, handler: QueryHandler): void {
    this.#queries.set(name, handler);
  }

  onUpdate(name: string, handler: UpdateHandler): void {
    this.#updates.set(name, handler);
    const resumed = this.#leftUpdates.filter(({ update }) => update.name === name);
    this.#leftUpdates = this.#leftUpdates.filter(({ update }) => update.name !== name);
    for (const { resume } of resumed) resume();
  }

  async update(update: UpdateRequest, mode: "first" | "accepted before"): Promise<void> {
    const handler = this.#updates.get(update.name);
    if (handler === undefined) {
      await new Promise<void>((resolve) => this.#leftUpdates.push({ update, resume: resolve }));
      const late = this.#updates.get(update.name);
      if (late === undefined) return;
      await this.#update(update, late, mode);
      return;
    }
    await this.#update(update, handler, mode);
  }

  /** Nobody took them by the end of the turn in which they came. */
  rejectLeftUpdates(): void {
    for (const { update } of this.#leftUpdates.splice(0)) {
      const known = [...this.#updates.keys()].join(", ") || "none";
      const message = `the workflow has no handler for update "${update.name}"; it has: ${known}`;
      this.#tell({
        type: "RejectUpdate",
        updateId: update.updateId,
        failure: { type: "UPDATE_NOT_REGISTERED", message },
      });
    }
  }

  query({ queryId, name, input }: QueryRequest): QueryAnswer {
    const handler = this.#queries.get(name);
    if (handler === undefined) {
      const known = [...this.#queries.keys()].join(", ") || "none";
      const message = `the workflow has no handler for query "${name}"; it has: ${known}`;
      return { queryId, failure: { type: "QUERY_NOT_REGISTERED", message } };
    }
    try {
      const given = checked(this.#declared.queries?.[name]?.input, input, `the input of query ${name}`);
      const output = handler(given);
      if (output instanceof Promise) {
        throw new ApplicationFailure(`the handler of query ${name} is asynchronous; queries only read what is there`, {
          type: "QUERY_ASYNC",
        });
      }
      return {
        queryId,
        output: checked(this.#declared.queries?.[name]?.output, output, `the output of query ${name}`) ?? null,
      };
    } catch (thrown) {
      return { queryId, failure: failureOf(thrown) };
    }
  }

  async #update(update: UpdateRequest, handler: UpdateHandler, mode: "first" | "accepted before"): Promise<void> {
    const { updateId, name } = update;
    const declared = this.#declared.updates?.[name];
    let input: unknown;
    try {
      input = checked(declared?.input, update.input, `the input of update ${name}`);
      // A value of its own: what a validator does to it is not seen by the handler.
      if (mode === "first") handler.validate?.(structuredClone(input));
    } catch (thrown) {
      this.#tell({ type: "RejectUpdate", updateId, failure: failureOf(thrown) });
      return;
    }
    this.#tell({ type: "AcceptUpdate", updateId });
    await this.#run(async () => {
      try {
        const output = checked(declared?.output, await handler.handle(input), `the output of update ${name}`);
        this.#tell({ type: "CompleteUpdate", updateId, output: output ?? null });
      } catch (thrown) {
        if (isBroken(thrown)) throw thrown;
        this.#tell({ type: "CompleteUpdate", updateId, failure: failureOf(thrown) });
      }
    });
  }

  async #run(handle: () => void | Promise<void>): Promise<void> {
    this.#running += 1;
    try {
      await handle();
    } finally {
      this.#running -= 1;
    }
  }
}

/** An update's failure is its caller's affair; what breaks the code itself holds the run. */
function isBroken(thrown: unknown): boolean {
  return thrown instanceof TypeError || thrown instanceof ReferenceError;
}

function checked(schema: Schema | undefined, value: unknown, what: string): unknown {
  const result = check(schema, value);
  if (result.ok) return result.value;
  throw new ApplicationFailure(`${what} is wrong: ${result.message}`, { type: "INVALID_INPUT", nonRetryable: true });
}
