/**
 * Percentiles of any number of latencies in bounded room, each within two per cent: a histogram whose buckets grow by
 * four per cent. It is plain JSON, so that it can be stored and added to.
 */
/** Count by bucket. Bucket n has what is above GROWTH^(n-1) and at most GROWTH^n milliseconds. */
export type LatencySketch = Readonly<Record<string, number>>;

const GROWTH = 1.04;
/** A hundredth of a millisecond to twelve days; what lies outside is counted at the edge. */
const BUCKET_MIN = Math.ceil(Math.log(0.01) / Math.log(GROWTH));
const BUCKET_MAX = Math.ceil(Math.log(1e9) / Math.log(GROWTH));

export function withLatency(sketch: LatencySketch, latencyMs: number): LatencySketch {
  const exact = latencyMs > 0 ? Math.ceil(Math.log(latencyMs) / Math.log(GROWTH)) : BUCKET_MIN;
  const bucket = String(Math.min(BUCKET_MAX, Math.max(BUCKET_MIN, exact)));
  return { ...sketch, [bucket]: (sketch[bucket] ?? 0) + 1 };
}

/** In milliseconds; null of nothing. @param share 0.95 for the 95th percentile */
export function percentile(sketch: LatencySketch, share: number): number | null {
  const buckets = Object.entries(sketch)
    .map(([bucket, count]) => ({ bucket: Number(bucket), count }))
    .sort((a, b) => a.bucket - b.bucket);
  const rank = Math.ceil(share * buckets.reduce((sum, { count }) => sum + count, 0));
  let seen = 0;
  for (const { bucket, count } of buckets) {
    seen += count;
    if (seen >= rank) return middleOf(bucket);
  }
  return null;
}

/** The value from which both ends of the bucket are equally far, by ratio. */
function middleOf(bucket: number): number {
  return (2 * GROWTH ** bucket) / (GROWTH + 1);
}
