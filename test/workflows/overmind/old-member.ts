/**
 * A member of the platform that was there before us: a producer and consumer on a socket, by NATS' own protocol. Shares no
 * code with the engine, the application or the client library.
 */
import { RawNats } from "../../support/raw-nats.js";

type Json = Readonly<Record<string, unknown>>;

interface Reply extends Json {
  readonly error?: { readonly code: number; readonly description: string };
  readonly stream?: string;
  readonly seq?: number;
  readonly duplicate?: boolean;
}

export interface Pulled {
  readonly subject: string;
  readonly body: unknown;
  readonly ack: () => void;
}

export class OldMember implements AsyncDisposable {
  readonly nats: RawNats;

  private constructor(nats: RawNats) {
    this.nats = nats;
  }

  static async connect(url: string): Promise<OldMember> {
    return new OldMember(await RawNats.connect(url));
  }

  /** What the server says to a request of JetStream's API, errors included. */
  async ask(subject: string, body: Json | string = ""): Promise<Reply> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return JSON.parse((await this.nats.request(subject, text)).data.toString()) as Reply;
  }

  /** Publishes to a stream and gives its sequence there. */
  async publish(subject: string, body: Json | string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const options = Object.keys(headers).length === 0 ? {} : { headers };
    const reply = JSON.parse((await this.nats.request(subject, text, options)).data.toString()) as Reply;
    if (reply.seq === undefined) throw new Error(`${subject} was not stored: ${JSON.stringify(reply)}`);
    return reply.seq;
  }

  /** The next message of a durable consumer. */
  async pull(stream: string, consumer: string): Promise<Pulled> {
    const message = await this.nats.request(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, "1");
    const { subject, reply, data } = message;
    return { subject, body: JSON.parse(data.toString()), ack: () => this.nats.publish(reply ?? "", "+ACK") };
  }

  async streamConfig(stream: string): Promise<Json> {
    return (await this.ask(`$JS.API.STREAM.INFO.${stream}`))["config"] as Json;
  }

  async consumer(stream: string, consumer: string): Promise<Json> {
    return await this.ask(`$JS.API.CONSUMER.INFO.${stream}.${consumer}`);
  }

  /** As somebody would who keeps tests from waiting for minutes: everything else stays. */
  async shortenAckWait(stream: string, consumer: string, ackWaitMs: number): Promise<void> {
    const config: Json = { ...((await this.consumer(stream, consumer))["config"] as Json), ack_wait: ackWaitMs * 1e6 };
    const subject = `$JS.API.CONSUMER.CREATE.${stream}.${consumer}`;
    // One filter goes into the subject too.
    const filter = config["filter_subject"];
    const reply = await this.ask(typeof filter === "string" ? `${subject}.${filter}` : subject, {
      stream_name: stream,
      action: "update",
      config,
    });
    if (reply.error !== undefined) throw new Error(`consumer ${consumer}: ${reply.error.description}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.nats.close();
  }
}
