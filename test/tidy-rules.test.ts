import { describe, expect, it } from "vitest";
import { importViolations } from "./support/import-rules.js";
import { parseSource, type SourceFile, type Violation } from "./support/source-file.js";
import {
  ambientViolations,
  errorTextViolations,
  nameViolations,
  openingViolations,
  sleepViolations,
  subjectViolations,
  unreachedViolations,
  unrunTestViolations,
} from "./support/source-rules.js";

/** Shows the rules of test/tidy.test.ts code that breaks them, and code that only looks as if it did. */

type Rule = (source: SourceFile) => Violation[];

interface Examples {
  readonly about: string;
  readonly rule: Rule;
  /** A file, what stands in it, and a part of the sentence that refuses it. */
  readonly refused: readonly (readonly [path: string, code: string, sentence: string])[];
  readonly accepted: readonly (readonly [path: string, code: string])[];
}

const longFile = `f();\n${"g();\n".repeat(80)}`;

const examples: Examples[] = [
  {
    about: "imports of the engine",
    rule: importViolations,
    refused: [
      ["src/protocol/ids.ts", `import "node:crypto";`, `may not import "node:crypto"`],
      ["src/protocol/ids.ts", `import { E } from "../errors.js";`, "may not import src/errors.ts"],
      ["src/machines/step.ts", `import { pick } from "../scheduler/pick.js";`, "may import protocol"],
      ["src/machines/step.ts", `import { z } from "zod";`, "may import xstate"],
      ["src/core/apply.ts", `import { systemClock } from "../clock.js";`, "type Clock only"],
      ["src/core/apply.ts", `import { randomId } from "../random.js";`, "may not import src/random.ts"],
      ["src/core/apply.ts", `const j = await import("../jetstream/journal.js");`, "may not import src/jetstream"],
      ["src/core/apply.ts", `export * from "../jetstream/journal.js";`, "may not import src/jetstream"],
      ["src/core/apply.ts", `type J = import("../jetstream/journal.js").J;`, "may not import src/jetstream"],
      ["src/client/client.ts", `import { Kvm } from "@nats-io/kv";`, "Reach NATS through a file of src/jetstream"],
      ["src/nats-server/find.ts", `import { connect } from "@nats-io/transport-node";`, "may not import"],
      ["src/cli/main.ts", `import { until } from "../../test/support/until.js";`, "src never depends on"],
      ["src/novel/file.ts", `import { z } from "zod";`, "has no row"],
    ],
    accepted: [
      ["src/protocol/ids.ts", `import { z } from "zod";`],
      ["src/machines/step.ts", `import { setup } from "xstate";`],
      ["src/machines/step.ts", `import type { Fact } from "../protocol/fact.js";`],
      ["src/core/apply.ts", `import type { Clock } from "../clock.js";`],
      ["src/core/apply.ts", `// import "node:fs"\nconst text = 'import "node:fs"';`],
      ["src/jetstream/journal.ts", `import { Kvm } from "@nats-io/kv";`],
      ["src/cli/main.ts", `import { Orchestrator } from "../orchestrator/orchestrator.js";`],
    ],
  },
  {
    about: "imports of applications",
    rule: importViolations,
    refused: [
      ["workflows/hello/main.ts", `import { task } from "../../src/index.js";`, `as "perdure"`],
      ["workflows/hello/main.ts", `import { knight } from "../fleet/knight.js";`, "stays within workflows/hello/"],
      ["workflows/hello/main.ts", `import { connect } from "@nats-io/transport-node";`, "what a user can"],
    ],
    accepted: [
      ["workflows/hello/main.ts", `import { task } from "perdure";`],
      ["workflows/hello/main.ts", `import { greeting } from "./messages.js";`],
      ["workflows/hello/main.ts", `import { readFile } from "node:fs/promises";`],
    ],
  },
  {
    about: "purity",
    rule: ambientViolations,
    refused: [
      ["src/core/apply.ts", "const now = Date.now();", "Date.now does not belong"],
      ["src/core/apply.ts", "const now = new Date();", "new Date() does not belong"],
      ["src/scheduler/pick.ts", "const dice = Math.random();", "Math.random does not belong"],
      ["src/machines/step.ts", "setTimeout(run, 5);", "setTimeout does not belong"],
      ["src/protocol/ids.ts", "const home = process.env;", "process does not belong"],
    ],
    accepted: [
      ["src/core/apply.ts", "const text = new Date(at).toISOString();"],
      ["src/orchestrator/intake.ts", "const now = Date.now();"],
      ["src/replay/sandbox-globals.ts", "const real = Date.now();"],
    ],
  },
  {
    about: "subjects",
    rule: subjectViolations,
    refused: [
      ["src/agent/agent.ts", "const subject = `${namespace}.agent.${agentId}.task`;", "Add a builder"],
      ["src/client/client.ts", "const subject = `$KV.${bucket}.${key}`;", "Add a builder"],
      ["src/jetstream/journal.ts", "const subject = `${namespace}.journal`;", "Add a builder"],
    ],
    accepted: [
      ["src/protocol/subjects.ts", "const subject = `${namespace}.agent.${agentId}.task`;"],
      ["src/jetstream/journal.ts", "const subject = `$KV.${bucket}.${key}`;"],
      ["src/agent/agent.ts", "const text = `agent ${agentId} is lost`;"],
    ],
  },
  {
    about: "error texts",
    rule: errorTextViolations,
    refused: [["src/agent/agent.ts", `if (error.message.includes("503")) retry();`, "Tell errors apart by code"]],
    accepted: [["src/agent/agent.ts", `if (error.code === "CONNECTION_FAILED") retry();`]],
  },
  {
    about: "sleeping",
    rule: sleepViolations,
    refused: [
      ["test/a.test.ts", "await new Promise((r) => setTimeout(r, 50));", "A test sleeps here"],
      ["test/a.test.ts", "await new Promise((done) => setTimeout(() => done(), 50));", "A test sleeps here"],
      ["test/a.test.ts", `import { setTimeout } from "node:timers/promises";`, "A test sleeps here"],
      ["test/a.test.ts", "await sleep(500);", "A test sleeps here"],
    ],
    accepted: [
      ["test/a.test.ts", "await ctx.sleep(500);"],
      ["test/a.test.ts", "const deadline = setTimeout(fail, 500);"],
      ["test/support/until.ts", "await new Promise((r) => setTimeout(r, 5));"],
    ],
  },
  {
    about: "tests that do not run",
    rule: unrunTestViolations,
    refused: [
      ["test/a.test.ts", `it.skip("works", () => {});`, "it.skip leaves tests out"],
      ["test/a.test.ts", `describe.only("works", () => {});`, "describe.only leaves tests out"],
      ["test/a.test.ts", `it.todo("works");`, "it.todo leaves tests out"],
    ],
    accepted: [["test/a.test.ts", `it.each([1])("works", () => {});`]],
  },
  {
    about: "names",
    rule: nameViolations,
    refused: [
      ["src/core/utils.ts", "", "says nothing"],
      ["src/helpers/retry-delay.ts", "", "says nothing"],
    ],
    accepted: [["src/core/retry-delay.ts", ""]],
  },
  {
    about: "openings",
    rule: openingViolations,
    refused: [["src/core/long.ts", longFile, "says near its top"]],
    accepted: [
      ["src/core/long.ts", `import "./a.js";\n/** What it is for. */\n${longFile}`],
      ["src/core/short.ts", "f();"],
    ],
  },
];

