/**
 * The morning briefing: every domain is asked at once, and what comes back becomes one document. A domain that fails, or
 * whose knights are not there, costs its own chapter and nothing else.
 */
import { ActivityFailure, isCancellation, workflow } from "perdure";
import { z } from "zod";
import { joinBriefing, type Section } from "./briefing.js";
import { newTaskId, timeoutMsMax } from "./messages.js";
import { Domain, knightTask } from "./tasks.js";

/** What is asked of each domain unless the caller has a question of his own. */
const standingQuestions: Readonly<Record<Domain, string>> = {
  security: "Which advisories concern us this morning, and what is to be done first?",
  finance: "What did we spend this month, and where is it over budget?",
  career: "What has moved on the open positions since yesterday?",
  infra: "How are the machines: memory, load, disks, and what wants attention?",
  home: "What is to be done at home today?",
  research: "What do we know about consumer lag, backups and at-most-once delivery?",
  vault: "Which notes changed since yesterday?",
};

export const MorningBriefing = z.object({
  markdown: z.string(),
  /** By domain: what became of it. */
  sections: z.array(
    z.object({ domain: Domain, taskId: z.string(), knight: z.string().nullable(), missing: z.string().nullable() }),
  ),
  /** US dollars. */
  cost: z.number(),
  tokens: z.object({ input: z.number(), output: z.number() }),
});

export const morningBriefing = workflow(
  "morning-briefing",
  {
    input: z.object({
      domains: z.array(Domain).min(1),
      questions: z.partialRecord(Domain, z.string().min(1)).default({}),
      /** Of each knight. */
      timeoutMs: z.int().min(1).max(timeoutMsMax).default(600_000),
    }),
    output: MorningBriefing,
  },
  async (ctx, { domains, questions, timeoutMs }) => {
    const sections = await Promise.all(
      [...new Set(domains)].map(async (domain): Promise<Section & { readonly domain: Domain }> => {
        const taskId = newTaskId(domain, new Date(), Math.random());
        const question = questions[domain] ?? standingQuestions[domain];
        try {
          const input = { task_id: taskId, domain, task: question, timeout_ms: timeoutMs };
          return { domain, taskId, answer: await ctx.task(knightTask(domain), input) };
        } catch (failure) {
          if (isCancellation(failure) || !(failure instanceof ActivityFailure)) throw failure;
          const { cause } = failure;
          return { domain, taskId, missing: cause instanceof Error ? cause.message : failure.message };
        }
      }),
    );
    const answers = sections.flatMap((section) => ("answer" in section ? [section.answer] : []));
    const sum = (of: (answer: (typeof answers)[number]) => number): number =>
      answers.reduce((total, answer) => total + of(answer), 0);
    return {
      markdown: joinBriefing(sections, new Date()),
      sections: sections.map((section) => ({
        domain: section.domain,
        taskId: section.taskId,
        knight: "answer" in section ? section.answer.knight : null,
        missing: "missing" in section ? section.missing : null,
      })),
      cost: sum(({ cost }) => cost),
      tokens: { input: sum(({ tokens }) => tokens.input), output: sum(({ tokens }) => tokens.output) },
    };
  },
);
