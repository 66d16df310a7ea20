/** Restart: starts a dead stage again and replays its calls, once for all callers. Used by pools of both kinds. */
import { asTandemError, TandemError } from '../errors.js';

/** Times in a row that a stage may die during one start, restart or call. */
export const MOST_DEATHS = 5;

/** The error of a stage that died MOST_DEATHS times; `reason` is its last exit reason. */
export function givenUp(reason: TandemError): TandemError {
  return new TandemError('TANDEM_STAGE_LOST', `${reason.message}, ${MOST_DEATHS} times in a row`, { cause: reason });
}

export class Restart {
  readonly #replay: () => Promise<void>;
  readonly #giveUp: (reason: TandemError) => Promise<void>;
  #running: Promise<void> | undefined;

  /** `giveUp` must make every later call reject. */
  constructor(replay: () => Promise<void>, giveUp: (reason: TandemError) => Promise<void>) {
    this.#replay = replay;
    this.#giveUp = giveUp;
  }

  /** Several micro-batches may fail with one worker: they share one restart. Rejects with the reason if the stage cannot be restarted. */
  run(): Promise<void> {
    this.#running ??= this.#try().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  async #try(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#replay();
      } catch (error) {
        const known = asTandemError(error);
        const isDeath = known.code === 'TANDEM_STAGE_DIED';
        if (isDeath && tries < MOST_DEATHS) continue;
        const reason = isDeath ? givenUp(known) : known;
        await this.#giveUp(reason);
        throw reason;
      }
    }
  }
}
