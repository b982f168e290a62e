import { check, type Schema } from "../workflow/standard-schema.js";

/** The body of a foreign message, or what is wrong with it. */
export type Body<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

/** `text`: what is no UTF-8 is replaced, so that every message is one. */
export type BodyFormat = "json" | "text";

const strict = new TextDecoder("utf-8", { fatal: true });
const lenient = new TextDecoder("utf-8");

/** JSON unless said otherwise, held against a schema. The reason names each field that is wrong. */
export function decodeBody<T>(schema: Schema<unknown, T>, data: Uint8Array, format: BodyFormat = "json"): Body<T> {
  let value: unknown;
  try {
    value = format === "text" ? lenient.decode(data) : JSON.parse(strict.decode(data));
  } catch (cause) {
    return { ok: false, reason: `is not JSON: ${cause instanceof Error ? cause.message : String(cause)}` };
  }
  try {
    const checked = check(schema, value);
    if (checked.ok) return { ok: true, value: checked.value as T };
    return { ok: false, reason: `does not fit its schema: ${checked.message}` };
  } catch (thrown) {
    // A refinement or transform of it that did not expect such a value.
    return {
      ok: false,
      reason: `makes its schema throw: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    };
  }
}
