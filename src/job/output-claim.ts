/** The claim on an output: who writes it, and what an earlier run has left of it, settled before anything heavy is loaded. */
import type { LockFile } from '../lock-file.js';
import type { Plan } from '../plan/plan.js';
import { Commits, type Pace } from './commits.js';
import { DISK } from './disk.js';
import { type Found, findEarlier, type LookOptions } from './earlier-run.js';
import { ErrorsFile } from './errors-file.js';
import { checkSame, type Fingerprint } from './fingerprint.js';
import { type Format, formatOf } from './format.js';
import { JsonlWriter } from './formats/jsonl-writer.js';
import { NpyWriter, oneArrayOnly } from './formats/npy-writer.js';
import { NpzWriter } from './formats/npz-writer.js';
import type { RowsWriter } from './formats/rows-writer.js';
import { Journal } from './journal.js';
import type { Beginning, Commit, JournalText } from './journal-record.js';
import { outputError } from './output-error.js';
import { OutputFiles } from './output-files.js';
import { lockOutput } from './output-lock.js';
import { checkPlace } from './output-place.js';
import { OutputSink } from './output-sink.js';
import type { PartialFile } from './partial-file.js';
import type { Sink } from './sink.js';

export interface ClaimOptions extends LookOptions {
  /** Overrides what the file's extension says. */
  readonly format?: string;
  /** The model's outputs, so that a format without place for them is refused at once and not after the first rows. */
  readonly outputs?: readonly string[];
  /** Files that the job reads; an output that would replace one is refused. */
  readonly inputs?: readonly string[];
  readonly pace?: Pace;
}

/** What a job is, once it is loaded: what its journal begins with. */
export interface Loaded {
  readonly fingerprint: Fingerprint;
  readonly plan: Plan;
  readonly request: unknown;
  readonly total: number | null;
}

export class OutputClaim {
  /** The job to go on with, and how far it has come; `null` for a new one. */
  readonly earlier: JournalText | null;
  /** The job has ended already: there is nothing left to do but release the claim. */
  readonly complete: Commit | null;
  readonly #output: string;
  readonly #lock: LockFile;
  readonly #options: ClaimOptions;

  private constructor(output: string, lock: LockFile, options: ClaimOptions, found: Found) {
    this.#output = output;
    this.#lock = lock;
    this.#options = options;
    this.earlier = found.earlier ?? null;
    this.complete = found.complete ?? null;
  }

  /**
   * Throws TANDEM_OUTPUT_EXISTS, TANDEM_OUTPUT_FAILED, TANDEM_OUTPUT_UNSUPPORTED, TANDEM_USAGE, TANDEM_JOURNAL_MISMATCH,
   * TANDEM_JOURNAL_DAMAGED; nothing is changed then.
   */
  static async take(output: string, options: ClaimOptions = {}): Promise<OutputClaim> {
    const format = formatOf(output, options.format);
    if (format === 'npy' && (options.outputs?.length ?? 1) > 1) throw oneArrayOnly(options.outputs!);
    await checkPlace(output, options.inputs);
    const lock = await lockOutput(output);
    try {
      return new OutputClaim(output, lock, options, await findEarlier(output, options));
    } catch (error) {
      await lock.release();
      throw outputError(output, error);
    }
  }

  /** Opens the files, as they were left or new. The claim is the sink's from now on. Errors as of `take`. */
  async open(job: Loaded | null = null): Promise<Sink> {
    const { force = false, forceNew = false, disk = DISK, pace } = this.#options;
    const output = this.#output;
    try {
      if (this.earlier && job) checkSame(output, this.earlier.begin.fingerprint, job.fingerprint);
      const commit = this.earlier?.commit ?? null;
      const files = new OutputFiles(output, { left: commit?.files, disk });
      const errors = await ErrorsFile.open(files);
      const keep = { now: async () => {} };
      const { writer, partial } = await openWriter(formatOf(output, this.#options.format), files, keep, commit);
      const begin = this.earlier?.begin ?? (job && beginningOf(job));
      const file = this.earlier
        ? await Journal.reopen(output, this.earlier, disk)
        : begin && (await Journal.create(output, begin, disk));
      const commits = file && new Commits(file, files, commit?.rows ?? 0, pace);
      const sink = new OutputSink({
        writer,
        file: {
          ...{ files, partial, errors },
          lock: this.#lock,
          replace: force || forceNew,
          failedRows: commit?.failedRows ?? 0,
          ...(file && commits && begin && { journal: { begin, file, commits } }),
        },
      });
      if (commits) {
        keep.now = async () => {
          await commits.flush(sink.standing());
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

function beginningOf({ fingerprint, request, plan, total }: Loaded): Beginning {
  return { kind: 'begin', fingerprint, request, plan, total, at: Date.now() };
}

async function openWriter(
  format: Format,
  files: OutputFiles,
  keep: { readonly now: () => Promise<void> },
  commit: Commit | null,
): Promise<{ writer: RowsWriter; partial: PartialFile }> {
  const earlier = commit ?? undefined;
  const partial = await files.open('');
  switch (format) {
    case 'jsonl':
      return { writer: new JsonlWriter(partial), partial };
    case 'npy':
      return { writer: NpyWriter.toFile(partial, earlier), partial };
    case 'npz':
      return { writer: await NpzWriter.open(files, partial, () => keep.now(), earlier), partial };
  }
}
