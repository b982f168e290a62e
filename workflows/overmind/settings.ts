/** What the platform's members are told by their environment. Empty counts as not set. */
import { PerdureError } from "perdure";
import { z } from "zod";

const Variables = z.object({
  NATS_URL: z.string().default("nats://localhost:4222"),
  NATS_TOKEN: z.string().optional(),
  PERDURE_NAMESPACE: z.string().default("mcp"),
  /** Where the API server listens. */
  HTTP_HOST: z.string().default("127.0.0.1"),
  HTTP_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
});

export interface Settings {
  readonly connection: { readonly servers: string; readonly token?: string; readonly namespace: string };
  readonly http: { readonly host: string; readonly port: number };
}

/** @throws PerdureError USAGE that names the variables that are wrong */
export function settingsFrom(environment: Readonly<Record<string, string | undefined>>): Settings {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const parsed = Variables.safeParse(given);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new PerdureError("USAGE", `environment variables are wrong: ${wrong.join("; ")}. Nothing was started.`);
  }
  const { NATS_URL, NATS_TOKEN, PERDURE_NAMESPACE, HTTP_HOST, HTTP_PORT } = parsed.data;
  return {
    connection: {
      servers: NATS_URL,
      namespace: PERDURE_NAMESPACE,
      ...(NATS_TOKEN === undefined ? {} : { token: NATS_TOKEN }),
    },
    http: { host: HTTP_HOST, port: HTTP_PORT },
  };
}
