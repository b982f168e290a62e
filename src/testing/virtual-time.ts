/**
 * The clock of a test. It stands still while anything can happen without it, and jumps to what is due next when nothing
 * can any more. It moves only while the test waits for something, so that it acts at the instants it chose: code of a
 * mock that waits goes on when the test lets time pass.
 */
import { Deferred } from "../deferred.js";
import { PerdureError } from "../errors.js";
import { untilQuiet } from "../replay/until-quiet.js";
import { asleep, isInAttempt } from "./local-agent.js";

/** What the clock drives. */
export interface Driven {
  now: number;
  /** Resolves with the next thing that happens. */
  readonly news: Promise<void>;
  /** Whether code of mocks and steps is at work that takes the machine's time. */
  readonly isBusy: boolean;
  /** What is at work now is waited for no longer. */
  leaveBehind(): void;
  /** When something is due next; null where nothing is. */
  readonly nextDeadlineAt: number | null;
  /** Lets everything happen that takes no time, and is due. */
  settle(): Promise<void>;
}

interface Waiting {
  /** True once it need not wait any longer. */
  readonly isOver: () => boolean;
  readonly time: "may pass" | "stands still";
  /** Only that time passes: null for what has to happen. */
  readonly until: number | null;
  readonly whose: "the test's" | "a mock's";
  readonly resume: () => void;
  readonly giveUp: (why: Error) => void;
  readonly what: () => string;
  /** How often the clock has jumped for it. */
  jumps: number;
}

/** Taken before fake timers can be in their place. */
const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;

/**
 * Milliseconds of the machine. A mock that takes longer may be waiting for ever, for its cancellation perhaps; and where
 * nothing is left that could happen, the test itself may still be about to act.
 */
const PATIENCE_MS = 1_000;

/** Jumps of the clock after which what is waited for is not going to happen: something only ever goes round. */
const JUMPS_MAX = 10_000;

export class VirtualTime {
  readonly #driven: Driven;
  readonly #waiting = new Set<Waiting>();
  #state: "standing" | "running" = "standing";
  #arrival = new Deferred();

  constructor(driven: Driven) {
    this.#driven = driven;
  }

  /**
   * @throws PerdureError REQUEST_TIMED_OUT where nothing is left that could make it so, or things go on for ever
   *   without it; `what` says of what
   */
  wait(isOver: () => boolean, time: Waiting["time"], what: () => string): Promise<void> {
    return this.#wait({ isOver, time, until: null, what });
  }

  sleep(ms: number): Promise<void> {
    const until = this.#driven.now + ms;
    const isOver = (): boolean => this.#driven.now >= until;
    return this.#wait({ isOver, time: "may pass", until, what: () => "the clock of the test" });
  }

  #wait(waiting: Omit<Waiting, "resume" | "giveUp" | "whose" | "jumps">): Promise<void> {
    // What takes no time may as well happen at once.
    const whose = isInAttempt() && waiting.time === "may pass" ? "a mock's" : "the test's";
    return asleep(
      () =>
        new Promise<void>((resume, giveUp) => {
          this.#waiting.add({ ...waiting, whose, resume, giveUp, jumps: 0 });
          this.#arrival.resolve();
          if (this.#state === "standing") void this.#run();
        }),
    );
  }

  get #isWanted(): boolean {
    return [...this.#waiting].some(({ whose }) => whose === "the test's");
  }

  async #run(): Promise<void> {
    this.#state = "running";
    try {
      while (this.#isWanted) {
        await this.#driven.settle();
        if (this.#resumeThoseWhoseWaitIsOver()) {
          // The test goes on from here, and may act before any time passes.
          await untilQuiet();
          continue;
        }
        if (this.#driven.isBusy) {
          if (await this.#nothingHappens()) this.#driven.leaveBehind();
        } else if (!this.#jump() && (await this.#nothingHappens())) this.#giveUp();
      }
    } catch (fault) {
      for (const { giveUp } of this.#waiting) giveUp(fault as Error);
      this.#waiting.clear();
    } finally {
      this.#state = "standing";
    }
  }

  #resumeThoseWhoseWaitIsOver(): boolean {
    const over = [...this.#waiting].filter(({ isOver }) => isOver());
    for (const waiting of over) {
      this.#waiting.delete(waiting);
      waiting.resume();
    }
    return over.length > 0;
  }

  /** To whatever is due next; false where nothing is. */
  #jump(): boolean {
    const waiting = [...this.#waiting];
    if (!waiting.some(({ time, whose }) => time === "may pass" && whose === "the test's")) return false;
    const instants = [this.#driven.nextDeadlineAt, ...waiting.map(({ until }) => until)];
    const next = Math.min(...instants.map((at) => at ?? Number.POSITIVE_INFINITY));
    if (next === Number.POSITIVE_INFINITY) return false;
    this.#driven.now = Math.max(this.#driven.now, next);
    for (const each of waiting) if (each.until === null) this.#countJump(each);
    return true;
  }

  #countJump(waiting: Waiting): void {
    waiting.jumps += 1;
    if (waiting.jumps <= JUMPS_MAX) return;
    this.#waiting.delete(waiting);
    const clock = new Date(this.#driven.now).toISOString();
    const message = `the clock of this test environment jumped ${JUMPS_MAX} times, to ${clock}, while the test waited; ${waiting.what()}. Does the workflow go round for ever? Let time pass with env.sleep() instead, and look at it then.`;
    waiting.giveUp(new PerdureError("REQUEST_TIMED_OUT", message));
  }

  async #nothingHappens(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<"nothing">((resolve) => {
      timer = realSetTimeout(() => resolve("nothing"), PATIENCE_MS);
    });
    const happened = await Promise.race([patience, this.#news()]);
    realClearTimeout(timer);
    return happened === "nothing";
  }

  /** Something happens, or somebody else waits for something. */
  #news(): Promise<void> {
    this.#arrival = new Deferred();
    return Promise.race([this.#driven.news, this.#arrival.promise]);
  }

  #giveUp(): void {
    for (const waiting of this.#waiting) {
      if (waiting.whose === "a mock's") continue;
      this.#waiting.delete(waiting);
      const { giveUp, what } = waiting;
      const message = `nothing is going to happen any more in this test environment, and ${what()}`;
      giveUp(new PerdureError("REQUEST_TIMED_OUT", message));
    }
  }
}
