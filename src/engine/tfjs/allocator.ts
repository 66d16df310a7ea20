/** Settings of glibc's allocator, so that it keeps memory that TensorFlow soon allocates again. */

/**
 * Run op by op, TensorFlow allocates every op's output and frees it soon after. By default glibc returns such
 * blocks to the system, which then fills each page with zeros again: EfficientNetB0, 16 rows of 96 x 96 on one thread, runs 82 rows/s
 * by default and 108 when they are kept (MobileNetV2 117 and 123, with the same peak memory). Read once, when a process starts; only
 * glibc reads it. Values set by the user stay.
 */
const KEEP = {
  /** Free bytes at the end of the heap from which on memory is returned to the system. */
  MALLOC_TRIM_THRESHOLD_: String(2 ** 34),
  /**
   * All blocks come from the heap, which keeps them. By default those of 32 MiB and more are mapped anew for each op: MobileNetV2,
   * 224 x 224, 600 rows in two workers of one thread took 13.4 s in the kernel with micro-batches of 32 rows, 1.0 s from the heap (peak
   * memory 1.7 and 2.2 GiB); with 16 rows 4.3 and 0.9 s (1.5 and 1.6 GiB), with 8 rows 2.1 and 0.6 s (1.0 GiB both).
   */
  MALLOC_MMAP_MAX_: '0',
  /** Heaps other than the first are returned as a whole. */
  MALLOC_ARENA_MAX: '1',
};

export function allocatorEnvironment(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return Object.fromEntries(Object.entries(KEEP).map(([name, value]) => [name, env[name] ?? value]));
}
