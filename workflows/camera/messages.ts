/**
 * What travels between the cameras, the analysers and whoever runs the pipeline. A frame is never sent: it is a PNG file,
 * named by its path and the SHA-256 of its bytes.
 */
import { isAbsolute } from "node:path";
import { TaskFailure } from "perdure";
import { z } from "zod";

export const taskType = { capture: "camera.capture", analyse: "frame.analyse", alert: "alert.raise" } as const;

/** Becomes part of agent ids and task ids. */
export const CameraName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, "must match [a-z][a-z0-9-]{0,31}");

/** What only this camera can do: a capture needs it besides `camera.capture`. */
export const cameraCapability = (camera: string): string => `camera:${camera}`;

/** The input of each of the three tasks: which frame of which camera. Frames are counted from 1. */
export const FrameName = z.object({ camera: CameraName, frame: z.int().min(1) });
export type FrameName = z.infer<typeof FrameName>;

/** Output of `camera.capture`. */
export const CapturedFrame = FrameName.extend({
  path: z.string().max(4096).refine(isAbsolute, "must be an absolute path"),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Pixels. */
  width: z.int().min(1),
  height: z.int().min(1),
  /** Epoch milliseconds of the camera's clock. */
  capturedAt: z.int(),
});
export type CapturedFrame = z.infer<typeof CapturedFrame>;

/** Pixels, from the upper left corner. */
export const Box = z.object({
  left: z.int().min(0),
  top: z.int().min(0),
  width: z.int().min(1),
  height: z.int().min(1),
});
export type Box = z.infer<typeof Box>;

/** Where a frame differs from the one before, and how many times as much as noise would explain. */
export const Change = z.object({ box: Box, score: z.number().min(1) });
export type Change = z.infer<typeof Change>;

/** Output of `frame.analyse`. */
export const Analysis = z.object({ frame: CapturedFrame, change: Change.nullable() });
export type Analysis = z.infer<typeof Analysis>;

/** Output of `alert.raise`, and the file it leaves. */
export const Alert = z.object({ alertId: z.string(), frame: CapturedFrame, change: Change });
export type Alert = z.infer<typeof Alert>;

/** Why a frame cannot be had, read or judged. None of it goes away by another attempt. The README explains each. */
export type FrameFaultType =
  | "FRAME_NOT_FOUND"
  | "FRAME_UNREADABLE"
  | "FRAME_TOO_LARGE"
  | "FRAME_CHANGED"
  | "FRAME_SIZES_DIFFER"
  | "DEPENDENCIES_UNFIT";

export function frameFault(type: FrameFaultType, message: string, cause?: unknown): TaskFailure {
  return new TaskFailure(message, { type, nonRetryable: true, cause });
}
