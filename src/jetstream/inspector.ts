/**
 * Asks a server, and whoever serves on it, about themselves: for people who diagnose. Each question has a time limit and
 * an outcome, which may be that there is no answer and why; nothing here throws for what is wrong on the other side.
 */
import { PermissionViolationError } from "@nats-io/transport-node";
import { z } from "zod";
import type { Clock } from "../clock.js";
import { PerdureError } from "../errors.js";
import { decodeMessage } from "../protocol/decode.js";
import type { Connection, Message, Subscription } from "./connection.js";
import { natsOf } from "./nats-of.js";

/** Why something is not known. `refused` by whoever was asked; `denied` by the permissions of the user who asked. */
export type Unknowable = "nobody" | "silent" | "denied" | "refused" | "unreadable" | "lost" | "notAsked";

export interface NotKnown {
  readonly known: false;
  readonly reason: Unknowable;
  /** Completes "not checked: ...". */
  readonly why: string;
  /** Of a refusal: JetStream's number or our code. */
  readonly code?: number | string;
}

export type Known<T> = { readonly known: true; readonly value: T } | NotKnown;

export const known = <T>(value: T): Known<T> => ({ known: true, value });

export const notKnown = (reason: Unknowable, why: string, code?: number | string): NotKnown =>
  code === undefined ? { known: false, reason, why } : { known: false, reason, why, code };

/** An answer with when it was given, as far as this side can tell. */
export interface Timed<T> {
  readonly value: T;
  /** Half-way between question and answer, epoch milliseconds of our clock. */
  readonly heardAt: number;
  readonly roundTripMs: number;
}

export interface InspectorOptions {
  /** Of each question. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Aborted when nothing will be answered any more. Its reason is the sentence that says why. */
  readonly signal: AbortSignal;
}

/** Answers of several come at about the same time; this long after the last one nobody else is expected. */
const QUIET_MS = 250;

/** Nobody has a use for the ten-thousandth answer. */
const ANSWERS_MAX = 1_000;

export class Inspector {
  readonly connection: Connection;
  readonly #options: InspectorOptions;
  /** Subjects that the server did not let this user publish to. */
  readonly #denied = new Set<string>();
  readonly #onDenied = new Set<(subject: string) => void>();

