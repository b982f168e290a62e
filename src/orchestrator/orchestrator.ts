/**
 * One orchestrator process: connects, stands by for the lease, leads a term, and stands by again when the term ends.
 * Which of these it may do when is the orchestrator machine's to say; what a term does is in leadership.ts.
 */
import { hostname } from "node:os";
import { createActor } from "xstate";
import { type Clock, systemClock } from "../clock.js";
import { PerdureError } from "../errors.js";
import { type Connection, connect } from "../jetstream/connection.js";
import { openJournal } from "../jetstream/journal.js";
import { LeaderLease } from "../jetstream/leader-lease.js";
import { provision, type ServerSync } from "../jetstream/provision.js";
import { openRecordStore } from "../jetstream/record-store.js";
import { openResultsReader, purgeResults } from "../jetstream/results-reader.js";
import { serve } from "../jetstream/service-endpoint.js";
import type { Logger } from "../logger.js";
import { orchestratorMachine } from "../machines/orchestrator.machine.js";
import { subjectsOf } from "../protocol/subjects.js";
import type { Durability, OrchestratorState } from "../protocol/system-message.js";
import { topologyOf } from "../protocol/topology.js";
import { version } from "../version.js";
import { type Leadership, type LeadershipEdge, startLeadership } from "./leadership.js";
import { OrchestratorSettings, type OrchestratorSettingsInput } from "./orchestrator-options.js";
