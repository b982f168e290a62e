/** One run: a server, two orchestrators, agents and clients; everything is killed in turn; then peace, a last look and a verdict. */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { judge } from "../checker/checker.js";
import type { ClientRecord, History, Status } from "../checker/history.js";
import { type PlannedSubmission, planWorkload } from "../checker/workload.js";
import { SeededRandom } from "../support/seeded-random.js";
import { Agenda } from "./agenda.js";
import { readAgentLogs } from "./agent-log.js";
import { Crowd } from "./crowd.js";
import { Fleet, type PlaceOptions } from "./fleet.js";
import { RawClient } from "./raw-client.js";
import { sdkClient } from "./sdk-client.js";
import { Server } from "./server.js";
import { Onslaught } from "./strikes.js";

export interface ChaosOptions {
  readonly seed: number;
  readonly tasks: number;
  /** How long submissions are spread, and how long there is war at the least. */
  readonly seconds: number;
  readonly tell: (line: string) => void;
}

export interface ChaosReport {
  readonly seed: number;
  readonly breaches: readonly string[];
  readonly tasks: number;
  readonly ended: Readonly<Record<string, number>>;
  readonly attempts: number;
  readonly strikes: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Longest time in which no client was answered anything. */
  readonly longestSilenceMs: number;
  /** With the logs of every process and the history; removed where there is nothing to find in it. */
  readonly folder: string | null;
}

const NAMESPACE = "chaos";
const LEASE_MS = 2_000;
const HEARTBEAT_MS = 500;
/** What trouble left behind is over after this: the longest time-outs and back-offs of the workload, and losses. */
const PEACE_SECONDS_MAX = 120;
const PROGRESS_MS = 5_000;

const agents = [
  { agentId: "sdk-1", script: "sdk-agent.js", types: ["sum", "scan", "print"] },
  { agentId: "sdk-2", script: "sdk-agent.js", types: ["sum", "scan"] },
  { agentId: "sdk-3", script: "sdk-agent.js", types: ["sum", "print"] },
  { agentId: "hand-1", script: "raw-agent.js", types: ["sum", "scan", "print"] },
  { agentId: "hand-2", script: "raw-agent.js", types: ["sum", "scan"] },
  { agentId: "hand-3", script: "raw-agent.js", types: ["sum", "print"] },
] as const;

/** `stop` kills every process of the run, and then there is no report. */
export function startChaos(options: ChaosOptions): { readonly report: Promise<ChaosReport>; stop(): Promise<void> } {
  const folder = mkdtempSync(join(tmpdir(), "perdure-chaos-"));
  const run = new ChaosRun(options, folder);
  const report = async (): Promise<ChaosReport> => {
    try {
      const written = await run.run();
      if (written.breaches.length > 0) return written;
      rmSync(folder, { recursive: true, force: true });
      return { ...written, folder: null };
    } finally {
      await run.close();
    }
  };
  return { report: report(), stop: () => run.close() };
}

