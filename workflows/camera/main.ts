/**
 * The whole camera system, each part a process of its own: frames are captured, a backlog builds up, an analyser is killed
 * with kill -9, and the alert for the one change there is overtakes what waits. Checks itself, and the exit status says
 * whether everything held.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, connectClient, PerdureError, TaskFailedError } from "perdure";
import { faultsIn, overtakenBy } from "./judge.js";
import { type Cast, type MainOptions, parseMainOptions, UsageError, usage } from "./main-options.js";
import { direct, framesOf, planWatch, taskIdOf, type Verdict } from "./pipeline.js";
import { type Actor, Stage, Stopped } from "./stage.js";

interface Scene {
  readonly stage: Stage;
  readonly url: string;
  readonly client: Client;
  readonly runId: string;
  readonly cast: readonly Cast[];
}

const startedAt = performance.now();

function tell(sentence: string): void {
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s  ${sentence}`);
}

/** Resolves with what did not hold, each a sentence. */
async function play(stage: Stage, { cast, alertsFolder }: MainOptions): Promise<readonly string[]> {
  const url = await stage.startEngine();
  tell(`perdure dev is ready: nats-server and orchestrator on ${url}`);
  const client = await connectClient({ servers: url, name: "camera demonstration" });
  try {
    const scene = { stage, url, client, cast, runId: `run-${randomBytes(4).toString("hex")}` };
    await captureAll(scene);
    const verdicts = await analyseAll(scene, alertsFolder ?? join(stage.folder, "alerts"));
    await tellHealth(scene);
    return [...faultsIn(verdicts, cast), ...(await faultsInOrder(scene, verdicts))];
  } finally {
    await client.close();
  }
}

/** No analyser is up yet, so that a backlog of analyses builds up. */
async function captureAll({ stage, url, client, runId, cast }: Scene): Promise<void> {
  const { signal } = stage;
  const cameras = await Promise.all(
    cast.map(({ camera, args, draws }) => {
      const folder = draws ? ["--frames", join(stage.folder, "frames", camera)] : [];
      return stage.startMember(`camera-${camera}`, url, ["--camera", camera, ...args, ...folder]);
    }),
  );
  tell(`${cameras.map(({ name, pid }) => `${name} (pid ${pid})`).join(" and ")} registered`);
  for (const watch of cast) await client.submitAll(planWatch(runId, watch), { signal });
  const captures = cast.flatMap((watch) => framesOf(watch, 1)).map((name) => taskIdOf(runId, "capture", name));
  const ends = await Promise.all(
    captures.map(async (taskId) => {
      const end = await client.wait(taskId, { signal });
      stage.heardNews();
      return end;
    }),
  );
  const captured = ends.filter(({ state }) => state === "completed").length;
  const { queuedTaskCount } = await client.status();
  tell(
    `${captured} of ${ends.length} frames are PNG files; ${queuedTaskCount} analyses wait, for no analyser is up yet`,
  );
}

async function analyseAll(scene: Scene, alertsFolder: string): Promise<readonly Verdict[]> {
  const { stage, url, client, runId, cast } = scene;
  const startAnalyser = (id: string): Promise<Actor> =>
    stage.startMember(id, url, ["--analyse", "--alerts", alertsFolder]);
  const [victim] = await Promise.all(["analyser-1", "analyser-2"].map(startAnalyser));
  tell("analyser-1 and analyser-2 registered; both analyse, and both raise alerts");

  const killAndReplace = async (): Promise<void> => {
    if (victim === undefined || cast.some(({ draws }) => !draws)) return;
    await killAtWork(scene, victim);
    await startAnalyser(victim.name);
    tell(`another process registered as ${victim.name} and was given what the dead one had`);
  };
  const onVerdict = (verdict: Verdict): void => {
    stage.heardNews();
    tellVerdict(verdict);
  };
  const [verdicts] = await Promise.all([
    Promise.all(cast.map((watch) => direct(watch, { client, runId, signal: stage.signal, onVerdict }))),
    killAndReplace(),
  ]);
  return verdicts.flat();
}

