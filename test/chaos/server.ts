/** The nats-server of a run: killed, frozen, and started again on the same port and store. */
import { type NatsServer, startNatsServer } from "../../src/nats-server/start.js";

export class Server {
  readonly #storeDir: string;
  #server: NatsServer | null = null;
  #port = 0;
  #frozen = false;

  constructor(storeDir: string) {
    this.#storeDir = storeDir;
  }

  get port(): number {
    return this.#port;
  }

  get isRunning(): boolean {
    return this.#server !== null && !this.#frozen;
  }

  async start(): Promise<void> {
    this.#server = await startNatsServer({ storeDir: this.#storeDir, port: this.#port });
    this.#port = this.#server.port;
  }

  /** SIGKILL; whatever the server had not written yet is lost. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    this.#frozen = false;
    server.kill("SIGKILL");
    await server.exited;
    await server.stop();
  }

  /** SIGTERM: it writes what it has and says goodbye. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    await server?.stop();
  }

  freeze(): void {
    this.#server?.kill("SIGSTOP");
    this.#frozen = this.#server !== null;
  }

  thaw(): void {
    this.#server?.kill("SIGCONT");
    this.#frozen = false;
  }
}
