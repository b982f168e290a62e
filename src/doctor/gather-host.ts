/** What only the server's monitoring port and its disk tell. Both are asked only where it is certain whose they are. */
import { stat, statfs } from "node:fs/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { z } from "zod";
import { type Known, known, notKnown } from "../jetstream/inspector.js";
import type { Greeting } from "../jetstream/server-facts.js";
import type { HostFacts, MonitoringFacts, StoreFolderFacts } from "./facts.js";
import { within } from "./within.js";

/** A server that was started by this package, as its store folder tells. */
export interface LocalServer {
  readonly serverName: string;
  /** Where JetStream keeps its files. */
  readonly dataPath: string;
  readonly sync: "always" | "interval";
  /** `jetstream.max_file`. */
  readonly storageBytesMax: number;
}

export interface HostOptions {
  /** Of the monitoring port; default: port 8222 of the server's host. */
  readonly monitoringUrl: string | undefined;
  readonly local: LocalServer | undefined;
  readonly timeoutMs: number;
  /** How the room on a disk is found out. Default: statfs. */
  readonly space: SpaceProbe | undefined;
}

export type SpaceProbe = (path: string) => Promise<{ readonly freeBytes: number; readonly totalBytes: number }>;

const MONITORING_PORT = 8222;

const monitoringTells =
  "the server's sync_interval and max_file are seen on its monitoring port (--monitoring), or in the store of one that `perdure dev` started (--store-dir)";

const Varz = z.object({
  server_id: z.string(),
  jetstream: z
    .object({
      config: z
        .object({
          max_storage: z.number(),
          store_dir: z.string().default(""),
          sync_always: z.boolean().default(false),
        })
        .optional(),
      stats: z.object({ storage: z.number(), reserved_storage: z.number().default(0) }).optional(),
    })
    .optional(),
});

const Healthz = z.object({ status: z.string(), error: z.string().optional() });

export async function gatherHost(greeting: Greeting, options: HostOptions): Promise<HostFacts> {
  const { local } = options;
  const isOurs = local !== undefined && local.serverName === greeting.serverName;
  const monitored = await askMonitoring(greeting, options);
  const config = monitored.known ? monitored.value.varz.jetstream?.config : undefined;
  const sync: HostFacts["sync"] = isOurs
    ? known(local.sync)
    : config === undefined
      ? notKnown("notAsked", monitoringTells)
      : known(config.sync_always ? "always" : "interval");
  const limit = config?.max_storage ?? (isOurs ? local.storageBytesMax : undefined);
  return {
    monitoring: monitored.known ? known(monitored.value.facts) : monitored,
    storageBytesMax: limit === undefined ? notKnown("notAsked", monitoringTells) : known(limit),
    sync,
    store: isOurs
      ? await folderFacts(local.dataPath, "certain", options)
      : await storeOf(greeting, config?.store_dir, options),
  };
}

interface Monitored {
  readonly varz: z.infer<typeof Varz>;
  readonly facts: MonitoringFacts;
}

async function askMonitoring(greeting: Greeting, { monitoringUrl, timeoutMs }: HostOptions): Promise<Known<Monitored>> {
  const host = isIP(greeting.host) === 6 ? `[${greeting.host}]` : greeting.host;
  const url = (monitoringUrl ?? `http://${host}:${MONITORING_PORT}`).replace(/\/+$/, "");
  const advice = "open it (`http: 127.0.0.1:8222`) and give its address with --monitoring";
  try {
    const varz = Varz.safeParse(await getJson(`${url}/varz`, timeoutMs));
    if (!varz.success) return notKnown("unreadable", `${url} is no monitoring port of a nats-server; ${advice}`);
    if (varz.data.server_id !== greeting.serverId) {
      return notKnown("notAsked", `the monitoring port at ${url} is another server's; ${advice}`);
    }
    const health = Healthz.parse(await getJson(`${url}/healthz`, timeoutMs));
    const stats = varz.data.jetstream?.stats;
    const facts: MonitoringFacts = {
      url,
      health: { isOk: health.status === "ok", said: health.error ?? health.status },
      stored: stats === undefined ? null : { storageBytes: stats.storage, reservedBytes: stats.reserved_storage },
    };
    return known({ varz: varz.data, facts });
  } catch {
    return notKnown("nobody", `no monitoring port at ${url}; ${advice}`);
  }
}

/** /healthz answers 503 with the same JSON where the server is not well. */
async function getJson(url: string, timeoutMs: number): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  return await response.json();
}

async function storeOf(
  greeting: Greeting,
  storeDir: string | undefined,
  options: HostOptions,
): Promise<Known<StoreFolderFacts>> {
  if (storeDir === undefined || storeDir === "") {
    return notKnown(
      "notAsked",
      "where the server keeps its data is not known: its monitoring port tells, and --store-dir for one that `perdure dev` started",
    );
  }
  if (!isThisMachine(greeting.host)) {
    return notKnown("notAsked", `the server's disk is on ${greeting.host}; run this there to have it checked`);
  }
  return folderFacts(storeDir, "perhaps", options);
}

/** @param belongs `perhaps`: a server in a container has a file system of its own */
async function folderFacts(
  path: string,
  belongs: "certain" | "perhaps",
  { timeoutMs, space = spaceOnDisk }: HostOptions,
): Promise<Known<StoreFolderFacts>> {
  const isThere = await within(
    timeoutMs,
    stat(path).then(
      (found) => found.isDirectory(),
      () => false,
    ),
  );
  if (isThere === "late") return notKnown("silent", `the disk of ${path} did not answer within ${timeoutMs} ms`);
  if (!isThere) {
    return belongs === "certain"
      ? known({ path, state: "missing" })
      : notKnown("notAsked", `${path} is no folder here: the server runs in a container, or somebody removed it`);
  }
  const measured = await within(timeoutMs, space(path));
  if (measured === "late") return notKnown("silent", `the disk of ${path} did not answer within ${timeoutMs} ms`);
  return known({ path, state: "there", ...measured });
}

const spaceOnDisk: SpaceProbe = async (path) => {
  const { bavail, blocks, bsize } = await statfs(path);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
};

function isThisMachine(host: string): boolean {
  if (host === "localhost" || host.startsWith("127.") || host === "[::1]" || host === "::1") return true;
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === host));
}
