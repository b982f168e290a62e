/** Something that can be looked at: once or for as long as one likes, by people and by programs. */
import type { Client } from "../client/client.js";
import { type ExitStatus, exitStatus } from "./exit-status.js";
import { printJson, printLines, say } from "./messages.js";
import { type FormatOptions, formatOf } from "./output-format.js";
import type { Settings } from "./settings.js";
import { type Style, styleOf } from "./style.js";
import { withClient } from "./with-client.js";

export interface View<T> {
  readonly ask: (client: Client) => Promise<T>;
  readonly lines: (value: T, style: Style) => readonly string[];
  /** What `--json` prints. */
  readonly json: (value: T) => unknown;
  /** What it is made of, in order. */
  readonly entries: (value: T) => readonly Entry[];
  /** What the entries do not say, in a sentence. */
  readonly remark?: (value: T) => string | undefined;
  /** Nothing will change any more. */
  readonly isFinal?: (value: T) => boolean;
}

export interface Entry {
  readonly id: string;
  /** What `--jsonl` prints of it. */
  readonly json: unknown;
  /** What must differ for a watcher to be told: not the clock's part, which always does. */
  readonly changeKey: unknown;
}

export interface ViewOptions extends FormatOptions {
  readonly watch?: true;
}

export async function present<T>(settings: Settings, view: View<T>, options: ViewOptions): Promise<ExitStatus> {
  const format = formatOf(options);
  if (options.watch === true) {
    const { watch } = await import("./watch.js");
    await watch(settings, view, format);
    return exitStatus.ok;
  }
  const value = await withClient(settings, view.ask);
  if (format === "json") {
    printJson(view.json(value));
  } else if (format === "text") {
    printLines(view.lines(value, styleOf(process.stdout, settings.environment)));
  } else {
    for (const { json } of view.entries(value)) printJson(json);
    const remark = view.remark?.(value);
    if (remark !== undefined) say(remark);
  }
  return exitStatus.ok;
}
