/** Asks the orchestrator, and notes who else answers in its place. Nothing that is asked here changes anything. */
import { randomUUID } from "node:crypto";
import type { z } from "zod";
import { streamOfBucket, subjectOfKey } from "../jetstream/bucket-names.js";
import { type Inspector, type Known, known, type Timed } from "../jetstream/inspector.js";
import { type AccountConnections, connectionsOn, servicesNamed } from "../jetstream/server-facts.js";
import { SERVICE_NAME } from "../jetstream/service-endpoint.js";
import { storedMessage } from "../jetstream/stream-facts.js";
import { decodeJson, decodeMessage } from "../protocol/decode.js";
import { Envelope } from "../protocol/envelope.js";
import type { Namespace, TaskId } from "../protocol/ids.js";
import { type Subjects, subjectsOf } from "../protocol/subjects.js";
import { HealthMessage, SystemStatusReply } from "../protocol/system-message.js";
import { LIST_LIMIT_MAX, TaskListReply, TaskReply, type TaskState } from "../protocol/task-message.js";
import type { AnswerFacts, OrchestratorFacts, RequestFacts, StoreFacts } from "./facts.js";

const unfinished = [
  "waiting",
  "queued",
  "backoff",
  "assigned",
  "running",
  "stuck",
] as const satisfies readonly TaskState[];

/** Of dependencies that are not among the unfinished tasks, as many are asked for one by one. */
const LOOKED_UP_MAX = 200;
/** What a stranger answers, as much as helps to recognise it. */
const TEXT_LENGTH_MAX = 80;

type FirstLook = Pick<
  OrchestratorFacts,
  "services" | "requests" | "connections" | "status" | "health" | "tasks" | "orphans"
>;
type SecondLook = Pick<OrchestratorFacts, "statusLater" | "tasksLater" | "unrecorded">;

export async function lookAtOrchestrator(inspector: Inspector, namespace: Namespace): Promise<FirstLook> {
  const subjects = subjectsOf(namespace);
  const [called, status, health, tasks, connections, requests] = await Promise.all([
    servicesNamed(inspector, SERVICE_NAME),
    askOrchestrator(inspector, subjects.systemStatus, envelope(), SystemStatusReply),
    untimed(askOrchestrator(inspector, subjects.health, envelope(), HealthMessage)),
    listTasks(inspector, subjects),
    connectionsOnAll(inspector, subjects),
    Promise.all(subjects.allRequests.map((subject) => whoAnswers(inspector, subject))),
  ]);
  const [orphans, services] = await Promise.all([
    findOrphans(inspector, subjects, tasks),
    // One that is busy may answer the roll call later than others, when it was thought to be over.
    status.known && !isAmong(called, namespace) ? servicesNamed(inspector, SERVICE_NAME) : called,
  ]);
  return { services, requests, connections, status, health, tasks, orphans };
}

const isAmong = (services: FirstLook["services"], namespace: Namespace): boolean =>
  services.known && services.value.some(({ metadata }) => metadata["namespace"] === namespace);

/** Asks again only whoever answered the first time. */
export async function lookAgain(
  inspector: Inspector,
  namespace: Namespace,
  store: StoreFacts,
  status: FirstLook["status"],
): Promise<SecondLook> {
  if (!status.known) return { statusLater: status, tasksLater: status, unrecorded: status };
  const subjects = subjectsOf(namespace);
  const [statusLater, tasksLater] = await Promise.all([
    untimed(askOrchestrator(inspector, subjects.systemStatus, envelope(), SystemStatusReply)),
    listTasks(inspector, subjects),
  ]);
  return { statusLater, tasksLater, unrecorded: await findUnrecorded(inspector, namespace, tasksLater, store) };
}

const envelope = (): { readonly messageId: string; readonly timestamp: number } => ({
  messageId: randomUUID(),
  timestamp: Date.now(),
});

function listTasks(inspector: Inspector, subjects: Subjects): Promise<Known<TaskListReply>> {
  const question = { ...envelope(), states: unfinished, limit: LIST_LIMIT_MAX };
  return untimed(askOrchestrator(inspector, subjects.taskList, question, TaskListReply));
}

/** Where what came first is no answer, somebody else was faster: the orchestrator's comes behind it. */
async function askOrchestrator<S extends z.ZodType>(
  inspector: Inspector,
  subject: string,
  question: object,
  schema: S,
): Promise<Known<Timed<z.infer<S>>>> {
  const first = await inspector.askTimed(subject, question, schema);
  if (first.known || first.reason !== "unreadable") return first;
  const all = await inspector.askAll(subject, question);
  for (const answer of all.known ? all.value : []) {
    const parsed = decodeMessage(schema, answer.value.data);
    if (parsed.ok) return known({ ...answer, value: parsed.value });
  }
  return first;
}

