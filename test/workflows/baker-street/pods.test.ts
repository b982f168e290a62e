/** Task pods: local processes, launched by an old brain on a raw socket or by a step of a job. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { processesNaming } from "../../nats-server/processes.js";
import { until } from "../../support/until.js";
import { bodyOf, handIn, traceIdOf, useStreet } from "./street.js";

const street = useStreet();
const node = (code: string): readonly string[] => [process.execPath, "--eval", code];
const mark = `pod-${process.pid}`;
const programs = {
  double: node("const n = JSON.parse(fs.readFileSync(0)); console.log(JSON.stringify(n * 2))"),
  environment: node("console.log(JSON.stringify(process.env))"),
  chatty: node("process.stdout.write('x'.repeat(1_000_000)); console.error('y'.repeat(100_000))"),
  failing: node("console.error('no such clue'); process.exit(3)"),
  sleeping: node(`'${mark}'; process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)`),
  missing: ["/no/such/program"],
  // Takes six bytes each in JSON.
  nulls: node("process.stdout.write('\\0'.repeat(256 * 1024))"),
  parent: node(
    `child_process.spawn(process.execPath, ['-e', "'${mark}-left'; setInterval(() => {}, 1000)"]); process.exit(0)`,
  ),
};
const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async function launch(body: Readonly<Record<string, unknown>>) {
  const nats = await street.raw();
  const results = nats.subscribe(`baker.tasks.result.${String(body["taskId"])}`);
  const statuses = nats.subscribe(`baker.tasks.status.${String(body["taskId"])}`);
  nats.publish("baker.tasks.launch", JSON.stringify(body), { headers: { traceparent } });
  return { nats, results, statuses };
}

it("launches a program for an old brain and tells it how it goes and ends", async () => {
  await street.pods(programs);

  const { results, statuses } = await launch({ taskId: "p1", program: "double", input: 21 });

  const result = await results.first("the result");
  expect(bodyOf(result)).toMatchObject({ taskId: "p1", status: "completed", output: 42, exitCode: 0 });
  expect(statuses.received.map((message) => bodyOf(message)["state"])).toEqual(["launched", "running"]);
  expect(traceIdOf(result.headers.get("traceparent"))).toBe(traceIdOf(traceparent));
});

it("gives a program the trace and its id, and nothing of the launcher's own environment but the path", async () => {
  await street.pods(programs);

  const { results } = await launch({ taskId: "p2", program: "environment" });

  const { output } = bodyOf(await results.first("the result")) as { output: Record<string, string> };
  expect(Object.keys(output).sort()).toEqual(["BAKER_TASK_ID", "PATH", "TRACEPARENT"]);
  expect(traceIdOf(output["TRACEPARENT"])).toBe(traceIdOf(traceparent));
});

it.each([
  ["fails", { program: "failing" }, { exitCode: 3, stderr: "no such clue\n", error: { type: "POD_FAILED" } }],
  ["takes too long", { program: "sleeping", timeoutMs: 200 }, { error: { type: "POD_TIMED_OUT" } }],
  ["is not there", { program: "missing" }, { error: { type: "POD_NOT_STARTED" } }],
  ["nobody named", { program: "rm -rf /" }, { error: { type: "PROGRAM_UNKNOWN" } }],
  ["nobody can read", { program: 5 }, { error: { type: "LAUNCH_INVALID" } }],
  ["has a time that is none", { program: "double", timeoutMs: "soon" }, { error: { type: "LAUNCH_INVALID" } }],
  ["is called as something inherited", { program: "constructor" }, { error: { type: "PROGRAM_UNKNOWN" } }],
])("gives an error as the result of a program that %s", async (what, asked, told) => {
  await street.pods(programs);

  const { results } = await launch({ taskId: `bad-${what.replaceAll(" ", "-")}`, ...asked });

  expect(bodyOf(await results.first("the result"))).toMatchObject({ status: "failed", ...told });
});

it("gives an error as the result of a pod that was killed", async () => {
  await street.pods(programs);
  const { results, statuses } = await launch({ taskId: "victim", program: "sleeping" });
  const running = await statuses.first("that it runs", (message) => bodyOf(message)["state"] === "running");

  process.kill(Number(bodyOf(running)["pid"]), "SIGKILL");

  expect(bodyOf(await results.first("the result"))).toMatchObject({
    status: "failed",
    error: { type: "POD_KILLED", message: "ended by SIGKILL" },
  });
});

it("keeps the beginning of what a program prints without end", async () => {
  await street.pods(programs);

  const { results } = await launch({ taskId: "chatty", program: "chatty" });

  const result = bodyOf(await results.first("the result"));
  expect(result).toMatchObject({ status: "completed", truncated: true });
  expect(String(result["output"])).toHaveLength(256 * 1024);
  expect(String(result["stderr"])).toHaveLength(16 * 1024);
});

it("runs a task once that is launched twice, and answers both times", async () => {
  await street.pods(programs);
  const { nats, results } = await launch({ taskId: "twice", program: "double", input: 1 });

  nats.publish("baker.tasks.launch", JSON.stringify({ taskId: "twice", program: "double", input: 1 }));

  await until("it was answered twice", () => results.received.length === 2);
  const [first, second] = results.received.map((message) => bodyOf(message));
  expect(second).toEqual(first);
});

it("ends its pods with itself, and tells so", async () => {
  const launcher = await street.pods(programs);
  const { results, statuses } = await launch({ taskId: "orphan", program: "sleeping" });
  await statuses.first("that it runs", (message) => bodyOf(message)["state"] === "running");

  await launcher.stop();

  expect(bodyOf(await results.first("the result"))).toMatchObject({ error: { type: "POD_STOPPED" } });
  expect(await processesNaming(mark)).toEqual([]);
});

it("ends with a program what that left behind", async () => {
  await street.pods(programs);

  const { results } = await launch({ taskId: "parent", program: "parent" });

  expect(bodyOf(await results.first("the result"))).toMatchObject({ status: "completed", exitCode: 0 });
  await until("nothing is left of it", async () => (await processesNaming(`${mark}-left`)).length === 0);
});

it("sends what it can of an output that no message could hold", async () => {
  await street.pods(programs);

  const { results } = await launch({ taskId: "nulls", program: "nulls" });

  expect(bodyOf(await results.first("the result"))).toMatchObject({ status: "completed", truncated: true });
});

it("leaves no pod behind when the launcher is killed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "perdure-pods-"));
  const file = join(folder, "programs.json");
  await writeFile(file, JSON.stringify(programs));
  const launcher = await street.process("pods", "victim", "--programs", file);
  await rm(folder, { recursive: true });
  const { statuses } = await launch({ taskId: "left", program: "sleeping" });
  await statuses.first("that it runs", (message) => bodyOf(message)["state"] === "running");

  await launcher.kill();

  await until("it is ended", async () => (await processesNaming(mark)).length === 0);
});

it("does a step of a job", async () => {
  const brain = await street.brain();
  await street.worker("worker-1");
  await street.pods(programs);
  const steps = [{ pod: "double", input: 3 }, { pod: "double" }];

  await handIn(brain, { jobId: "in-steps", type: "steps", input: { steps } });

  expect(await street.client.wait("dispatch-in-steps")).toMatchObject({ state: "completed", output: 12 });
});
