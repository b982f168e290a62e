/**
 * A terminal that one picture is drawn on again and again. It uses the terminal's second screen, so the shell's stays
 * as it was; whatever ends the process, suspends it or resizes the window, the terminal is left as it was found.
 */

const enterSequence = "\u001b[?1049h\u001b[?25l\u001b[?7l";
const leaveSequence = "\u001b[?7h\u001b[?25h\u001b[?1049l";
const home = "\u001b[H";
const clearLine = "\u001b[K";

export class Screen {
  readonly #terminal: NodeJS.WriteStream;
  readonly #redraw: () => void;
  #state: "entered" | "left" = "left";

  /** @param redraw called when the size has changed, or the process was resumed */
  constructor(terminal: NodeJS.WriteStream, redraw: () => void) {
    this.#terminal = terminal;
    this.#redraw = redraw;
  }

  open(): void {
    this.#enter();
    this.#terminal.on("resize", this.#redraw);
    process.on("exit", this.#leave);
    process.on("SIGTSTP", this.#suspend);
    process.on("SIGCONT", this.#resume);
  }

  close(): void {
    this.#terminal.off("resize", this.#redraw);
    process.off("exit", this.#leave);
    process.off("SIGTSTP", this.#suspend);
    process.off("SIGCONT", this.#resume);
    this.#leave();
  }

  /** The last lines always fit; of a picture that is too high, what stands before them is cut. */
  draw(lines: readonly string[], lastLines: readonly string[]): void {
    if (this.#state === "left") return;
    const room = Math.max(0, this.#terminal.rows - lastLines.length);
    const shown =
      lines.length <= room
        ? lines
        : [...lines.slice(0, Math.max(0, room - 1)), `… ${lines.length - room + 1} more lines`];
    const below = Array<string>(Math.max(0, this.#terminal.rows - shown.length - lastLines.length)).fill("");
    // Cleared before it is written: behind a line that fills its row the cursor stands on the last character.
    const rows = [...shown, ...lastLines, ...below].map((line) => clearLine + line);
    this.#terminal.write(home + rows.join("\r\n"));
  }

  #enter(): void {
    this.#state = "entered";
    this.#terminal.write(enterSequence);
  }

  readonly #leave = (): void => {
    if (this.#state === "left") return;
    this.#state = "left";
    this.#terminal.write(leaveSequence);
  };

  readonly #suspend = (): void => {
    this.#leave();
    process.kill(process.pid, "SIGSTOP");
  };

  readonly #resume = (): void => {
    this.#enter();
    this.#redraw();
  };
}
