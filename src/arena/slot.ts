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
 * READY is for one of the stage's pools: that whose turn the micro-batch is.
 *
 * FREE       -> FILLING     [claim]    coordinator
 * FILLING    -> READY(0)    [publish]  coordinator
 * READY(j)   -> RUNNING(j)  [accept]   a worker of stage j
 * RUNNING(j) -> READY(j+1)  [advance]  the same worker, j not the last stage
 * RUNNING(j) -> DONE        [advance]  the same worker, j the last stage
 * RUNNING(j) -> FAILED(j)   [fail]     the pool of stage j, for a worker that could not do it, hangs or is gone
 * READY(j)   -> FAILED(j)   [fail]     the coordinator, when no worker is left to take it
 * DONE, FAILED(j) -> FILLING [refill]  coordinator, to run the same rows again
 * DONE, FILLING, FAILED -> FREE [release] coordinator
 */
import { TandemError } from '../errors.js';
import type { Bell } from './bell.js';
import { HEADER_WORDS, type Layout, RAN_WORDS } from './layout.js';
import { SlotTensors } from './slot-tensors.js';
import { turnOf } from './turns.js';

export const STATES = ['FREE', 'FILLING', 'READY', 'RUNNING', 'DONE', 'FAILED'] as const;
export type State = (typeof STATES)[number];

// Words of the header, Int32. Who writes them: kState every owner, by compare-and-exchange, which also orders the plain
// writes to the others before it (Atomics are sequentially consistent); kBatch and kRows the coordinator while FILLING;
// kSince and kComing 0 whoever gives the slot to a stage; then the worker that accepted it kSince (milliseconds, in 32 bits)
// and kWorker, and kComing 1 once it has computed; what a stage ran (from HEADER_WORDS) its worker; dims (from Region.dimsAt)
// whoever writes the region.
const kState = 0;
const kBatch = 1;
const kRows = 2;
const kSince = 3;
const kWorker = 4;
const kComing = 5;

/** The number of each state in the state's word. */
const NUMBER = Object.fromEntries(STATES.map((state, number) => [state, number])) as Record<State, number>;

/** State, stage and, while READY, the turn in one word, so that one exchange changes all of them. */
const word = (state: State, stage = 0, turn = 0): number => (turn << 16) | (stage << 3) | NUMBER[state];

/** The machine's monotonic clock in 32 bits; never 0, which says that nobody has accepted. */
function milliseconds(): number {
  return Number(BigInt.asIntN(32, process.hrtime.bigint() / 1_000_000n)) || 1;
}

/** First header word of what `stage` says: two times of two words each, and the worker. */
function ranAt(stage: number): number {
  return HEADER_WORDS + stage * RAN_WORDS;
}

/** Who computed a micro-batch in one stage; microseconds of the machine's monotonic clock, which threads and processes share. */
export interface Ran {
  readonly worker: number;
  readonly acceptedAt: number;
  readonly finishedAt: number;
}

export class Slot {
  readonly index: number;
  /** What it holds. */
  readonly tensors: SlotTensors;
  readonly #layout: Layout;
  readonly #header: Int32Array;
  /** The header once more, two words at a time. */
  readonly #times: Float64Array;
  readonly #bells: readonly (readonly Bell[])[];

