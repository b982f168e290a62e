import { expect, test } from "vitest";
import { parseServerUrl } from "../../src/jetstream/server-url.js";

test.each([
  ["nats://127.0.0.1:4222", { host: "127.0.0.1:4222", shown: "nats://127.0.0.1:4222" }],
  ["broker", { host: "broker:4222", shown: "nats://broker:4222" }],
  ["broker:80", { host: "broker:80", shown: "nats://broker:80" }],
  ["nats://[::1]:4300", { host: "[::1]:4300", shown: "nats://[::1]:4300" }],
  [
    "nats://ann:s%40crt@broker:4222",
    { host: "broker:4222", shown: "nats://broker:4222", user: "ann", password: "s@crt" },
  ],
  ["tls://broker", { host: "broker:4222", shown: "tls://broker:4222", transport: "tls" }],
  ["nats://t0ken@broker", { host: "broker:4222", shown: "nats://broker:4222", token: "t0ken" }],
])("%s is taken apart", (url, parts) => {
  expect(parseServerUrl(url)).toEqual(parts);
});

test.each([
  "nats://ann:secret@:x y",
  "ann:secret@ho st",
  "nats://ann:sec/secret@broker",
  "nats://ann:%zzsecret@broker",
  "wss://ann:secret@broker",
  "nats://ann:secret@",
])("an address that is none is refused without showing its credentials: %s", (url) => {
  const refused = expect.objectContaining({
    code: "CONNECTION_FAILED",
    message: expect.not.stringContaining("secret"),
  });
  expect(() => parseServerUrl(url)).toThrow(refused);
  expect(() => parseServerUrl(url)).not.toThrow(expect.objectContaining({ cause: expect.anything() }));
});
