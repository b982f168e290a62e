/** Handlers of signals, queries and updates, and what came before its handler did. */
import type { QueryAnswer, QueryRequest, UpdateRequest } from "../protocol/activation.js";
import type { Command } from "../protocol/command.js";
import { unwatched } from "./ask.js";
import { isBrokenCode } from "./broken-code.js";
import { ContinueAsNew } from "./continue-as-new.js";
import type { WorkflowDeclaration } from "./definition.js";
import { ApplicationFailure, failureOf } from "./failures.js";
import { jsonCopy } from "./json-copy.js";
import { check, type Schema } from "./standard-schema.js";

export type SignalHandler = (input: unknown) => void | Promise<void>;
export type QueryHandler = (input: unknown) => unknown;
export interface UpdateHandler {
  readonly handle: (input: unknown) => unknown;
  readonly validate: ((input: unknown) => unknown) | undefined;
}

/** A signal that came before anybody wanted it. */
interface WaitingSignal {
  /** As its schema has it. */
  readonly input: unknown;
  /** As it came. */
  readonly given: unknown;
  /** Among all that had to wait. */
  readonly place: number;
}

/** What handlers need of their run. */
export interface HandlerSurroundings {
  tell(command: Command): void;
  /** Runs a handler whose end nobody awaits, by the rules of the workflow's code. */
  start(handle: () => Promise<void>): void;
  readOnly<T>(code: () => T): T;
  ignoredSignal(name: string, why: string): void;
}

export class Handlers {
  readonly #declared: WorkflowDeclaration;
  readonly #run: HandlerSurroundings;
  readonly #signals = new Map<string, SignalHandler>();
  readonly #queries = new Map<string, QueryHandler>();
  readonly #updates = new Map<string, UpdateHandler>();
  /** Signals that nobody took yet, by name, in order. */
  readonly #waitingSignals = new Map<string, WaitingSignal[]>();
  /** Code that waits for the next signal of a name. */
  readonly #takers = new Map<string, ((input: unknown) => void)[]>();
  #leftUpdates: { readonly update: UpdateRequest; readonly resume: () => void }[] = [];
  #running = 0;
  #signalCount = 0;

  constructor(declared: WorkflowDeclaration, run: HandlerSurroundings) {
    this.#declared = declared;
    this.#run = run;
  }

  get allFinished(): boolean {
    return this.#running === 0;
  }

  /** Whether anything but a query could come in here. */
  get listens(): boolean {
    return this.#signals.size + this.#updates.size > 0 || [...this.#takers.values()].some(({ length }) => length > 0);
  }

