/** Turns a system error about an output into a coded error with a remedy. */
import { dirname } from 'node:path';
import { TandemError } from '../errors.js';

/** By errno: the problem with the output, and the remedy. */
const REASONS: Record<string, (path: string) => readonly [reason: string, remedy: string]> = {
  ENOENT: (path) => [`the folder ${dirname(path)} does not exist`, `make it first: mkdir -p ${dirname(path)}`],
  ENOTDIR: (path) => [`${dirname(path)} is not a folder`, 'name a folder that exists'],
  EISDIR: (path) => [`${path} is a folder`, 'name a file inside it'],
  EACCES: notWritable,
  EPERM: notWritable,
  EROFS: notWritable,
  ENOSPC: full,
  EDQUOT: full,
  EFBIG: full,
  EPIPE: () => ['the reader of the pipe has ended', 'keep the reading program alive until the job has ended'],
  ERR_ACCESS_DENIED: () => [
    "Node's permission model forbids it",
    'start Node without --permission, or with --allow-fs-write=*',
  ],
  ENAMETOOLONG: () => ['the name is too long', 'choose a shorter name'],
};

function notWritable(path: string): readonly [string, string] {
  return [`${dirname(path)} may not be written to`, 'choose another folder, or change its permissions'];
}

function full(path: string): readonly [string, string] {
  return [
    `no space is left in ${dirname(path)}`,
    'free some space, or name an output on a disk that has more, and run again',
  ];
}

/** `cause` as TANDEM_OUTPUT_FAILED for `path`; the system's error stays its cause, and a coded error stays as it is. */
export function outputError(path: string, cause: unknown): TandemError {
  if (cause instanceof TandemError) return cause;
  const errno = (cause as NodeJS.ErrnoException | null)?.code ?? '';
  const [reason, remedy] = REASONS[errno]?.(path) ?? [
    cause instanceof Error ? cause.message : String(cause),
    'check the disk that holds it, then run again',
  ];
  return new TandemError('TANDEM_OUTPUT_FAILED', `the output ${path} cannot be written: ${reason}`, { remedy, cause });
}

/** Whether `error` means that the reader of a pipe (`| head`) has ended; the command line then exits quietly. */
export function isBrokenPipe(error: unknown): boolean {
  return error instanceof TandemError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'EPIPE';
}
