/** Runs that something happens to once some of their rows are safe. */
import { once } from 'node:events';
import { existsSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { journalPath } from '../../src/output/journal.js';
import { readRecords } from '../../src/output/read-journal.js';
import { type Ended, programFor, type RunOptions, type Started, start } from './tandem-process.js';

export interface Begun {
  readonly cwd: string;
  /** As `args` name it. */
  readonly output: string;
  /** The start of a command that starts another: tandem. */
  readonly through?: readonly string[];
  readonly env?: RunOptions['env'];
}

export interface Interruption extends Begun {
  readonly signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT';
}

/** Starts tandem and sends it the signal as soon as its journal tells of rows. */
export async function interrupt(args: readonly string[], { signal, ...begun }: Interruption): Promise<Ended> {
  const { child, ended } = await begin(args, begun);
  child.kill(signal);
  return ended;
}

/** Starts tandem; settles when its journal tells of more rows than before. */
export async function begin(args: readonly string[], { cwd, output, through = [], env }: Begun): Promise<Started> {
  const journal = journalPath(join(cwd, output));
  const before = rowsIn(journal);
  const watcher = watch(cwd);
  const command = [...through, process.execPath, programFor(env), ...args];
  const started = start(command[0]!, command.slice(1), { cwd, env });
  const { ended } = started;
  const over = ended.then(({ stderr }) => {
    throw new Error(`it ended before a row was safe: ${stderr}`);
  });
  over.catch(() => {});
  try {
    while (rowsIn(journal) <= before) await Promise.race([once(watcher, 'change'), over]);
  } finally {
    watcher.close();
  }
  return started;
}

/** Rows of which a journal tells; a record that is being written tells of none yet. */
function rowsIn(journal: string): number {
  return existsSync(journal) ? (readRecords(readFileSync(journal), journal).commit?.rows ?? 0) : 0;
}
