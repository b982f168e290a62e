/**
 * One job by agents in two languages: texts are counted and summed in shell, their words are found in Python, a report
 * joins what both came to, and the shell has the last word. Starts everything it needs, and ends it.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectClient, type NewTask } from "perdure";
import { z } from "zod";
import { CheckedAgent } from "./checked-agent.js";
import { PerdureDev, packageFolder } from "./perdure-dev.js";
import { within } from "./within.js";

const namespace = "mcp";
const folder = join(packageFolder, "workflows", "any-language");
const documents: Readonly<Record<string, string>> = {
  readme: "README.md",
  contributing: "CONTRIBUTING.md",
  protocol: join("docs", "wire-protocol.md"),
};
const agents = {
  "python-1": ["python3", join(folder, "agent.py")],
  "shell-1": ["bash", join(folder, "agent.sh")],
};
const REGISTERED_MS = 20_000;
const DONE_MS = 60_000;

const Counted = z.object({ lines: z.number(), words: z.number(), bytes: z.number() });
const Summed = z.object({ sha256: z.string() });
const Words = z.object({ top: z.array(z.tuple([z.string(), z.number()])) });
const Report = z.object({ text: z.string() });

function tasksOf(texts: ReadonlyMap<string, string>): NewTask[] {
  const each = [...texts].flatMap(([name, text]): NewTask[] => [
    { taskId: `count-${name}`, type: "text-count", input: { text } },
    { taskId: `sum-${name}`, type: "text-sha256", input: { text } },
    { taskId: `words-${name}`, type: "text-words", input: { text, top: 3 } },
  ]);
  const dependencies = each.flatMap(({ taskId }) => taskId ?? []);
  return [
    ...each,
    { taskId: "report", type: "text-report", dependencies },
    { taskId: "sorted", type: "text-sort", dependencies: ["report"] },
    { taskId: "seal", type: "text-sha256", dependencies: ["sorted"] },
  ];
}

async function doJob(serverUrl: string, say: (line: string) => void): Promise<void> {
  const texts = new Map<string, string>();
  for (const [name, path] of Object.entries(documents)) {
    texts.set(name, await readFile(join(packageFolder, path), "utf8"));
  }
  const client = await connectClient({ servers: serverUrl, namespace });
  try {
    await client.submitAll(tasksOf(texts));
    const resultOf = async <T>(taskId: string, schema: z.ZodType<T>): Promise<T> => {
      const output = schema.parse(await client.result(taskId, { timeoutMs: DONE_MS }));
      const { type, agentId } = await client.get(taskId);
      say(`  ${taskId.padEnd(20)} ${type.padEnd(12)} ${agentId}`);
      return output;
    };
    for (const [name, text] of texts) {
      const { lines, words, bytes } = await resultOf(`count-${name}`, Counted);
      const { sha256 } = await resultOf(`sum-${name}`, Summed);
      const { top } = await resultOf(`words-${name}`, Words);
      assertSame(`the sum of ${name}`, sha256, sumOf(text));
      const often = top.map(([word, count]) => `${word} (${count})`).join(", ");
      say(`${documents[name]}: ${lines} lines, ${words} words, ${bytes} bytes; most often ${often}`);
    }
    await resultOf("report", Report);
    const sorted = await resultOf("sorted", Report);
    const { sha256 } = await resultOf("seal", Summed);
    assertSame("the seal of the report", sha256, sumOf(sorted.text));
    say(`The report of both has ${sorted.text.split("\n").length} lines and the seal ${sha256.slice(0, 16)}.`);
  } finally {
    await client.close();
  }
}

const sumOf = (text: string): string => createHash("sha256").update(text).digest("hex");

function assertSame(what: string, fromAgent: string, expected: string): void {
  if (fromAgent !== expected) throw new Error(`${what} is ${fromAgent} and should be ${expected}`);
}

async function run(undo: (() => unknown)[]): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const storeFolder = await mkdtemp(join(tmpdir(), "perdure-any-language-"));
  undo.push(() => rm(storeFolder, { recursive: true, force: true }));
  const dev = await PerdureDev.start({ storeFolder, namespace, port: 0 });
  undo.push(() => dev.stop());
  say(`perdure dev is ready: nats-server and orchestrator on ${dev.url}`);
  const started: [agentId: string, agent: CheckedAgent][] = [];
  for (const [agentId, command] of Object.entries(agents)) {
    const args = ["--id", agentId, "--server", dev.url, "--namespace", namespace, "--give-up-after", "30"];
    const agent = new CheckedAgent({ command: [...command, ...args], url: dev.url, namespace });
    agent.start();
    started.push([agentId, agent]);
    undo.push(() => agent.stop());
  }
  for (const [agentId, agent] of started) {
    const isRegistered = () => (agent.lastWords.includes(`registered ${agentId}`) ? "registered" : null);
    const seen = await within(REGISTERED_MS, () => agent.end ?? isRegistered());
    if (seen !== "registered") throw new Error(`${agentId} did not register: ${seen ?? ""}\n${agent.lastWords}`);
  }
  await doJob(dev.url, say);
}

const undo: (() => unknown)[] = [];
const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.once(signal, () => reject(new Error(`stopped by ${signal}`)));
});
try {
  await Promise.race([run(undo), interrupted]);
} catch (fault) {
  process.stderr.write(`any-language: ${fault instanceof Error ? fault.message : String(fault)}\n`);
  process.exitCode = 1;
} finally {
  for (const step of undo.reverse()) await step();
}
process.exit();
