/** Release: the memory of a result is given back at once, without a garbage collection. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Tensor } from '../../tensor.js';

/** A port that was closed still takes what it is handed, as HTML wants it, and drops it. */
let closed: MessagePort | undefined;

/**
 * Every result of TensorFlow's is a new array outside V8's heap. A worker makes so little else that V8 would collect all of its heap only to be rid of
 * them: 12 dense layers, 64 rows of 1024 numbers a micro-batch, two stages, were in it every 45 micro-batches, for 4 to 10 ms, where a micro-batch takes
 * 4.6 ms in a stage. `ArrayBuffer.prototype.transfer` would do the same in Node 22. The arrays are empty afterwards; none may be lent from elsewhere.
 */
export function release(tensors: readonly Tensor[]): void {
  closed ??= closedPort();
  closed.postMessage(
    null,
    tensors.map(({ data }) => data.buffer as ArrayBuffer),
  );
}

function closedPort(): MessagePort {
  const { port1 } = new MessageChannel();
  port1.close();
  return port1;
}
