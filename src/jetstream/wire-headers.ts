import { MsgHdrsImpl } from "@nats-io/transport-node";
import { PerdureError } from "../errors.js";

const encoder = new TextEncoder();
const LINE_BREAK = /[\r\n]/;

/**
 * Headers as the server reads them, made in one pass. The library's own canonicalises and searches a list for each
 * header it is given, which costs more than the rest of a publish; it only ever calls `encode()` on what it sends.
 */
export class WireHeaders extends MsgHdrsImpl {
  readonly #text: string;

  constructor(headers: Readonly<Record<string, string>>) {
    super();
    let text = "NATS/1.0\r\n";
    for (const name of Object.keys(headers)) {
      const value = headers[name];
      if (value === undefined) continue;
      if (LINE_BREAK.test(value) || LINE_BREAK.test(name)) {
        throw new PerdureError(
          "INVALID_MESSAGE",
          `Did not publish: header ${JSON.stringify(name)} holds a line break.`,
        );
      }
      text += `${name}: ${value}\r\n`;
    }
    this.#text = `${text}\r\n`;
  }

  override encode(): Uint8Array {
    return encoder.encode(this.#text);
  }
}
