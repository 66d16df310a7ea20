/** Gives unused memory back to the system, at a point of a job where most of what is held has become garbage and something large is about to begin. */

/**
 * Collects garbage as at a lack of memory, which takes some ten milliseconds: the room for new values shrinks too, which an ordinary collection leaves as it
 * is. Does nothing where the runtime has no such function.
 */
export async function giveBackMemory(): Promise<void> {
  try {
    const { Session } = await import('node:inspector/promises');
    const session = new Session();
    session.connect();
    await session.post('HeapProfiler.collectGarbage');
    session.disconnect();
  } catch {
    // Other runtimes decide for themselves.
  }
}
