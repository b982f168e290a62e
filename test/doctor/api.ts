/** The server's JetStream API by hand: what an operator, or somebody else's program, may do to a store. */
import type { Connection } from "../../src/jetstream/connection.js";

const TIMEOUT_MS = 5_000;

/** Answers what the server answers; an error of it is thrown. */
export async function api(connection: Connection, subject: string, body: object = {}): Promise<unknown> {
  const { data } = await connection.request(`$JS.API.${subject}`, JSON.stringify(body), { timeoutMs: TIMEOUT_MS });
  const answer: unknown = JSON.parse(Buffer.from(data).toString());
  if (typeof answer === "object" && answer !== null && "error" in answer) {
    throw new Error(`${subject}: ${JSON.stringify(answer.error)}`);
  }
  return answer;
}

/** Changes settings of a stream, as `nats stream edit` does. */
export async function editStream(connection: Connection, name: string, change: object): Promise<void> {
  const info = await api(connection, `STREAM.INFO.${name}`);
  if (typeof info !== "object" || info === null || !("config" in info)) throw new Error(`no config of ${name}`);
  const { config } = info;
  await api(connection, `STREAM.UPDATE.${name}`, { ...(typeof config === "object" ? config : {}), ...change });
}

/** Publishes into a stream and waits for its acknowledgement. */
export async function store(
  connection: Connection,
  subject: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { data } = await connection.request(subject, body, { timeoutMs: TIMEOUT_MS, headers });
  const answer = Buffer.from(data).toString();
  if (answer.includes('"error"')) throw new Error(`${subject}: ${answer}`);
}
