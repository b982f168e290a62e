import { expect, it, onTestFinished } from "vitest";
import { agent } from "../../src/agent/agent.js";
import { connectClient } from "../../src/client/client.js";
import { connect } from "../../src/jetstream/connection.js";
import { createLogger, type Logger, type LogLevel } from "../../src/logger.js";
import { startOrchestrator } from "../../src/orchestrator/orchestrator.js";
import { livenessFrom } from "../../src/orchestrator/orchestrator-options.js";
import { startConfigured } from "../support/configured-nats.js";
import { newNamespace, useNats } from "../support/nats.js";
import { until, untilSome } from "../support/until.js";
import { withEnvelope } from "../wire/peers.js";

const nats = useNats();

type Line = Readonly<Record<string, unknown>>;

interface Log {
  readonly logger: Logger;
  readonly lines: Line[];
  readonly text: () => string;
}

function givenLog(level: LogLevel): Log {
  const texts: string[] = [];
  const lines: Line[] = [];
  const write = (text: string): void => {
    texts.push(text);
    lines.push(JSON.parse(text) as Line);
  };
  return { logger: createLogger(level, { write }), lines, text: () => texts.join("") };
}

/** An orchestrator and a client that say everything, and a raw connection to say what neither would. */
async function givenSystem(url: string, logger: Logger) {
  const namespace = newNamespace();
  const settings = { namespace, maxConcurrentTasks: 0, ...livenessFrom(200) };
  const orchestrator = await startOrchestrator({ servers: url, settings, logger });
  onTestFinished(() => orchestrator.stop());
  await orchestrator.leading;
  const client = await connectClient({ servers: url, namespace, logger });
  onTestFinished(() => client.close());
  return { namespace, orchestrator, client };
}

it("writes one line for each decision about a task at debug, with the journal's sequence", async () => {
  const { logger, lines } = givenLog("debug");
  const { namespace, client } = await givenSystem(nats.url, logger);
  const worker = agent("k-1", {
    servers: nats.url,
    namespace,
    tasks: {
      flaky: ({ attempt }) => {
        if (attempt === 1) throw Object.assign(new Error("no paper"), { name: "OutOfPaper" });
        return "done";
      },
    },
    logger: createLogger("silent"),
  });
  await worker.start();
  onTestFinished(() => worker.stop());
  const task = await client.submit({ taskId: "t-1", type: "flaky", retry: { initialIntervalMs: 1 } });
  await task.result();

  const told = lines.filter(({ taskId }) => taskId === "t-1");
  expect(told).toMatchObject([
    { level: 20, msg: "task submitted", taskType: "flaky", state: "queued" },
    { level: 20, msg: "task assigned", attempt: 1, agentId: "k-1", incarnation: 1 },
    {
      level: 20,
      msg: "attempt failed; the task is tried again",
      attempt: 1,
      code: "OutOfPaper",
      retryAt: expect.any(Number),
    },
    { level: 20, msg: "task could start" },
    { level: 20, msg: "task assigned", attempt: 2, agentId: "k-1" },
    { level: 20, msg: "task completed", attempt: 2, durationMs: expect.any(Number) },
  ]);
  const sequences = told.map(({ sequence }) => Number(sequence));
  expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
  expect(sequences[0]).toBeGreaterThan(0);
});

it("says at info what is decided about agents and leadership, and nothing of tasks", async () => {
  const { logger, lines } = givenLog("info");
  const { namespace, client, orchestrator } = await givenSystem(nats.url, logger);
  const worker = agent("k-1", {
    servers: nats.url,
    namespace,
    tasks: { echo: (_, input) => input },
    logger: createLogger("silent"),
  });
  await worker.start();
  const task = await client.submit({ taskId: "t-1", type: "echo" });
  await task.result();
  await worker.drain();
  await until("its goodbye is written", () => lines.some(({ msg }) => msg === "agent said goodbye"));
  await orchestrator.stop();
  const told = lines.filter(({ msg }) => msg !== "stream created");
  expect(told.map(({ msg, agentId }) => (agentId === undefined ? msg : `${msg}: ${agentId}`))).toEqual([
    "standing by",
    "leading",
    "agent registered: k-1",
    "agent drains: k-1",
    "agent said goodbye: k-1",
    "stopped",
  ]);
  expect(lines.filter(({ taskId }) => taskId !== undefined)).toEqual([]);
});

