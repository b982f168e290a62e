/**
 * What the platform's workers keep, in a KV bucket: it is as durable as the streams, and every worker of a scaled
 * deployment sees the same. A value is written only onto the revision that was read.
 */
import { ApplicationFailure, PerdureError } from "perdure";
import type { BucketEntry, Fleet } from "perdure/bridges";
import { z } from "zod";
import { stateBucketOf, stateTopology } from "./topology.js";

export class StateBucket {
  readonly #fleet: Fleet;
  readonly #name: string;

  private constructor(fleet: Fleet, name: string) {
    this.#fleet = fleet;
    this.#name = name;
  }

  /** Makes the bucket if it is not there. @throws PerdureError where it cannot be made */
  static async open(fleet: Fleet, namespace: string): Promise<StateBucket> {
    await fleet.apply(stateTopology(namespace));
    return new StateBucket(fleet, stateBucketOf(namespace));
  }

  /** @throws ApplicationFailure STATE_DAMAGED for a value that somebody else has written there; reading again mends nothing */
  async read<Value>(key: string, schema: z.ZodType<Value>): Promise<BucketEntry<Value>> {
    try {
      return await this.#fleet.bucket(this.#name, schema).get(key);
    } catch (fault) {
      if (!(fault instanceof PerdureError) || fault.code !== "STORE_DAMAGED") throw fault;
      throw new ApplicationFailure(fault.message, { type: "STATE_DAMAGED", nonRetryable: true, cause: fault });
    }
  }

  /**
   * Reads, changes and writes until nobody wrote in between, and resolves with what `change` gave last. It may be called
   * again; what it gives back unchanged (`===`), or undefined, is not written.
   * @throws ApplicationFailure as `read` does
   */
  async change<Value, Changed extends Value | undefined>(
    key: string,
    schema: z.ZodType<Value>,
    change: (value: Value | undefined) => Promise<Changed> | Changed,
  ): Promise<Changed> {
    for (;;) {
      const { value, revision } = await this.read(key, schema);
      const changed = await change(value);
      if (changed === value || changed === undefined) return changed;
      const written = await this.#fleet.bucket(this.#name, z.unknown()).put(key, changed, revision);
      if (written !== "lostRace") return changed;
    }
  }
}
