/**
 * Moments in an orchestrator's life at which a crash leaves different things behind. Nothing in the engine listens: the
 * crash tests kill the process there, and show that it makes no difference in the end.
 */
import type { ReleaseKind } from "./release.js";

/** Around what is written and read. */
export type StorageMilestone =
  | "before append"
  /** The flush is on disk, and nothing of it was let go. */
  | "after append"
  | "ended tasks copied"
  | "histories copied"
  | "runs copied"
  | "live tasks copied"
  | "agents copied"
  | "checkpoint written"
  | "journal trimmed"
  | "fences taken"
  | "state recovered"
  /** What a predecessor left undone was decided about; nothing of that is on disk yet. */
  | "work taken up";

/** In the life of the process. */
export type LifeMilestone = "standing by" | "leading";

export type Milestone = `before ${ReleaseKind}` | `after ${ReleaseKind}` | StorageMilestone | LifeMilestone;

/** Whoever reaches the milestone waits for the promise, if there is one. */
export type OnMilestone = (milestone: Milestone) => void | Promise<void>;
