import { createLogUpdate } from 'log-update';
import type { LoadProgress } from '../../data/load.ts';

/** Where lines stay, a line so often; a load of the default size is over before. */
const LINE_MILLISECONDS = 5_000;
/** Before that, what is left is guesswork. */
const ESTIMATE_AFTER_MILLISECONDS = 1_000;
/** Often enough to be seen moving. */
const DRAW_MILLISECONDS = 100;

/**
 * Shows how far loads have come and what is left: redrawn on a terminal, now and then a line elsewhere.
 * @param now milliseconds of a clock that only goes forward
 */
export function showLoading(
  stream: NodeJS.WriteStream,
  now: () => number = () => performance.now(),
): { update: (progress: LoadProgress) => void; done: () => void } {
  const draw = stream.isTTY ? createLogUpdate(stream) : null;
  const interval = draw === null ? LINE_MILLISECONDS : DRAW_MILLISECONDS;
  let what: LoadProgress['what'] | null = null;
  let began = now();
  let shown = began;
  return {
    update: (progress) => {
      const at = now();
      if (progress.what !== what) {
        what = progress.what;
        began = shown = at;
      }
      if (at - shown < interval) return;
      shown = at;
      const line = describeProgress(progress, at - began);
      if (draw === null) stream.write(`${line}\n`);
      else draw(line);
    },
    done: () => draw?.clear(),
  };
}

function describeProgress({ what, done, share }: LoadProgress, milliseconds: number): string {
  const number = (value: number): string => value.toLocaleString('en', { maximumFractionDigits: 0 });
  const line =
    what === 'zip' ? `downloading: ${number(done / 1e6)} MB` : `loading ${what}: ${number(done)} rows`;
  if (share === 0) return line;
  const left = Math.ceil((milliseconds * (1 / share - 1)) / 1000);
  const estimate = milliseconds < ESTIMATE_AFTER_MILLISECONDS ? '' : `, about ${number(left)} s left`;
  return `${line}, ${Math.floor(share * 100)}%${estimate}`;
}
