/**
 * An agent that keeps every rule but those it is told to break: what an author's first version looks like, one mistake at
 * a time. It sleeps as long as its input says and answers with that.
 */
import { randomUUID } from "node:crypto";
import { connect, type Socket } from "node:net";
import { type Frame, FrameReader } from "../../../workflows/any-language/nats-frames.js";
import type { AgentAtHand } from "../../../workflows/any-language/rule.js";
import { untilSome } from "../../support/until.js";

export type Flaw =
  | "stays away once cut off"
  | "registers once"
  | "is another instance each time"
  | "heartbeats when it likes"
  | "says nothing of incarnation and tokens"
  | "answers twice"
  | "keeps the token to itself"
  | "takes a chunk for a message"
  | "searches for the task id"
  | "does not know headers"
  | "answers no ping"
  | "dies of what it cannot read"
  | "takes others' assignments"
  | "obeys whoever speaks"
  | "hands in once"
  | "hands in for ever"
  | "takes an error for an acknowledgement"
  | "answers an assignment once"
  | "runs what it has in hand"
  | "runs what it answered"
  | "leaves out the tokens"
  | "goes on when cancelled"
  | "stops for any cancellation"
  | "hands in what was taken away"
  | "takes what it has no room for"
  | "dies of wrong input"
  | "leaves without a word"
  | "takes its id back"
  | "lives on without an id"
  | "writes timestamps as text"
  | "registers before it listens";

interface Task {
  readonly taskId: string;
  readonly attempt: number;
  readonly token: string;
  readonly incarnation?: number;
  readonly input?: { readonly seconds?: unknown };
}

interface Heard {
  readonly task?: Task;
  readonly status?: {
    readonly agentId: string;
    readonly state: string;
    readonly token?: string;
    readonly incarnation?: number;
    readonly heartbeatIntervalMs?: number;
  };
  readonly cancel?: readonly string[];
  readonly seq?: number;
  readonly error?: unknown;
}

const PLACES = 2;

export class SloppyAgent implements AgentAtHand {
  readonly isOurs = true;
  readonly lastWords = "";
  end: string | null = "not started";
  readonly #flaws: ReadonlySet<Flaw>;
  readonly #url: URL;
  readonly #namespace: string;
  readonly #id = "sloppy-1";
  readonly #instanceId = randomUUID();
  readonly #inbox = `_INBOX.${randomUUID()}`;
  #socket: Socket | null = null;
  #incarnation: number | null = null;
  #intervalMs = 200;
  #beat: NodeJS.Timeout | null = null;
  #again: NodeJS.Timeout | null = null;
  #reconnect: NodeJS.Timeout | null = null;
  readonly #inHand = new Map<string, { readonly task: Task; readonly timer: NodeJS.Timeout }>();
  readonly #unacknowledged = new Map<string, string>();
  readonly #answered = new Map<string, string>();
  #draining = false;

  constructor(url: string, namespace: string, ...flaws: readonly Flaw[]) {
    this.#url = new URL(url);
    this.#namespace = namespace;
    this.#flaws = new Set(flaws);
  }

