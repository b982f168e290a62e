/** "tim": routes tasks by domain to the fleet, through the orchestrator, and runs the morning briefing. */
import { type Client, type TaskHandle, worker } from "perdure";
import { type BridgeOptions, startBridge } from "perdure/bridges";
import { dispatcherName, type FleetBridgeOptions, fleetBridge } from "./bridge.js";
import { newTaskId } from "./messages.js";
import { type Domain, type KnightRequest, taskTypeOf, timeoutMsDefault } from "./tasks.js";
import { morningBriefing } from "./workflows.js";

export interface DispatcherOptions extends FleetBridgeOptions {
  readonly servers: string;
  /** Of the orchestrator; default "mcp". */
  readonly namespace?: string;
  /** Default: JSON on stderr. */
  readonly logger?: BridgeOptions["logger"];
}

export interface Dispatcher {
  /** Settles when it has ended; rejects where it ended by itself, as where another process took its place. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export async function startDispatcher(options: DispatcherOptions): Promise<Dispatcher> {
  const { servers, namespace = "mcp", logger } = options;
  const bridge = await startBridge(fleetBridge(options), { servers, namespace, logger });
  try {
    const briefings = await worker({
      servers,
      namespace,
      id: `${dispatcherName}-worker`,
      workflows: [morningBriefing],
      ...(logger === undefined ? {} : { logger }),
    });
    const ended = Promise.race([briefings.closed, bridge.closed]);
    // Nobody has to look.
    ended.catch(() => undefined);
    return {
      ended,
      stop: async () => {
        await briefings.drain();
        await bridge.stop();
      },
    };
  } catch (fault) {
    await bridge.stop();
    throw fault;
  }
}

export interface Order {
  readonly domain: Domain;
  readonly task: string;
  readonly priority?: "critical" | "high" | "normal" | "low";
  /** Default: half an hour, as the knights have it. */
  readonly timeoutMs?: number;
}

/** Submits one task for the knights of a domain; the fleet and the orchestrator know it by the same id. */
export async function dispatch(client: Client, order: Order): Promise<TaskHandle> {
  const { domain, task, priority = "normal", timeoutMs = timeoutMsDefault } = order;
  const taskId = newTaskId(domain, new Date(), Math.random());
  const input: KnightRequest = { task_id: taskId, domain, task, timeout_ms: timeoutMs };
  return await client.submit({ taskId, type: taskTypeOf(domain), input, priority, retry: { maximumAttempts: 5 } });
}
