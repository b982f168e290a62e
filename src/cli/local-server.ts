import { readFile } from "node:fs/promises";
import type { LocalServer } from "../doctor/gather-host.js";
import { storeDirectoryAt } from "../nats-server/store-directory.js";

/** What the store folder of `perdure dev` says of its server; undefined where there is none. Whether it runs is not said. */
export async function localServerAt(storeDir: string): Promise<LocalServer | undefined> {
  const { configPath, dataPath } = storeDirectoryAt(storeDir);
  const config = await readFile(configPath, "utf8").catch(() => "");
  const [, serverName] = /^server_name: "([^"]+)"$/m.exec(config) ?? [];
  if (serverName === undefined) return undefined;
  const [, maxFile = "0"] = /^\s*max_file: (\d+)$/m.exec(config) ?? [];
  const sync = /^\s*sync_interval: always$/m.test(config) ? "always" : "interval";
  return { serverName, dataPath, sync, storageBytesMax: Number(maxFile) };
}
