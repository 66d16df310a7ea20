/** A run of ResNet, whose rows are one input and can come from a pipe, that something happens to in the middle: half of its rows wait until it has happened. */
import type { ChildProcess } from 'node:child_process';
import type { Ended } from '../command.js';
import { MICRO_BATCH, type Setting, stageOn } from '../setting.js';

/** A multiple of the micro-batch: half of them first. */
const ROWS = 32;

/**
 * `before` is called when the first rows are done and the next wait, `during` right after those were handed over. Throws OutOfTime, and
 * RunFailed if the run ends before that.
 */
export async function runWith(
  { command, subjects, ...setting }: Setting,
  out: string,
  { before, during }: { before?: () => Promise<void>; during?: (child: ChildProcess) => void } = {},
): Promise<Ended> {
  const { header, rows } = subjects.stream(ROWS);
  const flags = ['-i', '-', '--input-format', 'npy', ...MICRO_BATCH, '--metrics-port', '0'];
  const stage = ['--isolation', 'process', '-s', stageOn({ command, subjects, ...setting })];
  const { child, ended, says } = command.start(
    command.runArguments(subjects.model('ResNet'), [...flags, ...stage], out),
  );
  child.stdin!.write(Buffer.concat([header, rows.subarray(0, rows.length / 2)]));
  const [url] = await says(/http:\/\/127\.0\.0\.1:\d+\/metrics/);
  let hasEnded = false;
  const end = () => {
    hasEnded = true;
  };
  ended.then(end, end);
  while (!hasEnded && !(await hasRows(url))) await new Promise((done) => setTimeout(done, 20));
  if (!hasEnded) await before?.();
  child.stdin!.end(rows.subarray(rows.length / 2));
  if (!hasEnded) during?.(child);
  return ended;
}

async function hasRows(url: string): Promise<boolean> {
  try {
    return /^tandem_rows_total [1-9]/m.test(await (await fetch(url)).text());
  } catch {
    return false;
  }
}
