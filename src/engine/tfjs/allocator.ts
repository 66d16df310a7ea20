/** How glibc's allocator is told to keep memory that TensorFlow will ask for again at once. */

/**
 * Run op by op, TensorFlow asks for every op's output anew and gives it back soon after. Left alone, glibc returns such
 * blocks to the system, which then fills each page with zeros again: EfficientNetB0, 16 rows of 96 x 96 on one thread, runs 82 rows/s
 * so and 108 when they are kept (MobileNetV2 117 and 123, peak memory no higher). Read once, when a process starts; elsewhere than
 * in glibc nobody reads it. What the user has set stays.
 */
const KEEP = {
  /** Bytes that must lie free at the end of the heap before any are given back. */
  MALLOC_TRIM_THRESHOLD_: String(2 ** 34),
  /** Blocks of fewer bytes come from the heap. It is the most that every version takes. */
  MALLOC_MMAP_THRESHOLD_: String(2 ** 25),
  /** Other heaps than the first are given back whole. */
  MALLOC_ARENA_MAX: '1',
};

export function allocatorEnvironment(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return Object.fromEntries(Object.entries(KEEP).map(([name, value]) => [name, env[name] ?? value]));
}
