/** SIGINT and SIGTERM: the first one asks the run to stop in good order, a second one ends the process at once. */
import { EXIT } from '../errors.js';

/** Thrown into what is under way before the first row, which has nothing to finish. */
export class Interrupted extends Error {}

export interface Signals {
  /** Fires on the first signal. */
  readonly signal: AbortSignal;
  /** The exit status that the signal asks for, once one has come. */
  readonly exitCode: number | null;
  /** Settles as `step` does; rejects with Interrupted as soon as a signal comes, and leaves the step where it is. */
  race<T>(step: Promise<T>): Promise<T>;
  /** From here on a signal has its usual effect: it ends the process. */
  release(): void;
  /** Ends the process with `exitCode`; whatever is under way ends with it. */
  leave(): never;
}

const EXIT_OF = { SIGINT: EXIT.sigint, SIGTERM: EXIT.sigterm } as const;
type SignalName = keyof typeof EXIT_OF;

/** `onStop` is called for the first signal, to tell a person what happens now. */
export function stopOnSignals(onStop: () => void): Signals {
  const controller = new AbortController();
  let exitCode: number | null = null;
  const interrupted = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(new Interrupted()));
  });
  // Nobody may be racing when the signal comes.
  interrupted.catch(() => {});
  const onSignal = (name: SignalName) => {
    if (exitCode !== null) return die(name);
    exitCode = EXIT_OF[name];
    onStop();
    controller.abort();
  };
  const release = () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  /** `exit` alone would wait for threads that are deep in native code. It is for a first process (of a container), which its own signals do not end. */
  const die = (name: SignalName) => {
    release();
    process.kill(process.pid, name);
    process.exit(EXIT_OF[name]);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    race: (step) => Promise.race([step, interrupted]),
    release,
    leave: () => {
      // Should a thread that is deep in native code hold this up, one more signal ends the process all the same.
      release();
      process.exit(exitCode!);
    },
  };
}
