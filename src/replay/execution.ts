/**
 * One run in a worker's memory: feeds a workflow's code what its history says, turn by turn, and collects what the code
 * asks for. A turn is what one activation was: events in, commands out. Turns that are in the history are repeated and
 * held against it; the last one is new.
 */
import type { Activation, QueryAnswer, QueryRequest, UpdateRequest } from "../protocol/activation.js";
import type { Command } from "../protocol/command.js";
import { commandEventTypes, type HistoryEvent, type HistoryEventOf } from "../protocol/history-event.js";
import { closeCommandTypes } from "./close-commands.js";
import { matchCommands } from "./command-match.js";
import { Conditions } from "./conditions.js";
import { currentRun, runInside, type Surroundings } from "./current-run.js";
import { ContextMisuseError, NondeterminismError } from "./errors.js";
import { Patches } from "./patches.js";
import { SeededRandom } from "./random.js";
import { untilQuiet } from "./until-quiet.js";

/**
 * The workflow's code, as this folder needs it. What its promises resolve with closes the run; null lets it go on. They
 * reject with what no code can go on from.
 */
export interface WorkflowCode {
  /** Starts the code; called once, in the first turn. */
  start(): Promise<Command>;
  /** Runs the synchronous part of a signal's handler, or keeps the signal for later. */
  signal(signal: HistoryEventOf<"WorkflowExecutionSignaled">): Promise<Command | null>;
  /** Validates unless it was accepted before, then runs the handler. */
  update(update: UpdateRequest, mode: "first" | "accepted before"): Promise<Command | null>;
  /** Something that nobody awaits threw this. */
  thrown(reason: unknown): Promise<Command | null>;
  cancel(): void;
  query(query: QueryRequest): QueryAnswer;
  /** Updates that nobody took by the end of a turn. */
  rejectLeftUpdates(): void;
  /** Whether a signal or an update could make it go on. */
  listens(): boolean;
}

export interface ExecutionOptions {
  readonly workflowId: string;
  readonly runId: string;
  readonly code: WorkflowCode;
  /** `what` the code used that no history has. */
  readonly onWarning: (what: string) => void;
}

/** What one turn is made of. */
interface Turn {
  readonly inputs: readonly HistoryEvent[];
  readonly updates: readonly UpdateRequest[];
  readonly startedAt: number;
  readonly continueAsNewSuggested: boolean;
  readonly mode: "replaying" | "live";
}

/** Of one turn: far more than code has things to wait for, and passed within moments where it goes round. */
const CONDITIONS_MET_MAX = 20_000;

type Listener = (event: HistoryEvent) => void;
type RecordedTurn = HistoryEventOf<"WorkflowTaskCompleted">;

export class Execution implements Surroundings {
  readonly workflowId: string;
  /** As the history says it: what is copied from a run that was reset knew that one's. */
  #runId: string;
  readonly #code: WorkflowCode;
  readonly #onWarning: (what: string) => void;
  readonly #listeners = new Map<number, Listener>();
  readonly #conditions = new Conditions();
  readonly #patches = new Patches();
  #random: SeededRandom;
  #started: HistoryEventOf<"WorkflowExecutionStarted"> | null = null;
  /** Events that no turn has seen yet. */
  #inputs: HistoryEvent[] = [];
  #commands: Command[] = [];
  #lastSeq = 0;
  #now = 0;
  #mode: "idle" | "replaying" | "live" | "reading" = "idle";
  #failure: { readonly reason: unknown } | null = null;
  #historyLength = 0;
  #continueAsNewSuggested = false;
  #closed = false;
  /** Whether the turn has seen anything that its history will have: a rejected update is nothing. */
  #hasNews = false;
  #misuse: ContextMisuseError | null = null;
  /** Conditions that held, in this turn. */
  #met = 0;

  constructor(options: ExecutionOptions) {
    this.workflowId = options.workflowId;
    this.#runId = options.runId;
    this.#code = options.code;
    this.#onWarning = options.onWarning;
    this.#random = new SeededRandom(options.runId);
  }

  // What an activation needs.

