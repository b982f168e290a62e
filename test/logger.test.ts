import { describe, expect, it } from "vitest";
import { PerdureError } from "../src/errors.js";
import { createLogger, logFields, SampledLog } from "../src/logger.js";
import { type LogCall, logCallsOf } from "./support/log-calls.js";
import { parseSource, readRepositoryFile, readSources } from "./support/source-file.js";
import { untilHolds } from "./support/until.js";

type Line = Readonly<Record<string, unknown>>;

function givenLog(): { readonly logger: ReturnType<typeof createLogger>; readonly lines: Line[] } {
  const lines: Line[] = [];
  const logger = createLogger("debug", { write: (line: string) => lines.push(JSON.parse(line) as Line) });
  return { logger, lines };
}

describe("a line that may come in floods", () => {
  const options = { linesMax: 2, windowMs: 50 };

  it("is written a few times, and then counted", async () => {
    const { logger, lines } = givenLog();
    const sampled = new SampledLog(logger, "warn", "too much", options);
    for (let index = 0; index < 10_000; index += 1) sampled.write({ attempt: index });
    expect(lines).toMatchObject([{ attempt: 0 }, { attempt: 1 }]);
    await untilHolds(
      "the count is written",
      () => lines,
      ({ length }) => length > 2,
    );
    expect(lines.slice(2)).toMatchObject([{ level: 40, msg: "too much", suppressed: 9_998 }]);
  });

  it("is written again in the next window, behind the count of the last", async () => {
    const { logger, lines } = givenLog();
    const sampled = new SampledLog(logger, "warn", "too much", options);
    const writeThree = () => [1, 2, 3].map((attempt) => sampled.write({ attempt }));
    writeThree();
    await untilHolds(
      "the first window is over",
      () => lines,
      ({ length }) => length === 3,
    );
    writeThree();
    expect(lines.map(({ attempt, suppressed }) => attempt ?? `${suppressed} more`)).toEqual([1, 2, "1 more", 1, 2]);
  });
});

describe("an error in a line", () => {
  it("shows what is its own and nothing that somebody hung on it", () => {
    const { logger, lines } = givenLog();
    const cause = Object.assign(new TypeError("cannot dial nats://ann:hunter2@host:4222"), { request: "hunter2" });
    logger.error(
      { err: new PerdureError("CONNECTION_FAILED", "no server", { details: { tries: 3 }, cause }) },
      "failed",
    );
    expect(lines).toMatchObject([
      {
        err: {
          type: "PerdureError",
          code: "CONNECTION_FAILED",
          message: "no server",
          details: { tries: 3 },
          cause: { type: "TypeError", message: "cannot dial nats://***@host:4222" },
        },
      },
    ]);
    expect(JSON.stringify(lines)).not.toContain("hunter2");
  });

  it("ends where causes go round in a circle", () => {
    const { logger, lines } = givenLog();
    const error = new Error("round");
    error.cause = error;
    logger.error({ err: error }, "failed");
    expect(JSON.stringify(lines).split('"round"')).toHaveLength(5);
  });
});

describe("the sources", () => {
  const calls = readSources("src")
    .filter(({ path }) => path !== "src/logger.ts")
    .flatMap(logCallsOf);

  it("name their fields as src/logger.ts has them", () => {
    const unknown = calls.flatMap(({ path, fields }) =>
      fields.filter((field) => !(field in logFields)).map((field) => `${path}: ${field}`),
    );
    expect(unknown).toEqual([]);
    const used = new Set(calls.flatMap(({ fields }) => fields));
    expect(used.size).toBeGreaterThan(30);
  });

  it("say from info on what docs/logging.md has, at the level it has it at", () => {
    const rows = readRepositoryFile("docs/logging.md").matchAll(/^\| (info|warn|error|fatal) \| `([^`]+)` \|/gm);
    const documented = [...rows].map(([, level, message]) => `${level}: ${message}`);
    expect([...new Set(shownToOperators(calls))].sort()).toEqual(documented.sort());
  });

  it("have a fixed sentence for every line that operators see", () => {
    const loose = calls.filter(({ level, message }) => level !== null && level !== "debug" && message === null);
    expect(loose).toEqual([]);
  });

  it("are read so that a call in another form is seen too", () => {
    const source = parseSource(
      "src/some.ts",
      `new SampledLog(logger, "warn", "often"); this.#often.write({ taskId, code: 1 }); options.logger.info({ err }, "once");`,
    );
    expect(logCallsOf(source)).toMatchObject([
      { level: "warn", message: "often", fields: [] },
      { level: null, fields: ["taskId", "code"] },
      { level: "info", message: "once", fields: ["err"] },
    ]);
  });
});

function shownToOperators(calls: readonly LogCall[]): string[] {
  return calls.flatMap(({ level, message }) =>
    level === null || level === "debug" || message === null ? [] : [`${level}: ${message}`],
  );
}
