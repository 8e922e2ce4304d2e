/** The stages of a night as people name them, in the order in which they are gone through. */

export const NIGHT_STAGES = [
  'source gate',
  'bronze',
  'bronze gate',
  'silver',
  'silver gate',
  'features',
  'features gate',
  'split',
  'baseline',
  'A/B test',
  'champion',
  'selection',
  'operator',
  'refit',
  'model gate',
  'publish',
  'publish gate',
  'clean up',
] as const;

export type NightStage = (typeof NIGHT_STAGES)[number];

/** The stage that a person means, by its letters: `silver-gate` too; undefined where there is none. */
export function findStage(text: string): NightStage | undefined {
  const letters = (name: string): string => name.toLowerCase().replace(/[^a-z]+/g, '');
  return NIGHT_STAGES.find((stage) => letters(stage) === letters(text));
}

/** The stages before one, and that one with all that come after it. */
export function stagesAround(from: NightStage): { before: NightStage[]; onwards: NightStage[] } {
  const at = NIGHT_STAGES.indexOf(from);
  return { before: NIGHT_STAGES.slice(0, at), onwards: NIGHT_STAGES.slice(at) };
}
