/** A subject is one stream's, and on a work queue one consumer's: who has it, where the server only says that somebody has. */
import { PerdureError } from "../errors.js";
import { overlap } from "../protocol/subject-pattern.js";
import { apiCodes, refusalOf } from "./api-error.js";
import type { Connection } from "./connection.js";
import { managerOf } from "./jetstream-manager.js";
import type { DeclaredConsumer, DeclaredEntry, DeclaredStore } from "./topology-plan.js";

/** Undefined where the server refused for another reason. */
export async function conflictError(
  connection: Connection,
  entry: DeclaredEntry,
  cause: unknown,
): Promise<PerdureError | undefined> {
  const code = refusalOf(cause)?.code;
  if (entry.kind !== "consumer") {
    return code === apiCodes.subjectOverlap ? await streamConflict(connection, entry, cause) : undefined;
  }
  const isShared = code === apiCodes.workQueueUnfiltered || code === apiCodes.workQueueFilterTaken;
  return isShared ? await consumerConflict(connection, entry, cause) : undefined;
}

const overlapsAny = (some: readonly string[], others: readonly string[]): boolean =>
  some.some((one) => others.some((other) => overlap(one, other)));

async function streamConflict(connection: Connection, { fields }: DeclaredStore, cause: unknown) {
  const { name, subjects } = fields;
  const { streams } = await managerOf(connection);
  const owners: string[] = [];
  for await (const { config } of streams.list()) {
    if (config.name !== name && overlapsAny(config.subjects ?? [], subjects)) owners.push(config.name);
  }
  return new PerdureError(
    "STORAGE_MISCONFIGURED",
    `Stream ${name} cannot have ${subjects.join(", ")}: ${owners.join(", ")} has subjects among them already, and a subject is one stream's. The server was left as it is. Declare other subjects, or delete the stream that nobody needs (\`nats stream rm\`).`,
    { details: { stream: name, subjects, owners }, cause },
  );
}

async function consumerConflict(connection: Connection, { name, stream, fields }: DeclaredConsumer, cause: unknown) {
  const { consumers } = await managerOf(connection);
  const filters = fields.filter_subjects ?? [">"];
  const owners: string[] = [];
  for await (const found of consumers.list(stream)) {
    const { filter_subject: one = ">", filter_subjects: theirs = [one] } = found.config;
    if (found.name !== name && overlapsAny(theirs, filters)) owners.push(found.name);
  }
  return new PerdureError(
    "STORAGE_MISCONFIGURED",
    `Consumer ${name} cannot take ${filters.join(", ")} from ${stream}: consumer ${owners.join(", ")} takes messages among them, and on a work queue each message is one consumer's. It was left out. Declare other filters, or delete the consumer that nobody needs (\`nats consumer rm ${stream}\`).`,
    { details: { stream, consumer: name, filters, owners }, cause },
  );
}
