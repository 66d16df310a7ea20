/** Errors keep their code and remedy across a wall, and every code has an exit status. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { asTandemError, fromWire, TandemError, toWire, type WireError } from '../src/errors.js';

const CASES = [
  ['TANDEM_USAGE', 2],
  ['TANDEM_MODEL_INVALID', 2],
  ['TANDEM_OUTPUT_EXISTS', 73],
  ['TANDEM_PLAN_IMPOSSIBLE', 78],
  ['TANDEM_ENGINE_MISSING', 78],
  ['TANDEM_PACKAGE_MISSING', 78],
  ['TANDEM_STAGE_DIED', 1],
] as const;

for (const [code, exitCode] of CASES) {
  test(`${code} exits with ${exitCode} and survives a message port`, () => {
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(toWire(new TandemError(code, 'what happened', { remedy: 'what to do' })));
    const received = fromWire(receiveMessageOnPort(port2)!.message as WireError);
    port1.close();
    assert.ok(received instanceof TandemError);
    assert.deepEqual(
      [received.code, received.message, received.remedy, received.exitCode],
      [code, 'what happened', 'what to do', exitCode],
    );
  });
}

test('an error of another copy of this class is known as one', async () => {
  const copy = (await import(`${new URL('../src/errors.js', import.meta.url)}?copy`)) as {
    TandemError: typeof TandemError;
  };
  const error = new copy.TandemError('TANDEM_OUT_OF_MEMORY', 'none left');
  assert.notEqual(copy.TandemError, TandemError);
  assert.equal(asTandemError(error), error);
  assert.ok(!(Object.assign(new Error('none left'), { code: 'ENOMEM' }) instanceof TandemError));
});

test('a foreign error keeps its message and becomes the cause', () => {
  const cause = new RangeError('too far');
  const wrapped = asTandemError(cause, 'TANDEM_ENGINE_FAILED');
  assert.equal(wrapped.code, 'TANDEM_ENGINE_FAILED');
  assert.equal(wrapped.message, 'too far');
  assert.equal(wrapped.cause, cause);
});

test('an unknown code from the other side becomes an internal error rather than a lie', () => {
  const odd = fromWire({ code: 'TANDEM_NO_SUCH' as never, message: 'm', remedy: '', stack: '' });
  assert.equal(odd.code, 'TANDEM_INTERNAL');
});

test('an error without a remedy of its own still has what to do', () => {
  assert.match(new TandemError('TANDEM_WEIGHTS_SHORT', 'shard 1 ends early').remedy, /copy it again/);
  assert.equal(new TandemError('TANDEM_WEIGHTS_SHORT', 'shard 1 ends early', { remedy: 'mine' }).remedy, 'mine');
});
