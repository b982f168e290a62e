/** What every member of the fleet is told. */
import type { FleetOptions } from "perdure/bridges";

export interface MemberSettings {
  readonly id: string;
  readonly servers: string;
  /** Of the engine. The fleet's own subjects and streams carry none. */
  readonly namespace: string;
  readonly heartbeatMs: number;
  /** How long a worker may say nothing of a job before another one gets it. */
  readonly ackWaitMs: number;
  /** Default: JSON lines on stderr. */
  readonly logger?: FleetOptions["logger"];
}

export const memberDefaults = { namespace: "mcp", heartbeatMs: 1_000, ackWaitMs: 30_000 } as const;
