/** How an agent ends: told to go, and replaced. Each leaves it without a process, so these come last. */
import type { Rule } from "./rule.js";
import { throughout, within } from "./within.js";

const LEAVE_MS = 40_000;

export const rulesOfLeaving: readonly Rule[] = [
  {
    name: "drains on SIGTERM: finishes or hands back what it has, then says goodbye",
    weight: "should",
    chapter: "statuses-of-an-agent",
    needs: "a command",
    advice:
      "Say `draining`, go on heartbeating until nothing is in hand or unacknowledged, say `idle`, end with status 0.",
    check: async ({ agent, played, options }) => {
      const attempt = options.slowInput === undefined ? null : played.assign(options.slowInput);
      if (attempt !== null) await within(5_000, () => played.firstWordAt(attempt));
      agent.send("SIGTERM");
      const end = await agent.ended(LEAVE_MS);
      if (end === null) return `it still ran ${LEAVE_MS / 1_000} s later`;
      // Its last word may still be on its way.
      await within(1_000, () => (played.reported("idle") ? true : null));
      const missing = ["draining", "idle"].filter((state) => !played.reported(state));
      if (missing.length > 0) return `it ended (${end}) without saying ${missing.join(" and ")}`;
      if (attempt !== null && played.resultsOf(attempt).length === 0 && !played.reported("released", attempt.token)) {
        return "it left with a task in hand";
      }
      return end === "exit status 0" ? null : end;
    },
  },
  {
    name: "does not fight for its id when another process took it",
    weight: "must",
    chapter: "register",
    advice:
      "On `superseded` drop everything and do not register again: two processes would take the id from each other.",
    check: async ({ played }) => {
      const before = played.registrations.length;
      played.conduct = { ...played.conduct, heartbeat: "superseded" };
      played.order({ state: "superseded", incarnation: played.incarnation });
      await throughout(6_000);
      const more = played.registrations.length - before;
      return more === 0 ? null : `${more} registrations after it was told so`;
    },
  },
  {
    name: "ends when another process took its id",
    weight: "should",
    chapter: "heartbeat",
    needs: "a command",
    advice: "A process without an id can do nothing: log why, and end with a status that is not 0.",
    check: async ({ agent, played }) => {
      played.conduct = { ...played.conduct, heartbeat: "superseded" };
      const end = await agent.ended(10_000);
      return end === null ? "it still runs" : null;
    },
  },
  {
    name: "says only what its schema allows",
    weight: "must",
    chapter: "envelope",
    advice: "docs/schemas has a JSON Schema of every message.",
    // From the first rule on: so this one is the last.
    looksBack: true,
    check: ({ played }) => Promise.resolve(played.malformed[0] ?? null),
  },
];
