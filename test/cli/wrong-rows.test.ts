/** Files that are given for rows and are none: told before anything runs, with the command that makes rows of them. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { openSource } from '../../src/rows/open-source.js';
import { floatBytes, npyBytes } from '../fixtures/npy-bytes.js';
import { inputSpec } from '../fixtures/rows-read.js';
import { zipBytes } from '../fixtures/zip-bytes.js';
import { assertFails, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-wrong-rows-'));
const at = (name: string) => join(cwd, name);
before(() => {
  makeOnnx('mlp', at('mlp'), { layers: 1, hidden: 2 });
});
after(() => rmSync(cwd, { recursive: true }));

const bytes = (text: string) => Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(64)]);
const zip = (...names: string[]) => zipBytes(names.map((name) => ({ name, data: Buffer.from(name) })));
const array = npyBytes({ descr: '<f4', shape: [1, 2], data: floatBytes(1, 2) });
const LINES = '[1,2]\n[3,4]\n';
const ROWS = '{"inputs":{"x":[1,2]}}';

/** By name: what lies there, and what is said of it. */
const KINDS: Record<string, readonly [content: string | Buffer, ...says: RegExp[]]> = {
  'zstd.jsonl': [bytes('\x28\xb5\x2f\xfd'), /zstd|decompressed/],
  'parquet.jsonl': [bytes('PAR1'), /is Parquet/, /--input-format parquet/],
  'hdf5.npy': [bytes('\x89HDF\r\n\x1a\n'), /is HDF5/, /h5py/],
  'gzip.npy': [gzipSync(array), /compressed with gzip/, /gunzip -c /],
  'pickle.npy': [bytes('\x80\x04\x95'), /a Python pickle/, /np\.save/],
  'pickle.npz': [bytes('\x80\x04\x95'), /a Python pickle/, /np\.save/],
  'array.jsonl': [array, /an NPY array/, /--input-format npy/],
  'archive.jsonl': [zip('x.npy'), /an NPZ archive/, /--input-format npz/],
  'sheet.jsonl': [zip('[Content_Types].xml', 'xl/workbook.xml'), /a spreadsheet/, /pd\.read_excel/],
  'sheet.npz': [zip('[Content_Types].xml', 'xl/workbook.xml'), /a spreadsheet/, /pd\.read_excel/],
  'torch.npz': [zip('archive/data.pkl'), /a PyTorch file/, /torch\.load/],
  'lines.npy': [LINES, /JSON text/, /--input-format jsonl/],
  'array-in-one-line.jsonl': [`[${ROWS},${ROWS}]\n`, /one JSON array/, /jq -c '\.\[\]'/],
  'array-by-rows.jsonl': [`[\n${ROWS},\n${ROWS}\n]\n`, /one JSON array/, /jq -c '\.\[\]'/],
  'array-of-lists.jsonl': ['[\n  [1, 2],\n  [3, 4]\n]\n', /one JSON array/, /jq -c '\.\[\]'/],
  'pretty.jsonl': ['{\n  "inputs": [1, 2]\n}\n', /spans several lines/, /jq -c \. /],
  'pretty-too.jsonl': ['{"inputs": {\n  "x": [1, 2]\n}}\n', /spans several lines/, /jq -c \. /],
  'numbers.jsonl': ['1,2\n3,4\n', /CSV text/, /--input-format csv/],
  'header.jsonl': ['a,b\n1,2\n3,4\n', /CSV text/, /--input-format csv/],
};

suite('files that are no rows', { concurrency: 2 }, () => {
  test('each kind is recognised by its bytes, under any name', async () => {
    for (const [name, [content, ...says]] of Object.entries(KINDS)) {
      writeFileSync(at(name), content);
      await assert.rejects(
        openSource(at(name), [inputSpec('x', 'float32', 2)]),
        (error: Error & Record<string, string>) => {
          assert.equal(error.code, 'TANDEM_INPUT_INVALID', `${name}: ${error.stack}`);
          for (const pattern of says) assert.match(`${error.message}\n${error.remedy}`, pattern, name);
          return true;
        },
      );
    }
  });

  test('what is JSON lines is read, though it looks like another kind', async () => {
    const first = ['[[1],', '{"inputs":{', 'a,b', ''];
    for (const line of first) {
      writeFileSync(at('good.jsonl'), `${line}\n${LINES}`);
      const source = await openSource(at('good.jsonl'), [inputSpec('x', 'float32', 2)]);
      await source.close();
    }
  });

  test('from the command line nothing is written, and the command in the message makes rows that run', async (t) => {
    writeFileSync(at('packed.jsonl'), bytes('BZh9'));
    const run = (input: string, output = 'out.jsonl') =>
      tandem(['run', 'mlp', '-i', input, '-o', output, '--stage', 'cpu', '--isolation', 'thread', '-q'], { cwd });
    const ended = await run('packed.jsonl');
    assertFails(ended, { status: 2, code: 'TANDEM_INPUT_INVALID', says: /packed\.jsonl is compressed with bzip2/ });
    assert.ok(!existsSync(at('out.jsonl')) && !existsSync(at('out.jsonl.journal')));
    if (spawnSync('bzip2', ['--version']).error) return t.skip('there is no bzip2');
    writeFileSync(at('packed.jsonl'), execFileSync('bzip2', ['-c'], { input: LINES }));
    const command = /decompress it first: (.*)\n/.exec(ended.stderr)![1]!;
    execFileSync('sh', ['-c', command.replace(/> .*/, '> unpacked.jsonl')], { cwd });
    assert.equal((await run('unpacked.jsonl')).status, 0);
    assert.equal(readFileSync(at('out.jsonl'), 'utf8').trim().split('\n').length, 2);
  });

  test('extensions of other kinds are refused with the command to type, for rows and for results', async () => {
    const run = (input: string, output: string) => tandem(['run', 'mlp', '-i', input, '-o', output], { cwd });
    writeFileSync(at('rows.jsonl'), LINES);
    for (const [input, output, says] of [
      [
        'rows.jsonl.bz2',
        'out.npy',
        /compressed with bzip2, by its name.*\n.*bunzip2 -c rows\.jsonl\.bz2 > rows\.jsonl/,
      ],
      ['rows.jsonl', 'out.json', /out\.json is not that of a row format.*\n.*jq -s/],
    ] as const) {
      assertFails(await run(input, output), { status: 2, code: 'TANDEM_USAGE', says });
    }
  });

  test('rows without "inputs" around them: stderr has why the first failed, and how to put it there', async () => {
    writeFileSync(at('bare.jsonl'), '{"x":[1,2]}\n{"x":[3,4]}\n');
    const args = ['run', 'mlp', '-i', 'bare.jsonl', '-o', 'bare-out.jsonl', '--stage', 'cpu', '--isolation', 'thread'];
    const { status, stderr } = await tandem(args, { cwd });
    assert.equal(status, 65, stderr);
    assert.match(stderr, /every row failed; the first: row 0: the row has no "inputs".*jq -c '\{inputs: \{x\}\}' FILE/);
  });

  test('bfloat16 as NumPy saves it is named, with the line that makes float32 of it', async () => {
    writeFileSync(at('b.npy'), npyBytes({ descr: '<V2', shape: [2, 2], data: new Uint8Array(8) }));
    await assert.rejects(openSource(at('b.npy'), [inputSpec('x', 'float32', 2)]), {
      message: /as bfloat16 is saved/,
      remedy: /view\(ml_dtypes\.bfloat16\)\.astype\(np\.float32\)/,
    });
  });
});
