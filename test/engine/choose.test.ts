/** A stage gets its engine and its provider by what the entries of the engines say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineBuild, engineOf, entryOf, providerFor } from '../../src/engine/choose.js';
import { ENGINES } from '../../src/engine/list.js';
import type { TandemError } from '../../src/errors.js';

test('a stage gets the engine that has its provider, and without one the first that has any for the device', () => {
  const graph = { format: 'onnx', engines: ['onnxruntime', 'custom'] } as const;
  assert.equal(engineOf(graph, 'cpu').id, 'onnxruntime');
  assert.equal(engineOf(graph, 'gpu', 'cuda').id, 'onnxruntime');
  assert.equal(engineOf(graph, 'gpu', 'custom').id, 'custom');
  assert.equal(engineOf({ ...graph, engines: ['custom', 'onnxruntime'] }, 'gpu').id, 'custom');
  assert.equal(engineOf({ ...graph, engines: ['custom', 'onnxruntime'] }, 'cpu', 'cpu').id, 'onnxruntime');
  const { id } = engineOf(graph, 'cpu', 'cuda');
  assert.throws(() => providerFor(id, 'cpu', 'cuda'), /engine onnxruntime has no provider "cuda" for cpu/);
});

test('an engine that is not here is refused by name, and its build is that of no other', () => {
  const refused = ({ code, remedy }: TandemError) => code === 'TANDEM_ENGINE_MISSING' && /engine:/.test(remedy);
  assert.throws(() => entryOf('file:///elsewhere/engine.js'), refused);
  assert.match(engineBuild('file:///elsewhere/engine.js', 'custom'), /not here/);
});

test('every engine of the list has every field', () => {
  for (const { id, formats, providers, environment } of ENGINES) {
    assert.ok(formats.length > 0, id);
    for (const { name, devices, build, check } of providers) {
      assert.ok(devices.length > 0, `${id} ${name}`);
      assert.equal(typeof build(), 'string');
      if (id !== 'custom' && !name.startsWith('openvino-'))
        assert.ok(check, `${id} ${name} is looked at by tandem doctor`);
      const machine = { platform: process.platform, hasNvidiaDriver: true };
      if (check?.loss(machine) === 'missing') assert.ok(check.mend({ reason: 'it does not load' }, machine).remedy);
    }
    for (const value of Object.values(environment(2, { kind: 'cpu', index: 0 }))) assert.equal(typeof value, 'string');
  }
  assert.equal(new Set(ENGINES.map(({ id }) => id)).size, ENGINES.length);
});
