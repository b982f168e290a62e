/**
 * The conformance check: holds an agent in any language against the rules of docs/wire-protocol.md. First with a real
 * orchestrator, which is killed in between; then with a played one, which does what a real one does on bad days only.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentProxy } from "./agent-proxy.js";
import { type CheckOptions, checkHelp, parseCheckOptions, UsageError } from "./check-options.js";
import { CheckedAgent } from "./checked-agent.js";
import { checkWithPlayed } from "./played-stage.js";
import { checkWithOrchestrator } from "./real-stage.js";
import type { Verdict } from "./rule.js";
import type { Stage } from "./stage.js";
import { describeVerdict, summarise } from "./verdicts.js";

const exitStatus = { ok: 0, broken: 1, usage: 2, interrupted: 130 } as const;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function check(options: CheckOptions, undo: Stage["undo"]): Promise<readonly Verdict[]> {
  const folder = await mkdtemp(join(tmpdir(), "perdure-check-"));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  const proxy = await AgentProxy.listen(options.port);
  undo.push(() => proxy.close());
  const agent = new CheckedAgent({ command: options.command, url: proxy.url, namespace: options.namespace });
  undo.push(() => agent.stop());
  if (!agent.isOurs) say(`Start your agent with its server at ${proxy.url}; start it again whenever it has ended.`);

  const verdicts: Verdict[] = [];
  const note = (verdict: Verdict): void => {
    verdicts.push(verdict);
    say(describeVerdict(verdict));
  };
  const stage = { options, folder, proxy, agent, undo, say, note };
  await checkWithOrchestrator(stage);
  await checkWithPlayed(stage);
  if (verdicts.length === 0) throw new UsageError(`--only "${options.only}" is part of no rule's name`);
  return verdicts;
}

class Interrupted extends Error {
  override readonly name = "Interrupted";
}

async function run(args: readonly string[]): Promise<number> {
  const options = parseCheckOptions(args);
  if ("help" in options) {
    process.stdout.write(checkHelp);
    return exitStatus.ok;
  }
  const undo: Stage["undo"] = [];
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
      process.once(signal, () => reject(new Interrupted(`stopped by ${signal}`)));
    }
  });
  try {
    const verdicts = await Promise.race([check(options, undo), interrupted]);
    say(summarise(verdicts));
    const isBroken = verdicts.some(({ rule, outcome }) => rule.weight === "must" && outcome === "broken");
    const isKept = verdicts.some(({ outcome }) => outcome === "kept");
    return isBroken || !isKept ? exitStatus.broken : exitStatus.ok;
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (fault) {
  process.stderr.write(`check-agent: ${fault instanceof Error ? fault.message : String(fault)}\n`);
  process.exitCode = exitStatus.broken;
  if (fault instanceof UsageError) process.exitCode = exitStatus.usage;
  if (fault instanceof Interrupted) process.exitCode = exitStatus.interrupted;
}
// A check that was interrupted still waits for something.
process.exit();
