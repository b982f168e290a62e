/**
 * An agent process written by hand from docs/wire-protocol.md: it shares no code with the engine. It is correct and ill
 * mannered: it hands results in twice, late, and again long after somebody else has the task.
 */
import { randomUUID } from "node:crypto";
import type { Output, WorkOrder } from "../checker/history.js";
import { workOn } from "../checker/work.js";
import { AgentLog } from "./agent-log.js";
import { agentProcessOptions } from "./agent-options.js";
import { type Incoming, RawConnection } from "./raw-connection.js";

interface Assignment {
  readonly taskId: string;
  readonly attempt: number;
  readonly token: string;
  readonly incarnation?: number;
  readonly input: WorkOrder;
  readonly dependencyResults: Record<string, unknown>;
}

interface Attempt {
  readonly assignment: Assignment;
  timer: NodeJS.Timeout | null;
  /** The message, once it is put together; the same bytes go out each time. */
  result: string | null;
  acknowledged: boolean;
}

interface Order {
  readonly status: {
    readonly state: string;
    readonly incarnation?: number;
    readonly token?: string;
    heartbeatIntervalMs?: number;
  };
  readonly cancel?: readonly string[];
}

const RETRY_MS = 250;
const ATTEMPTS_KEPT_MAX = 2_000;

const { port, namespace, agentId, types, places, logFolder } = agentProcessOptions();
const log = new AgentLog(logFolder, agentId);
const instanceId = randomUUID();
const subject = (last: string): string => `${namespace}.agent.${agentId}.${last}`;
const message = (fields: object): string =>
  JSON.stringify({ messageId: randomUUID(), timestamp: Date.now(), ...fields });
const decode = <T>(incoming: Incoming): T => JSON.parse(incoming.data.toString()) as T;

const attempts = new Map<string, Attempt>();
let incarnation: number | null = null;
let heartbeatMs = 1_000;

function register(): void {
  const registration = { agentId, instanceId, capabilities: types, maxConcurrentTasks: places };
  void nats.request(`${namespace}.agent.register`, message({ registration }), 1_000).then((reply) => {
    if (reply.kind === "unanswered") return;
    const { status } = decode<Order>(reply.message);
    incarnation = status.incarnation ?? null;
    heartbeatMs = status.heartbeatIntervalMs ?? heartbeatMs;
  });
}

function beat(): void {
  setTimeout(beat, heartbeatMs);
  if (incarnation === null) {
    register();
    return;
  }
  // An acknowledged result is not in hand any more; one that is lost after that is missed, and the attempt comes again.
  const tokens = [...attempts.values()]
    .filter(({ acknowledged }) => !acknowledged)
    .map(({ assignment }) => assignment.token);
  const sentAs = incarnation;
  void nats
    .request(subject("heartbeat"), message({ agentId, metrics: {}, incarnation, tokens }), heartbeatMs)
    .then((reply) => {
      if (reply.kind === "unanswered") return;
      const { status, cancel } = decode<Order>(reply.message);
      for (const token of cancel ?? []) drop(token);
      if (status.state === "reregister" && incarnation === sentAs) {
        for (const token of [...attempts.keys()]) drop(token);
        incarnation = null;
        register();
      }
      if (status.state === "superseded") process.exit(0);
    });
}

function drop(token: string): void {
  const attempt = attempts.get(token);
  if (attempt === undefined) return;
  if (attempt.timer !== null) clearTimeout(attempt.timer);
  attempts.delete(token);
}

function report(state: string, { taskId, token }: Assignment): void {
  nats.publish(subject("status"), message({ status: { agentId, state, taskId, token, incarnation } }));
}

function take(incoming: Incoming): void {
  const { task } = decode<{ task: Assignment }>(incoming);
  if (incarnation === null || task.incarnation !== incarnation) return;
  const known = attempts.get(task.token);
  if (known !== undefined) {
    if (known.result === null) report("accepted", task);
    else handIn(known);
    return;
  }
  const inHand = [...attempts.values()].filter(({ result }) => result === null).length;
  if (inHand >= places) {
    log.write({ kind: "released", taskId: task.taskId, attempt: task.attempt, token: task.token });
    report("released", task);
    return;
  }
  begin(task);
}

function begin(task: Assignment): void {
  const { taskId, attempt: number, token, dependencyResults } = task;
  const which: Output = { taskId, attempt: number, token };
  log.write({ kind: "began", ...which, dependencyResults });
  const { afterMs, outcome } = workOn(task.input, which);
  const attempt: Attempt = { assignment: task, timer: null, result: null, acknowledged: false };
  attempts.set(token, attempt);
  forgetOldest();
  if (afterMs === 0) {
    finish(attempt, outcome);
    return;
  }
  report("accepted", task);
  if (afterMs !== null) attempt.timer = setTimeout(() => finish(attempt, outcome), afterMs);
}

function finish(attempt: Attempt, outcome: { readonly status: "completed" | "failed" | "cancelled" }): void {
  if (attempt.result !== null) return;
  const { taskId, attempt: number, token } = attempt.assignment;
  log.write({ kind: "finished", taskId, attempt: number, token, status: outcome.status });
  const usage = { cost: 1, tokens: { input: 1, output: 1 }, model: "none" };
  attempt.result = message({ result: { taskId, attempt: number, token, agentId, ...outcome, usage } });
  // Now and then as if it took its time to hand in, and again when everybody has forgotten it.
  const chance = Math.random();
  if (chance < 0.03) setTimeout(() => handIn(attempt), Math.random() * 3_000);
  else handIn(attempt);
  if (chance > 0.95) setTimeout(() => handIn(attempt), Math.random() * 10_000);
}

function handIn(attempt: Attempt): void {
  const { assignment, result } = attempt;
  if (result === null || !attempts.has(assignment.token)) return;
  void nats.request(subject("result"), result, 2_000).then((reply) => {
    const isStored = reply.kind === "answered" && decode<{ seq?: number }>(reply.message).seq !== undefined;
    if (!isStored) {
      setTimeout(() => handIn(attempt), RETRY_MS);
      return;
    }
    if (attempt.acknowledged) return;
    attempt.acknowledged = true;
    const { taskId, attempt: number, token } = assignment;
    log.write({ kind: "acknowledged", taskId, attempt: number, token });
  });
}

function obey(incoming: Incoming): void {
  const { status } = decode<Order>(incoming);
  if (status.state !== "cancel" || status.token === undefined) return;
  const attempt = attempts.get(status.token);
  if (attempt === undefined || attempt.result !== null || attempt.assignment.input.do === "stubborn") return;
  if (attempt.timer !== null) clearTimeout(attempt.timer);
  finish(attempt, { status: "cancelled" });
}

/** Answered long ago; should it be asked for again all the same, the work is done a second time. */
function forgetOldest(): void {
  if (attempts.size <= ATTEMPTS_KEPT_MAX) return;
  for (const [token, { acknowledged }] of attempts) {
    if (!acknowledged) continue;
    attempts.delete(token);
    return;
  }
}

const nats = new RawConnection(port, () => {
  for (const attempt of attempts.values()) if (!attempt.acknowledged) handIn(attempt);
});
nats.subscribe(subject("task"), take);
nats.subscribe(subject("status"), obey);
beat();
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
