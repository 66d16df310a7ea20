/** Power failures at any point, also during recovery: the job can always be resumed, and ends with the bytes of an undisturbed run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readChain } from '../../src/lock/claim.js';
import { OutputClaim } from '../../src/output/claim.js';
import { lockPath } from '../../src/output/lock.js';
import type { RowsDone } from '../../src/output/sink.js';
import { Random } from '../../src/prove/models/random.js';
import { FINGERPRINT, jobOf } from '../fixtures/job-of.js';
import { batch, failedRow, sharedTensor } from '../fixtures/rows-done.js';
import { tempFolder } from '../fixtures/temp-folder.js';
import { CrashDisk, PowerCut } from './crash-disk.js';

const ROWS = 63;
const MICRO_BATCH = 4;
const JOB = jobOf({ rows: ROWS, microBatch: MICRO_BATCH });

/** A row always gives the same result; every seventh row fails. */
function micro(firstRow: number, outputs: number): RowsDone {
  const rows = Math.min(MICRO_BATCH, ROWS - firstRow);
  const indexes = Array.from({ length: rows }, (_, n) => firstRow + n);
  const tensors = Array.from({ length: outputs }, (_, n) => [
    `y${n}`,
    sharedTensor(
      'float32',
      [rows, 2],
      indexes.flatMap((row) => [row * 1.1, row + n]),
    ),
  ]);
  return batch(firstRow, Object.fromEntries(tensors), {
    failed: indexes.filter((row) => row % 7 === 3).map((row) => failedRow(row)),
  });
}

interface Run {
  readonly output: string;
  readonly outputs: number;
  readonly disk: CrashDisk;
  /** Milliseconds between commits; 0 commits as often as possible. */
  readonly pace: () => number;
}

/** One run from the current state. Returns the rows that it did not have to compute, or `null` if the power failed. */
async function runOnce({ output, outputs, disk, pace }: Run): Promise<number | null> {
  try {
    const claim = await OutputClaim.take(output, { fingerprint: FINGERPRINT, disk, pace });
    if (claim.complete) {
      await claim.release();
      return ROWS;
    }
    const from = claim.earlier?.commit?.rows ?? 0;
    const sink = await claim.open(JOB);
    try {
      for (let row = from; row < ROWS; row += MICRO_BATCH) {
        await sink.write(micro(row, outputs));
        // The lock is on a real disk: a commit reads it, which takes about this long.
        if (pace() === 0) await readChain(lockPath(output));
      }
      await sink.finish();
    } catch (error) {
      await sink.abandon();
      throw error;
    }
    return from;
  } catch (error) {
    for (let cause = error; cause; cause = (cause as Error).cause) if (cause instanceof PowerCut) return null;
    throw error;
  }
}

/** Names and contents of all files except the journal, which contains times. */
function filesOn(disk: CrashDisk): [string, string][] {
  const files = [...disk.names].filter(([path]) => !path.endsWith('.journal'));
  return files.map(([path, { now }]): [string, string] => [path, now.toString('hex')]).sort();
}

for (const [name, outputs, steps] of [
  ['out.jsonl', 2, 100],
  ['out.npy', 1, 110],
  ['out.npz', 3, 250],
  ['out.safetensors', 3, 250],
] as const) {
  test(`${name}: power failures never change a byte of it`, async (t) => {
    const output = tempFolder(t)(name);
    const pace = () => 0;
    const calm = new CrashDisk();
    assert.equal(await runOnce({ output, outputs, disk: calm, pace }), 0);
    const expected = filesOn(calm);
    assert.equal(expected.length, 2, 'the output and its errors');
    const seen = { cuts: 0, resumed: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(fc.integer({ min: 0, max: steps }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 0, max: 3 }),
        async (seed, cuts, eager) => {
          const random = new Random(seed);
          let disk = new CrashDisk(new Map(), cuts[0]);
          for (const next of [...cuts.slice(1), Number.POSITIVE_INFINITY]) {
            const from = await runOnce({ output, outputs, disk, pace: eager > 0 ? pace : () => 60_000 });
            if (from !== null) break;
            seen.cuts += 1;
            disk = disk.afterCrash(random, next);
          }
          disk.mend();
          const from = await runOnce({ output, outputs, disk, pace });
          if (from! > 0 && from! < ROWS) seen.resumed += 1;
          assert.deepEqual(filesOn(disk), expected);
          assert.equal(
            await runOnce({ output, outputs, disk, pace }),
            ROWS,
            'a finished job has nothing left to compute',
          );
        },
      ),
      { numRuns: 80, includeErrorInReport: true },
    );
    assert(seen.cuts > 50 && seen.resumed > 3, `${seen.cuts} cuts, ${seen.resumed} runs resumed`);
  });
}
