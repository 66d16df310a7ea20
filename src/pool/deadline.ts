/** A deadline that may move, since a micro-batch's time begins when a worker takes it: the time left is computed again before it fires. */
import { TandemError } from '../errors.js';

/** Seconds that one micro-batch may take in one stage, by default. */
export const DEFAULT_DEADLINE = 600;

/** People give seconds; inside, a deadline is in milliseconds. */
export function deadlineMsOf(seconds = DEFAULT_DEADLINE): number {
  return seconds * 1e3;
}

/** Longest delay of a Node timer, in milliseconds; a longer one fires at once. */
const MAX_WAIT = 2 ** 31 - 1;

/** Calls `onDeadline` once `left` (milliseconds) is 0 or less; does not keep the process alive. The returned function cancels it. */
export function setDeadline(left: () => number, onDeadline: () => void): () => void {
  let timer: NodeJS.Timeout;
  const look = () => {
    const wait = left();
    if (wait <= 0) onDeadline();
    else timer = setTimeout(look, Math.min(Math.ceil(wait), MAX_WAIT)).unref();
  };
  look();
  return () => clearTimeout(timer);
}

/** The time left of `limit` milliseconds that begin now. */
export function from(limit: number): () => number {
  const end = performance.now() + limit;
  return () => end - performance.now();
}

export function timedOut(call: string, deadlineMs: number): TandemError {
  const remedy =
    call === 'run'
      ? 'allow more time with --deadline SECONDS, or make the micro-batch smaller'
      : 'check whether the disk and the device answer: tandem doctor';
  return new TandemError('TANDEM_STAGE_TIMEOUT', `a worker did not finish "${call}" in ${deadlineMs / 1000} s`, {
    remedy,
  });
}
