/** The files that show a run: the report page, the trace and the record; refused before the run begins, written when it has ended. */
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { TandemError } from '../errors.js';
import { outputError } from '../job/output-error.js';
import { partialPath, refuseExisting } from '../job/partial-file.js';
import type { RunRecord } from '../report/record.js';

/** Paths, each for a file that is wanted. */
export interface ReportFiles {
  readonly report?: string;
  readonly trace?: string;
  readonly record?: string;
}

type Kind = keyof ReportFiles;

const MADE: { readonly [K in Kind]-?: (record: RunRecord) => Promise<string> } = {
  report: async (record) => (await import('../report/report-page.js')).reportPage(record),
  trace: async (record) => JSON.stringify((await import('../report/trace.js')).traceOf(record)),
  record: async (record) => `${JSON.stringify(record)}\n`,
};

/** Throws TANDEM_OUTPUT_EXISTS, TANDEM_OUTPUT_FAILED and TANDEM_USAGE, so that no run is lost for a file that cannot be. */
export async function checkReportFiles(
  files: ReportFiles,
  { force = false, taken }: { readonly force?: boolean; readonly taken: readonly string[] },
): Promise<void> {
  const others = new Set(taken.map((path) => resolve(path)));
  for (const [kind, path] of wanted(files)) {
    if (others.has(resolve(path))) {
      throw new TandemError('TANDEM_USAGE', `--${kind} ${path} names a file that the run uses already`, {
        remedy: `choose another name for --${kind}`,
      });
    }
    others.add(resolve(path));
    await checkPlace(path);
    if (!force) await refuseExisting(path);
  }
}

/** Throws TANDEM_OUTPUT_FAILED where there can be no file of that name, so that nobody waits for results that find no place. */
export async function checkPlace(path: string): Promise<void> {
  const folder = await stat(dirname(path)).catch((cause) => {
    throw outputError(path, cause);
  });
  if (!folder.isDirectory()) throw outputError(path, Object.assign(new Error('no folder'), { code: 'ENOTDIR' }));
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory()) throw outputError(path, Object.assign(new Error('a folder'), { code: 'EISDIR' }));
}

/** Throws TANDEM_OUTPUT_FAILED; a file has its name only once it is whole. */
export async function writeReportFiles(files: ReportFiles, record: RunRecord): Promise<void> {
  for (const [kind, path] of wanted(files)) {
    const text = await MADE[kind](record);
    try {
      await writeFile(partialPath(path), text);
      await rename(partialPath(path), path);
    } catch (cause) {
      await rm(partialPath(path), { force: true });
      throw outputError(path, cause);
    }
  }
}

function wanted(files: ReportFiles): [Kind, string][] {
  const kinds = Object.keys(MADE) as Kind[];
  return kinds.flatMap((kind): [Kind, string][] => (files[kind] === undefined ? [] : [[kind, files[kind]]]));
}
