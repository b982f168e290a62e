import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

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
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/support/leak-check.ts"],
    // A test file owns real child processes, so each gets a process of its own.
    pool: "forks",
    // On two cores: most files wait for processes and clocks about as long as they compute.
    maxWorkers: 3,
    // Starting a real nats-server and killing real processes takes seconds on a loaded machine.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    // An order that only works as written hides shared state. Vitest prints the seed; --sequence.seed repeats it.
    sequence: { shuffle: { files: true, tests: true } },
    globals: false,
    allowOnly: false,
    passWithNoTests: false,
    reporters: ["default", "./test/support/tally-reporter.ts"],
  },
});
