/**
 * Files that unpack to far more than they are, as a person would feed them: the row or the file is refused by code, the good rows are answered,
 * and the memory of the process stays bounded. The bounds are what the limits in the readers add up to, with a wide margin: they are no timings.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, suite, test } from 'node:test';
import zlib from 'node:zlib';
import sharp from 'sharp';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeTextModel } from '../../scripts/make-text-model.js';
import { crc32 } from '../../src/crc32.js';
import { soundZstd } from '../../src/rows/zstd.js';
import { noPyarrow, PYTHON } from '../rows/pyarrow.js';
import { type Ended, tandem } from './tandem-process.js';

const PRELOAD = resolve(import.meta.dirname, '../../../test/fixtures/peak-memory.mjs');
const cwd = mkdtempSync(join(tmpdir(), 'tandem-bombs-'));
const at = (name: string) => join(cwd, name);
const MIB = 1 << 20;
/** What a run of a small model takes, and a row of 64 MiB in a few forms at once. */
const BOUND = 768 * MIB;
/** Bytes that a bomb unpacks to: twice the bound. */
const UNPACKED = 1536 * MIB;

before(() => {
  makeTextModel(at('embedder'));
  makeOnnx('cnn', at('cnn'), { layers: 1 });
  makeOnnx('mlp', at('mlp'), { layers: 1, hidden: 2 });
});
after(() => rmSync(cwd, { recursive: true }));

/** Runs a job in one process and gives its largest resident size too. */
async function run(...args: string[]): Promise<Ended & { peak: number }> {
  const peaks = mkdtempSync(at('peaks-'));
  const env = { NODE_OPTIONS: `--import=${PRELOAD}`, TEST_PEAKS: peaks };
  const ended = await tandem([...args, '-s', 'cpu', '--isolation', 'thread', '-q'], { cwd, env });
  const found = readdirSync(peaks).map((pid) => Number(readFileSync(join(peaks, pid), 'utf8')));
  assert.equal(found.length, 1, ended.stderr);
  return { ...ended, peak: found[0]! };
}

function assertBounded(peak: number, bound = BOUND): void {
  assert.ok(peak < bound, `${(peak / MIB).toFixed(0)} MiB of ${bound / MIB}`);
  assert.ok(peak > 50 * MIB, `${peak} bytes are no process: the memory was not measured`);
}

