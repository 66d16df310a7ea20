/** The layout: aligned, disjoint while tensors live at the same time, and no larger than necessary. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ALIGNMENT, arenaBytes, layOut, type Region, type Resident } from '../../src/arena/layout.js';
import { straight } from '../fixtures/route.js';

const resident = (name: string, floats: number, born: number, last: number): Resident => ({
  name,
  dtype: 'float32',
  shape: [floats],
  born,
  last,
});

const meets = (a: Region, b: Region) => a.born <= b.last && b.born <= a.last;
const overlaps = (a: Region, b: Region) => a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;

const residents = fc
  .array(
    fc.record({
      floats: fc.integer({ min: 0, max: 400 }),
      born: fc.integer({ min: -1, max: 4 }),
      life: fc.integer({ min: 0, max: 5 }),
    }),
    { maxLength: 24 },
  )
  .map((list) => list.map(({ floats, born, life }, n) => resident(`t${n}`, floats, born, Math.min(5, born + life))));

test('regions whose lives meet never share a byte, and all are aligned', () => {
  fc.assert(
    fc.property(residents, (list) => {
      const { regions, dataBytes } = layOut(list, straight(5), 1);
      assert.deepEqual(
        regions.map(({ name }) => name),
        list.map(({ name }) => name),
      );
      for (const [n, a] of regions.entries()) {
        assert.equal(a.offset % ALIGNMENT, 0);
        assert.ok(a.offset + a.bytes <= dataBytes);
        for (const b of regions.slice(n + 1)) assert.ok(!(meets(a, b) && overlaps(a, b)), `${a.name} over ${b.name}`);
      }
    }),
  );
});

test('the slot is never larger than all tensors side by side, and at least the most that is alive at once', () => {
  fc.assert(
    fc.property(residents, (list) => {
      const { regions, dataBytes } = layOut(list, straight(5), 1);
      const aligned = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
      assert.ok(dataBytes <= regions.reduce((sum, { bytes }) => sum + aligned(bytes), 0));
      for (let stage = -1; stage <= 5; stage++) {
        const alive = regions.filter(({ born, last }) => born <= stage && stage <= last);
        assert.ok(dataBytes >= alive.reduce((sum, { bytes }) => sum + bytes, 0));
      }
    }),
  );
});

test('a tensor that is read by the stage that writes another does not share its bytes', () => {
  const [input, output] = layOut([resident('in', 16, -1, 0), resident('out', 16, 0, 1)], straight(1), 1).regions;
  assert.ok(!overlaps(input!, output!));
});

test('a tensor that is born after another one died takes its bytes', () => {
  const layout = layOut([resident('a', 16, -1, 0), resident('b', 16, 0, 1), resident('c', 16, 1, 2)], straight(2), 3);
  assert.equal(layout.dataBytes, 2 * 64);
  assert.equal(layout.regions[0]!.offset, layout.regions[2]!.offset);
  assert.equal(arenaBytes(layout), 3 * (layout.headerBytes + 128) + 3 * ALIGNMENT);
});
