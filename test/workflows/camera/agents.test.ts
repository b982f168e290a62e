/**
 * The camera system's agents on a real orchestrator and nats-server; and a camera that somebody wrote by hand, with a
 * socket and JSON, in the place of ours.
 */
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type AgentOptions, agent, type Client, connectClient } from "perdure";
import { expect, it, onTestFinished } from "vitest";
import { silentLogger } from "../../../src/logger.js";
import { alerting, analysing } from "../../../workflows/camera/analyst.js";
import { camera } from "../../../workflows/camera/camera.js";
import { folderSource, sceneSource } from "../../../workflows/camera/frame-source.js";
import { type Alert, Analysis, CapturedFrame, type Change, taskType } from "../../../workflows/camera/messages.js";
import { direct, planWatch, taskIdOf, type Verdict } from "../../../workflows/camera/pipeline.js";
import { newScene } from "../../../workflows/camera/scene.js";
import { useNats } from "../../support/nats.js";
import { untilHolds, untilSome } from "../../support/until.js";
import { Engine } from "../../wire/peers.js";
import { temporaryFolder } from "./given-image.js";

const nats = useNats();
const small = { width: 96, height: 80 };

interface Site {
  readonly engine: Engine;
  readonly client: Client;
  readonly folder: string;
  /** Starts an agent that is stopped after the test. */
  staff(agentId: string, role: AgentOptions): Promise<void>;
  /** A camera that draws into the site's folder. */
  drawingCamera(name: string, plantedAt: number | null, frameIntervalMs?: number): Promise<void>;
}

async function givenSite(): Promise<Site> {
  const folder = await temporaryFolder();
  const engine = await Engine.start(nats.url, { healthCheckIntervalMs: 100 });
  onTestFinished(() => engine[Symbol.asyncDispose]());
  const where = { servers: nats.url, namespace: engine.namespace, logger: silentLogger };
  const client = await connectClient(where);
  onTestFinished(() => client.close());
  const staff: Site["staff"] = async (agentId, role) => {
    const member = agent(agentId, { ...role, ...where });
    onTestFinished(() => member.stop());
    await member.start();
  };
  const drawingCamera: Site["drawingCamera"] = (name, plantedAt, frameIntervalMs = 0) => {
    const source = sceneSource(newScene({ ...small, seed: 7, plantedAt }), join(folder, name));
    return staff(`camera-${name}`, camera({ name, source, frameIntervalMs }));
  };
  return { engine, client, folder, staff, drawingCamera };
}

const direction = ({ client }: Site) => ({ client, runId: "run", signal: new AbortController().signal });

function alertsOf(verdicts: readonly Verdict[]): readonly (readonly [string, number])[] {
  return verdicts.filter(({ alert }) => alert !== null).map(({ camera, frame }) => [camera, frame]);
}

it("raises one alert, for the frame and the camera in which something came", async () => {
  const site = await givenSite();
  await site.drawingCamera("gate", null);
  await site.drawingCamera("yard", 4);
  await site.staff("analyser-1", { tasks: analysing() });
  await site.staff("siren-1", { tasks: alerting(join(site.folder, "alerts")) });
  const watches = ["gate", "yard"].map((name) => ({ camera: name, frames: 6 }));

  for (const watch of watches) await site.client.submitAll(planWatch("run", watch));
  const verdicts = (await Promise.all(watches.map((watch) => direct(watch, direction(site))))).flat();

  expect(verdicts).toHaveLength(10);
  expect(verdicts.filter(({ analysis }) => "failed" in analysis)).toEqual([]);
  expect(alertsOf(verdicts)).toEqual([["yard", 4]]);
  expect(await readdir(join(site.folder, "alerts"))).toEqual(["run-alert-yard-4.json"]);
  expect(await site.client.get("run-alert-yard-4")).toMatchObject({ priority: "critical" });
});

