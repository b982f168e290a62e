import { expect, it } from "vitest";
import { joinBriefing } from "../../../workflows/knights/briefing.js";
import type { KnightResult } from "../../../workflows/knights/messages.js";
import { spent } from "./given-task.js";

const at = new Date("2026-11-21T06:00:00Z");

const answer = (taskId: string, result: string): KnightResult => ({
  task_id: taskId,
  knight: "galahad",
  success: true,
  result,
  duration_ms: 1_540,
  ...spent,
  timestamp: at.toISOString(),
});

it("joins what came and says what did not", () => {
  const briefing = joinBriefing(
    [
      { domain: "security", taskId: "security-1-1", answer: answer("security-1-1", "# Briefing\n\nAll is well.") },
      { domain: "infra", taskId: "infra-1-2", missing: "no knight answered." },
    ],
    at,
  );

  expect(briefing).toBe(`# Morning briefing of 2026-11-21

1 of 2 domains answered. They cost $0.2500 and 1200 tokens.

## Security

### Briefing

All is well.

## Infra

_There is nothing from infra: no knight answered._

## Who worked on this

| Domain | Task | Knight | Took | Cost | Tokens | Model |
| --- | --- | --- | --- | --- | --- | --- |
| security | security-1-1 | galahad | 1.5 s | $0.2500 | 1000 + 200 | small-1 |
| infra | infra-1-2 | none |  |  |  |  |`);
});

it("leaves code blocks as they are and bounds each chapter", () => {
  const long = `# A\n\n\`\`\`sh\n# a comment\n\`\`\`\n\n##### B\n\n${"x".repeat(20_000)}`;

  const briefing = joinBriefing([{ domain: "vault", taskId: "vault-1-1", answer: answer("vault-1-1", long) }], at);

  expect(briefing).toContain("### A\n\n```sh\n# a comment\n```\n\n###### B");
  expect(briefing.length).toBeLessThan(13_000);
  expect(briefing).toContain("_Cut here: all of it is on fleet-a.results.vault-1-1._");
});
