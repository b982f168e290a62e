/** Programs that answer `-v` as nats-server does, for tests of how one is found. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes a program at `path` that reports `version` and otherwise runs the shell lines of `body`. */
export async function writeFakeServer(path: string, version: string, body = "exit 1"): Promise<string> {
  const script = `#!/bin/sh\nif [ "$1" = -v ]; then echo "nats-server: v${version}"; exit 0; fi\n${body}\n`;
  return writeProgram(path, script);
}

export async function writeProgram(path: string, script: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, script, { mode: 0o755 });
  return path;
}
