/** The loop of a job that generates texts: rows of the input through the decoder into a sink, in the order of the input. */
import { asTandemError, type TandemError } from '../../errors.js';
import type { RowsDone, Sink } from '../../output/sink.js';
import type { RecordSource, RecordsRead, RowRecord } from '../../rows/record-source.js';
import { RowFault } from '../../rows/row-fault.js';
import { inOrder, type RowFailure, type RowId } from '../../rows/source.js';
import type { RowPrompts } from '../../tasks/generate/row-prompts.js';
import type { Decoder, DecodeSummary, SequenceRequest } from '../../tasks/generate/sequence.js';
import type { Before, Progress } from '../job.js';
import { checkErrors, type MaxErrors } from '../max-errors.js';
import type { AnswerRow, AnswerRows } from './answer-rows.js';
import type { PreparedPrompts, RowSequence } from './prepare-row.js';

/** Rows that one read takes of the input. */
const ROWS_AT_ONCE = 16;
/** Rows that have been read and not been written, at most: a long answer holds back those behind it. */
const ROWS_AHEAD = 4096;

export interface GenerateRowsOptions {
  readonly decoder: Decoder;
  readonly records: RecordSource;
  readonly select: (record: RowRecord, batchLine: boolean) => RowPrompts;
  readonly prepare: (row: RowPrompts, index: number) => Promise<PreparedPrompts>;
  readonly answers: AnswerRows;
  readonly sink: Sink;
  readonly before: Before;
  readonly maxErrors?: MaxErrors | undefined;
  /** When it fires, the run ends: what has been written stays, answers that are being made are made anew. */
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: Progress, tokens: number) => void) | undefined;
  readonly onFailures?: ((failures: readonly RowFailure[]) => void) | undefined;
}

export interface GeneratedRows extends Progress {
  readonly stopped: boolean;
  readonly decoded: DecodeSummary | null;
  readonly promptTokens: number;
  readonly newTokens: number;
  /** Rows in whose texts half of a surrogate pair was replaced. */
  readonly illFormed: number;
}

/** Throws what the input, the decoder or the sink throws; the sink has then been abandoned. */
export async function generateRows(options: GenerateRowsOptions): Promise<GeneratedRows> {
  const run = new GenerateRun(options);
  try {
    const decoded = await run.decode();
    await options.sink.finish();
    return { ...run.result(), stopped: false, decoded };
  } catch (error) {
    await run.settle();
    await options.sink.abandon();
    if (options.signal.aborted) return { ...run.result(), stopped: true, decoded: null };
    throw asTandemError(run.failure ?? error);
  }
}

class GenerateRun {
  readonly #options: GenerateRowsOptions;
  readonly #startedAt = performance.now();
  /** Ends the decoder when a row cannot be written. */
  readonly #end = new AbortController();
  /** By the number of the sequence. */
  readonly #sequences = new Map<number, { readonly row: AnswerRow; readonly sequence: RowSequence }>();
  #progress: Progress;
  #counts = { promptTokens: 0, newTokens: 0, illFormed: 0 };
  #writing: Promise<void> | null = null;
  #wake = () => {};
  failure: unknown;

