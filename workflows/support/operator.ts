/** An operator's decision about a night, by workflow updates: asked for once, decided once, with who and why. */

import { allHandlersFinished, condition, defineUpdate, setHandler } from '@temporalio/workflow';
import { APPROVE_UPDATE, type OperatorsWord, REJECT_UPDATE, type Verdict } from '../contracts.ts';

const approve = defineUpdate<string, [OperatorsWord]>(APPROVE_UPDATE);
const reject = defineUpdate<string, [OperatorsWord]>(REJECT_UPDATE);

/** What an operator is asked, in the words of the decision: what approving does, and why it is not done unasked. */
export interface Question {
  hours: number;
  /** One line: until when, and how to answer. */
  note: string;
  /** Markdown: what is asked, too. */
  details: string;
}

export function questionOf(
  run: number,
  reason: string,
  { hours, ...approved }: { hours: number; decision: string; reason: string },
): Question {
  const until = `${new Date(Date.now() + hours * 3_600_000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const command = (update: string): string => `npm run pipeline -- ${update} --run ${run} --reason "…"`;
  return {
    hours,
    note: `until ${until}: ${command(APPROVE_UPDATE)}, or ${REJECT_UPDATE}`,
    // Paragraphs: the UI joins the lines of a list.
    details: [
      `**An operator is asked, until ${until}.** ${reason}, unless somebody approves.`,
      `\`${command(APPROVE_UPDATE)}\` publishes (${approved.decision}): ${approved.reason}`,
      `\`${command(REJECT_UPDATE)}\`, or nobody's word by then: what is served stays.`,
      `_More Actions_, _Send an Update_ takes the same: \`{"actor": "who", "reason": "why"}\``,
    ].join('\n\n'),
  };
}

export interface DecisionPoint {
  /** Waits for the word of an operator; after the question's hours nobody's word is taken any more. */
  ask(question: Question): Promise<Verdict>;
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
      {
        validator: assertTaken,
        description:
          verdict === 'approved'
            ? 'publish a night that asks; {"actor": "who", "reason": "why"}'
            : 'block a night that asks: what is served stays; {"actor": "who", "reason": "why"}',
      },
    );
  take('approved');
  take('rejected');

  return {
    async ask({ hours }) {
      state = 'asked';
      await condition(() => given !== null, `${hours * 3600}s`, { summary: 'an operator is asked' });
      state = 'over';
      await condition(allHandlersFinished);
      return (
        given ?? { verdict: 'too late', actor: 'nightly', reason: `nobody decided within ${hours} hours` }
      );
    },
  };
}
