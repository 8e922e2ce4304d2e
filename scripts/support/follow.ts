import type { WorkflowHandle } from '@temporalio/client';
import { createLogUpdate } from 'log-update';
import pc from 'picocolors';
import { type NightProgress, PROGRESS_QUERY, type StageLine } from '../../workflows/contracts.ts';

/** Often enough to feel live; each look costs the server a query and a describe. */
const LOOK_MILLISECONDS = 400;

/**
 * Shows the stages of a workflow until it ends and returns its result: a table that redraws on a terminal, a
 * line for each stage that ends elsewhere.
 * @throws what the workflow failed with, or what `lost` rejects with
 */
export async function followNight<Result>(
  handle: WorkflowHandle,
  options: { stream: NodeJS.WriteStream; lost?: Promise<never> },
): Promise<Result> {
  const show = options.stream.isTTY ? createTable(options.stream) : createLines(options.stream);
  // Else it would ask again when the connection is closed, which ends the process with a stack.
  const leaving = new AbortController();
  const result = handle.client.withAbortSignal(leaving.signal, () => handle.result() as Promise<Result>);
  // Whoever awaits the result below sees the error; until then it is not unhandled.
  const settled = result.then(
    () => true,
    () => true,
  );
  const started = Date.now();
  const look = async (): Promise<boolean> => {
    await tellOf(handle, show, started);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
    return false;
  };
  const lost = options.lost === undefined ? [] : [options.lost];
  try {
    while (!(await Promise.race([settled, look(), ...lost])));
  } catch (error) {
    leaving.abort();
    throw error;
  }
  await tellOf(handle, show, started);
  show.done();
  return result;
}

interface Look extends NightProgress {
  /** What attempts before the present ones failed with. */
  troubles: string[];
  seconds: number;
}

async function tellOf(handle: WorkflowHandle, show: Display, started: number): Promise<void> {
  try {
    const progress = await handle.query<NightProgress>(PROGRESS_QUERY);
    const { raw } = await handle.describe();
    const troubles = (raw.pendingActivities ?? []).flatMap(({ attempt, lastFailure }) =>
      (attempt ?? 1) > 1 && lastFailure?.message ? [`attempt ${attempt}: ${lastFailure.message}`] : [],
    );
    show.update({ ...progress, troubles, seconds: (Date.now() - started) / 1000 });
  } catch {
    // No worker has taken the workflow yet, or the server is restarting: the next look may tell.
  }
}

interface Display {
  update(look: Look): void;
  done(): void;
}

type Colors = ReturnType<typeof pc.createColors>;

function line({ stage, state, rows, seconds, note }: StageLine, { yellow, green, red, dim }: Colors): string {
  const marks = { running: yellow('…'), done: green('✓'), failed: red('✗') };
  const count = rows === null ? '' : rows.toLocaleString('en');
  const time = seconds === null ? '' : `${seconds.toFixed(1)} s`;
  return `${marks[state]} ${stage.padEnd(16)} ${count.padStart(12)} ${time.padStart(8)}  ${dim(note ?? '')}`.trimEnd();
}

function createTable(stream: NodeJS.WriteStream): Display {
  const draw = createLogUpdate(stream);
  return {
    update: ({ run, asOf, stages, troubles, seconds }) => {
      const head = run === null ? 'waiting for a place in the ledger' : `run ${run}, as-of ${asOf}`;
      draw(
        [
          `${pc.bold(head)}  ${seconds.toFixed(0)} s`,
          ...stages.map((one) => line(one, pc)),
          ...troubles.map(pc.yellow),
        ].join('\n'),
      );
    },
    done: () => draw.done(),
  };
}

function createLines(stream: NodeJS.WriteStream): Display {
  // In CI too, where colours would be on by default.
  const plain = pc.createColors(false);
  const told = new Set<string>();
  const tell = (text: string): void => {
    if (told.has(text)) return;
    told.add(text);
    stream.write(`${text}\n`);
  };
  return {
    update: ({ run, asOf, stages, troubles }) => {
      if (run !== null) tell(`run ${run}, as-of ${asOf}`);
      // A running one where it has something to say: that somebody is waited for.
      for (const stage of stages)
        if (stage.state !== 'running' || stage.note !== null) tell(line(stage, plain));
      troubles.forEach(tell);
    },
    done: () => undefined,
  };
}