  constructor(options: GenerateRowsOptions) {
    this.#options = options;
    const { before } = options;
    this.#progress = { ...before, rowsBefore: before.rows, microBatches: 0, seconds: 0 };
    for (const signal of [options.signal, this.#end.signal]) signal.addEventListener('abort', () => this.#wake());
  }

  async decode(): Promise<DecodeSummary> {
    const { decoder, signal, maxErrors } = this.#options;
    const decoded = await decoder.run(
      this.#requests(),
      (_, { finish: __ }) => {
        this.#counts.newTokens += 1;
        this.#options.onProgress?.({ ...this.#progress, seconds: this.#seconds() }, this.#counts.newTokens);
      },
      (number, error) => this.#ended(number, error),
      AbortSignal.any([signal, this.#end.signal]),
    );
    signal.throwIfAborted();
    await this.settle();
    if (this.failure !== undefined) throw this.failure;
    const rest = this.#options.answers.take(true);
    if (rest) await this.#write(rest);
    checkErrors(maxErrors, this.#progress, true);
    return decoded;
  }

  /** Waits for rows that are being written. */
  async settle(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  result() {
    return { ...this.#progress, ...this.#counts, seconds: this.#seconds() };
  }

  #seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  async *#requests(): AsyncGenerator<SequenceRequest> {
    const { records, answers, before } = this.#options;
    let [index, number] = [before.rows, 0];
    for (;;) {
      while (answers.size >= ROWS_AHEAD) await this.#roomMade();
      const read = await this.#read(records);
      if (read === null || read.rows === 0) return;
      for (const row of rowsOf(read, index)) {
        const entry = await this.#begin(row);
        answers.add(entry);
        for (const sequence of entry.prepared?.sequences ?? []) {
          this.#sequences.set(number, { row: entry, sequence });
          yield { row: number, ...sequence };
          number += 1;
        }
      }
      index += read.rows;
      this.#drain();
    }
  }

  /** A terminal or a pipe may wait for ever. */
  async #read(records: RecordSource): Promise<RecordsRead | null> {
    const { signal } = this.#options;
    let stop = () => {};
    const stopped = new Promise<null>((resolve) => {
      stop = () => resolve(null);
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
    });
    return Promise.race([records.read(ROWS_AT_ONCE), stopped]).finally(() => signal.removeEventListener('abort', stop));
  }

  async #begin({ index, id, batchLine, record, failure }: ReadRow): Promise<AnswerRow> {
    const plain = { index, id, batchLine, answer: 'plain' as const, prepared: null, failure, left: 0 };
    if (record === null) return plain;
    try {
      const row = this.#options.select(record, batchLine);
      const prepared = await this.#options.prepare(row, index);
      this.#counts.promptTokens += prepared.promptTokens;
      if (prepared.wasIllFormed) this.#counts.illFormed += 1;
      const { answer, model } = row;
      return { ...plain, answer, model, prepared, left: prepared.sequences.length };
    } catch (error) {
      if (!(error instanceof RowFault)) throw error;
      return { ...plain, failure: error.at(index, id, batchLine) };
    }
  }

  #ended(number: number, error: TandemError | null): void {
    const { row, sequence } = this.#sequences.get(number)!;
    this.#sequences.delete(number);
    this.#options.answers.ended(row, error ?? sequence.sampler.failure);
    this.#drain();
  }

  async #roomMade(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#options.signal.throwIfAborted();
    this.#end.signal.throwIfAborted();
  }

  /** Writes what has ended, one part after another. */
  #drain(): void {
    this.#writing ??= this.#writeAll()
      .catch((error: unknown) => {
        this.failure ??= error;
        this.#end.abort(error);
      })
      .finally(() => {
        this.#writing = null;
      });
  }

  async #writeAll(): Promise<void> {
    // Rows that end while others are written are taken by the next turn.
    for (let done = this.#options.answers.take(false); done; done = this.#options.answers.take(false)) {
      if (this.#options.signal.aborted) return;
      await this.#write(done);
    }
  }

  async #write(done: RowsDone): Promise<void> {
    const { sink, maxErrors, onFailures } = this.#options;
    await sink.write(done);
    const failures = inOrder(done.failures, done.failed);
    this.#progress = {
      ...this.#progress,
      rows: this.#progress.rows + done.rows,
      failedRows: this.#progress.failedRows + failures.length,
      microBatches: this.#progress.microBatches + 1,
      seconds: this.#seconds(),
    };
    this.#wake();
    if (failures.length > 0) onFailures?.(failures);
    checkErrors(maxErrors, this.#progress, false);
  }
}

interface ReadRow {
  readonly index: number;
  readonly id: RowId;
  readonly batchLine: boolean;
  readonly record: RowRecord | null;
  readonly failure: RowFailure | null;
}

function rowsOf({ rows, records, failures, ids, batchLines }: RecordsRead, firstRow: number): ReadRow[] {
  const failed = new Map(failures.map((failure) => [failure.index, failure]));
  const good = records.values();
  return Array.from({ length: rows }, (_, n) => {
    const index = firstRow + n;
    const failure = failed.get(index) ?? null;
    const record = failure ? null : good.next().value!;
    return { index, id: ids[n] ?? index, batchLine: batchLines.has(n), record, failure };
  });
}
