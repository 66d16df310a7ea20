/** What is promised against hostile models, rows and settings (SECURITY.md): each control is held by a test that is named there. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { makeModel } from '../scripts/make-model.js';
import { makeOnnx } from '../scripts/make-onnx.js';
import { TandemError } from '../src/errors.js';
import { openPipeline, type PipelineOptions } from '../src/index.js';
import { openObjects } from '../src/rows/json/open-objects.js';
import { tandem } from './cli/tandem-process.js';
import { inputSpec, openText, readAll } from './fixtures/rows-read.js';

const root = resolve(import.meta.dirname, '../..');
const cwd = mkdtempSync(join(tmpdir(), 'tandem-security-'));
before(async () => {
  await makeModel('mlp', join(cwd, 'tfjs'), { width: 4, blocks: 1, length: 2 });
  makeOnnx('mlp', join(cwd, 'onnxruntime'), { layers: 2, hidden: 4 });
});
after(() => rmSync(cwd, { recursive: true }));

const sources = ['src', 'workers'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => [join(folder, name), readFileSync(join(root, folder, name), 'utf8')] as const),
);

test('every control in SECURITY.md names a test that there is', () => {
  const text = readFileSync(join(root, 'SECURITY.md'), 'utf8');
  const cited = [...text.matchAll(/`(test\/[\w/.-]+\.ts)`: ([^|`]+?)(?=;|\s*\|)/g)];
  assert.ok(cited.length >= 15, `${cited.length}`);
  for (const [, file, title] of cited) {
    assert.ok(existsSync(join(root, file!)), file);
    const tests = readFileSync(join(root, file!), 'utf8');
    assert.ok(tests.includes(title!.trim()), `${file} has no test "${title}"`);
  }
});

/** JSON with the keys that have changed prototypes elsewhere. */
const hostile = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('1', '[1,2]', '"x"', 'null', 'true', '{}'),
    tie('object') as fc.Arbitrary<string>,
  ),
  object: fc
    .array(
      fc.tuple(
        fc.constantFrom(
          '__proto__',
          'constructor',
          'prototype',
          'inputs',
          'input',
          'body',
          'custom_id',
          'id',
          'x',
          'toString',
        ),
        tie('value') as fc.Arbitrary<string>,
      ),
      { maxLength: 4 },
    )
    .map((pairs) => `{${pairs.map(([key, value]) => `"${key}":${value}`).join(',')}}`),
})).value as fc.Arbitrary<string>;

test('rows with __proto__, constructor and prototype change no prototype and give nobody their values', async () => {
  const keysOf = () => [Object, Array, Function, Map, Error].map(({ prototype }) => Reflect.ownKeys(prototype).length);
  const before = keysOf();
  const specs = [inputSpec('x', 'float32', 2)];
  await fc.assert(
    fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 8 }), async (lines) => {
      const { rows, failures } = await readAll(await openText(lines.join('\n'), specs));
      assert.equal(rows, lines.length);
      for (const failure of failures) assert.match(failure.code, /^TANDEM_ROW_/);
      await readAll(
        await openObjects(
          lines.map((line) => JSON.parse(line)),
          specs,
        ),
      );
      assert.deepEqual(keysOf(), before);
      assert.deepEqual(Object.keys(Object.prototype), []);
    }),
  );
});

test('an input that is named like a property of every object is missing where it is not given', async () => {
  const { failures } = await readAll(await openText('{"inputs":{}}', [inputSpec('constructor', 'float32', 2)]));
  assert.match(failures[0]!.message, /inputs\.constructor is missing/);
});

