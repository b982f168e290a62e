/** Where the command line connects and as whom: options, NATS_ variables, contexts of the `nats` CLI. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { nkeys } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ConnectionFlags, connectionSettings } from "../../src/cli/connection-settings.js";
import type { NatsVariables } from "../../src/cli/environment.js";
import { startConfigured } from "../support/configured-nats.js";
import { perdure } from "./perdure.js";

let configHome = "";

/** With every field, most of them empty, as the `nats` CLI writes it. */
const contextFile = (fields: object): string =>
  JSON.stringify({
    description: "",
    url: "",
    socks_proxy: "",
    token: "",
    user: "",
    password: "",
    creds: "",
    nkey: "",
    cert: "",
    key: "",
    ca: "",
    nsc: "",
    jetstream_domain: "",
    jetstream_api_prefix: "",
    jetstream_event_prefix: "",
    inbox_prefix: "",
    user_jwt: "",
    user_seed: "",
    color_scheme: "green",
    tls_first: false,
    ...fields,
  });

const contexts = {
  prod: { url: "nats://a:1,nats://b:2", user: "ann", password: "s3cret", inbox_prefix: "_INBOX_ann" },
  creds: { url: "nats://a:1", creds: "~/ann.creds" },
  nkey: { nkey: "$NOWHERE/x/${NOWHERE}ann.nk" },
  jwt: { user_jwt: "a.b.c", user_seed: "SUA" },
  token: { token: "t0ken" },
  all: { user: "ann", password: "pw", creds: "/c", nkey: "/n", token: "t" },
  tls: { url: "tls://a:1", cert: "file:///c.pem", key: "/k.pem", ca: "/ca.pem", tls_first: true },
  elsewhere: { jetstream_domain: "hub" },
  socks: { socks_proxy: "socks5://p:1" },
  nsc: { nsc: "nsc://o/a/u" },
  windows: { windows_cert_store: "user" },
  onepassword: { password: "op://vault/s3cret", user: "ann" },
  inline: { creds: "data:;base64,czNjcmV0" },
};

beforeAll(async () => {
  configHome = await mkdtemp(join(tmpdir(), "perdure-contexts-"));
  const folder = join(configHome, "nats", "context");
  await mkdir(folder, { recursive: true });
  for (const [name, fields] of Object.entries(contexts))
    await writeFile(join(folder, `${name}.json`), contextFile(fields));
  await writeFile(join(folder, "broken.json"), '{"password": "s3cret",,}');
  await writeFile(join(folder, "wrong.json"), '{"url": 3}');
  await writeFile(join(configHome, "nats", "context.txt"), "prod\n");
});

afterAll(() => rm(configHome, { recursive: true, force: true }));

const none: NatsVariables = {
  url: undefined,
  context: undefined,
  user: undefined,
  password: undefined,
  token: undefined,
  creds: undefined,
  nkey: undefined,
  cert: undefined,
  key: undefined,
  ca: undefined,
};

/** Without what is not given. */
const resolved = (flags: ConnectionFlags, variables: Partial<NatsVariables> = {}, home = configHome): unknown =>
  JSON.parse(JSON.stringify(connectionSettings(flags, { nats: { ...none, ...variables }, configHome: home }).options));

const ofProd = { user: "ann", password: "s3cret" };

describe("a context", () => {
  it.each<[name: string, options: object]>([
    ["prod", { servers: ["nats://a:1", "nats://b:2"], ...ofProd, inboxPrefix: "_INBOX_ann" }],
    ["creds", { servers: ["nats://a:1"], credsFile: join(homedir(), "ann.creds") }],
    ["nkey", { servers: ["nats://127.0.0.1:4222"], nkeyFile: "/x/ann.nk" }],
    ["jwt", { servers: ["nats://127.0.0.1:4222"], userJwt: "a.b.c", userSeed: "SUA" }],
    ["token", { servers: ["nats://127.0.0.1:4222"], token: "t0ken" }],
    ["all", { servers: ["nats://127.0.0.1:4222"], user: "ann", password: "pw" }],
    [
      "tls",
      { servers: ["tls://a:1"], tls: { caFile: "/ca.pem", certFile: "/c.pem", keyFile: "/k.pem", handshake: "first" } },
    ],
  ])("gives what it has: %s", (context, options) => {
    expect(resolved({ context })).toEqual(options);
  });

  it("is the one that is selected, unless one is named, by an option before the variable", () => {
    expect(resolved({})).toMatchObject(ofProd);
    expect(resolved({}, { context: "token" })).toMatchObject({ token: "t0ken" });
    expect(resolved({ context: "creds" }, { context: "token" })).toHaveProperty("credsFile");
  });

  it("may be named by its file", () => {
    const context = join(configHome, "nats", "context", "token.json");

    expect(resolved({ context }, {}, "/nonexistent")).toMatchObject({ token: "t0ken" });
  });

  it("is none where nothing is selected", () => {
    expect(resolved({}, {}, "/nonexistent")).toEqual({ servers: ["nats://127.0.0.1:4222"] });
  });

  it.each<[name: string, said: RegExp]>([
    ["socks", /has socks_proxy, which Perdure cannot do/],
    ["nsc", /has nsc, which Perdure cannot do/],
    ["windows", /has windows_cert_store, which Perdure cannot do/],
    ["onepassword", /has its password looked up by op:/],
    ["inline", /has its creds looked up by data:/],
    ["broken", /broken\.json: it is not JSON/],
    ["wrong", /wrong\.json: url: .*expected string/],
    ["nobody", /no file of a context "nobody"; there are all, broken, creds, /],
    ["../prod", /"\.\.\/prod" is no name of a context/],
  ])("that cannot be used is refused without a secret of it: %s", (context, said) => {
    const refused = expect.objectContaining({ code: "USAGE", message: expect.stringMatching(said) });
    const silent = expect.objectContaining({ message: expect.not.stringMatching(/s3cret|czNjcmV0/) });

    expect(() => resolved({ context })).toThrow(refused);
    expect(() => resolved({ context })).toThrow(silent);
  });
});

