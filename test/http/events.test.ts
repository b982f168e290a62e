/** What happens in a real system, as its readers hear it. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { SystemEventMessage } from "../../src/protocol/system-message.js";
import { useNats } from "../support/nats.js";
import { until } from "../support/until.js";
import { errorOf, HttpSystem } from "./given-http.js";
import { EventReader, type Frame } from "./raw-http.js";

const nats = useNats();
let system: HttpSystem;

beforeAll(async () => {
  system = await HttpSystem.start(nats.url);
});
afterAll(() => system[Symbol.asyncDispose]());

const namesOf = (frames: readonly Frame[]) => frames.map(({ event }) => event);

it("tells the life of a task, each event as the wire has it", async () => {
  await using reader = await EventReader.open(system.url, "/v1/events?taskId=t-1");
  const agent = await system.engine.agent("k-1", { capabilities: ["ocr"] });
  await system.submitted({ taskId: "other", type: "translate" });
  await system.submitted({ taskId: "t-1", type: "ocr" });
  agent.complete(await agent.nextTask(), "read");

  const { id, data } = await reader.frame("TASK_COMPLETED");

  expect(namesOf(reader.frames)).toEqual(["TASK_SUBMITTED", "TASK_COMPLETED"]);
  expect(SystemEventMessage.parse(data)).toMatchObject({
    messageId: id,
    eventType: "TASK_COMPLETED",
    payload: { taskId: "t-1", agentId: "k-1", attempt: 1 },
  });
});

it("tells each reader what it asked for, and stops for one that leaves", async () => {
  await using failures = await EventReader.open(
    system.url,
    "/v1/events?eventType=TASK_FAILED&eventType=TASK_CANCELLED",
  );
  await using ofAgent = await EventReader.open(system.url, "/v1/events?agentId=k-2");
  await using all = await EventReader.open(system.url);
  const leaver = await EventReader.open(system.url);
  await leaver[Symbol.asyncDispose]();

  await system.engine.agent("k-2", { capabilities: ["scan"] });
  const taskId = await system.submitted({ type: "translate" });
  await system.post(`/v1/tasks/${taskId}/cancel`);
  await Promise.all([failures.frame("TASK_CANCELLED"), ofAgent.frame("AGENT_REGISTERED"), all.frame("TASK_CANCELLED")]);

  expect(namesOf(failures.frames)).toEqual(["TASK_CANCELLED"]);
  expect(namesOf(ofAgent.frames)).toEqual(["AGENT_REGISTERED"]);
  expect(namesOf(all.frames)).toEqual(["AGENT_REGISTERED", "TASK_SUBMITTED", "TASK_CANCELLED"]);
});

it("subscribes once for all readers, and no longer than somebody reads", async () => {
  await using system = await HttpSystem.start(nats.url);
  const { client } = system;
  const subscribe = client.onEvent.bind(client);
  let open = 0;
  client.onEvent = (listener) => {
    open += 1;
    const subscription = subscribe(listener);
    return {
      unsubscribe: () => {
        open -= 1;
        subscription.unsubscribe();
      },
    };
  };
  const readers = [await EventReader.open(system.url), await EventReader.open(system.url)];
  expect(open).toBe(1);
  await Promise.all(readers.map((reader) => reader[Symbol.asyncDispose]()));

  await until("nobody subscribes any more", () => open === 0);
});

it("tells a browser that comes back that it cannot be given what it missed", async () => {
  await using reader = await EventReader.open(system.url, "/v1/events", ["Last-Event-ID: 5"]);

  expect(await reader.frame("EVENTS_MISSED")).toMatchObject({ data: { reason: "RESUMED" } });
});

it.each(["?eventType=TASK_EATEN", "?taskId=a.b", "?since=5"])("refuses the filter %s", async (query) => {
  const answer = await system.get(`/v1/events${query}`);

  expect({ status: answer.status, code: errorOf(answer)["code"] }).toEqual({
    status: 400,
    code: expect.stringMatching(/^INVALID_(MESSAGE|ID)$/),
  });
});
