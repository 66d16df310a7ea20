/** The preparers by name: what a rows worker can load. Each is imported only by the workers that need it. */
import { TandemError } from '../errors.js';
import type { Preparer, PreparerSpec } from './task.js';

type Open = (options: never) => Promise<Preparer>;

const PREPARERS: Readonly<Record<string, () => Promise<Open>>> = {
  texts: async () => (await import('./texts/text-preparer.js')).openTextPreparer,
  images: async () => (await import('./images/image-preparer.js')).openPreparer,
};

/**
 * Opens the preparer that `spec` names. `name` may also be the URL of a module (`file:…`) that exports `openPreparer`.
 * Throws TANDEM_INTERNAL for a name that is not there, and what the preparer throws.
 */
export async function openPreparer({ name, options }: PreparerSpec): Promise<Preparer> {
  if (name.startsWith('file:')) {
    const { openPreparer: open } = (await import(name)) as { openPreparer: Open };
    return open(options as never);
  }
  const load = PREPARERS[name];
  if (!load) throw new TandemError('TANDEM_INTERNAL', `there is no preparer "${name}"`);
  return (await load())(options as never);
}
