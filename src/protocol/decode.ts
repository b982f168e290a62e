import type { z } from "zod";
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
