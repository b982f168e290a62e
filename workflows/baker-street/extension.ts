/**
 * An extension: announces its tools, beats, does what it is called for, and says goodbye. It knows the fleet only, and
 * neither the engine nor the bridge.
 */
import type { Fleet } from "perdure/bridges";
import { beat } from "./health.js";
import { Handoff, subject, ToolCall } from "./messages.js";
import { RecentAnswers } from "./recent-answers.js";
import { contextOfItsOwn, type Tracing } from "./tracing.js";

/** What it returns is the tool's output, what it throws its error. */
export type Tool = (input: unknown, call: { readonly signal: AbortSignal }) => unknown;

export interface ExtensionOptions {
  readonly fleet: Fleet;
  readonly id: string;
  readonly tools: Readonly<Record<string, Tool>>;
  readonly tracing: Tracing;
  readonly heartbeatMs: number;
  /** Calls at a time. */
  readonly maxConcurrent?: number;
}

type Answer = { readonly output: unknown } | { readonly error: { readonly type: string; readonly message: string } };

const ERROR_LENGTH_MAX = 10_000;

export class Extension {
  readonly #options: ExtensionOptions;
  readonly #stopping = new AbortController();
  readonly #answers = new RecentAnswers<Answer>();
  readonly #ends: readonly (() => void)[];
  #called = 0;

  constructor(options: ExtensionOptions) {
    this.#options = options;
    const { fleet, id, heartbeatMs } = options;
    const calls = fleet.listen(subject.toolCall(id), ToolCall, ({ body, header }) => {
      void this.#answer(body, header("traceparent"));
    });
    // One that has just become active may never have heard of it.
    const handoffs = fleet.listen(subject.handoff, Handoff, ({ body }) => {
      if (body.phase === "tookOver") this.#announce();
    });
    this.#announce();
    const timer = setInterval(() => this.#beat(), heartbeatMs);
    const endHealth = beat(fleet, { service: "extension", id, intervalMs: heartbeatMs });
    this.#ends = [() => calls.unsubscribe(), () => handoffs.unsubscribe(), () => clearInterval(timer), endHealth];
  }

  /** Says goodbye; what is being done is aborted. */
  stop(): void {
    const { fleet, id } = this.#options;
    for (const end of this.#ends) end();
    fleet.send(subject.deregister, { id, timestamp: new Date().toISOString() }, contextOfItsOwn());
    this.#stopping.abort(new Error(`extension ${id} was stopped`));
  }

  #announce(): void {
    const { fleet, id, tools, maxConcurrent = 10 } = this.#options;
    const capabilities = Object.keys(tools);
    const timestamp = new Date().toISOString();
    fleet.send(subject.announce, { id, capabilities, maxConcurrent, timestamp }, contextOfItsOwn());
  }

  #beat(): void {
    const { fleet, id } = this.#options;
    const timestamp = new Date().toISOString();
    fleet.send(subject.heartbeat, { id, metrics: { called: this.#called }, timestamp }, contextOfItsOwn());
  }

  async #answer({ callId, tool, input, resultSubject }: ToolCall, traceparent: string | undefined): Promise<void> {
    const { fleet, tracing, id } = this.#options;
    const hop = tracing.hop(`tool ${tool}`, "receive", traceparent, { "baker.extension": id, "baker.call": callId });
    const answer = await this.#answers.give(callId, () => this.#do(tool, input));
    const say = (said: Answer): void =>
      fleet.send(
        resultSubject ?? subject.toolResult(callId),
        { callId, status: "error" in said ? "failed" : "completed", ...said, timestamp: new Date().toISOString() },
        { headers: { traceparent: hop.traceparent } },
      );
    hop.end("error" in answer ? answer.error.message : undefined);
    try {
      say(answer);
    } catch (fault) {
      // More than a message may have, or nothing that JSON has a form for.
      say({ error: errorOf(fault) });
    }
  }

  async #do(name: string, input: unknown): Promise<Answer> {
    this.#called += 1;
    const tool = this.#options.tools[name];
    if (tool === undefined) {
      return { error: { type: "TOOL_UNKNOWN", message: `extension ${this.#options.id} has no tool "${name}"` } };
    }
    try {
      return { output: (await tool(input, { signal: this.#stopping.signal })) ?? null };
    } catch (thrown) {
      return { error: errorOf(thrown) };
    }
  }
}

function errorOf(thrown: unknown): { readonly type: string; readonly message: string } {
  const fault = thrown instanceof Error ? thrown : new Error(String(thrown));
  return { type: fault.name, message: fault.message.slice(0, ERROR_LENGTH_MAX) };
}
