/**
 * A slot: the shared memory of one micro-batch in flight, and the only place where its state changes.
 *
 * Invariants
 * I1 A slot has one owner at a time: the coordinator while FILLING and DONE, one worker while RUNNING(j), nobody while
 *    FREE and READY(j).
 * I2 Every state change between owners is one compare-and-exchange from the state that the table below names; any other
 *    is refused.
 * I3 Bytes and dims are written only by the owner, before the exchange that gives the slot away.
 * I4 A stage writes its own output regions and nothing else, so the graph's inputs stand until the slot is released.
 *
 * FREE       -> FILLING     [claim]    coordinator
 * FILLING    -> READY(0)    [publish]  coordinator
 * READY(j)   -> RUNNING(j)  [accept]   a worker of stage j
 * RUNNING(j) -> READY(j+1)  [advance]  the same worker, j not the last stage
 * RUNNING(j) -> DONE        [advance]  the same worker, j the last stage
 * RUNNING(j) -> FAILED(j)   [fail]     the same worker, or the coordinator when that worker is gone
 * READY(j)   -> FAILED(j)   [fail]     the coordinator, when no worker is left to take it
 * DONE, FAILED(j) -> FILLING [refill]  coordinator, to run the same rows again
 * DONE, FILLING, FAILED -> FREE [release] coordinator
 *
 * A stage in another process has slots of its own, that follow the coordinator's; there its host, who owns them all, does
 * FREE       -> READY(j)    [adopt]    when the coordinator has accepted for it
 * any        -> FREE      [giveBack] when the coordinator is told the result, or that the worker is gone
 */
import { TandemError } from '../errors.js';
import { bytesOf, type Tensor, viewOf } from '../tensor.js';
import type { Layout, Region } from './layout.js';

export const STATES = ['FREE', 'FILLING', 'READY', 'RUNNING', 'DONE', 'FAILED'] as const;
export type State = (typeof STATES)[number];

// Words of the header, Int32. Who writes them: kState every owner, by compare-and-exchange, which also orders the plain
// writes to the others before it (Atomics are sequentially consistent); kBatch and kRows the coordinator while FILLING;
// kSince 0 whoever gives the slot to a stage, then the worker that accepted it (milliseconds, in 32 bits); dims (from
// Region.dimsAt) whoever writes the region.
const kState = 0;
const kBatch = 1;
const kRows = 2;
const kSince = 3;

/** The number of each state in the state's word. */
const NUMBER = Object.fromEntries(STATES.map((state, number) => [state, number])) as Record<State, number>;

/** State and stage in one word, so that one exchange changes both. */
const word = (state: State, stage = 0): number => (stage << 3) | NUMBER[state];

/** The machine's monotonic clock in 32 bits; never 0, which says that nobody has accepted. */
function milliseconds(): number {
  return Number(BigInt.asIntN(32, process.hrtime.bigint() / 1_000_000n)) || 1;
}

export class Slot {
  readonly index: number;
  readonly #layout: Layout;
  readonly #memory: SharedArrayBuffer;
  readonly #header: Int32Array;
  readonly #dataOffset: number;

  constructor(memory: SharedArrayBuffer, layout: Layout, index: number) {
    this.index = index;
    this.#memory = memory;
    this.#layout = layout;
    this.#header = new Int32Array(memory, index * layout.headerBytes, layout.headerBytes / 4);
    this.#dataOffset = layout.slots * layout.headerBytes + index * layout.dataBytes;
  }

