/** Records as the buckets hold them: with the journal sequence at which they stand, so that replay skips what is older. */
import { z } from "zod";
import { AgentRecord } from "../protocol/agent-record.js";
import { TaskRecord } from "../protocol/task-record.js";

export const StoredTask = z.object({ sequence: z.int(), record: TaskRecord });
export type StoredTask = z.infer<typeof StoredTask>;

export const StoredAgent = z.object({ sequence: z.int(), record: AgentRecord });
export type StoredAgent = z.infer<typeof StoredAgent>;

export const encodeStored = (sequence: number, record: TaskRecord | AgentRecord): string =>
  `{"sequence":${sequence},"record":${JSON.stringify(record)}}`;
