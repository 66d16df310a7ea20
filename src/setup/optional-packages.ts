/** All optional packages that `tandem setup` brings by a name: those of kinds of rows, and those that join several machines. */
import { packageFolder } from '../engine/package-build.js';
import { PEERS } from '../package.js';
import { missingRowPackages, ROW_PACKAGES } from '../rows/row-packages.js';

const QUEUE = ['bullmq', 'ioredis', 'aws4fetch'] as const;

/** By the name that `tandem setup` takes. */
export const OPTIONAL_PACKAGES: Readonly<Record<string, readonly string[]>> = { ...ROW_PACKAGES, queue: QUEUE };

/** What is not here of them, as an installer takes it; `null` for another name. */
export function missingOptionalPackages(name: string): string[] | null {
  if (name !== 'queue') return missingRowPackages(name);
  return QUEUE.filter((each) => packageFolder(each) === null).map((each) => `${each}@${PEERS[each]}`);
}
