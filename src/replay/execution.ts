/**
 * One run in a worker's memory: feeds a workflow's code what its history says, turn by turn, and collects what the code
 * asks for. A turn is what one activation was: events in, commands out. Turns that are in the history are repeated and
 * held against it; the last one is new.
 */
import type { Activation, ActivationAnswer, QueryAnswer, QueryRequest, UpdateRequest } from "../protocol/activation.js";
import type { Command } from "../protocol/command.js";
import { commandEventTypes, type HistoryEvent, type HistoryEventOf } from "../protocol/history-event.js";
import { closeCommandTypes } from "./close-commands.js";
import { matchCommands, NondeterminismError } from "./command-match.js";
import { runInside, type Surroundings } from "./current-run.js";
import { SeededRandom } from "./random.js";
import { untilQuiet } from "./sandbox-globals.js";

/** The workflow's code, as this folder needs it. */
export interface WorkflowCode {
  /** Starts the code; called once, in the first turn. Resolves with how the run closes; rejects where it cannot go on. */
  start(execution: Execution): Promise<Command>;
  /** Synchronous part of a signal's handler, or keeps it for later. Rejects as `start` does. */
  signal(signal: HistoryEventOf<"WorkflowExecutionSignaled">): Promise<Command | null>;
  /** Validates unless it was accepted before, then runs the handler. Resolves with what must close the run, if anything. */
  update(update: UpdateRequest, mode: "first" | "accepted before"): Promise<Command | null>;
  cancel(): void;
  query(query: QueryRequest): QueryAnswer;
  /** Updates that nobody took by the end of a turn. */
  rejectLeftUpdates(): void;
}

export interface ExecutionOptions {
  readonly workflowId: string;
  readonly runId: string;
  readonly code: WorkflowCode;
  readonly onWarning: (warning: string) => void;
}

type Listener = (event: HistoryEvent) => void;

export class Execution implements Surroundings {
  readonly workflowId: string;
  readonly runId: string;
  readonly #code: WorkflowCode;
  readonly #random: SeededRandom;
  readonly #onWarning: (warning: string) => void;
  readonly #listeners = new Map<number, Listener>();
  readonly #conditions = new Set<{ readonly holds: () => boolean; readonly met: () => void }>();
  /** Patches that the history has, from the first turn on: code asks before it gets there. */
  readonly #recordedPatches = new Set<string>();
  readonly #patchAnswers = new Map<string, boolean>();
  #started: HistoryEventOf<"WorkflowExecutionStarted"> | null = null;
  #inputs: HistoryEvent[] = [];
  #commands: Command[] = [];
  #lastSeq = 0;
  #now = 0;
  #mode: "idle" | "replaying" | "live" | "querying" = "idle";
  #failure: unknown = null;
  #hasFailed = false;
  #lastEventId = 0;
  /** Whether the code has closed the run. */
  #closed = false;
  continueAsNewSuggested = false;

  constructor(options: ExecutionOptions) {
    this.workflowId = options.workflowId;
    this.runId = options.runId;
    this.#code = options.code;
    this.#onWarning = options.onWarning;
    this.#random = new SeededRandom(options.runId);
  }

  // What an activation needs.

