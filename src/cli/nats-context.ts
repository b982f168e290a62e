/**
 * Contexts of the `nats` CLI: named connection settings in files, one of them selected. Read, never written. What a
 * context asks for and Perdure cannot do is refused by name: a connection that ignores it would be another one.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { PerdureError } from "../errors.js";
import { withVariables } from "./environment.js";

export interface NatsContext {
  readonly name: string;
  readonly url: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  /** Paths, ready to be opened. */
  readonly creds: string | undefined;
  readonly nkey: string | undefined;
  readonly userJwt: string | undefined;
  readonly userSeed: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly ca: string | undefined;
  readonly inboxPrefix: string | undefined;
  readonly tls: "first" | undefined;
  /** Where the account's JetStream is not the server's own: under which domain or prefix. */
  readonly jetStreamElsewhere: string | undefined;
}

/** The `nats` CLI writes every field, empty where it is not set. */
const text = z
  .string()
  .optional()
  .transform((value) => value || undefined);

const ContextFile = z.object({
  url: text,
  socks_proxy: text,
  token: text,
  user: text,
  password: text,
  creds: text,
  nkey: text,
  cert: text,
  key: text,
  ca: text,
  nsc: text,
  jetstream_domain: text,
  jetstream_api_prefix: text,
  inbox_prefix: text,
  user_jwt: text,
  user_seed: text,
  tls_first: z.boolean().optional(),
  windows_cert_store: text,
});
type ContextFile = z.infer<typeof ContextFile>;

/** Of what would change the connection. The rest of a context, such as its colours, is the `nats` CLI's own. */
const unsupported = ["socks_proxy", "nsc", "windows_cert_store"] as const satisfies readonly (keyof ContextFile)[];

/**
 * The context of this name or file; without one, the selected one, if any is.
 * @param configHome where `nats/context` lies; ~/.config by default
 * @throws PerdureError USAGE for one that does not exist, cannot be read, or asks for what cannot be done
 */
export function readContext(
  asked: string | undefined,
  configHome = join(homedir(), ".config"),
): NatsContext | undefined {
  const folder = join(configHome, "nats", "context");
  if (asked?.endsWith(".json") === true && existsSync(asked)) return contextFrom(asked, asked);
  const name = asked ?? selectedContext(configHome);
  if (name === undefined) return undefined;
  // It becomes part of a path.
  if (name.includes("..") || /[/\\]/.test(name)) throw new PerdureError("USAGE", `"${name}" is no name of a context`);
  const path = join(folder, `${name}.json`);
  if (existsSync(path)) return contextFrom(path, name);
  const known = knownContexts(folder);
  const others = known.length === 0 ? "there is none" : `there are ${known.join(", ")}`;
  const which = asked === undefined ? `the selected context "${name}"` : `a context "${name}"`;
  throw new PerdureError("USAGE", `${folder} has no file of ${which}; ${others} (\`nats context ls\`)`);
}

/** Names of all contexts, for completion and advice. */
export function contextNames(configHome = join(homedir(), ".config")): readonly string[] {
  return knownContexts(join(configHome, "nats", "context"));
}

function knownContexts(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
}

function selectedContext(configHome: string): string | undefined {
  const path = join(configHome, "nats", "context.txt");
  return existsSync(path) ? readFileSync(path, "utf8").trim() || undefined : undefined;
}

function contextFrom(path: string, name: string): NatsContext {
  const file = parseFile(path);
  const refused = unsupported.find((field) => file[field] !== undefined);
  if (refused !== undefined) {
    throw new PerdureError(
      "USAGE",
      `context "${name}" has ${refused}, which Perdure cannot do; nothing was connected. Make a context without it, or give --server and credentials.`,
      { details: { context: name, field: refused } },
    );
  }
  const plain = (field: "token" | "user" | "password" | "user_jwt" | "user_seed"): string | undefined => {
    const scheme = schemeOf(file[field]);
    if (scheme !== undefined) throw schemeRefused(name, field, scheme);
    return file[field];
  };
  const pathOf = (field: "creds" | "nkey" | "cert" | "key" | "ca"): string | undefined => {
    const value = file[field];
    const scheme = schemeOf(value);
    if (scheme !== undefined && scheme !== "file") throw schemeRefused(name, field, scheme);
    return value === undefined
      ? undefined
      : withVariables(value.replace(/^file:\/\//i, "")).replace(/^~/, () => homedir());
  };
  return {
    name,
    url: file.url,
    user: plain("user"),
    password: plain("password"),
    token: plain("token"),
    creds: pathOf("creds"),
    nkey: pathOf("nkey"),
    userJwt: plain("user_jwt"),
    userSeed: plain("user_seed"),
    cert: pathOf("cert"),
    key: pathOf("key"),
    ca: pathOf("ca"),
    inboxPrefix: file.inbox_prefix,
    tls: file.tls_first === true ? "first" : undefined,
    jetStreamElsewhere: file.jetstream_domain ?? file.jetstream_api_prefix,
  };
}

/** Of what the `nats` CLI would have somebody else look up: 1Password, nsc, a variable, the value itself in base64. */
function schemeOf(value: string | undefined): string | undefined {
  return /^(op|nsc|env|file)(?=:\/\/)|^data(?=:)/i.exec(value ?? "")?.[0].toLowerCase();
}

function schemeRefused(context: string, field: string, scheme: string): PerdureError {
  return new PerdureError(
    "USAGE",
    `context "${context}" has its ${field} looked up by ${scheme}:, which Perdure cannot do; nothing was connected. Give it with an option or a NATS_ variable.`,
    { details: { context, field } },
  );
}

function parseFile(path: string): ContextFile {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    // The text of JSON.parse's error quotes what it read, which may be a password.
    const reason =
      cause instanceof SyntaxError ? "it is not JSON" : cause instanceof Error ? cause.message : String(cause);
    throw new PerdureError("USAGE", `cannot read the context ${path}: ${reason}`, { details: { path } });
  }
  const parsed = ContextFile.safeParse(content);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
  throw new PerdureError("USAGE", `cannot use the context ${path}: ${wrong}`, { details: { path } });
}
