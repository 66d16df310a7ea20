/** Reads the JSON files of a model folder, and keeps which of them were there. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { TandemError } from '../../errors.js';
import { schemaIssue } from './schema-issue.js';

export class SettingsFiles {
  readonly folder: string;
  /** Paths of those that were read, for the fingerprint of a job. */
  readonly read: string[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  /** The file as `schema` sees it; `null` if it is not there. Throws TANDEM_MODEL_INVALID. */
  async json<T>(name: string, schema: z.ZodType<T>): Promise<T | null> {
    const bytes = await this.bytes(name);
    if (bytes === null) return null;
    const file = join(this.folder, name);
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString('utf8').replace(/^\ufeff/, ''));
    } catch (cause) {
      throw new TandemError('TANDEM_MODEL_INVALID', `${file} is not JSON: ${(cause as Error).message}`, { cause });
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw new TandemError('TANDEM_MODEL_INVALID', `${file}: ${schemaIssue(parsed.error)}`, {
      remedy: 'copy the file again from where the model came from',
    });
  }

  /** The whole file; `null` if it is not there. Throws TANDEM_MODEL_INVALID. */
  async bytes(name: string): Promise<Buffer | null> {
    const file = join(this.folder, name);
    try {
      const bytes = await readFile(file);
      if (!this.read.includes(file)) this.read.push(file);
      return bytes;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw new TandemError('TANDEM_MODEL_INVALID', `${file} cannot be read: ${(cause as Error).message}`, { cause });
    }
  }
}
