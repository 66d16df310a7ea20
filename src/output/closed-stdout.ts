/** Refuses an output to a stdout that was closed before this process began (`>&-`), because the rows would be lost. */
import { fstatSync, readFileSync, statSync } from 'node:fs';
import { TandemError } from '../errors.js';

const STDOUT = 1;
/** Bits of the octal `flags` in /proc/self/fdinfo: the access mode (O_ACCMODE), and reading plus writing (O_RDWR). */
const ACCESS_MODE = 0o3;
const READ_WRITE = 0o2;

/**
 * Node replaces a closed stdout by /dev/null, open for reading and writing; a shell's `>/dev/null` is open for writing only.
 * A program that starts tandem with an ignored stdout looks the same and would lose the same rows. Throws TANDEM_OUTPUT_FAILED.
 */
export function checkStdout(): void {
  if (!isReplaced()) return;
  throw new TandemError(
    'TANDEM_OUTPUT_FAILED',
    'the output - cannot be written: stdout is closed, and the rows would be lost',
    {
      remedy: 'give a file with --output FILE, or open stdout; to throw the rows away on purpose: >/dev/null',
    },
  );
}

function isReplaced(): boolean {
  try {
    if (fstatSync(STDOUT).rdev !== statSync('/dev/null').rdev) return false;
    const [, flags = '0'] = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${STDOUT}`, 'latin1')) ?? [];
    return (Number.parseInt(flags, 8) & ACCESS_MODE) === READ_WRITE;
  } catch {
    // Not Linux, or no /proc: it cannot be checked.
    return false;
  }
}
