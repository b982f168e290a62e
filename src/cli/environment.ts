/** The one place of the command line that reads environment variables. One that is empty counts as not set. */
import { z } from "zod";
import { PerdureError } from "../errors.js";
import type { LogLevel } from "../logger.js";
import { Namespace } from "../protocol/ids.js";

const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const satisfies readonly LogLevel[];

const Variables = z.object({
  NATS_URL: z.string().default("nats://127.0.0.1:4222"),
  NATS_TOKEN: z.string().optional(),
  PERDURE_NAMESPACE: Namespace.optional(),
  /** Path of the nats-server that `perdure dev` starts. */
  PERDURE_NATS_SERVER: z.string().optional(),
  PERDURE_LOG_LEVEL: z.enum(logLevels).optional(),
  /** Any value at all asks for no colour (no-color.org). */
  NO_COLOR: z.string().optional(),
  TERM: z.string().optional(),
});

export interface Environment {
  readonly natsUrl: string;
  readonly natsToken: string | undefined;
  readonly namespace: string | undefined;
  readonly natsServerBinary: string | undefined;
  readonly logLevel: LogLevel | undefined;
  readonly colour: "wanted" | "unwanted";
  /** A dumb terminal can neither be painted on nor redrawn. */
  readonly terminal: "capable" | "dumb";
}

/** @throws PerdureError USAGE that names the variable. */
export function readEnvironment(): Environment {
  const names = Object.keys(Variables.shape);
  const given = Object.fromEntries(names.map((name) => [name, process.env[name] || undefined]));
  const parsed = Variables.safeParse(given);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(({ path, message }) => `environment variable ${path.join(".")}: ${message}`);
    throw new PerdureError("USAGE", wrong.join("; "), { details: { variables: names } });
  }
  const variables = parsed.data;
  return {
    natsUrl: variables.NATS_URL,
    natsToken: variables.NATS_TOKEN,
    namespace: variables.PERDURE_NAMESPACE,
    natsServerBinary: variables.PERDURE_NATS_SERVER,
    logLevel: variables.PERDURE_LOG_LEVEL,
    colour: variables.NO_COLOR === undefined ? "wanted" : "unwanted",
    terminal: variables.TERM === "dumb" ? "dumb" : "capable",
  };
}
