import { z } from "zod";

export const priorities = ["critical", "high", "normal", "low"] as const;
/** How urgent a task is; age promotes it by one level each 30 s. */
export const Priority = z.enum(priorities);
export type Priority = z.infer<typeof Priority>;
