/** SIGINT and SIGTERM: the first one drains the job, a second one ends it at once. */
import { EXIT } from '../errors.js';

export interface Signals {
  readonly signal: AbortSignal;
  /** The exit status that the signal asks for, once one has come. */
  readonly exitCode: number | null;
  release(): void;
}

const EXIT_OF = { SIGINT: EXIT.sigint, SIGTERM: EXIT.sigterm } as const;

export function stopOnSignals(): Signals {
  const controller = new AbortController();
  let exitCode: number | null = null;
  const onSignal = (name: keyof typeof EXIT_OF) => {
    if (exitCode !== null) process.exit(exitCode);
    exitCode = EXIT_OF[name];
    process.stderr.write('\ntandem: stopping: the rows in flight are finished first; once more stops at once\n');
    controller.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    release: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal),
  };
}
