/** A sink that leaves out outputs of the model that nobody asked for. */
import type { RowsDone, Sink } from './sink.js';

export class SelectingSink implements Sink {
  readonly #sink: Sink;
  readonly #outputs: ReadonlySet<string>;

  /** Owns the sink. `outputs` are public names. */
  constructor(sink: Sink, outputs: readonly string[]) {
    this.#sink = sink;
    this.#outputs = new Set(outputs);
  }

  get kept(): number | null {
    return this.#sink.kept;
  }

  write(batch: RowsDone): Promise<void> {
    const { ragged } = batch;
    return this.#sink.write({
      ...batch,
      outputs: this.#of(batch.outputs),
      ...(ragged && { ragged: this.#of(ragged) }),
    });
  }

  finish(): Promise<void> {
    return this.#sink.finish();
  }

  abandon(): Promise<void> {
    return this.#sink.abandon();
  }

  #of<T>(values: ReadonlyMap<string, T>): Map<string, T> {
    return new Map([...values].filter(([name]) => this.#outputs.has(name)));
  }
}
