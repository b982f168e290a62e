/** The package's own command line, found as any program that depends on the package finds it. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { z } from "zod";

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
