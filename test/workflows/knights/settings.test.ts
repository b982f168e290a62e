import { expect, it } from "vitest";
import { readSettings, SettingsError } from "../../../workflows/knights/settings.js";

const least = { SUBSCRIBE_TOPICS: "fleet-a.tasks.security.>", KNIGHT_NAME: "galahad" };

it("needs a name and subjects, and has a default for the rest", () => {
  expect(readSettings(least)).toEqual({
    natsUrl: "nats://localhost:4222",
    subjects: ["fleet-a.tasks.security.>"],
    name: "galahad",
    taskTimeoutMs: 1_800_000,
    drainTimeoutMs: 25_000,
    healthPort: null,
    dataFolder: null,
  });
});

it("takes several subjects, each once", () => {
  const topics = " fleet-a.tasks.security.> ,fleet-a.tasks.infra.*,fleet-a.tasks.security.>,";

  expect(readSettings({ ...least, SUBSCRIBE_TOPICS: topics }).subjects).toEqual([
    "fleet-a.tasks.security.>",
    "fleet-a.tasks.infra.*",
  ]);
});

it.each([
  [{ KNIGHT_NAME: "galahad" }, "SUBSCRIBE_TOPICS is not set; give the subjects of tasks, separated by commas."],
  [{ ...least, KNIGHT_NAME: "" }, "KNIGHT_NAME is not set; give the knight's name."],
  [
    { ...least, KNIGHT_NAME: "sir.galahad" },
    'KNIGHT_NAME must be 1 to 64 letters, digits, - and _, not "sir.galahad".',
  ],
  [{ ...least, SUBSCRIBE_TOPICS: " , " }, "SUBSCRIBE_TOPICS names no subject."],
  [
    { ...least, SUBSCRIBE_TOPICS: "orders.>" },
    'SUBSCRIBE_TOPICS "orders.>" is not a subject of tasks; one looks like fleet-a.tasks.security.>.',
  ],
  [
    { ...least, SUBSCRIBE_TOPICS: "fleet-a.tasks.>.security" },
    'SUBSCRIBE_TOPICS "fleet-a.tasks.>.security" is not a subject of tasks; one looks like fleet-a.tasks.security.>.',
  ],
  [
    { ...least, SUBSCRIBE_TOPICS: "fleet-a.tasks.security" },
    'SUBSCRIBE_TOPICS "fleet-a.tasks.security" has no task id; subscribe to fleet-a.tasks.security.>.',
  ],
  [{ ...least, TASK_TIMEOUT_MS: "30s" }, 'TASK_TIMEOUT_MS must be a whole number from 1 to 2147483647, not "30s".'],
  [{ ...least, TASK_TIMEOUT_MS: "0" }, 'TASK_TIMEOUT_MS must be a whole number from 1 to 2147483647, not "0".'],
  [{ ...least, HEALTH_PORT: "65536" }, 'HEALTH_PORT must be a whole number from 0 to 65535, not "65536".'],
  [{}, /^SUBSCRIBE_TOPICS is not set; .*; KNIGHT_NAME is not set; /],
])("says of %j in one sentence what is wrong", (environment, sentence) => {
  expect(() => readSettings(environment)).toThrow(SettingsError);
  expect(() => readSettings(environment)).toThrow(sentence);
});
