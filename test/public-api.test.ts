/** The package as another project sees it: installed from the packed file, its types compiled against, its entry points looked at by others' tools. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const root = resolve(import.meta.dirname, '../..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
let project: string;
let archive: string;

function run(command: string, args: readonly string[], cwd = project) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (error) throw error;
  return { status, said: stdout + stderr };
}

/** What `npm install tandem` does for this package: its files unpacked, and its dependencies beside it, here those of this checkout. */
before(() => {
  project = mkdtempSync(join(tmpdir(), 'tandem-consumer-'));
  const { status, said } = run('npm', ['pack', '--ignore-scripts', '--pack-destination', project], root);
  assert.equal(status, 0, said);
  archive = join(project, `tandem-${manifest.version}.tgz`);
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, 'tandem'), { recursive: true });
  assert.equal(run('tar', ['-xzf', archive, '--strip-components=1', '-C', join(modules, 'tandem')]).status, 0);
  for (const name of [...Object.keys(manifest.dependencies), '@types']) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
});
after(() => rmSync(project, { recursive: true }));

/** All that the library hands out, exported with its types inferred. */
const CONSUMER = `
import { classify, EXIT, embed, generate, generateText, inspectModel, openPipeline, planModel, runFile, TandemError } from 'tandem';
import { type Plan, type Row, RowPipeline, type RowResult, type StageOptions, type Summary } from 'tandem';

const stages: StageOptions[] = [{ device: 'gpu:1', memory: 2 ** 30 }, { device: 'cpu', layers: { from: 3, to: 5 } }];
export const pipeline = await openPipeline('model.onnx', { stages, plan: 'auto', signal: AbortSignal.timeout(1000) });
export const { plan, inputs, timeline } = pipeline;
export const spans = timeline.spans;
export const uses = timeline.uses();
export const expected = plan.expected;
export const results = pipeline.run([[1, 2], new Float32Array(2), { id: 'a', inputs: { x: [[1], [2]] } }]);
export const first = (await results.next()).value;
export function valuesOf(result: RowResult) {
  return 'error' in result ? result.error : Object.values(result.outputs).map(({ shape, data }) => ({ shape, data }));
}
export const summary = runFile('model.onnx', {
  input: { ids: 'ids.npy', mask: 'mask.npy' },
  output: 'out.npz',
  plan: 'plans/mine.json',
  maxErrors: '0.5%',
  onProgress: ({ rows, total }) => console.log(rows, total),
});
export const embedded = embed('minilm', { input: ['a.csv', 'b.csv'], output: 'e.npy', column: 'text', dims: 256, dtype: 'int8' });
export const answers = generate('model', { input: 'p.csv', output: 'a.csv', stop: ['\\n'], stages: [{ device: 'cpu', threads: 2 }] });
export const answered = generateText('model', 'hi', { temperature: 0.5, onText: (piece) => console.log(piece) });
export const labels = classify('sst2', { input: 'rows.csv', output: 'labels.csv', top: 2 });
export const rate = (done: Summary | null) => done?.stages.map(({ utilisation }) => utilisation);
export const report = await planModel('model.json', { stages: [{ device: 'cpu' }], onProgress: (step) => console.log(step) });
export const job = report.job;
export const { layers, groups } = await inspectModel('model.json', { set: { rate: 16_000 }, rowsAxis: { state: 1 } });
export const codeOf = (error: unknown) => (error instanceof TandemError ? error.code : null);
export const exits = EXIT;
export const same: Plan = report;
export const row: Row = [true, 1n, 'text'];

// @ts-expect-error no such way of planning
await openPipeline('model.onnx', { plan: 'quik' });
// @ts-expect-error a number is no plan
await runFile('model.onnx', { input: 'a.npy', output: 'b.npy', plan: 3 });
// @ts-expect-error no such device
await openPipeline('model.onnx', { stages: [{ device: 'tpu' }] });
// @ts-expect-error no such device
await planModel('model.onnx', { stages: [{ device: 'gpu1' }] });
// @ts-expect-error a stage has a device
await openPipeline('model.onnx', { stages: [{ threads: 2 }] });
// @ts-expect-error no such option
await openPipeline('model.onnx', { microbatch: 2 });
// @ts-expect-error rows are iterable
pipeline.run(5);
// @ts-expect-error a row is no function
pipeline.run([() => 1]);
// @ts-expect-error a row is not null
pipeline.run([null]);
// @ts-expect-error inputs go by the key inputs
pipeline.run([{ input: [1] }]);
// @ts-expect-error a date is no value
pipeline.run([{ inputs: { x: new Date() } }]);
// @ts-expect-error the output is missing
await runFile('model.onnx', { input: 'a.npy' });
// @ts-expect-error a code that there is not
export const isWrong = (error: TandemError) => error.code === 'TANDEM_NO_SUCH_CODE';
// @ts-expect-error internals are not shown
pipeline.graph;
// @ts-expect-error a pipeline is opened, not made
export const made = new RowPipeline();
`;

