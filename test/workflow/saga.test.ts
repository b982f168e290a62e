import { expect, test } from "vitest";
import { z } from "zod";
import { TaskFailure, task, workflow } from "../../src/index.js";
import { lab } from "./lab.js";

const Trip = z.object({ who: z.string() });
const book = {
  car: task("book car", { input: Trip, output: z.string() }),
  hotel: task("book hotel", { input: Trip, output: z.string() }),
  flight: task("book flight", { input: Trip, output: z.string(), retry: { maximumAttempts: 2 } }),
};
const undo = {
  car: task("give back car", { input: z.string() }),
  hotel: task("give back hotel", { input: z.string() }),
};

/** Books one after the other; what was booked is given back, last first, when a later one fails or the run is cancelled. */
const trip = workflow("trip", { input: Trip, output: z.array(z.string()) }, async (ctx, who) => {
  const compensations: (() => Promise<unknown>)[] = [];
  try {
    const car = await ctx.task(book.car, who);
    compensations.unshift(() => ctx.task(undo.car, car));
    const hotel = await ctx.task(book.hotel, who);
    compensations.unshift(() => ctx.task(undo.hotel, hotel));
    const flight = await ctx.task(book.flight, who);
    return [car, hotel, flight];
  } catch (reason) {
    await ctx.nonCancellable(async () => {
      for (const compensate of compensations) await compensate();
    });
    throw reason;
  }
});

function agency(flight: () => string | Promise<string>) {
  const journal: string[] = [];
  const note = (what: string) => () => {
    journal.push(what);
    return what;
  };
  const tasks = {
    "book car": note("car"),
    "book hotel": note("hotel"),
    "book flight": async () => {
      const booked = await flight();
      journal.push(booked);
      return booked;
    },
    "give back car": note("car back"),
    "give back hotel": note("hotel back"),
  };
  return { journal, tasks };
}

test("all is booked where nothing fails", async () => {
  const { journal, tasks } = agency(() => "flight");
  const env = lab(trip, { tasks });
  expect(await (await env.start(trip, { who: "me" })).result()).toEqual(["car", "hotel", "flight"]);
  expect(journal).toEqual(["car", "hotel", "flight"]);
});

test("what was booked is given back, last first, when a later booking fails for good", async () => {
  let attempts = 0;
  const { journal, tasks } = agency(() => {
    attempts += 1;
    throw new TaskFailure("no seats", { type: "NoSeats" });
  });
  const env = lab(trip, { tasks });
  expect(await (await env.start(trip, { who: "me" })).wait()).toMatchObject({
    state: "failed",
    error: { type: "ActivityFailure", cause: { type: "NoSeats", message: "no seats" } },
  });
  expect(attempts).toBe(2);
  expect(journal).toEqual(["car", "hotel", "hotel back", "car back"]);
});

test("cancelled in the middle, it gives back what it has and ends cancelled", async () => {
  const { journal, tasks } = agency(async () => {
    await env.sleep("1h");
    throw new Error("stopped");
  });
  const env = lab(trip, { tasks, maxCachedRuns: 0 });
  const run = await env.start(trip, { who: "me" });
  await env.sleep("10m");
  await run.cancel();
  expect(await run.wait()).toMatchObject({ state: "cancelled" });
  expect(journal).toEqual(["car", "hotel", "hotel back", "car back"]);
});