describe.each(examples)("the rule on $about", ({ rule, refused, accepted }) => {
  it.each(refused)("refuses in %s: %.60s", (path, code, sentence) => {
    const sentences = rule(parseSource(path, code)).map((found) => found.sentence);
    expect(sentences).toEqual([expect.stringContaining(sentence)]);
  });

  it.each(accepted)("accepts in %s: %.60s", (path, code) => {
    expect(rule(parseSource(path, code))).toEqual([]);
  });
});

it("takes a file for dead unless an entry point reaches it, by import or as a child process", () => {
  const files = [
    parseSource("src/index.ts", `export { a } from "./a.js";`),
    parseSource("src/a.ts", `fork(new URL("./child.js", import.meta.url));`),
    parseSource("src/child.ts", ""),
    parseSource("src/dead.ts", ""),
    parseSource("test/dead.test.ts", `import "../src/dead.js";`),
  ];
  expect(unreachedViolations(files, ["src/index.ts"]).map(({ path }) => path)).toEqual(["src/dead.ts"]);
});

it("names the line of a violation", () => {
  const [found] = ambientViolations(parseSource("src/core/apply.ts", "const a = 1;\n\nconst b = Math.random();\n"));
  expect(found).toMatchObject({ path: "src/core/apply.ts", line: 3 });
});
