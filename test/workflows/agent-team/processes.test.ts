/** The compiled programs: the demonstration, and a team that is killed with a report in hand. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { until, untilHolds } from "../../support/until.js";
import { ask, messagesIn, publish, sampleProject, sampleReport, useSystem } from "./given-team.js";

const system = useSystem();
const patience = { deadlineMs: 90_000 };
const programAt = (name: string): string =>
  fileURLToPath(new URL(`../../../dist/workflows/agent-team/${name}`, import.meta.url));

it("shows a report's way from a failing test to the fix", { timeout: 120_000 }, async () => {
  const child = spawn(process.execPath, [programAt("main.js")], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [printed, complaint, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  expect(code, complaint).toBe(0);
  expect(printed).toContain("review: reviewed: src/cart.js:6");
  expect(printed).toMatch(/everything held\n$/);
});

it("tells one result of a report whose team was killed, and has it acknowledged by the next one", {
  timeout: 120_000,
}, async () => {
  const { raw } = system;
  const child = spawn(process.execPath, [programAt("worker.js"), "--project", sampleProject], {
    env: { ...process.env, NATS_URL: system.url, NATS_NAMESPACE: "killed" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    printed += chunk;
  });
  await untilHolds(
    "the team is ready",
    () => printed,
    (seen) => seen.includes("ready killed"),
    patience,
  );
  const updates = raw.subscribe("killed.investigation.status.*");
  await publish(raw, "killed.errors.production", sampleReport, "killed-production-1");
  await updates.first("the investigation begins", () => true, patience);
  child.kill("SIGKILL");
  await once(child, "exit");

  await system.startTeam("killed");
  // Ten minutes are more than a test has. The team goes by those it found, so this has to suffice for an investigation.
  await ask(raw, "CONSUMER.CREATE.KILLED_PRODUCTION_ERRORS.claude-error-fixer", {
    stream_name: "KILLED_PRODUCTION_ERRORS",
    config: { durable_name: "claude-error-fixer", ack_policy: "explicit", max_deliver: 3, ack_wait: 20e9 },
    action: "update",
  });

  await until("it is acknowledged", async () => (await messagesIn(raw, "KILLED_PRODUCTION_ERRORS")) === 0, patience);
  expect(await messagesIn(raw, "KILLED_RESULTS")).toBe(1);
});
