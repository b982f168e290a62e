/**
 * What the brains know of jobs, remembered for a week: the statuses of each, numbered in the order in which a brain read
 * them, so that a browser that was away goes on where it was, at whichever brain; and its result, the first one that came.
 */
import { EventEmitter } from "node:events";
import { type Consumption, type Fleet, GivenUpError, type Stored, taskIdOf } from "perdure/bridges";
import { z } from "zod";
import type { Memory } from "./memory.js";
import { JobResult, JobStatus, subject } from "./messages.js";
import { brain, jobStream } from "./topology.js";

const Updates = z.object({
  jobId: z.string(),
  /** Of all, also of those that are forgotten; the last one's id. */
  count: z.int(),
  /** `sequence` is the place in the stream; 0 of what was overheard. */
  updates: z.array(z.object({ id: z.int(), sequence: z.int(), at: z.int(), body: z.looseObject({}) })),
});
type Updates = z.infer<typeof Updates>;

export type Update = Updates["updates"][number];

export interface JobPicture {
  /** The last 200 at most, oldest first. */
  readonly updates: readonly Update[];
  readonly result: JobResult | undefined;
}

/** Which it is, the subject says. */
const News = z.looseObject({});

const UPDATES_KEPT = 200;
/** Of one record; the server takes 1 MiB. */
const UPDATES_BYTES_MAX = 512 * 1024;

/** Keys allow less than subjects do, and what comes from elsewhere may use all of it. */
const keyOf = (kind: "job" | "result", jobId: string): string => `${kind}.${taskIdOf(jobId)}`;
const updatesKey = (jobId: string): string => keyOf("job", jobId);
export const resultKey = (jobId: string): string => keyOf("result", jobId);

export class JobBook {
  readonly #memory: Memory;
  readonly #news = new EventEmitter().setMaxListeners(0);
  readonly #ends: readonly (() => void)[];

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#ends = [
      memory.watch("job.*", Updates, ({ jobId, updates }) => this.#news.emit(jobId, updates)),
      memory.watch("result.*", JobResult, ({ jobId }) => this.#news.emit(jobId)),
    ];
  }

  /**
   * Reads statuses and results from the queue until it is stopped: one after the other, so that they are numbered in the
   * order in which they were said, and the result comes last. The brain that is active does.
   */
  read(fleet: Fleet): Promise<Consumption> {
    return fleet.consume({
      stream: jobStream,
      consumer: brain,
      schema: News,
      ack: "onHandled",
      handle: ({ body, subject, stored }) => this.#note(subject, body, stored),
    });
  }

  /** Notes what goes by on subjects that an old brain takes from the queue. What nobody of us hears is missed. Returns what ends it. */
  overhear(fleet: Fleet, subjects: string): () => Promise<void> {
    let inOrder = Promise.resolve();
    const listening = fleet.listen(subjects, News, ({ subject: saidOn, body }) => {
      inOrder = inOrder
        .then(() => this.#note(saidOn, body, undefined))
        .catch((fault: unknown) => console.error(`what was said on ${saidOn} could not be noted:`, fault));
    });
    return () => {
      listening.unsubscribe();
      return inOrder;
    };
  }

  async of(jobId: string): Promise<JobPicture> {
    const [updates, result] = await Promise.all([
      this.#memory.read(updatesKey(jobId), Updates),
      this.#memory.read(resultKey(jobId), JobResult),
    ]);
    return { updates: updates.value?.updates ?? [], result: result.value };
  }

  /**
   * Calls back whenever this or another brain has read something of the job: with its updates, or without where there is a
   * result. Returns what ends it.
   */
  onNews(jobId: string, listener: (updates?: JobPicture["updates"]) => void): () => void {
    this.#news.on(jobId, listener);
    return () => this.#news.off(jobId, listener);
  }

  close(): void {
    for (const end of this.#ends) end();
  }

  async #note(saidOn: string, body: unknown, stored: Stored | undefined): Promise<void> {
    if (saidOn.startsWith(subject.jobResult(""))) {
      const result = fitting(JobResult, body);
      // False where there is one already: of a job that was done twice, the first one counts.
      await this.#memory.write(resultKey(result.jobId), result, 0);
      return;
    }
    const status = fitting(JobStatus, body);
    const { sequence, storedAt: at } = stored ?? { sequence: 0, storedAt: Date.now() };
    await this.#memory.update(updatesKey(status.jobId), Updates, (known) => {
      const { updates = [], count = 0 } = known ?? {};
      // Read before, by a brain that ended before it had acknowledged it.
      if (stored !== undefined && updates.some((update) => update.sequence === sequence)) return known;
      const added = { id: count + 1, sequence, at, body: status };
      return { jobId: status.jobId, count: count + 1, updates: asManyAsFit([...updates, added]) };
    });
  }
}

/** The last ones; of one that alone is too large, what a status cannot do without. */
function asManyAsFit(updates: readonly Update[]): Update[] {
  const kept: Update[] = [];
  let bytes = 0;
  for (const update of updates.slice(-UPDATES_KEPT).reverse()) {
    bytes += Buffer.byteLength(JSON.stringify(update));
    if (bytes > UPDATES_BYTES_MAX && kept.length > 0) break;
    const { jobId, state } = update.body;
    kept.unshift(bytes > UPDATES_BYTES_MAX ? { ...update, body: { jobId, state, truncated: true } } : update);
  }
  return kept;
}

/** Of what does not fit, another delivery would be no better. */
function fitting<S extends z.ZodType>(schema: S, body: unknown): z.infer<S> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new GivenUpError(z.prettifyError(parsed.error), { cause: parsed.error });
}
