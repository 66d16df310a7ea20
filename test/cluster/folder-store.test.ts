/** A store in a folder: the first one wins, nothing is seen in part, and no key leads out of it. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { FolderStore } from '../../src/cluster/folder-store.js';
import { openStore } from '../../src/cluster/open-store.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-store-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const text = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString();

test('of many writers of one key, one wins, and all read what it wrote', async () => {
  const stores = await Promise.all(Array.from({ length: 16 }, () => FolderStore.open(join(folder, 'store'))));
  for (let round = 0; round < 20; round++) {
    const key = `commit/${round}.json`;
    const won = await Promise.all(stores.map((store, n) => store.putIfAbsent(key, Buffer.from(`writer ${n}`))));
    assert.equal(won.filter(Boolean).length, 1);
    const read = await Promise.all(stores.map((store) => store.get(key)));
    assert.deepEqual([...new Set(read.map(text))], [`writer ${won.indexOf(true)}`]);
  }
  assert.deepEqual(await readdir(join(folder, 'store', '.drafts')), [], 'no draft is left');
});

test('a file is stored whole, read back, listed and removed', async () => {
  const store = await openStore(join(folder, 'store'));
  const from = join(folder, 'part');
  await writeFile(from, 'rows');
  await store.putFile('part/0.a', from);
  await store.putIfAbsent('part/1.b', Buffer.from('more'));
  assert.deepEqual(await store.list('part/'), ['part/0.a', 'part/1.b']);
  assert.deepEqual(await store.list('part/1'), ['part/1.b']);
  assert.deepEqual(await store.list('commit/'), []);
  const to = join(folder, 'copy');
  assert.equal(await store.getFile('part/0.a', to), true);
  assert.equal(await readFile(to, 'utf8'), 'rows');
  assert.equal(await store.getFile('part/7.a', to), false);
  await store.remove('part/0.a');
  await store.remove('part/0.a');
  assert.equal(await store.get('part/0.a'), null);
});

test('no key leads out of the store', async () => {
  const store = await openStore(join(folder, 'store'));
  for (const key of ['../out', '/etc/passwd', 'part/../../out', 'part//x', '.drafts/x', 'a\nb', '']) {
    await assert.rejects(async () => store.get(key), { code: 'TANDEM_STORE_FAILED' }, JSON.stringify(key));
  }
});

test('a folder that cannot be made is told by name, and so is an address of another kind', async () => {
  await writeFile(join(folder, 'file'), '');
  await assert.rejects(openStore(join(folder, 'file')), { code: 'TANDEM_STORE_FAILED', message: /file/ });
  await mkdir(join(folder, 'real'));
  await symlink(join(folder, 'real'), join(folder, 'link'));
  await assert.doesNotReject(openStore(join(folder, 'link')), 'a link to a folder is one');
  await assert.rejects(openStore('ftp://host/x'), { code: 'TANDEM_USAGE' });
});