  async signal(name: string, given: unknown): Promise<void> {
    const checked = check(this.#declared.signals?.[name], given);
    if (!checked.ok) {
      // One that nobody can understand must not hold up the run. Our own client refuses to send it.
      this.#run.ignoredSignal(name, checked.message);
      return;
    }
    const input = checked.value;
    const handler = this.#signals.get(name);
    if (handler !== undefined) {
      await this.#counted(() => handler(input));
      return;
    }
    const taker = this.#takers.get(name)?.shift();
    if (taker !== undefined) {
      taker(input);
      return;
    }
    const waiting = this.#waitingSignals.get(name);
    this.#signalCount += 1;
    const signal = { input, given, place: this.#signalCount };
    if (waiting === undefined) this.#waitingSignals.set(name, [signal]);
    else waiting.push(signal);
  }

  /** What nobody took, as it came, in the order in which it came. */
  untakenSignals(): { signalName: string; input?: unknown }[] {
    const untaken = [...this.#waitingSignals].flatMap(([signalName, waiting]) =>
      waiting.map(({ given, place }) => ({ signalName, given, place })),
    );
    return untaken
      .toSorted((a, b) => a.place - b.place)
      .map(({ signalName, given }) => (given === undefined ? { signalName } : { signalName, input: given }));
  }

  /** The next signal of a name, now or when it comes. */
  takeSignal(name: string, take: (input: unknown) => void): () => void {
    const waiting = this.#waitingSignals.get(name);
    const first = waiting?.shift();
    if (first !== undefined) {
      take(first.input);
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

  /** Handles also what came before it, in order. */
  onSignal(name: string, handler: SignalHandler): void {
    this.#signals.set(name, handler);
    const waiting = this.#waitingSignals.get(name) ?? [];
    this.#waitingSignals.delete(name);
    for (const { input } of waiting) this.#run.start(() => this.#counted(() => handler(input)));
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
    if (!this.#updates.has(update.name)) {
      await new Promise<void>((resume) => this.#leftUpdates.push({ update, resume }));
    }
    const handler = this.#updates.get(update.name);
    if (handler !== undefined) await this.#update(update, handler, mode);
  }

  /** Nobody took them by the end of the turn in which they came. */
  rejectLeftUpdates(): void {
    for (const { update } of this.#leftUpdates.splice(0)) {
      const message = `the workflow has no handler for update "${update.name}"; it has: ${namesOf(this.#updates)}`;
      const failure = { type: "UPDATE_NOT_REGISTERED", message };
      this.#run.tell({ type: "RejectUpdate", updateId: update.updateId, failure });
    }
  }

  query({ queryId, name, input }: QueryRequest): QueryAnswer {
    const handler = this.#queries.get(name);
    if (handler === undefined) {
      const message = `the workflow has no handler for query "${name}"; it has: ${namesOf(this.#queries)}`;
      return { queryId, failure: { type: "QUERY_NOT_REGISTERED", message } };
    }
    const declared = this.#declared.queries?.[name];
    try {
      const asked = checked(declared?.input, input, `the input of query ${name}`);
      const output = this.#run.readOnly(() =>
        synchronous(handler(asked), "QUERY_ASYNC", `the handler of query ${name}`),
      );
      const given = checked(declared?.output, output, `the output of query ${name}`);
      return { queryId, output: jsonCopy(given, `the output of query ${name}`) ?? null };
    } catch (thrown) {
      return { queryId, failure: failureOf(thrown) };
    }
  }

  async #update(update: UpdateRequest, handler: UpdateHandler, mode: "first" | "accepted before"): Promise<void> {
    const { updateId, name } = update;
    const declared = this.#declared.updates?.[name];
    const inputOf = (given: unknown): unknown => checked(declared?.input, given, `the input of update ${name}`);
    const outputOf = (given: unknown): unknown => {
      const what = `the output of update ${name}`;
      return jsonCopy(checked(declared?.output, given, what), what) ?? null;
    };
    const { validate } = handler;
    let input: unknown;
    try {
      input = inputOf(update.input);
      if (mode === "first" && validate !== undefined) {
        // Its own: what it does to it is not seen by the handler.
        const looked = inputOf(structuredClone(update.input));
        this.#run.readOnly(() => synchronous(validate(looked), "VALIDATOR_ASYNC", `the validator of update ${name}`));
      }
    } catch (thrown) {
      this.#run.tell({ type: "RejectUpdate", updateId, failure: failureOf(thrown) });
      return;
    }
    this.#run.tell({ type: "AcceptUpdate", updateId });
    await this.#counted(async () => {
      try {
        const returned = handler.handle(input);
        // What is there at once is copied at once: a handler that runs right behind this one may change it.
        const output = isThenable(returned) ? outputOf(await returned) : await outputOf(returned);
        this.#run.tell({ type: "CompleteUpdate", updateId, output });
      } catch (thrown) {
        // An update's failure is its caller's affair; what concerns the run goes on to it.
        if (isBrokenCode(thrown) || thrown instanceof ContinueAsNew) throw thrown;
        this.#run.tell({ type: "CompleteUpdate", updateId, failure: failureOf(thrown) });
      }
    });
  }

  async #counted(handle: () => void | Promise<void>): Promise<void> {
    this.#running += 1;
    try {
      await handle();
    } finally {
      this.#running -= 1;
    }
  }
}

function namesOf(handlers: ReadonlyMap<string, unknown>): string {
  return [...handlers.keys()].join(", ") || "none";
}

/** @throws ApplicationFailure for a promise, whatever becomes of it */
function synchronous(returned: unknown, type: string, what: string): unknown {
  if (!isThenable(returned)) return returned;
  void unwatched(Promise.resolve(returned));
  throw new ApplicationFailure(`${what} is asynchronous; it may only look at what is there`, { type });
}

function checked(schema: Schema | undefined, value: unknown, what: string): unknown {
  const result = check(schema, value);
  if (result.ok) return result.value;
  throw new ApplicationFailure(`${what} is wrong: ${result.message}`, { type: "INVALID_INPUT", nonRetryable: true });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value;
}
