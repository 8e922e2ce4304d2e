import type { Arm } from '../../config/ab-test.ts';

/** What tells a configuration from the others: whatever is not the same in all of them. */
export function tellingName(one: Arm, all: Arm[]): string {
  const telling = Object.entries<string | number>(one).filter(([name, value]) =>
    all.some((other) => other[name as keyof Arm] !== value),
  );
  const words = telling.map(([name, value]) =>
    name === 'family' ? String(value) : `${name === 'regularization' ? 'reg' : name} ${value}`,
  );
  return words.join(' ') || one.family;
}
