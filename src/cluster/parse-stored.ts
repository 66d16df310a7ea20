/** Parses a JSON object of the store by its schema. */
import { z } from 'zod';
import { TandemError } from '../errors.js';

/** What a damaged object is called, after where it lies, and what to do. */
export interface Damage {
  readonly what: string;
  readonly remedy: string;
}

/** Throws TANDEM_SHARDS_DAMAGED. */
export function parseStored<T>(schema: z.ZodType<T>, bytes: Uint8Array, where: string, { what, remedy }: Damage): T {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    value = null;
  }
  const { data, error } = schema.safeParse(value);
  if (!error) return data;
  const why = z.prettifyError(error).split('\n')[0];
  throw new TandemError('TANDEM_SHARDS_DAMAGED', `${where} ${what}: ${why}`, { remedy });
}
