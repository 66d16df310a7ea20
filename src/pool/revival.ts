/** Replacing the dead, with an end to it: shared by pools of every kind. */

/** Times that dead workers of one stage are replaced before the stage is given up. */
const MAX_REVIVALS = 3;

export class Revival {
  readonly #bringBack: () => Promise<void>;
  readonly #giveUp: (death: unknown) => Promise<void>;
  #running: Promise<void> | undefined;
  #count = 0;

  /** `giveUp` must make every later call reject. */
  constructor(bringBack: () => Promise<void>, giveUp: (death: unknown) => Promise<void>) {
    this.#bringBack = bringBack;
    this.#giveUp = giveUp;
  }

  /** Several micro-batches may meet the same death: they share one revival. Rejects with `death` when there were too many. */
  after(death: unknown): Promise<void> {
    this.#running ??= this.#run(death).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Settles when no revival is under way. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => {});
  }

  async #run(death: unknown): Promise<void> {
    this.#count += 1;
    if (this.#count > MAX_REVIVALS) {
      await this.#giveUp(death);
      throw death;
    }
    await this.#bringBack();
  }
}
