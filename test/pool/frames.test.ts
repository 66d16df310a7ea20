/** Frames: what is sent comes out whole and in order, however the pipe tears it; damage closes the pipe. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { Frames } from '../../src/pool/frames.js';

const sent = fc.dictionary(fc.stringMatching(/^[a-z]*$/), fc.oneof(fc.integer(), fc.string(), fc.boolean()), {
  noNullPrototype: true,
});

/** All bytes that are written for what is sent. */
function bytesOf(all: readonly unknown[]): Buffer {
  const pipe = new PassThrough({ highWaterMark: 1 << 24 });
  const frames = new Frames(pipe as unknown as Socket, () => {});
  pipe.removeAllListeners('data').pause();
  for (const each of all) frames.send(each);
  return (pipe.read() as Buffer | null) ?? Buffer.alloc(0);
}

test('frames come out as they were sent, in order, wherever the bytes are torn', () => {
  fc.assert(
    fc.property(fc.array(sent, { maxLength: 8 }), fc.integer({ min: 1, max: 50 }), (all, step) => {
      const bytes = bytesOf(all);
      const socket = new Socket();
      const heard: unknown[] = [];
      new Frames(socket, (frame) => heard.push(frame));
      for (let at = 0; at < bytes.length; at += step) socket.emit('data', bytes.subarray(at, at + step));
      assert.deepEqual(heard, all);
    }),
  );
});

test('a length that no frame has closes the pipe with a coded error', async () => {
  const socket = new Socket();
  new Frames(socket, () => assert.fail('there is no frame'));
  socket.emit('data', Buffer.from([0, 0, 0, 0xff]));
  const [error] = await once(socket, 'error');
  assert.equal(error.code, 'TANDEM_INTERNAL');
});
