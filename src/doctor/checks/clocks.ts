/** Do the clocks agree? Deadlines outlive a leader, so its successor's clock must be about the same. */
import type { Facts } from "../facts.js";
import type { Notes } from "../finding.js";

/** More than this and people see it in timestamps. */
const OFFSET_MS_MAX = 1_000;
/** More than this and time-outs of tasks move by as much when the leader changes; certificates and JWTs follow. */
const FAR_OFF_MS = 60_000;
/** A heartbeat says when it left and not how long it was under way: on a busy machine, so long at most. */
const UNDER_WAY_MS_MAX = 4_000;

interface Reading {
  readonly of: "server" | "orchestrator" | "agent";
  readonly who: string;
  /** Its clock minus ours, milliseconds; what the network leaves uncertain is taken off. */
  readonly offsetMs: number;
}

const advice = "Run NTP (chrony, systemd-timesyncd) on that machine.";

export function checkClocks(facts: Facts, notes: Notes): void {
  const steady = [...serverReadings(facts, notes), ...orchestratorReadings(facts, notes)];
  for (const { who, offsetMs } of steady) notes.see(`${who} is ${signed(offsetMs)} from this machine`);
  const shared = sharedOffset(steady);
  if (shared !== null) {
    notes.find(
      "clocks/this-machine",
      `This machine's clock is ${behindOrAhead(-shared)} those of ${steady.map(({ who }) => who).join(" and ")}, which agree.`,
      "Run NTP (chrony, systemd-timesyncd) here. Only this command looks wrong by it, unless agents or an orchestrator run here too.",
      { offsetMs: Math.round(-shared) },
    );
  }
  const corrected = (reading: Reading): Reading => ({ ...reading, offsetMs: reading.offsetMs - (shared ?? 0) });
  if (shared === null) for (const reading of steady) judge(reading, notes);
  for (const reading of agentReadings(facts, notes)) judge(corrected(reading), notes);
}

function serverReadings({ orchestrator }: Facts, notes: Notes): readonly Reading[] {
  const connections = notes.need(orchestrator.connections);
  return (connections?.peers ?? []).map(({ name, offsetMs, uncertaintyMs }) => ({
    of: "server",
    who: `server ${name}`,
    offsetMs: lessUncertain(offsetMs, uncertaintyMs),
  }));
}

function orchestratorReadings({ orchestrator }: Facts, notes: Notes): readonly Reading[] {
  const status = notes.need(orchestrator.status);
  if (status === undefined) return [];
  const { value, heardAt, roundTripMs } = status;
  return [
    {
      of: "orchestrator",
      who: "the orchestrator",
      offsetMs: lessUncertain(value.timestamp - heardAt, roundTripMs / 2),
    },
  ];
}

/** A heartbeat that was late looks like a clock that is behind; of each agent, the one that was fastest says most. */
function agentReadings({ observed }: Facts, notes: Notes): readonly Reading[] {
  const heartbeats = notes.need(observed.heartbeats) ?? [];
  const byAgent = new Map<string, number>();
  for (const { agentId, offsetMs } of heartbeats)
    if (agentId !== null && offsetMs !== null)
      byAgent.set(agentId, Math.max(offsetMs, byAgent.get(agentId) ?? offsetMs));
  if (byAgent.size > 0) notes.see(`${byAgent.size} agents were heard`);
  return [...byAgent].map(([agentId, offsetMs]) => ({ of: "agent", who: `agent ${agentId}`, offsetMs }));
}

function judge({ of, who, offsetMs }: Reading, notes: Notes): void {
  const size = Math.abs(offsetMs);
  const underWayMsMax = of === "agent" && offsetMs < 0 ? UNDER_WAY_MS_MAX : 0;
  if (size <= OFFSET_MS_MAX + underWayMsMax) return;
  const summary = `The clock of ${who} is ${behindOrAhead(offsetMs)} this machine's.`;
  const details = { offsetMs: Math.round(offsetMs), of };
  if (size > FAR_OFF_MS && of !== "agent") {
    notes.find(
      "clocks/far-off",
      summary,
      `${advice} If it is the one of a leader, time-outs of tasks are off by as much when another machine takes over.`,
      details,
    );
    return;
  }
  const effect =
    of === "agent" ? " Its timestamps are only shown, but deadlines that it reads are the orchestrator's." : "";
  notes.find(`clocks/${of}`, summary, advice + effect, details);
}

/** What two clocks or more of others agree on among themselves and not with ours; null where that is not so. */
function sharedOffset(readings: readonly Reading[]): number | null {
  const offsets = readings.map(({ offsetMs }) => offsetMs);
  const [least, most] = [Math.min(...offsets), Math.max(...offsets)];
  if (offsets.length < 2 || most - least > OFFSET_MS_MAX) return null;
  return Math.min(Math.abs(least), Math.abs(most)) > OFFSET_MS_MAX ? least : null;
}

const lessUncertain = (offsetMs: number, uncertaintyMs: number): number =>
  Math.sign(offsetMs) * Math.max(0, Math.abs(offsetMs) - uncertaintyMs);

const seconds = (ms: number): string => `${(Math.abs(ms) / 1_000).toFixed(1)} s`;
const signed = (ms: number): string => (Math.abs(ms) < 100 ? "less than 0.1 s" : `${ms < 0 ? "-" : "+"}${seconds(ms)}`);
const behindOrAhead = (ms: number): string => `${seconds(ms)} ${ms < 0 ? "behind" : "ahead of"}`;
