/**
 * The answers that tasks of ours wait for. Heard on a subject and, after a time of not hearing, looked up in the stream;
 * or consumed, and then acknowledged when a task took it.
 */
import { TaskFailure } from "../agent/task-failure.js";
import type { Logger } from "../logger.js";
import type { AnyMember, MemberOutcome } from "./bridge.js";
import type { Fleet } from "./fleet.js";
import { GivenUpError } from "./given-up-error.js";
import type { Received } from "./received.js";
import { ruleFailed } from "./rule-failed.js";

export interface Answers {
  /** Resolves with the answer to this id, also with one that came before. Rejects with the signal's reason. */
  await(foreignId: string, signal: AbortSignal): Promise<MemberOutcome>;
  /** An answer that is there already; undefined where none is, or none can be looked up. */
  find(foreignId: string): Promise<MemberOutcome | undefined>;
}

interface Waiter {
  resolve(outcome: MemberOutcome): void;
  reject(reason: unknown): void;
}

/** A fleet may answer two tasks at once, and an attempt may begin before the one it follows has quite ended. */
type Waiters = Set<Waiter>;

/** An answer that cannot be looked up is looked up again after so long: a server that has just come back is not ready yet. */
const LOOK_UP_AGAIN_MS = 1_000;

export async function startAnswers(fleet: Fleet, rule: AnyMember, logger: Logger): Promise<Answers> {
  const waiting = new Map<string, Waiters>();
  const { from, schema } = rule.result;
  const idOf = ({ body, subject }: Received<unknown>): string => rule.result.foreignId(body, subject);

  /** @throws TaskFailure BRIDGE_RULE_FAILED */
  const outcomeOf = (foreignId: string, message: Received<unknown>): MemberOutcome => {
    try {
      return rule.result.outcome(message.body);
    } catch (thrown) {
      throw ruleFailed(`answer to ${foreignId} on ${message.subject}`, thrown);
    }
  };

  /** Whether somebody waited for it. @throws GivenUpError where no outcome can be made of it, for whoever waited */
  const take = (message: Received<unknown>): boolean => {
    const id = idOf(message);
    const waiters = waiting.get(id);
    if (waiters === undefined) return false;
    try {
      resolveAll(waiters, outcomeOf(id, message));
    } catch (failure) {
      rejectAll(waiters, failure);
      throw new GivenUpError(failure instanceof Error ? failure.message : String(failure), { cause: failure });
    }
    return true;
  };

  const find = async (foreignId: string): Promise<MemberOutcome | undefined> => {
    if (!("subject" in from) || from.stream === undefined) return undefined;
    const message = await fleet.last(from.stream, from.subject(foreignId), schema);
    return message === undefined ? undefined : outcomeOf(foreignId, message);
  };

  if ("subject" in from) {
    fleet.listen(from.all, schema, take);
    fleet.onReconnected(() => {
      for (const id of waiting.keys()) void lookUp(id);
    });
  } else {
    await fleet.consume({
      ...from,
      schema,
      ack: "onHandled",
      maxConcurrent: 100,
      handle: (message) => {
        if (take(message)) return;
        throw new Error(`no task waits for the answer to ${idOf(message)} at the moment`);
      },
    });
  }

  /** What was said meanwhile was missed, so it has to be found, however long that takes. */
  async function lookUp(foreignId: string): Promise<void> {
    const waiters = waiting.get(foreignId);
    if (waiters === undefined || !fleet.isConnected) return;
    try {
      const outcome = await find(foreignId);
      if (outcome !== undefined) resolveAll(waiters, outcome);
    } catch (error) {
      if (error instanceof TaskFailure) {
        rejectAll(waiters, error);
        return;
      }
      logger.warn({ foreignId, err: error }, "an answer cannot be looked up now; it is tried again");
      setTimeout(() => void lookUp(foreignId), LOOK_UP_AGAIN_MS).unref();
    }
  }

  return {
    find,
    await: (foreignId, signal) =>
      new Promise<MemberOutcome>((resolve, reject) => {
        const waiters: Waiters = waiting.get(foreignId) ?? new Set();
        const end = (): void => {
          waiters.delete(waiter);
          if (waiters.size === 0) waiting.delete(foreignId);
          signal.removeEventListener("abort", onAbort);
        };
        const waiter: Waiter = {
          resolve: (outcome) => {
            end();
            resolve(outcome);
          },
          reject: (reason) => {
            end();
            reject(reason);
          },
        };
        const onAbort = (): void => waiter.reject(signal.reason);
        waiting.set(foreignId, waiters.add(waiter));
        if (signal.aborted) onAbort();
        else signal.addEventListener("abort", onAbort, { once: true });
      }),
  };
}

/** Each leaves the set as it is told. */
function resolveAll(waiters: Waiters, outcome: MemberOutcome): void {
  for (const waiter of [...waiters]) waiter.resolve(outcome);
}

function rejectAll(waiters: Waiters, reason: unknown): void {
  for (const waiter of [...waiters]) waiter.reject(reason);
}
