import { userInfo } from 'node:os';
import { InvalidArgumentError, Option } from 'commander';

/** Words that are kept with a decision: some, not blanks. */
function words(text: string): string {
  const said = text.trim();
  if (said === '') throw new InvalidArgumentError('expected words, not nothing');
  return said;
}

/** Who decides, and why. */
export const decisionOptions = {
  reason: () => new Option('--reason <text>', 'why, in words; kept').argParser(words),
  actor: () =>
    new Option('--actor <name>', 'who decides').argParser(words).default(osUser(), 'the user of this system'),
};

/** A container may run under a user id that has no name. */
function osUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
