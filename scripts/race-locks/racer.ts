/** A process that takes and releases locks by commands on stdin: `take PATH [AT]`, `look`, `release`; each is answered by a line of JSON. */
import { createInterface } from 'node:readline';
import { LockFile } from '../../src/lock/lock-file.js';

let lock = null as LockFile | null;

async function take(path: string, at: number): Promise<object> {
  // All processes spin until the same time.
  while (Date.now() < at);
  const found = await LockFile.take(path);
  if (!(found instanceof LockFile)) return { by: found.owner?.pid ?? null, host: found.owner?.host ?? null };
  lock = found;
  return { by: 'me' };
}

for await (const line of createInterface(process.stdin)) {
  const [verb, path = '', at = '0'] = line.split(' ');
  let answer: object = {};
  if (verb === 'take') answer = await take(path, Number(at));
  if (verb === 'look') answer = { isHeld: (await lock?.isHeld()) ?? false };
  if (verb === 'release') await lock?.release();
  process.stdout.write(`${JSON.stringify({ ...answer, pid: process.pid })}\n`);
}
