import { type MsgHdrs, MsgHdrsImpl } from "@nats-io/transport-node";
import { PerdureError } from "../errors.js";

const encoder = new TextEncoder();
const LINE_BREAK = /[\r\n]/;

/** What is sent: by its name, one value, or several in their order. */
export type HeadersToSend = Readonly<Record<string, string | readonly string[]>>;

/** What came. */
export interface ReceivedHeaders {
  /** By the name as it was sent; of one that is there twice, the first. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of those that are there more than once, all values; undefined where there are none. */
  readonly repeatedHeaders?: Readonly<Record<string, readonly string[]>> | undefined;
}

/**
 * Headers as the server reads them, made in one pass. The library's own canonicalises and searches a list for each
 * header it is given, which costs more than the rest of a publish; it only ever calls `encode()` on what it sends.
 */
export class WireHeaders extends MsgHdrsImpl {
  readonly #text: string;

  constructor(headers: HeadersToSend) {
    super();
    let text = "NATS/1.0\r\n";
    for (const name of Object.keys(headers)) {
      const given = headers[name];
      if (given === undefined) continue;
      if (typeof given === "string") text += line(name, given);
      else for (const value of given) text += line(name, value);
    }
    this.#text = `${text}\r\n`;
  }

  override encode(): Uint8Array {
    return encoder.encode(this.#text);
  }
}

function line(name: string, value: string): string {
  if (LINE_BREAK.test(value) || LINE_BREAK.test(name)) {
    throw new PerdureError("INVALID_MESSAGE", `Did not publish: header ${JSON.stringify(name)} holds a line break.`);
  }
  return `${name}: ${value}\r\n`;
}

export function headersOf(given: MsgHdrs): Readonly<Record<string, string>> {
  return Object.fromEntries(given.keys().map((name) => [name, given.get(name)]));
}

export function repeatedHeadersOf(given: MsgHdrs): ReceivedHeaders["repeatedHeaders"] {
  const repeated = given.keys().flatMap((name) => {
    const values = given.values(name);
    return values.length > 1 ? [[name, values] as const] : [];
  });
  return repeated.length === 0 ? undefined : Object.fromEntries(repeated);
}
