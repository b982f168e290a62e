/** Listens for a while to what agents say. */
import { setTimeout as delay } from "node:timers/promises";
import type { PerdureError } from "../errors.js";
import type { Message } from "../jetstream/connection.js";
import { type Inspector, type Known, known, notKnown } from "../jetstream/inspector.js";
import { AgentRegistrationMessage, HeartbeatMessage } from "../protocol/agent-message.js";
import { decodeRequest } from "../protocol/decode.js";
import type { AgentId, Namespace } from "../protocol/ids.js";
import { type Subjects, subjectsOf } from "../protocol/subjects.js";
import type { HeartbeatFacts, ObservedFacts } from "./facts.js";

/** A fleet of ten thousand says enough in as many heartbeats. */
const HEARTBEATS_MAX = 20_000;

/** Resolves after `durationMs`, or as soon as the inspector's signal is aborted. */
export async function observe(inspector: Inspector, namespace: Namespace, durationMs: number): Promise<ObservedFacts> {
  const subjects = subjectsOf(namespace);
  const { clock, connection, signal } = inspector;
  const heartbeats: HeartbeatFacts[] = [];
  const registrations = new Map<AgentId, number>();
  const denied = new Map<string, PerdureError>();
  const listen = (subject: string, handle: (message: Message) => void) =>
    connection.subscribe(subject, handle, { onRefused: (error) => denied.set(subject, error) });
  const startedAt = clock.monotonicNow();
  const subscriptions = [
    listen(subjects.allHeartbeats, (message) => {
      if (heartbeats.length < HEARTBEATS_MAX) heartbeats.push(heartbeatFacts(message, subjects, clock.now()));
    }),
    listen(subjects.agentRegister, (message) => {
      const parsed = decodeRequest(AgentRegistrationMessage, message.data);
      if (!parsed.ok) return;
      const { agentId } = parsed.value.registration;
      registrations.set(agentId, (registrations.get(agentId) ?? 0) + 1);
    }),
  ];
  try {
    await delay(durationMs, undefined, { signal });
  } catch {
    // What was heard until the connection went is still true.
  }
  for (const subscription of subscriptions) subscription.unsubscribe();
  const heard = <T>(subject: string, value: T): Known<T> =>
    denied.has(subject) ? notKnown("denied", `this user may not subscribe to ${subject}`) : known(value);
  return {
    durationMs: clock.monotonicNow() - startedAt,
    heartbeats: heard(subjects.allHeartbeats, heartbeats),
    registrations: heard(subjects.agentRegister, registrations),
  };
}

function heartbeatFacts({ subject, data }: Message, subjects: Subjects, now: number): HeartbeatFacts {
  const agentId = subjects.agentIdOf(subject);
  const parsed = decodeRequest(HeartbeatMessage, data);
  if (!parsed.ok) return { agentId, fault: parsed.failure.message, offsetMs: null };
  const { agentId: named, timestamp } = parsed.value;
  if (agentId === null) return { agentId, fault: `was sent on ${subject}, which names no agent`, offsetMs: null };
  if (named !== agentId) return { agentId, fault: `speaks of agent ${named}`, offsetMs: null };
  return { agentId, fault: null, offsetMs: timestamp - now };
}
