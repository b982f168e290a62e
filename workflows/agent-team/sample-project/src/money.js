export function roundToCents(amount) {
  return Math.round(amount * 100) / 100;
}

/** A share of an amount, in whole percents. */
export function percentOf(amount, percent) {
  return roundToCents((amount * percent) / 100);
}
