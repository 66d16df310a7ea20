/** `tandem resume`: goes on with a job from what its journal says. */
import { Command } from 'commander';
import { TandemError } from '../errors.js';
import { noJournal } from '../job/job-status.js';
import { Journal, journalPath } from '../job/journal.js';
import type { RunSettings } from './config.js';
import type { Request } from './open-run.js';
import { perform } from './run.js';
import { ALLOW_ERRORS, isolationOption, maxErrorsOption } from './run-flags.js';

/** What no byte depends on may be another than in the first run. */
interface ResumeFlags extends Pick<RunSettings, 'isolation' | 'maxErrors' | 'allowErrors'> {
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly force?: boolean;
}

export function resumeCommand(): Command {
  return new Command('resume')
    .description('go on with a job that was stopped or killed, as its journal tells what was asked for')
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
    throw new TandemError('TANDEM_JOURNAL_DAMAGED', `${journalPath(output)} does not tell what was asked for`, {
      remedy: 'run the first command again',
    });
  }
  // To replace an older output was the first run's task; what it has made itself is not to be made again.
  const isDone = journal.commit?.sealed === true;
  return perform({ ...(request as Request), ...(isDone && { force: false }), ...flags, output });
}
