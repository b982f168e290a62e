/** How an agent registers, heartbeats and reads what it is sent. The orchestrator is a played one. */
import { isDeepStrictEqual } from "node:util";
import type { PlayedAttempt } from "./played-orchestrator.js";
import type { Rule, Scene } from "./rule.js";
import { throughout, within } from "./within.js";

/** An agent that does a thing each few seconds has done it by then. */
const SOON_MS = 12_000;
/** A task with `--input`. */
export const QUICK_TASK_MS = 20_000;
const FAST_BEAT_MS = 400;
const OBSERVED_MS = 3_000;

export const rulesOfConversation: readonly Rule[] = [
  {
    name: "comes back when its connection was cut",
    weight: "must",
    chapter: "connection",
    advice: "Connect again for ever, about once a second; subscribe again, then send a heartbeat.",
    check: async ({ agent, proxy, played }) => {
      proxy.cut();
      const since = performance.now();
      const heard = await within(SOON_MS, () =>
        [played.heartbeats.at(-1), played.registrations.at(-1)].some((said) => said !== undefined && said.at > since)
          ? "a sign of life"
          : agent.end,
      );
      if (agent.end !== null) return `its process ended: ${agent.end}`;
      return heard === null ? `neither a heartbeat nor a registration within ${SOON_MS / 1_000} s` : null;
    },
  },
  {
    name: "registers again when it is told to, and until it is confirmed",
    weight: "must",
    chapter: "register",
    advice: "On `reregister` publish the registration, and again every few seconds until `registered` comes.",
    check: async ({ played }) => {
      const before = played.registrations.length;
      played.conduct = { ...played.conduct, heartbeat: "reregister", registration: "ignore" };
      const again = await within(2 * SOON_MS, () => played.registrations[before + 1]);
      const count = played.registrations.length - before;
      played.behave();
      if (again === null) return count === 0 ? "no registration" : "one registration, unanswered, and no other";
      if (!(await played.isThere(SOON_MS))) return "no heartbeat after it was confirmed";
      return null;
    },
  },
  {
    name: "keeps its instanceId while its process lives",
    weight: "should",
    chapter: "register",
    advice:
      "Make up an instanceId when the process starts. Without it, a repeated registration takes its own tasks away.",
    check: async ({ played }) => {
      await registerAnew(played);
      await registerAnew(played);
      const ids = new Set(played.registrations.slice(-2).map(({ message }) => message.registration.instanceId));
      const [only] = ids;
      if (ids.size === 1 && only !== undefined) return null;
      return only === undefined ? "a registration without instanceId" : `${ids.size} instanceIds of one process`;
    },
  },
  {
    name: "heartbeats as often as it is told",
    weight: "must",
    chapter: "heartbeat",
    advice: "Take heartbeatIntervalMs from the confirmation, and go on while tasks run.",
    check: async ({ played }) => {
      played.heartbeatIntervalMs = FAST_BEAT_MS;
      await registerAnew(played);
      const before = played.heartbeats.length;
      await throughout(OBSERVED_MS);
      const count = played.heartbeats.length - before;
      played.heartbeatIntervalMs = 1_000;
      await registerAnew(played);
      const expected = OBSERVED_MS / FAST_BEAT_MS;
      const fits = count >= expected / 2 && count <= expected * 2;
      return fits ? null : `${count} heartbeats in ${OBSERVED_MS / 1_000} s where ${expected} were due`;
    },
  },
  {
    name: "heartbeats as requests, with incarnation and tokens",
    weight: "should",
    chapter: "heartbeat",
    advice: "The answers say what was taken away and who was replaced; tokens let a forgotten attempt be noticed.",
    check: async ({ played }) => {
      await played.isThere(SOON_MS);
      const last = played.heartbeats.at(-1);
      const missing = [
        ...(last?.reply === null ? ["a reply subject"] : []),
        ...(last?.message.incarnation === undefined ? ["incarnation"] : []),
        ...(last?.message.tokens === undefined ? ["tokens"] : []),
      ];
      return missing.length === 0 ? null : `a heartbeat without ${missing.join(", ")}`;
    },
  },
  {
    name: "answers an assignment once, within five seconds",
    weight: "must",
    chapter: "assignment",
    advice:
      "Publish `accepted` at once where the task may take longer, and one result with taskId, attempt and agentId.",
    check: async (scene) => {
      const attempt = scene.played.assign(scene.options.input);
      const wrong = await unlessDone(scene, attempt);
      if (wrong !== null) return wrong;
      const wordMs = (scene.played.firstWordAt(attempt) ?? 0) - attempt.sentAt;
      if (wordMs > 5_000) return `its first word after ${Math.round(wordMs)} ms`;
      await throughout(1_500);
      const outputs = scene.played.resultsOf(attempt).map(({ message }) => message.result.output);
      return outputs.every((output) => isDeepStrictEqual(output, outputs[0])) ? null : "two results that differ";
    },
  },
  {
    name: "names the token in its result",
    weight: "should",
    chapter: "result",
    advice:
      "Repeat the assignment's token. Without it, a process that was replaced can be mixed up with its successor.",
    check: async ({ played, options }) => {
      const said = await played.result(played.assign(options.input), QUICK_TASK_MS);
      return said?.message.result.token === undefined ? "a result without token" : null;
    },
  },
  {
    name: "reads messages that arrive in pieces",
    weight: "must",
    chapter: "connection",
    advice:
      "TCP delivers bytes, not messages: read until the line is complete, then so many bytes as it says, and two.",
    check: async (scene) => {
      scene.proxy.deliver("in pieces");
      const wrong = await unlessDone(scene, scene.played.assign(scene.options.input, { metadata: confusing }));
      scene.proxy.deliver("whole");
      return wrong;
    },
  },
  {
    name: "reads a message of 100 KB, with anything in it",
    weight: "must",
    chapter: "envelope",
    advice:
      "Parse the JSON as a whole. The fields of the task are those directly in `task`, wherever else their names occur.",
    check: (scene) => {
      const rows = Array.from({ length: 1_000 }, (_, index) => ({ ...confusing, index }));
      return unlessDone(scene, scene.played.assign(scene.options.input, { metadata: { rows } }));
    },
  },
  {
    name: "reads messages with headers",
    weight: "must",
    chapter: "connection",
    advice: "Read HMSG (the second last number is the size of the headers), or leave `headers` out of CONNECT.",
    check: (scene) => {
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      return unlessDone(scene, scene.played.assign(scene.options.input, {}, { traceparent }));
    },
  },
  {
    name: "answers the server's pings",
    weight: "must",
    chapter: "connection",
    advice: "Answer PING with PONG, or the server ends the connection after some minutes.",
    check: async ({ proxy }) => {
      const before = proxy.pongs;
      proxy.ping();
      const after = await within(5_000, () => (proxy.pongs > before ? true : null));
      return after === null ? "no PONG within 5 s" : null;
    },
  },
  {
    name: "lives on when it is sent what it cannot read, or does not know",
    weight: "must",
    chapter: "envelope",
    advice: "Ignore what is no JSON, lacks fields or has an unknown state, and fields that you do not know.",
    check: async (scene) => {
      const { played, options } = scene;
      for (const body of [
        "",
        "no JSON",
        "[]",
        "{}",
        "null",
        '{"task":{}}',
        '{"task":[]}',
        '{"status":3}',
        "\u0000\u0001",
      ]) {
        played.say("task", body);
        played.say("status", body);
      }
      played.order({ state: "tea-time", taskId: "played-1", milk: true });
      const wrong = await unlessDone(
        scene,
        played.assign(options.input, { tea: "please", deadlineAt: Date.now() + 60_000 }),
      );
      return wrong ?? ((await played.isThere(SOON_MS)) ? null : "no heartbeat any more");
    },
  },
  {
    name: "leaves an assignment to another incarnation alone",
    weight: "should",
    chapter: "assignment",
    advice: "Compare the assignment's incarnation with the one you registered as: it may be meant for your successor.",
    check: async ({ played, options }) => {
      const foreign = played.assign(options.input, { incarnation: played.incarnation + 1 });
      await throughout(2_000);
      return played.firstWordAt(foreign) === null ? null : "it took the task";
    },
  },
  {
    name: "ignores orders to another agent",
    weight: "should",
    chapter: "orders",
    advice: "Compare the order's agentId with your own: an agent can have the answer to its own heartbeat sent to you.",
    check: async ({ played, agent }) => {
      const before = played.registrations.length;
      for (const state of ["reregister", "superseded"]) {
        played.order({ agentId: "somebody-else", state, incarnation: played.incarnation + 1 });
      }
      await throughout(2_000);
      if (agent.end !== null) return `its process ended: ${agent.end}`;
      return played.registrations.length === before ? null : "it registered again";
    },
  },
];

