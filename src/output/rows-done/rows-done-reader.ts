/** Reads the results of a shard as they were written, one micro-batch or window after the other, and hashes what it reads. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { deserialize } from 'node:v8';
import { TandemError } from '../../errors.js';
import type { RowsDone } from '../sink.js';
import { LENGTH_BYTES } from './rows-done-writer.js';

/** What the file must be; else TANDEM_SHARDS_DAMAGED. */
export interface Expected {
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
}

/**
 * The rows in order. Memory is bounded by the largest micro-batch or window. Throws TANDEM_SHARDS_DAMAGED, at the latest after the last rows, for
 * a file that is not as it was committed, and the system's errors. `where` is its name in messages.
 */
export async function* readRowsDone(path: string, where: string, expected: Expected): AsyncGenerator<RowsDone> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (size !== expected.bytes) throw damaged(where, `has ${size} bytes, and ${expected.bytes} were committed`);
    const hash = createHash('sha256');
    for (let at = 0; at < size; ) {
      const head = await readAt(file, at, LENGTH_BYTES, where);
      const length = head.readUIntLE(0, LENGTH_BYTES);
      if (at + LENGTH_BYTES + length > size) throw damaged(where, 'ends inside a micro-batch');
      const body = await readAt(file, at + LENGTH_BYTES, length, where);
      hash.update(head).update(body);
      at += LENGTH_BYTES + length;
      yield rowsOf(body, where);
    }
    if (hash.digest('hex') !== expected.sha256) throw damaged(where, 'has other bytes than were committed');
  } finally {
    await file.close();
  }
}

type Handle = Awaited<ReturnType<typeof open>>;

async function readAt(file: Handle, at: number, length: number, where: string): Promise<Buffer> {
  const into = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(into, done, length - done, at + done);
    if (bytesRead === 0) throw damaged(where, 'became shorter while it was read');
    done += bytesRead;
  }
  return into;
}

function rowsOf(body: Buffer, where: string): RowsDone {
  let value: unknown;
  try {
    value = deserialize(body);
  } catch {
    value = null;
  }
  const rows = value as Partial<RowsDone> | null;
  if (typeof rows?.firstRow === 'number' && rows.outputs instanceof Map) return rows as RowsDone;
  throw damaged(where, 'holds no rows');
}

function damaged(where: string, what: string): TandemError {
  return new TandemError('TANDEM_SHARDS_DAMAGED', `the results of a shard, ${where}: the file ${what}`, {
    remedy: 'remove the commit of this shard and its results from the store, and run the shard again',
  });
}
