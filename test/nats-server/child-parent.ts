/**
 * A process of its own that starts a server from the compiled code, to be killed while the server runs. It prints one
 * line of JSON once the server is ready.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const compiledStart = new URL("../../dist/src/nats-server/start.js", import.meta.url).href;

export interface ServerOfChild {
  readonly pid: number;
  readonly url: string;
  readonly port: number;
}

export interface ParentProcess extends AsyncDisposable {
  readonly process: ChildProcess;
  /** The first line it prints, or undefined when it ends without one. */
  readonly ready: Promise<ServerOfChild | undefined>;
}

/** `afterwards` is run once the server is ready; without it the process waits to be killed. */
export function startInChild(storeDir: string, binary: string, afterwards = ""): ParentProcess {
  const script = `
    import { startNatsServer } from ${JSON.stringify(compiledStart)};
    const server = await startNatsServer(${JSON.stringify({ storeDir, binary })});
    console.log(JSON.stringify({ pid: server.pid, url: server.url, port: server.port }));
    ${afterwards}
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<undefined>((resolve) => {
    child.once("exit", () => resolve(undefined));
  });
  const line = new Promise<ServerOfChild>((resolve) => {
    createInterface({ input: child.stdout }).once("line", (text) => resolve(JSON.parse(text) as ServerOfChild));
  });
  return {
    process: child,
    ready: Promise.race([line, ended]),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
