#!/usr/bin/env node
/** The entry of the command line: checks the runtime before it loads the rest, which an older Node could not parse. */
import { outOfFiles } from '../out-of-files.js';
import { runtimeProblem } from '../runtime.js';
import { systemLimitOf } from '../system-limits.js';

/** The exit status of the codes that are reported here; their table in errors.ts may not be loadable. */
const IMPOSSIBLE = 78;

const problem = runtimeProblem();
if (problem) refuse(problem);
else import('./command-line.js').then(({ runProcess }) => runProcess(), cannotLoad);

function refuse({ code, message, remedy }: { code: string; message: string; remedy: string }): void {
  process.stderr.write(`tandem: ${message} [${code}]\n        ${remedy}\n`);
  process.exitCode = IMPOSSIBLE;
}

/** A package that tandem depends on is missing, damaged, or cannot be opened. */
function cannotLoad(error: NodeJS.ErrnoException): void {
  if (process.env.TANDEM_DEBUG) process.stderr.write(`${error.stack}\n`);
  const message = `tandem cannot be loaded: ${error.message}`;
  const limit = systemLimitOf(error) || systemLimitOf(outOfFiles());
  if (limit) refuse({ code: 'TANDEM_SYSTEM_LIMIT', message: `${limit.met}: ${message}`, remedy: limit.remedy });
  else
    refuse({
      code: 'TANDEM_SETUP_FAILED',
      message,
      remedy: 'install it again, with its dependencies: npm install tandem',
    });
}