  /**
   * Takes in what is new, repeats the turns that are recorded and makes one of the rest.
   * @throws NondeterminismError where the code differs from the history; whatever else keeps the code from going on
   */
  async activate(activation: Activation, events: readonly HistoryEvent[]): Promise<ActivationAnswer> {
    await this.replay(events);
    this.continueAsNewSuggested = activation.continueAsNewSuggested;
    let commands: readonly Command[] = [];
    if (!activation.queriesOnly && !this.#closed) {
      const inputs = this.#inputs;
      this.#inputs = [];
      commands = await this.#turn(inputs, activation.updates, activation.startedAt, "live");
    }
    return { commands: [...commands], steps: [], queries: this.#answer(activation.queries) };
  }

  /** Repeats the recorded turns among `events`; what follows the last of them is kept for a turn to come. */
  async replay(events: readonly HistoryEvent[]): Promise<void> {
    for (const event of events) if (event.type === "PatchRecorded") this.#recordedPatches.add(event.patchId);
    let index = 0;
    while (index < events.length) {
      const event = events[index] as HistoryEvent;
      index += 1;
      this.#lastEventId = event.eventId;
      if (event.type !== "WorkflowTaskCompleted") {
        this.#inputs.push(event);
        continue;
      }
      const recorded: HistoryEvent[] = [];
      for (let next = events[index]; next !== undefined && commandEventTypes.has(next.type); next = events[index]) {
        recorded.push(next);
        index += 1;
      }
      const accepted = recorded.flatMap((asked) =>
        asked.type === "WorkflowExecutionUpdateAccepted"
          ? [{ updateId: asked.updateId, name: asked.updateName, input: asked.input }]
          : [],
      );
      const inputs = this.#inputs;
      this.#inputs = [];
      const produced = await this.#turn(inputs, accepted, event.startedAt, "replaying");
      matchCommands(produced, recorded);
    }
  }

  #answer(queries: readonly QueryRequest[]): QueryAnswer[] {
    this.#mode = "querying";
    try {
      return queries.map((query) => runInside(this, () => this.#code.query(query)));
    } finally {
      this.#mode = "idle";
    }
  }

  async #turn(
    inputs: readonly HistoryEvent[],
    updates: readonly UpdateRequest[],
    now: number,
    mode: "replaying" | "live",
  ): Promise<readonly Command[]> {
    this.#now = now;
    this.#mode = mode;
    this.#commands = [];
    runInside(this, () => {
      const isSignal = ({ type }: HistoryEvent): boolean => type === "WorkflowExecutionSignaled";
      const [started] = inputs;
      if (started?.type === "WorkflowExecutionStarted") this.#started = started;
      const isFirst = started !== undefined && started.type === "WorkflowExecutionStarted";
      // Signals and updates first: on the first turn their handlers may already be there when the code begins.
      for (const event of inputs) if (isSignal(event)) this.#apply(event);
      const known = mode === "replaying" ? "accepted before" : "first";
      for (const update of updates) this.#follow(this.#code.update(update, known));
      if (isFirst) this.#follow(this.#code.start(this));
      for (const event of inputs) if (!isSignal(event)) this.#apply(event);
      this.#meetConditions();
    });
    await this.#settle();
    runInside(this, () => this.#code.rejectLeftUpdates());
    await this.#settle();
    this.#mode = "idle";
    if (this.#hasFailed) throw this.#failure;
    return this.#takeCommands();
  }

  async #settle(): Promise<void> {
    await untilQuiet();
    while (runInside(this, () => this.#meetConditions())) await untilQuiet();
  }

  #apply(event: HistoryEvent): void {
    switch (event.type) {
      case "WorkflowExecutionSignaled":
        this.#follow(this.#code.signal(event));
        break;
      case "WorkflowExecutionCancelRequested":
        this.#code.cancel();
        break;
      default:
        if ("seq" in event) this.#listeners.get(event.seq)?.(event);
    }
    this.#meetConditions();
  }

  /** Code that runs until it says how the run closes, or that the run cannot go on. */
  #follow(running: Promise<Command | null>): void {
    running.then(
      (command) => {
        if (command === null || this.#closed) return;
        this.#closed = true;
        this.#commands.push(command);
      },
      (reason: unknown) => this.fail(reason),
    );
  }

  #meetConditions(): boolean {
    let met = false;
    for (const condition of [...this.#conditions]) {
      let holds = false;
      try {
        holds = condition.holds();
      } catch (reason) {
        this.fail(reason);
      }
      if (!holds) continue;
      this.#conditions.delete(condition);
      condition.met();
      met = true;
    }
    return met;
  }

  /** What is asked for behind the close concerns nobody. */
  #takeCommands(): readonly Command[] {
    const close = this.#commands.findIndex(({ type }) => closeCommandTypes.has(type));
    const commands = close === -1 ? this.#commands : this.#commands.slice(0, close + 1);
    this.#commands = [];
    return commands;
  }

  // What the workflow's context needs.

  get started(): HistoryEventOf<"WorkflowExecutionStarted"> {
    if (this.#started === null) throw new Error(`run ${this.runId} has no start`);
    return this.#started;
  }

  get isReplaying(): boolean {
    return this.#mode === "replaying";
  }

  get historyLength(): number {
    return this.#lastEventId;
  }

  /** Asks for something that the history will answer: `listen` hears each event that names its `seq`. */
  ask(build: (seq: number) => Command, listen: Listener): number {
    this.#mustBeInTurn();
    this.#lastSeq += 1;
    const seq = this.#lastSeq;
    this.#listeners.set(seq, listen);
    this.#commands.push(build(seq));
    return seq;
  }

  /** Asks for something that needs no answer. */
  tell(command: Command): void {
    this.#mustBeInTurn();
    this.#commands.push(command);
  }

  /** Nothing more is to be heard of it. */
  forget(seq: number): void {
    this.#listeners.delete(seq);
  }

  /** Calls `met` once `holds` is true, looked at after everything that happens; returns what gives it up. */
  when(holds: () => boolean, met: () => void): () => void {
    const condition = { holds, met };
    this.#conditions.add(condition);
    return () => this.#conditions.delete(condition);
  }

  /** Whether code behind this patch is to run: it was recorded, or this is no replay. */
  patched(patchId: string): boolean {
    const known = this.#patchAnswers.get(patchId);
    if (known !== undefined) return known;
    const answer = this.#mode !== "replaying" || this.#recordedPatches.has(patchId);
    // A "no" of a replay is not kept: once live, the same question may be answered with "yes".
    if (!answer) return false;
    this.#patchAnswers.set(patchId, true);
    this.tell({ type: "RecordPatch", patchId, deprecated: false });
    return true;
  }

  deprecatePatch(patchId: string): void {
    if (this.#patchAnswers.has(patchId)) return;
    // A history without it was written before the patch, or after it was deprecated and removed.
    if (this.#mode === "replaying" && !this.#recordedPatches.has(patchId)) return;
    this.#patchAnswers.set(patchId, true);
    this.tell({ type: "RecordPatch", patchId, deprecated: true });
  }

  /** The code cannot go on: the turn fails, and with it the activation. */
  fail(reason: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#failure = reason;
  }

  #mustBeInTurn(): void {
    if (this.#mode === "replaying" || this.#mode === "live") return;
    const message =
      this.#mode === "querying"
        ? `a query handler of workflow ${this.workflowId} asked for something; queries only read`
        : `the code of workflow ${this.workflowId} asked for something outside of an activation: it awaited what is not in its history (network, files, a timer of another run). Put that into ctx.step().`;
    const reason = new NondeterminismError(message, this.#lastEventId);
    if (this.#mode === "idle") this.fail(reason);
    throw reason;
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
          this.fail(reason);
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
}
