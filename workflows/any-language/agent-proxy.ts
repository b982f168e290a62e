/**
 * Stands between the agent and the server, so that its connection can be cut, its server exchanged, and its messages
 * delivered in small pieces. To the agent it is a nats-server.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { type Frame, FrameReader } from "./nats-frames.js";

/** Smaller than any line of the protocol, so that each one comes in several pieces. */
const PIECE_BYTES = 5;

export class AgentProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #agents: Socket[] = [];
  #upstream: { readonly host: string; readonly port: number } | null = null;
  #delivery: "whole" | "in pieces" = "whole";
  #pongs = 0;
  #heardAtRegistration: readonly string[] | null = null;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on("connection", (socket) => this.#join(socket));
  }

  static async listen(port: number): Promise<AgentProxy> {
    const server = createServer();
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("a TCP server without a port");
    return new AgentProxy(server, address.port);
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Where connections lead from now on; those there are, are cut. Null: nowhere. */
  lead(url: string | null): void {
    const to = url === null ? null : new URL(url);
    this.#upstream = to === null ? null : { host: to.hostname, port: Number(to.port) };
    this.cut();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  deliver(delivery: "whole" | "in pieces"): void {
    this.#delivery = delivery;
  }

  /** As a server does now and then. */
  ping(): void {
    for (const agent of this.#agents) agent.write("PING\r\n");
  }

  /** Answers to pings of the server, and to those of `ping`. */
  get pongs(): number {
    return this.#pongs;
  }

  /** The subjects the agent had subscribed to when it registered for the first time. */
  get heardAtRegistration(): readonly string[] | null {
    return this.#heardAtRegistration;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, "close");
  }

  #join(agent: Socket): void {
    if (this.#upstream === null) {
      agent.destroy();
      return;
    }
    const server = connect(this.#upstream);
    for (const socket of [agent, server]) {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
    }
    agent.on("close", () => this.#part(agent, server));
    server.on("close", () => this.#part(agent, server));
    this.#agents.push(agent);
    const fromAgent = new FrameReader();
    const subjects: string[] = [];
    agent.on("data", (chunk) => {
      for (const frame of fromAgent.read(chunk)) this.#note(frame, subjects);
      server.write(chunk);
    });
    const fromServer = new FrameReader();
    let delivered = Promise.resolve();
    server.on("data", (chunk) => {
      // Frame by frame, so that a ping of our own never lands within one.
      for (const { bytes } of fromServer.read(chunk)) {
        if (this.#delivery === "whole") delivered = delivered.then(() => void agent.write(bytes));
        else delivered = delivered.then(() => inPieces(agent, bytes));
      }
    });
  }

  #note({ operation, words }: Frame, subjects: string[]): void {
    const [subject = ""] = words;
    if (operation === "PONG") this.#pongs += 1;
    else if (operation === "SUB") subjects.push(subject);
    else if (operation.endsWith("PUB") && subject.endsWith(".agent.register")) {
      this.#heardAtRegistration ??= [...subjects];
    }
  }

  #part(...sockets: readonly Socket[]): void {
    for (const socket of sockets) {
      socket.destroy();
      this.#sockets.delete(socket);
    }
    this.#agents = this.#agents.filter((agent) => !agent.destroyed);
  }
}

async function inPieces(socket: Socket, bytes: Buffer): Promise<void> {
  for (let start = 0; start < bytes.length && !socket.destroyed; start += PIECE_BYTES) {
    socket.write(bytes.subarray(start, start + PIECE_BYTES));
    // Two writes in one turn of the event loop may leave as one packet.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
