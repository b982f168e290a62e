/** An engine of its own, the dispatcher on it, and a raw connection for the old members of the fleet. */
import { afterEach, beforeEach } from "vitest";
import type { Client } from "../../../src/client/client.js";
import { silentLogger } from "../../../src/logger.js";
import { type Dispatcher, startDispatcher } from "../../../workflows/knights/dispatcher.js";
import { useLocalSystem } from "../../support/local-system.js";
import { RawNats } from "../../support/raw-nats.js";
import { removeStreams } from "./old-fleet.js";

export interface GivenFleet {
  readonly url: string;
  readonly client: Client;
  readonly raw: RawNats;
  readonly dispatcher: Dispatcher;
  /** Ends the dispatcher, as a deployment does, and starts another. */
  restartDispatcher(): Promise<void>;
}

/** Short, so that a knight that is gone is not waited for. */
const answerGraceMs = 1_000;

export function useFleet(): GivenFleet {
  const system = useLocalSystem({ heartbeatMs: 300 });
  let raw: RawNats;
  let dispatcher: Dispatcher;
  const start = () => startDispatcher({ servers: system.url, answerGraceMs, logger: silentLogger });
  beforeEach(async () => {
    raw = await RawNats.connect(system.url);
    dispatcher = await start();
  });
  afterEach(async () => {
    await dispatcher.stop();
    await removeStreams(raw);
    await raw.close();
  });
  return {
    get url() {
      return system.url;
    },
    get client() {
      return system.client;
    },
    get raw() {
      return raw;
    },
    get dispatcher() {
      return dispatcher;
    },
    restartDispatcher: async () => {
      await dispatcher.stop();
      dispatcher = await start();
    },
  };
}
