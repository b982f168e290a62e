/** Are there agents, are they well, and is what they send understood? */
import type { AgentView, SystemStatusReply } from "../../protocol/system-message.js";
import type { Facts, HeartbeatFacts } from "../facts.js";
import type { Notes } from "../finding.js";
import { settingsOfLeader } from "../leaders.js";

/** Heartbeats that an agent may have missed, for a late timer or a busy machine. */
const MISSED_MAX = 2;
/** New lives of one agent id while we looked. */
const REGISTRATIONS_MAX = 1;
const NAMED_MAX = 5;

export function checkAgents(facts: Facts, notes: Notes): void {
  const status = notes.need(facts.orchestrator.status);
  if (status !== undefined) checkStates(status.value, facts, notes);
  const heartbeats = notes.need(facts.observed.heartbeats);
  if (heartbeats !== undefined) checkHeartbeats(heartbeats, status?.value, facts, notes);
  const registrations = notes.need(facts.observed.registrations);
  for (const [agentId, count] of registrations ?? []) {
    if (count <= REGISTRATIONS_MAX) continue;
    notes.find(
      "agents/flapping",
      `Agent ${agentId} registered ${count} times in ${seconds(facts.observed.durationMs)}.`,
      "Two processes use the same id and take it from each other (give each its own), or one is restarted again and again: its log says why.",
      { agentId, registrations: count },
    );
  }
}

function checkStates(status: SystemStatusReply, facts: Facts, notes: Notes): void {
  const { agentStatuses, agentStatusesLeftOut = 0 } = status;
  const present = agentStatuses.filter(({ state }) => state !== "lost" && state !== "gone");
  notes.see(`${present.length + agentStatusesLeftOut} agents, ${status.healthyAgentCount} of them healthy`);
  if (present.length === 0 && agentStatusesLeftOut === 0) {
    const waiting = status.queuedTaskCount + status.backoffTaskCount;
    notes.find(
      "agents/none",
      `No agent is registered${waiting === 0 ? "" : `, and ${waiting} tasks wait for one`}.`,
      "Start an agent. If one runs: it must use this server, account and namespace; an agent that cannot register says so in its log.",
      { waiting },
    );
  }
  const reasonOf = (agent: AgentView): string => `${agent.agentId} (${agent.reason ?? "no reason given"})`;
  const isContested = ({ reason }: AgentView): boolean => reason?.startsWith("AGENT_ID_FLAPPING") ?? false;
  const contested = agentStatuses.filter((agent) => agent.state === "unhealthy" && isContested(agent));
  if (contested.length > 0) {
    notes.find(
      "agents/flapping",
      `${contested.length} get no work, for processes took their ids from each other: ${contested
        .slice(0, NAMED_MAX)
        .map(({ agentId }) => agentId)
        .join(", ")}.`,
      "Give each process an id of its own, or end all but one; the id gets work again when it was left alone for twelve heartbeats. If there is only one, it is restarted again and again: its log says why.",
      { agents: contested.map(({ agentId }) => agentId) },
    );
  }
  const unhealthy = agentStatuses.filter((agent) => agent.state === "unhealthy" && !isContested(agent));
  if (unhealthy.length > 0) {
    notes.find(
      "agents/unhealthy",
      `${unhealthy.length} unhealthy: ${unhealthy.slice(0, NAMED_MAX).map(reasonOf).join("; ")}.`,
      "They get no new work. Look at their processes; those that are dead can be started again under the same id and get their tasks back at once.",
      { agents: unhealthy.map(({ agentId }) => agentId) },
    );
  }
  const lost = agentStatuses.filter(({ state }) => state === "lost");
  if (lost.length > 0) {
    notes.find(
      "agents/lost",
      `${lost.length} lost: ${lost.slice(0, NAMED_MAX).map(reasonOf).join("; ")}.`,
      "Their tasks went to others. They are forgotten after seven days, or come back when they register again.",
      { agents: lost.map(({ agentId }) => agentId) },
    );
  }
  checkSilence(status, facts, notes);
  checkRoom(status, facts, notes);
}