async function registerAnew(played: Scene["played"]): Promise<void> {
  const before = played.registrations.length;
  played.conduct = { ...played.conduct, heartbeat: "reregister" };
  await within(SOON_MS, () => played.registrations[before]);
  played.behave();
  await played.isThere(SOON_MS);
}

/** Null once the attempt is done as it should; else what came of it. */
export async function unlessDone({ played, options, agent }: Scene, attempt: PlayedAttempt): Promise<string | null> {
  const said = await within(QUICK_TASK_MS, () => played.resultsOf(attempt)[0] ?? agent.end);
  if (said === null) return `no result within ${QUICK_TASK_MS / 1_000} s`;
  if (typeof said === "string") return `its process ended: ${said}\n${agent.lastWords}`;
  const { result } = said.message;
  if (result.status !== "completed") return `it ${result.status}: ${JSON.stringify(result.error)}`;
  if (options.expected !== undefined && !isDeepStrictEqual(result.output, options.expected)) {
    return `the output ${JSON.stringify(result.output)?.slice(0, 200)}`;
  }
  return null;
}

/** Names of fields, brackets, quotes and backslashes where none of them means anything. */
const confusing = {
  taskId: "not-this-one",
  task: { taskId: "nor-this", token: "no", attempt: 99 },
  'quote " brace { colon :': '\\" \\\\ } ] , "taskId":"x" \n\t\u0001 ünïcödé 🙂 \\u0041',
};
