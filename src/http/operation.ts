/** What one route promises and does. The server routes by these, and docs/openapi.json is drawn from them. */
import type { ServerResponse } from "node:http";
import type { z } from "zod";
import type { Client } from "../client/client.js";
import type { ErrorCode } from "../protocol/error-code.js";
import type { EventFeed } from "./event-feed.js";
import { type ParameterShape, readParameters } from "./parameters.js";

export interface Operation {
  readonly operationId: string;
  readonly method: "GET" | "POST";
  /** Parameters in braces, as in OpenAPI. */
  readonly path: `/${string}`;
  /** "open": for probes, which carry no token; so it tells them nothing else. */
  readonly access: "guarded" | "open";
  /** "long": takes as long as it likes, so a server that closes ends it at once. */
  readonly patience: "short" | "long";
  readonly summary: string;
  readonly description: string;
  /** Those that the path does not name are in the query. */
  readonly parameters: ParameterShape;
  /** Request headers that mean something here. */
  readonly headers?: ParameterShape;
  readonly body?: z.ZodType;
  readonly success: Success;
  /** Codes of its own, beside those that any request can be refused with. */
  readonly refusals: readonly ErrorCode[];
  answer(call: Call, face: Face): Promise<Answer>;
}

export interface Success {
  readonly status: 200 | 202;
  readonly description: string;
  readonly contentType: "application/json" | "text/plain" | "text/event-stream";
  /** Of JSON. */
  readonly schema?: z.ZodType;
  /** Response headers, and what they say. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request, on its way to the operation that its route names. */
export interface Call {
  readonly pathParameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  header(name: string): string | undefined;
  /** Undefined where there is none. @throws PerdureError for one that is too large, or not JSON */
  readBody(): Promise<unknown>;
  /** Aborts when the caller hangs up, or the server closes. */
  readonly signal: AbortSignal;
}

/** What whoever asks an orchestrator can be refused with: nobody could be asked, nobody answered, or nobody knows. */
export const orchestratorCodes: readonly ErrorCode[] = [
  "CONNECTION_FAILED",
  "JOURNAL_FENCED",
  "NO_RESPONDERS",
  "NOT_READY",
  "PERMISSION_DENIED",
  "REQUEST_TIMED_OUT",
  "STORAGE_FULL",
  "STORAGE_UNAVAILABLE",
];

/** What operations act through. */
export interface Face {
  /** @throws PerdureError NOT_READY while there is none */
  client(): Client;
  metrics(): Promise<string>;
  readonly events: EventFeed;
  /** How long to ask until somebody answers. */
  readonly requestTimeoutMs: number;
}

export type Answer = JsonAnswer | TextAnswer | StreamAnswer;

interface JsonAnswer {
  readonly kind: "json";
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

interface TextAnswer {
  readonly kind: "text";
  readonly contentType: string;
  readonly text: string;
}

interface StreamAnswer {
  readonly kind: "stream";
  /** Owns the response from its head to its end. */
  write(response: ServerResponse): void;
}

interface Definition<P extends ParameterShape> extends Omit<Operation, "answer" | "parameters"> {
  readonly parameters: P;
  run(parameters: z.infer<z.ZodObject<P>>, call: Call, face: Face): Promise<Answer>;
}

/** Knows what its parameters are; the list of all operations does not need to. */
export function operation<P extends ParameterShape>(definition: Definition<P>): Operation {
  const { run, ...promised } = definition;
  return {
    ...promised,
    answer: (call, face) => run(readParameters(definition.parameters, call), call, face),
  };
}
