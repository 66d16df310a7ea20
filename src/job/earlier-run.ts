/** What earlier runs have left of an output: a job to go on with, one that has ended, or nothing that counts. */
import { DISK, type Disk } from './disk.js';
import { ERRORS, errorsPath } from './errors-file.js';
import { checkSame, type Fingerprint } from './fingerprint.js';
import { Journal, journalPath } from './journal.js';
import { type Commit, type JournalText, lengthOf } from './journal-record.js';
import { PartialFile, partialPath, refuseExisting, showPartial } from './partial-file.js';

export interface LookOptions {
  /** Replace an output that is there already. */
  readonly force?: boolean;
  /** Start over, whatever an earlier run has left. */
  readonly forceNew?: boolean;
  /** What the job is, as far as it is known yet; `null` or absent for one that cannot be gone on with. Waited for only where there is an earlier one. */
  readonly fingerprint?: Fingerprint | null | Promise<Fingerprint | null>;
  readonly disk?: Disk;
}

export interface Found {
  /** The job to go on with, and how far it has come. */
  readonly earlier?: JournalText;
  /** The job has ended already. */
  readonly complete?: Commit;
}

/**
 * What lies there from earlier runs, made ready for this one; the caller holds the output's lock.
 * Throws TANDEM_OUTPUT_EXISTS, TANDEM_JOURNAL_MISMATCH, TANDEM_JOURNAL_DAMAGED, and the system's errors.
 */
export async function findEarlier(output: string, options: LookOptions): Promise<Found> {
  const { force = false, forceNew = false, disk = DISK } = options;
  if (forceNew) {
    await forget(output, await Journal.read(output, disk).catch(() => null), disk);
    return {};
  }
  const journal = await Journal.read(output, disk);
  const fingerprint = journal && ((await options.fingerprint) ?? null);
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
