import { expect, it } from "vitest";
import { type Journal, openJournal } from "../../src/jetstream/journal.js";
import { provision } from "../../src/jetstream/provision.js";
import { silentLogger } from "../../src/logger.js";
import { CommitLoop } from "../../src/orchestrator/commit-loop.js";
import { ProcessTally } from "../../src/orchestrator/process-tally.js";
import type { Release } from "../../src/orchestrator/release.js";
import { subjectsOf } from "../../src/protocol/subjects.js";
import { topologyOf } from "../../src/protocol/topology.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until } from "../support/until.js";

const nats = useNats();

async function givenJournals(): Promise<{ readonly ours: Journal; readonly successors: Journal }> {
  const namespace = newNamespace();
  const connection = await nats.connect();
  const topology = topologyOf(namespace);
  await provision(connection, topology, { replicas: 1, serverSync: "always" });
  const { journal } = subjectsOf(namespace);
  const options = { stream: topology.journal.name, subject: journal, highWaterMark: 0, logger: silentLogger };
  return { ours: await openJournal(connection, options), successors: await openJournal(connection, options) };
}

interface Loop {
  readonly loop: CommitLoop;
  readonly released: Release[];
  readonly ends: unknown[];
}

function givenLoop(log: Journal, leadsForCertain: boolean, onRelease: () => void = () => undefined): Loop {
  const released: Release[] = [];
  const ends: unknown[] = [];
  const loop = new CommitLoop({
    log,
    leaderId: "ours",
    lastResult: null,
    logger: silentLogger,
    beforeFlush: () => undefined,
    release: (release) => {
      released.push(release);
      onRelease();
    },
    onAppended: () => undefined,
    leadsForCertain: () => leadsForCertain,
    tally: new ProcessTally(),
    onEnd: (reason) => ends.push(reason),
  });
  return { loop, released, ends };
}

const answer: Release = { kind: "answerRequest", respond: () => undefined, body: "{}" };

async function appendAsSuccessor(journal: Journal): Promise<void> {
  const bytes = Buffer.from('{"flushId":"theirs.0","lastResult":null,"facts":[]}');
  await journal.append({ flushId: "theirs.0", bytes });
}

it("lets an answer without facts go at once while the lease says that it leads", async () => {
  const { ours } = await givenJournals();
  const { loop, released } = givenLoop(ours, true);
  loop.releaseAfter(answer);
  await loop.drained();
  expect([released, ours.lastSequence]).toEqual([[answer], 0]);
});

it("has the journal confirm that it leads before it answers where the lease does not say so", async () => {
  const { ours } = await givenJournals();
  const { loop, released } = givenLoop(ours, false);
  loop.releaseAfter(answer);
  await loop.drained();
  expect([released, ours.lastSequence]).toEqual([[answer], 1]);
});

it("answers nothing, and ends, where it does not lead any more and does not know", async () => {
  const { ours, successors } = await givenJournals();
  await appendAsSuccessor(successors);
  const { loop, released, ends } = givenLoop(ours, false);
  loop.releaseAfter(answer);
  await until("it ends", () => ends.length > 0);
  expect([released, ends]).toEqual([[], ["fenced"]]);
});

it("takes no picture any more once it has ended", async () => {
  const { ours } = await givenJournals();
  const { loop } = givenLoop(ours, true);
  loop.end();
  await expect(loop.atNextBarrier(() => "picture")).rejects.toMatchObject({ code: "JOURNAL_FENCED" });
});

it("is drained of what was decided before, however much is decided meanwhile", async () => {
  const { ours } = await givenJournals();
  const { loop, released } = givenLoop(ours, true, () => loop.releaseAfter(answer));
  loop.releaseAfter(answer);
  await loop.drained();
  expect(released.length).toBeGreaterThan(0);
  loop.end();
});
