import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { findNatsServer } from "../../src/nats-server/find.js";
import { until } from "./until.js";

/** Servers that our own would never be: for the refusals. */
export interface ForeignServer extends AsyncDisposable {
  readonly url: string;
}

/** A real nats-server without JetStream. */
export async function startWithoutJetStream(): Promise<ForeignServer> {
  const { path } = await findNatsServer();
  const port = await freePort();
  const server = spawn(path, ["-a", "127.0.0.1", "-p", String(port)], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  server.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  await until("the server is ready", () => log.includes("Server is ready"));
  return { url: `nats://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => ended(server) };
}

/** Says it is a nats-server of this version, and answers pings. */
export async function startFakeOfVersion(version: string): Promise<ForeignServer> {
  const server = createServer((socket) => {
    const info = { server_id: "FAKE", server_name: "fake", version, proto: 1, headers: true, max_payload: 1_048_576 };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("data", (chunk) => {
      for (const _ of chunk.toString().matchAll(/PING\r\n/g)) socket.write("PONG\r\n");
    });
    socket.on("error", () => socket.destroy());
  });
  const port = await listen(server);
  return {
    url: `nats://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, "close");
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, "close");
  return port;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server without a port");
  return address.port;
}

async function ended(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}
