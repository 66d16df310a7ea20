/** Loads sharp, the package that decodes images: optional, and only where images are rows. */
import { rowPackagesError } from '../row-packages.js';

export type Sharp = typeof import('sharp').default;

/**
 * One thread for each call, and nothing kept between calls: the number of workers bounds both. Throws TANDEM_PACKAGE_MISSING.
 */
export async function loadSharp(): Promise<Sharp> {
  let sharp: Sharp;
  try {
    sharp = (await import('sharp')).default;
  } catch (cause) {
    throw rowPackagesError('images', cause);
  }
  sharp.concurrency(1);
  sharp.cache(false);
  return sharp;
}
