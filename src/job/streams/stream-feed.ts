/** Feeds windows of several files at once: files are in groups, and a group's next windows follow when its results have come. */
import { type Feed, NOTHING, type Traits } from '../../pipeline/micro-batch.js';
import type { SoundSource } from '../../rows/audio/sound-source.js';
import { RowFault } from '../../rows/row-fault.js';
import type { RowFailure } from '../../rows/source.js';
import type { Tensor } from '../../tensor.js';
import { Stream } from './stream.js';

export interface StreamFeedOptions {
  readonly source: SoundSource;
  readonly firstRow: number;
  /** Files of a group, at most. */
  readonly files: number;
  /** Groups, each of which is in flight once at most. */
  readonly groups: number;
  readonly signal?: AbortSignal | undefined;
}

/** Files that are opened before the oldest one is done, at most: their results wait for it. */
const MOST_AHEAD = 4096;

interface Group {
  readonly index: number;
  streams: Stream[];
  /** Settles when the results of its windows have been taken; `null` if none are in flight. */
  results: Promise<void> | null;
  taken: () => void;
}

interface Flight {
  readonly group: Group | null;
  readonly streams: readonly Stream[];
}

export class StreamFeed implements Feed {
  readonly #options: StreamFeedOptions;
  readonly #groups: readonly Group[];
  readonly #flights: Flight[] = [];
  /** Files that are done and not taken yet: a stream with results, or why there are none. */
  readonly #done = new Map<number, Stream | RowFailure>();
  #turn = 0;
  #nextRow: number;
  #oldest: number;
  #current: Group | null = null;

  constructor(options: StreamFeedOptions) {
    this.#options = options;
    this.#nextRow = options.firstRow;
    this.#oldest = options.firstRow;
    this.#groups = Array.from({ length: options.groups }, (_, index) => ({
      ...{ index, streams: [], results: null },
      taken: () => {},
    }));
  }

  /** The next group, round-robin, that has windows and whose last results have been taken. */
  async traits(): Promise<Traits> {
    this.#current = null;
    for (let looked = 0; looked < this.#groups.length; looked++) {
      const group = this.#groups[this.#turn]!;
      this.#turn = (this.#turn + 1) % this.#groups.length;
      await group.results;
      if (this.#options.signal?.aborted) return {};
      await this.#refill(group);
      if (group.streams.length === 0) continue;
      this.#current = group;
      return { group: group.index };
    }
    return {};
  }

  async fill(into: readonly Tensor[]): Promise<number | typeof NOTHING> {
    const group = this.#current;
    if (this.#options.signal?.aborted) return 0;
    if (!group) {
      if (this.#nextRow === this.#options.source.rows) return 0;
      // Files that failed before they began are taken before others are opened.
      this.#flights.push({ group: null, streams: [] });
      return NOTHING;
    }
    const streams: Stream[] = [];
    for (const stream of group.streams) if (await this.#write(stream, into, streams.length)) streams.push(stream);
    group.streams = streams;
    group.results = new Promise((resolve) => {
      group.taken = () => {
        group.results = null;
        resolve();
      };
    });
    this.#flights.push({ group, streams });
    return streams.length || NOTHING;
  }

  /** The files of the oldest micro-batch, in the order of its rows; `taken` is to be called once their results are. */
  takeFlight(): { readonly streams: readonly Stream[]; taken(): Promise<void> } {
    const { group, streams } = this.#flights.shift()!;
    const taken = async () => {
      if (!group) return;
      for (const stream of group.streams.filter(({ isDone }) => isDone)) await this.#finish(stream);
      group.streams = group.streams.filter(({ isDone }) => !isDone);
      group.taken();
    };
    return { streams, taken };
  }

  /** Files that are done, in input order, as far as no earlier one is missing. */
  *takeDone(): Generator<{ readonly row: number; readonly done: Stream | RowFailure }> {
    for (let done = this.#done.get(this.#oldest); done; done = this.#done.get(this.#oldest)) {
      const row = this.#oldest;
      this.#done.delete(row);
      this.#oldest += 1;
      yield { row, done };
    }
  }

  /** Closes files that are under way. */
  async close(): Promise<void> {
    for (const { streams } of this.#groups) for (const { sound } of streams) await sound.close();
  }

  async #refill(group: Group): Promise<void> {
    const { source, files } = this.#options;
    while (group.streams.length < files && this.#nextRow < source.rows && this.#nextRow - this.#oldest < MOST_AHEAD) {
      const row = this.#nextRow++;
      const sound = await source.open(row);
      if ('code' in sound) {
        this.#done.set(row, sound);
        continue;
      }
      const { rowSpecs, carry } = source.recipe;
      const stream = new Stream({ row, sound, carried: rowSpecs.filter(({ name }) => carry.has(name)) });
      group.streams.push(stream);
    }
  }

  /** Writes the stream's next window and what is carried to it as row `place`. A file that cannot be read is done, and has not been written. */
  async #write(stream: Stream, into: readonly Tensor[], place: number): Promise<boolean> {
    const { rowSpecs, input } = this.#options.source.recipe;
    try {
      const samples = await stream.sound.window(stream.window);
      for (const [n, { name }] of rowSpecs.entries()) {
        const value = name === input ? samples : stream.carried.get(name)!;
        (into[n]!.data as Float32Array).set(value as Float32Array, place * value.length);
      }
      return true;
    } catch (error) {
      if (!(error instanceof RowFault)) throw error;
      stream.failure = error.at(stream.row, this.#options.source.idOf(stream.row));
      await this.#finish(stream);
      return false;
    }
  }

  async #finish(stream: Stream): Promise<void> {
    this.#done.set(stream.row, stream.failure ?? stream);
    await stream.sound.close();
  }
}
