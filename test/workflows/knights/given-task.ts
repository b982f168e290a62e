import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Executor, Log, Spent } from "../../../workflows/knights/executor.js";
import type { KnightTask } from "../../../workflows/knights/messages.js";

export function givenTask(change: Partial<KnightTask> = {}): KnightTask {
  return {
    task: "What is to be done first?",
    task_id: "security-1771813755-33254",
    domain: "security",
    dispatched_by: "tim",
    timestamp: "2026-02-23T02:29:15.000Z",
    metadata: { priority: "normal" },
    ...change,
  };
}

export const spent: Spent = { cost: 0.25, tokens: { input: 1_000, output: 200 }, model: "small-1" };

export interface LogEntry {
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function givenLog(): { readonly log: Log; readonly entries: readonly LogEntry[] } {
  const entries: LogEntry[] = [];
  const at =
    (level: LogEntry["level"]) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      entries.push({ level, message, fields });
    };
  return { log: { info: at("info"), warn: at("warn"), error: at("error") }, entries };
}

/** Runs until it is aborted. */
export const endless: Executor = {
  execute: (_task, { signal }) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    }),
};

export const answering = (result: string): Executor => ({ execute: async () => ({ ...spent, result }) });

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "perdure-knights-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
