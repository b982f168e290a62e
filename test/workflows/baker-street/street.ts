/**
 * Baker Street on an engine and a nats-server of its own, for one test file: members of ours in this process, old members on
 * a raw socket. Everybody leaves after the test that brought them, and the queue goes with them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import { connectFleet, type Fleet } from "../../../src/bridges/index.js";
import type { Client } from "../../../src/client/client.js";
import { silentLogger } from "../../../src/logger.js";
import { type Brain, startBrain } from "../../../workflows/baker-street/brain.js";
import { Extension, type Tool } from "../../../workflows/baker-street/extension.js";
import { startJobWorker } from "../../../workflows/baker-street/job-worker.js";
import { PodLauncher } from "../../../workflows/baker-street/pods.js";
import { startTracing } from "../../../workflows/baker-street/tracing.js";
import { useLocalSystem } from "../../support/local-system.js";
import { RawNats } from "../../support/raw-nats.js";
import { until } from "../../support/until.js";

export type Json = Record<string, unknown>;

const heartbeatMs = 100;
/** Longer than a loaded machine stands still, shorter than a test waits. */
const ackWaitMs = 4_000;
const memberScript = fileURLToPath(new URL("../../../dist/workflows/baker-street/member.js", import.meta.url));

export interface MemberProcess {
  readonly process: ChildProcess;
  /** What it printed when it was ready, without that word. */
  readonly ready: readonly string[];
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
}

export interface Street {
  readonly url: string;
  readonly client: Client;
  raw(): Promise<RawNats>;
  /** Resolves when it is active. */
  brain(id?: string): Promise<Brain>;
  standby(id: string): Promise<Brain>;
  /** What it resolves with ends it. */
  worker(id: string): Promise<() => Promise<void>>;
  extension(id: string, tools: Readonly<Record<string, Tool>>): Promise<Extension>;
  pods(programs: Readonly<Record<string, readonly string[]>>): Promise<PodLauncher>;
  process(role: string, id: string, ...more: readonly string[]): Promise<MemberProcess>;
  fleet(name: string): Promise<Fleet>;
}

export function useStreet(): Street {
  const system = useLocalSystem();
  const ends: (() => unknown)[] = [];
  const leaving = <T>(member: T, end: () => unknown): T => {
    ends.unshift(end);
    return member;
  };
  const settings = (id: string) => ({
    id,
    servers: system.url,
    namespace: "mcp",
    heartbeatMs,
    ackWaitMs,
    logger: silentLogger,
  });
  const fleet = async (name: string) => {
    const connected = await connectFleet({ servers: system.url, name, logger: silentLogger });
    return leaving(connected, () => connected.close());
  };
  const standby = async (id: string): Promise<Brain> => {
    const brain = await startBrain({ ...settings(id), httpPort: 0 });
    return leaving(brain, () => brain.stop());
  };

  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    await using nats = await RawNats.connect(system.url);
    await nats.request("$JS.API.STREAM.DELETE.BAKER_JOBS", "");
  });

  return {
    get url() {
      return system.url;
    },
    get client() {
      return system.client;
    },
    raw: async () => {
      const nats = await RawNats.connect(system.url);
      return leaving(nats, () => nats.close());
    },
    standby,
    brain: async (id = "brain") => {
      const brain = await standby(id);
      await until(`brain ${id} is active`, async () => {
        const { agentStatuses } = await system.client.status();
        const isThere = agentStatuses.some(({ agentId, state }) => agentId === "baker-pods" && state === "healthy");
        return brain.handoff.role === "active" && isThere;
      });
      return brain;
    },
    worker: async (id) => {
      const { stop } = await startJobWorker(settings(id));
      let stopped: Promise<void> | undefined;
      const once = (): Promise<void> => {
        stopped ??= stop();
        return stopped;
      };
      return leaving(once, once);
    },
    extension: async (id, tools) => {
      const tracing = startTracing("extension");
      const extension = new Extension({ fleet: await fleet(id), id, tools, tracing, heartbeatMs });
      return leaving(extension, () => extension.stop());
    },
    pods: async (programs) => {
      const tracing = startTracing("pods", {});
      const launcher = new PodLauncher({ fleet: await fleet("pods"), id: "pods", programs, tracing, heartbeatMs });
      return leaving(launcher, () => launcher.stop());
    },
    fleet,
    process: async (role, id, ...more) => {
      const args = ["--server", system.url, "--heartbeat", String(heartbeatMs), "--ack-wait", String(ackWaitMs)];
      const child = spawn(process.execPath, [memberScript, role, "--id", id, ...args, ...more], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      const closed = once(child, "close");
      const kill = async (): Promise<void> => {
        child.kill("SIGKILL");
        await closed;
      };
      leaving(child, kill);
      const lines = createInterface({ input: child.stdout });
      const [line] = (await Promise.race([once(lines, "line"), closed.then(() => ["ended too early"])])) as [string];
      return { process: child, ready: line.split(" ").slice(1), kill };
    },
  };
}

export async function handIn(brain: Pick<Brain, "url">, job: unknown): Promise<Json> {
  const response = await fetch(`${brain.url}/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(job),
  });
  return { status: response.status, ...((await response.json()) as Json) };
}

export async function get(brain: Pick<Brain, "url">, path: string): Promise<Json> {
  const response = await fetch(`${brain.url}${path}`);
  return { httpStatus: response.status, ...((await response.json()) as Json) };
}

export const bodyOf = ({ data }: { readonly data: Uint8Array }): Json =>
  JSON.parse(Buffer.from(data).toString()) as Json;

/** An old worker: in the queue group of the consumer that the server says there is, with acknowledgements by hand. */
export async function oldWorker(nats: RawNats) {
  const answer = bodyOf(await nats.request("$JS.API.CONSUMER.INFO.BAKER_JOBS.workers", ""));
  const { deliver_subject, deliver_group } = answer["config"] as { deliver_subject: string; deliver_group: string };
  const deliveries = nats.subscribe(deliver_subject, { queue: deliver_group });
  await nats.flush();
  return {
    deliveries,
    /** Ids of the jobs that were dispatched, once for each message of the stream, however often that was delivered. */
    dispatched: (): readonly string[] => {
      const jobIds = deliveries.received.map(
        (delivery) => [sequenceOf(delivery), String(bodyOf(delivery)["jobId"])] as const,
      );
      return [...new Map(jobIds).values()];
    },
    acknowledge: (reply: string | null): void => {
      if (reply !== null) nats.publish(reply, "+ACK");
    },
  };
}

/** `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>. …` */
const sequenceOf = ({ reply }: { readonly reply: string | null }): string => reply?.split(".")[5] ?? "none";

const traceOf = (traceparent: string | undefined): readonly string[] => (traceparent ?? "").split("-");
export const traceIdOf = (traceparent: string | undefined): string | undefined => traceOf(traceparent)[1];
export const spanIdOf = (traceparent: string | undefined): string | undefined => traceOf(traceparent)[2];
