/**
 * How an agent leaves without losing work: no new work, what runs finishes or is handed back, results are handed in,
 * and only then the goodbye (`idle`), on which the orchestrator gives whatever it still believes here to others.
 */
import type { Logger } from "../logger.js";
import type { AgentParts } from "./agent-parts.js";
import { settledWithin } from "./settled-within.js";

/** How long aborted tasks may take to end before they are handed back as they are. */
const ABORT_GRACE_MS = 1_000;
/** How long an agent in a hurry waits for the acknowledgement of the results it has. */
const FLUSH_MS_MIN = 1_000;

export interface DepartureOptions {
  readonly drainTimeoutMs: number;
  /** Aborted: wait for nothing any more. */
  readonly hurry: AbortSignal;
  readonly logger: Logger;
}

export async function depart(parts: AgentParts, options: DepartureOptions): Promise<void> {
  const { connection, heartbeat, outbox, registrar, report, runner } = parts;
  const { drainTimeoutMs, hurry, logger } = options;
  runner.takeNoMore();
  report({ state: "draining" });

  if (!(await settledWithin(runner.idled(), drainTimeoutMs, hurry))) {
    runner.stopAll("shutdown", "the agent goes down");
    await settledWithin(runner.idled(), ABORT_GRACE_MS);
    runner.handBackRest();
  }

  const handedIn =
    (await settledWithin(outbox.emptied(), drainTimeoutMs, hurry)) ||
    (await settledWithin(outbox.emptied(), FLUSH_MS_MIN));
  if (!handedIn) {
    logger.error(
      { unacknowledgedResults: outbox.size },
      "went down with results that the results stream never acknowledged; their attempts will be repeated",
    );
  }

  // A reply to one more heartbeat could make it register again after its goodbye.
  heartbeat.stop();
  registrar.stop();
  report({ state: "idle" });
  await settledWithin(connection.flush(), FLUSH_MS_MIN);
}
