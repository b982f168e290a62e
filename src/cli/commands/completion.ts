/** `perdure completion`: a script that teaches a shell what can be typed. Made from the program, so it is never behind. */
import { Argument, type Command } from "commander";
import type { CompletionModel } from "../completion/model.js";

type Shell = "bash" | "zsh" | "fish";

const scripts: Readonly<Record<Shell, () => Promise<(model: CompletionModel) => string>>> = {
  bash: async () => (await import("../completion/bash.js")).bashScript,
  zsh: async () => (await import("../completion/zsh.js")).zshScript,
  fish: async () => (await import("../completion/fish.js")).fishScript,
};

export function addCompletion(program: Command): void {
  program
    .command("completion")
    .description("print a script for completion in a shell, for example: source <(perdure completion bash)")
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(scripts)))
    .action(async (shell: Shell) => {
      const { completionModelOf } = await import("../completion/model.js");
      const scriptFor = await scripts[shell]();
      process.stdout.write(scriptFor(completionModelOf(program)));
    });
}
