/**
 * What NATS servers tell any user of an account about themselves, the account, who is connected to it and who serves on
 * it: their greeting, JetStream's account information, the questions that every account may put to the system account
 * about itself, and the services protocol (ADR-32). Streams are in stream-facts.ts.
 */
import { z } from "zod";
import { type Inspector, type Known, known, notKnown } from "./inspector.js";
import { natsOf } from "./nats-of.js";

/** What the server says of itself to everybody who connects. */
export interface Greeting {
  readonly serverId: string;
  readonly serverName: string;
  readonly version: string;
  readonly host: string;
  readonly maxPayloadBytes: number;
  readonly takesHeaders: boolean;
  readonly isLeaving: boolean;
}

/** Of the server that the inspector's connection is to; undefined once it is closed. */
export function greetingOf({ connection }: Inspector): Greeting | undefined {
  const { info } = natsOf(connection);
  if (info === undefined) return undefined;
  return {
    serverId: info.server_id,
    serverName: info.server_name,
    version: info.version,
    host: new URL(connection.url).hostname,
    maxPayloadBytes: info.max_payload,
    takesHeaders: info.headers === true,
    isLeaving: info.ldm === true,
  };
}

const UserReply = z.object({ data: z.object({ account: z.string() }) });

/** The account this connection belongs to; servers before 2.10 do not say. */
export async function accountNameOf(inspector: Inspector): Promise<Known<string>> {
  const reply = await inspector.ask("$SYS.REQ.USER.INFO", {}, UserReply);
  return reply.known ? known(reply.value.data.account) : reply;
}

const limit = z.number().default(-1);
const AccountReply = z.object({
  storage: z.number(),
  reserved_storage: z.number().default(0),
  streams: z.number(),
  consumers: z.number(),
  limits: z.object({ max_storage: limit, max_streams: limit, max_consumers: limit }),
});

/** JetStream of this account. Limits: -1 is none. */
export interface AccountFacts {
  readonly storageBytes: number;
  readonly reservedBytes: number;
  readonly storageBytesMax: number;
  readonly streams: number;
  readonly streamsMax: number;
  readonly consumers: number;
  readonly consumersMax: number;
}

export async function accountFactsOf(inspector: Inspector): Promise<Known<AccountFacts>> {
  const reply = await inspector.ask("$JS.API.INFO", {}, AccountReply);
  if (!reply.known) return reply;
  const { storage, reserved_storage, streams, consumers, limits } = reply.value;
  return known({
    storageBytes: storage,
    reservedBytes: reserved_storage,
    storageBytesMax: limits.max_storage,
    streams,
    streamsMax: limits.max_streams,
    consumers,
    consumersMax: limits.max_consumers,
  });
}

const ServiceInfo = z.object({
  id: z.string(),
  version: z.string(),
  metadata: z.record(z.string(), z.string()).nullish(),
});

export interface ServiceFacts {
  readonly id: string;
  readonly version: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Everybody who serves under this name in the services protocol. */
export async function servicesNamed(inspector: Inspector, name: string): Promise<Known<readonly ServiceFacts[]>> {
  const answers = await inspector.askAll(`$SRV.INFO.${name}`, {});
  if (!answers.known) return answers;
  return known(
    answers.value.flatMap(({ value }) => {
      const info = ServiceInfo.safeParse(jsonOf(value.data));
      // What does not keep to the protocol is no service of it.
      return info.success ? [{ ...info.data, metadata: info.data.metadata ?? {} }] : [];
    }),
  );
}

const ConnectionsReply = z.object({
  server: z.object({
    name: z.string(),
    id: z.string(),
    ver: z.string(),
    time: z.string().transform((text) => Date.parse(text)),
  }),
  data: z.object({
    connections: z
      .array(
        z.object({
          cid: z.number(),
          ip: z.string().default(""),
          name: z.string().default(""),
          subscriptions_list_detail: z
            .array(z.object({ subject: z.string(), qgroup: z.string().optional() }))
            .default([]),
        }),
      )
      .nullish(),
  }),
});

/** A server that answers for this account. */
export interface PeerFacts {
  readonly name: string;
  readonly version: string;
  /** Its clock minus ours, milliseconds, and how far that may be off. */
  readonly offsetMs: number;
  readonly uncertaintyMs: number;
}

export interface ListenerFacts {
  /** Of its connection, with its server's name. */
  readonly connection: string;
  readonly name: string;
  readonly ip: string;
  readonly subscriptions: readonly { readonly subject: string; readonly queue: string | undefined }[];
}

export interface AccountConnections {
  readonly peers: readonly PeerFacts[];
  /** Connections of this account with a subscription that takes messages of the subject that was asked about. */
  readonly listeners: readonly ListenerFacts[];
}

export async function connectionsOn(inspector: Inspector, subject: string): Promise<Known<AccountConnections>> {
  const question = { filter_subject: subject, subscriptions_detail: true };
  const answers = await inspector.askAll("$SYS.REQ.ACCOUNT.PING.CONNZ", question);
  if (!answers.known) return answers;
  const replies = answers.value.flatMap(({ value, heardAt, roundTripMs }) => {
    const reply = ConnectionsReply.safeParse(jsonOf(value.data));
    return reply.success ? [{ ...reply.data, heardAt, roundTripMs }] : [];
  });
  if (replies.length === 0) return notKnown("nobody", "no server told about the account's connections");
  return known({
    peers: replies.map(({ server, heardAt, roundTripMs }) => ({
      name: server.name,
      version: server.ver,
      offsetMs: server.time - heardAt,
      uncertaintyMs: roundTripMs / 2,
    })),
    listeners: replies.flatMap(({ server, data }) =>
      (data.connections ?? []).map(({ cid, name, ip, subscriptions_list_detail }) => ({
        connection: `${server.name}/${cid}`,
        name,
        ip,
        subscriptions: subscriptions_list_detail.map((one) => ({ subject: one.subject, queue: one.qgroup })),
      })),
    ),
  });
}

function jsonOf(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return undefined;
  }
}
