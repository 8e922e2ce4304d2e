/** A process of its own: its reads are not held up by what the measuring process does. */

import { type ReadPlan, readSteadily } from './reads.ts';

const stopping = new AbortController();

process.on('message', (message: ReadPlan | 'stop') => {
  if (message === 'stop') return stopping.abort();
  void readSteadily(message, stopping.signal).then(
    (report) => process.send?.(report, () => process.exit(0)),
    (error: unknown) => {
      console.error(`reads: ${error instanceof Error ? error.message : String(error)}`);
      process.exit(1);
    },
  );
});
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1));
