/** Prints an error: what and why on the first line, what to do on the next; the stack only with TANDEM_DEBUG. */
import { asTandemError, TandemError } from '../errors.js';
import { outOfFiles } from '../out-of-files.js';

/** Prints the error to stderr and returns its exit status. */
export function printError(error: unknown): number {
  const known = withLimit(asTandemError(error));
  process.stderr.write(`tandem: ${printable(known.message)} [${known.code}]\n`);
  if (known.remedy) process.stderr.write(`        ${printable(known.remedy)}\n`);
  if (process.env.TANDEM_DEBUG)
    process.stderr.write(`${known.stack}\n${known.cause instanceof Error ? known.cause.stack : ''}\n`);
  else if (known.code === 'TANDEM_INTERNAL')
    process.stderr.write('        this is a bug in tandem; TANDEM_DEBUG=1 shows where\n');
  return known.exitCode;
}

/** Without files, modules of Node's own fail by assertions; that is then no bug. */
function withLimit(error: TandemError): TandemError {
  const limit = error.code === 'TANDEM_INTERNAL' && outOfFiles();
  return limit ? new TandemError(error.code, error.message, { cause: limit }) : error;
}

/** Names and row contents may contain control characters, which could redraw the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) =>
    char === '\n' ? ' ' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
