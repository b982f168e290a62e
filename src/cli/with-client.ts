import type { Client } from "../client/client.js";
import type { Settings } from "./settings.js";

/** Connects for as long as `use` takes. The client is loaded here and not before, so that `--help` is quick. */
export async function withClient<T>(settings: Settings, use: (client: Client) => Promise<T>): Promise<T> {
  const { connectClient } = await import("../client/client.js");
  const client = await connectClient({
    ...settings.connection().options,
    namespace: settings.namespace,
    name: "perdure cli",
    requestTimeoutMs: settings.requestTimeoutMs,
  });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}
