/** HTTP by hand on a plain socket, for what no library sends and for readers that do as they like. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { untilSome } from "../support/until.js";

export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  socket.on("error", () => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/**
 * Everything that comes back until the server hangs up. With `end`, the server is told that no more bytes follow, which
 * it takes for a hang-up once it has read a request.
 */
export async function exchange(url: string, bytes: string | Uint8Array, last?: "end"): Promise<string> {
  const socket = await openSocket(url);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  const closed = once(socket, "close");
  socket.write(bytes);
  if (last === "end") socket.end();
  await closed;
  return Buffer.concat(chunks).toString();
}

export interface Frame {
  readonly id: string | null;
  readonly event: string | null;
  readonly data: unknown;
}

/** Reads server-sent events from a socket, and stops reading when told to. */
export class EventReader implements AsyncDisposable {
  readonly socket: Socket;
  /** Bytes as they came. */
  received = "";

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => {
      this.received += String(chunk);
    });
  }

  /** Resolves when the stream has begun: what happens from then on is heard. */
  static async open(url: string, path = "/v1/events", headers: readonly string[] = []): Promise<EventReader> {
    const reader = new EventReader(await openSocket(url));
    const { host } = new URL(url);
    reader.socket.write([`GET ${path} HTTP/1.1`, `Host: ${host}`, ...headers, "", ""].join("\r\n"));
    await untilSome("the stream begins", () => (reader.text.includes("retry: ") ? true : null));
    return reader;
  }

  /** All that came, without what frames the chunks. */
  get text(): string {
    return this.received.replace(/\r\n[0-9a-f]+\r\n/g, "");
  }

  get frames(): Frame[] {
    return this.text
      .split("\n\n")
      .filter((block) => block.includes("data: "))
      .map((block) => ({
        id: /^id: (.*)$/m.exec(block)?.[1] ?? null,
        event: /^event: (.*)$/m.exec(block)?.[1] ?? null,
        data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? "null") as unknown,
      }));
  }

  /** The first frame, there already or to come, with this name. */
  frame(event: string): Promise<Frame> {
    return untilSome(`a frame ${event} arrives`, () => this.frames.find((frame) => frame.event === event));
  }

  get ended(): boolean {
    return this.socket.readableEnded || this.socket.destroyed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.socket.closed) return;
    const closed = once(this.socket, "close");
    this.socket.destroy();
    await closed;
  }
}
