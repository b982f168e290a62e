/** Every way to prove who connects, against a real server that asks for it; and that no secret is ever said. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { nkeys } from "@nats-io/transport-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { agent } from "../../src/agent/agent.js";
import { connectClient } from "../../src/client/client.js";
import { connect } from "../../src/jetstream/connection.js";
import type { ConnectionOptions } from "../../src/jetstream/connection-options.js";
import { silentLogger } from "../../src/logger.js";
import { startOrchestrator } from "../../src/orchestrator/orchestrator.js";
import { createAuthority } from "../support/certificates.js";
import { type ConfiguredNats, startConfigured } from "../support/configured-nats.js";
import { captureLog } from "../support/log-lines.js";
import { createOperator } from "../support/nats-jwt.js";
import { until } from "../support/until.js";

type Where = Omit<ConnectionOptions, "servers"> & { readonly servers: string };

/** Resolves once the server has let us in and answered. */
async function comesIn(options: Where): Promise<void> {
  const connection = await connect({ ...options, name: "test", connectionTimeoutMs: 700, logger: silentLogger });
  await connection.flush();
  await connection.close();
}

const failureOf = (options: Where): Promise<Error> =>
  comesIn(options).then(
    () => Promise.reject(new Error("the server let us in")),
    (error: unknown) => (error instanceof Error ? error : Promise.reject(error)),
  );

const newNkey = (): { readonly seed: string; readonly publicKey: string } => {
  const keys = nkeys.createUser();
  return { seed: new TextDecoder().decode(keys.getSeed()), publicKey: keys.getPublicKey() };
};

async function serverWith(
  config: string,
  files: Readonly<Record<string, string>> = {},
): Promise<ConfiguredNats & { readonly file: (name: string) => string }> {
  const server = await startConfigured(config, async (folder) => {
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  });
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { ...server, file: (name) => join(server.folder, name) };
}

describe("a password", () => {
  it("lets us in, from the options as from the URL", async () => {
    const { url } = await serverWith("authorization { user: ann, password: s3cret }");

    await comesIn({ servers: url, user: "ann", password: "s3cret" });
    await comesIn({ servers: url.replace("//", "//ann:s3cret@") });
  });

  it("is never said when it is refused", async () => {
    const { url } = await serverWith("authorization { user: ann, password: s3cret }");

    const failure = await failureOf({ servers: url.replace("//", "//ann:wr0ng@") });

    expect(failure).toMatchObject({ code: "CONNECTION_FAILED", message: expect.stringContaining("refused the cred") });
    expect(JSON.stringify(failure) + failure.message + failure.stack).not.toContain("wr0ng");
  });
});

describe("an nkey", () => {
  it("lets us in with its seed from a file, bare or between lines of dashes", async () => {
    const { seed, publicKey } = newNkey();
    const decorated = `-----BEGIN USER NKEY SEED-----\r\n${seed}\r\n------END USER NKEY SEED------\r\n`;
    const { url, file } = await serverWith(`authorization { users: [{ nkey: ${publicKey} }] }`, {
      "bare.nk": `${seed}\n`,
      "decorated.nk": decorated,
    });

    await comesIn({ servers: url, nkeyFile: file("bare.nk") });
    await comesIn({ servers: url, nkeyFile: file("decorated.nk") });
  });

  it("may be replaced while we run, and a file that is gone or half-written does not throw us out", async () => {
    const [first, second] = [newNkey(), newNkey()];
    const config = `authorization { users: [{ nkey: ${first.publicKey} }, { nkey: ${second.publicKey} }] }`;
    const server = await serverWith(config, { "user.nk": first.seed });
    const { logger, count } = captureLog();
    const options = { servers: server.url, nkeyFile: server.file("user.nk"), reconnectWaitMs: 20 };
    const connection = await connect({ ...options, name: "test", logger });
    onTestFinished(() => connection.close());
    const backAfter = async (text: string): Promise<void> => {
      let back = 0;
      const stop = connection.onEvent((event) => {
        if (event === "reconnected") back += 1;
      });
      await writeFile(server.file("user.nk"), text);
      await server.restart(`authorization { users: [{ nkey: ${second.publicKey} }] }`);
      await until("we are back", () => back > 0);
      stop();
    };

    await backAfter(second.seed);
    await backAfter(second.seed.slice(0, 20));

    expect(count("cannot read credentials again")).toBeGreaterThan(0);
  });
});

