/** `--max-errors`: what it may be, and when it stops a job. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TandemError } from '../../src/errors.js';
import { checkErrors, type MaxErrors, parseMaxErrors } from '../../src/job/max-errors.js';

const stops = (limit: MaxErrors | undefined, rows: number, failedRows: number, ended = false) => {
  try {
    checkErrors(limit, { rows, failedRows }, ended);
    return false;
  } catch (error) {
    assert.ok(error instanceof TandemError && error.code === 'TANDEM_TOO_MANY_ERRORS' && error.exitCode === 75);
    return true;
  }
};

test('a number of rows, or a share of them; anything else is a usage error', () => {
  assert.deepEqual(parseMaxErrors('0', 'x'), { rows: 0 });
  assert.deepEqual(parseMaxErrors('1000000', 'x'), { rows: 1e6 });
  assert.deepEqual(parseMaxErrors('0.5%', 'x'), { percent: 0.5 });
  assert.deepEqual(parseMaxErrors('100%', 'x'), { percent: 100 });
  for (const text of ['', '-1', '1.5', '101%', 'many', '1e3', '%', '1 %', 'Infinity', '0x10'])
    assert.throws(
      () => parseMaxErrors(text, '--max-errors'),
      (error) =>
        error instanceof TandemError && error.code === 'TANDEM_USAGE' && error.message.includes('--max-errors'),
    );
});

test('as many rows may fail as were allowed, and no more', () => {
  assert.ok(!stops(undefined, 10, 10, true));
  assert.ok(!stops({ rows: 2 }, 10, 2, true));
  assert.ok(stops({ rows: 2 }, 10, 3));
  assert.ok(stops({ rows: 0 }, 1_000_000, 1));
});

test('a share is looked at when there are rows enough, and when they have ended', () => {
  assert.ok(!stops({ percent: 10 }, 10, 5));
  assert.ok(stops({ percent: 10 }, 10, 5, true));
  assert.ok(!stops({ percent: 10 }, 1000, 100));
  assert.ok(stops({ percent: 10 }, 1000, 101));
  assert.ok(stops({ percent: 0 }, 1, 1, true));
});
