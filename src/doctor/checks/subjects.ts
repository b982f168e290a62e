/** Does what is said on our subjects reach the orchestrator, and nobody who answers in its place? */
import type { StreamFacts } from "../../jetstream/stream-facts.js";
import { overlap } from "../../protocol/subject-pattern.js";
import { subjectsOf } from "../../protocol/subjects.js";
import type { Facts, RequestFacts } from "../facts.js";
import type { Notes } from "../finding.js";

export function checkSubjects(facts: Facts, notes: Notes): void {
  checkForeignStreams(facts, notes);
  checkAnswers(facts.orchestrator.requests, notes);
  checkListeners(facts, notes);
}

function checkForeignStreams({ foreignStreams, streams, namespace }: Facts, notes: Notes): void {
  const foreign = notes.need(foreignStreams);
  if (foreign === undefined) return;
  notes.see(foreign.length === 0 ? "no foreign stream takes our messages" : `${foreign.length} foreign streams`);
  const { allReplied, systemEvent } = repliedSubjects(namespace);
  for (const stream of foreign) {
    const taken = streams.filter(
      (own) => own.stream.known && own.stream.value === null && isTakenBy(own.subjects, stream),
    );
    if (taken.length > 0) {
      notes.find(
        "subjects/taken",
        `Stream ${stream.name} takes ${stream.subjects.join(", ")}, so that ${taken.map(({ name }) => name).join(", ")} cannot be made.`,
        `Narrow its subjects (\`nats stream edit ${stream.name}\`), delete it, or use another namespace (--namespace).`,
        { stream: stream.name, subjects: stream.subjects, streams: taken.map(({ name }) => name) },
      );
    }
    const captured = stream.subjects.filter((pattern) => allReplied.some((subject) => overlap(pattern, subject)));
    if (captured.length === 0 || !stream.acknowledges) continue;
    notes.find(
      "subjects/captured",
      `Stream ${stream.name} takes ${captured.join(", ")} and acknowledges each message: clients and agents get its acknowledgement for an answer.`,
      `Narrow its subjects to ${systemEvent} (\`nats stream edit ${stream.name} --subjects ...\`), or make it with \`no_ack: true\` if it is there to record.`,
      { stream: stream.name, subjects: captured },
    );
  }
}

function isTakenBy(subjects: readonly string[], stream: StreamFacts): boolean {
  return subjects.some((subject) => stream.subjects.some((pattern) => overlap(pattern, subject)));
}

/** Patterns of everything that somebody may wait for an answer to; results are acknowledged by our own stream. */
function repliedSubjects(namespace: Facts["namespace"]): {
  readonly allReplied: readonly string[];
  readonly systemEvent: string;
} {
  const subjects = subjectsOf(namespace);
  const { agentRegister, allHeartbeats, allTasks, systemEvent } = subjects;
  return { allReplied: [...subjects.allRequests, agentRegister, allHeartbeats, allTasks], systemEvent };
}

function checkAnswers(requests: readonly RequestFacts[], notes: Notes): void {
  const answered = requests.filter(({ answers }) => answers.known && answers.value.length > 0);
  if (answered.length > 0) notes.see(`${answered.length} of ${requests.length} request subjects are answered`);
  for (const { subject, answers } of requests) {
    const found = notes.need(answers);
    if (found === undefined) continue;
    const strangers = found.filter(({ from }) => from !== "orchestrator");
    const ours = found.length - strangers.length;
    if (found.length === 0) {
      // Nobody at all is the orchestrator check's to say.
      if (answered.length === 0) continue;
      notes.find(
        "subjects/unanswered",
        `Nobody answers on ${subject}, though others of the orchestrator's subjects are answered.`,
        "The orchestrator is of another version, or its permissions lack this subject: compare them with docs/operations.md.",
        { subject },
      );
    } else if (found.length > 1) {
      notes.find(
        "subjects/answered-twice",
        `${found.length} answers come to one request on ${subject}: ${ours} of an orchestrator${strangers.map(named).join("")}.`,
        "Clients believe whichever is first. Find who else answers (`nats server report connections`, or the listeners named here), and stop it.",
        { subject, answers: found },
      );
    } else if (strangers.length === 1) {
      notes.find(
        "subjects/foreign-answer",
        `What answers on ${subject} is no orchestrator${strangers.map(named).join("")}.`,
        "Stop what answers there, or start the orchestrator it stands in for.",
        { subject, answers: found },
      );
    }
  }
}

function named(answer: Extract<RequestFacts["answers"], { known: true }>["value"][number]): string {
  if (answer.from === "stream") return `, an acknowledgement of stream ${answer.stream}`;
  return answer.from === "stranger" ? `, and from somebody else ${JSON.stringify(answer.text)}` : "";
}

function checkListeners({ orchestrator, namespace }: Facts, notes: Notes): void {
  const connections = notes.need(orchestrator.connections);
  if (connections === undefined) return;
  const { allRequests, taskSubmit, taskCancel, systemStatus } = subjectsOf(namespace);
  for (const { connection, name, ip, subscriptions } of connections.listeners) {
    // Whoever listens to everything is a monitor; an orchestrator has all of these subjects, and no queue.
    const taken = subscriptions.filter(({ subject }) => allRequests.includes(subject));
    const isOrchestrator = [taskSubmit, taskCancel, systemStatus].every((subject) =>
      taken.some((one) => one.subject === subject && one.queue === undefined),
    );
    if (taken.length === 0 || isOrchestrator) continue;
    const what = taken.map(({ subject, queue }) => (queue === undefined ? subject : `${subject} in queue ${queue}`));
    notes.find(
      "subjects/other-listener",
      `Connection ${connection} (${name === "" ? "without a name" : name}, ${ip}) listens on ${[...new Set(what)].join(", ")} and is no orchestrator.`,
      "If it answers, clients take its word for the orchestrator's. Stop it, or take this right from its user.",
      { connection, name, ip, subscriptions: taken },
    );
  }
}
