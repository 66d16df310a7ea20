/** `tandem run` with inputs whose rows lie elsewhere, or that all rows share: what is known, what is asked, and what comes of the answer. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { defaultValued } from '../../scripts/make-onnx/rows-models.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { rowsInto } from '../../src/model/move-rows.js';
import { readModel } from '../../src/model/open.js';
import { writeModel } from '../../src/prove/models/model-file.js';
import { allocate, type Tensor } from '../../src/tensor.js';
import { made, runWhole, temporaryFolder } from '../fixtures/onnx-runs.js';
import { answers, assertSame, writeNpy } from './rows-files.js';
import { assertFails, tandem } from './tandem-process.js';

const folder = temporaryFolder();
after(folder.remove);
const cwd = folder.path;

const ROWS = 10;
const CUT = ['--micro-batch', '4', '-s', 'cpu', '-s', 'cpu'];

function floats(...shape: number[]): Tensor {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, n) => Math.sin(3 * n + shape.length));
  return { dtype: 'float32', shape, data };
}

function wholes(shape: readonly number[], ...values: number[]): Tensor {
  const data = BigInt64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, n) =>
    BigInt(values[n % values.length]!),
  );
  return { dtype: 'int64', shape, data };
}

const single = (...values: number[]): Tensor => ({
  dtype: 'float32',
  shape: [values.length],
  data: Float32Array.from(values),
});

/** The same rows on another axis. */
function moved(tensor: Tensor, axis: number): Tensor {
  const data = allocate(tensor.dtype, tensor.shape);
  return { ...tensor, shape: rowsInto(tensor, axis, tensor.shape[0]!, data), data };
}

async function opened(name: string): Promise<{ path: string; graph: ModelGraph }> {
  const path = made(cwd, name);
  return { path, graph: await readModel(path) };
}

/** What the engine alone makes of inputs by name, in one run. */
async function whole(graph: ModelGraph, feeds: Record<string, Tensor>): Promise<Tensor[]> {
  const inputs = Object.keys(feeds).map((name) => ({ name, dtype: feeds[name]!.dtype, shape: feeds[name]!.shape }));
  return runWhole({ ...graph, inputs }, Object.values(feeds));
}

const refused = (args: readonly string[]) => tandem(['run', ...args, '-o', 'refused.jsonl'], { cwd });

