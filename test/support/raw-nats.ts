/**
 * A NATS client on a plain TCP socket, for tests of what goes over the wire: it shares no code with the engine nor with
 * the client library, so nothing that both would get wrong together stays unseen. Protocol:
 * https://docs.nats.io/reference/reference-protocols/nats-protocol
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect as connectSocket, type Socket } from "node:net";
import { type UntilOptions, untilSome } from "./until.js";

export interface RawMessage {
  readonly subject: string;
  readonly reply: string | null;
  /** Without the version line; the status line's code, if there is one, is in `status`. */
  readonly headers: ReadonlyMap<string, string>;
  /** 503: nobody listens on the subject. */
  readonly status: number | null;
  readonly data: Buffer;
}

export interface RawPublishOptions {
  readonly reply?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export class RawSubscription {
  readonly subject: string;
  /** Everything received, oldest first. */
  readonly received: RawMessage[] = [];
  readonly unsubscribe: () => void;

  constructor(subject: string, unsubscribe: () => void) {
    this.subject = subject;
    this.unsubscribe = unsubscribe;
  }

  /** Resolves with the first message, received already or to come, that fits. */
  first(
    what: string,
    fits: (message: RawMessage) => boolean = () => true,
    options: UntilOptions = {},
  ): Promise<RawMessage> {
    return untilSome(`${what} arrives on ${this.subject}`, () => this.received.find(fits), options);
  }
}

const LINE_END = Buffer.from("\r\n");

export class RawNats implements AsyncDisposable {
  /** What the server says of itself. */
  info: Readonly<Record<string, unknown>> = {};
  /** Error lines of the server, such as `Authorization Violation`. */
  readonly errors: string[] = [];
  readonly #socket: Socket;
  readonly #subscriptions = new Map<string, RawSubscription>();
  readonly #inbox = `_INBOX.raw-${randomUUID()}`;
  #buffered: Buffer = Buffer.alloc(0);
  #nextSid = 1;
  #pings = 0;
  #pongs = 0;
  #requests = 0;
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => this.#read(chunk));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#closed = true;
    });
  }

  /** A token stands before the host: `nats://secret@127.0.0.1:4222`. */
  static async connect(url: string): Promise<RawNats> {
    const { hostname, port, username: token } = new URL(url);
    const socket = connectSocket({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, "connect");
    const nats = new RawNats(socket);
    await untilSome("the server introduces itself", () => (Object.keys(nats.info).length > 0 ? true : null));
    const options = { verbose: false, pedantic: false, headers: true, no_responders: true, lang: "hand" };
    nats.#write(`CONNECT ${JSON.stringify(token === "" ? options : { ...options, auth_token: token })}\r\n`);
    await nats.flush();
    return nats;
  }

  /** Whether the server or this side has ended the connection. */
  get isClosed(): boolean {
    return this.#closed;
  }

  publish(subject: string, body: string | Uint8Array, { reply, headers }: RawPublishOptions = {}): void {
    const payload = Buffer.from(body);
    const route = reply === undefined ? subject : `${subject} ${reply}`;
    if (headers === undefined) {
      this.#write(`PUB ${route} ${payload.length}\r\n`, payload, LINE_END);
      return;
    }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = Buffer.from(`NATS/1.0\r\n${lines.join("")}\r\n`);
    this.#write(`HPUB ${route} ${head.length} ${head.length + payload.length}\r\n`, head, payload, LINE_END);
  }

  /** Counts from the next message that the server gets after this call; `flush` waits until it does. */
  subscribe(subject: string, { queue }: { readonly queue?: string } = {}): RawSubscription {
    const sid = String(this.#nextSid);
    this.#nextSid += 1;
    const subscription = new RawSubscription(subject, () => {
      this.#subscriptions.delete(sid);
      this.#write(`UNSUB ${sid}\r\n`);
    });
    this.#subscriptions.set(sid, subscription);
    this.#write(`SUB ${subject}${queue === undefined ? "" : ` ${queue}`} ${sid}\r\n`);
    return subscription;
  }

  /** Resolves with the first answer; one of the server that nobody listens counts. */
  async request(
    subject: string,
    body: string | Uint8Array,
    options: UntilOptions & Pick<RawPublishOptions, "headers"> = {},
  ): Promise<RawMessage> {
    this.#requests += 1;
    const answers = this.subscribe(`${this.#inbox}.${this.#requests}`);
    this.publish(subject, body, { ...options, reply: answers.subject });
    try {
      return await answers.first(`an answer to a request on ${subject}`, () => true, options);
    } finally {
      answers.unsubscribe();
    }
  }

  /** Resolves when the server has read everything sent so far. */
  async flush(): Promise<void> {
    this.#pings += 1;
    const awaited = this.#pings;
    this.#write("PING\r\n");
    await untilSome("the server answers a ping", () => (this.#pongs >= awaited || this.#closed ? true : null));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const closed = once(this.#socket, "close");
    this.#socket.destroy();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #write(...parts: readonly (string | Buffer)[]): void {
    if (this.#closed) throw new Error("the raw connection is closed");
    this.#socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
  }

  #read(chunk: Buffer): void {
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
    for (;;) {
      const end = this.#buffered.indexOf(LINE_END);
      if (end === -1) return;
      const line = this.#buffered.subarray(0, end).toString();
      const taken = this.#take(line, end + 2);
      if (taken === null) return;
      this.#buffered = this.#buffered.subarray(taken);
    }
  }

  /** Handles one operation; returns how many bytes it took, or null where its payload has not arrived whole. */
  #take(line: string, lineBytes: number): number | null {
    const [operation = "", ...rest] = line.split(" ");
    switch (operation.toUpperCase()) {
      case "INFO":
        this.info = JSON.parse(line.slice("INFO ".length)) as Record<string, unknown>;
        return lineBytes;
      case "PING":
        this.#write("PONG\r\n");
        return lineBytes;
      case "PONG":
        this.#pongs += 1;
        return lineBytes;
      case "-ERR":
        this.errors.push(line.slice("-ERR ".length));
        return lineBytes;
      case "MSG":
        return this.#takeMessage(rest, lineBytes, 1);
      case "HMSG":
        return this.#takeMessage(rest, lineBytes, 2);
      default:
        return lineBytes;
    }
  }

  /** `MSG <subject> <sid> [reply] <bytes>` or `HMSG <subject> <sid> [reply] <header bytes> <total bytes>`. */
  #takeMessage(words: readonly string[], lineBytes: number, sizeCount: 1 | 2): number | null {
    const sizes = words.slice(-sizeCount).map(Number);
    const totalBytes = sizes.at(-1) ?? 0;
    const headBytes = sizeCount === 2 ? (sizes[0] ?? 0) : 0;
    const needed = lineBytes + totalBytes + LINE_END.length;
    if (this.#buffered.length < needed) return null;
    const [subject = "", sid = "", ...reply] = words.slice(0, -sizeCount);
    const head = this.#buffered.subarray(lineBytes, lineBytes + headBytes).toString();
    const data = Buffer.from(this.#buffered.subarray(lineBytes + headBytes, lineBytes + totalBytes));
    const { headers, status } = parseHeaders(head);
    this.#subscriptions.get(sid)?.received.push({ subject, reply: reply[0] ?? null, headers, status, data });
    return needed;
  }
}

function parseHeaders(head: string): Pick<RawMessage, "headers" | "status"> {
  const [versionLine = "", ...lines] = head.split("\r\n");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const status = /^NATS\/1\.0 (\d{3})/.exec(versionLine)?.[1];
  return { headers, status: status === undefined ? null : Number(status) };
}
