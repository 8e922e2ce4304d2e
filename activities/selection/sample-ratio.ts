/** Below this the groups are not the halves that they should be, and what they say apart is not to be trusted. */
export const BROKEN_SAMPLE_RATIO = 0.001;

/**
 * Two-sided p-value of seeing these group sizes where each user falls into either half with equal chance:
 * chi-squared with one degree of freedom, whose tail is that of the normal distribution.
 */
export function sampleRatioPValue(a: number, b: number): number {
  if (a + b === 0) return 1;
  const z = Math.abs(a - b) / Math.sqrt(a + b);
  return 2 * normalTail(z);
}

/** The same for two to four groups of equal chance: chi-squared, whose tail has a closed form for each. */
export function groupsRatioPValue(users: readonly number[]): number {
  if (users.length === 2) return sampleRatioPValue(users[0], users[1]);
  const expected = users.reduce((sum, one) => sum + one, 0) / users.length;
  if (expected === 0) return 1;
  const chi = users.reduce((sum, one) => sum + (one - expected) ** 2 / expected, 0);
  if (users.length === 3) return Math.exp(-chi / 2);
  const root = Math.sqrt(chi);
  return 2 * normalTail(root) + Math.sqrt(2 / Math.PI) * root * Math.exp(-chi / 2);
}

/** Upper tail of the standard normal; Abramowitz and Stegun (1964), 26.2.17, absolute error below 7.5e-8. */
function normalTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const polynomial =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * polynomial;
}
