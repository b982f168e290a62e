/** A brain as a browser sees it: server-sent events over real HTTP, cut off and resumed, and what it refuses. */
import { request } from "node:http";
import { describe, expect, it } from "vitest";
import { until } from "../../support/until.js";
import { get, handIn, oldWorker, useStreet } from "./street.js";

const street = useStreet();

interface Watching {
  readonly events: { id: string; name: string; data: Record<string, unknown> }[];
  readonly status: () => number;
  readonly ended: () => boolean;
  cut(): void;
}

/** A real client of HTTP that takes events as they come. */
function watch(url: string, lastEventId?: string): Watching {
  const events: Watching["events"] = [];
  let status = 0;
  let ended = false;
  let rest = "";
  const headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  const asked = request(url, { headers }, (response) => {
    status = response.statusCode ?? 0;
    response.setEncoding("utf8").on("data", (chunk: string) => {
      const frames = (rest + chunk).split("\n\n");
      rest = frames.pop() ?? "";
      for (const frame of frames) {
        const [, id, name, data] = /^id: (.*)\nevent: (.*)\ndata: (.*)$/.exec(frame) ?? [];
        if (id !== undefined && name !== undefined) events.push({ id, name, data: JSON.parse(data ?? "null") });
      }
    });
    response.once("close", () => {
      ended = true;
    });
  });
  asked.on("error", () => undefined);
  asked.end();
  return { events, status: () => status, ended: () => ended, cut: () => asked.destroy() };
}

describe("server-sent events", () => {
  it("shows each status as it comes and goes on where a browser was, at the next brain too", async () => {
    const blue = await street.brain("blue");
    const nats = await street.raw();
    const worker = await oldWorker(nats);
    await handIn(blue, { jobId: "watched", type: "deduce" });
    const delivery = await worker.deliveries.first("the job");
    const say = (state: string): void =>
      nats.publish("baker.jobs.status.watched", JSON.stringify({ jobId: "watched", state }));
    const first = watch(`${blue.url}/jobs/watched/events`);

    say("one");
    await until("it is shown while the job goes on", () => first.events.length === 1);
    say("two");
    await until("the second one too", () => first.events.length === 2);
    first.cut();
    say("three");
    const green = await street.brain("green");
    say("four");
    const second = watch(`${green.url}/jobs/watched/events`, first.events.at(-1)?.id);
    nats.publish("baker.jobs.result.watched", JSON.stringify({ jobId: "watched", status: "completed", output: 4 }));
    worker.acknowledge(delivery.reply);
    await until("the stream ends", () => second.ended());

    expect(first.events.map(({ data }) => data["state"])).toEqual(["one", "two"]);
    expect(second.events.map(({ name, data }) => [name, data["state"] ?? data["output"]])).toEqual([
      ["status", "three"],
      ["status", "four"],
      ["result", 4],
    ]);
    const third = watch(`${green.url}/jobs/watched/events`, second.events.at(-1)?.id);
    await until("a browser that has all is told not to come back", () => third.status() === 204);
  });

  it("shows a job of an old brain as well, also after its end", async () => {
    const brain = await street.brain();
    await street.worker("worker-1");
    const nats = await street.raw();
    nats.publish("baker.jobs.dispatch", JSON.stringify({ jobId: "foreign", input: "x" }));
    await until("it is known", async () => (await get(brain, "/jobs/foreign"))["state"] === "completed");

    const browser = watch(`${brain.url}/jobs/foreign/events`);

    await until("the stream ends", () => browser.ended());
    expect(browser.events.map(({ name }) => name)).toEqual(["status", "result"]);
    expect(await get(brain, "/jobs/foreign")).toMatchObject({ task: null, result: { output: "x" } });
  });
});

describe("the HTTP face", () => {
  it.each([
    ["a job that is no object", "POST", "/jobs", "[1]", 400, "INVALID_MESSAGE"],
    ["what is not JSON", "POST", "/jobs", "{", 400, "INVALID_MESSAGE"],
    ["an id that is no token", "POST", "/jobs", '{"jobId":"a.b"}', 400, "INVALID_MESSAGE"],
    [
      "a job that is too large",
      "POST",
      "/jobs",
      JSON.stringify({ input: "x".repeat(140_000) }),
      413,
      "PAYLOAD_TOO_LARGE",
    ],
    ["a job that nobody knows", "GET", "/jobs/nobody", undefined, 404, "NOT_FOUND"],
    ["its events", "GET", "/jobs/nobody/events", undefined, 404, "NOT_FOUND"],
    ["another path", "GET", "/elsewhere", undefined, 404, "NOT_FOUND"],
    ["a path that is not encoded", "GET", "/jobs/%E0%A4%A", undefined, 400, "INVALID_MESSAGE"],
    ["another method", "DELETE", "/jobs/nobody", undefined, 404, "NOT_FOUND"],
  ])("refuses %s", async (_, method, path, body, status, code) => {
    const brain = await street.standby("brain");

    const headers = { "content-type": "application/json" };
    const response = await fetch(`${brain.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });

    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { code } });
  });

  it("keeps of long statuses as many as fit, and the result", async () => {
    const brain = await street.brain();
    const nats = await street.raw();
    const status = (size: number) => JSON.stringify({ jobId: "wordy", state: "talking", blob: "x".repeat(size) });

    for (const size of [700_000, ...Array.from({ length: 9 }, () => 60_000)])
      nats.publish("baker.jobs.status.wordy", status(size));
    nats.publish("baker.jobs.result.wordy", JSON.stringify({ jobId: "wordy", output: 1 }));

    await until("the result is known", async () => (await get(brain, "/jobs/wordy"))["state"] === "completed");
    const { updates } = (await get(brain, "/jobs/wordy")) as { updates: { id: number }[] };
    expect(updates.at(-1)).toMatchObject({ id: 10 });
    expect(updates.length).toBeGreaterThan(5);
  });

  it("refuses a form of another site", async () => {
    const brain = await street.standby("brain");

    const response = await fetch(`${brain.url}/jobs`, { method: "POST", body: '{"jobId":"forged"}' });

    expect(response.status).toBe(415);
  });

  it("takes the same job again as the same, and refuses another one under its id", async () => {
    const brain = await street.brain();

    const first = await handIn(brain, { jobId: "again", input: 1 });
    const second = await handIn(brain, { jobId: "again", input: 1 });
    const other = await handIn(brain, { jobId: "again", input: 2 });

    expect([first["status"], second["status"], other["status"]]).toEqual([202, 202, 409]);
  });

  it("serves its page", async () => {
    const brain = await street.standby("brain");

    const page = await fetch(brain.url);

    expect(page.headers.get("content-type")).toContain("text/html");
    expect(await page.text()).toContain("<h1>Baker Street</h1>");
  });
});
