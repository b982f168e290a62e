/** How many runs are open, and which of them is stuck longest: kept up by decisions, and the same after a restart. */
import { expect, it } from "vitest";
import { Ledger } from "../../../src/core/ledger.js";
import { openRunStates } from "../../../src/core/run/run-census.js";
import { complete, Scripted } from "./scripted.js";

const shown = ({ runs }: Ledger): object =>
  Object.fromEntries(openRunStates.map((state) => [state, Object.fromEntries(runs.census.entries(state))]));

it("counts open runs by type and state, and so does whoever restores them", () => {
  const engine = Scripted.withWorker();
  for (const id of ["w-1", "w-2", "w-3"]) engine.start(id);
  engine.start("w-4", { type: "workflow:leaf" });
  engine.failActivation("w-1");
  engine.answer("w-2", [complete()]);
  engine.failActivation("w-4");

  expect(shown(engine.core.ledger)).toEqual({ running: { order: 1, leaf: 0 }, stuck: { order: 1, leaf: 1 } });
  const ledger = new Ledger();
  for (const fact of engine.facts) ledger.restoreFact(fact);
  ledger.deriveIndexes();
  expect(shown(ledger)).toEqual({ running: { order: 1 }, stuck: { order: 1, leaf: 1 } });
});

it("has the run that is stuck longest first, in whatever order they began", () => {
  const engine = Scripted.withWorker();
  engine.start("w-1");
  engine.start("w-2");
  engine.failActivation("w-2");
  engine.pass(1);
  engine.failActivation("w-1");

  const first = ({ runs }: Ledger): string | undefined => [...runs.stuck][0]?.spec.workflowId;
  const ledger = new Ledger();
  for (const fact of engine.facts) ledger.restoreFact(fact);
  ledger.deriveIndexes();
  expect([first(engine.core.ledger), first(ledger)]).toEqual(["w-2", "w-2"]);
});
