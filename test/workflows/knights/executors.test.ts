/** The shipped executors over the shipped samples, and over files that are not what they should be. */
import { cp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { sampleDataFolder } from "../../../workflows/knights/data-file.js";
import type { Executor } from "../../../workflows/knights/executor.js";
import { executorsOver } from "../../../workflows/knights/executors.js";
import { readLedger } from "../../../workflows/knights/finance.js";
import { infraExecutor } from "../../../workflows/knights/infra.js";
import { passagesOf, search } from "../../../workflows/knights/research.js";
import { securityExecutor } from "../../../workflows/knights/security.js";
import { givenLog, givenTask, temporaryFolder } from "./given-task.js";

async function resultOf(executor: Executor | undefined, task = "What is to be done first?"): Promise<string> {
  if (executor === undefined) throw new Error("there is no such executor");
  const { signal } = new AbortController();
  const { result, ...spent } = await executor.execute(givenTask({ task }), { signal, log: givenLog().log });
  expect(spent).toEqual({ cost: 0, tokens: { input: 0, output: 0 }, model: "none" });
  return result;
}

const shipped = executorsOver(sampleDataFolder);
const today = () => new Date("2026-11-21T06:00:00Z");

it("briefs on the sample feed: what is attacked here first, then what else is here, then the rest", async () => {
  const result = await resultOf(securityExecutor(sampleDataFolder, today));

  expect(result).toContain("# Security briefing of 2026-11-21");
  expect(result).toContain("42 advisories read, 12 of them seen in attacks.");
  expect(result).toMatch(/\n1\. \*\*left-padder\*\* \(2\.1\.0 in label-printer\) has no fix yet: .*, now: it is being/);
  expect(result).toMatch(/\n2\. \*\*aiohttp\*\* \(3\.9\.1 in image-proxy\) goes to 3\.9\.2, now: it is being attacked/);
  const ranked = [...result.matchAll(/^\| \d+ \|.*\| (\S[^|]*) \|$/gm)].map(([, here]) => here !== "no");
  expect(ranked).toEqual(ranked.toSorted((a, b) => Number(b) - Number(a)));
  // Fixed long ago here.
  expect(result).not.toMatch(/\*\*(log4j-core|lodash|ws|runc)\*\*/);
});

it("briefs on the packages that a task names, and on no other", async () => {
  const result = await resultOf(securityExecutor(sampleDataFolder, today), "Are we safe from log4j-core, or axios?");

  expect(result).toContain("2 advisories read");
  expect(result).toContain("**axios**");
  expect(result).toMatch(
    /\| 2 \| CVE-2021-44228 \| log4j-core \| critical \(10\.0\) \| active \| \d+ d \| 19\.0 \| no \|/,
  );
});

it("says what this machine has in use", async () => {
  const result = await resultOf(infraExecutor);

  expect(result).toMatch(/^# \S+, up [\d.]+ h/);
  expect(result).toMatch(/\| Memory \| \d+ % of [\d.]+ GiB in use \|/);
  expect(result).toMatch(/\| Load \| [\d.]+, [\d.]+, [\d.]+ on \d+ processors \|/);
  expect(result).toMatch(/\| Disk of \/ \| \d+ % of \d+ GiB in use \|/);
});

it("holds the last month of the sample ledger against its budget", async () => {
  const result = await resultOf(shipped["finance"]);

  expect(result).toContain("# Spending in 2026-10");
  expect(result).toContain("1033.90 EUR in 8 entries; over budget: electricity, hardware.");
  expect(result).toContain("| hosting | 414.40 EUR | 420.00 EUR | 318.40 EUR |");
  expect(result).toContain("- 2026-10-13 a disk shelf: 349.00 EUR");
});

it("finds what the sample library says on a question", async () => {
  const result = await resultOf(shipped["research"], "How does a consumer's lag tell us to scale?");

  expect(result).toMatch(/\n## Lag \(streams\.md\)\n\n> The lag of a consumer is the number of messages that wait/);
  expect(await resultOf(shipped["research"], "zeppelin")).toContain("has a word of the question");
});

it("gives a rare word more weight than a frequent one, and finds plurals", () => {
  const passages = passagesOf("a.md", "# Servers\n\nStart the server.\n\nStop the server.\n\nBackups of a server.");

  expect(search(passages, "a backup of the servers").map(({ text }) => text)).toEqual([
    "Backups of a server.",
    "Start the server.",
    "Stop the server.",
  ]);
});

it.each([
  ["security", "advisories.json", null, /advisories\.json cannot be read: ENOENT/],
  ["security", "advisories.json", "{", /advisories\.json is not JSON/],
  [
    "security",
    "inventory.json",
    '{"packages":[{}]}',
    /inventory\.json is not what it should be: packages\.0\.ecosystem/,
  ],
  ["finance", "ledger.csv", "when,what\n", /ledger\.csv begins with "when,what", not date,category,amount,text/],
  ["finance", "ledger.csv", "date,category,amount,text\n2026-01-01,a,1.234,b", /ledger\.csv line 2: amount: must be/],
])("says for %s what is wrong with %s", async (domain, file, content, sentence) => {
  const folder = await temporaryFolder();
  await cp(sampleDataFolder, folder, { recursive: true });
  await rm(join(folder, file));
  if (content !== null) await writeFile(join(folder, file), content);

  await expect(resultOf(executorsOver(folder)[domain])).rejects.toThrow(sentence);
});

it("reads an amount to the cent, and a text with commas", () => {
  expect(readLedger("date,category,amount,text\r\n2026-01-01,food,0.29,a, b\r\n", "x")).toEqual([
    { date: "2026-01-01", category: "food", amount: "0.29", cents: 29, text: "a, b" },
  ]);
});

it.each(["security", "infra", "finance", "research"])("stops with %s when it is aborted", async (domain) => {
  const executing = shipped[domain]?.execute(givenTask(), { signal: AbortSignal.abort(), log: givenLog().log });

  await expect(executing).rejects.toMatchObject({ name: "AbortError" });
});
