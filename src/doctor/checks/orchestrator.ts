/** Does one orchestrator lead, answer, and get on with the work? */
import type { NotKnown } from "../../jetstream/inspector.js";
import type { ServiceFacts } from "../../jetstream/server-facts.js";
import type { SystemStatusReply } from "../../protocol/system-message.js";
import type { TaskView } from "../../protocol/task-message.js";
import type { Facts } from "../facts.js";
import type { Notes } from "../finding.js";
import { leadersOf, settingsOfLeader } from "../leaders.js";

/** Two looks closer together say nothing about whether work goes on. */
const STUCK_MS_MIN = 1_000;
/** A lease is renewed three times in its life, which is a minute at most. */
const LEASE_AGE_MS_MAX = 90_000;

export function checkOrchestrator(facts: Facts, notes: Notes): void {
  const leaders = notes.need(leadersOf(facts)) ?? [];
  if (!facts.orchestrator.services.known) return;
  checkVersions(leaders, facts, notes);
  if (leaders.length > 1) {
    notes.find(
      "orchestrator/several",
      `${leaders.length} orchestrators answer for namespace ${facts.namespace} (services ${leaders.map(({ id }) => id).join(", ")}).`,
      "One of them has lost the lead and does not know it yet: it was paused, or its network was. If it stays, restart both. What is stored is safe: only one can write.",
      { services: leaders.map(({ id, version }) => ({ id, version })) },
    );
  }
  const { status, health } = facts.orchestrator;
  if (!status.known) {
    explainNoAnswer(status, leaders, facts, notes);
    return;
  }
  const { orchestratorStatus, version } = status.value.value;
  notes.see(`${leaders.length === 1 ? "one leads" : "one answers"}, version ${version}, state ${orchestratorStatus}`);
  if (orchestratorStatus !== "leading") {
    notes.find(
      "orchestrator/not-leading",
      `The orchestrator answers and is ${orchestratorStatus}.`,
      "Expected for moments while it starts or stops. If it stays, its log says what it waits for.",
      { state: orchestratorStatus },
    );
  }
  if (health.known) checkHealth(health.value.components, notes);
  else notes.skip(health.why);
  checkProgress(facts, status.value.value, notes);
}

function checkVersions(leaders: readonly ServiceFacts[], { ownVersion, orchestrator }: Facts, notes: Notes): void {
  const all = orchestrator.services.known ? orchestrator.services.value : leaders;
  const versions = [...new Set(all.map(({ version }) => version))];
  if (versions.length > 1) {
    notes.find(
      "orchestrator/versions-differ",
      `Orchestrators of different versions work on this account: ${all.map(({ version, metadata }) => `${version} in ${metadata["namespace"] ?? "?"}`).join(", ")}.`,
      "Expected during an upgrade; finish it: a change of leaders to an older version may not understand what a newer one wrote.",
      { versions },
    );
    return;
  }
  const [leader] = leaders;
  if (leader === undefined || leader.version === ownVersion) return;
  notes.find(
    "orchestrator/versions-differ",
    `The orchestrator is version ${leader.version}, and this command ${ownVersion}.`,
    "Use the same version on both sides; what one of them does not know the other may report wrongly.",
    { orchestrator: leader.version, command: ownVersion },
  );
}

function explainNoAnswer(why: NotKnown, leaders: readonly ServiceFacts[], facts: Facts, notes: Notes): void {
  if (why.reason === "nobody") {
    reportNone(facts, notes);
  } else if (why.reason === "silent" && facts.dial.interruption === null) {
    const { connections } = facts.orchestrator;
    const who = connections.known
      ? connections.value.listeners.map(({ connection, name }) => `${name} ${connection}`)
      : [];
    notes.find(
      "orchestrator/silent",
      `Somebody listens for requests and does not answer: ${why.why}${who.length === 0 ? "" : ` (connection ${who.join(", ")})`}.`,
      "Its process is stopped (SIGCONT lets it go on) or has no processor time; or the journal does not take its writes, and answers wait for that. Another one takes over when the lease expires, if one stands by.",
      { listeners: who },
    );
    checkLease(facts, notes);
  } else if (why.reason === "refused") {
    notes.find(
      "orchestrator/refuses",
      `The orchestrator refused to say how it is: ${why.why}.`,
      "NOT_READY passes within seconds, while another one takes over. Anything else is in its log.",
      { code: why.code },
    );
    checkLease(facts, notes);
  } else if (why.reason === "unreadable") {
    notes.find(
      "orchestrator/unreadable",
      `What answers for the orchestrator does not speak as one of this version does: ${why.why}.`,
      `Use the same version on both sides (this command is ${facts.ownVersion}${leaders.map(({ version }) => `, the orchestrator ${version}`).join("")}).`,
    );
  } else {
    notes.skip(why.why);
  }
}

