/** A package that is installed and does not load is named with the reason; test/package and test/cli/images are about absent ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingRowPackages, ROW_PACKAGES, rowPackagesError } from '../../src/rows/row-packages.js';

for (const kind of ['texts', 'images', 'tables'] as const) {
  test(`the packages for ${kind} are named with their versions, and why they do not load`, () => {
    assert.deepEqual(missingRowPackages(kind), []);
    const cause = new Error('libvips.so: file too short\nRequire stack:');
    const { code, message, remedy } = rowPackagesError(kind, cause);
    assert.equal(code, 'TANDEM_PACKAGE_MISSING');
    assert.match(message, new RegExp(`^${kind} need the packages? `));
    assert.match(message, /, which do(es)? not load: libvips\.so: file too short$/);
    for (const name of ROW_PACKAGES[kind]!) assert.match(message, new RegExp(`${name}@\\d`));
    assert.match(remedy!, new RegExp(`^run: npx tandem setup ${kind} `));
  });
}

test('an engine is no kind of rows', () => assert.equal(missingRowPackages('tensorflow'), null));
