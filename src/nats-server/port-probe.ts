/** Whether a port can be listened on, found out by doing it for a moment. */
import { createServer } from "node:net";
import { PerdureError } from "../errors.js";
import { loopbackAddress } from "./server-config.js";

/** Rejects with NATS_SERVER_PORT_BUSY when somebody listens there. A port of 0 is always free. */
export async function assertPortFree(port: number): Promise<void> {
  const fault = port === 0 ? undefined : await listenFault(port);
  if (fault?.code === "EADDRINUSE") {
    throw new PerdureError(
      "NATS_SERVER_PORT_BUSY",
      `port ${port} of ${loopbackAddress} is in use by another program; nothing was started, stop that program or give ` +
        "another port (0 takes a free one)",
      { details: { port }, cause: fault },
    );
  }
  if (fault !== undefined) {
    throw new PerdureError(
      "NATS_SERVER_START_FAILED",
      `port ${port} of ${loopbackAddress} cannot be listened on: ${fault.message}; give another port (0 takes a free one)`,
      { details: { port }, cause: fault },
    );
  }
}

function listenFault(port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", resolve);
    server.listen({ host: loopbackAddress, port, exclusive: true }, () => {
      server.close(() => resolve(undefined));
    });
  });
}
