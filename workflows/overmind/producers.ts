/**
 * The platform's three producers: the bridge (routing), the memory API and the gateway to language models. A message is
 * held against its schema before it leaves, and carries an id that follows from it: published again within two minutes, it
 * is the same message.
 */
import { PerdureError } from "perdure";
import type { Fleet, Published } from "perdure/bridges";
import { z } from "zod";
import { headerId } from "./bounded-names.js";
import {
  LLMRequest,
  llmSubject,
  MemoryEvent,
  memorySubject,
  RoutingDecision,
  type RoutingKind,
  routingSubjects,
} from "./messages.js";

/**
 * Each resolves once the stream has the message.
 * @throws PerdureError INVALID_MESSAGE for what does not fit its schema or is no JSON, PAYLOAD_TOO_LARGE: before it is sent;
 *   NO_RESPONDERS where no stream takes the subject; what `fleet.publish` throws
 */
export interface Producers {
  decided(kind: RoutingKind, decision: RoutingDecision): Promise<Published>;
  remembered(event: MemoryEvent): Promise<Published>;
  requested(request: LLMRequest): Promise<Published>;
}

export function producersOn(fleet: Fleet): Producers {
  const publish = (subject: string, id: string, body: object): Promise<Published> =>
    fleet.publish(subject, body, { messageId: `${subject}:${headerId(id)}` });
  return {
    decided: async (kind, decision) => {
      const body = valid("RoutingDecision", RoutingDecision, decision);
      return await publish(routingSubjects[kind], body.requestId, body);
    },
    remembered: async (event) => {
      const body = valid("MemoryEvent", MemoryEvent, event);
      return await publish(memorySubject(body.eventType), body.eventId, body);
    },
    requested: async (request) => {
      const body = valid("LLMRequest", LLMRequest, request);
      return await publish(llmSubject(body.status), body.requestId, body);
    },
  };
}

function valid<Body>(name: string, schema: z.ZodType<Body>, given: Body): Body {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new PerdureError(
    "INVALID_MESSAGE",
    `This is no ${name} and was not published: ${z.prettifyError(parsed.error)}`,
  );
}
