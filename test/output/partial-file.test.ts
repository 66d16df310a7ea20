/** Outputs on full or read-only disks: the rows written before are kept. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openSink } from '../../src/output/open-sink.js';
import { openSource } from '../../src/rows/open-source.js';
import { batch, sharedTensor } from '../fixtures/rows-done.js';
import { inputSpec, readAll } from '../fixtures/rows-read.js';

/** A file system of 256 KiB, or the reason why it cannot be mounted. */
function tinyDisk(t: TestContext, options = ''): { folder: string } | { reason: string } {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=256k${options}`, 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    rmdirSync(folder);
    return { reason: `a small file system cannot be mounted here: ${(error as Error).message.split('\n')[0]}` };
  }
  t.after(() => {
    execFileSync('umount', [folder]);
    rmdirSync(folder);
  });
  return { folder };
}

for (const name of ['out.jsonl', 'out.npy', 'out.npz'] as const) {
  test(`a disk that fills up: ${name} keeps the rows that were written before`, async (t) => {
    const disk = tinyDisk(t);
    if ('reason' in disk) return t.skip(disk.reason);
    const [path, left] = [join(disk.folder, name), `${name}.partial`];
    const sink = await openSink(path);
    const rows = batch(0, { y: sharedTensor('float32', [64, 64], new Array(4096).fill(1 / 3)) });
    let written = 0;
    const writeMany = async () => {
      for (; ; written += 64) await sink.write(rows);
    };
    await assert.rejects(writeMany(), {
      code: 'TANDEM_OUTPUT_FAILED',
      message: new RegExp(`^the output ${path} cannot be written: no space is left`),
      remedy: /free some space/,
    });
    await sink.abandon();
    assert.deepEqual(readdirSync(disk.folder), [left]);
    const kept = readFileSync(join(disk.folder, left));
    if (name === 'out.jsonl') {
      const lines = kept.toString().split('\n');
      assert.equal(lines.pop(), '');
      assert.equal(lines.length, written);
      assert.equal(JSON.parse(lines.at(-1)!).outputs.y.length, 64);
    } else {
      const source = await openSource(join(disk.folder, left), [inputSpec('y', 'float32', 64)], {
        format: extname(name).slice(1),
      });
      assert.equal((await readAll(source)).rows, written);
    }
  });
}

test('a disk that fills up while an archive is assembled loses no output', async (t) => {
  const disk = tinyDisk(t);
  if ('reason' in disk) return t.skip(disk.reason);
  const at = (name: string) => join(disk.folder, name);
  const sink = await openSink(at('out.npz'));
  // 40 and 160 KiB: the first fits into the archive, the second does not.
  const small = sharedTensor('uint8', [40, 1024], new Array(40 << 10).fill(1));
  const large = sharedTensor('uint8', [40, 4096], new Array(160 << 10).fill(2));
  await sink.write(batch(0, { small, large }));
  await assert.rejects(sink.finish(), {
    code: 'TANDEM_OUTPUT_FAILED',
    message: /out\.npz cannot be written: no space/,
  });
  assert.deepEqual(readdirSync(disk.folder).sort(), ['out.npz.1.partial', 'out.npz.partial']);
  const archive = await openSource(at('out.npz.partial'), [inputSpec('small', 'uint8', 1024)], { format: 'npz' });
  assert.deepEqual((await readAll(archive)).bytes[0], Buffer.alloc(40 << 10, 1));
  const array = await openSource(at('out.npz.1.partial'), [inputSpec('large', 'uint8', 4096)], { format: 'npy' });
  assert.deepEqual((await readAll(array)).bytes[0], Buffer.alloc(160 << 10, 2));
});

test('a folder without write permission', async (t) => {
  const disk = tinyDisk(t, ',ro');
  if ('reason' in disk) return t.skip(disk.reason);
  await assert.rejects(openSink(join(disk.folder, 'out.jsonl')), {
    code: 'TANDEM_OUTPUT_FAILED',
    message: /may not be written to/,
  });
});
