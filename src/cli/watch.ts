/**
 * Looks at something until Ctrl-C, or until nothing can change any more. On a terminal the picture is redrawn in place;
 * anywhere else each change prints a new block, a new line of JSON, or a line for each entry that changed.
 *
 * It asks once a second rather than listening to events: the ages on show change anyway, and a busy system has more
 * events than anybody can look at. While nobody answers it says so and goes on asking: a change of leaders, or a
 * server's restart, is when people look.
 */
import { PerdureError } from "../errors.js";
import type { Environment } from "./environment.js";
import { exitStatus, exitStatusOf } from "./exit-status.js";
import { printJson, printLines, say } from "./messages.js";
import type { Format } from "./output-format.js";
import { Screen } from "./screen.js";
import type { Settings } from "./settings.js";
import { listenToStopSignals } from "./stop-signals.js";
import { styleOf } from "./style.js";
import { cutTo, oneLine } from "./terminal-text.js";
import { untilAborted } from "./until-aborted.js";
import type { View } from "./view.js";
import { withClient } from "./with-client.js";

const INTERVAL_MS = 1_000;
/** So that silence is said soon. */
const REQUEST_TIMEOUT_MS = 2_000;

/** Shows what it is told, where it is told to. */
interface Display<T> {
  show(value: T): void;
  /** Nobody answered; what was shown last may be old. */
  trouble(error: PerdureError): void;
  close(): void;
}

export async function watch<T>(settings: Settings, view: View<T>, format: Format): Promise<void> {
  const { signal, forget } = listenToStopSignals(["SIGINT", "SIGTERM"]);
  const aborted = untilAborted(signal);
  try {
    const patience = { ...settings, requestTimeoutMs: Math.min(settings.requestTimeoutMs, REQUEST_TIMEOUT_MS) };
    await withClient(patience, async (client) => {
      const display = displayFor(settings, view, format);
      try {
        while (!signal.aborted) {
          const answer = await Promise.race([settled(view.ask(client)), aborted]);
          if (answer === undefined) return;
          if (answer.outcome === "answered") {
            display.show(answer.value);
            if (view.isFinal?.(answer.value) === true) return;
          } else if (answer.error instanceof PerdureError && isPassing(answer.error)) {
            display.trouble(answer.error);
          } else {
            throw answer.error;
          }
          await pause(INTERVAL_MS, signal);
        }
      } finally {
        display.close();
      }
    });
  } finally {
    forget();
  }
}

type Answer<T> =
  | { readonly outcome: "answered"; readonly value: T }
  | { readonly outcome: "failed"; readonly error: unknown };

/** Never rejects, so that a question may be left alone when the watch ends. */
function settled<T>(asked: Promise<T>): Promise<Answer<T>> {
  return asked.then(
    (value) => ({ outcome: "answered", value }),
    (error: unknown) => ({ outcome: "failed", error }),
  );
}

function isPassing({ code }: PerdureError): boolean {
  const status = exitStatusOf(code);
  return status === exitStatus.noNats || status === exitStatus.timedOut || code === "NOT_READY";
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}

function displayFor<T>(settings: Settings, view: View<T>, format: Format): Display<T> {
  const inPlace = format === "text" && process.stdout.isTTY && settings.environment.terminal === "capable";
  return inPlace ? pictureDisplay(settings, view) : changesDisplay(settings, view, format);
}

function pictureDisplay<T>({ environment }: Settings, view: View<T>): Display<T> {
  let last: { readonly value: T; readonly at: Date } | undefined;
  let trouble: PerdureError | undefined;
  const draw = (): void => {
    const style = styleOf(process.stdout, environment);
    const seen = last === undefined ? "nothing seen yet" : `seen ${last.at.toLocaleTimeString()}`;
    const notes = [style.paint("dim", cutTo(`${seen}; Ctrl-C ends`, style.width))];
    if (trouble !== undefined) {
      notes.unshift(
        style.paint("red", cutTo(oneLine(`asking again: ${trouble.code}: ${trouble.message}`), style.width)),
      );
    }
    screen.draw(last === undefined ? [] : view.lines(last.value, style), ["", ...notes]);
  };
  const screen = new Screen(process.stdout, draw);
  screen.open();
  return {
    show: (value) => {
      last = { value, at: new Date() };
      trouble = undefined;
      draw();
    },
    trouble: (error) => {
      trouble = error;
      draw();
    },
    // What was seen last stays on the shell's screen.
    close: () => {
      screen.close();
      if (last !== undefined) printLines(view.lines(last.value, styleOf(process.stdout, environment)));
    },
  };
}

/** Where nothing can be redrawn: what changed is printed, and what did not is not printed again. */
function changesDisplay<T>({ environment }: Settings, view: View<T>, format: Format): Display<T> {
  const printer = format === "jsonl" ? entriesPrinter(view) : wholePrinter(environment, view, format);
  let lastTrouble: string | undefined;
  return {
    show: (value) => {
      lastTrouble = undefined;
      printer(value);
    },
    trouble: (error) => {
      if (error.code !== lastTrouble) say(`asking again: ${error.code}: ${error.message}`);
      lastTrouble = error.code;
    },
    close: () => undefined,
  };
}

function wholePrinter<T>(environment: Environment, view: View<T>, format: "json" | "text"): (value: T) => void {
  let lastKey: string | undefined;
  return (value) => {
    const keys = view.entries(value).map(({ id, changeKey }) => [id, changeKey]);
    const key = JSON.stringify([keys, view.remark?.(value)]);
    if (key === lastKey) return;
    if (format === "json") printJson(view.json(value));
    else {
      const lines = view.lines(value, styleOf(process.stdout, environment));
      printLines(lastKey === undefined ? lines : ["", ...lines]);
    }
    lastKey = key;
  };
}

/** Entries that are new or have changed; one that is gone says nothing. */
function entriesPrinter<T>(view: View<T>): (value: T) => void {
  let last: ReadonlyMap<string, string> = new Map();
  return (value) => {
    const entries = view.entries(value).map((entry) => ({ ...entry, key: JSON.stringify(entry.changeKey) }));
    for (const { id, key, json } of entries) if (last.get(id) !== key) printJson(json);
    last = new Map(entries.map(({ id, key }) => [id, key]));
  };
}
