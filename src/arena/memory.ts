/** Where the arena's bytes lie, and how those are woken who sleep on them. */
import { TandemError } from '../errors.js';
import { type Doorbell, ring } from './doorbell.js';
import { byFutex, mapFile } from './mapped-file.js';
import { byAtomics, type Waking } from './waking.js';

/**
 * What a thread must know to come to an arena. In one process: its memory. Between processes: an open file to be mapped, and the doorbell of the
 * coordinator, which others know by its outside.
 */
export type Place =
  | { readonly memory: SharedArrayBuffer }
  | { readonly file: number; readonly doorbell: Doorbell | number };

export interface Memory {
  readonly buffer: ArrayBufferLike;
  /** For bells at which workers sleep. */
  readonly workers: Waking;
  /** For the bell that calls the coordinator. */
  readonly coordinator: Waking;
}

/** Throws TANDEM_ENGINE_MISSING and TANDEM_OUT_OF_MEMORY as of `mapFile`. */
export function memoryAt(place: Place, bytes: number): Memory {
  if ('memory' in place) return { buffer: place.memory, workers: byAtomics, coordinator: byAtomics };
  const mapped = mapFile(place.file, bytes);
  return { buffer: mapped.buffer, workers: byFutex(mapped), coordinator: byDoorbell(place.doorbell) };
}

/**
 * Shared memory of `bytes` whose first byte is page-aligned.
 *
 * A plain SharedArrayBuffer comes from calloc and starts 16 bytes past a 64-byte boundary, and then TensorFlow copies every
 * tensor that it is given (measured for 32 MiB: 21 ms against 0.2 ms). A growable one comes from the page allocator, so it
 * is made growable and never grown. Throws TANDEM_OUT_OF_MEMORY.
 */
export function sharedMemory(bytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes, { maxByteLength: bytes });
  } catch (cause) {
    throw new TandemError(
      'TANDEM_OUT_OF_MEMORY',
      `the arena needs ${bytes} bytes of shared memory, which cannot be had`,
      {
        remedy: 'lower --micro-batch or --depth',
        cause,
      },
    );
  }
}

/** The coordinator sleeps in its event loop, which a doorbell wakes. */
function byDoorbell(doorbell: Doorbell | number): Waking {
  const isOutside = typeof doorbell === 'number';
  return {
    wake() {
      ring(isOutside ? doorbell : doorbell.outside);
    },
    sleep() {
      throw new TandemError('TANDEM_INTERNAL', 'the coordinator would block');
    },
    // What was rung before this is asked is still to be heard.
    woken: isOutside ? undefined : () => doorbell.rung(),
  };
}
