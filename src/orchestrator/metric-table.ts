/**
 * Every metric of the engine, as a table: name, help, and how it is read. docs/metrics.md describes them for operators,
 * and test/orchestrator/metrics.test.ts holds the two against each other.
 *
 * Counters and histograms say what this process did, in all its terms. What describes the state (`term`) is shown by
 * the leader alone. So a sum over processes is right.
 */
import type { Distribution } from "../core/distribution.js";
import { openRunStates } from "../core/run/run-census.js";
import {
  agentStates,
  type Durability,
  type OrchestratorState,
  orchestratorStates,
} from "../protocol/system-message.js";
import { endedStates, storedTaskStates } from "../protocol/task-record.js";
import type { ProcessTally } from "./process-tally.js";
import type { TermReading } from "./term-reading.js";

/** What one scrape reads. */
export interface MetricSources {
  readonly tally: ProcessTally;
  readonly state: OrchestratorState;
  readonly version: string;
  readonly durability: Durability;
  readonly isConnected: boolean;
  /** Null while this process does not lead. */
  readonly term: TermReading | null;
}

export interface Sample<Value> {
  /** Beside `namespace`, which all have. */
  readonly labels: Readonly<Record<string, string>>;
  readonly value: Value;
}

/** Counters end in `_total`; units are seconds, bytes and dollars. */
export type MetricRow =
  | {
      readonly type: "counter" | "gauge";
      readonly name: string;
      readonly help: string;
      readonly read: (sources: MetricSources) => readonly Sample<number>[];
    }
  | {
      readonly type: "histogram";
      readonly name: string;
      readonly help: string;
      readonly read: (sources: MetricSources) => readonly Sample<Distribution>[];
    };

const counter = (name: string, help: string, read: (tally: ProcessTally) => readonly Sample<number>[]): MetricRow => ({
  type: "counter",
  name,
  help,
  read: ({ tally }) => read(tally),
});

const histogram = (
  name: string,
  help: string,
  read: (tally: ProcessTally) => readonly Sample<Distribution>[],
): MetricRow => ({ type: "histogram", name, help, read: ({ tally }) => read(tally) });

const gauge = (name: string, help: string, read: (sources: MetricSources) => readonly Sample<number>[]): MetricRow => ({
  type: "gauge",
  name,
  help,
  read,
});

/** Shown by the leader alone. */
const leaderGauge = (name: string, help: string, read: (term: TermReading) => readonly Sample<number>[]): MetricRow =>
  gauge(name, help, ({ term }) => (term === null ? [] : read(term)));

const one = <Value>(value: Value): readonly Sample<Value>[] => [{ labels: {}, value }];

const by = <Value>(label: string, entries: Iterable<readonly [string, Value]>): readonly Sample<Value>[] =>
  Array.from(entries, ([name, value]) => ({ labels: { [label]: name }, value }));

const byKey = <Value>(label: string, values: Readonly<Record<string, Value>>): readonly Sample<Value>[] =>
  by(label, Object.entries(values));

/** One more label for samples that have some. */
const withLabels = <Value>(
  samples: readonly Sample<Value>[],
  labels: Sample<Value>["labels"],
): readonly Sample<Value>[] => samples.map((sample) => ({ ...sample, labels: { ...sample.labels, ...labels } }));

const flag = (isSo: boolean): number => (isSo ? 1 : 0);

const ofProcess: readonly MetricRow[] = [
  gauge("perdure_leader", "1 while this process leads.", ({ state }) => one(flag(state === "leading"))),
  gauge("perdure_orchestrator_state", "1 for the state this process is in.", ({ state }) =>
    by(
      "state",
      orchestratorStates.map((name) => [name, flag(name === state)]),
    ),
  ),
  gauge("perdure_orchestrator_info", "1; says what runs and what an acknowledged write survives.", (sources) => [
    { labels: { version: sources.version, durability: sources.durability }, value: 1 },
  ]),
  gauge("perdure_nats_connected", "1 while this process is connected to NATS.", ({ isConnected }) =>
    one(flag(isConnected)),
  ),
  counter("perdure_nats_disconnects_total", "Connections to NATS that were lost.", (tally) =>
    one(tally.natsDisconnects),
  ),
  counter("perdure_nats_reconnects_total", "Connections to NATS that came back.", (tally) => one(tally.natsReconnects)),
  counter("perdure_leader_terms_total", "Terms that this process led.", (tally) => one(tally.terms)),
  counter("perdure_leader_terms_ended_total", "Terms that ended, or failed before they began.", (tally) =>
    by("reason", tally.endedTerms.entries()),
  ),
  counter("perdure_lease_renewals_total", "Tries to renew the leader's lease.", (tally) =>
    by("outcome", tally.leaseRenewals.entries()),
  ),
  counter(
    "perdure_observation_restarts_total",
    "Moments from which silence of agents was measured anew, because this process was paused or deaf.",
    (tally) => byKey("cause", tally.observationRestarts),
  ),
];

