/** The edge one term works on: the journal, buckets, results and requests of one namespace. */
import type { PerdureError } from "../errors.js";
import type { Connection } from "../jetstream/connection.js";
import { openJournal } from "../jetstream/journal.js";
import { RecordStore } from "../jetstream/record-store.js";
import { ResultsReader } from "../jetstream/results-reader.js";
import { serve } from "../jetstream/service-endpoint.js";
import type { Logger } from "../logger.js";
import { encodeServiceMetadata } from "../protocol/service-metadata.js";
import { subjectsOf } from "../protocol/subjects.js";
import { topologyOf } from "../protocol/topology.js";
import { version } from "../version.js";
import type { LeadershipEdge } from "./leadership.js";
import type { OrchestratorSettings } from "./orchestrator-options.js";

export interface EdgeOptions {
  readonly settings: OrchestratorSettings;
  readonly logger: Logger;
  /** Something the term cannot go on without has failed for good. */
  readonly onFailed: (error: PerdureError) => void;
}

export function edgeOf(connection: Connection, { settings, logger, onFailed }: EdgeOptions): LeadershipEdge {
  const { namespace } = settings;
  const topology = topologyOf(namespace);
  const bucketOf = ({ bucket }: { readonly bucket: string }) => new RecordStore(connection, { bucket, logger });
  return {
    connection,
    openJournal: (highWaterMark) =>
      openJournal(connection, {
        stream: topology.journal.name,
        subject: subjectsOf(namespace).journal,
        highWaterMark,
        logger,
      }),
    buckets: {
      tasks: bucketOf(topology.tasks),
      endedTasks: bucketOf(topology.endedTasks),
      runs: bucketOf(topology.runs),
      histories: bucketOf(topology.histories),
      agents: bucketOf(topology.agents),
      meta: bucketOf(topology.meta),
    },
    readResults: (after, onResult) =>
      new ResultsReader(connection, { stream: topology.results.name, after, onResult, onFailed, logger }),
    serve: (endpoints) =>
      serve(connection, {
        version,
        description: "Perdure orchestrator: submit tasks and ask about them.",
        metadata: encodeServiceMetadata(settings),
        endpoints,
        logger,
      }),
  };
}
