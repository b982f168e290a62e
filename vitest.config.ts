import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { LongFirstSequencer } from "./test/support/long-first-sequencer.js";

/** By folder, so that a new file goes where its neighbours are; a demo is processes. */
const inOneProcess = [
  ...["agent", "bridges", "checker", "client", "core", "docs", "doctor", "histories", "http", "jetstream", "machines"],
  ...["orchestrator", "protocol", "replay", "scenarios", "scheduler", "security", "simulation", "testing", "wire"],
  ...["workflow", "workflows/dependency-audit"],
].map((folder) => `test/${folder}/**/!(demo).test.ts`);

export default defineConfig({
  resolve: {
    // Workflows import the package by its public name; under test that name is the source, not dist.
    alias: [
      { find: /^perdure$/, replacement: fileURLToPath(new URL("src/index.ts", import.meta.url)) },
      { find: /^perdure\/testing$/, replacement: fileURLToPath(new URL("src/testing/index.ts", import.meta.url)) },
      { find: /^perdure\/bridges$/, replacement: fileURLToPath(new URL("src/bridges/index.ts", import.meta.url)) },
    ],
  },
  test: {
    projects: [
      // To start a process and import the engine into it costs most of a second of processor time, a quarter of a run
      // when each file does it. The leak check holds each file for itself in either case.
      { extends: true, test: { name: "shared", isolate: false, include: inOneProcess } },
      // Who owns processes of ours, and changes what belongs to its own, has one for itself.
      { extends: true, test: { name: "alone", include: ["test/**/*.test.ts"], exclude: inOneProcess } },
    ],
    setupFiles: ["test/support/leak-check.ts"],
    pool: "forks",
    // On two cores: most files wait for processes and clocks longer than they compute.
    maxWorkers: 4,
    // Starting a real nats-server and killing real processes takes seconds on a loaded machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    // An order that only works as written hides shared state. Vitest prints the seed; --sequence.seed repeats it.
    sequence: { shuffle: { files: true, tests: true }, sequencer: LongFirstSequencer },
    globals: false,
    allowOnly: false,
    passWithNoTests: false,
    reporters: ["default", "./test/support/tally-reporter.ts"],
  },
});
