/** A deadline that may move, since a micro-batch's time begins when a worker takes it: it looks how much is left before it strikes. */
import { TandemError } from '../errors.js';

/** Longest wait of a timer; a longer one would fire at once. */
const MAX_WAIT = 2 ** 31 - 1;

/** Calls `strike` once `left` (milliseconds) has come down to 0; keeps no process alive. The function that is returned calls it off. */
export function setDeadline(left: () => number, strike: () => void): () => void {
  let timer: NodeJS.Timeout;
  const look = () => {
    const wait = left();
    if (wait <= 0) strike();
    else timer = setTimeout(look, Math.min(Math.ceil(wait), MAX_WAIT)).unref();
  };
  look();
  return () => clearTimeout(timer);
}

/** Time left of `limit` milliseconds that begin now. */
export function from(limit: number): () => number {
  const end = performance.now() + limit;
  return () => end - performance.now();
}

export function timedOut(call: string, deadline: number): TandemError {
  const remedy =
    call === 'run'
      ? 'give it longer with --deadline SECONDS, or make the micro-batch smaller'
      : 'see whether the disk and the device that it waits for answer: tandem doctor';
  return new TandemError('TANDEM_STAGE_TIMEOUT', `a worker did not finish "${call}" in ${deadline / 1000} s`, {
    remedy,
  });
}
