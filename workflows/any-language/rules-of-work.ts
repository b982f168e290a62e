/** What becomes of work when things are said twice, are lost, or are to stop. The orchestrator is a played one. */
import { isDeepStrictEqual } from "node:util";
import type { PlayedAttempt } from "./played-orchestrator.js";
import type { Rule, Scene } from "./rule.js";
import { QUICK_TASK_MS, unlessDone } from "./rules-of-conversation.js";
import { throughout, within } from "./within.js";

const HAND_IN_AGAIN_MS = 15_000;
const CROSSING_MS = 1_000;
/** What a task with `--slow-input` may take. */
const SLOW_TASK_MS = 40_000;
/** An attempt that was told to stop has ended by then; the orchestrator waits no longer either. */
const STOP_MS = 5_000;
/** More places than this are not filled for a check. */
const PLACES_MAX = 64;

export const rulesOfWork: readonly Rule[] = [
  {
    name: "hands in a result again until it is acknowledged, and then no more",
    weight: "must",
    chapter: "result",
    advice:
      "Publish the result with a reply subject, keep its bytes, and send them every few seconds until `seq` comes.",
    check: async ({ played, options }) => {
      played.conduct = { ...played.conduct, result: "ignore" };
      const attempt = played.assign(options.input);
      if ((await played.result(attempt, QUICK_TASK_MS)) === null) return "no result";
      const said = await within(HAND_IN_AGAIN_MS, () => played.resultsOf(attempt)[1]);
      if (said === null) return "1 result, although no acknowledgement came";
      played.conduct = { ...played.conduct, result: "refuse" };
      const count = played.resultsOf(attempt).length;
      const refused = await within(HAND_IN_AGAIN_MS, () => played.resultsOf(attempt)[count]);
      // One that comes at once may have crossed the refusal.
      const after = (refused?.at ?? 0) + CROSSING_MS;
      const again = await within(HAND_IN_AGAIN_MS, () => played.resultsOf(attempt).find(({ at }) => at > after));
      played.conduct = { ...played.conduct, result: "acknowledge" };
      if (refused === null || again === null)
        return "not again where the stream answered with an error instead of `seq`";
      const acknowledgedAt = played.resultsOf(attempt).length;
      await within(HAND_IN_AGAIN_MS, () => played.resultsOf(attempt)[acknowledgedAt]);
      await throughout(CROSSING_MS);
      const before = played.resultsOf(attempt).length;
      await throughout(4_000);
      const more = played.resultsOf(attempt).length - before;
      return more === 0 ? null : `${more} more after it was acknowledged`;
    },
  },
  {
    name: "answers an assignment that comes again as it did before",
    weight: "must",
    chapter: "assignment",
    advice: "Remember the results of the tokens you answered lately, and send the same one again.",
    check: async (scene) => {
      const { played, options } = scene;
      const attempt = played.assign(options.input);
      const wrong = await unlessDone(scene, attempt);
      if (wrong !== null) return wrong;
      await throughout(500);
      const before = played.resultsOf(attempt).length;
      played.assignAgain(attempt);
      const again = await within(QUICK_TASK_MS, () => played.resultsOf(attempt)[before]);
      if (again === null) return "no answer to the second assignment";
      const [first] = played.resultsOf(attempt);
      return isDeepStrictEqual(again.message.result, first?.message.result) || sameOutcome(first, again)
        ? null
        : `another answer: ${again.text.slice(0, 300)}`;
    },
  },
  {
    name: "does not run an assignment twice that comes again",
    weight: "must",
    chapter: "assignment",
    needs: "--slow-input",
    advice: "Know the tokens you have in hand and those you answered lately. Say `accepted` again, or answer again.",
    check: async (scene) => {
      const { played, options } = scene;
      const attempt = played.assign(options.slowInput);
      await within(STOP_MS, () => played.firstWordAt(attempt));
      await throughout(300);
      played.assignAgain(attempt);
      const said = await played.result(attempt, SLOW_TASK_MS);
      if (said === null) return "no result";
      const tookMs = said.at - attempt.sentAt;
      if (tookMs < 1_000) return `--slow-input took ${Math.round(tookMs)} ms; give one that takes about three seconds`;
      await throughout(tookMs);
      const results = played.resultsOf(attempt);
      // The same message once more may have crossed its acknowledgement.
      const runs = new Set(results.map(({ message }) => message.messageId)).size;
      if (runs > 1) return `${runs} results of one attempt that was assigned twice while in hand`;
      const inHand = results.length;
      const askedAt = performance.now();
      played.assignAgain(attempt);
      const again = await within(SLOW_TASK_MS, () => played.resultsOf(attempt)[inHand]);
      if (again === null) return "no answer to an assignment that was answered before";
      return again.at - askedAt < tookMs / 2 ? null : "it ran an attempt again that it had answered";
    },
  },
  {
    name: "names what it has in hand in its heartbeats",
    weight: "should",
    chapter: "heartbeat",
    needs: "--slow-input",
    advice: "`tokens` are all attempts in hand, those whose result is not acknowledged included.",
    check: async (scene) => {
      const { played, options } = scene;
      const attempt = played.assign(options.slowInput);
      await within(STOP_MS, () => played.firstWordAt(attempt));
      const since = played.heartbeats.length;
      const beat = await within(STOP_MS, () => played.heartbeats[since]);
      await played.result(attempt, SLOW_TASK_MS);
      return beat?.message.tokens?.includes(attempt.token) === true ? null : "a heartbeat without the token";
    },
  },
  {
    name: "stops an attempt that is cancelled",
    weight: "should",
    chapter: "orders",
    needs: "--slow-input",
    advice:
      "On `cancel` stop the attempt with that token and hand in `cancelled`, or `completed` if it is done already.",
    check: async ({ played, options }) => {
      const attempt = played.assign(options.slowInput);
      await within(STOP_MS, () => played.firstWordAt(attempt));
      const { taskId, token } = attempt;
      const cancelledAt = performance.now();
      played.order({ state: "cancel", taskId, attempt: 1, token });
      const said = await played.result(attempt, SLOW_TASK_MS);
      if (said === null) return "no result";
      const afterMs = Math.round(said.at - cancelledAt);
      const { status } = said.message.result;
      return status === "cancelled" && afterMs < STOP_MS
        ? null
        : `it ${status}, ${afterMs} ms after it was told to stop`;
    },
  },
  {
    name: "goes on when another attempt is cancelled",
    weight: "must",
    chapter: "orders",
    needs: "--slow-input",
    advice:
      "A `cancel` is about the attempt with its token and about no other; tokens you do not know are nothing to you.",
    check: async ({ played, options }) => {
      const attempt = played.assign(options.slowInput);
      await within(STOP_MS, () => played.firstWordAt(attempt));
      played.order({ state: "cancel", taskId: "somebody-elses", attempt: 1, token: "somebody-elses" });
      const said = await played.result(attempt, SLOW_TASK_MS);
      return said?.message.result.status === "completed" ? null : `it ${said?.message.result.status ?? "said nothing"}`;
    },
  },
  {
    name: "hands in nothing for an attempt that is not its own any more",
    weight: "should",
    chapter: "heartbeat",
    needs: "--slow-input",
    advice: "Tokens in `cancel` of a heartbeat's answer were given to others or have ended: stop them without a word.",
    check: async ({ played, options }) => {
      const attempt = played.assign(options.slowInput);
      await within(STOP_MS, () => played.firstWordAt(attempt));
      played.notItsOwn = [attempt.token];
      const said = await played.result(attempt, 6_000);
      played.notItsOwn = [];
      return said === null ? null : `it handed in ${said.message.result.status}`;
    },
  },
  {
    name: "hands back what it has no room for",
    weight: "should",
    chapter: "statuses-of-an-agent",
    needs: "--slow-input",
    advice:
      "Say `released` for a task beyond maxConcurrentTasks; it goes to another agent, and the attempt does not count.",
    check: async (scene) => {
      const { played, options } = scene;
      const places = played.registrations.at(-1)?.message.registration.maxConcurrentTasks ?? 1;
      if (places > PLACES_MAX) return null;
      const attempts = Array.from({ length: places + 1 }, () => played.assign(options.slowInput));
      const released = await within(STOP_MS, () => attempts.find(({ token }) => played.reported("released", token)));
      await finishAll(scene, attempts);
      return released === null ? `no word of a task too many (it has ${places} places)` : null;
    },
  },
  {
    name: "fails a task whose input is wrong, and goes on",
    weight: "must",
    chapter: "result",
    needs: "--bad-input",
    advice: "Hand in `failed` with an error type; an exception in a task must not end the agent.",
    check: async (scene) => {
      const { played, options } = scene;
      const attempt = played.assign(options.badInput);
      const said = await played.result(attempt, QUICK_TASK_MS);
      if (said === null) return "no result";
      const { status, error } = said.message.result;
      if (status !== "failed" || error === undefined) return `it handed in ${status} without an error`;
      return unlessDone(scene, played.assign(options.input));
    },
  },
];

function sameOutcome(
  first: { message: { result: object } } | undefined,
  again: { message: { result: object } },
): boolean {
  const outcome = (result: object) => ({ ...result, durationMs: undefined, incarnation: undefined });
  return first !== undefined && isDeepStrictEqual(outcome(first.message.result), outcome(again.message.result));
}

/** Nothing of it is in the way of what comes next. */
async function finishAll({ played }: Scene, attempts: readonly PlayedAttempt[]): Promise<void> {
  for (const { taskId, token } of attempts) played.order({ state: "cancel", taskId, attempt: 1, token });
  const isOver = (attempt: PlayedAttempt) =>
    played.resultsOf(attempt).length > 0 || played.reported("released", attempt.token);
  await within(SLOW_TASK_MS, () => (attempts.every(isOver) ? true : null));
  // What was handed back is still named in heartbeats until their answers say that it was taken.
  played.notItsOwn = attempts.map(({ token }) => token);
  await played.isThere(STOP_MS);
  await played.isThere(STOP_MS);
}
