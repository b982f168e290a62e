/**
 * What the platform's workers keep, in a KV bucket: it is as durable as the streams, and every worker of a scaled
 * deployment sees the same. A value is written only onto the revision that was read, so that of two writers one loses the
 * race and looks again.
 */
import { ApplicationFailure, PerdureError } from "perdure";
import type { Fleet } from "perdure/bridges";
import { z } from "zod";
import { stateBucketOf, stateTopology } from "./topology.js";

export interface Stored<Value> {
  /** Undefined where there is none, or somebody has deleted it. */
  readonly value: Value | undefined;
  /** What the next write has to say it follows. */
  readonly revision: number;
}

/** What JetStream answers to a write onto another revision than the last. */
const LOST_RACE: readonly unknown[] = [10_071, 10_164];

export class StateBucket {
  readonly #fleet: Fleet;
  readonly #bucket: string;

  private constructor(fleet: Fleet, bucket: string) {
    this.#fleet = fleet;
    this.#bucket = bucket;
  }

  /** Makes the bucket if it is not there. @throws PerdureError where it cannot be made */
  static async open(fleet: Fleet, namespace: string): Promise<StateBucket> {
    await fleet.apply(stateTopology(namespace));
    return new StateBucket(fleet, stateBucketOf(namespace));
  }

  /** @throws ApplicationFailure STATE_DAMAGED for a value that somebody else has written there; reading again mends nothing */
  async read<Value>(key: string, schema: z.ZodType<Value>): Promise<Stored<Value>> {
    const message = await this.#fleet.lastStored(`KV_${this.#bucket}`, this.#subject(key));
    if (message === undefined) return { value: undefined, revision: 0 };
    const { sequence: revision, headers, data } = message;
    // A delete leaves a marker, and the next value comes behind it.
    if ("KV-Operation" in headers) return { value: undefined, revision };
    const parsed = schema.safeParse(jsonOf(data));
    if (parsed.success) return { value: parsed.data, revision };
    throw new ApplicationFailure(
      `key ${key} of bucket ${this.#bucket} is not what this program writes there, and was not changed: ${z.prettifyError(parsed.error)}`,
      { type: "STATE_DAMAGED", nonRetryable: true },
    );
  }

  /** @param revision the one that was read */
  async write(key: string, value: object, revision: number): Promise<"written" | "lostRace"> {
    try {
      await this.#fleet.publish(this.#subject(key), value, {
        headers: { "Nats-Expected-Last-Subject-Sequence": String(revision) },
      });
      return "written";
    } catch (fault) {
      if (fault instanceof PerdureError && LOST_RACE.includes(fault.details?.["apiCode"])) return "lostRace";
      throw fault;
    }
  }

  #subject(key: string): string {
    return `$KV.${this.#bucket}.${key}`;
  }
}

function jsonOf(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    // No schema takes it.
    return undefined;
  }
}
