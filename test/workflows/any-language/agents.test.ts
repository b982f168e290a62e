/** The agents in Python and in shell, as real processes with a real orchestrator. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { useNats } from "../../support/nats.js";
import { RawNats } from "../../support/raw-nats.js";
import { until, untilHolds } from "../../support/until.js";
import { expectInterpreters, python, shell } from "./agent-process.js";
import { System } from "./system.js";

const nats = useNats();
beforeAll(expectInterpreters);

/** What a hand-written reader of JSON stumbles over. */
const awkward: Readonly<Record<string, unknown>> = {
  null: null,
  zero: 0,
  "an empty text": "",
  false: false,
  "an empty list": [],
  "an empty object": {},
  "numbers of all kinds": [-0.5, 1e21, 1.5e-7, 9_007_199_254_740_991, -1],
  "a text of brackets": '{[}],:{"a":[1]}',
  "a quote and a backslash": '"\\" \\\\ \\" \\u0041 \\n',
  "only backslashes": "\\\\\\",
  "line breaks and tabs": "a\nb\r\nc\td\b\f",
  "control characters": "\u0001\u001f\u007f",
  umlauts: "ünïcödé — ß",
  "an emoji and other planes": "🙂 𝒳 漢字",
  "names of fields": { taskId: "fake", token: "fake", task: { taskId: "fake", attempt: 99, input: "fake" } },
  "names of fields in a text": '{"task":{"taskId":"fake","token":"fake"}}',
  "keys that need quoting": { 'a"b': 1, "c\\d": 2, "e f": 3, "": 4, "g.h": 5, "ü\n": 6, $x: 7, "[0]": 8, "`id`": 9 },
  "deep nesting": JSON.parse(`${"[".repeat(150)}1${"]".repeat(150)}`),
  "what a shell would run": "$(touch /tmp/x) `id` ; rm -rf / | & ' \" * ~ !",
  "100 KB of text": 'x"\\\n'.repeat(15_000),
  "100 KB of values": Array.from({ length: 4_000 }, (_, index) => ({ taskId: `${index}`, n: index })),
};

