/**
 * Members of the fleet as they were before Perdure, written from the fleet's own documents: plain NATS and JSON on a raw
 * socket, without a line of ours.
 */
import type { RawMessage, RawNats, RawSubscription } from "../../support/raw-nats.js";

export type Json = Readonly<Record<string, unknown>>;

export const jsonOf = (message: RawMessage): Json => JSON.parse(message.data.toString()) as Json;

/** Asks JetStream; throws what it refuses. */
export async function askJetStream(nats: RawNats, subject: string, body: Json = {}): Promise<Json> {
  const answer = jsonOf(await nats.request(`$JS.API.${subject}`, JSON.stringify(body)));
  const { error } = answer;
  if (error !== undefined) throw new Error(`${subject}: ${JSON.stringify(error)}`);
  return answer;
}

export async function configOf(nats: RawNats, subject: string): Promise<Json> {
  return (await askJetStream(nats, subject))["config"] as Json;
}

/** As the fleet was set up by hand. */
export async function setUpStreams(nats: RawNats): Promise<void> {
  const common = { storage: "file", num_replicas: 1 };
  await askJetStream(nats, "STREAM.CREATE.fleet_a_tasks", {
    ...{ ...common, name: "fleet_a_tasks", subjects: ["fleet-a.tasks.>"], retention: "workqueue" },
  });
  await askJetStream(nats, "STREAM.CREATE.fleet_a_results", {
    ...{ ...common, name: "fleet_a_results", subjects: ["fleet-a.results.>"], retention: "limits" },
  });
}

export async function removeStreams(nats: RawNats): Promise<void> {
  for (const stream of ["fleet_a_tasks", "fleet_a_results"]) {
    // Not every test has both.
    await nats.request(`$JS.API.STREAM.DELETE.${stream}`, "");
  }
}

export const messageCount = async (nats: RawNats, stream: string): Promise<unknown> =>
  ((await askJetStream(nats, `STREAM.INFO.${stream}`))["state"] as Json)["messages"];

let taskCount = 0;

/** A dispatcher: publishes tasks and hears every result. */
export class OldDispatcher {
  readonly nats: RawNats;
  readonly results: RawSubscription;

  constructor(nats: RawNats) {
    this.nats = nats;
    this.results = nats.subscribe("fleet-a.results.>");
  }

  /** Returns the task's id. */
  async dispatch(domain: string, change: Json = {}): Promise<string> {
    taskCount += 1;
    const taskId = `${domain}-1771813755-${33_254 + taskCount}`;
    const task = {
      task: "What is to be done first?",
      task_id: taskId,
      domain,
      dispatched_by: "tim",
      timestamp: "2026-02-23T02:29:15.000Z",
      metadata: { priority: "normal", timeout_ms: 20_000 },
      ...change,
    };
    await this.publish(domain, taskId, JSON.stringify(task));
    return taskId;
  }

  /** Resolves when the stream has it. */
  async publish(domain: string, taskId: string, body: string | Uint8Array): Promise<void> {
    const ack = jsonOf(await this.nats.request(`fleet-a.tasks.${domain}.${taskId}`, body));
    if (ack["stream"] !== "fleet_a_tasks") throw new Error(`the task was not stored: ${JSON.stringify(ack)}`);
  }

  async result(taskId: string): Promise<Json> {
    const subject = `fleet-a.results.${taskId}`;
    return jsonOf(await this.results.first(`the result of ${taskId}`, (message) => message.subject === subject));
  }

  resultsOf(taskId: string): readonly Json[] {
    return this.results.received.filter(({ subject }) => subject === `fleet-a.results.${taskId}`).map(jsonOf);
  }
}

export interface TakenTask {
  readonly subject: string;
  readonly body: Json;
  readonly headers: ReadonlyMap<string, string>;
}

/** A knight: a durable pull consumer, an acknowledgement at once, and a result. */
export class OldKnight {
  readonly name: string;
  readonly #nats: RawNats;

  private constructor(name: string, nats: RawNats) {
    this.name = name;
    this.#nats = nats;
  }

  static async join(nats: RawNats, name: string, domain: string): Promise<OldKnight> {
    await askJetStream(nats, `CONSUMER.DURABLE.CREATE.fleet_a_tasks.${name}-consumer`, {
      stream_name: "fleet_a_tasks",
      config: {
        durable_name: `${name}-consumer`,
        filter_subject: `fleet-a.tasks.${domain}.>`,
        ack_policy: "explicit",
        max_deliver: 1,
        ack_wait: 30_000_000_000,
        deliver_policy: "all",
      },
    });
    return new OldKnight(name, nats);
  }

  async take(): Promise<TakenTask> {
    const next = `$JS.API.CONSUMER.MSG.NEXT.fleet_a_tasks.${this.name}-consumer`;
    const message = await this.#nats.request(next, JSON.stringify({ batch: 1, expires: 9_000_000_000 }));
    if (message.reply === null) throw new Error(`no task for ${this.name}: ${message.status}`);
    this.#nats.publish(message.reply, "+ACK");
    return { subject: message.subject, body: jsonOf(message), headers: message.headers };
  }

  answer(taskId: string, change: Json = {}): void {
    const result = {
      task_id: taskId,
      knight: this.name,
      success: true,
      result: "# Done\n\nAll is well.",
      duration_ms: 1_234,
      cost: 0.0125,
      tokens: { input: 900, output: 150 },
      model: "small-1",
      timestamp: "2026-02-23T02:30:15.000Z",
      ...change,
    };
    this.#nats.publish(`fleet-a.results.${taskId}`, JSON.stringify(result));
  }
}
