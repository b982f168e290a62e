/** What an answered submission survives, by what the server, the streams and the orchestrator say. */
import { expect, it } from "vitest";
import type { ServerSync } from "../../src/jetstream/provision.js";
import { startConfigured } from "../support/configured-nats.js";
import { freePort } from "../support/free-port.js";
import { codesOf, findingOf, givenOrchestrator, lookAt } from "./examined.js";

async function examined(sync: "always" | "2m", told: ServerSync, monitoring: "open" | "closed") {
  const port = await freePort();
  const http = monitoring === "open" ? `http: "127.0.0.1:${port}"` : "";
  await using server = await startConfigured(`${http}\njetstream { store_dir: "STORE", sync_interval: ${sync} }`);
  await using _orchestrator = await givenOrchestrator(server.url, {}, { serverSync: told });
  return await lookAt(server.url, { monitoringUrl: `http://127.0.0.1:${port}` });
}

it("is content with a server that syncs before it acknowledges", async () => {
  expect(codesOf(await examined("always", "always", "open"))).toEqual(["agents/none"]);
});

it("believes an orchestrator that knows, where nobody else can be asked", async () => {
  expect(codesOf(await examined("always", "always", "closed"))).toEqual(["agents/none"]);
});

it("sees that a server syncs although the orchestrator did not know", async () => {
  expect(codesOf(await examined("always", "unknown", "open"))).toEqual(["agents/none"]);
});

it("warns of a server that syncs now and then", async () => {
  expect(codesOf(await examined("2m", "interval", "open"))).toContain("durability/relaxed");
});

it("warns that nobody knows", async () => {
  expect(codesOf(await examined("2m", "unknown", "closed"))).toContain("durability/unverified");
});

it("says that an orchestrator promises more than the server keeps", async () => {
  const report = await examined("2m", "always", "open");

  expect(findingOf(report, "durability/overstated").details).toEqual({ claimed: "fsync", actual: "relaxed" });
});
