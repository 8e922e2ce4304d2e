import Table from 'cli-table3';

/** Rows of values under a head, for people. */
export function table(head: string[], rows: (string | number | null | undefined)[][]): string {
  const drawn = new Table({
    head,
    style: { head: [], border: [], compact: true },
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  });
  for (const row of rows) drawn.push(row.map((cell) => cell ?? ''));
  return drawn.toString();
}

/** A metric at four digits. */
export function metric(value: number | null | undefined): string {
  return value?.toFixed(4) ?? 'n/a';
}
