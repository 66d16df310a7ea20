/** The claim on an output: takes its lock and finds the state of an earlier run, before anything heavy is loaded. */
import type { TakeOptions } from '../lock/lock-file.js';
import type { Plan } from '../plan/plan.js';
import type { OutputFormat } from '../rows/format.js';
import { outputFormatOf } from '../rows/format-of-path.js';
import { Commits, type Pace } from './commits.js';
import { CsvWriter } from './csv/csv-writer.js';
import { DISK } from './disk.js';
import { type EarlierRun, type EarlierRunOptions, findEarlier } from './earlier-run.js';
import { outputError } from './error.js';
import { ErrorsFile } from './errors-file.js';
import { OutputFiles } from './files.js';
import { checkSame, type Fingerprint } from './fingerprint.js';
import { Journal } from './journal.js';
import type { BeginRecord, Commit, JournalText } from './journal-record.js';
import { OutputSink } from './journalled-sink.js';
import { JsonlWriter } from './json/jsonl-writer.js';
import { OutputLock } from './lock.js';
import { NpyWriter, oneArrayOnly } from './npy/npy-writer.js';
import { NpzWriter } from './npz/npz-writer.js';
import { checkOutputPath } from './output-path.js';
import type { PartialFile } from './partial-file.js';
import { RowsDoneWriter } from './rows-done/rows-done-writer.js';
import type { RowsWriter } from './rows-writer.js';
import type { Sink } from './sink.js';

export interface ClaimOptions extends EarlierRunOptions, Pick<TakeOptions, 'onWait' | 'signal'> {
  /** Overrides the format by extension. */
  readonly format?: string;
  /** Names of the model's outputs, so that a format that cannot hold them is refused before the first rows. */
  readonly outputs?: readonly string[];
  /** Files that the job reads; an output that would replace one is refused. */
  readonly inputs?: readonly string[];
  readonly pace?: Pace;
  /** Write the rows as they came out, for a merge, instead of the format, which must be able to hold them. */
  readonly asRows?: boolean | undefined;
}

/** The facts of a loaded job that begin its journal. */
export interface Loaded {
  readonly fingerprint: Fingerprint;
  readonly plan: Plan;
  readonly request: unknown;
  readonly total: number | null;
}

export class OutputClaim {
  /** The job to resume and its progress; `null` for a new job. */
  readonly earlier: JournalText | null;
  /** The last commit of a job that has already finished; then the caller only releases the claim. */
  readonly complete: Commit | null;
  readonly #output: string;
  readonly #lock: OutputLock;
  readonly #options: ClaimOptions;

  private constructor(output: string, lock: OutputLock, options: ClaimOptions, found: EarlierRun) {
    this.#output = output;
    this.#lock = lock;
    this.#options = options;
    this.earlier = found.earlier ?? null;
    this.complete = found.complete ?? null;
  }

  /**
   * Throws TANDEM_OUTPUT_EXISTS, TANDEM_OUTPUT_FAILED, TANDEM_OUTPUT_UNSUPPORTED, TANDEM_USAGE, TANDEM_JOURNAL_MISMATCH,
   * TANDEM_JOURNAL_DAMAGED. Nothing is changed if it throws.
   */
  static async take(output: string, options: ClaimOptions = {}): Promise<OutputClaim> {
    const format = outputFormatOf(output, options.format);
    if (format === 'npy' && (options.outputs?.length ?? 1) > 1) throw oneArrayOnly(options.outputs!);
    await checkOutputPath(output, options.inputs);
    const lock = await OutputLock.take(output, options);
    try {
      return new OutputClaim(output, lock, options, await findEarlier(output, lock, options));
    } catch (error) {
      await lock.release();
      throw outputError(output, error);
    }
  }

  /** Opens the files, new or as the earlier run left them. The sink owns the claim from now on. Throws as `take` does. */
  async open(job: Loaded | null = null): Promise<Sink> {
    const { force = false, forceNew = false, disk = DISK, pace } = this.#options;
    const output = this.#output;
    try {
      // Planning and loading may have taken longer than the lease.
      await this.#lock.confirm();
      if (this.earlier && job) checkSame(output, this.earlier.begin.fingerprint, job.fingerprint);
      const commit = this.earlier?.commit ?? null;
      const files = new OutputFiles(output, { left: commit?.files, disk });
      const errors = await ErrorsFile.open(files);
      const keep = { now: async () => {} };
      const { asRows, format } = this.#options;
      const { writer, partial } = asRows
        ? await openRowsDoneWriter(files)
        : await openWriter(outputFormatOf(output, format), files, keep, commit);
      const begin = this.earlier?.begin ?? (job && beginRecordOf(job));
      const file = this.earlier
        ? await Journal.reopen(output, this.earlier, disk)
        : begin && (await Journal.create(output, begin, disk));
      const commits = file && new Commits({ journal: file, files, lock: this.#lock, rows: commit?.rows ?? 0, pace });
      const sink = new OutputSink({
        writer,
        file: {
          ...{ files, partial, errors },
          lock: this.#lock,
          replace: force || forceNew,
          ...(commit && { before: commit }),
          ...(file && commits && begin && { journal: { begin, file, commits } }),
        },
      });
      if (commits) {
        keep.now = async () => {
          await commits.flush(sink.progress());
        };
      }
      return sink;
    } catch (error) {
      await this.release();
      throw outputError(output, error);
    }
  }

  async release(): Promise<void> {
    await this.#lock.release();
  }
}

function beginRecordOf({ fingerprint, request, plan, total }: Loaded): BeginRecord {
  return { kind: 'begin', fingerprint, request, plan, total, at: Date.now() };
}

async function openRowsDoneWriter(files: OutputFiles): Promise<{ writer: RowsWriter; partial: PartialFile }> {
  const partial = await files.open('');
  return { writer: new RowsDoneWriter(partial), partial };
}

async function openWriter(
  format: OutputFormat,
  files: OutputFiles,
  keep: { readonly now: () => Promise<void> },
  commit: Commit | null,
): Promise<{ writer: RowsWriter; partial: PartialFile }> {
  const earlier = commit ?? undefined;
  const partial = await files.open('');
  switch (format) {
    case 'jsonl':
      return { writer: new JsonlWriter(partial), partial };
    case 'csv':
    case 'tsv':
      return { writer: new CsvWriter(partial, format === 'csv' ? ',' : '\t', earlier), partial };
    case 'parquet':
    case 'arrow': {
      const { TableWriter } = await import('./arrow/table-writer.js');
      return { writer: await TableWriter.open(format, files, partial, () => keep.now(), earlier), partial };
    }
    case 'npy':
      return { writer: NpyWriter.toFile(partial, earlier), partial };
    case 'npz':
      return { writer: await NpzWriter.open(files, partial, () => keep.now(), earlier), partial };
    case 'safetensors': {
      const { SafetensorsWriter } = await import('./safetensors/safetensors-writer.js');
      return { writer: await SafetensorsWriter.open(files, partial, () => keep.now(), earlier), partial };
    }
  }
}
