/** Progress as one line: a bar, counts by state, and what each agent has done and has in hand. */
import type { AgentProgress, ProgressPicture } from "./progress.js";

const barWidth = 20;

/** At most `width` characters; what does not fit is left out from the right, part by part. */
export function progressLine(picture: ProgressPicture, width: number): string {
  const { total, ended } = picture;
  const parts = [
    `${bar(total === 0 ? 0 : Math.min(1, ended / total))} ${ended}/${total} ended`,
    stateCounts(picture),
    picture.agents.map(agentText).join(" "),
  ];
  let line = "";
  for (const part of parts.filter((text) => text !== "")) {
    const longer = line === "" ? part : `${line} | ${part}`;
    if (longer.length > width) break;
    line = longer;
  }
  return line;
}

function bar(share: number): string {
  const filled = Math.floor(share * barWidth);
  return `[${"#".repeat(filled)}${"-".repeat(barWidth - filled)}]`;
}

function stateCounts({ queued, inHand, waiting, betweenAttempts }: ProgressPicture): string {
  const counts = [
    [queued, "queued"],
    [inHand, "in hand"],
    [betweenAttempts, "between attempts"],
    [waiting, "waiting"],
  ] as const;
  return counts
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${count} ${what}`)
    .join(", ");
}

/** `auditor-1 90+3`: 90 done, 3 in hand. */
function agentText({ agentId, state, completed, inHand }: AgentProgress): string {
  const work = inHand === 0 ? `${completed}` : `${completed}+${inHand}`;
  return state === "healthy" ? `${agentId} ${work}` : `${agentId} ${work} ${state}`;
}
