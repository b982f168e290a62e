/** A real HTTP server on loopback that serves a folder, and misbehaves on the paths it is told to. */
import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

export interface FileServer extends AsyncDisposable {
  readonly url: string;
  /** The paths asked for, in order. */
  readonly requests: readonly string[];
}

export type Misbehaviour = (response: ServerResponse) => void;

export async function serveFolder(
  folder: string,
  misbehaviours: Readonly<Record<string, Misbehaviour>> = {},
): Promise<FileServer> {
  const requests: string[] = [];
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(request.url ?? "/");
    requests.push(path);
    const misbehave = misbehaviours[path];
    if (misbehave !== undefined) {
      misbehave(response);
      return;
    }
    const body = await readFile(join(folder, path)).catch(() => undefined);
    response.writeHead(body === undefined ? 404 : 200).end(body);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** A URL on loopback where nobody listens. */
export async function refusingUrl(): Promise<string> {
  const server = await serveFolder("/nonexistent");
  await server[Symbol.asyncDispose]();
  return server.url;
}
