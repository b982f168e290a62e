/** The client SDK under the same interface as the one written by hand. */
import { type Client, connectClient, PerdureError } from "../../src/index.js";
import type { TaskView } from "../checker/history.js";
import type { Asked, ChaosClient } from "./raw-client.js";

const ANSWER_MS = 8_000;

export async function sdkClient(port: number, namespace: string): Promise<ChaosClient> {
  const client: Client = await connectClient({
    servers: `nats://127.0.0.1:${port}`,
    namespace,
    requestTimeoutMs: ANSWER_MS,
  });
  return {
    submit: ({ messageId, form, tasks, preferredAgentId }) =>
      outcomeOf(async () => {
        const options = { messageId, ...(preferredAgentId === undefined ? {} : { preferredAgentId }) };
        const [first] = tasks;
        const handles =
          form === "single" && first !== undefined
            ? [await client.submit(first, options)]
            : await client.submitAll(tasks, options);
        return handles.map(({ taskId }) => taskId);
      }),
    cancel: (taskId) => outcomeOf(() => client.cancel(taskId)),
    get: (taskId) => outcomeOf(() => client.get(taskId)),
    wait: (taskId, timeoutMs) => outcomeOf<TaskView>(() => client.wait(taskId, { timeoutMs })),
    close: () => client.close(),
  };
}

const unanswered: ReadonlySet<string> = new Set(["REQUEST_TIMED_OUT", "NO_RESPONDERS", "CONNECTION_FAILED"]);

async function outcomeOf<T>(ask: () => Promise<T>): Promise<Asked<T>> {
  try {
    return { kind: "answered", value: await ask() };
  } catch (error) {
    if (!(error instanceof PerdureError)) throw error;
    return unanswered.has(error.code) ? { kind: "unanswered" } : { kind: "refused", code: error.code };
  }
}