describe("a creds file", () => {
  it("lets us in, as do its two parts", async () => {
    const operator = createOperator();
    const { jwt, seed } = operator.newUser("bob");
    const { url, file } = await serverWith(operator.config, { "ann.creds": operator.newCreds("ann") });

    await comesIn({ servers: url, credsFile: file("ann.creds") });
    await comesIn({ servers: url, userJwt: jwt, userSeed: seed });
  });

  it("is refused by a server of another operator", async () => {
    const { url, file } = await serverWith(createOperator().config, { "ann.creds": createOperator().newCreds("ann") });

    expect(await failureOf({ servers: url, credsFile: file("ann.creds") })).toMatchObject({
      code: "CONNECTION_FAILED",
      message: expect.stringContaining("creds or nkey"),
    });
  });
});

describe("credentials that cannot be used", () => {
  const { seed } = newNkey();
  const servers = "nats://127.0.0.1:1";

  it.each<[what: string, options: Omit<Where, "servers">, said: RegExp]>([
    ["a file that is not there", { credsFile: "/no/such.creds" }, /cannot read credentials: ENOENT.+\/no\/such\.creds/],
    ["a file without any", { credsFile: import.meta.filename }, /authentication\.test\.ts holds none/],
    ["a seed that was cut", { userJwt: "a.b.c", userSeed: seed.slice(0, -1) }, /userSeed is no seed of an nkey/],
    ["a seed that was mistyped", { userJwt: "a.b.c", userSeed: `${seed.slice(0, -1)}1` }, /userSeed is no seed/],
    ["two kinds", { token: "t0ken", user: "ann", password: "s3cret" }, /user and token were given/],
    ["a certificate without its key", { tls: { certFile: import.meta.filename } }, /only the certificate was given/],
    ["an authority that is not there", { tls: { caFile: "/no/ca.pem" } }, /cannot use \/no\/ca\.pem for TLS: ENOENT/],
  ])("are refused before anything is dialled: %s", async (_what, options, said) => {
    const failure = await failureOf({ servers, ...options });

    expect(failure).toMatchObject({ code: "USAGE", message: expect.stringMatching(said) });
    expect(failure.message).not.toContain(seed.slice(0, 20));
    expect(failure.message).not.toContain("s3cret");
  });
});

