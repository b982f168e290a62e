/** The orchestrator's broadcasts, validated: each at most once, so they are for looking on, not for deciding. */
import type { Connection, Subscription } from "../jetstream/connection.js";
import type { Logger } from "../logger.js";
import { decodeMessage } from "../protocol/decode.js";
import { SystemEventMessage } from "../protocol/system-message.js";

export type SystemEvent = SystemEventMessage;

/** What is kept for a reader that is slower than the events; beyond it the oldest are dropped. */
const EVENTS_WAITING_MAX = 10_000;

export function listenToEvents(
  connection: Connection,
  subject: string,
  listener: (event: SystemEvent) => void,
  logger: Logger,
): Subscription {
  return connection.subscribe(subject, (message) => {
    const event = decodeMessage(SystemEventMessage, message.data);
    if (event.ok) listener(event.value);
    else logger.debug({ reason: event.failure.message }, "ignored a system event that cannot be read");
  });
}

/** The events from now on, as they come, until the signal aborts or the reader leaves its loop. */
export function eventsOf(
  subscribe: (listener: (event: SystemEvent) => void) => Subscription,
  signal: AbortSignal,
): AsyncGenerator<SystemEvent, void, undefined> {
  const waiting: SystemEvent[] = [];
  let wake: () => void = () => undefined;
  // At once, not at the reader's first step: what happens in between is what it waits for.
  const subscription = subscribe((event) => {
    waiting.push(event);
    if (waiting.length > EVENTS_WAITING_MAX) waiting.shift();
    wake();
  });
  const end = (): void => {
    subscription.unsubscribe();
    wake();
  };
  signal.addEventListener("abort", end, { once: true });

  async function* read(): AsyncGenerator<SystemEvent, void, undefined> {
    try {
      while (!signal.aborted) {
        const arrived = new Promise<void>((resolve) => {
          wake = resolve;
        });
        const event = waiting.shift();
        if (event === undefined) await arrived;
        else yield event;
      }
    } finally {
      signal.removeEventListener("abort", end);
      subscription.unsubscribe();
    }
  }
  const events = read();
  const leave = events.return.bind(events);
  // One that is left before its first step never comes to its `finally`.
  events.return = (value) => {
    signal.removeEventListener("abort", end);
    subscription.unsubscribe();
    return leave(value);
  };
  return events;
}