it("raises an alert once, however often its director dies and is run again", async () => {
  const site = await givenSite();
  await site.drawingCamera("yard", 3);
  await site.staff("analyser-1", { tasks: { ...analysing(), ...alerting(join(site.folder, "alerts")) } });
  const watch = { camera: "yard", frames: 4 };
  const dying = new AbortController();
  await site.client.submitAll(planWatch("run", watch));
  const interrupted = direct(watch, { ...direction(site), signal: dying.signal, onVerdict: () => dying.abort() });
  await expect(interrupted).rejects.toMatchObject({ name: "AbortError" });

  await site.client.submitAll(planWatch("run", watch));
  const first = await direct(watch, direction(site));
  const second = await direct(watch, direction(site));

  expect(alertsOf(first)).toEqual([["yard", 3]]);
  expect(second).toEqual(first);
  expect(await readdir(join(site.folder, "alerts"))).toEqual(["run-alert-yard-3.json"]);
});

it("answers with the alert that an attempt before it left", async () => {
  const site = await givenSite();
  const path = join(site.folder, "run-alert-yard-2.json");
  await site.drawingCamera("yard", 2);
  await site.staff("analyser-1", { tasks: analysing() });
  const watch = { camera: "yard", frames: 2 };
  await site.client.submitAll(planWatch("run", watch));
  const directed = direct(watch, direction(site));
  const analysis = Analysis.parse(await site.client.result("run-analyse-yard-2"));
  const left: Alert = {
    alertId: "run-alert-yard-2",
    frame: analysis.frame,
    change: { ...theChange(analysis), score: 99 },
  };
  await writeFile(path, JSON.stringify(left));

  await site.staff("siren-1", { tasks: alerting(site.folder) });

  expect((await directed)[0]?.alert).toEqual(left);
  expect(JSON.parse(await readFile(path, "utf8"))).toEqual(left);
});

it("says what is wrong with a user's picture and goes on with the others", async () => {
  const site = await givenSite();
  const source = sceneSource(newScene({ ...small, seed: 7, plantedAt: 6 }), site.folder);
  for (let frame = 1; frame <= 6; frame += 1) await source.capture(frame, new AbortController().signal);
  await writeFile(join(site.folder, "frame-000002.png"), "not a picture");
  await site.staff("camera-door", camera({ name: "door", source: folderSource(site.folder), frameIntervalMs: 0 }));
  await site.staff("analyser-1", { tasks: { ...analysing(), ...alerting(join(site.folder, "alerts")) } });
  const watch = { camera: "door", frames: 7 };

  await site.client.submitAll(planWatch("run", watch));
  const verdicts = await direct(watch, direction(site));

  const notJudged = verdicts.filter(({ analysis }) => "failed" in analysis).map(({ frame }) => frame);
  expect(notJudged).toEqual([2, 3, 7]);
  expect(alertsOf(verdicts)).toEqual([["door", 6]]);
  const capture = (frame: number) => site.client.get(taskIdOf("run", "capture", { camera: "door", frame }));
  expect(await capture(2)).toMatchObject({ state: "failed", attempt: 1, error: { type: "FRAME_UNREADABLE" } });
  expect(await capture(7)).toMatchObject({ state: "failed", attempt: 1, error: { type: "FRAME_NOT_FOUND" } });
  await untilMetrics(site, "camera-door", { framesCaptured: 5, framesDropped: 2 });
});

it("refuses to compare a file that was exchanged, or another size, or frames it was not given", async () => {
  const site = await givenSite();
  const other = sceneSource(newScene({ ...small, width: 72, seed: 9, plantedAt: null }), join(site.folder, "other"));
  await site.drawingCamera("gate", null);
  await site.client.submitAll(planWatch("run", { camera: "gate", frames: 4 }));
  const captures = await Promise.all(
    [1, 2, 3, 4].map((frame) => site.client.result(taskIdOf("run", "capture", { camera: "gate", frame }))),
  );
  const [, , third, fourth] = captures.map((output) => CapturedFrame.parse(output));
  const exchanged = await other.capture(1, new AbortController().signal);
  await copyFile(exchanged.path, third?.path ?? "");

  await site.staff("analyser-1", { tasks: analysing() });
  const hand = await site.engine.agent("hand", { capabilities: [taskType.capture, "camera:hand"] });
  await site.client.submitAll(planWatch("run", { camera: "hand", frames: 3 }));
  hand.complete(await hand.nextTask(), { ...fourth, camera: "hand", frame: 1 });
  hand.complete(await hand.nextTask(), { ...fourth, ...exchanged, camera: "hand", frame: 2 });
  hand.complete(await hand.nextTask(), { picture: "of a cat" });

  const errorOf = async (name: string) => (await site.client.wait(`run-analyse-${name}`)).error?.type;
  expect(await errorOf("gate-2")).toBeUndefined();
  expect(await errorOf("gate-3")).toBe("FRAME_CHANGED");
  expect(await errorOf("gate-4")).toBe("FRAME_CHANGED");
  expect(await errorOf("hand-2")).toBe("FRAME_SIZES_DIFFER");
  expect(await errorOf("hand-3")).toBe("DEPENDENCIES_UNFIT");
});