describe.each([python, shell])("the agent in $name", (language) => {
  it("gives back any input as it was submitted", { timeout: 90_000 }, async () => {
    // The shell needs a while for the largest, on a loaded machine more than a short heartbeat allows.
    await using system = await System.start(nats, 3_000);
    await system.agent(language, "k-1");
    const tasks = Object.values(awkward).map((input) => ({ type: "text-echo", input }));
    const handles = await system.client.submitAll(tasks);
    for (const [index, { taskId }] of handles.entries()) {
      const { state, attempt, output } = await system.ended(taskId);
      expect({ state, attempt, output }).toEqual({ state: "completed", attempt: 1, output: tasks[index]?.input });
    }
  });

  it("fails a task whose input is wrong for good, and goes on", async () => {
    await using system = await System.start(nats);
    await system.agent(language, "k-1");
    for (const input of ["seconds", null, [], {}, { seconds: "3" }, { seconds: -1 }, { seconds: null }]) {
      const { state, attempt, error } = await system.done({ type: "nap", input });
      expect({ input, state, attempt, error }).toMatchObject({
        input,
        ...{ state: "failed", attempt: 1, error: { type: "TASK_INPUT_INVALID", nonRetryable: true } },
      });
    }
    expect(await system.done({ type: "nap", input: { seconds: 0 } })).toMatchObject({ output: { slept: 0 } });
  });

  it("says which types it knows where it is given another", async () => {
    await using system = await System.start(nats);
    await system.agent(language, "k-1");
    const task = { type: "unheard-of", requiredCapabilities: ["nap"], retry: { maximumAttempts: 1 } };
    expect(await system.done(task)).toMatchObject({ state: "failed", error: { type: "TASK_TYPE_UNKNOWN" } });
  });

  it("lives on whatever is published on its subjects", async () => {
    await using system = await System.start(nats);
    const agent = await system.agent(language, "k-1");
    await using stranger = await RawNats.connect(nats.url);
    const bodies = [
      "",
      "{",
      "[]",
      "null",
      "0",
      '"',
      '{"task":{}}',
      '{"status":{"state":7}}',
      '{"task":{"taskId":"$(id)"}}',
    ];
    const binary = [Buffer.alloc(64), Buffer.from([0xff, 0xfe, 0x22]), "x".repeat(1_000_000), "\r\n\r\nMSG a 1 5\r\n"];
    for (const body of [...bodies, ...binary]) {
      for (const kind of ["task", "status"]) stranger.publish(`${system.namespace}.agent.k-1.${kind}`, body);
    }
    await stranger.flush();
    expect(await system.done({ type: "nap", input: { seconds: 0 } })).toMatchObject({ state: "completed", attempt: 1 });
    expect(agent.printed).toContain("ignored");
    expect(agent.printed.split("registered as").length).toBe(2);
  });

  it("does several tasks at a time, no more than it has room for", async () => {
    await using system = await System.start(nats);
    await system.agent(language, "k-1", "--slots", "3");
    const tasks = Array.from({ length: 6 }, () => ({ type: "nap", input: { seconds: 1 } }));
    const handles = await system.client.submitAll(tasks);
    await untilHolds(
      "three are running",
      () => system.client.list({ states: ["running"] }),
      ({ total }) => total === 3,
    );
    const ended = await Promise.all(handles.map(({ taskId }) => system.ended(taskId)));
    expect(ended.map(({ state, attempt }) => [state, attempt])).toEqual(tasks.map(() => ["completed", 1]));
    const span =
      Math.max(...ended.map((task) => task.endedAt ?? 0)) - Math.min(...ended.map((task) => task.submittedAt));
    expect(span).toBeGreaterThanOrEqual(2_000);
  });

  it("stops a task that is cancelled, and has room for the next", async () => {
    await using system = await System.start(nats);
    await system.agent(language, "k-1", "--slots", "1");
    const { taskId } = await system.client.submit({ type: "nap", input: { seconds: 60 } });
    await system.untilRunning(taskId, "k-1");
    const askedAt = performance.now();
    await system.client.cancel(taskId);
    expect(await system.ended(taskId)).toMatchObject({ state: "cancelled" });
    // By its own word: without one it would have taken five seconds.
    expect(performance.now() - askedAt).toBeLessThan(4_500);
    expect(await system.done({ type: "nap", input: { seconds: 0 } })).toMatchObject({ state: "completed" });
  });

  it("stops a task that ran out of time, and does the next attempt", async () => {
    await using system = await System.start(nats);
    await system.agent(language, "k-1", "--slots", "1");
    const retry = { maximumAttempts: 2, initialIntervalMs: 1 };
    const task = await system.done({ type: "nap", input: { seconds: 60 }, timeoutMs: 1_000, retry });
    expect(task).toMatchObject({ state: "timed_out", attempt: 2, error: { type: "TASK_TIMED_OUT" } });
    expect(await system.done({ type: "nap", input: { seconds: 0 } })).toMatchObject({ state: "completed" });
  });

  it("loses its work to another agent when it is killed", { timeout: 60_000 }, async () => {
    await using system = await System.start(nats);
    const doomed = await system.agent(language, "k-1");
    const { taskId } = await system.client.submit(
      { type: "nap", input: { seconds: 2 }, retry: { initialIntervalMs: 1 } },
      { preferredAgentId: "k-1" },
    );
    await system.untilRunning(taskId, "k-1");
    await system.agent(language === python ? shell : python, "k-2");
    await doomed.kill();
    expect(await system.ended(taskId)).toMatchObject({ state: "completed", attempt: 2, agentId: "k-2" });
  });

  it("finishes what it has when it is told to end, says goodbye and ends", async () => {
    await using system = await System.start(nats);
    const agent = await system.agent(language, "k-1");
    const { taskId } = await system.client.submit({ type: "nap", input: { seconds: 2 } });
    await system.untilRunning(taskId, "k-1");
    agent.send("SIGTERM");
    await until("it drains", async () => (await system.stateOf("k-1")) === "draining");
    const { taskId: later } = await system.client.submit({ type: "nap", input: { seconds: 0 } });
    expect(await agent.ended()).toBe(0);
    expect(await system.ended(taskId)).toMatchObject({ state: "completed", attempt: 1 });
    await until("it has said goodbye", async () => (await system.stateOf("k-1")) === "gone");
    expect(await system.client.get(later)).toMatchObject({ state: "queued", attempt: 0 });
  });

  it("hands back what takes too long when it is told to end", async () => {
    await using system = await System.start(nats);
    const agent = await system.agent(language, "k-1", "--drain-timeout", "1");
    const { taskId } = await system.client.submit({ type: "nap", input: { seconds: 60 } });
    await system.untilRunning(taskId, "k-1");
    agent.send("SIGTERM");
    expect(await agent.ended()).toBe(0);
    expect(await system.client.get(taskId)).toMatchObject({ state: "queued", attempt: 0 });
  });

  it("goes on after nats-server was killed and started again, with what it had in hand", {
    timeout: 60_000,
  }, async () => {
    await using system = await System.start(nats);
    const agent = await system.agent(language, "k-1");
    const { taskId } = await system.client.submit({ type: "nap", input: { seconds: 1 } });
    await system.untilRunning(taskId, "k-1");
    await nats.kill();
    await until("it has noticed", () => agent.printed.includes("no connection"));
    await nats.restart();
    expect(await system.ended(taskId)).toMatchObject({ state: "completed", attempt: 1 });
    expect(await system.done({ type: "nap", input: { seconds: 0 } })).toMatchObject({ state: "completed", attempt: 1 });
  });

  it("goes on under another orchestrator, with what it had in hand", async () => {
    await using system = await System.start(nats);
    const agent = await system.agent(language, "k-1");
    const { taskId } = await system.client.submit({ type: "nap", input: { seconds: 2 } });
    await system.untilRunning(taskId, "k-1");
    await system.restartOrchestrator();
    expect(await system.ended(taskId)).toMatchObject({ state: "completed", attempt: 1 });
    expect(agent.printed.split("registered as").length).toBe(2);
  });

  it("registers again when it was given up, and works on", { timeout: 60_000 }, async () => {
    await using system = await System.start(nats);
    const agent = await system.agent(language, "k-1");
    agent.send("SIGSTOP");
    await until("it is lost", async () => (await system.stateOf("k-1")) === "lost", { deadlineMs: 40_000 });
    agent.send("SIGCONT");
    await agent.registered(2);
    expect(agent.printed).toContain("registered as incarnation 2");
    expect(await system.done({ type: "nap", input: { seconds: 0 } })).toMatchObject({ state: "completed" });
  });

  it("ends when another process registers under its id, which does its work", async () => {
    await using system = await System.start(nats);
    const first = await system.agent(language, "k-1");
    const { taskId } = await system.client.submit({ type: "nap", input: { seconds: 1 } });
    await system.untilRunning(taskId, "k-1");
    const second = await system.agent(language, "k-1");
    expect(await first.ended()).toBe(1);
    expect(await system.ended(taskId)).toMatchObject({ state: "completed", attempt: 2 });
    expect(second.printed.split("registered as").length).toBe(2);
  });
});

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

