/** Runs a bridge: its topology, its members' agents, its publications, its requests, in this order, and back. */
import { agent } from "../agent/agent.js";
import { TaskFailure } from "../agent/task-failure.js";
import type { TaskHandler } from "../agent/task-handler.js";
import { type Client, connectClient } from "../client/client.js";
import { systemClock } from "../clock.js";
import { Deferred } from "../deferred.js";
import { type ConnectionOptions, connectionOptionsOf } from "../jetstream/connection-options.js";
import type { ConsumerLag } from "../jetstream/stream-access.js";
import { createLogger, type Logger, SampledLog } from "../logger.js";
import { DEFAULT_NAMESPACE } from "../protocol/ids.js";
import { durableOf } from "../protocol/topology-declaration.js";
import { check } from "../workflow/standard-schema.js";
import { type AnyPublication, type Bridge, publicationType } from "./bridge.js";
import { connectFleet } from "./connect-fleet.js";
import type { Fleet } from "./fleet.js";
import { MemberHost } from "./member-host.js";
import { sendOutgoing } from "./outgoing.js";
import { startIntake } from "./request-intake.js";

/** `servers` is where the orchestrator is, nats://localhost:4222 by default. */
export interface BridgeOptions extends ConnectionOptions {
  /** Where the fleet is, and with what to go there. Default: where the orchestrator is. */
  readonly fleet?: ConnectionOptions | undefined;
  /** Of the orchestrator; default "mcp". */
  readonly namespace?: string | undefined;
  /** Of the bridge's own agent; default `bridge-<name>`. One process at a time runs under it: a second one takes over. */
  readonly agentId?: string | undefined;
  /** Default: JSON lines on stderr, level "info". */
  readonly logger?: Logger | undefined;
}

export interface BridgeHealth {
  readonly isConnected: boolean;
  /** Of each consumer of the topology, by `<stream>/<consumer>`. */
  readonly lag: Readonly<Record<string, ConsumerLag>>;
  readonly deadLetterCount: number;
}

export interface RunningBridge {
  readonly name: string;
  readonly fleet: Fleet;
  readonly client: Client;
  /** Asks the server now. @throws PerdureError where it does not answer */
  health(): Promise<BridgeHealth>;
  /**
   * Takes no more requests and hands back what is in hand, so that the next process goes on with it. A bridge whose id
   * another process took stops by itself.
   */
  stop(): Promise<void>;
  /**
   * Settles when the bridge has ended: resolves after `stop`, rejects with a PerdureError where it ended by itself, and has
   * stopped all it did: AGENT_SUPERSEDED if another process took its id, CONNECTION_FAILED if a connection, to the fleet or to
   * the orchestrator, closed for good.
   */
  readonly closed: Promise<void>;
}

/** How often the figures that the bridge's heartbeats carry are read. */
const FIGURES_INTERVAL_MS = 5_000;
/** Publications under way at a time. */
const PUBLICATIONS_MAX = 100;
/** Nothing of a bridge's work is in its own memory only, so waiting for it to end gains nothing. */
const STOP_PATIENCE_MS = 0;

