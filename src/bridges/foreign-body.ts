import { check, type Schema } from "../workflow/standard-schema.js";

/** The body of a foreign message, or what is wrong with it. */
export type Body<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

const decoder = new TextDecoder("utf-8", { fatal: true });

/** JSON, held against a schema. The reason names each field that is wrong. */
export function decodeBody<T>(schema: Schema<unknown, T>, data: Uint8Array): Body<T> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(data));
  } catch (cause) {
    return { ok: false, reason: `is not JSON: ${cause instanceof Error ? cause.message : String(cause)}` };
  }
  const checked = check(schema, value);
  return checked.ok
    ? { ok: true, value: checked.value as T }
    : { ok: false, reason: `does not fit its schema: ${checked.message}` };
}
