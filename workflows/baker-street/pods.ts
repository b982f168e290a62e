/**
 * The launcher of task pods: each `baker.tasks.launch` becomes a local process. It runs only programs that it was started
 * with, by their names: whoever may publish on the subject may not choose what runs on this machine.
 */
import type { Fleet } from "perdure/bridges";
import { beat } from "./health.js";
import { AnyLaunch, type PodLaunch, type PodResult, subject } from "./messages.js";
import { type PodEnd, runPod } from "./pod-process.js";
import { PodReaper } from "./pod-reaper.js";
import { RecentAnswers } from "./recent-answers.js";
import type { Hop, Tracing } from "./tracing.js";

export interface PodLauncherOptions {
  readonly fleet: Fleet;
  readonly id: string;
  /** By name: the command, and its arguments. */
  readonly programs: Readonly<Record<string, readonly string[]>>;
  readonly tracing: Tracing;
  readonly heartbeatMs: number;
}

/** Of several launchers one takes each launch. */
const QUEUE = "pods";
const JSON_BYTES_MAX = 800 * 1024;
const TIMEOUT_MS_DEFAULT = 600_000;

export class PodLauncher {
  readonly #options: PodLauncherOptions;
  readonly #stopping = new AbortController();
  readonly #results = new RecentAnswers<PodResult>();
  readonly #running = new Set<Promise<void>>();
  readonly #reaper = new PodReaper();
  readonly #ends: readonly (() => void)[];

  constructor(options: PodLauncherOptions) {
    this.#options = options;
    const { fleet, id, heartbeatMs } = options;
    const launches = fleet.listen(
      subject.launch,
      AnyLaunch,
      ({ body, header }) => {
        const running = this.#launch(body, header("traceparent")).finally(() => this.#running.delete(running));
        this.#running.add(running);
      },
      { queue: QUEUE },
    );
    const also = () => ({ pods: this.#running.size });
    this.#ends = [() => launches.unsubscribe(), beat(fleet, { service: "pods", id, intervalMs: heartbeatMs, also })];
  }

  /** Ends what runs; each pod still gives a result, an error. */
  async stop(): Promise<void> {
    for (const end of this.#ends) end();
    this.#stopping.abort();
    await Promise.all(this.#running);
    this.#reaper.close();
  }

  async #launch(asked: AnyLaunch, traceparent: string | undefined): Promise<void> {
    const { id: taskId } = asked;
    const { fleet, tracing, id } = this.#options;
    const name = asked.read === undefined ? "pod" : `pod ${asked.read.program}`;
    const hop = tracing.hop(name, "receive", traceparent, { "baker.launcher": id, "baker.task": taskId });
    const result: PodResult =
      asked.read === undefined
        ? { taskId, status: "failed", error: { type: "LAUNCH_INVALID", message: asked.fault } }
        : await this.#results.give(taskId, () => this.#run(asked.read, hop));
    hop.end(result.error?.message);
    fleet.send(subject.podResult(taskId), result, { headers: { traceparent: hop.traceparent } });
  }

  async #run({ taskId, program, input, timeoutMs = TIMEOUT_MS_DEFAULT }: PodLaunch, hop: Hop): Promise<PodResult> {
    const { fleet, programs, id } = this.#options;
    const say = (state: string, more: Readonly<Record<string, unknown>> = {}): void =>
      fleet.send(
        subject.podStatus(taskId),
        { taskId, state, program, launcher: id, timestamp: new Date().toISOString(), ...more },
        { headers: { traceparent: hop.traceparent } },
      );
    const command = Object.hasOwn(programs, program) ? programs[program] : undefined;
    if (command === undefined) {
      const known = Object.keys(programs).join(", ") || "none";
      const message = `launcher ${id} has no program "${program}"; it has: ${known}`;
      return { taskId, status: "failed", error: { type: "PROGRAM_UNKNOWN", message } };
    }
    say("launched");
    const { PATH = "" } = process.env;
    const startedAt = performance.now();
    const end = await runPod({
      command,
      input,
      timeoutMs,
      signal: this.#stopping.signal,
      reaper: this.#reaper,
      environment: { PATH, BAKER_TASK_ID: taskId, TRACEPARENT: hop.traceparent },
      onStarted: (pid) => say("running", { pid }),
    });
    return resultOf(taskId, end, Math.round(performance.now() - startedAt));
  }
}

function resultOf(taskId: string, end: PodEnd, durationMs: number): PodResult {
  const { exitCode, stderr, fault } = end;
  const stdout = asItFits(end.stdout);
  const isTruncated = end.isTruncated || stdout.length < end.stdout.length;
  const told = { taskId, exitCode, stderr, truncated: isTruncated, durationMs, timestamp: new Date().toISOString() };
  return fault === null
    ? { ...told, status: "completed", output: jsonOrText(stdout) }
    : { ...told, status: "failed", output: stdout, error: fault };
}

/** A control character takes six bytes in JSON, and a message of the fleet has at most 1 MiB. */
function asItFits(text: string): string {
  let fitting = text;
  while (Buffer.byteLength(JSON.stringify(fitting)) > JSON_BYTES_MAX) {
    fitting = fitting.slice(0, Math.floor(fitting.length / 2));
  }
  return fitting;
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
