/**
 * The answers that tasks of ours wait for. Heard on a subject and, after a time of not hearing, looked up in the stream;
 * or consumed, and then acknowledged when a task took it.
 */
import type { Logger } from "../logger.js";
import type { AnyMember, MemberOutcome } from "./bridge.js";
import type { Fleet } from "./fleet.js";
import type { Received } from "./received.js";

export interface Answers {
  /** Resolves with the answer to this id, also with one that came before. Rejects with the signal's reason. */
  await(foreignId: string, signal: AbortSignal): Promise<MemberOutcome>;
  /** An answer that is there already; undefined where none is, or none can be looked up. */
  find(foreignId: string): Promise<MemberOutcome | undefined>;
}

interface Waiting {
  take(outcome: MemberOutcome): void;
}

export async function startAnswers(fleet: Fleet, rule: AnyMember, logger: Logger): Promise<Answers> {
  const waiting = new Map<string, Waiting>();
  const { from, schema } = rule.result;
  const idOf = ({ body, subject }: Received<unknown>): string => rule.result.foreignId(body, subject);

  /** Whether somebody waited for it. */
  const take = (message: Received<unknown>): boolean => {
    const waiter = waiting.get(idOf(message));
    waiter?.take(rule.result.outcome(message.body));
    return waiter !== undefined;
  };

  const find = async (foreignId: string): Promise<MemberOutcome | undefined> => {
    if (!("subject" in from) || from.stream === undefined) return undefined;
    const message = await fleet.last(from.stream, from.subject(foreignId), schema);
    return message === undefined ? undefined : rule.result.outcome(message.body);
  };

  if ("subject" in from) {
    fleet.listen(from.all, schema, take);
    fleet.onReconnected(() => void lookUpAll());
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

  async function lookUpAll(): Promise<void> {
    for (const [foreignId, waiter] of waiting) {
      try {
        const outcome = await find(foreignId);
        if (outcome !== undefined) waiter.take(outcome);
      } catch (error) {
        logger.warn({ err: error }, "an answer cannot be looked up now; it is looked up after the next reconnect");
      }
    }
  }

  return {
    find,
    await: (foreignId, signal) =>
      new Promise<MemberOutcome>((resolve, reject) => {
        const end = (): void => {
          waiting.delete(foreignId);
          signal.removeEventListener("abort", onAbort);
        };
        const onAbort = (): void => {
          end();
          reject(signal.reason);
        };
        waiting.set(foreignId, {
          take: (outcome) => {
            end();
            resolve(outcome);
          },
        });
        if (signal.aborted) onAbort();
        else signal.addEventListener("abort", onAbort, { once: true });
      }),
  };
}
