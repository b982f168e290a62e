/** The workflow of an error: specialists look at it at the same time, the review has the last word, and the result is told. */
import { workflow } from "perdure";
import { z } from "zod";
import type { teamBridge } from "./bridge.js";
import { Result, type Update } from "./messages.js";
import { environments, type TeamNames } from "./names.js";
import { type Implementation, type Reproduction, type Research, type Review, tasksOf } from "./tasks.js";

export const Investigation = z.object({
  task_id: z.string(),
  environment: z.enum(environments),
  error: z.string(),
  place: z.object({ file: z.string(), line: z.int() }),
});
export type Investigation = z.infer<typeof Investigation>;

type TeamBridge = ReturnType<typeof teamBridge>;

export function investigationOf(names: TeamNames, { tasks: publications }: TeamBridge) {
  const tasks = tasksOf(names);
  return workflow(
    names.type("investigate-error"),
    { input: Investigation, output: Result },
    async (ctx, { task_id, environment, error, place }) => {
      const tell = (agent: string, status: string, findings: string, next_steps: string[] = []): Promise<unknown> =>
        ctx.task(publications.update, { task_id, agent, status, findings, next_steps } satisfies Update);
      const where = `${place.file}:${place.line}`;

      await tell("orchestrator", "started", `an error in ${environment} at ${where}`, [
        "find similar bugs",
        "apply the fix",
        "verify, run the tests",
      ]);
      const reported = async <T extends { summary: string }>(
        agent: string,
        status: string,
        work: Promise<T>,
      ): Promise<T> => {
        const done = await work;
        await tell(agent, status, done.summary);
        return done;
      };
      const [research, implementation, reproduction] = await Promise.all([
        reported<Research>("research", "researched", ctx.task(tasks.research, { place })),
        reported<Implementation>("implementation", "implemented", ctx.task(tasks.implement, { place })),
        reported<Reproduction>("review", "reproduced", ctx.task(tasks.reproduce, { place, error })),
      ]);
      const { candidates } = implementation;
      const review = await reported<Review>(
        "review",
        "reviewed",
        ctx.task(tasks.review, { place, candidates, similar: research.similar }),
      );

      const result = resultOf(task_id, { implementation, reproduction, review });
      await tell(
        "orchestrator",
        result.status,
        result.solution,
        result.status === "fixed" ? ["merge the patch"] : ["ask a person"],
      );
      await ctx.task(publications.result, result);
      return result;
    },
  );
}

interface Findings {
  readonly implementation: Implementation;
  readonly reproduction: Reproduction;
  readonly review: Review;
}

function resultOf(task_id: string, { implementation, reproduction, review }: Findings): Result {
  // A change that makes tests pass mends this error only if they failed of it.
  if (review.accepted !== null && reproduction.isReproduced) {
    return {
      task_id,
      agent: "review",
      status: "fixed",
      solution: review.patch,
      pr_url: "",
      test_results: review.summary,
    };
  }
  const why = reproduction.isReproduced
    ? `${implementation.summary}; ${review.summary}`
    : "no test of the project fails of this error";
  return {
    task_id,
    agent: "review",
    status: "unresolved",
    solution: why,
    pr_url: "",
    test_results: reproduction.summary,
  };
}
