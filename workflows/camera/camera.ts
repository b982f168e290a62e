/** The agent of one camera: frames on request, at the camera's own pace, and figures about them in each heartbeat. */
import { setTimeout as delay } from "node:timers/promises";
import { type AgentOptions, withInput } from "perdure";
import type { FrameSource } from "./frame-source.js";
import { type CapturedFrame, cameraCapability, FrameName, frameFault, taskType } from "./messages.js";

export interface CameraOptions {
  readonly name: string;
  readonly source: FrameSource;
  /** Least time between two frames. */
  readonly frameIntervalMs: number;
}

export function camera({ name, source, frameIntervalMs }: CameraOptions): AgentOptions {
  const meter = new FrameMeter();
  let nextAt = 0;

  /** Progress says what a task that seems to do nothing waits for. */
  const untilDue = async (signal: AbortSignal, progress: (value: unknown) => void): Promise<void> => {
    const waitMs = nextAt - performance.now();
    if (waitMs <= 0) return;
    progress({ nextFrameInMs: Math.round(waitMs) });
    await delay(waitMs, undefined, { signal });
  };

  const capture = withInput(FrameName, async ({ signal, progress }, wanted): Promise<CapturedFrame> => {
    if (wanted.camera !== name) {
      throw frameFault(
        "FRAME_NOT_FOUND",
        `this is camera ${name}; frame ${wanted.frame} is of camera ${wanted.camera}`,
      );
    }
    try {
      await untilDue(signal, progress);
      nextAt = performance.now() + frameIntervalMs;
      const picture = await source.capture(wanted.frame, signal);
      meter.captured();
      return { ...wanted, ...picture, capturedAt: Date.now() };
    } catch (error) {
      meter.dropped();
      throw error;
    }
  });

  return {
    tasks: { [taskType.capture]: capture },
    capabilities: [taskType.capture, cameraCapability(name)],
    metrics: () => meter.read(),
    metadata: { camera: name, pid: process.pid },
  };
}

class FrameMeter {
  #captured = 0;
  #dropped = 0;
  #capturedBefore = 0;
  #readAt = performance.now();

  captured(): void {
    this.#captured += 1;
  }

  /** Asked for and not delivered: there was none, it could not be read, or nobody wanted it any more. */
  dropped(): void {
    this.#dropped += 1;
  }

  /** Frames per second are since the last reading. */
  read(): Readonly<Record<string, number>> {
    const now = performance.now();
    const seconds = Math.max(1, now - this.#readAt) / 1_000;
    const framesPerSecond = Math.round((10 * (this.#captured - this.#capturedBefore)) / seconds) / 10;
    this.#capturedBefore = this.#captured;
    this.#readAt = now;
    return { framesCaptured: this.#captured, framesDropped: this.#dropped, framesPerSecond };
  }
}
