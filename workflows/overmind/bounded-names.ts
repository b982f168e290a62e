/** Names and ids come from producers and may be any text; what is kept of each has its limits. */
import { createHash } from "node:crypto";

/** The line that further names share, and those that are none. */
export const OTHER = "(other)";

const NAME_LENGTH_MAX = 200;
const ID_LENGTH_MAX = 128;

/** A name as it may head a line of figures: one that would fill a stored value, or that no JSON object has, may not. */
export function lineOf(name: string): string {
  return name.length > NAME_LENGTH_MAX || name === "__proto__" ? OTHER : name;
}

/** An id as it is remembered among a hundred others: a long one by its digest. */
export function rememberedId(id: string): string {
  return id.length > ID_LENGTH_MAX ? byDigest(id) : id;
}

/** An id as a header carries it, which is no place for a line break or for 64 KiB; a blank at its end would be lost. */
export function headerId(id: string): string {
  return id.length > ID_LENGTH_MAX || /[\r\n]|^[ \t]|[ \t]$/.test(id) ? byDigest(id) : id;
}

const byDigest = (id: string): string => `sha256:${digestOf(id)}`;

export const digestOf = (text: string): string => createHash("sha256").update(text).digest("base64url");
