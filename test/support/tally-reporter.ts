import type { Reporter, TestModule } from "vitest/node";

/**
 * Closes a run with one plain line, `12 passed, 0 failed`, for whoever reads the log by machine.
 * A file that fails outside its tests (it could not be loaded, or left something running) counts as one failure, and
 * so does an error that nobody caught.
 */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    for (const module of modules) {
      let failedHere = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed += 1;
        if (state === "failed") failedHere += 1;
      }
      if (failedHere === 0 && module.state() === "failed") failedHere = 1;
      failed += failedHere;
    }
    process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  }
}
