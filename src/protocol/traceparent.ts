import { z } from "zod";

/** W3C trace context, version 00 to fe (https://www.w3.org/TR/trace-context/#traceparent-header). */
export const Traceparent = z
  .string()
  .regex(/^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/);
