/** `tandem resume`: continues a job by its journal. */
import { Command } from 'commander';
import { ENGINES } from '../engine/list.js';
import { TandemError } from '../errors.js';
import type { RunSettings } from '../job/run-request.js';
import { Journal, journalPath } from '../output/journal.js';
import { noJournal } from '../output/status.js';
import { perform, type Request } from './run.js';
import { ALLOW_ERRORS, isolationOption, maxErrorsOption } from './run-flags.js';

/** Settings that no output byte depends on; they may differ from the first run. */
interface ResumeFlags extends Pick<RunSettings, 'isolation' | 'maxErrors' | 'allowErrors'> {
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly force?: boolean;
}

export function resumeCommand(): Command {
  return new Command('resume')
    .description('continue a job that was stopped or killed, with the settings in its journal')
    .argument('<output>', 'as it was given to tandem run')
    .addOption(isolationOption())
    .addOption(maxErrorsOption())
    .option('--allow-errors', ALLOW_ERRORS)
    .option('-f, --force', 'write over an output that exists')
    .option('-q, --quiet', 'no plan, no progress, no summary')
    .option('--json', 'print the summary as one JSON object on stdout')
    .action(async (output: string, flags: ResumeFlags) => {
      process.exitCode = await resume(output, flags);
    });
}

/** Settings of the environment do not count: the journal has those of the first run. Returns the exit status. */
async function resume(output: string, flags: ResumeFlags): Promise<number> {
  const journal = await Journal.read(output);
  if (journal === null) throw noJournal(output);
  const request = journal.begin.request as Partial<Request> | null;
  if (typeof request?.model !== 'string' || !Array.isArray(request.input)) {
    throw new TandemError('TANDEM_JOURNAL_DAMAGED', `${journalPath(output)} does not hold the request of the run`, {
      remedy: 'run the first command again',
    });
  }
  checkEngine(output, request.engine ?? journal.begin.fingerprint.engine);
  // --force was for the output that was there before the first run; it must not replace this job's own finished output.
  const isDone = journal.commit?.sealed === true;
  if ('generate' in request) {
    const { performCall } = await import('./generate.js');
    const call = request as unknown as Parameters<typeof performCall>[0];
    const { isolation: _, ...settings } = flags;
    return performCall({ ...call, ...(isDone && { force: false }), ...settings, output });
  }
  return perform({ ...(request as Request), ...(isDone && { force: false }), ...flags, output });
}

/** A journal may come from anybody, so the module of an engine that it names is not imported. Throws TANDEM_JOURNAL_MISMATCH. */
function checkEngine(output: string, engine: unknown): void {
  if (engine === undefined || ENGINES.some(({ id }) => id === engine)) return;
  throw new TandemError(
    'TANDEM_JOURNAL_MISMATCH',
    `the unfinished output ${output} was started by a program with an engine of its own (engine: ${engine})`,
    { remedy: 'call runFile again with the same engine: tandem resume imports no module that a journal names' },
  );
}
