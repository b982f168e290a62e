/**
 * Looks at one address as the network has it, before any client library does: name, port, first words. A nats-server
 * speaks first, and says in that one line what it wants.
 */
import { lookup } from "node:dns/promises";
import { connect, isIP, type Socket } from "node:net";
import { z } from "zod";
import type { ServerAddress } from "../jetstream/server-url.js";
import type { ServerProbe } from "./facts.js";
import { within } from "./within.js";

const Greeting = z.object({
  server_id: z.string(),
  auth_required: z.boolean().default(false),
  tls_required: z.boolean().default(false),
  tls_available: z.boolean().default(false),
});

/** Of what a stranger says, as much as helps to recognise it. */
const SAID_LENGTH_MAX = 80;
/** What a TLS server answers to plain text: an alert record of any version 3.x. */
const TLS_ALERT = "\u0015\u0003";
/** A server that is full greets, and hangs up with a reason in its next breath. */
const SECOND_WORD_MS = 50;
/** A greeting lists all servers of a cluster; this is far more than any. */
const GREETING_BYTES_MAX = 256 * 1024;

/** Resolves within twice `timeoutMs`. */
export async function probeServer(address: ServerAddress, timeoutMs: number): Promise<ServerProbe> {
  const { hostname, port } = new URL(`nats://${address.host}`);
  const host = hostname.replace(/^\[|\]$/g, "");
  const end = (outcome: ServerProbe["outcome"], said = "", wants: ServerProbe["wants"] = []): ServerProbe => ({
    url: address.shown,
    outcome,
    said,
    wants,
  });
  if (isIP(host) === 0) {
    const resolved = await within(
      timeoutMs,
      lookup(host).then(() => null, codeOf),
    );
    if (resolved === "late") return end("nameUnknown", `no answer from the name service in ${timeoutMs} ms`);
    if (resolved !== null) return end("nameUnknown", resolved);
  }
  const socket = connect({ host, port: Number(port) });
  try {
    const heard = await within(timeoutMs, firstWords(socket, timeoutMs / 2));
    if (heard === "late") return end(socket.connecting ? "unreachable" : "silent", `nothing in ${timeoutMs} ms`);
    if (heard.end === "error") return end(heard.said === "ECONNREFUSED" ? "refused" : "unreachable", heard.said);
    if (heard.end === "closedWhenSpokenTo") return end("silent", "it hangs up when it is spoken to in plain text");
    return judged(heard.said, end);
  } finally {
    socket.destroy();
  }
}

function judged(
  said: string,
  end: (outcome: ServerProbe["outcome"], said?: string, wants?: ServerProbe["wants"]) => ServerProbe,
): ServerProbe {
  const [, refusal] = /^(?:INFO [^\n]*\n)?-ERR '?([^\n]*?)'?\s*$/.exec(said) ?? [];
  if (refusal !== undefined) return end("closed", refusal);
  const [, json] = /^INFO ([^\n]*)\n/.exec(said) ?? [];
  const greeting = json === undefined ? null : readGreeting(json);
  if (greeting !== null) {
    const wants: ServerProbe["wants"] = [
      ...(greeting.tls_required ? (["tls"] as const) : []),
      ...(greeting.auth_required ? (["credentials"] as const) : []),
    ];
    return end("greeted", "", wants);
  }
  if (said === "") return end("closed");
  if (said.startsWith(TLS_ALERT)) return end("silent", "it talks TLS from the first byte");
  return end("notNats", JSON.stringify(said.slice(0, SAID_LENGTH_MAX)));
}

function readGreeting(json: string): z.infer<typeof Greeting> | null {
  try {
    const parsed = Greeting.safeParse(JSON.parse(json));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

interface Heard {
  readonly end: "line" | "closed" | "closedWhenSpokenTo" | "error";
  readonly said: string;
}

/** Whoever has not spoken after a while is asked as a web server would be, which tells one from a server that is stuck. */
function firstWords(socket: Socket, patienceMs: number): Promise<Heard> {
  return new Promise((resolve) => {
    let said = "";
    let isSpokenTo = false;
    const timer = setTimeout(() => {
      isSpokenTo = true;
      socket.write("GET / HTTP/1.0\r\n\r\n");
    }, patienceMs);
    const end = (heard: Heard): void => {
      clearTimeout(timer);
      resolve(heard);
    };
    socket.on("data", (chunk) => {
      said += chunk.toString("latin1");
      const isWhole = said.includes("\n") || said.startsWith(TLS_ALERT) || said.length > GREETING_BYTES_MAX;
      if (isWhole) setTimeout(() => end({ end: "line", said }), SECOND_WORD_MS);
    });
    socket.on("error", (error) => end({ end: "error", said: codeOf(error) }));
    socket.on("close", () => end({ end: isSpokenTo && said === "" ? "closedWhenSpokenTo" : "closed", said }));
  });
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : String(error);