  get state(): { state: State; stage: number } {
    const value = Atomics.load(this.#header, kState);
    return { state: STATES[value & 7]!, stage: value >> 3 };
  }

  /** Position of the micro-batch in the job. */
  get microBatch(): number {
    return this.#header[kBatch]!;
  }

  /** Rows that the micro-batch really holds. */
  get rows(): number {
    return this.#header[kRows]!;
  }

  /** FREE -> FILLING; false when somebody has it. */
  claim(): boolean {
    return this.#exchange(word('FREE'), word('FILLING'));
  }

  /** FILLING -> READY(0). */
  publish(microBatch: number, rows: number): void {
    this.#header[kBatch] = microBatch;
    this.#header[kRows] = rows;
    this.#header[kSince] = 0;
    this.#move('publish', word('FILLING'), word('READY', 0));
  }

  /**
   * Blocks this thread until the slot is READY(stage), so that it passes from one worker to the next without a third
   * thread between them; false when an earlier stage failed and it may never come. Not for the coordinator's thread.
   */
  awaitReady(stage: number): boolean {
    const ready = word('READY', stage);
    for (;;) {
      const value = Atomics.load(this.#header, kState);
      if (value === ready) return true;
      const state = value & 7;
      const onItsWay = (state === NUMBER.READY || state === NUMBER.RUNNING) && value >> 3 < stage;
      if (!onItsWay) return false;
      // Pairs with the notify of every exchange; a change between load and wait makes wait return at once.
      Atomics.wait(this.#header, kState, value);
    }
  }

  /** READY(stage) -> RUNNING(stage). */
  accept(stage: number): void {
    this.#move('accept', word('READY', stage), word('RUNNING', stage));
    this.#header[kSince] = milliseconds();
  }

  /** Milliseconds since a worker of `stage` accepted the slot; 0 when none works on it. */
  runningFor(stage: number): number {
    if (Atomics.load(this.#header, kState) !== word('RUNNING', stage)) return 0;
    const since = this.#header[kSince]!;
    // The difference of two clocks of 32 bits is right though both have gone round.
    return since === 0 ? 0 : Math.max(0, (milliseconds() - since) | 0);
  }

  /** RUNNING(stage) -> READY(stage + 1), or DONE after the last stage. */
  advance(stage: number): void {
    const next = stage + 1 === this.#layout.stages ? word('DONE') : word('READY', stage + 1);
    this.#header[kSince] = 0;
    this.#move('advance', word('RUNNING', stage), next);
  }

  /** RUNNING(stage) or READY(stage) -> FAILED(stage). */
  fail(stage: number): void {
    if (this.#exchange(word('RUNNING', stage), word('FAILED', stage))) return;
    this.#move('fail', word('READY', stage), word('FAILED', stage));
  }

  /** DONE or FAILED -> FILLING. */
  refill(): void {
    const { state, stage } = this.state;
    if (state !== 'DONE' && state !== 'FAILED') throw this.#refused('refill');
    this.#move('refill', word(state, stage), word('FILLING'));
  }

  /** DONE, FILLING or FAILED -> FREE. */
  release(): void {
    const { state, stage } = this.state;
    if (state === 'FILLING' || state === 'DONE' || state === 'FAILED') {
      if (this.#exchange(word(state, state === 'FAILED' ? stage : 0), word('FREE'))) return;
    }
    throw this.#refused('release');
  }

  /** FREE -> READY(stage), with the words that `words` gave on the other side. */
  adopt(stage: number, words: readonly number[]): void {
    this.#header.set(words, kBatch);
    this.#header[kSince] = 0;
    this.#move('adopt', word('FREE'), word('READY', stage));
  }

  /** Any state -> FREE. */
  giveBack(): void {
    Atomics.store(this.#header, kState, word('FREE'));
  }

  /** Everything in the header but the state: what a slot in another process must be told. */
  words(): number[] {
    return Array.from(this.#header.subarray(kBatch));
  }

  /** Takes over the words of the same slot in another process. */
  setWords(words: readonly number[]): void {
    this.#header.set(words, kBatch);
  }

  /** Where the tensor of `region` lies in the arena: its bytes at their own offset. */
  place(region: Region): { bytes: Uint8Array; offset: number } {
    const { data } = this.tensor(region);
    return { bytes: bytesOf(data), offset: data.byteOffset };
  }

  /** The tensor in `region` with the dims that its writer left; a view, valid while the slot is owned. */
  tensor(region: Region): Tensor {
    const { dimsAt, shape, dtype, offset } = region;
    const dims = Array.from(this.#header.subarray(dimsAt, dimsAt + shape.length));
    return viewOf(dtype, dims, this.#memory, this.#dataOffset + offset);
  }

  /** The whole of `region`, at its largest shape, to be filled. */
  room(region: Region): Tensor {
    return viewOf(region.dtype, region.shape, this.#memory, this.#dataOffset + region.offset);
  }

  /** Says which part of `region` holds values: `dims` are at most its largest shape in bytes. */
  setDims(region: Region, dims: readonly number[]): void {
    this.#header.set(dims, region.dimsAt);
  }

  /** Copies a result into its region. Errors as of `admit`. */
  store(region: Region, tensor: Tensor): void {
    this.admit(region, tensor);
    (this.room(region).data as Float32Array).set(tensor.data as Float32Array);
  }

  /** Notes that `region` will hold `tensor`. Throws TANDEM_STAGE_FAILED when that is not what it was laid out for. */
  admit(region: Region, tensor: Tensor): void {
    const room = this.room(region);
    const fits = tensor.dtype === region.dtype && tensor.shape.length === region.shape.length;
    if (!fits || tensor.data.length > room.data.length) {
      throw new TandemError(
        'TANDEM_STAGE_FAILED',
        `tensor ${region.name} came out as ${tensor.dtype} [${tensor.shape.join(', ')}], but its room is ${region.dtype} [${region.shape.join(', ')}]`,
        {
          remedy:
            'a model whose shapes depend on the values of the rows cannot be pipelined across this cut: cut elsewhere with layers=',
        },
      );
    }
    this.setDims(region, tensor.shape);
  }

  #exchange(from: number, to: number): boolean {
    if (Atomics.compareExchange(this.#header, kState, from, to) !== from) return false;
    Atomics.notify(this.#header, kState);
    return true;
  }

  #move(change: string, from: number, to: number): void {
    if (!this.#exchange(from, to)) throw this.#refused(change);
  }

  #refused(change: string): TandemError {
    const { state, stage } = this.state;
    return new TandemError('TANDEM_INTERNAL', `slot ${this.index} cannot ${change} from ${state}(${stage})`);
  }
}
