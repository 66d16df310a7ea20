/** External data stays in the model's folder, whole and as declared. */
import assert from 'node:assert/strict';
import { linkSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { ENTRY, GRAPH, MODEL, TENSOR } from '../../src/model/onnx/schema.js';
import { WireWriter } from '../../src/model/onnx/wire-writer.js';
import { openModel } from '../../src/model/open.js';
import { Graph } from '../../src/prove/models/graph.js';
import { runCut, temporaryFolder } from '../fixtures/onnx-runs.js';

const root = temporaryFolder();
after(root.remove);
let folder = '';
let count = 0;

beforeEach(() => {
  folder = join(root.path, `case-${count++}`, 'model');
  mkdirSync(join(folder, 'sub'), { recursive: true });
  writeFileSync(join(folder, 'w.bin'), new Uint8Array(Float32Array.of(0, 0, 3, 4).buffer));
  writeFileSync(join(folder, '..', 'secret.bin'), new Uint8Array(64));
});

/** x + w, where w has the given shape and external data entries. */
function modelWith(entries: Record<string, string>, dims: readonly number[] = [2]): string {
  const g = new Graph('external');
  g.output(g.node('Add', [g.input('x', 'float32', ['n', 2]), 'w']), 'float32', ['n', 2]);
  const w = new WireWriter().integer(TENSOR.dataType, 1).text(TENSOR.name, 'w').integer(TENSOR.dataLocation, 1);
  for (const dim of dims) w.integer(TENSOR.dims, dim);
  for (const [key, value] of Object.entries(entries)) {
    w.message(TENSOR.externalData, (entry) => entry.text(ENTRY.key, key).text(ENTRY.value, value));
  }
  const graph = new WireWriter().raw(g.bytes()).block(GRAPH.initializer, w.bytes()).bytes();
  const model = new WireWriter().integer(MODEL.irVersion, 8).message(MODEL.opsetImport, (m) => m.integer(2, 17));
  const path = join(folder, 'model.onnx');
  writeFileSync(path, model.block(MODEL.graph, graph).bytes());
  return path;
}

const X = { dtype: 'float32', shape: [1, 2], data: Float32Array.of(10, 20) } as const;

test('offset and length are followed, and absent they mean all', async () => {
  const [sum] = await runCut(
    await openModel(modelWith({ location: 'w.bin', offset: '8', length: '8', checksum: 'x' })),
    [],
    [X],
  );
  assert.deepEqual([...sum!.data], [13, 24]);
  // As ORT writes beside weights that it has packed for its kernels.
  const packed = {
    location: 'w.bin',
    offset: '8',
    length: '8',
    prepacked_0: 'MatMul+x|16;64',
    prepacked_12: 'y|80;64',
  };
  const [unpacked] = await runCut(await openModel(modelWith(packed)), [], [X]);
  assert.deepEqual([...unpacked!.data], [13, 24]);
  const [plain] = await runCut(await openModel(modelWith({ location: './w.bin' })), [], [X]);
  assert.deepEqual([...plain!.data], [10, 20]);
});

const ESCAPES = {
  'a parent': '../secret.bin',
  'a parent inside': 'sub/../../secret.bin',
  'an absolute path': '/etc/passwd',
  'a URL': 'file:///etc/passwd',
  'a Windows path': '..\\secret.bin',
  'a drive': 'C:secret.bin',
  'a NUL': 'w.bin\0.txt',
  nothing: '',
};

for (const [what, location] of Object.entries(ESCAPES)) {
  test(`a location that is ${what} is refused`, async () => {
    await assert.rejects(openModel(modelWith({ location })), { code: 'TANDEM_WEIGHTS_ESCAPE' });
  });
}

test('a link out of the folder is refused, a link within it is followed', async () => {
  symlinkSync(join(folder, '..', 'secret.bin'), join(folder, 'out.bin'));
  symlinkSync('w.bin', join(folder, 'in.bin'));
  const link = {
    code: 'TANDEM_WEIGHTS_ESCAPE',
    message: /out\.bin, a link that leads out .*secret\.bin/,
    remedy: /cp /,
  };
  await assert.rejects(openModel(modelWith({ location: 'out.bin' })), link);
  symlinkSync(join(folder, '..'), join(folder, 'up'));
  await assert.rejects(openModel(modelWith({ location: 'up/secret.bin' })), { code: 'TANDEM_WEIGHTS_ESCAPE' });
  const [sum] = await runCut(await openModel(modelWith({ location: 'in.bin', offset: '8' })), [], [X]);
  assert.deepEqual([...sum!.data], [13, 24]);
});

test('a file that is not there, or not a file, is missing', async () => {
  await assert.rejects(openModel(modelWith({ location: 'none.bin' })), { code: 'TANDEM_WEIGHTS_MISSING' });
  await assert.rejects(openModel(modelWith({ location: 'sub' })), { code: 'TANDEM_WEIGHTS_MISSING' });
});

test('bytes past the end are short, also when offsets overflow', async () => {
  const short = { code: 'TANDEM_WEIGHTS_SHORT' };
  await assert.rejects(openModel(modelWith({ location: 'w.bin', offset: '12' })), short);
  await assert.rejects(openModel(modelWith({ location: 'w.bin' }, [2 ** 40])), short);
  await assert.rejects(openModel(modelWith({ location: 'w.bin', offset: '9007199254740991' })), short);
  truncateSync(join(folder, 'w.bin'), 4);
  await assert.rejects(openModel(modelWith({ location: 'w.bin' })), short);
});

test('entries that are not numbers, or not entries, are invalid', async () => {
  const invalid = { code: 'TANDEM_MODEL_INVALID' };
  for (const offset of ['-8', '0x8', '1e1', ' 8', '', '99999999999999999999']) {
    await assert.rejects(openModel(modelWith({ location: 'w.bin', offset })), invalid, offset);
  }
  await assert.rejects(openModel(modelWith({ location: 'w.bin', length: '4' })), invalid);
  await assert.rejects(openModel(modelWith({ location: 'w.bin', basepath: '/' })), invalid);
  await assert.rejects(openModel(modelWith({ location: 'w.bin' }, [-2])), invalid);
  await assert.rejects(openModel(modelWith({ location: 'w.bin' }, [2 ** 40, 2 ** 40])), invalid);
});

test('a hard link is a file like any other', async () => {
  linkSync(join(folder, 'w.bin'), join(folder, 'hard.bin'));
  const [sum] = await runCut(await openModel(modelWith({ location: 'hard.bin', offset: '8' })), [], [X]);
  assert.deepEqual([...sum!.data], [13, 24]);
  assert.equal(readFileSync(join(folder, 'w.bin')).length, 16);
});