function checkSilence({ agentStatuses, timestamp }: SystemStatusReply, facts: Facts, notes: Notes): void {
  const intervalMs = settingsOfLeader(facts)?.healthCheckIntervalMs;
  if (intervalMs === undefined) {
    notes.skip("how often agents should heartbeat is not known: this orchestrator does not say");
    return;
  }
  const silent = agentStatuses.filter(
    ({ state, lastSeenAt }) =>
      state === "healthy" && lastSeenAt !== undefined && timestamp - lastSeenAt > (MISSED_MAX + 0.5) * intervalMs,
  );
  if (silent.length === 0) return;
  const described = silent
    .slice(0, NAMED_MAX)
    .map(({ agentId, lastSeenAt }) => `${agentId} (${seconds(timestamp - (lastSeenAt ?? timestamp))} ago)`);
  notes.find(
    "agents/silent",
    `${silent.length} count as healthy and missed heartbeats, which come each ${seconds(intervalMs)}: last heard of ${described.join(", ")}.`,
    "Their processes may be dead, stopped or overloaded; their tasks move when they count as lost. An agent that heartbeats more rarely than it was told looks like this too.",
    { agents: silent.map(({ agentId }) => agentId), intervalMs },
  );
}

function checkRoom({ agentStatuses, queuedTaskCount }: SystemStatusReply, facts: Facts, notes: Notes): void {
  const healthy = agentStatuses.filter(({ state }) => state === "healthy");
  const isFull = (agent: AgentView): boolean => agent.activeTaskCount >= agent.maxConcurrentTasks;
  if (queuedTaskCount === 0 || healthy.length === 0 || !healthy.every(isFull)) return;
  const places = healthy.reduce((sum, agent) => sum + agent.maxConcurrentTasks, 0);
  notes.find(
    "agents/full",
    `All ${healthy.length} healthy agents are full (${places} places), and ${queuedTaskCount} tasks are queued in namespace ${facts.namespace}.`,
    "Expected under load. If it stays: more agents, or more places for each (maxConcurrentTasks).",
    { places, queued: queuedTaskCount },
  );
}

function checkHeartbeats(
  heartbeats: readonly HeartbeatFacts[],
  status: SystemStatusReply | undefined,
  { observed }: Facts,
  notes: Notes,
): void {
  notes.see(`${heartbeats.length} heartbeats in ${seconds(observed.durationMs)}`);
  const refused = heartbeats.find(({ fault }) => fault !== null);
  if (refused !== undefined) {
    const count = heartbeats.filter(({ fault }) => fault !== null).length;
    notes.find(
      "agents/heartbeat-refused",
      `${count} heartbeats were not understood, such as one of ${refused.agentId ?? "nobody"}: it ${refused.fault}.`,
      "An agent whose heartbeats do not count becomes unhealthy, then lost. Compare what it sends with docs/wire-protocol.md.",
      { agentId: refused.agentId, count },
    );
  }
  if (status === undefined || (status.agentStatusesLeftOut ?? 0) > 0) return;
  const registered = new Set(
    status.agentStatuses.flatMap(({ agentId, state }) => (state === "lost" || state === "gone" ? [] : [agentId])),
  );
  const heard = new Set(
    heartbeats.flatMap(({ agentId, fault }) => (agentId === null || fault !== null ? [] : [agentId])),
  );
  const unregistered = [...heard].filter((agentId) => !registered.has(agentId));
  if (unregistered.length === 0) return;
  notes.find(
    "agents/unregistered",
    `${unregistered.length} send heartbeats and are not registered: ${unregistered.slice(0, NAMED_MAX).join(", ")}.`,
    "They are told to register again (state reregister on their status subject); one that does not listen there gets no work. Restart it.",
    { agents: unregistered },
  );
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
