/** The memory of an arena, and how threads that sleep on it are woken. */
import { TandemError } from '../errors.js';
import { byFutex, mapFile } from './mapped-file.js';
import { type NotifySocket, notify } from './notify-socket.js';
import { byAtomics, type WakeUp } from './wake-up.js';

/**
 * What a thread needs to open an arena. In one process: its memory. Between processes: an open file to map, and the coordinator's notify
 * socket; for a process other than the coordinator's, the socket's outer file descriptor.
 */
export type ArenaHandle =
  | { readonly memory: SharedArrayBuffer }
  | { readonly file: number; readonly notifySocket: NotifySocket | number };

export interface Memory {
  readonly buffer: ArrayBufferLike;
  /** For the wait queues of workers. */
  readonly workers: WakeUp;
  /** For the coordinator's wait queue. */
  readonly coordinator: WakeUp;
}

/** Throws TANDEM_ENGINE_MISSING and TANDEM_OUT_OF_MEMORY, as `mapFile` does. */
export function memoryAt(handle: ArenaHandle, bytes: number): Memory {
  if ('memory' in handle) return { buffer: handle.memory, workers: byAtomics, coordinator: byAtomics };
  const mapped = mapFile(handle.file, bytes);
  return { buffer: mapped.buffer, workers: byFutex(mapped), coordinator: byNotifySocket(handle.notifySocket) };
}

/**
 * Shared memory of `bytes` whose first byte is page-aligned.
 *
 * A plain SharedArrayBuffer comes from calloc and starts 16 bytes past a 64-byte boundary. TensorFlow then copies every
 * tensor that it is given (measured for 32 MiB: 21 ms against 0.2 ms). A growable one comes from the page allocator, so it
 * is made growable and never grown. Throws TANDEM_OUT_OF_MEMORY.
 */
export function sharedMemory(bytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes, { maxByteLength: bytes });
  } catch (cause) {
    throw new TandemError(
      'TANDEM_OUT_OF_MEMORY',
      `the arena needs ${bytes} bytes of shared memory, and the system does not give them`,
      {
        remedy: 'lower --micro-batch or --depth',
        cause,
      },
    );
  }
}

/** The coordinator waits in its event loop; a notify socket wakes it. */
function byNotifySocket(notifySocket: NotifySocket | number): WakeUp {
  const isOutside = typeof notifySocket === 'number';
  return {
    wake() {
      notify(isOutside ? notifySocket : notifySocket.outside);
    },
    sleep() {
      throw new TandemError('TANDEM_INTERNAL', 'the coordinator must not block');
    },
    // A notification from before this call is still in the socket, so none is lost.
    woken: isOutside ? undefined : () => notifySocket.notified(),
  };
}
