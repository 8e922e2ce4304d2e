import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

// By the flag that `--expose-gc` sets, which a process can also set for itself.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void;

/**
 * Gives back at once what large arrays have left behind. The garbage collector goes by the size of its own heap, which hardly
 * grows while factors, lists and their copies for the wire come and go beside it. After a piece of work that took seconds.
 */
export function collectGarbage(): void {
  collect();
}

/** The same of what has come into being of late: a millisecond, where going through everything takes a hundred. */
export function collectLatestGarbage(): void {
  collect({ type: 'minor' });
}