describe("the agent in shell", () => {
  it("reads a text to the byte, whatever it is made of", { timeout: 60_000 }, async () => {
    await using system = await System.start(nats);
    await system.agent(shell, "k-1");
    const texts = [
      ...Object.values(awkward).filter((input) => typeof input === "string"),
      ...fc.sample(fc.string({ unit: "binary" }), 40),
      ...fc.sample(fc.string({ unit: fc.constantFrom('"', "\\", "{", "\n", "ü", "🙂", "u0041", "n") }), 40),
    ];
    const handles = await system.client.submitAll(texts.map((text) => ({ type: "text-sha256", input: { text } })));
    for (const [index, { taskId }] of handles.entries()) {
      const text = texts[index] ?? "";
      expect({ text, output: (await system.ended(taskId)).output }).toEqual({ text, output: { sha256: sha256(text) } });
    }
  });

  it("writes a text to the byte", { timeout: 60_000 }, async () => {
    await using system = await System.start(nats);
    await system.agent(shell, "k-1");
    const line = fc.string({
      unit: fc.constantFrom('"', "\\", "/", "\t", "\u0001", "\u001b", "\u007f", "ü", "🙂", "&", "%s"),
    });
    const texts = fc.sample(fc.array(line, { minLength: 1 }), 40).map((lines) => lines.join("\n"));
    const handles = await system.client.submitAll(texts.map((text) => ({ type: "text-sort", input: { text } })));
    for (const [index, { taskId }] of handles.entries()) {
      const text = texts[index] ?? "";
      expect({ text, output: (await system.ended(taskId)).output }).toEqual({ text, output: { text: sorted(text) } });
    }
  });
});

/** As `sort` in the C locale: by bytes. */
function sorted(text: string): string {
  const lines = text.replace(/\n$/, "").split("\n");
  return lines
    .map((line) => Buffer.from(line))
    .sort(Buffer.compare)
    .map(String)
    .join("\n")
    .replace(/\n+$/, "");
}