const ofConversations: readonly MetricRow[] = [
  counter("perdure_requests_total", "Requests of clients that were answered, by the code of the answer.", (tally) =>
    [...tally.answers].flatMap(([request, codes]) => withLabels(by("code", codes.entries()), { request })),
  ),
  counter("perdure_results_total", "Results handed in by agents, by what became of them.", (tally) =>
    by("code", tally.results.entries()),
  ),
  counter("perdure_agent_messages_dropped_total", "Messages of agents that could not be taken.", (tally) =>
    by("code", tally.droppedMessages.entries()),
  ),
  counter("perdure_heartbeats_total", "Heartbeats of agents.", (tally) => one(tally.core.heartbeats)),
];

const ofTasks: readonly MetricRow[] = [
  counter("perdure_tasks_submitted_total", "Tasks accepted.", ({ core }) => by("type", core.submitted.entries())),
  counter("perdure_tasks_ended_total", "Tasks that reached their end.", ({ core }) =>
    Object.entries(core.ended).flatMap(([outcome, types]) => withLabels(by("type", types.entries()), { outcome })),
  ),
  histogram("perdure_task_duration_seconds", "From a task's submission to its end.", ({ core }) =>
    byKey("outcome", core.taskSeconds),
  ),
  histogram(
    "perdure_task_queue_duration_seconds",
    "From when a task could start to its first assignment.",
    ({ core }) => one(core.queueSeconds),
  ),
  histogram("perdure_attempt_duration_seconds", "From an attempt's assignment to its end.", ({ core }) =>
    byKey("outcome", core.attemptSeconds),
  ),
  counter("perdure_attempts_total", "Attempts assigned to agents.", ({ core }) => one(core.attempts)),
  counter("perdure_attempts_failed_total", "Attempts that failed, by type of the failure.", ({ core }) =>
    by("code", core.failedAttempts.entries()),
  ),
  counter("perdure_attempts_retried_total", "Failed attempts whose task is tried again.", ({ core }) =>
    one(core.retries),
  ),
  counter(
    "perdure_assignments_resent_total",
    "Assignments sent once more, to an agent that had not answered.",
    (tally) => one(tally.core.resent),
  ),
  leaderGauge("perdure_tasks", "Unfinished tasks.", ({ tasks }) =>
    by(
      "state",
      storedTaskStates.filter((state) => !endedStates.has(state)).map((state) => [state, tasks[state]]),
    ),
  ),
  leaderGauge("perdure_queue_depth", "Tasks that could start and wait for an agent.", ({ queues }) =>
    by(
      "capability",
      queues.map(({ capability, depth }) => [capability, depth]),
    ),
  ),
  leaderGauge("perdure_queue_oldest_age_seconds", "How long the oldest of them could have started.", ({ queues }) =>
    by(
      "capability",
      queues.map(({ capability, oldestAgeS }) => [capability, oldestAgeS]),
    ),
  ),
];