  start(): void {
    if (this.end === null) return;
    this.end = null;
    this.#draining = false;
    this.#incarnation = null;
    this.#connect();
    this.#again = setInterval(() => {
      if (this.#incarnation === null && !this.#flaws.has("registers once")) this.#register();
      if (!this.#flaws.has("hands in once")) for (const token of this.#unacknowledged.keys()) this.#handIn(token);
      if (this.#draining && this.#inHand.size === 0 && this.#unacknowledged.size === 0) this.#leave("exit status 0");
    }, 150);
  }

  send(): void {
    if (this.#flaws.has("leaves without a word")) this.stop("killed by SIGTERM");
    this.#draining = true;
    this.#report("draining");
  }

  ended(limitMs: number): Promise<string | null> {
    return untilSome("it ends", () => this.end, { deadlineMs: limitMs }).catch(() => null);
  }

  missing(): string | null {
    return this.end === null ? null : `the agent has ended: ${this.end}`;
  }

  stop(end: string): void {
    this.end ??= end;
    for (const timer of [this.#beat, this.#again, this.#reconnect]) if (timer !== null) clearTimeout(timer);
    for (const { timer } of this.#inHand.values()) clearTimeout(timer);
    this.#inHand.clear();
    this.#socket?.destroy();
  }

  #leave(end: string): void {
    this.#report("idle");
    const socket = this.#socket;
    this.#socket = null;
    socket?.end();
    this.stop(end);
  }

  #connect(): void {
    const socket = connect({ host: this.#url.hostname, port: Number(this.#url.port), noDelay: true });
    this.#socket = socket;
    let reader = new FrameReader();
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      if (this.end !== null || this.#flaws.has("stays away once cut off")) return;
      this.#reconnect = setTimeout(() => this.#connect(), 100);
    });
    socket.on("data", (chunk) => {
      if (this.#flaws.has("takes a chunk for a message")) reader = new FrameReader();
      for (const frame of reader.read(chunk)) this.#follow(frame);
    });
    socket.write('CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n');
    if (this.#flaws.has("registers before it listens") && this.#incarnation === null) this.#register();
    for (const [index, subject] of [`${this.#prefix}.task`, `${this.#prefix}.status`, `${this.#inbox}.>`].entries()) {
      socket.write(`SUB ${subject} ${index + 1}\r\n`);
    }
    if (this.#incarnation === null) this.#register();
    else this.#heartbeat();
  }

  get #prefix(): string {
    return `${this.#namespace}.agent.${this.#id}`;
  }

  #follow({ operation, words, payload, headerBytes }: Frame): void {
    if (operation === "PING" && !this.#flaws.has("answers no ping")) this.#socket?.write("PONG\r\n");
    if (operation !== "MSG" && operation !== "HMSG") return;
    if (operation === "HMSG" && this.#flaws.has("does not know headers")) return;
    const body = payload.subarray(headerBytes).toString();
    try {
      this.#hear(words[0] ?? "", JSON.parse(body) as Heard, body);
    } catch {
      if (this.#flaws.has("dies of what it cannot read") && body !== "") this.stop("exit status 1");
    }
  }

  #hear(subject: string, heard: Heard, body: string): void {
    if (subject === `${this.#prefix}.task` && heard.task?.token !== undefined) this.#take(heard.task, body);
    else if (subject === `${this.#prefix}.status`) this.#obey(heard);
    else if (subject.startsWith(`${this.#inbox}.result.`)) this.#acknowledge(subject.split(".").at(-1) ?? "", heard);
    else if (subject.startsWith(`${this.#inbox}.`)) this.#obeyAnswer(heard);
  }

  #obey({ status }: Heard): void {
    const isOurs = status?.agentId === this.#id;
    if (this.#flaws.has("obeys whoever speaks") && !isOurs && status?.state === "reregister") this.#register();
    if (!isOurs) return;
    if (status?.state === "cancel") {
      const found = [...this.#inHand.keys()].find(
        (token) => token === status.token || this.#flaws.has("stops for any cancellation"),
      );
      if (found !== undefined && !this.#flaws.has("goes on when cancelled")) this.#finish(found, "cancelled");
    } else if (status?.state === "superseded" || status?.state === "reregister") {
      this.#heartbeat();
    }
  }

  #obeyAnswer({ status, cancel }: Heard): void {
    for (const token of cancel ?? []) {
      if (!this.#flaws.has("hands in what was taken away")) this.#drop(token);
    }
    if (status?.state === "registered" && this.#incarnation === null) {
      this.#incarnation = status.incarnation ?? 1;
      this.#intervalMs = this.#flaws.has("heartbeats when it likes") ? 2_500 : (status.heartbeatIntervalMs ?? 1_000);
      this.#heartbeat();
    } else if (status?.state === "reregister" && this.#incarnation !== null) {
      this.#incarnation = null;
      this.#register();
    } else if (status?.state === "superseded") {
      if (this.#flaws.has("takes its id back")) this.#register();
      else if (!this.#flaws.has("lives on without an id")) this.stop("exit status 1");
    }
  }

  #acknowledge(token: string, { seq }: Heard): void {
    if (seq === undefined && !this.#flaws.has("takes an error for an acknowledgement")) return;
    if (!this.#flaws.has("hands in for ever")) this.#unacknowledged.delete(token);
  }

  #take(task: Task, body: string): void {
    const { token } = task;
    const isOther = task.incarnation !== undefined && task.incarnation !== this.#incarnation;
    if (isOther && !this.#flaws.has("takes others' assignments")) return;
    const answer = this.#answered.get(token);
    if (answer !== undefined && !this.#flaws.has("runs what it answered")) {
      if (this.#flaws.has("answers an assignment once")) return;
      this.#unacknowledged.set(token, answer);
      this.#handIn(token);
      return;
    }
    const inHand = this.#inHand.has(token) && !this.#flaws.has("runs what it has in hand");
    this.#report(
      this.#inHand.size >= PLACES && !inHand && !this.#flaws.has("takes what it has no room for")
        ? "released"
        : "accepted",
      task,
    );
    if (inHand || (this.#inHand.size >= PLACES && !this.#flaws.has("takes what it has no room for"))) return;
    const seconds = task.input?.seconds;
    if (typeof seconds !== "number") {
      if (this.#flaws.has("dies of wrong input")) this.stop("exit status 1");
      this.#answer(task, { status: "failed", error: { type: "Wrong", message: "seconds is no number" } });
      return;
    }
    const taskId = this.#flaws.has("searches for the task id") ? lastIdIn(body) : task.taskId;
    const timer = setTimeout(
      () => this.#answer({ ...task, taskId }, { status: "completed", output: seconds }),
      seconds * 1_000,
    );
    this.#inHand.set(token, { task, timer });
  }

  #finish(token: string, status: string): void {
    const work = this.#inHand.get(token);
    if (work === undefined) return;
    clearTimeout(work.timer);
    this.#answer(work.task, { status });
  }

  #drop(token: string): void {
    const work = this.#inHand.get(token);
    if (work !== undefined) clearTimeout(work.timer);
    this.#inHand.delete(token);
  }

  #answer(task: Task, outcome: object): void {
    const { token, taskId, attempt } = task;
    this.#inHand.delete(token);
    const named = this.#flaws.has("keeps the token to itself") ? {} : { token };
    const result = { taskId, attempt, ...named, agentId: this.#id, ...outcome };
    const body = this.#message({ result });
    this.#unacknowledged.set(token, body);
    this.#answered.set(token, body);
    this.#handIn(token);
    if (this.#flaws.has("answers twice")) {
      this.#publish(`${this.#prefix}.result`, "", this.#message({ result: { ...result, output: "something else" } }));
    }
  }

  #handIn(token: string): void {
    const body = this.#unacknowledged.get(token);
    if (body !== undefined) this.#publish(`${this.#prefix}.result`, `${this.#inbox}.result.${token}`, body);
  }

  #register(): void {
    const instanceId = this.#flaws.has("is another instance each time") ? randomUUID() : this.#instanceId;
    const registration = { agentId: this.#id, instanceId, capabilities: ["nap"], maxConcurrentTasks: PLACES };
    this.#publish(`${this.#namespace}.agent.register`, `${this.#inbox}.register`, this.#message({ registration }));
  }

  #heartbeat(): void {
    if (this.#beat !== null) clearTimeout(this.#beat);
    this.#beat = setTimeout(() => this.#heartbeat(), this.#intervalMs);
    if (this.#incarnation === null) return;
    const tokens = this.#flaws.has("leaves out the tokens")
      ? []
      : [...this.#inHand.keys(), ...this.#unacknowledged.keys()];
    const more = this.#flaws.has("says nothing of incarnation and tokens")
      ? {}
      : { incarnation: this.#incarnation, tokens };
    this.#publish(
      `${this.#prefix}.heartbeat`,
      `${this.#inbox}.beat`,
      this.#message({ agentId: this.#id, metrics: {}, ...more }),
    );
  }

  #report(state: string, task?: Task): void {
    const attempt = task === undefined ? {} : { taskId: task.taskId, token: task.token };
    this.#publish(`${this.#prefix}.status`, "", this.#message({ status: { agentId: this.#id, state, ...attempt } }));
  }

  #message(fields: object): string {
    const timestamp = this.#flaws.has("writes timestamps as text") ? new Date().toISOString() : Date.now();
    return JSON.stringify({ messageId: randomUUID(), timestamp, ...fields });
  }

  #publish(subject: string, reply: string, body: string): void {
    if (this.#socket?.writable === true) {
      this.#socket.write(`PUB ${subject} ${reply} ${Buffer.byteLength(body)}\r\n${body}\r\n`);
    }
  }
}

/** As somebody finds it who looks for `"taskId":"` in the text. */
function lastIdIn(body: string): string {
  return [...body.matchAll(/"taskId":"([^"]*)"/g)].at(-1)?.[1] ?? "";
}
