/** A request that a person decides on: reminded at intervals, decided by a signal or an update, refused at a deadline. */
import { workflow } from "perdure";
import { z } from "zod";

export const Request = z.object({
  what: z.string(),
  by: z.string(),
  approver: z.string(),
  remindEveryMs: z.int().min(1).default(86_400_000),
  deadlineMs: z.int().min(1).default(604_800_000),
});

export const Decision = z.object({ approved: z.boolean(), by: z.string(), comment: z.string().optional() });
export type Decision = z.infer<typeof Decision>;

export const approval = workflow(
  "approval",
  {
    input: Request,
    output: z.object({ approved: z.boolean(), by: z.string(), reminders: z.int() }),
    signals: { comment: z.object({ by: z.string(), text: z.string() }) },
    updates: { decide: { input: Decision, output: z.object({ reminders: z.int() }) } },
    queries: {
      state: { output: z.object({ reminders: z.int(), comments: z.array(z.string()), decided: z.boolean() }) },
    },
  },
  async (ctx, request) => {
    let decision: Decision | null = null;
    let reminders = 0;
    const comments: string[] = [];
    ctx.onQuery("state", () => ({ reminders, comments, decided: decision !== null }));
    ctx.onSignal("comment", ({ by, text }) => {
      comments.push(`${by}: ${text}`);
    });
    ctx.onUpdate(
      "decide",
      (given) => {
        decision = given;
        return { reminders };
      },
      {
        validate: ({ by }) => {
          if (by !== request.approver) throw new Error(`only ${request.approver} may decide, not ${by}`);
          if (decision !== null) throw new Error(`${request.approver} has decided already`);
        },
      },
    );

    const { remindEveryMs, deadlineMs, approver, what } = request;
    const deadlineAt = Date.now() + deadlineMs;
    while (Date.now() < deadlineAt) {
      const untilDeadline = deadlineAt - Date.now();
      const decided = await ctx.condition(() => decision !== null, Math.min(remindEveryMs, untilDeadline));
      if (decided || Date.now() >= deadlineAt) break;
      reminders += 1;
      await ctx.step(`remind ${reminders}`, () =>
        console.log(`to ${approver}: "${what}" waits for you (${reminders})`),
      );
    }
    await ctx.condition(() => ctx.allHandlersFinished());
    // The handler set it meanwhile, which the type checker cannot see.
    const final = decision as Decision | null;
    return { approved: final?.approved ?? false, by: final?.by ?? "deadline", reminders };
  },
);
