import { expect, it } from "vitest";
import { Scripted, timer } from "./scripted.js";

it("counts a timer from the moment that the code saw, however long its answer was on the way", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  const seen = engine.now;
  engine.pass(300);
  engine.answer("o-1", [timer(1, 1_000)]);
  expect(engine.run("o-1").timers).toEqual({ 1: seen + 1_000 });
  engine.pass(699);
  expect(engine.activation("o-1")).toBeNull();
  engine.pass(1);
  expect(engine.activation("o-1")?.events).toMatchObject([{ type: "TimerFired", at: seen + 1_000 }]);
});

it("fires a timer at once whose time was up before the answer came", () => {
  const engine = Scripted.withWorker();
  engine.start("o-1");
  engine.pass(300);
  engine.answer("o-1", [timer(1, 200)]);
  engine.pass(0);
  expect(engine.activation("o-1")?.events).toMatchObject([{ type: "TimerFired" }]);
});
