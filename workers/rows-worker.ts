/** The program of a rows worker: prepares records (tokenises texts, decodes images) for the stages, in a thread of its own. */
import { setPriority } from 'node:os';
import { threadId, workerData } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { toWire, type WireError } from '../src/errors.js';
import { micros } from '../src/pool/protocol.js';
import type { PreparingSpan } from '../src/rows/preparing.js';
import { RowFault } from '../src/rows/row-fault.js';
import { type PackedRows, RowsPacker } from '../src/tasks/packed-rows.js';
import { openPreparer } from '../src/tasks/preparers.js';
import type { Preparer, PreparerSpec } from '../src/tasks/task.js';

/** Above 0: other threads are preferred. */
const NICE = 5;

/** What a call returns: the rows, or why this worker cannot prepare any. */
export type RowsReply = { readonly ok: PackedRows; readonly span: PreparingSpan } | { readonly error: WireError };

// Stages come first where cores are scarce. On Linux a thread has a priority of its own; elsewhere it would be that of the whole process.
if (process.platform === 'linux') setPriority(0, NICE);

// A failure is reported by the first call.
const opening: Promise<Preparer> = openPreparer((workerData as { preparer: PreparerSpec }).preparer);
opening.catch(() => {});

export default async function prepareRows(selected: readonly unknown[]): Promise<unknown> {
  let preparer: Preparer;
  try {
    preparer = await opening;
  } catch (error) {
    return { error: toWire(error) } satisfies RowsReply;
  }
  const startedAt = micros();
  const packer = new RowsPacker();
  for (const each of selected) {
    try {
      packer.add(await preparer.prepare(each));
    } catch (error) {
      if (!(error instanceof RowFault)) throw error;
      packer.add({ fault: { code: error.code, message: error.message } });
    }
  }
  const packed = packer.packed();
  return moved(packed, { thread: threadId, rows: selected.length, startedAt, finishedAt: micros() });
}

function moved(packed: PackedRows, span: PreparingSpan): unknown {
  return move({
    get [transferableSymbol]() {
      return [packed.buffer];
    },
    get [valueSymbol]() {
      return { ok: packed, span } satisfies RowsReply;
    },
  } as unknown as ArrayBuffer);
}
