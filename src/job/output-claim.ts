/** The claim on an output: who writes it, and what an earlier run has left of it, settled before anything heavy is loaded. */
import type { LockFile } from '../lock-file.js';
import type { Plan } from '../plan/plan.js';
import { Commits, type Pace } from './commits.js';
import { DISK, type Disk } from './disk.js';
import { ERRORS, ErrorsFile, errorsPath } from './errors-file.js';
import { checkSame, type Fingerprint } from './fingerprint.js';
import { type Format, formatOf } from './format.js';
import { JsonlWriter } from './formats/jsonl-writer.js';
import { NpyWriter, oneArrayOnly } from './formats/npy-writer.js';
import { NpzWriter } from './formats/npz-writer.js';
import type { RowsWriter } from './formats/rows-writer.js';
import { Journal, journalPath } from './journal.js';
import { type Beginning, type Commit, type JournalText, lengthOf } from './journal-record.js';
import { outputError } from './output-error.js';
import { OutputFiles } from './output-files.js';
import { lockOutput } from './output-lock.js';
import { checkPlace } from './output-place.js';
import { OutputSink } from './output-sink.js';
import { PartialFile, partialPath, refuseExisting, showPartial } from './partial-file.js';
import type { Sink } from './sink.js';

export interface ClaimOptions {
  /** Overrides what the file's extension says. */
  readonly format?: string;
  /** Replace an output that is there already. */
  readonly force?: boolean;
  /** Start over, whatever an earlier run has left. */
  readonly forceNew?: boolean;
  /** The model's outputs, so that a format without place for them is refused at once and not after the first rows. */
  readonly outputs?: readonly string[];
  /** Files that the job reads; an output that would replace one is refused. */
  readonly inputs?: readonly string[];
  /** What the job is, as far as it is known yet; `null` or absent for one that cannot be gone on with. */
  readonly fingerprint?: Fingerprint | null;
  readonly disk?: Disk;
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
      return new OutputClaim(output, lock, options, await lookAt(output, options));
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
          ...{
            files,
            partial,
            errors,
            lock: this.#lock,
            replace: force || forceNew,
            failedRows: commit?.failedRows ?? 0,
          },
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

interface Found {
  readonly earlier?: JournalText;
  readonly complete?: Commit;
}

/** What lies there from earlier runs, made ready for this one. */
async function lookAt(output: string, options: ClaimOptions): Promise<Found> {
  const { force = false, forceNew = false, fingerprint = null, disk = DISK } = options;
  if (forceNew) {
    await forget(output, await Journal.read(output, disk).catch(() => null), disk);
    return {};
  }
  const journal = await Journal.read(output, disk);
  const commit = journal?.commit ?? null;
  const isNamed = commit?.sealed && (await disk.sizeOf(partialPath(output))) === null;
  if (
    isNamed &&
    !force &&
    (await disk.sizeOf(output)) === commit.files['']?.bytes &&
    isSame(output, journal!.begin.fingerprint, fingerprint)
  ) {
    return { complete: await complete(output, journal!, commit, disk) };
  }
  if (!force) await refuseExisting(output, disk);
  if (journal === null) return {};
  if (isNamed) {
    await forget(output, journal, disk);
    return {};
  }
  checkSame(output, journal.begin.fingerprint, fingerprint);
  return commit?.sealed ? { complete: await complete(output, journal, commit, disk) } : { earlier: journal };
}

/** Does what is left to do when all files are whole: gives them their names. */
async function complete(output: string, { begin, bytes }: JournalText, commit: Commit, disk: Disk): Promise<Commit> {
  const isNamed = async (path: string) => (await disk.sizeOf(partialPath(path))) === null;
  if (!(ERRORS in commit.files)) await disk.remove(errorsPath(output));
  else if (!(await isNamed(errorsPath(output)))) await showPartial(errorsPath(output), { replace: true, disk });
  if (!(await isNamed(output))) {
    const file = await PartialFile.reopen(output, commit.files['']!, { disk });
    await file.show({ replace: true });
  }
  for (const n of commit.state.members?.keys() ?? []) await disk.remove(partialPath(`${output}.${n}`));
  if (bytes > lengthOf(begin, commit)) await Journal.shorten(output, begin, commit, disk);
  return commit;
}

function isSame(output: string, before: Fingerprint, now: Fingerprint | null): boolean {
  try {
    checkSame(output, before, now);
    return true;
  } catch {
    return false;
  }
}

/** Takes away what an earlier run has left, but not what it has finished. */
async function forget(output: string, journal: JournalText | null, disk: Disk): Promise<void> {
  await disk.remove(journalPath(output));
  for (const suffix of Object.keys(journal?.commit?.files ?? {})) await disk.remove(partialPath(`${output}${suffix}`));
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
