/**
 * Runs with an engine that waits before each micro-batch until the run has been interrupted: on any machine they are not over by then,
 * however few their rows are.
 */
import { type Begun, begin, type Interruption, interrupt } from './interrupted-run.js';
import { type Ended, type RunOptions, type Started, tandem } from './tandem-process.js';

/** For --stage. */
export const PACED = 'cpu,provider=custom';

export const ENGINE = { TANDEM_ENGINE_MODULE: new URL('../fixtures/paced-engine.js', import.meta.url).href };

/** At full speed. */
export function tandemPaced(args: readonly string[], options: RunOptions): Promise<Ended> {
  return tandem(args, { ...options, env: { ...ENGINE, ...options.env } });
}

/** As `interrupt`. */
export function interruptPaced(args: readonly string[], interruption: Interruption): Promise<Ended> {
  return interrupt(args, { ...interruption, env: { ...ENGINE, TANDEM_TEST_SLOW: interruption.cwd } });
}

/** As `begin`; slow while the file `gate` exists. */
export function beginPaced(args: readonly string[], gate: string, begun: Begun): Promise<Started> {
  return begin(args, { ...begun, env: { ...ENGINE, TANDEM_TEST_SLOW: gate } });
}