it("lets a capture be cancelled while it waits for its turn", async () => {
  const site = await givenSite();
  await site.drawingCamera("gate", null, 3_600_000);
  const [first, second] = planWatch("run", { camera: "gate", frames: 2 });
  if (first === undefined || second === undefined) throw new Error("two captures are planned");
  await (await site.client.submit(first)).result();

  const handle = await site.client.submit(second);
  const { progress } = await untilSome("it says how long it waits", async () => {
    const view = await handle.get();
    return view.progress === undefined ? null : view;
  });
  await handle.cancel();

  expect(progress).toMatchObject({ nextFrameInMs: expect.closeTo(3_600_000, -5) });
  expect(await handle.wait()).toMatchObject({ state: "cancelled" });
  await untilMetrics(site, "camera-gate", { framesCaptured: 1, framesDropped: 1 });
});

it("says in its heartbeats how fast it captures", async () => {
  const site = await givenSite();
  await site.drawingCamera("gate", null);
  await site.client.submitAll(planWatch("run", { camera: "gate", frames: 400 }));

  await untilHolds(
    "frames per second show",
    async () => (await site.engine.agentStatus("camera-gate"))?.["metrics"] as Record<string, number>,
    (metrics) => (metrics["framesPerSecond"] ?? 0) > 5,
  );
});

it("asks a camera that was written by hand as it asks its own", async () => {
  const site = await givenSite();
  await site.staff("analyser-1", { tasks: { ...analysing(), ...alerting(join(site.folder, "alerts")) } });
  const hand = await site.engine.agent("camera-by-hand", { capabilities: ["camera.capture", "camera:roof"] });
  const source = sceneSource(newScene({ ...small, seed: 7, plantedAt: 2 }), site.folder);
  const watch = { camera: "roof", frames: 2 };
  await site.client.submitAll(planWatch("run", watch));

  for (const frame of [1, 2]) {
    const assigned = await hand.takeTask();
    expect(assigned).toEqual({
      taskId: `run-capture-roof-${frame}`,
      type: "camera.capture",
      input: { camera: "roof", frame },
      attempt: 1,
      token: expect.any(String),
      incarnation: 1,
      priority: "normal",
      dependencyResults: {},
      metadata: {},
    });
    const picture = await source.capture(frame, new AbortController().signal);
    hand.complete(assigned, { camera: "roof", frame, ...picture, capturedAt: Date.now() });
  }
  const verdicts = await direct(watch, direction(site));

  expect(alertsOf(verdicts)).toEqual([["roof", 2]]);
});

it("gives an analyser that was written by hand both captures", async () => {
  const site = await givenSite();
  await site.drawingCamera("gate", null);
  const hand = await site.engine.agent("analyser-by-hand", { capabilities: ["frame.analyse"] });
  await site.client.submitAll(planWatch("run", { camera: "gate", frames: 2 }));

  const { input, dependencyResults } = await hand.takeTask();

  expect(input).toEqual({ camera: "gate", frame: 2 });
  const path = (frame: number) => join(site.folder, "gate", `frame-00000${frame}.png`);
  expect(dependencyResults).toEqual({
    "run-capture-gate-1": expect.objectContaining({ camera: "gate", frame: 1, path: path(1), ...small }),
    "run-capture-gate-2": expect.objectContaining({ camera: "gate", frame: 2, path: path(2), ...small }),
  });
});

function theChange({ change }: Analysis): Change {
  if (change === null) throw new Error("the analysis found no change");
  return change;
}

async function untilMetrics({ engine }: Site, agentId: string, expected: Record<string, number>): Promise<void> {
  await untilHolds(
    `agent ${agentId} says ${JSON.stringify(expected)}`,
    async () => (await engine.agentStatus(agentId))?.["metrics"] as Record<string, number>,
    (metrics) => Object.entries(expected).every(([name, value]) => metrics[name] === value),
  );
}