/** [index, code] of the failed rows of an output. */
const failuresOf = (output: string) =>
  readFileSync(at(`${output}.errors.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ row, index = row, code, error }) => [index, code ?? error?.code]);

const answersOf = (output: string) => readFileSync(at(output), 'utf8').trim().split('\n').length;

/** `before`, `UNPACKED` bytes of one letter, `behind`: gzip members one after another are one file. */
function gzipBomb(before: string, behind: string): Buffer {
  const letters = zlib.gzipSync(Buffer.alloc(16 * MIB, 'a'));
  return Buffer.concat([
    zlib.gzipSync(before),
    ...Array<Buffer>(UNPACKED / (16 * MIB)).fill(letters),
    zlib.gzipSync(behind),
  ]);
}

test('gzip: a line of 1.5 GiB is one failed row, and the rows beside it are answered', async () => {
  writeFileSync(at('bomb.jsonl.gz'), gzipBomb('{"text":"a good film"}\n{"text":"', '"}\n{"text":"not bad"}\n'));
  const { status, stderr, peak } = await run('embed', 'embedder', '-i', 'bomb.jsonl.gz', '-o', 'gz.jsonl');
  assert.equal(status, 65, stderr);
  assert.deepEqual(failuresOf('gz.jsonl'), [[1, 'TANDEM_ROW_INVALID']]);
  assert.equal(answersOf('gz.jsonl'), 2);
  assertBounded(peak);
});

const zstd = zlib as typeof zlib & { zstdCompressSync?: (bytes: Uint8Array) => Buffer };

test('zstd: likewise', { skip: !soundZstd() && 'this Node has no zstd, or one that loses rows' }, async () => {
  const text = Buffer.alloc(UNPACKED, 'a');
  text.write('text\na good film\n"');
  text.write('"\nnot bad\n', UNPACKED - 10);
  writeFileSync(at('bomb.csv.zst'), zstd.zstdCompressSync!(text));
  const { status, stderr, peak } = await run('embed', 'embedder', '-i', 'bomb.csv.zst', '-o', 'zst.jsonl');
  assert.equal(status, 65, stderr);
  assert.deepEqual(failuresOf('zst.jsonl'), [[1, 'TANDEM_ROW_INVALID']]);
  assert.equal(answersOf('zst.jsonl'), 2);
  assertBounded(peak);
});

test('a cell that is never closed is refused with the row, whatever follows it', async () => {
  writeFileSync(at('cell.csv.gz'), gzipBomb('text\na good film\n"', 'a'));
  const { status, stderr, peak } = await run('embed', 'embedder', '-i', 'cell.csv.gz', '-o', 'cell.jsonl');
  assert.notEqual(status, 0);
  assert.match(stderr, /cell\.csv\.gz ends inside quotes, in row 1/);
  assert.match(stderr, /\[TANDEM_INPUT_INVALID\]/);
  assertBounded(peak);
});

test('100,000 columns are read, and the one that is missing is told', async () => {
  const names = Array.from({ length: 100_000 }, (_, n) => `c${n}`);
  const row = (text: string) => `${names.map((name) => (name === 'c77777' ? text : '1')).join(',')}\n`;
  writeFileSync(at('wide.csv'), `${names.join(',')}\n${row('a good film')}${row('not bad')}`);
  const one = await run(
    'embed',
    'embedder',
    '-i',
    'wide.csv',
    '--column',
    'c77777',
    '--keep',
    'c5',
    '-o',
    'wide.jsonl',
  );
  assert.equal(one.status, 0, one.stderr);
  assert.equal(answersOf('wide.jsonl'), 2);
  assertBounded(one.peak);
  const none = await run('embed', 'embedder', '-i', 'wide.csv', '--column', 'text', '-o', 'no.jsonl');
  assert.equal(none.status, 2);
  assert.match(none.stderr, /no column "text".*|\[TANDEM_/);
  assert.ok(none.stderr.length < 4000, 'it must not list them all');
  assertBounded(none.peak);
});

test('bytes that are no UTF-8 are a failed row, in tables and in JSON lines', async () => {
  const bad = Buffer.from([0xff, 0xfe, 0xc3, 0x28]);
  const [csv, jsonl] = [
    ['text\na good film\n', bad, '\nnot bad\n'],
    ['{"text":"a good film"}\n{"text":"', bad, '"}\n{"text":"not bad"}\n'],
  ].map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part as string))));
  for (const [name, bytes] of [
    ['utf8.csv', csv!],
    ['utf8.jsonl', jsonl!],
  ] as const) {
    writeFileSync(at(name), bytes);
    const { status, stderr, peak } = await run('embed', 'embedder', '-i', name, '-o', `${name}.out.jsonl`);
    assert.equal(status, 65, stderr);
    assert.deepEqual(failuresOf(`${name}.out.jsonl`), [[1, 'TANDEM_ROW_INVALID']], name);
    assertBounded(peak);
  }
});

/** A grey PNG of `side` x `side` zeros. */
function pngBomb(side: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head[8] = 8;
  const rows = zlib.deflateSync(Buffer.alloc(side * (side + 1)));
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', head),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

test('a PNG of 400 million pixels is a failed row, and the images beside it are answered', async () => {
  mkdirSync(at('photos'));
  writeFileSync(at('photos/b.png'), pngBomb(20_000));
  for (const name of ['a', 'c']) {
    const pixels = { create: { width: 16, height: 16, channels: 3 as const, background: '#36a' } };
    await sharp(pixels)
      .png()
      .toFile(at(`photos/${name}.png`));
  }
  const { status, stderr, peak } = await run('run', 'cnn', '-i', 'photos', '--image', 'scale=1/255', '-o', 'png.jsonl');
  assert.equal(status, 65, stderr);
  assert.equal(failuresOf('png.jsonl')[0]![1], 'TANDEM_ROW_INVALID');
  assert.equal(answersOf('png.jsonl'), 2);
  assertBounded(peak);
});

suite('tables of pyarrow', { skip: noPyarrow }, () => {
  test('Parquet: rows of 16 MiB of zeros, which take no bytes in the file, are read one at a time and fail singly', async () => {
    const script = `
import pyarrow as pa, pyarrow.parquet as pq
ROW, ROWS = 1 << 22, 16
zeros = pa.Array.from_buffers(pa.float32(), ROW * ROWS, [None, pa.py_buffer(bytes(4 * ROW * ROWS))])
lists = pa.ListArray.from_arrays(pa.array([n * ROW for n in range(ROWS + 1)], pa.int32()), zeros)
good = pa.array([[1, 2]], pa.list_(pa.float32()))
with pq.ParquetWriter('bomb.parquet', pa.schema({'x': pa.list_(pa.float32())})) as writer:
    for x in [good, *[lists] * 6, good]:
        writer.write_table(pa.table({'x': x}))`;
    execFileSync(PYTHON, ['-c', script], { cwd });
    assert.ok(readFileSync(at('bomb.parquet')).length < MIB);
    const { status, stderr, peak } = await run('run', 'mlp', '-i', 'bomb.parquet', '-o', 'parquet.jsonl');
    assert.equal(status, 65, stderr);
    assert.deepEqual(
      failuresOf('parquet.jsonl'),
      Array.from({ length: 96 }, (_, n) => [n + 1, 'TANDEM_ROW_SHAPE']),
    );
    assert.equal(answersOf('parquet.jsonl'), 2);
    // They unpack to 1.5 GiB; what is no more used is given back some rows later.
    assertBounded(peak, 1280 * MIB);
  });

  test('Arrow: a batch that unpacks to 1.5 GiB is refused by code', async () => {
    const script = `
import pyarrow as pa, pyarrow.feather as feather
zeros = pa.Array.from_buffers(pa.uint8(), 1 << 28, [None, pa.py_buffer(bytes(1 << 28))])
feather.write_feather(pa.table({f'c{n}': zeros for n in range(6)}), 'bomb.arrow', compression='zstd', chunksize=1 << 28)`;
    execFileSync(PYTHON, ['-c', script], { cwd });
    assert.ok(readFileSync(at('bomb.arrow')).length < MIB);
    const { status, stderr, peak } = await run(
      'embed',
      'embedder',
      '-i',
      'bomb.arrow',
      '--column',
      'c1',
      '-o',
      'no.npy',
    );
    assert.equal(status, 2, stderr);
    assert.match(stderr, /bomb\.arrow cannot be read as Arrow: a batch unpacks to more than 1073741824 bytes/);
    assertBounded(peak, 2560 * MIB);
  });
});
