/** Wheels: the arguments for pip, and that only the pinned bytes are accepted. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { librarySource } from '../../src/setup/tensorflow-wheels.js';
import { fetchWheel, sha256Of, verifyWheel } from '../../src/setup/wheel.js';
import { scratch } from './tiny-tensorflow.js';

const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** What pip is asked for, without the folder. */
async function asked(file: string): Promise<string> {
  let args: readonly string[] = [];
  const run = async (given: readonly string[]) => {
    args = given;
    return { status: 0, stdout: '', stderr: '', missing: false };
  };
  await fetchWheel({ file, sha256: '', members: [] }, 'folder', {
    command: 'python3',
    version: '3.12.0',
    pip: '25',
    run,
  });
  assert.deepEqual(args.slice(-2), ['--dest', 'folder']);
  return args.slice(0, -2).join(' ');
}

test('the file’s name determines all pip arguments, so that the user’s Python does not matter', async () => {
  assert.match(
    await asked('tensorflow_cpu-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl'),
    /--python-version 3\.12 --implementation cp --abi cp312 --platform manylinux_2_27_x86_64 tensorflow_cpu==2\.21\.0$/,
  );
});

test('a wheel for every Python is requested by one of its platforms', async () => {
  const args = await asked('nvidia_cuda_nvcc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl');
  assert.match(args, /--abi none --platform manylinux2010_x86_64 nvidia_cuda_nvcc_cu12==12\.9\.86$/);
  assert.doesNotMatch(args, /--python-version/);
});

test('only the pinned bytes are accepted', async (t) => {
  const folder = scratch(t);
  writeFileSync(join(folder, 'a.whl'), '');
  assert.equal(await sha256Of(join(folder, 'a.whl')), EMPTY);
  await verifyWheel({ file: 'a.whl', sha256: EMPTY, members: [] }, folder);
  const other = verifyWheel({ file: 'a.whl', sha256: '0'.repeat(64), members: [] }, folder);
  await assert.rejects(other, { code: 'TANDEM_SETUP_FAILED', message: new RegExp(`its sha256 is ${EMPTY}`) });
  const absent = verifyWheel({ file: 'b.whl', sha256: EMPTY, members: [] }, folder);
  await assert.rejects(absent, { message: /its sha256 is no such file/ });
});

test('every published wheel is pinned by a full hash, and names a version and a platform', () => {
  for (const source of [librarySource('cpu', 'linux', 'x64'), librarySource('gpu', 'linux', 'x64')]) {
    if (source === null) continue;
    for (const { file, sha256 } of source.wheels) {
      assert.match(sha256, /^[0-9a-f]{64}$/);
      assert.match(file, /^\w+-[\d.]+-(cp312-cp312|py3-none)-manylinux\w+(\.manylinux\w+)*\.whl$/);
    }
  }
  assert.equal(librarySource('cpu', 'darwin', 'arm64'), null);
  assert.equal(librarySource('cpu', 'win32', 'x64'), null);
});
