/** Frames: what is sent comes out whole and in order, however the pipe tears it. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { Frames } from '../../src/pool/frames.js';

type Sent = { readonly frame: unknown } | { readonly slot: number; readonly words: readonly number[] };

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const sent: fc.Arbitrary<Sent> = fc.oneof(
  fc.record(
    { frame: fc.dictionary(fc.stringMatching(/^[a-z]*$/), fc.integer(), { noNullPrototype: true }) },
    { noNullPrototype: true },
  ),
  fc.record({ slot: fc.nat(1000), words: fc.array(int32, { maxLength: 40 }) }, { noNullPrototype: true }),
);

/** All bytes that are written for what is sent. */
function bytesOf(all: readonly Sent[]): Buffer {
  const pipe = new PassThrough({ highWaterMark: 1 << 24 });
  const frames = new Frames(pipe as unknown as Socket, { frame: () => {}, slot: () => {} });
  pipe.removeAllListeners('data').pause();
  for (const each of all)
    'frame' in each ? frames.send(each.frame) : frames.sendSlot(each.slot, Int32Array.from(each.words));
  return (pipe.read() as Buffer | null) ?? Buffer.alloc(0);
}

test('frames and slots come out as they were sent, in order, wherever the bytes are torn', () => {
  fc.assert(
    fc.property(fc.array(sent, { maxLength: 8 }), fc.integer({ min: 1, max: 50 }), (all, step) => {
      const bytes = bytesOf(all);
      const socket = new Socket();
      const heard: Sent[] = [];
      new Frames(socket, {
        frame: (frame) => heard.push({ frame }),
        slot: (slot, words) => heard.push({ slot, words: [...words] }),
      });
      for (let at = 0; at < bytes.length; at += step) socket.emit('data', bytes.subarray(at, at + step));
      assert.deepEqual(heard, all);
    }),
  );
});
