/** Out of files: whether the system lets this process open some more, for what failed to load and does not say why. */
import { systemLimitOf } from './system-limits.js';

/** A thread has about five files of its own, and loading opens others at the same time. */
const SPARE_FILES = 16;

/**
 * The system's error where fewer than `SPARE_FILES` more can be opened. For what has ended without its reason: a file of a package that cannot be
 * opened is to some Nodes as good as not there, and what they say then, if they say anything, is not why.
 */
export function outOfFiles(): Error | undefined {
  const { openSync, closeSync } = process.getBuiltinModule('node:fs');
  const opened: number[] = [];
  try {
    while (opened.length < SPARE_FILES) opened.push(openSync(process.execPath, 'r'));
  } catch (error) {
    if (systemLimitOf(error)) return error as Error;
  } finally {
    for (const file of opened) closeSync(file);
  }
  return undefined;
}

/** What Node says of a package, or a native library, that is not there, or that it could not open. */
const NOT_THERE = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND', 'ERR_DLOPEN_FAILED'];

/** Why a package does not load: `error`, or the system's if it says that something is not there and no more files can be opened. */
export function causeOf(error: unknown): unknown {
  const isNotThere = error instanceof Error && NOT_THERE.includes((error as NodeJS.ErrnoException).code ?? '');
  return (isNotThere && outOfFiles()) || error;
}
