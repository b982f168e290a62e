import { expect, it } from "vitest";
import { activity, child, Scripted, step, timer, WORKER } from "./scripted.js";

const DAY = 86_400_000;

it.each([
  [
    "that no worker has its code",
    () => new Scripted(),
    "has news for its code: no agent is registered; it needs workflow:order",
  ],
  [
    "that its worker is at it",
    () => Scripted.withWorker(),
    "has news for its code, which was sent to k-w 0.0 s ago and waits for its answer",
  ],
])("says of a run %s", (_what, given, sentence) => {
  const engine = given();
  engine.start("o-1");
  expect(engine.explain("o-1")).toBe(sentence);
});

it.each([
  [[timer(1, 9_500)], "waits for a timer that fires in 9.5 s"],
  [[timer(1, 700_000)], "waits for a timer that fires in 11 min 40 s"],
  [[timer(1, 30 * DAY)], "waits for a timer that fires in 30 d"],
  [[timer(1, 3 * DAY + 7_200_000 + 59_000)], "waits for a timer that fires in 3 d 2 h"],
  [[step(1)], 'waits for step "charge", which was sent to k-w 0.0 s ago and waits for its answer'],
  [[], "waits for a signal, an update or a cancellation"],
])("says what a run waits for: %j", (commands, sentence) => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", commands);
  expect(engine.explain("o-1")).toBe(sentence);
});

it("names the child that a run waits for", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer("o-1", [child(1, "c-1")]);
  engine.answer("o-1", []);
  expect(engine.explain("o-1")).toBe("waits for child c-1 (leaf)");
});

it("names three of many, each with what keeps it", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.answer(
    "o-1",
    [1, 2, 3, 4, 5].map((seq) => activity(seq)),
  );
  const { runId } = engine.run("o-1");
  const each = (seq: number) => `task ${runId}-${seq} (ocr): no agent has capability ocr`;
  expect(engine.explain("o-1")).toBe(`waits for ${each(1)}; ${each(2)}; ${each(3)}; and 2 more`);
});

it("says since when a run is stuck, over what, and when it is tried again", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.failActivation("o-1");
  for (let failures = 1; failures < 9; failures += 1) {
    engine.pass(failures === 1 ? 0 : 600_000);
    engine.register("k-w", { ...WORKER });
    engine.failActivation("o-1");
  }
  expect(engine.explain("o-1")).toBe(
    "is stuck since 1 h 10 min (NONDETERMINISM: the code has changed); it is tried again in 10 min, and at once when a worker registers",
  );
});
