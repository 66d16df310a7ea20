/** Frames arrive complete and in order, however the pipe splits them; corrupt data closes the pipe. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { Frames } from '../../src/pool/frames.js';
import { drain } from '../fixtures/drain.js';

const sent = fc.dictionary(fc.stringMatching(/^[a-z]*$/), fc.oneof(fc.integer(), fc.string(), fc.boolean()), {
  noNullPrototype: true,
});

/** All bytes that are written for these frames. */
function bytesOf(all: readonly unknown[]): Buffer {
  const pipe = new PassThrough({ highWaterMark: 1 << 24 });
  const frames = new Frames(pipe as unknown as Socket, () => {});
  pipe.removeAllListeners('data').pause();
  for (const each of all) frames.send(each);
  return drain(pipe);
}

test('frames arrive as they were sent, in order, wherever the bytes are split', () => {
  fc.assert(
    fc.property(fc.array(sent, { maxLength: 8 }), fc.integer({ min: 1, max: 50 }), (all, step) => {
      const bytes = bytesOf(all);
      const socket = new Socket();
      const received: unknown[] = [];
      new Frames(socket, (frame) => received.push(frame));
      for (let at = 0; at < bytes.length; at += step) socket.emit('data', bytes.subarray(at, at + step));
      assert.deepEqual(received, all);
    }),
  );
});

test('an impossible frame length closes the pipe with a coded error', async () => {
  const socket = new Socket();
  new Frames(socket, () => assert.fail('there is no frame'));
  socket.emit('data', Buffer.from([0, 0, 0, 0xff]));
  const [error] = await once(socket, 'error');
  assert.equal(error.code, 'TANDEM_INTERNAL');
});
