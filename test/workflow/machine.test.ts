import { agent, connectClient, machine, task, worker } from "perdure";
import { expect, it } from "vitest";
import { assign, setup } from "xstate";
import { silentLogger } from "../../src/logger.js";
import { startLocalSystem } from "../../src/testing/local-system.js";
import { until } from "../support/until.js";

const charge = task("charge", { timeouts: { startToClose: "10s" } });

const order = setup({
  types: {
    context: {} as { cents: number; paymentId: string | null },
    events: {} as { type: "pay"; cents: number } | { type: "cancel" },
    input: {} as { cents: number },
    output: {} as { paymentId: string | null },
  },
  actors: { charge: {} as never },
}).createMachine({
  id: "order",
  context: ({ input }) => ({ cents: input.cents, paymentId: null }),
  initial: "open",
  output: ({ context }) => ({ paymentId: context.paymentId }),
  states: {
    open: {
      on: { pay: { target: "charging", actions: assign({ cents: ({ event }) => event.cents }) }, cancel: "closed" },
      after: { 60000: "closed" },
    },
    charging: {
      invoke: {
        src: "charge",
        input: ({ context }: { context: { cents: number } }) => ({ cents: context.cents }),
        onDone: {
          target: "closed",
          actions: assign({ paymentId: ({ event }) => (event as unknown as { output: { id: string } }).output.id }),
        },
      } as never,
    },
    closed: { type: "final" },
  },
});

const orderMachine = machine("order-machine", order, { actors: { charge } });

it("runs an xstate machine: signals are its events, its actors are tasks, its snapshot can be asked for", async () => {
  const system = await startLocalSystem({ logger: silentLogger });
  const options = { servers: system.url, logger: silentLogger };
  const till = agent("till", {
    ...options,
    tasks: { charge: (_ctx, input) => ({ id: `p-${(input as { cents: number }).cents}` }) },
  });
  await till.start();
  const machines = await worker({ ...options, workflows: [orderMachine] });
  const client = await connectClient(options);
  try {
    const run = await client.start(orderMachine, { cents: 5 });
    await until("the machine is open", async () => {
      const { value } = (await run.query("snapshot")) as { value: string };
      return value === "open";
    });
    await client.workflow(run.workflowId).signal("pay", { cents: 700 });
    expect(await run.result()).toEqual({ paymentId: "p-700" });
    const types = (await run.history()).map(({ type }) => type);
    expect(types).toContain("TimerStarted");
    expect(types).toContain("TimerCanceled");
  } finally {
    await client.close();
    await machines.stop();
    await till.stop();
    await system.stop();
  }
});
