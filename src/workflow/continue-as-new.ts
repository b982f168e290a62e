import type { CommandOf } from "../protocol/command.js";

/** Thrown to leave the code for good: nothing behind `ctx.continueAsNew` runs. */
export class ContinueAsNew extends Error {
  override readonly name = "ContinueAsNew";
  readonly command: CommandOf<"ContinueAsNew">;

  constructor(command: CommandOf<"ContinueAsNew">) {
    super("the run continues as new");
    this.command = command;
  }
}
