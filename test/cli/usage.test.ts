/** What the command line says to people, and to the shell, before any server is asked. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createProgram } from "../../src/cli/program.js";
import { perdure } from "./perdure.js";

const verbs = createProgram().commands.map((command) => command.name());

it.each(verbs)("explains %s", async (verb) => {
  const { status, stdout } = await perdure([verb, "--help"]);

  expect(status).toBe(0);
  expect(stdout).toContain(`Usage: perdure ${verb}`);
  expect(stdout).toContain("--namespace");
});

it.each<[sentence: string, args: readonly string[], said: string]>([
  ["suggests the verb that was meant", ["statsu"], "unknown command 'statsu' (Did you mean status?)"],
  ["suggests the option that was meant", ["ps", "--stat", "failed"], "unknown option '--stat' (Did you mean --state?)"],
  ["names the values an option takes", ["ps", "--state", "done"], "Allowed choices are waiting, queued"],
  ["wants a duration's unit", ["ps", "--timeout", "5"], "Give a number and its unit"],
  ["wants a port that exists", ["dev", "--nats-port", "70000"], "Give a port from 0"],
  ["wants a count", ["submit", "ocr", "--attempts", "-1"], "Give a whole number"],
  ["wants a limit the orchestrator takes", ["ps", "--limit", "1001"], "--limit is 1001 and may be 1 to 1000"],
  ["wants a type", ["submit"], "submit needs the task's type"],
  ["wants the id", ["show"], "missing required argument 'taskId'"],
  ["wants a namespace that fits a subject", ["ps", "--namespace", "A.B"], 'namespace "A.B" must match'],
  ["wants one input", ["submit", "ocr", "--input", "1", "--input-file", "x"], "cannot be used with option"],
  ["wants no task beside a batch", ["submit", "ocr", "--batch", "x"], 'leave out "ocr"'],
  [
    "wants no options of one task beside a batch",
    ["submit", "--batch", "x", "--id", "a"],
    "cannot be used with option",
  ],
  ["names a file it cannot read", ["submit", "ocr", "--input-file", "/no/such"], "cannot read /no/such"],
  ["says where JSON stops", ["submit", "ocr", "--input", '{"a": 1,}'], "line 1, column 9, and found }"],
  ["starts its own server", ["dev", "--server", "nats://elsewhere"], "leave out --server"],
  ["takes no context for its own server", ["dev", "--context", "prod"], "leave out --context"],
  ["wants one kind of credentials", ["ps", "--creds", "a", "--nkey", "b"], "cannot be used with option"],
  ["wants a context that exists", ["ps", "--context", "prod"], 'no file of a context "prod"; there is none'],
  ["names credentials it cannot read", ["ps", "--creds", "/no/such"], "cannot read credentials: ENOENT"],
  ["wants replicas that make a quorum", ["orchestrator", "--replicas", "2"], "Allowed choices are 1, 3, 5"],
  ["wants a port for HTTP", ["orchestrator", "--http-host", "::1"], "give --http-port as well"],
  ["wants an event to wait for", ["events", "--limit", "0"], "--limit is 0 and may be 1 or more"],
  ["names the events there are", ["events", "--type", "TASK_DONE"], "TASK_COMPLETED"],
  ["knows three shells", ["completion", "tcsh"], "Allowed choices are bash, zsh, fish"],
])("%s", async (_sentence, args, said) => {
  const { status, stdout, stderr } = await perdure(args);

  expect(stderr).toContain("perdure: USAGE: ");
  expect(stderr).toContain(said);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
});

it.each<[sentence: string, args: readonly string[], code: string, status: number]>([
  ["an option that does not exist", ["ps", "--jsn", "--json"], "USAGE", 2],
  ["two options that exclude each other", ["ps", "--json", "--jsonl"], "USAGE", 2],
  ["a value that cannot be", ["ps", "--jsonl", "--limit", "0"], "USAGE", 2],
  ["a server that is not there", ["ps", "--json", "--server", "nats://127.0.0.1:1"], "CONNECTION_FAILED", 4],
])("says in JSON, where that was asked for, what is wrong with %s", async (_what, args, code, expected) => {
  const { status, stdout, stderr } = await perdure(args);

  const [line = "", ...rest] = stderr.trimEnd().split("\n");
  expect(JSON.parse(line)).toEqual({ error: { code, message: expect.any(String), details: expect.any(Object) } });
  expect({ status, stdout, rest }).toEqual({ status: expected, stdout: "", rest: [] });
});

it.each<[sentence: string, batch: string, said: string]>([
  ["an array that is none", '[{"type":"ocr"},\n {"type" "ocr"}]', 'expected ":" at line 2, column 10'],
  ["a line that is none", '{"type":"ocr"}\n\n{"type":ocr}\n', "expected a value at line 3, column 9"],
  ["a misspelt field", '[{"type":"ocr"},{"typ":"ocr"}]', 'task 2 of standard input has a field "typ"'],
  ["a task that is none", "[3]", "task 1 of standard input is no JSON object"],
  ["nothing", "\n", "standard input holds no task"],
])("refuses a batch with %s", async (_sentence, batch, said) => {
  const { status, stderr } = await perdure(["submit", "--batch", "-"], { stdin: batch });

  expect(stderr).toContain(said);
  expect(status).toBe(2);
});

it("names the environment variable that is wrong, and takes an empty one as not set", async () => {
  const wrong = await perdure(["ps"], { environment: { PERDURE_NAMESPACE: "No Space" } });
  const empty = await perdure(["ps", "--server", "127.0.0.1:1"], { environment: { PERDURE_NAMESPACE: "" } });

  expect(wrong.stderr).toContain("environment variable PERDURE_NAMESPACE: must match");
  expect(wrong.status).toBe(2);
  expect(empty.status).toBe(4);
});

it("says in one sentence that there is no server, and what to do", async () => {
  const { status, stdout, stderr } = await perdure(["status"], { environment: { NATS_URL: "nats://127.0.0.1:1" } });

  expect(stderr).toMatch(
    /^perdure: CONNECTION_FAILED: Cannot connect to NATS at nats:\/\/127\.0\.0\.1:1: .+perdure dev.+\n$/,
  );
  expect({ status, stdout }).toEqual({ status: 4, stdout: "" });
});

it("prints the package's version", async () => {
  const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));

  expect(await perdure(["--version"])).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
});

it("loads neither schemas nor NATS to print its help", async () => {
  const folder = await mkdtemp(join(tmpdir(), "perdure-cli-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));

  // The list of scripts that a coverage report is about is the list of what was loaded.
  await perdure(["--help"], { environment: { NODE_V8_COVERAGE: folder } });

  const [report = ""] = await readdir(folder);
  const { result } = JSON.parse(await readFile(join(folder, report), "utf8")) as { result: readonly { url: string }[] };
  const packages = result.flatMap(({ url }) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []);
  expect([...new Set(packages)]).toEqual(["commander"]);
});