/** @throws PerdureError as `connectFleet` and `Agent.start` do */
export async function startBridge(bridge: Bridge, options: BridgeOptions = {}): Promise<RunningBridge> {
  const logger = (options.logger ?? createLogger("info")).child({ bridge: bridge.name });
  const namespace = options.namespace ?? DEFAULT_NAMESPACE;
  const agentOptions = { ...connectionOptionsOf(options), namespace };
  const fleet = await connectFleet({
    ...connectionOptionsOf(options.fleet ?? options),
    name: `bridge ${bridge.name}`,
    namespace,
    topology: bridge.declared.topology,
    logger,
  });
  const stops: (() => Promise<unknown>)[] = [() => fleet.close()];
  const ended = new Deferred();
  let fault: Error | undefined;
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= runInOrder([() => fleet.stopConsuming(STOP_PATIENCE_MS), ...stops]).finally(() =>
      fault === undefined ? ended.resolve() : ended.reject(fault),
    );
    return stopped;
  };
  const stopUnasked = (): Promise<void> =>
    stop().catch((error: unknown) => logger.error({ err: error }, "a bridge could not be stopped in order"));
  try {
    const client = await connectClient({ ...agentOptions, name: `bridge ${bridge.name}`, logger });
    stops.unshift(() => client.close());
    const parts = { bridge: bridge.name, fleet, client, clock: systemClock, logger, agentOptions };
    const figures = readFigures(bridge, fleet, logger);
    stops.unshift(async () => figures.stop());
    for (const [name, rule] of Object.entries(bridge.declared.members ?? {})) {
      const host = await MemberHost.start(name, rule, parts);
      stops.unshift(() => host.stop());
    }
    const own = agent(options.agentId ?? `bridge-${bridge.name}`, {
      ...agentOptions,
      tasks: Object.fromEntries(
        Object.entries(bridge.declared.publications ?? {}).map(([name, rule]) => [
          publicationType(bridge.name, name),
          publishing(fleet, rule),
        ]),
      ),
      maxConcurrentTasks: PUBLICATIONS_MAX,
      metadata: { bridge: bridge.name },
      metrics: () => figures.latest(),
      logger,
    });
    stops.unshift(() => own.stop());
    await own.start();
    for (const [name, rule] of Object.entries(bridge.declared.requests ?? {})) await startIntake(name, rule, parts);
    // Whoever knows that the bridge runs may speak to it.
    await fleet.flush();
    // Of two that go on, one would be given the answers that the other waits for; one without a fleet does nothing.
    Promise.all([own.closed, fleet.closed]).catch((error: Error) => {
      if (stopped !== undefined) return;
      logger.error(
        { err: error },
        "a part of the bridge ended, and the bridge stops; a process that took its id goes on",
      );
      fault = error;
      void stopUnasked();
    });
    return {
      name: bridge.name,
      fleet,
      client,
      health: () => healthOf(bridge, fleet),
      stop,
      closed: ended.promise,
    };
  } catch (error) {
    await stopUnasked();
    throw error;
  }
}

/** All of them, whatever fails: nothing is left open. @throws the first fault */
async function runInOrder(stops: readonly (() => Promise<unknown>)[]): Promise<void> {
  const faults: unknown[] = [];
  for (const stop of stops) await stop().catch((fault: unknown) => faults.push(fault));
  if (faults.length > 0) throw faults[0];
}

function publishing(fleet: Fleet, rule: AnyPublication): TaskHandler {
  return async (context, input) => {
    const body = check(rule.schema, input);
    if (!body.ok)
      throw new TaskFailure(`its input is wrong: ${body.message}`, { type: "TASK_INPUT_INVALID", nonRetryable: true });
    await sendOutgoing(fleet, rule.to(body.value), { taskId: context.taskId, traceparent: context.traceparent });
  };
}

async function healthOf(bridge: Bridge, fleet: Fleet): Promise<BridgeHealth> {
  const consumers = Object.entries(bridge.declared.topology?.consumers ?? {});
  const lags = await Promise.all(
    consumers.map(async ([key, declared]) => {
      const { stream } = declared;
      const durable = durableOf(key, declared);
      return [`${stream}/${durable}`, await fleet.lag(stream, durable)] as const;
    }),
  );
  return {
    isConnected: fleet.isConnected,
    lag: Object.fromEntries(lags),
    deadLetterCount: await fleet.deadLetters.count(),
  };
}

/** For heartbeats, which do not wait: what was read last. */
function readFigures(bridge: Bridge, fleet: Fleet, logger: Logger) {
  const unread = new SampledLog(logger, "warn", "the figures of a bridge cannot be read now");
  let latest: Readonly<Record<string, number>> = {};
  const read = async (): Promise<void> => {
    try {
      const { lag, deadLetterCount } = await healthOf(bridge, fleet);
      const pending = Object.entries(lag).map(([consumer, { pending }]) => [`pending ${consumer}`, pending]);
      latest = { ...Object.fromEntries(pending), "dead letters": deadLetterCount };
    } catch (error) {
      unread.write({ err: error });
    }
  };
  void read();
  const timer = setInterval(() => void read(), FIGURES_INTERVAL_MS);
  timer.unref();
  return { latest: () => latest, stop: () => clearInterval(timer) };
}
