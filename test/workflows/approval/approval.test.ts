/** A decision by a person, on a real engine: rejected ones, the deadline, reminders that no crash repeats. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type Client, connectClient } from "../../../src/client/client.js";
import { UpdateFailedError } from "../../../src/client/message-failed.js";
import { silentLogger } from "../../../src/logger.js";
import { startLocalSystem } from "../../../src/testing/local-system.js";
import { replay } from "../../../src/testing/replay.js";
import { worker } from "../../../src/worker/worker.js";
import { approval } from "../../../workflows/approval/workflows.js";
import { untilHolds } from "../../support/until.js";

let client: Client;
const reminded: string[] = [];
const startWorker = (url: string) => worker({ servers: url, workflows: [approval], logger: silentLogger });
let url = "";
let current: Awaited<ReturnType<typeof startWorker>>;
let stop: () => Promise<void> = async () => undefined;

afterAll(() => stop());

beforeAll(async () => {
  const log = vi.spyOn(console, "log").mockImplementation((line: string) => {
    reminded.push(line);
  });
  const system = await startLocalSystem({ logger: silentLogger, heartbeatMs: 300 });
  ({ url } = system);
  current = await startWorker(url);
  client = await connectClient({ servers: url });
  stop = async () => {
    await client.close();
    await current.stop();
    await system.stop();
    log.mockRestore();
  };
});

const request = { by: "bo", approver: "ada", remindEveryMs: 60_000, deadlineMs: 600_000 };

it("takes comments and the approver's decision, and nobody else's", async () => {
  const run = await client.start(approval, { ...request, what: "a chair" });
  await run.signal("comment", { by: "bo", text: "the old one is broken" });

  const rejected = await run.update("decide", { approved: true, by: "bo" }).catch((fault: unknown) => fault);
  expect(rejected).toBeInstanceOf(UpdateFailedError);
  expect(rejected).toMatchObject({ stage: "rejected", failure: { message: "only ada may decide, not bo" } });
  expect(await run.query("state")).toEqual({ reminders: 0, comments: ["bo: the old one is broken"], decided: false });
  expect(await run.update("decide", { approved: true, by: "ada" })).toEqual({ reminders: 0 });

  expect(await run.result()).toEqual({ approved: true, by: "ada", reminders: 0 });
  const history = await run.history();
  // What was rejected left no trace.
  expect(history.filter(({ type }) => type === "WorkflowExecutionUpdateAccepted")).toHaveLength(1);
  expect(await replay({ workflows: [approval], history })).toEqual({ ok: true });
});

it("gives up at its deadline", async () => {
  const run = await client.start(approval, { ...request, what: "a desk", remindEveryMs: 400, deadlineMs: 1_000 });

  expect(await run.result()).toMatchObject({ approved: false, by: "deadline" });
});

it("reminds once each time, although its worker goes away in between", async () => {
  const run = await client.start(approval, { ...request, what: "a lamp", remindEveryMs: 300 });
  const remindedOf = () => reminded.filter((line) => line.includes("a lamp"));
  await untilHolds("the first reminder", remindedOf, ({ length }) => length >= 1);
  await current.stop();
  current = await startWorker(url);
  await untilHolds("another reminder", remindedOf, ({ length }) => length >= 3);

  await run.update("decide", { approved: false, by: "ada" });
  const { reminders, approved } = await run.result();

  expect(approved).toBe(false);
  expect(remindedOf()).toEqual(
    Array.from({ length: reminders }, (_, index) => `to ada: "a lamp" waits for you (${index + 1})`),
  );
});
