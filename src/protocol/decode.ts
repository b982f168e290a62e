import type { z } from "zod";
import { JSON_DEPTH_MAX } from "./limits.js";
import { type Parsed, parseMessage } from "./parse.js";

/** Bytes of the wire -> parsed message. Nothing here throws, whatever the bytes are. */

const utf8 = new TextDecoder("utf-8", { fatal: true });

export function decodeJson(data: Uint8Array): Parsed<unknown> {
  try {
    return { ok: true, value: JSON.parse(utf8.decode(data)) };
  } catch {
    return {
      ok: false,
      failure: { code: "INVALID_MESSAGE", message: `is not JSON in UTF-8 (${data.byteLength} bytes)`, fields: [] },
    };
  }
}

export function decodeMessage<S extends z.ZodType>(schema: S, data: Uint8Array): Parsed<z.infer<S>> {
  const decoded = decodeJson(data);
  return decoded.ok ? parseMessage(schema, decoded.value) : decoded;
}

/**
 * As `decodeMessage`, for what strangers send: refuses nesting that could be read and never be written again, because
 * writing JSON takes stack for each level.
 */
export function decodeRequest<S extends z.ZodType>(schema: S, data: Uint8Array): Parsed<z.infer<S>> {
  if (isTooDeep(data)) {
    const message = `is nested deeper than ${JSON_DEPTH_MAX} levels`;
    return { ok: false, failure: { code: "INVALID_MESSAGE", message, fields: [] } };
  }
  return decodeMessage(schema, data);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);

function isTooDeep(data: Uint8Array): boolean {
  // Each level takes two bytes at least, so most messages are never looked through.
  if (data.byteLength <= 2 * JSON_DEPTH_MAX) return false;
  let depth = 0;
  let inText = false;
  for (let index = 0; index < data.byteLength; index += 1) {
    const byte = data[index] as number;
    if (byte === QUOTE) inText = !inText;
    else if (inText) {
      if (byte === BACKSLASH) index += 1;
    } else if (OPENING.has(byte)) {
      depth += 1;
      if (depth > JSON_DEPTH_MAX) return true;
    } else if (CLOSING.has(byte)) depth -= 1;
  }
  return false;
}
