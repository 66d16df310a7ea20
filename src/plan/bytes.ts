/** Bytes as people write them: 6GiB, 512MB. */
import { TandemError } from '../errors.js';

const UNITS: Record<string, number> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** Throws TANDEM_USAGE. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unit = match && UNITS[match[2]!.toUpperCase()];
  if (match && unit) return Math.floor(Number(match[1]) * unit);
  throw new TandemError('TANDEM_USAGE', `"${text}" is not an amount of memory`, {
    remedy: 'write it like 6GiB or 512MB',
  });
}
