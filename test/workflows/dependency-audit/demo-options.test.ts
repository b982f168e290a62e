import { describe, expect, it } from "vitest";
import { demoHelp, parseDemoOptions, workingFolderOf } from "../../../workflows/dependency-audit/demo-options.js";

const defaults = {
  projectPath: "/checkout",
  auditId: "audit-1",
  temporaryFolder: "/tmp",
  workingFolder: "/home/ann",
} as const;

describe("the demo's options", () => {
  it("audits this checkout, with the Markdown in a new file of the temp folder", () => {
    expect(parseDemoOptions([], defaults)).toEqual({
      kind: "audit",
      projectPath: "/checkout",
      markdownPath: "/tmp/dependency-audit-1.md",
      markdownChosenBy: "demo",
    });
  });

  it("takes paths from where the person stands", () => {
    expect(parseDemoOptions(["--path", "shop", "--markdown=../out.md"], defaults)).toEqual({
      kind: "audit",
      projectPath: "/home/ann/shop",
      markdownPath: "/home/out.md",
      markdownChosenBy: "user",
    });
  });

  it("names every option in its help", () => {
    expect(parseDemoOptions(["--help"], defaults)).toEqual({ kind: "help" });
    for (const option of ["--path", "--markdown", "--help"]) expect(demoHelp).toContain(option);
  });

  it.each([["--colour"], ["shop"], ["--path"], ["--path", ""]])("refuses %s %s as usage", (...args) => {
    expect(() => parseDemoOptions(args, defaults)).toThrow(expect.objectContaining({ name: "DemoStopped", exit: 2 }));
  });

  it("knows where a person stood who started it through npm, and only through its own script", () => {
    expect(workingFolderOf({ npm_lifecycle_event: "demo", INIT_CWD: "/home/ann" }, "/checkout")).toBe("/home/ann");
    expect(workingFolderOf({ npm_lifecycle_event: "test", INIT_CWD: "/home/ann" }, "/checkout")).toBe("/checkout");
    expect(workingFolderOf({}, "/checkout")).toBe("/checkout");
  });
});
