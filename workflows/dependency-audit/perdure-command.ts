/** The package's own command line, found as any program that depends on the package finds it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { z } from "zod";
import { DemoStopped, demoExit } from "./demo-exit.js";

const Manifest = z.object({ bin: z.object({ perdure: z.string() }) });

const manifestPath = createRequire(import.meta.url).resolve("perdure/package.json");

/** Where the package lies: this very checkout. */
export const packageFolder = dirname(manifestPath);

/** The script that `perdure` runs. */
export function perdureScript(): string {
  const { bin } = Manifest.parse(JSON.parse(readFileSync(manifestPath, "utf8")));
  return resolve(packageFolder, bin.perdure);
}

/**
 * The environment for our own server: what the user has set for another one (a URL, a token, a namespace) must not
 * lead this demo there.
 */
export function environmentFor(serverUrl: string | null): NodeJS.ProcessEnv {
  const { NATS_URL: _, NATS_TOKEN: __, PERDURE_NAMESPACE: ___, ...rest } = process.env;
  return serverUrl === null ? rest : { ...rest, NATS_URL: serverUrl };
}

/** Runs `perdure status` with this process' own stdout, so that it looks as it does for anybody. */
export async function showStatus(serverUrl: string, signal: AbortSignal): Promise<void> {
  const status = spawn(process.execPath, [perdureScript(), "status"], {
    env: environmentFor(serverUrl),
    stdio: ["ignore", "inherit", "inherit"],
    signal,
  });
  const [code] = await once(status, "close");
  if (code !== 0) throw new DemoStopped(demoExit.failed, `perdure status ended with code ${code}.`);
}
