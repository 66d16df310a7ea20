/** The hash of a model follows its structure and nothing else. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { modelHash } from '../../src/model/model-hash.js';
import { openModel } from '../../src/model/open.js';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-hash-'));
});
after(() => rm(folder, { recursive: true }));

test('it does not depend on the weights or on the place, but on sizes and layers', async () => {
  const hash = async (options: object, to: string) =>
    modelHash(await openModel(await makeModel('mlp', join(folder, to), options)));
  const one = await hash({ seed: 1 }, 'one');
  assert.equal(await hash({ seed: 2 }, 'other weights'), one);
  assert.notEqual(await hash({ width: 33 }, 'wider'), one);
  assert.notEqual(await hash({ blocks: 4 }, 'deeper'), one);
});