it("writes no input, output, failure, metadata, token or password, at any level, whatever goes wrong", async () => {
  const secret = (where: string): string => `hunter2-${where}`;
  const config = `jetstream { store_dir: "STORE" }\nauthorization { user: ann, password: "${secret("password")}" }`;
  await using server = await startConfigured(config);
  const url = server.url.replace("nats://", `nats://ann:${secret("password")}@`);
  const { logger, lines, text } = givenLog("trace");
  const { namespace, client } = await givenSystem(url, logger);
  const tokens: string[] = [];
  const worker = agent("k-1", {
    servers: url,
    namespace,
    maxConcurrentTasks: 5,
    metadata: { note: secret("agent-metadata") },
    tasks: {
      leaky: (context) => {
        tokens.push(context.token);
        context.progress({ step: secret("progress") });
        const error = new Error(secret("failure-message"));
        error.stack = secret("failure-stack");
        if (context.attempt === 1) throw Object.assign(error, { attached: secret("failure-property") });
        return { answer: secret("output") };
      },
      hanging: (context) => {
        tokens.push(context.token);
        return new Promise((_, reject) =>
          context.signal.addEventListener("abort", () => reject(context.signal.reason)),
        );
      },
    },
    logger,
  });
  await worker.start();
  onTestFinished(() => worker.stop());

  const submission = {
    type: "leaky",
    input: { password: secret("input") },
    metadata: { note: secret("task-metadata") },
    retry: { initialIntervalMs: 1 },
  };
  const leaky = await client.submit({ taskId: "t-1", ...submission });
  await leaky.result();
  await client.submit({ taskId: "t-1", ...submission, input: secret("other-input") }).catch(() => undefined);
  const hanging = await client.submit({ taskId: "t-2", type: "hanging", input: secret("input") });
  await until("it runs", () => tokens.length === 3);
  await hanging.cancel();
  await hanging.result().catch(() => undefined);

  // What nobody well-behaved would send.
  const raw = await connect({ servers: url, name: "stranger", logger });
  onTestFinished(() => raw.close());
  const say = (subject: string, body: unknown): void =>
    raw.publish(`${namespace}.${subject}`, typeof body === "string" ? body : JSON.stringify(body));
  const [token = ""] = tokens;
  const garbage = [`{"input": "${secret("broken-json")}"`, withEnvelope({ [secret("field")]: secret("value") })];
  for (const subject of [
    "agent.register",
    "agent.k-1.status",
    "agent.k-1.heartbeat",
    "agent.k-1.result",
    "agent.k-1.task",
  ]) {
    for (const body of garbage) say(subject, body);
  }
  say("orchestrator.task.submit", withEnvelope({ task: { type: "x", priority: secret("priority"), input: 1 } }));
  say(
    "agent.k-9.result",
    withEnvelope({
      result: {
        taskId: "t-1",
        attempt: 1,
        token,
        agentId: "k-9",
        status: "failed",
        error: { type: "X", message: secret("late-failure") },
      },
    }),
  );
  say(
    "agent.k-1.result",
    withEnvelope({
      result: {
        taskId: "t-1",
        attempt: 2,
        token: tokens[1],
        agentId: "k-1",
        status: "completed",
        output: secret("conflict"),
      },
    }),
  );
  await untilSome("the conflict is noticed", () => lines.find(({ code }) => code === "RESULT_CONFLICT"));
  await untilSome("the unreadable result is noticed", () =>
    lines.find(({ msg }) => msg === "a result that cannot be read was dropped"),
  );

  // Credentials show where connections fail.
  await server.restart(config.replace(secret("password"), "another"));
  await until("the loss was written about", () => lines.some(({ msg }) => msg === "disconnected from NATS"));
  await server.restart(config);
  await until("it was written that it is back", () => lines.some(({ msg }) => msg === "reconnected to NATS"));
  await expect(
    startOrchestrator({ servers: url.replace("hunter2", "hunter2-wrong"), settings: { namespace }, logger }),
  ).rejects.toMatchObject({ code: "CONNECTION_FAILED" });

  expect(lines.length).toBeGreaterThan(30);
  expect(text().match(/.*hunter2.*/)?.[0] ?? "no secret").toBe("no secret");
  expect(tokens.filter((known) => text().includes(known))).toEqual([]);
});

it("names an inbox by its beginning only, because the token of an attempt may follow", async () => {
  const { logger, lines } = givenLog("trace");
  const connection = await nats.connect({ logger });
  const inbox = connection.newInbox();
  connection.subscribe(`${inbox}.>`, () => {
    throw new Error("on purpose");
  });
  connection.publish(`${inbox}.t-1.the-token`, "");
  const line = await untilSome("it is written", () => lines.find(({ msg }) => String(msg).includes("handler threw")));
  expect(line["subject"]).toBe(inbox);
});
