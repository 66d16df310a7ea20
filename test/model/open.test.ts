/** Opening a model by path: files, folders, links as a hub's cache has them, and what is no model. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { TandemError } from '../../src/errors.js';
import { openModel } from '../../src/model/open.js';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-open-'));
});
after(() => rm(folder, { recursive: true }));

/** Moves every file of `from` into blobs/ under a name that says nothing, and leaves links, as the hub's cache does. */
async function toCache(from: string): Promise<void> {
  const blobs = join(folder, 'blobs');
  await mkdir(blobs, { recursive: true });
  for (const [n, name] of (await readdir(from)).entries()) {
    const blob = join(blobs, `${from.length}a${n}`);
    await rename(join(from, name), blob);
    await symlink(blob, join(from, name));
  }
}

test('a folder of links into blobs, as the hub keeps models, is read like any other', async () => {
  const layers = join(folder, 'snapshot-layers');
  await makeModel('mlp', layers);
  await toCache(layers);
  assert.equal((await openModel(layers)).format, 'layers-model');
  const onnx = join(folder, 'snapshot', 'onnx');
  await mkdir(onnx, { recursive: true });
  await makeOnnx('mlp', onnx);
  await toCache(onnx);
  assert.equal((await openModel(join(folder, 'snapshot'))).format, 'onnx');
});

test('the only .onnx file of a folder is its model; of several one must be named', async () => {
  const hub = join(folder, 'variants');
  await mkdir(join(hub, 'onnx'), { recursive: true });
  const made = await makeOnnx('mlp', hub);
  await rename(made, join(hub, 'onnx', 'model_fp16.onnx'));
  assert.equal((await openModel(hub)).format, 'onnx');
  await writeFile(join(hub, 'onnx', 'model_q4.onnx'), '');
  const refused = await openModel(hub).catch((error: TandemError) => error);
  assert.ok(refused instanceof TandemError);
  assert.match(refused.remedy, /model_fp16\.onnx, .*model_q4\.onnx/);
});

test('a pointer of Git LFS is known as one', async () => {
  const pointer = join(folder, 'pointer.onnx');
  await writeFile(pointer, `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 4096\n`);
  const refused = await openModel(pointer).catch((error: TandemError) => error);
  assert.ok(refused instanceof TandemError);
  assert.equal(refused.code, 'TANDEM_MODEL_MISSING');
  assert.match(refused.remedy, /git lfs pull/);
});

test('what is no model is said to be none', async () => {
  const text = join(folder, 'text.json');
  await writeFile(text, 'hello');
  const list = join(folder, 'list.json');
  await writeFile(list, '[]');
  for (const [path, code] of [
    [join(folder, 'nothing'), 'TANDEM_MODEL_MISSING'],
    [folder, 'TANDEM_MODEL_MISSING'],
    [text, 'TANDEM_MODEL_INVALID'],
    [list, 'TANDEM_MODEL_INVALID'],
  ] as const) {
    await assert.rejects(
      openModel(path),
      (error) => error instanceof TandemError && error.code === code && error.remedy !== '',
    );
  }
});
