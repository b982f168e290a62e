import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer } from "../../src/nats-server/find.js";
import { untilSome } from "./until.js";

/** A real nats-server with a configuration of the test's own: users, accounts, certificates. */
export interface ConfiguredNats extends AsyncDisposable {
  readonly port: number;
  /** Without credentials. */
  readonly url: string;
  /** A folder of this server's own; gone with it. */
  readonly folder: string;
  /** Takes another configuration on the port it has, as after `nats-server --signal reload`. */
  restart(config: string): Promise<void>;
  stop(): Promise<void>;
}

/**
 * @param config what goes into the file besides host and port; `STORE` in it becomes a folder for JetStream
 * @param write puts further files into the server's folder, which relative paths in the configuration begin from
 * @param wantedPort -1 takes a free one
 */
export async function startConfigured(
  config: string,
  write: (folder: string) => Promise<void> = () => Promise.resolve(),
  wantedPort = -1,
): Promise<ConfiguredNats> {
  const { path } = await findNatsServer();
  const folder = await mkdtemp(join(tmpdir(), "perdure-configured-"));
  await write(folder);
  let port = wantedPort;
  let server: ChildProcess | undefined;

  const start = async (text: string): Promise<void> => {
    const file = join(folder, "server.conf");
    await writeFile(file, `host: 127.0.0.1\nport: ${port}\n${text.replaceAll("STORE", join(folder, "store"))}\n`);
    let log = "";
    const child = spawn(path, ["-c", file], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    server = child;
    child.stderr.on("data", (chunk: Buffer) => {
      log += chunk.toString();
    });
    port = await untilSome("the configured server is ready", () => {
      if (child.exitCode !== null) throw new Error(`nats-server ended: ${log}`);
      const found = /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(log);
      return found !== null && log.includes("Server is ready") ? Number(found[1]) : null;
    });
  };
  const stop = async (): Promise<void> => {
    const child = server;
    server = undefined;
    if (child === undefined) return;
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  };

  await start(config);
  return {
    port,
    url: `nats://127.0.0.1:${port}`,
    folder,
    restart: async (text) => {
      await stop();
      await start(text);
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
