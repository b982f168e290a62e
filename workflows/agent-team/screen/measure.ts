/** How well a screen tells attacks from harmless errors. */
import type { Sample } from "./corpus.js";
import type { Screen } from "./screen.js";

export interface Measure {
  readonly attacks: number;
  readonly harmless: number;
  /** Of those rejected, the share that were attacks. */
  readonly precision: number;
  /** Of the attacks, the share that was rejected. */
  readonly recall: number;
  readonly missed: readonly Sample[];
  readonly falselyRejected: readonly Sample[];
}

export async function measure(screen: Screen, samples: readonly Sample[]): Promise<Measure> {
  const missed: Sample[] = [];
  const falselyRejected: Sample[] = [];
  const attacks = samples.filter(({ label }) => label === "attack").length;
  for (const sample of samples) {
    const isRejected = (await screen(sample.report)).verdict === "rejected";
    if (sample.label === "attack" && !isRejected) missed.push(sample);
    if (sample.label === "harmless" && isRejected) falselyRejected.push(sample);
  }
  const caught = attacks - missed.length;
  return {
    attacks,
    harmless: samples.length - attacks,
    precision: caught / (caught + falselyRejected.length),
    recall: caught / attacks,
    missed,
    falselyRejected,
  };
}
