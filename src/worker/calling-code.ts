/** Whose code asked, read from the stack. */
import { fileURLToPath } from "node:url";

const ENGINE = fileURLToPath(new URL("../", import.meta.url));

type Owner = "engine" | "node" | "library" | "application";

function ownerOf(frame: string): Owner {
  const path = frame.replace("file://", "");
  if (path.includes(ENGINE)) return "engine";
  // Also frames of the language itself: `at new Promise (<anonymous>)`.
  if (path.includes("node:") || !path.includes("/") || path.includes("<anonymous>")) return "node";
  return path.includes("/node_modules/") ? "library" : "application";
}

/** Node's own limit ends within the engine where code asked for something by way of its context. */
const FRAMES_MAX = 30;

function frames(): { readonly owner: Owner; readonly frame: string }[] {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES_MAX;
  const { stack = "" } = new Error("looked at for its stack");
  Error.stackTraceLimit = limit;
  const lines = stack.split("\n").slice(1);
  return lines.map((line) => ({ owner: ownerOf(line), frame: line.trim().replace(/^at /, "") }));
}

/** File and line of the application's code that is running; undefined where none is on the stack. */
export function callingPlace(): string | undefined {
  return frames().find(({ owner }) => owner === "application")?.frame;
}

/** Whether the application called what the engine put in the place of something, and not a library or Node itself. */
export function isCalledByApplication(): boolean {
  return frames().find(({ owner }) => owner !== "engine")?.owner === "application";
}