class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #folder: string;
  readonly #agenda = new Agenda();
  readonly #server: Server;
  readonly #records: ClientRecord[] = [];
  readonly #submissions: readonly PlannedSubmission[];
  #fleet: Fleet | null = null;
  #restartsAtOnce = false;
  #close: () => Promise<void> = async () => undefined;

  constructor(options: ChaosOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    this.#server = new Server(join(folder, "store"));
    const { seed, tasks } = options;
    const types = ["sum", "scan", "print"];
    this.#submissions = planWorkload({ seed, tasks, types, agentIds: agents.map(({ agentId }) => agentId) });
  }

  async run(): Promise<ChaosReport> {
    const { seed, seconds, tasks } = this.#options;
    const startedAt = performance.now();
    await this.#server.start();
    const fleet = this.#startFleet();
    const raw = new RawClient(this.#server.port, NAMESPACE);
    const sdk = await sdkClient(this.#server.port, NAMESPACE);
    this.#close = async () => {
      await Promise.all([raw.close(), sdk.close()]);
    };
    raw.onEvent(({ eventType, payload = {} }) => this.#note({ kind: "heard", at: Date.now(), eventType, payload }));
    const crowd = new Crowd({
      agenda: this.#agenda,
      random: new SeededRandom(seed + 1),
      clients: [raw, sdk],
      submissions: this.#submissions,
      spreadMs: seconds * 1_000,
      record: (record) => this.#note(record),
    });
    const onslaught = new Onslaught(
      {
        agenda: this.#agenda,
        random: new SeededRandom(seed + 2),
        fleet,
        server: this.#server,
        leaseMs: LEASE_MS,
        lostAfterMs: 6 * HEARTBEAT_MS,
      },
      { least: 100, most: 3_000 },
    );
    onslaught.start();
    this.#tellProgress(crowd, onslaught);

    const done = crowd.run();
    const war = this.#agenda.pause(seconds * 1_000);
    await Promise.race([Promise.all([done, war]), this.#agenda.pause(seconds * 1_000)]);
    onslaught.end();
    const isAtRest = await this.#restInPeace(done);
    const statuses = isAtRest ? await this.#lookOnceMore(crowd, raw) : [];
    await this.close();

    const history: History = {
      clients: this.#records,
      agents: readAgentLogs(this.#folder),
      statuses,
    };
    writeRecords(join(this.#folder, "clients.jsonl"), this.#records);
    writeRecords(join(this.#folder, "strikes.jsonl"), onslaught.done);
    const verdict = judge(history);
    return {
      seed,
      tasks,
      breaches: [...(isAtRest ? [] : ["the run never came to rest"]), ...verdict.breaches],
      ended: verdict.ended,
      attempts: verdict.attempts,
      strikes: onslaught.counts,
      seconds: Math.round((performance.now() - startedAt) / 1_000),
      longestSilenceMs: crowd.longestSilenceMs,
      folder: this.#folder,
    };
  }

  /** May be called twice. */
  async close(): Promise<void> {
    this.#agenda.clear();
    await this.#close();
    await Promise.all((this.#fleet?.all ?? []).map((place) => place.close()));
    await this.#server.kill();
  }

  #note(record: ClientRecord): void {
    this.#records.push(record);
  }

  #startFleet(): Fleet {
    const { port } = this.#server;
    const logFolder = this.#folder;
    const orchestrators = ["orchestrator-1", "orchestrator-2"].map((name): PlaceOptions => {
      const liveness = {
        healthCheckIntervalMs: HEARTBEAT_MS,
        unhealthyThresholdMs: 3 * HEARTBEAT_MS,
        lostThresholdMs: 6 * HEARTBEAT_MS,
      };
      const settings = { namespace: NAMESPACE, maxConcurrentTasks: 0, leaseMs: LEASE_MS, ...liveness };
      const options = { servers: `nats://127.0.0.1:${port}`, settings };
      return { name, kind: "orchestrator", script: "orchestrator-process.js", options };
    });
    const places = agents.map(({ agentId, script, types }): PlaceOptions => {
      const options = { port, namespace: NAMESPACE, agentId, types, places: 40, logFolder };
      return { name: agentId, kind: "agent", script, options };
    });
    const random = new SeededRandom(this.#options.seed + 3);
    const fleet = new Fleet({
      agenda: this.#agenda,
      logFolder,
      places: [...orchestrators, ...places],
      restartAfterMs: () => (this.#restartsAtOnce ? 0 : random.between(0, 3_000)),
      onFault: (what) => this.#note({ kind: "fault", at: Date.now(), what }),
    });
    for (const place of fleet.all) place.start();
    this.#fleet = fleet;
    return fleet;
  }

  /** No more trouble: everything that is frozen goes on. Resolves with whether all work was done in time. */
  async #restInPeace(done: Promise<void>): Promise<boolean> {
    const { tell } = this.#options;
    tell("peace: what was accepted has to end now");
    this.#restartsAtOnce = true;
    const calm = setInterval(() => {
      this.#server.thaw();
      for (const place of this.#fleet?.all ?? []) place.thaw();
    }, 500);
    const late = this.#agenda.pause(PEACE_SECONDS_MAX * 1_000);
    try {
      return await Promise.race([done.then(() => true), late.then(() => false)]);
    } finally {
      clearInterval(calm);
    }
  }

  /** All of it is killed once more, and then everything has to be as it was. */
  async #lookOnceMore(crowd: Crowd, client: RawClient): Promise<Status[]> {
    this.#options.tell("the last look, after one more crash of everything");
    const before = await client.status();
    await Promise.all((this.#fleet?.orchestrators ?? []).map(({ child }) => child?.kill()));
    await this.#server.kill();
    await this.#server.start();
    const ids = new Set(this.#submissions.flatMap(({ tasks }) => tasks.map(({ taskId }) => taskId)));
    const queue = [...ids];
    const lookers = Array.from({ length: 50 }, async () => {
      for (let taskId = queue.pop(); taskId !== undefined; taskId = queue.pop()) await crowd.look(taskId);
    });
    await Promise.all(lookers);
    return [before, await client.status()].flatMap((said) => (said.kind === "answered" ? [said.value] : []));
  }

  #tellProgress(crowd: Crowd, onslaught: Onslaught): void {
    const { tell, tasks } = this.#options;
    this.#agenda.after(PROGRESS_MS, () => {
      tell(`${crowd.endedCount} of ${tasks} tasks have ended, ${onslaught.done.length} strikes`);
      this.#tellProgress(crowd, onslaught);
    });
  }
}

/** A line each: all of a long run would be more than one text may have. */
function writeRecords(path: string, records: readonly object[]): void {
  const file = openSync(path, "w");
  for (const record of records) writeSync(file, `${JSON.stringify(record)}\n`);
  closeSync(file);
}
