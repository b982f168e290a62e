/** One error within the window, and a new one after a deployment, by what the server itself says. */
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { connectFleet } from "../../../src/bridges/index.js";
import { silentLogger } from "../../../src/logger.js";
import { purgeOnDeployment } from "../../../workflows/agent-team/deployment.js";
import { messageIdOf } from "../../../workflows/agent-team/error-signature.js";
import { namesOf } from "../../../workflows/agent-team/names.js";
import { topologyOf } from "../../../workflows/agent-team/topology.js";
import { until } from "../../support/until.js";
import { ask, messagesIn, publish, sampleReport, useSystem } from "./given-team.js";

const system = useSystem();
const names = namesOf("deploy");

it("takes the same error once until the next deployment, whatever its time, and again after it", async () => {
  const { raw } = system;
  const fleet = await connectFleet({ servers: system.url, name: "deployer", logger: silentLogger });
  try {
    await fleet.apply(topologyOf(names));
    const hash = createHash("sha256").update(`${sampleReport.error}:/srv/shop/src/cart.js:7`).digest("hex");
    const messageId = `deploy-production-${hash}`;
    expect(messageIdOf(names, "production", sampleReport)).toBe(messageId);

    const later = { ...sampleReport, timestamp: "2026-11-21T15:00:00.000Z" };
    expect(await publish(raw, "deploy.errors.production", sampleReport, messageId)).not.toHaveProperty("duplicate");
    expect(await publish(raw, "deploy.errors.production", later, messageId)).toMatchObject({ duplicate: true });
    expect(await messagesIn(raw, "DEPLOY_PRODUCTION_ERRORS")).toBe(1);

    expect(await purgeOnDeployment(fleet, names, "production")).toBe(1);

    expect(await publish(raw, "deploy.errors.production", later, messageId)).not.toHaveProperty("duplicate");
    expect(await messagesIn(raw, "DEPLOY_PRODUCTION_ERRORS")).toBe(1);
  } finally {
    await fleet.close();
  }
});

it("does so, too, when another member's deployment purges the stream", async () => {
  const { raw } = system;
  let goOn: () => void = () => undefined;
  const looked = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  await system.startTeam("others", { screen: () => looked.then(() => ({ verdict: "pass" })) });
  await publish(raw, "others.errors.staging", sampleReport, "others-staging-1");
  const updated = raw.subscribe("$JS.EVENT.ADVISORY.STREAM.UPDATED.OTHERS_STAGING_ERRORS");

  await ask(raw, "STREAM.PURGE.OTHERS_STAGING_ERRORS");
  await until("the window was narrowed twice and widened again", () => updated.received.length === 3);

  expect(await publish(raw, "others.errors.staging", sampleReport, "others-staging-1")).not.toHaveProperty("duplicate");
  expect(await publish(raw, "others.errors.staging", sampleReport, "others-staging-1")).toMatchObject({
    duplicate: true,
  });
  goOn();
});
