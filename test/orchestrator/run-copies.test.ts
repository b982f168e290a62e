import { expect, it } from "vitest";
import { RunCopies } from "../../src/orchestrator/run-copies.js";
import type { RunId, WorkflowId } from "../../src/protocol/ids.js";
import { Scripted, timer } from "../core/run/scripted.js";
import { taskId } from "../support/given.js";

const LONG = "x".repeat(120_000);
const NATS_BYTES_MAX = 1_047_552;

/** A run whose worker is at it while one large signal after the other comes in, and another run beside it. */
function givenFlooded() {
  const engine = Scripted.withWorker();
  engine.core.ledger.nextSequence = 8;
  for (const id of ["flooded", "calm"]) {
    engine.start(id);
    engine.answer(id, [timer(1, 99_000)]);
    engine.signal(id, "wake");
  }
  for (let count = 0; count < 9; count += 1) {
    const signal = { name: "large", input: LONG, signalId: `s-${count}` };
    engine.core.signal(taskId("flooded"), signal, engine.now);
  }
  const tooLarge: { readonly workflowId: WorkflowId; readonly bytes: number }[] = [];
  const copies = new RunCopies({
    runs: engine.core.ledger.runs,
    retentionMs: 1_000,
    liveKeys: new Set(),
    storedUpTo: new Map<RunId, number>(),
    recordBytesMax: () => NATS_BYTES_MAX,
    onTooLarge: (workflowId, bytes) => tooLarge.push({ workflowId, bytes }),
  });
  return { engine, copies, tooLarge };
}

const keysOf = ({ picture }: ReturnType<RunCopies["take"]>): string[] => picture.records.map(({ key }) => key);

it("leaves a record that no message can hold to the journal, and copies the others", () => {
  const { engine, copies, tooLarge } = givenFlooded();
  const taken = copies.take(20, engine.now, 0);
  expect([keysOf(taken), taken.complete]).toEqual([["calm"], 7]);
  expect(tooLarge).toMatchObject([{ workflowId: "flooded" }]);
  expect(tooLarge[0]?.bytes).toBeGreaterThan(NATS_BYTES_MAX);
  copies.written(taken.picture);
  // An orderly stop copies until nothing is left that can be.
  expect(copies.isDirty).toBe(false);
});

it("copies it when it has shrunk", () => {
  const { engine, copies } = givenFlooded();
  copies.written(copies.take(20, engine.now, 0).picture);
  engine.answer("flooded", []);
  engine.answer("calm", []);
  expect(copies.isDirty).toBe(true);
  const taken = copies.take(21, engine.now, 0);
  expect([keysOf(taken).sort(), taken.complete]).toEqual([["calm", "flooded"], 21]);
});
