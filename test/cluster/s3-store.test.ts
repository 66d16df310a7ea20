/** A store in a bucket, against a real S3 server: the first one wins, files come back whole, and what is wrong is told by name. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { VERSITYGW, versitygwMissing } from '../../scripts/versitygw.js';
import { S3Store } from '../../src/cluster/s3-store.js';

const home = mkdtempSync(join(tmpdir(), 'tandem-s3-'));
const skip = versitygwMissing() ?? false;
let server: ChildProcess | undefined;
let env: Record<string, string>;

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => listener.once('listening', done));
  const { port } = listener.address() as { port: number };
  await new Promise((done) => listener.close(done));
  return port;
}

before(async () => {
  if (skip) return;
  mkdirSync(join(home, 'root', 'shards'), { recursive: true });
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  env = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret', AWS_ENDPOINT_URL: endpoint };
  const asked = [
    '--port',
    `127.0.0.1:${port}`,
    '--access',
    'key',
    '--secret',
    'secret',
    'posix',
    '--sidecar',
    join(home, 'meta'),
    join(home, 'root'),
  ];
  mkdirSync(join(home, 'meta'));
  server = spawn(VERSITYGW, asked, { stdio: 'ignore' });
  for (let answers = false; !answers; ) {
    assert.equal(server.exitCode, null, 'the server runs');
    answers = await fetch(endpoint).then(
      () => true,
      () => new Promise<boolean>((done) => setTimeout(done, 50, false)),
    );
  }
});
after(() => {
  server?.kill('SIGKILL');
  rmSync(home, { recursive: true, force: true });
});

const open = (prefix: string, more: Record<string, string> = {}) =>
  S3Store.open(`s3://shards/${prefix}`, { ...env, ...more });
const text = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString();

suite('a bucket', { skip }, () => {
  test('of many writers of one key, one wins, and all read what it wrote', async () => {
    const stores = await Promise.all(Array.from({ length: 8 }, () => open('race')));
    for (let round = 0; round < 25; round++) {
      const key = `commit/${round}.json`;
      const won = await Promise.all(stores.map((store, n) => store.putIfAbsent(key, Buffer.from(`writer ${n}`))));
      assert.equal(won.filter(Boolean).length, 1, key);
      const read = await Promise.all(stores.map((store) => store.get(key)));
      assert.deepEqual([...new Set(read.map(text))], [`writer ${won.indexOf(true)}`]);
    }
    assert.equal((await stores[0]!.list('commit/')).length, 25);
  });

  test('files of one part and of several come back whole, are listed and removed', async () => {
    const store = await open('files');
    for (const [name, bytes] of [
      ['small', 1000],
      ['large', (64 << 20) + 12_345],
    ] as const) {
      const content = Buffer.alloc(bytes, `${name} `);
      writeFileSync(join(home, name), content);
      await store.putFile(`part/0.${name}`, join(home, name));
      assert.equal(await store.getFile(`part/0.${name}`, join(home, 'back')), true);
      assert.ok(readFileSync(join(home, 'back')).equals(content), name);
    }
    assert.deepEqual(await store.list('part/'), ['part/0.large', 'part/0.small']);
    assert.equal(await store.getFile('part/7', join(home, 'back')), false);
    await store.remove('part/0.large');
    await store.remove('part/0.large');
    assert.deepEqual(await store.list('part/'), ['part/0.small']);
    assert.equal(await store.get('nothing'), null);
  });

  test('a wrong secret, no bucket and no credentials are told by name, without the secret', async () => {
    const wrong = await open('x', { AWS_SECRET_ACCESS_KEY: 'not-the-secret' });
    await assert.rejects(wrong.get('a'), (error: Error & { code: string }) => {
      assert.equal(error.code, 'TANDEM_STORE_FAILED');
      assert.match(error.message, /403|Signature/);
      assert.doesNotMatch(error.message, /not-the-secret/);
      return true;
    });
    const nowhere = await S3Store.open('s3://no-such-bucket/x', env);
    await assert.rejects(nowhere.list(''), { code: 'TANDEM_STORE_FAILED', message: /NoSuchBucket/ });
    await assert.rejects(S3Store.open('s3://shards/x', {}), { code: 'TANDEM_USAGE', message: /AWS_ACCESS_KEY_ID/ });
    await assert.rejects(S3Store.open('s3://Bad_Bucket', env), { code: 'TANDEM_USAGE' });
  });
});
