/**
 * Where this machine keeps programs and caches. The only file of this folder that reads the environment, and only the
 * operating system's own variables: PERDURE_* variables are read by the caller and arrive as options.
 */
import { homedir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";

/** The folders of PATH. Relative and empty entries are left out: they would run whatever lies in the working folder. */
export function searchPathFolders(searchPath: string = process.env["PATH"] ?? ""): readonly string[] {
  return [...new Set(searchPath.split(delimiter).filter((folder) => isAbsolute(folder)))];
}

/** `$XDG_CACHE_HOME/perdure/nats-server`, or the same under `~/.cache`. Its subfolders are named after versions. */
export function defaultCacheDir(): string {
  const configured = process.env["XDG_CACHE_HOME"] ?? "";
  // The XDG specification has relative values ignored.
  const root = isAbsolute(configured) ? configured : join(homedir(), ".cache");
  return join(root, "perdure", "nats-server");
}

/** What a program that needs one more variable is started with, besides that one. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env };
}
