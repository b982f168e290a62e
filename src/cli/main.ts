#!/usr/bin/env node
import { CommanderError } from "commander";
import { exitStatus } from "./exit-status.js";
import { reportFault } from "./faults.js";
import { sayInJson } from "./messages.js";
import { asksForJson } from "./output-format.js";
import { createProgram } from "./program.js";

/** Whoever reads may have had enough (`perdure ps | head -1`): there is nobody left to tell, and nothing is wrong. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    throw error;
  });
}

if (asksForJson(process.argv.slice(2))) sayInJson();
const program = createProgram();
program.on("option:version", () => {
  throw new CommanderError(exitStatus.ok, "perdure.version", "the version was asked for");
});

try {
  await program.parseAsync();
} catch (fault) {
  if (!(fault instanceof CommanderError)) process.exitCode = reportFault(fault);
  else if (fault.code === "perdure.version") process.stdout.write(`${(await import("../version.js")).version}\n`);
  // Commander has said what is wrong, or printed the help that was asked for.
  else process.exitCode = fault.exitCode === 0 ? exitStatus.ok : exitStatus.usage;
}
