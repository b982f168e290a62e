import { expect, it } from "vitest";
import type { z } from "zod";
import { AgentId, CapabilityName, Namespace, TaskId } from "../../src/protocol/ids.js";

type Case = readonly [text: string, verdict: "good" | "bad"];

const ids: readonly Case[] = [
  ["t", "good"],
  ["7", "good"],
  ["T-1_b", "good"],
  ["3f2b8c1e-6c1f-4d1b-9d0a-0c5f6a7b8c9d", "good"],
  ["a".repeat(128), "good"],
  ["", "bad"],
  ["a".repeat(129), "bad"],
  ["-a", "bad"],
  ["_a", "bad"],
  ["a.b", "bad"],
  ["a b", "bad"],
  ["a*", "bad"],
  ["a>", "bad"],
  ["*", "bad"],
  [">", "bad"],
  ["$SYS", "bad"],
  ["a\n", "bad"],
  ["a\u0000", "bad"],
  ["ä", "bad"],
  ["a/b", "bad"],
];

const namespaces: readonly Case[] = [
  ["mcp", "good"],
  ["7", "good"],
  ["team-a", "good"],
  ["a".repeat(32), "good"],
  ["", "bad"],
  ["a".repeat(33), "bad"],
  ["-a", "bad"],
  ["Team", "bad"],
  ["team_a", "bad"],
  ["team.a", "bad"],
  ["*", "bad"],
  ["mcp\n", "bad"],
];

const capabilities: readonly Case[] = [
  ["ocr", "good"],
  ["workflow:order", "good"],
  ["find similar bugs", "good"],
  ["ünïcode ✓", "good"],
  ["a.b.*.>", "good"],
  ["x".repeat(128), "good"],
  ["", "bad"],
  ["   ", "bad"],
  ["x".repeat(129), "bad"],
  ["a\nb", "bad"],
  ["a\tb", "bad"],
  ["a\u0000", "bad"],
  ["a\u007f", "bad"],
];

const tables: readonly (readonly [name: string, schema: z.ZodType, cases: readonly Case[]])[] = [
  ["task id", TaskId, ids],
  ["agent id", AgentId, ids],
  ["namespace", Namespace, namespaces],
  ["capability", CapabilityName, capabilities],
];

const rows = tables.flatMap(([name, schema, cases]) =>
  cases.map(([text, verdict]) => ({ text, verdict, name, schema })),
);

it.each(rows)("takes $text for a $verdict $name", ({ text, verdict, schema }) => {
  expect(schema.safeParse(text).success ? "good" : "bad").toBe(verdict);
});

it.each([42, null, undefined, ["a"], {}])("takes no %j for an id", (value) => {
  expect(TaskId.safeParse(value).success).toBe(false);
});
