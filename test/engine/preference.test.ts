/** A format may have several engines, and the first that can run here is the default. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineEntry } from '../../src/engine/entry.js';
import { ENGINES } from '../../src/engine/list.js';
import { onnxruntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { byPreference } from '../../src/engine/preference.js';
import type { TandemError } from '../../src/errors.js';

/** A second engine for ONNX, which is here or is not. */
function secondEngine(isHere: boolean): EngineEntry {
  const [provider] = onnxruntimeEngine.providers;
  return { ...onnxruntimeEngine, id: 'second', providers: [{ ...provider!, isInstalled: () => isHere }] };
}

const idsOf = (entries: readonly EngineEntry[]) => entries.map(({ id }) => id);

test('a second engine of the same format is listed behind the first, and can be chosen', () => {
  const entries = [onnxruntimeEngine, secondEngine(true)];
  assert.deepEqual(idsOf(byPreference(entries, 'onnx')), ['onnxruntime', 'second']);
  assert.deepEqual(idsOf(byPreference(entries, 'onnx', 'second')), ['second', 'onnxruntime']);
});

test('the default is the first that can run here', () => {
  const [first, absent] = [onnxruntimeEngine, secondEngine(false)];
  assert.deepEqual(idsOf(byPreference([absent, first], 'onnx')), ['onnxruntime', 'second']);
  assert.deepEqual(
    idsOf(byPreference([absent, first], 'onnx', 'second')),
    ['second', 'onnxruntime'],
    'the one that was asked for is first',
  );
  assert.deepEqual(idsOf(byPreference([absent], 'onnx')), ['second']);
});

test('an engine that does not run the format is refused with those that do', () => {
  const refused = ({ code, message, remedy }: TandemError) =>
    code === 'TANDEM_USAGE' &&
    /"tfjs" does not run models of the format onnx/.test(message) &&
    /onnxruntime/.test(remedy);
  assert.throws(() => byPreference(ENGINES, 'onnx', 'tfjs'), refused);
  assert.throws(() => byPreference(ENGINES, 'onnx', 'onnxruntim'), /does not run/);
});
