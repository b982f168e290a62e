/** The verbs of workflows, run as processes against `perdure dev --workflows`. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connectClient } from "../../src/client/client.js";
import { until, untilSome } from "../support/until.js";
import { type Dev, startDev, stopDev } from "./dev-process.js";
import { type Ended, perdure, type RunOptions, startPerdure } from "./perdure.js";
import { givenModule, greetings } from "./workflow-fixture.js";

let folder = "";
let dev: Dev;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "perdure-cli-"));
  await givenModule(folder, "greetings.workflows.mjs", greetings);
  const hello = new URL("../../dist/workflows/hello/workflows.js", import.meta.url).pathname;
  dev = await startDev(join(folder, "store"), ["--workflows", `${folder}/*.workflows.mjs`, hello]);
});

afterAll(async () => {
  await stopDev(dev);
  await rm(folder, { recursive: true, force: true });
});

const environment = () => ({ NATS_URL: dev.natsUrl });
const run = (args: readonly string[], options: RunOptions = {}): Promise<Ended> =>
  perdure(args, { ...options, environment: environment() });
const own = (name: string): string => `${name}-${randomBytes(4).toString("hex")}`;

async function givenGreeting(): Promise<string> {
  const id = own("g");
  expect(await run(["run", "greet", "--id", id, "--detach"])).toEqual({ status: 0, stdout: `${id}\n`, stderr: "" });
  return id;
}

it("runs a workflow to its end, tells what happens and prints the output", async () => {
  const id = own("h");

  const { status, stdout, stderr } = await run(["run", "hello", "--id", id, "--input", '"Ada"']);

  expect({ status, stdout }).toEqual({ status: 0, stdout: '"Hello, Ada!"\n' });
  expect(stderr).toBe(
    [
      `started workflow ${id}`,
      'hello started with "Ada"',
      "#1 step greet",
      '#1 completed with "Hello, Ada!"',
      "#2 timer of 1000 ms",
      "#2 timer fired",
    ]
      .map((line) => `perdure: ${line}\n`)
      .join(""),
  );
});

it("prints the end of a run as JSON, and tells the shell of a failure", async () => {
  const json = await run(["run", "fails", "--json"]);
  const text = await run(["run", "fails"]);

  expect(json.status).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({
    type: "workflow:fails",
    state: "failed",
    error: { type: "BadLuck" },
  });
  expect(text).toMatchObject({ status: 1, stdout: "" });
  expect(text.stderr).toMatch(/\nperdure: BadLuck: workflow \S+ failed: no luck \(perdure history \S+\)\n$/);
});

it("gives up looking on after --timeout while the workflow goes on, and says for what it waits", async () => {
  const id = own("s");

  const { status, stdout, stderr } = await run(["run", "sleeps", "--id", id, "--input", "60000", "--timeout", "5s"]);

  expect({ status, stdout }).toEqual({ status: 5, stdout: "" });
  expect(stderr).toMatch(/\nperdure: workflow \S+ is running: waits for a timer that fires in [\d.]+ s\n/);
  expect(stderr).toContain(`perdure: REQUEST_TIMED_OUT: workflow ${id} did not end within 5000 ms and is running`);
  expect(JSON.parse((await run(["show", id, "--json"])).stdout)).toMatchObject({ state: "running" });
});

it.each<NodeJS.Signals>(["SIGINT", "SIGTERM"])("says on %s that the workflow goes on", async (signal) => {
  const id = own("s");
  await using running = startPerdure(["run", "sleeps", "--id", id, "--input", "60000"], { environment: environment() });
  await until("it follows", () => running.errors().includes("#2 timer"));

  running.kill(signal);
  const { status } = await running.ended;

  // Ended by the signal itself, which a shell shows as 128 and its number.
  expect(status).toBeNull();
  expect(running.errors()).toContain(`perdure: workflow ${id} goes on; perdure show ${id} says how it is\n`);
  expect(JSON.parse((await run(["show", id, "--json"])).stdout)).toMatchObject({ state: "running" });
});

it("sends signals, asks, and changes a workflow", async () => {
  const id = await givenGreeting();

  expect(await run(["query", id, "greeting"])).toEqual({ status: 0, stdout: '"Hello"\n', stderr: "" });
  const update = ["update", id, "setGreeting", "--input", '"Good day"', "--id", "u-1"];
  expect(await run(update)).toEqual({ status: 0, stdout: "1\n", stderr: "" });
  // The same id is the same update.
  expect(JSON.parse((await run([...update, "--json"])).stdout)).toEqual({ workflowId: id, output: 1 });
  expect(await run(["signal", id, "name", "--input-file", "-"], { stdin: '"Ada"' })).toEqual({
    status: 0,
    stdout: "",
    stderr: "",
  });
  const ended = await run(["run", "greet", "--id", id, "--json"]);
  expect(JSON.parse(ended.stdout)).toMatchObject({ taskId: id, state: "completed", output: "Good day, Ada!" });
  // Of a closed run as well.
  expect((await run(["query", id, "greeting"])).stdout).toBe('"Good day"\n');
});

it.each<[what: string, status: number, args: (id: string) => readonly string[], said: RegExp]>([
  ["a query nobody handles", 6, (id) => ["query", id, "nope"], /REFUSED_BY_WORKFLOW: .*no handler.*has: greeting/],
  ["a query that throws", 6, (id) => ["query", id, "broken"], /REFUSED_BY_WORKFLOW: .*failed: nobody knows/],
  ["a rejected update", 6, (id) => ["update", id, "setGreeting", "--input", '""'], /was rejected: it is empty/],
  ["an update that fails", 1, (id) => ["update", id, "breakIt"], /REFUSED_BY_WORKFLOW: .*failed: it broke/],
  ["a signal to nobody", 3, () => ["signal", "nobody", "name"], /NOT_FOUND: no workflow nobody/],
  ["an update of nobody", 3, () => ["update", "nobody", "x"], /NOT_FOUND: no workflow nobody/],
  ["a query of nobody", 3, () => ["query", "nobody", "x"], /NOT_FOUND: no workflow nobody/],
  ["the history of nobody", 3, () => ["history", "nobody"], /NOT_FOUND: no run of workflow nobody/],
  ["the end of nobody", 3, () => ["terminate", "nobody"], /NOT_FOUND: no workflow nobody/],
  ["the reset of nobody", 3, () => ["reset", "nobody"], /NOT_FOUND: no run of workflow nobody/],
  ["an id that is none", 6, () => ["signal", "a.b", "name"], /INVALID_ID: "a.b"/],
  ["a name that is none", 6, (id) => ["signal", id, ""], /INVALID_\w+: .*name/],
  ["input that is no JSON", 2, (id) => ["signal", id, "name", "--input", "{"], /USAGE: --input is not JSON: .*line 1/],
  ["another input under the same id", 6, (id) => ["run", "greet", "--id", id, "--input", "2"], /ID_CONFLICT: /],
])("says of %s what is wrong, with exit status %i", async (_what, status, args, said) => {
  const id = await givenGreeting();

  const ended = await run(args(id));

  expect(ended.stderr).toMatch(said);
  expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1);
  expect(ended).toMatchObject({ status, stdout: "" });
});

it("says who is missing where nobody answers a query or an update", async () => {
  const id = own("n");
  await run(["run", "unheard-of", "--id", id, "--detach"]);

  const query = await run(["query", id, "x", "--timeout", "1s"]);
  const update = await run(["update", id, "x", "--timeout", "1s", "--id", "u-1"]);

  for (const ended of [query, update]) {
    expect(ended).toMatchObject({ status: 5, stdout: "" });
    expect(ended.stderr).toMatch(/^perdure: REQUEST_TIMED_OUT: .*no agent has capability workflow:unheard-of/);
  }
  expect(update.stderr).toContain("Ask again with --id u-1");
});

it("shows a workflow with its run, and in a list with what it waits for", async () => {
  const id = await givenGreeting();
  const { run: shownRun } = JSON.parse((await run(["show", id, "--json"])).stdout);

  const shown = await run(["show", id]);
  const listed = await run(["ps", "--type", "workflow:greet", "--state", "running"]);

  expect(shown.stdout).toMatch(new RegExp(`^workflow +${id}$`, "m"));
  expect(shown.stdout).toMatch(/^reason +waits for a signal, an update or a cancellation$/m);
  expect(shown.stdout).toMatch(new RegExp(`^run +${shownRun.runId}$`, "m"));
  expect(shown.stdout).toMatch(/^history +\d+ events$/m);
  expect(shown.stdout).toMatch(/^worker +dev-worker$/m);
  expect(listed.stdout).toMatch(
    new RegExp(`^${id} +workflow:greet +running +normal +1 .*waits for a signal, an update or a cancellation$`, "m"),
  );
});

it("finds workflows by their search attributes, which it shows, and says what it cannot look for", async () => {
  const [id, other, customer] = [own("s"), own("s"), own("ann")];
  const client = await connectClient({ servers: dev.natsUrl });
  for (const [workflowId, floor] of [
    [id, 3],
    [other, "3"],
  ] as const) {
    await client.start("unheard-of", null, { workflowId, searchAttributes: { customer, floor, tags: ["red"] } });
  }
  await client.close();

  const [found, shown, wrong] = await Promise.all([
    run(["ps", "--search", `customer=${customer}`, "tags=red", "--search", "floor=3", "--jsonl"]),
    run(["show", id]),
    run(["ps", "--search", "customer"]),
  ]);

  expect(JSON.parse(found.stdout).taskId).toBe(id);
  expect(shown.stdout).toMatch(
    new RegExp(`^search attributes\n  {\n    "customer": "${customer}",\n    "floor": 3,`, "m"),
  );
  expect(wrong).toMatchObject({ status: 2, stdout: "" });
  expect(wrong.stderr).toContain('--search cannot be used: "customer" is not of the form name=value');
});

it("cancels and terminates workflows, each by itself", async () => {
  const [cancelled, terminated] = [await givenGreeting(), await givenGreeting()];

  const cancel = await run(["cancel", cancelled]);
  const terminate = await run(["terminate", "nobody", terminated, "--reason", "enough of it"]);
  const ends = await Promise.all([cancelled, terminated].map((id) => run(["run", "greet", "--id", id, "--json"])));

  expect(cancel.stdout).toMatch(new RegExp(`^${cancelled} (running; its code is told|cancelled)`));
  expect(terminate).toMatchObject({ status: 3, stdout: `${terminated} terminated\n` });
  expect(ends.map(({ status }) => status)).toEqual([1, 1]);
  expect(ends.map(({ stdout }) => JSON.parse(stdout).state)).toEqual(["cancelled", "terminated"]);
  expect((await run(["history", terminated])).stdout).toMatch(/terminated: enough of it\n$/);
});

it("resets an ended workflow to a point that its history shows, and says what came of it", async () => {
  const id = await givenGreeting();
  await run(["signal", id, "name", "--input", '"Ada"']);
  expect((await run(["run", "greet", "--id", id])).stdout).toContain("Ada");

  const [, eventId = ""] = /^ *(\d+) .* workflow task completed by /m.exec(
    (await run(["history", id, "--workflow-tasks"])).stdout,
  ) ?? [""];
  const reset = await run(["reset", id, "--event", eventId, "--reapply", "none", "--reason", "once more"]);
  const [, runId = ""] = /goes on in run (\S+)\n$/.exec(reset.stdout) ?? [];

  expect(reset).toMatchObject({ status: 0, stderr: "" });
  expect((await run(["history", id])).stdout).toMatch(new RegExp(`reset from run \\S+ to run ${runId}: once more\n`));
  expect(JSON.parse((await run(["show", id, "--json"])).stdout)).toMatchObject({ state: "running", run: { runId } });
  expect(await run(["reset", id, "--event", "1"])).toMatchObject({ status: 6, stdout: "" });
  expect(await run(["reset", id, "--first", "--last"])).toMatchObject({ status: 2, stdout: "" });
});

it("replays a recorded history against the code, and says where they differ", async () => {
  const id = own("s");
  await run(["run", "sleeps", "--id", id, "--input", "1"]);
  const recorded = await run(["history", id, "--json"]);
  const file = join(folder, "history.json");
  await writeFile(file, recorded.stdout);
  const changed = await givenModule(
    folder,
    "changed.mjs",
    greetings.replaceAll('ctx.step("begin"', 'ctx.step("start"'),
  );

  const same = await run(["replay", file, join(folder, "greetings.workflows.mjs")]);
  const fromStdin = await run(["replay", "-", join(folder, "greetings.workflows.mjs"), "--json"], {
    stdin: recorded.stdout,
  });
  const differs = await run(["replay", file, changed]);
  const ofNone = await run([
    "replay",
    file,
    new URL("../../dist/workflows/hello/workflows.js", import.meta.url).pathname,
  ]);
  const noHistory = await run(["replay", "-", changed], { stdin: "{}" });

  expect(same).toMatchObject({ status: 0, stderr: "", stdout: expect.stringContaining("does what the history says") });
  expect(JSON.parse(fromStdin.stdout)).toEqual({ ok: true, events: JSON.parse(recorded.stdout).events.length });
  expect(differs).toMatchObject({ status: 1, stdout: "" });
  expect(differs.stderr).toMatch(/^perdure: NONDETERMINISM: .*begin.*start|^perdure: NONDETERMINISM: .*start.*begin/);
  expect(ofNone).toMatchObject({ status: 2, stderr: expect.stringContaining('workflow "sleeps"') });
  expect(noHistory).toMatchObject({ status: 2, stderr: expect.stringContaining("standard input has no history") });
});

it("prints a history one event a line, with the same run for --run", async () => {
  const id = await givenGreeting();
  const { run: shownRun } = JSON.parse((await run(["show", id, "--json"])).stdout);

  const lines = await run(["history", id, "--run", shownRun.runId, "--jsonl"]);

  const events = lines.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(events[0]).toMatchObject({ eventId: 1, type: "WorkflowExecutionStarted" });
  expect(events.map(({ eventId }) => eventId)).toEqual(events.map((_, index) => index + 1));
  expect((await run(["history", id, "--run", "r-nobody"])).status).toBe(3);
});

it("has another worker go on with the runs of one that is killed, while somebody looks on", async () => {
  const module = await givenModule(
    folder,
    "marathon.mjs",
    `export const marathon = workflow("marathon", {}, async (ctx) => {
      for (let lap = 1; lap <= 6; lap += 1) {
        await ctx.step("lap-" + lap, () => process.pid);
        await ctx.sleep(300);
      }
      return "done";
    });`,
  );
  const start = () => startPerdure(["worker", module, "--log-level", "warn"], { environment: environment() });
  await using first = start();
  await until("the first worker is there", () => first.errors().includes("Ctrl-C drains it"));
  const id = own("m");
  await using following = startPerdure(["run", "marathon", "--id", id], { environment: environment() });
  await until("it is on its way", () => following.errors().includes("step lap-2"));

  first.kill("SIGKILL");
  await using second = start();
  const ended = await following.ended;

  expect(ended).toMatchObject({ status: 0, stdout: '"done"' });
  const { events } = JSON.parse((await run(["history", id, "--json"])).stdout) as {
    events: { type: string; output?: unknown }[];
  };
  const pids = events.filter(({ type }) => type === "StepCompleted").map(({ output }) => output);
  expect(pids).toHaveLength(6);
  expect(new Set(pids)).toEqual(new Set([first.pid, second.pid]));
  // Ctrl-C lets it go in order.
  second.kill("SIGINT");
  expect(await untilSome("it ended", async () => (await second.ended).status)).toBe(0);
});
