/**
 * Warns where workflow code reaches for what no history has: the network, files, the environment. It is let through all
 * the same, since nobody can tell what comes of it; libraries that look at a file or a variable for themselves are not
 * spoken of.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { currentRun } from "../replay/current-run.js";
import { isCalledByApplication } from "./calling-code.js";

/** Those that take a path. What takes a file descriptor was opened by one of these, or is somebody's log. */
const fileFunctions = [
  "access",
  "appendFile",
  "copyFile",
  "cp",
  "createReadStream",
  "createWriteStream",
  "exists",
  "lstat",
  "mkdir",
  "mkdtemp",
  "open",
  "opendir",
  "readFile",
  "readdir",
  "readlink",
  "realpath",
  "rename",
  "rm",
  "rmdir",
  "stat",
  "unlink",
  "watch",
  "writeFile",
];

let state: "absent" | "installed" = "absent";

export function watchOutside(): void {
  if (state === "installed") return;
  state = "installed";
  const realFetch = globalThis.fetch;
  globalThis.fetch = (...given) => {
    currentRun()?.warn("fetch");
    return realFetch(...given);
  };
  watchEnvironment();
  watchFiles();
}

function warnOf(what: string): void {
  const run = currentRun();
  if (run !== undefined && isCalledByApplication()) run.warn(what);
}

function watchEnvironment(): void {
  process.env = new Proxy(process.env, {
    get: (target, name) => {
      if (typeof name === "string") warnOf(`process.env.${name}`);
      return Reflect.get(target, name);
    },
    // Node's own object takes nothing but plain values, which a proxy's own way of setting is not.
    set: (target, name, value) => Reflect.set(target, name, value),
  });
}

function watchFiles(): void {
  watchFunctions(
    fs as unknown as Record<string, unknown>,
    "fs",
    fileFunctions.flatMap((name) => [name, `${name}Sync`]),
  );
  watchFunctions(fs.promises as unknown as Record<string, unknown>, "fs.promises", fileFunctions);
  // What was imported by name follows.
  syncBuiltinESMExports();
}

function watchFunctions(owner: Record<string, unknown>, path: string, names: readonly string[]): void {
  for (const name of names) {
    const real = owner[name];
    if (typeof real !== "function") continue;
    // A proxy, because these carry properties that libraries use (`realpath.native`, `exists[promisify.custom]`).
    owner[name] = new Proxy(real, {
      apply: (target, self, given) => {
        warnOf(`${path}.${name}`);
        return Reflect.apply(target, self, given);
      },
    });
  }
}
