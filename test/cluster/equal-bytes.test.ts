/** Shards that are merged give the bytes of one machine: for every input and output format, with bad rows, repeated rows, and rows that differ in length. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { tableFromIPC, tableToIPC } from 'apache-arrow';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeTextModel } from '../../scripts/make-text-model.js';
import { makeManifest } from '../../src/cluster/make-manifest.js';
import { type Manifest, manifestBytes, parseManifest } from '../../src/cluster/manifest.js';
import { mergeShards } from '../../src/cluster/merge.js';
import { openStore } from '../../src/cluster/open-store.js';
import { runShard } from '../../src/cluster/run-shard.js';
import { performFile } from '../../src/job/run-file.js';
import type { RunRequest } from '../../src/job/run-request.js';
import { openSink } from '../../src/output/open-sink.js';

const home = mkdtempSync(join(tmpdir(), 'tandem-shards-'));
const at = (name: string) => join(home, name);
const WIDTH = 16;
const ROWS = 53;
/** Bounds of micro-batches would move if refused rows moved them. */
const BAD = new Set([0, 3, 4, 5, 17, 18, 30, 52]);
const HERE = { stages: [{ device: 'cpu', threads: 1 }], isolation: 'thread', plan: 'quick', deadline: 600 } as const;

const sineOf = (row: number, n: number) => Math.fround(Math.sin(row * WIDTH + n));
const rowOf = (row: number) => Array.from({ length: WIDTH }, (_, n) => sineOf(row, n));
const OUT = ['jsonl', 'csv', 'tsv', 'parquet', 'arrow', 'npy', 'npz'];
const WORDS = 'the a good bad film plot is not very with this and it'.split(' ');
const textOf = (n: number) =>
  Array.from({ length: (n * 7) % 41 }, (_, k) => WORDS[(n * 5 + k) % WORDS.length]).join(' ');

before(async () => {
  makeOnnx('mlp', at('mlp'), { layers: 2, hidden: WIDTH });
  makeTextModel(at('embedder'));
  makeTextModel(at('classifier'), { kind: 'classify' });
  const all = [...Array(ROWS).keys()];
  const cells = (row: number) => (BAD.has(row) ? '"bad"' : JSON.stringify(rowOf(row)));
  writeFileSync(
    at('rows.jsonl'),
    all.map((row) => `{"id":"r${row}","inputs":{"x":${cells(row)}},"note":"n${row}"}\n\n`).join(''),
  );
  const csv = all.map((row) => `r${row},"line\none","${cells(row).replaceAll('"', '""')}"\n`);
  writeFileSync(at('rows.csv'), `id,note,x\n${csv.join('')}`);
  for (const format of ['npy', 'npz', 'parquet', 'arrow']) await writeTensor(`rows.${format}`);
  writeFileSync(at('rows.arrow'), tableToIPC(tableFromIPC(readFileSync(at('rows.arrow'))), 'stream'));
  const texts = Array.from({ length: 2100 }, (_, n) =>
    n % 97 === 5 ? { id: `t${n}` } : { id: `t${n}`, text: textOf(n % 400) },
  );
  writeFileSync(at('texts.jsonl'), texts.map((row) => `${JSON.stringify(row)}\n`).join(''));
});
after(() => rmSync(home, { recursive: true }));

/** A row with a NaN is refused. */
async function writeTensor(name: string): Promise<void> {
  const data = Float32Array.from({ length: ROWS * WIDTH }, (_, n) => {
    const row = Math.floor(n / WIDTH);
    return BAD.has(row) && n % WIDTH === 0 ? Number.NaN : sineOf(row, n % WIDTH);
  });
  const sink = await openSink(at(name), { outputs: ['x'] });
  const outputs = new Map([['x', { dtype: 'float32' as const, shape: [ROWS, WIDTH], data }]]);
  await sink.write({ firstRow: 0, rows: ROWS, failures: [], failed: [], ids: null, nonFiniteRows: 0, outputs });
  await sink.finish();
}

