/** A sink that adds what is kept of the input to the rows that another sink writes. */
import type { KeptRows } from '../rows/kept-rows.js';
import type { RowsDone, Sink } from './sink.js';

export class KeepingSink implements Sink {
  readonly #sink: Sink;
  readonly #kept: KeptRows;

  /** `kept` begins at the row that is written first. Owns both. */
  constructor(sink: Sink, kept: KeptRows) {
    this.#sink = sink;
    this.#kept = kept;
  }

  get kept(): number | null {
    return this.#sink.kept;
  }

  async write(batch: RowsDone): Promise<void> {
    await this.#sink.write({ ...batch, kept: await this.#kept.take(batch.rows) });
  }

  async finish(): Promise<void> {
    await this.#kept.close();
    await this.#sink.finish();
  }

  async abandon(): Promise<void> {
    await this.#kept.close();
    await this.#sink.abandon();
  }
}
