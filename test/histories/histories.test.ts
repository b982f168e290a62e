/**
 * Histories as `perdure history ID --json` prints them, recorded by the demo with an agent and a worker killed on the way.
 * Code that no longer replays them would hold up runs that are under way: use ctx.patched() instead of recording anew.
 */
import { readFileSync } from "node:fs";
import { type AnyWorkflow, task, workflow } from "perdure";
import { replay } from "perdure/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { dependencyAudit, packageChecks } from "../../workflows/dependency-audit/workflows.js";

const Recorded = z.object({ workflowId: z.string(), events: z.array(z.unknown()) });

const histories: readonly { readonly file: string; readonly workflow: AnyWorkflow }[] = [
  { file: "dependency-audit.json", workflow: dependencyAudit },
  { file: "package-checks.json", workflow: packageChecks },
];

function eventsIn(file: string): readonly unknown[] {
  return Recorded.parse(JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8"))).events;
}

describe("a recorded history", () => {
  it.each(histories)("replays against today's code: $file", async ({ file, workflow: today }) => {
    expect(await replay({ workflows: [today], history: eventsIn(file) })).toEqual({ ok: true });
  });

  it("does not replay against code that asks for something else", async () => {
    const changed = workflow("package-checks", {}, async (ctx) => await ctx.task(task("audit-weight"), {}));

    const outcome = await replay({ workflows: [changed], history: eventsIn("package-checks.json") });

    expect(outcome).toMatchObject({ ok: false, error: { name: "NondeterminismError" } });
    expect(outcome).toMatchObject({ error: { message: expect.stringContaining("audit-weight") } });
  });
});
