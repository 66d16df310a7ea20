/** The report page, the trace and the record of a run: their paths are checked before the run, the files are written after it. */
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { TandemError } from '../errors.js';
import { outputError } from '../output/error.js';
import { partialPath, refuseExisting } from '../output/partial-file.js';
import type { RunRecord } from '../report/record.js';

/** Paths of the requested files. */
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

/** Throws TANDEM_OUTPUT_EXISTS, TANDEM_OUTPUT_FAILED and TANDEM_USAGE before the run, so that no run is lost because of such a file. */
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

/** Throws TANDEM_OUTPUT_FAILED before the work if no file of that name can be written. */
export async function checkPlace(path: string): Promise<void> {
  const folder = await stat(dirname(path)).catch((cause) => {
    throw outputError(path, cause);
  });
  if (!folder.isDirectory()) throw outputError(path, Object.assign(new Error('no folder'), { code: 'ENOTDIR' }));
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory()) throw outputError(path, Object.assign(new Error('a folder'), { code: 'EISDIR' }));
  if (found && !found.isFile()) {
    throw new TandemError('TANDEM_OUTPUT_FAILED', `${path} is a device or a pipe, which is never replaced`, {
      remedy: 'name a file',
    });
  }
}

/** Throws TANDEM_OUTPUT_FAILED; a file gets its name only when it is complete. */
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
