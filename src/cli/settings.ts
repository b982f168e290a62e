/** The options that every verb takes, completed from the environment: option, then variable, then default. */
import { PerdureError } from "../errors.js";
import { DEFAULT_NAMESPACE, Namespace } from "../protocol/ids.js";
import { type ConnectionFlags, type ConnectionSettings, connectionSettings } from "./connection-settings.js";
import type { Environment } from "./environment.js";

/** As commander hands them over: absent unless given. */
export interface GlobalOptions extends ConnectionFlags {
  readonly namespace?: string;
  readonly timeout?: number;
}

export interface Settings {
  readonly environment: Environment;
  /** Reads the context anew. @throws PerdureError USAGE for one that cannot be used */
  readonly connection: () => ConnectionSettings;
  readonly namespace: Namespace;
  /** How long a question may take to be answered. */
  readonly requestTimeoutMs: number;
  /** Of `--timeout`, for what may take as long as it likes otherwise. */
  readonly timeoutMs: number | undefined;
}

/** Long enough for a standby to take over from a leader that died, short enough to sit in front of. */
const REQUEST_TIMEOUT_MS = 10_000;

/** @throws PerdureError USAGE */
export function settingsFrom(options: GlobalOptions, environment: Environment): Settings {
  const namespace = Namespace.safeParse(options.namespace ?? environment.namespace ?? DEFAULT_NAMESPACE);
  if (!namespace.success) {
    throw new PerdureError("USAGE", `namespace "${options.namespace}" must match [a-z0-9][a-z0-9-]{0,31}`);
  }
  return {
    environment,
    connection: () => connectionSettings(options, environment),
    namespace: namespace.data,
    requestTimeoutMs: options.timeout ?? REQUEST_TIMEOUT_MS,
    timeoutMs: options.timeout,
  };
}
