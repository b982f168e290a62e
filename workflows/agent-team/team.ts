/** Everything that a project's team consists of, in one process: streams, specialists, the workflow's worker, the bridge. */
import { type AgentOptions, worker } from "perdure";
import { connectFleet, type RunningBridge, startBridge } from "perdure/bridges";
import { teamBridge } from "./bridge.js";
import { forgetWhenPurged } from "./deployment.js";
import { investigationOf } from "./investigation.js";
import { NamespaceError, type TeamNames } from "./names.js";
import type { Screen } from "./screen/screen.js";
import { startSpecialists } from "./specialists.js";

export interface TeamOptions {
  readonly names: TeamNames;
  readonly servers: string;
  /** Where the project lies that errors are reported of. It is copied, never changed. */
  readonly projectFolder: string;
  /** Of the orchestrator; default "mcp". */
  readonly namespace?: string;
  /** Default: the rules. */
  readonly screen?: Screen;
  /** Told what goes wrong beside anybody's request. */
  readonly onFault: (fault: unknown) => void;
  /** Default: JSON lines on stderr. */
  readonly logger?: NonNullable<AgentOptions["logger"]>;
}

export interface Team {
  readonly bridge: RunningBridge;
  /** Hands back what is in hand. */
  stop(): Promise<void>;
  /** Settles when it has ended; rejects where a part of it ended by itself, as where another process took its place. */
  readonly ended: Promise<void>;
}

/** As it is where nobody says otherwise. */
const orchestratorDefault = "mcp";

/** @throws NamespaceError where the orchestrator has the project's name; PerdureError where the server or the orchestrator is not there, or streams differ in a way that would lose data */
export async function startTeam({ names, screen, projectFolder, ...options }: TeamOptions): Promise<Team> {
  const { servers, namespace, logger } = options;
  if (names.project === (namespace ?? orchestratorDefault)) {
    throw new NamespaceError(
      `"${names.project}" is the orchestrator's own namespace, which has a stream ${names.streams.results} already: give the project another one`,
    );
  }
  const connection = {
    servers,
    ...(namespace === undefined ? {} : { namespace }),
    ...(logger === undefined ? {} : { logger }),
  };
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const fleet = await connectFleet({ ...connection, name: `agent team ${names.project}` });
    stops.push(() => fleet.close());
    forgetWhenPurged(fleet, names, options.onFault);

    const specialists = await startSpecialists({ names, projectFolder, connection });
    stops.push(() => Promise.all(specialists.map((specialist) => specialist.stop())));
    const declared = teamBridge(names, screen);
    const investigators = await worker({
      ...connection,
      id: `${names.project}-orchestrator`,
      workflows: [investigationOf(names, declared)],
    });
    stops.push(() => investigators.stop());
    const bridge = await startBridge(declared, connection);
    stops.push(() => bridge.stop());
    const ended = Promise.race([fleet.closed, investigators.closed, bridge.closed]);
    // Nobody has to look.
    ended.catch(() => undefined);
    return { bridge, stop, ended };
  } catch (fault) {
    await stop();
    throw fault;
  }
}