describe("TLS", () => {
  const authority = createAuthority("Test CA");
  const stranger = createAuthority("Another CA");
  const [server, client] = [authority.issue("server"), authority.issue("client")];
  const files = {
    "ca.pem": authority.certificatePem,
    "server.pem": server.certificatePem,
    "server.key": server.keyPem,
    "client.pem": client.certificatePem,
    "client.key": client.keyPem,
    "other.pem": stranger.certificatePem,
    "other.key": stranger.keyPem,
  };
  const ofServer = "cert_file: server.pem, key_file: server.key";
  const serverThatVerifies = () => serverWith(`tls { ${ofServer}, ca_file: ca.pem, verify: true }`, files);

  it("is talked with a server whose authority is named, by name as by address", async () => {
    const { url, port, file } = await serverWith(`tls { ${ofServer} }`, files);

    await comesIn({ servers: url, tls: { caFile: file("ca.pem") } });
    await comesIn({ servers: `tls://localhost:${port}`, tls: { caFile: file("ca.pem") } });
  });

  it("shows our own certificate to a server that asks for one, first thing where it wants that", async () => {
    const { url, file } = await serverThatVerifies();
    const first = await serverWith(`tls { ${ofServer}, ca_file: ca.pem, verify: true, handshake_first: true }`, files);
    const tls = { caFile: file("ca.pem"), certFile: file("client.pem"), keyFile: file("client.key") };

    await comesIn({ servers: url, tls });
    await comesIn({ servers: first.url, tls: { ...tls, handshake: "first" } });
  });

  it("refuses a server that is not to be trusted, and says what to name", async () => {
    const { url, file } = await serverWith(`tls { ${ofServer} }`, files);

    for (const tls of [undefined, { caFile: file("other.pem") }]) {
      expect(await failureOf({ servers: url, tls })).toMatchObject({
        code: "CONNECTION_FAILED",
        message: expect.stringMatching(/not trusted: name the authority that signed it \(--tlsca/),
      });
    }
  });

  it("says that the server may want a certificate, whether the server says so or is silent", async () => {
    const { url, file } = await serverThatVerifies();
    const first = await serverWith(`tls { ${ofServer}, ca_file: ca.pem, verify: true, handshake_first: true }`, files);
    const tls = { caFile: file("ca.pem") };

    const silent = await failureOf({ servers: url, tls });
    const said = await failureOf({ servers: first.url, tls: { ...tls, handshake: "first" } });
    const notFirst = await failureOf({ servers: first.url, tls });

    for (const failure of [silent, said, notFirst]) expect(failure.message).toContain("--tlscert and --tlskey");
    expect(said.message).toMatch(/: tlsv13 alert certificate required\. /);
  });

  it("is insisted on where tls:// was asked for", async () => {
    const { port } = await serverWith("");

    expect(await failureOf({ servers: `tls://127.0.0.1:${port}` })).toMatchObject({ code: "CONNECTION_FAILED" });
  });
});

describe("permissions", () => {
  const user = (permissions: string): string =>
    `jetstream { store_dir: "STORE" }\nauthorization { users: [{ user: ann, password: pw, permissions: ${permissions} }] }`;
  const ann = { user: "ann", password: "pw" };

  it("fail a request at once when they forbid it, or its answer", async () => {
    const muzzled = await serverWith(user("{ publish: { deny: closed }, subscribe: '>' }"));
    const deaf = await serverWith(user("{ publish: '>', subscribe: other }"));

    for (const [{ url }, subject] of [
      [muzzled, "closed"],
      [deaf, "open"],
    ] as const) {
      const connection = await connect({ servers: url, ...ann, name: "test", logger: silentLogger });
      onTestFinished(() => connection.close());
      await connection.flush();
      const asked = connection.request(subject, "", { timeoutMs: 60_000 });

      await expect(asked).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    }
  });

  it("tell a subscriber that it will hear nothing", async () => {
    const { url } = await serverWith(user("{ publish: '>', subscribe: '_INBOX.>' }"));
    const connection = await connect({ servers: url, ...ann, name: "test", logger: silentLogger });
    onTestFinished(() => connection.close());

    const refusal = await new Promise<Error>((resolve) =>
      connection.subscribe("secret.things", () => undefined, { onRefused: resolve }),
    );

    expect(refusal).toMatchObject({ code: "PERMISSION_DENIED", details: { subject: "secret.things" } });
  });

  it("end an orchestrator that may not use JetStream, rather than let it try for ever", async () => {
    const { url } = await serverWith(user("{ publish: { deny: '$JS.>' }, subscribe: '>' }"));

    const started = startOrchestrator({ servers: url, ...ann, logger: silentLogger });

    await expect(started).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });
});

it("takes a client, an agent and an orchestrator in with an nkey alike", async () => {
  const { seed, publicKey } = newNkey();
  const config = `jetstream { store_dir: "STORE" }\nauthorization { users: [{ nkey: ${publicKey} }] }`;
  const { url, file } = await serverWith(config, { "user.nk": seed });
  const options = { servers: url, nkeyFile: file("user.nk"), logger: silentLogger };

  const orchestrator = await startOrchestrator(options);
  onTestFinished(() => orchestrator.stop());
  await orchestrator.leading;
  const echo = agent("echo-1", { ...options, tasks: { echo: (_context, input) => Promise.resolve(input) } });
  await echo.start();
  onTestFinished(() => echo.stop());
  const client = await connectClient(options);
  onTestFinished(() => client.close());
  const { taskId } = await client.submit({ type: "echo", input: 7 });

  expect(await client.result(taskId)).toBe(7);
});
