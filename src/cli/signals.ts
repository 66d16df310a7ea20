/** SIGINT and SIGTERM: the first one stops the run gracefully, a second one ends the process at once. */
import { EXIT, TandemError } from '../errors.js';

/** Thrown into a step before the first row, when there is nothing to finish. */
export class Interrupted extends Error {}

export interface Signals {
  /** Fires on the first signal. */
  readonly signal: AbortSignal;
  /** The exit status of the signal, after one was received. */
  readonly exitCode: number | null;
  /** Settles as `step` does; rejects with Interrupted as soon as a signal is received. The step itself is not ended. */
  race<T>(step: Promise<T>): Promise<T>;
  /** From then on a signal has its default effect: it ends the process. */
  release(): void;
  /** Ends the process with `exitCode`, and all work with it. */
  leave(): never;
}

const EXIT_OF = { SIGINT: EXIT.sigint, SIGTERM: EXIT.sigterm } as const;
type SignalName = keyof typeof EXIT_OF;

/** The error for a promise that can never settle, after which Node would end the process in silence. */
export function stalled(): TandemError {
  return new TandemError('TANDEM_INTERNAL', 'this command waited for something that ended without an answer', {
    remedy: 'run it again with --isolation process, and with TANDEM_DEBUG=1 if that does not help',
  });
}

/** `onStop` is called for the first signal, to print what happens now. */
export function stopOnSignals(onStop: () => void): Signals {
  const controller = new AbortController();
  let exitCode: number | null = null;
  let onStall = () => {};
  const interrupted = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(new Interrupted()));
    onStall = () => reject(stalled());
  });
  // No step may be waiting when the signal is received.
  interrupted.catch(() => {});
  const onSignal = (name: SignalName) => {
    if (exitCode !== null) return die(name);
    exitCode = EXIT_OF[name];
    onStop();
    controller.abort(new Interrupted());
  };
  const release = () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal).off('beforeExit', onStall);
  /** `exit` alone would wait for threads in native code. It is for the first process of a container, which its own signals do not end. */
  const die = (name: SignalName) => {
    release();
    process.kill(process.pid, name);
    process.exit(EXIT_OF[name]);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('beforeExit', onStall);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    race: (step) => Promise.race([step, interrupted]),
    release,
    leave: () => {
      // If a thread in native code delays this, one more signal still ends the process.
      release();
      process.exit(exitCode!);
    },
  };
}
