/** What an operator may set about the rules of the core. */
export interface CoreSettings {
  /** Tasks with an agent at the same time; 0: no limit. */
  readonly maxConcurrentTasks: number;
  /** Unfinished tasks without an agent (waiting, queued, between attempts); beyond it submissions are refused. */
  readonly maxQueuedTasks: number;
  /** What agents are told to heartbeat at. */
  readonly heartbeatIntervalMs: number;
  readonly unhealthyThresholdMs: number;
  readonly lostThresholdMs: number;
}

/** How long an agent may take to accept an assignment before it is sent again, and then before it is given away. */
export const ANSWER_TIMEOUT_MS = 5_000;

/** How long a task waits that an agent handed back without draining: it would hand it back again at once. */
export const RELEASE_DELAY_MS = 500;

/** Takeovers of an agent's id count within this many heartbeats: a minute at one each five seconds. */
export const FLAPPING_WINDOW_HEARTBEATS = 12;

/** A lost or departed agent's record is kept this long, so that its incarnations do not start again at 1. */
export const AGENT_TOMBSTONE_MS = 7 * 86_400_000;

/** How often records past that age are looked for; they leave memory at least this long before the store drops them. */
export const AGENT_SWEEP_INTERVAL_MS = 3_600_000;

/** What the core takes from outside instead of reaching for it, so that a seeded run repeats exactly. */
export interface Chance {
  /** 128 random bits as text, never given out twice. */
  newToken(): string;
  /** Uniform in [0, 1). */
  random(): number;
}