  /** Whether the code has closed the run: there is nothing left but queries. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Takes in what is new, repeats the turns that are recorded and makes one of the rest.
   * @throws NondeterminismError where the code differs from the history; whatever else keeps the code from going on
   */
  async activate(activation: Activation, events: readonly HistoryEvent[]): Promise<readonly Command[]> {
    await this.replay(events);
    this.#historyLength = activation.lastEventId;
    if (activation.queriesOnly || this.#closed) return [];
    const { updates, startedAt, continueAsNewSuggested } = activation;
    const inputs = this.#takeInputs();
    return await this.#turn({ inputs, updates, startedAt, continueAsNewSuggested, mode: "live" });
  }

  /** Repeats the recorded turns among `events`; what follows the last of them is kept for a turn to come. */
  async replay(events: readonly HistoryEvent[]): Promise<void> {
    let index = 0;
    while (index < events.length) {
      const event = events[index] as HistoryEvent;
      index += 1;
      if (event.type !== "WorkflowTaskCompleted") {
        this.#inputs.push(event);
        continue;
      }
      const recorded: HistoryEvent[] = [];
      for (let next = events[index]; next !== undefined && commandEventTypes.has(next.type); next = events[index]) {
        recorded.push(next);
        index += 1;
      }
      await this.#repeat(event, recorded);
    }
  }

  answer(queries: readonly QueryRequest[]): QueryAnswer[] {
    return queries.map((query) => this.#code.query(query));
  }

  async #repeat(turn: RecordedTurn, recorded: readonly HistoryEvent[]): Promise<void> {
    this.#historyLength = turn.eventId - 1;
    const updates: UpdateRequest[] = [];
    for (const event of recorded) {
      if (event.type === "PatchRecorded") this.#patches.note(event.patchId);
      if (event.type !== "WorkflowExecutionUpdateAccepted") continue;
      updates.push({ updateId: event.updateId, name: event.updateName, input: event.input });
    }
    const { startedAt, continueAsNewSuggested = false } = turn;
    const inputs = this.#takeInputs();
    const produced = await this.#turn({ inputs, updates, startedAt, continueAsNewSuggested, mode: "replaying" });
    matchCommands(produced, recorded, turn);
  }

  async #turn({ inputs, updates, startedAt, continueAsNewSuggested, mode }: Turn): Promise<readonly Command[]> {
    this.#now = startedAt;
    this.#continueAsNewSuggested = continueAsNewSuggested;
    this.#mode = mode;
    this.#commands = [];
    this.#met = 0;
    this.#hasNews = inputs.length > 0;
    for (const event of inputs) this.#noteRun(event);
    runInside(this, () => {
      const [started] = inputs;
      // Signals and updates first: on the first turn their handlers may already be there when the code begins.
      for (const event of inputs) if (isSignal(event)) this.#apply(event);
      const known = mode === "replaying" ? "accepted before" : "first";
      for (const update of updates) {
        this.follow(this.#code.update(update, known));
        this.#testConditions();
      }
      if (started?.type === "WorkflowExecutionStarted") this.#start(started);
      for (const event of inputs) if (!isSignal(event)) this.#apply(event);
    });
    await this.#settle();
    runInside(this, () => this.#code.rejectLeftUpdates());
    await this.#settle();
    this.#mode = "idle";
    if (this.#failure === null && mode === "live") this.#mustWaitForSomething();
    if (this.#failure !== null) throw this.#failure.reason;
    return this.#takeCommands();
  }

  /** Ids and random numbers follow from the run that the turn was made in, also where it is repeated in another. */
  #noteRun(event: HistoryEvent): void {
    const runId =
      event.type === "WorkflowExecutionStarted"
        ? event.runId
        : event.type === "WorkflowTaskFailed"
          ? event.newRunId
          : this.#runId;
    if (runId === this.#runId) return;
    this.#runId = runId;
    this.#random = new SeededRandom(runId);
  }

  #start(started: HistoryEventOf<"WorkflowExecutionStarted">): void {
    this.#started = started;
    this.follow(this.#code.start());
    this.#testConditions();
  }

  #testConditions(): boolean {
    return this.#hasNews && this.#conditions.test();
  }

  async #settle(): Promise<void> {
    await untilQuiet();
    while (runInside(this, () => this.#testConditions()) && this.noteMet()) await untilQuiet();
  }

  #apply(event: HistoryEvent): void {
    if (event.type === "WorkflowExecutionSignaled") this.follow(this.#code.signal(event));
    else if (event.type === "WorkflowExecutionCancelRequested") this.#code.cancel();
    else if ("seq" in event) this.#listeners.get(event.seq)?.(event);
    this.#testConditions();
  }

  /** Code that awaits what no event will ever answer is not seen again; better that somebody hears of it. */
  #mustWaitForSomething(): void {
    const waits = this.#listeners.size + this.#conditions.size > 0 || this.#code.listens();
    if (!this.#closed && !waits) this.fail(this.#outsideOfTurn("waits"));
  }

  #takeInputs(): readonly HistoryEvent[] {
    const inputs = this.#inputs;
    this.#inputs = [];
    return inputs;
  }

  /** What is asked for behind the close concerns nobody. */
  #takeCommands(): readonly Command[] {
    const close = this.#commands.findIndex(({ type }) => closeCommandTypes.has(type));
    const commands = close === -1 ? this.#commands : this.#commands.slice(0, close + 1);
    this.#commands = [];
    return commands;
  }

  // What the workflow's context needs.

  get runId(): string {
    return this.#runId;
  }

  get started(): HistoryEventOf<"WorkflowExecutionStarted"> {
    if (this.#started === null) throw new Error(`run ${this.runId} has no start`);
    return this.#started;
  }

  get isReplaying(): boolean {
    return this.#mode === "replaying";
  }

  /** Events that the turn under way stands on. */
  get historyLength(): number {
    return this.#historyLength;
  }

  get continueAsNewSuggested(): boolean {
    return this.#continueAsNewSuggested;
  }

  /** Asks for something that the history will answer: `listen` hears each event that names its `seq`. */
  ask(build: (seq: number) => Command, listen: Listener): number {
    this.#mustBeInTurn();
    const seq = this.#lastSeq + 1;
    this.#commands.push(build(seq));
    this.#lastSeq = seq;
    this.#listeners.set(seq, listen);
    return seq;
  }

  /** Asks for something that needs no answer. */
  tell(command: Command): void {
    this.#mustBeInTurn();
    if (command.type === "AcceptUpdate") this.#hasNews = true;
    this.#commands.push(command);
  }

  /** Nothing more is to be heard of it. */
  forget(seq: number): void {
    this.#listeners.delete(seq);
  }

  /** Code goes on, for its condition holds; false where that has no end: then the turn has failed. */
  noteMet(): boolean {
    this.#met += 1;
    if (this.#met <= CONDITIONS_MET_MAX) return true;
    const message = `the code of workflow ${this.workflowId} went on from conditions ${CONDITIONS_MET_MAX} times in one activation and did not come to wait for anything: one of them always holds, or they make each other true for ever`;
    this.fail(new Error(message));
    return false;
  }

  /** Calls `met` once `holds` is true, or `broke` with what it throws; returns what gives it up. */
  when(holds: () => boolean, met: () => void, broke: (reason: unknown) => void): () => void {
    this.#mustBeInTurn();
    return this.#conditions.add({ holds, met, broke });
  }

  /** Whether code behind this patch is to run: it was recorded, or this is no replay. */
  patched(patchId: string): boolean {
    if (this.#mode === "reading") return this.#patches.isTaken(patchId);
    const answer = this.#askPatch(patchId);
    if (answer === "taken now") this.tell({ type: "RecordPatch", patchId, deprecated: false });
    return answer !== "not taken";
  }

  /** Where the history does not have the patch nothing is noted: it is older, or the deprecation itself was removed. */
  deprecatePatch(patchId: string): void {
    if (this.#askPatch(patchId) === "taken now") this.tell({ type: "RecordPatch", patchId, deprecated: true });
  }

  #askPatch(patchId: string): ReturnType<Patches["ask"]> {
    this.#mustBeInTurn();
    return this.#patches.ask(patchId, this.isReplaying ? "replaying" : "live");
  }

  /**
   * Runs a query or a validator. Neither is repeated in a replay, so neither may leave anything: what it asks for is
   * refused, and what it draws at random is taken from elsewhere.
   */
  readOnly<T>(code: () => T): T {
    const mode = this.#mode;
    const random = this.#random;
    const drawn = new SeededRandom(`${this.runId}/reading`);
    // Of its own, so that what it leaves running by mistake is not taken for the workflow's code.
    const reader: Surroundings = {
      now: () => this.now(),
      random: () => drawn.next(),
      randomUuid: () => drawn.uuid(),
      randomBytes: (bytes) => drawn.fill(bytes),
      startTimer: () => {
        this.#misuse = this.#misused();
        throw this.#misuse;
      },
      warn: (what) => this.warn(what),
      unhandled: (reason) => this.warn(`a promise in a query or a validator that nobody awaits (${String(reason)})`),
    };
    this.#mode = "reading";
    this.#random = drawn;
    this.#misuse = null;
    try {
      const value = runInside(reader, code);
      // Whoever made the mistake may not have looked at what came of it.
      if (this.#misuse !== null) throw this.#misuse;
      return value;
    } finally {
      this.#mode = mode;
      this.#random = random;
    }
  }

  /** Code that runs until it says how the run closes, or that the run cannot go on. */
  follow(running: Promise<Command | null>): void {
    running.then(
      (command) => {
        if (command === null || this.#closed) return;
        if (this.#mode === "idle") {
          this.#stray("ended");
          return;
        }
        this.#closed = true;
        this.#commands.push(command);
      },
      (reason: unknown) => this.fail(reason),
    );
  }

  /** The code cannot go on: the turn fails, and with it the activation. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
  }

  #mustBeInTurn(): void {
    if (this.#mode === "reading" || currentRun() !== this) {
      this.#misuse = this.#misused();
      throw this.#misuse;
    }
    if (this.#mode === "idle") throw this.#stray("asked for something");
  }

  /** It may be long until the next activation tells of it, so it is spoken of now. */
  #stray(did: "asked for something" | "ended"): NondeterminismError {
    this.warn("a wait for what is not in its history");
    const reason = this.#outsideOfTurn(did);
    this.fail(reason);
    return reason;
  }

  #misused(): ContextMisuseError {
    return new ContextMisuseError(
      `the context of workflow ${this.workflowId} was used outside of its code: in a step, in a query or a validator, or in the code of another run. Only the workflow's code and its handlers of signals and updates may ask for something.`,
    );
  }

  #outsideOfTurn(did: "asked for something" | "ended" | "waits"): NondeterminismError {
    const what =
      did === "waits"
        ? "waits for nothing that its history will ever have"
        : `${did} outside of an activation: it awaited what is not in its history`;
    return new NondeterminismError(
      `the code of workflow ${this.workflowId} ${what} (network, files, a timer of another library). Put that into ctx.step().`,
      this.#historyLength === 0 ? null : this.#historyLength,
    );
  }

  // What the globals follow.

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.#random.next();
  }

  randomUuid(): string {
    return this.#random.uuid();
  }

  randomBytes(bytes: Uint8Array): void {
    this.#random.fill(bytes);
  }

  startTimer(delayMs: number, fire: () => void): () => void {
    const seq = this.ask(
      (asked) => ({ type: "StartTimer", seq: asked, durationMs: delayMs }),
      (event) => {
        if (event.type !== "TimerFired") return;
        this.forget(seq);
        try {
          fire();
        } catch (reason) {
          this.unhandled(reason);
        }
      },
    );
    return () => {
      if (!this.#listeners.delete(seq)) return;
      this.tell({ type: "CancelTimer", seq });
    };
  }

  warn(what: string): void {
    if (this.#mode !== "replaying") this.#onWarning(what);
  }

  unhandled(reason: unknown): void {
    this.follow(this.#code.thrown(reason));
  }
}

function isSignal({ type }: HistoryEvent): boolean {
  return type === "WorkflowExecutionSignaled";
}