function reportNone(facts: Facts, notes: Notes): void {
  const { namespace, orchestrator, otherNamespaces } = facts;
  notes.find(
    "orchestrator/none",
    `No orchestrator leads in namespace ${namespace}: nobody listens for requests.`,
    "Start one (`perdure dev`, `perdure orchestrator`). If one runs and has just started, it may still stand by: a dead leader's lease lasts some seconds. If it ended, its last line says why.",
  );
  const serving = orchestrator.services.known
    ? orchestrator.services.value.flatMap(({ metadata }) => metadata["namespace"] ?? [])
    : [];
  const stored = otherNamespaces.known ? otherNamespaces.value : [];
  const others = [...new Set([...serving, ...stored])].filter((other) => other !== namespace);
  if (others.length > 0) {
    notes.find(
      "orchestrator/elsewhere",
      `Other namespaces on this account: ${others.map((other) => `${other}${serving.includes(other) ? " (led)" : ""}`).join(", ")}.`,
      `If you meant one of them: --namespace ${others.find((other) => serving.includes(other)) ?? others[0]}, or PERDURE_NAMESPACE.`,
      { namespaces: others, led: serving },
    );
  }
  checkLease(facts, notes);
}

/** Only where nobody answers: the lease of a leader that does is renewed all the time. */
function checkLease({ store, orchestrator, startedAt }: Facts, notes: Notes): void {
  const lease = notes.need(store.lease);
  if (lease === undefined || lease === null || lease.holder === null) return;
  const { holder, expires, storedAt } = lease;
  const [server] = orchestrator.connections.known ? orchestrator.connections.value.peers : [];
  const ageMs = Math.max(0, startedAt + (server?.offsetMs ?? 0) - storedAt);
  const who = `process ${holder.pid} on ${holder.host}`;
  if (!expires || ageMs > LEASE_AGE_MS_MAX) {
    notes.find(
      "orchestrator/lease-stuck",
      `The lease names ${who}, was written ${Math.round(ageMs / 1_000)} s ago and does not expire: nobody else can lead.`,
      `An orchestrator's lease always expires, so somebody wrote this one by hand. Delete it: \`nats kv del ${store.metaBucket} leader\`.`,
      { ...holder },
    );
  } else if (holder.isGone) {
    notes.find(
      "orchestrator/lease-of-dead",
      `The last leader, ${who}, is dead, and its lease has not expired yet.`,
      "Start an orchestrator: on this machine it takes over at once, elsewhere when the lease expires, which is seconds.",
      { ...holder },
    );
  }
}

function checkHealth(
  components: Readonly<Record<string, { status: string; detail?: string | undefined }>>,
  notes: Notes,
): void {
  for (const [name, { status, detail = "" }] of Object.entries(components)) {
    if (status !== "unhealthy") continue;
    notes.find(
      "orchestrator/unhealthy",
      `The orchestrator says that its ${name} is unhealthy: ${detail}.`,
      name === "journal"
        ? "The server does not take its writes: look at disk and streams here, and at the server's log. Submissions are refused meanwhile, none is lost."
        : "Look at its connection to the server and at its log.",
      { component: name, detail },
    );
  }
}

/** Work that could be done, by somebody who could do it, and nothing happened. */
function checkProgress(facts: Facts, first: SystemStatusReply, notes: Notes): void {
  const { orchestrator, observed } = facts;
  const { statusLater, tasks, tasksLater } = orchestrator;
  if (!statusLater.known || !tasks.known || !tasksLater.known || observed.durationMs < STUCK_MS_MIN) return;
  const later = statusLater.value;
  const limit = settingsOfLeader(facts)?.maxConcurrentTasks ?? 0;
  if (limit > 0 && later.activeTaskCount >= limit) return;
  if (later.journalSequence !== first.journalSequence || later.leadingSince !== first.leadingSince) return;
  const queuedBefore = new Set(queued(tasks.value.tasks).map(({ taskId }) => taskId));
  const stuck = queued(tasksLater.value.tasks).filter(
    (task) => queuedBefore.has(task.taskId) && freeAgentFor(task, first) && freeAgentFor(task, later),
  );
  const [task] = stuck;
  if (task === undefined) return;
  notes.find(
    "orchestrator/stuck",
    `${stuck.length} queued tasks could start (${task.taskId} and others) with agents that are free, and nothing happened in ${Math.round(observed.durationMs / 100) / 10} s.`,
    "The orchestrator does not get on: restart it (nothing is lost by that), and report it with its log.",
    { tasks: stuck.slice(0, 5).map(({ taskId }) => taskId), journalSequence: later.journalSequence },
  );
}

const queued = (tasks: readonly TaskView[]): readonly TaskView[] => tasks.filter(({ state }) => state === "queued");

function freeAgentFor({ requiredCapabilities }: TaskView, { agentStatuses }: SystemStatusReply): boolean {
  return agentStatuses.some(
    (agent) =>
      agent.state === "healthy" &&
      agent.activeTaskCount < agent.maxConcurrentTasks &&
      requiredCapabilities.every((name) => agent.capabilities.includes(name)),
  );
}
