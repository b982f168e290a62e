/**
 * When a started server is ready. It writes its ports file once it listens, which it does after JetStream has
 * recovered; then it is asked for its INFO line, which is what the first client will meet. The name in that line proves
 * that the file was not left by an earlier server and that nobody else answers on the port.
 */
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { loopbackAddress } from "./server-config.js";

export interface ServerAddress {
  readonly port: number;
  /** Null when the server was not asked to have one. */
  readonly monitoringPort: number | null;
}

export interface ExpectedServer {
  readonly pid: number;
  readonly binary: string;
  readonly serverName: string;
  /** The `--ports_file_dir` it was given. */
  readonly portsFolder: string;
}

/** A poll is one file that is not there; the server takes about 20 ms with an empty store. */
const pollIntervalMs = 3;

/** On loopback the line comes with the connection. */
const infoTimeoutMs = 1_000;

/** Resolves with the server's ports, or with undefined when `signal` is aborted first. */
export async function untilReady(expected: ExpectedServer, signal: AbortSignal): Promise<ServerAddress | undefined> {
  while (!signal.aborted) {
    const address = await publishedAddress(expected);
    if (address !== undefined && (await answersAs(expected.serverName, address.port))) {
      return address;
    }
    await delay(pollIntervalMs);
  }
  return undefined;
}

/** `{"nats":["nats://127.0.0.1:4222"],"monitoring":["http://127.0.0.1:8222"]}`; undefined until it is there, whole. */
async function publishedAddress(expected: ExpectedServer): Promise<ServerAddress | undefined> {
  const file = join(expected.portsFolder, `${basename(expected.binary)}_${expected.pid}.ports`);
  try {
    const ports: unknown = JSON.parse(await readFile(file, "utf8"));
    const port = portOf(ports, "nats");
    return port === null ? undefined : { port, monitoringPort: portOf(ports, "monitoring") };
  } catch {
    return undefined;
  }
}

function portOf(ports: unknown, service: "nats" | "monitoring"): number | null {
  const urls: unknown = isRecord(ports) ? ports[service] : undefined;
  const url: unknown = Array.isArray(urls) ? urls[0] : undefined;
  return typeof url === "string" ? Number(new URL(url).port) : null;
}

async function answersAs(serverName: string, port: number): Promise<boolean> {
  const line = await firstLine(port);
  if (line === undefined || !line.startsWith("INFO ")) {
    return false;
  }
  const info: unknown = JSON.parse(line.slice("INFO ".length));
  return isRecord(info) && info["server_name"] === serverName && info["jetstream"] === true;
}

function firstLine(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: loopbackAddress, port, timeout: infoTimeoutMs });
    let text = "";
    const finish = (line: string | undefined): void => {
      socket.destroy();
      resolve(line);
    };
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\r\n");
      if (end >= 0) {
        finish(text.slice(0, end));
      }
    });
    socket.once("timeout", () => finish(undefined));
    socket.once("error", () => finish(undefined));
    socket.once("close", () => finish(undefined));
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
