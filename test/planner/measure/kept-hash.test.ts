/** A model's hash that is kept between runs: reused while the file and the reading options are the same, else computed again. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeModel } from '../../../scripts/make-model.js';
import { modelHash } from '../../../src/model/model-hash.js';
import { openModel } from '../../../src/model/open.js';
import { keptModelHash } from '../../../src/planner/measure/kept-hash.js';

let folder: string;
let cacheBefore: string | undefined;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-hash-'));
  cacheBefore = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = join(folder, 'cache');
});
after(() => {
  if (cacheBefore === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cacheBefore;
  rmSync(folder, { recursive: true });
});

const kept = () => {
  const models = join(folder, 'cache/tandem/models');
  return readdirSync(models).map((name) => join(models, name));
};

test('the hash is that of the model, and is read from the cache while the file and its reading are the same', async () => {
  const model = await makeModel('mlp', join(folder, 'same'), {});
  const graph = await openModel(model);
  assert.equal(keptModelHash(graph), modelHash(graph));
  const [file] = kept();
  writeFileSync(file!, readFileSync(file!, 'utf8').replace(modelHash(graph), 'as kept'));
  assert.equal(keptModelHash(await openModel(model)), 'as kept');
  const oneRow = { ...graph, fixedBatch: 1 };
  assert.equal(keptModelHash(oneRow), modelHash(oneRow));
  assert.notEqual(keptModelHash(oneRow), modelHash(graph));
});

test('an edit that leaves the file’s size and time as they were is noticed', async () => {
  const model = await makeModel('mlp', join(folder, 'edited'), {});
  const before = keptModelHash(await openModel(model));
  const graph = await openModel(model);
  const { atime, mtime } = statSync(graph.path);
  const text = readFileSync(graph.path, 'utf8');
  assert.match(text, /"relu"/);
  writeFileSync(graph.path, text.replace('"relu"', '"tanh"'));
  utimesSync(graph.path, atime, mtime);
  const edited = await openModel(model);
  assert.notEqual(keptModelHash(edited), before);
  assert.equal(keptModelHash(edited), modelHash(edited));
});
