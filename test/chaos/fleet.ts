/**
 * The orchestrators and agents of a run: real processes, each in a place of its own, and started again a moment after it
 * ended, as a supervisor would.
 */
import type { Agenda } from "./agenda.js";
import { Child, type ChildEnd } from "./child.js";
import type { OrchestratorWord } from "./orchestrator-process.js";

export interface FleetOptions {
  readonly agenda: Agenda;
  readonly logFolder: string;
  readonly places: readonly PlaceOptions[];
  /** How long a place stays empty. */
  readonly restartAfterMs: () => number;
  readonly onFault: (what: string) => void;
}

export interface PlaceOptions {
  readonly name: string;
  readonly kind: "orchestrator" | "agent";
  readonly script: string;
  readonly options: object;
}

/** Codes with which an orchestrator may end that starts while there is no server. */
const withoutServer: ReadonlySet<string> = new Set([
  "CONNECTION_FAILED",
  "STORAGE_UNAVAILABLE",
  "REQUEST_TIMED_OUT",
  "NO_RESPONDERS",
]);

/** One name, and the process that has it now. */
export class Place {
  readonly name: string;
  readonly kind: PlaceOptions["kind"];
  readonly #fleet: FleetOptions;
  readonly #options: PlaceOptions;
  /** The last one is the one in charge; those before it were replaced while they were frozen. */
  #children: Child[] = [];
  /** Of an orchestrator, as it said last. */
  #state = "";
  #hasStoodBy = false;
  #closed = false;

  constructor(fleet: FleetOptions, options: PlaceOptions) {
    this.name = options.name;
    this.kind = options.kind;
    this.#fleet = fleet;
    this.#options = options;
  }

  get child(): Child | undefined {
    return this.#children.at(-1);
  }

  get runs(): boolean {
    return this.child?.state === "running";
  }

  get leads(): boolean {
    return this.runs && (this.#state === "leading" || this.#state === "recovering");
  }

  /** Also while another process has the name: then that one is replaced. */
  start(): void {
    if (this.#closed) return;
    const { name, script, options } = this.#options;
    this.#state = "";
    this.#hasStoodBy = false;
    const child: Child = new Child({
      name,
      script,
      options,
      logFolder: this.#fleet.logFolder,
      onWord: (word) => this.#hear(word as OrchestratorWord),
      onEnd: (end) => this.#ended(child, end),
    });
    this.#children.push(child);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#children.map((child) => child.kill()));
  }

  thaw(): void {
    for (const child of this.#children) child.thaw();
  }

  #hear(word: OrchestratorWord): void {
    if ("state" in word) {
      this.#state = word.state;
      this.#hasStoodBy ||= word.state === "standby";
      return;
    }
    if (word.ended === null || (!this.#hasStoodBy && withoutServer.has(word.ended))) return;
    this.#fleet.onFault(`${this.name} ended by itself: ${word.ended} ${word.message}`);
  }

  #ended(child: Child, { code, signal, wanted }: ChildEnd): void {
    const wasInCharge = this.child === child;
    this.#children = this.#children.filter((other) => other !== child);
    // 3: an expected fault, which a process reports in its own way. A drained or replaced agent ends with 0.
    const isCrash = wanted === "no" && code !== 0 && code !== 3;
    if (isCrash) this.#fleet.onFault(`${this.name} crashed (${signal ?? `exit code ${code}`}); see ${this.name}.log`);
    const { agenda, restartAfterMs } = this.#fleet;
    if (wasInCharge && !this.#closed) {
      agenda.after(restartAfterMs(), () => {
        if (this.child === undefined) this.start();
      });
    }
  }
}

export class Fleet {
  readonly orchestrators: readonly Place[];
  readonly agents: readonly Place[];

  constructor(options: FleetOptions) {
    const places = options.places.map((place) => new Place(options, place));
    this.orchestrators = places.filter(({ kind }) => kind === "orchestrator");
    this.agents = places.filter(({ kind }) => kind === "agent");
  }

  get all(): readonly Place[] {
    return [...this.orchestrators, ...this.agents];
  }

  get leader(): Place | undefined {
    return this.orchestrators.find((place) => place.leads);
  }
}
