/** Reads ahead: a few steps of a slow source are under way while their results are taken, in order, within a bound. */

export interface AheadOptions<T> {
  /** Begins the next step; called again once that has settled, so steps begin in order. `null` ends. */
  readonly begin: () => Promise<Begun<T> | null>;
  /** Nothing is begun while the steps that are begun and not yet taken weigh this much or more. */
  readonly most: number;
}

export interface Begun<T> {
  /** For example rows, or bytes. */
  readonly weight: number;
  readonly result: Promise<T>;
}

export class Ahead<T> {
  readonly #options: AheadOptions<T>;
  readonly #begun: Begun<T>[] = [];
  #weight = 0;
  #filling: Promise<void> | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #change = new Change();

  constructor(options: AheadOptions<T>) {
    this.#options = options;
  }

  /** The next result, or `null` at the end. Throws what a step throws, after the results before it. */
  async take(): Promise<T | null> {
    for (;;) {
      const step = this.#begun.shift();
      if (step) {
        this.#weight -= step.weight;
        this.#fill();
        return step.result;
      }
      if (this.#failure) throw this.#failure.error;
      if (this.#ended) return null;
      const change = this.#change.happened;
      this.#fill();
      await change;
    }
  }

  /** Begins no further step; resolves once none that has begun is under way. One that is about to begin may wait for a pipe, and is not waited for. */
  async stop(): Promise<void> {
    this.#ended = true;
    this.#changed();
    await Promise.allSettled(this.#begun.map(({ result }) => result));
  }

  #fill(): void {
    this.#filling ??= this.#fillUp().finally(() => {
      this.#filling = undefined;
    });
  }

  async #fillUp(): Promise<void> {
    try {
      while (!this.#ended && (this.#begun.length === 0 || this.#weight < this.#options.most)) {
        const step = await this.#options.begin();
        if (step === null) {
          this.#ended = true;
          break;
        }
        // Its failure is thrown when it is taken.
        step.result.catch(() => {});
        this.#begun.push(step);
        this.#weight += step.weight;
        this.#changed();
      }
    } catch (error) {
      this.#failure = { error };
      this.#ended = true;
    }
    this.#changed();
  }

  #changed(): void {
    const before = this.#change;
    this.#change = new Change();
    before.happen();
  }
}

/** Something that happens once. */
class Change {
  happen: () => void = () => {};
  readonly happened = new Promise<void>((resolve) => {
    this.happen = resolve;
  });
}
