/** What a terminal is sent while something is watched. The terminal is a stream that keeps what it gets. */
import { PassThrough } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import { Screen } from "../../src/cli/screen.js";

const enter = "\u001b[?1049h\u001b[?25l\u001b[?7l";
const leave = "\u001b[?7h\u001b[?25h\u001b[?1049l";

function givenScreen(rows: number, redraw: () => void = () => undefined) {
  const terminal = Object.assign(new PassThrough(), { rows }) as unknown as NodeJS.WriteStream & PassThrough;
  const screen = new Screen(terminal, redraw);
  screen.open();
  onTestFinished(() => screen.close());
  return { terminal, screen, sent: () => String(terminal.read() ?? "") };
}

it("draws on the terminal's second screen and leaves it as it was", () => {
  const { screen, sent } = givenScreen(4);
  screen.draw(["one", "two"], ["note"]);
  screen.close();
  screen.close();

  expect(sent()).toBe(`${enter}\u001b[H\u001b[Kone\r\n\u001b[Ktwo\r\n\u001b[Knote\r\n\u001b[K${leave}`);
});

it("cuts what is too high, and says by how much, but never the notes", () => {
  const { screen, sent } = givenScreen(3);
  screen.draw(["one", "two", "three", "four"], ["note"]);

  expect(sent()).toBe(`${enter}\u001b[H\u001b[Kone\r\n\u001b[K… 3 more lines\r\n\u001b[Knote`);
});

it("redraws when the window was resized, until it is closed", () => {
  let redrawn = 0;
  const { terminal, screen } = givenScreen(10, () => {
    redrawn += 1;
  });
  terminal.emit("resize");
  screen.close();
  terminal.emit("resize");

  expect(redrawn).toBe(1);
});

it("leaves the terminal as it was when the process ends in the middle", () => {
  const { sent } = givenScreen(10);
  // Only the screen's own listener: the test's process does not end.
  process.listeners("exit").at(-1)?.(1);

  expect(sent()).toBe(enter + leave);
});
