/** Something that can be looked at: once or for as long as one likes, by people and by programs. */
import type { Client } from "../client/client.js";
import { type ExitStatus, exitStatus } from "./exit-status.js";
import { printJson, printLines } from "./messages.js";
import type { Settings } from "./settings.js";
import { type Style, styleOf } from "./style.js";
import { withClient } from "./with-client.js";

export interface View<T> {
  readonly ask: (client: Client) => Promise<T>;
  readonly lines: (value: T, style: Style) => readonly string[];
  /** What `--json` prints. */
  readonly json: (value: T) => unknown;
  /** What must differ for a watcher to be told: not the clock's part, which always does. */
  readonly changeKey: (value: T) => unknown;
  /** Nothing will change any more. */
  readonly isFinal?: (value: T) => boolean;
}

export interface ViewOptions {
  readonly json?: true;
  readonly watch?: true;
}

export async function present<T>(settings: Settings, view: View<T>, options: ViewOptions): Promise<ExitStatus> {
  if (options.watch === true) {
    const { watch } = await import("./watch.js");
    await watch(settings, view, options.json === true ? "json" : "text");
  } else {
    const value = await withClient(settings, view.ask);
    if (options.json === true) printJson(view.json(value));
    else printLines(view.lines(value, styleOf(process.stdout, settings.environment)));
  }
  return exitStatus.ok;
}
