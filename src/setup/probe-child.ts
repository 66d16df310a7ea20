/** Runs in a process of its own: has one engine try one provider, reports to its parent what it found, and ends. */
import { entryOf } from '../engine/choose.js';

const [, , engine, provider, packageFolder] = process.argv as [string, string, string, string, string?];
try {
  process.send!({ facts: await entryOf(engine).probe(provider, packageFolder) });
} catch (error) {
  const { message, remedy } = error as Error & { remedy?: string };
  process.send!({ fault: message, remedy });
}
process.disconnect();
