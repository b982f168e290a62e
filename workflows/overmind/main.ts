/**
 * The platform on an engine of its own, each part of ours a process: some thousand events go through it, and two that
 * nobody can handle. Checks its own figures; the exit status says whether they are right.
 */
import { createLogger } from "perdure";
import { connectFleet } from "perdure/bridges";
import { startLocalSystem } from "perdure/testing";
import { Children } from "./children.js";
import {
  checkApi,
  checkMemories,
  mendAndReplay,
  poison,
  produce,
  type Scene,
  showReport,
  untilAllIsDone,
} from "./performance.js";
import { StateBucket } from "./state-bucket.js";
import { overmind } from "./topology.js";
import { traffic } from "./traffic.js";

const NAMESPACE = "mcp";
const REQUESTS = 1_500;
const MEMORIES = 300;

const startedAt = performance.now();

function tell(sentence: string): void {
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s  ${sentence}`);
}

/** Resolves with what did not hold, each a sentence. */
async function play(undo: (() => Promise<unknown>)[]): Promise<readonly string[]> {
  const system = await startLocalSystem({ onNotice: tell });
  undo.push(() => system.stop());
  tell(`nats-server and orchestrator on ${system.url}`);
  // On stderr: that a single server has one replica of each stream.
  const logger = createLogger("warn");
  const fleet = await connectFleet({ servers: system.url, name: "overmind demonstration", topology: overmind, logger });
  undo.push(() => fleet.close());
  const bucket = await StateBucket.open(fleet, NAMESPACE);
  const children = new Children();
  undo.push(() => children.stop());
  const names = ["api", "analytics", "consolidation", "consolidation"] as const;
  const [api, ...others] = await Promise.all(names.map((name) => children.start(name, system.url)));
  const pids = [api, ...others].map((child) => child?.pid).join(", ");
  tell(`API, analysis and two consolidation workers run (pids ${pids}); the API is at ${api?.url}`);
  const said = traffic(REQUESTS, MEMORIES, Date.now());
  const scene: Scene = { fleet, bucket, apiUrl: api?.url ?? "", said, tell, faults: [] };
  await produce(scene);
  await poison(scene);
  showReport(scene, await untilAllIsDone(scene));
  await checkMemories(scene);
  await checkApi(scene);
  await mendAndReplay(scene);
  return scene.faults;
}

const undo: (() => Promise<unknown>)[] = [];
const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => reject(new Error(`stopped by ${signal}`)));
  }
});
try {
  const faults = await Promise.race([play(undo), interrupted]);
  for (const fault of faults) console.error(`overmind: ${fault}`);
  if (faults.length === 0) tell("everything held");
  process.exitCode = faults.length === 0 ? 0 : 1;
} catch (fault) {
  console.error(`overmind: ${fault instanceof Error ? fault.message : String(fault)}`);
  process.exitCode = 1;
} finally {
  for (const step of undo.reverse()) await step();
}
// What was interrupted at its start may still be on its way.
process.exit();
