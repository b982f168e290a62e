/** Accounts without JetStream, without room, and users without rights. */
import { expect, it } from "vitest";
import { startWithoutJetStream } from "../support/bare-nats.js";
import { startConfigured } from "../support/configured-nats.js";
import { codesOf, findingOf, givenConnection, givenOrchestrator, lookAt } from "./examined.js";

it("says that the server has no JetStream", async () => {
  await using server = await startWithoutJetStream();

  expect(codesOf(await lookAt(server.url))).toContain("account/jetstream-off");
});

const twoAccounts = `
jetstream { store_dir: "STORE" }
accounts {
  APP { jetstream: enabled, users: [{ user: app, password: p }] }
  EDGE { users: [{ user: edge, password: p }] }
  $SYS { users: [{ user: admin, password: p }] }
}`;

it("tells an account without JetStream from a server without it", async () => {
  await using server = await startConfigured(twoAccounts);

  const report = await lookAt(`nats://edge:p@127.0.0.1:${server.port}`);

  expect(findingOf(report, "account/jetstream-off").summary).toContain("for this account");
});

it("recognises the system account, where nothing of Perdure can be", async () => {
  await using server = await startConfigured(twoAccounts);

  expect(codesOf(await lookAt(`nats://admin:p@127.0.0.1:${server.port}`))).toContain("account/is-system");
});

const limited = (limits: string) => `
jetstream { store_dir: "STORE" }
accounts { APP { jetstream { ${limits} }, users: [{ user: app, password: p }] } }`;

it("says that there is no room for our streams", async () => {
  await using server = await startConfigured(limited("max_streams: 3"));

  const report = await lookAt(`nats://app:p@127.0.0.1:${server.port}`);

  expect(findingOf(report, "account/limit-reached").details).toEqual({ streams: 0, streamsMax: 3, absent: 8 });
});

it("says that there is no room for another consumer", async () => {
  await using server = await startConfigured(limited("max_consumers: 1"));
  const url = `nats://app:p@127.0.0.1:${server.port}`;
  const connection = await givenConnection(url);
  const ask = (subject: string, body: object) =>
    connection.request(subject, JSON.stringify(body), { timeoutMs: 1_000 });
  await ask("$JS.API.STREAM.CREATE.THEIRS", { name: "THEIRS", subjects: ["theirs"] });
  await ask("$JS.API.CONSUMER.CREATE.THEIRS.one", { stream_name: "THEIRS", config: { name: "one" } });

  const report = await lookAt(url);

  expect(findingOf(report, "account/limit-reached").details).toEqual({ consumers: 1, consumersMax: 1 });
});

const withRights = (publish: string) => `
jetstream { store_dir: "STORE" }
authorization { users: [
  { user: all, password: p },
  { user: some, password: p, permissions: { publish: [${publish}], subscribe: "_INBOX.>" } }
] }`;

it("says what a client's rights leave unchecked", async () => {
  await using server = await startConfigured(withRights('"mcp.orchestrator.>"'));
  await using _orchestrator = await givenOrchestrator(`nats://all:p@127.0.0.1:${server.port}`, {});

  const report = await lookAt(`nats://some:p@127.0.0.1:${server.port}`);

  expect(codesOf(report)).toContain("account/rights-missing");
  expect(report.verdict).toBe("warning");
  expect(report.checks.find(({ check }) => check === "journal")).toMatchObject({ status: "skipped" });
  expect(report.checks.find(({ check }) => check === "orchestrator")?.findings).toEqual([]);
});

it("says that a user may not talk to an orchestrator of this namespace", async () => {
  await using server = await startConfigured(withRights('"lab.orchestrator.>"'));
  await using _orchestrator = await givenOrchestrator(`nats://all:p@127.0.0.1:${server.port}`, {});

  const report = await lookAt(`nats://some:p@127.0.0.1:${server.port}`);

  expect(codesOf(report)).toContain("account/no-rights");
});