suite('rows and inputs', { concurrency: 2 }, () => {
  test('ids and three scales: refused by name, then given once for all, in every form', async () => {
    const { path, graph } = await opened('voice');
    const ids = wholes([ROWS, 5], 3, 1, 4, 15, 9, 2, 6);
    const lengths = wholes([ROWS], 5, 4, 3);
    const rows = [
      '-i',
      `ids=${writeNpy(cwd, 'ids.npy', ids)}`,
      '-i',
      `lengths=${writeNpy(cwd, 'lengths.npy', lengths)}`,
    ];
    const says = /input "scales" \(float32 \[3\]\).*\n.*--set scales=/;
    assertFails(await refused([path, ...rows]), { status: 2, code: 'TANDEM_ROWS_AXIS', says });
    const [audio] = await whole(graph, { ids, lengths, scales: single(0.5, 1, 0.75) });
    writeNpy(cwd, 'scales.npy', single(0.5, 1, 0.75));
    writeFileSync(join(cwd, 'scales.json'), '[0.5, 1, 0.75]');
    for (const value of ['0.5,1,0.75', '[0.5,1,0.75]', '@scales.npy', '@scales.json']) {
      const found = await answers(cwd, [path, ...rows, ...CUT, '--set', `scales=${value}`]);
      assertSame(found.audio, audio!, 0, value);
    }
    const environment = await answers(cwd, [path, ...rows, ...CUT], { TANDEM_SET: 'scales=0.5,1,0.75' });
    assertSame(environment.audio, audio!);
  });

  test('what cannot be a value is refused with the reason', async () => {
    const { path } = await opened('voice');
    for (const [value, says] of [
      ['scales=1,2', /it is \[2\], and the input takes float32 \[3\].*\n.*--set scales=/],
      ['scales=a,b,c', /--set scales/],
      ['scales=@nothing.npy', /nothing\.npy/],
      ['scale=1,2,3', /no input "scale".*\n.*did you mean scales\?/],
      ['scales', /not NAME=VALUE/],
    ] as const) {
      const failed = await refused([path, '-i', 'ids.npy', '--set', value]);
      assert.equal(failed.status, 2, value);
      assert.match(failed.stderr, says);
    }
  });

  test('a value that is not finite: refused as in rows, and let pass by the same flag', async () => {
    const { path, graph } = await opened('voice');
    const ids = wholes([ROWS, 5], 3, 1, 4, 15, 9, 2, 6);
    const lengths = wholes([ROWS], 5, 4, 3);
    const rows = [
      '-i',
      `ids=${writeNpy(cwd, 'ids-inf.npy', ids)}`,
      '-i',
      `lengths=${writeNpy(cwd, 'lengths-inf.npy', lengths)}`,
    ];
    // The tanh of an infinity is finite again.
    const scales = single(Number.NEGATIVE_INFINITY, 1, 0.75);
    const [audio] = await whole(graph, { ids, lengths, scales });
    assert.ok(audio!.data.every((value) => Number.isFinite(value)));
    writeNpy(cwd, 'scales-inf.npy', scales);
    writeFileSync(join(cwd, 'scales-inf.json'), '[-Infinity, 1, 0.75]');
    for (const value of ['-Infinity,1,0.75', '["-Infinity",1,0.75]', '@scales-inf.npy', '@scales-inf.json']) {
      const set = [...CUT, '--set', `scales=${value}`];
      const says = /--set scales: .*is -Infinity.*\n.*--allow-non-finite/;
      assertFails(await refused([path, ...rows, ...set]), { status: 2, code: 'TANDEM_USAGE', says });
      assertSame((await answers(cwd, [path, ...rows, ...set, '--allow-non-finite'])).audio, audio!, 0, value);
    }
    const { status } = await tandem(['inspect', path, '--set', 'scales=NaN,1,1'], { cwd });
    assert.equal(status, 0, 'nothing is computed');
  });

  test('a state with its rows second, and one rate for all, through padding and partial micro-batches', async () => {
    const { path, graph } = await opened('state-beside');
    const [input, state] = [floats(ROWS, 6), floats(ROWS, 2, 4)];
    const rows = [
      '-i',
      `input=${writeNpy(cwd, 'input.npy', input)}`,
      '-i',
      `state=${writeNpy(cwd, 'state.npy', state)}`,
    ];
    const [output, next] = await whole(graph, {
      input,
      state: moved(state, 1),
      sr: { dtype: 'int64', shape: [], data: BigInt64Array.of(8000n) },
    });
    const found = await answers(cwd, [path, ...rows, ...CUT, '--set', 'sr=8000']);
    assertSame(found.output, output!, 0);
    assertSame(found.stateN, next!, 1);
    const says = /input "sr" .*single number.*\n.*--set sr=/;
    assertFails(await refused([path, ...rows]), { status: 2, code: 'TANDEM_ROWS_AXIS', says });
  });

  test('time first: by its name, or by the user’s flag', async () => {
    const x = floats(ROWS, 6, 3);
    const rows = ['-i', writeNpy(cwd, 'time.npy', x)];
    const named = await opened('time-major');
    const [y] = await whole(named.graph, { x: moved(x, 1) });
    assertSame((await answers(cwd, [named.path, ...rows, ...CUT])).y, y!, 1);
    const { path } = await opened('time-major-unnamed');
    const says = /input "x" .*axis 0 or 1.*\n.*--rows-axis x=1/;
    assertFails(await refused([path, ...rows]), { status: 2, code: 'TANDEM_ROWS_AXIS', says });
    assertSame((await answers(cwd, [path, ...rows, ...CUT, '--rows-axis', 'x=1'])).y, y!, 1);
    const own = mkdtempSync(join(cwd, 'configured-'));
    writeFileSync(join(own, 'tandem.config.json'), '{"rowsAxis":{"x":1}}');
    assertSame((await answers(own, [path, '-i', join(cwd, 'time.npy'), ...CUT])).y, y!, 1);
  });

  test('inputs that fix different numbers of rows: refused, then one is given once for all and the last rows are padded', async () => {
    const { path, graph } = await opened('disagreeing');
    const [a, b] = [floats(ROWS, 3), floats(2, 3)];
    const rows = ['-i', `a=${writeNpy(cwd, 'a.npy', a)}`];
    const says = /input "b" .*same rows as "a".*\n.*--set b=@b\.npy/;
    assertFails(await refused([path, ...rows, '-i', 'b=a.npy']), { status: 2, code: 'TANDEM_ROWS_AXIS', says });
    writeNpy(cwd, 'b.npy', b);
    const expected = new Float32Array(ROWS * 3);
    for (let row = 0; row < ROWS; row += 4) {
      const four = { ...floats(4, 3), data: new Float32Array(12) };
      four.data.set(a.data.subarray(row * 3, row * 3 + 12) as Float32Array);
      const [y] = await whole(graph, { a: four, b });
      expected.set((y!.data as Float32Array).subarray(0, Math.min(12, expected.length - row * 3)), row * 3);
    }
    const found = await answers(cwd, [path, ...rows, '--set', 'b=@b.npy', '-s', 'cpu', '-s', 'cpu']);
    assertSame(found.y, { dtype: 'float32', shape: [ROWS, 3], data: expected });
  });

  test('one row inside: found out by itself, in one stage and in several, and more are refused with the remedy', async () => {
    const { path, graph } = await opened('one-inside');
    const x = floats(ROWS, 2, 4);
    const rows = ['-i', writeNpy(cwd, 'one.npy', x)];
    const data = new Float32Array(ROWS * 5);
    for (let row = 0; row < ROWS; row++) {
      const [y] = await whole(graph, {
        x: { ...x, shape: [1, 2, 4], data: x.data.subarray(row * 8, row * 8 + 8) as Float32Array },
      });
      data.set(y!.data as Float32Array, row * 5);
    }
    const expected = { dtype: 'float32', shape: [ROWS, 5], data } as const;
    for (const flags of [
      [],
      ['-b', '1'],
      ['-s', 'cpu,layers=0..0', '-s', 'cpu'],
      ['-b', '1', '-s', 'cpu,layers=0..0', '-s', 'cpu'],
    ]) {
      assertSame((await answers(cwd, [path, ...rows, ...flags])).y, expected, 0, flags.join(' '));
    }
    const told = await tandem(['run', path, ...rows, '-o', 'told.jsonl'], { cwd });
    assert.match(told.stderr, /micro-batches of 1 row.*\n.*computes one row at a time/);
    for (const flags of [
      ['-b', '4'],
      ['-b', '4', '-s', 'cpu,layers=0..0', '-s', 'cpu'],
    ]) {
      const says = /one row at a time, not 4.*\n.*--micro-batch 1/;
      assertFails(await refused([path, ...rows, ...flags, '-q']), { status: 2, code: 'TANDEM_ONE_ROW', says });
    }
  });

  test('an input without a rank takes it from the rows', async () => {
    const { path, graph } = await opened('rankless');
    const x = floats(11, 8);
    const [y] = await whole(graph, { x });
    assertSame((await answers(cwd, [path, '-i', writeNpy(cwd, 'rankless.npy', x), ...CUT])).y, y!);
    const lines = Array.from({ length: 11 }, (_, n) => JSON.stringify([...x.data.subarray(n * 8, n * 8 + 8)]));
    writeFileSync(join(cwd, 'rankless.jsonl'), `${lines.join('\n')}\n`);
    assertSame((await answers(cwd, [path, '-i', 'rankless.jsonl', ...CUT])).y, y!);
  });

  test('an input with a value of its own keeps it, or takes another for all rows; also in IR 3', async () => {
    for (const irVersion of [3, 9]) {
      const path = made(cwd, 'default-valued', { irVersion });
      const graph = await readModel(path);
      // onnxruntime-node takes no other value for such an input.
      const other = await readModel(writeModel(join(cwd, `four-${irVersion}.onnx`), defaultValued(4)));
      const x = floats(ROWS, 4);
      const rows = ['-i', writeNpy(cwd, 'default.npy', x)];
      const [kept] = await whole(graph, { x });
      const [fed] = await whole(other, { x });
      assertSame((await answers(cwd, [path, ...rows, ...CUT])).y, kept!, 0, `IR ${irVersion}, its own`);
      assertSame(
        (await answers(cwd, [path, ...rows, ...CUT, '--set', 'temperature=4'])).y,
        fed!,
        0,
        `IR ${irVersion}, fed`,
      );
    }
  });

  test('other values are another job, and inspect shows the rows’ axes', async () => {
    const { path } = await opened('state-beside');
    writeNpy(cwd, 'input2.npy', floats(ROWS, 6));
    writeNpy(cwd, 'state2.npy', floats(ROWS, 2, 4));
    const job = ['run', path, '-i', 'input=input2.npy', '-i', 'state=state2.npy', '-o', 'job.jsonl', '-q'];
    assert.equal((await tandem([...job, '--set', 'sr=8000'], { cwd })).status, 0);
    assert.equal((await tandem([...job, '--set', 'sr=8000'], { cwd })).status, 0, 'nothing is left to do');
    assert.match(readFileSync(join(cwd, 'job.jsonl.journal'), 'utf8'), /"set sr":"int64 \[\] 8000"/);
    const other = await tandem([...job, '--set', 'sr=16000'], { cwd });
    assert.equal(other.status, 73, other.stderr);
    const { stdout } = await tandem(['inspect', path, '--set', 'sr=8000'], { cwd });
    assert.match(String(stdout), /\nrows on axis 0 of input, output: its dimension "N"\n/);
    assert.match(String(stdout), /\nrows on axis 1 of state, stateN: its dimension "N"\nrows share sr: --set\n/);
    const unsettled = await tandem(['inspect', path], { cwd });
    assert.match(String(unsettled.stdout), /\nrows not found in sr: it is a single number.*--set sr=/);
    const { inputs } = JSON.parse(
      String((await tandem(['inspect', path, '--set', 'sr=8000', '--json'], { cwd })).stdout),
    );
    assert.deepEqual(inputs[1].rows, { lie: 'axis', axis: 1, how: 'its dimension "N"' });
  });
});
