/** `tandem report`: draws the report of a run or a bench again, from its JSON or from a report page. */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { TandemError } from '../errors.js';
import type { RunRecord } from '../report/record.js';
import { benchRecord } from './bench-record.js';
import { checkReportFiles, type ReportFiles, writeReportFiles } from './report-files.js';

interface ReportFlags {
  readonly output?: string;
  readonly trace?: string;
  readonly record?: string;
  readonly force?: boolean;
}

export function reportCommand(): Command {
  return new Command('report')
    .description('draw the report of a run or a bench again, from its JSON or from another report')
    .argument('<file>', 'what run --record or bench --output wrote, or a page that --report wrote')
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
  const text = await read(file);
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

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new TandemError('TANDEM_USAGE', `${file} cannot be read: ${(cause as Error).message}`, {
      remedy: 'give the file that this writes: tandem run … --record run.json',
      cause,
    });
  }
}
