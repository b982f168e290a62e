import type { Msg } from "@nats-io/transport-node";
import type { Message } from "./connection.js";
import { headersOf, type ReceivedHeaders, repeatedHeadersOf } from "./wire-headers.js";

/** Our view of a received message. Everything is decoded when asked for: most readers want the body only. */
export class InboundMessage implements Message {
  readonly #msg: Msg;

  constructor(msg: Msg) {
    this.#msg = msg;
  }

  get subject(): string {
    return this.#msg.subject;
  }

  get reply(): string | undefined {
    const reply = this.#msg.reply;
    return reply === "" ? undefined : reply;
  }

  get data(): Uint8Array {
    return this.#msg.data;
  }

  header(name: string): string | undefined {
    const value = this.#msg.headers?.get(name);
    return value === "" ? undefined : value;
  }

  get headers(): Readonly<Record<string, string>> {
    const { headers } = this.#msg;
    return headers === undefined ? {} : headersOf(headers);
  }

  get repeatedHeaders(): ReceivedHeaders["repeatedHeaders"] {
    const { headers } = this.#msg;
    return headers === undefined ? undefined : repeatedHeadersOf(headers);
  }

  get statusCode(): number | undefined {
    const code = this.#msg.headers?.code;
    return code === 0 ? undefined : code;
  }
}
