/** Bringing a stage back to where it was, once for all who met its end: shared by pools of every kind. */
import { asTandemError, type TandemError } from '../errors.js';

/** Times in a row that a stage may die while it is being brought back. */
const MAX_TRIES = 3;

export class Revival {
  readonly #bringBack: () => Promise<void>;
  readonly #giveUp: (reason: TandemError) => Promise<void>;
  #running: Promise<void> | undefined;

  /** `giveUp` must make every later call reject. */
  constructor(bringBack: () => Promise<void>, giveUp: (reason: TandemError) => Promise<void>) {
    this.#bringBack = bringBack;
    this.#giveUp = giveUp;
  }

  /** Several micro-batches may meet the same end: they share one revival. Rejects, with its reason, when there is none. */
  run(): Promise<void> {
    this.#running ??= this.#try().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  get underWay(): boolean {
    return this.#running !== undefined;
  }

  async #try(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#bringBack();
      } catch (error) {
        const reason = asTandemError(error);
        if (reason.code === 'TANDEM_STAGE_DIED' && tries < MAX_TRIES) continue;
        await this.#giveUp(reason);
        throw reason;
      }
    }
  }
}
