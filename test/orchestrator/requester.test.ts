import { expect, it } from "vitest";
import { provenName } from "../../src/orchestrator/requester.js";

const messageWith = (header: string | undefined) => ({
  subject: "mcp.agent.register",
  data: new Uint8Array(),
  headers: {},
  header: (name: string) => (name === "Nats-Request-Info" ? header : undefined),
});

it.each<[what: string, header: string | undefined, name: string | undefined]>([
  ["a user's name", '{"acc":"EDGE","user":"camera-1","name":"whatever the client calls itself"}', "camera-1"],
  ["a key, which is no name", `{"acc":"EDGE","user":"U${"A".repeat(55)}"}`, undefined],
  ["a connection without a user", '{"acc":"EDGE"}', undefined],
  ["no header", undefined, undefined],
  ["a header that is not the server's", "camera-1", undefined],
  ["another", "[3]", undefined],
])("knows %s", (_what, header, name) => {
  expect(provenName(messageWith(header))).toBe(name);
});