interface Made {
  readonly whole: string;
  readonly merged: string;
  readonly manifest: Manifest;
}

/** The same request whole, and in shards that are run from the last to the first. */
async function bothWays(
  name: string,
  format: string,
  rest: Omit<RunRequest, 'output' | 'deadline'>,
  shards = 4,
): Promise<Made> {
  const [whole, merged] = [at(`${name}.whole.${format}`), at(`${name}.merged.${format}`)];
  await performFile({ ...HERE, ...rest, output: whole }, {}, 'run');
  const made = await makeManifest({ ...HERE, ...rest, output: merged }, { shards });
  const manifest = parseManifest(manifestBytes(made), 'the manifest');
  const store = await openStore(`${merged}.shards`);
  for (const { index } of [...manifest.shards].reverse()) {
    await runShard(manifest, index, { attempt: `only-${index}`, store, folder: at('unfinished') });
  }
  const summary = await mergeShards(manifest, store);
  assert.equal(summary.shards, manifest.shards.length);
  assert.deepEqual(await store.list('part/'), [], 'nothing of the shards is left but their commits');
  return { whole, merged, manifest };
}

function assertEqual({ whole, merged }: Made): void {
  assert.ok(readFileSync(merged).equals(readFileSync(whole)), `${merged} has the bytes of ${whole}`);
  assert.equal(existsSync(`${merged}.errors.jsonl`), existsSync(`${whole}.errors.jsonl`));
  if (!existsSync(`${whole}.errors.jsonl`)) return;
  assert.equal(readFileSync(`${merged}.errors.jsonl`, 'utf8'), readFileSync(`${whole}.errors.jsonl`, 'utf8'));
}

suite('rows of one shape, some of them bad', () => {
  for (const format of OUT) {
    test(`${format} out`, async () => {
      const keep = format.startsWith('np') ? {} : { keep: ['note'] };
      const request = { model: at('mlp'), input: [at('rows.jsonl')], microBatch: 4, ...keep };
      const made = await bothWays('from-jsonl', format, request);
      assertEqual(made);
      assert.deepEqual(
        made.manifest.shards.map(({ firstRow }) => firstRow),
        [0, 12, 28, 40],
      );
      assert.ok(made.manifest.shards[2]!.at!.byte > 0, 'reading begins inside the file');
    });
  }
  for (const input of ['csv', 'npy', 'npz', 'parquet', 'arrow']) {
    test(`${input} in`, async () => {
      assertEqual(
        await bothWays(`from-${input}`, 'jsonl', { model: at('mlp'), input: [at(`rows.${input}`)], microBatch: 5 }),
      );
    });
  }
  test('several files, one after the other, and more shards than micro-batches', async () => {
    for (const input of ['jsonl', 'npy']) {
      const files = [at(`rows.${input}`), at(`rows.${input}`)];
      const made = await bothWays(`two-${input}`, 'npy', { model: at('mlp'), input: files, microBatch: 16 }, 50);
      assertEqual(made);
      assert.equal(made.manifest.shards.length, Math.ceil((2 * ROWS) / 16));
    }
  });
});

suite('rows that differ in length', () => {
  const input = [at('texts.jsonl')];
  for (const format of ['npy', 'jsonl', 'parquet']) {
    test(`embeddings of texts, repeated ones computed once, as ${format}`, async () => {
      const task = { name: 'embed', dedupe: true } as const;
      const made = await bothWays('embed', format, { model: at('embedder'), task, input }, 3);
      assertEqual(made);
      const { division, shards } = made.manifest;
      assert.ok(shards.length > 1);
      assert.ok(
        shards.every(({ firstRow }) => firstRow % division.lengths!.window === 0),
        'shards begin at windows',
      );
    });
  }
  test('labels of texts, with a column kept', async () => {
    const request = { model: at('classifier'), task: { name: 'classify', top: 2 } as const, keep: ['text'], input };
    assertEqual(await bothWays('classify', 'jsonl', request, 3));
    assertEqual(await bothWays('classify', 'csv', request, 3));
  });
});