for (const [module, moduleResolution] of [
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
] as const) {
  test(`a project with declaration: true compiles against the types (${moduleResolution}), and wrong plans, devices and rows do not`, () => {
    const compilerOptions = {
      ...{ module, moduleResolution, target: 'es2022', lib: ['es2023'], types: ['node'], strict: true },
      ...{ declaration: true, skipLibCheck: false, outDir: 'out' },
    };
    writeFileSync(join(project, 'package.json'), '{"name":"consumer","type":"module"}');
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
    writeFileSync(join(project, 'consumer.ts'), CONSUMER);
    const { status, said } = run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.']);
    assert.equal(status, 0, said);
    const declared = readFileSync(join(project, 'out/consumer.d.ts'), 'utf8');
    // What is inferred is written down by its public name, not spelled out from the inside.
    assert.match(declared, /pipeline: import\("tandem"\)\.RowPipeline|pipeline: RowPipeline/);
    assert.doesNotMatch(declared, /\bany\b/);
  });
}

test('the types are one file without internals', () => {
  const types = readFileSync(join(project, 'node_modules/tandem', manifest.types), 'utf8');
  assert.doesNotMatch(types, /@internal|\bPipelineSettings\b|from '\.|import\('\./);
  // Only an engine of the user's own is handed a graph.
  assert.doesNotMatch(/class RowPipeline [\s\S]*?\n\}/.exec(types)![0], /ModelGraph/);
  assert.ok(types.length < 72_000, `${types.length} characters`);
  for (const name of ['openPipeline', 'runFile', 'planModel', 'inspectModel']) {
    const [, comment] =
      new RegExp(`(/\\*\\*(?:(?!\\*/)[\\s\\S])*\\*/)\\s*(?:export )?declare function ${name}\\(`).exec(types) ?? [];
    assert.match(comment ?? '', /@throws/, name);
  }
});

test('what the types give as values is what the module exports', async () => {
  const types = readFileSync(join(project, 'node_modules/tandem', manifest.types), 'utf8');
  const names = [...types.matchAll(/^export \{ (.*) \};$/gm)].flatMap(([, list]) => list!.split(', '));
  const values = names.filter((name) => !name.startsWith('type '));
  assert.deepEqual(
    values.sort(),
    Object.keys(await import(join(project, 'node_modules/tandem', manifest.main))).sort(),
  );
});

test('publint finds nothing to say of the packed file', async () => {
  const tarball = new Uint8Array(readFileSync(archive)).buffer;
  const { messages, pkg } = await publint({ pack: { tarball }, strict: true });
  assert.deepEqual(
    messages.map((message) => formatMessage(message, pkg, { color: false })),
    [],
  );
});

test('its types are found by every resolver, old ones too; to CommonJS it is an ES module, which Node 20.19 can require', () => {
  const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js');
  const args = [
    attw,
    archive,
    '--profile',
    'strict',
    '--ignore-rules',
    'cjs-resolves-to-esm',
    '--no-definitely-typed',
    '--no-emoji',
    '--no-color',
  ];
  const { status, said } = run(process.execPath, args);
  assert.equal(status, 0, said);
});
