/**
 * What the demo prints while it runs: lines that stay, and below them one that says how far the work is. On a terminal
 * that one is written over; elsewhere (a pipe, a CI log) it is printed anew, once a second and only when it changed.
 */
import { performance } from "node:perf_hooks";

const clearLine = "\r\u001b[2K";
const pipedIntervalMs = 1_000;
const widthOfNoTerminal = 160;

export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export class LiveOutput {
  readonly #stream: OutputStream;
  readonly #now: () => number;
  #line = "";
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(stream: OutputStream, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
  }

  /** Columns of the line that says how far the work is: a terminal whose last one is written to may wrap. */
  get width(): number {
    const { isTTY, columns } = this.#stream;
    return isTTY === true && columns !== undefined && columns > 1 ? columns - 1 : widthOfNoTerminal;
  }

  /** Lines that stay. */
  say(text: string): void {
    if (this.#stream.isTTY !== true || this.#line === "") this.#stream.write(`${text}\n`);
    else this.#stream.write(`${clearLine}${text}\n${this.#line}`);
  }

  /** How far the work is. */
  show(line: string): void {
    if (line === this.#line) return;
    if (this.#stream.isTTY === true) {
      this.#stream.write(clearLine + line);
    } else {
      const now = this.#now();
      if (now - this.#shownAt < pipedIntervalMs) return;
      this.#shownAt = now;
      this.#stream.write(`${line}\n`);
    }
    this.#line = line;
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#stream.isTTY === true && this.#line !== "") this.#stream.write(clearLine);
    this.#line = "";
  }
}
