/**
 * One trace from brain to tool: each member makes a span of its own for what it does, child of the span in the message's
 * `traceparent` header, and sends its own on. Spans are exported over OTLP (JSON over HTTP) where
 * OTEL_EXPORTER_OTLP_ENDPOINT says so; without it the header is kept and renewed all the same.
 */
import { randomBytes } from "node:crypto";
import { ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, TraceFlags, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

export type HopKind = "entry" | "send" | "receive" | "call";

export interface Hop {
  /** For the header of whatever is sent because of this hop. */
  readonly traceparent: string;
  /** Once; with what went wrong, if something did. */
  end(fault?: string): void;
}

export interface Tracing {
  /** @param parent the header of what came in; without one that can be read, a new trace begins */
  hop(name: string, kind: HopKind, parent: string | undefined, attributes?: Readonly<Record<string, string>>): Hop;
  /** Exports what has ended. */
  close(): Promise<void>;
}

const kinds: Readonly<Record<HopKind, SpanKind>> = {
  entry: SpanKind.SERVER,
  send: SpanKind.PRODUCER,
  receive: SpanKind.CONSUMER,
  call: SpanKind.CLIENT,
};

/** A span is exported within so long of its end. */
const EXPORT_DELAY_MS = 500;
/** Of a later version there may be more behind it; `ff` is none. */
const TRACEPARENT = /^(?:00(?!.{54})|(?!00|ff)[\da-f]{2})-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}(?:-|$)/;
/** A collector that takes longer loses spans; nobody's work waits for it. */
const EXPORT_TIMEOUT_MS = 2_000;

/** For what no request is behind, as a heartbeat: every message of the fleet carries a trace context, and nobody keeps this one. */
export function contextOfItsOwn(): { readonly headers: { readonly traceparent: string } } {
  return { headers: { traceparent: `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-00` } };
}

/** @param service what the spans' resource goes by, such as `baker-street.brain` */
export function startTracing(service: string, environment: NodeJS.ProcessEnv = process.env): Tracing {
  const endpoint = environment["OTEL_EXPORTER_OTLP_ENDPOINT"];
  const url = endpoint === undefined || endpoint === "" ? null : `${endpoint.replace(/\/+$/, "")}/v1/traces`;
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": service }),
    spanProcessors: url === null ? [] : [exporting(url)],
  });
  const tracer = provider.getTracer("baker-street");
  return {
    hop: (name, kind, parent, attributes = {}) =>
      hopOf(tracer.startSpan(name, { kind: kinds[kind], attributes }, contextOf(parent))),
    // A collector that is gone is its operator's to notice; what was traced is done and well.
    close: () => provider.shutdown().catch(() => undefined),
  };
}

function exporting(url: string): BatchSpanProcessor {
  return new BatchSpanProcessor(new OTLPTraceExporter({ url, timeoutMillis: EXPORT_TIMEOUT_MS }), {
    scheduledDelayMillis: EXPORT_DELAY_MS,
  });
}

function contextOf(traceparent: string | undefined) {
  const [, traceId, spanId] = TRACEPARENT.exec(traceparent ?? "") ?? [];
  if (traceId === undefined || spanId === undefined) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    // Members that know nothing of sampling send 00 as often as not; a trace is kept whole.
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  });
}

function hopOf(span: Span): Hop {
  const { traceId, spanId } = span.spanContext();
  return {
    traceparent: `00-${traceId}-${spanId}-01`,
    end: (fault) => {
      if (fault !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: fault });
      span.end();
    },
  };
}
