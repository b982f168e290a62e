/** `perdure dead-letters` as somebody uses it whose fleet sent what nobody could read. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { connectFleet, type Fleet } from "../../src/bridges/index.js";
import { defineTopology } from "../../src/jetstream/define-topology.js";
import { silentLogger } from "../../src/logger.js";
import { until } from "../support/until.js";
import { type Dev, startDev, stopDev } from "./dev-process.js";
import { perdure } from "./perdure.js";

let folder: string;
let dev: Dev;
let fleet: Fleet;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "perdure-dead-letters-"));
  dev = await startDev(folder);
  fleet = await connectFleet({
    servers: dev.natsUrl,
    name: "fleet",
    logger: silentLogger,
    topology: defineTopology("mail", {
      streams: { MAIL: { subjects: ["mail.>"], retention: "workqueue" } },
      consumers: { postman: { stream: "MAIL" } },
    }),
  });
}, 60_000);

afterAll(async () => {
  await fleet.close();
  await stopDev(dev);
  await rm(folder, { recursive: true, force: true });
});

const deadLetters = (...args: readonly string[]) => perdure(["--server", dev.natsUrl, "dead-letters", ...args]);

it("lists, shows, replays and drops what nobody could read, and the status counts it", async () => {
  expect((await deadLetters("list")).stdout).toBe("There are no dead letters.\n");
  let isStrict = true;
  const read: string[] = [];
  const Letter = z.object({ to: z.string() }).refine(() => !isStrict, "nobody reads anything today");
  const consumption = await fleet.consume({
    stream: "MAIL",
    consumer: "postman",
    schema: Letter,
    ack: "onHandled",
    handle: ({ body }) => void read.push(body.to),
  });
  for (const to of ["a", "b", "c"]) await fleet.publish(`mail.${to}`, { to });
  await until("all three are dead letters", async () => (await fleet.deadLetters.count()) === 3);

  const listed = await deadLetters("list");
  expect(listed.stdout).toMatch(/undecodable.*MAIL\/postman.*mail\.a/);
  const { deadLetters: all } = JSON.parse((await deadLetters("list", "--json", "--stream", "MAIL")).stdout);
  expect(all).toMatchObject([{ id: 1, sequence: 1 }, { id: 2 }, { id: 3, subject: "mail.c", data: '{"to":"c"}' }]);
  expect((await deadLetters("show", "2")).stdout).toMatch(/nobody reads anything today[\s\S]*\{"to":"b"\}/);
  await until("the status counts them", async () => {
    const { stdout } = await perdure(["--server", dev.natsUrl, "status"]);
    return stdout.includes("3 kept");
  });

  expect((await deadLetters("drop", "2")).stdout).toBe("2 dropped, of mail.b\n");
  isStrict = false;
  expect(await deadLetters("replay", "--all", "--stream", "MAIL")).toMatchObject({
    status: 0,
    stdout: "1 replayed to mail.a\n3 replayed to mail.c\n",
  });
  await until("they are read now", () => read.length === 2);
  expect(read).toEqual(["a", "c"]);
  await consumption.stop();
}, 60_000);

it("shows what lies there and is no dead letter, refuses to replay it last of all, and drops it", async () => {
  const odd = await connectFleet({
    servers: dev.natsUrl,
    namespace: "odd",
    name: "fleet",
    logger: silentLogger,
    topology: defineTopology("odd mail", {
      streams: { ODD_MAIL: { subjects: ["oddmail.>"], retention: "workqueue" } },
      consumers: { postman: { stream: "ODD_MAIL" } },
    }),
  });
  const ofOdd = (...args: readonly string[]) =>
    perdure(["--server", dev.natsUrl, "--namespace", "odd", "dead-letters", ...args]);
  try {
    const consumption = await odd.consume({
      stream: "ODD_MAIL",
      consumer: "postman",
      schema: z.string(),
      ack: "onHandled",
      handle: () => undefined,
    });
    await odd.publish("odd.deadletter.strange", "dislike");
    await odd.publish("oddmail.d", { to: "d" });
    await until("both are there", async () => (await odd.deadLetters.count()) === 2);
    await consumption.stop();

    expect((await ofOdd("list")).stdout).toMatch(/1 +unreadable .*odd\.deadletter\.strange/);
    expect((await ofOdd("show", "1")).stdout).toMatch(/cannot be read as a dead letter[\s\S]*"dislike"/);
    const replayed = await ofOdd("replay", "--all");
    expect(replayed.stdout).toBe("2 replayed to oddmail.d\n");
    expect(replayed.stderr).toMatch(/^perdure: STORE_DAMAGED: Dead letter 1 /);
    expect((await ofOdd("drop", "1")).stdout).toBe("1 dropped, of odd.deadletter.strange\n");
    expect(await odd.deadLetters.count()).toBe(0);
  } finally {
    await odd.close();
  }
}, 60_000);

it.each([
  ["no number", ["replay"], 2, "USAGE"],
  ["what is no number", ["drop", "x"], 2, "USAGE"],
  ["what is not there", ["show", "99"], 3, "NOT_FOUND"],
  ["another verb", ["bury", "1"], 2, "USAGE"],
])("refuses %s with one sentence", async (_what, args, status, code) => {
  const ended = await deadLetters(...args);
  expect(ended).toMatchObject({ status, stdout: "" });
  expect(ended.stderr).toMatch(new RegExp(`^perdure: ${code}: `));
});