async function untimed<T>(asked: Promise<Known<Timed<T>>>): Promise<Known<T>> {
  const answer = await asked;
  return answer.known ? known(answer.value.value) : answer;
}

/** Every orchestrator refuses an envelope alone where a task or an id belongs, and answers it elsewhere. */
async function whoAnswers(inspector: Inspector, subject: string): Promise<RequestFacts> {
  const answers = await inspector.askAll(subject, { ...envelope(), limit: 1 });
  return {
    subject,
    answers: answers.known ? known(answers.value.map(({ value }) => answererOf(value.data))) : answers,
  };
}

function answererOf(data: Uint8Array): AnswerFacts {
  if (decodeMessage(Envelope, data).ok) return { from: "orchestrator" };
  const decoded = decodeJson(data);
  const answer = decoded.ok && typeof decoded.value === "object" && decoded.value !== null ? decoded.value : {};
  if ("stream" in answer && "seq" in answer) return { from: "stream", stream: String(answer.stream) };
  return { from: "stranger", text: Buffer.from(data).toString().slice(0, TEXT_LENGTH_MAX) };
}

/** Whoever listens on any of the request subjects, each connection once. */
async function connectionsOnAll(inspector: Inspector, subjects: Subjects): Promise<Known<AccountConnections>> {
  const [first, ...others] = await Promise.all(
    [...subjects.allRequests, subjects.agentRegister].map((subject) => connectionsOn(inspector, subject)),
  );
  if (first?.known !== true) return first ?? known({ peers: [], listeners: [] });
  const all = [first, ...others].flatMap((answer) => (answer.known ? answer.value.listeners : []));
  const listeners = [...new Map(all.map((listener) => [listener.connection, listener])).values()];
  return known({ peers: first.value.peers, listeners });
}

async function findOrphans(
  inspector: Inspector,
  subjects: Subjects,
  list: Known<TaskListReply>,
): Promise<OrchestratorFacts["orphans"]> {
  if (!list.known) return list;
  const present = new Set(list.value.tasks.map(({ taskId }) => taskId));
  const sought = list.value.tasks
    .filter(({ state }) => state === "waiting")
    .flatMap(({ taskId, dependencies }) => dependencies.map((dependency) => ({ taskId, dependency })))
    .filter(({ dependency }) => !present.has(dependency))
    .slice(0, LOOKED_UP_MAX);
  const orphans: { readonly taskId: TaskId; readonly dependency: TaskId }[] = [];
  await Promise.all(
    sought.map(async (pair) => {
      const found = await inspector.ask(subjects.taskGet, { ...envelope(), taskId: pair.dependency }, TaskReply);
      if (!found.known && found.code === "NOT_FOUND") orphans.push(pair);
    }),
  );
  return known(orphans);
}

/**
 * A live task has a record, or a flush behind the checkpoint speaks of it. The list is younger than the look at the store,
 * so whoever is missing there is looked for once more before it is believed.
 */
async function findUnrecorded(
  inspector: Inspector,
  namespace: Namespace,
  list: Known<TaskListReply>,
  store: StoreFacts,
): Promise<OrchestratorFacts["unrecorded"]> {
  const records = store.records.find(({ kind }) => kind === "tasks");
  const { journal, checkpoint } = store;
  if (!list.known) return list;
  if (records?.read.known !== true || records.read.value.extent === "part") return known([]);
  if (!journal.known || journal.value.extent === "part") return known([]);
  if (!checkpoint.known || checkpoint.value.state !== "read") return known([]);
  const { at } = checkpoint.value.checkpoint;
  const { keys } = records.read.value;
  const { tasks } = journal.value;
  const suspects = list.value.tasks
    .filter(({ taskId, submittedAt }) => submittedAt < at && !keys.has(taskId) && !tasks.has(taskId))
    .slice(0, LOOKED_UP_MAX);
  const subjects = subjectsOf(namespace);
  const unrecorded: TaskId[] = [];
  await Promise.all(
    suspects.map(async ({ taskId }) => {
      const lastOn = subjectOfKey(records.bucket, taskId);
      const stored = await storedMessage(inspector, streamOfBucket(records.bucket), { lastOn });
      if (!stored.known || (stored.value !== null && !stored.value.isDeletion)) return;
      const found = await inspector.ask(subjects.taskGet, { ...envelope(), taskId }, TaskReply);
      if (found.known && unfinished.some((state) => state === found.value.task.state)) unrecorded.push(taskId);
    }),
  );
  return known(unrecorded);
}
