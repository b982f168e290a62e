/**
 * The KEDA manifest against a real server: what KEDA would ask is asked, and the lag computed as KEDA computes it
 * (pkg/scalers/nats_jetstream_scaler.go of KEDA 2).
 */
import { access, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connectFleet } from "perdure/bridges";
import { expect, it, onTestFinished } from "vitest";
import { silentLogger } from "../../../src/logger.js";
import { startNatsServer } from "../../../src/nats-server/start.js";
import { ConsolidatedEvent } from "../../../workflows/overmind/messages.js";
import { producersOn } from "../../../workflows/overmind/producers.js";
import { overmind } from "../../../workflows/overmind/topology.js";
import { until, untilHolds } from "../../support/until.js";
import { givenConsolidated } from "./given.js";
import { at, readManifests, type Yaml } from "./manifest.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const [deployment, scaledObject] = readManifests(await readFile(join(root, "workflows/overmind/keda.yaml"), "utf8"));

/** The fields that KEDA reads of what `/jsz` answers. */
interface Jsz {
  readonly account_details: readonly {
    readonly name: string;
    readonly stream_detail?: readonly {
      readonly name: string;
      readonly state: { readonly last_seq: number };
      readonly consumer_detail?: readonly {
        readonly name: string;
        readonly num_pending: number;
        readonly num_ack_pending: number;
      }[];
    }[];
  }[];
}

/** @throws Error where KEDA would find no stream, or no consumer and take the whole stream for the lag */
async function lagAsKedaSeesIt(trigger: Yaml, endpoint: string): Promise<number> {
  const [account, stream, consumer] = ["account", "stream", "consumer"].map((name) => at(trigger, name));
  const scheme = at(trigger, "useHttps") === "true" ? "https" : "http";
  const response = await fetch(`${scheme}://${endpoint}/jsz?acc=${String(account)}&consumers=true&config=true`);
  const { account_details: accounts } = (await response.json()) as Jsz;
  const found = accounts.find(({ name }) => name === account)?.stream_detail?.find(({ name }) => name === stream);
  if (found === undefined) throw new Error(`no stream ${String(stream)}: ${JSON.stringify(accounts)}`);
  const state = found.consumer_detail?.find(({ name }) => name === consumer);
  if (state === undefined) throw new Error(`no consumer ${String(consumer)}`);
  return state.num_pending + state.num_ack_pending;
}

/** What the autoscaler makes of an external metric with an average value as its target. */
const wantedReplicas = (lag: number, trigger: Yaml): number => Math.ceil(lag / Number(at(trigger, "lagThreshold")));

it("scales by the backlog of the consolidation consumer, as the server reports it", async () => {
  const storeDir = await mkdtemp(join(tmpdir(), "perdure-overmind-keda-"));
  onTestFinished(() => rm(storeDir, { recursive: true, force: true }));
  const server = await startNatsServer({ storeDir, monitoringPort: 0 });
  onTestFinished(() => server.stop());
  const endpoint = new URL(server.monitoringUrl ?? "").host;
  const fleet = await connectFleet({ servers: server.url, name: "keda", topology: overmind, logger: silentLogger });
  onTestFinished(() => fleet.close());
  const trigger = at(scaledObject, "spec", "triggers", "0", "metadata");
  const producers = producersOn(fleet);

  await Promise.all(
    Array.from({ length: 120 }, (_, index) => producers.remembered(givenConsolidated({ eventId: `e-${index}` }))),
  );
  // Not for this consumer.
  await producers.remembered({ ...givenConsolidated(), eventType: "added" });
  const waiting = await lagAsKedaSeesIt(trigger, endpoint);

  let letGo: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let inHand = 0;
  await fleet.consume({
    stream: "memory-events",
    consumer: "consolidation-consumer",
    schema: ConsolidatedEvent,
    ack: "onHandled",
    maxConcurrent: 30,
    handle: async () => {
      inHand += 1;
      await held;
    },
  });
  await until("thirty are in hand", () => inHand === 30);
  const withThirtyInHand = await lagAsKedaSeesIt(trigger, endpoint);
  letGo();

  expect(waiting).toBe(120);
  expect(wantedReplicas(waiting, trigger)).toBe(3);
  // What is in hand still counts, so that nobody is scaled away who works.
  expect(withThirtyInHand).toBe(120);
  await untilHolds(
    "nothing lags",
    () => lagAsKedaSeesIt(trigger, endpoint),
    (lag) => lag === 0,
  );
  expect(Number(at(trigger, "activationLagThreshold"))).toBe(0);
});

it("starts a program that there is, under the name that is scaled", async () => {
  const [container] = at(deployment, "spec", "template", "spec", "containers") as readonly Yaml[];
  const [node, program, part] = at(container, "command") as readonly string[];

  expect(at(scaledObject, "spec", "scaleTargetRef", "name")).toBe(at(deployment, "metadata", "name"));
  expect(at(scaledObject, "spec", "triggers", "0", "type")).toBe("nats-jetstream");
  expect([node, part]).toEqual(["node", "consolidation"]);
  await access(
    join(
      root,
      String(program)
        .replace(/^dist\//, "")
        .replace(/\.js$/, ".ts"),
    ),
  );
  const variables = (at(container, "env") as readonly Yaml[]).map((variable) => at(variable, "name"));
  expect(variables).toEqual(["NATS_URL", "NATS_TOKEN"]);
});
