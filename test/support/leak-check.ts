import { afterAll, expect } from "vitest";

/**
 * Fails a test file that leaves something running: a connection, a server, a child process, a timer.
 * Loaded before every test file; hooks run in reverse order, so this one runs after all of the file's
 * own. Only what would keep a process alive counts, so an unref'd timer does not.
 */
const watched = new Set(["TCPSocketWrap", "TCPServerWrap", "UDPWrap", "ProcessWrap", "Timeout", "FSEventWrap"]);

/** Closing takes a few turns of the event loop: a socket is gone only after the other side answered. */
const graceMs = 2_000;

const before = countActive();

afterAll(async () => {
  const deadline = performance.now() + graceMs;
  while (leftRunning().length > 0 && performance.now() < deadline) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  const left = leftRunning();
  if (left.length > 0) {
    expect.fail(
      `This file leaves ${left.join(", ")} running. Close them in the test that opens them; ` +
        "`npx vitest run <file> --detect-async-leaks` names the line.",
    );
  }
});

function leftRunning(): string[] {
  return [...countActive()]
    .map(([type, count]) => ({ type, more: count - (before.get(type) ?? 0) }))
    .filter(({ more }) => more > 0)
    .map(({ type, more }) => `${more} ${type}`);
}

function countActive(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) {
    if (watched.has(type)) counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}
