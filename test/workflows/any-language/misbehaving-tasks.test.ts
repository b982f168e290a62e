/** Whoever copies an agent writes other tasks into it. Whatever these do wrong becomes a result, and the agent lives on. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { useNats } from "../../support/nats.js";
import { expectInterpreters, type Language, python, shell } from "./agent-process.js";
import { System } from "./system.js";

const nats = useNats();
let folder = "";
beforeAll(async () => {
  expectInterpreters();
  folder = await mkdtemp(join(tmpdir(), "perdure-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Outcome = Readonly<Record<string, unknown>>;
const failing = (type: string, message: RegExp): Outcome => ({
  state: "failed",
  error: { type, message: expect.stringMatching(message) },
});

const inPython: Readonly<Record<string, readonly [code: string, outcome: Outcome]>> = {
  raises: ["raise KeyError('x')", failing("KeyError", /x/)],
  exits: ["raise SystemExit(3)", failing("SystemExit", /3/)],
  recurses: ["return (lambda g: g(g))(lambda g: g(g))", failing("RecursionError", /./)],
  talks: ["raise ValueError('ü' * 3_000_000)", failing("ValueError", /^ü{8192}$/)],
  "returns-nothing": ["return None", { state: "completed", output: null }],
  "returns-nan": ["return float('nan')", failing("ValueError", /./)],
  "returns-a-set": ["return {1, 2}", failing("TypeError", /./)],
  "returns-too-much": ["return 'x' * 131_071", failing("PAYLOAD_TOO_LARGE", /131073 bytes/)],
  "returns-just-enough": ["return 'ü' * 65_535", { state: "completed", output: "ü".repeat(65_535) }],
  "reports-a-set": ["task.progress({1, 2}); return 1", failing("TypeError", /./)],
  "reports-too-much": ["task.progress('x' * 2_000_000); return 1", failing("PAYLOAD_TOO_LARGE", /./)],
  "fails-by-name": ["raise agent.TaskError('Torn', 'page is torn')", failing("Torn", /^page is torn$/)],
};

const inShell: Readonly<Record<string, readonly [code: string, outcome: Outcome]>> = {
  fails: ["echo 'page is torn' >&2; return 3", failing("TASK_FAILED", /^page is torn$/)],
  "refuses-input": ["echo no >&2; return 2", failing("TASK_INPUT_INVALID", /^no$/)],
  exits: ["exit 9", failing("TASK_FAILED", /^ended with status 9$/)],
  "kills-itself": ["kill -9 $BASHPID", failing("TASK_FAILED", /^ended with status 137$/)],
  "uses-what-is-not-there": ['echo "$nothing"', failing("TASK_FAILED", /unbound variable/)],
  talks: ["printf 'ü%.0s' {1..3000} >&2; return 1", failing("TASK_FAILED", /^ü{500}$/)],
  "talks-in-pieces": ["printf a >&2; printf 'ü%.0s' {1..3000} >&2; return 1", failing("TASK_FAILED", /^aü{499}$/)],
  "talks-nonsense": ["printf '\\xff\\xfe' >&2; return 1", failing("TASK_FAILED", /^ended with status 1$/)],
  "returns-nothing": ["true", failing("TASK_OUTPUT_INVALID", /./)],
  "returns-no-json": ["echo hello", failing("TASK_OUTPUT_INVALID", /./)],
  "returns-half": ["printf '{\"a\":1'", failing("TASK_OUTPUT_INVALID", /./)],
  "returns-two": ["echo 1 2", failing("TASK_OUTPUT_INVALID", /./)],
  "returns-an-open-text": ["printf '\"a'", failing("TASK_OUTPUT_INVALID", /./)],
  "returns-a-raw-line-break": ["printf '\"a\\nb\"'", failing("TASK_OUTPUT_INVALID", /./)],
  "returns-a-raw-tab": ["printf '\"a\\tb\"'", failing("TASK_OUTPUT_INVALID", /./)],
  "returns-no-utf8": ["printf '\"\\xff\"'", failing("TASK_OUTPUT_INVALID", /./)],
  "returns-too-much": ["printf '\"%0131071d\"' 0", failing("PAYLOAD_TOO_LARGE", /./)],
  "returns-just-enough": ["printf '\"%0131070d\"' 0", { state: "completed", output: "0".repeat(131_070) }],
  "returns-blanks-around": ["printf '\\n [ 1 , 2 ] \\n'", { state: "completed", output: [1, 2] }],
  "reads-the-terminal": ["cat; printf 1", { state: "completed", output: 1 }],
};

async function pythonAgent(): Promise<Language> {
  const functions = Object.entries(inPython).map(([type, [code]]) => {
    return `def f(task):\n    ${code}\nagent.TASKS["${type}"] = f\n`;
  });
  const script = join(folder, "misbehaving.py");
  const path = `import sys\nsys.path.insert(0, ${JSON.stringify(dirname(python.script))})\nsys.dont_write_bytecode = True\n`;
  await writeFile(script, `${path}import agent\nagent.TASKS.clear()\n${functions.join("")}agent.main()\n`);
  return { ...python, script };
}

async function shellAgent(): Promise<Language> {
  const original = await readFile(shell.script, "utf8");
  const functions = Object.entries(inShell).map(([type, [code]]) => `${type.replaceAll("-", "_")}() { ${code}; }\n`);
  const types = `task_types=(${Object.keys(inShell).join(" ")})\n`;
  const script = join(folder, "misbehaving.sh");
  await writeFile(
    script,
    original.replace(/^task_types=.*\n/m, () => `${types}${functions.join("")}`),
  );
  return { ...shell, script };
}

it.each([
  ["Python", pythonAgent, inPython],
  ["shell", shellAgent, inShell],
] as const)("makes a result of whatever a task in %s does", { timeout: 60_000 }, async (_, write, tasks) => {
  await using system = await System.start(nats);
  const agent = await system.agent(await write(), "k-1");
  const submitted = Object.keys(tasks).map((type) => ({ taskId: type, type, retry: { maximumAttempts: 1 } }));
  await system.client.submitAll(submitted);
  for (const [type, [, outcome]] of Object.entries(tasks)) {
    const { state, output, error } = await system.ended(type);
    const { type: failure, message } = error ?? {};
    const seen = error === undefined ? { state, output } : { state, error: { type: failure, message } };
    expect({ type, ...seen }).toEqual({ type, ...outcome });
  }
  expect(agent.printed.split("registered as")).toHaveLength(2);
});