  /** `bells` are those of the arena: for each stage one for each pool, and one for whoever takes the slots after the last. */
  constructor(memory: ArrayBufferLike, layout: Layout, index: number, bells: readonly (readonly Bell[])[]) {
    this.index = index;
    this.#layout = layout;
    this.#bells = bells;
    this.#header = new Int32Array(memory, index * layout.headerBytes, layout.headerBytes / 4);
    this.#times = new Float64Array(memory, index * layout.headerBytes, layout.headerBytes / 8);
    this.tensors = new SlotTensors(memory, this.#header, layout.slots * layout.headerBytes + index * layout.dataBytes);
  }

  get state(): { state: State; stage: number } {
    const value = Atomics.load(this.#header, kState);
    return { state: STATES[value & 7]!, stage: (value & 0xffff) >> 3 };
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
    this.#clear();
    this.#move('publish', word('FILLING'), this.#ready(0));
    this.#bellOf(0).ring();
  }

  /** Which of the pools of `stage` takes the micro-batch; settled while the slot is neither FREE nor FILLING. */
  turn(stage: number): number {
    return turnOf(this.#layout.turns[stage]!, this.microBatch);
  }

  /** Whether it is READY(stage), for the pool `turn`. */
  isReady(stage: number, turn = 0): boolean {
    return Atomics.load(this.#header, kState) === word('READY', stage, turn);
  }

  get isDone(): boolean {
    return Atomics.load(this.#header, kState) === word('DONE');
  }

  /** DONE or FAILED. */
  get isSettled(): boolean {
    const number = Atomics.load(this.#header, kState) & 7;
    return number === NUMBER.DONE || number === NUMBER.FAILED;
  }

  /** READY(stage) -> RUNNING(stage). */
  accept(stage: number): void {
    if (!this.tryAccept(stage)) throw this.#refused('accept');
  }

  /** The same for one of several; false when another `worker` was faster. */
  tryAccept(stage: number, worker = 0, turn = 0): boolean {
    if (!this.#exchange(word('READY', stage, turn), word('RUNNING', stage))) return false;
    this.#header[kWorker] = worker;
    this.#header[kSince] = milliseconds();
    return true;
  }

  /** RUNNING(stage), and all that is left is to store the results: a worker of the next stage that sleeps can wake up meanwhile. */
  announce(stage: number): void {
    if (stage + 1 === this.#layout.stages) return;
    Atomics.store(this.#header, kComing, 1);
    this.#bellOf(stage + 1).ring();
  }

  /** Whether it has been announced to the pool `turn` of `stage` and is not there yet. */
  isComing(stage: number, turn = 0): boolean {
    const isStoring = Atomics.load(this.#header, kState) === word('RUNNING', stage - 1);
    return isStoring && Atomics.load(this.#header, kComing) === 1 && this.turn(stage) === turn;
  }

  isRunning(stage: number): boolean {
    return Atomics.load(this.#header, kState) === word('RUNNING', stage);
  }

  /** Whether `worker` works on it as `stage`, or did when it died. */
  isHeldBy(worker: number, stage: number): boolean {
    return this.isRunning(stage) && this.#header[kWorker] === worker;
  }

  /** Says who computed `stage` and when, in microseconds of the monotonic clock; before the slot is given away. */
  setRan(stage: number, { worker, acceptedAt, finishedAt }: Ran): void {
    const at = ranAt(stage);
    this.#times[at / 2] = acceptedAt;
    this.#times[at / 2 + 1] = finishedAt;
    this.#header[at + 4] = worker;
  }

  /** What the worker of `stage` said. */
  ran(stage: number): Ran {
    const at = ranAt(stage);
    return {
      worker: this.#header[at + 4]!,
      acceptedAt: this.#times[at / 2]!,
      finishedAt: this.#times[at / 2 + 1]!,
    };
  }

  /** Milliseconds since a worker of `stage` accepted the slot; 0 when none works on it. */
  runningFor(stage: number): number {
    if (!this.isRunning(stage)) return 0;
    const since = this.#header[kSince]!;
    // The difference of two clocks of 32 bits is right though both have gone round.
    return since === 0 ? 0 : Math.max(0, (milliseconds() - since) | 0);
  }

  /** RUNNING(stage) -> READY(stage + 1), or DONE after the last stage, which is for the arena to tell. */
  advance(stage: number): void {
    const isLast = stage + 1 === this.#layout.stages;
    this.#clear();
    if (isLast) {
      this.#move('advance', word('RUNNING', stage), word('DONE'));
      return;
    }
    const bell = this.#bellOf(stage + 1);
    this.#move('advance', word('RUNNING', stage), this.#ready(stage + 1));
    bell.ring();
    // Nobody is there to take it, which is for the coordinator to see.
    if (bell.halted) this.#bells.at(-1)![0]!.ring();
  }

  /** RUNNING(stage) or READY(stage) -> FAILED(stage). */
  fail(stage: number): void {
    if (!this.#exchange(word('RUNNING', stage), word('FAILED', stage))) {
      this.#move('fail', this.#ready(stage), word('FAILED', stage));
    }
    this.#bells.at(-1)![0]!.ring();
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

  /** What the stage before left of itself; by the owner, before it gives the slot to the next. */
  #clear(): void {
    this.#header[kSince] = 0;
    this.#header[kComing] = 0;
  }

  #ready(stage: number): number {
    return word('READY', stage, this.turn(stage));
  }

  /** Of whoever takes it in `stage`. */
  #bellOf(stage: number): Bell {
    return this.#bells[stage]![this.turn(stage)]!;
  }

  #exchange(from: number, to: number): boolean {
    return Atomics.compareExchange(this.#header, kState, from, to) === from;
  }

  #move(change: string, from: number, to: number): void {
    if (!this.#exchange(from, to)) throw this.#refused(change);
  }

  #refused(change: string): TandemError {
    const { state, stage } = this.state;
    return new TandemError('TANDEM_INTERNAL', `slot ${this.index} cannot ${change} from ${state}(${stage})`);
  }
}