for (const engine of ['tfjs', 'onnxruntime']) {
  test(`${engine}: a job runs where code from strings is forbidden`, async () => {
    writeFileSync(join(cwd, `${engine}.jsonl`), engine === 'tfjs' ? '[1,2]\n' : '[1,2,3,4]\n');
    const args = ['run', engine, '-i', `${engine}.jsonl`, '-o', `${engine}-out.jsonl`, '-s', 'cpu', '-s', 'cpu'];
    const env = { NODE_OPTIONS: `--import=${pathToFileURL(join(root, 'test/fixtures/no-eval.mjs')).href}` };
    const { status, stderr } = await tandem([...args, '--isolation', 'process', '-q'], { cwd, env });
    assert.equal(status, 0, stderr);
  });
}

/** The only files that may know of a network, besides setup: what serves metrics, when it is asked to, and the proof that reads those of its own run. */
const SERVERS = ['src/report/metrics-server.ts', 'src/prove/claims/mid-run.ts'];
/** Compiles a file of an installed package, which is CommonJS in a folder that says otherwise. */
const COMPILES = ['src/tasks/generate/xgrammar.ts'];

test('no code is made from strings, and only setup talks to the network', () => {
  for (const [file, text] of sources) {
    assert.doesNotMatch(text, /\beval\(|new Function\b|node:vm'/, file);
    if (!COMPILES.includes(file)) assert.doesNotMatch(text, /_compile\(/, file);
    if (file.startsWith('src/setup/') || SERVERS.includes(file)) continue;
    assert.doesNotMatch(text, /node:(https?|http2|dgram|dns|tls)|createServer|(await|=|globalThis\.) ?fetch\(/, file);
  }
});

test('numbers that would start more than a machine has are refused before anything starts', async () => {
  const wrong: PipelineOptions[] = [
    { stages: [{ device: 'cpu', threads: 1025 }] },
    { stages: [{ device: 'cpu', workers: 1e9 }] },
    { stages: [{ device: 'cpu', workers: 0 }] },
    { microBatch: Number.NaN },
    { microBatch: 1.5 },
    { depth: Number.POSITIVE_INFINITY },
    { depth: '4' as never },
    { deadline: Number.NaN },
    { deadline: 0 },
  ];
  for (const options of wrong) {
    await assert.rejects(
      openPipeline('no-such-model', options),
      (error) => error instanceof TandemError && error.code === 'TANDEM_USAGE',
      JSON.stringify(options),
    );
  }
  for (const stage of ['cpu,threads=1025', 'cpu,workers=100000']) {
    const { status } = await tandem(['run', 'tfjs', '-i', 'a.npy', '-o', 'b.npy', '-s', stage], { cwd });
    assert.equal(status, 2, stage);
  }
});

test('control characters of rows, ids and names do not reach the terminal', async () => {
  const evil = '\u001b]0;owned\u0007\u001b[2J\u009b31m\r';
  const rows = [
    { id: evil, inputs: { features: [1] } },
    { id: 'b', inputs: { [evil]: [1, 2] } },
    { id: 'c', inputs: { features: [evil, 2] } },
  ].map((row) => JSON.stringify(row));
  writeFileSync(join(cwd, 'evil.jsonl'), `${rows.join('\n')}\n${evil}\n[1,2]\n`);
  const told = [
    await tandem(['run', 'tfjs', '-i', 'evil.jsonl', '-o', '-', '-s', 'cpu', '--isolation', 'thread'], { cwd }),
    await tandem(['run', `no${evil}model`, '-i', 'evil.jsonl', '-o', `out${evil}.jsonl`], { cwd }),
    await tandem(['run', 'tfjs', '-i', `${evil}.jsonl`, '-o', 'out.jsonl'], { cwd }),
    await tandem(['run', 'tfjs', '-i', 'evil.jsonl', '-o', 'out.jsonl', '-s', evil], { cwd }),
    await tandem([evil], { cwd }),
  ];
  assert.deepEqual(
    told.map(({ status }) => status),
    [65, 2, 2, 2, 2],
  );
  for (const { stderr } of told) assert.doesNotMatch(stderr.replaceAll('\n', ''), /\p{Cc}/u);
});