  constructor(connection: Connection, options: InspectorOptions) {
    this.connection = connection;
    this.#options = options;
    void this.#watchDenials();
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  get signal(): AbortSignal {
    return this.#options.signal;
  }

  /** Subjects that could not be asked on for lack of rights. */
  get deniedSubjects(): readonly string[] {
    return [...this.#denied];
  }

  /**
   * Whether the server answers at all, and may answer us: a ping, behind a subscription to a reply subject. Resolves with
   * the round trip, milliseconds.
   */
  async ping(): Promise<Known<number>> {
    const { timeoutMs, clock, signal } = this.#options;
    const inbox = this.connection.newInbox();
    let isRefused = false;
    let timer: NodeJS.Timeout | undefined;
    const subscription = this.connection.subscribe(inbox, () => undefined, {
      onRefused: () => {
        isRefused = true;
      },
    });
    const startedAt = clock.monotonicNow();
    const timedOut = new Promise<"silent">((resolve) => {
      timer = setTimeout(() => resolve("silent"), timeoutMs);
    });
    try {
      const outcome = await Promise.race([this.connection.flush().then(() => "answered" as const), timedOut]);
      if (outcome === "silent") return notKnown("silent", `the server did not answer a ping within ${timeoutMs} ms`);
      if (isRefused) return notKnown("denied", `this user may not subscribe to ${inbox}, where answers would come`);
      return known(clock.monotonicNow() - startedAt);
    } catch (error) {
      return signal.aborted ? this.#lost() : this.#fault("ping", error);
    } finally {
      clearTimeout(timer);
      subscription.unsubscribe();
    }
  }

  /** One question, one answer that fits `schema`; an answer with an `error` is a refusal. */
  async ask<S extends z.ZodType>(subject: string, body: object, schema: S): Promise<Known<z.infer<S>>> {
    const timed = await this.askTimed(subject, body, schema);
    return timed.known ? known(timed.value.value) : timed;
  }

  async askTimed<S extends z.ZodType>(subject: string, body: object, schema: S): Promise<Known<Timed<z.infer<S>>>> {
    const { timeoutMs, clock, signal } = this.#options;
    if (signal.aborted) return this.#lost();
    const sentAt = clock.now();
    const startedAt = clock.monotonicNow();
    try {
      const message = await this.connection.request(subject, JSON.stringify(body), { timeoutMs, signal });
      const roundTripMs = clock.monotonicNow() - startedAt;
      const answer = readAnswer(subject, message, schema);
      return answer.known ? known({ value: answer.value, heardAt: sentAt + roundTripMs / 2, roundTripMs }) : answer;
    } catch (error) {
      return this.#fault(subject, error);
    }
  }

  /** Everybody's answers to one question; none is an empty list, unless it is known why. */
  async askAll(subject: string, body: object): Promise<Known<readonly Timed<Message>[]>> {
    const { timeoutMs, clock, signal } = this.#options;
    if (signal.aborted) return this.#lost();
    const answers: Timed<Message>[] = [];
    const sentAt = clock.now();
    const startedAt = clock.monotonicNow();
    const inbox = this.connection.newInbox();
    let subscription: Subscription | undefined;
    const denied = await new Promise<boolean>((resolve) => {
      const onDenied = (named: string): void => (named === subject ? end(true) : undefined);
      const end = (wasDenied: boolean): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        this.#onDenied.delete(onDenied);
        resolve(wasDenied);
      };
      const onAbort = (): void => end(false);
      let timer = setTimeout(() => end(false), timeoutMs);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#onDenied.add(onDenied);
      subscription = this.connection.subscribe(inbox, (message) => {
        if (message.statusCode === 503) return end(false);
        const roundTripMs = clock.monotonicNow() - startedAt;
        answers.push({ value: message, heardAt: sentAt + roundTripMs / 2, roundTripMs });
        clearTimeout(timer);
        timer = setTimeout(() => end(false), QUIET_MS);
        return answers.length >= ANSWERS_MAX ? end(false) : undefined;
      });
      try {
        this.connection.publish(subject, JSON.stringify(body), { reply: inbox });
      } catch {
        // The connection is closed for good, which whoever aborts the signal says.
        end(false);
      }
    });
    subscription?.unsubscribe();
    if (denied) return deniedOn(subject);
    if (answers.length === 0 && signal.aborted) return this.#lost();
    return known(answers);
  }

  #lost(): NotKnown {
    return notKnown("lost", String(this.#options.signal.reason));
  }

  #fault(subject: string, error: unknown): NotKnown {
    if (this.#options.signal.aborted) return this.#lost();
    if (!(error instanceof PerdureError)) throw error;
    switch (error.code) {
      case "NO_RESPONDERS":
        return notKnown("nobody", `nobody listens on ${subject}`);
      case "REQUEST_TIMED_OUT":
        return notKnown("silent", `no answer on ${subject} within ${this.#options.timeoutMs} ms`);
      case "PERMISSION_DENIED":
        this.#denied.add(subject);
        return deniedOn(subject);
      case "CONNECTION_FAILED":
        return notKnown("lost", "the connection was closed");
      default:
        return notKnown("refused", `${subject} could not be asked on: ${error.message}`, error.code);
    }
  }

  async #watchDenials(): Promise<void> {
    for await (const status of natsOf(this.connection).status()) {
      if (status.type !== "error" || !(status.error instanceof PermissionViolationError)) continue;
      const { operation, subject } = status.error;
      if (operation !== "publish") continue;
      this.#denied.add(subject);
      for (const listener of [...this.#onDenied]) listener(subject);
    }
  }
}

/** JetStream's refusals have a number and a description, an orchestrator's a code and a message. */
const Refusal = z.object({
  error: z.object({
    code: z.union([z.number(), z.string()]),
    err_code: z.number().optional(),
    description: z.string().optional(),
    message: z.string().optional(),
  }),
});

const deniedOn = (subject: string): NotKnown =>
  notKnown("denied", `this user may not publish to ${subject}; ask as the orchestrator's user`);

function readAnswer<S extends z.ZodType>(subject: string, message: Message, schema: S): Known<z.infer<S>> {
  const refusal = decodeMessage(Refusal, message.data);
  if (refusal.ok) {
    const { code, description, err_code: apiCode } = refusal.value.error;
    const said = description ?? refusal.value.error.message ?? "no reason given";
    return notKnown("refused", `${subject} was refused: ${said} (${apiCode ?? code})`, apiCode ?? code);
  }
  const parsed = decodeMessage(schema, message.data);
  if (parsed.ok) return known(parsed.value);
  return notKnown("unreadable", `the answer on ${subject} cannot be read: ${parsed.failure.message}`);
}
