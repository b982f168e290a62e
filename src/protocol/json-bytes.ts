import { JSON_GROWTH_MAX } from "./limits.js";

const utf8 = new TextEncoder();

/** Bytes of a value as JSON in UTF-8; 0 for no value. */
export function jsonBytes(value: unknown): number {
  return value === undefined ? 0 : utf8.encode(JSON.stringify(value)).length;
}

/** Whether a message of this size may hold a field that is larger than `bytesMax` once it is written again. */
export function mayExceed(messageBytes: number, bytesMax: number): boolean {
  return messageBytes * JSON_GROWTH_MAX > bytesMax;
}
