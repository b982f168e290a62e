import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.js";
import type { Stamp } from "./run-effects.js";

/** Puts the envelope around a message's fields; assembled as text because most messages of a busy engine pass here. */
export function stampWith(clock: Clock): Stamp {
  return (fields) => {
    const body = JSON.stringify(fields);
    const envelope = `{"messageId":"${randomUUID()}","timestamp":${clock.now()}`;
    return body === "{}" ? `${envelope}}` : `${envelope},${body.slice(1)}`;
  };
}