async function killAtWork({ client, stage }: Scene, victim: Actor): Promise<void> {
  // Stopped, it hands nothing in any more. Once what it has in hand stays the same, nothing of it is on its way either.
  victim.send("SIGSTOP");
  let held = "";
  for (let looks = 0, same = 0; looks < 40 && same < 3; looks += 1) {
    await delay(20, undefined, { signal: stage.signal });
    const { tasks } = await client.list({ agentId: victim.name, states: ["assigned", "running"] });
    const now = tasks.map(({ taskId }) => taskId).join(", ");
    same = now !== "" && now === held ? same + 1 : 0;
    held = now;
  }
  await victim.kill();
  tell(`kill -9 ${victim.pid}: ${victim.name} is dead with ${held} in its hands`);
}

function tellVerdict({ camera, frame, analysis, alert }: Verdict): void {
  if ("failed" in analysis) tell(`${camera} frame ${frame} could not be analysed: ${analysis.failed}`);
  if (alert === null) return;
  const { left, top, width, height } = alert.change.box;
  const where = `${width} x ${height} pixels at ${left}, ${top}`;
  tell(`ALERT ${alert.alertId}: ${where} of ${camera} changed with frame ${frame} (score ${alert.change.score})`);
}

/** What the cameras say of themselves comes with their next heartbeat. */
async function tellHealth({ stage, client, cast }: Scene): Promise<void> {
  for (const { camera, frames } of cast) {
    for (;;) {
      const { agentStatuses } = await client.status();
      const { state, metrics } = agentStatuses.find(({ agentId }) => agentId === `camera-${camera}`) ?? {};
      const { framesCaptured = 0, framesDropped = 0 } = metrics ?? {};
      if (framesCaptured + framesDropped >= frames) {
        tell(`camera-${camera} is ${state}: ${framesCaptured} frames captured, ${framesDropped} dropped`);
        break;
      }
      await delay(50, undefined, { signal: stage.signal });
    }
  }
}

/** Where frames are drawn, there is work enough for the alert to overtake some. */
async function faultsInOrder({ client, runId, cast }: Scene, verdicts: readonly Verdict[]): Promise<readonly string[]> {
  const analyses = await Promise.all(verdicts.map((verdict) => client.get(taskIdOf(runId, "analyse", verdict))));
  const again = analyses.filter(({ attempt }) => attempt > 1).length;
  tell(`${analyses.length} analyses ended, ${again} of them as a second attempt or later`);
  const alerted = verdicts.find(({ alert }) => alert !== null);
  if (alerted === undefined) return [];
  const overtaken = overtakenBy(await client.get(taskIdOf(runId, "alert", alerted)), analyses);
  tell(`the alert for ${alerted.camera} frame ${alerted.frame} overtook ${overtaken.length} of them`);
  return overtaken.length === 0 && cast.some(({ draws }) => draws) ? ["the alert overtook nothing"] : [];
}

async function main(): Promise<number> {
  const options = await parseMainOptions(process.argv.slice(2));
  if (options === "help") {
    console.log(usage);
    return 0;
  }
  const stage = await Stage.open();
  try {
    const faults = await play(stage, options);
    for (const fault of faults) console.error(`camera: ${fault}`);
    if (faults.length === 0) tell("everything held");
    return faults.length === 0 ? 0 : 1;
  } catch (fault) {
    // What was under way when it was stopped failed because of that.
    throw stage.signal.aborted ? stage.signal.reason : fault;
  } finally {
    await stage.close();
  }
}

function sentenceFor(fault: unknown): string {
  if (fault instanceof PerdureError) return `${fault.code}: ${fault.message}`;
  const isExpected = [Stopped, UsageError, TaskFailedError].some((kind) => fault instanceof kind);
  return fault instanceof Error ? (isExpected ? fault.message : (fault.stack ?? fault.message)) : String(fault);
}

try {
  process.exitCode = await main();
} catch (fault) {
  console.error(`camera: ${sentenceFor(fault)}`);
  if (fault instanceof UsageError) console.error(usage);
  process.exitCode = fault instanceof Stopped ? fault.exit : fault instanceof UsageError ? 2 : 1;
}
