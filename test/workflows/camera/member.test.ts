/** The process of one agent as somebody starts it by hand, from the build (`npm run build`). */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const script = fileURLToPath(new URL("../../../dist/workflows/camera/member.js", import.meta.url));

function run(args: readonly string[]): Promise<{ readonly code: unknown; readonly stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...args], (error, _, stderr) => resolve({ code: error?.code ?? 0, stderr }));
  });
}

it.each([
  [["--analyse"], "--id is needed"],
  [["--id", "a"], "it is either a camera, or it analyses or alerts"],
  [
    ["--id", "a", "--camera", "gate", "--images", "/tmp", "--analyse"],
    "it is either a camera, or it analyses or alerts",
  ],
  [["--id", "a", "--camera", "Gate 1", "--images", "/tmp"], "--camera Gate 1: must match"],
  [["--id", "a", "--camera", "gate"], "a camera needs either --images, or --frames and --seed"],
  [["--id", "a", "--camera", "gate", "--frames", "/tmp"], "a camera needs either --images, or --frames and --seed"],
  [["--id", "a", "--camera", "gate", "--images", "/tmp", "--seed", "3"], "a camera needs either --images, or"],
  [["--id", "a", "--camera", "gate", "--frames", "/tmp", "--seed", "-1"], "argument is ambiguous"],
  [["--id", "a", "--camera", "gate", "--frames", "/tmp", "--seed", "x"], '--seed takes a whole number, not "x"'],
  [["--id", "a", "--watch"], "Unknown option '--watch'"],
])("refuses %j and says how it is used", async (args, sentence) => {
  const { code, stderr } = await run(args);

  expect(stderr).toContain(sentence);
  expect(stderr).toContain("usage: member.js");
  expect(code).toBe(2);
});

it.each([
  [["--id", "not an id", "--analyse"], "INVALID_ID"],
  [["--id", "a", "--analyse", "--server", "nats://127.0.0.1:1"], "CONNECTION_FAILED"],
])("ends with one sentence where it cannot start: %j", async (args, part) => {
  const { code, stderr } = await run(args);

  expect(stderr).toContain("member: ");
  expect(stderr).toContain(part);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(code).toBe(1);
});
