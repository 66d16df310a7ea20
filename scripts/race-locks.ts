/**
 * Lets processes race for the lock of a dead owner; exactly one must get it each time:
 * node dist/scripts/race-locks.js [--rounds 1000] [--processes 8] [--sign kernel|process|lease]. Without --sign all of them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Race, SIGNS } from './race-locks/race.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1000' },
    processes: { type: 'string', default: '8' },
    sign: { type: 'string' },
  },
});

for (const sign of SIGNS.filter((one) => (values.sign ?? one) === one)) {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-race-'));
  const race = new Race(folder, sign, Number(values.processes));
  let rounds = 0;
  try {
    for (; rounds < Number(values.rounds); rounds++) await race.round();
    process.stdout.write(`${sign}: ${rounds} rounds of ${values.processes} processes, one winner each\n`);
  } catch (error) {
    process.stderr.write(`${sign}: round ${rounds + 1}: ${(error as Error).message}\n`);
    process.exitCode = 1;
  } finally {
    await race.end();
    rmSync(folder, { recursive: true });
  }
}
