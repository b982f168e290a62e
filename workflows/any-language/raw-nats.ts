/** A NATS connection on a plain socket, as small as it gets: what a client library would do for the conformance check. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type Frame, FrameReader } from "./nats-frames.js";

export interface RawMessage {
  readonly subject: string;
  readonly reply: string | null;
  readonly body: Buffer;
}

export interface PublishOptions {
  readonly reply?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export class RawNats {
  readonly #socket: Socket;
  readonly #handlers = new Map<string, (message: RawMessage) => void>();
  #pongs: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    const reader = new FrameReader();
    socket.on("data", (chunk) => {
      for (const frame of reader.read(chunk)) this.#take(frame);
    });
    // The server is ended under it more than once; whoever waits for an answer has a limit.
    socket.on("error", () => socket.destroy());
  }

  /** @throws Error where nobody listens */
  static async connect(url: string): Promise<RawNats> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, "connect");
    const nats = new RawNats(socket);
    // Without echo it does not hear itself where both sides speak on one subject.
    const options = { verbose: false, pedantic: false, echo: false, headers: true, no_responders: true };
    socket.write(`CONNECT ${JSON.stringify(options)}\r\n`);
    return nats;
  }

  subscribe(subject: string, handle: (message: RawMessage) => void): void {
    const sid = String(this.#handlers.size + 1);
    this.#handlers.set(sid, handle);
    this.#socket.write(`SUB ${subject} ${sid}\r\n`);
  }

  publish(subject: string, body: string, { reply = "", headers }: PublishOptions = {}): void {
    const payload = Buffer.from(body);
    if (headers === undefined) {
      this.#socket.write(Buffer.concat([Buffer.from(`PUB ${subject} ${reply} ${payload.length}\r\n`), payload, CRLF]));
      return;
    }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = Buffer.from(`NATS/1.0\r\n${lines.join("")}\r\n`);
    const line = `HPUB ${subject} ${reply} ${head.length} ${head.length + payload.length}\r\n`;
    this.#socket.write(Buffer.concat([Buffer.from(line), head, payload, CRLF]));
  }

  /** Resolves when the server has read everything written so far. */
  flush(): Promise<void> {
    const answered = new Promise<void>((resolve) => this.#pongs.push(resolve));
    this.#socket.write("PING\r\n");
    return answered;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take({ operation, words, payload, headerBytes }: Frame): void {
    if (operation === "PING") this.#socket.write("PONG\r\n");
    if (operation === "PONG") this.#pongs.shift()?.();
    if (operation !== "MSG" && operation !== "HMSG") return;
    const [subject = "", sid = "", ...rest] = words;
    const reply = rest.length > (operation === "MSG" ? 1 : 2) ? (rest[0] ?? null) : null;
    this.#handlers.get(sid)?.({ subject, reply, body: payload.subarray(headerBytes) });
  }
}

const CRLF = Buffer.from("\r\n");
