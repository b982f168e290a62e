/** The one place of the command line that reads environment variables. One that is empty counts as not set. */
import { z } from "zod";
import { PerdureError } from "../errors.js";
import type { LogLevel } from "../logger.js";
import { Namespace } from "../protocol/ids.js";

const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const satisfies readonly LogLevel[];

/** Those that begin with NATS_ are the `nats` CLI's. */
const Variables = z.object({
  NATS_URL: z.string().optional(),
  NATS_CONTEXT: z.string().optional(),
  NATS_USER: z.string().optional(),
  NATS_PASSWORD: z.string().optional(),
  NATS_TOKEN: z.string().optional(),
  NATS_CREDS: z.string().optional(),
  NATS_NKEY: z.string().optional(),
  NATS_CERT: z.string().optional(),
  NATS_KEY: z.string().optional(),
  NATS_CA: z.string().optional(),
  /** Where the `nats` CLI keeps its contexts; ~/.config otherwise. */
  XDG_CONFIG_HOME: z.string().optional(),
  PERDURE_NAMESPACE: Namespace.optional(),
  /** Path of the nats-server that `perdure dev` starts. */
  PERDURE_NATS_SERVER: z.string().optional(),
  /** What HTTP requests must carry; not an option, because other users see those. */
  PERDURE_HTTP_TOKEN: z.string().optional(),
  PERDURE_LOG_LEVEL: z.enum(logLevels).optional(),
  /** Any value at all asks for no colour (no-color.org). */
  NO_COLOR: z.string().optional(),
  TERM: z.string().optional(),
});

export interface Environment {
  readonly nats: NatsVariables;
  readonly configHome: string | undefined;
  readonly namespace: string | undefined;
  readonly natsServerBinary: string | undefined;
  readonly httpToken: string | undefined;
  readonly logLevel: LogLevel | undefined;
  readonly colour: "wanted" | "unwanted";
  /** A dumb terminal can neither be painted on nor redrawn. */
  readonly terminal: "capable" | "dumb";
}

export interface NatsVariables {
  readonly url: string | undefined;
  readonly context: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  readonly creds: string | undefined;
  readonly nkey: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly ca: string | undefined;
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
    nats: {
      url: variables.NATS_URL,
      context: variables.NATS_CONTEXT,
      user: variables.NATS_USER,
      password: variables.NATS_PASSWORD,
      token: variables.NATS_TOKEN,
      creds: variables.NATS_CREDS,
      nkey: variables.NATS_NKEY,
      cert: variables.NATS_CERT,
      key: variables.NATS_KEY,
      ca: variables.NATS_CA,
    },
    configHome: variables.XDG_CONFIG_HOME,
    namespace: variables.PERDURE_NAMESPACE,
    natsServerBinary: variables.PERDURE_NATS_SERVER,
    httpToken: variables.PERDURE_HTTP_TOKEN,
    logLevel: variables.PERDURE_LOG_LEVEL,
    colour: variables.NO_COLOR === undefined ? "wanted" : "unwanted",
    terminal: variables.TERM === "dumb" ? "dumb" : "capable",
  };
}

/** `$HOME` and `${HOME}` in a text; a variable that is not set leaves nothing, as in a shell. */
export function withVariables(text: string): string {
  return text.replace(
    /\$(?:\{(\w+)\}|(\w+))/g,
    (_, braced?: string, bare?: string) => process.env[braced ?? bare ?? ""] ?? "",
  );
}
