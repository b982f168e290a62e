/** Lengths of time as people read them in reasons: a tenth of a second where it is short, two units where it is long. */

const units = [
  { name: "d", ms: 86_400_000 },
  { name: "h", ms: 3_600_000 },
  { name: "min", ms: 60_000 },
  { name: "s", ms: 1_000 },
] as const;

/** Below this, seconds with a tenth say it best; failures count in them up to ten minutes. */
const SECONDS_MAX_MS = 600_000;

/** A negative length is none. */
export function lasting(ms: number): string {
  if (ms < SECONDS_MAX_MS) return `${(Math.max(0, ms) / 1_000).toFixed(1)} s`;
  const first = units.findIndex((unit) => ms >= unit.ms);
  const [large, small] = units.slice(first);
  if (large === undefined || small === undefined) throw new Error(`${ms} ms have no units`);
  const count = Math.floor(ms / large.ms);
  const rest = Math.floor((ms - count * large.ms) / small.ms);
  return rest === 0 ? `${count} ${large.name}` : `${count} ${large.name} ${rest} ${small.name}`;
}
