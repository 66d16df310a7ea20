/** Rows as safetensors: the same bytes in any micro-batches, and a file that is complete whenever a run stops. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OutputClaim } from '../../../src/output/claim.js';
import { openSink } from '../../../src/output/open-sink.js';
import type { Sink } from '../../../src/output/sink.js';
import { openSource } from '../../../src/rows/open-source.js';
import { FINGERPRINT, jobOf } from '../../fixtures/job-of.js';
import { batch, failedRow, sharedTensor } from '../../fixtures/rows-done.js';
import { inputSpec, readAll } from '../../fixtures/rows-read.js';
import { tempFolder } from '../../fixtures/temp-folder.js';

const SPECS = [inputSpec('größe/x:0', 'int64'), inputSpec('y', 'float32', 2), inputSpec('half', 'bfloat16')];

async function writeThree(sink: Sink): Promise<void> {
  const first = {
    y: sharedTensor('float32', [2, 2], [1, 2, 3, 4]),
    half: sharedTensor('bfloat16', [2], [0x3f80, 0x4000]),
    'größe/x:0': sharedTensor('int64', [2], [5n, 6n]),
  };
  const second = {
    y: sharedTensor('float32', [1, 2], [7, 8]),
    half: sharedTensor('bfloat16', [1], [0x4040]),
    'größe/x:0': sharedTensor('int64', [1], [9n]),
  };
  await sink.write(batch(0, first, { failed: [failedRow(1)] }));
  await sink.write(batch(2, second));
}

test('every output is a tensor with its failed rows in place; only the file stays', async (t) => {
  const at = tempFolder(t);
  const sink = await openSink(at('out.safetensors'));
  await writeThree(sink);
  await sink.finish();
  assert.deepEqual(readdirSync(at('')), ['out.safetensors', 'out.safetensors.errors.jsonl']);
  const all = await readAll(await openSource(at('out.safetensors'), SPECS, { allowNonFinite: true }));
  assert.deepEqual(all.values, [
    [5n, 0n, 9n],
    [1, 2, Number.NaN, Number.NaN, 7, 8],
    [0x3f80, 0x7fc0, 0x4040],
  ]);
});

test('the same rows give the same bytes in any micro-batches', async (t) => {
  const at = tempFolder(t);
  for (const rows of [1, 2, 3, 6]) {
    const sink = await openSink(at(`out${rows}.safetensors`));
    for (let row = 0; row < 6; row += rows) {
      const values = Array.from({ length: rows }, (_, n) => row + n);
      await sink.write(
        batch(row, {
          flag: sharedTensor(
            'bool',
            [rows],
            values.map((n) => n % 2),
          ),
          y: sharedTensor('float64', [rows], values),
        }),
      );
    }
    await sink.finish();
    assert.deepEqual(readFileSync(at(`out${rows}.safetensors`)), readFileSync(at('out1.safetensors')));
  }
});

test('left to be resumed: the file is complete with its first tensor', async (t) => {
  const at = tempFolder(t);
  const claim = await OutputClaim.take(at('out.safetensors'), { fingerprint: FINGERPRINT });
  const sink = await claim.open(jobOf({ rows: 9, microBatch: 2 }));
  await writeThree(sink);
  await sink.abandon();
  const first = await openSource(at('out.safetensors.partial'), SPECS.slice(0, 1), { format: 'safetensors' });
  assert.deepEqual((await readAll(first)).values, [[5n, 0n, 9n]]);
});

test('no rows, an output of a reserved name, and stdout are refused by code', async (t) => {
  const at = tempFolder(t);
  const unused = await openSink(at('none.safetensors'));
  await assert.rejects(unused.finish(), { code: 'TANDEM_OUTPUT_FAILED', message: /there were no rows/ });
  const sink = await openSink(at('meta.safetensors'));
  const reserved = batch(0, { __metadata__: sharedTensor('int32', [1], [1]) });
  await assert.rejects(sink.write(reserved), {
    code: 'TANDEM_OUTPUT_UNSUPPORTED',
    message: /keeps the name __metadata__/,
  });
  await sink.abandon();
  await assert.rejects(openSink('-', { format: 'safetensors' }), {
    code: 'TANDEM_OUTPUT_UNSUPPORTED',
    message: /a safetensors file is assembled at the end/,
  });
});
