/** `tandem report`: draws the report of a run or a bench again, from its JSON or from another report page. */
import { Command } from 'commander';
import { TandemError } from '../errors.js';
import { checkReportFiles, type ReportFiles, writeReportFiles } from '../job/report-files.js';
import type { RunRecord } from '../report/record.js';
import { readTextFile } from '../text-file.js';
import { benchRecord } from './bench-record.js';

interface ReportFlags {
  readonly output?: string;
  readonly trace?: string;
  readonly record?: string;
  readonly force?: boolean;
}

export function reportCommand(): Command {
  return new Command('report')
    .description('draw the report of a run or a bench again, from its JSON or from another report')
    .argument('<file>', 'a file of run --record, bench --output or --report')
    .option('-o, --output <file.html>', 'the page (default: the name of the file, with .html)')
    .option('--trace <file.json>', 'also write the timeline for ui.perfetto.dev and chrome://tracing')
    .option('--record <file.json>', 'also write the record')
    .option('-f, --force', 'write over files that exist')
    .action(async (file: string, { output, trace, record, force }: ReportFlags) => {
      const files: ReportFiles = { report: output ?? `${file.replace(/\.(json|html)$/, '')}.html`, trace, record };
      await checkReportFiles(files, { force, taken: [file] });
      await writeReportFiles(files, await recordIn(file));
    });
}

/** A record, the page of one, or what `tandem bench --output` wrote. */
async function recordIn(file: string): Promise<RunRecord> {
  const text = read(file);
  if (!isBenchResult(text)) return (await import('../report/record.js')).readRecord(text, file);
  const { readResult } = await import('../bench/result.js');
  return benchRecord(readResult(file), ['bench']);
}

function isBenchResult(text: string): boolean {
  try {
    return JSON.parse(text)?.kind === 'tandem bench';
  } catch {
    return false;
  }
}

function read(file: string): string {
  try {
    return readTextFile(file);
  } catch (cause) {
    throw new TandemError('TANDEM_USAGE', `${file} cannot be read: ${(cause as Error).message}`, {
      remedy: 'make one with: tandem run … --record run.json',
      cause,
    });
  }
}
