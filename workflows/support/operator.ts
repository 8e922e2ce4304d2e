/** An operator's decision about a night, by workflow updates: asked for once, decided once, with who and why. */

import { allHandlersFinished, condition, defineUpdate, setHandler } from '@temporalio/workflow';
import { APPROVE_UPDATE, type OperatorsWord, REJECT_UPDATE, type Verdict } from '../contracts.ts';

const approve = defineUpdate<string, [OperatorsWord]>(APPROVE_UPDATE);
const reject = defineUpdate<string, [OperatorsWord]>(REJECT_UPDATE);

export interface DecisionPoint {
  /** Waits for the word of an operator; after `hours` nobody's word is taken any more. */
  ask(hours: number): Promise<Verdict>;
}

/** Takes updates from the start on, so that one that comes too early or too late is told so. */
export function createDecisionPoint(): DecisionPoint {
  let state: 'not asked' | 'asked' | 'over' = 'not asked';
  let given: Verdict | null = null;

  const assertTaken = (word: OperatorsWord): void => {
    if (given?.verdict === 'approved' || given?.verdict === 'rejected')
      throw new Error(`decided already: ${given.verdict} by ${given.actor} (${given.reason})`);
    if (state === 'not asked') throw new Error('nothing is to be decided: the night goes its way by itself');
    if (state === 'over') throw new Error('too late: the time to decide is over, and what was served stays');
    for (const field of ['actor', 'reason'] as const) {
      if (typeof word[field] !== 'string' || word[field].trim() === '')
        throw new Error(`${field}: expected who decides and why, in words`);
    }
  };
  const take = (verdict: 'approved' | 'rejected'): void =>
    setHandler(
      verdict === 'approved' ? approve : reject,
      ({ actor, reason }) => {
        given = { verdict, actor: actor.trim(), reason: reason.trim() };
        return `${verdict} by ${given.actor}`;
      },
      { validator: assertTaken },
    );
  take('approved');
  take('rejected');

  return {
    async ask(hours) {
      state = 'asked';
      await condition(() => given !== null, `${hours * 3600}s`);
      state = 'over';
      await condition(allHandlersFinished);
      return (
        given ?? { verdict: 'too late', actor: 'nightly', reason: `nobody decided within ${hours} hours` }
      );
    },
  };
}
