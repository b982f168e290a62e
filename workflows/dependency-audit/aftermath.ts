/**
 * What the orchestrator says and does about a killed agent, told in sentences as its events come in. Events come in
 * bursts, one a task; a burst is told as one sentence once it is over.
 */
import { isEndOfTask, type ObservedEvent } from "./audit-events.js";

/** A pause this long ends a burst. */
const burstPauseMs = 200;
const namedMax = 3;

export interface Told {
  /** Since the kill. */
  readonly afterMs: number;
  readonly sentence: string;
}

interface Burst {
  readonly firstAfterMs: number;
  lastAfterMs: number;
  readonly taskIds: string[];
}

export class Aftermath {
  readonly #agentId: string;
  readonly #idPrefix: string;
  /** Tasks taken away from the agent, by why. */
  readonly #taken = new Map<string, Burst>();
  readonly #refused = new Map<string, Burst>();
  /** Taken away and not ended since. */
  readonly #open = new Set<string>();
  /** Taken away and ended since; attempt and agent. */
  readonly #redone: { readonly attempt: number | undefined; readonly agentId: string }[] = [];
  #redoneAfterMs = 0;
  #told: Told[] = [];
  #verdict: "none" | "lost" = "none";

  /** `idPrefix` begins the id of every task of the audit and is left out where tasks are named. */
  constructor(agentId: string, idPrefix: string) {
    this.#agentId = agentId;
    this.#idPrefix = idPrefix;
  }

  /** The orchestrator has given the agent up, its work has ended elsewhere, and every sentence about it was taken. */
  get isSettled(): boolean {
    const pending = this.#open.size + this.#taken.size + this.#refused.size + this.#redone.length + this.#told.length;
    return this.#verdict === "lost" && pending === 0;
  }

  observe(event: ObservedEvent, afterMs: number): void {
    const { type, agentId, taskId } = event;
    if (isEndOfTask(event) && taskId !== undefined && this.#open.delete(taskId)) {
      this.#redone.push({ attempt: event.attempt, agentId: agentId ?? "nobody" });
      this.#redoneAfterMs = afterMs;
    }
    if (agentId !== this.#agentId) return;
    switch (type) {
      case "AGENT_UNHEALTHY":
        this.#tell(afterMs, `${agentId} is unhealthy: ${event.reason ?? "no reason given"}; it is given no new work`);
        break;
      case "AGENT_LOST": {
        const held = event.taskIds?.length ?? 0;
        const work = held === 0 ? "it had no work left" : `${tasks(held)} of its go to others`;
        this.#verdict = "lost";
        this.#tell(afterMs, `${agentId} is lost: ${event.reason ?? "no reason given"}; ${work}`);
        break;
      }
      case "AGENT_RECOVERED":
        this.#tell(afterMs, `${agentId} is back`);
        break;
      case "TASK_RETRYING":
        if (taskId === undefined) break;
        this.#open.add(taskId);
        addTo(this.#taken, whyTaken(event), taskId, afterMs);
        break;
      case "RESULT_REFUSED":
        addTo(this.#refused, event.code ?? "no code given", taskId ?? "?", afterMs);
        break;
      default:
        break;
    }
  }

  /** Sentences that have become due, each once, in order. Infinity ends every burst. */
  takeSentences(nowAfterMs: number): readonly Told[] {
    for (const [why, { firstAfterMs, taskIds }] of overIn(this.#taken, nowAfterMs)) {
      this.#tell(
        firstAfterMs,
        `took ${tasks(taskIds.length)} back from ${this.#agentId}: ${why} (${this.#named(taskIds)})`,
      );
    }
    for (const [code, { firstAfterMs, taskIds }] of overIn(this.#refused, nowAfterMs)) {
      const what = taskIds.length === 1 ? "a late result" : `${taskIds.length} late results`;
      this.#tell(firstAfterMs, `refused ${what} of ${this.#agentId}: ${code}`);
    }
    if (this.#redone.length > 0 && this.#open.size === 0 && this.#taken.size === 0) {
      this.#tell(this.#redoneAfterMs, redoneSentence(this.#redone.splice(0)));
    }
    const told = this.#told.sort((a, b) => a.afterMs - b.afterMs);
    this.#told = [];
    return told;
  }

  #named(taskIds: readonly string[]): string {
    const first = taskIds
      .slice(0, namedMax)
      .map((id) => id.slice(id.startsWith(this.#idPrefix) ? this.#idPrefix.length : 0));
    return taskIds.length > namedMax ? `${first.join(", ")}, …` : first.join(", ");
  }

  #tell(afterMs: number, sentence: string): void {
    this.#told.push({ afterMs, sentence });
  }
}

/** The words of the journal for why an attempt was given up. */
function whyTaken({ error }: ObservedEvent): string {
  switch (error?.type) {
    case "AGENT_LOST":
      return "their agent is lost";
    case "TASK_NOT_ACCEPTED":
      return "it never answered";
    case undefined:
    case null:
      return "sent to it after its death, they found nobody; not counted as attempts";
    default:
      return `${error?.type}: ${error?.message}`;
  }
}

function addTo(bursts: Map<string, Burst>, key: string, taskId: string, afterMs: number): void {
  const burst = bursts.get(key);
  if (burst === undefined) {
    bursts.set(key, { firstAfterMs: afterMs, lastAfterMs: afterMs, taskIds: [taskId] });
  } else {
    burst.taskIds.push(taskId);
    burst.lastAfterMs = afterMs;
  }
}

/** Takes out the bursts that are over. */
function overIn(bursts: Map<string, Burst>, nowAfterMs: number): readonly (readonly [string, Burst])[] {
  const over = [...bursts].filter(([, { lastAfterMs }]) => nowAfterMs - lastAfterMs >= burstPauseMs);
  for (const [key] of over) bursts.delete(key);
  return over;
}

function redoneSentence(redone: readonly { readonly attempt: number | undefined; readonly agentId: string }[]): string {
  const byAgent = countBy(redone.map(({ agentId }) => agentId));
  const attempts = [...new Set(redone.map(({ attempt }) => attempt ?? 0))].sort((a, b) => a - b);
  const whom = [...byAgent].map(([agentId, count]) => `${agentId} (${count})`).join(", ");
  const what = redone.length === 1 ? "that task was" : `those ${redone.length} tasks were`;
  return `${what} given to ${whom} and ended there, as attempt ${attempts.join(" or ")}`;
}

function countBy(keys: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const key of [...keys].sort()) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

function tasks(count: number): string {
  return count === 1 ? "1 task" : `${count} tasks`;
}
