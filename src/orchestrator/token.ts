import { randomFillSync } from "node:crypto";

const TOKEN_BYTES = 16;
/** Asking the system for randomness costs more than a token: it is asked for many at once. */
const pool = Buffer.allocUnsafe(TOKEN_BYTES * 256);
let used = pool.length;

/** 128 random bits as text: only who was given it can know it. */
export function newToken(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += TOKEN_BYTES;
  return pool.toString("base64url", used - TOKEN_BYTES, used);
}
