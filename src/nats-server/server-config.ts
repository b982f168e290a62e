/** The configuration file of a server started by us. Paths are not in it: they go on the command line, unquoted. */
import type { StoreSpace } from "./store-directory.js";

export interface ServerConfig {
  /** Tells our server from any other that answers on its port. */
  readonly serverName: string;
  /** 0: a free one. */
  readonly port: number;
  /** 0: a free one; undefined: no monitoring. */
  readonly monitoringPort: number | undefined;
  readonly maxFileBytes: number;
}

/** The server lives on this machine's loopback and asks for no password, so it must not listen elsewhere. */
export const loopbackAddress = "127.0.0.1";

/** Of the disk that data has or could have. JetStream counts live messages; overwritten ones wait for compaction. */
const fileShare = 0.75;

/**
 * Only what can be made again is kept in memory streams. 256 MiB is far more than that needs, and less than what would
 * push a laptop into swapping.
 */
const maxMemoryBytes = 256 * 1024 * 1024;

const logBytesMax = 8 * 1024 * 1024;
const olderLogsKept = 2;

/**
 * The value for `max_file`. Without one a full disk freezes a stream, whose publishes then time out; at `max_file` they
 * are refused at once instead. It follows what is used plus what is free, so that a restart does not change it, and
 * shrinks as others fill the disk. Streams that are already larger are kept; they only take no more.
 */
export function maxFileBytesFor(space: StoreSpace): number {
  return Math.floor((space.usedBytes + space.freeBytes) * fileShare);
}

export function serverConfigText(config: ServerConfig): string {
  const { serverName, port, monitoringPort, maxFileBytes } = config;
  return [
    "# Written by Perdure at each start.",
    `server_name: ${JSON.stringify(serverName)}`,
    `listen: "${loopbackAddress}:${orAnyFree(port)}"`,
    ...(monitoringPort === undefined ? [] : [`http: "${loopbackAddress}:${orAnyFree(monitoringPort)}"`]),
    "jetstream {",
    "  # An acknowledged write survives a power cut.",
    "  sync_interval: always",
    `  max_file: ${maxFileBytes}`,
    `  max_mem: ${maxMemoryBytes}`,
    "}",
    `logfile_size_limit: ${logBytesMax}`,
    `logfile_max_num: ${olderLogsKept}`,
    "",
  ].join("\n");
}

/** nats-server writes "any free port" as -1. */
function orAnyFree(port: number): number {
  return port === 0 ? -1 : port;
}
