/** What only the active brain does: it dispatches jobs, reads what the workers say of them, and hosts the extensions. */
import type { Client } from "perdure";
import { type Fleet, startBridge } from "perdure/bridges";
import { brainBridge } from "./brain-bridge.js";
import type { ExtensionRegistry } from "./extension-registry.js";
import type { JobBook } from "./job-book.js";
import { handInLost } from "./lost-dispatches.js";
import type { MemberSettings } from "./member-settings.js";
import { brainTopology, jobSettings, news } from "./topology.js";
import type { Tracing } from "./tracing.js";

/** What is in hand of status and result is remembered within milliseconds. */
const READ_PATIENCE_MS = 2_000;

export interface DutyParts {
  readonly connection: Pick<MemberSettings, "servers" | "namespace">;
  readonly ackWaitMs: number;
  readonly fleet: Fleet;
  readonly client: Client;
  readonly book: JobBook;
  readonly extensions: ExtensionRegistry;
  readonly tracing: Tracing;
  readonly extensionLostAfterMs: number;
}

export class BrainDuties {
  readonly #parts: DutyParts;
  /** Of what was begun last first. */
  readonly #ends: (() => Promise<unknown>)[] = [];

  constructor(parts: DutyParts) {
    this.#parts = parts;
  }

  async take(): Promise<void> {
    const { connection, ackWaitMs, fleet, client, book, extensions, tracing, extensionLostAfterMs } = this.#parts;
    const { namespace } = connection;
    const settings = await jobSettings(fleet, ackWaitMs);
    await fleet.apply(brainTopology(namespace, settings));
    if (settings.queued.length > 0) {
      const reading = await book.read(fleet);
      this.#ends.unshift(() => reading.stop(READ_PATIENCE_MS));
    }
    if (settings.overheard.includes(news.status)) this.#ends.unshift(book.overhear(fleet, news.status));
    const bridge = await startBridge(brainBridge({ namespace, tracing, settings, extensionLostAfterMs }), connection);
    // Tasks in hand go back to the engine, which gives them to the next brain's bridge.
    this.#ends.unshift(() => bridge.stop());
    await extensions.announceAgain();
    // Not worth a brain: the next one tries again.
    await handInLost(client).catch((fault: unknown) => console.error("lost jobs could not be handed in again:", fault));
  }

  /** May be called twice. */
  async letGo(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end();
  }
}