const ofWorkflows: readonly MetricRow[] = [
  leaderGauge("perdure_workflow_runs", "Open runs; a workflow has one at a time.", ({ runs }) =>
    openRunStates.flatMap((state) => withLabels(by("type", runs.entries(state)), { state })),
  ),
  leaderGauge(
    "perdure_workflow_stuck_oldest_age_seconds",
    "How long the run that is stuck longest cannot go on.",
    ({ oldestStuckAgeS }) => one(oldestStuckAgeS),
  ),
  counter(
    "perdure_workflow_runs_started_total",
    "Runs begun: of new workflows, by continue-as-new, by retries.",
    (tally) => one(tally.core.runsStarted),
  ),
  counter("perdure_workflow_runs_closed_total", "Runs that closed.", ({ core }) =>
    by("outcome", core.closedRuns.entries()),
  ),
  counter("perdure_workflow_activations_answered_total", "Activations that a worker answered.", ({ core }) =>
    one(core.activationsAnswered),
  ),
  counter(
    "perdure_workflow_activations_failed_total",
    "Activations after which the run cannot go on for now, by code.",
    ({ core }) => by("code", core.failedActivations.entries()),
  ),
  counter("perdure_workflow_history_events_total", "Events appended to the histories of runs.", ({ core }) =>
    one(core.historyEvents),
  ),
];

const ofAgents: readonly MetricRow[] = [
  leaderGauge("perdure_agents", "Agents; lost and departed ones are known for seven days.", ({ agents }) =>
    by(
      "state",
      agentStates.map((state) => [state, agents[state]]),
    ),
  ),
  leaderGauge("perdure_agent_places", "Tasks that the healthy agents take at once.", ({ places }) => one(places.total)),
  leaderGauge("perdure_agent_places_taken", "Tasks that the healthy agents have.", ({ places }) => one(places.taken)),
  leaderGauge("perdure_agents_held", "Silent agents that keep their work, because most fell silent at once.", (term) =>
    one(term.heldAgents),
  ),
  counter("perdure_agent_decisions_total", "Decisions about agents.", ({ core }) =>
    by("decision", core.agents.entries()),
  ),
  leaderGauge("perdure_observer_hearing", "0 while the leader does not hear its own messages.", ({ isHearing }) =>
    one(flag(isHearing)),
  ),
];

const ofStorage: readonly MetricRow[] = [
  histogram(
    "perdure_commit_duration_seconds",
    "From a flush's append to the journal to its acknowledgement.",
    (tally) => one(tally.commitSeconds),
  ),
  histogram("perdure_flush_facts", "Facts in a flush.", (tally) => one(tally.flushFacts)),
  histogram("perdure_flush_bytes", "Size of a flush.", (tally) => one(tally.flushBytes)),
  leaderGauge("perdure_effects_outstanding", "Answers, assignments and events that wait for their flush.", (term) =>
    one(term.outstandingEffects),
  ),
  leaderGauge("perdure_journal_sequence", "Sequence of the last flush.", (term) => one(term.journalSequence)),
  leaderGauge("perdure_checkpoint_sequence", "Up to where the buckets hold what the journal says.", (term) =>
    one(term.checkpointSequence),
  ),
  leaderGauge("perdure_uncopied_records", "Records whose last change is in the journal only.", (term) =>
    one(term.uncopiedRecords),
  ),
  histogram(
    "perdure_copy_duration_seconds",
    "One copy of changed records to the buckets, checkpoint included.",
    (tally) => one(tally.copySeconds),
  ),
  counter("perdure_copied_records_total", "Records copied to the buckets.", (tally) =>
    byKey("kind", tally.copiedRecords),
  ),
  counter("perdure_copies_failed_total", "Copies that failed and are tried again.", (tally) => one(tally.failedCopies)),
  leaderGauge("perdure_recovery_duration_seconds", "How long the leader took from its lease to answering.", (term) =>
    one(term.recovery.durationS),
  ),
  leaderGauge("perdure_recovery_replayed_flushes", "Flushes it replayed then.", (term) => one(term.recovery.flushes)),
];

const ofUsage: readonly MetricRow[] = [
  counter("perdure_cost_dollars_total", "What agents say their attempts cost.", ({ core }) =>
    by("model", core.costDollars.entries()),
  ),
  counter("perdure_tokens_total", "Tokens that agents say their attempts took.", ({ core }) => [
    ...withLabels(by("model", core.inputTokens.entries()), { direction: "input" }),
    ...withLabels(by("model", core.outputTokens.entries()), { direction: "output" }),
  ]),
];

export const metricTable: readonly MetricRow[] = [
  ...ofProcess,
  ...ofConversations,
  ...ofTasks,
  ...ofWorkflows,
  ...ofAgents,
  ...ofStorage,
  ...ofUsage,
];
