/** A run that gets a signal once some of its rows are safe. */
import { once } from 'node:events';
import { statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { type Ended, start, TANDEM } from './tandem-process.js';

export interface Interruption {
  readonly cwd: string;
  /** As `args` name it. */
  readonly output: string;
  readonly signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT';
}

/** Starts tandem and sends it the signal as soon as its journal tells of rows. */
export async function interrupt(args: readonly string[], { cwd, output, signal }: Interruption): Promise<Ended> {
  const watcher = watch(cwd);
  const { child, ended } = start(process.execPath, [TANDEM, ...args], { cwd });
  const over = ended.then(({ stderr }) => {
    throw new Error(`it ended before a row was safe: ${stderr}`);
  });
  over.catch(() => {});
  const size = () => statSync(join(cwd, `${output}.journal`), { throwIfNoEntry: false })?.size ?? 0;
  try {
    let begun = 0;
    while (begun === 0 || size() === begun) {
      await Promise.race([once(watcher, 'change'), over]);
      begun ||= size();
    }
  } finally {
    watcher.close();
  }
  child.kill(signal);
  return ended;
}
