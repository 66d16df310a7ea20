/** Finds the state of an output after earlier runs: a job to resume, a finished job, or nothing. */
import { DISK, type Disk } from './disk.js';
import { ERRORS, errorsPath } from './errors-file.js';
import { checkSame, type Fingerprint } from './fingerprint.js';
import { Journal, journalPath } from './journal.js';
import { type Commit, type JournalText, lengthOf } from './journal-record.js';
import type { OutputLock } from './lock.js';
import { PartialFile, partialPath, publishPartial, refuseExisting } from './partial-file.js';

export interface EarlierRunOptions {
  /** Replace an existing output. */
  readonly force?: boolean;
  /** Start over and discard the state of an earlier run. */
  readonly forceNew?: boolean;
  /** The job's fingerprint before loading; `null` or absent for a job that cannot be resumed. It is awaited only if there is an earlier run. */
  readonly fingerprint?: Fingerprint | null | Promise<Fingerprint | null>;
  readonly disk?: Disk;
}

export interface EarlierRun {
  /** The job to resume and its progress. */
  readonly earlier?: JournalText;
  /** The last commit of a job that has already finished. */
  readonly complete?: Commit;
}

/**
 * Reads the state of earlier runs and prepares it for this run. The caller holds the output's lock.
 * Throws TANDEM_OUTPUT_EXISTS, TANDEM_JOURNAL_MISMATCH, TANDEM_JOURNAL_DAMAGED, and the system's errors.
 */
export async function findEarlier(output: string, lock: OutputLock, options: EarlierRunOptions): Promise<EarlierRun> {
  const { force = false, forceNew = false, disk = DISK } = options;
  if (forceNew) {
    await forget(output, await Journal.read(output, disk).catch(() => null), disk);
    return {};
  }
  const journal = await Journal.read(output, disk);
  const fingerprint = journal && ((await options.fingerprint) ?? null);
  await lock.check();
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

/** Finishes a job whose files are all complete: renames them to their final names. */
async function complete(output: string, { begin, bytes }: JournalText, commit: Commit, disk: Disk): Promise<Commit> {
  const isNamed = async (path: string) => (await disk.sizeOf(partialPath(path))) === null;
  if (!(ERRORS in commit.files)) await disk.remove(errorsPath(output));
  else if (!(await isNamed(errorsPath(output)))) await publishPartial(errorsPath(output), { replace: true, disk });
  if (!(await isNamed(output))) {
    const file = await PartialFile.reopen(output, commit.files['']!, { disk });
    await file.publish({ replace: true });
  }
  const { members = [], moved = 0 } = commit.state;
  for (let n = 0; n < Math.max(members.length, moved); n++) await disk.remove(partialPath(`${output}.${n}`));
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

/** Removes the unfinished files of an earlier run, but not a finished output. */
async function forget(output: string, journal: JournalText | null, disk: Disk): Promise<void> {
  await disk.remove(journalPath(output));
  for (const suffix of Object.keys(journal?.commit?.files ?? {})) await disk.remove(partialPath(`${output}${suffix}`));
}
