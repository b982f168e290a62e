/**
 * A NATS connection on a plain TCP socket that comes back by itself, for hand-written agents and clients: it shares no
 * code with the engine nor with the client library. What is published while it is down is lost.
 */
import { randomUUID } from "node:crypto";
import { connect, type Socket } from "node:net";

export interface Incoming {
  readonly subject: string;
  readonly reply: string | null;
  /** 503: nobody listens. */
  readonly status: number | null;
  readonly data: Buffer;
}

/** Of a request: what came back, or why nothing did. */
export type Reply = { readonly kind: "answered"; readonly message: Incoming } | { readonly kind: "unanswered" };

const LINE_END = Buffer.from("\r\n");
const RECONNECT_MS = 50;
/** A server that answers no ping for this long is gone or frozen; its successor may listen already. */
const PING_MS = 2_000;

export class RawConnection {
  readonly #port: number;
  readonly #inbox = `_INBOX.${randomUUID()}`;
  readonly #subscriptions: { readonly subject: string; readonly handle: (message: Incoming) => void }[] = [];
  readonly #waiting = new Map<string, (reply: Reply) => void>();
  readonly #onConnected: () => void;
  #socket: Socket | null = null;
  #buffered: Buffer = Buffer.alloc(0);
  #ready = false;
  #closed = false;
  #requests = 0;
  #heardAt = 0;
  #pinging: NodeJS.Timeout | undefined;

  /** `onConnected` is called each time there is a connection again; subscriptions are in place by then. */
  constructor(port: number, onConnected: () => void = () => undefined) {
    this.#port = port;
    this.#onConnected = onConnected;
    this.subscribe(`${this.#inbox}.*`, (message) => {
      const token = message.subject.slice(this.#inbox.length + 1);
      const answered: Reply = message.status === 503 ? { kind: "unanswered" } : { kind: "answered", message };
      this.#waiting.get(token)?.(answered);
    });
    this.#connect();
  }

  subscribe(subject: string, handle: (message: Incoming) => void): void {
    this.#subscriptions.push({ subject, handle });
    if (this.#ready) this.#write(`SUB ${subject} ${this.#subscriptions.length}\r\n`);
  }

  publish(subject: string, body: string, reply?: string): void {
    if (!this.#ready) return;
    const payload = Buffer.from(body);
    this.#write(`PUB ${subject}${reply === undefined ? "" : ` ${reply}`} ${payload.length}\r\n`, payload, LINE_END);
  }

  /** Never rejects. */
  request(subject: string, body: string, timeoutMs: number): Promise<Reply> {
    return new Promise((resolve) => {
      this.#requests += 1;
      const token = String(this.#requests);
      const settle = (reply: Reply): void => {
        clearTimeout(timer);
        this.#waiting.delete(token);
        resolve(reply);
      };
      const timer = setTimeout(() => settle({ kind: "unanswered" }), timeoutMs);
      this.#waiting.set(token, settle);
      // What cannot be sent now waits for the next connection: whoever asked would do nothing but ask again.
      this.publish(subject, body, `${this.#inbox}.${token}`);
    });
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#pinging);
    this.#socket?.destroy();
    for (const settle of [...this.#waiting.values()]) settle({ kind: "unanswered" });
  }

  #connect(): void {
    if (this.#closed) return;
    const socket = connect({ host: "127.0.0.1", port: this.#port, noDelay: true });
    this.#socket = socket;
    this.#buffered = Buffer.alloc(0);
    socket.on("data", (chunk) => this.#read(chunk));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#lost());
  }

  #lost(): void {
    this.#ready = false;
    clearInterval(this.#pinging);
    if (!this.#closed) setTimeout(() => this.#connect(), RECONNECT_MS);
  }

  #introduce(): void {
    this.#write(`CONNECT ${JSON.stringify({ verbose: false, headers: true, no_responders: true, lang: "hand" })}\r\n`);
    for (const [index, { subject }] of this.#subscriptions.entries()) this.#write(`SUB ${subject} ${index + 1}\r\n`);
    this.#ready = true;
    this.#heardAt = performance.now();
    this.#pinging = setInterval(() => {
      if (performance.now() - this.#heardAt > 2 * PING_MS) this.#socket?.destroy();
      else this.#write("PING\r\n");
    }, PING_MS);
    // What was asked and not answered is unknown; whoever asked asks again.
    for (const settle of [...this.#waiting.values()]) settle({ kind: "unanswered" });
    this.#onConnected();
  }

  #write(...parts: readonly (string | Buffer)[]): void {
    this.#socket?.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
  }

  #read(chunk: Buffer): void {
    this.#heardAt = performance.now();
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
    for (;;) {
      const end = this.#buffered.indexOf(LINE_END);
      if (end === -1) return;
      const taken = this.#take(this.#buffered.subarray(0, end).toString(), end + LINE_END.length);
      if (taken === null) return;
      this.#buffered = this.#buffered.subarray(taken);
    }
  }

  /** Bytes that one operation took; null where its payload has not arrived whole. */
  #take(line: string, lineBytes: number): number | null {
    const [operation = "", ...words] = line.split(" ");
    if (operation === "INFO" && !this.#ready) this.#introduce();
    if (operation === "PING") this.#write("PONG\r\n");
    if (operation !== "MSG" && operation !== "HMSG") return lineBytes;
    // MSG <subject> <sid> [reply] <bytes> and HMSG <subject> <sid> [reply] <header bytes> <all bytes>
    const sizes = words.splice(operation === "MSG" ? -1 : -2).map(Number);
    const totalBytes = sizes.at(-1) ?? 0;
    const headBytes = sizes.length === 2 ? (sizes[0] ?? 0) : 0;
    if (this.#buffered.length < lineBytes + totalBytes + LINE_END.length) return null;
    const [subject = "", sid = "", reply] = words;
    const head = this.#buffered.subarray(lineBytes, lineBytes + headBytes).toString();
    const status = /^NATS\/1\.0 (\d{3})/.exec(head)?.[1];
    const data = Buffer.from(this.#buffered.subarray(lineBytes + headBytes, lineBytes + totalBytes));
    this.#subscriptions[Number(sid) - 1]?.handle({
      subject,
      reply: reply ?? null,
      status: status === undefined ? null : Number(status),
      data,
    });
    return lineBytes + totalBytes + LINE_END.length;
  }
}