it.each<[what: string, flags: ConnectionFlags, variables: Partial<NatsVariables>, options: object]>([
  ["an option", { server: "nats://o:1" }, { url: "nats://e:1" }, { servers: ["nats://o:1"], ...ofProd }],
  ["a variable", {}, { url: "nats://e:1" }, { servers: ["nats://e:1"], ...ofProd }],
])("takes the server of %s, and the rest from the context", (_what, flags, variables, options) => {
  expect(resolved(flags, variables)).toMatchObject(options);
});

it.each<[what: string, flags: ConnectionFlags, variables: Partial<NatsVariables>, options: object]>([
  ["an option", { creds: "/o.creds" }, { token: "t", user: "u", password: "p" }, { credsFile: "/o.creds" }],
  ["a variable", {}, { nkey: "/e.nk" }, { nkeyFile: "/e.nk" }],
  ["the URL of an option", { server: "nats://u:p@o:1" }, { token: "t" }, { servers: ["nats://u:p@o:1"] }],
  ["the URL of a variable", {}, { url: "nats://t0ken@e:1" }, { servers: ["nats://t0ken@e:1"] }],
  [
    "a variable, if its URL is not used",
    { server: "nats://o:1" },
    { url: "nats://u:p@e:1", token: "t" },
    { token: "t" },
  ],
  ["a name without a password, which is a token", {}, { user: "t0ken" }, { token: "t0ken" }],
])("takes the credentials of %s, and none of a farther level", (_what, flags, variables, options) => {
  const { servers, inboxPrefix, ...credentials } = resolved(flags, variables) as Record<string, unknown>;

  expect({ servers, ...credentials }).toEqual({ servers, ...options });
});

it("takes a certificate with the key of the same level, and each other TLS setting by itself", () => {
  expect(resolved({ context: "tls", tlsca: "/o-ca.pem" }, { cert: "/e.pem", key: "/e.key" })).toMatchObject({
    tls: { caFile: "/o-ca.pem", certFile: "/e.pem", keyFile: "/e.key", handshake: "first" },
  });
  expect(resolved({ tlsfirst: true }, {}, "/nonexistent")).toMatchObject({ tls: { handshake: "first" } });
});

describe("a verb", () => {
  it("comes in with a context's nkey, as with the variables", async () => {
    const keys = nkeys.createUser();
    const seed = new TextDecoder().decode(keys.getSeed());
    await using server = await startConfigured(`authorization { users: [{ nkey: ${keys.getPublicKey()} }] }`);
    await writeFile(join(configHome, "ann.nk"), seed);
    const context = contextFile({ url: server.url, nkey: join(configHome, "ann.nk") });
    await writeFile(join(configHome, "nats", "context", "real.json"), context);
    const environment = { XDG_CONFIG_HOME: configHome };
    const args = ["ps", "--timeout", "200ms"];

    const named = await perdure([...args, "--context", "real"], { environment });
    const byVariables = await perdure(args, {
      environment: { NATS_URL: server.url, NATS_NKEY: join(configHome, "ann.nk") },
    });
    const selected = await perdure(args, { environment: { ...environment, NATS_URL: server.url } });

    // In, and nobody serves there.
    for (const { stderr } of [named, byVariables]) expect(stderr).toContain("perdure: NO_RESPONDERS: ");
    expect(selected.stderr).toContain("perdure: CONNECTION_FAILED: ");
    expect(selected.stderr).toContain("refused the credentials");
    expect(selected.stderr).not.toContain("s3cret");
  });

  it("does not start an orchestrator where the context's JetStream is not", async () => {
    const environment = { XDG_CONFIG_HOME: configHome };

    const { status, stderr } = await perdure(["orchestrator", "--context", "elsewhere"], { environment });

    expect(stderr).toContain('perdure: USAGE: context "elsewhere" reaches JetStream as "hub"');
    expect(status).toBe(2);
  });
});
